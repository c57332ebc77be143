package desk

import (
	"cmp"
	"maps"
	"slices"

	"deskd/triage"
)

// markSpam marks ticket and requester, or takes the marks off. Each ticket's
// mark of a requester counts for itself, so that taking one back leaves others.
func (w *work) markSpam() error {
	d, from := &w.dec, w.rules.Canonical(w.t.Requester)
	was, err := w.tx.Blocked([]string{from})
	if err != nil {
		return err
	}
	if err := w.blockRequester(from); err != nil {
		return err
	}
	is, err := w.tx.Blocked([]string{from})
	if err != nil {
		return err
	}
	delete(w.k.blocked, from)
	maps.Copy(w.k.blocked, is)
	if d.NotSpam {
		w.freed = append(w.freed, from)
	}
	what, who := triage.BlockEvent, from
	if !d.MarkKept {
		what, who = triage.SpamEvent, cmp.Or(from, "unknown")
		w.t.Tags = slices.DeleteFunc(slices.Clone(w.t.Tags), func(t string) bool { return t == triage.SpamTag })
		if d.Spam {
			w.t.Tags = append(w.t.Tags, triage.SpamTag)
		}
	} else if maps.Equal(is, was) {
		return nil
	}
	if d.Spam {
		return w.event(what, "", who, "")
	}
	return w.event(what, who, "", "")
}

// blockRequester does to the sender what a decision says of spam.
func (w *work) blockRequester(from string) error {
	d, n := &w.dec, w.t.Number
	if from == "" { // nobody to be silenced
		return nil
	}
	marked := slices.Contains(w.t.Tags, triage.SpamTag)
	switch {
	case d.NotSpam && d.Reversed && marked: // "spam" is taken back: what this ticket said
		return w.tx.Withdraw(from, n)
	case d.NotSpam: // it is said: whatever any ticket said
		if err := w.tx.Withdraw(from, n); err != nil {
			return err
		}
		return w.tx.Unblock(from, n)
	case d.Reversed: // "not spam" is taken back
		if err := w.tx.BlockAgain(from, n); err != nil || d.MarkKept && !marked {
			return err
		}
		if err := w.tx.Reinstate(from, n); err != nil {
			return err
		}
	default:
		proven, err := w.tx.FirstVerified(n)
		if err != nil {
			return err
		}
		if err := w.tx.Block(from, n, w.actor(), proven); err != nil {
			return err
		}
	}
	return w.tx.CancelQueued(n, from)
}

// warnOfBlocks says of whom a mail took marks off that others hold. It is asked
// when all of the mail is done, which may be about several tickets.
func (w *work) warnOfBlocks() error {
	if len(w.freed) == 0 {
		return nil
	}
	blocked, err := w.tx.Blocked(w.freed)
	if err != nil {
		return err
	}
	for _, from := range slices.Sorted(maps.Keys(blocked)) {
		w.warned = append(w.warned, from+" stays blocked by the mark of another ticket; \"not spam\" takes off all marks")
	}
	return nil
}
