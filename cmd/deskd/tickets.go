package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"strings"
	"text/tabwriter"
	"time"

	"deskd/configs"
	"deskd/store"
	"deskd/triage/ticket"
)

type ticketsCmd struct {
	Config string `help:"Settings file." default:"deskd.yaml" placeholder:"FILE"`
	JSON   bool   `name:"json" help:"Print a JSON array."`
	Team   string `help:"Only tickets of this team." placeholder:"NAME"`
	Open   bool   `help:"Only tickets that are neither resolved nor closed."`
	Limit  *int   `help:"At most that many, the newest first. By default 1000, and all of them with --json." placeholder:"N"`
}

// reported is a ticket as the command line prints it.
type reported struct {
	Number    ticket.Number   `json:"number"`
	Subject   string          `json:"subject"`
	Requester string          `json:"requester"`
	Status    ticket.Status   `json:"status"`
	Priority  ticket.Priority `json:"priority"`
	Team      string          `json:"team"`
	Assignee  string          `json:"assignee"`
	Tags      []string        `json:"tags"`
	Reasons   []string        `json:"reasons"`
	Mailbox   string          `json:"mailbox"`
	Created   time.Time       `json:"created"`
	Updated   time.Time       `json:"updated"`
	Due       time.Time       `json:"due,omitzero"` // somebody is reminded then
}

func report(t store.Ticket) reported {
	return reported{
		Number: t.Number, Subject: t.Subject, Requester: t.Requester, Status: t.Status, Priority: t.Priority, Team: t.Team,
		Assignee: t.Assignee, Tags: orEmpty(t.Tags), Reasons: orEmpty(t.Reasons), Mailbox: t.Mailbox, Created: t.CreatedAt, Updated: t.UpdatedAt, Due: t.DueAt,
	}
}

// pages reads a list page by page, until it ends or has most items, and gives
// each as it is reported. page is told how many to read and after which one;
// zero is before the first.
func pages[T, R any](most int, page func(n int, last T) ([]T, error), as func(T) R) ([]R, error) {
	all := []R{}
	var last T
	for len(all) < most {
		n := min(500, most-len(all))
		list, err := page(n, last)
		if err != nil {
			return nil, err
		}
		for _, one := range list {
			all = append(all, as(one))
		}
		if len(list) < n {
			break
		}
		last = list[len(list)-1]
	}
	return all, nil
}

func orEmpty(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}

// reader opens the database of the settings beside a running daemon: read
// only, without a lock, without a change of its tables.
func reader(e env, s *configs.Settings) (*store.Store, error) {
	db, err := store.OpenReader(e.ctx, s.Database.Reveal(), store.Options{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return nil, databaseFault(s, err)
	}
	return db, nil
}

// filter is what the flags ask for, checked before the database is opened.
func (c *ticketsCmd) filter(s *configs.Settings) (f store.TicketFilter, limit int, err error) {
	f.Live = c.Open
	if c.Team != "" {
		var names []string
		for _, t := range s.Teams {
			if names = append(names, t.Name); strings.EqualFold(t.Name, c.Team) {
				f.Team = t.Name
			}
		}
		if f.Team == "" {
			return f, 0, &usageError{fmt.Errorf("--team: there is no team %q; teams are %s", c.Team, strings.Join(names, ", "))}
		}
	}
	switch {
	case c.Limit != nil && *c.Limit < 1:
		return f, 0, &usageError{fmt.Errorf("--limit: %d is no number of tickets; write 1 or more", *c.Limit)}
	case c.Limit != nil:
		return f, *c.Limit, nil
	case c.JSON:
		return f, math.MaxInt, nil
	}
	return f, 1000, nil
}

// Run lists tickets, the newest first.
func (c *ticketsCmd) Run(e env) error {
	s, err := configs.Load(c.Config)
	if err != nil {
		return err
	}
	f, limit, err := c.filter(s)
	if err != nil {
		return err
	}
	db, err := reader(e, s)
	if err != nil {
		return err
	}
	defer db.Close()
	all, err := pages(limit, func(n int, last store.Ticket) ([]store.Ticket, error) {
		f.Limit, f.Before = n, last.Number
		return db.ListTickets(e.ctx, f)
	}, report)
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(e.out, all)
	}
	if len(all) == 0 {
		_, err := fmt.Fprintln(e.out, "No tickets.")
		return err
	}
	w := tabwriter.NewWriter(e.out, 0, 0, 2, ' ', 0)
	for _, t := range all {
		fmt.Fprintf(w, "%s-%d\t%s\t%s\t%s\t%s\t%s\n", s.SubjectPrefix, t.Number, t.Status.Label(), t.Priority, printable(t.Team),
			printable(t.Requester), printable(t.Subject))
	}
	return w.Flush()
}

func printJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", " ")
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

