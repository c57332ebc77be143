package store

import (
	"fmt"
	"maps"
	"slices"
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

// WrittenBy counts what each of these wrote on a ticket since a time, this
// transaction's entries too. It looks at no more than the newest most of their
// entries in the database; those who wrote nothing are left out.
func (tx *Tx) WrittenBy(n ticket.Number, authors []string, since time.Time, most int) (map[string]int, error) {
	type row struct {
		Author text
		N      int64
	}
	by := map[string]int{}
	asked := make(map[text]string, len(authors)) // as stored → as given
	for _, a := range authors {
		asked[text(clean(a))] = a
	}
	for chunk := range slices.Chunk(slices.Sorted(maps.Keys(asked)), batchRows) {
		rows, err := find[row](tx, "SELECT author, count(*) AS n FROM (SELECT author FROM entries WHERE ticket = ? AND at >= ? AND author IN ? "+
			"ORDER BY at DESC LIMIT ?) AS e GROUP BY author", int64(n), at(since), chunk, most)
		if err != nil {
			return nil, fmt.Errorf("count the entries of ticket %d: %w", n, err)
		}
		for _, r := range rows {
			by[asked[r.Author]] += int(r.N)
		}
	}
	for _, e := range tx.entries {
		if a, ok := asked[text(clean(string(e.Author)))]; ok && e.Ticket == int64(n) && e.At >= at(since) {
			by[a]++
		}
	}
	return by, nil
}
