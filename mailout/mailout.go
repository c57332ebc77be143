// Package mailout writes the desk's mails and hands them over to the mail
// server. Compose renders a mail once, into bytes that are kept with the
// ticket; Send gives exactly these bytes to the server, as often as it takes,
// and says of a failure who has to act on it: nobody (it is tried again), the
// administrator (Held), or the desk, because the server will never take this
// mail (Refused).
//
// Every mail is plain text, with a twin in HTML that is made out of that text
// and says the same. What a requester wrote stands in both with a "> " before
// each line, so that nobody's mail program can hand it back to us as the
// command of a technician.
package mailout

import (
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"deskd/triage"
	"deskd/triage/ticket"
)

// Security is how the connection to the mail server is protected (T46).
type Security string

// Ways to connect.
const (
	TLS      Security = "tls"      // implicit TLS, the default
	STARTTLS Security = "starttls" // mandatory once chosen
	Plain    Security = "none"     // to loopback addresses only
)

// Config says which server takes our mail, and how we sign in there.
type Config struct {
	Address     string   `yaml:"address"`     // host:port of the submission server
	Security    Security `yaml:"security"`    // tls (default), starttls, none
	Username    string   `yaml:"username"`    // empty: no sign-in
	Password    string   `yaml:"password"`    // never shown: see String
	Hello       string   `yaml:"hello"`       // name given in EHLO; the machine's name by default
	Connections int      `yaml:"connections"` // kept open at most, 2 by default
	CAFile      string   `yaml:"ca_file"`     // PEM file of further root certificates

	DKIM DKIMConfig `yaml:"dkim"` // how our mails are signed
}

// Bounds of Config.Connections.
const (
	defaultConnections = 2
	maxConnections     = 32
)

// SetDefaults fills in what was left out. Address has no default.
func (c *Config) SetDefaults() {
	if c.Security == "" {
		c.Security = TLS
	}
	if c.Connections == 0 {
		c.Connections = defaultConnections
	}
	if c.Hello == "" {
		c.Hello = "localhost"
		if name, err := os.Hostname(); err == nil && helloName(name) {
			c.Hello = name
		}
	}
}

// Validate checks the settings after SetDefaults, without touching the
// network. It joins all complaints, each as "key: what is wrong; how to mend
// it".
func (c Config) Validate() error {
	var errs []error
	complain := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }

	host, port, err := net.SplitHostPort(c.Address)
	switch n, perr := strconv.ParseUint(port, 10, 16); {
	case c.Address == "":
		complain("address: missing; give the submission server as host:port, for example mail.example.com:465")
	case err != nil:
		complain("address: %q is not host:port; write for example mail.example.com:465", c.Address)
	case host == "":
		complain("address: %q names no host; write for example mail.example.com:465", c.Address)
	case perr != nil || n == 0:
		complain("address: %q has no port between 1 and 65535; 465 is usual for tls, 587 for starttls", c.Address)
	}
	switch c.Security {
	case TLS, STARTTLS:
	case Plain:
		if err == nil && !loopbackHost(host) {
			complain("security: none is for loopback addresses only, and %s is none; choose tls or starttls", host)
		}
	default:
		complain("security: %q is unknown; choose tls, starttls or none", string(c.Security))
	}
	switch {
	case c.Username == "" && c.Password != "":
		complain("username: missing, though there is a password; give both or neither")
	case c.Username != "" && c.Password == "":
		complain("password: missing, though there is a username; give both or neither")
	}
	if strings.ContainsAny(c.Username+c.Password, "\x00\r\n") {
		complain("password: username and password must not contain line ends or NUL; was the file read with its last line end?")
	}
	if !helloName(c.Hello) {
		complain("hello: %q is not a host name; give this machine's full name", c.Hello)
	}
	if c.Connections < 1 || c.Connections > maxConnections {
		complain("connections: %d is not between 1 and %d; %d is plenty for most desks", c.Connections, maxConnections, defaultConnections)
	}
	if err := c.DKIM.Validate(); err != nil {
		for line := range strings.SplitSeq(err.Error(), "\n") {
			complain("dkim.%s", line)
		}
	}
	return errors.Join(errs...)
}

// String shows the settings without the password (T45).
func (c Config) String() string {
	c.hide()
	type shown Config // without methods, so that it prints as a struct
	return fmt.Sprintf("%+v", shown(c))
}

// GoString is String, so that %#v hides the password too.
func (c Config) GoString() string { return c.String() }

// LogValue is what slog writes: no password.
func (c Config) LogValue() slog.Value { return slog.StringValue(c.String()) }

func (c *Config) hide() {
	if c.Password != "" {
		c.Password = "(hidden)"
	}
}

// helloName says whether s can stand in EHLO: a domain or an address literal
// (RFC 5321, section 4.1.1.1).
func helloName(s string) bool {
	if s == "" || len(s) > 255 {
		return false
	}
	for _, r := range s {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', strings.ContainsRune(".-_:[]", r):
		default:
			return false
		}
	}
	return true
}

