package triage

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"deskd/triage/ticket"
)

// numbered is one line of a mail that commands several tickets: "1042
// resolved".
type numbered struct {
	number ticket.Number
	cmd    Command
}

// readBatch reads the command block of a mail that names a ticket on each
// line. It is empty when the first line does so not. What follows a number and
// is no command makes the line prose, except below another such line, where it
// is an error: nobody writes prose there.
func (r *Rules) readBatch(blocks []Block, now time.Time) (list []numbered, c Commands) {
	own, ok := firstOwn(blocks)
	if !ok {
		return nil, c
	}
	lines := strings.Split(own, "\n")
	end, seen := 0, 0
	for i, line := range lines {
		if phone(line) == "" {
			continue
		}
		n, rest, meant := r.numberedLine(line)
		if n == 0 {
			break
		}
		cmd, bad, isCommand := r.readLine(rest, now)
		if !isCommand && seen == 0 && !meant {
			break
		}
		cmd.Line = clip(phone(line), 80)
		seen, end = seen+1, i+1
		switch {
		case !isCommand:
			bad = &CommandError{Why: fmt.Sprintf("there is no command %q", clip(bare(rest), 60)), Valid: suggest(bare(rest))}
		case bad == nil && unfitForBatch(cmd.Verb):
			bad = &CommandError{Why: fmt.Sprintf("%q cannot stand behind a ticket's number", cmd.Verb), Valid: "it in an answer to a mail about the ticket"}
		}
		if bad != nil {
			if bad.Line = cmd.Line; len(c.Errors) < maxCommands {
				c.Errors = append(c.Errors, *bad)
			}
			continue
		}
		if len(list) <= maxCommands {
			list = append(list, numbered{n, cmd})
		}
	}
	if seen == 0 {
		return nil, c
	}
	if seen > maxCommands {
		c.Errors = append(c.Errors, CommandError{Line: clip(phone(lines[0]), 80), Why: fmt.Sprintf("%d commands in one mail", seen), Valid: fmt.Sprintf("at most %d", maxCommands)})
	}
	block := slices.DeleteFunc(slices.Clone(lines[:end]), func(l string) bool { return phone(l) == "" })
	text, _ := NewText(blocks)
	c.Text, c.Blocks = withoutLines(text, block), withoutBlock(blocks, block)
	for _, l := range list {
		c.List = append(c.List, l.cmd)
	}
	return list, c
}

// unfitForBatch are verbs that need the mail they answer.
func unfitForBatch(v Verb) bool {
	switch v {
	case ReplyVerb, NoteVerb, UndoVerb, SplitVerb, QuietVerb, ForVerb, MineVerb, HelpVerb, QueueVerb, SearchVerb, ShowVerb, StateVerb:
		return true
	}
	return false
}

// numberedLine takes the number of a ticket off a line. meant: it is written
// as only a ticket's is, with prefix or brackets.
func (r *Rules) numberedLine(line string) (n ticket.Number, rest string, meant bool) {
	s := phone(line)
	if len(s) > 400 {
		return 0, "", false
	}
	first, rest, ok := strings.Cut(s, " ")
	first = lowerASCII(first)
	if !ok {
		return 0, "", false
	}
	first = strings.TrimSuffix(first, ":")
	n, ok = r.number(first)
	if !ok || strings.HasPrefix(first, "#") && n < 100 { // "#1 priority" is a heading
		return 0, "", false
	}
	return n, strings.TrimSpace(rest), strings.ContainsAny(first, "[-")
}

