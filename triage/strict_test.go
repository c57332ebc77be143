package triage

import (
	"testing"

	"deskd/triage/ticket"
)

func TestT48ClosingNeedsASignedReferenceWhereTheSettingsSaySo(t *testing.T) {
	t.Parallel()
	key := []byte("key of the ticket")
	for _, c := range []struct {
		name, text, from string
		strict           []string
		to               string        // whom the mail of ours went to that it answers
		want             ticket.Status // after the mail
		reason           string
	}{
		{"close by tag", "closed", "noah@example.com", nil, "", ticket.Closed, "commands"},
		{"close by tag, strict", "closed", "noah@example.com", []string{"close"}, "", ticket.Open, "command-error"},
		{"close in an answer, strict", "closed", "noah@example.com", []string{"close"}, "noah@example.com", ticket.Closed, "commands"},
		{"close by tag, strict for several", "closed", "noah@example.com", []string{"batch"}, "", ticket.Closed, "commands"},
		{"close in an answer to what went to the team, strict", "closed", "noah@example.com", []string{"close"}, "Network@example.com", ticket.Closed, "commands"},
		{"close in an answer to what went to another team, strict", "closed", "noah@example.com", []string{"close"}, "helpdesk@example.com", ticket.Open, "command-error"},
		{"close in an answer to what went to the requester, strict", "closed", "noah@example.com", []string{"close"}, "ann@example.com", ticket.Open, "command-error"},
		{"close in an answer to what went to nobody any more, strict", "closed", "noah@example.com", []string{"close"}, "-", ticket.Open, "command-error"},
		{"resolve by tag, strict", "resolved", "noah@example.com", []string{"close"}, "", ticket.Resolved, "commands"},
		{"requester's close by tag", "close", "ann@example.com", nil, "", ticket.Closed, "answer"},
		{"requester's close by tag, strict", "close", "ann@example.com", []string{"close"}, "", ticket.Open, "answer"},
		{"requester's close in an answer, strict", "close", "ann@example.com", []string{"close"}, "ann@example.com", ticket.Closed, "answer"},
	} {
		r := desk(t, func(p *Policy) { p.Trust.StrictFor = c.strict })
		m := proven(written(c.from, "Re: [IT-1042]", c.text))
		id := r.Signer().MessageID(1042, key, "ticket:1042/notice", "example.com")
		told := map[string][]string{}
		if c.to != "" {
			m.InReplyTo = []string{id}
			told[id] = []string{c.to}
		}
		d := r.Decide(m, &Known{Mailbox: "support@example.com", Told: told, Tickets: map[ticket.Number]Facts{
			1042: {Number: 1042, Mailbox: "support@example.com", Status: ticket.Open, Requester: "ann@example.com", Key: key},
		}})
		got := ticket.Open
		if n := len(d.Changes); n > 0 {
			got = d.Changes[n-1].After
		}
		if got != c.want || d.Reason != c.reason {
			t.Errorf("%s: %s, %s (%+v); want %s, %s", c.name, got, d.Reason, d.Errors, c.want, c.reason)
		}
	}
	r := desk(t, func(p *Policy) { p.Trust.StrictFor = []string{"batch"} })
	for s, want := range map[Sender]bool{
		{Authenticated: true, Signed: true}: true, {Authenticated: true}: false, {Signed: true}: false,
	} {
		if got, why := r.strongEnough(s, StrictBatch); got != want || got == (why != "") {
			t.Errorf("%+v: got %v, %q", s, got, why)
		}
	}
}

func TestT48_StrictBatchesAskTheSender(t *testing.T) {
	t.Parallel()
	p := desk(t).p
	p.Trust.StrictFor = []string{StrictBatch, StrictClose}
	r, err := New(p)
	if err != nil {
		t.Fatal(err)
	}
	m := func() *Message { return proven(written("noah@example.com", "x", "1042 closed")) }
	if got := did(r.Decide(m(), knowing(facts()))); got != "unverified sender-not-verified, tell challenge" {
		t.Errorf("a proven batch: %s", got)
	}
	k := knowing(facts())
	k.Challenged = true
	if d := r.Decide(m(), k); d.Fate != Refused || len(d.Errors) != 1 || len(d.Batch) != 0 {
		t.Errorf("asked before: %s", did(d))
	}
	k = knowing(facts())
	k.Confirmed = true
	if got := did(r.Decide(m(), k)); got != "appended batch, tell transcript | appended batch 1042, in_progress→closed, tell status" {
		t.Errorf("confirmed: %s", got)
	}
}
