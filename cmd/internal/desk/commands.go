package desk

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"deskd/mailout"
	"deskd/store"
	"deskd/triage"
	"deskd/triage/ticket"
)

// challengePause is how often at most a technician is asked whether a mail was
// theirs (T22), and as long is the question good.
const challengePause = time.Hour

// undoDepth is how many of a ticket's last events undo looks through, and how
// many of its entries split does.
const undoDepth = 200

// complete fills in what a decision leaves to be looked up.
func (w *work) complete(k *triage.Known) error {
	switch {
	case w.dec.Undo:
		return w.undo(k)
	case w.dec.Split:
		return w.findPart(k)
	case w.dec.Fate == triage.Bounced && w.dec.Ticket != 0:
		return w.checkReport()
	}
	return nil
}

// reportTime is how long after a mail a report about it counts (T14).
const reportTime = 7 * 24 * time.Hour

// checkReport holds a delivery report against what was sent: one about no mail
// of ours, or about one of long ago, is nobody's on any ticket.
func (w *work) checkReport() error {
	// A mail of ours stays with the ticket that it was about, whatever that went
	// into since.
	about := append([]ticket.Number{w.dec.Ticket}, w.k.byID[w.dec.Match.Lead]...)
	if n, ok := w.rules.Signer().VerifyMessageID(w.dec.Match.Lead); ok {
		about = append(about, n)
	}
	var to []string
	for _, n := range about {
		found, err := w.tx.IssuedTo(n, w.dec.Match.Lead, w.now().Add(-reportTime))
		if err != nil {
			return err
		}
		if to = found; len(to) > 0 {
			break
		}
	}
	if len(to) == 0 {
		w.dec.Ticket, w.dec.Event, w.dec.Reason = 0, "", "report-of-no-mail"
		return nil
	}
	elsewhere := false
	for _, r := range w.m.msg.Report.Recipients {
		if !slices.ContainsFunc(to, func(a string) bool { return strings.EqualFold(a, r.Address) }) {
			elsewhere = true // a list, or a lie
			continue
		}
		if !r.Failed() {
			continue
		}
		why := strings.TrimSpace(r.Status + " " + oneLine(r.Diagnostic))
		if err := w.tx.MarkReturned(strings.ToLower(r.Address), brief(why)); err != nil {
			return err
		}
	}
	if elsewhere {
		w.dec.Event += " (the mail went to " + strings.Join(to, ", ") + ")"
	}
	return nil
}

// undo completes the decision on an undo with the timelines of all tickets
// that the mail to be taken back has changed.
func (w *work) undo(k *triage.Known) error {
	past, err := w.timeline(w.dec.Ticket)
	if err != nil {
		return err
	}
	timelines := map[ticket.Number][]triage.Past{w.dec.Ticket: past}
	intake := w.rules.LastChange(&w.dec, past)
	if intake != 0 {
		changed, err := w.tx.ChangedBy(intake)
		if err != nil {
			return err
		}
		for _, n := range changed {
			if n == w.dec.Ticket {
				continue
			}
			if timelines[n], err = w.timeline(n); err != nil {
				return err
			}
			if err := w.load(k, n); err != nil {
				return err
			}
		}
	}
	w.rules.TakeBack(&w.m.msg, &w.dec, k, intake, timelines)
	return nil
}

func (w *work) timeline(n ticket.Number) ([]triage.Past, error) {
	events, err := w.tx.LastEvents(n, undoDepth)
	if err != nil {
		return nil, err
	}
	past := make([]triage.Past, len(events))
	for i, e := range events {
		past[i] = triage.Past{Intake: e.Intake, At: e.At, Actor: e.Actor, What: e.What, Before: e.Before, After: e.After}
	}
	return past, nil
}

// load makes a ticket known that no lead led to.
func (w *work) load(k *triage.Known, n ticket.Number) error {
	t, err := w.tx.Ticket(n)
	if err != nil {
		return err
	}
	people, err := w.tx.Participants([]ticket.Number{n})
	if err != nil {
		return err
	}
	muted, err := w.tx.Muted([]ticket.Number{n})
	if err != nil {
		return err
	}
	w.k.tickets[n], w.k.participants[n] = t, people[n]
	maps.Copy(w.k.muted, muted)
	w.k.fact(k, n)
	return nil
}