// batch commands several tickets by one mail. One mail is one transaction: an
// error on any line, or on any ticket, changes none.
func (r *Rules) batch(m *Message, d *Decision, list []numbered, c Commands, k *Known) {
	d.Fate, d.Reason, d.Ticket = Appended, "batch", 0
	d.Errors = c.Errors
	var order []ticket.Number
	lines := map[ticket.Number][]Command{}
	for _, l := range list {
		n := k.current(l.number)
		if _, ok := k.Tickets[n]; !ok {
			d.Errors = append(d.Errors, CommandError{Line: l.cmd.Line, Why: "there is no ticket " + l.number.String(), Valid: "the number out of a subject, as in " + r.Tag(1042)})
			continue
		}
		if lines[n] == nil {
			order = append(order, n)
		}
		lines[n] = append(lines[n], l.cmd)
		if l.cmd.Verb == MergeVerb && len(list) > 1 { // the other lines may be about what it changes
			d.Errors = append(d.Errors, CommandError{Line: l.cmd.Line, Why: "merge stands beside other commands", Valid: "merge in a mail of its own"})
		}
	}
	for _, n := range order {
		f := k.Tickets[n]
		one := Decision{
			Fate: Appended, Reason: "batch", Kind: d.Kind, Sender: d.Sender, Ticket: n, Commands: lines[n], Blocks: c.Blocks, NewText: c.Text,
			Write: &Writing{Note: true, Author: m.From, Verified: true, Text: c.Text},
		}
		errs := conflicts(lines[n])
		if _, bad := standsAlone(lines[n]); bad != nil {
			errs = append(errs, *bad)
		}
		if len(errs) == 0 {
			r.apply(Commands{List: lines[n]}, false, &one, f, k)
			r.holdClosing(&one)
			errs = one.Errors
		}
		d.Errors = append(d.Errors, errs...)
		if c.Text == "" {
			one.Write = nil
		}
		one.Tell = slices.DeleteFunc(r.tellOf(&one, f), func(t Tell) bool { return t == Transcribe })
		d.Batch = append(d.Batch, one)
		d.Effects = append(d.Effects, one.Effects...)
	}
	d.Commands = c.List
	if len(d.Errors) > 0 {
		r.refuseWithoutTicket(d)
		return
	}
	d.Tell = []Tell{Transcribe}
}

// firstLine is the line to show of a batch as a whole.
func (c *Commands) firstLine(list []numbered) string {
	switch {
	case len(list) > 0:
		return list[0].cmd.Line
	case len(c.Errors) > 0:
		return c.Errors[0].Line
	}
	return ""
}

// refuseWithoutTicket makes a decision of one whose Errors say what is wrong
// and that has no ticket to keep the words on: the raw mail keeps them.
func (r *Rules) refuseWithoutTicket(d *Decision) {
	d.Fate, d.Reason, d.Ticket = Refused, "command-error", 0
	d.Commands, d.Effects, d.Batch, d.Ask, d.Write, d.Open = nil, nil, nil, nil, nil, nil
	d.Tell = []Tell{AnswerError}
}

// withoutTicket is a technician's mail that belongs to no ticket: commands to
// several, a question, or a new ticket with what its first lines say of it. It
// is false when there is nothing special about the mail.
func (r *Rules) withoutTicket(m *Message, d *Decision, k *Known) bool {
	list, c := r.readBatch(d.Blocks, k.Now)
	if len(c.Errors)+len(list) > 0 {
		strong, why := r.strongEnough(d.Sender, StrictBatch)
		if !strong && d.Sender.Authenticated { // T48: only an answer to our question can be strong
			d.Sender.Why = why
			if k.Challenged {
				d.Errors = []CommandError{{Line: c.firstLine(list), Why: why, Valid: "the commands in answers to mails about the tickets"}}
				r.refuseWithoutTicket(d)
				return true
			}
		}
		if strong || len(c.Errors) > 0 && d.Sender.Authenticated {
			r.batch(m, d, list, c, k)
			return true
		}
		if k.Challenged || len(c.Errors) > 0 {
			return false
		}
		d.Fate, d.Reason, d.Commands, d.Tell = Unverified, "sender-not-verified", c.List, []Tell{AskSender}
		return true
	}
	if !d.Sender.Authenticated {
		return false
	}
	cmds := r.ReadCommands(d.Blocks, k.Now)
	r.addSubjectCommands(m, d, &cmds, "", k.Now)
	passed, theirs := r.passedOn(m, d.Blocks)
	wordless := cmds.Text == "" && len(m.Attachments) == 0 && theirs == ""
	switch {
	case len(cmds.List)+len(cmds.Errors) == 0:
	case len(cmds.Errors) > 0 && wordless:
		d.Errors = cmds.Errors
		r.refuseWithoutTicket(d)
		return true
	case len(cmds.List) > 0 && !changing(cmds.List) && wordless:
		d.Fate, d.Reason, d.Commands = Appended, "query", cmds.List
		for _, c := range cmds.List {
			r.ask(c, d)
		}
		d.Tell = []Tell{AnswerQuery}
		return true
	case wordless && !slices.ContainsFunc(cmds.List, func(c Command) bool { return c.Verb == ForVerb }):
		d.Errors = []CommandError{{
			Line: cmds.List[0].Line, Why: "your mail names no ticket",
			Valid: "the command as an answer to a mail about the ticket, or with its number before it, as in 1042 " + cmds.List[0].Line,
		}}
		r.refuseWithoutTicket(d)
		return true
	}
	r.openFor(m, d, cmds, passed, theirs, k)
	return true
}

