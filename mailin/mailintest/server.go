// Package mailintest holds mail servers for tests: one that misbehaves on
// command, one in memory, and a real Dovecot where it is installed.
package mailintest

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// The account of every server in this package.
const (
	Username = "support@example.com"
	Password = "canary-Zx81-password"
)

// Capabilities that servers of this package may have.
const (
	Full   = "IMAP4rev1 IDLE MOVE UIDPLUS NAMESPACE SASL-IR AUTH=PLAIN"
	NoMove = "IMAP4rev1 IDLE UIDPLUS NAMESPACE SASL-IR AUTH=PLAIN"
	Bare   = "IMAP4rev1"
)

// Mail is one message in a folder.
type Mail struct {
	UID     uint32
	Raw     []byte
	Arrived time.Time
	Flags   []string
	Size    int // RFC822.SIZE to announce; 0: the truth
}

// Server is a small IMAP server that keeps a journal, and that misbehaves when
// a hook says so. Fields may be set before the first connection.
type Server struct {
	Capabilities string // Full by default
	Greeting     string // "* OK ready" by default
	Validity     uint32 // UIDVALIDITY of INBOX, 1 by default; 0 after NoValidity
	NoValidity   bool
	Quiet        bool        // never reports EXISTS
	Prefix       string      // of personal folders, such as "INBOX."
	TLS          *tls.Config // for STARTTLS

	// Before is asked before a command is handled, and handles it itself when
	// it gives true.
	Before func(c *Conn, cmd Command) (handled bool)

	mu      sync.Mutex
	folders map[string][]*Mail
	nextUID uint32
	journal []Command
	logins  []time.Time
	conns   map[*Conn]bool
	changed chan struct{} // closed and replaced when mail comes in
	closing chan struct{}
	work    sync.WaitGroup
	lns     []net.Listener
	healed  atomic.Bool
}

// Heal ends all misbehaviour: Before is asked no more.
func (s *Server) Heal() { s.healed.Store(true) }

// hook asks Before.
func (s *Server) hook(c *Conn, cmd Command) bool {
	return s.Before != nil && !s.healed.Load() && s.Before(c, cmd)
}

// Command is one line that a client sent.
type Command struct {
	Conn int // number of the connection, from 1
	Tag  string
	Verb string // in capitals, "UID FETCH"
	Args string
	At   time.Time
}

func (c Command) String() string { return strings.TrimSpace(c.Verb + " " + c.Args) }

// NewServer makes a server with an empty INBOX, which is closed at the end of
// the test.
func NewServer(t testing.TB) *Server {
	s := &Server{
		Capabilities: Full, Greeting: "* OK ready", Validity: 1,
		folders: map[string][]*Mail{"INBOX": nil}, nextUID: 1,
		conns: make(map[*Conn]bool), changed: make(chan struct{}), closing: make(chan struct{}),
	}
	t.Cleanup(s.Close)
	return s
}

// Close hangs up on everybody and waits until all is quiet.
func (s *Server) Close() {
	s.mu.Lock()
	select {
	case <-s.closing:
		s.mu.Unlock()
		return
	default:
	}
	close(s.closing)
	for _, ln := range s.lns {
		ln.Close()
	}
	for c := range s.conns {
		c.Close()
	}
	s.mu.Unlock()
	s.work.Wait()
}

// Listen serves on a loopback port, with TLS from the start when settings are
// given, and gives the address.
func (s *Server) Listen(t testing.TB, settings *tls.Config) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.mu.Lock()
	s.lns = append(s.lns, ln)
	s.mu.Unlock()
	s.work.Add(1)
	go func() {
		defer s.work.Done()
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			if settings != nil {
				conn = tls.Server(conn, settings)
			}
			s.start(conn)
		}
	}()
	return ln.Addr().String()
}

