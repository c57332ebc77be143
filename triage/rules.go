package triage

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"

	"deskd/triage/ticket"
)

// searched bounds how much of the new text the rules look at: a fault is named
// in the first pages or nowhere.
const searched = 256 << 10

// Reason is why a rule spoke: which rule, what it found where, and what it
// wants. All matching rules are kept, also those that did not prevail.
type Reason struct {
	Rule     string          `json:"rule"`
	Found    string          `json:"found"` // the word of the rule that matched
	Where    string          `json:"where"`
	Priority ticket.Priority `json:"priority,omitempty"`
	Team     string          `json:"team,omitempty"`
	Assignee string          `json:"assignee,omitempty"`
	Tags     []string        `json:"tags,omitempty"`
	Action   RuleAction      `json:"action,omitempty"`
	Lost     string          `json:"lost,omitempty"` // what of it did not prevail, and why
}

// String is the reason as people read it:
//
//	rule "vpn": found "vpn" in the subject → high, Network Team
func (r Reason) String() string {
	var b strings.Builder
	if r.Rule == "" {
		b.WriteString("no rule matched")
	} else {
		fmt.Fprintf(&b, "rule %q: found %q in the %s", r.Rule, r.Found, r.Where)
	}
	var wants []string
	if r.Priority != "" {
		wants = append(wants, string(r.Priority))
	}
	if r.Team != "" {
		wants = append(wants, r.Team)
	}
	if r.Assignee != "" {
		wants = append(wants, "for "+r.Assignee)
	}
	for _, t := range r.Tags {
		wants = append(wants, "tag "+t)
	}
	if r.Action != Sort {
		wants = append(wants, string(r.Action))
	}
	if len(wants) > 0 {
		b.WriteString(" → " + strings.Join(wants, ", "))
	}
	if r.Lost != "" {
		b.WriteString(" (" + r.Lost + ")")
	}
	return b.String()
}

// sorting is what all rules together say about a new ticket.
type sorting struct {
	priority ticket.Priority
	team     string
	assignee string
	tags     []string
	action   RuleAction
	reasons  []Reason
}

// rule is a Rule made ready for matching.
type rule struct {
	Rule
	words  []matcher
	places []place
}

// matcher finds one word, phrase or expression.
type matcher struct {
	word   string         // as written in the settings
	folded string         // what is looked for
	prefix bool           // "print*"
	re     *regexp.Regexp // instead of folded
}

// place is where a rule looks: a kind of place and, for a header, its name.
type place struct{ kind, header string }

var placeNames = map[string]string{
	"subject": "subject", "text": "text", "sender": "sender's address", "domain": "sender's domain",
	"recipient": "recipient's address", "attachment": "attachment's name",
}

// compileRule checks one rule; the path names it in complaints.
func compileRule(path string, spec Rule, teams []Team) (rule, error) {
	r := rule{Rule: spec}
	var errs []error
	complain := func(format string, a ...any) { errs = append(errs, fmt.Errorf(path+format, a...)) }
	if len(spec.Words) == 0 {
		complain(".words: empty; name at least one word, phrase or /expression/")
	}
	for i, w := range spec.Words {
		m, err := compileWord(w)
		if err != nil {
			complain(".words[%d]: %w", i, err)
			continue
		}
		r.words = append(r.words, m)
	}
	in := spec.In
	if len(in) == 0 {
		in = []string{"subject", "text"}
	}
	for i, p := range in {
		kind, header, isHeader := strings.Cut(p, ":")
		switch {
		case isHeader && kind == "header" && strings.TrimSpace(header) != "":
			r.places = append(r.places, place{"header", strings.TrimSpace(header)})
		case !isHeader && placeNames[kind] != "":
			r.places = append(r.places, place{kind: kind})
		default:
			complain(".in[%d]: %q is no place; write subject, text, sender, domain, recipient, attachment or header:NAME", i, p)
		}
	}
	if spec.Priority != "" && !spec.Priority.Valid() {
		complain(".priority: %q is no priority; write critical, high, medium or low", spec.Priority)
	}
	if spec.Team != "" && teamNamed(teams, spec.Team) == nil {
		complain(".team: there is no team %q; teams are %s", spec.Team, teamNames(teams))
	}
	switch spec.Action {
	case Sort, Ignore, Spam:
	default:
		complain(".action: %q is no action; write ignore or spam, or leave it out", spec.Action)
	}
	if spec.Action == Sort && spec.Priority == "" && spec.Team == "" && spec.Assignee == "" && len(spec.Tags) == 0 {
		complain(": sets nothing; give it a priority, team, assignee, tags or action")
	}
	if r.Name == "" {
		r.Name = strings.Join(spec.Words, ", ")
	}
	return r, errors.Join(errs...)
}

