package page

import (
	"cmp"
	"context"
	"fmt"
	"hash/fnv"
	"net/http"
	"strconv"
	"sync"
	"time"

	"deskd/store"
)

// Bounds of what is told live.
const (
	mostWatchers = 100
	watchFor     = 5 * time.Minute  // then the browser comes again, and is asked who it is
	sayEvery     = 20 * time.Second // so that nothing on the way takes the connection for dead
	lookEvery    = 2 * time.Second
)

// watchers are the browsers that want to hear when something has changed. One
// look into the database serves all of them; without any there is none.
type watchers struct {
	pulse func(ctx context.Context) (store.Pulse, error)
	every time.Duration

	mu   sync.Mutex
	all  map[chan struct{}]string // each with what it knows; empty: nothing yet
	last string                   // what the last look saw
	stop context.CancelFunc
}

// state names what a desk was like, shortly; empty if that is not known.
func (ws *watchers) state(ctx context.Context) string {
	now, err := ws.pulse(ctx)
	if err != nil {
		return "" // the pages themselves say so
	}
	sum := fnv.New64a()
	fmt.Fprint(sum, now)
	return strconv.FormatUint(sum.Sum64(), 36)
}

// join gives a channel that gets a word after each change since the state that
// somebody knows, or from now on where it is empty; false if there are too many
// already.
func (ws *watchers) join(known string) (chan struct{}, bool) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if len(ws.all) >= mostWatchers {
		return nil, false
	}
	if len(ws.all) == 0 {
		ws.all, ws.last = map[chan struct{}]string{}, ""
		var ctx context.Context
		ctx, ws.stop = context.WithCancel(context.Background())
		go ws.watch(ctx)
	}
	c := make(chan struct{}, 1)
	ws.all[c] = cmp.Or(known, ws.last)
	return c, true
}

func (ws *watchers) leave(c chan struct{}) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if delete(ws.all, c); len(ws.all) == 0 {
		ws.stop()
	}
}

func (ws *watchers) watch(ctx context.Context) {
	tick := time.NewTicker(ws.every)
	defer tick.Stop()
	for {
		if now := ws.state(ctx); now != "" {
			ws.tell(now)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

func (ws *watchers) tell(now string) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	ws.last = now
	for c, known := range ws.all {
		ws.all[c] = now
		if known == "" || known == now {
			continue
		}
		select {
		case c <- struct{}{}:
		default: // it has not heard the last word yet
		}
	}
}

type stoppingKey struct{}

// live tells a browser that something has changed, as server-sent events. What
// has changed it finds out by asking for its page again, so that this tells
// nobody more than they may see.
func (p *page) live(w http.ResponseWriter, r *http.Request) {
	known, _ := cut(r.URL.Query().Get("since"), 20)
	news, ok := p.watchers.join(known)
	if !ok {
		w.WriteHeader(http.StatusNoContent) // the browser does not come again
		return
	}
	defer p.watchers.leave(news)
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no") // nginx
	control := http.NewResponseController(w)
	say := func(text string) bool {
		// Until after the next word: HTTP/2 ends the stream at that time, whether
		// anything is being written or not.
		_ = control.SetWriteDeadline(time.Now().Add(2 * sayEvery))
		_, err := fmt.Fprint(w, text)
		return err == nil && control.Flush() == nil
	}
	if !say("retry: 5000\n\n") {
		return
	}
	stopping, _ := r.Context().Value(stoppingKey{}).(<-chan struct{})
	enough, quiet := time.NewTimer(watchFor), time.NewTicker(sayEvery)
	defer enough.Stop()
	defer quiet.Stop()
	for {
		text := ": nothing new\n\n"
		select {
		case <-news:
			text = "event: changed\ndata:\n\n"
		case <-quiet.C:
		case <-enough.C:
			return
		case <-stopping:
			return
		case <-r.Context().Done():
			return
		}
		if !say(text) {
			return
		}
	}
}
