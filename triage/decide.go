package triage

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"deskd/triage/ticket"
)

// Rules is a Policy made ready: what decides about mail. It does not change
// and may be used by many goroutines.
type Rules struct {
	p           Policy
	signer      *Signer
	prefixes    []string        // of subject tags, the present one first
	rules       []rule          // sorting rules in the order of the settings
	admins      map[string]bool // lower case, likewise below
	technicians map[string]bool
	own         map[string]bool   // support addresses and their aliases
	box         map[string]string // each of these → its mailbox's address
	lists       map[string]bool   // distribution lists of the teams
	workers     []string          // technicians and administrators, sorted
	kinds       KindPolicy
	main        map[string]string // alias of a person → the main address, both lower case
	openFrom    addresses         // who may open tickets; empty: everybody
	blockList   addresses         // whose mail is spam
}

// New checks a policy and makes it ready. The error joins every complaint,
// each beginning with the path of its setting.
func New(p Policy) (*Rules, error) {
	if len(p.Teams) == 0 {
		p.Teams = SeedTeams()
	}
	if p.DefaultTeam == "" {
		p.DefaultTeam = p.Teams[0].Name
	}
	if p.DefaultPriority == "" {
		p.DefaultPriority = ticket.Medium
	}
	if p.Prefix == "" {
		p.Prefix = "IT"
	}
	r := &Rules{
		p: p, signer: NewSigner(p.Secret), prefixes: append([]string{p.Prefix}, p.OldPrefixes...),
		admins: set(p.Administrators), technicians: map[string]bool{}, own: map[string]bool{}, lists: map[string]bool{},
		box: map[string]string{}, main: map[string]string{}, openFrom: newAddresses(p.OpenFrom), blockList: newAddresses(p.Blocked),
	}
	for _, one := range p.People {
		for _, a := range one.Aliases {
			r.main[strings.ToLower(a)] = strings.ToLower(one.Address)
		}
	}
	var errs []error
	for _, t := range p.Teams {
		for _, a := range t.Roster {
			r.technicians[strings.ToLower(a)] = true
		}
		if t.List != "" {
			r.lists[strings.ToLower(t.List)] = true
		}
	}
	for _, b := range p.Mailboxes {
		r.own[strings.ToLower(b.Address)] = true
		r.box[strings.ToLower(b.Address)] = strings.ToLower(b.Address)
		for _, a := range b.Aliases {
			r.own[strings.ToLower(a)] = true
			r.box[strings.ToLower(a)] = strings.ToLower(b.Address)
		}
	}
	r.workers = slices.Sorted(maps.Keys(r.technicians))
	for a := range r.admins {
		if !r.technicians[a] {
			r.workers = append(r.workers, a)
		}
	}
	slices.Sort(r.workers)
	for a := range r.own {
		r.kinds.OwnAddresses = append(r.kinds.OwnAddresses, a)
	}
	r.kinds.OwnLists, r.kinds.Alerts, r.kinds.Signer, r.kinds.Trust = p.OwnLists, p.Alerts, r.signer, p.Trust
	if t := teamNamed(p.Teams, p.DefaultTeam); t == nil {
		errs = append(errs, fmt.Errorf("default_team: there is no team %q; teams are %s", p.DefaultTeam, teamNames(p.Teams)))
	} else {
		r.p.DefaultTeam = t.Name
	}
	if !p.DefaultPriority.Valid() {
		errs = append(errs, fmt.Errorf("default_priority: %q is no priority; write critical, high, medium or low", p.DefaultPriority))
	}
	for i, spec := range p.Rules {
		c, err := compileRule(fmt.Sprintf("rules[%d]", i), spec, p.Teams)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if t := teamNamed(p.Teams, c.Team); t != nil {
			c.Team = t.Name
		}
		r.rules = append(r.rules, c)
	}
	return r, errors.Join(errs...)
}

func set(list []string) map[string]bool {
	m := make(map[string]bool, len(list))
	for _, s := range list {
		m[strings.ToLower(s)] = true
	}
	return m
}

// Team gives the team of that name, in any case, and whether there is one.
func (r *Rules) Team(name string) (Team, bool) {
	t := teamNamed(r.p.Teams, name)
	if t == nil {
		return Team{}, false
	}
	return *t, true
}

// Works says whether the address is that of a technician or an administrator
// now (T11).
func (r *Rules) Works(addr string) bool {
	addr = r.Canonical(addr)
	return r.technicians[addr] || r.admins[addr]
}

// Administers says whether the address is that of an administrator now (T11).
func (r *Rules) Administers(addr string) bool { return r.admins[r.Canonical(addr)] }

