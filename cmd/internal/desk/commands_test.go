package desk

import (
	"database/sql/driver"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"deskd/mailout"
	"deskd/store"
	"deskd/store/storetest"
	"deskd/triage/ticket"
)

func TestMergedTicketsGoOnAsTheOlderOne(t *testing.T) {
	both(t, func(t *testing.T, o *office) {
		o.deliver(vouched(letter(ann, "the scanner", "It hums.")))
		o.deliver(vouched(letter(bob, "scanner again", "It hums here, too.", "Cc: eve@example.net")))
		o.post()
		list := postFrom(o, vouched(letter(tina, "Re: [IT-1002]", "merge 1001")))
		if d := o.show(1002); d.Ticket.Status != ticket.Closed || len(d.Links) != 1 || d.Links[0].Kind != store.LinkMerged {
			t.Errorf("the younger one: %+v, %+v", d.Ticket, d.Links)
		}
		if p := o.participants(1001); p != "bob@example.org eve@example.net" {
			t.Errorf("participants of the older one: %q", p)
		}
		if told := o.only(list, mailout.MergeNotice); told.Recipient != bob || !strings.Contains(told.whole, "[IT-1002] is about the same matter as [IT-1001]") {
			t.Errorf("%s is told\n%s", told.Recipient, told.whole)
		}
		o.only(list, mailout.Transcript)
		// What is answered to the younger one reaches the older one.
		list = postFrom(o, letter(bob, "Re: [IT-1002] scanner again", "And it smokes."))
		o.only(list, mailout.AnswerNotice)
		if e := o.show(1001).Entries; e[len(e)-1].Text != "And it smokes." {
			t.Errorf("entries of the older one: %+v", e)
		}
		// Taken back, each goes on by itself.
		o.post()
		list = postFrom(o, vouched(letter(tina, "Re: [IT-1001]", "undo")))
		o.only(list, mailout.Transcript)
		if s := o.show(1002); s.Ticket.Status != ticket.Open || len(s.Links) != 0 {
			t.Errorf("after the undo: %+v, %+v", s.Ticket, s.Links)
		}
		if p := o.participants(1001); p != "" {
			t.Errorf("participants after the undo: %q", p)
		}
		o.deliver(letter(bob, "Re: [IT-1002] scanner again", "Hello?"))
		if e := o.show(1002).Entries; e[len(e)-1].Text != "Hello?" {
			t.Errorf("entries of the younger one: %+v", e)
		}
	})
}

func (o *office) participants(n ticket.Number) string {
	var all []string
	for _, p := range o.show(n).Participants {
		all = append(all, p.Addr)
	}
	return strings.Join(all, " ")
}

func TestOneMailCommandsSeveralTickets(t *testing.T) {
	both(t, func(t *testing.T, o *office) {
		for _, s := range []string{"scanner", "mouse", "screen"} {
			o.deliver(vouched(letter(ann, s, "It is broken.")))
		}
		o.post()
		list := postFrom(o, vouched(letter(tina, "today", "1001 resolved\n1002 priority high\n1003 assign tom\n\nI was in the building.")))
		o.wantFates("new_ticket new_ticket new_ticket appended")
		for n, want := range map[ticket.Number]string{1001: "resolved medium ", 1002: "open high ", 1003: "in_progress medium tom@example.org"} {
			d := o.show(n)
			if got := string(d.Ticket.Status) + " " + string(d.Ticket.Priority) + " " + d.Ticket.Assignee; got != want {
				t.Errorf("%d is %s, want %s", n, got, want)
			}
			if e := d.Entries[len(d.Entries)-1]; e.Kind != "note" || e.Text != "I was in the building." {
				t.Errorf("%d has %+v", n, e)
			}
		}
		transcript := o.only(list, mailout.Transcript)
		for _, want := range []string{"1001 resolved", "open → resolved", "medium → high", "nobody → tom@example.org"} {
			if !strings.Contains(transcript.whole, want) {
				t.Errorf("no %q in the transcript:\n%s", want, transcript.whole)
			}
		}
		// One error, and nothing is done.
		list = postFrom(o, vouched(letter(tina, "today", "1001 closed\n1009 closed")))
		if answer := o.only(list, mailout.CommandError); !strings.Contains(answer.whole, "there is no ticket 1009") {
			t.Errorf("answer:\n%s", answer.whole)
		}
		if s := o.show(1001).Ticket.Status; s != ticket.Resolved {
			t.Errorf("1001 is %s", s)
		}
		// All of it is taken back by an answer to the transcript.
		list = postFrom(o, vouched(letter(tina, "Re: today", "undo", "In-Reply-To: <"+transcript.Row.MessageID+">")))
		o.only(list, mailout.Transcript)
		for n, want := range map[ticket.Number]string{1001: "open medium ", 1002: "open medium ", 1003: "open medium "} {
			d := o.show(n)
			if got := string(d.Ticket.Status) + " " + string(d.Ticket.Priority) + " " + d.Ticket.Assignee; got != want {
				t.Errorf("after the undo %d is %s, want %s", n, got, want)
			}
			if err := o.store.VerifyChain(t.Context(), n); err != nil {
				t.Error(err)
			}
		}
	})
}

