package mailin

import (
	"context"
	"errors"
	"io"
	"slices"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"
)

// How often filed mails are compared with what the Desk knows, how soon again
// at the earliest, and how many attempts may come to nothing before mail is
// taken all the same.
const (
	reconcileEvery = 24 * time.Hour
	reconcileAgain = time.Hour
	reconcileTries = 3
)

// comparison is when filed mails are compared with what the Desk knows.
type comparison struct {
	last    time.Time // when it came to its end
	next    time.Time // not before
	vain    int       // attempts since then that did not
	doubted bool      // the Desk could not be reached since then
}

// doubt lets the next comparison come before more mail is taken.
func (c *comparison) doubt() {
	c.doubted = true
	c.next = c.last.Add(reconcileAgain)
}

func (c *comparison) due(now time.Time) bool {
	return !now.Before(c.next) && (c.doubted || now.Sub(c.last) >= reconcileEvery)
}

// reconcile compares, when it is time to, the folders that mail is filed to
// with what the Desk knows, and brings back what it does not: its database may
// have been restored from a copy, or have lost its last commits in a fail-over
// (F21). That comes before any mail is taken, which would get the number of a
// ticket that was lost. It looks at what arrived within the last days and since
// the first start, so that what other programs have put there before is left
// alone. Afterwards the folder that mail comes in to is open again. Compared
// says that it was time to.
func (w *watcher) reconcile(ctx context.Context) (compared bool, err error) {
	c := &w.compared
	if !c.due(time.Now()) {
		return false, nil
	}
	if err := w.begin(ctx); err != nil {
		return true, err
	}
	c.vain++
	lastTry := c.vain >= reconcileTries
	if lastTry { // mail is taken next, whatever comes of this
		c.vain, c.next = 0, time.Now().Add(reconcileAgain)
	}
	since := w.start.At.Truncate(time.Second) // as exact as INTERNALDATE is
	if day := time.Now().Add(-w.cfg.Reconcile); day.After(since) {
		since = day
	}
	var refused, fault error
	for _, f := range []Folder{Done, Quarantine} {
		err := w.bringBack(ctx, w.folders[f], since)
		switch {
		case err == nil:
		case isDeskError(err):
			fault = err
		case refusal(err) != nil:
			refused = errors.Join(refused, err)
		default:
			return true, err
		}
	}
	data, err := w.conn.open(ctx, false)
	if err != nil {
		return true, err
	}
	if data.UIDValidity != w.box.Validity {
		return true, &Violation{What: "changed the UIDVALIDITY of a folder while it was in use"}
	}
	if fault != nil && !lastTry {
		return true, fault
	}
	if err := errors.Join(refused, fault); err != nil {
		w.log.Warn("filed mails are not compared with what is known of them", "err", err)
		c.vain, c.next = 0, time.Now().Add(reconcileAgain)
		return true, nil
	}
	*c = comparison{last: time.Now()}
	return true, nil
}

// bringBack moves to the folder that mail comes in to what lies in another one
// and is not known to the Desk.
func (w *watcher) bringBack(ctx context.Context, folder string, since time.Time) error {
	data, err := w.conn.selectFolder(ctx, folder, true)
	if err != nil {
		return err
	}
	uids, err := w.conn.unfiled(ctx, "list what is filed in "+folder, since)
	if err != nil {
		return err
	}
	home := w.conn.home
	var back map[likeness]bool // what was copied back already; nil: not asked yet
	for chunk := range slices.Chunk(uids, compareChunk) {
		copies, err := w.conn.copies(ctx, chunk, since)
		if err != nil {
			return err
		}
		missing, err := w.desk.Missing(ctx, w.box, copies)
		if err != nil {
			return ofDesk("compare filed mails", err)
		}
		if len(missing) > 0 && back == nil {
			if back, err = w.copiedBack(ctx, since); err != nil {
				return err
			}
		}
		for _, c := range copies {
			if back[likeness{c.MessageID, c.Size}] {
				missing = slices.DeleteFunc(missing, func(uid uint32) bool { return uid == c.UID })
			}
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

// likeness is what two copies of a mail have in common.
type likeness struct {
	messageID string
	size      int64
}

// copiedBack lists what lies in the folder that mail comes in to, where the
// server knows no MOVE and an attempt that did not end may have left copies.
func (w *watcher) copiedBack(ctx context.Context, since time.Time) (map[likeness]bool, error) {
	back := make(map[likeness]bool)
	if w.conn.caps.Has(imap.CapMove) {
		return back, nil
	}
	if _, err := w.conn.open(ctx, true); err != nil {
		return nil, err
	}
	uids, err := w.conn.unfiled(ctx, "list the folder", since)
	if err != nil {
		return nil, err
	}
	for chunk := range slices.Chunk(uids, compareChunk) {
		copies, err := w.conn.copies(ctx, chunk, since)
		if err != nil {
			return nil, err
		}
		for _, c := range copies {
			back[likeness{c.MessageID, c.Size}] = true
		}
	}
	return back, nil
}

// unfiled lists the mails in the folder at hand that arrived since about then,
// but for originals that were filed and had to stay.
func (c *conn) unfiled(ctx context.Context, what string, since time.Time) ([]uint32, error) {
	// SEARCH knows days only, and those of the server's time zone (RFC 3501, section 6.4.4).
	criteria := &imap.SearchCriteria{Since: since.Add(-24 * time.Hour)}
	if c.keeps() {
		criteria.NotFlag = []imap.Flag{filedMark}
	}
	return c.search(ctx, what, criteria)
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
