package store

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"deskd/triage/ticket"
)

func TestF01_FateIsSetOnce(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, s *Store) {
		in := begin(t, s, 1)
		mustWrite(t, s, func(tx *Tx) error { return mail(tx, in, []byte("raw")) })
		var decided *AlreadyDecided
		err := s.Write(t.Context(), func(tx *Tx) error { return mail(tx, in, []byte("raw")) })
		if !errors.As(err, &decided) || decided.Fate != FateNewTicket || World(err) {
			t.Errorf("second decision = %v, want *AlreadyDecided", err)
		}
		if got := count(t, s, "SELECT count(*) FROM tickets"); got != 1 {
			t.Errorf("%d tickets, want 1", got)
		}
		// In a batch, only the stale mail's own effects are undone.
		fresh := begin(t, s, 2)
		mustWrite(t, s, func(tx *Tx) error {
			if err := tx.Try(func(tx *Tx) error { return mail(tx, in, []byte("raw")) }); !errors.As(err, &decided) {
				t.Errorf("Try = %v, want *AlreadyDecided", err)
			}
			return tx.Try(func(tx *Tx) error { return mail(tx, fresh, []byte("raw2")) })
		})
		if got := count(t, s, "SELECT count(*) FROM tickets"); got != 2 {
			t.Errorf("%d tickets, want 2", got)
		}
		for name, in := range map[string]Intake{"unknown": {ID: 99, Fate: FateSpam}, "no fate": {ID: 3}, "bad fate": {ID: 3, Fate: "odd"}} {
			if err := s.Write(t.Context(), func(tx *Tx) error { return tx.Decide(in) }); err == nil {
				t.Errorf("Decide on %s went well", name)
			}
		}
		third := begin(t, s, 3)
		err = s.Write(t.Context(), func(tx *Tx) error {
			third.Fate = FateSpam
			return errors.Join(tx.Decide(third), tx.Decide(third))
		})
		if !errors.As(err, &decided) {
			t.Errorf("two decisions in one transaction = %v, want *AlreadyDecided", err)
		}
	})
}

func TestF19_OnlyDeathsAloneAndOwnErrorsCount(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, s *Store) {
		id := MailboxUID{"help@example.org", 1, 5}
		attempt := func(alone, forgive bool) Intake {
			t.Helper()
			rows, err := s.BeginHandling(t.Context(), []MailboxUID{id}, alone, forgive)
			if err != nil || len(rows) != 1 {
				t.Fatal(rows, err)
			}
			return rows[0]
		}
		in := attempt(false, false)
		if in.Handling != HandlingBatch || in.Failures != 0 || in.UID != 5 {
			t.Errorf("first attempt: %+v", in)
		}
		if in = attempt(true, false); in.Failures != 0 || in.Handling != HandlingAlone {
			t.Errorf("after a death in a batch: %d failures, want 0", in.Failures)
		}
		if in = attempt(true, true); in.Failures != 0 {
			t.Errorf("after a forgiven death alone: %d failures, want 0", in.Failures)
		}
		if in = attempt(true, false); in.Failures != 1 || in.LastError == "" {
			t.Errorf("after a death alone: %d failures, want 1", in.Failures)
		}
		if err := s.EndHandling(t.Context(), []int64{in.ID}, ""); err != nil {
			t.Fatal(err)
		}
		if in = attempt(true, false); in.Failures != 1 {
			t.Errorf("after an error of the world: %d failures, want 1 still", in.Failures)
		}
		if err := s.EndHandling(t.Context(), []int64{in.ID}, "cannot be read"); err != nil {
			t.Fatal(err)
		}
		rows, err := s.Pending(t.Context(), id.Mailbox, 1, []uint32{5, 6})
		if err != nil || len(rows) != 1 || rows[0].Failures != 2 || rows[0].LastError != "cannot be read" || rows[0].Handling != "" {
			t.Errorf("Pending = %+v, %v", rows, err)
		}
	})
}

