package mailout

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/textproto"
	"slices"
	"strings"
	"time"

	"github.com/wneessen/go-mail/smtp"
)

// Envelope is one mail for one recipient. One recipient each, so that a
// refusal of one never touches another (F32).
type Envelope struct {
	From    string // envelope sender, where bounces come back to
	To      string
	Data    []byte // as Compose gave it; sent unchanged
	Attempt int    // 1 for the first; for the log only
	Home    bool   // a RoundTrip, which alone may go to an address of the desk itself
}

// Refused is the server's final no to one mail: a 5xx to RCPT, DATA or the
// final dot. Trying again is of no use. With Code 0 we knew beforehand and did
// not ask.
type Refused struct {
	Code int
	Line string // the server's own words, in one line
}

func (e *Refused) Error() string {
	if e.Code == 0 {
		return "not sent: " + e.Line
	}
	return fmt.Sprintf("refused: %d %s", e.Code, e.Line)
}

// Held is a no to us, not to the mail: the server refused greeting, login or
// sender, offers no STARTTLS, or shows a certificate that is not its own.
// Somebody must mend that, so it is worth an alert. Until then Send returns
// the same error at once, without asking the server, lest many mails lock an
// account; it asks again after a minute, later after up to 15.
type Held struct {
	Phase  string    // what was being done: "AUTH"
	Code   int       // of the server's answer; 0 if it was no answer
	Line   string    // the server's words or ours, in one line
	Sender string    // set when only this envelope sender is held (MAIL)
	Until  time.Time // when Send asks again
}

func (e *Held) Error() string {
	s := "mail is held: " + e.Phase + ": "
	if e.Sender != "" {
		s = "mail from " + e.Sender + " is held: " + e.Phase + ": "
	}
	if e.Code != 0 {
		s += fmt.Sprintf("%d ", e.Code)
	}
	return s + e.Line
}

// Uncertain says that the line was lost after the final dot: the server may
// have taken the mail. Sending the same bytes once more is right, since a
// repeat has the same Message-ID (P3).
type Uncertain struct{ Err error }

func (e *Uncertain) Error() string {
	return "perhaps sent: no answer to the final dot: " + e.Err.Error()
}

func (e *Uncertain) Unwrap() error { return e.Err }

// trouble is every other failure: it is about the moment, and is tried again.
type trouble struct {
	phase phase
	code  int // 0: no answer
	line  string
	err   error // the cause where there was no answer
}

func (e *trouble) Error() string {
	if e.code != 0 {
		return fmt.Sprintf("%s: %d %s", e.phase, e.code, e.line)
	}
	return fmt.Sprintf("%s: %v", e.phase, e.err)
}

func (e *trouble) Unwrap() error { return e.err }

// phase is one step of the conversation.
type phase string

const (
	connecting phase = "connect"
	securing   phase = "TLS handshake"
	greeting   phase = "greeting"
	hello      phase = "EHLO"
	startTLS   phase = "STARTTLS"
	signIn     phase = "AUTH"
	sender     phase = "MAIL"
	recipient  phase = "RCPT"
	data       phase = "DATA"
	body       phase = "body"
	dot        phase = "final dot"
)

// refusal says what a 5xx means in each phase (F33). A phase that is not
// here has no answer of its own.
var refusal = map[phase]func(code int, line string, p phase, from string) error{
	greeting:  holdAll,
	hello:     holdAll,
	startTLS:  holdAll,
	signIn:    holdAll,
	sender:    holdSender,
	recipient: refuse,
	data:      refuse,
	dot:       refuse,
}

func holdAll(code int, line string, p phase, _ string) error {
	return &Held{Phase: string(p), Code: code, Line: line}
}

func holdSender(code int, line string, p phase, from string) error {
	return &Held{Phase: string(p), Code: code, Line: line, Sender: from}
}

func refuse(code int, line string, _ phase, _ string) error { return &Refused{Code: code, Line: line} }