func loopbackHost(host string) bool {
	if ip := net.ParseIP(host); ip != nil {
		return ip.IsLoopback()
	}
	return strings.EqualFold(host, "localhost")
}

// Identity is what every mail of the desk needs to know about the desk.
type Identity struct {
	Name        string         // of the desk, for From and greetings: "IT Service Desk"
	Prefix      string         // of the subject tag: "IT"
	OldPrefixes []string       // tags with these are ours too, and are taken off a subject
	Host        string         // domain of our Message-IDs
	Signer      *triage.Signer // makes Message-IDs and loop marks
	ListID      string         // value of List-Id without angle brackets: "desk.example.com" (RFC 2919)
	Location    *time.Location // in which times are shown; nil: UTC
	PageURL     string         // base address of the page, "https://desk.example.com"; empty: not mentioned
	Own         []string       // support addresses and their aliases: nothing is ever sent there (T18)

	Language  string            // of mails; empty: English
	Languages map[string]string // other languages by the recipients' domains, in lower case: "example.de": "de"
	Templates string            // folder with templates that stand in for the built-in ones; empty: none
}

// Kind says what a mail is for. It chooses the template and the header.
type Kind string

// The mails that the desk writes.
const (
	Acknowledgement Kind = "acknowledgement" // to the requester: we have it
	TeamNotice      Kind = "team-notice"     // to the team: a new ticket
	Reply           Kind = "reply"           // to the requester: a technician's words
	StatusNotice    Kind = "status-notice"   // to the requester: the status changed
	AnswerNotice    Kind = "answer-notice"   // to assignee or team: the requester answered
	CommandError    Kind = "command-error"   // to the technician: nothing was changed, and why
	ReplyFailed     Kind = "reply-failed"    // to the technician: the words meant for the requester went to nobody
	NoteNotice      Kind = "note-notice"     // to the assignee: a work note
	AssignNotice    Kind = "assign-notice"   // to a technician: somebody has assigned the ticket to you
	MoveNotice      Kind = "move-notice"     // to a team: the ticket was moved to you
	Transcript      Kind = "transcript"      // to the technician: what the commands did
	Answer          Kind = "answer"          // to who asked by mail: what a query found
	Challenge       Kind = "challenge"       // to a technician: a mail in your name could not be verified, was it you?
	DueNotice       Kind = "due-notice"      // to assignee or team: the date of a reminder has come
	MergeNotice     Kind = "merge-notice"    // to the requester: the ticket went into another
	TakenNotice     Kind = "taken-notice"    // to the team: somebody has the ticket now, nobody else need begin
	Alert           Kind = "alert"           // to administrators: mail does not flow, or does so again
	RoundTrip       Kind = "round-trip"      // to the desk itself: does it come back?
	SignIn          Kind = "sign-in"         // to somebody who wants to sign in on the page
)

// TicketView is as much of a ticket as its mails show.
type TicketView struct {
	Number    ticket.Number // 0: the mail belongs to no ticket, and has no tag
	Subject   string
	Status    ticket.Status
	Priority  ticket.Priority
	Team      string // its name
	Assignee  string // address, or empty
	Requester triage.Address
	CreatedAt time.Time
	DueAt     time.Time // zero: none
	Key       []byte    // the ticket's random key, for the Message-ID
}

// Section is a part of an Answer or a Challenge: lines beneath a title. A line
// may hold line ends; what follows the first one is indented.
type Section struct {
	Title string
	Lines []string
}

// Attachment is a file that goes along with a mail.
type Attachment struct {
	Name string
	Type string // media type; what is none becomes application/octet-stream
	Data []byte
}

// Occasion is all that one mail is made from.
type Occasion struct {
	Kind            Kind
	Key             string           // outbox key, unique for ever: "intake:7/acknowledge"
	At              time.Time        // becomes Date
	From            string           // the support address that it comes from
	To, Cc          []triage.Address // as the header shows them; at least one
	Ticket          TicketView
	Actor           triage.Address        // who did it; empty: the desk itself
	Reasons         []string              // why this priority and team, one line each
	Text            string                // what this mail conveys: the requester's own words, the technician's reply
	Before, After   string                // status before and after, as labels; for MoveNotice teams, for MergeNotice the tags of the merged ticket and of the one that goes on; empty: no change to tell of
	Authenticated   bool                  // who wrote Text is proven; without it an acknowledgement repeats nothing of the mail (T20)
	Errors          []triage.CommandError // for CommandError: the lines that could not be obeyed; for ReplyFailed: why
	Effects         []triage.Effect       // for Transcript: what each command did
	Told            []string              // for Transcript: who was written to
	Sections        []Section             // for Answer, Challenge and Alert
	Public          bool                  // an Answer to somebody who is no technician
	Link, Code      string                // for SignIn: the address to open, and what can be typed instead
	InReplyTo       string                // without angle brackets, as all ids here
	References      []string              // oldest first
	Attachments     []Attachment          // sent along
	AttachmentNames []string              // of files that are too large to send along
	Notes           []string              // further lines for technicians: unverified sender, parts left out
}

