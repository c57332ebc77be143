package configs

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// FuzzParse holds that no settings file makes Parse panic, that what is wrong
// always comes as complaints of one line each, and that what is taken is taken
// by the other packages too. The seeds are long; -fuzzminimizetime=10x keeps the
// engine from spending its minutes on shortening them.
func FuzzParse(f *testing.F) {
	f.Add([]byte(minimal))
	f.Add(Example())
	f.Add(commented.ReplaceAll(example, []byte("$1$2")))
	for _, row := range brokenSettings("") {
		f.Add([]byte(strings.Replace(minimal, row.old, row.new, 1)))
	}
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, data []byte) {
		path := filepath.Join(dir, "deskd.yaml")
		s, err := parse(data, path, environ("A", "b"), nil)
		invalid := (*Invalid)(nil)
		switch {
		case err == nil:
			if len(s.Mailboxes) == 0 || len(s.Teams) == 0 || s.Location() == nil {
				t.Error("settings without mailbox, team or time zone were taken")
			}
			for _, m := range s.Mailin() {
				if err := m.Validate(); err != nil {
					t.Errorf("a mailbox that its own package refuses was taken: %v", err)
				}
			}
			if err := s.Mailout().Validate(); err != nil {
				t.Errorf("a server that mailout refuses was taken: %v", err)
			}
		case !errors.As(err, &invalid) || len(invalid.Complaints) == 0:
			t.Errorf("got %T %v, want an *Invalid with complaints", err, err)
		default:
			for _, c := range invalid.Complaints {
				if strings.ContainsAny(c.Error(), "\r\n") || c.Text == "" {
					t.Errorf("complaint of several lines or none: %q", c.Error())
				}
			}
		}
	})
}

func TestHugeAndDeepFilesAreRefusedQuickly(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"brackets":  strings.Repeat("[", 100_000),
		"braces":    strings.Repeat("{a: ", 60_000),
		"dashes":    strings.Repeat("- ", 100_000),
		"questions": strings.Repeat("? ", 100_000),
		"large":     strings.Repeat("# comment\n", 100_000),
	} {
		_, err := Parse([]byte(text), "deskd.yaml")
		if err == nil || !strings.Contains(err.Error(), "is it a settings file?") {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestSpansOfTime(t *testing.T) {
	t.Parallel()
	const bad = -1
	for text, want := range map[string]time.Duration{
		"30s": 30 * time.Second, "5m": 5 * time.Minute, "12h": 12 * time.Hour,
		"7d": 168 * time.Hour, "2w": 336 * time.Hour, "1h30m": 90 * time.Minute,
		"250ms": 250 * time.Millisecond, " 5m ": 5 * time.Minute, "0": 0, "0s": 0,
		"": bad, "5": bad, "m": bad, "-5m": bad, "+5m": bad, "1.5h": bad, "5 m": bad,
		"5M": bad, "5min": bad, "5m3": bad, "106752d": bad, "99999999999999999999s": bad,
	} {
		got, err := parseDuration(text)
		if err != nil {
			got = bad
		}
		if got != want {
			t.Errorf("%q: got %v, want %v", text, got, want)
		}
	}
}

func TestSizes(t *testing.T) {
	t.Parallel()
	const bad = -1
	for text, want := range map[string]Bytes{
		"25MiB": 25 << 20, "256KiB": 256 << 10, "1GiB": 1 << 30, "5 MB": 5e6, "10kb": 10e3, "100B": 100, "0B": 0, "1 gib": 1 << 30,
		"": bad, "25": bad, "MiB": bad, "-1MiB": bad, "1.5MiB": bad, "25M": bad, "1TiB": bad, "9999999999GiB": bad,
	} {
		got := Bytes(bad)
		if err := got.UnmarshalText([]byte(text)); err != nil {
			got = bad
		}
		if got != want {
			t.Errorf("%q: got %d, want %d", text, got, want)
		}
	}
	for size, want := range map[Bytes]string{25 << 20: "25MiB", 1 << 10: "1KiB", 1000: "1000B", 0: "0B", 3 << 30: "3GiB"} {
		if got := size.String(); got != want {
			t.Errorf("%d: got %s, want %s", int64(size), got, want)
		}
	}
}

func TestNearestKey(t *testing.T) {
	t.Parallel()
	keys := []string{"server", "security", "username", "time_zone", "ca_file"}
	for word, want := range map[string]string{
		"servr": "server", "sevrer": "server", "SERVER": "server", "user_name": "username", "time-zone": "time_zone",
		"timezone": "time_zone", "cafile": "ca_file", "secure": "", "colour": "", "x": "", "": "",
	} {
		if got := nearest(word, keys); got != want {
			t.Errorf("%q: got %q, want %q", word, got, want)
		}
	}
}
