package desk

import (
	"context"
	"database/sql/driver"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"deskd/mailin"
	"deskd/store/storetest"
	"deskd/triage/ticket"
)

// realTime is a desk that goes by the machine's clock, with short leases.
func realTime(owner string) func(*setup) {
	return func(s *setup) {
		s.desk.Now, s.desk.LeaseTTL, s.store.Owner = time.Now, 600*time.Millisecond, owner
		s.store.Log = slog.New(slog.DiscardHandler)
	}
}

// watching runs Watch and hears when its loop begins and ends.
type watching struct {
	begun, ended chan struct{}
	stop         func()
}

func (o *office) watching() watching {
	o.t.Helper()
	ctx, cancel := context.WithCancel(o.t.Context())
	w := watching{begun: make(chan struct{}, 100), ended: make(chan struct{}, 100)}
	done := make(chan error, 1)
	go func() {
		done <- o.Watch(ctx, support, func(ctx context.Context) error {
			w.begun <- struct{}{}
			<-ctx.Done()
			w.ended <- struct{}{}
			return nil
		})
	}()
	w.stop = func() {
		cancel()
		if err := <-done; err != nil {
			o.t.Errorf("Watch: %v", err)
		}
	}
	return w
}

func TestF20OneDeskWatchesAMailboxAndTheOtherTakesOver(t *testing.T) {
	t.Parallel()
	url := storetest.PostgreSQL(t)
	patient := func(s *setup) { s.desk.LeaseTTL = 6 * time.Second } // on a busy machine, too
	one, two := open(t, url, realTime("one"), patient), open(t, url, realTime("two"), patient)
	first := one.watching()
	<-first.begun
	second := two.watching()
	// The lease outlives its time to live, by being renewed.
	for range 4 {
		l, err := two.store.Acquire(t.Context(), "mailbox:"+support, time.Second)
		if err != nil || l != nil {
			t.Fatalf("Acquire = %v, %v, want it held", l, err)
		}
		pause(t.Context(), one.o.LeaseTTL/2)
	}
	select {
	case <-second.begun:
		t.Fatal("both watch the mailbox")
	case <-first.ended:
		t.Fatal("the first stopped watching")
	default:
	}
	first.stop()
	<-second.begun
	second.stop()
	<-second.ended
}

func TestF20LeaseOfADeadDeskIsTakenOver(t *testing.T) {
	t.Parallel()
	url := storetest.PostgreSQL(t)
	one, two := open(t, url, realTime("one")), open(t, url, realTime("two"))
	if l, err := one.store.Acquire(t.Context(), "mailbox:"+support, 700*time.Millisecond); err != nil || l == nil {
		t.Fatalf("Acquire = %v, %v", l, err)
	} // and dies
	w := two.watching()
	<-w.begun
	w.stop()
}

// A restarted desk takes its own lease at once; should the earlier process be
// alive, it stops.
func TestF20LosingTheLeaseEndsTheLoop(t *testing.T) {
	t.Parallel()
	url := storetest.PostgreSQL(t)
	one, again := open(t, url, realTime("same")), open(t, url, realTime("same"))
	first := one.watching()
	<-first.begun
	second := again.watching()
	<-second.begun
	<-first.ended
	second.stop()
	first.stop()
}

// A store that answers no more does not keep a loop at work under a lease
// that another desk may have by now.
func TestF20LoopEndsWithTheLeaseWhateverTheStoreDoes(t *testing.T) {
	t.Parallel()
	wait := func(t *testing.T, c <-chan struct{}) {
		t.Helper()
		select {
		case <-c:
		case <-time.After(30 * time.Second):
			t.Fatal("the loop goes on without a lease")
		}
	}
	t.Run("the link is frozen", func(t *testing.T) {
		t.Parallel()
		link := storetest.NewLink(t, storetest.PostgreSQL(t))
		w := open(t, link.URL, realTime("one")).watching()
		<-w.begun
		link.Freeze()
		wait(t, w.ended)
		link.Thaw()
		<-w.begun // again
		w.stop()
	})
	t.Run("the call never returns", func(t *testing.T) {
		t.Parallel()
		answer := make(chan struct{})
		hang := func(_ storetest.Op, query string, _ []driver.NamedValue) error {
			if strings.HasPrefix(query, "UPDATE leases SET until_at") {
				<-answer
			}
			return nil
		}
		w := open(t, storetest.SQLite(t), realTime("one"), func(s *setup) {
			s.store.Wrap = storetest.Wrap(storetest.Hooks{Before: hang})
		}).watching()
		<-w.begun
		wait(t, w.ended)
		close(answer)
		w.stop()
	})
}

func TestWatchTellsWhatCannotGoOn(t *testing.T) {
	o := quick(t)
	fault := errors.New("no such setting")
	if err := o.Watch(t.Context(), support, func(context.Context) error { return fault }); !errors.Is(err, fault) || !strings.Contains(err.Error(), support) {
		t.Errorf("Watch: %v, want %v", err, fault)
	}
	// The lease was given back.
	if err := o.Watch(t.Context(), support, func(context.Context) error { return fault }); !errors.Is(err, fault) {
		t.Errorf("Watch again: %v", err)
	}
}

