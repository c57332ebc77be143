package storetest

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
)

// Fill writes so many tickets to an empty database whose schema is there, past
// the store and as fast as it goes: a desk that has run for years. Nine of ten
// tickets are closed, and each has three entries, three events, a mail that
// came in and one that went out. The same number gives the same database, but
// for its chains of events, which do not verify. What a search finds is not
// indexed yet.
//
// now is when the last ticket was opened.
func Fill(t testing.TB, url string, tickets int, now time.Time) {
	t.Helper()
	ctx := t.Context()
	w, err := fillInto(ctx, url)
	if err != nil {
		t.Fatalf("open %s to fill it: %v", url, err)
	}
	defer w.close()
	f := &filling{r: rand.New(rand.NewPCG(1, uint64(tickets))), tickets: tickets, now: now}
	f.words = rand.NewZipf(f.r, 1.07, 2, Vocabulary-1)
	f.people = rand.NewZipf(f.r, 1.05, 20, 20000-1)
	for from := 0; from < tickets; from += 5000 {
		rows := f.rows(from, min(tickets, from+5000))
		for _, table := range filled() {
			if err := w.write(ctx, table, rows[table.name]); err != nil {
				t.Fatalf("fill %s: %v", table.name, err)
			}
		}
	}
	if err := w.end(ctx, firstNumber+int64(tickets)-1); err != nil {
		t.Fatalf("fill %s: %v", url, err)
	}
}

const firstNumber = 1001

// Vocabulary is how many words there are in what Fill writes; Word gives them,
// the most frequent first.
const Vocabulary = 300000

// Word gives the n-th word.
func Word(n int) string {
	common := strings.Fields("the is not printer my to vpn and password please in it mail server of a on for with cannot again login since error outlook screen laptop network access " +
		"down slow connect work open account file print paper toner drive shared monitor phone install update windows teams excel meeting room cable dock wifi reset locked expired new user")
	if n < len(common) {
		return common[n]
	}
	// Syllables, as a number in base 60.
	var b strings.Builder
	for n += 60; n > 0; n /= 60 {
		b.WriteByte("bdfgklmnprst"[n%12])
		b.WriteByte("aeiou"[n/12%5])
	}
	return b.String()
}

// table is one that is filled.
type table struct {
	name, columns string
}

func filled() []table {
	return []table{
		{"tickets", "number mailbox subject requester requester_name status priority team assignee tags reasons secret chain_head events entries created_at updated_at first_response_at resolved_at closed_at due_at answered_at"},
		{"intakes", "mailbox validity uid sha256 content_key message_id sender subject size arrived_at seen_at decided_at filed_at fetches failures handling last_error fate reason ticket file kind why"},
		{"entries", "ticket seq kind visibility author author_name verified body full_body attachments blocks flags intake message_id at"},
		{"events", "chain ticket seq at actor what value_before value_after reason intake salt commitment previous hash"},
		{"participants", "ticket addr name how at"},
		{"outbox", "key mail ticket intake recipient sender message_id kind subject automatic size state attempts cuts due_at give_up_at created_at sent_at lease_owner lease_session lease_until answer"},
	}
}

// filling makes the rows.
type filling struct {
	r             *rand.Rand
	words, people *rand.Zipf
	tickets       int
	now           time.Time
}

func (f *filling) text(least, most int) string {
	var b strings.Builder
	for i := range least + f.r.IntN(most-least+1) {
		if i > 0 {
			b.WriteByte(" \n"[min(1, i%12/11)])
		}
		b.WriteString(Word(int(f.words.Uint64())))
	}
	return b.String()
}

// Person gives the address and the name of the n-th of the people.
func Person(n int) (addr, name string) {
	first, last := Word(100+n%700), Word(900+n/7)
	return first + "." + last + "@example.org", strings.ToUpper(first[:1]) + first[1:] + " " + strings.ToUpper(last[:1]) + last[1:]
}

