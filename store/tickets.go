package store

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"

	"deskd/triage/ticket"
)

type ticketRow struct {
	Number          int64 `gorm:"primaryKey;autoIncrement:false"`
	Mailbox         short
	Subject         text
	Requester       short
	RequesterName   text
	Status          text
	Priority        text
	Team            short
	Assignee        short
	Tags            list
	Reasons         list
	Secret          blob
	ChainHead       blob
	Events          int64
	Entries         int64
	CreatedAt       stamp `gorm:"autoCreateTime:false"`
	UpdatedAt       stamp `gorm:"autoUpdateTime:false"`
	FirstResponseAt stamp
	ResolvedAt      stamp
	ClosedAt        stamp
	DueAt           stamp
	AnsweredAt      stamp
	RemindedAt      stamp
}

func (ticketRow) TableName() string { return "tickets" }

func (t *Ticket) row() ticketRow {
	return ticketRow{
		Number: int64(t.Number), Mailbox: short(t.Mailbox), Subject: text(t.Subject), Requester: short(t.Requester),
		RequesterName: text(t.RequesterName), Status: text(t.Status), Priority: text(t.Priority), Team: short(t.Team),
		Assignee: short(t.Assignee), Tags: t.Tags, Reasons: t.Reasons, Secret: t.Key, ChainHead: t.ChainHead,
		Events: int64(t.Events), Entries: int64(t.Entries), CreatedAt: at(t.CreatedAt), UpdatedAt: at(t.UpdatedAt),
		FirstResponseAt: at(t.FirstResponseAt), ResolvedAt: at(t.ResolvedAt), ClosedAt: at(t.ClosedAt),
		DueAt: at(t.DueAt), AnsweredAt: at(t.AnsweredAt), RemindedAt: at(t.RemindedAt),
	}
}

func (r *ticketRow) ticket() Ticket {
	return Ticket{
		Number: ticket.Number(r.Number), Mailbox: string(r.Mailbox), Subject: string(r.Subject),
		Requester: string(r.Requester), RequesterName: string(r.RequesterName), Status: ticket.Status(r.Status),
		Priority: ticket.Priority(r.Priority), Team: string(r.Team), Assignee: string(r.Assignee), Tags: r.Tags,
		Reasons: r.Reasons, Key: r.Secret, ChainHead: r.ChainHead, Events: int(r.Events), Entries: int(r.Entries),
		CreatedAt: r.CreatedAt.time(), UpdatedAt: r.UpdatedAt.time(), FirstResponseAt: r.FirstResponseAt.time(),
		ResolvedAt: r.ResolvedAt.time(), ClosedAt: r.ClosedAt.time(), DueAt: r.DueAt.time(), AnsweredAt: r.AnsweredAt.time(),
		RemindedAt: r.RemindedAt.time(),
	}
}

// copy is the ticket with lists of its own.
func (t Ticket) copy() Ticket {
	t.Tags, t.Reasons = slices.Clone(t.Tags), slices.Clone(t.Reasons)
	t.Key, t.ChainHead = bytes.Clone(t.Key), bytes.Clone(t.ChainHead)
	return t
}

// same says whether both would be stored alike.
func (t *Ticket) same(o *Ticket) bool {
	a, b := t.row(), o.row()
	if !slices.Equal(a.Tags, b.Tags) || !slices.Equal(a.Reasons, b.Reasons) ||
		!bytes.Equal(a.Secret, b.Secret) || !bytes.Equal(a.ChainHead, b.ChainHead) {
		return false
	}
	return a.Mailbox == b.Mailbox && a.Subject == b.Subject && a.Requester == b.Requester &&
		a.RequesterName == b.RequesterName && a.Status == b.Status && a.Priority == b.Priority && a.Team == b.Team &&
		a.Assignee == b.Assignee && a.Events == b.Events && a.Entries == b.Entries && a.CreatedAt == b.CreatedAt &&
		a.UpdatedAt == b.UpdatedAt && a.FirstResponseAt == b.FirstResponseAt && a.ResolvedAt == b.ResolvedAt &&
		a.ClosedAt == b.ClosedAt && a.DueAt == b.DueAt && a.AnsweredAt == b.AnsweredAt && a.RemindedAt == b.RemindedAt
}

