package mailout

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"deskd/mailout/mailouttest"
)

func envelope(to string) Envelope {
	return Envelope{
		From: "support@example.com", To: to, Attempt: 1,
		Data: []byte("From: support@example.com\r\nMessage-ID: <1@example.com>\r\n\r\n.leading dot\r\nlast line\r\n"),
	}
}

// outcome names the kind of an error.
func outcome(err error) string {
	var r *Refused
	var h *Held
	var u *Uncertain
	switch {
	case err == nil:
		return "sent"
	case errors.As(err, &r):
		return "refused"
	case errors.As(err, &h):
		return "held"
	case errors.As(err, &u):
		return "uncertain"
	}
	return "later"
}

func TestSendHandsOverTheBytesAndGivesTheServersWords(t *testing.T) {
	t.Parallel()
	s := mailouttest.Start(t, mailouttest.Options{})
	m := mailer(t, Config{Address: s.Addr})
	e := envelope("ann@example.com")
	answer, err := m.Send(t.Context(), e)
	if err != nil || answer != "2.0.0 Ok: queued as TEST" {
		t.Fatalf("Send = %q, %v", answer, err)
	}
	got := s.Mails()
	if len(got) != 1 || got[0].From != e.From || got[0].To != e.To || !bytes.Equal(got[0].Data, e.Data) {
		t.Errorf("journal: %+v", got)
	}
	if st := m.Standing(); !st.OK || st.LastOK.IsZero() {
		t.Errorf("standing: %+v", st)
	}
}

func TestF33_EveryCommandTimesEveryReply(t *testing.T) {
	t.Parallel()
	const (
		greet = mailouttest.Greeting
		ehlo  = mailouttest.EHLO
		stls  = mailouttest.STARTTLS
		auth  = mailouttest.AUTH
		from  = mailouttest.MAIL
		rcpt  = mailouttest.RCPT
		data  = mailouttest.DATA
		body  = mailouttest.Body
		dot   = mailouttest.Dot
	)
	steps := []mailouttest.Step{greet, ehlo, stls, auth, from, rcpt, data, dot}
	type do = mailouttest.Do
	replies := []struct {
		name string
		do   do
		want map[mailouttest.Step]string // where it is not "later"
	}{
		{"2xx", do{Reply: "250 2.0.0 fine", Accept: true}, map[mailouttest.Step]string{ehlo: "held" /* offers no STARTTLS */, from: "sent", rcpt: "sent", dot: "sent"}},
		{"other 2xx", do{Reply: "252 2.0.0 maybe", Accept: true}, map[mailouttest.Step]string{rcpt: "sent", dot: "sent"}},
		{"3xx", do{Reply: "354 go on"}, map[mailouttest.Step]string{data: "", dot: "uncertain"}},
		{"421", do{Reply: "421 4.3.2 closing", Drop: true}, nil},
		{"421 and stays", do{Reply: "421 4.3.2 closing"}, nil},
		{"450", do{Reply: "450 4.2.0 greylisted"}, nil},
		{"454", do{Reply: "454 4.7.0 not now"}, nil},
		{"500", do{Reply: "500 5.5.1 what?"}, map[mailouttest.Step]string{greet: "held", ehlo: "held", stls: "held", auth: "held", from: "held", rcpt: "refused", data: "refused", dot: "refused"}},
		{"550", do{Reply: "550 5.7.1 no"}, map[mailouttest.Step]string{greet: "held", ehlo: "held", stls: "held", auth: "held", from: "held", rcpt: "refused", data: "refused", dot: "refused"}},
		{"554 and gone", do{Reply: "554-5.7.1 no\r\n554 5.7.1 never", Drop: true}, map[mailouttest.Step]string{greet: "held", ehlo: "held", stls: "held", auth: "held", from: "held", rcpt: "refused", data: "refused", dot: "refused"}},
		{"EOF", do{Drop: true}, map[mailouttest.Step]string{dot: "uncertain"}},
		{"half a line", do{Reply: "25", Drop: true}, map[mailouttest.Step]string{dot: "uncertain"}},
		{"garbage", do{Reply: "hello, is it me?"}, map[mailouttest.Step]string{dot: "uncertain"}},
		{"600", do{Reply: "600 what is this"}, map[mailouttest.Step]string{dot: "uncertain"}},
		{"timeout", do{Stall: true}, map[mailouttest.Step]string{dot: "uncertain"}},
	}
	ca := mailouttest.NewAuthority(t)
	for _, r := range replies {
		for _, step := range steps {
			want, special := r.want[step]
			if special && want == "" {
				continue // the right answer there
			}
			if !special {
				want = "later"
			}
			t.Run(fmt.Sprintf("%s/%s", step, r.name), func(t *testing.T) {
				t.Parallel()
				s := mailouttest.Start(t, mailouttest.Options{
					TLS: ca.Issue(t, "127.0.0.1", time.Now().Add(time.Hour)), Username: "desk", Password: "secret",
					Behave: func(e mailouttest.Event) do {
						if e.Step == step {
							return r.do
						}
						return do{}
					},
				})
				m := mailer(t, Config{Address: s.Addr, Security: STARTTLS, CAFile: ca.File, Username: "desk", Password: "secret"})
				m.wait.greeting, m.wait.command, m.wait.dot, m.wait.quit = 20*time.Second, 20*time.Second, 20*time.Second, time.Second
				if r.name == "timeout" { // of this step alone: the others may be slow
					short := &m.wait.command
					switch step {
					case greet:
						short = &m.wait.greeting
					case dot:
						short = &m.wait.dot
					}
					*short = 100 * time.Millisecond
				}
				_, err := m.Send(t.Context(), envelope("ann@example.com"))
				if got := outcome(err); got != want {
					t.Errorf("%s (%v), want %s", got, err, want)
				}
				if n := len(s.Mails()); (n == 1) != (want == "sent") {
					t.Errorf("%d mails accepted", n)
				}
			})
		}
	}
	// Dropping in the middle of the mail.
	s := mailouttest.Start(t, mailouttest.Options{Behave: func(e mailouttest.Event) do { return do{Drop: e.Step == body} }})
	m := mailer(t, Config{Address: s.Addr})
	e := envelope("ann@example.com")
	e.Data = append([]byte("A: b\r\n\r\n"), bytes.Repeat([]byte("more and more\r\n"), 1<<20)...)
	if _, err := m.Send(t.Context(), e); outcome(err) != "later" {
		t.Errorf("dropped in the body: %v", err)
	}
}

