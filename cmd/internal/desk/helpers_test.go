package desk

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"deskd/mailin"
	"deskd/mailout"
	"deskd/store"
	"deskd/store/storetest"
	"deskd/triage"
	"deskd/triage/ticket"
)

// Addresses of the desk under test and of the people around it.
const (
	support  = "support@example.org"
	alias    = "help@example.org"
	second   = "network@example.org"
	helpList = "helpdesk-team@example.org"
	tina     = "tina@example.org" // technicians
	tom      = "tom@example.org"
	nina     = "nina@example.org" // of a team without a list
	ann      = "ann@example.org"  // requesters
	bob      = "bob@example.org"
	eve      = "eve@example.net" // somebody from outside
)

// office is a desk on a real store with a clock of its own, and what tests
// look at.
type office struct {
	*Desk
	t     testing.TB
	store *store.Store
	clock *clock
	log   *logBuffer
	box   string // the mailbox that mail comes through
	uid   uint32
}

type setup struct {
	desk   Options
	policy triage.Policy
	mail   mailout.Config
	store  store.Options
}

// quiet logs nothing, for tests with many mails.
func quiet(s *setup) { s.desk.Log = slog.New(slog.DiscardHandler) }

// clock stands still until it is moved.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// logBuffer keeps what is logged.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

func (b *logBuffer) Reset() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.buf.Reset()
}

// both runs a test with a desk on each of the two databases.
func both(t *testing.T, fn func(t *testing.T, o *office), changes ...func(*setup)) {
	t.Helper()
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) { fn(t, open(t, url, changes...)) })
}

// quick runs a test with a desk on SQLite, for what has nothing to do with the
// database.
func quick(t *testing.T, changes ...func(*setup)) *office {
	t.Helper()
	t.Parallel()
	return open(t, storetest.SQLite(t), changes...)
}

