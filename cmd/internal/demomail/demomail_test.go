package demomail

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/smtp"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var network = map[string][]string{"network@example.com": {"nora@example.com", "noah@example.com", "nina@example.com"}}

func start(t *testing.T, o Options) *Server {
	t.Helper()
	s, err := Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return s
}

func crlf(s string) string { return strings.ReplaceAll(s, "\n", "\r\n") }

func send(t *testing.T, s *Server, login, from string, to []string, raw string) {
	t.Helper()
	var auth smtp.Auth
	if login != "" {
		auth = smtp.PlainAuth("", login, "demo", "127.0.0.1")
	}
	if err := smtp.SendMail(s.SMTPAddr(), auth, from, to, []byte(raw)); err != nil {
		t.Fatalf("send: %v", err)
	}
}

func only(t *testing.T, s *Server, addr string) string {
	t.Helper()
	box := s.Mailbox(addr, "")
	if len(box) != 1 {
		t.Fatalf("mails in INBOX of %s: got %d, want 1", addr, len(box))
	}
	return string(box[0])
}

// fields returns the values of all fields of a name, read by a strict eye.
func fields(raw, name string) []string {
	head, _, _ := strings.Cut(raw, "\r\n\r\n")
	var values []string
	for _, line := range strings.Split(strings.ReplaceAll(head, "\r\n\t", " "), "\r\n") {
		if k, v, ok := strings.Cut(line, ":"); ok && strings.EqualFold(k, name) {
			values = append(values, strings.TrimSpace(v))
		}
	}
	return values
}

const hello = "From: Ann <ann@example.com>\r\nTo: support@example.com\r\nSubject: hello\r\n\r\nhello\r\n"

func TestMailIsDeliveredWithATraceAsAServerWritesIt(t *testing.T) {
	t.Parallel()
	s := start(t, Options{Now: func() time.Time { return time.Date(2026, 11, 2, 9, 30, 0, 0, time.UTC) }})
	send(t, s, "ann@example.com", "ann@example.com", []string{"Support+1042.x@Example.com"}, hello)
	want := crlf("Authentication-Results: demo.example.com; dmarc=pass header.from=example.com\n" +
		"Return-Path: <ann@example.com>\n" +
		"Delivered-To: support+1042.x@example.com\n" +
		"Received: from localhost ([127.0.0.1])\n" +
		"\t(authenticated as ann@example.com)\n" +
		"\tby demo.example.com with ESMTPA id 00000001\n" +
		"\tfor <support+1042.x@example.com>; Mon, 02 Nov 2026 09:30:00 +0000\n" + hello)
	want = strings.ReplaceAll(want, "\r\r\n", "\r\n")
	if diff := cmp.Diff(want, only(t, s, "support@example.com")); diff != "" {
		t.Errorf("delivered mail (-want +got):\n%s", diff)
	}
}

func TestVerdictIsPassOnlyForTheOneWhoLoggedIn(t *testing.T) {
	t.Parallel()
	const pass = "demo.example.com; dmarc=pass header.from=example.com"
	const fail = "demo.example.com; dmarc=fail header.from=example.com"
	const none = "demo.example.com; dmarc=fail"
	for _, c := range []struct{ name, login, header, want string }{
		{"bare address", "ann@example.com", "From: ann@example.com", pass},
		{"other case", "ANN@example.com", "FROM: Ann <Ann@EXAMPLE.com>", pass},
		{"encoded name", "ann@example.com", "From: =?iso-8859-15?Q?=C4nn?= <ann@example.com>", pass},
		{"folded", "ann@example.com", "From: Ann\r\n <ann@example.com>", pass},
		{"an address as a name", "ann@example.com", `From: "eve@example.com" <ann@example.com>`, pass},
		{"nobody logged in", "", "From: ann@example.com", fail},
		{"somebody else logged in", "eve@example.com", "From: ann@example.com", fail},
		{"name that looks like the login", "eve@example.com", `From: "eve@example.com" <ann@example.com>`, fail},
		{"subaddress of the login", "ann@example.com", "From: ann+x@example.com", fail},
		{"other domain", "ann@example.com", "From: ann@example.net", "demo.example.com; dmarc=fail header.from=example.net"},
		{"two addresses", "ann@example.com", "From: ann@example.com, eve@example.com", none},
		{"two fields", "ann@example.com", "From: ann@example.com\r\nfrom : eve@example.com", none},
		{"two fields, one with a NUL", "ann@example.com", "From: ann@example.com\r\nF\x00rom: eve@example.com", none},
		{"second field after a blank-looking line", "ann@example.com", "From: ann@example.com\r\n \r\nFrom: eve@example.com", none},
		{"second field after a bare LF", "ann@example.com", "From: ann@example.com\nFrom: eve@example.com", none},
		{"no From", "ann@example.com", "Sender: ann@example.com", none},
		{"From in the body only", "ann@example.com", "To: x@example.com\r\n\r\nFrom: ann@example.com", none},
		{"starts with a continuation", "ann@example.com", " x\r\nFrom: ann@example.com", none},
		{"empty", "ann@example.com", "From:", none},
		{"nonsense", "ann@example.com", "From: <<<>>>", none},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := start(t, Options{})
			if err := s.Deliver("bounce@example.org", []string{"support@example.com"}, []byte(c.header+"\r\n\r\nx\r\n"), c.login); err != nil {
				t.Fatal(err)
			}
			got := only(t, s, "support@example.com")
			if !strings.HasPrefix(got, "Authentication-Results: "+c.want+"\r\n") {
				t.Errorf("top field: got %q, want %q", strings.SplitN(got, "\r\n", 2)[0], c.want)
			}
		})
	}
}

