package page

import (
	"bufio"
	"bytes"
	"context"
	"encoding/csv"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"deskd/store"
	"deskd/store/storetest"
	"deskd/triage/ticket"
)

func TestT42_CellsThatWouldBeCalculatedGetAnApostrophe(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ in, want string }{
		{"=1+1", "'=1+1"},
		{"+49 30 555", "'+49 30 555"},
		{"-2", "'-2"},
		{"@SUM(A1)", "'@SUM(A1)"},
		{"\t=1", "'\t=1"},
		{"\tx", "'\tx"},
		{"\rx", "'\rx"},
		{"\nx", "'\nx"},
		{" =1", "' =1"},
		{"\u00A0\u3000 =1", "'\u00A0\u3000 =1"},
		{"\u200B=1", "'\u200B=1"},
		{"\uFEFF=1", "'\uFEFF=1"},
		{"\u202E=1", "'\u202E=1"},
		{"＝1", "'＝1"},
		{"＋1", "'＋1"},
		{"－1", "'－1"},
		{"＠x", "'＠x"},
		{"−1", "'−1"},
		{`"=1`, `'"=1`},
		{"a;=1", "a;'=1"},
		{"a; -1;@b", "a;' -1;'@b"},
		{"=HYPERLINK(\"http://evil.example\")", "'=HYPERLINK(\"http://evil.example\")"},
		{"=cmd|' /C calc'!A0", "'=cmd|' /C calc'!A0"},

		{"", ""},
		{"   ", "   "},
		{"printer", "printer"},
		{"1-2", "1-2"},
		{"a=b", "a=b"},
		{"ann@example.org", "ann@example.org"},
		{"a;b", "a;b"},
		{"two\nlines", "two\nlines"},
		{"'=1", "'=1"},
		{"2026-11-23T15:02:00Z", "2026-11-23T15:02:00Z"},
		{"Grüße, 日本, שלום", "Grüße, 日本, שלום"},
		{"a\x00b\xff", "a\uFFFDb\uFFFD"},
	} {
		if got := harmless(tt.in); got != tt.want {
			t.Errorf("%q: got %q, want %q", tt.in, got, tt.want)
		}
		if tt.want == tt.in || strings.ContainsRune(tt.in, '\r') { // which CSV has at the end of a line only
			continue
		}
		h := open(t, options(hostile(tt.in)))
		for _, target := range []string{"/queue/all?status=any&format=csv", "/mail?format=csv", "/mail/outbox?format=csv"} {
			for _, row := range readCSV(t, get(t, h, target).Body.Bytes())[1:] {
				if slices.Contains(row, tt.in) || !slices.Contains(row, tt.want) {
					t.Errorf("%s: %q came as %q", target, tt.in, row)
				}
			}
		}
	}
}

