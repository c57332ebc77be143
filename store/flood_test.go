package store

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"deskd/triage/ticket"
)

func TestT21_WhatWasOpenedLatelyIsListedForEachRequester(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, s *Store) {
		open := func(tx *Tx, who, mailbox string, verified bool, age time.Duration) ticket.Number {
			t.Helper()
			n, err := tx.NewTicket(Ticket{
				Mailbox: mailbox, Requester: who, Status: ticket.Open, Priority: ticket.Medium, Team: "Helpdesk", CreatedAt: tx.Now().Add(-age),
			})
			if err != nil {
				t.Fatal(err)
			}
			for i := range 2 { // the first mail counts
				if err := tx.AddEntry(Entry{Ticket: n.Number, Kind: "message", Visibility: "public", Author: who, Verified: verified == (i == 0)}); err != nil {
					t.Fatal(err)
				}
			}
			return n.Number
		}
		want := func(tx *Tx, most int, w ...Opened) {
			t.Helper()
			got, err := tx.OpenedLately([]string{"ann", "bob", "nul\x00", "nobody", "ann"}, tx.Now().Add(-time.Hour), most)
			slices.SortFunc(w, func(a, b Opened) int { return int(a.Number - b.Number) })
			if diff := cmp.Diff(w, got); err != nil || diff != "" {
				t.Errorf("OpenedLately (-want +got): %v\n%s", err, diff)
			}
		}
		var a1, a2, a3, b1, n1 ticket.Number
		mustWrite(t, s, func(tx *Tx) error {
			open(tx, "ann", "m", true, 61*time.Minute)
			a1, a2, b1 = open(tx, "ann", "m", true, 50*time.Minute), open(tx, "ann", "n", false, 40*time.Minute), open(tx, "bob", "m", false, 0)
			n1 = open(tx, "nul\x00", "m", true, 0)
			open(tx, "eve", "m", true, 0)
			want(tx, 10, Opened{a1, "m", "ann", true, ticket.Open}, Opened{a2, "n", "ann", false, ticket.Open}, Opened{b1, "m", "bob", false, ticket.Open}, Opened{n1, "m", "nul\x00", true, ticket.Open})
			return nil
		})
		mustWrite(t, s, func(tx *Tx) error {
			a3 = open(tx, "ann", "m", false, 0)
			want(tx, 10, Opened{a1, "m", "ann", true, ticket.Open}, Opened{a2, "n", "ann", false, ticket.Open}, Opened{a3, "m", "ann", false, ticket.Open}, Opened{b1, "m", "bob", false, ticket.Open}, Opened{n1, "m", "nul\x00", true, ticket.Open})
			want(tx, 1, Opened{a2, "n", "ann", false, ticket.Open}, Opened{a3, "m", "ann", false, ticket.Open}, Opened{b1, "m", "bob", false, ticket.Open}, Opened{n1, "m", "nul\x00", true, ticket.Open})
			return nil
		})
	})
}