// findPart completes the decision on a split: the technician's mail answers
// either our notice of a requester's mail, whose Message-ID can be made again,
// or that mail itself.
func (w *work) findPart(k *triage.Known) error {
	n := w.dec.Ticket
	f := k.Tickets[n]
	entries, err := w.tx.LastEntries(n, undoDepth)
	if err != nil {
		return err
	}
	byID := map[string]*store.Entry{}
	for i := range entries {
		e := &entries[i]
		if e.Intake == 0 || e.Kind != "message" {
			continue
		}
		byID[e.MessageID] = e
		key := fmt.Sprintf("intake:%d/answer", e.Intake)
		if e.Seq == 1 {
			key = noticeKey(n)
		}
		byID[w.rules.Signer().MessageID(n, f.Key, key, w.o.Host)] = e
	}
	var part *triage.Part
	for _, id := range w.m.leads.IDs {
		e := byID[id]
		if e == nil || id == "" {
			continue
		}
		in, err := w.tx.IntakeOf(e.Intake)
		if err != nil {
			return err
		}
		w.part = e
		part = &triage.Part{
			Intake: e.Intake, Author: triage.Address{Name: e.AuthorName, Addr: e.Author}, Subject: in.Subject, Text: e.Text, First: e.Seq == 1,
		}
		break
	}
	w.rules.SplitOff(&w.m.msg, &w.dec, f, part)
	return nil
}

// split makes the new ticket of a split, with a copy of the mail's words. They
// stay on the old one, too: a timeline only grows.
func (w *work) split() error {
	old := w.dec.Ticket
	if err := w.open(); err != nil {
		return err
	}
	e := *w.part
	e.ID, e.Ticket, e.Seq, e.At = 0, w.t.Number, 0, time.Time{}
	if err := w.tx.AddEntry(e); err != nil {
		return err
	}
	if err := w.eventOn(old, "split", "", w.t.Number.String(), ""); err != nil {
		return err
	}
	if e.MessageID == "" {
		return nil
	}
	w.k.learn(e.MessageID, w.t.Number)
	return w.tx.KnowIDs(w.t.Number, []string{e.MessageID}, "in")
}

// batch carries out what one mail does to further tickets.
func (w *work) batch() error {
	for _, one := range w.dec.Batch {
		if w.k.tickets[one.Ticket] == nil {
			return fmt.Errorf("ticket %d is not among the leads", one.Ticket)
		}
		sub := &work{Desk: w.Desk, tx: w.tx, k: w.k, m: w.m, dec: one, in: w.in, number: one.Ticket.String()}
		before := w.in.Ticket
		if err := sub.do(); err != nil {
			return err
		}
		if before != 0 {
			w.in.Ticket = before
		}
		w.told, w.held = append(w.told, sub.told...), append(w.held, sub.held...)
		w.warned, w.freed = append(w.warned, sub.warned...), append(w.freed, sub.freed...)
	}
	if w.number != "" { // one of several
		return nil
	}
	return w.warnOfBlocks()
}

// relate applies the commands that are about more than the ticket's own
// fields.
func (w *work) relate() error {
	d, n := &w.dec, w.t.Number
	if d.Due != nil {
		before := stampText(w.t.DueAt)
		w.t.DueAt, w.t.RemindedAt = *d.Due, time.Time{}
		if err := w.event(triage.DueEvent, before, stampText(*d.Due), ""); err != nil {
			return err
		}
	}
	for _, other := range d.Links {
		if err := w.link(n, other, true); err != nil {
			return err
		}
	}
	for _, other := range d.Unlinks {
		if err := w.link(n, other, false); err != nil {
			return err
		}
	}
	if d.Spam || d.NotSpam {
		if err := w.markSpam(); err != nil {
			return err
		}
	}
	if d.Mute || d.Unmute {
		if err := w.tx.Mute(n, d.Sender.Address, d.Mute); err != nil {
			return err
		}
		what := "unmuted"
		if d.Mute {
			what = "muted"
		}
		if err := w.event(what, "", d.Sender.Address, ""); err != nil {
			return err
		}
	}
	if d.Unmerge != 0 {
		if err := w.tx.Unlink(n, d.Unmerge, store.LinkMerged); err != nil {
			return err
		}
		delete(w.k.merged, n)
		if err := w.event(triage.MergeEvent, d.Unmerge.String(), "", ""); err != nil {
			return err
		}
	}
	if d.Merge != nil {
		return w.merge()
	}
	return nil
}

