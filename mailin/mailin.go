// Package mailin brings mail in. A Source watches one mailbox over IMAP and
// hands what it finds to a Desk, in batches and as raw bytes; it files a mail
// on the server only after the Desk has said that it is safe. Parse reads raw
// bytes into a triage.Message and repairs what mail programs got wrong.
//
// One goroutine owns the connection. Every command has a deadline, which
// closes the raw connection, since the IMAP library knows none.
package mailin

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Box names one mailbox in one incarnation: UIDs mean something only together
// with the UIDVALIDITY (RFC 3501, section 2.3.1.1).
type Box struct {
	Mailbox  string // the support address that the mailbox serves, lower case: stable across server moves
	Validity uint32 // 0: the server gave none, so UIDs are not to be trusted beyond this connection
}

// Fetched is one mail as it came off the server.
type Fetched struct {
	Box      Box
	UID      uint32
	Arrived  time.Time // INTERNALDATE; zero when the server gave none that can be read
	Size     int64     // RFC822.SIZE as announced
	Raw      []byte    // the whole mail; only the header part when Oversize
	SHA256   [32]byte  // of Raw
	Oversize bool      // larger than the limit (T26); the bytes stay on the server
}

// Due is what the Desk knows of a UID that it is not done with.
type Due struct {
	UID   uint32
	File  Folder // not empty: decided on already, only to be filed there
	Alone bool   // an earlier attempt did not end: give it to Deliver by itself
}

// Folder says where a decided mail belongs.
type Folder string

// Folders of a mailbox. The names on the server are settings.
const (
	Undecided  Folder = ""
	Done       Folder = "done"
	Quarantine Folder = "quarantine"
	Stay       Folder = "stay" // leave it where it is (not ours to move)
)

// Verdict is the Desk's word on one mail of a batch. A mail that Deliver gave
// no verdict on, or one with Undecided, stays where it is and is offered again.
type Verdict struct {
	UID  uint32
	File Folder
}

// Desk is what a mailbox loop asks of the desk. A nil error of Deliver means:
// all mails with a verdict are safe with us.
type Desk interface {
	// Start gives the point from which the mailbox is read (F18). The first
	// call for a Box.Mailbox keeps what it is handed, for ever; it and every
	// later call, whatever they hand over, give what was kept.
	Start(ctx context.Context, box Box, now Start) (Start, error)
	// Pending says which of these UIDs are not done, in the order of arrival
	// (UID order). UIDs never heard of are due.
	Pending(ctx context.Context, box Box, uids []uint32) ([]Due, error)
	// Seen records the attempt to fetch these, before any body is asked for.
	Seen(ctx context.Context, box Box, uids []uint32) error
	// Deliver decides on a batch. The error is about the world (disk,
	// database, a stop): nothing was decided, the batch is offered again.
	Deliver(ctx context.Context, batch []Fetched) ([]Verdict, error)
	// Open lists the UIDs of this box that the Desk has seen and that are
	// neither gone nor filed. What is open there and no longer in the folder
	// is reported by Gone: a crash between a move and Filed leaves such rows.
	Open(ctx context.Context, box Box) ([]uint32, error)
	// Filed records that the originals are out of the way.
	Filed(ctx context.Context, box Box, uids []uint32) error
	// Gone records that these vanished before they were read, or before they
	// were filed.
	Gone(ctx context.Context, box Box, uids []uint32) error
	// Missing says which of these mails, which lie in one of the folders that the
	// Desk has filed to, it knows nothing of: its database is older than they
	// are (F21). They are brought back to where mail comes in.
	Missing(ctx context.Context, box Box, copies []Copy) ([]uint32, error)
	// Compared says, once, that mail is taken from now on: all that lies in those
	// folders was asked for by Missing, as far as it can be.
	Compared(box Box)
	// Contact tells how the connection stands, for page and log; at every
	// change and at least once a minute while connected.
	Contact(ctx context.Context, c Contact)
}

// Copy is as much of a filed mail as it takes to know it again.
type Copy struct {
	UID       uint32   // in the folder that it lies in
	Size      int64    // RFC822.SIZE
	MessageID string   // as Parse reads it
	Answers   []string // Message-IDs that it answers
}

// Start is the moment a mailbox was first watched. Mail that was there before
// is left alone unless the settings say otherwise.
type Start struct {
	At       time.Time
	Validity uint32 // UIDVALIDITY then
	UIDNext  uint32 // the first UID that counts as new, while Validity is the same
}

// Contact is the state of one mailbox connection.
type Contact struct {
	Mailbox string
	At      time.Time
	OK      bool
	Idle    bool      // waiting for news by IDLE rather than by polling
	Waiting int       // mails seen in the folder and not yet filed
	Err     string    // what is wrong, for people; empty when OK
	Retry   time.Time // when the next attempt is made; zero when connected
}

