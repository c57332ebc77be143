package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/jackc/pgx/v5"
)

// ErrNotFound says that there is no such ticket, mail or row.
var ErrNotFound = errors.New("not found")

// ErrReadOnly says that the store was opened by OpenReader.
var ErrReadOnly = errors.New("the database is open for reading only")

// AlreadyDecided says that a mail has its fate (F1): what was to follow from
// it must not happen again.
type AlreadyDecided struct {
	ID   int64
	Fate Fate
}

func (e *AlreadyDecided) Error() string {
	if e.Fate == "" {
		return fmt.Sprintf("intake %d is unknown", e.ID)
	}
	return fmt.Sprintf("intake %d is decided already: %s", e.ID, e.Fate)
}

// LeaseLost says that a lease, or a claimed row of the outbox, is somebody
// else's by now: what was to be written about it was not.
type LeaseLost struct {
	Name   string
	Holder string // who has it now; empty: nobody, or unknown
}

func (e *LeaseLost) Error() string {
	if e.Holder == "" {
		return fmt.Sprintf("the lease of %s is lost", e.Name)
	}
	return fmt.Sprintf("the lease of %s is lost to %s", e.Name, e.Holder)
}

// Unsafe says that a setting which durability rests on is not in force (F22).
type Unsafe struct {
	Setting   string
	Got, Want string
}

func (e *Unsafe) Error() string {
	return fmt.Sprintf("the database's %s is %s, but mail is only safe with %s", e.Setting, e.Got, e.Want)
}

// Schema says that the database's schema is not the one this program knows
// (F28).
type Schema struct {
	Got, Want int64
}

func (e *Schema) Error() string {
	switch {
	case e.Got > e.Want:
		return fmt.Sprintf("the database has schema %d, this program knows %d: it was written by a newer deskd; install that one or a newer", e.Got, e.Want)
	case e.Got == 0:
		return "the database is empty: start the daemon once, it sets it up"
	}
	return fmt.Sprintf("the database has schema %d, this program needs %d: start the new daemon once, it brings it up to date", e.Got, e.Want)
}

// Unknown says that the connection was lost while a transaction was being
// committed: it may have taken effect or not (F26). Whoever gets it looks the
// key up again and never assumes.
type Unknown struct{ Err error }

func (e *Unknown) Error() string {
	return "lost the database while committing, the outcome is unknown: " + e.Err.Error()
}

func (e *Unknown) Unwrap() error { return e.Err }

// Damaged says that the disk or the database file failed in a way after which
// nothing more is written until a person has looked and restarted (F24).
type Damaged struct{ Err error }

func (e *Damaged) Error() string {
	return "the database reported damage, nothing more is written before a restart: " + e.Err.Error()
}

func (e *Damaged) Unwrap() error { return e.Err }

// The drivers' errors, as far as they matter here. PostgreSQL gives five
// characters of which two are the class, SQLite a number whose lowest byte is
// the primary code.
type (
	postgresError interface{ SQLState() string }
	sqliteError   interface {
		error
		Code() int
	}
)

// SQLite's primary codes (sqlite.org/rescode.html) and the extended ones
// after which the state of the disk is not known.
const (
	sqlitePerm     = 3
	sqliteBusy     = 5
	sqliteLocked   = 6
	sqliteNoMem    = 7
	sqliteReadOnly = 8
	sqliteStopped  = 9
	sqliteIOErr    = 10
	sqliteCorrupt  = 11
	sqliteFull     = 13
	sqliteCantOpen = 14
	sqliteProtocol = 15
	sqliteAuth     = 23
	sqliteNotADB   = 26

	sqliteIOErrRead      = sqliteIOErr | 1<<8
	sqliteIOErrShortRead = sqliteIOErr | 2<<8
	sqliteIOErrWrite     = sqliteIOErr | 3<<8
	sqliteIOErrSync      = sqliteIOErr | 4<<8
	sqliteIOErrDirSync   = sqliteIOErr | 5<<8
	sqliteIOErrTruncate  = sqliteIOErr | 6<<8
)

func sqliteCode(err error) (int, bool) {
	var e sqliteError
	if errors.As(err, &e) {
		return e.Code(), true
	}
	return 0, false
}

func sqlState(err error) string {
	var e postgresError
	if errors.As(err, &e) {
		return e.SQLState()
	}
	return ""
}

