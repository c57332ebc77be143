package mailin

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/emersion/go-imap/v2"
)

// work files what is decided, and reads and delivers the rest.
func (w *watcher) work(ctx context.Context, due []Due) error {
	decided := make(map[Folder][]uint32)
	var read []Due
	for _, d := range due {
		if d.File != Undecided {
			decided[d.File] = append(decided[d.File], d.UID)
		} else {
			read = append(read, d)
		}
	}
	for _, f := range slices.Sorted(maps.Keys(decided)) {
		if err := w.file(ctx, f, decided[f]); err != nil {
			return err
		}
	}
	mails, err := w.measure(ctx, read)
	if err != nil {
		return err
	}
	for len(mails) > 0 {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		n := w.batch(mails)
		if err := w.take(ctx, mails[:n]); err != nil {
			return err
		}
		mails = mails[n:]
		w.tell(ctx, Contact{OK: true})
	}
	return nil
}

// job is a mail to be read.
type job struct {
	meta
	alone bool
}

// measure finds out the sizes of mails that are to be read.
func (w *watcher) measure(ctx context.Context, due []Due) ([]job, error) {
	var together, alone []uint32
	for _, d := range due {
		if _, known := w.sizes[d.UID]; known {
			continue
		}
		if t := w.trouble[d.UID]; t != nil && t.alone {
			alone = append(alone, d.UID)
		} else {
			together = append(together, d.UID)
		}
	}
	if err := w.ask(ctx, together); err != nil {
		return nil, err
	}
	for _, uid := range alone {
		if err := w.ask(ctx, []uint32{uid}); err != nil {
			return nil, err
		}
	}
	var jobs []job
	var missing []uint32
	for _, d := range due {
		m, ok := w.sizes[d.UID]
		if !ok {
			missing = append(missing, d.UID)
			continue
		}
		j := job{meta: m, alone: d.Alone}
		if t := w.trouble[d.UID]; t != nil {
			j.alone = j.alone || t.alone
			j.size = max(j.size, t.size)
		}
		jobs = append(jobs, j)
	}
	if len(missing) > 0 {
		if err := w.desk.Seen(ctx, w.box, missing); err != nil {
			return nil, ofDesk("record the attempt", err)
		}
	}
	return jobs, w.absent(ctx, missing)
}

// ask learns the sizes of mails. When that costs the connection, the mail to
// blame is found by asking for each by itself, and more modestly (F9).
func (w *watcher) ask(ctx context.Context, uids []uint32) error {
	if len(uids) == 0 {
		return nil
	}
	first := w.trouble[uids[0]]
	var set imap.UIDSet
	set.AddNum(uidsOf(uids)...)
	list, err := w.conn.metas(ctx, set, len(uids) > 1 || first == nil || first.fails == 0)
	for _, m := range list {
		if err == nil && set.Contains(imap.UID(m.uid)) {
			w.sizes[m.uid] = m
		}
	}
	if err == nil || refusal(err) != nil && len(uids) == 1 {
		return nil
	}
	if ctx.Err() != nil {
		return err
	}
	if w.suspect(uids); refusal(err) == nil {
		return err
	}
	for _, uid := range uids {
		if err := w.ask(ctx, []uint32{uid}); err != nil {
			return err
		}
	}
	return nil
}

// batch says how many of these mails go together.
func (w *watcher) batch(mails []job) int {
	var n int
	var size int64
	for ; n < len(mails) && n < w.cfg.BatchMails; n++ {
		m := mails[n]
		lonely := m.alone || m.size > w.cfg.MaxMail
		if size += m.size; n > 0 && (lonely || size > w.cfg.BatchBytes) {
			break
		}
		if lonely {
			return 1
		}
	}
	return n
}

