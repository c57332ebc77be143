package triage

import (
	"slices"

	"deskd/triage/ticket"
)

// What Trust.StrictFor may name.
const (
	StrictClose = "close" // commands that close a ticket
	StrictBatch = "batch" // commands on several tickets in one mail
)

// strongEnough says whether the sender's proof is enough for something that
// the settings may be strict about, and what is missing if it is not.
//
// A mail smuggled past the border carries a real pass (T48). Where the settings
// ask for it, such a mail must also hold what only somebody has who got mail
// from us: a signed reference to the ticket, in the address it went to or among
// the mails it answers (T1). A reference alone proves nothing (T7).
func (r *Rules) strongEnough(s Sender, what string) (ok bool, why string) {
	switch {
	case !s.Authenticated:
		return false, "the sender is not proven: " + s.Why
	case slices.Contains(r.p.Trust.StrictFor, what) && !s.Signed:
		return false, "the settings want a mail for this that answers one of the desk's own about the ticket"
	}
	return true, ""
}

// signedLead says whether a ticket was found by something that we signed.
func (m Match) signedLead() bool { return m.Ticket != 0 && (m.How == ByToken || m.How == BySignedID) }

// closes says whether the changes leave the ticket closed.
func closes(changes []Change) bool {
	return slices.ContainsFunc(changes, func(c Change) bool { return c.After == ticket.Closed })
}

// holdClosing complains where the changes close a ticket and the proof is too
// weak for that.
func (r *Rules) holdClosing(d *Decision) {
	if !closes(d.Changes) && d.Merge == nil {
		return
	}
	if ok, why := r.strongEnough(d.Sender, StrictClose); !ok {
		line := "closed"
		for _, e := range d.Effects {
			if e.After == ticket.Closed.Label() {
				line = e.Line
			}
		}
		d.Errors = append(d.Errors, CommandError{Line: line, Why: why, Valid: "the same line in an answer to a mail of the desk about this ticket"})
	}
}