func stampText(at time.Time) string {
	if at.IsZero() {
		return ""
	}
	return at.UTC().Format(time.RFC3339)
}

func (w *work) link(a, b ticket.Number, on bool) error {
	what, before, after := "linked", "", b.String()
	do := w.tx.Link
	if there, err := w.tx.Linked(a, b, store.LinkRelated); err != nil || there == on {
		return err // there is nothing to do, and nothing to be taken back
	}
	if !on {
		what, before, after, do = "unlinked", b.String(), "", w.tx.Unlink
	}
	if err := do(a, b, store.LinkRelated); err != nil {
		return err
	}
	if err := w.eventOn(a, triage.LinkEvent, before, after, ""); err != nil {
		return err
	}
	return w.eventOn(b, what, "", a.String(), store.LinkRelated)
}

// merge closes one ticket, and those who are on it follow the other one.
func (w *work) merge() error {
	from, err := w.tx.Ticket(w.dec.Merge.From)
	if err != nil {
		return err
	}
	into, err := w.tx.Ticket(w.dec.Merge.Into)
	if err != nil {
		return err
	}
	if err := w.tx.Link(from.Number, into.Number, store.LinkMerged); err != nil {
		return err
	}
	w.k.merged[from.Number] = into.Number
	if err := w.eventOn(from.Number, triage.MergeEvent, "", into.Number.String(), ""); err != nil {
		return err
	}
	if err := w.eventOn(into.Number, triage.MergedInEvent, "", from.Number.String(), ""); err != nil {
		return err
	}
	if err := w.setStatus(w.tx, from, ticket.Closed, w.actor(), "merged", w.in.ID); err != nil {
		return err
	}
	people, err := w.tx.Participants([]ticket.Number{from.Number, into.Number})
	if err != nil {
		return err
	}
	there := people[into.Number]
	for _, addr := range append([]string{strings.ToLower(from.Requester)}, people[from.Number]...) {
		if addr == "" || strings.EqualFold(addr, into.Requester) || slices.Contains(there, addr) || w.rules.Own(addr) {
			continue
		}
		name := ""
		if strings.EqualFold(addr, from.Requester) {
			name = from.RequesterName
		}
		if err := w.tx.AddParticipant(into.Number, addr, name, "merge"); err != nil {
			return err
		}
		there = append(there, addr)
		if err := w.eventOn(into.Number, triage.ParticipantEvent, "", addr, "by merge"); err != nil {
			return err
		}
	}
	w.k.participants[into.Number] = there
	return nil
}

// tellMerge tells the requester of the ticket that went into another.
func (w *work) tellMerge() error {
	from, err := w.tx.Ticket(w.dec.Merge.From)
	if err != nil {
		return err
	}
	into, err := w.tx.Ticket(w.dec.Merge.Into)
	if err != nil {
		return err
	}
	if from.Requester == "" || strings.EqualFold(from.Requester, w.dec.Sender.Address) {
		return nil
	}
	thread := w.rules.Signer().MessageID(from.Number, from.Key, ackKey(from.Number), w.o.Host)
	about := w.t
	w.t = into
	defer func() { w.t = about }()
	o := w.occasion(mailout.MergeNotice, w.key("merged"))
	o.To = []triage.Address{{Name: from.RequesterName, Addr: from.Requester}}
	o.Ticket.Requester = o.To[0]
	o.Before, o.After, o.Text = w.rules.Tag(from.Number), w.rules.Tag(into.Number), ""
	o.InReplyTo, o.References = thread, []string{thread}
	_, err = w.enqueue(o, false, from.Requester)
	return err
}

// tellTaken tells the team that somebody has the ticket, so that no two begin.
func (w *work) tellTaken() error {
	o := w.occasion(mailout.TakenNotice, w.key("taken"))
	o.Text = ""
	o.InReplyTo = w.thread(noticeKey(w.t.Number))
	o.References = []string{o.InReplyTo}
	return w.toTeam(o)
}

