package page

import (
	"cmp"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"deskd/store"
	"deskd/triage"
	"deskd/triage/ticket"
)

// mostShown is how much of one text a page shows, in bytes. The rest is in
// the raw source.
const mostShown = 64 << 10

// ticketPage is what the template of a ticket gets.
type ticketPage struct {
	ticketRow
	Inside     bool // a technician looks at it
	Mailbox    string
	QueueHref  string
	OthersHref string // the requester's tickets
	Tags       []string
	Responded  stamp
	Resolved   stamp
	Closed     stamp
	Actions    []action
	Timeline   []moment
	Earlier    string // address of the part of the timeline before this one
	Newest     string // address of the newest part, when this is an earlier one

	Participants []person
	Returned     []returned
	Links        []link
	Outbox       []outboxRow
	MoreOutbox   bool
	Reasons      []string
	Why          []reason
	WhyHref      string // the page of the mail that opened the ticket
}

// action is a mail that changes the ticket, ready to be sent.
type action struct {
	Label string
	Href  template.URL // mailto:, made by mailto alone
	Main  bool
}

type person struct{ Address, Name, How string }

// returned is an address that mail did not reach.
type returned struct {
	Address, Why string
	At           stamp
}

type link struct {
	Number     ticket.Number
	Href, Kind string
}

// moment is one thing in a ticket's timeline: a message, a work note or an
// event.
type moment struct {
	Event      bool
	Note       bool // seen by technicians only
	Unverified bool
	Requester  bool // the requester wrote it
	Anchor     string
	At         stamp
	Who        string // name, else address; empty: the desk itself
	Address    string
	Texts      []passage
	Files      []file
	Flags      []string
	MailHref   string // the fate of the mail that it came from
	RawHref    string

	What, Before, After, Reason string // of an event
	Priority                    string // stands before After
	Ours                        bool   // Before and After are words of ours

	at    time.Time
	order int
}

// passage is a run of text; Fold says under which heading it is folded away,
// and is empty for what the author wrote.
type passage struct {
	Fold string
	Text string
	Cut  bool
}

type file struct {
	Name, Type, Note string
	Size             int64
	Href             string
}

func (p *page) ticket(r *http.Request, now time.Time) (made, error) {
	n, ok := p.ticketNumber(r.PathValue("number"))
	if !ok {
		return made{}, errNotFound
	}
	me := viewerOf(r)
	before, ok := p.openMark(r.URL.Query().Get("earlier"), n, me)
	if !ok {
		return made{}, errNotFound
	}
	d, err := p.source.ShowPart(r.Context(), n, before, !me.Technician())
	if err != nil {
		return made{}, fmt.Errorf("read ticket %s: %w", n, err)
	}
	if !me.Technician() {
		if d, ok = p.theirs(d, me); !ok {
			return made{}, errNotFound
		}
	}
	t := d.Ticket
	v := ticketPage{
		ticketRow: p.ticketRow(t, now), Mailbox: t.Mailbox, QueueHref: p.queueOf(t.Team), Inside: me.Technician(),
		OthersHref: "/queue/" + everything + "?requester=" + url.QueryEscape(t.Requester) + "&status=" + anyStatus,
		Tags:       t.Tags, Responded: p.stamp(t.FirstResponseAt, now),
		Resolved: p.stamp(t.ResolvedAt, now), Closed: p.stamp(t.ClosedAt, now),
		Actions: p.actions(t, me), Timeline: p.timeline(d, now),
		Reasons: t.Reasons, MoreOutbox: d.MoreOutbox,
	}
	self := "/ticket/" + n.String()
	if before != (store.Mark{}) {
		v.Newest = self
	}
	if d.Earlier != (store.Mark{}) {
		v.Earlier = with(self, "earlier", p.sealMark(d.Earlier, n, me))
	}
	if !v.Inside {
		for i := range v.Timeline { // a technician's mail may hold work notes too
			v.Timeline[i].MailHref, v.Timeline[i].RawHref = "", ""
			// Nor is to be told by gaps in its numbers what there is besides.
			v.Timeline[i].Anchor = fmt.Sprintf("part-%d", i+1)
		}
	}
	for _, a := range d.Participants {
		v.Participants = append(v.Participants, person{address(a.Addr), a.Name, words(a.How)})
	}
	for _, a := range d.Returned {
		v.Returned = append(v.Returned, returned{address(a.Addr), a.Why, p.stamp(a.At, now)})
	}
	for _, l := range d.Links {
		other := l.To
		if other == n {
			other = l.From
		}
		v.Links = append(v.Links, link{other, "/ticket/" + other.String(), words(l.Kind)})
	}
	for _, row := range d.Outbox {
		sent := p.outboxRow(row, now)
		sent.TicketHref = "" // this page
		v.Outbox = append(v.Outbox, sent)
	}
	if d.FirstIntake != 0 && v.Inside {
		in, err := p.source.IntakeByID(r.Context(), d.FirstIntake)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return made{}, fmt.Errorf("read the mail that opened ticket %s: %w", n, err)
		}
		if err == nil {
			v.Why, v.WhyHref = explain(in.Why), fmt.Sprintf("/mail/%d", in.ID)
		}
	}
	section := "queues"
	if !v.Inside {
		section = "mine"
	}
	return made{template: "ticket", title: p.tag(n) + " " + oneLine(t.Subject), section: section, main: v}, nil
}