// limits is how long each phase may take before the connection is closed.
// RFC 5321, section 4.5.3.2 asks for patience most of all after the final
// dot: who gives up there early sends the mail twice.
type limits struct {
	connect, greeting, command, block, dot, quit time.Duration
	idle                                         time.Duration // a kept connection is closed after this
	mails                                        int           // that one connection carries at most
	reply                                        int           // bytes that one answer may have
}

var standardLimits = limits{
	connect: 30 * time.Second, greeting: 2 * time.Minute, command: 2 * time.Minute,
	block: 3 * time.Minute, dot: 10 * time.Minute, quit: 5 * time.Second,
	idle: time.Minute, mails: 100, reply: 256 << 10,
}

// blockSize is how much of a body is sent under one deadline.
const blockSize = 64 << 10

// dialer is net.Dialer.DialContext.
type dialer func(ctx context.Context, network, address string) (net.Conn, error)

// hold is a Held that is still believed.
type hold struct {
	err   Held
	times int
}

// How long a hold is believed: doubling from the first to the last.
const (
	firstHold = time.Minute
	lastHold  = 15 * time.Minute
)

// Send hands one mail over and gives the server's words of acceptance. The
// error is *Refused, *Held or *Uncertain; every other error is temporary, and
// then the mail is surely not accepted. Send waits for a free connection, and
// keeps it open for the next mail. When ctx ends, so does the conversation.
func (m *Mailer) Send(ctx context.Context, e Envelope) (answer string, err error) {
	if err := m.sendable(e); err != nil {
		return "", err
	}
	if err := m.heldNow(e.From); err != nil {
		return "", err
	}
	select {
	case m.slots <- struct{}{}:
		defer func() { <-m.slots }()
	case <-ctx.Done():
		return "", fmt.Errorf("wait for a connection: %w", context.Cause(ctx))
	}

	if l := m.kept(); l != nil {
		answer, err = m.deliver(ctx, l, e)
		if ctx.Err() != nil || !stale(err) {
			m.settle(ctx, e, err)
			return answer, err
		}
		m.log.Debug("kept connection was stale", "to", e.To, "err", err)
	}
	l, err := m.connect(ctx)
	if err == nil {
		answer, err = m.deliver(ctx, l, e)
	}
	m.settle(ctx, e, err)
	return answer, err
}

// Check connects, says hello, secures the line, signs in and leaves again,
// without a mail. A nil error also ends a hold.
func (m *Mailer) Check(ctx context.Context) error {
	l, err := m.connect(ctx)
	if err == nil {
		m.hangUp(l)
	}
	m.settle(ctx, Envelope{}, err)
	return err
}

// Close closes the kept connections politely. A Send under way is not
// disturbed; its connection is closed when it is done.
func (m *Mailer) Close() error {
	m.mu.Lock()
	m.closed = true
	idle := m.idle
	m.idle = nil
	for _, l := range idle {
		l.timer.Stop()
	}
	m.mu.Unlock()
	for _, l := range idle {
		m.hangUp(l)
	}
	m.quitting.Wait()
	return nil
}

// sendable refuses what must never reach the server.
func (m *Mailer) sendable(e Envelope) error {
	for _, a := range []string{e.From, e.To} {
		if _, err := mailbox(a); err != nil {
			return &Refused{Line: err.Error()}
		}
	}
	own := func(a string) bool { return strings.EqualFold(a, e.To) }
	if !e.Home && (own(e.From) || slices.ContainsFunc(m.id.Own, own)) {
		return &Refused{Line: e.To + " is an address of the desk itself"} // T18
	}
	if !clean(e.Data) {
		return &Refused{Line: "the stored mail has bare line ends or NUL, which a server may misread"} // T24
	}
	return nil
}