func (f *filling) rows(from, to int) map[string][][]any {
	rows := map[string][][]any{}
	add := func(name string, values ...any) { rows[name] = append(rows[name], values) }
	teams := []string{"Helpdesk", "Helpdesk", "Helpdesk", "Network Team", "Desktop Support", "Desktop Support", "System Administrator"}
	priorities := []string{"low", "low", "medium", "medium", "medium", "medium", "high", "high", "critical"}
	hash := make([]byte, 32)
	for i := from; i < to; i++ {
		n := firstNumber + int64(i)
		age := time.Duration(f.tickets-1-i) * 3 * time.Minute
		at := func(later time.Duration) int64 { return min(f.now.Add(-age).Add(later).UnixMicro(), f.now.UnixMicro()) }
		addr, name := Person(int(f.people.Uint64()))
		team := f.r.IntN(len(teams))
		technician := fmt.Sprintf("tech%d@desk.example.org", team*8+f.r.IntN(8))
		assignee := technician
		var responded, resolved, closed any
		status := "closed"
		// What is open is mostly new.
		switch p := f.r.Float64(); {
		case p < 0.02 || p < 0.5 && f.tickets-i < f.tickets/50:
			status, assignee = "open", ""
		case p < 0.05 || p < 0.7 && f.tickets-i < f.tickets/50:
			status, responded = []string{"in_progress", "waiting"}[f.r.IntN(2)], at(20*time.Minute)
		case p < 0.1:
			status, responded, resolved = "resolved", at(20*time.Minute), at(5*time.Hour)
		default:
			responded, resolved, closed = at(20*time.Minute), at(5*time.Hour), at(7*24*time.Hour)
		}
		subject, mail := f.text(3, 9), fmt.Sprintf("mail-%d@example.org", n)
		f.fillSecret(hash)
		add("tickets", n, "support@example.org", subject, addr, name, status, priorities[f.r.IntN(len(priorities))], teams[team], assignee,
			"[]", `["“vpn” in the subject → high, Network Team"]`, clone(hash[:16]), clone(hash), 3, 3, at(0), at(5*time.Hour), responded, resolved, closed, nil, at(time.Hour))
		add("intakes", "support@example.org", 1, i+1, clone(hash), clone(hash), mail, addr, subject, 4000+f.r.IntN(9000), at(0), at(0), at(0), at(time.Second), 1, 0,
			"", "", "new_ticket", "vpn in the subject", n, "done", "person", `{"match":"none","sender":{"authenticated":true}}`)
		intake := int64(i + 1)
		for seq := int64(1); seq <= 3; seq++ {
			kind, visibility, author, authorName, files, body := "message", "public", addr, name, "[]", f.text(20, 80)
			if seq > 1 && f.r.IntN(3) > 0 {
				author, authorName = technician, "Technician"
				if f.r.IntN(2) == 0 {
					kind, visibility = "note", "internal"
				}
			}
			if f.r.IntN(10) == 0 {
				files = fmt.Sprintf(`[{"part":"2","name":"Screenshot %d.png","type":"image/png","size":120000}]`, n)
			}
			if f.r.IntN(10) == 0 {
				body += fmt.Sprintf("\nHost pc-%05d.office.example.net, serial SN%08d", f.r.IntN(30000), f.r.IntN(1e8))
			}
			add("entries", n, seq, kind, visibility, author, authorName, 1, body, body, files, "[]", "[]", intake, fmt.Sprint(seq, "-", mail), at(time.Duration(seq)*20*time.Minute))
			f.fillSecret(hash)
			add("events", n, n, seq, at(time.Duration(seq)*20*time.Minute), author, "status", "open", "in_progress", "", intake, clone(hash[:16]), clone(hash), clone(hash), clone(hash))
		}
		for range f.r.IntN(2) {
			addr, name := Person(int(f.people.Uint64()))
			add("participants", n, addr, name, "cc", at(0))
		}
		add("outbox", fmt.Sprint("intake:", intake, "/acknowledge/", addr), "body", n, intake, addr, "support@example.org", "ack-"+mail, "acknowledgement", subject, 1, 1200,
			"sent", 1, 0, nil, nil, at(0), at(time.Second), "", "", nil, "250 ok")
	}
	return rows
}

