package page

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"time"

	"golang.org/x/net/netutil"
)

// Listen opens the page's address, "127.0.0.1:8025" or "localhost:8025". As
// long as the page has no sign-in, whoever reaches it may read it; so any
// address that other machines can reach is refused (T43).
func Listen(addr string) (net.Listener, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, fmt.Errorf("page address %q: want HOST:PORT, such as 127.0.0.1:8025: %w", addr, err)
	}
	if host == "localhost" {
		host = "127.0.0.1" // whatever the machine's tables say that localhost is
	}
	ip, err := netip.ParseAddr(host)
	if err != nil || !ip.Unmap().IsLoopback() {
		return nil, fmt.Errorf("page address %q can be reached from other machines, and the page has no sign-in yet: "+
			"use 127.0.0.1:%s, and reach it from afar through a tunnel (ssh -L %[2]s:127.0.0.1:%[2]s) or a proxy that asks who is there", addr, port)
	}
	ln, err := net.Listen("tcp", net.JoinHostPort(host, port))
	if err != nil {
		return nil, fmt.Errorf("listen for the page: %w", err)
	}
	return ln, nil
}

const (
	mostConnections = 256
	stopLimit       = 10 * time.Second // for the answers that are on their way
)

// Serve answers on ln until ctx ends, then lets the answers that are on
// their way go out. It closes ln. A stop is no error.
func Serve(ctx context.Context, ln net.Listener, handler http.Handler, log *slog.Logger) error {
	server := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      2 * time.Minute, // an attachment over a slow line
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
		BaseContext:       func(net.Listener) context.Context { return context.WithoutCancel(ctx) },
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(netutil.LimitListener(ln, mostConnections)) }()
	log.Info("page is up", "address", "http://"+ln.Addr().String()+"/")

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
