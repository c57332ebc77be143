package page

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"deskd/store"
	"deskd/triage"
	"deskd/triage/ticket"
)

// document reads a page as a browser would.
func document(t *testing.T, w *httptest.ResponseRecorder) *html.Node {
	t.Helper()
	doc, err := html.Parse(bytes.NewReader(w.Body.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

// elements gives all elements of a page.
func elements(doc *html.Node) []*html.Node {
	var list []*html.Node
	for n := range doc.Descendants() {
		if n.Type == html.ElementNode {
			list = append(list, n)
		}
	}
	return list
}

func attr(n *html.Node, name string) (string, bool) {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val, true
		}
	}
	return "", false
}

// unsafeMarkup tells what in a page the policy would have to stop.
func unsafeMarkup(doc *html.Node) []string {
	var list []string
	for _, n := range elements(doc) {
		if slices.Contains([]string{"script", "style", "iframe", "object", "embed", "base", "link", "meta"}, n.Data) {
			rel, _ := attr(n, "rel")
			equiv, refresh := attr(n, "http-equiv")
			if src, _ := attr(n, "src"); n.Data == "script" && n.FirstChild == nil && regexp.MustCompile(`^/static/[0-9a-f]{16}/live\.js$`).MatchString(src) {
				continue
			}
			if n.Data == "link" && (rel == "stylesheet" || rel == "icon") || n.Data == "meta" && !refresh {
				continue
			}
			list = append(list, "<"+n.Data+"> "+equiv)
		}
		if n.Data == "form" && !ownForm(n) {
			list = append(list, "<form>")
		}
		for _, a := range n.Attr {
			switch {
			case a.Key == "style", strings.HasPrefix(a.Key, "on"):
				list = append(list, "attribute "+a.Key+" of <"+n.Data+">")
			case a.Key == "href" || a.Key == "src" || a.Key == "action":
				u, err := url.Parse(a.Val)
				if err != nil || u.Scheme != "" && u.Scheme != "mailto" || u.Host != "" {
					list = append(list, a.Key+" "+a.Val)
				}
			}
		}
	}
	return list
}

// ownForm says whether a form asks a page of ours, or changes something with
// the token that it takes.
func ownForm(form *html.Node) bool {
	method, _ := attr(form, "method")
	action, _ := attr(form, "action")
	if u, err := url.Parse(action); err != nil || u.Scheme != "" || u.Host != "" || !strings.HasPrefix(action, "/") {
		return false
	}
	token := false
	for _, n := range elements(form) {
		name, _ := attr(n, "name")
		value, _ := attr(n, "value")
		token = token || name == "form" && len(value) > 40
	}
	return method == "get" && !token || method == "post" && (token || strings.HasPrefix(action, "/sign-in"))
}

func TestPagesHoldNoScriptNoStyleAndNothingOfOthers(t *testing.T) {
	t.Parallel()
	for _, tt := range goldenPages() {
		w := answer(open(t, options(tt.source)), asked(http.MethodGet, tt.target, by(tt.who), nil))
		for _, s := range unsafeMarkup(document(t, w)) {
			t.Errorf("%s: %s", tt.name, s)
		}
	}
}

func TestEveryLinkLeadsSomewhere(t *testing.T) {
	t.Parallel()
	h := open(t, options(busy()))
	todo, seen := []string{"/"}, map[string]bool{"/": true}
	for len(todo) > 0 {
		at := todo[0]
		todo = todo[1:]
		w := get(t, h, at)
		if w.Code != http.StatusOK {
			t.Errorf("%s: got %d", at, w.Code)
			continue
		}
		if !strings.HasPrefix(w.Header().Get("Content-Type"), "text/html") {
			continue
		}
		doc := document(t, w)
		ids := map[string]int{}
		for _, n := range elements(doc) {
			if id, ok := attr(n, "id"); ok {
				ids[id]++
			}
		}
		for id, n := range ids {
			if n > 1 {
				t.Errorf("%s: id %q is there %d times", at, id, n)
			}
		}
		for _, n := range elements(doc) {
			for _, name := range []string{"aria-labelledby", "aria-describedby"} {
				if id, ok := attr(n, name); ok && ids[id] == 0 {
					t.Errorf("%s: %s names %q, which is not there", at, name, id)
				}
			}
			for _, name := range []string{"href", "src"} {
				to, ok := attr(n, name)
				if !ok || strings.HasPrefix(to, "mailto:") {
					continue
				}
				if fragment, ok := strings.CutPrefix(to, "#"); ok {
					if ids[fragment] == 0 {
						t.Errorf("%s: link to %q, which is not there", at, to)
					}
					continue
				}
				if !seen[to] {
					seen[to] = true
					todo = append(todo, to)
				}
			}
		}
	}
	if len(seen) < 60 {
		t.Errorf("only %d addresses were found: the crawl did not get far", len(seen))
	}
}

func TestPagesCanBeReadByMachinesThatReadAloud(t *testing.T) {
	t.Parallel()
	for _, tt := range goldenPages() {
		doc := document(t, get(t, open(t, options(tt.source)), tt.target))
		var h1, level int
		for _, n := range elements(doc) {
			switch n.Data {
			case "html":
				if lang, _ := attr(n, "lang"); lang == "" {
					t.Errorf("%s: no language", tt.name)
				}
			case "h1", "h2", "h3", "h4":
				l := int(n.Data[1] - '0')
				if l > level+1 {
					t.Errorf("%s: <%s> after level %d", tt.name, n.Data, level)
				}
				level = l
				if l == 1 {
					h1++
				}
			case "img":
				if _, ok := attr(n, "alt"); !ok {
					t.Errorf("%s: image without a text", tt.name)
				}
			case "svg":
				if label, _ := attr(n, "aria-label"); label == "" {
					t.Errorf("%s: drawing without a text", tt.name)
				}
			case "th":
				if _, ok := attr(n, "scope"); !ok {
					t.Errorf("%s: table heading without a scope", tt.name)
				}
			case "table":
				if c := n.FirstChild; c == nil || c.NextSibling == nil || c.NextSibling.Data != "caption" {
					t.Errorf("%s: table without a caption", tt.name)
				}
			}
		}
		if h1 != 1 {
			t.Errorf("%s: got %d main headings, want 1", tt.name, h1)
		}
	}
}

// hostile is a desk into whose every field somebody has put s.
func hostile(s string) *memory {
	blocks := asJSON([]triage.Block{{Kind: triage.Own, Text: s}, {Kind: triage.Quoted, Text: s}, {Kind: triage.BlockKind(s), Text: s}})
	m := busy()
	tk := store.Ticket{
		Number: 1055, Mailbox: s, Subject: s, Requester: s, RequesterName: s, Status: ticket.Status(s), Priority: ticket.Priority(s),
		Team: s, Assignee: s, Tags: []string{s}, Reasons: []string{s}, CreatedAt: now,
	}
	open := tk
	open.Number, open.Status = 1054, ticket.Open
	m.tickets = []store.Ticket{tk, open}
	m.details = map[ticket.Number]store.Detail{1055: {
		Ticket: tk,
		Entries: []store.Entry{
			{ID: 71, Seq: 1, Kind: "message", Visibility: "public", Author: s, AuthorName: s, Text: s, FullText: s + s, Flags: []string{s}, Intake: 28, At: now},
			{ID: 72, Seq: 2, Kind: s, Visibility: s, Author: s, Blocks: blocks, Attachments: asJSON([]triage.Attachment{{Part: "1", Name: s, Type: s, Note: s}, {Part: s, Name: s}}), Intake: 28, At: now},
		},
		Events:       []store.Event{{Seq: 1, Actor: s, What: s, Before: s, After: s, Reason: s, At: now}},
		Links:        []store.Link{{From: 1055, To: 1054, Kind: s}},
		Participants: []store.Participant{{Addr: s, Name: s, How: s}},
		Outbox:       []store.Row{{Recipient: s, Kind: s, Subject: s, State: store.State(s), Answer: s}},
	}}
	m.overview.Open = map[string]map[ticket.Priority]int{s: {ticket.High: 1}}
	m.overview.OldestUnanswered = m.tickets
	m.beats = []store.Heartbeat{{Name: "imap:" + s, Detail: s, At: now}, {Name: s, Detail: s, At: now}}
	m.intakes = []store.Intake{
		{ID: 28, Mailbox: s, MessageID: s, From: s, Subject: s, Fate: store.Fate(s), Reason: s, LastError: s, Kind: s, Why: asJSON(map[string]any{s: s, "list": []string{s, s}}), SHA256: []byte{1}},
		{ID: 27, Subject: s, From: s, Fate: store.FateQuarantined, Reason: s, Why: []byte(s)},
	}
	m.outbox = []store.Row{{ID: 1, Recipient: s, Kind: s, Subject: s, State: store.State(s), Answer: s}}
	return m
}

func TestT37_NothingOutOfAMailBecomesMarkup(t *testing.T) {
	t.Parallel()
	for _, s := range []string{
		`<script>alert(1)</script>`, `"><img src=x onerror=alert(1)>`, `' onmouseover='alert(1)`, `</title><script>alert(1)</script>`,
		`javascript:alert(1)`, `</textarea><svg onload=alert(1)>`, `<a href="http://evil.example">x</a>`, `<!--`, `]]><b>`, `{{.}}`,
		`<base href=//evil.example>`, `<meta http-equiv=refresh content=0>`, "\x00<b>\xff", `&lt;script&gt;`, `x" style="color:red`, `?subject=x&bcc=eve@evil.example`,
	} {
		o := options(hostile(s))
		o.Teams = append(o.Teams, Team{Name: s, Slug: "hostile", List: s})
		o.Held = func() string { return s }
		h := open(t, o)
		for _, target := range []string{
			"/", "/queue/all", "/queue/hostile", "/queue/all?status=any", "/queue/all?team=" + url.QueryEscape(s),
			"/queue/all?requester=" + url.QueryEscape(s) + "&assignee=" + url.QueryEscape(s), "/ticket/1055", "/ticket/1054",
			"/mail", "/mail?fate=quarantined", "/mail/28", "/mail/27", "/mail/outbox",
		} {
			w := get(t, h, target)
			if w.Code != http.StatusOK {
				t.Fatalf("%q in %s: got %d", s, target, w.Code)
			}
			for _, found := range unsafeMarkup(document(t, w)) {
				t.Errorf("%q in %s: %s", s, target, found)
			}
			if bytes.ContainsAny(w.Body.Bytes(), "\x00") {
				t.Errorf("%q in %s: a NUL went out", s, target)
			}
			for _, n := range elements(document(t, w)) {
				if to, _ := attr(n, "href"); strings.HasPrefix(to, "mailto:") {
					u, err := url.Parse(to)
					if err != nil {
						t.Fatalf("%q in %s: %v", s, target, err)
					}
					if got := u.Query(); len(got["bcc"])+len(got["cc"])+len(got["to"]) != 0 || len(got["subject"]) != 1 {
						t.Errorf("%q in %s: the mail link carries %v", s, target, got)
					}
				}
			}
		}
	}
}

func TestT37_EveryAnswerCarriesThePolicy(t *testing.T) {
	t.Parallel()
	m := busy()
	h := open(t, options(m))
	for _, tt := range []struct{ method, target string }{
		{"GET", "/"},
		{"GET", "/ticket/1055"},
		{"GET", "/nowhere"},
		{"POST", "/"},
		{"GET", "/healthz"},
		{"GET", "/raw/28"},
		{"GET", "/attachment/71/2"},
		{"GET", "/static/0/style.css"},
	} {
		got := ask(t, h, tt.method, tt.target).Header()
		p := got.Get("Content-Security-Policy")
		for _, want := range []string{"default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'", "form-action '"} {
			if !strings.Contains(p, want) {
				t.Errorf("%s %s: policy %q lacks %q", tt.method, tt.target, p, want)
			}
		}
		if script := regexp.MustCompile(`script-src ([^;]*)`).FindStringSubmatch(p); strings.Contains(p, "unsafe") || script != nil && script[1] != "'self'" {
			t.Errorf("%s %s: policy %q allows too much", tt.method, tt.target, p)
		}
		for name, want := range map[string]string{
			"X-Content-Type-Options": "nosniff", "Referrer-Policy": "same-origin", "X-Frame-Options": "DENY",
			"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Resource-Policy": "same-origin",
		} {
			if got.Get(name) != want {
				t.Errorf("%s %s: %s: got %q, want %q", tt.method, tt.target, name, got.Get(name), want)
			}
		}
	}
}

func TestT33_TextThatHidesOrTurnsIsShown(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, got, want string }{
		{"override in a file name", oneLine("a\u202Efdp.exe"), "a⟨U+202E⟩fdp.exe"},
		{"isolate", oneLine("a\u2066b\u2069"), "a⟨U+2066⟩b⟨U+2069⟩"},
		{"zero width space", oneLine("pay\u200Bpal"), "pay⟨U+200B⟩pal"},
		{"line break in a subject", oneLine("a\nb"), "a⟨U+000A⟩b"},
		{"escape sequence", oneLine("\x1b[31m"), "⟨U+001B⟩[31m"},
		{"plain", oneLine("Grüße, 日本, שלום"), "Grüße, 日本, שלום"},
		{"joined emoji", oneLine("👩\u200D🔧"), "👩\u200D🔧"},
		{"lines of a text", manyLines("a\r\nb\tc"), "a\nb\tc"},
		{"override in a text", manyLines("a\u202Eb"), "a⟨U+202E⟩b"},
		{"direction mark in a text", manyLines("שלום\u200F!"), "שלום\u200F!"},
		{"mixed scripts", address("it@аррlе.example"), "it@xn--l-7sbq6ba.example"},
		{"whole Cyrillic name in a Latin zone", address("it@аррӏе.com"), "it@xn--80ak6aa92e.com"},
		{"one script", address("a@münchen.example"), "a@münchen.example"},
		{"one script, all of it", address("почта@пример.рф"), "почта@пример.рф"},
	} {
		if tt.got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, tt.got, tt.want)
		}
	}
}

