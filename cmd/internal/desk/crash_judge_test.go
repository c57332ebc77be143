//go:build unix

package desk_test

import (
	"bytes"
	"database/sql"
	"fmt"
	"maps"
	"net/mail"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"deskd/cmd/internal/demomail"
	"deskd/store"
	"deskd/triage/ticket"
)

// left looks at what a death has left.
func (s *scenario) left(d death) {
	s.t.Helper()
	db := s.reader()
	defer db.Close()
	intakes, err := db.ListIntakes(s.t.Context(), store.IntakeFilter{})
	if err != nil {
		s.t.Fatal(err)
	}
	fates, undone := 0, 0
	for _, in := range intakes {
		if in.Fate != "" {
			fates++
			if in.FiledAt.IsZero() {
				undone++
			}
		}
	}
	tickets, err := db.ListTickets(s.t.Context(), store.TicketFilter{})
	if err != nil {
		s.t.Fatal(err)
	}
	outbox, err := db.ListOutbox(s.t.Context(), store.OutboxFilter{})
	if err != nil {
		s.t.Fatal(err)
	}
	type state struct{ Inbox, Done, Fates, Unfiled, Tickets, Outbox, Sent int }
	got := state{
		len(s.server.Mailbox(support, "")), len(s.server.Mailbox(support, "Done")), fates, undone, len(tickets), len(outbox), 0,
	}
	for _, who := range s.people() {
		got.Sent += len(s.server.Mailbox(who, ""))
	}
	kept := 0 // originals that stay in the folder by design
	if d.server.NoUIDPlus {
		kept = mailsBefore
	}
	all := state{mailsIn + kept, mailsBefore, mailsBefore + mailsIn, mailsIn, ticketsBefore + ticketsIn, noticesBefore + noticesIn, noticesBefore + d.sent}
	before := state{mailsIn + kept, mailsBefore, mailsBefore, 0, ticketsBefore, noticesBefore, noticesBefore + d.sent}
	want := map[remains]state{
		untouched: before, stranded: before, returning: before,
		decided: all, copied: all, moved: all, filed: all,
	}
	switch w := want[d.leaves]; d.leaves {
	case stranded:
		w.Inbox, w.Done = kept, mailsBefore+mailsIn
		want[stranded] = w
	case returning:
		w.Done = mailsBefore + mailsIn
		want[returning] = w
	case either:
		got.Inbox, got.Done, got.Unfiled = all.Inbox, all.Done, all.Unfiled
		want[either] = all
	case copied:
		w.Done = mailsBefore + mailsIn
		want[copied] = w
	case filed:
		w.Inbox, w.Done, w.Unfiled = kept, mailsBefore+mailsIn, 0
		want[filed] = w
	case moved:
		w.Inbox, w.Done = kept, mailsBefore+mailsIn
		want[moved] = w
	}
	if diff := cmp.Diff(want[d.leaves], got); diff != "" {
		s.t.Errorf("what the death left (-want +got):\n%s", diff)
	}
}

// figures are what a run came to, measured from outside.
type figures struct {
	Lost    int // mails without a fate, a ticket or their bytes, and notifications that nobody got
	Tickets int // more than there should be
	Changes int // entries and changes of status that are there twice
	Repeats int // notifications that came again
	Broken  int // integrity checks that failed

	again map[string]int // how often each notification came again, by recipient and Message-ID
}

// run names a run: what was done with these three can be done again.
type run struct {
	Point    string
	Database string
	Run      int // or n, or the seed
}

// result is what became of a run.
type result struct {
	run
	figures
	Deaths  int
	Allowed int // repeats
	Faults  []string
	Took    time.Duration
}

// lived says whether nothing was left to die at.
func (r result) lived() bool { return r.Deaths == 0 && len(r.Faults) == 0 }

// judge looks from outside at what has become of all mails. copies says that
// originals may lie in Done twice, died how often a mail may have been what
// killed the desk.
func (s *scenario) judge(o demomail.Options, copies bool, died int) figures {
	s.t.Helper()
	db := s.reader()
	defer db.Close()
	lost := map[string]bool{}
	s.judgeServer(o, copies, lost)
	s.judgeIntakes(db, died, lost)
	s.judgeTickets(db, lost)
	if !strings.Contains(s.url, "://") {
		s.intact()
	}
	s.judgeOutbox(db, lost)
	s.found.Lost = len(lost)
	return s.found
}

// judgeServer holds that each mail lies in the folder for what is done.
func (s *scenario) judgeServer(o demomail.Options, copies bool, lost map[string]bool) {
	s.t.Helper()
	done := maps.Clone(s.sent)
	for id := range s.vanished {
		delete(done, id)
	}
	for folder, want := range map[string]map[string]bool{"": {}, "Done": done, "Quarantine": {}} {
		got := map[string]bool{}
		for _, raw := range s.server.Mailbox(support, folder) {
			id := messageID(s.t, raw)
			if got[id] && !copies {
				s.t.Errorf("%s lies in %q twice", id, folder)
			}
			got[id] = true
		}
		if o.NoUIDPlus && folder == "" {
			want = done // under a keyword
		}
		if folder == "Done" {
			missing(want, got, lost)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			s.t.Errorf("folder %q (-want +got):\n%s", folder, diff)
		}
	}
}

