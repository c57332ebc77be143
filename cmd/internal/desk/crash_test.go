//go:build unix

package desk_test

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"deskd/cmd/internal/demomail"
	"deskd/store"
	"deskd/store/storetest"
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
	stranded                 // the originals are filed, and the database knows nothing of them (F21)
	returning                // they lie in both folders, and the database knows nothing of them
)

// death is one row of the crash matrix.
type death struct {
	name    string
	point   string // the process kills itself here
	nth     int    // when it comes here for the nth time; 0 means 1
	imap    *blow  // or is killed by what stands before the IMAP server
	smtp    *blow  // or the SMTP server
	stop    string // it is told to stop at this point before, or onTheWire, and dies within its grace
	fresh   bool   // it was never started before, and has one mail to take
	older   bool   // its database is older than its mailbox: the mails are filed already
	tls     bool   // the mail server speaks TLS
	server  demomail.Options
	leaves  remains
	sent    int  // mails that the server had accepted by then
	repeats int  // mails that it accepts for a second time afterwards
	copies  bool // the originals may lie in Done twice
}

// onTheWire is the moment of the blow.
const onTheWire = "on the wire"

func at(line string, moment int) *blow { return &blow{line: regexp.MustCompile(line), moment: moment} }

func nth(n int, b *blow) *blow {
	b.nth = n
	return b
}

