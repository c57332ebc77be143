package mailin

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emersion/go-imap/v2/imapserver/imapmemserver"

	"deskd/mailin/mailintest"
)

// body says whether the command asks for a mail's body.
func wantsBody(cmd mailintest.Command) bool {
	return cmd.Verb == "UID FETCH" && strings.Contains(cmd.Args, "BODY.PEEK") && !strings.Contains(cmd.Args, "HEADER.FIELDS")
}

// F8: no mail is made of a body that was cut short, wherever the cut is, and
// the mail is taken after the next connection.
func TestF08_ConnectionCutAtEveryByteOfABody(t *testing.T) {
	t.Parallel()
	raw := letter("cut", 150)
	for _, how := range []string{"literal", "quoted"} {
		for offset := 0; offset < len(raw)+120; offset++ {
			synctest.Test(t, func(t *testing.T) {
				server, l := mailintest.NewServer(t), newLedger()
				text := raw
				if how == "quoted" { // an nstring may be quoted, too
					text = "short, and without line ends"
				}
				server.Deliver("INBOX", []byte(text))
				var cut, whole int
				server.Before = func(c *mailintest.Conn, cmd mailintest.Command) bool {
					if !wantsBody(cmd) {
						return false
					}
					answer := c.Answer(cmd)
					if how == "quoted" {
						answer = bytes.Replace(answer, []byte(fmt.Sprintf("{%d}\r\n%s", len(text), text)), []byte(`"`+text+`"`), 1)
					}
					whole = len(answer)
					if cut++; cut == 1 && offset < len(answer) {
						c.Raw(answer[:offset])
						c.Close()
						return true
					}
					c.Raw(answer)
					return true
				}
				running(t, piped(server, l, func(c *Config) { c.Import = "all" }))
				synctest.Wait()
				if offset < whole && l.filed() != 0 {
					t.Fatalf("%s: cut after %d of %d bytes: filed", how, offset, whole)
				}
				pass(10 * time.Second)
				if got := l.delivered()[1]; got != text || l.filed() != 1 || len(l.taken()) != 1 {
					t.Fatalf("%s: cut after %d of %d bytes: delivered %d times, %q", how, offset, whole, len(l.taken()), got)
				}
			})
		}
	}
}

// F9: an OK without the mail leaves the mail pending, counts the attempt, and
// holds up nobody.
func TestF09_AnswersWithoutTheMail(t *testing.T) {
	t.Parallel()
	raw := letter("never seen", 200)
	for name, answer := range map[string]string{
		"nothing":           "",
		"NIL":               "* 1 FETCH (UID 1 BODY[] NIL)\r\n",
		"empty literal":     "* 1 FETCH (UID 1 BODY[] {0}\r\n)\r\n",
		"empty string":      "* 1 FETCH (UID 1 BODY[] \"\")\r\n",
		"no body":           "* 1 FETCH (UID 1 FLAGS (\\Seen))\r\n",
		"another UID":       "* 1 FETCH (UID 99 BODY[] {4}\r\nhaha)\r\n",
		"no UID":            "* 1 FETCH (BODY[] {4}\r\nhaha)\r\n",
		"UID after":         "* 1 FETCH (BODY[] {4}\r\nhaha UID 1)\r\n",
		"flags before":      "* 1 FETCH (UID 1 FLAGS ())\r\n* 1 FETCH (UID 1 BODY[] {4}\r\nhaha)\r\n",
		"another section":   "* 1 FETCH (UID 1 BODY[TEXT] {4}\r\nhaha)\r\n",
		"UID twice, unlike": "twice",
		"NO":                "NO",
		"BAD":               "BAD",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				server, l := mailintest.NewServer(t), newLedger()
				server.Deliver("INBOX", []byte(raw))
				server.Deliver("INBOX", []byte(letter("second", 200)))
				calls := 0
				server.Before = func(c *mailintest.Conn, cmd mailintest.Command) bool {
					set, _, _ := strings.Cut(cmd.Args, " ")
					if !wantsBody(cmd) || !mailintest.Set(set)(1, 2) {
						return false
					}
					calls++
					switch answer {
					case "NO", "BAD":
						c.Send("%s %s [SERVERBUG] cannot", cmd.Tag, answer)
						return true
					case "twice": // two bodies, of the wrong size and never the same
						c.Raw([]byte(fmt.Sprintf("* 1 FETCH (UID 1 BODY[] {4}\r\n%04d)\r\n* 1 FETCH (UID 1 BODY[] {4}\r\nabcd)\r\n", calls)))
					default:
						c.Raw([]byte(answer))
					}
					if mailintest.Set(set)(2, 2) {
						rest := cmd
						rest.Args = strings.Replace(cmd.Args, set, "2", 1)
						c.Raw(c.Answer(rest))
						return true
					}
					c.Send("%s OK done", cmd.Tag)
					return true
				}
				running(t, piped(server, l, func(c *Config) { c.Import = "all" }))
				pass(time.Second)
				if !l.get(2).filed {
					t.Errorf("the mail behind it was held up: %q", l.journal())
				}
				pass(time.Hour)
				r := l.get(1)
				if r.file != Undecided || r.filed || r.gone {
					t.Errorf("the mail is decided on: %+v", r)
				}
				if r.seen < 3 || r.seen > 40 {
					t.Errorf("%d attempts in an hour", r.seen)
				}
				if n := len(server.Folder("INBOX")); n != 1 {
					t.Errorf("%d mails in INBOX, want 1", n)
				}
				if c := l.told(); c.OK || c.Waiting != 1 {
					t.Errorf("contact = %+v, want to hear of it", c)
				}
				server.Heal()
				pass(20 * time.Minute)
				if got := l.delivered()[1]; got != raw {
					t.Errorf("after the server had recovered: %q", got)
				}
			})
		})
	}
}

// F9: a mail on which the server hangs up, or gives something unreadable.
func TestF09_MailThatCostsTheConnectionHoldsUpNobody(t *testing.T) {
	t.Parallel()
	for name, where := range map[string]string{
		"hangs up at the body":  "BODY.PEEK",
		"hangs up at the sizes": "INTERNALDATE",
		"unreadable date":       "date",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				server, l := mailintest.NewServer(t), newLedger()
				for range 5 {
					server.Deliver("INBOX", []byte(letter("x", 200)))
				}
				server.Before = func(c *mailintest.Conn, cmd mailintest.Command) bool {
					set, items, _ := strings.Cut(cmd.Args, " ")
					if cmd.Verb != "UID FETCH" || !mailintest.Set(set)(3, 100) {
						return false
					}
					if where == "date" && strings.Contains(items, "INTERNALDATE") {
						c.Send(`* 3 FETCH (UID 3 INTERNALDATE "yesterday" RFC822.SIZE 12)`)
						c.Send("%s OK", cmd.Tag)
						return true
					}
					if !strings.Contains(items, where) {
						return false
					}
					c.Send("* BYE the disk is broken here")
					c.Close()
					return true
				}
				running(t, piped(server, l, func(c *Config) { c.Import = "all" }))
				pass(3 * time.Minute)
				for uid := uint32(1); uid <= 5; uid++ {
					want := uid != 3 || where != "BODY.PEEK" // the sizes can be asked for in another way
					if got := l.get(uid).filed; got != want {
						t.Errorf("UID %d filed = %v, want %v", uid, got, want)
					}
				}
				for _, b := range l.taken() {
					for _, f := range b {
						if strings.Contains(string(f.Raw), "|twice|") {
							t.Error("delivered twice")
						}
					}
				}
			})
		})
	}
}

// F9: many mails on which the server hangs up hold up nobody either.
func TestF09_ManyMailsThatCostTheConnectionHoldUpNobody(t *testing.T) {
	t.Parallel()
	for _, what := range []string{"BODY.PEEK", "RFC822.SIZE"} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				server, l := mailintest.NewServer(t), newLedger()
				for range 20 {
					server.Deliver("INBOX", []byte(letter("bad", 200)))
				}
				server.Before = func(c *mailintest.Conn, cmd mailintest.Command) bool {
					set, items, _ := strings.Cut(cmd.Args, " ")
					if cmd.Verb != "UID FETCH" || !strings.Contains(items, what) {
						return false
					}
					for uid := range uint32(20) {
						if mailintest.Set(set)(uid+1, 1000) {
							c.Close()
							return true
						}
					}
					return false
				}
				running(t, piped(server, l, func(c *Config) { c.Import = "all" }))
				for n := 1; n <= 5; n++ {
					pass(time.Hour)
					server.Deliver("INBOX", []byte(letter("good", 200)))
					pass(6 * time.Minute) // with the longest wait between connections
					if l.filed() != n {
						t.Fatalf("%d filed, want the %d good mails", l.filed(), n)
					}
				}
				server.Heal()
				pass(30 * time.Minute)
				if l.filed() != 25 {
					t.Errorf("after the server had recovered: %d filed", l.filed())
				}
			})
		})
	}
}