// readCSV reads a file as a spreadsheet does.
func readCSV(t *testing.T, file []byte) [][]string {
	t.Helper()
	text, ok := bytes.CutPrefix(file, []byte("\uFEFF"))
	if !ok {
		t.Errorf("no byte order mark before %.20q", file)
	}
	rows, err := csv.NewReader(bytes.NewReader(text)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

func TestEveryListCanBeSaved(t *testing.T) {
	t.Parallel()
	desk := busy()
	desk.tickets[0].Subject = "a \"quoted\", long\nsubject; with everything"
	h := open(t, options(desk))
	for target, want := range map[string]struct {
		file  string
		rows  int
		holds [][2]string // a column and what its first row has
	}{
		"/queue/all": {"tickets-all-teams.csv", 8, [][2]string{
			{"Ticket", "IT-1057"}, {"Subject", desk.tickets[0].Subject}, {"Created", "2026-11-23T14:53:00Z"}, {"First response", ""}, {"Status", "open"},
		}},
		"/queue/network-team?priority=high&sort=oldest":     {"tickets-network-team.csv", 2, [][2]string{{"Ticket", "IT-1051"}}},
		"/queue/all?due=overdue":                            {"tickets-all-teams.csv", 1, [][2]string{{"Ticket", "IT-1052"}, {"Due", "2026-11-23T12:02:00Z"}}},
		"/queue/all?sort=due&after=0-1050":                  {"tickets-all-teams.csv", 8, [][2]string{{"Ticket", "IT-1052"}}},
		"/queue/all?requester=ann%40example.org&status=any": {"tickets-all-teams.csv", 2, [][2]string{{"Ticket", "IT-1049"}}},
		"/search?q=vpn":                                     {"tickets-found.csv", 2, [][2]string{{"Ticket", "IT-1055"}}},
		"/search?q=1049":                                    {"tickets-found.csv", 1, [][2]string{{"Ticket", "IT-1049"}}},
		"/mail":                                             {"mail.csv", 9, [][2]string{{"Mail", "35"}, {"Ticket", "IT-1055"}, {"Fate", "appended"}}},
		"/mail?fate=quarantined":                            {"mail-quarantined.csv", 1, [][2]string{{"Mail", "30"}, {"Size", "1412230"}}},
		"/mail/outbox":                                      {"outbox.csv", 4, [][2]string{{"Recipient", "sysadmins@lists.example.org"}, {"Due", "2026-11-23T15:06:00Z"}}},
		"/mail/outbox?state=failed":                         {"outbox-failed.csv", 1, [][2]string{{"State", "failed"}, {"Due", ""}}},
	} {
		w := get(t, h, with(target, "format", "csv"))
		for name, value := range map[string]string{
			"Content-Type": "text/csv; charset=utf-8", "Content-Disposition": disposition(want.file), "X-Content-Type-Options": "nosniff",
			"Cache-Control": "no-store", "Content-Security-Policy": filePolicy,
		} {
			if got := w.Header().Get(name); got != value {
				t.Errorf("%s: %s: got %q, want %q", target, name, got, value)
			}
		}
		rows := readCSV(t, w.Body.Bytes())
		if len(rows) != want.rows+1 {
			t.Errorf("%s: got %d rows, want %d", target, len(rows)-1, want.rows)
			continue
		}
		for _, h := range want.holds {
			column := slices.Index(rows[0], h[0])
			if column < 0 || rows[1][column] != h[1] {
				t.Errorf("%s: %s: want %q in %q", target, h[0], h[1], rows[1])
			}
		}
		page := get(t, h, target).Body.String()
		if strings.Contains(target, "after=") {
			continue // nothing is left there
		}
		if href := strings.ReplaceAll(with(target, "format", "csv"), "&", "&amp;"); !strings.Contains(page, `href="`+href+`" download`) {
			t.Errorf("%s: no link to %s", target, href)
		}
	}
	if w := ask(t, h, http.MethodHead, "/queue/all?format=csv"); w.Code != http.StatusOK || w.Body.Len() != 0 {
		t.Errorf("HEAD: got %d with %d bytes", w.Code, w.Body.Len())
	}
}

// TestT41_SavedListsHoldWhatPagesShow: whoever saves a list gets what the pages show to the same person, and no
// more.
func TestT41_SavedListsHoldWhatPagesShow(t *testing.T) {
	t.Parallel()
	desk := busy()
	desk.tickets[8].Tags = []string{"secret"} // 1049, of Ann
	h := open(t, options(desk))
	for _, tt := range []struct {
		who, target string
		status      int
		tickets     string
	}{
		{"ann@example.org", "/?format=csv", 200, "IT-1049"},
		{"ann@example.org", "/?status=any&sort=oldest&format=csv", 200, "IT-1048 IT-1049"},
		{"ann.larsson@example.org", "/?format=csv", 200, "IT-1049"},
		{"lea@example.org", "/?format=csv", 200, "IT-1055 IT-1051"}, // on the first one she is a participant
		{"nobody@example.org", "/?format=csv", 200, ""},
		{"ann@example.org", "/?status=closed&format=csv", 404, ""},
		{"ann@example.org", "/search?q=1049&format=csv", 200, "IT-1049"},
		{"ann@example.org", "/search?q=1055&format=csv", 200, ""},
		{"ann@example.org", "/search?q=vpn&format=csv", 200, ""},
		{"lea@example.org", "/search?q=vpn&format=csv", 200, "IT-1055 IT-1051"},
		{"ann@example.org", "/search?format=csv", 200, ""},
		{"ann@example.org", "/queue/all?format=csv", 404, ""},
		{"ann@example.org", "/mine?format=csv", 404, ""},
		{"ann@example.org", "/mail?format=csv", 404, ""},
		{"nadia@example.org", "/mine?format=csv", 200, "IT-1055"},
		{"nadia@example.org", "/queue/network-team?format=csv", 200, "IT-1055 IT-1051"},
		{"nadia@example.org", "/mail?format=csv", 404, ""},
		{"nadia@example.org", "/mail/outbox?format=csv", 404, ""},
		{admin, "/mine?format=csv", 200, ""},
	} {
		w := answer(h, asked(http.MethodGet, tt.target, tt.who, nil))
		if w.Code != tt.status {
			t.Errorf("%s, %s: got %d, want %d", tt.who, tt.target, w.Code, tt.status)
		}
		if tt.status != http.StatusOK {
			continue
		}
		var got []string
		rows := readCSV(t, w.Body.Bytes())
		for _, row := range rows[1:] {
			got = append(got, row[0])
		}
		if strings.Join(got, " ") != tt.tickets {
			t.Errorf("%s, %s: got %q, want %q", tt.who, tt.target, got, tt.tickets)
		}
		inside := tt.who == admin || tt.who == "nadia@example.org"
		if slices.Contains(rows[0], "Tags") != inside || !inside && strings.Contains(w.Body.String(), "secret") {
			t.Errorf("%s, %s: the columns are %q", tt.who, tt.target, rows[0])
		}
	}
	if w := answer(h, asked(http.MethodGet, "/?format=csv", "", nil)); strings.Contains(w.Body.String(), "IT-1") || strings.Contains(w.Header().Get("Content-Type"), "csv") {
		t.Errorf("a stranger: got %d %s", w.Code, w.Header().Get("Content-Type"))
	}
	if page := answer(h, asked(http.MethodGet, "/", "lea@example.org", nil)).Body.String(); !strings.Contains(page, "/ticket/1055") {
		t.Error("the page of a participant does not list the ticket")
	}
}

// TestALongListIsSavedWhole reads more than one batch out of both databases.
func TestALongListIsSavedWhole(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		h := open(t, options(seed(t, url, 1200)))
		for _, order := range store.Orders() {
			seen := map[string]bool{}
			for _, row := range readCSV(t, get(t, h, "/queue/network-team?format=csv&sort="+string(order)).Body.Bytes())[1:] {
				if seen[row[0]] {
					t.Errorf("%s: %s came twice", order, row[0])
				}
				seen[row[0]] = true
			}
			if len(seen) != 1200 {
				t.Errorf("%s: got %d rows, want 1200", order, len(seen))
			}
		}
		found := map[string]bool{}
		rows := readCSV(t, get(t, h, "/search?q=vpn&format=csv").Body.Bytes())[1:]
		for _, row := range rows {
			found[row[0]] = true
		}
		if len(found) != 1200 || len(rows) != 1200 {
			t.Errorf("a search: got %d rows with %d tickets, want 1200", len(rows), len(found))
		}
	})
}