func TestSplitMakesATicketOfTheAnsweredMail(t *testing.T) {
	both(t, func(t *testing.T, o *office) {
		o.deliver(vouched(letter(ann, "the scanner", "It hums.")))
		first := o.only(o.post(), mailout.TeamNotice)
		notice := o.only(postFrom(o, vouched(withFile(ann, "Re: [IT-1001] the scanner", "My mouse is broken, too.", "mouse.txt", []byte("squeak")))), mailout.AnswerNotice)
		list := postFrom(o, vouched(letter(tina, "Re: [IT-1001] the scanner", "split\nThat is another matter.", "In-Reply-To: <"+notice.Row.MessageID+">", "Reply-To: tina@private.example")))
		d := o.show(1002)
		if d.Ticket.Requester != ann || d.Ticket.Subject != "the scanner" || len(d.Entries) != 2 || d.Entries[0].Text != "My mouse is broken, too." || d.Entries[1].Kind != "note" {
			t.Errorf("the new ticket: %+v, %+v", d.Ticket, d.Entries)
		}
		if raw, e, err := o.store.EntryRaw(t.Context(), d.Entries[0].ID, nil); err != nil || len(raw) == 0 || !strings.Contains(string(e.Attachments), "mouse.txt") {
			t.Errorf("its attachment: %s, %v", e.Attachments, err)
		}
		o.wantEvent(1001, "split →1002")
		if ack := o.only(list, mailout.Acknowledgement); ack.Recipient != ann {
			t.Errorf("%s is told of the new number", ack.Recipient)
		}
		if told := o.only(list, mailout.TeamNotice); !strings.Contains(told.whole, "My mouse is broken") || !strings.Contains(told.whole, "split from [IT-1001] by tina@example.org") {
			t.Errorf("the team is told\n%s", told.whole)
		}
		// The mail that a ticket began with stays, and so do those that answer nothing.
		for _, field := range []string{"In-Reply-To: <" + first.Row.MessageID + ">", "X-Nothing: x"} {
			answer := o.only(postFrom(o, vouched(letter(tina, "Re: [IT-1001] the scanner", "split", field))), mailout.CommandError)
			if !strings.Contains(answer.whole, "began with that mail") && !strings.Contains(answer.whole, "does not answer a mail") {
				t.Errorf("answer:\n%s", answer.whole)
			}
		}
		if n := len(o.tickets()); n != 2 {
			t.Errorf("%d tickets", n)
		}
	})
}