func TestForgedAuthenticationResultsAreStrippedWhereverTheyStand(t *testing.T) {
	t.Parallel()
	claim := " demo.example.com; dmarc=pass header.from=example.com"
	forms := map[string]string{
		"plain":             "Authentication-Results:" + claim + "\r\n",
		"odd case":          "aUTHENTICATION-rESULTS:" + claim + "\r\n",
		"space before":      "Authentication-Results :" + claim + "\r\n",
		"tab before":        "Authentication-Results\t:" + claim + "\r\n",
		"folded value":      "Authentication-Results: demo.example.com;\r\n\tdmarc=pass\r\n header.from=example.com\r\n",
		"folded first":      "Authentication-Results:\r\n" + claim + "\r\n",
		"folded name":       "Authentication-Results\r\n :" + claim + "\r\n",
		"NUL in the name":   "Authentication\x00-Results:" + claim + "\r\n",
		"zero width":        "Authentication-Results\u200b:" + claim + "\r\n",
		"bare LF":           "Authentication-Results:" + claim + "\n",
		"doubled CR":        "Authentication-Results:" + claim + "\r\r\n",
		"twice":             strings.Repeat("Authentication-Results:"+claim+"\r\n", 2),
		"after bare CR":     "X-A: b\rAuthentication-Results:" + claim + "\r\n",
		"after a bare line": "no field\r\nAuthentication-Results:" + claim + "\r\n",
		"after white line":  " \r\nAuthentication-Results:" + claim + "\r\n",
		"with trace fields": "Return-Path: <boss@example.com>\r\nDelivered-To: boss@example.com\r\nX-Original-To: b@example.com\r\n" +
			"Authentication-Results:" + claim + "\r\n",
	}
	lines := []string{"From: eve@example.com\r\n", "To: support@example.com\r\n", "Subject: x\r\n", "X-Long: a\r\n b\r\n"}
	for name, form := range forms {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t, Options{})
			for at := 0; at <= len(lines); at++ {
				raw := strings.Join(lines[:at], "") + form + strings.Join(lines[at:], "") + "\r\nbody\r\n"
				to := fmt.Sprintf("support%d@example.com", at)
				if err := s.Deliver("eve@example.com", []string{to}, []byte(raw), ""); err != nil {
					t.Fatal(err)
				}
				got := only(t, s, to)
				head, _, _ := strings.Cut(got, "\r\n\r\n")
				if strings.Contains(head, "dmarc=pass") && name != "after bare CR" {
					t.Errorf("position %d: the claim is still there:\n%s", at, got)
				}
				// A bare CR is a space now, so what follows it is no field but a part of another one.
				if strings.ContainsAny(strings.ReplaceAll(got, "\r\n", ""), "\r\n") {
					t.Errorf("position %d: a bare CR or LF is still there: %q", at, got)
				}
				for field, want := range map[string]string{
					"Authentication-Results": "demo.example.com; dmarc=fail", "Return-Path": "<eve@example.com>", "Delivered-To": to,
				} {
					if f := fields(got, field); len(f) != 1 || !strings.HasPrefix(f[0], want) {
						t.Errorf("position %d: %s: got %q, want one, %q", at, field, f, want)
					}
				}
				if f := fields(got, "X-Original-To"); f != nil {
					t.Errorf("position %d: X-Original-To is still there: %q", at, f)
				}
			}
		})
	}
}

