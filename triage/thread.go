package triage

import (
	"strings"
	"time"

	"deskd/triage/ticket"
)

// Leads are what a message says about the ticket it belongs to, each kind in
// the order in which it is believed. The desk looks them up and fills Known.
type Leads struct {
	Tokens  []string        // signed tokens out of recipient addresses, verified
	IDs     []string        // Message-IDs it answers, newest first
	Numbers []ticket.Number // tickets named by a token, a signed Message-ID, a subject tag or a technician's command
	Given   ticket.Number   // the highest that we have signed: it was given, whether the ticket is here or not (F21); 0: none
}

// Leads lists what to look up for a message that is read now: dates in words
// are as of then, whatever the mail says of its own time (F29).
func (r *Rules) Leads(m *Message, now time.Time) Leads {
	l := Leads{IDs: answered(m)}
	add := func(n ticket.Number) {
		for _, have := range l.Numbers {
			if have == n {
				return
			}
		}
		l.Numbers = append(l.Numbers, n)
	}
	for _, t := range r.addressTokens(m) {
		n, _ := r.signer.VerifyAddressToken(t)
		l.Tokens = append(l.Tokens, t)
		add(n)
		l.Given = max(l.Given, n)
	}
	for _, id := range l.IDs {
		if n, ok := r.signer.VerifyMessageID(id); ok {
			add(n)
			l.Given = max(l.Given, n)
		}
	}
	for _, n := range r.Subject(m.Subject).Numbers {
		add(n)
	}
	if r.Works(r.Canonical(m.From.Addr)) {
		for _, n := range r.mentioned(m, now) {
			add(n)
		}
	}
	return l
}

// answered lists the mail that a report is about, In-Reply-To and then
// References from the newest to the oldest, each id once.
func answered(m *Message) []string {
	var ids []string
	seen := map[string]bool{}
	add := func(id string) {
		if id != "" && !seen[id] && len(ids) < 100 {
			seen[id] = true
			ids = append(ids, id)
		}
	}
	if m.Report != nil {
		add(m.Report.MessageID)
	}
	for i := len(m.InReplyTo) - 1; i >= 0; i-- {
		add(m.InReplyTo[i])
	}
	for i := len(m.References) - 1; i >= 0; i-- {
		add(m.References[i])
	}
	return ids
}

// addressTokens finds verified tokens in sub-addresses of our own mailboxes:
// support+1042.abc.def@… (RFC 5233 calls the part behind the plus the detail).
func (r *Rules) addressTokens(m *Message) []string {
	all := append([]string{}, m.Recipients...)
	for _, list := range [][]Address{m.To, m.Cc} {
		for _, a := range list {
			all = append(all, a.Addr)
		}
	}
	var tokens []string
	for _, a := range all {
		a = strings.ToLower(a)
		local, domain, ok := strings.Cut(a, "@")
		if !ok {
			continue
		}
		box, detail, ok := strings.Cut(local, "+")
		if !ok || !r.own[box+"@"+domain] {
			continue
		}
		if _, ok := r.signer.VerifyAddressToken(detail); ok {
			tokens = appendNew(tokens, detail)
		}
	}
	return tokens
}

// Match is the ticket that a message was found to speak of.
type Match struct {
	Ticket ticket.Number `json:"ticket,omitempty"` // 0: none
	How    How           `json:"how"`
	Lead   string        `json:"lead,omitempty"` // the token, id or tag that led there
}

// How is the kind of lead that decided.
type How string

// Kinds of leads, the strongest first.
const (
	ByToken     How = "address token"
	BySignedID  How = "signed message-id"
	ByMessageID How = "message-id"
	ByTag       How = "subject tag"
	NoMatch     How = "none"
)

// match finds the ticket a message speaks of; the first lead that leads to an
// existing ticket wins (product.md 3). It says nothing about rights.
func (r *Rules) match(m *Message, k *Known, s Sender) Match {
	found := func(n ticket.Number, how How, lead string) (Match, bool) {
		n = k.current(n)
		_, ok := k.Tickets[n]
		return Match{n, how, lead}, ok
	}
	for _, t := range r.addressTokens(m) {
		n, ok := r.signer.VerifyAddressToken(t)
		if ok && r.signer.TokenOf(t, k.Tickets[n].Key) {
			if match, ok := found(n, ByToken, t); ok {
				return match
			}
		}
	}
	ids := answered(m)
	// Numbers that meant another ticket when the mail was answered: of a ticket
	// that was lost with a database, whose number was given again (F21).
	lost := map[ticket.Number]bool{}
	for _, id := range ids {
		n, ok := r.signer.VerifyMessageID(id)
		if !ok {
			continue
		}
		if !r.signer.MessageIDOf(id, k.Tickets[n].Key) {
			lost[n] = true
		} else if match, ok := found(n, BySignedID, id); ok {
			return match
		}
	}
	for _, id := range ids {
		if match, ok := found(r.ofMailbox(k, s, k.ByID[id]), ByMessageID, id); ok {
			return match
		}
	}
	for _, n := range r.Subject(m.Subject).Numbers {
		if match, ok := found(n, ByTag, r.Tag(n)); ok && !lost[n] {
			return match
		}
	}
	return Match{How: NoMatch}
}

// ofMailbox chooses among tickets that one Message-ID leads to: those that the
// sender has a part in go before others, those of this mailbox before those of
// another, a live one before one that is done, the newest before older ones.
// Where the sender has no part in any, the oldest is meant: a later one may
// have been made to catch the thread (T6).
func (r *Rules) ofMailbox(k *Known, s Sender, among []ticket.Number) ticket.Number {
	var best ticket.Number
	rank := -1
	for _, n := range among {
		f, ok := k.Tickets[n]
		if !ok {
			if into, merged := k.Merged[n]; merged && best == 0 {
				best = into
			}
			continue
		}
		points := 0
		if r.canonical(f).role(s) != Stranger {
			points = 4
			if r.sameMailbox(f.Mailbox, k.Mailbox) {
				points += 2
			}
			if f.Status != ticket.Closed {
				points++
			}
		}
		if points > rank || points == rank && points > 0 {
			best, rank = n, points
		}
	}
	return best
}

// sameMailbox says whether a ticket's mailbox is the one a mail came through.
// One that is not in the settings any more counts as the same: its tickets
// must go on somewhere.
func (r *Rules) sameMailbox(ticket, mail string) bool {
	a, known := r.box[strings.ToLower(ticket)]
	b := r.box[strings.ToLower(mail)]
	return !known || a == b
}

// role gives the sender's role on one ticket, at least the desk-wide one.
func (f Facts) role(s Sender) Role {
	switch {
	case s.Address == "":
		return Stranger
	case strings.EqualFold(f.Requester, s.Address):
		return Requester
	case s.Role.works():
		return s.Role
	case containsFold(f.Participants, s.Address):
		return Participant
	}
	return Stranger
}
