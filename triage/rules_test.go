package triage

import (
	"strings"
	"testing"

	"deskd/triage/ticket"
)

// desk makes the rules of a small desk; change adapts its policy.
func desk(t testing.TB, change ...func(*Policy)) *Rules {
	t.Helper()
	p := Policy{
		Prefix: "IT", OldPrefixes: []string{"HELP"},
		Mailboxes: []Mailbox{{Address: "support@example.com", Aliases: []string{"help@example.com"}}, {Address: "hr-it@example.com"}},
		Teams: []Team{
			{Name: Helpdesk, List: "helpdesk@example.com", Roster: []string{"hana@example.com"}},
			{Name: NetworkTeam, List: "network@example.com", Roster: []string{"noah@example.com", "Nadia@Example.com"}},
			{Name: DesktopSupport, List: "desktop@example.com"},
			{Name: SystemAdministrator, List: "sysadmin@example.com", Roster: []string{"sofia@example.com"}},
		},
		Administrators: []string{"ada@example.com"},
		Rules:          DefaultRules(),
		Trust:          Trust{Servers: []string{"mx.example.com"}},
		Secret:         []byte("0123456789abcdef0123456789abcdef"),
	}
	for _, c := range change {
		c(&p)
	}
	r, err := New(p)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// written is a person's mail with that subject and text.
func written(from, subject, text string) *Message {
	return &Message{
		MessageID: "m1@client.example", From: Address{Addr: from}, Subject: subject,
		To:   []Address{{Addr: "support@example.com"}},
		Body: []Block{{Text: text}},
	}
}

// proven adds our server's word that the sender is right.
func proven(m *Message) *Message {
	m.Header = append([]Field{{Name: "Authentication-Results", Value: "mx.example.com; dmarc=pass"}}, m.Header...)
	m.AuthResults = []AuthResults{{Server: "mx.example.com", Results: []AuthResult{
		{Method: "dmarc", Result: "pass", Props: map[string]string{"header.from": domainOf(m.From.Addr)}},
	}}}
	return m
}

func TestDefaultRulesSortNewMail(t *testing.T) {
	t.Parallel()
	r := desk(t)
	for _, c := range []struct {
		subject, text string
		want          string
		reasons       int
	}{
		{"VPN drops in Berlin", "Since this morning.", "high Network Team", 1},
		{"hello", "The vpn, again", "high Network Team", 1},
		{"the SERVER is DOWN", "", "critical System Administrator", 1},
		{"VPN server", "", "critical System Administrator", 2},
		{"printer and vpn", "", "high Network Team", 2},
		{"forgot my password", "", "low Helpdesk", 1},
		{"password of the printer", "", "medium Desktop Support", 2},
		{"a question", "", "medium Helpdesk", 1},
		{"vpns and downtown, serverless", "", "medium Helpdesk", 1},   // whole words only
		{"ＶＰＮ", "", "high Network Team", 1},                           // full-width letters are the same word
		{"x", "fine\n\n> the server is down\n", "medium Helpdesk", 1}, // quoted
		{"x", "fine\n\n-- \nServer Team\n", "medium Helpdesk", 1},     // signature
	} {
		d := r.Decide(written("ann@example.com", c.subject, c.text), &Known{})
		if d.Open == nil {
			t.Errorf("%q: opened nothing: %s", c.subject, d.Reason)
			continue
		}
		if got := string(d.Open.Priority) + " " + d.Open.Team; got != c.want || len(d.Reasons) != c.reasons {
			t.Errorf("%q: got %s for %d reasons (%v), want %s for %d", c.subject, got, len(d.Reasons), d.Reasons, c.want, c.reasons)
		}
	}
}

func TestReasonsNameEveryRuleAndWhatPrevailed(t *testing.T) {
	t.Parallel()
	d := desk(t).Decide(written("ann@example.com", "VPN server password", ""), &Known{})
	var all []string
	for _, r := range d.Reasons {
		all = append(all, r.String())
	}
	got := strings.Join(all, "\n")
	want := `rule "server, down": found "server" in the subject → critical, System Administrator
rule "vpn": found "vpn" in the subject → high, Network Team (critical from another rule is higher; an earlier rule chose System Administrator)
rule "password": found "password" in the subject → low, Helpdesk (critical from another rule is higher; an earlier rule chose System Administrator)`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestRulesLookWhereTheyAreTold(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		rule Rule
		msg  func(*Message)
		want bool
	}{
		{"beginning of a word", Rule{Words: []string{"print*"}}, func(m *Message) { m.Subject = "Printing fails" }, true},
		{"not in the middle", Rule{Words: []string{"print*"}}, func(m *Message) { m.Subject = "blueprint" }, false},
		{"phrase over a line end", Rule{Words: []string{"out of paper"}}, func(m *Message) { m.Body[0].Text = "it is out\n of  paper" }, true},
		{"expression", Rule{Words: []string{"/err(or)? [0-9]+/"}}, func(m *Message) { m.Subject = "Error 47" }, true},
		{"expression elsewhere", Rule{Words: []string{"/err(or)? [0-9]+/"}}, func(m *Message) { m.Subject = "error x" }, false},
		{"domain", Rule{Words: []string{"partner.example"}, In: []string{"domain"}}, func(m *Message) { m.From.Addr = "x@partner.example" }, true},
		{"subdomain by words", Rule{Words: []string{"partner.example"}, In: []string{"domain"}}, func(m *Message) { m.From.Addr = "x@notpartner.example" }, false},
		{"below a domain", Rule{Words: []string{"partner.example"}, In: []string{"domain"}}, func(m *Message) { m.From.Addr = "x@it.partner.example" }, true},
		{"domain inside a longer one", Rule{Words: []string{"partner.example"}, In: []string{"domain"}}, func(m *Message) { m.From.Addr = "x@not-partner.example.evil.net" }, false},
		{"sender", Rule{Words: []string{"Bot@partner.example"}, In: []string{"sender"}}, func(m *Message) { m.From.Addr = "bot@partner.example" }, true},
		{"sender inside a longer one", Rule{Words: []string{"bot@partner.example"}, In: []string{"sender"}}, func(m *Message) { m.From.Addr = "ro-bot@partner.example.net" }, false},
		{"everybody at a domain", Rule{Words: []string{"@partner.example"}, In: []string{"sender"}}, func(m *Message) { m.From.Addr = "x@partner.example" }, true},
		{"beginning of a sender", Rule{Words: []string{"noreply*"}, In: []string{"sender"}}, func(m *Message) { m.From.Addr = "noreply-7@partner.example" }, true},
		{"expression with letters that folding changes", Rule{Words: []string{"/straße [0-9]²/"}}, func(m *Message) { m.Subject = "Hauptstraße 3²" }, true},
		{"expression on a line's beginning", Rule{Words: []string{"/(?m)^error: /"}}, func(m *Message) { m.Body[0].Text = "Hello,\nError: 47" }, true},
		{"recipient", Rule{Words: []string{"hr-it@example.com"}, In: []string{"recipient"}}, func(m *Message) { m.To[0].Addr = "hr-it@example.com" }, true},
		{"attachment", Rule{Words: []string{"log"}, In: []string{"attachment"}}, func(m *Message) { m.Attachments = []Attachment{{Name: "boot.log"}} }, true},
		{"header", Rule{Words: []string{"web form"}, In: []string{"header:X-Origin"}}, func(m *Message) { m.Header = []Field{{"x-origin", "Web Form"}} }, true},
		{"other header", Rule{Words: []string{"web form"}, In: []string{"header:X-Origin"}}, func(m *Message) { m.Header = []Field{{"X-Other", "web form"}} }, false},
		{"subject only", Rule{Words: []string{"vpn"}, In: []string{"subject"}}, func(m *Message) { m.Body[0].Text = "vpn" }, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.rule.Tags = []string{"hit"}
			r := desk(t, func(p *Policy) { p.Rules = []Rule{c.rule} })
			m := written("ann@example.com", "x", "y")
			c.msg(m)
			d := r.Decide(m, &Known{})
			if got := d.Open != nil && len(d.Open.Tags) == 1; got != c.want {
				t.Errorf("matched: %v, want %v", got, c.want)
			}
		})
	}
}

