package mailin

import (
	"bytes"
	"strconv"
	"strings"
)

// part is one node of the MIME tree.
type part struct {
	path     string // "2.1"; of a message's only part "1"; of uuencoded files there "0.u1"
	header   header
	cut      headerCut
	typ      string            // media type in lower case, as it counts
	params   map[string]string // of Content-Type
	disp     string            // "inline", "attachment", …
	name     string            // file name, cleaned
	encoding string            // transfer encoding: "", "base64", "quoted-printable", "x-uuencode"
	body     []byte            // as it came, still encoded
	children []*part           // of a multipart
	enclosed *part             // of message/rfc822: the mail inside
	preamble []byte            // text before the first boundary
	uu       bool              // body is what stood between begin and end
	fault    string            // what was odd, for people
	noType   bool              // there was no usable Content-Type field
	files    []*part           // uuencoded files found in the text
	charset  string
	own      bool // a text here is the mail's own, though it may have a name
}

// walker builds the tree and holds the limits on the way.
type walker struct {
	limits    Limits
	parts     int
	headers   int   // bytes of header blocks kept so far: four large ones, or two hundred small ones
	decoded   int64 // bytes that decodings gave so far
	faults    []string
	seen      map[string]bool
	ambiguous bool
	open      []string // boundaries of the multiparts around the one being read
	text      int      // bytes of text, or of HTML if that is more, read so far
}

func (w *walker) fault(s string) {
	if s == "" || w.seen[s] || len(w.faults) >= 50 {
		return
	}
	if w.seen == nil {
		w.seen = map[string]bool{}
	}
	w.seen[s] = true
	w.faults = append(w.faults, s)
}

// buffer is a run of raw mail with the places of all lines that could be a
// boundary. The places are found once, however deep the parts are nested.
type buffer struct {
	b     []byte
	marks []int
}

func (w *walker) newBuffer(b []byte) *buffer {
	s := &buffer{b: b}
	for pos := 0; pos < len(b); {
		if b[pos] == '-' && pos+1 < len(b) && b[pos+1] == '-' {
			if len(s.marks) == maxMarks {
				w.doubt("too many lines that could be boundaries")
				break
			}
			s.marks = append(s.marks, pos)
		}
		i := bytes.IndexByte(b[pos:], '\n')
		if i < 0 {
			break
		}
		pos += i + 1
	}
	return s
}

// doubt notes a fault that another program may repair in another way (T29).
func (w *walker) doubt(s string) {
	w.fault(s)
	w.ambiguous = true
}

// maxMarks bounds the lines that are looked at as boundaries.
const maxMarks = 200_000

// message reads a whole mail, the top one or an enclosed one.
func (w *walker) message(raw []byte, path string, depth int) *part {
	return w.read(w.newBuffer(raw), 0, len(raw), path, depth, "text/plain", true)
}

// read reads the part that lies between two offsets.
func (w *walker) read(s *buffer, from, to int, path string, depth int, defaultType string, top bool) *part {
	w.parts++
	p := &part{path: path}
	limits := w.limits
	limits.HeaderBytes = min(limits.HeaderBytes, max(0, 4*limits.HeaderBytes-w.headers))
	h, body, cut := splitHeader(s.b[from:to], limits)
	w.headers += min(to-from-len(body), limits.HeaderBytes)
	if !top {
		// What looks like an mbox line or stray field in a part is text.
		if len(h) > 0 && !anyKnown(h) && !cut.cut && (cut.open || !w.plausible(h)) {
			h, body, cut = nil, s.b[from:to], headerCut{}
		}
	}
	p.header, p.body, p.cut = h, body, cut
	if cut.cut {
		w.doubt("a header block is larger than the limit and was cut")
	}
	if cut.junk > 0 {
		w.fault("header lines without a colon")
	}
	p.describe(w, defaultType)
	p.own = top
	start := to - len(body)
	switch {
	case strings.HasPrefix(p.typ, "multipart/"):
		w.multipart(p, s, start, to, depth)
	case p.isMessage():
		w.enclose(p, s, start, to, depth)
	case top && p.noType && !p.cut.cut:
		w.sniffTop(p, s, start, to, depth)
	}
	return p
}

// plausible says whether a part's fields without one known name still look
// like a header: every name is a word with a hyphen.
func (w *walker) plausible(h header) bool {
	for _, f := range h {
		if !strings.Contains(f.key, "-") {
			return false
		}
	}
	return true
}

func anyKnown(h header) bool {
	for _, f := range h {
		if isHeaderName([]byte(f.name)) {
			return true
		}
	}
	return false
}

