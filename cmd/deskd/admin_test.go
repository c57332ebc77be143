package main

import (
	"bytes"
	"database/sql"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"deskd/cmd/internal/demomail"
	"deskd/store"
	"deskd/triage/ticket"
)

// deskKey is the key of every desk that a test fills before it starts one.
func deskKey() []byte { return bytes.Repeat([]byte("k"), 32) }

// filled writes settings on a mail system and a database with its key, lets
// fill do its work, and closes it.
func filled(t testing.TB, s *system, fill func(db *store.Store)) (settings string) {
	t.Helper()
	settings = settingsFor(t, s, "deskd.db", "")
	writeFile(t, filepath.Join(filepath.Dir(settings), "deskd.key"), []byte(hex.EncodeToString(deskKey())))
	db, err := store.Open(t.Context(), filepath.Join(filepath.Dir(settings), "deskd.db"), store.Options{Key: deskKey(), Owner: "desk"})
	if err != nil {
		t.Fatal(err)
	}
	fill(db)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	return settings
}

func writeFile(t testing.TB, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func write(t testing.TB, db *store.Store, fn func(tx *store.Tx) error) {
	t.Helper()
	if err := db.Write(t.Context(), fn); err != nil {
		t.Fatal(err)
	}
}

// aTicket is a ticket of ann's.
func aTicket() store.Ticket {
	return store.Ticket{
		Mailbox: "support@example.com", Subject: "the scanner", Requester: "ann@example.com", Status: ticket.Open, Priority: ticket.Medium, Team: "Helpdesk",
	}
}

// addTickets makes n tickets with an event each.
func addTickets(t testing.TB, db *store.Store, n int) {
	t.Helper()
	write(t, db, func(tx *store.Tx) error {
		for range n {
			made, err := tx.NewTicket(aTicket())
			if err != nil {
				return err
			}
			if err := tx.AddEvent(store.Event{Ticket: made.Number, Actor: "ann@example.com", What: "created"}); err != nil {
				return err
			}
		}
		return tx.AddEvent(store.Event{Actor: "deskd", What: "begun"})
	})
}

// tamper changes the database behind everybody's back.
func tamper(t testing.TB, settings, query string, args ...any) {
	t.Helper()
	db, err := sql.Open("sqlite", filepath.Join(filepath.Dir(settings), "deskd.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(t.Context(), query, args...); err != nil {
		t.Fatal(err)
	}
}

// says calls a command and looks for its exit code and what it tells.
func says(t testing.TB, code int, args []string, want ...string) string {
	t.Helper()
	out, got := command(t, args...)
	if got != code {
		t.Errorf("%q: exit code %d, want %d\n%s", args, got, code, out)
	}
	for _, w := range want {
		if !strings.Contains(out, w) {
			t.Errorf("%q does not say %q:\n%s", args, w, out)
		}
	}
	if strings.ContainsAny(out, "\x1b\r\u202e") {
		t.Errorf("%q sends the terminal something hidden: %q (T36)", args, out)
	}
	return out
}

func TestAuditVerifyNamesEveryBrokenChain(t *testing.T) {
	t.Parallel()
	settings := filled(t, demoSystem(t, demomail.Options{}), func(db *store.Store) { addTickets(t, db, 1203) })
	verify := []string{"audit", "verify", "--config", settings}
	says(t, exitDone, verify, "1204 chains verify")
	tamper(t, settings, "UPDATE events SET actor = 'eve' || char(27) || '[2J' WHERE chain = 1002")
	tamper(t, settings, "DELETE FROM events WHERE chain = 1700")
	tamper(t, settings, "UPDATE events SET reason = 'x' WHERE chain = 0")
	says(t, exitFailed, verify, "BROKEN  the events of ticket 1002 do not verify at number 1: its content was changed",
		"the events of ticket 1700 do not verify at number 1: the chain should have 1 events", "BROKEN  the desk's events do not verify at number 1", "3 of 1204 event chains are broken")
	says(t, exitFailed, append(verify, "--json"), `"chains": 1204`, `"ticket": 1700`, `"seq": 1`)
}

func TestAuditVerifyRunsBesideTheDaemonAndWantsItsKey(t *testing.T) {
	t.Parallel()
	s := demoSystem(t, demomail.Options{})
	settings := filled(t, s, func(db *store.Store) { addTickets(t, db, 3) })
	start(t, settings)
	says(t, exitDone, []string{"audit", "verify", "--config", settings}, "chains verify")
	writeFile(t, filepath.Join(filepath.Dir(settings), "deskd.key"), []byte(hex.EncodeToString(bytes.Repeat([]byte("x"), 32))))
	out := says(t, exitFailed, []string{"audit", "verify", "--config", settings}, "the key is not the one that this database was made with")
	if strings.Contains(out, "BROKEN") {
		t.Errorf("a wrong key is told as a broken chain:\n%s", out)
	}
}
