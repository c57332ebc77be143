package page

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"deskd/store"
	"deskd/triage/ticket"
)

// Words of the address bar. Everything else about a queue is a filter whose
// values come from a list.
const (
	nobody    = "none"    // assignee of tickets that nobody has
	anyStatus = "any"     // resolved and closed ones too
	overdue   = "overdue" // due before now
	dueToday  = "today"   // due in what is left of the day
)

// queue is what its template gets.
type queue struct {
	Title      string
	List       string // the address that reaches the team
	Tabs       []choice
	Statuses   []choice
	Priorities []choice
	Orders     []choice
	Sorted     string // the order in words
	Narrowed   []narrowing
	Rows       []ticketRow
	First      string // address of the first page, when this is a later one
	Next       string // address of the next page
	Newest     bool   // the order is by number, the newest first
	Filtered   bool
	Clear      string // the queue without filters
	Save       string // address of the list as CSV
	ShowTeam   bool
	Mine       bool // of whoever looks at it
}

// choice is one of several links of which one is the current one.
type choice struct {
	Label, Href string
	Current     bool
}

// narrowing is a further filter, and the link that takes it away.
type narrowing struct{ Label, Value, Href string }

// wanted is what the address of a queue asks for.
type wanted struct {
	slug   string
	title  string
	list   string // the address that reaches the team
	filter store.TicketFilter
	clear  string // the queue without filters
	plain  string // the queue with those that were understood
	here   string // the same in its order
	status string
	due    string
}

// orderWords say the orders to people.
var orderWords = map[store.Order]struct{ label, caption string }{
	store.Newest:   {"Newest", "newest first"},
	store.Oldest:   {"Oldest", "oldest first"},
	store.Changed:  {"Last changed", "last changed first"},
	store.Urgent:   {"Priority", "critical first"},
	store.DueFirst: {"Due", "soonest due first"},
}

// wanted reads the address of a queue. What has no meaning there is not found.
func (p *page) wanted(r *http.Request, now time.Time) (wanted, error) {
	slug, query := r.PathValue("team"), r.URL.Query()
	a := wanted{slug: slug, title: "All teams", clear: r.URL.Path, status: query.Get("status"), due: query.Get("due")}
	f := &a.filter
	f.Live, f.Requester = true, query.Get("requester")
	if slug != everything {
		i := slices.IndexFunc(p.teams, func(t Team) bool { return t.Slug == slug })
		if i < 0 {
			return wanted{}, errNotFound
		}
		f.Team, a.title, a.list = p.teams[i].Name, p.teams[i].Name, p.teams[i].List
	} else if f.Team = query.Get("team"); f.Team != "" {
		a.title, a.clear = f.Team, with(a.clear, "team", f.Team)
	}
	switch a.status {
	case "":
	case anyStatus:
		f.Live = false
	default:
		f.Live = false
		for one := range strings.SplitSeq(a.status, ",") {
			st := ticket.Status(one)
			if !st.Valid() || slices.Contains(f.Status, st) {
				return wanted{}, errNotFound
			}
			f.Status = append(f.Status, st)
		}
	}
	if f.Priority = ticket.Priority(query.Get("priority")); f.Priority != "" && !f.Priority.Valid() {
		return wanted{}, errNotFound
	}
	if f.Assignee = query.Get("assignee"); f.Assignee == nobody {
		f.Assignee, f.Unassigned = "", true
	}
	switch local := now.In(p.zone); a.due {
	case "":
	case overdue:
		f.Live, f.DueBefore = true, now
	case dueToday:
		f.Live, f.DueFrom = true, now
		f.DueBefore = time.Date(local.Year(), local.Month(), local.Day()+1, 0, 0, 0, 0, p.zone)
	default:
		return wanted{}, errNotFound
	}
	// The links are made from the filters that were understood, never from
	// the address as it came.
	a.here = a.clear
	for _, kv := range [][2]string{
		{"status", a.status},
		{"priority", string(f.Priority)},
		{"assignee", query.Get("assignee")},
		{"requester", f.Requester},
		{"due", a.due},
	} {
		a.here = with(a.here, kv[0], kv[1])
	}
	return a, a.sorted(query)
}