func TestT39_OnlyKnownHostsAreAnswered(t *testing.T) {
	t.Parallel()
	o := options(busy())
	o.Hosts = []string{"desk.example.org", "Helpdesk.example.org:443"}
	h := open(t, o)
	for host, want := range map[string]int{
		"127.0.0.1": 200, "127.0.0.1:8025": 200, "localhost": 200, "LOCALHOST:1": 200, "localhost.:8025": 200, "[::1]:8025": 200, "[::1]": 200,
		"127.8.9.1:80": 200, "[::ffff:127.0.0.1]:80": 200, "desk.example.org": 200, "desk.example.org:8443": 200, "helpdesk.example.org": 200,
		"evil.example": 421, "evil.example:8025": 421, "": 421, "10.0.0.1:8025": 421, "0.0.0.0:8025": 421, "[::]:8025": 421,
		"localhost.evil.example": 421, "127.0.0.1.evil.example": 421, "desk.example.org.evil.example": 421, "desk.example.org:x": 421,
		"evil.example/desk.example.org": 421, "evil@localhost": 421, "2130706433": 421, "0x7f.1": 421, "[::1%25eth0]:80": 421,
	} {
		for _, target := range []string{"/", "/raw/28", "/healthz", "/static/x/style.css"} {
			r := asked("GET", target, admin, nil)
			r.Host = host
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if (w.Code == 421) != (want == 421) {
				t.Errorf("host %q, %s: got %d, want %d", host, target, w.Code, want)
			}
			if want == 421 && bytes.Contains(w.Body.Bytes(), []byte("example.org")) {
				t.Errorf("host %q, %s: the answer tells something", host, target)
			}
		}
	}
}

