package main

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
	"unicode"

	"deskd/configs"
	"deskd/mailin"
	"deskd/triage"
	"deskd/triage/ticket"
)

type explainCmd struct {
	Files  []string `arg:"" name:"file" help:"Mails as they come off a server (.eml)."`
	Config string   `help:"Settings file; deskd.yaml when it is there, else the defaults." placeholder:"FILE"`
	JSON   bool     `name:"json" help:"Print one JSON document."`
}

// explained is what explain says of one file.
type explained struct {
	File           string       `json:"file"`
	Parsed         bool         `json:"parsed"`
	Error          string       `json:"error,omitempty"`
	Subject        string       `json:"subject"`
	From           string       `json:"from"`
	MessageID      string       `json:"message_id"`
	InReplyTo      []string     `json:"in_reply_to"`
	References     []string     `json:"references"`
	TextBody       string       `json:"text_body"`
	OtherText      string       `json:"other_text"`
	ReplyText      string       `json:"reply_text"`
	Attachments    []attachment `json:"attachments"`
	IsBounce       bool         `json:"is_bounce"`
	IsAutoReply    bool         `json:"is_auto_reply"`
	IsFeedback     bool         `json:"is_feedback_report"`
	NoAutoResponse bool         `json:"no_auto_response"`
	FinalRecipient []string     `json:"final_recipient,omitempty"`
	Status         []string     `json:"status,omitempty"`
	Action         []string     `json:"action,omitempty"`
	Signatures     []string     `json:"signatures,omitempty"` // what came of our own look at them
	Faults         []string     `json:"faults,omitempty"`

	MailKind      string                `json:"mail_kind"`
	KindWhy       string                `json:"kind_why,omitempty"`
	Sender        triage.Sender         `json:"sender"`
	Match         triage.Match          `json:"match"`
	Commands      []triage.Command      `json:"commands"` // what the first lines say, if a technician wrote them
	CommandErrors []triage.CommandError `json:"command_errors,omitempty"`
	Obeyed        bool                  `json:"commands_obeyed"`
	Would         []triage.Effect       `json:"would,omitempty"`                          // what the commands do if each ticket that the mail names is open
	Alone         bool                  `json:"existing_tickets_not_looked_at,omitempty"` // and something in the mail leads to one
	Decision      *decisionReported     `json:"decision,omitempty"`

	blocks []triage.Block
}

type attachment struct {
	Name        *string `json:"name"`
	ContentType string  `json:"content_type"`
	Size        int64   `json:"size"`
	SHA256      string  `json:"sha256,omitempty"`
	Inline      bool    `json:"inline,omitempty"`
	Note        string  `json:"note,omitempty"`
}

type decisionReported struct {
	Fate     triage.Fate     `json:"fate"`
	Reason   string          `json:"reason"`
	Priority string          `json:"priority,omitempty"`
	Team     string          `json:"team,omitempty"`
	Assignee string          `json:"assignee,omitempty"`
	Tags     []string        `json:"tags,omitempty"`
	Reasons  []string        `json:"reasons"`
	Rules    []triage.Reason `json:"rules,omitempty"`
	Tell     []triage.Tell   `json:"tell"`
	Notes    []string        `json:"notes,omitempty"`
}

// Run explains each file in its turn. A file that cannot be opened is one
// entry like any other, and makes the exit code 1.
func (c *explainCmd) Run(e env) error {
	const usual = "deskd.yaml"
	if _, err := os.Stat(usual); c.Config == "" && !errors.Is(err, os.ErrNotExist) {
		c.Config = usual
	}
	used := "the defaults, since there is no " + usual + " here; --config names another file"
	policy, limits := triage.Policy{Rules: triage.DefaultRules(), Secret: make([]byte, 32)}, mailin.Limits{}
	if c.Config != "" {
		s, err := configs.Load(c.Config)
		if err != nil {
			return err
		}
		secret, err := s.Secret()
		if err != nil && !errors.As(err, new(*configs.MissingKey)) {
			return s.Complain("key_file", err.Error(), err)
		}
		used, policy, limits = c.Config, s.Policy(secret), s.MailLimits()
	}
	rules, err := triage.New(policy)
	if err != nil {
		return err
	}
	all := make([]explained, 0, len(c.Files))
	failed := 0
	for _, f := range c.Files {
		x := explainFile(e.ctx, f, rules, limits, verifier(policy.Trust))
		if x.Error != "" {
			failed++
		}
		all = append(all, x)
	}
	if c.JSON {
		enc := json.NewEncoder(e.out)
		enc.SetIndent("", " ")
		enc.SetEscapeHTML(false)
		err = enc.Encode(map[string]any{"messages": all})
	} else {
		fmt.Fprintf(e.out, "Settings: %s\n", printable(used))
		for _, x := range all {
			fmt.Fprintln(e.out)
			x.print(e.out)
		}
	}
	if err != nil {
		return err
	}
	if failed > 0 {
		return fmt.Errorf("%d of %d files could not be read", failed, len(all))
	}
	return nil
}

