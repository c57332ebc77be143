//go:build unix

package desk_test

import (
	"bufio"
	"io"
	"net"
	"regexp"
	"strings"
	"sync"
	"testing"
)

// Moments of a command on the wire at which a process may die.
const (
	asked    = -1 // the server has not got the command
	answered = -2 // the server has done it, and the client has not got the end of the answer
	// else: the client has got so many bytes of the answer
)

// blow is a point of a conversation: the nth line of the client that fits, and
// the moment of it.
type blow struct {
	line   *regexp.Regexp
	nth    int // 0 means 1
	moment int
}

// between stands between a client and a server that talk in lines, and passes
// everything on until the blow is struck: then nothing reaches either of them.
type between struct {
	ln       net.Listener
	upstream string
	tagged   bool // answers end with a line that begins with the command's tag (IMAP)
	open     <-chan struct{}
	blow     *blow
	strike   func()            // returns when the client is dead
	heard    func(line string) // of each line of a client

	mu     sync.Mutex
	count  int
	ended  bool
	conns  []net.Conn
	ending sync.WaitGroup
}

// stand begins to listen. Clients are not served before open is closed; nil
// means at once.
func (b *between) stand(t *testing.T) string {
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
	left int // bytes of the answer that are passed on; below zero: all but the end
}

func (b *between) serve(client net.Conn) {
	defer client.Close()
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
	server, err := net.Dial("tcp", b.upstream)
	if err != nil || !b.keep(server) {
		return
	}
	defer server.Close()
	var w wait
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer client.Close()
		b.answers(client, server, &w)
	}()
	b.commands(client, server, &w)
	server.Close()
	<-done
}

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
		if _, err := io.WriteString(server, line); err != nil {
			return
		}
	}
}

// meets says whether this is the line that the blow is about.
func (b *between) meets(line string) bool {
	if b.blow == nil || !b.blow.line.MatchString(strings.TrimRight(line, "\r\n")) {
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
	for {
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
		case left == answered && (!b.tagged || strings.HasPrefix(line, tag+" ")):
			b.strike()
			return
		}
		if _, err := io.WriteString(client, line); err != nil {
			return
		}
	}
}
