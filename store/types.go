package store

import (
	"time"

	"deskd/triage/ticket"
)

// MailboxUID names one mail on a server: a UID means something only together
// with its mailbox and the mailbox's UIDVALIDITY.
type MailboxUID struct {
	Mailbox  string // the support address that the mailbox serves
	Validity uint32
	UID      uint32
}

// Fate is what became of a mail that came in. Every mail gets exactly one.
type Fate string

// The fates.
const (
	FateNewTicket   Fate = "new_ticket"  // opened a ticket
	FateAppended    Fate = "appended"    // became part of a ticket; a command is an append
	FateUnverified  Fate = "unverified"  // kept as a note whose sender nobody vouches for
	FateDuplicate   Fate = "duplicate"   // the same mail was decided on before
	FateAutomatic   Fate = "automatic"   // written by a program that gets no answer
	FateLoop        Fate = "loop"        // our own mail coming back
	FateBounce      Fate = "bounce"      // a report about a mail of ours
	FateSpam        Fate = "spam"        // marked as spam by a server, a list or a person
	FateFolded      Fate = "folded"      // one of a flood, counted on one ticket
	FateOversize    Fate = "oversize"    // too large: only the header was read
	FateQuarantined Fate = "quarantined" // waits for a person
	FateDismissed   Fate = "dismissed"   // a person took it out of quarantine for good
	FateRefused     Fate = "refused"     // a rule says that it is not wanted
	FateGone        Fate = "gone"        // vanished from the server before it was read
)

// Fates lists all fates.
func Fates() []Fate {
	return []Fate{
		FateNewTicket, FateAppended, FateUnverified, FateDuplicate, FateAutomatic, FateLoop, FateBounce,
		FateSpam, FateFolded, FateOversize, FateQuarantined, FateDismissed, FateRefused, FateGone,
	}
}

// Handling says how an attempt at a mail is made that has not ended.
const (
	HandlingNone  = ""
	HandlingBatch = "batch" // together with others
	HandlingAlone = "alone" // by itself: a death now is its own fault
)

// Intake is one mail as it came in, and what became of it.
type Intake struct {
	ID         int64
	Mailbox    string
	Validity   uint32
	UID        uint32
	SHA256     []byte // of the raw bytes; nil until decided
	ContentKey []byte // of what remains without trace fields; nil until decided
	MessageID  string // without angle brackets
	From       string
	Subject    string
	Size       int64     // bytes
	ArrivedAt  time.Time // when the server got it
	SeenAt     time.Time // when it was first recorded here
	DecidedAt  time.Time
	FiledAt    time.Time // when the original was out of the way
	Fetches    int       // attempts at fetching it
	Failures   int       // attempts at handling that were its own fault (F19)
	Handling   string    // an attempt at handling that has not ended: "", "batch" or "alone"
	LastError  string
	Fate       Fate // empty: not decided yet
	Reason     string
	Ticket     ticket.Number // 0: none
	File       string        // the folder where it belongs once decided: done, quarantine, stay
	Kind       string        // who wrote it: person, auto-reply, …
	Why        []byte        // JSON: the decision explained
}

// Ticket is one request.
type Ticket struct {
	Number          ticket.Number
	Mailbox         string // the support address it belongs to
	Subject         string
	Requester       string // address
	RequesterName   string
	Status          ticket.Status
	Priority        ticket.Priority
	Team            string
	Assignee        string // address; empty: nobody
	Tags            []string
	Reasons         []string // why this priority and team
	Key             []byte   // 16 random bytes, for tokens and Message-IDs
	ChainHead       []byte   // hash of the newest event
	Events          int      // length of the event chain
	Entries         int      // messages and work notes
	CreatedAt       time.Time
	UpdatedAt       time.Time
	FirstResponseAt time.Time
	ResolvedAt      time.Time
	ClosedAt        time.Time
	DueAt           time.Time // somebody is to be reminded then
	RemindedAt      time.Time // when that was done; zero: not yet
	AnsweredAt      time.Time // the requester's last message
}

// Entry is a message or a work note on a ticket.
type Entry struct {
	ID          int64
	Ticket      ticket.Number
	Seq         int    // 1 for the ticket's first; given by AddEntry
	Kind        string // message or note
	Visibility  string // public or internal
	Author      string // address
	AuthorName  string
	Verified    bool   // somebody vouched for the author
	Text        string // the author's own new words
	FullText    string // all of the readable text
	Attachments []byte // JSON list
	Blocks      []byte // JSON list
	Flags       []string
	Intake      int64 // 0: not from a mail
	MessageID   string
	At          time.Time // zero: now
}

// Event is one line of a ticket's timeline, or of the desk's own (Ticket 0).
// Seq, Salt, Commit, Previous and Hash are given by AddEvent.
type Event struct {
	ID       int64
	Ticket   ticket.Number // 0: about the desk as a whole
	Seq      int           // 1 for the chain's first
	At       time.Time     // zero: now
	Actor    string
	What     string
	Before   string
	After    string
	Reason   string
	Intake   int64  // the mail that did it; 0: none
	Salt     []byte // nil: the payload was erased
	Commit   []byte
	Previous []byte
	Hash     []byte
}