func TestT39_OnlyReadingMethodsAreAnswered(t *testing.T) {
	t.Parallel()
	h := open(t, options(busy()))
	for _, target := range []string{"/", "/ticket/1055", "/mail/outbox", "/healthz"} {
		if w := answer(h, asked(http.MethodPost, target, admin, url.Values{})); w.Code != http.StatusMethodNotAllowed {
			t.Errorf("POST %s: got %d", target, w.Code)
		}
	}
	for _, method := range []string{"PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PROPFIND", "get"} {
		for _, target := range []string{"/", "/ticket/1055", "/mail/outbox", "/healthz"} {
			w := ask(t, h, method, target)
			if w.Code != http.StatusMethodNotAllowed || w.Header().Get("Allow") != "GET, HEAD" {
				t.Errorf("%s %s: got %d, Allow %q", method, target, w.Code, w.Header().Get("Allow"))
			}
		}
	}
	for _, target := range []string{"/", "/ticket/1055", "/raw/28", "/healthz", "/nowhere"} {
		if w := ask(t, h, "HEAD", target); w.Body.Len() != 0 {
			t.Errorf("HEAD %s: got a body", target)
		}
	}
}

func TestT39_NothingRedirects(t *testing.T) {
	t.Parallel()
	h := open(t, options(busy()))
	for _, target := range []string{
		"//evil.example", "//evil.example/", "/./", "/ticket/../mail", "/mail/", "/ticket/1055/", "/?next=https://evil.example",
		"/queue/all?after=https://evil.example", "/mail?url=//evil.example", "/queue", "/static/", "/\\evil.example",
	} {
		w := ask(t, h, "GET", "http://localhost"+target)
		if w.Code/100 == 3 || w.Header().Get("Location") != "" {
			t.Errorf("%s: got %d to %q", target, w.Code, w.Header().Get("Location"))
		}
		if bytes.Contains(w.Body.Bytes(), []byte("evil.example")) {
			t.Errorf("%s: the page repeats the address", target)
		}
	}
}

