package storetest

import (
	"net"
	"net/url"
	"sync"
	"testing"
)

// Link is a way to a PostgreSQL server that can be frozen: its connections stay
// open, and new ones are taken, but nothing gets through, as when a firewall
// has forgotten them. It ends with the test.
type Link struct {
	URL string // of the database, over the link

	server string
	ln     net.Listener
	gate   sync.RWMutex // locked while frozen
	mu     sync.Mutex   // guards what follows
	frozen bool
	conns  []net.Conn
	ended  bool
	ending sync.WaitGroup
}

// NewLink makes a link to the server of a database's URL.
func NewLink(t testing.TB, database string) *Link {
	t.Helper()
	u, err := url.Parse(database)
	if err != nil {
		t.Fatalf("read the server's URL: %v", err)
	}
	l := &Link{server: u.Host}
	if l.ln, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatalf("listen: %v", err)
	}
	u.Host = l.ln.Addr().String()
	l.URL = u.String()
	l.ending.Go(func() {
		for {
			client, err := l.ln.Accept()
			if err != nil {
				return
			}
			l.ending.Go(func() { l.join(client) })
		}
	})
	t.Cleanup(l.close)
	return l
}

// Freeze lets nothing through until Thaw.
func (l *Link) Freeze() { l.set(true) }

// Thaw lets through what was held up, and all that follows.
func (l *Link) Thaw() { l.set(false) }

func (l *Link) set(frozen bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case frozen == l.frozen:
	case frozen:
		l.gate.Lock()
	default:
		l.gate.Unlock()
	}
	l.frozen = frozen
}

func (l *Link) close() {
	l.Thaw()
	l.ln.Close()
	l.mu.Lock()
	l.ended = true
	for _, c := range l.conns {
		c.Close()
	}
	l.mu.Unlock()
	l.ending.Wait()
}

// keep remembers a connection for close.
func (l *Link) keep(c net.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended {
		c.Close()
	}
	l.conns = append(l.conns, c)
}

func (l *Link) join(client net.Conn) {
	l.keep(client)
	server, err := net.Dial("tcp", l.server)
	if err != nil {
		client.Close()
		return
	}
	l.keep(server)
	l.ending.Go(func() { l.carry(client, server) })
	l.carry(server, client)
}

// carry passes on what comes from one end, and then its end.
func (l *Link) carry(to, from net.Conn) {
	defer to.Close()
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		l.gate.RLock()
		_, failed := to.Write(buf[:n])
		l.gate.RUnlock()
		if err != nil || failed != nil {
			return
		}
	}
}