// clean says whether all line ends are CRLF and there is no NUL.
func clean(b []byte) bool {
	n := bytes.Count(b, []byte("\r\n"))
	return bytes.HasSuffix(b, []byte("\r\n")) && n == bytes.Count(b, []byte("\r")) &&
		n == bytes.Count(b, []byte("\n")) && bytes.IndexByte(b, 0) < 0
}

// stale says whether a failure on a kept connection may be due to its age:
// then the mail was surely not accepted, and a fresh connection decides.
// An answer other than 421 is about the mail, except to MAIL, where servers
// also tell that a connection has had its share.
func stale(err error) bool {
	switch e := err.(type) { // not errors.As: an Uncertain wraps a trouble, and is final
	case *trouble:
		return e.code == 0 || e.code == 421 || e.phase == sender
	case *Held:
		return true
	}
	return false
}

// line is one connection to the server. At any time it belongs to one
// goroutine, or lies idle.
type line struct {
	wire   *wire
	client *smtp.Client
	mails  int
	open   bool // a transaction is begun and must be reset
	timer  *time.Timer
}

// within gives the next phase its time.
func (l *line) within(d time.Duration) { _ = l.wire.SetDeadline(time.Now().Add(d)) } // on a closed connection the phase fails by itself

// connect opens a line and signs in.
func (m *Mailer) connect(ctx context.Context) (*line, error) {
	dialing, cancel := context.WithTimeout(ctx, m.wait.connect)
	raw, err := m.dial(dialing, "tcp", m.conf.Address)
	cancel()
	if err != nil {
		return nil, m.judge(ctx, connecting, "", err)
	}
	l := &line{wire: &wire{Conn: raw, limit: m.wait.reply, left: m.wait.reply}}
	stop := context.AfterFunc(ctx, func() { _ = raw.Close() })
	p, err := m.introduce(l)
	if !stop() && err == nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		_ = raw.Close()
		return nil, m.judge(ctx, p, "", err)
	}
	m.log.Debug("connected to the mail server", "server", m.conf.Address)
	return l, nil
}

// introduce does everything up to the sign-in. It names the phase that
// failed.
func (m *Mailer) introduce(l *line) (phase, error) {
	if a, ok := l.wire.RemoteAddr().(*net.TCPAddr); ok && m.conf.Security == Plain && !a.IP.IsLoopback() {
		return connecting, &Held{Phase: string(connecting), Line: fmt.Sprintf("%s leads to %s, and security is none", m.host, a.IP)}
	}
	var conn net.Conn = l.wire
	if m.conf.Security == TLS {
		l.within(m.wait.greeting)
		secured := tls.Client(l.wire, m.tls)
		if err := secured.Handshake(); err != nil {
			return securing, err
		}
		conn = secured
	}
	l.within(m.wait.greeting)
	client, err := smtp.NewClient(conn, m.host)
	if err != nil {
		return greeting, err
	}
	l.client = client
	l.within(m.wait.command)
	if err := client.Hello(m.conf.Hello); err != nil {
		return hello, err
	}
	if m.conf.Security == STARTTLS {
		if ok, _ := client.Extension("STARTTLS"); !ok {
			return startTLS, &Held{Phase: string(startTLS), Line: "the server offers no STARTTLS; choose security: tls and its port, or another server"}
		}
		l.within(m.wait.command)
		l.wire.watch()
		if err := client.StartTLS(m.tls); err != nil {
			return startTLS, err
		}
	}
	if m.conf.Username != "" {
		how := m.signInBy(client)
		if how == nil {
			return signIn, &Held{Phase: string(signIn), Line: "the server offers no way to sign in that we know (PLAIN, LOGIN, SCRAM-SHA-256, SCRAM-SHA-1, CRAM-MD5)"}
		}
		l.within(m.wait.command)
		if err := client.Auth(how); err != nil {
			return signIn, err
		}
	}
	return "", nil
}

