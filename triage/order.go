package triage

import (
	"fmt"
	"strings"
	"time"

	"deskd/triage/ticket"
)

// ReadOrders reads commands that an administrator gives at the desk's own
// machine, when mail is down: each line is one, by the grammar of mails. They
// are all that is said, so a line that is no command is an error. The numbers
// are of further tickets that they name.
func (r *Rules) ReadOrders(lines []string, now time.Time) (Commands, []ticket.Number) {
	var c Commands
	var named []ticket.Number
	for _, line := range lines {
		cmd, bad, isCommand := r.readLine(line, now)
		switch {
		case !isCommand:
			bad = &CommandError{Line: clip(phone(line), 80), Why: fmt.Sprintf("there is no command %q", clip(bare(line), 60)), Valid: suggest(bare(line))}
		case bad == nil && needsMail(cmd.Verb) != "":
			bad = &CommandError{Line: cmd.Line, Why: fmt.Sprintf("%q cannot be given here", cmd.Verb), Valid: needsMail(cmd.Verb)}
		}
		if bad != nil {
			c.Errors = append(c.Errors, *bad)
			continue
		}
		c.List, named = append(c.List, cmd), appendNamed(named, cmd)
	}
	if len(lines) > maxCommands {
		c.Errors = append(c.Errors, CommandError{
			Line: clip(phone(lines[0]), 80), Why: fmt.Sprintf("%d commands at once", len(lines)), Valid: fmt.Sprintf("at most %d", maxCommands),
		})
	}
	if len(lines) == 0 {
		c.Errors = append(c.Errors, CommandError{Why: "there is no command", Valid: verbsInWords})
	}
	if _, bad := standsAlone(c.List); bad != nil {
		c.Errors = append(c.Errors, *bad)
	}
	c.Errors = append(c.Errors, conflicts(c.List)...)
	return c, named
}

// needsMail says what to do instead where a command means something only in
// somebody's mail; empty for the others.
func needsMail(v Verb) string {
	switch {
	case v == TakeVerb:
		return "assign, and the address of a technician"
	case v == UndoVerb:
		return "commands that set it as it should be"
	case v == ReplyVerb, v == NoteVerb, v == SplitVerb, v == ForVerb, v == MuteVerb, v == UnmuteVerb, v == QuietVerb:
		return "it in a mail"
	case v.asks():
		return "deskd tickets, show and why"
	}
	return ""
}

// Obey decides on such commands for one ticket, with the rights of an
// administrator: nobody but who owns the machine can give them. Like one mail
// they are obeyed all or not at all; Errors say what is wrong. Nobody gets a
// transcript.
func (r *Rules) Obey(c Commands, n ticket.Number, k *Known) Decision {
	d := Decision{
		Fate: Appended, Reason: "commands", Kind: KindVerdict{Kind: KindPerson, Why: "command line", Tell: true},
		Sender: Sender{Name: "an administrator", Role: Administrator, Authenticated: true, Signed: true, Proof: "command line", Why: "given at the machine itself"},
	}
	n = k.current(n)
	f, known := k.Tickets[n]
	d.Errors = c.Errors
	switch {
	case !known:
		d.Errors = append(d.Errors, CommandError{Why: "there is no ticket " + n.String(), Valid: "the number out of a subject, as in " + r.Tag(1042)})
	case len(d.Errors) == 0:
		d.Ticket = n
		r.apply(c, false, &d, f, k)
	}
	if len(d.Errors) > 0 {
		return Decision{Fate: Refused, Reason: "command-error", Kind: d.Kind, Sender: d.Sender, Errors: d.Errors}
	}
	d.Commands = c.List
	for _, t := range r.tellOf(&d, f) {
		if t != Transcribe {
			d.Tell = append(d.Tell, t)
		}
	}
	return d
}

// Lines are the commands as they were written.
func (c Commands) Lines() string {
	lines := make([]string, len(c.List))
	for i, cmd := range c.List {
		lines[i] = cmd.Line
	}
	return strings.Join(lines, ", ")
}
