package ticket

import "fmt"

// Status is where a ticket stands.
type Status string

// The five statuses. The stored form is the constant; people read Label.
const (
	Open       Status = "open"        // nobody has begun
	InProgress Status = "in_progress" // a technician works on it
	Waiting    Status = "waiting"     // for the requester or a third party
	Resolved   Status = "resolved"    // done as far as the desk can tell; the requester's answer reopens it
	Closed     Status = "closed"      // final; an answer opens a follow-up ticket
)

// Statuses lists all in the order of a ticket's life.
func Statuses() []Status { return []Status{Open, InProgress, Waiting, Resolved, Closed} }

// Valid says whether s is one of the five.
func (s Status) Valid() bool { _, ok := transitions[s]; return ok }

// Label is the status as people read it: "in progress", not "in_progress".
func (s Status) Label() string {
	if s == InProgress {
		return "in progress"
	}
	return string(s)
}

// Live says whether the ticket still belongs to a queue: neither resolved nor
// closed.
func (s Status) Live() bool { return s == Open || s == InProgress || s == Waiting }

// Act is what somebody does to a ticket's status.
type Act string

// The acts. Set… come from a technician's status command, the rest from verbs
// of their own or from the requester.
const (
	SetOpen         Act = "open"
	SetInProgress   Act = "in progress"
	SetWaiting      Act = "waiting"
	Resolve         Act = "resolved"
	Close           Act = "closed"
	Reopen          Act = "reopen"
	Take            Act = "take" // also assign: somebody works on it from now on
	RequesterAnswer Act = "requester answers"
)

// Acts lists all acts in the order of the printed table.
func Acts() []Act {
	return []Act{SetOpen, SetInProgress, SetWaiting, Resolve, Close, Reopen, Take, RequesterAnswer}
}

// transitions is the whole life of a ticket; what is not in it is not allowed.
// An act that leads to the status the ticket has already stays there without
// an effect (an answer to an open ticket).
var transitions = map[Status]map[Act]Status{
	Open: {
		SetInProgress: InProgress, SetWaiting: Waiting, Resolve: Resolved, Close: Closed,
		Take: InProgress, RequesterAnswer: Open,
	},
	InProgress: {
		SetOpen: Open, SetWaiting: Waiting, Resolve: Resolved, Close: Closed,
		Take: InProgress, RequesterAnswer: InProgress,
	},
	Waiting: {
		SetOpen: Open, SetInProgress: InProgress, Resolve: Resolved, Close: Closed,
		Take: Waiting, RequesterAnswer: Open,
	},
	Resolved: {
		SetOpen: Open, SetInProgress: InProgress, Reopen: Open, Close: Closed,
		RequesterAnswer: Open,
	},
	Closed: {
		SetOpen: Open, Reopen: Open,
	},
}

// Next gives the status that follows on s by the act, or an error that says
// why there is none and what is possible.
func Next(s Status, a Act) (Status, error) {
	row, ok := transitions[s]
	if !ok {
		return "", fmt.Errorf("%q is no status", s)
	}
	if next, ok := row[a]; ok {
		return next, nil
	}
	switch {
	case string(a) == s.Label():
		return "", fmt.Errorf("the ticket is %s already", s.Label())
	case a == Reopen:
		return "", fmt.Errorf("the ticket is %s, so there is nothing to reopen", s.Label())
	case s == Closed:
		return "", fmt.Errorf("the ticket is closed; only \"reopen\" is possible")
	case s == Resolved:
		return "", fmt.Errorf("the ticket is resolved; possible are \"reopen\", \"in progress\" and \"closed\"")
	}
	return "", fmt.Errorf("a ticket that is %s cannot become %q", s.Label(), a)
}

// Reopens says whether going from one status to another takes up a ticket
// that was done.
func Reopens(from, to Status) bool { return !from.Live() && to.Live() }
