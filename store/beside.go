package store

import (
	"context"
	"crypto/hmac"
	"errors"
	"fmt"
)

// OpenBeside opens the database for writing beside a running daemon, or
// without one: for what a person does at the machine. It takes no lock, makes
// no file and never migrates; a schema older or newer than this program's
// gives a *Schema error. Whoever writes a SQLite file waits for the other's
// transaction, as busyTimeout says, and Write tries again.
//
// Such a store must not claim from the outbox or hold leases: these are a
// daemon's.
func OpenBeside(ctx context.Context, url string, o Options) (*Store, error) {
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
	if err := s.openBeside(ctx, o); err != nil {
		return nil, errors.Join(fmt.Errorf("open the database: %w", err), s.Close())
	}
	return s, nil
}

func (s *Store) openBeside(ctx context.Context, o Options) error {
	if err := s.open(ctx, o, false); err != nil { // looks at the schema first
		return err
	}
	return s.openWriting(ctx, o, 1, s.CheckKey)
}

// CheckKey gives a *WrongKey error where the database was made with another
// key. It only reads: Open looks by itself, a reader need not have the key.
func (s *Store) CheckKey(ctx context.Context) error {
	rows, err := read[factRow](ctx, s, "SELECT * FROM facts WHERE name = ?", short("key"))
	if err != nil {
		return fmt.Errorf("check the key: %w", err)
	}
	if len(rows) != 1 || !hmac.Equal(rows[0].Value, s.fingerprint()) {
		return &WrongKey{}
	}
	return nil
}
