package store

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"deskd/triage/ticket"
)

func TestTicketComesBackAsItWasWritten(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, s *Store) {
		berlin := time.FixedZone("berlin", 3600)
		when := time.Date(2026, 11, 23, 12, 0, 0, 123456000, berlin)
		want := aTicket()
		want.CreatedAt, want.UpdatedAt, want.FirstResponseAt, want.ResolvedAt = when, when, when, when
		want.ClosedAt, want.DueAt, want.AnsweredAt, want.Assignee = when, when, when, "tom@example.org"
		var n ticket.Number
		mustWrite(t, s, func(tx *Tx) error {
			made, err := tx.NewTicket(want)
			if err == nil {
				n, want.Key = made.Number, made.Key
			}
			return err
		})
		if n != 1001 || len(want.Key) != 16 {
			t.Errorf("first number %d with a key of %d bytes, want 1001 and 16", n, len(want.Key))
		}
		want.Number = n
		same := func() {
			t.Helper()
			d, err := s.Show(t.Context(), n)
			if err != nil {
				t.Fatal(err)
			}
			if d.Ticket.DueAt.Location() != time.UTC {
				t.Errorf("times come back in %s, want UTC", d.Ticket.DueAt.Location())
			}
			if diff := cmp.Diff(want, d.Ticket); diff != "" {
				t.Errorf("ticket (-want +got):\n%s", diff)
			}
		}
		same()
		mustWrite(t, s, func(tx *Tx) error {
			got, err := tx.Ticket(n)
			if err != nil {
				return err
			}
			got.Mailbox, got.Subject, got.Requester, got.RequesterName = "m", "s", "r", "n"
			got.Status, got.Priority, got.Team, got.Assignee = ticket.Closed, ticket.Critical, "t", ""
			got.Tags, got.Reasons = nil, []string{"a", "b"}
			got.FirstResponseAt, got.ResolvedAt, got.DueAt = time.Time{}, when.Add(1e9), time.Time{}
			got.UpdatedAt = when.Add(5e9)
			key, created := got.Key, got.CreatedAt
			want = *got
			want.Key, want.CreatedAt = key, created
			return nil
		})
		same()
		// Without a word about it, UpdatedAt is the time of the change.
		mustWrite(t, s, func(tx *Tx) error {
			got, err := tx.Ticket(n)
			if err == nil {
				got.Subject, want.Subject, want.UpdatedAt = "x", "x", tx.Now()
			}
			return err
		})
		same()
		mustWrite(t, s, func(tx *Tx) error { _, err := tx.Ticket(n); return err }) // no change
		same()
	})
}

func TestTicketsAreLoadedOnceAndMissingOnesLeftOut(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, s *Store) {
		a, b := newTicket(t, s).Number, newTicket(t, s).Number
		mustWrite(t, s, func(tx *Tx) error {
			first, err := tx.Tickets([]ticket.Number{b, a, 5, a})
			if err != nil || len(first) != 2 {
				t.Errorf("Tickets = %v, %v, want 2", first, err)
			}
			if again, err := tx.Ticket(a); err != nil || again != first[a] {
				t.Errorf("the same ticket is another one: %v", err)
			}
			if _, err := tx.Ticket(5); !errors.Is(err, ErrNotFound) || World(err) {
				t.Errorf("Ticket(5) = %v, want ErrNotFound", err)
			}
			if none, err := tx.Tickets(nil); err != nil || len(none) != 0 {
				t.Errorf("Tickets(nil) = %v, %v", none, err)
			}
			return nil
		})
		if err := s.Write(t.Context(), func(tx *Tx) error { _, err := tx.NewTicket(Ticket{Status: "odd"}); return err }); err == nil {
			t.Error("a ticket with an unknown status was opened")
		}
	})
}

func TestNumbersAreNeverGivenTwice(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, s *Store) {
		// Before any was given: the first one may be that of a lost ticket.
		mustWrite(t, s, func(tx *Tx) error { return tx.LiftNumbers(1001) })
		if n := newTicket(t, s).Number; n != 1002 {
			t.Errorf("after LiftNumbers(1001) on a new database: %d, want 1002", n)
		}
		_ = s.Write(t.Context(), func(tx *Tx) error {
			_, err := tx.NewTicket(aTicket())
			return errors.Join(err, errors.New("rolled back"))
		})
		first := newTicket(t, s).Number
		mustWrite(t, s, func(tx *Tx) error {
			if _, err := tx.NewTicket(aTicket()); err != nil {
				return err
			}
			return tx.LiftNumbers(5000)
		})
		if n := newTicket(t, s).Number; n != 5001 {
			t.Errorf("after LiftNumbers(5000): %d, want 5001", n)
		}
		mustWrite(t, s, func(tx *Tx) error { return tx.LiftNumbers(first) }) // never down
		if n := newTicket(t, s).Number; n != 5002 {
			t.Errorf("after LiftNumbers below: %d, want 5002", n)
		}
	})
}