// passedOn finds the mail that a technician passes on: who wrote it and what
// it says. It is empty where nothing is passed on, or what a colleague wrote.
func (r *Rules) passedOn(m *Message, blocks []Block) (Address, string) {
	kinds := []BlockKind{Forwarded}
	if r.Subject(m.Subject).Forward { // programs that mark it as they mark a quote
		kinds = append(kinds, Quoted)
	}
	for i, b := range blocks {
		if !slices.Contains(kinds, b.Kind) {
			continue
		}
		a := forwardedFrom(b.Text)
		if a.Addr == "" || r.Own(a.Addr) || r.lists[a.Addr] || r.Works(a.Addr) {
			return Address{}, ""
		}
		// What stands beneath is the technician's again.
		theirs := slices.DeleteFunc(slices.Clone(blocks[i:]), func(b Block) bool { return b.Kind == Own || b.Kind == Signature })
		return a, strings.TrimSpace(joinBlocks(theirs))
	}
	return Address{}, ""
}

// openFor makes a new ticket of a technician's mail: for themselves, or for
// somebody else, who is named by "for:" or wrote the mail that is forwarded.
// The other commands of the mail are obeyed on the new ticket; where one
// cannot be, none is, and the ticket is opened all the same.
func (r *Rules) openFor(m *Message, d *Decision, cmds Commands, requester Address, theirs string, k *Known) {
	errs := cmds.Errors
	var list []Command
	for _, c := range cmds.List {
		switch c.Verb {
		case ForVerb:
			if !strings.EqualFold(requester.Addr, c.Value) {
				requester = Address{Addr: r.Canonical(c.Value)}
			}
		case UndoVerb, SplitVerb, MergeVerb, SpamVerb, NotSpamVerb, ReplyVerb:
			errs = append(errs, CommandError{Line: c.Line, Why: fmt.Sprintf("%q is about a ticket that is there already", c.Verb), Valid: "it in an answer to a mail about the ticket"})
		default:
			list = append(list, c)
		}
	}
	text, own, aside := cmds.Text, OwnText(cmds.Blocks), ""
	if theirs != "" { // the words of who has the trouble are what counts
		aside, text = strings.TrimSpace(own), theirs
		own = strings.TrimSpace(own + "\n" + theirs)
	}
	r.openWith(m, d, "new-request", own)
	if d.Open == nil {
		return
	}
	if requester.Addr != "" {
		d.Open.Requester = requester
		d.Notes = append(d.Notes, fmt.Sprintf("opened by %s for %s", d.Sender.Address, requester.Addr))
		d.Reason = "opened-for"
	}
	if r.Subject(m.Subject).Bare == "" { // neither commands nor what is said aside
		d.Open.Subject = firstLine(text)
		if theirs != "" {
			d.Open.Subject = firstLine(belowHeader(theirs))
		}
	}
	d.Write.Text, d.Write.Aside = text, aside
	f := Facts{
		Mailbox: k.Mailbox, Subject: d.Open.Subject, Status: ticket.Open, Priority: d.Open.Priority, Team: d.Open.Team,
		Assignee: d.Open.Assignee, Requester: lowerASCII(d.Open.Requester.Addr),
	}
	if len(errs) == 0 && len(list) > 0 {
		trial := *d
		trial.Joins = nil
		if r.apply(Commands{List: list, Text: text}, len(m.Attachments) > 0, &trial, f, k); len(trial.Errors) == 0 {
			trial.Joins = slices.DeleteFunc(append(d.Joins, trial.Joins...), func(a Address) bool { return strings.EqualFold(a.Addr, f.Requester) })
			*d = trial
			d.Commands, d.Blocks = list, cmds.Blocks
			if changing(list) && !quiet(list) {
				d.Tell = append(d.Tell, Transcribe)
			}
			if len(d.Ask) > 0 {
				d.Tell = append(d.Tell, AnswerQuery)
			}
			return
		}
		errs = trial.Errors
	}
	if len(errs) > 0 {
		if theirs == "" {
			d.Write.Text = d.NewText
		}
		d.Errors, d.Tell = errs, append(d.Tell, AnswerError)
	}
}