// take reads a batch of mails, has the Desk decide on them, and files them.
func (w *watcher) take(ctx context.Context, mails []job) error {
	uids := make([]uint32, len(mails))
	metas := make([]meta, len(mails))
	for i, m := range mails {
		uids[i], metas[i] = m.uid, m.meta
	}
	if err := w.desk.Seen(ctx, w.box, uids); err != nil {
		return ofDesk("record the attempt", err)
	}
	oversize := metas[0].size > w.cfg.MaxMail
	got, err := w.conn.bodies(ctx, metas, oversize)
	if err != nil {
		return w.unread(ctx, mails, oversize, err)
	}
	var batch []Fetched
	var missing []uint32
	for i, m := range metas {
		b, ok := got[m.uid]
		if ok && !oversize {
			if ok, err = w.whole(ctx, m, b); err != nil {
				return w.unread(ctx, mails[i:i+1], false, err)
			}
		}
		delete(w.sizes, m.uid)
		if !ok || oversize && len(b.raw) == 0 {
			missing = append(missing, m.uid)
			continue
		}
		batch = append(batch, fetched(w.box, m, b, oversize))
	}
	if err := w.absent(ctx, missing); err != nil {
		return err
	}
	if len(batch) == 0 || ctx.Err() != nil {
		return ctx.Err()
	}
	return w.deliver(ctx, batch)
}

// unread handles a FETCH that went wrong. Whatever came of it is worth
// nothing (F8). The mail to blame must not hold up the others (F9).
func (w *watcher) unread(ctx context.Context, mails []job, header bool, err error) error {
	if ctx.Err() != nil {
		return err
	}
	no := refusal(err)
	if big, ok := errors.AsType[*tooLarge](err); ok && w.open[big.uid] && !header {
		w.suspect([]uint32{big.uid})
		w.with(big.uid).size = big.size
		return err
	}
	if len(mails) > 1 {
		for _, m := range mails {
			w.with(m.uid).alone = true
		}
		if no == nil {
			return err
		}
		for i := range mails {
			if err := w.take(ctx, mails[i:i+1]); err != nil {
				return err
			}
		}
		return nil
	}
	t := w.with(mails[0].uid)
	if t.alone = true; no == nil && t.fails == 0 {
		t.fails++ // the network's fault, for all we know
		return err
	}
	t.again()
	w.log.Warn("mail cannot be fetched", "uid", mails[0].uid, "attempt", t.fails, "err", err)
	if no == nil {
		return err
	}
	return nil
}

// whole says whether a body is the whole mail. Its literal is complete, but
// the size that the server gives for the mail may say otherwise. Some servers
// only estimate that size (Exchange): two fetches that give the same are
// believed, unless they give nothing.
func (w *watcher) whole(ctx context.Context, m meta, b body) (bool, error) {
	size := m.size
	if b.announced >= 0 {
		size = b.announced
	}
	if size == int64(len(b.raw)) {
		return true, nil
	}
	if len(b.raw) == 0 {
		return false, nil
	}
	if w.inexact >= 3 {
		return true, nil
	}
	second, err := w.conn.bodies(ctx, []meta{m}, false)
	if err != nil {
		if refusal(err) != nil {
			return false, nil
		}
		return false, err
	}
	if !bytes.Equal(second[m.uid].raw, b.raw) {
		return false, nil
	}
	w.inexact++
	w.log.Info("the server gives a wrong size for a mail", "uid", m.uid, "announced", size, "bytes", len(b.raw))
	return true, nil
}

// absent handles mails that the server should have given and did not. Those
// that are no longer there are gone (F16); the others stay pending (F9).
func (w *watcher) absent(ctx context.Context, uids []uint32) error {
	if len(uids) == 0 {
		return nil
	}
	if err := w.seek(ctx, uids); err != nil {
		return err
	}
	for _, uid := range uids {
		if w.open[uid] {
			t := w.with(uid)
			t.alone = true
			t.again()
			w.log.Warn("the server gave no body for a mail", "uid", uid, "attempt", t.fails)
		}
	}
	return nil
}

