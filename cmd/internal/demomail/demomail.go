// Package demomail is a mail server that lives in memory and on loopback: SMTP
// to hand mail in, IMAP to read it. `deskd demo` runs one so that anybody can
// try the desk without a mail account, and the tests of the whole daemon send
// and read through it.
//
// Every address at the server's domain has a mailbox, made at the first login
// or the first mail, and they all have the same password. The server behaves
// like an honest border: it takes Authentication-Results away from what comes
// in and writes its own on top, which says pass only where the one address in
// From is the one that logged in. It never passes mail on to another server:
// what is addressed elsewhere is kept in a mailbox of that address.
//
// Nothing here polls. A mail that is put into a mailbox wakes the sessions that
// idle on it and the calls of Wait.
package demomail

import (
	"bytes"
	"cmp"
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapserver"
	"github.com/emersion/go-smtp"
)

// Options say what the server is called, who is on which list and where it
// listens. The zero value is a server for example.com on free ports.
type Options struct {
	Domain     string              // whose addresses can log in; default example.com
	Domains    []string            // further domains whose addresses can log in; mail between them and Domain is vouched for alike
	AuthServer string              // the server's name in Authentication-Results, Received and greetings; default demo.<Domain>
	Password   string              // of every address; default demo
	Lists      map[string][]string // distribution lists: address → members, which may be lists themselves
	SMTP, IMAP string              // where to listen: a loopback address with a port, 0 for a free one; default 127.0.0.1:0
	Log        *slog.Logger        // default: nothing is logged
	Now        func() time.Time    // default time.Now

	// A server that lacks something, for tests of what its clients then do.
	NoMove    bool // no MOVE
	NoIdle    bool // no IDLE: a client that tries all the same is thrown out
	NoUIDPlus bool // no UID EXPUNGE, APPENDUID and COPYUID

	limits limits
}

// limits bound what the server holds. The zero value of a field means its
// default.
type limits struct {
	mail       int64 // bytes of one mail
	total      int64 // bytes of all mails, those on their way in among them
	mails      int   // mails in all mailboxes
	accounts   int   // addresses that have mailboxes
	folders    int   // folders of one address
	keywords   int   // different flags in one folder, beside the five of the system
	conns      int   // connections to each of the two listeners
	recipients int   // envelope recipients of one mail
	line       int   // octets of one line of SMTP
}

func (l limits) orDefaults() limits {
	return limits{
		mail:       cmp.Or(l.mail, 25<<20),
		total:      cmp.Or(l.total, 512<<20),
		mails:      cmp.Or(l.mails, 100_000),
		accounts:   cmp.Or(l.accounts, 2_000),
		folders:    cmp.Or(l.folders, 100),
		keywords:   cmp.Or(l.keywords, 50),
		conns:      cmp.Or(l.conns, 100),
		recipients: cmp.Or(l.recipients, 100),
		line:       cmp.Or(l.line, 64<<10),
	}
}

// ErrFull is what Deliver answers when a limit of the server is reached; a
// client is told to try again later.
var ErrFull = errors.New("the demo mail server is full")

// ErrTooLarge is what Deliver answers to a mail above 25 MiB.
var ErrTooLarge = errors.New("the mail is larger than the demo mail server takes")

// ErrClosed is what Deliver and Wait answer after Close.
var ErrClosed = errors.New("the demo mail server is closed")

// Server is a running mail server. Its methods may be called from any
// goroutine.
type Server struct {
	o       Options
	domains map[string]bool
	lists   map[string][]string
	log     *slog.Logger

	smtp, imap *listener
	serving    sync.WaitGroup // the two accept loops

	mu    sync.Mutex // guards stock and everything in it; never held while writing to a client
	stock stock
	taken atomic.Uint64 // mails, for the ids in Received
}