func TestFieldsOfTheTraceInTheBodyStay(t *testing.T) {
	t.Parallel()
	s := start(t, Options{})
	body := "\r\nReturn-Path: <x@example.com>\r\nAuthentication-Results: demo.example.com; dmarc=pass\r\n"
	send(t, s, "", "ann@example.net", []string{"support@example.com"}, "From: ann@example.net\r\n"+body)
	if got := only(t, s, "support@example.com"); !strings.HasSuffix(got, "From: ann@example.net\r\n"+body) {
		t.Errorf("the body was changed:\n%s", got)
	}
}

func TestListIsExpandedToItsMembersWithTheEnvelopeSenderKept(t *testing.T) {
	t.Parallel()
	s := start(t, Options{Lists: map[string][]string{
		"network@example.com": network["network@example.com"],
		"all@example.com":     {"network@example.com", "Ann@example.com", "all@example.com"},
	}})
	raw := "From: support@example.com\r\nTo: Network Team <network@example.com>\r\n\r\nx\r\n"
	send(t, s, "support@example.com", "support@example.com", []string{"all@example.com", "nora@example.com"}, raw)
	for _, member := range append(network["network@example.com"], "ann@example.com") {
		got := only(t, s, member)
		if f := fields(got, "To"); !cmp.Equal(f, []string{"Network Team <network@example.com>"}) {
			t.Errorf("%s: To: %q", member, f)
		}
		if f := fields(got, "Return-Path"); !cmp.Equal(f, []string{"<support@example.com>"}) {
			t.Errorf("%s: Return-Path: %q", member, f)
		}
		if f := fields(got, "Delivered-To"); !cmp.Equal(f, []string{member}) {
			t.Errorf("%s: Delivered-To: %q", member, f)
		}
	}
	if box := s.Mailbox("network@example.com", ""); box != nil {
		t.Errorf("the list itself has a mailbox with %d mails", len(box))
	}
}

func TestMailToOtherDomainsIsKeptAndNeverPassedOn(t *testing.T) {
	t.Parallel()
	s := start(t, Options{Domains: []string{"branch.example.org"}})
	send(t, s, "ann@example.com", "", []string{"bob@elsewhere.example.net", "eve@branch.example.org"}, hello)
	if got := fields(only(t, s, "bob@elsewhere.example.net"), "Return-Path"); !cmp.Equal(got, []string{"<>"}) {
		t.Errorf("Return-Path of the null sender: %q", got)
	}
	if _, err := s.login("bob@elsewhere.example.net", "demo"); !errors.Is(err, errLogin) {
		t.Errorf("login of an address of another domain: got %v, want %v", err, errLogin)
	}
	for _, name := range []string{"eve@branch.example.org", "any.body@example.com"} {
		if _, err := s.login(name, "demo"); err != nil {
			t.Errorf("login of %s: %v", name, err)
		}
	}
	for _, c := range [][2]string{{"ann@example.com", "Demo"}, {"ann@example.com", ""}, {"ann", "demo"}, {"", "demo"}, {"ann@sub.example.com", "demo"}} {
		if _, err := s.login(c[0], c[1]); !errors.Is(err, errLogin) {
			t.Errorf("login of %q with %q: got %v, want %v", c[0], c[1], err, errLogin)
		}
	}
}

func TestStartRefusesWhatIsNotLoopbackAndNamesTheFlagOfATakenPort(t *testing.T) {
	t.Parallel()
	for _, addr := range []string{"0.0.0.0:0", ":0", "[::]:0", "192.0.2.1:0", "mail.example.com:0", "127.0.0.1"} {
		if s, err := Start(Options{IMAP: addr}); err == nil {
			t.Errorf("listening on %q was not refused", addr)
			s.Close()
		} else if !strings.Contains(err.Error(), "--imap") || !strings.Contains(err.Error(), addr) {
			t.Errorf("%q: the error names neither flag nor address: %v", addr, err)
		}
	}
	first := start(t, Options{SMTP: "localhost:0"})
	_, err := Start(Options{SMTP: first.SMTPAddr()})
	if err == nil || !strings.Contains(err.Error(), "--smtp") || !strings.Contains(err.Error(), first.SMTPAddr()) {
		t.Errorf("taken port: %v", err)
	}
	for _, o := range []Options{
		{Domain: "exa mple"},
		{AuthServer: "x\r\ny"},
		{Domains: []string{"-"}},
		{Lists: map[string][]string{"network": nil}},
		{Lists: map[string][]string{"a@example.com": {"x y@example.com"}}},
	} {
		if s, err := Start(o); err == nil {
			t.Errorf("%+v was not refused", o)
			s.Close()
		}
	}
}