// F9: a mail that was there before the first start is left alone, and so costs
// nothing: not even the last of the folder, with a date that cannot be read.
func TestF09_OldMailWithAnUnreadableDateCostsNoConnection(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server, l := mailintest.NewServer(t), newLedger()
		server.Deliver("INBOX", []byte(letter("old", 100)))
		server.Before = func(c *mailintest.Conn, cmd mailintest.Command) bool {
			set, items, _ := strings.Cut(cmd.Args, " ")
			if cmd.Verb != "UID FETCH" || !strings.Contains(items, "INTERNALDATE") || !mailintest.Set(set)(1, 1) {
				return false
			}
			c.Send(`* 1 FETCH (UID 1 INTERNALDATE "yesterday" RFC822.SIZE 12)`)
			return said(c, "%s OK", cmd.Tag)
		}
		running(t, piped(server, l, nil))
		pass(time.Hour)
		if n := len(server.Connections()); n != 1 || !l.told().OK {
			t.Errorf("%d connections in an hour, contact %+v; want 1, all well", n, l.told())
		}
	})
}

// F9: a mail that SEARCH misses and FETCH still shows is neither gone nor a
// reason to ask without pause.
func TestF09_SearchThatMissesAMailKeepsNobodyBusy(t *testing.T) {
	t.Parallel()
	for verb, answer := range map[string]string{"UID FETCH": "OK here you are", "UID MOVE": "NO cannot"} {
		for name, found := range map[string]string{"nothing": "", "others": " 1 3", "more than asked for": " 1 2 3"} {
			t.Run(verb+" and SEARCH gives "+name, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					server, l := mailintest.NewServer(t), newLedger()
					var commands, refused int
					server.Before = func(c *mailintest.Conn, cmd mailintest.Command) bool {
						commands++
						switch {
						case commands > 500:
							c.Stall()
							return true
						case cmd.Verb == "UID SEARCH" && refused > 1:
							c.Send("* SEARCH%s", found)
							return said(c, "%s OK", cmd.Tag)
						case cmd.Verb == verb && (wantsBody(cmd) || verb == "UID MOVE"):
							refused++
							return said(c, "%s %s", cmd.Tag, answer)
						}
						return false
					}
					running(t, piped(server, l, nil))
					pass(time.Minute)
					server.Put("INBOX", mailintest.Mail{UID: 2, Raw: []byte(letter("x", 100))})
					pass(13 * time.Minute)
					if c := l.told(); c.OK || c.Waiting == 0 {
						t.Errorf("contact = %+v, want to hear of it", c)
					}
					if commands > 500 || len(server.Connections()) != 1 {
						t.Errorf("%d commands over %d connections in a quarter of an hour", commands, len(server.Connections()))
					}
					if r := l.get(2); r.gone || r.filed {
						t.Errorf("the mail was written off: %+v", r)
					}
				})
			})
		}
	}
}

// F10: a server that says nothing more is noticed within two minutes, whatever
// it was doing, and with the longest times that the settings allow.
func TestF10_SilentServerIsNoticed(t *testing.T) {
	t.Parallel()
	for _, verb := range []string{
		"CONNECT", "CAPABILITY", "AUTHENTICATE", "NAMESPACE", "LIST", "CREATE", "SELECT", "NOOP", "UID SEARCH",
		"UID FETCH", "body", "mid-body", "UID MOVE", "IDLE", "idling", "DONE", "polled",
	} {
		t.Run(verb, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				server, l := mailintest.NewServer(t), newLedger()
				server.Deliver("INBOX", []byte(letter("x", 200)))
				if verb == "polled" {
					server.Capabilities = strings.Replace(mailintest.Full, "IDLE ", "", 1)
				}
				began := time.Now()
				var stalled time.Time
				server.Before = func(c *mailintest.Conn, cmd mailintest.Command) bool {
					// The first waits are short; what counts is a long one.
					later := time.Since(began) > time.Minute
					switch {
					case !stalled.IsZero():
						return false
					case cmd.Verb == "IDLE" && verb == "idling" && later:
						c.Send("+ idling")
					case cmd.Verb == "UID FETCH" && verb == "polled" && later:
						c.Raw(c.Answer(cmd))
					case cmd.Verb == "IDLE" || cmd.Verb == "DONE":
						if verb != cmd.Verb || !later {
							return false
						}
					case verb == cmd.Verb, verb == "body" && wantsBody(cmd):
					case verb == "mid-body" && wantsBody(cmd):
						c.Raw(c.Answer(cmd)[:120])
					default:
						return false
					}
					stalled = time.Now()
					c.Stall()
					return true
				}
				running(t, piped(server, l, func(c *Config) {
					c.Import = "all"
					c.Idle, c.Poll, c.Command, c.Body = maxIdle, maxPoll, maxCommand, maxBody
				}))
				limit := 2*time.Minute + 10*time.Second // with the wait before the next connection
				if verb == "body" || verb == "mid-body" {
					limit = 5*time.Minute + 10*time.Second
				}
				pass(2 * time.Minute)
				if stalled.IsZero() {
					t.Fatal("it was never asked")
				}
				pass(time.Until(stalled.Add(limit)))
				connections := server.Connections()
				if len(connections) < 2 {
					t.Fatalf("the silence was not noticed within %s", limit)
				}
				pass(time.Minute)
				if l.filed() != 1 || len(l.taken()) != 1 {
					t.Errorf("filed %d, delivered %d times; want 1, 1", l.filed(), len(l.taken()))
				}
			})
		})
	}
}

// F10: between connections the wait grows from a second to five minutes, with
// jitter.
func TestF10_WaitsGrowBetweenConnections(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLedger()
		var dials []time.Time
		s := New(settings("127.0.0.1:143"), l, quiet())
		s.dial = func(context.Context, string, string) (net.Conn, error) {
			dials = append(dials, time.Now())
			return nil, errors.New("no route to host")
		}
		stop := running(t, s)
		pass(24 * time.Hour)
		stop()
		if n := len(dials); n < 24*12 || n > 24*60 {
			t.Errorf("%d attempts in a day", n)
		}
		if first := dials[1].Sub(dials[0]); first > time.Second || first < leastWait {
			t.Errorf("first wait = %s", first)
		}
		var waits []time.Duration
		for i := 1; i < len(dials); i++ {
			waits = append(waits, dials[i].Sub(dials[i-1]))
		}
		if longest := slices.Max(waits); longest > 5*time.Minute || longest < 2*time.Minute {
			t.Errorf("longest wait = %s", longest)
		}
		slices.Sort(waits)
		if len(slices.Compact(waits)) < 100 {
			t.Error("waits have no jitter")
		}
		if c := l.told(); c.OK || c.Retry.IsZero() || !strings.Contains(c.Err, "cannot reach") {
			t.Errorf("contact = %+v", c)
		}
	})
}

// F11: mail is found within five minutes even when the server never tells.
func TestF11_MailThatIsNeverReportedIsFound(t *testing.T) {
	t.Parallel()
	for _, caps := range []string{mailintest.Full, mailintest.Bare} {
		synctest.Test(t, func(t *testing.T) {
			server, l := mailintest.NewServer(t), newLedger()
			server.Quiet, server.Capabilities = true, caps
			running(t, piped(server, l, func(c *Config) { c.Idle = maxIdle }))
			for n := 1; n <= 3; n++ {
				pass(7 * time.Minute)
				server.Deliver("INBOX", []byte(letter("x", 100)))
				pass(5 * time.Minute)
				if len(l.delivered()) != n {
					t.Fatalf("%s: %d mails delivered, want %d", caps, len(l.delivered()), n)
				}
			}
		})
	}
}

// F11: a UID that a look for news would miss is found by the full search.
func TestF11_FullSearchFindsWhatTheLookForNewsMissed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server, l := mailintest.NewServer(t), newLedger()
		server.Put("INBOX", mailintest.Mail{UID: 100, Raw: []byte(letter("x", 100))})
		running(t, piped(server, l, func(c *Config) { c.Import = "all" }))
		pass(time.Minute)
		server.Put("INBOX", mailintest.Mail{UID: 50, Raw: []byte(letter("late", 100))})
		pass(5 * time.Minute)
		if !l.get(50).filed {
			t.Error("the mail with the lower UID was not found")
		}
	})
}

