package mailin

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"strings"
	"unicode/utf8"

	"github.com/emersion/go-message/textproto"
)

// field is one header field with its value unfolded and otherwise untouched.
type field struct {
	name  string // as written
	key   string // lower case
	value []byte
}

// header is a header block in the order written.
type header []field

// get gives the first value of a field, nil where there is none.
func (h header) get(key string) []byte {
	for i := range h {
		if h[i].key == key {
			return h[i].value
		}
	}
	return nil
}

func (h header) has(key string) bool { return h.count(key) > 0 }

func (h header) count(key string) int {
	n := 0
	for i := range h {
		if h[i].key == key {
			n++
		}
	}
	return n
}

// text gives the first value of a field, decoded for people.
func (h header) text(key string) string {
	return h.decode(h.get(key))
}

// decode decodes a value out of this block. Raw 8-bit bytes are read in the
// charset that the block names for its body, since the same program wrote both.
func (h header) decode(value []byte) string {
	if value == nil {
		return ""
	}
	hint := ""
	if !isASCII(value) && !utf8.Valid(value) {
		_, params := parseParams(h.get("content-type"))
		hint = params["charset"]
	}
	return strings.TrimSpace(cleanLine(decodeWords(value, hint)))
}

// headerCut says what a block lost to the limits.
type headerCut struct {
	junk int  // lines that are no header field
	cut  bool // the limits were met, fields are missing
	open bool // the block had no empty line at its end
}

// splitHeader cuts a message or part into header fields and body, in one pass.
func splitHeader(raw []byte, limits Limits) (h header, body []byte, cut headerCut) {
	block, body, cut := mendHeader(raw, limits)
	h, err := readHeader(block)
	if err != nil {
		cut.junk++ // the fields before the line that was refused are there
	}
	return h, body, cut
}

// mendHeader finds the header block and gives a copy of it that go-message can
// read. The library refuses the whole mail for one bad line, and has no limit
// for the header of a part. Mended is what programs get wrong: leading empty
// lines, an mbox separator, CRCRLF and bare LF, lines without a colon, names
// that are not ASCII, a missing empty line.
func mendHeader(raw []byte, limits Limits) (block, body []byte, cut headerCut) {
	raw = skipLead(raw)
	pos, used := 0, 0
	fields, last := 0, 0 // how many are kept, and where the last one begins
	for pos < len(raw) {
		line, next := nextLine(raw, pos)
		if len(line) == 0 {
			return block, raw[next:], cut
		}
		full := cut.cut
		room := !full && used+len(line) <= limits.HeaderBytes
		switch n := fieldName(line); {
		case line[0] == ' ' || line[0] == '\t':
			if fields == 0 && !full {
				line = bytes.TrimLeft(line, " \t") // it continues nothing
				if n = fieldName(line); n == 0 {
					cut.junk++
					break
				}
				fields++
				block = appendField(block, line, n)
				break
			}
			if len(bytes.TrimSpace(line)) == 0 && !headerGoesOn(raw, next) {
				return block, raw[next:], cut
			}
			if room {
				block = appendLine(block, line)
			}
		case n > 0:
			if !room || fields >= limits.Fields {
				cut.cut = true
				break
			}
			fields, last = fields+1, len(block)
			block = appendField(block, line, n)
		case headerGoesOn(raw, next):
			// A line that lost its leading white space, or rubbish: in
			// doubt it belongs to the field above, which it cannot harm.
			cut.junk++
			if fields > 0 && room && isWrapped(block[last:], line) {
				block = appendLine(append(block, ' '), line)
			}
		default:
			cut.open = true
			return block, raw[pos:], cut
		}
		used += next - pos
		if used > limits.HeaderBytes {
			cut.cut = true
		}
		pos = next
	}
	return block, nil, cut
}

func appendLine(block, line []byte) []byte {
	return append(append(block, line...), '\r', '\n')
}

// appendField writes a question mark for each byte of the name that no field
// name may have (RFC 5322, section 2.2).
func appendField(block, line []byte, n int) []byte {
	start := len(block)
	block = appendLine(block, line)
	for i, c := range block[start : start+n] {
		if c >= utf8.RuneSelf {
			block[start+i] = '?'
		}
	}
	return block
}

// isWrapped says whether a line without a colon reads as the rest of the
// field above: a parameter, or the end of an unclosed one.
func isWrapped(above, line []byte) bool {
	name, value, _ := bytes.Cut(above, []byte(":"))
	value = bytes.TrimSpace(value)
	return len(value) == 0 || value[len(value)-1] == ';' || bytes.IndexByte(line, '=') > 0 && len(name) > 8 && bytes.EqualFold(name[:8], []byte("content-"))
}

