package demomail

import (
	"bytes"
	"errors"
	"io"
	"net"
	"slices"
	"sync"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
)

// submission is one SMTP connection.
type submission struct {
	server *Server
	helo   string
	peer   string

	mu    sync.Mutex // BDAT runs Data beside the goroutine of the connection
	login string
	from  string
	to    []address
}

func (s *Server) newSubmission(c *smtp.Conn) (smtp.Session, error) {
	peer, _, err := net.SplitHostPort(c.Conn().RemoteAddr().String())
	if err != nil {
		peer = "127.0.0.1"
	}
	return &submission{server: s, helo: c.Hostname(), peer: peer}, nil
}

var (
	errBadAddress = &smtp.SMTPError{Code: 553, EnhancedCode: smtp.EnhancedCode{5, 1, 3}, Message: "Not a mail address"}
	errStorage    = &smtp.SMTPError{Code: 452, EnhancedCode: smtp.EnhancedCode{4, 3, 1}, Message: "The demo server is full"}
	errLongLine   = &smtp.SMTPError{Code: 554, EnhancedCode: smtp.EnhancedCode{5, 6, 0}, Message: "A line is too long"}
	errStopping   = &smtp.SMTPError{Code: 421, EnhancedCode: smtp.EnhancedCode{4, 3, 2}, Message: "The demo server stops"}
)

// AuthMechanisms lists the ways to log in.
func (c *submission) AuthMechanisms() []string { return []string{sasl.Plain, sasl.Login} }

// Auth starts a login.
func (c *submission) Auth(mechanism string) (sasl.Server, error) {
	login := func(name, password string) error {
		address, err := c.server.login(name, password)
		if err != nil {
			return err
		}
		c.mu.Lock()
		c.login = address
		c.mu.Unlock()
		return nil
	}
	if m := newMechanism(mechanism, login, smtp.ErrAuthFailed); m != nil {
		return m, nil
	}
	return nil, smtp.ErrAuthUnknownMechanism
}

// Mail begins a mail. The null sender is welcome: bounces have it.
func (c *submission) Mail(from string, _ *smtp.MailOptions) error {
	sender := ""
	if from != "" {
		a, err := parseAddress(from)
		if err != nil {
			return errBadAddress
		}
		sender = a.String()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.from, c.to = sender, nil
	return nil
}

// Rcpt adds a recipient: any address will do, here or elsewhere.
func (c *submission) Rcpt(to string, _ *smtp.RcptOptions) error {
	a, err := parseAddress(to)
	if err != nil {
		return errBadAddress
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.to = append(c.to, a)
	return nil
}

// Data takes the mail.
func (c *submission) Data(r io.Reader) error {
	c.mu.Lock()
	e := envelope{helo: c.helo, peer: c.peer, login: c.login, from: c.from, to: slices.Clone(c.to)}
	c.mu.Unlock()

	raw, release, err := c.server.read(r)
	defer release()
	var refused *smtp.SMTPError
	switch {
	case err == nil:
		err = c.server.deliver(e, raw)
	case errors.As(err, &refused):
		return refused
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, ErrFull):
		return errStorage
	case errors.Is(err, ErrTooLarge):
		return smtp.ErrDataTooLarge
	case errors.Is(err, ErrClosed):
		return errStopping
	case errors.Is(err, smtp.ErrTooLongLine):
		return errLongLine
	default:
		return err
	}
}

// Reset forgets the mail that was begun, not the login.
func (c *submission) Reset() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.from, c.to = "", nil
}

// Logout ends the session.
func (c *submission) Logout() error { return nil }

// read reads a mail to its end. Its bytes count as held from the first on, so
// that many slow senders cannot take more memory than the server may use;
// release gives them back, after an error too.
func (s *Server) read(r io.Reader) (raw []byte, release func(), err error) {
	var (
		b    bytes.Buffer
		held int64
	)
	release = func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.stock.bytes -= held
	}
	chunk := make([]byte, 32<<10)
	for {
		n, err := r.Read(chunk)
		if n > 0 {
			s.mu.Lock()
			ok := s.stock.reserve(int64(n))
			s.mu.Unlock()
			if !ok {
				return nil, release, ErrFull
			}
			held += int64(n)
			b.Write(chunk[:n])
		}
		if err == io.EOF {
			return b.Bytes(), release, nil
		}
		if err != nil {
			return nil, release, err
		}
	}
}
