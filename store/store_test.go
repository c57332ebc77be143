package store

import (
	"bytes"
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"deskd/store/storetest"
	"deskd/triage/ticket"
)

func TestF22_SettingsThatDurabilityRestsOnAreInForce(t *testing.T) {
	t.Parallel()
	t.Run("sqlite", func(t *testing.T) {
		s := open(t, storetest.SQLite(t))
		var version string
		if err := s.writing.QueryRow("SELECT sqlite_version()").Scan(&version); err != nil || older(version, "3.54") {
			t.Errorf("sqlite_version() = %s, %v, want 3.54 or newer: are the pins in go.mod?", version, err)
		}
		for pragma, want := range map[string]string{
			"journal_mode": "wal", "synchronous": "2", "foreign_keys": "1", "busy_timeout": "5000", "secure_delete": "1",
		} {
			var got string
			if err := s.writing.QueryRow("PRAGMA " + pragma).Scan(&got); err != nil || got != want {
				t.Errorf("writing: %s = %s, %v, want %s", pragma, got, err, want)
			}
		}
		for pragma, want := range map[string]string{"journal_mode": "wal", "query_only": "1", "foreign_keys": "1", "busy_timeout": "5000"} {
			var got string
			if err := s.reading.QueryRow("PRAGMA " + pragma).Scan(&got); err != nil || got != want {
				t.Errorf("reading: %s = %s, %v, want %s", pragma, got, err, want)
			}
		}
		if _, err := s.reading.Exec("DELETE FROM tickets"); err == nil {
			t.Error("the reading pool writes")
		}
	})
	t.Run("postgres", func(t *testing.T) {
		url := storetest.PostgreSQL(t)
		s := open(t, url)
		// A database set to lose commits does not get its way.
		if _, err := s.writing.Exec("DO $$ BEGIN EXECUTE 'ALTER DATABASE ' || current_database() || ' SET synchronous_commit = off'; END $$"); err != nil {
			t.Fatal(err)
		}
		s2 := open(t, url)
		for range 3 {
			var got string
			if err := s2.writing.QueryRow("SHOW synchronous_commit").Scan(&got); err != nil || got != "on" {
				t.Errorf("synchronous_commit = %s, %v, want on", got, err)
			}
		}
		if _, err := s2.reading.Exec("DELETE FROM tickets"); sqlState(err) != "25006" {
			t.Errorf("the reading pool writes: %v", err)
		}
	})
}

func TestF22_StartIsRefusedOtherwise(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ statement, setting string }{
		{"PRAGMA synchronous = NORMAL", "synchronous"},
		{"PRAGMA foreign_keys = 0", "foreign_keys"},
		{"PRAGMA synchronous = FULL", ""},
		{"SET synchronous_commit = off", "synchronous_commit"},
		{"SET synchronous_commit = local", "synchronous_commit"},
		{"SET synchronous_commit = remote_write", "synchronous_commit"},
		{"SET synchronous_commit = remote_apply", ""},
		{"SET synchronous_commit = on", ""},
	} {
		t.Run(c.statement, func(t *testing.T) {
			t.Parallel()
			place := storetest.SQLite
			if strings.HasPrefix(c.statement, "SET") {
				place = storetest.PostgreSQL
			}
			// The setting changes behind the store's back on each connection.
			s, err := Open(t.Context(), place(t), Options{Key: testKey(), Wrap: storetest.Wrap(storetest.Hooks{Connected: func(conn driver.Conn) error {
				_, err := conn.(driver.ExecerContext).ExecContext(t.Context(), c.statement, nil)
				return err
			}})})
			if err == nil {
				defer s.Close()
			}
			var unsafe *Unsafe
			if refused := errors.As(err, &unsafe); refused != (c.setting != "") || err != nil && !refused {
				t.Errorf("Open = %v, want refused %t", err, c.setting != "")
			} else if refused && unsafe.Setting != c.setting {
				t.Errorf("Open = %v, want *Unsafe about %s", err, c.setting)
			}
		})
	}
	for version, want := range map[string]bool{"3.41.2": true, "3.51.2": true, "3.51.3": false, "3.54.1": false, "4.0": false, "junk": true} {
		if got := older(version, oldestSQLite); got != want {
			t.Errorf("older(%s) = %v, want %v", version, got, want)
		}
	}
}

