package desk

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"deskd/mailin"
	"deskd/store"
	"deskd/triage"
	"deskd/triage/ticket"
)

// known is what the store says about the leads of some mails, kept up to date
// while they are handled one after another in the same transaction.
type known struct {
	byKey        map[string]triage.Twin     // mailbox and content key or raw hash → earlier decision
	byID         map[string][]ticket.Number // the oldest first
	tickets      map[ticket.Number]*store.Ticket
	participants map[ticket.Number][]string
	merged       map[ticket.Number]ticket.Number   // a ticket → the one it went into
	muted        map[ticket.Number]map[string]bool // who hears no more of it
	blocked      map[string]store.Blocked          // senders that are heard no more
	challenges   map[string]store.Challenge        // by the Message-ID of the question
	challenged   map[string]bool                   // technicians who were asked within the hour
	told         map[string][]string               // our Message-ID → where it went, where that is asked for
	answers      *answers
	floods       map[opener]triage.Flood // what the senders have opened lately
	storms       map[string]triage.Storm // what everybody has, by mailbox
}

// lookUp asks for the leads of all mails at once.
func (d *Desk) lookUp(tx *store.Tx, mails []*mail) (k *known, err error) {
	defer catch(d.log, "look up leads", &err)
	k = &known{
		byKey: map[string]triage.Twin{}, byID: map[string][]ticket.Number{},
		tickets: map[ticket.Number]*store.Ticket{}, participants: map[ticket.Number][]string{},
		merged: map[ticket.Number]ticket.Number{}, muted: map[ticket.Number]map[string]bool{},
	}
	if k.answers, err = d.answersTo(tx, mails); err != nil {
		return nil, err
	}
	if k.floods, err = d.floods(tx, mails); err != nil {
		return nil, err
	}
	if k.storms, err = d.storms(tx); err != nil {
		return nil, err
	}
	type hashes struct{ keys, shas [][]byte }
	boxes := map[string]*hashes{}
	var ids, senders, workers, answered []string
	var numbers []ticket.Number
	var given ticket.Number
	for _, m := range mails {
		if m.setOff {
			continue
		}
		h := boxes[m.Box.Mailbox]
		if h == nil {
			h = &hashes{}
			boxes[m.Box.Mailbox] = h
		}
		h.keys = append(h.keys, m.msg.ContentKey[:])
		h.shas = append(h.shas, m.SHA256[:])
		m.leads = d.rules.Leads(&m.msg, d.now())
		ids = append(ids, m.leads.IDs...)
		if m.msg.MessageID != "" {
			ids = append(ids, m.msg.MessageID)
		}
		numbers = append(numbers, m.leads.Numbers...)
		given = max(given, m.leads.Given)
		if from := d.rules.Canonical(m.msg.From.Addr); d.rules.Works(from) {
			workers, answered = append(workers, from), append(answered, m.leads.IDs...)
		} else if from != "" {
			senders = append(senders, from)
		}
	}
	if k.blocked, err = tx.Blocked(senders); err != nil {
		return nil, err
	}
	if k.challenges, err = tx.Challenges(answered); err != nil {
		return nil, err
	}
	if k.challenged, err = tx.Challenged(workers, d.now().Add(-challengePause)); err != nil {
		return nil, err
	}
	for mailbox, h := range boxes {
		twins, err := tx.Twins(mailbox, h.keys, h.shas)
		if err != nil {
			return nil, fmt.Errorf("look for the same mail: %w", err)
		}
		for _, t := range twins {
			k.remember(mailbox, t)
		}
	}
	if len(ids) > 0 {
		found, err := tx.TicketsByID(ids)
		if err != nil {
			return nil, fmt.Errorf("look up message-ids: %w", err)
		}
		for id, list := range found {
			k.byID[id] = list
			numbers = append(numbers, list...)
		}
	}
	if d.rules.Strict() {
		if k.told, err = tx.ToldOf(d.signed(ids), d.now().Add(-triage.TellsFor)); err != nil {
			return nil, err
		}
	}
	if len(numbers) == 0 {
		return k, nil
	}
	if err := k.lookUpTickets(tx, numbers); err != nil {
		return nil, err
	}
	if given > 0 && k.tickets[given] == nil {
		d.log.Warn("a mail answers a ticket that is not here: its number and all before are not given again", "ticket", int64(given))
		if err := tx.LiftNumbers(given); err != nil {
			return nil, err
		}
	}
	return k, nil
}

