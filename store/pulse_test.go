package store

import (
	"context"
	"testing"

	"deskd/store/storetest"
)

// TestPulseChangesByALateCommit has a transaction on PostgreSQL commit after one
// that began later.
func TestPulseChangesByALateCommit(t *testing.T) {
	t.Parallel()
	s := open(t, storetest.PostgreSQL(t))
	early, late := newTicket(t, s).Number, newTicket(t, s).Number
	pulse := func() Pulse {
		t.Helper()
		p, err := s.Pulse(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	var between Pulse
	mustWrite(t, s, func(tx *Tx) error {
		if err := tx.AddEvent(Event{Ticket: early, What: "x"}); err != nil {
			return err
		}
		if err := tx.flush(); err != nil {
			return err
		}
		err := s.Write(context.WithoutCancel(t.Context()), func(other *Tx) error { return other.AddEvent(Event{Ticket: late, What: "x"}) })
		between = pulse()
		return err
	})
	after := pulse()
	if after == between || after.Events < between.Events {
		t.Errorf("the pulse is %+v before and %+v after what committed last", between, after)
	}
	if again := pulse(); again != after {
		t.Errorf("the pulse changes from %+v to %+v though nothing happens", after, again)
	}
}
