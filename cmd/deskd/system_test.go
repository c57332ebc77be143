package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/mail"
	"net/smtp"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"

	"deskd/cmd/internal/demomail"
	"deskd/mailin"
	"deskd/mailin/mailintest"
	"deskd/mailout/mailouttest"
	"deskd/store/storetest"
)

// patience is how long a test waits for something that must happen. It is no
// measure: on a machine with nothing else to do all of it takes milliseconds.
const patience = 60 * time.Second

// programDir is where the program is built to; TestMain makes and removes it.
var programDir string

// binary is the program as it ships: built once for all tests that want it.
var binary = sync.OnceValues(func() (string, error) {
	path := filepath.Join(programDir, "deskd")
	cmd := exec.Command("go", "build", "-o", path, ".")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return path, nil
})

func built(t testing.TB) string {
	t.Helper()
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "deskd-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	programDir = dir
	storetest.Main(m, func() error { return os.RemoveAll(dir) })
}

// rosters of the desk under test.
var rosters = map[string][]string{
	"helpdesk@example.com": {"hana@example.com", "henry@example.com"},
	"network@example.com":  {"nadia@example.com", "noah@example.com"},
}

// system is a mail system that a desk works on: the addresses that settings
// name, and what people do with it.
type system struct {
	imap, smtp string // as the desk reaches them, on loopback without TLS
	login      string // where people sign in to send; "" as the desk's
	outside    string // where the world hands mail over
	auth       string // authserv-id
	borders    string // further names that our own servers give in Received
	password   string
}

// demoSystem is the embedded mail server.
func demoSystem(t testing.TB, o demomail.Options) *system {
	t.Helper()
	o.Lists = rosters
	s, err := demomail.Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return &system{imap: s.IMAPAddr(), smtp: s.SMTPAddr(), login: s.SMTPAddr(), outside: s.SMTPAddr(), auth: "demo.example.com", password: "demo"}
}

// realSystem is a Dovecot and a Postfix in front of it, which vouches for
// those who sign in.
func realSystem(t testing.TB, o mailintest.DovecotOptions) *system {
	t.Helper()
	dovecot := mailintest.Dovecot(t, o)
	logins := map[string]string{}
	for _, who := range []string{"support", "ann", "hana", "henry", "nadia", "noah"} {
		logins[who+"@example.com"] = mailintest.Password
	}
	postfix := mailouttest.Postfix(t, mailouttest.PostfixOptions{Host: "mx.example.com", LMTP: dovecot.LMTP, Aliases: rosters, Logins: logins})
	host, err := os.Hostname() // which Dovecot's LMTP writes into Received
	if err != nil {
		t.Fatal(err)
	}
	return &system{
		borders: host,
		imap:    dovecot.IMAP, smtp: postfix.Submission, login: postfix.Submission, outside: postfix.Outside,
		auth: "mx.example.com", password: mailintest.Password,
	}
}

// send submits a mail as the person who is signed in.
func (s *system) send(t testing.TB, from string, to []string, raw string) {
	t.Helper()
	host, _, _ := net.SplitHostPort(s.login)
	if err := smtp.SendMail(s.login, loopbackAuth{smtp.PlainAuth("", from, s.password, host)}, from, to, []byte(crlf(raw))); err != nil {
		t.Fatalf("send as %s: %v", from, err)
	}
}

// sendOutside hands a mail over as a stranger's server does.
func (s *system) sendOutside(t testing.TB, from string, to []string, raw string) {
	t.Helper()
	if err := smtp.SendMail(s.outside, nil, from, to, []byte(crlf(raw))); err != nil {
		t.Fatalf("hand over from %s: %v", from, err)
	}
}

// loopbackAuth sends a password to this machine without TLS, as the tests'
// servers allow.
type loopbackAuth struct{ smtp.Auth }

func (a loopbackAuth) Start(s *smtp.ServerInfo) (string, []byte, error) {
	copied := *s
	copied.TLS = true
	return a.Auth.Start(&copied)
}

func crlf(s string) string {
	return strings.ReplaceAll(strings.ReplaceAll(s, "\r\n", "\n"), "\n", "\r\n")
}

// letter writes a plain mail.
func letter(from, to, subject, text string, more ...string) string {
	return fmt.Sprintf("From: %s\nTo: %s\nSubject: %s\nMessage-ID: <%d.%s@client.example>\nDate: %s\n%s\n%s\n",
		from, to, subject, time.Now().UnixNano(), strings.ReplaceAll(from, "@", "."), time.Now().Format(time.RFC1123Z),
		strings.Join(append(more, ""), "\n"), text)
}

