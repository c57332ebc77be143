package mailin

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"
)

// How often filed mails are compared with what the Desk knows, and how soon
// again after an attempt that came to nothing.
const (
	reconcileEvery = 24 * time.Hour
	reconcileAgain = time.Hour
)

// reconcile compares the folders that mail is filed to with what the Desk
// knows, and brings back what it does not: its database may have been restored
// from a copy, or have lost its last commits in a fail-over (F21). It looks at
// what arrived within the last days and since the first start, so that what
// other programs have put there before is left alone. Afterwards the folder
// that mail comes in to is open again.
func (w *watcher) reconcile(ctx context.Context) error {
	w.reconciled = time.Now().Add(reconcileAgain - reconcileEvery)
	since := w.start.At.Truncate(time.Second) // as exact as INTERNALDATE is
	if day := time.Now().Add(-w.cfg.Reconcile); day.After(since) {
		since = day
	}
	var failed error
	for _, f := range []Folder{Done, Quarantine} {
		if err := w.bringBack(ctx, w.folders[f], since); err != nil {
			if refusal(err) == nil && !isDeskError(err) {
				return err
			}
			failed = errors.Join(failed, err)
		}
	}
	data, err := w.conn.open(ctx, false)
	if err != nil {
		return err
	}
	if data.UIDValidity != w.box.Validity {
		return &Violation{What: "changed the UIDVALIDITY of a folder while it was in use"}
	}
	if failed != nil {
		w.log.Warn("filed mails are not compared with what is known of them", "err", failed)
		return nil
	}
	w.reconciled = time.Now()
	return nil
}

func isDeskError(err error) bool {
	_, ok := errors.AsType[*deskError](err)
	return ok
}

// bringBack moves to the folder that mail comes in to what lies in another one
// and is not known to the Desk.
func (w *watcher) bringBack(ctx context.Context, folder string, since time.Time) error {
	data, err := w.conn.selectFolder(ctx, folder, true)
	if err != nil {
		return err
	}
	// SEARCH knows days only, and those of the server's time zone (RFC 3501, section 6.4.4).
	criteria := &imap.SearchCriteria{Since: since.Add(-24 * time.Hour)}
	if w.conn.keeps() {
		criteria.NotFlag = []imap.Flag{filedMark}
	}
	uids, err := w.conn.search(ctx, "list what is filed in "+folder, criteria)
	if err != nil {
		return err
	}
	home := w.conn.home
	for len(uids) > 0 {
		n := min(len(uids), compareChunk)
		copies, err := w.conn.copies(ctx, uids[:n], since)
		if err != nil {
			return err
		}
		uids = uids[n:]
		missing, err := w.desk.Missing(ctx, w.box, copies)
		if err != nil {
			return ofDesk("compare filed mails", err)
		}
		if len(missing) == 0 {
			continue
		}
		// Only now is the folder opened for changes.
		again, err := w.conn.selectFolder(ctx, folder, false)
		if err != nil {
			return err
		}
		if again.UIDValidity != data.UIDValidity {
			return &Violation{What: "changed the UIDVALIDITY of a folder while it was in use"}
		}
		copied := false
		if err := w.conn.move(ctx, missing, home, &copied); err != nil {
			return err
		}
		w.log.Warn("filed mails are taken in again", "folder", folder, "mails", len(missing))
	}
	return nil
}

// compareChunk is how many mails are asked for at once, and headerPiece the
// most that is read of the fields of each.
const (
	compareChunk = 200
	headerPiece  = 16 << 10
)

// copies asks for what it takes to know mails again that arrived since then.
func (c *conn) copies(ctx context.Context, uids []uint32, since time.Time) (out []Copy, err error) {
	section := &imap.FetchItemBodySection{
		Peek: true, Specifier: imap.PartSpecifierHeader, HeaderFields: []string{"Message-ID", "In-Reply-To", "References"},
		Partial: &imap.SectionPartial{Size: headerPiece},
	}
	var set imap.UIDSet
	set.AddNum(uidsOf(uids)...)
	budget := int64(len(uids))*(headerPiece+4096) + 1<<20
	err = c.doSized(ctx, "look at filed mails", c.cfg.Body, budget, func(context.Context) error {
		cmd := c.client.Fetch(set, &imap.FetchOptions{UID: true, RFC822Size: true, InternalDate: true, BodySection: []*imap.FetchItemBodySection{section}})
		defer cmd.Close()
		for msg := cmd.Next(); msg != nil; msg = cmd.Next() {
			one := Copy{Size: -1}
			var arrived time.Time
			var head []byte
			for item := msg.Next(); item != nil; item = msg.Next() {
				switch item := item.(type) {
				case imapclient.FetchItemDataUID:
					one.UID = uint32(item.UID)
				case imapclient.FetchItemDataRFC822Size:
					one.Size = item.Size
				case imapclient.FetchItemDataInternalDate:
					arrived = item.Time
				case imapclient.FetchItemDataBodySection:
					// It is the only section asked for; how servers write the names of
					// its fields in their answer differs.
					if item.Literal == nil {
						continue
					}
					if head, err = io.ReadAll(item.Literal); err != nil {
						c.raw.Close()
						<-c.client.Closed()
						return err
					}
				}
			}
			if one.UID == 0 || one.Size < 0 || head == nil || arrived.Before(since) {
				continue
			}
			m := ParseHeader(head, one.Size, Limits{})
			one.MessageID, one.Answers = m.MessageID, append(m.References, m.InReplyTo...)
			out = append(out, one)
		}
		return cmd.Close()
	})
	return out, err
}
