package store

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"deskd/store/storetest"
	"deskd/triage/ticket"
)

func enqueue(t testing.TB, s *Store, o ...Outgoing) {
	t.Helper()
	mustWrite(t, s, func(tx *Tx) error {
		for _, o := range o {
			if err := tx.Enqueue(o); err != nil {
				return err
			}
		}
		return nil
	})
}

func claimed(t testing.TB, s *Store, n int) []Row {
	t.Helper()
	rows, err := s.Claim(t.Context(), n, time.Minute)
	if err != nil {
		t.Fatalf("Claim: %v", err)
	}
	return rows
}

func stateOf(t testing.TB, s *Store, id int64) Row {
	t.Helper()
	rows, err := read[outboxRow](t.Context(), s, "SELECT * FROM outbox WHERE id = ?", id)
	if err != nil || len(rows) != 1 {
		t.Fatal(rows, err)
	}
	return rows[0].row()
}

func ids(rows []Row) []int64 {
	out := []int64{}
	for _, r := range rows {
		out = append(out, r.ID)
	}
	return out
}

// onClock runs a test on both databases with a clock that the test sets.
func onClock(t *testing.T, fn func(t *testing.T, s *Store, clock *stopped)) {
	t.Helper()
	storetest.Each(t, func(t *testing.T, url string) {
		clock := &stopped{time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
		fn(t, openWith(t, url, Options{Now: clock.now}), clock)
	})
}

func TestRowGoesThroughItsStates(t *testing.T) {
	t.Parallel()
	onClock(t, func(t *testing.T, s *Store, clock *stopped) {
		n := newTicket(t, s).Number
		later := clock.at.Add(time.Hour)
		cases := []struct {
			name string
			end  func(r Row) error
			want State
			due  time.Time
		}{
			{"sent", func(r Row) error { return s.Sent(t.Context(), r, "250 ok") }, Sent, time.Time{}},
			{"later", func(r Row) error { return s.Later(t.Context(), r, later, "451 busy") }, Queued, later},
			{"put back", func(r Row) error { return s.PutBack(t.Context(), r, later, "stopped") }, Queued, later},
			{"uncertain", func(r Row) error { return s.Uncertain(t.Context(), r, later, "cut") }, Uncertain, later},
			{"failed", func(r Row) error { return s.Failed(t.Context(), r, "550 no") }, Failed, time.Time{}},
		}
		for i, c := range cases {
			o := outgoing(c.name, n, 0, fmt.Sprintf("%d@example.org", i))
			enqueue(t, s, o)
			rows := claimed(t, s, 5)
			if len(rows) != 1 || rows[0].State != Sending || rows[0].Attempts != 1 || !bytes.Equal(rows[0].Body, o.Body) || rows[0].LeaseOwner != "desk1" {
				t.Fatalf("%s: claimed %+v", c.name, rows)
			}
			if err := c.end(rows[0]); err != nil {
				t.Fatal(err)
			}
			got := stateOf(t, s, rows[0].ID)
			if got.State != c.want || !got.Due.Equal(c.due) || got.Answer == "" || got.LeaseOwner != "" || got.SentAt.IsZero() == (c.want == Sent) {
				t.Errorf("%s: %+v", c.name, got)
			}
			if err := c.end(rows[0]); err != nil {
				t.Errorf("%s once more = %v, want no error and nothing changed", c.name, err)
			}
			var lost *LeaseLost
			if err := s.Later(t.Context(), rows[0], later, "another end"); !errors.As(err, &lost) {
				t.Errorf("another end after %s = %v, want *LeaseLost", c.name, err)
			}
		}
		d, err := s.Show(t.Context(), n)
		if err != nil || len(d.Events) != 1 || d.Events[0].What != "delivery failed" || d.Events[0].After != "4@example.org" || d.Events[0].Reason != "550 no" {
			t.Errorf("events after a failure: %+v, %v", d.Events, err)
		}
		if err := s.Sent(t.Context(), Row{ID: 99}, ""); !errors.Is(err, ErrNotFound) {
			t.Errorf("Sent(99) = %v, want ErrNotFound", err)
		}
	})
}

func TestF30_UncertainIsSentOnceMoreByItself(t *testing.T) {
	t.Parallel()
	onClock(t, func(t *testing.T, s *Store, clock *stopped) {
		enqueue(t, s, outgoing("k", 0, 0, "ann@example.org"))
		for attempt := 1; attempt <= 2; attempt++ {
			rows := claimed(t, s, 5)
			if len(rows) != 1 || rows[0].Attempts != attempt || len(rows[0].Body) == 0 {
				t.Fatalf("attempt %d: %+v", attempt, rows)
			}
			if err := s.Uncertain(t.Context(), rows[0], clock.at, "cut"); err != nil {
				t.Fatal(err)
			}
		}
		clock.at = clock.at.Add(1000 * time.Hour)
		if rows := claimed(t, s, 5); len(rows) != 0 {
			t.Errorf("a third attempt: %+v", rows)
		}
		if got := stateOf(t, s, 1); got.State != Uncertain || !got.Due.IsZero() {
			t.Errorf("in the end: %+v, want uncertain and not due", got)
		}
		mustWrite(t, s, func(tx *Tx) error { return tx.SendAgain(1, time.Time{}) }) // a person says so
		if rows := claimed(t, s, 5); len(rows) != 1 {
			t.Errorf("after SendAgain: %+v", rows)
		}
	})
}

func TestF35_RowOfADeadDaemonIsClaimedAgain(t *testing.T) {
	t.Parallel()
	clock, s := daemons(t, "a", "b")
	enqueue(t, s[0], outgoing("k", 0, 0, "ann@example.org"))
	first := claimed(t, s[0], 5)
	if rows := claimed(t, s[1], 5); len(first) != 1 || len(rows) != 0 {
		t.Fatalf("claimed %v and %v, want it once", first, rows)
	}
	clock.at = clock.at.Add(time.Minute)
	if rows := claimed(t, s[1], 5); len(rows) != 1 || rows[0].Attempts != 2 {
		t.Fatalf("after the lease's end: %+v", rows)
	}
	var lost *LeaseLost
	for _, err := range []error{
		s[0].Sent(t.Context(), first[0], "late"), s[0].Failed(t.Context(), first[0], "late"), s[0].Later(t.Context(), first[0], clock.at, "late"),
	} {
		if !errors.As(err, &lost) || lost.Holder != "b" {
			t.Errorf("a stale sender: %v, want *LeaseLost to b", err)
		}
	}
	if err := s[1].Sent(t.Context(), stateOf(t, s[1], 1), "ok"); err != nil {
		t.Error(err)
	}
}

// The lease may end while its holder is busy, and the next claim may be of the
// same process.
func TestF35_LateResultOfAnEarlierClaimIsNotTaken(t *testing.T) {
	t.Parallel()
	onClock(t, func(t *testing.T, s *Store, clock *stopped) {
		enqueue(t, s, outgoing("k", 0, 0, "ann@example.org"))
		first := claimed(t, s, 1)[0]
		clock.at = clock.at.Add(time.Minute)
		second := claimed(t, s, 1)[0]
		var lost *LeaseLost
		if err := s.Failed(t.Context(), first, "late"); !errors.As(err, &lost) {
			t.Errorf("the first claim's result: %v, want *LeaseLost", err)
		}
		if got := stateOf(t, s, first.ID); got.State != Sending {
			t.Errorf("after it the row is %s, want it in the hand of the second claim", got.State)
		}
		if err := s.Sent(t.Context(), second, "ok"); err != nil {
			t.Errorf("the second claim's result: %v", err)
		}
	})
}

// The connection may be lost in the commit of a result that is there; whoever
// records it again must not take it for somebody else's.
func TestF26_ResultOfAnUnknownCommitIsRecordedOnce(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		var cut atomic.Bool
		s := openWith(t, url, Options{Wrap: storetest.Wrap(storetest.Hooks{After: func(op storetest.Op, _ string) error {
			if op == storetest.Commit && cut.CompareAndSwap(true, false) {
				return io.ErrUnexpectedEOF
			}
			return nil
		}})})
		enqueue(t, s, outgoing("k", newTicket(t, s).Number, 0, "ann@example.org"))
		r := claimed(t, s, 1)[0]
		cut.Store(true)
		var unknown *Unknown
		if err := s.Failed(t.Context(), r, "550 no"); !errors.As(err, &unknown) {
			t.Fatalf("Failed = %v, want *Unknown", err)
		}
		if err := s.Failed(t.Context(), r, "550 no"); err != nil {
			t.Errorf("Failed again = %v", err)
		}
		if n := count(t, s, "SELECT count(*) FROM events WHERE what = 'delivery failed'"); n != 1 {
			t.Errorf("%d events, want 1", n)
		}
	})
}

