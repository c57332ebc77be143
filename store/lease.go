package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"gorm.io/gorm/clause"
)

// Lease is the right to do one thing (watch a mailbox, run a periodic job)
// that one daemon has at a time.
type Lease struct {
	Name, Owner string
	Epoch       int64 // grows each time the lease changes hands
	Until       time.Time
}

type leaseRow struct {
	Name    short `gorm:"primaryKey"`
	Owner   text
	Session text
	Epoch   int64
	UntilAt stamp
}

func (leaseRow) TableName() string { return "leases" }

// Acquire takes a lease for ttl, or gives nil while somebody else has it.
//
// One that has ended is free, and so is one that ends days from now: the clock
// has gone back (F29). One that an earlier process of this daemon's
// name holds is taken at once, since that process is dead: a restarted daemon
// does not wait. Should it be alive after all (two daemons with one name), the
// one that lost its lease so waits for the end of it, and the two do not take
// it from each other in turns.
//
// Times are this machine's: machines that share a database need clocks that
// agree to well within ttl. What two holders at once could do twice is guarded
// by the rows themselves (Decide, and the states of the outbox).
func (s *Store) Acquire(ctx context.Context, name string, ttl time.Duration) (*Lease, error) {
	if ttl <= 0 {
		return nil, fmt.Errorf("acquire the lease of %s for %s: want more than nothing", name, ttl)
	}
	name = shorten(name)
	var got *Lease
	err := s.Write(ctx, func(tx *Tx) error {
		got = nil
		row, err := tx.lease(name)
		if errors.Is(err, ErrNotFound) {
			fresh := []leaseRow{{short(name), text(s.owner), text(s.session), 1, at(tx.now.Add(ttl))}}
			if err := insert(tx, &fresh, ignore("name")); err != nil {
				return err
			}
			if row, err = tx.lease(name); err == nil && row.Session == text(s.session) {
				got = row.lease()
				return nil
			}
		}
		if err != nil {
			return err
		}
		ends := row.UntilAt > at(tx.now) && row.UntilAt <= at(tx.now.Add(max(2*ttl, clockHorizon)))
		if ends && !s.mayTake(row) {
			return nil
		}
		row.Owner, row.Session, row.Epoch, row.UntilAt = text(s.owner), text(s.session), row.Epoch+1, at(tx.now.Add(ttl))
		got = row.lease()
		return tx.exec("UPDATE leases SET owner = ?, session = ?, epoch = ?, until_at = ? WHERE name = ?",
			row.Owner, row.Session, row.Epoch, row.UntilAt, short(name))
	})
	if err != nil {
		return nil, fmt.Errorf("acquire the lease of %s: %w", name, err)
	}
	if got != nil {
		s.leasesMu.Lock()
		s.held[name] = got.Epoch
		s.leasesMu.Unlock()
	}
	return got, nil
}

func (r *leaseRow) lease() *Lease {
	return &Lease{Name: string(r.Name), Owner: string(r.Owner), Epoch: r.Epoch, Until: r.UntilAt.time()}
}

// lease reads and locks the row of a lease.
func (tx *Tx) lease(name string) (*leaseRow, error) {
	rows, err := find[leaseRow](tx, "SELECT * FROM leases WHERE name = ?"+tx.s.dialect.forUpdate(), short(name))
	if err != nil {
		return nil, err
	}
	if len(rows) == 0 {
		return nil, ErrNotFound
	}
	return &rows[0], nil
}

// mayTake says whether a lease that has not ended is ours to take all the
// same.
func (s *Store) mayTake(r *leaseRow) bool {
	s.leasesMu.Lock()
	defer s.leasesMu.Unlock()
	switch {
	case r.Session == text(s.session):
		return true // this process had it, and did not give it back
	case r.Owner != text(s.owner):
		return false
	}
	s.noteLoss(string(r.Name))
	return !s.lostToOwn[string(r.Name)]
}

// noteLoss remembers that a process of our own name has a lease that we had.
// The caller holds leasesMu.
func (s *Store) noteLoss(name string) {
	if _, had := s.held[name]; had {
		delete(s.held, name)
		s.lostToOwn[name] = true
	}
}

