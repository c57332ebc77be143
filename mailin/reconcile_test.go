package mailin

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"deskd/mailin/mailintest"
)

// filedMail is a mail with an id of its own.
func filedMail(id string) []byte {
	return []byte("Message-ID: <" + id + ">\r\nReferences: <a@b>\r\n" + letter(id, 300))
}

// begunLongAgo gives a mailbox that was first watched a month ago.
func begunLongAgo(t *testing.T) (*mailintest.Server, *ledger) {
	server, l := mailintest.NewServer(t), newLedger()
	l.start = Start{At: time.Now().Add(-30 * 24 * time.Hour), Validity: 1, UIDNext: 1}
	return server, l
}

// F21: what was filed and is not known is taken in again, by the way that the
// server has, and nothing else is touched.
func TestF21_FiledMailThatTheDeskDoesNotKnowIsTakenInAgain(t *testing.T) {
	t.Parallel()
	for name, capabilities := range map[string]string{"MOVE": mailintest.Full, "no MOVE": mailintest.NoMove, "neither": mailintest.Bare} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				server, l := begunLongAgo(t)
				server.Capabilities = capabilities
				l.lost = map[string]bool{"lost@x": true, "lost-too@x": true, "ancient@x": true, "before-us@x": true, "aside@x": true}
				put := func(folder, id string, ago time.Duration) {
					server.Put(folder, mailintest.Mail{Raw: filedMail(id), Arrived: time.Now().Add(-ago)})
				}
				put("Done", "known@x", time.Hour)
				put("Done", "lost@x", time.Hour)
				put("Done", "lost-too@x", 13*24*time.Hour)
				put("Done", "ancient@x", 15*24*time.Hour) // further back than is looked
				put("Quarantine", "aside@x", time.Hour)
				running(t, piped(server, l, nil))
				pass(10 * time.Second)
				var got []string
				for _, raw := range l.delivered() {
					_, rest, _ := strings.Cut(raw, "<")
					id, _, _ := strings.Cut(rest, ">")
					got = append(got, id)
				}
				for _, id := range []string{"lost@x", "lost-too@x", "aside@x"} {
					if !strings.Contains(strings.Join(got, " "), id) {
						t.Errorf("%s was not taken in again: %q", id, got)
					}
				}
				if len(got) != 3 || len(l.lost) != 2 {
					t.Errorf("taken in again: %q; left %v", got, l.lost)
				}
				for _, c := range server.Verbs("EXPUNGE") {
					t.Errorf("sent %s", c)
				}
				copies := map[string]int{"MOVE": 5, "no MOVE": 5, "neither": 8}[name] // there the originals bear a keyword
				if n := len(server.Folder("Done")) + len(server.Folder("Quarantine")); n != copies {
					t.Errorf("%d mails are filed, want %d", n, copies)
				}
				// A day later it looks again, and leaves what it has brought back.
				looked := len(server.Verbs("EXAMINE"))
				l.mu.Lock()
				l.lost = map[string]bool{"known@x": true}
				l.mu.Unlock()
				pass(23 * time.Hour)
				if n := len(server.Verbs("EXAMINE")); n != looked {
					t.Errorf("looked %d times on the first day, want %d", n, looked)
				}
				pass(2 * time.Hour)
				if n := len(l.delivered()); n != 4 {
					t.Errorf("%d mails after a day, want one more", n)
				}
			})
		})
	}
}