// readHeader has go-message read a mended block, which it unfolds.
func readHeader(block []byte) (header, error) {
	if len(block) == 0 {
		return nil, nil
	}
	read, err := textproto.ReadHeader(bufio.NewReaderSize(bytes.NewReader(block), min(len(block), 4<<10)))
	h := make(header, 0, read.Len())
	for fields := read.Fields(); fields.Next(); {
		name := fields.Key() // in one spelling
		if raw, err := fields.Raw(); err == nil {
			raw, _, _ = bytes.Cut(raw, []byte(":"))
			name = string(bytes.TrimRight(raw, " \t"))
		}
		h = append(h, field{name: name, key: strings.ToLower(name), value: []byte(fields.Value())})
	}
	return h, err
}

// nextLine gives the line at pos without its end, and where the next begins.
// Any number of CR before the LF belongs to the line's end (CRCRLF).
func nextLine(b []byte, pos int) (line []byte, next int) {
	i := bytes.IndexByte(b[pos:], '\n')
	if i < 0 {
		return bytes.TrimRight(b[pos:], "\r"), len(b)
	}
	return bytes.TrimRight(b[pos:pos+i], "\r"), pos + i + 1
}

// maxFieldName is far above any real name; a longer one is text.
const maxFieldName = 128

// fieldName gives the length of the name before the colon, with white space
// before the colon counted (RFC 5322, section 4.5 has it); 0: no field.
func fieldName(line []byte) int {
	if len(line) > maxFieldName {
		line = line[:maxFieldName]
	}
	n := bytes.IndexByte(line, ':')
	if n <= 0 {
		return 0
	}
	name := bytes.TrimRight(line[:n], " \t")
	if len(name) == 0 {
		return 0
	}
	for _, c := range name {
		if c <= ' ' || c == 0x7F {
			return 0
		}
	}
	return n
}

// headerGoesOn looks a few lines ahead: is this still the header? Text may
// contain a colon, so only names of the kind that headers have count.
func headerGoesOn(b []byte, pos int) bool {
	for i := 0; i < 3 && pos < len(b); i++ {
		line, next := nextLine(b, pos)
		if len(line) == 0 {
			return false
		}
		if n := fieldName(line); n > 0 && isHeaderName(line[:n]) {
			return true
		}
		pos = next
	}
	return false
}

// isHeaderName knows the names that open a line of a real header block.
func isHeaderName(b []byte) bool {
	name := strings.ToLower(strings.TrimRight(string(b), " \t"))
	for _, p := range []string{"content-", "x-", "resent-", "list-", "received", "dkim-", "arc-", "authentication-", "mime-", "return-", "delivered-", "auto-", "thread-", "disposition-", "importance", "reply-", "in-reply-to", "message-id", "user-agent"} {
		if strings.HasPrefix(name, p) {
			return true
		}
	}
	switch name {
	case "from", "to", "cc", "bcc", "subject", "date", "sender", "references", "priority", "precedence", "organization",
		"comments", "keywords", "status", "lines", "errors-to", "newsgroups", "path", "encoding", "sensitivity":
		return true
	}
	return false
}

// skipLead drops what may stand before the first field: empty lines, a byte
// order mark, the separator line of an mbox file.
func skipLead(raw []byte) []byte {
	raw = bytes.TrimPrefix(raw, []byte("\xEF\xBB\xBF"))
	for len(raw) > 0 {
		line, next := nextLine(raw, 0)
		switch {
		case len(bytes.TrimSpace(line)) == 0:
		case bytes.HasPrefix(line, []byte("From ")) || bytes.HasPrefix(line, []byte(">From ")):
			if n := fieldName(line); n > 0 {
				return raw
			}
		default:
			return raw
		}
		if bytes.HasPrefix(line, []byte("From ")) || bytes.HasPrefix(line, []byte(">From ")) {
			return raw[next:]
		}
		raw = raw[next:]
	}
	return raw
}