func TestF33_NoServerAndNoNameAreTemporary(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := ln.Addr().String()
	ln.Close()
	m := mailer(t, Config{Address: addr})
	if _, err := m.Send(t.Context(), envelope("ann@example.com")); outcome(err) != "later" {
		t.Errorf("nobody listens: %v", err)
	}
	m.dial = func(context.Context, string, string) (net.Conn, error) {
		return nil, &net.DNSError{Err: "no such host", Name: "mail.example.com", IsNotFound: true}
	}
	if _, err := m.Send(t.Context(), envelope("ann@example.com")); outcome(err) != "later" {
		t.Errorf("no such host: %v", err)
	}
	if st := m.Standing(); st.OK || st.Held || st.Err == "" {
		t.Errorf("standing: %+v", st)
	}
}

func TestF31_ServerThatDropsAfter250HasExactlyOneCopy(t *testing.T) {
	t.Parallel()
	s := mailouttest.Start(t, mailouttest.Options{Behave: func(e mailouttest.Event) mailouttest.Do {
		if e.Step == mailouttest.Dot {
			return mailouttest.Do{Reply: "250 2.0.0 taken", Accept: true, Drop: true}
		}
		return mailouttest.Do{}
	}})
	m := mailer(t, Config{Address: s.Addr})
	for i := range 3 {
		if answer, err := m.Send(t.Context(), envelope(fmt.Sprintf("a%d@example.com", i))); err != nil || answer != "2.0.0 taken" {
			t.Errorf("Send = %q, %v", answer, err)
		}
	}
	if got := s.Mails(); len(got) != 3 {
		t.Errorf("%d copies, want one of each of three mails", len(got))
	}
}

func TestF31_RefusedRSETAndQUITChangeNothing(t *testing.T) {
	t.Parallel()
	s := mailouttest.Start(t, mailouttest.Options{Behave: func(e mailouttest.Event) mailouttest.Do {
		switch {
		case e.Step == mailouttest.RSET || e.Step == mailouttest.QUIT:
			return mailouttest.Do{Reply: "550 5.0.0 no"}
		case e.Step == mailouttest.RCPT && e.Nth == 1:
			return mailouttest.Do{Reply: "550 5.1.1 nobody here"}
		}
		return mailouttest.Do{}
	}})
	m := mailer(t, Config{Address: s.Addr})
	if _, err := m.Send(t.Context(), envelope("none@example.com")); outcome(err) != "refused" {
		t.Errorf("first: %v", err)
	}
	if _, err := m.Send(t.Context(), envelope("ann@example.com")); err != nil {
		t.Errorf("second: %v", err) // the refused RSET is no answer to this mail
	}
	if err := m.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	if n := len(s.Mails()); n != 1 {
		t.Errorf("%d mails", n)
	}
}

