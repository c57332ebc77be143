package desk

import (
	"context"
	"errors"
	"maps"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// comparing keeps mail of all mailboxes waiting at the start while one of them
// may still find that numbers are to be left out (F21).
type comparing struct {
	mu      sync.Mutex
	boxes   map[string]*compared // those that have not done so
	stopped bool
}

type compared struct {
	done  chan struct{}
	steps atomic.Int64
}

// How long the others wait, once, for a mailbox that does not get on, since its
// server cannot be reached or another daemon has its lease; and for one that
// does how many times as long.
const (
	longestWait = 30 * time.Second
	mostWaits   = 20
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
