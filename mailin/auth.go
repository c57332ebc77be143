package mailin

import (
	"bytes"
	"strings"

	"deskd/triage"
)

// Limits of one Authentication-Results field; more is no honest field.
const (
	maxResults = 100
	maxProps   = 30
)

// parseAuthResults reads one Authentication-Results field (RFC 8601, section
// 2.2). It stands what servers write: comments anywhere, quoted strings, a
// version, no authserv-id at all (Exchange Online). What cannot be read to
// its end is marked as broken and must not be believed: something was put in
// there that we do not understand.
func parseAuthResults(b []byte, pos int) triage.AuthResults {
	out := triage.AuthResults{Pos: pos}
	clean, ok := uncomment(b)
	if !ok || bytes.ContainsFunc(clean, func(r rune) bool { return hidden(r) && r != '\t' }) {
		out.Broken = true
	}
	segments := splitOutside(clean, ';')
	first := tokens(segments[0])
	switch {
	case len(first) == 0:
		out.Broken = true
	case !startsResult(first):
		out.Server = lowerASCII(first[0].text)
		if strings.ContainsAny(first[0].text, " \t") || len(first) > 2 || len(first) == 2 && !digits(first[1].text) || first[0].text == "=" || !isASCII(segments[0]) {
			out.Broken = true
		}
		segments = segments[1:]
	}
	for i, s := range segments {
		t := tokens(s)
		if len(t) == 0 {
			continue // a final semicolon
		}
		if len(t) == 1 && strings.EqualFold(t[0].text, "none") && !t[0].quoted {
			if len(segments) > 1 && i > 0 && len(out.Results) > 0 {
				out.Broken = true
			}
			continue
		}
		if len(out.Results) >= maxResults {
			out.Broken = true
			break
		}
		r, ok := readResult(t)
		if !ok {
			out.Broken = true
			continue
		}
		out.Results = append(out.Results, r)
	}
	return out
}

// startsResult says whether a segment is a result: then the authserv-id was
// left out.
func startsResult(t []token) bool {
	return len(t) >= 3 && !t[0].quoted && t[1].text == "=" && !t[1].quoted && methodName(t[0].text) != ""
}

// methodName gives the method without its version, "dkim" of "DKIM/1".
func methodName(s string) string {
	name, _, _ := strings.Cut(lowerASCII(s), "/")
	if name == "" {
		return ""
	}
	for _, c := range name {
		if !(c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-' || c == '_') {
			return ""
		}
	}
	return name
}

// readResult reads "method=result prop.name=value …".
func readResult(t []token) (r triage.AuthResult, ok bool) {
	if len(t) < 3 || t[1].text != "=" || t[1].quoted || t[0].quoted {
		return r, false
	}
	r.Method, r.Result = methodName(t[0].text), lowerASCII(t[2].text)
	if r.Method == "" || r.Result == "" || t[2].quoted || methodName(r.Result) != r.Result {
		return r, false
	}
	t = t[3:]
	for len(t) > 0 {
		if len(t) < 3 || t[1].text != "=" || t[1].quoted || t[0].quoted {
			// Servers write loose words here ("action=none header.from=…;
			// reason text"); they carry nothing, but "=" without a name
			// would.
			if t[0].text == "=" && !t[0].quoted {
				return r, false
			}
			t = t[1:]
			continue
		}
		key, value := lowerASCII(t[0].text), t[2].text
		if value == "=" && !t[2].quoted {
			return r, false
		}
		if r.Props == nil {
			r.Props = map[string]string{}
		}
		if old, dup := r.Props[key]; dup && old != value {
			return r, false // two values for one property: which was checked?
		}
		if len(r.Props) >= maxProps {
			return r, false
		}
		r.Props[key] = value
		t = t[3:]
	}
	return r, true
}

// uncomment replaces comments by a space; ok is false if one, or a quoted
// string, is not closed.
func uncomment(b []byte) (out []byte, ok bool) {
	out = make([]byte, 0, len(b))
	for len(b) > 0 {
		switch b[0] {
		case '(':
			depth, i := 0, 0
			for ; i < len(b); i++ {
				if b[i] == '\\' {
					i++
				} else if b[i] == '(' {
					depth++
				} else if b[i] == ')' {
					if depth--; depth == 0 {
						break
					}
				}
			}
			if i >= len(b) {
				return out, false
			}
			out, b = append(out, ' '), b[i+1:]
		case '"':
			_, rest, closed := quotedString(b)
			if !closed {
				return append(out, b...), false
			}
			out, b = append(out, b[:len(b)-len(rest)]...), rest
		case ')':
			return out, false
		default:
			out, b = append(out, b[0]), b[1:]
		}
	}
	return out, true
}

// splitOutside cuts at a character outside of quoted strings.
func splitOutside(b []byte, sep byte) [][]byte {
	var out [][]byte
	start := 0
	for i := 0; i < len(b); i++ {
		switch b[i] {
		case '"':
			_, rest, ok := quotedString(b[i:])
			if !ok {
				return append(out, b[start:]) // never closed: the rest is one piece
			}
			i = len(b) - len(rest) - 1
		case sep:
			out = append(out, b[start:i])
			start = i + 1
		}
	}
	return append(out, b[start:])
}

type token struct {
	text   string
	quoted bool
}

// tokens cuts a segment into words, quoted strings and "=". A value may hold
// "=" itself (header.b=AbC=, spf's envelope ids), so only the first one in a
// word counts.
func tokens(b []byte) []token {
	var out []token
	for {
		b = bytes.TrimLeft(b, " \t\r\n")
		if len(b) == 0 || len(out) > 3*(maxProps+2) {
			return out
		}
		if b[0] == '"' {
			if text, rest, ok := quotedString(b); ok {
				out, b = append(out, token{cleanLine(string(text)), true}), rest
				continue
			}
		}
		if b[0] == '=' {
			out, b = append(out, token{"=", false}), b[1:]
			continue
		}
		value := len(out) > 0 && out[len(out)-1].text == "=" && !out[len(out)-1].quoted
		n := 0
		for n < len(b) && b[n] != ' ' && b[n] != '\t' && b[n] != '\r' && b[n] != '\n' && b[n] != '"' && (value || b[n] != '=') {
			n++
		}
		if n == 0 {
			n = 1
		}
		out, b = append(out, token{cleanLine(string(b[:n])), false}), b[n:]
	}
}

func digits(s string) bool {
	for _, c := range s {
		if c < '0' || c > '9' {
			return false
		}
	}
	return s != ""
}

// parseReceived reads a trace field (RFC 5321, section 4.4): the words behind
// from, by and with that stand outside of comments.
func parseReceived(b []byte, pos int) triage.Received {
	r := triage.Received{Pos: pos}
	clean, _ := uncomment(b)
	if i := bytes.LastIndexByte(clean, ';'); i >= 0 {
		clean = clean[:i] // the date
	}
	words := bytes.Fields(clean)
	for i := 0; i+1 < len(words); i++ {
		next := lowerASCII(strings.Trim(string(words[i+1]), ";,"))
		switch lowerASCII(string(words[i])) {
		case "from":
			if r.From == "" && r.By == "" {
				r.From = cleanLine(decodeRawHeader([]byte(strings.Trim(string(words[i+1]), ";,")), ""))
				i++
			}
		case "by":
			if r.By == "" {
				r.By = strings.TrimSuffix(cleanLine(next), ".")
				i++
			}
		case "with":
			if r.With == "" {
				r.With = strings.ToUpper(cleanLine(next))
				i++
			}
		}
	}
	return r
}
