package store

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"deskd/triage/ticket"
)

// written opens a ticket with one message of ann's, and gives its number.
func written(t testing.TB, s *Store, subject, text string) ticket.Number {
	t.Helper()
	var n ticket.Number
	mustWrite(t, s, func(tx *Tx) error {
		made, err := tx.NewTicket(Ticket{
			Mailbox: "help@desk.test", Subject: subject, Requester: "ann.lee@example.org", RequesterName: "Ann Lee",
			Status: ticket.Open, Priority: ticket.Medium, Team: "Helpdesk",
		})
		if err != nil {
			return err
		}
		n = made.Number
		return tx.AddEntry(message(n, text))
	})
	return n
}

func message(n ticket.Number, text string) Entry {
	return Entry{Ticket: n, Kind: "message", Visibility: "public", Author: "ann.lee@example.org", Text: text, FullText: text}
}

func workNote(n ticket.Number, text string) Entry {
	return Entry{Ticket: n, Kind: "note", Visibility: "internal", Author: "tom@desk.test", AuthorName: "Tom", Text: text, FullText: text}
}

func searched(t testing.TB, s *Store, f SearchFilter) Found {
	t.Helper()
	found, err := s.Search(t.Context(), f)
	if err != nil {
		t.Fatalf("search %+v: %v", f, err)
	}
	return found
}

func numbersOf(f Found) []ticket.Number {
	list := []ticket.Number{}
	for _, h := range f.Hits {
		list = append(list, h.Ticket.Number)
	}
	return list
}

func TestSearchFindsWhatPeopleType(t *testing.T) {
	t.Parallel()
	cases := []struct {
		text  string
		finds []string
		not   []string
	}{
		{"Der Drücker im Büro druckt nicht", []string{"drücker", "DRUCKER", "drucker büro", "buro", "DRU*", "druck*"}, []string{"dru", "uro", "drucker keller"}},
		{"Die Straße ist gesperrt, siehe Fußweg", []string{"strasse", "STRASSE", "STRAẞE", "straße", "fussweg"}, []string{"strase"}},
		{"ISPARTA ışık İstanbul", []string{"isparta", "ısparta", "isik", "ışık", "istanbul", "İSTANBUL", "ıstanbul"}, []string{"stanbul"}},
		{"Принтер не печатает, ёлка", []string{"принтер", "ПРИНТЕР", "печатает", "елка", "принт"}, []string{"принц"}},
		{"Ο ΟΔΥΣΣΕΥΣ γύρισε", []string{"οδυσσευς", "οδυσσεύς", "γυρισε"}, []string{"οδυσσα"}},
		{"東京都のプリンターが動かない", []string{"東京", "東京都", "京都", "プリンター", "プリンタ", "東", "京", "い", "動かない", "ﾌﾟﾘﾝﾀｰ"}, []string{"都京", "大阪", "フリンター", "東都"}},
		{"打印机 坏了", []string{"打印机", "打印", "坏了", "机"}, []string{"机坏", "打机"}},
		{"เครื่องพิมพ์เสีย", []string{"เครื่องพิมพ์", "พิมพ์", "เสีย"}, []string{"เสือ"}},
		{"프린터가 고장났어요", []string{"프린터가", "프린터", "고장났어요", "고장"}, []string{"린터"}},
		{"המדפסת לא עובדת שָׁלוֹם", []string{"המדפסת", "שלום", "שָׁלוֹם"}, []string{"מדפסת"}},
		{"الطَّابِعَة معطلة", []string{"الطابعة", "معطلة"}, []string{"طابعه"}},
		{"It is on fire 🔥👨‍👩‍👧 now", []string{"🔥", "fire 🔥", "👨‍👩‍👧"}, []string{"💧"}},
		{"Order 4711 of 2026-11-23, room 12b", []string{"4711", "2026", "2026-11-23", "11-23", "12b", "47*", "room 12b"}, []string{"471", "711", "2026-23"}},
		{"write to bob.smith@mail.example.com, please", []string{"bob.smith@mail.example.com", "bob", "smith", "Bob.Smith@", "mail.example.com", "example", "@mail.example.com", "bob.smith@mail"}, []string{"ob", "bob@mail.example.com", "bob.smith@example.com", "smith@example.com"}},
		{"see https://gateway-2.vpn.example.net:8443/status?x=1", []string{"gateway-2.vpn.example.net", "vpn.example.net", "vpn.example", "gateway", "8443", "gateway-2", "https://gateway-2.vpn.example.net:8443/status"}, []string{"vpn.net", "gateway.vpn", "gateway-3"}},
		{"the wi-fi and 10.0.0.5 don't", []string{"wi-fi", "wi fi", "wi", "10.0.0.5", "don't", "don’t", "0.5"}, []string{"wifi", "10.0.5.0", "10.5"}},
		{"ｆｕｌｌ　ｗｉｄｔｈ ﬁle ½ x²", []string{"full", "width", "file", "x2"}, []string{"ul"}},
		{"soft\u00adhyphen zero\u200bwidth nbsp\u00a0here", []string{"softhyphen", "zerowidth", "nbsp here"}, []string{"hyphen", "width"}},
		{"snake_case_name", []string{"snake_case_name", "snake", "case_name"}, []string{"snake_name"}},
		{strings.Repeat("a", 300) + " end", []string{strings.Repeat("a", 300), strings.Repeat("A", 200), "end"}, []string{strings.Repeat("a", 10) + "b"}},
	}
	both(t, func(t *testing.T, s *Store) {
		for i, c := range cases {
			cases[i].text = c.text
			written(t, s, fmt.Sprint("case", i, "x"), c.text)
		}
		freshAndIndexed(t, s, func(t *testing.T, when string) {
			for i, c := range cases {
				for _, where := range []string{"%s", "  %s ", "%s ann", "ann %s"} {
					for _, q := range c.finds {
						if strings.Contains(where, "ann %s") && strings.HasSuffix(q, "*") || where == "%s ann" && slices.Contains(beginnings(), q) {
							continue
						}
						q = fmt.Sprintf(where, q)
						if got := numbersOf(searched(t, s, SearchFilter{Words: q + fmt.Sprint(" case", i, "x")})); len(got) != 1 && !endsOpen(q) {
							t.Errorf("%s: %q does not find %q", when, q, c.text)
						}
						got := numbersOf(searched(t, s, SearchFilter{Words: fmt.Sprint("case", i, "x ") + q}))
						if len(got) != 1 || got[0] != ticket.Number(1001+i) {
							t.Errorf("%s: %q does not find %q: %v", when, q, c.text, got)
						}
					}
				}
				for _, q := range c.not {
					if got := numbersOf(searched(t, s, SearchFilter{Words: fmt.Sprintf(`case%dx %q`, i, q)})); len(got) != 0 {
						t.Errorf("%s: %q finds %q", when, q, c.text)
					}
				}
			}
		})
	})
}

