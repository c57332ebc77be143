// Package configs reads the settings file. Each part of the daemon declares
// its own Config; here they are put together into one YAML file, filled with
// defaults and checked as far as that goes without a connection. Whatever is
// wrong is told at once, each complaint with its line and with how to mend it.
//
// Secrets may stand in files of their own or in the environment, and never
// show in anything that is printed.
package configs

import (
	"bytes"
	_ "embed"
	"errors"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
	_ "time/tzdata" // time zones on machines that have none installed

	"deskd/mailin"
	"deskd/mailout"
	"deskd/triage"
	"deskd/triage/ticket"
)

//go:embed example.yaml
var example []byte

// Example gives a settings file that explains every setting.
func Example() []byte { return bytes.Clone(example) }

// Settings is the settings file, filled with defaults and found to be sound.
type Settings struct {
	Mailboxes         []MailboxSettings `yaml:"mailboxes"`
	SMTP              SMTPSettings      `yaml:"smtp"`
	Teams             []triage.Team     `yaml:"teams"`
	Administrators    []string          `yaml:"administrators"`
	Authentication    triage.Trust      `yaml:"authentication"`
	Page              PageConfig        `yaml:"page"`
	Name              string            `yaml:"name"`           // of the desk, in From and greetings
	SubjectPrefix     string            `yaml:"subject_prefix"` // of the tag, "IT" in [IT-1042]
	OldPrefixes       []string          `yaml:"old_subject_prefixes"`
	TimeZone          string            `yaml:"time_zone"`    // IANA name
	Language          string            `yaml:"language"`     // of mails
	Languages         map[string]string `yaml:"languages"`    // other ones, by the recipients' domains in lower case
	Templates         string            `yaml:"templates"`    // folder with templates for mails, an absolute path once loaded; empty: none
	DefaultTeam       string            `yaml:"default_team"` // Helpdesk, or else the first team
	DefaultPriority   ticket.Priority   `yaml:"default_priority"`
	Rules             []triage.Rule     `yaml:"rules"` // triage.DefaultRules when the file has none; empty when it says []
	OwnLists          []string          `yaml:"own_lists"`
	MonitoringSenders []string          `yaml:"monitoring_senders"`
	People            []triage.Person   `yaml:"people"`               // those who have several addresses
	OpenFrom          []string          `yaml:"open_from"`            // addresses and domains; empty: everybody
	BlockedSenders    []string          `yaml:"blocked_senders"`      // likewise; empty: nobody
	CloseAfter        time.Duration     `yaml:"close_resolved_after"` // 0: never by itself
	Limits            Limits            `yaml:"limits"`
	Alerts            AlertConfig       `yaml:"alerts"`
	Heartbeat         time.Duration     `yaml:"heartbeat"` // between two mails of the desk to itself; 0: none

	Database     Secret `yaml:"database"` // postgres://… or an absolute path once loaded; a Secret since the URL may hold a password
	DatabaseFile string `yaml:"database_file"`
	DatabaseEnv  string `yaml:"database_env"`
	KeyFile      string `yaml:"key_file"` // an absolute path once loaded
	KeyEnv       string `yaml:"key_env"`

	Daemon string    `yaml:"daemon"` // name for leases, the machine's by default
	Log    LogConfig `yaml:"log"`

	location *time.Location
	env      environment
	file     string           // as it was named
	at       map[string]place // key path → where its value begins
}

// MailboxSettings is one support mailbox.
type MailboxSettings struct {
	Address      string        `yaml:"address"` // in lower case once loaded
	Aliases      []string      `yaml:"aliases"` // likewise
	Username     string        `yaml:"username"`
	Password     Secret        `yaml:"password"`
	PasswordFile string        `yaml:"password_file"`
	PasswordEnv  string        `yaml:"password_env"`
	IMAP         mailin.Config `yaml:",inline"` // without address, username and password; see Mailin
}

// SMTPSettings is the server that takes our mail.
type SMTPSettings struct {
	Username     string         `yaml:"username"` // that of the first mailbox when the file has none; empty: no sign-in
	Password     Secret         `yaml:"password"`
	PasswordFile string         `yaml:"password_file"`
	PasswordEnv  string         `yaml:"password_env"`
	Server       mailout.Config `yaml:",inline"` // without username and password; see Mailout
}

