// Package desk is the path of a message: taken from a mailbox, read, decided
// on, acted on, answered. It joins the parts that know nothing of each other:
// mailin brings the bytes, triage says what they mean, store keeps what
// follows, mailout writes and sends the answers.
//
// The order of work is fixed. An attempt is counted before it is made; all
// that follows from a batch is one transaction; nothing is changed on the mail
// server before its commit; no network call is made inside it.
package desk

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"time"

	"deskd/mailin"
	"deskd/mailout"
	"deskd/store"
	"deskd/triage"
)

// Options are what a Desk works with.
type Options struct {
	Store       *store.Store
	Rules       *triage.Rules
	Mailer      *mailout.Mailer
	Host        string // domain of our Message-IDs, as the Mailer has it
	Limits      mailin.Limits
	DKIM        *mailin.Verifier // looks into signatures; nil: nobody does
	Answers     AnswerLimits
	NoticeBytes int64            // attachments go along with a notice up to this many bytes in all; 0 means 5 MiB
	CloseAfter  time.Duration    // resolved tickets close by themselves after that; 0 means never
	LeaseTTL    time.Duration    // how long a mailbox stays ours without a word; 0 means 45 s
	Senders     int              // mails sent side by side; 0 means 2
	Now         func() time.Time // nil means time.Now
	Log         *slog.Logger
}

// AnswerLimits bound the answers that no person wrote (T17). Zero fields mean
// the defaults named there.
type AnswerLimits struct {
	Hour     int           // to one address within an hour; 10
	Day      int           // to one address within a day; 30
	Unproved time.Duration // least pause between two to an address that nobody vouched for; 5 min
	Overall  int           // to all addresses within an hour; 200
}

// Desk handles mail. Its methods may be called by several mailbox loops at
// once.
type Desk struct {
	o       Options
	store   *store.Store
	rules   *triage.Rules
	log     *slog.Logger
	now     func() time.Time
	parse   func(raw []byte, l mailin.Limits) triage.Message
	due     chan struct{} // a word that the outbox may have something to send
	signIns chan SignInMail

	comparing comparing // mailboxes that begin

	claiming sync.Mutex     // held while a mail is claimed; guards the next two
	inHand   map[int64]bool // rows of the outbox that a sender has
	doubtful bool           // a claim has failed, and may have taken effect

	mu       sync.Mutex
	forgiven map[store.MailboxUID]bool   // attempts that the world ended: not the mail's fault (F19)
	contacts map[string]contact          // what was last written of each mailbox
	leaving  map[string]time.Time        // when the last mail to itself left, by mailbox
	named    map[store.MailboxUID]uint32 // numbers made for UIDs without a UIDVALIDITY
	left     map[missed]bool             // filed mails that ticket numbers were left out for
}

