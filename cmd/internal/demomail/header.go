package demomail

import (
	"bytes"
	"fmt"
	"io"
	"mime"
	"net/mail"
	"strings"
	"time"
)

// envelope is what is known of a mail beside its bytes.
type envelope struct {
	helo  string // how the client introduced itself
	peer  string // the client's IP address
	login string // who logged in, empty for nobody
	from  string // envelope sender, empty for the null sender
	to    []address
}

// result is what the server says about the sender of a mail.
type result struct {
	verdict string // pass or fail
	domain  string // of the address in From, empty when there is not exactly one
}

// foreign are the fields that only the server itself may write. Whatever a
// mail brings along of them is somebody else's claim.
var foreign = map[string]bool{
	"authentication-results": true, // RFC 8601, section 5
	"return-path":            true, // RFC 5321, section 4.4
	"delivered-to":           true,
	"x-original-to":          true,
}

// receive returns a mail as it is stored, without the fields of the trace that
// the server writes for each recipient, and the verdict on its sender.
func (s *Server) receive(e envelope, raw []byte) ([]byte, result) {
	raw = normalise(raw)
	if len(raw) > 0 && (raw[0] == ' ' || raw[0] == '\t') {
		// A line that continues nothing would continue the last field that the
		// server writes. It ends the header, as it does in Postfix.
		raw = append([]byte("\r\n"), raw...)
	}
	cleaned := make([]byte, 0, len(raw))
	var froms []string
	plain := true // every From field is named so that all programs read it as one
	rest := raw
	for len(rest) > 0 && !bytes.HasPrefix(rest, []byte("\r\n")) {
		field := nextField(rest)
		rest = rest[len(field):]
		name, value := splitField(field)
		if foreign[name] {
			continue
		}
		if name == "from" {
			froms = append(froms, value)
			plain = plain && len(field) > 5 && strings.EqualFold(string(field[:5]), "from:")
		}
		cleaned = append(cleaned, field...)
	}
	cleaned = append(cleaned, rest...)

	r := result{verdict: "fail"}
	if len(froms) != 1 || !plain {
		return cleaned, r
	}
	from, err := parseFrom(froms[0])
	if err != nil {
		return cleaned, r
	}
	r.domain = from.domain
	if e.login != "" && from.String() == e.login {
		r.verdict = "pass"
	}
	return cleaned, r
}

// trace returns the fields that the server writes on top of the copy for one
// recipient. The verdict stands above all, so that nothing a mail brings along
// can stand above it.
func (s *Server) trace(e envelope, to address, r result, id uint64, now time.Time) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "Authentication-Results: %s; dmarc=%s", s.o.AuthServer, r.verdict)
	if r.domain != "" {
		fmt.Fprintf(&b, " header.from=%s", r.domain)
	}
	b.WriteString("\r\n")
	fmt.Fprintf(&b, "Return-Path: <%s>\r\n", e.from)
	fmt.Fprintf(&b, "Delivered-To: %s\r\n", to)
	fmt.Fprintf(&b, "Received: from %s ([%s])\r\n", plainHost(e.helo), e.peer)
	protocol := "ESMTP"
	if e.login != "" {
		fmt.Fprintf(&b, "\t(authenticated as %s)\r\n", e.login)
		protocol = "ESMTPA" // RFC 3848
	}
	fmt.Fprintf(&b, "\tby %s with %s id %08X\r\n", s.o.AuthServer, protocol, id)
	fmt.Fprintf(&b, "\tfor <%s>; %s\r\n", to, now.Format(time.RFC1123Z))
	return b.Bytes()
}

// normalise gives every line of a mail the ending CRLF and turns a stray CR
// into a space, as Postfix does (smtpd_forbid_bare_newline, cleanup_replace_
// stray_cr_lf): programs do not agree on what a bare one means, and the
// difference is where a forged field would hide.
func normalise(raw []byte) []byte {
	b := make([]byte, 0, len(raw)+2)
	for i := 0; i < len(raw); i++ {
		switch raw[i] {
		case '\n':
			b = append(b, '\r', '\n')
		case '\r':
			end := i
			for end < len(raw) && raw[end] == '\r' {
				end++
			}
			if end < len(raw) && raw[end] == '\n' {
				b = append(b, '\r', '\n')
				i = end
				continue
			}
			b = append(b, ' ')
		default:
			b = append(b, raw[i])
		}
	}
	if len(b) > 0 && !bytes.HasSuffix(b, []byte("\r\n")) {
		b = append(b, '\r', '\n')
	}
	return b
}

// nextField returns the first field of a header block, its continuation lines
// included. Lines end in CRLF.
func nextField(b []byte) []byte {
	end := 0
	for {
		i := bytes.IndexByte(b[end:], '\n')
		if i < 0 {
			return b
		}
		end += i + 1
		if end == len(b) || b[end] != ' ' && b[end] != '\t' {
			return b[:end]
		}
	}
}

// splitField returns a field's name as a forgiving program would read it, and
// its unfolded value. Everything but letters, digits and hyphens is left out of
// the name: `Authentication-Results :`, a folded one and one with a NUL in it
// are all the same claim. The name of a line without a colon is empty.
func splitField(field []byte) (name, value string) {
	before, after, ok := bytes.Cut(field, []byte(":"))
	if !ok {
		return "", ""
	}
	var b strings.Builder
	for _, c := range before {
		switch {
		case 'A' <= c && c <= 'Z':
			b.WriteByte(c + 'a' - 'A')
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '-':
			b.WriteByte(c)
		}
		if b.Len() > 200 {
			break
		}
	}
	return b.String(), strings.TrimSpace(strings.ReplaceAll(string(after), "\r\n", ""))
}

// parseFrom reads the one address of a From field. Display names in charsets
// that are not known are no reason to doubt the address.
func parseFrom(value string) (address, error) {
	p := mail.AddressParser{WordDecoder: &mime.WordDecoder{
		CharsetReader: func(_ string, r io.Reader) (io.Reader, error) { return r, nil },
	}}
	a, err := p.Parse(strings.ToValidUTF8(value, "?"))
	if err != nil {
		return address{}, err
	}
	return parseAddress(a.Address)
}

// plainHost returns what a client calls itself, without anything that could
// mean something in a Received field.
func plainHost(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9', strings.ContainsRune(".-:[]_", r):
			return r
		}
		return -1
	}, s)
	if s == "" {
		return "unknown"
	}
	return s[:min(len(s), 255)]
}
