package mailin

import (
	"bytes"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/emersion/go-message/mail"

	"deskd/triage"
)

// maxAddresses bounds what is kept of one address field.
const maxAddresses = 1000

// entry is one item of an address list.
type entry struct {
	phrase  []byte // display name as written, quotes and comments taken off
	addr    string // addr-spec, the domain in lower case; empty if there is none
	grouped bool   // member of a group
	faulty  bool   // text that the grammar does not allow there
}

// parseEntries reads an address list (RFC 5322, section 3.4, with the old
// forms of 4.4) in one pass and never gives up: what is no address comes as
// an entry without one. Encoded words are left alone, so that nothing in a
// display name can turn into an address (T3).
func parseEntries(b []byte) (list []entry, groups bool) {
	var cur entry
	var bare, comment []byte                 // text outside of <>, and the last comment
	used, grouped, at := false, false, false // at: an @ outside of quotes and <>
	// What was once found not to be closed is not searched for again: the
	// work stays linear.
	openQuote, openComment := false, false
	end := func() {
		text := bytes.TrimSpace(bare)
		switch {
		case cur.addr != "" || cur.faulty:
			cur.phrase = text
			if len(text) == 0 {
				cur.phrase = comment
			}
			if at && cur.addr != "" && !sameAddress(string(text), cur.addr) {
				cur.faulty = true // a second address, unquoted, before the real one
			}
		case len(text) > 0:
			if a, ok := cleanSpec(text); ok {
				cur.addr, cur.phrase = a, comment
			} else {
				cur.phrase, cur.faulty = text, true
			}
		case !used:
			cur, bare, comment = entry{}, bare[:0:0], nil
			return
		default:
			cur.faulty = true
		}
		cur.grouped = grouped
		if len(list) < maxAddresses {
			list = append(list, cur)
		}
		cur, bare, comment, used, at = entry{}, bare[:0:0], nil, false, false
	}
	for len(b) > 0 {
		switch c := b[0]; c {
		case '"':
			var text, rest []byte
			ok := false
			if !openQuote {
				text, rest, ok = quotedString(b)
			}
			if !ok {
				openQuote = true
				// The quote is never closed: plain text then, to the next comma.
				cur.faulty = cur.faulty || cur.addr == ""
				b = b[1:]
				continue
			}
			if len(rest) > 0 && rest[0] == '@' && cur.addr == "" {
				bare = append(bare, b[:len(b)-len(rest)]...) // "odd local part"@host
			} else {
				bare = append(bare, text...)
			}
			b, used = rest, true
		case '(':
			var rest []byte
			if !openComment {
				rest = skipComment(b)
			}
			if openComment || rest == nil && b[len(b)-1] != ')' {
				openComment = true
				bare = append(bare, c) // never closed
				b = b[1:]
				continue
			}
			comment = bytes.Trim(b[:len(b)-len(rest)], "() \t")
			b = rest
		case '<':
			i := bytes.IndexAny(b[1:], "<>") + 1
			switch {
			case i == 0:
				i = -1
			case b[i] == '<':
				i = -1 - i // "<<a@b>>" or "<a@b, <c@d>"
			}
			var inner []byte
			switch {
			case i >= 0:
				inner, b = b[1:i], b[i+1:]
			case i < -1:
				inner, b = b[1:-1-i], b[-1-i:]
			default:
				inner, b = cutAt(b[1:], ','), b[1+len(cutAt(b[1:], ',')):]
			}
			used = true
			inner, routed := cutRoute(inner)
			a, ok := cleanSpec(inner)
			// Readers of mail differ in whom a route names.
			cur.faulty = cur.faulty || routed
			switch {
			case cur.addr != "":
				cur.faulty = true // two addresses in one item
			case ok:
				cur.addr = a
			case len(bytes.TrimSpace(inner)) > 0:
				cur.faulty = true
				if len(bytes.TrimSpace(bare)) == 0 {
					bare = append(bare, inner...)
				}
			}
			if i < 0 && len(bytes.TrimSpace(inner)) > 0 {
				cur.faulty = true
			}
		case ',', ';':
			end()
			if c == ';' {
				grouped = false
			}
			b = b[1:]
		case ':':
			if cur.addr == "" && !bytes.ContainsRune(bare, '@') {
				groups, grouped = true, true // "undisclosed-recipients: ;"
				bare, comment, used = bare[:0:0], nil, false
				cur = entry{}
			} else {
				bare = append(bare, c)
			}
			b = b[1:]
		default:
			if c > ' ' {
				if cur.addr != "" && c != '>' {
					cur.faulty = true // text after the angle address
				}
				used = true
			}
			if c != '>' {
				bare = append(bare, c)
			}
			at = at || c == '@'
			b = b[1:]
		}
	}
	end()
	return list, groups
}

