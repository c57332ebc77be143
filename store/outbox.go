package store

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"deskd/triage/ticket"
)

// step is what happens to a row of the outbox.
type step string

const (
	claim    step = "claim"     // a daemon takes it, to send it
	accept   step = "accept"    // the server took it
	postpone step = "postpone"  // not now
	release  step = "release"   // it was not tried after all
	cut      step = "cut"       // the connection ended after the final dot
	cutAgain step = "cut again" // and so it did when the row was sent once more
	refuse   step = "refuse"    // a final no, or given up
	cancel   step = "cancel"    // a person does not want it sent
	again    step = "again"     // a person wants it sent once more
)

// moves is the whole life of a row of the outbox; what is not in it is not
// allowed. A row that is Sending may be claimed when its lease has ended: the
// daemon that had it is dead or stuck.
func moves() map[State]map[step]State {
	return map[State]map[step]State{
		Queued: {claim: Sending, cancel: Cancelled},
		Sending: {
			claim: Sending, accept: Sent, postpone: Queued, release: Queued, cut: Uncertain, cutAgain: Uncertain,
			refuse: Failed,
		},
		Uncertain: {claim: Sending, cancel: Cancelled, again: Queued},
		Failed:    {again: Queued},
		Cancelled: {again: Queued},
		Sent:      {},
	}
}

// States lists all states of the outbox.
func States() []State { return []State{Queued, Sending, Sent, Uncertain, Failed, Cancelled} }

type bodyRow struct {
	ID   int64 `gorm:"autoIncrement:false;<-:false"`
	Mail short
	Size int64
	Body blob
}

func (bodyRow) TableName() string { return "outbox_bodies" }

type outboxRow struct {
	ID           int64 `gorm:"autoIncrement:false;<-:false"`
	Key          short
	Mail         short
	Ticket       ref
	Intake       ref
	Recipient    short
	Sender       text
	MessageID    text
	Kind         text
	Subject      text
	Automatic    flag
	Size         int64
	State        text
	Attempts     int64
	Cuts         int64
	DueAt        stamp
	GiveUpAt     stamp
	CreatedAt    stamp `gorm:"autoCreateTime:false"`
	SentAt       stamp
	LeaseOwner   text
	LeaseSession text
	LeaseUntil   stamp
	Answer       text
}

func (outboxRow) TableName() string { return "outbox" }

func (r *outboxRow) row() Row {
	return Row{
		ID: r.ID, Key: string(r.Key), Ticket: ticket.Number(r.Ticket), Recipient: string(r.Recipient), From: string(r.Sender),
		MessageID: string(r.MessageID), Kind: string(r.Kind), Subject: string(r.Subject), State: State(r.State),
		Attempts: int(r.Attempts), Due: r.DueAt.time(), CreatedAt: r.CreatedAt.time(), SentAt: r.SentAt.time(),
		LeaseUntil: r.LeaseUntil.time(), GiveUp: r.GiveUpAt.time(), LeaseOwner: string(r.LeaseOwner), Answer: string(r.Answer),
		Intake: int64(r.Intake), Automatic: bool(r.Automatic),
	}
}

func outboxRows(rows []outboxRow) []Row {
	out := make([]Row, len(rows))
	for i := range rows {
		out[i] = rows[i].row()
	}
	return out
}

