package desk

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"deskd/mailin"
	"deskd/store/storetest"
	"deskd/triage"
)

func TestF21_FiledMailIsKnownByIDAndSizeAndNumbersAreSkippedForTheRest(t *testing.T) {
	both(t, func(t *testing.T, o *office) {
		parse := o.parse
		o.parse = func(raw []byte, l mailin.Limits) triage.Message {
			m := parse(raw, l)
			if m.Subject == "poison" {
				panic("poison")
			}
			return m
		}
		named := letter(ann, "printer", "It is broken.", "Message-ID: <one@x>")
		unnamed := letter(ann, "nameless", "It is broken, too.", "Message-ID:")
		poison := letter(ann, "poison", "It hurts.", "Message-ID: <bad@x>")
		o.deliver(named, unnamed)
		o.deliver(poison)
		if got := o.fates(); got != "new_ticket new_ticket quarantined" {
			t.Fatalf("fates %q", got)
		}
		newest := o.last().Ticket.Number
		lost := o.rules.Signer().MessageID(newest+500, []byte("the key of a lost ticket"), "x", "example.org")
		forged := "deskd.9999999.aaaaaaaa.aaaaaaaaaaaaaaaa.aaaaaaaaaaaaaaaa@example.org"
		box := mailin.Box{Mailbox: support, Validity: 7}
		known := []mailin.Copy{
			{UID: 1, Size: int64(len(named)), MessageID: "one@x", Answers: []string{lost}},
			{UID: 2, Size: int64(len(unnamed))},
			{UID: 3, Size: int64(len(poison)), MessageID: "bad@x"},
		}
		if got, err := o.Missing(t.Context(), box, known); err != nil || len(got) != 0 {
			t.Fatalf("of those that are known %v are missing, %v", got, err)
		}
		if got, err := o.Missing(t.Context(), mailin.Box{Mailbox: "other@example.org", Validity: 7}, known); err != nil || len(got) != 3 {
			t.Errorf("in another mailbox %v are missing, %v", got, err)
		}
		o.deliver(letter(ann, "after three", "x"))
		if n := o.last().Ticket.Number; n <= newest+500 {
			t.Errorf("the next ticket has number %d, and %d was given before", n, newest+500)
		}
		newest = o.last().Ticket.Number
		got, err := o.Missing(t.Context(), box, append(known,
			mailin.Copy{UID: 4, Size: int64(len(named)) + 1, MessageID: "one@x", Answers: []string{forged}},
			mailin.Copy{UID: 5, Size: int64(len(named)), MessageID: "two@x"},
			mailin.Copy{UID: 6, Size: int64(len(named))},
			mailin.Copy{UID: 7, Size: int64(len(unnamed)), MessageID: "three@x"},
		))
		if err != nil || !slices.Equal(got, []uint32{4, 5, 6, 7}) {
			t.Fatalf("missing %v, %v", got, err)
		}
		o.deliver(letter(ann, "after four more", "x"))
		if n := o.last().Ticket.Number; n <= newest+4+unfiledNumbers || n > newest+10+unfiledNumbers {
			t.Errorf("the next ticket has number %d; want four left out after %d and those of mail not filed yet, and what nobody signed not believed", n, newest)
		}
	})
}

func TestF21_MailThatIsBroughtBackInVainIsLetBe(t *testing.T) {
	both(t, func(t *testing.T, o *office) {
		raw := letter(ann, "printer", "It is broken.", "Message-ID: <one@x>")
		// Its size in the folder for what is done is another one.
		filed := []mailin.Copy{{UID: 1, Size: int64(len(raw)) + 7, MessageID: "one@x"}}
		times := 0
		for {
			o.deliver(raw)
			missing, err := o.Missing(t.Context(), mailin.Box{Mailbox: support, Validity: 7}, filed)
			if err != nil {
				t.Fatal(err)
			}
			if len(missing) == 0 {
				break
			}
			if times++; times > 10 {
				t.Fatal("it is brought back for ever")
			}
		}
		if len(o.tickets()) != 1 || times != 3 {
			t.Errorf("%d tickets, brought back %d times", len(o.tickets()), times)
		}
	})
}

func TestF21_LostTicketsAnswersDoNotReachTheOneWithItsNumber(t *testing.T) {
	o := quick(t)
	o.deliver(letter(ann, "printer", "It is broken."))
	n := o.last().Ticket.Number
	lost := o.rules.Signer().MessageID(n, []byte("the key of a lost ticket"), "x", "example.org")
	o.deliver(vouched(letter(tina, "Re: [IT-"+n.String()+"] laptop", "resolved", "In-Reply-To: <"+lost+">")))
	if d := o.show(n); len(d.Entries) != 1 || d.Ticket.Status != "open" {
		t.Errorf("the ticket is %s with %d entries", d.Ticket.Status, len(d.Entries))
	}
}

