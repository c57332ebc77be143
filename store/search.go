package store

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"math/bits"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"gorm.io/gorm"

	"deskd/triage/ticket"
)

// SearchFilter says what is searched for.
type SearchFilter struct {
	// Words must all stand in a ticket: in its subject, a message or a work
	// note, in names, addresses or names of attachments. Case and accents do
	// not count. A word with a star behind it is a beginning, and so is the
	// last one when it has three letters; in quotes it is neither.
	Words string
	// Involved, if not empty, are the addresses of somebody who asks: only their
	// own tickets are found then, and never by what stands in a work note.
	Involved []string
	Before   ticket.Number // only numbers below: the last one of the page before
	Limit    int           // at most 500; 0 means 50
}

// Found is what a search gave.
type Found struct {
	Hits []Hit         // the newest number first
	Next ticket.Number // what Before is for the page after it; 0: there is none
	Cut  bool          // the search ended before the page was full, so as not to take too long
	// Partial says that some tickets may be missing in between: very many words
	// begin so, or more was written lately than is looked through.
	Partial bool
	None    bool // nothing was searched for
	// Unread, if not 0, is the number below which tickets are found only in
	// part, since they were there before there was a search.
	Unread ticket.Number
}

// Hit is a ticket that was found.
type Hit struct {
	Ticket  Ticket
	Entry   int64 // the entry that the excerpt is of; 0: none, what was found stands elsewhere
	Note    bool  // that is a work note
	Excerpt []Piece
}

// Piece is a part of an excerpt.
type Piece struct {
	Text   string
	Marked bool // it was searched for
}

// Bounds of one search.
const (
	firstParts = 2     // of the numbers, that are looked into at once
	mostParts  = 512   // likewise
	mostRows   = 30000 // of the index that are read
	mostFresh  = 5000  // rows that are not in the index yet
	freshBytes = 8 << 20
	mostOwn    = 20000 // tickets of one person
)

// Search finds tickets by their words, the newest number first.
func (s *Store) Search(ctx context.Context, f SearchFilter) (Found, error) {
	var found Found
	err := s.snapshot(ctx, s.limits.read, func(ctx context.Context, db *gorm.DB) error {
		var err error
		found, err = search(ctx, db, s.dialect, f)
		return err
	})
	if err != nil {
		return Found{}, fmt.Errorf("search tickets: %w", err)
	}
	return found, nil
}

// Search finds tickets by their words as this transaction sees them.
func (tx *Tx) Search(f SearchFilter) (Found, error) {
	if err := tx.flush(); err != nil {
		return Found{}, err
	}
	found, err := search(tx.ctx, tx.db, tx.s.dialect, f)
	if err != nil {
		return Found{}, fmt.Errorf("search tickets: %w", tx.noted(err))
	}
	return found, nil
}

func search(ctx context.Context, db *gorm.DB, d dialect, f SearchFilter) (Found, error) {
	q := &seeker{ctx: ctx, db: db, dialect: d, terms: terms(f.Words), scope: scopeInternal, left: mostRows}
	if len(q.terms) == 0 {
		return Found{None: true}, nil
	}
	for _, addr := range f.Involved {
		q.involved, q.scope = append(q.involved, shorten(clean(addr))), scopePublic
	}
	found, numbers, err := q.numbers(f.Before, limited(f.Limit))
	found.Partial = q.partial
	if err != nil || len(numbers) == 0 {
		return found, err
	}
	found.Hits, err = q.hits(numbers)
	return found, err
}

// seeker is one search on its way.
type seeker struct {
	ctx      context.Context
	db       *gorm.DB
	dialect  dialect
	terms    []term
	involved []string
	scope    int
	fresh    []freshHit
	left     int            // rows that may still be read
	partial  bool           // something was left out
	common   map[string]int // how many tickets of the newest parts have each word; nil: not counted yet
}

