// Package mailouttest has mail servers for tests: one that misbehaves on
// command and keeps a journal of what it really accepted, and a real Postfix
// in a folder of its own. The journal is the judge: what a client believes of
// a mail is compared with it.
package mailouttest

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

// Step is a point of the SMTP conversation at which the server can be told
// to misbehave.
type Step string

// The steps, in the order of a conversation.
const (
	Greeting Step = "greeting"
	EHLO     Step = "EHLO" // and HELO
	STARTTLS Step = "STARTTLS"
	AUTH     Step = "AUTH"
	MAIL     Step = "MAIL"
	RCPT     Step = "RCPT"
	DATA     Step = "DATA"
	Body     Step = "body" // after 354, before the first line is read
	Dot      Step = "dot"  // the whole mail was read
	RSET     Step = "RSET"
	QUIT     Step = "QUIT"
)

// Event is a step that was reached.
type Event struct {
	Step     Step
	Conn     int    // of which connection, 1 for the first
	Nth      int    // how often this step was reached on all connections, 1 for the first time
	Line     string // the command as it came
	From, To string // of the transaction, as far as known
}

// Do is what the server does at a step. The zero value is what a good server
// does.
type Do struct {
	Reply  string // instead of the usual answer; lines without the last CRLF
	Accept bool   // at Dot, with a Reply or Drop: the mail is taken all the same
	Drop   bool   // close the connection, after Reply if there is one
	Stall  bool   // say nothing more, read nothing more
}

// Mail is one that the server accepted, for one recipient.
type Mail struct {
	Conn     int
	From, To string
	Data     []byte // with CRLF line ends, without dot-stuffing
	At       time.Time
}

// Options say what the server offers.
type Options struct {
	TLS                *tls.Config // nil: none
	Implicit           bool        // TLS from the first byte; else by STARTTLS
	Username, Password string      // empty: no AUTH offered
	Mechanisms         string      // "PLAIN LOGIN" if empty
	Extensions         []string    // further EHLO lines: "SMTPUTF8"
	LMTP               bool        // LHLO, and an answer for each recipient (RFC 2033)
	Behave             func(Event) Do
}

// Server is an SMTP server for tests.
type Server struct {
	Addr string // host:port on loopback; empty for NewServer

	opts Options
	ln   net.Listener
	wg   sync.WaitGroup
	stop chan struct{}

	mu     sync.Mutex
	behave func(Event) Do
	conns  map[net.Conn]bool
	count  int
	nth    map[Step]int
	mails  []Mail
	lines  []string
	news   chan struct{} // closed and renewed at each accepted mail
}

// NewServer makes a server that listens nowhere: Pipe gives connections to
// it. It stops with the test.
func NewServer(t testing.TB, o Options) *Server {
	t.Helper()
	s := &Server{
		opts: o, behave: o.Behave, stop: make(chan struct{}),
		conns: map[net.Conn]bool{}, nth: map[Step]int{}, news: make(chan struct{}),
	}
	t.Cleanup(s.Close)
	return s
}

// Start makes a server that listens on a free loopback port.
func Start(t testing.TB, o Options) *Server {
	t.Helper()
	s := NewServer(t, o)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("listen: %v", err)
	}
	s.ln, s.Addr = ln, ln.Addr().String()
	s.wg.Add(1)
	go func() {
		defer s.wg.Done()
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			s.take(c)
		}
	}()
	return s
}

// Pipe gives the client's end of a connection in memory.
func (s *Server) Pipe() net.Conn {
	client, server := net.Pipe()
	s.take(server)
	return client
}

func (s *Server) take(c net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-s.stop:
		_ = c.Close()
		return
	default:
	}
	s.count++
	n := s.count
	s.conns[c] = true
	s.wg.Add(1)
	go func() {
		defer s.wg.Done()
		s.serve(c, n)
		_ = c.Close()
		s.mu.Lock()
		delete(s.conns, c)
		s.mu.Unlock()
	}()
}

// Close ends all connections and waits for them.
func (s *Server) Close() {
	s.mu.Lock()
	select {
	case <-s.stop:
	default:
		close(s.stop)
	}
	if s.ln != nil {
		_ = s.ln.Close()
	}
	for c := range s.conns {
		_ = c.Close()
	}
	s.mu.Unlock()
	s.wg.Wait()
}

// Cut closes all connections, as a server does that restarts; new ones are
// taken.
func (s *Server) Cut() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		_ = c.Close()
	}
}