// DefaultTeam is the team of tickets that no rule speaks about.
func (r *Rules) DefaultTeam() string { return r.p.DefaultTeam }

// Own says whether the address is a support address of ours or an alias of
// one. Nothing is ever sent to these (T18).
func (r *Rules) Own(addr string) bool {
	addr = strings.ToLower(addr)
	if r.own[addr] {
		return true
	}
	local, domain, _ := strings.Cut(addr, "@")
	box, _, plus := strings.Cut(local, "+")
	return plus && r.own[box+"@"+domain]
}

// Signer gives the desk's signer.
func (r *Rules) Signer() *Signer { return r.signer }

// Fate is what becomes of a mail: every mail ends in exactly one (P1).
type Fate string

// Fates that a decision can give; quarantined, gone and dismissed come about
// elsewhere.
const (
	NewTicket  Fate = "new_ticket"
	Appended   Fate = "appended"
	Unverified Fate = "unverified"
	Duplicate  Fate = "duplicate"
	Automatic  Fate = "automatic"
	Loop       Fate = "loop"
	Bounced    Fate = "bounce"
	Spammed    Fate = "spam"
	TooLarge   Fate = "oversize"
	Refused    Fate = "refused"
	Folded     Fate = "folded"
)

// Tell is one mail that a decision asks for.
type Tell string

// Mails that follow from a decision.
const (
	Acknowledge Tell = "acknowledge" // to the requester of a new ticket
	NotifyTeam  Tell = "notify team" // of a new ticket
	SendReply   Tell = "reply"       // a technician's words to the requester
	TellStatus  Tell = "status"      // the changed status to the requester
	TellAnswer  Tell = "answer"      // the requester's words to the assignee, else to the team
	TellNote    Tell = "note"        // a work note to the assignee
	TellAssign  Tell = "assigned"    // to whom somebody else has assigned the ticket
	TellMove    Tell = "moved"       // to the team that the ticket was moved to
	TellTaken   Tell = "taken"       // to the team: somebody has it now
	TellMerge   Tell = "merged"      // to the requester of a ticket that went into another
	Transcribe  Tell = "transcript"  // what the commands did, to the technician
	AnswerError Tell = "error"       // what was wrong with the commands, to the technician
	AnswerQuery Tell = "query"       // what was asked for, to who asked
	AskSender   Tell = "challenge"   // whether the mail was theirs, to the address of the roster
)

// Opening is the ticket that a decision opens.
type Opening struct {
	Subject   string          `json:"subject"`
	Requester Address         `json:"requester"`
	Priority  ticket.Priority `json:"priority"`
	Team      string          `json:"team"`
	Assignee  string          `json:"assignee,omitempty"`
	Tags      []string        `json:"tags,omitempty"`
	Linked    ticket.Number   `json:"linked,omitempty"`    // an earlier ticket it has to do with, or 0
	LinkedAs  string          `json:"linked_as,omitempty"` // "follow-up", "claims", "forward", "other mailbox", "same subject"
}

// Writing is the entry that a decision adds to a ticket.
type Writing struct {
	Note     bool     `json:"note"`     // a work note, seen by technicians only; else a message
	Author   Address  `json:"author"`   // as shown
	Verified bool     `json:"verified"` // the author was authenticated
	Text     string   `json:"-"`        // the author's own new text, without commands
	Aside    string   `json:"-"`        // what the author says to colleagues alone, a work note beside the message
	Flags    []string `json:"flags,omitempty"`
}

// Change is a step of a ticket's status.
type Change struct {
	Act    ticket.Act    `json:"act"`
	Before ticket.Status `json:"before"`
	After  ticket.Status `json:"after"`
}

// Effect is what one command did, for the transcript.
type Effect struct {
	Line   string `json:"line"`
	Before string `json:"before,omitempty"`
	After  string `json:"after"` // the same as Before: nothing had to be done
}

