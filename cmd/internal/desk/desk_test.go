package desk

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"deskd/mailin"
	"deskd/mailout"
	"deskd/store"
	"deskd/store/storetest"
	"deskd/triage"
	"deskd/triage/ticket"
)

func TestNewMailBecomesATicketWithAcknowledgementAndNotice(t *testing.T) {
	both(t, func(t *testing.T, o *office) {
		o.deliver(vouched(letter("Ann <"+ann+">", "VPN is slow", "Since this morning.")))
		o.wantFates("new_ticket")
		d := o.last()
		got := []any{d.Ticket.Number, d.Ticket.Subject, d.Ticket.Requester, d.Ticket.RequesterName, d.Ticket.Status, d.Ticket.Priority, d.Ticket.Team}
		want := []any{ticket.Number(1001), "VPN is slow", ann, "Ann", ticket.Open, ticket.High, triage.NetworkTeam}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("ticket (-want +got):\n%s", diff)
		}
		if len(d.Entries) != 1 || d.Entries[0].Text != "Since this morning." || !d.Entries[0].Verified || d.Entries[0].Visibility != "public" {
			t.Errorf("entries %+v", d.Entries)
		}
		o.wantOutbox("acknowledgement "+ann, "team-notice "+nina, "team-notice "+tom)
		if err := o.store.VerifyChain(t.Context(), 1001); err != nil {
			t.Errorf("VerifyChain: %v", err)
		}
		if open, err := o.Open(t.Context(), mailin.Box{Mailbox: support, Validity: 7}); err != nil || !slices.Equal(open, []uint32{1}) {
			t.Errorf("Open = %v, %v, want the one that is not filed", open, err)
		}
	})
}

func TestF01SecondSightOnlyFiles(t *testing.T) {
	both(t, func(t *testing.T, o *office) {
		f := o.fetch(letter(ann, "printer", "It is jammed."))
		first := o.handOver([]mailin.Fetched{f})
		due, err := o.Pending(t.Context(), f.Box, []uint32{1, 2})
		want := []mailin.Due{{UID: 1, File: mailin.Done}, {UID: 2}}
		if err != nil || !slices.Equal(due, want) {
			t.Errorf("Pending = %+v, %v, want %+v", due, err, want)
		}
		// Even one that is handed over once more.
		if again := o.handOver([]mailin.Fetched{f}); !slices.Equal(again, first) {
			t.Errorf("second verdict %v, want %v", again, first)
		}
		if n := len(o.tickets()); n != 1 {
			t.Errorf("%d tickets, want 1", n)
		}
		if n := len(o.rows()); n != 2 {
			t.Errorf("%d outgoing mails, want 2", n)
		}
		if err := o.Filed(t.Context(), f.Box, []uint32{1}); err != nil {
			t.Fatal(err)
		}
		if due, err := o.Pending(t.Context(), f.Box, []uint32{1}); err != nil || len(due) != 0 {
			t.Errorf("Pending after Filed = %+v, %v, want nothing", due, err)
		}
	})
}

// A desk that lost its lease while it read a batch finds the mails decided on.
func TestF01StaleLeaseHolderAppliesNothing(t *testing.T) {
	both(t, func(t *testing.T, o *office) {
		batch := []mailin.Fetched{o.fetch(letter(ann, "one", "1")), o.fetch(letter(ann, "two", "2"))}
		other := New(o.o)
		stale := New(o.o)
		var once atomic.Bool
		stale.parse = func(raw []byte, l mailin.Limits) triage.Message {
			if once.CompareAndSwap(false, true) {
				if _, err := other.Deliver(t.Context(), batch); err != nil {
					t.Errorf("the new holder: %v", err)
				}
			}
			return mailin.Parse(raw, l)
		}
		verdicts, err := stale.Deliver(t.Context(), batch)
		if err != nil {
			t.Fatalf("Deliver: %v", err)
		}
		if len(verdicts) != 0 {
			t.Errorf("the stale holder gave verdicts %v", verdicts)
		}
		if n := len(o.tickets()); n != 2 {
			t.Errorf("%d tickets, want 2", n)
		}
		o.wantFates("new_ticket new_ticket")
		for _, in := range o.intakes() {
			if in.Failures != 0 {
				t.Errorf("intake %d has %d failures, want 0", in.ID, in.Failures)
			}
		}
		if again := o.handOver(batch); len(again) != 2 {
			t.Errorf("the next sight gave %v", again)
		}
	})
}

