// Package store keeps the desk's state in one database, SQLite or PostgreSQL:
// the mails that came in and what became of each, the tickets with their
// entries and their chained events, and the mails that are to go out. It
// stores messages as bytes and never looks inside them.
//
// All that follows from one mail, or from a batch of them, is written in one
// transaction, by Write, so that a crash leaves all of it or none. What is
// durable when Write returns nil: everything. Both databases behave alike,
// down to the text they take.
package store

import (
	"context"
	"crypto/rand"
	"database/sql"
	"database/sql/driver"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	mathrand "math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/klauspost/compress/zstd"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"
)

// Options say how a store is opened.
type Options struct {
	// Key is the secret outside the database that keys the event chain: at
	// least 32 bytes. Needed for writing and for VerifyChain.
	Key []byte
	// Owner is this daemon's stable name, which leases carry: the same after
	// a restart, another for another daemon.
	Owner string
	// Log gets what the database says; nil for nowhere. Never a value out of
	// a statement (T45), at no level.
	Log *slog.Logger
	// Now is the clock; nil for time.Now.
	Now func() time.Time
	// Wrap stands between the pools and the driver; nil for nothing. Every
	// connection, the migrations' too, goes through what it returns.
	Wrap func(driver.Connector) driver.Connector
}

// Store is one open database. Its methods may be called by any number of
// goroutines.
type Store struct {
	dialect dialect
	key     []byte
	owner   string
	session string // tells this process from an earlier or other one of the same name
	log     *slog.Logger
	clock   func() time.Time
	limits  limits

	writing   *sql.DB // nil: opened by OpenReader
	reading   *sql.DB
	writer    *gorm.DB
	reader    *gorm.DB
	unlock    func() error // gives the file lock back; nil: none
	damaged   atomic.Pointer[Damaged]
	given     atomic.Int64             // the highest ticket number that was given here, and may have been seen
	failing   atomic.Pointer[Standing] // nil: the last transaction went well, or failed by its own fault
	closing   sync.Once
	pack      *zstd.Encoder
	unpack    *zstd.Decoder
	leasesMu  sync.Mutex
	held      map[string]int64 // leases this process has or had: name → epoch
	lostToOwn map[string]bool  // leases that went to another process of our own name
}

// Open opens the database for the daemon and brings its schema up to date.
//
// url is a file path (also as "sqlite:PATH" or "file:PATH") or a PostgreSQL
// URL. For SQLite the file is made readable by its owner only, and locked for
// as long as the store is open, so that a second daemon is refused. The
// settings that durability rests on are checked as they are in force; an
// *Unsafe error names the one that is not. A schema newer than this program
// knows gives a *Schema error, and nothing is touched.
func Open(ctx context.Context, url string, o Options) (*Store, error) {
	if len(o.Key) < 32 {
		return nil, fmt.Errorf("open the database: the key has %d bytes, want at least 32", len(o.Key))
	}
	s, err := newStore(o)
	if err != nil {
		return nil, err
	}
	if s.dialect, err = parseURL(url); err != nil {
		return nil, err
	}
	if err := s.open(ctx, o, true); err != nil {
		return nil, errors.Join(fmt.Errorf("open the database: %w", err), s.Close())
	}
	if err := s.checkKey(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("open the database: %w", err), s.Close())
	}
	return s, nil
}

// OpenReader opens the database for reading beside a running daemon: it never
// migrates, takes no lock, makes no file, and Write gives ErrReadOnly. A
// schema older or newer than this program's gives a *Schema error.
func OpenReader(ctx context.Context, url string, o Options) (*Store, error) {
	s, err := newStore(o)
	if err != nil {
		return nil, err
	}
	if s.dialect, err = parseURL(url); err != nil {
		return nil, err
	}
	if err := s.open(ctx, o, false); err != nil {
		return nil, errors.Join(fmt.Errorf("open the database for reading: %w", err), s.Close())
	}
	return s, nil
}

func newStore(o Options) (*Store, error) {
	session := make([]byte, 16)
	if _, err := rand.Read(session); err != nil {
		return nil, fmt.Errorf("make a session: %w", err)
	}
	s := &Store{
		key: o.Key, owner: clean(o.Owner), session: hex.EncodeToString(session), log: o.Log, clock: o.Now, limits: usual(),
		held: map[string]int64{}, lostToOwn: map[string]bool{},
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.clock == nil {
		s.clock = time.Now
	}
	var err error
	if s.pack, err = zstd.NewWriter(nil, zstd.WithEncoderConcurrency(2), zstd.WithLowerEncoderMem(true)); err != nil {
		return nil, fmt.Errorf("set up compression: %w", err)
	}
	if s.unpack, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(2), zstd.WithDecoderMaxMemory(maxRaw)); err != nil {
		return nil, fmt.Errorf("set up compression: %w", err)
	}
	return s, nil
}

