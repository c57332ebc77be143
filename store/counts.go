package store

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"
)

// How many live tickets there are of each kind is kept, not counted: a
// dashboard of a large desk is looked at all day. Transactions only add rows to
// live_changes, so that none waits for another one over a count, and every
// reader sees the counts that belong to the tickets it sees. Index adds the
// rows up.

// live is the condition for tickets that belong to a queue still. It is
// written out, since no partial index is used for bound values.
const live = "status IN ('open', 'in_progress', 'waiting')"

// kind is what live tickets are counted by.
type kind struct {
	Status   text
	Team     short
	Priority text
	Free     flag // nobody has it
}

func kindOfTicket(t *Ticket) kind {
	return kind{text(t.Status), short(shorten(t.Team)), text(t.Priority), shorten(t.Assignee) == ""}
}

// kindCount is a row of live_counts, or what one says of live_changes.
type kindCount struct {
	Status   text
	Team     short
	Priority text
	Free     flag
	N        int64
}

func (kindCount) TableName() string { return "live_counts" }

func (c kindCount) kind() kind { return kind{c.Status, c.Team, c.Priority, c.Free} }

type kindChange struct {
	ID       int64 `gorm:"autoIncrement:false;<-:false"`
	Status   text
	Team     short
	Priority text
	Free     flag
	N        int64
}

func (kindChange) TableName() string { return "live_changes" }

// count notes a ticket that is to be written.
func (tx *Tx) count(k *kept) {
	if !k.isNew && k.saved.Status.Live() {
		tx.kinds[kindOfTicket(&k.saved)]--
	}
	if k.ticket.Status.Live() {
		tx.kinds[kindOfTicket(k.ticket)]++
	}
}

// flushKinds writes what was noted.
func (tx *Tx) flushKinds() error {
	var rows []kindChange
	for k, n := range tx.kinds {
		if n != 0 {
			rows = append(rows, kindChange{Status: k.Status, Team: k.Team, Priority: k.Priority, Free: k.Free, N: int64(n)})
		}
	}
	clear(tx.kinds)
	return insert(tx, &rows)
}

// liveCounts gives the counts as one transaction sees them.
func liveCounts(ctx context.Context, db *gorm.DB) (map[kind]int, error) {
	rows, err := rowsFor[kindCount](ctx, db, "SELECT status, team, priority, free, n FROM live_counts "+
		"UNION ALL SELECT status, team, priority, free, CAST(sum(n) AS BIGINT) AS n FROM live_changes GROUP BY status, team, priority, free")
	counts := make(map[kind]int, len(rows))
	for _, r := range rows {
		counts[r.kind()] += int(r.N)
	}
	return counts, err
}

const (
	manyChanges = 64   // rows that are worth adding up
	mostChanges = 5000 // that one step adds up
)

// uncounted says whether there are rows to be added up.
const uncounted = "SELECT count(*) AS n FROM (SELECT id FROM live_changes ORDER BY id LIMIT ?) AS c"

// addUp moves the oldest changes into the counts, if they are many.
func (s *Store) addUp(ctx context.Context) error {
	for more := true; more; {
		waiting, err := read[countRow](ctx, s, uncounted, manyChanges)
		if err != nil || waiting[0].N < manyChanges {
			return err
		}
		err = s.Write(ctx, func(tx *Tx) error {
			more, err = tx.addUp()
			return err
		})
		if err != nil {
			return fmt.Errorf("add up the live tickets: %w", err)
		}
	}
	return nil
}

func (tx *Tx) addUp() (more bool, err error) {
	if _, err := tx.lockIndex(); err != nil {
		return false, err
	}
	changes, err := find[kindCount](tx, "DELETE FROM live_changes WHERE id IN (SELECT id FROM live_changes ORDER BY id LIMIT ?) "+
		"RETURNING status, team, priority, free, n", mostChanges)
	if err != nil {
		return false, err
	}
	sums := map[kind]int64{}
	for _, c := range changes {
		sums[c.kind()] += c.N
	}
	var rows []kindCount
	for k, n := range sums {
		if n != 0 {
			rows = append(rows, kindCount{k.Status, k.Team, k.Priority, k.Free, n})
		}
	}
	slices.SortFunc(rows, func(a, b kindCount) int {
		return cmp.Or(cmp.Compare(a.Status, b.Status), cmp.Compare(a.Team, b.Team), cmp.Compare(a.Priority, b.Priority))
	})
	err = insert(tx, &rows, clause.OnConflict{
		Columns:   []clause.Column{{Name: "status"}, {Name: "team"}, {Name: "priority"}, {Name: "free"}},
		DoUpdates: clause.Assignments(map[string]any{"n": gorm.Expr("live_counts.n + excluded.n")}),
	})
	if err != nil {
		return false, err
	}
	return len(changes) == mostChanges, tx.exec("DELETE FROM live_counts WHERE n = 0")
}

// Recount counts the live tickets one by one and puts right what is kept of
// them, as after somebody has changed tickets by hand. It gives how many of the
// counts were wrong.
func (s *Store) Recount(ctx context.Context) (wrong int, err error) {
	err = s.Write(ctx, func(tx *Tx) error {
		if _, err := tx.lockIndex(); err != nil { // another one's corrections are to be seen
			return err
		}
		// Tickets and counts are read by one statement, so that both are of the
		// same moment, whatever others commit meanwhile.
		n, err := tx.affect("INSERT INTO live_changes (status, team, priority, free, n) " +
			"SELECT status, team, priority, free, sum(n) FROM (" +
			"SELECT status, team, priority, CASE WHEN assignee = '' THEN 1 ELSE 0 END AS free, count(*) AS n FROM tickets WHERE " + live + " GROUP BY 1, 2, 3, 4 " +
			"UNION ALL SELECT status, team, priority, free, -n FROM live_counts " +
			"UNION ALL SELECT status, team, priority, free, -n FROM live_changes) AS c " +
			"GROUP BY status, team, priority, free HAVING sum(n) <> 0")
		wrong = int(n)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("count the live tickets: %w", err)
	}
	return wrong, nil
}
