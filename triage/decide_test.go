package triage

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"deskd/triage/ticket"
)

// facts is a ticket of ann's at the network team.
func facts() Facts {
	return Facts{
		Number: 1042, Mailbox: "support@example.com", Subject: "VPN drops", Status: ticket.InProgress, Priority: ticket.High,
		Team: NetworkTeam, Requester: "ann@example.com", Participants: []string{"bob@example.com"}, Key: []byte("key of 1042"),
	}
}

func knowing(f ...Facts) *Known {
	k := &Known{Mailbox: "support@example.com", Tickets: map[ticket.Number]Facts{}, ByID: map[string][]ticket.Number{}}
	for _, one := range f {
		k.Tickets[one.Number] = one
	}
	return k
}

// outcome is a decision in a line: fate reason [entry] [changes] [told].
func outcome(d Decision) string {
	s := string(d.Fate) + " " + d.Reason
	if d.Open != nil && d.Open.Linked != 0 {
		s += fmt.Sprintf(" linked %d as %s", d.Open.Linked, d.Open.LinkedAs)
	} else if d.Ticket != 0 {
		s += fmt.Sprintf(" %d", d.Ticket)
	}
	switch {
	case d.Write == nil:
	case d.Write.Note:
		s += ", note"
	default:
		s += ", message"
	}
	if d.Write != nil && d.Write.Aside != "" {
		s += ", aside"
	}
	for _, c := range d.Changes {
		s += fmt.Sprintf(", %s→%s", c.Before, c.After)
	}
	for _, t := range d.Tell {
		s += ", tell " + string(t)
	}
	return s
}

// attaching adds a file.
func attaching(m *Message) *Message {
	m.Attachments = []Attachment{{Part: "2", Name: "plan.pdf", Size: 4}}
	return m
}