func TestF32_OneRefusedRecipientLeavesTheOthersAlone(t *testing.T) {
	t.Parallel()
	s := mailouttest.Start(t, mailouttest.Options{Behave: func(e mailouttest.Event) mailouttest.Do {
		if e.Step == mailouttest.RCPT && e.To == "gone@example.com" {
			return mailouttest.Do{Reply: "550 5.1.1 no such user"}
		}
		return mailouttest.Do{}
	}})
	m := mailer(t, Config{Address: s.Addr})
	var got []string
	for _, to := range []string{"ann@example.com", "gone@example.com", "bob@example.com"} {
		_, err := m.Send(t.Context(), envelope(to))
		got = append(got, outcome(err))
		var r *Refused
		if errors.As(err, &r) && (r.Code != 550 || r.Line != "5.1.1 no such user") {
			t.Errorf("refused with %d %q", r.Code, r.Line)
		}
	}
	if want := []string{"sent", "refused", "sent"}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	if n, c := len(s.Mails()), s.Conns(); n != 2 || c != 1 {
		t.Errorf("%d mails on %d connections, want 2 on 1", n, c)
	}
	if st := m.Standing(); !st.OK {
		t.Errorf("a refused recipient is held against the server: %+v", st)
	}
}

func TestF30_CutAfterTheDotGivesAtMostTwoEqualCopies(t *testing.T) {
	t.Parallel()
	for _, accepted := range []bool{true, false} {
		s := mailouttest.Start(t, mailouttest.Options{Behave: func(e mailouttest.Event) mailouttest.Do {
			if e.Step == mailouttest.Dot && e.Nth == 1 {
				return mailouttest.Do{Accept: accepted, Drop: true}
			}
			return mailouttest.Do{}
		}})
		m := mailer(t, Config{Address: s.Addr})
		e := envelope("ann@example.com")
		if _, err := m.Send(t.Context(), e); outcome(err) != "uncertain" {
			t.Fatalf("first: %v", err)
		}
		if _, err := m.Send(t.Context(), e); err != nil {
			t.Fatalf("second: %v", err)
		}
		got := s.Mails()
		want := 1
		if accepted {
			want = 2
		}
		if len(got) != want || !bytes.Equal(got[0].Data, got[len(got)-1].Data) {
			t.Errorf("accepted=%v: %d copies, want %d equal ones", accepted, len(got), want)
		}
	}
}

func TestManyMailsShareOneConnection(t *testing.T) {
	t.Parallel()
	s := mailouttest.Start(t, mailouttest.Options{})
	m := mailer(t, Config{Address: s.Addr})
	for range 20 {
		if _, err := m.Send(t.Context(), envelope("ann@example.com")); err != nil {
			t.Fatal(err)
		}
	}
	if n, c := len(s.Mails()), s.Conns(); n != 20 || c != 1 {
		t.Errorf("%d mails on %d connections, want 20 on 1", n, c)
	}
	for _, l := range s.Lines() {
		if strings.Contains(l, "RSET") || strings.Contains(l, "NOOP") {
			t.Errorf("needless round trip %q", l)
		}
	}
}

func TestStaleConnectionIsReplacedAndTheMailSentOnce(t *testing.T) {
	t.Parallel()
	type do = mailouttest.Do
	for name, second := range map[string]func(e mailouttest.Event) do{
		"cut": nil,
		"dropped at MAIL": func(e mailouttest.Event) do {
			return do{Drop: e.Step == mailouttest.MAIL && e.Conn == 1}
		},
		"421 at MAIL": func(e mailouttest.Event) do {
			if e.Step == mailouttest.MAIL && e.Conn == 1 {
				return do{Reply: "421 4.4.2 idle too long", Drop: true}
			}
			return do{}
		},
		"enough for one connection": func(e mailouttest.Event) do {
			if e.Step == mailouttest.MAIL && e.Conn == 1 {
				return do{Reply: "550 5.7.0 too many mails in one session"}
			}
			return do{}
		},
		"dropped at DATA": func(e mailouttest.Event) do {
			return do{Drop: e.Step == mailouttest.DATA && e.Conn == 1}
		},
	} {
		s := mailouttest.Start(t, mailouttest.Options{})
		m := mailer(t, Config{Address: s.Addr})
		if _, err := m.Send(t.Context(), envelope("one@example.com")); err != nil {
			t.Fatal(err)
		}
		if second == nil {
			s.Cut()
		}
		s.Behave(second)
		if _, err := m.Send(t.Context(), envelope("two@example.com")); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if n, c := len(s.Mails()), s.Conns(); n != 2 || c != 2 {
			t.Errorf("%s: %d mails on %d connections, want 2 on 2", name, n, c)
		}
	}
}

