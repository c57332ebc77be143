package store

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"testing"
	"time"

	"deskd/store/storetest"
	"deskd/triage/ticket"
)

// testKey keys the chains of all tests.
func testKey() []byte { return bytes.Repeat([]byte("k"), 32) }

func open(t testing.TB, url string) *Store {
	t.Helper()
	return openWith(t, url, Options{})
}

func openWith(t testing.TB, url string, o Options) *Store {
	t.Helper()
	if o.Key == nil {
		o.Key = testKey()
	}
	if o.Owner == "" {
		o.Owner = "desk1"
	}
	s, err := Open(t.Context(), url, o)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return s
}

// both runs a test on a fresh store of each kind.
func both(t *testing.T, fn func(t *testing.T, s *Store)) {
	t.Helper()
	storetest.Each(t, func(t *testing.T, url string) { fn(t, open(t, url)) })
}

func mustWrite(t testing.TB, s *Store, fn func(tx *Tx) error) {
	t.Helper()
	if err := s.Write(t.Context(), fn); err != nil {
		t.Fatalf("Write: %v", err)
	}
}

// begin makes the row of one mail and gives it.
func begin(t testing.TB, s *Store, uid uint32) Intake {
	t.Helper()
	rows, err := s.BeginHandling(t.Context(), []MailboxUID{{"help@example.org", 1, uid}}, false, false)
	if err != nil || len(rows) != 1 {
		t.Fatalf("BeginHandling: %v, %v", rows, err)
	}
	return rows[0]
}

func newTicket(t testing.TB, s *Store) Ticket {
	t.Helper()
	var made Ticket
	mustWrite(t, s, func(tx *Tx) error {
		n, err := tx.NewTicket(aTicket())
		if err == nil {
			made = *n
		}
		return err
	})
	return made
}

func aTicket() Ticket {
	return Ticket{
		Mailbox: "help@example.org", Subject: "printer", Requester: "ann@example.org", RequesterName: "Ann",
		Status: ticket.Open, Priority: ticket.Medium, Team: "Helpdesk", Tags: []string{"hw"}, Reasons: []string{"printer: medium"},
	}
}

// mail does in one transaction all that one new mail leads to.
func mail(tx *Tx, in Intake, raw []byte) error {
	sum := sha256.Sum256(raw)
	if _, err := tx.Twins(in.Mailbox, [][]byte{sum[:]}, [][]byte{sum[:]}); err != nil {
		return err
	}
	t, err := tx.NewTicket(aTicket())
	if err != nil {
		return err
	}
	id := fmt.Sprintf("mail-%d@example.org", in.ID)
	in.SHA256, in.ContentKey, in.MessageID, in.From, in.Fate, in.Ticket, in.File = sum[:], sum[:], id, "ann@example.org", FateNewTicket, t.Number, "done"
	in.Size, in.Reason, in.Kind, in.Why, in.ArrivedAt = int64(len(raw)), "new", "person", []byte(`{}`), tx.Now()
	for _, err := range []error{
		tx.KeepRaw(sum[:], raw),
		tx.AddEntry(Entry{
			Ticket: t.Number, Kind: "message", Visibility: "public", Author: "ann@example.org", Text: string(raw[:min(1800, len(raw))]),
			FullText: string(raw[:min(1800, len(raw))]), Attachments: []byte(`[]`), Blocks: []byte(`[]`), Intake: in.ID, MessageID: id,
		}),
		tx.AddEvent(Event{Ticket: t.Number, Actor: "ann@example.org", What: "opened", After: "open", Intake: in.ID}),
		tx.KnowIDs(t.Number, []string{id}, "in"),
		tx.SawPerson("ann@example.org", "Ann"),
		tx.Enqueue(outgoing(fmt.Sprintf("intake:%d/acknowledge", in.ID), t.Number, in.ID, "ann@example.org")),
		tx.Enqueue(outgoing(fmt.Sprintf("intake:%d/team", in.ID), t.Number, in.ID, "team@example.org")),
		tx.Decide(in),
	} {
		if err != nil {
			return err
		}
	}
	return nil
}

func outgoing(key string, n ticket.Number, intake int64, to ...string) Outgoing {
	return Outgoing{
		Key: key, Ticket: n, Recipients: to, From: "help@example.org", MessageID: key + "@example.org", Kind: "acknowledgement",
		Automatic: true, Body: bytes.Repeat([]byte("0123456789\r\n"), 100), Intake: intake, Subject: "[IT-1] printer",
	}
}

// count asks the database itself.
func count(t testing.TB, s *Store, query string, args ...any) int {
	t.Helper()
	n, err := read[int64](context.WithoutCancel(t.Context()), s, query, args...)
	if err != nil || len(n) != 1 {
		t.Fatalf("%s: %v, %v", query, n, err)
	}
	return int(n[0])
}

// stopped is a clock that stands still until it is set.
type stopped struct{ at time.Time }

func (c *stopped) now() time.Time { return c.at }
