package page

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"

	mailflow "deskd/cmd/internal/flow"
	"deskd/triage/ticket"
)

// oneLine makes foreign text fit for one line of the page: what would move,
// hide or turn other text is written out as U+XXXX (T33, T37). The templates
// put the result into <bdi>, which keeps right-to-left text to itself.
func oneLine(s string) string { return visible(strings.ToValidUTF8(s, "\uFFFD"), hiddenInLine) }

// manyLines does the same for text of several lines. Marks that good text in
// many scripts needs (joiners, direction marks) stay.
func manyLines(s string) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	s = strings.ReplaceAll(s, "\r\n", "\n")
	return visible(s, hiddenInText)
}

func visible(s string, hidden func(rune) bool) string {
	if strings.IndexFunc(s, hidden) < 0 {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		if hidden(r) {
			fmt.Fprintf(&b, "⟨U+%04X⟩", r)
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

// hiddenInText are the characters that turn the direction of what follows
// (embeddings, overrides, isolates) and all controls but tab and line feed.
func hiddenInText(r rune) bool {
	switch {
	case r == '\t', r == '\n':
		return false
	case unicode.IsControl(r):
		return true
	}
	return '\u202A' <= r && r <= '\u202E' || '\u2066' <= r && r <= '\u2069'
}

// hiddenInLine are, beyond those, all characters without a shape of their own
// except the two joiners, which emoji and several scripts are written with.
func hiddenInLine(r rune) bool {
	switch r {
	case '\u200C', '\u200D', '\u00AD':
		return false
	case '\t', '\n', '\u2028', '\u2029':
		return true
	}
	return hiddenInText(r) || unicode.Is(unicode.Cf, r) && !unicode.Is(unicode.Prepended_Concatenation_Mark, r)
}

// address shows a mail address. A domain whose letters come from more than
// one script is shown in ASCII, so that "аррlе.example" does not pass for
// another (T33).
func address(s string) string {
	if i := strings.LastIndexByte(s, '@'); i >= 0 && mixedScripts(s[i+1:]) {
		if ascii, err := idna.Punycode.ToASCII(s[i+1:]); err == nil {
			s = s[:i+1] + ascii
		} else {
			s = s[:i+1] + strconv.QuoteToASCII(s[i+1:])
		}
	}
	return oneLine(s)
}

func mixedScripts(domain string) bool {
	first := ""
	for _, r := range domain {
		if !unicode.IsLetter(r) {
			continue
		}
		for name, table := range unicode.Scripts {
			if name == "Common" || name == "Inherited" || !unicode.Is(table, r) {
				continue
			}
			if first != "" && first != name {
				return true
			}
			first = name
			break
		}
	}
	return false
}

// cut shortens s to at most n bytes at a rune's border and says whether it
// had to.
func cut(s string, n int) (string, bool) {
	if len(s) <= n {
		return s, false
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n], true
}

// stamp is one moment, for people and for programs.
type stamp struct {
	Set  bool   // false: it has not happened
	ISO  string // for the datetime attribute
	Full string // "Mon 23 Nov 2026, 16:02"
	Ago  string // "5 min ago"
}

func (p *page) stamp(t, now time.Time) stamp {
	if t.IsZero() {
		return stamp{}
	}
	local := t.In(p.zone)
	return stamp{
		Set: true, ISO: t.UTC().Format("2006-01-02T15:04:05Z"),
		Full: local.Format("Mon 2 Jan 2006, 15:04"), Ago: ago(local, now.In(p.zone)),
	}
}

// ago says how long ago t was, or how far ahead it is; beyond two weeks the
// date says more.
func ago(t, now time.Time) string {
	d := now.Sub(t)
	format := "%s ago"
	if d < 0 {
		d, format = -d, "in %s"
	}
	switch {
	case d < time.Minute && t.After(now):
		return "in less than a minute"
	case d < time.Minute:
		return "just now"
	case d < 14*24*time.Hour:
		return fmt.Sprintf(format, span(d))
	case t.Year() == now.Year():
		return t.Format("2 Jan")
	}
	return t.Format("2 Jan 2006")
}

// span is a length of time in its largest whole unit.
func span(d time.Duration) string { return mailflow.Span(d) }

// size is a number of bytes as people read it.
func size(n int64) string {
	switch {
	case n < 1000:
		return fmt.Sprintf("%d bytes", n)
	case n < 1000*1000:
		return fmt.Sprintf("%d kB", (n+500)/1000)
	}
	return fmt.Sprintf("%.1f MB", float64(n)/1e6)
}

// count is a number with its thousands apart.
func count(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "\u202F" + s[i:] // narrow no-break space
	}
	return s
}

// tag is a ticket's number as people write it, "IT-1042".
func (p *page) tag(n ticket.Number) string {
	if p.prefix == "" {
		return n.String()
	}
	return p.prefix + "-" + n.String()
}

// words makes one of the program's own names readable: "new_ticket" is "new
// ticket".
func words(name string) string {
	return oneLine(strings.NewReplacer("_", " ", "-", " ").Replace(name))
}