func TestSeenCountsAttemptsToFetch(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, s *Store) {
		for range 3 {
			if err := s.Seen(t.Context(), "m", 4294967295, []uint32{9, 4294967295}); err != nil {
				t.Fatal(err)
			}
		}
		many := make([]uint32, 1201)
		for i := range many {
			many[i] = uint32(i + 1)
		}
		if err := s.Seen(t.Context(), "m", 2, many); err != nil {
			t.Fatal(err)
		}
		rows, err := s.Pending(t.Context(), "m", 4294967295, []uint32{4294967295, 9, 1})
		if err != nil || len(rows) != 2 || rows[0].UID != 9 || rows[1].Fetches != 3 || rows[0].SeenAt.IsZero() {
			t.Errorf("Pending = %+v, %v", rows, err)
		}
		if rows, err := s.Pending(t.Context(), "m", 2, many); err != nil || len(rows) != len(many) {
			t.Errorf("Pending of many = %d, %v", len(rows), err)
		}
	})
}

func TestBeginHandlingKeepsTheOrderAsked(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, s *Store) {
		ids := []MailboxUID{{"b", 1, 3}, {"a", 1, 2}, {"b", 1, 1}, {"b", 2, 1}}
		rows, err := s.BeginHandling(t.Context(), ids, false, false)
		if err != nil {
			t.Fatal(err)
		}
		for i, r := range rows {
			if got := (MailboxUID{r.Mailbox, r.Validity, r.UID}); got != ids[i] || r.ID == 0 {
				t.Errorf("row %d = %v, want %v", i, got, ids[i])
			}
		}
	})
}

func TestGoneDecidesOnlyWhatIsUndecided(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, s *Store) {
		in := begin(t, s, 1)
		mustWrite(t, s, func(tx *Tx) error { return mail(tx, in, []byte("raw")) })
		begin(t, s, 2)
		if undone, err := s.ListIntakes(t.Context(), IntakeFilter{Undone: true}); err != nil || len(undone) != 2 {
			t.Errorf("undone: %d, %v, want 2", len(undone), err)
		}
		if err := s.Gone(t.Context(), in.Mailbox, 1, []uint32{1, 2, 3}); err != nil {
			t.Fatal(err)
		}
		rows, err := s.Pending(t.Context(), in.Mailbox, 1, []uint32{1, 2, 3})
		if err != nil || len(rows) != 3 {
			t.Fatal(rows, err)
		}
		for i, want := range []Fate{FateNewTicket, FateGone, FateGone} {
			if rows[i].Fate != want || rows[i].FiledAt.IsZero() || rows[i].DecidedAt.IsZero() || rows[i].Handling != "" {
				t.Errorf("uid %d: %+v, want fate %s and filed", i+1, rows[i], want)
			}
		}
		if undone, err := s.ListIntakes(t.Context(), IntakeFilter{Undone: true}); err != nil || len(undone) != 0 {
			t.Errorf("undone: %d, %v, want none", len(undone), err)
		}
	})
}

func TestFiledIsRecordedOnce(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, s *Store) {
		in := begin(t, s, 1)
		mustWrite(t, s, func(tx *Tx) error { return mail(tx, in, []byte("raw")) })
		for range 2 {
			if err := s.Filed(t.Context(), in.Mailbox, 1, []uint32{1}); err != nil {
				t.Fatal(err)
			}
		}
		got, err := s.IntakeByID(t.Context(), in.ID)
		if err != nil || got.FiledAt.IsZero() || got.File != "done" || got.Ticket != 1001 || got.Reason != "new" {
			t.Errorf("IntakeByID = %+v, %v", got, err)
		}
		if _, err := s.IntakeByID(t.Context(), 99); !errors.Is(err, ErrNotFound) {
			t.Errorf("IntakeByID(99) = %v, want ErrNotFound", err)
		}
	})
}

