package desk

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"deskd/mailin"
	"deskd/store"
	"deskd/triage"
	"deskd/triage/ticket"
)

func TestT21FloodOfOneSenderFoldsAndOthersAreServed(t *testing.T) {
	both(t, func(t *testing.T, o *office) {
		mails, batchSize := 10_000, 50
		if testing.Short() {
			mails = 500
		}
		good := map[string]bool{}
		var batch []mailin.Fetched
		for i := range mails {
			raw := letter(eve, fmt.Sprint("flood ", i), fmt.Sprint("canary ", i))
			if i%(mails/10) == mails/20 {
				who := fmt.Sprintf("good%d@example.org", len(good))
				good[who] = true
				raw = vouched(letter(who, "printer", "It is broken, says "+who))
			}
			if batch = append(batch, o.fetch(raw)); len(batch) == batchSize {
				o.handOver(batch)
				batch = nil
			}
		}
		fates := map[store.Fate]int{}
		for _, in := range o.intakes() {
			fates[in.Fate]++
			if in.Fate == store.FateFolded && (in.Ticket == 0 || in.Reason != "flood") {
				t.Errorf("folded into %d, %s", in.Ticket, in.Reason)
			}
		}
		if want := (map[store.Fate]int{store.FateNewTicket: 20 + 10, store.FateFolded: mails - 30}); len(fates) != 2 || fates[store.FateNewTicket] != want[store.FateNewTicket] || fates[store.FateFolded] != want[store.FateFolded] {
			t.Errorf("fates %v, want %v", fates, want)
		}
		var newest store.Ticket
		for _, tk := range o.tickets() {
			switch {
			case good[tk.Requester]:
			case tk.Requester == eve:
				newest = tk
			default:
				t.Errorf("a ticket of %s", tk.Requester)
			}
		}
		if d := o.show(newest.Number); len(d.Entries) < 50 && len(d.Entries) != mails-30+1 {
			t.Errorf("%d entries on the ticket of the flood", len(d.Entries))
		}
		acks, notices, toEve := 0, 0, 0
		for _, row := range o.rows() {
			switch {
			case row.Recipient == eve:
				toEve++
			case row.Kind == "acknowledgement" && good[row.Recipient]:
				acks++
			case strings.Contains(row.Kind, "notice"):
				notices++
			}
		}
		if acks != 10 || notices > 30 || toEve > 1 {
			t.Errorf("%d acknowledgements to others, %d notices, %d mails to the flood's sender", acks, notices, toEve)
		}
		// Afterwards the sender is one like any other.
		o.clock.add(time.Hour + time.Second)
		o.deliver(letter(eve, "later", "x"))
		if in := o.intakes(); in[len(in)-1].Fate != store.FateNewTicket {
			t.Errorf("an hour later: %s", in[len(in)-1].Fate)
		}
	}, quiet)
}

func TestT21OnlyWhatWouldOpenATicketFolds(t *testing.T) {
	both(t, func(t *testing.T, o *office) {
		var raws []string
		for i := range 20 {
			raws = append(raws, letter(eve, fmt.Sprint("n ", i), "x"), letter(ann, fmt.Sprint("n ", i), "forged"), letter(tina, fmt.Sprint("n ", i), "of the team"),
				letter(fmt.Sprintf("bot%d@example.net", i), fmt.Sprint("n ", i), "one of many senders"),
				letter("x"+fmt.Sprint(i)+"@example.net, y@example.net", fmt.Sprint("n ", i), "of two authors"))
		}
		o.deliver(raws...)
		for _, c := range []struct {
			name, raw string
			want      store.Fate
		}{
			{"one more", letter(eve, "more", "x"), store.FateFolded},
			{"in capitals", letter("EVE@example.net", "more still", "x"), store.FateFolded},
			{"that names a foreign ticket", letter(eve, "Re: [IT-1002]", "x"), store.FateFolded},
			{"on the own ticket", letter(eve, "Re: [IT-1001] n 0", "x"), store.FateAppended},
			{"forged", letter(ann, "more", "x"), store.FateFolded},
			{"of the person who was forged", vouched(letter(ann, "mine", "It is really me.")), store.FateNewTicket},
			{"of a technician", vouched(letter(tina, "more", "x")), store.FateNewTicket},
			{"in a technician's name", letter(tina, "more in her name", "x"), store.FateFolded},
			{"of many senders", letter("bot99@example.net", "more", "x"), store.FateNewTicket},
			{"of two authors", letter("x@example.net, y@example.net", "more", "x"), store.FateNewTicket},
			{"a vacation answer", letter(eve, "more", "x", "Auto-Submitted: auto-replied"), store.FateAutomatic},
		} {
			before := len(o.tickets())
			o.deliver(c.raw)
			in := o.intakes()
			got := in[len(in)-1]
			if got.Fate != c.want {
				t.Errorf("%s: got %s (%s), want %s", c.name, got.Fate, got.Reason, c.want)
			}
			if opened := len(o.tickets()) > before; opened != (c.want == store.FateNewTicket) {
				t.Errorf("%s: opened a ticket: %v", c.name, opened)
			}
		}
		d := o.show(o.intakes()[100].Ticket)
		if d.Ticket.Requester != eve || len(d.Entries) != 4 || !slices.Contains(d.Entries[1].Flags, "one of a flood") {
			t.Errorf("the flood's ticket %+v", d.Ticket)
		}
	}, quiet)
}