func TestDecide(t *testing.T) {
	t.Parallel()
	r := desk(t)
	key := facts().Key
	signed := r.signer.MessageID(1042, key, "ticket:1042/notice", "example.com")
	token := r.signer.AddressToken(1042, key)
	with := func(change func(*Facts)) Facts { f := facts(); change(&f); return f }
	resolved := with(func(f *Facts) { f.Status = ticket.Resolved })
	closed := with(func(f *Facts) { f.Status = ticket.Closed })
	tag := "Re: [IT-1042] VPN drops"
	for _, c := range []struct {
		name string
		msg  *Message
		k    *Known
		want string
	}{
		{"new", written("ann@example.com", "Help", "x"), knowing(), "new_ticket new-request, message, tell acknowledge, tell notify team"},
		{"tag of a ticket that is not there", written("ann@example.com", "[IT-9] Help", "x"), knowing(), "new_ticket new-request, message, tell acknowledge, tell notify team"},
		{"answer by tag", written("ann@example.com", tag, "x"), knowing(facts()), "appended answer 1042, message, tell answer"},
		{"answer of a participant", written("bob@example.com", tag, "x"), knowing(facts()), "appended answer 1042, message, tell answer"},
		{"answer by signed id", answering(written("ann@example.com", "VPN", "x"), signed), knowing(facts()), "appended answer 1042, message, tell answer"},
		{"answer by token", to(written("ann@example.com", "VPN", "x"), "support+"+token+"@example.com"), knowing(facts()), "appended answer 1042, message, tell answer"},
		{"answer to a waiting ticket", written("ann@example.com", tag, "x"), knowing(with(func(f *Facts) { f.Status = ticket.Waiting })), "appended answer 1042, message, waiting→open, tell answer"},
		{"answer to a resolved ticket", written("ann@example.com", tag, "Still broken"), knowing(resolved), "appended reopened 1042, message, resolved→open, tell answer"},
		{"thanks to a resolved ticket", written("ann@example.com", tag, "Thank you!"), knowing(resolved), "appended thanks 1042, message"},
		{"answer to a closed ticket", written("ann@example.com", tag, "Again"), knowing(closed), "new_ticket closed-ticket linked 1042 as follow-up, message, tell acknowledge, tell notify team"},
		{"requester closes", proven(written("ann@example.com", tag, "Close.")), knowing(facts()), "appended answer 1042, message, in_progress→closed, tell answer"},
		{"somebody closes in the requester's name", written("ann@example.com", tag, "close"), knowing(facts()), "appended answer 1042, message, tell answer"},
		{"reply with nothing but a file", attaching(proven(written("noah@example.com", tag, "reply"))), knowing(facts()), "appended commands 1042, message, tell reply, tell transcript"},
		{"reply with nothing", proven(written("noah@example.com", tag, "reply")), knowing(facts()), "appended command-error 1042, note, tell error"},
		{"requester writes a technician's command", proven(written("ann@example.com", tag, "resolved")), knowing(facts()), "appended answer 1042, message, tell answer"},
		{"forward", written("ann@example.com", "Fwd: [IT-1042] VPN", "see below"), knowing(facts()), "new_ticket forward linked 1042 as forward, message, tell acknowledge, tell notify team"},
		{"other mailbox", written("ann@example.com", tag, "x"), knowing(with(func(f *Facts) { f.Mailbox = "hr-it@example.com" })), "new_ticket other-mailbox linked 1042 as other mailbox, message, tell acknowledge, tell notify team"},

		{"technician's note", proven(written("noah@example.com", tag, "It is the gateway.")), knowing(facts()), "appended note 1042, note"},
		{"technician's note to the assignee", proven(written("noah@example.com", tag, "x")), knowing(with(func(f *Facts) { f.Assignee = "nadia@example.com" })), "appended note 1042, note, tell note"},
		{"technician resolves", proven(written("noah@example.com", tag, "resolved\nNew cable.")), knowing(facts()), "appended commands 1042, note, in_progress→resolved, tell status, tell transcript"},
		{"technician resolves without words", proven(written("noah@example.com", tag, "Done.")), knowing(facts()), "appended commands 1042, in_progress→resolved, tell status, tell transcript"},
		{"technician replies", proven(written("noah@example.com", tag, "reply\nHello Ann")), knowing(facts()), "appended commands 1042, message, tell reply, tell transcript"},
		{"technician replies and resolves", proven(written("noah@example.com", tag, "resolved\nreply\nHello Ann")), knowing(facts()), "appended commands 1042, message, in_progress→resolved, tell reply, tell transcript"},
		{"take", proven(written("noah@example.com", tag, "take")), knowing(with(func(f *Facts) { f.Status = ticket.Open })), "appended commands 1042, open→in_progress, tell status, tell taken, tell transcript"},
		{"take and in progress", proven(written("noah@example.com", tag, "in progress\ntake")), knowing(with(func(f *Facts) { f.Status = ticket.Open })), "appended commands 1042, open→in_progress, tell status, tell taken, tell transcript"},
		{"administrator", proven(written("ada@example.com", tag, "waiting")), knowing(facts()), "appended commands 1042, in_progress→waiting, tell status, tell transcript"},
		{"not in the table", proven(written("noah@example.com", tag, "reopen\nx")), knowing(facts()), "appended command-error 1042, note, tell error"},
		{"mistyped", proven(written("noah@example.com", tag, "#resolvd\nx")), knowing(facts()), "appended command-error 1042, note, tell error"},
		{"one bad line spoils all", proven(written("noah@example.com", tag, "resolved\n#foo\nx")), knowing(facts()), "appended command-error 1042, note, tell error"},
		{"spoofed technician", written("noah@example.com", tag, "resolved\nx"), knowing(facts()), "unverified sender-not-verified 1042, note, tell challenge"},
		{"technician on the own ticket", proven(written("noah@example.com", tag, "resolved")), knowing(with(func(f *Facts) { f.Requester = "noah@example.com" })), "appended answer 1042, message, tell answer"},
		{"technician's fresh mail", proven(written("noah@example.com", "My VPN", "resolved")), knowing(), "refused command-error, tell error"},
		{"technician's new request", proven(written("noah@example.com", "My VPN", "It is slow.")), knowing(), "new_ticket new-request, message, tell acknowledge, tell notify team"},
		{"ambiguous mail of a technician", ambiguous(proven(written("noah@example.com", tag, "resolved"))), knowing(facts()), "appended command-error 1042, note, tell error"},
		{"ambiguous mail without commands", ambiguous(proven(written("noah@example.com", tag, "hm"))), knowing(facts()), "appended note 1042, note"},

		{"known mail", written("ann@example.com", "Help", "x"), twin(knowing(facts()), 1042), "duplicate known-mail 1042"},
		{"bounce", answering(report(written("", "failed", "x")), signed), knowing(facts()), "bounce delivery-report 1042"},
		{"bounce that names a ticket in its subject only (T14)", report(written("", tag, "x")), knowing(facts()), "bounce delivery-report"},
		{"technician's mail marked as bulk", bulk(proven(written("noah@example.com", tag, "resolved"))), knowing(facts()), "appended bulk-mail 1042, note"},
		{"oversize answer to a resolved ticket", oversize(written("ann@example.com", tag, "")), knowing(resolved), "oversize oversize 1042, note, resolved→open, tell answer"},
		{"oversize vacation answer", oversize(auto(written("eve@example.net", "away", ""))), knowing(), "automatic automatic"},
		{"ticket of a mailbox that was renamed", proven(written("noah@example.com", tag, "resolved")), knowing(with(func(f *Facts) { f.Mailbox = "old@example.com" })), "appended commands 1042, in_progress→resolved, tell status, tell transcript"},
		{"ticket of an alias", proven(written("noah@example.com", tag, "resolved")), knowing(with(func(f *Facts) { f.Mailbox = "help@example.com" })), "appended commands 1042, in_progress→resolved, tell status, tell transcript"},
		{"bounce of nothing known", report(written("", "failed", "x")), knowing(), "bounce delivery-report"},
		{"vacation answer", auto(written("ann@example.com", tag, "away")), knowing(resolved), "automatic automatic 1042"},
		{"vacation answer to nothing", auto(written("ann@example.com", "away", "away")), knowing(), "automatic automatic"},
		{"vacation answer of a stranger", auto(written("eve@example.net", tag, "away")), knowing(facts()), "automatic automatic"},
		{"vacation answer of a technician", auto(proven(written("noah@example.com", tag, "resolved"))), knowing(facts()), "automatic automatic 1042"},
		{"newsletter", bulk(written("news@shop.example", "Offers", "x")), knowing(), "new_ticket new-request, message"},
		{"oversize", oversize(written("ann@example.com", "Big", "")), knowing(), "oversize oversize, message, tell acknowledge, tell notify team"},
		{"oversize answer", oversize(written("ann@example.com", tag, "")), knowing(facts()), "oversize oversize 1042, note, tell answer"},
		{"no sender", written("", "Help", "x"), knowing(), "new_ticket new-request, message, tell notify team"},
		{"from our own address", written("support@example.com", tag, "resolved"), knowing(facts()), "loop own-mail"},
		{"from an alias of ours", written("help@example.com", "x", "x"), knowing(), "loop own-mail"},
		{"a person as the desk", proven(written("support@example.com", tag, "Hello Ann")), knowing(facts()), "appended written-as-the-desk 1042, message"},
		{"a program as the desk", auto(proven(written("support@example.com", tag, "Hello"))), knowing(facts()), "loop own-mail"},
	} {
		if got := outcome(r.Decide(c.msg, c.k)); got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.name, got, c.want)
		}
	}
}