// Dial gives a connection through memory, for tests with a clock of their own
// (testing/synctest).
func (s *Server) Dial(ctx context.Context, _, _ string) (net.Conn, error) {
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	ours, theirs := net.Pipe()
	s.start(ours)
	return theirs, nil
}

func (s *Server) start(conn net.Conn) {
	c := &Conn{Conn: conn, server: s, done: make(chan struct{}), cut: -1}
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-s.closing:
		conn.Close()
		return
	default:
	}
	s.conns[c] = true
	s.logins = append(s.logins, time.Now())
	c.Number = len(s.logins)
	s.work.Add(1)
	go func() {
		defer s.work.Done()
		c.serve()
		c.Close()
		s.mu.Lock()
		delete(s.conns, c)
		s.mu.Unlock()
	}()
}

// Deliver puts a mail into a folder, and tells those who idle. It gives the
// UID.
func (s *Server) Deliver(folder string, raw []byte) uint32 {
	return s.Put(folder, Mail{Raw: raw, Arrived: time.Now()})
}

// Put puts a mail into a folder as it is told; the UID is dealt when 0, and it
// arrived now when it does not say.
func (s *Server) Put(folder string, m Mail) uint32 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if m.UID == 0 {
		m.UID = s.nextUID
	}
	s.nextUID = max(s.nextUID, m.UID+1)
	if m.Arrived.IsZero() {
		m.Arrived = time.Now()
	}
	s.folders[folder] = append(s.folders[folder], &m)
	close(s.changed)
	s.changed = make(chan struct{})
	return m.UID
}

// Remove takes a mail away behind everybody's back.
func (s *Server) Remove(folder string, uid uint32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.remove(folder, uid)
}

func (s *Server) remove(folder string, uid uint32) {
	s.folders[folder] = slices.DeleteFunc(s.folders[folder], func(m *Mail) bool { return m.UID == uid })
}

// DropFolder removes a folder with its mails.
func (s *Server) DropFolder(folder string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.folders, folder)
}

// Folder lists the mails of a folder.
func (s *Server) Folder(name string) []Mail {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []Mail
	for _, m := range s.folders[name] {
		c := *m
		c.Flags = slices.Clone(m.Flags)
		list = append(list, c)
	}
	return list
}

// HasFolder says whether there is such a folder.
func (s *Server) HasFolder(name string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.folders[name]
	return ok
}

// Journal gives what clients sent, in order. Secrets of a login are left out.
func (s *Server) Journal() []Command {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.journal)
}

// Verbs gives the journal's commands that begin so.
func (s *Server) Verbs(prefix string) []Command {
	return slices.DeleteFunc(s.Journal(), func(c Command) bool { return !strings.HasPrefix(c.String(), prefix) })
}

// Connections tells when connections were made.
func (s *Server) Connections() []time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.logins)
}

// Conn is one client's connection.
type Conn struct {
	net.Conn
	Number int // from 1

	server *Server
	br     *bufio.Reader
	folder string
	known  int // mails that the client was told of
	authed bool
	once   sync.Once
	done   chan struct{}
	cut    int // bytes that may still be sent; -1: all
	out    io.Writer
}

// Close ends the connection.
func (c *Conn) Close() error {
	c.once.Do(func() { close(c.done) })
	return c.Conn.Close()
}

// Stall says nothing more until the client hangs up or the server is closed.
// What the client sends is read and ignored, as by a peer that is stuck.
func (c *Conn) Stall() {
	io.Copy(io.Discard, c.br)
	c.Close()
}

// CutAfter closes the connection once n more bytes were sent.
func (c *Conn) CutAfter(n int) { c.cut = n }

// Send sends a line.
func (c *Conn) Send(format string, args ...any) { c.Raw([]byte(fmt.Sprintf(format, args...) + "\r\n")) }

