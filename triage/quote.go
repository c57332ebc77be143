package triage

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Split takes undecided blocks apart into the sender's own words, quotes,
// signatures and forwarded mail; blocks that mailin marked from HTML are kept
// as they are. It goes line by line, in time linear in the text. Nothing is
// lost: the texts of the blocks that come out, one after the other, are the
// texts that went in.
//
// From the Delimiter line down nothing is own, whatever a block says: it is
// our own mail coming back, in any shape that a mail program gave it (T8).
func Split(blocks []Block) []Block {
	c := read(blocks)
	c.delimiter()
	c.quotes()
	c.signatures()
	c.blanks()
	return c.blocks(blocks)
}

// NewText is the sender's new text, signatures and forwarded mail off. Quotes
// are off too, but for those that the sender answers between the lines or has
// put there without an attribution: "We get this for every mail:" and the
// error under it belong together. Where nothing would be left (a bare forward,
// an empty answer) the text is everything, and whole says so. Undecided blocks
// are taken apart first.
func NewText(blocks []Block) (text string, whole bool) {
	regions := regionsOf(blocks)
	last, quotes := -1, 0
	for i, r := range regions {
		if r.kind == Own {
			last = i
		}
	}
	if last < 0 {
		text = strings.TrimSpace(joinBlocks(blocks))
		return text, text != ""
	}
	for _, r := range regions[:last] {
		if r.kind == Quoted {
			quotes++
		}
	}
	inline := quotes > 1
	var parts []string
	var b strings.Builder
	before := -1 // the region that was taken last
	for i, r := range regions {
		switch r.kind {
		case Own:
		case Quoted:
			introduced := i > 0 && regions[i-1].kind == Own && introduces(regions[i-1].text)
			answered := i < last && (inline || len(parts) > 0)
			if r.attributed && !(inline && i < last) || !introduced && !answered {
				continue
			}
		default:
			continue
		}
		part := strings.Trim(r.text, "\r\n")
		switch {
		case before < 0:
		case before == i-1 && !apart(regions[before].text, r.text):
			b.WriteString("\n") // as it was written, or it would be read otherwise
		default:
			b.WriteString("\n\n")
		}
		b.WriteString(part)
		parts, before = append(parts, part), i
	}
	return strings.TrimSpace(b.String()), false
}

// apart says whether a blank line stands between two texts that follow on each
// other.
func apart(above, below string) bool {
	ends := len(above) - len(strings.TrimRight(above, "\r\n"))
	begins := len(below) - len(strings.TrimLeft(below, "\r\n"))
	return strings.Count(above[len(above)-ends:], "\n")+strings.Count(below[:begins], "\n") > 1
}

// OwnText is only the sender's own words, without any quote: what rules are
// searched in. It is empty where there are none.
func OwnText(blocks []Block) string {
	var parts []string
	for _, r := range regionsOf(blocks) {
		if r.kind == Own {
			parts = append(parts, strings.Trim(r.text, "\r\n"))
		}
	}
	return strings.TrimSpace(strings.Join(parts, "\n\n"))
}

// region is a run of blocks of one kind.
type region struct {
	kind       BlockKind
	text       string
	attributed bool // a quote that begins with who wrote it rather than with a marked line
}

// regionsOf joins neighbours of one kind; blocks without words join either.
func regionsOf(blocks []Block) []region {
	for _, b := range blocks {
		if b.Kind == Undecided {
			blocks = Split(blocks)
			break
		}
	}
	var out []region
	for start := 0; start < len(blocks); {
		for start < len(blocks) && strings.TrimSpace(blocks[start].Text) == "" {
			start++
		}
		if start == len(blocks) {
			break
		}
		end := start + 1
		for end < len(blocks) && (blocks[end].Kind == blocks[start].Kind || strings.TrimSpace(blocks[end].Text) == "") {
			end++
		}
		r := region{kind: blocks[start].Kind, text: joinBlocks(blocks[start:end])}
		first := strings.TrimSpace(r.text)
		r.attributed = r.kind == Quoted && markAt(first) == 0 && !strings.HasPrefix(first, "|")
		out = append(out, r)
		start = end
	}
	return out
}