func TestAReminderThatCannotBeWrittenHoldsUpNoOther(t *testing.T) {
	both(t, func(t *testing.T, o *office) {
		o.deliver(vouched(letter(ann, "first", "x")), vouched(letter(ann, "second", "x")))
		o.deliver(vouched(letter(tina, "Re: [IT-1001]", "assign tom\ndue 2026-03-03")), vouched(letter(tina, "Re: [IT-1002]", "assign tom\ndue 2026-03-04")))
		o.post()
		o.clock.add(72 * time.Hour)
		if err := o.remindAll(t.Context()); err != nil {
			t.Fatal(err)
		}
		if m := o.only(o.post(), mailout.DueNotice); !strings.Contains(m.whole, "IT-1002") {
			t.Errorf("reminded of\n%s", m.whole)
		}
		o.wantEvent(1002, "reminded")
		o.wantEvent(1001, "not reminded")
		if err := o.remindAll(t.Context()); err != nil || len(o.post()) != 0 {
			t.Errorf("reminded again, %v", err)
		}
	}, func(s *setup) {
		s.store.Wrap = storetest.Wrap(storetest.Hooks{Before: func(_ storetest.Op, query string, args []driver.NamedValue) error {
			for _, a := range args {
				if strings.HasPrefix(fmt.Sprint(a.Value), "ticket:1001/due:") && strings.HasPrefix(query, "INSERT") {
					return errors.New("it does not fit")
				}
			}
			return nil
		}})
	})
}

func TestSomebodyIsRemindedOfADueTicketOnce(t *testing.T) {
	both(t, func(t *testing.T, o *office) {
		o.deliver(vouched(letter(ann, "the scanner", "It hums.")))
		o.deliver(vouched(letter(tina, "Re: [IT-1001]", "assign tom\ndue in 2 days\nThe part comes then.")))
		o.post()
		remind := func() []posted {
			if err := o.remindAll(t.Context()); err != nil {
				t.Fatal(err)
			}
			return o.post()
		}
		if list := remind(); len(list) != 0 {
			t.Errorf("%d mails before the date", len(list))
		}
		o.clock.add(48*time.Hour + time.Minute)
		if m := o.only(remind(), mailout.DueNotice); m.Recipient != tom || !strings.Contains(m.whole, "Wednesday, 4 March 2026, 09:00 UTC") {
			t.Errorf("%s is reminded:\n%s", m.Recipient, m.whole)
		}
		if list := remind(); len(list) != 0 {
			t.Errorf("%d mails after the reminder", len(list))
		}
		o.deliver(vouched(letter(tina, "Re: [IT-1001]", "drop\ndue tomorrow\nquiet")))
		o.clock.add(48 * time.Hour)
		o.post()
		if m := o.only(remind(), mailout.DueNotice); m.Recipient != helpList {
			t.Errorf("%s is reminded of a ticket that nobody has", m.Recipient)
		}
		o.deliver(vouched(letter(tina, "Re: [IT-1001]", "due in 1 day\nquiet")))
		o.deliver(vouched(letter(tina, "Re: [IT-1001]", "due none\nquiet")))
		o.deliver(vouched(letter(tina, "Re: [IT-1001]", "due in 1 day\nresolved\nquiet")))
		o.clock.add(48 * time.Hour)
		o.post()
		if list := remind(); len(list) != 0 {
			t.Errorf("%d mails about a resolved ticket", len(list))
		}
	})
}

