package desk

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"deskd/mailout"
	"deskd/triage/ticket"
)

func TestSetObeysAnAdministratorAtTheMachine(t *testing.T) {
	both(t, func(t *testing.T, o *office) {
		o.deliver(vouched(letter(ann, "printer", "It hums.")))
		n := o.last().Ticket.Number
		before := len(o.rows())
		done, err := o.Set(t.Context(), n, []string{"assign " + tina, "priority high", "cc " + bob, "waiting"}, root)
		if err != nil {
			t.Fatal(err)
		}
		tk := o.show(n).Ticket
		if tk.Assignee != tina || tk.Priority != ticket.High || tk.Status != ticket.Waiting || done.Ticket != n || len(done.Effects) != 4 {
			t.Errorf("ticket %+v, did %+v", tk, done)
		}
		var kinds, to []string
		for _, r := range o.rows()[before:] {
			kinds, to = append(kinds, r.Kind), append(to, r.Recipient)
			if r.Intake != 0 {
				t.Errorf("row %+v names a mail", r)
			}
		}
		slices.Sort(kinds)
		if !slices.Equal(kinds, []string{string(mailout.AssignNotice), string(mailout.StatusNotice), string(mailout.TakenNotice)}) || !slices.Contains(to, ann) || !slices.Contains(to, tina) {
			t.Errorf("mails %v to %v", kinds, to)
		}
		for _, ev := range o.show(n).Events[2:] {
			if ev.Actor != root && ev.Actor != "deskd" || ev.Intake != 0 {
				t.Errorf("event %+v", ev)
			}
		}
		o.wantEvent(n, "commands →assign "+tina+", priority high, cc "+bob+", waiting: given at the machine")
		o.wantEvent(n, "assignee →"+tina)
		o.wantEvent(n, "participant →"+bob)
		o.wantEvent(n, "status ")
		if err := o.store.VerifyChain(t.Context(), n); err != nil {
			t.Error(err)
		}
		for _, p := range o.post() {
			if strings.Contains(p.whole, "root at desk1") {
				t.Error("a mail tells who sits at the machine")
			}
		}

		// The same once more is another set of commands with mails of its own.
		rows := len(o.rows())
		for _, word := range []string{"open", "waiting"} {
			if _, err := o.Set(t.Context(), n, []string{word}, root); err != nil {
				t.Fatal(err)
			}
		}
		if got := len(o.rows()); got != rows+2 {
			t.Errorf("%d mails, want 2", got-rows)
		}
	})
}

func TestSetThatIsRefusedChangesNothing(t *testing.T) {
	both(t, func(t *testing.T, o *office) {
		o.deliver(vouched(letter(ann, "printer", "It hums.")))
		n := o.last().Ticket.Number
		rows, events := len(o.rows()), len(o.events(n))
		var refused *CommandsRefused
		for _, lines := range [][]string{{"priority high", "#resolvd"}, {"reopen"}, {"priority high", "merge 99"}, {"take"}} {
			if _, err := o.Set(t.Context(), n, lines, root); !errors.As(err, &refused) || len(refused.Errors) == 0 || refused.Errors[0].Valid == "" {
				t.Errorf("%q: %v", lines, err)
			}
		}
		if _, err := o.Set(t.Context(), 99, []string{"resolved"}, root); !errors.As(err, &refused) || !strings.Contains(err.Error(), "there is no ticket 99") {
			t.Errorf("no ticket: %v", err)
		}
		if tk := o.show(n).Ticket; tk.Priority != ticket.Medium || tk.Status != ticket.Open || len(o.rows()) != rows || len(o.events(n)) != events {
			t.Errorf("ticket %+v", tk)
		}
	})
}

func TestSetMergesAndMarksSpamAsAMailDoes(t *testing.T) {
	both(t, func(t *testing.T, o *office) {
		o.deliver(vouched(letter(ann, "printer", "It hums.")), vouched(letter(bob, "printer too", "It hums.")), vouched(letter(eve, "cheap", "Buy.")))
		for n, line := range map[ticket.Number]string{1002: "merge 1001", 1003: "spam"} {
			if _, err := o.Set(t.Context(), n, []string{line}, root); err != nil {
				t.Fatalf("%s: %v", line, err)
			}
		}
		if a, b, c := o.show(1001), o.show(1002).Ticket, o.show(1003).Ticket; b.Status != ticket.Closed || c.Status != ticket.Closed || len(a.Participants) != 1 {
			t.Errorf("after merge and spam: %v, %+v, %+v", a.Participants, b, c)
		}
		if done, err := o.Set(t.Context(), 1002, []string{"priority low"}, root); err != nil || done.Ticket != 1001 {
			t.Errorf("a merged ticket: %+v, %v; want 1001", done, err)
		}
		o.deliver(vouched(letter(eve, "cheap again", "Buy.")))
		if fates := o.fates(); !strings.HasSuffix(fates, " spam") {
			t.Errorf("the silenced sender: %s", fates)
		}
	})
}
