package main

import (
	"errors"
	"fmt"

	"deskd/configs"
	"deskd/store"
	"deskd/triage/ticket"
)

type auditCmd struct {
	Verify verifyCmd `cmd:"" help:"Verify the event chains of all tickets and of the desk."`
}

type verifyCmd struct {
	Config string `help:"Settings file." default:"deskd.yaml" placeholder:"FILE"`
	JSON   bool   `name:"json" help:"Print JSON."`
}

// broken is a chain that does not verify: 0 is the desk's own.
type broken struct {
	Ticket ticket.Number `json:"ticket"`
	Seq    int           `json:"seq"`
	Why    string        `json:"why"`
}

// Run walks every chain, the desk's own first, then the tickets' from the
// newest. Tickets that are made meanwhile are left to the next time.
func (c *verifyCmd) Run(e env) error {
	s, err := configs.Load(c.Config)
	if err != nil {
		return err
	}
	db, err := keyed(e, s)
	if err != nil {
		return err
	}
	defer db.Close()
	chains, bad := 0, []broken{}
	show := newProgress(e.err)
	verify := func(n ticket.Number) error {
		chains++
		err := db.VerifyChain(e.ctx, n)
		var flaw *store.ChainBroken
		if !errors.As(err, &flaw) {
			return err
		}
		bad = append(bad, broken{flaw.Ticket, flaw.Seq, flaw.Why})
		if c.JSON {
			return nil
		}
		show.done()
		_, err = fmt.Fprintln(e.out, "BROKEN ", printable(flaw.Error()))
		return err
	}
	if err := verify(0); err != nil {
		return err
	}
	for page := (store.TicketFilter{Limit: 500}); ; {
		tickets, err := db.ListTickets(e.ctx, page)
		if err != nil {
			return err
		}
		for _, t := range tickets {
			show.tell("%d chains verified, now %s-%d …", chains, s.SubjectPrefix, t.Number)
			if err := verify(t.Number); err != nil {
				return err
			}
		}
		if len(tickets) < page.Limit {
			break
		}
		page.Before = tickets[len(tickets)-1].Number
	}
	show.done()
	if c.JSON {
		err = printJSON(e.out, map[string]any{"chains": chains, "broken": bad})
	} else if len(bad) == 0 {
		_, err = fmt.Fprintf(e.out, "%d chains verify: no event was changed, and none is missing.\n", chains)
	}
	if err == nil && len(bad) > 0 {
		err = fmt.Errorf("%d of %d event chains are broken", len(bad), chains)
	}
	return err
}