func TestT21FloodIsCountedForEachMailboxAndAlias(t *testing.T) {
	o := quick(t, quiet, func(s *setup) {
		s.policy.People = []triage.Person{{Address: eve, Aliases: []string{"eva@example.net"}}}
	})
	for i := range 20 {
		o.deliver(letter([]string{eve, "eva@example.net"}[i%2], fmt.Sprint("n ", i), "x"))
	}
	elsewhere := o.fetch(letter(eve, "elsewhere", "x"))
	elsewhere.Box.Mailbox = second
	o.handOver([]mailin.Fetched{elsewhere})
	o.deliver(letter("eva@example.net", "more", "x"))
	o.wantFates(strings.Repeat("new_ticket ", 21) + "folded")
}

func TestT21FloodIsFoldedWhereABatchIsReplayedMailByMail(t *testing.T) {
	o := quick(t)
	var batch []mailin.Fetched
	for i := range 25 {
		batch = append(batch, o.fetch(letter(eve, fmt.Sprint("n ", i), "x")))
	}
	if _, err := o.Deliver(t.Context(), append(batch, batch[0])); err != nil { // twice in one batch: the quick way fails
		t.Fatal(err)
	}
	o.wantFates(strings.TrimSpace(strings.Repeat("new_ticket ", 20) + strings.Repeat("folded ", 5)))
	if !strings.Contains(o.log.String(), "replayed one by one") {
		t.Error("nothing was replayed")
	}
}

// A flood goes on where somebody may see it: on a ticket that is not done.
func TestT21FloodIsNotFoldedIntoADoneTicket(t *testing.T) {
	o := quick(t, quiet)
	for i := range 20 {
		o.deliver(letter(eve, fmt.Sprint("n ", i), "x"))
	}
	o.deliver(vouched(letter(tina, "Re: [IT-1020]", "closed\nquiet")))
	o.deliver(letter(eve, "more", "x"))
	in := o.intakes()
	if last := in[len(in)-1]; last.Fate != store.FateFolded || last.Ticket != 1019 {
		t.Errorf("with one of them done: %s on %d", last.Fate, last.Ticket)
	}
	var lines []string
	for i := range 19 {
		lines = append(lines, fmt.Sprintf("%d closed", 1001+i))
	}
	for chunk := range slices.Chunk(lines, 5) {
		o.deliver(vouched(letter(tina, "all of them", strings.Join(chunk, "\n"))))
	}
	o.deliver(letter(eve, "still more", "x"), letter(eve, "and more", "x"))
	in = o.intakes()
	if a, b := in[len(in)-2], in[len(in)-1]; a.Fate != store.FateNewTicket || b.Fate != store.FateFolded || b.Ticket != a.Ticket {
		t.Errorf("with all of them done: %s on %d, %s on %d", a.Fate, a.Ticket, b.Fate, b.Ticket)
	}
}

func TestT21SameSubjectOfManySendersIsLinkedAndFoldsNot(t *testing.T) {
	both(t, func(t *testing.T, o *office) {
		from := func(i int) string { return fmt.Sprintf("p%d@example.org", i) }
		o.deliver(letter(from(0), "VPN down", "Since noon."), letter(from(1), "vpn down!", "Here too."))
		for i := range 18 {
			o.deliver(letter(from(10+i), fmt.Sprint("request ", i), "x"))
		}
		o.deliver(letter(from(30), "Re: VPN: down", "Me too."), letter(from(31), "!?", "x"), letter(from(31), "!?", "y"), letter(from(0), "VPN down", "Still."), letter(from(32), "printer", "x"), letter(from(33), "Printer", "x"))
		linked := map[ticket.Number]ticket.Number{}
		for _, tk := range o.tickets() {
			for _, l := range o.show(tk.Number).Links {
				if l.Kind == "same subject" && l.From == tk.Number {
					linked[l.From] = l.To
				}
			}
		}
		// Before there were twenty nobody was linked; the first of the storm is
		// one of those.
		if want := map[ticket.Number]ticket.Number{1021: 1001, 1026: 1025}; !maps.Equal(linked, want) {
			t.Errorf("linked %v, want %v", linked, want)
		}
		if fates := strings.Count(o.fates(), "new_ticket"); fates != 26 {
			t.Errorf("%d tickets, want one for each: %s", fates, o.fates())
		}
		o.clock.add(time.Hour + time.Second)
		o.deliver(letter(from(40), "VPN down", "Again."))
		if l := o.last().Links; len(l) != 0 {
			t.Errorf("linked to what was an hour ago: %v", l)
		}
	}, quiet)
}