// NewTicket opens a ticket: it gets the next number, a random key, and the
// transaction's time where t has none. Changes made through the pointer until
// the end of the transaction are stored.
func (tx *Tx) NewTicket(t Ticket) (*Ticket, error) {
	if !t.Status.Valid() || !t.Priority.Valid() {
		return nil, fmt.Errorf("open a ticket: status %q, priority %q", t.Status, t.Priority)
	}
	n, err := tx.number()
	if err != nil {
		return nil, fmt.Errorf("number a ticket: %w", err)
	}
	t = t.copy()
	t.Number, t.ChainHead, t.Events, t.Entries = n, nil, 0, 0
	t.Key = make([]byte, 16)
	if _, err := rand.Read(t.Key); err != nil {
		return nil, fmt.Errorf("make a ticket's key: %w", err)
	}
	if t.CreatedAt.IsZero() {
		t.CreatedAt = tx.now
	}
	if t.UpdatedAt.IsZero() {
		t.UpdatedAt = t.CreatedAt
	}
	return tx.keep(t, true), nil
}

// number takes the next one. A database that has come back without its last
// commits would give again what this desk has given (F21).
func (tx *Tx) number() (ticket.Number, error) {
	n, err := tx.nextOne()
	if given := ticket.Number(tx.s.given.Load()); err == nil && n <= given {
		if err = tx.LiftNumbers(given); err == nil {
			n, err = tx.nextOne()
		}
	}
	tx.given = max(tx.given, n)
	return n, err
}

// nextOne asks the database. On SQLite nobody else can take it meanwhile.
func (tx *Tx) nextOne() (ticket.Number, error) {
	if tx.s.dialect.writers() > 1 {
		n, err := find[int64](tx, "SELECT nextval('ticket_numbers')")
		if err != nil || len(n) != 1 {
			return 0, err
		}
		return ticket.Number(n[0]), nil
	}
	if tx.nextNumber == 0 {
		n, err := find[int64](tx, "SELECT seq FROM sqlite_sequence WHERE name = 'tickets'")
		if err != nil || len(n) != 1 {
			return 0, err
		}
		tx.nextNumber = ticket.Number(n[0]) + 1
	}
	n := tx.nextNumber
	tx.nextNumber++
	return n, nil
}

// gave notes the highest number of a transaction that has ended.
func (s *Store) gave(n ticket.Number) {
	for {
		was := s.given.Load()
		if int64(n) <= was || s.given.CompareAndSwap(was, int64(n)) {
			return
		}
	}
}

// LiftNumbers makes the next ticket's number higher than n: after a restore
// of an older copy, numbers that people have seen are not given again.
func (tx *Tx) LiftNumbers(n ticket.Number) error {
	if err := tx.flush(); err != nil {
		return err
	}
	tx.nextNumber = 0
	var err error
	if tx.s.dialect.writers() > 1 {
		// Others take numbers meanwhile: what is high enough is left alone.
		_, err = find[int64](tx, "SELECT setval('ticket_numbers', ?) FROM ticket_numbers WHERE last_value < ? OR last_value = ? AND NOT is_called", int64(n), int64(n), int64(n))
	} else {
		err = tx.exec("UPDATE sqlite_sequence SET seq = max(seq, ?) WHERE name = 'tickets'", int64(n))
	}
	if err != nil {
		return fmt.Errorf("lift the ticket numbers above %d: %w", n, err)
	}
	return nil
}

func (tx *Tx) keep(t Ticket, isNew bool) *Ticket {
	k := &kept{ticket: &t, isNew: isNew}
	if !isNew {
		k.saved = t.copy()
	}
	tx.tickets[t.Number] = k
	tx.order = append(tx.order, t.Number)
	return k.ticket
}

// Ticket loads a ticket and locks it until the end of the transaction. Changes
// made through the pointer are stored. ErrNotFound if there is none.
func (tx *Tx) Ticket(n ticket.Number) (*Ticket, error) {
	found, err := tx.Tickets([]ticket.Number{n})
	if err != nil {
		return nil, err
	}
	t, ok := found[n]
	if !ok {
		return nil, fmt.Errorf("ticket %d: %w", n, ErrNotFound)
	}
	return t, nil
}

