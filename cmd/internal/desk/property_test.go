package desk

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"deskd/store"
	"deskd/triage/ticket"
)

// life is what a ticket should be after what has happened to it.
type life struct {
	fields  map[string]string
	history []deed
}

// deed is what one mail changed.
type deed struct {
	by      string
	at      time.Time
	changed map[string][2]string // field → before and after
}

func (l *life) do(by string, at time.Time, to map[string]string) {
	d := deed{by: by, at: at, changed: map[string][2]string{}}
	for f, v := range to {
		if l.fields[f] != v {
			d.changed[f] = [2]string{l.fields[f], v}
			l.fields[f] = v
		}
	}
	if len(d.changed) > 0 {
		l.history = append(l.history, d)
	}
}

// undo takes the last deed of somebody back, unless it is long ago or somebody
// has changed the same since.
func (l *life) undo(by string, at time.Time) {
	last := -1
	for i, d := range l.history {
		if d.by == by {
			last = i
		}
	}
	if last < 0 || at.Sub(l.history[last].at) > 15*time.Minute {
		return
	}
	back := map[string]string{}
	for f, v := range l.history[last].changed {
		for _, later := range l.history[last+1:] {
			if _, again := later.changed[f]; again {
				return
			}
		}
		back[f] = v[0]
	}
	l.do(by, at, back)
}

// command applies a technician's mail of some lines, all of them or none.
func (l *life) command(by string, at time.Time, lines []string) {
	if slices.Contains(lines, "undo") {
		if len(lines) == 1 {
			l.undo(by, at)
		}
		return
	}
	to := maps.Clone(l.fields)
	status := ticket.Status(to["status"])
	closed := status == ticket.Closed
	act := func(a ticket.Act) bool {
		next, err := ticket.Next(status, a)
		if err == nil {
			status = next
		}
		return err == nil
	}
	var last ticket.Act
	for _, line := range lines {
		verb, value, _ := strings.Cut(line, " ")
		switch verb {
		case "take", "assign":
			who := by
			if verb == "assign" {
				who = value
			}
			if !act(ticket.Take) || closed && to["assignee"] != who {
				return
			}
			to["assignee"] = who
		case "drop":
			if closed && to["assignee"] != "" {
				return
			}
			to["assignee"] = ""
		case "priority":
			if closed && to["priority"] != value {
				return
			}
			to["priority"] = value
		default:
			last = map[string]ticket.Act{
				"open": ticket.SetOpen, "in": ticket.SetInProgress, "waiting": ticket.SetWaiting, "resolved": ticket.Resolve, "closed": ticket.Close, "reopen": ticket.Reopen,
			}[verb]
		}
	}
	before := ticket.Status(l.fields["status"])
	if last != "" && !act(last) && (status == before || string(last) != status.Label()) {
		return
	}
	to["status"] = string(status)
	l.do(by, at, to)
}

// TestT10_AnyInterleavingIsTheFoldOfItsEvents lets technicians and requesters
// write what they like in any order, mails come twice and strangers write in
// others' names, and holds the desk against the model above.
func TestT10_AnyInterleavingIsTheFoldOfItsEvents(t *testing.T) {
	both(t, interleave, quiet)
}

