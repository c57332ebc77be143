package page

import (
	"context"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"unicode"

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

// download sends bytes that came in by mail so that no browser takes them
// for a page of ours (T38). Few are held in memory at once; the others wait.
func (p *page) download(w http.ResponseWriter, r *http.Request, read func(ctx context.Context) (data []byte, name string, err error)) {
	ctx, cancel := context.WithTimeout(r.Context(), readLimit)
	defer cancel()
	select {
	case p.downloads <- struct{}{}:
		defer func() { <-p.downloads }()
	case <-ctx.Done():
		p.problem(w, r, problem{
			Code: http.StatusServiceUnavailable, Headline: "Too many downloads at once",
			Text: "Others are being served. Try again in a moment.",
		})
		return
	}
	data, name, err := read(ctx)
	if err != nil {
		p.fail(w, r, err)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "application/octet-stream")
	h.Set("Content-Disposition", disposition(name))
	h.Set("Content-Security-Policy", filePolicy)
	h.Set("Content-Length", strconv.Itoa(len(data)))
	h.Set("Cache-Control", "no-store")
	if r.Method != http.MethodHead {
		_, _ = w.Write(data)
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
