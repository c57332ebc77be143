package store

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"maps"
	"math/bits"
	"slices"
	"strconv"
	"strings"

	"gorm.io/gorm/clause"

	"deskd/triage/ticket"
)

// The search index. For each word it has the numbers of the tickets that the
// word stands in, whoever wrote it and in which entry: so that words in
// different mails of a ticket find it together, and in the order that answers
// are given in.
//
// Tickets are numbered, so the index is cut into parts of 4096 numbers: of
// each part and word there is one row with a set of tickets, of 512 bytes at
// most. What comes in touches the rows of the newest part, which lie together;
// a search reads one row of each part for each word, from the newest part on,
// and stops when it has enough.
//
// A transaction does not write to these rows, which all others want, too: what
// it adds is one row for each ticket in search_fresh, which every search reads
// in full. Index moves that over, many tickets at a time.
const (
	partBits = 12
	partSize = 1 << partBits
)

// Who may find a ticket by a word.
const (
	scopePublic   = 0 // whoever may see the ticket
	scopeInternal = 1 // who may see its work notes
	scopeGone     = 2 // only in search_fresh: nobody any more, by what was there
)

type freshKey struct {
	ticket ticket.Number
	scope  int
}

type freshRow struct {
	ID     int64 `gorm:"autoIncrement:false;<-:false"`
	Ticket int64
	Scope  int64
	Words  text // each with a space before and behind it
}

func (freshRow) TableName() string { return "search_fresh" }

type wordRow struct {
	Part    int64  `gorm:"primaryKey;autoIncrement:false"`
	Word    string `gorm:"primaryKey"`
	Scope   int64  `gorm:"primaryKey;autoIncrement:false"`
	Tickets blob
}

func (wordRow) TableName() string { return "search_words" }

// found notes what a ticket is found by.
func (tx *Tx) found(n ticket.Number, scope int, texts ...string) {
	set := wordSet{}
	for _, t := range texts {
		set.add(clean(t))
	}
	merge(tx.fresh, freshKey{n, scope}, set)
}

// merge adds words to those of a ticket. Each entry and the ticket itself have
// room of their own, so that a long text takes none from a subject.
func merge(all map[freshKey]wordSet, key freshKey, set wordSet) {
	if all[key] == nil {
		all[key] = set
		return
	}
	maps.Copy(all[key], set)
}

// findTicket notes a ticket that is to be written.
func (tx *Tx) findTicket(k *kept) {
	t, was := k.ticket, &k.saved
	switch {
	case k.isNew:
	case t.Subject == was.Subject && t.Requester == was.Requester && t.RequesterName == was.RequesterName:
		return
	default:
		tx.found(t.Number, scopeGone, was.Subject, was.Requester, was.RequesterName)
	}
	tx.found(t.Number, scopePublic, t.Number.String(), t.Subject, t.Requester, t.RequesterName)
}

func (tx *Tx) findEntry(e Entry) {
	for scope, texts := range entryTexts(scopeOf(e.Visibility), e.Author, e.AuthorName, e.Text, e.FullText, e.Attachments) {
		tx.found(e.Ticket, scope, texts...)
	}
}

// scopeOf is public only for what says so.
func scopeOf(visibility string) int {
	if visibility == "public" {
		return scopePublic
	}
	return scopeInternal
}

// entryTexts is what an entry is found by, the short texts first. The full text
// has what was forwarded, and what a first mail quotes stands nowhere else; what
// a technician's answer quotes may be a work note, so that only technicians
// find by it.
func entryTexts(scope int, author, name, own, full string, attachments []byte) map[int][]string {
	texts := map[int][]string{scope: append(append([]string{author, name}, attachmentNames(attachments)...), own)}
	if full != own {
		texts[scopeInternal] = append(texts[scopeInternal], full)
	}
	return texts
}

// attachmentNames reads the names out of the JSON list of an entry. What is no
// such list has none.
func attachmentNames(list []byte) []string {
	var files []struct {
		Name string `json:"name"`
	}
	if len(list) <= 2 || json.Unmarshal(list, &files) != nil {
		return nil
	}
	names := make([]string, len(files))
	for i, f := range files {
		names[i] = f.Name
	}
	return names
}

// flushFresh writes what was noted.
func (tx *Tx) flushFresh() error {
	rows := make([]freshRow, 0, len(tx.fresh))
	for key, set := range tx.fresh {
		for _, words := range joined(set) {
			rows = append(rows, freshRow{Ticket: int64(key.ticket), Scope: int64(key.scope), Words: words})
		}
	}
	clear(tx.fresh)
	slices.SortFunc(rows, func(a, b freshRow) int {
		if a.Ticket != b.Ticket {
			return int(a.Ticket - b.Ticket)
		}
		return int(a.Scope - b.Scope)
	})
	return insert(tx, &rows)
}

