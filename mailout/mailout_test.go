package mailout

import (
	"flag"
	"log/slog"
	"testing"
	"time"

	"go.uber.org/goleak"

	"deskd/triage"
	"deskd/triage/ticket"
)

var (
	update  = flag.Bool("update", false, "rewrite the golden files")
	htmlDir = flag.String("html", "", "an absolute folder to write the HTML of the golden mails to, to be looked at in a browser")
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// identity is that of the desk in all tests.
func identity() Identity {
	return Identity{
		Name: "IT Service Desk", Prefix: "IT", OldPrefixes: []string{"HELP"}, Host: "example.com",
		Signer: triage.NewSigner([]byte("0123456789abcdef0123456789abcdef")),
		ListID: "desk.example.com", Location: time.UTC, PageURL: "https://desk.example.com/",
		Own:       []string{"support@example.com", "helpdesk@example.com"},
		Languages: map[string]string{"example.de": German},
	}
}

// mailer makes a Mailer for a server.
func mailer(t testing.TB, c Config) *Mailer {
	t.Helper()
	if c.Address == "" {
		c.Address = "127.0.0.1:25"
	}
	if c.Security == "" {
		c.Security = Plain
	}
	m, err := New(c, identity(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return m
}

// vpn is the ticket of most tests.
func vpn() TicketView {
	return TicketView{
		Number: 1042, Subject: "VPN is down again", Status: ticket.Open, Priority: ticket.High,
		Team:      "Network Team",
		Requester: triage.Address{Name: "Ann Miller", Addr: "ann@example.com"},
		CreatedAt: time.Date(2026, 11, 23, 9, 14, 0, 0, time.UTC), Key: []byte("0123456789abcdef"),
	}
}
