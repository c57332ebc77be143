package store

import (
	"fmt"
	"slices"

	"deskd/triage/ticket"
)

// Blocked is what is known of a sender who is heard no more.
type Blocked struct {
	Proven bool // a mail that was marked was theirs; else anybody may have written it
}

// Block makes a sender be heard no more, since a ticket is spam. who is the
// technician that says so, and proven whether its mail was vouched for.
func (tx *Tx) Block(addr string, n ticket.Number, who string, proven bool) error {
	if clean(addr) == "" {
		return nil
	}
	if err := tx.exec("INSERT INTO blocks (addr, ticket, who, at, proven, withdrawn, lifted) VALUES (?, ?, ?, ?, ?, 0, 0) ON CONFLICT (addr, ticket) "+
		"DO UPDATE SET who = excluded.who, at = excluded.at, proven = excluded.proven, withdrawn = 0, lifted = 0",
		short(shorten(addr)), int64(n), text(who), at(tx.now), flag(proven)); err != nil {
		return fmt.Errorf("block %s: %w", addr, err)
	}
	return nil
}

// Withdraw takes back that a sender is heard no more because of one ticket.
// What other tickets say of them holds.
func (tx *Tx) Withdraw(addr string, n ticket.Number) error {
	if err := tx.exec("UPDATE blocks SET withdrawn = 1 WHERE addr = ? AND ticket = ?", short(shorten(addr)), int64(n)); err != nil {
		return fmt.Errorf("withdraw a mark of %s: %w", addr, err)
	}
	return nil
}

// Reinstate takes back a Withdraw. What was said on another ticket still lifts
// the mark.
func (tx *Tx) Reinstate(addr string, n ticket.Number) error {
	if err := tx.exec("UPDATE blocks SET withdrawn = 0 WHERE addr = ? AND ticket = ?", short(shorten(addr)), int64(n)); err != nil {
		return fmt.Errorf("reinstate a mark of %s: %w", addr, err)
	}
	return nil
}

// Unblock lets a sender be heard again, whatever tickets were marked, since
// somebody says on one that they send no spam.
func (tx *Tx) Unblock(addr string, by ticket.Number) error {
	if err := tx.exec("UPDATE blocks SET lifted = ? WHERE addr = ? AND lifted = 0 AND withdrawn = 0", int64(by), short(shorten(addr))); err != nil {
		return fmt.Errorf("unblock %s: %w", addr, err)
	}
	return nil
}

// BlockAgain takes back what Unblock did for the same ticket.
func (tx *Tx) BlockAgain(addr string, by ticket.Number) error {
	if err := tx.exec("UPDATE blocks SET lifted = 0 WHERE addr = ? AND lifted = ?", short(shorten(addr)), int64(by)); err != nil {
		return fmt.Errorf("block %s again: %w", addr, err)
	}
	return nil
}

type blockedRow struct {
	Addr   short
	Proven flag
}

// Blocked gives those of these senders who are heard no more.
func (tx *Tx) Blocked(addrs []string) (map[string]Blocked, error) {
	blocked := make(map[string]Blocked)
	asked := make(map[short]string, len(addrs))
	list := make([]short, 0, len(addrs))
	for _, a := range addrs {
		if k := short(shorten(a)); asked[k] == "" && a != "" {
			asked[k] = a
			list = append(list, k)
		}
	}
	for chunk := range slices.Chunk(list, batchRows) {
		rows, err := find[blockedRow](tx, "SELECT addr, max(proven) AS proven FROM blocks WHERE addr IN ? AND lifted = 0 AND withdrawn = 0 GROUP BY addr", chunk)
		if err != nil {
			return nil, fmt.Errorf("look up blocked senders: %w", err)
		}
		for _, r := range rows {
			blocked[asked[r.Addr]] = Blocked{Proven: bool(r.Proven)}
		}
	}
	return blocked, nil
}