// signInBy chooses how to sign in: first the ways in which the server never
// gets to see the password. The line is encrypted, or ends on this machine.
func (m *Mailer) signInBy(c *smtp.Client) smtp.Auth {
	_, offered := c.Extension("AUTH")
	user, pass := m.conf.Username, m.conf.Password
	for _, way := range []struct {
		name string
		auth smtp.Auth
	}{
		{"SCRAM-SHA-256", smtp.ScramSHA256Auth(user, pass)},
		{"SCRAM-SHA-1", smtp.ScramSHA1Auth(user, pass)},
		{"PLAIN", smtp.PlainAuth("", user, pass, m.host, true)},
		{"LOGIN", smtp.LoginAuth(user, pass, m.host, true)},
		{"CRAM-MD5", smtp.CRAMMD5Auth(user, pass)},
	} {
		if slices.ContainsFunc(strings.Fields(offered), func(s string) bool { return strings.EqualFold(s, way.name) }) {
			return way.auth
		}
	}
	return nil
}

// deliver sends one mail over the line, and keeps or closes the line.
func (m *Mailer) deliver(ctx context.Context, l *line, e Envelope) (string, error) {
	stop := context.AfterFunc(ctx, func() { _ = l.wire.Close() })
	answer, p, err := m.transact(l, e)
	if err != nil {
		err = m.judge(ctx, p, e.From, err)
	}
	switch stopped := stop(); {
	case !stopped:
		_ = l.client.Close()
	case err == nil || answered(err):
		m.keep(l)
	default:
		_ = l.client.Close()
	}
	return answer, err
}

// answered says whether the failure was a proper answer, after which the
// conversation can go on.
func answered(err error) bool {
	switch e := err.(type) {
	case *Refused:
		return true
	case *trouble:
		return e.code >= 400 && e.code != 421
	}
	return false
}

// transact does one mail transaction. It names the phase that failed.
func (m *Mailer) transact(l *line, e Envelope) (answer string, p phase, err error) {
	c := l.client
	wide := !ascii(e.From) || !ascii(e.To) || !ascii(string(headerOf(e.Data)))
	if offered, _ := c.Extension("SMTPUTF8"); wide && !offered {
		return "", recipient, &Refused{Line: "the mail server cannot take addresses beyond ASCII (SMTPUTF8)"}
	}
	c.SkipSMTPUTF8(!wide)
	if l.open {
		l.within(m.wait.command)
		if err := c.Reset(); err != nil {
			return "", sender, fmt.Errorf("reset: %w", plainText(err))
		}
		l.open = false
	}
	l.open = true
	l.mails++
	l.within(m.wait.command)
	if err := c.Mail(angle(e.From)); err != nil {
		return "", sender, err
	}
	l.within(m.wait.command)
	if err := c.Rcpt(angle(e.To)); err != nil {
		return "", recipient, err
	}
	l.within(m.wait.command)
	w, err := c.Data()
	if err != nil {
		return "", data, err
	}
	for rest := e.Data; len(rest) > 0; {
		n := min(len(rest), blockSize)
		l.within(m.wait.block)
		if _, err := w.Write(rest[:n]); err != nil {
			return "", body, err
		}
		rest = rest[n:]
	}
	l.within(m.wait.dot)
	err = w.Close()
	var reply *textproto.Error
	if errors.As(err, &reply) && reply.Code >= 200 && reply.Code <= 299 {
		err = nil // RFC 5321, section 4.2: the first digit decides
		answer = reply.Msg
	} else if d, ok := w.(*smtp.DataCloser); ok {
		answer = d.ServerResponse()
	}
	if err != nil {
		return "", dot, err
	}
	l.open = false
	return m.words(answer), "", nil
}

// plainText takes the reply out of an error, so that a refused RSET is never
// read as an answer to the command after it.
func plainText(err error) error { return errors.New(err.Error()) }

// angle gives an address as it stands in MAIL and RCPT, quoted where it must
// be; nothing in it can end the argument. That it is one was checked before.
func angle(addr string) string {
	box, _ := mailbox(addr)
	return box.String()
}

