package desk

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"deskd/mailin"
	"deskd/mailout"
	"deskd/store"
	"deskd/store/storetest"
	"deskd/triage"
	"deskd/triage/ticket"
)

func TestT05OutsiderGetsTheSameAnswerWithAnyReference(t *testing.T) {
	both(t, func(t *testing.T, o *office) {
		o.deliver(vouched(letter("Ann <"+ann+">", "Salaries printer", "The secret list.")))
		o.deliver(vouched(letter(tina, "Re: [IT-1001]", "take")))
		before := o.show(1001)
		o.post()
		real := o.only(postFrom(o, letter("eve1@example.net", "Re: [IT-1001] hello", "Hi.", "Message-ID: <same@example.net>")), mailout.Acknowledgement)
		none := o.only(postFrom(o, letter("eve2@example.net", "Re: [IT-9999] hello", "Hi.", "Message-ID: <same2@example.net>")), mailout.Acknowledgement)
		plain := o.only(postFrom(o, letter("eve3@example.net", "hello", "Hi.", "Message-ID: <same3@example.net>")), mailout.Acknowledgement)
		o.wantFates("new_ticket appended new_ticket new_ticket new_ticket")
		shape := func(p posted) string {
			s := p.whole
			for from, to := range map[string]string{p.Ticket.String(): "N", p.Recipient: "R", "\r": ""} {
				s = strings.ReplaceAll(s, from, to)
			}
			var lines []string
			for line := range strings.Lines(s) {
				if !strings.HasPrefix(line, triage.LoopField) && !strings.HasPrefix(line, "Message-ID:") && !strings.HasPrefix(line, "In-Reply-To:") && !strings.HasPrefix(line, "References:") &&
					!strings.HasPrefix(line, "Content-Type: multipart/alternative; boundary=deskd-") { // made of the Message-ID, which is made of the number
					lines = append(lines, line)
				}
			}
			return strings.Join(lines, "")
		}
		if diff := cmp.Diff(shape(real), shape(none)); diff != "" {
			t.Errorf("answers to a real and to a made-up reference differ:\n%s", diff)
		}
		if diff := cmp.Diff(shape(real), shape(plain)); diff != "" {
			t.Errorf("answers with and without a reference differ:\n%s", diff)
		}
		for _, word := range []string{"1001", "Salaries", "secret", "Ann", ann, tina, "link", "claim"} {
			text := real.whole
			if word == "link" || word == "claim" { // an id may have that by chance
				text = shape(real)
			}
			if strings.Contains(text, word) {
				t.Errorf("the answer tells %q:\n%s", word, real.whole)
			}
		}
		after := o.show(1001)
		if diff := cmp.Diff(before.Ticket, after.Ticket); diff != "" || len(after.Entries) != len(before.Entries) || len(after.Events) != len(before.Events) {
			t.Errorf("the existing ticket changed:\n%s", diff)
		}
		// The team is told.
		d := o.show(1002)
		if len(d.Links) != 1 || d.Links[0].To != 1001 || d.Links[0].Kind != "claims" {
			t.Errorf("links %+v", d.Links)
		}
	})
}

// postFrom delivers a mail and gives what goes out because of it.
func postFrom(o *office, raw string) []posted {
	o.t.Helper()
	o.deliver(raw)
	return o.post()
}

// altered gives a Message-ID of ours with another letter in its random part.
func altered(id string) string {
	const at = len("deskd.1001.12345678.") + 10
	other := "x"
	if id[at:at+1] == other {
		other = "y"
	}
	return id[:at] + other + id[at+1:]
}

func TestT06ForgedReferencesLeadNowhere(t *testing.T) {
	o := quick(t)
	o.deliver(vouched(letter(ann, "printer", "x", "Message-ID: <ann1@example.org>")))
	ack := o.only(o.post(), mailout.Acknowledgement)
	for _, id := range []string{ack.Row.MessageID, altered(ack.Row.MessageID), "ann1@example.org"} {
		o.deliver(letter(eve, "hello", "Mine. "+id, "In-Reply-To: <"+id+">", "References: <"+id+">"))
	}
	o.wantFates("new_ticket new_ticket new_ticket new_ticket")
	if n := len(o.show(1001).Entries); n != 1 {
		t.Errorf("%d entries, want 1", n)
	}
	// And a stranger's references do not make other people's threads his.
	o.deliver(letter(eve, "trap", "x", "References: <future@example.org>", "Message-ID: <trap@example.net>"))
	o.deliver(letter(bob, "Re: future", "I answer somebody else.", "In-Reply-To: <future@example.org>"))
	if d := o.last(); d.Ticket.Requester != bob || len(d.Links) != 0 {
		t.Errorf("ticket %+v, links %+v", d.Ticket, d.Links)
	}
}

func TestT12NobodyJoinsByCcOfAnUnprovedMail(t *testing.T) {
	both(t, func(t *testing.T, o *office) {
		o.deliver(letter(ann, "spoofed", "x", "Cc: "+eve))                // says it is from Ann
		o.deliver(vouched(letter(ann, "real", "x", "Cc: Bob <"+bob+">"))) // is
		if p := o.show(1001).Participants; len(p) != 0 {
			t.Errorf("participants of the unproved mail: %+v", p)
		}
		if p := o.show(1002).Participants; len(p) != 1 || p[0].Addr != bob {
			t.Errorf("participants of the proved mail: %+v", p)
		}
		// An answer brings nobody in either.
		o.deliver(vouched(letter(ann, "Re: [IT-1001] spoofed", "More.", "Cc: "+eve)))
		o.deliver(vouched(letter(tina, "Re: [IT-1001] spoofed", "#public\nHello.")))
		o.deliver(vouched(letter(tina, "Re: [IT-1002] real", "#public\nHello.")))
		for _, r := range o.rows() {
			if r.Recipient == eve {
				t.Errorf("%s went to %s", r.Kind, eve)
			}
		}
		reply := slices.DeleteFunc(o.outbox(), func(s string) bool { return !strings.HasPrefix(s, "reply ") })
		if want := []string{"reply " + ann, "reply " + ann, "reply " + bob}; !slices.Equal(reply, want) {
			t.Errorf("replies %q, want %q", reply, want)
		}
	})
}

