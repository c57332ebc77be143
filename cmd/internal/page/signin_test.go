package page

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"deskd/store"
	"deskd/store/storetest"
	"deskd/triage"
	"deskd/triage/ticket"
)

// door is the page of a real store, with the letters that it has sent.
type door struct {
	t       *testing.T
	s       *store.Store
	h       http.Handler
	letters []Letter
	now     time.Time
}

func newDoor(t *testing.T, change func(*Options)) *door {
	t.Helper()
	d := &door{t: t, now: now}
	d.s = seedAt(t, storetest.SQLite(t), 3, func() time.Time { return d.now })
	o := options(d.s)
	o.Now = func() time.Time { return d.now }
	o.Send = func(l Letter) { d.letters = append(d.letters, l) }
	if change != nil {
		change(&o)
	}
	d.h = open(t, o)
	return d
}

// visit makes a request with a cookie.
func (d *door) visit(method, target string, form url.Values, cookies ...*http.Cookie) *httptest.ResponseRecorder {
	d.t.Helper()
	r := asked(method, target, "", form)
	for _, c := range cookies {
		r.AddCookie(c)
	}
	return answer(d.h, r)
}

// enter signs somebody in by the link in a letter.
func (d *door) enter(who string) *http.Cookie {
	d.t.Helper()
	d.visit(http.MethodPost, "/sign-in", url.Values{"address": {who}})
	link, err := url.Parse(d.letters[len(d.letters)-1].Link)
	if err != nil {
		d.t.Fatal(err)
	}
	w := d.visit(http.MethodPost, link.Path, url.Values{})
	if w.Code != http.StatusSeeOther || w.Header().Get("Location") != "/" || len(w.Result().Cookies()) != 1 {
		d.t.Fatalf("sign in: %d to %q\n%s", w.Code, w.Header().Get("Location"), w.Body)
	}
	return w.Result().Cookies()[0]
}

func TestT40_TheCookieIsForThisHostAloneAndNoScript(t *testing.T) {
	t.Parallel()
	for _, secure := range []bool{true, false} {
		d := newDoor(t, func(o *Options) { o.Secure = secure })
		c := d.enter(admin)
		if c.Secure != secure || !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Path != "/" || c.Domain != "" || strings.HasPrefix(c.Name, "__Host-") != secure {
			t.Errorf("cookie: %v", c)
		}
		if len(c.Value) != 26 || c.MaxAge != int(store.SessionMost/time.Second) {
			t.Errorf("cookie: %v", c)
		}
		other := d.enter(admin)
		if other.Value == c.Value {
			t.Error("another session has the same cookie")
		}
		if w := d.visit(http.MethodGet, "/mail", nil, c); w.Code != http.StatusOK {
			t.Errorf("signed in: %d", w.Code)
		}
		d.now = d.now.Add(2 * time.Hour)
		w := d.visit(http.MethodGet, "/mail", nil, c)
		if len(w.Result().Cookies()) != 1 || w.Result().Cookies()[0].Value == c.Value {
			t.Errorf("after two hours it has the same value: %v", w.Result().Cookies())
		}
		d.now = d.now.Add(2 * time.Minute)
		if w := d.visit(http.MethodGet, "/mail", nil, c); w.Code != http.StatusUnauthorized {
			t.Errorf("the value before: %d", w.Code)
		}
		if w := d.visit(http.MethodGet, "/mail", nil, w.Result().Cookies()[0]); w.Code != http.StatusOK {
			t.Errorf("the new value: %d", w.Code)
		}
		// A cookie that somebody else has put there becomes nobody's session.
		d.visit(http.MethodPost, "/sign-in", url.Values{"address": {admin}})
		planted := &http.Cookie{Name: c.Name, Value: "AAAAAAAAAAAAAAAAAAAAAAAAAA"}
		link, _ := url.Parse(d.letters[len(d.letters)-1].Link)
		d.visit(http.MethodPost, link.Path, url.Values{}, planted)
		if w := d.visit(http.MethodGet, "/mail", nil, planted); w.Code != http.StatusUnauthorized {
			t.Errorf("a planted cookie: %d", w.Code)
		}
	}
}

