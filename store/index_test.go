package store

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"deskd/triage/ticket"
)

// indexAll runs Index until it has nothing to do.
func indexAll(t testing.TB, s *Store, most int) (steps int) {
	t.Helper()
	for {
		more, err := s.Index(t.Context(), most)
		if err != nil {
			t.Fatal(err)
		}
		steps++
		if !more {
			return steps
		}
	}
}

// freshAndIndexed looks twice: at what was just written, and once it is in the
// index.
func freshAndIndexed(t *testing.T, s *Store, look func(t *testing.T, when string)) {
	t.Helper()
	look(t, "just written")
	indexAll(t, s, 100)
	if n := count(t, s, "SELECT count(*) FROM search_fresh"); n != 0 {
		t.Errorf("%d rows are not in the index after Index", n)
	}
	look(t, "indexed")
}

func TestSearchForgetsWhatWasTakenAway(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, s *Store) {
		n := written(t, s, "Toner empty", "bob knows")
		mustWrite(t, s, func(tx *Tx) error {
			return errors.Join(tx.AddParticipant(n, "bob@partner.test", "Bob Gone", "cc"), tx.AddParticipant(n, "zoe@partner.test", "Zoe", "cc"))
		})
		indexAll(t, s, 100)
		mustWrite(t, s, func(tx *Tx) error {
			got, err := tx.Ticket(n)
			if err != nil {
				return err
			}
			got.Subject = "Ink empty"
			return tx.RemoveParticipant(n, "bob@partner.test")
		})
		indexAll(t, s, 100)
		for q, want := range map[string]int{
			"gone": 0, "bob@partner.test": 0, "toner": 0, "toner-empty": 0, "ink": 1, "empty": 1,
			"bob": 1, // stands in the text
			"zoe": 1, "partner": 1, "ann": 1,
		} {
			if got := numbersOf(searched(t, s, SearchFilter{Words: q})); len(got) != want {
				t.Errorf("%q finds %v, want %d", q, got, want)
			}
		}
	})
}

func TestSearchReadsTicketsThatWereThereBefore(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, s *Store) {
		for i := range 25 {
			written(t, s, fmt.Sprint("old ", i%2), "text")
		}
		mustWrite(t, s, func(tx *Tx) error {
			return errors.Join(tx.exec("DELETE FROM search_fresh"),
				tx.exec("UPDATE facts SET value = ? WHERE name = 'search'", blob("1026")))
		})
		if f := searched(t, s, SearchFilter{Words: "old"}); len(f.Hits) != 0 || f.Unread != 1026 {
			t.Errorf("before: %d hits, unread below %d, want none and 1026", len(f.Hits), f.Unread)
		}
		fresh := written(t, s, "old and new", "text") // found at once
		if got := numbersOf(searched(t, s, SearchFilter{Words: "old"})); !slices.Equal(got, []ticket.Number{fresh}) {
			t.Errorf("before: %v, want %v", got, fresh)
		}
		for range 2 { // what is fresh, and a first step
			if more, err := s.Index(t.Context(), 10); err != nil || !more {
				t.Fatalf("Index = %t, %v, want more", more, err)
			}
		}
		// The newest come first, and it goes on where it was.
		if f := searched(t, s, SearchFilter{Words: "old"}); len(f.Hits) != 11 || f.Unread != 1016 {
			t.Errorf("half way: %d hits, unread below %d, want 11 and 1016", len(f.Hits), f.Unread)
		}
		if steps := indexAll(t, s, 10); steps != 2 {
			t.Errorf("%d more steps, want 2", steps)
		}
		if f := searched(t, s, SearchFilter{Words: "old"}); len(f.Hits) != 26 || f.Unread != 0 {
			t.Errorf("after: %d hits, unread below %d, want 26 and 0", len(f.Hits), f.Unread)
		}
		if got := searched(t, s, SearchFilter{Words: `"old 1"`}); len(got.Hits) != 12 {
			t.Errorf("after: %d hits of old 1, want 12", len(got.Hits))
		}
		if more, err := s.Index(t.Context(), 10); more || err != nil {
			t.Errorf("Index with nothing to do = %t, %v", more, err)
		}
	})
}

// TestSearchReadsAllOfALongTicket has more entries on a ticket, and more words
// on all, than are read at once.
func TestSearchReadsAllOfALongTicket(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, s *Store) {
		long := written(t, s, "first words", "text")
		mustWrite(t, s, func(tx *Tx) error {
			for i := range 2*textsAtOnce + 7 {
				if err := tx.AddEntry(workNote(long, fmt.Sprintf("note%d", i))); err != nil {
					return err
				}
			}
			return nil
		})
		var b strings.Builder
		for j := range maxWords {
			fmt.Fprintf(&b, " w%d", j)
		}
		for range 2*textsAtOnce + 3 {
			written(t, s, "many", b.String())
		}
		mustWrite(t, s, func(tx *Tx) error {
			return errors.Join(tx.exec("DELETE FROM search_fresh"),
				tx.exec("UPDATE facts SET value = ? WHERE name = 'search'", blob("1000000")))
		})
		if steps := indexAll(t, s, 4096); steps < 2 {
			t.Errorf("%d words in one step", maxWords*2*textsAtOnce)
		}
		for _, w := range []string{"note0", fmt.Sprint("note", textsAtOnce), fmt.Sprint("note", 2*textsAtOnce+6), "first"} {
			if got := numbersOf(searched(t, s, SearchFilter{Words: `"` + w + `"`})); !slices.Equal(got, []ticket.Number{long}) {
				t.Errorf("%s finds %v, want %v", w, got, long)
			}
		}
		if f := searched(t, s, SearchFilter{Words: "many", Limit: 500}); len(f.Hits) != 2*textsAtOnce+3 || f.Unread != 0 {
			t.Errorf("many finds %d, unread below %d", len(f.Hits), f.Unread)
		}
		// A subject that changes drops only the words that stand nowhere else.
		mustWrite(t, s, func(tx *Tx) error {
			one, err := tx.Ticket(long)
			if err == nil {
				one.Subject = "words"
			}
			return err
		})
		indexAll(t, s, 10)
		if got := numbersOf(searched(t, s, SearchFilter{Words: "first"})); len(got) != 0 {
			t.Errorf("first finds %v, want nothing", got)
		}
		if got := numbersOf(searched(t, s, SearchFilter{Words: fmt.Sprint("note", 2*textsAtOnce+6)})); len(got) != 1 {
			t.Errorf("the last note is found no more")
		}
	})
}

