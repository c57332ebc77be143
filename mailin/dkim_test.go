package mailin

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// notary signs mails as the server of example.org does.
type notary struct {
	t      testing.TB
	signer crypto.Signer
	record string // what the name servers say of its key
}

func rsaNotary(t testing.TB, bits int) *notary {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		t.Fatal(err)
	}
	public, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	return &notary{t, key, "v=DKIM1; k=rsa; p=" + base64.StdEncoding.EncodeToString(public)}
}

func ed25519Notary(t testing.TB) *notary {
	t.Helper()
	public, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return &notary{t, key, "v=DKIM1; k=ed25519; p=" + base64.StdEncoding.EncodeToString(public)}
}

// sign puts a DKIM-Signature on top of a mail, in the simple form of RFC 6376,
// section 3.4.1. What the tags do not say is as usual. The body is signed up to
// where the tag l says.
func (n *notary) sign(raw, tags string) string {
	n.t.Helper()
	head, body, _ := strings.Cut(raw, "\r\n\r\n")
	algorithm := "rsa-sha256"
	if _, ok := n.signer.(ed25519.PrivateKey); ok {
		algorithm = "ed25519-sha256"
	}
	body = strings.TrimRight(body, "\r\n") + "\r\n"
	if tag(tags, "l") == "5" {
		body = body[:5]
	}
	digest := sha256.Sum256([]byte(body))
	for _, usual := range []string{
		"v=1", "a=" + algorithm, "c=simple/simple", "d=example.org", "s=sel", "h=from:to:subject:date:message-id",
		"bh=" + base64.StdEncoding.EncodeToString(digest[:]),
	} {
		if name, _, _ := strings.Cut(usual, "="); tag(tags, name) == "" {
			tags += "; " + usual
		}
	}
	field := "DKIM-Signature: " + strings.TrimPrefix(tags, "; ") + "; b="
	lines := strings.Split(strings.ReplaceAll(head, "\r\n ", "\x00"), "\r\n")
	var signed strings.Builder
	for name := range strings.SplitSeq(tag(tags, "h"), ":") {
		for i := len(lines) - 1; i >= 0; i-- {
			if key, _, _ := strings.Cut(lines[i], ":"); strings.EqualFold(key, name) {
				signed.WriteString(strings.ReplaceAll(lines[i], "\x00", "\r\n ") + "\r\n")
				lines = slices.Delete(lines, i, i+1)
				break
			}
		}
	}
	signed.WriteString(field)
	sum := sha256.Sum256([]byte(signed.String()))
	var options crypto.SignerOpts = crypto.SHA256
	if algorithm != "rsa-sha256" {
		options = crypto.Hash(0)
	}
	signature, err := n.signer.Sign(rand.Reader, sum[:], options)
	if err != nil {
		n.t.Fatal(err)
	}
	return field + base64.StdEncoding.EncodeToString(signature) + "\r\n" + raw
}

// nameServers are name servers that know some records, and what they were asked.
type nameServers struct {
	mu      sync.Mutex
	records map[string][]string
	asked   []string
}

func (n *nameServers) lookup(_ context.Context, name string) ([]string, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.asked = append(n.asked, name)
	if r := n.records[name]; r != nil {
		return r, nil
	}
	return nil, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
}

// verified is what the Verifier makes of a mail: the results, and the reason of
// the last.
func verified(t testing.TB, v *Verifier, raw string) (results, reason string) {
	t.Helper()
	m := Parse([]byte(raw), Limits{})
	v.Verify(t.Context(), []byte(raw), &m)
	var all []string
	for _, r := range m.DKIM {
		all = append(all, r.Result)
		reason = r.Props["reason"]
		if r.Method != "dkim" || reason == "" {
			t.Errorf("result %+v", r)
		}
	}
	return strings.Join(all, " "), reason
}

