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
// at the earliest, and after how many attempts that came to nothing mail is
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
	doubted bool      // the Desk could not take mail since then
}

// doubt lets the next comparison come before more mail is taken, but not within
// an hour of the last.
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
// ticket that was lost; only where three attempts come to nothing mail is taken
// all the same, and from then on there is one an hour. It looks at what arrived
// within the last days and since the first start, so that what other programs
// have put there before is left alone. Afterwards the folder that mail comes in
// to is open again. Compared says that it was time to.
func (w *watcher) reconcile(ctx context.Context) (compared bool, err error) {
	c := &w.compared
	if !c.due(time.Now()) {
		return false, nil
	}
	if err := w.begin(ctx); err != nil {
		return true, err
	}
	was := *c
	defer func() {
		if ctx.Err() != nil { // it was not given the time
			*c = was
		}
	}()
	c.vain++
	lastTry := c.vain >= reconcileTries
	if lastTry { // mail is taken next, whatever comes of this
		c.next = time.Now().Add(reconcileAgain)
	}
	since := w.start.At.Truncate(time.Second) // as exact as INTERNALDATE is
	if day := time.Now().Add(-w.cfg.Reconcile); day.After(since) {
		since = day
	}
	strays, failed := w.compare(ctx, since)
	if lost(failed) {
		return true, failed
	}
	if !isDeskError(failed) || lastTry {
		err := w.bringBack(ctx, strays, since)
		if lost(err) {
			return true, err
		}
		failed = errors.Join(failed, err)
	}
	data, err := w.conn.open(ctx, false)
	if err != nil {
		return true, err
	}
	if data.UIDValidity != w.box.Validity {
		return true, errRenumbered
	}
	if isDeskError(failed) && !lastTry {
		return true, failed
	}
	if failed != nil {
		w.log.Warn("filed mails are not all compared with what is known of them", "err", failed)
		c.next = time.Now().Add(reconcileAgain)
		return true, nil
	}
	*c = comparison{last: time.Now()}
	return true, nil
}

// lost says that an error costs the connection.
func lost(err error) bool { return err != nil && refusal(err) == nil && !isDeskError(err) }

var errRenumbered = &Violation{What: "changed the UIDVALIDITY of a folder while it was in use"}

// stray is what the Desk does not know of a folder that mail is filed to.
type stray struct {
	folder   string
	validity uint32
	mails    []Copy // without what they answer
}

// compare asks the Desk for all filed mails before any of them is brought back,
// so that it knows how many there are before it gives a number. The error is
// of the Desk or of the server; what was found holds all the same.
func (w *watcher) compare(ctx context.Context, since time.Time) (strays []stray, failed error) {
	for _, f := range []Folder{Done, Quarantine} {
		s := stray{folder: w.folders[f]}
		err := w.strays(ctx, &s, since)
		if lost(err) {
			return nil, err
		}
		failed = errors.Join(failed, err)
		if len(s.mails) > 0 {
			strays = append(strays, s)
		}
	}
	return strays, failed
}

// strays finds those of the folder that s names.
func (w *watcher) strays(ctx context.Context, s *stray, since time.Time) error {
	data, err := w.conn.selectFolder(ctx, s.folder, true)
	if err != nil {
		return err
	}
	s.validity = data.UIDValidity
	uids, err := w.conn.arrivedSince(ctx, "list what is filed in "+s.folder, since)
	if err != nil {
		return err
	}
	for chunk := range slices.Chunk(uids, compareChunk) {
		copies, err := w.conn.copies(ctx, chunk, since)
		if err != nil {
			return err
		}
		missing, err := w.desk.Missing(ctx, w.box, copies)
		if err != nil {
			return ofDesk("compare filed mails", err)
		}
		for _, c := range copies {
			if slices.Contains(missing, c.UID) {
				c.Answers = nil
				s.mails = append(s.mails, c)
			}
		}
	}
	return nil
}

// bringBack moves strays to the folder that mail comes in to.
func (w *watcher) bringBack(ctx context.Context, strays []stray, since time.Time) error {
	if len(strays) == 0 {
		return nil
	}
	back, err := w.copiedBack(ctx, since)
	if err != nil {
		return err
	}
	var failed error
	for _, st := range strays {
		var uids []uint32
		for _, c := range st.mails {
			if c.MessageID == "" || !back[likeness{c.MessageID, c.Size}] {
				uids = append(uids, c.UID)
			}
		}
		err := w.moveBack(ctx, st, uids)
		if lost(err) {
			return err
		}
		failed = errors.Join(failed, err)
	}
	return failed
}

// moveBack moves some of the strays of one folder.
func (w *watcher) moveBack(ctx context.Context, from stray, uids []uint32) error {
	if len(uids) == 0 {
		return nil
	}
	home := w.conn.home
	data, err := w.conn.selectFolder(ctx, from.folder, false)
	if err != nil {
		return err
	}
	if data.UIDValidity != from.validity {
		return errRenumbered
	}
	for chunk := range slices.Chunk(uids, compareChunk) {
		copied := false
		if err := w.conn.move(ctx, chunk, home, &copied); err != nil {
			return err
		}
		w.log.Warn("filed mails are taken in again", "folder", from.folder, "mails", len(chunk))
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
// Another folder is open afterwards.
func (w *watcher) copiedBack(ctx context.Context, since time.Time) (map[likeness]bool, error) {
	back := make(map[likeness]bool)
	if w.conn.caps.Has(imap.CapMove) {
		return back, nil
	}
	if _, err := w.conn.open(ctx, true); err != nil {
		return nil, err
	}
	uids, err := w.conn.arrivedSince(ctx, "list the folder", since)
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

// arrivedSince lists the mails in the folder at hand that arrived since about then,
// but for originals that were filed and had to stay.
func (c *conn) arrivedSince(ctx context.Context, what string, since time.Time) ([]uint32, error) {
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
	err = c.doSized(ctx, "look at filed mails", c.cfg.Command, budget, func(context.Context) error {
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