// A mail may be the first to speak of a ticket that was lost: whoever wrote it
// has seen the number.
func TestF21_NumbersThatMailsOfOursBoreAreNotGivenAgain(t *testing.T) {
	both(t, func(t *testing.T, o *office) {
		o.deliver(letter(ann, "printer", "It is broken."))
		newest := o.last().Ticket.Number
		lost := o.rules.Signer().MessageID(newest+50, []byte("the key of a lost ticket"), "x", "example.org")
		o.deliver(
			letter(bob, "laptop", "It is slow.", "In-Reply-To: <deskd.9999.aaaaaaaa.aaaaaaaaaaaaaaaa.aaaaaaaaaaaaaaaa@example.org>"),
			letter(ann, "Re: [IT-"+(newest+50).String()+"] screen", "It flickers still.", "In-Reply-To: <"+lost+">"),
		)
		list := o.tickets()
		if len(list) != 3 {
			t.Fatalf("%d tickets", len(list))
		}
		for _, tk := range list {
			if n := tk.Number; n != newest && (n <= newest+50 || n > newest+60) {
				t.Errorf("%q has number %d; want it just above %d", tk.Subject, n, newest+50)
			}
		}
		at := o.last().Ticket.Number
		o.deliver(letter(ann, "Re: [IT-"+at.String()+"] screen", "Now it is black.", "In-Reply-To: <"+lost+">"), letter(bob, "mouse", "x"))
		if n := o.last().Ticket.Number; n > at+2 {
			t.Errorf("numbers are left out once more: %d after %d", n, at)
		}
	})
}

// Mail of one mailbox waits at the start until the others have compared what
// is filed there, or do not get on.
func TestF21_MailboxesWaitForEachOther(t *testing.T) {
	t.Parallel()
	box := mailin.Box{Mailbox: second, Validity: 7}
	missing := func(o *office, id string) {
		if _, err := o.Missing(o.t.Context(), box, []mailin.Copy{{UID: 1, Size: 1, MessageID: id}}); err != nil {
			o.t.Error(err)
		}
	}
	const slow = longestWait - time.Second
	for name, c := range map[string]struct {
		run  func(ctx context.Context, o *office)
		wait time.Duration
		left int // how often numbers are left out first
	}{
		"compared": {func(ctx context.Context, o *office) {
			missing(o, "lost@x")
			o.Compared(box)
			<-ctx.Done()
		}, slow, 1},
		"step by step": {func(_ context.Context, o *office) {
			missing(o, "lost@x")
			time.Sleep(slow)
			missing(o, "lost@x") // once more
			time.Sleep(slow)
			missing(o, "lost-too@x")
			o.Compared(box)
		}, 3 * slow, 2},
		"never done": {func(ctx context.Context, o *office) {
			for ctx.Err() == nil {
				missing(o, "lost@x")
				select {
				case <-ctx.Done():
				case <-time.After(slow):
				}
			}
		}, mostWaits * longestWait, 1},
		"out of reach": {func(ctx context.Context, o *office) {
			o.Contact(o.t.Context(), mailin.Contact{Mailbox: second, Err: "no route"})
			<-ctx.Done()
		}, longestWait, 0},
		"ended": {func(context.Context, *office) {}, slow, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := storetest.SQLite(t)
			synctest.Test(t, func(t *testing.T) {
				o := open(t, url)
				ctx, stop := context.WithCancel(t.Context())
				defer stop()
				go o.Watch(ctx, strings.ToUpper(second), func(ctx context.Context) error {
					time.Sleep(slow)
					c.run(ctx, o)
					return errors.New("ended")
				})
				synctest.Wait()
				began := time.Now()
				o.deliver(letter(ann, "printer", "It is broken."), letter(bob, "laptop", "It is slow."))
				if waited := time.Since(began); waited != c.wait {
					t.Errorf("it waited for %v", waited)
				}
				if left := int(o.last().Ticket.Number-1000) / unfiledNumbers; left != c.left {
					t.Errorf("the first tickets go up to %d", o.last().Ticket.Number)
				}
				began = time.Now()
				o.deliver(letter(ann, "mouse", "It is gone."))
				if waited := time.Since(began); waited != 0 {
					t.Errorf("it waited once more, for %v", waited)
				}
			})
		})
	}
}

// A desk that stops meanwhile does not let in what waits.
func TestF21_WhatWaitsWhenTheDeskStopsStaysOutside(t *testing.T) {
	t.Parallel()
	url := storetest.SQLite(t)
	synctest.Test(t, func(t *testing.T) {
		o := open(t, url)
		parse := o.parse
		o.parse = func(raw []byte, l mailin.Limits) triage.Message { panic("poison") }
		o.deliver(letter(bob, "poison", "It hurts."))
		o.wantFates("quarantined")
		o.parse = parse
		aside := len(o.tickets())
		ctx, stop := context.WithCancel(t.Context())
		go o.Watch(ctx, second, func(ctx context.Context) error { <-ctx.Done(); return nil })
		synctest.Wait()
		time.AfterFunc(time.Second, stop)
		for range 2 {
			if v, err := o.Deliver(context.WithoutCancel(ctx), []mailin.Fetched{o.fetch(letter(ann, "printer", "It is broken."))}); err == nil {
				t.Errorf("verdicts %v", v)
			}
		}
		if fate, _, err := o.Retry(context.WithoutCancel(ctx), o.intakes()[0].ID, tina); err == nil {
			t.Errorf("out of quarantine: %s", fate)
		}
		if n := len(o.tickets()); n != aside {
			t.Errorf("%d tickets, want %d", n, aside)
		}
	})
}