func TestT16AutomaticMailGetsNoAnswer(t *testing.T) {
	t.Parallel()
	kinds := map[string][]string{
		"auto-replied":          {"Auto-Submitted: auto-replied"},
		"auto-generated, case":  {"AUTO-SUBMITTED:  Auto-Generated ; x=y"},
		"folded":                {"Auto-Submitted:\r\n auto-notified"},
		"null sender":           {"Return-Path: <>"},
		"precedence bulk":       {"Precedence: bulk"},
		"precedence junk":       {"Precedence: JUNK"},
		"precedence list":       {"Precedence: list"},
		"precedence auto_reply": {"Precedence: auto_reply"},
		"list":                  {"List-Id: <users.example.net>"},
		"unsubscribe":           {"List-Unsubscribe: <mailto:x@example.net>"},
		"suppress all":          {"X-Auto-Response-Suppress: All"},
		"suppress autoreply":    {"X-Auto-Response-Suppress: DR, AutoReply"},
		"x-autoreply":           {"X-Autoreply: yes"},
		"x-autorespond":         {"X-Autorespond: yes"},
		"x-loop":                {"X-Loop: x@example.net"},
		"twice":                 {"Auto-Submitted: no", "Auto-Submitted: auto-replied"},
		"out of office":         {"Subject: Out of Office: printer", "In-Reply-To: <x@example.org>"},
		"vacation":              {"Subject: Automatic reply: printer"},
		"daemon":                {"From: MAILER-DAEMON@example.net"},
		"no-reply":              {"From: no-reply@example.net"},
		"report":                {`Content-Type: multipart/report; report-type=delivery-status; boundary="b"`},
		"many hops":             {"Received: from a by b; Mon, 02 Mar 2026 08:59:00 +0000" + strings.Repeat("\r\nReceived: from a by b; Mon, 02 Mar 2026 08:59:00 +0000", 50)},
		"own":                   {"From: " + support},
		"own alias":             {"From: Help <HELP@Example.org>"},
		"own with detail":       {"From: support+x@example.org"},
	}
	for name, fields := range kinds {
		t.Run(name, func(t *testing.T) {
			o := open(t, storetest.SQLite(t))
			o.deliver(letter("sender@example.net", "printer", "Hello.", fields...))
			for _, r := range o.rows() {
				if r.Automatic || strings.Contains(r.Recipient, "example.net") || strings.Contains(r.Recipient, support) {
					t.Errorf("%s went to %s", r.Kind, r.Recipient)
				}
			}
			in := o.intakes()
			if len(in) != 1 || in[0].Fate == "" || in[0].Fate == store.FateQuarantined {
				t.Fatalf("intake %+v", in)
			}
			if _, err := o.store.Raw(t.Context(), in[0].SHA256); err != nil {
				t.Errorf("it is not kept: %v", err)
			}
		})
	}
	for name, fields := range map[string][]string{
		"auto-submitted no":          {"Auto-Submitted: no"},
		"auto-submitted no, dressed": {"auto-submitted:  NO ; x=y"},
		"suppress oof alone":         {"X-Auto-Response-Suppress: OOF"},
		"postmaster":                 {"From: postmaster@example.net"},
	} {
		t.Run(name, func(t *testing.T) {
			o := open(t, storetest.SQLite(t))
			o.deliver(letter("sender@example.net", "printer", "Hello.", fields...))
			if got := o.outbox(); !slices.ContainsFunc(got, func(s string) bool { return strings.HasPrefix(s, "acknowledgement ") }) {
				t.Errorf("outbox %q, want an acknowledgement", got)
			}
		})
	}
}

func TestT17AnswersToOneAddressAreLimited(t *testing.T) {
	for name, c := range map[string]struct {
		vouched bool
		every   time.Duration
		mails   int
		want    int
		limits  AnswerLimits
	}{
		"within an hour":                {true, time.Minute, 15, 10, AnswerLimits{}},
		"after an hour again":           {true, 7 * time.Minute, 20, 20, AnswerLimits{}},
		"within a day":                  {true, 10 * time.Minute, 40, 30, AnswerLimits{}},
		"not vouched for":               {false, time.Minute, 11, 3, AnswerLimits{}},
		"not vouched for, slow":         {false, 5 * time.Minute, 4, 4, AnswerLimits{}},
		"other limits":                  {true, time.Minute, 5, 2, AnswerLimits{Hour: 2}},
		"other limits, day":             {true, 2 * time.Hour, 5, 3, AnswerLimits{Day: 3}},
		"not vouched for, other limits": {false, time.Minute, 5, 3, AnswerLimits{Unproved: 2 * time.Minute}},
	} {
		t.Run(name, func(t *testing.T) {
			both(t, func(t *testing.T, o *office) {
				for i := range c.mails {
					raw := letter(ann, fmt.Sprint("mail ", i), "x")
					if c.vouched {
						raw = vouched(raw)
					}
					o.deliver(raw)
					o.clock.add(c.every)
				}
				var acks, notices int
				for _, r := range o.rows() {
					switch r.Kind {
					case string(mailout.Acknowledgement):
						acks++
					case string(mailout.TeamNotice):
						notices++
					}
				}
				if acks != c.want || notices != c.mails { // the team is always told
					t.Errorf("%d acknowledgements and %d notices, want %d and %d", acks, notices, c.want, c.mails)
				}
				var held int
				for _, tk := range o.tickets() {
					if strings.Contains(strings.Join(o.events(tk.Number), "\n"), "no acknowledgement to "+ann) {
						held++
					}
				}
				if held != c.mails-c.want {
					t.Errorf("%d timelines tell that none was sent, want %d", held, c.mails-c.want)
				}
			}, func(s *setup) { s.desk.Answers = c.limits })
		})
	}
}

