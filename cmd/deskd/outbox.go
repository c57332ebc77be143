package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"

	"deskd/cmd/internal/desk"
	"deskd/configs"
	"deskd/store"
)

type outboxCmd struct {
	List   outboxListCmd   `cmd:"" help:"List mails that go out, the newest first."`
	Show   outboxShowCmd   `cmd:"" help:"Show how one mail to one recipient stands."`
	Retry  outboxRetryCmd  `cmd:"" help:"Send a mail again that failed, was cancelled, or perhaps did not arrive."`
	Cancel outboxCancelCmd `cmd:"" help:"Take a mail back that is not sent yet."`
}

type outboxListCmd struct {
	Config string `help:"Settings file." default:"deskd.yaml" placeholder:"FILE"`
	JSON   bool   `name:"json" help:"Print a JSON array."`
	State  string `help:"Only mails in this state: queued, sending, sent, uncertain, failed or cancelled." placeholder:"STATE"`
	Ticket string `help:"Only mails about this ticket." placeholder:"NUMBER"`
	Limit  int    `help:"At most that many." default:"100" placeholder:"N"`
}

// filter is what the flags ask for.
func (c *outboxListCmd) filter(s *configs.Settings) (f store.OutboxFilter, err error) {
	if f.State = store.State(strings.ToLower(c.State)); c.State != "" && !slices.Contains(store.States(), f.State) {
		return f, &usageError{fmt.Errorf("--state: there is no state %q; states are %s", c.State, commas(store.States()))}
	}
	if c.Ticket != "" {
		if f.Ticket, err = numberOf(s, c.Ticket); err != nil {
			return f, &usageError{fmt.Errorf("--ticket: %w", err)}
		}
	}
	if c.Limit < 1 {
		return f, &usageError{fmt.Errorf("--limit: %d is no number of mails; write 1 or more", c.Limit)}
	}
	return f, nil
}

func commas[T ~string](list []T) string {
	words := make([]string, len(list))
	for i, w := range list {
		words[i] = string(w)
	}
	return strings.Join(words, ", ")
}

// Run lists the outbox.
func (c *outboxListCmd) Run(e env) error {
	s, err := configs.Load(c.Config)
	if err != nil {
		return err
	}
	f, err := c.filter(s)
	if err != nil {
		return err
	}
	db, err := reader(e, s)
	if err != nil {
		return err
	}
	defer db.Close()
	all, err := pages(c.Limit, func(n int, last store.Row) ([]store.Row, error) {
		f.Limit, f.Before = n, last.ID
		return db.ListOutbox(e.ctx, f)
	}, wentOut)
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(e.out, all)
	}
	if len(all) == 0 {
		_, err := fmt.Fprintln(e.out, "No mails.")
		return err
	}
	w := tabwriter.NewWriter(e.out, 0, 0, 2, ' ', 0)
	for _, o := range all {
		fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%s\t%s\t%s\n", o.ID, moment(o.Created, s.Location()), o.State, strings.ReplaceAll(printable(o.Kind), "-", " "),
			printable(o.To), printable(o.Subject), printable(o.Answer))
	}
	return w.Flush()
}

type outboxShowCmd struct {
	ID     int64  `arg:"" help:"The mail's number in the list."`
	Config string `help:"Settings file." default:"deskd.yaml" placeholder:"FILE"`
	JSON   bool   `name:"json" help:"Print JSON."`
}

// Run shows one row.
func (c *outboxShowCmd) Run(e env) error {
	s, err := configs.Load(c.Config)
	if err != nil {
		return err
	}
	db, err := reader(e, s)
	if err != nil {
		return err
	}
	defer db.Close()
	r, err := outgoing(e, db, c.ID)
	if err != nil {
		return err
	}
	o := wentOut(r)
	if c.JSON {
		return printJSON(e.out, o)
	}
	o.print(e.out, s)
	return nil
}

// outgoing reads one row of the outbox.
func outgoing(e env, db *store.Store, id int64) (store.Row, error) {
	r, err := db.OutboxByID(e.ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		return r, fmt.Errorf("there is no mail %d in the outbox", id)
	}
	return r, err
}

type outboxRetryCmd struct {
	ID     int64  `arg:"" help:"The mail's number in the list."`
	Config string `help:"Settings file." default:"deskd.yaml" placeholder:"FILE"`
	JSON   bool   `name:"json" help:"Print JSON."`
}

// Run puts the mail back, to be sent by the daemon. It is the same bytes.
func (c *outboxRetryCmd) Run(e env) error {
	return moved(e, c.Config, c.ID, c.JSON, (*desk.Desk).SendAgain, "will be sent again; a running daemon does so within half a minute")
}

type outboxCancelCmd struct {
	ID     int64  `arg:"" help:"The mail's number in the list."`
	Config string `help:"Settings file." default:"deskd.yaml" placeholder:"FILE"`
	JSON   bool   `name:"json" help:"Print JSON."`
}

// Run cancels the mail.
func (c *outboxCancelCmd) Run(e env) error {
	return moved(e, c.Config, c.ID, c.JSON, (*desk.Desk).Cancel, "is cancelled")
}

// moved changes the state of one row. What the row's state does not allow is
// refused, and nothing is changed.
func moved(e env, config string, id int64, asJSON bool, move func(d *desk.Desk, ctx context.Context, id int64, actor string) error, says string) error {
	s, err := configs.Load(config)
	if err != nil {
		return err
	}
	d, end, err := deskBeside(e, s)
	if err != nil {
		return err
	}
	defer end()
	err = move(d, e.ctx, id, administrator())
	if errors.Is(err, store.ErrNotFound) {
		return fmt.Errorf("there is no mail %d in the outbox", id)
	}
	if err != nil {
		return err
	}
	db, err := reader(e, s)
	if err != nil {
		return err
	}
	defer db.Close()
	r, err := outgoing(e, db, id)
	if err != nil {
		return err
	}
	if asJSON {
		return printJSON(e.out, wentOut(r))
	}
	_, err = fmt.Fprintf(e.out, "The %s to %s %s.\n", printable(strings.ReplaceAll(r.Kind, "-", " ")), printable(r.Recipient), says)
	return err
}
