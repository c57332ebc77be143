package desk

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-msgauth/dkim"

	"deskd/mailin"
	"deskd/store"
)

// sealed puts the DKIM signature of a domain on top of a mail, and gives the
// record of its key.
func sealed(t *testing.T, domain, raw string) (signed, record string) {
	t.Helper()
	key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte("k"), ed25519.SeedSize))
	var b bytes.Buffer
	if err := dkim.Sign(&b, strings.NewReader(raw), &dkim.SignOptions{
		Domain: domain, Selector: "sel", Signer: key, Hash: crypto.SHA256,
		HeaderCanonicalization: dkim.CanonicalizationRelaxed, BodyCanonicalization: dkim.CanonicalizationRelaxed,
		HeaderKeys: []string{"From", "Subject", "To", "Date", "Message-ID", "Content-Type"},
	}); err != nil {
		t.Fatal(err)
	}
	return b.String(), "v=DKIM1; k=ed25519; p=" + base64.StdEncoding.EncodeToString(key.Public().(ed25519.PublicKey))
}

// lookup is a desk that looks into signatures, with name servers of the test.
func lookup(fn func(ctx context.Context, name string) ([]string, error)) func(*setup) {
	return func(s *setup) {
		s.policy.Trust.VerifyDKIM = true
		s.desk.DKIM = &mailin.Verifier{Lookup: fn}
	}
}

func TestT01TechniciansOwnSignatureMakesTheCommandCount(t *testing.T) {
	var o *office
	record := ""
	o = quick(t, lookup(func(ctx context.Context, name string) ([]string, error) {
		// The name servers are asked outside of any transaction: another one
		// gets its turn meanwhile.
		ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
		defer cancel()
		if err := o.store.Write(ctx, func(*store.Tx) error { return nil }); err != nil {
			t.Errorf("a transaction while the name servers are asked: %v", err)
		}
		if name == "sel._domainkey.example.org" {
			return []string{record}, nil
		}
		return nil, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
	}))
	o.deliver(letter(ann, "printer", "It is broken."))
	good, key := sealed(t, "example.org", letter(tina, "Re: [IT-1001]", "take"))
	record = key
	foreign, _ := sealed(t, "example.net", letter(tom, "Re: [IT-1001]", "take"))
	altered := strings.Replace(good, "\r\ntake", "\r\nclosed", 1)
	o.deliver(foreign, altered, good)
	o.wantFates("new_ticket unverified unverified appended")
	if got := o.show(1001); got.Ticket.Assignee != tina || len(got.Events) == 0 {
		t.Errorf("ticket %+v", got.Ticket)
	}
	for want, why := range map[int]string{1: "it is not of example.org", 2: "body hash did not verify", 3: "dkim by deskd"} {
		if got := string(o.intakes()[want].Why); !strings.Contains(got, why) {
			t.Errorf("mail %d: %q is not in %s", want, why, got)
		}
	}
}

func TestT01SilentNameServersLeaveMailWithoutProofAndDoNotFailIt(t *testing.T) {
	o := quick(t, lookup(func(ctx context.Context, name string) ([]string, error) {
		return nil, &net.DNSError{Err: "i/o timeout", Name: name, IsTimeout: true, IsTemporary: true}
	}))
	signed, _ := sealed(t, "example.org", letter(tina, "Re: [IT-1001]", "take"))
	o.deliver(letter(ann, "printer", "It is broken."), signed)
	o.wantFates("new_ticket unverified")
	if in := o.intakes()[1]; in.Failures != 0 || !strings.Contains(string(in.Why), "could not be asked for") {
		t.Errorf("%d failures, why %s", in.Failures, in.Why)
	}
}

func TestF40PanicWhileSignaturesAreLookedIntoIsNoFaultOfTheMail(t *testing.T) {
	o := quick(t, lookup(func(context.Context, string) ([]string, error) { panic("boom") }))
	signed, _ := sealed(t, "example.org", letter(tina, "hello", "take"))
	o.deliver(signed)
	o.wantFates("new_ticket")
}

func TestT35NobodyIsAskedWhereItIsSwitchedOffOrProvedAnyway(t *testing.T) {
	o := quick(t, lookup(func(context.Context, string) ([]string, error) {
		t.Error("the name servers were asked")
		return nil, errors.New("asked")
	}))
	signed, _ := sealed(t, "example.org", letter(tina, "hello", "x"))
	o.deliver(vouched(signed), letter(ann, "no signature", "x"))
	o.o.DKIM = nil
	again, _ := sealed(t, "example.org", letter(tina, "hello again", "x"))
	o.deliver(again)
	o.wantFates("new_ticket new_ticket new_ticket")
}

func TestT01SlowNameServersOfOthersDoNotKeepTechniciansWaiting(t *testing.T) {
	signed, record := sealed(t, "example.org", letter(tina, "Re: [IT-1001]", "take"))
	var mu sync.Mutex
	var asked []string
	o := quick(t, lookup(func(ctx context.Context, name string) ([]string, error) {
		mu.Lock()
		asked = append(asked, name)
		mu.Unlock()
		if name == "sel._domainkey.example.org" {
			return []string{record}, nil
		}
		return nil, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
	}))
	o.deliver(letter(ann, "printer", "It is broken."))
	var batch []string
	for i := range 20 {
		domain := fmt.Sprintf("slow%d.example.net", i)
		raw, _ := sealed(t, domain, letter("x@"+domain, "hello", "x"))
		batch = append(batch, raw)
	}
	o.deliver(append(batch, signed)...)
	if len(asked) != 21 || asked[0] != "sel._domainkey.example.org" {
		t.Errorf("asked for %v; want the technician's first", asked)
	}
	if got := o.show(1001).Ticket.Assignee; got != tina {
		t.Errorf("assignee %q", got)
	}
}
