package main

import (
	"errors"
	"fmt"
	"os"
	"time"

	"deskd/configs"
	"deskd/store"
)

type backupCmd struct {
	File   string `arg:"" help:"The file to make. It must not be there."`
	Config string `help:"Settings file." default:"deskd.yaml" placeholder:"FILE"`
	JSON   bool   `name:"json" help:"Print JSON."`
}

// Run copies a SQLite database while the daemon runs.
func (c *backupCmd) Run(e env) error {
	s, err := configs.Load(c.Config)
	if err != nil {
		return err
	}
	done, shown := make(chan struct{}), make(chan struct{})
	err = store.Backup(e.ctx, s.Database.Reveal(), c.File, func(growing string) {
		go func() {
			defer close(shown)
			watch(e, growing, done)
		}()
	})
	close(done)
	if errors.Is(err, store.ErrBackedUpElsewhere) {
		return &usageError{fmt.Errorf("%w: pg_dump --format=custom --file=%s with the URL of your settings; pg_restore brings it back", err, printable(c.File))}
	}
	if err != nil {
		return fmt.Errorf("back up: %w", err)
	}
	<-shown
	info, err := os.Stat(c.File)
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(e.out, map[string]any{"file": c.File, "bytes": info.Size()})
	}
	_, err = fmt.Fprintf(e.out, "%s: %d bytes, looked through and whole. Keep the key with it: without it no event chain verifies.\n", printable(c.File), info.Size())
	return err
}

// watch shows on a terminal how a file grows.
func watch(e env, path string, done <-chan struct{}) {
	show := newProgress(e.err)
	defer show.done()
	tick := time.NewTicker(300 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-done:
			return
		case <-tick.C:
			if info, err := os.Stat(path); err == nil {
				show.tell("%d MiB written …", info.Size()>>20)
			}
		}
	}
}