// introduces says whether a text ends by announcing what comes next.
func introduces(text string) bool {
	text = strings.TrimSpace(text)
	return strings.HasSuffix(text, ":") || strings.HasSuffix(text, "：")
}

// cutter holds the lines of a mail while their kinds are found out.
type cutter struct {
	lines []textLine
}

// textLine is one line: where it stands and what it was found to be.
type textLine struct {
	text  string // without line end and trailing white space
	block int32  // of the input
	end   int32  // in that block's text, line end included
	kind  BlockKind
	fixed bool // decided by mailin or by the delimiter
	marks bool // begins with ">"
}

func (l *textLine) blank() bool { return l.text == "" }

func read(blocks []Block) *cutter {
	var n int
	for _, b := range blocks {
		n += strings.Count(b.Text, "\n") + 1
	}
	c := &cutter{lines: make([]textLine, 0, n)}
	for i, b := range blocks {
		pos := 0
		for text := range strings.Lines(b.Text) {
			pos += len(text)
			l := textLine{text: trimLine(text), block: int32(i), end: int32(pos), kind: b.Kind, fixed: b.Kind != Undecided}
			l.marks = markAt(l.text) > 0
			c.lines = append(c.lines, l)
		}
	}
	return c
}

// trimLine takes off what cannot be seen at the end of a line, and a stray CR
// at its beginning.
func trimLine(s string) string {
	return strings.TrimRightFunc(strings.TrimLeft(s, "\r"), func(r rune) bool { return unicode.IsSpace(r) || invisible(r) })
}

// invisible runes are the marks of writing direction and of zero width.
func invisible(r rune) bool {
	return r >= '\u200b' && r <= '\u200f' || r >= '\u202a' && r <= '\u202e' || r >= '\u2060' && r <= '\u2069' || r == '\ufeff' || r == '\u00ad'
}

// markAt gives the length of the quote mark at the beginning of a line, with
// at most four spaces before it; 0 if there is none.
func markAt(s string) int {
	i := 0
	for i < len(s) && i < 4 && (s[i] == ' ' || s[i] == '\t') {
		i++
	}
	if i < len(s) && s[i] == '>' {
		return i + 1
	}
	return 0
}

// unmarked is a line without its quote marks.
func unmarked(s string) string {
	for {
		n := markAt(s)
		if n == 0 {
			return strings.TrimLeft(s, " \t")
		}
		s = s[n:]
	}
}

// delimiter looks for our own line and closes everything from it down.
func (c *cutter) delimiter() {
	for i := range c.lines {
		first := i
		if !isDelimiter(c.lines[i].text) {
			// A program may have wrapped it.
			if i == 0 || !strings.Contains(c.lines[i].text, "deskd)") || !isDelimiter(c.lines[i-1].text+" "+unmarked(c.lines[i].text)) {
				continue
			}
			first--
		}
		for j := first; j < len(c.lines); j++ {
			if l := &c.lines[j]; !l.fixed || l.kind == Own {
				l.kind, l.fixed = Quoted, true
			}
		}
		return
	}
}

// isDelimiter compares the words alone: programs put marks before the line,
// change its dashes and wrap it into emphasis.
func isDelimiter(s string) bool {
	if len(s) > 400 || !strings.Contains(s, "(deskd)") {
		return false
	}
	return strings.Contains(strings.Join(strings.Fields(s), " "), strings.Trim(Delimiter, "- "))
}

// drawn says whether a line is a rule: "-----", "____", "* * *".
func drawn(s string) bool {
	marks := 0
	for _, r := range s {
		switch {
		case strings.ContainsRune("-_=*–—", r):
			marks++
		case !unicode.IsSpace(r):
			return false
		}
	}
	return marks > 2
}