// What a crash before the commit leaves behind is the count of the attempt.
func TestF02NothingRemainsOfAnAttemptThatDidNotCommit(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		var fail atomic.Bool
		o := open(t, url, func(s *setup) {
			s.store.Wrap = storetest.Wrap(storetest.Hooks{Before: func(op storetest.Op, query string, _ []driver.NamedValue) error {
				if fail.Load() && (op == storetest.Exec || op == storetest.Query) && strings.HasPrefix(query, "INSERT") && strings.Contains(query, "outbox") {
					return context.DeadlineExceeded
				}
				return nil
			}})
		})
		f := o.fetch(letter(ann, "printer", "It is jammed."))
		fail.Store(true)
		if _, err := o.Deliver(t.Context(), []mailin.Fetched{f}); !store.World(err) {
			t.Fatalf("Deliver: %v, want the world's error", err)
		}
		in := o.intakes()
		if len(in) != 1 || in[0].Fate != "" || len(o.tickets()) != 0 || len(o.rows()) != 0 {
			t.Errorf("left behind: %+v, %d tickets, %d mails", in, len(o.tickets()), len(o.rows()))
		}
		fail.Store(false)
		o.handOver([]mailin.Fetched{f})
		o.wantFates("new_ticket")
	})
}

// withTrace puts a trace field on top, as another way through servers does.
func withTrace(raw, by string) string {
	return "Received: from client.example by " + by + " with ESMTPS id x" + by + "; Mon, 02 Mar 2026 08:59:10 +0000\r\n" + raw
}

func TestF05CopiesOfAMailAreDuplicates(t *testing.T) {
	both(t, func(t *testing.T, o *office) {
		raw := letter(ann, "printer", "It is jammed.")
		// In one batch and in another one.
		o.deliver(withTrace(raw, "a.example"), withTrace(raw, "b.example"))
		o.deliver(withTrace(raw, "c.example"))
		o.wantFates("new_ticket duplicate duplicate")
		for _, in := range o.intakes() {
			if in.Ticket != 1001 {
				t.Errorf("intake %d leads to %d, want 1001", in.ID, in.Ticket)
			}
		}
		if n := len(o.tickets()); n != 1 {
			t.Errorf("%d tickets, want 1", n)
		}
		if n := len(o.show(1001).Entries); n != 1 {
			t.Errorf("%d entries, want 1", n)
		}
		o.wantOutbox("acknowledgement "+ann, "team-notice desktop-team@example.org")
	})
}

func TestF05OneMailToTwoMailboxesIsATicketInEach(t *testing.T) {
	o := quick(t)
	raw := letter(ann, "printer", "It is jammed.", "Cc: "+second)
	one, two := o.fetch(raw), o.fetch(raw)
	two.Box.Mailbox = second
	o.handOver([]mailin.Fetched{one, two})
	o.wantFates("new_ticket new_ticket")
	if boxes := []string{o.tickets()[0].Mailbox, o.tickets()[1].Mailbox}; !slices.Equal(boxes, []string{support, second}) {
		t.Errorf("mailboxes %v", boxes)
	}
}

