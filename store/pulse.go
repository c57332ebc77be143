package store

import (
	"context"
	"fmt"
)

// Pulse changes whenever something has happened that lists show: a mail was
// seen, something was done, or the state of mail flow is another one.
type Pulse struct {
	Events, Intakes int64 // the ids of the newest of each, added up
	Undecided       int64 // mails in hand
	Unsent          int64 // mails that wait to be sent
	Well            int64 // contacts that work
}

// pulseIDs is how many ids are added up. On PostgreSQL a transaction may commit
// after a later one: its ids are not the highest then, but among these.
const pulseIDs = 200

// Pulse reads it: some steps along indexes, whatever the database holds.
func (s *Store) Pulse(ctx context.Context) (Pulse, error) {
	rows, err := read[Pulse](ctx, s, "SELECT (SELECT CAST(coalesce(sum(id), 0) AS BIGINT) FROM (SELECT id FROM events ORDER BY id DESC LIMIT ?) AS e) AS events, "+
		"(SELECT CAST(coalesce(sum(id), 0) AS BIGINT) FROM (SELECT id FROM intakes ORDER BY id DESC LIMIT ?) AS i) AS intakes, "+
		"(SELECT count(*) FROM (SELECT id FROM intakes WHERE filed_at IS NULL ORDER BY id LIMIT 1000) AS i) AS undecided, "+
		"(SELECT count(*) FROM (SELECT id FROM outbox WHERE due_at IS NOT NULL ORDER BY due_at, id LIMIT 1000) AS o) AS unsent, "+
		"(SELECT count(*) FROM heartbeats WHERE ok = 1) AS well", pulseIDs, pulseIDs)
	if err != nil {
		return Pulse{}, fmt.Errorf("read the pulse: %w", err)
	}
	return rows[0], nil
}
