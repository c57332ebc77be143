package desk

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"time"

	"deskd/mailin"
	"deskd/store"
)

var _ mailin.Desk = (*Desk)(nil)

// Start keeps the point from which a mailbox is read.
func (d *Desk) Start(ctx context.Context, box mailin.Box, now mailin.Start) (mailin.Start, error) {
	s, err := d.store.StartOf(ctx, box.Mailbox, store.Start(now))
	if err != nil {
		return mailin.Start{}, fmt.Errorf("starting point of %s: %w", box.Mailbox, err)
	}
	return mailin.Start(s), nil
}

// Pending says which mails are not done: not decided on, or decided on and
// not filed yet (F1).
func (d *Desk) Pending(ctx context.Context, box mailin.Box, uids []uint32) ([]mailin.Due, error) {
	if box.Validity == 0 { // UIDs say nothing: the contents decide, in Deliver
		due := make([]mailin.Due, len(uids))
		for i, uid := range uids {
			due[i] = mailin.Due{UID: uid}
		}
		return due, nil
	}
	rows, err := d.store.Pending(ctx, box.Mailbox, box.Validity, uids)
	if err != nil {
		return nil, fmt.Errorf("look up mails of %s: %w", box.Mailbox, err)
	}
	known := make(map[uint32]store.Intake, len(rows))
	for _, r := range rows {
		known[r.UID] = r
	}
	due := make([]mailin.Due, 0, len(uids))
	for _, uid := range uids {
		r, ok := known[uid]
		switch {
		case !ok:
			due = append(due, mailin.Due{UID: uid})
		case r.Fate != "" && r.FiledAt.IsZero():
			due = append(due, mailin.Due{UID: uid, File: folderOf(r)})
		case r.Fate == "":
			due = append(due, mailin.Due{UID: uid, Alone: r.Handling != store.HandlingNone || r.Failures > 0})
		}
	}
	return due, nil
}

// folderOf is where a decided mail belongs.
func folderOf(r store.Intake) mailin.Folder {
	switch f := mailin.Folder(r.File); f {
	case mailin.Quarantine, mailin.Stay:
		return f
	}
	return mailin.Done
}

// Seen counts the attempt to fetch.
func (d *Desk) Seen(ctx context.Context, box mailin.Box, uids []uint32) error {
	if box.Validity == 0 {
		return nil
	}
	return d.store.Seen(ctx, box.Mailbox, box.Validity, uids)
}

// Open lists what was seen and is neither gone nor filed.
func (d *Desk) Open(ctx context.Context, box mailin.Box) ([]uint32, error) {
	if box.Validity == 0 {
		return nil, nil
	}
	return d.store.Unfiled(ctx, box.Mailbox, box.Validity)
}

// Filed records that the originals are out of the way.
func (d *Desk) Filed(ctx context.Context, box mailin.Box, uids []uint32) error {
	return d.store.Filed(ctx, box.Mailbox, box.Validity, d.names(box, uids))
}

// name gives the number under which the store keeps a mail. Where the server
// has no UIDVALIDITY (F4) a UID may mean another mail tomorrow, so the number is
// made from the contents; another mail that has the number already is passed
// over.
func (d *Desk) name(ctx context.Context, f mailin.Fetched) (store.MailboxUID, error) {
	id := store.MailboxUID{Mailbox: f.Box.Mailbox, Validity: f.Box.Validity, UID: f.UID}
	if f.Box.Validity != 0 {
		return id, nil
	}
	id.UID = max(binary.BigEndian.Uint32(f.SHA256[:]), 1)
	for range 100 {
		rows, err := d.store.Pending(ctx, id.Mailbox, 0, []uint32{id.UID})
		if err != nil {
			return id, fmt.Errorf("look up a mail of %s by its contents: %w", id.Mailbox, err)
		}
		if len(rows) == 0 || len(rows[0].SHA256) == 0 || bytes.Equal(rows[0].SHA256, f.SHA256[:]) {
			break
		}
		id.UID = max(id.UID+1, 1)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.named == nil || len(d.named) > 10_000 {
		d.named = map[store.MailboxUID]uint32{}
	}
	d.named[store.MailboxUID{Mailbox: f.Box.Mailbox, UID: f.UID}] = id.UID
	return id, nil
}

// names gives the numbers of mails that name has named.
func (d *Desk) names(box mailin.Box, uids []uint32) []uint32 {
	if box.Validity != 0 {
		return uids
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	var names []uint32
	for _, uid := range uids {
		if n, ok := d.named[store.MailboxUID{Mailbox: box.Mailbox, UID: uid}]; ok {
			names = append(names, n)
		}
	}
	return names
}

// Gone records mails that vanished from the server.
func (d *Desk) Gone(ctx context.Context, box mailin.Box, uids []uint32) error {
	d.log.Warn("mail vanished from the server", "reason", "gone", "uid", uids)
	return d.store.Gone(ctx, box.Mailbox, box.Validity, d.names(box, uids))
}

// contact is the state of a mailbox as it was last written down.
type contact struct {
	at   time.Time
	ok   bool
	text string
	wait int
}

// beatEvery is how often an unchanged state is written down again.
const beatEvery = 30 * time.Second

// Contact keeps the state of a mailbox connection for the page.
func (d *Desk) Contact(ctx context.Context, c mailin.Contact) {
	detail := c.Err
	if c.OK {
		detail = "connected, asking now and then"
		if c.Idle {
			detail = "connected, told of news at once"
		}
	}
	d.mu.Lock()
	last, known := d.contacts[c.Mailbox]
	same := known && last.ok == c.OK && last.text == detail && last.wait == c.Waiting
	if same && d.now().Sub(last.at) < beatEvery {
		d.mu.Unlock()
		return
	}
	d.contacts[c.Mailbox] = contact{d.now(), c.OK, detail, c.Waiting}
	d.mu.Unlock()
	if known && last.ok && !c.OK || !known && !c.OK {
		d.log.Warn("mailbox out of reach", "reason", c.Mailbox, "err", c.Err)
	}
	if !last.ok && c.OK {
		d.log.Info("mailbox connected", "reason", c.Mailbox)
	}
	d.beat(ctx, store.Heartbeat{Name: "imap:" + c.Mailbox, At: c.At, OK: c.OK, Detail: detail, Retry: c.Retry, Waiting: c.Waiting})
}

// beat writes a heartbeat; failing to is no reason to stop anything.
func (d *Desk) beat(ctx context.Context, h store.Heartbeat) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if err := d.store.Beat(ctx, h); err != nil {
		d.log.Debug("heartbeat not kept", "reason", h.Name, "err", err)
	}
}