const signable1 = "From: Ann <ann@example.org>\r\nTo: support@example.org\r\nSubject: [IT-1042] the printer\r\n" +
	"Date: Mon, 02 Mar 2026 08:59:00 +0000\r\nMessage-ID: <a@example.org>\r\n\r\nresolved\r\n\r\nIt was the cable.\r\n"

func TestT01OwnCheckOfSignaturesProvesOnlyWhatIsSigned(t *testing.T) {
	t.Parallel()
	n := rsaNotary(t, 1024)
	other := rsaNotary(t, 1024)
	ed := ed25519Notary(t)
	trial := rsaNotary(t, 1024)
	dns := map[string][]string{
		"sel._domainkey.example.org":      {n.record},
		"ed._domainkey.example.org":       {ed.record},
		"trial._domainkey.example.org":    {trial.record + "; t=s : y"},
		"gone._domainkey.example.org":     {"v=DKIM1; p="},
		"two._domainkey.example.org":      {n.record, n.record},
		"sms._domainkey.example.org":      {n.record + "; s=sms"},
		"sel._domainkey.evil.example":     {other.record},
		"sel._domainkey.sub.example.org":  {other.record},
		"sel._domainkey.example.org.evil": {other.record},
	}
	good := n.sign(signable1, "")
	swap := func(old, with string) string {
		if !strings.Contains(good, old) {
			t.Fatalf("no %q in the mail", old)
		}
		return strings.Replace(good, old, with, 1)
	}
	for _, c := range []struct{ name, raw, want string }{
		{"signed", good, "pass"},
		{"signed with the other kind of key", ed.sign(signable1, "s=ed"), "pass"},
		{"as a file holds it", strings.ReplaceAll(good, "\r\n", "\n"), "pass"},
		{"signed by a list, too", other.sign(good, "d=evil.example"), "neutral pass"},
		{"signed twice, one is broken", strings.Replace(n.sign(good, ""), "b=", "b=AAAA", 1), "fail pass"},
		{"valid for an hour more", n.sign(signable1, "x=4102444800"), "pass"},
		{"trace above", "Received: from a by b; Mon, 02 Mar 2026 08:59:00 +0000\r\n" + good, "pass"},
		{"identity", n.sign(signable1, "i=ann@example.org"), "pass"},

		{"nobody signed", signable1, ""},
		{"altered text", swap("the cable", "the screen"), "fail"},
		{"added text", good + "take\r\n", "fail"},
		{"altered subject", swap("IT-1042", "IT-1043"), "fail"},
		{"subject not signed", n.sign(signable1, "h=from:to:date"), "policy"},
		{"To not signed", n.sign(signable1, "h=from:subject:date"), "policy"},
		{"Cc added", "Cc: support@example.org\r\n" + good, "policy"},
		{"another To on top", "To: support@example.org\r\n" + good, "permerror"},
		{"made an answer", "In-Reply-To: <deskd.1042@example.org>\r\n" + good, "policy"},
		{"put into a thread", "References: <deskd.1042@example.org>\r\n" + good, "policy"},
		{"From not signed", n.sign(signable1, "h=subject:date"), "permerror"},
		{"a part of the body", n.sign(signable1, "l=5"), "fail"},
		{"expired", n.sign(signable1, "x=1700000000"), "permerror"},
		{"another domain", other.sign(signable1, "d=evil.example"), "neutral"},
		{"a domain below", other.sign(signable1, "d=sub.example.org"), "neutral"},
		{"the domain above", n.sign(strings.Replace(signable1, "ann@example.org", "ann@sub.example.org", 1), ""), "neutral"},
		{"identity of a domain below", n.sign(signable1, "i=@sub.example.org"), "policy"},
		{"a domain that folds to it", other.sign(signable1, "d=example.or\u0261"), "neutral"},
		{"another key", other.sign(signable1, ""), "fail"},
		{"key on trial", trial.sign(signable1, "s=trial"), "policy"},
		{"key revoked", n.sign(signable1, "s=gone"), "permerror"},
		{"two keys under one name", n.sign(signable1, "s=two"), "permerror"},
		{"key that is not for mail", n.sign(signable1, "s=sms"), "permerror"},
		{"no key", n.sign(signable1, "s=none"), "permerror"},
		{"name that leads elsewhere", n.sign(signable1, "s=x/y"), "permerror"},
		{"weak digest", n.sign(signable1, "a=rsa-sha1"), "permerror"},
		{"two From fields", "From: boss@example.org\r\n" + good, "neutral"},
		{"two From fields, the later not signed", swap("\r\nTo:", "\r\nFrom: boss@example.org\r\nTo:"), "neutral"},
		{"two authors", n.sign(strings.Replace(signable1, "Ann <ann@example.org>", "ann@example.org, bob@example.org", 1), ""), "neutral"},
		{"another subject on top", "Subject: [IT-1] closed\r\n" + good, "permerror"},
		{"another type on top", n.sign("Content-Type: text/plain\r\n"+signable1, "h=from:to:subject") + "", "pass"},
		{"two types", "Content-Type: text/html\r\n" + n.sign("Content-Type: text/plain\r\n"+signable1, ""), "permerror"},
		{"name with a space before its colon", swap("Subject:", "Subject :"), "permerror"},
		{"line that is no field", swap("Subject:", "resolved\r\nSubject:"), "permerror"},
		{"bare line feed in the header", swap("Date:", "X: y\nDate:"), "permerror"},
		{"first line folded", " x\r\n" + good, "permerror"},
		{"many fields signed", n.sign(signable1, "h=from:subject"+strings.Repeat(":x", maxSigned)), "policy"},
		{"many empty lines", good + strings.Repeat("\r\n", maxBlank+1), "policy"},
	} {
		v := &Verifier{Lookup: (&nameServers{records: dns}).lookup}
		if got, reason := verified(t, v, c.raw); got != c.want {
			t.Errorf("%s: got %q (%s), want %q", c.name, got, reason, c.want)
		}
	}
}

