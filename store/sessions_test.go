package store

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"deskd/store/storetest"
)

// gate is a store with a clock that a test moves, and what asks of it.
type gate struct {
	*testing.T
	s   *Store
	now time.Time
	n   int
}

func gates(t *testing.T, fn func(t *testing.T, g *gate)) {
	t.Helper()
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		t.Parallel()
		g := &gate{T: t, now: time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)}
		g.s = openWith(t, url, Options{Now: func() time.Time { return g.now }})
		fn(t, g)
	})
}

func sumOf(s string) []byte {
	sum := sha256.Sum256([]byte(s))
	return sum[:]
}

// ask asks to sign in; the secrets are named after the wish.
func (g *gate) ask(addr, client string) (name string, mail bool, err error) {
	g.n++
	name = fmt.Sprint(g.n)
	mail, err = g.s.AskSignIn(g.Context(), SignIn{Addr: addr, Client: client, Known: true, Request: sumOf("request" + name), Link: sumOf("link" + name), Code: sumOf("code" + name)})
	return name, mail, err
}

func (g *gate) mustAsk(addr, client string) string {
	g.Helper()
	name, mail, err := g.ask(addr, client)
	if err != nil || !mail {
		g.Fatalf("ask to sign in: %v, %v", mail, err)
	}
	return name
}

func (g *gate) byLink(name, cookie string) (Session, error) {
	return g.s.SpendLink(g.Context(), sumOf("link"+name), NewSession{Token: sumOf(cookie), Agent: "a browser"})
}

func (g *gate) byCode(request, code, cookie string) (Session, error) {
	return g.s.SpendCode(g.Context(), sumOf("request"+request), sumOf("code"+code), NewSession{Token: sumOf(cookie)})
}

func (g *gate) mustBeIn(cookie string) Session {
	g.Helper()
	s, err := g.s.SessionOf(g.Context(), sumOf(cookie))
	if err != nil {
		g.Errorf("%s: %v", cookie, err)
	}
	return s
}

func (g *gate) mustBeOut(cookie string) {
	g.Helper()
	if s, err := g.s.SessionOf(g.Context(), sumOf(cookie)); !errors.Is(err, ErrNotFound) {
		g.Errorf("%s: signed in: %+v, %v", cookie, s, err)
	}
}

func TestT40_ALinkIsGoodOnceAndForAQuarterOfAnHour(t *testing.T) {
	gates(t, func(t *testing.T, g *gate) {
		name := g.mustAsk("ann@example.org", "c")
		late := g.mustAsk("ann@example.org", "c")
		s, err := g.byLink(name, "cookie")
		if err != nil || s.Addr != "ann@example.org" {
			t.Fatalf("%+v, %v", s, err)
		}
		if got := g.mustBeIn("cookie"); got.ID != s.ID || got.Addr != "ann@example.org" || got.Agent != "a browser" {
			t.Errorf("%+v", got)
		}
		if _, err := g.byLink(name, "other"); !errors.Is(err, ErrNotFound) {
			t.Errorf("a second time: %v", err)
		}
		if _, err := g.byCode(name, name, "other"); !errors.Is(err, ErrNotFound) {
			t.Errorf("the code of a spent link: %v", err)
		}
		g.mustBeOut("other")
		g.now = g.now.Add(SignInValid)
		if _, err := g.byLink(late, "late"); !errors.Is(err, ErrNotFound) {
			t.Errorf("after its time: %v", err)
		}
		if err := g.s.VerifyChain(t.Context(), 0); err != nil {
			t.Errorf("the desk's events: %v", err)
		}
	})
}

func TestT40_ALinkSpentByManyAtOnceSignsOneIn(t *testing.T) {
	gates(t, func(t *testing.T, g *gate) {
		name := g.mustAsk("ann@example.org", "c")
		var wg sync.WaitGroup
		errs := make([]error, 8)
		for i := range errs {
			wg.Go(func() { _, errs[i] = g.byLink(name, fmt.Sprint("cookie", i)) })
		}
		wg.Wait()
		in := 0
		for _, err := range errs {
			if err == nil {
				in++
			} else if !errors.Is(err, ErrNotFound) {
				t.Error(err)
			}
		}
		if in != 1 {
			t.Errorf("%d are in", in)
		}
	})
}

func TestT40_ACodeIsForTheBrowserThatAskedAndDiesOfWrongOnes(t *testing.T) {
	gates(t, func(t *testing.T, g *gate) {
		mine, others := g.mustAsk("ann@example.org", "c"), g.mustAsk("ann@example.org", "evil")
		if _, err := g.byCode(others, mine, "x"); !errors.Is(err, ErrNotFound) {
			t.Errorf("another browser's: %v", err)
		}
		if _, err := g.byCode(mine, "wrong", "x"); !errors.Is(err, ErrNotFound) {
			t.Errorf("wrong: %v", err)
		}
		if _, err := g.byCode(mine, mine, "cookie"); err != nil {
			t.Errorf("right after one that was wrong: %v", err)
		}
		g.mustBeIn("cookie")
		for range codeTries {
			_, _ = g.byCode(others, "wrong", "x")
		}
		if _, err := g.byCode(others, others, "x"); !errors.Is(err, ErrNotFound) {
			t.Errorf("right after too many wrong ones: %v", err)
		}
		if _, err := g.byLink(others, "by link"); err != nil {
			t.Errorf("wrong codes have spoilt the link: %v", err)
		}
	})
}