// TestOneTransactionWithManyWordsIsTakenInSteps has a batch of long answers to
// one ticket: no row of what is fresh is long, and neither a search nor a step
// of the index reads more than it may.
func TestOneTransactionWithManyWordsIsTakenInSteps(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, s *Store) {
		before := written(t, s, "before", "all of it")
		n := written(t, s, "long", "answers")
		indexAll(t, s, 100)
		const answers = 12
		mustWrite(t, s, func(tx *Tx) error {
			for i := range answers {
				var b strings.Builder
				for j := range maxWords {
					fmt.Fprintf(&b, "a%dw%d%s ", i, j, strings.Repeat("x", 40))
				}
				if err := tx.AddEntry(message(n, b.String())); err != nil {
					return err
				}
			}
			return nil
		})
		after := written(t, s, "after", "all of it")
		if most := count(t, s, "SELECT max(octet_length(words)) FROM search_fresh"); most > freshRowBytes+2*maxWord {
			t.Errorf("a row of %d bytes", most)
		}
		look := func(when string) {
			t.Helper()
			for i := range answers {
				for _, j := range []int{0, maxWords / 2, maxWords - 20} {
					// Two words that stand in different rows.
					words := fmt.Sprintf("a%dw%d%[3]s a%dw%d%[3]s", i, j, strings.Repeat("x", 40), answers-1-i, maxWords/3)
					if f := searched(t, s, SearchFilter{Words: words}); f.Partial || !slices.Equal(numbersOf(f), []ticket.Number{n}) {
						t.Errorf("%s: %s finds %v, partial %t", when, words, numbersOf(f), f.Partial)
					}
				}
			}
			if f := searched(t, s, SearchFilter{Words: "all of it"}); !slices.Equal(numbersOf(f), []ticket.Number{after, before}) {
				t.Errorf("%s: the tickets beside it: %v", when, numbersOf(f))
			}
		}
		look("just written")
		if steps := indexAll(t, s, 100); steps < 3 {
			t.Errorf("all in %d steps", steps)
		}
		look("indexed")
	})
}

// TestManySubjectsChangeInSteps: for each one all texts of its ticket are read.
func TestManySubjectsChangeInSteps(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, s *Store) {
		var all []ticket.Number
		for range 2*mostGone + 5 {
			all = append(all, written(t, s, "former", "text"))
		}
		indexAll(t, s, 100)
		mustWrite(t, s, func(tx *Tx) error {
			for _, n := range all {
				one, err := tx.Ticket(n)
				if err != nil {
					return err
				}
				one.Subject = "latter"
			}
			return nil
		})
		if steps := indexAll(t, s, 100); steps < 3 {
			t.Errorf("%d tickets in %d steps", len(all), steps)
		}
		if f := searched(t, s, SearchFilter{Words: "latter"}); len(f.Hits) != len(all) {
			t.Errorf("%d tickets are found by the new subject, want %d", len(f.Hits), len(all))
		}
		if f := searched(t, s, SearchFilter{Words: "former"}); len(f.Hits) != 0 {
			t.Errorf("%v are found by the old subject", numbersOf(f))
		}
	})
}

// TestTheSearchIsMadeAnew applies the step of the schema to a database whose
// index has more than is there.
func TestTheSearchIsMadeAnew(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, s *Store) {
		n := written(t, s, "printer", "It hums.")
		indexAll(t, s, 100)
		mustWrite(t, s, func(tx *Tx) error { // as it was made once
			return errors.Join(
				tx.exec("INSERT INTO search_words (part, word, scope, tickets) SELECT part, 'nuisance', 0, tickets FROM search_words WHERE word = 'hums'"),
				insert(tx, &[]freshRow{{Ticket: int64(n), Words: " pest "}}))
		})
		own := func(word string) int {
			return len(searched(t, s, SearchFilter{Words: word, Involved: []string{"ann.lee@example.org"}}).Hits)
		}
		if own("nuisance") != 1 || own("pest") != 1 {
			t.Fatal("the test finds nothing")
		}
		step, err := migrations.ReadFile(s.dialect.folder() + "/00014_search_anew.sql")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.writing.Exec(string(step)); err != nil {
			t.Fatal(err)
		}
		indexAll(t, s, 100)
		if own("nuisance") != 0 || own("pest") != 0 || own("hums") != 1 {
			t.Errorf("nuisance %d, pest %d, hums %d; want 0, 0, 1", own("nuisance"), own("pest"), own("hums"))
		}
	})
}
