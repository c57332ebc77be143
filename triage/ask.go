package triage

import (
	"time"

	"deskd/triage/ticket"
)

// ask adds a question to those that are answered by mail. Where it names no
// ticket, it is about the one that the mail is about.
func (r *Rules) ask(c Command, d *Decision) {
	if c.Value == "" && d.Ticket != 0 && (c.Verb == ShowVerb || c.Verb == StateVerb) {
		c.Value = d.Ticket.String()
	}
	d.Ask = append(d.Ask, c)
}

// asksStatus says whether a requester's whole text is the question how things
// stand.
func asksStatus(text string) bool { return bare(text) == string(StateVerb) }

// askOwn is that question in a mail that belongs to no ticket: it is about all
// tickets of the sender. It opens none.
func (r *Rules) askOwn(d *Decision) {
	d.Fate, d.Reason, d.Ticket = Appended, "query", 0
	d.Ask = []Command{{Line: string(StateVerb), Verb: StateVerb}}
	if d.Kind.Answer && d.Sender.Address != "" {
		d.Tell = []Tell{AnswerQuery}
	}
}

// confirming are the words that confirm a mail, in lower case.
var confirming = wordSet("yes y yep ja oui si sí sim tak да так ano áno igen evet nai ναι kyllä はい 是 예 네 jo da")

// confirm is the answer to the question whether a mail was the technician's
// own. The question went to the address of the roster alone, under a signed
// Message-ID that nobody else can know; who answers to it reads that mailbox.
// It is false for an answer that is no yes.
func (r *Rules) confirm(m *Message, d *Decision, k *Known) bool {
	c := k.Challenge
	if d.Sender.Address != lowerASCII(c.Address) || !r.Works(c.Address) || !confirming[bare(d.NewText)] || m.Ambiguous || !d.Kind.Tell {
		return false
	}
	d.Ticket, d.Write = 0, nil
	switch {
	case c.Spent:
		d.Errors = []CommandError{{Line: "yes", Why: "the question was answered before", Valid: "the commands in a mail of their own"}}
	case k.Now.After(c.Expires):
		d.Errors = []CommandError{{Line: "yes", Why: "the question is older than an hour", Valid: "the commands in a mail of their own"}}
	default:
		d.Fate, d.Reason, d.Confirm = Appended, "confirmed", c.Intake
		return true
	}
	r.refuseWithoutTicket(d)
	return true
}

// mentioned are the tickets that a technician's mail names in its commands.
func (r *Rules) mentioned(m *Message, now time.Time) []ticket.Number {
	blocks := Split(m.Body)
	list, _ := r.readBatch(blocks, now)
	var all []ticket.Number
	for _, l := range list {
		all = append(all, l.number)
		all = appendNamed(all, l.cmd)
	}
	for _, line := range r.Subject(m.Subject).Commands {
		if c, bad, _ := r.readLine(line, now); bad == nil {
			all = appendNamed(all, c)
		}
	}
	if len(list) == 0 {
		for _, c := range r.ReadCommands(blocks, now).List {
			all = appendNamed(all, c)
		}
	}
	return all
}

func appendNamed(all []ticket.Number, c Command) []ticket.Number {
	switch c.Verb {
	case MergeVerb, LinkVerb, ShowVerb:
		if n, err := ticket.ParseNumber(c.Value); err == nil {
			all = append(all, n)
		}
	}
	return all
}
