package mailin

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"deskd/triage"
)

// Defaults of Limits (T26, T27, T31).
const (
	defaultMail        = 25 << 20
	defaultHeaderBytes = 256 << 10
	defaultFields      = 1000
	defaultDepth       = 20
	defaultParts       = 200
	defaultText        = 1 << 20
	defaultDecoded     = 64 << 20
)

func (l Limits) withDefaults() Limits {
	set := func(v *int, d int) {
		if *v <= 0 {
			*v = d
		}
	}
	set(&l.HeaderBytes, defaultHeaderBytes)
	set(&l.Fields, defaultFields)
	set(&l.Depth, defaultDepth)
	set(&l.Parts, defaultParts)
	set(&l.Text, defaultText)
	if l.Mail <= 0 {
		l.Mail = defaultMail
	}
	if l.Decoded <= 0 {
		l.Decoded = max(defaultDecoded, 2*l.Mail)
	}
	return l
}

// Parse reads a whole mail. It never fails: what cannot be read is empty, and
// Faults says so. The work grows with the length of raw and no faster, within
// the limits. Parse keeps no reference to raw.
func Parse(raw []byte, limits Limits) triage.Message {
	limits = limits.withDefaults()
	m := triage.Message{Size: int64(len(raw)), SHA256: sha256.Sum256(raw)}
	raw = bareCR(raw)
	w := &walker{limits: limits}
	if smuggles(raw) {
		w.fault("the raw source holds a lone dot between line ends that are not CRLF, as in mails that smuggle another one past a mail server; look at it before acting on this mail")
	}
	root := w.message(raw, "0", 0)
	w.header(&m, root)
	m.ContentKey = contentKey(root)
	w.content(&m, root)
	w.report(&m, root)
	if len(root.header) == 0 && len(m.Body) == 0 && len(m.Attachments) == 0 {
		m.Unreadable = len(bytes.TrimSpace(raw)) > 0
	}
	m.Faults, m.Ambiguous = w.faults, w.ambiguous
	return m
}

// ParseHeader reads a mail of which only the header part was fetched, because
// the whole, of size bytes, is larger than the limit (T26).
func ParseHeader(raw []byte, size int64, limits Limits) triage.Message {
	limits = limits.withDefaults()
	m := triage.Message{Size: size, SHA256: sha256.Sum256(raw), Oversize: true}
	raw = bareCR(raw)
	w := &walker{limits: limits}
	root := &part{path: "0"}
	root.header, _, root.cut = splitHeader(raw, limits)
	root.describe(w, "text/plain")
	w.header(&m, root)
	m.ContentKey = contentKey(root)
	w.fault("larger than the limit: only the header was read")
	m.Faults, m.Ambiguous = w.faults, w.ambiguous
	return m
}

// ErrNoPart is what Attachment returns when the mail has no such part.
var ErrNoPart = errors.New("no such part")

// Attachment gives the decoded bytes of one attachment of a mail. The part is
// what Parse, under the same limits, wrote into triage.Attachment.Part; the
// error is ErrNoPart if the mail has no such attachment.
func Attachment(raw []byte, limits Limits, part string) (data []byte, a triage.Attachment, err error) {
	limits = limits.withDefaults()
	w := &walker{limits: limits}
	root := w.message(bareCR(raw), "0", 0)
	var m triage.Message
	w.content(&m, root)
	for i, p := range w.kept(root) {
		if p.path == part && i < len(m.Attachments) {
			w.decoded = 0
			data = w.decode(p, int(limits.Decoded))
			return append([]byte(nil), data...), m.Attachments[i], nil
		}
	}
	return nil, a, fmt.Errorf("attachment %q: %w", part, ErrNoPart)
}

// bareCR mends a mail that has only CR as line end. Other mail is left as it
// is: a lone CR within a line ends nothing (RFC 5322, section 2.3).
func bareCR(raw []byte) []byte {
	if bytes.IndexByte(raw, '\n') >= 0 || bytes.IndexByte(raw, '\r') < 0 {
		return raw
	}
	return bytes.ReplaceAll(raw, []byte("\r"), []byte("\n"))
}

