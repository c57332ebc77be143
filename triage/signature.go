package triage

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// signatures looks through each run of own lines for what stands under a mail
// but is no part of what it says. A closing and a name are left, since people
// read them; rules of thumb that might cut a sentence are not used.
func (c *cutter) signatures() {
	for start := 0; start < len(c.lines); {
		if !c.undecided(start) {
			start++
			continue
		}
		end := start
		for end < len(c.lines) && c.undecided(end) {
			end++
		}
		c.signature(start, end)
		start = end
	}
}

// undecided lines are those that nothing has claimed: they are own.
func (c *cutter) undecided(i int) bool { return !c.lines[i].fixed && c.lines[i].kind == Undecided }

func (c *cutter) sign(from, to int) {
	for i := from; i < to; i++ {
		c.lines[i].kind = Signature
	}
}

// signature decides about the lines from start to end, all of them own so far.
func (c *cutter) signature(start, end int) {
	for {
		at := c.separator(start, end)
		if at < 0 {
			break
		}
		c.sign(at, end)
		end = at
	}
	for i := start; i < end; i++ {
		if alone := i+1 == len(c.lines) || i+1 >= end || c.lines[i+1].blank() || mobileLine(c.lines[i+1].text); alone && mobileLine(c.lines[i].text) {
			c.lines[i].kind = Signature
		}
	}
	for {
		last := end
		for last > start && (c.lines[last-1].blank() || c.lines[last-1].kind == Signature) {
			last--
		}
		if last == start {
			return
		}
		at := c.foot(start, last)
		if at < 0 {
			at = c.card(start, last)
		}
		if at < 0 || at >= last {
			return
		}
		c.sign(at, last)
		end = at
	}
}

// The longest signature, in lines with words: below "-- " (RFC 3676, section
// 4.3), which says what it is, and below the "--" that some programs make of it.
const (
	longSignature = 40
	anySignature  = 15
)

// separator finds the line that begins a signature, or gives -1. The last
// lines are enough to look at: what is longer is no signature.
func (c *cutter) separator(start, end int) int {
	at, words := -1, 0
	for i := end - 1; i >= start && words <= longSignature; i-- {
		l := &c.lines[i]
		switch strings.Trim(l.text, " \u00a0*") {
		case "":
			continue
		case "--", "- --", "—", "––":
			if words <= anySignature && !c.comment(i-1) && !c.comment(i+1) && !c.fenced(start, i) {
				at = i
			}
		}
		words++
	}
	return at
}

// comment says whether line i is a comment of SQL, where "--" stands alone too,
// and the writer's own.
func (c *cutter) comment(i int) bool {
	return i >= 0 && i < len(c.lines) && c.undecided(i) && strings.HasPrefix(c.lines[i].text, "-- ")
}

// fenced says whether line i stands in a block of code between ``` lines.
func (c *cutter) fenced(start, i int) bool {
	inside := false
	for j := max(start, i-60); j < i; j++ {
		if strings.HasPrefix(strings.TrimSpace(c.lines[j].text), "```") {
			inside = !inside
		}
	}
	return inside
}

// mobileLine says whether a line is the one that a phone or program puts under
// a mail: it begins or ends as those do, is short, and names a device.
func mobileLine(s string) bool {
	if len(s) > 240 || len(s) < 8 {
		return false
	}
	s = strings.ToLower(strings.Trim(s, " \t*_-–—[]().\u00a0\u200e\u200f\u202b\u202a\u202c<>\""))
	s = strings.TrimPrefix(s, "![]")
	if strings.Contains(s, "outlook") && outlookLine(s) {
		return true
	}
	head := s
	if i := strings.IndexAny(head, ",;.!?،"); i > 0 {
		// "Sent from my desk, is much easier than my mobile phone."
		head = head[:i]
	}
	if len(strings.Fields(head)) > 11 {
		return false
	}
	framed := false
	for _, b := range mobileBegins {
		if strings.HasPrefix(s, b) {
			if goesOn(head) {
				return false
			}
			framed = true
			break
		}
	}
	if !framed {
		for _, e := range mobileEnds {
			if strings.HasSuffix(s, e) {
				framed = true
				break
			}
		}
	}
	if !framed {
		return false
	}
	for _, d := range devices {
		if strings.Contains(head, d) {
			return true
		}
	}
	return false
}