// sorted reads in which order a list is wanted, and from where on.
func (a *wanted) sorted(query url.Values) error {
	f := &a.filter
	a.plain, f.Order = a.here, store.Newest
	if s := store.Order(query.Get("sort")); s != "" {
		if !slices.Contains(store.Orders(), s) {
			return errNotFound
		}
		f.Order, a.here = s, with(a.here, "sort", sortWord(s))
	}
	if s := query.Get("after"); s != "" {
		place, ok := readPlace(f.Order, s)
		if !ok {
			return errNotFound
		}
		f.After = place
	}
	return nil
}

// sortWord is an order in the address bar, which does not have the usual one.
func sortWord(o store.Order) string {
	if o == store.Newest {
		return ""
	}
	return string(o)
}

// writePlace is a place in a list as the address bar has it: a number, with the
// value before it by which the order sorts.
func writePlace(o store.Order, at store.Place) string {
	if o == store.Newest || o == store.Oldest {
		return at.Number.String()
	}
	return strconv.FormatInt(at.Value, 10) + "-" + at.Number.String()
}

// readPlace is its opposite. What no list could have written is refused.
func readPlace(o store.Order, s string) (store.Place, bool) {
	var at store.Place
	if o != store.Newest && o != store.Oldest {
		value, number, ok := strings.Cut(s, "-")
		if !ok {
			return at, false
		}
		if value != "0" {
			if at.Value, ok = rowID(value); !ok {
				return at, false
			}
		}
		if o == store.Changed && at.Value == 0 || o == store.Urgent && at.Value >= int64(len(ticket.Priorities())) {
			return at, false
		}
		s = number
	}
	n, ok := rowID(s)
	at.Number = ticket.Number(n)
	return at, ok
}

func (p *page) queue(r *http.Request, now time.Time) (made, error) {
	a, err := p.wanted(r, now)
	if err != nil {
		return made{}, err
	}
	q, err := p.listed(r.Context(), a, now)
	if err != nil {
		return made{}, err
	}
	q.List, q.ShowTeam, q.Tabs = a.list, a.filter.Team == "", p.tabs(a.slug, a.filter.Team)
	pick := func(label, key, value, current string) choice {
		return choice{label, with(a.here, key, value), value == current}
	}
	q.Statuses = []choice{pick("Unresolved", "status", "", a.status)}
	for _, s := range ticket.Statuses() {
		q.Statuses = append(q.Statuses, pick(capital(s.Label()), "status", string(s), a.status))
	}
	q.Statuses = append(q.Statuses, pick("Any", "status", anyStatus, a.status))
	priority := string(a.filter.Priority)
	q.Priorities = []choice{pick("Any", "priority", "", priority)}
	for _, pr := range ticket.Priorities() {
		q.Priorities = append(q.Priorities, pick(capital(string(pr)), "priority", string(pr), priority))
	}
	q.Narrowed = a.narrowed()
	return made{template: "queue", title: oneLine(q.Title), section: "queues", main: q}, nil
}

// listed reads a page of a list of tickets.
func (p *page) listed(ctx context.Context, a wanted, now time.Time) (queue, error) {
	f := a.filter
	f.Limit = rowsPerPage + 1 // one more says that there is a next page
	rows, err := p.source.ListTickets(ctx, f)
	if err != nil {
		return queue{}, fmt.Errorf("list tickets: %w", err)
	}
	q := queue{
		Title: a.title, Clear: a.clear, Filtered: a.plain != a.clear, Newest: f.Order == store.Newest,
		Sorted: orderWords[f.Order].caption, Save: with(a.here, "format", "csv"),
	}
	if f.After.Number != 0 {
		q.First = a.here
	}
	if len(rows) > rowsPerPage {
		rows = rows[:rowsPerPage]
		q.Next = with(a.here, "after", writePlace(f.Order, f.Order.Place(rows[rowsPerPage-1])))
	}
	for _, t := range rows {
		q.Rows = append(q.Rows, p.ticketRow(t, now))
	}
	for _, o := range store.Orders() {
		q.Orders = append(q.Orders, choice{orderWords[o].label, with(a.here, "sort", sortWord(o)), o == f.Order})
	}
	return q, nil
}

