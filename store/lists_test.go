package store

import (
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"deskd/triage/ticket"
)

// listed is one of the lists that pages ask for, and the index that each of its
// orders runs along, in the order of Orders. A word after the index says that
// what it leaves is sorted.
type listed struct {
	name  string
	f     TicketFilter
	along [5]string
}

func lists() []listed {
	closed := []ticket.Status{ticket.Closed}
	dated := [5]string{byDate + " sorted", byDate + " sorted", byDate + " sorted", byDate + " sorted", byDate}
	return []listed{
		{"everything", TicketFilter{}, [5]string{"key", "key", byChange, byStatus, byDate}},
		{"live", TicketFilter{Live: true}, [5]string{byStatus, byStatus, byChange, byStatus, byDate}},
		{"closed", TicketFilter{Status: closed}, [5]string{byStatus, byStatus, byChange, byStatus, byDate}},
		{"two statuses", TicketFilter{Status: []ticket.Status{ticket.Open, ticket.Closed}}, [5]string{byStatus, byStatus, byChange, byStatus, byDate}},
		{"critical", TicketFilter{Priority: ticket.Critical, Live: true}, [5]string{byStatus, byStatus, byChange, byStatus, byDate}},
		{"team", TicketFilter{Team: "Network Team"}, [5]string{byTeam, byTeam, byTeam + " sorted", byTeam, byDate}},
		{"team, live", TicketFilter{Team: "Network Team", Live: true}, [5]string{byTeam, byTeam, byChange, byTeam, byDate}},
		{"team, live, high", TicketFilter{Team: "Network Team", Live: true, Priority: ticket.High}, [5]string{byTeam, byTeam, byChange, byTeam, byDate}},
		{"unassigned", TicketFilter{Unassigned: true, Live: true}, [5]string{byAssignee, byAssignee, byChange, byAssignee, byDate}},
		{"team, unassigned", TicketFilter{Team: "Network Team", Unassigned: true}, [5]string{byTeam, byTeam, byTeam + " sorted", byTeam, byDate}},
		{"team, unassigned, live", TicketFilter{Team: "Network Team", Unassigned: true, Live: true}, [5]string{byAssignee, byAssignee, byChange, byAssignee, byDate}},
		{"assignee", TicketFilter{Assignee: "tom@example.org"}, [5]string{byAssignee, byAssignee, byAssignee + " sorted", byAssignee, byDate}},
		{"assignee, live, low", TicketFilter{Assignee: "tom@example.org", Live: true, Priority: ticket.Low}, [5]string{byAssignee, byAssignee, byAssignee + " sorted", byAssignee, byDate}},
		{"requester", TicketFilter{Requester: "ann@example.org"}, [5]string{byRequester, byRequester, byRequester + " sorted", byRequester + " sorted", byRequester + " sorted"}},
		{"requester, live, high", TicketFilter{Requester: "ann@example.org", Live: true, Priority: ticket.High}, [5]string{byRequester, byRequester, byRequester + " sorted", byRequester + " sorted", byRequester + " sorted"}},
		{"involved", TicketFilter{Involved: []string{"ann@example.org"}}, [5]string{byPerson, byPerson, byPerson + " sorted", byPerson + " sorted", byPerson + " sorted"}},
		{"involved by two addresses", TicketFilter{Involved: []string{"dee@example.org", "ann@example.org"}}, [5]string{byPerson, byPerson, byPerson + " sorted", byPerson + " sorted", byPerson + " sorted"}},
		{"involved, live, low", TicketFilter{Involved: []string{"ann@example.org"}, Live: true, Priority: ticket.Low}, [5]string{byPerson, byPerson, byPerson + " sorted", byPerson + " sorted", byPerson + " sorted"}},
		{"overdue", TicketFilter{Live: true, DueBefore: listNow}, dated},
		{"due today", TicketFilter{Live: true, DueFrom: listNow, DueBefore: listNow.Add(9 * time.Hour)}, dated},
		{"below a number", TicketFilter{Before: 1060}, [5]string{"key", "key", byChange, byStatus, byDate}},
	}
}

var listNow = time.Date(2026, 11, 23, 15, 2, 0, 0, time.UTC)

// pages are a first page and a later one in every order.
func (l listed) pages() []TicketFilter {
	var pages []TicketFilter
	for _, o := range Orders() {
		first := l.f
		first.Order = o
		later := first
		later.After = o.Place(Ticket{Number: 1050, Priority: ticket.High, UpdatedAt: listNow, DueAt: listNow})
		pages = append(pages, first, later)
	}
	return pages
}

