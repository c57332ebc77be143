//go:build unix

package desk_test

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"net/http/httptest"
	"net/mail"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"

	"deskd/cmd/internal/demomail"
	"deskd/store"
)

// scenario is a desk with its mail server, and what people have sent to it.
type scenario struct {
	t      *noted
	url    string // of the database
	server *demomail.Server
	sent   map[string]bool // Message-IDs of what was sent to the desk
	opens  map[string]bool // those of them that open a ticket
	from   []string        // who sent it
	// vanished are those that somebody took out of the folder, with their UIDs.
	vanished map[string]uint32

	deaths int     // so far
	found  figures // what judge has found
}

// noted is a test that remembers its complaints.
type noted struct {
	*testing.T
	mu     sync.Mutex
	faults []string
}

func note(t *testing.T) *noted { return &noted{T: t} }

func (n *noted) keep(fault string) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.faults = append(n.faults, fault)
	return fault
}

func (n *noted) Error(args ...any) {
	n.Helper()
	n.T.Error(n.keep(fmt.Sprint(args...)))
}

func (n *noted) Errorf(format string, args ...any) {
	n.Helper()
	n.T.Error(n.keep(fmt.Sprintf(format, args...)))
}

func (n *noted) Fatal(args ...any) {
	n.Helper()
	n.T.Fatal(n.keep(fmt.Sprint(args...)))
}

func (n *noted) Fatalf(format string, args ...any) {
	n.Helper()
	n.T.Fatal(n.keep(fmt.Sprintf(format, args...)))
}

// people are those whose mailboxes the desk's mails end up in: the senders and
// the other technician.
func (s *scenario) people() []string {
	return slices.Compact(slices.Sorted(slices.Values(append([]string{"hana@example.com", "henry@example.com"}, s.from...))))
}

// newScenario has the desk take its first mail, and more sent to it while it
// is away.
func newScenario(t *noted, url string, o demomail.Options) *scenario {
	t.Helper()
	s := openScenario(t, url, o)
	s.begin()
	return s
}

// openScenario has the first mail wait for a desk that was never started.
func openScenario(t *noted, url string, o demomail.Options) *scenario {
	t.Helper()
	server, err := demomail.Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	s := &scenario{t: t, url: url, server: server, sent: map[string]bool{}, opens: map[string]bool{}, vanished: map[string]uint32{}}
	s.send("ann@example.com", "Old request", "It is broken.", nil)
	return s
}

// begin has the desk take its first mail, and more sent to it afterwards.
func (s *scenario) begin() {
	s.t.Helper()
	first := life{Database: s.url, IMAP: s.server.IMAPAddr(), SMTP: s.server.SMTPAddr(), Owner: "desk", Mails: mailsBefore}
	if err := first.live(s.t.Context(), slog.New(slog.DiscardHandler), func(string) {}); err != nil {
		s.t.Fatalf("take the first mail: %v", err)
	}
	ack, notice := s.only("ann@example.com"), s.only("hana@example.com")
	for i := range ticketsIn {
		s.send(fmt.Sprintf("new%d@example.com", i+1), fmt.Sprintf("New request %d", i+1), strings.Repeat("The screen stays dark.\n", 30), nil)
	}
	s.send("ann@example.com", "Re: "+ack.Header.Get("Subject"), "It is still broken.", ack)
	s.send("hana@example.com", "Re: "+notice.Header.Get("Subject"), "in progress\nI look at the fuse.", notice)
}

// only gives the one mail that somebody has.
func (s *scenario) only(who string) *mail.Message {
	s.t.Helper()
	list := s.server.Mailbox(who, "")
	if len(list) != 1 {
		s.t.Fatalf("%s has %d mails, want 1", who, len(list))
	}
	m, err := mail.ReadMessage(bytes.NewReader(list[0]))
	if err != nil {
		s.t.Fatal(err)
	}
	return m
}

// send sends a mail to the desk as somebody who is signed in.
func (s *scenario) send(from, subject, text string, re *mail.Message) {
	s.t.Helper()
	id := fmt.Sprintf("%d.%s", len(s.sent)+1, strings.ReplaceAll(from, "@", ".at."))
	s.sent[id], s.from = true, append(s.from, from)
	var thread string
	if re == nil {
		s.opens[id] = true
	} else {
		thread = fmt.Sprintf("In-Reply-To: %s\nReferences: %[1]s\n", re.Header.Get("Message-Id"))
	}
	raw := fmt.Sprintf("From: %s\nTo: %s\nSubject: %s\nMessage-ID: <%s>\nDate: %s\n%s\n%s\n",
		from, support, subject, id, time.Now().Format(time.RFC1123Z), thread, text)
	if err := s.server.Deliver(from, []string{support}, []byte(strings.ReplaceAll(raw, "\n", "\r\n")), from); err != nil {
		s.t.Fatal(err)
	}
}

