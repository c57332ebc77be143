package mailout

import "time"

// How long a mail is tried before it is given up (F34).
const (
	GiveUpAfter       = 4 * 24 * time.Hour
	GiveUpAnswerAfter = 24 * time.Hour // of answers that nobody wrote: a later "we have your request" would only puzzle
)

// schedule is the wait after the first, second, … attempt. The last entry
// holds for all later ones.
var schedule = []time.Duration{
	time.Minute, 5 * time.Minute, 15 * time.Minute, 30 * time.Minute, time.Hour,
	2 * time.Hour, 4 * time.Hour,
}

// exact is how many of the first waits are kept to the minute: greylisting
// wants the same mail again soon. Later ones are spread, so that mails which
// failed together do not come back together.
const exact = 5

// fewest is how many attempts a mail has at least before it is given up.
const fewest = 8

// Next says when to try a mail again after the given number of attempts (1
// after the first), which ended now. Waits beyond the fifth are shortened by
// up to a quarter, by rnd in [0,1). With a zero giveUp the mail is given up
// GiveUpAfter after it was created. The last attempt falls on giveUp itself;
// once that is over, ok is false: give the mail up. A mail that was tried only
// a few times is not: the clock has jumped, or nobody was there to try (F29).
func Next(attempt int, created, now, giveUp time.Time, rnd float64) (due time.Time, ok bool) {
	if giveUp.IsZero() {
		giveUp = created.Add(GiveUpAfter)
	}
	late := !now.Before(giveUp)
	if late && attempt >= fewest {
		return time.Time{}, false
	}
	i := min(max(attempt, 1), len(schedule)) - 1
	wait := schedule[i]
	if i >= exact {
		wait -= time.Duration(min(max(rnd, 0), 1) * float64(wait) / 4)
	}
	due = now.Add(wait)
	if due.After(giveUp) && !late {
		due = giveUp
	}
	return due, true
}
