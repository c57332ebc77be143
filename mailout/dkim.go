package mailout

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/rsa"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	gomail "github.com/wneessen/go-mail"
)

// DKIMConfig says how our mails are signed (RFC 6376). Without a domain they
// are not: most submission servers sign by themselves.
type DKIMConfig struct {
	Domain   string `yaml:"domain"`   // that of the signature, which should be that of the support address
	Selector string `yaml:"selector"` // under which the public key stands in DNS: SELECTOR._domainkey.DOMAIN
	KeyFile  string `yaml:"key_file"` // PEM file with the private key, RSA or Ed25519
}

// leastRSA is what verifiers take (RFC 8301, section 3.2).
const leastRSA = 1024

// Validate checks the settings without reading the key.
func (c DKIMConfig) Validate() error {
	if c == (DKIMConfig{}) {
		return nil
	}
	var errs []error
	for _, v := range []struct{ key, value, sample string }{{"domain", c.Domain, "example.com"}, {"selector", c.Selector, "desk2026"}} {
		switch {
		case v.value == "":
			errs = append(errs, fmt.Errorf("%s: missing; write one such as %s", v.key, v.sample))
		case !helloName(v.value) || strings.ContainsAny(v.value, "_:[]") || len(v.value) > 63 && v.key == "selector":
			errs = append(errs, fmt.Errorf("%s: %q cannot stand in a signature; write one such as %s", v.key, v.value, v.sample))
		}
	}
	if c.KeyFile == "" {
		errs = append(errs, errors.New("key_file: missing; name a PEM file with the private key; make one with: openssl genpkey -algorithm rsa -pkeyopt rsa_keygen_bits:2048"))
	}
	return errors.Join(errs...)
}

// Key reads the private key. Its errors never show what is in the file.
func (c DKIMConfig) Key() (crypto.Signer, error) {
	pem, err := os.ReadFile(c.KeyFile)
	if err != nil {
		return nil, err
	}
	key, err := gomail.PrivKeyFromPEM(pem)
	if err != nil {
		return nil, fmt.Errorf("%s holds no private key (RSA or Ed25519) in PEM form; make one with: openssl genpkey -algorithm rsa -pkeyopt rsa_keygen_bits:2048", c.KeyFile)
	}
	switch k := key.(type) {
	case *rsa.PrivateKey:
		if n := k.N.BitLen(); n < leastRSA {
			return nil, fmt.Errorf("%s holds an RSA key of %d bits, which no verifier takes; make one of 2048", c.KeyFile, n)
		}
	case ed25519.PrivateKey:
	}
	return key, nil
}

// signed are the fields that a signature covers, those that a mail does not
// have too. A From that somebody adds later breaks it, since From is named
// once more than it stands in the mail.
var (
	signed = []string{
		"From", "To", "Cc", "Subject", "Date", "Message-ID", "In-Reply-To", "References", "List-Id", "Auto-Submitted", "Precedence",
		"MIME-Version", "Content-Type",
	}
	signedTwice = []string{"From"}
)

// signer signs one mail; the library notes things in it, so each mail has its
// own. The time of the signature is that of the mail, for the same bytes.
func (m *Mailer) signer(at time.Time) *gomail.DKIMSigner {
	if m.key == nil {
		return nil
	}
	s := gomail.NewDKIMSigner(m.conf.DKIM.Domain, m.conf.DKIM.Selector, m.key)
	s.HeaderCanonicalization(gomail.CanonicalizationRelaxed)
	s.BodyCanonicalization(gomail.CanonicalizationRelaxed)
	s.SignHeaders(signed...)
	s.OversignHeaders(signedTwice...)
	s.NowFunc = func() time.Time { return at }
	return s
}

// sign puts the signature before a mail. The library would do so by itself,
// but folds the field within a tag that is longer than a line, as our list of
// fields is, though it has signed it without the space that this makes; no
// verifier takes that. So the field is put together again and folded between
// its tags, where there is a space already; within the signature itself spaces
// do not count (RFC 6376, section 3.5).
func sign(s *gomail.DKIMSigner, mail []byte) ([]byte, error) {
	head, body, ok := bytes.Cut(mail, []byte("\r\n\r\n"))
	if !ok {
		return nil, errors.New("sign: the mail has no body")
	}
	field, err := s.Sign(append(bytes.Clone(head), "\r\n"...), body)
	if err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	field = strings.ReplaceAll(strings.TrimSuffix(field, "\r\n"), "\r\n ", "")
	tags, signature, ok := strings.Cut(field, "; b=")
	if !ok {
		return nil, errors.New("sign: no signature in the field")
	}
	var b bytes.Buffer
	b.WriteString(strings.ReplaceAll(tags, "; ", ";\r\n ") + ";\r\n b=")
	for len(signature) > 70 {
		b.WriteString(signature[:70] + "\r\n ")
		signature = signature[70:]
	}
	b.WriteString(signature + "\r\n")
	b.Write(mail)
	return b.Bytes(), nil
}