const freshRowBytes = 64 << 10

// joined gives the words as rows of search_fresh have them, none much longer
// than freshRowBytes: the entries that one transaction adds to a ticket may
// have many words together.
func joined(set wordSet) (rows []text) {
	var b strings.Builder
	for _, w := range sortedKeys(set) {
		if b.Len() >= freshRowBytes {
			rows = append(rows, text(b.String()))
			b.Reset()
		}
		if b.Len() == 0 {
			b.WriteByte(' ')
		}
		b.WriteString(w)
		b.WriteByte(' ')
	}
	if b.Len() > 0 {
		rows = append(rows, text(b.String()))
	}
	return rows
}

// members is a set of tickets of one part of the numbers.
type members [partSize / 64]uint64

func (m *members) put(i int)  { m[i/64] |= 1 << (i % 64) }
func (m *members) drop(i int) { m[i/64] &^= 1 << (i % 64) }

func (m *members) count() int {
	n := 0
	for _, w := range m {
		n += bits.OnesCount64(w)
	}
	return n
}

// and keeps what is in both, and says whether that is anything.
func (m *members) and(o *members) bool {
	any := uint64(0)
	for i := range m {
		m[i] &= o[i]
		any |= m[i]
	}
	return any != 0
}

// packed is the stored form: the places, each as two bytes, or where that is
// shorter the whole as bits.
func (m *members) packed() blob {
	n := m.count()
	if 2*n >= partSize/8 {
		b := make(blob, 0, partSize/8)
		for _, w := range m {
			b = binary.LittleEndian.AppendUint64(b, w)
		}
		return b
	}
	b := make(blob, 0, 2*n)
	for i, w := range m {
		for ; w != 0; w &= w - 1 {
			b = binary.LittleEndian.AppendUint16(b, uint16(i*64+bits.TrailingZeros64(w)))
		}
	}
	return b
}

// unpackInto adds what is stored.
func (m *members) unpackInto(b []byte) {
	if len(b) == partSize/8 {
		for i := range m {
			m[i] |= binary.LittleEndian.Uint64(b[8*i:])
		}
		return
	}
	for ; len(b) >= 2; b = b[2:] {
		m.put(int(binary.LittleEndian.Uint16(b)) % partSize)
	}
}

// blockKey names a row of search_words.
type blockKey struct {
	part  int64
	word  string
	scope int
}

// changes is what an Index does to the rows: in each, places that it puts and
// places that it drops.
type changes struct {
	puts, drops map[blockKey][]int
}

func (c *changes) put(n int64, scope int, word string) {
	key := blockKey{n >> partBits, word, scope}
	c.puts[key] = append(c.puts[key], int(n%partSize))
}

// Bounds of one Index.
const (
	mostFreshWords = 40000   // that it takes of what is fresh
	mostFreshBytes = 1 << 20 // of these that it reads
	mostGone       = 10      // tickets that have lost words, whose texts are all read
	mostOldWords   = 100000  // that it takes of tickets from before there was a search
	textsAtOnce    = 50      // tickets or entries that are read at once
)

// Index makes one step towards an index that has everything: it moves what was
// written lately into the words' rows or, when there is none of that, reads
// the next tickets, as many as most says, that were there before there was a
// search. It says whether there is more to do.
//
// Whatever an interrupted step did is done again. Steps of several daemons wait
// for one another.
func (s *Store) Index(ctx context.Context, most int) (more bool, err error) {
	if err := s.addUp(ctx); err != nil {
		return false, err
	}
	if idle, err := s.indexed(ctx); err != nil || idle {
		return false, err
	}
	err = s.Write(ctx, func(tx *Tx) error {
		more, err = tx.index(most)
		return err
	})
	if err != nil {
		return false, fmt.Errorf("index what tickets are found by: %w", err)
	}
	return more, nil
}

// indexed says that there is nothing to do for Index.
func (s *Store) indexed(ctx context.Context) (bool, error) {
	ids, err := read[int64](ctx, s, "SELECT id FROM search_fresh ORDER BY id LIMIT 1")
	if err != nil || len(ids) > 0 {
		return false, err
	}
	below, err := read[factRow](ctx, s, "SELECT * FROM facts WHERE name = ?", short("search"))
	if err != nil {
		return false, err
	}
	return readBelow(below) == 0, nil
}