// decodeWords decodes the encoded words of RFC 2047 one by one, wherever they
// stand (programs put them into quotes and against other text). A word that
// cannot be decoded stays as it is. The hint is the charset of raw 8-bit text.
//
// Linear, since no word is longer than maxWord.
func decodeWords(b []byte, hint string) string {
	if !bytes.Contains(b, []byte("=?")) {
		return decodeRawHeader(b, hint)
	}
	var out strings.Builder
	var words []encodedWord // adjacent ones, waiting to be joined
	flush := func() {
		for i := 0; i < len(words); {
			// A character may be cut in two by adjacent words of one charset.
			j, data := i+1, words[i].data
			for j < len(words) && words[j].charset == words[i].charset {
				data = append(data, words[j].data...)
				j++
			}
			if s, ok := decodeWordBytes(words[i].charset, data); ok {
				out.WriteString(s)
			} else {
				for k := i; k < j; k++ {
					out.Write(words[k].raw)
				}
			}
			i = j
		}
		words = words[:0]
	}
	plain, pos := 0, 0
	for {
		i := bytes.Index(b[pos:], []byte("=?"))
		if i < 0 {
			break
		}
		i += pos
		w, end := scanWord(b, i)
		if end == 0 {
			pos = i + 2
			continue
		}
		between := b[plain:i]
		if len(words) > 0 && len(bytes.TrimSpace(between)) == 0 {
			between = nil // RFC 2047, section 6.2: white space between words is not shown
		} else {
			flush()
		}
		out.WriteString(decodeRawHeader(between, hint))
		words = append(words, w)
		plain, pos = end, end
	}
	flush()
	out.WriteString(decodeRawHeader(b[plain:], hint))
	return out.String()
}

type encodedWord struct {
	charset string
	data    []byte
	raw     []byte
}

// maxWord is far above the 75 bytes that an encoded word may have (RFC 2047,
// section 2); programs put a whole subject into one.
const maxWord = 1000

// scanWord reads the encoded word at i. An end of 0 means that there is none.
func scanWord(b []byte, i int) (w encodedWord, end int) {
	rest := b[i+2 : min(len(b), i+maxWord)]
	head := rest
	if len(head) > 80 {
		head = head[:80]
	}
	q := bytes.IndexByte(head, '?')
	if q <= 0 || q+2 >= len(rest) || rest[q+2] != '?' || bytes.ContainsAny(head[:q], " \t=\"<>@,") {
		return w, 0
	}
	enc, data := rest[q+1]|0x20, rest[q+3:]
	if enc != 'b' && enc != 'q' {
		return w, 0
	}
	e := bytes.Index(data, []byte("?="))
	if e < 0 {
		return w, 0
	}
	end = i + 2 + q + 3 + e + 2
	w = encodedWord{charset: charsetLabel(string(rest[:q])), raw: b[i:end]}
	if data = data[:e]; enc == 'b' {
		w.data = decodeWordBase64(data)
	} else {
		w.data = decodeWordQ(data)
	}
	if w.data == nil && e > 0 {
		return w, 0
	}
	return w, end
}

func decodeWordBase64(b []byte) []byte {
	clean := make([]byte, 0, len(b))
	for _, c := range b {
		switch {
		case c == '-':
			clean = append(clean, '+')
		case c == '_':
			clean = append(clean, '/')
		case isBase64(c):
			clean = append(clean, c)
		case c == '=' || c == ' ' || c == '\t':
		default:
			return nil
		}
	}
	if len(clean)%4 == 1 {
		clean = clean[:len(clean)-1]
	}
	out := make([]byte, base64.RawStdEncoding.DecodedLen(len(clean)))
	n, err := base64.RawStdEncoding.Decode(out, clean)
	if err != nil {
		return nil
	}
	return out[:n]
}

func decodeWordQ(b []byte) []byte {
	out := make([]byte, 0, len(b))
	for i := 0; i < len(b); i++ {
		switch c := b[i]; {
		case c == '_':
			out = append(out, ' ')
		case c == '=' && i+2 < len(b) && unhex(b[i+1]) >= 0 && unhex(b[i+2]) >= 0:
			out = append(out, byte(unhex(b[i+1])<<4|unhex(b[i+2])))
			i += 2
		default:
			out = append(out, c)
		}
	}
	return out
}

// decodeWordBytes refuses what the charset's label does not bear out.
func decodeWordBytes(label string, data []byte) (string, bool) {
	switch label {
	case "utf-8", "us-ascii":
		s, _ := decodeText(label, data)
		return s, true
	case "iso-2022-kr":
		s, _ := decodeText(label, data)
		return s, true
	case "utf-7":
		s, hidden := decodeUTF7(data)
		return s, !hidden
	}
	s, err := toUTF8(label, data)
	if err != nil {
		return "", false
	}
	return s, true
}

