package store

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"deskd/triage/ticket"
)

func TestAMergedTicketLeadsToTheOneItWentInto(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, s *Store) {
		a, b := newTicket(t, s).Number, newTicket(t, s).Number
		into := func(tx *Tx, want map[ticket.Number]ticket.Number) {
			t.Helper()
			got, err := tx.MergedInto([]ticket.Number{a, b})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("merged (-want +got):\n%s", diff)
			}
		}
		none := map[ticket.Number]ticket.Number{}
		mustWrite(t, s, func(tx *Tx) error {
			into(tx, none)
			if err := tx.Link(b, a, LinkRelated); err != nil {
				return err
			}
			if err := tx.Link(b, a, LinkMerged); err != nil {
				return err
			}
			into(tx, map[ticket.Number]ticket.Number{b: a}) // seen before it is written
			return nil
		})
		mustWrite(t, s, func(tx *Tx) error {
			into(tx, map[ticket.Number]ticket.Number{b: a})
			if err := tx.Unlink(b, a, LinkMerged); err != nil {
				return err
			}
			into(tx, none)
			return nil
		})
		d, err := s.Show(t.Context(), b)
		if err != nil || len(d.Links) != 1 || d.Links[0].Kind != LinkRelated {
			t.Errorf("links %+v, %v: only the merge was to be taken away", d.Links, err)
		}
	})
}

func TestADueTicketIsGivenUntilSomebodyIsReminded(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, s *Store) {
		now := s.now()
		set := func(n ticket.Number, due, reminded time.Time, status ticket.Status) {
			mustWrite(t, s, func(tx *Tx) error {
				k, err := tx.Ticket(n)
				if err == nil {
					k.DueAt, k.RemindedAt, k.Status = due, reminded, status
				}
				return err
			})
		}
		var n [5]ticket.Number
		for i := range n {
			n[i] = newTicket(t, s).Number
		}
		set(n[0], now.Add(-time.Hour), time.Time{}, ticket.Open)
		set(n[1], now.Add(-2*time.Hour), time.Time{}, ticket.Waiting)
		set(n[2], now.Add(time.Hour), time.Time{}, ticket.Open)
		set(n[3], now.Add(-time.Hour), now, ticket.Open)
		set(n[4], now.Add(-time.Hour), time.Time{}, ticket.Resolved)
		mustWrite(t, s, func(tx *Tx) error {
			got, err := tx.Due(now, 10)
			if diff := cmp.Diff([]ticket.Number{n[1], n[0]}, got); diff != "" || err != nil {
				t.Errorf("due (-want +got):\n%s%v", diff, err)
			}
			return nil
		})
	})
}

func TestBlockedAndMutedAreKept(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, s *Store) {
		const eve, noah = "Eve@example.net", "noah@example.org"
		n, other, third := newTicket(t, s).Number, newTicket(t, s).Number, newTicket(t, s).Number
		mustWrite(t, s, func(tx *Tx) error {
			for _, err := range []error{
				tx.Mute(n, "noah@example.org", true), tx.Mute(n, "noah@example.org", true),
			} {
				if err != nil {
					return err
				}
			}
			return nil
		})
		mustWrite(t, s, func(tx *Tx) error {
			nobody, unproven, proven := map[string]Blocked{}, map[string]Blocked{eve: {}}, map[string]Blocked{eve: {Proven: true}}
			for i, step := range []struct {
				do   func() error
				want map[string]Blocked
			}{
				{func() error { return tx.Block("", n, noah, true) }, nobody},
				{func() error { return tx.Block(eve, n, noah, false) }, unproven},
				{func() error { return tx.Block(eve, n, noah, false) }, unproven},
				{func() error { return tx.Block(eve, other, noah, true) }, proven},
				{func() error { return tx.Withdraw(eve, other) }, unproven}, // as strongly as before
				{func() error { return tx.Block(eve, other, noah, true) }, proven},
				{func() error { return tx.Withdraw(eve, n) }, proven}, // the first one
				{func() error { return tx.Reinstate(eve, n) }, proven},
				{func() error { return tx.Unblock(eve, third) }, nobody}, // said on a ticket without a mark
				{func() error { return tx.Unblock(eve, n) }, nobody},
				{func() error { return tx.BlockAgain(eve, n) }, nobody}, // that did nothing
				{func() error { return tx.Withdraw(eve, other) }, nobody},
				{func() error { return tx.BlockAgain(eve, third) }, unproven}, // but for what is withdrawn
				{func() error { return tx.Unblock(eve, third) }, nobody},
				{func() error { return tx.Reinstate(eve, other) }, proven},
				{func() error { return tx.Withdraw(eve, other) }, nobody},
				{func() error { return tx.Reinstate(eve, n) }, nobody},            // it is still lifted
				{func() error { return tx.Block(eve, n, noah, false) }, unproven}, // it is said anew
				{func() error { return tx.Block(eve, 0, noah, true) }, proven},    // of which the ticket is not known
				{func() error { return tx.Withdraw(eve, n) }, proven},
				{func() error { return tx.Unblock(eve, n) }, nobody},
			} {
				if err := step.do(); err != nil {
					return err
				}
				blocked, err := tx.Blocked([]string{"ann@example.org", eve, ""})
				if diff := cmp.Diff(step.want, blocked); diff != "" || err != nil {
					t.Errorf("%d: blocked (-want +got):\n%s%v", i, diff, err)
				}
			}
			muted, err := tx.Muted([]ticket.Number{n})
			if err != nil || !muted[n]["noah@example.org"] || len(muted[n]) != 1 {
				t.Errorf("muted %v, %v", muted, err)
			}
			return tx.Mute(n, "noah@example.org", false)
		})
		mustWrite(t, s, func(tx *Tx) error {
			blocked, err := tx.Blocked([]string{"Eve@example.net"})
			muted, err2 := tx.Muted([]ticket.Number{n})
			if err != nil || err2 != nil || len(blocked) > 0 || len(muted) > 0 {
				t.Errorf("blocked %v, muted %v, %v, %v: both were taken back", blocked, muted, err, err2)
			}
			return nil
		})
	})
}