// beginnings are queries that find only as a last word.
func beginnings() []string {
	return []string{"принт", "프린터", "고장", "bob.smith@mail"}
}

func endsOpen(q string) bool {
	return slices.Contains(beginnings(), strings.TrimSpace(strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(q), "ann "), " ann")))
}

func TestSearchLooksEverywhereOnATicketAndWantsAllWords(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, s *Store) {
		n := written(t, s, "Toner empty", "the third floor")
		other := written(t, s, "Toner ordered", "the second floor")
		mustWrite(t, s, func(tx *Tx) error {
			e := workNote(n, "cartridge is on its way")
			e.Attachments = []byte(`[{"part":"2","name":"Lieferschein Übersicht.pdf"}]`)
			e.FullText = "cartridge is on its way\n> forwarded: invoice"
			return errors.Join(tx.AddEntry(e), tx.AddParticipant(n, "zoe@partner.test", "Zoë Quinn", "cc"))
		})
		freshAndIndexed(t, s, func(t *testing.T, when string) {
			for q, want := range map[string][]ticket.Number{
				"toner":                      {other, n},
				"floor toner":                {other, n},
				"toner third":                {n},
				"cartridge third":            {n}, // in different mails
				"cartridge second":           {},
				"lieferschein ubersicht":     {n},
				"ubersicht.pdf":              {n},
				"zoe quinn":                  {n},
				"zoe@partner.test":           {n},
				"invoice":                    {n},
				"tom":                        {n},
				"ann lee":                    {other, n},
				"ann.lee@example.org":        {other, n},
				n.String():                   {n},
				"floor " + other.String():    {other},
				"ton":                        {other, n}, // a beginning
				"tone r":                     {},
				`"ton"`:                      {},
				"to":                         {},
				"to*":                        {other, n},
				"ton floor":                  {}, // not the last word
				"nothing of the kind at all": {},
			} {
				if got := numbersOf(searched(t, s, SearchFilter{Words: q})); !slices.Equal(got, want) {
					t.Errorf("%s: %q finds %v, want %v", when, q, got, want)
				}
			}
		})
	})
}

