package triage

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"deskd/triage/ticket"
)

// did is what a decision does, in a line, the tickets of a batch one after
// another.
func did(d Decision) string {
	s := outcome(d)
	for _, c := range []struct {
		yes  bool
		word string
	}{
		{d.Assign != "", "assign " + d.Assign},
		{d.Team != "", "team " + d.Team},
		{d.Priority != "", "priority " + d.Priority},
		{d.Spam, "spam"},
		{d.NotSpam, "not spam"},
		{d.Mute, "mute"},
		{d.Unmute, "unmute"},
		{d.Undo, "undo"},
		{d.Split, "split"},
		{d.Confirm != 0, fmt.Sprint("confirm ", d.Confirm)},
	} {
		if c.yes {
			s += ", " + c.word
		}
	}
	if d.Open != nil {
		s += ", for " + d.Open.Requester.Addr
	}
	if d.Due != nil {
		s += ", due " + d.Due.Format("2006-01-02 15:04")
	}
	if d.Merge != nil {
		s += fmt.Sprintf(", %d into %d", d.Merge.From, d.Merge.Into)
	}
	for _, n := range d.Links {
		s += fmt.Sprintf(", link %d", n)
	}
	for _, a := range d.Joins {
		s += ", cc " + a.Addr
	}
	for _, q := range d.Ask {
		s += strings.TrimRight(fmt.Sprintf(", ask %s %s", q.Verb, q.Value), " ")
	}
	for _, e := range d.Errors {
		s += ", ERROR " + e.Line + ": " + e.Why
	}
	for _, one := range d.Batch {
		s += " | " + did(one)
	}
	return s
}

