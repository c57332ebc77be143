package mailin

import (
	"bytes"
	"errors"
	"regexp"
	"strconv"
	"strings"

	"github.com/JohannesKaufmann/html-to-markdown/v2/converter"
	"github.com/JohannesKaufmann/html-to-markdown/v2/plugin/base"
	"github.com/JohannesKaufmann/html-to-markdown/v2/plugin/commonmark"
	"github.com/k3a/html2text"
	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"

	"deskd/triage"
)

// maxHTML is the size up to which HTML is read as a tree. Above it, and where
// the tree cannot be built, a plainer reader takes over that works tag by tag.
const maxHTML = 256 << 10

// maxTrees is how much text a mail may have given before its HTML is read by
// the plainer reader alone.
const maxTrees = 2 * maxHTML

// Marks for the borders of quotes and the like, put into the HTML before it
// becomes text and found again after. They are private-use characters that
// are taken out of foreign text first.
const (
	markQuoted    = '\uE0F1'
	markSignature = '\uE0F2'
	markForwarded = '\uE0F3'
	markPlain     = '\uE0F4'
	markSpace     = '\uE0F5' // a space that must not be collapsed
	markBreak     = '\uE0F6' // the end of a table cell
	markLess      = '\uE0F7' // "<", ">" and "&", which the converter would escape
	markGreater   = '\uE0F8'
	markAnd       = '\uE0F9'
)

var (
	stripMarks = strings.NewReplacer("\uE0F1", "", "\uE0F2", "", "\uE0F3", "", "\uE0F4", "", "\uE0F5", "", "\uE0F6", "", "\uE0F7", "", "\uE0F8", "", "\uE0F9", "")
	guardText  = strings.NewReplacer("<", string(markLess), ">", string(markGreater), "&", string(markAnd))
)

// htmlBlocks turns HTML into text in blocks whose kind is what the HTML says
// of quotes and signatures. Text that a reader would not see is left out, and
// hid says so. No more than room bytes are read as a tree.
func htmlBlocks(src string, room int) (blocks []triage.Block, hid bool) {
	src = stripMarks.Replace(src)
	if len(src) <= min(room, maxHTML) && restated(src) < maxRestated {
		if text, h, err := htmlTree(src); err == nil {
			return splitMarks(text), h
		}
	}
	text, h := htmlTags(src)
	return splitMarks(text), h
}

// splitMarks cuts converted text into blocks at the marks.
func splitMarks(text string) []triage.Block {
	text = strings.Map(func(r rune) rune {
		switch r {
		case markSpace, '\u00A0':
			return ' '
		case markBreak:
			return '\t'
		case markLess:
			return '<'
		case markGreater:
			return '>'
		case markAnd:
			return '&'
		}
		return r
	}, text)
	var blocks []triage.Block
	kind := triage.Undecided
	start := 0
	add := func(s string) {
		if s = tidyLines(s); s == "" {
			return
		}
		if n := len(blocks); n > 0 && blocks[n-1].Kind == kind {
			blocks[n-1].Text += "\n\n" + s
			return
		}
		blocks = append(blocks, triage.Block{Kind: kind, Text: s})
	}
	for i, r := range text {
		var next triage.BlockKind
		switch r {
		case markQuoted:
			next = triage.Quoted
		case markSignature:
			next = triage.Signature
		case markForwarded:
			next = triage.Forwarded
		case markPlain:
			next = triage.Undecided
		default:
			continue
		}
		add(text[start:i])
		kind, start = next, i+len(string(r))
	}
	add(text[start:])
	return blocks
}

// tidyLines drops trailing white space and empty lines beyond one.
func tidyLines(s string) string {
	var out strings.Builder
	out.Grow(len(s))
	empty := 0
	for len(s) > 0 {
		line, rest, _ := strings.Cut(s, "\n")
		s = rest
		line = strings.TrimRight(line, " \t\r")
		if strings.Trim(line, " \t") == "" {
			empty++
			continue
		}
		if out.Len() > 0 {
			if empty > 0 {
				out.WriteByte('\n')
			}
			out.WriteByte('\n')
		}
		empty = 0
		out.WriteString(line)
	}
	return strings.TrimRight(out.String(), "\n")
}

// maxRestated is far above what programs write, of which few leave a <b> open.
const maxRestated = 200_000

