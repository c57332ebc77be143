package desk

import (
	"context"
	"maps"
	"slices"
	"time"

	"deskd/cmd/internal/flow"
)

// Alarm is what administrators are told of the flow of mail.
type Alarm struct {
	Wrong  []string // what is wrong now, one sentence each
	Mended []string // what was told before and is so no more
}

// Way is a way to tell it that does not need what may be broken.
type Way struct {
	Name string
	Tell func(ctx context.Context, a Alarm) error
}

// Watchman says what Alarms looks at, and whom it tells.
type Watchman struct {
	State func(ctx context.Context, now time.Time) flow.State
	After time.Duration // how long a fault must last
	Ways  []Way         // none: the log is told all the same
}

const (
	lookEvery  = 15 * time.Second
	alarmAgain = 24 * time.Hour  // what still is wrong is told again
	wellAfter  = time.Minute     // what was mended must stay so
	alarmLease = 2 * time.Minute // of several daemons that share a database, one tells
)

// Alarms tells administrators what is wrong with the flow of mail, and when it
// is mended, until ctx ends.
func (d *Desk) Alarms(ctx context.Context, w Watchman) error {
	b := book{after: w.After, entries: map[string]*entry{}}
	for ctx.Err() == nil {
		if s := w.State(ctx, d.now()); ctx.Err() == nil {
			b.look(d.now(), s.Faults)
		}
		if a := b.due(d.now()); len(a.Wrong)+len(a.Mended) > 0 && (!d.ours(ctx) || d.raise(ctx, w.Ways, a)) {
			b.told(d.now())
		}
		pause(ctx, lookEvery)
	}
	return nil
}

// ours says whether this daemon is to tell: always when no database says
// otherwise.
func (d *Desk) ours(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	l, err := d.store.Acquire(ctx, "job:alarms", alarmLease)
	return err != nil || l != nil
}

// raise writes an alarm to the log and takes all ways. It has come through when
// one of them went well, or there is none.
func (d *Desk) raise(ctx context.Context, ways []Way, a Alarm) bool {
	for _, text := range a.Wrong {
		d.log.Error("alarm", "reason", text)
	}
	for _, text := range a.Mended {
		d.log.Info("mended", "reason", text)
	}
	through := len(ways) == 0
	for _, way := range ways {
		trying, cancel := context.WithTimeout(ctx, time.Minute)
		err := way.Tell(trying, a)
		cancel()
		if err != nil {
			d.log.Error("alarm not told", "reason", way.Name, "err", err)
			continue
		}
		through = true
	}
	return through
}

// book remembers faults, and what was told of them.
type book struct {
	after   time.Duration
	entries map[string]*entry // by the fault's key
}

type entry struct {
	text  string
	since time.Time
	gone  time.Time // zero: it is there
	told  time.Time // zero: not yet
}

// look takes down what is wrong now.
func (b *book) look(now time.Time, faults []flow.Fault) {
	there := map[string]bool{}
	for _, f := range faults {
		there[f.Key] = true
		e := b.entries[f.Key]
		if e == nil {
			e = &entry{since: now}
			b.entries[f.Key] = e
		}
		e.text, e.gone = f.Text, time.Time{}
	}
	for key, e := range b.entries {
		switch {
		case there[key]:
		case e.told.IsZero():
			delete(b.entries, key)
		case e.gone.IsZero():
			e.gone = now
		}
	}
}

// due is what is to be told now.
func (b *book) due(now time.Time) (a Alarm) {
	for _, key := range slices.Sorted(maps.Keys(b.entries)) {
		switch e := b.entries[key]; {
		case e.isMended(now):
			a.Mended = append(a.Mended, e.text)
		case e.isDue(now, b.after):
			a.Wrong = append(a.Wrong, e.text)
		}
	}
	return a
}

func (e *entry) isMended(now time.Time) bool { return !e.gone.IsZero() && now.Sub(e.gone) >= wellAfter }

func (e *entry) isDue(now time.Time, after time.Duration) bool {
	return e.gone.IsZero() && now.Sub(e.since) >= after && (e.told.IsZero() || now.Sub(e.told) >= alarmAgain)
}

// told notes that what was due was told.
func (b *book) told(now time.Time) {
	for key, e := range b.entries {
		if e.isMended(now) {
			delete(b.entries, key)
		} else if e.isDue(now, b.after) {
			e.told = now
		}
	}
}