func TestT40_WhoAsksInMyNameCannotLockMeOut(t *testing.T) {
	gates(t, func(t *testing.T, g *gate) {
		var mailed []string
		for i := range 200 {
			name, mail, err := g.ask("ann@example.org", fmt.Sprint("evil", i))
			if err != nil {
				t.Fatal(err)
			}
			if mail {
				mailed = append(mailed, name)
			}
		}
		if len(mailed) != signInMails {
			t.Errorf("%d mails were sent", len(mailed))
		}
		// The link that came of somebody else's wish is in my mailbox, and mine.
		if _, mail, err := g.ask("ann@example.org", "mine"); mail || err != nil {
			t.Errorf("one mail more: %v, %v", mail, err)
		}
		if _, err := g.byLink(mailed[0], "cookie"); err != nil {
			t.Errorf("no way in: %v", err)
		}
		// When it is good no more, the next mail may be sent.
		g.now = g.now.Add(SignInValid)
		g.mustAsk("ann@example.org", "mine")
		// Whoever sits at the machine itself never waits.
		for range signInMails + signInAsks {
			g.mustAsk("ann@example.org", "")
		}
	})
}

func TestT40_AClientThatAsksTooOftenWaits(t *testing.T) {
	gates(t, func(t *testing.T, g *gate) {
		for i := range signInAsks {
			if _, _, err := g.ask(fmt.Sprintf("p%d@example.org", i), "c"); err != nil {
				t.Fatal(err)
			}
		}
		if _, _, err := g.ask("ann@example.org", "c"); !errors.Is(err, ErrTooOften) {
			t.Errorf("one too many: %v", err)
		}
		g.mustAsk("ann@example.org", "d")
		g.now = g.now.Add(SignInValid)
		g.mustAsk("ann@example.org", "c")
	})
}

// TestT40_StrangersDoNotHoldUpTheMail has nothing written for those of whom
// nothing is known: SQLite has one transaction that writes at a time.
func TestT40_StrangersDoNotHoldUpTheMail(t *testing.T) {
	gates(t, func(t *testing.T, g *gate) {
		request := g.mustAsk("ann@example.org", "client")
		for range codeTries {
			if _, err := g.byCode(request, "wrong", "a"); !errors.Is(err, ErrNotFound) {
				t.Fatal(err)
			}
		}
		for range signInAsks - 1 {
			if _, _, err := g.ask("bob@example.org", "client"); err != nil {
				t.Fatal(err)
			}
		}
		mustWrite(t, g.s, func(*Tx) error { // whoever wants to write now waits
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			if _, err := g.s.SpendLink(ctx, sumOf("made up"), NewSession{Token: sumOf("a")}); !errors.Is(err, ErrNotFound) {
				t.Errorf("a link that is none: %v", err)
			}
			if _, err := g.s.SpendCode(ctx, sumOf("made up"), sumOf("code"), NewSession{Token: sumOf("a")}); !errors.Is(err, ErrNotFound) {
				t.Errorf("a code for nothing: %v", err)
			}
			if _, err := g.s.SpendCode(ctx, sumOf("request"+request), sumOf("code"+request), NewSession{Token: sumOf("a")}); !errors.Is(err, ErrNotFound) {
				t.Errorf("a code after too many wrong ones: %v", err)
			}
			if _, err := g.s.AskSignIn(ctx, SignIn{Addr: "a@b", Client: "client", Request: sumOf("x"), Link: sumOf("y"), Code: sumOf("z")}); !errors.Is(err, ErrTooOften) {
				t.Errorf("asked too often: %v", err)
			}
			return nil
		})
	})
}