// Security is how a connection is protected (T46).
type Security string

// Ways to connect.
const (
	TLS      Security = "tls"      // implicit TLS, the default
	STARTTLS Security = "starttls" // mandatory once chosen
	Plain    Security = "none"     // to loopback addresses only
)

// Limits bound what one mail may cost. The zero value of a field means its
// default.
type Limits struct {
	Mail        int64 // bytes of a mail that is read whole; 25 MiB
	HeaderBytes int   // of the top header block and of each part's; 256 KiB
	Fields      int   // header fields; 1,000
	Depth       int   // nested multiparts; 20
	Parts       int   // MIME parts; 200
	Text        int   // bytes of readable text kept; 1 MiB
	Decoded     int64 // bytes that all decodings of one mail may give; 64 MiB, or twice Mail if that is more
}

// Config says which mailbox is watched, and how. Fields left zero get the
// value that SetDefaults gives them.
type Config struct {
	Address  string   `yaml:"address"`  // the support address that the mailbox serves
	Server   string   `yaml:"server"`   // host:port of the IMAP server; port 993 (tls) or 143 by default
	Security Security `yaml:"security"` // tls (default), starttls, none
	Username string   `yaml:"username"` // the address by default
	Password string   `yaml:"password"` // never shown: see String
	CAFile   string   `yaml:"ca_file"`  // PEM file of further root certificates

	Folder     string `yaml:"folder"`     // where mail comes in, INBOX by default
	Done       string `yaml:"done"`       // where decided mail is filed, "Done" by default; made beside or under INBOX
	Quarantine string `yaml:"quarantine"` // where mail is filed that could not be handled, "Quarantine" by default

	// Import says what becomes of mail that was in the folder before the first
	// start: "" leaves it alone, "all" takes it, a date (2026-01-31) takes
	// what arrived on that day or later.
	Import string `yaml:"import"`

	Poll       time.Duration `yaml:"poll"`         // between looks where the server has no IDLE; 30 s, at most 1 min
	Idle       time.Duration `yaml:"idle"`         // after which IDLE is ended to see whether the server still answers; 90 s, at most 105 s
	FullSearch time.Duration `yaml:"full_search"`  // between listings of the whole folder; 5 min
	Reconcile  time.Duration `yaml:"reconcile"`    // how far back filed mails are compared with what is known of them, at the start and daily; 14 days
	Command    time.Duration `yaml:"command_time"` // deadline of a command; 60 s at most
	Body       time.Duration `yaml:"body_time"`    // deadline of a command that fetches mails; 5 min at most

	BatchMails int   `yaml:"batch_mails"` // mails decided on in one transaction; 50
	BatchBytes int64 `yaml:"batch_bytes"` // bytes of them, unless a single one is larger; 16 MiB
	MaxMail    int64 `yaml:"max_mail"`    // bytes of a mail that is read whole; 25 MiB (T26)

	// Token, when set, gives an OAuth2 access token, and the password is not
	// used. With fresh it must not be one that was handed out before: the
	// server has just refused it.
	Token func(ctx context.Context, fresh bool) (string, error) `yaml:"-"`
}

// Bounds of the settings.
const (
	noticed       = 2 * time.Minute      // F10: a dead connection, from its last word
	maxIdle       = noticed - probe      // shorter than the 9 min of F11
	maxPoll       = noticed - maxCommand // a look begins with a command
	maxCommand    = time.Minute          // F10
	maxBody       = 5 * time.Minute      // F10
	maxFullSearch = 5 * time.Minute      // F11
	maxReconcile  = 366 * 24 * time.Hour // it is read each day
	maxBatchMails = 500                  // UIDs in one command; servers limit its length
	maxBatchBytes = 64 << 20
	maxMaxMail    = 256 << 20
	maxNameLength = 200 // bytes of a folder's name
)

// SetDefaults fills in what was left out. Address, Server and Password have no
// default.
func (c *Config) SetDefaults() {
	set(&c.Security, TLS)
	set(&c.Username, c.Address)
	set(&c.Folder, "INBOX")
	set(&c.Done, "Done")
	set(&c.Quarantine, "Quarantine")
	set(&c.Poll, 30*time.Second)
	set(&c.Idle, 90*time.Second)
	set(&c.FullSearch, maxFullSearch)
	set(&c.Reconcile, 14*24*time.Hour)
	set(&c.Command, time.Minute)
	set(&c.Body, 5*time.Minute)
	set(&c.BatchMails, 50)
	set(&c.BatchBytes, 16<<20)
	set(&c.MaxMail, 25<<20)
	if c.Server == "" {
		return
	}
	if _, _, err := net.SplitHostPort(c.Server); err != nil {
		port := "143"
		if c.Security == TLS {
			port = "993"
		}
		if with := net.JoinHostPort(strings.Trim(c.Server, "[]"), port); validServer(with) {
			c.Server = with
		}
	}
}

