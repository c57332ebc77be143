package store

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"deskd/store/storetest"
)

// daemons opens one PostgreSQL database several times, under these names, with
// one clock.
func daemons(t *testing.T, names ...string) (*stopped, []*Store) {
	t.Helper()
	url := storetest.PostgreSQL(t)
	clock := &stopped{time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	var stores []*Store
	for _, name := range names {
		stores = append(stores, openWith(t, url, Options{Owner: name, Now: clock.now}))
	}
	return clock, stores
}

func acquire(t *testing.T, s *Store, want bool) *Lease {
	t.Helper()
	l, err := s.Acquire(t.Context(), "imap:help", time.Minute)
	if err != nil || (l != nil) != want {
		t.Fatalf("Acquire = %v, %v, want held %v", l, err, want)
	}
	return l
}

func TestF20_LeaseIsTakenOverAfterItsEnd(t *testing.T) {
	t.Parallel()
	clock, s := daemons(t, "a", "b")
	a := acquire(t, s[0], true)
	acquire(t, s[1], false)
	clock.at = clock.at.Add(50 * time.Second)
	if err := s[0].Renew(t.Context(), a, time.Minute); err != nil || !a.Until.Equal(clock.at.Add(time.Minute)) {
		t.Errorf("Renew = %v, until %s", err, a.Until)
	}
	clock.at = clock.at.Add(50 * time.Second)
	acquire(t, s[1], false)
	clock.at = clock.at.Add(10 * time.Second)
	b := acquire(t, s[1], true)
	if b.Epoch <= a.Epoch {
		t.Errorf("epoch %d after %d, want more", b.Epoch, a.Epoch)
	}
	var lost *LeaseLost
	if err := s[0].Renew(t.Context(), a, time.Minute); !errors.As(err, &lost) || lost.Holder != "b" {
		t.Errorf("Renew of a lost lease = %v, want *LeaseLost to b", err)
	}
	if err := s[0].Release(t.Context(), a); err != nil {
		t.Errorf("Release of a lost lease = %v", err)
	}
	acquire(t, s[0], false) // b has it still
	if err := s[1].Release(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	acquire(t, s[0], true)
}

func TestF20_RestartTakesItsOwnLeaseBackAtOnce(t *testing.T) {
	t.Parallel()
	_, s := daemons(t, "a", "a")
	old := acquire(t, s[0], true)
	fresh := acquire(t, s[1], true)
	if fresh.Epoch <= old.Epoch {
		t.Errorf("epoch %d after %d, want more", fresh.Epoch, old.Epoch)
	}
}

func TestF20_TwoDaemonsOfOneNameDoNotTakeTurns(t *testing.T) {
	t.Parallel()
	for _, notice := range []string{"by renewing", "by acquiring"} {
		clock, s := daemons(t, "a", "a")
		a := acquire(t, s[0], true)
		b := acquire(t, s[1], true)
		if notice == "by renewing" {
			var lost *LeaseLost
			if err := s[0].Renew(t.Context(), a, time.Minute); !errors.As(err, &lost) {
				t.Fatalf("Renew = %v, want *LeaseLost", err)
			}
		}
		for range 5 {
			acquire(t, s[0], false)
			clock.at = clock.at.Add(30 * time.Second)
			if err := s[1].Renew(t.Context(), b, time.Minute); err != nil {
				t.Fatalf("%s: Renew = %v", notice, err)
			}
		}
		clock.at = clock.at.Add(time.Minute)
		acquire(t, s[0], true) // after the end it may
	}
}

func TestLeaseOnBothDatabases(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, s *Store) {
		first := acquire(t, s, true)
		second := acquire(t, s, true) // this process's own loop, begun anew
		var lost *LeaseLost
		if err := s.Renew(t.Context(), first, time.Minute); !errors.As(err, &lost) {
			t.Errorf("Renew of the earlier one = %v, want *LeaseLost", err)
		}
		if err := s.Renew(t.Context(), second, time.Minute); err != nil {
			t.Errorf("Renew = %v", err)
		}
		if err := s.Renew(t.Context(), &Lease{Name: "none"}, time.Minute); !errors.As(err, &lost) {
			t.Errorf("Renew of no lease = %v, want *LeaseLost", err)
		}
		if err := s.Release(t.Context(), second); err != nil {
			t.Error(err)
		}
		if _, err := s.Acquire(t.Context(), "x", 0); err == nil {
			t.Error("a lease for no time was given")
		}
	})
}

func TestHeartbeatKeepsTheLastGoodTime(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, s *Store) {
		good := time.Unix(1_700_000_000, 0).UTC()
		bad := Heartbeat{Name: "smtp", At: good.Add(time.Hour), Detail: "refused", Retry: good.Add(2 * time.Hour), Waiting: 3}
		for _, h := range []Heartbeat{{Name: "smtp", At: good, OK: true}, bad, {Name: "imap:a", At: good}} {
			if err := s.Beat(t.Context(), h); err != nil {
				t.Fatal(err)
			}
		}
		bad.LastOK = good
		got, err := s.Heartbeats(t.Context())
		if diff := cmp.Diff([]Heartbeat{{Name: "imap:a", At: good}, bad}, got); err != nil || diff != "" {
			t.Errorf("Heartbeats (-want +got): %v\n%s", err, diff)
		}
	})
}
