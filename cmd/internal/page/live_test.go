package page

import (
	"bufio"
	"context"
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"deskd/mailout/mailouttest"
	"deskd/store"
	"deskd/store/storetest"
)

func TestLiveTellsThatSomethingHasChangedAndNothingElse(t *testing.T) {
	t.Parallel()
	m := busy()
	p, err := newPage(options(m))
	if err != nil {
		t.Fatal(err)
	}
	p.watchers.every = time.Millisecond
	server := httptest.NewServer(p.handler())
	defer server.Close()
	listen := func(who string) (*http.Response, context.CancelFunc) {
		ctx, stop := context.WithCancel(t.Context())
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL+"/live", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.RemoteAddr = "127.0.0.1:5"
		r.Header.Set("X-User", who)
		w, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		return w, stop
	}
	w, stop := listen("nadia@example.org")
	defer stop()
	if got := w.Header.Get("Content-Type"); w.StatusCode != 200 || got != "text/event-stream" {
		t.Fatalf("%d, %s", w.StatusCode, got)
	}
	lines := bufio.NewScanner(w.Body)
	next := func() string {
		for lines.Scan() {
			if s := lines.Text(); s != "" && !strings.HasPrefix(s, ":") {
				return s
			}
		}
		return ""
	}
	if got := next(); got != "retry: 5000" {
		t.Errorf("first: %q", got)
	}
	heard := make(chan string, 1)
	go func() { heard <- next() + next() }()
	for { // whenever the first look comes
		m.events.Add(1)
		select {
		case got := <-heard:
			if got != "event: changeddata:" {
				t.Errorf("news: %q", got)
			}
		case <-time.After(5 * time.Millisecond):
			continue
		}
		break
	}
	stop()
	w.Body.Close()
	for who, want := range map[string]int{"": http.StatusUnauthorized, "ann@example.org": http.StatusNotFound} {
		w, stop := listen(who)
		if w.StatusCode != want {
			t.Errorf("%q: %d", who, w.StatusCode)
		}
		w.Body.Close()
		stop()
	}
}

func TestLiveHasRoomForSoMany(t *testing.T) {
	t.Parallel()
	ws := &watchers{pulse: busy().Pulse, every: time.Hour}
	var all []chan struct{}
	for range mostWatchers {
		c, ok := ws.join("")
		if !ok {
			t.Fatal("no room")
		}
		all = append(all, c)
	}
	if _, ok := ws.join(""); ok {
		t.Error("one too many has room")
	}
	for _, c := range all {
		ws.leave(c)
	}
	c, ok := ws.join("")
	if !ok {
		t.Error("no room after all have left")
	}
	ws.leave(c)
}

func TestPulseChangesWithWhatListsShow(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		s := seed(t, url, 2)
		last, err := s.Pulse(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for what, do := range map[string]func() error{
			"a contact": func() error {
				return s.Beat(t.Context(), store.Heartbeat{Name: "smtp", At: now, OK: true})
			},
			"an event": func() error {
				return s.Write(t.Context(), func(tx *store.Tx) error { return tx.AddEvent(store.Event{What: "x"}) })
			},
			"a mail out": func() error { return s.Write(t.Context(), func(tx *store.Tx) error { return tx.Cancel(1) }) },
		} {
			if err := do(); err != nil {
				t.Fatalf("%s: %v", what, err)
			}
			got, err := s.Pulse(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if got == last {
				t.Errorf("%s: the pulse is the same", what)
			}
			last = got
		}
	})
}

// TestWhatHappensBeforeABrowserListensIsTold: between the making of a page and
// its connection there may be seconds.
func TestWhatHappensBeforeABrowserListensIsTold(t *testing.T) {
	t.Parallel()
	m := &memory{}
	ws := &watchers{pulse: m.Pulse, every: time.Hour} // looks once
	made := ws.state(t.Context())
	if made == "" || ws.state(t.Context()) != made {
		t.Fatalf("state %q changes though nothing happens", made)
	}
	late, _ := ws.join("another")
	same, _ := ws.join(made)
	<-late
	select {
	case <-same:
		t.Error("told though nothing has happened")
	default:
	}
	m.events.Add(1)
	ws.tell(ws.state(t.Context()))
	for _, c := range []chan struct{}{late, same} {
		<-c
		ws.leave(c)
	}
}

// pipes is a network within the test, so that its clock can be the test's own.
type pipes chan net.Conn

func (p pipes) Accept() (net.Conn, error) {
	if c, ok := <-p; ok {
		return c, nil
	}
	return nil, net.ErrClosed
}

func (p pipes) Close() error   { close(p); return nil }
func (p pipes) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 443} }

func (p pipes) dial(context.Context, string, string) (net.Conn, error) {
	near, far := net.Pipe()
	p <- far
	return near, nil
}

// TestQuietDesksKeepTheirListeners has nothing happen for as long as a browser
// listens, by both versions of the protocol: no limit of time may cut it off.
func TestQuietDesksKeepTheirListeners(t *testing.T) {
	t.Parallel()
	secured := mailouttest.NewAuthority(t).Issue(t, "127.0.0.1", time.Now().Add(time.Hour))
	secured.NextProtos = []string{"h2", "http/1.1"}
	for _, version := range []int{1, 2} {
		synctest.Test(t, func(t *testing.T) {
			p, err := newPage(options(busy()))
			if err != nil {
				t.Fatal(err)
			}
			allowed := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				p.live(w, r.WithContext(context.WithValue(r.Context(), viewerKey{}, viewer{role: technician})))
			})
			ctx, stop := context.WithCancel(t.Context())
			line, served := make(pipes), make(chan error, 1)
			go func() { served <- Serve(ctx, line, secured, allowed, slog.New(slog.DiscardHandler)) }()
			client := &http.Transport{
				DialContext: line.dial, ForceAttemptHTTP2: version == 2,
				TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
			}
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://127.0.0.1/live", nil)
			if err != nil {
				t.Fatal(err)
			}
			w, err := client.RoundTrip(r)
			if err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			text, err := io.ReadAll(w.Body)
			if took := time.Since(began); err != nil || w.ProtoMajor != version || took != watchFor {
				t.Errorf("HTTP/%d: cut off after %s, want %s: %q, %v", w.ProtoMajor, took, watchFor, text, err)
			}
			w.Body.Close()
			client.CloseIdleConnections()
			stop()
			if err := <-served; err != nil {
				t.Error(err)
			}
		})
	}
}
