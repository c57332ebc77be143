package page

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"html"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"deskd/store"
	"deskd/store/storetest"
	"deskd/triage"
	"deskd/triage/ticket"
)

var update = flag.Bool("update", false, "write the golden pages anew")

func TestMain(m *testing.M) {
	storetest.Main(m, func() error { return goleak.Find() })
}

// options are those of a desk with the seed teams.
func options(s Source) Options {
	zone, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		zone = time.FixedZone("CET", 3600)
	}
	rules, err := triage.New(triage.Policy{
		Prefix: "IT", Secret: bytes.Repeat([]byte("k"), 32), Mailboxes: []triage.Mailbox{{Address: "support@example.org"}},
		Administrators: []string{admin}, Teams: []triage.Team{{Name: "Network Team", List: "network@lists.example.org", Roster: []string{"nadia@example.org", "omar@example.org"}}},
		People: []triage.Person{{Address: "ann@example.org", Aliases: []string{"ann.larsson@example.org"}}},
	})
	if err != nil {
		panic(err)
	}
	o := Options{
		People: rules, Key: bytes.Repeat([]byte("k"), 32), URL: "http://127.0.0.1:8025/", Send: func(Letter) {}, Desk: &deeds{},
		Proxies: []netip.Prefix{netip.MustParsePrefix("192.0.2.1/32"), netip.MustParsePrefix("127.0.0.1/32")}, UserHeader: "X-User",
		Source: s, Now: func() time.Time { return now }, Name: "IT Service Desk", Prefix: "IT", Version: "1.0.0",
		Location: zone,
		Attachment: func(raw []byte, part string) ([]byte, triage.Attachment, error) {
			return []byte("bytes of " + part), triage.Attachment{Part: part, Name: "vpn-log.txt"}, nil
		},
	}
	for _, t := range triage.SeedTeams() {
		o.Teams = append(o.Teams, Team{Name: t.Name, List: slug(t.Name) + "@lists.example.org"})
	}
	return o
}

func open(t *testing.T, o Options) http.Handler {
	t.Helper()
	h, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// admin is who looks at the pages of these tests, by the word of a web server.
const admin = "admin@example.org"

// deeds is the desk as far as the page changes anything: it notes what it was
// asked for.
type deeds struct {
	done []string
	err  error
}

func (d *deeds) note(what string, id int64, actor string) error {
	d.done = append(d.done, fmt.Sprintf("%s %d by %s", what, id, actor))
	return d.err
}

func (d *deeds) Retry(_ context.Context, id int64, actor string) (store.Fate, ticket.Number, error) {
	return "", 0, d.note("retry", id, actor)
}

func (d *deeds) Dismiss(_ context.Context, id int64, actor string) error {
	return d.note("drop", id, actor)
}

func (d *deeds) SendAgain(_ context.Context, id int64, actor string) error {
	return d.note("send", id, actor)
}

func (d *deeds) Cancel(_ context.Context, id int64, actor string) error {
	return d.note("cancel", id, actor)
}

// asked makes a request of somebody who is signed in; "" is a stranger.
func asked(method, target, who string, form url.Values) *http.Request {
	r := httptest.NewRequest(method, target, strings.NewReader(form.Encode()))
	r.Host = "127.0.0.1:8025"
	if who != "" {
		r.Header.Set("X-User", who)
	}
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Origin", "http://"+r.Host)
	}
	return r
}