// quotes finds forwarded mail, quoted mail and marked lines.
func (c *cutter) quotes() {
	var tail BlockKind // what everything below is, once that is clear
	for i := 0; i < len(c.lines); i++ {
		l := &c.lines[i]
		switch {
		case l.fixed || l.blank():
			continue
		case tail != Undecided:
			l.kind = tail
			continue
		}
		if l.marks && !c.wrapped(i) && !c.groupWise(i) {
			i = c.run(i)
			continue
		}
		if c.groupWise(i) || c.notes(i) || elsewhere(l.text) {
			c.above(i)
			l.kind, tail = Quoted, Quoted
			continue
		}
		if kind := c.marker(i); kind != Undecided {
			l.kind = kind
			if !c.quoteFollows(i) {
				tail = kind
			} else {
				i = c.forwardedRun(i, kind)
			}
			continue
		}
		if c.headerBlock(i) {
			c.above(i)
			l.kind, tail = Quoted, Quoted
			continue
		}
		if c.bars(i) {
			for ; i < len(c.lines) && !c.lines[i].fixed && strings.HasPrefix(strings.TrimLeft(c.lines[i].text, " "), "|"); i++ {
				c.lines[i].kind = Quoted
			}
			i--
			continue
		}
		if start, open, ok := c.attribution(i); ok {
			for j := start; j <= i; j++ {
				c.lines[j].kind = Quoted
			}
			c.above(start)
			if open {
				tail = Quoted
			} else {
				i = c.initials(i)
			}
		}
	}
}

// run marks a run of ">" lines as quoted and gives its last line. A line
// without a mark between them is own: it may be the overhang of a quote that
// was wrapped again, but it may be an answer too.
func (c *cutter) run(i int) int {
	if c.comparison(i) {
		return i
	}
	for ; i < len(c.lines) && c.lines[i].marks && !c.lines[i].fixed; i++ {
		c.lines[i].kind = Quoted
	}
	return i - 1
}

// comparison says whether a lone ">" is a sign of arithmetic (">50 % of them")
// or the escape that mailboxes put before "From ".
func (c *cutter) comparison(i int) bool {
	if i > 0 && c.lines[i-1].kind == Quoted || i+1 < len(c.lines) && c.lines[i+1].marks {
		return false
	}
	s := strings.TrimLeft(c.lines[i].text, " \t")
	return len(s) > 1 && (s[1] >= '0' && s[1] <= '9' || s[1] == '=' || strings.HasPrefix(s, ">From ")) && !c.attributedAbove(i)
}

// attributedAbove says whether the nearest line above is quoted.
func (c *cutter) attributedAbove(i int) bool {
	for j := i - 1; j >= 0 && j >= i-5; j-- {
		if !c.lines[j].blank() {
			return c.lines[j].kind == Quoted
		}
	}
	return false
}

// bars says whether lines beginning with "|" from i on are a quote rather than
// a table: a run of two or more, none of which has a second bar.
func (c *cutter) bars(i int) bool {
	n := 0
	for ; i < len(c.lines) && !c.lines[i].fixed; i++ {
		s := strings.TrimLeft(c.lines[i].text, " ")
		if !strings.HasPrefix(s, "|") {
			break
		}
		if strings.Contains(strings.TrimLeft(s, "| "), "|") || strings.HasPrefix(s, "|-") || strings.HasPrefix(s, "|=") || strings.HasPrefix(s, "||") {
			return false
		}
		if n++; n > 20 {
			break
		}
	}
	return n > 1
}

// initials takes lines such as "AB> text" below an attribution as quoted and
// gives the last line of the run, or i.
func (c *cutter) initials(i int) int {
	j := i + 1
	for j < len(c.lines) && c.lines[j].blank() {
		j++
	}
	found := i
	for ; j < len(c.lines) && !c.lines[j].fixed && initialed(c.lines[j].text); j++ {
		c.lines[j].kind = Quoted
		found = j
	}
	return found
}

func initialed(s string) bool {
	s = strings.TrimLeft(s, " ")
	n := strings.IndexByte(s, '>')
	if n < 1 || n > 4 {
		return false
	}
	for _, r := range s[:n] {
		if !unicode.IsLetter(r) {
			return false
		}
	}
	return true
}

// next gives the first line after i that is not blank, or -1. It looks past a
// few blank lines only.
func (c *cutter) next(i int) int {
	for j := i + 1; j < len(c.lines) && j <= i+8; j++ {
		if !c.lines[j].blank() {
			return j
		}
	}
	return -1
}

