package store

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"deskd/triage/ticket"
)

// TestOverviewCountsTheDesk compares all figures of the dashboard with tickets
// that are known one by one.
func TestOverviewCountsTheDesk(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, s *Store) {
		all := manyTickets(t, s, 300)
		got, err := s.Overview(t.Context(), listNow)
		if err != nil {
			t.Fatal(err)
		}
		want := Overview{Open: map[string]map[ticket.Priority]int{}}
		for _, one := range all {
			if !one.Status.Live() {
				continue
			}
			if want.Open[one.Team] == nil {
				want.Open[one.Team] = map[ticket.Priority]int{}
			}
			want.Open[one.Team][one.Priority]++
			if one.Status == ticket.Waiting {
				want.Waiting++
			}
			if one.Assignee == "" {
				want.Unassigned++
			}
			switch due := one.DueAt; {
			case due.IsZero():
			case due.Before(listNow):
				want.Overdue++
			case due.Before(listNow.Truncate(24 * time.Hour).Add(24 * time.Hour)):
				want.DueToday++
			}
			if len(want.OldestUnanswered) < 5 {
				want.OldestUnanswered = append(want.OldestUnanswered, one.Ticket)
			}
		}
		for i := range want.PerDay {
			day := listNow.Truncate(24*time.Hour).AddDate(0, 0, i-29)
			want.PerDay[i].Day = day
			for _, one := range all {
				if !one.CreatedAt.Before(day) && one.CreatedAt.Before(day.AddDate(0, 0, 1)) {
					want.PerDay[i].New++
				}
			}
		}
		for _, list := range [][]Ticket{got.OldestUnanswered, want.OldestUnanswered} {
			for i := range list {
				list[i] = Ticket{Number: list[i].Number}
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		if want.Overdue == 0 || want.DueToday == 0 || want.Waiting == 0 {
			t.Errorf("nothing is proven: %+v", want)
		}
	})
}

// TestOverviewHasDaysOf23And25Hours looks at the two nights on which the clock
// is changed: each ticket is counted on the day that the calendar on the wall
// showed when it was opened.
func TestOverviewHasDaysOf23And25Hours(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, s *Store) {
		berlin, err := time.LoadLocation("Europe/Berlin")
		if err != nil {
			t.Skip(err)
		}
		for _, tt := range []struct {
			first time.Time // midnight of the day before the change
			hours [3]int
		}{
			{time.Date(2026, 3, 28, 0, 0, 0, 0, berlin), [3]int{24, 23, 24}},
			{time.Date(2026, 10, 24, 0, 0, 0, 0, berlin), [3]int{24, 25, 24}},
		} {
			mustWrite(t, s, func(tx *Tx) error {
				for half := range 2 * (tt.hours[0] + tt.hours[1] + tt.hours[2]) {
					one := aTicket()
					one.CreatedAt = tt.first.Add(time.Duration(half) * 30 * time.Minute)
					one.Status, one.ResolvedAt = ticket.Resolved, one.CreatedAt
					if _, err := tx.NewTicket(one); err != nil {
						return err
					}
				}
				return nil
			})
			o, err := s.Overview(t.Context(), tt.first.AddDate(0, 0, 2).Add(15*time.Hour))
			if err != nil {
				t.Fatal(err)
			}
			for i, hours := range tt.hours {
				day := o.PerDay[len(o.PerDay)-3+i]
				if day.New != 2*hours || day.Resolved != 2*hours {
					t.Errorf("%s: got %d new and %d resolved, want %d", day.Day, day.New, day.Resolved, 2*hours)
				}
				if want := tt.first.AddDate(0, 0, i); !day.Day.Equal(want) {
					t.Errorf("day %d begins at %s, want %s", i, day.Day, want)
				}
			}
			if before := o.PerDay[len(o.PerDay)-4]; before.New != 0 {
				t.Errorf("the day before has %d", before.New)
			}
		}
	})
}

func TestOverviewTellsHowSoonTicketsAreAnswered(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, s *Store) {
		for day, minutes := range [][]int{{5}, {1, 2}, {10, 2, 3, 4, 5, 6, 7, 8, 9, 1}, {1, 1, 1, 1, 1, 1, 1, 1, 1, 60, 60}, {-1}, {}} {
			mustWrite(t, s, func(tx *Tx) error {
				unanswered := aTicket()
				unanswered.CreatedAt = listNow.AddDate(0, 0, -day)
				if _, err := tx.NewTicket(unanswered); err != nil {
					return err
				}
				for _, m := range minutes {
					one := aTicket()
					one.CreatedAt = listNow.AddDate(0, 0, -day)
					one.FirstResponseAt = one.CreatedAt.Add(time.Duration(m) * time.Minute)
					if _, err := tx.NewTicket(one); err != nil {
						return err
					}
				}
				return nil
			})
		}
		o, err := s.Overview(t.Context(), listNow)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for day := range 7 {
			d := o.PerDay[len(o.PerDay)-1-day]
			got = append(got, fmt.Sprint(d.New, " ", d.Answered, " ", d.Median, " ", d.Slow))
		}
		got = append(got, fmt.Sprint(o.Answers))
		want := []string{"2 1 5m0s 5m0s", "3 2 1m0s 2m0s", "11 10 5m0s 9m0s", "12 11 1m0s 1h0m0s", "2 1 0s 0s", "1 0 0s 0s", "0 0 0s 0s", "{25 2m0s 10m0s}"}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

func TestTheLastMailIsNotOneOfTheDesksOwn(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, s *Store) {
		last := func() time.Time {
			t.Helper()
			o, err := s.Overview(t.Context(), s.now())
			if err != nil {
				t.Fatal(err)
			}
			return o.LastIntake
		}
		if got := last(); !got.IsZero() {
			t.Errorf("before any mail: %s", got)
		}
		decide := func(uid uint32, reason string) Intake {
			in := begin(t, s, uid)
			in.Fate, in.Reason = FateLoop, reason
			mustWrite(t, s, func(tx *Tx) error { return tx.Decide(in) })
			return in
		}
		own := decide(1, RoundTrip)
		if got := last(); !got.Equal(own.SeenAt) {
			t.Errorf("with nothing else: %s, want %s", got, own.SeenAt)
		}
		mail := decide(2, "own-mail")
		decide(3, RoundTrip)
		decide(4, RoundTrip)
		if got := last(); !got.Equal(mail.SeenAt) {
			t.Errorf("got %s, want %s", got, mail.SeenAt)
		}
	})
}
