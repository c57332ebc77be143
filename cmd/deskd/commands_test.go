package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"deskd/cmd/internal/demomail"
)

// row is one thing that somebody does by mail on a ticket of its own, and what
// comes of it. %[1]s in a text is the ticket's number, %[2]s that of another
// one, %[3]s a day to come.
type row struct {
	name    string
	first   []string // the technician's mails before
	who     string   // "" is noah, who is a technician
	subject string   // behind "Re: [IT-1042] …"; "new" for one of its own
	text    string
	html    bool
	outside bool // nobody vouches for the sender

	answer []string // in the mail that the sender gets for it; none: no mail is waited for
	told   []string // in a mail that the requester gets
	want   string   // status priority team assignee: entries
}

// rows are product pages 4 and 5, one after another.
var rows = []row{
	// Who may do what.
	{name: "a technician's text is a note", text: "It is the gateway.", want: "open medium Helpdesk : message note"},
	{name: "a requester's text is a message", who: "ann", text: "It is worse now.", want: "open medium Helpdesk : message message"},
	{name: "a requester's commands are words", who: "ann", text: "resolved", want: "open medium Helpdesk : message message"},
	{name: "a requester closes", who: "ann", text: "Close.", want: "closed medium Helpdesk : message message"},
	{name: "somebody else closes in the requester's name", who: "ann", text: "close", outside: true, want: "open medium Helpdesk : message message"},
	{name: "a requester reopens", first: []string{"resolved"}, who: "ann", text: "reopen", want: "open medium Helpdesk : message message"},
	{name: "a requester asks", first: []string{"take"}, who: "ann", text: "Status?", answer: []string{"Status: in progress", "Somebody works on it."}, want: "in_progress medium Helpdesk noah: message"},
	{name: "a stranger", who: "eve", text: "close", want: "open medium Helpdesk : message"},
	{name: "a technician nobody vouches for", text: "closed\nBye.", outside: true, answer: []string{"Was this you?", "> closed"}, want: "open medium Helpdesk : message note"},
	// Status.
	{name: "take", text: "take", answer: []string{"nobody → noah@example.com"}, told: []string{"in progress"}, want: "in_progress medium Helpdesk noah: message"},
	{name: "a full stop and capitals", text: "RESOLVED.", answer: []string{"open → resolved"}, told: []string{"resolved"}, want: "resolved medium Helpdesk : message"},
	{name: "curly quotes", text: "“in progress”", answer: []string{"open → in progress"}, want: "in_progress medium Helpdesk : message"},
	{name: "no-break and zero-width spaces", text: "\u200bin\u00a0progress\u200b \nLooking.", answer: []string{"open → in progress"}, want: "in_progress medium Helpdesk : message note"},
	{name: "a long dash", text: "in–progress", answer: []string{"open → in progress"}, want: "in_progress medium Helpdesk : message"},
	{name: "HTML alone", text: "<div dir=\"auto\">Waiting</div><div><br></div><div>For the part.</div>", html: true, answer: []string{"open → waiting"}, want: "waiting medium Helpdesk : message note"},
	{name: "signs", text: "#wip\n/priority high\n!team net", answer: []string{"open → in progress", "medium → high", "Helpdesk → Network Team"}, want: "in_progress high Network Team : message"},
	{name: "keys", text: "status: waiting\nowner: nadia\nqueue: network", answer: []string{"nobody → nadia@example.com"}, want: "waiting medium Network Team nadia: message"},
	{name: "reopen", first: []string{"resolved"}, text: "reopen", answer: []string{"resolved → open"}, told: []string{"open again"}, want: "open medium Helpdesk : message"},
	{name: "look-alike letters", text: "＃resolved\nｒesolved", want: "open medium Helpdesk : message note"},
	{name: "prose", text: "Resolved by replacing the cable.", want: "open medium Helpdesk : message note"},
	// The others.
	{name: "drop", first: []string{"take"}, text: "drop", answer: []string{"noah@example.com → nobody"}, want: "in_progress medium Helpdesk : message"},
	{name: "reply", text: "reply\nHello Ann, try again.", answer: []string{"a message to the requester"}, told: []string{"Hello Ann, try again."}, want: "open medium Helpdesk : message message"},
	{name: "reply and resolved", text: "reply\nresolved\nA new cable.", answer: []string{"open → resolved"}, told: []string{"A new cable."}, want: "resolved medium Helpdesk : message message"},
	{name: "note", text: "note\npriority low\nOnly us.", answer: []string{"medium → low"}, want: "open low Helpdesk : message note"},
	{name: "cc", text: "cc bob@example.com", answer: []string{"no participant → participant"}, want: "open medium Helpdesk : message, bob@example.com"},
	{name: "uncc", first: []string{"cc bob@example.com"}, text: "uncc bob@example.com", answer: []string{"participant → no participant"}, want: "open medium Helpdesk : message"},
	{name: "due", text: "due %[3]s 17:00", answer: []string{"%[3]s 17:00"}, want: "open medium Helpdesk : message, due %[3]s"},
	{name: "merge", text: "merge %[2]s", answer: []string{"closed, and goes on as"}, want: "open medium Helpdesk : message, x@example.com, merged"},
	{name: "link", text: "link %[2]s", answer: []string{"not linked → linked with"}, want: "open medium Helpdesk : message, related"},
	{name: "spam", text: "spam", answer: []string{"is heard no more"}, want: "closed medium Helpdesk : message, spam"},
	{name: "undo", first: []string{"take\npriority high"}, text: "Undo.", answer: []string{"high → medium", "in progress → open"}, want: "open medium Helpdesk : message"},
	{name: "the subject's form", subject: " [status=resolved]", text: "New cable.", answer: []string{"open → resolved"}, want: "resolved medium Helpdesk : message note"},
	// Errors change nothing.
	{name: "mistyped", text: "#resolvd\nNew cable.", answer: []string{"Nothing was changed", "#resolvd", "did you mean \"resolved\""}, want: "open medium Helpdesk : message note"},
	{name: "one bad line", text: "take\n#foo", answer: []string{"Nothing was changed", "#foo"}, want: "open medium Helpdesk : message note"},
	{name: "ambiguous", text: "assign n", answer: []string{"may be any of several", "nadia@example.com, noah@example.com"}, want: "open medium Helpdesk : message note"},
	{name: "a contradiction", text: "resolved\nwaiting", answer: []string{"it contradicts"}, want: "open medium Helpdesk : message note"},
	{name: "not in the table", text: "reopen\nx", answer: []string{"nothing to reopen"}, want: "open medium Helpdesk : message note"},
	{name: "six commands", text: "take\npriority high\nteam net\ncc a@b.example\ndue friday\nquiet", answer: []string{"6 commands in one mail", "at most 5"}, want: "open medium Helpdesk : message note"},
	// Mails of their own.
	{name: "several tickets", subject: "new", text: "%[1]s resolved\n%[2]s take\n\nBoth of them.", answer: []string{"open → resolved", "nobody → noah@example.com"}, want: "resolved medium Helpdesk : message note"},
	{name: "several tickets, one of them none", subject: "new", text: "%[1]s resolved\n99999 take", answer: []string{"there is no ticket 99999"}, want: "open medium Helpdesk : message"},
	{name: "mine", first: []string{"take"}, subject: "new", text: "mine", answer: []string{"assigned to you:", "[IT-%[1]s]"}, want: "in_progress medium Helpdesk noah: message"},
	{name: "queue", subject: "new", text: "queue help", answer: []string{"in the queue of Helpdesk:"}, want: "open medium Helpdesk : message"},
	{name: "show", subject: "new", text: "show %[1]s", answer: []string{"Requester: ", "What was said last:", "> It hums."}, want: "open medium Helpdesk : message"},
	{name: "help", subject: "new", text: "help", answer: []string{"What is answered by mail:"}, want: "open medium Helpdesk : message"},
}

