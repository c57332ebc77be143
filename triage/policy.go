package triage

import (
	"time"

	"deskd/triage/ticket"
)

// Policy is what the settings say about decisions. It is data; New checks and
// compiles it.
type Policy struct {
	Prefix          string    // of the subject tag, "IT"
	OldPrefixes     []string  // still recognised after a change
	Mailboxes       []Mailbox // the support mailboxes, the first one being the default
	Teams           []Team
	DefaultTeam     string          // of tickets that no rule speaks about
	DefaultPriority ticket.Priority // likewise
	Administrators  []string        // addresses that may do what every technician may
	Rules           []Rule
	Trust           Trust
	OwnLists        []string       // addresses or List-Ids of lists whose posts are people's mail to us
	Alerts          []string       // addresses of monitoring systems
	People          []Person       // those who have several addresses
	OpenFrom        []string       // addresses and domains whose mail may open tickets; empty: all
	Blocked         []string       // addresses and domains whose mail is spam
	Secret          []byte         // the desk's key, 32 bytes or more
	Location        *time.Location // in which dates in words are read; nil: UTC
}

// Mailbox is one support address with the other addresses that lead to it.
// Nothing is ever sent to either (T18).
type Mailbox struct {
	Address string
	Aliases []string
}

// Team is a group of technicians with the address that reaches all of them.
type Team struct {
	Name   string   `yaml:"name"`
	List   string   `yaml:"list"`   // distribution list
	Roster []string `yaml:"roster"` // addresses of its technicians
}

// Trust says which proof of a sender's identity is believed. With nothing set
// no sender is authenticated.
type Trust struct {
	Servers           []string `yaml:"servers"`            // authserv-ids of our own mail servers (RFC 8601, section 2.5)
	Borders           []string `yaml:"borders"`            // names that our own servers give in "Received: … by"
	ExchangeOnline    bool     `yaml:"exchange_online"`    // the topmost field counts although it names no server
	ExchangeInternal  bool     `yaml:"exchange_internal"`  // X-MS-Exchange-Organization-AuthAs: Internal counts
	AuthenticatedHops bool     `yaml:"authenticated_hops"` // a login noted in the border's own Received field counts (ESMTPSA)
	VerifyDKIM        bool     `yaml:"verify_dkim"`        // we look into the DKIM signatures ourselves, and an aligned one counts
	Network           bool     `yaml:"network"`            // the mailbox only gets internal mail: every From is believed
	StrictFor         []string `yaml:"strict_for"`         // what needs a signed reference as well: StrictClose, StrictBatch (T48)
}

// Rule sets priority, team and more on new mail. All of Words are alternatives;
// a rule matches when one of them is found in one of the places.
type Rule struct {
	Name     string          `yaml:"name"`     // for the reasons; made from the words when empty
	Words    []string        `yaml:"words"`    // words or phrases, "print*" for beginnings, "/re/" for RE2
	In       []string        `yaml:"in"`       // subject text sender domain recipient attachment header:NAME; subject and text when empty
	Priority ticket.Priority `yaml:"priority"` // empty: says nothing about it
	Team     string          `yaml:"team"`
	Assignee string          `yaml:"assignee"`
	Tags     []string        `yaml:"tags"`
	Action   RuleAction      `yaml:"action"` // ignore, spam, or empty
}

// RuleAction is what a rule does beside sorting.
type RuleAction string

// Actions of a rule.
const (
	Sort   RuleAction = ""       // sets priority, team and the like
	Ignore RuleAction = "ignore" // keeps the mail, opens no ticket
	Spam   RuleAction = "spam"   // likewise, and lists it as spam
)

// SeedTeams are the teams of a desk whose settings name none; lists and
// rosters are for the settings to say.
func SeedTeams() []Team {
	return []Team{{Name: Helpdesk}, {Name: NetworkTeam}, {Name: DesktopSupport}, {Name: SystemAdministrator}}
}

// Names of the seed teams.
const (
	Helpdesk            = "Helpdesk"
	NetworkTeam         = "Network Team"
	DesktopSupport      = "Desktop Support"
	SystemAdministrator = "System Administrator"
)

// DefaultRules are the rules of a desk whose settings give none.
func DefaultRules() []Rule {
	return []Rule{
		{Words: []string{"server", "down"}, Priority: ticket.Critical, Team: SystemAdministrator},
		{Words: []string{"vpn"}, Priority: ticket.High, Team: NetworkTeam},
		{Words: []string{"printer"}, Priority: ticket.Medium, Team: DesktopSupport},
		{Words: []string{"password"}, Priority: ticket.Low, Team: Helpdesk},
	}
}