func answering(m *Message, id string) *Message { m.InReplyTo = []string{id}; return m }
func to(m *Message, addr string) *Message      { m.Recipients = []string{addr}; return m }
func ambiguous(m *Message) *Message            { m.Ambiguous = true; return m }
func oversize(m *Message) *Message             { m.Oversize, m.Size = true, 30<<20; return m }
func report(m *Message) *Message {
	m.Report = &Report{Kind: DeliveryReport, Recipients: []ReportRecipient{{Address: "ann@example.com", Action: "failed", Status: "5.1.1"}}}
	return m
}

func auto(m *Message) *Message {
	m.Header = append(m.Header, Field{"Auto-Submitted", "auto-replied"})
	return m
}

func bulk(m *Message) *Message {
	m.Header = append(m.Header, Field{"Precedence", "bulk"}, Field{"List-Unsubscribe", "<mailto:x@shop.example>"})
	return m
}

func twin(k *Known, n ticket.Number) *Known { k.Twin = &Twin{Intake: 1, Ticket: n}; return k }

func TestT05StrangerWithAReferenceGetsATicketOfHisOwn(t *testing.T) {
	t.Parallel()
	r := desk(t)
	signed := r.signer.MessageID(1042, facts().Key, "ticket:1042/acknowledgement", "example.com")
	for name, m := range map[string]*Message{
		"tag":       written("eve@example.net", "Re: [IT-1042] VPN", "resolved"),
		"signed id": answering(written("eve@example.net", "VPN", "resolved"), signed),
		"token":     to(written("eve@example.net", "VPN", "x"), "support+"+r.signer.AddressToken(1042, facts().Key)+"@example.com"),
	} {
		d := r.Decide(m, knowing(facts()))
		if got, want := outcome(d), "new_ticket not-a-participant linked 1042 as claims, message, tell acknowledge, tell notify team"; got != want {
			t.Errorf("%s:\n got %s\nwant %s", name, got, want)
		}
	}
	// To the stranger a valid and an invalid reference look the same.
	valid := r.Decide(written("eve@example.net", "Re: [IT-1042] VPN", "x"), knowing(facts()))
	invalid := r.Decide(written("eve@example.net", "Re: [IT-9999] VPN", "x"), knowing(facts()))
	if fmt.Sprint(valid.Tell) != fmt.Sprint(invalid.Tell) || valid.Open.Subject != invalid.Open.Subject {
		t.Errorf("valid: %v %q, invalid: %v %q", valid.Tell, valid.Open.Subject, invalid.Tell, invalid.Open.Subject)
	}
}

