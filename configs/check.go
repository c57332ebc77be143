package configs

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io/fs"
	"maps"
	"net"
	"net/mail"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"deskd/mailout"
	"deskd/triage"
)

// checker fills in the defaults that hang on other settings, and finds what is
// wrong beyond the form.
type checker struct {
	*complaints
	s       *Settings
	env     environment
	dir     string            // where relative paths begin
	exposed error             // the settings file may be read by others; nil when it may not
	own     map[string]string // support addresses and aliases, in lower case → key
}

// check goes through the settings, those first that others hang on.
func (c *checker) check() {
	c.own = map[string]string{}
	c.limits()
	c.mailboxes()
	c.smtp()
	c.teams()
	c.people("administrators", c.s.Administrators)
	c.authentication()
	c.strict()
	c.page()
	c.desk()
	c.wording()
	c.sorting()
	c.aliases()
	c.senders("open_from", c.s.OpenFrom)
	c.senders("blocked_senders", c.s.BlockedSenders)
	for i, a := range c.s.BlockedSenders {
		if c.s.technician(a) {
			c.add("blocked_senders["+strconv.Itoa(i)+"]", "%s works here, and cannot be blocked; take it out", a)
		}
	}
	c.alerts()
	c.storage()
	c.operation()
}

// fail complains with another function's error.
func (c *checker) fail(key string, err error) {
	for _, e := range flatten(err) {
		c.add(key, "%s", e)
		c.list[len(c.list)-1].Cause = e
	}
}

func (c *checker) mailboxes() {
	if len(c.s.Mailboxes) == 0 {
		if !c.about("mailboxes") {
			c.add("mailboxes", "missing; write at least one, such as {address: support@example.org, server: imap.example.org:993, password_file: mailbox.password}")
		}
		return
	}
	accounts := map[string]int{}
	for i := range c.s.Mailboxes {
		m := &c.s.Mailboxes[i]
		key := "mailboxes[" + strconv.Itoa(i) + "]"
		m.Address = c.supportAddress(key+".address", m.Address)
		for j := range m.Aliases {
			m.Aliases[j] = c.supportAddress(key+".aliases["+strconv.Itoa(j)+"]", m.Aliases[j])
		}
		if m.Username == "" {
			m.Username = m.Address
		}
		m.Password = c.password(key+".", m.Password, m.PasswordFile, m.PasswordEnv)
		if m.Password == "" && !c.aboutPassword(key+".") {
			c.add(key+".password", "missing; write password_file: with the path of a file that holds it, or password_env:")
		}
		c.certificates(key+".ca_file", &m.IMAP.CAFile)
		if c.about("limits.mail_size") {
			m.IMAP.MaxMail = 0
		} else if m.IMAP.MaxMail == 0 {
			m.IMAP.MaxMail = int64(c.s.Limits.MailSize)
		} else if m.IMAP.MaxMail > int64(c.s.Limits.MailSize) {
			c.add(key+".max_mail", "more than limits.mail_size, %s, allows; raise that one first", c.s.Limits.MailSize)
		}

		conf := m.config()
		conf.SetDefaults()
		if conf.Password == "" {
			conf.Password = hidden // its absence has been told of above
		}
		c.adopt(key+".", conf.Validate())
		account := strings.ToLower(conf.Server + "\n" + conf.Username + "\n" + conf.Folder)
		if other, twice := accounts[account]; twice && !c.about(key) {
			c.add(key+".server", "the same folder of the same account as mailboxes[%d]; write the second address under its aliases", other)
		}
		accounts[account] = i
		conf.Address, conf.Username, conf.Password = "", "", "" // these stand in m
		m.IMAP = conf
	}
}

// supportAddress checks an address of ours, notes it as such and gives it in
// lower case, which is how mailboxes are told apart.
func (c *checker) supportAddress(key, addr string) string {
	if !c.address(key, addr) {
		return addr
	}
	addr = strings.ToLower(addr)
	if first, twice := c.own[addr]; twice {
		c.add(key, "%s stands at %s already; take one of them out", addr, first)
	} else {
		c.own[addr] = key
	}
	return addr
}

