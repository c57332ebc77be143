package page

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"

	"deskd/store"
	"deskd/store/storetest"
	"deskd/triage"
	"deskd/triage/ticket"
)

// envAxe names a file with axe-core (axe.min.js), which .ci/run fetches.
const envAxe = "DESKD_TEST_AXE"

// TestPagesAreAccessible has axe-core look at every designed page, in both
// schemes and at both sizes: it finds nothing serious (WCAG 2.2 A and AA).
func TestPagesAreAccessible(t *testing.T) {
	if testing.Short() {
		t.Skip("axe-core looks at every page in full runs")
	}
	file := os.Getenv(envAxe)
	if file == "" {
		if os.Getenv(storetest.EnvServers) == "required" {
			t.Fatalf("%s names no file with axe-core", envAxe)
		}
		t.Skipf("%s names no file with axe-core", envAxe)
	}
	axe, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	b := startBrowser(t)
	for _, tt := range goldenPages() {
		o := options(tt.source)
		o.Held = func() string { return tt.held }
		b.who = by(tt.who)
		base := serve(t, o)
		for _, width := range []int{390, 1440} {
			for _, scheme := range []string{"light", "dark"} {
				b.show(t, width, 900, scheme)
				b.open(t, base+tt.target)
				b.eval(t, string(axe)+"; true", new(bool))
				var found []struct {
					ID, Impact, Help string
					Nodes            []struct{ HTML string }
				}
				b.eval(t, `axe.run(document, {runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}).then(r => r.violations)`, &found)
				for _, v := range found {
					if v.Impact == "serious" || v.Impact == "critical" {
						t.Errorf("%s, %d px, %s: %s: %s: %s", tt.name, width, scheme, v.ID, v.Help, v.Nodes[0].HTML)
					}
				}
			}
		}
	}
}

// house is a page over a real store, as the daemon serves it.
type house struct {
	s    *store.Store
	base string

	mu      sync.Mutex
	letters []Letter
	deeds   chan string
}

func newHouse(t *testing.T) *house {
	t.Helper()
	h := &house{s: seed(t, storetest.SQLite(t), 3), deeds: make(chan string, 8)}
	o := options(h.s)
	o.UserHeader, o.Proxies = "", nil
	o.Desk = told{h.deeds}
	o.Send = func(l Letter) {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.letters = append(h.letters, l)
	}
	h.base = serve(t, o)
	return h
}

// last is the newest letter, and where its link leads on this house's port.
func (h *house) last(t *testing.T) (l Letter, link string) {
	t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	l = h.letters[len(h.letters)-1]
	u, err := url.Parse(l.Link)
	if err != nil {
		t.Fatal(err)
	}
	return l, h.base + u.Path
}

// told tells what the desk was asked for.
type told struct{ deeds chan string }

func (d told) Retry(_ context.Context, id int64, actor string) (store.Fate, ticket.Number, error) {
	d.deeds <- fmt.Sprintf("retry %d by %s", id, actor)
	return "", 0, nil
}
func (d told) Dismiss(context.Context, int64, string) error   { return nil }
func (d told) SendAgain(context.Context, int64, string) error { return nil }
func (d told) Cancel(context.Context, int64, string) error    { return nil }

// press sends a key to the page.
func (b *browser) press(t *testing.T, key string) {
	t.Helper()
	code := map[string]int{"Tab": 9, "Enter": 13}[key]
	text := map[string]string{"Enter": "\r"}[key]
	for _, kind := range []string{"keyDown", "keyUp"} {
		b.call(t, "Input.dispatchKeyEvent", map[string]any{"type": kind, "key": key, "code": key, "windowsVirtualKeyCode": code, "text": text}, nil)
		text = ""
	}
}

// write types into what has the focus.
func (b *browser) write(t *testing.T, text string) {
	t.Helper()
	b.call(t, "Input.insertText", map[string]any{"text": text}, nil)
}

// follow presses Enter, and waits for the page that comes of it.
func (b *browser) follow(t *testing.T) {
	t.Helper()
	before := b.loads
	b.press(t, "Enter")
	b.loaded(t, before)
}

func (b *browser) text(t *testing.T) (s string) {
	t.Helper()
	b.eval(t, `document.title + "\n" + document.body.innerText`, &s)
	return s
}

// focus gives what has the focus: its words, or its name.
func (b *browser) focus(t *testing.T) (s string) {
	t.Helper()
	b.eval(t, `(e => (e.innerText || e.getAttribute("aria-label") || e.name || e.tagName).trim())(document.activeElement)`, &s)
	return s
}

// begins waits until a page has put the focus where it is to begin: browsers do
// so when they draw it.
func (b *browser) begins(t *testing.T, what string) {
	t.Helper()
	for range 100 {
		if b.focus(t) == what {
			return
		}
		b.call(t, "Page.captureScreenshot", map[string]any{}, nil)
	}
	t.Fatalf("%q does not get the focus, %q has it", what, b.focus(t))
}

