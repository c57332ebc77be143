package main

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"deskd/mailin"
	"deskd/triage"
)

func TestT1CheckSaysWhatTheRulesMakeOfRecentMail(t *testing.T) {
	t.Parallel()
	const ours = "Authentication-Results: mx.example.com; dmarc=pass header.from=example.com\r\n"
	trust := triage.Trust{Servers: []string{"mx.example.com"}, Borders: []string{".provider.example"}}
	rules, err := triage.New(triage.Policy{
		Teams: []triage.Team{{Name: "Helpdesk", List: "helpdesk@example.com", Roster: []string{"noah@example.com"}}}, Trust: trust, Secret: make([]byte, 32),
	})
	if err != nil {
		t.Fatal(err)
	}
	var raws [][]byte
	for _, header := range []string{
		ours + "Received: from a by mx.example.com; Mon, 23 Nov 2026 15:02:00 +0000\r\nFrom: noah@example.com\r\n",
		"Received: from a by z.example.net; Mon, 23 Nov 2026 15:02:00 +0000\r\n" + ours + "From: noah@example.com\r\n",
		"Received: from a by b.example.net; Mon, 23 Nov 2026 15:02:00 +0000\r\n" + ours + "From: ann@example.com\r\n",
		"Authentication-Results: mx.example.com; dmarc=fail header.from=example.com\r\nFrom: eve@example.com\r\n",
		"Received: from a by m7.provider.example; Mon, 23 Nov 2026 15:02:00 +0000\r\n" + ours + "From: eve@other.example\r\n",
		"From: eve@example.net\r\n",
	} {
		raws = append(raws, []byte(header+"\r\n"))
	}
	want := []string{
		"the newest 6 mails: the settings prove the sender of 1, and not of 5",
		"proven by dmarc by mx.example.com: 1 of them",
		"not proven, since our mail server wrote no result about this mail: 3 of them",
		"not proven, since our mail server says dmarc=fail: 1 of them",
		"not proven, since our mail server vouches for nothing that fits other.example: 1 of them",
		"in 1 of those without a proof a technician is named; commands in such mail change nothing",
		"Authentication-Results by mx.example.com: in 5 of them",
		`what your server says stands below a Received field by "b.example.net" in 1 of them, and so may have come with them; if that host is yours, name it under authentication.borders`,
		`what your server says stands below a Received field by "z.example.net" in 1 of them, and so may have come with them; if that host is yours, name it under authentication.borders`,
	}
	if diff := cmp.Diff(want, proofs(t.Context(), raws, rules, trust, mailin.Limits{}, nil)); diff != "" {
		t.Error(diff)
	}
}