// Decision is what should become of a mail, and why. Reason is one word out
// of a fixed list, Notes say the rest to technicians.
type Decision struct {
	Fate     Fate            `json:"fate"`
	Reason   string          `json:"reason"`
	Kind     KindVerdict     `json:"kind"`
	Sender   Sender          `json:"sender"`
	Match    Match           `json:"match"`
	Ticket   ticket.Number   `json:"ticket,omitempty"` // the existing ticket it is about
	Open     *Opening        `json:"open,omitempty"`
	Write    *Writing        `json:"write,omitempty"`
	Changes  []Change        `json:"changes,omitempty"`
	Assign   string          `json:"assign,omitempty"`
	Drop     bool            `json:"drop,omitempty"` // nobody has it any more
	Team     string          `json:"team,omitempty"` // it is moved to
	Priority string          `json:"priority,omitempty"`
	Joins    []Address       `json:"joins,omitempty"`  // new participants
	Leaves   []string        `json:"leaves,omitempty"` // participants no more
	Effects  []Effect        `json:"effects,omitempty"`
	Due      *time.Time      `json:"due,omitempty"`     // the date of a reminder; a zero time takes it away
	Merge    *Merging        `json:"merge,omitempty"`   // two tickets become one
	Unmerge  ticket.Number   `json:"unmerge,omitempty"` // the ticket goes on by itself, no more as that one
	Links    []ticket.Number `json:"links,omitempty"`   // further tickets it has to do with
	Unlinks  []ticket.Number `json:"unlinks,omitempty"`
	Wanted   bool            `json:"wanted,omitempty"`    // a person has taken the mail out of the spam
	Spam     bool            `json:"spam,omitempty"`      // ticket and requester are marked
	NotSpam  bool            `json:"not_spam,omitempty"`  // the marks are taken off
	MarkKept bool            `json:"mark_kept,omitempty"` // of these two only the requester's: the ticket has its mark, or none, before and after
	Reversed bool            `json:"reversed,omitempty"`  // these two take back what was said before
	Mute     bool            `json:"mute,omitempty"`      // the sender hears no more of the ticket
	Unmute   bool            `json:"unmute,omitempty"`
	Undo     bool            `json:"undo,omitempty"`    // TakeBack has to complete it
	Split    bool            `json:"split,omitempty"`   // SplitOff has to complete it
	Confirm  int64           `json:"confirm,omitempty"` // the intake that the sender says was theirs
	Ask      []Command       `json:"ask,omitempty"`     // what is to be answered by mail
	Batch    []Decision      `json:"batch,omitempty"`   // what happens to each of several tickets
	Event    string          `json:"event,omitempty"`   // something to note on the ticket beside the changes
	Commands []Command       `json:"commands,omitempty"`
	Errors   []CommandError  `json:"errors,omitempty"`
	Tell     []Tell          `json:"tell,omitempty"`
	Reasons  []Reason        `json:"reasons,omitempty"` // of priority and team
	Notes    []string        `json:"notes,omitempty"`
	Blocks   []Block         `json:"-"` // the text taken apart
	NewText  string          `json:"-"`
}

