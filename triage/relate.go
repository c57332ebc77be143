package triage

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"deskd/triage/ticket"
)

// Merging is what becomes of two tickets about the same matter: the older one
// goes on, whichever of them the command was given on, since people answer to
// it the longest; the younger one is closed, and its requester and
// participants follow the older one.
type Merging struct {
	From ticket.Number `json:"from"`
	Into ticket.Number `json:"into"`
}

// merge joins the ticket and another one.
func (r *Rules) merge(d *Decision, f Facts, c Command, e *Effect, k *Known) {
	other, ok := r.named(d, f, c, k)
	if !ok {
		return
	}
	into, from := f, other
	if other.Number < f.Number {
		into, from = other, f
	}
	for _, t := range []Facts{into, from} {
		if t.Status == ticket.Closed {
			d.Errors = append(d.Errors, CommandError{Line: c.Line, Why: fmt.Sprintf("%s is closed", r.Tag(t.Number)), Valid: `"reopen" there first, or link`})
			return
		}
	}
	if !into.Status.Live() && from.Status.Live() { // it would end unseen
		d.Errors = append(d.Errors, CommandError{Line: c.Line, Why: fmt.Sprintf("%s is resolved", r.Tag(into.Number)), Valid: `"reopen" there first, or link`})
		return
	}
	if !r.sameMailbox(into.Mailbox, from.Mailbox) {
		d.Errors = append(d.Errors, CommandError{Line: c.Line, Why: "the tickets belong to different mailboxes", Valid: "link " + other.Number.String()})
		return
	}
	d.Merge = &Merging{From: from.Number, Into: into.Number}
	e.Before, e.After = r.Tag(from.Number), "closed, and goes on as "+r.Tag(into.Number)
}

// link notes that the ticket has to do with another one.
func (r *Rules) link(d *Decision, f Facts, c Command, e *Effect, k *Known) {
	other, ok := r.named(d, f, c, k)
	if !ok {
		return
	}
	e.Before, e.After = "not linked", "linked with "+r.Tag(other.Number)
	if !slices.Contains(d.Links, other.Number) {
		d.Links = append(d.Links, other.Number)
	}
}

// named finds the ticket that a command names beside the one it is about.
func (r *Rules) named(d *Decision, f Facts, c Command, k *Known) (Facts, bool) {
	n, _ := ticket.ParseNumber(c.Value)
	n = k.current(n)
	other, ok := k.Tickets[n]
	switch {
	case !ok:
		d.Errors = append(d.Errors, CommandError{Line: c.Line, Why: "there is no ticket " + c.Value, Valid: "the number of another ticket"})
	case n == f.Number:
		d.Errors = append(d.Errors, CommandError{Line: c.Line, Why: fmt.Sprintf("%s is this ticket itself", r.Tag(n)), Valid: "the number of another ticket"})
		ok = false
	}
	return other, ok
}

// due sets or takes away the date of a reminder.
func (r *Rules) due(d *Decision, f Facts, c Command, e *Effect) {
	var at time.Time
	if c.Value != noDate {
		at, _ = time.Parse(time.RFC3339, c.Value)
	}
	e.Before, e.After = r.Day(f.Due), r.Day(at)
	if !at.Equal(f.Due) {
		d.Due = &at
	}
}

// Day shows the date of a reminder, in the desk's time zone.
func (r *Rules) Day(at time.Time) string {
	if at.IsZero() {
		return "no date"
	}
	return at.In(r.location()).Format("Mon 2006-01-02 15:04")
}

// SpamTag marks a ticket that is spam.
const SpamTag = "spam"