// F11: IDLE is ended and begun again as the settings say, and within nine
// minutes at the latest.
func TestF11_IdleIsRenewed(t *testing.T) {
	t.Parallel()
	for _, idle := range []time.Duration{10 * time.Second, 90 * time.Second, maxIdle} {
		synctest.Test(t, func(t *testing.T) {
			server, l := mailintest.NewServer(t), newLedger()
			running(t, piped(server, l, func(c *Config) { c.Idle = idle }))
			pass(2 * time.Hour)
			idles := server.Verbs("IDLE")
			for i := 1; i < len(idles); i++ {
				if gap := idles[i].At.Sub(idles[i-1].At); gap > idle || gap > 9*time.Minute {
					t.Fatalf("IDLE ran for %s, want %s", gap, idle)
				}
			}
			if len(idles) < int(2*time.Hour/idle) || len(server.Connections()) != 1 {
				t.Errorf("%d IDLE commands over %d connections", len(idles), len(server.Connections()))
			}
		})
	}
}

// F11: a server that advertises IDLE and then refuses it is polled.
func TestF11_RefusedIdleFallsBackToPolling(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server, l := mailintest.NewServer(t), newLedger()
		server.Before = func(c *mailintest.Conn, cmd mailintest.Command) bool {
			if cmd.Verb == "IDLE" {
				c.Send("%s NO not today", cmd.Tag)
			}
			return cmd.Verb == "IDLE"
		}
		running(t, piped(server, l, nil))
		pass(time.Minute)
		server.Deliver("INBOX", []byte(letter("x", 100)))
		pass(30 * time.Second)
		if l.filed() != 1 || l.told().Idle || len(server.Connections()) != 1 {
			t.Errorf("filed %d over %d connections, contact %+v", l.filed(), len(server.Connections()), l.told())
		}
	})
}

// A server that cries wolf gets a few looks a minute, no more.
func TestNewsWithoutMailDoNotKeepUsBusy(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server, l := mailintest.NewServer(t), newLedger()
		server.Before = func(c *mailintest.Conn, cmd mailintest.Command) bool {
			if cmd.Verb == "IDLE" {
				c.Raw([]byte("* 7 EXISTS\r\n"))
			}
			return false
		}
		running(t, piped(server, l, nil))
		pass(10 * time.Minute)
		if n := len(server.Verbs("IDLE")); n > 300 {
			t.Errorf("%d looks in ten minutes", n)
		}
	})
}

// F12: whether a person has read a mail means nothing.
func TestF12_MailReadByAPersonIsTakenAndNeverMarked(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server, l := mailintest.NewServer(t), newLedger()
		server.Put("INBOX", mailintest.Mail{Raw: []byte(letter("x", 100)), Flags: []string{`\Seen`, `\Flagged`, `\Answered`}})
		server.Put("INBOX", mailintest.Mail{Raw: []byte(letter("y", 100))})
		running(t, piped(server, l, func(c *Config) { c.Import = "all" }))
		synctest.Wait()
		if l.filed() != 2 {
			t.Errorf("%d filed, want 2", l.filed())
		}
		folder := ""
		for _, c := range server.Journal() {
			line := c.String()
			if c.Verb == "SELECT" || c.Verb == "EXAMINE" {
				folder = mailintest.Quoted(c.Args)[0]
			}
			if folder != "INBOX" { // what is filed is looked at by date
				continue
			}
			if strings.Contains(line, "UNSEEN") || strings.Contains(line, "SINCE") ||
				strings.Contains(line, "BODY[") || strings.Contains(line, "ENVELOPE") || strings.Contains(line, "BODYSTRUCTURE") {
				t.Errorf("sent %q", line)
			}
		}
	})
}

// F13: a refused COPY is followed by nothing, and other people's deleted mails
// survive.
func TestF13_RefusedCopyLeavesEverythingInPlace(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"NO [OVERQUOTA] full", "NO [TRYCREATE] no folder", "NO no", "BAD what"} {
		t.Run(text, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				server, l := mailintest.NewServer(t), newLedger()
				server.Capabilities = mailintest.NoMove
				server.Put("INBOX", mailintest.Mail{Raw: []byte(letter("x", 100))})
				server.Put("INBOX", mailintest.Mail{Raw: []byte(letter("other", 100)), Flags: []string{`\Deleted`}})
				server.Before = func(c *mailintest.Conn, cmd mailintest.Command) bool {
					if cmd.Verb == "UID COPY" {
						c.Send("%s %s", cmd.Tag, text)
					}
					return cmd.Verb == "UID COPY"
				}
				running(t, piped(server, l, func(c *Config) { c.Import = "all" }))
				pass(time.Hour)
				for _, verb := range []string{"UID STORE", "STORE", "UID EXPUNGE", "EXPUNGE", "CLOSE"} {
					if got := server.Verbs(verb); len(got) != 0 {
						t.Errorf("sent %q", got)
					}
				}
				if len(server.Folder("INBOX")) != 2 || len(l.delivered()) != 2 {
					t.Errorf("%d mails in INBOX, want 2; %d delivered", len(server.Folder("INBOX")), len(l.delivered()))
				}
			})
		})
	}
}

func TestF13_WithoutMoveOnlyOwnMailIsRemoved(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server, l := mailintest.NewServer(t), newLedger()
		server.Capabilities = mailintest.NoMove
		other := server.Put("INBOX", mailintest.Mail{Raw: []byte(letter("other", 100)), Flags: []string{`\Deleted`}})
		server.Deliver("INBOX", []byte(letter("x", 100)))
		l.rows[ledgerKey{1, other}] = &ledgerRow{filed: true} // not ours
		running(t, piped(server, l, func(c *Config) { c.Import = "all" }))
		synctest.Wait()
		if in := server.Folder("INBOX"); len(in) != 1 || in[0].UID != other {
			t.Errorf("INBOX = %+v, want the other's mail alone", in)
		}
		if n := len(server.Folder("Done")); n != 1 {
			t.Errorf("%d mails in Done, want 1", n)
		}
		if got := server.Verbs("EXPUNGE"); len(got) != 0 {
			t.Errorf("sent %q", got)
		}
	})
}

func TestF13_WithoutMoveAndUIDPlusOriginalsBearAKeyword(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server, l := mailintest.NewServer(t), newLedger()
		server.Capabilities = mailintest.Bare
		server.Deliver("INBOX", []byte(letter("x", 100)))
		s := piped(server, l, func(c *Config) { c.Import = "all" })
		stop := running(t, s)
		pass(time.Hour)
		stop()
		check := func() {
			t.Helper()
			in := server.Folder("INBOX")
			if len(in) != 1 || !slices.Contains(in[0].Flags, string(filedMark)) || slices.Contains(in[0].Flags, `\Deleted`) {
				t.Errorf("INBOX = %+v, want the original under the keyword", in)
			}
			if n := len(server.Folder("Done")); n != 1 {
				t.Errorf("%d copies in Done, want 1", n)
			}
			if got := server.Verbs("EXPUNGE"); len(got) != 0 {
				t.Errorf("sent %q", got)
			}
		}
		check()
		// A desk that has lost its memory skips mail with the keyword.
		forgetful := newLedger()
		forgetful.start = l.start
		running(t, piped(server, forgetful, func(c *Config) { c.Import = "all" }))
		pass(time.Hour)
		if len(forgetful.taken()) != 0 {
			t.Error("a mail that bears the keyword was delivered again")
		}
		check()
	})
}

// F13: the library falls back to COPY, STORE and EXPUNGE by itself when the
// server takes MOVE back after the login.
func TestF13_MoveThatIsTakenBackRemovesNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server, l := mailintest.NewServer(t), newLedger()
		server.Deliver("INBOX", []byte(letter("x", 100)))
		server.Put("Elsewhere", mailintest.Mail{Raw: []byte("x")})
		server.Before = func(c *mailintest.Conn, cmd mailintest.Command) bool {
			if wantsBody(cmd) {
				c.Send("* CAPABILITY IMAP4rev1")
			}
			return false
		}
		running(t, piped(server, l, func(c *Config) { c.Import = "all" }))
		pass(time.Hour)
		for _, verb := range []string{"UID COPY", "UID STORE", "UID EXPUNGE", "EXPUNGE"} {
			if got := server.Verbs(verb); len(got) != 0 {
				t.Errorf("sent %q", got)
			}
		}
		if len(server.Folder("INBOX"))+len(server.Folder("Done")) != 1 || len(l.taken()) != 1 {
			t.Errorf("INBOX %d, Done %d, delivered %d times", len(server.Folder("INBOX")), len(server.Folder("Done")), len(l.taken()))
		}
	})
}

func TestF13_PlainExpungeCannotBeSent(t *testing.T) {
	t.Parallel()
	ours, theirs := net.Pipe()
	defer theirs.Close()
	g := newGuard(ours, ours)
	if _, err := g.Write([]byte("T9 EXPUNGE\r\n")); err == nil || g.Err() == nil {
		t.Error("EXPUNGE was sent")
	}
}

