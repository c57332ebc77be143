package mailin

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"deskd/triage"
)

func TestT02_AuthenticationResultsAreReadTolerantly(t *testing.T) {
	t.Parallel()
	one := func(method, result string, props map[string]string) []triage.AuthResult {
		return []triage.AuthResult{{Method: method, Result: result, Props: props}}
	}
	from := map[string]string{"header.from": "example.com"}
	for _, c := range []struct {
		in   string
		want triage.AuthResults
	}{
		{"mx.example.org; dmarc=pass header.from=example.com", triage.AuthResults{Server: "mx.example.org", Results: one("dmarc", "pass", from)}},
		{"MX.Example.ORG 1; DMARC=Pass Header.From=example.com;", triage.AuthResults{Server: "mx.example.org", Results: one("dmarc", "pass", from)}},
		{"mx.example.org (a (nested) comment; dmarc=fail); dmarc=pass (p=none; x=y) header.from=example.com", triage.AuthResults{Server: "mx.example.org", Results: one("dmarc", "pass", from)}},
		{"\"mx.example.org\"; dmarc=pass header.from=\"example.com\"", triage.AuthResults{Server: "mx.example.org", Results: one("dmarc", "pass", from)}},
		{"mx.example.org; dmarc = pass header.from = example.com", triage.AuthResults{Server: "mx.example.org", Results: one("dmarc", "pass", from)}},
		{"mx.example.org; none", triage.AuthResults{Server: "mx.example.org"}},
		{"mx.example.org", triage.AuthResults{Server: "mx.example.org"}},
		// Exchange Online names no server.
		{"dmarc=pass action=none header.from=example.com", triage.AuthResults{Results: one("dmarc", "pass", map[string]string{"action": "none", "header.from": "example.com"})}},
		{"mx.example.org; dkim=pass (2048-bit key; unprotected) header.d=example.com header.b=AbC=", triage.AuthResults{Server: "mx.example.org", Results: one("dkim", "pass", map[string]string{"header.d": "example.com", "header.b": "AbC="})}},
		{"mx.example.org; dkim/1=pass", triage.AuthResults{Server: "mx.example.org", Results: one("dkim", "pass", nil)}},
		{"mx.example.org; spf=pass reason=\"a; dmarc=pass\" smtp.mailfrom=a@b", triage.AuthResults{Server: "mx.example.org", Results: one("spf", "pass", map[string]string{"reason": "a; dmarc=pass", "smtp.mailfrom": "a@b"})}},
		// What is not understood is not believed.
		{"", triage.AuthResults{Broken: true}},
		{"mx.example.org; dmarc=pass (never closed header.from=example.com", triage.AuthResults{Server: "mx.example.org", Results: one("dmarc", "pass", nil), Broken: true}},
		{"mx.example.org; dmarc=pass) header.from=example.com", triage.AuthResults{Server: "mx.example.org", Results: one("dmarc", "pass", nil), Broken: true}},
		{"mx.example.org; dmarc=pass header.from=\"example.com", triage.AuthResults{Server: "mx.example.org", Broken: true, Results: one("dmarc", "pass", nil)}},
		{"mx.example.org; dmarc=pass header.from=example.com header.from=evil.example", triage.AuthResults{Server: "mx.example.org", Broken: true}},
		{"mx.example.org evil.example; dmarc=pass", triage.AuthResults{Server: "mx.example.org", Results: one("dmarc", "pass", nil), Broken: true}},
		{"mx.de\u017Fk.example; dmarc=pass", triage.AuthResults{Server: "mx.de\u017Fk.example", Broken: true}},
		{"mx.des\u212A.example; dmarc=pass", triage.AuthResults{Server: "mx.des\u212A.example", Broken: true}},
		{"mx.exam\aple.org; dmarc=pass", triage.AuthResults{Server: "mx.example.org", Broken: true}},
		{"mx.exam\u200Bple.org; dmarc=pass", triage.AuthResults{Server: "mx.exam\u200Bple.org", Broken: true}},
		{"\"mx.exam\x7Fple.org\"; dmarc=pass", triage.AuthResults{Server: "mx.example.org", Broken: true}},
		{"mx.example.org; dm\aarc=pass", triage.AuthResults{Server: "mx.example.org", Broken: true}},
		{"mx.example.org; d\u212Aim=pass", triage.AuthResults{Server: "mx.example.org", Broken: true}},
		{"mx.example.org\t1;\tspf=pass smtp.mailfrom=j\u00F6rg@b", triage.AuthResults{Server: "mx.example.org", Results: one("spf", "pass", map[string]string{"smtp.mailfrom": "j\u00F6rg@b"})}},
		{"mx.example.org; =pass", triage.AuthResults{Server: "mx.example.org", Broken: true}},
		{"mx.example.org; \"dmarc\"=pass", triage.AuthResults{Server: "mx.example.org", Broken: true}},
		{"mx.example.org; dmarc=\"pass\"", triage.AuthResults{Server: "mx.example.org", Broken: true}},
		{"mx.example.org; dmarc", triage.AuthResults{Server: "mx.example.org", Broken: true}},
	} {
		got := parseAuthResults([]byte(c.in), 0)
		if c.want.Broken && got.Broken {
			// What a broken field says beyond that is of no use to anybody.
			got.Results, c.want.Results = nil, nil
		}
		if d := cmp.Diff(c.want, got); d != "" {
			t.Errorf("%q: want -, got +\n%s", c.in, d)
		}
	}
}

func TestT02_FieldsKeepTheirPlaceInTheHeader(t *testing.T) {
	t.Parallel()
	m := parse("Authentication-Results: mx.example.org;", "\tdmarc=pass header.from=example.com", "Received: from a (b [192.0.2.1]) by MX.example.org.", " (Postfix) with esmtpsa id 1 for <c@d>; Mon, 2 Nov 2026 09:00:00 +0100",
		"From: a@b", "Authentication-Results: forged.example; dmarc=pass", "", "x")
	if len(m.AuthResults) != 2 || m.AuthResults[0].Pos != 0 || m.AuthResults[1].Pos != 3 {
		t.Errorf("%+v", m.AuthResults)
	}
	want := []triage.Received{{By: "mx.example.org", From: "a", With: "ESMTPSA", Pos: 1}}
	if d := cmp.Diff(want, m.Received); d != "" {
		t.Error(d)
	}
}