// Composed is a finished mail.
type Composed struct {
	Bytes     []byte // header and body, CRLF line ends, no line longer than 998 bytes
	MessageID string // without angle brackets
	Subject   string // decoded, with its tag
}

// Mailer writes mails and hands them over. All its methods may be called
// from several goroutines at once.
type Mailer struct {
	conf Config
	id   Identity
	log  *slog.Logger
	host string // of Config.Address, the name that the certificate must bear
	tls  *tls.Config
	wait limits
	dial dialer

	wording wording
	key     crypto.Signer // for DKIM; nil: mails are not signed

	slots chan struct{} // one token for each connection that may be open

	mu       sync.Mutex
	closed   bool
	idle     []*line         // kept connections, the one used last at the end
	holds    map[string]hold // by envelope sender; "" is for all
	standing Standing
	quitting sync.WaitGroup // connections being closed politely
}

// New makes a Mailer. It reads Config.CAFile but does not connect. Close
// frees the kept connections.
func New(c Config, id Identity, log *slog.Logger) (*Mailer, error) {
	c.SetDefaults()
	if err := c.Validate(); err != nil {
		return nil, fmt.Errorf("mail out: %w", err)
	}
	host, _, err := net.SplitHostPort(c.Address)
	if err != nil {
		return nil, fmt.Errorf("mail out: %w", err)
	}
	roots, err := rootCertificates(c.CAFile)
	if err != nil {
		return nil, fmt.Errorf("mail out: ca_file: %w", err)
	}
	if err := id.validate(); err != nil {
		return nil, fmt.Errorf("mail out: %w", err)
	}
	if id.Location == nil {
		id.Location = time.UTC
	}
	var key crypto.Signer
	if c.DKIM != (DKIMConfig{}) {
		if key, err = c.DKIM.Key(); err != nil {
			return nil, fmt.Errorf("mail out: dkim.key_file: %w", err)
		}
	}
	words, err := loadWording(id.Templates)
	if err != nil {
		return nil, fmt.Errorf("mail out: templates: %w", err)
	}
	return &Mailer{
		conf: c, id: id, log: log, host: host,
		tls:     &tls.Config{ServerName: host, RootCAs: roots, MinVersion: tls.VersionTLS12},
		wait:    standardLimits,
		dial:    (&net.Dialer{}).DialContext,
		slots:   make(chan struct{}, c.Connections),
		holds:   make(map[string]hold),
		wording: words, key: key,
	}, nil
}

// validate checks what goes into the header of every mail.
func (id Identity) validate() error {
	var errs []error
	if id.Signer == nil {
		errs = append(errs, errors.New("identity: no signer; the desk's key is needed to sign Message-IDs"))
	}
	if id.Prefix == "" || strings.ContainsAny(id.Prefix, "[]- ") || fit(id.Prefix) != nil || !ascii(id.Prefix) {
		errs = append(errs, fmt.Errorf("prefix: %q cannot stand in a subject tag; take a few letters, as in [IT-1042]", id.Prefix))
	}
	for _, v := range []struct{ key, value string }{{"host", id.Host}, {"list_id", id.ListID}} {
		if v.value == "" || !helloName(v.value) {
			errs = append(errs, fmt.Errorf("%s: %q is not a domain name; take the one of your mail addresses", v.key, v.value))
		}
	}
	if err := fit(id.Name); err != nil || id.Name == "" {
		errs = append(errs, fmt.Errorf("name: %q cannot stand in From; give the desk a name of one line", id.Name))
	}
	for _, code := range append(slices.Collect(maps.Values(id.Languages)), id.Language) {
		if code != "" && languageOf(code) == nil {
			errs = append(errs, fmt.Errorf("language: %q is none that mails can be written in; choose one of %s", code, strings.Join(Languages(), ", ")))
		}
	}
	return errors.Join(errs...)
}

// rootCertificates gives the machine's own roots and those of the file; nil
// stands for the machine's own alone.
func rootCertificates(file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool() // a machine without roots of its own
	}
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s: no certificate in it; want PEM", file)
	}
	return pool, nil
}

// Standing is how we stand with the mail server, for page and log.
type Standing struct {
	OK     bool      // the last conversation went well
	Err    string    // what is wrong, for people; empty when OK
	Held   bool      // somebody must act: nothing goes out before that
	Until  time.Time // all mail is held, and asked for again then; zero: at most that of single senders
	At     time.Time // when that was found; zero: never asked
	LastOK time.Time // when a conversation last went well
}

// Standing tells how the last conversation with the server went.
func (m *Mailer) Standing() Standing {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.standing
	s.Until = m.holds[""].err.Until
	return s
}
