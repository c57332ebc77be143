package page

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/websocket"
)

// envShots names the folder too, for .ci/run.
const envShots = "DESKD_TEST_SHOTS"

var shots = flag.String("shots", os.Getenv(envShots), "folder in which to keep screenshots of the pages")

// TestPagesInARealBrowser looks at every designed page on a telephone and on a
// desk, by day and by night: nothing is wider than the screen, all text stands
// out from its ground, everything that can be tapped is large enough (WCAG 2.2,
// 1.4.3, 1.4.10 and 2.5.8), and the browser has nothing to complain about. So it
// is in German, whose words are longer.
func TestPagesInARealBrowser(t *testing.T) {
	if testing.Short() {
		t.Skip("the browser looks at every page in full runs")
	}
	if *shots != "" {
		if err := os.MkdirAll(*shots, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	b := startBrowser(t)
	for _, tt := range goldenPages() {
		o := options(tt.source)
		o.Held = func() string { return tt.held }
		base := serve(t, o)
		b.who = by(tt.who)
		for _, screen := range []struct {
			name, language string
			width, height  int
			schemes        []string
		}{
			{"phone", "en", 390, 844, []string{"light", "dark"}},
			{"small", "en", 320, 640, []string{"light", "dark"}},
			{"desk", "en", 1440, 900, []string{"light", "dark"}},
			{"german-phone", "de", 390, 844, []string{"light"}},
			{"german-small", "de", 320, 640, []string{"dark"}},
			{"german-desk", "de", 1440, 900, []string{"dark"}},
		} {
			if b.language != screen.language || screen.name == "phone" {
				b.language = screen.language
				b.open(t, base+tt.target)
			}
			for _, scheme := range screen.schemes {
				t.Run(tt.name+"/"+screen.name+"/"+scheme, func(t *testing.T) {
					b.show(t, screen.width, screen.height, scheme)
					var found struct {
						Dark       bool
						Overflow   []string
						Pale, Tiny []string
					}
					b.eval(t, inspection, &found)
					if found.Dark != (scheme == "dark") {
						t.Errorf("dark ground: got %v", found.Dark)
					}
					for _, s := range found.Overflow {
						t.Errorf("wider than the screen: %s", s)
					}
					for _, s := range found.Pale {
						t.Errorf("too little contrast: %s", s)
					}
					for _, s := range found.Tiny {
						t.Errorf("too small to tap: %s", s)
					}
					for _, s := range b.complaints() {
						t.Errorf("the browser says: %s", s)
					}
					if *shots != "" && screen.width != 320 {
						b.shoot(t, filepath.Join(*shots, fmt.Sprintf("%s-%s-%s.png", tt.name, screen.name, scheme)))
					}
				})
			}
		}
	}
}

// inspection runs in the browser, from outside the page (whose policy forbids
// scripts), and tells what a person would stumble over.
const inspection = `(() => {
	const found = {dark: false, overflow: [], pale: [], tiny: []};
	const parse = c => { const m = c.match(/[\d.]+/g).map(Number); if (c.startsWith('color(')) return [m[0]*255, m[1]*255, m[2]*255, m[3] ?? 1]; return [m[0], m[1], m[2], m[3] ?? 1]; };
	const lum = ([r, g, b]) => { const f = v => { v /= 255; return v <= .04045 ? v/12.92 : ((v+.055)/1.055)**2.4; }; return .2126*f(r)+.7152*f(g)+.0722*f(b); };
	const ground = e => { for (; e; e = e.parentElement) { const c = parse(getComputedStyle(e).backgroundColor); if (c[3] > .9) return c; } return [255,255,255,1]; };
	const name = e => e.tagName.toLowerCase() + (e.className && e.className.baseVal === undefined ? '.' + e.className : '') + ' "' + e.textContent.trim().slice(0, 40) + '"';
	found.dark = lum(ground(document.documentElement)) < .2;
	const width = document.documentElement.clientWidth;
	if (document.documentElement.scrollWidth > width) found.overflow.push('the page, ' + document.documentElement.scrollWidth + ' of ' + width);
	for (const e of document.querySelectorAll('body *')) {
		const style = getComputedStyle(e), box = e.getBoundingClientRect();
		if (!box.width || !box.height || style.visibility === 'hidden' || style.clipPath === 'inset(50%)' || e.closest('.unseen, .skip, thead') && style.position === 'absolute') continue;
		if (e.closest('.unseen, .skip')) continue;
		const hiddenHead = e.closest('.list thead');
		if (hiddenHead && getComputedStyle(hiddenHead).position === 'absolute') continue;
		if (!e.closest('svg') && (box.right > width + 1 || box.left < -1)) found.overflow.push(name(e));
		const own = [...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim());
		if (own && !e.closest('svg')) {
			const a = lum(parse(style.color)), g = lum(ground(e));
			const ratio = (Math.max(a, g) + .05) / (Math.min(a, g) + .05);
			const large = parseFloat(style.fontSize) >= 24;
			if (ratio < (large ? 3 : 4.5)) found.pale.push(name(e) + ' ' + ratio.toFixed(2));
		}
		if (e.matches('a, summary') && style.display !== 'inline' && (box.height < 24 || box.width < 24)) found.tiny.push(name(e) + ' ' + box.width.toFixed() + 'x' + box.height.toFixed());
	}
	return found;
})()`

// serve runs the page as the daemon does and gives its address.
func serve(t *testing.T, o Options) string {
	t.Helper()
	ln, err := Listen("127.0.0.1:0", false)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	h := open(t, o)
	go func() { served <- Serve(ctx, ln, nil, h, slog.New(slog.DiscardHandler)) }()
	t.Cleanup(func() {
		stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return "http://" + ln.Addr().String()
}

// browser is a Chromium that is told what to do over its debugging protocol.
type browser struct {
	conn     *websocket.Conn
	session  string // the tab that the commands are about
	next     int
	said     []string
	loads    int    // pages that were there, so far
	who      string // signed in, by the word of a web server; "" is a stranger
	language string // that it asks for
}

type frame struct {
	ID     int             `json:"id"`
	Method string          `json:"method"`
	Params json.RawMessage `json:"params"`
	Result json.RawMessage `json:"result"`
	Error  *struct {
		Message string `json:"message"`
	} `json:"error"`
	Session string `json:"sessionId"`
}

func startBrowser(t *testing.T) *browser {
	t.Helper()
	program := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if p, err := exec.LookPath(name); err == nil {
			program = p
			break
		}
	}
	if program == "" {
		if os.Getenv("DESKD_TEST_SERVERS") == "required" {
			t.Fatal("no Chromium is installed")
		}
		t.Skip("no Chromium is installed")
	}
	profile := t.TempDir()
	cmd := exec.CommandContext(t.Context(), program, "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
		"--disable-dev-shm-usage", "--no-first-run", "--disable-extensions", "--disable-background-networking",
		"--remote-debugging-port=0", "--remote-allow-origins=*", "--user-data-dir="+profile, "about:blank")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	address := make(chan string, 1)
	read := make(chan struct{})
	go func() {
		defer close(read)
		defer close(address)
		lines := bufio.NewScanner(stderr)
		for lines.Scan() {
			if _, url, ok := strings.Cut(lines.Text(), "DevTools listening on "); ok {
				address <- url
			}
		}
	}()
	b := &browser{who: admin, language: "en"}
	t.Cleanup(func() {
		if b.conn != nil {
			b.conn.Close()
		}
		if err := cmd.Cancel(); err != nil && !errors.Is(err, syscall.ESRCH) {
			t.Error(err)
		}
		<-read
		_ = cmd.Wait() // it was killed
	})
	url, ok := <-address
	if !ok {
		t.Fatal("Chromium ended before it said where it listens")
	}
	b.conn, err = websocket.Dial(url, "", "http://localhost/")
	if err != nil {
		t.Fatal(err)
	}
	b.conn.MaxPayloadBytes = 64 << 20
	var target struct{ TargetID string }
	b.call(t, "Target.createTarget", map[string]any{"url": "about:blank"}, &target)
	var tab struct{ SessionID string }
	b.call(t, "Target.attachToTarget", map[string]any{"targetId": target.TargetID, "flatten": true}, &tab)
	b.session = tab.SessionID
	for _, domain := range []string{"Page", "Log", "Audits", "Network", "Runtime"} {
		b.call(t, domain+".enable", struct{}{}, nil)
	}
	return b
}

// call gives a command and waits for its answer; result may be nil.
func (b *browser) call(t *testing.T, method string, params, result any) {
	t.Helper()
	b.next++
	id := b.next
	msg := map[string]any{"id": id, "method": method, "params": params}
	if b.session != "" {
		msg["sessionId"] = b.session
	}
	b.wantSoon(t)
	if err := websocket.JSON.Send(b.conn, msg); err != nil {
		t.Fatal(err)
	}
	f := b.wait(t, func(f frame) bool { return f.ID == id })
	if f.Error != nil {
		t.Fatalf("%s: %s", method, f.Error.Message)
	}
	if result == nil {
		return
	}
	if err := json.Unmarshal(f.Result, result); err != nil {
		t.Fatal(err)
	}
}

// wantSoon gives the browser two minutes for the next thing.
func (b *browser) wantSoon(t *testing.T) {
	t.Helper()
	if err := b.conn.SetDeadline(time.Now().Add(2 * time.Minute)); err != nil {
		t.Fatal(err)
	}
}

// wait reads until the frame that is asked for, and keeps what the browser
// complains about on the way.
func (b *browser) wait(t *testing.T, wanted func(frame) bool) frame {
	t.Helper()
	b.wantSoon(t)
	for {
		var f frame
		if err := websocket.JSON.Receive(b.conn, &f); err != nil {
			t.Fatal(err)
		}
		switch f.Method {
		case "Log.entryAdded", "Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Audits.issueAdded":
			b.said = append(b.said, string(f.Params))
		}
		if f.Method == "Page.loadEventFired" {
			b.loads++
		}
		if wanted(f) {
			return f
		}
	}
}

// open goes to an address and waits until the page is there.
func (b *browser) open(t *testing.T, address string) {
	t.Helper()
	b.said = nil
	before := b.loads
	var gone struct{ ErrorText string }
	b.call(t, "Network.setExtraHTTPHeaders", map[string]any{"headers": b.headers()}, nil)
	b.call(t, "Page.navigate", map[string]any{"url": address}, &gone)
	if gone.ErrorText != "" {
		t.Fatalf("%s: %s", address, gone.ErrorText)
	}
	b.loaded(t, before)
}

// loaded waits until a page is there that was not before. The browser may have
// said so while the answer to a command was waited for.
func (b *browser) loaded(t *testing.T, before int) {
	t.Helper()
	if b.loads == before {
		b.wait(t, func(frame) bool { return b.loads != before })
	}
}

func (b *browser) headers() map[string]string {
	h := map[string]string{"Accept-Language": b.language}
	if b.who != "" {
		h["X-User"] = b.who
	}
	return h
}

// show gives the page a screen of that size, by day or by night.
func (b *browser) show(t *testing.T, width, height int, scheme string) {
	t.Helper()
	b.call(t, "Emulation.setDeviceMetricsOverride", map[string]any{"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 700}, nil)
	b.call(t, "Emulation.setEmulatedMedia", map[string]any{"features": []any{map[string]string{"name": "prefers-color-scheme", "value": scheme}}}, nil)
}

func (b *browser) eval(t *testing.T, script string, result any) {
	t.Helper()
	var answer struct {
		Result           struct{ Value json.RawMessage }
		ExceptionDetails json.RawMessage
	}
	b.call(t, "Runtime.evaluate", map[string]any{"expression": script, "returnByValue": true, "awaitPromise": true}, &answer)
	if answer.ExceptionDetails != nil {
		t.Fatalf("the inspection itself failed: %s", answer.ExceptionDetails)
	}
	if err := json.Unmarshal(answer.Result.Value, result); err != nil {
		t.Fatal(err)
	}
}

// complaints are what the browser wrote to its console, but for the status of
// a page that is an error page on purpose.
func (b *browser) complaints() []string {
	var list []string
	for _, s := range b.said {
		if !strings.Contains(s, `"source":"network"`) || !strings.Contains(s, "the server responded with a status of") {
			list = append(list, s)
		}
	}
	return list
}

func (b *browser) shoot(t *testing.T, file string) {
	t.Helper()
	var shot struct{ Data string }
	b.call(t, "Page.captureScreenshot", map[string]any{"captureBeyondViewport": true}, &shot)
	data, err := base64.StdEncoding.DecodeString(shot.Data)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, data, 0o644); err != nil {
		t.Fatal(err)
	}
}