type showCmd struct {
	Number string `arg:"" help:"The ticket's number, 1042 or IT-1042."`
	Config string `help:"Settings file." default:"deskd.yaml" placeholder:"FILE"`
	JSON   bool   `name:"json" help:"Print JSON."`
}

type reportedEntry struct {
	Kind        string          `json:"kind"`
	Author      string          `json:"author"`
	AuthorName  string          `json:"author_name,omitempty"`
	Visibility  string          `json:"visibility"`
	Verified    bool            `json:"verified"`
	Text        string          `json:"text"`
	Flags       []string        `json:"flags"`
	Attachments json.RawMessage `json:"attachments"`
	At          time.Time       `json:"at"`
}

type reportedEvent struct {
	At     time.Time `json:"at"`
	Actor  string    `json:"actor"`
	What   string    `json:"what"`
	Before string    `json:"before,omitempty"`
	After  string    `json:"after,omitempty"`
	Reason string    `json:"reason,omitempty"`
	Intake int64     `json:"intake,omitempty"`
}

type reportedLink struct {
	From ticket.Number `json:"from"`
	To   ticket.Number `json:"to"`
	Kind string        `json:"kind"`
}

type shown struct {
	reported
	Participants []string        `json:"participants"`
	Links        []reportedLink  `json:"links"`
	Entries      []reportedEntry `json:"entries"`
	Events       []reportedEvent `json:"events"`
}

// Run prints one ticket.
func (c *showCmd) Run(e env) error {
	s, err := configs.Load(c.Config)
	if err != nil {
		return err
	}
	n, err := numberOf(s, c.Number)
	if err != nil {
		return &usageError{err}
	}
	db, err := reader(e, s)
	if err != nil {
		return err
	}
	defer db.Close()
	d, err := db.Show(e.ctx, n)
	if errors.Is(err, store.ErrNotFound) {
		return fmt.Errorf("there is no ticket %d", n)
	}
	if err != nil {
		return err
	}
	v := shown{reported: report(d.Ticket), Participants: []string{}, Links: []reportedLink{}, Entries: []reportedEntry{}, Events: []reportedEvent{}}
	for _, p := range d.Participants {
		v.Participants = append(v.Participants, p.Addr)
	}
	for _, l := range d.Links {
		v.Links = append(v.Links, reportedLink{l.From, l.To, l.Kind})
	}
	for _, x := range d.Entries {
		files := json.RawMessage(x.Attachments)
		if len(files) == 0 {
			files = json.RawMessage("[]")
		}
		v.Entries = append(v.Entries, reportedEntry{x.Kind, x.Author, x.AuthorName, x.Visibility, x.Verified, x.Text, orEmpty(x.Flags), files, x.At})
	}
	for _, x := range d.Events {
		v.Events = append(v.Events, reportedEvent{x.At, x.Actor, x.What, x.Before, x.After, x.Reason, x.Intake})
	}
	if c.JSON {
		return printJSON(e.out, v)
	}
	v.print(e.out, s.SubjectPrefix, s.Location())
	return nil
}

// print writes the ticket as a page that a person reads.
func (v shown) print(w io.Writer, prefix string, zone *time.Location) {
	fmt.Fprintf(w, "%s-%d  %s\n\n", prefix, v.Number, printable(v.Subject))
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(w, "  %-13s %s\n", name, printable(value))
		}
	}
	line("Status", v.Status.Label())
	line("Priority", string(v.Priority))
	line("Team", v.Team)
	line("Assignee", v.Assignee)
	if !v.Due.IsZero() {
		line("Due", v.Due.In(zone).Format("2006-01-02 15:04"))
	}
	line("Requester", v.Requester)
	line("Participants", strings.Join(v.Participants, ", "))
	line("Tags", strings.Join(v.Tags, ", "))
	for _, l := range v.Links {
		line("Linked", fmt.Sprintf("%d → %d, %s", l.From, l.To, l.Kind))
	}
	for _, r := range v.Reasons {
		line("Because", r)
	}
	const stamp = "2006-01-02 15:04"
	for _, x := range v.Entries {
		fmt.Fprintf(w, "\n%s  %s, %s", x.At.In(zone).Format(stamp), printable(x.Author), x.Kind)
		for _, f := range x.Flags {
			fmt.Fprintf(w, ", %s", f)
		}
		fmt.Fprintln(w)
		for l := range strings.Lines(x.Text) {
			fmt.Fprintf(w, "  %s\n", printable(strings.TrimRight(l, "\r\n")))
		}
	}
	fmt.Fprintln(w)
	for _, x := range v.Events {
		change := x.After
		if x.Before != "" {
			change = x.Before + " → " + x.After
		}
		fmt.Fprintf(w, "%s  %s: %s %s %s\n", x.At.In(zone).Format(stamp), printable(x.Actor), x.What, printable(change), printable(x.Reason))
	}
}