func TestTwinsAreFoundByContentAndByHash(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, s *Store) {
		raw := []byte("raw")
		sum := sha256.Sum256(raw)
		in, other := begin(t, s, 1), begin(t, s, 2)
		look := func(tx *Tx, mailbox string, keys, shas [][]byte, want int) {
			t.Helper()
			twins, err := tx.Twins(mailbox, keys, shas)
			if err != nil || len(twins) != want {
				t.Errorf("Twins = %v, %v, want %d", twins, err, want)
			}
		}
		mustWrite(t, s, func(tx *Tx) error {
			look(tx, in.Mailbox, [][]byte{sum[:]}, nil, 0)
			if err := mail(tx, in, raw); err != nil {
				return err
			}
			look(tx, in.Mailbox, [][]byte{sum[:]}, nil, 1) // of this very transaction, not written yet
			look(tx, in.Mailbox, nil, [][]byte{{1}, sum[:]}, 1)
			look(tx, "other@example.org", [][]byte{sum[:]}, [][]byte{sum[:]}, 0)
			return nil
		})
		mustWrite(t, s, func(tx *Tx) error {
			look(tx, in.Mailbox, [][]byte{sum[:]}, [][]byte{sum[:]}, 1)
			look(tx, in.Mailbox, nil, nil, 0)
			look(tx, in.Mailbox, [][]byte{nil}, [][]byte{{2}}, 0)
			other.Fate, other.SHA256, other.Reason = FateDuplicate, sum[:], "twin"
			return tx.Decide(other)
		})
		// By its content the one is found, by its hash the newer one.
		mustWrite(t, s, func(tx *Tx) error {
			look(tx, in.Mailbox, [][]byte{sum[:]}, nil, 1)
			look(tx, in.Mailbox, [][]byte{sum[:]}, [][]byte{sum[:]}, 2)
			return nil
		})
	})
}

func TestT21_OfManyCopiesOnlyTheNewestIsLookedUp(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, s *Store) {
		key, sum, other := bytes.Repeat([]byte{1}, 32), bytes.Repeat([]byte{2}, 32), bytes.Repeat([]byte{3}, 32)
		n := newTicket(t, s).Number
		mustWrite(t, s, func(tx *Tx) error { return tx.meet("help@example.org", 1, []int64{1, 2, 3, 4, 5}, 0) })
		mustWrite(t, s, func(tx *Tx) error {
			var errs []error
			for id := int64(1); id <= 5; id++ {
				in := Intake{ID: id, Mailbox: "help@example.org", ContentKey: key, SHA256: sum, Fate: FateDuplicate, Ticket: n, Why: []byte(`{"long": true}`)}
				if id == 2 {
					in.ContentKey = other
				}
				errs = append(errs, tx.Decide(in))
			}
			return errors.Join(errs...)
		})
		mustWrite(t, s, func(tx *Tx) error {
			got, err := tx.Twins("help@example.org", [][]byte{key, other, key}, [][]byte{sum})
			want := []Intake{{ID: 2, Ticket: n, ContentKey: other, SHA256: sum}, {ID: 5, Ticket: n, ContentKey: key, SHA256: sum}}
			if diff := cmp.Diff(want, got); err != nil || diff != "" {
				t.Errorf("Twins (-want +got): %v\n%s", err, diff)
			}
			return nil
		})
	})
}

// A content key that was never computed is all zeros.
func TestF05_MailsWithoutAContentKeyAreNoTwins(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, s *Store) {
		in, none := begin(t, s, 1), make([]byte, 32)
		in.Fate, in.ContentKey, in.SHA256 = FateNewTicket, none, bytes.Repeat([]byte{1}, 32)
		look := func(tx *Tx) {
			t.Helper()
			if twins, err := tx.Twins(in.Mailbox, [][]byte{none}, nil); err != nil || len(twins) != 0 {
				t.Errorf("Twins = %v, %v, want none", twins, err)
			}
		}
		mustWrite(t, s, func(tx *Tx) error {
			err := tx.Decide(in)
			look(tx) // not written yet
			return err
		})
		mustWrite(t, s, func(tx *Tx) error { look(tx); return nil })
		if got, err := s.IntakeByID(t.Context(), in.ID); err != nil || got.ContentKey != nil {
			t.Errorf("content key %x, %v, want none", got.ContentKey, err)
		}
	})
}

