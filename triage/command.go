package triage

import (
	"fmt"
	"slices"
	"sort"
	"strings"

	"deskd/triage/ticket"
)

// Most commands that one mail may hold (T9).
const maxCommands = 5

// Command is one command as it was understood.
type Command struct {
	Line  string     `json:"line"` // as written
	Verb  Verb       `json:"verb"`
	Act   ticket.Act `json:"act,omitempty"` // what it does to the status, if anything
	Value string     `json:"value,omitempty"`
}

// Verb names a command.
type Verb string

// The verbs.
const (
	StatusVerb Verb = "status"
	TakeVerb   Verb = "take"
	ReplyVerb  Verb = "reply"
	NoteVerb   Verb = "note"
)

// CommandError is a line that was meant as a command and cannot be obeyed.
type CommandError struct {
	Line  string `json:"line"`
	Why   string `json:"why"`
	Valid string `json:"valid,omitempty"` // what would have been possible
}

// word is one row of the grammar: what may be written for a verb.
type word struct {
	text string
	verb Verb
	act  ticket.Act
}

// grammar is the closed list of what a command may be. The first spelling of
// each status is the one that errors suggest.
var grammar = []word{
	{"open", StatusVerb, ticket.SetOpen},
	{"in progress", StatusVerb, ticket.SetInProgress},
	{"in-progress", StatusVerb, ticket.SetInProgress},
	{"inprogress", StatusVerb, ticket.SetInProgress},
	{"in_progress", StatusVerb, ticket.SetInProgress},
	{"progress", StatusVerb, ticket.SetInProgress},
	{"wip", StatusVerb, ticket.SetInProgress},
	{"working", StatusVerb, ticket.SetInProgress},
	{"waiting", StatusVerb, ticket.SetWaiting},
	{"hold", StatusVerb, ticket.SetWaiting},
	{"on hold", StatusVerb, ticket.SetWaiting},
	{"resolved", StatusVerb, ticket.Resolve},
	{"resolve", StatusVerb, ticket.Resolve},
	{"fixed", StatusVerb, ticket.Resolve},
	{"done", StatusVerb, ticket.Resolve},
	{"solved", StatusVerb, ticket.Resolve},
	{"closed", StatusVerb, ticket.Close},
	{"close", StatusVerb, ticket.Close},
	{"reopen", StatusVerb, ticket.Reopen},
	{"reopened", StatusVerb, ticket.Reopen},
	{"take", TakeVerb, ticket.Take},
	{"reply", ReplyVerb, ""},
	{"public", ReplyVerb, ""},
	{"note", NoteVerb, ""},
}

// keys are the words that make a command in the form "key: value".
var keys = map[string]Verb{"status": StatusVerb}

// sigiled verbs are listed in errors in this order.
const verbsInWords = "open, in progress, waiting, resolved, closed, reopen, take, reply, note"

func wordFor(text string) (word, bool) {
	for _, w := range grammar {
		if w.text == text {
			return w, true
		}
	}
	return word{}, false
}

// Commands is what the first own lines of a technician's mail say.
type Commands struct {
	List   []Command
	Errors []CommandError
	Text   string  // the new text without the lines of the command block
	Blocks []Block // the mail's blocks without them
}

// ReadCommands reads the command block from the top of a technician's mail:
// the first own lines, ended by the first line that is neither empty nor a
// command. Lines in
// quotes, signatures and forwards are never read (T8). Where there is an
// error nothing of the block may be applied.
func ReadCommands(blocks []Block) Commands {
	text, _ := NewText(blocks)
	c := Commands{Text: text, Blocks: blocks}
	own, ok := firstOwn(blocks)
	if !ok {
		return c
	}
	lines := strings.Split(own, "\n")
	i := 0
	for i < len(lines) && phone(lines[i]) == "" {
		i++
	}
	start := i
	var seen int
	end := i
	for ; i < len(lines); i++ {
		if phone(lines[i]) == "" {
			continue // some programs put an empty line after each
		}
		cmd, bad, isCommand := readLine(lines[i])
		if !isCommand {
			break
		}
		seen++
		end = i + 1
		if bad != nil {
			if len(c.Errors) < maxCommands {
				c.Errors = append(c.Errors, *bad)
			}
			continue
		}
		if len(c.List) <= maxCommands {
			c.List = append(c.List, cmd)
		}
	}
	if seen > maxCommands {
		c.Errors = append(c.Errors, CommandError{
			Line: strings.TrimSpace(lines[start]), Why: fmt.Sprintf("%d commands in one mail", seen),
			Valid: fmt.Sprintf("at most %d", maxCommands),
		})
	}
	if seen > 0 {
		block := slices.DeleteFunc(slices.Clone(lines[start:end]), func(l string) bool { return phone(l) == "" })
		c.Text = withoutLines(text, block)
		c.Blocks = withoutBlock(blocks, block)
	}
	c.Errors = append(c.Errors, conflicts(c.List, c.Text)...)
	return c
}

// firstOwn is the text of the leading own blocks; no ok when a quote or a
// forward stands above them.
func firstOwn(blocks []Block) (string, bool) {
	var own []string
	for _, b := range blocks {
		if strings.TrimSpace(b.Text) == "" {
			continue
		}
		if b.Kind != Own {
			break
		}
		own = append(own, b.Text)
	}
	return strings.Join(own, "\n"), len(own) > 0
}

