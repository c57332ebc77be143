package store

import (
	"errors"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"deskd/triage/ticket"
)

// liveByHand counts the live tickets one by one.
func liveByHand(t *testing.T, s *Store) map[kind]int {
	t.Helper()
	rows, err := read[ticketRow](t.Context(), s, "SELECT * FROM tickets")
	if err != nil {
		t.Fatal(err)
	}
	counts := map[kind]int{}
	for i := range rows {
		if one := rows[i].ticket(); one.Status.Live() {
			counts[kind{text(one.Status), short(one.Team), text(one.Priority), one.Assignee == ""}]++
		}
	}
	return counts
}

// liveKept gives the counts that are kept, without those of nothing.
func liveKept(t *testing.T, s *Store) map[kind]int {
	t.Helper()
	counts, err := liveCounts(t.Context(), s.reader)
	if err != nil {
		t.Fatal(err)
	}
	for k, n := range counts {
		if n == 0 {
			delete(counts, k)
		}
	}
	return counts
}

// TestCountsFollowTheTickets changes tickets in every way, in transactions side
// by side and while the counts are added up.
func TestCountsFollowTheTickets(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, s *Store) {
		const writers, rounds = 4, 60
		var wg sync.WaitGroup
		for w := range writers {
			wg.Go(func() {
				random := rand.New(rand.NewPCG(3, uint64(w)))
				some := func(list ...string) string { return list[random.IntN(len(list))] }
				change := func(one *Ticket) {
					one.Status, one.Priority = ticket.Statuses()[random.IntN(5)], ticket.Priorities()[random.IntN(4)]
					one.Team, one.Assignee = some("Helpdesk", "Network\x00 Team", "Desktop Support"), some("", "tom@example.org")
				}
				var mine []ticket.Number
				for range rounds {
					var made ticket.Number
					err := s.Write(t.Context(), func(tx *Tx) error {
						one := aTicket()
						change(&one)
						first, err := tx.NewTicket(one)
						if err != nil {
							return err
						}
						made = first.Number
						undone := errors.New("undone")
						if err := tx.Try(func(tx *Tx) error {
							change(first)
							if _, err := tx.NewTicket(aTicket()); err != nil {
								return err
							}
							return undone
						}); !errors.Is(err, undone) {
							return err
						}
						old, err := tx.Tickets(mine[:min(len(mine), 3)])
						if err != nil {
							return err
						}
						for _, one := range old {
							change(one)
						}
						if _, err := tx.Search(SearchFilter{Words: "x"}); err != nil { // writes so far
							return err
						}
						for _, one := range old {
							change(one)
						}
						return nil
					})
					if err != nil {
						t.Error(err)
						return
					}
					mine = append(mine, made)
					random.Shuffle(len(mine), func(i, j int) { mine[i], mine[j] = mine[j], mine[i] })
					if _, err := s.Index(t.Context(), 10); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		want := liveByHand(t, s)
		if diff := cmp.Diff(want, liveKept(t, s)); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		if n := count(t, s, "SELECT count(*) FROM live_counts"); n == 0 {
			t.Error("nothing was added up")
		}
		if n := count(t, s, "SELECT count(*) FROM live_changes"); n >= 2*manyChanges {
			t.Errorf("%d changes are left", n)
		}
		if wrong, err := s.Recount(t.Context()); wrong != 0 || err != nil {
			t.Errorf("Recount = %d, %v, want nothing wrong", wrong, err)
		}
	})
}

func TestRecountPutsRightWhatWasChangedByHand(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, s *Store) {
		manyTickets(t, s, 200)
		for _, by := range []string{
			"UPDATE tickets SET status = 'closed' WHERE priority = 'low'",
			"UPDATE tickets SET status = 'open', team = 'New Team', assignee = '' WHERE status = 'resolved'",
			"DELETE FROM live_counts",
		} {
			mustWrite(t, s, func(tx *Tx) error { return tx.exec(by) })
			wrong, err := s.Recount(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if by[0] == 'U' && wrong == 0 {
				t.Errorf("%s: nothing was wrong", by)
			}
			if diff := cmp.Diff(liveByHand(t, s), liveKept(t, s)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", by, diff)
			}
			if wrong, err := s.Recount(t.Context()); wrong != 0 || err != nil {
				t.Errorf("%s: Recount again = %d, %v", by, wrong, err)
			}
		}
	})
}

// TestCountsBeginWithTheTicketsThatAreThere applies the step of the schema to a
// database that has tickets.
func TestCountsBeginWithTheTicketsThatAreThere(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, s *Store) {
		manyTickets(t, s, 100)
		step, err := migrations.ReadFile(s.dialect.folder() + "/00011_live_counts.sql")
		if err != nil {
			t.Fatal(err)
		}
		for _, q := range []string{"DROP TABLE live_counts", "DROP TABLE live_changes", string(step)} {
			if _, err := s.writing.Exec(q); err != nil {
				t.Fatal(err)
			}
		}
		if diff := cmp.Diff(liveByHand(t, s), liveKept(t, s)); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}
