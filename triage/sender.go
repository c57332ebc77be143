package triage

import (
	"slices"
	"strings"
)

// Role is what somebody may do on a desk or on one ticket.
type Role string

// Roles, by rising rights. Requester and Participant are roles on one ticket.
const (
	Stranger      Role = "stranger"
	Participant   Role = "participant"
	Requester     Role = "requester"
	Technician    Role = "technician"
	Administrator Role = "administrator"
)

// Sender is who a mail says it is from, and whether that is proved.
type Sender struct {
	Address       string `json:"address"` // empty: the mail names no single author
	Name          string `json:"name,omitempty"`
	Role          Role   `json:"role"`
	Authenticated bool   `json:"authenticated"`
	Proof         string `json:"proof,omitempty"`  // "dmarc by mail.example.com"
	Why           string `json:"why"`              // in words, for technicians
	Signed        bool   `json:"signed,omitempty"` // the mail bears a reference to its ticket that we signed
}

// sender finds the author of a mail and the desk-wide role. The identity is
// the one address of the one From field; Reply-To and Sender never count (T3,
// T4).
func (r *Rules) sender(m *Message) Sender {
	s := Sender{Address: r.Canonical(lowerASCII(m.From.Addr)), Name: m.From.Name, Role: Stranger}
	if s.Address == "" {
		s.Why = "the From field names no single author"
		if m.FromFault != "" {
			s.Why += ": " + m.FromFault
		}
		return s
	}
	switch {
	case r.admins[s.Address]:
		s.Role = Administrator
	case r.technicians[s.Address]:
		s.Role = Technician
	}
	s.Proof, s.Why = r.prove(m)
	s.Authenticated = s.Proof != ""
	return s
}

// notToUs says why a proven mail of a technician is not obeyed all the same: a
// mail that was written to somebody else, and that they hand on to us, is as
// well proven as one to us (RFC 6376, section 8.6). Empty: it is.
func (r *Rules) notToUs(m *Message, s *Sender) string {
	if !s.Role.works() || !s.Authenticated || r.p.Trust.Network {
		return ""
	}
	for _, list := range [][]Address{m.To, m.Cc} {
		for _, a := range list {
			if r.Own(a.Addr) || containsFold(r.p.OwnLists, a.Addr) {
				return ""
			}
		}
	}
	return "it is proven, but neither To nor Cc names an address of the desk: it may have been written to somebody else"
}

// works says whether the role may command tickets.
func (r Role) works() bool { return r == Technician || r == Administrator }

// prove looks for a proof that the From address is right (T1, T2). An empty
// proof comes with the reason why there is none.
func (r *Rules) prove(m *Message) (proof, why string) {
	t := r.p.Trust
	if t.Network {
		return "network", "the settings trust everything that reaches this mailbox"
	}
	from := domainOf(lowerASCII(m.From.Addr))
	zone := r.borderZone(m)
	var said []AuthResult
	var server string
	for i, a := range m.AuthResults {
		switch {
		// Exchange Online writes its field below lines of its own machines,
		// whose names change, and always above what came with the mail.
		case a.Server == "" && t.ExchangeOnline && i == 0:
			said, server = append(said, a.Results...), "Exchange Online"
			if a.Broken {
				return "", "the Authentication-Results field of our server cannot be read"
			}
		case a.Pos >= zone:
		case a.Server != "" && containsASCII(t.Servers, a.Server):
			if a.Broken {
				return "", "the Authentication-Results field of our server cannot be read"
			}
			if !speaks(a.Results) {
				continue
			}
			if server != "" {
				// A field below may have come with the mail: it proves nothing,
				// and a contradiction makes all of it doubtful.
				if contradicts(said, a.Results) {
					return "", "our servers' results contradict each other"
				}
				continue
			}
			said, server = a.Results, a.Server
		}
	}
	if proof, why, decided := judge(said, from, server); decided {
		return proof, why
	}
	if own, why := ownCheck(m, from); own != "" {
		return own, why
	}
	if t.ExchangeInternal {
		if v := values(m, "X-MS-Exchange-Organization-AuthAs"); len(v) == 1 && strings.EqualFold(strings.TrimSpace(v[0]), "Internal") {
			return "exchange internal", "Exchange marked the mail as internal"
		}
	}
	if t.AuthenticatedHops && len(m.Received) > 0 && m.Received[0].Pos < zone {
		if login := loginOf(m, m.Received[0]); login != "" && strings.EqualFold(login, m.From.Addr) {
			return "login at " + m.Received[0].By, "our server noted the login " + login
		}
	}
	switch _, why := ownCheck(m, from); {
	case t.VerifyDKIM && why != "":
		return "", why
	case t.VerifyDKIM && len(t.Servers) == 0 && !t.ExchangeOnline:
		return "", "the mail bears no DKIM signature"
	case len(t.Servers) == 0 && !t.ExchangeOnline:
		return "", "no mail server is named in the settings whose word on senders counts"
	case server == "":
		return "", "our mail server wrote no result about this mail"
	}
	return "", "our mail server vouches for nothing that fits " + from
}