// restated counts the elements that a tree of the HTML has beyond those that
// are written: what puts text into a style, such as <b> or <font>, and is not
// ended where the paragraph ends is begun again in each one that follows.
func restated(src string) (n int) {
	z := html.NewTokenizer(strings.NewReader(src))
	for open := 0; ; {
		tt := z.Next()
		if tt == html.ErrorToken {
			return n
		}
		n += open
		name, _ := z.TagName()
		switch atom.Lookup(name) {
		case atom.A, atom.B, atom.Big, atom.Code, atom.Em, atom.Font, atom.I, atom.Nobr, atom.S, atom.Small, atom.Strike, atom.Strong, atom.Tt, atom.U:
			if tt == html.StartTagToken {
				open++
			} else if tt == html.EndTagToken && open > 0 {
				open--
			}
		}
	}
}

var errConvert = errors.New("convert html: the converter stopped")

// htmlTree is the better of the two readers.
func htmlTree(src string) (text string, hid bool, err error) {
	doc, err := html.Parse(strings.NewReader(src))
	if err != nil {
		return "", false, err
	}
	t := tree{hiddenBy: hiddenRules(doc)}
	t.flatten(doc, false)
	conv := converter.NewConverter(
		converter.WithEscapeMode(converter.EscapeModeDisabled),
		converter.WithPlugins(base.NewBasePlugin(), commonmark.NewCommonmarkPlugin(commonmark.WithListEndComment(false))),
	)
	out, err := convert(conv, doc)
	if err != nil {
		return "", false, err
	}
	return string(out), t.hid, nil
}

// convert guards against a panic in the library: its input comes from
// strangers, and a plainer reader stands behind it.
func convert(conv *converter.Converter, doc *html.Node) (out []byte, err error) {
	defer func() {
		if recover() != nil {
			err = errConvert
		}
	}()
	return conv.ConvertNode(doc)
}

// tree prepares a parsed document for conversion: what is hidden goes, what
// only adorns is unwrapped, and marks are set around quotes.
type tree struct {
	hiddenBy map[string]bool // ".class" and "#id" that a style sheet hides
	hid      bool
	indented int // open quotes and lists
	pre      int // open elements of preformatted text
}

// maxIndent bounds the quotes and lists inside one another: the converter
// writes the text of each anew, with its own indentation before every line.
const maxIndent = 5

// flatten works on the children of n. Within a marked region no further mark
// is set. The depth is bounded by the parser (512 elements).
func (t *tree) flatten(n *html.Node, marked bool) {
	for c := n.FirstChild; c != nil; {
		next := c.NextSibling
		switch {
		case c.Type == html.CommentNode || c.Type == html.DoctypeNode:
			n.RemoveChild(c)
		case c.Type == html.TextNode:
			// Entities may spell marks of ours, too.
			c.Data = guardText.Replace(stripMarks.Replace(c.Data))
		case c.Type != html.ElementNode:
		case dropped(c.DataAtom):
			n.RemoveChild(c)
		case t.isHidden(c):
			if hasText(c) {
				t.hid = true
			}
			n.RemoveChild(c)
		default:
			t.element(n, c, marked)
		}
		c = next
	}
	joinTexts(n)
}

// joinTexts makes one text out of those that now stand side by side. The
// converter does it, too, but copies all that it has for each one.
func joinTexts(n *html.Node) {
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		if c.Type != html.TextNode || c.NextSibling == nil || c.NextSibling.Type != html.TextNode {
			continue
		}
		var all strings.Builder
		all.WriteString(c.Data)
		for next := c.NextSibling; next != nil && next.Type == html.TextNode; next = c.NextSibling {
			all.WriteString(next.Data)
			n.RemoveChild(next)
		}
		c.Data = all.String()
	}
}

