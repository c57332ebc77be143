package desk

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"deskd/mailout"
	"deskd/store"
)

// sendLease is how long a claimed mail stays ours. It is longer than a send
// can take, so that no other daemon takes it up meanwhile.
const sendLease = 20 * time.Minute

// Wake tells Dispatch that the outbox may have something to send.
func (d *Desk) Wake() {
	select {
	case d.due <- struct{}{}:
	default:
	}
}

// Dispatch sends what is in the outbox until ctx ends. Mails in hand are
// finished or, at the end of the grace that the Mailer's context gives, put
// back. Several daemons may do so at once.
func (d *Desk) Dispatch(ctx context.Context) error {
	rows := make(chan store.Row)
	var wg sync.WaitGroup
	for range d.o.Senders {
		wg.Go(func() {
			for r := range rows {
				d.send(ctx, r)
				d.Wake() // what waited for this mail's turn may go now
			}
		})
	}
	defer wg.Wait()
	defer close(rows)
	d.takeBack(ctx)
	for ctx.Err() == nil {
		claimed, err := d.store.Claim(ctx, 2*d.o.Senders, sendLease)
		if err != nil {
			if ctx.Err() == nil {
				d.log.Warn("outbox not read", "err", err)
			}
			d.sleep(ctx, 5*time.Second)
			continue
		}
		for _, r := range claimed {
			select {
			case rows <- r:
			case <-ctx.Done():
				d.putBack(ctx, r)
			}
		}
		if len(claimed) == 0 {
			d.sleep(ctx, d.untilDue(ctx))
		}
	}
	return nil
}

// takeBack frees what the process before this one had claimed when it died.
func (d *Desk) takeBack(ctx context.Context) {
	for ctx.Err() == nil {
		n, err := d.store.TakeBack(ctx)
		if err == nil {
			if n > 0 {
				d.log.Warn("mails whose sending was cut short are sent again", "outbox", n)
			}
			return
		}
		d.log.Warn("claimed mails not taken back yet", "err", err)
		pause(ctx, 5*time.Second)
	}
}

// putBack leaves a claimed mail to the next start, which need not wait for the
// claim to end.
func (d *Desk) putBack(ctx context.Context, r store.Row) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if err := d.store.Later(ctx, r, d.now(), "not sent: the desk was stopped"); err != nil {
		d.log.Warn("claimed mail not put back", "outbox", r.ID, "err", err)
	}
}

// untilDue is how long nothing will become due by itself.
func (d *Desk) untilDue(ctx context.Context) time.Duration {
	const longest = 30 * time.Second // another daemon may have written something
	at, ok, err := d.store.NextDue(ctx)
	if err != nil || !ok {
		return longest
	}
	return min(max(at.Sub(d.now()), 100*time.Millisecond), longest)
}

// sleep waits until something may be due.
func (d *Desk) sleep(ctx context.Context, long time.Duration) {
	t := time.NewTimer(long)
	defer t.Stop()
	select {
	case <-d.due:
	case <-t.C:
	case <-ctx.Done():
	}
}

// send hands one mail over and records what came of it.
func (d *Desk) send(ctx context.Context, r store.Row) {
	// A stop lets the mail in hand be finished, within a grace.
	sending, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(15*time.Second, cancel) })()

	answer, err := d.o.Mailer.Send(sending, mailout.Envelope{From: r.From, To: r.Recipient, Data: r.Body, Attempt: r.Attempts})
	record, stop := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer stop()
	log := d.log.With("outbox", r.ID, "to", r.Recipient, "message_id", r.MessageID, "ticket", int64(r.Ticket), "attempt", r.Attempts)

	var refused *mailout.Refused
	var uncertain *mailout.Uncertain
	now := d.now()
	switch {
	case err == nil:
		log.Info("sent", "reason", answer)
		err = d.store.Sent(record, r, answer)
	case errors.As(err, &refused):
		log.Error("refused for good", "err", err)
		err = d.store.Failed(record, r, err.Error())
	case errors.As(err, &uncertain):
		log.Warn("perhaps sent; once more", "err", err)
		err = d.store.Uncertain(record, r, now.Add(time.Minute), err.Error())
	default:
		due, again := mailout.Next(r.Attempts, r.CreatedAt, now, r.GiveUp, rand.Float64())
		if !again {
			log.Error("given up", "err", err)
			err = d.store.Failed(record, r, "given up after "+now.Sub(r.CreatedAt).Round(time.Minute).String()+": "+err.Error())
			break
		}
		// Once the hold is mended, mail need not wait longer than the hold.
		if held := (*mailout.Held)(nil); errors.As(err, &held) && held.Until.After(now) && held.Until.Before(due) {
			due = held.Until
		}
		log.Warn("not sent yet", "err", err)
		err = d.store.Later(record, r, due, err.Error())
	}
	if err != nil {
		log.Error("result not recorded", "err", err)
	}
	s := d.o.Mailer.Standing()
	detail := s.Err
	if s.OK {
		detail = "mail is accepted"
	}
	d.beatSMTP(record, s, detail)
}

// beatSMTP writes down how the mail server answers, at changes and now and
// then.
func (d *Desk) beatSMTP(ctx context.Context, s mailout.Standing, detail string) {
	const name = "smtp"
	d.mu.Lock()
	last, known := d.contacts[name]
	if known && last.ok == s.OK && last.text == detail && d.now().Sub(last.at) < beatEvery {
		d.mu.Unlock()
		return
	}
	d.contacts[name] = contact{at: d.now(), ok: s.OK, text: detail}
	d.mu.Unlock()
	d.beat(ctx, store.Heartbeat{Name: name, At: d.now(), OK: s.OK, Detail: detail})
}
