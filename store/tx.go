package store

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"gorm.io/gorm/clause"

	"deskd/triage/ticket"
)

// state is what a transaction holds back until the next flush, and the tickets
// it has loaded.
type state struct {
	tickets    map[ticket.Number]*kept
	order      []ticket.Number // of loading, so that rows are written in one order
	nextNumber ticket.Number   // the next one to be given on SQLite; 0: not asked yet
	given      ticket.Number   // the highest that was
	desk       *deskChain      // the chain of desk-wide events; nil: not loaded

	raws         []rawRow
	decided      []Intake
	people       map[string]string // address → name
	participants []participantRow
	links        []linkRow
	entries      []entryRow
	events       []eventRow
	ids          map[idKey]idRow
	bodies       []bodyRow
	outbox       []outboxRow
	fresh        map[freshKey]wordSet // what tickets are found by
	kinds        map[kind]int         // how many live tickets more there are of each kind
}

// kept is a ticket as the caller changes it, beside what the database has.
type kept struct {
	ticket *Ticket
	saved  Ticket
	isNew  bool // not inserted yet
}

func newState() *state {
	return &state{tickets: map[ticket.Number]*kept{}, people: map[string]string{}, ids: map[idKey]idRow{}, fresh: map[freshKey]wordSet{}, kinds: map[kind]int{}}
}

// copy remembers the tickets as they are. It is called with nothing held back.
func (st *state) copy() *state {
	c := newState()
	c.nextNumber, c.given = st.nextNumber, st.given
	c.order = slices.Clone(st.order)
	if st.desk != nil {
		desk := *st.desk
		c.desk = &desk
	}
	for n, k := range st.tickets {
		c.tickets[n] = &kept{ticket: k.ticket, saved: k.saved.copy(), isNew: k.isNew}
	}
	return c
}

// restore goes back to what copy remembered. The callers' pointers to tickets
// stay good: the tickets are as they were.
func (st *state) restore(c *state) {
	for _, k := range c.tickets {
		*k.ticket = k.saved.copy()
	}
	*st = *c
}

// flush writes what was held back, in an order that pleases the foreign keys.
func (tx *Tx) flush() error {
	if tx.broken != nil {
		return tx.broken
	}
	steps := []struct {
		what string
		do   func() error
	}{
		{"tickets", tx.flushTickets},
		{"raw mails", func() error { return insert(tx, &tx.raws, ignore("sha256")) }},
		{"fates", tx.flushDecided},
		{"people", tx.flushPeople},
		{"participants", func() error { return insert(tx, &tx.participants, ignore()) }},
		{"links", func() error { return insert(tx, &tx.links, ignore()) }},
		{"entries", func() error { return insert(tx, &tx.entries) }},
		{"events", func() error { return insert(tx, &tx.events) }},
		{"message ids", tx.flushIDs},
		{"outgoing mails", func() error { return insert(tx, &tx.bodies, ignore("mail")) }},
		{"outbox", func() error { return insert(tx, &tx.outbox, ignore("key")) }},
		{"words", tx.flushFresh},
		{"counts", tx.flushKinds},
	}
	for _, step := range steps {
		if err := step.do(); err != nil {
			return fmt.Errorf("write %s: %w", step.what, err)
		}
	}
	return nil
}

// ignore makes an insert leave alone what is there already. It names the key
// where a table has several, so that no other clash is swallowed.
func ignore(columns ...string) clause.Expression {
	c := clause.OnConflict{DoNothing: true}
	for _, name := range columns {
		c.Columns = append(c.Columns, clause.Column{Name: name})
	}
	return c
}

// batchRows bounds the list in one statement.
const batchRows = 500

// maxValues bounds the values of one INSERT or UPDATE. Far below what the
// databases take: the SQLite driver looks for each value among all of them.
const maxValues = 1500

// rowsOf is how many rows of so many columns go into one statement.
func rowsOf(columns int) int { return max(1, maxValues/columns) }

// insert writes the rows held back in one list and empties it.
func insert[T any](tx *Tx, rows *[]T, options ...clause.Expression) error {
	if len(*rows) == 0 {
		return nil
	}
	err := tx.db.WithContext(tx.ctx).Clauses(options...).CreateInBatches(rows, rowsOf(reflect.TypeFor[T]().NumField())).Error
	*rows = nil
	return tx.noted(err)
}

// column is one to be set by updateMany, with the type that its values have:
// PostgreSQL cannot guess it in a list of rows.
type column struct{ name, kind string }

// updateMany sets columns of many rows by one statement. Each row holds the
// key's value first, then those of the columns. It gives back the keys of the
// rows that were changed; condition, if not empty, is a further one.
func updateMany(tx *Tx, table, key string, columns []column, rows [][]any, condition string) ([]int64, error) {
	var changed []int64
	for chunk := range slices.Chunk(rows, rowsOf(len(columns)+1)) {
		var q strings.Builder
		args := make([]any, 0, len(chunk)*(len(columns)+1))
		fmt.Fprintf(&q, "UPDATE %s SET ", table)
		for i, c := range columns {
			if i > 0 {
				q.WriteString(", ")
			}
			fmt.Fprintf(&q, "%s = v.column%d", c.name, i+2)
		}
		q.WriteString(" FROM (VALUES ")
		for i, row := range chunk {
			if i > 0 {
				q.WriteString(", ")
			}
			q.WriteString("(" + tx.s.dialect.cast("INTEGER"))
			for _, c := range columns {
				q.WriteString(", " + tx.s.dialect.cast(c.kind))
			}
			q.WriteString(")")
			args = append(args, row...)
		}
		fmt.Fprintf(&q, ") AS v WHERE %s.%s = v.column1", table, key)
		if condition != "" {
			q.WriteString(" AND " + condition)
		}
		fmt.Fprintf(&q, " RETURNING %s.%s", table, key)
		keys, err := find[int64](tx, q.String(), args...)
		if err != nil {
			return nil, err
		}
		changed = append(changed, keys...)
	}
	return changed, nil
}

// values is a list of n bound values as the table v, with one column column1.
func (tx *Tx) values(kind string, n int) string {
	row := "(" + tx.s.dialect.cast(kind) + ")"
	return "(VALUES " + row + strings.Repeat(", "+row, n-1) + ") AS v"
}

// sortedKeys gives a map's keys in order: rows of two transactions are then
// locked in the same order.
func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