// Decide says what a message means. It is a function of its arguments alone.
// The message's Body may still hold undecided blocks; Decide takes them apart.
func (r *Rules) Decide(m *Message, k *Known) Decision {
	d := Decision{
		Kind: Classify(m, r.kinds), Sender: r.sender(m), Blocks: Split(m.Body), Notes: append([]string{}, m.Faults...),
	}
	if why := r.notToUs(m, &d.Sender); why != "" {
		d.Sender.Authenticated, d.Sender.Proof, d.Sender.Why = false, "", why
	}
	if k.Confirmed {
		d.Sender.Authenticated, d.Sender.Proof, d.Sender.Why = true, "confirmed", "the sender answered yes when asked"
	}
	d.Match = r.match(m, k, d.Sender)
	d.Sender.Signed = k.Confirmed || r.holds(m, k, d.Sender, d.Match.Ticket)
	d.NewText, _ = NewText(d.Blocks)
	d.Ticket = d.Match.Ticket
	facts, known := k.Tickets[d.Ticket]
	if known {
		d.Sender.Role = r.canonical(facts).role(d.Sender)
	}
	if d.Wanted = k.Wanted; d.Wanted && d.Kind.Kind == KindSpam {
		d.Kind = r.noSpam(m, "taken out of the spam", d.Kind.Header)
	}
	if d.Kind.Kind == KindSpam && known && d.Sender.Authenticated && d.Sender.Role != Stranger {
		// A mark that anybody can write does not silence those we know.
		d.Notes = append(d.Notes, "the mail is marked as spam: "+d.Kind.Header)
		d.Kind = r.noSpam(m, "person marked as spam", d.Kind.Header)
	}
	switch {
	case k.Twin != nil:
		d.Fate, d.Reason, d.Ticket = Duplicate, "known-mail", k.Twin.Ticket
	case d.Kind.Kind == KindOwn:
		r.ownMail(m, &d, known)
	case m.Report != nil && m.Report.Kind == DeliveryReport:
		d.Fate, d.Reason = Bounced, "delivery-report"
		if known && (d.Match.How == BySignedID || d.Match.How == ByMessageID) {
			d.Event = reportText(m.Report)
		} else {
			d.Ticket = 0 // a subject anybody can write (T14)
		}
	case !d.Wanted && r.blocked(m, k, d.Sender):
		d.Fate, d.Reason, d.Ticket = Spammed, "blocked-sender", 0
	case d.Kind.Kind == KindSpam:
		d.Fate, d.Reason, d.Ticket = Spammed, "marked-spam", 0
	case !d.Kind.Opens:
		d.Fate, d.Reason, d.Event = Automatic, "automatic", "automatic mail: "+d.Kind.Why
		if !known || d.Sender.Role == Stranger {
			d.Ticket, d.Event = 0, ""
		}
	case (!known || d.Sender.Role == Stranger) && !r.mayOpen(m, &d):
		d.Fate, d.Reason, d.Ticket = Refused, "domain-not-allowed", 0 // T22: and nobody is told
	case m.Oversize:
		r.oversize(m, &d, facts, known)
	case k.Challenge != nil && r.confirm(m, &d, k):
	case !known && d.Sender.Role.works() && d.Kind.Tell && !m.Ambiguous && r.withoutTicket(m, &d, k):
	case !known && asksStatus(d.NewText):
		r.askOwn(&d)
	case !known:
		r.open(m, &d, "new-request")
	case d.Sender.Role == Stranger:
		r.openLinked(m, &d, facts, "claims", "not-a-participant")
	case !r.sameMailbox(facts.Mailbox, k.Mailbox):
		r.openLinked(m, &d, facts, "other mailbox", "other-mailbox")
	case r.Subject(m.Subject).Forward:
		r.openLinked(m, &d, facts, "forward", "forward")
	case d.Sender.Role.works():
		r.fromTechnician(m, &d, facts, k)
	default:
		r.fromRequester(m, &d, facts)
	}
	if r.floods(m, k, &d) {
		r.fold(&d, k)
	}
	r.storms(&d, k)
	if (d.Fate == NewTicket || d.Fate == TooLarge || d.Fate == Folded) && m.Ambiguous {
		d.Notes = append(d.Notes, "this mail can be read in more than one way; look at its raw source before acting on it")
	}
	if d.Write != nil && r.reused(m, k) {
		d.Write.Flags = append(d.Write.Flags, "Message-ID used before")
		d.Notes = append(d.Notes, "another mail came before under the same Message-ID; somebody may want to pass for its sender")
	}
	return d
}

// reused says whether another mail of the same mailbox had the Message-ID
// before (F6). A copy of the same mail is not that: it is a Twin.
func (r *Rules) reused(m *Message, k *Known) bool {
	if m.MessageID == "" {
		return false
	}
	return slices.ContainsFunc(k.ByID[m.MessageID], func(n ticket.Number) bool {
		f, ok := k.Tickets[n]
		return ok && r.sameMailbox(f.Mailbox, k.Mailbox)
	})
}

// ownMail is mail that says it is from one of our own addresses. What bears
// our mark is ours coming back. What a person wrote from the shared mailbox is
// a message to the requester that has been sent already.
func (r *Rules) ownMail(m *Message, d *Decision, known bool) {
	marked := len(values(m, LoopField)) > 0
	if known && !marked && d.Sender.Authenticated && !d.Kind.mechanical() {
		d.Fate, d.Reason = Appended, "written-as-the-desk"
		d.Write = &Writing{Author: m.From, Verified: true, Text: d.NewText}
		return
	}
	d.Fate, d.Reason, d.Ticket = Loop, "own-mail", 0
}

// noSpam is the kind of a mail that a mark is wrong about: a program's stays
// one (T16).
func (r *Rules) noSpam(m *Message, why, mark string) KindVerdict {
	v := withoutSpamMark(m, r.kinds)
	if v.Kind == KindPerson {
		v.Why, v.Header = why, mark
	}
	return v
}

// open makes a new ticket of a mail.
func (r *Rules) open(m *Message, d *Decision, reason string) {
	r.openWith(m, d, reason, OwnText(d.Blocks))
}