// Raw sends bytes.
func (c *Conn) Raw(b []byte) {
	if c.out != nil {
		c.out.Write(b)
		return
	}
	if c.cut >= 0 && len(b) >= c.cut {
		c.Conn.Write(b[:c.cut])
		c.cut = 0
		c.Close()
		return
	}
	if c.cut > 0 {
		c.cut -= len(b)
	}
	c.Conn.Write(b)
}

// Answer gives what the server would answer, without sending it.
func (c *Conn) Answer(cmd Command) []byte {
	var b bytes.Buffer
	c.out = &b
	c.handle(cmd)
	c.out = nil
	return b.Bytes()
}

func (c *Conn) serve() {
	c.br = bufio.NewReader(c.Conn)
	s := c.server
	if s.hook(c, Command{Conn: c.Number, Verb: "CONNECT", At: time.Now()}) {
		return
	}
	c.Send("%s", s.Greeting)
	for {
		line, err := c.readLine()
		if err != nil {
			return
		}
		cmd := Command{Conn: c.Number, At: time.Now()}
		rest := ""
		cmd.Tag, rest, _ = strings.Cut(line, " ")
		cmd.Verb, cmd.Args, _ = strings.Cut(rest, " ")
		cmd.Verb = strings.ToUpper(cmd.Verb)
		if cmd.Verb == "UID" {
			verb, args, _ := strings.Cut(cmd.Args, " ")
			cmd.Verb, cmd.Args = "UID "+strings.ToUpper(verb), args
		}
		noted := cmd
		if cmd.Verb == "LOGIN" || cmd.Verb == "AUTHENTICATE" {
			noted.Args = ""
		}
		s.mu.Lock()
		s.journal = append(s.journal, noted)
		s.mu.Unlock()
		if s.hook(c, cmd) {
			continue
		}
		c.handle(cmd)
	}
}

// readLine reads a command, literals included, without its line end.
func (c *Conn) readLine() (string, error) {
	var b strings.Builder
	for {
		line, err := c.br.ReadString('\n')
		if err != nil {
			return "", err
		}
		line = strings.TrimRight(line, "\r\n")
		i := strings.LastIndexByte(line, '{')
		if i < 0 || !strings.HasSuffix(line, "}") {
			b.WriteString(line)
			return b.String(), nil
		}
		size := strings.TrimSuffix(line[i+1:len(line)-1], "+")
		n, err := strconv.Atoi(size)
		if err != nil {
			return "", err
		}
		b.WriteString(line[:i])
		if !strings.HasSuffix(line, "+}") {
			c.Send("+ go on")
		}
		lit := make([]byte, n)
		if _, err := io.ReadFull(c.br, lit); err != nil {
			return "", err
		}
		b.WriteString(strconv.Quote(string(lit)))
	}
}

// handle does what a well-behaved server does.
func (c *Conn) handle(cmd Command) {
	s := c.server
	ok := func(text string) { c.Send("%s OK %s", cmd.Tag, text) }
	switch cmd.Verb {
	case "CAPABILITY":
		c.Send("* CAPABILITY %s", s.Capabilities)
		ok("done")
	case "STARTTLS":
		if s.TLS == nil {
			c.Send("%s BAD unknown command", cmd.Tag)
			return
		}
		ok("begin")
		c.Conn = tls.Server(c.Conn, s.TLS)
		c.br = bufio.NewReader(c.Conn)
	case "LOGIN":
		c.login(cmd, Quoted(cmd.Args))
	case "AUTHENTICATE":
		_, ir, has := strings.Cut(cmd.Args, " ")
		if !has {
			c.Send("+ ")
			ir, _ = c.readLine()
		}
		plain, _ := base64.StdEncoding.DecodeString(ir)
		parts := strings.Split(string(plain), "\x00")
		c.login(cmd, parts[min(1, len(parts)):])
	case "NAMESPACE":
		c.Send(`* NAMESPACE (("%s" "%s")) NIL NIL`, s.Prefix, s.delim())
		ok("done")
	case "LIST":
		c.list(cmd)
	case "CREATE":
		name := Quoted(cmd.Args)[0]
		s.mu.Lock()
		_, there := s.folders[name]
		if !there {
			s.folders[name] = nil
		}
		s.mu.Unlock()
		if there {
			c.Send("%s NO [ALREADYEXISTS] it is there", cmd.Tag)
			return
		}
		ok("done")
	case "SELECT", "EXAMINE":
		c.selectFolder(cmd)
	case "IDLE":
		c.idle(cmd)
	case "LOGOUT":
		c.Send("* BYE see you")
		ok("done")
		c.Close()
	case "NOOP":
		c.report()
		ok("done")
	case "UID SEARCH":
		c.search(cmd)
	case "UID FETCH":
		c.fetch(cmd)
	case "UID STORE":
		c.store(cmd)
		ok("done")
	case "UID COPY", "UID MOVE":
		c.copy(cmd)
	case "UID EXPUNGE":
		c.expunge(Set(cmd.Args))
		ok("done")
	case "EXPUNGE":
		c.expunge(func(uint32, uint32) bool { return true })
		ok("done")
	case "SUBSCRIBE":
		ok("done")
	default:
		c.Send("%s BAD unknown command", cmd.Tag)
	}
}