// A database may come back without its last commits, while the desk that made
// them goes on.
func TestF21_NumbersOfLostCommitsAreNotGivenAgain(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, s *Store) {
		first, lost := newTicket(t, s), newTicket(t, s)
		back := "SELECT setval('ticket_numbers', ?)"
		if s.dialect.writers() == 1 {
			back = "UPDATE sqlite_sequence SET seq = ? WHERE name = 'tickets'"
		}
		mustWrite(t, s, func(tx *Tx) error {
			return errors.Join(
				tx.exec("DELETE FROM search_fresh WHERE ticket = ?", int64(lost.Number)),
				tx.exec("DELETE FROM tickets WHERE number = ?", int64(lost.Number)), tx.exec(back, int64(first.Number)))
		})
		if n := newTicket(t, s).Number; n <= lost.Number {
			t.Errorf("%d was given after %d, which was lost", n, lost.Number)
		}
		mustWrite(t, s, func(tx *Tx) error {
			a, err := tx.NewTicket(aTicket())
			if err != nil {
				return err
			}
			b, err := tx.NewTicket(aTicket())
			if err == nil && b.Number != a.Number+1 {
				t.Errorf("%d after %d", b.Number, a.Number)
			}
			return err
		})
	})
}

// Somebody puts the same ids into mail after mail, each of which is a ticket.
func TestF06_FloodedMessageIDsHideNoOther(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, s *Store) {
		const n = 101 // as many ids as tickets: more than a statement's worth of pairs
		first := newTicket(t, s).Number
		asked := []string{"genuine"}
		mustWrite(t, s, func(tx *Tx) error {
			for i := range n {
				asked = append(asked, fmt.Sprint("flood", first+ticket.Number(i)))
				if i == 0 {
					continue
				}
				if _, err := tx.NewTicket(aTicket()); err != nil {
					return err
				}
			}
			return tx.KnowIDs(first, asked[:1], "out")
		})
		mustWrite(t, s, func(tx *Tx) error {
			return tx.exec("INSERT INTO message_ids (id, ticket, direction, at) SELECT 'flood' || a.number, b.number, 'in', 1 FROM tickets a, tickets b")
		})
		mustWrite(t, s, func(tx *Tx) error {
			got, err := tx.TicketsByID(asked)
			if err != nil || len(got) != len(asked) {
				t.Errorf("TicketsByID = %d ids, %v, want %d", len(got), err, len(asked))
			}
			if got := got["genuine"]; len(got) != 1 || got[0] != first {
				t.Errorf("the other id leads to %v, want %d", got, first)
			}
			for _, id := range asked[1:] {
				if got := got[id]; len(got) != mostTicketsOfID || got[0] != first {
					t.Fatalf("%s leads to %v, want the oldest %d", id, got, mostTicketsOfID)
				}
			}
			return nil
		})
	})
}

func TestMessageIDsLeadToTheirTicketsOldestFirst(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, s *Store) {
		long := strings.Repeat("x", 2000) + "@example.org"
		a, b := newTicket(t, s).Number, newTicket(t, s).Number
		mustWrite(t, s, func(tx *Tx) error {
			return errors.Join(tx.KnowIDs(b, []string{"one", "two"}, "in"), tx.KnowIDs(a, []string{"two", long, ""}, "in"))
		})
		mustWrite(t, s, func(tx *Tx) error {
			made, err := tx.NewTicket(aTicket())
			if err != nil {
				return err
			}
			if err := tx.KnowIDs(made.Number, []string{"one"}, "out"); err != nil {
				return err
			}
			got, err := tx.TicketsByID([]string{"one", "two", long, "three", ""})
			want := map[string][]ticket.Number{"one": {b, made.Number}, "two": {a, b}, long: {a}}
			if diff := cmp.Diff(want, got); err != nil || diff != "" {
				t.Errorf("TicketsByID (-want +got): %v\n%s", err, diff)
			}
			return nil
		})
	})
}

