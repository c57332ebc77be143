package store

import (
	"context"
	"fmt"
)

// TakeBack frees the outgoing mails that an earlier process of this daemon's
// name had claimed when it died, so that a restarted daemon does not wait for
// the end of their leases: they count as cut in the sending, and are due at
// once. It gives their number. To be called once, before the first Claim.
func (s *Store) TakeBack(ctx context.Context) (int, error) {
	var n int64
	err := s.Write(ctx, func(tx *Tx) error {
		var err error
		n, err = tx.affect("UPDATE outbox SET due_at = ?, lease_until = ? WHERE state = 'sending' AND lease_owner = ? AND lease_session <> ?",
			at(tx.now), at(tx.now), text(s.owner), text(s.session))
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("take back claimed mails: %w", err)
	}
	return int(n), nil
}