func answer(h http.Handler, r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func ask(t *testing.T, h http.Handler, method, target string) *httptest.ResponseRecorder {
	t.Helper()
	return answer(h, asked(method, target, admin, nil))
}

func get(t *testing.T, h http.Handler, target string) *httptest.ResponseRecorder {
	t.Helper()
	return ask(t, h, http.MethodGet, target)
}

// golden is a page in a state that was designed.
type golden struct {
	name, target string
	source       *memory
	held         string
	status       int
	who          string // an administrator if empty; "x" is a stranger
}

func by(who string) string {
	if who == "" {
		return admin
	}
	return who
}

// goldenPages are pages in all the states that were designed.
func goldenPages() []golden {
	down := busy()
	down.err = errDown
	return []golden{
		{"dashboard", "/", busy(), "", 200, ""},
		{"dashboard-empty", "/", &memory{}, "", 200, ""},
		{"dashboard-degraded", "/", degraded(), "the login to smtp.example.org was refused", 200, ""},
		{"queue", "/queue/all", busy(), "", 200, ""},
		{"queue-team", "/queue/network-team?status=in_progress&priority=high", busy(), "", 200, ""},
		{"queue-empty", "/queue/helpdesk", &memory{}, "", 200, ""},
		{"queue-nothing-matches", "/queue/helpdesk?priority=critical", busy(), "", 200, ""},
		{"queue-due", "/queue/all?due=overdue&sort=due", busy(), "", 200, ""},
		{"queue-requester", "/queue/all?requester=ann%40example.org&status=any", busy(), "", 200, ""},
		{"search", "/search?q=vpn", busy(), "", 200, ""},
		{"search-empty", "/search", busy(), "", 200, ""},
		{"search-nothing", "/search?q=teapot", busy(), "", 200, ""},
		{"search-number", "/search?q=it-1049", busy(), "", 200, ""},
		{"search-no-words", "/search?q=%21%3F", busy(), "", 200, ""},
		{"search-older", "/search?q=hours&before=1050", unread(), "", 200, ""},
		{"ticket", "/ticket/1055", busy(), "", 200, ""},
		{"ticket-bare", "/ticket/IT-1056", busy(), "", 200, ""},
		{"mail", "/mail", busy(), "", 200, ""},
		{"mail-spam", "/mail/27", busy(), "", 200, ""},
		{"mail-empty", "/mail", &memory{}, "", 200, ""},
		{"mail-degraded", "/mail", degraded(), "", 200, ""},
		{"quarantine", "/mail?fate=quarantined", busy(), "", 200, ""},
		{"quarantine-empty", "/mail?fate=quarantined", &memory{}, "", 200, ""},
		{"one-mail", "/mail/28", busy(), "", 200, ""},
		{"one-mail-quarantined", "/mail/30", busy(), "", 200, ""},
		{"outbox", "/mail/outbox", busy(), "", 200, ""},
		{"outbox-empty", "/mail/outbox", &memory{}, "", 200, ""},
		{"account", "/account", busy(), "", 200, ""},
		{"sign-in", "/sign-in", busy(), "", 200, "x"},
		{"sign-in-link", "/sign-in/4KJ2QZ7XW3MNB5TRLHVC6DGAEY", busy(), "", 200, "x"},
		{"stranger", "/queue/all", busy(), "", 401, "x"},
		{"technician-dashboard", "/", busy(), "", 200, "nadia@example.org"},
		{"technician-mine", "/mine", busy(), "", 200, "nadia@example.org"},
		{"requester", "/", busy(), "", 200, "juergen.weiss@example.org"},
		{"requester-nothing", "/", &memory{}, "", 200, "ann@example.org"},
		{"requester-ticket", "/ticket/1055", busy(), "", 200, "juergen.weiss@example.org"},
		{"not-found", "/ticket/99999", busy(), "", 404, ""},
		{"database-away", "/", down, "", 503, ""},
	}
}

// changing are the parts of a page that differ between builds and runs.
var changing = regexp.MustCompile(`/static/[0-9a-f]{16}/|<code>[a-z2-7]{8}</code>`)

func TestPagesLookAsTheyDid(t *testing.T) {
	t.Parallel()
	for _, tt := range goldenPages() {
		t.Run(tt.name, func(t *testing.T) {
			o := options(tt.source)
			o.Held = func() string { return tt.held }
			w := answer(open(t, o), asked(http.MethodGet, tt.target, by(tt.who), nil))
			if w.Code != tt.status {
				t.Errorf("status: got %d, want %d", w.Code, tt.status)
			}
			got := changing.ReplaceAll(w.Body.Bytes(), []byte("…"))
			file := filepath.Join("testdata", tt.name+".html")
			if *update {
				if err := os.MkdirAll("testdata", 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(file, got, 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), string(got)); diff != "" {
				t.Errorf("page changed (-want +got); run with -update if it should:\n%s", diff)
			}
		})
	}
}

// logged gives a logger and what it wrote.
func logged() (*slog.Logger, *bytes.Buffer) {
	var b bytes.Buffer
	return slog.New(slog.NewJSONHandler(&b, &slog.HandlerOptions{Level: slog.LevelDebug})), &b
}

func TestEveryTeamHasAQueueOfItsOwnWhateverItIsCalled(t *testing.T) {
	t.Parallel()
	names := []string{"Сеть", "All", "IT Ops", "IT-Ops", "Team 6", "…", "a/b", "Team 1"}
	o := options(busy())
	o.Teams = nil
	for _, n := range names {
		o.Teams = append(o.Teams, Team{Name: n})
	}
	p, err := newPage(o)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, team := range p.teams {
		got = append(got, team.Slug)
		if w := get(t, p.handler(), "/queue/"+team.Slug); w.Code != http.StatusOK || !bytes.Contains(w.Body.Bytes(), []byte("<h1><bdi>"+team.Name)) {
			t.Errorf("queue of %s: got %d", team.Name, w.Code)
		}
	}
	if diff := cmp.Diff([]string{"team-1", "team-2", "it-ops", "team-4", "team-6", "team-7", "a-b", "team-8"}, got); diff != "" {
		t.Error(diff)
	}
}

func TestTimesAreToldFromNow(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		ahead time.Duration
		want  string
	}{
		{0, "just now"},
		{-59 * time.Second, "just now"},
		{time.Second, "in less than a minute"},
		{59 * time.Second, "in less than a minute"},
		{time.Minute, "in 1 min"},
		{-2 * time.Hour, "2 h ago"},
		{20 * 24 * time.Hour, "13 Dec"},
		{-400 * 24 * time.Hour, "19 Oct 2025"},
	} {
		if got := ago(now.Add(tt.ahead), now); got != tt.want {
			t.Errorf("%v: got %q, want %q", tt.ahead, got, tt.want)
		}
	}
}

func TestReadmeSaysWhatThePageSays(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile("../../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	red := degraded()
	refused, silent := red.beats[0], busy().beats[0]
	refused.Name, refused.Detail = "imap:hr@example.org", "the login of hr@example.org is refused (Authentication failed)"
	silent.Name, silent.At = "imap:it@example.org", before(2*5*time.Minute)
	red.beats = append(red.beats, refused, silent, store.Heartbeat{Name: "smtp", At: now}, store.Heartbeat{Name: "round:hr@example.org", At: now})
	o := options(red)
	o.Kept = func() store.Standing { return store.Standing{Since: before(time.Hour), Err: "the disk is full"} }
	o.Held = func() string { return "535 5.7.8 no" }
	page := html.UnescapeString(get(t, open(t, o), "/").Body.String())
	_, part, _ := strings.Cut(string(readme), "## When the page is red")
	part, _, _ = strings.Cut(part, "\n## ")
	rows := regexp.MustCompile("(?m)^\\| `(.*?)` \\|").FindAllStringSubmatch(part, -1)
	if len(rows) != strings.Count(part, "\n|")-2 {
		t.Errorf("%d rows of the table quote the page", len(rows))
	}
	for _, row := range rows {
		words := strings.Split(row[1], "…")
		for i := range words {
			words[i] = regexp.QuoteMeta(words[i])
		}
		if !regexp.MustCompile(strings.Join(words, "[^<]*")).MatchString(page) {
			t.Errorf("the page does not say %q", row[1])
		}
	}
}

func TestQuarantineIsAFaultForAWeek(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		age  time.Duration
		want bool
	}{{time.Minute, true}, {7*24*time.Hour - time.Minute, true}, {7 * 24 * time.Hour, false}} {
		desk := busy()
		for i := range desk.intakes {
			desk.intakes[i].DecidedAt = before(tt.age)
		}
		w := get(t, open(t, options(desk)), "/")
		if got := strings.Contains(w.Body.String(), "A mail went into quarantine "); got != tt.want {
			t.Errorf("%v ago: a fault: %v", tt.age, got)
		}
		if w := get(t, open(t, options(desk)), "/healthz"); w.Code != http.StatusOK {
			t.Errorf("%v ago: health: got %d", tt.age, w.Code)
		}
	}
}
