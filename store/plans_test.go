package store

import (
	"bytes"
	"database/sql/driver"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"deskd/store/storetest"
	"deskd/triage/ticket"
)

// TestEveryQueryRunsAlongAnIndex watches all that goes to SQLite while
// everything there is gets called, and reads the plans: no table is read from
// end to end, and no list is sorted that an index could give in order.
func TestEveryQueryRunsAlongAnIndex(t *testing.T) {
	t.Parallel()
	type statement struct {
		query string
		args  []any
	}
	var mu sync.Mutex
	seen := map[string]statement{}
	s := openWith(t, storetest.SQLite(t), Options{Wrap: storetest.Wrap(storetest.Hooks{
		Before: func(_ storetest.Op, query string, named []driver.NamedValue) error {
			mu.Lock()
			defer mu.Unlock()
			args := make([]any, len(named))
			for i, a := range named {
				args[i] = a.Value
			}
			seen[query] = statement{query, args}
			return nil
		},
	})})
	clear(seen) // the schema's own
	ctx := t.Context()
	in := begin(t, s, 1)
	mustWrite(t, s, func(tx *Tx) error { return mail(tx, in, []byte("raw")) })
	second := newTicket(t, s).Number
	var errs []error
	try := func(_ any, err error) { errs = append(errs, err) }
	try(s.TakeBackOwn(ctx, nil))
	try(s.KnownCopies(ctx, "m", []Copy{{"a@b", 5}, {"", 5}}))
	for _, l := range lists() {
		for _, f := range l.pages() {
			try(s.ListTickets(ctx, f))
		}
	}
	for _, f := range []IntakeFilter{{}, {Fate: FateSpam}, {Mailbox: "m"}, {Undone: true}, {Fate: FateSpam, Before: 5}, {Before: 5}, {Ticket: 1001}, {MessageID: "a@b"}, {MessageID: "a@b", Before: 5}} {
		try(s.ListIntakes(ctx, f))
	}
	for _, f := range []OutboxFilter{{}, {State: Failed}, {Ticket: 1001}, {State: Sent, Before: 5}, {Before: 5}, {MessageID: "a@b"}} {
		try(s.ListOutbox(ctx, f))
	}
	try(s.OutboxByID(ctx, 1))
	for _, f := range []SearchFilter{{Words: "printer"}, {Words: `"printer" raw`, Before: 1002}, {Words: "printer", Involved: []string{"ann@example.org"}}} {
		try(s.Search(ctx, f)) // fresh words
		try(s.Index(ctx, 10))
		try(s.Search(ctx, f))
	}
	try(s.Overview(ctx, s.now()))
	try(s.Show(ctx, 1001))
	try(s.ShowPart(ctx, 1001, Mark{}, false))
	try(s.ShowPart(ctx, 1001, Mark{}, true))
	try(s.Pending(ctx, in.Mailbox, 1, []uint32{1}))
	try(s.IntakeByID(ctx, 1))
	try(s.Raw(ctx, make([]byte, 32)))
	try(s.RecentRaws(ctx, in.Mailbox, 5))
	_, _, err := s.EntryRaw(ctx, 1, nil)
	try(nil, err)
	_, _, err = s.AutoSent(ctx, "a", s.now())
	try(nil, err)
	_, _, err = s.AutoSent(ctx, "", s.now())
	try(nil, err)
	rows, err := s.Claim(ctx, 5, time.Minute)
	try(nil, err)
	try(nil, s.Sent(ctx, rows[0], "ok"))
	_, _, err = s.NextDue(ctx)
	try(nil, err)
	try(nil, s.VerifyChain(ctx, 1001))
	try(nil, s.EndHandling(ctx, []int64{in.ID}, "x"))
	try(nil, s.Filed(ctx, in.Mailbox, 1, []uint32{1}))
	try(nil, s.Gone(ctx, in.Mailbox, 1, []uint32{1}))
	sum := func(b byte) []byte { return bytes.Repeat([]byte{b}, 32) }
	try(s.AskSignIn(ctx, SignIn{Addr: "a@b", Client: "c", Request: sum(1), Link: sum(2), Code: sum(3)}))
	try(s.AskSignIn(ctx, SignIn{Addr: "a@b", Client: "c", Request: sum(4), Link: sum(5), Code: sum(6)}))
	try(s.SpendCode(ctx, sum(1), sum(9), NewSession{Token: sum(7)}))
	signedIn, err := s.SpendCode(ctx, sum(1), sum(3), NewSession{Token: sum(7)})
	try(nil, err)
	try(s.SpendLink(ctx, sum(5), NewSession{Token: sum(8)}))
	try(s.SeeSession(ctx, signedIn.ID, sum(9)))
	try(s.SessionOf(ctx, sum(7)))
	try(s.SessionOf(ctx, sum(9)))
	try(s.Sessions(ctx, "a@b"))
	try(nil, s.EndSession(ctx, "a@b", signedIn.ID))
	try(s.Pulse(ctx))
	try(s.HasPart(ctx, []string{"a@b"}))
	lease, err := s.Acquire(ctx, "l", time.Minute)
	try(nil, err)
	try(nil, s.Renew(ctx, lease, time.Minute))
	mustWrite(t, s, func(tx *Tx) error {
		try(tx.LastEvents(1001, 5))
		try(tx.Tickets([]ticket.Number{1001, second}))
		try(tx.Participants([]ticket.Number{1001}))
		try(tx.TicketsByID([]string{"a", "b"}))
		try(tx.OpenedBy("ann@example.org", time.Now(), 21))
		try(tx.OpenedLately([]string{"ann@example.org", "bob@example.org"}, time.Now(), 200))
		try(tx.WrittenBy(1, []string{"ann@example.org", "bob@example.org"}, time.Now(), 21))
		try(tx.Twins(in.Mailbox, [][]byte{{1}}, [][]byte{{1}}))
		try(tx.Handled(in.Mailbox, []byte{1}, []byte{1}, 9))
		try(tx.AutoSentTo([]string{"a", "b"}, tx.Now(), tx.Now()))
		try(nil, tx.RemoveParticipant(1001, "x"))
		try(tx.EraseEvents(1001, tx.Now()))
		try(tx.ForgetRaws(tx.Now(), 5))
		try(tx.PersonName("x"))
		try(tx.Search(SearchFilter{Words: "printer"}))
		try(tx.indexBelow(&changes{puts: map[blockKey][]int{}}, 1002, 5))
		try(tx.MergedInto([]ticket.Number{1001, second}))
		try(nil, tx.Unlink(1001, second, LinkMerged))
		try(tx.ChangedBy(1))
		try(tx.LastEntries(1001, 5))
		try(tx.ListTickets(TicketFilter{Assignee: "a", Live: true}))
		try(tx.IntakeOf(1))
		try(tx.RawOf(make([]byte, 32)))
		try(tx.Due(tx.Now(), 5))
		try(tx.Blocked([]string{"a", "b"}))
		try(tx.Linked(1001, second, LinkRelated))
		try(tx.FirstVerified(1001))
		try(nil, tx.Withdraw("a", 1001))
		try(nil, tx.Unblock("a", 1001))
		try(nil, tx.Reinstate("a", 1001))
		try(nil, tx.BlockAgain("a", 1001))
		try(nil, tx.CancelQueued(1001, "a"))
		try(tx.IssuedTo(1001, "a", tx.Now()))
		try(nil, tx.Mute(1001, "a", false))
		try(tx.Muted([]ticket.Number{1001}))
		try(tx.Challenges([]string{"a", "b"}))
		try(tx.Spend("a"))
		try(tx.ToldOf([]string{"a", "b"}, tx.Now()))
		try(tx.OpenedInAll(tx.Now(), 20, 200))
		try(nil, tx.SkipNumbers(1, 1))
		try(tx.Challenged([]string{"a", "b"}, tx.Now()))
		return nil
	})
	for _, err := range errs {
		if err != nil && !strings.Contains(err.Error(), ErrNotFound.Error()) {
			t.Error(err)
		}
	}
	scan := regexp.MustCompile(`^SCAN (\w+|\d+-ROW VALUES CLAUSE)( USING (COVERING )?INDEX \w+)?$`)
	kept := map[string]statement{}
	mu.Lock()
	for q, st := range seen {
		kept[q] = st
	}
	mu.Unlock()
	plans := 0
	for _, st := range kept {
		if !regexp.MustCompile(`^(SELECT|UPDATE|DELETE|WITH)`).MatchString(st.query) || strings.Contains(st.query, "sqlite_sequence") ||
			strings.Contains(st.query, "goose") {
			continue
		}
		rows, err := s.writing.Query("EXPLAIN QUERY PLAN "+st.query, st.args...)
		if err != nil {
			t.Errorf("explain %s: %v", st.query, err)
			continue
		}
		plans++
		for rows.Next() {
			var id, parent, unused int
			var detail string
			if err := rows.Scan(&id, &parent, &unused, &detail); err != nil {
				t.Fatal(err)
			}
			m := scan.FindStringSubmatch(detail)
			// These walk an index or the key from an end, up to the LIMIT.
			walks := strings.Contains(st.query, "LIMIT") && strings.Contains(st.query, "ORDER BY") ||
				strings.Contains(st.query, "due_at IS NOT NULL")
			derived := m != nil && (m[1] == "v" || m[1] == "part0" || m[1] == "summed" || m[1] == "candidates" || m[1] == "CONSTANT" || m[1] == "page" || m[1] == "found" ||
				m[1] == "q" || m[1] == "s" || m[1] == "p" || strings.HasSuffix(m[1], "VALUES CLAUSE") || strings.HasPrefix(m[1], "part"))
			small := strings.Contains(st.query, "FROM heartbeats") || strings.Contains(st.query, "FROM live_counts UNION") || strings.Contains(st.query, "FROM links")
			if m != nil && m[2] == "" && !walks && !derived && !small || strings.Contains(detail, "TEMP B-TREE FOR ORDER BY") && !small &&
				!strings.Contains(st.query, "AS page JOIN") && !strings.Contains(st.query, "OVER (") {
				t.Errorf("%s\n\tin %s", detail, st.query)
			}
		}
		rows.Close()
	}
	if plans < 30 {
		t.Errorf("%d plans were read, want all", plans)
	}
}