// seek looks whether mails are still there, and reports those that are not.
// What remains open after it is to be tried again. A server that refuses to
// look is asked for the whole folder in time.
func (w *watcher) seek(ctx context.Context, uids []uint32) error {
	if err := w.conn.noop(ctx); err != nil {
		return err
	}
	var set imap.UIDSet
	set.AddNum(uidsOf(uids)...)
	there, err := w.conn.search(ctx, "look whether mails are still there", &imap.SearchCriteria{UID: []imap.UIDSet{set}})
	if refusal(err) != nil {
		return nil
	}
	if err != nil {
		return err
	}
	return w.vanished(ctx, slices.DeleteFunc(slices.Clone(uids), func(uid uint32) bool { return slices.Contains(there, uid) }))
}

// vanished reports mails that SEARCH no longer lists, once FETCH agrees: by
// giving nothing, or by refusing to. Mails that only bear our keyword were
// filed.
func (w *watcher) vanished(ctx context.Context, uids []uint32) error {
	for chunk := range slices.Chunk(uids, chunkSize) {
		var set imap.UIDSet
		set.AddNum(uidsOf(chunk)...)
		list, err := w.conn.metas(ctx, set, false)
		no := refusal(err)
		if err != nil && no == nil {
			return err
		}
		if no != nil && len(chunk) > 1 { // one of them may have spoiled it for all
			for _, uid := range chunk {
				if err := w.vanished(ctx, []uint32{uid}); err != nil {
					return err
				}
			}
			continue
		}
		if no != nil && !meansAbsent(no) {
			continue
		}
		var filed []uint32
		gone := slices.Clone(chunk)
		for _, m := range list {
			gone = slices.DeleteFunc(gone, func(uid uint32) bool { return uid == m.uid })
			if m.filed && slices.Contains(chunk, m.uid) {
				filed = append(filed, m.uid)
			}
		}
		if err := w.tellFiled(ctx, filed); err != nil {
			return err
		}
		if len(gone) == 0 {
			continue
		}
		if err := w.desk.Gone(ctx, w.box, gone); err != nil {
			return ofDesk("record what vanished", err)
		}
		w.log.Info("mails are no longer there", "uids", gone)
		w.drop(gone)
	}
	return nil
}

// meansAbsent says whether the refusal of a FETCH is about a mail that is not
// there. A server in trouble says so by its code (RFC 5530, section 3).
func meansAbsent(no *imap.Error) bool {
	return no.Code == "" || no.Code == imap.ResponseCodeNonExistent || no.Code == "EXPUNGEISSUED"
}

// drop forgets mails that are no longer to be worked on.
func (w *watcher) drop(uids []uint32) {
	for _, uid := range uids {
		delete(w.open, uid)
		delete(w.trouble, uid)
		delete(w.sizes, uid)
		w.done[uid] = true
	}
}

// deliver has the Desk decide on a batch, and files it. Begun, it is finished
// even when ctx ends, within a time of grace.
func (w *watcher) deliver(ctx context.Context, batch []Fetched) error {
	ctx, cancel := outlive(ctx, grace)
	defer cancel()
	verdicts, err := w.desk.Deliver(ctx, batch)
	if err != nil {
		return ofDesk("decide on mails", err)
	}
	decided := make(map[Folder][]uint32)
	for _, f := range batch {
		i := slices.IndexFunc(verdicts, func(v Verdict) bool { return v.UID == f.UID })
		if i < 0 || verdicts[i].File == Undecided {
			w.with(f.UID).again()
			continue
		}
		// What made it hard to fetch is no reason to be slow in filing it.
		delete(w.trouble, f.UID)
		decided[verdicts[i].File] = append(decided[verdicts[i].File], f.UID)
	}
	for _, f := range slices.Sorted(maps.Keys(decided)) {
		if err := w.file(ctx, f, decided[f]); err != nil {
			return err
		}
	}
	return nil
}

