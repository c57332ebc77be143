package desk

import (
	"context"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"sync"
	"time"

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
		if err := tx.SkipNumbers(len(missing)+unfiledNumbers, highest); err != nil {
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

// comparing keeps mail of all mailboxes waiting at the start while one of them
// may still find that numbers are to be left out (F21).
type comparing struct {
	mu    sync.Mutex
	boxes map[string]chan struct{} // closed once that mailbox has done so
}

// longestWait is how long the others wait, once, for one that does not get on:
// its server hangs, or another daemon has its lease.
const longestWait = 30 * time.Second

// begin says that a mailbox begins: it will compare.
func (c *comparing) begin(mailbox string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.boxes == nil {
		c.boxes = map[string]chan struct{}{}
	}
	c.boxes[strings.ToLower(mailbox)] = make(chan struct{})
}

// end says that a mailbox has compared, or will not for now.
func (c *comparing) end(mailbox string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if b := c.boxes[strings.ToLower(mailbox)]; b != nil {
		close(b)
		delete(c.boxes, strings.ToLower(mailbox))
	}
}

// wait returns when all have.
func (c *comparing) wait(ctx context.Context) error {
	c.mu.Lock()
	boxes := maps.Clone(c.boxes)
	c.mu.Unlock()
	if len(boxes) == 0 {
		return nil
	}
	patience, cancel := context.WithTimeout(ctx, longestWait)
	defer cancel()
	for name, done := range boxes {
		select {
		case <-done:
		case <-patience.Done():
			if ctx.Err() != nil {
				return ctx.Err()
			}
			c.end(name)
		}
	}
	return nil
}