func TestT40_WhoeverOpensLinksInMailsSpendsNone(t *testing.T) {
	t.Parallel()
	d := newDoor(t, nil)
	d.visit(http.MethodPost, "/sign-in", url.Values{"address": {admin}})
	link, _ := url.Parse(d.letters[0].Link)
	for _, method := range []string{http.MethodGet, http.MethodHead} {
		w := d.visit(method, link.Path, nil)
		if w.Code != http.StatusOK || len(w.Result().Cookies()) != 0 {
			t.Errorf("%s: %d, %v", method, w.Code, w.Result().Cookies())
		}
	}
	a, b := d.visit(http.MethodGet, link.Path, nil).Body.String(), d.visit(http.MethodGet, "/sign-in/AAAAAAAAAAAAAAAAAAAAAAAAAA", nil).Body.String()
	if strings.ReplaceAll(a, link.Path, "x") != strings.ReplaceAll(b, "/sign-in/AAAAAAAAAAAAAAAAAAAAAAAAAA", "x") {
		t.Error("the page of a good link is another one")
	}
	if w := d.visit(http.MethodPost, link.Path, url.Values{}); w.Code != http.StatusSeeOther {
		t.Errorf("the button: %d", w.Code)
	}
}

func TestT40_T41_UnknownAddressesGetTheSameAnswer(t *testing.T) {
	t.Parallel()
	d := newDoor(t, nil)
	secret := regexp.MustCompile(`name="request" value="[A-Z2-7]{26}"`)
	var first string
	for _, who := range []string{admin, "nadia@example.org", "juergen@example.org", "lea@example.org", "stranger@example.org", "support@example.org"} {
		w := d.visit(http.MethodPost, "/sign-in", url.Values{"address": {who}})
		got := fmt.Sprint(w.Code, w.Header(), secret.ReplaceAllString(strings.ReplaceAll(w.Body.String(), who, "WHO"), ""))
		if first == "" {
			first = got
		}
		if got != first {
			t.Errorf("%s: another answer:\n%s\n%s", who, first, got)
		}
	}
	var to []string
	for _, l := range d.letters {
		to = append(to, l.To)
	}
	if want := []string{admin, "nadia@example.org", "juergen@example.org", "lea@example.org"}; !slices.Equal(to, want) {
		t.Errorf("mails went to %v, want %v", to, want)
	}
	for _, typed := range []string{"", "ann", "@", "a@b@c", "a b@c", "<a@b>", "a@b\r\nBcc: x@y", strings.Repeat("a", 300) + "@b"} {
		if w := d.visit(http.MethodPost, "/sign-in", url.Values{"address": {typed}}); w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), "no mail address") {
			t.Errorf("%q: %d", typed, w.Code)
		}
	}
}

