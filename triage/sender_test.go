package triage

import (
	"strings"
	"testing"
)

// results is one Authentication-Results field that says these things, in the
// form "dmarc=pass header.from=example.com; spf=fail smtp.mailfrom=x".
func results(server string, pos int, said string) AuthResults {
	a := AuthResults{Server: server, Pos: pos}
	for _, one := range strings.Split(said, ";") {
		words := strings.Fields(one)
		if len(words) == 0 {
			continue
		}
		method, result, _ := strings.Cut(words[0], "=")
		props := map[string]string{}
		for _, w := range words[1:] {
			k, v, _ := strings.Cut(w, "=")
			props[k] = v
		}
		a.Results = append(a.Results, AuthResult{method, result, props})
	}
	return a
}

func TestT01SenderIsAuthenticatedByOurServersWordOnly(t *testing.T) {
	t.Parallel()
	const from = "noah@example.com"
	for _, c := range []struct {
		name string
		said string
		want bool
	}{
		{"dmarc pass", "dmarc=pass header.from=example.com", true},
		{"dmarc pass without a domain", "dmarc=pass", true},
		{"dmarc pass for another domain", "dmarc=pass header.from=evil.example", false},
		{"dmarc fail", "dmarc=fail header.from=example.com", false},
		{"dmarc fail beside a good signature", "dmarc=fail; dkim=pass header.d=example.com", false},
		{"dmarc none", "dmarc=none", false},
		{"dmarc temperror", "dmarc=temperror", false},
		{"dmarc bestguesspass", "dmarc=bestguesspass", false},
		{"dkim aligned", "dkim=pass header.d=example.com", true},
		{"dkim aligned by identity", "dkim=pass header.i=@example.com", true},
		{"dkim of another domain", "dkim=pass header.d=evil.example", false},
		{"dkim of a parent domain", "dkim=pass header.d=com", false},
		{"dkim fail", "dkim=fail header.d=example.com", false},
		{"one of two signatures is good", "dkim=fail header.d=example.com; dkim=pass header.d=example.com", true},
		{"spf aligned", "spf=pass smtp.mailfrom=bounce@example.com", true},
		{"spf of another domain", "spf=pass smtp.mailfrom=x@evil.example", false},
		{"spf softfail", "spf=softfail smtp.mailfrom=x@example.com", false},
		{"spf against spf", "spf=pass smtp.mailfrom=x@example.com; spf=fail smtp.mailfrom=x@example.com", false},
		{"nothing", "", false},
		{"unknown method", "auth=pass", false},
	} {
		m := written(from, "x", "y")
		m.Header = []Field{{"Authentication-Results", "…"}}
		m.AuthResults = []AuthResults{results("mx.example.com", 0, c.said)}
		if got := desk(t).sender(m); got.Authenticated != c.want || got.Why == "" || got.Role != Technician {
			t.Errorf("%s: got %+v, want authenticated %v", c.name, got, c.want)
		}
	}
}

// header lays a mail's trace out as names, "AR:server" and "R:host" among them.
func header(m *Message, fields ...string) {
	m.Header, m.AuthResults, m.Received = nil, nil, nil
	for i, f := range fields {
		kind, value, _ := strings.Cut(f, ":")
		switch kind {
		case "AR":
			server, said, _ := strings.Cut(value, " ")
			m.AuthResults = append(m.AuthResults, results(server, i, said))
			m.Header = append(m.Header, Field{"Authentication-Results", value})
		case "R":
			m.Received = append(m.Received, Received{By: value, Pos: i})
			m.Header = append(m.Header, Field{"Received", "by " + value})
		default:
			m.Header = append(m.Header, Field{kind, value})
		}
	}
}