// limits say how long the database may take. Without them a link to the server
// that is frozen, with nothing to end the connection, holds up whoever waits
// for an answer for ever (F10). They are far above what any call takes while
// all is well.
//
// SQLite ends a SELECT only when it is done: there it is the LIMITs that bound
// it.
type limits struct {
	read    time.Duration // one query, or all of a snapshot
	write   time.Duration // one attempt at a transaction, with the wait for a connection
	verify  time.Duration // one chain of events, which may be long
	migrate time.Duration // all steps, which may rewrite tables, with the wait for another daemon's
}

func usual() limits {
	return limits{read: 30 * time.Second, write: time.Minute, verify: 10 * time.Minute, migrate: time.Hour}
}

// open fills the pools. What it opened is closed by Close, also after an
// error.
func (s *Store) open(ctx context.Context, o Options, write bool) error {
	var err error
	if write {
		if s.unlock, err = s.dialect.prepare(); err != nil {
			return err
		}
		if err := s.openWriting(ctx, o, s.dialect.writers(), s.migrate); err != nil {
			return err
		}
	} else if err := s.dialect.exists(); err != nil {
		return err
	}
	connector, err := s.dialect.connector(false)
	if err != nil {
		return err
	}
	s.reading = s.pool(connector, o.Wrap, 4)
	if err := s.check(ctx, s.reading, write); err != nil {
		return err
	}
	s.reader, err = s.gorm(ctx, s.reading)
	return err
}

// openWriting fills the writing pool, once first has seen to the schema.
func (s *Store) openWriting(ctx context.Context, o Options, connections int, first func(context.Context) error) error {
	connector, err := s.dialect.connector(true)
	if err != nil {
		return err
	}
	s.writing = s.pool(connector, o.Wrap, connections)
	if err := s.check(ctx, s.writing, true); err != nil {
		return err
	}
	if err := first(ctx); err != nil {
		return err
	}
	s.writer, err = s.gorm(ctx, s.writing)
	return err
}

// check looks at the settings of a pool's connections; where nothing is to be
// written, at the schema too, since nobody brings it up to date.
func (s *Store) check(ctx context.Context, pool *sql.DB, write bool) error {
	ctx, cancel := context.WithTimeout(ctx, s.limits.read)
	defer cancel()
	if err := s.dialect.check(ctx, pool, pool == s.writing, s.log); err != nil || write {
		return err
	}
	return checkSchema(ctx, pool, s.dialect)
}

func (s *Store) migrate(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, s.limits.migrate)
	defer cancel()
	return migrate(ctx, s.writing, s.dialect, s.log)
}

func (s *Store) pool(c driver.Connector, wrap func(driver.Connector) driver.Connector, size int) *sql.DB {
	if wrap != nil {
		c = wrap(c)
	}
	db := sql.OpenDB(c)
	db.SetMaxOpenConns(size)
	db.SetMaxIdleConns(size)
	return db
}

func (s *Store) gorm(ctx context.Context, pool *sql.DB) (*gorm.DB, error) {
	level := logger.Warn
	if s.log.Enabled(ctx, slog.LevelDebug) {
		level = logger.Info
	}
	db, err := gorm.Open(s.dialect.gorm(pool), &gorm.Config{
		SkipDefaultTransaction: true, // Write begins them
		DisableAutomaticPing:   true,
		NowFunc:                s.now,
		Logger: logger.NewSlogLogger(s.log, logger.Config{
			LogLevel:                  level,
			SlowThreshold:             500 * time.Millisecond,
			ParameterizedQueries:      true, // values are mail
			IgnoreRecordNotFoundError: true,
		}),
	})
	if err != nil {
		return nil, fmt.Errorf("set up gorm: %w", err)
	}
	return db, nil
}

// Close closes all connections and gives the file lock back. Nothing else may
// be under way. A second Close does nothing.
func (s *Store) Close() error {
	var err error
	s.closing.Do(func() { err = s.shut() })
	return err
}

func (s *Store) shut() error {
	var errs []error
	if s.reading != nil {
		errs = append(errs, s.reading.Close())
	}
	if s.writing != nil {
		errs = append(errs, s.writing.Close())
	}
	if s.unlock != nil {
		errs = append(errs, s.unlock())
	}
	s.unpack.Close()
	errs = append(errs, s.pack.Close())
	return errors.Join(errs...)
}