func TestASavedSearchSaysWhatMayBeMissing(t *testing.T) {
	t.Parallel()
	partial := busy()
	partial.partial = true
	for _, tt := range []struct {
		m    *memory
		want string
	}{
		{unread(), "Some tickets may be missing: those before IT-1049 were still being read."},
		{partial, "Some tickets may be missing: too many words"},
		{busy(), "IT-"},
	} {
		h := open(t, options(tt.m))
		rows := readCSV(t, get(t, h, "/search?q=vpn&format=csv").Body.Bytes())
		if len(rows) < 2 || !strings.HasPrefix(rows[len(rows)-1][0], tt.want) {
			t.Errorf("got %q, want %q at the end", rows, tt.want)
		}
	}
}

// learning is a desk that has everything indexed after its first search.
type learning struct{ *memory }

func (l learning) Search(ctx context.Context, f store.SearchFilter) (store.Found, error) {
	found, err := l.memory.Search(ctx, f)
	l.unread = 0
	return found, err
}

func TestASavedSearchRemembersWhatItsFirstPartsLacked(t *testing.T) {
	t.Parallel()
	o := options(learning{unread()})
	rows := readCSV(t, get(t, open(t, o), "/search?q=vpn&format=csv").Body.Bytes())
	if last := rows[len(rows)-1][0]; !strings.HasPrefix(last, "Some tickets may be missing: those before IT-1049") {
		t.Errorf("the last row is %q", last)
	}
}

