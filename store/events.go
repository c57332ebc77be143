package store

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"time"

	"gorm.io/gorm"

	"deskd/triage/ticket"
)

// The event chain. Each event commits to its payload with a salt of its own,
// and is chained to the one before with a key outside the database:
//
//	commitment = HMAC(salt, payload)
//	hash       = HMAC(key, number, seq, previous hash, commitment)
//
// So a changed, missing, added or reordered event shows to whoever has the
// key, while salt and payload can be erased and the chain still verifies. The
// newest hash stands on the ticket; the desk's own chain has number 0.

type eventRow struct {
	ID          int64 `gorm:"autoIncrement:false;<-:false"`
	Chain       int64
	Ticket      ref
	Seq         int64
	At          stamp
	Actor       text
	What        text
	ValueBefore text
	ValueAfter  text
	Reason      text
	Intake      ref
	Salt        blob
	Commitment  blob
	Previous    blob
	Hash        blob
}

func (eventRow) TableName() string { return "events" }

func (r *eventRow) event() Event {
	return Event{
		ID: r.ID, Ticket: ticket.Number(r.Chain), Seq: int(r.Seq), At: r.At.time(), Actor: string(r.Actor), What: string(r.What),
		Before: string(r.ValueBefore), After: string(r.ValueAfter), Reason: string(r.Reason), Intake: int64(r.Intake),
		Salt: r.Salt, Commit: r.Commitment, Previous: r.Previous, Hash: r.Hash,
	}
}

// deskChain is the chain of desk-wide events.
type deskChain struct {
	Head   blob
	Events int64
}

// AddEvent adds a line to the timeline of a ticket, which it loads and locks,
// or to the desk's own.
func (tx *Tx) AddEvent(e Event) error {
	var head []byte
	var seq int64
	if e.Ticket == 0 {
		chain, err := tx.deskChain()
		if err != nil {
			return fmt.Errorf("add an event: %w", err)
		}
		head, seq = chain.Head, chain.Events+1
	} else {
		t, err := tx.Ticket(e.Ticket)
		if err != nil {
			return fmt.Errorf("add an event: %w", err)
		}
		head, seq = t.ChainHead, int64(t.Events)+1
	}
	if e.At.IsZero() {
		e.At = tx.now
	}
	row := eventRow{
		Chain: int64(e.Ticket), Ticket: ref(e.Ticket), Seq: seq, At: at(e.At), Actor: text(clean(e.Actor)),
		What: text(clean(e.What)), ValueBefore: text(clean(e.Before)), ValueAfter: text(clean(e.After)),
		Reason: text(clean(e.Reason)), Intake: ref(e.Intake), Salt: make(blob, 16), Previous: head,
	}
	if _, err := rand.Read(row.Salt); err != nil {
		return fmt.Errorf("add an event: %w", err)
	}
	row.Commitment = row.commit()
	row.Hash = row.link(tx.s.key)
	tx.events = append(tx.events, row)
	if e.Ticket == 0 {
		tx.desk.Head, tx.desk.Events = row.Hash, seq
		err := tx.exec("UPDATE chains SET head = ?, events = ? WHERE chain = 0", row.Hash, seq)
		if err != nil {
			return fmt.Errorf("add an event: %w", err)
		}
		return nil
	}
	t := tx.tickets[e.Ticket].ticket
	t.ChainHead, t.Events = row.Hash, int(seq)
	return nil
}

// LastEvents gives up to limit events of a ticket's timeline, this
// transaction's too: the newest ones, the oldest of them first.
func (tx *Tx) LastEvents(n ticket.Number, limit int) ([]Event, error) {
	if err := tx.flush(); err != nil {
		return nil, err
	}
	rows, err := find[eventRow](tx, "SELECT * FROM events WHERE chain = ? ORDER BY seq DESC LIMIT ?", int64(n), limit)
	if err != nil {
		return nil, fmt.Errorf("read the last events of ticket %d: %w", n, err)
	}
	events := make([]Event, len(rows))
	for i := range rows {
		events[len(rows)-1-i] = rows[i].event()
	}
	return events, nil
}

// deskChain loads and locks the desk's own chain.
func (tx *Tx) deskChain() (*deskChain, error) {
	if tx.desk == nil {
		rows, err := find[deskChain](tx, "SELECT head, events FROM chains WHERE chain = 0"+tx.s.dialect.forUpdate())
		if err != nil {
			return nil, err
		}
		if len(rows) != 1 {
			return nil, errors.New("the desk's event chain is missing")
		}
		tx.desk = &rows[0]
	}
	return tx.desk, nil
}

