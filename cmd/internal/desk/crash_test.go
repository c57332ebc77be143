//go:build unix

package desk_test

import (
	"bytes"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/mail"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"
	"github.com/google/go-cmp/cmp"

	"deskd/cmd/internal/demomail"
	"deskd/store"
	"deskd/store/storetest"
	"deskd/triage/ticket"
)

const support = "support@example.com"

// patience is how long a life may take. It is no measure: with nothing else to
// do on the machine all of it takes less than a second.
const patience = 90 * time.Second

var (
	never        time.Time
	aLongTimeAgo = time.Unix(1, 0)
)

// What the scenario comes to: one mail has opened a ticket before; five new
// ones, an answer of its requester and a technician's word on it come in while
// the desk is away, and lie there when it starts.
const (
	mailsBefore, mailsIn     = 1, 7
	ticketsBefore, ticketsIn = 1, 5
	noticesBefore, noticesIn = 3, 5*3 + 2 + 2 // acknowledgement and two notices for each; the answer to two, the status to one, the transcript
)

// remains is what a death leaves: what the next start finds.
type remains int

const (
	untouched remains = iota // at most the attempts are counted (F2)
	decided                  // all is in the database, nothing has changed on the mail server (F1)
	copied                   // the originals lie in both folders
	moved                    // the originals are out of the way, and the desk has not heard of it
	filed                    // the originals are filed
	either                   // decided, and filed or not
)

// death is one row of the crash matrix.
type death struct {
	name    string
	point   string // the process kills itself here
	imap    *blow  // or is killed by what stands before the IMAP server
	smtp    *blow  // or the SMTP server
	server  demomail.Options
	leaves  remains
	sent    int  // mails that the server had accepted by then
	repeats int  // mails that it accepts for a second time afterwards
	copies  bool // the originals may lie in Done twice
}

func at(line string, moment int) *blow { return &blow{line: regexp.MustCompile(line), moment: moment} }

func nth(n int, b *blow) *blow {
	b.nth = n
	return b
}

// TestF02_KilledBeforeTheDecisionTheDeskTakesTheMailsAtTheNextStart dies wherever nothing but the attempts may
// remain: the mails are taken at the next start.
func TestF02_KilledBeforeTheDecisionTheDeskTakesTheMailsAtTheNextStart(t *testing.T) {
	t.Parallel()
	dieAndFinish(t, []death{
		// Before anything is known of the mails.
		{name: "before the lease is committed", point: "before commit of lease"},
		{name: "after the lease is committed", point: "after commit of lease"},
		{name: "sign-in asked", imap: at(`(?i)^\S+ AUTHENTICATE`, asked)},
		{name: "sign-in answered", imap: at(`(?i)^\S+ AUTHENTICATE`, answered)},
		{name: "folders looked for", imap: at(`(?i)^\S+ LIST`, answered)},
		{name: "folder opened", imap: at(`(?i)^\S+ SELECT`, answered)},
		{name: "before Start", point: "before Start"},
		{name: "after Start", point: "after Start"},
		{name: "search asked", imap: at(`(?i)^\S+ UID SEARCH`, asked)},
		{name: "search answered", imap: at(`(?i)^\S+ UID SEARCH`, answered)},
		{name: "before Pending", point: "before Pending"},
		{name: "after Pending", point: "after Pending"},
		{name: "sizes answered", imap: at(`(?i)^\S+ UID FETCH .*RFC822\.SIZE`, answered)},
		// Seen, and not decided.
		{name: "before Seen", point: "before Seen"},
		{name: "before Seen is committed", point: "before commit of seen"},
		{name: "after Seen", point: "after Seen"},
		{name: "bodies asked", imap: at(`(?i)^\S+ UID FETCH .*BODY\.PEEK`, asked)},
		{name: "in the first body", imap: at(`(?i)^\S+ UID FETCH .*BODY\.PEEK`, 700)},
		{name: "in a later body", imap: at(`(?i)^\S+ UID FETCH .*BODY\.PEEK`, 5000)},
		{name: "bodies whole, the OK not come", imap: at(`(?i)^\S+ UID FETCH .*BODY\.PEEK`, answered)},
		{name: "before Deliver", point: "before Deliver"},
		{name: "before the handling is committed", point: "before commit of handling"},
		{name: "after the handling is committed", point: "after commit of handling"},
		// In the transaction that decides.
		{name: "before the first ticket", point: "before write of ticket"},
		{name: "before the raw mails", point: "before write of raw"},
		{name: "before the entries", point: "before write of entry"},
		{name: "before the events", point: "before write of event"},
		{name: "before the rendered mails", point: "before write of body"},
		{name: "before the outbox", point: "before write of outbox"},
		{name: "before the fates", point: "before write of fate"},
		{name: "before the decision is committed", point: "before commit of fate"},
	})
}

