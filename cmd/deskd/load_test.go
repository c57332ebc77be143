package main

import (
	"bytes"
	"fmt"
	"net/mail"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"deskd/cmd/internal/demomail"
	"deskd/store"
	"deskd/store/storetest"
)

// load is a desk, or several, under a load of mails, with the mail server as
// the judge.
type load struct {
	t        *testing.T
	server   *demomail.Server
	system   *system
	database string
	sent     map[string]bool // Message-IDs
	key      []byte
}

// newLoad makes a mail server; the database is empty. Short runs, which are
// there for the race detector, go without: it does not see into the daemons.
func newLoad(t *testing.T, database string) *load {
	t.Helper()
	if testing.Short() {
		t.Skip("takes long, and the daemon is a process of its own")
	}
	server, err := demomail.Start(demomail.Options{Lists: rosters})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	s := &system{imap: server.IMAPAddr(), smtp: server.SMTPAddr(), login: server.SMTPAddr(), outside: server.SMTPAddr(), auth: "demo.example.com", password: "demo"}
	return &load{t: t, server: server, system: s, database: database, sent: map[string]bool{}, key: bytes.Repeat([]byte{0xab}, 32)}
}

// settings writes a settings file for a daemon of that name. All of them have
// one key.
func (l *load) settings(name string, more string) string {
	l.t.Helper()
	path := settingsFor(l.t, l.system, l.database, "daemon: "+name+"\nlimits: {answers_per_hour: 100000}\n"+more)
	if err := os.WriteFile(filepath.Join(filepath.Dir(path), "deskd.key"), fmt.Appendf(nil, "%x\n", l.key), 0o600); err != nil {
		l.t.Fatal(err)
	}
	return path
}

// send hands in n mails, each of a sender of its own.
func (l *load) send(n int) {
	l.t.Helper()
	for range n {
		i := len(l.sent)
		id := fmt.Sprintf("%d@load.example", i)
		from := fmt.Sprintf("p%d@customer.example", i)
		raw := crlf(fmt.Sprintf("From: %s\nTo: support@example.com\nSubject: load %d\nMessage-ID: <%s>\nDate: %s\n\nIt is number %d.\n", from, i, id, time.Now().Format(time.RFC1123Z), i))
		if err := l.server.Deliver(from, []string{"support@example.com"}, []byte(raw), ""); err != nil {
			l.t.Fatal(err)
		}
		l.sent[id] = true
	}
}

// filed counts the mails that are done.
func (l *load) filed() int { return len(l.server.Mailbox("support@example.com", "Done")) }

// settled waits until all mails are done and all that follows is sent. The
// daemon may be away now and then.
func (l *load) settled() {
	l.t.Helper()
	patient(l.t, "all mails are done", func() bool { return l.filed() >= len(l.sent) })
	patient(l.t, "all that follows is sent", func() bool {
		db := l.open()
		defer db.Close()
		_, waiting, err := db.NextDue(l.t.Context())
		return err == nil && !waiting
	})
}

// patient is until with the time that a takeover or a restart may take.
func patient(t *testing.T, what string, so func() bool) {
	t.Helper()
	for range 6 {
		end := time.Now().Add(patience)
		for time.Now().Before(end) {
			if so() {
				return
			}
			select {
			case <-t.Context().Done():
				t.Fatal(t.Context().Err())
			case <-time.After(100 * time.Millisecond):
			}
		}
	}
	t.Fatalf("it did not come to be that %s", what)
}

func (l *load) open() *store.Store {
	l.t.Helper()
	db, err := store.OpenReader(l.t.Context(), l.database, store.Options{Key: l.key})
	if err != nil {
		l.t.Fatal(err)
	}
	return db
}

// judge holds that each mail has one ticket and lies in the folder for what is
// done once, and that what was sent was sent once, but for so many repeats with
// the same bytes (P1 to P3).
func (l *load) judge(repeats int) {
	l.t.Helper()
	db := l.open()
	defer db.Close()
	bySubject := map[string]int{}
	filter := store.TicketFilter{Limit: 200}
	for {
		list, err := db.ListTickets(l.t.Context(), filter)
		if err != nil {
			l.t.Fatal(err)
		}
		if len(list) == 0 {
			break
		}
		for _, tk := range list {
			bySubject[tk.Subject]++
			filter.Before = tk.Number
		}
	}
	lost, doubled := 0, 0
	for i := range l.sent {
		n, _, _ := strings.Cut(i, "@")
		switch bySubject["load "+n] {
		case 0:
			lost++
		case 1:
		default:
			doubled++
		}
	}
	if lost+doubled > 0 || len(bySubject) != len(l.sent) {
		l.t.Errorf("%d mails: %d lost, %d doubled, %d subjects", len(l.sent), lost, doubled, len(bySubject))
	}
	folders := map[string]int{}
	for _, raw := range l.server.Mailbox("support@example.com", "Done") {
		folders[idOf(l.t, raw)]++
	}
	if len(folders) != len(l.sent) || len(l.server.Mailbox("support@example.com", "Done")) != len(l.sent) || len(l.server.Mailbox("support@example.com", "")) != 0 {
		l.t.Errorf("Done holds %d mails, %d different; the INBOX %d", len(l.server.Mailbox("support@example.com", "Done")), len(folders), len(l.server.Mailbox("support@example.com", "")))
	}
	again := 0
	for _, who := range []string{"hana@example.com", "henry@example.com"} {
		copies := map[string][][]byte{}
		for _, raw := range l.server.Mailbox(who, "") {
			copies[idOf(l.t, raw)] = append(copies[idOf(l.t, raw)], body(raw))
		}
		if len(copies) != len(l.sent) {
			l.t.Errorf("%s was told of %d tickets, want %d", who, len(copies), len(l.sent))
		}
		for id, list := range copies {
			again += len(list) - 1
			for _, c := range list[1:] {
				if !bytes.Equal(c, list[0]) {
					l.t.Errorf("%s came again with other bytes", id)
				}
			}
		}
	}
	if again > 2*repeats { // to both of the list
		l.t.Errorf("%d notices came again, want at most %d", again, 2*repeats)
	}
	l.t.Logf("%d mails: %d lost, %d doubled, %d copies of notices", len(l.sent), lost, doubled, again)
}

