package desk

import (
	"fmt"
	"strings"
	"time"

	"deskd/mailout"
	"deskd/store"
	"deskd/triage"
	"deskd/triage/ticket"
)

// Bounds of what a question is answered with.
const (
	listed    = 40   // tickets
	recent    = 8    // entries of a ticket
	entryText = 1500 // bytes of each
)

// answerQuery answers what was asked by mail, to who asked.
func (w *work) answerQuery() error {
	to := w.dec.Sender.Address
	o := w.occasion(mailout.Answer, w.key("answered"))
	o.To, o.Text = []triage.Address{{Name: w.dec.Sender.Name, Addr: to}}, ""
	o.Public = !w.rules.Works(to)
	o.InReplyTo, o.References = w.m.msg.MessageID, w.m.msg.References
	some := "" // a ticket of a list
	// Before any work:
	if why, err := w.overLimit(to, o.Kind); err != nil || why != "" {
		w.held = append(w.held, "no answer to "+to+": "+why)
		return err
	}
	for _, c := range w.dec.Ask {
		part, err := w.query(c, to, &some)
		if err != nil {
			return fmt.Errorf("%s: %w", c.Verb, err)
		}
		o.Sections = append(o.Sections, part...)
	}
	if some != "" {
		o.Sections = append(o.Sections, mailout.Section{Title: `For one of them write "show" and its number, or commands behind its number, as in "` + some + ` take".`})
	}
	return w.answer(o, to)
}

// query answers one question. Of a list for technicians it gives one ticket's
// number as an example.
func (w *work) query(c triage.Command, who string, some *string) ([]mailout.Section, error) {
	switch c.Verb {
	case triage.HelpVerb:
		return help(), nil
	case triage.MineVerb:
		return w.listTickets("assigned to you", store.TicketFilter{Assignee: who, Live: true}, some)
	case triage.QueueVerb:
		return w.listTickets("in the queue of "+c.Value, store.TicketFilter{Team: c.Value, Live: true}, some)
	case triage.SearchVerb:
		return w.findTickets(c.Value, some)
	case triage.ShowVerb:
		n, err := ticket.ParseNumber(c.Value)
		if err != nil {
			return []mailout.Section{{Title: `Which one? Write the number behind it, as in "show 1042".`}}, nil
		}
		return w.showTicket(n)
	}
	if w.t != nil { // how one ticket stands
		return w.standing()
	}
	f := store.TicketFilter{Requester: who, Live: true}
	if w.dec.Sender.Authenticated {
		return w.listTickets("open for you", f, new(string))
	}
	// Whoever wrote this need not be who gets the answer: it repeats no words
	// that a sender has chosen (T20).
	list, err := w.tickets(f)
	s := mailout.Section{Title: counted(len(list), "open for you")}
	for _, t := range list {
		s.Lines = append(s.Lines, w.rules.Tag(t.Number)+": "+t.Status.Label())
	}
	return []mailout.Section{s}, err
}

// tickets lists tickets in the order of their urgency: the highest priority
// first, within it the oldest.
func (w *work) tickets(f store.TicketFilter) ([]store.Ticket, error) {
	f.Limit = listed + 1
	list, err := w.tx.ListTickets(f)
	if err != nil {
		return nil, err
	}
	var sorted []store.Ticket
	for _, p := range ticket.Priorities() {
		for i := len(list) - 1; i >= 0; i-- {
			if list[i].Priority == p {
				sorted = append(sorted, list[i])
			}
		}
	}
	return sorted, nil
}

func (w *work) listTickets(where string, f store.TicketFilter, some *string) ([]mailout.Section, error) {
	list, err := w.tickets(f)
	if err != nil {
		return nil, err
	}
	s := mailout.Section{Title: counted(len(list), where)}
	for i, t := range list {
		if i == listed {
			s.Lines = append(s.Lines, "… and more")
			break
		}
		s.Lines = append(s.Lines, w.ticketLine(t, f.Requester == ""))
	}
	if len(list) > 0 {
		*some = list[0].Number.String()
	}
	return []mailout.Section{s}, nil
}