// quoteFollows says whether the text after line i is visibly a quote.
func (c *cutter) quoteFollows(i int) bool {
	j := c.next(i)
	if j < 0 {
		return false
	}
	l := &c.lines[j]
	if l.fixed {
		return l.kind == Quoted || l.kind == Forwarded
	}
	return l.marks || initialed(l.text) || c.bars(j)
}

// forwardedRun gives the marked lines under a marker the marker's kind.
func (c *cutter) forwardedRun(i int, kind BlockKind) int {
	j := c.next(i)
	if c.lines[j].fixed || !c.lines[j].marks {
		return i
	}
	end := c.run(j)
	for ; j <= end; j++ {
		if c.lines[j].kind == Quoted {
			c.lines[j].kind = kind
		}
	}
	return end
}

// marker recognises the line above a mail that is answered or passed on:
// "-----Original Message-----", "Begin forwarded message:", "-----Ann wrote: -----".
func (c *cutter) marker(i int) BlockKind {
	s := strings.TrimFunc(c.lines[i].text, func(r rune) bool { return r == '*' || r == '_' || unicode.IsSpace(r) || invisible(r) })
	if len(s) > 120 {
		return Undecided
	}
	inner := strings.TrimFunc(s, func(r rune) bool {
		return strings.ContainsRune("-–—=_*#+~<> :：", r) || unicode.IsSpace(r) || invisible(r)
	})
	if inner == "" || inner == s {
		inner = s
	}
	phrase := strings.ToLower(inner)
	kind := Undecided
	switch {
	case forwardPhrases[phrase]:
		kind = Forwarded
	case originalPhrases[phrase]:
		kind = Quoted
	default:
		if strings.HasPrefix(s, "--") && strings.HasSuffix(s, "--") && features(inner, true)&hasVerb != 0 {
			return Quoted // Lotus Notes
		}
		return Undecided
	}
	if dashed(c.lines[i].text) {
		return kind
	}
	// Without dashes the phrase alone is a heading that anybody may write.
	j := c.next(i)
	if j < 0 {
		return Undecided
	}
	if c.lines[j].marks || c.lines[j].fixed && c.lines[j].kind != Own || c.headerBlock(j) || roleOf(c.lines[j].text) == roleFrom {
		return kind
	}
	return Undecided
}

// groupWise is the line that Novell's program puts above a quote without marks:
// ">>> Ann Ash <ann@example.org> 01.02.2016 18:32 >>>".
func (c *cutter) groupWise(i int) bool {
	s := strings.TrimSpace(c.lines[i].text)
	inner, ok := strings.CutPrefix(s, ">>>")
	if !ok || len(s) > 200 {
		return false
	}
	inner, ok = strings.CutSuffix(inner, ">>>")
	return ok && strings.ContainsAny(inner, "0123456789@") && !strings.HasPrefix(inner, ">")
}

// notes is the head that Domino puts above a quote: a name, the date below it,
// and labels on lines of their own.
func (c *cutter) notes(i int) bool {
	if i+1 >= len(c.lines) || c.lines[i+1].fixed || len(c.lines[i+1].text) > 60 || !strings.ContainsAny(c.lines[i+1].text, "/.-") {
		return false
	}
	f := features(c.lines[i+1].text, false)
	if !f.has(hasTime) || f&(hasDate|hasYear) == 0 || f&dated == 0 || len(strings.Fields(c.lines[i].text)) > 8 {
		return false
	}
	var roles headerRole
	for j := i + 2; j < len(c.lines) && j < i+16; j++ {
		roles |= headerLabels[strings.ToLower(strings.TrimFunc(c.lines[j].text, labelEdge))]
	}
	return roles&roleTo != 0 && roles&roleSubject != 0
}

// elsewhere knows the lines of other desks above which one is to write:
// "##- Please type your reply above this line -##".
func elsewhere(s string) bool {
	if len(s) > 160 || !strings.ContainsAny(s[:1], "#-=*_~<[") {
		return false
	}
	return containsAny(strings.ToLower(s), aboveLines)
}

// dashed says whether a line begins and ends with a rule, as programs draw it.
func dashed(s string) bool {
	s = strings.Trim(s, "* \t>")
	rule := func(r rune) bool { return strings.ContainsRune("-–—=_~", r) }
	lead := len(s) - len(strings.TrimLeftFunc(s, rule))
	return lead >= 2
}