// World says whether an error is about the world (disk, connection, lock, a
// stop) rather than about the very data at hand. What the world causes is
// tried again later; what the data causes would come back every time.
func World(err error) bool {
	if err == nil {
		return false
	}
	var (
		unknown *Unknown
		damaged *Damaged
		broken  *worldError
	)
	if errors.As(err, &unknown) || errors.As(err, &damaged) || errors.As(err, &broken) || lost(err) {
		return true
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, ErrReadOnly) {
		return true
	}
	if code, ok := sqliteCode(err); ok {
		switch code & 0xff {
		case sqlitePerm, sqliteBusy, sqliteLocked, sqliteNoMem, sqliteReadOnly, sqliteStopped, sqliteIOErr,
			sqliteCorrupt, sqliteFull, sqliteCantOpen, sqliteProtocol, sqliteAuth, sqliteNotADB:
			return true
		}
		return false
	}
	switch state := sqlState(err); {
	case len(state) != 5:
		return false
	case state == "42501" || state == "55P03" || state == "25006":
		return true // no privilege, lock not to be had, a server that became read-only
	case state == "42P01" || state == "42703":
		return true // no such table or column: another program has brought the schema further
	default:
		switch state[:2] {
		case "08", "28", "40", "53", "57", "58", "F0", "XX":
			return true // connection, login, rollback, resources, operator, system, configuration, internal
		}
		return false
	}
}

// worldError marks an error about the world that carries no code of its own.
type worldError struct{ err error }

func (e *worldError) Error() string { return e.err.Error() }
func (e *worldError) Unwrap() error { return e.err }

// lost says whether the connection is gone.
func lost(err error) bool {
	var netErr net.Error
	return errors.Is(err, driver.ErrBadConn) || errors.Is(err, sql.ErrConnDone) || errors.Is(err, sql.ErrTxDone) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.ErrClosedPipe) ||
		errors.Is(err, net.ErrClosed) || errors.As(err, &netErr)
}

// passing says whether an error may be gone at the next attempt at the same
// transaction, and that this one left no trace (F23, F25).
func passing(err error) bool {
	var unknown *Unknown
	var damaged *Damaged
	if errors.As(err, &unknown) || errors.As(err, &damaged) {
		return false
	}
	if code, ok := sqliteCode(err); ok {
		return code&0xff == sqliteBusy || code&0xff == sqliteLocked
	}
	switch state := sqlState(err); state {
	case "":
		return lost(err)
	case "40001", "40P01", "55P03", "25006": // serialization, deadlock, lock, read-only after a fail-over
		return true
	case "53300", "57P01", "57P02", "57P03": // too many connections, shutting down, crashed, starting
		return true
	default:
		return state[:min(2, len(state))] == "08"
	}
}

// undone says whether a failed COMMIT certainly took no effect.
func undone(err error) bool {
	if code, ok := sqliteCode(err); ok {
		// After a failed write or sync the commit record may be on the disk
		// all the same.
		return code&0xff != sqliteIOErr
	}
	state := sqlState(err)
	if state == "" {
		return errors.Is(err, pgx.ErrTxCommitRollback)
	}
	// A server that ends while it waits for its standby has committed
	// locally.
	return state[:2] != "08" && state[:2] != "57"
}

// plainly says what is wrong with the database in words that tell what to do.
func plainly(err error) string {
	var damaged *Damaged
	code, _ := sqliteCode(err)
	switch {
	case errors.As(err, &damaged):
		return "the disk or the database file is damaged; look at the disk, run deskd audit verify, and start deskd again: " + err.Error()
	case code&0xff == sqliteFull, sqlState(err) == "53100":
		return "the disk is full; make room, and deskd goes on by itself"
	case code&0xff == sqliteReadOnly, code&0xff == sqlitePerm, code&0xff == sqliteCantOpen, sqlState(err) == "25006":
		return "the database cannot be written to (" + err.Error() + "); deskd goes on by itself when it can"
	}
	return err.Error()
}

// damage says whether nothing more may be written after this.
func damage(err error) bool {
	code, ok := sqliteCode(err)
	if !ok {
		return false
	}
	switch code {
	case sqliteIOErrRead, sqliteIOErrShortRead, sqliteIOErrWrite, sqliteIOErrSync, sqliteIOErrDirSync, sqliteIOErrTruncate:
		return true
	}
	return code&0xff == sqliteCorrupt || code&0xff == sqliteNotADB
}

// pause waits, or returns the context's error when that ends first.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