// What a technician's answer quotes is for technicians, and a long text takes
// no room from a subject.
func TestSearchOfARequesterFindsNothingByWhatAnAnswerQuotes(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, s *Store) {
		var log strings.Builder
		for i := range 6000 {
			fmt.Fprintf(&log, "line%d ", i)
		}
		n := written(t, s, "Toner empty", log.String())
		mustWrite(t, s, func(tx *Tx) error {
			e := message(n, "We are on it.")
			e.Author, e.FullText = "tom@desk.test", "We are on it.\n> the user is a nuisance"
			return tx.AddEntry(e)
		})
		freshAndIndexed(t, s, func(t *testing.T, when string) {
			for _, c := range []struct {
				words, who string
				want       int
			}{{"nuisance", "", 1}, {"nuisance", "ann.lee@example.org", 0}, {"toner line7", "ann.lee@example.org", 1}, {"on it ann.lee@example.org", "ann.lee@example.org", 1}} {
				if got := numbersOf(searched(t, s, SearchFilter{Words: c.words, Involved: strings.Fields(c.who)})); len(got) != c.want {
					t.Errorf("%s: %q of %q finds %v, want %d", when, c.words, c.who, got, c.want)
				}
			}
		})
	})
}

func TestSearchOfARequesterSeesNoWorkNotesAndOnlyOwnTickets(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, s *Store) {
		n := written(t, s, "Toner empty", "please")
		shared := newTicket(t, s).Number // ann@example.org's
		mustWrite(t, s, func(tx *Tx) error {
			return errors.Join(tx.AddEntry(workNote(n, "the user is a nuisance, toner thief")), tx.AddEntry(message(shared, "nuisance")),
				tx.AddParticipant(shared, "ann.lee@example.org", "", "cc"))
		})
		freshAndIndexed(t, s, func(t *testing.T, when string) {
			for _, c := range []struct {
				words, who string
				want       []ticket.Number
			}{
				{"nuisance", "", []ticket.Number{shared, n}},
				{"nuisance", "ann.lee@example.org", []ticket.Number{shared}},
				{"nuisance", "ann@example.org", []ticket.Number{shared}},
				{"toner", "ann.lee@example.org", []ticket.Number{n}},
				{"thief", "ann.lee@example.org", nil},
				{"toner thief", "ann.lee@example.org", nil},
				{"thie*", "ann.lee@example.org", nil},
				{"tom", "ann.lee@example.org", nil}, // who wrote the note
				{"toner", "eve@example.org", nil},
				{"toner", "eve@example.org ann.lee@example.org", []ticket.Number{n}},
				{"nuisance", "eve@example.org ann@example.org ann.lee@example.org", []ticket.Number{shared}},
				{"toner", "tom@desk.test", nil},
			} {
				f := searched(t, s, SearchFilter{Words: c.words, Involved: strings.Fields(c.who)})
				if got := numbersOf(f); !slices.Equal(got, c.want) && len(got)+len(c.want) > 0 {
					t.Errorf("%s: %q of %q finds %v, want %v", when, c.words, c.who, got, c.want)
				}
				for _, h := range f.Hits {
					if c.who != "" && h.Note {
						t.Errorf("%s: %q of %q shows a work note: %v", when, c.words, c.who, h.Excerpt)
					}
				}
			}
		})
	})
}

func TestSearchGoesPageByPageThroughAllParts(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, s *Store) {
		var want []ticket.Number
		for i := range 40 {
			n := written(t, s, "common", fmt.Sprint("mod", i%7))
			if i%7 == 0 {
				want = append([]ticket.Number{n}, want...)
			}
			mustWrite(t, s, func(tx *Tx) error { return tx.LiftNumbers(n + 1500) })
		}
		freshAndIndexed(t, s, func(t *testing.T, when string) {
			var got []ticket.Number
			f := SearchFilter{Words: "common mod0", Limit: 4}
			for range 10 {
				found := searched(t, s, f)
				got = append(got, numbersOf(found)...)
				if f.Before = found.Next; f.Before == 0 {
					break
				}
				if len(found.Hits) != 4 {
					t.Errorf("%s: a page of %d", when, len(found.Hits))
				}
			}
			if !slices.Equal(got, want) {
				t.Errorf("%s: %v, want %v", when, got, want)
			}
		})
	})
}

