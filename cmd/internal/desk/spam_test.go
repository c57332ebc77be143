package desk

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"deskd/mailout"
	"deskd/store"
	"deskd/triage"
	"deskd/triage/ticket"
)

func TestSpamIsHeardNoMore(t *testing.T) {
	both(t, func(t *testing.T, o *office) {
		o.deliver(letter(eve, "offer", "Buy!"))
		list := postFrom(o, vouched(letter(tina, "Re: [IT-1001]", "spam")))
		for _, m := range list {
			if m.Recipient == eve {
				t.Errorf("a %s goes to the sender of spam", m.Kind)
			}
		}
		d := o.show(1001)
		if d.Ticket.Status != ticket.Closed || !slices.Contains(d.Ticket.Tags, "spam") {
			t.Errorf("%+v", d.Ticket)
		}
		o.post()
		o.deliver(letter(eve, "another offer", "Buy more!"), letter(eve, "Re: [IT-1001]", "Well?"))
		o.wantFates("new_ticket appended spam spam")
		list = postFrom(o, vouched(letter(tina, "Re: [IT-1001]", "not spam")))
		if d := o.show(1001); d.Ticket.Status != ticket.Open || slices.Contains(d.Ticket.Tags, "spam") {
			t.Errorf("%+v", d.Ticket)
		}
		o.only(list, mailout.Transcript)
		o.deliver(letter(eve, "a question", "May I?"))
		o.wantFates("new_ticket appended spam spam appended new_ticket")
		// Undo does the same.
		o.deliver(vouched(letter(tina, "Re: [IT-1002]", "spam")), vouched(letter(tina, "Re: [IT-1002]", "undo")), letter(eve, "one more", "May I?"))
		if d := o.show(1002); d.Ticket.Status != ticket.Open || slices.Contains(d.Ticket.Tags, "spam") {
			t.Errorf("after the undo: %+v", d.Ticket)
		}
		o.wantFates("new_ticket appended spam spam appended new_ticket appended appended new_ticket")
	})
}

// TestEachMarkOfSpamCountsForItself has several tickets of one sender marked,
// and marks taken back.
func TestEachMarkOfSpamCountsForItself(t *testing.T) {
	both(t, func(t *testing.T, o *office) {
		sent := 0
		say := func(n int, what string) string {
			t.Helper()
			o.clock.add(time.Minute)
			sent++
			raw := letter(tina, fmt.Sprintf("Re: [IT-%d]", n), what, fmt.Sprintf("Message-ID: <said%d@example.org>", sent))
			return o.only(postFrom(o, vouched(raw)), mailout.Transcript).whole
		}
		heard := func(when string, proven, unproven bool) {
			t.Helper()
			for _, c := range []struct {
				raw  func(string) string
				want bool
			}{{vouched, proven}, {func(s string) string { return s }, unproven}} {
				sent++
				o.deliver(c.raw(letter(ann, fmt.Sprint("mail ", sent), fmt.Sprint("x", sent))))
				if last := o.intakes()[len(o.intakes())-1]; (last.Fate == store.FateNewTicket) != c.want {
					t.Errorf("%s: mail %d is %s", when, sent, last.Fate)
				}
				o.post()
				o.clock.add(time.Minute)
			}
		}
		o.deliver(letter(ann, "forged", "Buy!"), vouched(letter(ann, "real", "It hums."))) // 1001, 1002
		o.deliver(vouched(letter(ann, "third", "It squeaks.")))                            // 1003
		o.post()
		say(1001, "spam")
		heard("the forged one is marked", true, false) // 1004
		say(1002, "spam")
		heard("both are marked", false, false)
		if text := say(1002, "undo"); !strings.Contains(text, "stays blocked") {
			t.Errorf("the transcript does not say that she stays blocked:\n%s", text)
		}
		heard("the second mark is taken back", true, false) // 1005
		say(1002, "spam")
		say(1001, "not spam")
		heard("no spam, says the first one", true, true) // 1006, 1007
		say(1001, "undo")
		heard("and takes it back", false, false)
		if d := o.show(1001); !slices.Contains(d.Ticket.Tags, triage.SpamTag) {
			t.Error("the first one is not marked again")
		}
		if text := say(1003, "not spam"); !strings.Contains(text, "is heard again") {
			t.Errorf("the transcript does not say that she is heard:\n%s", text)
		}
		heard("no spam, says a ticket that has no mark", true, true) // 1008, 1009
		o.wantEvent(1003, "blocked")
		say(1003, "undo")
		heard("and takes it back", false, false)
		say(1003, "undo") // of the undo
		heard("and takes that back", true, true)
		if d := o.show(1003); slices.Contains(d.Ticket.Tags, triage.SpamTag) || d.Ticket.Status != ticket.Open {
			t.Errorf("the ticket that has no mark: %+v", d.Ticket)
		}
		events := len(o.events(1003))
		say(1003, "not spam")
		if got := o.events(1003); len(got) != events {
			t.Errorf("what changes nothing is told: %v", got[events:])
		}
		// The first ticket has its mark, which does not hold any more.
		o.clock.add(time.Hour) // so many answers an hour
		say(1001, "spam")
		heard("spam after all", true, false)
		say(1001, "undo")
		heard("and takes it back", true, true)
		if d := o.show(1001); !slices.Contains(d.Ticket.Tags, triage.SpamTag) || d.Ticket.Status != ticket.Closed {
			t.Errorf("the ticket that has a mark: %+v", d.Ticket)
		}
	})
}

