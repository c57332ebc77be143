package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"deskd/triage/ticket"
)

type intakeRow struct {
	ID         int64 `gorm:"autoIncrement:false;<-:false"`
	Mailbox    short
	Validity   int64
	UID        int64 `gorm:"column:uid"`
	SHA256     blob  `gorm:"column:sha256"`
	ContentKey blob
	MessageID  text
	Sender     text
	Subject    text
	Size       int64
	ArrivedAt  stamp
	SeenAt     stamp
	DecidedAt  stamp
	FiledAt    stamp
	Fetches    int64
	Failures   int64
	Handling   text
	LastError  text
	Fate       optional
	Reason     text
	Ticket     ref
	File       text
	Kind       text
	Why        text
}

func (intakeRow) TableName() string { return "intakes" }

func (r *intakeRow) intake() Intake {
	return Intake{
		ID: r.ID, Mailbox: string(r.Mailbox), Validity: uint32(r.Validity), UID: uint32(r.UID), SHA256: r.SHA256,
		ContentKey: r.ContentKey, MessageID: string(r.MessageID), From: string(r.Sender), Subject: string(r.Subject),
		Size: r.Size, ArrivedAt: r.ArrivedAt.time(), SeenAt: r.SeenAt.time(), DecidedAt: r.DecidedAt.time(),
		FiledAt: r.FiledAt.time(), Fetches: int(r.Fetches), Failures: int(r.Failures), Handling: string(r.Handling),
		LastError: string(r.LastError), Fate: Fate(r.Fate), Reason: string(r.Reason), Ticket: ticket.Number(r.Ticket),
		File: string(r.File), Kind: string(r.Kind), Why: r.Why.bytes(),
	}
}

func intakes(rows []intakeRow) []Intake {
	out := make([]Intake, len(rows))
	for i := range rows {
		out[i] = rows[i].intake()
	}
	return out
}

// uidChunk bounds the list of UIDs in one statement.
const uidChunk = 500

// Pending gives what is known of these UIDs, decided on or not, in the order
// of UIDs. Those never heard of are left out.
func (s *Store) Pending(ctx context.Context, mailbox string, validity uint32, uids []uint32) ([]Intake, error) {
	var found []Intake
	for chunk := range slices.Chunk(ordered(uids), uidChunk) {
		rows, err := read[intakeRow](ctx, s, "SELECT * FROM intakes WHERE mailbox = ? AND validity = ? AND uid IN ? ORDER BY uid",
			short(mailbox), int64(validity), chunk)
		if err != nil {
			return nil, fmt.Errorf("look up mails of %s: %w", mailbox, err)
		}
		found = append(found, intakes(rows)...)
	}
	return found, nil
}