func headerOf(b []byte) []byte {
	head, _, _ := bytes.Cut(b, []byte("\r\n\r\n"))
	return head
}

// judge says what a failure means for the mail (F33).
func (m *Mailer) judge(ctx context.Context, p phase, from string, err error) error {
	switch e := err.(type) {
	case *Held, *Refused:
		return e
	}
	var reply *textproto.Error
	if errors.As(err, &reply) {
		line := m.words(reply.Msg)
		if what, ok := refusal[p]; ok && reply.Code >= 500 && reply.Code <= 599 {
			return what(reply.Code, line, p, from)
		}
		t := &trouble{phase: p, code: reply.Code, line: line}
		if p == dot && (reply.Code < 400 || reply.Code > 599) {
			return &Uncertain{Err: t}
		}
		return t
	}
	if p == securing || p == startTLS {
		if why := distrust(err); why != "" {
			return &Held{Phase: string(securing), Line: why}
		}
	}
	var garbage textproto.ProtocolError
	if errors.As(err, &garbage) {
		err = fmt.Errorf("no SMTP answer: %s", m.words(string(garbage)))
	}
	if ctx.Err() != nil {
		err = fmt.Errorf("%w (%w)", context.Cause(ctx), err)
	}
	t := &trouble{phase: p, err: err}
	if p == dot {
		return &Uncertain{Err: t}
	}
	return t
}

// distrust says why a handshake failed when that is not about the moment:
// the server did not prove who it is, or somebody spoke in between.
func distrust(err error) string {
	if errors.Is(err, errInjected) {
		return errInjected.Error()
	}
	var cert *tls.CertificateVerificationError
	if errors.As(err, &cert) {
		return "the server's certificate is not to be trusted: " + oneLine(cert.Err.Error(), maxWords) +
			"; mend the certificate, the name in address, or ca_file"
	}
	return ""
}

// maxWords bounds what is kept of a server's answer.
const maxWords = 500

// words makes one printable line of what the server said, without our
// password, should it repeat it (T45).
func (m *Mailer) words(s string) string {
	if m.conf.Password != "" {
		b64 := base64.StdEncoding.EncodeToString
		for _, secret := range []string{
			b64([]byte("\x00" + m.conf.Username + "\x00" + m.conf.Password)),
			b64([]byte(m.conf.Password)),
			m.conf.Password,
		} {
			s = strings.ReplaceAll(s, secret, "(hidden)")
		}
	}
	return oneLine(s, maxWords)
}

// kept takes an idle connection, the one used last, or gives nil.
func (m *Mailer) kept() *line {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.idle) == 0 {
		return nil
	}
	l := m.idle[len(m.idle)-1]
	m.idle = m.idle[:len(m.idle)-1]
	l.timer.Stop()
	return l
}

// keep lays a connection aside for the next mail.
func (m *Mailer) keep(l *line) {
	m.mu.Lock()
	if m.closed || l.mails >= m.wait.mails {
		m.mu.Unlock()
		m.hangUp(l)
		return
	}
	_ = l.wire.SetDeadline(time.Time{})
	m.idle = append(m.idle, l)
	l.timer = time.AfterFunc(m.wait.idle, func() { m.retire(l) })
	m.mu.Unlock()
}

// retire closes a connection that lay idle too long, unless it was taken.
func (m *Mailer) retire(l *line) {
	m.mu.Lock()
	i := slices.Index(m.idle, l)
	if i < 0 {
		m.mu.Unlock()
		return
	}
	m.idle = slices.Delete(m.idle, i, i+1)
	m.quitting.Add(1)
	m.mu.Unlock()
	defer m.quitting.Done()
	m.hangUp(l)
}

