// Package triage decides what a mail means: whether a person wrote it, who
// that is and whether we may believe it, which ticket it belongs to, what its
// commands do, and which priority and team a new ticket gets. Everything here
// is a function of its arguments; the time is one of them. The desk asks
// Leads what to look up, fills Known and makes Decide's answer happen.
package triage

import (
	"strings"
	"time"

	"deskd/triage/ticket"
)

// Address is one mailbox out of a header field.
type Address struct {
	Name string `json:"name,omitempty"` // display name, decoded; it says nothing about who wrote (T3)
	Addr string `json:"addr"`           // local@domain, the domain in lower case
}

// Field is one header field from the top of the mail, in the order it came.
type Field struct {
	Name  string // as written
	Value string // unfolded, encoded words decoded, valid UTF-8, no controls
}

// BlockKind says whose words a piece of text is.
type BlockKind string

// Kinds of blocks. Undecided is what mailin gives for text about which the
// HTML said nothing; Split replaces it.
const (
	Undecided BlockKind = ""
	Own       BlockKind = "own"
	Quoted    BlockKind = "quoted"
	Signature BlockKind = "signature"
	Forwarded BlockKind = "forwarded"
)

// Block is a run of whole lines of one kind.
type Block struct {
	Kind BlockKind `json:"kind"`
	Text string    `json:"text"`
}

// Attachment describes one part of a mail that is kept as a file. The bytes
// stay in the raw mail, where Part finds them.
type Attachment struct {
	Part      string `json:"part"`           // place in the MIME tree, "2.1"
	Name      string `json:"name"`           // cleaned for showing and saving (T32)
	Type      string `json:"type"`           // media type in lower case, "application/octet-stream" if unknown
	Size      int64  `json:"size"`           // bytes after decoding
	SHA256    string `json:"sha256"`         // of the decoded bytes, hex
	ContentID string `json:"cid,omitempty"`  // without angle brackets
	Inline    bool   `json:"inline"`         // shown within the text by the writer's program
	Note      string `json:"note,omitempty"` // what a person should know: "encrypted", "cut at the size limit"
}

// AuthResults is one Authentication-Results field (RFC 8601) as it was read,
// believed or not.
type AuthResults struct {
	Server  string       // authserv-id in lower case; empty where the writer leaves it out (Exchange Online)
	Results []AuthResult // in the order written
	Pos     int          // index into Message.Header
	Broken  bool         // could not be read to its end
}

// AuthResult is one method's verdict inside the field.
type AuthResult struct {
	Method string            // "dmarc", "dkim", "spf", … in lower case
	Result string            // "pass", "fail", … in lower case
	Props  map[string]string // "header.from" → "example.com"; keys in lower case
}

// Received is one trace field (RFC 5321, section 4.4).
type Received struct {
	By   string // host that wrote the field, lower case
	From string // as the client called itself
	With string // protocol keyword, "ESMTPSA"
	Pos  int    // index into Message.Header
}

// Report is what a machine says about the fate of a mail: a delivery report
// (RFC 3464 or one of the older forms), a complaint (RFC 5965) or a receipt
// (RFC 8098).
type Report struct {
	Kind       ReportKind        `json:"kind"`
	Standard   bool              `json:"standard"` // read out of a report part, not guessed from the text
	Recipients []ReportRecipient `json:"recipients,omitempty"`
	MessageID  string            `json:"message_id,omitempty"` // of the mail the report is about, without brackets
	Subject    string            `json:"subject,omitempty"`    // of that mail
}

// ReportKind tells the three sorts of reports apart.
type ReportKind string

// Sorts of reports.
const (
	DeliveryReport ReportKind = "delivery"
	FeedbackReport ReportKind = "feedback"
	ReceiptReport  ReportKind = "receipt"
)

// ReportRecipient is one recipient of the mail that a report is about.
type ReportRecipient struct {
	Address    string `json:"address"`
	Status     string `json:"status,omitempty"` // enhanced status code, "5.1.1" (RFC 3463)
	Action     string `json:"action,omitempty"` // failed, delayed, delivered, relayed, expanded
	Diagnostic string `json:"diagnostic,omitempty"`
}

// Failed says that the mail will not reach the recipient (RFC 3464, section
// 2.3.3): by what was done, and where that is not said by the status.
func (r ReportRecipient) Failed() bool {
	if r.Action != "" {
		return strings.EqualFold(r.Action, "failed")
	}
	return strings.HasPrefix(r.Status, "5.")
}

