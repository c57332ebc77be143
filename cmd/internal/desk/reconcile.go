package desk

import (
	"context"
	"fmt"
	"strconv"

	"deskd/mailin"
	"deskd/store"
	"deskd/triage/ticket"
)

// Missing says which filed mails the database knows nothing of, since it was
// restored from a copy, or lost its last commits in a fail-over (F21). Before
// they come in again, as many ticket numbers are left out as they may have been
// given, so that a number which people have seen never names another ticket.
func (d *Desk) Missing(ctx context.Context, box mailin.Box, copies []mailin.Copy) ([]uint32, error) {
	asked := make([]store.Copy, len(copies))
	for i, c := range copies {
		asked[i] = store.Copy{MessageID: c.MessageID, Size: c.Size}
	}
	known, err := d.store.KnownCopies(ctx, box.Mailbox, asked)
	if err != nil {
		return nil, err
	}
	var missing []uint32
	var highest ticket.Number
	for i, c := range copies {
		if known[i] {
			continue
		}
		missing = append(missing, c.UID)
		for _, id := range c.Answers {
			if n, ours := d.rules.Signer().VerifyMessageID(id); ours {
				highest = max(highest, n)
			}
		}
	}
	if len(missing) == 0 {
		return nil, nil
	}
	err = d.store.Write(ctx, func(tx *store.Tx) error {
		if err := tx.SkipNumbers(len(missing), highest); err != nil {
			return err
		}
		return tx.AddEvent(store.Event{
			Actor: "deskd", What: "mails taken back", After: strconv.Itoa(len(missing)),
			Reason: "they were filed in " + box.Mailbox + ", and the database knows nothing of them",
		})
	})
	if err != nil {
		return nil, fmt.Errorf("take mails back: %w", err)
	}
	d.log.Warn("the database is older than the mailbox: filed mails are taken in again", "reason", box.Mailbox, "mails", len(missing))
	return missing, nil
}