// file puts originals where they belong. What the server refuses is tried
// again later, mail by mail, and holds up nothing (F14).
func (w *watcher) file(ctx context.Context, f Folder, uids []uint32) error {
	if f == Stay {
		return w.tellFiled(ctx, uids)
	}
	var together []uint32
	var alone []uint32
	for _, uid := range uids {
		if t := w.trouble[uid]; t != nil && (t.alone || t.filing != "" || t.copied != Undecided) {
			alone = append(alone, uid)
		} else {
			together = append(together, uid)
		}
	}
	for chunk := range slices.Chunk(together, chunkSize) {
		if err := w.fileChunk(ctx, f, chunk); err != nil {
			return err
		}
	}
	for _, uid := range alone {
		if err := w.fileChunk(ctx, f, []uint32{uid}); err != nil {
			return err
		}
	}
	return nil
}

func (w *watcher) fileChunk(ctx context.Context, f Folder, uids []uint32) error {
	name, known := w.folders[f]
	if !known {
		return ofDesk("file mails", fmt.Errorf("no folder is known as %q", f))
	}
	copied := len(uids) == 1 && w.trouble[uids[0]] != nil && w.trouble[uids[0]].copied == f
	err := w.conn.move(ctx, uids, name, &copied)
	if refusal(err) != nil && !copied {
		if made, ferr := w.remake(ctx, f); ferr != nil {
			return ferr
		} else if made {
			err = w.conn.move(ctx, uids, w.folders[f], &copied)
		}
	}
	if err == nil {
		return w.tellFiled(ctx, uids)
	}
	if copied { // remembered even when the connection is lost: a second copy helps nobody
		for _, uid := range uids {
			w.with(uid).copied = f
		}
	}
	no := refusal(err)
	if no == nil {
		if ctx.Err() == nil {
			w.suspect(uids)
		}
		if len(uids) == 1 {
			w.with(uids[0]).filing = clean(err.Error())
		}
		return err
	}
	return w.unfiled(ctx, f, uids, clean(no.Text))
}

// remake makes a folder that somebody has deleted. Made says that there is
// hope now.
func (w *watcher) remake(ctx context.Context, f Folder) (made bool, err error) {
	found, err := w.conn.find(ctx, []string{w.folders[f]})
	if err != nil || found != "" {
		return false, err
	}
	name, err := w.conn.ensure(ctx, map[Folder]string{Done: w.cfg.Done, Quarantine: w.cfg.Quarantine}[f])
	if err != nil {
		if refusal(err) != nil {
			err = nil
		}
		return false, err
	}
	w.folders[f] = name
	return true, nil
}

// maxRefusals is how many single mails are tried in a row after a set was
// refused; the rest waits for its turn.
const maxRefusals = 5

// unfiled handles mails that the server refused to file: some may be gone,
// and one may have spoiled it for all.
func (w *watcher) unfiled(ctx context.Context, f Folder, uids []uint32, why string) error {
	if err := w.seek(ctx, uids); err != nil {
		return err
	}
	if len(uids) == 1 {
		if w.open[uids[0]] {
			t := w.with(uids[0])
			t.filing = why
			t.again()
			w.log.Warn("mail is done but cannot be filed", "uid", uids[0], "attempt", t.fails, "folder", w.folders[f], "reason", why)
		}
		return nil
	}
	refused := 0
	for _, uid := range uids {
		if !w.open[uid] {
			continue
		}
		if refused >= maxRefusals {
			t := w.with(uid)
			t.filing = why
			t.again()
			continue
		}
		if err := w.fileChunk(ctx, f, []uint32{uid}); err != nil {
			return err
		}
		if w.open[uid] {
			refused++
		}
	}
	return nil
}

// tellFiled lets the Desk know what is out of the way. What it cannot take now
// is told again.
func (w *watcher) tellFiled(ctx context.Context, uids []uint32) error {
	w.moved = append(w.moved, uids...)
	if len(w.moved) == 0 {
		return nil
	}
	if err := w.desk.Filed(ctx, w.box, w.moved); err != nil {
		return ofDesk("record what was filed", err)
	}
	w.drop(w.moved)
	w.moved = w.moved[:0]
	w.progress = true
	return nil
}
