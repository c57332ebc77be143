package main

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"text/tabwriter"

	"deskd/configs"
	"deskd/store"
	"deskd/triage/ticket"
)

type quarantineCmd struct {
	List  quarantineListCmd  `cmd:"" help:"List mails that could not be handled, the newest first."`
	Show  quarantineShowCmd  `cmd:"" help:"Show one of them with the beginning of its raw source."`
	Retry quarantineRetryCmd `cmd:"" help:"Read and decide on a mail once more, by this program and these settings; also one that was taken for spam."`
	Drop  quarantineDropCmd  `cmd:"" help:"Take a mail out of quarantine for good; nothing follows from it."`
}

type quarantineListCmd struct {
	Config string `help:"Settings file." default:"deskd.yaml" placeholder:"FILE"`
	JSON   bool   `name:"json" help:"Print a JSON array."`
}

// Run lists the quarantine.
func (c *quarantineListCmd) Run(e env) error {
	s, err := configs.Load(c.Config)
	if err != nil {
		return err
	}
	db, err := reader(e, s)
	if err != nil {
		return err
	}
	defer db.Close()
	all, err := pages(math.MaxInt, func(n int, last store.Intake) ([]store.Intake, error) {
		return db.ListIntakes(e.ctx, store.IntakeFilter{Fate: store.FateQuarantined, Limit: n, Before: last.ID})
	}, cameIn)
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(e.out, all)
	}
	if len(all) == 0 {
		_, err := fmt.Fprintln(e.out, "No mails in quarantine.")
		return err
	}
	w := tabwriter.NewWriter(e.out, 0, 0, 2, ' ', 0)
	for _, m := range all {
		fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%d bytes\t%s\n", m.Intake, moment(m.Seen, s.Location()), printable(m.Mailbox), tagOf(s, m.Ticket), m.Size, printable(m.LastError))
	}
	return w.Flush()
}

func tagOf(s *configs.Settings, n ticket.Number) string {
	if n == 0 {
		return "-"
	}
	return fmt.Sprintf("%s-%d", s.SubjectPrefix, n)
}

type quarantineShowCmd struct {
	ID     int64  `arg:"" help:"The mail's number in the list."`
	Config string `help:"Settings file." default:"deskd.yaml" placeholder:"FILE"`
	JSON   bool   `name:"json" help:"Print JSON."`
	Raw    bool   `help:"Write the raw source alone, byte for byte; not to a terminal." xor:"as"`
}

// shownSource is how much of a raw source is shown.
const shownSource = 4 << 10

// Run shows one mail of the quarantine.
func (c *quarantineShowCmd) Run(e env) error {
	s, err := configs.Load(c.Config)
	if err != nil {
		return err
	}
	if c.Raw && onTerminal(e.out) {
		return &usageError{errors.New("--raw: a foreign mail is not written to a terminal; send it to a file")}
	}
	db, err := reader(e, s)
	if err != nil {
		return err
	}
	defer db.Close()
	in, err := db.IntakeByID(e.ctx, c.ID)
	if errors.Is(err, store.ErrNotFound) || err == nil && in.Fate != store.FateQuarantined {
		return fmt.Errorf("there is no mail %d in quarantine", c.ID)
	}
	if err != nil {
		return err
	}
	raw, err := db.Raw(e.ctx, in.SHA256)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	m := cameIn(in)
	switch {
	case c.Raw && err != nil:
		return fmt.Errorf("the raw source of mail %d is kept no more", c.ID)
	case c.Raw:
		_, err = e.out.Write(raw)
		return err
	case c.JSON:
		return printJSON(e.out, m)
	}
	m.print(e.out, s)
	for l := range strings.Lines(string(raw[:min(len(raw), shownSource)])) {
		fmt.Fprintf(e.out, "  | %s\n", printable(strings.TrimRight(l, "\r\n")))
	}
	if len(raw) > shownSource {
		fmt.Fprintf(e.out, "  … and %d bytes more; --raw writes all of them\n", len(raw)-shownSource)
	}
	return nil
}

type quarantineRetryCmd struct {
	ID     int64  `arg:"" help:"The mail's number in the list."`
	Config string `help:"Settings file." default:"deskd.yaml" placeholder:"FILE"`
	JSON   bool   `name:"json" help:"Print JSON."`
}

// Run handles a mail anew. When it fails again, nothing has changed.
func (c *quarantineRetryCmd) Run(e env) error {
	s, err := configs.Load(c.Config)
	if err != nil {
		return err
	}
	d, end, err := deskBeside(e, s)
	if err != nil {
		return err
	}
	defer end()
	fate, n, err := d.Retry(e.ctx, c.ID, administrator())
	if err != nil {
		return fmt.Errorf("nothing was changed: %s", printable(err.Error()))
	}
	if c.JSON {
		return printJSON(e.out, map[string]any{"intake": c.ID, "fate": fate, "ticket": n})
	}
	about := "without a ticket"
	if n != 0 {
		about = "ticket " + tagOf(s, n)
	}
	_, err = fmt.Fprintf(e.out, "Mail %d: %s, %s. The original stays where it lies in the mailbox.\n", c.ID, fate, about)
	return err
}

type quarantineDropCmd struct {
	ID     int64  `arg:"" help:"The mail's number in the list."`
	Config string `help:"Settings file." default:"deskd.yaml" placeholder:"FILE"`
	JSON   bool   `name:"json" help:"Print JSON."`
}

// Run dismisses a mail.
func (c *quarantineDropCmd) Run(e env) error {
	s, err := configs.Load(c.Config)
	if err != nil {
		return err
	}
	d, end, err := deskBeside(e, s)
	if err != nil {
		return err
	}
	defer end()
	if err := d.Dismiss(e.ctx, c.ID, administrator()); err != nil {
		return err
	}
	if c.JSON {
		return printJSON(e.out, map[string]any{"intake": c.ID, "fate": store.FateDismissed})
	}
	_, err = fmt.Fprintf(e.out, "Mail %d is dismissed. The original stays in the quarantine folder of the mailbox.\n", c.ID)
	return err
}
