package mailin

import (
	"context"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"deskd/mailin/mailintest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestLoneMailIsHandledAtOnceAndInTheFixedOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server, l := mailintest.NewServer(t), newLedger()
		stop := running(t, piped(server, l, nil))
		pass(3 * time.Second)
		before := len(server.Journal())
		began := time.Now()
		uid := server.Deliver("INBOX", []byte(letter("help", 500)))
		synctest.Wait()
		if took := time.Since(began); took != 0 || l.filed() != 1 {
			t.Fatalf("filed %d mails in %s of waiting, want 1 in none", l.filed(), took)
		}
		want := []string{"start", "compared", "pending[1]", "seen[1]", "deliver[1]", "filed[1]"}
		if diff := cmp.Diff(want, l.journal()); diff != "" {
			t.Errorf("steps (-want +got):\n%s", diff)
		}
		var lines []string
		for _, c := range server.Journal()[before:] {
			lines = append(lines, c.String())
		}
		wantLines := []string{"DONE", "UID FETCH 1:4294967295 (UID", "UID FETCH 1 (UID", `UID MOVE 1 "Done"`, "IDLE"}
		if !slices.EqualFunc(lines, wantLines, strings.HasPrefix) {
			t.Errorf("commands = %q, want %q", lines, wantLines)
		}
		if got := l.delivered()[uid]; got != letter("help", 500) {
			t.Errorf("mail = %q", got)
		}
		if len(server.Folder("INBOX")) != 0 || len(server.Folder("Done")) != 1 {
			t.Errorf("INBOX has %d mails and Done %d", len(server.Folder("INBOX")), len(server.Folder("Done")))
		}
		stop()
		if last := server.Journal(); last[len(last)-1].Verb != "LOGOUT" {
			t.Errorf("last command = %s, want LOGOUT", last[len(last)-1])
		}
	})
}

func TestBacklogIsTakenInBatchesOldestFirst(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server, l := mailintest.NewServer(t), newLedger()
		for range 120 {
			server.Deliver("INBOX", []byte(letter("old", 200)))
		}
		running(t, piped(server, l, func(c *Config) { c.Import = "all" }))
		synctest.Wait()
		var sizes []int
		var uids []uint32
		for _, b := range l.taken() {
			sizes = append(sizes, len(b))
			for _, f := range b {
				uids = append(uids, f.UID)
			}
		}
		if diff := cmp.Diff([]int{50, 50, 20}, sizes); diff != "" {
			t.Errorf("batches (-want +got):\n%s", diff)
		}
		if !slices.IsSorted(uids) {
			t.Errorf("mails were not taken in the order of arrival: %v", uids)
		}
		if l.filed() != 120 {
			t.Errorf("%d mails filed, want 120", l.filed())
		}
	})
}

func TestBatchIsBoundedByBytes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server, l := mailintest.NewServer(t), newLedger()
		for range 6 {
			server.Deliver("INBOX", []byte(letter("big", 4000)))
		}
		server.Deliver("INBOX", []byte(letter("bigger than a batch", 12000)))
		running(t, piped(server, l, func(c *Config) { c.Import, c.BatchBytes = "all", 10000 }))
		synctest.Wait()
		var sizes []int
		for _, b := range l.taken() {
			sizes = append(sizes, len(b))
		}
		if diff := cmp.Diff([]int{2, 2, 2, 1}, sizes); diff != "" {
			t.Errorf("batches (-want +got):\n%s", diff)
		}
	})
}

func TestMailWhoseAttemptDidNotEndIsDeliveredAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server, l := mailintest.NewServer(t), newLedger()
		for range 5 {
			server.Deliver("INBOX", []byte(letter("x", 200)))
		}
		l.rows[ledgerKey{1, 3}] = &ledgerRow{seen: 1, alone: true}
		running(t, piped(server, l, func(c *Config) { c.Import = "all" }))
		synctest.Wait()
		want := []string{"deliver[1 2]", "deliver[3]", "deliver[4 5]"}
		got := slices.DeleteFunc(l.journal(), func(s string) bool { return !strings.HasPrefix(s, "deliver") })
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("deliveries (-want +got):\n%s", diff)
		}
	})
}

