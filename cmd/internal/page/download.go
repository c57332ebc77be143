package page

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"

	"golang.org/x/sync/semaphore"

	"deskd/store"
)

// rawSource sends a mail as it came.
func (p *page) rawSource(w http.ResponseWriter, r *http.Request) {
	id, ok := rowID(r.PathValue("intake"))
	if !ok {
		p.notFound(w, r)
		return
	}
	p.download(w, r, func(ctx context.Context) ([]byte, string, error) {
		in, err := p.source.IntakeByID(ctx, id)
		if err != nil {
			return nil, "", fmt.Errorf("read intake %d: %w", id, err)
		}
		if len(in.SHA256) == 0 || !mayRead(viewerOf(r), in) { // not read yet, or not for them
			return nil, "", errNotFound
		}
		raw, err := p.source.Raw(ctx, in.SHA256)
		if err != nil {
			return nil, "", fmt.Errorf("read the raw source of intake %d: %w", id, err)
		}
		return raw, fmt.Sprintf("mail-%d.eml", id), nil
	})
}

// partForm is the place of a part in a mail, "2.1".
var partForm = regexp.MustCompile(`^[0-9]{1,4}(\.[0-9]{1,4}){0,24}$`)

// attachedFile sends one file out of the mail that an entry came from.
func (p *page) attachedFile(w http.ResponseWriter, r *http.Request) {
	id, ok := rowID(r.PathValue("entry"))
	part := r.PathValue("part")
	if !ok || !partForm.MatchString(part) {
		p.notFound(w, r)
		return
	}
	p.download(w, r, func(ctx context.Context) ([]byte, string, error) {
		raw, _, err := p.source.EntryRaw(ctx, id, func(e store.Entry) error { return p.maySee(ctx, viewerOf(r), e) })
		if err != nil {
			return nil, "", fmt.Errorf("read the raw source of entry %d: %w", id, err)
		}
		data, a, err := p.attachment(raw, part)
		if err != nil { // about this very mail: it has no such part
			p.log.Info("attachment not found", "entry", id, "part", part, "err", err)
			return nil, "", errNotFound
		}
		name := a.Name
		if name == "" {
			name = "part-" + part
		}
		return data, name, nil
	})
}

// maySee says whether somebody may see what is on an entry; errNotFound if not.
func (p *page) maySee(ctx context.Context, v viewer, e store.Entry) error {
	if v.Technician() {
		return nil
	}
	if e.Visibility != "public" {
		return errNotFound
	}
	d, err := p.source.ShowPart(ctx, e.Ticket, store.Mark{}, true)
	if err != nil {
		return fmt.Errorf("read ticket %s: %w", e.Ticket, err)
	}
	if !p.hasPart(d.Ticket, d.Participants, v) {
		return errNotFound
	}
	return nil
}

// Bounds of downloads (P4): of technicians, and of all others.
const (
	mostLoads   = 2        // raw mails that are read at once
	mostSending = 64 << 20 // bytes of files on their way
	sendPiece   = 64 << 10
	pieceLimit  = 10 * time.Second // in which a piece has to go out
	sendLimit   = 10 * time.Minute // and all of them
)

// downloads keeps few files in memory at once. Each person has one download at
// a time, so that slow ones of somebody hold up nobody else.
type downloads struct {
	reading, sending *semaphore.Weighted

	mu     sync.Mutex
	people map[string]*turn
}

// turn is one person's.
type turn struct {
	*semaphore.Weighted
	wanted int // by so many requests
}

func newDownloads() *downloads {
	return &downloads{reading: semaphore.NewWeighted(mostLoads), sending: semaphore.NewWeighted(mostSending), people: map[string]*turn{}}
}

// turn waits until somebody has no other download, or ctx ends.
func (d *downloads) turn(ctx context.Context, who string) (done func(), err error) {
	d.mu.Lock()
	t := d.people[who]
	if t == nil {
		t = &turn{Weighted: semaphore.NewWeighted(1)}
		d.people[who] = t
	}
	t.wanted++
	d.mu.Unlock()
	leave := func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		if t.wanted--; t.wanted == 0 {
			delete(d.people, who)
		}
	}
	if err := t.Acquire(ctx, 1); err != nil {
		leave()
		return nil, fmt.Errorf("wait for another download: %w", err)
	}
	return func() { t.Release(1); leave() }, nil
}

