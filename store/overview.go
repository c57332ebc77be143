package store

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"gorm.io/gorm"

	"deskd/triage/ticket"
)

// Overview gives the figures of the dashboard. The days of the charts are those
// of now's time zone.
//
// The live tickets of each kind are kept as counts (counts.go); all else is
// counted along indexes: what is due, and what was opened or resolved in the
// days that are shown. Nothing is kept from one call to the next.
func (s *Store) Overview(ctx context.Context, now time.Time) (Overview, error) {
	o := Overview{Open: map[string]map[ticket.Priority]int{}}
	err := s.snapshot(ctx, s.limits.read, func(ctx context.Context, db *gorm.DB) error {
		for _, fill := range []func(context.Context, *gorm.DB, dialect, time.Time) error{o.fillOpen, o.fillDays, o.fillCounts} {
			if err := fill(ctx, db, s.dialect, now); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return Overview{}, fmt.Errorf("count tickets and mails: %w", err)
	}
	return o, nil
}

// fillOpen gives each team's tickets by priority, and those that nobody has.
func (o *Overview) fillOpen(ctx context.Context, db *gorm.DB, _ dialect, _ time.Time) error {
	counts, err := liveCounts(ctx, db)
	for k, n := range counts {
		if n <= 0 {
			continue
		}
		team := o.Open[string(k.Team)]
		if team == nil {
			team = map[ticket.Priority]int{}
			o.Open[string(k.Team)] = team
		}
		team[ticket.Priority(k.Priority)] += n
		if k.Free {
			o.Unassigned += n
		}
		if ticket.Status(k.Status) == ticket.Waiting {
			o.Waiting += n
		}
	}
	return err
}

// fillDays counts along two indexes, day by day: days have 23 to 25 hours. The
// times until the first response come in one text for each day: to read them
// row by row takes far longer.
func (o *Overview) fillDays(ctx context.Context, db *gorm.DB, d dialect, now time.Time) error {
	var args []any
	for i := range o.PerDay {
		o.PerDay[i].Day = midnight(now, i+1-len(o.PerDay))
		args = append(args, i, at(o.PerDay[i].Day), at(midnight(now, i+2-len(o.PerDay))))
	}
	row := "(" + d.cast("INTEGER") + ", " + d.cast("INTEGER") + ", " + d.cast("INTEGER") + ")"
	type count struct {
		Day, Resolved int
		Opened        text
	}
	days, err := rowsFor[count](ctx, db, "SELECT v.column1 AS day, "+
		"(SELECT CAST(count(*) AS TEXT) || coalesce(',' || string_agg(CAST((first_response_at - created_at) / 1000000 AS TEXT), ','), '') "+
		"FROM tickets WHERE created_at >= v.column2 AND created_at < v.column3) AS opened, "+
		"(SELECT count(*) FROM tickets WHERE resolved_at >= v.column2 AND resolved_at < v.column3) AS resolved "+
		"FROM (VALUES "+row+strings.Repeat(", "+row, len(o.PerDay)-1)+") AS v", args...)
	if err != nil {
		return err
	}
	var all []int64
	for _, c := range days {
		numbers, err := opened(string(c.Opened))
		if err != nil {
			return err
		}
		day := &o.PerDay[c.Day]
		day.New, day.Resolved, day.Answers = int(numbers[0]), c.Resolved, answers(numbers[1:])
		all = append(all, numbers[1:]...)
	}
	o.Answers = answers(all)
	return nil
}

// midnight is when a day begins, so many days from now's. Where the clock is
// put forward at midnight, it begins at the first moment that there is.
func midnight(now time.Time, days int) time.Time {
	year, month, day := now.Date()
	return time.Date(year, month, day+days, 0, 0, 0, 0, now.Location())
}

// opened reads how many tickets a day has, and after it the seconds until the
// first response of those that have had one.
func opened(list string) ([]int64, error) {
	numbers := make([]int64, 0, 1+strings.Count(list, ","))
	for one := range strings.SplitSeq(list, ",") {
		n, err := strconv.ParseInt(one, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("read the times until the first response: %w", err)
		}
		numbers = append(numbers, max(n, 0))
	}
	return numbers, nil
}

// answers sorts the seconds until first responses and tells of them.
func answers(seconds []int64) Answers {
	if len(seconds) == 0 {
		return Answers{}
	}
	slices.Sort(seconds)
	rank := func(percent int) time.Duration {
		return time.Duration(seconds[(len(seconds)*percent+99)/100-1]) * time.Second
	}
	return Answers{len(seconds), rank(50), rank(90)}
}

// fillCounts adds what is one number each, and the tickets that have waited
// longest.
func (o *Overview) fillCounts(ctx context.Context, db *gorm.DB, _ dialect, now time.Time) error {
	type tickets struct{ Overdue, DueToday int }
	t, err := rowsFor[tickets](ctx, db, "SELECT "+
		"(SELECT count(*) FROM tickets WHERE "+live+" AND due_at IS NOT NULL AND due_at < ?) AS overdue, "+
		"(SELECT count(*) FROM tickets WHERE "+live+" AND due_at IS NOT NULL AND due_at >= ? AND due_at < ?) AS due_today",
		at(now), at(now), at(midnight(now, 1)))
	if err != nil {
		return err
	}
	o.Overdue, o.DueToday = t[0].Overdue, t[0].DueToday
	type mails struct {
		Quarantined, Unsent, Failed int
		LastIntake                  stamp
	}
	m, err := rowsFor[mails](ctx, db, "SELECT (SELECT count(*) FROM intakes WHERE fate = 'quarantined') AS quarantined, "+
		"(SELECT count(*) FROM outbox WHERE due_at IS NOT NULL) AS unsent, "+
		"(SELECT count(*) FROM outbox WHERE state = 'failed') AS failed, "+
		// But for those that the desk sends to itself. Where the newest ones are
		// all of these, it is longer ago.
		"coalesce((SELECT seen_at FROM (SELECT id, seen_at, fate, reason FROM intakes ORDER BY id DESC LIMIT 1000) AS found "+
		"WHERE fate IS NOT NULL AND reason <> ? ORDER BY id DESC LIMIT 1), "+
		"(SELECT min(seen_at) FROM (SELECT seen_at FROM intakes ORDER BY id DESC LIMIT 1000) AS found)) AS last_intake", RoundTrip)
	if err != nil {
		return err
	}
	o.Quarantined, o.OutboxUnsent, o.OutboxFailed = m[0].Quarantined, m[0].Unsent, m[0].Failed
	o.LastIntake = m[0].LastIntake.time()
	oldest, err := rowsFor[ticketRow](ctx, db, "SELECT * FROM tickets WHERE first_response_at IS NULL AND "+live+
		" ORDER BY number LIMIT 5")
	for i := range oldest {
		o.OldestUnanswered = append(o.OldestUnanswered, oldest[i].ticket())
	}
	return err
}
