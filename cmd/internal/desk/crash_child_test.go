//go:build unix

package desk_test

import (
	"bufio"
	"bytes"
	"context"
	"database/sql/driver"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"deskd/cmd/internal/desk"
	"deskd/mailin"
	"deskd/mailout"
	"deskd/store"
	"deskd/store/storetest"
	"deskd/triage"
	"deskd/triage/ticket"
)

// envLife hands a life to the process that is to live it.
const envLife = "DESKD_TEST_LIFE"

// life is one run of a desk, from start to death or to the end of the work.
type life struct {
	Database   string
	IMAP, SMTP string        // where the mail server, or what stands before it, listens
	Owner      string        // the daemon's name
	Later      time.Duration // how far its clock is ahead
	Mails      int           // the work is done when so many are filed and nothing waits to be sent
	CA         string        // file with the certificate of the mail server, which then speaks TLS
	Stop       string        // a point at which the process is told to stop
	Point      string        // where the process kills itself, "commit 7" being before its seventh commit; empty: nowhere
	Nth        int           // how often it comes there before it does; 0 means 1
	Asks       bool          // it asks before each commit, and goes on when it is answered
}

// What a life says to the one who has started it, a line each.
const (
	saysDies  = "dies: "
	saysStops = "stops"
	saysAsks  = "asks"
)

// secret is the desk's key, the same in all lives.
func secret() []byte { return bytes.Repeat([]byte("k"), 32) }

