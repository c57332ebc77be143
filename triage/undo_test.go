package triage

import (
	"strings"
	"testing"
	"time"

	"deskd/triage/ticket"
)

func TestUndoSetsBackWhatTheLastMailChanged(t *testing.T) {
	t.Parallel()
	r := desk(t)
	start := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	const noah, sofia = "noah@example.com", "sofia@example.com"
	did := func(intake int64, minute int, actor, what, before, after string) Past {
		return Past{intake, start.Add(time.Duration(minute) * time.Minute), actor, what, before, after}
	}
	now := facts()
	now.Status, now.Assignee, now.Priority, now.Team = ticket.Resolved, noah, ticket.Low, Helpdesk
	now.Participants = []string{"bob@example.com", "al@example.com"}
	all := []Past{
		did(1, 0, "ann@example.com", "created", "", "high, Network Team"),
		did(2, 1, noah, "assignee", "", noah),
		did(2, 1, noah, "team", NetworkTeam, Helpdesk),
		did(2, 1, noah, "priority", "high", "low"),
		did(2, 1, noah, "participant", "", "al@example.com"),
		did(2, 1, noah, "status", "open", "in_progress"),
		did(2, 1, noah, "status", "in_progress", "resolved"),
	}
	for _, c := range []struct {
		name     string
		timeline []Past
		minute   int
		want     string
	}{
		{"everything", all, 10, "assignee: noah@example.com → nobody, team: Helpdesk → Network Team, priority: low → high, al@example.com: participant → no participant, status: resolved → open"},
		{"the last mail alone", append(all[:6:6], did(3, 2, noah, "status", "in_progress", "resolved")), 10, "status: resolved → in progress"},
		{"another's mail does not count", append(all[:5:5], did(4, 3, sofia, "status", "open", "resolved")), 10, "assignee: noah@example.com → nobody, team: Helpdesk → Network Team, priority: low → high, al@example.com: participant → no participant"},
		{"too late", all, 17, "ERROR older than 15 minutes"},
		{"the same thing changed since", append(all[:7:7], did(4, 3, sofia, "priority", "low", "high"), did(5, 4, sofia, "priority", "high", "low")), 10, "ERROR sofia@example.com has changed the priority since"},
		{"nothing", all[:1], 10, "ERROR no mail of yours"},
		{"another participant since", append(all[:7:7], did(4, 3, sofia, "participant", "", "cem@example.com")), 10, "assignee: noah@example.com → nobody, team: Helpdesk → Network Team, priority: low → high, al@example.com: participant → no participant, status: resolved → open"},
	} {
		m := proven(written(noah, "Re: [IT-1042]", "undo"))
		k := knowing(now)
		k.Now = start.Add(time.Duration(c.minute) * time.Minute)
		d := r.Decide(m, k)
		if !d.Undo {
			t.Fatalf("%s: no undo: %+v", c.name, d)
		}
		r.TakeBack(m, &d, k, r.LastChange(&d, c.timeline), map[ticket.Number][]Past{1042: c.timeline})
		var got []string
		for _, e := range d.Effects {
			got = append(got, strings.TrimPrefix(e.Line, "undo: ")+": "+e.Before+" → "+e.After)
		}
		for _, e := range d.Errors {
			got = append(got, "ERROR "+e.Why)
		}
		if s := strings.Join(got, ", "); s != c.want && !(strings.HasPrefix(c.want, "ERROR") && strings.Contains(s, strings.TrimPrefix(c.want, "ERROR "))) {
			t.Errorf("%s:\n got %s\nwant %s", c.name, s, c.want)
		}
		if refused := len(d.Errors) > 0; refused && (d.Undo || len(d.Changes) > 0 || d.Assign != "" || d.Team != "" || d.Priority != "" || len(d.Leaves) > 0) {
			t.Errorf("%s: refused, and yet it changes something: %+v", c.name, d)
		}
	}
}

func TestUndoStandsAlone(t *testing.T) {
	t.Parallel()
	d := desk(t).Decide(proven(written("noah@example.com", "Re: [IT-1042]", "undo\nresolved")), knowing(facts()))
	if d.Undo || len(d.Errors) != 1 || len(d.Changes) != 0 {
		t.Errorf("got %+v", d)
	}
	if d := desk(t).Decide(written("noah@example.com", "Re: [IT-1042]", "undo"), knowing(facts())); d.Undo || d.Fate != Unverified {
		t.Errorf("an unproved undo: %+v", d)
	}
}