// endless is a desk with more tickets than anybody can save. It fails after so
// many of them, if that is not 0.
type endless struct {
	*memory
	failing ticket.Number
}

func (e endless) ListTickets(_ context.Context, f store.TicketFilter) ([]store.Ticket, error) {
	list := make([]store.Ticket, f.Limit)
	for i := range list {
		n := ticket.Number(1 << 40)
		if f.After.Number != 0 {
			n = f.After.Number
		}
		n -= ticket.Number(i + 1)
		if e.failing != 0 && n < 1<<40-e.failing {
			return nil, errDown
		}
		list[i] = store.Ticket{Number: n, Subject: strings.Repeat("long ", 20), Status: ticket.Open, Priority: ticket.Low}
	}
	return list, nil
}

func TestASavedListIsBoundedAndHeldInNoMemory(t *testing.T) {
	base := serve(t, options(endless{busy(), 0}))
	answer := fetched(t, base+"/queue/all?format=csv")
	defer answer.Body.Close()
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	lines := bufio.NewScanner(answer.Body)
	rows, last, most := 0, "", uint64(0)
	for lines.Scan() {
		rows++
		last = lines.Text()
		if rows%20_000 == 0 {
			runtime.GC()
			runtime.ReadMemStats(&after)
			most = max(most, after.HeapAlloc)
		}
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	if rows != mostSaved+2 || last != "The list is longer: only its first 100000 rows are here."+strings.Repeat(",", 14) {
		t.Errorf("got %d lines, the last one %q", rows, last)
	}
	if most > before.HeapAlloc+8<<20 {
		t.Errorf("the list took %d bytes", most-before.HeapAlloc)
	}
}

// fetched asks a server over the network.
func fetched(t *testing.T, target string) *http.Response {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, target, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-User", admin)
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	return answer
}

func TestHalfAListDoesNotPassForAWholeOne(t *testing.T) {
	t.Parallel()
	base := serve(t, options(endless{busy(), 5000}))
	answer := fetched(t, base+"/queue/all?format=csv")
	defer answer.Body.Close()
	if n, err := io.Copy(io.Discard, answer.Body); err == nil {
		t.Errorf("%d bytes came, and then an end like any other", n)
	}
}

// TestASlowReaderOfAListIsWaitedFor reads for longer than the server lets an
// answer take in all.
func TestASlowReaderOfAListIsWaitedFor(t *testing.T) {
	t.Parallel()
	p, err := newPage(options(endless{busy(), 0}))
	if err != nil {
		t.Fatal(err)
	}
	w := &deadlines{header: http.Header{}}
	p.handler().ServeHTTP(w, asked(http.MethodGet, "/queue/all?format=csv", admin, nil))
	if len(w.set) != mostSaved/savedBatch+1 {
		t.Errorf("the deadline was moved %d times, want once for each of %d batches", len(w.set), mostSaved/savedBatch+1)
	}
	for i, at := range w.set {
		if i > 0 && at.Before(w.set[i-1]) {
			t.Error("the deadline was moved back")
		}
	}
}

// deadlines is an answer that keeps what its deadline is set to.
type deadlines struct {
	header http.Header
	set    []time.Time
}

func (d *deadlines) Header() http.Header                { return d.header }
func (d *deadlines) Write(b []byte) (int, error)        { return len(b), nil }
func (d *deadlines) WriteHeader(int)                    {}
func (d *deadlines) SetWriteDeadline(t time.Time) error { d.set = append(d.set, t); return nil }

// TestT44_HostileAddressesOfQueues puts into every part of a queue's address
// what could become part of a statement.
func TestT44_HostileAddressesOfQueues(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, address string) {
		s := seed(t, address, 60)
		h := open(t, options(s))
		for _, v := range []string{
			"number; DROP TABLE tickets", "newest--", "updated_at DESC", "1' OR '1'='1", "1) OR (1=1", "\x00", "\xff", "'", `"`, "%", "_", "0", "-1", "+1", "01",
			"1e9", "9223372036854775808", "99999999999999999999-1", "1-99999999999999999999", "1--1", "0x10", "1-1-1", " 1", strings.Repeat("9", 5000), "NULL", "１",
		} {
			q := url.QueryEscape(v)
			for _, key := range []string{"sort", "due", "priority", "status", "format", "after", "sort=changed&after", "sort=due&after", "sort=priority&after"} {
				if w := get(t, h, "/queue/all?"+key+"="+q); w.Code != http.StatusNotFound {
					t.Errorf("%s=%.30q: got %d, want 404", key, v, w.Code)
				}
			}
			for _, key := range []string{"requester", "assignee", "team"} {
				w := get(t, h, "/queue/all?"+key+"="+q)
				if w.Code != http.StatusOK || strings.Contains(w.Body.String(), "/ticket/") {
					t.Errorf("%s=%.30q: got %d, want an empty list", key, v, w.Code)
				}
			}
		}
		for _, at := range []string{"?after=0", "?after=5-5", "?sort=changed&after=5", "?sort=changed&after=0-5", "?sort=priority&after=4-5", "?sort=due&after=5", "?sort=due&after=5-0"} {
			if w := get(t, h, "/queue/all"+at); w.Code != http.StatusNotFound {
				t.Errorf("%s: got %d, want 404", at, w.Code)
			}
		}
		for _, at := range []string{"?after=5", "?sort=oldest&after=5", "?sort=changed&after=5-5", "?sort=priority&after=0-5", "?sort=priority&after=3-5", "?sort=due&after=0-5", "?sort=due&after=5-5"} {
			if w := get(t, h, "/queue/all"+at); w.Code != http.StatusOK {
				t.Errorf("%s: got %d, want 200", at, w.Code)
			}
		}
		if list, err := s.ListTickets(t.Context(), store.TicketFilter{Limit: 500}); err != nil || len(list) != 60 {
			t.Errorf("afterwards there are %d tickets, %v", len(list), err)
		}
	})
}