// TestListsRunAlongTheirIndex reads SQLite's plans: every list, in every order,
// on its first page and on a later one, runs along the index that was made
// for it.
func TestListsRunAlongTheirIndex(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir()+"/desk.db")
	for _, l := range lists() {
		for i, f := range l.pages() {
			along, sorted := strings.CutSuffix(l.along[i/2], " sorted")
			_, err := f.collect(func(f TicketFilter) ([]ticketRow, error) {
				query, args := ticketQuery(s.dialect, f)
				plan := explained(t, s, query, args)
				name := fmt.Sprintf("%s, %s, page %d", l.name, f.Order, i%2+1)
				if f.dates == undated {
					return nil, nil // those without a date: as by number
				}
				if along == "key" {
					if !strings.Contains(plan, "tickets USING INTEGER PRIMARY KEY") && !strings.Contains(plan, "SCAN tickets\n") {
						t.Errorf("%s: not along the key:\n%s", name, plan)
					}
				} else if !strings.Contains(plan, "INDEX "+along+" ") {
					t.Errorf("%s: not along %s:\n%s", name, along, plan)
				}
				// What is sorted inside of a part has no limit to its length.
				if got := strings.Contains(plan, "USE TEMP B-TREE FOR ORDER BY\n    part"); got && !sorted {
					t.Errorf("%s: sorted:\n%s", name, plan)
				}
				return nil, nil
			}, func(TicketFilter, string) ([]countRow, error) { return []countRow{{0}}, nil })
			if err != nil {
				t.Error(err)
			}
		}
	}
}

// TestListsMeetEveryTicketOnce walks every list in every order from page to
// page on both databases, and compares it with what Go finds in all tickets.
func TestListsMeetEveryTicketOnce(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, s *Store) {
		all := manyTickets(t, s, 300)
		for _, l := range lists() {
			for _, o := range Orders() {
				f := l.f
				f.Order, f.Limit = o, 7
				var want []ticket.Number
				for _, one := range all {
					if f.takes(one) {
						want = append(want, one.Number)
					}
				}
				slices.SortFunc(want, func(a, b ticket.Number) int {
					return o.Compare(o.Place(all[a-1001].Ticket), o.Place(all[b-1001].Ticket))
				})
				var got []ticket.Number
				for _, one := range walked(t, s, f, nil) {
					got = append(got, one.Number)
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("%s, %s (-want +got):\n%s", l.name, o, diff)
				}
				if len(want) == 0 {
					t.Errorf("%s: no ticket matches, so nothing is proven", l.name)
				}
			}
		}
	})
}

// TestListsMeetEveryTicketOnceWhileTheyChange walks lists while between two
// pages tickets are opened, touched, resolved and get dates. Whatever stays as
// it is comes exactly once, and nothing comes twice in an order that does not
// move.
func TestListsMeetEveryTicketOnceWhileTheyChange(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, s *Store) {
		all := manyTickets(t, s, 300)
		random := rand.New(rand.NewPCG(1, 2))
		for _, o := range Orders() {
			f := TicketFilter{Order: o, Live: true, Limit: 11}
			before, err := readAll(t, s, f)
			if err != nil {
				t.Fatal(err)
			}
			touched := map[ticket.Number]bool{}
			list := walked(t, s, f, func() {
				mustWrite(t, s, func(tx *Tx) error {
					if _, err := tx.NewTicket(aTicket()); err != nil {
						return err
					}
					for range 3 {
						one, err := tx.Ticket(all[random.IntN(len(all))].Number)
						if err != nil {
							return err
						}
						touched[one.Number] = true
						one.Status = ticket.Statuses()[random.IntN(5)]
						one.Priority = ticket.Priorities()[random.IntN(4)]
						one.DueAt = listNow.Add(time.Duration(random.IntN(100)) * time.Hour)
						one.UpdatedAt = listNow.Add(time.Duration(random.IntN(100)) * time.Hour)
					}
					return nil
				})
			})
			seen := map[ticket.Number]int{}
			for _, one := range list {
				seen[one.Number]++
				if n := seen[one.Number]; n > 1 && (!touched[one.Number] || o == Newest || o == Oldest) {
					t.Errorf("%s: ticket %d came %d times", o, one.Number, n)
				}
			}
			for _, one := range before {
				if !touched[one.Number] && seen[one.Number] != 1 {
					t.Errorf("%s: ticket %d, which nobody touched, came %d times", o, one.Number, seen[one.Number])
				}
			}
		}
	})
}