func TestWaitFindsMailsThatAreThereAndThoseThatCome(t *testing.T) {
	t.Parallel()
	s := start(t, Options{})
	deliver := func(subject string) {
		if err := s.Deliver("", []string{"ann@example.com"}, []byte("Subject: "+subject+"\r\n\r\n"), ""); err != nil {
			t.Error(err)
		}
	}
	has := func(want string) func([]byte) bool {
		return func(raw []byte) bool { return bytes.Contains(raw, []byte(want)) }
	}
	var group sync.WaitGroup
	for i := range 5 {
		group.Go(func() {
			want := fmt.Sprintf("Subject: %d\r\n", i)
			if raw, err := s.Wait(t.Context(), "Ann+x@example.com", "inbox", has(want)); err != nil || !bytes.Contains(raw, []byte(want)) {
				t.Errorf("wait for %d: %q, %v", i, raw, err)
			}
		})
	}
	for i := range 5 {
		deliver(fmt.Sprint(i))
	}
	group.Wait()
	if _, err := s.Wait(t.Context(), "ann@example.com", "", has("Subject: 3")); err != nil {
		t.Errorf("wait for a mail that is there: %v", err)
	}

	ctx, cancel := context.WithCancelCause(t.Context())
	late := errors.New("took too long")
	cancel(late)
	if _, err := s.Wait(ctx, "ann@example.com", "Done", has("x")); !errors.Is(err, late) {
		t.Errorf("wait that is given up: got %v, want %v", err, late)
	}
	group.Go(func() {
		if _, err := s.Wait(t.Context(), "nobody@example.com", "", has("x")); !errors.Is(err, ErrClosed) {
			t.Errorf("wait at the end: got %v, want %v", err, ErrClosed)
		}
	})
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	group.Wait()
	if err := s.Deliver("", []string{"ann@example.com"}, nil, ""); !errors.Is(err, ErrClosed) {
		t.Errorf("deliver after close: got %v, want %v", err, ErrClosed)
	}
	if got := len(s.Mailbox("ann@example.com", "INBOX")); got != 5 {
		t.Errorf("mails after close: got %d, want 5", got)
	}
}

func TestLimitsHoldAndLeaveNothingBehind(t *testing.T) {
	t.Parallel()
	raw := bytes.Repeat([]byte("x"), 1000)
	for _, c := range []struct {
		name   string
		limits limits
		to     []string
		want   error
	}{
		{"size", limits{mail: 999}, []string{"a@example.com"}, ErrTooLarge},
		{"total", limits{total: 1500}, []string{"a@example.com", "b@example.com"}, ErrFull},
		{"mails", limits{mails: 1}, []string{"a@example.com", "b@example.com"}, ErrFull},
		{"accounts", limits{accounts: 1}, []string{"a@example.com", "b@example.com"}, ErrFull},
		{"fits", limits{mail: 1000, total: 4000, mails: 2, accounts: 2}, []string{"a@example.com", "b@example.com"}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := start(t, Options{limits: c.limits})
			err := s.Deliver("", c.to, raw, "")
			if !errors.Is(err, c.want) {
				t.Fatalf("got %v, want %v", err, c.want)
			}
			if held := s.stock.bytes; c.want != nil && (held != 0 || len(s.stock.accounts) != 0) {
				t.Errorf("after a refusal: %d bytes and %d accounts are held", held, len(s.stock.accounts))
			}
		})
	}
}

