package mailin

import (
	"bytes"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxName is the longest file name kept, in bytes (T32).
const maxName = 150

// cleanName makes a file name fit for showing and saving (T32): the last
// element of a path, no controls, no invisible or direction-changing
// characters, none of the names that Windows reserves, a bounded length that
// leaves the extension to be seen. Empty if nothing remains.
func cleanName(s string) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	for _, esc := range []string{"%2f", "%2F", "%5c", "%5C"} {
		s = strings.ReplaceAll(s, esc, "/")
	}
	if i := strings.LastIndexAny(s, `/\`); i >= 0 {
		s = s[i+1:]
	}
	s = strings.Map(func(r rune) rune {
		switch {
		case r == '\t' || r == '\n' || r == '\r' || unicode.Is(unicode.Zs, r):
			return ' '
		case hidden(r):
			return -1
		case strings.ContainsRune(`<>"|?*`, r):
			return '_'
		}
		return r
	}, s)
	s = strings.TrimLeft(strings.Join(strings.Fields(s), " "), ". ")
	s = strings.TrimRight(s, ". ")
	// A colon names a device or a stream within a file. That of a drive stays:
	// in mail, "C:\TEMP\x" comes without its backslashes, which quote there.
	drive := 0
	if len(s) > 1 && s[1] == ':' && (s[0]|0x20 >= 'a' && s[0]|0x20 <= 'z') {
		drive = 2
	}
	s = s[:drive] + strings.ReplaceAll(s[drive:], ":", "_")
	if base, _, _ := strings.Cut(s[drive:], "."); reservedName(base) {
		s = "_" + s[drive:]
	}
	if len(s) > maxName {
		ext := ""
		if i := strings.LastIndexByte(s, '.'); i > 0 && len(s)-i <= 20 {
			s, ext = s[:i], s[i:]
		}
		s = cutRunes(s, maxName-len(ext)) + ext
	}
	return s
}

// reservedName says whether Windows takes the name for a device.
func reservedName(base string) bool {
	base = strings.ToUpper(strings.TrimSpace(base))
	switch base {
	case "CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$", "CLOCK$":
		return true
	}
	if r := []rune(base); len(r) == 4 && (strings.HasPrefix(base, "COM") || strings.HasPrefix(base, "LPT")) {
		return r[3] >= '1' && r[3] <= '9' || strings.ContainsRune("¹²³", r[3])
	}
	return false
}

// hidden is true for characters that a reader cannot see or that change what
// he sees: controls, direction marks, zero-width characters (T32, T33).
func hidden(r rune) bool {
	switch {
	case r < ' ' || r >= 0x7F && r < 0xA0:
		return true
	case r >= 0x200B && r <= 0x200F, r >= 0x202A && r <= 0x202E, r >= 0x2060 && r <= 0x206F, r == 0x061C, r == 0xFEFF, r == 0x00AD, r == 0x180E,
		r >= 0xFFF9 && r <= 0xFFFB, r >= 0xE0000 && r <= 0xE007F, r == 0x2028, r == 0x2029, r == 0x034F,
		r == 0x115F, r == 0x1160, r == 0x3164, r == 0xFFA0, r == 0x2800: // letters that are blank
		return true
	}
	return false
}

// cleanShown takes out of a name or subject what would mislead the eye (T33).
func cleanShown(s string) string {
	return strings.Map(func(r rune) rune {
		if hidden(r) {
			return -1
		}
		return r
	}, s)
}

// cutRunes cuts to at most n bytes, between characters.
func cutRunes(s string, n int) string {
	if len(s) <= n {
		return s
	}
	if n < 0 {
		n = 0
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// uuFile is a file that was written into the text by uuencode.
type uuFile struct {
	name string
	data []byte // still encoded, the lines between begin and end
}

// cutUU takes uuencoded files out of text. Only what has the exact form from
// "begin" to "end" is taken; a person may start a line with that word.
func cutUU(b []byte, max int) (text []byte, files []uuFile) {
	if !bytes.Contains(b, []byte("begin ")) {
		return b, nil
	}
	kept := 0
	for pos := 0; pos < len(b) && len(files) < max; {
		line, next := nextLine(b, pos)
		name, ok := uuBegin(line)
		if !ok {
			pos = next
			continue
		}
		end, after := uuEnd(b, next)
		if end < 0 {
			pos = after
			continue
		}
		text = append(text, b[kept:pos]...)
		files = append(files, uuFile{name: name, data: b[next:end]})
		kept, pos = after, after
	}
	if files == nil {
		return b, nil
	}
	return append(text, b[kept:]...), files
}

func uuBegin(line []byte) (name string, ok bool) {
	rest, ok := bytes.CutPrefix(line, []byte("begin "))
	if !ok || len(rest) < 5 {
		return "", false
	}
	n := 0
	for n < len(rest) && rest[n] >= '0' && rest[n] <= '7' {
		n++
	}
	if n < 3 || n > 4 || n >= len(rest) || rest[n] != ' ' {
		return "", false
	}
	name = cleanName(decodeWords(bytes.TrimSpace(rest[n:]), ""))
	return name, name != ""
}

// uuEnd finds the "end" of the file that starts at pos. Without one, after is
// where the lines ceased to be uuencoded, so that nothing is looked at twice.
func uuEnd(b []byte, pos int) (end, after int) {
	for pos < len(b) {
		line, next := nextLine(b, pos)
		line = bytes.TrimRight(line, " ")
		if string(line) == "end" {
			return pos, next
		}
		if len(line) > 0 {
			n := int(line[0]-' ') & 63
			want := (n + 2) / 3 * 4
			if line[0] < ' ' || line[0] > '`' || len(line)-1 > want+3 || len(line)-1 < want*3/4-4 {
				return -1, pos
			}
		}
		pos = next
	}
	return -1, len(b)
}

// decodeUU decodes uuencoded lines; lines that are none are passed over.
func decodeUU(b []byte, emit func([]byte) bool) {
	var out [64]byte
	for pos := 0; pos < len(b); {
		line, next := nextLine(b, pos)
		pos = next
		if len(line) == 0 || line[0] < ' ' || line[0] > '`' || bytes.HasPrefix(line, []byte("begin ")) || string(line) == "end" {
			continue
		}
		n := int(line[0]-' ') & 63
		at := func(i int) byte {
			if i < len(line) {
				return (line[i] - ' ') & 63 // trailing spaces are often lost
			}
			return 0
		}
		w := out[:0]
		for i := 1; len(w) < n; i += 4 {
			a, b, c, d := at(i), at(i+1), at(i+2), at(i+3)
			w = append(w, a<<2|b>>4, b<<4|c>>2, c<<6|d)
		}
		if n > 0 && !emit(w[:n]) {
			return
		}
	}
}
