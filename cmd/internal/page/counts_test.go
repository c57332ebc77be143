package page

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"deskd/store"
)

// counting notes how often the figures are counted, and lets a count end only
// when it may.
type counting struct {
	pulse atomic.Int64
	times atomic.Int64
	fail  atomic.Bool
	begun chan struct{}
	end   chan struct{}
}

func (c *counting) Pulse(context.Context) (store.Pulse, error) {
	return store.Pulse{Events: c.pulse.Load()}, nil
}

func (c *counting) Overview(ctx context.Context, _ time.Time) (store.Overview, error) {
	n := c.times.Add(1)
	if c.begun != nil {
		c.begun <- struct{}{}
		<-c.end
	}
	if c.fail.Load() {
		return store.Overview{}, errDown
	}
	return store.Overview{Unassigned: int(n)}, ctx.Err()
}

func TestFiguresAreCountedWhenSomethingHasChanged(t *testing.T) {
	t.Parallel()
	desk := &counting{}
	c := &counts{source: desk, zone: time.UTC}
	for i, step := range []struct {
		change func()
		at     time.Duration
		want   int
	}{
		{func() {}, 0, 1},
		{func() {}, 30 * time.Second, 1},
		{func() { desk.pulse.Add(1) }, 30 * time.Second, 2},
		{func() {}, 59 * time.Second, 2},
		{func() {}, time.Minute, 3}, // what is overdue changes by itself
		{func() { desk.fail.Store(true); desk.pulse.Add(1) }, time.Minute, 0},
		{func() { desk.fail.Store(false) }, time.Minute, 5},
	} {
		step.change()
		o, err := c.read(t.Context(), now.Truncate(time.Minute).Add(step.at))
		if (err != nil) != (step.want == 0) || o.Unassigned != step.want {
			t.Errorf("step %d: got count %d, %v; want %d", i, o.Unassigned, err, step.want)
		}
	}
}

func TestFiguresAreCountedOnceForAllWhoLook(t *testing.T) {
	t.Parallel()
	desk := &counting{begun: make(chan struct{}, 10), end: make(chan struct{})}
	c := &counts{source: desk, zone: time.UTC}
	var all sync.WaitGroup
	look := func(ctx context.Context) {
		all.Go(func() {
			if o, err := c.read(ctx, now); err != nil || o.Unassigned != 1 {
				t.Errorf("got %d, %v", o.Unassigned, err)
			}
		})
	}
	ctx, leave := context.WithCancel(t.Context())
	look(ctx)
	<-desk.begun
	leave() // who has asked first goes away
	for range 9 {
		look(t.Context())
	}
	close(desk.end)
	all.Wait()
	if n := desk.times.Load(); n != 1 {
		t.Errorf("counted %d times", n)
	}
}