// F14: mail that cannot be filed is decided on once, others go on, and the
// page hears of it.
func TestF14_FilingThatFailsForEver(t *testing.T) {
	t.Parallel()
	for _, caps := range []string{mailintest.Full, mailintest.NoMove, mailintest.Bare} {
		for _, refused := range []string{"UID MOVE UID COPY", "UID STORE"} {
			if caps == mailintest.Full && refused == "UID STORE" {
				continue
			}
			t.Run(caps[:min(20, len(caps))]+refused, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					server, l := mailintest.NewServer(t), newLedger()
					server.Capabilities = caps
					for range 20 {
						server.Deliver("INBOX", []byte(letter("x", 100)))
					}
					server.Before = func(c *mailintest.Conn, cmd mailintest.Command) bool {
						if strings.Contains(refused, cmd.Verb) {
							c.Send("%s NO [NOPERM] read only", cmd.Tag)
							return true
						}
						return false
					}
					running(t, piped(server, l, func(c *Config) { c.Import = "all" }))
					pass(25 * time.Hour) // 100 rounds of 15 minutes
					server.Deliver("INBOX", []byte(letter("later", 100)))
					pass(time.Minute)
					if n := len(l.delivered()); n != 21 || len(l.taken()) != 2 {
						t.Errorf("%d mails delivered in %d batches, want 21 in 2", n, len(l.taken()))
					}
					for _, got := range l.delivered() {
						if strings.Contains(got, "|") {
							t.Fatal("delivered twice")
						}
					}
					if c := l.told(); c.OK || c.Waiting != 21 || !strings.Contains(c.Err, "21 done but not filed: read only") {
						t.Errorf("contact = %+v", c)
					}
					if n := len(server.Folder("Done")); n > 21 {
						t.Errorf("%d copies in Done", n)
					}
					if n := len(server.Verbs("UID MOVE")) + len(server.Verbs("UID COPY")) + len(server.Verbs("UID STORE")); n > 21*110 {
						t.Errorf("%d attempts in 25 hours", n)
					}
					if n := len(server.Connections()); n != 1 {
						t.Errorf("%d connections", n)
					}
					server.Heal()
					pass(20 * time.Minute)
					if l.filed() != 21 || len(server.Folder("Done")) != 21 || !l.told().OK {
						t.Errorf("after the server had recovered: %d filed, %d in Done, contact %+v", l.filed(), len(server.Folder("Done")), l.told())
					}
				})
			})
		}
	}
}

// F14: one mail that cannot be moved does not keep its batch in the way.
func TestF14_OneMailThatCannotBeFiledSpoilsNoOther(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server, l := mailintest.NewServer(t), newLedger()
		for range 10 {
			server.Deliver("INBOX", []byte(letter("x", 100)))
		}
		server.Before = func(c *mailintest.Conn, cmd mailintest.Command) bool {
			set, _, _ := strings.Cut(cmd.Args, " ")
			if cmd.Verb == "UID MOVE" && mailintest.Set(set)(4, 10) {
				c.Send("%s NO this one is stuck", cmd.Tag)
				return true
			}
			return false
		}
		running(t, piped(server, l, func(c *Config) { c.Import = "all" }))
		synctest.Wait()
		if in := server.Folder("INBOX"); l.filed() != 9 || len(in) != 1 || in[0].UID != 4 {
			t.Errorf("%d filed, INBOX %+v", l.filed(), in)
		}
	})
}

// F14: a mail that costs the connection when it is moved holds up neither the
// filing of others nor the reading of new mail.
func TestF14_MailThatCostsTheConnectionWhenFiledHoldsUpNobody(t *testing.T) {
	t.Parallel()
	for _, caps := range []string{mailintest.Full, mailintest.NoMove, mailintest.Bare} {
		synctest.Test(t, func(t *testing.T) {
			server, l := mailintest.NewServer(t), newLedger()
			server.Capabilities = caps
			for range 10 {
				server.Deliver("INBOX", []byte(letter("x", 100)))
			}
			server.Before = func(c *mailintest.Conn, cmd mailintest.Command) bool {
				set, _, _ := strings.Cut(cmd.Args, " ")
				if cmd.Verb != "UID MOVE" && cmd.Verb != "UID COPY" || !mailintest.Set(set)(4, 10) {
					return false
				}
				c.Send("* BYE internal error")
				c.Close()
				return true
			}
			running(t, piped(server, l, func(c *Config) { c.Import = "all" }))
			pass(5 * time.Minute)
			later := server.Deliver("INBOX", []byte(letter("later", 100)))
			pass(time.Minute)
			if l.filed() != 10 || l.get(4).filed || !l.get(later).filed {
				t.Errorf("%s: %d filed, want all but UID 4: %q", caps, l.filed(), l.journal())
			}
			pass(time.Hour)
			heard := func() bool {
				c := l.told()
				return !c.OK && c.Waiting == 1 && strings.Contains(c.Err, "1 done but not filed")
			}
			if !heard() { // the connection was lost just now by another try
				pass(10 * time.Second)
			}
			if c := l.told(); !heard() {
				t.Errorf("%s: contact = %+v, want to hear of it", caps, c)
			}
			if n := len(server.Connections()); n > 20 {
				t.Errorf("%s: %d connections in an hour", caps, n)
			}
			server.Heal()
			pass(20 * time.Minute)
			if l.filed() != 11 || len(server.Folder("Done")) != 11 || len(l.delivered()) != 11 {
				t.Errorf("%s: after the server had recovered: %d filed, %d in Done", caps, l.filed(), len(server.Folder("Done")))
			}
		})
	}
}

// F15: whatever a server says, the connection ends, waits grow, and memory
// does not.
func TestF15_GarbageEndsTheConnection(t *testing.T) {
	deep := strings.Repeat("(", 5000)
	for _, c := range []struct {
		name, verb string // what is answered with
		say        func(c *mailintest.Conn, tag string)
	}{
		{"garbage greeting", "CONNECT", lines("\x00\xff\x07 SSH-2.0-OpenSSH\r\n")},
		{"HTTP", "CONNECT", lines("HTTP/1.1 400 Bad Request\r\n\r\n")},
		{"BYE at once", "CONNECT", lines("* BYE too many connections\r\n")},
		{"PREAUTH", "CONNECT", lines("* PREAUTH welcome\r\n")},
		{"line without end", "CONNECT", endless("* OK ", "a", 100<<20)},
		{"capability without end", "CAPABILITY", endless("* CAPABILITY", " X", 100<<20)},
		{"greetings without end", "CAPABILITY", endless("", "* OK still here\r\n", 100<<20)},
		{"unknown tag", "NOOP", lines("T999 OK\r\n")},
		{"unknown response", "NOOP", lines("* FROBNICATE\r\n")},
		{"deep list", "NOOP", lines("* LIST " + deep + "\r\n")},
		{"deep structure", "NOOP", lines("* 1 FETCH (BODYSTRUCTURE " + deep + "\r\n")},
		{"deep structure in pieces", "NOOP", endless("* 1 FETCH (BODYSTRUCTURE ", "(", 10<<20)},
		{"string without end", "NOOP", endless(`* 1 FETCH (UID 1 ENVELOPE ("`, "line\r\n", 100<<20)},
		{"huge name", "NOOP", endless("* LIST () \"/\" {100000000}\r\n", "a", 100<<20)},
		{"huge envelope", "NOOP", endless("* 1 FETCH (ENVELOPE ({100000000}\r\n", "a", 100<<20)},
		{"hidden literal", "NOOP", endless("* 1 FETCH (ENVELOPE (\"BODY[] {100000000}\r\n", "a", 100<<20)},
		{"words that look like a literal", "NOOP", endless("* OK BODY[] {100000000}\r\n", "a", 100<<20)},
		{"300 MB literal", "body", endless("* 1 FETCH (UID 1 BODY[] {314572800}\r\n", "a", 300<<20)},
		{"300 MB literal nobody asked for", "NOOP", endless("* 1 FETCH (UID 1 BODY[] {314572800}\r\n", "a", 300<<20)},
		{"literal of 10^18 bytes", "body", lines("* 1 FETCH (UID 1 BODY[] {1000000000000000000}\r\n")},
		{"literal over all numbers", "body", lines("* 1 FETCH (UID 1 BODY[] {99999999999999999999}\r\n")},
		{"negative literal", "body", lines("* 1 FETCH (UID 1 BODY[] {-5}\r\n)\r\n")},
		{"all UIDs there are", "UID SEARCH", func(c *mailintest.Conn, tag string) {
			c.Send(`* ESEARCH (TAG "%s") UID ALL 1:4294967295`, tag)
			c.Send("%s OK", tag)
		}},
		{"search without end", "UID SEARCH", func(c *mailintest.Conn, _ string) {
			c.Raw([]byte("* SEARCH"))
			var some []byte
			for i := range 4 << 20 {
				if some = fmt.Appendf(some, " %d", 1<<31+2*i); len(some) > 64<<10 {
					c.Raw(some)
					some = some[:0]
				}
			}
			c.Raw(some)
		}},
		{"UIDVALIDITY over 32 bits (F4)", "SELECT", lines("* OK [UIDVALIDITY 4294967296] big\r\n")},
		{"goodbye amid work", "UID SEARCH", lines("* BYE maintenance\r\n")},
	} {
		t.Run(c.name, func(t *testing.T) { // one after the other: memory is measured
			server, l := mailintest.NewServer(t), newLedger()
			server.Deliver("INBOX", []byte(letter("x", 200)))
			var said atomic.Int32
			server.Before = func(conn *mailintest.Conn, cmd mailintest.Command) bool {
				if cmd.Verb != c.verb && (c.verb != "body" || !wantsBody(cmd)) || said.Load() > 1 {
					return false
				}
				said.Add(1)
				c.say(conn, cmd.Tag)
				conn.Close()
				return true
			}
			conf := settings(server.Listen(t, nil))
			conf.Import = "all"
			s := New(conf, l, quiet())
			peak := watchHeap(t)
			running(t, s)
			l.until(t, "the connection was given up", func() bool {
				c := l.told()
				return !c.OK && c.Err != "" && !c.Retry.IsZero()
			})
			if grown := peak(); grown > 32<<20 {
				t.Errorf("heap grew by %d MiB", grown>>20)
			}
			if len(l.taken()) != 0 {
				t.Error("something was delivered")
			}
		})
	}
}