// ordered gives the UIDs sorted and each once, so that no statement touches a
// row twice and two daemons touch them in the same order.
func ordered(uids []uint32) []int64 {
	out := make([]int64, len(uids))
	for i, u := range uids {
		out[i] = int64(u)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// Seen records an attempt to fetch these mails, before any body is asked for:
// one commit. UIDs never heard of get a row.
func (s *Store) Seen(ctx context.Context, mailbox string, validity uint32, uids []uint32) error {
	if len(uids) == 0 {
		return nil
	}
	err := s.Write(ctx, func(tx *Tx) error {
		return tx.meet(mailbox, validity, ordered(uids), 1)
	})
	if err != nil {
		return fmt.Errorf("record mails of %s as seen: %w", mailbox, err)
	}
	return nil
}

// meet makes rows for the UIDs that have none, and counts attempts to fetch.
func (tx *Tx) meet(mailbox string, validity uint32, uids []int64, fetches int64) error {
	rows := make([]intakeRow, len(uids))
	for i, u := range uids {
		rows[i] = intakeRow{Mailbox: short(mailbox), Validity: int64(validity), UID: u, SeenAt: at(tx.now), Fetches: fetches}
	}
	conflict := clause.OnConflict{Columns: []clause.Column{{Name: "mailbox"}, {Name: "validity"}, {Name: "uid"}}}
	if fetches == 0 {
		conflict.DoNothing = true
	} else {
		conflict.DoUpdates = clause.Assignments(map[string]any{"fetches": gorm.Expr("intakes.fetches + ?", fetches)})
	}
	return insert(tx, &rows, conflict)
}

// incarnation is one mailbox in one validity, and UIDs in it.
type incarnation struct {
	mailbox  string
	validity uint32
	uids     []uint32
}

func byIncarnation(ids []MailboxUID) []incarnation {
	var groups []incarnation
	for _, id := range ids {
		i := slices.IndexFunc(groups, func(g incarnation) bool { return g.mailbox == id.Mailbox && g.validity == id.Validity })
		if i < 0 {
			i = len(groups)
			groups = append(groups, incarnation{mailbox: id.Mailbox, validity: id.Validity})
		}
		groups[i].uids = append(groups[i].uids, id.UID)
	}
	return groups
}

// diedAlone is the note on a mail during whose handling the process ended.
const diedAlone = "the process ended while it handled this mail alone"

// BeginHandling records that these mails are about to be handled, alone or in
// a batch: one commit, before any of them is parsed. What an earlier attempt
// left over is counted here: a death while the mail was alone is its own
// fault, unless forgive is set (F19). Mails without a row get one. The rows
// are given in the order of ids; those decided already are given unchanged.
func (s *Store) BeginHandling(ctx context.Context, ids []MailboxUID, alone, forgive bool) ([]Intake, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	handling := HandlingBatch
	if alone {
		handling = HandlingAlone
	}
	found := make(map[MailboxUID]Intake, len(ids))
	err := s.Write(ctx, func(tx *Tx) error {
		clear(found)
		for _, group := range byIncarnation(ids) {
			for chunk := range slices.Chunk(ordered(group.uids), uidChunk) {
				if err := tx.meet(group.mailbox, group.validity, chunk, 0); err != nil {
					return err
				}
				where := " WHERE mailbox = ? AND validity = ? AND uid IN ?"
				args := []any{short(group.mailbox), int64(group.validity), chunk}
				if !forgive {
					err := tx.exec("UPDATE intakes SET failures = failures + 1, last_error = '"+diedAlone+"'"+where+
						" AND fate IS NULL AND handling = 'alone'", args...)
					if err != nil {
						return err
					}
				}
				err := tx.exec("UPDATE intakes SET handling = ?"+where+" AND fate IS NULL", append([]any{handling}, args...)...)
				if err != nil {
					return err
				}
				rows, err := find[intakeRow](tx, "SELECT * FROM intakes"+where, args...)
				if err != nil {
					return err
				}
				for _, in := range intakes(rows) {
					found[MailboxUID{in.Mailbox, in.Validity, in.UID}] = in
				}
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("record that mails are being handled: %w", err)
	}
	out := make([]Intake, 0, len(ids))
	for _, id := range ids {
		id.Mailbox = shorten(id.Mailbox)
		out = append(out, found[id])
	}
	return out, nil
}

// EndHandling records that the attempt at these mails has ended without a
// decision. A failure is that of the mails themselves and is counted; an empty
// one means that the world was at fault (F19).
func (s *Store) EndHandling(ctx context.Context, ids []int64, failure string) error {
	if len(ids) == 0 {
		return nil
	}
	ids = slices.Clone(ids)
	slices.Sort(ids)
	err := s.Write(ctx, func(tx *Tx) error {
		for chunk := range slices.Chunk(ids, uidChunk) {
			query, args := "UPDATE intakes SET handling = '' WHERE id IN ? AND fate IS NULL", []any{chunk}
			if failure != "" {
				query = "UPDATE intakes SET handling = '', failures = failures + 1, last_error = ? WHERE id IN ? AND fate IS NULL"
				args = []any{text(failure), chunk}
			}
			if err := tx.exec(query, args...); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("record how mails were handled: %w", err)
	}
	return nil
}

// Decide sets a mail's fate, once: if it has one already, the transaction (or
// the Try around it) ends with an *AlreadyDecided error, here or when it
// would commit (F1). in.ID names the row; hashes, Message-ID, From, Subject,
// Size, ArrivedAt, Fate, Reason, Ticket, File, Kind and Why are stored.
func (tx *Tx) Decide(in Intake) error {
	if !slices.Contains(Fates(), in.Fate) {
		return fmt.Errorf("decide on intake %d: fate %q", in.ID, in.Fate)
	}
	for _, d := range tx.decided {
		if d.ID == in.ID {
			return &AlreadyDecided{in.ID, d.Fate}
		}
	}
	if in.DecidedAt.IsZero() {
		in.DecidedAt = tx.now
	}
	tx.decided = append(tx.decided, in)
	return nil
}

func decidedColumns() []column {
	return []column{
		{"sha256", "BLOB"},
		{"content_key", "BLOB"},
		{"message_id", "TEXT"},
		{"sender", "TEXT"},
		{"subject", "TEXT"},
		{"size", "INTEGER"},
		{"arrived_at", "INTEGER"},
		{"decided_at", "INTEGER"},
		{"handling", "TEXT"},
		{"fate", "TEXT"},
		{"reason", "TEXT"},
		{"ticket", "INTEGER"},
		{"file", "TEXT"},
		{"kind", "TEXT"},
		{"why", "TEXT"},
	}
}

func (in *Intake) decided() []any {
	return []any{
		in.ID, blob(in.SHA256), hashed(in.ContentKey), text(in.MessageID), text(in.From), text(in.Subject), in.Size,
		at(in.ArrivedAt), at(in.DecidedAt), text(HandlingNone), optional(in.Fate), text(in.Reason), ref(in.Ticket), text(in.File),
		text(in.Kind), jsonText(in.Why),
	}
}

func (tx *Tx) flushDecided() error {
	if len(tx.decided) == 0 {
		return nil
	}
	decided := tx.decided
	tx.decided = nil
	slices.SortFunc(decided, func(a, b Intake) int { return cmpBy(a.ID, b.ID, 0, int64(0)) })
	rows := make([][]any, len(decided))
	for i := range decided {
		rows[i] = decided[i].decided()
	}
	ids, err := updateMany(tx, "intakes", "id", decidedColumns(), rows, "intakes.fate IS NULL")
	if err != nil || len(ids) == len(decided) {
		return err
	}
	for _, in := range decided {
		if !slices.Contains(ids, in.ID) {
			fates, err := find[optional](tx, "SELECT fate FROM intakes WHERE id = ?", in.ID)
			if err != nil {
				return err
			}
			if len(fates) == 0 {
				return &AlreadyDecided{ID: in.ID}
			}
			return &AlreadyDecided{in.ID, Fate(fates[0])}
		}
	}
	return nil
}

// Redecide changes the fate of a mail that was set aside: from is what it must
// be still, else *AlreadyDecided. With an empty in.Fate the mail is undecided
// again and its failures are forgotten, so that it is offered anew; else
// in.Fate, Reason, Ticket, File, Kind and Why are stored, and what was read of
// the mail by now: ContentKey, MessageID, From and Subject.
func (tx *Tx) Redecide(in Intake, from Fate) error {
	if err := tx.flush(); err != nil {
		return err
	}
	var n int64
	var err error
	if in.Fate == "" {
		n, err = tx.affect("UPDATE intakes SET fate = NULL, decided_at = NULL, filed_at = NULL, failures = 0, handling = '', "+
			"reason = ?, file = '' WHERE id = ? AND fate = ?", text(in.Reason), in.ID, string(from))
	} else {
		n, err = tx.affect("UPDATE intakes SET fate = ?, decided_at = ?, reason = ?, ticket = ?, file = ?, kind = ?, why = ?, "+
			"content_key = ?, message_id = ?, sender = ?, subject = ? WHERE id = ? AND fate = ?",
			string(in.Fate), at(tx.now), text(in.Reason), ref(in.Ticket), text(in.File), text(in.Kind), jsonText(in.Why),
			hashed(in.ContentKey), text(in.MessageID), text(in.From), text(in.Subject), in.ID, string(from))
	}
	if err != nil {
		return fmt.Errorf("decide again on intake %d: %w", in.ID, err)
	}
	if n == 1 {
		return nil
	}
	fates, err := find[optional](tx, "SELECT fate FROM intakes WHERE id = ?", in.ID)
	if err != nil {
		return fmt.Errorf("decide again on intake %d: %w", in.ID, err)
	}
	if len(fates) == 0 {
		return fmt.Errorf("intake %d: %w", in.ID, ErrNotFound)
	}
	return &AlreadyDecided{in.ID, Fate(fates[0])}
}

// Filed records that the originals of these mails are out of the way.
func (s *Store) Filed(ctx context.Context, mailbox string, validity uint32, uids []uint32) error {
	return s.file(ctx, mailbox, validity, uids, false)
}

// Gone records that these vanished from the server. A mail without a fate gets
// the fate gone, with or without a row before; the others count as filed.
func (s *Store) Gone(ctx context.Context, mailbox string, validity uint32, uids []uint32) error {
	return s.file(ctx, mailbox, validity, uids, true)
}

func (s *Store) file(ctx context.Context, mailbox string, validity uint32, uids []uint32, gone bool) error {
	if len(uids) == 0 {
		return nil
	}
	err := s.Write(ctx, func(tx *Tx) error {
		for chunk := range slices.Chunk(ordered(uids), uidChunk) {
			where := " WHERE mailbox = ? AND validity = ? AND uid IN ? AND filed_at IS NULL"
			args := []any{short(mailbox), int64(validity), chunk}
			if gone {
				if err := tx.meet(mailbox, validity, chunk, 0); err != nil {
					return err
				}
				err := tx.exec("UPDATE intakes SET fate = 'gone', reason = 'vanished from the server', handling = '', decided_at = ?"+
					where+" AND fate IS NULL", append([]any{at(tx.now)}, args...)...)
				if err != nil {
					return err
				}
			}
			if err := tx.exec("UPDATE intakes SET filed_at = ?"+where, append([]any{at(tx.now)}, args...)...); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("record mails of %s as filed: %w", mailbox, err)
	}
	return nil
}

// Twins finds mails of a mailbox that are decided on, this transaction's too,
// and have one of these content keys or raw hashes: the oldest first. Of those
// in the database only the newest for each key and hash is given; a mail may
// be sent thousands of times. Only ID, Ticket and both hashes are filled in.
func (tx *Tx) Twins(mailbox string, keys, shas [][]byte) ([]Intake, error) {
	var found []Intake
	known := map[int64]bool{}
	add := func(in Intake) {
		if !known[in.ID] {
			known[in.ID] = true
			found = append(found, in)
		}
	}
	has := func(list [][]byte, b []byte) bool {
		return hashed(b) != nil && slices.ContainsFunc(list, func(x []byte) bool { return bytes.Equal(x, b) })
	}
	for _, in := range tx.decided {
		if in.Mailbox == mailbox && (has(keys, in.ContentKey) || has(shas, in.SHA256)) {
			add(Intake{ID: in.ID, Ticket: in.Ticket, SHA256: in.SHA256, ContentKey: in.ContentKey})
		}
	}
	for _, by := range []struct {
		name   string
		values [][]byte
	}{{"content_key", keys}, {"sha256", shas}} {
		for chunk := range slices.Chunk(hashes(by.values), uidChunk) {
			rows, err := find[intakeRow](tx, "SELECT id, ticket, sha256, content_key FROM intakes WHERE id IN (SELECT "+
				"(SELECT i.id FROM intakes i WHERE i.mailbox = ? AND i."+by.name+" = v.column1 AND i.fate IS NOT NULL ORDER BY i.id DESC LIMIT 1) "+
				"FROM "+tx.values("BLOB", len(chunk))+")", append([]any{short(mailbox)}, chunk...)...)
			if err != nil {
				return nil, fmt.Errorf("look for earlier copies: %w", err)
			}
			for _, in := range intakes(rows) {
				add(in)
			}
		}
	}
	slices.SortFunc(found, func(a, b Intake) int { return cmpBy(a.ID, b.ID, 0, int64(0)) })
	return found, nil
}

// Handled finds another mail of a mailbox with this content key or raw hash
// from which something followed: one that is no copy itself, and neither waits
// for a person nor was put aside by one. The newest by content comes first;
// ErrNotFound if there is none.
func (tx *Tx) Handled(mailbox string, key, sha []byte, except int64) (Intake, error) {
	if err := tx.flush(); err != nil {
		return Intake{}, err
	}
	for _, by := range []struct {
		name  string
		value blob
	}{{"content_key", hashed(key)}, {"sha256", hashed(sha)}} {
		if by.value == nil {
			continue
		}
		rows, err := find[intakeRow](tx, "SELECT * FROM intakes WHERE mailbox = ? AND "+by.name+" = ? AND id <> ? AND fate IS NOT NULL "+
			"AND fate NOT IN ('duplicate', 'quarantined', 'spam', 'dismissed', 'gone') ORDER BY id DESC LIMIT 1", short(mailbox), by.value, except)
		if err != nil {
			return Intake{}, fmt.Errorf("look for an earlier copy: %w", err)
		}
		if len(rows) > 0 {
			return rows[0].intake(), nil
		}
	}
	return Intake{}, ErrNotFound
}

// hashed is a hash as it is stored and looked up: nothing if it was never
// computed, so that two such mails are not taken for copies of one.
func hashed(b []byte) blob {
	for _, x := range b {
		if x != 0 {
			return blob(b)
		}
	}
	return nil
}

// hashes gives those that were computed, as values for a statement.
func hashes(in [][]byte) []any {
	out := make([]any, 0, len(in))
	for _, b := range in {
		if h := hashed(b); h != nil {
			out = append(out, h)
		}
	}
	return out
}

// maxRaw bounds what a stored mail may unpack to.
const maxRaw = 1 << 30

type rawRow struct {
	ID     int64 `gorm:"autoIncrement:false;<-:false"`
	SHA256 blob  `gorm:"column:sha256"`
	Size   int64
	KeptAt stamp
	Data   blob
}

func (rawRow) TableName() string { return "raws" }

// KeepRaw keeps a mail's bytes as they came, packed, under their SHA-256; the
// same bytes are kept once.
func (tx *Tx) KeepRaw(sha, raw []byte) error {
	if len(sha) != 32 {
		return fmt.Errorf("keep a raw mail: its hash has %d bytes, want 32", len(sha))
	}
	for _, r := range tx.raws {
		if bytes.Equal(r.SHA256, sha) {
			return nil
		}
	}
	tx.raws = append(tx.raws, rawRow{
		SHA256: bytes.Clone(sha), Size: int64(len(raw)), KeptAt: at(tx.now), Data: tx.s.pack.EncodeAll(raw, nil),
	})
	return nil
}

// Raw gives a mail's bytes as they came; ErrNotFound if they are not kept (any
// more).
func (s *Store) Raw(ctx context.Context, sha []byte) ([]byte, error) {
	rows, err := read[rawRow](ctx, s, "SELECT * FROM raws WHERE sha256 = ?", blob(sha))
	if err != nil {
		return nil, fmt.Errorf("read a raw mail: %w", err)
	}
	if len(rows) == 0 {
		return nil, fmt.Errorf("raw mail %x: %w", sha, ErrNotFound)
	}
	return s.unpacked(rows[0])
}

func (s *Store) unpacked(r rawRow) ([]byte, error) {
	raw, err := s.unpack.DecodeAll(r.Data, make([]byte, 0, min(max(r.Size, 0), maxRaw)))
	if err != nil {
		return nil, fmt.Errorf("unpack raw mail %x: %w", r.SHA256, err)
	}
	return raw, nil
}

// ForgetRaws deletes the bytes of mails kept before a time, at most n of them,
// and tells how many; hashes and events stay, so that the same mail is still
// known (T51). Mails that are quarantined or undecided keep theirs.
func (tx *Tx) ForgetRaws(before time.Time, n int) (int, error) {
	if err := tx.flush(); err != nil {
		return 0, err
	}
	gone, err := tx.affect("DELETE FROM raws WHERE id IN (SELECT r.id FROM raws r WHERE r.kept_at < ? AND NOT EXISTS "+
		"(SELECT 1 FROM intakes i WHERE i.sha256 = r.sha256 AND (i.fate IS NULL OR i.fate = 'quarantined')) "+
		"ORDER BY r.kept_at LIMIT ?)", at(before), n)
	if err != nil {
		return 0, fmt.Errorf("delete raw mails: %w", err)
	}
	return int(gone), nil
}

// IntakeByID gives one mail's row; ErrNotFound if there is none.
func (s *Store) IntakeByID(ctx context.Context, id int64) (Intake, error) {
	rows, err := read[intakeRow](ctx, s, "SELECT * FROM intakes WHERE id = ?", id)
	if err != nil {
		return Intake{}, fmt.Errorf("read intake %d: %w", id, err)
	}
	if len(rows) == 0 {
		return Intake{}, fmt.Errorf("intake %d: %w", id, ErrNotFound)
	}
	return rows[0].intake(), nil
}

// recentBytes bounds what RecentRaws holds in memory.
const recentBytes = 32 << 20

// RecentRaws gives the raw bytes of a mailbox's newest mails, the newest
// first: at most n, and not more than 32 MiB in all beyond the first.
func (s *Store) RecentRaws(ctx context.Context, mailbox string, n int) ([][]byte, error) {
	shas, err := read[blob](ctx, s, "SELECT sha256 FROM intakes WHERE mailbox = ? AND sha256 IS NOT NULL ORDER BY id DESC LIMIT ?",
		short(mailbox), limited(n))
	if err != nil {
		return nil, fmt.Errorf("read recent mails: %w", err)
	}
	var raws [][]byte
	total := 0
	for _, sha := range shas {
		raw, err := s.Raw(ctx, sha)
		if errors.Is(err, ErrNotFound) {
			continue // deleted after its time
		}
		if err != nil {
			return nil, err
		}
		if total += len(raw); total > recentBytes && len(raws) > 0 {
			break
		}
		raws = append(raws, raw)
	}
	return raws, nil
}