// signed are those ids that are of mails of ours.
func (d *Desk) signed(ids []string) []string {
	return slices.DeleteFunc(slices.Clone(ids), func(id string) bool {
		_, ours := d.rules.Signer().VerifyMessageID(id)
		return !ours
	})
}

// lookUpTickets asks for these tickets, and those that they went into.
func (k *known) lookUpTickets(tx *store.Tx, numbers []ticket.Number) (err error) {
	if numbers, k.merged, err = followMerges(tx, numbers); err != nil {
		return err
	}
	if k.muted, err = tx.Muted(numbers); err != nil {
		return err
	}
	if k.tickets, err = tx.Tickets(numbers); err != nil {
		return fmt.Errorf("look up tickets: %w", err)
	}
	if k.participants, err = tx.Participants(numbers); err != nil {
		return fmt.Errorf("look up participants: %w", err)
	}
	return nil
}

// followMerges adds the tickets that these went into.
func followMerges(tx *store.Tx, numbers []ticket.Number) ([]ticket.Number, map[ticket.Number]ticket.Number, error) {
	merged := map[ticket.Number]ticket.Number{}
	for step := numbers; len(step) > 0 && len(merged) < 1000; {
		into, err := tx.MergedInto(step)
		if err != nil {
			return nil, nil, err
		}
		step = nil
		for from, n := range into {
			merged[from] = n
			if !slices.Contains(numbers, n) {
				numbers, step = append(numbers, n), append(step, n)
			}
		}
	}
	return numbers, merged, nil
}

// remember notes a decided mail, so that a copy of it is known (F3, F5).
func (k *known) remember(mailbox string, in store.Intake) {
	t := triage.Twin{Intake: in.ID, Ticket: in.Ticket}
	for _, h := range [][]byte{in.ContentKey, in.SHA256} {
		if len(h) > 0 && !bytes.Equal(h, make([]byte, len(h))) {
			k.byKey[mailbox+"\x00"+string(h)] = t
		}
	}
}

// learn notes that an id leads to a ticket from now on.
func (k *known) learn(id string, n ticket.Number) {
	if !slices.Contains(k.byID[id], n) {
		k.byID[id] = append(slices.Clone(k.byID[id]), n)
	}
}

// facts fills in for triage what was found for one mail.
func (d *Desk) facts(k *known, m *mail) *triage.Known {
	now := d.now()
	f := &triage.Known{Now: now, Mailbox: m.Box.Mailbox, ByID: k.byID, Told: k.told, Tickets: map[ticket.Number]triage.Facts{}, Merged: k.merged}
	numbers := slices.Clone(m.leads.Numbers)
	for _, id := range append(slices.Clone(m.leads.IDs), m.msg.MessageID) {
		numbers = append(numbers, k.byID[id]...)
	}
	for _, n := range numbers {
		for hops := 0; hops < 10; hops++ {
			k.fact(f, n)
			into, merged := k.merged[n]
			if !merged {
				break
			}
			n = into
		}
	}
	from := d.rules.Canonical(m.msg.From.Addr)
	f.Challenged = k.challenged[from]
	f.Wanted = m.again && m.row.Fate == store.FateSpam
	if b, ok := k.blocked[from]; ok && b.Proven {
		f.Silenced = triage.SilencedAll
	} else if ok {
		f.Silenced = triage.SilencedUnproven
	}
	for _, id := range m.leads.IDs {
		if c, ok := k.challenges[id]; ok && c.Addr == from {
			f.Challenge = &triage.Challenge{Intake: c.Intake, Address: c.Addr, Expires: c.Expires, Spent: !c.Spent.IsZero()}
			break
		}
	}
	for _, h := range [][]byte{m.msg.ContentKey[:], m.SHA256[:]} {
		if t, ok := k.byKey[m.Box.Mailbox+"\x00"+string(h)]; ok && t.Intake != m.row.ID {
			f.Twin = &t
			break
		}
	}
	return f
}

// fact adds one ticket to what triage is told.
func (k *known) fact(f *triage.Known, n ticket.Number) {
	if t := k.tickets[n]; t != nil {
		f.Tickets[n] = triage.Facts{
			Number: n, Mailbox: t.Mailbox, Subject: t.Subject, Status: t.Status, Priority: t.Priority, Team: t.Team,
			Assignee: t.Assignee, Requester: t.Requester, Participants: k.participants[n], Due: t.DueAt, Tags: t.Tags, Key: t.Key,
		}
	}
}

