package desk

import (
	"context"
	"fmt"
	"strings"
	"time"

	"deskd/cmd/internal/flow"
	"deskd/mailout"
	"deskd/store"
	"deskd/triage"
)

// A mail to ourselves that has not come back for that long, or for twice the
// time between two of them, is missed.
const missedAfter = 5 * time.Minute

// RoundTrips sends each mailbox a mail every so often, to see that mail goes
// out and comes in, until ctx ends. What became of it is a contact like those
// with servers.
func (d *Desk) RoundTrips(ctx context.Context, mailboxes []string, every time.Duration) error {
	if every <= 0 {
		<-ctx.Done()
		return nil
	}
	return d.underLease(ctx, "job:round-trips", func(ctx context.Context) error {
		began := d.now()
		for ctx.Err() == nil {
			for _, box := range mailboxes {
				if err := d.roundTrip(ctx, strings.ToLower(box), began, every); err != nil && ctx.Err() == nil {
					d.log.Warn("no mail to ourselves", "reason", box, "err", err)
				}
			}
			pause(ctx, every)
		}
		return nil
	})
}

// roundTrip complains when earlier mails have stayed away, and sends the next.
func (d *Desk) roundTrip(ctx context.Context, box string, began time.Time, every time.Duration) error {
	beats, err := d.store.Heartbeats(ctx)
	if err != nil {
		return err
	}
	name, now := flow.RoundTrip+box, d.now()
	last := store.Heartbeat{Name: name, OK: true, Detail: "the first one is on its way", LastOK: now}
	for _, b := range beats {
		if b.Name == name {
			last = b
		}
	}
	since := last.LastOK
	if since.Before(began) { // nobody sent any while no desk ran
		since = began
	}
	if now.Sub(since) > max(missedAfter, 2*every) {
		last.OK, last.Detail = false, "a mail that the desk sent to itself has not come back: look whether "+box+" gets its mail, and at the spam folder"
	}
	last.At = now
	d.beat(ctx, last)
	sent := now.Truncate(time.Second) // as exact as Date is
	c, err := d.o.Mailer.Compose(mailout.Occasion{
		Kind: mailout.RoundTrip, Key: roundTripKey(box, sent), At: sent, From: box, To: []triage.Address{{Addr: box}},
	})
	if err != nil {
		return fmt.Errorf("write it: %w", err)
	}
	d.mu.Lock()
	d.leaving[box] = now
	d.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	_, err = d.o.Mailer.Send(ctx, mailout.Envelope{From: box, To: box, Data: c.Bytes, Attempt: 1, Home: true})
	d.beatSMTP(ctx)
	return err
}

func roundTripKey(box string, sent time.Time) string {
	return fmt.Sprintf("round-trip:%s:%d", box, sent.Unix())
}

// leftAt says when a mail left the desk that it sent to itself; zero if it is
// none, or an old one. Its Message-ID can be made only with the desk's key and
// stands for mailbox and time, so nobody can pretend that mail flows.
func (d *Desk) leftAt(m *mail) time.Time {
	sent := m.msg.Date
	if sent.IsZero() || m.msg.MessageID == "" {
		return time.Time{}
	}
	want := d.rules.Signer().MessageID(0, nil, roundTripKey(strings.ToLower(m.Box.Mailbox), sent), d.o.Host)
	if age := d.now().Sub(sent); m.msg.MessageID != want || age < 0 || age > 24*time.Hour {
		return time.Time{}
	}
	return sent
}

// cameBack notes the newest of the mails to ourselves among these.
func (d *Desk) cameBack(ctx context.Context, mails []*mail) {
	newest := map[string]time.Time{}
	for _, m := range mails {
		if m.left.After(newest[m.Box.Mailbox]) {
			newest[m.Box.Mailbox] = m.left
		}
	}
	for box, left := range newest {
		d.mu.Lock()
		if exact := d.leaving[strings.ToLower(box)]; exact.Truncate(time.Second).Equal(left) {
			left = exact // Date knows whole seconds
		}
		d.mu.Unlock()
		took := d.now().Sub(left)
		d.beat(ctx, store.Heartbeat{
			Name: flow.RoundTrip + strings.ToLower(box), At: d.now(), OK: true, Took: took,
			Detail: fmt.Sprintf("the last one came back after %s", took.Round(100*time.Millisecond)),
		})
	}
}