func TestF23_WritersAndReadersGetNoErrors(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, s *Store) {
		const writers, each = 16, 5
		var wg sync.WaitGroup
		for w := range writers {
			wg.Go(func() {
				for i := range each {
					err := s.Write(t.Context(), func(tx *Tx) error {
						if _, err := tx.TicketsByID([]string{"x"}); err != nil { // reads, then writes
							return err
						}
						return mailWithout(tx, fmt.Sprintf("%d-%d", w, i))
					})
					if err != nil {
						t.Errorf("Write: %v", err)
					}
				}
			})
		}
		for range 4 {
			wg.Go(func() {
				for range 10 {
					if _, err := s.ListTickets(t.Context(), TicketFilter{Live: true}); err != nil {
						t.Errorf("ListTickets: %v", err)
					}
				}
			})
		}
		wg.Wait()
		if got := count(t, s, "SELECT count(*) FROM tickets"); got != writers*each {
			t.Errorf("%d tickets, want %d", got, writers*each)
		}
	})
}

// mailWithout is a new ticket that no intake led to.
func mailWithout(tx *Tx, name string) error {
	n, err := tx.NewTicket(aTicket())
	if err != nil {
		return err
	}
	if err := tx.KnowIDs(n.Number, []string{name}, "in"); err != nil {
		return err
	}
	if err := tx.SawPerson("ann@example.org", "Ann"); err != nil {
		return err
	}
	return tx.AddEvent(Event{Ticket: n.Number, What: "opened"})
}

// sqliteFault is an error as the SQLite driver gives it.
type sqliteFault int

func (e sqliteFault) Error() string { return fmt.Sprintf("fault %d", int(e)) }
func (e sqliteFault) Code() int     { return int(e) }

// TestF28_ASchemaThatIsFurtherIsNoFaultOfTheMail: a daemon that still runs while
// a newer one has changed the tables must put no mail aside for that.
func TestF28_ASchemaThatIsFurtherIsNoFaultOfTheMail(t *testing.T) {
	t.Parallel()
	s := openWith(t, storetest.PostgreSQL(t), Options{})
	for _, change := range []string{"ALTER TABLE blocks RENAME COLUMN proven TO sure", "ALTER TABLE blocks RENAME TO marks"} {
		if _, err := s.writing.Exec(change); err != nil {
			t.Fatal(err)
		}
		err := s.Write(t.Context(), func(tx *Tx) error {
			_, err := tx.Blocked([]string{"ann@example.org"})
			return err
		})
		if err == nil || !World(err) {
			t.Errorf("%s: %v", change, err)
		}
	}
}

func TestF25_TransactionsThatTheDatabaseEndedAreTriedAgain(t *testing.T) {
	t.Parallel()
	state := func(code string) error { return &pgconn.PgError{Severity: "ERROR", Code: code, Message: "injected"} }
	cases := []struct {
		name  string
		fault error
		again bool
	}{
		{"serialization failure", state("40001"), true},
		{"deadlock", state("40P01"), true},
		{"server stops", state("57P01"), true},
		{"server starts", state("57P03"), true},
		{"read-only after fail-over", state("25006"), true},
		{"too many connections", state("53300"), true},
		{"connection failure", state("08006"), true},
		{"busy", sqliteFault(sqliteBusy), true},
		{"busy snapshot", sqliteFault(sqliteBusy | 2<<8), true},
		{"locked", sqliteFault(sqliteLocked), true},
		{"connection gone", io.ErrUnexpectedEOF, true},
		{"disk full", sqliteFault(sqliteFull), false},
		{"disk full in PostgreSQL", state("53100"), false},
		{"value too long", state("22001"), false},
		{"constraint", sqliteFault(787), false},
	}
	both := func(t *testing.T, url string) {
		for _, c := range cases {
			t.Run(c.name, func(t *testing.T) {
				var armed atomic.Int32
				s := openWith(t, url, Options{Wrap: storetest.Wrap(storetest.Hooks{Before: func(op storetest.Op, query string, _ []driver.NamedValue) error {
					if strings.HasPrefix(query, "INSERT INTO") && armed.Add(-1) >= 0 {
						return c.fault
					}
					return nil
				}})})
				armed.Store(2)
				runs := 0
				err := s.Write(t.Context(), func(tx *Tx) error {
					runs++
					_, err := tx.NewTicket(aTicket())
					return err
				})
				if c.again && (err != nil || runs != 3) {
					t.Errorf("Write = %v after %d runs, want nil after 3", err, runs)
				}
				if !c.again && (!errors.Is(err, c.fault) || runs != 1) {
					t.Errorf("Write = %v after %d runs, want the fault after 1", err, runs)
				}
				if err := s.Close(); err != nil { // the next case opens it again
					t.Error(err)
				}
			})
		}
	}
	t.Run("sqlite", func(t *testing.T) { both(t, storetest.SQLite(t)) })
	t.Run("postgres", func(t *testing.T) { both(t, storetest.PostgreSQL(t)) })
}