// PageConfig is the status page.
type PageConfig struct {
	Listen      string   `yaml:"listen"`        // host:port; empty: no page
	CertFile    string   `yaml:"tls_cert_file"` // PEM; with it the page speaks TLS. An absolute path once loaded, as is the next
	KeyFile     string   `yaml:"tls_key_file"`
	BehindProxy bool     `yaml:"behind_proxy"` // browsers reach it over TLS through a web server before it
	Proxies     []string `yaml:"proxies"`      // addresses or networks from which that one asks; this machine's
	UserHeader  string   `yaml:"user_header"`  // field in which it says who is signed in there; empty: nobody is believed
	Monitor     string   `yaml:"monitor"`      // host:port that answers monitors alone; empty: the page does
	Hosts       []string `yaml:"hosts"`        // further names that browsers may call it by, beside loopback ones and that in URL (T39)
	URL         string   `yaml:"url"`          // where people find it, for links in mail; no slash at the end
}

// Secure says whether browsers reach the page over TLS alone.
func (p PageConfig) Secure() bool {
	return p.CertFile != "" || p.BehindProxy || strings.HasPrefix(p.URL, "https:")
}

// Networks are the Proxies: none where no web server stands before the page.
func (p PageConfig) Networks() []netip.Prefix {
	var list []netip.Prefix
	for _, s := range p.Proxies {
		if n, err := network(s); err == nil && (p.BehindProxy || p.UserHeader != "") {
			list = append(list, n)
		}
	}
	return list
}

// network reads an address, or one of a network with the length of its prefix.
func network(s string) (netip.Prefix, error) {
	if ip, err := netip.ParseAddr(s); err == nil {
		ip = ip.Unmap().WithZone("")
		return netip.PrefixFrom(ip, ip.BitLen()), nil
	}
	return netip.ParsePrefix(s)
}

// Limits bound what a mail may cost and how much is sent that nobody wrote.
type Limits struct {
	MailSize     Bytes `yaml:"mail_size"`     // a larger mail is kept by its header alone (T26)
	HeaderSize   Bytes `yaml:"header_size"`   // this and the following: T27, T31
	HeaderFields int   `yaml:"header_fields"` //
	Depth        int   `yaml:"depth"`         // multiparts within one another
	Parts        int   `yaml:"parts"`
	TextSize     Bytes `yaml:"text_size"`    // readable text that is kept
	DecodedSize  Bytes `yaml:"decoded_size"` // all that a mail's parts may decode to

	AttachmentsInNotice Bytes `yaml:"attachments_in_notice"` // larger ones are only named

	AnswersPerAddressHour   int           `yaml:"answers_per_address_hour"` // automatic answers; this and the following: T17
	AnswersPerAddressDay    int           `yaml:"answers_per_address_day"`
	UnauthenticatedInterval time.Duration `yaml:"unauthenticated_interval"` // between two answers to an unproven address
	AnswersPerHour          int           `yaml:"answers_per_hour"`         // to all addresses together
}

// LogConfig says how the log is written.
type LogConfig struct {
	Level  string `yaml:"level"`  // debug, info, warn, error
	Format string `yaml:"format"` // text, json
}

// defaults is a settings file that says nothing.
func defaults() *Settings {
	return &Settings{
		Page:            PageConfig{Listen: "127.0.0.1:8080", Proxies: []string{"127.0.0.1", "::1"}},
		Name:            "IT Service Desk",
		SubjectPrefix:   "IT",
		TimeZone:        "UTC",
		Language:        mailout.English,
		DefaultPriority: ticket.Medium,
		CloseAfter:      7 * 24 * time.Hour,
		Limits: Limits{
			MailSize: 25 << 20, HeaderSize: 256 << 10, HeaderFields: 1000,
			Depth: 20, Parts: 200, TextSize: 1 << 20, DecodedSize: 64 << 20,
			AttachmentsInNotice:   5 << 20,
			AnswersPerAddressHour: 10, AnswersPerAddressDay: 30,
			UnauthenticatedInterval: 5 * time.Minute, AnswersPerHour: 200,
		},
		Alerts:   AlertConfig{After: 5 * time.Minute},
		Database: "deskd.db",
		KeyFile:  "deskd.key",
		Log:      LogConfig{Level: "info", Format: "text"},
	}
}

