package main

import (
	"os"
	"path/filepath"
	"testing"

	"deskd/cmd/internal/demomail"
	"deskd/store"
)

func TestBackupBesideTheDaemonOpensAndVerifies(t *testing.T) {
	t.Parallel()
	settings := filled(t, demoSystem(t, demomail.Options{}), func(db *store.Store) { addTickets(t, db, 5) })
	start(t, settings)
	to := filepath.Join(t.TempDir(), "deskd.db")
	says(t, exitDone, []string{"backup", to, "--config", settings}, to+": ", "looked through and whole")
	says(t, exitFailed, []string{"backup", to, "--config", settings}, "back up: ", "file exists")
	says(t, exitUsage, []string{"backup", "--config", settings}, "<file>")
	writeFile(t, filepath.Join(filepath.Dir(to), "deskd.key"), must(os.ReadFile(filepath.Join(filepath.Dir(settings), "deskd.key"))))
	text := must(os.ReadFile(settings))
	writeFile(t, filepath.Join(filepath.Dir(to), "deskd.yaml"), text)
	says(t, exitDone, []string{"audit", "verify", "--config", filepath.Join(filepath.Dir(to), "deskd.yaml")}, "6 chains verify")
	other := replace(t, filepath.Join(filepath.Dir(to), "deskd.yaml"), "database: deskd.db", "database: postgres://u:canary@127.0.0.1:1/d")
	says(t, exitUsage, []string{"backup", to + "2", "--config", other}, "pg_dump --format=custom")
}

func must(b []byte, err error) []byte {
	if err != nil {
		panic(err)
	}
	return b
}