// above takes a drawn line over a quote, and the blank lines between, into it.
func (c *cutter) above(i int) {
	for j := i - 1; j >= 0 && j >= i-4 && !c.lines[j].fixed; j-- {
		if c.lines[j].blank() {
			continue
		}
		if drawn(c.lines[j].text) {
			c.lines[j].kind = Quoted
		}
		return
	}
}

// maxHeader bounds how many lines a header block may have.
const maxHeader = 24

// headerBlock says whether line i begins the header block that Outlook,
// Exchange and others put above a quoted mail.
func (c *cutter) headerBlock(i int) bool {
	first := roleOf(c.lines[i].text)
	if first == 0 || first == roleOther {
		return false
	}
	var roles headerRole
	var address bool
	blanks, folded := 0, 0
	for j := i; j < len(c.lines) && j < i+maxHeader; j++ {
		l := &c.lines[j]
		if l.fixed || l.marks {
			break
		}
		if l.blank() {
			if blanks++; blanks > 1 {
				break
			}
			continue
		}
		role := roleOf(l.text)
		if role == 0 {
			// A long list of addresses goes on in the next lines, but not after
			// a blank one.
			if folded++; folded > 4 || blanks > 0 {
				break
			}
			continue
		}
		if role&roles != 0 && role != roleOther && role != roleCc {
			break // a second block
		}
		blanks, folded = 0, 0
		roles |= role
		if role == roleFrom {
			address = strings.Contains(l.text, "@")
		}
		roles |= rolesWithin(l.text)
	}
	has := func(r headerRole) bool { return roles&r != 0 }
	switch {
	case !has(roleFrom):
		return false
	case has(roleSent) && has(roleTo|roleSubject):
		return true
	case has(roleSubject) && has(roleDate|roleTo):
		return true
	case address && has(roleDate|roleSent) && has(roleTo):
		return true
	}
	return c.ruled(i) && has(roleSent|roleDate|roleSubject|roleTo)
}

// ruled says whether a drawn line stands over line i.
func (c *cutter) ruled(i int) bool {
	for j := i - 1; j >= 0 && j >= i-2; j-- {
		if !c.lines[j].blank() {
			return drawn(c.lines[j].text)
		}
	}
	return false
}

// roleOf gives the role of a header line by its label, 0 if it has none.
func roleOf(s string) headerRole {
	s = strings.TrimLeft(s, " \t*_")
	n := strings.IndexAny(s, ":：")
	if n <= 0 || n > 48 {
		return 0
	}
	return headerLabels[strings.ToLower(strings.TrimFunc(s[:n], labelEdge))]
}

func labelEdge(r rune) bool { return r == '*' || r == '_' || unicode.IsSpace(r) || invisible(r) }

// rolesWithin finds further labels in a line, for programs that put the whole
// block into one. Only a line that begins with a label is looked at.
func rolesWithin(s string) headerRole {
	if len(s) > 2000 || strings.Count(s, ":") < 2 {
		return 0
	}
	var roles headerRole
	for _, word := range strings.Fields(s) {
		if label, ok := strings.CutSuffix(strings.Trim(word, "*_"), ":"); ok {
			roles |= headerLabels[strings.ToLower(strings.TrimFunc(label, labelEdge))]
		}
	}
	return roles
}

// wrapped says whether a line that begins with ">" is the end of an address
// that was broken in the line before: `… <ann@example.org` and `>:`.
func (c *cutter) wrapped(i int) bool {
	if i == 0 || !c.undecided(i-1) || c.lines[i-1].marks {
		return false
	}
	before, s := c.lines[i-1].text, c.lines[i].text
	open := strings.LastIndexByte(before, '<')
	return open >= 0 && !strings.Contains(before[open:], ">") && len(s) < 100 && (strings.HasSuffix(s, ":") || strings.HasSuffix(s, "："))
}

