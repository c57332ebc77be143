package page

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"
	"unicode"

	"deskd/store"
	"deskd/triage"
	"deskd/triage/ticket"
)

// now is the moment at which the pages of these tests are made.
var now = time.Date(2026, 11, 23, 15, 2, 0, 0, time.UTC)

// memory is a Source in memory. It stands in for the store where a test must
// say what is in it to the letter, or must see it fail.
type memory struct {
	overview store.Overview
	tickets  []store.Ticket // newest first
	details  map[ticket.Number]store.Detail
	intakes  []store.Intake // newest first
	outbox   []store.Row    // newest first
	beats    []store.Heartbeat
	sessions []store.Session
	events   atomic.Int64 // the newest
	raw      []byte
	err      error // what every method answers with
	panics   bool
	unread   ticket.Number // what Search has not read yet; it cuts its answers then
	partial  bool          // Search leaves something out
}

func (m *memory) fault() error {
	if m.panics {
		panic("injected")
	}
	return m.err
}

func (m *memory) Overview(context.Context, time.Time) (store.Overview, error) {
	return m.overview, m.fault()
}

func (m *memory) ListTickets(_ context.Context, f store.TicketFilter) ([]store.Ticket, error) {
	var list []store.Ticket
	for _, t := range m.tickets {
		if f.Team != "" && t.Team != f.Team || len(f.Status) > 0 && !slices.Contains(f.Status, t.Status) ||
			f.Assignee != "" && t.Assignee != f.Assignee || f.Requester != "" && t.Requester != f.Requester ||
			f.Live && !t.Status.Live() || f.Before != 0 && t.Number >= f.Before || f.Priority != "" && t.Priority != f.Priority ||
			f.Unassigned && t.Assignee != "" || len(f.Involved) > 0 && !m.involves(t, f.Involved) || !f.DueFrom.IsZero() && t.DueAt.Before(f.DueFrom) ||
			!f.DueBefore.IsZero() && (t.DueAt.IsZero() || !t.DueAt.Before(f.DueBefore)) ||
			f.After.Number != 0 && f.Order.Compare(f.Order.Place(t), f.After) <= 0 {
			continue
		}
		list = append(list, t)
	}
	slices.SortStableFunc(list, func(a, b store.Ticket) int { return f.Order.Compare(f.Order.Place(a), f.Order.Place(b)) })
	return list[:min(len(list), f.Limit)], m.fault()
}

// involves says whether somebody is on a ticket.
func (m *memory) involves(t store.Ticket, addrs []string) bool {
	return slices.Contains(addrs, t.Requester) ||
		slices.ContainsFunc(m.details[t.Number].Participants, func(p store.Participant) bool { return slices.Contains(addrs, p.Addr) })
}

func (m *memory) ShowPart(_ context.Context, n ticket.Number, _ store.Mark, _ bool) (store.Detail, error) {
	if err := m.fault(); err != nil {
		return store.Detail{}, err
	}
	if d, ok := m.details[n]; ok {
		if len(d.Entries) > 0 {
			d.FirstIntake = d.Entries[0].Intake
		}
		return d, nil
	}
	for _, t := range m.tickets {
		if t.Number == n {
			return store.Detail{Ticket: t}, nil
		}
	}
	return store.Detail{}, fmt.Errorf("ticket %s: %w", n, store.ErrNotFound)
}

