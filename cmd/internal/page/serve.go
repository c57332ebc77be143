package page

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"sync"
	"time"

	"golang.org/x/net/netutil"
)

// Listen opens an address of this machine alone, "127.0.0.1:8025" or
// "localhost:8025"; with remote, one that other machines may reach: whoever
// says so has seen to it that what is said there is not read on the way (T43).
func Listen(addr string, remote bool) (net.Listener, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, fmt.Errorf("page address %q: want HOST:PORT, such as 127.0.0.1:8025: %w", addr, err)
	}
	if host == "localhost" {
		host = "127.0.0.1" // whatever the machine's tables say that localhost is
	}
	ip, err := netip.ParseAddr(host)
	if !remote && (err != nil || !ip.Unmap().IsLoopback()) {
		return nil, fmt.Errorf("page address %q can be reached from other machines, which could read along: "+
			"use 127.0.0.1:%s, and reach it from afar through a tunnel (ssh -L %[2]s:127.0.0.1:%[2]s), or give the page a certificate", addr, port)
	}
	ln, err := net.Listen("tcp", net.JoinHostPort(host, port))
	if err != nil {
		return nil, fmt.Errorf("listen for the page: %w", err)
	}
	return ln, nil
}

// TLS reads a certificate with its chain, and its key, from files in PEM form.
// They are read again when they change, as they do when a certificate is
// renewed; while what is there is no pair, the one before serves on.
func TLS(certFile, keyFile string, log *slog.Logger) (*tls.Config, error) {
	c := &certificate{certFile: certFile, keyFile: keyFile, log: log}
	if err := c.read(); err != nil {
		return nil, fmt.Errorf("read the page's certificate: %w", err)
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: c.get, NextProtos: []string{"h2", "http/1.1"}}, nil
}

// certificate is a pair of files that may change.
type certificate struct {
	certFile, keyFile string
	log               *slog.Logger

	mu      sync.Mutex
	pair    *tls.Certificate
	changed [2]time.Time // of the files, when they were read
	looked  time.Time
}

// lookAgain is how often the files are looked at.
const lookAgain = time.Minute

func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.looked) >= lookAgain {
		if changed := c.times(); changed != c.changed {
			if err := c.read(); err != nil {
				c.log.Error("page's certificate not read again; the one before is used", "err", err)
			} else {
				c.log.Info("page's certificate read again")
			}
		}
		c.looked = time.Now()
	}
	return c.pair, nil
}

func (c *certificate) read() error {
	c.changed, c.looked = c.times(), time.Now()
	pair, err := tls.LoadX509KeyPair(c.certFile, c.keyFile)
	if err != nil {
		return err
	}
	c.pair = &pair
	return nil
}

func (c *certificate) times() (changed [2]time.Time) {
	for i, name := range []string{c.certFile, c.keyFile} {
		if info, err := os.Stat(name); err == nil {
			changed[i] = info.ModTime()
		}
	}
	return changed
}

const (
	mostConnections = 256
	stopLimit       = 10 * time.Second // for the answers that are on their way
)

// Serve answers on ln until ctx ends, then lets the answers that are on
// their way go out. It closes ln. A stop is no error. Without a TLS
// configuration it speaks plainly.
func Serve(ctx context.Context, ln net.Listener, secured *tls.Config, handler http.Handler, log *slog.Logger) error {
	server := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      2 * time.Minute, // an attachment over a slow line
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
		BaseContext: func(net.Listener) context.Context {
			return context.WithValue(context.WithoutCancel(ctx), stoppingKey{}, ctx.Done())
		},
	}
	served := make(chan error, 1)
	ln, scheme := netutil.LimitListener(ln, mostConnections), "http"
	if secured != nil {
		ln, scheme = tls.NewListener(ln, secured), "https"
	}
	go func() { served <- server.Serve(ln) }()
	log.Info("page is up", "address", scheme+"://"+ln.Addr().String()+"/")

	select {
	case err := <-served:
		return fmt.Errorf("serve the page: %w", err)
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopLimit)
	defer cancel()
	err := server.Shutdown(grace)
	if err != nil {
		_ = server.Close() // whoever still reads has had the time for it
	}
	if e := <-served; e != nil && !errors.Is(e, http.ErrServerClosed) {
		return fmt.Errorf("serve the page: %w", e)
	}
	if err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("stop the page: %w", err)
	}
	return nil
}