// cutRoute drops an old source route, "@a,@b:user@host" (RFC 5322, section 4.4).
func cutRoute(b []byte) (spec []byte, routed bool) {
	b = bytes.TrimSpace(b)
	if len(b) > 0 && b[0] == '@' {
		if i := bytes.IndexByte(b, ':'); i > 0 {
			return b[i+1:], true
		}
	}
	return b, false
}

// cleanSpec gives an addr-spec in the form that is kept, if it is one: a
// local part, an @, a domain, and no white space but around the @ and dots.
func cleanSpec(b []byte) (string, bool) {
	b = bytes.TrimSpace(b)
	if len(b) > 1 && b[0] == '\'' && b[len(b)-1] == '\'' {
		b = bytes.TrimSpace(b[1 : len(b)-1])
	}
	if len(b) >= 7 && strings.EqualFold(string(b[:7]), "mailto:") {
		b = b[7:]
	}
	if len(b) > 640 || !utf8.Valid(b) {
		return "", false
	}
	at := bytes.LastIndexByte(b, '@')
	if at <= 0 || at == len(b)-1 {
		return "", false
	}
	local, domain := bytes.TrimSpace(b[:at]), strings.TrimSuffix(string(bytes.TrimSpace(b[at+1:])), ".")
	if local[0] == '"' {
		text, rest, ok := quotedString(local)
		if !ok || len(rest) > 0 || len(text) == 0 {
			return "", false
		}
		for _, c := range text {
			if c < ' ' || c == 0x7F {
				return "", false
			}
		}
	} else {
		for _, c := range local {
			if c <= ' ' || c == 0x7F || strings.IndexByte(`()<>[]:;,"\@`, c) >= 0 {
				return "", false
			}
		}
	}
	if domain == "" {
		return "", false
	}
	if domain[0] == '[' {
		if domain[len(domain)-1] != ']' || strings.ContainsAny(domain, " \t<>,;") {
			return "", false
		}
	} else {
		for i := 0; i < len(domain); i++ {
			if c := domain[i]; c <= ' ' || c == 0x7F || strings.IndexByte(`()<>[]:;,"\@'`, c) >= 0 {
				return "", false
			}
		}
		if strings.HasPrefix(domain, ".") || strings.HasSuffix(domain, ".") || strings.Contains(domain, "..") {
			return "", false
		}
	}
	for _, r := range string(b) {
		if hidden(r) {
			return "", false
		}
	}
	return string(local) + "@" + lowerASCII(domain), true
}

