package desk

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"deskd/mailin"
	"deskd/mailout"
	"deskd/store"
	"deskd/triage"
	"deskd/triage/ticket"
)

// spoiled delivers a mail that cannot be read, and mends the desk.
func spoiled(o *office, raws ...string) (ids []int64) {
	o.t.Helper()
	poison(o, "POISON")
	o.deliver(raws...)
	o.parse = mailin.Parse
	for _, in := range o.intakes() {
		if in.Fate == store.FateQuarantined {
			ids = append(ids, in.ID)
		}
	}
	return ids
}

const root = "root at desk1 (command line)"

func (o *office) deskEvents() string {
	o.t.Helper()
	var lines []string
	err := o.store.Write(o.t.Context(), func(tx *store.Tx) error {
		events, err := tx.LastEvents(0, 100)
		for _, e := range events {
			lines = append(lines, fmt.Sprintf("%s: %s %s→%s: %s", e.Actor, e.What, e.Before, e.After, e.Reason))
		}
		return err
	})
	if err != nil {
		o.t.Fatal(err)
	}
	return strings.Join(lines, "\n")
}

func TestRetryHandlesAMailOutOfQuarantineOnce(t *testing.T) {
	both(t, func(t *testing.T, o *office) {
		id := spoiled(o, vouched(letter(ann, "printer", "POISON, and the VPN is down")))[0]
		before := o.intakes()[0]
		var wg sync.WaitGroup
		errs := make([]error, 3)
		for i := range errs { // at the same time, as daemon and command would
			wg.Go(func() { _, _, errs[i] = o.Retry(t.Context(), id, root) })
		}
		wg.Wait()
		refused := 0
		for _, err := range errs {
			if errors.As(err, new(*NotQuarantined)) {
				refused++
			} else if err != nil {
				t.Fatal(err)
			}
		}
		if refused != 2 {
			t.Errorf("%d retries were refused, want 2", refused)
		}
		o.wantFates("new_ticket")
		in := o.intakes()[0]
		if in.Ticket == before.Ticket || in.MessageID == "" || in.From != ann || in.Subject != "printer" || len(in.ContentKey) == 0 || len(in.Why) == 0 ||
			in.File != string(mailin.Quarantine) || string(in.SHA256) != string(before.SHA256) || !in.ArrivedAt.Equal(before.ArrivedAt) {
			t.Errorf("intake %+v", in)
		}
		if d := o.show(in.Ticket); d.Ticket.Requester != ann || len(d.Entries) != 1 || len(o.tickets()) != 2 {
			t.Errorf("ticket %+v", d.Ticket)
		}
		o.only(o.post(), mailout.Acknowledgement)
		if got, want := o.deskEvents(), fmt.Sprintf("%s: taken out of quarantine quarantined→new_ticket: mail 1, now on ticket %d", root, in.Ticket); got != want {
			t.Errorf("the desk's events:\n%s\nwant\n%s", got, want)
		}
		o.wantEvent(before.Ticket, "taken out of quarantine")
		for _, n := range []ticket.Number{0, before.Ticket, in.Ticket} {
			if err := o.store.VerifyChain(t.Context(), n); err != nil {
				t.Error(err)
			}
		}
	})
}

// TestSpamThatIsNoneBecomesATicket takes mails out of the spam that got there in
// each of the ways there are.
func TestSpamThatIsNoneBecomesATicket(t *testing.T) {
	both(t, func(t *testing.T, o *office) {
		o.deliver(vouched(letter(bob, "cheap", "x")))
		o.deliver(vouched(letter(tina, "Re: [IT-1001]", "spam")))
		o.deliver(vouched(letter(bob, "the printer", "It is dark.")), letter(ann, "marked", "x", "X-Spam-Flag: YES"), letter(ann, "LOTTERY", "x"),
			letter(ann, "away", "x", "X-Spam-Flag: YES", "Auto-Submitted: auto-replied"))
		o.wantFates("new_ticket appended spam spam spam spam")
		o.post()
		for i, want := range []string{"the printer", "marked", "LOTTERY"} {
			id := o.intakes()[2+i].ID
			fate, n, err := o.Retry(t.Context(), id, root)
			if err != nil || fate != store.FateNewTicket {
				t.Fatalf("%s: Retry = %s, %v", want, fate, err)
			}
			if d := o.show(n); d.Ticket.Subject != want || len(d.Entries) != 1 || d.Ticket.Team == "" || slices.Contains(d.Ticket.Tags, triage.SpamTag) {
				t.Errorf("%s: ticket %+v", want, d.Ticket)
			}
			if _, _, err := o.Retry(t.Context(), id, root); !errors.As(err, new(*NotQuarantined)) {
				t.Errorf("%s: once more: %v", want, err)
			}
			if err := o.Dismiss(t.Context(), id, root); !errors.As(err, new(*NotQuarantined)) {
				t.Errorf("%s: dropped: %v", want, err)
			}
		}
		// What a program wrote opens no ticket for all that, and is not answered.
		if fate, _, err := o.Retry(t.Context(), o.intakes()[5].ID, root); err != nil || fate != store.FateAutomatic {
			t.Errorf("an automatic answer: %s, %v", fate, err)
		}
		o.wantFates("new_ticket appended new_ticket new_ticket new_ticket automatic")
		if got := o.deskEvents(); strings.Count(got, "taken out of spam spam→new_ticket") != 3 || !strings.Contains(got, "taken out of spam spam→automatic") {
			t.Errorf("the desk's events:\n%s", got)
		}
		// Marked there, too, and not: he is still blocked by the first ticket.
		o.deliver(vouched(letter(tina, "Re: [IT-1002]", "spam")), vouched(letter(tina, "Re: [IT-1002]", "undo")))
		if d := o.show(1002); slices.Contains(d.Ticket.Tags, triage.SpamTag) || d.Ticket.Status != ticket.Open {
			t.Errorf("after the undo: %+v", d.Ticket)
		}
		// The sender is still blocked, and spam stays spam.
		o.deliver(vouched(letter(bob, "cheap", "x", "Message-ID: <more@example.org>")))
		o.wantFates("new_ticket appended new_ticket new_ticket new_ticket automatic appended appended spam")
	}, func(s *setup) {
		s.policy.Rules = append(s.policy.Rules, triage.Rule{Name: "lottery", Words: []string{"lottery"}, In: []string{"subject"}, Action: triage.Spam})
	})
}

