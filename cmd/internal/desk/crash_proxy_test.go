//go:build unix

package desk_test

import (
	"bufio"
	"crypto/tls"
	"io"
	"net"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// Moments of a conversation at which a process may die.
const (
	asked     = -1 - iota // the server has not got the command
	answered              // the server has done it, and the client has not got the end of the answer
	literal               // the client has got the first literal of the answer, and not what closes it
	dialled               // the client has connected, and heard nothing yet
	protected             // TLS stands, and nothing was said yet
	greeted               // the client has got the greeting
	// else: the client has got so many bytes of the answer
)

// blow is a point of a conversation: the nth line of the client that fits, and
// the moment of it. There is no line to dialled, protected and greeted.
type blow struct {
	line   *regexp.Regexp
	nth    int // 0 means 1
	moment int
}

// between stands between a client and a server that talk in lines, and passes
// everything on until the blow is struck: then nothing reaches either of them.
// When the client is dead, the server is let finish what it was told.
type between struct {
	ln       net.Listener
	upstream string
	tagged   bool        // answers end with a line that begins with the command's tag (IMAP)
	secured  *tls.Config // the client speaks TLS; nil: it does not
	open     <-chan struct{}
	blow     *blow
	strike   func()            // returns when the client is dead
	heard    func(line string) // of each line of a client
	toll     *toll             // may end it all; nil: nothing is counted
	command  *regexp.Regexp    // lines of the client that the toll counts

	mu     sync.Mutex
	count  int
	ended  bool
	conns  []net.Conn // of clients
	ending sync.WaitGroup
}

// stand begins to listen. Clients are not served before open is closed; nil
// means at once.
func (b *between) stand(t testing.TB) string {
	t.Helper()
	var err error
	if b.ln, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	b.ending.Go(func() {
		for {
			c, err := b.ln.Accept()
			if err != nil {
				return
			}
			if !b.keep(c) {
				return
			}
			b.ending.Go(func() { b.serve(c) })
		}
	})
	t.Cleanup(b.close)
	return b.ln.Addr().String()
}

// keep remembers a connection for close.
func (b *between) keep(c net.Conn) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ended {
		c.Close()
		return false
	}
	b.conns = append(b.conns, c)
	return true
}

// close ends all connections, and waits until the server has done all that it
// was told.
func (b *between) close() {
	b.mu.Lock()
	b.ended = true
	for _, c := range b.conns {
		c.Close()
	}
	b.mu.Unlock()
	b.ln.Close()
	b.ending.Wait()
}

// wait is what the two directions of a connection know of the blow.
type wait struct {
	mu   sync.Mutex
	on   bool
	tag  string
	left int // bytes of the answer that are passed on; below zero: a moment
}

func (b *between) serve(client net.Conn) {
	defer client.Close()
	if b.at(dialled) {
		b.strike()
		return
	}
	if b.secured != nil {
		secure := tls.Server(client, b.secured)
		if secure.Handshake() != nil {
			return
		}
		client = secure
	}
	if b.open != nil {
		gone := make(chan struct{})
		go func() { // a client that is killed meanwhile
			defer close(gone)
			_, _ = client.Read(make([]byte, 1))
		}()
		select {
		case <-b.open:
			// The client waits for the greeting, so that nothing was read.
			_ = client.SetReadDeadline(aLongTimeAgo)
			<-gone
			_ = client.SetReadDeadline(never)
		case <-gone:
			return
		}
	}
	if b.at(protected) {
		b.strike()
		return
	}
	server, err := net.Dial("tcp", b.upstream)
	if err != nil {
		return
	}
	defer server.Close()
	var w wait
	done := make(chan struct{})
	go func() {
		defer close(done)
		b.answers(client, server, &w)
		client.Close()
		// What the server still says goes nowhere, and it says it to its end.
		_ = server.SetReadDeadline(time.Now().Add(10 * time.Second))
		_, _ = io.Copy(io.Discard, server)
	}()
	b.commands(client, server, &w)
	_ = server.(*net.TCPConn).CloseWrite()
	<-done
}

// at says whether the blow is struck at a moment that has no line.
func (b *between) at(moment int) bool { return b.blow != nil && b.blow.moment == moment }

// commands passes on what the client says.
func (b *between) commands(client, server net.Conn, w *wait) {
	lines := bufio.NewReader(client)
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			return
		}
		if b.heard != nil {
			b.mu.Lock()
			b.heard(line)
			b.mu.Unlock()
		}
		if b.meets(line) {
			if b.blow.moment == asked {
				b.strike()
				return
			}
			w.mu.Lock()
			w.on, w.left = true, b.blow.moment
			w.tag, _, _ = strings.Cut(line, " ")
			w.mu.Unlock()
		}
		if b.toll != nil && b.command.MatchString(line) && b.toll.effect() {
			b.strike()
			return
		}
		if !b.pass(server, line) {
			return
		}
	}
}

// pass passes on a line, or as much of it as the toll lets through.
func (b *between) pass(to net.Conn, line string) bool {
	n, over := len(line), false
	if b.toll != nil {
		n, over = b.toll.pass(n)
	}
	_, err := io.WriteString(to, line[:n])
	if over {
		b.strike()
	}
	return err == nil && !over
}

// meets says whether this is the line that the blow is about.
func (b *between) meets(line string) bool {
	if b.blow == nil || b.blow.line == nil || !b.blow.line.MatchString(strings.TrimRight(line, "\r\n")) {
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.count++
	return b.count == max(b.blow.nth, 1)
}

// answers passes on what the server says.
func (b *between) answers(client, server net.Conn, w *wait) {
	lines := bufio.NewReader(server)
	for first := true; ; first = false {
		line, err := lines.ReadString('\n')
		if err != nil {
			return
		}
		w.mu.Lock()
		on, tag, left := w.on, w.tag, w.left
		if left >= 0 {
			w.left -= min(left, len(line))
		}
		w.mu.Unlock()
		switch {
		case !on:
		case left >= 0 && len(line) >= left:
			_, _ = io.WriteString(client, line[:left])
			b.strike()
			return
		case left == answered && (!b.tagged || strings.HasPrefix(line, tag+" ")), left == literal && line == ")\r\n":
			b.strike()
			return
		}
		if !b.pass(client, line) {
			return
		}
		if first && b.at(greeted) {
			b.strike()
			return
		}
	}
}

// toll counts what passes between a process and the world, and says when that
// is enough.
type toll struct {
	lastEffect, lastByte int // the effect that does not come about, and the byte that is the last to pass; 0: none

	mu             sync.Mutex
	effects, bytes int
}

// effect counts a command or a commit that is about to be, and says whether it
// is one too many.
func (t *toll) effect() (over bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.effects++
	return t.effects == t.lastEffect
}

// pass counts bytes, and says how many of them may pass and whether that was
// the end.
func (t *toll) pass(n int) (may int, over bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	before := t.bytes
	t.bytes += n
	if t.lastByte > before && t.lastByte <= t.bytes {
		return t.lastByte - before, true
	}
	return n, false
}
