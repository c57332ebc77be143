package main

import (
	"maps"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"deskd/cmd/internal/demomail"
	"deskd/mailin/mailintest"
	"deskd/triage/ticket"
)

// TestF21_RestoredDatabaseTakesBackAllMailsAndMisplacesNone goes back to a copy
// of the database that knows one mail out of three and nothing of what
// technicians have said since.
func TestF21_RestoredDatabaseTakesBackAllMailsAndMisplacesNone(t *testing.T) {
	t.Parallel()
	for name, open := range map[string]func(t *testing.T) *system{
		"embedded server":              func(t *testing.T) *system { return demoSystem(t, demomail.Options{}) },
		"without MOVE":                 func(t *testing.T) *system { return demoSystem(t, demomail.Options{NoMove: true}) },
		"without MOVE and UIDPLUS":     func(t *testing.T) *system { return demoSystem(t, demomail.Options{NoMove: true, NoUIDPlus: true}) },
		"Dovecot and Postfix":          func(t *testing.T) *system { return realSystem(t, mailintest.DovecotOptions{}) },
		"Dovecot and Postfix, no MOVE": func(t *testing.T) *system { return realSystem(t, mailintest.DovecotOptions{NoMove: true}) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := open(t)
			settings := settingsFor(t, s, "deskd.db", "")
			d := start(t, settings)
			ann, hana := s.open(t, "ann@example.com"), s.open(t, "hana@example.com")
			support := []string{"support@example.com"}
			ask := func(subject string) received {
				t.Helper()
				s.send(t, "ann@example.com", support, letter("ann@example.com", "support@example.com", subject, "About "+subject+"."))
				return ann.wait("an acknowledgement", with(subject))
			}
			numbered := func(r received) string { return tagForm.FindStringSubmatch(r.subject())[1] }

			ask("The first")
			copied := filepath.Join(t.TempDir(), "copy.db")
			if out, code := command(t, "backup", copied, "--config", settings); code != exitDone {
				t.Fatalf("backup: %s", out)
			}
			lost, alsoLost := ask("The second"), ask("The third")
			notice := hana.wait("a notice", with("[IT-"+numbered(lost)+"]"))
			s.send(t, "hana@example.com", support, notice.answer("hana@example.com", "in progress\nI look into it."))
			until(t, "the command counts", func() bool { return d.show(numbered(lost)).Status == ticket.InProgress })

			d.kill()
			// It waits in front of a desk that does not know which numbers were given.
			s.send(t, "ann@example.com", support, letter("ann@example.com", "support@example.com", "The fourth", "About the fourth."))
			for _, suffix := range []string{"", "-wal", "-shm"} {
				_ = os.Remove(filepath.Join(d.dir, "deskd.db"+suffix))
			}
			writeFile(t, filepath.Join(d.dir, "deskd.db"), must(os.ReadFile(copied)))
			d = start(t, settings)
			until(t, "all mails are back", func() bool {
				subjects := map[string]int{}
				for _, tk := range d.tickets() {
					if tk.Requester == "ann@example.com" {
						subjects[tk.Subject]++
					}
				}
				return subjects["The first"] == 1 && subjects["The second"] == 1 && subjects["The third"] == 1 && subjects["The fourth"] == 1
			})
			// The technician's word was about a ticket that is no more: it is one of
			// its own, and no command to another.
			until(t, "the technician's mail is back", func() bool { return len(d.tickets()) == 5 })
			entries := map[string]int{}
			for _, tk := range d.tickets() {
				n := tk.Number.String()
				if tk.Subject != "The first" && n <= numbered(alsoLost) {
					t.Errorf("%s %q has a number that was given before", n, tk.Subject)
				}
				v := d.show(n)
				entries[tk.Requester+", "+tk.Subject] = len(v.Entries)
				if tk.Requester == "ann@example.com" && v.Status != ticket.Open {
					t.Errorf("%s %q is %s", n, tk.Subject, v.Status)
				}
			}
			// What people answer now goes where its thread leads.
			s.send(t, "ann@example.com", support, lost.answer("ann@example.com", "Any news?"))
			want := maps.Clone(entries)
			want["ann@example.com, The second"]++
			until(t, "the answer is on its ticket", func() bool {
				for _, tk := range d.tickets() {
					entries[tk.Requester+", "+tk.Subject] = len(d.show(tk.Number.String()).Entries)
				}
				return entries["ann@example.com, The second"] > 1
			})
			if diff := cmp.Diff(want, entries); diff != "" || len(entries) != 5 {
				t.Errorf("entries of tickets (-want +got):\n%s", diff)
			}
		})
	}
}
