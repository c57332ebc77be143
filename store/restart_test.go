package store

import (
	"testing"
	"time"

	"deskd/store/storetest"
)

func TestF35RestartTakesClaimedMailsBackAtOnce(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		first, err := Open(t.Context(), url, Options{Key: testKey(), Owner: "desk1"})
		if err != nil {
			t.Fatal(err)
		}
		mustWrite(t, first, func(tx *Tx) error {
			return tx.Enqueue(Outgoing{Key: "k", Recipients: []string{"ann@example.org"}, From: "help@example.org", MessageID: "m@x", Kind: "reply", Body: []byte("x")})
		})
		if rows, err := first.Claim(t.Context(), 5, time.Hour); err != nil || len(rows) != 1 {
			t.Fatalf("claimed %d, %v", len(rows), err)
		}
		if n, err := first.TakeBack(t.Context()); err != nil || n != 0 {
			t.Fatalf("took %d of its own claims back, %v", n, err)
		}
		if err := first.Close(); err != nil { // as far as the outbox goes, a death
			t.Fatal(err)
		}
		for _, c := range []struct {
			owner string
			want  int
		}{{"desk2", 0}, {"desk1", 1}} {
			s, err := Open(t.Context(), url, Options{Key: testKey(), Owner: c.owner})
			if err != nil {
				t.Fatal(err)
			}
			n, err := s.TakeBack(t.Context())
			if err != nil || n != c.want {
				t.Errorf("%s took back %d, %v, want %d", c.owner, n, err, c.want)
			}
			rows, err := s.Claim(t.Context(), 5, time.Hour)
			if err != nil || len(rows) != c.want {
				t.Errorf("%s claimed %d, %v, want %d", c.owner, len(rows), err, c.want)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
		}
	})
}