func TestT11_WhoIsTakenOffTheRosterSeesNothingMore(t *testing.T) {
	t.Parallel()
	roster := []string{"nadia@example.org"}
	rules := func() *triage.Rules {
		r, err := triage.New(triage.Policy{
			Prefix: "IT", Secret: bytes.Repeat([]byte("k"), 32), Mailboxes: []triage.Mailbox{{Address: "support@example.org"}},
			Teams: []triage.Team{{Name: "Network Team", List: "network@lists.example.org", Roster: roster}},
		})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	d := newDoor(t, func(o *Options) { o.People = rules() })
	c := d.enter("nadia@example.org")
	if w := d.visit(http.MethodGet, "/queue/all", nil, c); w.Code != http.StatusOK {
		t.Fatalf("a technician: %d", w.Code)
	}
	roster = nil
	o := options(d.s)
	o.Now, o.People = func() time.Time { return d.now }, rules()
	d.h = open(t, o)
	if w := d.visit(http.MethodGet, "/queue/all", nil, c); w.Code != http.StatusNotFound {
		t.Errorf("after the roster changed: %d", w.Code)
	}
}

// forms are all that changes something, and what it is to do.
var forms = map[string]string{
	"/mail/2/retry": "retry 2", "/mail/2/drop": "drop 2", "/mail/outbox/1/send": "send 1", "/mail/outbox/1/cancel": "cancel 1",
}

func TestT39_FormsAreTakenFromTheViewersOwnPagesAlone(t *testing.T) {
	t.Parallel()
	for path, want := range forms {
		deeds := &deeds{}
		d := newDoor(t, func(o *Options) { o.Desk = deeds })
		mine, nadias := d.enter(admin), d.enter("nadia@example.org")
		token := func(c *http.Cookie) string {
			return regexp.MustCompile(`name="form" value="([^"]+)"`).FindStringSubmatch(d.visit(http.MethodGet, "/account", nil, c).Body.String())[1]
		}
		own := token(mine)
		for _, bad := range []struct {
			name   string
			token  string
			cookie *http.Cookie
			change func(*http.Request)
			status int
		}{
			{"no token", "", mine, nil, 403},
			{"another one's token", token(nadias), mine, nil, 403},
			{"a token of another session", token(d.enter(admin)), mine, nil, 403},
			{"another site", own, mine, func(r *http.Request) { r.Header.Set("Origin", "https://evil.example") }, 403},
			{"no origin", own, mine, func(r *http.Request) { r.Header.Set("Origin", "null") }, 403},
			{"no browser", own, mine, func(r *http.Request) { r.Header.Del("Origin") }, 403},
			{"another site by its metadata", own, mine, func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "same-site") }, 403},
			{"a stranger", own, &http.Cookie{Name: "x", Value: "y"}, nil, 401},
			{"a technician", token(nadias), nadias, nil, 404},
			{"no number", own, mine, func(r *http.Request) {
				r.URL.Path = strings.NewReplacer("/1/", "/x/", "/2/", "/x/").Replace(r.URL.Path)
			}, 404},
		} {
			r := asked(http.MethodPost, path, "", url.Values{"form": {bad.token}})
			r.AddCookie(bad.cookie)
			if bad.change != nil {
				bad.change(r)
			}
			if w := answer(d.h, r); w.Code != bad.status || len(deeds.done) != 0 {
				t.Errorf("%s, %s: got %d, want %d; done: %v", path, bad.name, w.Code, bad.status, deeds.done)
			}
		}
		if w := d.visit(http.MethodGet, path, nil, mine); w.Code != http.StatusNotFound || len(deeds.done) != 0 {
			t.Errorf("GET %s: %d, done: %v", path, w.Code, deeds.done)
		}
		w := d.visit(http.MethodPost, path, url.Values{"form": {own}}, mine)
		if w.Code != http.StatusSeeOther || !strings.HasPrefix(w.Header().Get("Location"), "/mail/") || !slices.Equal(deeds.done, []string{want + " by " + admin}) {
			t.Errorf("%s: %d to %q, done: %v", path, w.Code, w.Header().Get("Location"), deeds.done)
		}
		deeds.err = fmt.Errorf("row 1 of the outbox is sent: it cannot be cancelled")
		if w := d.visit(http.MethodPost, path, url.Values{"form": {own}}, mine); w.Code != http.StatusConflict || !strings.Contains(w.Body.String(), "it cannot be cancelled") {
			t.Errorf("%s refused: %d", path, w.Code)
		}
	}
}

func TestT40_OnlyOnesOwnSessionsCanBeEnded(t *testing.T) {
	t.Parallel()
	d := newDoor(t, nil)
	mine, other, nadias := d.enter(admin), d.enter(admin), d.enter("nadia@example.org")
	page := d.visit(http.MethodGet, "/account", nil, mine).Body.String()
	token := regexp.MustCompile(`name="form" value="([^"]+)"`).FindStringSubmatch(page)[1]
	ends := regexp.MustCompile(`action="(/account/end/\d+)"`).FindAllStringSubmatch(page, -1)
	if len(ends) != 1 {
		t.Fatalf("%d other sessions are shown", len(ends))
	}
	for id := 1; id <= 3; id++ { // the third is nadia's
		d.visit(http.MethodPost, fmt.Sprintf("/account/end/%d", id), url.Values{"form": {token}}, mine)
		if id == 1 {
			mine = d.enter(admin)
			page = d.visit(http.MethodGet, "/account", nil, mine).Body.String()
			token = regexp.MustCompile(`name="form" value="([^"]+)"`).FindStringSubmatch(page)[1]
		}
	}
	if w := d.visit(http.MethodGet, "/account", nil, other); w.Code != http.StatusUnauthorized {
		t.Errorf("an ended session: %d", w.Code)
	}
	if w := d.visit(http.MethodGet, "/account", nil, nadias); w.Code != http.StatusOK {
		t.Errorf("another one's session: %d", w.Code)
	}
	if w := d.visit(http.MethodPost, "/sign-out", url.Values{"form": {token}}, mine); w.Code != http.StatusOK || w.Result().Cookies()[0].MaxAge >= 0 {
		t.Errorf("sign out: %d, %v", w.Code, w.Result().Cookies())
	}
	if w := d.visit(http.MethodGet, "/account", nil, mine); w.Code != http.StatusUnauthorized {
		t.Errorf("signed out: %d", w.Code)
	}
}

