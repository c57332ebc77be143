package page

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
)

func TestServeLetsAnswersGoOutWhenStopped(t *testing.T) {
	t.Parallel()
	ln, err := Listen("127.0.0.1:0", false)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	begun, release := make(chan struct{}), make(chan struct{})
	served := make(chan error, 1)
	go func() {
		served <- Serve(ctx, ln, nil, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			close(begun)
			<-release
			if r.Context().Err() != nil {
				t.Error("the request was cut off by the stop")
			}
			fmt.Fprint(w, "whole")
		}), slog.New(slog.DiscardHandler))
	}()
	answer := make(chan string, 1)
	go func() {
		client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
		res, err := client.Get("http://" + ln.Addr().String() + "/")
		if err != nil {
			answer <- err.Error()
			return
		}
		defer res.Body.Close()
		b, _ := io.ReadAll(res.Body)
		answer <- string(b)
	}()
	<-begun
	stop()
	close(release)
	if got := <-answer; got != "whole" {
		t.Errorf("got %q", got)
	}
	if err := <-served; err != nil {
		t.Errorf("a stop is no error: %v", err)
	}
	if c, err := net.Dial("tcp", ln.Addr().String()); err == nil {
		c.Close()
		t.Error("it still listens")
	}
}

func TestServeRefusesEndlessHeaders(t *testing.T) {
	t.Parallel()
	base := serve(t, options(busy()))
	r, err := http.NewRequestWithContext(t.Context(), "GET", base+"/", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Long", strings.Repeat("x", 64<<10))
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("got %d, want 431", res.StatusCode)
	}
}

func TestAssetsMayBeKeptForEver(t *testing.T) {
	t.Parallel()
	p, err := newPage(options(busy()))
	if err != nil {
		t.Fatal(err)
	}
	for name, a := range p.assets {
		w := get(t, p.handler(), a.address)
		if w.Code != 200 || w.Body.Len() == 0 || w.Header().Get("Content-Type") != a.mediaType ||
			w.Header().Get("Cache-Control") != "public, max-age=31536000, immutable" {
			t.Errorf("%s: got %d %v", name, w.Code, w.Header())
		}
	}
}

func TestNewSaysWhatIsWrongWithTheOptions(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		change func(*Options)
		want   string
	}{
		{"no source", func(o *Options) { o.Source = nil }, "source: missing"},
		{"no attachments", func(o *Options) { o.Attachment = nil }, "attachment: missing"},
		{"a host with a path", func(o *Options) { o.Hosts = []string{"a/b"} }, `host "a/b"`},
	} {
		o := options(busy())
		tt.change(&o)
		_, err := New(o)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %q", tt.name, err, tt.want)
		}
	}
}
