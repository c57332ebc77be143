package store

import (
	"testing"
	"time"

	"deskd/store/storetest"
)

// takeBack wants so many mails to be taken back.
func takeBack(t *testing.T, s *Store, want int) {
	t.Helper()
	if n, err := s.TakeBack(t.Context(), time.Minute); err != nil || n != want {
		t.Errorf("took back %d, %v, want %d", n, err, want)
	}
}

func TestF35RestartTakesClaimedMailsBack(t *testing.T) {
	t.Parallel()
	type life struct {
		owner string
		after time.Duration // the death of the first
		want  int
	}
	for name, c := range map[string]struct {
		url   func(testing.TB) string
		lives []life
	}{
		"sqlite":                {storetest.SQLite, []life{{"desk1", 0, 1}}},
		"sqlite, new host name": {storetest.SQLite, []life{{"desk2", 0, 1}}},
		"postgres":              {storetest.PostgreSQL, []life{{"desk1", 0, 0}, {"desk2", time.Minute, 0}, {"desk1", time.Minute, 1}}},
		"postgres, by another":  {storetest.PostgreSQL, []life{{"desk2", 3*time.Minute - time.Second, 0}, {"desk2", 3 * time.Minute, 1}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := c.url(t)
			clock := &stopped{time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
			dies := func(owner string, live func(s *Store)) {
				s := openWith(t, url, Options{Owner: owner, Now: clock.now})
				live(s)
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
			}
			dies("desk1", func(s *Store) {
				takeBack(t, s, 0)
				enqueue(t, s, outgoing("k", 0, 0, "ann@example.org"))
				if rows, err := s.Claim(t.Context(), 5, time.Hour); err != nil || len(rows) != 1 {
					t.Fatalf("claimed %d, %v", len(rows), err)
				}
				takeBack(t, s, 0) // not its own
			})
			start := clock.at
			for _, l := range c.lives {
				clock.at = start.Add(l.after)
				dies(l.owner, func(s *Store) {
					takeBack(t, s, l.want)
					if rows := claimed(t, s, 5); len(rows) != l.want {
						t.Errorf("%s claimed %d after %v, want %d", l.owner, len(rows), l.after, l.want)
					}
				})
			}
		})
	}
}

// Two daemons of one name, or a new process that starts while the old one
// finishes what it has in hand.
func TestF35WhatALivingProcessOfTheSameNameHasIsNotTaken(t *testing.T) {
	t.Parallel()
	clock, s := daemons(t, "a", "a")
	takeBack(t, s[0], 0)
	enqueue(t, s[0], outgoing("k", 0, 0, "ann@example.org"))
	if rows, err := s[0].Claim(t.Context(), 5, time.Hour); err != nil || len(rows) != 1 {
		t.Fatalf("claimed %d, %v", len(rows), err)
	}
	for range 5 {
		takeBack(t, s[1], 0)
		clock.at = clock.at.Add(50 * time.Second)
		takeBack(t, s[0], 0) // it lives
	}
	clock.at = clock.at.Add(time.Minute)
	takeBack(t, s[1], 1)
	if n := count(t, s[1], "SELECT count(*) FROM leases"); n != 1 {
		t.Errorf("%d signs of life are kept, want that of the living", n)
	}
}

// A death is no cut: a mail that is cut after it is sent once more by itself.
func TestF30WhatWasTakenBackMayBeCutOnce(t *testing.T) {
	t.Parallel()
	url := storetest.SQLite(t)
	first := open(t, url)
	enqueue(t, first, outgoing("k", 0, 0, "ann@example.org"))
	claimed(t, first, 1)
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	s := open(t, url)
	takeBack(t, s, 1)
	for attempt := 2; attempt <= 3; attempt++ {
		rows := claimed(t, s, 1)
		if len(rows) != 1 || rows[0].Attempts != attempt {
			t.Fatalf("claimed %d mails, want the one for its attempt %d", len(rows), attempt)
		}
		if err := s.Uncertain(t.Context(), rows[0], s.now(), "cut"); err != nil {
			t.Fatal(err)
		}
	}
	if rows := claimed(t, s, 1); len(rows) != 0 {
		t.Error("sent a third time by itself")
	}
}