// goesOn says whether words follow a device that say something of their own:
// "sent from my iPhone mails get lost". How it was sent may stand there: "using
// the app".
func goesOn(head string) bool {
	end := 0
	for _, d := range devices {
		if i := strings.LastIndex(head, d); i >= 0 {
			end = max(end, i+len(d))
		}
	}
	rest := strings.Fields(strings.TrimLeftFunc(head[end:], func(r rune) bool { return r != ' ' }))
	if len(rest) <= 2 {
		return false
	}
	switch rest[0] {
	case "mail", "on", "using", "via", "with", "powered", "over", "by", "mit", "über", "par", "avec", "sur", "con", "por", "com", "med", "met":
		return false
	}
	return true
}

// outlookLine is the advertisement under mail of Outlook's phone program.
func outlookLine(s string) bool {
	if strings.Contains(s, "aka.ms/") && len(strings.Fields(s)) <= 9 {
		return true
	}
	if !strings.Contains(s, "ios") && !strings.Contains(s, "android") || len(strings.Fields(s)) > 6 {
		return false
	}
	for _, v := range []string{"get outlook", "télécharge", "obtenir", "obtener", "descargar", "obter", "baixar", "scarica", "ottieni", "beziehen", "herunterladen", "abrufen", "downloaden", "hämta", "hent", "skaff", "hanki", "pobierz", "stáhn", "получить", "скачать", "获取", "取得", "入手"} {
		if strings.Contains(s, v) {
			return true
		}
	}
	return false
}

// foot finds the last paragraph where it is the foot of a mailing list, legal
// text of a server, a plea to spare paper, or "-Ann Smith"; it gives the line
// where that begins, or -1.
func (c *cutter) foot(start, last int) int {
	first := last - 1
	size := len(c.lines[first].text)
	for first > start && !c.lines[first-1].blank() && c.lines[first-1].kind == Undecided && last-first < 30 {
		first--
		size += len(c.lines[first].text)
	}
	rule := -1
	listed := false
	for i := first; i < last; i++ {
		s := c.lines[i].text
		if t := strings.TrimSpace(s); len(t) >= 20 && strings.Trim(t, "_-=") == "" && rule < 0 {
			rule = i
		} else if rule >= 0 && listFoot(s) {
			listed = true
		}
	}
	if rule >= 0 && listed {
		return rule
	}
	if size > 120 && size < 6000 && c.disclaimer(first, last) {
		return first
	}
	if last-first <= 2 && first > start {
		low := strings.ToLower(c.lines[first].text)
		for _, p := range printPleas {
			if strings.Contains(low, p) && len(low) < 250 && !strings.HasSuffix(low, "?") {
				return first
			}
		}
	}
	if last-first == 1 && first > start && dashedName(c.lines[first].text) && !c.listed(start, first) {
		return first
	}
	return -1
}

// listed says whether line i may be an entry of a list: the words above it end
// with a colon, or are an entry too.
func (c *cutter) listed(start, i int) bool {
	for i--; i >= start; i-- {
		if s := strings.TrimSpace(c.lines[i].text); s != "" {
			return strings.HasSuffix(s, ":") || strings.ContainsRune("-*•·", []rune(s)[0])
		}
	}
	return false
}

func listFoot(s string) bool {
	s = strings.ToLower(s)
	return strings.Contains(s, "mailing list") || strings.Contains(s, "listinfo") || strings.Contains(s, "unsubscribe") ||
		strings.Contains(s, "mailman") || strings.Contains(s, "@lists.") || strings.Contains(s, "mailingliste")
}