// Start listens and serves until Close. It answers only to loopback addresses;
// an address that cannot be listened on is named in the error together with
// the flag of `deskd demo` that sets another.
func Start(o Options) (*Server, error) {
	o.Domain = strings.ToLower(cmp.Or(o.Domain, "example.com"))
	o.AuthServer = strings.ToLower(cmp.Or(o.AuthServer, "demo."+o.Domain))
	o.Password = cmp.Or(o.Password, "demo")
	o.SMTP = cmp.Or(o.SMTP, "127.0.0.1:0")
	o.IMAP = cmp.Or(o.IMAP, "127.0.0.1:0")
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	o.limits = o.limits.orDefaults()

	s := &Server{o: o, log: o.Log, domains: map[string]bool{}, lists: map[string][]string{}}
	for _, d := range append([]string{o.Domain, o.AuthServer}, o.Domains...) {
		if !validDomain(strings.ToLower(d)) {
			return nil, fmt.Errorf("demo mail server: %q is no domain", d)
		}
	}
	s.domains[o.Domain] = true
	for _, d := range o.Domains {
		s.domains[strings.ToLower(d)] = true
	}
	for list, members := range o.Lists {
		name, err := parseAddress(list)
		if err != nil {
			return nil, fmt.Errorf("demo mail server: list: %w", err)
		}
		s.lists[name.String()] = []string{}
		for _, m := range members {
			member, err := parseAddress(m)
			if err != nil {
				return nil, fmt.Errorf("demo mail server: list %s: %w", name, err)
			}
			s.lists[name.String()] = append(s.lists[name.String()], member.String())
		}
	}
	s.stock = newStock(o.limits, o.Now)

	var err error
	if s.smtp, err = listen("SMTP", "--smtp", o.SMTP, o.limits.conns); err != nil {
		return nil, fmt.Errorf("demo mail server: %w", err)
	}
	if s.imap, err = listen("IMAP", "--imap", o.IMAP, o.limits.conns); err != nil {
		return nil, errors.Join(fmt.Errorf("demo mail server: %w", err), s.smtp.Close())
	}
	s.imap.filter = hideIdle(o.NoIdle)
	s.serve()
	return s, nil
}

func (s *Server) serve() {
	in := smtp.NewServer(smtp.BackendFunc(s.newSubmission))
	in.Domain = s.o.AuthServer
	in.AllowInsecureAuth = true              // loopback: there is no wire to listen on
	in.MaxMessageBytes = s.o.limits.mail + 1 // the library refuses a mail of just this size; deliver counts itself
	in.MaxRecipients = s.o.limits.recipients
	in.MaxLineLength = s.o.limits.line
	in.ReadTimeout = 5 * time.Minute
	in.WriteTimeout = time.Minute
	in.ErrorLog = libraryLog{s.log, "smtp"}

	out := imapserver.New(&imapserver.Options{
		NewSession:   s.newSession,
		Caps:         s.caps(),
		InsecureAuth: true,
		Logger:       libraryLog{s.log, "imap"},
	})
	// Both Serve until the listener is closed, which is the only way that they
	// end here: the error says nothing else.
	s.serving.Go(func() { _ = in.Serve(s.smtp) })
	s.serving.Go(func() { _ = out.Serve(s.imap) })
}

// SMTPAddr is the address that SMTP listens on, host:port.
func (s *Server) SMTPAddr() string { return s.smtp.Addr().String() }

// IMAPAddr is the address that IMAP listens on, host:port.
func (s *Server) IMAPAddr() string { return s.imap.Addr().String() }

// Close stops listening, ends all connections and calls of Wait, and waits for
// the end of what serves them. The mails can still be read with Mailbox.
func (s *Server) Close() error {
	s.mu.Lock()
	s.stock.close()
	s.mu.Unlock()
	err := errors.Join(s.smtp.Close(), s.imap.Close())
	s.serving.Wait()
	s.smtp.drain()
	s.imap.drain()
	return err
}