// readBelow is the number below which tickets are not read yet; 0: all are.
func readBelow(rows []factRow) int64 {
	if len(rows) == 0 {
		return 0
	}
	n, _ := strconv.ParseInt(string(rows[0].Value), 10, 64)
	return n
}

func (tx *Tx) index(most int) (more bool, err error) {
	fact, err := tx.lockIndex()
	if err != nil {
		return false, err
	}
	c := &changes{puts: map[blockKey][]int{}, drops: map[blockKey][]int{}}
	n, full, err := tx.indexFresh(c)
	if err != nil {
		return false, err
	}
	below := readBelow(fact)
	if n == 0 && below > 0 {
		if below, err = tx.indexBelow(c, below, most); err != nil {
			return false, err
		}
	}
	return full || below > 0, tx.apply(c)
}

// lockIndex makes steps wait for one another, and gives how far the index is.
func (tx *Tx) lockIndex() ([]factRow, error) {
	return find[factRow](tx, "SELECT * FROM facts WHERE name = ?"+tx.s.dialect.forUpdate(), short("search"))
}

// indexFresh takes what was written lately, oldest first.
func (tx *Tx) indexFresh(c *changes) (n int, full bool, err error) {
	sizes, err := find[freshSize](tx, "SELECT id, octet_length(words) AS size FROM search_fresh ORDER BY id LIMIT ?", batchRows)
	if err != nil || len(sizes) == 0 {
		return 0, false, err
	}
	ids := make([]int64, within(sizes, mostFreshBytes))
	for i := range ids {
		ids[i] = sizes[i].ID
	}
	full = len(sizes) == batchRows || len(ids) < len(sizes)
	rows, err := find[freshRow](tx, "SELECT * FROM search_fresh WHERE id IN ? ORDER BY id", ids)
	if err != nil {
		return 0, false, err
	}
	words := 0
	gone := map[int64]wordSet{}
	var done []int64
	for _, r := range rows {
		if words > mostFreshWords || r.Scope == scopeGone && gone[r.Ticket] == nil && len(gone) == mostGone {
			full = true
			break
		}
		list := strings.Fields(string(r.Words))
		words += len(list)
		done = append(done, r.ID)
		for _, w := range list {
			switch r.Scope {
			case scopeGone:
				if gone[r.Ticket] == nil {
					gone[r.Ticket] = wordSet{}
				}
				gone[r.Ticket][w] = struct{}{}
			default:
				c.put(r.Ticket, int(r.Scope), w)
			}
		}
	}
	for n, set := range gone {
		if err := tx.drop(c, n, set); err != nil {
			return 0, false, err
		}
	}
	return len(done), full, tx.exec("DELETE FROM search_fresh WHERE id IN ?", done)
}

// drop takes a ticket from the words that it has no more.
func (tx *Tx) drop(c *changes, n int64, gone wordSet) error {
	has, err := tx.wordsOf(n, n)
	if err != nil {
		return err
	}
	for scope := scopePublic; scope <= scopeInternal; scope++ {
		for w := range gone {
			if _, still := has[freshKey{ticket.Number(n), scope}][w]; !still {
				key := blockKey{n >> partBits, w, scope}
				c.drops[key] = append(c.drops[key], int(n%partSize))
			}
		}
	}
	return nil
}

// indexBelow reads tickets that were there before, most of them or as many as
// have mostOldWords. It gives the number below which there are more; 0: none.
func (tx *Tx) indexBelow(c *changes, below int64, most int) (int64, error) {
	numbers, err := find[int64](tx, "SELECT number FROM tickets WHERE number < ? ORDER BY number DESC LIMIT ?", below, most)
	if err != nil {
		return 0, err
	}
	below = 0
	if len(numbers) == most {
		below = numbers[len(numbers)-1]
	}
	words := 0
	for chunk := range slices.Chunk(numbers, textsAtOnce) {
		if words > mostOldWords {
			below = chunk[0] + 1
			break
		}
		has, err := tx.wordsOf(chunk[len(chunk)-1], chunk[0])
		if err != nil {
			return 0, err
		}
		for key, set := range has {
			words += len(set)
			for w := range set {
				c.put(int64(key.ticket), key.scope, w)
			}
		}
	}
	return below, tx.exec("UPDATE facts SET value = ? WHERE name = ?", blob(strconv.FormatInt(below, 10)), short("search"))
}

