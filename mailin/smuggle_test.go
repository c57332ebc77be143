package mailin

import (
	"slices"
	"strings"
	"testing"
)

func TestT48LoneDotsBetweenOddLineEndsAreToldOf(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, body string
		want       bool
	}{
		{"LF dot LF", "x\n.\nMAIL FROM:<a@b>\r\n", true},
		{"LF dot CRLF", "x\n.\r\nMAIL FROM:<a@b>\r\n", true},
		{"CRLF dot LF", "x\r\n.\nMAIL FROM:<a@b>\r\n", true},
		{"CR dot CR", "x\r.\rMAIL FROM:<a@b>\r\n", true},
		{"CRLF dot CR", "x\r\n.\rMAIL FROM:<a@b>\r\n", true},
		{"the second dot", "a.b\r\nx\n.\r\n", true},
		{"CRLF dot CRLF, which the transport stuffed", "x\r\n.\r\ny\r\n", false},
		{"bare LF without a dot", "x\ny\r\n", false},
		{"dot that begins a line", "x\n.y\r\n", false},
		{"dot that ends a line", "x.\ny\r\n", false},
		{"dot at the very end", "x\n.", false},
	} {
		m := Parse([]byte("From: a@b.example\r\n\r\n"+c.body), Limits{})
		got := slices.ContainsFunc(m.Faults, func(f string) bool { return strings.Contains(f, "smuggle") })
		if got != c.want {
			t.Errorf("%s: got %v, faults %q", c.name, got, m.Faults)
		}
	}
	if m := Parse([]byte("From: a@b.example\n\nx\n.\ny\n"), Limits{}); len(m.Faults) != 0 {
		t.Errorf("a mail out of a file: %q", m.Faults)
	}
}
