package page

import (
	"context"
	"fmt"
	"time"

	mailflow "deskd/cmd/internal/flow"
	"deskd/store"
)

// flow is whether mail comes in and goes out.
type flow struct {
	OK          bool
	Faults      []string // what is wrong, one sentence each
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
	Took       string // by the last mail to ourselves
}

func (p *page) flow(ctx context.Context, o store.Overview, now time.Time) flow {
	st := p.state.Read(ctx, now)
	f := flow{
		Quarantined: o.Quarantined, Unsent: o.OutboxUnsent, Failed: o.OutboxFailed,
		LastMail: p.stamp(o.LastIntake, now), OK: len(st.Faults) == 0,
	}
	for _, fault := range st.Faults {
		f.Faults = append(f.Faults, fault.Text)
	}
	for _, c := range st.Contacts {
		f.Servers = append(f.Servers, p.contact(c, now))
	}
	return f
}

func (p *page) contact(c mailflow.Contact, now time.Time) contact {
	shown := contact{
		Name: address(c.Name), What: words(c.What), OK: c.OK, State: c.State, Detail: c.Detail, Waiting: c.Waiting,
		At: p.stamp(c.At, now), LastOK: p.stamp(c.LastOK, now), Retry: p.stamp(c.Retry, now),
	}
	if c.Delay != 0 {
		shown.Delay = span(c.Delay)
	}
	if c.Took != 0 {
		shown.Took = fmt.Sprintf("%.1f s", c.Took.Seconds())
	}
	return shown
}