// Enqueue puts a mail into the outbox, one row for each recipient. A second
// mail with the same key is the same mail, and is dropped.
func (tx *Tx) Enqueue(o Outgoing) error {
	if clean(o.Key) == "" || len(o.Key) > maxShort/2 {
		return fmt.Errorf("enqueue: the key %.40q has %d bytes, want 1 to %d", o.Key, len(o.Key), maxShort/2)
	}
	if len(o.Recipients) == 0 {
		return fmt.Errorf("enqueue %s: no recipients", o.Key)
	}
	if o.Due.IsZero() {
		o.Due = tx.now
	}
	for i, to := range o.Recipients {
		if to = clean(to); to == "" || len(to) > maxShort/2-1 {
			return fmt.Errorf("enqueue %s: recipient %d has %d bytes, want 1 to %d", o.Key, i+1, len(to), maxShort/2-1)
		}
		tx.outbox = append(tx.outbox, outboxRow{
			Key: short(clean(o.Key) + "/" + to), Mail: short(clean(o.Key)), Ticket: ref(o.Ticket), Intake: ref(o.Intake),
			Recipient: short(to), Sender: text(o.From), MessageID: text(o.MessageID), Kind: text(o.Kind), Subject: text(o.Subject),
			Automatic: flag(o.Automatic), Size: int64(len(o.Body)), State: text(Queued), DueAt: at(o.Due),
			GiveUpAt: at(o.GiveUp), CreatedAt: at(tx.now),
		})
	}
	body := bytes.Clone(o.Body)
	if body == nil {
		body = []byte{}
	}
	tx.bodies = append(tx.bodies, bodyRow{Mail: short(clean(o.Key)), Size: int64(len(body)), Body: body})
	return nil
}

// claimBytes bounds the bodies that one Claim brings into memory.
const claimBytes = 32 << 20

// blocked says that a row o of the outbox has to wait for another one of its
// ticket and recipient, so that mails arrive in the order of what they tell
// (F37): for any that is being sent, and for an earlier unfinished one. An
// earlier one that has failed at its first retry too, and now waits for hours,
// holds up nobody. It takes the time twice.
const blocked = `EXISTS (
	SELECT 1 FROM outbox e
	WHERE e.ticket = o.ticket AND e.recipient = o.recipient AND e.due_at IS NOT NULL AND e.id <> o.id
	AND (e.state = 'sending' AND (e.id < o.id OR e.lease_until > ?)
		OR e.id < o.id AND (e.attempts < 2 OR e.due_at <= ?)))`