func TestVerdictSaysWhereAMailIsFiled(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server, l := mailintest.NewServer(t), newLedger()
		for range 4 {
			server.Deliver("INBOX", []byte(letter("x", 200)))
		}
		l.decide = func(context.Context, []Fetched) ([]Verdict, error) {
			return []Verdict{{1, Done}, {2, Quarantine}, {3, Stay}}, nil // none on 4
		}
		running(t, piped(server, l, func(c *Config) { c.Import = "all" }))
		synctest.Wait()
		if n, q, in := len(server.Folder("Done")), len(server.Folder("Quarantine")), len(server.Folder("INBOX")); n != 1 || q != 1 || in != 2 {
			t.Errorf("Done %d, Quarantine %d, INBOX %d; want 1, 1, 2", n, q, in)
		}
		if !l.get(3).filed || l.get(4).filed {
			t.Errorf("filed: 3 %v, 4 %v; want true, false", l.get(3).filed, l.get(4).filed)
		}
		pass(time.Minute)
		if got := l.get(4).seen; got < 2 {
			t.Errorf("a mail without verdict was offered %d times, want more than once", got)
		}
	})
}

// F1: a crash between commit and move.
func TestF01_MailDecidedOnBeforeIsOnlyFiled(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server, l := mailintest.NewServer(t), newLedger()
		server.Deliver("INBOX", []byte(letter("x", 200)))
		l.rows[ledgerKey{1, 1}] = &ledgerRow{seen: 1, file: Quarantine}
		running(t, piped(server, l, func(c *Config) { c.Import = "all" }))
		synctest.Wait()
		if len(l.taken()) != 0 || !l.get(1).filed || len(server.Folder("Quarantine")) != 1 {
			t.Errorf("delivered %d times, filed %v, %d in quarantine; want 0, true, 1",
				len(l.taken()), l.get(1).filed, len(server.Folder("Quarantine")))
		}
		if n := len(server.Verbs("UID FETCH 1 (UID RFC822.SIZE BODY")); n != 0 {
			t.Errorf("the body was fetched %d times", n)
		}
	})
}

// F1: a crash between move and the row "filed" leaves a row that no folder
// will ever remind us of.
func TestF01_MailMovedBeforeACrashIsReportedAsOutOfTheWay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server, l := mailintest.NewServer(t), newLedger()
		l.rows[ledgerKey{1, 7}] = &ledgerRow{seen: 1, file: Done}
		l.rows[ledgerKey{1, 8}] = &ledgerRow{seen: 1}
		running(t, piped(server, l, nil))
		synctest.Wait()
		if !l.get(7).filed || !l.get(8).gone {
			t.Errorf("7 filed %v, 8 gone %v; want both", l.get(7).filed, l.get(8).gone)
		}
	})
}

func TestEmptyAnswerToSearchDoesNotMakeMailGone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server, l := mailintest.NewServer(t), newLedger()
		server.Deliver("INBOX", []byte(letter("x", 200)))
		l.rows[ledgerKey{1, 1}] = &ledgerRow{seen: 1}
		server.Before = func(c *mailintest.Conn, cmd mailintest.Command) bool {
			if cmd.Verb != "UID SEARCH" {
				return false
			}
			c.Send("* SEARCH")
			c.Send("%s OK none", cmd.Tag)
			return true
		}
		running(t, piped(server, l, func(c *Config) { c.Import = "all" }))
		pass(20 * time.Minute)
		if l.get(1).gone || !l.get(1).filed {
			t.Errorf("a mail was written off that FETCH still shows: %+v", l.get(1))
		}
	})
}

// F24: the world's fault costs no mail and no connection, and work goes on
// soon after.
func TestErrorOfTheDeskIsWaitedOut(t *testing.T) {
	t.Parallel()
	for _, step := range []string{"start", "pending", "seen", "deliver", "filed"} {
		t.Run(step, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				server, l := mailintest.NewServer(t), newLedger()
				server.Deliver("INBOX", []byte(letter("x", 200)))
				l.fail[step] = context.DeadlineExceeded
				running(t, piped(server, l, func(c *Config) { c.Import = "all" }))
				pass(time.Hour)
				if l.filed() != 0 {
					t.Fatal("filed in spite of the error")
				}
				if c := l.told(); c.OK || c.Err == "" || c.Retry.IsZero() {
					t.Errorf("contact = %+v, want an error", c)
				}
				if n := len(l.journal()); n > 4000 {
					t.Errorf("%d steps in an hour of trouble", n)
				}
				l.mu.Lock()
				delete(l.fail, step)
				l.mu.Unlock()
				pass(30 * time.Second)
				if l.filed() != 1 || len(l.taken()) != 1 && step != "filed" {
					t.Errorf("%d filed and %d delivered within 30 s", l.filed(), len(l.taken()))
				}
				if n := len(server.Connections()); n != 1 {
					t.Errorf("%d connections, want 1", n)
				}
				pass(time.Second)
				if c := l.told(); !c.OK {
					t.Errorf("contact = %+v, want OK", c)
				}
			})
		})
	}
}