// readMark reads where in a ticket's timeline a part ends, "120-340": the first
// entry and event that are not in it. Nothing stands for the newest part.
func readMark(s string) (store.Mark, bool) {
	if s == "" {
		return store.Mark{}, true
	}
	entry, event, _ := strings.Cut(s, "-")
	a, ok := rowID(entry)
	b, also := rowID(event)
	return store.Mark{Entry: int(a), Event: int(b)}, ok && also && a <= math.MaxInt32 && b <= math.MaxInt32
}

// sealMark is how an address of the page names a mark. To requesters it tells
// nothing: from its numbers could be seen how much is hidden from them.
func (p *page) sealMark(m store.Mark, n ticket.Number, v viewer) string {
	s := fmt.Sprintf("%d-%d", m.Entry, m.Event)
	if v.Technician() {
		return s
	}
	s = fmt.Sprintf("%-21s", s) // as long as any
	return base64.RawURLEncoding.EncodeToString(p.seal.Seal(nil, nil, []byte(s), []byte(n.String())))
}

// openMark reads what sealMark gave; no text is the zero mark.
func (p *page) openMark(s string, n ticket.Number, v viewer) (store.Mark, bool) {
	if s == "" || v.Technician() {
		return readMark(s)
	}
	sealed, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil {
		return store.Mark{}, false
	}
	opened, err := p.seal.Open(nil, nil, sealed, []byte(n.String()))
	if err != nil {
		return store.Mark{}, false
	}
	return readMark(strings.TrimRight(string(opened), " "))
}

// sealing is a cipher under a key of its own, made from the page's.
func sealing(key []byte) (cipher.AEAD, error) {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte("page marks"))
	block, err := aes.NewCipher(mac.Sum(nil))
	if err != nil {
		return nil, fmt.Errorf("make the page's cipher: %w", err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, fmt.Errorf("make the page's cipher: %w", err)
	}
	return aead, nil
}

// hasPart says whether somebody has opened a ticket or takes part in it, under
// any of the own addresses.
func (p *page) hasPart(t store.Ticket, participants []store.Participant, v viewer) bool {
	for _, a := range p.people.Addresses(v.Addr) {
		if strings.EqualFold(a, t.Requester) || slices.ContainsFunc(participants, func(x store.Participant) bool { return strings.EqualFold(a, x.Addr) }) {
			return true
		}
	}
	return false
}

// theirs takes out of a ticket all that is not for its requester and the
// others who take part: what technicians say among themselves, why the desk did
// what it did, what was sent to whom. False means that nobody of them asks.
func (p *page) theirs(d store.Detail, v viewer) (store.Detail, bool) {
	if !p.hasPart(d.Ticket, d.Participants, v) {
		return store.Detail{}, false
	}
	out := store.Detail{Ticket: d.Ticket, Participants: d.Participants, Earlier: d.Earlier}
	out.Ticket.Tags, out.Ticket.Reasons = nil, nil
	me := p.people.Canonical(v.Addr)
	for _, e := range d.Entries {
		if e.Visibility == "public" {
			e.Flags, e.Verified = nil, true
			// What somebody quotes is for themselves: it may be a work note, or a
			// mail to technicians, also where its author works here no more.
			if author := p.people.Canonical(e.Author); author == "" || author != me {
				e.Blocks, e.FullText = nil, e.Text
			}
			out.Entries = append(out.Entries, e)
		}
	}
	for _, e := range d.Events {
		if e.What == "created" || e.What == "status" {
			e.Reason, e.Intake, e.Actor = "", 0, ""
			if e.What == "created" {
				e.After = ""
			}
			out.Events = append(out.Events, e)
		}
	}
	return out, true
}

// ticketNumber reads a number as people write it: 1042 or, in any case,
// IT-1042.
func (p *page) ticketNumber(s string) (ticket.Number, bool) {
	if prefix, digits, ok := strings.Cut(s, "-"); ok {
		if p.prefix == "" || !strings.EqualFold(prefix, p.prefix) {
			return 0, false
		}
		s = digits
	}
	n, err := ticket.ParseNumber(s)
	return n, err == nil
}

// actions are the mails by which a technician works on the ticket as it
// stands; what the table of transitions does not have is not offered.
func (p *page) actions(t store.Ticket, me viewer) []action {
	if t.Mailbox == "" {
		return nil
	}
	var list []action
	add := func(label, body string, main bool) {
		subject := "[" + p.tag(t.Number) + "] " + t.Subject
		list = append(list, action{label, mailto(t.Mailbox, subject, body), main})
	}
	if !me.Technician() {
		add("Write to the desk", "", true)
		return list
	}
	add("Reply to requester", "reply\n\n", true)
	for _, a := range []struct {
		label, command string
		act            ticket.Act
	}{
		{"Take", "take", ticket.Take},
		{"In progress", "in progress", ticket.SetInProgress},
		{"Waiting", "waiting", ticket.SetWaiting},
		{"Resolve", "resolved", ticket.Resolve},
		{"Close", "closed", ticket.Close},
		{"Reopen", "reopen", ticket.Reopen},
	} {
		if _, err := ticket.Next(t.Status, a.act); err != nil || a.act == ticket.SetInProgress && t.Status == ticket.Resolved {
			continue
		}
		add(a.label, a.command+"\n", false)
	}
	add("Add a work note", "", false)
	return list
}