func TestAChallengeIsSpentOnce(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, s *Store) {
		in := begin(t, s, 1)
		until := s.now().Add(time.Hour).Truncate(time.Microsecond)
		mustWrite(t, s, func(tx *Tx) error {
			return tx.Challenge(Challenge{MessageID: "x@y", Intake: in.ID, Addr: "noah@example.org", Expires: until})
		})
		mustWrite(t, s, func(tx *Tx) error {
			got, err := tx.Challenges([]string{"x@y", "z@y"})
			want := map[string]Challenge{"x@y": {MessageID: "x@y", Intake: in.ID, Addr: "noah@example.org", Expires: until}}
			if diff := cmp.Diff(want, got, cmp.Comparer(time.Time.Equal)); diff != "" || err != nil {
				t.Errorf("challenges (-want +got):\n%s%v", diff, err)
			}
			asked, err := tx.Challenged([]string{"noah@example.org", "nils@example.org"}, s.now().Add(-time.Hour))
			if err != nil || !asked["noah@example.org"] || asked["nils@example.org"] {
				t.Errorf("asked %v, %v", asked, err)
			}
			asked, err = tx.Challenged([]string{"noah@example.org"}, s.now().Add(time.Hour))
			if err != nil || asked["noah@example.org"] {
				t.Errorf("asked after the hour: %v, %v", asked, err)
			}
			return nil
		})
		for i, want := range []bool{true, false} {
			mustWrite(t, s, func(tx *Tx) error {
				if ok, err := tx.Spend("x@y"); ok != want || err != nil {
					t.Errorf("spent for the %dth time: %v, %v", i+1, ok, err)
				}
				return nil
			})
		}
	})
}

func TestMailToASpammerIsTakenOutOfTheOutbox(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, s *Store) {
		in, n := begin(t, s, 1), newTicket(t, s).Number
		mustWrite(t, s, func(tx *Tx) error {
			return tx.Enqueue(outgoing("intake:1/x", n, in.ID, "eve@example.net", "noah@example.org"))
		})
		mustWrite(t, s, func(tx *Tx) error { return tx.CancelQueued(n, "eve@example.net") })
		rows, err := s.ListOutbox(t.Context(), OutboxFilter{Ticket: n})
		if err != nil || len(rows) != 2 {
			t.Fatalf("%d rows, %v", len(rows), err)
		}
		for _, r := range rows {
			if want := map[string]State{"eve@example.net": Cancelled, "noah@example.org": Queued}[r.Recipient]; r.State != want {
				t.Errorf("the mail to %s is %s, want %s", r.Recipient, r.State, want)
			}
		}
	})
}

func TestT07_ARecipientIsToldUntilTheTicketIsClosed(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, s *Store) {
		in, n, other := begin(t, s, 1), newTicket(t, s).Number, newTicket(t, s).Number
		mustWrite(t, s, func(tx *Tx) error {
			for _, m := range []struct {
				id string
				n  ticket.Number
			}{{"first", n}, {"other", other}} {
				o := outgoing(m.id, m.n, in.ID, "noah@example.org", "network@example.org")
				o.MessageID = m.id + "@host"
				if err := tx.Enqueue(o); err != nil {
					return err
				}
			}
			return nil
		})
		told := func(since time.Time) map[string][]string {
			t.Helper()
			var got map[string][]string
			mustWrite(t, s, func(tx *Tx) (err error) {
				got, err = tx.ToldOf([]string{"first@host", "other@host", "", "third@host"}, since)
				return err
			})
			for _, list := range got {
				slices.Sort(list)
			}
			return got
		}
		both := []string{"network@example.org", "noah@example.org"}
		if diff := cmp.Diff(map[string][]string{"first@host": both, "other@host": both}, told(s.now().Add(-time.Hour))); diff != "" {
			t.Errorf("told (-want +got):\n%s", diff)
		}
		if got := told(s.now().Add(time.Hour)); len(got) != 0 {
			t.Errorf("told since an hour from now: %v", got)
		}
		mustWrite(t, s, func(tx *Tx) error {
			return tx.AddEvent(Event{Ticket: n, Actor: "noah@example.org", What: "status", Before: "open", After: "closed", At: tx.now.Add(time.Second)})
		})
		if diff := cmp.Diff(map[string][]string{"other@host": both}, told(s.now().Add(-time.Hour))); diff != "" {
			t.Errorf("told after the ticket was closed (-want +got):\n%s", diff)
		}
	})
}