func TestT02ForgedResultsCountNowhere(t *testing.T) {
	t.Parallel()
	const good, bad = "mx.example.com dmarc=pass header.from=example.com", "mx.example.com dmarc=fail header.from=example.com"
	for _, c := range []struct {
		name   string
		fields []string
		trust  Trust
		want   bool
	}{
		{"ours on top", []string{"AR:" + good, "R:mx.example.com", "R:sender.example", "Subject:x"}, Trust{}, true},
		{"ours under our own Received", []string{"R:mx.example.com", "AR:" + good, "R:sender.example", "Subject:x"}, Trust{}, true},
		{"ours under the Received of a border", []string{"R:in.example.com", "AR:" + good, "R:sender.example"}, Trust{Borders: []string{"in.example.com"}}, true},
		{"brought along below the sender's Received", []string{"R:mx.example.com", "R:sender.example", "AR:" + good, "Subject:x"}, Trust{}, false},
		{"brought along at the bottom", []string{"R:mx.example.com", "R:sender.example", "Subject:x", "AR:" + good}, Trust{}, false},
		{"brought along under an unknown server", []string{"R:unknown.example", "AR:" + good}, Trust{}, false},
		{"brought along beside ours that fails", []string{"AR:" + bad, "R:mx.example.com", "AR:" + good}, Trust{}, false},
		{"brought along above ours that fails", []string{"AR:" + good, "AR:" + bad, "R:mx.example.com"}, Trust{}, false},
		{"brought along below ours that knows of no proof", []string{"AR:mx.example.com spf=pass smtp.mailfrom=x@evil.example; dmarc=none", "R:mx.example.com", "AR:mx.example.com dkim=pass header.d=example.com"}, Trust{}, false},
		{"another word of ours above", []string{"AR:mx.example.com iprev=pass", "AR:" + good, "R:mx.example.com", "R:sender.example"}, Trust{}, true},
		{"similar name", []string{"AR:mx.example.com.evil.example dmarc=pass", "R:mx.example.com"}, Trust{}, false},
		{"name as a prefix", []string{"AR:mx.example.co dmarc=pass", "R:mx.example.com"}, Trust{}, false},
		{"no name", []string{"AR: dmarc=pass header.from=example.com", "R:mx.example.com"}, Trust{}, false},
		{"no name, Exchange Online", []string{"AR: dmarc=pass header.from=example.com", "R:mx.example.com"}, Trust{ExchangeOnline: true}, true},
		{"no name, Exchange Online, not on top", []string{"AR:other.example dmarc=none", "AR: dmarc=pass", "R:mx.example.com"}, Trust{ExchangeOnline: true}, false},
		{"no name, Exchange Online under its own machines", []string{"R:DU2PR01.prod.outlook.com", "R:DB5EUR.eop-eur.prod.protection.outlook.com", "AR: dmarc=pass header.from=example.com"}, Trust{ExchangeOnline: true}, true},
		{"Gmail under its own hop", []string{"R:2002:a05:6a10:1234:0:0:0:0", "R:mx.example.com", "AR:" + good, "R:sender.example"}, Trust{Borders: []string{"2002:*"}}, true},
		{"Gmail, its hop not named", []string{"R:2002:a05:6a10:1234:0:0:0:0", "R:mx.example.com", "AR:" + good}, Trust{}, false},
		{"the end of a border's name", []string{"R:a7.in.example.com", "AR:" + good, "R:sender.example"}, Trust{Borders: []string{".in.example.com"}}, true},
		{"a name that only looks like that end", []string{"R:evilin.example.com", "AR:" + good}, Trust{Borders: []string{".in.example.com"}}, false},
		{"brought along below the end of a border's name", []string{"R:a7.in.example.com", "R:sender.example", "AR:" + good}, Trust{Borders: []string{".in.example.com"}}, false},
		{"a letter that folds to ASCII", []string{"AR:mx.de\u017fk.example.com dmarc=pass", "R:mx.desk.example.com"}, Trust{Servers: []string{"mx.desk.example.com"}}, false},
		{"the Kelvin sign", []string{"AR:mx.des\u212a.example.com dmarc=pass", "R:mx.desk.example.com"}, Trust{Servers: []string{"mx.desk.example.com"}}, false},
		{"ARC says so", []string{"ARC-Authentication-Results:i=1; mx.example.com; dmarc=pass", "R:mx.example.com"}, Trust{}, false},
		{"an internal mark from outside", []string{"X-MS-Exchange-Organization-AuthAs:Internal", "R:mx.example.com"}, Trust{}, false},
		{"an internal mark where the border strips it", []string{"X-MS-Exchange-Organization-AuthAs:Internal"}, Trust{ExchangeInternal: true}, true},
		{"two internal marks", []string{"X-MS-Exchange-Organization-AuthAs:Internal", "X-MS-Exchange-Organization-AuthAs:Anonymous"}, Trust{ExchangeInternal: true}, false},
		{"nothing is trusted", []string{"AR:" + good}, Trust{Servers: []string{}}, false},
		{"everything is trusted", nil, Trust{Network: true}, true},
	} {
		r := desk(t, func(p *Policy) {
			if c.trust.Servers == nil {
				c.trust.Servers = p.Trust.Servers
			}
			p.Trust = c.trust
		})
		m := written("noah@example.com", "x", "y")
		header(m, c.fields...)
		if got := r.sender(m); got.Authenticated != c.want {
			t.Errorf("%s: got %+v, want authenticated %v", c.name, got, c.want)
		}
	}
}

func TestT02BrokenFieldOfOurServerProvesNothing(t *testing.T) {
	t.Parallel()
	m := proven(written("noah@example.com", "x", "y"))
	m.AuthResults[0].Broken = true
	if got := desk(t).sender(m); got.Authenticated {
		t.Errorf("got %+v", got)
	}
}

