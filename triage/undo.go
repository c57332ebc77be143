package triage

import (
	"fmt"
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
	What          string // "status", "assignee", "team", "priority", "participant"; others cannot be taken back
	Before, After string
}

// TakeBack completes a decision that asks for Undo: the last mail of the
// sender that changed the ticket is found in its timeline, the oldest event
// first, and what it changed is set back. Nothing is, and the sender is told
// why, when it is too long ago or somebody has changed the same thing since.
func (r *Rules) TakeBack(m *Message, d *Decision, k *Known, timeline []Past) {
	line := d.Commands[0].Line
	fail := func(why, valid string) {
		d.Errors = []CommandError{{Line: line, Why: why, Valid: valid}}
		r.refuseCommands(m, d)
	}
	var intake int64
	for _, p := range timeline {
		if p.Actor == d.Sender.Address && p.Intake != 0 && undoable(p.What) {
			intake = p.Intake
		}
	}
	if intake == 0 {
		fail("no mail of yours has changed this ticket", "commands that set it as it should be")
		return
	}
	type thing struct{ what, who string }
	var order []thing
	changed := map[thing]*Past{}
	sent := false
	for _, p := range timeline {
		of := thing{what: p.What}
		if p.What == "participant" {
			of.who = p.Before + p.After
		}
		known := changed[of]
		switch {
		case p.Intake != intake:
			if known != nil {
				fail(fmt.Sprintf("%s has changed the %s since", p.Actor, p.What), "commands that set it as it should be")
				return
			}
		case p.What == "message":
			sent = true
		case !undoable(p.What):
		case known != nil:
			known.After = p.After
		default:
			if k.Now.Sub(p.At) > undoFor {
				fail(fmt.Sprintf("your last change is older than %d minutes", int(undoFor.Minutes())), "commands that set it as it should be")
				return
			}
			first := p
			changed[of] = &first
			order = append(order, of)
		}
	}
	for _, of := range order {
		p := changed[of]
		if p.Before == p.After {
			continue
		}
		e := Effect{Line: "undo: " + of.what, Before: orNobody(p.After), After: orNobody(p.Before)}
		switch of.what {
		case "status":
			before, after := ticket.Status(p.After), ticket.Status(p.Before)
			d.Changes = []Change{{Act: "undo", Before: before, After: after}}
			e.Before, e.After = before.Label(), after.Label()
		case "assignee":
			d.Assign, d.Drop = p.Before, p.Before == ""
		case "team":
			d.Team = p.Before
		case "priority":
			d.Priority = p.Before
		case "participant":
			e.Line = "undo: " + of.who
			if p.After != "" {
				e.Before, e.After = "participant", "no participant"
				d.Leaves = append(d.Leaves, p.After)
			} else {
				e.Before, e.After = "no participant", "participant"
				d.Joins = append(d.Joins, Address{Addr: p.Before})
			}
		}
		d.Effects = append(d.Effects, e)
	}
	if sent {
		d.Notes = append(d.Notes, "what was sent to the requester stays sent")
	}
	d.Tell = r.tellOf(d, k.Tickets[d.Ticket])
}

func undoable(what string) bool {
	switch what {
	case "status", "assignee", "team", "priority", "participant":
		return true
	}
	return false
}

// asksUndo says whether the commands are to take something back, which no
// other command may stand beside.
func asksUndo(list []Command) (undo bool, bad *CommandError) {
	others := 0
	for _, c := range list {
		switch c.Verb {
		case UndoVerb:
			undo = true
		case QuietVerb, NoteVerb:
		default:
			others++
		}
	}
	if undo && others > 0 {
		return true, &CommandError{Line: strings.TrimSpace(list[0].Line), Why: "undo stands beside other commands", Valid: "undo in a mail of its own"}
	}
	return undo, nil
}