func TestSearchForABeginningMissesNoPart(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, s *Store) {
		var want []ticket.Number
		for i := range 60 {
			n := written(t, s, "common", fmt.Sprint("printer", i))
			want = append([]ticket.Number{n}, want...)
			mustWrite(t, s, func(tx *Tx) error { return tx.LiftNumbers(n + partSize) })
		}
		freshAndIndexed(t, s, func(t *testing.T, when string) {
			for _, words := range []string{"printe*", "common printe"} {
				found := searched(t, s, SearchFilter{Words: words, Limit: 100})
				if got := numbersOf(found); !slices.Equal(got, want) || found.Partial || found.Cut || found.Next != 0 {
					t.Errorf("%s: %s: %v, want %v", when, words, got, want)
				}
			}
		})
	})
}

func TestSearchStopsWhenItTakesTooLong(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, s *Store) {
		written(t, s, "x", "y")
		// Beginnings that stand in many rows of each part, and never with the
		// other word.
		mustWrite(t, s, func(tx *Tx) error {
			rows := make([]wordRow, 0, 500)
			for part := range int64(40) {
				for i := range 1000 {
					m := &members{}
					m.put(i)
					rows = append(rows, wordRow{part, fmt.Sprintf("pre%04d", i), 0, m.packed()})
				}
				m := &members{}
				m.put(2000)
				rows = append(rows, wordRow{part, "rare", 0, m.packed()})
				if err := insert(tx, &rows); err != nil {
					return err
				}
			}
			return tx.LiftNumbers(40*partSize - 1)
		})
		written(t, s, "x", "y")
		f := SearchFilter{Words: "rare pre*"}
		pages := 0
		for ; ; pages++ {
			found := searched(t, s, f)
			if len(found.Hits) != 0 {
				t.Fatalf("finds %v", numbersOf(found))
			}
			if !found.Cut {
				break
			}
			if found.Next == 0 || f.Before != 0 && found.Next >= f.Before {
				t.Fatalf("cut at %d after %d", found.Next, f.Before)
			}
			f.Before = found.Next
		}
		if pages == 0 {
			t.Error("it was not cut")
		}
	})
}

func TestT44_HostileSearchesAreHarmless(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, s *Store) {
		n := written(t, s, "plain", "text near col")
		hostile := []string{
			"", " ", "\x00", "\xff\xfe", "'", `"`, `""`, `"""`, "*", "**", "-", ":", "^", "()", "&|!<->", "%", "_", `\`, "💥", "…", "!?.,;",
			"NEAR", "NEAR(a b, 3)", "text NEAR col", "AND", "OR", "NOT", "text AND", "subject:text", "{subject}:text", `"text`, `text"`, `a"b`,
			"'; DROP TABLE tickets; --", "' OR '1'='1", "text' OR 1=1 --", `\'; DELETE FROM search_words; --`, "text\x00' OR 1", "?", "$1", "@p1", ":a",
			strings.Repeat("a", 1<<20), strings.Repeat("a ", 1<<19), strings.Repeat("a b* ", 1<<18), strings.Repeat("'", 1<<20), strings.Repeat("漢", 1<<18),
			strings.Repeat("a@", 1<<19), strings.Repeat("a.b@c", 1<<18), strings.Repeat("\u0301", 1<<18), strings.Repeat("ﷺ", 1<<18), "a" + strings.Repeat("\u0300", 1000),
		}
		for _, q := range hostile {
			f := searched(t, s, SearchFilter{Words: q})
			if none := len(terms(q)) == 0; f.None != none {
				t.Errorf("%.40q: nothing to search for: %t, want %t", q, f.None, none)
			}
			searched(t, s, SearchFilter{Words: q, Involved: []string{q}})
			if len(terms(q)) > maxTerms {
				t.Errorf("%.40q has %d words", q, len(terms(q)))
			}
			size := 0
			for _, w := range terms(q) {
				size += len(w.text)
			}
			if size > 4*maxQuery {
				t.Errorf("%.40q asks for %d bytes", q, size)
			}
		}
		for _, q := range hostile { // as mail, too
			written(t, s, q, q)
			mustWrite(t, s, func(tx *Tx) error {
				e := message(n, q)
				e.Author, e.AuthorName, e.Attachments = q, q, []byte(q)
				return tx.AddEntry(e)
			})
		}
		indexAll(t, s, 100)
		if got := numbersOf(searched(t, s, SearchFilter{Words: "plain near col"})); !slices.Equal(got, []ticket.Number{n}) {
			t.Errorf("after all that: %v, want %v", got, n)
		}
		if got := numbersOf(searched(t, s, SearchFilter{Words: "drop table tickets"})); len(got) != 2 {
			t.Errorf("what looks like a statement is text: %v, want two", got)
		}
	})
}