func TestATechniciansMailsDoWhatTheirFirstLinesSay(t *testing.T) {
	t.Parallel()
	r := desk(t)
	with := func(n ticket.Number, change func(*Facts)) Facts {
		f := facts()
		f.Number, f.Key = n, fmt.Append(nil, "key of ", n)
		if change != nil {
			change(&f)
		}
		return f
	}
	open := with(1050, func(f *Facts) { f.Status, f.Requester = ticket.Open, "bob@example.com" })
	closed := with(1051, func(f *Facts) { f.Status = ticket.Closed })
	foreign := with(1052, func(f *Facts) { f.Mailbox = "hr-it@example.com" })
	marked := with(1053, func(f *Facts) { f.Status, f.Tags = ticket.Closed, []string{"spam"} })
	own := with(1054, func(f *Facts) { f.Requester = "sofia@example.com" })
	all := []Facts{facts(), open, closed, foreign, marked, own}
	const tag, typed, new = "Re: [IT-1042] VPN drops", "[IT-1042] VPN drops", "Hello"
	for _, c := range []struct{ subject, text, want string }{
		// A date.
		{tag, "due friday", "appended commands 1042, tell transcript, due 2026-11-27 09:00"},
		{tag, "Due: 2026-12-01 17:00\nThe provider comes then.", "appended commands 1042, note, tell transcript, due 2026-12-01 17:00"},
		{tag, "due to rain we could not come", "appended note 1042, note"},
		{tag, "due: yesterday", `appended command-error 1042, note, tell error, ERROR due: yesterday: "yesterday" does not fit "due"`},
		{tag, "due friday\ndue monday", `appended command-error 1042, note, tell error, ERROR due monday: it contradicts "due friday"`},
		// Other tickets.
		{tag, "merge 1050", "appended commands 1042, tell merged, tell transcript, 1050 into 1042"},
		{"Re: [IT-1050] x", "#merge with IT-1042.", "appended commands 1050, tell merged, tell transcript, 1050 into 1042"},
		{tag, "merge 1042", "appended command-error 1042, note, tell error, ERROR merge 1042: [IT-1042] is this ticket itself"},
		{tag, "merge 9999", "appended command-error 1042, note, tell error, ERROR merge 9999: there is no ticket 9999"},
		{tag, "merge 1051", "appended command-error 1042, note, tell error, ERROR merge 1051: [IT-1051] is closed"},
		{tag, "merge 1052", "appended command-error 1042, note, tell error, ERROR merge 1052: the tickets belong to different mailboxes"},
		{tag, "merge 1050\nresolved", "appended command-error 1042, note, tell error, ERROR merge 1050: merge stands beside other commands"},
		{tag, "merge these two please", "appended note 1042, note"},
		{tag, "#merge these", `appended command-error 1042, note, tell error, ERROR #merge these: "these" does not fit "merge"`},
		{tag, "link [IT-1050]\nlink 1051", "appended commands 1042, tell transcript, link 1050, link 1051"},
		{tag, "split", "appended split 1042, split"},
		{tag, "split\ntake", "appended command-error 1042, note, tell error, ERROR split: split stands beside other commands"},
		// Spam.
		{tag, "spam", "appended commands 1042, in_progress→closed, tell transcript, spam"},
		{"Re: [IT-1053] x", "not spam", "appended commands 1053, closed→open, tell status, tell transcript, not spam"},
		{"Re: [IT-1053] x", "spam", "appended commands 1053, tell transcript, spam"},
		{tag, "not spam", "appended commands 1042, tell transcript, not spam"},
		{"Re: [IT-1054] x", "spam", "appended command-error 1054, note, tell error, ERROR spam: sofia@example.com is a technician"},
		// Hearing of it.
		{tag, "mute", "appended commands 1042, tell transcript, mute"},
		{tag, "mute\nunmute", `appended command-error 1042, note, tell error, ERROR unmute: it contradicts "mute"`},
		// Questions.
		{tag, "show", "appended query 1042, tell query, ask show 1042"},
		{tag, "show 1050\ntake", "appended commands 1042, tell taken, tell query, tell transcript, assign noah@example.com, ask show 1050"},
		{tag, "status?", "appended query 1042, tell query, ask status? 1042"},
		{new, "mine", "appended query, tell query, ask mine"},
		{new, "Mine.\nqueue net\nhelp", "appended query, tell query, ask mine, ask queue Network Team, ask help"},
		{new, "queue for lunch was long", "new_ticket new-request, message, tell acknowledge, tell notify team, for noah@example.com"},
		{new, "#mien", `refused command-error, tell error, ERROR #mien: there is no command "mien"`},
		{new, "mine\n\nAnd my screen is broken.", "new_ticket new-request, message, tell acknowledge, tell notify team, tell query, for noah@example.com, ask mine"},
		// Several tickets.
		{new, "1042 resolved\n1050 take", "appended batch, tell transcript | appended batch 1042, in_progress→resolved, tell status | appended batch 1050, open→in_progress, tell status, tell taken, assign noah@example.com"},
		{new, "IT-1042 Resolved.\n\n[IT-1050]: priority crit\n#1050 due friday\nAll because of the same cable.", "appended batch, tell transcript | appended batch 1042, note, in_progress→resolved, tell status | appended batch 1050, note, priority critical, due 2026-11-27 09:00"},
		{new, "1042 resolved\n9999 resolved", "refused command-error, tell error, ERROR 9999 resolved: there is no ticket 9999"},
		{new, "1042 resolved\n1051 waiting", `refused command-error, tell error, ERROR 1051 waiting: the ticket is closed; only "reopen" is possible`},
		{new, "1042 resolved\n1050 resloved", `refused command-error, tell error, ERROR 1050 resloved: there is no command "resloved"`},
		{new, "1042 is broken again", "new_ticket new-request, message, tell acknowledge, tell notify team, for noah@example.com"},
		{new, "1042 resolved\n1042 waiting", `refused command-error, tell error, ERROR 1042 waiting: it contradicts "1042 resolved"`},
		{new, "1042 reply\nHello", `refused command-error, tell error, ERROR 1042 reply: "reply" cannot stand behind a ticket's number`},
		{new, strings.Repeat("1042 take\n", 6), "refused command-error, tell error, ERROR 1042 take: 6 commands in one mail"},
		{new, "resolved", "refused command-error, tell error, ERROR resolved: your mail names no ticket"},
		{new, "1042 merge 1050\n1050 take", "refused command-error, tell error, ERROR 1042 merge 1050: merge stands beside other commands"},
		{new, "1042 merge 1050", "appended batch, tell transcript | appended batch 1042, tell merged, 1050 into 1042"},
		{new, "2 monitors are missing", "new_ticket new-request, message, tell acknowledge, tell notify team, for noah@example.com"},
		// A new ticket, and what its first lines say of it.
		{"Bob's screen", "for: bob@example.com\npriority high\nteam network\nHe called: it is dark.", "new_ticket opened-for, message, tell acknowledge, tell notify team, tell transcript, team Network Team, priority high, for bob@example.com"},
		{"Bob's screen", "for: bob@example.com\nresolved\nI have changed the cable.", "new_ticket opened-for, message, open→resolved, tell acknowledge, tell notify team, tell transcript, for bob@example.com"},
		{"Bob's screen", "merge 1042\nIt is dark.", `new_ticket new-request, message, tell acknowledge, tell notify team, tell error, for noah@example.com, ERROR merge 1042: "merge" is about a ticket that is there already`},
		{"Fwd: printer", "---------- Forwarded message ---------\nFrom: Bob Weber <bob@example.com>\nDate: Mon, Nov 23, 2026 at 9:00 AM\nSubject: printer\nTo: Noah <noah@example.com>\n\nIt does not print.", "new_ticket opened-for, message, tell acknowledge, tell notify team, for bob@example.com"},
		{"Fwd: printer", "Bob again. Be nice.\n\n---------- Forwarded message ---------\nFrom: Bob Weber <bob@example.com>\nSubject: printer\n\nIt does not print.", "new_ticket opened-for, message, aside, tell acknowledge, tell notify team, for bob@example.com"},
		{"Fwd: printer", "FYI\n\n> From: Bob Weber <bob@example.com>\n> Subject: printer\n>\n> It does not print.\n\nCheck his contract first.", "new_ticket opened-for, message, aside, tell acknowledge, tell notify team, for bob@example.com"},
		{"WG: Drucker", "team desktop\n\n-----Ursprüngliche Nachricht-----\nVon: Bob Weber <bob@example.com>\nGesendet: Montag, 23. November 2026 09:00\nAn: Noah <noah@example.com>\nBetreff: Drucker\n\nEr druckt nicht.", "new_ticket opened-for, message, tell acknowledge, tell notify team, tell transcript, team Desktop Support, for bob@example.com"},
		// The subject's closed form.
		{typed + " [status=resolved]", "New cable.", "appended commands 1042, note, in_progress→resolved, tell status, tell transcript"},
		{typed + " [status=resolved] [priority=low]", "", "appended commands 1042, in_progress→resolved, tell status, tell transcript, priority low"},
		{typed + " [status=resolved]", "waiting", `appended command-error 1042, note, tell error, ERROR status: resolved: it contradicts "waiting"`},
		{typed + " [status=green]", "x", `appended command-error 1042, note, tell error, ERROR status: green: "green" is no status`},
		{tag + " [urgent]", "x", "appended note 1042, note"},
	} {
		k := knowing(all...)
		k.Now = noon
		got := did(r.Decide(proven(written("noah@example.com", c.subject, c.text)), k))
		if got != c.want {
			t.Errorf("%q: %q:\n got %s\nwant %s", c.subject, c.text, got, c.want)
		}
	}
}

