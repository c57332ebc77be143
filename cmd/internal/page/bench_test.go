package page

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"deskd/store"
	"deskd/store/storetest"
	"deskd/triage/ticket"
)

var (
	benchTickets = flag.Int("tickets", 2000, "how many tickets BenchmarkMillion looks at; each has three entries")
	benchFolder  = flag.String("folder", "", "where BenchmarkMillion keeps its databases for the next time; empty: nowhere")
)

// million opens a database with as many tickets as the flag says, which it
// makes where it is not there yet.
func million(b *testing.B, kind string) *store.Store {
	b.Helper()
	ctx := context.WithoutCancel(b.Context())
	name, where := fmt.Sprint("desk", *benchTickets), ""
	switch {
	case kind == "sqlite" && *benchFolder == "":
		where = storetest.SQLite(b)
	case kind == "sqlite":
		where = filepath.Join(*benchFolder, name+".db")
	case *benchFolder == "":
		where = storetest.PostgreSQL(b)
	default:
		if err := os.MkdirAll(*benchFolder, 0o755); err != nil {
			b.Fatal(err)
		}
		where = storetest.Kept(b, filepath.Join(*benchFolder, "pg")).Keep(b, name)
	}
	o := store.Options{Key: bytes.Repeat([]byte("k"), 32), Owner: "bench"}
	s, err := store.Open(ctx, where, o)
	if err != nil {
		b.Fatal(err)
	}
	last := ticket.Number(1000 + *benchTickets)
	if _, err := s.Show(ctx, last); err != nil {
		began := time.Now()
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
		storetest.Fill(b, where, *benchTickets, now)
		b.Logf("%s: filled in %s", kind, time.Since(began).Round(time.Second))
		if s, err = store.Open(ctx, where, o); err != nil {
			b.Fatal(err)
		}
	}
	b.Cleanup(func() {
		if err := s.Close(); err != nil {
			b.Error(err)
		}
	})
	began, steps := time.Now(), 0
	for more := true; more; steps++ {
		if more, err = s.Index(ctx, 4096); err != nil {
			b.Fatal(err)
		}
	}
	if steps > 1 {
		b.Logf("%s: indexed in %s", kind, time.Since(began).Round(time.Second))
	}
	return s
}

// BenchmarkMillion measures how long pages take that a desk of many years
// shows. README names the command for a million tickets.
func BenchmarkMillion(b *testing.B) {
	for _, kind := range []string{"sqlite", "postgres"} {
		b.Run(kind, func(b *testing.B) {
			s := million(b, kind)
			for _, what := range wants() {
				b.Run(what.name, func(b *testing.B) {
					o := options(s)
					if what.busy {
						o.Source = &restless{Store: s}
					}
					h, err := New(o)
					if err != nil {
						b.Fatal(err)
					}
					measure(b, h, what.targets)
				})
			}
		})
	}
}

// restless is a desk on which something happens all the time.
type restless struct {
	*store.Store
	n int64
}

func (c *restless) Pulse(ctx context.Context) (store.Pulse, error) {
	p, err := c.Store.Pulse(ctx)
	c.n++
	p.Events += c.n
	return p, err
}

// want is what is measured: addresses that are asked for in turn.
type want struct {
	name    string
	targets []string
	busy    bool // something has happened each time
}

// wants is all that is measured.
func wants() []want {
	search := func(words ...string) (list []string) {
		for _, w := range words {
			list = append(list, "/search?q="+url.QueryEscape(w))
		}
		return list
	}
	each := func(n int, query func(i int) string) (list []string) {
		for i := range n {
			list = append(list, search(query(i))...)
		}
		return list
	}
	var tickets []string
	for i := range 50 {
		tickets = append(tickets, fmt.Sprint("/ticket/", 1001+i*(*benchTickets/50)))
	}
	word := storetest.Word
	last := storetest.Vocabulary - 1
	return []want{
		{name: "dashboard", targets: []string{"/"}, busy: true},
		{name: "dashboard-again", targets: []string{"/"}},
		{name: "queue", targets: []string{"/queue/all", "/queue/helpdesk", "/queue/network-team?priority=high", "/queue/all?status=closed", "/queue/desktop-support?status=any"}},
		{name: "ticket", targets: tickets},
		{name: "search-common", targets: each(50, func(i int) string { return `"` + word(i) + `"` })},
		{name: "search-middle", targets: each(50, func(i int) string { return `"` + word(500+i*100) + `"` })},
		{name: "search-rare", targets: each(50, func(i int) string { return `"` + word(last-i*1000) + `"` })},
		{name: "search-beginning", targets: each(50, func(i int) string { return word(i * 97)[:2] + "*" })},
		{name: "search-word", targets: each(50, func(i int) string { return word(i * i * 100) })}, // as typed, a beginning
		{name: "search-common-pair", targets: each(50, func(i int) string { return word(i) + " " + word(49-i) })},
		{name: "search-middle-pair", targets: each(50, func(i int) string { return word(300+i*10) + " " + word(1200-i*10) })},
		{name: "search-common-and-rare", targets: each(50, func(i int) string { return word(i) + " " + word(last-i*1000) })},
		{name: "search-rare-and-common", targets: each(50, func(i int) string { return word(last-i*1000) + " " + word(i) })},
		{name: "search-person", targets: each(50, func(i int) string { addr, _ := storetest.Person(i * 300); return addr })},
		{name: "search-name", targets: each(50, func(i int) string { _, name := storetest.Person(i * 300); return name })},
		{name: "search-host", targets: each(50, func(i int) string { return fmt.Sprintf("pc-%05d.office.example.net", i*500) })},
		{name: "search-number", targets: each(50, func(i int) string { return fmt.Sprint("IT-", 1001+i*(*benchTickets/50)) })},
		{name: "search-nothing", targets: each(50, func(i int) string { return fmt.Sprint("nothing", i, "ofthekind") })},
		{name: "search-six-words", targets: each(50, func(i int) string {
			return word(i) + " " + word(i+3) + " " + word(i+11) + " " + word(i+19) + " " + word(i+100) + " " + word(i+200)
		})},
	}
}

// measure asks for each address in turn and reports what half and what nearly
// all answers take at most.
func measure(b *testing.B, h http.Handler, targets []string) {
	var took []time.Duration
	next := 0
	for b.Loop() {
		w, r := httptest.NewRecorder(), asked(http.MethodGet, targets[next%len(targets)], admin, nil)
		r.Host = "localhost"
		began := time.Now()
		h.ServeHTTP(w, r)
		took = append(took, time.Since(began))
		if w.Code != http.StatusOK {
			b.Fatalf("%s: got %d", targets[next%len(targets)], w.Code)
		}
		next++
	}
	slices.Sort(took)
	at := func(share float64) float64 {
		return float64(took[min(len(took)-1, int(float64(len(took))*share))]) / float64(time.Millisecond)
	}
	b.ReportMetric(at(0.5), "p50-ms")
	b.ReportMetric(at(0.95), "p95-ms")
	b.ReportMetric(at(1), "max-ms")
	b.ReportMetric(0, "ns/op")
}
