package page

import (
	"context"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"deskd/store"
)

// counts gives the figures of the desk, which several pages show. They are
// counted once for all who look while nothing happens: each change makes every
// browser that shows them ask again.
type counts struct {
	source interface {
		Overview(ctx context.Context, now time.Time) (store.Overview, error)
		Pulse(ctx context.Context) (store.Pulse, error)
	}
	zone *time.Location

	flight singleflight.Group
	mu     sync.Mutex
	last   counted
}

// counted are figures, and what they are good for: some of them change with
// the time alone, by the minute.
type counted struct {
	pulse    store.Pulse
	minute   time.Time
	overview store.Overview
}

// read gives the figures as of now. Nobody may change what is in them.
func (c *counts) read(ctx context.Context, now time.Time) (store.Overview, error) {
	pulse, err := c.source.Pulse(ctx)
	if err != nil {
		return store.Overview{}, fmt.Errorf("read the overview: %w", err)
	}
	minute := now.Truncate(time.Minute)
	known := func() (store.Overview, bool) {
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.last.overview, c.last.pulse == pulse && c.last.minute.Equal(minute)
	}
	if o, ok := known(); ok {
		return o, nil
	}
	// Who asks first may go away; the others still want it. The store has a
	// time limit of its own.
	shared := context.WithoutCancel(ctx)
	v, err, _ := c.flight.Do(fmt.Sprint(pulse, minute.Unix()), func() (any, error) {
		if o, ok := known(); ok { // since the look above
			return o, nil
		}
		o, err := c.source.Overview(shared, now.In(c.zone))
		if err == nil {
			c.mu.Lock()
			c.last = counted{pulse, minute, o}
			c.mu.Unlock()
		}
		return o, err
	})
	if err != nil {
		return store.Overview{}, fmt.Errorf("read the overview: %w", err)
	}
	o, _ := v.(store.Overview)
	return o, nil
}