// password reads one of the three forms of a password.
func (c *checker) password(prefix string, value Secret, file, env string) Secret {
	secret, literal := c.secret(prefix+"password", value, file, env)
	if literal && c.exposed != nil {
		c.add(prefix+"password", "the settings file holds a password, but %s", c.exposed)
	}
	return secret
}

// aboutPassword says whether one of a password's forms was complained about.
func (c *checker) aboutPassword(prefix string) bool {
	return c.about(prefix+"password") || c.about(prefix+"password_file") || c.about(prefix+"password_env")
}

// certificates checks a file of root certificates and makes its path absolute.
func (c *checker) certificates(key string, file *string) {
	if *file == "" {
		return
	}
	path, err := c.path(*file)
	if err != nil {
		c.fail(key, err)
		return
	}
	*file = path
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		c.add(key, "%s is no file; name a file with certificates in PEM form", path)
		return
	}
	pem, err := os.ReadFile(path)
	if err != nil {
		c.fail(key, fileError(path, err))
		return
	}
	if !x509.NewCertPool().AppendCertsFromPEM(pem) {
		c.add(key, "%s holds no certificate in PEM form; convert it with: openssl x509 -inform der -in FILE", path)
	}
}

func (c *checker) smtp() {
	m := &c.s.SMTP
	if !c.written("smtp") {
		c.add("smtp", "missing; write the server that takes outgoing mail, such as {address: smtp.example.org:465}")
		return
	}
	if c.aboutItself("smtp") {
		return
	}
	m.Password = c.password("smtp.", m.Password, m.PasswordFile, m.PasswordEnv)
	given := c.written("smtp.password") || c.written("smtp.password_file") || c.written("smtp.password_env")
	var first MailboxSettings
	if len(c.s.Mailboxes) > 0 {
		first = c.s.Mailboxes[0]
	}
	if !c.written("smtp.username") {
		m.Username = first.Username
	}
	if !given && m.Username == first.Username {
		m.Password = first.Password
	}
	if m.Username != "" && m.Password == "" && !given && m.Username != first.Username {
		c.add("smtp.password", "missing; write password_file: with the path of a file that holds the password of %s, or username: \"\" for a server that asks for none", m.Username)
	}
	c.certificates("smtp.ca_file", &m.Server.CAFile)
	c.signing(&m.Server.DKIM)
	m.Server.SetDefaults()
	conf := m.config()
	if conf.Password == "" && conf.Username != "" {
		conf.Password = hidden // its absence has been told of
	}
	c.adopt("smtp.", conf.Validate())
}

// signing checks the key for DKIM, a secret in a file, and makes its path
// absolute.
func (c *checker) signing(d *mailout.DKIMConfig) {
	const key = "smtp.dkim.key_file"
	if d.KeyFile == "" || c.about(key) {
		return
	}
	path, err := c.path(d.KeyFile)
	if err != nil {
		c.fail(key, err)
		return
	}
	d.KeyFile = path
	info, err := os.Stat(path)
	switch {
	case err != nil:
		c.fail(key, fileError(path, err))
	case !info.Mode().IsRegular():
		c.add(key, "%s is no file; name the file that holds the private key", path)
	case private(path, info.Mode()) != nil:
		c.fail(key, private(path, info.Mode()))
	default:
		if _, err := d.Key(); err != nil {
			c.fail(key, err)
		}
	}
}

func (c *checker) teams() {
	if len(c.s.Teams) == 0 {
		if !c.about("teams") {
			c.add("teams", "missing; write at least one, such as {name: Helpdesk, list: helpdesk@example.org, roster: [ann@example.org]}")
		}
		return
	}
	names := map[string]int{}
	for i, t := range c.s.Teams {
		key := "teams[" + strconv.Itoa(i) + "]"
		if !c.about(key + ".name") {
			c.line(key+".name", t.Name, "Helpdesk")
		}
		folded := strings.ToLower(t.Name)
		if first, twice := names[folded]; twice && t.Name != "" {
			c.add(key+".name", "%q is the name of teams[%d] already; give each team its own", t.Name, first)
		}
		names[folded] = i
		switch {
		case c.about(key + ".list"):
		case t.List == "":
			c.add(key+".list", "missing; write the address that reaches the whole team")
		default:
			c.foreign(key+".list", t.List)
		}
		c.people(key+".roster", t.Roster)
	}
}

