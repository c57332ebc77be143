package desk

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
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
		if m := (missed{box.Mailbox, asked[i]}); !d.comparing.wasLeft(m) {
			left = append(left, m)
		}
	}
	if len(left) == 0 {
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
	d.comparing.leave(left)
	d.log.Warn("the database is older than the mailbox: filed mails are to be taken in again", "reason", box.Mailbox, "mails", len(left))
	return missing, nil
}

// Compared lets the mail of all mailboxes come in, as far as it waited for this
// one.
func (d *Desk) Compared(box mailin.Box) { d.comparing.end(box.Mailbox) }

// comparing keeps mail of all mailboxes waiting at the start while one of them
// may still find that numbers are to be left out (F21).
type comparing struct {
	mu      sync.Mutex
	boxes   map[string]*compared // those that have not done so
	stopped bool
	left    map[missed]bool // what numbers were left out for
}

type compared struct {
	done  chan struct{}
	steps atomic.Int64
}

// missed is a mail that the database knew nothing of.
type missed struct {
	mailbox string
	mail    store.Copy
}

// How long the others wait, once, for a mailbox that does not get on, since its
// server cannot be reached or another daemon has its lease; and for one that
// does how many times as long.
const (
	longestWait = 30 * time.Second
	mostWaits   = 20
	mostLeft    = 100_000
)

// begin says that a mailbox begins: it will compare.
func (c *comparing) begin(mailbox string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.boxes == nil {
		c.boxes = map[string]*compared{}
	}
	c.boxes[strings.ToLower(mailbox)] = &compared{done: make(chan struct{})}
}

// step says that a mailbox gets on.
func (c *comparing) step(mailbox string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if b := c.boxes[strings.ToLower(mailbox)]; b != nil {
		b.steps.Add(1)
	}
}

// end says that a mailbox has compared, or will not for now.
func (c *comparing) end(mailbox string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if b := c.boxes[strings.ToLower(mailbox)]; b != nil {
		close(b.done)
		delete(c.boxes, strings.ToLower(mailbox))
	}
}

// stop ends all waiting, and what would have waited comes in no more.
func (c *comparing) stop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stopped = c.stopped || len(c.boxes) > 0
	for _, b := range c.boxes {
		close(b.done)
	}
	c.boxes = nil
}

// wait returns when all have.
func (c *comparing) wait(ctx context.Context) error {
	c.mu.Lock()
	boxes := maps.Clone(c.boxes)
	c.mu.Unlock()
	for name, b := range boxes {
		if err := c.waitFor(ctx, name, b); err != nil {
			return err
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stopped {
		return errors.New("the desk stops before all mailboxes are compared")
	}
	return nil
}

func (c *comparing) waitFor(ctx context.Context, name string, b *compared) error {
	timer := time.NewTimer(longestWait)
	defer timer.Stop()
	for n, steps := 1, b.steps.Load(); ; n++ {
		select {
		case <-b.done:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		case <-timer.C:
		}
		before := steps
		if steps = b.steps.Load(); steps == before || n == mostWaits {
			c.end(name)
			return nil
		}
		timer.Reset(longestWait)
	}
}

func (c *comparing) wasLeft(m missed) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.left[m]
}

func (c *comparing) leave(list []missed) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.left == nil || len(c.left) > mostLeft {
		c.left = make(map[missed]bool, len(list))
	}
	for _, m := range list {
		c.left[m] = true
	}
}