func TestT41_OnlyAWebServerOfOursSaysWhoSomebodyIs(t *testing.T) {
	t.Parallel()
	h := open(t, options(busy()))
	for _, tt := range []struct {
		name, remote string
		header       []string
		want         int
	}{
		{"ours", "192.0.2.1:5", []string{admin}, 200},
		{"another machine", "192.0.2.2:5", []string{admin}, 401},
		{"two names", "192.0.2.1:5", []string{"x@example.org", admin}, 401},
		{"no address", "192.0.2.1:5", []string{"root"}, 401},
		{"the desk itself", "192.0.2.1:5", []string{"support@example.org"}, 401},
		{"somebody without a ticket", "192.0.2.1:5", []string{"x@example.org"}, 404},
	} {
		r := asked(http.MethodGet, "/mail", "", nil)
		r.RemoteAddr, r.Header["X-User"] = tt.remote, tt.header
		if w := answer(h, r); w.Code != tt.want {
			t.Errorf("%s: got %d, want %d", tt.name, w.Code, tt.want)
		}
	}
	o := options(busy())
	o.UserHeader = ""
	if w := get(t, open(t, o), "/mail"); w.Code != http.StatusUnauthorized {
		t.Errorf("nobody is to be believed: got %d", w.Code)
	}
}

func TestT40_ClientsCountByWhatIsCertain(t *testing.T) {
	t.Parallel()
	o := options(busy())
	o.Proxies = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/24")}
	p, err := newPage(o)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ remote, forwarded, want string }{
		{"192.0.2.9:5", "", "192.0.2.9"},
		{"192.0.2.9:5", "198.51.100.1", "192.0.2.9"}, // by the client's own word
		{"10.0.0.7:5", "198.51.100.1", "198.51.100.1"},
		{"10.0.0.7:5", "203.0.113.5, 198.51.100.1", "198.51.100.1"},
		{"10.0.0.7:5", "198.51.100.1, 10.0.0.8", "198.51.100.1"},
		{"10.0.0.7:5", "junk", "10.0.0.7"},
		{"[2001:db8:1:2:3::4]:5", "", "2001:db8:1:2::/64"},
		{"[::ffff:192.0.2.9]:5", "", "192.0.2.9"},
	} {
		r := asked(http.MethodGet, "/", "", nil)
		r.RemoteAddr = tt.remote
		if tt.forwarded != "" {
			r.Header.Set("X-Forwarded-For", tt.forwarded)
		}
		if got := p.client(r); got != tt.want {
			t.Errorf("%s, %q: got %s, want %s", tt.remote, tt.forwarded, got, tt.want)
		}
	}
}