func TestRetryThatFailsAgainChangesNothing(t *testing.T) {
	both(t, func(t *testing.T, o *office) {
		id := spoiled(o, letter(ann, "printer", "POISON"))[0]
		poison(o, "POISON")
		before, events, outbox := o.intakes()[0], o.deskEvents(), len(o.rows())
		if _, _, err := o.Retry(t.Context(), id, root); err == nil || !strings.Contains(err.Error(), "panic") {
			t.Errorf("Retry = %v, want the panic told", err)
		}
		after := o.intakes()[0]
		if after.Fate != store.FateQuarantined || after.Failures != before.Failures || after.Reason != before.Reason || after.Ticket != before.Ticket ||
			o.deskEvents() != events || len(o.rows()) != outbox || len(o.tickets()) != 1 {
			t.Errorf("changed: %+v", after)
		}
	})
}

func TestF05RetryKnowsTwinsThatWereHandled(t *testing.T) {
	both(t, func(t *testing.T, o *office) {
		raw := letter(ann, "printer", "POISON")
		other := "Received: from elsewhere.example by mx.example.org; Mon, 2 Mar 2026 09:00:00 +0000\r\n" + raw
		ids := spoiled(o, raw, other)
		o.deliver(raw) // a copy of what nobody has read
		o.wantFates("quarantined quarantined duplicate")
		fate, n, err := o.Retry(t.Context(), ids[0], root)
		if err != nil || fate != store.FateNewTicket {
			t.Fatalf("the first: %s on %d, %v; its own copy must not swallow it", fate, n, err)
		}
		if fate, again, err := o.Retry(t.Context(), ids[1], root); err != nil || fate != store.FateDuplicate || again != n {
			t.Errorf("the other way of delivery: %s on %d, %v; want a duplicate on %d", fate, again, err, n)
		}
		o.wantFates("new_ticket duplicate duplicate")
		o.deliver(other)
		o.wantFates("new_ticket duplicate duplicate duplicate")
	})
}

func TestDropTakesAMailOutOfQuarantineForGood(t *testing.T) {
	both(t, func(t *testing.T, o *office) {
		id := spoiled(o, letter(ann, "printer", "POISON"))[0]
		about := o.intakes()[0].Ticket
		if err := o.Dismiss(t.Context(), id, root); err != nil {
			t.Fatal(err)
		}
		o.wantFates("dismissed")
		if in := o.intakes()[0]; in.Ticket != about || len(o.tickets()) != 1 {
			t.Errorf("intake %+v", in)
		}
		if got := o.deskEvents(); !strings.Contains(got, "dropped from quarantine") {
			t.Errorf("the desk's events:\n%s", got)
		}
		var not *NotQuarantined
		if err := o.Dismiss(t.Context(), id, root); !errors.As(err, &not) || not.Fate != store.FateDismissed {
			t.Errorf("second Dismiss = %v", err)
		}
		if _, _, err := o.Retry(t.Context(), id, root); !errors.As(err, &not) {
			t.Errorf("Retry = %v", err)
		}
		if _, _, err := o.Retry(t.Context(), 99, root); err == nil || !strings.Contains(err.Error(), "there is no mail 99") {
			t.Errorf("Retry(99) = %v", err)
		}
	})
}