// Load reads a settings file and checks all that can be checked without a
// connection. It writes nothing. The error is an *Invalid with every complaint.
// A settings file that holds a secret itself must be private to its owner.
func Load(path string) (*Settings, error) { return load(path, os.LookupEnv) }

func load(path string, env environment) (*Settings, error) {
	data, private, err := readSettings(path)
	if err != nil {
		return nil, &Invalid{[]*Complaint{{File: path, Text: err.Error(), Cause: err}}}
	}
	return parse(data, path, env, private)
}

// readSettings gives the file's text, and an error to use when it turns out to
// hold a secret that others may read.
func readSettings(path string) (data []byte, exposed, err error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, nil, settingsError(err)
	}
	if !info.Mode().IsRegular() {
		return nil, nil, errors.New("this is no file; name the settings file")
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, settingsError(err)
	}
	defer f.Close()
	if info, err = f.Stat(); err != nil {
		return nil, nil, settingsError(err)
	}
	data, err = io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, nil, settingsError(err)
	}
	return data, private(path, info.Mode()), nil
}

func settingsError(err error) error {
	switch {
	case errors.Is(err, os.ErrNotExist):
		return &fileFault{"there is no such file; write one after configs/example.yaml (the README has a short one), or name it with --config", err}
	case errors.Is(err, os.ErrPermission):
		return &fileFault{"this user may not read it; give it to the user that deskd runs as with chown", err}
	}
	return &fileFault{bare(err).Error(), err}
}

// Parse reads settings out of data. The path names the file in complaints, and
// its folder is where relative paths begin. Files of secrets that the settings
// name are read; only Load checks who else may read the settings themselves.
func Parse(data []byte, path string) (*Settings, error) {
	return parse(data, path, os.LookupEnv, nil)
}

// parse reads and checks; exposed is complained about when data holds a secret.
func parse(data []byte, path string, env environment, exposed error) (*Settings, error) {
	dir, err := filepath.Abs(filepath.Dir(path))
	if err != nil {
		return nil, &Invalid{[]*Complaint{{File: path, Text: err.Error(), Cause: err}}}
	}
	s := defaults()
	found := newComplaints(path)
	s.env, s.file, s.at = env, path, found.at
	decode(data, s, found)
	if len(found.at) == 0 && len(found.list) > 0 {
		return nil, found.err() // not even a key could be read
	}
	c := &checker{complaints: found, s: s, env: env, dir: dir, exposed: exposed}
	c.check()
	if err := found.err(); err != nil {
		return nil, err
	}
	return s, nil
}

// Location is the desk's time zone; UTC for settings that were not loaded.
func (s *Settings) Location() *time.Location {
	if s.location == nil {
		return time.UTC
	}
	return s.location
}

// Policy is what the settings say about decisions; secret is the desk's key.
func (s *Settings) Policy(secret []byte) triage.Policy {
	p := triage.Policy{
		Prefix: s.SubjectPrefix, OldPrefixes: s.OldPrefixes,
		Teams: s.Teams, DefaultTeam: s.DefaultTeam, DefaultPriority: s.DefaultPriority,
		Administrators: s.Administrators, Rules: s.Rules, Trust: s.Authentication,
		OwnLists: s.OwnLists, Alerts: s.MonitoringSenders, Secret: secret, Location: s.Location(),
		People: s.People, OpenFrom: s.OpenFrom, Blocked: s.BlockedSenders,
	}
	for _, m := range s.Mailboxes {
		p.Mailboxes = append(p.Mailboxes, triage.Mailbox{Address: m.Address, Aliases: m.Aliases})
	}
	return p
}

