package triage

import (
	"testing"

	"deskd/triage/ticket"
)

func TestOnlyThoseWhomTheSettingsLetInOpenTickets(t *testing.T) {
	t.Parallel()
	r := desk(t, func(p *Policy) {
		p.OpenFrom = []string{"example.com", ".corp.example", "ann@partner.example"}
		p.Administrators = append(p.Administrators, "root@elsewhere.example")
		p.Alerts = []string{"zabbix@monitor.example"}
		p.People = []Person{{Address: "bob@example.com", Aliases: []string{"bob@home.example"}}}
	})
	tickets := map[ticket.Number]Facts{
		1042: {Number: 1042, Mailbox: "support@example.com", Status: ticket.Open, Requester: "carl@far.example", Participants: []string{"dora@far.example"}},
		1043: {Number: 1043, Mailbox: "support@example.com", Status: ticket.Closed, Requester: "carl@far.example"},
	}
	for _, c := range []struct{ name, from, subject, want string }{
		{"of the domain", "emma@example.com", "hello", "new_ticket new-request"},
		{"in capitals", "Emma@EXAMPLE.com", "hello", "new_ticket new-request"},
		{"of a domain below", "emma@vienna.corp.example", "hello", "new_ticket new-request"},
		{"an address", "ann@partner.example", "hello", "new_ticket new-request"},
		{"an alias of somebody let in", "bob@home.example", "hello", "new_ticket new-request"},
		{"an administrator", "root@elsewhere.example", "hello", "new_ticket new-request"},
		{"a monitoring system", "zabbix@monitor.example", "hello", "new_ticket new-request"},
		{"the requester on the own ticket", "carl@far.example", "Re: [IT-1042]", "appended answer"},
		{"a participant", "dora@far.example", "Re: [IT-1042]", "appended answer"},
		{"the requester of a closed one", "carl@far.example", "Re: [IT-1043]", "new_ticket closed-ticket"},

		{"another domain", "eve@far.example", "hello", "refused domain-not-allowed"},
		{"another address of that domain", "bob@partner.example", "hello", "refused domain-not-allowed"},
		{"a domain that ends alike", "eve@evilexample.com", "hello", "refused domain-not-allowed"},
		{"a domain below the domain", "eve@sub.example.com", "hello", "refused domain-not-allowed"},
		{"the domain itself above those below", "eve@corp.example", "hello", "refused domain-not-allowed"},
		{"a stranger who names a ticket", "eve@far.example", "Re: [IT-1042]", "refused domain-not-allowed"},
		{"the requester with something else", "carl@far.example", "hello", "refused domain-not-allowed"},
		{"no single author", "", "hello", "refused domain-not-allowed"},
	} {
		for _, oversize := range []bool{false, true} {
			m := written(c.from, c.subject, "The printer is broken.")
			m.Oversize = oversize
			d := r.Decide(m, &Known{Mailbox: "support@example.com", Tickets: tickets})
			got := string(d.Fate) + " " + d.Reason
			if oversize {
				if (d.Fate == Refused) != (c.want == "refused domain-not-allowed") {
					t.Errorf("%s, oversize: got %s", c.name, got)
				}
			} else if got != c.want {
				t.Errorf("%s: got %s, want %s", c.name, got, c.want)
			}
			if d.Fate == Refused && (d.Ticket != 0 || len(d.Tell) != 0 || d.Write != nil) {
				t.Errorf("%s: refused, and yet %+v", c.name, d)
			}
		}
	}
	if d := desk(t).Decide(written("eve@far.example", "hello", "x"), &Known{Mailbox: "support@example.com"}); d.Fate != NewTicket {
		t.Errorf("with nothing set: %s", d.Fate)
	}
}