func TestQuestionsAreAnsweredByMail(t *testing.T) {
	both(t, func(t *testing.T, o *office) {
		o.deliver(vouched(letter(ann, "the scanner", "It hums.\nresolved")))
		o.deliver(vouched(letter(bob, "VPN", "It drops.")))
		o.deliver(vouched(letter(tina, "Re: [IT-1001]", "take\nquiet")))
		o.post()
		for _, c := range []struct {
			raw  string
			want []string
			not  string
		}{
			{vouched(letter(tina, "x", "mine\nqueue helpdesk")), []string{"1 ticket is assigned to you", "[IT-1001] the scanner", "in progress, medium, from ann@example.org"}, "VPN"},
			{vouched(letter(tina, "x", "queue net")), []string{"1 ticket is in the queue of Network Team", "[IT-1002] VPN"}, "scanner"},
			{vouched(letter(tina, "x", "search DROPS vpn")), []string{"1 ticket has all of these words: drops vpn", "[IT-1002] VPN"}, "scanner"},
			{vouched(letter(tina, "x", "search bob@example.org")), []string{"1 ticket has all of these words", "[IT-1002] VPN"}, "scanner"},
			{vouched(letter(tina, "x", "search teapot")), []string{"No ticket has all of these words: teapot"}, "IT-1001"},
			{vouched(letter(tina, "x", "show 1001")), []string{"[IT-1001] the scanner", "Requester: ann@example.org", "It hums.", "> resolved"}, ""},
			{vouched(letter(tina, "Re: [IT-1002]", "show")), []string{"[IT-1002] VPN", "It drops."}, ""},
			{vouched(letter(tina, "x", "show 4711")), []string{"There is no ticket 4711."}, ""},
			{vouched(letter(tina, "x", "help")), []string{"merge 1050", "undo", "1042 resolved"}, ""},
			{vouched(letter(ann, "Re: [IT-1001]", "Status?")), []string{"[IT-1001] the scanner", "Status: in progress", "Somebody works on it."}, "---- Please"},
			{vouched(letter(ann, "hello", "status?")), []string{"1 ticket is open for you", "[IT-1001] the scanner"}, "VPN"},
			{letter(ann, "hello again", "status?"), []string{"[IT-1001]: in progress"}, "scanner"},
		} {
			before := len(o.tickets())
			list := postFrom(o, c.raw)
			if len(list) == 0 {
				t.Errorf("no answer to %s\n%s", c.raw, o.fates())
			}
			o.clock.add(6 * time.Minute)
			answer := o.only(list, mailout.Answer)
			if len(list) != 1 || len(o.tickets()) != before {
				t.Errorf("%d mails, %d tickets for a question", len(list), len(o.tickets())-before)
			}
			for _, want := range c.want {
				if !strings.Contains(answer.whole, want) {
					t.Errorf("no %q in the answer:\n%s", want, answer.whole)
				}
			}
			if c.not != "" && strings.Contains(answer.whole, c.not) {
				t.Errorf("%q in the answer:\n%s", c.not, answer.whole)
			}
		}
	})
}

// Whoever can read the mailbox on the roster can say that a mail was theirs,
// once and within the hour.
func TestT01_T22_ATechnicianConfirmsAnUnverifiedMail(t *testing.T) {
	both(t, func(t *testing.T, o *office) {
		o.deliver(vouched(letter(ann, "the scanner", "It hums.")))
		o.post()
		ask := func(body string) posted {
			return o.only(postFrom(o, letter(tina, "Re: [IT-1001] the scanner", body)), mailout.Challenge)
		}
		yes := func(to posted, from, body string) []posted {
			return postFrom(o, letter(from, "Re: [IT-1001] Was this you?", body, "In-Reply-To: <"+to.Row.MessageID+">"))
		}
		q := ask("resolved\nreply\nThere is a new projector in it.")
		if q.Recipient != tina || !strings.Contains(q.whole, "> resolved") || strings.Contains(q.whole, "projector") {
			t.Errorf("the question to %s:\n%s", q.Recipient, q.whole)
		}
		if list := postFrom(o, letter(tina, "Re: [IT-1001] the scanner", "closed")); len(list) != 0 {
			t.Errorf("asked twice within the hour")
		}
		yes(q, ann, "yes")
		yes(q, tom, "yes")
		if s := o.show(1001).Ticket.Status; s != ticket.Open {
			t.Fatalf("somebody else's yes made the ticket %s", s)
		}
		list := yes(q, tina, "Yes.\n\nOn Monday, desk wrote:\n> Was this you?")
		d := o.show(1001)
		if d.Ticket.Status != ticket.Resolved {
			t.Errorf("after the yes the ticket is %s", d.Ticket.Status)
		}
		if m := o.only(list, mailout.Reply); m.Recipient != ann || !strings.Contains(m.whole, "new projector") {
			t.Errorf("the reply to %s:\n%s", m.Recipient, m.whole)
		}
		o.wantEvent(1001, "confirmed: the sender answered yes")
		// A second yes does nothing more.
		o.deliver(vouched(letter(tom, "Re: [IT-1001]", "reopen")))
		o.post()
		yes(q, tina, "yes")
		if s := o.show(1001).Ticket.Status; s != ticket.Open {
			t.Errorf("a second yes made the ticket %s", s)
		}
		// Nor does one that comes too late, or after the rights are gone.
		o.clock.add(2 * time.Hour)
		q = ask("waiting")
		o.clock.add(61 * time.Minute)
		if answer := o.only(yes(q, tina, "yes"), mailout.CommandError); !strings.Contains(answer.whole, "older than an hour") {
			t.Errorf("answer:\n%s", answer.whole)
		}
		if s := o.show(1001).Ticket.Status; s != ticket.Open {
			t.Errorf("a late yes made the ticket %s", s)
		}
	})
}

