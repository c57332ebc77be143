package main

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"deskd/cmd/internal/demomail"
	"deskd/store"
	"deskd/triage/ticket"
)

// history is the events of a ticket, or with 0 those of the desk, one a line.
func history(t testing.TB, settings string, n ticket.Number) string {
	t.Helper()
	var lines []string
	inFile(t, settings, func(db *store.Store) {
		write(t, db, func(tx *store.Tx) error {
			events, err := tx.LastEvents(n, 100)
			for _, ev := range events {
				lines = append(lines, strings.Join([]string{ev.Actor, ev.What, ev.Before, ev.After, ev.Reason}, "|"))
			}
			return err
		})
	})
	return strings.Join(lines, "\n")
}

// inFile opens the database of the settings as a command beside the daemon
// does.
func inFile(t testing.TB, settings string, do func(db *store.Store)) {
	t.Helper()
	db, err := store.OpenBeside(t.Context(), filepath.Join(filepath.Dir(settings), "deskd.db"), store.Options{Key: deskKey()})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	do(db)
}

// enqueued puts mails to these people into the outbox that nobody sends
// before tomorrow.
func enqueued(t testing.TB, db *store.Store, n ticket.Number, to ...string) {
	t.Helper()
	write(t, db, func(tx *store.Tx) error {
		for _, who := range to {
			err := tx.Enqueue(store.Outgoing{
				Key: "test/" + who, Ticket: n, Recipients: []string{who}, From: "support@example.com", MessageID: "m." + who, Kind: "status-notice",
				Subject: "news\x1b[2J for " + who, Due: time.Now().Add(24 * time.Hour), Body: []byte(crlf(letter("support@example.com", who, "news", "It is mended."))),
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
}

func TestOutboxIsShownRetriedAndCancelledBesideTheDaemon(t *testing.T) {
	t.Parallel()
	s := demoSystem(t, demomail.Options{})
	settings := filled(t, s, func(db *store.Store) {
		addTickets(t, db, 1)
		enqueued(t, db, 1001, "ann@example.com", "noah@example.com")
		enqueued(t, db, 0, "nadia@example.com")
	})
	do := func(code int, args []string, want ...string) string {
		t.Helper()
		return says(t, code, append(append([]string{"outbox"}, args...), "--config", settings), want...)
	}
	start(t, settings)
	do(exitDone, []string{"list"}, "1  2", "queued", "status notice", "ann@example.com", "nadia@example.com")
	do(exitDone, []string{"list", "--state", "sent"}, "No mails.")
	do(exitUsage, []string{"list", "--state", "lost"}, `there is no state "lost"; states are queued, sending`)
	if out := do(exitDone, []string{"list", "--ticket", "IT-1001", "--limit", "1"}); strings.Count(out, "@") != 2 || !strings.Contains(out, "noah@") {
		t.Errorf("got\n%s", out)
	}
	do(exitDone, []string{"show", "1"}, "State      queued, 0 attempts, due ", "Ticket     IT-1001")
	do(exitFailed, []string{"show", "99"}, "there is no mail 99 in the outbox")
	do(exitFailed, []string{"cancel", "99"}, "there is no mail 99 in the outbox")

	do(exitFailed, []string{"retry", "1"}, "row 1 of the outbox is queued: it cannot be sent again")
	do(exitDone, []string{"cancel", "1"}, "The status notice to ann@example.com is cancelled.")
	do(exitFailed, []string{"cancel", "1"}, "row 1 of the outbox is cancelled: it cannot be cancelled")
	do(exitDone, []string{"retry", "1"}, "will be sent again")
	s.open(t, "ann@example.com").wait("the mail that was sent again", with("It is mended."))
	until(t, "it is sent", func() bool {
		var o went
		out, _ := command(t, "outbox", "show", "1", "--json", "--config", settings)
		return json.Unmarshal([]byte(out), &o) == nil && o.State == store.Sent
	})
	do(exitFailed, []string{"retry", "1"}, "row 1 of the outbox is sent: it cannot be sent again")
	do(exitFailed, []string{"cancel", "1"}, "row 1 of the outbox is sent: it cannot be cancelled")
	do(exitDone, []string{"cancel", "3", "--json"}, `"state": "cancelled"`)

	who := administrator()
	if got, want := history(t, settings, 1001), "ann@example.com|created|||\n"+who+"|mail cancelled|status-notice|ann@example.com|outbox 1 was queued\n"+
		who+"|mail sent again|status-notice|ann@example.com|outbox 1 was cancelled"; got != want {
		t.Errorf("the ticket's events:\n%s\nwant\n%s", got, want)
	}
	if got := history(t, settings, 0); !strings.HasSuffix(got, "\n"+who+"|mail cancelled|status-notice|nadia@example.com|outbox 3 was queued") || !strings.Contains(who, " at ") {
		t.Errorf("the desk's events:\n%s", got)
	}
	says(t, exitDone, []string{"audit", "verify", "--config", settings}, "2 chains verify")
}
