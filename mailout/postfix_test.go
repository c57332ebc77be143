package mailout

import (
	"bytes"
	"net"
	"strings"
	"testing"

	"deskd/mailout/mailouttest"
	"deskd/triage"
)

func TestRealPostfixTakesAndDeliversEveryKindUnchanged(t *testing.T) {
	t.Parallel()
	sink := mailouttest.Start(t, mailouttest.Options{LMTP: true})
	ca := mailouttest.NewAuthority(t)
	cert, key := ca.IssueFiles(t, "127.0.0.1", t.TempDir())
	p := mailouttest.Postfix(t, mailouttest.PostfixOptions{
		LMTP: sink.Addr, CertFile: cert, KeyFile: key,
		Logins: map[string]string{"support@example.com": "secret"},
	})
	c := Config{Address: p.Submission, Security: STARTTLS, CAFile: ca.File, Username: "support@example.com", Password: "secret"}
	m := mailer(t, c)
	if err := m.Check(t.Context()); err != nil {
		t.Fatalf("Check: %v\n%s", err, p.Log())
	}
	sent := map[string][]byte{}
	for _, k := range kinds {
		o := occasion(k)
		o.To = []triage.Address{ann}
		mail, err := m.Compose(o)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := m.Send(t.Context(), Envelope{From: "support@example.com", To: "ann@example.com", Data: mail.Bytes})
		if err != nil || !strings.Contains(answer, "queued as") {
			t.Fatalf("%s: %q, %v\n%s", k, answer, err, p.Log())
		}
		sent["<"+mail.MessageID+">"] = mail.Bytes
	}
	for _, got := range sink.Wait(t, len(kinds)) {
		found := false
		for id, want := range sent {
			// Postfix writes its own fields on top and leaves ours as they are.
			if bytes.Contains(got.Data, []byte(id)) && bytes.HasSuffix(got.Data, want) {
				found = true
			}
		}
		if !found {
			t.Errorf("delivered otherwise than composed:\n%s", got.Data)
		}
	}
	if n := strings.Count(p.Log(), "submission/smtpd") - strings.Count(p.Log(), "statistics"); n == 0 {
		t.Error("nothing came by submission")
	}

	wrong := mailer(t, Config{Address: p.Submission, Security: STARTTLS, CAFile: ca.File, Username: "support@example.com", Password: "wrong"})
	if err := wrong.Check(t.Context()); outcome(err) != "held" {
		t.Errorf("wrong password: %v", err)
	}
	e := envelope("ann@example.com")
	e.From = "hr@example.com"
	if _, err := m.Send(t.Context(), e); outcome(err) == "sent" {
		t.Error("another's address was taken")
	}
	_, port, _ := net.SplitHostPort(p.Outside)
	relay := mailer(t, Config{Address: "127.0.0.1:" + port})
	if _, err := relay.Send(t.Context(), envelope("x@example.org")); outcome(err) != "refused" {
		t.Errorf("relaying: %v", err)
	}
}
