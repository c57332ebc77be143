package desk

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"deskd/mailin"
	"deskd/triage"
)

func TestT06StrangersReferencesDoNotCatchAThread(t *testing.T) {
	both(t, func(t *testing.T, o *office) {
		o.deliver(letter(ann, "VPN", "x", "Message-ID: <first@client.example>"))
		o.deliver(vouched(letter(eve, "VPN", "x", "References: <first@client.example>", "Cc: "+ann)))
		o.deliver(letter(eve, "again", "x", "Message-ID: <first@client.example>"))
		o.deliver(letter(ann, "VPN", "My home address is private.", "In-Reply-To: <first@client.example>", "Message-ID: <second@client.example>"))
		if d := o.show(1001); len(d.Entries) != 2 || !strings.Contains(d.Entries[1].Text, "private") {
			t.Errorf("ann's follow-up is not on her ticket: %+v", d.Entries)
		}
		if n := len(o.tickets()); n != 3 {
			t.Errorf("%d tickets, want 3: ann's, and eve's two", n)
		}
	})
}

func TestOneMailToTwoMailboxesGoesOnInEach(t *testing.T) {
	both(t, func(t *testing.T, o *office) {
		both := func(raw string) {
			o.deliver(raw)
			f := o.fetch(raw)
			f.Box.Mailbox = second
			o.handOver([]mailin.Fetched{f})
		}
		both(letter(ann, "New laptop", "x", "Message-ID: <first@client.example>"))
		both(letter(ann, "New laptop", "And a bag.", "In-Reply-To: <first@client.example>"))
		if list := o.tickets(); len(list) != 2 || list[0].Entries != 2 || list[1].Entries != 2 {
			t.Errorf("tickets: %+v", list)
		}
	})
}

func TestF04WithoutUIDValidityTheContentsDecide(t *testing.T) {
	both(t, func(t *testing.T, o *office) {
		box := mailin.Box{Mailbox: support}
		hand := func(uid uint32, raw string) mailin.Fetched {
			f := o.fetch(raw)
			f.Box, f.UID = box, uid
			due, err := o.Pending(t.Context(), box, []uint32{uid})
			if err != nil || len(due) != 1 || due[0].File != "" {
				t.Fatalf("Pending: %+v, %v", due, err)
			}
			o.handOver([]mailin.Fetched{f})
			return f
		}
		hand(1, letter(ann, "one", "x"))
		if err := o.Filed(t.Context(), box, []uint32{1}); err != nil {
			t.Fatal(err)
		}
		hand(1, letter(ann, "two", "x")) // the UID means another mail now
		hand(2, letter(ann, "one", "x")) // the first mail once more
		if n := len(o.tickets()); n != 2 {
			t.Errorf("%d tickets, want 2", n)
		}
		if in := o.intakes(); len(in) != 2 || in[0].FiledAt.IsZero() {
			t.Errorf("intakes: %+v", in)
		}
	})
}

func TestT11FormerAssigneeHearsNothingMore(t *testing.T) {
	o := quick(t)
	o.deliver(letter(ann, "hello", "x"))
	o.deliver(vouched(letter(tina, "Re: [IT-1001] hello", "take")))
	rules, err := triage.New(func() triage.Policy {
		p := policy()
		for i := range p.Teams {
			p.Teams[i].Roster = []string{tom}
		}
		p.Teams[0].Name = "First Line" // the ticket's team, renamed
		p.DefaultTeam = "First Line"
		p.Rules = nil
		return p
	}())
	if err != nil {
		t.Fatal(err)
	}
	o.rules = rules
	o.deliver(vouched(letter(tom, "Re: [IT-1001] hello", "A note.")))
	o.deliver(letter(ann, "Re: [IT-1001] hello", "Still broken."))
	var told []string
	for _, row := range o.outbox() {
		if strings.HasPrefix(row, "note-notice") || strings.HasPrefix(row, "answer-notice") {
			told = append(told, row)
		}
	}
	if len(told) != 1 || told[0] != "answer-notice "+helpList {
		t.Errorf("told: %q, want the team's list alone", told)
	}
}

