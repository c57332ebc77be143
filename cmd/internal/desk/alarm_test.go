package desk

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"deskd/cmd/internal/flow"
)

func TestAlarmsWaitAreToldOnceADayAndSayWhenAllIsWell(t *testing.T) {
	t.Parallel()
	b := book{after: 5 * time.Minute, entries: map[string]*entry{}}
	at := time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)
	imap := flow.Fault{Key: "imap:x", Text: "mailbox"}
	disk := flow.Fault{Key: "database", Text: "disk"}
	step := func(after time.Duration, faults ...flow.Fault) string {
		at = at.Add(after)
		b.look(at, faults)
		a := b.due(at)
		b.told(at)
		return strings.TrimSpace(strings.Join(a.Wrong, " ") + " | " + strings.Join(a.Mended, " "))
	}
	for i, s := range []struct {
		after  time.Duration
		faults []flow.Fault
		want   string
	}{
		{0, []flow.Fault{imap}, "|"},
		{4 * time.Minute, []flow.Fault{imap}, "|"},
		{0, nil, "|"}, // too short to be told, and so is its end
		{2 * time.Minute, []flow.Fault{imap}, "|"},
		{5 * time.Minute, []flow.Fault{imap, disk}, "mailbox |"},
		{time.Minute, []flow.Fault{imap, disk}, "|"},
		{4 * time.Minute, []flow.Fault{imap, disk}, "disk |"},
		{23 * time.Hour, []flow.Fault{imap, disk}, "|"},
		{54 * time.Minute, []flow.Fault{imap, disk}, "|"},
		{time.Minute, []flow.Fault{imap, disk}, "mailbox |"},
		{time.Minute, []flow.Fault{disk}, "|"},
		{30 * time.Second, []flow.Fault{imap, disk}, "|"}, // it was back for too short a time
		{time.Minute, []flow.Fault{disk}, "|"},
		{time.Minute, []flow.Fault{disk}, "| mailbox"},
		{time.Hour, []flow.Fault{disk}, "disk |"},
		{time.Minute, nil, "|"},
		{time.Minute, nil, "| disk"},
		{time.Hour, nil, "|"},
	} {
		if got := step(s.after, s.faults...); got != strings.TrimSpace(s.want) {
			t.Errorf("step %d: %q, want %q", i, got, s.want)
		}
	}
}

func TestAnAlarmThatReachesNobodyIsTriedAgain(t *testing.T) {
	o := quick(t)
	tries := 0
	broken := Way{"broken", func(context.Context, Alarm) error { return errors.New("no way") }}
	works := Way{"works", func(context.Context, Alarm) error {
		if tries++; tries < 3 {
			return errors.New("not yet")
		}
		return nil
	}}
	a := Alarm{Wrong: []string{"disk"}}
	for i, want := range []bool{false, false, true} {
		if got := o.raise(t.Context(), []Way{broken, works}, a); got != want {
			t.Errorf("attempt %d came through: %v", i+1, got)
		}
	}
	if !o.raise(t.Context(), nil, a) {
		t.Error("without a way the log is not enough")
	}
	if n := strings.Count(o.log.String(), "msg=alarm "); n != 4 {
		t.Errorf("%d alarms in the log, want 4", n)
	}
}

func TestOfDesksThatShareADatabaseOneTells(t *testing.T) {
	both(t, func(t *testing.T, o *office) {
		for range 2 {
			if !o.ours(t.Context()) {
				t.Error("the only desk does not tell")
			}
		}
		o.store.Close()
		if !o.ours(t.Context()) {
			t.Error("without a database nobody tells")
		}
	})
}

func TestMailsToOurselvesShowThatMailFlows(t *testing.T) {
	both(t, func(t *testing.T, o *office) {
		read := func() string {
			t.Helper()
			for _, c := range (flow.Reader{Source: o.store}).Read(t.Context(), o.clock.now()).Contacts {
				if strings.HasPrefix(c.Key, flow.RoundTrip) {
					return fmt.Sprintf("%v %s, took %s", c.OK, c.State, c.Took)
				}
			}
			return "none"
		}
		began := o.clock.now()
		_ = o.roundTrip(t.Context(), support, began, 10*time.Minute) // nobody listens at the office's server
		if got := read(); got != "true working, took 0s" {
			t.Errorf("at first: %s", got)
		}
		o.clock.add(19 * time.Minute)
		_ = o.roundTrip(t.Context(), support, began, 10*time.Minute)
		if got := read(); got != "true working, took 0s" {
			t.Errorf("after 19 minutes: %s", got)
		}
		o.clock.add(2 * time.Minute)
		_ = o.roundTrip(t.Context(), support, began, 10*time.Minute)
		if got := read(); got != "false does not come back, took 0s" {
			t.Errorf("after 21 minutes: %s", got)
		}
		sent := o.clock.now()
		id := o.rules.Signer().MessageID(0, nil, roundTripKey(support, sent), o.o.Host)
		ours := func(id string, at time.Time) string {
			return letter(support, "Does this come back?", "x", "Message-ID: <"+id+">", "Date: "+at.Format(time.RFC1123Z),
				"X-Deskd-Loop: "+o.rules.Signer().LoopMark(id), "Auto-Submitted: auto-generated")
		}
		o.clock.add(3 * time.Second)
		// Forged ones change nothing: another time, another id, an old one.
		old := sent.Add(-25 * time.Hour)
		o.deliver(ours(id, sent.Add(time.Second)), ours("x@y", sent), ours(o.rules.Signer().MessageID(0, nil, roundTripKey(support, old), o.o.Host), old),
			ours(o.rules.Signer().MessageID(0, nil, roundTripKey("other@example.org", sent), o.o.Host), sent))
		if got := read(); got != "false does not come back, took 0s" {
			t.Errorf("after forged ones: %s", got)
		}
		o.deliver(ours(id, sent))
		if got := read(); got != "true working, took 3s" {
			t.Errorf("when it is back: %s", got)
		}
		if in := o.intakes(); in[4].Fate != "loop" || in[4].Reason != "round-trip" || in[0].Reason != "own-mail" {
			t.Errorf("recorded as %s %s, and the forged one as %s", in[4].Fate, in[4].Reason, in[0].Reason)
		}
		if len(o.tickets()) != 0 || len(o.rows()) != 0 {
			t.Error("a mail to ourselves opened a ticket, or was answered")
		}
	})
}