// forwardedFrom is the sender that the header block of a forwarded text names.
// Programs write it in many languages; the address counts where one line of
// the first few begins with a word for "from" and holds exactly one.
func forwardedFrom(text string) Address {
	lines := strings.SplitN(text, "\n", 16)
	for _, line := range lines[:min(len(lines), 15)] {
		if value, ok := fromField(line); ok {
			return namedAddress(strings.Trim(value, " *"))
		}
	}
	return Address{}
}

// fromField says whether a line of a header block is its From.
func fromField(line string) (value string, ok bool) {
	key, value, ok := strings.Cut(phone(strings.TrimLeft(line, "> *|")), ":")
	return value, ok && fromWords[strings.ToLower(strings.Trim(key, " *"))]
}

// belowHeader gives what stands below the header block of a forwarded text:
// after the first empty line behind the block's From.
func belowHeader(text string) string {
	var b strings.Builder
	from, below := false, false
	for line := range strings.Lines(text) {
		line = strings.TrimLeft(line, "> |")
		switch {
		case below:
			b.WriteString(line)
		case from:
			below = strings.TrimSpace(line) == ""
		default:
			_, from = fromField(line)
		}
	}
	return b.String()
}

// fromWords are the words for From in the header blocks of forwards.
var fromWords = wordSet("from von de da di van från fra lähettäjä od feladó от від kimden gönderen από 发件人 寄件者 寄件人 差出人 보낸사람 mittente absender expéditeur remitente remetente nadawca odesílatel avsender afsender отправитель expeditor")

// namedAddress reads "Ann Miller <ann@example.com>", with or without a link
// about the address, or the address alone.
func namedAddress(s string) Address {
	if a := plainAddress(lowerASCII(s)); a != "" {
		return Address{Addr: a}
	}
	for _, pair := range []string{"<>", "[]", "()"} {
		i, j := strings.IndexByte(s, pair[0]), strings.LastIndexByte(s, pair[1])
		if i < 0 || j < i {
			continue
		}
		inner := strings.TrimPrefix(lowerASCII(strings.Trim(s[i+1:j], "<> ")), "mailto:")
		if shown, _, ok := strings.Cut(inner, "<mailto:"); ok {
			inner = strings.TrimSpace(shown)
		}
		if shown, _, ok := strings.Cut(inner, "](mailto:"); ok {
			inner = strings.TrimSpace(strings.TrimPrefix(shown, "["))
		}
		if a := plainAddress(inner); a != "" {
			return Address{Name: clip(strings.Trim(s[:i], ` "'`), 80), Addr: a}
		}
	}
	return Address{}
}