func TestF25_WriteGivesUpAfterTenAttempts(t *testing.T) {
	t.Parallel()
	s := open(t, storetest.SQLite(t))
	runs := 0
	err := s.Write(t.Context(), func(*Tx) error { runs++; return sqliteFault(sqliteBusy) })
	if runs != maxAttempts || !World(err) {
		t.Errorf("Write = %v after %d runs, want the world's error after %d", err, runs, maxAttempts)
	}
}

func TestF25_DeadlockInPostgreSQLIsResolved(t *testing.T) {
	t.Parallel()
	s := open(t, storetest.PostgreSQL(t))
	a, b := newTicket(t, s).Number, newTicket(t, s).Number
	var met sync.WaitGroup
	met.Add(2)
	var wg sync.WaitGroup
	var runs atomic.Int32
	lock := func(first, second ticket.Number) {
		once := sync.OnceFunc(func() { met.Done(); met.Wait() })
		err := s.Write(t.Context(), func(tx *Tx) error {
			runs.Add(1)
			if _, err := tx.Ticket(first); err != nil {
				return err
			}
			once()
			other, err := tx.Ticket(second)
			if err == nil {
				other.Subject += "!"
			}
			return err
		})
		if err != nil {
			t.Errorf("Write: %v", err)
		}
	}
	wg.Go(func() { lock(a, b) })
	wg.Go(func() { lock(b, a) })
	wg.Wait()
	if runs.Load() < 3 {
		t.Errorf("%d runs: there was no deadlock", runs.Load())
	}
}

func TestF26_ConnectionLostDuringCommitIsNeverTakenForAnOutcome(t *testing.T) {
	t.Parallel()
	for _, arrived := range []bool{true, false} {
		t.Run(fmt.Sprintf("commit arrived %v", arrived), func(t *testing.T) {
			var armed atomic.Bool
			fault := func(op storetest.Op) error {
				if op == storetest.Commit && armed.Swap(false) {
					return io.ErrUnexpectedEOF
				}
				return nil
			}
			hooks := storetest.Hooks{Before: func(op storetest.Op, _ string, _ []driver.NamedValue) error { return fault(op) }}
			if arrived {
				hooks = storetest.Hooks{After: func(op storetest.Op, _ string) error { return fault(op) }}
			}
			s := openWith(t, storetest.PostgreSQL(t), Options{Wrap: storetest.Wrap(hooks)})
			in := begin(t, s, 1)
			armed.Store(true)
			deliver := func() error {
				return s.Write(t.Context(), func(tx *Tx) error { return mail(tx, in, []byte("raw")) })
			}
			err := deliver()
			var unknown *Unknown
			if !errors.As(err, &unknown) || !World(err) {
				t.Fatalf("Write = %v, want *Unknown of the world", err)
			}
			err = deliver() // as the desk does: it is offered again
			var decided *AlreadyDecided
			if arrived != errors.As(err, &decided) || !arrived && err != nil {
				t.Errorf("second Write = %v", err)
			}
			if got := count(t, s, "SELECT count(*) FROM tickets"); got != 1 {
				t.Errorf("%d tickets, want 1", got)
			}
		})
	}
}

func TestF27_SecondInsertIsNothingAndNotAnError(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, s *Store) {
		n, other := newTicket(t, s).Number, newTicket(t, s).Number
		sum := bytes.Repeat([]byte{1}, 32)
		for range 2 {
			mustWrite(t, s, func(tx *Tx) error {
				for range 2 {
					for _, err := range []error{
						tx.Enqueue(outgoing("k", n, 0, "ann@example.org", "bob@example.org")),
						tx.KnowIDs(n, []string{"id", "id"}, "in"), tx.SawPerson("ann@example.org", ""),
						tx.SawPerson("ann@example.org", "Ann"), tx.AddParticipant(n, "bob@example.org", "Bob", "cc"),
						tx.Link(n, other, "claims"), tx.KeepRaw(sum, []byte("raw")),
					} {
						if err != nil {
							return err
						}
					}
				}
				return nil
			})
		}
		for table, want := range map[string]int{
			"outbox": 2, "outbox_bodies": 1, "message_ids": 1, "people": 1, "participants": 1, "links": 1, "raws": 1,
		} {
			if got := count(t, s, "SELECT count(*) FROM "+table); got != want {
				t.Errorf("%d rows in %s, want %d", got, table, want)
			}
		}
		if err := s.Seen(t.Context(), "m", 1, []uint32{5, 5, 5}); err != nil {
			t.Errorf("Seen with one UID three times: %v", err)
		}
		// An insert that clashes in another way is not swallowed.
		err := s.Write(t.Context(), func(tx *Tx) error {
			return tx.AddEntry(Entry{Ticket: n, Kind: "rumour", Visibility: "public"})
		})
		if err == nil || World(err) {
			t.Errorf("an entry of an unknown kind: %v, want an error of the data", err)
		}
	})
}