// Search looks for each word as it is, in subject, name and texts.
func (m *memory) Search(_ context.Context, f store.SearchFilter) (store.Found, error) {
	words := strings.Fields(strings.ToLower(f.Words))
	found := store.Found{None: !strings.ContainsFunc(f.Words, func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }), Unread: m.unread}
	for _, t := range m.tickets {
		if len(f.Involved) > 0 && !m.involves(t, f.Involved) {
			continue
		}
		hit, text := store.Hit{Ticket: t}, t.Number.String()+" "+t.Subject+" "+t.RequesterName+" "+t.Requester
		for _, e := range m.details[t.Number].Entries {
			if len(f.Involved) > 0 && e.Visibility != "public" {
				continue
			}
			text += " " + e.Text
			if i := strings.Index(strings.ToLower(e.Text), f.Words); i >= 0 && e.Text != "" {
				hit.Entry, hit.Note = e.ID, e.Visibility == "internal"
				hit.Excerpt = []store.Piece{{Text: e.Text[:i]}, {Text: e.Text[i : i+len(f.Words)], Marked: true}, {Text: e.Text[i+len(f.Words):]}}
			}
		}
		has := !found.None && (f.Before == 0 || t.Number < f.Before)
		for _, w := range words {
			has = has && strings.Contains(strings.ToLower(text), w)
		}
		if !has {
			continue
		}
		if len(found.Hits) == f.Limit {
			found.Next = found.Hits[len(found.Hits)-1].Ticket.Number
			break
		}
		found.Hits = append(found.Hits, hit)
	}
	if m.unread != 0 {
		found.Cut, found.Partial, found.Next = true, true, 1001
	}
	found.Partial = found.Partial || m.partial
	return found, m.fault()
}

// unread is a desk that has just got a search, and searches long.
func unread() *memory {
	m := busy()
	m.unread = 1049
	return m
}

func (m *memory) ListIntakes(_ context.Context, f store.IntakeFilter) ([]store.Intake, error) {
	var list []store.Intake
	for _, in := range m.intakes {
		if f.Fate != "" && in.Fate != f.Fate || f.Before != 0 && in.ID >= f.Before ||
			f.Undone && in.Fate != "" && !in.FiledAt.IsZero() || len(list) == f.Limit {
			continue
		}
		list = append(list, in)
	}
	return list, m.fault()
}

func (m *memory) IntakeByID(_ context.Context, id int64) (store.Intake, error) {
	if err := m.fault(); err != nil {
		return store.Intake{}, err
	}
	for _, in := range m.intakes {
		if in.ID == id {
			return in, nil
		}
	}
	return store.Intake{}, store.ErrNotFound
}

func (m *memory) ListOutbox(_ context.Context, f store.OutboxFilter) ([]store.Row, error) {
	var list []store.Row
	for _, r := range m.outbox {
		if f.State != "" && r.State != f.State || f.Before != 0 && r.ID >= f.Before || len(list) == f.Limit {
			continue
		}
		list = append(list, r)
	}
	return list, m.fault()
}

func (m *memory) EntryRaw(_ context.Context, id int64, may func(store.Entry) error) ([]byte, store.Entry, error) {
	if err := m.fault(); err != nil {
		return nil, store.Entry{}, err
	}
	for _, d := range m.details {
		for _, e := range d.Entries {
			if e.ID == id {
				return m.raw, e, may(e)
			}
		}
	}
	return nil, store.Entry{}, store.ErrNotFound
}

func (m *memory) Raw(context.Context, []byte) ([]byte, error) {
	if m.raw == nil {
		return nil, store.ErrNotFound
	}
	return m.raw, m.fault()
}

func (m *memory) Heartbeats(context.Context) ([]store.Heartbeat, error) { return m.beats, m.fault() }

func (m *memory) Pulse(context.Context) (store.Pulse, error) {
	return store.Pulse{Events: m.events.Load()}, m.fault()
}

func (m *memory) AskSignIn(_ context.Context, in store.SignIn) (bool, error) {
	return in.Known, m.fault()
}

func (m *memory) SpendLink(context.Context, []byte, store.NewSession) (store.Session, error) {
	return store.Session{}, cmp.Or(m.fault(), store.ErrNotFound)
}

func (m *memory) SpendCode(context.Context, []byte, []byte, store.NewSession) (store.Session, error) {
	return store.Session{}, cmp.Or(m.fault(), store.ErrNotFound)
}

func (m *memory) SessionOf(context.Context, []byte) (store.Session, error) {
	return store.Session{}, cmp.Or(m.fault(), store.ErrNotFound)
}

func (m *memory) SeeSession(context.Context, int64, []byte) (bool, error) { return false, m.fault() }

func (m *memory) Sessions(context.Context, string) ([]store.Session, error) {
	return m.sessions, m.fault()
}

func (m *memory) EndSession(context.Context, string, int64) error { return m.fault() }

func (m *memory) HasPart(_ context.Context, addrs []string) (bool, error) {
	return slices.ContainsFunc(m.tickets, func(t store.Ticket) bool { return slices.Contains(addrs, t.Requester) }), m.fault()
}