// header fills what the top header says.
func (w *walker) header(m *triage.Message, root *part) {
	h := root.header
	m.Header = make([]triage.Field, len(h))
	for i := range h {
		m.Header[i] = triage.Field{Name: h[i].name, Value: h.decode(h[i].value)}
		switch h[i].key {
		case "authentication-results":
			m.AuthResults = append(m.AuthResults, parseAuthResults(h[i].value, i))
		case "received":
			m.Received = append(m.Received, parseReceived(h[i].value, i))
		case "delivered-to", "x-original-to", "envelope-to", "x-envelope-to", "x-delivered-to":
			if list, _ := parseEntries(h[i].value); len(list) > 0 && list[0].addr != "" {
				m.Recipients = appendNew(m.Recipients, list[0].addr)
			}
		}
	}
	m.Subject = strings.TrimSpace(cleanShown(h.subject()))
	m.MessageID = messageID(h.get("message-id"))
	m.InReplyTo = references(h.get("in-reply-to"))
	m.References = references(h.get("references"))
	m.From, m.FromFault, m.Shown = h.author()
	if root.cut.cut {
		// A second From field may stand in what was cut.
		m.From, m.FromFault = triage.Address{}, "the header is larger than the limit"
	}
	if s := h.addresses("sender"); len(s) == 1 {
		m.Sender = s[0]
	}
	m.ReplyTo, m.To, m.Cc = h.addresses("reply-to"), h.addresses("to"), h.addresses("cc")
	for _, a := range []*triage.Address{&m.From, &m.Shown} {
		a.Name = cleanShown(a.Name)
	}
	if v := h.get("return-path"); v != nil {
		s := ""
		if list, _ := parseEntries(v); len(list) > 0 {
			s = list[0].addr
			if s == "" {
				s = h.decode(list[0].phrase)
			}
		}
		m.ReturnPath = &s
	}
	m.Date = parseDate(h.get("date"))
}

// subject gives the first subject that says something.
func (h header) subject() string {
	for i := range h {
		if h[i].key == "subject" {
			if s := h.decode(h[i].value); s != "" {
				return s
			}
		}
	}
	return ""
}

func appendNew(list []string, s string) []string {
	for _, o := range list {
		if o == s {
			return list
		}
	}
	return append(list, s)
}

// contentKey hashes what stays the same when one mail is delivered twice (F5):
// who, to whom, about what, when, the id, and the body; no trace fields, and
// no difference of line ends.
func contentKey(root *part) (key [32]byte) {
	sum := sha256.New()
	for _, k := range []string{"from", "to", "cc", "subject", "date", "message-id"} {
		for _, f := range root.header {
			if f.key == k {
				fmt.Fprintf(sum, "%s:%s\n", k, strings.Join(strings.Fields(string(f.value)), " "))
			}
		}
	}
	sum.Write([]byte("\n"))
	body := bytes.TrimRight(root.body, "\r\n")
	for pos := 0; pos < len(body); {
		line, next := nextLine(body, pos)
		sum.Write(line)
		sum.Write([]byte("\n"))
		pos = next
	}
	sum.Sum(key[:0])
	return key
}

// content fills text and attachments.
func (w *walker) content(m *triage.Message, root *part) {
	r := w.render(root, true)
	if r.empty() && r.other == "" {
		r = w.onlyText(root)
	}
	text := 0
	for _, b := range r.blocks {
		if text+len(b.Text) > w.limits.Text {
			b.Text = cutRunes(b.Text, w.limits.Text-text)
			w.fault("the text was cut at the size limit")
		}
		if b.Text != "" {
			m.Body = append(m.Body, b)
		}
		text += len(b.Text)
	}
	m.OtherText = cutRunes(r.other, w.limits.Text)
	if len(m.Body) == 0 {
		if s := w.invitation(root); s != "" {
			m.Body = []triage.Block{{Text: s}}
		}
	}
	for _, p := range w.kept(root) {
		m.Attachments = append(m.Attachments, w.describeFile(p))
	}
}

// describeFile decodes a part once to learn its size and hash, keeping nothing.
func (w *walker) describeFile(p *part) triage.Attachment {
	a := triage.Attachment{Part: p.path, Name: p.name, Type: p.typ, Note: p.fault}
	if a.Type == "" || p.noType && p.name != "" && p.typ == "text/plain" && p.header.has("content-type") {
		a.Type = "application/octet-stream"
	}
	a.ContentID = strings.Trim(p.header.text("content-id"), "<> ")
	a.Inline = p.disp == "inline" || p.disp == "" && a.ContentID != ""
	sum := sha256.New()
	cut := w.stream(p, func(b []byte) bool {
		a.Size += int64(len(b))
		sum.Write(b)
		return true
	})
	a.SHA256 = hex.EncodeToString(sum.Sum(nil))
	if cut {
		a.Note = "cut at the size limit"
	}
	switch p.typ {
	case "application/ms-tnef", "application/vnd.ms-tnef":
		a.Note = joinNote(a.Note, "Outlook's own format, not opened")
	}
	if p.enclosed != nil {
		if s := p.enclosed.header.subject(); s != "" {
			a.Note = joinNote(a.Note, "mail with the subject “"+cutRunes(cleanShown(s), 120)+"”")
		}
	}
	return a
}

