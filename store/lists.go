package store

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"deskd/triage/ticket"
)

// Order is how a list of tickets is sorted.
type Order string

// The orders. An empty one is Newest.
const (
	Newest   Order = "newest"   // the highest number first
	Oldest   Order = "oldest"   // the lowest number first
	Changed  Order = "changed"  // the one that changed last first
	Urgent   Order = "priority" // critical first, then the newest
	DueFirst Order = "due"      // soonest due first, then the oldest; those without a date come last
)

// Orders lists all orders.
func Orders() []Order { return []Order{Newest, Oldest, Changed, Urgent, DueFirst} }

// Place is where a ticket stands in a list of a certain order.
type Place struct {
	Value  int64 // Changed and DueFirst: microseconds since 1970, 0 for no date; Urgent: 0 for critical to 3 for low
	Number ticket.Number
}

// Place tells where a ticket stands in a list of this order.
func (o Order) Place(t Ticket) Place {
	switch o {
	case Changed:
		return Place{int64(at(t.UpdatedAt)), t.Number}
	case Urgent:
		return Place{int64(slices.Index(ticket.Priorities(), t.Priority)), t.Number}
	case DueFirst:
		return Place{int64(at(t.DueAt)), t.Number}
	}
	return Place{Number: t.Number}
}

// Compare orders places as lists of this order do.
func (o Order) Compare(a, b Place) int {
	switch o {
	case Oldest:
		return cmp.Compare(a.Number, b.Number)
	case Changed:
		return cmp.Or(cmp.Compare(b.Value, a.Value), cmp.Compare(b.Number, a.Number))
	case Urgent:
		return cmp.Or(cmp.Compare(a.Value, b.Value), cmp.Compare(b.Number, a.Number))
	case DueFirst:
		if (a.Value == 0) != (b.Value == 0) {
			return cmp.Compare(b.Value, a.Value)
		}
		return cmp.Or(cmp.Compare(a.Value, b.Value), cmp.Compare(a.Number, b.Number))
	}
	return cmp.Compare(b.Number, a.Number)
}

// TicketFilter chooses tickets and their order; empty fields do not restrict.
type TicketFilter struct {
	Team       string
	Status     []ticket.Status // any of these
	Priority   ticket.Priority
	Assignee   string
	Unassigned bool // nobody has them
	Requester  string
	Involved   []string      // one of these is the requester or a participant
	Live       bool          // neither resolved nor closed
	DueFrom    time.Time     // due then or later
	DueBefore  time.Time     // due earlier
	Before     ticket.Number // only numbers below
	Order      Order
	After      Place // the last ticket of the page before
	Limit      int   // at most 500; 0 means 50

	dates dates
	few   string // an index by which the filter leaves few tickets
}

// dates says whether a list is only about tickets with a date, or without.
type dates int

const (
	someDates dates = iota
	dated
	undated
)

// ListTickets gives tickets in the order of the filter.
func (s *Store) ListTickets(ctx context.Context, f TicketFilter) ([]Ticket, error) {
	tickets, err := f.collect(func(f TicketFilter) ([]ticketRow, error) {
		query, args := ticketQuery(s.dialect, f)
		return read[ticketRow](ctx, s, query, args...)
	}, func(f TicketFilter, index string) ([]countRow, error) {
		query, args := fewQuery(s.dialect, f, index)
		return read[countRow](ctx, s, query, args...)
	})
	if err != nil {
		return nil, fmt.Errorf("list tickets: %w", err)
	}
	return tickets, nil
}

// ListTickets gives tickets as this transaction sees them.
func (tx *Tx) ListTickets(f TicketFilter) ([]Ticket, error) {
	if err := tx.flush(); err != nil {
		return nil, err
	}
	tickets, err := f.collect(func(f TicketFilter) ([]ticketRow, error) {
		query, args := ticketQuery(tx.s.dialect, f)
		return find[ticketRow](tx, query, args...)
	}, func(f TicketFilter, index string) ([]countRow, error) {
		query, args := fewQuery(tx.s.dialect, f, index)
		return find[countRow](tx, query, args...)
	})
	if err != nil {
		return nil, fmt.Errorf("list tickets: %w", err)
	}
	return tickets, nil
}