func TestT41_WhatIsNotThereLooksAlike(t *testing.T) {
	t.Parallel()
	h := open(t, options(busy()))
	want := get(t, h, "/ticket/99999")
	if want.Code != http.StatusNotFound {
		t.Fatalf("got %d, want 404", want.Code)
	}
	for _, target := range []string{
		"/ticket/1", "/ticket/abc", "/ticket/XX-1055", "/ticket/IT-", "/ticket/-1", "/ticket/01055x", "/queue/finance", "/queue/all?status=odd",
		"/queue/all?priority=odd", "/queue/all?after=x", "/queue/all?sort=odd", "/queue/all?due=odd", "/queue/all?format=odd", "/mail?format=odd",
		"/queue/all?status=open,odd", "/queue/all?status=odd&format=csv", "/mail?fate=odd&format=csv", "/mail/outbox?before=x&format=csv", "/queue/finance?format=csv",
		"/mail/4711", "/mail/x", "/mail?fate=odd", "/mail?before=-1", "/mail/outbox?state=odd",
		"/raw/4711", "/raw/32", "/raw/x", "/raw/+28", "/attachment/4711/2", "/attachment/71/x", "/attachment/71/2..1", "/attachment/x/1",
		"/nowhere", "/static/0/style.css", "/static/0/nothing", "/favicon.ico", "/robots.txt", "/.git/config",
	} {
		got := get(t, h, target)
		if got.Code != want.Code || !bytes.Equal(got.Body.Bytes(), want.Body.Bytes()) {
			t.Errorf("%s: differs from an unknown ticket: %d", target, got.Code)
		}
		a, _ := json.Marshal(got.Header())
		b, _ := json.Marshal(want.Header())
		if !bytes.Equal(a, b) {
			t.Errorf("%s: other headers than an unknown ticket:\n%s\n%s", target, a, b)
		}
	}
}