// hangUp says QUIT and closes. What the server thinks of that changes nothing
// (F31).
func (m *Mailer) hangUp(l *line) {
	l.within(m.wait.quit)
	_ = l.client.Quit()
	_ = l.wire.Close()
}

// heldNow gives the Held that is still believed for this sender.
func (m *Mailer) heldNow(from string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, key := range []string{"", from} {
		if h, ok := m.holds[key]; ok && time.Now().Before(h.err.Until) {
			e := h.err
			return &e
		}
	}
	return nil
}

// settle remembers how we stand with the server after a conversation. A
// conversation that was stopped from outside tells nothing.
func (m *Mailer) settle(ctx context.Context, e Envelope, err error) {
	now := time.Now()
	m.mu.Lock()
	defer m.mu.Unlock()
	before := m.standing
	var held *Held
	switch {
	case err == nil, aboutTheMail(err):
		delete(m.holds, "")
		if e.From != "" {
			delete(m.holds, e.From)
		}
		m.standing = Standing{OK: true, At: now, LastOK: now}
	case errors.As(err, &held):
		h := m.holds[held.Sender]
		h.times++
		held.Until = now.Add(min(firstHold<<min(h.times-1, 10), lastHold))
		h.err = *held
		m.holds[held.Sender] = h
		m.standing = Standing{Err: held.Error(), Held: true, At: now, LastOK: before.LastOK}
	case ctx.Err() != nil:
		return
	default:
		m.standing = Standing{Err: err.Error(), At: now, LastOK: before.LastOK}
	}
	switch s := m.standing; {
	case s.OK && !before.OK && !before.At.IsZero():
		m.log.Info("mail server takes mail again", "server", m.conf.Address)
	case s.Held && s.Err != before.Err:
		m.log.Error("mail is held", "server", m.conf.Address, "err", s.Err)
	case !s.OK && !s.Held && before.OK:
		m.log.Warn("mail server does not take mail", "server", m.conf.Address, "attempt", e.Attempt, "err", s.Err)
	}
}

// aboutTheMail says whether the server answered, and only this one mail or
// recipient is concerned.
func aboutTheMail(err error) bool {
	switch e := err.(type) {
	case *Refused:
		return true
	case *trouble:
		return e.code >= 400 && e.code != 421 && (e.phase == recipient || e.phase == data || e.phase == dot)
	}
	return false
}

// errInjected is what somebody on the line did who slipped bytes in before
// the handshake, for us to take for the server's (T46; RFC 3207, section 6).
var errInjected = errors.New("there were bytes on the line between STARTTLS and the handshake; somebody may be listening in")

// wire is the raw connection. It bounds what one answer may cost (P4) and
// watches the moment before a STARTTLS handshake.
type wire struct {
	net.Conn
	limit, left int
	watching    bool
	asked       bool // STARTTLS was sent
	heard       []byte
}

// watch makes the next two writes STARTTLS and the first of the handshake.
func (w *wire) watch() { w.watching, w.asked, w.heard = true, false, nil }

func (w *wire) Write(b []byte) (int, error) {
	w.left = w.limit
	if w.watching && w.asked {
		w.watching = false
		if beyondReply(w.heard) {
			return 0, errInjected
		}
	}
	w.asked = true
	return w.Conn.Write(b)
}

func (w *wire) Read(b []byte) (int, error) {
	if w.left <= 0 {
		return 0, fmt.Errorf("an answer of more than %d bytes", w.limit)
	}
	n, err := w.Conn.Read(b[:min(len(b), w.left)])
	w.left -= n
	if w.watching {
		w.heard = append(w.heard, b[:n]...)
	}
	return n, err
}

// beyondReply says whether anything follows the first complete reply.
func beyondReply(b []byte) bool {
	for {
		line, rest, ok := bytes.Cut(b, []byte("\n"))
		if !ok {
			return false
		}
		if more := len(line) > 3 && line[3] == '-'; !more {
			return len(rest) > 0
		}
		b = rest
	}
}
