package triage

import (
	"slices"
	"strings"
	"time"

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
// ask for it, such a mail must also hold what only its sender has: the signed
// Message-ID of a mail of ours to them, among those that it answers (T1). The id
// alone proves nothing (T7).
func (r *Rules) strongEnough(s Sender, what string) (ok bool, why string) {
	switch {
	case !s.Authenticated:
		return false, "the sender is not proven: " + s.Why
	case slices.Contains(r.p.Trust.StrictFor, what) && !s.Signed:
		return false, "the settings want a mail for this that answers a recent one of the desk's own to you about the ticket"
	}
	return true, ""
}

// Strict says whether anything needs more than a proven sender, so that
// Known.Told is looked at.
func (r *Rules) Strict() bool { return len(r.p.Trust.StrictFor) > 0 }

// TellsFor is how long a mail of ours counts for what the settings are strict
// about. It counts for no second closing of its ticket (T7).
const TellsFor = 30 * 24 * time.Hour

// holds says whether a mail answers one of ours about the ticket that went to
// its sender, or to a list of which the sender is one: the others on a ticket
// have signed ids of it too (T7).
func (r *Rules) holds(m *Message, k *Known, s Sender, n ticket.Number) bool {
	for _, id := range answered(m) {
		of, ours := r.signer.VerifyMessageID(id)
		if !ours || k.current(of) != n || !r.signer.MessageIDOf(id, k.Tickets[of].Key) {
			continue
		}
		if slices.ContainsFunc(k.Told[id], func(to string) bool { return r.reaches(to, s.Address) }) {
			return true
		}
	}
	return false
}

// reaches says whether mail to an address comes to somebody: their own, or the
// list of a team with them on its roster.
func (r *Rules) reaches(to, who string) bool {
	if r.Canonical(to) == who {
		return true
	}
	return slices.ContainsFunc(r.p.Teams, func(t Team) bool {
		return strings.EqualFold(t.List, to) && slices.ContainsFunc(t.Roster, func(a string) bool { return r.Canonical(a) == who })
	})
}

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
		d.Errors = append(d.Errors, CommandError{Line: line, Why: why, Valid: "the same line in an answer to the newest mail of the desk to you about this ticket"})
	}
}