// numbers gives the numbers of a page.
func (q *seeker) numbers(before ticket.Number, limit int) (found Found, numbers []int64, err error) {
	var ends [2]int64
	newest, err := rowsFor[int64](q.ctx, q.db, "SELECT number FROM tickets ORDER BY number DESC LIMIT 1")
	if err != nil || len(newest) == 0 {
		return found, nil, err
	}
	oldest, err := rowsFor[int64](q.ctx, q.db, "SELECT number FROM tickets ORDER BY number LIMIT 1")
	if err != nil || len(oldest) == 0 {
		return found, nil, err
	}
	ends = [2]int64{oldest[0], newest[0]}
	if before > 0 {
		ends[1] = min(ends[1], int64(before)-1)
	}
	below, err := rowsFor[factRow](q.ctx, q.db, "SELECT * FROM facts WHERE name = ?", short("search"))
	if err != nil {
		return found, nil, err
	}
	if n := readBelow(below); n > oldest[0] {
		found.Unread = ticket.Number(n)
	}
	if err := q.readFresh(); err != nil {
		return found, nil, err
	}
	first, last := ends[0]>>partBits, ends[1]>>partBits
	for size := int64(firstParts); last >= first && ends[1] >= ends[0]; size = min(4*size, mostParts) {
		low := max(first, last-size+1)
		parts, floor, err := q.parts(low, last, ends)
		if err != nil {
			return found, nil, err
		}
		for part := last; part >= low; part-- {
			m := parts[part]
			if m == nil {
				continue
			}
			for w := len(m) - 1; w >= 0; w-- {
				for word := m[w]; word != 0; {
					bit := 63 - bits.LeadingZeros64(word)
					word &^= 1 << bit
					n := part<<partBits | int64(w*64+bit)
					if n > ends[1] || n < max(ends[0], floor) {
						continue
					}
					if len(numbers) == limit {
						found.Next = ticket.Number(numbers[limit-1])
						return found, numbers, nil
					}
					numbers = append(numbers, n)
				}
			}
		}
		if floor > ends[0] || q.left <= 0 && low > first {
			found.Cut, found.Next = true, ticket.Number(max(floor, low<<partBits))
			return found, numbers, nil
		}
		last = low - 1
	}
	return found, numbers, nil
}

// parts finds the tickets with all words within some parts of the numbers.
// floor, if not 0, is the number from which on that is complete.
func (q *seeker) parts(low, high int64, ends [2]int64) (sets map[int64]*members, floor int64, err error) {
	if len(q.involved) > 0 {
		sets, floor, err = q.own(max(ends[0], low<<partBits), min(ends[1], (high+1)<<partBits-1))
		if err != nil || len(sets) == 0 {
			return nil, floor, err
		}
	}
	// Whole words first: there are fewer rows of them. Of these the ones first
	// that few tickets have, as far as the newest parts tell: where these have
	// none, nothing else is read.
	order := slices.Clone(q.terms)
	slices.SortStableFunc(order, func(a, b term) int {
		switch {
		case a.beginning == b.beginning:
			return cmp.Compare(q.common[a.text], q.common[b.text])
		case b.beginning:
			return -1
		}
		return 1
	})
	counting := q.common == nil
	if counting {
		q.common = make(map[string]int, len(order))
	}
	for i, t := range order {
		var in []int64
		for p := low; p <= high; p++ {
			if sets == nil || sets[p] != nil || counting {
				in = append(in, p)
			}
		}
		has, done, err := q.with(t, in)
		if err != nil {
			return nil, 0, err
		}
		floor = max(floor, done)
		for _, m := range has {
			if counting {
				q.common[t.text] += m.count()
			}
		}
		if i == 0 && sets == nil {
			sets = has
			continue
		}
		for p, m := range sets {
			if has[p] == nil || !m.and(has[p]) {
				delete(sets, p)
			}
		}
	}
	return sets, floor, nil
}

// with finds the tickets that have one word. floor is as for parts.
func (q *seeker) with(t term, parts []int64) (has map[int64]*members, floor int64, err error) {
	has = make(map[int64]*members, len(parts))
	if t.beginning {
		floor, err = q.beginning(t, parts, has)
	} else {
		for chunk := range slices.Chunk(parts, batchRows) {
			if _, err = q.places("SELECT part, tickets FROM search_words WHERE part IN ? AND word = ? AND scope <= ?", has, padded(chunk), t.text, q.scope); err != nil {
				break
			}
		}
	}
	if err != nil {
		return nil, 0, err
	}
	place := slices.Index(q.terms, t)
	for _, r := range q.fresh {
		if part := r.Ticket >> partBits; len(parts) > 0 && part >= parts[0] && part <= parts[len(parts)-1] && r.Terms&(1<<place) != 0 {
			if has[part] == nil {
				has[part] = &members{}
			}
			has[part].put(int(r.Ticket % partSize))
		}
	}
	return has, floor, nil
}

// freshHit says which of the terms stand in a row of search_fresh: the first of
// them is the lowest bit.
type freshHit struct{ Ticket, Terms int64 }