func TestT01KeysBelow1024BitsProveNothing(t *testing.T) {
	t.Setenv("GODEBUG", "rsa1024min=0")
	n := rsaNotary(t, 768)
	v := &Verifier{Lookup: (&nameServers{records: map[string][]string{"sel._domainkey.example.org": {n.record}}}).lookup}
	if got, reason := verified(t, v, n.sign(signable1, "")); got != "permerror" || !strings.Contains(reason, "too short") {
		t.Errorf("got %q: %s", got, reason)
	}
}

func TestT01SilentNameServerIsNoFaultOfTheMail(t *testing.T) {
	t.Parallel()
	n := rsaNotary(t, 1024)
	many := signable1
	for range 7 {
		many = n.sign(many, "")
	}
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		v := &Verifier{Lookup: func(ctx context.Context, name string) ([]string, error) {
			asked++
			<-ctx.Done()
			return nil, &net.DNSError{Err: ctx.Err().Error(), Name: name, IsTimeout: true}
		}}
		begin := time.Now()
		if got, reason := verified(t, v, n.sign(signable1, "")); got != "temperror" || !strings.Contains(reason, "could not be asked for") {
			t.Errorf("got %q: %s", got, reason)
		}
		if took := time.Since(begin); took != keyTime {
			t.Errorf("one lookup took %v", took)
		}
		// It is not asked again for the next mail, and then it is.
		if verified(t, v, n.sign(signable1, "")); asked != 1 {
			t.Errorf("asked %d times for one key", asked)
		}
		time.Sleep(keepSilent + time.Second)
		if verified(t, v, n.sign(signable1, "")); asked != 2 {
			t.Errorf("asked %d times, want 2", asked)
		}
		// However many signatures a mail has, it has its time and no more.
		for i := range 10 {
			many = strings.Replace(many, "s=sel", "s=x"+string(rune('a'+i)), 1)
		}
		begin = time.Now()
		if got, _ := verified(t, v, many); strings.Count(got, "temperror") != maxSignatures || !strings.HasSuffix(got, "policy") {
			t.Errorf("got %q", got)
		}
		if took := time.Since(begin); took > signatureTime {
			t.Errorf("many signatures took %v", took)
		}
	})
}