// The rows of the matrix, by what the death is a test of.
var (
	// migrating dies where a desk that is started for the first time sets up
	// its database.
	migrating = []death{
		{name: "before a step of the schema is written down", fresh: true, point: "before write of step of the schema"},
		{name: "before a step of the schema is committed", fresh: true, point: "before commit of step of the schema", nth: 2},
		{name: "after a step of the schema is committed", fresh: true, point: "after commit of step of the schema", nth: 2},
		{name: "before a later step of the schema is committed", fresh: true, point: "before commit of step of the schema", nth: 4},
	}

	// beforeDeciding dies wherever nothing but the attempts may remain.
	beforeDeciding = []death{
		// Before anything is known of the mails.
		{name: "before the lease is committed", point: "before commit of lease"},
		{name: "after the lease is committed", point: "after commit of lease"},
		{name: "connected to IMAP", imap: &blow{moment: dialled}},
		{name: "TLS stands with IMAP", tls: true, imap: &blow{moment: protected}},
		{name: "greeted by IMAP", imap: &blow{moment: greeted}},
		{name: "sign-in asked", imap: at(`(?i)^\S+ AUTHENTICATE`, asked)},
		{name: "sign-in answered", imap: at(`(?i)^\S+ AUTHENTICATE`, answered)},
		{name: "folders looked for", imap: at(`(?i)^\S+ LIST`, answered)},
		{name: "folder asked", imap: at(`(?i)^\S+ SELECT`, asked)},
		{name: "folder opened", imap: at(`(?i)^\S+ SELECT`, answered)},
		{name: "before Start", point: "before Start"},
		{name: "after Start", point: "after Start"},
		{name: "before Open", point: "before Open"},
		{name: "after Open", point: "after Open"},
		{name: "search asked", imap: at(`(?i)^\S+ UID SEARCH`, asked)},
		{name: "search answered", imap: at(`(?i)^\S+ UID SEARCH`, answered)},
		{name: "before Pending", point: "before Pending"},
		{name: "after Pending", point: "after Pending"},
		{name: "sizes asked", imap: at(`(?i)^\S+ UID FETCH .*RFC822\.SIZE`, asked)},
		{name: "sizes answered", imap: at(`(?i)^\S+ UID FETCH .*RFC822\.SIZE`, answered)},
		// Seen, and not decided.
		{name: "before Seen", point: "before Seen"},
		{name: "before Seen is written", point: "before write of seen"},
		{name: "before Seen is committed", point: "before commit of seen"},
		{name: "after Seen is committed", point: "after commit of seen"},
		{name: "after Seen", point: "after Seen"},
		{name: "bodies asked", imap: at(`(?i)^\S+ UID FETCH .*BODY\.PEEK`, asked)},
		{name: "at the first byte of the bodies", imap: at(`(?i)^\S+ UID FETCH .*BODY\.PEEK`, 1)},
		{name: "in the first body", imap: at(`(?i)^\S+ UID FETCH .*BODY\.PEEK`, 700)},
		{name: "the first literal whole", imap: at(`(?i)^\S+ UID FETCH .*BODY\.PEEK`, literal)},
		{name: "in the second body", imap: at(`(?i)^\S+ UID FETCH .*BODY\.PEEK`, 2000)},
		{name: "in a later body", imap: at(`(?i)^\S+ UID FETCH .*BODY\.PEEK`, 5000)},
		{name: "bodies whole, the OK not come", imap: at(`(?i)^\S+ UID FETCH .*BODY\.PEEK`, answered)},
		{name: "before Deliver", point: "before Deliver"},
		{name: "before the handling is committed", point: "before commit of handling"},
		{name: "after the handling is committed", point: "after commit of handling"},
		{name: "before a mail is read", point: "before parse"},
		{name: "after a mail is read", point: "after parse"},
		{name: "before the last mail is read", point: "before parse", nth: mailsIn},
		{name: "after the last mail is read", point: "after parse", nth: mailsIn},
		// In the transaction that decides.
		{name: "before it begins", point: "before begin of fate"},
		{name: "after it has begun", point: "after begin of fate"},
		{name: "before the first ticket", point: "before write of ticket"},
		{name: "before the raw mails", point: "before write of raw"},
		{name: "before the entries", point: "before write of entry"},
		{name: "before the events", point: "before write of event"},
		{name: "before the Message-IDs", point: "before write of message_ids"},
		{name: "before the people", point: "before write of people"},
		{name: "before the rendered mails", point: "before write of body"},
		{name: "before the outbox", point: "before write of outbox"},
		{name: "before the fates", point: "before write of fate"},
		{name: "before the decision is committed", point: "before commit of fate"},
	}

	// beforeFiling dies between the decision and the word that the originals
	// are out of the way.
	plain        = demomail.Options{NoMove: true}
	bare         = demomail.Options{NoMove: true, NoUIDPlus: true}
	beforeFiling = []death{
		{name: "after the decision is committed", point: "after commit of fate", leaves: decided},
		{name: "after Deliver", point: "after Deliver", leaves: decided},
		{name: "MOVE asked", imap: at(`(?i)^\S+ UID MOVE`, asked), leaves: decided},
		{name: "MOVE answered", imap: at(`(?i)^\S+ UID MOVE`, answered), leaves: moved},
		{name: "before Filed", point: "before Filed", leaves: moved},
		{name: "before Filed is written", point: "before write of filed", leaves: moved},
		{name: "before Filed is committed", point: "before commit of filed", leaves: moved},
		{name: "after Filed is committed", point: "after commit of filed", leaves: filed},
		{name: "after Filed", point: "after Filed", leaves: filed},
		{name: "COPY asked", server: plain, imap: at(`(?i)^\S+ UID COPY`, asked), leaves: decided},
		{name: "COPY answered", server: plain, imap: at(`(?i)^\S+ UID COPY`, answered), leaves: copied, copies: true},
		{name: "STORE asked", server: plain, imap: at(`(?i)^\S+ UID STORE`, asked), leaves: copied, copies: true},
		{name: "STORE answered", server: plain, imap: at(`(?i)^\S+ UID STORE`, answered), leaves: copied, copies: true},
		{name: "EXPUNGE asked", server: plain, imap: at(`(?i)^\S+ UID EXPUNGE`, asked), leaves: copied, copies: true},
		{name: "EXPUNGE answered", server: plain, imap: at(`(?i)^\S+ UID EXPUNGE`, answered), leaves: moved},
		{name: "keyword asked", server: bare, imap: at(`(?i)^\S+ UID STORE`, asked), leaves: copied, copies: true},
		{name: "keyword answered", server: bare, imap: at(`(?i)^\S+ UID STORE`, answered), leaves: copied},
	}

	// whileSending dies on the way of a mail that goes out. It is sent twice
	// when the death came between the final dot and the stored result, and only
	// then.
	whileSending = []death{
		{name: "before the first look into the outbox", point: "before write of claim", leaves: untouched},
		{name: "before a claim is committed", point: "before commit of claimed rows", leaves: either},
		{name: "after a claim is committed", point: "after commit of claimed rows", leaves: either},
		{name: "connected to SMTP", smtp: &blow{moment: dialled}, leaves: either},
		{name: "TLS stands with SMTP", tls: true, smtp: &blow{moment: protected}, leaves: filed},
		{name: "greeted by SMTP", smtp: &blow{moment: greeted}, leaves: filed},
		{name: "EHLO asked", smtp: at(`^EHLO`, asked), leaves: filed},
		{name: "EHLO answered", smtp: at(`^EHLO`, answered), leaves: filed},
		{name: "AUTH asked", smtp: at(`^AUTH`, asked), leaves: filed},
		{name: "AUTH answered", smtp: at(`^AUTH`, answered), leaves: filed},
		{name: "MAIL asked", smtp: at(`^MAIL`, asked), leaves: filed},
		{name: "MAIL answered", smtp: at(`^MAIL`, answered), leaves: filed},
		{name: "RCPT asked", smtp: at(`^RCPT`, asked), leaves: filed},
		{name: "RCPT answered", smtp: at(`^RCPT`, answered), leaves: filed},
		{name: "DATA asked", smtp: at(`^DATA`, asked), leaves: filed},
		{name: "DATA answered", smtp: at(`^DATA`, answered), leaves: filed},
		{name: "in an outgoing header", smtp: at(`^Subject:`, asked), leaves: filed},
		{name: "in an outgoing body", smtp: at(`^$`, asked), leaves: filed},
		{name: "before the final dot", smtp: at(`^\.$`, asked), leaves: filed},
		{name: "after the final dot", smtp: at(`^\.$`, answered), leaves: filed, sent: 1, repeats: 1},
		{name: "before Sent is written", point: "before write of sent", leaves: filed, sent: 1, repeats: 1},
		{name: "before Sent is committed", point: "before commit of sent", leaves: filed, sent: 1, repeats: 1},
		{name: "after Sent is committed", point: "after commit of sent", leaves: filed, sent: 1},
		{name: "after the final dot of the seventh mail", smtp: nth(7, at(`^\.$`, answered)), leaves: filed, sent: 7, repeats: 1},
		{name: "at the second mail of a connection", smtp: nth(2, at(`^MAIL`, asked)), leaves: filed, sent: 1},
		{name: "before the last Sent is committed", point: "before commit of sent", nth: noticesIn, leaves: filed, sent: noticesIn, repeats: 1},
	}

	// whileStopping dies within the grace of a stop, in which what is in hand
	// is finished.
	whileStopping = []death{
		{name: "stopped in the search", stop: onTheWire, imap: at(`(?i)^\S+ UID SEARCH`, answered)},
		{name: "stopped in a body", stop: onTheWire, imap: at(`(?i)^\S+ UID FETCH .*BODY\.PEEK`, 2000)},
		{name: "stopped before a mail is read", stop: "before parse", point: "after parse"},
		{name: "stopped before the decision is committed", stop: "before commit of fate", point: "before commit of fate"},
		{name: "stopped before the decision, dead after it", stop: "before commit of fate", point: "after commit of fate", leaves: decided},
		{name: "stopped after the decision, dead before Filed", stop: "after commit of fate", point: "before Filed", leaves: moved},
		{name: "stopped at MOVE", stop: onTheWire, imap: at(`(?i)^\S+ UID MOVE`, answered), leaves: moved},
		{name: "stopped at DATA", stop: onTheWire, smtp: at(`^DATA`, answered), leaves: filed},
		{name: "stopped after the final dot", stop: onTheWire, smtp: at(`^\.$`, answered), leaves: filed, sent: 1, repeats: 1},
		{name: "stopped before Sent, dead after it", stop: "before commit of sent", point: "after commit of sent", leaves: filed, sent: 1},
	}
)