func TestT06ForgedIDsLeadNowhere(t *testing.T) {
	t.Parallel()
	r := desk(t)
	good := r.signer.MessageID(1042, facts().Key, "ticket:1042/notice", "example.com")
	restored := facts()
	restored.Key = []byte("another ticket that got the number again")
	for _, c := range []struct {
		name, id string
		f        Facts
	}{
		{"altered MAC", strings.Replace(good, "@", "a@", 1), facts()},
		{"number of another ticket", strings.Replace(good, ".1042.", ".1041.", 1), func() Facts { f := facts(); f.Number = 1041; return f }()},
		{"ticket of a restored database (F21)", good, restored},
	} {
		d := r.Decide(answering(written("ann@example.com", "VPN", "x"), c.id), knowing(c.f))
		if d.Match.How != NoMatch || d.Fate != NewTicket {
			t.Errorf("%s: got %+v, %s", c.name, d.Match, d.Fate)
		}
	}
}

func TestMatchingOrder(t *testing.T) {
	t.Parallel()
	r := desk(t)
	f := func(n ticket.Number) Facts {
		return Facts{Number: n, Requester: "ann@example.com", Status: ticket.Open, Key: []byte(n.String())}
	}
	ann := Sender{Address: "ann@example.com"}
	m := written("ann@example.com", "Re: [IT-5] x", "y")
	m.References = []string{"stored-old@x", "stored-new@x", r.signer.MessageID(3, []byte("3"), "k", "h")}
	m.InReplyTo = []string{"unknown@x"}
	m.Recipients = []string{"support+" + r.signer.AddressToken(2, []byte("2")) + "@example.com"}
	k := knowing(f(2), f(3), f(4), f(5), f(6))
	k.ByID = map[string][]ticket.Number{"stored-new@x": {4}, "stored-old@x": {6}}
	for _, want := range []Match{{2, ByToken, ""}, {3, BySignedID, ""}, {4, ByMessageID, "stored-new@x"}, {6, ByMessageID, "stored-old@x"}, {5, ByTag, "[IT-5]"}, {0, NoMatch, ""}} {
		got := r.match(m, k, ann)
		if got.Ticket != want.Ticket || got.How != want.How || want.Lead != "" && got.Lead != want.Lead {
			t.Errorf("got %+v, want %+v", got, want)
		}
		delete(k.Tickets, want.Ticket)
	}
	k = knowing(f(2), f(8))
	k.Merged = map[ticket.Number]ticket.Number{2: 7, 7: 8}
	if got := r.match(m, k, ann); got.Ticket != 8 {
		t.Errorf("merged ticket: got %+v, want 8", got)
	}
	k.Merged = map[ticket.Number]ticket.Number{2: 7, 7: 2}
	r.match(m, k, ann) // a ring ends
}