func TestT35OnlyKeysOfTheAuthorsDomainAreAskedFor(t *testing.T) {
	t.Parallel()
	n := rsaNotary(t, 1024)
	dns := &nameServers{}
	v := &Verifier{Lookup: dns.lookup}
	for _, tags := range []string{
		"d=evil.example", "d=evil.example; i=@example.org", "s=a.evil.example/", "s=a b", "s=a\u3002evil", "d=example.org.evil.example", "q=http/x",
		"d=example.org;  d=evil.example",
	} {
		verified(t, v, n.sign(signable1, tags))
	}
	verified(t, v, strings.Replace(n.sign(signable1, ""), "ann@example.org", "ann@example.org, x@evil.example", 1))
	for _, name := range dns.asked {
		if !strings.HasSuffix(name, "._domainkey.example.org") || strings.ContainsAny(name, " /\u3002") {
			t.Errorf("asked for %q", name)
		}
	}
	// Once for many mails.
	dns.asked = nil
	for range 5 {
		verified(t, v, n.sign(signable1, "s=again"))
	}
	if len(dns.asked) != 1 {
		t.Errorf("asked %q", dns.asked)
	}
}

// Not beside other tests of this package: their work would count.
func TestT28SignaturesCostWhatTheMailIsLong(t *testing.T) {
	if underRace {
		t.Skip("the race detector makes it ten times slower, which is past the deadline of a mail")
	}
	n := rsaNotary(t, 1024)
	v := &Verifier{Lookup: (&nameServers{records: map[string][]string{"sel._domainkey.example.org": {n.record}}}).lookup}
	for name, body := range map[string]string{
		"blank":     strings.Repeat("\r\n", maxBlank-2),
		"blank, in": strings.Repeat(strings.Repeat("\r\n", maxBlank-2)+"x", 200),
		"spaces":    strings.Repeat(" ", 4<<20),
		"text":      strings.Repeat("some text of a mail\r\n", 200_000),
	} {
		raw := signable1 + body
		for range maxSignatures {
			raw = n.sign(raw, "")
		}
		raw = strings.ReplaceAll(raw, "b=", "b=AAAA")
		m := Parse([]byte(raw), Limits{})
		begin := time.Now()
		took, _ := cost(func() { v.Verify(t.Context(), []byte(raw), &m) })
		if took > signatureTime/2 {
			t.Errorf("%s took %v", name, took)
		}
		for _, r := range m.DKIM {
			// Late without having worked long: others had the processor.
			if late := time.Since(begin) >= signatureTime; r.Result == "temperror" && !late {
				t.Errorf("%s: %+v", name, r)
			}
		}
	}
}

func FuzzVerify(f *testing.F) {
	n := rsaNotary(f, 1024)
	f.Add([]byte(n.sign(signable1, "")))
	f.Add([]byte(n.sign(signable1, "l=5; x=1; t=2")))
	f.Fuzz(func(t *testing.T, raw []byte) {
		v := &Verifier{Lookup: (&nameServers{records: map[string][]string{"sel._domainkey.example.org": {n.record}}}).lookup}
		m := Parse(raw, Limits{})
		v.Verify(t.Context(), raw, &m)
		for _, r := range m.DKIM {
			if r.Result == "pass" && r.Props["header.d"] != strings.ToLower(m.From.Addr[strings.LastIndexByte(m.From.Addr, '@')+1:]) {
				t.Errorf("pass for %q, From %q", r.Props["header.d"], m.From.Addr)
			}
		}
	})
}
