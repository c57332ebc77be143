package page

import (
	"net/http"
	"time"

	"deskd/store"
)

// wantedMine reads the address of a list of the own tickets: a technician's are
// those that are assigned to him, a requester's those that he opened or takes
// part in, under any of his addresses.
func (p *page) wantedMine(r *http.Request) (wanted, error) {
	me, query := viewerOf(r), r.URL.Query()
	a := wanted{title: "My tickets", clear: "/mine", status: query.Get("status"), filter: store.TicketFilter{Live: true}}
	if me.Technician() {
		a.filter.Assignee = me.Addr
	} else {
		a.clear, a.filter.Involved = "/", p.people.Addresses(me.Addr)
	}
	switch a.status {
	case "":
	case anyStatus:
		a.filter.Live = false
	default:
		return wanted{}, errNotFound
	}
	a.here = with(a.clear, "status", a.status)
	return a, a.sorted(query)
}

func (p *page) mine(r *http.Request, now time.Time) (made, error) {
	a, err := p.wantedMine(r)
	if err != nil {
		return made{}, err
	}
	q, err := p.listed(r.Context(), a, now)
	if err != nil {
		return made{}, err
	}
	q.ShowTeam, q.Mine = viewerOf(r).Technician(), true
	q.Statuses = []choice{
		{"Unresolved", with(a.here, "status", ""), a.status == ""},
		{"Any", with(a.here, "status", anyStatus), a.status == anyStatus},
	}
	return made{template: "queue", title: q.Title, section: "mine", main: q}, nil
}

// savedMine is the list of the own tickets as CSV.
func (p *page) savedMine(r *http.Request, _ time.Time) (saved, error) {
	a, err := p.wantedMine(r)
	if err != nil {
		return saved{}, err
	}
	return p.savedTickets("my-tickets", a.filter, viewerOf(r).Technician()), nil
}