// decodeRawHeader reads header text that is not encoded.
func decodeRawHeader(b []byte, hint string) string {
	if len(b) == 0 {
		return ""
	}
	if utf8.Valid(b) && !bytes.Contains(b, []byte("\x1b$")) {
		return string(b)
	}
	if hint != "" {
		if out, err := toUTF8(charsetLabel(hint), b); err == nil && !strings.ContainsRune(out, utf8.RuneError) {
			return out
		}
	}
	return decodeGuessed(b)
}

func unhex(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}

// maxParams bounds the parameters of one field that are looked at.
const maxParams = 200

// parseParams reads a field of the form "value; name=value; …" (RFC 2045,
// section 5.1, with the continuations and charsets of RFC 2231) and forgives
// what programs write: missing semicolons, spaces and raw 8-bit bytes in
// values without quotes, quotes never closed. The value comes in lower case
// without comments; of a repeated parameter the first counts. A parameter's
// text is decoded.
func parseParams(b []byte) (value string, params map[string]string) {
	value, list := splitParams(b)
	params = make(map[string]string, len(list))
	type piece struct {
		text    []byte
		encoded bool
	}
	pieces := map[string]map[int]piece{}
	for _, p := range list {
		name, num, encoded, ok := splitParamName(p.name)
		if !ok {
			if _, dup := params[p.name]; !dup {
				params[p.name] = cleanLine(decodeWords(p.text, ""))
			}
			continue
		}
		if pieces[name] == nil {
			pieces[name] = map[int]piece{}
		}
		if _, dup := pieces[name][num]; !dup {
			pieces[name][num] = piece{p.text, encoded}
		}
	}
	for name, set := range pieces {
		var data []byte
		charset, any := "", false
		for i := 0; i < maxParams; i++ {
			p, ok := set[i]
			if !ok {
				if i == 0 {
					continue // some programs count from 1
				}
				if !any && i == 1 {
					continue
				}
				break
			}
			t := p.text
			if p.encoded {
				if !any {
					if c := bytes.SplitN(t, []byte("'"), 3); len(c) == 3 {
						charset, t = string(c[0]), c[2]
					}
				}
				t = unescapePercent(t)
			}
			any = true
			data = append(data, t...)
		}
		if !any {
			continue
		}
		if charset == "" {
			params[name] = cleanLine(decodeWords(data, ""))
		} else {
			s, _ := decodeText(charset, data)
			params[name] = cleanLine(s)
		}
	}
	return value, params
}

type param struct {
	name string // lower case
	text []byte
}

// splitParams does the lexical half of parseParams.
func splitParams(b []byte) (value string, list []param) {
	b = bytes.TrimLeft(b, " \t;")
	i := bytes.IndexAny(b, "; \t,(\"")
	// "text/html charset=utf-8" lacks its semicolon; "text / html" has
	// spaces that do not belong there.
	if i >= 0 && (b[i] == ' ' || b[i] == '\t') {
		j := i + len(b[i:]) - len(bytes.TrimLeft(b[i:], " \t"))
		if j < len(b) && (b[j] == '/' || b[i-1] == '/') {
			if k := bytes.IndexAny(bytes.TrimLeft(b[j:], "/ \t"), "; \t,(\""); k >= 0 {
				i = len(b) - len(bytes.TrimLeft(b[j:], "/ \t")) + k
			} else {
				i = -1
			}
		}
	}
	if i < 0 {
		return lowerType(b), nil
	}
	value, b = lowerType(b[:i]), b[i:]
	for len(list) < maxParams {
		b = bytes.TrimLeft(b, "; \t,\r\n\"")
		if len(b) == 0 {
			break
		}
		if b[0] == '(' {
			b = skipComment(b)
			continue
		}
		eq := bytes.IndexAny(b, "=;")
		if eq < 0 {
			break
		}
		if b[eq] == ';' {
			b = b[eq+1:]
			continue
		}
		name := bytes.TrimSpace(b[:eq])
		if j := bytes.LastIndexAny(name, " \t,("); j >= 0 {
			name = name[j+1:]
		}
		p := param{name: strings.ToLower(string(name))}
		p.text, b = paramValue(bytes.TrimLeft(b[eq+1:], " \t"), p.name)
		if p.name != "" {
			list = append(list, p)
		}
	}
	return value, list
}

