package page

import (
	"net/http"
	"net/url"
	"slices"
	"time"

	"deskd/store"
	"deskd/triage/ticket"
)

// dashboard is what its template gets.
type dashboard struct {
	Empty      bool // there is nothing open
	Figures    []figure
	Priorities []ticket.Priority
	Rows       []teamRow
	Total      teamRow
	New        int
	Resolved   int
	Flowing    chart
	Answers    store.Answers
	Answering  chart
	Unanswered []ticketRow
	Flow       flow
	Risks      []string
}

// figure is one of the large numbers.
type figure struct {
	Label, Note string
	N           int
	Href        string
	Alarm       bool // the number asks for attention
}

// teamRow is one line of the table of open tickets.
type teamRow struct {
	Name  string
	Href  string
	Total int
	Cells []cell // one a priority
}

type cell struct {
	N        int
	Href     string
	Priority ticket.Priority
}

func (p *page) dashboard(r *http.Request, now time.Time) (made, error) {
	o, err := p.counts.read(r.Context(), now)
	if err != nil {
		return made{}, err
	}
	f := p.flow(r.Context(), o, now)
	d := dashboard{
		Priorities: ticket.Priorities(),
		Flowing:    p.flowChart(o.PerDay[:], now),
		Answers:    o.Answers,
		Answering:  p.answerChart(o.PerDay[:], o.Answers, now),
		Flow:       f,
		Risks:      p.risks,
		Total:      p.teamRow("All teams", "/queue/"+everything, nil),
	}
	names := make([]string, 0, len(p.teams))
	for _, t := range p.teams {
		names = append(names, t.Name)
	}
	var others []string // teams of older settings, which still have tickets
	for name := range o.Open {
		if !slices.Contains(names, name) {
			others = append(others, name)
		}
	}
	slices.Sort(others)
	for _, name := range append(names, others...) {
		row := p.teamRow(name, p.queueOf(name), o.Open[name])
		d.Rows = append(d.Rows, row)
		d.Total.Total += row.Total
		for i, c := range row.Cells {
			d.Total.Cells[i].N += c.N
		}
	}
	d.Empty = d.Total.Total == 0
	for _, day := range o.PerDay {
		d.New += day.New
		d.Resolved += day.Resolved
	}
	critical := d.Total.Cells[0]
	all := "/queue/" + everything
	d.Figures = []figure{
		{Label: "Open", Note: "all teams", N: d.Total.Total, Href: d.Total.Href},
		{Label: "Critical", Note: "of these", N: critical.N, Href: critical.Href, Alarm: critical.N > 0},
		{Label: "Unassigned", Note: "nobody has them", N: o.Unassigned, Href: with(all, "assignee", nobody)},
		{Label: "Waiting", Note: "for an answer", N: o.Waiting, Href: with(all, "status", string(ticket.Waiting))},
		{Label: "Overdue", Note: "their date has gone by", N: o.Overdue, Href: all + "?due=" + overdue + "&sort=" + string(store.DueFirst), Alarm: o.Overdue > 0},
		{Label: "Due today", Note: "in what is left of it", N: o.DueToday, Href: all + "?due=" + dueToday + "&sort=" + string(store.DueFirst)},
	}
	for _, t := range o.OldestUnanswered {
		d.Unanswered = append(d.Unanswered, p.ticketRow(t, now))
	}
	return made{template: "dashboard", title: "Overview", section: "overview", main: d}, nil
}

func (p *page) teamRow(name, href string, open map[ticket.Priority]int) teamRow {
	row := teamRow{Name: name, Href: href}
	for _, n := range open {
		row.Total += n
	}
	for _, pr := range ticket.Priorities() {
		row.Cells = append(row.Cells, cell{N: open[pr], Priority: pr, Href: with(href, "priority", string(pr))})
	}
	return row
}

// queueOf is the address of a team's queue, also of a team that the settings
// no longer name.
func (p *page) queueOf(team string) string {
	for _, t := range p.teams {
		if t.Name == team {
			return "/queue/" + t.Slug
		}
	}
	return "/queue/" + everything + "?team=" + url.QueryEscape(team)
}

// with gives an address of this page with one parameter set, or taken away
// when the value is empty.
func with(address, key, value string) string {
	u, err := url.Parse(address)
	if err != nil {
		return address
	}
	q := u.Query()
	q.Del(key)
	if value != "" {
		q.Set(key, value)
	}
	u.RawQuery = q.Encode()
	return u.String()
}

// ticketRow is a ticket as lists show it.
type ticketRow struct {
	Number            ticket.Number
	Href              string
	Subject           string
	Who               string // the requester's name, else the address
	Address           string
	Status            ticket.Status
	Priority          ticket.Priority
	Team, Assignee    string
	Created, Updated  stamp
	Due               stamp
	Overdue, Answered bool
}

func (p *page) ticketRow(t store.Ticket, now time.Time) ticketRow {
	who := t.RequesterName
	if who == "" {
		who = address(t.Requester)
	}
	return ticketRow{
		Number: t.Number, Href: "/ticket/" + t.Number.String(), Subject: t.Subject,
		Who: who, Address: t.Requester, Status: t.Status, Priority: t.Priority,
		Team: t.Team, Assignee: t.Assignee,
		Created: p.stamp(t.CreatedAt, now), Updated: p.stamp(t.UpdatedAt, now), Due: p.stamp(t.DueAt, now),
		Overdue:  t.Status.Live() && !t.DueAt.IsZero() && t.DueAt.Before(now),
		Answered: !t.FirstResponseAt.IsZero(),
	}
}