// TestF01_KilledBeforeFilingTheDeskOnlyFilesAtTheNextStart dies between the
// decision and the word that the originals are out of the way.
func TestF01_KilledBeforeFilingTheDeskOnlyFilesAtTheNextStart(t *testing.T) {
	t.Parallel()
	plain := demomail.Options{NoMove: true}
	bare := demomail.Options{NoMove: true, NoUIDPlus: true}
	dieAndFinish(t, []death{
		{name: "after the decision is committed", point: "after commit of fate", leaves: decided},
		{name: "after Deliver", point: "after Deliver", leaves: decided},
		{name: "MOVE asked", imap: at(`(?i)^\S+ UID MOVE`, asked), leaves: decided},
		{name: "MOVE answered", imap: at(`(?i)^\S+ UID MOVE`, answered), leaves: moved},
		{name: "before Filed", point: "before Filed", leaves: moved},
		{name: "before Filed is committed", point: "before commit of filed", leaves: moved},
		{name: "after Filed", point: "after Filed", leaves: filed},
		{name: "COPY asked", server: plain, imap: at(`(?i)^\S+ UID COPY`, asked), leaves: decided},
		{name: "COPY answered", server: plain, imap: at(`(?i)^\S+ UID COPY`, answered), leaves: copied, copies: true},
		{name: "STORE asked", server: plain, imap: at(`(?i)^\S+ UID STORE`, asked), leaves: copied, copies: true},
		{name: "STORE answered", server: plain, imap: at(`(?i)^\S+ UID STORE`, answered), leaves: copied, copies: true},
		{name: "EXPUNGE asked", server: plain, imap: at(`(?i)^\S+ UID EXPUNGE`, asked), leaves: copied, copies: true},
		{name: "EXPUNGE answered", server: plain, imap: at(`(?i)^\S+ UID EXPUNGE`, answered), leaves: moved},
		{name: "keyword asked", server: bare, imap: at(`(?i)^\S+ UID STORE`, asked), leaves: copied, copies: true},
		{name: "keyword answered", server: bare, imap: at(`(?i)^\S+ UID STORE`, answered), leaves: copied},
	})
}

// TestF30_KilledWhileSendingTheDeskSendsTheSameBytesAgain dies on the way of a
// mail that goes out. It is sent twice when the death came between the final
// dot and the stored result, and only then.
func TestF30_KilledWhileSendingTheDeskSendsTheSameBytesAgain(t *testing.T) {
	t.Parallel()
	dieAndFinish(t, []death{
		{name: "before the first look into the outbox", point: "before write of claim", leaves: untouched},
		{name: "before a claim is committed", point: "before commit of claimed rows", leaves: either},
		{name: "after a claim is committed", point: "after commit of claimed rows", leaves: either},
		{name: "EHLO asked", smtp: at(`^EHLO`, asked), leaves: filed},
		{name: "AUTH answered", smtp: at(`^AUTH`, answered), leaves: filed},
		{name: "MAIL asked", smtp: at(`^MAIL`, asked), leaves: filed},
		{name: "RCPT answered", smtp: at(`^RCPT`, answered), leaves: filed},
		{name: "DATA asked", smtp: at(`^DATA`, asked), leaves: filed},
		{name: "DATA answered", smtp: at(`^DATA`, answered), leaves: filed},
		{name: "in an outgoing body", smtp: at(`^Subject:`, asked), leaves: filed},
		{name: "before the final dot", smtp: at(`^\.$`, asked), leaves: filed},
		{name: "after the final dot", smtp: at(`^\.$`, answered), leaves: filed, sent: 1, repeats: 1},
		{name: "before Sent is committed", point: "before commit of sent", leaves: filed, sent: 1, repeats: 1},
		{name: "after Sent is committed", point: "after commit of sent", leaves: filed, sent: 1},
		{name: "after the final dot of the seventh mail", smtp: nth(7, at(`^\.$`, answered)), leaves: filed, sent: 7, repeats: 1},
		{name: "at the second mail of a connection", smtp: nth(2, at(`^MAIL`, asked)), leaves: filed, sent: 1},
	})
}

