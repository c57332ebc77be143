package store

import (
	"fmt"
	"slices"
	"time"

	"deskd/triage/ticket"
)

// Unlink takes a link away; nothing happens where there is none.
func (tx *Tx) Unlink(a, b ticket.Number, kind string) error {
	if err := tx.flush(); err != nil {
		return err
	}
	if err := tx.exec("DELETE FROM links WHERE from_ticket = ? AND to_ticket = ? AND kind = ?", int64(a), int64(b), short(kind)); err != nil {
		return fmt.Errorf("unlink tickets %d and %d: %w", a, b, err)
	}
	return nil
}

// MergedInto gives, of these tickets, those that went into another one.
func (tx *Tx) MergedInto(ns []ticket.Number) (map[ticket.Number]ticket.Number, error) {
	into := make(map[ticket.Number]ticket.Number)
	numbers := make([]int64, len(ns))
	for i, n := range ns {
		numbers[i] = int64(n)
	}
	for chunk := range slices.Chunk(numbers, batchRows) {
		rows, err := find[linkRow](tx, "SELECT * FROM links WHERE from_ticket IN ? AND kind = ?", chunk, short(LinkMerged))
		if err != nil {
			return nil, fmt.Errorf("look up merged tickets: %w", err)
		}
		for _, r := range rows {
			into[ticket.Number(r.FromTicket)] = ticket.Number(r.ToTicket)
		}
	}
	for _, l := range tx.links {
		if string(l.Kind) == LinkMerged && slices.Contains(numbers, l.FromTicket) {
			into[ticket.Number(l.FromTicket)] = ticket.Number(l.ToTicket)
		}
	}
	return into, nil
}

// ChangedBy gives the tickets in whose timelines a mail stands, by number.
func (tx *Tx) ChangedBy(intake int64) ([]ticket.Number, error) {
	if err := tx.flush(); err != nil {
		return nil, err
	}
	rows, err := find[int64](tx, "SELECT DISTINCT ticket FROM events WHERE intake = ? AND ticket IS NOT NULL ORDER BY ticket", intake)
	if err != nil {
		return nil, fmt.Errorf("look up what mail %d changed: %w", intake, err)
	}
	numbers := make([]ticket.Number, len(rows))
	for i, n := range rows {
		numbers[i] = ticket.Number(n)
	}
	return numbers, nil
}

// LastEntries gives up to limit entries of a ticket, this transaction's too:
// the newest ones, the oldest of them first.
func (tx *Tx) LastEntries(n ticket.Number, limit int) ([]Entry, error) {
	if err := tx.flush(); err != nil {
		return nil, err
	}
	rows, err := find[entryRow](tx, "SELECT * FROM entries WHERE ticket = ? ORDER BY seq DESC LIMIT ?", int64(n), limit)
	if err != nil {
		return nil, fmt.Errorf("read the last entries of ticket %d: %w", n, err)
	}
	entries := make([]Entry, len(rows))
	for i := range rows {
		entries[len(rows)-1-i] = rows[i].entry()
	}
	return entries, nil
}

// Linked says whether two tickets are linked so.
func (tx *Tx) Linked(a, b ticket.Number, kind string) (bool, error) {
	if err := tx.flush(); err != nil {
		return false, err
	}
	rows, err := find[linkRow](tx, "SELECT * FROM links WHERE from_ticket = ? AND to_ticket = ? AND kind = ?", int64(a), int64(b), short(kind))
	if err != nil {
		return false, fmt.Errorf("look for a link of tickets %d and %d: %w", a, b, err)
	}
	return len(rows) > 0, nil
}

// FirstVerified says whether the first words on a ticket were vouched for.
func (tx *Tx) FirstVerified(n ticket.Number) (bool, error) {
	if err := tx.flush(); err != nil {
		return false, err
	}
	rows, err := find[flag](tx, "SELECT verified FROM entries WHERE ticket = ? ORDER BY seq LIMIT 1", int64(n))
	if err != nil {
		return false, fmt.Errorf("look up the first entry of ticket %d: %w", n, err)
	}
	return len(rows) > 0 && bool(rows[0]), nil
}