func idOf(t *testing.T, raw []byte) string {
	t.Helper()
	m, err := mail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	return strings.Trim(m.Header.Get("Message-Id"), "<>")
}

func body(raw []byte) []byte {
	_, b, _ := bytes.Cut(raw, []byte("\r\n\r\n"))
	return b
}

// TestF20_TwoDaemonsOnOneMailbox has two daemons share database and mailbox; the
// one that works is killed when half is done.
func TestF20_TwoDaemonsOnOneMailbox(t *testing.T) {
	t.Parallel()
	l := newLoad(t, storetest.PostgreSQL(t))
	const n = 500
	first := start(t, l.settings("one", ""))
	until(t, "the first one watches", func() bool { return strings.Contains(first.log.String(), "mailbox connected") })
	second := start(t, l.settings("two", ""))
	l.send(n / 2)
	until(t, "a part is done", func() bool { return l.filed() >= n/4 })
	first.kill()
	killed := time.Now()
	l.send(n - n/2)
	patient(t, "the second one takes over", func() bool { return strings.Contains(second.log.String(), "mailbox connected") })
	t.Logf("taken over after %s", time.Since(killed).Round(time.Second))
	l.settled() // what the dead one had in hand, too, after three minutes
	l.judge(2)  // it has two senders, which die together
	if strings.Contains(first.log.String(), "level=ERROR") || strings.Contains(second.log.String(), "level=ERROR") {
		t.Error("a daemon logged an error")
	}
}

// TestF38_KilledUnderLoad kills the daemon again and again while mails come in.
func TestF38_KilledUnderLoad(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, l *load) {
		const n = 200
		settings := l.settings("one", "")
		const kills = 4
		for k := range kills {
			d := start(t, settings)
			l.send(n / (kills + 1))
			before := l.filed()
			until(t, "the daemon is at work", func() bool { return l.filed() > before || l.filed() == len(l.sent) })
			if k == 0 {
				l.send(1)
			}
			d.kill()
		}
		start(t, settings)
		l.send(n / (kills + 1))
		l.settled()
		l.judge(2 * kills)
	})
}

// TestF39_StoppedUnderLoad stops the daemon politely while mails come in.
func TestF39_StoppedUnderLoad(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, l *load) {
		const n = 200
		settings := l.settings("one", "")
		for range 3 {
			d := start(t, settings)
			l.send(n / 4)
			before := l.filed()
			until(t, "the daemon is at work", func() bool { return l.filed() > before || l.filed() == len(l.sent) })
			if err := d.cmd.Process.Signal(syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
			if err := d.ended(); err != nil {
				t.Errorf("after a stop: %v", err)
			}
		}
		start(t, settings)
		l.send(n / 4)
		l.settled()
		l.judge(0)
	})
}

// each runs a test with a load on both databases.
func each(t *testing.T, fn func(t *testing.T, l *load)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		fn(t, newLoad(t, filepath.Join(t.TempDir(), "deskd.db")))
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		fn(t, newLoad(t, storetest.PostgreSQL(t)))
	})
}

// TestF25_DatabaseRestartedUnderLoad stops PostgreSQL and starts it again while
// mails come in: in order, and by a kill. The daemon goes on by itself.
func TestF25_DatabaseRestartedUnderLoad(t *testing.T) {
	t.Parallel()
	for name, killed := range map[string]bool{"in order": false, "killed": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := storetest.Start(t)
			l := newLoad(t, server.Database(t, "desk"))
			const n = 200
			d := start(t, l.settings("one", ""))
			l.send(n / 4)
			until(t, "the daemon is at work", func() bool { return l.filed() > 0 })
			l.send(n / 4)
			server.Stop(t, killed)
			l.send(n / 4)
			until(t, "the daemon says that nothing can be kept", func() bool { return d.answers(t, "localhost", "readyz") == 503 })
			server.Go(t)
			l.send(n / 4)
			l.settled()
			until(t, "the daemon says that all is well", func() bool { return d.answers(t, "localhost", "readyz") == 200 })
			l.judge(2)
		})
	}
}