// describe reads the fields that say what the part is.
func (p *part) describe(w *walker, defaultType string) {
	h := p.header
	for _, k := range []string{"content-type", "content-transfer-encoding", "content-disposition"} {
		// T29: programs differ in which one they obey.
		if n := h.count(k); n > 1 && !sameValues(h, k) {
			w.doubt("several " + k + " fields")
		}
	}
	ct := h.get("content-type")
	p.typ, p.params = parseParams(ct)
	if doubled(ct, "boundary") {
		w.doubt("two boundaries in one Content-Type")
	}
	if !validType(p.typ) {
		if ct != nil {
			p.typ = repairType(p.typ)
			if len(bytes.TrimSpace(ct)) > 0 {
				w.fault("unreadable Content-Type")
			}
		}
		if p.typ == "" {
			p.typ, p.noType = defaultType, true
		}
	}
	p.charset = p.params["charset"]
	disp, dp := parseParams(h.get("content-disposition"))
	p.disp = disp
	for _, n := range []string{dp["filename"], p.params["name"], dp["name"], p.params["filename"], p.params["file"]} {
		if p.name = cleanName(n); p.name != "" {
			break
		}
	}
	var known bool
	p.encoding, known = transferEncoding(h.get("content-transfer-encoding"))
	if !known {
		w.fault("unknown transfer encoding " + quoteShort(string(h.get("content-transfer-encoding"))))
	}
	if p.name == "" && p.params["access-type"] != "" {
		p.fault = "the file is kept elsewhere and was not fetched"
	}
}

func sameValues(h header, key string) bool {
	first := h.get(key)
	for _, f := range h {
		if f.key == key && !bytes.EqualFold(bytes.TrimSpace(f.value), bytes.TrimSpace(first)) {
			return false
		}
	}
	return true
}

// doubled says whether a parameter is given twice: with different values, or
// in different forms (RFC 2231), of which programs take one or the other.
func doubled(b []byte, name string) bool {
	if bytes.Count(bytes.ToLower(b), []byte(name)) < 2 {
		return false
	}
	const plain = -1
	seen := map[int][]byte{} // by the number of the piece
	_, list := splitParams(b)
	for _, p := range list {
		base, num, _, ok := splitParamName(p.name)
		if !ok {
			base, _, _ = strings.Cut(p.name, "*")
			num = plain
		}
		if base != name {
			continue
		}
		if text, again := seen[num]; again && !bytes.Equal(text, p.text) {
			return true
		}
		seen[num] = p.text
	}
	_, whole := seen[plain]
	return whole && len(seen) > 1
}

func validType(t string) bool {
	a, b, ok := strings.Cut(t, "/")
	return ok && isToken([]byte(a)) && isToken([]byte(b))
}

// repairType makes the best of a type that is none: "text", "pdf", "image/".
func repairType(t string) string {
	a, b, _ := strings.Cut(t, "/")
	b = strings.TrimFunc(b, func(r rune) bool { return !(r >= 'a' && r <= 'z' || r >= '0' && r <= '9') })
	if i := strings.IndexAny(b, "/<>@,:?\\[]()\""); i >= 0 {
		b = b[:i]
	}
	switch {
	case a == "text" && b == "html", a == "html":
		return "text/html"
	case a == "multipart":
		return "multipart/mixed"
	case isToken([]byte(a)) && isToken([]byte(b)):
		return a + "/" + b
	case a == "image" || a == "audio" || a == "video" || a == "application":
		return "application/octet-stream"
	}
	return ""
}

// transferEncoding names the encoding (RFC 2045, section 6) however sloppily
// it is written. What is unknown is read as it stands.
func transferEncoding(b []byte) (string, bool) {
	s := strings.ToLower(strings.TrimSpace(string(b)))
	s, _, _ = strings.Cut(s, ";")
	s, _, _ = strings.Cut(s, "(")
	s = strings.Trim(s, " \t\"',.:")
	switch {
	case s == "" || s == "7bit" || s == "8bit" || s == "binary" || s == "7-bit" || s == "8-bit" || s == "7 bit" || s == "8 bit" || s == "none":
		return "", true
	case strings.Contains(s, "base64") || s == "base-64" || s == "b64" || s == "b":
		return "base64", true
	case strings.Contains(s, "quoted") && strings.Contains(s, "printable") || s == "qp" || s == "q":
		return "quoted-printable", true
	case s == "x-uuencode" || s == "uuencode" || s == "x-uue" || s == "uue":
		return "x-uuencode", true
	case strings.HasPrefix(s, "7bit") || strings.HasPrefix(s, "8bit") || strings.HasPrefix(s, "utf") || strings.HasPrefix(s, "us-ascii"):
		return "", true
	}
	return "", false
}

func (p *part) isMessage() bool {
	return p.typ == "message/rfc822" || p.typ == "message/global" || p.typ == "message/news"
}

