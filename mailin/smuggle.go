package mailin

import "bytes"

// smuggles says whether a mail holds a dot by itself between line ends of which
// one is not CRLF. Some servers take that for the end of a mail, and what
// follows for another one, which they then vouch for (T48). A mail that has no
// CRLF at all is one that was kept in a file.
func smuggles(raw []byte) bool {
	if !bytes.Contains(raw, []byte("\r\n")) {
		return false
	}
	for rest := raw; ; {
		i := bytes.IndexByte(rest, '.')
		if i < 0 {
			return false
		}
		at := len(raw) - len(rest) + i
		rest = rest[i+1:]
		before, after := endBefore(raw[:at]), endAfter(rest)
		if before != "" && after != "" && (before != "\r\n" || after != "\r\n") {
			return true
		}
	}
}

// endBefore gives the line end that stands last in b, empty for none.
func endBefore(b []byte) string {
	switch {
	case bytes.HasSuffix(b, []byte("\r\n")):
		return "\r\n"
	case bytes.HasSuffix(b, []byte("\n")):
		return "\n"
	case bytes.HasSuffix(b, []byte("\r")):
		return "\r"
	}
	return ""
}

// endAfter gives the line end that stands first in b, empty for none.
func endAfter(b []byte) string {
	switch {
	case bytes.HasPrefix(b, []byte("\r\n")):
		return "\r\n"
	case bytes.HasPrefix(b, []byte("\n")):
		return "\n"
	case bytes.HasPrefix(b, []byte("\r")):
		return "\r"
	}
	return ""
}