func readAll(t *testing.T, s *Store, f TicketFilter) ([]Ticket, error) {
	t.Helper()
	f.Limit = 500
	return s.ListTickets(t.Context(), f)
}

// walked reads a list to its end, page by page; between, if not nil, happens
// before each next page.
func walked(t *testing.T, s *Store, f TicketFilter, between func()) []Ticket {
	t.Helper()
	var all []Ticket
	for range 1000 {
		page, err := s.ListTickets(t.Context(), f)
		if err != nil {
			t.Fatalf("ListTickets(%+v): %v", f, err)
		}
		all = append(all, page...)
		if len(page) < f.Limit {
			return all
		}
		f.After = f.Order.Place(page[len(page)-1])
		if between != nil {
			between()
		}
	}
	t.Fatalf("ListTickets(%+v): no end", f)
	return nil
}

// onTicket is a ticket with those who are on it.
type onTicket struct {
	Ticket
	people []string
}

// takes says, apart from the database, whether a filter chooses a ticket.
func (f TicketFilter) takes(t onTicket) bool {
	return (f.Team == "" || t.Team == f.Team) && (len(f.Status) == 0 || slices.Contains(f.Status, t.Status)) &&
		(f.Priority == "" || t.Priority == f.Priority) && (f.Assignee == "" || t.Assignee == f.Assignee) &&
		(!f.Unassigned || t.Assignee == "") && (f.Requester == "" || t.Requester == f.Requester) &&
		(len(f.Involved) == 0 || slices.ContainsFunc(f.Involved, func(a string) bool { return t.Requester == a || slices.Contains(t.people, a) })) && (!f.Live || t.Status.Live()) &&
		(f.DueFrom.IsZero() || !t.DueAt.IsZero() && !t.DueAt.Before(f.DueFrom)) &&
		(f.DueBefore.IsZero() || !t.DueAt.IsZero() && t.DueAt.Before(f.DueBefore)) && (f.Before == 0 || t.Number < f.Before)
}

// manyTickets fills a store with tickets of every kind, many of which share a
// time, and gives them from number 1001 on.
func manyTickets(t *testing.T, s *Store, n int) []onTicket {
	t.Helper()
	random := rand.New(rand.NewPCG(7, 7))
	some := func(list ...string) string { return list[random.IntN(len(list))] }
	var all []onTicket
	mustWrite(t, s, func(tx *Tx) error {
		for range n {
			one := aTicket()
			one.Status, one.Priority = ticket.Statuses()[random.IntN(5)], ticket.Priorities()[random.IntN(4)]
			one.Team = some("Helpdesk", "Network Team", "Desktop Support")
			one.Assignee = some("", "", "tom@example.org", "nadia@example.org")
			one.Requester = some("ann@example.org", "bob@example.org", "cy@example.org")
			one.CreatedAt = listNow.Add(-time.Duration(random.IntN(1000)) * time.Hour)
			one.UpdatedAt = listNow.Add(-time.Duration(random.IntN(20)) * time.Hour)
			if random.IntN(3) > 0 {
				one.DueAt = listNow.Add(time.Duration(random.IntN(40)-20) * time.Hour)
			}
			made, err := tx.NewTicket(one)
			if err != nil {
				return err
			}
			var people []string
			for _, addr := range []string{"ann@example.org", "dee@example.org"} {
				if random.IntN(3) == 0 {
					people = append(people, addr)
					if err := tx.AddParticipant(made.Number, addr, "", "cc"); err != nil {
						return err
					}
				}
			}
			all = append(all, onTicket{*made, people})
		}
		return nil
	})
	return all
}