func TestMovesAreATable(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, s *Store) {
		for i, from := range States() {
			for _, st := range []step{cancel, again} {
				enqueue(t, s, outgoing(fmt.Sprintf("%s %s", from, st), 0, 0, "ann@example.org"))
				id := int64(count(t, s, "SELECT max(id) FROM outbox"))
				mustWrite(t, s, func(tx *Tx) error {
					due, lease := stamp(1), stamp(0)
					switch from {
					case Sent, Failed, Cancelled:
						due = 0
					case Sending:
						lease = 1
					}
					return tx.exec("UPDATE outbox SET state = ?, due_at = ?, lease_until = ? WHERE id = ?", string(from), due, lease, id)
				})
				err := s.Write(t.Context(), func(tx *Tx) error {
					if st == cancel {
						return tx.Cancel(id)
					}
					return tx.SendAgain(id, time.Time{})
				})
				want, ok := moves()[from][st]
				if (err == nil) != ok {
					t.Errorf("%d: %s a row that is %s = %v, allowed is %v", i, st, from, err, ok)
				}
				if !ok {
					want = from
				}
				if got := stateOf(t, s, id).State; got != want {
					t.Errorf("%s a row that is %s: now %s, want %s", st, from, got, want)
				}
			}
		}
	})
}

func TestClaimIsBoundedInBytes(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, s *Store) {
		for i := range 4 {
			o := outgoing(fmt.Sprint(i), 0, 0, "ann@example.org")
			o.Body = make([]byte, 15<<20)
			if i == 2 {
				o.Body = make([]byte, 40<<20)
			}
			enqueue(t, s, o)
		}
		for _, want := range []int{2, 1, 1, 0} {
			if rows := claimed(t, s, 50); len(rows) != want {
				t.Errorf("claimed %v, want %d", ids(rows), want)
			}
		}
	})
}