func TestF06SameMessageIDWithOtherContentIsANewMail(t *testing.T) {
	both(t, func(t *testing.T, o *office) {
		const id = "Message-ID: <the-same@example.org>"
		// Somebody guesses the id of a mail before it comes.
		o.deliver(letter(eve, "first", "Mine.", id))
		o.deliver(letter(ann, "second", "Not that one.", id))
		o.wantFates("new_ticket new_ticket")
		if got := o.tickets()[1]; got.Requester != ann || got.Subject != "second" {
			t.Errorf("second ticket %+v", got)
		}
		var notices []posted
		for _, p := range o.post() {
			if p.Kind == string(mailout.TeamNotice) {
				notices = append(notices, p)
			}
		}
		if len(notices) != 2 {
			t.Fatalf("%d notices, want 2", len(notices))
		}
		for i, notice := range notices {
			if flagged := strings.Contains(notice.whole, "under the same Message-ID"); flagged != (i == 1) {
				t.Errorf("notice %d: flagged %v", i+1, flagged)
			}
		}
	})
}

func TestF03MailboxThatMovedBringsNoTicketTwice(t *testing.T) {
	both(t, func(t *testing.T, o *office) {
		raw := letter(ann, "printer", "It is jammed.")
		f := o.fetch(raw)
		moved := o.fetch(raw)
		moved.Box.Validity, moved.UID = 8, 1
		o.handOver([]mailin.Fetched{f})
		o.handOver([]mailin.Fetched{moved, {
			Box: moved.Box, UID: 2, Raw: []byte(letter(ann, "new", "In between.")), SHA256: [32]byte{1},
		}})
		o.wantFates("new_ticket duplicate new_ticket")
	})
}

func TestF07MailWithoutUsableMessageIDBecomesATicket(t *testing.T) {
	o := quick(t)
	for i, id := range []string{"", "<>", "nonsense", "<a@b", "<" + strings.Repeat("x", 1990) + "@example.org>", "<a@b> <c@d>"} {
		o.deliver(letter(ann, fmt.Sprint("mail ", i), "Hello.", "Message-ID: "+id))
	}
	twice := letter(ann, "two fields", "Hello.", "Message-ID: <one@example.org>", "Message-ID: <other@example.org>")
	if strings.Count(twice, "Message-ID:") != 2 {
		t.Fatal(twice)
	}
	o.deliver(twice)
	for _, in := range o.intakes() {
		if in.Fate != store.FateNewTicket {
			t.Errorf("intake %d with id %.30q: %s (%s)", in.ID, in.MessageID, in.Fate, in.LastError)
		}
	}
	// A copy is known by its content.
	o.deliver("Received: from elsewhere.example by mx.example.org; Mon, 02 Mar 2026 08:59:30 +0000\r\n" + twice)
	if all := o.intakes(); all[len(all)-1].Fate != store.FateDuplicate {
		t.Errorf("the copy: %s", all[len(all)-1].Fate)
	}
}

// poison makes parsing panic for mails that contain the word.
func poison(o *office, word string) *atomic.Int32 {
	var n atomic.Int32
	o.parse = func(raw []byte, l mailin.Limits) triage.Message {
		if strings.Contains(string(raw), word) {
			n.Add(1)
			panic("cannot read this")
		}
		return mailin.Parse(raw, l)
	}
	return &n
}