func set[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// Validate checks the settings, with their defaults, without touching the
// network. It joins all complaints, each as "key: what is wrong; how to mend
// it".
func (c Config) Validate() error {
	c.SetDefaults()
	var errs []error
	complain := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }

	if local, domain, ok := strings.Cut(c.Address, "@"); c.Address == "" {
		complain("address: missing; give the support address, for example support@example.com")
	} else if !ok || local == "" || domain == "" || hasControl(c.Address) || strings.Contains(c.Address, " ") {
		complain("address: %q is no mail address; write for example support@example.com", c.Address)
	}
	if c.Server == "" {
		complain("server: missing; give the IMAP server as host:port, for example imap.example.com:993")
	} else if !validServer(c.Server) {
		complain("server: %q is not host:port; write for example imap.example.com:993", c.Server)
	}
	switch c.Security {
	case TLS, STARTTLS:
	case Plain:
		if host, _, err := net.SplitHostPort(c.Server); err == nil && !loopbackHost(host) {
			complain("security: none is for loopback addresses only, and %s is none; choose tls or starttls", host)
		}
	default:
		complain("security: %q is unknown; choose tls, starttls or none", string(c.Security))
	}
	if c.Password == "" && c.Token == nil {
		complain("password: missing; give the password of %s", c.Username)
	}
	if strings.ContainsAny(c.Username+c.Password, "\x00\r\n") {
		complain("password: username and password must not contain line ends or NUL; was the file read with its last line end?")
	}
	for _, f := range []struct{ key, name string }{{"folder", c.Folder}, {"done", c.Done}, {"quarantine", c.Quarantine}} {
		switch {
		case len(f.name) > maxNameLength || !utf8.ValidString(f.name) || hasControl(f.name) || strings.ContainsAny(f.name, "*%"):
			complain("%s: %q cannot be a folder's name; use a plain name of at most %d bytes without * and %%", f.key, clean(f.name), maxNameLength)
		case strings.Trim(f.name, "/ ") == "":
			complain("%s: names no folder; write for example Done", f.key)
		}
	}
	switch {
	case strings.EqualFold(c.Done, c.Folder):
		complain("done: is the folder that mail comes in to; name another")
	case strings.EqualFold(c.Quarantine, c.Folder):
		complain("quarantine: is the folder that mail comes in to; name another")
	}
	if _, _, err := c.importFrom(); err != nil {
		complain("import: %q is neither \"all\" nor a date; leave it out, or write for example 2026-01-31", c.Import)
	}
	for _, d := range []struct {
		key      string
		value    time.Duration
		from, to time.Duration
		why      string
	}{
		{"poll", c.Poll, time.Second, maxPoll, "a dead connection"},
		{"idle", c.Idle, 10 * time.Second, maxIdle, "a dead connection"},
		{"full_search", c.FullSearch, 10 * time.Second, maxFullSearch, "a mail that the server did not tell of"},
		{"reconcile", c.Reconcile, 24 * time.Hour, maxReconcile, "what a restored database lacks"},
		{"command_time", c.Command, time.Second, maxCommand, "a dead connection"},
		{"body_time", c.Body, time.Second, maxBody, "a dead connection"},
	} {
		if d.value < d.from || d.value > d.to {
			complain("%s: %s is not between %s and %s, or %s is noticed too late; leave it out for the default", d.key, d.value, d.from, d.to, d.why)
		}
	}
	for _, n := range []struct {
		key      string
		value    int64
		from, to int64
	}{
		{"batch_mails", int64(c.BatchMails), 1, maxBatchMails},
		{"batch_bytes", c.BatchBytes, 1 << 10, maxBatchBytes},
		{"max_mail", c.MaxMail, 1 << 10, maxMaxMail},
	} {
		if n.value < n.from || n.value > n.to {
			complain("%s: %d is not between %d and %d; leave it out for the default", n.key, n.value, n.from, n.to)
		}
	}
	return errors.Join(errs...)
}

// importFrom reads Import: everything, or everything from a day on.
func (c Config) importFrom() (all bool, from time.Time, err error) {
	switch c.Import {
	case "":
		return false, time.Time{}, nil
	case "all":
		return true, time.Time{}, nil
	}
	from, err = time.Parse(time.DateOnly, c.Import)
	return false, from, err
}