func TestATechnicianOpensATicketForSomebodyElse(t *testing.T) {
	o := quick(t)
	list := postFrom(o, vouched(letter(tina, "Fwd: scanner", "priority high\n\n---------- Forwarded message ---------\nFrom: Ann Miller <ann@example.org>\nDate: Mon, Mar 2, 2026\nSubject: scanner\nTo: Tina <tina@example.org>\n\nThe scanner hums.", "Reply-To: tina@private.example")))
	d := o.show(1001)
	if d.Ticket.Requester != ann || d.Ticket.RequesterName != "Ann Miller" || d.Ticket.Priority != ticket.High || d.Ticket.Subject != "scanner" {
		t.Errorf("ticket %+v", d.Ticket)
	}
	if ack := o.only(list, mailout.Acknowledgement); ack.Recipient != ann {
		t.Errorf("%s is told of the ticket", ack.Recipient)
	}
	if told := o.only(list, mailout.TeamNotice); !strings.Contains(told.whole, "The scanner hums.") || !strings.Contains(told.whole, "opened by tina@example.org for ann@example.org") {
		t.Errorf("the team is told\n%s", told.whole)
	}
	o.wantEvent(1001, "priority medium→high")
	// Her answer belongs to it.
	o.deliver(letter(ann, "Re: [IT-1001] scanner", "And it smokes."))
	if e := o.show(1001).Entries; e[len(e)-1].Author != ann {
		t.Errorf("entries %+v", e)
	}
}

func TestWhatStandsAboveAForwardIsForColleagues(t *testing.T) {
	o := quick(t)
	const aside = "Third time this week. Do we still have a spare one?"
	list := postFrom(o, vouched(letter(tina, "Fwd: scanner", "resolved\n\n"+aside+"\n\n---------- Forwarded message ---------\nFrom: Ann Miller <ann@example.org>\nSubject: scanner\n\nThe scanner hums.")))
	e := o.show(1001).Entries
	if len(e) != 2 || e[0].Visibility != "public" || !strings.Contains(e[0].Text, "The scanner hums.") || strings.Contains(e[0].Text+string(e[0].Blocks), aside) ||
		e[1].Visibility != "internal" || e[1].Kind != "note" || e[1].Text != aside || e[1].Author != tina {
		t.Errorf("entries %+v", e)
	}
	told := false
	for _, p := range list {
		switch {
		case p.Recipient == ann && strings.Contains(p.whole, aside):
			t.Errorf("%s tells the requester\n%s", p.Kind, p.whole)
		case p.Kind == string(mailout.TeamNotice):
			told = strings.Contains(p.whole, aside) && strings.Contains(p.whole, "The scanner hums.")
		}
	}
	if !told {
		t.Error("the team is not told of it")
	}
	if found, err := o.store.Search(t.Context(), store.SearchFilter{Words: "spare", Involved: []string{ann}}); err != nil || len(found.Hits) != 0 {
		t.Errorf("the requester finds %+v, %v", found.Hits, err)
	}
	if found, err := o.store.Search(t.Context(), store.SearchFilter{Words: "spare"}); err != nil || len(found.Hits) != 1 {
		t.Errorf("a technician finds %+v, %v", found.Hits, err)
	}
}