// attribution says whether line i ends the words that tell whose mail is
// quoted below ("On … Ann <ann@example.org> wrote:"), in which line they
// begin, and whether the quote beneath is open, that is, without marks.
func (c *cutter) attribution(i int) (start int, open, ok bool) {
	last := c.lines[i].text
	end := strings.TrimRight(last, "*_ \"\u00a0")
	if len(last) > 400 {
		return 0, false, false
	}
	colon := strings.HasSuffix(end, ":") || strings.HasSuffix(end, "：")
	if !colon && (strings.HasSuffix(end, ".") || !strings.ContainsAny(last, "0123456789@")) {
		return 0, false, false
	}
	closed := c.quoteFollows(i)
	if !colon {
		// Some programs leave the colon out: the date first, then the address
		// or the verb, and a quote right below.
		f := features(last, false)
		bare := closed && f.has(dated) && (f.weight() >= 4 && strings.HasSuffix(end, ">") || f.has(hasVerb) && f.weight() >= 3)
		return i, false, bare && (i == 0 || c.lines[i-1].blank() || c.lines[i-1].kind != Undecided)
	}
	var f feature
	found := -1
	var at feature
	for j := i; j >= 0 && j > i-4; j-- {
		l := &c.lines[j]
		if l.fixed || l.blank() || l.kind != Undecided || len(l.text) > 400 || j < i && (l.marks || sentenceEnds(l.text)) {
			break
		}
		own := features(l.text, false)
		f |= own
		if found < 0 {
			if f.attributes(closed, strings.HasSuffix(end, ">:") || strings.HasSuffix(end, "):")) {
				found, at = j, f
				if own&dated != 0 {
					break
				}
			}
			continue
		}
		if own&dated != 0 {
			found, at = j, f
			break
		}
	}
	if found < 0 {
		return 0, false, false
	}
	if closed {
		return found, false, true
	}
	if at&hasVerb != 0 {
		return found, true, at.certain()
	}
	// "… after RCPT TO:<ann@example.org>:" stands in logs.
	before := strings.LastIndexByte(last, '<')
	return found, true, before < 1 || last[before-1] != ':' && last[before-1] != '='
}

// sentenceEnds says whether a line is the end of a sentence, and so not the
// middle of an attribution.
func sentenceEnds(s string) bool {
	r, _ := utf8.DecodeLastRuneInString(s)
	return r == '!' || r == '?' || r == ':' || r == '。' || r == '.' && !abbreviated(s)
}

// abbreviated: the full stop after a short word or a number ends no sentence.
func abbreviated(s string) bool {
	s = strings.TrimSuffix(s, ".")
	i := strings.LastIndexAny(s, " .")
	return utf8.RuneCountInString(s[i+1:]) <= 4
}

// feature is what an attribution line may show.
type feature uint16

const (
	hasVerb feature = 1 << iota
	hasYear
	hasDay  // a number beside the year
	hasDate // a date in digits
	hasTime
	hasAt
	hasOpen
	hasClose
	hasWords // too many words for a name before the verb
	dated    // begins with a date, or with a word that leads to one
)

func (f feature) has(all feature) bool { return f&all == all }

// weight counts the proofs: a date and an address weigh two each.
func (f feature) weight() int {
	n := 0
	if f.has(hasYear) {
		n++
		if f.has(hasDay) {
			n++
		}
	}
	if f.has(hasDate) {
		n += 2
	}
	if f.has(hasTime) {
		n++
	}
	if f.has(hasAt) {
		n++
		if f.has(hasOpen | hasClose) {
			n++
		}
	}
	return n
}

// attributes says whether lines with these features are an attribution, given
// whether a visible quote follows and whether they end with an address.
func (f feature) attributes(closed, address bool) bool {
	if f.has(hasVerb) {
		return f.weight() >= 2 || closed && (f.weight() > 0 || f&hasWords == 0)
	}
	if closed && f.weight() >= 3 && f&(hasAt|dated) != 0 {
		return true
	}
	return address && f.has(dated|hasTime|hasAt) && f.weight() >= 4
}

// certain: enough to cut off what follows although it bears no mark.
func (f feature) certain() bool { return f.has(hasVerb) && f.weight() >= 2 }