func TestF37_OrderIsKeptUntilTheFirstRetryHasFailed(t *testing.T) {
	t.Parallel()
	onClock(t, func(t *testing.T, s *Store, clock *stopped) {
		a, b := newTicket(t, s).Number, newTicket(t, s).Number
		enqueue(t, s, outgoing("1", a, 0, "ann@example.org"), outgoing("2", a, 0, "ann@example.org", "bob@example.org"),
			outgoing("3", b, 0, "ann@example.org"), outgoing("4", 0, 0, "ann@example.org"), outgoing("5", 0, 0, "ann@example.org"))
		want := func(w ...int64) {
			t.Helper()
			if got := ids(claimed(t, s, 50)); !slices.Equal(got, w) {
				t.Errorf("claimed %v, want %v", got, w)
			}
		}
		want(1, 3, 4, 5, 6) // 2 waits for 1; other tickets and mails about none do not
		want()
		if due, ok, err := s.NextDue(t.Context()); err != nil || !ok || !due.Equal(clock.at.Add(time.Minute)) {
			t.Errorf("NextDue = %s, %v, %v, want the end of the leases", due, ok, err)
		}
		for _, id := range []int64{3, 4, 5, 6} {
			if err := s.Sent(t.Context(), stateOf(t, s, id), "ok"); err != nil {
				t.Fatal(err)
			}
		}
		later := func(d time.Duration) {
			t.Helper()
			if err := s.Later(t.Context(), stateOf(t, s, 1), clock.at.Add(d), "451"); err != nil {
				t.Fatal(err)
			}
		}
		later(time.Minute)
		want()
		if due, ok, err := s.NextDue(t.Context()); err != nil || !ok || !due.Equal(clock.at.Add(time.Minute)) {
			t.Errorf("NextDue = %s, %v, %v, want the retry's time, not that of the row behind it", due, ok, err)
		}
		clock.at = clock.at.Add(time.Minute)
		want(1)
		later(4 * time.Hour)
		want(2) // the first retry has failed: it blocks no longer
		clock.at = clock.at.Add(4 * time.Hour)
		want(1) // the lease of 2 has ended: both could go, so the earlier one does
		if err := s.Sent(t.Context(), stateOf(t, s, 1), "ok"); err != nil {
			t.Fatal(err)
		}
		want(2)
		if err := s.Sent(t.Context(), stateOf(t, s, 2), "ok"); err != nil {
			t.Fatal(err)
		}
		if _, ok, err := s.NextDue(t.Context()); ok || err != nil {
			t.Errorf("NextDue of an empty outbox = %v, %v", ok, err)
		}
	})
}

