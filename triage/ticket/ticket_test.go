package ticket

import (
	"strings"
	"testing"
)

// TestTransitionsAreTheTable compares the code with the table as people read
// it: "–" is no act, "no" is refused.
func TestTransitionsAreTheTable(t *testing.T) {
	t.Parallel()
	const table = `
open        | -    in_progress waiting resolved closed no   in_progress open
in_progress | open -           waiting resolved closed no   in_progress in_progress
waiting     | open in_progress -       resolved closed no   waiting     open
resolved    | open in_progress no      -        closed open no          open
closed      | open no          no      no       -      open no          no`
	for line := range strings.Lines(strings.TrimSpace(table)) {
		from, row, _ := strings.Cut(line, "|")
		s := Status(strings.TrimSpace(from))
		for i, want := range strings.Fields(row) {
			act := Acts()[i]
			got, err := Next(s, act)
			if refused := want == "-" || want == "no"; refused != (err != nil) || !refused && string(got) != want {
				t.Errorf("%s, %s: got %q, %v, want %s", s, act, got, err, want)
			}
		}
	}
	if _, err := Next("gone", Reopen); err == nil {
		t.Error("a status that is none has transitions")
	}
}

func TestEveryStatusAndPriorityIsValidAndOthersAreNot(t *testing.T) {
	t.Parallel()
	for _, s := range Statuses() {
		if !s.Valid() {
			t.Errorf("%s is not valid", s)
		}
	}
	for i, p := range Priorities() {
		if !p.Valid() || p.Rank() != 4-i {
			t.Errorf("%s: rank %d", p, p.Rank())
		}
	}
	if Status("in progress").Valid() || Priority("urgent").Valid() || Status("").Valid() || Priority("").Valid() {
		t.Error("words that are none pass")
	}
}

func TestReopening(t *testing.T) {
	t.Parallel()
	if !Reopens(Resolved, Open) || !Reopens(Closed, InProgress) || Reopens(Waiting, Open) || Reopens(Resolved, Closed) {
		t.Error("what takes up a finished ticket is told wrongly")
	}
}

func TestNumbersAreDigitsOnly(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]Number{
		"1042": 1042, "0012": 12, "999999999999999": 999999999999999,
		"": 0, "0": 0, "-1": 0, "+1": 0, " 1": 0, "1 ": 0, "1x": 0, "１": 0, "1000000000000000": 0, "1e3": 0,
	} {
		if got, err := ParseNumber(in); got != want || (err == nil) != (want != 0) {
			t.Errorf("%q: got %d, %v, want %d", in, got, err, want)
		}
	}
}