func open(t testing.TB, url string, changes ...func(*setup)) *office {
	t.Helper()
	o := &office{t: t, clock: &clock{at: time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)}, log: &logBuffer{}, box: support}
	s := setup{
		policy: policy(),
		mail:   mailout.Config{Address: "127.0.0.1:9", Security: mailout.Plain},
		store:  store.Options{Owner: "desk1"},
		desk:   Options{Now: o.clock.now},
	}
	s.desk.Log = slog.New(slog.NewTextHandler(o.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	for _, change := range changes {
		change(&s)
	}
	s.store.Key, s.store.Now = s.policy.Secret, s.desk.Now
	if s.store.Log == nil {
		s.store.Log = s.desk.Log
	}
	rules, err := triage.New(s.policy)
	if err != nil {
		t.Fatalf("rules: %v", err)
	}
	mailer, err := mailout.New(s.mail, mailout.Identity{
		Name: "IT Service Desk", Prefix: "IT", Host: "example.org", Signer: rules.Signer(), ListID: "desk.example.org", Own: []string{support, alias, second},
	}, s.desk.Log)
	if err != nil {
		t.Fatalf("mailer: %v", err)
	}
	t.Cleanup(func() {
		if err := mailer.Close(); err != nil {
			t.Errorf("close the mailer: %v", err)
		}
	})
	if o.store, err = store.Open(t.Context(), url, s.store); err != nil {
		t.Fatalf("open the store: %v", err)
	}
	t.Cleanup(func() {
		if err := o.store.Close(); err != nil {
			t.Errorf("close the store: %v", err)
		}
	})
	s.desk.Store, s.desk.Rules, s.desk.Mailer, s.desk.Host = o.store, rules, mailer, "example.org"
	o.Desk = New(s.desk)
	return o
}

func policy() triage.Policy {
	return triage.Policy{
		Prefix:    "IT",
		Mailboxes: []triage.Mailbox{{Address: support, Aliases: []string{alias}}, {Address: second}},
		Teams: []triage.Team{
			{Name: triage.Helpdesk, List: helpList, Roster: []string{tina, tom}},
			{Name: triage.NetworkTeam, Roster: []string{nina, tom}},
			{Name: triage.DesktopSupport, List: "desktop-team@example.org", Roster: []string{tina}},
			{Name: triage.SystemAdministrator, List: "admin-team@example.org", Roster: []string{tom}},
		},
		Rules:  triage.DefaultRules(),
		Trust:  triage.Trust{Servers: []string{"mx.example.org"}, Borders: []string{"mx.example.org"}},
		Secret: bytes.Repeat([]byte("s"), 32),
	}
}

// letter writes a mail. Further header fields are given as "Name: value"; a
// field that it would write itself replaces its own.
func letter(from, subject, body string, fields ...string) string {
	sum := sha256.Sum256([]byte(from + subject + body + strings.Join(fields, "")))
	head := []string{
		"From: " + from, "To: " + support, "Subject: " + subject,
		fmt.Sprintf("Message-ID: <%x@client.example>", sum[:8]), "Date: Mon, 02 Mar 2026 08:59:00 +0000",
	}
	for _, f := range fields {
		name, _, _ := strings.Cut(f, ":")
		head = slices.DeleteFunc(head, func(h string) bool {
			have, _, _ := strings.Cut(h, ":")
			return strings.EqualFold(have, name)
		})
	}
	head = append(head, fields...)
	if !strings.Contains(strings.ToLower(strings.Join(fields, "\n")), "content-type:") {
		head = append(head, "MIME-Version: 1.0", "Content-Type: text/plain; charset=utf-8")
	}
	return strings.Join(head, "\r\n") + "\r\n\r\n" + strings.ReplaceAll(body, "\n", "\r\n") + "\r\n"
}

// vouched puts our server's word on top of a mail.
func vouched(raw string) string {
	_, rest, _ := strings.Cut(raw, "From: ")
	from, _, _ := strings.Cut(rest, "\r\n")
	domain := strings.Trim(from[strings.LastIndexByte(from, '@')+1:], ">")
	return "Authentication-Results: mx.example.org; dmarc=pass header.from=" + domain + "\r\n" + raw
}

// withFile makes a mail of a text and one attachment.
func withFile(from, subject, body, name string, data []byte, fields ...string) string {
	return letter(from, subject, "--b\nContent-Type: text/plain; charset=utf-8\n\n"+body+
		"\n--b\nContent-Type: application/octet-stream\nContent-Disposition: attachment; filename=\""+name+"\"\nContent-Transfer-Encoding: base64\n\n"+
		wrapped64(data)+"\n--b--", append(fields, `Content-Type: multipart/mixed; boundary="b"`)...)
}

func wrapped64(data []byte) string {
	var b strings.Builder
	for line := range slices.Chunk(data, 57) {
		b.WriteString(base64.StdEncoding.EncodeToString(line) + "\n")
	}
	return b.String()
}

// fetch gives a mail as it comes off the server, under the next UID.
func (o *office) fetch(raw string) mailin.Fetched {
	o.uid++
	return mailin.Fetched{
		Box: mailin.Box{Mailbox: o.box, Validity: 7}, UID: o.uid, Arrived: o.clock.now(), Size: int64(len(raw)),
		Raw: []byte(raw), SHA256: sha256.Sum256([]byte(raw)),
	}
}

// deliver hands mails over in one batch, each of which must get a verdict.
func (o *office) deliver(raws ...string) {
	o.t.Helper()
	var batch []mailin.Fetched
	for _, raw := range raws {
		batch = append(batch, o.fetch(raw))
	}
	o.handOver(batch)
}

func (o *office) handOver(batch []mailin.Fetched) []mailin.Verdict {
	o.t.Helper()
	verdicts, err := o.Deliver(o.t.Context(), batch)
	if err != nil {
		o.t.Fatalf("Deliver: %v", err)
	}
	if len(verdicts) != len(batch) {
		o.t.Fatalf("%d verdicts on %d mails", len(verdicts), len(batch))
	}
	return verdicts
}

// intakes gives all mails that came in, the oldest first.
func (o *office) intakes() []store.Intake {
	o.t.Helper()
	var all []store.Intake
	for f := (store.IntakeFilter{Limit: 500}); ; {
		list, err := o.store.ListIntakes(o.t.Context(), f)
		if err != nil {
			o.t.Fatalf("ListIntakes: %v", err)
		}
		if len(list) == 0 {
			slices.Reverse(all)
			return all
		}
		all = append(all, list...)
		f.Before = list[len(list)-1].ID
	}
}

// fates gives the fate of every mail, the oldest first.
func (o *office) fates() string {
	o.t.Helper()
	var fates []string
	for _, in := range o.intakes() {
		fates = append(fates, string(in.Fate))
	}
	return strings.Join(fates, " ")
}

// wantFates compares the fates of all mails so far.
func (o *office) wantFates(want string) {
	o.t.Helper()
	if got := o.fates(); got != want {
		o.t.Fatalf("fates\n got %s\nwant %s", got, want)
	}
}

// tickets gives all tickets, the oldest first.
func (o *office) tickets() []store.Ticket {
	o.t.Helper()
	list, err := o.store.ListTickets(o.t.Context(), store.TicketFilter{Limit: 500})
	if err != nil {
		o.t.Fatalf("ListTickets: %v", err)
	}
	slices.Reverse(list)
	return list
}

// last gives the newest ticket.
func (o *office) last() store.Detail {
	o.t.Helper()
	all := o.tickets()
	if len(all) == 0 {
		o.t.Fatal("there is no ticket")
	}
	return o.show(all[len(all)-1].Number)
}

func (o *office) show(n ticket.Number) store.Detail {
	o.t.Helper()
	d, err := o.store.Show(o.t.Context(), n)
	if err != nil {
		o.t.Fatalf("Show %d: %v", n, err)
	}
	return d
}

// outbox lists "kind to recipient" of all outgoing mails, the oldest first.
func (o *office) outbox() []string {
	o.t.Helper()
	var out []string
	for _, r := range o.rows() {
		out = append(out, r.Kind+" "+r.Recipient)
	}
	return out
}

func (o *office) rows() []store.Row {
	o.t.Helper()
	var all []store.Row
	for f := (store.OutboxFilter{Limit: 500}); ; {
		rows, err := o.store.ListOutbox(o.t.Context(), f)
		if err != nil {
			o.t.Fatalf("ListOutbox: %v", err)
		}
		if len(rows) == 0 {
			slices.Reverse(all)
			return all
		}
		all = append(all, rows...)
		f.Before = rows[len(rows)-1].ID
	}
}

// wantOutbox compares what is to go out, in any order.
func (o *office) wantOutbox(want ...string) {
	o.t.Helper()
	got := o.outbox()
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		o.t.Fatalf("outbox\n got %q\nwant %q", got, want)
	}
}