func TestRuleActionsOpenNoTicket(t *testing.T) {
	t.Parallel()
	r := desk(t, func(p *Policy) {
		p.Rules = []Rule{{Words: []string{"newsletter"}, Action: Ignore}, {Words: []string{"lottery"}, Action: Spam}}
	})
	for subject, want := range map[string]Fate{"our newsletter": Refused, "lottery": Spammed, "newsletter lottery": Spammed, "help": NewTicket} {
		if d := r.Decide(written("ann@example.com", subject, ""), &Known{}); d.Fate != want || (d.Open != nil) != (want == NewTicket) {
			t.Errorf("%s: got %s, open %v, want %s", subject, d.Fate, d.Open != nil, want)
		}
	}
}

func TestBadRulesAreAllNamed(t *testing.T) {
	t.Parallel()
	_, err := New(Policy{
		DefaultTeam: "Nobody", DefaultPriority: "urgent",
		Rules: []Rule{
			{},
			{Words: []string{"/(/", "a*b", " ", "/x*/"}, Team: "Printers", Priority: "urgent", In: []string{"body", "header:"}, Action: "drop"},
		},
	})
	if err == nil {
		t.Fatal("accepted")
	}
	for _, want := range []string{
		"default_team", "default_priority", "rules[0].words: empty", "rules[0]: sets nothing", "rules[1].words[0]", "rules[1].words[1]",
		"rules[1].words[2]", "rules[1].words[3]", "rules[1].in[0]", "rules[1].in[1]", "rules[1].team", "rules[1].priority", "rules[1].action",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("no complaint about %s in:\n%v", want, err)
		}
	}
}

func TestImportanceIsNotedAndDecidesNothing(t *testing.T) {
	t.Parallel()
	m := written("ann@example.com", "hello", "")
	m.Header = []Field{{"Importance", "High"}}
	d := desk(t).Decide(m, &Known{})
	if d.Open.Priority != ticket.Medium || !strings.Contains(strings.Join(d.Notes, "\n"), "important") {
		t.Errorf("priority %s, notes %q", d.Open.Priority, d.Notes)
	}
}

func BenchmarkSort(b *testing.B) {
	r := desk(b)
	m := written("ann@example.com", "a question", strings.Repeat("Nothing of what they look for stands here. ", 6000))
	text := m.Text()
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		r.sort(m, text)
	}
}