func (s *Server) delim() string {
	if s.Prefix != "" {
		return s.Prefix[len(s.Prefix)-1:]
	}
	return "/"
}

func (c *Conn) login(cmd Command, who []string) {
	if len(who) < 2 || who[0] != Username || who[1] != Password {
		c.Send("%s NO [AUTHENTICATIONFAILED] wrong password", cmd.Tag)
		return
	}
	c.authed = true
	c.Send("%s OK [CAPABILITY %s] welcome", cmd.Tag, c.server.Capabilities)
}

func (c *Conn) list(cmd Command) {
	s := c.server
	words := Quoted(cmd.Args)
	pattern := words[len(words)-1]
	if pattern == "" {
		c.Send(`* LIST (\Noselect) "%s" ""`, s.delim())
	} else if s.HasFolder(pattern) {
		c.Send(`* LIST () "%s" "%s"`, s.delim(), pattern)
	}
	c.Send("%s OK done", cmd.Tag)
}

func (c *Conn) selectFolder(cmd Command) {
	s := c.server
	name := Quoted(cmd.Args)[0]
	if !s.HasFolder(name) {
		c.Send("%s NO [NONEXISTENT] no such folder", cmd.Tag)
		return
	}
	c.folder = name
	s.mu.Lock()
	c.known = len(s.folders[name])
	next := s.nextUID
	s.mu.Unlock()
	c.Send(`* FLAGS (\Seen \Deleted)`)
	c.Send(`* OK [PERMANENTFLAGS (\Seen \Deleted \*)] yours`)
	c.Send("* %d EXISTS", c.known)
	if !s.NoValidity {
		c.Send("* OK [UIDVALIDITY %d] valid", s.Validity)
	}
	c.Send("* OK [UIDNEXT %d] next", next)
	c.Send("%s OK [READ-WRITE] done", cmd.Tag)
}

// report tells of mail that came, as servers do between commands.
func (c *Conn) report() {
	s := c.server
	s.mu.Lock()
	n := len(s.folders[c.folder])
	s.mu.Unlock()
	if n > c.known && !s.Quiet {
		c.Send("* %d EXISTS", n)
	}
	c.known = n
}