func (t *tree) element(parent, c *html.Node, marked bool) {
	kind, toEnd := quoteMark(c)
	if kind != 0 && !marked {
		if kind == markQuoted && forwardedText(c) {
			kind = markForwarded
		}
		if kind == markSignature && containsQuote(c) {
			kind = 0
		}
	}
	if marked {
		kind = 0
	}
	after := c.NextSibling
	indents := c.DataAtom == atom.Blockquote || c.DataAtom == atom.Ul || c.DataAtom == atom.Ol
	preformatted := c.DataAtom == atom.Pre || c.DataAtom == atom.Textarea
	if indents {
		t.indented++
	}
	if preformatted {
		t.pre++
	}
	t.flatten(c, marked || kind != 0)
	if t.indented > maxIndent && (indents || c.DataAtom == atom.Li) {
		c.Data, c.DataAtom, c.Attr = "div", atom.Div, nil
	}
	if indents {
		t.indented--
	}
	if preformatted {
		t.pre--
	}
	switch c.DataAtom {
	case atom.B, atom.Strong, atom.I, atom.Em, atom.U, atom.Code, atom.Tt, atom.Kbd, atom.Samp, atom.Font, atom.S, atom.Strike, atom.Del, atom.Ins, atom.Var, atom.Cite, atom.Dfn, atom.Mark, atom.Small, atom.Big:
		c.Data, c.DataAtom, c.Attr = "span", atom.Span, nil
	case atom.H1, atom.H2, atom.H3, atom.H4, atom.H5, atom.H6:
		c.Data, c.DataAtom, c.Attr = "p", atom.P, nil
	case atom.Table, atom.Tbody, atom.Thead, atom.Tfoot, atom.Tr:
		c.Data, c.DataAtom, c.Attr = "div", atom.Div, nil
	case atom.Td, atom.Th:
		c.Data, c.DataAtom, c.Attr = "span", atom.Span, nil
		if hasBlock(c) {
			c.Data, c.DataAtom = "div", atom.Div
		} else if c.NextSibling != nil {
			parent.InsertBefore(textNode(string(markBreak)), c.NextSibling)
		}
	case atom.Pre, atom.Textarea:
		c.Data, c.DataAtom, c.Attr = "div", atom.Div, nil
		if t.pre == 0 {
			keepSpace(c) // with the elements inside
		}
	case atom.A:
		t.link(c)
	case atom.Img:
		alt := attr(c, "alt")
		c.Type, c.Data, c.DataAtom, c.Attr = html.TextNode, guardText.Replace(strings.TrimSpace(stripMarks.Replace(alt))), 0, nil
	}
	if kind == 0 {
		return
	}
	parent.InsertBefore(markNode(kind), c)
	if !toEnd {
		parent.InsertBefore(markNode(markPlain), after)
	}
}

// link writes the target behind the text of a link, where it says more.
func (t *tree) link(c *html.Node) {
	href := strings.TrimSpace(stripMarks.Replace(attr(c, "href")))
	c.Data, c.DataAtom, c.Attr = "span", atom.Span, nil
	if i := strings.IndexByte(href, ':'); i < 0 || !strings.EqualFold(href[:i], "http") && !strings.EqualFold(href[:i], "https") {
		return
	}
	text := strings.TrimSpace(strings.ReplaceAll(nodeText(c, 4096), string(markAnd), "&"))
	bare := func(s string) string {
		s = strings.ToLower(strings.TrimSpace(s))
		s = strings.TrimPrefix(strings.TrimPrefix(s, "https://"), "http://")
		return strings.TrimSuffix(strings.TrimPrefix(s, "www."), "/")
	}
	if text == "" || len(href) > 300 || strings.HasPrefix(bare(href), strings.TrimSuffix(bare(text), "…")) {
		return
	}
	c.AppendChild(textNode(guardText.Replace(" <" + href + ">")))
}

// keepSpace keeps lines and indentation of preformatted text.
func keepSpace(n *html.Node) {
	for c := n.FirstChild; c != nil; {
		next := c.NextSibling
		if c.Type != html.TextNode {
			keepSpace(c)
			c = next
			continue
		}
		lines := strings.Split(strings.ReplaceAll(c.Data, "\t", "    "), "\n")
		for i, l := range lines {
			if i > 0 {
				n.InsertBefore(&html.Node{Type: html.ElementNode, Data: "br", DataAtom: atom.Br}, c)
			}
			if l != "" {
				n.InsertBefore(textNode(strings.ReplaceAll(l, " ", string(markSpace))), c)
			}
		}
		n.RemoveChild(c)
		c = next
	}
}

func textNode(s string) *html.Node { return &html.Node{Type: html.TextNode, Data: s} }

func markNode(r rune) *html.Node {
	p := &html.Node{Type: html.ElementNode, Data: "p", DataAtom: atom.P}
	p.AppendChild(textNode(string(r)))
	return p
}

func attr(n *html.Node, key string) string {
	for _, a := range n.Attr {
		if a.Key == key {
			return a.Val
		}
	}
	return ""
}

func hasBlock(n *html.Node) bool {
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		switch c.DataAtom {
		case atom.Div, atom.P, atom.Ul, atom.Ol, atom.Blockquote, atom.Table, atom.Hr:
			return true
		}
		if c.Type == html.ElementNode && hasBlock(c) {
			return true
		}
	}
	return false
}