// However often a mail was claimed and not tried: a later one does not
// overtake it, and its first failure is its first.
func TestF37_PuttingBackIsNoAttempt(t *testing.T) {
	t.Parallel()
	onClock(t, func(t *testing.T, s *Store, clock *stopped) {
		n := newTicket(t, s).Number
		enqueue(t, s, outgoing("1", n, 0, "ann@example.org"), outgoing("2", n, 0, "ann@example.org"))
		for range 3 {
			r := claimed(t, s, 1)[0]
			if r.ID != 1 || r.Attempts != 1 {
				t.Fatalf("claimed row %d for the attempt %d, want the first attempt at the first", r.ID, r.Attempts)
			}
			due := clock.at.Add(time.Hour)
			if err := s.PutBack(t.Context(), r, due, "stopped"); err != nil {
				t.Fatal(err)
			}
			if rows := claimed(t, s, 5); len(rows) != 0 {
				t.Fatalf("claimed %v before it is due", ids(rows))
			}
			clock.at = due
		}
	})
}

func TestF37_ARowDueBehindALaterLeaseIsNotForgotten(t *testing.T) {
	t.Parallel()
	onClock(t, func(t *testing.T, s *Store, clock *stopped) {
		a := newTicket(t, s).Number
		enqueue(t, s, outgoing("1", a, 0, "ann@example.org"), outgoing("2", a, 0, "ann@example.org"))
		for range 2 { // the second one may overtake now
			claimed(t, s, 1)
			if err := s.Later(t.Context(), stateOf(t, s, 1), clock.at.Add(time.Second), "451"); err != nil {
				t.Fatal(err)
			}
			clock.at = clock.at.Add(time.Second)
		}
		claimed(t, s, 1)
		if err := s.Later(t.Context(), stateOf(t, s, 1), clock.at.Add(time.Second), "451"); err != nil {
			t.Fatal(err)
		}
		if got := ids(claimed(t, s, 1)); !slices.Equal(got, []int64{2}) {
			t.Fatalf("claimed %v, want 2 while 1 waits", got)
		}
		leased := clock.at
		clock.at = clock.at.Add(2 * time.Second) // 1 is due, and waits for the lease of 2
		if due, ok, err := s.NextDue(t.Context()); err != nil || !ok || !due.Equal(leased.Add(time.Minute)) {
			t.Errorf("NextDue = %s, %v, %v, want the end of the lease", due, ok, err)
		}
		clock.at = leased.Add(time.Minute)
		if got := ids(claimed(t, s, 50)); !slices.Equal(got, []int64{1}) {
			t.Errorf("claimed %v after the lease, want the earlier one", got)
		}
	})
}

