package desk

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"deskd/mailout"
	"deskd/store"
	"deskd/triage"
	"deskd/triage/ticket"
)

// Watch runs a mailbox loop whenever this daemon holds the mailbox's lease,
// until ctx ends. Losing the lease ends the loop's context.
func (d *Desk) Watch(ctx context.Context, mailbox string, run func(context.Context) error) error {
	d.comparing.begin(mailbox)
	defer func() {
		if ctx.Err() != nil {
			d.comparing.stop()
		}
		d.comparing.end(mailbox)
	}()
	return d.underLease(ctx, "mailbox:"+mailbox, run)
}

// underLease runs fn while the lease is held, again and again until ctx ends
// or fn gives an error that ctx did not cause.
func (d *Desk) underLease(ctx context.Context, name string, fn func(context.Context) error) error {
	for ctx.Err() == nil {
		l, err := d.acquire(ctx, name)
		if err != nil && ctx.Err() == nil {
			d.log.Warn("lease not asked for", "reason", name, "err", err)
		}
		if l == nil {
			pause(ctx, d.o.LeaseTTL/4)
			continue
		}
		if err := d.hold(ctx, l, fn); err != nil && ctx.Err() == nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

func (d *Desk) acquire(ctx context.Context, name string) (*store.Lease, error) {
	ctx, cancel := context.WithTimeout(ctx, d.o.LeaseTTL)
	defer cancel()
	return d.store.Acquire(ctx, name, d.o.LeaseTTL)
}

// errNotRenewed is why a lease is lost that nobody took.
var errNotRenewed = errors.New("it could not be renewed in time")

// hold runs fn and renews its lease; fn's context ends with the lease. It does
// so by a timer, whatever the store is doing: once the time is up, another
// daemon may have the lease.
func (d *Desk) hold(ctx context.Context, l *store.Lease, fn func(context.Context) error) error {
	held, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	end := time.AfterFunc(l.Until.Sub(d.now()), func() { stop(errNotRenewed) })
	defer end.Stop()
	renewed := make(chan struct{})
	go func() {
		defer close(renewed)
		wait := d.o.LeaseTTL / 3
		for {
			pause(held, wait)
			if held.Err() != nil {
				return
			}
			err := d.renew(held, l)
			switch {
			case err == nil:
				end.Reset(l.Until.Sub(d.now()))
				wait = d.o.LeaseTTL / 3
			case !store.World(err):
				stop(err)
				return
			default:
				wait = d.o.LeaseTTL / 12
			}
		}
	}()
	err := fn(held)
	lost := held.Err() != nil && ctx.Err() == nil
	if lost {
		d.log.Warn("lease lost", "reason", l.Name, "err", context.Cause(held))
	}
	stop(nil)
	<-renewed
	release, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if e := d.store.Release(release, l); e != nil {
		d.log.Debug("lease not given back", "reason", l.Name, "err", e)
	}
	if lost {
		return nil
	}
	return err
}

// renew leaves time for a second attempt.
func (d *Desk) renew(ctx context.Context, l *store.Lease) error {
	ctx, cancel := context.WithTimeout(ctx, d.o.LeaseTTL/3)
	defer cancel()
	return d.store.Renew(ctx, l, d.o.LeaseTTL)
}

// Index keeps the search up to date, until ctx ends: what was written lately
// is moved into its index, and on a database from before there was a search,
// what is old is read little by little. Every hour it counts the live tickets
// anew, should somebody have changed them by hand.
func (d *Desk) Index(ctx context.Context) error {
	const atOnce = 200 // tickets of those that are old
	var counted time.Time
	for ctx.Err() == nil {
		if now := d.now(); now.Sub(counted) >= time.Hour || now.Before(counted) {
			wrong, err := d.store.Recount(ctx)
			switch {
			case err == nil:
				counted = now
			case ctx.Err() == nil:
				d.log.Warn("live tickets not counted", "err", err)
			}
			if wrong > 0 {
				d.log.Warn("counts of live tickets put right: were tickets changed by hand?", "counts", wrong)
			}
		}
		more, err := d.store.Index(ctx, atOnce)
		if err != nil && ctx.Err() == nil {
			d.log.Warn("search not brought up to date", "err", err)
		}
		if more && err == nil {
			pause(ctx, 50*time.Millisecond) // mail goes before
			continue
		}
		pause(ctx, 5*time.Second)
	}
	return nil
}

// Tidy closes tickets that have been resolved long enough, until ctx ends.
func (d *Desk) Tidy(ctx context.Context) error {
	if d.o.CloseAfter <= 0 {
		<-ctx.Done()
		return nil
	}
	return d.underLease(ctx, "job:close-resolved", func(ctx context.Context) error {
		for ctx.Err() == nil {
			if err := d.closeResolved(ctx); err != nil && ctx.Err() == nil {
				d.log.Warn("resolved tickets not closed", "err", err)
			}
			pause(ctx, time.Hour)
		}
		return nil
	})
}

func (d *Desk) closeResolved(ctx context.Context) error {
	before := d.now().Add(-d.o.CloseAfter)
	filter := store.TicketFilter{Status: []ticket.Status{ticket.Resolved}, Limit: 200}
	for {
		list, err := d.store.ListTickets(ctx, filter)
		if err != nil || len(list) == 0 {
			return err
		}
		filter.Before = list[len(list)-1].Number
		var old []ticket.Number
		for _, t := range list {
			if t.ResolvedAt.Before(before) {
				old = append(old, t.Number)
			}
		}
		if len(old) == 0 {
			continue
		}
		err = d.store.Write(ctx, func(tx *store.Tx) error {
			tickets, err := tx.Tickets(old)
			if err != nil {
				return err
			}
			for _, n := range old {
				t := tickets[n]
				if t == nil || t.Status != ticket.Resolved || !t.ResolvedAt.Before(before) {
					continue // somebody was quicker
				}
				if err := d.setStatus(tx, t, ticket.Closed, "deskd", "resolved long enough", 0); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
}

// pause waits for about that long, up to an eighth more so that daemons do not
// walk in step, or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d + rand.N(d/8+1))
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// remindEvery is how often tickets are looked for whose date has come.
const remindEvery = time.Minute

// Remind tells who has a ticket that its date has come, until ctx ends.
func (d *Desk) Remind(ctx context.Context) error {
	return d.underLease(ctx, "job:remind", func(ctx context.Context) error {
		for ctx.Err() == nil {
			if err := d.remindAll(ctx); err != nil && ctx.Err() == nil {
				d.log.Warn("nobody reminded", "err", err)
			}
			pause(ctx, remindEvery)
		}
		return nil
	})
}

// remindAll reminds of all tickets that are due, some in each transaction. One
// whose reminder cannot be written holds up no other.
func (d *Desk) remindAll(ctx context.Context) error {
	const some = 50
	for {
		n := 0
		err := d.store.Write(ctx, func(tx *store.Tx) error {
			due, err := tx.Due(d.now(), some)
			if err != nil {
				return err
			}
			n = len(due)
			muted, err := tx.Muted(due)
			if err != nil {
				return err
			}
			for _, number := range due {
				err := tx.Try(func(tx *store.Tx) error { return d.remind(tx, number, muted) })
				if err != nil && !store.World(err) {
					d.log.Error("reminder not written", "ticket", int64(number), "err", err)
					err = d.unreminded(tx, number, err)
				}
				if err != nil {
					return fmt.Errorf("remind of %d: %w", number, err)
				}
			}
			return nil
		})
		if n > 0 && err == nil {
			d.Wake()
		}
		if err != nil || n < some {
			return err
		}
	}
}

// unreminded notes on a ticket that nobody could be reminded of it.
func (d *Desk) unreminded(tx *store.Tx, n ticket.Number, why error) error {
	t, err := tx.Ticket(n)
	if err != nil {
		return err
	}
	t.RemindedAt = d.now()
	return tx.AddEvent(store.Event{Ticket: n, Actor: "deskd", What: "not reminded", After: stampText(t.DueAt), Reason: brief(why.Error())})
}

func (d *Desk) remind(tx *store.Tx, n ticket.Number, muted map[ticket.Number]map[string]bool) error {
	t, err := tx.Ticket(n)
	if err != nil {
		return err
	}
	t.RemindedAt = d.now()
	w := &work{Desk: d, tx: tx, t: t, in: &store.Intake{}, k: &known{muted: muted, byID: map[string][]ticket.Number{}}}
	o := w.occasion(mailout.DueNotice, fmt.Sprintf("ticket:%d/due:%d", n, t.DueAt.Unix()))
	o.InReplyTo = w.thread(noticeKey(n))
	o.References = []string{o.InReplyTo}
	if d.rules.Works(t.Assignee) && !d.rules.Own(t.Assignee) { // T11
		o.To = []triage.Address{{Addr: t.Assignee}}
		_, err = w.enqueue(o, false, t.Assignee)
	} else {
		err = w.toTeam(o)
	}
	if err != nil {
		return err
	}
	return tx.AddEvent(store.Event{Ticket: n, Actor: "deskd", What: "reminded", After: stampText(t.DueAt), Reason: strings.Join(w.held, "; ")})
}
