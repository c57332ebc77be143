package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	_ "github.com/glebarez/go-sqlite" // the driver, under the name "sqlite"
	"github.com/glebarez/sqlite"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"gorm.io/driver/postgres"
	"gorm.io/gorm"
)

// dialect is what differs between the two databases.
type dialect interface {
	prepare() (unlock func() error, err error) // before the daemon's first connection
	exists() error                             // before a reader's first connection
	connector(write bool) (driver.Connector, error)
	writers() int // connections that write at a time
	gorm(pool *sql.DB) gorm.Dialector
	check(ctx context.Context, pool *sql.DB, write bool, log *slog.Logger) error
	goose() goose.Dialect
	folder() string // of the migrations
	hasTable() string
	forUpdate() string  // ends a SELECT whose rows are to be locked
	skipLocked() string // the same, without those that somebody else has locked
	claimLock() string  // a statement that lets one claim of the outbox run at a time; empty: not needed
	planAnew() string   // a statement that has each query of a transaction planned for its values; empty: not needed
	cast(kind string) string
	position(column string) string // where a bound text stands in a column, from 1; 0: nowhere
	along(index string) string     // follows a table's name: the index to take, where the database would guess
	snapshot() *sql.TxOptions
}

// parseURL tells which database is meant.
func parseURL(raw string) (dialect, error) {
	switch {
	case strings.HasPrefix(raw, "postgres://"), strings.HasPrefix(raw, "postgresql://"):
		config, err := pgx.ParseConfig(raw)
		if err != nil {
			// The error's own text may hold the password.
			return nil, errors.New("the database URL is no valid postgres:// URL")
		}
		return &postgresDialect{config}, nil
	case strings.HasPrefix(raw, "file:"):
		u, err := url.Parse(raw)
		if err != nil {
			return nil, fmt.Errorf("the database URL is no valid file: URL: %w", err)
		}
		raw = u.Path
		if raw == "" {
			raw = u.Opaque
		}
	case strings.HasPrefix(raw, "sqlite://"):
		raw = strings.TrimPrefix(raw, "sqlite://")
	case strings.HasPrefix(raw, "sqlite:"):
		raw = strings.TrimPrefix(raw, "sqlite:")
	case strings.Contains(raw, "://"):
		return nil, errors.New("the database URL must be a file path, sqlite:PATH or postgres://…")
	}
	if raw == "" || strings.HasPrefix(raw, ":memory:") {
		return nil, errors.New("the database URL names no file")
	}
	path, err := filepath.Abs(raw)
	if err != nil {
		return nil, fmt.Errorf("find the database file: %w", err)
	}
	return &sqliteDialect{path}, nil
}

type sqliteDialect struct{ path string }

// prepare makes the folder and the file, readable by their owner only
// whatever the umask, and locks the file. SQLite gives the -wal and -shm files
// the rights of the database.
func (d *sqliteDialect) prepare() (func() error, error) {
	if err := os.MkdirAll(filepath.Dir(d.path), 0o700); err != nil {
		return nil, fmt.Errorf("make the database's folder: %w", err)
	}
	lock, err := private(d.path + ".lock")
	if err != nil {
		return nil, fmt.Errorf("make the lock file: %w", err)
	}
	if err := lockFile(lock); err != nil {
		lock.Close()
		return nil, fmt.Errorf("%s is in use by another deskd: %w", d.path, err)
	}
	// The lock ends with the process, also by kill -9. A program that is being
	// started at this moment may share the descriptor for an instant, so the
	// lock is given back by name.
	unlock := func() error { return errors.Join(unlockFile(lock), lock.Close()) }
	file, err := private(d.path)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("make the database file: %w", err), unlock())
	}
	if err := file.Close(); err != nil {
		return nil, errors.Join(fmt.Errorf("make the database file: %w", err), unlock())
	}
	for _, suffix := range []string{"-wal", "-shm"} {
		if err := os.Chmod(d.path+suffix, 0o600); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, errors.Join(fmt.Errorf("protect the database: %w", err), unlock())
		}
	}
	return unlock, nil
}

// private opens a file, and makes it where it is missing, for its owner only.
func private(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := f.Chmod(0o600); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

func (d *sqliteDialect) exists() error {
	if _, err := os.Stat(d.path); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("there is no database at %s: start the daemon once, it makes it", d.path)
		}
		return err
	}
	return nil
}

// busyTimeout is how long a connection waits for another one's lock. A daemon
// is the one writer, so only a backup, a checkpoint or a person's command
// beside it (OpenBeside) can hold it.
const busyTimeout = 5 * time.Second