// collect asks for the rows of a list: where those without a date come last,
// only once the others are at an end.
func (f TicketFilter) collect(ask func(TicketFilter) ([]ticketRow, error), count func(TicketFilter, string) ([]countRow, error)) ([]Ticket, error) {
	if f.empty() {
		return nil, nil
	}
	f.Limit = limited(f.Limit)
	for _, index := range f.narrow() {
		n, err := count(f, index)
		if err != nil {
			return nil, err
		}
		if n[0].N < fewTickets {
			f.few = index
			break
		}
	}
	parts := []TicketFilter{f}
	switch {
	case !f.DueFrom.IsZero() || !f.DueBefore.IsZero():
		parts[0].dates = dated
	case f.Order == DueFirst:
		parts = append(parts, f)
		parts[0].dates, parts[1].dates = dated, undated
		parts[1].Order = Oldest
		if f.After.Number != 0 && f.After.Value == 0 {
			parts = parts[1:]
		} else {
			parts[1].After = Place{}
		}
	}
	var tickets []Ticket
	for _, part := range parts {
		part.Limit = f.Limit - len(tickets)
		if part.Limit == 0 {
			break
		}
		rows, err := ask(part)
		if err != nil {
			return nil, err
		}
		for i := range rows {
			tickets = append(tickets, rows[i].ticket())
		}
	}
	return tickets, nil
}

// fewTickets are those that are sorted, or looked at one by one, in a moment.
const fewTickets = 2000

// narrow names the indexes by which a mixed filter may leave few tickets. Then
// these are looked at; else there are so many of them that a walk along the
// order meets a page of them soon. It is not asked where a walk is short in
// any case.
func (f TicketFilter) narrow() []string {
	alone := len(f.Involved) == 0 && f.Requester == "" && f.DueFrom.IsZero() && f.DueBefore.IsZero()
	assigned := f.Assignee != "" || f.Unassigned
	if !alone || !slices.ContainsFunc(f.statuses(), func(st ticket.Status) bool { return !st.Live() }) {
		return nil
	}
	var list []string
	if f.Team != "" && (f.Order == Changed || assigned) {
		list = append(list, byTeam)
	}
	if f.Order == Changed && assigned || f.Team != "" && assigned {
		list = append(list, byAssignee)
	}
	if f.Order == Changed && f.Priority != "" {
		list = append(list, byStatus)
	}
	return list
}

// fewQuery counts what an index has for a filter, up to what is few.
func fewQuery(d dialect, f TicketFilter, index string) (string, []any) {
	var statuses []text
	for _, st := range f.statuses() {
		statuses = append(statuses, text(st))
	}
	where, args := "status IN ?", []any{statuses}
	switch index {
	case byTeam:
		where, args = where+" AND team = ?", append(args, short(f.Team))
	case byAssignee:
		where, args = where+" AND assignee = ?", append(args, short(f.Assignee))
	}
	if f.Priority != "" {
		where, args = where+" AND priority = ?", append(args, text(f.Priority))
	}
	return "SELECT count(*) AS n FROM (SELECT 1 FROM tickets" + d.along(index) + " WHERE " + where + " LIMIT ?) AS found",
		append(args, fewTickets)
}

// The indexes that lists run along. Of each, the columns that come first are
// fixed by the conditions of one part of the query, those in the middle give
// the order, and those at the end are looked at without fetching the row.
const (
	byStatus    = "tickets_priority"  // status, priority | number
	byTeam      = "tickets_team"      // status, team, priority | number | assignee, updated_at
	byAssignee  = "tickets_assignee"  // status, assignee, priority | number | team, updated_at
	byRequester = "tickets_requester" // requester | number | status, priority, updated_at, due_at
	byChange    = "tickets_changed"   // status | updated_at, number | priority, team, assignee
	byDate      = "tickets_dated"     // status | due_at, number | priority, team, assignee
	byPerson    = "participants_addr" // addr | ticket
)

// listing is a query for a list while it is put together: one part for each
// status, and each priority where the index wants that. Every part ends after
// one page, so that nothing long is ever sorted where an index has the order.
type listing struct {
	dialect dialect
	f       TicketFilter
	parts   []string
	args    []any
}

