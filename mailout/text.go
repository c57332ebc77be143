package mailout

import (
	"encoding/base64"
	"fmt"
	"mime"
	"net/mail"
	"path"
	"strings"
	"unicode"
	"unicode/utf8"

	"deskd/triage"
)

// fit says what keeps s from standing in a header field: line ends, NUL and
// other controls, bytes that are no UTF-8 (T23). The separators U+2028 and
// U+2029 end no line of a mail; they are turned into spaces elsewhere.
func fit(s string) error {
	if !utf8.ValidString(s) {
		return fmt.Errorf("%q is not valid UTF-8", s)
	}
	for _, r := range s {
		if unicode.IsControl(r) {
			return fmt.Errorf("%q contains the control character %U", s, r)
		}
	}
	return nil
}

// printable takes out what changes the order in which text is read (T33).
// Controls stay, for fit to refuse.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\u200e', r == '\u200f', r >= '\u202a' && r <= '\u202e', r >= '\u2066' && r <= '\u2069', r == '\ufeff':
			return -1
		}
		return r
	}, s)
}

// address makes a header address. The name is decoration and is cleaned; the
// address must be exactly one mailbox.
func address(a triage.Address) (mail.Address, error) {
	box, err := mailbox(a.Addr)
	if err != nil {
		return mail.Address{}, err
	}
	if err := fit(a.Name); err != nil {
		return mail.Address{}, fmt.Errorf("name: %w", err)
	}
	// "=?" would be read as the beginning of an encoded word.
	n := strings.ReplaceAll(strings.Join(strings.Fields(printable(a.Name)), " "), "=?", "= ?")
	box.Name = shorten(n, maxName)
	// A few names do not survive coding: a backslash beside a letter beyond
	// ASCII stands raw in an encoded word, which no reader takes.
	if back, err := mail.ParseAddress(box.String()); err != nil || *back != box {
		box.Name = ""
	}
	return box, nil
}

func addresses(list []triage.Address) ([]mail.Address, error) {
	var out []mail.Address
	for _, a := range list {
		one, err := address(a)
		if err != nil {
			return nil, err
		}
		out = append(out, one)
	}
	return out, nil
}

// mailbox reads an address as it stands in a header, local@domain with the
// local part quoted where it must be. Its String method gives the form for
// header and envelope, in which nothing can end the address early.
func mailbox(addr string) (mail.Address, error) {
	if err := fit(addr); err != nil {
		return mail.Address{}, err
	}
	if len(addr) > 254 { // RFC 5321, section 4.5.3.1.3
		return mail.Address{}, fmt.Errorf("%.40q… is too long for an address", addr)
	}
	p, err := mail.ParseAddress("<" + addr + ">")
	if err != nil || p.Name != "" || strings.ContainsAny(addr, "()") {
		return mail.Address{}, fmt.Errorf("%q is not a mail address", addr)
	}
	return *p, nil
}

func pointers(list []mail.Address) []*mail.Address {
	out := make([]*mail.Address, len(list))
	for i := range list {
		out[i] = &list[i]
	}
	return out
}

// codeWords codes a header value that only looks like plain ASCII: with "=?"
// in it, readers would decode what is no encoded word. Everything else is
// left to the library.
func codeWords(s string) string {
	if !ascii(s) || !strings.Contains(s, "=?") {
		return s
	}
	var words []string
	for len(s) > 0 { // an encoded word has 75 characters at most (RFC 2047, section 2)
		n := min(len(s), 45)
		words = append(words, "=?UTF-8?b?"+base64.StdEncoding.EncodeToString([]byte(s[:n]))+"?=")
		s = s[n:]
	}
	return strings.Join(words, " ")
}

// validID says whether a foreign Message-ID may be repeated in our header.
func validID(id string) bool {
	if id == "" || len(id) > maxID || !strings.Contains(id, "@") || strings.Contains(id, "=?") {
		return false
	}
	for _, c := range []byte(id) {
		if c <= ' ' || c > '~' || c == '<' || c == '>' {
			return false
		}
	}
	return true
}

// references gives the value of References: the oldest id, then the newest
// ones, the last being what the mail answers (RFC 5322, section 3.6.4).
func references(ids []string, inReplyTo string) string {
	var list []string
	seen := map[string]bool{}
	for _, id := range append(ids[:len(ids):len(ids)], inReplyTo) {
		if validID(id) && !seen[id] {
			seen[id] = true
			list = append(list, "<"+id+">")
		}
	}
	if len(list) > maxReferences {
		list = append(list[:1], list[len(list)-maxReferences+1:]...)
	}
	return strings.Join(list, " ")
}

