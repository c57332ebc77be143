package page

import (
	"fmt"
	"net/http"
	"time"

	"deskd/store"
	"deskd/triage/ticket"
)

// mine lists the tickets of whoever asks: a technician's are those that are
// assigned to him, a requester's those that he opened or takes part in.
func (p *page) mine(r *http.Request, now time.Time) (made, error) {
	me, query := viewerOf(r), r.URL.Query()
	self := "/mine"
	f := store.TicketFilter{Live: true}
	if me.Technician() {
		f.Assignee = me.Addr
	} else {
		self, f.Requester = "/", me.Addr
	}
	q := queue{Title: "My tickets", Clear: self, ShowTeam: me.Technician(), Mine: true}
	any := query.Get("status") == anyStatus
	switch query.Get("status") {
	case "":
	case anyStatus:
		f.Live = false
	default:
		return made{}, errNotFound
	}
	if s := query.Get("before"); s != "" {
		n, err := ticket.ParseNumber(s)
		if err != nil {
			return made{}, errNotFound
		}
		f.Before = n
	}
	rows, next, _, err := p.findTickets(r.Context(), f, func(store.Ticket) bool { return true })
	if err != nil {
		return made{}, fmt.Errorf("list tickets: %w", err)
	}
	for _, t := range rows {
		q.Rows = append(q.Rows, p.ticketRow(t, now))
	}
	here := self
	if any {
		here = with(self, "status", anyStatus)
	}
	q.Filtered = any
	if f.Before != 0 {
		q.Newest = here
	}
	if next != 0 {
		q.Older = with(here, "before", next.String())
	}
	q.Statuses = []choice{{"Unresolved", self, !any}, {"Any", with(self, "status", anyStatus), any}}
	return made{template: "queue", title: q.Title, section: "mine", main: q}, nil
}