func TestF19F40PoisonMailIsSetAsideAndHarmsNoOther(t *testing.T) {
	both(t, func(t *testing.T, o *office) {
		times := poison(o, "POISON")
		raw := letter(eve, "bad", "POISON")
		batch := []mailin.Fetched{
			o.fetch(letter(ann, "one", "1")), o.fetch(raw), o.fetch(letter(bob, "two", "2")),
		}
		verdicts := o.handOver(batch)
		if want := []mailin.Verdict{{UID: 1, File: mailin.Done}, {UID: 2, File: mailin.Quarantine}, {UID: 3, File: mailin.Done}}; !slices.Equal(verdicts, want) {
			t.Errorf("verdicts %v, want %v", verdicts, want)
		}
		o.wantFates("new_ticket quarantined new_ticket")
		if n := times.Load(); n != maxFailures {
			t.Errorf("it was read %d times, want %d", n, maxFailures)
		}
		in := o.intakes()[1]
		if in.Failures != maxFailures || in.Reason != "failed-too-often" || in.Ticket == 0 {
			t.Errorf("intake %+v", in)
		}
		if kept, err := o.store.Raw(t.Context(), in.SHA256); err != nil || string(kept) != raw {
			t.Errorf("raw source: %q, %v", kept, err)
		}
		d := o.show(in.Ticket)
		if d.Ticket.Team != triage.Helpdesk || len(d.Entries) != 1 || d.Entries[0].Visibility != "internal" {
			t.Errorf("its ticket: %+v", d)
		}
		var told []string
		for _, r := range d.Outbox {
			told = append(told, r.Recipient)
		}
		if !slices.Equal(told, []string{helpList}) {
			t.Errorf("told %v, want the team alone", told) // T22: not the sender
		}
		if due, err := o.Pending(t.Context(), batch[1].Box, []uint32{2}); err != nil || len(due) != 1 || due[0].File != mailin.Quarantine {
			t.Errorf("Pending = %+v, %v, want only its filing", due, err)
		}
	})
}

// The desk dies each time it handles the mail: a desk that begins and does
// not end is what remains of that.
func TestF19MailDuringWhichTheDeskDiedAloneThreeTimesIsSetAside(t *testing.T) {
	both(t, func(t *testing.T, o *office) {
		raw := letter(eve, "deadly", "x")
		f := o.fetch(raw)
		id := []store.MailboxUID{{Mailbox: support, Validity: 7, UID: f.UID}}
		die := func(alone bool) {
			t.Helper()
			if _, err := o.store.BeginHandling(t.Context(), id, alone, false); err != nil {
				t.Fatal(err)
			}
		}
		die(false) // in a batch: perhaps another mail's fault
		if due, err := o.Pending(t.Context(), f.Box, []uint32{f.UID}); err != nil || len(due) != 1 || !due[0].Alone {
			t.Fatalf("Pending = %+v, %v, want it alone", due, err)
		}
		for range maxFailures {
			die(true)
		}
		o.parse = func([]byte, mailin.Limits) triage.Message {
			t.Error("it was read once more")
			return triage.Message{}
		}
		o.handOver([]mailin.Fetched{f})
		o.wantFates("quarantined")
	})
}

func TestF19DeathsInABatchCountAgainstNobody(t *testing.T) {
	o := quick(t)
	batch := []mailin.Fetched{o.fetch(letter(ann, "one", "1")), o.fetch(letter(bob, "two", "2"))}
	ids := []store.MailboxUID{{Mailbox: support, Validity: 7, UID: 1}, {Mailbox: support, Validity: 7, UID: 2}}
	for range 10 {
		if _, err := o.store.BeginHandling(t.Context(), ids, false, false); err != nil {
			t.Fatal(err)
		}
	}
	o.handOver(batch[:1])
	o.handOver(batch[1:])
	o.wantFates("new_ticket new_ticket")
}

// A stop in the middle of a lone mail must not look like a death.
func TestF19StopDoesNotCountAsAFailure(t *testing.T) {
	both(t, func(t *testing.T, o *office) {
		f := o.fetch(letter(ann, "printer", "x"))
		for range 5 {
			ctx, stop := context.WithCancel(t.Context())
			d := New(o.o) // each time another process
			d.parse = func(raw []byte, l mailin.Limits) triage.Message {
				stop()
				return mailin.Parse(raw, l)
			}
			if v, err := d.Deliver(ctx, []mailin.Fetched{f}); err == nil || len(v) != 0 {
				t.Fatalf("Deliver = %v, %v, want an error", v, err)
			}
		}
		o.handOver([]mailin.Fetched{f})
		o.wantFates("new_ticket")
		if n := o.intakes()[0].Failures; n != 0 {
			t.Errorf("%d failures, want 0", n)
		}
	})
}