// fileName cleans the name of a file: one path element, not too long, its
// extension kept.
func fileName(s string) string {
	s = path.Base(strings.ReplaceAll(printable(oneLine(s, 4*maxFileName)), `\`, "/"))
	if s == "." || s == "/" || s == ".." {
		return "attachment"
	}
	if len(s) <= maxFileName {
		return s
	}
	ext := path.Ext(s)
	if len(ext) > 16 {
		ext = ""
	}
	return cut(s, maxFileName-len(ext)-len("…")) + "…" + ext
}

// fileType gives the media type that a file is sent as. Parts that are mails
// or multiparts themselves must not be coded in base64 (RFC 2046, section
// 5.2.1), and so go as bytes.
func fileType(s string) string {
	media, params, err := mime.ParseMediaType(s)
	if err != nil || !strings.Contains(media, "/") || strings.HasPrefix(media, "message/") || strings.HasPrefix(media, "multipart/") {
		return "application/octet-stream"
	}
	with := map[string]string{}
	if cs := params["charset"]; strings.HasPrefix(media, "text/") && cs != "" && len(cs) < 40 && ascii(cs) && fit(cs) == nil {
		with["charset"] = cs
	}
	if t := mime.FormatMediaType(media, with); t != "" && len(t) < 150 {
		return t
	}
	return "application/octet-stream"
}

// person shows name and address.
func person(a triage.Address) string {
	n := short(a.Name)
	switch {
	case n == "" || n == a.Addr:
		return short(a.Addr)
	case a.Addr == "":
		return n
	}
	return n + " <" + short(a.Addr) + ">"
}

// name shows the name, or the address of who has none.
func name(a triage.Address) string {
	if n := short(a.Name); n != "" {
		return n
	}
	return short(a.Addr)
}

// salutation is a display name that a letter can begin with; display names that
// are addresses, web links or titles in brackets are none.
func salutation(s string) string {
	s = short(s)
	if utf8.RuneCountInString(s) > 40 {
		return ""
	}
	if last, first, ok := strings.Cut(s, ", "); ok && !strings.ContainsAny(last+first, ",") {
		s = first + " " + last // "Miller, Ann"
	}
	for _, r := range s {
		if !unicode.IsLetter(r) && !unicode.IsMark(r) && !strings.ContainsRune(" -'’·.", r) {
			return ""
		}
	}
	for _, w := range strings.Fields(s) {
		// A dot ends an initial or a title; within a word it makes a web address.
		if i := strings.IndexByte(w, '.'); i >= 0 && i < len(w)-1 {
			return ""
		}
	}
	return s
}

// text prepares conveyed text: LF line ends only, no controls but the tab, no
// blank lines at its ends, not too long. Everything that some program takes
// for a line end becomes one, so that no line escapes quote.
func text(s string) string {
	tooLong := len(s) > maxText
	if tooLong {
		s = cut(s, maxText)
	}
	s = strings.ReplaceAll(strings.ToValidUTF8(s, "\ufffd"), "\r\n", "\n")
	s = strings.Map(func(r rune) rune {
		switch {
		case r == '\t':
			return r
		case r == '\n', r == '\r', r == '\v', r == '\f', r == '\u0085', r == '\u2028', r == '\u2029':
			return '\n'
		case unicode.IsControl(r):
			return -1
		}
		return r
	}, printable(s))
	lines := strings.Split(s, "\n")
	for i, l := range lines {
		lines[i] = strings.TrimRightFunc(l, unicode.IsSpace)
	}
	s = strings.Trim(strings.Join(lines, "\n"), "\n")
	if tooLong {
		s += "\n\n" + goesOn
	}
	return s
}

// goesOn ends a text that was cut.
const goesOn = "[The text goes on. The rest is kept with the ticket.]"

// quote gives the text with "> " before each line (T8).
func quote(s string) string {
	s = text(s)
	if s == "" {
		return ""
	}
	lines := strings.Split(s, "\n")
	for i, l := range lines {
		lines[i] = strings.TrimRight("> "+l, " ")
	}
	return strings.Join(lines, "\n")
}

func short(s string) string { return oneLine(printable(s), 120) }

func long(s string) string { return oneLine(printable(s), 600) }

// oneLine makes one line of printable text of at most max bytes.
func oneLine(s string, max int) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == '\u2028' || r == '\u2029' {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "\ufffd"))
	s = strings.Join(strings.Fields(s), " ")
	if len(s) > max {
		s = cut(s, max-len("…")) + "…"
	}
	return s
}

// shorten cuts to max characters.
func shorten(s string, max int) string {
	if r := []rune(s); len(r) > max {
		return strings.TrimSpace(string(r[:max-1])) + "…"
	}
	return s
}

// cut cuts to at most n bytes, between characters.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

func cutLast(s, sep string) (before, after string, ok bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}

func ascii(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}
