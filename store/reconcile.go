package store

import (
	"context"
	"fmt"
	"slices"

	"deskd/triage/ticket"
)

// Copy is a mail as it lies in a folder for what is done.
type Copy struct {
	MessageID string // empty: none that could be read
	Size      int64  // bytes, as the server gave them
}

// manyCopies is how often a mail may have been taken back in vain: its size is
// another one in that folder, and that is the server's way.
const manyCopies = 3

// KnownCopies says of each mail whether one like it came through the mailbox.
func (s *Store) KnownCopies(ctx context.Context, mailbox string, copies []Copy) ([]bool, error) {
	type row struct {
		MessageID text
		Size      int64
		Again     int64
	}
	var ids []text
	var unnamed []int64
	for _, c := range copies {
		if c.MessageID != "" {
			ids = append(ids, text(clean(c.MessageID)))
		} else {
			unnamed = append(unnamed, c.Size)
		}
	}
	known, again := map[Copy]bool{}, map[string]int64{}
	for chunk := range slices.Chunk(ids, batchRows) {
		rows, err := read[row](ctx, s, "SELECT message_id, size, sum(CASE WHEN fate = ? THEN 1 ELSE 0 END) AS again FROM intakes "+
			"WHERE message_id IN ? AND message_id <> '' AND mailbox = ? GROUP BY message_id, size", string(FateDuplicate), chunk, short(mailbox))
		if err != nil {
			return nil, fmt.Errorf("look up copies in %s: %w", mailbox, err)
		}
		for _, r := range rows {
			known[Copy{string(r.MessageID), r.Size}] = true
			again[string(r.MessageID)] += r.Again
		}
	}
	// What could not be handled has no Message-ID here, whatever it says.
	for _, c := range copies {
		if !known[Copy{clean(c.MessageID), c.Size}] && c.MessageID != "" {
			unnamed = append(unnamed, c.Size)
		}
	}
	aside := map[int64]bool{}
	for chunk := range slices.Chunk(unnamed, batchRows) {
		rows, err := read[row](ctx, s, "SELECT '' AS message_id, size, sum(CASE WHEN file = 'quarantine' THEN 1 ELSE 0 END) AS again FROM intakes "+
			"WHERE mailbox = ? AND message_id = '' AND size IN ? GROUP BY size", short(mailbox), chunk)
		if err != nil {
			return nil, fmt.Errorf("look up copies in %s: %w", mailbox, err)
		}
		for _, r := range rows {
			known[Copy{"", r.Size}] = true
			aside[r.Size] = r.Again > 0
		}
	}
	out := make([]bool, len(copies))
	for i, c := range copies {
		c.MessageID = clean(c.MessageID)
		out[i] = known[c] || c.MessageID != "" && (again[c.MessageID] >= manyCopies || aside[c.Size])
	}
	return out, nil
}

// SkipNumbers leaves out so many ticket numbers, and all up to one: after a
// restore of an older copy they may have been given to tickets that are not
// here, and people have seen them (F21).
func (tx *Tx) SkipNumbers(by int, upTo ticket.Number) error {
	n, err := tx.number()
	if err != nil {
		return fmt.Errorf("skip ticket numbers: %w", err)
	}
	return tx.LiftNumbers(max(n+ticket.Number(by), upTo))
}