// A fault may show only when the mail is acted on.
func TestF40PanicWhileActingIsThatMailsFault(t *testing.T) {
	both(t, func(t *testing.T, o *office) {
		var armed atomic.Bool
		now := o.now
		o.now = func() time.Time {
			if armed.CompareAndSwap(true, false) {
				panic("what time is it?")
			}
			return now()
		}
		o.parse = func(raw []byte, l mailin.Limits) triage.Message {
			armed.Store(true)
			return mailin.Parse(raw, l)
		}
		o.deliver(withFile(eve, "bad", "x", "bad.txt", []byte("nobody reads this")))
		o.wantFates("quarantined")
		if notice := o.only(o.post(), mailout.TeamNotice); strings.Contains(notice.whole, eve) || len(notice.Attachments) > 0 {
			t.Errorf("something of the mail was read all the same:\n%s", notice.whole)
		}
		if n := strings.Count(o.log.String(), "msg=decided"); n != 0 {
			t.Errorf("%d decisions were logged, of which none was kept", n)
		}
		o.parse = mailin.Parse
		o.deliver(letter(eve, "good", "x"))
		o.wantFates("quarantined new_ticket")
	})
}

func TestF19MailThatTheDatabaseRefusesHarmsNoOther(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		o := open(t, url, func(s *setup) {
			s.store.Wrap = storetest.Wrap(storetest.Hooks{Before: func(_ storetest.Op, query string, args []driver.NamedValue) error {
				for _, a := range args {
					if strings.Contains(fmt.Sprintf("%s", a.Value), "POISON") && !strings.Contains(query, "raws") {
						return errors.New("this text is not taken")
					}
				}
				return nil
			}})
		})
		o.deliver(letter(ann, "one", "1"), letter(eve, "POISON", "x"), letter(bob, "two", "2"))
		o.wantFates("new_ticket quarantined new_ticket")
		for _, n := range []ticket.Number{1001, 1002, 1003, 1004, 1005, 1006} {
			if _, err := o.store.Show(t.Context(), n); err == nil {
				if err := o.store.VerifyChain(t.Context(), n); err != nil {
					t.Errorf("ticket %d: %v", n, err)
				}
			}
		}
	})
}

// A mail that not even a note can be made of stays where it is, and Deliver
// does not try for ever.
func TestF19MailThatCannotBeSetAsideStays(t *testing.T) {
	o := quick(t, func(s *setup) {
		s.store.Wrap = storetest.Wrap(storetest.Hooks{Before: func(_ storetest.Op, query string, _ []driver.NamedValue) error {
			if strings.Contains(query, "INSERT INTO `tickets`") {
				return errors.New("no more tickets")
			}
			return nil
		}})
	})
	v, err := o.Deliver(t.Context(), []mailin.Fetched{o.fetch(letter(ann, "x", "x"))})
	if err != nil || len(v) != 0 {
		t.Errorf("Deliver = %v, %v, want no verdict", v, err)
	}
	o.wantFates("")
}