// readMail reads a file of at most the size limit and a bit, and says whether
// there was more.
func readMail(path string, limit int64) (raw []byte, size int64, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, 0, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, 0, err
	}
	if info.IsDir() {
		return nil, 0, fmt.Errorf("%s is a folder", path)
	}
	raw, err = io.ReadAll(io.LimitReader(f, limit+1))
	return raw, max(info.Size(), int64(len(raw))), err
}

func explainFile(ctx context.Context, path string, rules *triage.Rules, limits mailin.Limits, v *mailin.Verifier) explained {
	limit := limits.Mail
	if limit == 0 {
		limit = 25 << 20
	}
	x := explained{File: path, Commands: []triage.Command{}, InReplyTo: []string{}, References: []string{}, Attachments: []attachment{}}
	raw, size, err := readMail(path, limit)
	if err != nil {
		x.Error = err.Error()
		return x
	}
	var m triage.Message
	if size > limit {
		m = mailin.ParseHeader(raw, size, limits)
	} else {
		m = mailin.Parse(raw, limits)
	}
	if v != nil {
		v.Verify(ctx, raw, &m)
	}
	if m.SHA256 == ([32]byte{}) {
		m.SHA256 = sha256.Sum256(raw)
	}
	d := rules.Decide(&m, &triage.Known{Now: time.Now()})
	leads := rules.Leads(&m, time.Now())
	x.Alone = len(leads.IDs)+len(leads.Tokens)+len(leads.Numbers) > 0
	x.fill(&m, &d, rules.ReadCommands(triage.Split(m.Body), time.Now()))
	if len(x.Commands) == 0 {
		x.Commands = append(x.Commands, d.Commands...)
	}
	if len(x.CommandErrors) == 0 {
		x.CommandErrors = d.Errors
	}
	x.Would = d.Effects
	if len(leads.Numbers) > 0 {
		x.suppose(&m, rules, leads.Numbers)
	}
	return x
}

// suppose says what the commands of the mail would do if the tickets that it
// names were open, without an assignee. The database is not asked: a mail is
// explained on any machine.
func (x *explained) suppose(m *triage.Message, rules *triage.Rules, named []ticket.Number) {
	k := &triage.Known{Now: time.Now(), Tickets: map[ticket.Number]triage.Facts{}}
	for _, n := range named {
		k.Tickets[n] = triage.Facts{
			Number: n, Subject: rules.Subject(m.Subject).Bare, Status: ticket.Open, Priority: ticket.Medium, Team: rules.DefaultTeam(), Requester: "the requester",
		}
	}
	if d := rules.Decide(m, k); len(d.Effects)+len(d.Errors) > 0 {
		x.Would, x.CommandErrors = d.Effects, d.Errors
	}
}

func (x *explained) fill(m *triage.Message, d *triage.Decision, c triage.Commands) {
	x.Parsed, x.Subject, x.MessageID = true, m.Subject, m.MessageID
	x.InReplyTo, x.References, x.Faults = orEmpty(m.InReplyTo), orEmpty(m.References), m.Faults
	if x.From = m.From.Addr; x.From == "" {
		x.From = m.Shown.Addr
	}
	x.TextBody, x.OtherText, x.ReplyText, x.blocks = m.Text(), m.OtherText, d.NewText, d.Blocks
	for _, d := range m.DKIM {
		x.Signatures = append(x.Signatures, strings.TrimSpace(fmt.Sprintf("%s %s: %s", d.Result, d.Props["header.d"], d.Props["reason"])))
	}
	for _, a := range m.Attachments {
		out := attachment{ContentType: a.Type, Size: a.Size, SHA256: a.SHA256, Inline: a.Inline, Note: a.Note}
		if a.Name != "" {
			out.Name = &a.Name
		}
		x.Attachments = append(x.Attachments, out)
	}
	if r := m.Report; r != nil {
		x.IsBounce, x.IsFeedback = r.Kind == triage.DeliveryReport, r.Kind == triage.FeedbackReport
		for _, to := range r.Recipients {
			if x.IsBounce {
				x.FinalRecipient = append(x.FinalRecipient, to.Address)
				x.Status = append(x.Status, to.Status)
				x.Action = append(x.Action, to.Action)
			}
		}
	}
	x.IsAutoReply = d.Kind.Kind == triage.KindAutoReply
	x.NoAutoResponse = !d.Kind.Answer
	x.MailKind, x.KindWhy, x.Sender, x.Match = string(d.Kind.Kind), d.Kind.Why, d.Sender, d.Match
	x.Commands, x.CommandErrors, x.Obeyed = append(x.Commands, c.List...), c.Errors, len(d.Commands) > 0
	x.Decision = &decisionReported{Fate: d.Fate, Reason: d.Reason, Rules: d.Reasons, Tell: append([]triage.Tell{}, d.Tell...), Notes: d.Notes, Reasons: []string{}}
	for _, r := range d.Reasons {
		x.Decision.Reasons = append(x.Decision.Reasons, r.String())
	}
	if o := d.Open; o != nil {
		x.Decision.Priority, x.Decision.Team, x.Decision.Assignee, x.Decision.Tags = string(o.Priority), o.Team, o.Assignee, o.Tags
	}
}

