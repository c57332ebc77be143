package page

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"deskd/triage"
)

func TestT38_DownloadsAreNeverPages(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, want string }{
		{"plan.svg", `attachment; filename="plan.svg"; filename*=UTF-8''plan.svg`},
		{"index.html", `attachment; filename="index.html"; filename*=UTF-8''index.html`},
		{"data.xml", `attachment; filename="data.xml"; filename*=UTF-8''data.xml`},
		{"paper.pdf", `attachment; filename="paper.pdf"; filename*=UTF-8''paper.pdf`},
		{"Übersicht 1.pdf", `attachment; filename="_bersicht 1.pdf"; filename*=UTF-8''%C3%9Cbersicht%201.pdf`},
		{"a\"; filename=evil.exe", `attachment; filename="a__ filename=evil.exe"; filename*=UTF-8''a%22%3B%20filename%3Devil.exe`},
		{"x\r\nSet-Cookie: a=b", `attachment; filename="xSet-Cookie_ a=b"; filename*=UTF-8''xSet-Cookie_%20a%3Db`},
		{"../../etc/passwd", `attachment; filename="_.._etc_passwd"; filename*=UTF-8''_.._etc_passwd`},
		{"a\u202Efdp.exe", `attachment; filename="afdp.exe"; filename*=UTF-8''afdp.exe`},
		{"", `attachment; filename="part-2"; filename*=UTF-8''part-2`},
		{"...", `attachment; filename="file"; filename*=UTF-8''file`},
	} {
		o := options(busy())
		const evil = `<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>`
		o.Attachment = func([]byte, string) ([]byte, triage.Attachment, error) {
			return []byte(evil), triage.Attachment{Name: tt.name, Type: "image/svg+xml"}, nil
		}
		w := get(t, open(t, o), "/attachment/71/2")
		if w.Code != 200 || w.Body.String() != evil {
			t.Errorf("%q: got %d %q", tt.name, w.Code, w.Body)
		}
		for name, want := range map[string]string{
			"Content-Disposition": tt.want, "Content-Type": "application/octet-stream", "X-Content-Type-Options": "nosniff",
			"Cache-Control": "no-store", "Content-Security-Policy": filePolicy,
		} {
			if got := w.Header().Get(name); got != want {
				t.Errorf("%q: %s: got %q, want %q", tt.name, name, got, want)
			}
		}
	}
	w := get(t, open(t, options(busy())), "/raw/28")
	if got := w.Header().Get("Content-Type"); got != "application/octet-stream" {
		t.Errorf("raw source: Content-Type: got %q", got)
	}
	if got, want := w.Header().Get("Content-Disposition"), `attachment; filename="mail-28.eml"; filename*=UTF-8''mail-28.eml`; got != want {
		t.Errorf("raw source: got %q, want %q", got, want)
	}
	if !strings.HasPrefix(w.Header().Get("Content-Security-Policy"), "sandbox;") {
		t.Error("raw source: no sandbox")
	}
}

func TestT38_DownloadsWaitForEachOther(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := options(busy())
		var reads atomic.Int64
		release := make(chan struct{})
		o.Attachment = func([]byte, string) ([]byte, triage.Attachment, error) {
			reads.Add(1)
			<-release
			return nil, triage.Attachment{}, nil
		}
		h := open(t, o)
		done := make(chan int, mostLoads)
		for _, who := range []string{admin, "nadia@example.org"} {
			go func() { done <- answer(h, asked("GET", "/attachment/71/2", who, nil)).Code }()
		}
		synctest.Wait()
		for _, who := range []string{admin, "omar@example.org"} { // they wait in vain
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			if w := answer(h, asked("GET", "/attachment/71/2", who, nil).WithContext(ctx)); w.Code != http.StatusServiceUnavailable {
				t.Errorf("one download too many, of %s: got %d, want 503", who, w.Code)
			}
			cancel()
		}
		close(release)
		for range mostLoads {
			if got := <-done; got != http.StatusOK {
				t.Errorf("download: got %d, want 200", got)
			}
		}
		if n := reads.Load(); n != mostLoads {
			t.Errorf("%d mails were read at once, want %d", n, mostLoads)
		}
		if w := answer(h, asked("GET", "/attachment/71/2", "omar@example.org", nil)); w.Code != http.StatusOK {
			t.Errorf("afterwards: got %d, want 200", w.Code)
		}
	})
}

// stalled is a line that takes nothing until it is released.
type stalled struct {
	http.ResponseWriter
	release chan struct{}
	begun   atomic.Bool
}

func (s *stalled) Write(b []byte) (int, error) {
	s.begun.Store(true)
	<-s.release
	return s.ResponseWriter.Write(b)
}

func TestT38_SlowDownloadsHoldUpNobodyElse(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		half := make([]byte, mostSending/2) // of the room
		o := options(busy())
		o.Attachment = func([]byte, string) ([]byte, triage.Attachment, error) {
			return half, triage.Attachment{}, nil
		}
		h := open(t, o)
		const requester, participant, technician = "juergen.weiss@example.org", "lea@example.org", "nadia@example.org"
		release := make(chan struct{})
		defer close(release)
		slow := func(who string) *stalled {
			line := &stalled{ResponseWriter: httptest.NewRecorder(), release: release}
			go h.ServeHTTP(line, asked("GET", "/attachment/71/2", who, nil))
			synctest.Wait()
			return line
		}
		quick := func(who string) {
			t.Helper()
			if w := answer(h, asked("GET", "/attachment/71/2", who, nil)); w.Code != http.StatusOK || w.Body.Len() != len(half) {
				t.Errorf("%s: got %d and %d bytes", who, w.Code, w.Body.Len())
			}
		}
		if !slow(requester).begun.Load() {
			t.Error("the first one does not begin")
		}
		for range 2 {
			if slow(requester).begun.Load() {
				t.Error("somebody has several downloads")
			}
		}
		quick(participant)
		if !slow(participant).begun.Load() { // now the room is full
			t.Error("the participant's does not begin")
		}
		quick(technician)
	})
}