// validServer says whether s is host:port with a port that exists.
func validServer(s string) bool {
	host, port, err := net.SplitHostPort(s)
	if err != nil || host == "" || hasControl(host) || strings.ContainsAny(host, " /@") {
		return false
	}
	n, err := strconv.ParseUint(port, 10, 16)
	return err == nil && n > 0
}

// loopbackHost says whether the name can only mean this machine.
func loopbackHost(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func hasControl(s string) bool { return strings.ContainsFunc(s, unicode.IsControl) }

// shown is Config without its methods and without what must not be seen.
func (c Config) shown() any {
	type config Config // without methods, so that it prints as a struct
	if c.Password != "" {
		c.Password = "[hidden]"
	}
	c.Token = nil
	return config(c)
}

// Format writes the settings without the password, whatever the verb (T45).
func (c Config) Format(f fmt.State, verb rune) { fmt.Fprintf(f, fmt.FormatString(f, verb), c.shown()) }

// LogValue is what slog writes: no password.
func (c Config) LogValue() slog.Value { return slog.StringValue(fmt.Sprintf("%+v", c)) }

// Source watches one mailbox.
type Source struct {
	cfg  Config
	desk Desk
	log  *slog.Logger
	dial func(ctx context.Context, network, address string) (net.Conn, error)

	// What is known of single mails outlives a connection: a mail that breaks
	// connections must not get the same chance after each.
	box     Box
	trouble map[uint32]*trouble
	waiting int // mails, at last count

	compared comparison // of filed mails with what is known of them
	takes    bool       // the Desk was told so by Compared
}

// New makes a Source. The settings should have passed Validate; Run does not
// start with those that do not.
func New(c Config, d Desk, log *slog.Logger) *Source {
	c.SetDefaults()
	dialer := &net.Dialer{
		Timeout: 30 * time.Second,
		// Notices a peer that is gone within a minute. One that hangs, or a proxy
		// that still answers for it, is noticed by the end of IDLE (F10).
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 30 * time.Second, Interval: 10 * time.Second, Count: 3},
	}
	return &Source{
		cfg: c, desk: d, dial: dialer.DialContext,
		log:     log.With("mailbox", c.Address),
		trouble: make(map[uint32]*trouble),
	}
}

// Waits between connections.
const (
	firstWait   = time.Second // after a lost connection; doubles, with full jitter
	lastWait    = 5 * time.Minute
	leastWait   = 200 * time.Millisecond
	firstRefuse = time.Minute // after a refused login; doubles
	lastRefuse  = 15 * time.Minute
	settled     = time.Minute      // a connection that held this long was a good one
	grace       = 15 * time.Second // to finish the batch in hand at a stop (F39)
)

// Run watches the mailbox until ctx ends, and then returns nil once the batch
// in hand is finished or given up, 15 s later at the most. It connects again
// whenever the connection is lost. An error is about settings that no waiting
// heals.
func (s *Source) Run(ctx context.Context) error {
	if err := s.cfg.Validate(); err != nil {
		return fmt.Errorf("watch %s: %w", s.cfg.Address, err)
	}
	if _, err := s.cfg.tls(); err != nil {
		return fmt.Errorf("watch %s: %w", s.cfg.Address, err)
	}
	wait, refuse := firstWait, firstRefuse
	fresh := false // ask for a new token
	for {
		began := time.Now()
		progress, err := s.watch(ctx, fresh)
		if ctx.Err() != nil {
			s.log.Info("stopped watching")
			return nil
		}
		var delay time.Duration
		if slow(err) {
			retryNow := isRefusedLogin(err) && s.cfg.Token != nil && !fresh
			fresh = s.cfg.Token != nil
			delay, wait = refuse+rand.N(refuse/10), firstWait
			if refuse = min(2*refuse, lastRefuse); retryNow {
				delay, refuse = 0, firstRefuse
			}
		} else {
			refuse, fresh = firstRefuse, false
			if progress || time.Since(began) >= settled {
				wait = firstWait
			}
			delay = max(rand.N(wait), leastWait)
			wait = min(2*wait, lastWait)
		}
		s.log.Warn("mailbox is not being watched", "err", err, "again", delay.Round(time.Millisecond))
		s.desk.Contact(ctx, Contact{
			Mailbox: s.mailbox(), At: time.Now(), Err: clean(err.Error()), Retry: time.Now().Add(delay),
			Waiting: s.waiting,
		})
		if !sleep(ctx, delay) {
			return nil
		}
	}
}

// mailbox is the name of the mailbox in a Box.
func (s *Source) mailbox() string { return strings.ToLower(s.cfg.Address) }

// sleep waits, and says whether it was to the end.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// outlive gives a context that ends d after ctx does.
func outlive(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	longer, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		sleep(longer, d)
		cancel()
	})
	return longer, func() { stop(); cancel() }
}