func lines(s string) func(*mailintest.Conn, string) {
	return func(c *mailintest.Conn, _ string) { c.Raw([]byte(s)) }
}

// endless says a beginning, and then the same until n bytes are said or
// nobody listens.
func endless(begin, again string, n int) func(*mailintest.Conn, string) {
	return func(c *mailintest.Conn, _ string) {
		if _, err := io.WriteString(c.Conn, begin); err != nil {
			return
		}
		chunk := strings.Repeat(again, 1+(64<<10)/len(again))
		for said := 0; said < n; said += len(chunk) {
			if _, err := io.WriteString(c.Conn, chunk); err != nil {
				return
			}
		}
	}
}

// watchHeap measures until the function is called, which gives by how many
// bytes the live heap grew at the most.
func watchHeap(t *testing.T) (peak func() uint64) {
	t.Helper()
	live := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	start := live()
	most := start
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for {
			most = max(most, live())
			select {
			case <-stop:
				return
			case <-tick.C:
			}
		}
	}()
	var once sync.Once
	end := func() { once.Do(func() { close(stop); <-done }) }
	t.Cleanup(end)
	return func() uint64 {
		end()
		return most - start
	}
}

// F15: garbage ends neither in a tight loop nor in a panic.
func FuzzF15_ServerStream(f *testing.F) {
	for _, s := range []string{
		"* OK hi\r\n", "* 1 FETCH (UID 1 BODY[] {3}\r\nabc)\r\n", "* LIST () \"/\" x\r\n", "+ \r\n", "* SEARCH 1 2 3\r\n",
		"* ESEARCH (TAG \"T1\") UID ALL 1:3\r\n", "* BYE\r\n", "T1 OK [CAPABILITY IMAP4rev1] x\r\n", "{5}\r\n", "\"", "* 1 FETCH ((((\r\n",
	} {
		f.Add([]byte(s), 1)
	}
	f.Fuzz(func(t *testing.T, stream []byte, piece int) {
		ours, theirs := net.Pipe()
		defer theirs.Close()
		g := newGuard(ours, ours)
		g.allow(1 << 20)
		go func() {
			defer ours.Close()
			for rest := stream; len(rest) > 0; {
				n := min(len(rest), 1+max(0, piece)%64)
				if _, err := theirs.Write(rest[:n]); err != nil {
					return
				}
				rest = rest[n:]
			}
			theirs.Close()
		}()
		got, err := io.ReadAll(g)
		if !bytes.HasPrefix(stream, got) {
			t.Errorf("read %q out of %q", got, stream)
		}
		if v := g.Err(); v != nil && err == nil {
			t.Errorf("violation %v without an error", v)
		}
		if len(g.head) > headLength || len(g.tail) > 2*tailLength {
			t.Errorf("kept %d and %d bytes", len(g.head), len(g.tail))
		}
	})
}

// F16: mail that vanishes before it is read is recorded as gone.
func TestF16_MailThatVanishesBeforeItIsRead(t *testing.T) {
	t.Parallel()
	for _, at := range []string{"UID FETCH", "body"} {
		synctest.Test(t, func(t *testing.T) {
			server, l := mailintest.NewServer(t), newLedger()
			for range 3 {
				server.Deliver("INBOX", []byte(letter("x", 100)))
			}
			server.Before = func(c *mailintest.Conn, cmd mailintest.Command) bool {
				if cmd.Verb == at || at == "body" && wantsBody(cmd) {
					server.Remove("INBOX", 2)
				}
				return false
			}
			running(t, piped(server, l, func(c *Config) { c.Import = "all" }))
			synctest.Wait()
			if r := l.get(2); !r.gone || r.seen == 0 {
				t.Errorf("at %s: %+v, want gone", at, r)
			}
			if !l.get(1).filed || !l.get(3).filed || l.told().Waiting != 0 {
				t.Errorf("at %s: the others were not filed: %+v", at, l.told())
			}
			for _, c := range server.Journal() {
				if strings.HasPrefix(c.String(), "FETCH") || strings.HasPrefix(c.String(), "STORE") || strings.HasPrefix(c.String(), "MOVE") {
					t.Errorf("sequence numbers in %q", c)
				}
			}
		})
	}
}

// F16: a server that refuses to speak of mails that are not there holds up
// nobody. Only a refusal that says so writes a mail off.
func TestF16_RefusedFetchOfMailThatIsGone(t *testing.T) {
	t.Parallel()
	for answer, gone := range map[string]bool{
		"NO [NONEXISTENT] no such message": true, "NO no such message": true, "BAD invalid message set": true,
		"NO [UNAVAILABLE] later": false, "NO [CORRUPTION] broken": false,
	} {
		t.Run(answer, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				server, l := mailintest.NewServer(t), newLedger()
				server.Put("INBOX", mailintest.Mail{UID: 9, Raw: []byte(letter("waits", 100))})
				server.Put("INBOX", mailintest.Mail{UID: 7, Raw: []byte(letter("not listed", 100))})
				l.rows[ledgerKey{1, 5}] = &ledgerRow{seen: 1}
				l.rows[ledgerKey{1, 7}] = &ledgerRow{seen: 1}
				server.Before = func(c *mailintest.Conn, cmd mailintest.Command) bool {
					set, _, _ := strings.Cut(cmd.Args, " ")
					switch {
					case cmd.Verb == "UID SEARCH":
						c.Send("* SEARCH 9")
						return said(c, "%s OK", cmd.Tag)
					case cmd.Verb == "UID FETCH" && mailintest.Set(set)(5, 9):
						return said(c, "%s %s", cmd.Tag, answer)
					}
					return false
				}
				running(t, piped(server, l, func(c *Config) { c.Import = "all" }))
				pass(time.Hour)
				if !l.get(9).filed || len(server.Connections()) != 1 {
					t.Errorf("the mail that waited: %+v, over %d connections", l.get(9), len(server.Connections()))
				}
				if l.get(5).gone != gone || !l.get(7).filed {
					t.Errorf("UID 5 gone = %v, want %v; UID 7, which FETCH shows: %+v", l.get(5).gone, gone, l.get(7))
				}
			})
		})
	}
}