func TestF28_NewerSchemaIsRefused(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		s := open(t, url)
		want := count(t, s, "SELECT max(version_id) FROM goose_db_version")
		if _, err := s.writing.Exec("INSERT INTO goose_db_version (version_id, is_applied) VALUES (9000, true)"); err != nil {
			t.Fatal(err)
		}
		s.Close()
		var schema *Schema
		if _, err := Open(t.Context(), url, Options{Key: testKey()}); !errors.As(err, &schema) || schema.Got != 9000 || schema.Want != int64(want) {
			t.Errorf("Open = %v, want *Schema", err)
		}
		if _, err := OpenReader(t.Context(), url, Options{}); !errors.As(err, &schema) {
			t.Errorf("OpenReader = %v, want *Schema", err)
		}
	})
}

func TestF28_InterruptedStepLeavesNothingAndIsRepeated(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		interrupted := 0
		for n := int32(1); ; n += 9 {
			var left atomic.Int32
			left.Store(n)
			s, err := Open(t.Context(), url, Options{Key: testKey(), Wrap: storetest.Wrap(storetest.Hooks{
				Before: func(op storetest.Op, query string, _ []driver.NamedValue) error {
					change := op == storetest.Commit || strings.HasPrefix(query, "CREATE") || strings.HasPrefix(query, "INSERT")
					if change && left.Add(-1) <= 0 {
						return io.ErrUnexpectedEOF
					}
					return nil
				},
			})})
			if err == nil {
				s.Close()
				break
			}
			if interrupted++; interrupted > 50 {
				t.Fatalf("never opened: %v", err)
			}
		}
		if interrupted < 3 {
			t.Errorf("%d starts were interrupted, want several", interrupted)
		}
		open(t, url)
	})
}

func TestF28_FailingStepIsRolledBackWhole(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, s *Store) {
		newTicket(t, s)
		first, err := migrations.ReadFile(s.dialect.folder() + "/00001_start.sql")
		if err != nil {
			t.Fatal(err)
		}
		steps := fstest.MapFS{
			"00001_start.sql": {Data: first},
			"90000_next.sql":  {Data: []byte("-- +goose Up\nCREATE TABLE half (x INTEGER);\nDELETE FROM tickets;\nSELECT nonsense FROM nowhere;\n")},
		}
		if err := migrateWith(t.Context(), s.writing, s.dialect, s.log, steps); err == nil {
			t.Fatal("a broken step went through")
		}
		if got := count(t, s, "SELECT count(*) FROM tickets"); got != 1 {
			t.Errorf("%d tickets after a failed step, want 1", got)
		}
		steps["90000_next.sql"].Data = []byte("-- +goose Up\nCREATE TABLE half (x INTEGER);\n")
		if err := migrateWith(t.Context(), s.writing, s.dialect, s.log, steps); err != nil {
			t.Errorf("the mended step: %v", err)
		}
	})
}

func TestDaemonsThatStartTogetherMigrateOnce(t *testing.T) {
	t.Parallel()
	url := storetest.PostgreSQL(t)
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			s, err := Open(t.Context(), url, Options{Key: testKey()})
			if err != nil {
				t.Errorf("Open: %v", err)
				return
			}
			s.Close()
		})
	}
	wg.Wait()
}

func TestF24_FullDatabaseIsTheWorldsFaultAndPasses(t *testing.T) {
	t.Parallel()
	s := open(t, storetest.SQLite(t))
	var pages int
	if err := s.writing.QueryRow("PRAGMA page_count").Scan(&pages); err != nil {
		t.Fatal(err)
	}
	limit := func(n int) {
		var got int
		if err := s.writing.QueryRow(fmt.Sprintf("PRAGMA max_page_count = %d", n)).Scan(&got); err != nil {
			t.Fatal(err)
		}
	}
	noise := make([]byte, 1<<20)
	for i := range noise {
		noise[i] = byte(i * i >> 3)
	}
	in := begin(t, s, 1)
	limit(pages)
	write := func() error {
		return s.Write(t.Context(), func(tx *Tx) error {
			err := tx.Try(func(tx *Tx) error {
				if err := mail(tx, in, noise); err != nil {
					return err
				}
				return tx.Enqueue(Outgoing{Key: "big", Recipients: []string{"a@b"}, Body: noise})
			})
			if err != nil && !World(err) {
				t.Errorf("Try = %v, want an error of the world", err)
			}
			// What a careless caller does now must not be committed by itself.
			_ = tx.SawPerson("late@example.org", "")
			return nil
		})
	}
	if err := write(); !World(err) {
		t.Fatalf("Write into a full database = %v, want an error of the world", err)
	}
	if got := count(t, s, "SELECT count(*) FROM people"); got != 0 {
		t.Errorf("%d people were written after the end of the transaction", got)
	}
	limit(1 << 30)
	if err := write(); err != nil {
		t.Errorf("Write after space is back: %v", err)
	}
}

