package triage

import (
	"fmt"
	"strings"
	"unicode"

	"deskd/triage/ticket"
)

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

// Storm is what all senders have opened in a mailbox within the last hour, by
// subject. It is nil while they are fewer than StormAfter.
type Storm map[string]First

// First is the first ticket of a storm with its subject.
type First struct {
	Number    ticket.Number
	Requester string // as Canonical has it
}

// Add notes a ticket, unless it is of no subject or not the first of its own.
func (s Storm) Add(subject string, f First) {
	key := stormKey(subject)
	if _, ok := s[key]; !ok && key != "" && s != nil {
		s[key] = f
	}
}

// StormAfter is how many tickets within an hour are a storm.
const StormAfter = floodAfter

// stormKey is the form in which subjects are alike. Empty: alike to none.
func stormKey(subject string) string {
	return strings.Join(strings.FieldsFunc(strings.ToLower(subject), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }), " ")
}

// storms links a ticket that one of many senders opens to the first about the
// same: an outage that everybody reports, or one flood under many names. They
// stay tickets of their own, since each sender may be a person who waits for an
// answer (T21).
func (r *Rules) storms(d *Decision, k *Known) {
	if d.Open == nil || d.Open.Linked != 0 {
		return
	}
	first, ok := k.Storm[stormKey(d.Open.Subject)]
	if !ok || first.Requester == r.Canonical(d.Open.Requester.Addr) {
		return
	}
	d.Open.Linked, d.Open.LinkedAs = first.Number, "same subject"
	d.Notes = append(d.Notes, fmt.Sprintf("one of many new tickets; %s was the first with this subject", r.Tag(first.Number)))
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