// dieAndFinish dies each death on both databases, starts the desk again, and
// judges what has become of it all.
func dieAndFinish(t *testing.T, deaths []death) {
	t.Helper()
	for i, d := range deaths {
		if testing.Short() && i%8 != 0 {
			continue
		}
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			storetest.Each(t, func(t *testing.T, url string) {
				t.Parallel()
				s := newScenario(t, url, d.server)
				s.die(d)
				s.left(d)
				// The next start does not wait for the lease of a mail in hand:
				// at most until the dead desk is known to be dead.
				next := life{}
				if strings.Contains(url, "://") {
					next.Later = 2 * time.Minute
				}
				s.finish(next)
				repeats := 0
				for _, n := range s.judge(d.server, d.copies, 0) {
					repeats += n
				}
				if repeats != d.repeats {
					t.Errorf("%d mails went out again, want %d", repeats, d.repeats)
				}
			})
		})
	}
}

// TestF38_KilledAtEveryCommitTheDeskComesToAnEnd kills the first life of a desk
// before its first commit, the second before its second, and so on, with new
// mail before each, until one ends unkilled.
func TestF38_KilledAtEveryCommitTheDeskComesToAnEnd(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		t.Parallel()
		s := newScenario(t, url, demomail.Options{})
		owed := map[string]int{} // mails that a death left accepted and not marked so
		step := 1
		if testing.Short() {
			step = 6
		}
		for n := 1; ; n += step {
			if n <= 6 {
				s.send(fmt.Sprintf("late%d@example.com", n), "Late request", "It hums.", nil)
			}
			before := s.accepted()
			point := fmt.Sprintf("commit %d", n)
			p := s.start(life{
				Database: url, IMAP: s.server.IMAPAddr(), SMTP: s.server.SMTPAddr(), Owner: "desk", Mails: len(s.sent),
				Later: time.Duration(n) * 30 * time.Minute, Point: point,
			})
			p.end(t)
			if p.cmd.ProcessState.Success() {
				t.Logf("died %d times", (n-1)/step)
				break
			}
			if !p.died(point) || n >= 200 {
				t.Fatalf("life %d: %s", n, p.cmd.ProcessState)
			}
			db := s.reader()
			rows := s.outbox(db)
			db.Close()
			died := 0
			for key, copies := range s.accepted() {
				if len(copies) > len(before[key]) && rows[key].State != store.Sent {
					owed[key]++
					died++
				}
			}
			if died > 1 {
				t.Errorf("death %d left %d mails accepted and not marked so, and there is one sender", n, died)
			}
		}
		// Twice, since a mail that the desk died over three times would be set aside.
		if diff := cmp.Diff(owed, s.judge(demomail.Options{}, false, 2)); diff != "" {
			t.Errorf("mails that went out again (-want +got):\n%s", diff)
		}
	})
}

func TestF20_ARestartTakesItsMailboxBackAtOnce(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		t.Parallel()
		s := newScenario(t, url, demomail.Options{})
		s.die(death{point: "after Seen"})
		// The dead desk's lease is good for a day still: another one does not get it.
		other, err := store.Open(t.Context(), url, store.Options{Key: secret(), Owner: "another desk"})
		if err != nil {
			t.Fatalf("open the database of a desk that was killed: %v", err)
		}
		defer other.Close()
		if l, err := other.Acquire(t.Context(), "mailbox:"+support, time.Hour); l != nil || err != nil {
			t.Fatalf("another desk asks for the lease: %+v, %v; want none", l, err)
		}
		if err := other.Close(); err != nil {
			t.Fatal(err)
		}
		s.finish(life{}) // by the same name
		if repeats := s.judge(demomail.Options{}, false, 0); len(repeats) != 0 {
			t.Errorf("mails went out again: %v", repeats)
		}
	})
}