func TestMailOf25MiBIsTakenAndOneAboveIsNot(t *testing.T) {
	t.Parallel()
	s := start(t, Options{})
	mail := func(size int) string {
		head := "From: ann@example.com\r\n\r\n"
		return head + strings.Repeat(strings.Repeat("x", 62)+"\r\n", (size-len(head))/64) + strings.Repeat("y", (size-len(head))%64-2) + "\r\n"
	}
	fits := mail(25 << 20)
	if len(fits) != 25<<20 {
		t.Fatalf("the test's mail has %d bytes", len(fits))
	}
	send(t, s, "", "ann@example.com", []string{"ann@example.com"}, fits)
	if got := only(t, s, "ann@example.com"); !strings.HasSuffix(got, fits) {
		t.Error("the mail came out changed")
	}
	err := smtp.SendMail(s.SMTPAddr(), nil, "ann@example.com", []string{"ann@example.com"}, []byte(mail(25<<20+1)))
	if err == nil || !strings.HasPrefix(err.Error(), "552 ") {
		t.Errorf("a mail above the limit: got %v, want 552", err)
	}
	if got, want := s.stock.bytes, int64(len(s.Mailbox("ann@example.com", "")[0])); got != want {
		t.Errorf("bytes held: got %d, want %d", got, want)
	}
}

// talk sends lines as they are and returns all that comes back until the
// server hangs up or answers QUIT.
func talk(t *testing.T, addr, script string) string {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	go func() {
		// The server may hang up before it has read all.
		_, _ = c.Write([]byte(script))
	}()
	var all bytes.Buffer
	// A reset is one way to be hung up on; what came before it counts.
	_, _ = all.ReadFrom(c)
	return all.String()
}

func TestHostileSMTPIsAnsweredAndTheServerLivesOn(t *testing.T) {
	t.Parallel()
	s := start(t, Options{limits: limits{recipients: 3}})
	begin := "EHLO x\r\nMAIL FROM:<a@example.net>\r\n"
	for _, c := range []struct{ name, script, want string }{
		{"no greeting", "MAIL FROM:<a@example.net>\r\nQUIT\r\n", "502 "},
		{"no commands", strings.Repeat("\x00\xff\r\n", 10), "Too many errors"},
		{"quit and more", "EHLO x\r\nQUIT\r\nMAIL FROM:<a@example.net>\r\nRCPT TO:<b@example.com>\r\nDATA\r\n", "221 "},
		{"recipient without domain", begin + "RCPT TO:<ann>\r\nQUIT\r\n", "501 "},
		{"recipient with a line break", begin + "RCPT TO:<\"a\rX-Y: z\"@example.com>\r\nQUIT\r\n", "553 "},
		{"recipient with brackets", begin + "RCPT TO:<a@exam<ple.com>\r\nQUIT\r\n", "553 "},
		{"recipient with a colon", begin + "RCPT TO:<a@example.com:x>\r\nQUIT\r\n", "553 "},
		{"recipient in UTF-8", begin + "RCPT TO:<\u00e4@example.com>\r\nQUIT\r\n", "553 "},
		{"sender with a NUL", "EHLO x\r\nMAIL FROM:<a\x00@example.com>\r\nQUIT\r\n", "553 "},
		{"too many recipients", begin + strings.Repeat("RCPT TO:<b@example.com>\r\n", 4) + "QUIT\r\n", "452 "},
		{"data without recipient", begin + "DATA\r\nQUIT\r\n", "502 "},
		{"line without end", begin + "RCPT TO:<" + strings.Repeat("a", 100<<10), "500 "},
		{"announced too large", "EHLO x\r\nMAIL FROM:<a@example.net> SIZE=99999999\r\nQUIT\r\n", "552 "},
		{"wrong password", "EHLO x\r\nAUTH PLAIN AGFubkBleGFtcGxlLmNvbQB4\r\nQUIT\r\n", "535 "},
		{"acts for another", "EHLO x\r\nAUTH PLAIN Ym9iQGV4YW1wbGUuY29tAGFubkBleGFtcGxlLmNvbQBkZW1v\r\nQUIT\r\n", "535 "},
		{"broken AUTH", "EHLO x\r\nAUTH PLAIN AAAAAAA=\r\nQUIT\r\n", "535 "},
		{"unknown AUTH", "EHLO x\r\nAUTH CRAM-MD5\r\nQUIT\r\n", "504 "},
		{"BDAT cut off", begin + "RCPT TO:<cut@example.com>\r\nBDAT 10\r\n0123456789RSET\r\nQUIT\r\n", "Session reset"},
		{"BDAT too large", begin + "RCPT TO:<cut@example.com>\r\nBDAT 4000000000\r\n", "552 "},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			script := c.script
			if c.name == "BDAT too large" { // what was announced does not come
				conn, err := net.Dial("tcp", s.SMTPAddr())
				if err != nil {
					t.Fatal(err)
				}
				defer conn.Close()
				fmt.Fprint(conn, script)
				var got []byte
				b := make([]byte, 4096)
				for !bytes.Contains(got, []byte(c.want)) {
					n, err := conn.Read(b)
					if err != nil {
						t.Fatalf("got %q, want %q in it", got, c.want)
					}
					got = append(got, b[:n]...)
				}
				return
			}
			if got := talk(t, s.SMTPAddr(), script); !strings.Contains(got, c.want) {
				t.Errorf("got %q, want %q in it", got, c.want)
			}
		})
	}
	t.Run("smuggled end of data", func(t *testing.T) {
		t.Parallel()
		got := talk(t, s.SMTPAddr(), begin+"RCPT TO:<smuggled@example.com>\r\nDATA\r\nSubject: x\r\n\r\none\n.\nMAIL FROM:<boss@example.com>\r\n"+
			"RCPT TO:<victim@example.com>\r\nDATA\r\n\r\n.\r\nQUIT\r\n")
		if !strings.Contains(got, "221 ") {
			t.Fatalf("got %q", got)
		}
		if box := s.Mailbox("victim@example.com", ""); box != nil {
			t.Errorf("a second mail came out of the first: %q", box)
		}
		only(t, s, "smuggled@example.com")
	})
	t.Cleanup(func() {
		if box := s.Mailbox("cut@example.com", ""); box != nil {
			t.Errorf("a mail that was cut off was delivered: %q", box)
		}
	})
}