// Tickets loads and locks many at once, as Ticket does. Numbers that do not
// exist are left out.
func (tx *Tx) Tickets(ns []ticket.Number) (map[ticket.Number]*Ticket, error) {
	found := make(map[ticket.Number]*Ticket, len(ns))
	var missing []int64
	for _, n := range ns {
		if k, ok := tx.tickets[n]; ok {
			found[n] = k.ticket
		} else {
			missing = append(missing, int64(n))
		}
	}
	slices.Sort(missing)
	missing = slices.Compact(missing)
	for chunk := range slices.Chunk(missing, batchRows) {
		rows, err := find[ticketRow](tx, "SELECT * FROM tickets WHERE number IN ? ORDER BY number"+tx.s.dialect.forUpdate(), chunk)
		if err != nil {
			return nil, fmt.Errorf("load tickets: %w", err)
		}
		for i := range rows {
			t := rows[i].ticket()
			found[t.Number] = tx.keep(t, false)
		}
	}
	return found, nil
}

// flushTickets inserts new tickets and updates changed ones.
func (tx *Tx) flushTickets() error {
	var fresh []ticketRow
	var changed [][]any
	var written []*kept
	for _, n := range tx.order {
		k := tx.tickets[n]
		if !k.isNew && k.ticket.same(&k.saved) {
			continue
		}
		t := k.ticket
		t.Number = n // not the caller's to change
		if !k.isNew && t.UpdatedAt.Equal(k.saved.UpdatedAt) {
			t.UpdatedAt = tx.now
		}
		tx.findTicket(k)
		tx.count(k)
		r := t.row()
		if k.isNew {
			fresh = append(fresh, r)
		} else {
			changed = append(changed, []any{
				r.Number, r.Mailbox, r.Subject, r.Requester, r.RequesterName, r.Status, r.Priority, r.Team, r.Assignee,
				r.Tags, r.Reasons, r.ChainHead, r.Events, r.Entries, r.UpdatedAt, r.FirstResponseAt, r.ResolvedAt,
				r.ClosedAt, r.DueAt, r.AnsweredAt, r.RemindedAt,
			})
		}
		written = append(written, k)
	}
	if err := insert(tx, &fresh); err != nil {
		return err
	}
	slices.SortFunc(changed, func(a, b []any) int { return int(a[0].(int64) - b[0].(int64)) })
	keys, err := updateMany(tx, "tickets", "number", ticketColumns(), changed, "")
	if err != nil {
		return err
	}
	if len(keys) != len(changed) {
		return fmt.Errorf("%d of %d tickets are gone", len(changed)-len(keys), len(changed))
	}
	for _, k := range written {
		k.isNew, k.saved = false, k.ticket.copy()
	}
	return nil
}

func ticketColumns() []column {
	return []column{
		{"mailbox", "TEXT"},
		{"subject", "TEXT"},
		{"requester", "TEXT"},
		{"requester_name", "TEXT"},
		{"status", "TEXT"},
		{"priority", "TEXT"},
		{"team", "TEXT"},
		{"assignee", "TEXT"},
		{"tags", "TEXT"},
		{"reasons", "TEXT"},
		{"chain_head", "BLOB"},
		{"events", "INTEGER"},
		{"entries", "INTEGER"},
		{"updated_at", "INTEGER"},
		{"first_response_at", "INTEGER"},
		{"resolved_at", "INTEGER"},
		{"closed_at", "INTEGER"},
		{"due_at", "INTEGER"},
		{"answered_at", "INTEGER"},
		{"reminded_at", "INTEGER"},
	}
}

type entryRow struct {
	ID          int64 `gorm:"autoIncrement:false;<-:false"`
	Ticket      int64
	Seq         int64
	Kind        text
	Visibility  text
	Author      text
	AuthorName  text
	Verified    flag
	Body        text
	FullBody    text
	Attachments text
	Blocks      text
	Flags       list
	Intake      ref
	MessageID   text
	At          stamp
}

func (entryRow) TableName() string { return "entries" }

func (r *entryRow) entry() Entry {
	return Entry{
		ID: r.ID, Ticket: ticket.Number(r.Ticket), Seq: int(r.Seq), Kind: string(r.Kind), Visibility: string(r.Visibility),
		Author: string(r.Author), AuthorName: string(r.AuthorName), Verified: bool(r.Verified), Text: string(r.Body),
		FullText: string(r.FullBody), Attachments: r.Attachments.bytes(), Blocks: r.Blocks.bytes(), Flags: r.Flags,
		Intake: int64(r.Intake), MessageID: string(r.MessageID), At: r.At.time(),
	}
}