func TestMailFromAnAliasCountsAsThePersons(t *testing.T) {
	t.Parallel()
	r := desk(t, func(p *Policy) {
		p.People = []Person{
			{Address: "Noah@example.com", Aliases: []string{"noah.miller@example.com", "noah@private.example"}},
			{Address: "ann@example.com", Aliases: []string{"ann.gray@example.com"}},
		}
	})
	tickets := map[ticket.Number]Facts{
		1042: {Number: 1042, Mailbox: "support@example.com", Status: ticket.Open, Requester: "ann@example.com"},
		1043: {Number: 1043, Mailbox: "support@example.com", Status: ticket.Open, Requester: "ann.gray@example.com"}, // older than the setting
		1044: {Number: 1044, Mailbox: "support@example.com", Status: ticket.Open, Requester: "x@example.com", Participants: []string{"ann.gray@example.com"}},
	}
	decide := func(m *Message) Decision {
		return r.Decide(m, &Known{Mailbox: "support@example.com", Tickets: tickets})
	}
	d := decide(proven(written("Noah.Miller@example.com", "Re: [IT-1042]", "take")))
	if d.Reason != "commands" || d.Assign != "noah@example.com" || d.Sender.Role != Technician {
		t.Errorf("a technician's alias: %s, %q, %+v", d.Reason, d.Assign, d.Sender)
	}
	// The proof is of the domain that the mail is really from.
	m := written("noah@private.example", "Re: [IT-1042]", "take")
	m.AuthResults = []AuthResults{results("mx.example.com", 0, "dmarc=pass header.from=example.com")}
	m.Header = []Field{{"Authentication-Results", "…"}}
	if d := decide(m); d.Fate != Unverified || d.Assign != "" {
		t.Errorf("proof of another domain: %s, %q", d.Fate, d.Assign)
	}
	for _, subject := range []string{"Re: [IT-1042]", "Re: [IT-1043]", "Re: [IT-1044]"} {
		for _, from := range []string{"ann@example.com", "ann.gray@example.com"} {
			if d := decide(written(from, subject, "More.")); d.Fate != Appended || d.Write.Author.Addr != from {
				t.Errorf("%s on %s: %s %s", from, subject, d.Fate, d.Reason)
			}
		}
	}
	m = proven(written("ann.gray@example.com", "hello", "x"))
	m.Cc = []Address{{Addr: "ann@example.com"}, {Addr: "noah.miller@example.com"}, {Addr: "bob@example.com"}}
	d = decide(m)
	if d.Open == nil || d.Open.Requester.Addr != "ann@example.com" || d.Write.Author.Addr != "ann.gray@example.com" {
		t.Errorf("opened %+v, written by %+v", d.Open, d.Write)
	}
	if len(d.Joins) != 1 || d.Joins[0].Addr != "bob@example.com" {
		t.Errorf("joins %+v", d.Joins)
	}
	d = decide(proven(written("noah@example.com", "Re: [IT-1042]", "cc ann.gray@example.com")))
	if len(d.Joins) != 0 {
		t.Errorf("the requester's alias joins: %+v", d.Joins)
	}
	if !r.Works("noah@private.example") || r.Works("noah@other.example") {
		t.Error("rights by alias")
	}
}

func TestBlockedSendersAreSpamUnlessTheyWorkHere(t *testing.T) {
	t.Parallel()
	r := desk(t, func(p *Policy) {
		p.Blocked = []string{"spam@example.net", "bad.example", ".worse.example", "example.com"}
		p.People = []Person{{Address: "pam@example.org", Aliases: []string{"spam@example.net"}}}
	})
	tickets := map[ticket.Number]Facts{1042: {Number: 1042, Mailbox: "support@example.com", Status: ticket.Open, Requester: "x@bad.example"}}
	for _, c := range []struct {
		name, from, subject string
		marked              Silenced
		want                Fate
	}{
		{"an address", "Spam@example.net", "hello", Heard, Spammed},
		{"a domain", "x@bad.example", "hello", Heard, Spammed},
		{"a domain below", "x@a.worse.example", "hello", Heard, Spammed},
		{"on the own ticket", "x@bad.example", "Re: [IT-1042]", Heard, Spammed},
		{"marked by a technician", "ann@good.example", "hello", SilencedUnproven, Spammed},
		{"of a technician", "noah@example.com", "hello", Heard, NewTicket},
		{"of an administrator, marked", "ada@example.com", "hello", SilencedAll, NewTicket},
		{"somebody else", "ann@good.example", "hello", Heard, NewTicket},
		{"a domain below one that is blocked by itself", "x@sub.bad.example", "hello", Heard, NewTicket},
		{"an address that ends alike", "notspam@example.net", "hello", Heard, NewTicket},
	} {
		d := r.Decide(written(c.from, c.subject, "x"), &Known{Mailbox: "support@example.com", Tickets: tickets, Silenced: c.marked})
		if d.Fate != c.want || d.Fate == Spammed && (d.Reason != "blocked-sender" || d.Ticket != 0 || len(d.Tell) != 0) {
			t.Errorf("%s: %s %s, tells %v", c.name, d.Fate, d.Reason, d.Tell)
		}
	}
	// Who was marked for what somebody else wrote in their name is heard.
	for silenced, want := range map[Silenced]Fate{SilencedUnproven: NewTicket, SilencedAll: Spammed} {
		if d := r.Decide(proven(written("ceo@example.org", "hello", "x")), &Known{Mailbox: "support@example.com", Silenced: silenced}); d.Fate != want {
			t.Errorf("%s, proven: %s", silenced, d.Fate)
		}
	}
	// One who is blocked does not hide behind a second author.
	m := written("", "hello", "x")
	m.Shown = Address{Addr: "x@bad.example"}
	if d := r.Decide(m, &Known{Mailbox: "support@example.com"}); d.Fate != Spammed {
		t.Errorf("two authors: %s", d.Fate)
	}
}