func TestStaleConnectionIsNotReplacedOnceTheMailMayBeTaken(t *testing.T) {
	t.Parallel()
	s := mailouttest.Start(t, mailouttest.Options{Behave: func(e mailouttest.Event) mailouttest.Do {
		return mailouttest.Do{Drop: e.Step == mailouttest.Dot && e.Nth == 2, Accept: e.Step == mailouttest.Dot && e.Nth == 2}
	}})
	m := mailer(t, Config{Address: s.Addr})
	_, _ = m.Send(t.Context(), envelope("one@example.com"))
	if _, err := m.Send(t.Context(), envelope("two@example.com")); outcome(err) != "uncertain" {
		t.Errorf("second: %v", err)
	}
	if n := len(s.Mails()); n != 2 {
		t.Errorf("%d copies of two mails", n)
	}
}

func TestIdleConnectionIsClosedPolitely(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, m := piped(t, mailouttest.Options{})
		if _, err := m.Send(t.Context(), envelope("ann@example.com")); err != nil {
			t.Fatal(err)
		}
		time.Sleep(m.wait.idle + time.Second)
		synctest.Wait()
		if l := s.Lines(); l[len(l)-1] != "1 QUIT" {
			t.Errorf("lines: %q", l)
		}
		if len(m.idle) != 0 {
			t.Errorf("%d connections are kept", len(m.idle))
		}
	})
}

// piped joins a Mailer and a server by connections in memory, on which time
// can be made to fly.
func piped(t *testing.T, o mailouttest.Options) (*mailouttest.Server, *Mailer) {
	t.Helper()
	s := mailouttest.NewServer(t, o)
	m := mailer(t, Config{})
	m.dial = func(context.Context, string, string) (net.Conn, error) { return s.Pipe(), nil }
	return s, m
}

func TestF35_StallInEachPhaseEndsWithItsDeadline(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		step mailouttest.Step
		want string
		max  time.Duration
	}{
		{mailouttest.Greeting, "later", standardLimits.greeting},
		{mailouttest.EHLO, "later", standardLimits.command},
		{mailouttest.MAIL, "later", standardLimits.command},
		{mailouttest.RCPT, "later", standardLimits.command},
		{mailouttest.DATA, "later", standardLimits.command},
		{mailouttest.Body, "later", standardLimits.block},
		{mailouttest.Dot, "uncertain", standardLimits.dot},
	} {
		t.Run(string(c.step), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s, m := piped(t, mailouttest.Options{Behave: func(e mailouttest.Event) mailouttest.Do {
					return mailouttest.Do{Stall: e.Step == c.step && e.Conn == 1}
				}})
				e := envelope("ann@example.com")
				e.Data = append([]byte("A: b\r\n\r\n"), bytes.Repeat([]byte("more and more\r\n"), 1<<14)...)
				start := time.Now()
				done := make(chan error)
				go func() { _, err := m.Send(t.Context(), e); done <- err }()
				synctest.Wait()
				// Another mail is not stopped by the stuck one.
				if _, err := m.Send(t.Context(), envelope("bob@example.com")); err != nil {
					t.Errorf("the other mail: %v", err)
				}
				err := <-done
				if got := outcome(err); got != c.want {
					t.Errorf("%s (%v), want %s", got, err, c.want)
				}
				if took := time.Since(start); took != c.max {
					t.Errorf("took %v, want %v", took, c.max)
				}
				if n := len(s.Mails()); n != 1 {
					t.Errorf("%d mails accepted, want the other one", n)
				}
			})
		})
	}
}