// New makes a desk.
func New(o Options) *Desk {
	if o.NoticeBytes == 0 {
		o.NoticeBytes = 5 << 20
	}
	if o.LeaseTTL == 0 {
		o.LeaseTTL = 45 * time.Second
	}
	if o.Senders == 0 {
		o.Senders = 2
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	a := &o.Answers
	if a.Hour == 0 {
		a.Hour = 10
	}
	if a.Day == 0 {
		a.Day = 30
	}
	if a.Unproved == 0 {
		a.Unproved = 5 * time.Minute
	}
	if a.Overall == 0 {
		a.Overall = 200
	}
	return &Desk{
		o: o, store: o.Store, rules: o.Rules, log: o.Log, now: o.Now, parse: mailin.Parse,
		due: make(chan struct{}, 1), signIns: make(chan SignInMail, mostSignIns), forgiven: map[store.MailboxUID]bool{}, contacts: map[string]contact{}, leaving: map[string]time.Time{}, inHand: map[int64]bool{},
	}
}

// Most failures of one mail before it is set aside (F19).
const maxFailures = 3

// parseTime is the longest that reading one mail may take (T28).
const parseTime = 5 * time.Second

// mail is one mail of a batch on its way through Deliver.
type mail struct {
	mailin.Fetched
	id     store.MailboxUID
	row    store.Intake
	msg    triage.Message
	leads  triage.Leads
	fault  error // what this mail did wrong; the others go on
	file   mailin.Folder
	setOff bool  // failed too often: goes to quarantine unread
	again  bool  // taken out of quarantine: Retry
	told   []any // what the log says of the decision, once it is kept

	left time.Time // when it left the desk, if it is one to ourselves that came back
}

// Deliver decides on a batch and keeps everything that follows, in one
// transaction. It implements mailin.Desk: a nil error means that the mails
// with a verdict are safe.
func (d *Desk) Deliver(ctx context.Context, batch []mailin.Fetched) ([]mailin.Verdict, error) {
	if err := d.comparing.wait(ctx); err != nil {
		return nil, err
	}
	mails := make([]*mail, len(batch))
	for i, f := range batch {
		id, err := d.name(ctx, f)
		if err != nil {
			return nil, err
		}
		mails[i] = &mail{Fetched: f, id: id}
	}
	todo := mails
	for len(todo) > 0 {
		if err := d.attempt(ctx, todo); err != nil {
			d.forgive(ctx, todo)
			return nil, err
		}
		// What failed by its own fault is tried again at once, by itself, until
		// it is done or has failed often enough to be set aside.
		var again []*mail
		for _, m := range todo {
			if m.fault != nil && !m.setOff {
				again = append(again, m)
			}
		}
		for _, m := range again {
			m.fault = nil
			if err := d.attempt(ctx, []*mail{m}); err != nil {
				d.forgive(ctx, []*mail{m})
				return nil, err
			}
		}
		todo = again[:0:0]
		for _, m := range again {
			if m.fault != nil && !m.setOff { // what cannot even be set aside stays where it is
				todo = append(todo, m)
			}
		}
	}
	d.Wake()
	verdicts := make([]mailin.Verdict, 0, len(mails))
	for _, m := range mails {
		if m.file != mailin.Undecided {
			verdicts = append(verdicts, mailin.Verdict{UID: m.UID, File: m.file})
		}
	}
	return verdicts, nil
}

// attempt handles mails once: counts the attempt, reads them, decides on all
// of them in one transaction. Faults of single mails are left in them and
// counted; the error is the world's.
func (d *Desk) attempt(ctx context.Context, mails []*mail) error {
	ids := make([]store.MailboxUID, len(mails))
	for i, m := range mails {
		ids[i] = m.id
	}
	rows, err := d.store.BeginHandling(ctx, ids, len(mails) == 1, d.isForgiven(ids))
	if err != nil {
		return fmt.Errorf("begin handling: %w", err)
	}
	byID := make(map[store.MailboxUID]store.Intake, len(rows))
	for _, r := range rows {
		byID[store.MailboxUID{Mailbox: r.Mailbox, Validity: r.Validity, UID: r.UID}] = r
	}
	var todo []*mail
	for _, m := range mails {
		m.row = byID[m.id]
		if m.row.Fate != "" { // decided by somebody else meanwhile
			m.file = folderOf(m.row)
			continue
		}
		if m.setOff = m.row.Failures >= maxFailures; m.setOff {
			m.msg = triage.Message{} // what an earlier attempt read is part of the fault
		}
		todo = append(todo, m)
	}
	d.read(ctx, todo)
	d.vouch(ctx, todo)
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := d.decideAll(ctx, todo); err != nil {
		return err
	}
	d.unforgive(ids)
	for _, m := range todo {
		if m.fault == nil {
			continue
		}
		d.log.Warn("mail failed", "intake", m.row.ID, "uid", m.UID, "attempt", m.row.Failures+1, "err", brief(m.fault.Error()))
		if err := d.store.EndHandling(ctx, []int64{m.row.ID}, m.fault.Error()); err != nil {
			return fmt.Errorf("count a failure: %w", err)
		}
	}
	return nil
}

// read parses the mails on all cores. A panic or a mail that takes too long
// is that mail's fault (F40, T28).
func (d *Desk) read(ctx context.Context, mails []*mail) {
	slots := make(chan struct{}, runtime.GOMAXPROCS(0))
	var wg sync.WaitGroup
	for _, m := range mails {
		if m.setOff {
			continue
		}
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			m.msg, m.fault = d.readOne(ctx, m.Fetched)
		})
	}
	wg.Wait()
}

func (d *Desk) readOne(ctx context.Context, f mailin.Fetched) (triage.Message, error) {
	type result struct {
		msg triage.Message
		err error
	}
	done := make(chan result, 1)
	go func() {
		var r result
		defer func() { done <- r }()
		defer catch(d.log, "read a mail", &r.err)
		if f.Oversize {
			r.msg = mailin.ParseHeader(f.Raw, f.Size, d.o.Limits)
			return
		}
		r.msg = d.parse(f.Raw, d.o.Limits)
	}()
	timer := time.NewTimer(parseTime)
	defer timer.Stop()
	select {
	case r := <-done:
		return r.msg, r.err
	case <-timer.C:
		return triage.Message{}, fmt.Errorf("reading took longer than %v", parseTime)
	case <-ctx.Done():
		return triage.Message{}, ctx.Err()
	}
}

