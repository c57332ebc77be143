package mailin

import (
	"bytes"
	"errors"
	"io"

	"github.com/emersion/go-message"
)

// decode gives the bytes of a part, at most max of them, within what the
// mail may still decode.
func (w *walker) decode(p *part, max int) []byte {
	if p.encoding == "" && !p.uu {
		if len(p.body) > max {
			w.fault("a part was cut at the size limit")
			return p.body[:max:max]
		}
		return p.body
	}
	out := make([]byte, 0, min(len(p.body), max))
	cut := w.stream(p, func(b []byte) bool {
		if len(out)+len(b) > max {
			out = append(out, b[:max-len(out)]...)
			w.fault("a part was cut at the size limit")
			return false
		}
		out = append(out, b...)
		return true
	})
	if cut {
		w.fault("the mail decodes to more than the limit and was cut")
	}
	return out
}

// stream decodes a part piece by piece. It says whether the limit on all
// decodings of the mail cut it short (T31).
func (w *walker) stream(p *part, emit func([]byte) bool) (cut bool) {
	out := func(b []byte) bool {
		if left := w.limits.Decoded - w.decoded; int64(len(b)) > left {
			b, cut = b[:max(left, 0)], true
		}
		w.decoded += int64(len(b))
		return emit(b) && !cut
	}
	switch {
	case p.uu || p.encoding == "x-uuencode":
		decodeUU(p.body, out)
	case p.encoding != "":
		decodeTransfer(p.encoding, p.body, out)
	default:
		out(p.body)
	}
	return cut
}

// decodeTransfer has go-message decode base64 or quoted-printable. What the
// library would misread, and what it stops at, is left to our own, forgiving
// decoders: as far as it gets, both give the same bytes.
func decodeTransfer(encoding string, body []byte, emit func([]byte) bool) {
	plain, own := plainQP, decodeQP
	if encoding == "base64" {
		plain, own = plainBase64, decodeBase64
	}
	given := 0
	if plain(body) {
		wanted := true
		whole := readTransfer(encoding, body, func(b []byte) bool {
			given += len(b)
			wanted = emit(b)
			return wanted
		})
		if whole || !wanted {
			return
		}
	}
	own(body, func(b []byte) bool {
		n := min(given, len(b))
		given -= n
		return n == len(b) || emit(b[n:])
	})
}

// readTransfer says whether the library came to the end of the body.
func readTransfer(encoding string, body []byte, emit func([]byte) bool) (whole bool) {
	var h message.Header
	h.Set("Content-Transfer-Encoding", encoding)
	e, err := message.New(h, bytes.NewReader(body))
	if err != nil {
		return false
	}
	buf := make([]byte, 4<<10)
	for {
		n, err := e.Body.Read(buf)
		if n > 0 && !emit(buf[:n]) {
			return false
		}
		if err != nil {
			return errors.Is(err, io.EOF)
		}
	}
}

// plainQP says whether all lines fit into the buffer of the library, which
// breaks an escape that does not.
func plainQP(b []byte) bool {
	for pos := 0; pos < len(b); {
		_, next := nextLine(b, pos)
		if next-pos >= 4<<10 {
			return false
		}
		pos = next
	}
	return true
}

// plainBase64 says whether there are neither spaces, with which words might
// be taken for base64, nor anything but line ends behind the padding.
func plainBase64(b []byte) bool {
	if i := bytes.IndexByte(b, '='); i >= 0 && len(bytes.Trim(b[i:], "=\r\n")) > 0 {
		return false
	}
	return bytes.IndexByte(b, ' ') < 0 && bytes.IndexByte(b, '\t') < 0
}

func isBase64(c byte) bool {
	return c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '+' || c == '/'
}

// base64Values maps a byte to its value, 0xFF for bytes outside the alphabet.
var base64Values = func() (t [256]byte) {
	for i := range t {
		t[i] = 0xFF
	}
	const abc = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	for i := range abc {
		t[abc[i]] = byte(i)
	}
	return t
}()

// decodeBase64 decodes what is there: bytes outside the alphabet are passed
// over (RFC 2045, section 6.8), several files one after the other are joined,
// and text that a list put behind the end is left out.
func decodeBase64(b []byte, emit func([]byte) bool) {
	out := make([]byte, 0, 3*1024)
	var acc uint32
	n, padded := 0, false
	for pos := 0; pos < len(b); {
		line, next := nextLine(b, pos)
		pos = next
		if padded && !base64Line(line) {
			if len(bytes.TrimSpace(line)) == 0 {
				continue
			}
			break
		}
		if n == 0 && proseLine(line) {
			break
		}
		for _, c := range line {
			v := base64Values[c]
			if v == 0xFF {
				if c == '=' {
					switch n {
					case 2:
						out = append(out, byte(acc>>4))
					case 3:
						out = append(out, byte(acc>>10), byte(acc>>2))
					}
					padded = padded || n > 0
					acc, n = 0, 0
				}
				continue
			}
			acc, n = acc<<6|uint32(v), n+1
			if n == 4 {
				out = append(out, byte(acc>>16), byte(acc>>8), byte(acc))
				acc, n = 0, 0
				if len(out)+3 > cap(out) {
					if !emit(out) {
						return
					}
					out = out[:0]
				}
			}
		}
	}
	switch n {
	case 2:
		out = append(out, byte(acc>>4))
	case 3:
		out = append(out, byte(acc>>10), byte(acc>>2))
	}
	if len(out) > 0 {
		emit(out)
	}
}

// proseLine says whether a line is words rather than base64: spaces within,
// and letters that make no whole groups of four.
func proseLine(line []byte) bool {
	line = bytes.TrimSpace(line)
	if bytes.IndexByte(line, ' ') < 0 {
		return false
	}
	n := 0
	for _, c := range line {
		if isBase64(c) || c == '=' {
			n++
		}
	}
	return n%4 != 0
}

// base64Line says whether a line after the padding is more base64.
func base64Line(line []byte) bool {
	line = bytes.TrimSpace(line)
	if len(line) == 0 || len(line)%4 != 0 {
		return false
	}
	for _, c := range bytes.TrimRight(line, "=") {
		if !isBase64(c) {
			return false
		}
	}
	return true
}

// decodeQP decodes quoted-printable (RFC 2045, section 6.7) of any length of
// line; what is no escape stays as it is.
func decodeQP(b []byte, emit func([]byte) bool) {
	out := make([]byte, 0, 4096)
	for pos := 0; pos < len(b); {
		line, next := nextLine(b, pos)
		ended := next > pos && b[next-1] == '\n'
		pos = next
		line = bytes.TrimRight(line, " \t\r")
		soft := len(line) > 0 && line[len(line)-1] == '='
		if soft {
			line = line[:len(line)-1]
		}
		for i := 0; i < len(line); i++ {
			c := line[i]
			if c == '=' && i+2 < len(line) && unhex(line[i+1]) >= 0 && unhex(line[i+2]) >= 0 {
				c = byte(unhex(line[i+1])<<4 | unhex(line[i+2]))
				i += 2
			}
			if out = append(out, c); len(out) == cap(out) {
				if !emit(out) {
					return
				}
				out = out[:0]
			}
		}
		if !soft && ended {
			if pos > 1 && b[pos-2] == '\r' {
				out = append(out, '\r')
			}
			out = append(out, '\n')
		}
		if len(out)+2 >= cap(out) {
			if !emit(out) {
				return
			}
			out = out[:0]
		}
	}
	if len(out) > 0 {
		emit(out)
	}
}