// TestT41_ACrawlAsEachRoleSeesNothingOfOthers follows every link that each
// role finds, and asks for all that there is besides.
func TestT41_ACrawlAsEachRoleSeesNothingOfOthers(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		s := seed(t, url, 5)
		inner := privateTicket(t, s)
		h := open(t, options(s))
		all := []string{"/", "/mine", "/account", "/sign-in", "/queue/all", "/queue/all?status=any", "/queue/network-team", "/mail", "/mail/outbox", "/search?q=secret", "/queue/all?requester=juergen@example.org"}
		for i := 1; i <= 12; i++ {
			all = append(all, fmt.Sprintf("/ticket/%d", 1000+i), fmt.Sprintf("/mail/%d", i), fmt.Sprintf("/raw/%d", i), fmt.Sprintf("/attachment/%d/1", i), fmt.Sprintf("/attachment/%d/2", i))
		}
		own, secret, note := "VPN drops", "The secret request", "Only for technicians"
		for _, tt := range []struct {
			who       string
			sees, not []string
		}{
			{"", nil, []string{own, secret, note, "IT-1001", "juergen"}},
			{"stranger@example.org", nil, []string{own, secret, note, "IT-1001", "juergen"}},
			{"lea@example.org", []string{own}, []string{secret, note, fmt.Sprintf("IT-%d", inner), "Raw source", "vpn in the subject"}},
			{"juergen@example.org", []string{own, secret}, []string{note, "Raw source", "vpn in the subject", "Outbox", "Quarantine"}},
			{"nadia@example.org", []string{own, secret, note, "Raw source"}, []string{"Quarantine <", "could not be read"}},
			{admin, []string{own, secret, note, "could not be read"}, nil},
		} {
			text := crawl(t, h, tt.who, all)
			for _, s := range tt.sees {
				if !strings.Contains(text, s) {
					t.Errorf("%q does not see %q", tt.who, s)
				}
			}
			for _, s := range tt.not {
				if at := strings.Index(text, s); at >= 0 {
					t.Errorf("%q sees %q: …%s…", tt.who, s, text[max(0, at-200):min(len(text), at+100)])
				}
			}
		}
	})
}

// privateTicket adds a ticket of juergen's with a work note on it.
func privateTicket(t *testing.T, s *store.Store) (n ticket.Number) {
	t.Helper()
	err := s.Write(context.WithoutCancel(t.Context()), func(tx *store.Tx) error {
		tk, err := tx.NewTicket(store.Ticket{
			Mailbox: "support@example.org", Subject: "The secret request", Requester: "juergen@example.org", Status: ticket.Open, Priority: ticket.Low, Team: triage.NetworkTeam,
		})
		if err != nil {
			return err
		}
		n = tk.Number
		for _, e := range []store.Entry{
			{Ticket: n, Kind: "message", Visibility: "public", Author: "juergen@example.org", Text: "Keep it so."},
			{Ticket: n, Kind: "note", Visibility: "internal", Author: "nadia@example.org", Text: "Only for technicians"},
		} {
			if err := tx.AddEntry(e); err != nil {
				return err
			}
		}
		return tx.AddEvent(store.Event{Ticket: n, What: "priority", Before: "low", After: "high", Reason: "Only for technicians"})
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// crawl gives all that somebody gets to read.
func crawl(t *testing.T, h http.Handler, who string, todo []string) string {
	t.Helper()
	var text strings.Builder
	seen := map[string]bool{}
	for _, at := range todo {
		seen[at] = true
	}
	for len(todo) > 0 {
		at := todo[0]
		todo = todo[1:]
		w := answer(h, asked(http.MethodGet, at, who, nil))
		if w.Code >= 500 {
			t.Errorf("%s as %q: %d", at, who, w.Code)
		}
		text.Write(w.Body.Bytes())
		if !strings.HasPrefix(w.Header().Get("Content-Type"), "text/html") {
			continue
		}
		for _, n := range elements(document(t, w)) {
			href, _ := attr(n, "href")
			if strings.HasPrefix(href, "/") && !seen[href] {
				seen[href] = true
				todo = append(todo, href)
			}
		}
	}
	return text.String()
}

func TestT40_ALinkLeadsItsFormNowhereElse(t *testing.T) {
	t.Parallel()
	h := open(t, options(busy()))
	for token, want := range map[string]string{
		"%252e%252e%2fsign-out": "/sign-in/none", "x": "/sign-in/none", "ANYGQUE47QIX6FD37QIXZ4I4KX": "/sign-in/ANYGQUE47QIX6FD37QIXZ4I4KX",
	} {
		w := answer(h, asked(http.MethodGet, "/sign-in/"+token, "", nil))
		if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), `action="`+want+`"`) {
			t.Errorf("%s: the form leads elsewhere than to %s", token, want)
		}
	}
}
