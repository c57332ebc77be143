package desk

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"

	"deskd/mailin"
	"deskd/store"
	"deskd/triage"
	"deskd/triage/ticket"
)

// NotQuarantined says that a mail does not wait in quarantine (any more), nor
// lies in the spam where that would do, so that nothing was done about it.
type NotQuarantined struct {
	Intake int64
	Fate   store.Fate // empty: not decided yet
}

func (e *NotQuarantined) Error() string {
	fate := string(e.Fate)
	if fate == "" {
		fate = "not decided on yet"
	}
	return fmt.Sprintf("mail %d is not in quarantine: it is %s", e.Intake, fate)
}

// Retry takes a mail out of quarantine or out of the spam: what is kept of it is
// read and decided on as if it came now, in the latter case as no spam, and all
// that follows is one transaction together with its new fate. A second Retry, here or in another process, therefore does
// nothing (F1). Where it fails again, the error says why and nothing has
// changed. The original stays in the quarantine folder of its mailbox.
func (d *Desk) Retry(ctx context.Context, id int64, actor string) (store.Fate, ticket.Number, error) {
	in, err := d.held(ctx, id, store.FateQuarantined, store.FateSpam)
	if err != nil {
		return "", 0, err
	}
	raw, err := d.store.Raw(ctx, in.SHA256)
	if errors.Is(err, store.ErrNotFound) {
		return "", 0, fmt.Errorf("the raw source of mail %d is kept no more", id)
	}
	if err != nil {
		return "", 0, err
	}
	f := mailin.Fetched{
		Box: mailin.Box{Mailbox: in.Mailbox, Validity: in.Validity}, UID: in.UID, Arrived: in.ArrivedAt, Size: in.Size,
		Raw: raw, SHA256: sha256.Sum256(raw), Oversize: int64(len(raw)) < in.Size, // only the header was kept
	}
	m := &mail{Fetched: f, id: store.MailboxUID{Mailbox: in.Mailbox, Validity: in.Validity, UID: in.UID}, again: true}
	if m.msg, err = d.readOne(ctx, f); err != nil {
		return "", 0, fmt.Errorf("read mail %d: %w", id, err)
	}
	d.vouch(ctx, []*mail{m})
	if err := d.comparing.wait(ctx); err != nil {
		return "", 0, err
	}
	err = d.store.Write(ctx, func(tx *store.Tx) (err error) {
		if m.row, err = tx.IntakeOf(id); err != nil {
			return err
		}
		if m.row.Fate != in.Fate {
			return &NotQuarantined{id, m.row.Fate}
		}
		k, err := d.lookUp(tx, []*mail{m})
		if err != nil {
			return err
		}
		if err := k.onlyHandled(tx, m); err != nil {
			return err
		}
		if err := d.handle(tx, k, m); err != nil {
			return err
		}
		now, err := tx.IntakeOf(id)
		if err != nil {
			return err
		}
		what := "taken out of quarantine"
		if in.Fate == store.FateSpam {
			what = "taken out of spam"
		}
		return leave(tx, m.row, now, actor, what)
	})
	if err != nil {
		return "", 0, asNotQuarantined(err)
	}
	d.decided(ctx, []*mail{m})
	d.Wake()
	if in, err = d.store.IntakeByID(ctx, id); err != nil {
		return "", 0, err
	}
	return in.Fate, in.Ticket, nil
}

// onlyHandled makes the mail the copy of none but one from which something
// followed (F5). Copies that came after it count as its own copies, and those
// in quarantine were never read: were it taken for a copy of these, nobody
// would ever see it.
func (k *known) onlyHandled(tx *store.Tx, m *mail) error {
	clear(k.byKey)
	twin, err := tx.Handled(m.Box.Mailbox, m.msg.ContentKey[:], m.SHA256[:], m.row.ID)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	t := triage.Twin{Intake: twin.ID, Ticket: twin.Ticket}
	for _, h := range [][]byte{m.msg.ContentKey[:], m.SHA256[:]} {
		k.byKey[m.Box.Mailbox+"\x00"+string(h)] = t
	}
	return nil
}

// Dismiss takes a mail out of quarantine for good: nothing follows from it.
func (d *Desk) Dismiss(ctx context.Context, id int64, actor string) error {
	if _, err := d.held(ctx, id, store.FateQuarantined); err != nil {
		return err
	}
	err := d.store.Write(ctx, func(tx *store.Tx) error {
		in, err := tx.IntakeOf(id)
		if err != nil {
			return err
		}
		before := in
		in.Fate, in.Reason = store.FateDismissed, "dropped-by-administrator"
		if err := tx.Redecide(in, store.FateQuarantined); err != nil {
			return err
		}
		return leave(tx, before, in, actor, "dropped from quarantine")
	})
	return asNotQuarantined(err)
}

// leave writes down that a mail has left where it was held: in the desk's timeline,
// and in that of the ticket which told of it.
func leave(tx *store.Tx, before, now store.Intake, actor, what string) error {
	e := store.Event{Actor: actor, What: what, Before: string(before.Fate), After: string(now.Fate), Reason: fmt.Sprintf("mail %d", now.ID), Intake: now.ID}
	if now.Ticket != 0 && now.Ticket != before.Ticket {
		e.Reason += ", now on ticket " + now.Ticket.String()
	}
	if err := tx.AddEvent(e); err != nil || before.Ticket == 0 {
		return err
	}
	e.Ticket = before.Ticket
	return tx.AddEvent(e)
}

// held gives a mail that has one of some fates.
func (d *Desk) held(ctx context.Context, id int64, fates ...store.Fate) (store.Intake, error) {
	in, err := d.store.IntakeByID(ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		return in, fmt.Errorf("there is no mail %d", id)
	}
	if err == nil && !slices.Contains(fates, in.Fate) {
		err = &NotQuarantined{id, in.Fate}
	}
	return in, err
}

// asNotQuarantined says so of a mail that somebody else was faster with.
func asNotQuarantined(err error) error {
	if decided, ok := errors.AsType[*store.AlreadyDecided](err); ok {
		return &NotQuarantined{decided.ID, decided.Fate}
	}
	return err
}