// received is a mail in somebody's INBOX.
type received struct {
	t      testing.TB
	header mail.Header
	text   string
	raw    []byte
}

func (r received) subject() string {
	s, err := new(mime.WordDecoder).DecodeHeader(r.header.Get("Subject"))
	if err != nil {
		return r.header.Get("Subject")
	}
	return s
}

// answer writes a reply to the mail, as mail programs do.
func (r received) answer(from, text string) string {
	to := r.header.Get("Reply-To")
	if to == "" {
		to = r.header.Get("From")
	}
	return letter(from, to, "Re: "+r.subject(), text,
		"In-Reply-To: "+r.header.Get("Message-ID"), "References: "+strings.TrimSpace(r.header.Get("References")+" "+r.header.Get("Message-ID")))
}

// inbox is somebody's open INBOX.
type inbox struct {
	t    testing.TB
	who  string
	c    *imapclient.Client
	news chan struct{}
	seen map[imap.UID]bool
	kept []received
}

// open signs in to a mailbox with a stock client. What is there already counts
// as new.
func (s *system) open(t testing.TB, who string) *inbox {
	t.Helper()
	b := &inbox{t: t, who: who, news: make(chan struct{}, 1), seen: map[imap.UID]bool{}}
	c, err := imapclient.DialInsecure(s.imap, &imapclient.Options{UnilateralDataHandler: &imapclient.UnilateralDataHandler{
		Mailbox: func(*imapclient.UnilateralDataMailbox) {
			select {
			case b.news <- struct{}{}:
			default:
			}
		},
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.Login(who, s.password).Wait(); err != nil {
		t.Fatalf("login %s: %v", who, err)
	}
	if _, err := c.Select("INBOX", nil).Wait(); err != nil {
		t.Fatalf("select INBOX of %s: %v", who, err)
	}
	b.c = c
	return b
}

// look fetches what is new.
func (b *inbox) look() {
	b.t.Helper()
	found, err := b.c.UIDSearch(&imap.SearchCriteria{}, nil).Wait()
	if err != nil {
		b.t.Fatalf("search the INBOX of %s: %v", b.who, err)
	}
	for _, uid := range found.AllUIDs() {
		if b.seen[uid] {
			continue
		}
		msgs, err := b.c.Fetch(imap.UIDSetNum(uid), &imap.FetchOptions{UID: true, BodySection: []*imap.FetchItemBodySection{{Peek: true}}}).Collect()
		if err != nil {
			b.t.Fatalf("fetch from the INBOX of %s: %v", b.who, err)
		}
		for _, m := range msgs {
			if len(m.BodySection) == 0 {
				continue
			}
			b.seen[uid] = true
			raw := m.BodySection[0].Bytes
			parsed, err := mail.ReadMessage(bytes.NewReader(raw))
			if err != nil {
				b.t.Fatalf("mail in the INBOX of %s: %v\n%s", b.who, err, raw)
			}
			text := mailin.Parse(raw, mailin.Limits{})
			b.kept = append(b.kept, received{b.t, parsed.Header, text.Text(), raw})
		}
	}
}

// wait gives the first mail, new or seen before, that fits; it listens by IDLE.
func (b *inbox) wait(what string, fits func(received) bool) received {
	b.t.Helper()
	deadline := time.After(patience)
	for {
		b.look()
		for _, r := range b.kept {
			if fits(r) {
				return r
			}
		}
		timer := time.NewTimer(time.Second) // some servers hold news back
		stop := func() error { return b.c.Noop().Wait() }
		if b.c.Caps().Has(imap.CapIdle) {
			idle, err := b.c.Idle()
			if err != nil {
				b.t.Fatalf("IDLE in the INBOX of %s: %v", b.who, err)
			}
			stop = func() error { return errors.Join(idle.Close(), idle.Wait()) }
		} else {
			timer.Reset(50 * time.Millisecond)
		}
		select {
		case <-b.news:
		case <-timer.C:
		case <-deadline:
			for _, r := range b.kept {
				b.t.Logf("in the INBOX of %s: %s", b.who, r.subject())
			}
			b.t.Fatalf("%s did not come to %s", what, b.who)
		}
		timer.Stop()
		if err := stop(); err != nil {
			b.t.Fatal(err)
		}
	}
}

// count says how many mails fit by now.
func (b *inbox) count(fits func(received) bool) int {
	b.look()
	n := 0
	for _, r := range b.kept {
		if fits(r) {
			n++
		}
	}
	return n
}

// with is for wait: the subject and the text hold all of these.
func with(parts ...string) func(received) bool {
	return func(r received) bool {
		all := r.subject() + "\n" + r.text
		for _, p := range parts {
			if !strings.Contains(all, p) {
				return false
			}
		}
		return true
	}
}

// daemon is a running deskd.
type daemon struct {
	t        testing.TB
	dir      string
	settings string
	page     string
	cmd      *exec.Cmd
	exited   chan error
	log      *lockedBuffer
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// settingsFor writes a settings file for a desk on the mail system.
func settingsFor(t testing.TB, s *system, database string, more string) string {
	t.Helper()
	dir := t.TempDir()
	text := fmt.Sprintf(`
mailboxes:
  - address: support@example.com
    server: %s
    security: none
    password: %s
    import: all
    poll: 1s
smtp:
  address: %s
  security: none
  username: support@example.com
  password: %s
teams:
  - {name: Helpdesk, list: helpdesk@example.com, roster: [hana@example.com, henry@example.com]}
  - {name: Network Team, list: network@example.com, roster: [nadia@example.com, noah@example.com]}
  - {name: Desktop Support, list: helpdesk@example.com}
  - {name: System Administrator, list: helpdesk@example.com}
authentication:
  servers: [%s]
  borders: [%s]
administrators: [root@example.com]
page:
  listen: 127.0.0.1:0
  user_header: X-Test-User
database: %s
%s`, s.imap, s.password, s.smtp, s.password, s.auth, s.borders, database, more)
	path := filepath.Join(dir, "deskd.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// replace changes a settings file, and gives its path.
func replace(t testing.TB, settings, from, to string) string {
	t.Helper()
	text, err := os.ReadFile(settings)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(settings, []byte(strings.Replace(string(text), from, to, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	return settings
}

// start runs the daemon and waits until it says that it runs.
func start(t testing.TB, settings string, environ ...string) *daemon {
	t.Helper()
	d := &daemon{t: t, dir: filepath.Dir(settings), settings: settings, exited: make(chan error, 1), log: &lockedBuffer{}}
	d.cmd = exec.Command(built(t), "run", "--config", settings)
	d.cmd.Env = append(os.Environ(), environ...)
	out, err := d.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := d.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	running := make(chan string, 1)
	go func() {
		lines := bufio.NewScanner(io.TeeReader(out, d.log))
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			if strings.Contains(lines.Text(), "msg=running") {
				_, page, _ := strings.Cut(lines.Text(), "page=")
				running <- page
			}
		}
		d.exited <- d.cmd.Wait()
		close(running)
	}()
	t.Cleanup(func() {
		d.kill()
		if t.Failed() {
			t.Logf("log of deskd:\n%s", d.log)
		}
	})
	select {
	case page, ok := <-running:
		if !ok {
			t.Fatalf("deskd ended at once:\n%s", d.log)
		}
		d.page = strings.Trim(page, `"`)
	case <-time.After(patience):
		t.Fatalf("deskd does not start:\n%s", d.log)
	}
	return d
}

// kill ends the daemon as a power cut would.
func (d *daemon) kill() {
	d.cmd.Process.Kill()
	d.ended()
}

// ended waits for the end of the process.
func (d *daemon) ended() error {
	err, ok := <-d.exited
	if ok {
		close(d.exited)
	}
	return err
}

// run calls a command of the binary beside the daemon.
func command(t testing.TB, args ...string) (out string, code int) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), built(t), args...)
	var b bytes.Buffer
	cmd.Stdout, cmd.Stderr = &b, &b
	err := cmd.Run()
	if cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return b.String(), cmd.ProcessState.ExitCode()
}

// tickets asks the binary for all tickets.
func (d *daemon) tickets() []reported {
	d.t.Helper()
	out, code := command(d.t, "tickets", "--json", "--config", d.settings)
	var list []reported
	if err := json.Unmarshal([]byte(out), &list); err != nil || code != 0 {
		d.t.Fatalf("tickets: exit code %d, %v\n%s", code, err, out)
	}
	return list
}

// show asks the binary for one ticket; flags follow the argument.
func (d *daemon) show(number string) shown {
	d.t.Helper()
	out, code := command(d.t, "show", number, "--json", "--config", d.settings)
	var v shown
	if err := json.Unmarshal([]byte(out), &v); err != nil || code != 0 {
		d.t.Fatalf("show %s: exit code %d, %v\n%s", number, code, err, out)
	}
	return v
}

// until asks again and again, a little later each time, until it is so.
func until(t testing.TB, what string, so func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for !so() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("it did not come to be that %s", what)
		}
	}
}
