package desk

import (
	"context"
	"crypto/rand"
	"fmt"
	"maps"
	"slices"

	"deskd/store"
	"deskd/triage"
	"deskd/triage/ticket"
)

// CommandsRefused says why commands were not obeyed: nothing has changed.
type CommandsRefused struct{ Errors []triage.CommandError }

func (e *CommandsRefused) Error() string {
	first := e.Errors[0]
	if first.Line != "" {
		return fmt.Sprintf("%q: %s", first.Line, first.Why)
	}
	return first.Why
}

// Obeyed is what commands did.
type Obeyed struct {
	Ticket  ticket.Number // another one than was named if that went into it
	Effects []triage.Effect
	Told    []string // who is written to
	Held    []string // who is not, and why
}

// Set obeys commands that somebody gives at the machine, as one mail of an
// administrator would be obeyed: all of them in one transaction with the
// events, which name actor, and the mails that follow, or none and a
// *CommandsRefused.
func (d *Desk) Set(ctx context.Context, n ticket.Number, lines []string, actor string) (Obeyed, error) {
	var done Obeyed
	err := d.store.Write(ctx, func(tx *store.Tx) (err error) {
		done, err = d.set(tx, n, lines, actor)
		return err
	})
	if err != nil {
		return Obeyed{}, err
	}
	d.log.Info("commands obeyed", "ticket", int64(done.Ticket), "reason", actor)
	d.Wake()
	return done, nil
}

func (d *Desk) set(tx *store.Tx, n ticket.Number, lines []string, actor string) (done Obeyed, err error) {
	defer catch(d.log, "obey commands", &err)
	commands, named := d.rules.ReadOrders(lines, d.now())
	k := &known{muted: map[ticket.Number]map[string]bool{}, byID: map[string][]ticket.Number{}, blocked: map[string]store.Blocked{}, answers: &answers{to: map[string]store.AutoSent{}}}
	if err := k.lookUpTickets(tx, append([]ticket.Number{n}, named...)); err != nil {
		return done, err
	}
	facts := &triage.Known{Now: d.now(), Tickets: map[ticket.Number]triage.Facts{}, Merged: k.merged}
	for _, one := range slices.Collect(maps.Keys(k.tickets)) {
		k.fact(facts, one)
	}
	dec := d.rules.Obey(commands, n, facts)
	if len(dec.Errors) > 0 {
		return done, &CommandsRefused{dec.Errors}
	}
	w := &work{Desk: d, tx: tx, k: k, m: &mail{}, in: &store.Intake{}, dec: dec, by: actor, once: rand.Text()}
	if err := tx.AddEvent(store.Event{Ticket: dec.Ticket, Actor: actor, What: "commands", After: commands.Lines(), Reason: "given at the machine"}); err != nil {
		return done, err
	}
	if err := w.do(); err != nil {
		return done, fmt.Errorf("change ticket %d: %w", dec.Ticket, err)
	}
	return Obeyed{dec.Ticket, dec.Effects, w.told, w.held}, nil
}
