package store

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"deskd/store/storetest"
)

func TestF18StartOfAMailboxIsKeptForEver(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		s := open(t, url)
		first := Start{At: time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC), Validity: 4294967295, UIDNext: 4294967295}
		for _, now := range []Start{first, {At: time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC), Validity: 7, UIDNext: 8}} {
			got, err := s.StartOf(t.Context(), "support@example.com", now)
			if err != nil || got != first {
				t.Errorf("got %+v, %v, want %+v", got, err, first)
			}
		}
	})
}

func TestUnfiledListsWhatIsNeitherGoneNorFiled(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		s, box := open(t, url), "support@example.com"
		if err := s.Seen(t.Context(), box, 7, []uint32{3, 1, 2, 4}); err != nil {
			t.Fatal(err)
		}
		if err := s.Filed(t.Context(), box, 7, []uint32{2}); err != nil {
			t.Fatal(err)
		}
		if err := s.Gone(t.Context(), box, 7, []uint32{4}); err != nil {
			t.Fatal(err)
		}
		for validity, want := range map[uint32]string{7: "[1 3]", 8: "[]"} {
			got, err := s.Unfiled(t.Context(), box, validity)
			if err != nil || fmt.Sprint(got) != want {
				t.Errorf("validity %d: got %v, %v, want %s", validity, got, err, want)
			}
		}
	})
}

func TestOtherKeyIsRefused(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		s, err := Open(t.Context(), url, Options{Key: testKey()})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		_, err = Open(t.Context(), url, Options{Key: []byte("another key that has 32 bytes....")})
		if !errors.As(err, new(*WrongKey)) {
			t.Errorf("got %v, want *WrongKey", err)
		}
		open(t, url)
	})
}
