package desk

import (
	"fmt"
	"strings"
	"time"

	"deskd/store"
	"deskd/triage"
	"deskd/triage/ticket"
)

// floodWindow is how long what somebody opened counts towards a flood.
const floodWindow = time.Hour

// mostOpened bounds what is looked up of one sender: a flood in each of a few
// mailboxes, as it is folded.
const mostOpened = 200

// opener is whose new tickets are counted together (T21).
type opener struct {
	mailbox, addr string
	proven        bool
}

// opener is the one that a mail would open a ticket as; ok is false for those
// whose tickets are not counted.
func (d *Desk) opener(m *mail) (o opener, ok bool) {
	addr, proven, ok := d.rules.MayFlood(&m.msg)
	return opener{strings.ToLower(m.Box.Mailbox), addr, proven}, ok
}

// floods counts what the senders of all these mails have opened lately.
func (d *Desk) floods(tx *store.Tx, mails []*mail) (map[opener]triage.Flood, error) {
	var addrs []string
	for _, m := range mails {
		if o, ok := d.opener(m); ok && !m.setOff {
			addrs = append(addrs, o.addr)
		}
	}
	found := map[opener]triage.Flood{}
	if len(addrs) == 0 {
		return found, nil
	}
	list, err := tx.OpenedLately(addrs, d.now().Add(-floodWindow), mostOpened)
	if err != nil {
		return nil, fmt.Errorf("look for floods: %w", err)
	}
	for _, t := range list {
		count(found, opener{strings.ToLower(t.Mailbox), t.Requester, t.Verified}, t.Number, t.Status.Live())
	}
	return found, nil
}

// count notes one more ticket of somebody. One that is done with gets no
// further mails: nobody would look there.
func count(floods map[opener]triage.Flood, o opener, n ticket.Number, live bool) {
	f := floods[o]
	if f.Opened++; live {
		f.Newest = max(f.Newest, n)
	}
	floods[o] = f
}

// mostStormed bounds what is looked up of a storm.
const mostStormed = 200

// storms says what everybody has opened lately, where that is much.
func (d *Desk) storms(tx *store.Tx) (map[string]triage.Storm, error) {
	list, err := tx.OpenedInAll(d.now().Add(-floodWindow), triage.StormAfter, mostStormed)
	if err != nil {
		return nil, fmt.Errorf("look for a storm: %w", err)
	}
	found, counts := map[string]triage.Storm{}, map[string]int{}
	for _, t := range list {
		box := strings.ToLower(t.Mailbox)
		if counts[box]++; found[box] == nil {
			found[box] = triage.Storm{}
		}
		found[box].Add(t.Subject, triage.First{Number: t.Number, Requester: t.Requester})
	}
	for box, n := range counts {
		if n < triage.StormAfter {
			delete(found, box)
		}
	}
	return found, nil
}