func compileWord(w string) (matcher, error) {
	if expr, ok := strings.CutPrefix(w, "/"); ok && len(expr) > 1 && strings.HasSuffix(expr, "/") {
		re, err := regexp.Compile("(?i)" + strings.TrimSuffix(expr, "/"))
		if err != nil {
			return matcher{}, fmt.Errorf("%s: %w (RE2 syntax)", w, err)
		}
		if re.MatchString("") {
			return matcher{}, fmt.Errorf("%s matches every text; make it ask for something", w)
		}
		return matcher{word: w, re: re}, nil
	}
	folded := fold(w)
	m := matcher{word: w}
	m.folded, m.prefix = strings.CutSuffix(folded, "*")
	if strings.TrimSpace(m.folded) == "" {
		return matcher{}, fmt.Errorf("%q is empty", w)
	}
	if strings.Contains(m.folded, "*") {
		return matcher{}, fmt.Errorf("%q: a star stands only at the end; for more write an /expression/", w)
	}
	return m, nil
}

// fold makes texts comparable: compatibility forms composed, case folded, runs
// of white space as one space.
func fold(s string) string {
	return strings.Join(strings.Fields(cases.Fold().String(norm.NFKC.String(s))), " ")
}

// found is the text of a place: as it was written, for expressions, and folded,
// for words.
type found struct{ written, folded string }

// find says whether the word is in the text of a kind of place. Linear in the
// text.
func (m matcher) find(kind string, text found) bool {
	switch {
	case m.re != nil:
		return m.re.MatchString(text.written)
	case kind == "sender" || kind == "domain":
		return m.names(text.folded)
	}
	return m.stands(text.folded)
}

// names says whether the word is the address or domain, or its beginning with
// a star. A domain stands for those below it, too, and behind "@" for the
// addresses in it; "example.com" is not in "not-example.com".
func (m matcher) names(addr string) bool {
	if m.prefix {
		return strings.HasPrefix(addr, m.folded)
	}
	return addr == m.folded || strings.HasSuffix(addr, m.folded) && strings.HasPrefix(m.folded, "@") ||
		!strings.Contains(m.folded, "@") && strings.HasSuffix(addr, "."+m.folded)
}

// stands says whether the word is in the folded text as a whole word or, for a
// beginning, at the start of one.
func (m matcher) stands(folded string) bool {
	for from := 0; ; {
		i := strings.Index(folded[from:], m.folded)
		if i < 0 {
			return false
		}
		start := from + i
		end := start + len(m.folded)
		if boundary(folded, start) && (m.prefix || boundary(folded, end)) {
			return true
		}
		_, size := utf8.DecodeRuneInString(folded[start:])
		from = start + size
	}
}

// boundary says whether no word goes on across position i of s.
func boundary(s string, i int) bool {
	before, _ := utf8.DecodeLastRuneInString(s[:i])
	after, _ := utf8.DecodeRuneInString(s[i:])
	return i == 0 || i == len(s) || !inWord(before) || !inWord(after)
}

func inWord(r rune) bool {
	return unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.Is(unicode.Mn, r) || r == '_'
}