// missing adds what is wanted and not there.
func missing[V, W any](want map[string]V, got map[string]W, lost map[string]bool) {
	for id := range want {
		if _, ok := got[id]; !ok {
			lost[id] = true
		}
	}
}

// judgeIntakes holds that each mail has one fate, and that its bytes are kept.
func (s *scenario) judgeIntakes(db *store.Store, died int, lost map[string]bool) {
	s.t.Helper()
	intakes, err := db.ListIntakes(s.t.Context(), store.IntakeFilter{})
	if err != nil {
		s.t.Fatal(err)
	}
	want, got := map[string]store.Fate{}, map[string]store.Fate{}
	for id := range s.sent {
		want[id] = store.FateAppended
		if s.opens[id] {
			want[id] = store.FateNewTicket
		}
		if uid, ok := s.vanished[id]; ok && !s.opens[id] {
			delete(want, id)
			want[fmt.Sprintf("UID %d", uid)] = store.FateGone
		}
	}
	kept := map[string][]byte{}
	for _, raw := range s.server.Mailbox(support, "Done") {
		kept[messageID(s.t, raw)] = raw
	}
	for _, in := range intakes {
		if in.MessageID == "" {
			in.MessageID = fmt.Sprintf("UID %d", in.UID)
		}
		if _, twice := got[in.MessageID]; twice {
			s.t.Errorf("%s was decided on twice", in.MessageID)
		}
		if in.Fate != "" {
			got[in.MessageID] = in.Fate
		}
		if in.FiledAt.IsZero() || in.Failures > died || in.Handling != "" {
			s.t.Errorf("intake of %s: filed %v, %d failures, handling %q", in.MessageID, in.FiledAt, in.Failures, in.Handling)
		}
		_, vanished := s.vanished[in.MessageID]
		if in.Fate == store.FateGone {
			continue
		}
		if raw, err := db.Raw(s.t.Context(), in.SHA256); err != nil || !vanished && !bytes.Equal(raw, kept[in.MessageID]) {
			s.t.Errorf("the bytes of %s are not kept as they came: %v", in.MessageID, err)
			lost[in.MessageID] = true
		}
	}
	missing(want, got, lost)
	if diff := cmp.Diff(want, got); diff != "" {
		s.t.Errorf("fates (-want +got):\n%s", diff)
	}
}