// A mail without a subject gets one of what its ticket's message says: not of a
// command, nor of what a technician says aside.
func TestSubjectlessTicketsAreNamedByTheirMessage(t *testing.T) {
	t.Parallel()
	r := desk(t)
	const aside = "Third time this week. She is lying."
	for _, c := range []struct{ subject, text, want string }{
		{"", "for: bob@example.com\nresolved\nHis screen is dark.", "His screen is dark."},
		{"", "His screen is dark.", "His screen is dark."},
		{"Fwd:", aside + "\n\n---------- Forwarded message ---------\nFrom: Bob Weber <bob@example.com>\nSubject:\n\nIt does not print.\nHelp!", "It does not print."},
		{"Fwd:", aside + "\n\nBegin forwarded message:\n\nFrom: Bob Weber <bob@example.com>\nDate: Monday\n\nIt does not print.", "It does not print."},
		{"Fwd:", aside + "\n\n> From: Bob Weber <bob@example.com>\n> Subject:\n>\n> It does not print.", "It does not print."},
		{"Fwd:", aside + "\n\n---------- Forwarded message ---------\nFrom: Bob Weber <bob@example.com>\nSubject:\n", "(no subject)"},
	} {
		d := r.Decide(proven(written("noah@example.com", c.subject, c.text)), knowing())
		if d.Open == nil || d.Open.Subject != c.want {
			t.Errorf("%q: %q: got %+v, want %q", c.subject, c.text, d.Open, c.want)
		}
	}
}