func hasText(n *html.Node) bool { return strings.TrimSpace(nodeText(n, 256)) != "" }

// nodeText is the text below n, cut after max bytes.
func nodeText(n *html.Node, max int) string {
	var b strings.Builder
	var walk func(*html.Node)
	walk = func(n *html.Node) {
		for c := n.FirstChild; c != nil && b.Len() < max; c = c.NextSibling {
			if c.Type == html.TextNode {
				b.WriteString(c.Data)
			} else {
				walk(c)
			}
		}
	}
	walk(n)
	return cutRunes(b.String(), max)
}

// dropped are the elements whose content is not text for a reader.
func dropped(a atom.Atom) bool {
	switch a {
	case atom.Script, atom.Style, atom.Head, atom.Title, atom.Template, atom.Iframe, atom.Object, atom.Embed, atom.Noframes,
		atom.Svg, atom.Math, atom.Select, atom.Map, atom.Meta, atom.Link, atom.Audio, atom.Video, atom.Canvas:
		return true
	}
	return false
}

func (t *tree) isHidden(n *html.Node) bool {
	return hiddenElement(func(key string) (string, bool) {
		for _, a := range n.Attr {
			if a.Key == key {
				return a.Val, true
			}
		}
		return "", false
	}, t.hiddenBy)
}

// hiddenElement says whether an element's own attributes hide it.
func hiddenElement(get func(string) (string, bool), rules map[string]bool) bool {
	if _, ok := get("hidden"); ok {
		return true
	}
	if style, ok := get("style"); ok && hiddenStyle(style) {
		return true
	}
	if len(rules) == 0 {
		return false
	}
	if id, ok := get("id"); ok && rules["#"+id] {
		return true
	}
	if class, ok := get("class"); ok {
		for _, c := range strings.Fields(class) {
			if rules["."+c] {
				return true
			}
		}
	}
	return false
}

// What counts as hidden: letters or boxes of that size, in pixels, text that
// shines through less than that, and text that far outside of the page.
const (
	leastSize    = 1
	leastOpacity = 0.05
	farOutside   = -500
)

// hiddenStyle reads inline CSS for the ways in which text is hidden.
func hiddenStyle(style string) bool {
	if len(style) > 4096 {
		style = style[:4096]
	}
	if strings.Contains(style, "/*") {
		style = cssComment.ReplaceAllString(style, "")
	}
	clipped, flat := false, false
	for _, d := range strings.Split(strings.ToLower(style), ";") {
		key, val, ok := strings.Cut(d, ":")
		if !ok {
			continue
		}
		val = strings.TrimSpace(val)
		if bare, ok := strings.CutSuffix(val, "important"); ok && strings.HasSuffix(strings.TrimSpace(bare), "!") {
			val = strings.TrimRight(bare, "! \t\r\n")
		}
		switch strings.TrimSpace(key) {
		case "display":
			if val == "none" {
				return true
			}
		case "visibility":
			if val == "hidden" || val == "collapse" {
				return true
			}
		case "mso-hide":
			if val == "all" {
				return true
			}
		case "opacity":
			if n, unit, ok := cssNumber(val); ok && (n <= leastOpacity || unit == "%" && n <= 100*leastOpacity) {
				return true
			}
		case "font-size":
			if tiny(val) {
				return true
			}
		case "font": // style and weight, then the size, a slash and the height, the family
			for _, word := range strings.Fields(val) {
				word, _, _ = strings.Cut(word, "/")
				if _, unit, ok := cssNumber(word); word == "0" || ok && unit != "" {
					if tiny(word) {
						return true
					}
					break
				}
			}
		case "color":
			if val == "transparent" {
				return true
			}
		case "text-indent", "left", "top", "margin-left":
			if n, unit, ok := cssNumber(val); ok && (n <= farOutside || pixels(n, unit) <= farOutside) {
				return true
			}
		case "overflow":
			clipped = val == "hidden"
		case "max-height", "height", "max-width", "width":
			n, unit, ok := cssNumber(val)
			flat = flat || ok && n == 0 || unit != "%" && tiny(val)
		}
	}
	return clipped && flat
}

// tiny says whether nobody can read letters, or in a box, of this size.
func tiny(val string) bool {
	n, unit, ok := cssNumber(val)
	return ok && n >= 0 && pixels(n, unit) <= leastSize
}

