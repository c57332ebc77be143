package store

import (
	"errors"
	"testing"

	"deskd/triage/ticket"
)

func TestTamperedEventShows(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name string
		do   string
		seq  int
	}{
		{"changed text", "UPDATE events SET value_after = 'closed' WHERE chain = ? AND seq = 3", 3},
		{"changed time", "UPDATE events SET at = at + 1 WHERE chain = ? AND seq = 2", 2},
		{"missing in the middle", "DELETE FROM events WHERE chain = ? AND seq = 3", 3},
		{"missing at the end", "DELETE FROM events WHERE chain = ? AND seq = 5", 5},
		{"all missing", "DELETE FROM events WHERE chain = ?", 1},
		{"reordered", "UPDATE events SET seq = CASE seq WHEN 2 THEN 103 ELSE 102 END WHERE chain = ? AND seq IN (2, 3)", 2},
		{"other commitment", "UPDATE events SET commitment = previous, salt = NULL WHERE chain = ? AND seq = 4", 4},
		{"other hash", "UPDATE events SET hash = previous WHERE chain = ? AND seq = 4", 4},
		{"other head", "UPDATE tickets SET chain_head = NULL WHERE number = ?", 5},
		{"shorter chain", "UPDATE tickets SET events = 4 WHERE number = ?", 6},
	}
	both(t, func(t *testing.T, s *Store) {
		for _, c := range cases {
			n := newTicket(t, s).Number
			for _, after := range []string{"open", "waiting", "open", "resolved", "closed"} {
				mustWrite(t, s, func(tx *Tx) error { return tx.AddEvent(Event{Ticket: n, Actor: "tom", What: "status", After: after}) })
			}
			if err := s.VerifyChain(t.Context(), n); err != nil {
				t.Fatalf("%s: before: %v", c.name, err)
			}
			mustWrite(t, s, func(tx *Tx) error { return tx.exec(c.do, int64(n)) })
			err := s.VerifyChain(t.Context(), n)
			var broken *ChainBroken
			if !errors.As(err, &broken) || broken.Seq != c.seq || broken.Ticket != n {
				t.Errorf("%s: VerifyChain = %v, want it to name event %d", c.name, err, c.seq)
			}
		}
		if err := s.VerifyChain(t.Context(), 7); !errors.Is(err, ErrNotFound) {
			t.Errorf("VerifyChain(7) = %v, want ErrNotFound", err)
		}
	})
}

func TestErasedEventStillVerifies(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, s *Store) {
		n := newTicket(t, s).Number
		mustWrite(t, s, func(tx *Tx) error {
			return errors.Join(tx.AddEvent(Event{Ticket: n, What: "secret"}), tx.AddEvent(Event{Ticket: n, What: "secret"}))
		})
		mustWrite(t, s, func(tx *Tx) error {
			erased, err := tx.EraseEvents(n, tx.Now())
			if err != nil || erased != 2 {
				t.Errorf("EraseEvents = %d, %v, want 2", erased, err)
			}
			return tx.AddEvent(Event{Ticket: n, What: "after"})
		})
		if err := s.VerifyChain(t.Context(), n); err != nil {
			t.Errorf("VerifyChain = %v", err)
		}
		if got := count(t, s, "SELECT count(*) FROM events WHERE what = 'secret'"); got != 0 {
			t.Errorf("%d payloads are left", got)
		}
	})
}

func TestChainNeedsTheSameKey(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, s *Store) {
		n := newTicket(t, s).Number
		mustWrite(t, s, func(tx *Tx) error {
			return errors.Join(tx.AddEvent(Event{Ticket: n}), tx.AddEvent(Event{What: "sign-in"}))
		})
		s.key = []byte("another key of at least 32 bytes")
		for _, chain := range []ticket.Number{0, n} {
			var broken *ChainBroken
			if err := s.VerifyChain(t.Context(), chain); !errors.As(err, &broken) || broken.Seq != 1 {
				t.Errorf("chain %d with another key: %v, want *ChainBroken", chain, err)
			}
		}
	})
}

func TestLongChainVerifies(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, s *Store) {
		mustWrite(t, s, func(tx *Tx) error {
			n, err := tx.NewTicket(aTicket())
			if err != nil {
				return err
			}
			for range 1203 {
				if err := tx.AddEvent(Event{Ticket: n.Number, What: "x"}); err != nil {
					return err
				}
			}
			return nil
		})
		if err := s.VerifyChain(t.Context(), 1001); err != nil {
			t.Error(err)
		}
		if d, err := s.Show(t.Context(), 1001); err != nil || len(d.Events) != 1000 || d.Events[999].Seq != 1203 {
			t.Errorf("Show = %d events, %v, want the newest 1000, oldest first", len(d.Events), err)
		}
	})
}