// Mails of one batch count like mails one after the other.
func TestT17LimitsHoldWithinABatch(t *testing.T) {
	both(t, func(t *testing.T, o *office) {
		var raws []string
		for i := range 15 {
			raws = append(raws, vouched(letter(ann, fmt.Sprint("mail ", i), "x")), letter(eve, fmt.Sprint("mail ", i), "x"))
		}
		o.deliver(raws...)
		acks := map[string]int{}
		for _, r := range o.rows() {
			if r.Kind == string(mailout.Acknowledgement) {
				acks[r.Recipient]++
			}
		}
		if diff := cmp.Diff(map[string]int{ann: 10, eve: 1}, acks); diff != "" {
			t.Errorf("acknowledgements (-want +got):\n%s", diff)
		}
	})
}

func TestT17LimitOverall(t *testing.T) {
	both(t, func(t *testing.T, o *office) {
		send := func(from, n int) {
			var raws []string
			for i := range n {
				raws = append(raws, vouched(letter(fmt.Sprintf("user%d@example.org", from+i), "printer", "x")))
			}
			o.deliver(raws...)
		}
		send(0, 15)
		send(100, 15)
		count := func() (n int) {
			for _, r := range o.rows() {
				if r.Automatic {
					n++
				}
			}
			return n
		}
		if n := count(); n != 20 {
			t.Errorf("%d answers, want 20", n)
		}
		if n := len(o.rows()); n != 20+30 {
			t.Errorf("%d mails in all, want 50: the team is always told", n)
		}
		o.clock.add(time.Hour + time.Second)
		send(200, 1)
		if n := count(); n != 21 {
			t.Errorf("%d answers after an hour, want 21", n)
		}
	}, func(s *setup) { s.desk.Answers.Overall = 20 })
}

// Where answers go is counted, not where mails come from.
func TestT17LimitCountsTheAddressThatIsAnswered(t *testing.T) {
	o := quick(t)
	for i := range 15 {
		o.deliver(vouched(letter(fmt.Sprintf("user%d@example.org", i), "printer", "x", "Reply-To: Victim@Example.org")))
	}
	acks := slices.DeleteFunc(o.outbox(), func(s string) bool { return s != "acknowledgement victim@example.org" })
	if len(acks) != 10 {
		t.Errorf("%d answers to the one address, want 10 (%q)", len(acks), o.outbox())
	}
}

func TestT04ReplyToOfAnUnprovedSenderIsNotUsed(t *testing.T) {
	o := quick(t)
	o.deliver(letter(ann, "printer", "x", "Reply-To: "+tina))
	o.wantOutbox("acknowledgement "+ann, "team-notice desktop-team@example.org")
}

func TestT18NothingIsSentToOwnAddresses(t *testing.T) {
	both(t, func(t *testing.T, o *office) {
		o.deliver(
			vouched(letter(ann, "printer", "x", "Cc: "+alias+", "+support)),
			vouched(letter(ann, "vpn", "x", "Reply-To: "+alias)),
			vouched(letter(ann, "password", "x")),
			letter("Support <support+1@example.org>", "own", "x"),
			letter(support, "own", "x"),
			vouched(letter(support, "Re: [IT-1001] printer", "Written in the shared mailbox.")),
		)
		o.deliver(vouched(letter(tom, "Re: [IT-1001] printer", "take")))
		o.deliver(letter(ann, "Re: [IT-1001] printer", "And?"))
		o.deliver(vouched(letter(tom, "Re: [IT-1001] printer", "#public\nHello.")))
		rules := o.rules
		for _, r := range o.rows() {
			if rules.Own(r.Recipient) {
				t.Errorf("%s goes to %s", r.Kind, r.Recipient)
			}
		}
		for _, p := range o.post() {
			for _, a := range append(append([]triage.Address{}, p.To...), p.Cc...) {
				if rules.Own(a.Addr) {
					t.Errorf("%s names %s as a recipient", p.Kind, a.Addr)
				}
			}
		}
		o.wantEvent(1001, "nothing is sent to "+support)
	}, func(s *setup) {
		// Somebody put the support address where people belong.
		for i := range s.policy.Teams {
			s.policy.Teams[i].Roster = append(s.policy.Teams[i].Roster, support, "HELP@example.org")
		}
		s.policy.Teams[0].List, s.policy.Teams[2].List = alias, support
	})
}

// bounce is a delivery report (RFC 3464) about a mail of ours.
func bounce(about string) string {
	return letter("MAILER-DAEMON@mx.example.org", "Undelivered Mail Returned to Sender", strings.Join([]string{
		"--b", "Content-Type: text/plain", "", "It could not be delivered.",
		"--b", "Content-Type: message/delivery-status", "", "Reporting-MTA: dns; mx.example.org", "",
		"Final-Recipient: rfc822; " + ann, "Action: failed", "Status: 5.1.1", "Diagnostic-Code: smtp; 550 no such user",
		"--b", "Content-Type: text/rfc822-headers", "", "Message-ID: <" + about + ">", "Subject: printer", "--b--",
	}, "\n"), "Return-Path: <>", "Auto-Submitted: auto-replied",
		`Content-Type: multipart/report; report-type=delivery-status; boundary="b"`)
}

func TestT19BounceIsAnEventOnItsTicket(t *testing.T) {
	both(t, func(t *testing.T, o *office) {
		o.deliver(letter(ann, "printer", "x"))
		ack := o.only(o.post(), mailout.Acknowledgement)
		o.deliver(bounce(ack.Row.MessageID), bounce("unknown@example.org"))
		o.wantFates("new_ticket bounce bounce")
		if n := len(o.tickets()); n != 1 {
			t.Errorf("%d tickets, want 1", n)
		}
		o.wantEvent(1001, "delivery report: "+ann+": failed (5.1.1)")
		d := o.show(1001)
		if d.Ticket.Status != ticket.Open || len(d.Entries) != 1 {
			t.Errorf("ticket %+v", d.Ticket)
		}
		if in := o.intakes(); in[1].Ticket != 1001 || in[2].Ticket != 0 {
			t.Errorf("they lead to %d and %d, want 1001 and none", in[1].Ticket, in[2].Ticket)
		}
		if rest := o.post(); len(rest) != 0 {
			t.Errorf("mail because of a bounce: %+v", rest)
		}
	})
}