// readFresh looks through what is not in the index yet, the newest rows first.
// The database does it: what does not match is not read into memory.
func (q *seeker) readFresh() error {
	sizes, err := rowsFor[freshSize](q.ctx, q.db, "SELECT id, octet_length(words) AS size FROM search_fresh WHERE scope <= ? ORDER BY id DESC LIMIT ?", q.scope, mostFresh+1)
	if err != nil || len(sizes) == 0 {
		return err
	}
	n := within(sizes[:min(len(sizes), mostFresh)], freshBytes)
	q.partial = q.partial || n < len(sizes)
	least := sizes[n-1].ID
	var terms []string
	var args []any
	for i, t := range q.terms {
		has := fmt.Sprintf("CASE WHEN %s > 0 THEN %d ELSE 0 END", q.dialect.position("words"), 1<<i)
		terms, args = append(terms, has), append(args, t.inWords())
	}
	sum := strings.Join(terms, " + ")
	q.fresh, err = rowsFor[freshHit](q.ctx, q.db, "SELECT ticket, terms FROM (SELECT ticket, "+sum+" AS terms FROM search_fresh WHERE id >= ? AND scope <= ?) AS candidates "+
		"WHERE terms > 0", append(args, least, q.scope)...)
	return err
}

type freshSize struct{ ID, Size int64 }

// within is how many of these rows, from the first on, have no more than so
// many bytes together; at least one, if there is any.
func within(sizes []freshSize, most int64) int {
	for i, r := range sizes {
		if most -= r.Size; most < 0 && i > 0 {
			return i
		}
	}
	return len(sizes)
}

// places adds what rows of the index have to the sets of their parts, and gives
// how many rows there were. They may be thousands, so that each is read without
// what gorm does for a row.
func (q *seeker) places(query string, has map[int64]*members, args ...any) (n int, err error) {
	rows, err := q.db.WithContext(q.ctx).Raw(query, args...).Rows()
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	var part int64
	var tickets sql.RawBytes
	for rows.Next() {
		if err := rows.Scan(&part, &tickets); err != nil {
			return n, err
		}
		if has[part] == nil {
			has[part] = &members{}
		}
		has[part].unpackInto(tickets)
		n++
	}
	q.left -= n
	return n, rows.Err()
}

// padded makes a list as long as a power of two, with its last value again and
// again: so there are few statements, which a database has prepared already.
func padded(list []int64) []int64 {
	n := len(list)
	if n <= 2 {
		return list
	}
	return append(slices.Clip(list), slices.Repeat(list[n-1:], 1<<bits.Len(uint(n-1))-n)...)
}

// How many parts are looked into for a beginning at once: a few at first, since
// many words may begin so, and twice as many each time while these have few rows.
const (
	firstAtOnce = 8
	mostAtOnce  = 128
	fewRows     = 2000
)

// beginning goes through the parts from the newest on for as long as it may.
func (q *seeker) beginning(t term, parts []int64, has map[int64]*members) (floor int64, err error) {
	look := func(parts []int64) (n int, err error) {
		return q.places("SELECT part, tickets FROM search_words WHERE part IN ? AND word >= ? AND word < ? AND scope <= ? LIMIT ?",
			has, padded(parts), t.text, t.text+string(utf8.MaxRune), q.scope, mostRows)
	}
	for size := firstAtOnce; len(parts) > 0; {
		from := max(0, len(parts)-size)
		n, err := look(parts[from:])
		for i := len(parts) - 1; err == nil && n == mostRows && i >= from; i-- {
			// Together they have too many. Of each by itself these have to do.
			var each int
			each, err = look(parts[i : i+1])
			q.partial = q.partial || each == mostRows
		}
		if err != nil {
			return 0, err
		}
		if parts = parts[:from]; q.left <= 0 && len(parts) > 0 {
			return (parts[len(parts)-1] + 1) << partBits, nil
		}
		if n < fewRows {
			size = min(2*size, mostAtOnce)
		}
	}
	return 0, nil
}

// own finds the tickets that somebody is requester or participant of.
func (q *seeker) own(low, high int64) (sets map[int64]*members, floor int64, err error) {
	sets = map[int64]*members{}
	take := func(numbers []int64, err error) error {
		for _, n := range numbers {
			if sets[n>>partBits] == nil {
				sets[n>>partBits] = &members{}
			}
			sets[n>>partBits].put(int(n % partSize))
		}
		if len(numbers) == mostOwn {
			floor = max(floor, numbers[mostOwn-1])
		}
		return err
	}
	for _, addr := range q.involved {
		if err := take(rowsFor[int64](q.ctx, q.db, "SELECT number FROM tickets WHERE requester = ? AND number >= ? AND number <= ? ORDER BY number DESC LIMIT ?",
			short(addr), low, high, mostOwn)); err != nil {
			return nil, 0, err
		}
		if err := take(rowsFor[int64](q.ctx, q.db, "SELECT ticket FROM participants WHERE addr = ? AND ticket >= ? AND ticket <= ? ORDER BY ticket DESC LIMIT ?",
			short(addr), low, high, mostOwn)); err != nil {
			return nil, 0, err
		}
	}
	return sets, floor, nil
}

