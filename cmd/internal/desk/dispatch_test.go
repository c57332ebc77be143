package desk

import (
	"bytes"
	"context"
	"database/sql/driver"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"deskd/mailin"
	"deskd/mailout"
	"deskd/mailout/mailouttest"
	"deskd/store"
	"deskd/store/storetest"
)

// withServer makes the desk send to a server.
func withServer(s *mailouttest.Server) func(*setup) {
	return func(c *setup) { c.mail.Address = s.Addr }
}

// dispatching runs Dispatch until the function that it gives is called, which
// waits for its end.
func (o *office) dispatching() (stop func()) {
	o.t.Helper()
	ctx, cancel := context.WithCancel(o.t.Context())
	done := make(chan error, 1)
	go func() { done <- o.Dispatch(ctx) }()
	return sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			o.t.Errorf("Dispatch: %v", err)
		}
	})
}

// reached gives a channel that hears of each time a step is reached, and a
// behaviour that says so and then does as told.
func reached(step mailouttest.Step, do func(mailouttest.Event) mailouttest.Do) (chan mailouttest.Event, func(mailouttest.Event) mailouttest.Do) {
	at := make(chan mailouttest.Event, 100)
	return at, func(e mailouttest.Event) mailouttest.Do {
		if e.Step != step {
			return mailouttest.Do{}
		}
		d := do(e)
		at <- e
		return d
	}
}

// states gives "state recipient" of every outgoing mail.
func (o *office) states() []string {
	o.t.Helper()
	var out []string
	for _, r := range o.rows() {
		out = append(out, string(r.State)+" "+r.Recipient)
	}
	slices.Sort(out)
	return out
}

func (o *office) wantStates(want ...string) {
	o.t.Helper()
	slices.Sort(want)
	if got := o.states(); !slices.Equal(got, want) {
		o.t.Fatalf("outbox\n got %q\nwant %q", got, want)
	}
}

func TestDispatchSendsTheStoredBytesOnce(t *testing.T) {
	server := mailouttest.Start(t, mailouttest.Options{})
	both(t, func(t *testing.T, o *office) {
		had := len(server.Mails())
		o.deliver(letter(ann, "vpn", "x"))
		stop := o.dispatching()
		mails := server.Wait(t, had+3)[had:]
		stop()
		o.wantStates("sent "+ann, "sent "+nina, "sent "+tom)
		var to []string
		for _, m := range mails {
			to = append(to, m.To)
			if m.From != support {
				t.Errorf("envelope sender %s, want %s", m.From, support) // bounces come back
			}
			if !bytes.Contains(m.Data, []byte("[IT-1001]")) {
				t.Errorf("to %s: %.300s", m.To, m.Data)
			}
		}
		if slices.Sort(to); !slices.Equal(to, []string{ann, nina, tom}) {
			t.Errorf("sent to %q", to)
		}
		beats, err := o.store.Heartbeats(t.Context())
		if err != nil || len(beats) != 1 || beats[0].Name != "smtp" || !beats[0].OK {
			t.Errorf("heartbeats %+v, %v", beats, err)
		}
	}, withServer(server))
}

func TestDispatchHearsOfNewMail(t *testing.T) {
	server := mailouttest.Start(t, mailouttest.Options{})
	o := quick(t, withServer(server))
	stop := o.dispatching()
	defer stop()
	for i := range 3 { // each time it has gone to sleep or is about to
		o.deliver(letter(ann, "printer "+strings.Repeat("x", i), "x"))
		o.clock.add(time.Hour)
		server.Wait(t, 2*(i+1))
	}
}

func TestF31ErrorAfterAcceptanceIsNoError(t *testing.T) {
	server := mailouttest.Start(t, mailouttest.Options{})
	server.Behave(func(e mailouttest.Event) mailouttest.Do {
		if e.Step == mailouttest.RSET || e.Step == mailouttest.QUIT {
			return mailouttest.Do{Drop: true}
		}
		return mailouttest.Do{}
	})
	o := quick(t, withServer(server))
	o.deliver(letter(ann, "vpn", "x"))
	stop := o.dispatching()
	server.Wait(t, 3)
	stop()
	o.wantStates("sent "+ann, "sent "+nina, "sent "+tom)
	if n := len(server.Mails()); n != 3 {
		t.Errorf("%d mails were taken, want 3", n)
	}
}

