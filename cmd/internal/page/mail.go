package page

import (
	"fmt"
	"net/http"
	"slices"
	"time"

	"deskd/store"
	"deskd/triage/ticket"
)

// mailsPage is what the template of the list of mails gets.
type mailsPage struct {
	Flow       flow
	Fates      []choice
	Rows       []mailRow
	Filtered   bool
	Quarantine bool
	Clear      string
	Newest     string
	Older      string
	Save       string // address of the list as CSV
}

// mailTab is what the links between the lists of mail get.
type mailTab struct {
	Here string // in, quarantine or out
	Flow flow
}

func mailTabs(here string, f flow) mailTab { return mailTab{here, f} }

// mailRow is one mail as it came in.
type mailRow struct {
	ID            int64
	Href          string
	Subject, From string
	Mailbox       string
	Arrived       stamp
	Fate          string // as people read it
	Bad           bool   // a person should look at it
	Said          string // the reason in our words
	Reason        string // the reason in others', such as of an error
	Ticket        ticket.Number
	TicketHref    string
}

// fateWords say the fates to people.
var fateWords = map[store.Fate]string{
	"":                    "Being read",
	store.FateNewTicket:   "New ticket",
	store.FateAppended:    "Added to a ticket",
	store.FateUnverified:  "Kept, not verified",
	store.FateDuplicate:   "Duplicate",
	store.FateAutomatic:   "Automatic reply",
	store.FateLoop:        "Our own mail",
	store.FateBounce:      "Bounce",
	store.FateSpam:        "Spam",
	store.FateFolded:      "Folded into a flood",
	store.FateOversize:    "Too large",
	store.FateQuarantined: "Quarantined",
	store.FateDismissed:   "Dismissed",
	store.FateRefused:     "Not wanted",
	store.FateGone:        "Vanished",
}

func fateWord(f store.Fate) string {
	if w, ok := fateWords[f]; ok {
		return w
	}
	return capital(words(string(f)))
}

// reasonWords say the reasons that decisions are given by (triage.Decision);
// nothing where the fate says it all.
var reasonWords = map[string]string{
	"answer": "", "commands": "Commands", "note": "A work note", "query": "A question", "undo": "Undone", "split": "Split off", "batch": "Commands for several tickets",
	"thanks": "Only thanks", "reopened": "Reopened it", "command-error": "A command could not be obeyed, so none was",
	"new-request": "", "opened-for": "Opened for somebody else", "closed-ticket": "The ticket that it answers is closed", "forward": "A forwarded mail that names a ticket",
	"other-mailbox": "It names a ticket of another mailbox", "not-a-participant": "It names a ticket that the sender has no part in",
	"oversize": "Only its header was read", "known-mail": "The same mail is here already", "own-mail": "It comes from the desk itself", "round-trip": "There and back: mail flows",
	"written-as-the-desk": "Its sender claims to be the desk", "automatic": "No person wrote it", "bulk-mail": "It came through a list", "delivery-report": "A report on a mail of ours",
	"report-of-no-mail": "A report on a mail that we did not send", "sender-not-verified": "Nobody vouches for its sender", "domain-not-allowed": "open_from does not name its sender",
	"blocked-sender": "Its sender is blocked", "marked-spam": "Our mail server marked it as spam", "rule-spam": "A rule takes it for spam", "rule-ignore": "A rule leaves it out",
	"failed-too-often": "It could not be handled three times", "dropped-by-administrator": "An administrator dropped it",
}

// becameOf says a mail's fate; of those without a ticket more exactly.
func becameOf(in store.Intake) string {
	if in.Ticket == 0 || in.Fate == store.FateRefused {
		switch in.Reason {
		case "query":
			return "Question, answered"
		case "command-error":
			return "Commands, refused"
		case "domain-not-allowed":
			return "Sender not let in"
		}
	}
	return fateWord(in.Fate)
}

// undone is the filter for mails that are not done with.
const undone = "undone"

// intakeFilter reads the address of a list of mails.
func intakeFilter(r *http.Request) (f store.IntakeFilter, fate string, err error) {
	query := r.URL.Query()
	switch fate = query.Get("fate"); {
	case fate == "":
	case fate == undone:
		f.Undone = true
	case slices.Contains(store.Fates(), store.Fate(fate)):
		f.Fate = store.Fate(fate)
	default:
		return f, "", errNotFound
	}
	if s := query.Get("before"); s != "" {
		id, ok := rowID(s)
		if !ok {
			return f, "", errNotFound
		}
		f.Before = id
	}
	return f, fate, nil
}