// Mailin gives the settings of every mailbox, with its password in the clear.
func (s *Settings) Mailin() []mailin.Config {
	var all []mailin.Config
	for _, m := range s.Mailboxes {
		all = append(all, m.config())
	}
	return all
}

// MailLimits bounds what mailin.Parse spends on one mail.
func (s *Settings) MailLimits() mailin.Limits {
	l := s.Limits
	return mailin.Limits{
		Mail: int64(l.MailSize), HeaderBytes: int(l.HeaderSize), Fields: l.HeaderFields,
		Depth: l.Depth, Parts: l.Parts, Text: int(l.TextSize), Decoded: int64(l.DecodedSize),
	}
}

// Mailout gives the settings of the server for outgoing mail, with the
// password in the clear.
func (s *Settings) Mailout() mailout.Config { return s.SMTP.config() }

// config is the part for mailin.
func (m MailboxSettings) config() mailin.Config {
	c := m.IMAP
	c.Address, c.Username, c.Password = m.Address, m.Username, m.Password.Reveal()
	return c
}

// config is the part for mailout.
func (m SMTPSettings) config() mailout.Config {
	c := m.Server
	c.Username, c.Password = m.Username, m.Password.Reveal()
	return c
}

// Secret reads the desk's key: 32 bytes or more, written in hex or base64. A
// file that is not there gives a *MissingKey; one that others may read is
// refused with the command that mends it.
func (s *Settings) Secret() ([]byte, error) {
	if s.KeyEnv != "" {
		text, ok := s.env(s.KeyEnv)
		if !ok {
			return nil, unset(s.KeyEnv)
		}
		key, err := decodeKey(text)
		if err != nil {
			return nil, &fileFault{"the environment variable " + s.KeyEnv + " " + err.Error(), err}
		}
		return key, nil
	}
	text, err := readSecret(s.KeyFile)
	if errors.Is(err, os.ErrNotExist) {
		return nil, &MissingKey{Path: s.KeyFile}
	}
	if err != nil {
		return nil, err
	}
	key, err := decodeKey(text)
	if err != nil {
		return nil, &fileFault{s.KeyFile + " " + err.Error(), err}
	}
	return key, nil
}

// Risks tells what the settings allow, or leave undone, that nobody should
// forget: it is also shown on the page for as long as it is so. One line each.
func (s *Settings) Risks() []string {
	var w []string
	people := len(s.Administrators)
	for _, t := range s.Teams {
		people += len(t.Roster)
	}
	t := s.Authentication
	proof := len(t.Servers) > 0 || t.ExchangeOnline || t.ExchangeInternal || t.AuthenticatedHops || t.VerifyDKIM || t.Network
	switch {
	case people == 0:
		w = append(w, "teams: no roster names a technician; nobody can give commands by mail")
	case !proof:
		w = append(w, "authentication: nothing is set, so no sender can be proven; commands by mail change nothing until it is")
	}
	if t.Network {
		w = append(w, "authentication.network: EVERY From address is believed; whoever can send to the mailbox can give commands in a technician's name. "+
			"Set it to false unless the mailbox can get no mail from outside")
	}
	return w
}

// Warnings tells what is allowed and yet seldom meant, the risks first, one
// line each, for the log at the start and for `deskd check`.
func (s *Settings) Warnings() []string {
	w, t := s.Risks(), s.Authentication
	if t.AuthenticatedHops && len(t.Servers) == 0 && len(t.Borders) == 0 {
		w = append(w, "authentication.authenticated_hops: has no effect while neither servers nor borders name the host that notes the login")
	}
	if s.Page.Listen != "" && s.Page.URL == "" {
		w = append(w, "page.url: not set; mails cannot link to the page")
	}
	if s.Page.Listen != "" && len(s.Administrators) == 0 {
		w = append(w, "administrators: none; nobody sees quarantine, outbox and the fate of mails on the page. Name the addresses of those who may")
	}
	return w
}

// team gives the team of that name in any case, or nil.
func (s *Settings) team(name string) *triage.Team {
	i := slices.IndexFunc(s.Teams, func(t triage.Team) bool { return strings.EqualFold(t.Name, name) })
	if i < 0 {
		return nil
	}
	return &s.Teams[i]
}