func TestF32OneRefusedRecipientDoesNotTouchTheOthers(t *testing.T) {
	server := mailouttest.Start(t, mailouttest.Options{})
	both(t, func(t *testing.T, o *office) {
		refused, behave := reached(mailouttest.RCPT, func(e mailouttest.Event) mailouttest.Do {
			if strings.Contains(e.Line, nina) {
				return mailouttest.Do{Reply: "550 5.1.1 no such user"}
			}
			return mailouttest.Do{}
		})
		server.Behave(behave)
		had := len(server.Mails())
		o.deliver(letter(ann, "vpn", "x"))
		stop := o.dispatching()
		server.Wait(t, had+2)
		for range 3 {
			<-refused
		}
		stop()
		o.wantStates("sent "+ann, "failed "+nina, "sent "+tom)
		o.wantEvent(1001, "delivery failed team-notice→"+nina)
		o.wantEvent(1001, "no such user")
		if n := len(server.Mails()) - had; n != 2 {
			t.Errorf("%d mails were taken, want 2", n)
		}
		// F34: and nothing is sent because of that.
		if n := len(o.rows()); n != 3 {
			t.Errorf("%d outgoing mails, want 3", n)
		}
	}, withServer(server))
}

func TestF33WhatIsAboutTheMomentOrUsStaysQueued(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		step  mailouttest.Step
		do    mailouttest.Do
		state store.State
		ok    bool // the mail server counts as in order
	}{
		"mailbox full":      {mailouttest.RCPT, mailouttest.Do{Reply: "452 4.2.2 full"}, store.Queued, true},
		"no such user":      {mailouttest.RCPT, mailouttest.Do{Reply: "550 5.1.1 no"}, store.Failed, true},
		"content refused":   {mailouttest.Dot, mailouttest.Do{Reply: "554 5.7.1 spam"}, store.Failed, true},
		"greylisted":        {mailouttest.Dot, mailouttest.Do{Reply: "451 4.7.1 later"}, store.Queued, true},
		"sender refused":    {mailouttest.MAIL, mailouttest.Do{Reply: "550 5.7.1 not you"}, store.Queued, false},
		"greeting":          {mailouttest.Greeting, mailouttest.Do{Reply: "554 go away"}, store.Queued, false},
		"EHLO":              {mailouttest.EHLO, mailouttest.Do{Reply: "550 no"}, store.Queued, false},
		"shutting down":     {mailouttest.MAIL, mailouttest.Do{Reply: "421 4.3.0 bye", Drop: true}, store.Queued, false},
		"cut at DATA":       {mailouttest.DATA, mailouttest.Do{Drop: true}, store.Queued, false},
		"cut after the dot": {mailouttest.Dot, mailouttest.Do{Drop: true}, store.Uncertain, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := mailouttest.Start(t, mailouttest.Options{})
			at, behave := reached(c.step, func(mailouttest.Event) mailouttest.Do { return c.do })
			server.Behave(behave)
			o := open(t, storetest.SQLite(t), withServer(server))
			o.deliver(letter(ann, "printer", "x", "Auto-Submitted: auto-generated")) // one notice or none
			o.deliver(vouched(letter(bob, "printer", "x")))
			stop := o.dispatching()
			<-at
			stop()
			var states []string
			var tried store.Row
			for _, r := range o.rows() {
				states = append(states, string(r.State))
				if r.Answer != "" && r.Answer != stopped {
					tried = r
				}
			}
			if tried.State != c.state {
				t.Errorf("states %q, want %s (%s)", states, c.state, tried.Answer)
			}
			if c.state != store.Failed && !tried.Due.After(o.clock.now()) {
				t.Errorf("due at %s, want later", tried.Due)
			}
			beats, err := o.store.Heartbeats(t.Context())
			if err != nil || len(beats) != 1 || beats[0].OK != c.ok {
				t.Errorf("heartbeats %+v, %v, want ok %t", beats, err, c.ok)
			}
		})
	}
}

