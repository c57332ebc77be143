package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

// The schema is an ordered list of steps that only grows, once for each
// database. A step runs in one transaction.
//
//go:embed migrations
var migrations embed.FS

// migrate brings the schema up to date; daemons that start at the same time
// wait for one another (F28).
func migrate(ctx context.Context, pool *sql.DB, d dialect, log *slog.Logger) error {
	steps, err := fs.Sub(migrations, d.folder())
	if err != nil {
		return fmt.Errorf("read the schema's steps: %w", err)
	}
	return migrateWith(ctx, pool, d, log, steps)
}

func migrateWith(ctx context.Context, pool *sql.DB, d dialect, log *slog.Logger, steps fs.FS) error {
	options := []goose.ProviderOption{goose.WithDisableGlobalRegistry(true), goose.WithSlog(log)}
	if d.goose() == goose.DialectPostgres {
		// Tried every second for five minutes.
		locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(1, 300))
		if err != nil {
			return fmt.Errorf("set up the schema's lock: %w", err)
		}
		options = append(options, goose.WithSessionLocker(locker))
	}
	provider, err := goose.NewProvider(d.goose(), pool, steps, options...)
	if err != nil {
		return fmt.Errorf("read the schema's steps: %w", err)
	}
	want := newest(provider)
	got, err := schemaOf(ctx, pool, d)
	if err != nil {
		return err
	}
	if got > want {
		return &Schema{Got: got, Want: want}
	}
	if got == want {
		return nil
	}
	if _, err := provider.Up(ctx); err != nil {
		// goose gives its own lock back without the context; what it says
		// beside a cancelled one is of no use.
		return errors.Join(ctx.Err(), fmt.Errorf("bring the schema from %d to %d: %w", got, want, err))
	}
	log.Info("schema brought up to date", "from", got, "to", want)
	return nil
}

func newest(p *goose.Provider) int64 {
	var n int64
	for _, source := range p.ListSources() {
		n = max(n, source.Version)
	}
	return n
}

// checkSchema is migrate for those who may not change anything.
func checkSchema(ctx context.Context, pool *sql.DB, d dialect) error {
	steps, err := fs.Sub(migrations, d.folder())
	if err != nil {
		return fmt.Errorf("read the schema's steps: %w", err)
	}
	provider, err := goose.NewProvider(d.goose(), pool, steps, goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return fmt.Errorf("read the schema's steps: %w", err)
	}
	got, err := schemaOf(ctx, pool, d)
	if err != nil {
		return err
	}
	if want := newest(provider); got != want {
		return &Schema{Got: got, Want: want}
	}
	return nil
}

// schemaOf is the number of the newest step that was applied, 0 for an empty
// database.
func schemaOf(ctx context.Context, pool *sql.DB, d dialect) (int64, error) {
	var tables int
	if err := pool.QueryRowContext(ctx, d.hasTable()).Scan(&tables); err != nil {
		return 0, fmt.Errorf("look for the schema: %w", err)
	}
	if tables == 0 {
		return 0, nil
	}
	var version int64
	err := pool.QueryRowContext(ctx, "SELECT coalesce(max(version_id), 0) FROM goose_db_version").Scan(&version)
	if err != nil {
		return 0, fmt.Errorf("read the schema's version: %w", err)
	}
	return version, nil
}