func TestABounceMarksTheAddressUntilItWrites(t *testing.T) {
	both(t, func(t *testing.T, o *office) {
		o.deliver(letter(ann, "printer", "x"))
		ack := o.only(o.post(), mailout.Acknowledgement)
		o.clock.add(time.Minute)
		o.deliver(bounce("unknown@example.org"), strings.ReplaceAll(bounce(ack.Row.MessageID), ann, "tom@example.org"))
		if d := o.show(1001); len(d.Returned) != 0 { // T14: of no mail to that address
			t.Errorf("marked %+v", d.Returned)
		}
		o.deliver(strings.ReplaceAll(bounce(ack.Row.MessageID), "Action: failed", "Action: delayed"))
		if d := o.show(1001); len(d.Returned) != 0 {
			t.Errorf("delayed mail marks %+v", d.Returned)
		}
		o.deliver(strings.ReplaceAll(bounce(ack.Row.MessageID), "no such user", "no such user\n  here"))
		want := []store.Returned{{Addr: ann, At: o.clock.now(), Why: "5.1.1 550 no such user here"}}
		if diff := cmp.Diff(want, o.show(1001).Returned, cmpopts.EquateApproxTime(time.Minute)); diff != "" {
			t.Errorf("marked (-want +got):\n%s", diff)
		}
		o.post()
		const warning = "an earlier mail did not reach " + ann + ": 5.1.1 550 no such user here"
		list := postFrom(o, vouched(letter(tina, "Re: [IT-1001] printer", "reply\nWhich one?")))
		if told := o.only(list, mailout.Transcript); !strings.Contains(strings.Join(strings.Fields(told.whole), " "), warning) {
			t.Errorf("who replies is told\n%s", told.whole)
		}
		if reply := o.only(list, mailout.Reply); strings.Contains(reply.whole, "did not reach") {
			t.Errorf("the requester is told\n%s", reply.whole)
		}
		o.clock.add(time.Minute)
		o.deliver(letter(ann, "Re: [IT-1001] printer", "The one at the window."))
		if d := o.show(1001); len(d.Returned) != 0 {
			t.Errorf("after a mail from there: %+v", d.Returned)
		}
	})
}

func TestT20MailBombThroughUs(t *testing.T) {
	const canary = "canary"
	both(t, func(t *testing.T, o *office) {
		for i := range 20 {
			var raws []string
			for j := range 50 {
				raws = append(raws, letter("Canary-Name <victim@example.com>", fmt.Sprint("Canary subject printer ", i, j), "Canary body",
					"Message-ID: <canary-"+fmt.Sprint(i, "-", j)+"@example.com>", "References: <canary-ref@example.com>"))
			}
			o.deliver(raws...)
			o.clock.add(3 * time.Minute) // 1,000 mails within the hour
		}
		var acks int
		for _, p := range o.post() {
			if p.Recipient != "victim@example.com" {
				continue
			}
			acks++
			text := strings.ToLower(p.whole)
			for line := range strings.Lines(text) { // the ids thread, and are shown to nobody
				if !strings.HasPrefix(line, "in-reply-to:") && !strings.HasPrefix(line, "references:") && strings.Contains(line, canary) {
					t.Fatalf("the sender's words go out: %s", line)
				}
			}
		}
		if acks == 0 || acks > 10 {
			t.Errorf("%d acknowledgements, want 1 to 10", acks)
		}
		if n := len(o.intakes()); n != 1000 {
			t.Errorf("%d mails kept, want 1000", n)
		}
	}, quiet)
}

func TestT22NoBackscatter(t *testing.T) {
	t.Parallel()
	spam := func(s *setup) {
		s.policy.Rules = append([]triage.Rule{
			{Words: []string{"ignoreme"}, Action: triage.Ignore}, {Words: []string{"lottery"}, Action: triage.Spam},
		}, s.policy.Rules...)
	}
	for name, c := range map[string]struct {
		raw  string
		want string
		to   []string // who may get mail
	}{
		"refused by rule":     {letter(eve, "ignoreme", "x"), "refused", nil},
		"spam by rule":        {letter(eve, "lottery", "x"), "spam", nil},
		"marked as spam":      {letter(eve, "hello", "x", "X-Spam-Flag: YES"), "spam", nil},
		"two authors":         {letter(eve+", "+ann, "hello", "x"), "new_ticket", []string{helpList}},
		"two From fields":     {"From: " + ann + "\r\n" + letter(eve, "hello", "x"), "new_ticket", []string{helpList}},
		"no author":           {letter(eve, "hello", "x", "From: "), "new_ticket", []string{helpList}},
		"nothing to be read":  {"\x00\xff\xfe\x00garbage without end", "new_ticket", []string{helpList}},
		"empty":               {"", "new_ticket", []string{helpList}},
		"a line end":          {"\r\n", "new_ticket", []string{helpList}},
		"spoofed technician":  {letter(tina, "Re: [IT-1001]", "resolved"), "unverified", []string{tina}}, // "was this you?", once an hour
		"automatic, no match": {letter(eve, "away", "x", "Auto-Submitted: auto-replied"), "automatic", nil},
	} {
		t.Run(name, func(t *testing.T) {
			o := open(t, storetest.SQLite(t), spam)
			o.deliver(letter(bob, "printer", "x"))
			o.post()
			o.deliver(c.raw)
			if got := string(o.intakes()[1].Fate); got != c.want {
				t.Errorf("fate %s, want %s", got, c.want)
			}
			for _, p := range o.post() {
				if !slices.Contains(c.to, p.Recipient) {
					t.Errorf("%s goes to %s", p.Kind, p.Recipient)
				}
			}
			if d := o.show(1001); d.Ticket.Status != ticket.Open {
				t.Errorf("the other ticket is %s", d.Ticket.Status)
			}
		})
	}
}