// enclose opens a mail inside the mail.
func (w *walker) enclose(p *part, s *buffer, from, to, depth int) {
	if depth >= w.limits.Depth || w.parts >= w.limits.Parts {
		w.fault("nested too deeply: the rest was not looked into")
		return
	}
	path := p.path + ".m"
	if p.encoding == "" {
		p.enclosed = w.read(s, from, to, path, depth+1, "text/plain", true)
		return
	}
	// RFC 2046, section 5.2.1, forbids the encoding; programs do it.
	if data := w.decode(p, 1<<20); len(data) > 0 {
		p.enclosed = w.message(data, path, depth+1)
	}
}

// multipart cuts a part into its children.
func (w *walker) multipart(p *part, s *buffer, from, to, depth int) {
	childType := "text/plain"
	if p.typ == "multipart/digest" {
		childType = "message/rfc822" // RFC 2046, section 5.1.5
	}
	if depth >= w.limits.Depth {
		w.doubt("nested too deeply: the rest was not looked into")
		p.typ, p.noType = "application/octet-stream", false
		p.fault = "nested too deeply"
		return
	}
	boundary := p.params["boundary"]
	for _, o := range w.open {
		if o != "" && boundary != "" && (strings.HasPrefix(o, boundary) || strings.HasPrefix(boundary, o)) {
			w.doubt("a boundary that is the beginning of another")
		}
	}
	w.open = append(w.open, boundary)
	defer func() { w.open = w.open[:len(w.open)-1] }()
	spans, pre, closed := w.split(s, from, to, boundary)
	if spans == nil {
		if p.encoding == "base64" || p.encoding == "quoted-printable" {
			// A multipart must not be encoded (RFC 2045, section 6.4), and is.
			if data := w.decode(p, int(min(w.limits.Decoded, 32<<20))); len(data) > 0 {
				inner := w.newBuffer(data)
				if got, pre, closed := w.split(inner, 0, len(data), boundary); got != nil {
					w.doubt("an encoded multipart")
					w.children(p, inner, got, pre, closed, childType, depth)
					return
				}
			}
		}
		if sniffed := w.sniffBoundary(s, from, to); sniffed != "" {
			w.doubt("the boundary was missing and had to be guessed")
			spans, pre, closed = w.split(s, from, to, sniffed)
		}
	}
	if spans == nil {
		w.fault("a multipart without parts")
		p.typ, p.noType = "text/plain", true
		if looksHTML(p.body) {
			p.typ = "text/html"
		}
		return
	}
	w.children(p, s, spans, pre, closed, childType, depth)
}

func (w *walker) children(p *part, s *buffer, spans []span, pre span, closed bool, childType string, depth int) {
	if !closed {
		w.fault("a multipart without its end")
	}
	p.preamble = s.b[pre.from:pre.to]
	for i, c := range spans {
		if w.parts >= w.limits.Parts {
			w.doubt("more than " + strconv.Itoa(w.limits.Parts) + " parts: the rest was not looked into")
			return
		}
		if c.from >= c.to && i == len(spans)-1 && len(spans) > 1 {
			continue
		}
		path := strconv.Itoa(i + 1)
		if p.path != "" && p.path != "0" {
			path = p.path + "." + path
		}
		c := w.read(s, c.from, c.to, path, depth+1, childType, false)
		// RFC 2387, section 3.2: the first part is the text, the others
		// belong to it.
		c.own = p.typ == "multipart/alternative" || p.typ == "multipart/related" && i == 0
		p.children = append(p.children, c)
	}
}

type span struct{ from, to int }

// split finds the parts between the lines of a boundary. A line counts if
// nothing but white space follows the boundary (RFC 2046, section 5.1.1), so
// that a boundary may be the beginning of another.
func (w *walker) split(s *buffer, from, to int, boundary string) (spans []span, pre span, closed bool) {
	boundary = strings.TrimRight(boundary, " \t")
	if boundary == "" {
		return nil, pre, false
	}
	find := func(match func(rest []byte) (ok, last bool)) {
		spans, pre, closed = nil, span{from, to}, false
		open := -1
		for i := s.firstMark(from); i < len(s.marks) && s.marks[i] < to; i++ {
			m := s.marks[i]
			if !hasPrefixAt(s.b, m+2, to, boundary) {
				continue
			}
			line, next := nextLine(s.b[:to], m)
			ok, last := match(line[min(len(line), 2+len(boundary)):])
			if !ok {
				continue
			}
			if open < 0 {
				pre.to = m
			} else {
				spans = append(spans, span{open, beforeMark(s.b, open, m)})
			}
			open = next
			if len(spans) > w.limits.Parts {
				return // children says that there are more
			}
			if last {
				// Text after the end is no part; but a second opening line
				// means that the "end" was not one.
				if w.opensAgain(s, i+1, to, boundary) {
					w.doubt("a boundary after the end of its multipart")
					continue
				}
				closed = true
				return
			}
		}
		if open >= 0 {
			spans = append(spans, span{open, to})
		}
	}
	find(func(rest []byte) (bool, bool) {
		if len(bytes.TrimSpace(rest)) == 0 {
			return true, false
		}
		r, last := bytes.CutPrefix(rest, []byte("--"))
		return last && len(bytes.TrimSpace(r)) == 0, last
	})
	if spans == nil {
		// No line is exact; take those that only begin with the boundary.
		find(func(rest []byte) (bool, bool) {
			return true, bytes.HasPrefix(rest, []byte("--"))
		})
		if spans != nil {
			w.doubt("boundary lines with text behind them")
		}
	}
	return spans, pre, closed
}