func (c *Conn) idle(cmd Command) {
	if !strings.Contains(c.server.Capabilities, "IDLE") {
		c.Send("%s BAD unknown command", cmd.Tag)
		return
	}
	c.Send("+ idling")
	line := make(chan error, 1)
	c.server.work.Add(1)
	go func() {
		defer c.server.work.Done()
		_, err := c.br.ReadString('\n')
		line <- err
	}()
	for {
		c.server.mu.Lock()
		changed := c.server.changed
		c.server.mu.Unlock()
		c.report()
		select {
		case err := <-line:
			if err == nil {
				c.server.mu.Lock()
				c.server.journal = append(c.server.journal, Command{Conn: c.Number, Verb: "DONE", At: time.Now()})
				c.server.mu.Unlock()
				if c.server.hook(c, Command{Conn: c.Number, Tag: cmd.Tag, Verb: "DONE", At: time.Now()}) {
					return
				}
				c.Send("%s OK idled", cmd.Tag)
			}
			return
		case <-changed:
		case <-c.done:
			c.Conn.Close()
			<-line
			return
		}
	}
}

// each calls f for the mails of the open folder that are in the set.
func (c *Conn) each(set func(uid, last uint32) bool, f func(seq int, m *Mail)) {
	s := c.server
	s.mu.Lock()
	list := slices.Clone(s.folders[c.folder])
	s.mu.Unlock()
	var last uint32
	for _, m := range list {
		last = max(last, m.UID)
	}
	for i, m := range list {
		if set(m.UID, last) {
			f(i+1, m)
		}
	}
}

func (c *Conn) search(cmd Command) {
	set := func(uint32, uint32) bool { return true }
	without, before, since := "", time.Time{}, time.Time{}
	words := strings.Fields(cmd.Args)
	for i := 0; i+1 < len(words); i++ {
		switch arg := strings.Trim(words[i+1], `"()`); strings.Trim(words[i], `"()`) {
		case "UID":
			set = Set(arg)
		case "UNKEYWORD":
			without = arg
		case "BEFORE":
			before, _ = time.Parse("2-Jan-2006", arg)
		case "SINCE":
			since, _ = time.Parse("2-Jan-2006", arg)
		}
	}
	var b strings.Builder
	c.each(set, func(_ int, m *Mail) {
		if without != "" && m.has(without) || !before.IsZero() && !m.Arrived.Before(before) || m.Arrived.Before(since) {
			return
		}
		fmt.Fprintf(&b, " %d", m.UID)
	})
	c.Send("* SEARCH%s", b.String())
	c.Send("%s OK done", cmd.Tag)
}

func (m *Mail) has(flag string) bool {
	return slices.ContainsFunc(m.Flags, func(f string) bool { return strings.EqualFold(f, flag) })
}

// someFields is what asks for some header fields of a mail.
var someFields = regexp.MustCompile(`BODY\.PEEK\[(HEADER\.FIELDS \((.*?)\))\]<0\.`)

func (c *Conn) fetch(cmd Command) {
	set, items, _ := strings.Cut(cmd.Args, " ")
	c.each(Set(set), func(seq int, m *Mail) {
		size := m.Size
		if size == 0 {
			size = len(m.Raw)
		}
		var b bytes.Buffer
		fmt.Fprintf(&b, "* %d FETCH (UID %d", seq, m.UID)
		if strings.Contains(items, "FLAGS") {
			fmt.Fprintf(&b, " FLAGS (%s)", strings.Join(m.Flags, " "))
		}
		if strings.Contains(items, "INTERNALDATE") {
			fmt.Fprintf(&b, ` INTERNALDATE "%s"`, m.Arrived.Format("_2-Jan-2006 15:04:05 -0700"))
		}
		if strings.Contains(items, "RFC822.SIZE") {
			fmt.Fprintf(&b, " RFC822.SIZE %d", size)
		}
		if strings.Contains(items, "BODY.PEEK[]") {
			fmt.Fprintf(&b, " BODY[] {%d}\r\n%s", len(m.Raw), m.Raw)
		}
		if strings.Contains(items, "BODY.PEEK[HEADER]") {
			head, _, _ := bytes.Cut(m.Raw, []byte("\r\n\r\n"))
			fmt.Fprintf(&b, " BODY[HEADER]<0> {%d}\r\n%s\r\n\r\n", len(head)+4, head)
		}
		if section := someFields.FindStringSubmatch(items); section != nil {
			head, _, _ := bytes.Cut(m.Raw, []byte("\r\n\r\n"))
			var fields strings.Builder
			for line := range strings.SplitSeq(string(head), "\r\n") {
				if name, _, _ := strings.Cut(line, ":"); slices.ContainsFunc(strings.Fields(section[2]), func(f string) bool { return strings.EqualFold(strings.Trim(f, `"`), name) }) {
					fields.WriteString(line + "\r\n")
				}
			}
			fmt.Fprintf(&b, " BODY[%s]<0> {%d}\r\n%s\r\n", section[1], fields.Len()+2, fields.String())
		}
		b.WriteString(")\r\n")
		c.Raw(b.Bytes())
	})
	c.Send("%s OK done", cmd.Tag)
}

