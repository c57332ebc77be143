package store

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestT17_WritersAreCountedHoweverManyOthersWrite(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, s *Store) {
		n, other := newTicket(t, s).Number, newTicket(t, s).Number
		say := func(tx *Tx, author string, minutes time.Duration) error {
			return tx.AddEntry(Entry{Ticket: n, Kind: "message", Visibility: "public", Author: author, At: tx.Now().Add(-minutes * time.Minute)})
		}
		want := func(tx *Tx, most int, w map[string]int) {
			t.Helper()
			got, err := tx.WrittenBy(n, []string{"ann", "bob", "amy", "nul\x00"}, tx.Now().Add(-time.Hour), most)
			if diff := cmp.Diff(w, got); err != nil || diff != "" {
				t.Errorf("WrittenBy (-want +got): %v\n%s", err, diff)
			}
		}
		mustWrite(t, s, func(tx *Tx) error {
			errs := []error{
				say(tx, "ann", 120), say(tx, "ann", 3), say(tx, "bob", 2), say(tx, "ann", 1), say(tx, "nul\x00", 4),
				tx.AddEntry(Entry{Ticket: other, Kind: "note", Visibility: "internal", Author: "ann"}),
			}
			for i := range 50 {
				errs = append(errs, say(tx, fmt.Sprint("technician", i), 0))
			}
			return errors.Join(errs...)
		})
		mustWrite(t, s, func(tx *Tx) error {
			want(tx, 10, map[string]int{"ann": 2, "bob": 1, "nul\x00": 1})
			want(tx, 1, map[string]int{"ann": 1})
			if err := errors.Join(say(tx, "bob", 0), say(tx, "amy", 120), say(tx, "nul\x00", 0)); err != nil {
				return err
			}
			want(tx, 10, map[string]int{"ann": 2, "bob": 2, "nul\x00": 2})
			return nil
		})
	})
}