// Claim takes up to n rows to be sent, those due for longest first, and leases
// them to this process. Each claim counts as an attempt. Rows whose lease
// ended are taken again. The bodies are at most 32 MiB in all, but one row is
// always given. Rows of one ticket and recipient are given one at a time, in
// their order.
func (s *Store) Claim(ctx context.Context, n int, lease time.Duration) ([]Row, error) {
	if n <= 0 || lease <= 0 {
		return nil, fmt.Errorf("claim %d rows of the outbox for %s: want more than none", n, lease)
	}
	var claimed []Row
	err := s.Write(ctx, func(tx *Tx) error {
		var err error
		claimed, err = tx.claim(min(n, batchRows), lease)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("claim rows of the outbox: %w", err)
	}
	return claimed, nil
}

func (tx *Tx) claim(n int, lease time.Duration) ([]Row, error) {
	if lock := tx.s.dialect.claimLock(); lock != "" {
		// Two claims at once would each see the other's rows as free, and
		// could take two of one ticket and recipient.
		if err := tx.exec(lock); err != nil {
			return nil, err
		}
	}
	now, until := at(tx.now), at(tx.now.Add(lease))
	rows, err := find[outboxRow](tx, `WITH candidates AS MATERIALIZED (
			SELECT o.id, o.due_at, o.size FROM outbox o
			WHERE o.due_at IS NOT NULL AND o.due_at <= ? AND NOT `+blocked+`
			ORDER BY o.due_at, o.id LIMIT ?`+tx.s.dialect.skipLocked()+`
		), summed AS MATERIALIZED (
			SELECT id, size, sum(size) OVER (ORDER BY due_at, id) AS total FROM candidates
		)
		UPDATE outbox SET state = 'sending', attempts = attempts + 1, due_at = ?,
			lease_until = ?, lease_owner = ?, lease_session = ?
		WHERE id IN (SELECT id FROM summed WHERE total <= ? OR total = size)
		RETURNING *`,
		now, now, now, n, until, until, text(tx.s.owner), text(tx.s.session), int64(claimBytes))
	if err != nil || len(rows) == 0 {
		return nil, err
	}
	slices.SortFunc(rows, func(a, b outboxRow) int { return cmpBy(a.ID, b.ID, 0, int64(0)) })
	mails := make([]short, 0, len(rows))
	for _, r := range rows {
		if !slices.Contains(mails, r.Mail) {
			mails = append(mails, r.Mail)
		}
	}
	bodies, err := find[bodyRow](tx, "SELECT * FROM outbox_bodies WHERE mail IN ?", mails)
	if err != nil {
		return nil, err
	}
	byMail := make(map[short][]byte, len(bodies))
	for _, b := range bodies {
		byMail[b.Mail] = b.Body
	}
	claimed := outboxRows(rows)
	for i := range claimed {
		claimed[i].Body = byMail[rows[i].Mail]
	}
	return claimed, nil
}

// outcome is how an attempt at sending ended.
type outcome struct {
	step   step
	due    time.Time // when it is tried again; zero: not by itself
	answer string
}

// Sent records that the server took the mail.
func (s *Store) Sent(ctx context.Context, r Row, answer string) error {
	return s.finish(ctx, r, outcome{accept, time.Time{}, answer})
}

// Later records that the server did not take it now; it is tried again at due.
func (s *Store) Later(ctx context.Context, r Row, due time.Time, answer string) error {
	return s.finish(ctx, r, outcome{postpone, due, answer})
}

// PutBack leaves the mail to a later claim, at due: this one does not count as
// an attempt.
func (s *Store) PutBack(ctx context.Context, r Row, due time.Time, answer string) error {
	return s.finish(ctx, r, outcome{release, due, answer})
}

// Uncertain records that the connection ended after the final dot, so that the
// server may have taken the mail. It is sent once more at due, the same bytes;
// when that ends so too, the row stays uncertain for a person to look at.
func (s *Store) Uncertain(ctx context.Context, r Row, due time.Time, answer string) error {
	return s.finish(ctx, r, outcome{cut, due, answer})
}

// Failed records the server's final no, or that it was given up, and tells so
// in the timeline of the ticket, or of the desk, in the same transaction.
func (s *Store) Failed(ctx context.Context, r Row, answer string) error {
	return s.finish(ctx, r, outcome{refuse, time.Time{}, answer})
}

// finish records the end of an attempt at a row as Claim gave it. The claim
// must be the row's last, which its number of attempts tells, and this
// process's, else *LeaseLost: a sender that was too slow does not overwrite
// what the next one found, not even one of its own process. To record the same
// end twice is no error: after an *Unknown one it is how to look it up (F26).
func (s *Store) finish(ctx context.Context, r Row, o outcome) error {
	err := s.Write(ctx, func(tx *Tx) error { return tx.finish(r, o) })
	if err != nil {
		return fmt.Errorf("record %q for row %d of the outbox: %w", o.step, r.ID, err)
	}
	return nil
}

func (tx *Tx) finish(claimed Row, o outcome) error {
	rows, err := find[outboxRow](tx, "SELECT * FROM outbox WHERE id = ?"+tx.s.dialect.forUpdate(), claimed.ID)
	if err != nil {
		return err
	}
	if len(rows) == 0 {
		return ErrNotFound
	}
	r, to, attempts := rows[0], moves()[Sending][o.step], int64(claimed.Attempts)
	if o.step == release {
		attempts--
	}
	if State(r.State) == to && r.Attempts == attempts && string(r.Answer) == clean(o.answer) {
		return nil
	}
	if State(r.State) != Sending || string(r.LeaseSession) != tx.s.session || int(r.Attempts) != claimed.Attempts {
		return &LeaseLost{Name: fmt.Sprintf("outbox row %d", claimed.ID), Holder: string(r.LeaseOwner)}
	}
	if o.step == cut && r.Cuts > 0 {
		o.step, o.due = cutAgain, time.Time{}
	}
	var cuts int64
	if o.step == cut || o.step == cutAgain {
		cuts = 1
	}
	var sent time.Time
	if o.step == accept {
		sent = tx.now
	}
	err = tx.exec("UPDATE outbox SET state = ?, due_at = ?, sent_at = ?, attempts = ?, cuts = cuts + ?, answer = ?, lease_owner = '', "+
		"lease_session = '', lease_until = NULL WHERE id = ?", string(to), at(o.due), at(sent), attempts, cuts, text(o.answer), claimed.ID)
	if err != nil || to != Failed {
		return err
	}
	return tx.AddEvent(Event{
		Ticket: ticket.Number(r.Ticket), Actor: "deskd", What: "delivery failed", Before: string(r.Kind),
		After: string(r.Recipient), Reason: o.answer, Intake: int64(r.Intake),
	})
}

// Cancel takes a mail out of the outbox that is not being sent, for a person
// who does not want it to go out.
func (tx *Tx) Cancel(id int64) error { return tx.move(id, cancel, time.Time{}) }

// SendAgain puts a mail back into the outbox that failed, stayed uncertain or
// was cancelled, for a person who wants it sent. It is given up at giveUp;
// zero: never.
func (tx *Tx) SendAgain(id int64, giveUp time.Time) error { return tx.move(id, again, giveUp) }

// Immovable says that the state of a row of the outbox does not allow what was
// asked for.
type Immovable struct {
	ID    int64
	State State
	Wish  string // "cancelled", "sent again"
}

func (e *Immovable) Error() string {
	return fmt.Sprintf("row %d of the outbox is %s: it cannot be %s", e.ID, e.State, e.Wish)
}

func (tx *Tx) move(id int64, st step, giveUp time.Time) error {
	if err := tx.flush(); err != nil {
		return err
	}
	rows, err := find[outboxRow](tx, "SELECT * FROM outbox WHERE id = ?"+tx.s.dialect.forUpdate(), id)
	if err != nil {
		return fmt.Errorf("%s row %d of the outbox: %w", st, id, err)
	}
	if len(rows) == 0 {
		return fmt.Errorf("row %d of the outbox: %w", id, ErrNotFound)
	}
	from := State(rows[0].State)
	to, ok := moves()[from][st]
	if !ok {
		return &Immovable{id, from, map[step]string{cancel: "cancelled", again: "sent again"}[st]}
	}
	if to == Queued {
		err = tx.exec("UPDATE outbox SET state = 'queued', due_at = ?, give_up_at = ?, attempts = 0, cuts = 0 WHERE id = ?",
			at(tx.now), at(giveUp), id)
	} else {
		err = tx.exec("UPDATE outbox SET state = ?, due_at = NULL WHERE id = ?", string(to), id)
	}
	if err != nil {
		return fmt.Errorf("%s row %d of the outbox: %w", st, id, err)
	}
	return nil
}

// NextDue is when the next row of the outbox can be claimed, perhaps in the
// past; false if none is waiting. A row that has to wait for another one does
// not count: the other one does. A row that is being sent counts with the end
// of its lease even when an earlier one has become due meanwhile: that one
// waits for the lease too, and a daemon that died holding it wakes nobody.
func (s *Store) NextDue(ctx context.Context) (time.Time, bool, error) {
	now := at(s.now())
	due, err := read[stamp](ctx, s, "SELECT o.due_at FROM outbox o WHERE o.due_at IS NOT NULL AND (NOT "+blocked+
		" OR o.state = 'sending' AND o.lease_until > ?) ORDER BY o.due_at, o.id LIMIT 1", now, now, now)
	if err != nil {
		return time.Time{}, false, fmt.Errorf("look for the next mail that is due: %w", err)
	}
	if len(due) == 0 {
		return time.Time{}, false, nil
	}
	return due[0].time(), true, nil
}

// autoRow is the answer to autoSent.
type autoRow struct {
	N    int64
	Last stamp
}

// autoSent counts automatic mails put into the outbox. The flag is written
// out, so that SQLite uses the index of these rows.
func autoSent(recipient string, since time.Time) (string, []any) {
	if recipient == "" {
		return "SELECT count(*) AS n, max(created_at) AS last FROM outbox WHERE automatic = 1 AND created_at >= ?",
			[]any{at(since)}
	}
	return "SELECT count(*) AS n, max(created_at) AS last FROM outbox WHERE automatic = 1 AND recipient = ? AND created_at >= ?",
		[]any{short(recipient), at(since)}
}

// AutoSent tells how many automatic mails were put into the outbox for an
// address since a time, and when the last was: for limits (T17). With an empty
// recipient: for all addresses.
func (s *Store) AutoSent(ctx context.Context, recipient string, since time.Time) (int, time.Time, error) {
	query, args := autoSent(recipient, since)
	rows, err := read[autoRow](ctx, s, query, args...)
	if err != nil || len(rows) != 1 {
		return 0, time.Time{}, fmt.Errorf("count automatic mails: %w", err)
	}
	return int(rows[0].N), rows[0].Last.time(), nil
}

// AutoSent is the same inside a transaction, whose own mails count too.
func (tx *Tx) AutoSent(recipient string, since time.Time) (int, time.Time, error) {
	query, args := autoSent(recipient, since)
	rows, err := find[autoRow](tx, query, args...)
	if err != nil || len(rows) != 1 {
		return 0, time.Time{}, fmt.Errorf("count automatic mails: %w", err)
	}
	n, last := rows[0].N, rows[0].Last
	for _, r := range tx.outbox {
		if bool(r.Automatic) && (recipient == "" || string(r.Recipient) == shorten(recipient)) && r.CreatedAt >= at(since) {
			n, last = n+1, max(last, r.CreatedAt)
		}
	}
	return int(n), last.time(), nil
}

// AutoSent counts the automatic mails to one address.
type AutoSent struct {
	Recent int       // since the later of two times
	All    int       // since the earlier
	Last   time.Time // when the last was put into the outbox; zero: none
}

type autoSentRow struct {
	Recipient short
	Recent, N int64
	Last      stamp
}

// AutoSentTo tells for each of the addresses how many automatic mails were put
// into the outbox since two times, this transaction's too: AutoSent for many
// at once. Every address is in the answer.
func (tx *Tx) AutoSentTo(recipients []string, recent, all time.Time) (map[string]AutoSent, error) {
	counts := make(map[string]AutoSent, len(recipients))
	kept := map[short][]string{} // as stored → as given
	for _, r := range recipients {
		if _, again := counts[r]; again {
			continue
		}
		counts[r] = AutoSent{}
		kept[short(shorten(r))] = append(kept[short(shorten(r))], r)
	}
	add := func(to short, n, fresh int64, last stamp) {
		for _, r := range kept[to] {
			c := counts[r]
			c.All, c.Recent = c.All+int(n), c.Recent+int(fresh)
			if t := last.time(); t.After(c.Last) {
				c.Last = t
			}
			counts[r] = c
		}
	}
	for chunk := range slices.Chunk(slices.Sorted(maps.Keys(kept)), uidChunk) {
		rows, err := find[autoSentRow](tx, "SELECT recipient, count(*) AS n, sum(CASE WHEN created_at >= ? THEN 1 ELSE 0 END) AS recent, "+
			"max(created_at) AS last FROM outbox WHERE automatic = 1 AND recipient IN ? AND created_at >= ? GROUP BY recipient",
			at(recent), chunk, at(all))
		if err != nil {
			return nil, fmt.Errorf("count automatic mails: %w", err)
		}
		for _, r := range rows {
			add(r.Recipient, r.N, r.Recent, r.Last)
		}
	}
	for _, r := range tx.outbox {
		if !bool(r.Automatic) || r.CreatedAt < at(all) {
			continue
		}
		var fresh int64
		if r.CreatedAt >= at(recent) {
			fresh = 1
		}
		add(r.Recipient, 1, fresh, r.CreatedAt)
	}
	return counts, nil
}