func TestT41_HealthSaysOneWord(t *testing.T) {
	t.Parallel()
	down := busy()
	down.err = errDown
	silent := busy()
	silent.beats[0].At = before(2 * 5 * time.Minute)
	for _, tt := range []struct {
		name   string
		source *memory
		held   string
		status int
		body   string
	}{
		{"all well", busy(), "", 200, "up\n"},
		{"nothing heard of yet", &memory{}, "", 200, "up\n"},
		{"mail server away", degraded(), "", 503, "degraded\n"},
		{"mailbox silent", silent, "", 503, "degraded\n"},
		{"database away", down, "", 503, "degraded\n"},
		{"sending held", busy(), "login refused", 503, "degraded\n"},
	} {
		o := options(tt.source)
		o.Held = func() string { return tt.held }
		w := get(t, open(t, o), "/healthz")
		if w.Code != tt.status || w.Body.String() != tt.body {
			t.Errorf("%s: got %d %q, want %d %q", tt.name, w.Code, w.Body, tt.status, tt.body)
		}
	}
}

func TestT43_OnlyTheMachineItselfIsListenedTo(t *testing.T) {
	t.Parallel()
	for _, addr := range []string{":8025", "0.0.0.0:0", "[::]:0", "192.0.2.1:0", "10.0.0.1:0", "desk.example.org:80", "*:80", "127.0.0.1", ""} {
		ln, err := Listen(addr, false)
		if err == nil {
			ln.Close()
			t.Errorf("%q: was listened to", addr)
		}
	}
	_, err := Listen("0.0.0.0:8025", false)
	if err == nil || !strings.Contains(err.Error(), "use 127.0.0.1:8025") {
		t.Errorf("the complaint does not say how to mend it: %v", err)
	}
	for _, addr := range []string{"127.0.0.1:0", "localhost:0"} {
		ln, err := Listen(addr, false)
		if err != nil {
			t.Errorf("%q: %v", addr, err)
			continue
		}
		ln.Close()
	}
}