func TestF35_ContextEndsEachPhase(t *testing.T) {
	t.Parallel()
	for _, step := range []mailouttest.Step{
		mailouttest.Greeting, mailouttest.EHLO, mailouttest.MAIL, mailouttest.RCPT, mailouttest.DATA, mailouttest.Body, mailouttest.Dot,
	} {
		synctest.Test(t, func(t *testing.T) {
			_, m := piped(t, mailouttest.Options{Behave: func(e mailouttest.Event) mailouttest.Do {
				return mailouttest.Do{Stall: e.Step == step}
			}})
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			e := envelope("ann@example.com")
			e.Data = append([]byte("A: b\r\n\r\n"), bytes.Repeat([]byte("more and more\r\n"), 1<<14)...)
			start := time.Now()
			_, err := m.Send(ctx, e)
			if took := time.Since(start); took != time.Second || !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%s: %v after %v", step, err, took)
			}
			if got := outcome(err); (got == "uncertain") != (step == mailouttest.Dot) {
				t.Errorf("%s: %s", step, got)
			}
			if !m.Standing().At.IsZero() {
				t.Errorf("%s: a stop is held against the server", step)
			}
		})
	}
}

func TestWaitForAConnectionEndsWithTheContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		_, m := piped(t, mailouttest.Options{Behave: func(e mailouttest.Event) mailouttest.Do { return mailouttest.Do{Stall: true} }})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		for range cap(m.slots) + 1 {
			go func() { _, err := m.Send(ctx, envelope("ann@example.com")); done <- err }()
		}
		synctest.Wait()
		cancel()
		for range cap(m.slots) + 1 {
			if err := <-done; !errors.Is(err, context.Canceled) || outcome(err) != "later" {
				t.Errorf("got %v", err)
			}
		}
	})
}

func TestHeldMailDoesNotKnockAgainBeforeItsTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, m := piped(t, mailouttest.Options{Behave: func(e mailouttest.Event) mailouttest.Do {
			if e.Step == mailouttest.Greeting {
				return mailouttest.Do{Reply: "554 5.7.1 go away"}
			}
			return mailouttest.Do{}
		}})
		for range 60 * 60 { // an hour, a mail a second
			if _, err := m.Send(t.Context(), envelope("ann@example.com")); outcome(err) != "held" {
				t.Fatalf("got %v", err)
			}
			time.Sleep(time.Second)
		}
		if n := s.Conns(); n > 8 {
			t.Errorf("knocked %d times in an hour", n)
		}
		if st := m.Standing(); !st.Held || !strings.Contains(st.Err, "go away") || st.Until.Before(time.Now()) || st.Until.After(time.Now().Add(lastHold)) {
			t.Errorf("standing: %+v", st)
		}
		s.Behave(nil)
		if err := m.Check(t.Context()); err != nil {
			t.Errorf("Check: %v", err)
		}
		if st := m.Standing(); st.Held || !st.Until.IsZero() {
			t.Errorf("standing after it was mended: %+v", st)
		}
		if _, err := m.Send(t.Context(), envelope("ann@example.com")); err != nil {
			t.Errorf("after it was mended: %v", err)
		}
	})
}

func TestHeldSenderLeavesOtherSendersAlone(t *testing.T) {
	t.Parallel()
	s := mailouttest.Start(t, mailouttest.Options{Behave: func(e mailouttest.Event) mailouttest.Do {
		if e.Step == mailouttest.MAIL && e.From == "hr@example.com" {
			return mailouttest.Do{Reply: "553 5.7.1 sender address rejected: not owned by user"}
		}
		return mailouttest.Do{}
	}})
	m := mailer(t, Config{Address: s.Addr})
	bad := envelope("ann@example.com")
	bad.From = "hr@example.com"
	for _, c := range []struct {
		e    Envelope
		want string
	}{{bad, "held"}, {envelope("ann@example.com"), "sent"}, {bad, "held"}} {
		if _, err := m.Send(t.Context(), c.e); outcome(err) != c.want {
			t.Errorf("from %s: %v, want %s", c.e.From, err, c.want)
		}
		if st := m.Standing(); !st.Until.IsZero() {
			t.Errorf("from %s: all mail is held: %+v", c.e.From, st)
		}
	}
}