func (p *page) mails(r *http.Request, now time.Time) (made, error) {
	f, fate, err := intakeFilter(r)
	if err != nil {
		return made{}, err
	}
	f.Limit = rowsPerPage + 1
	o, err := p.counts.read(r.Context(), now)
	if err != nil {
		return made{}, err
	}
	m := mailsPage{Clear: "/mail", Quarantine: f.Fate == store.FateQuarantined, Filtered: fate != ""}
	m.Flow = p.flow(r.Context(), o, now)
	found, err := p.source.ListIntakes(r.Context(), f)
	if err != nil {
		return made{}, fmt.Errorf("list mails: %w", err)
	}
	here := with("/mail", "fate", fate)
	m.Save = with(here, "format", "csv")
	if len(found) > rowsPerPage {
		found = found[:rowsPerPage]
		m.Older = with(here, "before", fmt.Sprint(found[rowsPerPage-1].ID))
	}
	if f.Before != 0 {
		m.Newest = here
	}
	for _, in := range found {
		m.Rows = append(m.Rows, p.mailRow(in, now))
	}
	m.Fates = []choice{{"All", "/mail", fate == ""}, {"Not done", "/mail?fate=" + undone, fate == undone}}
	for _, one := range store.Fates() {
		m.Fates = append(m.Fates, choice{fateWord(one), "/mail?fate=" + string(one), f.Fate == one})
	}
	title := "Mail"
	if m.Quarantine {
		title = "Quarantine"
	}
	return made{template: "mails", title: title, section: "mail", main: m}, nil
}

// mayRead says whether somebody may see a mail: technicians those of tickets,
// administrators all.
func mayRead(v viewer, in store.Intake) bool {
	return v.Administrator() || v.Technician() && in.Ticket != 0
}

func (p *page) mailRow(in store.Intake, now time.Time) mailRow {
	row := mailRow{
		ID: in.ID, Href: fmt.Sprintf("/mail/%d", in.ID), Subject: in.Subject, From: address(in.From),
		Mailbox: address(in.Mailbox), Arrived: p.stamp(in.ArrivedAt, now), Fate: becameOf(in),
		Bad:    in.Fate == store.FateQuarantined || in.Fate == "" && in.Failures > 0,
		Reason: in.Reason, Ticket: in.Ticket,
	}
	if !row.Arrived.Set {
		row.Arrived = p.stamp(in.SeenAt, now)
	}
	if said, ok := reasonWords[row.Reason]; ok && row.Reason != "" {
		row.Said, row.Reason = said, ""
	} else if row.Reason == "" {
		row.Reason = in.LastError
	}
	if in.Ticket != 0 {
		row.TicketHref = "/ticket/" + in.Ticket.String()
	}
	return row
}

// mailPage is what the template of one mail gets.
type mailPage struct {
	mailRow
	Kind       string
	MessageID  string
	Size       int64
	SHA256     string
	RawHref    string
	Seen       stamp
	Decided    stamp
	Filed      stamp
	File       string
	Fetches    int
	Failures   int
	LastError  string
	Quarantine bool
	Spam       bool
	Why        []reason
}

func (p *page) mail(r *http.Request, now time.Time) (made, error) {
	id, ok := rowID(r.PathValue("intake"))
	if !ok {
		return made{}, errNotFound
	}
	in, err := p.source.IntakeByID(r.Context(), id)
	if err != nil {
		return made{}, fmt.Errorf("read intake %d: %w", id, err)
	}
	if !mayRead(viewerOf(r), in) {
		return made{}, errNotFound
	}
	m := mailPage{
		mailRow: p.mailRow(in, now), Kind: words(in.Kind), MessageID: in.MessageID, Size: in.Size,
		Seen: p.stamp(in.SeenAt, now), Decided: p.stamp(in.DecidedAt, now), Filed: p.stamp(in.FiledAt, now),
		File: in.File, Fetches: in.Fetches, Failures: in.Failures, LastError: in.LastError,
		Quarantine: in.Fate == store.FateQuarantined, Spam: in.Fate == store.FateSpam, Why: explain(in.Why),
	}
	if len(in.SHA256) > 0 {
		m.SHA256, m.RawHref = fmt.Sprintf("%x", in.SHA256), fmt.Sprintf("/raw/%d", in.ID)
	}
	title := oneLine(in.Subject)
	if title == "" {
		title = fmt.Sprintf("Mail %d", id)
	}
	return made{template: "mail", title: title, section: "mail", main: m}, nil
}