// Behave sets what the server does from now on; nil makes it a good server.
func (s *Server) Behave(f func(Event) Do) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.behave = f
}

// Mails gives what was accepted so far, in order.
func (s *Server) Mails() []Mail {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Mail(nil), s.mails...)
}

// Lines gives all commands that came, each as "1 MAIL FROM:<…>" with the
// number of its connection. Mail and sign-in data are not among them.
func (s *Server) Lines() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.lines...)
}

// Conns says how many connections there were.
func (s *Server) Conns() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.count
}

// Wait waits until n mails were accepted, half a minute at most.
func (s *Server) Wait(t testing.TB, n int) []Mail {
	t.Helper()
	limit := time.NewTimer(30 * time.Second)
	defer limit.Stop()
	for {
		s.mu.Lock()
		mails, news := append([]Mail(nil), s.mails...), s.news
		s.mu.Unlock()
		if len(mails) >= n {
			return mails
		}
		select {
		case <-news:
		case <-limit.C:
			t.Fatalf("%d mails came, want %d", len(mails), n)
		}
	}
}

// session is one connection.
type session struct {
	s        *Server
	n        int
	conn     net.Conn
	r        *bufio.Reader
	secure   bool
	from, to string
	rcpts    []string // those that were not refused
	open     bool     // a transaction is begun
}

func (s *Server) serve(c net.Conn, n int) {
	x := &session{s: s, n: n, conn: c}
	if s.opts.TLS != nil && s.opts.Implicit {
		x.conn, x.secure = tls.Server(c, s.opts.TLS), true
	}
	x.r = bufio.NewReader(x.conn)
	if !x.step(Greeting, "", "220 test ESMTP") {
		return
	}
	for {
		line, err := x.r.ReadString('\n')
		if err != nil {
			return
		}
		line = strings.TrimRight(line, "\r\n")
		if !x.command(line) {
			return
		}
	}
}

// step asks how to behave, and answers. It gives false when the connection
// is over.
func (x *session) step(step Step, line, usual string) bool {
	do := x.ask(step, line)
	if do.Reply == "" && !do.Drop {
		do.Reply = usual
	}
	return x.act(do)
}

func (x *session) ask(step Step, line string) Do {
	s := x.s
	s.mu.Lock()
	s.nth[step]++
	e := Event{Step: step, Conn: x.n, Nth: s.nth[step], Line: line, From: x.from, To: x.to}
	behave := s.behave
	s.mu.Unlock()
	if behave == nil {
		return Do{}
	}
	return behave(e)
}

func (x *session) act(do Do) bool {
	if do.Stall {
		<-x.s.stop
		return false
	}
	if do.Reply != "" {
		if _, err := io.WriteString(x.conn, do.Reply+"\r\n"); err != nil {
			return false
		}
	}
	return !do.Drop
}

func (x *session) command(line string) bool {
	verb, arg, _ := strings.Cut(line, " ")
	verb = strings.ToUpper(verb)
	shown := line
	if verb == "AUTH" {
		mech, _, _ := strings.Cut(arg, " ")
		shown = "AUTH " + mech
	}
	x.s.mu.Lock()
	x.s.lines = append(x.s.lines, fmt.Sprintf("%d %s", x.n, shown))
	x.s.mu.Unlock()
	switch verb {
	case "EHLO", "HELO", "LHLO":
		return x.step(EHLO, line, x.hello(verb))
	case "STARTTLS":
		do := x.ask(STARTTLS, line)
		if do != (Do{}) {
			return x.act(do)
		}
		if !x.act(Do{Reply: "220 go ahead"}) {
			return false
		}
		x.secured()
		return true
	case "AUTH":
		return x.auth(line, arg)
	case "MAIL":
		if x.open { // RFC 5321, section 4.1.4
			return x.act(Do{Reply: "503 5.5.1 nested MAIL command"})
		}
		x.open = true
		x.from, x.to, x.rcpts = angle(arg), "", nil
		return x.step(MAIL, line, "250 2.1.0 sender ok")
	case "RCPT":
		x.to = angle(arg)
		do := x.ask(RCPT, line)
		if do.Reply == "" && !do.Drop {
			do.Reply = "250 2.1.5 recipient ok"
		}
		if strings.HasPrefix(do.Reply, "2") {
			x.rcpts = append(x.rcpts, x.to)
		}
		return x.act(do)
	case "DATA":
		return x.data(line)
	case "RSET":
		x.from, x.to, x.rcpts, x.open = "", "", nil, false
		return x.step(RSET, line, "250 2.0.0 reset")
	case "NOOP":
		return x.act(Do{Reply: "250 2.0.0 here"})
	case "QUIT":
		x.step(QUIT, line, "221 2.0.0 bye")
		return false
	}
	return x.act(Do{Reply: "502 5.5.2 not understood"})
}