// A requester may write into the subject what is a command in a technician's.
func TestT08_ASubjectFormOfTheRequestersIsNoCommand(t *testing.T) {
	t.Parallel()
	r := desk(t)
	d := r.Decide(proven(written("ann@example.com", "VPN [status=closed]", "It drops.")), knowing())
	if d.Open == nil || d.Open.Subject != "VPN" {
		t.Errorf("the new ticket's subject is %+v", d.Open)
	}
	f := facts()
	f.Subject = "VPN [status=closed]" // from before it was taken off
	d = r.Decide(proven(written("noah@example.com", "Re: [IT-1042] VPN [status=closed]", "It is the gateway.")), knowing(f))
	if got := outcome(d); got != "appended note 1042, note" {
		t.Errorf("the technician's answer is %s", got)
	}
	// Nor what a technician's program repeats of a subject that a requester wrote
	// to both of them, in an answer or a forward.
	k := knowing(facts())
	k.ByID["ann1@client.example"] = []ticket.Number{1042}
	for _, subject := range []string{"Re: VPN drops [status=closed]", "VPN drops [status=closed]", "AW: [IT-1042] VPN drops [cc=eve@example.net]"} {
		d = r.Decide(answering(proven(written("noah@example.com", subject, "I look into it.")), "ann1@client.example"), k)
		if got := did(d); got != "appended note 1042, note" {
			t.Errorf("an answer to %q is %s", subject, got)
		}
	}
	d = r.Decide(proven(written("noah@example.com", "Fwd: Printer [cc=eve@example.net] [for=ceo@example.com]", "see below")), knowing())
	if got := did(d); got != "new_ticket new-request, message, tell acknowledge, tell notify team, for noah@example.com" {
		t.Errorf("a forward is %s", got)
	}
	// In answer to a mail of ours it is the technician who typed it.
	signed := r.signer.MessageID(1042, facts().Key, "ticket:1042/notice", "example.com")
	d = r.Decide(answering(proven(written("noah@example.com", "Re: [IT-1042] VPN drops [status=closed]", "New cable.")), signed), knowing(facts()))
	if got := did(d); got != "appended commands 1042, note, in_progress→closed, tell status, tell transcript" {
		t.Errorf("an answer to our notice is %s", got)
	}
	d = r.Decide(proven(written("ann@example.com", "Re: [IT-1042] VPN drops [status=closed]", "Hm.")), knowing(facts()))
	if len(d.Changes) > 0 {
		t.Errorf("a requester's subject changed the ticket: %+v", d.Changes)
	}
}

func TestRequestersAskHowThingsStand(t *testing.T) {
	t.Parallel()
	r := desk(t)
	for _, c := range []struct{ from, subject, text, want string }{
		{"ann@example.com", "Re: [IT-1042] VPN drops", "Status?", "appended query 1042, tell query, ask status?"},
		{"bob@example.com", "Re: [IT-1042] VPN drops", "status?\n\nOn 23 Nov 2026, desk wrote:\n> x", "appended query 1042, tell query, ask status?"},
		{"ann@example.com", "hello", "status?", "appended query, tell query, ask status?"},
		{"ann@example.com", "Re: [IT-1042] VPN drops", "What is the status?", "appended answer 1042, message, tell answer"},
		{"ann@example.com", "Re: [IT-1042] VPN drops", "mine", "appended answer 1042, message, tell answer"},
		{"eve@example.net", "Re: [IT-1042] VPN drops", "status?", "new_ticket not-a-participant linked 1042 as claims, message, tell acknowledge, tell notify team, for eve@example.net"},
		{"ann@example.com", "x", "1042 resolved", "new_ticket new-request, message, tell acknowledge, tell notify team, for ann@example.com"},
		{"ann@example.com", "x", "for: bob@example.com\nx", "new_ticket new-request, message, tell acknowledge, tell notify team, for ann@example.com"},
	} {
		if got := did(r.Decide(written(c.from, c.subject, c.text), knowing(facts()))); got != c.want {
			t.Errorf("%s: %q: %q:\n got %s\nwant %s", c.from, c.subject, c.text, got, c.want)
		}
	}
}