// takingBack dies where a desk brings back what is filed and unknown to its
// database.
var takingBack = []death{
	{name: "what is filed asked for", older: true, imap: at(`(?i)^\S+ EXAMINE`, asked), leaves: stranded},
	{name: "what is filed opened", older: true, imap: at(`(?i)^\S+ EXAMINE`, answered), leaves: stranded},
	{name: "fields of what is filed asked", older: true, imap: at(`(?i)^\S+ UID FETCH .*HEADER\.FIELDS`, asked), leaves: stranded},
	{name: "in the fields of what is filed", older: true, imap: at(`(?i)^\S+ UID FETCH .*HEADER\.FIELDS`, 500), leaves: stranded},
	{name: "fields of what is filed answered", older: true, imap: at(`(?i)^\S+ UID FETCH .*HEADER\.FIELDS`, answered), leaves: stranded},
	{name: "before Missing", older: true, point: "before Missing", leaves: stranded},
	{name: "before numbers are left out", older: true, point: "before write of event", leaves: stranded},
	{name: "before the numbers left out are committed", older: true, point: "before commit of event", leaves: stranded},
	{name: "after the numbers left out are committed", older: true, point: "after commit of event", leaves: stranded},
	{name: "after Missing", older: true, point: "after Missing", leaves: stranded},
	{name: "what is filed opened for changes", older: true, imap: nth(2, at(`(?i)^\S+ SELECT`, answered)), leaves: stranded},
	{name: "MOVE back asked", older: true, imap: at(`(?i)^\S+ UID MOVE`, asked), leaves: stranded},
	{name: "MOVE back answered", older: true, imap: at(`(?i)^\S+ UID MOVE`, answered)},
	{name: "folder opened after MOVE back", older: true, imap: nth(3, at(`(?i)^\S+ SELECT`, answered))},
	{name: "MOVE after MOVE back asked", older: true, imap: nth(2, at(`(?i)^\S+ UID MOVE`, asked)), leaves: decided},
	{name: "MOVE after MOVE back answered", older: true, imap: nth(2, at(`(?i)^\S+ UID MOVE`, answered)), leaves: moved},
	{name: "COPY back asked", older: true, server: plain, imap: at(`(?i)^\S+ UID COPY`, asked), leaves: stranded},
	{name: "COPY back answered", older: true, server: plain, imap: at(`(?i)^\S+ UID COPY`, answered), leaves: returning, copies: true},
	{name: "STORE back asked", older: true, server: plain, imap: at(`(?i)^\S+ UID STORE`, asked), leaves: returning, copies: true},
	{name: "STORE back answered", older: true, server: plain, imap: at(`(?i)^\S+ UID STORE`, answered), leaves: returning, copies: true},
	{name: "EXPUNGE back answered", older: true, server: plain, imap: at(`(?i)^\S+ UID EXPUNGE`, answered)},
}