// F16: a server that refuses to look for what is not there costs no connection
// and holds up nobody.
func TestF16_RefusedLookForWhatIsNotThere(t *testing.T) {
	t.Parallel()
	for name, refused := range map[string]func(c *mailintest.Conn, cmd mailintest.Command) bool{
		"new mail": func(c *mailintest.Conn, cmd mailintest.Command) bool {
			return cmd.Verb == "UID FETCH" && !bytes.HasPrefix(c.Answer(cmd), []byte("* "))
		},
		"old mail": func(c *mailintest.Conn, cmd mailintest.Command) bool {
			return cmd.Verb == "UID SEARCH" && strings.HasPrefix(cmd.Args, "UID ")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				server, l := mailintest.NewServer(t), newLedger()
				for range 5 {
					server.Deliver("INBOX", []byte(letter("x", 100)))
				}
				server.Before = func(c *mailintest.Conn, cmd mailintest.Command) bool {
					if refused(c, cmd) {
						return said(c, "%s NO [NONEXISTENT] none of these", cmd.Tag)
					}
					set, items, _ := strings.Cut(cmd.Args, " ")
					if !wantsBody(cmd) || !mailintest.Set(set)(1, 100) {
						return false
					}
					server.Remove("INBOX", 2) // and 1 is not handed over
					if mailintest.Set(set)(3, 100) {
						cmd.Args = "3:5 " + items
						c.Raw(c.Answer(cmd))
						return true
					}
					return said(c, "%s OK done", cmd.Tag)
				}
				running(t, piped(server, l, func(c *Config) { c.Import = "all" }))
				pass(time.Minute)
				later := server.Deliver("INBOX", []byte(letter("later", 100)))
				synctest.Wait()
				if l.filed() != 4 || !l.get(later).filed {
					t.Errorf("%d filed, want UIDs 3 to 5 and the later one: %q", l.filed(), l.journal())
				}
				pass(time.Hour)
				if !l.get(2).gone || l.get(1).gone || len(server.Connections()) != 1 {
					t.Errorf("1 gone %v, 2 gone %v, over %d connections", l.get(1).gone, l.get(2).gone, len(server.Connections()))
				}
				server.Heal()
				pass(20 * time.Minute)
				if l.filed() != 5 {
					t.Errorf("after the server had recovered: %d filed", l.filed())
				}
			})
		})
	}
}

// F16: mail that vanishes before it is filed is out of the way.
func TestF16_MailThatVanishesBeforeItIsFiled(t *testing.T) {
	t.Parallel()
	for _, answer := range []string{"OK", "NO"} {
		synctest.Test(t, func(t *testing.T) {
			server, l := mailintest.NewServer(t), newLedger()
			for range 3 {
				server.Deliver("INBOX", []byte(letter("x", 100)))
			}
			server.Before = func(c *mailintest.Conn, cmd mailintest.Command) bool {
				set, _, _ := strings.Cut(cmd.Args, " ")
				if cmd.Verb != "UID MOVE" || !mailintest.Set(set)(2, 3) {
					return false
				}
				server.Remove("INBOX", 2)
				if answer == "NO" { // some servers refuse the whole set
					c.Send("%s NO some are gone", cmd.Tag)
				}
				return answer == "NO"
			}
			running(t, piped(server, l, func(c *Config) { c.Import = "all" }))
			synctest.Wait()
			if l.filed() != 3 || len(server.Folder("Done")) != 2 || !l.told().OK {
				t.Errorf("%d filed, %d in Done, contact %+v", l.filed(), len(server.Folder("Done")), l.told())
			}
		})
	}
}

// F17: a server that refuses us is asked less and less often.
func TestF17_RefusedLoginIsTriedSlowly(t *testing.T) {
	t.Parallel()
	for name, refuse := range map[string]func(c *mailintest.Conn, cmd mailintest.Command) bool{
		"wrong password": func(c *mailintest.Conn, cmd mailintest.Command) bool {
			return cmd.Verb == "AUTHENTICATE" && said(c, "%s NO [AUTHENTICATIONFAILED] no", cmd.Tag)
		},
		"locked": func(c *mailintest.Conn, cmd mailintest.Command) bool {
			return cmd.Verb == "AUTHENTICATE" && said(c, "%s NO [CONTACTADMIN] locked", cmd.Tag)
		},
		"too many connections": func(c *mailintest.Conn, cmd mailintest.Command) bool {
			return cmd.Verb == "AUTHENTICATE" && said(c, "%s NO [LIMIT] too many", cmd.Tag)
		},
		"too many connections, at once": func(c *mailintest.Conn, cmd mailintest.Command) bool {
			return cmd.Verb == "CONNECT" && said(c, "* BYE too many")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				server, l := mailintest.NewServer(t), newLedger()
				server.Before = refuse
				running(t, piped(server, l, nil))
				pass(time.Hour)
				at := server.Connections()
				if n := len(at); n < 5 || n > 9 {
					t.Errorf("%d attempts in an hour", n)
				}
				for i := 1; i < len(at); i++ {
					if gap := at[i].Sub(at[i-1]); gap < time.Minute || gap > 17*time.Minute {
						t.Errorf("attempt %d came after %s", i, gap)
					}
				}
				if c := l.told(); c.OK || c.Err == "" || c.Retry.Before(time.Now()) {
					t.Errorf("contact = %+v", c)
				}
				server.Heal()
				server.Deliver("INBOX", []byte(letter("x", 100)))
				pass(17 * time.Minute)
				if !l.told().OK || l.filed() != 0 && l.filed() != 1 {
					t.Errorf("after the lock was lifted: %+v", l.told())
				}
			})
		})
	}
}

func said(c *mailintest.Conn, format string, args ...any) bool {
	c.Send(format, args...)
	return true
}

// F17: an expired token is renewed once, at once.
func TestF17_RefusedTokenIsRenewedOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server, l := mailintest.NewServer(t), newLedger()
		server.Capabilities = "IMAP4rev1 IDLE MOVE UIDPLUS SASL-IR AUTH=XOAUTH2"
		server.Before = func(c *mailintest.Conn, cmd mailintest.Command) bool {
			if cmd.Verb != "AUTHENTICATE" {
				return false
			}
			c.Send("+ eyJzdGF0dXMiOiI0MDEifQ==")
			return true
		}
		var mu sync.Mutex
		var asked []bool
		tokens := func() []bool {
			mu.Lock()
			defer mu.Unlock()
			return slices.Clone(asked)
		}
		running(t, piped(server, l, func(c *Config) {
			c.Password = ""
			c.Token = func(_ context.Context, fresh bool) (string, error) {
				mu.Lock()
				defer mu.Unlock()
				asked = append(asked, fresh)
				return "canary-token", nil
			}
		}))
		pass(30 * time.Second)
		if got := tokens(); !slices.Equal(got, []bool{false, true}) {
			t.Errorf("tokens asked for, fresh: %v; want false, true", got)
		}
		pass(time.Hour)
		if n := len(tokens()); n > 10 {
			t.Errorf("%d attempts in an hour", n)
		}
	})
}

func TestTokenSignsIn(t *testing.T) {
	t.Parallel()
	for _, mech := range []string{"XOAUTH2", "OAUTHBEARER"} {
		synctest.Test(t, func(t *testing.T) {
			server, l := mailintest.NewServer(t), newLedger()
			server.Capabilities = "IMAP4rev1 IDLE MOVE UIDPLUS SASL-IR AUTH=" + mech
			var used string
			server.Before = func(c *mailintest.Conn, cmd mailintest.Command) bool {
				if cmd.Verb == "AUTHENTICATE" {
					used, _, _ = strings.Cut(cmd.Args, " ")
					return said(c, "%s OK [CAPABILITY %s] welcome", cmd.Tag, server.Capabilities)
				}
				return false
			}
			running(t, piped(server, l, func(c *Config) {
				c.Token = func(context.Context, bool) (string, error) { return "token", nil }
			}))
			synctest.Wait()
			if used != mech || !l.told().OK {
				t.Errorf("used %q, contact %+v", used, l.told())
			}
		})
	}
}

// F18: an old mailbox makes no tickets, unless the settings say so.
func TestF18_FirstStartOnAnOldMailbox(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		imports string
		want    int
	}{{"", 0}, {"all", 5000}, {"1999-12-30", 2000}} {
		t.Run(c.imports, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { // the clock of a bubble begins at midnight of 2000-01-01
				server, l := mailintest.NewServer(t), newLedger()
				for i := range 5000 {
					arrived := time.Now().Add(-10 * 24 * time.Hour)
					if i >= 3000 {
						arrived = time.Now().Add(-time.Hour)
					}
					server.Put("INBOX", mailintest.Mail{Raw: []byte("Subject: old\r\n\r\nx\r\n"), Arrived: arrived})
				}
				stop := running(t, piped(server, l, func(s *Config) { s.Import = c.imports }))
				pass(time.Hour)
				if n := len(l.delivered()); n != c.want {
					t.Fatalf("%d old mails delivered, want %d", n, c.want)
				}
				stop()
				// What comes while we are away is new, whatever its date.
				server.Put("INBOX", mailintest.Mail{Raw: []byte(letter("new", 100)), Arrived: time.Now().Add(-1000 * time.Hour)})
				running(t, piped(server, l, func(s *Config) { s.Import = c.imports }))
				pass(time.Minute)
				if n := len(l.delivered()); n != c.want+1 {
					t.Errorf("%d mails delivered, want %d", n, c.want+1)
				}
			})
		})
	}
}