// opensAgain looks for an opening line after a closing one.
func (w *walker) opensAgain(s *buffer, i, to int, boundary string) bool {
	// Only the next few marks are looked at: this must not turn quadratic.
	for n := 0; n < 8 && i < len(s.marks) && s.marks[i] < to; i, n = i+1, n+1 {
		m := s.marks[i]
		if !hasPrefixAt(s.b, m+2, to, boundary) {
			continue
		}
		line, next := nextLine(s.b[:to], m)
		if len(bytes.TrimSpace(line[2+len(boundary):])) != 0 {
			continue
		}
		l, _ := nextLine(s.b[:to], next)
		if k := fieldName(l); k > 0 && isHeaderName(l[:k]) {
			return true
		}
	}
	return false
}

// firstMark is the index of the first mark at or after the offset.
func (s *buffer) firstMark(from int) int {
	lo, hi := 0, len(s.marks)
	for lo < hi {
		if mid := (lo + hi) / 2; s.marks[mid] < from {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo
}

func hasPrefixAt(b []byte, pos, to int, s string) bool {
	return pos+len(s) <= to && string(b[pos:pos+len(s)]) == s
}

// beforeMark drops the line end before a boundary: it belongs to the boundary.
func beforeMark(b []byte, from, m int) int {
	if m > from && b[m-1] == '\n' {
		m--
		for m > from && b[m-1] == '\r' {
			m--
		}
	}
	return max(m, from)
}

// sniffBoundary finds the line that serves as a boundary though no field
// names it: "--" and no spaces, with a header field or empty line after it.
func (w *walker) sniffBoundary(s *buffer, from, to int) string {
	for i, n := s.firstMark(from), 0; i < len(s.marks) && s.marks[i] < to && n < 20; i, n = i+1, n+1 {
		line, next := nextLine(s.b[:to], s.marks[i])
		b := bytes.TrimSpace(line[2:])
		if len(b) == 0 || len(b) > 200 || bytes.ContainsAny(b, " \t") || bytes.HasSuffix(b, []byte("--")) {
			continue
		}
		l, _ := nextLine(s.b[:to], next)
		if k := fieldName(l); k > 0 && strings.HasPrefix(strings.ToLower(string(l[:k])), "content-") {
			return string(b)
		}
	}
	return ""
}

// sniffTop looks at a mail without a usable Content-Type.
func (w *walker) sniffTop(p *part, s *buffer, from, to, depth int) {
	if len(p.header.get("content-type")) > 0 {
		if b := w.sniffBoundary(s, from, to); b != "" {
			p.typ = "multipart/mixed"
			p.params = map[string]string{"boundary": b}
			w.multipart(p, s, from, to, depth)
			return
		}
	}
	if looksHTML(p.body) {
		p.typ = "text/html"
	}
}

func looksHTML(b []byte) bool {
	b = bytes.TrimLeft(b, " \t\r\n")
	if len(b) > 200 {
		b = b[:200]
	}
	b = bytes.ToLower(b)
	return bytes.HasPrefix(b, []byte("<!doctype html")) || bytes.HasPrefix(b, []byte("<html")) || bytes.HasPrefix(b, []byte("<body")) || bytes.HasPrefix(b, []byte("<head"))
}

// unflow joins the lines of format=flowed text (RFC 3676): a space at the end
// says that the line goes on, as long as the depth of quoting is the same.
func unflow(s string, delSp bool) string {
	var out strings.Builder
	out.Grow(len(s))
	depth, open := 0, false
	for len(s) > 0 {
		line, rest, _ := strings.Cut(s, "\n")
		s = rest
		d := 0
		for d < len(line) && line[d] == '>' {
			d++
		}
		text := strings.TrimPrefix(line[d:], " ") // space-stuffing
		sig := text == "-- "
		if open && (d != depth || sig) {
			out.WriteByte('\n')
			open = false
		}
		if !open && d > 0 {
			out.WriteString(strings.Repeat(">", d))
			out.WriteByte(' ')
		}
		depth = d
		open = strings.HasSuffix(text, " ") && !sig
		if open && delSp {
			text = text[:len(text)-1]
		}
		out.WriteString(text)
		if !open {
			out.WriteByte('\n')
		}
	}
	return out.String()
}