func TestT06StrangersTicketDoesNotCatchAThread(t *testing.T) {
	t.Parallel()
	r := desk(t)
	mine := facts()
	caught := Facts{Number: 1050, Mailbox: "support@example.com", Status: ticket.Open, Requester: "eve@example.net"}
	other := facts()
	other.Number, other.Mailbox = 1043, "hr-it@example.com"
	done := facts()
	done.Number, done.Status = 1044, ticket.Closed
	for _, c := range []struct {
		from string
		k    *Known
		want ticket.Number
	}{
		{"ann@example.com", knowing(mine, caught), 1042},
		{"ann@example.com", knowing(mine, other), 1042}, // one mail to two mailboxes
		{"ann@example.com", knowing(mine, done), 1042},
		{"bob@example.net", knowing(mine, caught), 1042}, // no part in either: the first
	} {
		for n := range c.k.Tickets {
			c.k.ByID["first@x"] = append(c.k.ByID["first@x"], n)
		}
		slices.Sort(c.k.ByID["first@x"])
		if got := r.match(answering(written(c.from, "VPN", "x"), "first@x"), c.k, Sender{Address: c.from}); got.Ticket != c.want {
			t.Errorf("%s among %v: got %d, want %d", c.from, c.k.ByID["first@x"], got.Ticket, c.want)
		}
	}
}

func TestLeadsNameAllThatIsToBeLookedUp(t *testing.T) {
	t.Parallel()
	r := desk(t)
	m := written("ann@example.com", "Re: [IT-5] [IT-6] x", "y")
	m.References = []string{"a@x", "b@x", "a@x", r.signer.MessageID(3, []byte("3"), "k", "h"), "deskd.9.aaaaaaaa.aaaaaaaaaaaaaaaa.aaaaaaaaaaaaaaaa@h"}
	m.InReplyTo = []string{"c@x"}
	l := r.Leads(m, noon)
	if fmt.Sprint(l.Numbers) != "[3 5 6]" || l.Given != 3 || len(l.IDs) != 5 || l.IDs[0] != "c@x" || l.IDs[4] != "b@x" {
		t.Errorf("got %+v", l)
	}
}

func TestT12OnlyAuthenticatedMailBringsParticipants(t *testing.T) {
	t.Parallel()
	r := desk(t)
	cc := []Address{{Addr: "Bob@example.com"}, {Addr: "support@example.com"}, {Addr: "network@example.com"}, {Addr: "noah@example.com"}, {Addr: "ann@example.com"}, {}}
	m := written("ann@example.com", "x", "y")
	m.Cc = cc
	if d := r.Decide(m, knowing()); len(d.Joins) != 0 {
		t.Errorf("unproven: %v", d.Joins)
	}
	m = proven(written("ann@example.com", "x", "y"))
	m.Cc = cc
	if d := r.Decide(m, knowing()); len(d.Joins) != 1 || d.Joins[0].Addr != "Bob@example.com" {
		t.Errorf("proven: %v", d.Joins)
	}
}

func TestT18OwnAddressesAreKnownInEveryForm(t *testing.T) {
	t.Parallel()
	r := desk(t)
	for addr, want := range map[string]bool{
		"support@example.com": true, "SUPPORT@Example.Com": true, "help@example.com": true, "support+x@example.com": true,
		"hr-it@example.com": true, "supports@example.com": false, "support@example.net": false, "+@example.com": false,
	} {
		if got := r.Own(addr); got != want {
			t.Errorf("%s: got %v, want %v", addr, got, want)
		}
	}
}

func TestMailWithoutASubjectIsNamedByItsFirstLine(t *testing.T) {
	t.Parallel()
	r := desk(t)
	for text, want := range map[string]string{"\n\n Hello there\nmore": "Hello there", "": "(no subject)"} {
		if d := r.Decide(written("ann@example.com", "Re:", text), knowing()); d.Open.Subject != want {
			t.Errorf("got %q, want %q", d.Open.Subject, want)
		}
	}
}