// narrowed are the filters that have no list to choose from.
func (a *wanted) narrowed() []narrowing {
	var list []narrowing
	add := func(label, value, key string) { list = append(list, narrowing{label, value, with(a.here, key, "")}) }
	f := a.filter
	if len(f.Status) > 1 {
		var words []string
		for _, s := range f.Status {
			words = append(words, s.Label())
		}
		add(capital(strings.Join(words, " or ")), "", "status")
	}
	switch {
	case f.Unassigned:
		add("Unassigned", "", "assignee")
	case f.Assignee != "":
		add("Assigned to", address(f.Assignee), "assignee")
	}
	if f.Requester != "" {
		add("From", address(f.Requester), "requester")
	}
	switch a.due {
	case overdue:
		add("Overdue", "", "due")
	case dueToday:
		add("Due today", "", "due")
	}
	return list
}

// tabs are the queues to choose from.
func (p *page) tabs(slug, team string) []choice {
	tabs := []choice{{"All teams", "/queue/" + everything, slug == everything && team == ""}}
	for _, t := range p.teams {
		tabs = append(tabs, choice{t.Name, "/queue/" + t.Slug, t.Slug == slug})
	}
	if slug == everything && team != "" {
		tabs = append(tabs, choice{team, p.queueOf(team), true})
	}
	return tabs
}

// savedQueue is a queue as CSV, with the filters and the order of the page.
func (p *page) savedQueue(r *http.Request, now time.Time) (saved, error) {
	a, err := p.wanted(r, now)
	if err != nil {
		return saved{}, err
	}
	return p.savedTickets("tickets-"+slug(a.title), a.filter, true), nil
}

// savedTickets is a list of tickets as CSV, from its beginning; for technicians
// with what only they see.
func (p *page) savedTickets(name string, f store.TicketFilter, inside bool) saved {
	f.After, f.Limit = store.Place{}, savedBatch
	return p.savedOf(name, inside, func(ctx context.Context) ([]store.Ticket, error) {
		list, err := p.source.ListTickets(ctx, f)
		if err != nil {
			return nil, fmt.Errorf("list tickets: %w", err)
		}
		if len(list) > 0 {
			f.After = f.Order.Place(list[len(list)-1])
		}
		return list, nil
	})
}

// savedOf makes a file of the tickets that read gives, batch by batch.
func (p *page) savedOf(name string, inside bool, read func(context.Context) ([]store.Ticket, error)) saved {
	head := []string{
		"Ticket", "Subject", "Requester", "Requester name", "Status", "Priority", "Team", "Assignee", "Created", "Updated",
		"First response", "Resolved", "Closed", "Due", "Tags",
	}
	if !inside {
		head = head[:len(head)-1]
	}
	return saved{
		name: name,
		head: head,
		batch: func(ctx context.Context) ([][]string, error) {
			tickets, err := read(ctx)
			if err != nil {
				return nil, err
			}
			rows := make([][]string, len(tickets))
			for i, t := range tickets {
				row := []string{
					p.tag(t.Number), t.Subject, t.Requester, t.RequesterName, string(t.Status), string(t.Priority), t.Team, t.Assignee,
					moment8601(t.CreatedAt), moment8601(t.UpdatedAt), moment8601(t.FirstResponseAt), moment8601(t.ResolvedAt),
					moment8601(t.ClosedAt), moment8601(t.DueAt), strings.Join(t.Tags, ", "),
				}
				rows[i] = row[:len(head)]
			}
			return rows, nil
		},
	}
}

func capital(s string) string {
	r, n := utf8.DecodeRuneInString(s)
	if n == 0 {
		return ""
	}
	return string(unicode.ToUpper(r)) + s[n:]
}