// ownCheck reads what our own look at the signatures found. Without a proof it
// says what came of the signature that was nearest to one.
func ownCheck(m *Message, from string) (proof, why string) {
	for _, d := range m.DKIM {
		domain := d.Props["header.d"]
		switch {
		case d.Result == "pass" && lowerASCII(domain) == from:
			return "dkim by deskd", "the DKIM signature of " + from + " verifies"
		case why == "" || lowerASCII(domain) == from:
			why = "the DKIM signature"
			if domain != "" {
				why += " of " + clip(domain, 100)
			}
			why += " proves nothing: " + clip(d.Props["reason"], 200)
		}
	}
	return "", why
}

// speaks says whether a field is about the sender at all.
func speaks(results []AuthResult) bool {
	for _, a := range results {
		if a.Method == "dmarc" || a.Method == "dkim" || a.Method == "spf" {
			return true
		}
	}
	return false
}

// contradicts says whether two fields disagree on DMARC.
func contradicts(a, b []AuthResult) bool {
	for _, x := range a {
		for _, y := range b {
			if x.Method == "dmarc" && y.Method == "dmarc" && x.Result != y.Result {
				return true
			}
		}
	}
	return false
}

// judge reads the results that our own servers wrote. Two fields in conflict
// prove nothing.
func judge(said []AuthResult, from, server string) (proof, why string, decided bool) {
	seen := map[string]string{}
	for _, a := range said {
		if a.Method != "dmarc" {
			continue
		}
		if before, ok := seen[a.Method]; ok && before != a.Result {
			return "", "our servers' results contradict each other", true
		}
		seen[a.Method] = a.Result
	}
	for _, a := range said {
		switch a.Method {
		case "dmarc":
			if a.Result == "fail" {
				return "", "our mail server says dmarc=fail", true
			}
			if d, ok := a.Props["header.from"]; a.Result == "pass" && (!ok || strings.EqualFold(d, from)) {
				return "dmarc by " + server, "our mail server says dmarc=pass for " + from, true
			}
		}
	}
	// Alignment is taken strictly, since the relaxed form of RFC 7489, section
	// 3.1, needs a list of public suffixes. A signature or sender that fails
	// beside one that passes is usual (lists, forwarders) and no conflict;
	// pass and fail for the same domain is one.
	verdicts := map[string]string{}
	for _, a := range said {
		var domain string
		switch a.Method {
		case "dkim":
			domain = a.Props["header.d"]
			if domain == "" {
				domain = domainOf(a.Props["header.i"])
			}
		case "spf":
			domain = domainOf(a.Props["smtp.mailfrom"])
		default:
			continue
		}
		if !strings.EqualFold(domain, from) {
			continue
		}
		if before, ok := verdicts[a.Method]; ok && before != a.Result && a.Method == "spf" {
			return "", "our servers' results contradict each other", true
		}
		if verdicts[a.Method] != "pass" {
			verdicts[a.Method] = a.Result
		}
	}
	for _, method := range []string{"dkim", "spf"} {
		if verdicts[method] == "pass" {
			return method + " by " + server, "our mail server says " + method + "=pass for " + from, true
		}
	}
	return "", "", false
}

// borderZone is the index of the first header field that our own servers
// cannot have written: fields below the first Received of somebody else came
// with the mail (RFC 8601, section 4.1 and 5).
func (r *Rules) borderZone(m *Message) int { return r.p.Trust.zone(m) }

func (t Trust) zone(m *Message) int {
	for _, rec := range m.Received {
		if !containsASCII(t.Servers, rec.By) && !t.border(rec.By) {
			return rec.Pos
		}
	}
	return len(m.Header)
}

// border says whether a host is one of our own: named whole, by the end of its
// name (".outlook.com") or by its beginning ("2002:*"), as the machines of big
// providers must be.
func (t Trust) border(host string) bool {
	host = lowerASCII(host)
	for _, b := range t.Borders {
		b = lowerASCII(b)
		begin, open := strings.CutSuffix(b, "*")
		if host == b || open && strings.HasPrefix(host, begin) || strings.HasPrefix(b, ".") && strings.HasSuffix(host, b) {
			return true
		}
	}
	return false
}

// containsASCII compares names of servers: letters beyond ASCII that fold to
// one in it are another name (T2).
func containsASCII(list []string, s string) bool {
	return slices.ContainsFunc(list, func(l string) bool { return lowerASCII(l) == lowerASCII(s) })
}

// loginOf is the login that Postfix notes with smtpd_sasl_authenticated_header
// in a Received field.
func loginOf(m *Message, rec Received) string {
	if rec.Pos >= len(m.Header) {
		return ""
	}
	switch strings.ToUpper(rec.With) {
	case "ESMTPA", "ESMTPSA", "UTF8SMTPA", "UTF8SMTPSA": // RFC 3848, RFC 6531
	default:
		return ""
	}
	const mark = "(Authenticated sender: "
	v := m.Header[rec.Pos].Value
	i := strings.Index(v, mark)
	if i < 0 || strings.Count(v, mark) != 1 {
		return ""
	}
	login, _, ok := strings.Cut(v[i+len(mark):], ")")
	if !ok {
		return ""
	}
	return strings.TrimSpace(login)
}

// values gives the values of all fields of a name, in order.
func values(m *Message, name string) []string {
	var v []string
	for _, f := range m.Header {
		if strings.EqualFold(f.Name, name) {
			v = append(v, f.Value)
		}
	}
	return v
}

func containsFold(list []string, s string) bool {
	for _, l := range list {
		if strings.EqualFold(l, s) {
			return true
		}
	}
	return false
}