// pixels is roughly what a length is worth on the screen.
func pixels(n float64, unit string) float64 {
	switch unit {
	case "em", "rem", "pc":
		return 16 * n
	case "ex", "ch", "vw", "vh":
		return 8 * n
	case "%":
		return 0.16 * n
	case "in":
		return 96 * n
	case "cm":
		return 38 * n
	case "mm":
		return 3.8 * n
	}
	return n
}

// cssNumber reads a number and its unit: "0", ".5em", "-1e4px".
func cssNumber(val string) (n float64, unit string, ok bool) {
	end := strings.LastIndexAny(val, "0123456789.") + 1
	n, err := strconv.ParseFloat(val[:end], 64)
	return n, strings.TrimSpace(val[end:]), err == nil || errors.Is(err, strconv.ErrRange)
}

var (
	cssComment = regexp.MustCompile(`(?s)/\*.*?(?:\*/|$)`)
	cssSimple  = regexp.MustCompile(`^[.#][A-Za-z0-9_-]{1,80}$`)
)

// hiddenRules finds the plain class and id rules of the document's style
// sheets that hide text. Rules for some screens only (@media) do not count.
func hiddenRules(doc *html.Node) map[string]bool {
	rules := map[string]bool{}
	var walk func(*html.Node)
	walk = func(n *html.Node) {
		for c := n.FirstChild; c != nil; c = c.NextSibling {
			if c.DataAtom == atom.Style {
				readRules(nodeText(c, 64<<10), rules)
			} else if c.Type == html.ElementNode {
				walk(c)
			}
		}
	}
	walk(doc)
	return rules
}

func readRules(css string, rules map[string]bool) {
	css = cssComment.ReplaceAllString(css, " ")
	for len(css) > 0 {
		open := strings.IndexByte(css, '{')
		if open < 0 {
			return
		}
		selectors := css[:open]
		end, depth := len(css), 0
		for i := open; i < len(css); i++ {
			if css[i] == '{' {
				depth++
			} else if css[i] == '}' {
				if depth--; depth == 0 {
					end = i
					break
				}
			}
		}
		body := css[open+1 : end]
		css = css[min(end+1, len(css)):]
		if strings.Contains(selectors, "@") || !hiddenStyle(body) {
			continue
		}
		for _, s := range strings.Split(selectors, ",") {
			s = strings.TrimSpace(s)
			if i := strings.LastIndexAny(s, ".#"); i > 0 && isToken([]byte(s[:i])) {
				s = s[i:] // "div.preview"
			}
			if cssSimple.MatchString(s) && len(rules) < 200 {
				rules[s] = true
			}
		}
	}
}

// quoteMark knows the elements in which mail programs put quotes, signatures
// and forwarded mail. With toEnd, all that follows belongs to it.
func quoteMark(n *html.Node) (kind rune, toEnd bool) {
	return markOf(n.Data, func(key string) string { return attr(n, key) })
}

func markOf(tag string, get func(string) string) (kind rune, toEnd bool) {
	switch tag {
	case "div", "blockquote", "span", "table", "hr", "p", "section", "td", "a", "pre":
	default:
		return 0, false
	}
	id := strings.ToLower(strings.TrimPrefix(get("id"), "x_"))
	switch id {
	case "divrplyfwdmsg", "appendonsend", "stopspelling", "olk_src_body_section", "mail-editor-reference-message-container",
		"ms-outlook-mobile-body-separator-line", "replysplit", "isreplycontent", "oriMsgHtmlSeperator", "divtagdefaultwrapper_reply", "reply-intro", "zmail_replyhead":
		return markQuoted, true
	case "signature", "ms-outlook-mobile-signature", "applemailsignature", "ymail_android_signature", "protonmail_signature_block":
		return markSignature, false
	}
	class := strings.ToLower(get("class"))
	if class != "" {
		for _, c := range strings.Fields(class) {
			switch strings.TrimPrefix(c, "x_") {
			case "gmail_quote", "gmail_quote_container", "yahoo_quoted", "protonmail_quote", "moz-cite-prefix", "tutanota_quote", "zmail_extra",
				"gmail_attr", "ms-outlook-mobile-reference-message", "front-blockquote", "hs_reply", "wisestamp_quote", "freshdesk_quote", "skiff_quote":
				return markQuoted, false
			case "outlookmessageheader", "yahoo-quoted-begin", "outlook_original":
				return markQuoted, true
			case "moz-forward-container", "moz-email-headers-table":
				return markForwarded, false
			case "gmail_signature", "moz-signature", "protonmail_signature_block", "signature-wrapper", "ygroups-signature":
				return markSignature, false
			}
		}
	}
	if get("data-smartmail") == "gmail_signature" {
		return markSignature, false
	}
	if strings.EqualFold(get("name"), "quote") || strings.EqualFold(get("data-type"), "quoted") {
		return markQuoted, false
	}
	switch tag {
	case "blockquote":
		if t := strings.ToLower(get("type")); t == "cite" || strings.Contains(strings.ToLower(get("style")), "border-left") || get("cite") != "" {
			return markQuoted, false
		}
	case "div", "table":
		// Outlook on the desktop: a thin line above "From: … Sent: …".
		style := strings.ToLower(strings.ReplaceAll(get("style"), " ", ""))
		if strings.HasPrefix(style, "border:none;border-top:solid#") && strings.Contains(style, "1.0pt") &&
			(strings.Contains(style, "#e1e1e1") || strings.Contains(style, "#b5c4df")) {
			return markQuoted, true
		}
	}
	return 0, false
}

