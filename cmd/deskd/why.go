package main

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"deskd/configs"
	"deskd/store"
	"deskd/triage"
	"deskd/triage/ticket"
)

type whyCmd struct {
	Mail   string `arg:"" name:"message-id|number" help:"A mail's Message-ID, in or out, or a ticket's number, 1042 or IT-1042."`
	Config string `help:"Settings file." default:"deskd.yaml" placeholder:"FILE"`
	JSON   bool   `name:"json" help:"Print JSON."`
}

// mostWhy bounds how many mails of each direction are told of, the newest.
const mostWhy = 500

// came is a mail that came in, and what became of it.
type came struct {
	Intake    int64           `json:"intake"`
	Mailbox   string          `json:"mailbox"`
	MessageID string          `json:"message_id,omitempty"`
	From      string          `json:"from,omitempty"`
	Subject   string          `json:"subject,omitempty"`
	Size      int64           `json:"size"`
	Arrived   time.Time       `json:"arrived,omitzero"`
	Seen      time.Time       `json:"seen"`
	Decided   time.Time       `json:"decided,omitzero"`
	Filed     time.Time       `json:"filed,omitzero"`
	Fetches   int             `json:"fetches"`
	Failures  int             `json:"failures"`
	LastError string          `json:"last_error,omitempty"`
	Fate      store.Fate      `json:"fate,omitempty"` // empty: not decided yet
	Reason    string          `json:"reason,omitempty"`
	Ticket    ticket.Number   `json:"ticket,omitempty"`
	Folder    string          `json:"folder,omitempty"`
	Why       json.RawMessage `json:"why,omitempty"`
}

func cameIn(in store.Intake) came {
	c := came{
		Intake: in.ID, Mailbox: in.Mailbox, MessageID: in.MessageID, From: in.From, Subject: in.Subject, Size: in.Size, Arrived: in.ArrivedAt,
		Seen: in.SeenAt, Decided: in.DecidedAt, Filed: in.FiledAt, Fetches: in.Fetches, Failures: in.Failures, LastError: in.LastError,
		Fate: in.Fate, Reason: in.Reason, Ticket: in.Ticket, Folder: in.File,
	}
	if json.Valid(in.Why) {
		c.Why = in.Why
	}
	return c
}

// went is a mail that goes out to one recipient.
type went struct {
	ID        int64         `json:"id"`
	MessageID string        `json:"message_id"`
	Ticket    ticket.Number `json:"ticket,omitempty"`
	Intake    int64         `json:"intake,omitempty"`
	Kind      string        `json:"kind"`
	Subject   string        `json:"subject"`
	From      string        `json:"from"`
	To        string        `json:"to"`
	State     store.State   `json:"state"`
	Attempts  int           `json:"attempts"`
	Created   time.Time     `json:"created"`
	Due       time.Time     `json:"due,omitzero"`
	GiveUp    time.Time     `json:"give_up,omitzero"`
	Sent      time.Time     `json:"sent,omitzero"`
	Answer    string        `json:"answer,omitempty"`
}

func wentOut(r store.Row) went {
	return went{
		ID: r.ID, MessageID: r.MessageID, Ticket: r.Ticket, Intake: r.Intake, Kind: r.Kind, Subject: r.Subject, From: r.From, To: r.Recipient,
		State: r.State, Attempts: r.Attempts, Created: r.CreatedAt, Due: r.Due, GiveUp: r.GiveUp, Sent: r.SentAt, Answer: r.Answer,
	}
}

// Run says what became of a mail, or of all mails of a ticket in the order of
// time.
func (c *whyCmd) Run(e env) error {
	s, err := configs.Load(c.Config)
	if err != nil {
		return err
	}
	var in store.IntakeFilter
	what := "no mail with that Message-ID came in or went out; one that lies in quarantine unread is in `deskd quarantine list`"
	if n, err := numberOf(s, c.Mail); err == nil {
		in.Ticket, what = n, fmt.Sprintf("there are no mails of a ticket %d", n)
	} else if in.MessageID = strings.Trim(strings.TrimSpace(c.Mail), "<>"); in.MessageID == "" {
		return &usageError{fmt.Errorf("write a Message-ID or a ticket's number")}
	}
	in.Limit = mostWhy
	db, err := reader(e, s)
	if err != nil {
		return err
	}
	defer db.Close()
	intakes, err := db.ListIntakes(e.ctx, in)
	if err != nil {
		return err
	}
	rows, err := db.ListOutbox(e.ctx, store.OutboxFilter{Ticket: in.Ticket, MessageID: in.MessageID, Limit: mostWhy})
	if err != nil {
		return err
	}
	if len(intakes)+len(rows) == 0 {
		return fmt.Errorf("%s", what)
	}
	ins, outs := []came{}, []went{}
	for _, one := range slices.Backward(intakes) {
		ins = append(ins, cameIn(one))
	}
	for _, one := range slices.Backward(rows) {
		outs = append(outs, wentOut(one))
	}
	if c.JSON {
		return printJSON(e.out, map[string]any{"in": ins, "out": outs})
	}
	for len(ins)+len(outs) > 0 {
		if len(outs) == 0 || len(ins) > 0 && !ins[0].Seen.After(outs[0].Created) {
			ins[0].print(e.out, s)
			ins = ins[1:]
			continue
		}
		outs[0].print(e.out, s)
		outs = outs[1:]
	}
	if len(intakes) == mostWhy || len(rows) == mostWhy {
		fmt.Fprintf(e.out, "\nThese are the newest %d of each direction.\n", mostWhy)
	}
	return nil
}