// lowerASCII writes A to Z small and leaves every other byte alone: beyond
// ASCII there are letters that turn into others, and such that are longer then.
func lowerASCII(s string) string {
	b := []byte(s)
	for i, c := range b {
		if c >= 'A' && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}

// sameAddress compares as mail servers do, to whom the Kelvin sign is no k.
func sameAddress(a, b string) bool { return lowerASCII(a) == lowerASCII(b) }

// addresses reads every field of that name as one list.
func (h header) addresses(key string) []triage.Address {
	var out []triage.Address
	for i := range h {
		if h[i].key != key {
			continue
		}
		list, _ := parseEntries(h[i].value)
		for _, e := range list {
			if e.addr != "" && len(out) < maxAddresses {
				out = append(out, triage.Address{Name: cleanShown(h.decode(e.phrase)), Addr: e.addr})
			}
		}
	}
	return out
}

// author reads who wrote the mail. Only the single addr-spec of the single
// From field, written in the plain form, is an identity; in every other case
// the fault says why there is none, and shown is for the eye (T3).
func (h header) author() (from triage.Address, fault string, shown triage.Address) {
	n := h.count("from")
	if n == 0 {
		return from, "no From field", h.anyAuthor("sender", "reply-to", "return-path")
	}
	list, groups := parseEntries(h.get("from"))
	var first *entry
	specs := 0
	for i := range list {
		if list[i].addr != "" {
			if specs++; first == nil {
				first = &list[i]
			}
		}
	}
	if first != nil {
		shown = triage.Address{Name: h.decode(first.phrase), Addr: first.addr}
	} else {
		shown = h.scanAuthor(h.get("from"))
	}
	switch {
	case n > 1:
		return from, "more than one From field", shown
	case len(list) == 0:
		return from, "the From field is empty", h.anyAuthor("sender", "reply-to")
	case specs > 1:
		return from, "the From field names several authors", shown
	case specs == 0:
		return from, "the From field has no address", shown
	case groups:
		return from, "the From field holds a group", shown
	case len(list) > 1 || first.faulty:
		return from, "the From field is malformed", shown
	case !agreed(h.get("from"), first.addr):
		return from, "the From field can be read in more than one way", shown
	}
	return shown, "", shown
}

// maxAuthor is far above any real From field; what is longer is no identity.
const maxAuthor = 8 << 10

// agreed says whether go-message, where it can read the field at all, finds
// this one address in it too. It reads by the grammar alone: it gives up at
// raw 8-bit names and at what programs write beside the grammar, and it takes
// the quotes off a local part.
func agreed(value []byte, addr string) bool {
	if len(value) > maxAuthor {
		return false
	}
	list, err := mail.ParseAddressList(string(value))
	if err != nil {
		return true
	}
	if len(list) != 1 {
		return false
	}
	if local, rest, ok := quotedString([]byte(addr)); addr[0] == '"' && ok {
		addr = string(local) + string(rest)
	}
	return sameAddress(list[0].Address, addr)
}

func (h header) anyAuthor(keys ...string) triage.Address {
	for _, k := range keys {
		if a := h.addresses(k); len(a) > 0 {
			return a[0]
		}
	}
	return triage.Address{}
}

var addrPattern = regexp.MustCompile(`[A-Za-z0-9.!#$%&'*+/=?^_{|}~-]{1,64}@[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*`)

// scanAuthor finds something to show in a field without a readable address.
func (h header) scanAuthor(value []byte) triage.Address {
	s := h.decode(value)
	if len(s) > 4096 {
		s = s[:4096]
	}
	if m := addrPattern.FindAllString(s, -1); len(m) > 0 {
		a, _ := cleanSpec([]byte(strings.Trim(m[len(m)-1], "'")))
		name, _, _ := strings.Cut(s, "<")
		return triage.Address{Name: strings.Trim(name, ` "`), Addr: a}
	}
	list, _ := parseEntries(value)
	for _, e := range list {
		if len(e.phrase) > 0 {
			return triage.Address{Name: h.decode(e.phrase)}
		}
	}
	return triage.Address{Name: s}
}

// maxIDs bounds References; the newest are kept, since they route.
const maxIDs = 100

// messageIDs collects "<…>" out of a field. One bad id costs only itself; to
// go-message it would cost all behind it, and a long comment quadratic time.
func messageIDs(b []byte) []string {
	var ids []string
	for len(b) > 0 {
		i := bytes.IndexByte(b, '<')
		if i < 0 {
			break
		}
		b = b[i+1:]
		j := bytes.IndexAny(b, "<>")
		if j < 0 {
			break
		}
		if b[j] == '<' {
			b = b[j:]
			continue
		}
		if id, ok := cleanID(b[:j]); ok {
			ids = append(ids, id)
		}
		b = b[j+1:]
	}
	if len(ids) > maxIDs {
		ids = ids[len(ids)-maxIDs:]
	}
	return ids
}

// maxID is the longest line of RFC 5322, section 2.1.1: no id can be longer.
const maxID = 996

func cleanID(b []byte) (string, bool) {
	s := strings.Join(strings.Fields(cleanLine(decodeRawHeader(b, ""))), "")
	if s == "" || len(s) > maxID {
		return "", false
	}
	return s, true
}

// messageID gives the id of a Message-ID field, with or without its brackets.
func messageID(b []byte) string {
	if ids := messageIDs(b); len(ids) > 0 {
		return ids[0]
	}
	b = bytes.Trim(bytes.TrimSpace(b), "<>")
	if len(bytes.Fields(b)) != 1 {
		return ""
	}
	id, ok := cleanID(b)
	if !ok || strings.ContainsAny(id, "<>") {
		return ""
	}
	return id
}

// references is messageIDs with a fall-back for ids written bare.
func references(values ...[]byte) []string {
	var ids []string
	for _, v := range values {
		got := messageIDs(v)
		if len(got) == 0 {
			for _, w := range bytes.Fields(v) {
				if id, ok := cleanID(w); ok && bytes.IndexByte(w, '@') > 0 && !bytes.ContainsAny(w, `<>";,()`) {
					got = append(got, id)
				}
			}
		}
		ids = append(ids, got...)
	}
	if len(ids) > maxIDs {
		ids = ids[len(ids)-maxIDs:]
	}
	return ids
}

// dateLayouts are forms seen in mail that go-message refuses.
var dateLayouts = []string{
	"Mon, 2 Jan 2006 15:04:05 -0700", "Mon, 2 Jan 2006 15:04:05", "Mon, 2 Jan 2006 15:04 -0700", "2 Jan 2006 15:04:05 -0700",
	"2 Jan 2006 15:04:05", "2 Jan 2006 15:04", "2 Jan 06 15:04:05 -0700", "Mon Jan 2 15:04:05 2006", "Mon Jan 2 15:04:05 MST 2006",
	"Mon Jan 2 15:04:05 -0700 2006", "Mon Jan 2 15:04:05 2006 -0700", "Mon, Jan 2 2006 15:04:05 -0700", "Monday, 2 January 2006 15:04:05 -0700",
	"Monday, January 2, 2006 15:04:05", "2 January 2006 15:04:05 -0700", "2-Jan-2006 15:04:05 -0700", "2006-01-02 15:04:05 -0700",
	"2006-01-02 15:04:05", "2006-01-02T15:04:05Z07:00", "01/02/2006 15:04:05", "02.01.2006 15:04:05", "2 Jan 2006",
}

// parseDate reads a Date field; the zero time if it is none. It is only
// shown, never reckoned with (F29).
func parseDate(b []byte) time.Time {
	if len(b) > 200 {
		return time.Time{}
	}
	s := strings.Join(strings.Fields(cleanLine(string(b))), " ")
	if s == "" {
		return time.Time{}
	}
	if i := strings.IndexByte(s, '('); i > 0 {
		s = strings.TrimSpace(s[:i])
	}
	// Go reads a zone that it does not know as UTC.
	if i := strings.LastIndexByte(s, ' '); i > 0 && zoneOffset[s[i+1:]] != "" {
		s = s[:i+1] + zoneOffset[s[i+1:]]
	}
	var h mail.Header
	h.Set("Date", s)
	if t, err := h.Date(); err == nil && sane(t) {
		return t
	}
	for _, l := range dateLayouts {
		if t, err := time.Parse(l, s); err == nil && sane(t) {
			return t
		}
	}
	return time.Time{}
}

// zoneOffset holds the zones of RFC 5322, section 4.3, and a few more in use.
var zoneOffset = map[string]string{
	"GMT": "+0000", "UT": "+0000", "UTC": "+0000", "Z": "+0000", "EST": "-0500", "EDT": "-0400", "CST": "-0600", "CDT": "-0500",
	"MST": "-0700", "MDT": "-0600", "PST": "-0800", "PDT": "-0700", "JST": "+0900", "CET": "+0100", "CEST": "+0200", "MET": "+0100", "MEST": "+0200", "BST": "+0100",
}

func sane(t time.Time) bool { return t.Year() > 1 && t.Year() < 10000 }