func TestWhoDidItAndWhoHasMutedAreNotTold(t *testing.T) {
	o := quick(t)
	o.deliver(vouched(letter(ann, "VPN", "It drops."))) // a team without a list: nina and tom
	o.post()
	list := postFrom(o, vouched(letter(nina, "Re: [IT-1001]", "take")))
	var told []string
	for _, m := range list {
		if m.Kind == string(mailout.TakenNotice) {
			told = append(told, m.Recipient)
		}
	}
	if !slices.Equal(told, []string{tom}) {
		t.Errorf("told of the taking: %v", told)
	}
	o.deliver(vouched(letter(nina, "Re: [IT-1001]", "mute")))
	o.post()
	if list := postFrom(o, letter(ann, "Re: [IT-1001]", "Still.")); len(list) != 1 || list[0].Recipient != tom {
		t.Errorf("%d mails of a ticket that its assignee has muted, want one to the rest of the team", len(list))
	}
	o.wantEvent(1001, "mail held back")
	o.deliver(vouched(letter(nina, "Re: [IT-1001]", "unmute")))
	o.post()
	if list := postFrom(o, letter(ann, "Re: [IT-1001]", "And still.")); len(list) != 1 {
		t.Errorf("%d mails once it is unmuted", len(list))
	}
	// The requester who resolves the own ticket as a technician hears of it once.
	o.deliver(vouched(letter(tom, "my own VPN", "It drops.")))
	o.post()
	for _, m := range postFrom(o, vouched(letter(nina, "Re: [IT-1002]", "resolved"))) {
		if m.Kind == string(mailout.StatusNotice) && m.Recipient != tom {
			t.Errorf("%s is told", m.Recipient)
		}
	}
}

// What a requester finds in a technician's copied mail routes an answer, and
// gives no right.
func TestT07_NoTokenIsEnoughByItself(t *testing.T) {
	both(t, func(t *testing.T, o *office) {
		o.deliver(vouched(letter(ann, "the scanner", "It hums.")))
		notice := o.only(o.post(), mailout.TeamNotice)
		transcript := o.only(postFrom(o, vouched(letter(tina, "Re: [IT-1001]", "take"))), mailout.Transcript)
		question := o.only(postFrom(o, letter(tina, "Re: [IT-1001]", "closed")), mailout.Challenge)
		entries := len(o.show(1001).Entries)
		for _, id := range []string{notice.Row.MessageID, transcript.Row.MessageID, question.Row.MessageID} {
			for _, from := range []string{ann, eve, tom} {
				for _, text := range []string{"closed", "yes", "undo"} {
					o.deliver(letter(from, "Re: the scanner", text, "In-Reply-To: <"+id+">", "References: <"+id+">"))
					o.clock.add(time.Minute)
				}
			}
		}
		for _, tk := range o.tickets() {
			if tk.Status != ticket.Open && tk.Status != ticket.InProgress {
				t.Errorf("%d is %s", tk.Number, tk.Status)
			}
		}
		d := o.show(1001)
		if d.Ticket.Status != ticket.InProgress || d.Ticket.Assignee != tina {
			t.Errorf("ticket %+v", d.Ticket)
		}
		for _, e := range d.Entries[entries:] {
			if e.Author == eve || e.Verified {
				t.Errorf("entry %+v", e)
			}
		}
	})
}