// Bounds of an excerpt.
const (
	lookedThrough = 10   // entries of a ticket, the first ones
	lookedInto    = 2000 // letters of each
	excerptBefore = 60   // letters before what was found
	excerptAfter  = 140  // and from there on
)

// hits reads the tickets with these numbers, and where the words stand.
func (q *seeker) hits(numbers []int64) ([]Hit, error) {
	rows, err := rowsFor[ticketRow](q.ctx, q.db, "SELECT * FROM tickets WHERE number IN ?", numbers)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(rows, func(a, b ticketRow) int { return cmp.Compare(b.Number, a.Number) })
	type part struct {
		ID, Ticket, Seq  int64
		Visibility, Body text
	}
	// The texts of a long ticket are many: its first ones have to do. The full
	// text is looked at where the own words have nothing.
	entries, err := rowsFor[part](q.ctx, q.db, "SELECT id, ticket, seq, visibility, substr(body, 1, ?) AS body FROM entries WHERE ticket IN ? AND seq <= ?",
		lookedInto, numbers, lookedThrough)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(entries, func(a, b part) int { return cmp.Compare(a.Seq, b.Seq) })
	hits := make([]Hit, len(rows))
	at := make(map[int64]int, len(rows))
	for i := range rows {
		hits[i].Ticket = rows[i].ticket()
		at[rows[i].Number] = i
	}
	best := make([]int, len(rows))
	for _, e := range entries {
		i, known := at[e.Ticket]
		note := scopeOf(string(e.Visibility)) == scopeInternal
		if !known || note && q.scope == scopePublic {
			continue
		}
		if pieces, n := excerpt(string(e.Body), q.terms); n > best[i] {
			best[i] = n
			hits[i].Entry, hits[i].Note, hits[i].Excerpt = e.ID, note, pieces
		}
	}
	return hits, nil
}

// excerpt is the part of a text around the first of the words that are
// searched for, with these marked, and how many of them it has. None: 0.
func excerpt(text string, list []term) (pieces []Piece, has int) {
	// Letter by letter, so that what is marked can be told from what was
	// folded.
	var fold strings.Builder
	var runes []rune
	var place []int // for each byte of the folded text, the letter it came from
	for _, r := range text {
		if unicode.IsSpace(r) || unicode.IsControl(r) {
			r = ' '
			if n := len(runes); n == 0 || runes[n-1] == ' ' {
				continue
			}
		}
		f := ""
		if r < utf8.RuneSelf {
			f = string(unicode.ToLower(r))
		} else {
			f = folded(string(r))
		}
		fold.WriteString(f)
		for range len(f) {
			place = append(place, len(runes))
		}
		runes = append(runes, r)
	}
	type span struct{ from, to int } // letters
	var marks []span
	met := make(map[int]bool, len(list))
	units(fold.String(), func(t unit) {
		for i, want := range list {
			if !want.matches(t.text) {
				continue
			}
			met[i] = true
			to := t.to
			if want.beginning && t.kind == denseUnit { // one letter was asked for
				_, size := utf8.DecodeRuneInString(t.text)
				to = t.from + size
			}
			marks = append(marks, span{place[t.from], place[to-1] + 1})
		}
	})
	if len(marks) == 0 {
		return nil, 0
	}
	slices.SortFunc(marks, func(a, b span) int { return cmp.Compare(a.from, b.from) })
	from, to := max(0, marks[0].from-excerptBefore), min(len(runes), marks[0].from+excerptAfter)
	for from > 0 && from < marks[0].from && runes[from-1] != ' ' && marks[0].from-from > excerptBefore/2 { // begin with a whole word
		from++
	}
	for to < len(runes) && to > marks[0].to && runes[to] != ' ' && to-marks[0].from > excerptAfter-20 {
		to--
	}
	add := func(a, b int, marked bool) {
		switch last := len(pieces) - 1; {
		case a >= b:
		case last >= 0 && marked && pieces[last].Marked:
			pieces[last].Text += string(runes[a:b])
		default:
			pieces = append(pieces, Piece{string(runes[a:b]), marked})
		}
	}
	if from > 0 {
		pieces = append(pieces, Piece{"… ", false})
	}
	done := from
	for _, m := range marks {
		if m.from >= to {
			break
		}
		add(done, max(done, m.from), false)
		add(max(done, m.from), min(m.to, to), true)
		done = max(done, min(m.to, to))
	}
	add(done, to, false)
	if to < len(runes) {
		pieces = append(pieces, Piece{" …", false})
	}
	return pieces, len(met)
}