func TestT18_NothingIsSentToTheDeskItself(t *testing.T) {
	t.Parallel()
	s := mailouttest.Start(t, mailouttest.Options{})
	m := mailer(t, Config{Address: s.Addr})
	for _, to := range []string{"support@example.com", "HelpDesk@example.com"} {
		if _, err := m.Send(t.Context(), envelope(to)); outcome(err) != "refused" {
			t.Errorf("to %s: %v", to, err)
		}
	}
	e := envelope("other@example.com")
	e.From = "Other@example.com"
	if _, err := m.Send(t.Context(), e); outcome(err) != "refused" {
		t.Errorf("to its own sender: %v", err)
	}
	if s.Conns() != 0 {
		t.Error("the server was asked")
	}
}

func TestT23_EnvelopeCannotCarryCommands(t *testing.T) {
	t.Parallel()
	s := mailouttest.Start(t, mailouttest.Options{})
	m := mailer(t, Config{Address: s.Addr})
	for _, bad := range []string{
		"", "ann", "ann@example.com>\r\nRCPT TO:<eve@example.net", "a@b\nc", "a@b> ORCPT=rfc822;x", "<a@b>", "a b@c", "a@b, c@d",
	} {
		if _, err := m.Send(t.Context(), envelope(bad)); outcome(err) != "refused" {
			t.Errorf("to %q: %v", bad, err)
		}
		e := envelope("ann@example.com")
		e.From = bad
		if _, err := m.Send(t.Context(), e); outcome(err) != "refused" {
			t.Errorf("from %q: %v", bad, err)
		}
	}
	if s.Conns() != 0 {
		t.Error("the server was asked")
	}
	if _, err := m.Send(t.Context(), envelope(`"a> ORCPT=x b"@example.com`)); err != nil {
		t.Errorf("quoted local part: %v", err)
	}
	if got := s.Lines(); !slices.Contains(got, `1 RCPT TO:<"a> ORCPT=x b"@example.com>`) {
		t.Errorf("lines: %q", got)
	}
}

func TestT24_DamagedBytesNeverReachTheServer(t *testing.T) {
	t.Parallel()
	s := mailouttest.Start(t, mailouttest.Options{})
	m := mailer(t, Config{Address: s.Addr})
	for _, bad := range []string{"", "A: b\n\nc\n", "A: b\r\n\r\nc", "A: b\r\n\r\nc\n.\r\nQUIT\r\n", "A: b\r\n\r\nc\r.\r\n", "A: b\r\n\r\n\x00\r\n"} {
		e := envelope("ann@example.com")
		e.Data = []byte(bad)
		if _, err := m.Send(t.Context(), e); outcome(err) != "refused" {
			t.Errorf("%q: %v", bad, err)
		}
	}
	if s.Conns() != 0 {
		t.Error("the server was asked")
	}
}

func TestAddressesBeyondASCIINeedSMTPUTF8(t *testing.T) {
	t.Parallel()
	plain, wide := mailouttest.Start(t, mailouttest.Options{}), mailouttest.Start(t, mailouttest.Options{Extensions: []string{"SMTPUTF8"}})
	for _, c := range []struct {
		s    *mailouttest.Server
		to   string
		want string
		line string
	}{
		{plain, "jürgen@example.com", "refused", ""},
		{plain, "ann@example.com", "sent", "2 MAIL FROM:<support@example.com> BODY=8BITMIME"},
		{wide, "jürgen@example.com", "sent", "1 MAIL FROM:<support@example.com> BODY=8BITMIME SMTPUTF8"},
		{wide, "ann@example.com", "sent", "2 MAIL FROM:<support@example.com> BODY=8BITMIME"},
	} {
		m := mailer(t, Config{Address: c.s.Addr})
		_, err := m.Send(t.Context(), envelope(c.to))
		if outcome(err) != c.want {
			t.Errorf("to %s: %v, want %s", c.to, err, c.want)
		}
		if c.line != "" && !slices.Contains(c.s.Lines(), c.line) {
			t.Errorf("to %s: %q, want %q", c.to, c.s.Lines(), c.line)
		}
	}
}