// While the mail server refuses us, one mail at a time asks it, the others stay
// untouched, and all go out when it is mended.
func TestF33OneMailAsksForAllThatAreHeld(t *testing.T) {
	t.Parallel()
	url := storetest.SQLite(t)
	server := mailouttest.Start(t, mailouttest.Options{Behave: func(e mailouttest.Event) mailouttest.Do {
		if e.Step == mailouttest.Greeting {
			return mailouttest.Do{Reply: "554 5.7.1 go away"}
		}
		return mailouttest.Do{}
	}})
	synctest.Test(t, func(t *testing.T) {
		var claims atomic.Int32
		o := open(t, url, withServer(server), func(s *setup) {
			s.desk.Now = time.Now
			s.store.Log = slog.New(slog.DiscardHandler)
			s.store.Wrap = storetest.Wrap(storetest.Hooks{Before: func(_ storetest.Op, query string, _ []driver.NamedValue) error {
				if strings.HasPrefix(query, "WITH candidates") {
					claims.Add(1)
				}
				return nil
			}})
		})
		o.clock.at = time.Now()
		for i := range 5 {
			o.deliver(letter(ann, fmt.Sprintf("printer %d", i), "x"), letter(bob, fmt.Sprintf("vpn %d", i), "x"))
			time.Sleep(time.Hour)
		}
		if err := o.o.Mailer.Check(t.Context()); err == nil {
			t.Fatal("Check: no error")
		}
		stop := o.dispatching()
		time.Sleep(50 * time.Second)
		if n := claims.Load(); n != 0 {
			t.Errorf("%d claims while all mail is held, want none", n)
		}
		time.Sleep(time.Hour)
		if asked, claimed := server.Conns(), claims.Load(); asked < 5 || asked > 9 || int(claimed) != asked-1 {
			t.Errorf("asked %d times, with %d claims, want one for each time but the first", asked, claimed)
		}
		for _, r := range o.rows() {
			if r.State != store.Queued || r.Attempts != 0 {
				t.Errorf("%s to %s is %s after %d attempts, want queued after none", r.Kind, r.Recipient, r.State, r.Attempts)
			}
		}
		server.Behave(nil)
		time.Sleep(20 * time.Minute)
		stop()
		if n := len(server.Mails()); n != len(o.rows()) {
			t.Errorf("%d mails were sent, want %d", n, len(o.rows()))
		}
	})
}

func TestF33AHeldSenderDoesNotStopTheOthers(t *testing.T) {
	server := mailouttest.Start(t, mailouttest.Options{Behave: func(e mailouttest.Event) mailouttest.Do {
		if e.Step == mailouttest.MAIL && strings.Contains(e.Line, support) {
			return mailouttest.Do{Reply: "553 5.7.1 not your address"}
		}
		return mailouttest.Do{}
	}})
	both(t, func(t *testing.T, o *office) {
		had := len(server.Mails())
		o.deliver(letter(ann, "printer", "x"))
		in := o.fetch(letter(bob, "printer", "x"))
		in.Box.Mailbox = second
		o.handOver([]mailin.Fetched{in})
		stop := o.dispatching()
		server.Wait(t, had+2)
		stop()
		for _, r := range o.rows() {
			if r.From == support && (r.State != store.Queued || r.Attempts != 0) || r.From == second && r.State != store.Sent {
				t.Errorf("%s from %s is %s after %d attempts", r.Kind, r.From, r.State, r.Attempts)
			}
		}
	}, withServer(server))
}