func TestT01_AnUnverifiedMailIsConfirmedByItsAddressAlone(t *testing.T) {
	t.Parallel()
	r := desk(t)
	const noah, tag = "noah@example.com", "Re: [IT-1042] Was this you?"
	asked := Challenge{Intake: 7, Address: noah, Expires: noon.Add(1)}
	with := func(change func(*Challenge)) *Challenge { c := asked; change(&c); return &c }
	for _, c := range []struct {
		name, from, text string
		challenge        *Challenge
		want             string
	}{
		{"yes", noah, "Yes.", &asked, "appended confirmed, confirm 7"},
		{"yes above the question", noah, "yes\n\nOn 23 Nov 2026, desk wrote:\n> Was this you?", &asked, "appended confirmed, confirm 7"},
		{"in German", noah, "Ja", &asked, "appended confirmed, confirm 7"},
		{"by somebody else", "ann@example.com", "yes", &asked, "appended answer 1042, message, tell answer"},
		{"by another technician", "sofia@example.com", "yes", &asked, "unverified sender-not-verified 1042, note"},
		{"no", noah, "No, that was not me!", &asked, "unverified sender-not-verified 1042, note"},
		{"yes and more", noah, "yes, and close 1050 too", &asked, "unverified sender-not-verified 1042, note"},
		{"a second time", noah, "yes", with(func(c *Challenge) { c.Spent = true }), "refused command-error, tell error, ERROR yes: the question was answered before"},
		{"too late", noah, "yes", with(func(c *Challenge) { c.Expires = noon.Add(-1) }), "refused command-error, tell error, ERROR yes: the question is older than an hour"},
		{"works here no more", "gone@example.com", "yes", with(func(c *Challenge) { c.Address = "gone@example.com" }), "new_ticket not-a-participant linked 1042 as claims, message, tell acknowledge, tell notify team, for gone@example.com"},
		{"to no question", noah, "yes", nil, "unverified sender-not-verified 1042, note"},
	} {
		k := knowing(facts())
		k.Now, k.Challenge = noon, c.challenge
		if got := did(r.Decide(written(c.from, tag, c.text), k)); got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.name, got, c.want)
		}
	}
	// Once confirmed, the mail is obeyed as if it had been proven.
	k := knowing(facts())
	k.Confirmed = true
	if got := did(r.Decide(written(noah, "Re: [IT-1042] VPN drops", "resolved"), k)); got != "appended commands 1042, in_progress→resolved, tell status, tell transcript" {
		t.Errorf("confirmed: %s", got)
	}
	// Nobody is asked for what cannot be done, twice within the hour, or for a program's mail.
	for name, m := range map[string]*Message{
		"an error":   written(noah, "Re: [IT-1042] x", "#resolvd"),
		"no command": written(noah, "Re: [IT-1042] x", "It is the gateway."),
		"ambiguous":  ambiguous(written(noah, "Re: [IT-1042] x", "resolved")),
		"bulk":       bulk(written(noah, "Re: [IT-1042] x", "resolved")),
	} {
		if d := r.Decide(m, knowing(facts())); slices.Contains(d.Tell, AskSender) {
			t.Errorf("%s: the sender is asked", name)
		}
	}
	k = knowing(facts())
	k.Challenged = true
	if d := r.Decide(written(noah, "Re: [IT-1042] x", "resolved"), k); slices.Contains(d.Tell, AskSender) {
		t.Error("the sender is asked twice within the hour")
	}
	if got := did(r.Decide(written(noah, "x", "1042 resolved"), knowing(facts()))); got != "unverified sender-not-verified, tell challenge" {
		t.Errorf("several tickets, unverified: %s", got)
	}
}