// A service that was given support@ as somebody's address sends its codes
// here: they are for technicians, and leave the desk for nobody.
func TestT13_ThirdPartiesAreNeverPassedOnToRequesters(t *testing.T) {
	both(t, func(t *testing.T, o *office) {
		o.deliver(vouched(letter(ann, "the scanner", "It hums.")))
		ack := o.only(o.post(), mailout.Acknowledgement)
		for i, fields := range [][]string{nil, {"In-Reply-To: <" + ack.Row.MessageID + ">"}, {"Auto-Submitted: auto-generated"}, {"Precedence: bulk"}} {
			for _, to := range []string{support, "support+1001@example.org"} {
				raw := vouched(letter("no-reply@service.example", "Re: [IT-1001] your code", "Your code is 739-104.", append(fields, "X-Nth: "+fmt.Sprint(i, to), "Message-ID: <"+fmt.Sprint(i, len(to))+"@service.example>", "Delivered-To: "+to)...))
				for _, m := range postFrom(o, raw) {
					if m.Recipient == ann || m.Recipient == "no-reply@service.example" || !strings.HasSuffix(m.Recipient, "@example.org") {
						t.Errorf("a %s goes to %s", m.Kind, m.Recipient)
					}
				}
			}
		}
		if e := o.show(1001).Entries; len(e) != 1 {
			t.Errorf("the requester's ticket got %d entries", len(e)-1)
		}
	})
}

func TestT14_ForgedReportsChangeNothing(t *testing.T) {
	both(t, func(t *testing.T, o *office) {
		o.deliver(vouched(letter(ann, "the scanner", "It hums.")))
		list := o.post()
		ack, notice := o.only(list, mailout.Acknowledgement), o.only(list, mailout.TeamNotice)
		o.deliver(vouched(letter(tina, "Re: [IT-1001]", "take\nquiet")))
		o.post()
		events := len(o.events(1001))
		o.deliver(bounce(altered(ack.Row.MessageID)), bounce("ann1@client.example"), strings.Replace(bounce("x@y.example"), "Subject: ", "Subject: Re: [IT-1001] ", 1))
		if got := len(o.events(1001)); got != events {
			t.Errorf("forged reports stand in the timeline: %v", o.events(1001)[events:])
		}
		// One about a mail to somebody else says whom that went to.
		o.deliver(bounce(notice.Row.MessageID))
		o.wantEvent(1001, "(the mail went to "+helpList+")")
		o.clock.add(8 * 24 * time.Hour)
		events = len(o.events(1001))
		o.deliver("X-Late: x\r\n" + bounce(ack.Row.MessageID))
		if got := len(o.events(1001)); got != events {
			t.Errorf("a report that comes after a week stands in the timeline: %v", o.events(1001)[events:])
		}
		// Receipts and complaints do nothing at all.
		receipt := letter(tina, "Read: [IT-1001]", "--b\nContent-Type: text/plain\n\nresolved\n--b\nContent-Type: message/disposition-notification\n\nFinal-Recipient: rfc822; "+tina+
			"\nOriginal-Message-ID: <"+notice.Row.MessageID+">\nDisposition: manual-action/MDN-sent-manually; displayed\n--b--", `Content-Type: multipart/report; report-type=disposition-notification; boundary="b"`)
		o.deliver(vouched(receipt))
		d := o.show(1001)
		if d.Ticket.Status != ticket.InProgress || d.Ticket.Assignee != tina || len(d.Entries) != 1 {
			t.Errorf("ticket %+v", d.Ticket)
		}
		if rest := o.post(); len(rest) != 0 {
			t.Errorf("%d mails because of reports", len(rest))
		}
		// Nobody is muted: the next answer reaches the technician.
		if m := o.only(postFrom(o, letter(ann, "Re: [IT-1001]", "Still.")), mailout.AnswerNotice); m.Recipient != tina {
			t.Errorf("the answer goes to %s", m.Recipient)
		}
	})
}