// people checks a list of technicians' addresses.
func (c *checker) people(key string, addrs []string) {
	first := map[string]int{}
	for i, a := range addrs {
		item := key + "[" + strconv.Itoa(i) + "]"
		if !c.foreign(item, a) {
			continue
		}
		if before, twice := first[strings.ToLower(a)]; twice {
			c.add(item, "%s stands at %s[%d] already; take one of them out", a, key, before)
			continue
		}
		first[strings.ToLower(a)] = i
	}
}

// foreign checks an address that mail is sent to: it must be none of ours, or
// the desk would write to itself (T18).
func (c *checker) foreign(key, addr string) bool {
	if !c.address(key, addr) {
		return false
	}
	local, domain, _ := strings.Cut(strings.ToLower(addr), "@")
	box, _, _ := strings.Cut(local, "+")
	for _, a := range []string{local + "@" + domain, box + "@" + domain} {
		if at, ours := c.own[a]; ours {
			c.add(key, "%s is a support address (%s), and nothing is ever sent there; write another", addr, at)
			return false
		}
	}
	return true
}

// address complains about what is no addr-spec (RFC 5322, section 3.4.1) of
// the plain kind that every server takes.
func (c *checker) address(key, addr string) bool {
	if c.about(key) {
		return false
	}
	local, domain, _ := strings.Cut(addr, "@")
	parsed, err := mail.ParseAddress(addr)
	switch {
	case addr == "" && !c.written(key):
		c.add(key, "missing; write an address, such as support@example.org")
	case addr == "":
		c.add(key, "empty; write an address, such as support@example.org")
	case strings.ContainsFunc(addr, func(r rune) bool { return r > unicode.MaxASCII }):
		c.add(key, "%q has letters beyond ASCII; write the domain in its xn-- form, and take a plain address", addr)
	case err == nil && parsed.Address != addr:
		c.add(key, "%q is more than an address; write %s", addr, parsed.Address)
	case err != nil || local == "" || !isHostName(domain) || len(local) > 64 || len(addr) > 254:
		c.add(key, "%q is no mail address; write one such as ann@example.org", addr)
	default:
		return true
	}
	return false
}

// isHostName says whether s has the form of a domain name.
func isHostName(s string) bool {
	if len(s) > 253 {
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > 63 || strings.Trim(label, "-") != label ||
			strings.Trim(strings.ToLower(label), "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			return false
		}
	}
	return true
}

// line checks a text that must be one line and not too long for a header.
func (c *checker) line(key, text, sample string) {
	switch {
	case text == "" && !c.written(key):
		c.add(key, "missing; write one such as %s", sample)
	case strings.TrimSpace(text) == "":
		c.add(key, "empty; write one such as %s", sample)
	case strings.ContainsFunc(text, unicode.IsControl):
		c.add(key, "has line ends or other control characters; write one plain line")
	case len(text) > 100:
		c.add(key, "longer than 100 bytes; write a shorter one, such as %s", sample)
	}
}

func (c *checker) authentication() {
	t := c.s.Authentication
	for _, list := range []struct {
		key   string
		names []string
	}{{"authentication.servers", t.Servers}, {"authentication.borders", t.Borders}} {
		for i, name := range list.names {
			ours := isHostName(name)
			if list.key == "authentication.borders" {
				begin, open := strings.CutSuffix(name, "*")
				ours = isHostName(strings.TrimPrefix(name, ".")) || open && len(begin) >= 4 || net.ParseIP(name) != nil
			}
			if key := list.key + "[" + strconv.Itoa(i) + "]"; !ours && !c.about(key) {
				c.add(key, "%q is no server's name; write it as it stands in the mail's header, such as mx.example.org", name)
			}
		}
	}
}

// strict checks the list of what needs more than a proven sender.
func (c *checker) strict() {
	for i, what := range c.s.Authentication.StrictFor {
		c.oneOf("authentication.strict_for["+strconv.Itoa(i)+"]", what, triage.StrictClose, triage.StrictBatch)
	}
}