func TestF16_WhatVanishesWhileTheDeskIsDeadIsRecorded(t *testing.T) {
	t.Parallel()
	for _, row := range []struct{ name, point string }{
		{"before it was read", "after Seen"},
		{"after it was decided on", "after Deliver"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			storetest.Each(t, func(t *testing.T, url string) {
				t.Parallel()
				s := newScenario(t, url, demomail.Options{})
				s.die(death{point: row.point})
				const uid, id = 3, "3.new2.at.example.com" // the second of the new ones
				s.remove(uid)
				if s.vanished[id] = uid; row.point == "after Seen" {
					delete(s.opens, id)
				}
				s.finish(life{Later: time.Hour})
				if repeats := s.judge(demomail.Options{}, false, 0); len(repeats) != 0 {
					t.Errorf("mails went out again: %v", repeats)
				}
			})
		})
	}
}

// scenario is a desk with its mail server, and what people have sent to it.
type scenario struct {
	t      *testing.T
	url    string // of the database
	server *demomail.Server
	sent   map[string]bool // Message-IDs of what was sent to the desk
	opens  map[string]bool // those of them that open a ticket
	from   []string        // who sent it
	// vanished are those that somebody took out of the folder, with their UIDs.
	vanished map[string]uint32
}

// people are those whose mailboxes the desk's mails end up in: the senders and
// the other technician.
func (s *scenario) people() []string {
	return slices.Compact(slices.Sorted(slices.Values(append([]string{"hana@example.com", "henry@example.com"}, s.from...))))
}

// newScenario has the desk take its first mail, and more sent to it while it
// is away.
func newScenario(t *testing.T, url string, o demomail.Options) *scenario {
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
	first := life{Database: url, IMAP: server.IMAPAddr(), SMTP: server.SMTPAddr(), Owner: "desk", Mails: mailsBefore}
	if err := first.live(t.Context(), slog.New(slog.DiscardHandler), func(string) {}); err != nil {
		t.Fatalf("take the first mail: %v", err)
	}
	ack, notice := s.only("ann@example.com"), s.only("hana@example.com")
	for i := range ticketsIn {
		s.send(fmt.Sprintf("new%d@example.com", i+1), fmt.Sprintf("New request %d", i+1), strings.Repeat("The screen stays dark.\n", 30), nil)
	}
	s.send("ann@example.com", "Re: "+ack.Header.Get("Subject"), "It is still broken.", ack)
	s.send("hana@example.com", "Re: "+notice.Header.Get("Subject"), "in progress\nI look at the fuse.", notice)
	return s
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
	c, err := imapclient.DialInsecure(s.server.IMAPAddr(), nil)
	if err != nil {
		s.t.Fatal(err)
	}
	defer c.Close()
	if err := c.Login(support, "demo").Wait(); err != nil {
		s.t.Fatal(err)
	}
	if _, err := c.Select("INBOX", nil).Wait(); err != nil {
		s.t.Fatal(err)
	}
	mark := &imap.StoreFlags{Op: imap.StoreFlagsAdd, Silent: true, Flags: []imap.Flag{imap.FlagDeleted}}
	if err := c.Store(imap.UIDSetNum(uid), mark, nil).Close(); err != nil {
		s.t.Fatal(err)
	}
	if err := c.Expunge().Close(); err != nil {
		s.t.Fatal(err)
	}
}

// process is a life in a process of its own.
type process struct {
	cmd   *exec.Cmd
	stdin io.Closer // open while the process may live
	out   bytes.Buffer
	log   bytes.Buffer
	begun chan struct{}
	ended chan struct{}
}