func TestPlacesAreReadAsTheyAreWritten(t *testing.T) {
	t.Parallel()
	for _, o := range store.Orders() {
		for _, p := range []ticket.Priority{ticket.Critical, ticket.Low} {
			for _, due := range []time.Time{{}, now} {
				want := o.Place(store.Ticket{Number: 1042, Priority: p, UpdatedAt: now, DueAt: due})
				if got, ok := readPlace(o, writePlace(o, want)); !ok || got != want {
					t.Errorf("%s: %v was read as %v, %v", o, want, got, ok)
				}
			}
		}
	}
}

func TestTimesUntilTheFirstAnswerAreShort(t *testing.T) {
	t.Parallel()
	var got []string
	for _, d := range []time.Duration{0, 59 * time.Second, 90 * time.Second, time.Hour, 168 * time.Minute, 24 * time.Hour, 30 * time.Hour, 50 * time.Hour, 48 * time.Hour, 300 * time.Hour} {
		got = append(got, short(d))
	}
	want := []string{"0 s", "59 s", "1 min", "1 h", "2 h 48 min", "1 d", "30 h", "2 d 2 h", "2 d", "12 d"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, most := range []time.Duration{0, time.Second, 3 * time.Minute, 61 * time.Minute, 100 * time.Hour, 40 * 24 * time.Hour} {
		if top := timeTop(most); top < most || top == 0 || short(top/2)+" " == fmt.Sprint(top/2) || strconv.Itoa(int(top/time.Second)%2) != "0" {
			t.Errorf("%v: the axis ends at %v", most, top)
		}
	}
}