// load reads a file when it is its turn, and waits until there is room for it.
// free gives the room back.
func (d *downloads) load(ctx context.Context, read func(ctx context.Context) ([]byte, string, error)) (data []byte, name string, free func(), err error) {
	if err := d.reading.Acquire(ctx, 1); err != nil {
		return nil, "", nil, fmt.Errorf("wait for other downloads: %w", errBusy)
	}
	defer d.reading.Release(1)
	data, name, err = read(ctx)
	if err != nil {
		return nil, "", nil, err
	}
	size := min(int64(len(data)), mostSending)
	if err := d.sending.Acquire(ctx, size); err != nil {
		return nil, "", nil, fmt.Errorf("wait for other downloads: %w", errBusy)
	}
	return data, name, func() { d.sending.Release(size) }, nil
}

var errBusy = errors.New("too many downloads")

// download sends bytes that came in by mail so that no browser takes them
// for a page of ours (T38).
func (p *page) download(w http.ResponseWriter, r *http.Request, read func(ctx context.Context) (data []byte, name string, err error)) {
	ctx, cancel := context.WithTimeout(r.Context(), readLimit)
	defer cancel()
	busy := problem{
		Code: http.StatusServiceUnavailable, Headline: "Too many downloads at once",
		Text: "Others are being served. Try again in a moment.",
	}
	room := p.downloads
	if viewerOf(r).Technician() {
		room = p.techniciansDownloads
	}
	done, err := room.turn(ctx, viewerOf(r).Addr)
	if err != nil {
		p.problem(w, r, busy)
		return
	}
	defer done()
	data, name, free, err := room.load(ctx, read)
	switch {
	case errors.Is(err, errBusy):
		p.problem(w, r, busy)
		return
	case err != nil:
		p.fail(w, r, err)
		return
	}
	defer free()
	h := w.Header()
	h.Set("Content-Type", "application/octet-stream")
	h.Set("Content-Disposition", disposition(name))
	h.Set("Content-Security-Policy", filePolicy)
	h.Set("Content-Length", strconv.Itoa(len(data)))
	h.Set("Cache-Control", "no-store")
	if r.Method != http.MethodHead {
		sendSlowly(w, data)
	}
}

// sendSlowly sends a file over a line that may be slow, but has to move.
func sendSlowly(w http.ResponseWriter, data []byte) {
	line := http.NewResponseController(w)
	end := time.Now().Add(sendLimit)
	for piece := range slices.Chunk(data, sendPiece) {
		next := time.Now().Add(pieceLimit)
		if next.After(end) {
			next = end
		}
		// Where no deadline can be set, the server's own holds.
		_ = line.SetWriteDeadline(next)
		if _, err := w.Write(piece); err != nil {
			return
		}
	}
}

// rowID reads the id of a row: decimal digits, above zero.
func rowID(s string) (int64, bool) {
	if s == "" || s[0] == '+' || s[0] == '-' || s[0] == '0' {
		return 0, false
	}
	id, err := strconv.ParseInt(s, 10, 64)
	return id, err == nil && id > 0
}

// disposition is a Content-Disposition that makes a browser save the file
// under its name: the plain form for old clients, the encoded one (RFC 8187,
// section 3.2) for all others (RFC 6266, section 4.3).
func disposition(name string) string {
	name = fileName(name)
	plain := strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' || strings.ContainsRune(`"\%;`, r) {
			return '_'
		}
		return r
	}, name)
	var encoded strings.Builder
	for _, b := range []byte(name) {
		// attr-char of RFC 8187, section 3.2.1
		if 'a' <= b && b <= 'z' || 'A' <= b && b <= 'Z' || '0' <= b && b <= '9' || strings.IndexByte("!#$&+-.^_`|~", b) >= 0 {
			encoded.WriteByte(b)
		} else {
			fmt.Fprintf(&encoded, "%%%02X", b)
		}
	}
	return `attachment; filename="` + plain + `"; filename*=UTF-8''` + encoded.String()
}

// fileName takes out of a name what has no place in one. Names are cleaned
// when a mail is read (T32); this holds for what was kept before a rule was
// added, too.
func fileName(name string) string {
	name = strings.Map(func(r rune) rune {
		switch {
		case r == '/' || r == '\\' || r == ':':
			return '_'
		case unicode.IsControl(r), unicode.Is(unicode.Cf, r), r == '\u2028', r == '\u2029':
			return -1
		}
		return r
	}, strings.ToValidUTF8(name, "_"))
	name, _ = cut(strings.Trim(name, ". "), 150)
	if name == "" {
		return "file"
	}
	return name
}