func TestSearchWithinATransactionSeesWhatItWrote(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, s *Store) {
		n := written(t, s, "kept", "kept")
		mustWrite(t, s, func(tx *Tx) error {
			_ = tx.Try(func(tx *Tx) error {
				if err := tx.AddEntry(message(n, "undone")); err != nil {
					return err
				}
				return errors.New("its own")
			})
			if err := tx.AddEntry(message(n, "done")); err != nil {
				return err
			}
			for q, want := range map[string]int{"undone": 0, "done": 1, "kept": 1} {
				found, err := tx.Search(SearchFilter{Words: q})
				if err != nil {
					return err
				}
				if len(found.Hits) != want {
					t.Errorf("%q finds %d, want %d", q, len(found.Hits), want)
				}
			}
			return nil
		})
		if got := searched(t, s, SearchFilter{Words: "undone"}); len(got.Hits) != 0 {
			t.Error("what was undone is found")
		}
	})
}

// TestSearchAgreesWithAModel writes what chance says, and compares with a
// search that reads all texts.
func TestSearchAgreesWithAModel(t *testing.T) {
	t.Parallel()
	vocabulary := []string{
		"printer", "print", "prin", "toner", "vpn", "VPN", "Straße", "strasse", "mail", "e-mail", "a", "ab", "abc", "10.0.0.1", "10.0.0.10",
		"ann@example.org", "ann.b@example.org", "example.org", "x.example.org", "東京", "京都", "東京都", "都", "プリンタ", "сервер", "Сервера", "🔥", "1001", "1002", "it-1001", "don't", "naïve",
	}
	both(t, func(t *testing.T, s *Store) {
		r := rand.New(rand.NewPCG(7, 11))
		say := func(most int) string {
			words := make([]string, 1+r.IntN(most))
			for i := range words {
				words[i] = vocabulary[r.IntN(len(vocabulary))]
			}
			return strings.Join(words, []string{" ", "  ", "\n"}[r.IntN(3)])
		}
		type doc struct{ public, internal []string }
		model := map[ticket.Number]*doc{}
		var all []ticket.Number
		has := func(texts []string, want term) bool {
			yes := false
			for _, text := range texts {
				units(folded(text), func(u unit) { yes = yes || want.matches(u.text) })
			}
			return yes
		}
		began := time.Now()
		for step := range 120 {
			mustWrite(t, s, func(tx *Tx) error {
				if step%4 == 0 {
					subject := say(3)
					made, err := tx.NewTicket(Ticket{Subject: subject, Requester: "ann@example.org", Status: ticket.Open, Priority: ticket.Low})
					if err != nil {
						return err
					}
					model[made.Number] = &doc{public: []string{subject, "ann@example.org", made.Number.String()}}
					all = append(all, made.Number)
				}
				n := all[r.IntN(len(all))]
				text := say(5)
				if r.IntN(2) == 0 {
					model[n].public = append(model[n].public, text, "ann.lee@example.org")
					return tx.AddEntry(message(n, text))
				}
				model[n].internal = append(model[n].internal, text, "tom@desk.test", "Tom")
				return tx.AddEntry(workNote(n, text))
			})
			if r.IntN(5) == 0 {
				if _, err := s.Index(t.Context(), 3); err != nil {
					t.Fatal(err)
				}
			}
			for range 3 {
				query := say(3)
				if r.IntN(3) == 0 {
					query = query[:1+r.IntN(len(query))]
				}
				if r.IntN(5) == 0 {
					query += "*"
				}
				var want []ticket.Number
				internal := r.IntN(2) == 0
				for _, n := range slices.Backward(all) {
					fits := len(terms(query)) > 0
					for _, w := range terms(query) {
						fits = fits && (has(model[n].public, w) || internal && has(model[n].internal, w))
					}
					if fits {
						want = append(want, n)
					}
				}
				f := SearchFilter{Words: query, Limit: 500}
				if !internal {
					f.Involved = []string{"ann@example.org"}
				}
				if got := numbersOf(searched(t, s, f)); !slices.Equal(got, want) && len(got)+len(want) > 0 {
					t.Fatalf("step %d: %q (internal %t) finds %v, want %v", step, query, internal, got, want)
				}
			}
		}
		t.Log(time.Since(began))
	})
}