func interleave(t *testing.T, o *office) {
	first := ticket.Number(1001) // of the tickets of one run
	mails := 0
	rapid.Check(t, func(r *rapid.T) {
		lives := map[ticket.Number]*life{}
		defer func() { first += ticket.Number(len(lives)) }()
		born := func() {
			lives[first+ticket.Number(len(lives))] = &life{fields: map[string]string{"status": "open", "assignee": "", "priority": "medium"}}
		}
		ann := fmt.Sprintf("ann%d@example.org", mails)
		var sent []string
		steps := rapid.IntRange(3, 20).Draw(r, "steps")
		for range steps {
			o.clock.add(time.Duration(rapid.IntRange(0, 9).Draw(r, "minutes")) * time.Minute)
			mails++
			now, id := o.clock.now(), fmt.Sprintf("Message-ID: <%d@client.example>", mails)
			what := rapid.SampledFrom([]string{"new", "command", "command", "command", "command", "answer", "again", "forged", "undo"}).Draw(r, "what")
			n := first
			if len(lives) > 0 {
				n += ticket.Number(rapid.IntRange(0, len(lives)-1).Draw(r, "ticket"))
			}
			l := lives[n]
			subject := fmt.Sprintf("Re: [IT-%d] it is broken", n)
			by := rapid.SampledFrom([]string{tina, tom}).Draw(r, "technician")
			var raw string
			switch {
			case l == nil || what == "new" && len(lives) < 3:
				raw = vouched(letter(ann, "it is broken", "Please help.", id))
				born()
			case what == "command" || what == "new":
				lines := drawLines(r)
				raw = vouched(letter(by, subject, strings.Join(lines, "\n"), id))
				l.command(by, now, lines)
			case what == "undo":
				raw = vouched(letter(by, subject, "undo", id))
				l.undo(by, now)
			case what == "answer":
				raw = letter(ann, subject, "It is still broken, I am afraid.", id)
				if status := ticket.Status(l.fields["status"]); status == ticket.Closed {
					born()
				} else if next, err := ticket.Next(status, ticket.RequesterAnswer); err == nil {
					l.do("somebody else", now, map[string]string{"status": string(next)})
				}
			case what == "forged":
				raw = letter(by, subject, strings.Join(drawLines(r), "\n"), id)
			default: // the same mail once more
				raw = sent[rapid.IntRange(0, len(sent)-1).Draw(r, "earlier")]
			}
			sent = append(sent, raw)
			o.deliver(raw)
			for n, l := range lives {
				holds(r, o, n, l)
			}
		}
		if _, err := o.store.Show(t.Context(), first+ticket.Number(len(lives))); !errors.Is(err, store.ErrNotFound) {
			r.Fatalf("there is a ticket more than %d: %v", len(lives), err)
		}
	})
}

func drawLines(r *rapid.T) []string {
	all := []string{
		"open", "in progress", "waiting", "resolved", "closed", "reopen", "take", "drop", "assign " + tina, "assign " + tom, "priority low", "priority high",
	}
	var lines []string
	verbs := map[string]bool{}
	for _, line := range rapid.SliceOfN(rapid.SampledFrom(all), 1, 3).Draw(r, "lines") {
		kind, _, _ := strings.Cut(line, " ")
		switch kind {
		case "take", "drop", "assign":
			kind = "who"
		case "priority":
		default:
			kind = "status"
		}
		if !verbs[kind] { // two of a kind contradict each other, and are refused
			verbs[kind] = true
			lines = append(lines, line)
		}
	}
	return lines
}

// holds compares a ticket with the model, and with what its events add up to.
func holds(r *rapid.T, o *office, n ticket.Number, l *life) {
	d, err := o.store.Show(o.t.Context(), n)
	if err != nil {
		r.Fatal(err)
	}
	got := map[string]string{"status": string(d.Ticket.Status), "assignee": d.Ticket.Assignee, "priority": string(d.Ticket.Priority)}
	if !maps.Equal(got, l.fields) {
		r.Fatalf("%d is %v, want %v\n%s", n, got, l.fields, timelineOf(d))
	}
	folded := map[string]string{"status": "open", "assignee": "", "priority": "medium"}
	by := map[string]int{}
	for _, e := range d.Events {
		if _, ok := folded[e.What]; !ok {
			continue
		}
		if folded[e.What] != e.Before {
			r.Fatalf("%d: %s was %q when the event says %q\n%s", n, e.What, folded[e.What], e.Before, timelineOf(d))
		}
		folded[e.What] = e.After
		if e.What != "status" { // which one mail may change twice: take and resolved
			by[fmt.Sprint(e.What, e.Intake)]++
		}
	}
	if !maps.Equal(got, folded) {
		r.Fatalf("%d is %v, its events add up to %v\n%s", n, got, folded, timelineOf(d))
	}
	for what, times := range by {
		if times > 1 {
			r.Fatalf("%d: one mail did %s %d times\n%s", n, what, times, timelineOf(d))
		}
	}
	if err := o.store.VerifyChain(o.t.Context(), n); err != nil {
		r.Fatal(err)
	}
}

func timelineOf(d store.Detail) string {
	var b strings.Builder
	for _, e := range d.Events {
		fmt.Fprintf(&b, "%s %s by %s: %s %q → %q %s\n", e.At.Format("15:04"), fmt.Sprint(e.Intake), e.Actor, e.What, e.Before, e.After, e.Reason)
	}
	return b.String()
}