func TestContactIsToldOnceAMinute(t *testing.T) {
	t.Parallel()
	for _, caps := range []string{mailintest.Full, mailintest.Bare} {
		synctest.Test(t, func(t *testing.T) {
			server, l := mailintest.NewServer(t), newLedger()
			server.Capabilities = caps
			running(t, piped(server, l, func(c *Config) { c.Idle, c.Poll = 90*time.Second, time.Minute }))
			pass(time.Hour)
			last := l.heard()[0].At
			for _, c := range l.heard() {
				if gap := c.At.Sub(last); gap > time.Minute {
					t.Fatalf("no word for %s", gap)
				}
				if c.Idle != (caps == mailintest.Full) || !c.OK {
					t.Fatalf("contact = %+v", c)
				}
				last = c.At
			}
			if n := len(l.heard()); n > 200 {
				t.Errorf("%d contacts in an hour", n)
			}
		})
	}
}

// F39: what was begun is finished when the process is told to stop.
func TestF39_StopLetsTheBatchInHandBeFinished(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server, l := mailintest.NewServer(t), newLedger()
		server.Deliver("INBOX", []byte(letter("x", 200)))
		l.decide = func(ctx context.Context, b []Fetched) ([]Verdict, error) {
			if !sleep(ctx, 10*time.Second) {
				return nil, ctx.Err()
			}
			return []Verdict{{b[0].UID, Done}}, nil
		}
		stop := running(t, piped(server, l, func(c *Config) { c.Import = "all" }))
		pass(time.Second)
		began := time.Now()
		stop()
		if l.filed() != 1 || len(server.Folder("Done")) != 1 {
			t.Errorf("filed %d, %d in Done; want 1, 1", l.filed(), len(server.Folder("Done")))
		}
		if took := time.Since(began); took > 20*time.Second {
			t.Errorf("stop took %s", took)
		}
	})
}

func TestF39_StopDoesNotWaitForADeskThatHangs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server, l := mailintest.NewServer(t), newLedger()
		server.Deliver("INBOX", []byte(letter("x", 200)))
		l.decide = func(ctx context.Context, _ []Fetched) ([]Verdict, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		stop := running(t, piped(server, l, func(c *Config) { c.Import = "all" }))
		pass(time.Second)
		began := time.Now()
		stop()
		if took := time.Since(began); took < 14*time.Second || took > 18*time.Second {
			t.Errorf("stop took %s, want the grace of %s", took, grace)
		}
		if l.filed() != 0 || len(server.Folder("INBOX")) != 1 {
			t.Error("a mail that was not decided on was filed")
		}
	})
}

// T26: of a mail over the limit only the header is read.
func TestT26_OversizeMailIsReadByItsHeaderAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server, l := mailintest.NewServer(t), newLedger()
		server.Put("INBOX", mailintest.Mail{Raw: []byte(letter("huge", 3000)), Size: 2 << 30})
		server.Put("INBOX", mailintest.Mail{Raw: []byte(letter("announced too small", 3000)), Size: 100})
		server.Put("INBOX", mailintest.Mail{Raw: []byte(letter("small", 300))})
		running(t, piped(server, l, func(c *Config) { c.Import, c.MaxMail = "all", 2000 }))
		pass(5 * time.Minute)
		if l.filed() != 3 {
			t.Fatalf("%d filed, want 3: %q", l.filed(), l.journal())
		}
		for uid, over := range map[uint32]bool{1: true, 2: true, 3: false} {
			for _, b := range l.taken() {
				for _, f := range b {
					if f.UID == uid && f.Oversize != over {
						t.Errorf("UID %d: oversize = %v", uid, f.Oversize)
					}
					if f.Oversize && !strings.HasSuffix(string(f.Raw), "\r\n\r\n") {
						t.Errorf("UID %d: more than the header: %d bytes", uid, len(f.Raw))
					}
				}
			}
		}
	})
}

// Exchange only estimates RFC822.SIZE unless it is told otherwise.
func TestMailWithWrongSizeIsTakenWhenTwoFetchesAgree(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server, l := mailintest.NewServer(t), newLedger()
		raw := letter("exchange", 3000)
		for range 10 {
			server.Put("INBOX", mailintest.Mail{Raw: []byte(raw), Size: 2900})
		}
		running(t, piped(server, l, func(c *Config) { c.Import = "all" }))
		synctest.Wait()
		for uid, got := range l.delivered() {
			if got != raw {
				t.Errorf("UID %d: %d bytes, want %d", uid, len(got), len(raw))
			}
		}
		if l.filed() != 10 {
			t.Errorf("%d filed, want 10", l.filed())
		}
		if n := len(server.Verbs("UID FETCH")); n > 6 {
			t.Errorf("%d fetches for a server that is known to estimate", n)
		}
	})
}