// outboxPage is what the template of the outbox gets.
type outboxPage struct {
	Flow     flow
	States   []choice
	Rows     []outboxRow
	Filtered bool
	Clear    string
	Newest   string
	Older    string
	Save     string // address of the list as CSV
}

// outboxRow is one outgoing mail to one recipient.
type outboxRow struct {
	ID                 int64
	Recipient, Subject string
	Kind, State        string
	MayAgain, MayStop  bool   // what its state allows
	Form               string // for its buttons; empty: there are none
	Bad                bool   // it was not delivered
	Done               bool
	Created, Sent, Due stamp
	Attempts           int
	Answer             string
	Ticket             ticket.Number
	TicketHref         string
}

// stateWords say the states to people.
var stateWords = map[store.State]string{
	store.Queued:    "Waiting",
	store.Sending:   "Being sent",
	store.Sent:      "Sent",
	store.Uncertain: "Uncertain",
	store.Failed:    "Failed",
	store.Cancelled: "Cancelled",
}

var states = []store.State{store.Queued, store.Sending, store.Uncertain, store.Failed, store.Sent, store.Cancelled}

// outboxFilter reads the address of the outbox.
func outboxFilter(r *http.Request) (store.OutboxFilter, error) {
	query := r.URL.Query()
	f := store.OutboxFilter{State: store.State(query.Get("state"))}
	if f.State != "" && !slices.Contains(states, f.State) {
		return f, errNotFound
	}
	if s := query.Get("before"); s != "" {
		id, ok := rowID(s)
		if !ok {
			return f, errNotFound
		}
		f.Before = id
	}
	return f, nil
}

func (p *page) outbox(r *http.Request, now time.Time) (made, error) {
	f, err := outboxFilter(r)
	if err != nil {
		return made{}, err
	}
	state := f.State
	f.Limit = rowsPerPage + 1
	o, err := p.counts.read(r.Context(), now)
	if err != nil {
		return made{}, err
	}
	m := outboxPage{Clear: "/mail/outbox", Filtered: state != ""}
	m.Flow = p.flow(r.Context(), o, now)
	found, err := p.source.ListOutbox(r.Context(), f)
	if err != nil {
		return made{}, fmt.Errorf("list the outbox: %w", err)
	}
	here := with("/mail/outbox", "state", string(state))
	m.Save = with(here, "format", "csv")
	if len(found) > rowsPerPage {
		found = found[:rowsPerPage]
		m.Older = with(here, "before", fmt.Sprint(found[rowsPerPage-1].ID))
	}
	if f.Before != 0 {
		m.Newest = here
	}
	for _, row := range found {
		shown := p.outboxRow(row, now)
		shown.Form = p.formToken(viewerOf(r))
		m.Rows = append(m.Rows, shown)
	}
	m.States = []choice{{"All", "/mail/outbox", state == ""}}
	for _, s := range states {
		m.States = append(m.States, choice{stateWords[s], "/mail/outbox?state=" + string(s), s == state})
	}
	return made{template: "outbox", title: "Outbox", section: "mail", main: m}, nil
}

func (p *page) outboxRow(r store.Row, now time.Time) outboxRow {
	state := r.State
	row := outboxRow{
		ID: r.ID, MayAgain: state == store.Failed || state == store.Uncertain || state == store.Cancelled, MayStop: state == store.Queued || state == store.Uncertain,
		Recipient: address(r.Recipient), Subject: r.Subject, Kind: capital(words(r.Kind)), State: stateWords[state],
		Bad: state == store.Failed, Done: state == store.Sent || state == store.Cancelled,
		Created: p.stamp(r.CreatedAt, now), Sent: p.stamp(r.SentAt, now),
		Attempts: r.Attempts, Answer: r.Answer, Ticket: r.Ticket,
	}
	if row.State == "" {
		row.State = capital(words(string(state)))
	}
	if state == store.Queued || state == store.Uncertain {
		row.Due = p.stamp(r.Due, now)
	}
	if r.Ticket != 0 {
		row.TicketHref = "/ticket/" + r.Ticket.String()
	}
	return row
}