func TestReplyToNobodyIsToldToTheTechnician(t *testing.T) {
	o := quick(t)
	o.deliver(letter(ann, "two authors", "x", "From: "+ann+", "+bob))
	o.deliver(vouched(letter(tina, "Re: [IT-1001] two authors", "reply\nHello.")))
	found := false
	for _, row := range o.outbox() {
		found = found || row == "reply-failed "+tina
	}
	if !found {
		t.Errorf("outbox: %q, want an answer to %s", o.outbox(), tina)
	}
}

// A list member's responder that bears no mark would answer each notice, and
// be announced by the next one, for ever.
func TestT17UnmarkedResponderOnTheTeamsListFallsSilent(t *testing.T) {
	both(t, func(t *testing.T, o *office) {
		announced := func(kind string) (n int) {
			for _, row := range o.outbox() {
				if row == kind+" "+helpList {
					n++
				}
			}
			return n
		}
		for i := range 3 * surge { // a stranger on the list: each answer is a ticket, until they are a flood (T21)
			o.deliver(letter(eve, fmt.Sprintf("Request %d", i), fmt.Sprintf("Thank you for your mail, number %d.", i)))
		}
		if n := announced("team-notice"); n != surge {
			t.Errorf("%d notices, want %d", n, surge)
		}
		o.deliver(letter(ann, "hello", "x"))
		n := o.last().Ticket.Number
		var batch []string
		for i := range 3 * surge { // the requester is on the list: each answer is announced
			batch = append(batch, letter(ann, "Re: "+"[IT-"+n.String()+"] hello", fmt.Sprintf("Thank you for your mail, number %d.", i)))
		}
		o.deliver(batch...)
		if n := announced("answer-notice"); n >= surge+1 || n < surge-1 {
			t.Errorf("%d notices of answers, want about %d", n, surge)
		}
		folded := strings.Count(o.fates(), "folded")
		if list := o.tickets(); len(list) != surge+1 || folded != 2*surge {
			t.Errorf("%d tickets and %d folded mails, want %d and %d: nothing is lost", len(list), folded, surge+1, 2*surge)
		}
		o.clock.add(2 * time.Hour)
		o.deliver(letter(eve, "A new day", "x"))
		if n := announced("team-notice"); n != surge+2 {
			t.Errorf("%d notices after an hour of silence, want %d", n, surge+2)
		}
	})
}

// Several responders on one ticket that take turns stay below a limit that
// counts one of them at a time.
func TestT17WritersWhoTakeTurnsFallSilentToo(t *testing.T) {
	both(t, func(t *testing.T, o *office) {
		o.deliver(vouched(letter(ann, "hello", "x", "Cc: "+bob+", amy@example.org")))
		n := o.last().Ticket.Number
		re := "Re: [IT-" + n.String() + "] hello"
		var batch []string
		for i := range 2 * ticketSurge {
			from := []string{ann, bob, "amy@example.org"}[i%3]
			batch = append(batch, vouched(letter(from, re, fmt.Sprintf("Thank you for your mail, number %d.", i))))
			if i%4 == 0 { // what technicians write does not count
				batch = append(batch, vouched(letter(tina, re, fmt.Sprintf("#public\nAnswer %d.", i))))
			}
		}
		for chunk := range slices.Chunk(batch, 20) {
			o.deliver(chunk...)
		}
		announced := func() (n int) {
			for _, row := range o.outbox() {
				if row == "answer-notice "+helpList {
					n++
				}
			}
			return n
		}
		// Ann's first mail counts, and was announced as a ticket.
		if n := announced(); n != ticketSurge-1 {
			t.Errorf("%d notices of answers, want %d", n, ticketSurge-1)
		}
		if got, want := len(o.show(n).Entries), len(batch)+1; got != want {
			t.Errorf("%d entries, want %d: nothing is lost", got, want)
		}
		o.clock.add(2 * time.Hour)
		o.deliver(vouched(letter(ann, re, "Are you there?")))
		if n := announced(); n != ticketSurge {
			t.Errorf("%d notices after an hour of silence, want %d", n, ticketSurge)
		}
	})
}