func TestGreetingNameCannotWriteIntoTheTrace(t *testing.T) {
	t.Parallel()
	s := start(t, Options{})
	talk(t, s.SMTPAddr(), "EHLO x;(dmarc=pass)\x00\"by\tdemo.example.com\r\nMAIL FROM:<>\r\nRCPT TO:<a@example.com>\r\nDATA\r\n\r\nx\r\n.\r\nQUIT\r\n")
	if got := fields(only(t, s, "a@example.com"), "Received"); len(got) != 1 || !strings.HasPrefix(got[0], "from xdmarcpassbydemo.example.com ([127.0.0.1]) by demo.example.com") {
		t.Errorf("Received: %q", got)
	}
}

func TestConnectionsAboveTheLimitAreTurnedAway(t *testing.T) {
	t.Parallel()
	s := start(t, Options{limits: limits{conns: 1}})
	first, err := net.Dial("tcp", s.IMAPAddr())
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	if n, err := first.Read(make([]byte, 100)); n == 0 {
		t.Fatalf("greeting: %v", err)
	}
	if got := talk(t, s.IMAPAddr(), ""); got != "" {
		t.Errorf("the second connection was greeted: %q", got)
	}
}

func TestCloseEndsConnectionsInTheMiddleOfTheirWork(t *testing.T) {
	t.Parallel()
	s := start(t, Options{})
	for addr, script := range map[string]string{
		s.SMTPAddr(): "EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<a@example.com>\r\nDATA\r\nSubject: ha",
		s.IMAPAddr(): "a LOGIN ann@example.com demo\r\nb SELECT INBOX\r\nc IDLE\r\n",
	} {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		fmt.Fprint(c, script)
		var got []byte
		b := make([]byte, 4096)
		for !bytes.Contains(got, []byte("354 ")) && !bytes.Contains(got, []byte("+ idling")) {
			n, err := c.Read(b)
			if err != nil {
				t.Fatalf("after %q: %v", got, err)
			}
			got = append(got, b[:n]...)
		}
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Errorf("second close: %v", err)
	}
	if box := s.Mailbox("a@example.com", ""); box != nil {
		t.Errorf("half a mail was delivered: %q", box)
	}
}