func TestF30UncertainMailIsSentOnceMoreUnchanged(t *testing.T) {
	server := mailouttest.Start(t, mailouttest.Options{})
	both(t, func(t *testing.T, o *office) {
		had := len(server.Mails())
		var cut atomic.Int32
		at, behave := reached(mailouttest.Dot, func(mailouttest.Event) mailouttest.Do {
			cut.Add(1)
			return mailouttest.Do{Accept: true, Drop: true} // taken, but who knows
		})
		server.Behave(behave)
		o.deliver(letter(ann, "password", "x", "Return-Path: <>", "Auto-Submitted: no")) // a notice alone
		stop := o.dispatching()
		<-at
		stop()
		for _, r := range o.rows() {
			if r.Attempts > 0 && r.State != store.Uncertain && r.State != store.Queued {
				t.Errorf("after the first cut: %s", r.State)
			}
		}
		server.Behave(nil)
		o.clock.add(2 * time.Minute)
		rows := len(o.rows())
		stop = o.dispatching()
		server.Wait(t, had+int(cut.Load())+rows)
		stop()
		for _, r := range o.rows() {
			if r.State != store.Sent {
				t.Errorf("%s to %s is %s", r.Kind, r.Recipient, r.State)
			}
		}
		copies := map[string][][]byte{}
		for _, m := range server.Mails()[had:] {
			copies[m.To] = append(copies[m.To], m.Data)
		}
		twice := 0
		for to, c := range copies {
			for _, again := range c[1:] {
				twice++
				if !bytes.Equal(c[0], again) {
					t.Errorf("copies to %s differ", to)
				}
			}
			if len(c) > 2 {
				t.Errorf("%d copies to %s, want at most 2", len(c), to)
			}
		}
		if twice != int(cut.Load()) {
			t.Errorf("%d repeats after %d cuts", twice, cut.Load())
		}
	}, withServer(server))
}

// While the database is away, what came of a mail is kept until it is back: it
// does not go out again.
func TestF30ResultIsKeptWhileTheDatabaseIsAway(t *testing.T) {
	t.Parallel()
	for name, fails := range map[string]func(op storetest.Op, query string) bool{
		"before the result": func(op storetest.Op, query string) bool { return strings.HasPrefix(query, "UPDATE outbox SET state") },
		"in the commit":     func(op storetest.Op, _ string) bool { return op == storetest.Commit },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			storetest.Each(t, func(t *testing.T, url string) {
				server := mailouttest.Start(t, mailouttest.Options{})
				var left atomic.Int32
				at, behave := reached(mailouttest.Dot, func(mailouttest.Event) mailouttest.Do {
					left.Store(3)
					return mailouttest.Do{}
				})
				server.Behave(behave)
				o := open(t, url, withServer(server), quiet, func(s *setup) {
					s.desk.Senders = 1
					s.store.Wrap = storetest.Wrap(storetest.Hooks{Before: func(op storetest.Op, query string, _ []driver.NamedValue) error {
						if fails(op, query) && left.Add(-1) >= 0 {
							return context.Canceled // which the store itself does not try again
						}
						return nil
					}})
				})
				o.deliver(vouched(letter(ann, "password", "x", "Auto-Submitted: auto-generated"))) // a notice alone
				stop := o.dispatching()
				<-at
				stop() // within its grace the result is written down
				o.wantStates("sent " + helpList)
				o.clock.add(2 * sendLease)
				o.deliver(letter(bob, "printer", "x", "Auto-Submitted: auto-generated"))
				stop = o.dispatching()
				<-at
				stop()
				if n := len(server.Mails()); n != 2 {
					t.Errorf("%d mails were taken, want each once", n)
				}
			})
		})
	}
}

func TestF39StopGivesAResultUpWithinTheGrace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		recording, cancel := outlive(ctx, recordGrace)
		defer cancel()
		start, tries := time.Now(), 0
		time.AfterFunc(time.Hour, stop)
		log := slog.New(slog.DiscardHandler)
		ok := (&Desk{}).record(recording, log, func(context.Context) error { tries++; return context.DeadlineExceeded })
		if took := time.Since(start) - time.Hour; ok || took < 0 || took > 20*time.Second || tries < 300 || tries > 500 {
			t.Errorf("recorded %t, %d tries, given up %v after the stop, want within 20s", ok, tries, took)
		}
	})
}

func TestF34MailIsGivenUpWithAnEventAndNoMail(t *testing.T) {
	server := mailouttest.Start(t, mailouttest.Options{})
	o := quick(t, withServer(server))
	o.deliver(letter(ann, "printer", "x"))
	at, behave := reached(mailouttest.RCPT, func(mailouttest.Event) mailouttest.Do { return mailouttest.Do{Reply: "451 4.0.0 later"} })
	server.Behave(behave)
	for i := range 8 { // the acknowledgement is given up after a day, and eight attempts
		if i == 7 {
			o.wantStates("queued "+ann, "queued desktop-team@example.org")
		}
		o.clock.add(5 * time.Hour)
		stop := o.dispatching()
		<-at
		<-at
		stop()
	}
	o.wantStates("failed "+ann, "queued desktop-team@example.org")
	o.wantEvent(1001, "given up after 40h0m0s")
	o.clock.add(4 * 24 * time.Hour)
	stop := o.dispatching()
	<-at
	stop()
	o.wantStates("failed "+ann, "failed desktop-team@example.org")
}

