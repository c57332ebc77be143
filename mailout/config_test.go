package mailout

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestSettingsAreCheckedAndAllComplaintsTold(t *testing.T) {
	t.Parallel()
	good := Config{Address: "mail.example.com:465", Username: "desk", Password: "secret"}
	good.SetDefaults()
	if err := good.Validate(); err != nil {
		t.Errorf("good settings: %v", err)
	}
	if good.Security != TLS || good.Connections != 2 || good.Hello == "" {
		t.Errorf("defaults: %v", good)
	}
	for _, c := range []struct {
		key string
		set func(*Config)
	}{
		{"address:", func(c *Config) { c.Address = "" }},
		{"address:", func(c *Config) { c.Address = "mail.example.com" }},
		{"address:", func(c *Config) { c.Address = ":465" }},
		{"address:", func(c *Config) { c.Address = "mail.example.com:0" }},
		{"address:", func(c *Config) { c.Address = "mail.example.com:smtp" }},
		{"security:", func(c *Config) { c.Security = "ssl" }},
		{"security:", func(c *Config) { c.Security = Plain }},
		{"username:", func(c *Config) { c.Username = "" }},
		{"password:", func(c *Config) { c.Password = "" }},
		{"password:", func(c *Config) { c.Password = "secret\n" }},
		{"hello:", func(c *Config) { c.Hello = "a b" }},
		{"connections:", func(c *Config) { c.Connections = -1 }},
		{"connections:", func(c *Config) { c.Connections = 1000 }},
	} {
		bad := good
		c.set(&bad)
		err := bad.Validate()
		if err == nil || !strings.HasPrefix(err.Error(), c.key) {
			t.Errorf("%v: got %v, want a complaint about %s", bad, err, c.key)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("the password is in %v", err)
		}
	}
	if err := (Config{}).Validate(); strings.Count(err.Error(), "\n") < 3 {
		t.Errorf("not all complaints at once: %v", err)
	}
	for _, a := range []string{"localhost:25", "127.0.0.1:25", "[::1]:25"} {
		c := Config{Address: a, Security: Plain}
		c.SetDefaults()
		if err := c.Validate(); err != nil {
			t.Errorf("%s: %v", a, err)
		}
	}
}

func TestNewRefusesWhatNoMailCanBeMadeOf(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	empty := filepath.Join(dir, "empty.pem")
	if err := os.WriteFile(empty, []byte("nothing"), 0o600); err != nil {
		t.Fatal(err)
	}
	good := Config{Address: "mail.example.com:465"}
	for what, set := range map[string]func(*Config, *Identity){
		"no address":     func(c *Config, _ *Identity) { c.Address = "" },
		"no CA file":     func(c *Config, _ *Identity) { c.CAFile = filepath.Join(dir, "none.pem") },
		"empty CA file":  func(c *Config, _ *Identity) { c.CAFile = empty },
		"no signer":      func(_ *Config, id *Identity) { id.Signer = nil },
		"no prefix":      func(_ *Config, id *Identity) { id.Prefix = "" },
		"odd prefix":     func(_ *Config, id *Identity) { id.Prefix = "I]T" },
		"no host":        func(_ *Config, id *Identity) { id.Host = "" },
		"host with line": func(_ *Config, id *Identity) { id.Host = "a\r\nb" },
		"no list":        func(_ *Config, id *Identity) { id.ListID = "" },
		"name with line": func(_ *Config, id *Identity) { id.Name = "Desk\r\nBcc: x" },
	} {
		c, id := good, identity()
		set(&c, &id)
		if _, err := New(c, id, slog.New(slog.DiscardHandler)); err == nil {
			t.Errorf("%s was accepted", what)
		}
	}
}