// features reads one line. With bare set only the verb is looked for.
func features(s string, bare bool) feature {
	var f feature
	for _, v := range wroteInside {
		if s != "" && v[0] >= 0xe0 && strings.Contains(s, v) {
			f |= hasVerb
			break
		}
	}
	numbers, words := 0, 0
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case r >= '0' && r <= '9':
			n, found := number(s[i:])
			f |= found
			numbers++
			if found&(hasYear|hasDate|hasTime) != 0 && i < 30 {
				f |= dated
			}
			size = n
		case unicode.IsLetter(r):
			n := size
			for n < len(s)-i {
				next, w := utf8.DecodeRuneInString(s[i+n:])
				if !unicode.IsLetter(next) && !unicode.Is(unicode.Mn, next) {
					break
				}
				n += w
			}
			if word := strings.ToLower(s[i : i+n]); wroteVerbs[word] {
				f |= hasVerb
			} else if words == 0 && numbers == 0 && datedIntros[word] && i < 4 && strings.ContainsAny(s, "0123456789") {
				f |= dated
			}
			words++
			size = n
		case r == '@':
			f |= hasAt
		case r == '<':
			f |= hasOpen
		case r == '>':
			f |= hasClose
		}
		i += size
	}
	if bare {
		return f & hasVerb
	}
	if numbers > 1 {
		f |= hasDay
	}
	if words > 7 || words > 5 && f&hasVerb != 0 && numbers == 0 {
		f |= hasWords
	}
	return f
}

// number reads a number and what is joined to it: a year, a date, a time.
func number(s string) (n int, f feature) {
	digits := func(from int) int {
		i := from
		for i < len(s) && s[i] >= '0' && s[i] <= '9' {
			i++
		}
		return i - from
	}
	n = digits(0)
	first := n
	if first == 4 && (s[:2] == "19" || s[:2] == "20") {
		f = hasYear
		if rest := s[n:]; strings.HasPrefix(rest, "年") || strings.HasPrefix(rest, "년") {
			f |= hasDate
		}
	}
	if first > 4 || n >= len(s) {
		return n, f
	}
	switch sep := s[n]; sep {
	case ':', 'h':
		if first <= 2 && digits(n+1) == 2 {
			return n + 3, hasTime
		}
	case '/', '-', '.':
		second := digits(n + 1)
		if second == 0 || second > 2 {
			return n, f
		}
		end := n + 1 + second
		if end < len(s) && s[end] == sep {
			third := digits(end + 1)
			if third > 0 && third <= 4 {
				return end + 1 + third, f | hasDate
			}
			return end, f | hasDay
		}
		if sep == '.' && first <= 2 && second == 2 {
			return end, f // a time in Finnish, a price elsewhere
		}
	}
	return n, f
}

// blanks gives blank lines the kind of the line above; those at the top go
// with what follows.
func (c *cutter) blanks() {
	kind := Undecided
	for i := range c.lines {
		l := &c.lines[i]
		switch {
		case l.fixed:
			kind = Undecided
		case !l.blank():
			if l.kind == Undecided {
				l.kind = Own
			}
			kind = l.kind
		case kind != Undecided:
			l.kind = kind
		}
	}
	kind = Own
	for i := len(c.lines) - 1; i >= 0; i-- {
		l := &c.lines[i]
		if l.kind == Undecided {
			l.kind = kind
		}
		kind = l.kind
		if l.fixed {
			kind = Own
		}
	}
}

// blocks puts lines of one kind together, within each block of the input.
func (c *cutter) blocks(in []Block) []Block {
	n := len(in)
	for i := 1; i < len(c.lines); i++ {
		if c.lines[i].kind != c.lines[i-1].kind {
			n++
		}
	}
	out := make([]Block, 0, n)
	next := 0
	for n, b := range in {
		if b.Text == "" {
			if b.Kind == Undecided {
				b.Kind = Own
			}
			out = append(out, b)
			continue
		}
		start := 0
		for next < len(c.lines) && int(c.lines[next].block) == n {
			l := c.lines[next]
			for next++; next < len(c.lines) && int(c.lines[next].block) == n && c.lines[next].kind == l.kind; next++ {
				l = c.lines[next]
			}
			out = append(out, Block{Kind: l.kind, Text: b.Text[start:l.end]})
			start = int(l.end)
		}
	}
	return out
}
