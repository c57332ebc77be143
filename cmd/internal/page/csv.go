package page

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
	"unicode"
)

// saved is a list as a file of CSV.
type saved struct {
	name string // of the file, without its ending
	head []string
	// batch reads on from where it ended before. Fewer rows than savedBatch
	// are the last ones.
	batch func(ctx context.Context) ([][]string, error)
	// lacks, if not nil, says after the last batch what may be missing.
	lacks func() string
}

const (
	mostSaved  = 100_000          // rows of one file
	savedBatch = 500              // rows held in memory
	savedPause = 30 * time.Second // for a reader to take one batch
)

// remark is a row that says something about the list, with as many cells as all
// others (RFC 4180, section 2).
func (s *saved) remark(text string) []string {
	row := make([]string, len(s.head))
	row[0] = text
	return row
}

// list answers with the page of a list, or, where the address says so, with
// all of the list as CSV.
func (p *page) list(build func(*http.Request, time.Time) (made, error), save func(*http.Request, time.Time) (saved, error)) http.HandlerFunc {
	show := p.show(build)
	return func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Query().Get("format") {
		case "":
			show(w, r)
		case "csv":
			s, err := save(r, p.now())
			if err != nil {
				p.fail(w, r, err)
				return
			}
			p.save(w, r, s)
		default:
			p.notFound(w, r)
		}
	}
}

// save streams a list, batch by batch, so that a long one takes no more memory
// than a short one, and no more time than its reader takes for each batch. An
// error on the way cuts the connection: half a list must not pass for a whole
// one.
func (p *page) save(w http.ResponseWriter, r *http.Request, s saved) {
	read := func() ([][]string, error) {
		ctx, cancel := context.WithTimeout(r.Context(), readLimit)
		defer cancel()
		return s.batch(ctx)
	}
	rows, err := read()
	if err != nil {
		p.fail(w, r, err)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/csv; charset=utf-8")
	h.Set("Content-Disposition", disposition(s.name+".csv"))
	h.Set("Content-Security-Policy", filePolicy)
	h.Set("Cache-Control", "no-store")
	if r.Method == http.MethodHead {
		return
	}
	line := http.NewResponseController(w)
	out := csv.NewWriter(w)
	out.UseCRLF = true // RFC 4180, section 2
	_, err = w.Write([]byte("\uFEFF"))
	err = errors.Join(err, out.Write(s.head))
	for n := 0; err == nil; {
		if e := line.SetWriteDeadline(time.Now().Add(savedPause)); e != nil && !errors.Is(e, http.ErrNotSupported) {
			err = e
			break
		}
		last := len(rows) < savedBatch
		if last && s.lacks != nil {
			if what := s.lacks(); what != "" {
				rows = append(rows, s.remark(what))
			}
		}
		for _, row := range rows {
			if n++; n > mostSaved {
				row, last = s.remark(fmt.Sprintf("The list is longer: only its first %d rows are here.", mostSaved)), true
			}
			for i := range row {
				row[i] = harmless(row[i])
			}
			if err = out.Write(row); err != nil || n > mostSaved {
				break
			}
		}
		out.Flush()
		if err = errors.Join(err, out.Error()); err != nil || last {
			break
		}
		rows, err = read()
	}
	if err != nil {
		if r.Context().Err() == nil {
			p.log.Warn("list not saved to its end", "path", r.URL.Path, "err", err)
		}
		panic(http.ErrAbortHandler)
	}
}

// formulaSigns begin what a spreadsheet calculates, in all their widths.
const formulaSigns = "=+-@＝＋－＠﹦﹢﹣﹫−"

// harmless makes text fit for a cell: what a spreadsheet would take for a
// formula gets an apostrophe before it (T42), also behind blanks and quotation
// marks. So does what follows a semicolon: where that is the separator, as in
// much of Europe, a cell begins there.
func harmless(s string) string {
	s = strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
	if !strings.ContainsAny(s, formulaSigns+"\t\r\n") {
		return s
	}
	parts := strings.Split(s, ";")
	for i, part := range parts {
		if formula(part) {
			parts[i] = "'" + part
		}
	}
	return strings.Join(parts, ";")
}

// formula says whether a spreadsheet might calculate what stands here.
func formula(s string) bool {
	rest := strings.TrimLeftFunc(s, func(r rune) bool {
		return unicode.IsSpace(r) || unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == '"'
	})
	begins := func(s, signs string) bool { return strings.IndexAny(s, signs) == 0 }
	return begins(s, "\t\r\n") || begins(rest, formulaSigns)
}

// moment8601 is a time for programs; empty if it has not come.
func moment8601(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02T15:04:05Z")
}