// A size that is far too small spoils neither the mail nor its batch.
func TestMailThatIsAnnouncedMuchTooSmallIsTaken(t *testing.T) {
	t.Parallel()
	for _, others := range []int{0, 8} { // a batch of 8 MB has room for it
		synctest.Test(t, func(t *testing.T) {
			server, l := mailintest.NewServer(t), newLedger()
			raw := letter("big", 2<<20)
			server.Put("INBOX", mailintest.Mail{Raw: []byte(raw), Size: 100})
			for range others {
				server.Deliver("INBOX", []byte(letter("other", 1<<20)))
			}
			running(t, piped(server, l, func(c *Config) { c.Import = "all" }))
			pass(5 * time.Minute)
			if l.filed() != 1+others || l.delivered()[1] != raw {
				t.Errorf("among %d others: %d filed, %d of %d bytes", others, l.filed(), len(l.delivered()[1]), len(raw))
			}
		})
	}
}

// The second fetch of a mail may cost the connection, too.
func TestMailThatCostsTheConnectionWhenFetchedAgainHoldsUpNobody(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server, l := mailintest.NewServer(t), newLedger()
		server.Put("INBOX", mailintest.Mail{Raw: []byte(letter("x", 300)), Size: 100})
		for range 5 {
			server.Deliver("INBOX", []byte(letter("x", 100)))
		}
		server.Before = func(c *mailintest.Conn, cmd mailintest.Command) bool {
			if wantsBody(cmd) && strings.HasPrefix(cmd.Args, "1 ") {
				c.Close()
				return true
			}
			return false
		}
		running(t, piped(server, l, func(c *Config) { c.Import = "all" }))
		pass(10 * time.Minute)
		if l.filed() != 5 || l.get(1).filed {
			t.Errorf("%d filed, want all but UID 1", l.filed())
		}
	})
}

func TestFoldersAreMadeWhereTheNamespaceSays(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ prefix, done, want string }{
		{"", "Done", "Done"},
		{"INBOX.", "Done", "INBOX.Done"},
		{"INBOX.", "INBOX.Done", "INBOX.Done"},
		{"", "Desk/Done", "Desk/Done"},
		{"INBOX.", "Desk/Done", "INBOX.Desk.Done"},
	} {
		t.Run(c.prefix+"+"+c.done, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				server, l := mailintest.NewServer(t), newLedger()
				server.Prefix = c.prefix
				running(t, piped(server, l, func(s *Config) { s.Done = c.done }))
				synctest.Wait()
				if !server.HasFolder(c.want) || len(server.Verbs("CREATE")) != 2 {
					t.Errorf("commands = %q, want %s made", server.Verbs("CREATE"), c.want)
				}
			})
		})
	}
}

func TestFolderGoesUnderInboxWhenTheTopIsClosed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server, l := mailintest.NewServer(t), newLedger()
		server.Before = func(c *mailintest.Conn, cmd mailintest.Command) bool {
			if cmd.Verb == "CREATE" && !strings.Contains(cmd.Args, "INBOX") {
				c.Send("%s NO [NOPERM] not here", cmd.Tag)
				return true
			}
			return false
		}
		server.Deliver("INBOX", []byte(letter("x", 200)))
		running(t, piped(server, l, func(s *Config) { s.Import = "all" }))
		synctest.Wait()
		if len(server.Folder("INBOX/Done")) != 1 {
			t.Errorf("the mail is not in INBOX/Done: %q", server.Journal())
		}
	})
}

func TestFolderThatWasDeletedIsMadeAgain(t *testing.T) {
	t.Parallel()
	for _, caps := range []string{mailintest.Full, mailintest.NoMove} {
		synctest.Test(t, func(t *testing.T) {
			server, l := mailintest.NewServer(t), newLedger()
			server.Capabilities = caps
			running(t, piped(server, l, nil))
			synctest.Wait()
			server.DropFolder("Done")
			server.Deliver("INBOX", []byte(letter("x", 200)))
			synctest.Wait()
			if len(server.Folder("Done")) != 1 || l.filed() != 1 {
				t.Errorf("%d in Done, %d filed; want 1, 1", len(server.Folder("Done")), l.filed())
			}
		})
	}
}