// reach presses Tab until something has the focus, which must be seen.
func (b *browser) reach(t *testing.T, what string) {
	t.Helper()
	var met []string
	for range 60 {
		b.press(t, "Tab")
		now := b.focus(t)
		if strings.HasPrefix(now, what) {
			var seen bool
			b.eval(t, `(s => s.outlineStyle !== "none" && parseFloat(s.outlineWidth) >= 2)(getComputedStyle(document.activeElement))`, &seen)
			if !seen {
				t.Errorf("%q has the focus, and nothing shows it", what)
			}
			return
		}
		met = append(met, now)
	}
	t.Fatalf("%q is not reached by Tab: %q", what, met)
}

// TestAWholeVisitByKeyboard signs in, reads and changes something in a real
// browser with the keyboard alone: once with scripts, once without.
func TestAWholeVisitByKeyboard(t *testing.T) {
	b := startBrowser(t)
	b.who = ""
	for _, scripts := range []bool{true, false} {
		b.call(t, "Emulation.setScriptExecutionDisabled", map[string]any{"value": !scripts}, nil)
		h := newHouse(t)
		b.show(t, 390, 844, "light")
		b.open(t, h.base+"/queue/all")
		if !strings.Contains(b.text(t), "Your mail address") {
			t.Fatalf("a stranger is not asked to sign in:\n%s", b.text(t))
		}
		b.begins(t, "address")
		b.write(t, admin)
		b.follow(t)
		l, link := h.last(t)
		if scripts {
			b.begins(t, "code")
			b.write(t, strings.ToLower(l.Code))
		} else {
			b.open(t, link)
			b.begins(t, "Sign in")
		}
		b.follow(t)
		if !strings.HasPrefix(b.text(t), "Overview") {
			t.Fatalf("not signed in:\n%s", b.text(t))
		}
		b.reach(t, "Skip to content")
		b.reach(t, "Queues")
		b.follow(t)
		b.reach(t, "VPN drops (0)")
		b.follow(t)
		if got := b.text(t); !strings.Contains(got, "The VPN drops.") || !strings.Contains(got, "Network Team") {
			t.Errorf("the ticket:\n%s", got)
		}
		b.reach(t, "q") // what to search for
		b.write(t, "drops jürgen")
		b.follow(t)
		if got := b.text(t); !strings.HasPrefix(got, "drops jürgen · Search") || !strings.Contains(got, "VPN drops (2)") {
			t.Errorf("the search finds:\n%s", got)
		}
		b.reach(t, "Mail")
		b.follow(t)
		b.reach(t, "Quarantine")
		b.follow(t)
		b.reach(t, "?")
		b.follow(t)
		b.reach(t, "Read it again")
		b.follow(t)
		select {
		case got := <-h.deeds:
			if got != "retry 2 by "+admin {
				t.Errorf("done: %s", got)
			}
		default:
			t.Error("nothing was done")
		}
		b.reach(t, "Account")
		b.follow(t)
		b.reach(t, "Sign out")
		b.follow(t)
		b.open(t, h.base+"/mail")
		if !strings.Contains(b.text(t), "Your mail address") {
			t.Errorf("signed out:\n%s", b.text(t))
		}
		for _, s := range b.complaints() {
			t.Errorf("the browser says: %s", s)
		}
	}
}

// TestNewsComeWithoutAReload opens a queue in a real browser, and then a ticket.
func TestNewsComeWithoutAReload(t *testing.T) {
	b := startBrowser(t)
	s := seed(t, storetest.SQLite(t), 3)
	base := serve(t, options(s))
	b.open(t, base+"/queue/all")
	b.eval(t, `window.same = true`, new(bool)) // gone after a reload
	if err := s.Write(t.Context(), func(tx *store.Tx) error {
		n, err := tx.NewTicket(store.Ticket{
			Mailbox: "support@example.org", Subject: "Brand new", Requester: "eve@example.org", Status: ticket.Open, Priority: ticket.Low, Team: triage.NetworkTeam,
		})
		if err != nil {
			return err
		}
		return tx.AddEvent(store.Event{Ticket: n.Number, What: "created"})
	}); err != nil {
		t.Fatal(err)
	}
	var same bool
	b.eval(t, `new Promise(come => {
		const look = () => document.body.innerText.includes("Brand new") && come(window.same === true);
		new MutationObserver(look).observe(document.body, {subtree: true, childList: true});
		look();
	})`, &same)
	if !same {
		t.Error("the page was loaded again")
	}
	for _, s := range b.complaints() {
		t.Errorf("the browser says: %s", s)
	}
	b.open(t, "about:blank")
}

// TestPagesSayTheSameWithoutScripts compares what is read with and without.
func TestPagesSayTheSameWithoutScripts(t *testing.T) {
	b := startBrowser(t)
	base := serve(t, options(busy()))
	for _, target := range []string{"/", "/queue/all", "/ticket/1055", "/mail", "/mail/outbox"} {
		var got [2]string
		for i, off := range []bool{true, false} {
			b.call(t, "Emulation.setScriptExecutionDisabled", map[string]any{"value": off}, nil)
			b.open(t, base+target)
			got[i] = b.text(t)
		}
		if got[0] != got[1] || len(got[0]) < 200 {
			t.Errorf("%s says something else without scripts:\n%s\n%s", target, got[0], got[1])
		}
	}
}