// withoutLines takes the command lines off the front of the text.
func withoutLines(text string, block []string) string {
	rest := strings.Split(text, "\n")
	for len(rest) > 0 && phone(rest[0]) == "" {
		rest = rest[1:]
	}
	for _, b := range block {
		for len(rest) > 0 && phone(rest[0]) == "" {
			rest = rest[1:]
		}
		if len(rest) > 0 && phone(rest[0]) == phone(b) {
			rest = rest[1:]
		}
	}
	return strings.TrimSpace(strings.Join(rest, "\n"))
}

// withoutBlock takes the command lines off the leading own blocks.
func withoutBlock(blocks []Block, block []string) []Block {
	var rest []Block
	for i, b := range blocks {
		if len(block) == 0 || b.Kind != Own {
			return append(rest, blocks[i:]...)
		}
		lines := strings.SplitAfter(b.Text, "\n")
		for len(lines) > 0 && (phone(lines[0]) == "" || len(block) > 0 && phone(lines[0]) == phone(block[0])) {
			if phone(lines[0]) != "" {
				block = block[1:]
			}
			lines = lines[1:]
		}
		if text := strings.Join(lines, ""); text != "" {
			rest = append(rest, Block{Kind: Own, Text: text})
		}
	}
	return rest
}

// readLine reads one line. A bare line is a command only when it is nothing
// but a verb; a line with a sigil or with a known key is one in any case, and
// an error if it does not parse.
func readLine(line string) (cmd Command, bad *CommandError, isCommand bool) {
	shown := clip(phone(line), 80)
	s := bare(line)
	if s == "" || len(s) > 200 {
		return cmd, nil, false
	}
	if key, value, ok := strings.Cut(s, ":"); ok && keys[strings.TrimSpace(strings.TrimLeft(key, "#/!"))] != "" {
		w, ok := wordFor(strings.TrimSpace(value))
		if !ok || w.verb != StatusVerb {
			return cmd, &CommandError{
				Line: shown, Why: fmt.Sprintf("%q is no status", strings.TrimSpace(value)),
				Valid: "open, in progress, waiting, resolved, closed",
			}, true
		}
		return Command{Line: shown, Verb: w.verb, Act: w.act}, nil, true
	}
	if strings.ContainsRune("#/!", rune(s[0])) {
		verb := strings.TrimSpace(s[1:])
		if !strings.ContainsAny(verb, "abcdefghijklmnopqrstuvwxyz") || s[0] == '/' && strings.ContainsRune(verb, '/') {
			return cmd, nil, false // a ruler, a number, or a path
		}
		w, ok := wordFor(verb)
		if !ok {
			return cmd, &CommandError{Line: shown, Why: fmt.Sprintf("there is no command %q", verb), Valid: suggest(verb)}, true
		}
		return Command{Line: shown, Verb: w.verb, Act: w.act}, nil, true
	}
	w, ok := wordFor(s)
	if !ok {
		return cmd, nil, false
	}
	return Command{Line: shown, Verb: w.verb, Act: w.act}, nil, true
}

// suggest names the commands nearest to a mistyped one, or all.
func suggest(verb string) string {
	type near struct {
		text string
		d    int
	}
	var list []near
	for _, w := range grammar {
		if d := distance(verb, w.text); d <= 2 {
			list = append(list, near{w.text, d})
		}
	}
	sort.SliceStable(list, func(i, j int) bool { return list[i].d < list[j].d })
	if len(list) > 0 {
		return "did you mean \"" + list[0].text + "\"? Possible are " + verbsInWords
	}
	return verbsInWords
}

// distance is the number of letters to change, add or drop, at most 3, for
// words of up to 20 letters.
func distance(a, b string) int {
	if len(a) > 20 || len(a)-len(b) > 2 || len(b)-len(a) > 2 {
		return 3
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		diagonal := row[0]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := diagonal
			if a[i-1] != b[j-1] {
				cost = 1 + min(diagonal, row[j], row[j-1])
			}
			diagonal, row[j] = row[j], cost
		}
	}
	return min(row[len(b)], 3)
}

// conflicts finds commands that contradict each other or lack their text.
func conflicts(list []Command, text string) []CommandError {
	var errs []CommandError
	var status, where *Command
	for i := range list {
		c := &list[i]
		switch c.Verb {
		case StatusVerb:
			if status != nil && status.Act != c.Act {
				errs = append(errs, CommandError{Line: c.Line, Why: "it contradicts \"" + status.Line + "\"", Valid: "one status"})
			}
			status = c
		case ReplyVerb, NoteVerb:
			if where != nil && where.Verb != c.Verb {
				errs = append(errs, CommandError{
					Line: c.Line, Why: "it contradicts \"" + where.Line + "\"",
					Valid: "reply (the text goes to the requester) or note (it stays internal)",
				})
			}
			where = c
			if c.Verb == ReplyVerb && text == "" {
				errs = append(errs, CommandError{
					Line: c.Line, Why: "there is no text to send to the requester",
					Valid: "reply on a line of its own, and the text beneath it",
				})
			}
		}
	}
	return errs
}

// clip shortens a text to n bytes at a character's border.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "") + "…"
}