// F3, F18: in a mailbox that was moved to another server, UIDs say nothing of
// what is old. The dates do, and a day more is left for the Desk to recognise.
func TestF18_OldMailIsKnownByDateAfterAMove(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server, l := mailintest.NewServer(t), newLedger()
		l.start = Start{At: time.Now(), Validity: 77, UIDNext: 1000}
		server.Put("INBOX", mailintest.Mail{Raw: []byte("Subject: old\r\n\r\n"), Arrived: time.Now().Add(-72 * time.Hour)})
		server.Put("INBOX", mailintest.Mail{Raw: []byte("Subject: new\r\n\r\n"), Arrived: time.Now().Add(72 * time.Hour)})
		running(t, piped(server, l, nil))
		pass(time.Minute)
		if l.get(1).seen != 0 || !l.get(2).filed {
			t.Errorf("old %+v, new %+v", l.get(1), l.get(2))
		}
	})
}

// F4: without UIDVALIDITY work goes on; the Desk is told that UIDs mean
// nothing.
func TestF04_MailboxWithoutUIDValidity(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server, l := mailintest.NewServer(t), newLedger()
		server.NoValidity = true
		server.Deliver("INBOX", []byte(letter("x", 100)))
		running(t, piped(server, l, func(c *Config) { c.Import = "all" }))
		pass(time.Hour)
		if len(l.taken()) != 1 || l.taken()[0][0].Box.Validity != 0 || l.filed() != 1 {
			t.Errorf("delivered %d times, filed %d", len(l.taken()), l.filed())
		}
	})
}

// F4: what a mail has done to a connection is remembered over the next, even
// where its UID means nothing by then.
func TestF04_WithoutUIDValidityABadMailHoldsUpNobody(t *testing.T) {
	t.Parallel()
	for name, validity := range map[string]func(s *mailintest.Server){
		"none":       func(s *mailintest.Server) { s.NoValidity = true },
		"always new": func(s *mailintest.Server) { s.Validity++ },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				server, l := mailintest.NewServer(t), newLedger()
				server.Deliver("INBOX", []byte(letter("bad date", 100)))
				server.Put("INBOX", mailintest.Mail{Raw: []byte(letter("announced too small", 3000)), Size: 100})
				for range 4 {
					server.Deliver("INBOX", []byte(letter("x", 100)))
				}
				server.Before = func(c *mailintest.Conn, cmd mailintest.Command) bool {
					if cmd.Verb == "SELECT" {
						validity(server)
					}
					set, items, _ := strings.Cut(cmd.Args, " ")
					if cmd.Verb != "UID FETCH" || !strings.Contains(items, "INTERNALDATE") || !mailintest.Set(set)(1, 5) {
						return false
					}
					c.Send(`* 1 FETCH (UID 1 INTERNALDATE "yesterday" RFC822.SIZE 12)`)
					return said(c, "%s OK", cmd.Tag)
				}
				running(t, piped(server, l, func(c *Config) { c.Import, c.MaxMail = "all", 2000 }))
				pass(time.Hour)
				if n := len(server.Folder("Done")); n != 5 || len(server.Connections()) > 15 {
					t.Errorf("%d in Done, want 5, over %d connections", n, len(server.Connections()))
				}
			})
		})
	}
}

// T45: neither password nor token is ever written down.
func TestT45_PasswordIsNeverLogged(t *testing.T) {
	t.Parallel()
	for _, caps := range []string{mailintest.Full, mailintest.Bare} {
		for _, bad := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				var out bytes.Buffer
				var mu sync.Mutex
				log := slog.New(slog.NewTextHandler(writer(func(b []byte) (int, error) {
					mu.Lock()
					defer mu.Unlock()
					return out.Write(b)
				}), &slog.HandlerOptions{Level: slog.LevelDebug - 10}))
				server, l := mailintest.NewServer(t), newLedger()
				server.Capabilities = caps
				server.Before = func(c *mailintest.Conn, cmd mailintest.Command) bool {
					if bad && (cmd.Verb == "LOGIN" || cmd.Verb == "AUTHENTICATE") { // a server that repeats it
						c.Send("%s NO %s is not the password of you, %s", cmd.Tag, mailintest.Password, cmd.Args)
						return true
					}
					return false
				}
				server.Deliver("INBOX", []byte(letter("canary-text", 100)))
				c := settings("127.0.0.1:143")
				c.Import = "all"
				log.Info("settings", "config", c, "pointer", &c)
				fmt.Fprintf(&out, "%v %+v %#v %s %q %v", c, c, c, c, c, &c)
				s := New(c, l, log)
				s.dial = server.Dial
				stop := running(t, s)
				pass(time.Hour)
				stop()
				for _, c := range l.heard() {
					fmt.Fprintln(&out, c)
				}
				if bad == (l.filed() == 1) {
					t.Fatalf("filed %d", l.filed())
				}
				for _, canary := range []string{mailintest.Password, "canary-text", "on fire"} {
					if strings.Contains(out.String(), canary) {
						t.Errorf("%q was written: %s", canary, out.String())
					}
				}
				if !strings.Contains(out.String(), "sign in") {
					t.Error("nothing was logged at all")
				}
			})
		}
	}
}

type writer func([]byte) (int, error)

func (w writer) Write(b []byte) (int, error) { return w(b) }

// T46: what Check finds wrong with the protection of a connection.
func TestT46_ConnectionsThatAreNotProtectedAreRefused(t *testing.T) {
	t.Parallel()
	good, _, pair := mailintest.Certificate(t, time.Now().Add(24*time.Hour), "127.0.0.1", "localhost")
	expired, _, expiredPair := mailintest.Certificate(t, time.Now().Add(-time.Hour), "127.0.0.1")
	other, _, otherPair := mailintest.Certificate(t, time.Now().Add(24*time.Hour), "mail.example.net")
	secured := func(p tls.Certificate) *tls.Config { return &tls.Config{Certificates: []tls.Certificate{p}} }
	old := &tls.Config{Certificates: []tls.Certificate{pair}, MaxVersion: tls.VersionTLS11, MinVersion: tls.VersionTLS10}
	injected := func(c *mailintest.Conn, cmd mailintest.Command) bool {
		if cmd.Verb == "STARTTLS" {
			c.Raw([]byte(cmd.Tag + " OK begin\r\n* PREAUTH come in\r\n* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\n"))
			return true
		}
		return false
	}
	for _, c := range []struct {
		name     string
		security Security
		ca       string
		implicit *tls.Config
		start    *tls.Config
		greeting string
		before   func(*mailintest.Conn, mailintest.Command) bool
		want     func(error) bool
	}{
		{name: "tls", security: TLS, ca: good, implicit: secured(pair), want: isNil},
		{name: "starttls", security: STARTTLS, ca: good, start: secured(pair), want: isNil},
		{name: "unknown issuer", security: TLS, implicit: secured(pair), want: is[*BadCertificate]},
		{name: "unknown issuer, starttls", security: STARTTLS, start: secured(pair), want: is[*BadCertificate]},
		{name: "expired", security: TLS, ca: expired, implicit: secured(expiredPair), want: is[*BadCertificate]},
		{name: "wrong name", security: TLS, ca: other, implicit: secured(otherPair), want: is[*BadCertificate]},
		{name: "wrong name, starttls", security: STARTTLS, ca: other, start: secured(otherPair), want: is[*BadCertificate]},
		{name: "old TLS", security: TLS, ca: good, implicit: old, want: isNotNil},
		{name: "no TLS at all", security: TLS, ca: good, want: is[*NoTLS]},
		{name: "STARTTLS not offered", security: STARTTLS, ca: good, want: is[*NoTLS]},
		{name: "bytes before the handshake", security: STARTTLS, ca: good, before: injected, want: is[*NoTLS]},
		{name: "PREAUTH before STARTTLS", security: STARTTLS, ca: good, start: secured(pair), greeting: "* PREAUTH hi", want: is[*Preauth]},
		{name: "PREAUTH over TLS", security: TLS, ca: good, implicit: secured(pair), greeting: "* PREAUTH hi", want: is[*Preauth]},
		{name: "talk before STARTTLS", security: STARTTLS, ca: good, greeting: "* OK " + strings.Repeat("x", 100_000), want: is[*Violation]},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			server, l := mailintest.NewServer(t), newLedger()
			server.TLS, server.Before = c.start, c.before
			if c.greeting != "" {
				server.Greeting = c.greeting
			}
			conf := settings(server.Listen(t, c.implicit))
			conf.Security, conf.CAFile = c.security, c.ca
			found, err := New(conf, l, quiet()).Check(t.Context())
			if !c.want(err) {
				t.Fatalf("error = %v (%T)", err, err)
			}
			if err == nil && (found.TLS == "" || found.Expires.IsZero()) {
				t.Errorf("found = %+v", found)
			}
			if err != nil && (len(server.Verbs("LOGIN")) > 0 || len(server.Verbs("AUTHENTICATE")) > 0) {
				t.Error("the password was sent all the same")
			}
		})
	}
}

func is[E error](err error) bool {
	_, ok := errors.AsType[E](err)
	return ok
}
func isNil(err error) bool    { return err == nil }
func isNotNil(err error) bool { return err != nil }

