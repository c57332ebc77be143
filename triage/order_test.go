package triage

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"deskd/triage/ticket"
)

func TestOrdersAtTheMachineAreReadAsAMailIs(t *testing.T) {
	t.Parallel()
	r := desk(t)
	with := func(change func(*Facts)) Facts { f := facts(); change(&f); return f }
	other := with(func(f *Facts) { f.Number = 1050 })
	for _, c := range []struct {
		lines string // one a line
		f     Facts
		want  string
	}{
		{"resolved", facts(), "appended commands 1042, in_progress→resolved, tell status"},
		{"#resolved\nPriority: critical", facts(), "appended commands 1042, in_progress→resolved, tell status"},
		{"status: closed", facts(), "appended commands 1042, in_progress→closed, tell status"},
		{"assign nadia@example.com", facts(), "appended commands 1042, tell assigned, tell taken"},
		{"in progress", facts(), "refused command-error: the ticket is in progress already"},
		{"merge 1050", facts(), "appended commands 1042, tell merged"},
		{"cc eve@example.net", facts(), "appended commands 1042"},
		{"reopen", with(func(f *Facts) { f.Status = ticket.Closed }), "appended commands 1042, closed→open, tell status"},
		// Not obeyed, and nothing changes.
		{"resolved\nwaiting", facts(), "refused command-error: it contradicts"},
		{"resolved\n#resolvd", facts(), `refused command-error: there is no command "resolvd"`},
		{"resolved\nplease", facts(), `refused command-error: there is no command "please"`},
		{"priority high", with(func(f *Facts) { f.Status = ticket.Closed; f.Priority = ticket.Low }), "refused command-error: the ticket is closed"},
		{"priority loud", facts(), "refused command-error: there is no command"},
		{"merge 1099", facts(), "refused command-error: there is no ticket 1099"},
		{"take", facts(), `refused command-error: "take" cannot be given here`},
		{"reply", facts(), `refused command-error: "reply" cannot be given here`},
		{"note", facts(), `refused command-error: "note" cannot be given here`},
		{"undo", facts(), `refused command-error: "undo" cannot be given here`},
		{"split", facts(), `refused command-error: "split" cannot be given here`},
		{"mute", facts(), `refused command-error: "mute" cannot be given here`},
		{"quiet", facts(), `refused command-error: "quiet" cannot be given here`},
		{"status?", facts(), `refused command-error: "status?" cannot be given here`},
		{"for: bob@example.com", facts(), `refused command-error: "for" cannot be given here`},
		{"", facts(), "refused command-error: there is no command"},
		{"open\nwaiting\nopen\nwaiting\nopen\nwaiting", facts(), "refused command-error: 6 commands at once"},
	} {
		commands, named := r.ReadOrders(strings.Split(c.lines, "\n"), time.Now())
		if strings.HasPrefix(c.lines, "merge") != (len(named) == 1) {
			t.Errorf("%q names %v", c.lines, named)
		}
		d := r.Obey(commands, 1042, knowing(c.f, other))
		got, whys := outcome(d), ""
		for _, e := range d.Errors {
			whys += ": " + e.Why
		}
		if len(d.Errors) == 0 && got != c.want || len(d.Errors) > 0 && (!strings.HasPrefix(c.want, got+": ") || !strings.Contains(whys, strings.TrimPrefix(c.want, got+": "))) {
			t.Errorf("%q:\n got %s%s\nwant %s", c.lines, got, whys, c.want)
		}
		if len(d.Errors) > 0 && fmt.Sprint(d.Ticket, d.Changes, d.Tell, d.Effects, d.Commands) != "0 [] [] [] []" {
			t.Errorf("%q is refused and changes something: %+v", c.lines, d)
		}
	}
	commands, _ := r.ReadOrders([]string{"resolved"}, time.Now())
	k := knowing(other)
	if d := r.Obey(commands, 1042, k); len(d.Errors) != 1 || d.Errors[0].Why != "there is no ticket 1042" {
		t.Errorf("a ticket that is not there: %+v", d.Errors)
	}
	k.Merged = map[ticket.Number]ticket.Number{1042: 1050}
	if d := r.Obey(commands, 1042, k); d.Ticket != 1050 {
		t.Errorf("a merged ticket: %d, want 1050", d.Ticket)
	}
}