func joinNote(a, b string) string {
	if a == "" {
		return b
	}
	return a + "; " + b
}

// kept lists the parts that are files, in order.
func (w *walker) kept(root *part) []*part {
	var out []*part
	var walk func(p *part, encrypted bool)
	walk = func(p *part, encrypted bool) {
		if len(p.children) > 0 {
			for _, c := range p.children {
				walk(c, encrypted || p.typ == "multipart/encrypted")
			}
			return
		}
		if encrypted || encryptedType(p) {
			p.fault = "encrypted"
		}
		if p.isFile() || encrypted {
			out = append(out, p)
		}
		for i, f := range p.files {
			f.path = fmt.Sprintf("%s.u%d", strings.TrimPrefix(p.path, "0."), i+1)
			out = append(out, f)
		}
	}
	walk(root, false)
	for _, p := range out {
		if p.path == "0" {
			p.path = "1" // the only part of a mail without multipart
		}
	}
	return out
}

// encryptedType knows S/MIME and inline PGP files.
func encryptedType(p *part) bool {
	switch p.typ {
	case "application/pgp-encrypted":
		return true
	case "application/pkcs7-mime", "application/x-pkcs7-mime":
		t := strings.ToLower(p.params["smime-type"])
		return t == "" || strings.Contains(t, "enveloped")
	}
	return strings.HasSuffix(p.name, ".pgp") || strings.HasSuffix(p.name, ".gpg") || strings.HasSuffix(p.name, ".p7m")
}

// isFile says whether a leaf is kept as a file rather than shown as text.
func (p *part) isFile() bool {
	switch {
	case p.uu:
		return true
	case p.isMessage():
		return true
	case strings.HasPrefix(p.typ, "multipart/"):
		return false
	case p.isText():
		return false
	case p.typ == "text/rfc822-headers", p.typ == "message/delivery-status", p.typ == "message/feedback-report",
		p.typ == "message/disposition-notification", p.typ == "message/global-delivery-status", p.typ == "message/global-headers":
		return p.name != "" // machine-read parts; they are files only by name
	}
	return len(p.body) > 0 || p.name != ""
}

// isText says whether a leaf is text to be read as part of the mail.
func (p *part) isText() bool {
	if p.encoding == "x-uuencode" || p.uu {
		return false
	}
	switch p.typ {
	case "text/plain", "text/html", "text/enriched", "text/richtext":
		return p.disp != "attachment" && (p.name == "" || p.own)
	}
	return false
}

// onlyText renders the first text of a mail that has texts as files alone, as
// some programs write it. It stays a file, too, and no command of it is obeyed
// (T9).
func (w *walker) onlyText(p *part) (r rendering) {
	if p.typ == "multipart/encrypted" {
		return r
	}
	for _, c := range p.children {
		if r = w.onlyText(c); !r.empty() {
			return r
		}
	}
	switch p.typ {
	case "text/plain", "text/html", "text/enriched", "text/richtext":
		if r = w.leaf(p); !r.empty() {
			w.doubt("the only text is that of an attachment")
		}
	}
	return r
}

// rendering is what a part contributes to the readable text.
type rendering struct {
	blocks []triage.Block
	other  string
	html   bool
}

func (r *rendering) text() string {
	var b strings.Builder
	for _, x := range r.blocks {
		b.WriteString(x.Text)
		b.WriteByte('\n')
	}
	return b.String()
}

func (r *rendering) empty() bool {
	for _, b := range r.blocks {
		if strings.TrimSpace(b.Text) != "" {
			return false
		}
	}
	return true
}

// add puts another part's text below.
func (r *rendering) add(o rendering) {
	for _, b := range o.blocks {
		if n := len(r.blocks); n > 0 && r.blocks[n-1].Kind == b.Kind {
			r.blocks[n-1].Text = strings.TrimRight(r.blocks[n-1].Text, "\n") + "\n\n" + b.Text
			continue
		}
		r.blocks = append(r.blocks, b)
	}
	r.other = joinText(r.other, o.other)
	r.html = r.html || o.html
}

