package store

import (
	"fmt"
	"time"

	"deskd/triage/ticket"
)

type countRow struct{ N int64 }

// OpenedBy counts the tickets that a requester opened since a time, this
// transaction's too; it stops at most.
func (tx *Tx) OpenedBy(requester string, since time.Time, most int) (int, error) {
	rows, err := find[countRow](tx, "SELECT count(*) AS n FROM (SELECT created_at FROM tickets WHERE requester = ? ORDER BY number DESC LIMIT ?) AS t "+
		"WHERE created_at >= ?", short(requester), most, at(since))
	if err != nil {
		return 0, fmt.Errorf("count the tickets of a requester: %w", err)
	}
	n := 0
	for _, r := range rows {
		n = int(r.N)
	}
	for _, k := range tx.tickets {
		if k.isNew && shorten(k.ticket.Requester) == shorten(requester) && !k.ticket.CreatedAt.Before(since) {
			n++
		}
	}
	return min(n, most), nil
}

// WrittenBy counts what somebody wrote on a ticket since a time, among its
// newest entries, this transaction's too; it stops at most.
func (tx *Tx) WrittenBy(n ticket.Number, author string, since time.Time, most int) (int, error) {
	rows, err := find[countRow](tx, "SELECT count(*) AS n FROM (SELECT author, at FROM entries WHERE ticket = ? ORDER BY seq DESC LIMIT ?) AS e "+
		"WHERE author = ? AND at >= ?", int64(n), most, text(author), at(since))
	if err != nil {
		return 0, fmt.Errorf("count the entries of ticket %d: %w", n, err)
	}
	count := 0
	for _, r := range rows {
		count = int(r.N)
	}
	for _, e := range tx.entries {
		if e.Ticket == int64(n) && string(e.Author) == author && e.At >= at(since) {
			count++
		}
	}
	return min(count, most), nil
}