func TestF18OldMailGetsNoAcknowledgement(t *testing.T) {
	both(t, func(t *testing.T, o *office) {
		var batch []mailin.Fetched
		for i, age := range []time.Duration{0, 24 * time.Hour, 24*time.Hour + time.Second, 365 * 24 * time.Hour} {
			f := o.fetch(letter(fmt.Sprintf("user%d@example.org", i), "printer", "x"))
			f.Arrived = f.Arrived.Add(-age)
			batch = append(batch, f)
		}
		o.handOver(batch)
		acks := slices.DeleteFunc(o.outbox(), func(s string) bool { return !strings.HasPrefix(s, "ack") })
		if want := []string{"acknowledgement user0@example.org", "acknowledgement user1@example.org"}; !slices.Equal(acks, want) {
			t.Errorf("%q, want %q", acks, want)
		}
		o.wantEvent(1004, "older than a day")
	})
}

func TestF18FiveThousandOldMailsCauseNoAcknowledgement(t *testing.T) {
	o := quick(t, quiet)
	var batch []mailin.Fetched
	mails := 5000
	if testing.Short() {
		mails = 500
	}
	for i := range mails {
		f := o.fetch(letter(fmt.Sprintf("user%d@example.org", i), fmt.Sprint("old ", i), "x"))
		f.Arrived = f.Arrived.Add(-48 * time.Hour)
		if batch = append(batch, f); len(batch) == 500 {
			o.handOver(batch)
			batch = nil
		}
	}
	n, _, err := o.store.AutoSent(t.Context(), "", time.Time{})
	if err != nil || n != 0 {
		t.Errorf("%d answers, %v, want 0", n, err)
	}
}

func TestUnreadableMailComesWithItsSource(t *testing.T) {
	both(t, func(t *testing.T, o *office) {
		raw := string(bytes.Repeat([]byte{0, 1, 2, 3}, 100))
		o.parse = func([]byte, mailin.Limits) triage.Message { return triage.Message{Unreadable: true} }
		o.deliver(raw)
		o.wantFates("new_ticket")
		if d := o.last(); !slices.Contains(d.Entries[0].Flags, "unreadable") {
			t.Errorf("flags %q", d.Entries[0].Flags)
		}
		note := o.only(o.post(), mailout.TeamNotice)
		if len(note.Attachments) != 1 || note.Attachments[0].Name != "original-mail.txt" {
			t.Fatalf("attachments %+v", note.Attachments)
		}
		data, _, err := mailin.Attachment(note.Row.Body, mailin.Limits{}, note.Attachments[0].Part)
		if err != nil || string(data) != raw {
			t.Errorf("attached %d bytes, %v, want the mail", len(data), err)
		}
	})
}

func TestNoticeBringsFilesThatAreSmallEnough(t *testing.T) {
	both(t, func(t *testing.T, o *office) {
		small, large := bytes.Repeat([]byte("0123456789"), 1000), bytes.Repeat([]byte("x"), 60_000)
		note := o.only(postFrom(o, withFile(ann, "small", "See.", "log.txt", small)), mailout.TeamNotice)
		if len(note.Attachments) != 1 || note.Attachments[0].Name != "log.txt" {
			t.Fatalf("attachments %+v", note.Attachments)
		}
		data, _, err := mailin.Attachment(note.Row.Body, mailin.Limits{}, note.Attachments[0].Part)
		if err != nil || !bytes.Equal(data, small) {
			t.Errorf("%d bytes, %v, want those that came", len(data), err)
		}
		note = o.only(postFrom(o, withFile(bob, "large", "See.", "dump.bin", large)), mailout.TeamNotice)
		if len(note.Attachments) != 0 || !strings.Contains(note.Text(), "dump.bin") {
			t.Errorf("attachments %+v, text:\n%s", note.Attachments, note.Text())
		}
		if d := o.last(); !bytes.Contains(d.Entries[0].Attachments, []byte("dump.bin")) {
			t.Errorf("the ticket does not list it: %s", d.Entries[0].Attachments)
		}
	}, func(s *setup) { s.desk.NoticeBytes = 50_000 })
}

func TestTechniciansReplyGoesToRequesterAndParticipantsWithItsFiles(t *testing.T) {
	both(t, func(t *testing.T, o *office) {
		o.deliver(vouched(letter("Ann <"+ann+">", "printer", "It is jammed.", "Cc: Bob <"+bob+">, "+helpList+", "+tom)))
		ack := o.only(o.post(), mailout.Acknowledgement)
		o.deliver(vouched(withFile("Tina <"+tina+">", "Re: [IT-1001] printer", "#reply\n#quiet\nSee the plan.", "plan.pdf", []byte("plan"))))
		list := o.post()
		var to []string
		for _, p := range list {
			to = append(to, p.Recipient)
			if p.Kind != string(mailout.Reply) || len(p.Attachments) != 1 || p.Attachments[0].Name != "plan.pdf" {
				t.Errorf("%s with %+v", p.Kind, p.Attachments)
			}
			if !strings.Contains(p.Text(), "See the plan.") || strings.Contains(p.Text(), "#") {
				t.Errorf("text:\n%s", p.Text())
			}
			if !slices.Contains(p.InReplyTo, ack.Row.MessageID) {
				t.Errorf("it answers %q, want the acknowledgement", p.InReplyTo)
			}
			if strings.Contains(p.whole, "Auto-Submitted") {
				t.Error("a person's mail says that it is automatic")
			}
		}
		if want := []string{ann, bob}; !slices.Equal(to, want) {
			t.Errorf("it went to %q, want %q", to, want)
		}
		d := o.show(1001)
		if !d.Ticket.FirstResponseAt.Equal(o.clock.now()) {
			t.Errorf("first response at %s", d.Ticket.FirstResponseAt)
		}
		if e := d.Entries[1]; e.Kind != "message" || e.Visibility != "public" || e.Text != "See the plan." {
			t.Errorf("entry %+v", e)
		}
	})
}