func joinText(a, b string) string {
	switch {
	case a == "":
		return b
	case b == "":
		return a
	}
	return strings.TrimRight(a, "\n") + "\n\n" + b
}

// render makes readable text out of a part and those below it.
func (w *walker) render(p *part, top bool) rendering {
	switch {
	case p.typ == "multipart/alternative":
		return w.alternative(p)
	case p.typ == "multipart/encrypted":
		return rendering{} // T34: never joined with other parts
	case len(p.children) > 0:
		var r rendering
		for _, c := range p.children {
			r.add(w.render(c, false))
		}
		if r.empty() && r.other == "" && len(bytes.TrimSpace(p.preamble)) > 0 && top && !hasFile(p) {
			// All that can be read stands before the first boundary.
			r.add(w.plain(string(p.preamble)))
		}
		return r
	case p.isText():
		return w.leaf(p)
	}
	return rendering{}
}

func hasFile(p *part) bool {
	for _, c := range p.children {
		if c.isFile() || hasFile(c) {
			return true
		}
	}
	return false
}

// leaf renders one text part.
func (w *walker) leaf(p *part) (r rendering) {
	if w.text >= 3*w.limits.Text {
		// Both renderings of a long mail fit; a flood of text parts does not.
		w.fault("the text was cut at the size limit")
		return rendering{}
	}
	limit := w.limits.Text
	if p.typ == "text/html" {
		limit *= 2 // most of it is markup
	}
	data := w.decode(p, limit)
	read := 0 // bytes of HTML, which costs time even if it holds no text
	defer func() {
		text := 0
		for _, b := range r.blocks {
			text += len(b.Text)
		}
		w.text += max(text, read)
	}()
	if p.typ != "text/html" {
		data, p.files = w.uuencoded(p, data)
	}
	label := p.charset
	if p.typ == "text/html" && label == "" {
		label = metaCharset(data)
	}
	text, fault := decodeText(label, data)
	w.fault(fault)
	text = cleanText(text)
	switch {
	case p.typ == "text/html" || looksHTML(data) && p.noType:
		read = len(text)
		blocks, hid := htmlBlocks(text, maxTrees-w.text)
		if hid {
			w.fault("hidden text was left out")
		}
		return rendering{blocks: blocks, html: true}
	case p.typ == "text/enriched" || p.typ == "text/richtext":
		return w.plain(unenrich(text))
	case strings.EqualFold(p.params["format"], "flowed"):
		return w.plain(unflow(text, strings.EqualFold(p.params["delsp"], "yes")))
	}
	return w.plain(text)
}

func (w *walker) plain(text string) rendering {
	text = strings.Trim(cleanText(text), "\n")
	if strings.TrimSpace(text) == "" {
		return rendering{}
	}
	return rendering{blocks: []triage.Block{{Kind: triage.Undecided, Text: stripMarks.Replace(text)}}}
}

// uuencoded takes files written into the text out of it.
func (w *walker) uuencoded(p *part, data []byte) (text []byte, files []*part) {
	text, found := cutUU(data, max(0, w.limits.Parts-w.parts))
	for _, f := range found {
		w.parts++
		files = append(files, &part{name: f.name, typ: "application/octet-stream", body: f.data, uu: true, disp: "attachment"})
	}
	return text, files
}

// alternative chooses between renderings of the same content. Plain text is
// what the sender's words are taken from; the HTML replaces it where the
// plain text is missing or only says that there is HTML. Where the two differ
// in substance the other is kept beside it.
func (w *walker) alternative(p *part) rendering {
	var plain, rich, rest rendering
	for _, c := range p.children {
		r := w.render(c, false)
		switch {
		case r.empty():
			rest.other = joinText(rest.other, r.other)
		case r.html:
			if rich.empty() {
				rich = r
			} else {
				rich.add(r)
			}
		default:
			plain.add(r)
		}
	}
	switch {
	case plain.empty():
		return rich
	case rich.empty():
		return plain
	}
	pw, rw := words(plain.text()), words(rich.text())
	missing := lacking(rw, pw) // words of the HTML that the plain text lacks
	extra := lacking(pw, rw)
	if len(rw) > 20 && len(pw)*10 < len(rw) || len(pw) <= 25 && len(rw) > len(pw) && missing > 0.5 && extra > 0.3 && stub(plain.text()) {
		rich.other = joinText(plain.text(), rest.other)
		return rich
	}
	if missing > 0.1 || extra > 0.2 {
		plain.other = joinText(joinText(plain.other, rich.text()), rich.other)
	}
	return plain
}

