package mailin

import (
	"encoding/base64"
	"encoding/binary"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// decodeUTF7 reads UTF-7 (RFC 2152) as far as it writes what ASCII cannot. A
// run that hides ASCII is a second, invisible way to write it, which filters
// before us did not see, and stays as it came; so does one that does not
// decode. The second result says that there was such a run (T30).
func decodeUTF7(b []byte) (text string, hidden bool) {
	var out strings.Builder
	for i := 0; i < len(b); {
		c := b[i]
		i++
		switch {
		case c >= utf8.RuneSelf:
			out.WriteByte('?')
			continue
		case c != '+':
			out.WriteByte(c)
			continue
		}
		start := i
		for i < len(b) && isBase64(b[i]) {
			i++
		}
		run := b[start:i]
		ended := i < len(b) && b[i] == '-'
		letters, ok := shiftedLetters(run)
		switch {
		case len(run) == 0 && ended:
			out.WriteByte('+')
		case !ok:
			hidden = true
			out.Write(b[start-1 : i])
			continue
		default:
			out.WriteString(letters)
		}
		if ended {
			i++
		}
	}
	return out.String(), hidden
}

// shiftedLetters decodes a run of UTF-7: UTF-16 in base64 without padding. It
// refuses what is not that, and what holds ASCII.
func shiftedLetters(run []byte) (string, bool) {
	data := make([]byte, base64.RawStdEncoding.DecodedLen(len(run)))
	n, err := base64.RawStdEncoding.Strict().Decode(data, run)
	if err != nil || n == 0 || n%2 != 0 {
		return "", false
	}
	units := make([]uint16, n/2)
	for i := range units {
		units[i] = binary.BigEndian.Uint16(data[2*i:])
	}
	letters := utf16.Decode(units)
	for _, r := range letters {
		if r < utf8.RuneSelf || r == utf8.RuneError {
			return "", false
		}
	}
	return string(letters), true
}
