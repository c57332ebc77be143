package mailouttest

import (
	"net"
	"net/smtp"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestPostfixVouchesForLoginsAndForNobodyElse(t *testing.T) {
	sink := Start(t, Options{LMTP: true})
	p := Postfix(t, PostfixOptions{
		LMTP: sink.Addr, Logins: map[string]string{"ann@example.com": "secret"},
		Aliases: map[string][]string{"network@example.com": {"bob@example.com", "cleo@example.com"}},
	})
	const forged = "Authentication-Results: mx.example.com; dmarc=pass header.from=example.com\r\n"
	mail := func(from string) []byte {
		return []byte(forged + "From: " + from + "\r\nSubject: test\r\n\r\nhello\r\n")
	}
	host, _, _ := net.SplitHostPort(p.Submission)
	login := smtp.PlainAuth("", "ann@example.com", "secret", host)

	if err := smtp.SendMail(p.Outside, nil, "eve@example.net", []string{"support@example.com"}, mail("ann@example.com")); err != nil {
		t.Fatalf("from outside: %v\n%s", err, p.Log())
	}
	got := sink.Wait(t, 1)[0]
	if strings.Contains(string(got.Data), "Authentication-Results") {
		t.Errorf("a forged field came in from outside:\n%s", got.Data)
	}

	if err := smtp.SendMail(p.Submission, login, "ann@example.com", []string{"network@example.com"}, mail("ann@example.com")); err != nil {
		t.Fatalf("submission: %v\n%s", err, p.Log())
	}
	mails := sink.Wait(t, 3)[1:]
	var to []string
	for _, m := range mails {
		to = append(to, m.To)
		field := strings.Index(string(m.Data), "Authentication-Results: mx.example.com; dmarc=pass header.from=example.com")
		if trace := strings.Index(string(m.Data), "Received:"); field < 0 || field > strings.Index(string(m.Data), "From: ") || trace < 0 {
			t.Errorf("the field is not on top:\n%s", m.Data)
		}
	}
	slices.Sort(to)
	if want := []string{"bob@example.com", "cleo@example.com"}; !slices.Equal(to, want) {
		t.Errorf("the list reached %v, want %v", to, want)
	}

	for what, err := range map[string]error{
		"another's address": smtp.SendMail(p.Submission, login, "bob@example.com", []string{"support@example.com"}, mail("bob@example.com")),
		"no login":          smtp.SendMail(p.Submission, nil, "ann@example.com", []string{"support@example.com"}, mail("ann@example.com")),
		"wrong password":    smtp.SendMail(p.Submission, smtp.PlainAuth("", "ann@example.com", "wrong", host), "ann@example.com", []string{"support@example.com"}, mail("ann@example.com")),
		"relaying":          smtp.SendMail(p.Outside, nil, "eve@example.net", []string{"x@example.org"}, mail("x")),
	} {
		if err == nil {
			t.Errorf("%s was accepted", what)
		}
	}
	if n := len(sink.Mails()); n != 3 {
		t.Errorf("%d mails delivered, want 3", n)
	}
}
