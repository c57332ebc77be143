package page

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"deskd/mailin"
	"deskd/store"
	"deskd/store/storetest"
	"deskd/triage"
	"deskd/triage/ticket"
)

const rawMail = "From: =?utf-8?q?J=C3=BCrgen?= <juergen@example.org>\r\nTo: support@example.org\r\nSubject: VPN drops\r\n" +
	"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n" +
	"--b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nThe VPN drops.\r\n" +
	"--b\r\nContent-Type: text/html; name=\"page.html\"\r\nContent-Disposition: attachment; filename=\"page.html\"\r\n\r\n<script>alert(1)</script>\r\n--b--\r\n"

// seed fills a real store the way the desk does: mails decided on in one
// transaction with what follows from them.
func seed(t *testing.T, url string, tickets int) *store.Store {
	t.Helper()
	return seedAt(t, url, tickets, func() time.Time { return now })
}

func seedAt(t *testing.T, url string, tickets int, clock func() time.Time) *store.Store {
	t.Helper()
	ctx := t.Context()
	s, err := store.Open(ctx, url, store.Options{Key: bytes.Repeat([]byte("k"), 32), Owner: "desk", Now: clock})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	var mails []store.MailboxUID
	for uid := range uint32(3) {
		mails = append(mails, store.MailboxUID{Mailbox: "support@example.org", Validity: 1, UID: uid + 1})
	}
	intakes, err := s.BeginHandling(ctx, mails, false, false)
	must(err)
	sum := sha256.Sum256([]byte(rawMail))
	must(s.Write(ctx, func(tx *store.Tx) error {
		if err := tx.KeepRaw(sum[:], []byte(rawMail)); err != nil {
			return err
		}
		first := ticket.Number(0)
		for i := range tickets {
			tk, err := tx.NewTicket(store.Ticket{
				Mailbox: "support@example.org", Subject: fmt.Sprintf("VPN drops (%d)", i), Requester: "juergen@example.org", RequesterName: "Jürgen",
				Status: ticket.Open, Priority: ticket.Priorities()[i%4], Team: triage.NetworkTeam, Reasons: []string{"“vpn” in the subject → high, Network Team"},
			})
			if err != nil {
				return err
			}
			if i > 0 {
				continue
			}
			first = tk.Number
		}
		in := intakes[0]
		in.Fate, in.Reason, in.Ticket, in.SHA256, in.From, in.Subject = store.FateNewTicket, "vpn in the subject", first, sum[:], "juergen@example.org", "VPN drops"
		in.File, in.Kind, in.Why, in.Size = "done", "person", []byte(`{"match":"none","sender":{"authenticated":true}}`), int64(len(rawMail))
		broken := intakes[1]
		broken.Fate, broken.Reason, broken.File, broken.Subject = store.FateQuarantined, "could not be read", "quarantine", "?"
		for _, err := range []error{
			tx.Decide(in), tx.Decide(broken),
			tx.AddEntry(store.Entry{
				Ticket: first, Kind: "message", Visibility: "public", Author: "juergen@example.org", AuthorName: "Jürgen", Verified: true, Text: "The VPN drops.",
				Intake: in.ID, Blocks: asJSON([]triage.Block{{Kind: triage.Own, Text: "The VPN drops."}}),
				Attachments: asJSON([]triage.Attachment{{Part: "2", Name: "page.html", Type: "text/html", Size: 25}}),
			}),
			tx.AddEvent(store.Event{Ticket: first, What: "created", After: "open", Intake: in.ID}),
			tx.AddParticipant(first, "lea@example.org", "Lea", "cc"),
			tx.Link(first+1, first, "follow-up"),
			tx.Enqueue(store.Outgoing{Key: "intake:1/acknowledge", Ticket: first, Recipients: []string{"juergen@example.org"}, From: "support@example.org", Kind: "acknowledgement", Body: []byte("x"), Subject: "[IT-1001] VPN drops"}),
		} {
			if err != nil {
				return err
			}
		}
		return nil
	}))
	must(s.Beat(ctx, store.Heartbeat{Name: "imap:support@example.org", At: now, OK: true}))
	return s
}