func TestParticipantsComeAndGo(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, s *Store) {
		a, b := newTicket(t, s).Number, newTicket(t, s).Number
		want := func(tx *Tx, w map[ticket.Number][]string) {
			t.Helper()
			got, err := tx.Participants([]ticket.Number{a, b})
			if diff := cmp.Diff(w, got); err != nil || diff != "" {
				t.Errorf("Participants (-want +got): %v\n%s", err, diff)
			}
		}
		mustWrite(t, s, func(tx *Tx) error {
			if err := tx.AddParticipant(a, "bob@example.org", "Bob", "cc"); err != nil {
				return err
			}
			want(tx, map[ticket.Number][]string{a: {"bob@example.org"}}) // of this very transaction
			return errors.Join(tx.AddParticipant(a, "amy@example.org", "", "cc"), tx.AddParticipant(b, "amy@example.org", "", "cc"))
		})
		mustWrite(t, s, func(tx *Tx) error {
			want(tx, map[ticket.Number][]string{a: {"amy@example.org", "bob@example.org"}, b: {"amy@example.org"}})
			if err := tx.RemoveParticipant(a, "bob@example.org"); err != nil {
				return err
			}
			want(tx, map[ticket.Number][]string{a: {"amy@example.org"}, b: {"amy@example.org"}})
			return tx.RemoveParticipant(a, "nobody@example.org")
		})
		if err := s.Write(t.Context(), func(tx *Tx) error { return tx.AddParticipant(a, "", "", "cc") }); err == nil {
			t.Error("a participant without an address was added")
		}
		if err := s.Write(t.Context(), func(tx *Tx) error { return tx.Link(a, a, "x") }); err == nil {
			t.Error("a ticket was linked to itself")
		}
	})
}

func TestPersonsNameIsLearntOnceAndNeverChanged(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, s *Store) {
		for _, name := range []string{"", "Ann", "", "Eve"} {
			mustWrite(t, s, func(tx *Tx) error { return tx.SawPerson("ann@example.org", name) })
		}
		mustWrite(t, s, func(tx *Tx) error {
			if name, err := tx.PersonName("ann@example.org"); err != nil || name != "Ann" {
				t.Errorf("PersonName = %q, %v, want Ann", name, err)
			}
			if name, err := tx.PersonName("nobody"); err != nil || name != "" {
				t.Errorf("PersonName of nobody = %q, %v", name, err)
			}
			return nil
		})
	})
}

func TestEntriesAreNumberedInOrder(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, s *Store) {
		n := newTicket(t, s).Number
		want := Entry{
			Ticket: n, Kind: "note", Visibility: "internal", Author: "tom@example.org", AuthorName: "Tom", Verified: true, Text: "t",
			FullText: "f", Attachments: []byte(`[{"name":"a"}]`), Blocks: []byte(`[]`), Flags: []string{"x", "y"}, MessageID: "m",
			At: time.Unix(1e9, 0).UTC(),
		}
		for range 2 {
			mustWrite(t, s, func(tx *Tx) error { return errors.Join(tx.AddEntry(want), tx.AddEntry(want)) })
		}
		d, err := s.Show(t.Context(), n)
		if err != nil || len(d.Entries) != 4 || d.Ticket.Entries != 4 {
			t.Fatalf("Show = %d entries, %v, want 4", len(d.Entries), err)
		}
		for i, e := range d.Entries {
			want.ID, want.Seq = e.ID, i+1
			if diff := cmp.Diff(want, e); diff != "" {
				t.Errorf("entry %d (-want +got):\n%s", i, diff)
			}
		}
		if err := s.Write(t.Context(), func(tx *Tx) error { return tx.AddEntry(Entry{Ticket: 7}) }); !errors.Is(err, ErrNotFound) {
			t.Errorf("AddEntry to no ticket = %v, want ErrNotFound", err)
		}
		if _, err := s.Show(t.Context(), 7); !errors.Is(err, ErrNotFound) {
			t.Errorf("Show(7) = %v, want ErrNotFound", err)
		}
		// What belongs to a ticket keeps it from being deleted.
		if err := s.Write(t.Context(), func(tx *Tx) error { return tx.exec("DELETE FROM tickets") }); err == nil {
			t.Error("a ticket with entries was deleted")
		}
	})
}
