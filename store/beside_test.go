package store

import (
	"bytes"
	"errors"
	"fmt"
	"sync"
	"testing"

	"deskd/store/storetest"
)

func TestPersonsCommandsWriteBesideTheDaemon(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		if s, err := OpenBeside(t.Context(), url, Options{Key: testKey()}); err == nil {
			s.Close()
			t.Fatal("a database that is not there was opened")
		}
		daemon := open(t, url)
		n := newTicket(t, daemon).Number
		beside, err := OpenBeside(t.Context(), url, Options{Key: testKey()})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { beside.Close() })
		const each = 30
		var both sync.WaitGroup
		errs := make([]error, 2)
		for i, s := range []*Store{daemon, beside} {
			both.Go(func() {
				for j := range each {
					errs[i] = errors.Join(errs[i], s.Write(t.Context(), func(tx *Tx) error {
						return tx.AddEvent(Event{Ticket: n, Actor: "a", What: "w", After: fmt.Sprint(i, j)})
					}))
				}
			})
		}
		both.Wait()
		if err := errors.Join(errs...); err != nil {
			t.Fatal(err)
		}
		if got := count(t, daemon, "SELECT count(*) FROM events WHERE chain = ?", int64(n)); got != 2*each {
			t.Errorf("%d events, want %d", got, 2*each)
		}
		if err := daemon.VerifyChain(t.Context(), n); err != nil {
			t.Error(err)
		}
	})
}

func TestWrongKeyIsToldToThoseBesideTheDaemon(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		open(t, url)
		other := bytes.Repeat([]byte("x"), 32)
		if _, err := OpenBeside(t.Context(), url, Options{Key: other}); !errors.As(err, new(*WrongKey)) {
			t.Errorf("OpenBeside: %v, want *WrongKey", err)
		}
		for _, c := range []struct {
			key  []byte
			want bool
		}{{testKey(), true}, {other, false}} {
			s, err := OpenReader(t.Context(), url, Options{Key: c.key})
			if err != nil {
				t.Fatal(err)
			}
			if err := s.CheckKey(t.Context()); (err == nil) != c.want {
				t.Errorf("CheckKey: %v", err)
			}
			s.Close()
		}
	})
}
