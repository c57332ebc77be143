package main

import (
	"crypto/sha256"
	"os/exec"
	"strings"
	"testing"
	"time"

	"deskd/cmd/internal/demomail"
	"deskd/store"
)

// setAside puts mails into quarantine as an earlier version may have done.
func setAside(t testing.TB, db *store.Store, raws ...string) {
	t.Helper()
	for i, raw := range raws {
		rows, err := db.BeginHandling(t.Context(), []store.MailboxUID{{Mailbox: "support@example.com", Validity: 1, UID: uint32(i + 1)}}, true, false)
		if err != nil {
			t.Fatal(err)
		}
		if err := db.EndHandling(t.Context(), []int64{rows[0].ID}, "panic: \x1b[2Jcannot read this"); err != nil {
			t.Fatal(err)
		}
		write(t, db, func(tx *store.Tx) error {
			in, sum := rows[0], sha256.Sum256([]byte(raw))
			made, err := tx.NewTicket(aTicket())
			if err != nil {
				return err
			}
			if err := tx.KeepRaw(sum[:], []byte(raw)); err != nil {
				return err
			}
			in.SHA256, in.Size, in.ArrivedAt, in.Ticket = sum[:], int64(len(raw)), time.Now(), made.Number
			in.Fate, in.Reason, in.File = store.FateQuarantined, "failed-too-often", "quarantine"
			return tx.Decide(in)
		})
	}
}

func TestQuarantineIsShownRetriedAndDroppedBesideTheDaemon(t *testing.T) {
	t.Parallel()
	s := demoSystem(t, demomail.Options{})
	raw := crlf(letter("ann@example.com", "support@example.com", "VPN drops\x1b[2J", "Since this morning.\u202e"))
	settings := filled(t, s, func(db *store.Store) {
		setAside(t, db, raw, crlf(letter("eve@example.net", "support@example.com", "x", "x")))
	})
	do := func(code int, args []string, want ...string) string {
		t.Helper()
		return says(t, code, append(append([]string{"quarantine"}, args...), "--config", settings), want...)
	}
	start(t, settings)
	do(exitDone, []string{"list"}, "IT-1001", "IT-1002", "cannot read this")
	do(exitDone, []string{"list", "--json"}, `"intake": 1`, `"fate": "quarantined"`)
	do(exitDone, []string{"show", "1"}, "Fate       quarantined (failed-too-often)", "| Subject: VPN drops⟨U+001B⟩[2J", "| Since this morning.⟨U+202E⟩")
	do(exitFailed, []string{"show", "9"}, "there is no mail 9 in quarantine")
	cmd := exec.CommandContext(t.Context(), built(t), "quarantine", "show", "1", "--raw", "--config", settings)
	if out, err := cmd.Output(); err != nil || string(out) != raw {
		t.Errorf("the raw source: %v, %q", err, out)
	}
	do(exitFailed, []string{"retry", "9"}, "there is no mail 9")
	do(exitDone, []string{"retry", "1"}, "Mail 1: new_ticket, ticket IT-1003.")
	do(exitFailed, []string{"retry", "1"}, "nothing was changed: mail 1 is not in quarantine: it is new_ticket")
	s.open(t, "noah@example.com").wait("a notice of the team", with("[IT-1003]", "Since this morning."))
	do(exitDone, []string{"drop", "2"}, "Mail 2 is dismissed.")
	do(exitFailed, []string{"drop", "2"}, "mail 2 is not in quarantine: it is dismissed")
	do(exitDone, []string{"list"}, "No mails in quarantine.")
	who := administrator()
	if got, want := history(t, settings, 0), who+"|taken out of quarantine|quarantined|new_ticket|mail 1, now on ticket 1003\n"+
		who+"|dropped from quarantine|quarantined|dismissed|mail 2"; !strings.HasSuffix(got, want) {
		t.Errorf("the desk's events:\n%s\nwant\n%s", got, want)
	}
	if got := history(t, settings, 1001); !strings.Contains(got, "now on ticket 1003") {
		t.Errorf("events of the ticket that told of it:\n%s", got)
	}
	says(t, exitDone, []string{"audit", "verify", "--config", settings}, "4 chains verify")
}