// commit is the commitment to the payload.
func (r *eventRow) commit() blob {
	mac := hmac.New(sha256.New, r.Salt)
	write(mac, []byte("deskd event 1"))
	for _, n := range []int64{r.Chain, r.Seq, int64(r.At), int64(r.Intake)} {
		writeInt(mac, n)
	}
	for _, s := range []text{r.Actor, r.What, r.ValueBefore, r.ValueAfter, r.Reason} {
		write(mac, []byte(s))
	}
	return mac.Sum(nil)
}

// link is the hash that chains the event to the one before.
func (r *eventRow) link(key []byte) blob {
	mac := hmac.New(sha256.New, key)
	write(mac, []byte("deskd chain 1"))
	writeInt(mac, r.Chain)
	writeInt(mac, r.Seq)
	write(mac, r.Previous)
	write(mac, r.Commitment)
	return mac.Sum(nil)
}

// write adds a value with its length before it, so that two lists of values
// never look alike.
func write(mac hash.Hash, b []byte) {
	var n [8]byte
	binary.BigEndian.PutUint64(n[:], uint64(len(b)))
	mac.Write(n[:])
	mac.Write(b)
}

func writeInt(mac hash.Hash, n int64) {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], uint64(n))
	write(mac, b[:])
}

// ChainBroken names the first event of a chain that does not fit.
type ChainBroken struct {
	Ticket ticket.Number // 0: the desk's own chain
	Seq    int
	Why    string
}

func (e *ChainBroken) Error() string {
	chain := "the desk's events"
	if e.Ticket != 0 {
		chain = "the events of ticket " + e.Ticket.String()
	}
	return fmt.Sprintf("%s do not verify at number %d: %s", chain, e.Seq, e.Why)
}

// VerifyChain walks the events of a ticket, or with 0 the desk's own, and
// gives a *ChainBroken error that names the first that does not fit. An event
// whose payload was erased (no salt) still fits.
func (s *Store) VerifyChain(ctx context.Context, n ticket.Number) error {
	if len(s.key) < 32 {
		return errors.New("verify events: no key")
	}
	return s.snapshot(ctx, s.limits.verify, func(ctx context.Context, db *gorm.DB) error {
		query := "SELECT head, events FROM chains WHERE chain = ?"
		if n != 0 {
			query = "SELECT chain_head AS head, events FROM tickets WHERE number = ?"
		}
		heads, err := rowsFor[deskChain](ctx, db, query, int64(n))
		if err != nil {
			return fmt.Errorf("verify events: %w", err)
		}
		if len(heads) != 1 {
			return fmt.Errorf("verify events of ticket %d: %w", n, ErrNotFound)
		}
		var last int64
		var previous blob
		for {
			rows, err := rowsFor[eventRow](ctx, db, "SELECT * FROM events WHERE chain = ? AND seq > ? ORDER BY seq LIMIT 500", int64(n), last)
			if err != nil {
				return fmt.Errorf("verify events: %w", err)
			}
			if len(rows) == 0 {
				break
			}
			for i := range rows {
				if why := rows[i].flaw(s.key, last+1, previous); why != "" {
					return &ChainBroken{n, int(last + 1), why}
				}
				last, previous = rows[i].Seq, rows[i].Hash
			}
		}
		switch {
		case last != heads[0].Events:
			return &ChainBroken{n, int(last + 1), fmt.Sprintf("the chain should have %d events", heads[0].Events)}
		case !bytes.Equal(previous, heads[0].Head):
			return &ChainBroken{n, int(last), "it is not the event that the head names"}
		}
		return nil
	})
}

// flaw says what does not fit; empty if all does.
func (r *eventRow) flaw(key []byte, seq int64, previous []byte) string {
	switch {
	case r.Seq != seq:
		return "it is missing"
	case !bytes.Equal(r.Previous, previous):
		return "it does not follow on the one before"
	case r.Salt != nil && !hmac.Equal(r.Commitment, r.commit()):
		return "its content was changed"
	case !hmac.Equal(r.Hash, r.link(key)):
		return "its hash is wrong"
	}
	return ""
}

// EraseEvents erases the payload of a ticket's events up to a time, with the
// salts, so that nothing can be guessed from the commitments (T51). The chain
// still verifies. It returns how many were erased.
func (tx *Tx) EraseEvents(n ticket.Number, until time.Time) (int, error) {
	if err := tx.flush(); err != nil {
		return 0, err
	}
	erased, err := tx.affect("UPDATE events SET salt = NULL, actor = '', what = '', value_before = '', value_after = '', "+
		"reason = '', intake = NULL WHERE chain = ? AND at <= ? AND salt IS NOT NULL", int64(n), at(until))
	if err != nil {
		return 0, fmt.Errorf("erase events of ticket %d: %w", n, err)
	}
	return int(erased), nil
}