// IntakeOf gives one intake; ErrNotFound if there is none.
func (tx *Tx) IntakeOf(id int64) (Intake, error) {
	rows, err := find[intakeRow](tx, "SELECT * FROM intakes WHERE id = ?", id)
	if err != nil {
		return Intake{}, fmt.Errorf("look up mail %d: %w", id, err)
	}
	if len(rows) == 0 {
		return Intake{}, fmt.Errorf("mail %d: %w", id, ErrNotFound)
	}
	return rows[0].intake(), nil
}

// RawOf gives the raw source of a mail by its hash; ErrNotFound if it is kept
// no more.
func (tx *Tx) RawOf(sha []byte) ([]byte, error) {
	if err := tx.flush(); err != nil {
		return nil, err
	}
	rows, err := find[rawRow](tx, "SELECT * FROM raws WHERE sha256 = ?", blob(sha))
	if err != nil {
		return nil, fmt.Errorf("look up a raw mail: %w", err)
	}
	if len(rows) == 0 {
		return nil, ErrNotFound
	}
	return tx.s.unpacked(rows[0])
}

// Due gives the numbers of live tickets whose date has come and that nobody
// was reminded of, the longest due first.
func (tx *Tx) Due(now time.Time, limit int) ([]ticket.Number, error) {
	if err := tx.flush(); err != nil {
		return nil, err
	}
	rows, err := find[int64](tx, "SELECT number FROM tickets WHERE due_at IS NOT NULL AND reminded_at IS NULL AND status <> 'resolved' AND status <> 'closed' "+
		"AND due_at <= ? ORDER BY due_at LIMIT ?", at(now), limit)
	if err != nil {
		return nil, fmt.Errorf("look for due tickets: %w", err)
	}
	numbers := make([]ticket.Number, len(rows))
	for i, n := range rows {
		numbers[i] = ticket.Number(n)
	}
	return numbers, nil
}

// CancelQueued takes what waits for an address about a ticket out of the
// outbox.
func (tx *Tx) CancelQueued(n ticket.Number, addr string) error {
	if err := tx.flush(); err != nil {
		return err
	}
	if err := tx.exec("UPDATE outbox SET state = 'cancelled', due_at = NULL, answer = ? WHERE due_at IS NOT NULL AND ticket = ? AND recipient = ? AND state IN ('queued', 'uncertain')",
		text("marked as spam"), int64(n), short(addr)); err != nil {
		return fmt.Errorf("cancel the mail to %s about ticket %d: %w", addr, n, err)
	}
	return nil
}

// IssuedTo gives the recipients of a mail of ours about a ticket that was
// written since a time; none if there was no such mail.
func (tx *Tx) IssuedTo(n ticket.Number, messageID string, since time.Time) ([]string, error) {
	if err := tx.flush(); err != nil {
		return nil, err
	}
	rows, err := find[short](tx, "SELECT recipient FROM outbox WHERE ticket = ? AND message_id = ? AND created_at >= ? ORDER BY id", int64(n), text(messageID), at(since))
	if err != nil {
		return nil, fmt.Errorf("look up who a mail about ticket %d went to: %w", n, err)
	}
	to := make([]string, len(rows))
	for i, r := range rows {
		to[i] = string(r)
	}
	return to, nil
}

type mutedRow struct {
	Ticket int64 `gorm:"primaryKey;autoIncrement:false"`
	Addr   short `gorm:"primaryKey"`
	At     stamp
}

func (mutedRow) TableName() string { return "muted" }

// Mute makes somebody hear no more of a ticket, or again.
func (tx *Tx) Mute(n ticket.Number, addr string, on bool) error {
	if clean(addr) == "" {
		return nil
	}
	if !on {
		if err := tx.exec("DELETE FROM muted WHERE ticket = ? AND addr = ?", int64(n), short(shorten(addr))); err != nil {
			return fmt.Errorf("unmute ticket %d: %w", n, err)
		}
		return nil
	}
	if err := tx.flush(); err != nil { // the ticket may be new
		return err
	}
	row := []mutedRow{{int64(n), short(shorten(addr)), at(tx.now)}}
	if err := insert(tx, &row, ignore()); err != nil {
		return fmt.Errorf("mute ticket %d: %w", n, err)
	}
	return nil
}

