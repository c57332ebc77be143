package store

import (
	"context"
	"fmt"
	"slices"
	"time"

	"gorm.io/gorm/clause"
)

// TakeBack frees the outgoing mails that dead processes had claimed, so that
// nobody waits for the end of their leases, and gives their number. They are
// due at once and are sent again, the same bytes: how far a dead process had
// got with one, nobody knows. That is the one repeat that a death may cause
// (P3); it is not counted as a cut, which only who sends can see.
//
// With SQLite every other process is dead, since the file is locked. With
// PostgreSQL a process is dead when it has given no sign of life for its ttl;
// one of another daemon's name, whose clock may differ and which may only have
// lost the database, when it gave none for deadAfter beyond that. TakeBack is
// that sign, too: it is to be called before the first Claim, and again well within
// ttl for as long as a claimed mail is in hand.
func (s *Store) TakeBack(ctx context.Context, ttl time.Duration) (int, error) {
	var n int64
	err := s.Write(ctx, func(tx *Tx) error {
		var err error
		n, err = tx.takeBack(ttl)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("take back claimed mails: %w", err)
	}
	return int(n), nil
}

// deadAfter is how long another daemon may be without a sign of life beyond its
// ttl.
const deadAfter = 2 * time.Minute

// clockHorizon is further ahead than any time that is set here for something
// to be done: what lies beyond was set before the clock went back (F29).
const clockHorizon = 48 * time.Hour

func (tx *Tx) takeBack(ttl time.Duration) (int64, error) {
	beyond := at(tx.now.Add(clockHorizon))
	if err := tx.exec("UPDATE outbox SET due_at = ?, lease_until = ? WHERE state = 'sending' AND due_at > ?", at(tx.now), at(tx.now), beyond); err != nil {
		return 0, err
	}
	if err := tx.exec("UPDATE outbox SET due_at = ? WHERE due_at IS NOT NULL AND due_at > ?", at(tx.now), beyond); err != nil {
		return 0, err
	}
	const free = "UPDATE outbox SET due_at = ?, lease_until = ? WHERE state = 'sending' AND "
	s, now := tx.s, at(tx.now)
	if s.unlock != nil { // the file lock is ours
		return tx.affect(free+"lease_session <> ?", now, now, text(s.session))
	}
	life := []leaseRow{{short("sender:" + s.session), text(s.owner), text(s.session), 1, at(tx.now.Add(ttl))}}
	renew := clause.OnConflict{Columns: []clause.Column{{Name: "name"}}, DoUpdates: clause.AssignmentColumns([]string{"until_at"})}
	if err := insert(tx, &life, renew); err != nil {
		return 0, err
	}
	if err := tx.exec("DELETE FROM leases WHERE name LIKE 'sender:%' AND (until_at <= ? AND owner = ? OR until_at <= ?)",
		now, text(s.owner), at(tx.now.Add(-deadAfter))); err != nil {
		return 0, err
	}
	return tx.affect(free+"NOT EXISTS (SELECT 1 FROM leases l WHERE l.name = 'sender:' || outbox.lease_session)", now, now)
}

// TakeBackOwn frees what this process has claimed and does not have in hand,
// and gives its number: of a claim whose commit ended without an answer nobody
// knows whether it took effect (F26). No Claim may be under way meanwhile.
func (s *Store) TakeBackOwn(ctx context.Context, inHand []int64) (int, error) {
	var n int64
	err := s.Write(ctx, func(tx *Tx) (err error) {
		rows, err := find[int64](tx, "SELECT id FROM outbox WHERE state = 'sending' AND lease_session = ? ORDER BY id", text(s.session))
		if err != nil {
			return err
		}
		n = 0
		for _, id := range rows {
			if slices.Contains(inHand, id) {
				continue
			}
			if err := tx.exec("UPDATE outbox SET due_at = ?, lease_until = ? WHERE id = ? AND state = 'sending' AND lease_session = ?", at(tx.now), at(tx.now), id, text(s.session)); err != nil {
				return err
			}
			n++
		}
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("take back what was claimed in vain: %w", err)
	}
	return int(n), nil
}