func TestF24WorldErrorOffersTheBatchAgainAndCountsNothing(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		var full atomic.Bool
		o := open(t, url, func(s *setup) {
			s.store.Wrap = storetest.Wrap(storetest.Hooks{Before: func(op storetest.Op, _ string, _ []driver.NamedValue) error {
				if full.Load() && op == storetest.Commit {
					return syscall.ENOSPC
				}
				return nil
			}})
		})
		for _, batch := range [][]mailin.Fetched{
			{o.fetch(letter(ann, "one", "1")), o.fetch(letter(bob, "two", "2"))},
			{o.fetch(letter(ann, "alone", "3"))},
		} {
			for i := range 2 * maxFailures {
				full.Store(i > 0) // the first time it fails within the work
				if i == 0 {
					ctx, stop := context.WithCancel(t.Context())
					o.parse = func(raw []byte, l mailin.Limits) triage.Message {
						full.Store(true)
						return mailin.Parse(raw, l)
					}
					if _, err := o.Deliver(ctx, batch); err == nil {
						t.Fatal("Deliver: no error")
					}
					stop()
					o.parse = mailin.Parse
					continue
				}
				if v, err := o.Deliver(t.Context(), batch); err == nil || len(v) != 0 {
					t.Fatalf("Deliver = %v, %v, want an error and no verdicts", v, err)
				}
			}
			full.Store(false)
			o.handOver(batch)
		}
		o.wantFates("new_ticket new_ticket new_ticket")
		for _, in := range o.intakes() {
			if in.Failures != 0 {
				t.Errorf("intake %d has %d failures, want 0", in.ID, in.Failures)
			}
		}
	})
}

// The quick way and the replay mail by mail are two ways to one result.
func TestReplayGivesWhatTheQuickWayGives(t *testing.T) {
	both(t, func(t *testing.T, o *office) {
		replayed := open(t, storetest.SQLite(t))
		first := vouched(letter(ann, "printer", "It is jammed.", "Message-ID: <first@example.org>", "Cc: "+bob))
		raws := []string{
			first,
			withTrace(first, "b.example"), // a copy
			letter(bob, "Re: printer", "Mine too.", "In-Reply-To: <first@example.org>"),
			letter(eve, "vpn", "I am outside."),
			letter(eve, "vpn again", "I am outside."), // too soon for an answer
			vouched(letter(ann, "Re: printer", "close", "References: <first@example.org>")),
			letter(ann, "Re: printer", "Once more.", "In-Reply-To: <first@example.org>"),
			letter(eve, "newsletter", "Buy.", "Precedence: bulk", "List-Id: <news.example.net>"),
			vouched(letter(tina, "Re: [IT-1001] printer", "#public\nDone.", "In-Reply-To: <first@example.org>")),
		}
		o.deliver(raws...)
		// A mail that is in the batch twice spoils the quick way.
		var batch []mailin.Fetched
		for _, raw := range raws {
			batch = append(batch, replayed.fetch(raw))
		}
		if v, err := replayed.Deliver(t.Context(), append(batch, batch[0])); err != nil || len(v) != len(batch) {
			t.Fatalf("Deliver = %v, %v, want %d verdicts", v, err, len(batch))
		}
		if diff := cmp.Diff(o.whole(), replayed.whole()); diff != "" {
			t.Errorf("quick way and replay (-quick +replay):\n%s", diff)
		}
		if !strings.Contains(replayed.log.String(), "replayed one by one") {
			t.Error("nothing was replayed")
		}
	})
}

// whole is all that is kept, without what differs by chance.
func (o *office) whole() []string {
	var all []string
	for _, in := range o.intakes() {
		if in.Fate != "" {
			all = append(all, fmt.Sprint("intake ", in.ID, in.Fate, in.Reason, in.Ticket, in.MessageID, in.From, in.Subject))
		}
	}
	for _, tk := range o.tickets() {
		d := o.show(tk.Number)
		all = append(all, fmt.Sprint("ticket ", tk.Number, tk.Subject, tk.Status, tk.Priority, tk.Team, tk.Requester, tk.Reasons, tk.Entries))
		for _, p := range d.Participants {
			all = append(all, "participant "+p.Addr)
		}
		for _, l := range d.Links {
			all = append(all, fmt.Sprint("link ", l.From, l.To, l.Kind))
		}
		for _, e := range d.Entries {
			all = append(all, fmt.Sprint("entry ", e.Seq, e.Kind, e.Author, e.Text, e.Flags))
		}
		all = append(all, o.events(tk.Number)...)
		for _, r := range d.Outbox {
			all = append(all, fmt.Sprint("out ", r.Key, r.Recipient, r.Kind, r.Subject))
		}
	}
	return all
}