func TestT45_PasswordIsInNoLogErrorOrSetting(t *testing.T) {
	t.Parallel()
	const canary = "hunter2-CANARY"
	forms := []string{
		canary, base64.StdEncoding.EncodeToString([]byte(canary)),
		base64.StdEncoding.EncodeToString([]byte("\x00desk\x00" + canary)),
	}
	var logged bytes.Buffer
	check := func(what, s string) {
		t.Helper()
		for _, f := range forms {
			if strings.Contains(s, f) {
				t.Errorf("%s shows the password: %s", what, s)
			}
		}
	}
	for _, mechanism := range []string{"PLAIN", "LOGIN", "SCRAM-SHA-256", "CRAM-MD5"} {
		for _, echo := range append(forms, "no") {
			s := mailouttest.Start(t, mailouttest.Options{
				Username: "desk", Password: "another", Mechanisms: mechanism,
				Behave: func(e mailouttest.Event) mailouttest.Do {
					if e.Step == mailouttest.AUTH {
						return mailouttest.Do{Reply: "535 5.7.8 wrong: " + echo}
					}
					return mailouttest.Do{}
				},
			})
			c := Config{Address: s.Addr, Security: Plain, Username: "desk", Password: canary}
			m, err := New(c, identity(), slog.New(slog.NewTextHandler(&logged, &slog.HandlerOptions{Level: slog.LevelDebug})))
			if err != nil {
				t.Fatal(err)
			}
			_, err = m.Send(t.Context(), envelope("ann@example.com"))
			if outcome(err) != "held" {
				t.Errorf("%s: %v", mechanism, err)
			}
			check("error", fmt.Sprintf("%v %+v %#v", err, err, err))
			check("standing", fmt.Sprintf("%+v", m.Standing()))
			m.log.Info("settings", "config", c)
			check("settings", fmt.Sprintf("%v %+v %#v %s", c, c, c, c))
			_ = m.Close()
		}
	}
	check("log", logged.String())
	if !strings.Contains(logged.String(), "mail is held") {
		t.Error("nothing was logged")
	}
}

func TestSignsInByEachMechanism(t *testing.T) {
	t.Parallel()
	for _, mechanisms := range []string{"PLAIN", "LOGIN", "LOGIN PLAIN", "XOAUTH2 PLAIN"} {
		s := mailouttest.Start(t, mailouttest.Options{Username: "desk", Password: "secret", Mechanisms: mechanisms})
		m := mailer(t, Config{Address: s.Addr, Username: "desk", Password: "secret"})
		if err := m.Check(t.Context()); err != nil {
			t.Errorf("%s: %v", mechanisms, err)
		}
	}
	s := mailouttest.Start(t, mailouttest.Options{Username: "desk", Password: "secret", Mechanisms: "GSSAPI"})
	m := mailer(t, Config{Address: s.Addr, Username: "desk", Password: "secret"})
	if err := m.Check(t.Context()); outcome(err) != "held" {
		t.Errorf("no mechanism that we know: %v", err)
	}
}

func TestT46_TLSIsNeverGivenUp(t *testing.T) {
	t.Parallel()
	ca, stranger := mailouttest.NewAuthority(t), mailouttest.NewAuthority(t)
	soon, past := time.Now().Add(time.Hour), time.Now().Add(-time.Hour)
	good := func() *tls.Config { return ca.Issue(t, "127.0.0.1", soon) }
	old := good()
	old.MaxVersion, old.MinVersion = tls.VersionTLS11, tls.VersionTLS10
	inject := func(e mailouttest.Event) mailouttest.Do {
		if e.Step == mailouttest.STARTTLS {
			return mailouttest.Do{Reply: "220 go ahead\r\n250-evil\r\n250 AUTH PLAIN"}
		}
		return mailouttest.Do{}
	}
	for name, c := range map[string]struct {
		opts mailouttest.Options
		sec  Security
		want string
	}{
		"implicit":              {mailouttest.Options{TLS: good(), Implicit: true}, TLS, "sent"},
		"starttls":              {mailouttest.Options{TLS: good()}, STARTTLS, "sent"},
		"no STARTTLS offered":   {mailouttest.Options{}, STARTTLS, "held"},
		"plain text on TLS":     {mailouttest.Options{}, TLS, "later"},
		"wrong name":            {mailouttest.Options{TLS: ca.Issue(t, "mail.example.com", soon), Implicit: true}, TLS, "held"},
		"wrong name, STARTTLS":  {mailouttest.Options{TLS: ca.Issue(t, "mail.example.com", soon)}, STARTTLS, "held"},
		"expired":               {mailouttest.Options{TLS: ca.Issue(t, "127.0.0.1", past), Implicit: true}, TLS, "held"},
		"unknown authority":     {mailouttest.Options{TLS: stranger.Issue(t, "127.0.0.1", soon), Implicit: true}, TLS, "held"},
		"TLS 1.1":               {mailouttest.Options{TLS: old, Implicit: true}, TLS, "later"},
		"bytes after 220":       {mailouttest.Options{TLS: good(), Behave: inject}, STARTTLS, "held"},
		"login before STARTTLS": {mailouttest.Options{Username: "desk", Password: "secret"}, STARTTLS, "held"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.opts.Username, c.opts.Password = "desk", "secret"
			s := mailouttest.Start(t, c.opts)
			m := mailer(t, Config{Address: s.Addr, Security: c.sec, CAFile: ca.File, Username: "desk", Password: "secret"})
			m.wait.greeting, m.wait.command = 2*time.Second, 2*time.Second
			_, err := m.Send(t.Context(), envelope("ann@example.com"))
			if got := outcome(err); got != c.want {
				t.Errorf("%s (%v), want %s", got, err, c.want)
			}
			if c.want == "sent" {
				return
			}
			for _, l := range s.Lines() {
				if strings.Contains(l, "AUTH") || strings.Contains(l, "MAIL") {
					t.Errorf("said %q on a line that is not safe", l)
				}
			}
		})
	}
}