// remove takes a mail out of the desk's folder, as a person can.
func (s *scenario) remove(uid imap.UID) {
	s.t.Helper()
	c := s.inbox()
	defer c.Close()
	mark := &imap.StoreFlags{Op: imap.StoreFlagsAdd, Silent: true, Flags: []imap.Flag{imap.FlagDeleted}}
	if err := c.Store(imap.UIDSetNum(uid), mark, nil).Close(); err != nil {
		s.t.Fatal(err)
	}
	if err := c.Expunge().Close(); err != nil {
		s.t.Fatal(err)
	}
}

// strand files all that lies in the desk's folder, as a desk has done whose
// database is gone, and of whose last copy this one lives.
func (s *scenario) strand() {
	s.t.Helper()
	c := s.inbox()
	defer c.Close()
	if _, err := c.Move(imap.UIDSet{{Start: 1}}, "Done").Wait(); err != nil {
		s.t.Fatal(err)
	}
}

// inbox opens the desk's folder beside the desk.
func (s *scenario) inbox() *imapclient.Client {
	s.t.Helper()
	c, err := imapclient.DialInsecure(s.server.IMAPAddr(), nil)
	if err != nil {
		s.t.Fatal(err)
	}
	if err := c.Login(support, "demo").Wait(); err != nil {
		s.t.Fatal(err)
	}
	if _, err := c.Select("INBOX", nil).Wait(); err != nil {
		s.t.Fatal(err)
	}
	return c
}

// process is a life in a process of its own.
type process struct {
	cmd      *exec.Cmd
	stdin    io.WriteCloser // open while the process may live
	out      said
	log      bytes.Buffer
	toll     *toll // of its commits
	begun    chan struct{}
	stopping chan struct{} // closed when it has been told to stop, and knows
	ended    chan struct{}
}

func newProcess() *process {
	p := &process{begun: make(chan struct{}), stopping: make(chan struct{}), ended: make(chan struct{})}
	p.out.hear = p.hear
	return p
}

// said keeps what a process says, and tells of each line.
type said struct {
	all  bytes.Buffer
	told int // bytes of all
	hear func(line string)
}

func (s *said) Write(b []byte) (int, error) {
	s.all.Write(b)
	for {
		line, _, whole := strings.Cut(string(s.all.Bytes()[s.told:]), "\n")
		if !whole {
			return len(b), nil
		}
		s.told += len(line) + 1
		s.hear(line)
	}
}

func (p *process) hear(line string) {
	switch line {
	case saysStops:
		close(p.stopping)
	case saysAsks:
		if p.toll.effect() {
			_ = p.cmd.Process.Kill()
			return
		}
		_, _ = io.WriteString(p.stdin, "\n")
	}
}

// start begins a life in a process of its own.
func (s *scenario) start(l life) *process {
	s.t.Helper()
	p := newProcess()
	s.run(p, l)
	return p
}

func (s *scenario) run(p *process, l life) {
	s.t.Helper()
	given, err := json.Marshal(l)
	if err != nil {
		s.t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		s.t.Fatal(err)
	}
	p.cmd = exec.Command(self, "-test.run=^TestLife$", "-test.count=1", "-test.v=false")
	p.cmd.Env = append(os.Environ(), envLife+"="+string(given))
	p.cmd.Stdout, p.cmd.Stderr = &p.out, &p.log
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		s.t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	close(p.begun)
	go func() {
		defer close(p.ended)
		_ = p.cmd.Wait() // how it ended is in ProcessState
	}()
	s.t.Cleanup(func() {
		p.kill()
		if s.t.Failed() {
			s.t.Logf("%s of %+v\n%s%s", p.cmd.ProcessState, l, p.out.all.Bytes(), tail(p.log.Bytes()))
		}
	})
}

func tail(b []byte) []byte { return b[max(0, len(b)-20_000):] }

// kill ends the process as a power cut would, and waits for its end.
func (p *process) kill() {
	<-p.begun
	_ = p.cmd.Process.Kill()
	<-p.ended
}

// stop tells the process to stop, and waits until it knows.
func (p *process) stop() {
	<-p.begun
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.stopping:
	case <-p.ended:
	}
}

// end waits until the process has ended by itself.
func (p *process) end() bool {
	enough := time.NewTimer(patience)
	defer enough.Stop()
	select {
	case <-p.ended:
		return true
	case <-enough.C:
		p.kill()
		return false
	}
}

// killed says whether it was SIGKILL that ended the process.
func (p *process) killed() bool {
	status, ok := p.cmd.ProcessState.Sys().(syscall.WaitStatus)
	return ok && status.Signaled() && status.Signal() == syscall.SIGKILL
}

// died says whether the process killed itself at a point.
func (p *process) died(point string) bool {
	return p.killed() && strings.Contains(p.out.all.String(), "\n"+saysDies+point+"\n")
}

