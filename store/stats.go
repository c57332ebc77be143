package store

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"gorm.io/gorm"

	"deskd/triage/ticket"
)

// Every query here is bounded by a LIMIT or counts along an index; a test
// reads the plans. Keyset pages (Before) cost the same on every page.

// live is the condition for tickets that belong to a queue still. It is
// written out, since no partial index is used for bound values.
const live = "status IN ('open', 'in_progress', 'waiting')"

// Overview gives the figures of the dashboard. The days of the chart are those
// of now's time zone.
func (s *Store) Overview(ctx context.Context, now time.Time) (Overview, error) {
	o := Overview{Open: map[string]map[ticket.Priority]int{}}
	err := s.snapshot(ctx, s.limits.read, func(ctx context.Context, db *gorm.DB) error { return o.fill(ctx, db, now) })
	if err != nil {
		return Overview{}, fmt.Errorf("count tickets and mails: %w", err)
	}
	return o, nil
}

func (o *Overview) fill(ctx context.Context, db *gorm.DB, now time.Time) error {
	type group struct {
		Status, Team, Priority text
		N                      int
	}
	groups, err := rowsFor[group](ctx, db, "SELECT status, team, priority, count(*) AS n FROM tickets WHERE "+live+
		" GROUP BY status, team, priority")
	if err != nil {
		return err
	}
	for _, g := range groups {
		team := o.Open[string(g.Team)]
		if team == nil {
			team = map[ticket.Priority]int{}
			o.Open[string(g.Team)] = team
		}
		team[ticket.Priority(g.Priority)] += g.N
		if ticket.Status(g.Status) == ticket.Waiting {
			o.Waiting += g.N
		}
	}
	if err := o.fillDays(ctx, db, now); err != nil {
		return err
	}
	type counts struct {
		Unassigned, Quarantined, Unsent, Failed int
		LastIntake                              stamp
	}
	c, err := rowsFor[counts](ctx, db, "SELECT (SELECT count(*) FROM tickets WHERE "+live+" AND assignee = '') AS unassigned, "+
		"(SELECT count(*) FROM intakes WHERE fate = 'quarantined') AS quarantined, "+
		"(SELECT count(*) FROM outbox WHERE due_at IS NOT NULL) AS unsent, "+
		"(SELECT count(*) FROM outbox WHERE state = 'failed') AS failed, "+
		"(SELECT seen_at FROM intakes ORDER BY id DESC LIMIT 1) AS last_intake")
	if err != nil {
		return err
	}
	o.Unassigned, o.Quarantined, o.OutboxUnsent, o.OutboxFailed = c[0].Unassigned, c[0].Quarantined, c[0].Unsent, c[0].Failed
	o.LastIntake = c[0].LastIntake.time()
	oldest, err := rowsFor[ticketRow](ctx, db, "SELECT * FROM tickets WHERE first_response_at IS NULL AND "+live+
		" ORDER BY number LIMIT 5")
	for i := range oldest {
		o.OldestUnanswered = append(o.OldestUnanswered, oldest[i].ticket())
	}
	return err
}

// fillDays counts along two indexes, day by day: days have 23 to 25 hours.
func (o *Overview) fillDays(ctx context.Context, db *gorm.DB, now time.Time) error {
	year, month, day := now.Date()
	midnight := func(ago int) time.Time { return time.Date(year, month, day-ago, 0, 0, 0, 0, now.Location()) }
	var q strings.Builder
	var args []any
	for i := range o.PerDay {
		ago := len(o.PerDay) - 1 - i
		o.PerDay[i].Day = midnight(ago)
		if i > 0 {
			q.WriteString(" UNION ALL ")
		}
		fmt.Fprintf(&q, "SELECT %d AS day, (SELECT count(*) FROM tickets WHERE created_at >= ? AND created_at < ?) AS fresh, "+
			"(SELECT count(*) FROM tickets WHERE resolved_at >= ? AND resolved_at < ?) AS resolved", i)
		from, to := at(midnight(ago)), at(midnight(ago-1))
		args = append(args, from, to, from, to)
	}
	type count struct{ Day, Fresh, Resolved int }
	days, err := rowsFor[count](ctx, db, q.String(), args...)
	for _, d := range days {
		o.PerDay[d.Day].New, o.PerDay[d.Day].Resolved = d.Fresh, d.Resolved
	}
	return err
}

// ListTickets gives tickets, the newest number first.
func (s *Store) ListTickets(ctx context.Context, f TicketFilter) ([]Ticket, error) {
	query, args := ticketQuery(f)
	rows, err := read[ticketRow](ctx, s, query, args...)
	if err != nil {
		return nil, fmt.Errorf("list tickets: %w", err)
	}
	tickets := make([]Ticket, len(rows))
	for i := range rows {
		tickets[i] = rows[i].ticket()
	}
	return tickets, nil
}

