package page

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"deskd/store"
	"deskd/triage/ticket"
)

// Words of the address bar. Everything else about a queue is a filter whose
// values come from a list.
const (
	nobody    = "none" // assignee of tickets that nobody has
	anyStatus = "any"  // resolved and closed ones too
)

// queue is what its template gets.
type queue struct {
	Title      string
	List       string // the address that reaches the team
	Tabs       []choice
	Statuses   []choice
	Priorities []choice
	Narrowed   []choice // further filters; the link takes one away
	Rows       []ticketRow
	Newest     string // address of the first page, when this is a later one
	Older      string // address of the next page
	Filtered   bool
	Clear      string // the queue without filters
	ShowTeam   bool
	Mine       bool // of whoever looks at it
	Looked     bool // the search for matching tickets was cut short
}

// choice is one of several links of which one is the current one.
type choice struct {
	Label, Href string
	Current     bool
}

func (p *page) queue(r *http.Request, now time.Time) (made, error) {
	slug, query := r.PathValue("team"), r.URL.Query()
	self := r.URL.Path
	q := queue{Title: "All teams", Clear: self, ShowTeam: slug == everything}
	f := store.TicketFilter{Live: true, Requester: query.Get("requester")}
	if slug != everything {
		i := slices.IndexFunc(p.teams, func(t Team) bool { return t.Slug == slug })
		if i < 0 {
			return made{}, errNotFound
		}
		f.Team, q.Title, q.List = p.teams[i].Name, p.teams[i].Name, p.teams[i].List
	} else if f.Team = query.Get("team"); f.Team != "" {
		q.Title, q.Clear, q.ShowTeam = f.Team, with(self, "team", f.Team), false
	}
	switch s := ticket.Status(query.Get("status")); {
	case s == "":
	case s == anyStatus:
		f.Live = false
	case s.Valid():
		f.Live, f.Status = false, []ticket.Status{s}
	default:
		return made{}, errNotFound
	}
	priority := ticket.Priority(query.Get("priority"))
	if priority != "" && !priority.Valid() {
		return made{}, errNotFound
	}
	assignee := query.Get("assignee")
	if assignee != nobody {
		f.Assignee = assignee
	}
	if s := query.Get("before"); s != "" {
		n, err := ticket.ParseNumber(s)
		if err != nil {
			return made{}, errNotFound
		}
		f.Before = n
	}

	rows, next, cutShort, err := p.findTickets(r.Context(), f, func(t store.Ticket) bool {
		return (priority == "" || t.Priority == priority) && (assignee != nobody || t.Assignee == "")
	})
	if err != nil {
		return made{}, fmt.Errorf("list tickets: %w", err)
	}
	for _, t := range rows {
		q.Rows = append(q.Rows, p.ticketRow(t, now))
	}

	// The links are made from the filters that were understood, never from
	// the address as it came.
	here := q.Clear
	for _, kv := range [][2]string{
		{"status", query.Get("status")},
		{"priority", string(priority)},
		{"assignee", assignee},
		{"requester", f.Requester},
	} {
		here = with(here, kv[0], kv[1])
	}
	q.Filtered = here != q.Clear
	if f.Before != 0 {
		q.Newest = here
	}
	if next != 0 {
		q.Older, q.Looked = with(here, "before", next.String()), cutShort
	}
	q.Tabs = p.tabs(slug, f.Team)
	status := query.Get("status")
	q.Statuses = []choice{{"Unresolved", with(here, "status", ""), status == ""}}
	for _, s := range ticket.Statuses() {
		q.Statuses = append(q.Statuses, choice{capital(s.Label()), with(here, "status", string(s)), status == string(s)})
	}
	q.Statuses = append(q.Statuses, choice{"Any", with(here, "status", anyStatus), status == anyStatus})
	q.Priorities = []choice{{"Any", with(here, "priority", ""), priority == ""}}
	for _, pr := range ticket.Priorities() {
		q.Priorities = append(q.Priorities, choice{capital(string(pr)), with(here, "priority", string(pr)), priority == pr})
	}
	switch {
	case assignee == nobody:
		q.Narrowed = append(q.Narrowed, choice{Label: "Unassigned", Href: with(here, "assignee", "")})
	case assignee != "":
		q.Narrowed = append(q.Narrowed, choice{Label: "Assigned to " + address(assignee), Href: with(here, "assignee", "")})
	}
	if f.Requester != "" {
		q.Narrowed = append(q.Narrowed, choice{Label: "From " + address(f.Requester), Href: with(here, "requester", "")})
	}
	return made{template: "queue", title: oneLine(q.Title), section: "queues", main: q}, nil
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

// findTickets reads a page of the tickets that the filter and keep choose,
// newest first. next is where the page after it begins; 0: there is none.
// Since keep looks at what was read, the search is bounded: cutShort says
// that it ended for that reason, with fewer rows than a page holds.
func (p *page) findTickets(ctx context.Context, f store.TicketFilter, keep func(store.Ticket) bool) (rows []store.Ticket, next ticket.Number, cutShort bool, err error) {
	const batch, batches = 500, 10
	f.Limit = rowsPerPage + 1 // mostly enough
	for range batches {
		found, err := p.source.ListTickets(ctx, f)
		if err != nil {
			return nil, 0, false, err
		}
		for i, t := range found {
			if keep(t) {
				rows = append(rows, t)
			}
			if len(rows) > rowsPerPage {
				return rows[:rowsPerPage], rows[rowsPerPage-1].Number, false, nil
			}
			f.Before = found[i].Number
		}
		if len(found) < f.Limit {
			return rows, 0, false, nil
		}
		f.Limit = batch
	}
	return rows, f.Before, true, nil
}

func capital(s string) string {
	if s == "" {
		return ""
	}
	return strings.ToUpper(s[:1]) + s[1:]
}
