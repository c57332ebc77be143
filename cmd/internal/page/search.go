package page

import (
	"context"
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
	Partly bool   // or left something out
	Unread ticket.Number
	Save   string // address of all of it as CSV
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
	f, err := p.soughtBy(r)
	if err != nil {
		return made{}, err
	}
	s := search{Query: f.Words, Asked: f.Words != ""}
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
	s.None, s.Looked, s.Partly, s.Unread = found.None && named == nil, found.Cut, found.Partial, found.Unread
	here := with("/search", "q", s.Query)
	if f.Before != 0 {
		s.Newest = here
	}
	if found.Next != 0 {
		s.Older = with(here, "before", found.Next.String())
	}
	s.Save = with(here, "format", "csv")
	m.title, m.main = oneLine(s.Query)+" · Search", s
	return m, nil
}

// soughtBy is what a request searches for.
func (p *page) soughtBy(r *http.Request) (store.SearchFilter, error) {
	query := r.URL.Query()
	words, _ := cut(strings.TrimSpace(query.Get("q")), mostAsked)
	f := store.SearchFilter{Words: words, Limit: rowsPerPage}
	if me := viewerOf(r); !me.Technician() {
		f.Involved = p.people.Addresses(me.Addr)
	}
	if b := query.Get("before"); b != "" {
		n, err := ticket.ParseNumber(b)
		if err != nil {
			return f, errNotFound
		}
		f.Before = n
	}
	return f, nil
}

// savedSearch is all that a search finds as CSV, from its beginning.
func (p *page) savedSearch(r *http.Request, _ time.Time) (saved, error) {
	f, err := p.soughtBy(r)
	if err != nil {
		return saved{}, err
	}
	f.Before, f.Limit = 0, savedBatch
	var first []store.Ticket
	named, err := p.named(r, f.Words)
	if err != nil {
		return saved{}, err
	}
	if named != nil {
		first = []store.Ticket{*named}
	}
	ended, partial, unread := false, false, ticket.Number(0)
	file := p.savedOf("tickets-found", viewerOf(r).Technician(), func(ctx context.Context) ([]store.Ticket, error) {
		list := first
		first = nil
		// A search that was cut short may give no ticket and yet go on.
		for !ended && len(list) < savedBatch {
			f.Limit = savedBatch - len(list)
			found, err := p.source.Search(ctx, f)
			if err != nil {
				return nil, fmt.Errorf("search: %w", err)
			}
			for _, h := range found.Hits {
				if named == nil || h.Ticket.Number != named.Number {
					list = append(list, h.Ticket)
				}
			}
			partial, unread = partial || found.Partial, max(unread, found.Unread)
			ended = found.Next == 0 || found.Next == f.Before
			f.Before = found.Next
		}
		return list, nil
	})
	file.lacks = func() string {
		switch {
		case unread != 0:
			return fmt.Sprintf("Some tickets may be missing: those before %s were still being read.", p.tag(unread))
		case partial:
			return "Some tickets may be missing: too many words begin like this, or very much had come in just then."
		}
		return ""
	}
	return file, nil
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
