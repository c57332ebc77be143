package page

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"deskd/store"
	"deskd/triage/ticket"
)

// mostAsked is how much of what was typed is kept, in bytes: the search reads
// no more of it.
const mostAsked = 1000

// search is what its template gets.
type search struct {
	Query  string
	Asked  bool // something was typed
	None   bool // but no word is in it
	Rows   []foundRow
	Newest string // address of the first page, when this is a later one
	Older  string // address of the next page
	Looked bool   // the search was cut short
	Unread ticket.Number
}

// foundRow is a ticket that was found.
type foundRow struct {
	ticketRow
	Number  ticket.Number
	Named   bool // by its number
	Note    bool // the excerpt is of a work note
	Excerpt []store.Piece
}

// search finds tickets by their words, the newest first, and the one whose
// number was typed before them.
func (p *page) search(r *http.Request, now time.Time) (made, error) {
	query := r.URL.Query()
	s := search{}
	s.Query, _ = cut(strings.TrimSpace(query.Get("q")), mostAsked)
	s.Asked = s.Query != ""
	f := store.SearchFilter{Words: s.Query, Limit: rowsPerPage}
	if me := viewerOf(r); !me.Technician() {
		f.Involved = me.Addr
	}
	if b := query.Get("before"); b != "" {
		n, err := ticket.ParseNumber(b)
		if err != nil {
			return made{}, errNotFound
		}
		f.Before = n
	}
	m := made{template: "search", title: "Search", section: "search"}
	if !s.Asked {
		m.main = s
		return m, nil
	}
	named, err := p.named(r, s.Query)
	if err != nil {
		return made{}, err
	}
	if named != nil && f.Before == 0 {
		s.Rows = append(s.Rows, foundRow{ticketRow: p.ticketRow(*named, now), Number: named.Number, Named: true})
	}
	found, err := p.source.Search(r.Context(), f)
	if err != nil {
		return made{}, fmt.Errorf("search: %w", err)
	}
	for _, h := range found.Hits {
		if named != nil && h.Ticket.Number == named.Number {
			continue
		}
		s.Rows = append(s.Rows, foundRow{ticketRow: p.ticketRow(h.Ticket, now), Number: h.Ticket.Number, Note: h.Note, Excerpt: h.Excerpt})
	}
	s.None, s.Looked, s.Unread = found.None && named == nil, found.Cut, found.Unread
	here := with("/search", "q", s.Query)
	if f.Before != 0 {
		s.Newest = here
	}
	if found.Next != 0 {
		s.Older = with(here, "before", found.Next.String())
	}
	m.title, m.main = oneLine(s.Query)+" · Search", s
	return m, nil
}

// named is the ticket whose number is all that was typed, "1042", "IT-1042" or
// "[IT-1042]"; nil if there is none.
func (p *page) named(r *http.Request, query string) (*store.Ticket, error) {
	typed := strings.TrimSuffix(strings.TrimPrefix(query, "["), "]")
	if i := len(p.prefix); p.prefix != "" && len(typed) > i && strings.EqualFold(typed[:i], p.prefix) {
		typed = strings.TrimLeft(typed[i:], "-– ")
	}
	n, err := ticket.ParseNumber(strings.TrimPrefix(typed, "#"))
	if err != nil {
		return nil, nil
	}
	f := store.TicketFilter{Order: store.Newest, After: store.Place{Number: n + 1}, Limit: 1}
	if me := viewerOf(r); !me.Technician() {
		f.Involved = p.people.Addresses(me.Addr)
	}
	list, err := p.source.ListTickets(r.Context(), f)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return nil, fmt.Errorf("look for ticket %s: %w", n, err)
	}
	if len(list) == 0 || list[0].Number != n {
		return nil, nil
	}
	return &list[0], nil
}