// handle decides on one mail and does what the decision says, inside the
// batch's transaction. Its effects happen together with the mark that the
// mail is decided, or not at all (F1).
func (d *Desk) handle(tx *store.Tx, k *known, m *mail) (err error) {
	defer catch(d.log, "act on a mail", &err)
	in := m.row
	in.SHA256, in.Size, in.ArrivedAt, in.DecidedAt = m.SHA256[:], m.Size, m.Arrived, d.now()
	if err := tx.KeepRaw(in.SHA256, m.Raw); err != nil {
		return fmt.Errorf("keep the raw mail: %w", err)
	}
	if m.setOff {
		return d.setAside(tx, m, in)
	}
	facts := d.facts(k, m)
	facts.Storm = k.storms[strings.ToLower(m.Box.Mailbox)]
	from, counted := d.opener(m)
	if counted {
		facts.Flood = k.floods[from]
		if t := k.tickets[facts.Flood.Newest]; t != nil && !t.Status.Live() { // since the batch began
			facts.Flood.Newest = 0
		}
	}
	w := &work{Desk: d, tx: tx, k: k, m: m, in: &in, dec: d.rules.Decide(&m.msg, facts), flood: facts.Flood, counted: counted}
	if w.dec.Confirm != 0 {
		if facts, err = w.confirm(facts); err != nil {
			return fmt.Errorf("confirm mail %d: %w", w.dec.Confirm, err)
		}
	}
	if err := w.complete(facts); err != nil {
		return fmt.Errorf("%s on %d: %w", w.dec.Reason, w.dec.Ticket, err)
	}
	dec := &w.dec
	if err := w.do(); err != nil {
		return fmt.Errorf("act on <%s>: %w", brief(m.msg.MessageID), err)
	}
	if counted && dec.Open != nil {
		count(k.floods, from, w.t.Number, w.t.Status.Live())
	}
	if dec.Fate == triage.Loop {
		if m.left = d.leftAt(m); !m.left.IsZero() {
			dec.Reason = store.RoundTrip
		}
	}
	if dec.Open != nil {
		facts.Storm.Add(dec.Open.Subject, triage.First{Number: w.t.Number, Requester: w.t.Requester})
	}
	in.ContentKey, in.MessageID = m.msg.ContentKey[:], m.msg.MessageID
	in.From, in.Subject = m.msg.Shown.Addr, m.msg.Subject
	if m.msg.From.Addr != "" {
		in.From = m.msg.From.Addr
	}
	in.Fate, in.Reason, in.Kind = store.Fate(dec.Fate), dec.Reason, string(dec.Kind.Kind)
	record := tx.Decide
	if m.again { // it stays where it was put
		record = func(in store.Intake) error { return tx.Redecide(in, m.row.Fate) }
	} else {
		in.File = string(mailin.Done)
	}
	if in.Why, err = json.Marshal(w.dec); err != nil {
		return fmt.Errorf("explain the decision: %w", err)
	}
	if err := record(in); err != nil {
		return fmt.Errorf("record the fate: %w", err)
	}
	k.remember(m.Box.Mailbox, in)
	m.file = mailin.Done
	m.told = []any{"intake", in.ID, "message_id", brief(in.MessageID), "uid", m.UID, "action", dec.Fate, "ticket", int64(in.Ticket), "reason", dec.Reason}
	return nil
}