// wordsOf reads all that the tickets from one number to another are found by,
// some texts at a time: there may be many on a ticket, and each may be long.
func (tx *Tx) wordsOf(from, to int64) (map[freshKey]wordSet, error) {
	has := map[freshKey]wordSet{}
	add := func(n int64, scope int, texts ...string) {
		set := wordSet{}
		for _, t := range texts {
			set.add(t)
		}
		merge(has, freshKey{ticket.Number(n), scope}, set)
	}
	type head struct {
		Number                            int64
		Subject, Requester, RequesterName string
	}
	heads, err := find[head](tx, "SELECT number, substr(subject, 1, ?) AS subject, requester, requester_name FROM tickets WHERE number >= ? AND number <= ?", maxText, from, to)
	if err != nil {
		return nil, err
	}
	for _, h := range heads {
		add(h.Number, scopePublic, ticket.Number(h.Number).String(), h.Subject, h.Requester, h.RequesterName)
	}
	people, err := find[participantRow](tx, "SELECT * FROM participants WHERE ticket >= ? AND ticket <= ?", from, to)
	if err != nil {
		return nil, err
	}
	for _, p := range people {
		add(p.Ticket, scopePublic, string(p.Addr), string(p.Name))
	}
	type part struct {
		Ticket, Seq                                                 int64
		Visibility, Author, AuthorName, Body, FullBody, Attachments text
	}
	for last := (part{Ticket: from}); ; {
		entries, err := find[part](tx, "SELECT ticket, seq, visibility, author, author_name, substr(body, 1, ?) AS body, substr(full_body, 1, ?) AS full_body, attachments "+
			"FROM entries WHERE (ticket, seq) > (?, ?) AND ticket <= ? ORDER BY ticket, seq LIMIT ?", maxText, maxText, last.Ticket, last.Seq, to, textsAtOnce)
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			for scope, texts := range entryTexts(scopeOf(string(e.Visibility)), string(e.Author), string(e.AuthorName), string(e.Body), string(e.FullBody), e.Attachments.bytes()) {
				add(e.Ticket, scope, texts...)
			}
		}
		if len(entries) < textsAtOnce {
			return has, nil
		}
		last = entries[len(entries)-1]
	}
}

// apply writes the changes, in the order of the rows.
func (tx *Tx) apply(c *changes) error {
	sets := make(map[blockKey]*members, len(c.puts)+len(c.drops))
	words := map[int64][]string{} // of each part
	for _, m := range []map[blockKey][]int{c.puts, c.drops} {
		for key := range m {
			if sets[key] == nil {
				sets[key] = nil
				words[key.part] = append(words[key.part], key.word)
			}
		}
	}
	if plan := tx.s.dialect.planAnew(); plan != "" && len(words) > 0 {
		if err := tx.exec(plan); err != nil {
			return err
		}
	}
	for part, list := range words {
		slices.Sort(list)
		for chunk := range slices.Chunk(slices.Compact(list), batchRows) {
			rows, err := find[wordRow](tx, "SELECT * FROM search_words WHERE part = ? AND word IN ?", part, chunk)
			if err != nil {
				return err
			}
			for _, r := range rows {
				key := blockKey{r.Part, r.Word, int(r.Scope)}
				if _, asked := sets[key]; asked {
					m := &members{}
					m.unpackInto(r.Tickets)
					sets[key] = m
				}
			}
		}
	}
	var changed []wordRow
	var empty []blockKey
	for key, m := range sets {
		was := m != nil
		if !was {
			m = &members{}
		}
		before := *m
		for _, i := range c.puts[key] {
			m.put(i)
		}
		for _, i := range c.drops[key] {
			m.drop(i)
		}
		switch {
		case *m == before:
		case m.count() == 0:
			empty = append(empty, key)
		default:
			changed = append(changed, wordRow{key.part, key.word, int64(key.scope), m.packed()})
		}
	}
	for _, key := range empty {
		if err := tx.exec("DELETE FROM search_words WHERE part = ? AND word = ? AND scope = ?", key.part, key.word, key.scope); err != nil {
			return err
		}
	}
	slices.SortFunc(changed, func(a, b wordRow) int {
		if a.Part != b.Part {
			return int(a.Part - b.Part)
		}
		if n := strings.Compare(a.Word, b.Word); n != 0 {
			return n
		}
		return int(a.Scope - b.Scope)
	})
	return insert(tx, &changed, clause.OnConflict{
		Columns:   []clause.Column{{Name: "part"}, {Name: "word"}, {Name: "scope"}},
		DoUpdates: clause.AssignmentColumns([]string{"tickets"}),
	})
}
