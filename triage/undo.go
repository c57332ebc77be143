package triage

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"deskd/triage/ticket"
)

// undoFor is how long a command mail can be taken back.
const undoFor = 15 * time.Minute

// Past is one event of a ticket's timeline, as far as taking it back goes.
type Past struct {
	Intake        int64 // the mail that did it
	At            time.Time
	Actor         string
	What          string // one of those below; others cannot be taken back
	Before, After string
}

// What can be taken back of a ticket. Links and merges name the other ticket,
// spam the address.
const (
	StatusEvent      = "status"
	AssigneeEvent    = "assignee"
	TeamEvent        = "team"
	PriorityEvent    = "priority"
	ParticipantEvent = "participant"
	DueEvent         = "due" // RFC 3339; empty: none
	LinkEvent        = "link"
	MergeEvent       = "merged"
	MergedInEvent    = "merged in" // the other side of it
	SpamEvent        = "spam"
	BlockEvent       = "blocked" // the requester, or no more, while the ticket kept its mark or had none
)

func undoable(what string) bool {
	switch what {
	case StatusEvent, AssigneeEvent, TeamEvent, PriorityEvent, ParticipantEvent, DueEvent, LinkEvent, MergeEvent, MergedInEvent, SpamEvent, BlockEvent:
		return true
	}
	return false
}

// lasting are events that undo cannot take back, and what it says of them.
var lasting = map[string]string{
	"split":   "a split is not taken back; merge the two tickets instead",
	"muted":   "your last mail muted the ticket; write unmute",
	"unmuted": "your last mail unmuted the ticket; write mute",
}

// thing is what an event is about.
type thing struct{ what, who string }

func (p *Past) thing() thing {
	of := thing{what: p.What}
	if p.What == ParticipantEvent || p.What == LinkEvent {
		of.who = p.Before + p.After
	}
	return of
}

// net is what one mail changed, in order, but for what it set back itself.
func net(timeline []Past, intake int64) []Past {
	var all []Past
	at := map[thing]int{}
	for _, p := range timeline {
		if p.Intake != intake || !undoable(p.What) {
			continue
		}
		if i, known := at[p.thing()]; known {
			all[i].After = p.After
			continue
		}
		at[p.thing()] = len(all)
		all = append(all, p)
	}
	return slices.DeleteFunc(all, func(p Past) bool { return p.Before == p.After })
}

// LastChange is the last mail of the sender that changed the ticket, found in
// its timeline; 0 if there is none.
func (r *Rules) LastChange(d *Decision, timeline []Past) int64 {
	tried := map[int64]bool{0: true}
	for _, p := range slices.Backward(timeline) {
		if p.Actor != d.Sender.Address || tried[p.Intake] {
			continue
		}
		if lasting[p.What] != "" || len(net(timeline, p.Intake)) > 0 {
			return p.Intake
		}
		tried[p.Intake] = undoable(p.What)
	}
	return 0
}

// TakeBack completes a decision that asks for Undo: what the intake, which is
// LastChange, changed on any ticket is set back. timelines are those of all
// tickets that it changed, the oldest event first. Nothing is, and the sender
// is told why, when it is too long ago or somebody has changed the same thing
// since.
func (r *Rules) TakeBack(m *Message, d *Decision, k *Known, intake int64, timelines map[ticket.Number][]Past) {
	line := d.Commands[0].Line
	fail := func(why string) {
		d.Errors = []CommandError{{Line: line, Why: why, Valid: "commands that set it as it should be"}}
		r.refuseCommands(m, d)
	}
	if intake == 0 {
		fail("no mail of yours has changed this ticket")
		return
	}
	if why := r.takeBack(d, k, intake, timelines[d.Ticket]); why != "" {
		fail(why)
		return
	}
	for _, n := range slices.Sorted(maps.Keys(timelines)) {
		if n == d.Ticket {
			continue
		}
		one := Decision{Fate: Appended, Reason: "undo", Kind: d.Kind, Sender: d.Sender, Ticket: n}
		if why := r.takeBack(&one, k, intake, timelines[n]); why != "" {
			fail(r.Tag(n) + ": " + why)
			return
		}
		one.Tell = r.tellOf(&one, k.Tickets[n])
		for i := range one.Effects {
			one.Effects[i].Line += " of " + r.Tag(n)
		}
		d.Effects = append(d.Effects, one.Effects...)
		d.Batch = append(d.Batch, one)
	}
	d.Tell = r.tellOf(d, k.Tickets[d.Ticket])
}