// F21: what lies in the folder that mail comes in to waits until the numbers of
// lost tickets are left out; a desk that never answers that holds up no mail.
func TestF21_NothingIsTakenInBeforeFiledMailWasCompared(t *testing.T) {
	t.Parallel()
	begun := func(t *testing.T) (*mailintest.Server, *ledger) {
		server, l := begunLongAgo(t)
		l.lost = map[string]bool{"lost@x": true}
		server.Put("Done", mailintest.Mail{Raw: filedMail("lost@x")})
		server.Deliver("INBOX", filedMail("new@x"))
		return server, l
	}
	// taken are the attempts to compare, and to decide, in order.
	taken := func(l *ledger) (out []string) {
		for _, s := range l.journal() {
			if s == "missing" || strings.HasPrefix(s, "deliver") {
				out = append(out, s)
			}
		}
		return out
	}
	for name, c := range map[string]struct {
		fails time.Duration // so long
		want  []string
	}{
		"at the start":        {0, []string{"missing", "deliver[2 3]"}},
		"when the desk can":   {firstDeskWait / 4, []string{"missing", "missing", "deliver[2 3]"}},
		"if it ever is to be": {time.Hour / 2, []string{"missing", "missing", "missing", "deliver[2]", "missing", "deliver[4]"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				server, l := begun(t)
				if c.fails > 0 {
					l.failing("missing", errors.New("out of order"))
				}
				running(t, piped(server, l, nil))
				pass(c.fails)
				l.failing("missing", nil)
				pass(2 * time.Hour)
				if diff := cmp.Diff(c.want, taken(l)); diff != "" {
					t.Errorf("steps (-want +got):\n%s", diff)
				}
			})
		})
	}
	t.Run("after a fail-over", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			server, l := begun(t)
			running(t, piped(server, l, nil))
			pass(2 * time.Hour)
			l.failing("pending", errors.New("no connection"))
			l.failing("missing", errors.New("no connection"))
			server.Deliver("INBOX", filedMail("newer@x"))
			pass(time.Minute)
			l.mu.Lock()
			l.lost["new@x"] = true
			l.mu.Unlock()
			l.failing("pending", nil)
			l.failing("missing", nil)
			pass(time.Minute)
			got := taken(l)
			want := []string{"missing", "deliver[2 3]", "missing", "deliver[6 7]"}
			if diff := cmp.Diff(want, slices.Compact(got)); diff != "" {
				t.Errorf("steps (-want +got):\n%s", diff)
			}
		})
	})
}

// F21: all is compared before anything is brought back, over more than one
// step, beside copies of an attempt that did not end and mails that look alike.
func TestF21_AllIsComparedBeforeAnyIsBroughtBack(t *testing.T) {
	t.Parallel()
	for name, capabilities := range map[string]string{"MOVE": mailintest.Full, "no MOVE": mailintest.NoMove, "neither": mailintest.Bare} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				server, l := begunLongAgo(t)
				server.Capabilities = capabilities
				l.lost = map[string]bool{"first@x": true, "last@x": true, "": true}
				put := func(folder string, raw []byte) {
					server.Put(folder, mailintest.Mail{Raw: raw, Arrived: time.Now().Add(-time.Hour)})
				}
				put("Done", filedMail("first@x"))
				for i := range compareChunk + 20 {
					put("Done", filedMail(fmt.Sprint(i, "@x")))
				}
				put("Done", filedMail("last@x"))
				alarm := letter("alarm", 300)
				put("Quarantine", []byte(strings.Replace(alarm, "bye", "one", 1)))
				put("INBOX", []byte(strings.Replace(alarm, "bye", "two", 1)))
				if name != "MOVE" {
					put("INBOX", filedMail("first@x"))
				}
				running(t, piped(server, l, nil))
				pass(time.Minute)
				all := strings.Join(slices.Collect(maps.Values(l.delivered())), "")
				for _, once := range []string{"<first@x>", "<last@x>", "\r\none", "\r\ntwo"} {
					if n := strings.Count(all, once); n != 1 {
						t.Errorf("%q came in %d times", once, n)
					}
				}
				var steps []string
				for _, s := range l.journal() {
					step, _, _ := strings.Cut(s, "[")
					steps = append(steps, step)
				}
				want := []string{"start", "missing", "missing", "missing", "compared"}
				if diff := cmp.Diff(want, steps[:min(len(want), len(steps))]); diff != "" {
					t.Errorf("first steps (-want +got):\n%s", diff)
				}
			})
		})
	}
}

// F21, F4: where UIDs are dealt anew between looking and moving, another mail
// may have one by now: nothing is moved.
func TestF21_NothingIsBroughtBackByAUIDThatMayMeanAnotherMail(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server, l := begunLongAgo(t)
		l.lost = map[string]bool{"lost@x": true}
		server.Put("Done", mailintest.Mail{Raw: filedMail("lost@x")})
		server.Before = func(_ *mailintest.Conn, cmd mailintest.Command) bool {
			if cmd.Verb == "SELECT" && strings.Contains(cmd.Args, "Done") {
				server.Validity++
			}
			return false
		}
		running(t, piped(server, l, nil))
		pass(time.Minute)
		if n := len(server.Folder("Done")); n != 1 || len(l.delivered()) != 0 {
			t.Errorf("%d mails are left, %d came in", n, len(l.delivered()))
		}
		server.Heal()
		l.mu.Lock()
		l.lost["lost@x"] = true
		l.mu.Unlock()
		pass(reconcileEvery + time.Hour)
		if n := len(l.delivered()); n != 1 {
			t.Errorf("%d mails came in afterwards, want 1", n)
		}
	})
}