func newProcess() *process {
	return &process{begun: make(chan struct{}), ended: make(chan struct{})}
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
		_ = p.cmd.Process.Kill()
		<-p.ended
		if s.t.Failed() {
			s.t.Logf("%s of %+v\n%s%s", p.cmd.ProcessState, l, p.out.Bytes(), tail(p.log.Bytes()))
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

// end waits until the process has ended by itself.
func (p *process) end(t *testing.T) {
	t.Helper()
	enough := time.NewTimer(patience)
	defer enough.Stop()
	select {
	case <-p.ended:
	case <-enough.C:
		t.Fatal("the process does not come to an end")
	}
}

// killed says whether it was SIGKILL that ended the process.
func (p *process) killed() bool {
	status, ok := p.cmd.ProcessState.Sys().(syscall.WaitStatus)
	return ok && status.Signaled() && status.Signal() == syscall.SIGKILL
}

// died says whether the process killed itself at a point.
func (p *process) died(point string) bool {
	return p.killed() && strings.Contains(p.out.String(), "\ndies: "+point+"\n")
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
				by = who
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
	s.run(p, life{Database: s.url, IMAP: in.stand(s.t), SMTP: out.stand(s.t), Owner: "desk", Mails: len(s.sent), Point: d.point})
	p.end(s.t)
	in.close()
	out.close()
	if !p.killed() {
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

// finish starts the desk again and waits until its work is done.
func (s *scenario) finish(l life) {
	s.t.Helper()
	l.Database, l.IMAP, l.SMTP, l.Owner, l.Mails = s.url, s.server.IMAPAddr(), s.server.SMTPAddr(), "desk", len(s.sent)
	p := s.start(l)
	p.end(s.t)
	if !p.cmd.ProcessState.Success() {
		s.t.Fatalf("the desk that was started again: %s", p.cmd.ProcessState)
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

// left looks at what a death has left.
func (s *scenario) left(d death) {
	s.t.Helper()
	db := s.reader()
	defer db.Close()
	intakes, err := db.ListIntakes(s.t.Context(), store.IntakeFilter{})
	if err != nil {
		s.t.Fatal(err)
	}
	fates, undone := 0, 0
	for _, in := range intakes {
		if in.Fate != "" {
			fates++
			if in.FiledAt.IsZero() {
				undone++
			}
		}
	}
	tickets, err := db.ListTickets(s.t.Context(), store.TicketFilter{})
	if err != nil {
		s.t.Fatal(err)
	}
	outbox, err := db.ListOutbox(s.t.Context(), store.OutboxFilter{})
	if err != nil {
		s.t.Fatal(err)
	}
	type state struct{ Inbox, Done, Fates, Unfiled, Tickets, Outbox, Sent int }
	got := state{
		len(s.server.Mailbox(support, "")), len(s.server.Mailbox(support, "Done")), fates, undone, len(tickets), len(outbox), 0,
	}
	for _, who := range s.people() {
		got.Sent += len(s.server.Mailbox(who, ""))
	}
	kept := 0 // originals that stay in the folder by design
	if d.server.NoUIDPlus {
		kept = mailsBefore
	}
	all := state{mailsIn + kept, mailsBefore, mailsBefore + mailsIn, mailsIn, ticketsBefore + ticketsIn, noticesBefore + noticesIn, noticesBefore + d.sent}
	want := map[remains]state{
		untouched: {mailsIn + kept, mailsBefore, mailsBefore, 0, ticketsBefore, noticesBefore, noticesBefore + d.sent},
		decided:   all, copied: all, moved: all, filed: all,
	}
	switch w := want[d.leaves]; d.leaves {
	case either:
		got.Inbox, got.Done, got.Unfiled = all.Inbox, all.Done, all.Unfiled
		want[either] = all
	case copied:
		w.Done = mailsBefore + mailsIn
		want[copied] = w
	case filed:
		w.Inbox, w.Done, w.Unfiled = kept, mailsBefore+mailsIn, 0
		want[filed] = w
	case moved:
		w.Inbox, w.Done = kept, mailsBefore+mailsIn
		want[moved] = w
	}
	if diff := cmp.Diff(want[d.leaves], got); diff != "" {
		s.t.Errorf("what the death left (-want +got):\n%s", diff)
	}
}

// judge looks from outside at what has become of all mails. copies says that
// originals may lie in Done twice, died how often a mail may have been what
// killed the desk.
func (s *scenario) judge(o demomail.Options, copies bool, died int) (repeats map[string]int) {
	s.t.Helper()
	db := s.reader()
	defer db.Close()
	s.judgeServer(o, copies)
	s.judgeIntakes(db, died)
	s.judgeTickets(db)
	if !strings.Contains(s.url, "://") {
		s.intact()
	}
	return s.judgeOutbox(db)
}

// judgeServer holds that each mail lies in the folder for what is done.
func (s *scenario) judgeServer(o demomail.Options, copies bool) {
	s.t.Helper()
	done := maps.Clone(s.sent)
	for id := range s.vanished {
		delete(done, id)
	}
	for folder, want := range map[string]map[string]bool{"": {}, "Done": done, "Quarantine": {}} {
		got := map[string]bool{}
		for _, raw := range s.server.Mailbox(support, folder) {
			id := messageID(s.t, raw)
			if got[id] && !copies {
				s.t.Errorf("%s lies in %q twice", id, folder)
			}
			got[id] = true
		}
		if o.NoUIDPlus && folder == "" {
			want = done // under a keyword
		}
		if diff := cmp.Diff(want, got); diff != "" {
			s.t.Errorf("folder %q (-want +got):\n%s", folder, diff)
		}
	}
}

// judgeIntakes holds that each mail has one fate, and that its bytes are kept.
func (s *scenario) judgeIntakes(db *store.Store, died int) {
	s.t.Helper()
	intakes, err := db.ListIntakes(s.t.Context(), store.IntakeFilter{})
	if err != nil {
		s.t.Fatal(err)
	}
	want, got := map[string]store.Fate{}, map[string]store.Fate{}
	for id := range s.sent {
		want[id] = store.FateAppended
		if s.opens[id] {
			want[id] = store.FateNewTicket
		}
		if uid, ok := s.vanished[id]; ok && !s.opens[id] {
			delete(want, id)
			want[fmt.Sprintf("UID %d", uid)] = store.FateGone
		}
	}
	kept := map[string][]byte{}
	for _, raw := range s.server.Mailbox(support, "Done") {
		kept[messageID(s.t, raw)] = raw
	}
	for _, in := range intakes {
		if in.MessageID == "" {
			in.MessageID = fmt.Sprintf("UID %d", in.UID)
		}
		if _, twice := got[in.MessageID]; twice {
			s.t.Errorf("%s was decided on twice", in.MessageID)
		}
		got[in.MessageID] = in.Fate
		if in.FiledAt.IsZero() || in.Failures > died || in.Handling != "" {
			s.t.Errorf("intake of %s: filed %v, %d failures, handling %q", in.MessageID, in.FiledAt, in.Failures, in.Handling)
		}
		_, vanished := s.vanished[in.MessageID]
		if in.Fate == store.FateGone {
			continue
		}
		if raw, err := db.Raw(s.t.Context(), in.SHA256); err != nil || !vanished && !bytes.Equal(raw, kept[in.MessageID]) {
			s.t.Errorf("the bytes of %s are not kept as they came: %v", in.MessageID, err)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		s.t.Errorf("fates (-want +got):\n%s", diff)
	}
}

// judgeTickets holds that each new mail has one ticket, and that each answer
// had its effect once.
func (s *scenario) judgeTickets(db *store.Store) {
	s.t.Helper()
	list, err := db.ListTickets(s.t.Context(), store.TicketFilter{})
	if err != nil {
		s.t.Fatal(err)
	}
	want, got := map[string]int{}, map[string]int{}
	for id := range s.sent {
		if _, vanished := s.vanished[id]; !vanished || s.opens[id] {
			want[id] = 1
		}
	}
	changes := map[string]int{}
	for _, tk := range list {
		if err := db.VerifyChain(s.t.Context(), tk.Number); err != nil {
			s.t.Errorf("events of %d: %v", tk.Number, err)
		}
		all, err := db.Show(s.t.Context(), tk.Number)
		if err != nil {
			s.t.Fatal(err)
		}
		for i, e := range all.Entries {
			got[e.MessageID]++
			if s.opens[e.MessageID] != (i == 0) {
				s.t.Errorf("entry %d of %d is %s", i+1, tk.Number, e.MessageID)
			}
		}
		for _, e := range all.Events {
			if e.What == "status" || e.What == "created" {
				changes[e.What+" "+e.After]++
			}
		}
		if old := len(all.Entries) == 3; old != (tk.Status == ticket.InProgress) {
			s.t.Errorf("ticket %d with %d entries is %s", tk.Number, len(all.Entries), tk.Status)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		s.t.Errorf("entries by mail (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]int{"created medium, Helpdesk": len(s.opens), "status in_progress": 1}, changes); diff != "" {
		s.t.Errorf("changes (-want +got):\n%s", diff)
	}
}

// judgeOutbox holds that everybody got each of their mails, and that what came
// again had the same bytes (P3). It gives how often which came again.
func (s *scenario) judgeOutbox(db *store.Store) (repeats map[string]int) {
	s.t.Helper()
	want, got, kinds := map[string]bool{}, map[string]bool{}, map[string]int{}
	for key, r := range s.outbox(db) {
		want[key] = true
		kinds[r.Kind]++
		if r.State != store.Sent {
			s.t.Errorf("%s is %s", key, r.State)
		}
	}
	n := len(s.opens)
	if diff := cmp.Diff(map[string]int{"acknowledgement": n, "team-notice": 2 * n, "answer-notice": 2, "status-notice": 1, "transcript": 1}, kinds); diff != "" {
		s.t.Errorf("mails by kind (-want +got):\n%s", diff)
	}
	repeats = map[string]int{}
	for key, copies := range s.accepted() {
		got[key] = true
		for _, again := range copies[1:] {
			repeats[key]++
			if diff := cmp.Diff(string(copies[0]), string(again)); diff != "" {
				s.t.Errorf("%s came again with other bytes (-first +again):\n%s", key, diff)
			}
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		s.t.Errorf("mails that went out (-want +got):\n%s", diff)
	}
	return repeats
}

// outbox gives the rows of the outbox by recipient and Message-ID.
func (s *scenario) outbox(db *store.Store) map[string]store.Row {
	s.t.Helper()
	rows, err := db.ListOutbox(s.t.Context(), store.OutboxFilter{Limit: 500})
	if err != nil {
		s.t.Fatal(err)
	}
	out := map[string]store.Row{}
	for _, r := range rows {
		out[r.Recipient+" "+r.MessageID] = r
	}
	if len(out) != len(rows) {
		s.t.Errorf("%d rows of the outbox are about %d mails", len(rows), len(out))
	}
	return out
}

// accepted gives what the mail server took from the desk, by recipient and
// Message-ID: the bytes as they were sent, of each copy.
func (s *scenario) accepted() map[string][][]byte {
	s.t.Helper()
	out := map[string][][]byte{}
	for _, who := range s.people() {
		for _, raw := range s.server.Mailbox(who, "") {
			key := who + " " + messageID(s.t, raw)
			out[key] = append(out[key], untraced(raw))
		}
	}
	return out
}

// intact has SQLite look over its file.
func (s *scenario) intact() {
	s.t.Helper()
	db, err := sql.Open("sqlite", s.url)
	if err != nil {
		s.t.Fatal(err)
	}
	defer db.Close()
	var answer string
	if err := db.QueryRowContext(s.t.Context(), "PRAGMA integrity_check").Scan(&answer); err != nil || answer != "ok" {
		s.t.Errorf("integrity check: %q, %v", answer, err)
	}
}

func messageID(t *testing.T, raw []byte) string {
	t.Helper()
	m, err := mail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	return strings.Trim(m.Header.Get("Message-Id"), "<>")
}

// untraced takes away what the mail server has written on top, which differs
// from copy to copy.
func untraced(raw []byte) []byte {
	for {
		line, rest, _ := bytes.Cut(raw, []byte("\r\n"))
		name, _, _ := strings.Cut(string(line), ":")
		if !slices.Contains([]string{"Authentication-Results", "Return-Path", "Delivered-To", "Received"}, name) && !bytes.HasPrefix(line, []byte("\t")) {
			return raw
		}
		raw = rest
	}
}