func TestPagesShowWhatTheStoreHolds(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		s := seed(t, url, 120)
		o := options(s)
		o.Attachment = func(raw []byte, part string) ([]byte, triage.Attachment, error) {
			return mailin.Attachment(raw, mailin.Limits{}, part)
		}
		h := open(t, o)
		for target, want := range map[string][]string{
			"/":                                 {`>120</span>`, "/queue/network-team?priority=high", "support@example.org"},
			"/queue/network-team":               {"IT-1120", "IT-1071", "after=1071"},
			"/queue/network-team?after=1071":    {"IT-1070", "Back to the newest"},
			"/queue/network-team?priority=high": {"IT-1118"},
			"/queue/helpdesk":                   {"All done"},
			"/queue/all?assignee=none":          {"IT-1120", "Unassigned"},
			"/ticket/1001":                      {"The VPN drops.", "page.html", "lea@example.org", "IT-1002", "“vpn” in the subject", "Created", "Authenticated"},
			"/ticket/it-1001":                   {"The VPN drops."},
			"/mail":                             {"New ticket", "Quarantined", "Being read"},
			"/mail?fate=quarantined":            {"could not be read"},
			"/mail?fate=undone":                 {"Being read"},
			"/mail/1":                           {"vpn in the subject", "Authenticated"},
			"/mail/outbox":                      {"Acknowledgement", "juergen@example.org", "Waiting"},
			"/raw/1":                            {rawMail},
			"/attachment/1/2":                   {"<script>alert(1)</script>"},
			"/healthz":                          {"up"},
		} {
			w := get(t, h, target)
			if w.Code != http.StatusOK {
				t.Errorf("%s: got %d", target, w.Code)
			}
			for _, s := range want {
				if !strings.Contains(w.Body.String(), s) {
					t.Errorf("%s: lacks %q", target, s)
				}
			}
		}
		for _, target := range []string{"/ticket/999", "/ticket/2000", "/mail/99", "/raw/99", "/raw/3", "/attachment/99/1", "/attachment/1/9"} {
			if w := get(t, h, target); w.Code != http.StatusNotFound {
				t.Errorf("%s: got %d, want 404", target, w.Code)
			}
		}
	})
}

// TestPagingMeetsEveryTicketOnce walks queues from page to page, in every order.
func TestPagingMeetsEveryTicketOnce(t *testing.T) {
	t.Parallel()
	s := seed(t, storetest.SQLite(t), 230)
	h := open(t, options(s))
	for target, want := range map[string]int{
		"/queue/network-team?": 230, "/queue/network-team?priority=low": 57, "/queue/all?assignee=none&priority=critical": 58,
		"/queue/all?status=open,closed": 230, "/queue/all?requester=juergen%40example.org": 230, "/queue/all?due=overdue": 0,
	} {
		for _, order := range store.Orders() {
			seen, first := map[string]bool{}, target+"&sort="+string(order)
			for at := first; at != ""; {
				w := get(t, h, at)
				doc := document(t, w)
				if w.Code != http.StatusOK || at != first && !strings.Contains(w.Body.String(), "Back to the") {
					t.Errorf("%s: got %d", at, w.Code)
				}
				at = ""
				for _, n := range elements(doc) {
					href, _ := attr(n, "href")
					if rel, _ := attr(n, "rel"); rel == "next" {
						at = href
					}
					if strings.HasPrefix(href, "/ticket/") {
						if seen[href] {
							t.Errorf("%s: %s came twice", first, href)
						}
						seen[href] = true
					}
				}
			}
			if len(seen) != want {
				t.Errorf("%s: got %d tickets, want %d", first, len(seen), want)
			}
		}
	}
}