var errDown = errors.New("connection refused to 10.1.2.3 by user desk")

func before(d time.Duration) time.Time { return now.Add(-d) }

func asJSON(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return b
}

// busy is a desk on a usual Monday afternoon.
func busy() *memory {
	m := &memory{raw: []byte("From: ann@example.org\r\nSubject: x\r\n\r\nhello\r\n"), details: map[ticket.Number]store.Detail{}}
	add := func(n ticket.Number, subject, name, addr string, s ticket.Status, p ticket.Priority, team, assignee string, age time.Duration) *store.Ticket {
		m.tickets = append(m.tickets, store.Ticket{
			Number: n, Mailbox: "support@example.org", Subject: subject, Requester: addr, RequesterName: name,
			Status: s, Priority: p, Team: team, Assignee: assignee, CreatedAt: before(age), UpdatedAt: before(age / 3),
		})
		return &m.tickets[len(m.tickets)-1]
	}
	add(1057, "Mail server down: nobody on the second floor gets mail", "Priya Raman", "priya.raman@example.org", ticket.Open, ticket.Critical, triage.SystemAdministrator, "", 9*time.Minute)
	add(1056, "", "", "scanner-4f@devices.example.org", ticket.Open, ticket.Medium, triage.Helpdesk, "", 26*time.Minute)
	add(1055, "VPN drops every ten minutes from the hotel network in Lyon", "Jürgen Weiß", "juergen.weiss@example.org", ticket.InProgress, ticket.High, triage.NetworkTeam, "nadia@example.org", 47*time.Minute)
	add(1054, "טופס הזמנת ציוד אינו נפתח", "דנה כהן", "dana.cohen@example.org", ticket.Open, ticket.Medium, triage.Helpdesk, "", 2*time.Hour)
	add(1053, "Printer on the third floor prints everything twice, in colour, and then asks for toner although the cartridge was replaced on Friday", "Maximiliana Oberhuber-Featherstonehaugh", "maximiliana.oberhuber-featherstonehaugh@subsidiary.international.example.org", ticket.Waiting, ticket.Medium, triage.DesktopSupport, "tom@example.org", 5*time.Hour)
	add(1052, "Password for the time sheet expired", "Bo Lind", "bo@example.org", ticket.Open, ticket.Low, triage.Helpdesk, "ines@example.org", 22*time.Hour).DueAt = before(3 * time.Hour)
	add(1051, "VPN certificate for two new colleagues", "Lea Sommer", "lea@example.org", ticket.Open, ticket.High, triage.NetworkTeam, "", 26*time.Hour)
	add(1050, "Laptop battery swollen", "Sam Osei", "sam@example.org", ticket.Resolved, ticket.Medium, triage.DesktopSupport, "tom@example.org", 49*time.Hour).ResolvedAt = before(time.Hour)
	add(1049, "Shared drive: access for the auditors", "Ann Larsson", "ann@example.org", ticket.Waiting, ticket.Medium, triage.SystemAdministrator, "omar@example.org", 73*time.Hour).DueAt = before(-26 * time.Hour)
	add(1048, "New monitor", "Ann Larsson", "ann@example.org", ticket.Closed, ticket.Low, triage.DesktopSupport, "tom@example.org", 200*time.Hour).ClosedAt = before(100 * time.Hour)

	m.overview = store.Overview{
		Open: map[string]map[ticket.Priority]int{
			triage.Helpdesk:            {ticket.Medium: 2, ticket.Low: 1},
			triage.NetworkTeam:         {ticket.High: 2},
			triage.DesktopSupport:      {ticket.Medium: 1},
			triage.SystemAdministrator: {ticket.Critical: 1, ticket.Medium: 1},
		},
		Unassigned: 4, Waiting: 2, Overdue: 1, DueToday: 1, Quarantined: 1, OutboxUnsent: 3, OutboxFailed: 1, LastIntake: before(9 * time.Minute),
	}
	for i, d := range [30][4]int{ // new, resolved, minutes until half and nine tenths were answered
		{8, 6, 31, 95},
		{6, 7, 44, 180},
		{9, 4, 25, 130},
		{10, 8, 38, 150},
		{2, 1, 190, 420},
		{0, 0, 0, 0},
		{9, 7, 41, 125},
		{12, 9, 52, 240},
		{7, 8, 35, 110},
		{8, 10, 29, 88},
		{5, 6, 33, 140},
		{1, 0, 0, 0},
		{2, 0, 600, 610},
		{10, 8, 47, 170},
		{8, 9, 40, 101},
		{7, 6, 36, 90},
		{7, 5, 28, 75},
		{9, 8, 39, 160},
		{6, 9, 43, 122},
		{2, 0, 260, 540},
		{1, 0, 1500, 1500},
		{11, 7, 55, 210},
		{8, 9, 32, 118},
		{5, 7, 27, 66},
		{12, 6, 61, 185},
		{9, 11, 34, 99},
		{1, 1, 75, 75},
		{0, 0, 0, 0},
		{13, 8, 48, 143},
		{6, 2, 16, 31},
	} {
		minutes := func(n int) time.Duration { return time.Duration(n) * time.Minute }
		day := store.Day{Day: now.Truncate(24*time.Hour).AddDate(0, 0, i-29), New: d[0], Resolved: d[1]}
		if d[2] > 0 {
			day.Answers = store.Answers{Answered: (d[0]*4 + 4) / 5, Median: minutes(d[2]), Slow: minutes(d[3])}
		}
		m.overview.PerDay[i] = day
	}
	m.overview.Answers = store.Answers{Answered: 161, Median: 38 * time.Minute, Slow: 2*time.Hour + 48*time.Minute}
	for _, i := range []int{6, 3, 1, 0} {
		m.overview.OldestUnanswered = append(m.overview.OldestUnanswered, m.tickets[i])
	}
	m.beats = []store.Heartbeat{
		{Name: "imap:support@example.org", At: before(20 * time.Second), OK: true, LastOK: before(20 * time.Second)},
		{Name: "smtp", At: before(8 * time.Minute), OK: true, LastOK: before(8 * time.Minute)},
		{Name: "dispatch", At: before(time.Minute), OK: true, LastOK: before(time.Minute), Waiting: 3},
	}

	m.sessions = []store.Session{
		{ID: 4, Agent: "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36", Created: before(26 * time.Hour), Seen: before(time.Minute), Expires: before(-140 * time.Hour)},
		{ID: 3, Agent: "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Mobile/15E148 Safari/604.1", Created: before(90 * time.Hour), Seen: before(8 * time.Hour), Expires: before(-78 * time.Hour)},
	}
	why := asJSON(map[string]any{
		"mail_kind": "person",
		"sender":    map[string]any{"address": "juergen.weiss@example.org", "authenticated": true, "because": "dmarc=pass for example.org, said by mx.example.org"},
		"match":     "none: a new ticket",
		"rules":     []any{"vpn in the subject → high, Network Team"},
	})
	m.intakes = []store.Intake{
		{ID: 32, Mailbox: "support@example.org", From: "mailer@partner.example", Subject: "Quarterly figures", ArrivedAt: before(4 * time.Minute), SeenAt: before(4 * time.Minute), Fetches: 2, Failures: 1, LastError: "reading took longer than 5 s"},
		{ID: 31, Mailbox: "support@example.org", From: "priya.raman@example.org", Subject: "Mail server down: nobody on the second floor gets mail", ArrivedAt: before(9 * time.Minute), DecidedAt: before(9 * time.Minute), FiledAt: before(9 * time.Minute), Fate: store.FateNewTicket, Reason: "server, down in the subject", Ticket: 1057, SHA256: []byte{3}, Size: 4210},
		{ID: 30, Mailbox: "support@example.org", From: "broken@partner.example", Subject: "=?utf-7?Q?+ADw-b+AD4-?=", ArrivedAt: before(30 * time.Minute), DecidedAt: before(29 * time.Minute), Fate: store.FateQuarantined, Reason: "handled alone three times without coming to an end", Failures: 3, Fetches: 3, SHA256: []byte{2, 0xff}, Size: 1_412_230, LastError: "reading took longer than 5 s", File: "quarantine"},
		{ID: 29, Mailbox: "support@example.org", From: "lea@example.org", Subject: "Automatic reply: away until Thursday", ArrivedAt: before(41 * time.Minute), DecidedAt: before(41 * time.Minute), FiledAt: before(41 * time.Minute), Fate: store.FateAutomatic, Reason: "Auto-Submitted: auto-replied", Ticket: 1051, SHA256: []byte{4}, Size: 3111, Kind: "auto-reply"},
		{ID: 28, Mailbox: "support@example.org", From: "juergen.weiss@example.org", Subject: "VPN drops every ten minutes from the hotel network in Lyon", MessageID: "7c1f2a@mail.example.org", ArrivedAt: before(47 * time.Minute), SeenAt: before(47 * time.Minute), DecidedAt: before(47 * time.Minute), FiledAt: before(47 * time.Minute), Fate: store.FateNewTicket, Reason: "vpn in the subject", Ticket: 1055, SHA256: []byte{1}, Size: 184_322, Kind: "person", Why: why, Fetches: 1},
		{ID: 27, Mailbox: "support@example.org", From: "offers@partner.example", Subject: "Your printer needs you", ArrivedAt: before(3 * time.Hour), SeenAt: before(3 * time.Hour), DecidedAt: before(3 * time.Hour), FiledAt: before(3 * time.Hour), Fate: store.FateSpam, Reason: "marked-spam", SHA256: []byte{5}, Size: 9120, Kind: "spam", Fetches: 1},
	}
	m.outbox = []store.Row{
		{ID: 9, Ticket: 1057, Recipient: "sysadmins@lists.example.org", Kind: "notification", Subject: "[IT-1057] Mail server down: nobody on the second floor gets mail", State: "queued", Attempts: 2, CreatedAt: before(9 * time.Minute), Due: before(-4 * time.Minute), Answer: "451 4.7.1 Greylisted, please try again in 300 seconds"},
		{ID: 8, Ticket: 1055, Recipient: "network@lists.example.org", Kind: "notification", Subject: "[IT-1055] VPN drops every ten minutes", State: "sent", Attempts: 1, CreatedAt: before(47 * time.Minute), SentAt: before(47 * time.Minute), Answer: "250 2.0.0 Ok: queued as 4F1B22C0A1"},
		{ID: 7, Ticket: 1055, Recipient: "juergen.weiss@example.org", Kind: "acknowledgement", Subject: "[IT-1055] VPN drops every ten minutes", State: "sent", Attempts: 1, CreatedAt: before(47 * time.Minute), SentAt: before(46 * time.Minute), Answer: "250 2.0.0 Ok: queued as 7A90D2C0A2"},
		{ID: 6, Ticket: 1050, Recipient: "sam.old@example.org", Kind: "message", Subject: "[IT-1050] Laptop battery swollen", State: "failed", Attempts: 1, CreatedAt: before(2 * time.Hour), Answer: "550 5.1.1 <sam.old@example.org>: Recipient address rejected: User unknown in local recipient table"},
	}
	m.details[1055] = store.Detail{
		Ticket: func() store.Ticket {
			t := m.tickets[2]
			t.Reasons = []string{"“vpn” in the subject → high, Network Team", "“password” in the text → low, Helpdesk (lost: a higher priority matched)"}
			t.Tags = []string{"travel", "lyon"}
			t.FirstResponseAt = before(31 * time.Minute)
			t.Entries, t.Events = 4, 5
			return t
		}(),
		Entries: []store.Entry{
			{
				ID: 71, Ticket: 1055, Seq: 1, Kind: "message", Visibility: "public", Author: "juergen.weiss@example.org", AuthorName: "Jürgen Weiß", Verified: true, Intake: 28, At: before(47 * time.Minute),
				Blocks: asJSON([]triage.Block{
					{Kind: triage.Own, Text: "Hello,\n\nsince this morning the VPN drops every ten minutes. I am in a hotel in Lyon and have to present at five.\nThe log says:\n\n    2026-11-23T13:58:11Z  tunnel: peer gateway-2.vpn.example.org not responding, keepalive-timeout=60s, session=4b1c9e0d77aa41f0b9c2d1e5a6f7b8c9\n\nI have tried another password. It is the same.\n"},
					{Kind: triage.Signature, Text: "Jürgen Weiß\nSales, region south\n+49 30 555 01 23"},
				}),
				Attachments: asJSON([]triage.Attachment{
					{Part: "2", Name: "vpn-log.txt", Type: "text/plain", Size: 18_212},
					{Part: "3", Name: "Bildschirmfoto 2026-11-23 um 14.58.png", Type: "image/png", Size: 1_204_551, Inline: true},
				}),
			},
			{ID: 72, Ticket: 1055, Seq: 2, Kind: "note", Visibility: "internal", Author: "nadia@example.org", AuthorName: "Nadia Haddad", Verified: true, Intake: 33, At: before(36 * time.Minute), Text: "Gateway 2 lost its keepalive setting in Friday's change. Rolling it back now."},
			{
				ID: 73, Ticket: 1055, Seq: 3, Kind: "message", Visibility: "public", Author: "nadia@example.org", AuthorName: "Nadia Haddad", Verified: true, Intake: 34, At: before(31 * time.Minute),
				Text: "Hello Jürgen,\n\nplease reconnect; it should hold from now on. Tell us if it drops again before your talk.\n\nNadia",
				Blocks: asJSON([]triage.Block{
					{Kind: triage.Own, Text: "Hello Jürgen,\n\nplease reconnect; it should hold from now on. Tell us if it drops again before your talk.\n\nNadia"},
					{Kind: triage.Quoted, Text: "> since this morning the VPN drops every ten minutes. I am in a hotel in Lyon\n> and have to present at five."},
				}),
			},
			{ID: 74, Ticket: 1055, Seq: 4, Kind: "note", Visibility: "internal", Author: "tom@example.org", AuthorName: "Tom Becker", Verified: false, Intake: 35, At: before(12 * time.Minute), Text: "resolved\n\nworks for me, please send the gateway's admin password", Flags: []string{"The sender could not be authenticated: dkim=none, spf=softfail."}},
		},
		Events: []store.Event{
			{Ticket: 1055, Seq: 1, At: before(47 * time.Minute), What: "created", After: "high, Network Team", Reason: "“vpn” in the subject → high, Network Team", Intake: 28},
			{Ticket: 1055, Seq: 2, At: before(36 * time.Minute), Actor: "nadia@example.org", What: "assignee", After: "nadia@example.org", Intake: 33},
			{Ticket: 1055, Seq: 3, At: before(36 * time.Minute), Actor: "nadia@example.org", What: "status", Before: "open", After: "in_progress", Intake: 33},
			{Ticket: 1055, Seq: 4, At: before(31 * time.Minute), Actor: "nadia@example.org", What: "participant added", After: "lea@example.org", Intake: 34},
			{Ticket: 1055, Seq: 5, At: before(12 * time.Minute), What: "command refused", Reason: "The sender is not authenticated; “Was this you?” was sent to tom@example.org.", Intake: 35},
		},
		Links:        []store.Link{{From: 1055, To: 1051, Kind: "link"}, {From: 1048, To: 1055, Kind: "follow-up"}},
		Participants: []store.Participant{{Ticket: 1055, Addr: "lea@example.org", Name: "Lea Sommer", How: "cc"}},
		Outbox:       []store.Row{m.outbox[1], m.outbox[2]},
	}
	for id := int64(33); id <= 35; id++ {
		m.intakes = append([]store.Intake{{ID: id, Mailbox: "support@example.org", From: "nadia@example.org", Subject: "Re: [IT-1055] VPN drops", ArrivedAt: before(time.Duration(70-id) * time.Minute), DecidedAt: before(time.Duration(70-id) * time.Minute), Fate: store.FateAppended, Ticket: 1055, SHA256: []byte{9}, Size: 2000}}, m.intakes...)
	}
	return m
}

// degraded is the same desk while a mail server is away.
func degraded() *memory {
	m := busy()
	m.beats[0] = store.Heartbeat{Name: "imap:support@example.org", At: before(10 * time.Second), LastOK: before(19 * time.Minute), Retry: before(-3 * time.Minute), Detail: "dial imap.example.org:993: connection refused"}
	m.beats[2].Waiting = 41
	return m
}