func TestRawComesBackByteForByte(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, s *Store) {
		big := bytes.Repeat([]byte("\x00\xff mail \r\n"), 200_000)
		for i, raw := range [][]byte{{}, []byte("x"), big} {
			sum := sha256.Sum256(raw)
			in := begin(t, s, uint32(i+1))
			mustWrite(t, s, func(tx *Tx) error { return mail(tx, in, raw) })
			got, err := s.Raw(t.Context(), sum[:])
			if err != nil || !bytes.Equal(got, raw) {
				t.Errorf("Raw = %d bytes, %v, want %d", len(got), err, len(raw))
			}
		}
		if _, err := s.Raw(t.Context(), make([]byte, 32)); !errors.Is(err, ErrNotFound) {
			t.Errorf("Raw of an unknown hash = %v, want ErrNotFound", err)
		}
		raws, err := s.RecentRaws(t.Context(), "help@example.org", 2)
		if err != nil || len(raws) != 2 || !bytes.Equal(raws[0], big) || string(raws[1]) != "x" {
			t.Errorf("RecentRaws = %d, %v, want the newest 2", len(raws), err)
		}
		d, err := s.Show(t.Context(), 1002)
		if err != nil {
			t.Fatal(err)
		}
		raw, e, err := s.EntryRaw(t.Context(), d.Entries[0].ID, nil)
		if err != nil || string(raw) != "x" || e.Ticket != 1002 {
			t.Errorf("EntryRaw = %q, %+v, %v", raw, e, err)
		}
		if _, _, err := s.EntryRaw(t.Context(), 99, nil); !errors.Is(err, ErrNotFound) {
			t.Errorf("EntryRaw(99) = %v, want ErrNotFound", err)
		}
		forbidden := errors.New("not for them")
		if raw, _, err := s.EntryRaw(t.Context(), d.Entries[0].ID, func(Entry) error { return forbidden }); raw != nil || !errors.Is(err, forbidden) {
			t.Errorf("EntryRaw of what may not be seen = %q, %v", raw, err)
		}
	})
}

func TestT51_ForgottenRawStillCountsAsKnown(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, s *Store) {
		raw := []byte("raw")
		sum := sha256.Sum256(raw)
		in, kept := begin(t, s, 1), begin(t, s, 2)
		mustWrite(t, s, func(tx *Tx) error { return mail(tx, in, raw) })
		mustWrite(t, s, func(tx *Tx) error {
			two := sha256.Sum256([]byte("two"))
			kept.Fate, kept.SHA256 = FateQuarantined, two[:]
			return errors.Join(tx.KeepRaw(two[:], []byte("two")), tx.Decide(kept))
		})
		mustWrite(t, s, func(tx *Tx) error {
			n, err := tx.ForgetRaws(tx.Now().Add(1e9), 100)
			if err != nil || n != 1 {
				t.Errorf("ForgetRaws = %d, %v, want 1", n, err)
			}
			twins, err := tx.Twins(in.Mailbox, nil, [][]byte{sum[:]})
			if err != nil || len(twins) != 1 {
				t.Errorf("Twins = %d, %v, want 1", len(twins), err)
			}
			return nil
		})
		if _, err := s.Raw(t.Context(), sum[:]); !errors.Is(err, ErrNotFound) {
			t.Errorf("Raw = %v, want ErrNotFound", err)
		}
	})
}

// TestHandledIsWhatSomethingFollowedFrom: a mail that waits for a person, or
// that one has put aside, must not make another one its copy.
func TestHandledIsWhatSomethingFollowedFrom(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, s *Store) {
		waits := map[Fate]bool{FateDuplicate: true, FateQuarantined: true, FateSpam: true, FateDismissed: true, FateGone: true}
		for i, fate := range Fates() {
			key, raw := sha256.Sum256([]byte(fate)), []byte("raw "+fate)
			sum := sha256.Sum256(raw)
			in := begin(t, s, uint32(i+1))
			mustWrite(t, s, func(tx *Tx) error {
				in.Fate, in.ContentKey, in.SHA256 = fate, key[:], sum[:]
				return errors.Join(tx.KeepRaw(sum[:], raw), tx.Decide(in))
			})
			mustWrite(t, s, func(tx *Tx) error {
				for _, by := range [][2][]byte{{key[:], nil}, {nil, sum[:]}} {
					got, err := tx.Handled(in.Mailbox, by[0], by[1], in.ID+1000)
					if found := err == nil && got.ID == in.ID; found == waits[fate] || err != nil && !errors.Is(err, ErrNotFound) {
						t.Errorf("%s: found %t, %v", fate, found, err)
					}
				}
				return nil
			})
		}
	})
}