// mailto makes the address of a mail that is filled in already (RFC 6068,
// section 2). Every value is encoded, so that nothing in a subject can become
// a field of its own.
func mailto(to, subject, body string) template.URL {
	escape := func(s string) string {
		// As in a query, but with %20: a plus is a plus in mailto.
		return strings.ReplaceAll(url.QueryEscape(s), "+", "%20")
	}
	subject, _ = cut(strings.Join(strings.FieldsFunc(subject, hiddenInLine), " "), 200)
	s := "mailto:" + strings.ReplaceAll(escape(to), "%40", "@") + "?subject=" + escape(subject)
	if body != "" {
		s += "&body=" + escape(strings.ReplaceAll(body, "\n", "\r\n"))
	}
	return template.URL(s) //nolint:gosec // the scheme is fixed and the values are encoded
}

// timeline merges what was written with what happened, oldest first. What one
// mail did stands after that mail's own words.
func (p *page) timeline(d store.Detail, now time.Time) []moment {
	var list []moment
	for _, e := range d.Entries {
		list = append(list, p.entry(d.Ticket, e, now))
	}
	for _, e := range d.Events {
		if e.What == "message" || e.What == "note" {
			continue // the words themselves stand there
		}
		priority, after := "", e.After
		if p, team, ok := strings.Cut(e.After, ", "); ok && e.What == "created" && ticket.Priority(p).Valid() {
			priority, after = p, team
		}
		list = append(list, moment{
			Event: true, at: e.At, order: 1, Anchor: fmt.Sprintf("event-%d", e.Seq),
			At: p.stamp(e.At, now), Who: address(e.Actor),
			What: capital(words(e.What)), Before: words(e.Before), Priority: priority, After: words(after), Reason: e.Reason,
			MailHref: mailHref(e.Intake), Ours: e.What == triage.StatusEvent || e.What == triage.PriorityEvent,
		})
	}
	slices.SortStableFunc(list, func(a, b moment) int {
		return cmp.Or(a.at.Compare(b.at), cmp.Compare(a.order, b.order))
	})
	return list
}

func mailHref(intake int64) string {
	if intake == 0 {
		return ""
	}
	return fmt.Sprintf("/mail/%d", intake)
}

func (p *page) entry(t store.Ticket, e store.Entry, now time.Time) moment {
	m := moment{
		Note: e.Kind == "note" || e.Visibility != "public", at: e.At, At: p.stamp(e.At, now),
		Unverified: !e.Verified && e.Author != "", Requester: e.Author != "" && strings.EqualFold(e.Author, t.Requester),
		Who: e.AuthorName, Address: address(e.Author), Flags: e.Flags,
		Anchor: fmt.Sprintf("entry-%d", e.Seq), MailHref: mailHref(e.Intake),
	}
	if m.Who == "" {
		m.Who = m.Address
	}
	if e.Intake != 0 {
		m.RawHref = fmt.Sprintf("/raw/%d", e.Intake)
	}
	m.Texts = passages(e)
	var attachments []triage.Attachment
	// What does not decode shows as no files; the raw source has them all.
	_ = json.Unmarshal(e.Attachments, &attachments)
	for _, a := range attachments {
		f := file{Name: a.Name, Type: a.Type, Note: a.Note, Size: a.Size}
		if f.Name == "" {
			f.Name = "part " + a.Part
		}
		if e.Intake != 0 && partForm.MatchString(a.Part) {
			f.Href = fmt.Sprintf("/attachment/%d/%s", e.ID, a.Part)
		}
		m.Files = append(m.Files, f)
	}
	return m
}

// folds are the headings of what is folded away.
var folds = map[triage.BlockKind]string{
	triage.Quoted:    "Quoted text",
	triage.Signature: "Signature",
	triage.Forwarded: "Forwarded message",
}

// passages are an entry's texts: the author's own words, with the rest folded
// away where it stood.
func passages(e store.Entry) []passage {
	var blocks []triage.Block
	if err := json.Unmarshal(e.Blocks, &blocks); err != nil || len(blocks) == 0 {
		blocks = []triage.Block{{Kind: triage.Own, Text: e.Text}}
		if full := strings.TrimSpace(e.FullText); full != "" && full != strings.TrimSpace(e.Text) {
			blocks = append(blocks, triage.Block{Kind: triage.Quoted, Text: e.FullText})
		}
	}
	var list []passage
	for _, b := range blocks {
		text := strings.Trim(b.Text, "\r\n")
		if strings.TrimSpace(text) == "" {
			continue
		}
		shown, short := cut(text, mostShown)
		list = append(list, passage{folds[b.Kind], shown, short})
	}
	return list
}