// mostFound is how many tickets a search is answered with, the newest ones.
const mostFound = 25

// findTickets lists the tickets that have all of these words, for technicians.
func (w *work) findTickets(words string, some *string) ([]mailout.Section, error) {
	found, err := w.tx.Search(store.SearchFilter{Words: words, Limit: mostFound})
	if err != nil {
		return nil, err
	}
	s := mailout.Section{Title: "No ticket has all of these words: " + words}
	switch n := len(found.Hits); {
	case n == 1:
		s.Title = "1 ticket has all of these words: " + words
	case n > 1:
		s.Title = fmt.Sprintf("%d tickets have all of these words: %s", n, words)
	}
	for _, h := range found.Hits {
		s.Lines = append(s.Lines, w.ticketLine(h.Ticket, true))
	}
	if found.Partial {
		s.Lines = append(s.Lines, "… and perhaps others: search for longer words, or again in a minute")
	}
	if found.Next != 0 || found.Unread != 0 {
		s.Lines = append(s.Lines, "… and perhaps more, older ones")
	}
	if len(found.Hits) > 0 {
		*some = found.Hits[0].Ticket.Number.String()
	}
	return []mailout.Section{s}, nil
}

// ticketLine is a ticket in two lines.
func (w *work) ticketLine(t store.Ticket, whose bool) string {
	facts := []string{t.Status.Label(), string(t.Priority)}
	if whose {
		facts = append(facts, "from "+nameOf(t))
		if t.Assignee != "" {
			facts = append(facts, "with "+t.Assignee)
		}
	}
	facts = append(facts, w.ago(t.CreatedAt))
	if !t.DueAt.IsZero() {
		facts = append(facts, "due "+w.rules.Day(t.DueAt))
	}
	return w.rules.Tag(t.Number) + " " + oneLine(t.Subject) + "\n" + strings.Join(facts, ", ")
}

// standing is how one ticket stands, as its requester may know.
func (w *work) standing() ([]mailout.Section, error) {
	t := w.t
	lines := []string{"Status: " + t.Status.Label(), "Team: " + t.Team}
	switch {
	case t.Assignee != "" && t.Status.Live():
		lines = append(lines, "Somebody works on it.")
	case t.Status == ticket.Open:
		lines = append(lines, "It waits for the next free technician.")
	}
	lines = append(lines, "Opened: "+w.ago(t.CreatedAt))
	if !t.FirstResponseAt.IsZero() {
		lines = append(lines, "First answer: "+w.ago(t.FirstResponseAt))
	}
	title := w.rules.Tag(t.Number)
	if w.dec.Sender.Authenticated {
		title += " " + oneLine(t.Subject)
	}
	return []mailout.Section{{Title: title + ":", Lines: lines}}, nil
}

