package mailin

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"deskd/mailin/mailintest"
)

// ledger is a Desk that keeps its books in memory, the way the desk keeps them
// in its database.
type ledger struct {
	mu       sync.Mutex
	rows     map[ledgerKey]*ledgerRow
	start    Start
	contacts []Contact
	steps    []string // what it was asked for, in order
	batches  [][]Fetched
	changed  chan struct{}

	// decide, when set, gives the verdicts instead of Done for all.
	decide func(ctx context.Context, batch []Fetched) ([]Verdict, error)
	fail   map[string]error // by step
	lost   map[string]bool  // Message-IDs of filed mails that the books do not have
}

type ledgerKey struct {
	validity, uid uint32
}

type ledgerRow struct {
	seen        int
	file        Folder
	filed, gone bool
	raw         string
	sum         [32]byte
	alone       bool
}

func newLedger() *ledger {
	return &ledger{rows: make(map[ledgerKey]*ledgerRow), changed: make(chan struct{}), fail: make(map[string]error)}
}

// note records a step, and gives the error that it is to have.
func (l *ledger) note(step string, args ...any) error {
	l.steps = append(l.steps, step+fmt.Sprint(args...))
	close(l.changed)
	l.changed = make(chan struct{})
	return l.fail[step]
}

// failing lets a step fail from now on, or no more.
func (l *ledger) failing(step string, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fail[step] = err
}

func (l *ledger) row(box Box, uid uint32) *ledgerRow {
	k := ledgerKey{box.Validity, uid}
	if l.rows[k] == nil {
		l.rows[k] = &ledgerRow{}
	}
	return l.rows[k]
}

func (l *ledger) Start(_ context.Context, _ Box, now Start) (Start, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.start.At.IsZero() {
		l.start = now
	}
	return l.start, l.note("start")
}

func (l *ledger) Pending(_ context.Context, box Box, uids []uint32) ([]Due, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.note("pending", uids); err != nil {
		return nil, err
	}
	var due []Due
	for _, uid := range uids {
		r := l.rows[ledgerKey{box.Validity, uid}]
		switch {
		case r == nil:
			due = append(due, Due{UID: uid})
		case !r.filed && !r.gone:
			due = append(due, Due{UID: uid, File: r.file, Alone: r.alone})
		}
	}
	return due, nil
}

func (l *ledger) Seen(_ context.Context, box Box, uids []uint32) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.note("seen", uids); err != nil {
		return err
	}
	for _, uid := range uids {
		l.row(box, uid).seen++
	}
	return nil
}

func (l *ledger) Deliver(ctx context.Context, batch []Fetched) ([]Verdict, error) {
	var verdicts []Verdict
	for _, f := range batch {
		verdicts = append(verdicts, Verdict{f.UID, Done})
	}
	if l.decide != nil {
		var err error
		if verdicts, err = l.decide(ctx, batch); err != nil {
			return nil, err
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	var uids []uint32
	for _, f := range batch {
		uids = append(uids, f.UID)
	}
	if err := l.note("deliver", uids); err != nil {
		return nil, err
	}
	l.batches = append(l.batches, batch)
	for _, f := range batch {
		r := l.row(f.Box, f.UID)
		if i := slices.IndexFunc(verdicts, func(v Verdict) bool { return v.UID == f.UID }); i >= 0 {
			r.file = verdicts[i].File
		}
		if r.raw != "" {
			r.raw += "|twice|"
		}
		r.raw += string(f.Raw)
		r.sum = f.SHA256
	}
	return verdicts, nil
}

func (l *ledger) Open(_ context.Context, box Box) ([]uint32, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var uids []uint32
	for k, r := range l.rows {
		if k.validity == box.Validity && !r.filed && !r.gone {
			uids = append(uids, k.uid)
		}
	}
	return uids, nil
}

func (l *ledger) Filed(_ context.Context, box Box, uids []uint32) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.note("filed", uids); err != nil {
		return err
	}
	for _, uid := range uids {
		l.row(box, uid).filed = true
	}
	return nil
}

func (l *ledger) Gone(_ context.Context, box Box, uids []uint32) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.note("gone", uids); err != nil {
		return err
	}
	for _, uid := range uids {
		if r := l.row(box, uid); r.file == Undecided {
			r.gone = true
		} else {
			r.filed = true
		}
	}
	return nil
}