func TestT28MailThatTakesTooLongToReadIsSetAside(t *testing.T) {
	t.Parallel()
	url := storetest.SQLite(t)
	synctest.Test(t, func(t *testing.T) {
		o := open(t, url)
		release := make(chan struct{})
		o.parse = func(raw []byte, l mailin.Limits) triage.Message {
			if strings.Contains(string(raw), "ENDLESS") {
				<-release
			}
			return mailin.Parse(raw, l)
		}
		o.deliver(letter(ann, "good", "x"), letter(eve, "bad", "ENDLESS"))
		close(release)
		synctest.Wait()
		o.wantFates("new_ticket quarantined")
	})
}

func TestT26OversizeMailBecomesATicketWithANote(t *testing.T) {
	both(t, func(t *testing.T, o *office) {
		head, _, _ := strings.Cut(letter(ann, "huge picture", ""), "\r\n\r\n")
		f := o.fetch(head + "\r\n\r\n")
		f.Oversize, f.Size = true, 2<<30
		o.handOver([]mailin.Fetched{f})
		o.wantFates("oversize")
		d := o.last()
		if d.Ticket.Subject != "huge picture" || d.Ticket.Requester != ann || !strings.Contains(d.Entries[0].Text, "too large to be read") {
			t.Errorf("ticket %+v, entries %+v", d.Ticket, d.Entries)
		}
		if o.intakes()[0].Size != 2<<30 {
			t.Errorf("size %d", o.intakes()[0].Size)
		}
	})
}

func TestT27MIMEBombsBecomeTickets(t *testing.T) {
	t.Parallel()
	var deep strings.Builder
	for i := range 10_000 {
		fmt.Fprintf(&deep, "Content-Type: multipart/mixed; boundary=\"b%d\"\n\n--b%d\n", i, i)
	}
	bombs := map[string]string{
		"deep":   "From: " + eve + "\r\nSubject: deep\r\n" + strings.ReplaceAll(deep.String(), "\n", "\r\n"),
		"parts":  letter(eve, "parts", strings.Repeat("--b\n\nx\n", 300_000), `Content-Type: multipart/mixed; boundary="b"`),
		"fields": "From: " + eve + "\r\nSubject: fields\r\n" + strings.Repeat("X: y\r\n", 1_000_000) + "\r\nbody\r\n",
		"line":   letter(eve, "line", strings.Repeat("x", 10<<20)),
	}
	for name, raw := range bombs {
		t.Run(name, func(t *testing.T) {
			o := open(t, storetest.SQLite(t))
			o.deliver(raw)
			o.wantFates("new_ticket")
			in := o.intakes()[0]
			if kept, err := o.store.Raw(t.Context(), in.SHA256); err != nil || string(kept) != raw {
				t.Errorf("raw source: %d bytes, %v", len(kept), err)
			}
			note := o.only(o.post(), mailout.TeamNotice)
			if name == "deep" || name == "parts" || name == "fields" {
				if !strings.Contains(note.whole, "Please note:") {
					t.Errorf("the notice says nothing about it:\n%.2000s", note.whole)
				}
			}
		})
	}
}