// ticketQuery asks once for each status and puts the parts together: within
// one status the index gives the rows in order, so that no list is sorted
// that is longer than a few pages.
func ticketQuery(f TicketFilter) (string, []any) {
	limit := limited(f.Limit)
	var where []string
	var args []any
	and := func(condition string, arg any) {
		where, args = append(where, condition), append(args, arg)
	}
	if f.Requester != "" {
		and("requester = ?", short(f.Requester))
	}
	if f.Team != "" {
		and("team = ?", short(f.Team))
	}
	if f.Assignee != "" {
		and("assignee = ?", short(f.Assignee))
	}
	if f.Before > 0 {
		and("number < ?", int64(f.Before))
	}
	statuses := slices.Clone(f.Status)
	if len(statuses) == 0 && (f.Live || f.Requester == "" && (f.Team != "" || f.Assignee != "")) {
		statuses = ticket.Statuses()
	}
	if f.Live {
		statuses = slices.DeleteFunc(statuses, func(st ticket.Status) bool { return !st.Live() })
		if len(statuses) == 0 {
			where = append(where, "1 = 0")
		}
	}
	slices.Sort(statuses)
	statuses = slices.Compact(statuses)
	if len(statuses) == 0 || f.Requester != "" {
		// One requester's tickets are few: they are picked out of them.
		if len(statuses) > 0 {
			texts := make([]text, len(statuses))
			for i, st := range statuses {
				texts[i] = text(st)
			}
			and("status IN ?", texts)
		}
		query := "SELECT * FROM tickets"
		if len(where) > 0 {
			query += " WHERE " + strings.Join(where, " AND ")
		}
		return query + " ORDER BY number DESC LIMIT ?", append(args, limit)
	}
	var parts []string
	var all []any
	for i, status := range statuses {
		conditions := append([]string{"status = ?"}, where...)
		parts = append(parts, fmt.Sprintf("SELECT * FROM (SELECT * FROM tickets WHERE %s ORDER BY number DESC LIMIT ?) AS part%d",
			strings.Join(conditions, " AND "), i))
		all = append(all, text(status))
		all = append(all, args...)
		all = append(all, limit)
	}
	return strings.Join(parts, " UNION ALL ") + " ORDER BY number DESC LIMIT ?", append(all, limit)
}

// shown bounds each kind of thing that Show gives.
const shown = 1000

// Show gives a ticket with all that hangs on it; ErrNotFound if there is none.
func (s *Store) Show(ctx context.Context, n ticket.Number) (Detail, error) {
	var d Detail
	err := s.snapshot(ctx, s.limits.read, func(ctx context.Context, db *gorm.DB) error { return d.fill(ctx, db, int64(n)) })
	if err != nil {
		return Detail{}, fmt.Errorf("show ticket %d: %w", n, err)
	}
	return d, nil
}

func (d *Detail) fill(ctx context.Context, db *gorm.DB, n int64) error {
	tickets, err := rowsFor[ticketRow](ctx, db, "SELECT * FROM tickets WHERE number = ?", n)
	if err != nil {
		return err
	}
	if len(tickets) == 0 {
		return ErrNotFound
	}
	d.Ticket = tickets[0].ticket()
	entries, err := rowsFor[entryRow](ctx, db, "SELECT * FROM entries WHERE ticket = ? ORDER BY seq DESC LIMIT ?", n, shown)
	if err != nil {
		return err
	}
	for i := range slices.Backward(entries) {
		d.Entries = append(d.Entries, entries[i].entry())
	}
	events, err := rowsFor[eventRow](ctx, db, "SELECT * FROM events WHERE chain = ? ORDER BY seq DESC LIMIT ?", n, shown)
	if err != nil {
		return err
	}
	for i := range slices.Backward(events) {
		d.Events = append(d.Events, events[i].event())
	}
	links, err := rowsFor[linkRow](ctx, db, "SELECT * FROM links WHERE from_ticket = ? UNION "+
		"SELECT * FROM links WHERE to_ticket = ? ORDER BY at, from_ticket, to_ticket, kind LIMIT ?", n, n, shown)
	if err != nil {
		return err
	}
	for _, l := range links {
		d.Links = append(d.Links, Link{ticket.Number(l.FromTicket), ticket.Number(l.ToTicket), string(l.Kind), l.At.time()})
	}
	people, err := rowsFor[participantRow](ctx, db, "SELECT * FROM participants WHERE ticket = ? ORDER BY addr LIMIT ?", n, shown)
	if err != nil {
		return err
	}
	for _, p := range people {
		d.Participants = append(d.Participants,
			Participant{ticket.Number(p.Ticket), string(p.Addr), string(p.Name), string(p.How), p.At.time()})
	}
	rows, err := rowsFor[outboxRow](ctx, db, "SELECT * FROM outbox WHERE ticket = ? ORDER BY id DESC LIMIT ?", n, shown)
	slices.Reverse(rows)
	d.Outbox = outboxRows(rows)
	return err
}