func TestT43_ThereIsNothingForDebugging(t *testing.T) {
	t.Parallel()
	h := open(t, options(busy()))
	for _, target := range []string{"/debug/pprof/", "/debug/pprof/heap", "/debug/vars", "/debug/requests", "/debug/events"} {
		if w := get(t, h, target); w.Code != http.StatusNotFound {
			t.Errorf("%s: got %d, want 404", target, w.Code)
		}
	}
	out, err := exec.Command("go", "list", "-deps", ".").Output()
	if err != nil {
		t.Skipf("go list: %v", err)
	}
	if found := regexp.MustCompile(`(?m)^(net/http/pprof|golang.org/x/net/trace)$`).FindAll(out, -1); found != nil {
		t.Errorf("linked in: %q", found)
	}
}

func TestT45_ErrorsSayNothingOfTheInside(t *testing.T) {
	t.Parallel()
	m := busy()
	m.err = errDown
	o := options(m)
	log, written := logged()
	o.Log = log
	h := open(t, o)
	for _, target := range []string{"/", "/queue/all", "/ticket/1055", "/mail", "/mail/28", "/mail/outbox", "/raw/28", "/attachment/71/2"} {
		w := get(t, h, target)
		if w.Code != http.StatusServiceUnavailable {
			t.Errorf("%s: got %d, want 503", target, w.Code)
		}
		if strings.Contains(w.Body.String(), "10.1.2.3") {
			t.Errorf("%s: the page tells the error itself", target)
		}
		ref := regexp.MustCompile(`<code>([a-z2-7]{8})</code>`).FindStringSubmatch(w.Body.String())
		if ref == nil || !strings.Contains(written.String(), ref[1]) {
			t.Errorf("%s: the page's reference is not in the log", target)
		}
	}
}

func TestF40_APanicEndsOneRequest(t *testing.T) {
	t.Parallel()
	m := busy()
	m.panics = true
	o := options(m)
	log, written := logged()
	o.Log = log
	h := open(t, o)
	for i, target := range []string{"/", "/ticket/1055", "/raw/28"} {
		w := get(t, h, target)
		if w.Code != http.StatusInternalServerError {
			t.Errorf("%s: got %d, want 500", target, w.Code)
		}
		if !strings.Contains(w.Body.String(), "Something went wrong") || strings.Contains(w.Body.String(), "injected") {
			t.Errorf("%s: not the page of an error", target)
		}
		if !strings.HasPrefix(w.Header().Get("Content-Security-Policy"), "default-src 'none'") {
			t.Errorf("%s: the page of an error has no policy", target)
		}
		lines := strings.Split(strings.TrimSpace(written.String()), "\n")
		var line struct {
			Level, Err, Stack string
			Count             int
		}
		if err := json.Unmarshal([]byte(lines[len(lines)-1]), &line); err != nil {
			t.Fatal(err)
		}
		if line.Level != "ERROR" || line.Err != "injected" || line.Count != i+1 || !strings.Contains(line.Stack, "desk_test.go") {
			t.Errorf("%s: the log says %+v", target, line)
		}
	}
	m.panics = false
	if w := get(t, h, "/"); w.Code != http.StatusOK {
		t.Errorf("after the panics: got %d, want 200", w.Code)
	}
}