// print writes a page that a person reads.
func (x *explained) print(w io.Writer) {
	fmt.Fprintf(w, "%s\n", printable(x.File))
	if x.Error != "" {
		fmt.Fprintf(w, "  cannot be read: %s\n", printable(x.Error))
		return
	}
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(w, "  %-11s %s\n", name, printable(value))
		}
	}
	line("Subject", x.Subject)
	line("From", x.From)
	proven := "not proven"
	if x.Sender.Authenticated {
		proven = "proven"
	}
	line("Sender", fmt.Sprintf("%s, %s: %s", x.Sender.Role, proven, x.Sender.Why))
	for _, s := range x.Signatures {
		line("Signature", s)
	}
	line("Kind", strings.TrimSuffix(x.MailKind+": "+x.KindWhy, ": "))
	if x.Match.Ticket != 0 {
		line("Belongs to", fmt.Sprintf("%d by %s", x.Match.Ticket, x.Match.How))
	}
	if x.Alone {
		line("Belongs to", "existing tickets were not looked at, and something in this mail may lead to one")
	}
	d := x.Decision
	line("Fate", fmt.Sprintf("%s (%s)", d.Fate, d.Reason))
	if d.Priority != "" {
		line("Priority", d.Priority)
		line("Team", d.Team)
	}
	for _, r := range d.Reasons {
		line("Because", r)
	}
	for _, t := range d.Tell {
		line("Mail", string(t))
	}
	for _, c := range x.Commands {
		line("Command", fmt.Sprintf("%s (%s)", c.Line, c.Verb))
	}
	for _, c := range x.CommandErrors {
		line("Not valid", fmt.Sprintf("%s: %s; possible: %s", c.Line, c.Why, c.Valid))
	}
	for _, e := range x.Would {
		what := e.After
		if e.Before != "" {
			what = e.Before + " → " + e.After
		}
		line("Would do", strings.TrimSuffix(e.Line+": "+what, ": "))
	}
	if len(x.Would) > 0 && !x.Obeyed {
		line("", "… if the ticket is open; the database was not asked")
	}
	if len(x.Commands)+len(x.CommandErrors) > 0 && !x.Obeyed && len(x.Would) == 0 {
		line("", "commands count only from an authenticated technician on an existing ticket")
	}
	for i, to := range x.FinalRecipient {
		line("Bounced", strings.TrimSpace(to+" "+x.Action[i]+" "+x.Status[i]))
	}
	for _, a := range x.Attachments {
		name := "(no name)"
		if a.Name != nil {
			name = *a.Name
		}
		line("Attachment", strings.TrimSpace(fmt.Sprintf("%s, %s, %d bytes %s", name, a.ContentType, a.Size, a.Note)))
	}
	for _, n := range d.Notes {
		line("Note", n)
	}
	for _, b := range x.blocks {
		fmt.Fprintf(w, "\n  -- %s --\n", b.Kind)
		for l := range strings.Lines(b.Text) {
			fmt.Fprintf(w, "  %s\n", printable(strings.TrimRight(l, "\r\n")))
		}
	}
}

// printable makes text harmless for a terminal (T36): whatever moves the
// cursor, ends the line, turns the direction or has no shape of its own is
// written out as ⟨U+202E⟩.
func printable(s string) string {
	var b strings.Builder
	for _, r := range s {
		switch {
		case r == '\t':
			b.WriteByte(' ')
		case unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp) && !unicode.Is(unicode.Prepended_Concatenation_Mark, r):
			fmt.Fprintf(&b, "⟨U+%04X⟩", r)
		default:
			b.WriteRune(r) // a byte that is no UTF-8 as U+FFFD
		}
	}
	return b.String()
}