// T46: "none" is for this machine, whatever a name resolves to.
func TestT46_PlainConnectionsStayOnThisMachine(t *testing.T) {
	t.Parallel()
	c := settings("mail.example.com:143")
	if err := c.Validate(); err == nil || !strings.Contains(err.Error(), "security: none") {
		t.Errorf("Validate = %v", err)
	}
	c = settings("localhost:143")
	s := New(c, newLedger(), quiet())
	s.dial = func(context.Context, string, string) (net.Conn, error) {
		ours, theirs := net.Pipe()
		t.Cleanup(func() { theirs.Close() })
		return far{ours}, nil
	}
	if _, err := s.Check(t.Context()); !is[*NoTLS](err) {
		t.Errorf("Check = %v", err)
	}
}

// far is a connection to another machine.
type far struct{ net.Conn }

func (far) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 143} }

func TestCheckSaysWhatItFoundAndChangesNothing(t *testing.T) {
	t.Parallel()
	server, l := mailintest.NewServer(t), newLedger()
	server.Capabilities, server.Validity = mailintest.Bare, 9
	server.Deliver("INBOX", []byte(letter("x", 100)))
	found, err := New(settings(server.Listen(t, nil)), l, quiet()).Check(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if found.Mails != 1 || found.Validity != 9 || found.Move || found.Idle || len(found.Folders) != 2 || found.Folders[0].Exists || len(found.Warnings) < 4 {
		t.Errorf("found = %+v", found)
	}
	for _, c := range server.Journal() {
		switch c.Verb {
		case "CREATE", "SELECT", "UID STORE", "UID MOVE", "UID COPY", "SUBSCRIBE":
			t.Errorf("sent %q", c)
		}
	}
	if len(l.journal()) != 0 {
		t.Errorf("the desk was asked for %q", l.journal())
	}
}

func TestCheckSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	server := mailintest.NewServer(t)
	addr := server.Listen(t, nil)
	for name, c := range map[string]struct {
		change func(*Config)
		want   func(error) bool
	}{
		"wrong password": {func(c *Config) { c.Password = "x" }, is[*LoginRefused]},
		"no such folder": {func(c *Config) { c.Folder = "Tickets" }, is[*FolderMissing]},
		"nobody there":   {func(c *Config) { c.Server = "127.0.0.1:1" }, is[*Unreachable]},
		"bad settings":   {func(c *Config) { c.Address = "" }, isNotNil},
		"no CA file":     {func(c *Config) { c.Security, c.CAFile = TLS, "/nowhere.pem" }, isNotNil},
	} {
		conf := settings(addr)
		c.change(&conf)
		if _, err := New(conf, newLedger(), quiet()).Check(t.Context()); !c.want(err) {
			t.Errorf("%s: error = %v (%T)", name, err, err)
		}
	}
}

// The library's own server, as the demo uses it.
func TestMemoryServer(t *testing.T) {
	t.Parallel()
	addr, user := mailintest.Memory(t)
	l := newLedger()
	roundTrip(t, addr, l, func() { appendMail(t, user) })
}

func appendMail(t *testing.T, user *imapmemserver.User) {
	mailintest.Append(t, user, "INBOX", letter("x", 3000))
}

// roundTrip has a few mails handled, old and new ones.
func roundTrip(t *testing.T, addr string, l *ledger, deliver func()) {
	t.Helper()
	conf := settings(addr)
	conf.Import, conf.Poll = "all", time.Second
	for range 3 {
		deliver()
	}
	running(t, New(conf, l, quiet()))
	l.until(t, "the backlog is filed", func() bool { return l.filed() == 3 })
	for n := 4; n <= 6; n++ {
		l.until(t, "all is well", func() bool { return l.told().OK })
		deliver()
		l.until(t, "a new mail is filed", func() bool { return l.filed() == n })
	}
	if n := len(l.delivered()); n != 6 {
		t.Errorf("%d mails delivered, want 6", n)
	}
	for uid, raw := range l.delivered() {
		if !strings.HasSuffix(raw, strings.TrimPrefix(letter("x", 3000), "From")) {
			t.Errorf("UID %d: the mail came changed: %q", uid, raw)
		}
	}
}

func TestDovecot(t *testing.T) {
	for name, o := range map[string]mailintest.DovecotOptions{
		"as it is":          {},
		"without MOVE":      {NoMove: true},
		"without IDLE":      {NoIdle: true},
		"without UIDPLUS":   {NoMove: true, NoUIDPlus: true},
		"folders under dot": {Separator: ".", Prefix: "INBOX."},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := mailintest.Dovecot(t, o)
			l := newLedger()
			roundTrip(t, d.IMAP, l, func() { d.Deliver(t, letter("x", 3000)) })
			found, err := New(settings(d.IMAP), l, quiet()).Check(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			want := uint32(0)
			if o.NoUIDPlus {
				want = 6 // under the keyword
			}
			if found.Mails != want || found.Move == o.NoMove || found.Idle == o.NoIdle || !found.Folders[0].Exists || !found.Folders[1].Exists {
				t.Errorf("found = %+v", found)
			}
		})
	}
}

func TestDovecotOverTLS(t *testing.T) {
	t.Parallel()
	cert, key, _ := mailintest.Certificate(t, time.Now().Add(24*time.Hour), "127.0.0.1")
	d := mailintest.Dovecot(t, mailintest.DovecotOptions{CertFile: cert, KeyFile: key})
	for addr, security := range map[string]Security{d.TLS: TLS, d.IMAP: STARTTLS} {
		t.Run(string(security), func(t *testing.T) {
			t.Parallel() // a refused login takes the server seconds
			c := settings(addr)
			c.Security, c.CAFile = security, cert
			found, err := New(c, newLedger(), quiet()).Check(t.Context())
			if err != nil || found.TLS == "" {
				t.Errorf("found %+v, error %v", found, err)
			}
			c.Password = "wrong"
			if _, err := New(c, newLedger(), quiet()).Check(t.Context()); !is[*LoginRefused](err) {
				t.Errorf("error = %v, want a refused login", err)
			}
		})
	}
}

func TestValidateTellsAllComplaintsWithTheirKeys(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*Config)
		want   string // the key, or empty
	}{
		"fine":               {func(*Config) {}, ""},
		"port by default":    {func(c *Config) { c.Server, c.Security = "imap.example.com", TLS }, ""},
		"no address":         {func(c *Config) { c.Address = "" }, "address: "},
		"no mail address":    {func(c *Config) { c.Address = "support" }, "address: "},
		"no server":          {func(c *Config) { c.Server = "" }, "server: "},
		"bad port":           {func(c *Config) { c.Server = "127.0.0.1:imap" }, "server: "},
		"unknown security":   {func(c *Config) { c.Security = "ssl" }, "security: "},
		"plain to far away":  {func(c *Config) { c.Server = "192.0.2.1:143" }, "security: "},
		"no password":        {func(c *Config) { c.Password = "" }, "password: "},
		"line end":           {func(c *Config) { c.Password += "\n" }, "password: "},
		"wildcard":           {func(c *Config) { c.Done = "Done*" }, "done: "},
		"same folder":        {func(c *Config) { c.Done = "inbox" }, "done: "},
		"quarantine is home": {func(c *Config) { c.Quarantine = "INBOX" }, "quarantine: "},
		"no date":            {func(c *Config) { c.Import = "yesterday" }, "import: "},
		"a date":             {func(c *Config) { c.Import = "2026-01-31" }, ""},
		"IDLE too long":      {func(c *Config) { c.Idle = 2 * time.Minute }, "idle: 2m0s is not between 10s and 1m45s, or a dead connection"},
		"polled too rarely":  {func(c *Config) { c.Poll = 90 * time.Second }, "poll: "},
		"command too long":   {func(c *Config) { c.Command = 2 * time.Minute }, "command_time: "},
		"bodies too long":    {func(c *Config) { c.Body = 6 * time.Minute }, "body_time: "},
		"as long as can be":  {func(c *Config) { c.Idle, c.Poll, c.Command, c.Body = maxIdle, maxPoll, maxCommand, maxBody }, ""},
		"search too rare":    {func(c *Config) { c.FullSearch = time.Hour }, "full_search: "},
		"no batch":           {func(c *Config) { c.BatchMails = -1 }, "batch_mails: "},
		"huge mails":         {func(c *Config) { c.MaxMail = 1 << 40 }, "max_mail: "},
	} {
		conf := settings("127.0.0.1:143")
		c.change(&conf)
		err := conf.Validate()
		if got := fmt.Sprint(err); c.want == "" && err != nil || c.want != "" && !strings.HasPrefix(got, c.want) {
			t.Errorf("%s: error = %q, want %q", name, got, c.want)
		}
	}
}
