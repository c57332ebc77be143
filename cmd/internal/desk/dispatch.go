package desk

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"deskd/mailout"
	"deskd/store"
)

// sendTime is how long sending one mail may take before it is cut short:
// enough for a server that uses up its time in every phase (mailout), and for
// 10 MiB on a line of 64 kbit/s.
const sendTime = 50 * time.Minute

// sendLease is how long a claimed mail stays ours. It ends so much later than
// the sending that what came of it is written down before anybody, also
// another sender of this daemon, can take the mail up again.
const sendLease = sendTime + 10*time.Minute

// A stop lets the mail in hand be finished, and then be written down (F39). One
// that is being claimed is put back, which takes 5 s at most.
const (
	claimGrace  = 10 * time.Second
	sendGrace   = 15 * time.Second
	recordGrace = 18 * time.Second
)

// lifeTime is how long after its last sign of life a process of our name is
// taken for dead, and the mails that it had claimed are ours.
const lifeTime = time.Minute

// Wake tells Dispatch that the outbox may have something to send.
func (d *Desk) Wake() {
	select {
	case d.due <- struct{}{}:
	default:
	}
}

// Dispatch sends what is in the outbox until ctx ends. Mails in hand are
// finished or, at the end of a grace, cut short. Several daemons may do so at
// once.
func (d *Desk) Dispatch(ctx context.Context) error {
	d.takeBack(ctx)
	defer d.stayAlive(ctx)()
	var senders sync.WaitGroup
	probing := make(chan struct{}, 1) // a token for the sender whose turn it is
	for range d.o.Senders {
		senders.Go(func() {
			for ctx.Err() == nil {
				if d.o.Mailer.Standing().Until.IsZero() {
					d.sendNext(ctx)
				} else {
					d.probe(ctx, probing)
				}
			}
		})
	}
	senders.Wait()
	return nil
}

// probe sends one mail when the hold of all mail is over, to see whether it is
// mended. The others stay as they are until it has got through (F33, F36).
func (d *Desk) probe(ctx context.Context, probing chan struct{}) {
	select {
	case probing <- struct{}{}:
		defer func() { <-probing }()
	case <-ctx.Done():
		return
	}
	switch until := d.o.Mailer.Standing().Until; {
	case until.IsZero(): // mended while this sender waited for its turn
	case time.Now().Before(until):
		pause(ctx, min(time.Until(until), 30*time.Second)) // it may be mended sooner
	default:
		d.sendNext(ctx)
	}
}

// sendNext sends the mail whose turn it is, or waits until there may be one. A
// sender claims for itself, when it is free: no mail waits for a sender while
// its lease runs.
func (d *Desk) sendNext(ctx context.Context) {
	claimed, err := d.claim(ctx)
	switch {
	case err != nil:
		if ctx.Err() == nil {
			d.log.Warn("outbox not read", "err", err)
		}
		pause(ctx, 5*time.Second)
	case len(claimed) == 0:
		d.sleep(ctx, d.untilDue(ctx))
	case ctx.Err() != nil:
		defer d.letGo(claimed[0])
		d.putBack(ctx, claimed[0])
	default:
		defer d.letGo(claimed[0])
		d.Wake() // there may be one for another sender too
		d.send(ctx, claimed[0])
	}
}

// claim takes the mail whose turn it is. A stop does not cut it short: a claim
// whose commit was under way would stand, and nobody here would know of it.
func (d *Desk) claim(ctx context.Context) ([]store.Row, error) {
	ctx, cancel := outlive(ctx, claimGrace)
	defer cancel()
	d.claiming.Lock()
	defer d.claiming.Unlock()
	if d.doubtful { // an earlier claim may stand, with nobody who sends what it took (F26)
		n, err := d.store.TakeBackOwn(ctx, slices.Collect(maps.Keys(d.inHand)))
		if err != nil {
			return nil, err
		}
		d.doubtful = false
		if n > 0 {
			d.log.Warn("mails that were claimed while the database went away are sent now", "outbox", n)
		}
	}
	claimed, err := d.store.Claim(ctx, 1, sendLease)
	if err != nil {
		d.doubtful = true
		return nil, err
	}
	for _, r := range claimed {
		d.inHand[r.ID] = true
	}
	return claimed, nil
}

// letGo notes that a claimed mail is in hand no more.
func (d *Desk) letGo(r store.Row) {
	d.claiming.Lock()
	defer d.claiming.Unlock()
	delete(d.inHand, r.ID)
}

// stayAlive keeps what this process has claimed from being taken back, until
// the function that it gives is called: a stop does not end it, since mails are
// in hand still.
func (d *Desk) stayAlive(ctx context.Context) (end func()) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			pause(ctx, lifeTime/3)
			if ctx.Err() != nil {
				return
			}
			d.takeBack(ctx)
		}
	}()
	return func() { cancel(); <-done }
}