func TestT08_T09_T10_EachRowOfTheManualByMail(t *testing.T) {
	t.Parallel()
	s := demoSystem(t, demomail.Options{})
	d := start(t, settingsFor(t, s, "deskd.db", "limits:\n  answers_per_address_hour: 1000\n  answers_per_address_day: 1000\n  answers_per_hour: 1000\n  unauthenticated_interval: 1ms\n"))
	noah := s.open(t, "noah@example.com")
	for i, r := range rows {
		ann := fmt.Sprintf("ann%d@example.com", i)
		t.Run(r.name, func(t *testing.T) {
			noah.t = t
			c := &rowCase{t: t, s: s, d: d, ann: s.open(t, ann), noah: noah, people: map[string]string{"": "noah@example.com", "ann": ann, "eve": "eve@example.com"}}
			c.run(r, fmt.Sprint("x", i, "@example.com"))
		})
	}
}

// rowCase is one row at work.
type rowCase struct {
	t             *testing.T
	s             *system
	d             *daemon
	ann, noah     *inbox
	people        map[string]string
	number, other string
}

// request opens a ticket and gives its number.
func (c *rowCase) request(from string) string {
	c.s.send(c.t, from, []string{"support@example.com"}, letter(from, "support@example.com", "the scanner of "+from, "It hums."))
	box := c.ann
	if from != c.ann.who {
		box = c.s.open(c.t, from)
	}
	tag := tagForm.FindStringSubmatch(box.wait("an acknowledgement", with("the scanner of "+from, "thank you")).subject())
	return tag[1]
}