func (l *ledger) Contact(_ context.Context, c Contact) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.contacts = append(l.contacts, c)
	l.note("contact")
}

// journal gives the steps without the contacts.
func (l *ledger) journal() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(l.steps), func(s string) bool { return s == "contact" })
}

// taken gives the batches that were decided on.
func (l *ledger) taken() [][]Fetched {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.batches)
}

// heard gives all contacts.
func (l *ledger) heard() []Contact {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.contacts)
}

// told gives the last contact.
func (l *ledger) told() Contact {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.contacts) == 0 {
		return Contact{}
	}
	return l.contacts[len(l.contacts)-1]
}

// delivered gives the mails that were decided on, by UID.
func (l *ledger) delivered() map[uint32]string {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := make(map[uint32]string)
	for k, r := range l.rows {
		if r.file != Undecided {
			out[k.uid] = r.raw
			if sha256.Sum256([]byte(r.raw)) != r.sum {
				out[k.uid] += "|wrong sum|"
			}
		}
	}
	return out
}

// get gives what is known of a UID.
func (l *ledger) get(uid uint32) ledgerRow {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, k := range slices.SortedFunc(maps.Keys(l.rows), func(a, b ledgerKey) int { return int(b.validity) - int(a.validity) }) {
		if k.uid == uid {
			return *l.rows[k]
		}
	}
	return ledgerRow{}
}

// filed counts the mails that are out of the way.
func (l *ledger) filed() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for _, r := range l.rows {
		if r.filed {
			n++
		}
	}
	return n
}

// until waits in real time for something to become true.
func (l *ledger) until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.NewTimer(30 * time.Second)
	defer deadline.Stop()
	for {
		l.mu.Lock()
		changed := l.changed
		l.mu.Unlock()
		if ok() {
			return
		}
		select {
		case <-changed:
		case <-deadline.C:
			t.Fatalf("waited in vain until %s; steps: %q; last contact: %+v", what, l.journal(), l.told())
		}
	}
}

// settings gives those of a mailbox on a server of package mailintest.
func settings(addr string) Config {
	return Config{
		Address: mailintest.Username, Server: addr, Security: Plain,
		Username: mailintest.Username, Password: mailintest.Password,
	}
}

// piped gives a Source that reaches the server through memory, for tests in a
// bubble of testing/synctest.
func piped(server *mailintest.Server, l *ledger, change func(*Config)) *Source {
	c := settings("127.0.0.1:143")
	if change != nil {
		change(&c)
	}
	s := New(c, l, quiet())
	s.dial = server.Dial
	return s
}

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

// running starts a Source, and gives a function that stops it.
func running(t *testing.T, s *Source) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	var once sync.Once
	stop = func() {
		once.Do(func() {
			cancel()
			if err := <-ended; err != nil {
				t.Errorf("Run: %v", err)
			}
		})
	}
	t.Cleanup(stop)
	return stop
}

// letter makes a mail of about n bytes.
func letter(subject string, n int) string {
	head := "From: ann@example.org\r\nTo: support@example.com\r\nSubject: " + subject + "\r\n\r\n"
	return head + strings.Repeat("the printer is on fire\r\n", max(0, n-len(head))/24) + "bye\r\n"
}

// pass lets time go by in a bubble of testing/synctest, and then all settle.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func (l *ledger) Compared(Box) {
	l.mu.Lock()
	defer l.mu.Unlock()
	_ = l.note("compared")
}

func (l *ledger) Missing(_ context.Context, _ Box, copies []Copy) ([]uint32, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(copies) > 0 {
		if err := l.note("missing"); err != nil {
			return nil, err
		}
	}
	var missing []uint32
	for _, c := range copies {
		if l.lost[c.MessageID] {
			missing = append(missing, c.UID)
			delete(l.lost, c.MessageID)
		}
	}
	return missing, nil
}