// markSpam marks ticket and requester as spam, or takes the marks off.
func (r *Rules) markSpam(d *Decision, f Facts, c Command, e *Effect) {
	marked := slices.Contains(f.Tags, SpamTag)
	e.Before, e.After = "no spam", "spam: "+orNobody(f.Requester)+" is heard no more"
	if marked {
		e.Before = "spam"
	}
	if c.Verb == NotSpamVerb {
		e.Before, e.After = "spam", "no spam: "+orNobody(f.Requester)+" is heard again"
	}
	switch {
	case c.Verb == SpamVerb && r.Works(f.Requester):
		d.Errors = append(d.Errors, CommandError{Line: c.Line, Why: f.Requester + " is a technician", Valid: "closed"})
	case c.Verb == NotSpamVerb && !marked: // another ticket of the requester's may be
		d.NotSpam, d.MarkKept = true, true
	case c.Verb == SpamVerb:
		d.Spam, d.MarkKept = true, marked // what was said elsewhere may have lifted that
		if f.Status != ticket.Closed {
			d.Changes = append(d.Changes, Change{ticket.Close, f.Status, ticket.Closed})
		}
	default:
		d.NotSpam = true
		if f.Status == ticket.Closed {
			d.Changes = append(d.Changes, Change{ticket.Reopen, f.Status, ticket.Open})
		}
	}
}

// Part is the mail that a split takes into a ticket of its own.
type Part struct {
	Intake  int64
	Author  Address
	Subject string
	Text    string
	First   bool // the ticket began with it
}

// SplitOff completes a decision that asks for Split: the mail that the
// technician's mail answers becomes a ticket of its own. Nothing changes, and
// the sender is told why, when that mail is not known or began the ticket.
func (r *Rules) SplitOff(m *Message, d *Decision, f Facts, part *Part) {
	line := d.Commands[0].Line
	why, valid := "", "split as the answer to the notice of the mail that is to become a ticket of its own"
	switch {
	case part == nil:
		why = "your mail does not answer a mail of the ticket"
	case part.First:
		why = "the ticket began with that mail"
	case r.Works(part.Author.Addr) || part.Author.Addr == "":
		why = "that mail is no requester's"
	}
	if why != "" {
		d.Errors = []CommandError{{Line: line, Why: why, Valid: valid}}
		r.refuseCommands(m, d)
		return
	}
	subject := r.Subject(part.Subject).Bare
	if subject == "" {
		subject = firstLine(part.Text)
	}
	d.Open = &Opening{
		Subject: clip(subject, 250), Requester: part.Author, Priority: f.Priority, Team: f.Team, Linked: f.Number, LinkedAs: "split",
	}
	d.Notes = append(d.Notes, "split from "+r.Tag(f.Number)+" by "+d.Sender.Address)
	d.Effects = []Effect{{Line: line, After: "a ticket of its own"}}
	d.Tell = []Tell{Acknowledge, NotifyTeam}
	if !quiet(d.Commands) {
		d.Tell = append(d.Tell, Transcribe)
	}
}

// addSubjectCommands reads commands of the closed form "[status=resolved]" at
// the end of a subject, where the technician has typed it: in answer to a mail
// of ours, whose subject never ends so, or in a mail that answers none. Any
// other answer or forward repeats what somebody else may have written (T8).
func (r *Rules) addSubjectCommands(m *Message, d *Decision, c *Commands, own string, now time.Time) {
	s := r.Subject(m.Subject)
	said := s.Commands
	typed := !s.Reply && !s.Forward && len(m.InReplyTo)+len(m.References) == 0
	if len(said) == 0 || d.Match.How != BySignedID && !typed {
		return
	}
	if strings.HasSuffix(strings.TrimSpace(own), "]") && len(splitSubject(own, r.prefixes).Commands) > 0 {
		return
	}
	for _, line := range said {
		cmd, bad, _ := r.readLine(line, now)
		if bad != nil {
			c.Errors = append(c.Errors, *bad)
			continue
		}
		c.List = append(c.List, cmd)
	}
	if len(c.List) > maxCommands {
		c.Errors = append(c.Errors, CommandError{Line: said[0], Why: fmt.Sprintf("%d commands in one mail", len(c.List)), Valid: fmt.Sprintf("at most %d", maxCommands)})
	}
	if len(c.Errors) == 0 {
		c.Errors = conflicts(c.List)
	}
}
