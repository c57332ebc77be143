package store

import (
	"context"
	"fmt"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"deskd/triage/ticket"
)

type personRow struct {
	Addr    short `gorm:"primaryKey"`
	Name    text
	FirstAt stamp
}

func (personRow) TableName() string { return "people" }

// SawPerson records somebody at first contact. A name is learnt later too, but
// never changed: it is the sender's own word.
func (tx *Tx) SawPerson(addr, name string) error {
	addr, name = shorten(addr), clean(name)
	if addr != "" && tx.people[addr] == "" {
		tx.people[addr] = name
	}
	return nil
}

func (tx *Tx) flushPeople() error {
	rows := make([]personRow, 0, len(tx.people))
	for _, addr := range sortedKeys(tx.people) {
		rows = append(rows, personRow{short(addr), text(tx.people[addr]), at(tx.now)})
	}
	clear(tx.people)
	return insert(tx, &rows, clause.OnConflict{
		Columns:   []clause.Column{{Name: "addr"}},
		DoUpdates: clause.AssignmentColumns([]string{"name"}),
		Where:     clause.Where{Exprs: []clause.Expression{gorm.Expr("people.name = '' AND excluded.name <> ''")}},
	})
}

// PersonName is the name an address gave at its first contact; empty if it is
// unknown or gave none.
func (tx *Tx) PersonName(addr string) (string, error) {
	addr = shorten(addr)
	if name, ok := tx.people[addr]; ok && name != "" {
		return name, nil
	}
	names, err := find[text](tx, "SELECT name FROM people WHERE addr = ?", addr)
	if err != nil || len(names) == 0 {
		return "", err
	}
	return string(names[0]), nil
}

// Returned is an address that mail did not reach.
type Returned struct {
	Addr string
	At   time.Time // when a delivery report said so
	Why  string    // in its words
}

type returnedRow struct {
	Addr        short
	ReturnedAt  stamp
	ReturnedWhy text
}

// MarkReturned marks an address as one that mail does not reach.
func (tx *Tx) MarkReturned(addr, why string) error {
	if err := tx.flush(); err != nil {
		return err
	}
	err := tx.exec("INSERT INTO people (addr, name, first_at, returned_at, returned_why) VALUES (?, '', ?, ?, ?) "+
		"ON CONFLICT (addr) DO UPDATE SET returned_at = excluded.returned_at, returned_why = excluded.returned_why",
		short(addr), at(tx.now), at(tx.now), text(why))
	if err != nil {
		return fmt.Errorf("mark %s: %w", addr, err)
	}
	return nil
}

// Returned gives the marked addresses among a ticket's requester and
// participants, but for those who have written to it since.
func (tx *Tx) Returned(n ticket.Number) ([]Returned, error) {
	if err := tx.flush(); err != nil {
		return nil, err
	}
	list, err := returned(tx.ctx, tx.db, int64(n))
	if err != nil {
		return nil, fmt.Errorf("look up whom mail about ticket %d does not reach: %w", n, tx.noted(err))
	}
	return list, nil
}

func returned(ctx context.Context, db *gorm.DB, n int64) ([]Returned, error) {
	rows, err := rowsFor[returnedRow](ctx, db, "SELECT addr, returned_at, returned_why FROM people WHERE returned_at IS NOT NULL AND addr IN ("+
		"SELECT requester FROM tickets WHERE number = ? UNION ALL SELECT addr FROM participants WHERE ticket = ?) "+
		"AND NOT EXISTS (SELECT 1 FROM entries WHERE ticket = ? AND at >= people.returned_at AND author = people.addr) ORDER BY addr LIMIT ?", n, n, n, shown)
	var list []Returned
	for _, r := range rows {
		list = append(list, Returned{string(r.Addr), r.ReturnedAt.time(), string(r.ReturnedWhy)})
	}
	return list, err
}
