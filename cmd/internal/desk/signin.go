package desk

import (
	"context"
	"errors"
	"slices"
	"time"

	"deskd/mailout"
	"deskd/triage"
)

// SignInMail is a mail with which somebody can sign in on the page.
type SignInMail struct {
	To, Link, Code string
	Key            string    // unique for ever, and no secret
	Until          time.Time // it is good no more
}

// How many of them wait at most, and how long each is tried at a time.
const (
	mostSignIns   = 64
	signInAttempt = 30 * time.Second
)

// WriteSignIn has a mail sent by SignIns. It never waits, so that how long it
// takes tells nothing. It does not go through the outbox: what it says is kept
// nowhere, and whoever misses it asks again.
func (d *Desk) WriteSignIn(m SignInMail) {
	select {
	case d.signIns <- m:
	default:
		d.log.Warn("too many people sign in at once: one gets no mail", "to", m.To)
	}
}

// SignIns sends what WriteSignIn was given, from the desk's address, until ctx
// ends.
func (d *Desk) SignIns(ctx context.Context, from string) error {
	type waiting struct {
		SignInMail
		next time.Time
		n    int // attempts so far
	}
	var list []waiting
	for ctx.Err() == nil {
		wait := time.Hour
		for _, w := range list {
			wait = min(wait, w.next.Sub(d.now()))
		}
		timer := time.NewTimer(max(wait, 0))
		select {
		case m := <-d.signIns:
			list = append(list, waiting{SignInMail: m, next: d.now()})
		case <-timer.C:
		case <-ctx.Done():
		}
		timer.Stop()
		list = slices.DeleteFunc(list, func(w waiting) bool { return !d.now().Before(w.Until) })
		for i := 0; i < len(list) && ctx.Err() == nil; {
			w := &list[i]
			if d.now().Before(w.next) {
				i++
				continue
			}
			w.n++
			err := d.sendSignIn(ctx, from, w.SignInMail, w.n)
			var refused *mailout.Refused
			if err == nil || errors.As(err, &refused) {
				list = slices.Delete(list, i, i+1)
				continue
			}
			w.next = d.now().Add(time.Duration(w.n*w.n) * 5 * time.Second)
			i++
		}
		if len(list) > mostSignIns {
			list = list[len(list)-mostSignIns:]
		}
	}
	return nil
}

// sendSignIn makes one attempt. What the mail says is never logged (T45).
func (d *Desk) sendSignIn(ctx context.Context, from string, m SignInMail, attempt int) error {
	ctx, cancel := context.WithTimeout(ctx, signInAttempt)
	defer cancel()
	c, err := d.o.Mailer.Compose(mailout.Occasion{
		Kind: mailout.SignIn, Key: "sign-in:" + m.Key, At: d.now().UTC(), From: from, To: []triage.Address{{Addr: m.To}},
		Link: m.Link, Code: m.Code,
	})
	if err != nil {
		d.log.Error("mail to sign in with not written", "to", m.To, "err", err)
		return &mailout.Refused{Line: "it cannot be written"}
	}
	_, err = d.o.Mailer.Send(ctx, mailout.Envelope{From: from, To: m.To, Data: c.Bytes, Attempt: attempt})
	d.beatSMTP(ctx)
	if err != nil {
		d.log.Warn("mail to sign in with not sent", "to", m.To, "attempt", attempt, "err", err)
		return err
	}
	d.log.Info("mail to sign in with sent", "to", m.To)
	return nil
}