func TestResolvedTicketsCloseByThemselves(t *testing.T) {
	both(t, func(t *testing.T, o *office) {
		o.deliver(letter(ann, "printer", "1"), letter(bob, "printer", "2"), letter(ann, "printer", "3"))
		o.deliver(vouched(letter(tina, "Re: [IT-1001]", "resolved")))
		o.clock.add(3 * 24 * time.Hour)
		o.deliver(vouched(letter(tina, "Re: [IT-1002]", "resolved")))
		o.clock.add(4*24*time.Hour + time.Second)
		if err := o.closeResolved(t.Context()); err != nil {
			t.Fatal(err)
		}
		for n, want := range map[ticket.Number]ticket.Status{1001: ticket.Closed, 1002: ticket.Resolved, 1003: ticket.Open} {
			if got := o.show(n).Ticket.Status; got != want {
				t.Errorf("%d is %s, want %s", n, got, want)
			}
		}
		o.wantEvent(1001, "status resolved→closed: resolved long enough")
		if d := o.show(1001).Ticket; !d.ClosedAt.Equal(o.clock.now()) || d.ResolvedAt.IsZero() {
			t.Errorf("resolved %s, closed %s", d.ResolvedAt, d.ClosedAt)
		}
	}, func(s *setup) { s.desk.CloseAfter = 7 * 24 * time.Hour })
}

func TestTidyClosesWhenTheTimeHasCome(t *testing.T) {
	t.Parallel()
	url := storetest.SQLite(t)
	synctest.Test(t, func(t *testing.T) {
		o := open(t, url, func(s *setup) {
			s.desk.Now, s.desk.CloseAfter, s.desk.LeaseTTL = time.Now, 7*24*time.Hour, 24*time.Hour
			s.store.Log = slog.New(slog.DiscardHandler)
		})
		o.clock.at = time.Now()
		o.deliver(letter(ann, "printer", "1"))
		o.deliver(vouched(letter(tina, "Re: [IT-1001]", "resolved")))
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- o.Tidy(ctx) }()
		time.Sleep(7*24*time.Hour - time.Minute)
		if s := o.show(1001).Ticket.Status; s != ticket.Resolved {
			t.Errorf("too early it is %s", s)
		}
		time.Sleep(3 * time.Hour)
		if s := o.show(1001).Ticket.Status; s != ticket.Closed {
			t.Errorf("in the end it is %s", s)
		}
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Tidy: %v", err)
		}
	})
}

func TestContactIsKeptAtChangesAndNowAndThen(t *testing.T) {
	o := quick(t)
	tell := func(ok bool, waiting int) {
		c := mailin.Contact{Mailbox: support, At: o.clock.now(), OK: ok, Idle: true, Waiting: waiting}
		if !ok {
			c.Err = "login refused"
		}
		o.Contact(t.Context(), c)
	}
	beat := func() (bool, time.Time, int) {
		t.Helper()
		b, err := o.store.Heartbeats(t.Context())
		if err != nil || len(b) != 1 || b[0].Name != "imap:"+support {
			t.Fatalf("heartbeats %+v, %v", b, err)
		}
		return b[0].OK, b[0].At, b[0].Waiting
	}
	start := o.clock.now()
	tell(true, 0)
	o.clock.add(time.Second)
	tell(true, 0) // nothing new
	if ok, at, _ := beat(); !ok || !at.Equal(start) {
		t.Errorf("ok %t at %s, want the first word to stand", ok, at)
	}
	tell(true, 3)
	if _, at, n := beat(); n != 3 || !at.Equal(o.clock.now()) {
		t.Errorf("%d waiting at %s", n, at)
	}
	tell(false, 3)
	if ok, _, _ := beat(); ok {
		t.Error("a lost connection is not told")
	}
	o.clock.add(time.Minute)
	tell(false, 3)
	if _, at, _ := beat(); !at.Equal(o.clock.now()) {
		t.Errorf("told at %s, want once more after a while", at)
	}
	if n := strings.Count(o.log.String(), "mailbox out of reach"); n != 1 {
		t.Errorf("logged %d times, want once", n)
	}
}

func TestF16GoneMailIsRecorded(t *testing.T) {
	both(t, func(t *testing.T, o *office) {
		box := mailin.Box{Mailbox: support, Validity: 7}
		if err := o.Seen(t.Context(), box, []uint32{1, 2}); err != nil {
			t.Fatal(err)
		}
		if err := o.Gone(t.Context(), box, []uint32{1}); err != nil {
			t.Fatal(err)
		}
		o.wantFates("gone ")
		if open, err := o.Open(t.Context(), box); err != nil || len(open) != 1 || open[0] != 2 {
			t.Errorf("Open = %v, %v, want the other one", open, err)
		}
	})
}

func TestF18StartingPointIsKeptForEver(t *testing.T) {
	both(t, func(t *testing.T, o *office) {
		box := mailin.Box{Mailbox: support, Validity: 7}
		first := mailin.Start{At: o.clock.now(), Validity: 7, UIDNext: 100}
		for _, now := range []mailin.Start{first, {At: o.clock.now().Add(time.Hour), Validity: 8, UIDNext: 5}} {
			got, err := o.Start(t.Context(), box, now)
			if err != nil || !got.At.Equal(first.At) || got.UIDNext != 100 || got.Validity != 7 {
				t.Errorf("Start = %+v, %v, want %+v", got, err, first)
			}
		}
	})
}