func TestWorkNoteStaysInside(t *testing.T) {
	both(t, func(t *testing.T, o *office) {
		o.deliver(vouched(letter(ann, "printer", "It is jammed.", "Cc: "+bob)), vouched(letter(tom, "Re: [IT-1001]", "take")))
		o.post()
		list := postFrom(o, vouched(letter(tina, "Re: [IT-1001]", "Ann jams it on purpose.")))
		if len(list) != 1 || list[0].Recipient != tom || list[0].Kind != string(mailout.NoteNotice) {
			t.Errorf("it is told to %+v, want the assignee", list)
		}
		// With a change of status the requester hears of the change alone.
		for _, p := range postFrom(o, vouched(letter(tina, "Re: [IT-1001]", "resolved\nGave Ann a lesson."))) {
			if (p.Recipient == ann || p.Recipient == bob) && strings.Contains(p.whole, "lesson") {
				t.Errorf("the note reached %s:\n%s", p.Recipient, p.whole)
			}
		}
	})
}

func TestRequestersAnswerGoesToTheAssigneeElseToTheTeam(t *testing.T) {
	both(t, func(t *testing.T, o *office) {
		o.deliver(letter(ann, "printer", "It is jammed."))
		notice := o.only(o.post(), mailout.TeamNotice)
		answer := o.only(postFrom(o, letter(ann, "Re: [IT-1001] printer", "Any news?")), mailout.AnswerNotice)
		if answer.Recipient != "desktop-team@example.org" || !slices.Contains(answer.InReplyTo, notice.Row.MessageID) {
			t.Errorf("it went to %s in answer to %q", answer.Recipient, answer.InReplyTo)
		}
		o.deliver(vouched(letter(tina, "Re: [IT-1001] printer", "take")))
		o.post()
		answer = o.only(postFrom(o, withFile(ann, "Re: [IT-1001] printer", "A picture.", "jam.png", []byte("png"))), mailout.AnswerNotice)
		if answer.Recipient != tina || !strings.Contains(answer.Text(), "A picture.") || len(answer.Attachments) != 1 {
			t.Errorf("it went to %s with %+v", answer.Recipient, answer.Attachments)
		}
		if d := o.show(1001); d.Ticket.Assignee != tina || d.Ticket.Status != ticket.InProgress || !d.Ticket.AnsweredAt.Equal(o.clock.now()) {
			t.Errorf("ticket %+v", d.Ticket)
		}
	})
}

func TestAnswerReopensAResolvedTicketUnlessItIsThanks(t *testing.T) {
	both(t, func(t *testing.T, o *office) {
		o.deliver(letter(ann, "printer", "It is jammed."))
		o.deliver(vouched(letter(tina, "Re: [IT-1001] printer", "resolved")))
		if d := o.show(1001); d.Ticket.Status != ticket.Resolved || !d.Ticket.ResolvedAt.Equal(o.clock.now()) {
			t.Fatalf("ticket %+v", d.Ticket)
		}
		status := o.only(o.post(), mailout.StatusNotice)
		if status.Recipient != ann {
			t.Errorf("the status is told to %s", status.Recipient)
		}
		// The answer comes to the notice, by its Message-ID alone.
		o.deliver(letter(ann, "thank you", "Thank you!", "In-Reply-To: <"+status.Row.MessageID+">"))
		if d := o.show(1001); d.Ticket.Status != ticket.Resolved || len(d.Entries) != 2 {
			t.Errorf("after thanks: %+v", d.Ticket)
		}
		o.deliver(letter(ann, "no", "It is jammed again.", "In-Reply-To: <"+status.Row.MessageID+">"))
		d := o.show(1001)
		if d.Ticket.Status != ticket.Open || !d.Ticket.ResolvedAt.IsZero() {
			t.Errorf("after an answer: %+v", d.Ticket)
		}
		o.wantEvent(1001, "status resolved→open")
		if len(o.tickets()) != 1 {
			t.Errorf("%d tickets", len(o.tickets()))
		}
	})
}

func TestAnswerToAClosedTicketOpensAFollowUp(t *testing.T) {
	both(t, func(t *testing.T, o *office) {
		o.deliver(letter(ann, "printer", "It is jammed."))
		o.deliver(vouched(letter(tina, "Re: [IT-1001] printer", "closed")))
		o.post()
		list := postFrom(o, letter(ann, "Re: [IT-1001] printer", "It is jammed again."))
		d := o.last()
		if d.Ticket.Number != 1002 || d.Ticket.Subject != "printer" || len(d.Links) != 1 || d.Links[0].To != 1001 || d.Links[0].Kind != "follow-up" {
			t.Errorf("ticket %+v, links %+v", d.Ticket, d.Links)
		}
		if s := o.show(1001).Ticket.Status; s != ticket.Closed {
			t.Errorf("the old one is %s", s)
		}
		if n := o.only(list, mailout.TeamNotice); !strings.Contains(n.Text(), "IT-1001") {
			t.Errorf("the team is not told of the old one:\n%s", n.Text())
		}
	})
}

func TestCommandErrorChangesNothingAndIsAnswered(t *testing.T) {
	both(t, func(t *testing.T, o *office) {
		o.deliver(letter(ann, "printer", "It is jammed."))
		o.post()
		list := postFrom(o, vouched(letter(tina, "Re: [IT-1001] printer", "#resolved\n#nonsense\nA note.")))
		if len(list) != 1 || list[0].Kind != string(mailout.CommandError) || list[0].Recipient != tina || !strings.Contains(list[0].Text(), "nonsense") {
			t.Errorf("answers %+v", list)
		}
		d := o.show(1001)
		if d.Ticket.Status != ticket.Open || len(d.Entries) != 2 || d.Entries[1].Kind != "note" {
			t.Errorf("ticket %+v", d)
		}
	})
}

