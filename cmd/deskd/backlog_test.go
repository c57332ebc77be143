package main

import (
	"flag"
	"fmt"
	"strings"
	"testing"
	"time"

	"deskd/store"
	"deskd/triage/ticket"
)

var backlog = flag.Int("backlog", 3000, "how many mails wait in the outbox of TestF36; 100000 for all of it")

// TestF36_BacklogIsSentInOrderAndInLittleMemory starts a daemon on an outbox
// that is full: several mails to each of some tickets.
func TestF36_BacklogIsSentInOrderAndInLittleMemory(t *testing.T) {
	t.Parallel()
	backlog := *backlog
	each(t, func(t *testing.T, l *load) {
		const perTicket = 10
		settings := l.settings("one", "")
		db, err := store.Open(t.Context(), l.database, store.Options{Key: l.key, Owner: "filler"})
		if err != nil {
			t.Fatal(err)
		}
		text := strings.Repeat("The printer is on fire.\r\n", 200) // 5 kB, as notices have
		for n := 0; n < backlog; n += 50 * perTicket {
			err := db.Write(t.Context(), func(tx *store.Tx) error {
				for range 50 {
					tk, err := tx.NewTicket(store.Ticket{Mailbox: "support@example.com", Subject: "x", Requester: "ann@example.com", Status: ticket.Open, Priority: ticket.Medium, Team: "Helpdesk"})
					if err != nil {
						return err
					}
					for i := range perTicket {
						id := fmt.Sprintf("%d.%d@backlog.example", tk.Number, i)
						err := tx.Enqueue(store.Outgoing{
							Key: "backlog:" + id, Ticket: tk.Number, Recipients: []string{"ann@example.com"}, From: "support@example.com", MessageID: id, Kind: "reply",
							Body: fmt.Appendf(nil, "From: support@example.com\r\nTo: ann@example.com\r\nSubject: x\r\nMessage-ID: <%s>\r\n\r\n%s", id, text),
						})
						if err != nil {
							return err
						}
					}
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		began, peak := time.Now(), 0.0
		d := start(t, settings)
		sent := func() int { return len(l.server.Mailbox("ann@example.com", "")) }
		for last, stuck := 0, time.Now(); sent() < backlog; {
			peak = max(peak, d.figures(t, began, 0).rss)
			if n := sent(); n != last {
				last, stuck = n, time.Now()
			}
			if time.Since(stuck) > patience {
				t.Fatalf("%d of %d mails were sent, and no more", sent(), backlog)
			}
			select {
			case <-t.Context().Done():
				t.Fatal(t.Context().Err())
			case <-time.After(200 * time.Millisecond):
			}
		}
		t.Logf("%d mails in %s, %.0f MiB at the most", backlog, time.Since(began).Round(time.Second), peak/(1<<20))
		if peak > 128<<20 {
			t.Errorf("%.0f MiB at the most, want 128 or less", peak/(1<<20))
		}
		next := map[string]int{}
		for _, raw := range l.server.Mailbox("ann@example.com", "") {
			var n, i int
			if _, err := fmt.Sscanf(idOf(t, raw), "%d.%d@", &n, &i); err != nil {
				t.Fatal(err)
			}
			key := fmt.Sprint(n)
			if i != next[key] {
				t.Fatalf("mail %d of ticket %d came when %d was due", i, n, next[key])
			}
			next[key]++
		}
	})
}