// Deliver takes a mail as if it had come by SMTP with the envelope sender from
// (empty for the null sender of a bounce) and the envelope recipients to.
// authenticated is the address that logged in before, empty for a mail from
// outside. Either every recipient gets a copy or, with an error, none.
func (s *Server) Deliver(from string, to []string, raw []byte, authenticated string) error {
	e := envelope{helo: "localhost", peer: "127.0.0.1"}
	if authenticated != "" {
		login, err := s.login(authenticated, s.o.Password)
		if err != nil {
			return fmt.Errorf("deliver: %w", err)
		}
		e.login = login
	}
	if from != "" {
		a, err := parseAddress(from)
		if err != nil {
			return fmt.Errorf("deliver: %w", err)
		}
		e.from = a.String()
	}
	for _, t := range to {
		a, err := parseAddress(t)
		if err != nil {
			return fmt.Errorf("deliver: %w", err)
		}
		e.to = append(e.to, a)
	}
	if err := s.deliver(e, raw); err != nil {
		return fmt.Errorf("deliver: %w", err)
	}
	return nil
}

// Mailbox returns what lies in a folder of an address, the oldest first; nil
// when there is no such folder. The empty folder is INBOX.
func (s *Server) Mailbox(addr, folder string) [][]byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	box := s.stock.find(base(addr), folder)
	if box == nil {
		return nil
	}
	raws := make([][]byte, 0, len(box.mails))
	for _, m := range box.mails {
		raws = append(raws, bytes.Clone(m.raw))
	}
	return raws
}

// Wait returns the first mail in a folder of an address that match says yes
// to, among those that are there and those that will come. match must not
// change the bytes, and is asked once about each mail. Wait ends with ctx and
// with the server.
func (s *Server) Wait(ctx context.Context, addr, folder string, match func(raw []byte) bool) ([]byte, error) {
	var (
		validity uint32
		last     imap.UID
	)
	for {
		var fresh [][]byte
		s.mu.Lock()
		if box := s.stock.find(base(addr), folder); box != nil {
			if box.validity != validity {
				validity, last = box.validity, 0
			}
			for _, m := range box.since(last) {
				fresh = append(fresh, m.raw)
				last = m.uid
			}
		}
		changed, closed := s.stock.changed, s.stock.closed
		s.mu.Unlock()

		for _, raw := range fresh {
			if match(raw) {
				return bytes.Clone(raw), nil
			}
		}
		if closed {
			return nil, fmt.Errorf("wait for a mail in %s of %s: %w", folderName(folder), addr, ErrClosed)
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for a mail in %s of %s: %w", folderName(folder), addr, context.Cause(ctx))
		}
	}
}

// errLogin says no to a login. It tells nobody which half was wrong.
var errLogin = errors.New("no such address or wrong password")

// login checks a name and a password, and returns the address of the account.
func (s *Server) login(name, password string) (string, error) {
	a, err := parseAddress(name)
	if err != nil || !s.domains[a.domain] ||
		subtle.ConstantTimeCompare([]byte(password), []byte(s.o.Password)) != 1 {
		return "", errLogin
	}
	return a.base(), nil
}

// expand replaces lists by their members, each address once, and keeps the
// order. A detail after + does not reach the members, as at an alias.
func (s *Server) expand(to []address) []address {
	var all []address
	seen := map[string]bool{}
	var add func(a address)
	add = func(a address) {
		if seen[a.String()] {
			return // named twice, or lists that hold one another
		}
		seen[a.String()] = true
		members, ok := s.lists[a.String()]
		if !ok {
			members, ok = s.lists[a.base()]
		}
		if !ok {
			all = append(all, a)
			return
		}
		for _, m := range members {
			if member, err := parseAddress(m); err == nil { // checked by Start
				add(member)
			}
		}
	}
	for _, a := range to {
		add(a)
	}
	return all
}