// catch turns a panic into an error of the mail at hand. It logs where the
// panic came from, briefly, since a mail may bring it about several times
// (T36).
func catch(log *slog.Logger, doing string, err *error) {
	p := recover()
	if p == nil {
		return
	}
	var where strings.Builder
	callers := make([]uintptr, 32)
	frames := runtime.CallersFrames(callers[:runtime.Callers(2, callers)])
	for {
		f, more := frames.Next()
		if !strings.HasPrefix(f.Function, "runtime.") {
			fmt.Fprintf(&where, "%s:%d ", f.Function, f.Line)
		}
		if !more || where.Len() > maxLogged {
			break
		}
	}
	what := brief(fmt.Sprint(p))
	log.Error("panic", "reason", doing, "err", what, "stack", brief(where.String()))
	*err = fmt.Errorf("%s: panic: %s", doing, what)
}

// maxLogged bounds what one field of a log line takes from a mail (T36).
const maxLogged = 300

// brief is the beginning of a text.
func brief(s string) string {
	if len(s) <= maxLogged {
		return s
	}
	return strings.ToValidUTF8(s[:maxLogged], "") + "…"
}

// decideAll decides on all mails in one transaction. The quick way looks
// everything up at once and uses no savepoints; when a mail spoils it, all of
// it is rolled back and replayed one by one.
func (d *Desk) decideAll(ctx context.Context, mails []*mail) error {
	var good []*mail
	for _, m := range mails {
		if m.fault == nil {
			good = append(good, m)
		}
	}
	if len(good) == 0 {
		return nil
	}
	err := d.store.Write(ctx, func(tx *store.Tx) error {
		k, err := d.lookUp(tx, good)
		if err != nil {
			return err
		}
		for _, m := range good {
			if err := d.handle(tx, k, m); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		d.decided(ctx, good)
	}
	if err == nil || store.World(err) || ctx.Err() != nil {
		return err
	}
	if len(good) == 1 { // it was by itself already
		good[0].failed(err)
		return nil
	}
	d.log.Debug("batch replayed one by one", "err", brief(err.Error()))
	err = d.store.Write(ctx, func(tx *store.Tx) error {
		for _, m := range good {
			m.fault = nil
			err := tx.Try(func(tx *store.Tx) error {
				k, err := d.lookUp(tx, []*mail{m})
				if err != nil {
					return err
				}
				return d.handle(tx, k, m)
			})
			if err != nil {
				if store.World(err) || ctx.Err() != nil {
					return err
				}
				m.failed(err)
			}
		}
		return nil
	})
	if err == nil {
		d.decided(ctx, good)
	}
	return err
}

// decided writes the fates of mails that are kept now to the log, one line
// each and none of what was rolled back, and notes which came back to us.
func (d *Desk) decided(ctx context.Context, mails []*mail) {
	d.cameBack(ctx, mails)
	for _, m := range mails {
		switch {
		case m.file == mailin.Undecided:
		case m.setOff:
			d.log.Error("mail set aside", m.told...)
		default:
			d.log.Info("decided", m.told...)
		}
	}
}

// failed notes that nothing was decided on the mail, by its own fault. One
// that somebody else decided on meanwhile has none: its next sight files it.
func (m *mail) failed(err error) {
	m.file = mailin.Undecided
	if !errors.As(err, new(*store.AlreadyDecided)) {
		m.fault = err
	}
}

// forgive takes back that an attempt at these was begun, since it ended for a
// reason that is not theirs (F19): in the store, where another daemon or a
// restarted one looks, and in memory for as long as the store is away.
func (d *Desk) forgive(ctx context.Context, mails []*mail) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	var rows []int64
	for _, m := range mails {
		if m.row.ID != 0 && m.row.Fate == "" {
			rows = append(rows, m.row.ID)
		}
	}
	err := d.store.EndHandling(ctx, rows, "")
	if err == nil && len(rows) == len(mails) {
		return
	}
	d.log.Debug("attempt not taken back yet", "err", err)
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, m := range mails {
		if len(d.forgiven) < 10_000 {
			d.forgiven[m.id] = true
		}
	}
}

func (d *Desk) isForgiven(ids []store.MailboxUID) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, id := range ids {
		if !d.forgiven[id] {
			return false
		}
	}
	return true
}

func (d *Desk) unforgive(ids []store.MailboxUID) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, id := range ids {
		delete(d.forgiven, id)
	}
}