func TestT40_ACrowdOfStrangersDoesNotFillTheDisk(t *testing.T) {
	gates(t, func(t *testing.T, g *gate) {
		before, atHand := g.mustAsk("ann@example.org", "another"), g.mustAsk("bob@example.org", "")
		crowd := make([]signInRow, mostSignIns)
		for i := range crowd {
			name := fmt.Sprint("crowd ", i)
			crowd[i] = signInRow{
				Request: sumOf("request" + name), Link: sumOf("link" + name), Code: sumOf("code"), Addr: "x@y", Client: short(name),
				At: at(g.now), ExpiresAt: at(g.now.Add(SignInValid)),
			}
		}
		for rows := range slices.Chunk(crowd, 1000) {
			mustWrite(t, g.s, func(tx *Tx) error { return insert(tx, &rows) })
		}
		if mail, err := g.s.AskSignIn(t.Context(), SignIn{Addr: "x@y", Client: "c", Request: sumOf("x"), Link: sumOf("y"), Code: sumOf("z")}); mail || err != nil {
			t.Errorf("a stranger: %v, %v", mail, err)
		}
		name := g.mustAsk("ann@example.org", "another")                              // and nobody is locked out
		if n := count(t, g.s, "SELECT count(*) FROM sign_ins"); n != mostSignIns+2 { // with room for the next one
			t.Errorf("%d wishes are kept, want %d", n, mostSignIns+2)
		}
		if n := count(t, g.s, "SELECT count(*) FROM sign_ins WHERE client = 'crowd 0'"); n != 0 {
			t.Error("the oldest is still there")
		}
		for _, name := range []string{before, atHand, name} {
			if _, err := g.byLink(name, "cookie "+name); err != nil {
				t.Error(err)
			}
		}
		g.now = g.now.Add(SignInValid)
		g.mustAsk("ann@example.org", "another")
		if n := count(t, g.s, "SELECT count(*) FROM sign_ins"); n != 1 {
			t.Errorf("%d wishes are kept, want the last one", n)
		}
	})
}

func TestT40_SessionsEnd(t *testing.T) {
	gates(t, func(t *testing.T, g *gate) {
		start := g.now
		in := func(cookie string) Session {
			t.Helper()
			s, err := g.byLink(g.mustAsk("ann@example.org", "c"), cookie)
			if err != nil {
				t.Fatal(err)
			}
			return s
		}
		used, ended := in("used"), in("ended")
		in("idle")
		if err := g.s.EndSession(t.Context(), "eve@example.org", ended.ID); !errors.Is(err, ErrNotFound) {
			t.Errorf("ended by somebody else: %v", err)
		}
		g.mustBeIn("ended")
		if err := g.s.EndSession(t.Context(), "ann@example.org", ended.ID); err != nil {
			t.Fatal(err)
		}
		g.mustBeOut("ended")
		for g.now.Sub(start) < SessionMost-SessionIdle/2 {
			g.now = g.now.Add(SessionIdle / 2)
			if got := g.mustBeIn("used"); !got.Stale {
				t.Error("its use is to be noted")
			}
			if _, err := g.s.SeeSession(t.Context(), used.ID, nil); err != nil {
				t.Fatal(err)
			}
		}
		g.mustBeOut("idle")
		if list, err := g.s.Sessions(t.Context(), "ann@example.org"); err != nil || len(list) != 1 || list[0].ID != used.ID {
			t.Errorf("what is signed in: %+v, %v", list, err)
		}
		g.now = start.Add(SessionMost)
		g.mustBeOut("used")
		g.mustAsk("bob@example.org", "c")
		if rows, err := read[countRow](t.Context(), g.s, "SELECT count(*) AS n FROM sessions"); err != nil || rows[0].N != 0 {
			t.Errorf("rows are left: %+v, %v", rows, err)
		}
	})
}

func TestT40_ACookieGetsAnotherValueWhileTheOldOneFadesOut(t *testing.T) {
	gates(t, func(t *testing.T, g *gate) {
		s, err := g.byLink(g.mustAsk("ann@example.org", "c"), "first")
		if err != nil {
			t.Fatal(err)
		}
		if got := g.mustBeIn("first"); got.Old || got.Stale {
			t.Errorf("at once: %+v", got)
		}
		if taken, err := g.s.SeeSession(t.Context(), s.ID, sumOf("hasty")); taken || err != nil {
			t.Errorf("renewed at once: %v, %v", taken, err)
		}
		g.now = g.now.Add(sessionNew)
		if !g.mustBeIn("first").Old {
			t.Error("after an hour it is not old")
		}
		for i, want := range []bool{true, false} { // two pages are loaded at once
			if taken, err := g.s.SeeSession(t.Context(), s.ID, sumOf(fmt.Sprint("second", i))); taken != want || err != nil {
				t.Errorf("renewal %d: %v, %v", i, taken, err)
			}
		}
		g.mustBeIn("second0")
		g.mustBeOut("second1")
		if got := g.mustBeIn("first"); got.Old {
			t.Error("its successor is to be renewed at once")
		}
		g.now = g.now.Add(sessionBoth)
		g.mustBeOut("first")
		g.mustBeIn("second0")
	})
}

func TestOnlyPeopleWithATicketHaveAPart(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, s *Store) {
		n := newTicket(t, s)
		mustWrite(t, s, func(tx *Tx) error { return tx.AddParticipant(n.Number, "lea@example.org", "Lea", "cc") })
		for addr, want := range map[string]bool{n.Requester: true, "lea@example.org": true, "eve@example.org": false} {
			if got, err := s.HasPart(t.Context(), []string{"nobody@example.org", addr}); got != want || err != nil {
				t.Errorf("%s: %v, %v", addr, got, err)
			}
		}
	})
}