// T36: a mail may not write lines of its own into the log, nor many.
func TestT36LogStaysOneRecordALineAndShort(t *testing.T) {
	t.Parallel()
	nasty := "a\x1b[31mred\x07 =?utf-8?q?=0D=0A=0D=0Alevel=3DERROR_msg=3Dforged_=1B=5B2J?= end"
	long := strings.Repeat("l", 900)
	raws := map[string]string{
		"controls": letter("=?utf-8?q?x=0D=0Aforged?= <"+eve+">", nasty, nasty, "Message-ID: <"+nasty+"@x>", "References: <"+nasty+"@y>"),
		"long":     letter(eve, long, long, "Message-ID: <"+long+"@x.example>"),
		"machine":  letter(eve, nasty, nasty, "Auto-Submitted: auto-replied"),
		"poison":   letter(eve, nasty, "POISON "+nasty, "Message-ID: <"+long+"@x.example>"),
		"files":    withFile(eve, nasty, "x", strings.Repeat("n", 300)+".txt", []byte("data")),
	}
	for name, raw := range raws {
		t.Run(name, func(t *testing.T) {
			o := open(t, storetest.SQLite(t), func(s *setup) { s.store.Log = slog.New(slog.DiscardHandler) })
			poison(o, "POISON")
			o.deliver(letter(ann, "before", "x")) // what is logged once is logged now
			o.log.Reset()
			o.deliver(raw, letter(bob, "beside", "x"))
			var lines, size int
			for line := range strings.Lines(o.log.String()) {
				if !strings.HasPrefix(line, "time=") || strings.ContainsFunc(strings.TrimSuffix(line, "\n"), func(r rune) bool { return r < ' ' || r == 0x7f }) {
					t.Errorf("not a record of its own: %q", line)
				}
				if strings.HasPrefix(strings.TrimSpace(line), "level=ERROR msg=forged") {
					t.Errorf("forged: %q", line)
				}
				if !strings.Contains(line, "level=DEBUG") {
					lines, size = lines+1, size+len(line)
				}
			}
			if lines == 0 || lines > 20 || size > 4<<10 {
				t.Errorf("%d lines, %d bytes, want at most 20 and 4 KiB:\n%s", lines, size, o.log)
			}
		})
	}
}

func TestT45LogHoldsNoMailTextAndNoSecret(t *testing.T) {
	const canary, password = "canary-4711", "hunter2-canary"
	both(t, func(t *testing.T, o *office) {
		poison(o, "POISON")
		o.deliver(
			vouched(letter("Canary <"+ann+">", "printer", "My password is "+canary)),
			letter(eve, "x", "POISON "+canary),
			withFile(bob, "file", canary, "f.txt", []byte(canary)),
			vouched(letter(tina, "Re: [IT-1001] printer", "#public\nYour new one is "+canary)),
			letter(eve, "automatic", canary, "Auto-Submitted: auto-replied"),
		)
		o.post()
		for _, word := range []string{canary, password} {
			if strings.Contains(o.log.String(), word) {
				t.Errorf("the log holds %s:\n%s", word, o.log)
			}
		}
		if strings.Contains(o.log.String(), string(policy().Secret)) {
			t.Error("the log holds the secret")
		}
	}, func(s *setup) { s.mail.Username, s.mail.Password = "desk", password })
}

// The world's end in the middle of a retry of single mails leaves those that
// are done done.
func TestWorldErrorAfterTheBatchKeepsWhatIsDone(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		var broken atomic.Bool
		o := open(t, url, func(s *setup) {
			s.store.Wrap = storetest.Wrap(storetest.Hooks{Before: func(op storetest.Op, _ string, _ []driver.NamedValue) error {
				if broken.Load() && op == storetest.Begin {
					return context.DeadlineExceeded
				}
				return nil
			}})
		})
		var n atomic.Int32
		o.parse = func(raw []byte, l mailin.Limits) triage.Message {
			if strings.Contains(string(raw), "POISON") {
				broken.Store(n.Add(1) == 2)
				panic("no")
			}
			return mailin.Parse(raw, l)
		}
		batch := []mailin.Fetched{o.fetch(letter(ann, "good", "x")), o.fetch(letter(eve, "bad", "POISON"))}
		if _, err := o.Deliver(t.Context(), batch); err == nil {
			t.Fatal("Deliver: no error")
		}
		broken.Store(false)
		o.wantFates("new_ticket ")
		o.handOver(batch)
		o.wantFates("new_ticket quarantined")
		if n := len(o.show(1001).Entries); n != 1 {
			t.Errorf("%d entries, want 1", n)
		}
	})
}