// now is the time as it can be stored: UTC and whole microseconds.
func (s *Store) now() time.Time { return s.clock().UTC().Truncate(time.Microsecond) }

// maxAttempts is how often Write runs a transaction that the database ends
// for reasons that pass.
const maxAttempts = 10

// Write runs fn in one transaction. When it returns nil, everything is on
// disk; when it returns an error, nothing is there, with one exception: after
// an *Unknown error nobody can say.
//
// After a deadlock, a serialization failure, a busy database, a connection
// lost before the commit or an attempt that took a minute, the whole of fn runs
// again, at most ten times with growing pauses; so fn must be repeatable and
// must build all it needs anew.
// A panic in fn rolls back and goes on upwards. fn must not call methods of
// the Store, which would wait for the transaction that waits for them.
func (s *Store) Write(ctx context.Context, fn func(*Tx) error) error {
	if s.writing == nil {
		return ErrReadOnly
	}
	err := s.write(ctx, fn)
	switch {
	case err == nil:
		s.failing.Store(nil)
	case World(err) && ctx.Err() == nil:
		s.failing.CompareAndSwap(nil, &Standing{Since: s.now(), Err: plainly(err)})
	}
	return err
}

// Standing is whether something can be written.
type Standing struct {
	OK    bool
	Since time.Time // of the first transaction that failed; zero when OK
	Err   string    // why, for people; empty when OK
}

// Standing tells how the last transaction fared.
func (s *Store) Standing() Standing {
	if f := s.failing.Load(); f != nil {
		return *f
	}
	return Standing{OK: true}
}

func (s *Store) write(ctx context.Context, fn func(*Tx) error) error {
	for attempt := 1; ; attempt++ {
		if d := s.damaged.Load(); d != nil {
			return d
		}
		err := s.once(ctx, fn)
		if err == nil {
			return nil
		}
		if damage(err) {
			d := &Damaged{Err: err}
			s.damaged.Store(d)
			s.log.Error("the database reported damage, nothing more is written", "err", err)
			return d
		}
		if attempt == maxAttempts || !passing(err) || ctx.Err() != nil {
			return err
		}
		if sqlState(err) == "25006" || errors.Is(err, context.DeadlineExceeded) {
			s.dropIdle()
		}
		s.log.Warn("transaction is tried again", "attempt", attempt, "err", err)
		if pauseErr := pause(ctx, backoff(attempt)); pauseErr != nil {
			return errors.Join(pauseErr, err)
		}
	}
}

// backoff is how long to wait after the n-th failed attempt: up to 10 ms,
// 20 ms, … 1 s, never less than half of that.
func backoff(n int) time.Duration {
	ceiling := min(time.Second, 10*time.Millisecond<<(n-1))
	return ceiling/2 + mathrand.N(ceiling/2)
}

// dropIdle closes idle connections, so that the next one is made anew: to the
// new primary after a fail-over, or over a link that is not frozen.
func (s *Store) dropIdle() {
	s.writing.SetMaxIdleConns(0)
	s.writing.SetMaxIdleConns(s.dialect.writers())
}

func (s *Store) once(ctx context.Context, fn func(*Tx) error) (err error) {
	ctx, cancel := context.WithTimeout(ctx, s.limits.write)
	defer cancel()
	conn, err := s.writing.Conn(ctx)
	if err != nil {
		return fmt.Errorf("get a connection: %w", err)
	}
	defer conn.Close()
	db := s.writer.Session(&gorm.Session{NewDB: true, Context: ctx})
	db.Statement.ConnPool = conn
	db = db.Begin()
	if db.Error != nil {
		return fmt.Errorf("begin: %w", db.Error)
	}
	committed := false
	defer func() {
		if !committed {
			if rollback := db.Rollback().Error; rollback != nil || World(err) {
				// Whether the connection is still inside the transaction is
				// not known: it is not used again.
				_ = conn.Raw(func(any) error { return driver.ErrBadConn })
			}
		}
	}()
	tx := &Tx{s: s, ctx: ctx, db: db, now: s.now(), state: newState()}
	if err := fn(tx); err != nil {
		return err
	}
	if tx.broken != nil {
		return tx.broken // fn went on after an error that ended the transaction
	}
	if err := tx.flush(); err != nil {
		return err
	}
	err = db.Commit().Error
	if err == nil || !undone(err) {
		s.gave(tx.given)
	}
	if err != nil {
		if undone(err) {
			return fmt.Errorf("commit: %w", err)
		}
		if damage(err) {
			return err
		}
		return &Unknown{Err: err}
	}
	committed = true
	return nil
}