func TestF24_NothingIsWrittenAfterDamage(t *testing.T) {
	t.Parallel()
	for _, op := range []storetest.Op{storetest.Exec, storetest.Commit} {
		var armed atomic.Bool
		s := openWith(t, storetest.SQLite(t), Options{Wrap: storetest.Wrap(storetest.Hooks{Before: func(got storetest.Op, _ string, _ []driver.NamedValue) error {
			if got == op && armed.Swap(false) {
				return sqliteFault(sqliteIOErrSync)
			}
			return nil
		}})})
		armed.Store(true)
		runs := 0
		for range 2 {
			err := s.Write(t.Context(), func(tx *Tx) error {
				runs++
				_, err := tx.NewTicket(aTicket())
				return err
			})
			var damaged *Damaged
			if !errors.As(err, &damaged) || !World(err) {
				t.Errorf("%s: Write = %v, want *Damaged", op, err)
			}
		}
		if runs != 1 {
			t.Errorf("%s: %d transactions were begun, want 1", op, runs)
		}
		if _, err := s.ListTickets(t.Context(), TicketFilter{}); err != nil {
			t.Errorf("%s: reading ends too: %v", op, err)
		}
	}
}

func TestT44_HostileValuesComeBackAsTheyWere(t *testing.T) {
	t.Parallel()
	hostile := []string{
		"'; DROP TABLE tickets; --", `" OR 1=1 --`, "? ?1 $1 :x @name %s \\", "a\x00b", "\xff\xfe", "🖨️ Drücker \u202e", "{{.}}<script>",
		strings.Repeat("ä", 3000), "@id", "$$", "NULL",
	}
	both(t, func(t *testing.T, s *Store) {
		for _, h := range hostile {
			want := clean(h)
			var n ticket.Number
			mustWrite(t, s, func(tx *Tx) error {
				made, err := tx.NewTicket(Ticket{
					Mailbox: h, Subject: h, Requester: h, RequesterName: h, Status: ticket.Open, Priority: ticket.Low, Team: h,
					Assignee: h, Tags: []string{h, ""}, Reasons: []string{h},
				})
				if err != nil {
					return err
				}
				n = made.Number
				for _, err := range []error{
					tx.AddEntry(Entry{
						Ticket: n, Kind: "message", Visibility: "public", Author: h, AuthorName: h, Text: h, FullText: h,
						Attachments: []byte(h), Blocks: []byte(h), Flags: []string{h}, MessageID: h,
					}),
					tx.AddEvent(Event{Ticket: n, Actor: h, What: h, Before: h, After: h, Reason: h}),
					tx.KnowIDs(n, []string{h}, h), tx.SawPerson(h, h), tx.AddParticipant(n, h, h, h), tx.Link(n, 1001, h),
				} {
					if err != nil && n != 1001 {
						return err
					}
				}
				return tx.Enqueue(Outgoing{
					Key: fmt.Sprintf("%d/%.100s", n, h), Ticket: n, Recipients: []string{fmt.Sprintf("%.200s", h)}, From: h, MessageID: h,
					Kind: h, Subject: h, Body: []byte(h),
				})
			})
			mustWrite(t, s, func(tx *Tx) error { // and by UPDATE
				made, err := tx.Ticket(n)
				if err != nil {
					return err
				}
				made.Subject, made.Tags = h+"2", []string{h}
				found, err := tx.TicketsByID([]string{h})
				if err != nil || len(found[h]) != 1 || found[h][0] != n {
					t.Errorf("TicketsByID(%.30q) = %v, %v, want %d", h, found, err, n)
				}
				return err
			})
			d, err := s.Show(t.Context(), n)
			if err != nil {
				t.Fatal(err)
			}
			if d.Ticket.Subject != clean(h+"2") || d.Ticket.Tags[0] != want || d.Ticket.RequesterName != want || d.Ticket.Team != shorten(h) {
				t.Errorf("ticket with %.30q came back as %.100q", h, fmt.Sprint(d.Ticket))
			}
			if e := d.Entries[0]; e.Text != want || e.Author != want || string(e.Attachments) != want || e.Flags[0] != want {
				t.Errorf("entry with %.30q came back as %.100q", h, fmt.Sprint(e))
			}
			if e := d.Events[0]; e.Actor != want || e.Before != want || e.Reason != want {
				t.Errorf("event with %.30q came back as %.100q", h, fmt.Sprint(e))
			}
			if r := d.Outbox[0]; r.From != want || r.Subject != want {
				t.Errorf("outbox row with %.30q came back as %.100q", h, fmt.Sprint(r))
			}
			if err := s.VerifyChain(t.Context(), n); err != nil {
				t.Error(err)
			}
			for _, f := range []TicketFilter{{Team: h}, {Assignee: h}, {Requester: h}} {
				list, err := s.ListTickets(t.Context(), f)
				if err != nil || len(list) != 1 || list[0].Number != n {
					t.Errorf("ListTickets(%.40q) = %d, %v", fmt.Sprint(f), len(list), err)
				}
			}
			if _, err := s.ListIntakes(t.Context(), IntakeFilter{Mailbox: h, Fate: Fate(h)}); err != nil {
				t.Errorf("ListIntakes: %v", err)
			}
			if err := s.Beat(t.Context(), Heartbeat{Name: h, Detail: h}); err != nil {
				t.Errorf("Beat: %v", err)
			}
			if l, err := s.Acquire(t.Context(), h, time.Minute); err != nil || l == nil {
				t.Errorf("Acquire: %v, %v", l, err)
			}
			if err := s.Seen(t.Context(), h, 1, []uint32{uint32(n)}); err != nil {
				t.Errorf("Seen: %v", err)
			}
			rows, err := s.BeginHandling(t.Context(), []MailboxUID{{h, 1, uint32(n)}}, false, false)
			if err != nil || rows[0].ID == 0 {
				t.Errorf("BeginHandling = %v, %v", rows, err)
			}
		}
	})
}

