package main

import (
	"encoding/json"
	"strings"
	"testing"

	"deskd/cmd/internal/demomail"
	"deskd/store"
	"deskd/triage/ticket"
)

func TestSetCommandsATicketBesideTheDaemon(t *testing.T) {
	t.Parallel()
	s := demoSystem(t, demomail.Options{})
	settings := filled(t, s, func(db *store.Store) { addTickets(t, db, 1) })
	d := start(t, settings)
	set := func(code int, args []string, want ...string) string {
		t.Helper()
		return says(t, code, append(append([]string{"set"}, args...), "--config", settings), want...)
	}
	set(exitFailed, []string{"1001", "priority high", "#resolvd\x1b[2J"}, `Not valid  #resolvd`, `there is no command "resolvd`, "possible: ", "deskd: nothing was changed")
	set(exitFailed, []string{"99999", "resolved"}, "there is no ticket 99999", "nothing was changed")
	set(exitUsage, []string{"abc", "resolved"}, `"abc": want digits only`)
	set(exitUsage, []string{"1001"}, "<command>")
	if v := d.show("1001"); v.Priority != ticket.Medium || len(v.Events) != 1 {
		t.Errorf("refused commands changed something: %+v", v)
	}
	set(exitDone, []string{"IT-1001", "resolved", "priority high", "assign noah@"}, "IT-1001\n", "Did        resolved: in progress → resolved",
		"Did        priority high: medium → high", "Told       ann@example.com (status notice)", "Told       noah@example.com (assign notice)")
	v := d.show("1001")
	if v.Status != ticket.Resolved || v.Priority != ticket.High || v.Assignee != "noah@example.com" {
		t.Errorf("ticket %+v", v)
	}
	who := administrator()
	for _, ev := range v.Events[1:] {
		if ev.Actor != who {
			t.Errorf("event %+v, want it to name %s", ev, who)
		}
	}
	s.open(t, "ann@example.com").wait("news of the status", with("[IT-1001]", "resolved"))
	out, code := command(t, "set", "1001", "reopen", "--json", "--config", settings)
	var got obeyed
	if err := json.Unmarshal([]byte(out), &got); err != nil || code != 0 || len(got.Effects) != 1 || got.Ticket != 1001 || got.Errors == nil {
		t.Errorf("exit code %d, %v\n%s", code, err, out)
	}
	if out, code := command(t, "set", "1001", "reopen", "--json", "--config", settings); code != exitFailed || !strings.Contains(out, "there is nothing to reopen") {
		t.Errorf("exit code %d\n%s", code, out)
	}
	says(t, exitDone, []string{"audit", "verify", "--config", settings}, "2 chains verify")
}