// challenge asks the address on the roster whether an unverified mail was
// theirs. The signed Message-ID of the question is what an answer proves
// itself by: nobody but who reads that mailbox knows it.
func (w *work) challenge() error {
	to := w.dec.Sender.Address
	o := w.occasion(mailout.Challenge, w.key("challenge"))
	o.To, o.Text = []triage.Address{{Addr: to}}, ""
	asks := mailout.Section{Title: "The mail asks for:"}
	for _, c := range w.dec.Commands {
		asks.Lines = append(asks.Lines, c.Line)
	}
	o.Sections = []mailout.Section{asks}
	o.Notes = []string{w.dec.Sender.Why}
	held := len(w.held)
	if err := w.answer(o, to); err != nil || len(w.held) > held {
		return err
	}
	w.k.challenged[to] = true
	return w.tx.Challenge(store.Challenge{
		MessageID: w.rules.Signer().MessageID(o.Ticket.Number, o.Ticket.Key, o.Key, w.o.Host),
		Intake:    w.in.ID, Addr: to, Expires: w.now().Add(challengePause),
	})
}

// confirm turns the decision on a "yes" into the one on the mail that was
// asked about. Its words were kept when it came; what it asks for is done now,
// with the rights that its sender has now (T11).
func (w *work) confirm(asked *triage.Known) (*triage.Known, error) {
	refuse := func(why string) (*triage.Known, error) {
		w.dec.Confirm, w.dec.Fate, w.dec.Reason = 0, triage.Refused, "command-error"
		w.dec.Errors = []triage.CommandError{{Line: "yes", Why: why, Valid: "the commands in a mail of their own"}}
		w.dec.Tell = []triage.Tell{triage.AnswerError}
		return asked, nil
	}
	fresh := false
	for _, id := range w.m.leads.IDs {
		if c, ok := w.k.challenges[id]; ok && c.Intake == w.dec.Confirm && !fresh {
			var err error
			if fresh, err = w.tx.Spend(id); err != nil {
				return nil, err
			}
			c.Spent = w.now()
			w.k.challenges[id] = c
		}
	}
	if !fresh {
		return refuse("the question was answered before")
	}
	in, err := w.tx.IntakeOf(w.dec.Confirm)
	if err != nil {
		return nil, err
	}
	raw, err := w.tx.RawOf(in.SHA256)
	if errors.Is(err, store.ErrNotFound) {
		return refuse("the mail is kept no more")
	}
	if err != nil {
		return nil, err
	}
	m := *w.m
	m.msg, m.Raw = w.parse(raw, w.o.Limits), raw
	k, err := w.lookUp(w.tx, []*mail{&m})
	if err != nil {
		return nil, err
	}
	w.k.take(k)
	facts := w.facts(w.k, &m)
	facts.Twin, facts.Challenge, facts.Confirmed, facts.Wanted = nil, nil, true, true
	w.m = &m
	w.dec = w.rules.Decide(&m.msg, facts)
	if wr := w.dec.Write; w.dec.Open == nil && wr != nil && wr.Note {
		w.dec.Write = nil // kept already
	}
	if w.dec.Ticket != 0 && w.dec.Event == "" {
		w.dec.Event = "confirmed: the sender answered yes when asked"
	}
	return facts, nil
}

// take adds what was looked up for a further mail.
func (k *known) take(more *known) {
	maps.Copy(k.byKey, more.byKey)
	maps.Copy(k.byID, more.byID)
	maps.Copy(k.tickets, more.tickets)
	maps.Copy(k.participants, more.participants)
	maps.Copy(k.merged, more.merged)
	maps.Copy(k.muted, more.muted)
	maps.Copy(k.answers.to, more.answers.to)
}

// names are the attachments' names of an entry.
func names(e *store.Entry) []string {
	var files []triage.Attachment
	if len(e.Attachments) == 0 || json.Unmarshal(e.Attachments, &files) != nil {
		return nil
	}
	var all []string
	for _, f := range files {
		all = append(all, f.Name)
	}
	return all
}
