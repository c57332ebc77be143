package store

import (
	"context"
	"fmt"
	"time"
)

// Start is the moment from which a mailbox is read.
type Start struct {
	At       time.Time
	Validity uint32 // UIDVALIDITY then
	UIDNext  uint32 // the first UID that counts as new, while Validity is the same
}

type mailboxRow struct {
	Name     short `gorm:"primaryKey"`
	StartAt  stamp
	Validity int64
	UIDNext  int64 `gorm:"column:uid_next"`
}

func (mailboxRow) TableName() string { return "mailboxes" }

// StartOf gives the starting point of a mailbox. The first call for it keeps
// what it is handed, for ever; every call gives what was kept.
func (s *Store) StartOf(ctx context.Context, mailbox string, now Start) (Start, error) {
	var kept Start
	err := s.Write(ctx, func(tx *Tx) error {
		fresh := []mailboxRow{{short(mailbox), at(now.At), int64(now.Validity), int64(now.UIDNext)}}
		if err := insert(tx, &fresh, ignore("name")); err != nil {
			return err
		}
		rows, err := find[mailboxRow](tx, "SELECT * FROM mailboxes WHERE name = ?", short(mailbox))
		if err != nil {
			return err
		}
		if len(rows) == 0 {
			return ErrNotFound
		}
		r := rows[0]
		kept = Start{At: r.StartAt.time(), Validity: uint32(r.Validity), UIDNext: uint32(r.UIDNext)}
		return nil
	})
	if err != nil {
		return Start{}, fmt.Errorf("keep the starting point of %s: %w", mailbox, err)
	}
	return kept, nil
}

// mostUnfiled bounds what Unfiled gives; more are listed when these are filed.
const mostUnfiled = 10_000

// Unfiled lists the UIDs of a mailbox that were seen and are neither gone nor
// filed, in rising order, at most 10,000.
func (s *Store) Unfiled(ctx context.Context, mailbox string, validity uint32) ([]uint32, error) {
	type row struct{ UID int64 }
	rows, err := read[row](ctx, s, "SELECT uid FROM intakes WHERE mailbox = ? AND validity = ? AND filed_at IS NULL ORDER BY uid LIMIT ?",
		short(mailbox), int64(validity), mostUnfiled)
	if err != nil {
		return nil, fmt.Errorf("list unfiled mails of %s: %w", mailbox, err)
	}
	uids := make([]uint32, len(rows))
	for i, r := range rows {
		uids[i] = uint32(r.UID)
	}
	return uids, nil
}