func (c *Conn) store(cmd Command) {
	set, what, _ := strings.Cut(cmd.Args, " ")
	_, list, _ := strings.Cut(what, "(")
	c.each(Set(set), func(_ int, m *Mail) {
		c.server.mu.Lock()
		defer c.server.mu.Unlock()
		for _, f := range strings.Fields(strings.TrimSuffix(list, ")")) {
			if !m.has(f) {
				m.Flags = append(m.Flags, f)
			}
		}
	})
}

func (c *Conn) copy(cmd Command) {
	s := c.server
	set, name, _ := strings.Cut(cmd.Args, " ")
	dest := Quoted(name)[0]
	if !s.HasFolder(dest) {
		c.Send("%s NO [TRYCREATE] no such folder", cmd.Tag)
		return
	}
	var gone []int
	c.each(Set(set), func(seq int, m *Mail) {
		s.mu.Lock()
		defer s.mu.Unlock()
		twin := *m
		twin.UID = s.nextUID
		s.nextUID++
		s.folders[dest] = append(s.folders[dest], &twin)
		if cmd.Verb == "UID MOVE" {
			s.remove(c.folder, m.UID)
			gone = append(gone, seq)
		}
	})
	for _, seq := range slices.Backward(gone) {
		c.Send("* %d EXPUNGE", seq)
		c.known--
	}
	c.Send("%s OK done", cmd.Tag)
}

func (c *Conn) expunge(set func(uid, last uint32) bool) {
	var gone []int
	c.each(set, func(seq int, m *Mail) {
		if m.has(`\Deleted`) {
			c.server.Remove(c.folder, m.UID)
			gone = append(gone, seq)
		}
	})
	for _, seq := range slices.Backward(gone) {
		c.Send("* %d EXPUNGE", seq)
		c.known--
	}
}

// Set reads a set of UIDs (RFC 3501, section 9, sequence-set).
func Set(s string) func(uid, last uint32) bool {
	return func(uid, last uint32) bool {
		number := func(s string) uint32 {
			if s == "*" {
				return last
			}
			n, _ := strconv.ParseUint(s, 10, 32)
			return uint32(n)
		}
		for part := range strings.SplitSeq(s, ",") {
			from, to, ranged := strings.Cut(part, ":")
			a := number(from)
			b := a
			if ranged {
				b = number(to)
			}
			if min(a, b) <= uid && uid <= max(a, b) {
				return true
			}
		}
		return false
	}
}

// Quoted splits arguments, quoted or not. There is always one.
func Quoted(s string) []string {
	var words []string
	for s = strings.TrimSpace(s); s != ""; s = strings.TrimSpace(s) {
		if s[0] != '"' {
			word, rest, _ := strings.Cut(s, " ")
			words, s = append(words, word), rest
			continue
		}
		var b strings.Builder
		i := 1
		for ; i < len(s) && s[i] != '"'; i++ {
			if s[i] == '\\' && i+1 < len(s) {
				i++
			}
			b.WriteByte(s[i])
		}
		words, s = append(words, b.String()), s[min(i+1, len(s)):]
	}
	if words == nil {
		words = []string{""}
	}
	return words
}
