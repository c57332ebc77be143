package configs

import (
	"net"
	"net/url"
	"time"

	"deskd/mailout"
)

// AlertConfig says who is told when mail does not flow, and how.
type AlertConfig struct {
	After       time.Duration `yaml:"after"`   // that a fault must last
	Mail        []string      `yaml:"mail"`    // addresses
	From        string        `yaml:"from"`    // that of the first mailbox when the file has none
	SMTP        SMTPSettings  `yaml:"smtp"`    // a second way out; without an address the desk's own is taken
	Webhook     Secret        `yaml:"webhook"` // a URL; a Secret since whoever has it can write there
	WebhookFile string        `yaml:"webhook_file"`
	WebhookEnv  string        `yaml:"webhook_env"`
}

// Mailout gives the settings of the server that takes alerts, with the
// password in the clear: the second way, or else that of all other mail.
func (a AlertConfig) Mailout(s *Settings) mailout.Config {
	if a.SMTP.Server.Address == "" {
		return s.Mailout()
	}
	return a.SMTP.config()
}

// alerts checks who is told of faults, and the ways to tell them.
func (c *checker) alerts() {
	a := &c.s.Alerts
	if c.aboutItself("alerts") {
		return
	}
	c.people("alerts.mail", a.Mail)
	if !c.about("alerts.after") && (a.After < 0 || a.After > 24*time.Hour) {
		c.add("alerts.after", "%s is not between 0 and 24h; leave it out for 5m", a.After)
	}
	if !c.about("heartbeat") && c.s.Heartbeat != 0 && (c.s.Heartbeat < time.Minute || c.s.Heartbeat > 24*time.Hour) {
		c.add("heartbeat", "%s is not between 1m and 24h; write for example 5m, or 0 for none", c.s.Heartbeat)
	}
	switch {
	case a.From != "":
		c.address("alerts.from", a.From)
	case len(c.s.Mailboxes) > 0:
		a.From = c.s.Mailboxes[0].Address
	}
	c.alertWays(a)
}

func (c *checker) alertWays(a *AlertConfig) {
	hook, literal := c.secret("alerts.webhook", a.Webhook, a.WebhookFile, a.WebhookEnv)
	if a.Webhook = hook; hook != "" {
		u, err := url.Parse(hook.Reveal())
		switch {
		case err != nil || u.Hostname() == "" || u.Scheme != "https" && u.Scheme != "http":
			c.add("alerts.webhook", "this is no address of a webhook; write one such as https://chat.example.org/hooks/…")
		case u.Scheme == "http" && !loopback(net.JoinHostPort(u.Hostname(), "80")):
			c.add("alerts.webhook", "goes over the network unprotected; write https")
		case literal && c.exposed != nil:
			c.add("alerts.webhook", "the settings file holds the address of a webhook, with which anybody can write there, but %s", c.exposed)
		}
	}
	if !c.written("alerts.smtp") || c.aboutItself("alerts.smtp") {
		return
	}
	m := &a.SMTP
	m.Password = c.password("alerts.smtp.", m.Password, m.PasswordFile, m.PasswordEnv)
	if m.Server.Address == "" && m.Username == "" && m.Password == "" {
		return
	}
	c.certificates("alerts.smtp.ca_file", &m.Server.CAFile)
	m.Server.SetDefaults()
	conf := m.config()
	if conf.Password == "" && c.aboutPassword("alerts.smtp.") {
		conf.Password = hidden // its absence has been told of
	}
	c.adopt("alerts.smtp.", conf.Validate())
	if len(a.Mail) == 0 && !c.about("alerts.mail") {
		c.add("alerts.mail", "missing; write who is told through alerts.smtp")
	}
}