// listener checks an address that the daemon listens on, and that other
// machines do not reach unless remote says that they may (T43).
func (c *checker) listener(key, addr, example, none, remedy string, remote bool) {
	if addr == "" || c.about(key) {
		return
	}
	host, port, err := net.SplitHostPort(addr)
	_, portErr := strconv.ParseUint(port, 10, 16)
	if err != nil || portErr != nil || host != "" && net.ParseIP(host) == nil && !isHostName(host) {
		c.add(key, "%q is not host:port; write %s, or \"\" for %s", addr, example, none)
	} else if !remote && !loopback(addr) {
		c.add(key, "other machines reach %q, %s", addr, strings.ReplaceAll(remedy, "PORT", port))
	}
}

func (c *checker) page() {
	p := &c.s.Page
	c.pageTLS(p)
	c.listener("page.listen", p.Listen, "127.0.0.1:8080", "no page",
		"and could read along; write tls_cert_file and tls_key_file, or 127.0.0.1:PORT with a web server before it and behind_proxy: true", p.CertFile != "" || p.BehindProxy || c.about("page.tls_cert_file"))
	c.listener("page.monitor", p.Monitor, "127.0.0.1:9090", "the page's own",
		"and nobody is asked who they are; write 127.0.0.1:PORT, and reach it through a tunnel or a proxy that asks who is there", false)
	if p.Listen != "" && !loopback(p.Listen) && p.URL == "" && !c.about("page.listen") && !c.about("page.url") {
		c.add("page.url", "missing; write where people find the page, such as https://desk.example.org: the links to sign in lead there")
	}
	for i, s := range p.Proxies {
		if key := "page.proxies[" + strconv.Itoa(i) + "]"; !c.about(key) {
			if _, err := network(s); err != nil {
				c.add(key, "%q is no address; write one such as 10.0.0.7, or a network such as 10.0.0.0/24", s)
			}
		}
	}
	if h := p.UserHeader; h != "" && !c.about("page.user_header") && strings.IndexFunc(h, func(r rune) bool {
		return r != '-' && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
	}) >= 0 {
		c.add("page.user_header", "%q is no name of a header field; write one such as X-Forwarded-User", h)
	}
	for i, h := range p.Hosts {
		name := h
		if host, port, err := net.SplitHostPort(h); err == nil {
			if n, err := strconv.ParseUint(port, 10, 16); err == nil && n > 0 {
				name = host
			}
		}
		if key := "page.hosts[" + strconv.Itoa(i) + "]"; !isHostName(name) && net.ParseIP(name) == nil && !c.about(key) {
			c.add(key, "%q is no host name; write one such as desk.example.org", h)
		}
	}
	if p.URL != "" && !c.about("page.url") {
		u, err := url.Parse(p.URL)
		if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || strings.Trim(u.Path, "/") != "" {
			c.add("page.url", "not the page's address; write one such as https://desk.example.org")
			return
		}
		p.URL = strings.TrimRight(p.URL, "/")
	}
}

// pageTLS checks the page's certificate and its key, and makes their paths
// absolute.
func (c *checker) pageTLS(p *PageConfig) {
	for _, f := range []struct {
		key, other string
		file       *string
		secret     bool
	}{{"page.tls_cert_file", p.KeyFile, &p.CertFile, false}, {"page.tls_key_file", p.CertFile, &p.KeyFile, true}} {
		if *f.file == "" {
			if f.other != "" && !c.about("page.tls_cert_file") {
				c.add(f.key, "missing; a certificate and its key go together")
			}
			continue
		}
		path, err := c.path(*f.file)
		if err == nil {
			*f.file = path
			var info fs.FileInfo
			if info, err = os.Stat(path); err != nil {
				err = fileError(path, err)
			} else if f.secret {
				err = private(path, info.Mode())
			}
		}
		if err != nil {
			c.fail(f.key, err)
		}
	}
	if p.CertFile == "" || p.KeyFile == "" || c.about("page.tls_cert_file") || c.about("page.tls_key_file") {
		return
	}
	if _, err := tls.LoadX509KeyPair(p.CertFile, p.KeyFile); err != nil {
		c.add("page.tls_cert_file", "%s; name a certificate in PEM form, and the key that belongs to it", strings.TrimPrefix(err.Error(), "tls: "))
	}
}

