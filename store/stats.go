package store

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"gorm.io/gorm"

	"deskd/triage/ticket"
)

// Every query here is bounded by a LIMIT or counts along an index; a test
// reads the plans. Keyset pages (Before) cost the same on every page.

// shown bounds each kind of thing that Show gives.
const shown = 1000

// Show gives a ticket with all that hangs on it; ErrNotFound if there is none.
func (s *Store) Show(ctx context.Context, n ticket.Number) (Detail, error) {
	var d Detail
	err := s.snapshot(ctx, s.limits.read, func(ctx context.Context, db *gorm.DB) error {
		if err := d.fill(ctx, db, int64(n), shown); err != nil {
			return err
		}
		entries, err := rowsFor[entryRow](ctx, db, "SELECT * FROM entries WHERE ticket = ? ORDER BY seq DESC LIMIT ?", int64(n), shown)
		if err != nil {
			return err
		}
		events, err := rowsFor[eventRow](ctx, db, "SELECT * FROM events WHERE chain = ? ORDER BY seq DESC LIMIT ?", int64(n), shown)
		d.timeline(entries, events)
		return err
	})
	if err != nil {
		return Detail{}, fmt.Errorf("show ticket %d: %w", n, err)
	}
	return d, nil
}

// Bounds of one part of a ticket: what makes a page that is quick to load, also
// where somebody has sent a thousand mails of the largest size.
const (
	partMoments = 200
	partText    = 2 << 20 // bytes of text, as kept
	partOutbox  = 100
)

// ShowPart gives a ticket with one part of its timeline, the newest one or that
// before a mark, oldest first; ErrNotFound if there is no such ticket. Going
// from mark to mark, all entries and events are met once. With public set, these
// are what its requester may see: public entries, that it was opened, and its
// statuses.
func (s *Store) ShowPart(ctx context.Context, n ticket.Number, before Mark, public bool) (Detail, error) {
	var d Detail
	err := s.snapshot(ctx, s.limits.read, func(ctx context.Context, db *gorm.DB) error {
		if err := d.fill(ctx, db, int64(n), partOutbox); err != nil {
			return err
		}
		return d.fillPart(ctx, db, int64(n), before, public)
	})
	if err != nil {
		return Detail{}, fmt.Errorf("show a part of ticket %d: %w", n, err)
	}
	return d, nil
}

// fillPart takes from the ends of both lists whichever is newer, until there is
// enough. The texts are read only then.
func (d *Detail) fillPart(ctx context.Context, db *gorm.DB, n int64, before Mark, public bool) error {
	written, happened := "", ""
	if public {
		written, happened = " AND visibility = 'public'", " AND what IN ('created', 'status')"
	}
	end := Mark{d.Ticket.Entries + 1, d.Ticket.Events + 1}
	if before == (Mark{}) {
		before = end
	}
	before = Mark{min(max(before.Entry, 1), end.Entry), min(max(before.Event, 1), end.Event)}
	type head struct {
		Seq, Size int
		At        stamp
	}
	heads, err := rowsFor[head](ctx, db, "SELECT seq, at, octet_length(body) + octet_length(full_body) + octet_length(blocks) + octet_length(attachments) AS size "+
		"FROM entries WHERE ticket = ? AND seq < ?"+written+" ORDER BY seq DESC LIMIT ?", n, before.Entry, partMoments+1)
	if err != nil {
		return err
	}
	events, err := rowsFor[eventRow](ctx, db, "SELECT * FROM events WHERE chain = ? AND seq < ?"+happened+" ORDER BY seq DESC LIMIT ?", n, before.Event, partMoments+1)
	if err != nil {
		return err
	}
	i, j, size := 0, 0, 0
	for i+j < partMoments && (i < len(heads) || j < len(events)) {
		// Of one moment, the words come before what they did.
		if j < len(events) && (i == len(heads) || events[j].At >= heads[i].At) {
			j++
			continue
		}
		if size += heads[i].Size; size > partText && i > 0 {
			break
		}
		i++
	}
	mark := before
	if i > 0 {
		mark.Entry = heads[i-1].Seq
	}
	if j > 0 {
		mark.Event = int(events[j-1].Seq)
	}
	entries, err := rowsFor[entryRow](ctx, db, "SELECT * FROM entries WHERE ticket = ? AND seq >= ? AND seq < ?"+written+" ORDER BY seq DESC LIMIT ?",
		n, mark.Entry, before.Entry, partMoments)
	if err != nil {
		return err
	}
	d.timeline(entries, events[:j])
	if i < len(heads) || j < len(events) {
		d.Earlier = mark
	}
	return nil
}

// timeline takes rows that came newest first.
func (d *Detail) timeline(entries []entryRow, events []eventRow) {
	for i := range slices.Backward(entries) {
		d.Entries = append(d.Entries, entries[i].entry())
	}
	for i := range slices.Backward(events) {
		d.Events = append(d.Events, events[i].event())
	}
}

// fill reads all but the timeline.
func (d *Detail) fill(ctx context.Context, db *gorm.DB, n int64, mails int) error {
	tickets, err := rowsFor[ticketRow](ctx, db, "SELECT * FROM tickets WHERE number = ?", n)
	if err != nil {
		return err
	}
	if len(tickets) == 0 {
		return ErrNotFound
	}
	d.Ticket = tickets[0].ticket()
	first, err := rowsFor[ref](ctx, db, "SELECT intake FROM entries WHERE ticket = ? AND seq = 1", n)
	if err != nil {
		return err
	}
	if len(first) > 0 {
		d.FirstIntake = int64(first[0])
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
	if d.Returned, err = returned(ctx, db, n); err != nil {
		return err
	}
	rows, err := rowsFor[outboxRow](ctx, db, "SELECT * FROM outbox WHERE ticket = ? ORDER BY id DESC LIMIT ?", n, mails+1)
	if d.MoreOutbox = len(rows) > mails; d.MoreOutbox {
		rows = rows[:mails]
	}
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
// the latter two cases the entry is given all the same. What may says is asked
// before the mail is read; nil: everybody may.
func (s *Store) EntryRaw(ctx context.Context, entryID int64, may func(Entry) error) ([]byte, Entry, error) {
	entries, err := read[entryRow](ctx, s, "SELECT * FROM entries WHERE id = ?", entryID)
	if err != nil {
		return nil, Entry{}, fmt.Errorf("read entry %d: %w", entryID, err)
	}
	if len(entries) == 0 {
		return nil, Entry{}, fmt.Errorf("entry %d: %w", entryID, ErrNotFound)
	}
	e := entries[0].entry()
	if may != nil {
		if err := may(e); err != nil {
			return nil, e, err
		}
	}
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