// posted is an outgoing mail with what its recipient reads.
type posted struct {
	store.Row
	triage.Message
	whole string // decoded header and text in one
}

// post takes all outgoing mails as if they were sent, the oldest first.
func (o *office) post() []posted {
	o.t.Helper()
	var all []posted
	for {
		rows, err := o.store.Claim(o.t.Context(), 100, time.Minute)
		if err != nil {
			o.t.Fatalf("Claim: %v", err)
		}
		if len(rows) == 0 {
			slices.SortFunc(all, func(a, b posted) int { return int(a.ID - b.ID) })
			return all
		}
		for _, r := range rows {
			if err := o.store.Sent(o.t.Context(), r, "250 ok"); err != nil {
				o.t.Fatalf("Sent: %v", err)
			}
			m := mailin.Parse(r.Body, mailin.Limits{})
			p := posted{Row: r, Message: m}
			for _, f := range m.Header {
				p.whole += f.Name + ": " + f.Value + "\n"
			}
			p.whole += "\n" + m.Text()
			all = append(all, p)
		}
	}
}

// only gives the one outgoing mail of a kind.
func (o *office) only(list []posted, kind mailout.Kind) posted {
	o.t.Helper()
	var found []posted
	for _, p := range list {
		if p.Kind == string(kind) {
			found = append(found, p)
		}
	}
	if len(found) != 1 {
		o.t.Fatalf("%d mails of kind %s among %d, want 1", len(found), kind, len(list))
	}
	return found[0]
}

// events gives the timeline of a ticket as "what before→after: reason".
func (o *office) events(n ticket.Number) []string {
	o.t.Helper()
	var out []string
	for _, e := range o.show(n).Events {
		out = append(out, fmt.Sprintf("%s %s→%s: %s", e.What, e.Before, e.After, e.Reason))
	}
	return out
}

// wantEvent looks for a line of the timeline that contains a text.
func (o *office) wantEvent(n ticket.Number, want string) {
	o.t.Helper()
	got := o.events(n)
	if !slices.ContainsFunc(got, func(e string) bool { return strings.Contains(e, want) }) {
		o.t.Fatalf("timeline of %d has no %q:\n%s", n, want, strings.Join(got, "\n"))
	}
}
