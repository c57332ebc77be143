package desk

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"deskd/mailin"
	"deskd/store"
	"deskd/triage/ticket"
)

// unfiledNumbers are left out for tickets that were lost and lie in no folder
// yet: of a batch that was decided on and not filed, or split from others.
const unfiledNumbers = 100

// Missing says which filed mails the database knows nothing of, since it was
// restored from a copy, or lost its last commits in a fail-over (F21). Before
// they come in again, as many ticket numbers are left out as may have been
// given, so that a number which people have seen does not name another ticket;
// but once for each mail, however often it is asked for.
func (d *Desk) Missing(ctx context.Context, box mailin.Box, copies []mailin.Copy) ([]uint32, error) {
	d.comparing.step(box.Mailbox)
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
	var left []missed // whose numbers are to be left out
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
		left = append(left, missed{box.Mailbox, asked[i]})
	}
	if left = d.notLeftYet(left); len(left) == 0 {
		return missing, nil
	}
	err = d.store.Write(ctx, func(tx *store.Tx) error {
		if err := tx.SkipNumbers(len(left)+unfiledNumbers, highest); err != nil {
			return err
		}
		return tx.AddEvent(store.Event{
			Actor: "deskd", What: "mails taken back", After: strconv.Itoa(len(left)),
			Reason: "they were filed in " + box.Mailbox + ", and the database knows nothing of them",
		})
	})
	if err != nil {
		return nil, fmt.Errorf("take mails back: %w", err)
	}
	d.leftOut(left)
	d.log.Warn("the database is older than the mailbox: filed mails are to be taken in again", "reason", box.Mailbox, "mails", len(left))
	return missing, nil
}

// Compared lets the mail of all mailboxes come in, as far as it waited for this
// one.
func (d *Desk) Compared(box mailin.Box) { d.comparing.end(box.Mailbox) }

// missed is a mail that the database knew nothing of.
type missed struct {
	mailbox string
	mail    store.Copy
}

// mostLeft bounds for how many mails it is remembered that numbers were left
// out for them.
const mostLeft = 100_000

// notLeftYet are those that no numbers were left out for.
func (d *Desk) notLeftYet(list []missed) []missed {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.DeleteFunc(list, func(m missed) bool { return d.left[m] })
}

func (d *Desk) leftOut(list []missed) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.left == nil || len(d.left) > mostLeft {
		d.left = make(map[missed]bool, len(list))
	}
	for _, m := range list {
		d.left[m] = true
	}
}