func (d *sqliteDialect) connector(write bool) (driver.Connector, error) {
	// The settings ride in the DSN, since a PRAGMA holds for one connection
	// only; the path is escaped, since it may hold ? # and %.
	path := filepath.ToSlash(d.path)
	if !strings.HasPrefix(path, "/") {
		path = "/" + path // C:/…
	}
	timeout := fmt.Sprintf("busy_timeout(%d)", busyTimeout.Milliseconds())
	q := url.Values{}
	if write {
		q["_pragma"] = []string{
			timeout, "journal_mode(WAL)", "synchronous(FULL)", "foreign_keys(1)", "cache_size(-16384)",
			"journal_size_limit(67108864)", "secure_delete(1)", "trusted_schema(0)",
		}
		q.Set("_txlock", "immediate")
	} else {
		q["_pragma"] = []string{timeout, "query_only(1)", "foreign_keys(1)", "trusted_schema(0)"}
		q.Set("mode", "ro")
	}
	u := url.URL{Scheme: "file", Path: path, RawQuery: q.Encode()}
	registered, err := sql.Open(sqlite.DriverName, "")
	if err != nil {
		return nil, fmt.Errorf("find the SQLite driver: %w", err)
	}
	defer registered.Close()
	return dsn{u.String(), registered.Driver()}, nil
}

// dsn is a driver.Connector for a driver that has none.
type dsn struct {
	name   string
	driver driver.Driver
}

func (c dsn) Connect(context.Context) (driver.Conn, error) { return c.driver.Open(c.name) }
func (c dsn) Driver() driver.Driver                        { return c.driver }

func (d *sqliteDialect) writers() int                     { return 1 }
func (d *sqliteDialect) gorm(pool *sql.DB) gorm.Dialector { return &sqlite.Dialector{Conn: pool} }
func (d *sqliteDialect) goose() goose.Dialect             { return goose.DialectSQLite3 }
func (d *sqliteDialect) folder() string                   { return "migrations/sqlite" }
func (d *sqliteDialect) forUpdate() string                { return "" }
func (d *sqliteDialect) skipLocked() string               { return "" }
func (d *sqliteDialect) claimLock() string                { return "" }
func (d *sqliteDialect) planAnew() string                 { return "" }
func (d *sqliteDialect) cast(kind string) string          { return "CAST(? AS " + kind + ")" }
func (d *sqliteDialect) position(column string) string    { return "instr(" + column + ", ?)" }
func (d *sqliteDialect) along(index string) string        { return " INDEXED BY " + index }
func (d *sqliteDialect) snapshot() *sql.TxOptions         { return &sql.TxOptions{ReadOnly: true} }

func (d *sqliteDialect) hasTable() string {
	return "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = 'goose_db_version'"
}

// oldestSQLite is the first that is safe: earlier ones have a bug in WAL mode
// that damages the database.
const oldestSQLite = "3.51.3"

func (d *sqliteDialect) check(ctx context.Context, pool *sql.DB, write bool, _ *slog.Logger) error {
	conn, err := pool.Conn(ctx)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	defer conn.Close()
	var version string
	if err := conn.QueryRowContext(ctx, "SELECT sqlite_version()").Scan(&version); err != nil {
		return fmt.Errorf("ask for SQLite's version: %w", err)
	}
	if older(version, oldestSQLite) {
		return &Unsafe{"SQLite version", version, oldestSQLite + " or newer"}
	}
	want := []struct{ pragma, value, name string }{
		{"foreign_keys", "1", "1"},
		{"busy_timeout", strconv.FormatInt(busyTimeout.Milliseconds(), 10), busyTimeout.String()},
		{"journal_mode", "wal", "wal"},
	}
	if write {
		want = append(want, struct{ pragma, value, name string }{"synchronous", "2", "2 (FULL)"})
	} else {
		want = append(want, struct{ pragma, value, name string }{"query_only", "1", "1"})
	}
	for _, w := range want {
		var got string
		if err := conn.QueryRowContext(ctx, "PRAGMA "+w.pragma).Scan(&got); err != nil {
			return fmt.Errorf("ask for %s: %w", w.pragma, err)
		}
		if got != w.value && !(w.pragma == "journal_mode" && !write && got == "delete") {
			return &Unsafe{w.pragma, got, w.name}
		}
	}
	return nil
}

// older compares two versions such as "3.54.1".
func older(version, than string) bool {
	got, want := strings.Split(version, "."), strings.Split(than, ".")
	for i := range want {
		if i >= len(got) {
			return true
		}
		g, err := strconv.Atoi(got[i])
		w, _ := strconv.Atoi(want[i])
		if err != nil || g != w {
			return err != nil || g < w
		}
	}
	return false
}