// openWith is open with the text that the rules are searched in.
func (r *Rules) openWith(m *Message, d *Decision, reason, own string) {
	s := r.sort(m, own)
	if s.action == Spam && d.Wanted {
		s.action = Sort
	}
	if s.action != Sort {
		d.Fate, d.Reason, d.Reasons, d.Ticket = Refused, "rule-ignore", s.reasons, 0
		if s.action == Spam {
			d.Fate, d.Reason = Spammed, "rule-spam"
		}
		return
	}
	requester := Address{Name: m.From.Name, Addr: m.From.Addr}
	if main := r.Canonical(m.From.Addr); main != strings.ToLower(m.From.Addr) {
		requester.Addr = main
		d.Notes = append(d.Notes, "written from "+m.From.Addr+", which is "+main)
	}
	if requester.Addr == "" {
		requester = Address{Name: m.Shown.Name}
		d.Notes = append(d.Notes, "the sender is not certain: "+d.Sender.Why)
	}
	subject := r.Subject(m.Subject).Bare
	if subject == "" {
		subject = firstLine(d.NewText)
	}
	d.Fate, d.Reason, d.Reasons = NewTicket, reason, s.reasons
	d.Open = &Opening{
		Subject: clip(subject, 250), Requester: requester, Priority: s.priority, Team: s.team,
		Assignee: s.assignee, Tags: s.tags,
	}
	d.Ticket = 0
	d.Write = &Writing{Author: m.From, Verified: d.Sender.Authenticated, Text: d.NewText}
	if m.From.Addr == "" {
		d.Write.Author = m.Shown
	}
	if d.Kind.Answer && requester.Addr != "" && !r.Own(requester.Addr) {
		d.Tell = append(d.Tell, Acknowledge)
	}
	if d.Kind.Tell {
		d.Tell = append(d.Tell, NotifyTeam)
	}
	if d.Sender.Authenticated {
		d.Joins = r.joining(m)
	}
	if importance := noted(m); importance != "" {
		d.Notes = append(d.Notes, importance)
	}
	if m.Unreadable {
		d.Write.Flags = append(d.Write.Flags, "unreadable")
	}
}

// openLinked makes a ticket that is linked to the one the mail named.
func (r *Rules) openLinked(m *Message, d *Decision, f Facts, as, reason string) {
	r.open(m, d, reason)
	if d.Open == nil {
		return
	}
	d.Open.Linked, d.Open.LinkedAs = f.Number, as
	switch as {
	case "claims":
		d.Notes = append(d.Notes, fmt.Sprintf("the mail claims to belong to %s, but its sender has no part in that ticket", r.Tag(f.Number)))
	case "follow-up":
		d.Notes = append(d.Notes, fmt.Sprintf("follow-up of %s, which is closed", r.Tag(f.Number)))
	case "forward":
		d.Notes = append(d.Notes, fmt.Sprintf("forwarded mail that names %s", r.Tag(f.Number)))
	case "other mailbox":
		d.Notes = append(d.Notes, fmt.Sprintf("%s belongs to the mailbox %s", r.Tag(f.Number), f.Mailbox))
	}
}

// maxParticipants is how many people beside the requester may follow a
// ticket.
const maxParticipants = 20

// joining are the people in Cc of an authenticated first mail (T12).
func (r *Rules) joining(m *Message) []Address {
	var j []Address
	for _, a := range m.Cc {
		lower := r.Canonical(a.Addr)
		if a.Addr == "" || r.Own(a.Addr) || r.lists[lower] || r.technicians[lower] || lower == r.Canonical(m.From.Addr) || len(j) >= maxParticipants {
			continue
		}
		if lower != strings.ToLower(a.Addr) {
			a.Addr = lower
		}
		j = append(j, a)
	}
	return j
}

// oversize keeps what the header says; the mail itself stays in its folder
// (T26).
func (r *Rules) oversize(m *Message, d *Decision, f Facts, known bool) {
	note := fmt.Sprintf("the mail is too large to be read (%d MiB); only its header was, and the mail lies in the mailbox's folder for handled mail", m.Size>>20)
	d.Notes = append(d.Notes, note)
	if !known || d.Sender.Role == Stranger || f.Status == ticket.Closed {
		if known && d.Sender.Role != Stranger {
			r.openLinked(m, d, f, "follow-up", "oversize")
		} else {
			r.open(m, d, "oversize")
		}
		if d.Open != nil {
			d.Write.Text, d.Fate = note, TooLarge
		}
		// T22: no answer to what was not read, but for the usual acknowledgement.
		return
	}
	d.Fate, d.Reason = TooLarge, "oversize"
	d.Write = &Writing{Note: true, Author: m.From, Verified: d.Sender.Authenticated, Text: note}
	d.Tell = append(d.Tell, TellAnswer)
	if next, err := ticket.Next(f.Status, ticket.RequesterAnswer); err == nil && next != f.Status && !d.Sender.Role.works() {
		d.Changes = []Change{{ticket.RequesterAnswer, f.Status, next}}
	}
}