// setAside puts a mail into quarantine that failed too often. Nothing of it
// is read; the technicians get a ticket that says where it lies (F19).
func (d *Desk) setAside(tx *store.Tx, m *mail, in store.Intake) error {
	in.Fate, in.Reason, in.File = store.FateQuarantined, "failed-too-often", string(mailin.Quarantine)
	t, err := tx.NewTicket(store.Ticket{
		Mailbox: m.Box.Mailbox, Subject: "A mail could not be handled", Status: ticket.Open, Priority: ticket.Medium,
		Team: d.rules.DefaultTeam(), Reasons: []string{"the mail failed " + fmt.Sprint(in.Failures) + " times and lies in quarantine"},
	})
	if err != nil {
		return err
	}
	in.Ticket = t.Number
	text := fmt.Sprintf("A mail to %s could not be handled. Its raw source is kept, and the original lies in the quarantine folder of the mailbox. Last error: %s",
		m.Box.Mailbox, in.LastError)
	if err := tx.AddEntry(store.Entry{Ticket: t.Number, Kind: "note", Visibility: "internal", Author: "deskd", Text: text, FullText: text, Intake: in.ID}); err != nil {
		return err
	}
	if err := tx.AddEvent(store.Event{Ticket: t.Number, Actor: "deskd", What: "created", Reason: "quarantine", After: string(t.Priority) + ", " + t.Team, Intake: in.ID}); err != nil {
		return err
	}
	w := &work{Desk: d, tx: tx, m: m, in: &in, t: t}
	w.dec.Notes = []string{text}
	if err := w.notifyTeam(); err != nil {
		return err
	}
	for _, why := range w.held {
		if err := tx.AddEvent(store.Event{Ticket: t.Number, Actor: "deskd", What: "mail held back", Reason: why, Intake: in.ID}); err != nil {
			return err
		}
	}
	if err := tx.Decide(in); err != nil {
		return err
	}
	m.file = mailin.Quarantine
	m.told = []any{"intake", in.ID, "uid", m.UID, "ticket", int64(t.Number), "reason", in.Reason, "err", brief(in.LastError)}
	return nil
}

// work is one decision being carried out.
type work struct {
	*Desk
	tx   *store.Tx
	k    *known
	m    *mail
	dec  triage.Decision
	in   *store.Intake
	t    *store.Ticket // the ticket it is about; nil: none
	text string        // what mails about it convey
	held []string      // answers that were not sent, and why
	told []string      // who was written to

	warned []string // what a technician should know of these
	freed  []string // senders whose marks as spam were taken off

	part      *store.Entry // what a split takes out of its ticket
	number    string       // of the ticket, for outbox keys of a mail about several
	flood     triage.Flood // what the sender has opened lately
	counted   bool         // and whether that is counted
	by        string       // who gave commands at the machine: there is no mail then
	once      string       // names these commands in outbox keys, in place of a mail
	movedFrom string       // team that had the ticket before a command moved it
	replyLost bool         // a reply reached nobody, and the technician was told
}

// do makes the decision happen.
func (w *work) do() error {
	dec := &w.dec
	if dec.Sender.Address != "" {
		if err := w.tx.SawPerson(dec.Sender.Address, dec.Sender.Name); err != nil {
			return err
		}
	}
	switch {
	case w.part != nil && dec.Open != nil:
		if err := w.split(); err != nil {
			return fmt.Errorf("split %d: %w", dec.Ticket, err)
		}
	case dec.Open != nil:
		if err := w.open(); err != nil {
			return fmt.Errorf("open a ticket: %w", err)
		}
	case dec.Ticket != 0:
		w.t = w.k.tickets[dec.Ticket]
		if w.t == nil { // a twin's ticket, which was not among the leads
			t, err := w.tx.Ticket(dec.Ticket)
			if err != nil {
				return err
			}
			w.t = t
		}
	}
	if w.t == nil {
		if err := w.batch(); err != nil {
			return err
		}
		if err := w.tell(); err != nil {
			return fmt.Errorf("write mails: %w", err)
		}
		for _, why := range w.held {
			w.log.Info("mail held back", "intake", w.in.ID, "reason", brief(why))
		}
		return nil
	}
	w.in.Ticket = w.t.Number
	if dec.Write != nil {
		if err := w.write(); err != nil {
			return fmt.Errorf("add to %d: %w", w.t.Number, err)
		}
	}
	if err := w.change(); err != nil {
		return fmt.Errorf("change %d: %w", w.t.Number, err)
	}
	if err := w.batch(); err != nil {
		return err
	}
	if ids := w.ids(); len(ids) > 0 && w.part == nil && (dec.Write != nil || dec.Open != nil) {
		if err := w.tx.KnowIDs(w.t.Number, ids, "in"); err != nil {
			return err
		}
		for _, id := range ids {
			w.k.learn(id, w.t.Number)
		}
	}
	if err := w.tell(); err != nil {
		return fmt.Errorf("write mails about %d: %w", w.t.Number, err)
	}
	for _, why := range w.held {
		if err := w.event("mail held back", "", "", why); err != nil {
			return err
		}
	}
	return nil
}