// TestLife is no test of its own: it is the process that the crash tests
// start, and kill.
func TestLife(t *testing.T) {
	given := os.Getenv(envLife)
	if given == "" {
		return
	}
	var l life
	if err := json.Unmarshal([]byte(given), &l); err != nil {
		t.Fatal(err)
	}
	answers := make(chan struct{})
	go func() { // outlives nobody: the pipe ends with the process that holds the other end
		for line := bufio.NewScanner(os.Stdin); line.Scan(); {
			answers <- struct{}{}
		}
		os.Exit(3)
	}()
	ctx, stop := signal.NotifyContext(t.Context(), syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, func() { fmt.Printf("\n%s\n", saysStops) })
	signalled := func(sig syscall.Signal) { _ = syscall.Kill(os.Getpid(), sig) }
	var times atomic.Int64
	err := l.live(ctx, slog.New(slog.NewTextHandler(os.Stderr, nil)), func(point string) {
		if l.Asks && strings.HasPrefix(point, "commit ") {
			fmt.Printf("\n%s\n", saysAsks)
			<-answers
		}
		if point == l.Stop {
			signalled(syscall.SIGTERM)
			<-ctx.Done()
		}
		if point == l.Point && times.Add(1) == int64(max(l.Nth, 1)) {
			fmt.Printf("\n%s%s\n", saysDies, point)
			signalled(syscall.SIGKILL)
			select {}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	os.Exit(0) // that the pipe is read still is no leak
}

// live wires a desk as the daemon does, and runs it until the work is done.
// reached is told of each point on the path of a mail; it may be called by
// several goroutines.
func (l life) live(ctx context.Context, log *slog.Logger, reached func(point string)) error {
	rules, err := triage.New(triage.Policy{
		Prefix: "IT", Mailboxes: []triage.Mailbox{{Address: support}}, DefaultTeam: "Helpdesk", DefaultPriority: ticket.Medium,
		Teams: []triage.Team{{Name: "Helpdesk", Roster: []string{"hana@example.com", "henry@example.com"}}},
		Trust: triage.Trust{Servers: []string{"demo.example.com"}}, Secret: secret(),
	})
	if err != nil {
		return err
	}
	out := mailout.Config{Address: l.SMTP, Security: mailout.Plain, Username: support, Password: "demo", Hello: "localhost", Connections: 1}
	in := mailin.Config{Address: support, Server: l.IMAP, Security: mailin.Plain, Username: support, Password: "demo", Import: "all"}
	if l.CA != "" {
		out.Security, out.CAFile = mailout.TLS, l.CA
		in.Security, in.CAFile = mailin.TLS, l.CA
	}
	mailer, err := mailout.New(out, mailout.Identity{
		Name: "IT Service Desk", Prefix: "IT", Host: "example.com", Signer: rules.Signer(), ListID: "support.example.com", Own: []string{support},
	}, log)
	if err != nil {
		return err
	}
	defer mailer.Close()
	now := func() time.Time { return time.Now().Add(l.Later) }
	w := &watched{reached: reached, committed: make(chan struct{}, 1), claimed: make(chan struct{})}
	db, err := store.Open(ctx, l.Database, store.Options{
		Key: secret(), Owner: l.Owner, Log: log, Now: now, Wrap: storetest.WrapEach(w.connection),
	})
	if err != nil {
		return err
	}
	defer db.Close()
	d := desk.New(desk.Options{
		Store: db, Rules: rules, Mailer: mailer, Host: "example.com", Log: log, Now: now,
		Senders: 1, // so that one death can cause one repeat, and not two
		// Nobody waits for the end of such a lease: a restart that did not
		// take its own back at once would not come to an end (F20).
		LeaseTTL: 24 * time.Hour,
	})
	d.Reading(func() { reached("before parse") }, func() {
		reached("after parse")
		w.parsed.Store(true)
	})
	source := mailin.New(in, pointed{d, reached}, log)

	ctx, stop := context.WithCancel(ctx)
	defer stop()
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return d.Dispatch(ctx) })
	group.Go(func() error { return d.Tidy(ctx) })
	group.Go(func() error {
		// The first look into the outbox is over when the mailbox is opened, so
		// that its commit is not taken for another one.
		select {
		case <-w.claimed:
		case <-ctx.Done():
		}
		return d.Watch(ctx, support, source.Run)
	})
	group.Go(func() error {
		defer stop()
		for {
			if done, err := l.done(ctx, db); done || err != nil {
				return err
			}
			select {
			case <-w.committed:
			case <-ctx.Done():
				return nil
			}
		}
	})
	return group.Wait()
}

// done says whether all mails are filed and all that follows from them is
// sent. The order of the questions is that of a mail's way, so that nothing
// slips from what is asked later to what was asked before.
func (l life) done(ctx context.Context, db *store.Store) (bool, error) {
	all, err := db.ListIntakes(ctx, store.IntakeFilter{})
	if err != nil || len(all) < l.Mails {
		return false, quiet(ctx, err)
	}
	undone, err := db.ListIntakes(ctx, store.IntakeFilter{Undone: true})
	if err != nil || len(undone) > 0 {
		return false, quiet(ctx, err)
	}
	_, waiting, err := db.NextDue(ctx)
	return err == nil && !waiting, quiet(ctx, err)
}

// quiet takes an error away that comes of being stopped.
func quiet(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// pointed tells when what the mailbox loop asks for begins and has ended.
type pointed struct {
	mailin.Desk
	reached func(point string)
}

func (p pointed) Start(ctx context.Context, box mailin.Box, now mailin.Start) (mailin.Start, error) {
	p.reached("before Start")
	s, err := p.Desk.Start(ctx, box, now)
	p.reached("after Start")
	return s, err
}

func (p pointed) Open(ctx context.Context, box mailin.Box) ([]uint32, error) {
	p.reached("before Open")
	uids, err := p.Desk.Open(ctx, box)
	p.reached("after Open")
	return uids, err
}

func (p pointed) Pending(ctx context.Context, box mailin.Box, uids []uint32) ([]mailin.Due, error) {
	p.reached("before Pending")
	due, err := p.Desk.Pending(ctx, box, uids)
	p.reached("after Pending")
	return due, err
}

func (p pointed) Seen(ctx context.Context, box mailin.Box, uids []uint32) error {
	p.reached("before Seen")
	err := p.Desk.Seen(ctx, box, uids)
	p.reached("after Seen")
	return err
}

func (p pointed) Deliver(ctx context.Context, batch []mailin.Fetched) ([]mailin.Verdict, error) {
	p.reached("before Deliver")
	verdicts, err := p.Desk.Deliver(ctx, batch)
	p.reached("after Deliver")
	return verdicts, err
}

func (p pointed) Filed(ctx context.Context, box mailin.Box, uids []uint32) error {
	p.reached("before Filed")
	err := p.Desk.Filed(ctx, box, uids)
	p.reached("after Filed")
	return err
}

func (p pointed) Missing(ctx context.Context, box mailin.Box, copies []mailin.Copy) ([]uint32, error) {
	p.reached("before Missing")
	uids, err := p.Desk.Missing(ctx, box, copies)
	p.reached("after Missing")
	return uids, err
}

func (p pointed) Gone(ctx context.Context, box mailin.Box, uids []uint32) error {
	p.reached("before Gone")
	err := p.Desk.Gone(ctx, box, uids)
	p.reached("after Gone")
	return err
}

// watched tells when something is written to the database: before each kind of
// statement, and before and after the commit of the transaction that it is in.
type watched struct {
	reached   func(point string)
	committed chan struct{} // a word after each commit
	claimed   chan struct{} // closed after the first look into the outbox
	parsed    atomic.Bool   // a mail was read, so that the next transaction is the one that decides

	mu      sync.Mutex
	commits int
	looked  bool
}

// connection watches one connection, which has one transaction at a time.
type connection struct {
	*watched
	writes []string // in the transaction that has not ended
	ended  []string // of the transaction that is being committed
}

func (w *watched) connection() storetest.Hooks {
	c := &connection{watched: w}
	return storetest.Hooks{Before: c.before, After: c.after}
}

// writes names statements by how they begin, without quotes. Of those that are
// not here, what adds rows is named after the table.
var writes = []struct{ name, begin string }{
	{"step of the schema", "INSERT INTO goose_db_version"},
	{"lease", "UPDATE leases SET owner"},
	{"seen", "INSERT INTO intakes"},
	{"handling", "UPDATE intakes SET handling"},
	{"ticket", "INSERT INTO tickets"},
	{"raw", "INSERT INTO raws"},
	{"fate", "UPDATE intakes SET sha256"},
	{"entry", "INSERT INTO entries"},
	{"event", "INSERT INTO events"},
	{"body", "INSERT INTO outbox_bodies"},
	{"outbox", "INSERT INTO outbox "},
	{"filed", "UPDATE intakes SET filed_at"},
	{"claim", "WITH candidates"},
	{"claimed rows", "SELECT * FROM outbox_bodies"}, // asked for only when there are some
	{"sent", "UPDATE outbox SET state"},
}

// named gives the name of a statement, or "".
func named(query string) string {
	query = strings.NewReplacer("`", "", `"`, "").Replace(query)
	for _, w := range writes {
		if strings.HasPrefix(query, w.begin) {
			return w.name
		}
	}
	if table, ok := strings.CutPrefix(query, "INSERT INTO "); ok {
		table, _, _ = strings.Cut(table, " ")
		return table
	}
	return ""
}

func (w *connection) before(op storetest.Op, query string, _ []driver.NamedValue) error {
	switch op {
	case storetest.Begin:
		w.writes = nil
		if w.parsed.Load() {
			w.reached("before begin of fate")
		}
	case storetest.Commit:
		w.mu.Lock()
		w.commits++
		n := w.commits
		w.mu.Unlock()
		w.ended, w.writes = w.writes, nil
		w.reached(fmt.Sprintf("commit %d", n))
		for _, n := range w.ended {
			w.reached("before commit of " + n)
		}
	default:
		if n := named(query); n != "" {
			w.reached("before write of " + n)
			w.writes = append(w.writes, n)
		}
	}
	return nil
}

func (w *connection) after(op storetest.Op, _ string) error {
	if op == storetest.Begin && w.parsed.Load() {
		w.reached("after begin of fate")
	}
	if op != storetest.Commit {
		return nil
	}
	ended := w.ended
	w.ended = nil
	for _, n := range ended {
		w.reached("after commit of " + n)
		if w.mu.Lock(); n == "claim" && !w.looked {
			w.looked = true
			close(w.claimed)
		}
		w.mu.Unlock()
	}
	select {
	case w.committed <- struct{}{}:
	default:
	}
	return nil
}