func TestF40_APanicInTheMiddleOfAnAnswerCutsTheConnection(t *testing.T) {
	t.Parallel()
	p, err := newPage(options(busy()))
	if err != nil {
		t.Fatal(err)
	}
	h := p.recovered(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("half"))
		panic(errors.New("injected"))
	}))
	defer func() {
		if got := recover(); got != http.ErrAbortHandler {
			t.Errorf("got %v, want the connection to be cut", got)
		}
	}()
	h.ServeHTTP(httptest.NewRecorder(), asked("GET", "/", admin, nil))
}

func TestT41_WhomMailDoesNotReachIsForTechnicians(t *testing.T) {
	t.Parallel()
	m := busy()
	d := m.details[1055]
	d.Returned = []store.Returned{{Addr: d.Ticket.Requester, At: before(3 * time.Hour), Why: "5.1.1 <b>no such user</b>"}}
	m.details[1055] = d
	h := open(t, options(m))
	for who, want := range map[string]bool{admin: true, "nadia@example.org": true, d.Ticket.Requester: false} {
		w := answer(h, asked(http.MethodGet, "/ticket/1055", who, nil))
		if w.Code != http.StatusOK || strings.Contains(w.Body.String(), "Mail did not reach") != want || strings.Contains(w.Body.String(), "&lt;b&gt;no such user") != want {
			t.Errorf("%s: got %d, told of it: %t", who, w.Code, !want)
		}
	}
}

// TestT41_WhatAnAnswerQuotesIsForTechnicians: it may be a work note that its
// writer got by mail.
func TestT41_WhatAnAnswerQuotesIsForTechnicians(t *testing.T) {
	t.Parallel()
	const secret = "the user is a nuisance"
	for _, blocks := range [][]byte{nil, asJSON([]triage.Block{{Kind: triage.Own, Text: "We are on it."}, {Kind: triage.Quoted, Text: "> " + secret}})} {
		desk := busy()
		d := desk.details[1055]
		d.Entries = append(slices.Clone(d.Entries),
			store.Entry{ID: 991, Ticket: 1055, Seq: 91, Kind: "message", Visibility: "public", Author: "nadia@example.org", At: now, Text: "We are on it.", FullText: "We are on it.\n> " + secret, Blocks: blocks},
			store.Entry{ID: 992, Ticket: 1055, Seq: 92, Kind: "message", Visibility: "public", Author: "once@example.org", At: now, Text: "So am I.", FullText: "So am I.\n> " + secret, Blocks: blocks},
			// Who works here no more, and takes part.
			store.Entry{ID: 993, Ticket: 1055, Seq: 93, Kind: "message", Visibility: "public", Author: "otto@example.org", At: now, Text: "And I.", FullText: "And I.\n> " + secret, Blocks: blocks})
		d.Participants = append(slices.Clone(d.Participants), store.Participant{Ticket: 1055, Addr: "otto@example.org"})
		desk.details[1055] = d
		for who, want := range map[string]bool{"lea@example.org": false, "juergen.weiss@example.org": false, "otto@example.org": true, "nadia@example.org": true} {
			page := answer(open(t, options(desk)), asked(http.MethodGet, "/ticket/1055", who, nil)).Body.String()
			if got := strings.Contains(page, secret); got != want || !strings.Contains(page, "We are on it.") {
				t.Errorf("%s sees what is quoted: %t, want %t", who, got, want)
			}
		}
	}
}