// A mail that a technician wrote to somebody else is as well proven when that
// one hands it on to the desk.
func TestT01_T06_AMailToSomebodyElseCommandsNothing(t *testing.T) {
	both(t, func(t *testing.T, o *office) {
		o.deliver(vouched(letter(ann, "the scanner", "It hums.")))
		o.post()
		for i, to := range []string{"To: " + eve, "To: undisclosed-recipients:;", "To: " + eve + "\r\nBcc: " + support} {
			o.deliver(vouched(letter(tina, "Re: [IT-1001] question", "Done.", to, fmt.Sprint("X-Nth: ", i), fmt.Sprintf("Message-ID: <handed%d@client.example>", i))))
			o.deliver(vouched(letter(tina, "today", "1001 closed", to, fmt.Sprint("X-Nth: ", i), fmt.Sprintf("Message-ID: <many%d@client.example>", i))))
		}
		if s := o.show(1001).Ticket.Status; s != ticket.Open {
			t.Errorf("the ticket is %s", s)
		}
		for _, to := range []string{"To: " + support, "To: " + eve + "\r\nCc: Desk <" + alias + ">"} {
			o.deliver(vouched(letter(tina, "Re: [IT-1001]", "reopen\nquiet", "To: "+support)))
			o.deliver(vouched(letter(tina, "Re: [IT-1001] question", "Done.", to)))
			if s := o.show(1001).Ticket.Status; s != ticket.Resolved {
				t.Errorf("%s: the ticket is %s", to, s)
			}
		}
	})
}

// Others' use of the limits must not make anybody believe that a command was
// obeyed.
func TestT17ErrorsAreToldWhateverOthersHaveUsedUp(t *testing.T) {
	o := quick(t, func(s *setup) { s.desk.Answers.Overall = 1 })
	o.deliver(vouched(letter(ann, "the scanner", "It hums.")))
	o.post()
	if list := postFrom(o, vouched(letter(tina, "Re: [IT-1001]", "take"))); len(list) == 0 || slices.ContainsFunc(list, func(m posted) bool { return m.Kind == string(mailout.Transcript) }) {
		t.Errorf("%d mails: the limit is used up, so no transcript goes out", len(list))
	}
	o.only(postFrom(o, vouched(letter(tina, "Re: [IT-1001]", "#resolvd"))), mailout.CommandError)
}

func TestBouncesOfAMergedTicketAreToldOnTheOneThatGoesOn(t *testing.T) {
	o := quick(t)
	o.deliver(vouched(letter(ann, "the scanner", "It hums.")), vouched(letter(ann, "scanner again", "It hums.")))
	var second string
	for _, m := range o.post() {
		if m.Kind == string(mailout.Acknowledgement) && m.Row.Ticket == 1002 {
			second = m.Row.MessageID
		}
	}
	o.deliver(vouched(letter(tina, "Re: [IT-1002]", "merge 1001\nquiet")), bounce(second))
	o.wantEvent(1001, "delivery report: "+ann+": failed (5.1.1)")
}

func TestUndoOfALinkLeavesAnOlderOne(t *testing.T) {
	o := quick(t)
	o.deliver(vouched(letter(ann, "the scanner", "It hums.")), vouched(letter(ann, "the mouse", "It squeaks.")))
	o.deliver(vouched(letter(tom, "Re: [IT-1001]", "link 1002")), vouched(letter(tina, "Re: [IT-1001]", "link 1002")), vouched(letter(tina, "Re: [IT-1001]", "undo")))
	if l := o.show(1001).Links; len(l) != 1 {
		t.Errorf("links %+v", l)
	}
}

func TestT16_WhatIsPassedOnFromANoReplyAddressIsNotAcknowledged(t *testing.T) {
	o := quick(t)
	list := postFrom(o, vouched(letter(tina, "Fwd: your licence", "---------- Forwarded message ---------\nFrom: <no-reply@shop.example>\nDate: Mon, Mar 2, 2026\nSubject: your licence\nTo: Tina <tina@example.org>\n\nIt ends soon.")))
	for _, m := range list {
		if m.Recipient == "no-reply@shop.example" {
			t.Errorf("a %s goes to %s", m.Kind, m.Recipient)
		}
	}
	if d := o.show(1001); d.Ticket.Requester != "no-reply@shop.example" {
		t.Errorf("requester %s", d.Ticket.Requester)
	}
}