func TestF28_KilledWhileTheSchemaGrowsTheDeskGoesOnWithIt(t *testing.T) {
	t.Parallel()
	dieAndFinish(t, migrating)
}

func TestF02_KilledBeforeTheDecisionTheDeskTakesTheMailsAtTheNextStart(t *testing.T) {
	t.Parallel()
	dieAndFinish(t, beforeDeciding)
}

func TestF01_KilledBeforeFilingTheDeskOnlyFilesAtTheNextStart(t *testing.T) {
	t.Parallel()
	dieAndFinish(t, beforeFiling)
}

func TestF30_KilledWhileSendingTheDeskSendsTheSameBytesAgain(t *testing.T) {
	t.Parallel()
	dieAndFinish(t, whileSending)
}

func TestF39_KilledWhileItStopsTheDeskLeavesNoHalfState(t *testing.T) {
	t.Parallel()
	dieAndFinish(t, whileStopping)
}

func TestF21_KilledWhileItTakesMailBackTheDeskDoesSoAtTheNextStart(t *testing.T) {
	t.Parallel()
	dieAndFinish(t, takingBack)
}

// dieAndFinish dies each death on both databases.
func dieAndFinish(t *testing.T, deaths []death) {
	t.Helper()
	for i, d := range deaths {
		if testing.Short() && i%8 != 0 {
			continue
		}
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			for n := range *matrixRuns {
				storetest.Each(t, func(t *testing.T, url string) {
					t.Parallel()
					d.run(note(t), url, n+1, &result{})
				})
			}
		})
	}
}