// ticketQuery asks for a page of tickets: their numbers, along an index that
// has all that is asked about, and then the rows of these.
func ticketQuery(d dialect, f TicketFilter) (string, []any) {
	l := &listing{dialect: d, f: f}
	l.fill()
	union := " UNION ALL "
	if len(f.Involved) > 0 {
		union = " UNION " // the requester may be a participant
	}
	query := "SELECT t.* FROM (" + strings.Join(l.parts, union) + " ORDER BY " + f.Order.sorted("") + " LIMIT ?) AS page" +
		" JOIN tickets AS t ON t.number = page.number ORDER BY " + f.Order.sorted("page.")
	return query, append(l.args, limited(f.Limit))
}

// empty says that no ticket can match: the filter contradicts itself, or names
// somebody by what no name is kept of.
func (f TicketFilter) empty() bool {
	for _, name := range append([]string{f.Team, f.Assignee, f.Requester}, f.Involved...) {
		if name != "" && clean(name) == "" {
			return true
		}
	}
	return f.Unassigned && f.Assignee != "" || f.Live && len(f.Status) > 0 && !slices.ContainsFunc(f.Status, ticket.Status.Live)
}

// statuses are those that the filter leaves.
func (f TicketFilter) statuses() []ticket.Status {
	list := slices.Clone(f.Status)
	if len(list) == 0 {
		list = ticket.Statuses()
	}
	if f.Live {
		list = slices.DeleteFunc(list, func(st ticket.Status) bool { return !st.Live() })
	}
	slices.Sort(list)
	return slices.Compact(list)
}

func (l *listing) fill() {
	f := l.f
	numbers := f.Order != Changed && f.dates != dated // in the order of numbers, if only within a priority
	switch {
	case len(f.Involved) > 0:
		for _, name := range f.Involved {
			addr := []any{short(name)}
			l.add(byRequester, "requester = ?", addr, l.rest(byRequester), f.Order.inside("number"))
			l.add(byPerson, "p.addr = ? AND number = p.ticket", addr, l.rest(byPerson), f.Order.inside("p.ticket"))
		}
	case f.Requester != "":
		l.add(byRequester, "requester = ?", []any{short(f.Requester)}, l.rest(byRequester), f.Order.inside("number"))
	case f.dates == dated:
		l.each(byDate, false)
	case f.few != "":
		l.each(f.few, numbers)
	case f.Assignee != "":
		l.each(byAssignee, numbers)
	case f.Order == Changed:
		l.each(byChange, false)
	case f.Unassigned:
		l.each(byAssignee, numbers)
	case f.Team != "":
		l.each(byTeam, numbers)
	case f.Live || len(f.Status) > 0 || f.Priority != "" || f.Order == Urgent:
		l.each(byStatus, numbers)
	default:
		l.add("", "1 = 1", nil, l.rest(""), f.Order.inside("number"))
	}
}

// condition is one of a part, with its values.
type condition struct {
	text string
	args []any
}

// each adds a part for every status, and for every priority if the order
// within one is wanted.
func (l *listing) each(index string, priorities bool) {
	for _, st := range l.f.statuses() {
		fixed, args := "status = ?", []any{text(st)}
		switch index {
		case byTeam:
			fixed, args = fixed+" AND team = ?", append(args, short(l.f.Team))
		case byAssignee:
			fixed, args = fixed+" AND assignee = ?", append(args, short(l.f.Assignee))
		case byDate:
			fixed += " AND due_at IS NOT NULL"
		}
		rest := l.rest(index)
		if !priorities {
			l.add(index, fixed, args, rest, l.f.Order.inside("number"))
			continue
		}
		for _, pr := range ticket.Priorities() {
			if l.f.Priority == "" || l.f.Priority == pr {
				l.add(index, fixed+" AND priority = ?", append(slices.Clone(args), text(pr)), l.within(pr, rest), l.f.Order.numbered("number"))
			}
		}
	}
}

// within are the conditions of a part that has tickets of one priority. Those
// which have been shown already are left out, and where the page before ended
// inside of another priority it is no matter to this one.
func (l *listing) within(pr ticket.Priority, rest []condition) []condition {
	var kept []condition
	for _, c := range rest {
		if c.text != samePriority {
			kept = append(kept, c)
		}
	}
	if l.f.Order != Urgent || l.f.After.Number == 0 {
		return kept
	}
	rank := int64(slices.Index(ticket.Priorities(), pr))
	switch {
	case rank < l.f.After.Value:
		return append(kept, condition{"1 = 0", nil})
	case rank == l.f.After.Value:
		return append(kept, condition{"number < ?", []any{int64(l.f.After.Number)}})
	}
	return kept
}

