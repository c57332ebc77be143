package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"time"

	"deskd/mailout"
	"deskd/triage"
)

// lineFault is what a line does to what a server says, from some byte on.
type lineFault string

// The faults of a line.
const (
	sound     lineFault = "sound"
	latency   lineFault = "latency"    // every piece comes late
	sliced    lineFault = "sliced"     // byte by byte
	cutOff    lineFault = "cut"        // the end, after n bytes
	resetBy   lineFault = "reset"      // likewise, by a reset
	blackHole lineFault = "black hole" // nothing more in either direction, and no end
	halfClose lineFault = "half close" // the server says nothing more, and listens still
	garbage   lineFault = "garbage"    // random bytes between the server's
)

var lineFaults = []lineFault{latency, sliced, cutOff, resetBy, blackHole, halfClose, garbage}

// line passes connections on to a server; each has a fault of its own.
type line struct {
	ln    net.Listener
	to    string
	fault func(nth int) (f lineFault, after int) // of the nth connection, from 0
	work  sync.WaitGroup
	mu    sync.Mutex
	count int
	conns map[net.Conn]bool
}

func newLine(t *testing.T, to string, fault func(nth int) (lineFault, int)) *line {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &line{ln: ln, to: to, fault: fault, conns: map[net.Conn]bool{}}
	l.work.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			l.work.Go(func() { l.pass(conn) })
		}
	})
	t.Cleanup(func() {
		ln.Close()
		l.cut()
		l.work.Wait()
	})
	return l
}

// always is one fault for all connections, at once.
func always(f lineFault) func(int) (lineFault, int) {
	return func(int) (lineFault, int) { return f, 0 }
}

// cut ends all connections there are, by a reset.
func (l *line) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for c := range l.conns {
		_ = c.(*net.TCPConn).SetLinger(0)
		c.Close()
	}
}

func (l *line) pass(client net.Conn) {
	defer client.Close()
	server, err := net.Dial("tcp", l.to)
	if err != nil {
		return
	}
	defer server.Close()
	l.mu.Lock()
	f, after := l.fault(l.count)
	l.count++
	l.conns[client], l.conns[server] = true, true
	l.mu.Unlock()
	defer func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.conns, client)
		delete(l.conns, server)
	}()
	hole := make(chan struct{})
	asking := make(chan struct{})
	go func() { // what the client says
		defer close(asking)
		buf := make([]byte, 4096)
		for {
			n, err := client.Read(buf)
			select {
			case <-hole:
				if err != nil {
					server.Close()
					return
				}
				continue
			default:
			}
			if _, failed := server.Write(buf[:n]); err != nil || failed != nil {
				server.Close()
				return
			}
		}
	}()
	l.answer(client, server, f, after, hole)
	<-asking
}

// answer passes on what the server says, as far as the fault lets it.
func (l *line) answer(client, server net.Conn, f lineFault, left int, hole chan struct{}) {
	random := rand.New(rand.NewPCG(1, uint64(left)))
	buf := make([]byte, 4096)
	for {
		n, err := server.Read(buf)
		b := buf[:n]
		switch f {
		case latency:
			time.Sleep(15 * time.Millisecond) // the fault itself
		case sliced:
			for len(b) > 1 {
				if _, err := client.Write(b[:1]); err != nil {
					return
				}
				b = b[1:]
			}
		case cutOff, resetBy, blackHole, halfClose, garbage:
			if left -= len(b); left >= 0 {
				break
			}
			_, _ = client.Write(b[:len(b)+left])
			rest := b[len(b)+left:]
			switch f {
			case resetBy:
				_ = client.(*net.TCPConn).SetLinger(0)
				client.Close()
				return
			case cutOff:
				client.Close()
				return
			case halfClose:
				_ = client.(*net.TCPConn).CloseWrite()
				_, _ = io.Copy(io.Discard, server)
				return
			case blackHole:
				close(hole)
				_, _ = io.Copy(io.Discard, server)
				return
			case garbage:
				noise := make([]byte, 64)
				for i := range noise {
					noise[i] = byte(random.Uint32())
				}
				b, left = append(noise, bytes.Clone(rest)...), 1<<30
			}
		}
		if _, failed := client.Write(b); err != nil || failed != nil {
			client.Close()
			return
		}
	}
}