func TestT46_PlainTextStaysOnThisMachine(t *testing.T) {
	t.Parallel()
	c := Config{Address: "mail.example.com:25", Security: Plain}
	c.SetDefaults()
	if err := c.Validate(); err == nil {
		t.Error("plain text to another machine was accepted")
	}
	// A name that is said to be ours, and leads elsewhere.
	m := mailer(t, Config{Address: "localhost:25"})
	m.dial = func(context.Context, string, string) (net.Conn, error) { return elsewhere{}, nil }
	if _, err := m.Send(t.Context(), envelope("ann@example.com")); outcome(err) != "held" {
		t.Errorf("got %v", err)
	}
}

// elsewhere is a connection to another machine.
type elsewhere struct{ net.Conn }

func (elsewhere) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 25} }
func (elsewhere) Close() error         { return nil }

func TestEndlessAnswerIsCutOff(t *testing.T) {
	t.Parallel()
	s := mailouttest.Start(t, mailouttest.Options{Behave: func(e mailouttest.Event) mailouttest.Do {
		if e.Step == mailouttest.EHLO {
			return mailouttest.Do{Reply: strings.Repeat("250-more\r\n", 1<<17) + "250 end"}
		}
		return mailouttest.Do{}
	}})
	m := mailer(t, Config{Address: s.Addr})
	if _, err := m.Send(t.Context(), envelope("ann@example.com")); outcome(err) != "later" {
		t.Errorf("got %v", err)
	}
}

func TestServersWordsBecomeOneShortLine(t *testing.T) {
	t.Parallel()
	s := mailouttest.Start(t, mailouttest.Options{Behave: func(e mailouttest.Event) mailouttest.Do {
		if e.Step == mailouttest.RCPT {
			return mailouttest.Do{Reply: "550-5.1.1 \x1b[31mno\x07\r\n550 " + strings.Repeat("x", 2000)}
		}
		return mailouttest.Do{}
	}})
	m := mailer(t, Config{Address: s.Addr})
	_, err := m.Send(t.Context(), envelope("ann@example.com"))
	var r *Refused
	if !errors.As(err, &r) || len(r.Line) > maxWords || strings.ContainsAny(r.Line, "\x1b\x07\r\n") {
		t.Errorf("got %q", err)
	}
}

func TestManyWorkersAtOnce(t *testing.T) {
	t.Parallel()
	s := mailouttest.Start(t, mailouttest.Options{})
	m := mailer(t, Config{Address: s.Addr, Connections: 3})
	done := make(chan error)
	for i := range 60 {
		go func() {
			_, err := m.Send(t.Context(), envelope(fmt.Sprintf("a%d@example.com", i)))
			done <- err
		}()
	}
	for range 60 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	if n, c := len(s.Mails()), s.Conns(); n != 60 || c > 3 {
		t.Errorf("%d mails on %d connections, want 60 on at most 3", n, c)
	}
}

func BenchmarkSend(b *testing.B) {
	s := mailouttest.Start(b, mailouttest.Options{})
	m := mailer(b, Config{Address: s.Addr})
	e := envelope("ann@example.com")
	for b.Loop() {
		if _, err := m.Send(b.Context(), e); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCompose(b *testing.B) {
	m := mailer(b, Config{})
	o := occasion(TeamNotice)
	o.Attachments = nil
	for b.Loop() {
		if _, err := m.Compose(o); err != nil {
			b.Fatal(err)
		}
	}
}