// While a mail is slow to be sent, the others go out by the other sender, and
// no lease runs of one that nobody sends yet.
func TestF35ASlowMailLeavesTheOthersFree(t *testing.T) {
	server := mailouttest.Start(t, mailouttest.Options{})
	both(t, func(t *testing.T, o *office) {
		had := len(server.Mails())
		release := make(chan struct{})
		dots := make(chan mailouttest.Event, 100)
		server.Behave(func(e mailouttest.Event) mailouttest.Do {
			if e.Step == mailouttest.Dot {
				dots <- e
				<-release
			}
			return mailouttest.Do{}
		})
		o.deliver(letter(ann, "one", "x"), letter(bob, "two", "x"))
		stop := o.dispatching()
		<-dots
		<-dots
		var states []string
		for _, r := range o.rows() {
			states = append(states, fmt.Sprintf("%s after %d", r.State, r.Attempts))
		}
		slices.Sort(states)
		if want := []string{"queued after 0", "queued after 0", "sending after 1", "sending after 1"}; !slices.Equal(states, want) {
			t.Errorf("while two mails are in hand\n got %q\nwant %q", states, want)
		}
		release <- struct{}{} // one of them goes on, and the sender takes the others
		server.Wait(t, had+1)
		for range 2 {
			<-dots
			release <- struct{}{}
		}
		server.Wait(t, had+3)
		close(release)
		server.Wait(t, had+4)
		stop()
		server.Behave(nil)
	}, withServer(server))
}

func TestF35RestartSendsAtOnceWhatADeadDeskHadInHand(t *testing.T) {
	t.Parallel()
	url := storetest.SQLite(t)
	server := mailouttest.Start(t, mailouttest.Options{})
	dead := open(t, url)
	dead.deliver(vouched(letter(ann, "password", "x", "Auto-Submitted: auto-generated"))) // a notice alone
	if rows, err := dead.store.Claim(t.Context(), 1, sendLease); err != nil || len(rows) != 1 {
		t.Fatalf("claimed %d, %v", len(rows), err)
	}
	if err := dead.store.Close(); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		o := open(t, url, withServer(server), quiet)
		stop := o.dispatching()
		time.Sleep(time.Second)
		o.wantStates("sent " + helpList)
		stop()
	})
}

func TestF35ALivingDeskOfTheSameNameKeepsWhatItHasInHand(t *testing.T) {
	t.Parallel()
	url := storetest.PostgreSQL(t)
	release := make(chan struct{})
	at, behave := reached(mailouttest.RCPT, func(mailouttest.Event) mailouttest.Do { return mailouttest.Do{} })
	server := mailouttest.Start(t, mailouttest.Options{Behave: func(e mailouttest.Event) mailouttest.Do {
		if e.Step == mailouttest.Dot {
			<-release
		}
		return behave(e)
	}})
	o, twin := open(t, url, withServer(server)), open(t, url)
	o.deliver(vouched(letter(ann, "password", "x", "Auto-Submitted: auto-generated"))) // a notice alone
	stop := o.dispatching()
	<-at
	if n, err := twin.store.TakeBack(t.Context(), lifeTime); err != nil || n != 0 {
		t.Errorf("took back %d, %v, want none", n, err)
	}
	close(release)
	stop()
	o.wantStates("sent " + helpList)
}