// TestF10_FaultsOfTheLineToTheMailboxLoseAndDoubleNothing has the first
// connections to the IMAP server go wrong at several of its steps.
func TestF10_FaultsOfTheLineToTheMailboxLoseAndDoubleNothing(t *testing.T) {
	t.Parallel()
	// From the greeting to the end of the bodies, as the answers come.
	steps := []int{0, 40, 160, 400, 700, 1100, 1600, 2200, 3000, 4500}
	for _, f := range lineFaults {
		t.Run(string(f), func(t *testing.T) {
			t.Parallel()
			for from := 0; from < len(steps); from += 2 {
				l := newLoad(t, t.TempDir()+"/deskd.db")
				broken := newLine(t, l.system.imap, func(nth int) (lineFault, int) {
					if nth < 2 {
						return f, steps[from+nth]
					}
					return sound, 0
				})
				l.system.imap = broken.ln.Addr().String()
				l.send(8)
				d := start(t, replace(t, l.settings("one", ""), "    poll: 1s\n", "    poll: 1s\n    command_time: 1s\n    body_time: 1s\n    idle: 10s\n"))
				l.settled()
				d.kill()
				l.judge(0)
			}
		})
	}
}

// TestF30_FaultsOfTheLineToTheMailServerRepeatAtMostOnce sends one mail until it
// is taken, over connections that go wrong at several steps.
func TestF30_FaultsOfTheLineToTheMailServerRepeatAtMostOnce(t *testing.T) {
	t.Parallel()
	for _, f := range lineFaults {
		t.Run(string(f), func(t *testing.T) {
			t.Parallel()
			// The greeting, EHLO, AUTH, MAIL, RCPT, DATA and the final dot.
			for after := 0; after < 420; after += 30 {
				l := newLoad(t, "")
				broken := newLine(t, l.system.smtp, func(nth int) (lineFault, int) {
					if nth == 0 {
						return f, after
					}
					return sound, 0
				})
				m, err := mailout.New(mailout.Config{
					Address: broken.ln.Addr().String(), Security: mailout.Plain, Username: "support@example.com", Password: "demo", Hello: "localhost", Connections: 1,
				}, mailout.Identity{Name: "Desk", Prefix: "IT", Host: "example.com", ListID: "support.example.com", Signer: triage.NewSigner(l.key)}, slog.New(slog.DiscardHandler))
				if err != nil {
					t.Fatal(err)
				}
				raw := crlf(fmt.Sprintf("From: support@example.com\nTo: ann@example.com\nSubject: x\nMessage-ID: <%d@line.example>\n\nHello.\n", after))
				tries := 0
				for ; tries < 5; tries++ {
					limit := patience
					if tries == 0 { // which meets the fault
						limit = 1500 * time.Millisecond
					}
					ctx, cancel := context.WithTimeout(t.Context(), limit)
					_, err = m.Send(ctx, mailout.Envelope{From: "support@example.com", To: "ann@example.com", Data: []byte(raw), Attempt: tries + 1})
					cancel()
					if err == nil {
						break
					}
				}
				m.Close()
				got := l.server.Mailbox("ann@example.com", "")
				if err != nil || len(got) == 0 || len(got) > 2 {
					t.Errorf("after %d bytes: %d attempts, %v; the server has %d copies", after, tries+1, err, len(got))
				}
				for _, c := range got {
					if !bytes.Equal(body(c), body([]byte(raw))) {
						t.Errorf("after %d bytes: other bytes arrived: %q", after, c)
					}
				}
			}
		})
	}
}