// loopback says whether only this machine can reach a host:port.
func loopback(hostport string) bool {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		return false
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func (c *checker) desk() {
	s := c.s
	if !c.about("name") {
		c.line("name", s.Name, "IT Service Desk")
	}
	c.prefix("subject_prefix", s.SubjectPrefix)
	for i, p := range s.OldPrefixes {
		c.prefix("old_subject_prefixes["+strconv.Itoa(i)+"]", p)
	}
	loc, err := time.LoadLocation(s.TimeZone)
	switch {
	case c.about("time_zone"):
	case err != nil || s.TimeZone == "" || s.TimeZone == "Local":
		c.add("time_zone", "%q is no time zone; write its IANA name, such as Europe/Vienna or UTC", s.TimeZone)
	}
	s.location = loc
	if s.CloseAfter != 0 && s.CloseAfter < time.Hour {
		c.add("close_resolved_after", "%s is too short for an answer; write 1h or more, or 0 for never", span(s.CloseAfter))
	}
}

// wording checks in which languages and by which templates mails are written.
func (c *checker) wording() {
	s := c.s
	c.oneOf("language", s.Language, mailout.Languages()...)
	for _, domain := range slices.Sorted(maps.Keys(s.Languages)) {
		key := "languages[" + domain + "]"
		if c.about(key) {
			continue
		}
		if !isHostName(domain) {
			c.add(key, "%q is no domain; write the part of the recipients' addresses after the @, such as example.de", domain)
		}
		c.oneOf(key, s.Languages[domain], mailout.Languages()...)
	}
	if s.Templates == "" || c.about("templates") {
		return
	}
	path, err := c.path(s.Templates)
	if err == nil {
		s.Templates = path
		err = mailout.CheckTemplates(path)
	}
	if err != nil {
		c.fail("templates", err)
	}
}

// prefix checks the word in the subject tag.
func (c *checker) prefix(key, p string) {
	letters := strings.Trim(strings.ToLower(p), "abcdefghijklmnopqrstuvwxyz0123456789") == ""
	if (len(p) < 1 || len(p) > 10 || !letters) && !c.about(key) {
		c.add(key, "%q cannot stand in the subject tag; write 1 to 10 letters A–Z or digits, such as IT", p)
	}
}

func (c *checker) sorting() {
	s := c.s
	if s.DefaultTeam == "" && len(s.Teams) > 0 && !c.written("default_team") {
		s.DefaultTeam = s.Teams[0].Name
		if t := s.team(triage.Helpdesk); t != nil {
			s.DefaultTeam = t.Name
		}
	}
	if !c.written("rules") {
		s.Rules = triage.DefaultRules()
		for i := range s.Rules {
			if s.team(s.Rules[i].Team) == nil {
				s.Rules[i].Team = "" // a desk with teams of its own: the default team gets it
			}
		}
	}
	if len(s.Teams) > 0 {
		switch {
		case c.about("default_team"):
		case s.DefaultTeam == "":
			c.add("default_team", "empty; write the name of a team, or take the key out")
		case s.team(s.DefaultTeam) != nil:
			s.DefaultTeam = s.team(s.DefaultTeam).Name
		}
		_, err := triage.New(s.Policy(make([]byte, keySize)))
		c.adopt("", err)
	}
	for i, r := range s.Rules {
		key := "rules[" + strconv.Itoa(i) + "].assignee"
		if r.Assignee != "" && c.address(key, r.Assignee) && !s.technician(r.Assignee) {
			c.add(key, "%s is on no team's roster; add it there, or name somebody who is", r.Assignee)
		}
	}
	for i, l := range s.OwnLists {
		// A List-Id has no @ (RFC 2919, section 2).
		if key := "own_lists[" + strconv.Itoa(i) + "]"; strings.Contains(l, "@") {
			c.foreign(key, l)
		} else if !isHostName(l) && !c.about(key) {
			c.add(key, "%q is neither a list's address nor its List-Id; write one such as all@example.org or all.lists.example.org", l)
		}
	}
	for i, a := range s.MonitoringSenders {
		c.foreign("monitoring_senders["+strconv.Itoa(i)+"]", a)
	}
}

// technician says whether somebody may be given tickets.
func (s *Settings) technician(addr string) bool {
	is := func(a string) bool { return strings.EqualFold(a, addr) }
	return slices.ContainsFunc(s.Administrators, is) ||
		slices.ContainsFunc(s.Teams, func(t triage.Team) bool { return slices.ContainsFunc(t.Roster, is) })
}

// aliases checks that each address is one person's alone.
func (c *checker) aliases() {
	first := map[string]string{} // address in lower case → where it stands
	once := func(key, addr string) bool {
		if !c.foreign(key, addr) {
			return false
		}
		if at, twice := first[strings.ToLower(addr)]; twice {
			c.add(key, "%s stands at %s already; take one of them out", addr, at)
			return false
		}
		first[strings.ToLower(addr)] = key
		return true
	}
	for i, p := range c.s.People {
		once("people["+strconv.Itoa(i)+"].address", p.Address)
	}
	for i, p := range c.s.People {
		key := "people[" + strconv.Itoa(i) + "].aliases"
		if len(p.Aliases) == 0 && !c.about(key) {
			c.add(key, "missing; write the other addresses of %s, or take the person out", p.Address)
		}
		for j, a := range p.Aliases {
			item := key + "[" + strconv.Itoa(j) + "]"
			if once(item, a) && c.s.technician(a) {
				// Rights are the main address's: an alias's own would be lost.
				c.add(item, "%s is on a roster or an administrator; write the main address, %s, there", a, p.Address)
			}
		}
	}
}

// senders checks a list of addresses and domains.
func (c *checker) senders(list string, entries []string) {
	for i, e := range entries {
		key := list + "[" + strconv.Itoa(i) + "]"
		switch {
		case c.about(key):
		case strings.Contains(e, "@"):
			c.foreign(key, e)
		case !isHostName(strings.TrimPrefix(e, ".")):
			c.add(key, "%q is neither an address nor a domain; write one such as ann@example.org, example.org, or .example.org for all below it", e)
		}
	}
}

// limits holds the numbers within what the desk was built and tested for.
func (c *checker) limits() {
	if l := &c.s.Limits; !c.written("limits.decoded_size") {
		l.DecodedSize = max(l.DecodedSize, 2*l.MailSize) // what is let in must not be cut
	}
	l := c.s.Limits
	for _, b := range []struct {
		key             string
		value, from, to Bytes
	}{
		{"mail_size", l.MailSize, 64 << 10, 256 << 20},
		{"header_size", l.HeaderSize, 4 << 10, 256 << 10},
		{"text_size", l.TextSize, 4 << 10, 1 << 20},
		{"decoded_size", l.DecodedSize, 64 << 10, 512 << 20},
		{"attachments_in_notice", l.AttachmentsInNotice, 0, 25 << 20},
	} {
		if key := "limits." + b.key; (b.value < b.from || b.value > b.to) && !c.about(key) {
			c.add(key, "%s is not between %s and %s; write a size in between, or take the key out", b.value, b.from, b.to)
		}
	}
	for _, n := range []struct {
		key             string
		value, from, to int
	}{
		{"header_fields", l.HeaderFields, 50, 1000},
		{"depth", l.Depth, 3, 20},
		{"parts", l.Parts, 10, 200},
		{"answers_per_address_hour", l.AnswersPerAddressHour, 1, 1000},
		{"answers_per_address_day", l.AnswersPerAddressDay, 1, 10000},
		{"answers_per_hour", l.AnswersPerHour, 1, 100000},
	} {
		if key := "limits." + n.key; (n.value < n.from || n.value > n.to) && !c.about(key) {
			c.add(key, "%d is not between %d and %d; write a number in between, or take the key out", n.value, n.from, n.to)
		}
	}
	if key := "limits.unauthenticated_interval"; l.UnauthenticatedInterval > 24*time.Hour && !c.about(key) {
		c.add(key, "%s is longer than a day; write one such as 5m", span(l.UnauthenticatedInterval))
	}
}

// storage checks where the state and the key are kept, and makes the paths
// absolute.
func (c *checker) storage() {
	s := c.s
	db, literal := c.secret("database", s.Database, s.DatabaseFile, s.DatabaseEnv)
	if given := c.about("database") || c.about("database_file") || c.about("database_env"); !given {
		if db == "" && !c.written("database") {
			db = s.Database
		}
		c.database(db, literal)
	}

	switch {
	case c.written("key_file") && c.written("key_env"):
		c.addAt(c.under["key_env"], "key_env", "stands beside key_file; keep one of them")
		return
	case c.about("key_file") || c.about("key_env"):
		return
	case c.written("key_env"):
		if c.fromEnv("key_env", s.KeyEnv); c.about("key_env") {
			return
		}
	default:
		path, err := c.path(s.KeyFile)
		if err != nil {
			c.fail("key_file", err)
			return
		}
		s.KeyFile = path
	}
	missing := (*MissingKey)(nil) // no fault here: `run` makes one for a new desk
	if _, err := s.Secret(); err != nil && !errors.As(err, &missing) {
		key := "key_file"
		if s.KeyEnv != "" {
			key = "key_env"
		}
		c.fail(key, err)
	}
}

// database checks the place of the database. Nothing of it is repeated in a
// complaint once it looks like a URL.
func (c *checker) database(db Secret, literal bool) {
	key := "database"
	for _, form := range []string{"database_file", "database_env"} {
		if c.written(form) {
			key = form
		}
	}
	text := db.Reveal()
	if literal && c.exposed != nil && hasPassword(variable.ReplaceAllString(text, "")) {
		c.add(key, "the settings file holds a password, but %s", c.exposed)
	}
	text, err := c.env.expand(text)
	if err != nil {
		c.fail(key, err)
		return
	}
	scheme, _, isURL := strings.Cut(text, "://")
	switch {
	case text == "":
		c.add(key, "empty; write a file's name such as deskd.db, or postgres://user@host/name")
		return
	case scheme == "postgres" || scheme == "postgresql":
		if _, err := url.Parse(text); err != nil { // its error shows the password
			c.add(key, "not a URL; write postgres://user@host/name, and characters such as / # %% of a password as %%2F %%23 %%25")
			return
		}
	case isURL:
		c.add(key, "only postgres:// can stand before ://; write a file's name for SQLite")
		return
	default:
		name, file := strings.CutPrefix(text, "file:")
		if file && strings.ContainsAny(name, "?#%") {
			c.add(key, "parameters and escapes of a file: URL are not understood; write the file's name alone, such as deskd.db")
			return
		}
		if text = strings.TrimPrefix(name, "sqlite:"); !filepath.IsAbs(text) {
			text = filepath.Join(c.dir, text)
		}
		if info, err := os.Stat(text); err == nil && info.IsDir() {
			c.add(key, "%s is a folder; name a file in it, such as %s", text, filepath.Join(text, "deskd.db"))
			return
		}
	}
	c.s.Database = Secret(text)
}

// hasPassword says whether a password stands in a URL.
func hasPassword(text string) bool {
	u, err := url.Parse(text)
	if err != nil {
		return strings.Contains(text, "@") // cannot tell
	}
	password, _ := u.User.Password()
	return password != "" || u.Query().Get("password") != ""
}

func (c *checker) operation() {
	s := c.s
	if s.Daemon == "" && !c.written("daemon") {
		s.Daemon = "deskd"
		if name, err := os.Hostname(); err == nil && name != "" {
			s.Daemon = name
		}
	}
	if !c.about("daemon") {
		c.line("daemon", s.Daemon, "desk1")
	}
	c.oneOf("log.level", s.Log.Level, "debug", "info", "warn", "error")
	c.oneOf("log.format", s.Log.Format, "text", "json")
}

func (c *checker) oneOf(key, value string, words ...string) {
	if !slices.Contains(words, value) && !c.about(key) {
		c.add(key, "%q is unknown; write %s or %s", value, strings.Join(words[:len(words)-1], ", "), words[len(words)-1])
	}
}