const pythonClient = `
import imaplib, smtplib, sys, email
smtp, imap = sys.argv[1].rsplit(":", 1), sys.argv[2].rsplit(":", 1)
def ok(r, want="OK"):
    assert r[0] == want, r
    return r[1]
s = smtplib.SMTP(smtp[0], int(smtp[1]), timeout=30)
s.ehlo()
assert s.has_extn("size") and s.has_extn("auth"), s.esmtp_features
s.user, s.password = "ann@example.com", "demo"
s.auth("LOGIN", s.auth_login, initial_response_ok=False)
for i in range(1, 5):
    r = s.sendmail("ann@example.com", ["support@example.com", "network@example.com"],
        "From: Ann <ann@example.com>\r\nTo: support@example.com\r\nSubject: =?utf-8?q?dr=C3=BCcker_%d?=\r\n\r\n.dot %d\r\n" % (i, i))
    assert r == {}, r
s.quit()
m = imaplib.IMAP4(imap[0], int(imap[1]), timeout=30)
try:
    m.login("support@example.com", "wrong"); raise SystemExit("wrong password was taken")
except imaplib.IMAP4.error: pass
m.login("support@example.com", "demo")
assert "IDLE" in m.capability()[1][0].decode(), m.capability()
assert b'"/"' in ok(m.namespace())[0]
assert ok(m.select("INBOX")) == [b"4"]
uids = ok(m.uid("SEARCH", None, "ALL"))[0].split()
assert uids == [b"1", b"2", b"3", b"4"], uids
assert ok(m.uid("SEARCH", "CHARSET", "UTF-8", "SUBJECT", "3"))[0] == b"3"
assert ok(m.search(None, "UNSEEN", "2:*"))[0] == b"2 3 4"
d = ok(m.uid("FETCH", "2", "(RFC822.SIZE INTERNALDATE FLAGS BODY.PEEK[])"))
msg = email.message_from_bytes(d[0][1])
assert msg["Authentication-Results"] == "demo.example.com; dmarc=pass header.from=example.com", msg
assert msg.get_payload() == ".dot 2\r\n", msg
assert b"\\Seen" not in d[0][0], d
d = ok(m.fetch("1", "(BODY[HEADER.FIELDS (SUBJECT)] ENVELOPE BODYSTRUCTURE)"))
assert b"Subject: =?utf-8?q?dr=C3=BCcker_1?=\r\n\r\n" in d[0], d
ok(m.create("Done"))
ok(m.create("Done"), "NO")
assert b"TRYCREATE" in ok(m.uid("MOVE", "1", "Nowhere"), "NO")[0]
ok(m.uid("MOVE", "99", "Done"))            # not there: nothing to do
m.untagged_responses.clear()
ok(m.uid("MOVE", "2:3", "Done"))
assert m.untagged_responses.pop("EXPUNGE") == [b"3", b"2"], m.untagged_responses
assert ok(m.uid("SEARCH", None, "ALL"))[0].split() == [b"1", b"4"]
assert sorted(x.rsplit(b" ", 1)[1] for x in ok(m.list())) == [b'"Done"', b"INBOX"], m.list()
assert ok(m.status("Done", "(MESSAGES UNSEEN UIDNEXT)"))[0] == b'"Done" (MESSAGES 2 UIDNEXT 3 UNSEEN 2)', m.status("Done", "(MESSAGES UNSEEN UIDNEXT)")
assert b"APPENDUID" in ok(m.append("Done", r"(\Seen $Ticketed)", imaplib.Time2Internaldate(0), b"Subject: a\r\n\r\nb\r\n"))[0]
ok(m.append("Gone", None, None, b"x"), "NO")
ok(m.uid("STORE", "4", "+FLAGS", r"(\Deleted $Ticketed)"))
assert b"$Ticketed" in ok(m.uid("FETCH", "4", "(FLAGS)"))[0]
ok(m.uid("EXPUNGE", "1"))
assert ok(m.uid("SEARCH", None, "ALL"))[0].split() == [b"1", b"4"]
ok(m.uid("COPY", "4", "Done"))
m.close()                                   # expunges what is marked
assert ok(m.select("INBOX", readonly=True)) == [b"1"]
m.logout()
print("done")
`

func TestStockPythonClientsSendAndRead(t *testing.T) {
	t.Parallel()
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("python3 is not installed")
	}
	s := start(t, Options{Lists: network})
	out, err := exec.CommandContext(t.Context(), python, "-c", pythonClient, s.SMTPAddr(), s.IMAPAddr()).CombinedOutput()
	if err != nil || string(out) != "done\n" {
		t.Errorf("python: %v\n%s", err, out)
	}
	if got := len(s.Mailbox("nina@example.com", "")); got != 4 {
		t.Errorf("mails of a member of the list: got %d, want 4", got)
	}
	if got := len(s.Mailbox("support@example.com", "Done")); got != 4 {
		t.Errorf("mails in Done: got %d, want 4", got)
	}
}