func TestT01LoginNotedByTheBorderIsAProofOnlyWhenAsked(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, value, with string
		hops, want        bool
	}{
		{"own login", "from x (Authenticated sender: noah@example.com) by mx.example.com with ESMTPSA", "ESMTPSA", true, true},
		{"a colleague's login", "from x (Authenticated sender: sofia@example.com) by mx.example.com with ESMTPSA", "ESMTPSA", true, false},
		{"no login", "from x by mx.example.com with ESMTPS", "ESMTPS", true, false},
		{"said in HELO", "from (Authenticated sender: noah@example.com) by mx.example.com with ESMTP", "ESMTP", true, false},
		{"said twice", "from (Authenticated sender: noah@example.com) (Authenticated sender: noah@example.com) by mx", "ESMTPSA", true, false},
		{"not asked for", "from x (Authenticated sender: noah@example.com) by mx.example.com with ESMTPSA", "ESMTPSA", false, false},
	} {
		r := desk(t, func(p *Policy) { p.Trust.AuthenticatedHops = c.hops })
		m := written("noah@example.com", "x", "y")
		m.Header = []Field{{"Received", c.value}}
		m.Received = []Received{{By: "mx.example.com", With: c.with, Pos: 0}}
		if got := r.sender(m); got.Authenticated != c.want {
			t.Errorf("%s: got %+v, want %v", c.name, got, c.want)
		}
	}
}

func TestT03IdentityIsTheSingleAddressOfTheSingleFrom(t *testing.T) {
	t.Parallel()
	r := desk(t)
	m := proven(written("", "x", "resolved"))
	m.FromFault, m.Shown = "two authors", Address{Name: "noah@example.com", Addr: "evil@example.net"}
	s := r.sender(m)
	if s.Address != "" || s.Authenticated || s.Role != Stranger {
		t.Errorf("unidentified sender became %+v", s)
	}
	m = proven(written("evil@example.com", "x", "y"))
	m.From.Name = "noah@example.com"
	if s := r.sender(m); s.Role != Stranger {
		t.Errorf("display name became %+v", s)
	}
}

func TestT04ReplyToAndSenderGiveNoRights(t *testing.T) {
	t.Parallel()
	m := proven(written("ann@example.com", "x", "y"))
	m.ReplyTo, m.Sender = []Address{{Addr: "noah@example.com"}}, Address{Addr: "noah@example.com"}
	if s := desk(t).sender(m); s.Role != Stranger || s.Address != "ann@example.com" {
		t.Errorf("got %+v", s)
	}
}

func TestT11FormerTechnicianHasNoRights(t *testing.T) {
	t.Parallel()
	m := proven(written("noah@example.com", "x", "y"))
	if s := desk(t).sender(m); s.Role != Technician {
		t.Fatalf("got %+v", s)
	}
	after := desk(t, func(p *Policy) { p.Teams[1].Roster = nil })
	if s := after.sender(m); s.Role != Stranger {
		t.Errorf("got %+v", s)
	}
}

func TestRosterAddressesAreComparedInAnyCase(t *testing.T) {
	t.Parallel()
	for addr, want := range map[string]Role{
		"NADIA@example.com": Technician, "ada@EXAMPLE.com": Administrator, "nadia@example.org": Stranger, "xnadia@example.com": Stranger,
	} {
		if s := desk(t).sender(written(addr, "x", "y")); s.Role != want {
			t.Errorf("%s: got %s, want %s", addr, s.Role, want)
		}
	}
}

func TestT01OwnLookAtSignaturesCountsForTheDomainInFromOnly(t *testing.T) {
	t.Parallel()
	signature := func(result, domain string) AuthResult {
		return AuthResult{"dkim", result, map[string]string{"header.d": domain, "reason": "of a reason"}}
	}
	for _, c := range []struct {
		name  string
		found []AuthResult
		proof string
		why   string
	}{
		{"signed", []AuthResult{signature("pass", "example.com")}, "dkim by deskd", "the DKIM signature of example.com verifies"},
		{"in capitals", []AuthResult{signature("pass", "Example.COM")}, "dkim by deskd", ""},
		{"signed by a list, too", []AuthResult{signature("neutral", "lists.example"), signature("pass", "example.com")}, "dkim by deskd", ""},
		{"broken", []AuthResult{signature("fail", "example.com")}, "", "proves nothing: of a reason"},
		{"of another domain", []AuthResult{signature("pass", "evil.example")}, "", "of evil.example"},
		{"of the domain above", []AuthResult{signature("pass", "com")}, "", "proves nothing"},
		{"a letter that folds to ASCII", []AuthResult{signature("pass", "ex\u0430mple.com")}, "", "proves nothing"},
		{"the long s", []AuthResult{signature("pass", "example.com\u017f")}, "", "proves nothing"},
		{"none", nil, "", "the mail bears no DKIM signature"},
	} {
		m := written("noah@example.com", "x", "y")
		m.DKIM = c.found
		r := desk(t, func(p *Policy) { p.Trust = Trust{VerifyDKIM: true} })
		if got := r.sender(m); got.Proof != c.proof || !strings.Contains(got.Why, c.why) {
			t.Errorf("%s: got %+v", c.name, got)
		}
	}
	// What our own server says comes first.
	m := written("noah@example.com", "x", "y")
	m.AuthResults = []AuthResults{results("mx.example.com", 0, "dmarc=fail")}
	m.Header, m.DKIM = []Field{{"Authentication-Results", "…"}}, []AuthResult{signature("pass", "example.com")}
	if got := desk(t).sender(m); got.Authenticated {
		t.Errorf("against our server's dmarc=fail: got %+v", got)
	}
}