func (f *filling) fillSecret(b []byte) {
	for i := range b {
		b[i] = byte(f.r.Uint32())
	}
}

func clone(b []byte) []byte { return append([]byte{}, b...) }

// into is a database that is being filled.
type into interface {
	write(ctx context.Context, t table, rows [][]any) error
	end(ctx context.Context, last int64) error
	close()
}

func fillInto(ctx context.Context, url string) (into, error) {
	name := "sqlite"
	if strings.Contains(url, "://") {
		name = "pgx"
	}
	db, err := sql.Open(name, url)
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil, err
	}
	begin := []string{"PRAGMA synchronous = OFF", "PRAGMA cache_size = -262144", "INSERT INTO outbox_bodies (mail, size, body) VALUES ('body', 0, X'')"}
	if name == "pgx" {
		// The rows fit together: no key is looked up.
		begin = []string{"SET session_replication_role = replica", "SET synchronous_commit = off", "INSERT INTO outbox_bodies (mail, size, body) VALUES ('body', 0, '')"}
	}
	w := filler{db, conn}
	for _, q := range begin {
		if _, err := conn.ExecContext(ctx, q); err != nil {
			w.close()
			return nil, err
		}
	}
	if name == "pgx" {
		return &postgresFiller{w}, nil
	}
	return &sqliteFiller{w}, nil
}

type filler struct {
	db   *sql.DB
	conn *sql.Conn
}

func (f *filler) close() {
	f.conn.Close()
	f.db.Close()
}

type sqliteFiller struct{ filler }

func (f *sqliteFiller) write(ctx context.Context, t table, rows [][]any) error {
	tx, err := f.conn.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	columns := strings.Fields(t.columns)
	insert, err := tx.PrepareContext(ctx, "INSERT INTO "+t.name+" ("+strings.Join(columns, ", ")+") VALUES (?"+strings.Repeat(", ?", len(columns)-1)+")")
	if err != nil {
		return err
	}
	defer insert.Close()
	for _, row := range rows {
		if _, err := insert.ExecContext(ctx, row...); err != nil {
			return err
		}
	}
	return tx.Commit()
}

func (f *sqliteFiller) end(ctx context.Context, last int64) error {
	if _, err := f.conn.ExecContext(ctx, "UPDATE sqlite_sequence SET seq = ? WHERE name = 'tickets'", last); err != nil {
		return err
	}
	if _, err := f.conn.ExecContext(ctx, "UPDATE facts SET value = CAST(CAST(? AS TEXT) AS BLOB) WHERE name = 'search'", last+1); err != nil {
		return err
	}
	_, err := f.conn.ExecContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)")
	return err
}

type postgresFiller struct{ filler }

func (f *postgresFiller) write(ctx context.Context, t table, rows [][]any) error {
	return f.conn.Raw(func(c any) error {
		_, err := c.(*stdlib.Conn).Conn().CopyFrom(ctx, pgx.Identifier{t.name}, strings.Fields(t.columns), pgx.CopyFromRows(rows))
		return err
	})
}

func (f *postgresFiller) end(ctx context.Context, last int64) error {
	if _, err := f.conn.ExecContext(ctx, "SELECT setval('ticket_numbers', $1)", last); err != nil {
		return err
	}
	if _, err := f.conn.ExecContext(ctx, "UPDATE facts SET value = convert_to($1, 'UTF8') WHERE name = 'search'", fmt.Sprint(last+1)); err != nil {
		return err
	}
	_, err := f.conn.ExecContext(ctx, "VACUUM ANALYZE")
	return err
}
