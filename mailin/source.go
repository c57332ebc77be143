package mailin

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/emersion/go-imap/v2"
)

// trouble is what went wrong with one mail: when it is due again, and how it
// is to be treated then.
type trouble struct {
	next   time.Time // not before
	wait   time.Duration
	fails  int
	alone  bool   // fetch and file it by itself: it may be what spoiled a batch
	size   int64  // larger than announced, as it turned out
	copied Folder // lies there already; only the original is still in the way
	filing string // why it cannot be filed, in the server's words
}

// Waits before a mail that made trouble is tried again.
const (
	firstTrouble = 15 * time.Second
	lastTrouble  = 15 * time.Minute
)

// again sets when the mail is due again.
func (t *trouble) again() {
	t.fails++
	t.wait = min(max(2*t.wait, firstTrouble), lastTrouble)
	t.next = time.Now().Add(t.wait + rand.N(t.wait/4))
}

// with gives the trouble of a mail, to be added to.
func (s *Source) with(uid uint32) *trouble {
	t := s.trouble[uid]
	if t == nil {
		t = &trouble{}
		s.trouble[uid] = t
	}
	return t
}

// watcher is the work over one connection.
type watcher struct {
	*Source
	conn    *conn
	folders map[Folder]string // names on the server
	start   Start
	before  map[uint32]bool // mails that were there before the day from which mail is imported
	next    uint32          // the first UID not yet heard of
	done    map[uint32]bool // in the folder, and the Desk wants nothing of them
	open    map[uint32]bool // in the folder, and not yet filed
	sizes   map[uint32]meta // what is known of mails that are about to be fetched
	inexact int             // mails whose size the server had announced wrong
	polling bool            // no IDLE
	moved   []uint32        // out of the way, and the Desk could not be told yet

	progress bool // something was decided and filed
	told     Contact
}

// deskError is an error of the Desk: the connection is well.
type deskError struct {
	doing string
	err   error
}

func (e *deskError) Error() string { return e.doing + ": " + e.err.Error() }
func (e *deskError) Unwrap() error { return e.err }

func isDeskError(err error) bool {
	_, ok := errors.AsType[*deskError](err)
	return ok
}

func ofDesk(doing string, err error) error {
	if err == nil {
		return nil
	}
	return &deskError{doing, err}
}

// Waits after an error of the Desk: work goes on within 30 s of its recovery.
const (
	firstDeskWait = time.Second
	lastDeskWait  = 20 * time.Second
)

// watch connects and handles mail until the connection is lost or ctx ends.
// Progress says whether a mail was filed.
func (s *Source) watch(ctx context.Context, fresh bool) (progress bool, err error) {
	c, err := s.connect(ctx, fresh)
	if err != nil {
		return false, err
	}
	w := &watcher{
		Source: s, conn: c,
		done: make(map[uint32]bool), open: make(map[uint32]bool), sizes: make(map[uint32]meta),
		polling: !c.caps.Has(imap.CapIdle),
	}
	defer func() {
		if ctx.Err() != nil {
			bye, cancel := outlive(ctx, 2*time.Second)
			defer cancel()
			c.logout(bye)
		}
		c.close()
	}()
	if err := w.prepare(ctx); err != nil {
		return false, err
	}
	err = w.loop(ctx)
	return w.progress, err
}

// prepare opens the folder and makes the ones that mail is filed to.
func (w *watcher) prepare(ctx context.Context) error {
	if err := w.conn.namespace(ctx); err != nil {
		return err
	}
	w.folders = make(map[Folder]string)
	for f, name := range map[Folder]string{Done: w.cfg.Done, Quarantine: w.cfg.Quarantine} {
		have, err := w.conn.ensure(ctx, name)
		if err != nil && refusal(err) == nil {
			return err
		}
		if err != nil { // mail is taken all the same; filing it tries again
			w.log.Warn("folder cannot be made", "folder", have, "err", err)
		}
		w.folders[f] = have
	}
	data, err := w.conn.open(ctx, false)
	if err != nil {
		return err
	}
	box := Box{Mailbox: w.mailbox(), Validity: data.UIDValidity}
	if box != w.box || box.Validity == 0 {
		// A UID may mean another mail now. Of what is known, only how careful to
		// be is kept: without it, a mail that costs the connection always would.
		for uid, t := range w.trouble {
			w.trouble[uid] = &trouble{next: t.next, wait: t.wait, fails: t.fails, alone: t.alone}
		}
	}
	w.box = box
	w.next = uint32(data.UIDNext)
	if w.next == 0 { // allowed by RFC 3501, section 7.1: ask the folder
		uids, err := w.conn.search(ctx, "look for the newest mail", &imap.SearchCriteria{})
		if err != nil {
			return err
		}
		w.next = 1
		if len(uids) > 0 {
			w.next = uids[len(uids)-1] + 1
		}
	}
	w.log.Info("connected", "server", w.cfg.Server, "folder", w.cfg.Folder, "mails", data.NumMessages,
		"idle", !w.polling, "move", w.conn.caps.Has(imap.CapMove), "uidvalidity", w.box.Validity)
	return nil
}