func TestT45_LogHoldsNoValues(t *testing.T) {
	t.Parallel()
	const canary = "canary-7f3a"
	storetest.Each(t, func(t *testing.T, url string) {
		var log bytes.Buffer
		var mu sync.Mutex
		s := openWith(t, url, Options{Log: slog.New(slog.NewJSONHandler(writerFunc(func(p []byte) (int, error) {
			mu.Lock()
			defer mu.Unlock()
			return log.Write(p)
		}), &slog.HandlerOptions{Level: slog.LevelDebug}))})
		in := begin(t, s, 1)
		mustWrite(t, s, func(tx *Tx) error { return mail(tx, in, []byte(canary)) })
		for _, bad := range []func(tx *Tx) error{
			func(tx *Tx) error { return tx.exec("INSERT INTO people (addr, name) VALUES (?, ?)", canary, canary) },
			func(tx *Tx) error {
				return tx.AddEntry(Entry{Ticket: 1001, Kind: canary, Visibility: canary, Text: canary})
			},
			func(tx *Tx) error { return tx.exec("UPDATE tickets SET status = ?", canary) },
		} {
			err := s.Write(t.Context(), bad)
			if err == nil || strings.Contains(err.Error(), canary) {
				t.Errorf("error = %v, want one without values", err)
			}
		}
		if _, err := s.ListTickets(t.Context(), TicketFilter{Team: canary}); err != nil {
			t.Error(err)
		}
		_, _ = Open(t.Context(), "postgres://"+canary+":"+canary+"@[bad", Options{Key: testKey()})
		mu.Lock()
		defer mu.Unlock()
		if strings.Contains(log.String(), canary) {
			t.Errorf("the log holds a value: %s", log.String())
		}
		if !strings.Contains(log.String(), "INSERT INTO") {
			t.Error("the log at debug level shows no statements: the test proves nothing")
		}
	})
	if _, err := Open(t.Context(), "postgres://u:"+canary+"@[bad", Options{Key: testKey()}); err == nil || strings.Contains(err.Error(), canary) {
		t.Errorf("Open = %v, want an error without the password", err)
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

func TestT51_FilesAreTheOwnersOnly(t *testing.T) {
	t.Parallel()
	url := storetest.SQLite(t)
	s := open(t, url)
	newTicket(t, s)
	check := func() {
		t.Helper()
		for _, suffix := range []string{"", "-wal", "-shm", ".lock"} {
			info, err := os.Stat(url + suffix)
			if err != nil {
				t.Error(err)
			} else if info.Mode().Perm() != 0o600 {
				t.Errorf("%s has mode %o, want 600", filepath.Base(url+suffix), info.Mode().Perm())
			}
		}
	}
	check()
	if info, err := os.Stat(filepath.Dir(url)); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the folder: %v, %v, want mode 700", info.Mode(), err)
	}
	// Files that somebody opened up are closed again.
	s.Close()
	for _, suffix := range []string{"", ".lock"} {
		if err := os.Chmod(url+suffix, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	newTicket(t, open(t, url))
	check()
}

func TestSecondDaemonOnOneFileIsRefused(t *testing.T) {
	t.Parallel()
	url := storetest.SQLite(t)
	s := open(t, url)
	if _, err := Open(t.Context(), url, Options{Key: testKey()}); err == nil || !strings.Contains(err.Error(), "in use by another deskd") {
		t.Errorf("second Open = %v, want a refusal", err)
	}
	s.Close()
	open(t, url)
}

func TestOpenTakesEveryFormOfPath(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"hash#1.db", "pct%41.db", "q?mode=ro.db", "sp ace.db", "ümlaut.db"} {
		path := filepath.Join(t.TempDir(), name)
		newTicket(t, open(t, "sqlite:"+path))
		if _, err := os.Stat(path); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	path := filepath.Join(t.TempDir(), "file.db")
	newTicket(t, open(t, "file:"+path))
	if _, err := os.Stat(path); err != nil {
		t.Error(err)
	}
	for _, bad := range []string{"", ":memory:", "mysql://x", "sqlite:", "file::memory:"} {
		if _, err := Open(t.Context(), bad, Options{Key: testKey()}); err == nil {
			t.Errorf("Open(%q) went well", bad)
		}
	}
	if _, err := Open(t.Context(), path, Options{Key: []byte("short")}); err == nil {
		t.Error("Open with a short key went well")
	}
}

func TestReaderRunsBesideTheDaemon(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		if _, err := OpenReader(t.Context(), url, Options{}); err == nil {
			t.Error("OpenReader of an empty database went well")
		}
		if !strings.Contains(url, "://") {
			if _, err := os.Stat(url); err == nil {
				t.Error("OpenReader made the database")
			}
		}
		s := open(t, url)
		n := newTicket(t, s).Number
		r, err := OpenReader(t.Context(), url, Options{Key: testKey()})
		if err != nil {
			t.Fatalf("OpenReader: %v", err)
		}
		defer r.Close()
		inside := make(chan struct{})
		err = s.Write(t.Context(), func(tx *Tx) error { // it never waits for a writer
			close(inside)
			if _, err := tx.NewTicket(aTicket()); err != nil {
				return err
			}
			if err := tx.flush(); err != nil {
				return err
			}
			d, err := r.Show(t.Context(), n)
			if err != nil || d.Ticket.Number != n {
				t.Errorf("Show beside a writer = %v, %v", d.Ticket.Number, err)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		list, err := r.ListTickets(t.Context(), TicketFilter{})
		if err != nil || len(list) != 2 {
			t.Errorf("ListTickets = %d, %v, want 2", len(list), err)
		}
		if err := r.Write(t.Context(), func(*Tx) error { return nil }); !errors.Is(err, ErrReadOnly) {
			t.Errorf("Write on a reader = %v, want ErrReadOnly", err)
		}
		if err := r.VerifyChain(t.Context(), n); err != nil {
			t.Errorf("VerifyChain on a reader: %v", err)
		}
		// The daemon may end and start while the reader is open.
		s.Close()
		if _, err := r.ListTickets(t.Context(), TicketFilter{}); err != nil {
			t.Errorf("ListTickets after the daemon's end: %v", err)
		}
		newTicket(t, open(t, url))
	})
}

func TestReaderOpensWithoutADaemon(t *testing.T) {
	t.Parallel()
	url := storetest.SQLite(t)
	s := open(t, url)
	newTicket(t, s)
	s.Close()
	r, err := OpenReader(t.Context(), url, Options{})
	if err != nil {
		t.Fatalf("OpenReader: %v", err)
	}
	defer r.Close()
	if list, err := r.ListTickets(t.Context(), TicketFilter{}); err != nil || len(list) != 1 {
		t.Errorf("ListTickets = %d, %v, want 1", len(list), err)
	}
}

func TestTryUndoesOnlyItsOwn(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, s *Store) {
		own := errors.New("this mail's own")
		old := newTicket(t, s).Number
		mustWrite(t, s, func(tx *Tx) error {
			kept, err := tx.Ticket(old)
			if err != nil {
				return err
			}
			kept.Subject = "before"
			err = tx.Try(func(tx *Tx) error {
				inner, _ := tx.Ticket(old)
				inner.Subject = "inside"
				if err := mailWithout(tx, "undone"); err != nil {
					return err
				}
				if err := tx.AddEvent(Event{Ticket: old, What: "undone"}); err != nil {
					return err
				}
				if err := tx.AddEvent(Event{What: "undone"}); err != nil {
					return err
				}
				// A statement that fails ends a transaction of PostgreSQL's.
				if err := tx.Try(func(tx *Tx) error { return tx.exec("UPDATE tickets SET status = 'nonsense'") }); err == nil || World(err) {
					t.Errorf("inner Try = %v, want an error of the data", err)
				}
				return own
			})
			if !errors.Is(err, own) || World(err) {
				t.Errorf("Try = %v, want its own error", err)
			}
			if kept.Subject != "before" || kept.Events != 0 {
				t.Errorf("after Try the ticket is %q with %d events, want it as before", kept.Subject, kept.Events)
			}
			kept.Subject += " and after"
			if err := tx.AddEvent(Event{Ticket: old, What: "kept"}); err != nil {
				return err
			}
			return tx.Try(func(tx *Tx) error { return mailWithout(tx, "kept") })
		})
		d, err := s.Show(t.Context(), old)
		if err != nil || d.Ticket.Subject != "before and after" || len(d.Events) != 1 || d.Events[0].What != "kept" {
			t.Errorf("Show = %+v, %v", d, err)
		}
		if got := count(t, s, "SELECT count(*) FROM message_ids"); got != 1 {
			t.Errorf("%d message ids, want 1", got)
		}
		for _, n := range []ticket.Number{0, old} {
			if err := s.VerifyChain(t.Context(), n); err != nil {
				t.Error(err)
			}
		}
	})
}

func TestWorldErrorInTryEndsTheBatch(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, s *Store) {
		ctx, cancel := context.WithCancel(t.Context())
		err := s.Write(ctx, func(tx *Tx) error {
			_ = tx.Try(func(tx *Tx) error {
				cancel()
				return mailWithout(tx, "x")
			})
			return nil // a careless caller
		})
		if !World(err) {
			t.Errorf("Write = %v, want an error of the world", err)
		}
		if got := count(t, s, "SELECT count(*) FROM tickets"); got != 0 {
			t.Errorf("%d tickets, want none", got)
		}
	})
}