// secured goes on in TLS.
func (x *session) secured() {
	x.conn, x.secure = tls.Server(x.conn, x.s.opts.TLS), true
	x.r = bufio.NewReader(x.conn)
}

func (x *session) hello(verb string) string {
	if verb == "HELO" {
		return "250 test"
	}
	o := x.s.opts
	lines := append([]string{"test", "PIPELINING", "8BITMIME", "ENHANCEDSTATUSCODES"}, o.Extensions...)
	if o.TLS != nil && !x.secure {
		lines = append(lines, "STARTTLS")
	}
	if o.Username != "" {
		mechs := o.Mechanisms
		if mechs == "" {
			mechs = "PLAIN LOGIN"
		}
		lines = append(lines, "AUTH "+mechs)
	}
	var b strings.Builder
	for i, l := range lines {
		sep := "-"
		if i == len(lines)-1 {
			sep = " "
		}
		b.WriteString("250" + sep + l)
		if i < len(lines)-1 {
			b.WriteString("\r\n")
		}
	}
	return b.String()
}

func (x *session) auth(line, arg string) bool {
	mech, first, _ := strings.Cut(arg, " ")
	ask := func(prompt string) (string, bool) {
		if !x.act(Do{Reply: "334 " + base64.StdEncoding.EncodeToString([]byte(prompt))}) {
			return "", false
		}
		l, err := x.r.ReadString('\n')
		return strings.TrimRight(l, "\r\n"), err == nil
	}
	decode := func(s string) string {
		b, _ := base64.StdEncoding.DecodeString(s)
		return string(b)
	}
	ok := true
	var user, pass string
	switch strings.ToUpper(mech) {
	case "PLAIN":
		if first == "" {
			first, ok = ask("")
		}
		if p := strings.Split(decode(first), "\x00"); len(p) == 3 {
			user, pass = p[1], p[2]
		}
	case "LOGIN":
		var u, p string
		if u, ok = ask("Username:"); ok {
			p, ok = ask("Password:")
		}
		user, pass = decode(u), decode(p)
	default:
		return x.act(Do{Reply: "504 5.5.4 unknown mechanism"})
	}
	if !ok {
		return false
	}
	usual := "535 5.7.8 wrong name or password"
	if user == x.s.opts.Username && pass == x.s.opts.Password {
		usual = "235 2.7.0 welcome"
	}
	return x.step(AUTH, line, usual)
}

func (x *session) data(line string) bool {
	do := x.ask(DATA, line)
	if do != (Do{}) {
		return x.act(do)
	}
	if !x.act(Do{Reply: "354 go ahead"}) {
		return false
	}
	if do := x.ask(Body, ""); do != (Do{}) {
		return x.act(do)
	}
	var mail bytes.Buffer
	for {
		l, err := x.r.ReadBytes('\n')
		if err != nil {
			return false
		}
		if bytes.Equal(l, []byte(".\r\n")) {
			break
		}
		mail.Write(bytes.TrimPrefix(l, []byte(".")))
	}
	x.open = false
	do = x.ask(Dot, "")
	if do == (Do{}) {
		do = Do{Reply: "250 2.0.0 Ok: queued as TEST", Accept: true}
	}
	if do.Accept {
		x.s.mu.Lock()
		for _, to := range x.rcpts {
			x.s.mails = append(x.s.mails, Mail{Conn: x.n, From: x.from, To: to, Data: mail.Bytes(), At: time.Now()})
		}
		close(x.s.news)
		x.s.news = make(chan struct{})
		x.s.mu.Unlock()
	}
	if x.s.opts.LMTP && do.Reply != "" {
		do.Reply = strings.TrimSuffix(strings.Repeat(do.Reply+"\r\n", len(x.rcpts)), "\r\n")
	}
	return x.act(do)
}

// angle takes the address out of "FROM:<a@b> BODY=8BITMIME".
func angle(arg string) string {
	_, arg, _ = strings.Cut(arg, "<")
	i := strings.LastIndex(arg, ">")
	if i < 0 {
		return ""
	}
	return arg[:i]
}
