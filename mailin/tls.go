package mailin

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
)

// tls gives the settings for a protected connection (T46). The error names the
// key.
func (c Config) tls() (*tls.Config, error) {
	host, _, err := net.SplitHostPort(c.Server)
	if err != nil {
		return nil, fmt.Errorf("server: %w", err)
	}
	out := &tls.Config{ServerName: host, MinVersion: tls.VersionTLS12}
	if c.CAFile == "" {
		return out, nil
	}
	pem, err := os.ReadFile(c.CAFile)
	if err != nil {
		return nil, fmt.Errorf("ca_file: cannot be read; give a PEM file that deskd may read: %w", err)
	}
	if out.RootCAs, err = x509.SystemCertPool(); err != nil {
		out.RootCAs = x509.NewCertPool()
	}
	if !out.RootCAs.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("ca_file: %s holds no certificate; give a PEM file that begins with -----BEGIN CERTIFICATE-----", c.CAFile)
	}
	return out, nil
}

// secure makes a protected connection out of a fresh one, as the settings
// want it. It closes nothing. State is nil for a plain connection.
func (c Config) secure(ctx context.Context, raw net.Conn) (conn net.Conn, state *tls.ConnectionState, err error) {
	if c.Security == Plain {
		if a, ok := raw.RemoteAddr().(*net.TCPAddr); ok && !a.IP.IsLoopback() {
			return nil, nil, &NoTLS{Server: c.Server, Detail: "it is not on this machine, and a password would be sent in the clear; set security to tls or starttls"}
		}
		return raw, nil, nil
	}
	settings, err := c.tls()
	if err != nil {
		return nil, nil, err
	}
	if c.Security == STARTTLS {
		if err := startTLS(raw, c.Server); err != nil {
			return nil, nil, err
		}
	}
	t := tls.Client(raw, settings)
	if err := t.HandshakeContext(ctx); err != nil {
		return nil, nil, c.handshakeError(err)
	}
	s := t.ConnectionState()
	if c.Security == STARTTLS {
		return &greeted{Conn: t, greeting: strings.NewReader("* OK protected\r\n")}, &s, nil
	}
	return t, &s, nil
}

// greeted is a connection after STARTTLS. The server greets only once, before
// the handshake, and nothing of that is believed; the library is given a
// greeting that says nothing.
type greeted struct {
	net.Conn
	greeting *strings.Reader
}

func (g *greeted) Read(p []byte) (int, error) {
	if g.greeting.Len() > 0 {
		return g.greeting.Read(p)
	}
	return g.Conn.Read(p)
}

// maxPreamble bounds what a server may say before the handshake.
const maxPreamble = 16 << 10

// startTLS asks for protection on a plain connection (RFC 3501, section
// 6.2.1) and leaves it where the handshake begins.
//
// It reads byte by byte: whatever comes after the answer belongs to the
// handshake, which fails on text that somebody slipped in (T46).
func startTLS(conn net.Conn, server string) error {
	left := maxPreamble
	line := func() (string, error) {
		var b []byte
		for one := make([]byte, 1); ; left-- {
			if left == 0 {
				return "", &Violation{What: fmt.Sprintf("said more than %d bytes before STARTTLS", maxPreamble)}
			}
			if _, err := io.ReadFull(conn, one); err != nil {
				return "", fmt.Errorf("wait for the answer to STARTTLS: %w", err)
			}
			if one[0] == '\n' {
				return string(bytes.TrimRight(b, "\r")), nil
			}
			b = append(b, one[0])
		}
	}
	greeting, err := line()
	switch word := second(greeting); {
	case err != nil:
		return err
	case word == "PREAUTH":
		return &Preauth{Server: server}
	case word == "BYE":
		return &Unavailable{Server: server, Text: clean(greeting)}
	case word != "OK" || !strings.HasPrefix(greeting, "* "):
		return &Violation{What: "did not greet as an IMAP server does"}
	}
	if _, err := io.WriteString(conn, "S1 STARTTLS\r\n"); err != nil {
		return fmt.Errorf("send STARTTLS: %w", err)
	}
	for {
		answer, err := line()
		if err != nil {
			return err
		}
		if !strings.HasPrefix(answer, "S1 ") {
			continue
		}
		if second(answer) != "OK" {
			return &NoTLS{Server: server, Detail: fmt.Sprintf("it refuses STARTTLS (%s); set security to tls with port 993, or mend the server", clean(answer))}
		}
		return nil
	}
}

// second is the second word of a line, in capitals.
func second(line string) string {
	_, rest, _ := strings.Cut(line, " ")
	word, _, _ := strings.Cut(rest, " ")
	return strings.ToUpper(word)
}

// handshakeError says what is wrong with a server's certificate or protocol.
func (c Config) handshakeError(err error) error {
	var (
		verify *tls.CertificateVerificationError
		host   x509.HostnameError
		auth   x509.UnknownAuthorityError
		inv    x509.CertificateInvalidError
		record tls.RecordHeaderError
	)
	switch {
	case errors.As(err, &host):
		return &BadCertificate{Server: c.Server, Detail: "it is for another name; write the server's name as the certificate has it", Err: err}
	case errors.As(err, &auth):
		return &BadCertificate{Server: c.Server, Detail: "nobody we know vouches for it; give the issuer's certificate as ca_file", Err: err}
	case errors.As(err, &inv) && inv.Reason == x509.Expired:
		return &BadCertificate{Server: c.Server, Detail: "it has expired or is not valid yet; renew it, and look at this machine's clock", Err: err}
	case errors.As(err, &verify):
		return &BadCertificate{Server: c.Server, Detail: "it cannot be verified", Err: err}
	case errors.As(err, &record):
		detail := "what it sends is no TLS; set security to starttls, or use port 993"
		if c.Security == STARTTLS {
			detail = "it sent something else than TLS after STARTTLS; somebody may be tampering with the connection"
		}
		return &NoTLS{Server: c.Server, Detail: detail, Err: err}
	}
	return fmt.Errorf("handshake with %s: %w", c.Server, err)
}

// BadCertificate says that the server could not prove who it is.
type BadCertificate struct {
	Server string
	Detail string // what is wrong, and how to mend it
	Err    error
}

func (e *BadCertificate) Error() string {
	return fmt.Sprintf("the certificate of %s is not accepted: %s: %v", e.Server, e.Detail, e.Err)
}

func (e *BadCertificate) Unwrap() error { return e.Err }

// NoTLS says that the connection could not be protected.
type NoTLS struct {
	Server string
	Detail string // what is wrong, and how to mend it
	Err    error  // may be nil
}

func (e *NoTLS) Error() string {
	return fmt.Sprintf("no protected connection to %s: %s", e.Server, e.Detail)
}

func (e *NoTLS) Unwrap() error { return e.Err }