// Renew keeps a lease for ttl from now on. *LeaseLost means that somebody else
// has it, and that its work must stop at once.
func (s *Store) Renew(ctx context.Context, l *Lease, ttl time.Duration) error {
	var until time.Time
	err := s.Write(ctx, func(tx *Tx) error {
		row, err := s.mine(tx, l)
		if err != nil {
			return err
		}
		until = tx.now.Add(ttl)
		return tx.exec("UPDATE leases SET until_at = ? WHERE name = ?", at(until), row.Name)
	})
	if err != nil {
		return fmt.Errorf("renew the lease of %s: %w", l.Name, err)
	}
	l.Until = until
	return nil
}

// Release gives a lease back, so that somebody else may have it at once. A
// lease that is lost already is not an error.
func (s *Store) Release(ctx context.Context, l *Lease) error {
	err := s.Write(ctx, func(tx *Tx) error {
		row, err := s.mine(tx, l)
		if err != nil {
			return err
		}
		return tx.exec("UPDATE leases SET until_at = ? WHERE name = ?", at(tx.now), row.Name)
	})
	var lost *LeaseLost
	if err != nil && !errors.As(err, &lost) {
		return fmt.Errorf("release the lease of %s: %w", l.Name, err)
	}
	s.leasesMu.Lock()
	delete(s.held, l.Name)
	s.leasesMu.Unlock()
	return nil
}

// mine gives a lease's row if it is l still.
func (s *Store) mine(tx *Tx, l *Lease) (*leaseRow, error) {
	row, err := tx.lease(l.Name)
	if errors.Is(err, ErrNotFound) {
		return nil, &LeaseLost{Name: l.Name}
	}
	if err != nil {
		return nil, err
	}
	if row.Session == text(s.session) && row.Epoch == l.Epoch {
		return row, nil
	}
	if row.Session != text(s.session) && row.Owner == text(s.owner) {
		s.leasesMu.Lock()
		s.noteLoss(l.Name)
		s.leasesMu.Unlock()
	}
	return nil, &LeaseLost{Name: l.Name, Holder: string(row.Owner)}
}

type heartbeatRow struct {
	Name     short `gorm:"primaryKey"`
	At       stamp
	OK       flag
	Detail   text
	LastOkAt stamp
	RetryAt  stamp
	Waiting  int64
	Took     int64 // microseconds
}

func (heartbeatRow) TableName() string { return "heartbeats" }

// Beat records how a contact stands, in place of what was recorded under the
// name before. Without LastOK the time of the last good one stays, or is At
// when h.OK.
func (s *Store) Beat(ctx context.Context, h Heartbeat) error {
	err := s.Write(ctx, func(tx *Tx) error {
		if h.At.IsZero() {
			h.At = tx.now
		}
		if h.OK && h.LastOK.IsZero() {
			h.LastOK = h.At
		}
		rows := []heartbeatRow{{
			Name: short(h.Name), At: at(h.At), OK: flag(h.OK), Detail: text(h.Detail), LastOkAt: at(h.LastOK),
			RetryAt: at(h.Retry), Waiting: int64(h.Waiting), Took: h.Took.Microseconds(),
		}}
		update := clause.AssignmentColumns([]string{"at", "ok", "detail", "retry_at", "waiting", "took"})
		if !h.LastOK.IsZero() {
			update = append(update, clause.AssignmentColumns([]string{"last_ok_at"})...)
		}
		return insert(tx, &rows, clause.OnConflict{Columns: []clause.Column{{Name: "name"}}, DoUpdates: update})
	})
	if err != nil {
		return fmt.Errorf("record the contact with %s: %w", h.Name, err)
	}
	return nil
}

// Heartbeats gives all contacts, in order of name.
func (s *Store) Heartbeats(ctx context.Context) ([]Heartbeat, error) {
	rows, err := read[heartbeatRow](ctx, s, "SELECT * FROM heartbeats ORDER BY name LIMIT 1000")
	if err != nil {
		return nil, fmt.Errorf("read the contacts: %w", err)
	}
	beats := make([]Heartbeat, len(rows))
	for i, r := range rows {
		beats[i] = Heartbeat{
			Name: string(r.Name), At: r.At.time(), OK: bool(r.OK), Detail: string(r.Detail), LastOK: r.LastOkAt.time(),
			Retry: r.RetryAt.time(), Waiting: int(r.Waiting), Took: time.Duration(r.Took) * time.Microsecond,
		}
	}
	return beats, nil
}