// fromTechnician is a technician's mail on an existing ticket.
func (r *Rules) fromTechnician(m *Message, d *Decision, f Facts, k *Known) {
	cmds := r.ReadCommands(d.Blocks, k.Now)
	r.addSubjectCommands(m, d, &cmds, f.Subject, k.Now)
	if !d.Kind.Tell && d.Sender.Authenticated {
		d.Fate, d.Reason = Appended, "bulk-mail"
		d.Write = &Writing{Note: true, Author: m.From, Verified: true, Text: d.NewText, Flags: []string{"mail to many; commands in it are not read"}}
		return
	}
	if !d.Sender.Authenticated {
		d.Fate, d.Reason = Unverified, "sender-not-verified"
		d.Write = &Writing{Note: true, Author: m.From, Text: d.NewText, Flags: []string{"unverified"}}
		d.Notes = append(d.Notes, "not verified: "+d.Sender.Why)
		if changing(cmds.List) && len(cmds.Errors) == 0 && d.Kind.Tell && !m.Ambiguous && !k.Challenged {
			d.Commands, d.Tell = cmds.List, []Tell{AskSender}
		}
		return
	}
	d.Fate = Appended
	d.Write = &Writing{Note: true, Author: m.From, Verified: true, Text: cmds.Text}
	if m.Ambiguous && len(cmds.List)+len(cmds.Errors) > 0 {
		cmds.Errors = append(cmds.Errors, CommandError{
			Why: "the mail can be read in more than one way, so its commands were not obeyed", Valid: "a plain text mail",
		})
	}
	lone, bad := standsAlone(cmds.List)
	switch {
	case bad != nil:
		d.Errors = append(cmds.Errors, *bad)
	case len(cmds.Errors) > 0:
		d.Errors = cmds.Errors
	case lone == UndoVerb, lone == SplitVerb:
		d.Undo, d.Split = lone == UndoVerb, lone == SplitVerb
		d.Reason, d.Commands, d.Blocks = string(lone), cmds.List, cmds.Blocks
		if d.Write.Text == "" && len(m.Attachments) == 0 {
			d.Write = nil
		}
		return
	default:
		r.apply(cmds, len(m.Attachments) > 0, d, f, k)
		r.holdClosing(d)
	}
	if len(d.Errors) > 0 {
		r.refuseCommands(m, d)
		return
	}
	d.Commands, d.Blocks = cmds.List, cmds.Blocks
	d.Reason = "note"
	switch {
	case changing(cmds.List):
		d.Reason = "commands"
	case len(d.Ask) > 0:
		d.Reason = "query"
	}
	if d.Write.Text == "" && len(m.Attachments) == 0 {
		d.Write = nil
	}
	d.Tell = r.tellOf(d, f)
}

// refuseCommands makes a decision of one whose Errors say what is wrong: one
// mail is one transaction, so nothing changes and the words are kept.
func (r *Rules) refuseCommands(m *Message, d *Decision) {
	d.Reason, d.Commands, d.Effects, d.Undo = "command-error", nil, nil, false
	d.Changes, d.Assign, d.Drop, d.Team, d.Priority, d.Joins, d.Leaves = nil, "", false, "", "", nil, nil
	d.Due, d.Merge, d.Unmerge, d.Links, d.Unlinks, d.Ask, d.Batch, d.Split = nil, nil, 0, nil, nil, nil, nil, false
	d.Spam, d.NotSpam, d.Mute, d.Unmute, d.Confirm = false, false, false, false, 0
	d.Write = &Writing{Note: true, Author: m.From, Verified: true, Text: d.NewText, Flags: []string{"command error"}}
	d.Tell = []Tell{AnswerError}
}

