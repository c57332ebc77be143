package store

import (
	"fmt"
	"slices"
	"time"

	"deskd/triage/ticket"
)

// Opened is what somebody opened through a mailbox, and whether the first mail
// on it was verified.
type Opened struct {
	Number    ticket.Number
	Mailbox   string
	Requester string
	Verified  bool
	Status    ticket.Status
}

// Alike is a new ticket among many.
type Alike struct {
	Number             ticket.Number
	Mailbox, Requester string
	Subject            string
}

// OpenedInAll lists the newest tickets that were opened since a time, the
// oldest first, at most so many of them; none when they are fewer than few. This
// transaction's are left out.
func (tx *Tx) OpenedInAll(since time.Time, few, most int) ([]Alike, error) {
	type row struct {
		Number                      int64
		Mailbox, Requester, Subject text
	}
	rows, err := find[row](tx, "SELECT number, mailbox, requester, subject FROM (SELECT number, mailbox, requester, subject, created_at FROM tickets "+
		"WHERE (SELECT f.created_at FROM tickets f ORDER BY f.number DESC LIMIT 1 OFFSET ?) >= ? ORDER BY number DESC LIMIT ?) AS t WHERE created_at >= ?",
		few-1, at(since), most, at(since))
	if err != nil {
		return nil, fmt.Errorf("list what was opened lately: %w", err)
	}
	list := make([]Alike, len(rows))
	for i, r := range rows {
		list[i] = Alike{ticket.Number(r.Number), string(r.Mailbox), string(r.Requester), string(r.Subject)}
	}
	slices.SortFunc(list, func(a, b Alike) int { return int(a.Number - b.Number) })
	return list, nil
}

// OpenedLately lists the tickets that these requesters opened since a time,
// this transaction's too, the oldest first. It stops at most of them, the
// newest, for each requester.
func (tx *Tx) OpenedLately(requesters []string, since time.Time, most int) ([]Opened, error) {
	type row struct {
		Number    int64
		Mailbox   text
		Requester short
		Verified  flag
		Status    text
	}
	asked := make(map[string]string, len(requesters)) // as stored → as given
	for _, r := range requesters {
		asked[shorten(r)] = r
	}
	var all []Opened
	for chunk := range slices.Chunk(sortedKeys(asked), batchRows) {
		args := make([]any, len(chunk), len(chunk)+2)
		for i, a := range chunk {
			args[i] = short(a)
		}
		rows, err := find[row](tx, "SELECT t.number, t.mailbox, t.requester, t.status, coalesce((SELECT e.verified FROM entries e WHERE e.ticket = t.number ORDER BY e.seq LIMIT 1), ?) AS verified "+
			"FROM "+tx.values("TEXT", len(chunk))+" JOIN tickets t ON t.requester = v.column1 AND t.number > "+
			"coalesce((SELECT o.number FROM tickets o WHERE o.requester = v.column1 ORDER BY o.number DESC LIMIT 1 OFFSET ?), 0) "+
			"WHERE t.created_at >= ?", append(append([]any{flag(false)}, args...), most, at(since))...)
		if err != nil {
			return nil, fmt.Errorf("list what was opened lately: %w", err)
		}
		for _, r := range rows {
			all = append(all, Opened{ticket.Number(r.Number), string(r.Mailbox), asked[string(r.Requester)], bool(r.Verified), ticket.Status(r.Status)})
		}
	}
	for n, k := range tx.tickets {
		who, ok := asked[shorten(k.ticket.Requester)]
		if !k.isNew || !ok || k.ticket.CreatedAt.Before(since) {
			continue
		}
		o := Opened{Number: n, Mailbox: k.ticket.Mailbox, Requester: who, Status: k.ticket.Status}
		if i := slices.IndexFunc(tx.entries, func(e entryRow) bool { return e.Ticket == int64(n) }); i >= 0 {
			o.Verified = bool(tx.entries[i].Verified)
		}
		all = append(all, o)
	}
	slices.SortFunc(all, func(a, b Opened) int { return int(a.Number - b.Number) })
	return slices.CompactFunc(all, func(a, b Opened) bool { return a.Number == b.Number }), nil
}