func TestT01UnprovedTechnicianChangesNothing(t *testing.T) {
	both(t, func(t *testing.T, o *office) {
		o.deliver(letter(ann, "printer", "It is jammed."))
		o.post()
		if list := postFrom(o, letter(tina, "Re: [IT-1001] printer", "resolved\nAll done.")); len(list) != 1 || list[0].Recipient != tina {
			t.Errorf("%d mails", len(list))
		}
		o.wantFates("new_ticket unverified")
		d := o.show(1001)
		if d.Ticket.Status != ticket.Open || d.Entries[1].Visibility != "internal" || d.Entries[1].Verified {
			t.Errorf("ticket %+v", d)
		}
	})
}

// Whatever address somebody writes from, the mail is handled.
func TestUnusualAddressesDoNotSinkAMail(t *testing.T) {
	o := quick(t)
	for _, from := range []string{
		`"a b"@example.com`, `"a\"b"@example.com`, "用户@例え.jp", "x@[192.0.2.1]", strings.Repeat("l", 300) + "@example.com",
		"x@" + strings.Repeat("d.", 200) + "example", "a..b@example.com", "x@localhost", "<x@example.com>", "=?utf-8?q?J=C3=B6rg?= <j@example.com>",
		`"very, odd: name;" <v@example.com>`, "x@xn--bcher-kva.example", "postmaster@example.com", "-f@example.com", "a@b@example.com", "a%b@example.com",
		strings.Repeat("l", 900) + "@example.com",
	} {
		o.deliver(letter(from, "hello from "+from[:1], "x"))
		in := o.intakes()
		if got := in[len(in)-1]; got.Fate != store.FateNewTicket {
			t.Errorf("mail from %.60s: %s (%s)", from, got.Fate, got.LastError)
		}
		o.clock.add(time.Hour)
	}
}

// An address that nothing can be sent to costs the others nothing.
func TestReplyReachesThoseItCanReach(t *testing.T) {
	o := quick(t)
	o.deliver(vouched(letter("a..nn@example.org", "printer", "x", "Cc: "+bob+", b..ob@example.org")))
	o.wantEvent(1001, "nothing can be sent to a..nn@example.org")
	o.post()
	list := postFrom(o, vouched(letter(tina, "Re: [IT-1001]", "#reply\n#quiet\nHello.")))
	if len(list) != 1 || list[0].Recipient != bob || list[0].Kind != string(mailout.Reply) || len(list[0].To) != 1 || list[0].To[0].Addr != bob {
		t.Errorf("mails %+v, want one to %s", list, bob)
	}
	o.deliver(vouched(letter("c..d@example.org", "printer", "y")))
	o.post()
	list = postFrom(o, vouched(letter(tina, "Re: [IT-1002]", "#reply\nHello.")))
	if len(list) != 1 || list[0].Recipient != tina || list[0].Kind != string(mailout.ReplyFailed) || !strings.Contains(list[0].Text(), "c..d@example.org") {
		t.Errorf("mails %+v, want a word to the technician", list)
	}
	if e := o.show(1002).Entries; len(e) != 2 || e[1].Text != "Hello." {
		t.Errorf("entries %+v", e)
	}
}

// What else the mail asked for was done, and no limit on answers keeps the
// technician from hearing that the reply was not.
func TestReplyThatReachesNobodyIsToldOf(t *testing.T) {
	o := quick(t, func(s *setup) { s.desk.Answers.Overall = 1 })
	o.deliver(vouched(letter("c..d@example.org", "printer", "y")))
	o.deliver(vouched(letter(ann, "another", "y")))
	o.post()
	list := postFrom(o, vouched(letter(tina, "Re: [IT-1001]", "#reply\n#resolved\nHello.")))
	if o.show(1001).Ticket.Status != ticket.Resolved {
		t.Error("the ticket is not resolved")
	}
	if got := o.only(list, mailout.ReplyFailed); got.Recipient != tina || strings.Contains(got.Text(), "Nothing was changed") {
		t.Errorf("to %s:\n%s", got.Recipient, got.Text())
	}
}

func TestF32AddressBeyondASCIICostsTheOthersNothing(t *testing.T) {
	o := quick(t)
	o.deliver(vouched(letter(ann, "printer", "x", "Cc: jürgen@example.org, "+bob)))
	o.post()
	list := postFrom(o, vouched(letter(tina, "Re: [IT-1001]", "#reply\n#quiet\nHello.")))
	if len(list) != 3 {
		t.Fatalf("%d mails, want 3", len(list))
	}
	ids := map[string]int{}
	for _, p := range list {
		head, _, _ := strings.Cut(string(p.Row.Body), "\r\n\r\n")
		if plain := wide(head); plain != (p.Recipient == "jürgen@example.org") {
			t.Errorf("header of the mail to %s goes beyond ASCII: %v", p.Recipient, plain)
		}
		ids[p.Row.MessageID]++
	}
	if len(ids) != 2 {
		t.Errorf("Message-IDs %v, want one for both plain addresses and one beside it", ids)
	}
}

// The mark beside a name is that of whoever wrote this mail.
func TestT01OnlyTheWriterIsCalledVerified(t *testing.T) {
	o := quick(t)
	mark := func(list []posted, kind mailout.Kind) string {
		mail := o.only(list, kind)
		text := mail.Text()
		switch {
		case strings.Contains(text, "(verified)"):
			return "verified"
		case strings.Contains(text, "(not verified"):
			return "not verified"
		}
		return ""
	}
	if got := mark(postFrom(o, letter(ann, "printer", "x")), mailout.TeamNotice); got != "not verified" {
		t.Errorf("unproved request: %q", got)
	}
	o.deliver(vouched(letter(tom, "Re: [IT-1001]", "#take")))
	o.post()
	if got := mark(postFrom(o, vouched(letter(tina, "Re: [IT-1001]", "looks odd"))), mailout.NoteNotice); got != "" {
		t.Errorf("a technician's note says %q of the requester", got)
	}
	if got := mark(postFrom(o, vouched(letter(ann, "Re: [IT-1001]", "more"))), mailout.AnswerNotice); got != "verified" {
		t.Errorf("proved answer: %q", got)
	}
}