// apply runs the commands: who has the ticket first, the status last (product
// page 5: it is applied after the text).
func (r *Rules) apply(cmds Commands, attached bool, d *Decision, f Facts, k *Known) {
	d.Effects = make([]Effect, len(cmds.List))
	status := f.Status
	act := func(i int) {
		c := cmds.List[i]
		next, err := ticket.Next(status, c.Act)
		if c.Verb == StatusVerb && err != nil && f.Status != status && string(c.Act) == status.Label() {
			next, err = status, nil // "take" made it so already
		}
		if err != nil {
			d.Errors = append(d.Errors, CommandError{Line: c.Line, Why: err.Error(), Valid: possible(status)})
			return
		}
		if c.Verb == StatusVerb {
			d.Effects[i] = Effect{c.Line, status.Label(), next.Label()}
		}
		if next != status {
			d.Changes = append(d.Changes, Change{c.Act, status, next})
			status = next
		}
	}
	for i, c := range cmds.List {
		if c.Verb == StatusVerb {
			continue
		}
		e := &d.Effects[i]
		e.Line = c.Line
		if c.Verb.asks() {
			r.ask(c, d)
			e.After = "answered in a mail of its own"
			continue
		}
		switch c.Verb {
		case ReplyVerb:
			if d.Write.Text == "" && !attached {
				d.Errors = append(d.Errors, CommandError{
					Line: c.Line, Why: "there is no text to send to the requester",
					Valid: "reply on a line of its own, and the text beneath it",
				})
			}
			d.Write.Note = false
			e.After = "the text is a message to the requester"
			continue
		case NoteVerb:
			e.After = "the text is a work note"
			continue
		case QuietVerb:
			continue
		case TakeVerb, AssignVerb:
			e.Before, e.After = orNobody(f.Assignee), strings.ToLower(c.Value)
			if c.Verb == TakeVerb {
				e.After = d.Sender.Address
			}
			d.Assign = e.After
			act(i)
			continue
		case DropVerb:
			e.Before, e.After = orNobody(f.Assignee), orNobody("")
			d.Drop = f.Assignee != ""
		case TeamVerb:
			e.Before, e.After = f.Team, c.Value
			if f.Team != c.Value {
				d.Team = c.Value
			}
		case PriorityVerb:
			e.Before, e.After = string(f.Priority), c.Value
			if e.Before != e.After {
				d.Priority = c.Value
			}
		case CcVerb:
			c.Value = r.Canonical(c.Value)
			r.join(d, f, c, e)
		case UnccVerb:
			if !containsFold(f.Participants, c.Value) {
				c.Value = r.Canonical(c.Value)
			}
			r.leave(d, f, c, e)
		case DueVerb:
			r.due(d, f, c, e)
		case LinkVerb:
			r.link(d, f, c, e, k)
		case MergeVerb:
			r.merge(d, f, c, e, k)
			continue
		case SpamVerb, NotSpamVerb:
			r.markSpam(d, f, c, e)
			continue
		case MuteVerb, UnmuteVerb:
			d.Mute, d.Unmute = c.Verb == MuteVerb, c.Verb == UnmuteVerb
			e.After = "you are told of the ticket again"
			if d.Mute {
				e.After = "you hear no more of the ticket"
			}
			continue
		case ForVerb:
			d.Errors = append(d.Errors, CommandError{Line: c.Line, Why: "the ticket has a requester", Valid: "for: in a new mail, or cc " + c.Value})
		}
		if f.Status == ticket.Closed && e.Before != e.After {
			d.Errors = append(d.Errors, CommandError{Line: c.Line, Why: "the ticket is closed", Valid: `"reopen" first, in a mail of its own`})
		}
	}
	for i, c := range cmds.List {
		if c.Verb == StatusVerb {
			act(i)
		}
	}
}

func orNobody(assignee string) string {
	if assignee == "" {
		return "nobody"
	}
	return assignee
}

// join makes somebody a participant.
func (r *Rules) join(d *Decision, f Facts, c Command, e *Effect) {
	e.Before, e.After = "no participant", "participant"
	switch {
	case strings.EqualFold(c.Value, f.Requester):
		e.Before, e.After = "requester", "requester"
	case containsFold(f.Participants, c.Value):
		e.Before = e.After
	case len(f.Participants)+len(d.Joins) >= maxParticipants:
		d.Errors = append(d.Errors, CommandError{
			Line: c.Line, Why: fmt.Sprintf("the ticket has %d participants already", maxParticipants), Valid: "uncc somebody, or a mailing list",
		})
	default:
		d.Joins = append(d.Joins, Address{Addr: c.Value})
	}
}

// leave takes a participant off the ticket.
func (r *Rules) leave(d *Decision, f Facts, c Command, e *Effect) {
	e.Before, e.After = "participant", "no participant"
	if containsFold(f.Participants, c.Value) {
		d.Leaves = append(d.Leaves, c.Value)
		return
	}
	valid := "nobody is a participant"
	if len(f.Participants) > 0 {
		valid = strings.Join(f.Participants[:min(len(f.Participants), 10)], ", ")
	}
	d.Errors = append(d.Errors, CommandError{Line: c.Line, Why: c.Value + " is no participant of the ticket", Valid: valid})
}

// possible lists what a status command may say on a ticket of that status.
func possible(s ticket.Status) string {
	var words []string
	for _, a := range ticket.Acts() {
		if a == ticket.RequesterAnswer {
			continue
		}
		if next, err := ticket.Next(s, a); err == nil && next != s {
			words = append(words, string(a))
		}
	}
	return strings.Join(words, ", ")
}