const (
	samePriority = "priority = ?"
	// ranked is a priority's place among all.
	ranked = "CASE priority WHEN 'critical' THEN 0 WHEN 'high' THEN 1 WHEN 'medium' THEN 2 ELSE 3 END"
)

// rest are the conditions that an index does not fix.
func (l *listing) rest(index string) []condition {
	f := l.f
	var list []condition
	and := func(text string, args ...any) { list = append(list, condition{text, args}) }
	number := "number"
	if index == byPerson {
		number = "p.ticket"
	}
	if index == byRequester || index == byPerson || index == "" {
		if f.Live || len(f.Status) > 0 {
			var statuses []text
			for _, st := range f.statuses() {
				statuses = append(statuses, text(st))
			}
			and("status IN ?", statuses)
		}
	}
	if f.Requester != "" && (index != byRequester || len(f.Involved) > 0) {
		and("requester = ?", short(f.Requester))
	}
	if f.Team != "" && index != byTeam {
		and("team = ?", short(f.Team))
	}
	if f.Priority != "" {
		and(samePriority, text(f.Priority))
	}
	if (f.Assignee != "" || f.Unassigned) && index != byAssignee {
		and("assignee = ?", short(f.Assignee))
	}
	switch {
	case f.dates == undated:
		and("due_at IS NULL")
	case f.dates == dated && index != byDate:
		and("due_at IS NOT NULL")
	}
	if !f.DueFrom.IsZero() {
		and("due_at >= ?", at(f.DueFrom))
	}
	if !f.DueBefore.IsZero() {
		and("due_at < ?", at(f.DueBefore))
	}
	if f.Before > 0 {
		and(number+" < ?", int64(f.Before))
	}
	if f.After.Number == 0 {
		return list
	}
	switch n := int64(f.After.Number); f.Order {
	case Oldest:
		and(number+" > ?", n)
	case Changed:
		and("(updated_at, number) < (?, ?)", f.After.Value, n)
	case Urgent:
		// A part for each priority has this in its own way.
		if index != byStatus && index != byTeam && index != byAssignee {
			and("("+ranked+" > ? OR "+ranked+" = ? AND number < ?)", f.After.Value, f.After.Value, n)
		}
	case DueFirst:
		and("(due_at, number) > (?, ?)", f.After.Value, n)
	default:
		and(number+" < ?", n)
	}
	return list
}

// add adds a part along one index, in an order that the index has or that few
// rows are sorted by.
func (l *listing) add(index, fixed string, args []any, rest []condition, order string) {
	from := "tickets"
	switch index {
	case "":
	case byPerson:
		from = "participants AS p" + l.dialect.along(index) + " CROSS JOIN tickets"
	default:
		from += l.dialect.along(index)
	}
	l.args = append(l.args, args...)
	for _, c := range rest {
		fixed += " AND " + c.text
		l.args = append(l.args, c.args...)
	}
	l.args = append(l.args, limited(l.f.Limit))
	l.parts = append(l.parts, fmt.Sprintf("SELECT * FROM (SELECT number, %s AS place FROM %s WHERE %s ORDER BY %s LIMIT ?) AS part%d",
		l.f.Order.value(), from, fixed, order, len(l.parts)))
}

// value is the expression by which an order sorts before it does by number.
func (o Order) value() string {
	switch o {
	case Changed:
		return "updated_at"
	case Urgent:
		return ranked
	case DueFirst:
		return "due_at"
	}
	return "0"
}

// inside sorts within one part.
func (o Order) inside(number string) string {
	switch o {
	case Changed:
		return "updated_at DESC, " + number + " DESC"
	case Urgent:
		return ranked + ", " + number + " DESC"
	case DueFirst:
		return "due_at, " + number
	}
	return o.numbered(number)
}

// numbered sorts where the number is all that is left to sort by.
func (o Order) numbered(number string) string {
	if o == Oldest {
		return number
	}
	return number + " DESC"
}

// sorted sorts what has a number and a place.
func (o Order) sorted(of string) string {
	switch o {
	case Changed:
		return of + "place DESC, " + of + "number DESC"
	case Urgent:
		return of + "place, " + of + "number DESC"
	case DueFirst:
		return of + "place, " + of + "number"
	}
	return o.numbered(of + "number")
}
