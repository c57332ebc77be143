package triage

import (
	"slices"
	"testing"

	"deskd/triage/ticket"
)

func TestT21MailOfAFloodIsKeptOnItsTicketAndToldToNobody(t *testing.T) {
	t.Parallel()
	r := desk(t)
	tickets := map[ticket.Number]Facts{1042: {Number: 1042, Mailbox: "support@example.com", Status: ticket.Open, Requester: "ann@example.com"}}
	for _, c := range []struct {
		name, from, subject string
		flood               Flood
		want                Fate
	}{
		{"the 21st", "eve@far.example", "hello", Flood{20, 1099}, Folded},
		{"the 20th", "eve@far.example", "hello", Flood{19, 1099}, NewTicket},
		{"that claims another's ticket", "eve@far.example", "Re: [IT-1042]", Flood{20, 1099}, Folded},
		{"on the own ticket", "ann@example.com", "Re: [IT-1042]", Flood{20, 1099}, Appended},
		{"of a technician", "noah@example.com", "hello", Flood{20, 1099}, NewTicket},
		{"of an administrator", "ada@example.com", "hello", Flood{20, 1099}, NewTicket},
		{"of no single author", "", "hello", Flood{20, 1099}, NewTicket},
		{"with nothing to fold into", "eve@far.example", "hello", Flood{20, 0}, NewTicket},
	} {
		m := proven(written(c.from, c.subject, "x"))
		m.Cc = []Address{{Addr: "carl@example.com"}}
		d := r.Decide(m, &Known{Mailbox: "support@example.com", Tickets: tickets, Flood: c.flood})
		if d.Fate != c.want {
			t.Errorf("%s: got %s, want %s", c.name, d.Fate, c.want)
		}
		if d.Fate == Folded && (d.Ticket != 1099 || d.Open != nil || len(d.Tell)+len(d.Joins)+len(d.Changes) != 0 || d.Write == nil || !slices.Contains(d.Write.Flags, "one of a flood")) {
			t.Errorf("%s: %+v", c.name, d)
		}
	}
	for from, want := range map[string]bool{"ann@example.com": true, "noah@example.com": false, "ada@example.com": false, "support@example.com": false, "": false} {
		if _, _, got := r.MayFlood(proven(written(from, "x", "y"))); got != want {
			t.Errorf("MayFlood of %q: %v", from, got)
		}
	}
	// Anybody can write under a technician's address.
	if _, _, got := r.MayFlood(written("noah@example.com", "x", "y")); !got {
		t.Error("an unproven technician is not counted")
	}
	if d := r.Decide(written("noah@example.com", "hello", "x"), &Known{Mailbox: "support@example.com", Flood: Flood{20, 1099}}); d.Fate != Folded {
		t.Errorf("an unproven technician's flood is %s", d.Fate)
	}
}
