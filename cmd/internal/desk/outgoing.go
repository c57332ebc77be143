package desk

import (
	"context"
	"fmt"
	"time"

	"deskd/mailout"
	"deskd/store"
)

// SendAgain puts a mail back into the outbox that failed, stayed uncertain or
// was cancelled: the same bytes. Who wanted it stands in the timeline of its
// ticket, or of the desk. What its state does not allow is a *store.Immovable,
// and changes nothing.
func (d *Desk) SendAgain(ctx context.Context, id int64, actor string) error {
	err := moveOutgoing(ctx, d.store, id, actor, "mail sent again", func(tx *store.Tx, r store.Row) error {
		after := mailout.GiveUpAfter
		if r.Automatic {
			after = mailout.GiveUpAnswerAfter
		}
		return tx.SendAgain(r.ID, tx.Now().Add(after))
	})
	if err == nil {
		d.Wake()
	}
	return err
}

// Cancel takes a mail back that is not sent yet, likewise.
func (d *Desk) Cancel(ctx context.Context, id int64, actor string) error {
	return moveOutgoing(ctx, d.store, id, actor, "mail cancelled", func(tx *store.Tx, r store.Row) error { return tx.Cancel(r.ID) })
}

func moveOutgoing(ctx context.Context, db *store.Store, id int64, actor, what string, move func(*store.Tx, store.Row) error) error {
	r, err := db.OutboxByID(ctx, id)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	return db.Write(ctx, func(tx *store.Tx) error {
		if err := move(tx, r); err != nil {
			return err
		}
		return tx.AddEvent(store.Event{
			Ticket: r.Ticket, Actor: actor, What: what, Before: r.Kind, After: r.Recipient, Reason: fmt.Sprintf("outbox %d was %s", r.ID, r.State),
		})
	})
}