func TestCommandsAssignMoveAndGrade(t *testing.T) {
	both(t, func(t *testing.T, o *office) {
		o.deliver(vouched(letter(ann, "the scanner", "It hums.")))
		o.post()
		list := postFrom(o, vouched(letter(tina, "Re: [IT-1001] the scanner",
			"assign tom\npriority: high\nteam net\ncc bob@example.org\nYou know it best.")))
		tk := o.show(1001).Ticket
		if tk.Assignee != tom || tk.Priority != ticket.High || tk.Team != "Network Team" || tk.Status != ticket.InProgress {
			t.Errorf("ticket %+v", tk)
		}
		for _, want := range []string{
			"assignee →" + tom, "priority medium→high", "team Helpdesk→Network Team", "participant →" + bob, "status open→in_progress: take",
		} {
			o.wantEvent(1001, want)
		}
		var got []string
		for _, p := range list {
			got = append(got, p.Kind+" "+p.Recipient)
		}
		slices.Sort(got)
		if want := []string{"assign-notice " + tom, "move-notice " + nina, "move-notice " + tom, "status-notice " + ann, "transcript " + tina}; !slices.Equal(got, want) {
			t.Errorf("mails %q, want %q", got, want)
		}
		transcript := o.only(list, mailout.Transcript)
		text := transcript.Text()
		for _, want := range []string{"nobody → " + tom, "medium → high", "Helpdesk → Network Team", ann + " (status notice)", nina + " (move notice)"} {
			if !strings.Contains(text, want) {
				t.Errorf("the transcript lacks %q:\n%s", want, text)
			}
		}
		if notice := o.only(list, mailout.AssignNotice); !strings.Contains(notice.Text(), "> You know it best.") {
			t.Errorf("the notice of the new assignee lacks the note:\n%s", notice.Text())
		}

		o.deliver(vouched(letter(tom, "Re: [IT-1001]", "drop\nuncc bob@example.org\nquiet")))
		if d := o.show(1001); d.Ticket.Assignee != "" || len(d.Participants) != 0 {
			t.Errorf("after drop and uncc: %+v, %+v", d.Ticket, d.Participants)
		}
		if list := o.post(); len(list) != 0 {
			t.Errorf("quiet, and yet %d mails", len(list))
		}
	})
}

// One mail is one transaction: a line that cannot be obeyed undoes the others.
func TestT10AllCommandsOrNone(t *testing.T) {
	o := quick(t)
	o.deliver(vouched(letter(ann, "printer", "x")))
	o.post()
	list := postFrom(o, vouched(letter(tina, "Re: [IT-1001]", "assign tom\npriority high\ncc bob@example.org\nuncc eve@example.net\nwords")))
	d := o.show(1001)
	if d.Ticket.Assignee != "" || d.Ticket.Priority == ticket.High || len(d.Participants) != 0 || d.Ticket.Status != ticket.Open {
		t.Errorf("something was done all the same: %+v", d.Ticket)
	}
	if answer := o.only(list, mailout.CommandError); !strings.Contains(answer.Text(), "no participant of the ticket") {
		t.Errorf("answer:\n%s", answer.Text())
	}
	if e := d.Entries[len(d.Entries)-1]; e.Kind != "note" || !strings.Contains(e.Text, "words") {
		t.Errorf("the words: %+v", e)
	}
	// What a closed ticket allows is to be reopened.
	o.deliver(vouched(letter(tina, "Re: [IT-1001]", "close\nquiet")))
	o.post()
	list = postFrom(o, vouched(letter(tina, "Re: [IT-1001]", "priority high")))
	if answer := o.only(list, mailout.CommandError); !strings.Contains(answer.Text(), "closed") || o.show(1001).Ticket.Priority == ticket.High {
		t.Errorf("a closed ticket was changed:\n%s", answer.Text())
	}
}

func TestUndoTakesBackWhatOneMailDid(t *testing.T) {
	both(t, func(t *testing.T, o *office) {
		o.deliver(vouched(letter(ann, "the scanner", "It hums.")))
		o.deliver(vouched(letter(tina, "Re: [IT-1001]", "assign tom\npriority high\nteam net\ncc bob@example.org\nresolved")))
		o.post()
		o.clock.add(10 * time.Minute)
		list := postFrom(o, vouched(letter(tina, "Re: [IT-1001]", "Undo.")))
		d := o.show(1001)
		if tk := d.Ticket; tk.Assignee != "" || tk.Priority != ticket.Medium || tk.Team != triage.Helpdesk || tk.Status != ticket.Open || !tk.ResolvedAt.IsZero() || len(d.Participants) != 0 {
			t.Errorf("after the undo: %+v, %+v", tk, d.Participants)
		}
		o.wantEvent(1001, "status resolved→open: undo")
		if err := o.store.VerifyChain(t.Context(), 1001); err != nil {
			t.Error(err)
		}
		transcript := o.only(list, mailout.Transcript)
		if text := transcript.Text(); !strings.Contains(text, "high → medium") || !strings.Contains(text, "resolved → open") {
			t.Errorf("transcript:\n%s", text)
		}

		// Nobody takes back what somebody else has changed since, nor what is long ago.
		o.deliver(vouched(letter(tina, "Re: [IT-1001]", "priority high")))
		o.deliver(vouched(letter(tom, "Re: [IT-1001]", "priority critical")))
		o.post()
		o.only(postFrom(o, vouched(letter(tina, "Re: [IT-1001]", "undo"))), mailout.CommandError)
		o.clock.add(16 * time.Minute)
		o.only(postFrom(o, vouched(letter(tom, "Re: [IT-1001]", "undo"))), mailout.CommandError)
		if p := o.show(1001).Ticket.Priority; p != ticket.Critical {
			t.Errorf("priority %s", p)
		}
	})
}