// ListIntakes gives mails that came in, the newest first.
func (s *Store) ListIntakes(ctx context.Context, f IntakeFilter) ([]Intake, error) {
	query, args := intakeQuery(f)
	rows, err := read[intakeRow](ctx, s, query, args...)
	if err != nil {
		return nil, fmt.Errorf("list mails: %w", err)
	}
	return intakes(rows), nil
}

// withMessageID says twice that there is one, so that the index is used which
// holds only these rows.
const withMessageID = "message_id = ? AND message_id <> ''"

func intakeQuery(f IntakeFilter) (string, []any) {
	where, args := []string{"1 = 1"}, []any{}
	if f.Undone {
		where = append(where, "filed_at IS NULL")
	}
	if f.Fate != "" {
		where, args = append(where, "fate = ?"), append(args, text(f.Fate))
	}
	if f.Mailbox != "" {
		where, args = append(where, "mailbox = ?"), append(args, short(f.Mailbox))
	}
	if f.Ticket != 0 {
		where, args = append(where, "ticket = ?"), append(args, int64(f.Ticket))
	}
	if f.MessageID != "" {
		where, args = append(where, withMessageID), append(args, text(f.MessageID))
	}
	if f.Before > 0 {
		where, args = append(where, "id < ?"), append(args, f.Before)
	}
	return "SELECT * FROM intakes WHERE " + strings.Join(where, " AND ") + " ORDER BY id DESC LIMIT ?", append(args, limited(f.Limit))
}

// ListOutbox gives outgoing mails without their bodies, the newest first.
func (s *Store) ListOutbox(ctx context.Context, f OutboxFilter) ([]Row, error) {
	query, args := outboxQuery(f)
	rows, err := read[outboxRow](ctx, s, query, args...)
	if err != nil {
		return nil, fmt.Errorf("list the outbox: %w", err)
	}
	return outboxRows(rows), nil
}

// OutboxByID gives one row of the outbox without its body; ErrNotFound if there
// is none.
func (s *Store) OutboxByID(ctx context.Context, id int64) (Row, error) {
	rows, err := read[outboxRow](ctx, s, "SELECT * FROM outbox WHERE id = ?", id)
	if err != nil {
		return Row{}, fmt.Errorf("read row %d of the outbox: %w", id, err)
	}
	if len(rows) == 0 {
		return Row{}, fmt.Errorf("row %d of the outbox: %w", id, ErrNotFound)
	}
	return rows[0].row(), nil
}

func outboxQuery(f OutboxFilter) (string, []any) {
	where, args := []string{"1 = 1"}, []any{}
	if f.State != "" {
		where, args = append(where, "state = ?"), append(args, text(f.State))
	}
	if f.Ticket != 0 {
		where, args = append(where, "ticket = ?"), append(args, int64(f.Ticket))
	}
	if f.MessageID != "" {
		where, args = append(where, withMessageID), append(args, text(f.MessageID))
	}
	if f.Before > 0 {
		where, args = append(where, "id < ?"), append(args, f.Before)
	}
	return "SELECT * FROM outbox WHERE " + strings.Join(where, " AND ") + " ORDER BY id DESC LIMIT ?", append(args, limited(f.Limit))
}

// EntryRaw gives an entry and the raw mail it came from. ErrNotFound: there is
// no such entry, it came from no mail, or the bytes are not kept any more; in
// the latter two cases the entry is given all the same.
func (s *Store) EntryRaw(ctx context.Context, entryID int64) ([]byte, Entry, error) {
	entries, err := read[entryRow](ctx, s, "SELECT * FROM entries WHERE id = ?", entryID)
	if err != nil {
		return nil, Entry{}, fmt.Errorf("read entry %d: %w", entryID, err)
	}
	if len(entries) == 0 {
		return nil, Entry{}, fmt.Errorf("entry %d: %w", entryID, ErrNotFound)
	}
	e := entries[0].entry()
	raws, err := read[rawRow](ctx, s, "SELECT r.* FROM intakes i JOIN raws r ON r.sha256 = i.sha256 WHERE i.id = ?", e.Intake)
	if err != nil {
		return nil, e, fmt.Errorf("read the mail of entry %d: %w", entryID, err)
	}
	if len(raws) == 0 {
		return nil, e, fmt.Errorf("the mail of entry %d: %w", entryID, ErrNotFound)
	}
	raw, err := s.unpacked(raws[0])
	return raw, e, err
}