// die starts the desk and has it killed at its point. Mails go out once those
// that came in are filed, so that what it leaves is certain.
func (s *scenario) die(d death) {
	s.t.Helper()
	p := newProcess()
	var once sync.Once
	by := "itself"
	strike := func(who string) func() {
		return func() {
			once.Do(func() {
				if by = who; d.stop == onTheWire {
					p.stop()
				}
				p.kill()
			})
		}
	}
	gate := make(chan struct{})
	var removed, opened bool
	in := &between{upstream: s.server.IMAPAddr(), tagged: true, blow: d.imap, strike: strike("imap"), heard: func(line string) {
		_, command, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch {
		case strings.HasPrefix(command, "UID MOVE"), strings.HasPrefix(command, "UID STORE"):
			removed = true
		case command == "IDLE" && removed && !opened:
			opened = true
			close(gate)
		}
	}}
	out := &between{upstream: s.server.SMTPAddr(), open: gate, blow: d.smtp, strike: strike("smtp")}
	l := life{Point: d.point, Nth: d.nth, Stop: d.stop}
	if d.tls {
		c := certificate()
		in.secured, out.secured = c.server, c.server
		l.CA = filepath.Join(s.t.TempDir(), "ca.pem")
		if err := os.WriteFile(l.CA, c.pem, 0o600); err != nil {
			s.t.Fatal(err)
		}
	}
	killed := s.live(p, l, in, out)
	// Whoever is told to stop may have nothing to finish, and be gone before the blow.
	if stopped := d.stop == onTheWire && p.cmd.ProcessState.Success(); !killed && !stopped {
		s.t.Fatalf("the process was not killed: %s", p.cmd.ProcessState)
	}
	want := "itself"
	switch {
	case d.imap != nil:
		want = "imap"
	case d.smtp != nil:
		want = "smtp"
	}
	if by != want || d.point != "" && !p.died(d.point) {
		s.t.Fatalf("the process was killed by %s, and not at its point", by)
	}
}

// live lives a life to its end, with in and out between it and the mail
// server, and says whether it was killed.
func (s *scenario) live(p *process, l life, in, out *between) (killed bool) {
	s.t.Helper()
	l.Database, l.IMAP, l.SMTP, l.Owner, l.Mails = s.url, in.stand(s.t), out.stand(s.t), "desk", len(s.sent)
	s.run(p, l)
	if !p.end() {
		s.t.Fatal("the process does not come to an end")
	}
	in.close()
	out.close()
	if p.killed() {
		s.deaths++
		return true
	}
	return false
}

var (
	imapCommand = regexp.MustCompile(`(?i)^(\w+ [a-z]|DONE\r)`)
	smtpCommand = regexp.MustCompile(`^((EHLO|AUTH|MAIL|RCPT|DATA|RSET|QUIT)\b|\.\r)`)
)

// dieOf has a desk that works as it likes killed when the toll is full, and
// says whether that came about before its work was done.
func (s *scenario) dieOf(t *toll, later time.Duration) bool {
	s.t.Helper()
	p := newProcess()
	p.toll = t
	in := &between{upstream: s.server.IMAPAddr(), tagged: true, strike: p.kill, toll: t, command: imapCommand}
	out := &between{upstream: s.server.SMTPAddr(), strike: p.kill, toll: t, command: smtpCommand}
	if s.live(p, life{Later: later, Asks: true}, in, out) {
		return true
	}
	if !p.cmd.ProcessState.Success() {
		s.t.Fatalf("a desk that was not killed: %s", p.cmd.ProcessState)
	}
	return false
}

// certificate gives what a mail server on loopback needs for TLS.
var certificate = sync.OnceValue(func() (c struct {
	server *tls.Config
	pem    []byte
},
) {
	server := httptest.NewTLSServer(nil)
	defer server.Close()
	c.server = &tls.Config{Certificates: server.TLS.Certificates}
	c.pem = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	return c
})

// finish starts the desk again and waits until its work is done.
func (s *scenario) finish(l life) {
	s.t.Helper()
	l.Database, l.IMAP, l.SMTP, l.Owner, l.Mails = s.url, s.server.IMAPAddr(), s.server.SMTPAddr(), "desk", len(s.sent)
	p := s.start(l)
	if !p.end() {
		s.t.Error("the desk that was started again does not come to an end")
	} else if !p.cmd.ProcessState.Success() {
		s.t.Errorf("the desk that was started again: %s", p.cmd.ProcessState)
	}
}

// reader opens the database from outside.
func (s *scenario) reader() *store.Store {
	s.t.Helper()
	db, err := store.OpenReader(s.t.Context(), s.url, store.Options{Key: secret()})
	if err != nil {
		s.t.Fatal(err)
	}
	return db
}