func TestQuarantineIsLeftOnce(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, s *Store) {
		in := begin(t, s, 1)
		in.Fate, in.Reason = FateQuarantined, "cannot be read"
		mustWrite(t, s, func(tx *Tx) error { return tx.Decide(in) })
		again := func(in Intake) error {
			return s.Write(t.Context(), func(tx *Tx) error { return tx.Redecide(in, FateQuarantined) })
		}
		if err := again(Intake{ID: in.ID, Reason: "retry"}); err != nil {
			t.Fatal(err)
		}
		got, err := s.IntakeByID(t.Context(), in.ID)
		if err != nil || got.Fate != "" || got.Failures != 0 || !got.DecidedAt.IsZero() {
			t.Errorf("after retry: %+v, %v", got, err)
		}
		var decided *AlreadyDecided
		if err := again(Intake{ID: in.ID, Fate: FateDismissed}); !errors.As(err, &decided) {
			t.Errorf("second Redecide = %v, want *AlreadyDecided", err)
		}
		mustWrite(t, s, func(tx *Tx) error { return tx.Decide(in) })
		if err := again(Intake{ID: in.ID, Fate: FateDismissed, Ticket: ticket.Number(0)}); err != nil {
			t.Error(err)
		}
		if err := again(Intake{ID: 99, Fate: FateDismissed}); !errors.Is(err, ErrNotFound) {
			t.Errorf("Redecide(99) = %v, want ErrNotFound", err)
		}
	})
}

func TestMailsAreFoundByMessageIDAndTicket(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, s *Store) {
		long := strings.Repeat("x", 9000) + "@example.org" // more than an ordinary index takes
		first, second := begin(t, s, 1), begin(t, s, 2)
		for _, in := range []Intake{first, second} {
			mustWrite(t, s, func(tx *Tx) error { return mail(tx, in, []byte{byte(in.ID)}) })
		}
		third := begin(t, s, 3)
		third.Fate, third.MessageID, third.Ticket = FateDuplicate, long, 1002
		mustWrite(t, s, func(tx *Tx) error {
			o := outgoing("long", 1002, third.ID, "ann@example.org")
			o.MessageID = long
			return errors.Join(tx.Decide(third), tx.Enqueue(o))
		})
		begin(t, s, 4) // without a Message-ID
		for _, c := range []struct {
			f       IntakeFilter
			in, out string
		}{
			{IntakeFilter{MessageID: fmt.Sprintf("mail-%d@example.org", first.ID)}, "1", ""},
			{IntakeFilter{MessageID: long}, "3", "5"},
			{IntakeFilter{MessageID: "nobody@example.org"}, "", ""},
			{IntakeFilter{MessageID: "intake:1/team@example.org"}, "", "2"},
			{IntakeFilter{Ticket: 1002}, "3 2", "5 4 3"},
		} {
			ins, err := s.ListIntakes(t.Context(), c.f)
			if err != nil {
				t.Fatal(err)
			}
			outs, err := s.ListOutbox(t.Context(), OutboxFilter{MessageID: c.f.MessageID, Ticket: c.f.Ticket})
			if err != nil {
				t.Fatal(err)
			}
			in, out := "", ""
			for _, r := range ins {
				in += fmt.Sprint(" ", r.ID)
			}
			for _, r := range outs {
				out += fmt.Sprint(" ", r.ID)
			}
			if strings.TrimSpace(in) != c.in || strings.TrimSpace(out) != c.out {
				t.Errorf("%.40s, ticket %d: mails %q, outgoing %q; want %q and %q", c.f.MessageID, c.f.Ticket, in, out, c.in, c.out)
			}
		}
	})
}
