package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"deskd/store/storetest"
)

func TestBackupIsOfOneMomentWhileTheDaemonWrites(t *testing.T) {
	t.Parallel()
	url := storetest.SQLite(t)
	daemon := open(t, url)
	n := newTicket(t, daemon).Number
	ctx, stop := context.WithCancel(t.Context())
	wrote := make(chan error, 1)
	begun := make(chan struct{})
	go func() {
		var err error
		for i := 0; ctx.Err() == nil && err == nil; i++ {
			err = daemon.Write(t.Context(), func(tx *Tx) error {
				if err := tx.KeepRaw([]byte(fmt.Sprintf("%032d", i)), make([]byte, 10000)); err != nil {
					return err
				}
				return tx.AddEvent(Event{Ticket: n, Actor: "a", What: "w", After: fmt.Sprint(i)})
			})
			if i == 20 {
				close(begun)
			}
		}
		wrote <- err
	}()
	<-begun
	dir := t.TempDir()
	for i := range 3 {
		path := filepath.Join(dir, fmt.Sprintf("copy ?%d#.db", i))
		if err := Backup(t.Context(), url, path, nil); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%v, %v; want mode 0600 (T51)", info.Mode(), err)
		}
		kept := openWith(t, path, Options{})
		if err := kept.VerifyChain(t.Context(), n); err != nil {
			t.Error(err)
		}
		if got := count(t, kept, "SELECT count(*) FROM events WHERE chain = ?", int64(n)); got < 20 {
			t.Errorf("%d events in the copy, want 20 or more", got)
		}
		if err := Backup(t.Context(), url, path, nil); !errors.Is(err, fs.ErrExist) {
			t.Errorf("a file that is there: %v, want fs.ErrExist", err)
		}
	}
	stop()
	if err := <-wrote; err != nil {
		t.Errorf("the daemon: %v", err)
	}
}

func TestBackupThatFailsLeavesNoFile(t *testing.T) {
	t.Parallel()
	url := storetest.SQLite(t)
	open(t, url)
	path := filepath.Join(t.TempDir(), "copy.db")
	ctx, stop := context.WithCancel(t.Context())
	if err := Backup(ctx, url, path, func(string) { stop() }); err == nil {
		t.Error("a backup that was ended is told as done")
	}
	if left, err := os.ReadDir(filepath.Dir(path)); err != nil || len(left) > 0 {
		t.Errorf("left %v, %v", left, err)
	}
	if err := Backup(t.Context(), "postgres://u:p@127.0.0.1:1/d", path, nil); !errors.Is(err, ErrBackedUpElsewhere) {
		t.Errorf("PostgreSQL: %v", err)
	}
}