func TestF35ADeskThatSendsStaysAlive(t *testing.T) {
	t.Parallel()
	url := storetest.SQLite(t)
	synctest.Test(t, func(t *testing.T) {
		var signs atomic.Int32
		o := open(t, url, quiet, func(s *setup) {
			s.store.Wrap = storetest.Wrap(storetest.Hooks{Before: func(_ storetest.Op, query string, _ []driver.NamedValue) error {
				if strings.HasPrefix(query, "UPDATE outbox SET due_at") {
					signs.Add(1)
				}
				return nil
			}})
		})
		ctx, stop := context.WithCancel(t.Context())
		stop() // which makes no difference
		end := o.stayAlive(ctx)
		for range 10 {
			time.Sleep(lifeTime)
			if n := signs.Swap(0); n < 2 {
				t.Errorf("%d signs of life in the time of one, want more", n)
			}
		}
		end()
	})
}

func TestF35SendingEndsBeforeTheLease(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		sending, cancel := inHand(t.Context())
		defer cancel()
		<-sending.Done()
		if took := time.Since(start); took != sendTime || took > sendLease-time.Minute {
			t.Errorf("cut short after %v, want %v, well before the lease of %v", took, sendTime, sendLease)
		}
	})
}

func TestF39SendingEndsSoonAfterAStop(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		sending, cancel := inHand(ctx)
		defer cancel()
		time.Sleep(time.Minute)
		stop()
		start := time.Now()
		<-sending.Done()
		if took := time.Since(start); took != sendGrace {
			t.Errorf("cut short %v after the stop, want %v", took, sendGrace)
		}
	})
}

// A stop lets the mail in hand be finished, and leaves the rest to the next
// start.
func TestF39StopFinishesTheMailInHandAndLeavesTheRest(t *testing.T) {
	server := mailouttest.Start(t, mailouttest.Options{})
	both(t, func(t *testing.T, o *office) {
		had := len(server.Mails())
		release := make(chan struct{})
		at, behave := reached(mailouttest.RCPT, func(mailouttest.Event) mailouttest.Do { return mailouttest.Do{} })
		server.Behave(func(e mailouttest.Event) mailouttest.Do {
			d := behave(e)
			if e.Step == mailouttest.Dot {
				<-release
			}
			return d
		})
		o.deliver(letter(ann, "one", "x"), letter(bob, "two", "x"))
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- o.Dispatch(ctx) }()
		<-at
		cancel()
		close(release)
		if err := <-done; err != nil {
			t.Errorf("Dispatch: %v", err)
		}
		var sent, queued int
		for _, r := range o.rows() {
			switch r.State {
			case store.Sent:
				sent++
			case store.Queued:
				queued++
			default:
				t.Errorf("%s to %s is left %s", r.Kind, r.Recipient, r.State)
			}
		}
		if sent != len(server.Mails())-had || sent == 0 || queued == 0 {
			t.Errorf("%d sent and %d queued; the server took %d", sent, queued, len(server.Mails())-had)
		}
		server.Behave(nil)
		stop := o.dispatching()
		server.Wait(t, had+4)
		stop()
		if n := len(server.Mails()) - had; n != 4 {
			t.Errorf("%d mails were taken in all, want 4", n)
		}
	}, withServer(server), func(s *setup) { s.desk.Senders = 1 })
}

// Two restarts do not let a later mail overtake, nor make the next try late.
func TestF39StopWhileAMailIsClaimedLeavesItToTheNextStart(t *testing.T) {
	server := mailouttest.Start(t, mailouttest.Options{})
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		var claims atomic.Bool
		o := open(t, url, withServer(server), func(s *setup) {
			s.desk.Senders = 1
			s.store.Wrap = storetest.Wrap(storetest.Hooks{Cut: true, After: func(op storetest.Op, query string) error {
				if strings.HasPrefix(query, "WITH candidates") {
					claims.Store(true)
				}
				if op == storetest.Commit && claims.Load() {
					stop() // while the server's answer is under way
				}
				return nil
			}})
		})
		o.deliver(letter(ann, "vpn", "x"))
		if err := o.Dispatch(ctx); err != nil {
			t.Fatal(err)
		}
		if !claims.Load() {
			t.Error("nothing was claimed")
		}
		o.wantStates("queued "+ann, "queued "+nina, "queued "+tom)
		for _, r := range o.rows() {
			if r.Attempts != 0 {
				t.Errorf("%d attempts are counted at the mail to %s", r.Attempts, r.Recipient)
			}
		}
	})
}