type postgresDialect struct{ config *pgx.ConnConfig }

func (d *postgresDialect) prepare() (func() error, error) { return nil, nil }
func (d *postgresDialect) exists() error                  { return nil }

func (d *postgresDialect) connector(write bool) (driver.Connector, error) {
	config := d.config.Copy()
	if config.ConnectTimeout == 0 {
		config.ConnectTimeout = 10 * time.Second
	}
	if config.RuntimeParams["application_name"] == "" {
		config.RuntimeParams["application_name"] = "deskd"
	}
	return stdlib.GetConnector(*config, stdlib.OptionAfterConnect(func(ctx context.Context, conn *pgx.Conn) error {
		if !write {
			// The server guesses what a query costs, and above some cost
			// compiles it, which takes a hundred times longer than ours run.
			_, err := conn.Exec(ctx, "SET default_transaction_read_only = on; SET jit = off")
			return err
		}
		return setDurable(ctx, conn)
	})), nil
}

// setDurable has the server answer a COMMIT only when it is on disk, whatever
// the role or the database is set to, and looks that it is so. A setting that
// promises more is left alone.
func setDurable(ctx context.Context, conn *pgx.Conn) error {
	var got string
	err := conn.QueryRow(ctx, "SELECT CASE current_setting('synchronous_commit') WHEN 'remote_apply' THEN 'remote_apply' "+
		"ELSE set_config('synchronous_commit', 'on', false) END").Scan(&got)
	if err != nil {
		return fmt.Errorf("set synchronous_commit: %w", err)
	}
	if got != "on" && got != "remote_apply" {
		return &Unsafe{"synchronous_commit", got, "on"}
	}
	return nil
}

func (d *postgresDialect) writers() int { return 8 }
func (d *postgresDialect) gorm(pool *sql.DB) gorm.Dialector {
	return postgres.New(postgres.Config{Conn: pool})
}
func (d *postgresDialect) goose() goose.Dialect { return goose.DialectPostgres }
func (d *postgresDialect) folder() string       { return "migrations/postgres" }
func (d *postgresDialect) forUpdate() string    { return " FOR UPDATE" }
func (d *postgresDialect) skipLocked() string   { return " FOR UPDATE OF o SKIP LOCKED" }

// claimLock's number is arbitrary and stays the same for ever.
func (d *postgresDialect) claimLock() string { return "SELECT pg_advisory_xact_lock(7236832)" }

// planAnew is for long lists: in a plan for all values PostgreSQL compares each
// row with one after the other, in one for these it hashes them. Where a table
// has no statistics yet it takes whole parts of it.
func (d *postgresDialect) planAnew() string { return "SET LOCAL plan_cache_mode = force_custom_plan" }

func (d *postgresDialect) position(column string) string {
	return "strpos(" + column + ", " + d.cast("TEXT") + ")"
}

// along says nothing: PostgreSQL knows how often a value occurs.
func (d *postgresDialect) along(string) string { return "" }

func (d *postgresDialect) hasTable() string {
	return "SELECT count(*) FROM pg_class WHERE oid = to_regclass('goose_db_version')"
}

func (d *postgresDialect) cast(kind string) string {
	switch kind {
	case "INTEGER":
		kind = "BIGINT"
	case "BLOB":
		kind = "BYTEA"
	}
	return "CAST(? AS " + kind + ")"
}

func (d *postgresDialect) snapshot() *sql.TxOptions {
	return &sql.TxOptions{ReadOnly: true, Isolation: sql.LevelRepeatableRead}
}

func (d *postgresDialect) check(ctx context.Context, pool *sql.DB, write bool, log *slog.Logger) error {
	conn, err := pool.Conn(ctx)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	defer conn.Close()
	if !write {
		return nil
	}
	var commit, fsync, encoding, recovery string
	err = conn.QueryRowContext(ctx, "SELECT current_setting('synchronous_commit'), current_setting('fsync'), "+
		"current_setting('server_encoding'), CAST(pg_is_in_recovery() AS TEXT)").Scan(&commit, &fsync, &encoding, &recovery)
	if err != nil {
		return fmt.Errorf("ask for the server's settings: %w", err)
	}
	switch {
	case recovery != "false":
		return &Unsafe{"role", "standby", "a primary server"}
	case commit != "on" && commit != "remote_apply":
		return &Unsafe{"synchronous_commit", commit, "on"}
	case encoding != "UTF8":
		return &Unsafe{"encoding", encoding, "UTF8"}
	}
	if fsync != "on" {
		log.Warn("the PostgreSQL server runs with fsync = off: a power failure there loses mail")
	}
	return nil
}