// paramValue reads one value and gives what follows it.
func paramValue(b []byte, name string) (text, rest []byte) {
	if len(b) > 0 && b[0] == '"' {
		if t, rest, ok := quotedString(b); ok {
			// A quote inside a name that was not escaped: name="a "b" c".
			if r := bytes.TrimLeft(rest, " \t"); len(r) > 0 && r[0] != ';' && r[0] != '(' && r[0] != ',' && bytes.IndexByte(cutAt(r, ';'), '"') >= 0 && bytes.IndexByte(cutAt(r, ';'), '=') < 0 {
				whole := cutAt(b[1:], ';')
				return bytes.Trim(bytes.TrimSpace(whole), `"`), b[1+len(whole):]
			}
			return t, rest
		}
		b = b[1:]
	}
	end := bytes.IndexByte(b, ';')
	if end < 0 {
		end = len(b)
	}
	text, rest = b[:end], b[end:]
	// No semicolon before the next parameter: "charset=a name=b".
	if name != "filename" && name != "name" {
		if i := bytes.IndexAny(text, " \t("); i > 0 {
			text, rest = b[:i], b[i:]
		}
	} else if i := bytes.LastIndexByte(text, '='); i > 0 {
		if j := bytes.LastIndexAny(text[:i], " \t"); j > 0 && isToken(text[j+1:i]) && knownParam(string(text[j+1:i])) {
			text, rest = b[:j], b[j:]
		}
	}
	return bytes.Trim(bytes.TrimSpace(text), `"`), rest
}

func knownParam(name string) bool {
	switch strings.ToLower(strings.TrimRight(name, "*")) {
	case "name", "filename", "charset", "boundary", "size", "type", "format", "delsp", "x-mac-type", "x-mac-creator", "x-unix-mode":
		return true
	}
	return false
}

func cutAt(b []byte, c byte) []byte {
	if i := bytes.IndexByte(b, c); i >= 0 {
		return b[:i]
	}
	return b
}

// quotedString reads a quoted-string (RFC 5322, section 3.2.4) at the start
// of b; a quoted pair stands for its second character.
func quotedString(b []byte) (text, rest []byte, ok bool) {
	endless := false // an escape into Japanese is never left again
	for i := 1; i < len(b); i++ {
		switch b[i] {
		case '\\':
			if i+1 < len(b) {
				i++
				text = append(text, b[i])
			}
		case '"':
			return text, b[i+1:], true
		case 0x1B:
			// ISO-2022-JP written raw: what follows the escape are pairs
			// of printable bytes, a quote or backslash among them.
			j := i
			if i+2 < len(b) && b[i+1] == '$' && !endless {
				if e := bytes.Index(b[i:], []byte("\x1b(")); e > 0 {
					j = i + e + 2
				} else {
					endless = true
				}
			}
			if j >= len(b) {
				j = len(b) - 1
			}
			text = append(text, b[i:j+1]...)
			i = j
		default:
			text = append(text, b[i])
		}
	}
	return nil, b, false
}

// skipComment drops a comment in parentheses, nested ones with it.
func skipComment(b []byte) []byte {
	depth := 0
	for i := 0; i < len(b); i++ {
		switch b[i] {
		case '\\':
			i++
		case '(':
			depth++
		case ')':
			if depth--; depth == 0 {
				return b[i+1:]
			}
		}
	}
	return nil
}

func lowerType(b []byte) string {
	s := strings.ToLower(cleanLine(decodeGuessed(b)))
	return strings.Trim(strings.ReplaceAll(strings.ReplaceAll(s, " ", ""), "\t", ""), `"';:`)
}

func isToken(b []byte) bool {
	if len(b) == 0 {
		return false
	}
	for _, c := range b {
		if c <= ' ' || c >= 0x7F || strings.IndexByte(`()<>@,;:\"/[]?=`, c) >= 0 {
			return false
		}
	}
	return true
}

// splitParamName takes "filename*1*" apart (RFC 2231, sections 3 and 4).
func splitParamName(s string) (name string, num int, encoded, ok bool) {
	name, rest, ok := strings.Cut(s, "*")
	if !ok {
		return s, 0, false, false
	}
	if rest == "" {
		return name, 0, true, true
	}
	rest, encoded = strings.CutSuffix(rest, "*")
	if len(rest) == 0 || len(rest) > 3 {
		return s, 0, false, false
	}
	for _, c := range rest {
		if c < '0' || c > '9' {
			return s, 0, false, false
		}
		num = num*10 + int(c-'0')
	}
	return name, num, encoded, true
}

func unescapePercent(b []byte) []byte {
	out := make([]byte, 0, len(b))
	for i := 0; i < len(b); i++ {
		if b[i] == '%' && i+2 < len(b) && unhex(b[i+1]) >= 0 && unhex(b[i+2]) >= 0 {
			out = append(out, byte(unhex(b[i+1])<<4|unhex(b[i+2])))
			i += 2
			continue
		}
		out = append(out, b[i])
	}
	return out
}
