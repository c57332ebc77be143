package mailout

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/emersion/go-msgauth/dkim"

	"deskd/triage"
)

// signing is a mailer that signs, and the record of its key in DNS.
func signing(t *testing.T, key crypto.Signer, domain string) (m *Mailer, record string) {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "dkim.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	m = mailer(t, Config{DKIM: DKIMConfig{Domain: domain, Selector: "desk2026", KeyFile: file}})
	if k, ok := key.Public().(ed25519.PublicKey); ok {
		return m, "v=DKIM1; k=ed25519; p=" + base64.StdEncoding.EncodeToString(k)
	}
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	return m, "v=DKIM1; k=rsa; p=" + base64.StdEncoding.EncodeToString(public)
}

func TestSignaturesHoldAndBreakWhenAnythingIsChanged(t *testing.T) {
	t.Parallel()
	small, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	_, curve, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for name, key := range map[string]crypto.Signer{"RSA": small, "Ed25519": curve} {
		for _, domain := range []string{"example.com", strings.Repeat("long-", 10) + "name." + strings.Repeat("longer-", 8) + "s.example.com"} {
			m, record := signing(t, key, domain)
			verify := func(b []byte) error {
				found, err := dkim.VerifyWithOptions(bytes.NewReader(b), &dkim.VerifyOptions{LookupTXT: func(name string) ([]string, error) {
					if name != "desk2026._domainkey."+domain {
						return nil, errors.New("no such name: " + name)
					}
					return []string{record}, nil
				}})
				if err != nil {
					return err
				}
				if len(found) != 1 || found[0].Domain != domain {
					return errors.New("not one signature of the domain")
				}
				return found[0].Err
			}
			for _, k := range kinds {
				o := occasion(k)
				o.Text += "\nline with spaces   \n\n\nend"
				o.Cc = []triage.Address{bob}
				c, err := m.Compose(o)
				if err != nil {
					t.Fatalf("%s, %s: %v", name, k, err)
				}
				if err := verify(c.Bytes); err != nil {
					t.Errorf("%s, %s, %s: %v\n%s", name, k, domain, err, headerOf(c.Bytes))
				}
				if again, err := m.Compose(o); err != nil || !bytes.Equal(again.Bytes, c.Bytes) {
					t.Errorf("%s, %s: two renderings differ (%v)", name, k, err)
				}
				for what, change := range map[string][2]string{
					"subject": {"Subject: ", "Subject: x"}, "another From": {"\r\nTo: ", "\r\nFrom: eve@example.net\r\nTo: "},
					"a From before": {"DKIM-Signature", "From: eve@example.net\r\nDKIM-Signature"},
					"recipient":     {"\r\nTo: ", "\r\nTo: x"}, "id": {"Message-ID:", "Message-ID: x"}, "text": {"</body>", "x</body>"},
					"automatic": {"MIME-Version", "Auto-Submitted: no\r\nMIME-Version"}, "list": {"MIME-Version", "List-Id: <x.example.net>\r\nMIME-Version"},
				} {
					bad := bytes.Replace(c.Bytes, []byte(change[0]), []byte(change[1]), 1)
					if what == "automatic" && k != Reply || what == "list" && k != Reply {
						continue // named once; the one from below counts
					}
					if err := verify(bad); err == nil {
						t.Errorf("%s, %s: a change of %s was not noticed", name, k, what)
					}
				}
			}
		}
	}
}

func TestDKIMKeysThatCannotSignStopTheStart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, text string) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	for _, c := range []struct {
		conf DKIMConfig
		want string
	}{
		{DKIMConfig{Domain: "example.com", Selector: "s"}, "dkim.key_file: missing"},
		{DKIMConfig{Selector: "s", KeyFile: "x"}, "dkim.domain: missing"},
		{DKIMConfig{Domain: "example.com", KeyFile: "x"}, "dkim.selector: missing"},
		{DKIMConfig{Domain: "a; b=c", Selector: "s", KeyFile: "x"}, "dkim.domain: \"a; b=c\" cannot stand"},
		{DKIMConfig{Domain: "example.com", Selector: "a\r\nb", KeyFile: "x"}, "dkim.selector: "},
		{DKIMConfig{Domain: "example.com", Selector: "s", KeyFile: filepath.Join(dir, "none")}, "no such file"},
		{DKIMConfig{Domain: "example.com", Selector: "s", KeyFile: write("text", "CANARY")}, "holds no private key"},
		{DKIMConfig{Domain: "example.com", Selector: "s", KeyFile: write("cert", "-----BEGIN PRIVATE KEY-----\nQ0FOQVJZ\n-----END PRIVATE KEY-----\n")}, "holds no private key"},
	} {
		_, err := New(Config{Address: "127.0.0.1:25", Security: Plain, DKIM: c.conf}, identity(), slog.New(slog.DiscardHandler))
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "CANARY") {
			t.Errorf("%+v: %v, want %q", c.conf, err, c.want)
		}
	}
}