// AddEntry puts a message or a work note on its ticket, which it loads and
// locks.
func (tx *Tx) AddEntry(e Entry) error {
	t, err := tx.Ticket(e.Ticket)
	if err != nil {
		return fmt.Errorf("add an entry: %w", err)
	}
	if e.At.IsZero() {
		e.At = tx.now
	}
	t.Entries++
	tx.entries = append(tx.entries, entryRow{
		Ticket: int64(e.Ticket), Seq: int64(t.Entries), Kind: text(e.Kind), Visibility: text(e.Visibility),
		Author: text(e.Author), AuthorName: text(e.AuthorName), Verified: flag(e.Verified), Body: text(e.Text),
		FullBody: text(e.FullText), Attachments: jsonText(e.Attachments), Blocks: jsonText(e.Blocks), Flags: e.Flags,
		Intake: ref(e.Intake), MessageID: text(e.MessageID), At: at(e.At),
	})
	tx.findEntry(e)
	return nil
}

type linkRow struct {
	FromTicket int64 `gorm:"primaryKey;autoIncrement:false"`
	ToTicket   int64 `gorm:"primaryKey;autoIncrement:false"`
	Kind       short `gorm:"primaryKey"`
	At         stamp
}

func (linkRow) TableName() string { return "links" }

// Link joins two tickets; a second link of the same kind is the same one. A
// ticket is not linked to itself.
func (tx *Tx) Link(a, b ticket.Number, kind string) error {
	if a == b {
		return fmt.Errorf("link ticket %d to itself", a)
	}
	tx.links = append(tx.links, linkRow{int64(a), int64(b), short(kind), at(tx.now)})
	return nil
}

type idKey struct {
	id     string
	ticket ticket.Number
}

type idRow struct {
	ID        text  `gorm:"primaryKey"`
	Ticket    int64 `gorm:"primaryKey;autoIncrement:false"`
	Direction text
	At        stamp
}

func (idRow) TableName() string { return "message_ids" }

// storedID is the form a Message-ID is kept in: itself, or a hash when it is
// longer than an index should hold.
func storedID(id string) string {
	id = clean(id)
	if len(id) <= 255 {
		return id
	}
	sum := sha256.Sum256([]byte(id))
	return "sha256:" + hex.EncodeToString(sum[:])
}

// KnowIDs records Message-IDs (without angle brackets) that lead to a ticket;
// known ones stay as they are. direction says how it was met: in, out, …
func (tx *Tx) KnowIDs(n ticket.Number, ids []string, direction string) error {
	for _, id := range ids {
		id = storedID(id)
		key := idKey{id, n}
		if _, ok := tx.ids[key]; id != "" && !ok {
			tx.ids[key] = idRow{text(id), int64(n), text(direction), at(tx.now)}
		}
	}
	return nil
}

func (tx *Tx) flushIDs() error {
	rows := make([]idRow, 0, len(tx.ids))
	for _, r := range tx.ids {
		rows = append(rows, r)
	}
	slices.SortFunc(rows, func(a, b idRow) int {
		return cmpBy(string(a.ID), string(b.ID), a.Ticket, b.Ticket)
	})
	clear(tx.ids)
	return insert(tx, &rows, ignore())
}

// mostTicketsOfID bounds how many tickets one Message-ID leads to: a sender may
// put the same id into as many mails as he likes.
const mostTicketsOfID = 20