// told writes a line with a name before it; nothing where there is no value.
func told(w io.Writer, name, value string) {
	if value != "" {
		fmt.Fprintf(w, "  %-10s %s\n", name, printable(value))
	}
}

func (c *came) print(w io.Writer, s *configs.Settings) {
	zone := s.Location()
	fmt.Fprintf(w, "%s  in  %d, %s\n", moment(c.Seen, zone), c.Intake, printable(c.Mailbox))
	told(w, "Message-ID", c.MessageID)
	told(w, "From", c.From)
	told(w, "Subject", c.Subject)
	switch {
	case c.Fate == "":
		told(w, "Fate", fmt.Sprintf("not decided yet; fetched %d times, failed %d times", c.Fetches, c.Failures))
	case c.Reason == "":
		told(w, "Fate", string(c.Fate))
	default:
		told(w, "Fate", string(c.Fate)+" ("+c.Reason+")")
	}
	if c.Ticket != 0 {
		told(w, "Ticket", fmt.Sprintf("%s-%d", s.SubjectPrefix, c.Ticket))
	}
	told(w, "Times", fmt.Sprintf("arrived %s, decided %s, filed %s", moment(c.Arrived, zone), moment(c.Decided, zone), moment(c.Filed, zone)))
	told(w, "Error", c.LastError)
	var d triage.Decision
	if len(c.Why) > 0 && json.Unmarshal(c.Why, &d) == nil {
		decided(w, &d)
	}
	fmt.Fprintln(w)
}

// decided tells a decision in words.
func decided(w io.Writer, d *triage.Decision) {
	if d.Sender.Role != "" {
		proven := "not proven"
		if d.Sender.Authenticated {
			proven = "proven by " + d.Sender.Proof
		}
		told(w, "Sender", strings.TrimSuffix(fmt.Sprintf("%s, %s: %s", d.Sender.Role, proven, d.Sender.Why), ": "))
	}
	if d.Kind.Kind != "" {
		told(w, "Kind", strings.TrimSuffix(string(d.Kind.Kind)+": "+d.Kind.Why, ": "))
	}
	if d.Match.Ticket != 0 {
		told(w, "Found", fmt.Sprintf("ticket %d by %s", d.Match.Ticket, d.Match.How))
	}
	for _, r := range d.Reasons {
		told(w, "Because", r.String())
	}
	for _, c := range d.Commands {
		told(w, "Command", c.Line)
	}
	effects(w, d.Effects)
	mistakes(w, d.Errors)
	for _, t := range d.Tell {
		told(w, "Mail", string(t))
	}
	for _, n := range d.Notes {
		told(w, "Note", n)
	}
	told(w, "Event", d.Event)
}

// effects tells what commands did.
func effects(w io.Writer, all []triage.Effect) {
	for _, e := range all {
		what := e.After
		if e.Before != "" {
			what = e.Before + " → " + e.After
		}
		told(w, "Did", strings.TrimSuffix(e.Line+": "+what, ": "))
	}
}

// mistakes tells what was wrong with commands, as the mail about it does.
func mistakes(w io.Writer, all []triage.CommandError) {
	for _, e := range all {
		told(w, "Not valid", strings.TrimPrefix(e.Line+": "+e.Why, ": "))
		if e.Valid != "" {
			told(w, "", "possible: "+e.Valid)
		}
	}
}

func (o *went) print(w io.Writer, s *configs.Settings) {
	zone := s.Location()
	fmt.Fprintf(w, "%s  out %d, %s to %s\n", moment(o.Created, zone), o.ID, printable(strings.ReplaceAll(o.Kind, "-", " ")), printable(o.To))
	told(w, "Message-ID", o.MessageID)
	told(w, "From", o.From)
	told(w, "Subject", o.Subject)
	state := fmt.Sprintf("%s, %d attempts", o.State, o.Attempts)
	if !o.Due.IsZero() {
		state += ", due " + moment(o.Due, zone)
	}
	if !o.Sent.IsZero() {
		state += ", sent " + moment(o.Sent, zone)
	}
	told(w, "State", state)
	if o.Ticket != 0 {
		told(w, "Ticket", fmt.Sprintf("%s-%d", s.SubjectPrefix, o.Ticket))
	}
	if o.Intake != 0 {
		told(w, "Because of", fmt.Sprintf("the mail in %d", o.Intake))
	}
	told(w, "Answer", o.Answer)
	fmt.Fprintln(w)
}
