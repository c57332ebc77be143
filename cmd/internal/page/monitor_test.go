package page

import (
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"deskd/store"
)

// from asks as somebody does who is elsewhere.
func from(t *testing.T, h http.Handler, target, remote string, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := asked(http.MethodGet, target, "", nil)
	r.Host, r.RemoteAddr = "localhost", remote
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestT41_OnlyTheMachineItselfIsToldWhyTheDeskIsNotReady(t *testing.T) {
	t.Parallel()
	if w := from(t, open(t, options(busy())), "/readyz", "127.0.0.1:5"); w.Code != 200 || w.Body.String() != "ready\n" {
		t.Errorf("all well: got %d %q", w.Code, w.Body)
	}
	o := options(busy())
	o.Kept = func() store.Standing {
		return store.Standing{Since: before(6 * time.Minute), Err: "the disk is full"}
	}
	const short, long = "not ready\n", "not ready\nNo mail is taken in or sent, since nothing can be kept (for 6 min): the disk is full\n" +
		"A mail went into quarantine 29 min ago: it could not be handled.\n"
	for _, tt := range []struct {
		name, remote string
		header       []string
		want         string
	}{
		{"from here", "127.0.0.1:5", nil, long},
		{"from here", "[::1]:5", nil, long},
		{"from elsewhere", "192.0.2.7:5", nil, short},
		{"through a proxy", "127.0.0.1:5", []string{"X-Forwarded-For", "192.0.2.7"}, short},
		{"through another", "127.0.0.1:5", []string{"Forwarded", "for=192.0.2.7"}, short},
	} {
		if w := from(t, open(t, o), "/readyz", tt.remote, tt.header...); w.Code != 503 || w.Body.String() != tt.want {
			t.Errorf("%s: got %d %q, want %q", tt.name, w.Code, w.Body, tt.want)
		}
	}
	if w := from(t, open(t, o), "/healthz", "127.0.0.1:5"); w.Code != 503 || w.Body.String() != "degraded\n" {
		t.Errorf("health: got %d %q", w.Code, w.Body)
	}
	if page := get(t, open(t, o), "/").Body.String(); !strings.Contains(page, "the disk is full") {
		t.Error("the dashboard does not say that the disk is full")
	}
}

func TestT43_MetricsHoldFiguresAndNoAddressOrSubject(t *testing.T) {
	t.Parallel()
	m := busy()
	m.beats = append(m.beats, store.Heartbeat{Name: "round:support@example.org", OK: true, At: before(time.Minute), LastOK: before(time.Minute), Took: 1500 * time.Millisecond})
	w := get(t, open(t, options(m)), "/metrics")
	text := w.Body.String()
	if w.Code != 200 {
		t.Fatalf("got %d %s", w.Code, text)
	}
	for _, want := range []string{
		"deskd_mail_flows 1", `deskd_contact_up{contact="imap",mailbox="1"} 1`, `deskd_heartbeat_seconds{mailbox="1"} 1.5`,
		`deskd_tickets_open{priority="critical",team="Network Team"} `, "deskd_outbox_unsent ", "go_goroutines ", "process_resident_memory_bytes ",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not among the metrics:\n%s", want, regexp.MustCompile("(?m)^deskd_.*$").FindAllString(text, -1))
		}
	}
	if strings.Contains(text, "@") || strings.Contains(text, m.tickets[0].Subject) {
		t.Error("an address or a subject is among the metrics")
	}
}

func TestMonitorsMayHaveAListenerOfTheirOwn(t *testing.T) {
	t.Parallel()
	o := options(busy())
	o.MonitorApart = true
	apart, err := Monitor(o)
	if err != nil {
		t.Fatal(err)
	}
	for target, want := range map[string][2]int{"/healthz": {200, 200}, "/readyz": {404, 200}, "/metrics": {404, 200}, "/": {200, 404}, "/mail": {200, 404}} {
		if got := [2]int{get(t, open(t, o), target).Code, get(t, apart, target).Code}; got != want {
			t.Errorf("%s: page and monitor answer %v, want %v", target, got, want)
		}
	}
}
