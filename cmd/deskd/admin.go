package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/user"
	"strings"
	"time"

	"deskd/cmd/internal/desk"
	"deskd/configs"
	"deskd/mailout"
	"deskd/store"
	"deskd/triage"
	"deskd/triage/ticket"
)

// What the commands have in common by which an administrator looks after a
// desk at its own machine. They work beside a running daemon.

// secretOf reads the key of a desk that has one.
func secretOf(s *configs.Settings) ([]byte, error) {
	secret, err := s.Secret()
	if err != nil {
		return nil, s.Complain("key_file", err.Error(), err)
	}
	return secret, nil
}

// keyed opens the database for reading, with the key that its event chains
// were made with.
func keyed(e env, s *configs.Settings) (*store.Store, error) {
	secret, err := secretOf(s)
	if err != nil {
		return nil, err
	}
	db, err := store.OpenReader(e.ctx, s.Database.Reveal(), store.Options{Key: secret, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return nil, databaseFault(s, err)
	}
	if err := db.CheckKey(e.ctx); err != nil {
		return nil, errors.Join(databaseFault(s, err), db.Close())
	}
	return db, nil
}

// writer opens the database for writing beside a running daemon.
func writer(e env, s *configs.Settings) (*store.Store, error) {
	secret, err := secretOf(s)
	if err != nil {
		return nil, err
	}
	db, err := store.OpenBeside(e.ctx, s.Database.Reveal(), store.Options{Key: secret, Owner: s.Daemon, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return nil, databaseFault(s, err)
	}
	return db, nil
}

// deskBeside makes a desk without its loops: it decides and writes down as the
// daemon does, and leaves fetching and sending to it.
func deskBeside(e env, s *configs.Settings) (d *desk.Desk, end func() error, err error) {
	secret, err := secretOf(s)
	if err != nil {
		return nil, nil, err
	}
	rules, err := triage.New(s.Policy(secret))
	if err != nil {
		return nil, nil, s.Complain("", err.Error(), err)
	}
	log := slog.New(slog.DiscardHandler)
	mailer, err := mailout.New(s.Mailout(), identity(s, rules), log)
	if err != nil {
		return nil, nil, s.Complain("smtp", err.Error(), err)
	}
	db, err := writer(e, s)
	if err != nil {
		mailer.Close()
		return nil, nil, err
	}
	end = func() error {
		mailer.Close()
		return db.Close()
	}
	return newDesk(s, db, rules, mailer, log), end, nil
}

// administrator names who sits at the machine, as events do.
func administrator() string {
	who, host := "somebody", "this machine"
	if u, err := user.Current(); err == nil {
		who = u.Username
	}
	if h, err := os.Hostname(); err == nil {
		host = h
	}
	return who + " at " + host + " (command line)"
}

// numberOf reads a ticket's number as people write it: 1042, IT-1042 or
// [IT-1042].
func numberOf(s *configs.Settings, text string) (ticket.Number, error) {
	digits := strings.Trim(text, "[]")
	if head := s.SubjectPrefix + "-"; len(digits) > len(head) && strings.EqualFold(digits[:len(head)], head) {
		digits = digits[len(head):]
	}
	return ticket.ParseNumber(digits)
}

// onTerminal says whether a person sees what is written there.
func onTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// progress shows on a terminal how far long work is, a few times a second and
// on one line.
type progress struct {
	out   io.Writer // nil: nobody looks
	shown time.Time
}

func newProgress(w io.Writer) *progress {
	if !onTerminal(w) {
		w = nil
	}
	return &progress{out: w}
}

func (p *progress) tell(format string, a ...any) {
	if p.out == nil || time.Since(p.shown) < 200*time.Millisecond {
		return
	}
	p.shown = time.Now()
	fmt.Fprintf(p.out, "\r\x1b[K"+format, a...)
}

// done clears the line.
func (p *progress) done() {
	if p.out != nil && !p.shown.IsZero() {
		fmt.Fprint(p.out, "\r\x1b[K")
	}
}

// moment is a time as lists show it; a dash where there is none.
func moment(t time.Time, zone *time.Location) string {
	if t.IsZero() {
		return "-"
	}
	return t.In(zone).Format("2006-01-02 15:04:05")
}
