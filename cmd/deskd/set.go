package main

import (
	"errors"
	"fmt"

	"deskd/cmd/internal/desk"
	"deskd/configs"
	"deskd/triage"
	"deskd/triage/ticket"
)

type setCmd struct {
	Number  string   `arg:"" help:"The ticket's number, 1042 or IT-1042."`
	Command []string `arg:"" help:"What the first lines of a mail would say: resolved, \"priority high\", \"assign ann@\"."`
	Config  string   `help:"Settings file." default:"deskd.yaml" placeholder:"FILE"`
	JSON    bool     `name:"json" help:"Print JSON."`
}

// obeyed is what set prints for programs.
type obeyed struct {
	Ticket  ticket.Number         `json:"ticket"`
	Effects []triage.Effect       `json:"effects"`
	Told    []string              `json:"told"`
	Held    []string              `json:"held"`
	Errors  []triage.CommandError `json:"errors"` // not empty: nothing was changed
}

// Run obeys commands by the rights of who sits at the machine. The mails that
// follow wait in the outbox for the daemon.
func (c *setCmd) Run(e env) error {
	s, err := configs.Load(c.Config)
	if err != nil {
		return err
	}
	n, err := numberOf(s, c.Number)
	if err != nil {
		return &usageError{err}
	}
	d, end, err := deskBeside(e, s)
	if err != nil {
		return err
	}
	defer end()
	done, err := d.Set(e.ctx, n, c.Command, administrator())
	if refused, ok := errors.AsType[*desk.CommandsRefused](err); ok {
		if c.JSON {
			err = printJSON(e.out, obeyed{Ticket: n, Effects: []triage.Effect{}, Told: []string{}, Held: []string{}, Errors: refused.Errors})
		} else {
			mistakes(e.err, refused.Errors)
			err = nil
		}
		return errors.Join(err, errors.New("nothing was changed"))
	}
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(e.out, obeyed{done.Ticket, append([]triage.Effect{}, done.Effects...), orEmpty(done.Told), orEmpty(done.Held), []triage.CommandError{}})
	}
	if done.Ticket != n {
		fmt.Fprintf(e.out, "%s goes on as %s.\n", tagOf(s, n), tagOf(s, done.Ticket))
	}
	fmt.Fprintf(e.out, "%s\n", tagOf(s, done.Ticket))
	effects(e.out, done.Effects)
	for _, who := range done.Told {
		told(e.out, "Told", who)
	}
	for _, why := range done.Held {
		told(e.out, "Held back", why)
	}
	return nil
}
