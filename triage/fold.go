package triage

import "strings"

// phone undoes what phones and mail programs add to a line that was typed as a
// command: odd spaces, zero-width characters, a byte-order mark, curly quotes,
// long dashes. Look-alike letters stay as they are, so a line written with
// them is no command (T9).
func phone(line string) string {
	line = strings.Map(func(r rune) rune {
		switch r {
		case '\u00a0', '\u2007', '\u202f', '\u2009', '\u200a', '\u3000', '\t':
			return ' '
		case '\u200b', '\u200c', '\u200d', '\u2060', '\ufeff', '\u00ad', '\r', '\ufe0f':
			return -1
		case '“', '”', '„', '«', '»':
			return '"'
		case '‘', '’', '‚':
			return '\''
		case '‐', '‑', '‒', '–', '—', '−':
			return '-'
		}
		return r
	}, line)
	return strings.Join(strings.Fields(line), " ")
}

// bare is a line as a verb is compared: folded as phone does, quotes around it
// and one final full stop taken off, ASCII letters in lower case.
func bare(line string) string {
	s := phone(line)
	if len(s) > 1 && (s[0] == '"' || s[0] == '\'') && s[len(s)-1] == s[0] {
		s = s[1 : len(s)-1]
	}
	s = strings.TrimSuffix(s, ".")
	return lowerASCII(strings.TrimSpace(s))
}

// lowerASCII leaves letters beyond ASCII alone: the Kelvin sign is no k.
func lowerASCII(s string) string {
	b := []byte(s)
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}