// tellOf says who hears of what a technician's mail did.
func (r *Rules) tellOf(d *Decision, f Facts) []Tell {
	var tell []Tell
	changed := len(d.Changes) > 0 && d.Changes[0].Before != d.Changes[len(d.Changes)-1].After
	switch {
	case d.Spam: // nothing more is sent to them
	case d.Merge != nil:
		tell = append(tell, TellMerge)
	case d.Write != nil && !d.Write.Note:
		tell = append(tell, SendReply)
	case changed:
		tell = append(tell, TellStatus)
	}
	note := d.Write != nil && d.Write.Note
	assigned := d.Assign != "" && d.Assign != f.Assignee && d.Assign != d.Sender.Address
	if assigned {
		tell = append(tell, TellAssign)
	}
	if note && !assigned && f.Assignee != "" && !strings.EqualFold(f.Assignee, d.Sender.Address) {
		tell = append(tell, TellNote)
	}
	switch {
	case d.Team != "":
		tell = append(tell, TellMove)
	case d.Assign != "" && d.Assign != f.Assignee:
		tell = append(tell, TellTaken)
	}
	if len(d.Ask) > 0 {
		tell = append(tell, AnswerQuery)
	}
	if changing(d.Commands) && !quiet(d.Commands) {
		tell = append(tell, Transcribe)
	}
	return tell
}

// fromRequester is a mail of the requester or a participant on their ticket.
func (r *Rules) fromRequester(m *Message, d *Decision, f Facts) {
	if f.Status == ticket.Closed {
		r.openLinked(m, d, f, "follow-up", "closed-ticket")
		return
	}
	d.Fate, d.Reason = Appended, "answer"
	if asksStatus(d.NewText) && len(m.Attachments) == 0 && d.Kind.Answer {
		d.Reason, d.Ask, d.Tell = "query", []Command{{Line: "status?", Verb: StateVerb}}, []Tell{AnswerQuery}
		return
	}
	d.Write = &Writing{Author: m.From, Verified: d.Sender.Authenticated, Text: d.NewText}
	d.Tell = []Tell{TellAnswer}
	act := ticket.RequesterAnswer
	switch word := bare(d.NewText); {
	case word == "close" && d.Sender.Authenticated && !m.Ambiguous:
		act = ticket.Close
		if ok, why := r.strongEnough(d.Sender, StrictClose); !ok { // T48
			act = ticket.RequesterAnswer
			d.Notes = append(d.Notes, "asks to close the ticket, which was not done: "+why)
		}
	case word == "reopen":
		if f.Status == ticket.Resolved {
			act = ticket.Reopen
		}
	case f.Status == ticket.Resolved && IsThanks(d.NewText, r.namesAround(m, f)...) && len(m.Attachments) == 0:
		d.Reason, d.Tell = "thanks", nil
		return
	}
	if !d.Kind.Tell {
		d.Tell = nil
		return
	}
	next, err := ticket.Next(f.Status, act)
	if err != nil {
		return
	}
	if next != f.Status {
		d.Changes = []Change{{act, f.Status, next}}
		if ticket.Reopens(f.Status, next) {
			d.Reason = "reopened"
		}
	}
}

// namesAround are the names that may stand beside thanks: the writer's own and
// those of the people thanked.
func (r *Rules) namesAround(m *Message, f Facts) []string {
	names := []string{m.From.Name, localOf(m.From.Addr), localOf(f.Assignee)}
	for _, w := range r.workers {
		names = append(names, localOf(w))
	}
	return names
}

func localOf(addr string) string {
	local, _, _ := strings.Cut(addr, "@")
	return local
}

// reportText is a delivery report in one line for the timeline.
func reportText(rep *Report) string {
	var parts []string
	for _, to := range rep.Recipients {
		p := to.Address
		if to.Action != "" {
			p += ": " + to.Action
		}
		if to.Status != "" {
			p += " (" + to.Status + ")"
		}
		parts = append(parts, p)
		if len(parts) == 10 {
			parts = append(parts, "…")
			break
		}
	}
	if len(parts) == 0 {
		return "delivery report"
	}
	return "delivery report: " + strings.Join(parts, "; ")
}

// noted is what the writer says about urgency. It is told and decides nothing.
func noted(m *Message) string {
	for _, v := range values(m, "Importance") {
		if strings.EqualFold(strings.TrimSpace(v), "high") {
			return "the sender marked the mail as important"
		}
	}
	for _, v := range values(m, "X-Priority") {
		if strings.HasPrefix(strings.TrimSpace(v), "1") {
			return "the sender marked the mail as important"
		}
	}
	return ""
}

// firstLine is the beginning of a text, for a mail without a subject.
func firstLine(text string) string {
	for line := range strings.Lines(text) {
		if line = phone(line); line != "" {
			return clip(line, 80)
		}
	}
	return "(no subject)"
}
