package triage

import "deskd/triage/ticket"

// floodAfter is how many new tickets one sender may open within an hour. A
// person opens fewer; of what writes more, a ticket each helps nobody (T21).
const floodAfter = 20

// Flood is what the sender of a mail has opened in its mailbox within the last
// hour. Mails that our server vouches for and others are counted apart: else
// whoever forges a sender could fold the real one's requests away.
type Flood struct {
	Opened int           // tickets
	Newest ticket.Number // of these that is not done with; 0: none
}

// floods says whether the mail is to become part of a ticket that its sender
// has opened just before: it would open one more, and there are enough.
func (r *Rules) floods(m *Message, k *Known, d *Decision) bool {
	return d.Open != nil && m.From.Addr != "" && !(d.Sender.Role.works() && d.Sender.Authenticated) && k.Flood.Opened >= floodAfter && k.Flood.Newest != 0
}

// fold puts a mail that would have opened a ticket on the flood's. Nobody is
// told: the team has heard of the flood, and an answer would be one of many.
func (r *Rules) fold(d *Decision, k *Known) {
	if d.Open.Linked != 0 {
		d.Notes = append(d.Notes, "it names "+r.Tag(d.Open.Linked)+", and was not linked to it")
	}
	d.Fate, d.Reason, d.Ticket = Folded, "flood", k.Flood.Newest
	d.Open, d.Tell, d.Joins, d.Reasons = nil, nil, nil, nil
	d.Write.Flags = append(d.Write.Flags, "one of a flood")
}

// MayFlood says whether the mail may open a ticket that counts towards a flood
// of its sender, who is given as Canonical has it, and whether our server
// vouches for that.
func (r *Rules) MayFlood(m *Message) (addr string, proven, ok bool) {
	if m.From.Addr == "" || r.Own(m.From.Addr) {
		return "", false, false
	}
	s := r.sender(m)
	if s.Role.works() && s.Authenticated {
		return "", false, false
	}
	return s.Address, s.Authenticated, true
}