// Message is a mail as mailin read it. What could not be read is empty, and
// Faults says so.
type Message struct {
	MessageID  string   // without angle brackets; empty if missing or not of the form
	InReplyTo  []string // likewise
	References []string // oldest first
	Subject    string   // decoded, unfolded, trimmed
	From       Address  // the single author; empty Addr if the field names none or several (T3)
	FromFault  string   // why From is empty
	Shown      Address  // the address to show when From is empty: the first that can be made out
	Sender     Address
	ReplyTo    []Address
	To, Cc     []Address
	Recipients []string // Delivered-To, X-Original-To, Envelope-To: where our server says it was sent
	ReturnPath *string  // nil: no such field; "": the null sender
	Date       time.Time
	Header     []Field

	Body        []Block // readable text in order; kinds as far as the HTML tells them
	OtherText   string  // another rendering where both alternatives differ in substance
	Attachments []Attachment
	Report      *Report // set when the mail is a report
	Enclosed    *Report // a report inside a person's mail: information only

	AuthResults []AuthResults
	Received    []Received
	DKIM        []AuthResult // what our own look at the signatures found, where it is switched on; "reason" among the Props

	Size       int64
	SHA256     [32]byte // of the raw bytes
	ContentKey [32]byte // of what remains when trace fields are left out: the same mail delivered twice (F5)
	Faults     []string // what had to be repaired or was left out, for people
	Ambiguous  bool     // two readings are possible (T29): its commands are not obeyed
	Oversize   bool     // only the header was read (T26)
	Unreadable bool     // nothing could be made of it: the ticket shows the raw text
}

// Text is the whole readable text.
func (m *Message) Text() string { return joinBlocks(m.Body) }

// Known is what the desk found in the store for a message's Leads.
type Known struct {
	Now     time.Time
	Mailbox string                          // address of the support mailbox it came through
	Twin    *Twin                           // this very mail was decided on before
	Tickets map[ticket.Number]Facts         // every ticket that a lead led to
	ByID    map[string][]ticket.Number      // stored Message-ID → tickets, the oldest first
	Merged  map[ticket.Number]ticket.Number // a merged ticket → the one it went into

	Challenge  *Challenge // the question that the mail answers, if it does
	Challenged bool       // the sender was asked within the hour, or may not be asked
	Confirmed  bool       // the sender has answered yes when asked whether this mail is theirs
	Wanted     bool       // a person has taken this mail out of the spam

	// Told says to whom those of our Message-IDs went that still count where
	// the settings are strict (T7). It is asked for only then.
	Told map[string][]string

	Silenced Silenced // what a technician has said of the sender
	Flood    Flood    // what the sender has opened lately
	Storm    Storm    // what everybody has
}

// Silenced is what a technician has said of a sender, by marking a mail as spam.
type Silenced string

// What is heard of a sender no more.
const (
	Heard            Silenced = ""
	SilencedUnproven Silenced = "unproven" // what nobody vouches for: the marked mail may have been anybody's
	SilencedAll      Silenced = "all"
)

// current is the ticket that another one goes on as: itself, unless it was
// merged.
func (k *Known) current(n ticket.Number) ticket.Number {
	for range 10 {
		into, merged := k.Merged[n]
		if !merged {
			break
		}
		n = into
	}
	return n
}

// Challenge is the question to a technician whether an unverified mail was
// theirs.
type Challenge struct {
	Intake  int64  // the unverified mail
	Address string // of the roster, where the question went
	Expires time.Time
	Spent   bool // it was answered before
}

// Twin is the earlier decision on the same mail.
type Twin struct {
	Intake int64
	Ticket ticket.Number // 0: it had none
}

// Facts is as much of a ticket as a decision needs.
type Facts struct {
	Number       ticket.Number
	Mailbox      string // support address it belongs to
	Subject      string
	Status       ticket.Status
	Priority     ticket.Priority
	Team         string
	Assignee     string // address, or empty
	Requester    string // address
	Participants []string
	Due          time.Time // zero: none
	Tags         []string
	Key          []byte // the ticket's random key, for tokens
}

func joinBlocks(blocks []Block) string {
	var n int
	for _, b := range blocks {
		n += len(b.Text) + 1
	}
	s := make([]byte, 0, n)
	for i, b := range blocks {
		if i > 0 && len(s) > 0 && s[len(s)-1] != '\n' {
			s = append(s, '\n')
		}
		s = append(s, b.Text...)
	}
	return string(s)
}