// deliver puts a copy of a mail into the INBOX of every recipient.
func (s *Server) deliver(e envelope, raw []byte) error {
	if int64(len(raw)) > s.o.limits.mail {
		return ErrTooLarge
	}
	if len(e.to) == 0 {
		return errors.New("no recipient")
	}
	now := s.o.Now()
	cleaned, result := s.receive(e, raw)
	id := s.taken.Add(1)
	recipients := s.expand(e.to)
	copies := make([][]byte, len(recipients))
	accounts := make([]string, len(recipients))
	var size int64
	for i, a := range recipients {
		copies[i] = append(s.trace(e, a, result, id, now), cleaned...)
		accounts[i] = a.base()
		size += int64(len(copies[i]))
	}

	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stock.closed {
		return ErrClosed
	}
	if !s.stock.room(accounts, len(recipients), size) {
		return ErrFull
	}
	for i, account := range accounts {
		s.stock.put(s.stock.open(account).inbox(), copies[i], nil, now)
	}
	s.log.Debug("mail taken", "to", accounts, "reason", "dmarc="+result.verdict)
	return nil
}

// listener is a loopback listener that knows its connections, so that Close
// can end them: the libraries do not know a connection yet when they have just
// accepted it.
type listener struct {
	net.Listener
	filter func([]byte) []byte // what to change of what the server writes, may be nil
	limit  int

	mu     sync.Mutex
	open   map[*conn]struct{}
	closed bool
	ending sync.WaitGroup
}

func listen(what, flag, addr string, limit int) (*listener, error) {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, fmt.Errorf("%s address %q (%s): %w", what, addr, flag, err)
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return nil, fmt.Errorf("%s address %q (%s): not a loopback address: this server has one password for all and no TLS, "+
			"use 127.0.0.1", what, addr, flag)
	}
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		remedy := "write another port after " + flag
		if errors.Is(err, syscall.EADDRINUSE) {
			remedy = "another program has it; " + remedy
		}
		return nil, fmt.Errorf("%s: listen for %s: %w; %s", flag, what, err, remedy)
	}
	if tcp, ok := ln.Addr().(*net.TCPAddr); !ok || !tcp.IP.IsLoopback() { // what localhost means is up to the hosts file
		return nil, errors.Join(fmt.Errorf("%s address %q (%s): not a loopback address", what, addr, flag), ln.Close())
	}
	return &listener{Listener: ln, limit: limit, open: map[*conn]struct{}{}}, nil
}

// Accept returns the next connection, and turns away those above the limit.
func (l *listener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		l.mu.Lock()
		if l.closed || len(l.open) >= l.limit {
			l.mu.Unlock()
			_ = c.Close() // nothing was promised on it
			continue
		}
		kept := &conn{Conn: c, owner: l}
		l.open[kept] = struct{}{}
		l.ending.Add(1)
		l.mu.Unlock()
		return kept, nil
	}
}

// Close stops listening and cuts all connections.
func (l *listener) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil
	}
	l.closed = true
	for c := range l.open {
		_ = c.Conn.Close() // the goroutine that serves it sees the cut and lets go
	}
	return l.Listener.Close()
}

// drain waits until all connections have been let go.
func (l *listener) drain() { l.ending.Wait() }

// conn is a connection that the listener counts until the goroutine that
// serves it closes it.
type conn struct {
	net.Conn
	owner *listener
	once  sync.Once
}

func (c *conn) Write(b []byte) (int, error) {
	if c.owner.filter == nil {
		return c.Conn.Write(b)
	}
	if _, err := c.Conn.Write(c.owner.filter(b)); err != nil {
		return 0, err
	}
	return len(b), nil
}

func (c *conn) Close() error {
	err := c.Conn.Close()
	c.once.Do(func() {
		c.owner.mu.Lock()
		delete(c.owner.open, c)
		c.owner.mu.Unlock()
		c.owner.ending.Done()
	})
	return err
}

// libraryLog receives what the protocol libraries have to say. It is about the
// other side: broken lines, cut connections.
type libraryLog struct {
	log   *slog.Logger
	about string
}

func (l libraryLog) Printf(format string, v ...any) {
	text := fmt.Sprintf(format, v...)
	if len(text) > 4<<10 {
		text = text[:4<<10]
	}
	l.log.Debug(l.about, "err", text)
}

func (l libraryLog) Println(v ...any) { l.Printf("%s", fmt.Sprint(v...)) }