// Tx is one transaction. It belongs to one goroutine and ends with the
// function that got it.
//
// Rows that nothing reads back at once are kept until the end of the
// transaction, the end of a Try, or a look-up that would miss them, and are
// written many at a time. An error about a row may therefore come later than
// the call that gave the row.
type Tx struct {
	s     *Store
	ctx   context.Context
	db    *gorm.DB
	now   time.Time
	depth int
	// broken is the error that ended the transaction; nothing more may be
	// sent to the database, least of all to an SQLite that has rolled back by
	// itself and would commit each further statement.
	broken error
	*state
}

// Now is the time at which the transaction began, which all of its rows carry
// that have no other: UTC, whole microseconds.
func (tx *Tx) Now() time.Time { return tx.now }

// Try runs fn so that its own error undoes only what fn did (a savepoint), and
// returns that error. An error about the world (World says so) cannot be
// undone that way: it is returned too, and it ends the whole transaction.
func (tx *Tx) Try(fn func(*Tx) error) error {
	if err := tx.flush(); err != nil {
		return tx.ended(err)
	}
	tx.depth++
	defer func() { tx.depth-- }()
	name := fmt.Sprintf("try%d", tx.depth)
	if err := tx.exec("SAVEPOINT " + name); err != nil {
		return tx.ended(err)
	}
	before := tx.state.copy()
	err := fn(tx)
	if err == nil && tx.broken == nil {
		err = tx.flush()
	}
	if tx.broken != nil {
		return tx.broken
	}
	switch {
	case err == nil:
		if err := tx.exec("RELEASE SAVEPOINT " + name); err != nil {
			return tx.ended(err)
		}
		return nil
	case tx.ctx.Err() != nil:
		return tx.ended(errors.Join(tx.ctx.Err(), err))
	case World(err):
		return tx.ended(err)
	}
	if undo := tx.exec("ROLLBACK TO SAVEPOINT " + name); undo != nil {
		return tx.ended(errors.Join(err, undo))
	}
	if undo := tx.exec("RELEASE SAVEPOINT " + name); undo != nil {
		return tx.ended(errors.Join(err, undo))
	}
	tx.state.restore(before)
	return err
}

// ended marks the transaction as over because of err, which then counts as
// the world's.
func (tx *Tx) ended(err error) error {
	if !World(err) {
		err = &worldError{err}
	}
	if tx.broken == nil {
		tx.broken = err
	}
	return err
}

// exec runs one statement.
func (tx *Tx) exec(query string, args ...any) error {
	_, err := tx.affect(query, args...)
	return err
}

// affect runs one statement and tells how many rows it changed.
func (tx *Tx) affect(query string, args ...any) (int64, error) {
	if tx.broken != nil {
		return 0, tx.broken
	}
	r := tx.db.Exec(query, args...)
	return r.RowsAffected, tx.noted(r.Error)
}

// noted remembers an error about the world, which ends the transaction.
func (tx *Tx) noted(err error) error {
	if err != nil && World(err) && tx.broken == nil {
		tx.broken = err
	}
	return err
}

// rowsFor reads rows. It does what gorm's typed interface does for one query; that
// interface would be compiled whole for every type of row, at many times the
// size of this package.
func rowsFor[T any](ctx context.Context, db *gorm.DB, query string, args ...any) ([]T, error) {
	var rows []T
	err := db.WithContext(ctx).Raw(query, args...).Find(&rows).Error
	return rows, err
}

// find reads rows inside the transaction.
func find[T any](tx *Tx, query string, args ...any) ([]T, error) {
	if tx.broken != nil {
		return nil, tx.broken
	}
	rows, err := rowsFor[T](tx.ctx, tx.db, query, args...)
	return rows, tx.noted(err)
}

// read reads rows outside any transaction, through the reading pool.
func read[T any](ctx context.Context, s *Store, query string, args ...any) ([]T, error) {
	ctx, cancel := context.WithTimeout(ctx, s.limits.read)
	defer cancel()
	return rowsFor[T](ctx, s.reader, query, args...)
}

// snapshot runs fn so that all it reads through db is of one moment, within a
// time limit that is in its ctx.
func (s *Store) snapshot(ctx context.Context, limit time.Duration, fn func(ctx context.Context, db *gorm.DB) error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	return s.reader.WithContext(ctx).Transaction(func(db *gorm.DB) error { return fn(ctx, db) }, s.dialect.snapshot())
}
