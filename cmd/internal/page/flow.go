package page

import (
	"context"
	"fmt"
	"net/http"
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

// flow is whether mail comes in and goes out.
type flow struct {
	OK          bool
	Faults      []string // what is wrong, one sentence each
	Held        string   // why nothing is sent
	Servers     []contact
	Quarantined int
	Unsent      int
	Failed      int
	LastMail    stamp
}

// contact is how things stand with one server, or with a job of the daemon's.
type contact struct {
	Name, What string // "support@example.org", "Incoming mail"
	OK         bool
	State      string // one or two words
	Detail     string
	At, LastOK stamp
	Delay      string // for how long it has not worked
	Retry      stamp
	Waiting    int
}

func (p *page) flow(ctx context.Context, o store.Overview, now time.Time) (flow, error) {
	beats, err := p.source.Heartbeats(ctx)
	if err != nil {
		return flow{}, fmt.Errorf("read the last contacts: %w", err)
	}
	f := flow{
		Quarantined: o.Quarantined, Unsent: o.OutboxUnsent, Failed: o.OutboxFailed,
		LastMail: p.stamp(o.LastIntake, now), Held: p.held(),
	}
	if f.Held != "" {
		f.Faults = append(f.Faults, "Nothing is sent: "+f.Held)
	}
	for _, h := range beats {
		c := p.contact(h, now)
		f.Servers = append(f.Servers, c)
		if c.OK {
			continue
		}
		fault := c.What
		if c.Name != "" {
			fault += " (" + c.Name + ")"
		}
		fault += ": " + c.State
		if c.Delay != "" {
			fault += " for " + c.Delay
		}
		f.Faults = append(f.Faults, fault+".")
	}
	if o.Quarantined > 0 {
		newest, err := p.source.ListIntakes(ctx, store.IntakeFilter{Fate: store.FateQuarantined, Limit: 1})
		if err != nil {
			return flow{}, fmt.Errorf("read the quarantine: %w", err)
		}
		if len(newest) > 0 && now.Sub(newest[0].DecidedAt) < recent {
			f.Faults = append(f.Faults, "A mail went into quarantine "+ago(newest[0].DecidedAt, now)+": it could not be handled.")
		}
	}
	f.OK = len(f.Faults) == 0
	return f, nil
}

func (p *page) contact(h store.Heartbeat, now time.Time) contact {
	c := contact{
		What: words(h.Name), OK: h.OK, Detail: h.Detail, Waiting: h.Waiting,
		At: p.stamp(h.At, now), LastOK: p.stamp(h.LastOK, now),
	}
	box, incoming := strings.CutPrefix(h.Name, "imap:")
	switch {
	case incoming:
		c.Name, c.What = address(box), "Incoming mail"
	case h.Name == "smtp":
		c.What = "Outgoing mail"
	case h.Name == "dispatch":
		c.What = "Outbox"
	}
	switch {
	case !h.OK:
		c.State = "not working"
		if !h.LastOK.IsZero() {
			c.Delay = span(now.Sub(h.LastOK))
		}
		if h.Retry.After(now) {
			c.Retry = p.stamp(h.Retry, now)
		}
	case incoming && now.Sub(h.At) > silence:
		c.OK, c.State, c.Delay = false, "silent", span(now.Sub(h.At))
	default:
		c.State = "working"
	}
	return c
}

// health answers monitors. Who asks may be anybody, so it says one word (T41);
// the reason is on the dashboard.
func (p *page) health(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), readLimit)
	defer cancel()
	status, word := http.StatusOK, "up"
	f, err := p.flow(ctx, store.Overview{}, p.now())
	if err != nil {
		p.log.Warn("health not known", "err", err)
	}
	if err != nil || !f.OK {
		status, word = http.StatusServiceUnavailable, "degraded"
	}
	h := w.Header()
	h.Set("Content-Type", contentPlain)
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		fmt.Fprintln(w, word)
	}
}