// run dies the death, starts the desk again, and judges what has become of it
// all.
func (d death) run(t *noted, url string, _ int, got *result) {
	t.Helper()
	s := openScenario(t, url, d.server)
	defer s.tell(got)
	got.Allowed = d.repeats
	if d.fresh {
		s.die(d)
	}
	s.begin()
	if d.older {
		s.strand()
	}
	if !d.fresh {
		s.die(d)
		s.left(d)
	}
	// The next start does not wait for the lease of a mail in hand: at most
	// until the dead desk is known to be dead.
	next := life{}
	if strings.Contains(url, "://") {
		next.Later = 2 * time.Minute
	}
	s.finish(next)
	if f := s.judge(d.server, d.copies, 0); f.Repeats != d.repeats {
		t.Errorf("%d mails went out again, want %d", f.Repeats, d.repeats)
	}
}

// tell tells what a run came to, however it has ended.
func (s *scenario) tell(got *result) { got.Deaths, got.figures = s.deaths, s.found }

// Roughly how much a life of the scenario does to the world: commands and
// commits, and bytes on the wire. A random moment is drawn out of it by the
// seed alone, so that it can be repeated.
const someEffects, someBytes = 144, 136_000

// mostEffects is more than it ever does.
const mostEffects = 1000

// atEffect kills a desk instead of its nth effect on the world, be it a command
// to a server or a commit. Without a death n is past the end.
func atEffect(t *noted, url string, n int, got *result) {
	t.Helper()
	s := newScenario(t, url, demomail.Options{})
	defer s.tell(got)
	s.dieOf(&toll{lastEffect: n}, 0)
	owed := s.owed(nil)
	s.finish(life{Later: 30 * time.Minute})
	s.judge(demomail.Options{}, false, 0)
	s.within(owed, got)
}

// atRandom kills a desk once or twice, at moments that follow from the seed.
func atRandom(t *noted, url string, seed int, got *result) {
	t.Helper()
	rng := rand.New(rand.NewPCG(uint64(seed), 0))
	o := demomail.Options{NoMove: rng.IntN(2) == 0}
	s := newScenario(t, url, o)
	defer s.tell(got)
	if seed%3 == 0 { // its database is older than its mailbox
		s.strand()
	}
	owed := map[string]int{}
	lives := 1 + rng.IntN(2)
	for i := range lives {
		end := &toll{lastEffect: 1 + rng.IntN(someEffects)}
		if rng.IntN(2) == 0 {
			end = &toll{lastByte: 1 + rng.IntN(someBytes)}
		}
		before := s.accepted()
		s.dieOf(end, time.Duration(i)*30*time.Minute)
		for key, n := range s.owed(before) {
			owed[key] += n
		}
	}
	s.finish(life{Later: time.Duration(lives) * 30 * time.Minute})
	s.judge(o, o.NoMove, lives-1)
	s.within(owed, got)
}

