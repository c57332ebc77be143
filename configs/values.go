package configs

import (
	"fmt"
	"io"
	"log/slog"
	"math"
	"strconv"
	"strings"
	"time"
)

// Secret is a password or a database address with a password in it. However
// it is printed, logged or marshalled, it shows as "***" (T45); Reveal gives
// the value.
type Secret string

const hidden = "***"

// Reveal gives the secret itself, to sign in with.
func (s Secret) Reveal() string { return string(s) }

// String gives "***", or nothing when there is no secret.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return hidden
}

// GoString is String: %#v hides the secret too.
func (s Secret) GoString() string { return s.String() }

// Format is String for every verb, the wrong ones too, whose complaint would
// show the value.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.String()) }

// MarshalText is String, for JSON and the like.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// LogValue is String, for slog.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// Bytes is a size. In the file it is written with a unit: 25MiB.
type Bytes int64

var byteUnits = []struct {
	name string
	size int64
}{
	{"GiB", 1 << 30},
	{"MiB", 1 << 20},
	{"KiB", 1 << 10},
	{"GB", 1e9},
	{"MB", 1e6},
	{"KB", 1e3},
	{"B", 1},
}

// UnmarshalText reads a size with its unit.
func (b *Bytes) UnmarshalText(text []byte) error {
	s := strings.TrimSpace(string(text))
	for _, u := range byteUnits {
		if len(s) < len(u.name) || !strings.EqualFold(s[len(s)-len(u.name):], u.name) {
			continue
		}
		n, err := strconv.ParseInt(strings.TrimSpace(s[:len(s)-len(u.name)]), 10, 64)
		if err != nil || n < 0 || n > math.MaxInt64/u.size {
			break
		}
		*b = Bytes(n * u.size)
		return nil
	}
	return fmt.Errorf("%q is no size; write a whole number and its unit, such as 256KiB or 25MiB", s)
}

// MarshalText is String.
func (b Bytes) MarshalText() ([]byte, error) { return []byte(b.String()), nil }

// String gives the size in the largest unit that divides it: "25MiB".
func (b Bytes) String() string {
	for _, u := range byteUnits[:3] {
		if n := int64(b); n != 0 && n%u.size == 0 {
			return strconv.FormatInt(n/u.size, 10) + u.name
		}
	}
	return strconv.FormatInt(int64(b), 10) + "B"
}

var spanUnits = []struct {
	name string
	span time.Duration
}{
	{"ms", time.Millisecond}, // before m and s
	{"w", 7 * 24 * time.Hour},
	{"d", 24 * time.Hour},
	{"h", time.Hour},
	{"m", time.Minute},
	{"s", time.Second},
}

// parseDuration reads a span of time: "5m", "7d", "1h30m". Days are 24 hours.
// A lone 0 needs no unit.
func parseDuration(text string) (time.Duration, error) {
	bad := fmt.Errorf("%q is no span of time; write a number and its unit, such as 30s, 5m, 12h or 7d", text)
	rest := strings.TrimSpace(text)
	if rest == "0" {
		return 0, nil
	}
	if rest == "" {
		return 0, bad
	}
	var sum time.Duration
	for rest != "" {
		digits := len(rest) - len(strings.TrimLeft(rest, "0123456789"))
		n, err := strconv.ParseInt(rest[:digits], 10, 64)
		if err != nil {
			return 0, bad
		}
		unit := time.Duration(0)
		for _, u := range spanUnits {
			if after, ok := strings.CutPrefix(rest[digits:], u.name); ok {
				unit, rest = u.span, after
				break
			}
		}
		if unit == 0 || n > int64((math.MaxInt64-sum)/unit) {
			return 0, bad
		}
		sum += time.Duration(n) * unit
	}
	return sum, nil
}

// span prints a span of time without the zeros of its own String: "5m".
func span(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