// TestWhatIsSaidOfSpamTwiceIsTakenBackOnce has two technicians say that a sender
// sends no spam, and one of them take it back.
func TestWhatIsSaidOfSpamTwiceIsTakenBackOnce(t *testing.T) {
	t.Parallel()
	for _, first := range []bool{true, false} {
		t.Run(fmt.Sprintf("the first of them %t", first), func(t *testing.T) {
			both(t, func(t *testing.T, o *office) {
				o.deliver(vouched(letter(ann, "cheap", "x")), vouched(letter(ann, "another", "x")))
				o.deliver(vouched(letter(tina, "Re: [IT-1001]", "spam")))
				o.deliver(vouched(letter(tina, "Re: [IT-1002]", "not spam")))
				o.deliver(vouched(letter(tom, "Re: [IT-1001]", "not spam")))
				if first {
					o.deliver(vouched(letter(tina, "Re: [IT-1002]", "undo")))
				} else {
					o.deliver(vouched(letter(tom, "Re: [IT-1001]", "undo")))
				}
				o.deliver(vouched(letter(ann, "a third one", "x")))
				if fates := o.fates(); !strings.HasSuffix(fates, " new_ticket") {
					t.Error(fates)
				}
			})
		})
	}
}

// TestOneMailMarksSeveralTickets, and its undo says nothing that is not so when
// it is done.
func TestOneMailMarksSeveralTickets(t *testing.T) {
	both(t, func(t *testing.T, o *office) {
		o.deliver(vouched(letter(ann, "cheap", "x")), vouched(letter(ann, "another", "x")), vouched(letter(ann, "a third one", "x")))
		list := postFrom(o, vouched(letter(tina, "junk", "1001 spam\n1002 spam\n1003 spam")))
		o.only(list, mailout.Transcript)
		list = postFrom(o, vouched(letter(tina, "Re: [IT-1001]", "undo")))
		if m := o.only(list, mailout.Transcript); strings.Contains(m.whole, "stays blocked") {
			t.Errorf("the transcript says what is not so:\n%s", m.whole)
		}
		o.deliver(vouched(letter(ann, "one more", "x")))
		if fates := o.fates(); !strings.HasSuffix(fates, " new_ticket") {
			t.Error(fates)
		}
		for _, n := range []ticket.Number{1001, 1002, 1003} {
			if d := o.show(n); slices.Contains(d.Ticket.Tags, triage.SpamTag) || d.Ticket.Status != ticket.Open {
				t.Errorf("%+v", d.Ticket)
			}
		}
	})
}

// TestSpamOfNobodyIsTakenBackWhole: a ticket whose sender is not certain has no
// requester.
func TestSpamOfNobodyIsTakenBackWhole(t *testing.T) {
	both(t, func(t *testing.T, o *office) {
		o.deliver("From: " + bob + "\r\n" + letter(ann, "who am I", "x"))
		if d := o.show(1001); d.Ticket.Requester != "" {
			t.Fatalf("requester %q", d.Ticket.Requester)
		}
		for i, want := range []struct {
			say    string
			marked bool
			status ticket.Status
		}{{"spam", true, ticket.Closed}, {"not spam", false, ticket.Open}, {"undo", true, ticket.Closed}} {
			o.deliver(vouched(letter(tina, "Re: [IT-1001]", want.say, fmt.Sprintf("Message-ID: <%d@example.org>", i))))
			if d := o.show(1001); slices.Contains(d.Ticket.Tags, triage.SpamTag) != want.marked || d.Ticket.Status != want.status {
				t.Errorf("after %q: %s, tags %q", want.say, d.Ticket.Status, d.Ticket.Tags)
			}
		}
	})
}

func TestSpamInSomebodysNameDoesNotSilenceThem(t *testing.T) {
	both(t, func(t *testing.T, o *office) {
		o.deliver(letter(ann, "offer", "Buy!")) // nobody vouches for her
		o.deliver(vouched(letter(tina, "Re: [IT-1001]", "spam")), letter(ann, "another offer", "Buy!"), vouched(letter(ann, "the scanner", "It hums.")))
		o.wantFates("new_ticket appended spam new_ticket")
		o.deliver(vouched(letter(tina, "Re: [IT-1002]", "spam")), vouched(letter(ann, "the mouse", "It squeaks.")))
		o.wantFates("new_ticket appended spam new_ticket appended spam")
	})
}