// Participant is somebody who is on a ticket besides its requester.
type Participant struct {
	Ticket ticket.Number
	Addr   string
	Name   string
	How    string // how they came to be on it: cc, command, …
	At     time.Time
}

// Link joins two tickets.
type Link struct {
	From, To ticket.Number
	Kind     string // follow-up, claims, forward, duplicate, …
	At       time.Time
}

// Kinds of links that somebody has made between tickets that were there.
const (
	LinkRelated = "related"
	LinkMerged  = "merged" // From went into To
)

// Challenge is the question to a technician whether an unverified mail was
// theirs.
type Challenge struct {
	MessageID string // of the question
	Intake    int64  // the unverified mail
	Addr      string // who was asked
	Expires   time.Time
	Spent     time.Time // when it was answered; zero: not yet
}

// Outgoing is a mail to be sent.
type Outgoing struct {
	Key        string        // unique for ever: "intake:7/acknowledge"
	Ticket     ticket.Number // 0: about none
	Recipients []string      // envelope recipients; one row each
	From       string        // envelope sender
	MessageID  string
	Kind       string
	Automatic  bool      // nobody wrote it: limited by T17
	Body       []byte    // as rendered; stored once for all recipients
	Intake     int64     // the mail that caused it; 0: none
	Due        time.Time // zero: now
	GiveUp     time.Time // zero: never
	Subject    string
}

// State is where an outgoing mail stands.
type State string

// The states of the outbox.
const (
	Queued    State = "queued"    // waits for its time
	Sending   State = "sending"   // claimed by a daemon, until its lease ends
	Sent      State = "sent"      // the server took it
	Uncertain State = "uncertain" // cut after the final dot: perhaps taken
	Failed    State = "failed"    // refused for good, or given up
	Cancelled State = "cancelled" // a person said so
)

// Row is one outgoing mail to one recipient.
type Row struct {
	ID         int64
	Key        string // the mail's key, a slash, the recipient
	Ticket     ticket.Number
	Recipient  string
	From       string
	MessageID  string
	Kind       string
	Subject    string
	State      State
	Attempts   int
	Due        time.Time // when it may be claimed; while sending, the end of the lease; zero: never by itself
	CreatedAt  time.Time
	SentAt     time.Time
	LeaseUntil time.Time
	GiveUp     time.Time
	LeaseOwner string
	Answer     string // the server's last words
	Body       []byte // only from Claim
	Intake     int64
	Automatic  bool
}

// Heartbeat is the last word on the contact with a server or on a job.
type Heartbeat struct {
	Name    string // "imap:support@…", "smtp", "dispatch"
	At      time.Time
	OK      bool
	Detail  string
	LastOK  time.Time // kept by Beat when zero
	Retry   time.Time // when the next attempt is made
	Waiting int
	Took    time.Duration // of the last mail to ourselves, there and back
}

// Overview is what the dashboard shows.
type Overview struct {
	Open             map[string]map[ticket.Priority]int // live tickets by team and priority
	Unassigned       int                                // live tickets that nobody has
	Waiting          int
	Overdue          int      // live tickets whose date has gone by
	DueToday         int      // live tickets that are due in what is left of the day
	PerDay           [30]Day  // oldest first; days of the time zone of now
	Answers          Answers  // to the tickets that were opened in these days
	OldestUnanswered []Ticket // live and without a first response; at most 5
	Quarantined      int
	OutboxUnsent     int
	OutboxFailed     int
	LastIntake       time.Time // when a mail was last seen
}

// Day is one day of the dashboard's charts.
type Day struct {
	Day      time.Time // midnight at which it begins
	New      int       // tickets opened
	Resolved int       // tickets resolved that are so still
	Answers            // to the tickets that were opened on it
}

// Answers tells how soon tickets had their first response: of how many that
// have had one, and within what time half and nine tenths of them had it. That
// is in whole seconds, by nearest rank.
type Answers struct {
	Answered     int
	Median, Slow time.Duration
}

// RoundTrip is the reason of the mails by which a desk looks whether its own
// mail comes back.
const RoundTrip = "round-trip"

// Detail is a ticket with all that hangs on it, at most the newest 1,000 of
// each kind, oldest first.
type Detail struct {
	Ticket       Ticket
	Entries      []Entry
	Events       []Event
	Links        []Link
	Participants []Participant
	Returned     []Returned // of them and the requester
	Outbox       []Row

	MoreOutbox  bool  // there are older rows of the outbox
	FirstIntake int64 // the mail that opened it; 0: none
	Earlier     Mark  // only of ShowPart: where the part before begins; zero: there is none
}

// Mark is a place in a ticket's timeline: what comes before it has lower
// sequence numbers than these.
type Mark struct{ Entry, Event int }

// IntakeFilter chooses intakes; empty fields do not restrict.
type IntakeFilter struct {
	Fate      Fate
	Mailbox   string
	Ticket    ticket.Number
	MessageID string // without angle brackets
	Before    int64  // only ids below: the last one of the page before
	Limit     int    // at most 500; 0 means 50
	Undone    bool   // not decided, or decided and not yet filed
}

// OutboxFilter chooses outgoing mail; empty fields do not restrict.
type OutboxFilter struct {
	State     State
	Ticket    ticket.Number
	MessageID string // without angle brackets
	Before    int64  // only ids below: the last one of the page before
	Limit     int    // at most 500; 0 means 50
}