// disclaimer says whether a paragraph has a word of each row of disclaimerWords.
func (c *cutter) disclaimer(first, last int) bool {
	var b strings.Builder
	for i := first; i < last; i++ {
		b.WriteString(strings.ToLower(c.lines[i].text))
		b.WriteByte(' ')
	}
	text := b.String()
	for _, row := range disclaimerWords {
		found := false
		for _, w := range row {
			if strings.Contains(text, w) {
				found = true
				break
			}
		}
		if !found {
			return false
		}
	}
	return true
}

// dashedName is "-Ann Smith": two to four words, each with a capital.
func dashedName(s string) bool {
	name, ok := strings.CutPrefix(strings.TrimSpace(s), "-")
	if !ok || name == "" || name[0] == ' ' || name[0] == '-' {
		return false
	}
	words := strings.Fields(name)
	return len(words) >= 2 && len(words) <= 4 && capitals(words)
}

// capitals says whether each word is of letters and begins with a capital.
func capitals(words []string) bool {
	for _, w := range words {
		r, _ := utf8.DecodeRuneInString(w)
		if !unicode.IsUpper(r) {
			return false
		}
		for _, r := range w {
			if !unicode.IsLetter(r) && r != '.' && r != '-' && r != '\'' && r != '’' {
				return false
			}
		}
	}
	return true
}

// longCard bounds the lines of a card of addresses and telephone numbers.
const longCard = 14

// card finds the card below a closing and a name ("Best regards", "Ann Smith",
// then "Tel. …") and gives its first line, or -1. Whatever looks like a
// sentence ends the search: a lost question is worse than a card kept.
func (c *cutter) card(start, last int) int {
	contact := false
	for i, words := last-1, 0; i >= start && words < longCard; i-- {
		s := strings.TrimSpace(c.lines[i].text)
		if s == "" {
			continue
		}
		if closing(s) {
			name := i + 1
			for name < last && c.lines[name].blank() {
				name++
			}
			at := name + 1
			if !contact || name >= last || contactLine(c.lines[name].text) || !nameLine(c.lines[name].text) {
				return -1
			}
			for at < last && c.lines[at].blank() {
				at++
			}
			if at >= last {
				return -1
			}
			return at
		}
		if sentence(s) {
			return -1
		}
		contact = contact || contactLine(s)
		words++
	}
	return -1
}

// closing says whether the line is nothing but a closing formula.
func closing(s string) bool {
	if len(s) > 80 {
		return false
	}
	return closings[strings.ToLower(strings.TrimFunc(s, func(r rune) bool {
		return strings.ContainsRune(",.!*_ ;، ，。", r) || unicode.IsSpace(r)
	}))]
}

// nameLine says whether a line may be the name under a closing.
func nameLine(s string) bool {
	s = strings.TrimLeft(s, " \t*/_")
	r, _ := utf8.DecodeRuneInString(s)
	return len(strings.Fields(s)) <= 5 && !unicode.IsLower(r) && !sentence(s+" ")
}

// sentence says whether a line may be prose.
func sentence(s string) bool {
	low := strings.ToLower(s)
	if strings.HasPrefix(low, "ps") || strings.HasPrefix(low, "p.s") || len(s) > 120 {
		return true
	}
	switch s[len(s)-1] {
	case '?', '!', ':':
		return true
	}
	words := strings.Fields(s)
	if strings.ContainsAny(s, "|@") {
		return false
	}
	small := 0
	for _, w := range words {
		if r, _ := utf8.DecodeRuneInString(w); unicode.IsLower(r) {
			small++
		}
	}
	return len(words) > 9 || len(words) >= 5 && (small >= 3 || s[len(s)-1] == '.')
}

// contactLine says whether a line has a telephone number or an address.
func contactLine(s string) bool {
	if strings.Contains(s, "@") || strings.Contains(s, "www.") || strings.Contains(s, "://") {
		return true
	}
	digits, first := 0, -1
	for i := 0; i < len(s); i++ {
		if s[i] >= '0' && s[i] <= '9' {
			if digits++; first < 0 {
				first = i
			}
		}
	}
	// A label of a word or two stands before a telephone number, and no clause.
	return digits >= 7 && len(strings.Fields(s[:first])) <= 2
}