// TestRareCombinationsAreNotWalkedFor watches SQLite: what a mixed filter asks
// about is looked for along the narrowest index, so that a list which leaves
// next to nothing is not searched from end to end.
func TestRareCombinationsAreNotWalkedFor(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir()+"/desk.db")
	manyTickets(t, s, 10)
	for _, tt := range []struct {
		f    TicketFilter
		want string // the indexes that are asked whether they leave few
	}{
		{TicketFilter{Team: "x", Order: Changed}, byTeam},
		{TicketFilter{Team: "x", Unassigned: true, Order: Changed}, byTeam + " " + byAssignee},
		{TicketFilter{Team: "x", Assignee: "a"}, byTeam + " " + byAssignee},
		{TicketFilter{Priority: ticket.Critical, Order: Changed}, byStatus},
		{TicketFilter{Team: "x"}, ""},
		{TicketFilter{Team: "x", Live: true, Order: Changed}, ""},
		{TicketFilter{Requester: "a", Team: "x", Order: Changed}, ""},
		{TicketFilter{Unassigned: true}, ""},
	} {
		for _, n := range []int64{fewTickets - 1, fewTickets} {
			var asked []string
			var few string
			_, err := tt.f.collect(func(f TicketFilter) ([]ticketRow, error) { few = f.few; return nil, nil }, func(f TicketFilter, index string) ([]countRow, error) {
				asked = append(asked, index)
				query, args := fewQuery(s.dialect, f, index)
				if plan := explained(t, s, query, args); !strings.Contains(plan, "COVERING INDEX "+index) {
					t.Errorf("%+v: few by %s:\n%s", f, index, plan)
				}
				return []countRow{{n}}, nil
			})
			if err != nil {
				t.Fatal(err)
			}
			if n == fewTickets {
				if got := strings.Join(asked, " "); got != tt.want || few != "" {
					t.Errorf("%+v: asked %q and took %q, want %q and none", tt.f, got, few, tt.want)
				}
			} else if first, _, _ := strings.Cut(tt.want, " "); few != first {
				t.Errorf("%+v: took %q, want %q", tt.f, few, first)
			}
		}
	}
}

func TestAFilterThatContradictsItselfChoosesNothing(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, s *Store) {
		manyTickets(t, s, 50)
		for _, f := range []TicketFilter{
			{Live: true, Status: []ticket.Status{ticket.Closed}},
			{Unassigned: true, Assignee: "tom@example.org"},
			{DueFrom: listNow, DueBefore: listNow},
			{Team: "Finance"},
			{Involved: []string{"nobody@example.org"}},
			{Assignee: "\x00"},
		} {
			if list, err := readAll(t, s, f); err != nil || len(list) != 0 {
				t.Errorf("%+v: got %d tickets, %v", f, len(list), err)
			}
		}
	})
}

// explained gives a plan as lines; what happens inside of a part is marked.
func explained(t *testing.T, s *Store, query string, args []any) string {
	t.Helper()
	db := s.reader.WithContext(t.Context()).Raw("EXPLAIN QUERY PLAN "+query, args...)
	rows, err := db.Rows()
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	defer rows.Close()
	parts := map[int]bool{}
	var b strings.Builder
	for rows.Next() {
		var id, parent, unused int
		var detail sql.NullString
		if err := rows.Scan(&id, &parent, &unused, &detail); err != nil {
			t.Fatal(err)
		}
		if parts[parent] || strings.Contains(detail.String, "(subquery-") || strings.HasPrefix(detail.String, "CO-ROUTINE part") {
			parts[id] = true
		}
		b.WriteString(detail.String + "\n")
		if parts[parent] {
			b.WriteString("    part\n")
		}
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestALongTicketIsShownInParts goes through a long ticket from its end to its
// beginning: each entry and event comes once, and no part is too long.
func TestALongTicketIsShownInParts(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, s *Store) {
		n := newTicket(t, s).Number
		random := rand.New(rand.NewPCG(3, 3))
		const entries, events = 450, 700
		mustWrite(t, s, func(tx *Tx) error {
			at := listNow
			for i := range entries {
				if random.IntN(4) > 0 { // several share a moment
					at = at.Add(time.Duration(random.IntN(600)) * time.Second)
				}
				if err := tx.AddEntry(Entry{Ticket: n, Kind: "message", Visibility: "public", Text: fmt.Sprint("entry ", i+1), At: at}); err != nil {
					return err
				}
				for range i % 3 {
					if err := tx.AddEvent(Event{Ticket: n, What: "status", At: at}); err != nil {
						return err
					}
				}
			}
			for i := range events - 450 { // the clock was set back
				if err := tx.AddEvent(Event{Ticket: n, What: "priority", At: listNow.Add(time.Duration(-i) * time.Hour)}); err != nil {
					return err
				}
			}
			return nil
		})
		var mark Mark
		parts, nextEntry, nextEvent := 0, 0, 0
		for first := true; first || mark != (Mark{}); first = false {
			d, err := s.ShowPart(t.Context(), n, mark, false)
			if err != nil {
				t.Fatal(err)
			}
			if first {
				nextEntry, nextEvent = d.Ticket.Entries, d.Ticket.Events
				if nextEntry != entries || nextEvent < events-1 {
					t.Fatalf("there are %d entries and %d events", nextEntry, nextEvent)
				}
			}
			if len(d.Entries)+len(d.Events) > partMoments || len(d.Entries)+len(d.Events) == 0 {
				t.Fatalf("a part has %d entries and %d events", len(d.Entries), len(d.Events))
			}
			for _, e := range slices.Backward(d.Entries) {
				if e.Seq != nextEntry || e.Text != fmt.Sprint("entry ", nextEntry) {
					t.Fatalf("entry %d %q came, want %d", e.Seq, e.Text, nextEntry)
				}
				nextEntry--
			}
			for _, e := range slices.Backward(d.Events) {
				if e.Seq != nextEvent {
					t.Fatalf("event %d came, want %d", e.Seq, nextEvent)
				}
				nextEvent--
			}
			mark = d.Earlier
			parts++
		}
		if nextEntry != 0 || nextEvent != 0 || parts < 6 {
			t.Errorf("after %d parts, %d entries and %d events are missing", parts, nextEntry, nextEvent)
		}
	})
}