// takeBack sets one ticket back, or says why not.
func (r *Rules) takeBack(d *Decision, k *Known, intake int64, timeline []Past) (why string) {
	changes := net(timeline, intake)
	mine := map[thing]bool{}
	for _, p := range changes {
		mine[p.thing()] = true
		switch {
		case k.Now.Sub(p.At) > undoFor:
			return fmt.Sprintf("your last change is older than %d minutes", int(undoFor.Minutes()))
		case (p.What == MergeEvent || p.What == LinkEvent) && p.After == "":
			return "a merge or link that was taken back does not come back so"
		}
	}
	end, sent := 0, false
	for i, p := range timeline {
		if p.Intake != intake {
			continue
		}
		end = i + 1
		if why := lasting[p.What]; why != "" {
			return why
		}
		if p.What == "message" {
			sent = true
		}
	}
	since := timeline[end:]
	looked := map[int64]bool{}
	for _, p := range since {
		if looked[p.Intake] {
			continue
		}
		looked[p.Intake] = true
		for _, later := range net(since, p.Intake) {
			if mine[later.thing()] {
				return fmt.Sprintf("%s has changed the %s since", later.Actor, later.What)
			}
		}
	}
	for i := range changes {
		r.setBack(d, &changes[i])
	}
	if sent {
		d.Notes = append(d.Notes, "what was sent to the requester stays sent")
	}
	if closes(d.Changes) {
		if ok, why := r.strongEnough(d.Sender, StrictClose); !ok { // T48
			return why
		}
	}
	return ""
}

// setBack takes one change back.
func (r *Rules) setBack(d *Decision, p *Past) {
	e := Effect{Line: "undo: " + p.What, Before: orNobody(p.After), After: orNobody(p.Before)}
	switch p.What {
	case StatusEvent:
		before, after := ticket.Status(p.After), ticket.Status(p.Before)
		d.Changes = []Change{{Act: "undo", Before: before, After: after}}
		e.Before, e.After = before.Label(), after.Label()
	case AssigneeEvent:
		d.Assign, d.Drop = p.Before, p.Before == ""
	case TeamEvent:
		d.Team = p.Before
	case PriorityEvent:
		d.Priority = p.Before
	case ParticipantEvent:
		e.Line = "undo: " + p.Before + p.After
		e.Before, e.After = "no participant", "participant"
		if p.After != "" {
			e.Before, e.After = e.After, e.Before
			d.Leaves = append(d.Leaves, p.After)
		} else {
			d.Joins = append(d.Joins, Address{Addr: p.Before})
		}
	case DueEvent:
		was, _ := time.Parse(time.RFC3339, p.Before)
		is, _ := time.Parse(time.RFC3339, p.After)
		d.Due = &was
		e.Before, e.After = r.Day(is), r.Day(was)
	case LinkEvent:
		other, _ := ticket.ParseNumber(p.After)
		d.Unlinks = append(d.Unlinks, other)
		e.Before, e.After = "linked with "+r.Tag(other), "not linked"
	case MergeEvent:
		into, _ := ticket.ParseNumber(p.After)
		d.Unmerge = into
		e.Before, e.After = "part of "+r.Tag(into), "a ticket of its own"
	case MergedInEvent:
		return // the ticket that went into this one goes on by itself
	case SpamEvent, BlockEvent:
		d.Spam, d.NotSpam = p.After == "", p.After != ""
		d.MarkKept, d.Reversed = p.What == BlockEvent, true
		e.Before, e.After = "no spam", "spam"
		if d.NotSpam {
			e.Before, e.After = e.After, e.Before
		}
	}
	d.Effects = append(d.Effects, e)
}

// lone are the verbs that no other command may stand beside, but for those
// that change nothing of the ticket.
func (v Verb) lone() bool {
	switch v {
	case UndoVerb, SplitVerb, MergeVerb, SpamVerb, NotSpamVerb:
		return true
	}
	return false
}

// standsAlone gives the verb of a mail that must have it for itself; bad when
// it has not.
func standsAlone(list []Command) (lone Verb, bad *CommandError) {
	others := 0
	for _, c := range list {
		switch {
		case c.Verb.lone() && lone == "":
			lone = c.Verb
		case c.Verb == QuietVerb, c.Verb == NoteVerb, c.Verb.asks():
		default:
			others++
		}
	}
	if lone != "" && others > 0 {
		return lone, &CommandError{Line: strings.TrimSpace(list[0].Line), Why: string(lone) + " stands beside other commands", Valid: string(lone) + " in a mail of its own"}
	}
	return lone, nil
}

// changing says whether one of the commands is no question.
func changing(list []Command) bool {
	return slices.ContainsFunc(list, func(c Command) bool { return !c.Verb.asks() })
}

// quiet says whether a mail wants no transcript.
func quiet(list []Command) bool {
	return slices.ContainsFunc(list, func(c Command) bool { return c.Verb == QuietVerb })
}
