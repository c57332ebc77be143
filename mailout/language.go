package mailout

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Languages of mails, as settings name them.
const (
	English = "en"
	German  = "de"
)

// language is what mails need to know of one beside its templates. What the
// desk says by itself is English everywhere else; here it is found again by
// its words and said in the other language. What is not found stays English.
// Commands are English in all languages.
type language struct {
	code     string
	date     func(time.Time) string
	decimal  string            // what stands before tenths
	quotes   string            // how "$1" is quoted, where that is done otherwise
	exact    map[string]string // from English
	patterns []pattern         // likewise, for sentences with something in them
}

// languages are all that there are, the desk's own one first.
var languages = []*language{
	{
		code: English, decimal: ".",
		date: func(t time.Time) string { return t.Format("Monday, 2 January 2006, 15:04 MST") },
	},
	german,
}

// Languages names all languages that mails can be written in.
func Languages() []string {
	var codes []string
	for _, l := range languages {
		codes = append(codes, l.code)
	}
	return codes
}

// languageOf gives the language of that name, or nil.
func languageOf(code string) *language {
	i := slices.IndexFunc(languages, func(l *language) bool { return l.code == code })
	if i < 0 {
		return nil
	}
	return languages[i]
}

// prefix is the folder of its templates.
func (l *language) prefix() string {
	if l.code == English {
		return ""
	}
	return l.code + "/"
}

// language is that of a mail's recipients: what the settings say of the first
// one's domain, or of a domain above it, and else the desk's.
func (m *Mailer) language(o Occasion) *language {
	addr := ""
	if len(o.To) > 0 {
		addr = o.To[0].Addr
	}
	if forms[o.Kind].public && o.Ticket.Requester.Addr != "" {
		addr = o.Ticket.Requester.Addr
	}
	_, domain, _ := cutLast(addr, "@")
	for domain = strings.ToLower(domain); domain != ""; _, domain, _ = strings.Cut(domain, ".") {
		if l := languageOf(m.id.Languages[domain]); l != nil {
			return l
		}
	}
	if l := languageOf(m.id.Language); l != nil {
		return l
	}
	return languages[0]
}

// say gives an English sentence or word in this language.
func (l *language) say(s string) string {
	if t, ok := l.exact[s]; ok {
		return t
	}
	for _, p := range l.patterns {
		if t, ok := p.say(l, s); ok {
			if l.quotes != "" {
				t = straight.ReplaceAllString(t, l.quotes)
			}
			return t
		}
	}
	return s
}

func (l *language) sayAll(list []string) []string {
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = l.say(s)
	}
	return out
}

// sayLine gives a line of an answer in this language: a sentence, or lines of
// which those below the first are facts in a list. What is quoted stays.
func (l *language) sayLine(s string) string {
	lines := strings.Split(s, "\n")
	for i, line := range lines {
		switch {
		case strings.HasPrefix(line, ">"):
		case i > 0:
			lines[i] = strings.Join(l.sayAll(strings.Split(line, ", ")), ", ")
		default:
			lines[i] = l.say(line)
		}
	}
	return strings.Join(lines, "\n")
}

// size shows a number of bytes.
func (l *language) size(n int) string {
	switch {
	case n < 1000:
		return fmt.Sprintf("%d %s", n, l.say("bytes"))
	case n < 1000*1000:
		return fmt.Sprintf("%d kB", (n+500)/1000)
	}
	return strings.Replace(fmt.Sprintf("%.1f MB", float64(n)/1e6), ".", l.decimal, 1)
}

// told says what was sent to whom, as in "ann@example.com (status notice)".
func (l *language) told(s string) string {
	to, what, ok := strings.Cut(strings.TrimSuffix(s, ")"), " (")
	if !ok {
		return s
	}
	return to + " (" + l.say(what) + ")"
}

// pattern is a sentence with something in it. Its texts have {a}, {b} … where
// that stands; in the result {a!} is said in the other language too, and {a,}
// is a list whose items are.
type pattern struct {
	from *regexp.Regexp
	to   string
}

var straight = regexp.MustCompile(`"([^"]+)"`)

var slot = regexp.MustCompile(`\{([a-z])([!,]?)\}`)

func newPattern(from, to string) pattern {
	var b strings.Builder
	b.WriteString("(?s)^")
	at := 0
	for _, m := range slot.FindAllStringSubmatchIndex(from, -1) {
		b.WriteString(regexp.QuoteMeta(from[at:m[0]]) + "(?P<" + from[m[2]:m[3]] + ">.+)")
		at = m[1]
	}
	b.WriteString(regexp.QuoteMeta(from[at:]) + "$")
	return pattern{regexp.MustCompile(b.String()), to}
}

func newPatterns(pairs [][2]string) []pattern {
	var all []pattern
	for _, p := range pairs {
		all = append(all, newPattern(p[0], p[1]))
	}
	return all
}

func (p pattern) say(l *language, s string) (string, bool) {
	found := p.from.FindStringSubmatch(s)
	if found == nil {
		return "", false
	}
	return slot.ReplaceAllStringFunc(p.to, func(name string) string {
		value := found[p.from.SubexpIndex(name[1:2])]
		switch name[2] {
		case '!':
			return l.say(value)
		case ',':
			return strings.Join(l.sayAll(strings.Split(value, ", ")), ", ")
		}
		return value
	}), true
}
