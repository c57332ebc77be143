package store

import (
	"testing"
	"time"

	"deskd/store/storetest"
)

// TestF29_ClockThatGoesBackHoldsNothingUp sets times to wait for by a clock that
// is ten years ahead, and then puts the clock right.
func TestF29_ClockThatGoesBackHoldsNothingUp(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		t.Parallel()
		right := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
		clock := &stopped{right.AddDate(10, 0, 0)}
		s := openWith(t, url, Options{Owner: "desk1", Now: clock.now})
		takeBack(t, s, 0)
		enqueue(t, s, outgoing("waits", 0, 0, "ann@example.org"), outgoing("in hand", 0, 0, "bob@example.org"))
		rows := claimed(t, s, 5)
		if len(rows) != 2 {
			t.Fatalf("claimed %d", len(rows))
		}
		if err := s.Later(t.Context(), rows[0], clock.at.Add(time.Hour), "not now"); err != nil {
			t.Fatal(err)
		}
		if l, err := s.Acquire(t.Context(), "job", time.Minute); l == nil || err != nil {
			t.Fatalf("lease %v, %v", l, err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		clock.at = right
		s = openWith(t, url, Options{Owner: "desk2", Now: clock.now})
		if l, err := s.Acquire(t.Context(), "job", time.Minute); l == nil || err != nil {
			t.Errorf("the lease of a clock that was ahead is not taken: %v, %v", l, err)
		}
		if _, err := s.TakeBack(t.Context(), time.Minute); err != nil {
			t.Fatal(err)
		}
		if got := claimed(t, s, 5); len(got) != 2 {
			t.Errorf("%d mails are due, want both", len(got))
		}
		// A lease and a wait as they should be are kept.
		if _, err := s.TakeBack(t.Context(), time.Minute); err != nil {
			t.Fatal(err)
		}
		if got := claimed(t, s, 5); len(got) != 0 {
			t.Errorf("%d mails in hand were claimed again", len(got))
		}
	})
}