// showTicket is a ticket with what was said on it last, for technicians.
func (w *work) showTicket(n ticket.Number) ([]mailout.Section, error) {
	if into := w.k.merged[n]; into != 0 {
		n = into
	}
	t := w.k.tickets[n]
	if t == nil {
		return []mailout.Section{{Title: "There is no ticket " + n.String() + "."}}, nil
	}
	facts := mailout.Section{Title: w.rules.Tag(n) + " " + oneLine(t.Subject) + ":"}
	add := func(name, value string) {
		if value != "" {
			facts.Lines = append(facts.Lines, name+": "+value)
		}
	}
	add("Status", t.Status.Label())
	add("Priority", string(t.Priority))
	add("Team", t.Team)
	add("Assigned", t.Assignee)
	add("Requester", nameOf(*t))
	add("Participants", strings.Join(w.k.participants[n], ", "))
	add("Opened", w.ago(t.CreatedAt))
	if !t.DueAt.IsZero() {
		add("Due", w.rules.Day(t.DueAt))
	}
	add("Why", strings.Join(t.Reasons, "; "))
	entries, err := w.tx.LastEntries(n, recent)
	if err != nil {
		return nil, err
	}
	said := mailout.Section{Title: "What was said last:"}
	for _, e := range entries {
		kind := e.Kind
		if !e.Verified {
			kind += ", not verified"
		}
		text := strings.TrimSpace(e.Text)
		if len(text) > entryText {
			text = strings.ToValidUTF8(text[:entryText], "") + " …"
		}
		var b strings.Builder
		fmt.Fprintf(&b, "%s (%s), %s", e.Author, kind, w.ago(e.At))
		for line := range strings.Lines(text) { // with a mark, so that no line is taken for a command when it comes back (T8)
			b.WriteString("\n> " + strings.TrimRight(line, "\r\n"))
		}
		if files := names(&e); len(files) > 0 {
			b.WriteString("\nAttachments: " + strings.Join(files, ", "))
		}
		said.Lines = append(said.Lines, b.String())
	}
	if len(said.Lines) == 0 {
		return []mailout.Section{facts}, nil
	}
	return []mailout.Section{facts, said}, nil
}

// ago is how long ago something was, in the largest unit that fits.
func (w *work) ago(at time.Time) string {
	d := w.now().Sub(at)
	for _, u := range []struct {
		unit string
		of   time.Duration
	}{{"day", 24 * time.Hour}, {"hour", time.Hour}, {"minute", time.Minute}} {
		if n := int(d / u.of); n == 1 {
			return "1 " + u.unit + " ago"
		} else if n > 1 {
			return fmt.Sprintf("%d %ss ago", n, u.unit)
		}
	}
	return "just now"
}

func counted(n int, where string) string {
	switch n {
	case 0:
		return "No ticket is " + where + "."
	case 1:
		return "1 ticket is " + where + ":"
	case listed + 1:
		return fmt.Sprintf("More than %d tickets are %s:", listed, where)
	}
	return fmt.Sprintf("%d tickets are %s:", n, where)
}

func nameOf(t store.Ticket) string {
	switch {
	case t.RequesterName != "":
		return oneLine(t.RequesterName) + " <" + t.Requester + ">"
	case t.Requester == "":
		return "somebody unknown"
	}
	return t.Requester
}

func oneLine(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	if len(s) > 120 {
		s = strings.ToValidUTF8(s[:120], "") + "…"
	}
	return s
}

// help says what a technician can do by mail.
func help() []mailout.Section {
	return []mailout.Section{
		{Title: "What you write on the first lines of an answer to a mail about a ticket:", Lines: []string{
			"open, in progress, waiting, resolved, closed, reopen: sets the status",
			"take, drop, assign ann@example.com: who works on it",
			"team network: moves it to another team",
			"priority high: critical, high, medium or low",
			"due friday, due 2026-12-01 17:00, due none: when you are to be reminded",
			"cc bob@example.com, uncc bob@example.com: who else gets what is said",
			"merge 1050, link 1050: what it has to do with another ticket; of two merged ones the older goes on",
			"split: makes a ticket of its own of the mail that you answer",
			"spam, not spam: marks ticket and sender",
			"mute, unmute: whether you hear more of it",
			"undo: takes back what your last mail did, within 15 minutes",
		}},
		{Title: "What becomes of the text beneath it:", Lines: []string{
			"It is a work note, which only technicians see.",
			"With \"reply\" on the first lines it goes to the requester.",
			"With \"quiet\" you get no mail about what was done.",
		}},
		{Title: "In a new mail:", Lines: []string{
			"1042 resolved, a ticket on each line: commands for several tickets",
			"for: ann@example.com: opens the ticket for somebody else; so does a mail that you forward",
		}},
		{Title: "What is answered by mail:", Lines: []string{"mine, queue network, search vpn berlin, show 1042, status?, help"}},
	}
}