func (c *rowCase) run(r row, x string) {
	t := c.t
	c.number = c.request(c.ann.who)
	fill := func(s string) string {
		if strings.Contains(s, "%[2]s") && c.other == "" {
			c.other = c.request(x)
		}
		s = strings.ReplaceAll(s, "%[1]s", c.number)
		s = strings.ReplaceAll(s, "%[3]s", time.Now().AddDate(0, 0, 100).Format("2006-01-02"))
		return strings.ReplaceAll(s, "%[2]s", c.other)
	}
	subject := fmt.Sprintf("Re: [IT-%s] the scanner", c.number)
	for _, text := range r.first {
		events := len(c.d.show(c.number).Events)
		c.s.send(t, "noah@example.com", []string{"support@example.com"}, letter("noah@example.com", "support@example.com", subject, text+"\nquiet"))
		until(t, "the first mail is handled", func() bool { return len(c.d.show(c.number).Events) > events })
	}
	who := c.people[r.who]
	if r.subject == "new" {
		subject = "a mail of its own " + c.number
	} else {
		if r.subject != "" { // typed by the technician, in a mail that answers none
			subject = strings.TrimPrefix(subject, "Re: ") + r.subject
		}
	}
	kind := "Content-Type: text/plain; charset=utf-8"
	if r.html {
		kind = "Content-Type: text/html; charset=utf-8"
	}
	c.ann.look()
	c.noah.look()
	before, inAnn, inNoah := c.d.show(c.number), len(c.ann.kept), len(c.noah.kept)
	raw := letter(who, "support@example.com", subject, fill(r.text), "MIME-Version: 1.0", kind, "Content-Transfer-Encoding: 8bit")
	if r.outside {
		c.s.sendOutside(t, who, []string{"support@example.com"}, raw)
	} else {
		c.s.send(t, who, []string{"support@example.com"}, raw)
	}
	fresh := func(b *inbox, from int, parts []string) {
		for i := range parts {
			parts[i] = fill(parts[i])
		}
		b.wait("a mail with "+strings.Join(parts, ", "), func(m received) bool {
			for i, k := range b.kept {
				if i >= from && string(k.raw) == string(m.raw) {
					return with(parts...)(m)
				}
			}
			return false
		})
	}
	if len(r.answer) > 0 {
		box, from := c.noah, inNoah
		if r.who == "ann" {
			box, from = c.ann, inAnn
		}
		fresh(box, from, r.answer)
	} else if r.who != "eve" {
		until(t, "the mail is handled", func() bool {
			v := c.d.show(c.number)
			return len(v.Entries) > len(before.Entries) || len(v.Events) > len(before.Events)
		})
	} else {
		until(t, "the stranger's mail is a ticket of its own", func() bool {
			for _, v := range c.d.tickets() {
				if v.Requester == who && v.Number > before.Number {
					return true
				}
			}
			return false
		})
	}
	if len(r.told) > 0 {
		fresh(c.ann, inAnn, r.told)
	}
	if got, want := c.state(), fill(r.want); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// state is the ticket in a line: status priority team assignee: entries, and
// what else hangs on it.
func (c *rowCase) state() string {
	v := c.d.show(c.number)
	assignee, _, _ := strings.Cut(v.Assignee, "@")
	got := fmt.Sprintf("%s %s %s %s:", v.Status, v.Priority, v.Team, assignee)
	for _, e := range v.Entries {
		got += " " + e.Kind
	}
	for _, p := range v.Participants {
		if strings.HasPrefix(p, "x") {
			p = "x@example.com"
		}
		got += ", " + p
	}
	for _, l := range v.Links {
		if l.Kind != "claims" {
			got += ", " + l.Kind
		}
	}
	for _, tag := range v.Tags {
		got += ", " + tag
	}
	if !v.Due.IsZero() {
		got += ", due " + v.Due.Format("2006-01-02")
	}
	return got
}