// TestF37_ClaimsNeverOverlapNorOvertake does at random what daemons and time
// do to the outbox, and looks at every claim.
func TestF37_ClaimsNeverOverlapNorOvertake(t *testing.T) {
	t.Parallel()
	url := storetest.SQLite(t)
	clock := &stopped{time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	s := openWith(t, url, Options{Now: clock.now})
	tickets := []ticket.Number{newTicket(t, s).Number, newTicket(t, s).Number}
	serial := 0
	rapid.Check(t, func(rt *rapid.T) {
		mustWrite(t, s, func(tx *Tx) error {
			return tx.exec("UPDATE outbox SET state = 'cancelled', due_at = NULL, lease_until = NULL WHERE due_at IS NOT NULL")
		})
		sending := map[int64]Row{} // leased, and the lease not ended
		rt.Repeat(map[string]func(*rapid.T){
			"enqueue": func(rt *rapid.T) {
				serial++
				enqueue(t, s, outgoing(fmt.Sprint(serial), rapid.SampledFrom(tickets).Draw(rt, "ticket"), 0,
					rapid.SampledFrom([]string{"ann@example.org", "bob@example.org"}).Draw(rt, "to")))
			},
			"claim": func(rt *rapid.T) {
				due, ok, err := s.NextDue(t.Context())
				if err != nil {
					rt.Fatal(err)
				}
				rows := claimed(t, s, rapid.IntRange(1, 4).Draw(rt, "n"))
				if now := ok && !due.After(clock.at); now != (len(rows) > 0) {
					rt.Fatalf("NextDue = %s, %v at %s, but %d rows were claimed", due, ok, clock.at, len(rows))
				}
				for _, r := range rows {
					for _, other := range sending {
						if other.Ticket == r.Ticket && other.Recipient == r.Recipient {
							rt.Fatalf("rows %d and %d of one ticket and recipient are claimed at once", other.ID, r.ID)
						}
					}
					earlier := count(t, s, "SELECT count(*) FROM outbox WHERE id < ? AND ticket = ? AND recipient = ? AND due_at IS NOT NULL "+
						"AND (state = 'sending' OR attempts < 2)", r.ID, int64(r.Ticket), r.Recipient)
					if earlier > 0 {
						rt.Fatalf("row %d overtakes an earlier one", r.ID)
					}
					sending[r.ID] = r
				}
			},
			"finish": func(rt *rapid.T) {
				for id, r := range sending {
					var err error
					due := clock.at.Add(time.Duration(rapid.IntRange(0, 300).Draw(rt, "s")) * time.Second)
					switch rapid.IntRange(0, 4).Draw(rt, "how") {
					case 0:
						err = s.Sent(t.Context(), r, "ok")
					case 1:
						err = s.Later(t.Context(), r, due, "later")
					case 2:
						err = s.Uncertain(t.Context(), r, due, "cut")
					case 3:
						err = s.Failed(t.Context(), r, "no")
					case 4:
						err = s.PutBack(t.Context(), r, due, "stopped")
					}
					if err != nil {
						rt.Fatalf("finish: %v", err)
					}
					delete(sending, id)
					return
				}
			},
			"time": func(rt *rapid.T) {
				clock.at = clock.at.Add(time.Duration(rapid.IntRange(1, 90).Draw(rt, "s")) * time.Second)
				for id, r := range sending {
					if !r.LeaseUntil.After(clock.at) {
						delete(sending, id)
					}
				}
			},
			"": func(rt *rapid.T) { // whoever waits for NextDue gets something then
				due, ok, err := s.NextDue(t.Context())
				if err != nil {
					rt.Fatal(err)
				}
				if unsent := count(t, s, "SELECT count(*) FROM outbox WHERE due_at IS NOT NULL"); ok != (unsent > 0) {
					rt.Fatalf("NextDue says %v with %d rows unfinished", ok, unsent)
				}
				if ok && len(sending) == 0 && due.After(clock.at.Add(10*time.Minute)) {
					rt.Fatalf("NextDue = %s, now is %s", due, clock.at)
				}
			},
		})
	})
}

func TestDaemonsClaimEachRowOnce(t *testing.T) {
	t.Parallel()
	_, s := daemons(t, "a", "b")
	n := newTicket(t, s[0]).Number
	var all []Outgoing
	for i := range 60 {
		all = append(all, outgoing(fmt.Sprint(i), n, 0, fmt.Sprintf("%d@example.org", i%30)))
	}
	enqueue(t, s[0], all...)
	var mu sync.Mutex
	got := map[int64]int{}
	var wg sync.WaitGroup
	for i := range 6 {
		wg.Go(func() {
			for {
				rows := claimed(t, s[i%2], 4)
				if len(rows) == 0 {
					return
				}
				mu.Lock()
				for _, r := range rows {
					got[r.ID]++
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if len(got) != 30 {
		t.Errorf("%d rows were claimed, want the first of each recipient: 30", len(got))
	}
	for id, n := range got {
		if n != 1 || id > 30 {
			t.Errorf("row %d was claimed %d times", id, n)
		}
	}
}

func TestT17_AutomaticMailIsCounted(t *testing.T) {
	t.Parallel()
	onClock(t, func(t *testing.T, s *Store, clock *stopped) {
		start := clock.at
		enqueue(t, s, outgoing("1", 0, 0, "ann@example.org", "bob@example.org"))
		clock.at = clock.at.Add(time.Hour)
		human := outgoing("2", 0, 0, "ann@example.org")
		human.Automatic = false
		enqueue(t, s, human)
		mustWrite(t, s, func(tx *Tx) error {
			if err := tx.Enqueue(outgoing("3", 0, 0, "ann@example.org")); err != nil {
				return err
			}
			for _, c := range []struct {
				to    string
				since time.Time
				n     int
			}{
				{"ann@example.org", start, 2},
				{"ann@example.org", start.Add(time.Minute), 1},
				{"bob@example.org", start, 1},
				{"eve@example.org", start, 0},
				{"", start, 3},
			} {
				n, last, err := tx.AutoSent(c.to, c.since)
				if err != nil || n != c.n || (n > 0 && c.to != "bob@example.org" && !last.Equal(clock.at)) {
					t.Errorf("AutoSent(%q, %s) = %d, %s, %v, want %d", c.to, c.since, n, last, err, c.n)
				}
			}
			return nil
		})
		mustWrite(t, s, func(tx *Tx) error {
			if err := tx.Enqueue(outgoing("4", 0, 0, "cem@example.org")); err != nil {
				return err
			}
			got, err := tx.AutoSentTo([]string{"ann@example.org", "bob@example.org", "cem@example.org", "eve@example.org", "ann@example.org"},
				start.Add(time.Minute), start)
			want := map[string]AutoSent{
				"ann@example.org": {Recent: 1, All: 2, Last: clock.at}, "bob@example.org": {All: 1, Last: start},
				"cem@example.org": {Recent: 1, All: 1, Last: clock.at}, "eve@example.org": {},
			}
			if diff := cmp.Diff(want, got); err != nil || diff != "" {
				t.Errorf("AutoSentTo: %v (-want +got):\n%s", err, diff)
			}
			return nil
		})
		if n, last, err := s.AutoSent(t.Context(), "ann@example.org", start); err != nil || n != 2 || !last.Equal(clock.at) {
			t.Errorf("AutoSent = %d, %s, %v, want 2", n, last, err)
		}
	})
}

func TestEnqueueRefusesWhatCannotBeSent(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, s *Store) {
		for _, o := range []Outgoing{
			{Key: "", Recipients: []string{"a@b"}},
			{Key: "k"},
			{Key: "k", Recipients: []string{""}},
			{Key: string(make([]byte, 900)), Recipients: []string{"a@b"}},
		} {
			if err := s.Write(t.Context(), func(tx *Tx) error { return tx.Enqueue(o) }); err == nil {
				t.Errorf("Enqueue(%+v) went well", o)
			}
		}
		if _, err := s.Claim(t.Context(), 0, time.Minute); err == nil {
			t.Error("Claim of no rows went well")
		}
	})
}