func TestPanicRollsBackAndGoesOn(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, s *Store) {
		func() {
			defer func() {
				if r := recover(); r != "boom" {
					t.Errorf("recovered %v, want boom", r)
				}
			}()
			_ = s.Write(t.Context(), func(tx *Tx) error {
				if err := mailWithout(tx, "x"); err != nil {
					return err
				}
				return tx.Try(func(*Tx) error { panic("boom") })
			})
		}()
		newTicket(t, s) // the connection is free again
		if got := count(t, s, "SELECT count(*) FROM tickets"); got != 1 {
			t.Errorf("%d tickets, want 1", got)
		}
	})
}

func TestF10_FrozenLinkHoldsNobodyUpForEver(t *testing.T) {
	t.Parallel()
	link := storetest.NewLink(t, storetest.PostgreSQL(t))
	s := open(t, link.URL)
	n := newTicket(t, s).Number
	lease := acquire(t, s, true)
	s.limits = limits{read: 100 * time.Millisecond, write: 100 * time.Millisecond, verify: 100 * time.Millisecond}
	link.Freeze()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var wg sync.WaitGroup
	for name, call := range map[string]func() error{
		"Write":       func() error { return s.Write(ctx, func(tx *Tx) error { return mailWithout(tx, "x") }) },
		"Renew":       func() error { return s.Renew(ctx, lease, time.Minute) },
		"ListTickets": func() error { _, err := s.ListTickets(ctx, TicketFilter{}); return err },
		"Show":        func() error { _, err := s.Show(ctx, n); return err },
		"VerifyChain": func() error { return s.VerifyChain(ctx, n) },
	} {
		wg.Go(func() {
			if err := call(); ctx.Err() != nil || !World(err) {
				t.Errorf("%s = %v (%v), want an error of the world, by itself", name, err, ctx.Err())
			}
		})
	}
	wg.Wait()
	link.Thaw()
	s.limits = usual()
	newTicket(t, s)
	if list, err := s.ListTickets(t.Context(), TicketFilter{}); err != nil || len(list) != 2 {
		t.Errorf("afterwards: %d tickets, %v, want 2", len(list), err)
	}
}
