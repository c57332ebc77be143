package mailin

import (
	"bytes"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
)

// Limits on what a server may say (F15). The IMAP library has none: it would
// keep a line without end in memory.
const (
	maxLine       = 64 << 10 // bytes of a response, literals apart
	maxSearchLine = 4 << 20  // bytes of a SEARCH response: some 500,000 UIDs
	maxDepth      = 64       // lists within one another
	maxToken      = 4 << 10  // bytes of a literal that is no mail
	maxTalk       = 8 << 20  // bytes of all answers to a command that asks for no mail
)

// guard stands between the connection and the library. It ends the connection
// when the server breaks a limit, and when the library is about to send
// something that could destroy mail.
//
// Of the grammar (RFC 3501, section 9) it knows as much as it takes to find
// the ends of responses: lines, quoted strings and literals.
type guard struct {
	net.Conn
	raw    net.Conn     // the socket, closed at a violation
	budget atomic.Int64 // bytes that the server may still send
	moving atomic.Bool  // nothing but UID MOVE may be sent

	mu  sync.Mutex
	err error  // the violation
	bye string // what the server said when it hung up

	// The response being read. Only Read touches these.
	head  []byte // its first bytes
	tail  []byte // its last bytes since the last literal
	size  int    // its bytes, literals apart
	kind  kind
	depth int
	quote bool  // inside a quoted string
	esc   bool  // after a backslash there
	skip  int64 // bytes of a literal to come

	midCommand bool // the last Write did not end a line
}

// kind is how far the grammar matters for a response.
type kind int

const (
	unknown kind = iota
	text         // status responses and continuation requests: words for people
	data         // lists, strings, literals
	search       // numbers, many of them
)

const headLength, tailLength = 32, 128

func newGuard(conn, raw net.Conn) *guard {
	g := &guard{Conn: conn, raw: raw}
	g.allow(maxTalk)
	return g
}

// allow says how many bytes the server may send until the next call.
func (g *guard) allow(n int64) { g.budget.Store(n) }

// Err gives what the server or the library did wrong, or nil.
func (g *guard) Err() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.err
}

// Bye gives the server's last words, if it hung up with any.
func (g *guard) Bye() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.bye
}

func (g *guard) fail(err error) error {
	g.mu.Lock()
	if g.err == nil {
		g.err = err
	}
	err = g.err
	g.mu.Unlock()
	g.raw.Close()
	return err
}

func (g *guard) Read(p []byte) (int, error) {
	if err := g.Err(); err != nil {
		return 0, err
	}
	n, err := g.Conn.Read(p)
	if g.budget.Add(int64(-n)) < 0 {
		return 0, g.fail(&Violation{What: "sent more than was asked for"})
	}
	if v := g.inspect(p[:n]); v != nil {
		return 0, g.fail(v)
	}
	return n, err
}

// inspect follows the stream.
func (g *guard) inspect(p []byte) error {
	for len(p) > 0 {
		if g.skip > 0 {
			n := min(g.skip, int64(len(p)))
			g.skip -= n
			p = p[n:]
			continue
		}
		i := bytes.IndexByte(p, '\n') + 1
		if i == 0 {
			i = len(p)
		}
		if err := g.piece(p[:i]); err != nil {
			return err
		}
		p = p[i:]
	}
	return nil
}

// piece takes a part of a response up to and with its line end.
func (g *guard) piece(p []byte) error {
	g.size += len(p)
	if n := headLength - len(g.head); n > 0 {
		g.head = append(g.head, p[:min(n, len(p))]...)
	}
	if g.tail = append(g.tail, p[max(0, len(p)-tailLength):]...); len(g.tail) > tailLength {
		g.tail = append(g.tail[:0], g.tail[len(g.tail)-tailLength:]...)
	}
	if g.kind == unknown {
		g.kind = kindOf(g.head)
	}
	limit := maxLine
	if g.kind == search {
		limit = maxSearchLine
	}
	if g.size > limit {
		return &Violation{What: fmt.Sprintf("sent a line of more than %d bytes", limit)}
	}
	if g.kind != text {
		if err := g.structure(p); err != nil {
			return err
		}
	}
	if p[len(p)-1] == '\n' {
		return g.lineEnd()
	}
	return nil
}