// sort runs all rules over a message: the highest priority wins, the first
// rule that names a team wins, every match is kept as a reason.
func (r *Rules) sort(m *Message, newText string) sorting {
	s := sorting{priority: r.p.DefaultPriority, team: r.p.DefaultTeam}
	texts := map[place]found{}
	look := func(p place) found {
		t, ok := texts[p]
		if !ok {
			t.written = norm.NFC.String(placeText(m, p, newText))
			t.folded = fold(t.written)
			texts[p] = t
		}
		return t
	}
	prevailing, teamBy := -1, -1
	for i := range r.rules {
		rl := &r.rules[i]
		word, where, ok := rl.match(look)
		if !ok {
			continue
		}
		s.reasons = append(s.reasons, Reason{
			Rule: rl.Name, Found: word, Where: where, Priority: rl.Priority, Team: rl.Team,
			Assignee: rl.Assignee, Tags: rl.Tags, Action: rl.Action,
		})
		this := len(s.reasons) - 1
		if rl.Priority != "" && (prevailing < 0 || rl.Priority.Rank() > s.priority.Rank()) {
			s.priority, prevailing = rl.Priority, this
		}
		if rl.Team != "" && teamBy < 0 {
			s.team, teamBy = rl.Team, this
		}
		if rl.Assignee != "" && s.assignee == "" {
			s.assignee = rl.Assignee
		}
		s.tags = appendNew(s.tags, rl.Tags...)
		if s.action == Sort || rl.Action == Spam {
			s.action = rl.Action
		}
	}
	for i := range s.reasons {
		s.reasons[i].Lost = lost(s.reasons[i], s)
	}
	if len(s.reasons) == 0 {
		s.reasons = []Reason{{Priority: s.priority, Team: s.team}}
	}
	return s
}

// lost says which wish of a reason another rule overruled.
func lost(r Reason, s sorting) string {
	var l []string
	if r.Priority != "" && r.Priority != s.priority {
		l = append(l, string(s.priority)+" from another rule is higher")
	}
	if r.Team != "" && r.Team != s.team {
		l = append(l, "an earlier rule chose "+s.team)
	}
	return strings.Join(l, "; ")
}

func (rl *rule) match(look func(place) found) (word, where string, ok bool) {
	for _, p := range rl.places {
		text := look(p)
		for _, w := range rl.words {
			if w.find(p.kind, text) {
				name := placeNames[p.kind]
				if p.kind == "header" {
					name = p.header + " field"
				}
				return w.word, name, true
			}
		}
	}
	return "", "", false
}

// placeText is the text that a rule searches. Only the sender's own new text
// counts, never quotes or signatures.
func placeText(m *Message, p place, newText string) string {
	switch p.kind {
	case "subject":
		return m.Subject
	case "text":
		if len(newText) > searched {
			newText = strings.ToValidUTF8(newText[:searched], "")
		}
		return newText
	case "sender":
		return m.From.Addr
	case "domain":
		return domainOf(m.From.Addr)
	case "recipient":
		all := append([]string{}, m.Recipients...)
		for _, a := range append(append([]Address{}, m.To...), m.Cc...) {
			all = append(all, a.Addr)
		}
		return strings.Join(all, " ")
	case "attachment":
		var names []string
		for _, a := range m.Attachments {
			names = append(names, a.Name)
		}
		return strings.Join(names, " ")
	case "header":
		var values []string
		for _, f := range m.Header {
			if strings.EqualFold(f.Name, p.header) {
				values = append(values, f.Value)
			}
		}
		return strings.Join(values, " ")
	}
	return ""
}

func domainOf(addr string) string {
	return addr[strings.LastIndexByte(addr, '@')+1:]
}

func appendNew(list []string, more ...string) []string {
	for _, m := range more {
		found := false
		for _, l := range list {
			found = found || l == m
		}
		if !found {
			list = append(list, m)
		}
	}
	return list
}

func teamNamed(teams []Team, name string) *Team {
	for i := range teams {
		if strings.EqualFold(teams[i].Name, name) {
			return &teams[i]
		}
	}
	return nil
}

func teamNames(teams []Team) string {
	names := make([]string, len(teams))
	for i, t := range teams {
		names[i] = t.Name
	}
	return strings.Join(names, ", ")
}