// within holds that nothing came again but what a death had left accepted and
// not marked so.
func (s *scenario) within(owed map[string]int, got *result) {
	s.t.Helper()
	for _, n := range owed {
		got.Allowed += n
	}
	if got.Allowed > s.deaths {
		s.t.Errorf("%d deaths left %d mails accepted and not marked so, and there is one sender", s.deaths, got.Allowed)
	}
	for key, n := range s.found.again {
		if n > owed[key] {
			s.t.Errorf("%s went out again %d times, %d allowed", key, n, owed[key])
		}
	}
}

// TestF38_KilledAtTheNthEffectTheDeskComesToAnEnd kills a desk instead of what
// it does first to the world, another instead of what it does second, and so
// on until one lives.
func TestF38_KilledAtTheNthEffectTheDeskComesToAnEnd(t *testing.T) {
	t.Parallel()
	step := len(databases)
	if testing.Short() {
		step = 40
	}
	for i, database := range databases {
		t.Run(database, func(t *testing.T) {
			t.Parallel()
			for n := 1 + i; n <= mostEffects; n += step {
				var got result
				t.Run(strconv.Itoa(n), func(t *testing.T) {
					n1 := note(t)
					defer func() { got.Faults = n1.faults }()
					atEffect(n1, open(t, database), n, &got)
				})
				if got.lived() {
					return
				}
			}
			t.Errorf("none lived up to %d", mostEffects)
		})
	}
}

func TestF38_KilledAtARandomMomentTheDeskComesToAnEnd(t *testing.T) {
	t.Parallel()
	last := 50
	if testing.Short() {
		last = 4
	}
	for seed := 1; seed <= last; seed++ {
		t.Run(strconv.Itoa(seed), func(t *testing.T) {
			t.Parallel()
			atRandom(note(t), open(t, databases[seed%len(databases)]), seed, &result{})
		})
	}
}

// The databases of the matrix.
var databases = []string{"sqlite", "postgres"}

func open(t *testing.T, database string) (url string) {
	t.Helper()
	if database == "sqlite" {
		return storetest.SQLite(t)
	}
	return storetest.PostgreSQL(t)
}

// TestF38_KilledAtEveryCommitTheDeskComesToAnEnd kills the first life of a desk
// before its first commit, the second before its second, and so on, with new
// mail before each, until one ends unkilled.
func TestF38_KilledAtEveryCommitTheDeskComesToAnEnd(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		t.Parallel()
		s := newScenario(note(t), url, demomail.Options{})
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
			if !p.end() {
				t.Fatal("the process does not come to an end")
			}
			if p.cmd.ProcessState.Success() {
				t.Logf("died %d times", (n-1)/step)
				break
			}
			if !p.died(point) || n >= 200 {
				t.Fatalf("life %d: %s", n, p.cmd.ProcessState)
			}
			left := s.owed(before)
			for key := range left {
				owed[key]++
			}
			if len(left) > 1 {
				t.Errorf("death %d left %d mails accepted and not marked so, and there is one sender", n, len(left))
			}
		}
		// Twice, since a mail that the desk died over three times would be set aside.
		if diff := cmp.Diff(owed, s.judge(demomail.Options{}, false, 2).again); diff != "" {
			t.Errorf("mails that went out again (-want +got):\n%s", diff)
		}
	})
}

func TestF20_ARestartTakesItsMailboxBackAtOnce(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		t.Parallel()
		s := newScenario(note(t), url, demomail.Options{})
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
		if repeats := s.judge(demomail.Options{}, false, 0).again; len(repeats) != 0 {
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
				s := newScenario(note(t), url, demomail.Options{})
				s.die(death{point: row.point})
				const uid, id = 3, "3.new2.at.example.com" // the second of the new ones
				s.remove(uid)
				if s.vanished[id] = uid; row.point == "after Seen" {
					delete(s.opens, id)
				}
				s.finish(life{Later: time.Hour})
				if repeats := s.judge(demomail.Options{}, false, 0).again; len(repeats) != 0 {
					t.Errorf("mails went out again: %v", repeats)
				}
			})
		})
	}
}