// TestPartsForARequesterTellNothingOfTheRest has much that is hidden before,
// between and after what is not.
func TestPartsForARequesterTellNothingOfTheRest(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, s *Store) {
		n := newTicket(t, s).Number
		mustWrite(t, s, func(tx *Tx) error {
			for i := range 3 * partMoments {
				e := Entry{Ticket: n, Kind: "note", Visibility: "internal", Text: "hidden"}
				if i >= partMoments && i%2 == 0 && i < 3*partMoments-partMoments/2 {
					e.Kind, e.Visibility, e.Text = "message", "public", fmt.Sprint("message ", i)
				}
				if err := tx.AddEntry(e); err != nil {
					return err
				}
				what := "priority"
				if i%3 == 0 {
					what = "status"
				}
				if err := tx.AddEvent(Event{Ticket: n, What: what}); err != nil {
					return err
				}
			}
			return nil
		})
		entries, events, parts := 0, 0, 0
		var mark Mark
		for first := true; first || mark != (Mark{}); first = false {
			d, err := s.ShowPart(t.Context(), n, mark, true)
			if err != nil {
				t.Fatal(err)
			}
			if len(d.Entries)+len(d.Events) == 0 {
				t.Error("a part has nothing")
			}
			for _, e := range d.Entries {
				if e.Visibility != "public" {
					t.Fatalf("got %+v", e)
				}
			}
			for _, e := range d.Events {
				if e.What != "status" && e.What != "created" {
					t.Fatalf("got %+v", e)
				}
			}
			entries, events, mark = entries+len(d.Entries), events+len(d.Events), d.Earlier
			parts++
		}
		wantEntries, wantEvents := 3*partMoments/4, partMoments
		if made := events - wantEvents; entries != wantEntries || made != 0 && made != 1 || parts != (entries+events+partMoments-1)/partMoments {
			t.Errorf("got %d entries and %d events in %d parts, want %d and %d", entries, events, parts, wantEntries, wantEvents)
		}
	})
}

func TestAPartOfATicketHoldsNoMoreTextThanAPageShould(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, s *Store) {
		n := newTicket(t, s).Number
		long := strings.Repeat("x", 900<<10)
		mustWrite(t, s, func(tx *Tx) error {
			for _, text := range []string{"short", long, long, long, long + long + long + long, "short"} {
				if err := tx.AddEntry(Entry{Ticket: n, Kind: "message", Visibility: "public", Text: text}); err != nil {
					return err
				}
			}
			return nil
		})
		var mark Mark
		var got []int
		for first := true; first || mark != (Mark{}); first = false {
			d, err := s.ShowPart(t.Context(), n, mark, false)
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, len(d.Entries))
			mark = d.Earlier
		}
		if diff := cmp.Diff([]int{1, 1, 2, 2}, got); diff != "" {
			t.Errorf("entries of each part (-want +got):\n%s", diff)
		}
		if _, err := s.ShowPart(t.Context(), 9999, Mark{}, false); !errors.Is(err, ErrNotFound) {
			t.Errorf("no such ticket: %v", err)
		}
		for mark, want := range map[Mark]int{{1, 1}: 0, {0, 5}: 0, {-5, -5}: 0, {2, 0}: 1, {1 << 60, 1 << 60}: 1} {
			if d, err := s.ShowPart(t.Context(), n, mark, false); err != nil || len(d.Entries) != want {
				t.Errorf("%v: got %d entries, want %d; %v", mark, len(d.Entries), want, err)
			}
		}
	})
}