// TicketsByID finds the tickets that each Message-ID leads to, those of this
// transaction too, the oldest first and at most 20. Unknown ids are left out.
func (tx *Tx) TicketsByID(ids []string) (map[string][]ticket.Number, error) {
	found := make(map[string][]ticket.Number)
	asked := make(map[string][]string, len(ids)) // stored form → as asked for
	for _, id := range ids {
		if stored := storedID(id); stored != "" && !slices.Contains(asked[stored], id) {
			asked[stored] = append(asked[stored], id)
		}
	}
	learn := func(stored string, n ticket.Number) {
		for _, id := range asked[stored] {
			if at, known := slices.BinarySearch(found[id], n); !known && len(found[id]) < mostTicketsOfID {
				found[id] = slices.Insert(found[id], at, n)
			}
		}
	}
	type hit struct {
		ID     text
		Ticket int64
	}
	for chunk := range slices.Chunk(sortedKeys(asked), batchRows) {
		args := make([]any, len(chunk), len(chunk)+1)
		for i, id := range chunk {
			args[i] = text(id)
		}
		// Each id has its own limit: one that is on thousands of tickets takes
		// no room from the others.
		hits, err := find[hit](tx, "SELECT m.id, m.ticket FROM "+tx.values("TEXT", len(chunk))+" JOIN message_ids m ON m.id = v.column1 AND m.ticket <= "+
			"coalesce((SELECT l.ticket FROM message_ids l WHERE l.id = v.column1 ORDER BY l.ticket LIMIT 1 OFFSET ?), 9223372036854775807)",
			append(args, mostTicketsOfID-1)...)
		if err != nil {
			return nil, fmt.Errorf("look up message ids: %w", err)
		}
		for _, h := range hits {
			learn(string(h.ID), ticket.Number(h.Ticket))
		}
	}
	for key := range tx.ids { // not written yet
		learn(key.id, key.ticket)
	}
	return found, nil
}

type participantRow struct {
	Ticket int64 `gorm:"primaryKey;autoIncrement:false"`
	Addr   short `gorm:"primaryKey"`
	Name   text
	How    text
	At     stamp
}

func (participantRow) TableName() string { return "participants" }

// AddParticipant puts somebody on a ticket, once.
func (tx *Tx) AddParticipant(n ticket.Number, addr, name, how string) error {
	if clean(addr) == "" {
		return fmt.Errorf("add a participant to ticket %d: no address", n)
	}
	tx.participants = append(tx.participants, participantRow{int64(n), short(shorten(addr)), text(name), text(how), at(tx.now)})
	tx.found(n, scopePublic, addr, name)
	return nil
}

// RemoveParticipant takes somebody off a ticket; nothing happens if they are
// not on it.
func (tx *Tx) RemoveParticipant(n ticket.Number, addr string) error {
	if err := tx.flush(); err != nil {
		return err
	}
	names, err := find[text](tx, "DELETE FROM participants WHERE ticket = ? AND addr = ? RETURNING name", int64(n), short(addr))
	if err != nil {
		return fmt.Errorf("remove a participant from ticket %d: %w", n, err)
	}
	for _, name := range names {
		tx.found(n, scopeGone, addr, string(name))
	}
	return nil
}

// Participants gives the addresses on each of these tickets, in order of
// address. Tickets without any are left out.
func (tx *Tx) Participants(ns []ticket.Number) (map[ticket.Number][]string, error) {
	found := make(map[ticket.Number][]string)
	numbers := make([]int64, len(ns))
	for i, n := range ns {
		numbers[i] = int64(n)
	}
	for _, p := range tx.participants {
		if slices.Contains(numbers, p.Ticket) {
			found[ticket.Number(p.Ticket)] = append(found[ticket.Number(p.Ticket)], string(p.Addr))
		}
	}
	for chunk := range slices.Chunk(numbers, batchRows) {
		rows, err := find[participantRow](tx, "SELECT * FROM participants WHERE ticket IN ?", chunk)
		if err != nil {
			return nil, fmt.Errorf("look up participants: %w", err)
		}
		for _, p := range rows {
			found[ticket.Number(p.Ticket)] = append(found[ticket.Number(p.Ticket)], string(p.Addr))
		}
	}
	for n, addrs := range found {
		slices.Sort(addrs)
		found[n] = slices.Compact(addrs)
	}
	return found, nil
}

// cmpBy orders by two keys.
func cmpBy[A, B ~string | ~int64](a1, a2 A, b1, b2 B) int {
	switch {
	case a1 < a2:
		return -1
	case a1 > a2:
		return 1
	case b1 < b2:
		return -1
	case b1 > b2:
		return 1
	}
	return 0
}

// limited is a page's length: 50 unless asked for otherwise, at most 500.
func limited(n int) int {
	if n <= 0 {
		return 50
	}
	return min(n, 500)
}
