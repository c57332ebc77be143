package main

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"deskd/cmd/internal/demomail"
)

// TestAlarmsTakeTheirOwnWays has the desk's mailbox out of reach and its mail
// server refuse the login; somebody else's server takes the alert.
func TestAlarmsTakeTheirOwnWays(t *testing.T) {
	t.Parallel()
	posts := make(chan string, 10)
	hook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(io.LimitReader(r.Body, 1<<20))
		posts <- r.URL.Path + " " + string(b)
	}))
	t.Cleanup(hook.Close)
	other := demoSystem(t, demomail.Options{})
	s := demoSystem(t, demomail.Options{})
	settings := settingsFor(t, s, "deskd.db", "alerts:\n  after: 0s\n  mail: [ann@example.com]\n  from: alerts@example.net\n  webhook_env: HOOK\n"+
		"  smtp: {address: '"+other.smtp+"', security: none, username: hana@example.com, password: demo}\n")
	replace(t, settings, "password: demo\nteams", "password: wrong\nteams")
	d := start(t, settings, "HOOK="+hook.URL+"/canary-hook")
	ann := other.open(t, "ann@example.com")
	s.send(t, "ann@example.com", []string{"support@example.com"}, letter("ann@example.com", "support@example.com", "VPN", "x"))
	mail := ann.wait("an alert", with("The desk needs a look", "Wrong at present:", "Nothing is sent: "))
	if mail.header.Get("Auto-Submitted") != "auto-generated" || !strings.Contains(mail.header.Get("From"), "alerts@example.net") {
		t.Errorf("the alert's header: %v", mail.header)
	}
	path, body, _ := strings.Cut(<-posts, " ")
	var posted struct {
		Text          string
		Wrong, Mended []string
	}
	if err := json.Unmarshal([]byte(body), &posted); err != nil || path != "/canary-hook" {
		t.Fatalf("posted to %s: %v\n%s", path, err, body)
	}
	if len(posted.Wrong) == 0 || len(posted.Mended) != 0 || !strings.Contains(posted.Text, "- wrong: "+posted.Wrong[0]) {
		t.Errorf("posted: %+v", posted)
	}
	if strings.Contains(d.log.String(), "canary-hook") {
		t.Error("the webhook's address is in the log")
	}
	if !strings.Contains(d.log.String(), "msg=alarm") {
		t.Error("the log does not tell the alarm")
	}
	if got := d.answers(t, "localhost", "readyz"); got != http.StatusServiceUnavailable {
		t.Errorf("/readyz answers %d", got)
	}
}

func TestHeartbeatGoesOutAndComesBack(t *testing.T) {
	t.Parallel()
	s := demoSystem(t, demomail.Options{})
	d := start(t, replace(t, settingsFor(t, s, "deskd.db", "heartbeat: 1m\n"), "listen: 127.0.0.1:0", "listen: 127.0.0.1:0\n  monitor: 127.0.0.1:0"))
	until(t, "the page says that it came back", func() bool { return strings.Contains(d.get(t, ""), "there and back in ") })
	if list := d.tickets(); len(list) != 0 {
		t.Errorf("it opened tickets: %+v", list)
	}
	for path, want := range map[string]int{"metrics": 404, "readyz": 404, "healthz": 200} {
		if got := d.answers(t, "localhost", path); got != want {
			t.Errorf("%s on the page answers %d, want %d", path, got, want)
		}
	}
}