// Muted gives who hears no more of each of these tickets.
func (tx *Tx) Muted(ns []ticket.Number) (map[ticket.Number]map[string]bool, error) {
	muted := make(map[ticket.Number]map[string]bool)
	numbers := make([]int64, len(ns))
	for i, n := range ns {
		numbers[i] = int64(n)
	}
	for chunk := range slices.Chunk(numbers, batchRows) {
		rows, err := find[mutedRow](tx, "SELECT * FROM muted WHERE ticket IN ?", chunk)
		if err != nil {
			return nil, fmt.Errorf("look up who muted tickets: %w", err)
		}
		for _, r := range rows {
			n := ticket.Number(r.Ticket)
			if muted[n] == nil {
				muted[n] = make(map[string]bool)
			}
			muted[n][string(r.Addr)] = true
		}
	}
	return muted, nil
}

type challengeRow struct {
	MessageID short `gorm:"primaryKey"`
	Intake    int64
	Addr      short
	At        stamp
	ExpiresAt stamp
	SpentAt   stamp
}

func (challengeRow) TableName() string { return "challenges" }

// Challenge keeps a question to a technician.
func (tx *Tx) Challenge(c Challenge) error {
	row := []challengeRow{{short(c.MessageID), c.Intake, short(shorten(c.Addr)), at(tx.now), at(c.Expires), 0}}
	if err := insert(tx, &row); err != nil {
		return fmt.Errorf("keep a challenge: %w", err)
	}
	return nil
}

// Challenges gives the questions with these Message-IDs.
func (tx *Tx) Challenges(ids []string) (map[string]Challenge, error) {
	found := make(map[string]Challenge)
	list := make([]short, len(ids))
	for i, id := range ids {
		list[i] = short(id)
	}
	for chunk := range slices.Chunk(list, batchRows) {
		rows, err := find[challengeRow](tx, "SELECT * FROM challenges WHERE message_id IN ?", chunk)
		if err != nil {
			return nil, fmt.Errorf("look up challenges: %w", err)
		}
		for _, r := range rows {
			found[string(r.MessageID)] = Challenge{string(r.MessageID), r.Intake, string(r.Addr), r.ExpiresAt.time(), r.SpentAt.time()}
		}
	}
	return found, nil
}

// Spend marks a question as answered. It is false when it was before.
func (tx *Tx) Spend(id string) (bool, error) {
	n, err := tx.affect("UPDATE challenges SET spent_at = ? WHERE message_id = ? AND spent_at IS NULL", at(tx.now), short(id))
	if err != nil {
		return false, fmt.Errorf("spend a challenge: %w", err)
	}
	return n == 1, nil
}

// Challenged says which of these have been asked since a time.
func (tx *Tx) Challenged(addrs []string, since time.Time) (map[string]bool, error) {
	asked := make(map[string]bool)
	list := make([]short, len(addrs))
	for i, a := range addrs {
		list[i] = short(shorten(a))
	}
	for chunk := range slices.Chunk(list, batchRows) {
		rows, err := find[short](tx, "SELECT DISTINCT addr FROM challenges WHERE addr IN ? AND at > ?", chunk, at(since))
		if err != nil {
			return nil, fmt.Errorf("look up who was challenged: %w", err)
		}
		for _, a := range rows {
			asked[string(a)] = true
		}
	}
	return asked, nil
}

// ToldOf gives the recipients of mails of ours by their Message-IDs: of those
// written since a time, and since their ticket was last closed.
func (tx *Tx) ToldOf(ids []string, since time.Time) (map[string][]string, error) {
	type row struct{ MessageID, Recipient text }
	told := make(map[string][]string)
	for chunk := range slices.Chunk(ids, batchRows) {
		rows, err := find[row](tx, "SELECT o.message_id, o.recipient FROM outbox o WHERE o.message_id IN ? AND o.message_id <> '' AND o.created_at >= ? AND NOT EXISTS "+
			"(SELECT 1 FROM events e WHERE e.ticket = o.ticket AND e.what = 'status' AND e.value_after = ? AND e.at > o.created_at)", chunk, at(since), string(ticket.Closed))
		if err != nil {
			return nil, fmt.Errorf("look up where mails went: %w", err)
		}
		for _, r := range rows {
			told[string(r.MessageID)] = append(told[string(r.MessageID)], string(r.Recipient))
		}
	}
	return told, nil
}