// judgeTickets holds that each new mail has one ticket, and that each answer
// had its effect once.
func (s *scenario) judgeTickets(db *store.Store, lost map[string]bool) {
	s.t.Helper()
	list, err := db.ListTickets(s.t.Context(), store.TicketFilter{})
	if err != nil {
		s.t.Fatal(err)
	}
	want, got := map[string]int{}, map[string]int{}
	for id := range s.sent {
		if _, vanished := s.vanished[id]; !vanished || s.opens[id] {
			want[id] = 1
		}
	}
	changes := map[string]int{}
	for _, tk := range list {
		if err := db.VerifyChain(s.t.Context(), tk.Number); err != nil {
			s.t.Errorf("events of %d: %v", tk.Number, err)
			s.found.Broken++
		}
		all, err := db.Show(s.t.Context(), tk.Number)
		if err != nil {
			s.t.Fatal(err)
		}
		for i, e := range all.Entries {
			got[e.MessageID]++
			if s.opens[e.MessageID] != (i == 0) {
				s.t.Errorf("entry %d of %d is %s", i+1, tk.Number, e.MessageID)
			}
		}
		for _, e := range all.Events {
			if e.What == "status" || e.What == "created" {
				changes[e.What+" "+e.After]++
			}
		}
		if old := len(all.Entries) == 3; old != (tk.Status == ticket.InProgress) {
			s.t.Errorf("ticket %d with %d entries is %s", tk.Number, len(all.Entries), tk.Status)
		}
	}
	missing(want, got, lost)
	for _, n := range got {
		s.found.Changes += n - 1
	}
	s.found.Changes += max(0, changes["status in_progress"]-1)
	s.found.Tickets = max(0, max(len(list), len(s.named()))-len(s.opens))
	if diff := cmp.Diff(want, got); diff != "" {
		s.t.Errorf("entries by mail (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]int{"created medium, Helpdesk": len(s.opens), "status in_progress": 1}, changes); diff != "" {
		s.t.Errorf("changes (-want +got):\n%s", diff)
	}
}

var ticketName = regexp.MustCompile(`\[(IT-[0-9]+)\]`)

// named gives the tickets that people have read about.
func (s *scenario) named() map[string]bool {
	s.t.Helper()
	out := map[string]bool{}
	for _, who := range s.people() {
		for _, raw := range s.server.Mailbox(who, "") {
			m, err := mail.ReadMessage(bytes.NewReader(raw))
			if err != nil {
				s.t.Fatal(err)
			}
			if found := ticketName.FindStringSubmatch(m.Header.Get("Subject")); found != nil {
				out[found[1]] = true
			}
		}
	}
	if len(out) == 0 {
		s.t.Error("nobody has read about a ticket")
	}
	return out
}

// judgeOutbox holds that everybody got each of their mails, and that what came
// again had the same bytes (P3).
func (s *scenario) judgeOutbox(db *store.Store, lost map[string]bool) {
	s.t.Helper()
	want, got, kinds := map[string]bool{}, map[string]bool{}, map[string]int{}
	for key, r := range s.outbox(db) {
		want[key] = true
		kinds[r.Kind]++
		if r.State != store.Sent {
			s.t.Errorf("%s is %s", key, r.State)
		}
	}
	n := len(s.opens)
	wantKinds := map[string]int{"acknowledgement": n, "team-notice": 2 * n, "answer-notice": 2, "status-notice": 1, "transcript": 1}
	for kind, n := range wantKinds {
		for i := kinds[kind]; i < n; i++ {
			lost[fmt.Sprintf("%s %d", kind, i+1)] = true
		}
	}
	if diff := cmp.Diff(wantKinds, kinds); diff != "" {
		s.t.Errorf("mails by kind (-want +got):\n%s", diff)
	}
	s.found.again = map[string]int{}
	for key, copies := range s.accepted() {
		got[key] = true
		for _, again := range copies[1:] {
			s.found.again[key]++
			s.found.Repeats++
			if diff := cmp.Diff(string(copies[0]), string(again)); diff != "" {
				s.t.Errorf("%s came again with other bytes (-first +again):\n%s", key, diff)
			}
		}
	}
	missing(want, got, lost)
	if diff := cmp.Diff(want, got); diff != "" {
		s.t.Errorf("mails that went out (-want +got):\n%s", diff)
	}
}

// owed gives the mails that the server has accepted since, and that are not
// marked so: each of them comes once more (F30).
func (s *scenario) owed(before map[string][][]byte) map[string]int {
	s.t.Helper()
	db := s.reader()
	defer db.Close()
	rows := s.outbox(db)
	out := map[string]int{}
	for key, copies := range s.accepted() {
		if len(copies) > len(before[key]) && rows[key].State != store.Sent {
			out[key] = 1
		}
	}
	return out
}

// outbox gives the rows of the outbox by recipient and Message-ID.
func (s *scenario) outbox(db *store.Store) map[string]store.Row {
	s.t.Helper()
	rows, err := db.ListOutbox(s.t.Context(), store.OutboxFilter{Limit: 500})
	if err != nil {
		s.t.Fatal(err)
	}
	out := map[string]store.Row{}
	for _, r := range rows {
		out[r.Recipient+" "+r.MessageID] = r
	}
	if len(out) != len(rows) {
		s.t.Errorf("%d rows of the outbox are about %d mails", len(rows), len(out))
	}
	return out
}

// accepted gives what the mail server took from the desk, by recipient and
// Message-ID: the bytes as they were sent, of each copy.
func (s *scenario) accepted() map[string][][]byte {
	s.t.Helper()
	out := map[string][][]byte{}
	for _, who := range s.people() {
		for _, raw := range s.server.Mailbox(who, "") {
			key := who + " " + messageID(s.t, raw)
			out[key] = append(out[key], untraced(raw))
		}
	}
	return out
}

// intact has SQLite look over its file.
func (s *scenario) intact() {
	s.t.Helper()
	db, err := sql.Open("sqlite", s.url)
	if err != nil {
		s.t.Fatal(err)
	}
	defer db.Close()
	var answer string
	if err := db.QueryRowContext(s.t.Context(), "PRAGMA integrity_check").Scan(&answer); err != nil || answer != "ok" {
		s.t.Errorf("integrity check: %q, %v", answer, err)
		s.found.Broken++
	}
}

func messageID(t testing.TB, raw []byte) string {
	t.Helper()
	m, err := mail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	return strings.Trim(m.Header.Get("Message-Id"), "<>")
}

// untraced takes away what the mail server has written on top, which differs
// from copy to copy.
func untraced(raw []byte) []byte {
	for {
		line, rest, _ := bytes.Cut(raw, []byte("\r\n"))
		name, _, _ := strings.Cut(string(line), ":")
		if !slices.Contains([]string{"Authentication-Results", "Return-Path", "Delivered-To", "Received"}, name) && !bytes.HasPrefix(line, []byte("\t")) {
			return raw
		}
		raw = rest
	}
}
