// Package porttest gives tests ports for servers that are started as programs
// and cannot be asked for "any free port".
package porttest

import (
	"errors"
	"math/rand/v2"
	"net"
	"strconv"
	"testing"
)

// The range that servers are given stands below the ports that systems take
// for connections out (from 32768 on Linux, from 49152 by RFC 6335, 6):
// otherwise a connection can get the port before the server has started, or
// while it is restarted.
const (
	first = 10000
	count = 10000
)

// Take gives a port of 127.0.0.1 that nobody listens on and that no other test
// gets until release is called, in this process or another. What holds it is
// a listener on the port's twin, count above it.
func Take() (port int, release func(), err error) {
	for range 1000 {
		port = first + rand.IntN(count)
		twin, err := listen(port + count)
		if err != nil {
			continue // another test has the port
		}
		ln, err := listen(port)
		if err != nil {
			_ = twin.Close()
			continue
		}
		_ = ln.Close()
		return port, func() { _ = twin.Close() }, nil
	}
	return 0, nil, errors.New("no port is free")
}

// Free gives such a port, as text, for as long as the test runs. Servers that
// the test starts on it must end in cleanups registered later.
func Free(t testing.TB) string {
	t.Helper()
	port, release, err := Take()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(release)
	return strconv.Itoa(port)
}

func listen(port int) (net.Listener, error) {
	return net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
}