// stub knows plain parts that only point to the HTML part.
func stub(s string) bool {
	s = strings.ToLower(s)
	return strings.Contains(s, "html")
}

// words are the letters and digits of a text in lower case, in runs; in
// scripts without spaces each character is one.
func words(s string) []string {
	s = strings.ToLower(s)
	var out []string
	start := -1
	for i, r := range s {
		alone := r >= 0x2E80 && unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Hangul)
		if !alone && (unicode.IsLetter(r) || unicode.IsDigit(r)) {
			if start < 0 {
				start = i
			}
			continue
		}
		if start >= 0 {
			out, start = append(out, s[start:i]), -1
		}
		if alone {
			out = append(out, s[i:i+utf8.RuneLen(r)])
		}
	}
	if start >= 0 {
		out = append(out, s[start:])
	}
	return out
}

// lacking is the share of the words of a that b does not have.
func lacking(a, b []string) float64 {
	if len(a) == 0 {
		return 0
	}
	have := make(map[string]int, len(b))
	for _, x := range b {
		have[x]++
	}
	miss := 0
	for _, x := range a {
		if have[x] > 0 {
			have[x]--
		} else {
			miss++
		}
	}
	return float64(miss) / float64(len(a))
}

// invitation is what a calendar part says (RFC 5545), for a mail that has no
// other text.
func (w *walker) invitation(root *part) (text string) {
	eachLeaf(root, func(p *part) {
		if p.typ != "text/calendar" || text != "" {
			return
		}
		label := p.charset
		if label == "" {
			label = "utf-8" // RFC 5545, section 3.1.4
		}
		s, _ := decodeText(label, w.decode(p, min(w.limits.Text, 64<<10)))
		s = strings.NewReplacer("\n ", "", "\n\t", "").Replace(cleanText(s)) // folded lines
		var out strings.Builder
		for _, line := range strings.Split(s, "\n") {
			name, value, _ := strings.Cut(line, ":")
			name, _, _ = strings.Cut(name, ";")
			switch strings.ToUpper(name) {
			case "SUMMARY", "DTSTART", "DTEND", "LOCATION", "DESCRIPTION":
				value = strings.NewReplacer(`\n`, "\n", `\N`, "\n", `\,`, ",", `\;`, ";", `\\`, `\`).Replace(value)
				fmt.Fprintf(&out, "%s: %s\n", strings.ToUpper(name), value)
			}
		}
		text = strings.TrimRight(out.String(), "\n")
	})
	return text
}

// metaCharset finds the charset that HTML names for itself.
func metaCharset(b []byte) string {
	if len(b) > 2048 {
		b = b[:2048]
	}
	low := bytes.ToLower(b)
	i := bytes.Index(low, []byte("charset="))
	if i < 0 || !bytes.Contains(low[:i], []byte("<meta")) {
		return ""
	}
	v := bytes.TrimLeft(low[i+8:], `"' `)
	if e := bytes.IndexAny(v, `"' />;`); e > 0 {
		v = v[:e]
	}
	if len(v) > 40 {
		return ""
	}
	return string(v)
}

// unenrich takes the commands out of text/enriched (RFC 1896): "<bold>",
// "<param>red</param>"; "<<" is a less-than sign, one line end is a space.
func unenrich(s string) string {
	var out strings.Builder
	param := 0
	for len(s) > 0 {
		i := strings.IndexByte(s, '<')
		if i < 0 {
			i = len(s)
		}
		if param == 0 {
			out.WriteString(s[:i])
		}
		if s = s[i:]; s == "" {
			break
		}
		if strings.HasPrefix(s, "<<") {
			out.WriteByte('<')
			s = s[2:]
			continue
		}
		e := strings.IndexByte(s[:min(len(s), 64)], '>')
		if e < 0 {
			out.WriteByte('<')
			s = s[1:]
			continue
		}
		switch strings.ToLower(s[1:e]) {
		case "param":
			param = 1
		case "/param":
			param = 0
		case "nl":
			out.WriteByte('\n')
		}
		s = s[e+1:]
	}
	return out.String()
}