// ids are the Message-IDs that lead to the ticket from now on. References are
// kept only where somebody vouches for the sender: otherwise a stranger could
// make other people's threads lead to a ticket of his own (T6).
func (w *work) ids() []string {
	var ids []string
	// What leads to another ticket already keeps leading there alone, unless
	// this one goes on with it: else a stranger's ticket would catch the thread.
	goesOn := w.dec.Open == nil || w.dec.Open.LinkedAs == "follow-up" || w.dec.Open.LinkedAs == "other mailbox"
	add := func(id string) {
		if _, ours := w.rules.Signer().VerifyMessageID(id); id == "" || ours {
			return
		}
		if goesOn || !slices.ContainsFunc(w.k.byID[id], w.sameBox) {
			ids = append(ids, id)
		}
	}
	add(w.m.msg.MessageID)
	if w.dec.Sender.Authenticated && w.dec.Open != nil {
		for _, id := range append(append([]string{}, w.m.msg.References...), w.m.msg.InReplyTo...) {
			add(id)
		}
	}
	if len(ids) > 50 {
		ids = ids[:50]
	}
	return ids
}

// sameBox says whether a ticket belongs to the mailbox that the mail came
// through: one mail to two of them makes a ticket in each.
func (w *work) sameBox(n ticket.Number) bool {
	t := w.k.tickets[n]
	return t == nil || strings.EqualFold(t.Mailbox, w.m.Box.Mailbox)
}

// actor is who did it, as events name it.
func (w *work) actor() string {
	switch {
	case w.by != "":
		return w.by
	case w.dec.Sender.Address == "" && w.m.msg.Shown.Addr != "":
		return w.m.msg.Shown.Addr + " (not certain)"
	case w.dec.Sender.Address == "":
		return "unknown sender"
	case !w.dec.Sender.Authenticated:
		return w.dec.Sender.Address + " (not verified)"
	}
	return w.dec.Sender.Address
}

func (w *work) event(what, before, after, reason string) error {
	return w.eventOn(w.t.Number, what, before, after, reason)
}

func (w *work) eventOn(n ticket.Number, what, before, after, reason string) error {
	return w.tx.AddEvent(store.Event{
		Ticket: n, Actor: w.actor(), What: what, Before: before, After: after, Reason: reason, Intake: w.in.ID,
	})
}

// open makes the new ticket with its participants and links.
func (w *work) open() error {
	o := w.dec.Open
	reasons := make([]string, len(w.dec.Reasons))
	for i, r := range w.dec.Reasons {
		reasons[i] = r.String()
	}
	status := ticket.Open
	t, err := w.tx.NewTicket(store.Ticket{
		Mailbox: w.m.Box.Mailbox, Subject: o.Subject, Requester: strings.ToLower(o.Requester.Addr), RequesterName: o.Requester.Name,
		Status: status, Priority: o.Priority, Team: o.Team, Assignee: strings.ToLower(o.Assignee), Tags: o.Tags, Reasons: reasons,
	})
	if err != nil {
		return err
	}
	w.t, w.k.tickets[t.Number] = t, t
	if err := w.event("created", "", string(t.Priority)+", "+t.Team, strings.Join(reasons, "; ")); err != nil {
		return err
	}
	if err := w.join("in Cc of the first mail"); err != nil {
		return err
	}
	if o.Linked == 0 {
		return nil
	}
	if err := w.tx.Link(t.Number, o.Linked, o.LinkedAs); err != nil {
		return err
	}
	return w.event("linked", "", o.Linked.String(), o.LinkedAs)
}

// join adds the participants that the decision names.
func (w *work) join(why string) error {
	n := w.t.Number
	for _, a := range w.dec.Joins {
		addr := strings.ToLower(a.Addr)
		if err := w.tx.AddParticipant(n, addr, a.Name, "cc"); err != nil {
			return err
		}
		w.k.participants[n] = append(slices.Clone(w.k.participants[n]), addr)
		if err := w.event("participant", "", addr, why); err != nil {
			return err
		}
	}
	return nil
}

// leave takes participants off the ticket.
func (w *work) leave() error {
	n := w.t.Number
	for _, addr := range w.dec.Leaves {
		if err := w.tx.RemoveParticipant(n, addr); err != nil {
			return err
		}
		w.k.participants[n] = slices.DeleteFunc(slices.Clone(w.k.participants[n]), func(p string) bool { return strings.EqualFold(p, addr) })
		if err := w.event("participant", addr, "", ""); err != nil {
			return err
		}
	}
	return nil
}