// otherSeal is a mark of another ticket.
func otherSeal(t *testing.T, s *store.Store) string {
	t.Helper()
	p, err := newPage(options(s))
	if err != nil {
		t.Fatal(err)
	}
	return p.sealMark(store.Mark{Entry: 100, Event: 100}, 1002, viewer{})
}

// TestALongTicketIsReadInParts goes from the newest part of a ticket to its
// first one along the page's own links.
func TestALongTicketIsReadInParts(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		s := seed(t, url, 2)
		err := s.Write(t.Context(), func(tx *store.Tx) error {
			for i := range 450 {
				visibility := "public"
				if i%2 == 1 {
					visibility = "internal"
				}
				err := tx.AddEntry(store.Entry{Ticket: 1001, Kind: "message", Visibility: visibility, Author: "nadia@example.org", Text: fmt.Sprint("word ", i), At: now.Add(time.Duration(i) * time.Minute)})
				if err != nil {
					return err
				}
				mail := store.Outgoing{Key: fmt.Sprint("mail ", i), Ticket: 1001, Recipients: []string{"ann@example.org"}, From: "support@example.org", Kind: "notification", Body: []byte("x")}
				if err := tx.Enqueue(mail); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		h := open(t, options(s))
		if page := get(t, h, "/ticket/1001").Body.String(); strings.Count(page, "ann@example.org</bdi>") != 100 || !strings.Contains(page, "Only the newest of them") {
			t.Errorf("got %d mails that were sent", strings.Count(page, "ann@example.org</bdi>"))
		}
		for who, want := range map[string]int{admin: 451, "juergen@example.org": 226} {
			seen, parts := map[string]bool{}, 0
			for at := "/ticket/1001"; at != ""; parts++ {
				w := answer(h, asked(http.MethodGet, at, who, nil))
				if w.Code != http.StatusOK || parts > 0 != strings.Contains(w.Body.String(), "To the newest entries") {
					t.Errorf("%s, %s: got %d", who, at, w.Code)
				}
				if inside := strings.Contains(w.Body.String(), "The mail that opened it"); inside != (who == admin) {
					t.Errorf("%s, %s: tells why: %v", who, at, inside)
				}
				at = ""
				for _, n := range elements(document(t, w)) {
					if class, _ := attr(n, "class"); n.Data == "li" && strings.HasPrefix(class, "entry") {
						id, _ := attr(n, "id")
						if strings.HasPrefix(id, "entry-") != (who == admin) {
							t.Errorf("%s: an entry is numbered %q", who, id)
						}
						words := strings.Join(said(n), " ")
						if seen[words] {
							t.Errorf("%s: %s came twice", who, words)
						}
						seen[words] = true
					}
					if rel, _ := attr(n, "rel"); rel == "prev" {
						at, _ = attr(n, "href")
					}
				}
			}
			if in := map[string]int{admin: 3}[who]; len(seen) != want || parts != cmp.Or(in, 2) {
				t.Errorf("%s: got %d entries in %d parts, want %d", who, len(seen), parts, want)
			}
		}
		for _, v := range []string{"120-340", "AAAA", "5", otherSeal(t, s)} {
			if w := answer(h, asked(http.MethodGet, "/ticket/1001?earlier="+v, "juergen@example.org", nil)); w.Code != http.StatusNotFound {
				t.Errorf("a requester with earlier=%s: got %d, want 404", v, w.Code)
			}
		}
		for _, v := range []string{"x", "1", "1-", "-1", "0-1", "1-0", "1-2-3", "+1-1", "1-99999999999999999999", "9223372036854775807-1", "1%27-1"} {
			if w := get(t, h, "/ticket/1001?earlier="+v); w.Code != http.StatusNotFound {
				t.Errorf("earlier=%s: got %d, want 404", v, w.Code)
			}
		}
	})
}

func TestMailButtonsAreFilledIn(t *testing.T) {
	t.Parallel()
	tk := store.Ticket{Number: 1042, Mailbox: "support+desk@example.org", Subject: "50% off? & more\r\nBcc: eve@evil.example"}
	p, err := newPage(options(busy()))
	if err != nil {
		t.Fatal(err)
	}
	for status, want := range map[ticket.Status]string{
		ticket.Open:       "Reply to requester, Take, In progress, Waiting, Resolve, Close, Add a work note",
		ticket.InProgress: "Reply to requester, Take, Waiting, Resolve, Close, Add a work note",
		ticket.Waiting:    "Reply to requester, Take, In progress, Resolve, Close, Add a work note",
		ticket.Resolved:   "Reply to requester, Close, Reopen, Add a work note",
		ticket.Closed:     "Reply to requester, Reopen, Add a work note",
	} {
		tk.Status = status
		var labels []string
		for _, a := range p.actions(tk, viewer{Addr: admin, role: administrator}) {
			labels = append(labels, a.Label)
			u, err := url.Parse(string(a.Href))
			if err != nil {
				t.Fatal(err)
			}
			if u.Scheme != "mailto" || u.Opaque != "support%2Bdesk@example.org" {
				t.Errorf("%s: goes to %q", a.Label, u.Opaque)
			}
			q := u.Query()
			if got, want := q.Get("subject"), "[IT-1042] 50% off? & more Bcc: eve@evil.example"; got != want {
				t.Errorf("%s: subject: got %q, want %q", a.Label, got, want)
			}
			if a.Label == "In progress" && q.Get("body") != "in progress\r\n" {
				t.Errorf("%s: body: got %q", a.Label, q.Get("body"))
			}
			if strings.Contains(string(a.Href), "+") {
				t.Errorf("%s: a plus would arrive as a plus: %s", a.Label, a.Href)
			}
		}
		if got := strings.Join(labels, ", "); got != want {
			t.Errorf("%s: got %s, want %s", status, got, want)
		}
	}
}

func TestMineIsWhatIsAssignedOrOnesOwn(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		s := seed(t, url, 60)
		if err := s.Write(t.Context(), func(tx *store.Tx) error {
			list, err := tx.Tickets([]ticket.Number{1007, 1008, 1009})
			if err != nil {
				return err
			}
			list[1007].Assignee, list[1008].Assignee = "nadia@example.org", "nadia@example.org"
			list[1008].Status, list[1008].ResolvedAt = ticket.Resolved, now
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		h := open(t, options(s))
		for _, tt := range []struct {
			who, target string
			want        []string
			not         []string
		}{
			{"nadia@example.org", "/mine", []string{"IT-1007"}, []string{"IT-1008", "IT-1009", "From juergen"}},
			{"nadia@example.org", "/mine?status=any", []string{"IT-1007", "IT-1008"}, []string{"IT-1009"}},
			{"nadia@example.org", "/mine?status=any&assignee=other@example.org&requester=x", []string{"IT-1007", "IT-1008"}, []string{"IT-1009"}},
			{"lea@example.org", "/", []string{"IT-1001"}, []string{"IT-1002", "IT-1007"}},
			{"lea@example.org", "/?requester=juergen@example.org&status=any", []string{"IT-1001"}, []string{"IT-1002", "IT-1007"}},
			{"juergen@example.org", "/", []string{"IT-1060", "IT-1011", "after=1011"}, []string{"IT-1008", "IT-1001"}},
			{"lea@example.org", "/?format=csv", []string{"IT-1001"}, []string{"IT-1002"}},
		} {
			w := answer(h, asked(http.MethodGet, tt.target, tt.who, nil))
			for _, s := range tt.want {
				if !strings.Contains(w.Body.String(), s) {
					t.Errorf("%s of %s: %d, lacks %s", tt.target, tt.who, w.Code, s)
				}
			}
			for _, s := range tt.not {
				if strings.Contains(w.Body.String(), s) {
					t.Errorf("%s of %s: has %s", tt.target, tt.who, s)
				}
			}
		}
	})
}
