// Package flow says whether mail flows: how things stand with each server and
// with the database, and what is wrong at present. Page, monitors and alerts
// all tell the same.
package flow

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"deskd/store"
)

// silence is how long a mailbox may go without a word: a connected one
// reports once a minute.
const silence = 5 * time.Minute

// recent is how long a mail in quarantine is a fault. It may stay there for
// good, and a page that is always red says nothing.
const recent = 7 * 24 * time.Hour

// RoundTrip begins the names under which the store keeps how mails to
// ourselves fare.
const RoundTrip = "round:"

// Source is what is read. A *store.Store is one.
type Source interface {
	Heartbeats(ctx context.Context) ([]store.Heartbeat, error)
	ListIntakes(ctx context.Context, f store.IntakeFilter) ([]store.Intake, error)
}

// Reader reads how things stand.
type Reader struct {
	Source Source
	Held   func() string         // why nothing is sent at present; empty when mail goes out. It may be nil
	Kept   func() store.Standing // whether what comes in can be kept. It may be nil
}

// State is how things stand.
type State struct {
	Faults   []Fault
	Contacts []Contact
}

// Fault is something that is wrong.
type Fault struct {
	Key  string // what it is about, the same for as long as it lasts: "imap:support@…", "database"
	Text string // one sentence
}

// Quarantine is the key of the fault that a mail went into quarantine: mail
// flows all the same.
const Quarantine = "quarantine"

// Flows says whether mail flows.
func (s State) Flows() bool {
	for _, f := range s.Faults {
		if f.Key != Quarantine {
			return false
		}
	}
	return true
}

// Contact is how things stand with one server, or with a job of the daemon's.
type Contact struct {
	Key        string
	Name, What string // "support@example.org", "Incoming mail"; Name may be empty
	OK         bool
	State      string // one or two words
	Detail     string
	At, LastOK time.Time
	Delay      time.Duration // for how long it has not worked; 0: it works, or never has
	Retry      time.Time
	Waiting    int
	Took       time.Duration // of the last mail to ourselves, there and back
}

// Read says how things stand. A database that does not answer is a fault like
// any other, not an error.
func (r Reader) Read(ctx context.Context, now time.Time) State {
	var s State
	add := func(key, text string) {
		if !slices.ContainsFunc(s.Faults, func(f Fault) bool { return f.Key == key }) {
			s.Faults = append(s.Faults, Fault{key, text})
		}
	}
	if r.Kept != nil {
		if k := r.Kept(); !k.OK {
			add("database", fmt.Sprintf("No mail is taken in or sent, since nothing can be kept (for %s): %s", Span(now.Sub(k.Since)), k.Err))
		}
	}
	if r.Held != nil {
		if why := r.Held(); why != "" {
			add("held", "Nothing is sent: "+why)
		}
	}
	beats, err := r.Source.Heartbeats(ctx)
	if err != nil {
		add("database", "The database does not answer: "+err.Error())
		return s
	}
	for _, h := range beats {
		c := contact(h, now)
		s.Contacts = append(s.Contacts, c)
		if c.OK {
			continue
		}
		fault := c.What
		if c.Name != "" {
			fault += " (" + c.Name + ")"
		}
		fault += ": " + c.State
		if c.Delay != 0 {
			fault += " for " + Span(c.Delay)
		}
		add(c.Key, fault+".")
	}
	newest, err := r.Source.ListIntakes(ctx, store.IntakeFilter{Fate: store.FateQuarantined, Limit: 1})
	if err != nil {
		add("database", "The database does not answer: "+err.Error())
		return s
	}
	if len(newest) > 0 && now.Sub(newest[0].DecidedAt) < recent {
		add(Quarantine, "A mail went into quarantine "+since(newest[0].DecidedAt, now)+": it could not be handled.")
	}
	return s
}

func contact(h store.Heartbeat, now time.Time) Contact {
	c := Contact{
		Key: h.Name, What: h.Name, OK: h.OK, Detail: h.Detail, Waiting: h.Waiting, At: h.At, LastOK: h.LastOK, Took: h.Took,
	}
	box, incoming := strings.CutPrefix(h.Name, "imap:")
	own, round := strings.CutPrefix(h.Name, RoundTrip)
	switch {
	case incoming:
		c.Name, c.What = box, "Incoming mail"
	case round:
		c.Name, c.What = own, "Mail to ourselves"
	case h.Name == "smtp":
		c.What = "Outgoing mail"
	case h.Name == "dispatch":
		c.What = "Outbox"
	}
	switch {
	case !h.OK:
		c.State = "not working"
		if round {
			c.State = "does not come back"
		}
		if !h.LastOK.IsZero() {
			c.Delay = now.Sub(h.LastOK)
		}
		if h.Retry.After(now) {
			c.Retry = h.Retry
		}
	case incoming && now.Sub(h.At) > silence:
		c.OK, c.State, c.Delay = false, "silent", now.Sub(h.At)
	default:
		c.State = "working"
	}
	return c
}

func since(t, now time.Time) string {
	if now.Sub(t) < time.Minute {
		return "just now"
	}
	return Span(now.Sub(t)) + " ago"
}

// Span is a length of time in its largest whole unit.
func Span(d time.Duration) string {
	switch {
	case d < time.Minute:
		return "under a minute"
	case d < time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 24*time.Hour:
		return fmt.Sprintf("%d h", int(d.Hours()))
	case d < 48*time.Hour:
		return "1 day"
	}
	return fmt.Sprintf("%d days", int(d.Hours()/24))
}