func TestF37StopIsNoAttempt(t *testing.T) {
	server := mailouttest.Start(t, mailouttest.Options{Behave: func(e mailouttest.Event) mailouttest.Do {
		return mailouttest.Do{Stall: e.Step == mailouttest.RCPT}
	}})
	both(t, func(t *testing.T, o *office) {
		o.deliver(vouched(letter(ann, "password", "x", "Auto-Submitted: auto-generated"))) // a notice alone
		for range 2 {
			for _, end := range []func(store.Row){
				func(r store.Row) { o.putBack(t.Context(), r) }, // claimed while it stops
				func(r store.Row) { // in hand until the grace is over
					sending, cancel := context.WithCancel(t.Context())
					time.AfterFunc(time.Millisecond, cancel)
					_, err := o.o.Mailer.Send(sending, mailout.Envelope{From: r.From, To: r.Recipient, Data: r.Body})
					o.record(t.Context(), o.o.Log, o.result(r, o.o.Log, "", err))
				},
			} {
				rows, err := o.store.Claim(t.Context(), 1, time.Minute)
				if err != nil || len(rows) != 1 {
					t.Fatalf("claimed %d mails, %v, want the notice", len(rows), err)
				}
				if rows[0].Attempts != 1 {
					t.Errorf("it is attempt %d, want the first", rows[0].Attempts)
				}
				end(rows[0])
			}
		}
		o.wantStates("queued " + helpList)
	}, withServer(server))
}

func TestF37MailsToOneAddressAboutOneTicketKeepTheirOrder(t *testing.T) {
	server := mailouttest.Start(t, mailouttest.Options{})
	both(t, func(t *testing.T, o *office) {
		had := len(server.Mails())
		o.deliver(vouched(letter(ann, "password", "x")))
		for range 5 {
			o.deliver(letter(ann, "Re: [IT-1001]", "More.", "X-N: "+o.clock.now().String()))
			o.clock.add(time.Second)
		}
		stop := o.dispatching()
		mails := server.Wait(t, had+7)[had:]
		stop()
		var order []string
		for _, m := range mails {
			if m.To == helpList {
				order = append(order, mailin.Parse(m.Data, mailin.Limits{}).MessageID)
			}
		}
		var want []string
		for _, r := range o.rows() {
			if r.Recipient == helpList {
				want = append(want, r.MessageID)
			}
		}
		if !slices.Equal(order, want) {
			t.Errorf("they came as\n%q, want\n%q", order, want)
		}
	}, withServer(server), func(s *setup) { s.desk.Senders, s.mail.Connections = 4, 4 })
}

// A claim that took effect although its commit ended in an error leaves nobody
// waiting for the end of its lease; what the other sender has in hand stays there.
func TestF26ClaimOfUnknownOutcomeIsTakenBack(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		server := mailouttest.Start(t, mailouttest.Options{})
		var claims, failed, dots atomic.Int64
		at, release := make(chan struct{}, 100), make(chan struct{})
		server.Behave(func(e mailouttest.Event) mailouttest.Do {
			if e.Step == mailouttest.Dot {
				first := dots.Add(1) == 1
				at <- struct{}{}
				if first {
					<-release
				}
			}
			return mailouttest.Do{}
		})
		o := open(t, url, withServer(server), func(s *setup) {
			s.store.Wrap = storetest.Wrap(storetest.Hooks{After: func(op storetest.Op, query string) error {
				if strings.HasPrefix(query, "WITH candidates") {
					claims.Add(1)
				}
				if op == storetest.Commit && claims.Load() == 2 && failed.CompareAndSwap(0, 1) {
					return io.ErrUnexpectedEOF
				}
				return nil
			}})
		})
		o.deliver(letter(ann, "vpn", "x"))
		stop := o.dispatching()
		for range 3 { // the second and the third while the first is in hand
			<-at
		}
		close(release)
		server.Wait(t, 3)
		stop()
		if failed.Load() != 1 {
			t.Fatal("no commit of a claim failed")
		}
		if n := len(server.Mails()); n != 3 {
			t.Errorf("%d mails were taken, want each once", n)
		}
		o.wantStates("sent "+ann, "sent "+nina, "sent "+tom)
	})
}
