package desk

import (
	"fmt"
	"slices"
	"time"

	"deskd/mailout"
)

// openingsSurge says whether a new ticket is one too many to tell of. Those of
// one sender are counted once for the batch, and fold where they are too many
// (T21); the last one before says so. Those of nobody who can be named do not
// fold, and fall silent.
func (w *work) openingsSurge(o *mailout.Occasion) (bool, error) {
	switch {
	case w.counted:
		if w.flood.Opened+1 == surge {
			return w.surging(o, surge), nil
		}
		return false, nil
	case w.t.Requester != "": // somebody who works here, or whom they wrote for
		return false, nil
	}
	n, err := w.tx.OpenedBy("", w.now().Add(-time.Hour), surge+1)
	if err != nil {
		return false, err
	}
	return w.surging(o, n), nil
}

// ticketSurge is how many answers to one ticket technicians are told of within
// an hour, whoever writes them: as many as of two people. Responders that take
// turns would each stay below the limit of one for ever (T17).
const ticketSurge = 2 * surge

// answersSurge says whether an answer to the ticket is one too many to tell
// of: of its author's, or of all that outsiders write there.
func (w *work) answersSurge(o *mailout.Occasion) (bool, error) {
	author := w.rules.Addresses(w.dec.Write.Author.Addr)
	writers := author
	for _, a := range w.outsiders() {
		writers = append(writers, w.rules.Addresses(a)...)
	}
	by, err := w.tx.WrittenBy(w.t.Number, writers, w.now().Add(-time.Hour), ticketSurge+1)
	if err != nil {
		return false, err
	}
	all := 0
	for _, n := range by {
		all += n
	}
	switch {
	case all > ticketSurge:
		w.held = append(w.held, fmt.Sprintf("no notice: more than %d answers to the ticket within an hour", ticketSurge))
		return true, nil
	case all == ticketSurge:
		o.Notes = append(slices.Clone(o.Notes), fmt.Sprintf("this is answer number %d to the ticket within an hour; the next ones are kept and not announced", ticketSurge))
	}
	own := 0
	for _, a := range author {
		own += by[a]
	}
	return w.surging(o, own), nil
}

// outsiders are the addresses whose words on the ticket are passed on to
// technicians, other than technicians themselves; one may be the requester.
func (w *work) outsiders() []string {
	list := []string{w.t.Requester}
	for _, p := range w.k.participants[w.t.Number] {
		if !w.rules.Works(p) {
			list = append(list, p)
		}
	}
	return list
}