// TestSearchSaysWhatItLeftOut has more rows than one search looks through.
func TestSearchSaysWhatItLeftOut(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, s *Store) {
		first := written(t, s, "aardvark", "old")
		last := written(t, s, "aardvark", "new")
		rows := func(n int, words string) {
			mustWrite(t, s, func(tx *Tx) error {
				list := make([]freshRow, n)
				for i := range list {
					list[i] = freshRow{Ticket: int64(last), Words: text(words)}
				}
				return insert(tx, &list)
			})
		}
		look := func(when, q string, partial bool, want ...ticket.Number) {
			t.Helper()
			f := searched(t, s, SearchFilter{Words: q})
			if got := numbersOf(f); f.Partial != partial || !slices.Equal(got, want) {
				t.Errorf("%s: %q finds %v, in part: %t; want %v, %t", when, q, got, f.Partial, want, partial)
			}
		}
		look("two rows", "aardvark", false, last, first)
		rows(mostFresh-2, " aardvark ")
		look("as many rows as it looks through", "aardvark", false, last, first)
		rows(1, " aardvark ")
		look("one row more", "aardvark", true, last)
		indexAll(t, s, 10)
		look("indexed", "aardvark", false, last, first)
		rows(3, " z"+strings.Repeat("x", freshBytes/3)+" aardvark ")
		rows(1, " needle ")
		look("few long rows", "needle", true, last)
		mustWrite(t, s, func(tx *Tx) error {
			many := make([]wordRow, mostRows)
			for i := range many {
				m := members{}
				m.put(int(last) % partSize)
				many[i] = wordRow{Part: int64(last) >> partBits, Word: fmt.Sprintf("b%06d", i), Tickets: m.packed()}
			}
			return errors.Join(tx.exec("DELETE FROM search_fresh"), insert(tx, &many))
		})
		look("many words", "b0*", true, last)
		look("many words", "b00001*", false, last)
	})
}

func TestSearchShowsWhereTheWordsStand(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, s *Store) {
		long := strings.Repeat("word ", 60)
		n := written(t, s, "x", long+"the Straße is\n\n closed, "+long)
		mustWrite(t, s, func(tx *Tx) error { return tx.AddEntry(workNote(n, "東京都の straße closed")) })
		for q, want := range map[string]string{
			"strasse":        "… word word word word word word word word word word word the [Straße] is closed, ",
			"strasse closed": "… word word word word word word word word word word word the [Straße] is [closed], ",
			"京都":             "東[京都]の straße closed",
			"京":              "東[京]都の straße closed",
			"東京都":            "[東京都]の straße closed",
			"ann":            "",
		} {
			found := searched(t, s, SearchFilter{Words: q})
			if len(found.Hits) != 1 {
				t.Fatalf("%q finds %v", q, numbersOf(found))
			}
			var b strings.Builder
			for _, p := range found.Hits[0].Excerpt {
				if p.Marked {
					b.WriteString("[" + p.Text + "]")
				} else {
					b.WriteString(p.Text)
				}
			}
			if got := b.String(); !strings.HasPrefix(got, want) || want == "" && got != "" || len(got) > 400 {
				t.Errorf("%q: %q, want %q", q, got, want)
			}
			if note := found.Hits[0].Note; note != strings.Contains(want, "東") {
				t.Errorf("%q stands in a work note: %t", q, note)
			}
		}
	})
}

func FuzzSearchFindsItsOwnText(f *testing.F) {
	for _, s := range []string{"Drücker", "a@b.c", "東京都", "x-y-z*", "\xff", "🔥", "ﷺ", "e\u0301\u0300", "a\u200db", "ⅷ ½", "İı", "ah@@b.-c"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		set := wordSet{}
		set.add(s)
		words := ""
		for _, row := range joined(set) {
			words += string(row)
		}
		for w := range set {
			if w == "" || len(w) > 2*maxWord+1 || strings.ContainsAny(w, " \x00\n") {
				t.Fatalf("%q gives the word %q", s, w)
			}
		}
		if len(s) > maxQuery/20 || strings.ContainsAny(s, "\x00") {
			return
		}
		for _, w := range terms(s) {
			if !strings.Contains(words, w.inWords()) {
				t.Errorf("%q is not found by its own word %+v; it has %s", s, w, words)
			}
		}
		if again := folded(folded(s)); again != folded(s) {
			t.Errorf("%q folds to %q, and that to %q", s, folded(s), again)
		}
		excerpt(s, terms(s))
	})
}
