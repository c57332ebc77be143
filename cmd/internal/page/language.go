package page

import (
	"bytes"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"

	"golang.org/x/net/html"
)

// language is one that the page speaks. Templates and code of this package say
// everything in English; a language has a translation for each of it, which is
// put in its place when the page is made.
type language struct {
	code    string            // BCP 47
	exact   map[string]string // English → this language
	pattern []pattern         // for what has figures or names in it, in order
}

// pattern is a sentence with parts that differ.
type pattern struct {
	english *regexp.Regexp
	to      string // with $1 for the first part; ${1!} is translated itself
}

func like(english, to string) pattern {
	return pattern{regexp.MustCompile("^" + english + "$"), to}
}

// languages are all of them; the first is what the program is written in.
var languages = []*language{{code: "en"}, german}

var inPart = regexp.MustCompile(`\$\{(\d)!\}`)

// mostSaid is the longest of what the page says itself, in bytes. Titles have
// words of others' in them, and the time for a pattern grows with their length.
const mostSaid = 500

// say gives a text in the language; English for what it does not know.
func (l *language) say(s string) string {
	if l.exact == nil || s == "" || len(s) > mostSaid {
		return s
	}
	if t, ok := l.exact[s]; ok {
		return t
	}
	// A capital at the beginning makes no other word of it.
	if lower := strings.ToLower(s[:1]) + s[1:]; lower != s {
		if t, ok := l.exact[lower]; ok {
			return capital(t)
		}
	}
	for _, p := range l.pattern {
		m := p.english.FindStringSubmatch(s)
		if m == nil {
			continue
		}
		to := inPart.ReplaceAllStringFunc(p.to, func(part string) string {
			i, _ := strconv.Atoi(part[2 : len(part)-2])
			return strings.ReplaceAll(l.say(m[i]), "$", "$$")
		})
		return string(p.english.ExpandString(nil, to, s, p.english.FindStringSubmatchIndex(s)))
	}
	return s
}

// spoken are the attributes that people read or hear.
var spoken = map[string]bool{"aria-label": true, "title": true, "data-label": true, "placeholder": true}

var letter = regexp.MustCompile(`\pL`)

// page gives a page of ours in the language. Of what it holds only that is
// translated which we say ourselves: what came in from elsewhere stands in bdi
// elements, in passages and in what is a code.
func (l *language) page(in []byte) []byte {
	if l.exact == nil {
		return in
	}
	var out bytes.Buffer
	foreign := "" // the element within which nothing is ours
	depth := 0    // of elements of its name in it
	z := html.NewTokenizer(bytes.NewReader(in))
	for {
		kind := z.Next()
		if kind == html.ErrorToken {
			return out.Bytes()
		}
		raw := string(z.Raw())
		switch kind {
		case html.TextToken:
			if foreign == "" || foreign == "bdi" && ours[raw] {
				raw = l.text(raw)
			}
		case html.StartTagToken, html.SelfClosingTagToken:
			t := html.Token{}
			if name, _ := z.TagName(); foreign == "" {
				t.Data = string(name)
				raw, t.Attr = l.tag(raw, z)
				if isForeign(t) && kind == html.StartTagToken {
					foreign, depth = t.Data, 1
				}
			} else if foreign == string(name) && kind == html.StartTagToken {
				depth++
			}
		case html.EndTagToken:
			if name, _ := z.TagName(); foreign == string(name) {
				if depth--; depth == 0 {
					foreign = ""
				}
			}
		}
		out.WriteString(raw)
	}
}

// ours are words of ours that stand where something from elsewhere is missing.
var ours = map[string]bool{"All teams": true, "My tickets": true, "(no subject)": true, "The desk": true, "unknown sender": true, "unknown": true, "It could not be handled.": true}

func isForeign(t html.Token) bool {
	if t.Data == "bdi" || t.Data == "code" || t.Data == "script" {
		return true
	}
	for _, a := range t.Attr {
		if a.Key == "class" && (a.Val == "prose" || a.Val == "brand") {
			return true
		}
	}
	return false
}

// tag translates the attributes of a tag that people read or hear.
func (l *language) tag(raw string, z *html.Tokenizer) (string, []html.Attribute) {
	var list []html.Attribute
	for more := true; more; {
		var key, value []byte
		if key, value, more = z.TagAttr(); len(key) == 0 {
			continue
		}
		a := html.Attribute{Key: string(key), Val: string(value)}
		list = append(list, a)
		switch {
		case a.Key == "lang":
			raw = strings.Replace(raw, `lang="en"`, `lang="`+l.code+`"`, 1)
		case spoken[a.Key]:
			// The templates write every attribute in double quotes.
			if said := l.say(a.Val); said != a.Val {
				raw = strings.Replace(raw, a.Key+`="`+html.EscapeString(a.Val)+`"`, a.Key+`="`+html.EscapeString(said)+`"`, 1)
			}
		}
	}
	return raw, list
}

// text translates a text, and leaves the space around it.
func (l *language) text(raw string) string {
	s := html.UnescapeString(raw)
	core := strings.TrimSpace(s)
	if !letter.MatchString(core) {
		return raw
	}
	said := l.say(core)
	if said == core {
		return raw
	}
	at := strings.Index(s, core)
	return html.EscapeString(s[:at] + said + s[at+len(core):])
}

// languageOf gives the language that a browser asks for before all others that
// the page speaks (RFC 9110, section 12.5.4); else the desk's.
func (p *page) languageOf(r *http.Request) *language {
	best, weight := p.language, 0.0
	for part := range strings.SplitSeq(r.Header.Get("Accept-Language"), ",") {
		tag, params, _ := strings.Cut(strings.TrimSpace(part), ";")
		q := 1.0
		if v, ok := strings.CutPrefix(strings.TrimSpace(params), "q="); ok {
			q, _ = strconv.ParseFloat(v, 64)
		}
		main, _, _ := strings.Cut(strings.ToLower(tag), "-")
		for _, l := range languages {
			if l.code == main && q > weight {
				best, weight = l, q
			}
		}
	}
	return best
}

func languageNamed(code string) (*language, error) {
	for _, l := range languages {
		if l.code == code {
			return l, nil
		}
	}
	return nil, fmt.Errorf("language %q: the page does not speak it", code)
}