// write adds the mail's words to the ticket.
func (w *work) write() error {
	wr, msg := w.dec.Write, &w.m.msg
	w.text = wr.Text
	e := store.Entry{
		Ticket: w.t.Number, Kind: "message", Visibility: "public", Author: strings.ToLower(wr.Author.Addr), AuthorName: wr.Author.Name,
		Verified: wr.Verified, Text: wr.Text, FullText: msg.Text(), Flags: wr.Flags, Intake: w.in.ID, MessageID: msg.MessageID,
	}
	if wr.Note {
		e.Kind, e.Visibility = "note", "internal"
	}
	var err error
	if len(msg.Attachments) > 0 {
		if e.Attachments, err = json.Marshal(msg.Attachments); err != nil {
			return err
		}
	}
	blocks := w.dec.Blocks
	if wr.Aside != "" { // which stands in a note of its own
		blocks = slices.DeleteFunc(slices.Clone(blocks), func(b triage.Block) bool { return b.Kind == triage.Own })
	}
	if len(blocks) > 0 {
		if e.Blocks, err = json.Marshal(blocks); err != nil {
			return err
		}
	}
	if err := w.tx.AddEntry(e); err != nil {
		return err
	}
	if wr.Aside != "" {
		note := store.Entry{
			Ticket: e.Ticket, Kind: "note", Visibility: "internal", Author: e.Author, AuthorName: e.AuthorName, Verified: e.Verified,
			Text: wr.Aside, FullText: wr.Aside, Intake: e.Intake,
		}
		if err := w.tx.AddEntry(note); err != nil {
			return err
		}
		if err := w.event("note", "", "", ""); err != nil {
			return err
		}
	}
	what := e.Kind
	if w.dec.Fate == triage.Unverified {
		what = "unverified note"
	}
	reason := ""
	if len(wr.Flags) > 0 {
		reason = strings.Join(wr.Flags, ", ")
	}
	now := w.now()
	switch fromDesk := w.dec.Sender.Role == triage.Technician || w.dec.Sender.Role == triage.Administrator; {
	case wr.Note:
	case fromDesk && w.t.FirstResponseAt.IsZero() && w.dec.Open == nil:
		w.t.FirstResponseAt = now
	case !fromDesk:
		w.t.AnsweredAt = now
	}
	return w.event(what, "", "", reason)
}

// change applies what the decision changes on the ticket.
func (w *work) change() error {
	if w.dec.Event != "" {
		if err := w.event(string(w.dec.Fate), "", "", w.dec.Event); err != nil {
			return err
		}
	}
	if a := strings.ToLower(w.dec.Assign); a != "" && !strings.EqualFold(a, w.t.Assignee) || w.dec.Drop && w.t.Assignee != "" {
		before := w.t.Assignee
		w.t.Assignee = a
		if err := w.event("assignee", before, a, ""); err != nil {
			return err
		}
	}
	if to := w.dec.Team; to != "" {
		w.movedFrom, w.t.Team = w.t.Team, to
		if err := w.event("team", w.movedFrom, to, ""); err != nil {
			return err
		}
	}
	if to := ticket.Priority(w.dec.Priority); to != "" {
		before := w.t.Priority
		w.t.Priority = to
		if err := w.event("priority", string(before), string(to), ""); err != nil {
			return err
		}
	}
	if w.dec.Open == nil {
		if err := w.join("by command"); err != nil {
			return err
		}
		if err := w.leave(); err != nil {
			return err
		}
	}
	if err := w.relate(); err != nil {
		return err
	}
	for _, c := range w.dec.Changes {
		if err := w.setStatus(w.tx, w.t, c.After, w.actor(), string(c.Act), w.in.ID); err != nil {
			return err
		}
	}
	return nil
}

// setStatus moves a ticket to a status and writes it into its timeline.
func (d *Desk) setStatus(tx *store.Tx, t *store.Ticket, to ticket.Status, actor, reason string, intake int64) error {
	before, now := t.Status, d.now()
	t.Status = to
	t.ResolvedAt, t.ClosedAt = stamp(t.ResolvedAt, to == ticket.Resolved, to == ticket.Closed, now), stamp(t.ClosedAt, to == ticket.Closed, false, now)
	return tx.AddEvent(store.Event{
		Ticket: t.Number, Actor: actor, What: "status", Before: string(before), After: string(to), Reason: reason, Intake: intake,
	})
}

// stamp is a time mark after a change of status: set when the status is
// entered, kept where it stays true, cleared otherwise.
func stamp(old time.Time, entered, keep bool, now time.Time) time.Time {
	switch {
	case entered:
		return now
	case keep:
		return old
	}
	return time.Time{}
}