// takeBack frees what dead processes of our name had claimed, and tells those
// that come after that this one is alive.
func (d *Desk) takeBack(ctx context.Context) {
	for ctx.Err() == nil {
		n, err := d.store.TakeBack(ctx, lifeTime)
		if err == nil {
			if n > 0 {
				d.log.Warn("mails whose sending was cut short are sent again", "outbox", n)
				d.Wake()
			}
			return
		}
		if ctx.Err() == nil {
			d.log.Warn("claimed mails not taken back yet", "err", err)
		}
		pause(ctx, 5*time.Second)
	}
}

// stopped stands in the place of the server's words.
const stopped = "not sent: the desk was stopped"

// putBack leaves a claimed mail to the next start, which need not wait for the
// claim to end.
func (d *Desk) putBack(ctx context.Context, r store.Row) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if err := d.store.PutBack(ctx, r, d.now(), stopped); err != nil {
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
	recording, cancel := outlive(ctx, recordGrace)
	defer cancel()
	sending, cancel := inHand(ctx)
	defer cancel()
	answer, err := d.o.Mailer.Send(sending, mailout.Envelope{From: r.From, To: r.Recipient, Data: r.Body, Attempt: r.Attempts})
	log := d.log.With("outbox", r.ID, "to", r.Recipient, "message_id", r.MessageID, "ticket", int64(r.Ticket), "attempt", r.Attempts)
	if d.record(recording, log, d.result(r, log, answer, err)) {
		d.beatSMTP(recording)
	}
}

// inHand gives the time in which a mail is sent: sendTime, but after a stop
// only a grace.
func inHand(ctx context.Context) (context.Context, context.CancelFunc) {
	longer, end := outlive(ctx, sendGrace)
	sending, cancel := context.WithTimeoutCause(longer, sendTime, errors.New("it took longer than "+sendTime.String()))
	return sending, func() { cancel(); end() }
}

// outlive gives a context that ends a grace after ctx.
func outlive(ctx context.Context, grace time.Duration) (context.Context, context.CancelFunc) {
	longer, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(grace, cancel) })
	return longer, func() { stop(); cancel() }
}

// result says what came of sending a mail, and how that is written down.
func (d *Desk) result(r store.Row, log *slog.Logger, answer string, err error) func(context.Context) error {
	if err == nil {
		log.Info("sent", "reason", answer)
		return func(ctx context.Context) error { return d.store.Sent(ctx, r, answer) }
	}
	failed := func(why string) func(context.Context) error {
		return func(ctx context.Context) error { return d.store.Failed(ctx, r, why) }
	}
	var refused *mailout.Refused
	var uncertain *mailout.Uncertain
	now, why := d.now(), err.Error()
	switch {
	case errors.As(err, &refused):
		log.Error("refused for good", "err", err)
		return failed(why)
	case errors.As(err, &uncertain):
		log.Warn("perhaps sent; once more", "err", err)
		return func(ctx context.Context) error { return d.store.Uncertain(ctx, r, now.Add(time.Minute), why) }
	case errors.Is(err, context.Canceled): // by a stop
		log.Warn("not sent before the stop", "err", err)
		return func(ctx context.Context) error { return d.store.PutBack(ctx, r, now, stopped) }
	}
	due, again := mailout.Next(r.Attempts, r.CreatedAt, now, r.GiveUp, rand.Float64())
	if !again {
		log.Error("given up", "err", err)
		return failed("given up after " + now.Sub(r.CreatedAt).Round(time.Minute).String() + ": " + why)
	}
	log.Warn("not sent yet", "err", err)
	var held *mailout.Held
	if errors.As(err, &held) { // a no to us is no attempt at the mail
		return func(ctx context.Context) error { return d.store.PutBack(ctx, r, now.Add(time.Until(held.Until)), why) }
	}
	return func(ctx context.Context) error { return d.store.Later(ctx, r, due, why) }
}

// record writes a result down, and says whether it did. While the database is
// away it tries again: a result that is lost lets a mail that was taken go out
// once more. When ctx ends first, that is a death like any other (F30).
func (d *Desk) record(ctx context.Context, log *slog.Logger, result func(context.Context) error) bool {
	for wait := 100 * time.Millisecond; ; wait = min(2*wait, 10*time.Second) {
		try, cancel := context.WithTimeout(ctx, time.Minute)
		err := result(try)
		cancel()
		switch {
		case err == nil:
			return true
		case !store.World(err) || ctx.Err() != nil:
			log.Error("result not recorded", "err", err)
			return false
		}
		log.Warn("result not recorded yet", "err", err)
		pause(ctx, wait)
	}
}

// beatSMTP writes down how the mail server answers, at changes and now and
// then.
func (d *Desk) beatSMTP(ctx context.Context) {
	const name = "smtp"
	s := d.o.Mailer.Standing()
	detail := s.Err
	if s.OK {
		detail = "mail is accepted"
	}
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