func TestT02SpamMarksAreBelievedWhereOurOwnServerWrites(t *testing.T) {
	t.Parallel()
	ours := Trust{Servers: []string{"mx.example.com"}}
	for _, c := range []struct {
		name   string
		fields []string
		trust  Trust
		want   Kind
	}{
		{"on top", []string{"X-Spam-Flag:YES", "R:mx.example.com", "R:far.example"}, ours, KindSpam},
		{"under our own Received", []string{"R:mx.example.com", "X-Spam-Status:Yes, score=9.1", "R:far.example"}, ours, KindSpam},
		{"rspamd", []string{"X-Spam:Yes", "R:mx.example.com"}, ours, KindSpam},
		{"with the other marks of rspamd", []string{"X-Spam:yes", "R:mx.example.com"}, ours, KindSpam},
		{"brought along", []string{"R:mx.example.com", "R:far.example", "X-Spam-Flag:YES"}, ours, KindPerson},
		{"brought along, under a Received by nobody we know", []string{"R:far.example", "X-Spam:Yes"}, ours, KindPerson},
		{"no server named", []string{"R:far.example", "X-Spam-Flag:YES"}, Trust{}, KindSpam},
		{"only a border named", []string{"R:far.example", "X-Spam-Flag:YES"}, Trust{Borders: []string{"in.example.com"}}, KindPerson},
		{"level 5", []string{"X-MS-Exchange-Organization-SCL:5", "R:mx.example.com"}, ours, KindSpam},
		{"level 4", []string{"X-MS-Exchange-Organization-SCL:4", "R:mx.example.com"}, ours, KindPerson},
		{"level -1", []string{"X-MS-Exchange-Organization-SCL:-1", "R:mx.example.com"}, ours, KindPerson},
		{"level brought along", []string{"R:mx.example.com", "R:far.example", "X-MS-Exchange-Organization-SCL:9"}, ours, KindPerson},
		{"level under Exchange's own machines", []string{"R:a.prod.outlook.com", "X-MS-Exchange-Organization-SCL:6"}, Trust{ExchangeOnline: true, Servers: []string{"mx"}}, KindSpam},
		{"another mark under Exchange's own machines", []string{"R:a.prod.outlook.com", "X-Spam:Yes"}, Trust{ExchangeOnline: true, Servers: []string{"mx"}}, KindPerson},
		{"report with level", []string{"X-Forefront-Antispam-Report:CIP:1.2.3.4;CTRY:US;SCL:9;SFV:SPM", "R:mx.example.com"}, ours, KindSpam},
		{"report with a low level", []string{"X-Forefront-Antispam-Report:CIP:1.2.3.4;SCL:1;SFV:NSPM", "R:mx.example.com"}, ours, KindPerson},
		{"report with a word that ends so", []string{"X-Forefront-Antispam-Report:XSCL:9", "R:mx.example.com"}, ours, KindPerson},
		{"no", []string{"X-Spam-Flag:NO", "R:mx.example.com"}, ours, KindPerson},
		{"a word that begins so", []string{"X-Spam:yesterday", "R:mx.example.com"}, ours, KindPerson},
	} {
		m := written("eve@far.example", "hello", "x")
		header(m, c.fields...)
		if got := Classify(m, KindPolicy{Trust: c.trust}); got.Kind != c.want {
			t.Errorf("%s: got %s, want %s", c.name, got.Kind, c.want)
		}
	}
}