// F21, F10: a server that hangs over filed mail holds up what is new three
// times for as long as a command may take, and once an hour from then on.
func TestF21_AServerThatHangsOverFiledMailHoldsUpLittle(t *testing.T) {
	t.Parallel()
	for _, verb := range []string{"EXAMINE", "FETCH"} {
		t.Run(verb, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				server, l := begunLongAgo(t)
				server.Put("Done", mailintest.Mail{Raw: filedMail("lost@x")})
				var hung atomic.Int64
				inDone := false
				server.Before = func(_ *mailintest.Conn, cmd mailintest.Command) bool {
					if opens := cmd.Verb == "SELECT" || cmd.Verb == "EXAMINE"; opens {
						inDone = strings.Contains(cmd.Args, "Done")
					}
					if inDone && strings.HasSuffix(cmd.Verb, verb) {
						hung.Add(1)
						return true
					}
					return false
				}
				s := piped(server, l, nil)
				running(t, s)
				server.Deliver("INBOX", []byte(letter("new", 300)))
				pass(reconcileTries * (s.cfg.Command + 5*time.Second))
				if l.filed() != 1 {
					t.Errorf("%d new mails filed, want 1", l.filed())
				}
				pass(10 * time.Hour)
				if n := hung.Load(); n < reconcileTries+8 || n > reconcileTries+10 {
					t.Errorf("it hung %d times", n)
				}
			})
		})
	}
}

// F21: a desk that begins on a mailbox with a folder of that name leaves alone
// what others have put there.
func TestF21_WhatWasFiledBeforeTheFirstStartIsLeftAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server, l := mailintest.NewServer(t), newLedger()
		l.lost = map[string]bool{"old@x": true}
		server.Put("Done", mailintest.Mail{Raw: filedMail("old@x"), Arrived: time.Now().Add(-time.Hour)})
		running(t, piped(server, l, func(c *Config) { c.Import = "all" }))
		pass(time.Minute)
		if len(l.delivered()) != 0 || len(server.Folder("Done")) != 1 {
			t.Errorf("taken in: %v", l.delivered())
		}
	})
}

// F21: a server that will not show what is filed holds up no new mail.
func TestF21_RefusedLookAtFiledMailHoldsUpNobody(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]string{"EXAMINE": "NO", "SEARCH": "NO", "FETCH": "NO", "MOVE": "NO", "hangs up": ""} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				server, l := begunLongAgo(t)
				l.lost = map[string]bool{"lost@x": true}
				server.Put("Done", mailintest.Mail{Raw: filedMail("lost@x")})
				inDone := false
				server.Before = func(c *mailintest.Conn, cmd mailintest.Command) bool {
					opens := cmd.Verb == "SELECT" || cmd.Verb == "EXAMINE"
					if opens {
						inDone = strings.Contains(cmd.Args, "Done")
					}
					switch {
					case answer == "" && inDone && opens:
						c.Close()
						return true
					case inDone && strings.HasSuffix(cmd.Verb, name):
						c.Send("%s NO not today", cmd.Tag)
						return true
					}
					return false
				}
				running(t, piped(server, l, nil))
				pass(time.Minute)
				server.Deliver("INBOX", []byte(letter("new", 300)))
				pass(time.Minute)
				if l.filed() != 1 {
					t.Errorf("%d new mails filed, want 1", l.filed())
				}
				if n := len(server.Connections()); n > reconcileTries+1 {
					t.Errorf("%d connections in two minutes", n)
				}
				server.Heal()
				l.mu.Lock()
				l.lost["lost@x"] = true
				l.mu.Unlock()
				pass(2 * time.Hour)
				if l.filed() != 2 {
					t.Errorf("%d mails filed after the server came round, want the lost one too", l.filed())
				}
			})
		})
	}
}