// kindOf tells from its beginning what a response is.
func kindOf(head []byte) kind {
	if len(head) > 0 && head[0] == '+' {
		return text
	}
	words := bytes.FieldsFunc(head, func(r rune) bool { return r <= ' ' })
	if len(words) < 2 || len(words) == 2 && len(head) < headLength && head[len(head)-1] > ' ' {
		return unknown // the second word may go on
	}
	switch strings.ToUpper(string(words[1])) {
	case "OK", "NO", "BAD", "BYE", "PREAUTH":
		return text
	case "SEARCH":
		return search
	}
	if string(words[0]) != "*" {
		return text // tagged, and of no known form: the library ends it
	}
	return data
}

// structure counts lists and follows quoted strings.
func (g *guard) structure(p []byte) error {
	for _, b := range p {
		switch {
		case g.esc:
			g.esc = false
		case g.quote && b == '\\':
			g.esc = true
		case b == '"':
			g.quote = !g.quote
		case g.quote && b == '\n':
			if g.kind == data {
				return &Violation{What: "broke a line inside a string"}
			}
			g.quote = false
		case g.quote:
		case b == '(':
			if g.depth++; g.depth > maxDepth {
				return &Violation{What: fmt.Sprintf("sent lists within one another, deeper than %d", maxDepth)}
			}
		case b == ')':
			g.depth--
		}
	}
	return nil
}

// lineEnd looks whether a literal follows; else the response is over.
func (g *guard) lineEnd() error {
	before, n, ok := literal(g.tail)
	if ok && g.kind != text {
		mail := bytes.HasSuffix(before, []byte("] ")) || bytes.HasSuffix(before, []byte("> "))
		mail = mail && bytes.Contains(bytes.ToUpper(before), []byte("BODY["))
		switch {
		case !mail && n > maxToken:
			return &Violation{What: fmt.Sprintf("sent a string of %d bytes", n)}
		case n > g.budget.Load()+tailLength+4096: // what the library has read ahead
			return &Violation{What: fmt.Sprintf("sent %d bytes where fewer were asked for", n), Literal: n}
		}
		g.skip, g.tail = n, g.tail[:0]
		return nil
	}
	if head := bytes.ToUpper(g.head); bytes.HasPrefix(head, []byte("* BYE")) {
		g.mu.Lock()
		g.bye = clean(strings.TrimSpace(string(g.tail)))
		g.mu.Unlock()
	}
	g.head, g.tail, g.size, g.kind = g.head[:0], g.tail[:0], 0, unknown
	g.depth, g.quote, g.esc = 0, false, false
	return nil
}

// literal reads the announcement of a literal at the end of a line: {123}.
func literal(line []byte) (before []byte, n int64, ok bool) {
	line, ok = bytes.CutSuffix(bytes.TrimRight(line, "\r\n"), []byte("}"))
	i := bytes.LastIndexByte(line, '{')
	if !ok || i < 0 {
		return nil, 0, false
	}
	n, err := strconv.ParseInt(string(line[i+1:]), 10, 64)
	return line[:i], n, err == nil && n >= 0
}

// Write sends what the library has made of a command, unless that could
// destroy mail (F13): its Move falls back to COPY, STORE and EXPUNGE without
// looking at the answers, when the server takes back the MOVE it advertised.
func (g *guard) Write(p []byte) (int, error) {
	if err := g.Err(); err != nil {
		return 0, err
	}
	if !g.midCommand {
		_, command, _ := strings.Cut(string(p[:min(len(p), 64)]), " ")
		command = strings.ToUpper(strings.TrimRight(command, "\r\n"))
		move := strings.HasPrefix(command, "UID MOVE ")
		if g.moving.Load() && !move || command == "EXPUNGE" || command == "CLOSE" {
			word, _, _ := strings.Cut(command, " ")
			return 0, g.fail(&Violation{What: "took back its MOVE; not sent: " + word})
		}
	}
	if len(p) > 0 {
		g.midCommand = p[len(p)-1] != '\n'
	}
	return g.Conn.Write(p)
}

// Violation says that the server does not keep to the protocol, or to what it
// was asked for.
type Violation struct {
	What    string // "sent a line of more than 65536 bytes"
	Literal int64  // bytes of the mail that was announced, if that was it
}

func (v *Violation) Error() string { return "the server " + v.What }