// loop looks for mail and waits for news, in turns.
func (w *watcher) loop(ctx context.Context) error {
	var (
		full     time.Time // when the whole folder was listed last
		news     bool      // the server said that there is some
		deskWait = firstDeskWait
		barren   int // looks in a row that news led to and that found nothing
	)
	for ctx.Err() == nil {
		whole := full.IsZero() || time.Since(full) >= w.cfg.FullSearch
		compared, err := w.reconcile(ctx)
		whole = whole || compared // what was brought back is looked for at once
		found := false
		if err == nil {
			if !w.takes {
				w.takes = true
				w.desk.Compared(w.box)
			}
			if found, err = w.look(ctx, whole); isDeskError(err) {
				w.compared.doubt() // its database may be another one when it is back
			}
		}
		if de, ok := errors.AsType[*deskError](err); ok && ctx.Err() == nil {
			wait := deskWait/2 + rand.N(deskWait/2)
			deskWait = min(2*deskWait, lastDeskWait)
			full = time.Time{} // what was in hand must be found again
			w.log.Warn("the desk cannot take mail", "err", de, "again", wait.Round(time.Millisecond))
			w.tell(ctx, Contact{Err: clean(de.Error()), Retry: time.Now().Add(wait)})
			if !sleep(ctx, wait) {
				return ctx.Err()
			}
			continue
		}
		if err != nil {
			return err
		}
		if whole {
			full = time.Now()
		}
		deskWait = firstDeskWait
		// A server that cries wolf must not keep us busy.
		if barren++; !news || found {
			barren = 0
		}
		if barren > 3 && !sleep(ctx, min(time.Duration(barren-3)*200*time.Millisecond, 5*time.Second)) {
			return ctx.Err()
		}
		until := full.Add(w.cfg.FullSearch)
		if soon := time.Now().Add(recheck); (whole || found) && soon.Before(until) {
			until = soon
		}
		if news, err = w.wait(ctx, until); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// recheck is how soon another look follows one that was long or found
// something: some servers do not tell of mail that came just before IDLE.
const recheck = 2 * time.Second

// wait returns when there may be something to do, at the latest then. News says that it returns
// because the server said so.
func (w *watcher) wait(ctx context.Context, until time.Time) (news bool, err error) {
	for uid := range w.open {
		if t := w.trouble[uid]; t != nil && !t.next.IsZero() && t.next.Before(until) {
			until = t.next
		}
	}
	left := max(time.Until(until), 0)
	if w.polling {
		if w.rest(ctx, min(left, w.cfg.Poll), nil, w.conn.client.Closed()); ctx.Err() != nil {
			return false, ctx.Err()
		}
		return false, w.conn.noop(ctx)
	}
	offered, err := w.conn.idle(ctx, func() {
		news = w.rest(ctx, min(left, w.cfg.Idle), w.conn.news, w.conn.client.Closed())
	})
	if err == nil && !offered {
		w.polling = true
	}
	return news, err
}

// rest passes the time until d is over, news come, the connection is lost or
// ctx ends. It lets the Desk know that all is well.
func (w *watcher) rest(ctx context.Context, d time.Duration, news, lost <-chan struct{}) bool {
	end := time.NewTimer(d)
	defer end.Stop()
	for {
		w.tell(ctx, Contact{OK: true})
		beat := time.NewTimer(tellEvery - time.Since(w.told.At))
		select {
		case <-beat.C:
			continue
		case <-news:
			beat.Stop()
			return true
		case <-end.C:
		case <-lost:
		case <-ctx.Done():
		}
		beat.Stop()
		return false
	}
}

// How often the Desk hears of a connection that holds, and of the mere number
// of mails that wait.
const (
	tellEvery  = 50 * time.Second
	countEvery = 5 * time.Second
)

// tell lets the Desk know how things stand, when that is news or some time ago.
// A connection that holds is not all well while mails cannot be filed or read.
func (w *watcher) tell(ctx context.Context, c Contact) {
	c.Mailbox, c.At, c.Idle, c.Waiting = w.box.Mailbox, time.Now(), !w.polling, len(w.open)
	w.waiting = c.Waiting
	if c.OK {
		c.Err = w.problem()
		c.OK = c.Err == ""
	}
	last, since := w.told, c.At.Sub(w.told.At)
	same := c.OK == last.OK && c.Idle == last.Idle && c.Err == last.Err && c.Retry.Equal(last.Retry)
	if same && (since < countEvery || since < tellEvery && c.Waiting == last.Waiting) {
		return
	}
	w.told = c
	w.desk.Contact(ctx, c)
}

// problem says, for people, which mails are stuck.
func (w *watcher) problem() string {
	var filing, reading int
	var why string
	for _, uid := range slices.Sorted(maps.Keys(w.open)) {
		switch t := w.trouble[uid]; {
		case t == nil:
		case t.filing != "":
			filing++
			why = t.filing
		case t.fails > 1:
			reading++
		}
	}
	switch {
	case filing > 0:
		return fmt.Sprintf("%d done but not filed: %s", filing, why)
	case reading > 0:
		return fmt.Sprintf("%d in the folder that the server does not hand over", reading)
	}
	return ""
}

// look handles what is in the folder: all of it, or what is new and what is
// due again. Found says that there was something.
func (w *watcher) look(ctx context.Context, whole bool) (found bool, err error) {
	w.tell(ctx, Contact{OK: true})
	if err := w.tellFiled(ctx, nil); err != nil {
		return false, err
	}
	var uids []uint32
	if whole {
		uids, err = w.all(ctx)
	} else {
		uids, err = w.fresh(ctx)
	}
	if err != nil {
		return false, err
	}
	now := time.Now()
	uids = slices.DeleteFunc(uids, func(uid uint32) bool {
		t := w.trouble[uid]
		return w.done[uid] || w.old(uid) && !w.open[uid] || t != nil && t.next.After(now)
	})
	for _, chunk := range w.order(uids) {
		due, err := w.desk.Pending(ctx, w.box, chunk)
		if err != nil {
			return true, ofDesk("ask what is to be done", err)
		}
		for _, uid := range chunk {
			w.done[uid] = true
			delete(w.open, uid)
		}
		for _, d := range due {
			delete(w.done, d.UID)
			w.open[d.UID] = true
		}
		if err := w.work(ctx, due); err != nil {
			return true, err
		}
	}
	return len(uids) > 0, nil
}

// chunkSize bounds how many UIDs stand in one command.
const chunkSize = 500

// order says which mails go together, and when: those that may cost the
// connection go by themselves after all others, and those that did go last.
func (w *watcher) order(uids []uint32) [][]uint32 {
	var sound, suspects, culprits []uint32
	for _, uid := range uids {
		switch t := w.trouble[uid]; {
		case t == nil || !t.alone && t.fails == 0:
			sound = append(sound, uid)
		case t.fails == 0:
			suspects = append(suspects, uid)
		default:
			culprits = append(culprits, uid)
		}
	}
	return slices.AppendSeq(slices.Collect(slices.Chunk(sound, chunkSize)), slices.Chunk(append(suspects, culprits...), 1))
}

// suspect remembers the mails at which the connection was lost. Which of
// several is to blame is found out one by one.
func (w *watcher) suspect(uids []uint32) {
	for _, uid := range uids {
		t := w.with(uid)
		t.alone = true
		switch {
		case len(uids) > 1:
		case t.fails == 0:
			t.fails++ // the network's fault, for all we know
		default:
			t.again()
		}
	}
}

// all lists the whole folder, as far as it concerns us (F11: not UNSEEN, and no
// window of dates).
func (w *watcher) all(ctx context.Context) ([]uint32, error) {
	if err := w.begin(ctx); err != nil {
		return nil, err
	}
	if err := w.datedBefore(ctx); err != nil {
		return nil, err
	}
	held, err := w.desk.Open(ctx, w.box)
	if err != nil {
		return nil, ofDesk("ask what is open", err)
	}
	if err := w.conn.noop(ctx); err != nil {
		return nil, err
	}
	criteria := &imap.SearchCriteria{}
	if w.conn.keeps() {
		criteria.NotFlag = []imap.Flag{filedMark}
	}
	from := uint32(1)
	if importAll, day, _ := w.cfg.importFrom(); w.sameBox() && !importAll && day.IsZero() {
		if from = w.start.UIDNext; len(held) > 0 {
			from = min(from, slices.Min(held))
		}
		criteria.UID = []imap.UIDSet{{{Start: imap.UID(from), Stop: 0}}}
	}
	uids, err := w.conn.search(ctx, "list the folder", criteria)
	if err != nil {
		return nil, err
	}
	present := make(map[uint32]bool, len(uids))
	for _, uid := range uids {
		present[uid] = true
	}
	missing := slices.DeleteFunc(slices.Clone(held), func(uid uint32) bool { return present[uid] })
	for _, uid := range held { // even those that the settings now leave alone
		w.open[uid] = true
		delete(w.done, uid)
	}
	if err := w.vanished(ctx, missing); err != nil {
		return nil, err
	}
	for _, uid := range missing {
		if w.open[uid] { // FETCH has it all the same
			uids = append(uids, uid)
			present[uid] = true
		}
	}
	slices.Sort(uids)
	absent := func(uid uint32) bool { return !present[uid] }
	forget(w.done, absent)
	forget(w.open, absent)
	forget(w.trouble, absent)
	forget(w.sizes, absent)
	if len(uids) > 0 {
		w.next = max(w.next, uids[len(uids)-1]+1)
	}
	return uids, nil
}

// begin asks, once, from which point the mailbox is read.
func (w *watcher) begin(ctx context.Context) error {
	if !w.start.At.IsZero() {
		return nil
	}
	start, err := w.desk.Start(ctx, w.box, Start{At: time.Now(), Validity: w.box.Validity, UIDNext: w.next})
	if err != nil {
		return ofDesk("ask where to begin", err)
	}
	w.start = start
	return nil
}

func forget[V any](m map[uint32]V, which func(uint32) bool) {
	maps.DeleteFunc(m, func(uid uint32, _ V) bool { return which(uid) })
}

// sameBox says whether UIDs still mean what they meant at the first start.
func (w *watcher) sameBox() bool {
	return w.box.Validity != 0 && w.start.Validity == w.box.Validity && w.start.UIDNext != 0
}

// datedBefore lists, once, the mails that only their date tells to be old.
// What arrives later is new, whatever its date.
func (w *watcher) datedBefore(ctx context.Context) error {
	importAll, day, _ := w.cfg.importFrom()
	if w.before != nil || importAll || w.sameBox() && day.IsZero() {
		return nil
	}
	if day.IsZero() {
		// UIDs were dealt anew. The day before counts as new: clocks differ,
		// and the Desk knows what it has seen.
		day = w.start.At.Add(-24 * time.Hour)
	}
	uids, err := w.conn.search(ctx, "look for old mail", &imap.SearchCriteria{Before: day})
	if err != nil {
		return err
	}
	w.before = make(map[uint32]bool, len(uids))
	for _, uid := range uids {
		w.before[uid] = true
	}
	return nil
}

// old says whether the mail was there before the point from which mail is
// taken (F18).
func (w *watcher) old(uid uint32) bool {
	importAll, day, _ := w.cfg.importFrom()
	switch {
	case importAll || w.sameBox() && uid >= w.start.UIDNext:
		return false
	case w.sameBox() && day.IsZero():
		return true
	}
	return w.before[uid]
}

// fresh lists what came since, and what made trouble and is due again. The
// sizes of the new mails come along, which spares a round trip.
func (w *watcher) fresh(ctx context.Context) ([]uint32, error) {
	select { // whatever was news until now is about to be seen
	case <-w.conn.news:
	default:
	}
	// Not n:*, which gives the last mail even when it is older than n: a date in
	// it that the library cannot read would cost each connection.
	list, err := w.conn.metas(ctx, imap.UIDSet{{Start: imap.UID(w.next), Stop: math.MaxUint32}}, true)
	if refusal(err) != nil { // instead of nothing
		return w.all(ctx)
	}
	if err != nil {
		return nil, err
	}
	var uids []uint32
	for _, m := range list {
		if m.uid < w.next || m.filed {
			continue
		}
		uids = append(uids, m.uid)
		w.sizes[m.uid] = m
	}
	if len(uids) > 0 {
		w.next = uids[len(uids)-1] + 1
	}
	for uid := range w.open {
		uids = append(uids, uid)
	}
	slices.Sort(uids)
	return slices.Compact(uids), nil
}