// containsQuote is for signatures that swallowed the quote below them.
func containsQuote(n *html.Node) bool {
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		if c.Type != html.ElementNode {
			continue
		}
		if k, _ := quoteMark(c); k == markQuoted || k == markForwarded || containsQuote(c) {
			return true
		}
	}
	return false
}

// forwardedText tells Gmail's forwards from its quotes: both have one class.
func forwardedText(n *html.Node) bool {
	s := strings.TrimLeft(nodeText(n, 300), " \t\r\n")
	return strings.HasPrefix(s, "----------") && strings.Contains(s[:min(len(s), 120)], "---------")
}

// htmlTags is the plain reader: one pass over the tags, in which hidden
// regions are left out and marks are set, then a simple conversion. A region
// ends where the tags of its own name are balanced.
func htmlTags(src string) (text string, hid bool) {
	z := html.NewTokenizer(strings.NewReader(src))
	var out bytes.Buffer
	type region struct {
		tag   string
		depth int
	}
	var hidden, marked region
	for {
		tt := z.Next()
		if tt == html.ErrorToken {
			break
		}
		if tt == html.TextToken {
			if hidden.depth == 0 {
				out.WriteString(html.EscapeString(stripMarks.Replace(string(z.Text()))))
			} else if len(bytes.TrimSpace(z.Raw())) > 0 {
				hid = true
			}
			continue
		}
		if tt == html.CommentToken || tt == html.DoctypeToken {
			continue
		}
		raw := append([]byte(nil), z.Raw()...)
		name, more := z.TagName()
		tag := string(name)
		if tt == html.EndTagToken {
			if hidden.depth > 0 {
				if tag == hidden.tag {
					hidden.depth--
				}
				continue
			}
			out.Write(raw)
			if marked.depth > 0 && tag == marked.tag {
				if marked.depth--; marked.depth == 0 {
					out.WriteString("<p>" + string(markPlain) + "</p>")
				}
			}
			continue
		}
		attrs := map[string]string{}
		for more && len(attrs) < 50 {
			var k, v []byte
			k, v, more = z.TagAttr()
			attrs[string(k)] = string(v)
		}
		void := tt == html.SelfClosingTagToken || voidTag(tag)
		switch {
		case hidden.depth > 0:
			if tag == hidden.tag && !void {
				hidden.depth++
			}
			continue
		case void:
		case dropped(atom.Lookup(name)):
			hidden = region{tag, 1}
			continue
		case hiddenElement(func(k string) (string, bool) { v, ok := attrs[k]; return v, ok }, nil):
			hidden = region{tag, 1}
			continue
		}
		if marked.depth > 0 {
			if tag == marked.tag && !void {
				marked.depth++
			}
		} else if kind, toEnd := markOf(tag, func(k string) string { return attrs[k] }); kind != 0 {
			out.WriteString("<p>" + string(kind) + "</p>")
			switch {
			case toEnd:
				marked = region{"", 1} // no tag ends it
			case !void:
				marked = region{tag, 1}
			}
		}
		if tag == "td" || tag == "th" {
			out.WriteByte(' ')
		}
		out.Write(raw)
	}
	return html2text.HTML2TextWithOptions(out.String(), html2text.WithUnixLineBreaks()), hid
}

func voidTag(tag string) bool {
	switch tag {
	case "br", "img", "hr", "meta", "link", "input", "col", "area", "base", "wbr", "param", "source", "embed", "track":
		return true
	}
	return false
}
