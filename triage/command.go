package triage

import (
	"fmt"
	"maps"
	"slices"
	"sort"
	"strings"
	"time"

	"deskd/triage/ticket"
)

// Most commands that one mail may hold (T9).
const maxCommands = 5

// Command is one command as it was understood.
type Command struct {
	Line  string     `json:"line"` // as written
	Verb  Verb       `json:"verb"`
	Act   ticket.Act `json:"act,omitempty"`   // what it does to the status, if anything
	Value string     `json:"value,omitempty"` // whole: an address, a team's name, a priority
}

// Verb names a command.
type Verb string

// The verbs.
const (
	StatusVerb   Verb = "status"
	TakeVerb     Verb = "take"
	DropVerb     Verb = "drop"
	AssignVerb   Verb = "assign"
	TeamVerb     Verb = "team"
	PriorityVerb Verb = "priority"
	CcVerb       Verb = "cc"
	UnccVerb     Verb = "uncc"
	ReplyVerb    Verb = "reply"
	NoteVerb     Verb = "note"
	QuietVerb    Verb = "quiet"
	UndoVerb     Verb = "undo"
	DueVerb      Verb = "due"
	ForVerb      Verb = "for" // whom a new ticket is opened for
	MergeVerb    Verb = "merge"
	LinkVerb     Verb = "link"
	SplitVerb    Verb = "split"
	SpamVerb     Verb = "spam"
	NotSpamVerb  Verb = "not spam"
	MuteVerb     Verb = "mute"
	UnmuteVerb   Verb = "unmute"

	// What is answered by mail and changes nothing.
	HelpVerb   Verb = "help"
	MineVerb   Verb = "mine"
	QueueVerb  Verb = "queue"
	SearchVerb Verb = "search"
	ShowVerb   Verb = "show"
	StateVerb  Verb = "status?"
)

// asks says whether the verb is a question.
func (v Verb) asks() bool {
	switch v {
	case HelpVerb, MineVerb, QueueVerb, SearchVerb, ShowVerb, StateVerb:
		return true
	}
	return false
}

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
	{"assign me", TakeVerb, ticket.Take},
	{"drop", DropVerb, ""},
	{"reply", ReplyVerb, ""},
	{"public", ReplyVerb, ""},
	{"note", NoteVerb, ""},
	{"quiet", QuietVerb, ""},
	{"undo", UndoVerb, ""},
	{"split", SplitVerb, ""},
	{"spam", SpamVerb, ""},
	{"not spam", NotSpamVerb, ""},
	{"no spam", NotSpamVerb, ""},
	{"mute", MuteVerb, ""},
	{"unmute", UnmuteVerb, ""},
	{"help", HelpVerb, ""},
	{"mine", MineVerb, ""},
	{"my tickets", MineVerb, ""},
	{"show", ShowVerb, ""},
	{"status?", StateVerb, ""},
}

// valued are the verbs that take a value.
var valued = map[string]Verb{
	"assign": AssignVerb, "team": TeamVerb, "priority": PriorityVerb, "cc": CcVerb, "uncc": UnccVerb,
	"due": DueVerb, "merge": MergeVerb, "link": LinkVerb, "queue": QueueVerb, "show": ShowVerb, "search": SearchVerb,
}

// keys are the words that make a command in the form "key: value".
var keys = map[string]Verb{
	"status": StatusVerb, "owner": AssignVerb, "assignee": AssignVerb, "assign": AssignVerb, "queue": TeamVerb, "team": TeamVerb,
	"priority": PriorityVerb, "cc": CcVerb, "uncc": UnccVerb, "reply": ReplyVerb, "public": ReplyVerb,
	"due": DueVerb, "merge": MergeVerb, "link": LinkVerb, "for": ForVerb,
}

// mistyped gives the key that somebody meant who wrote almost that: long ones
// only, since short words are near to many.
func mistyped(key string) string {
	best, least := "", 3
	for _, k := range slices.Sorted(maps.Keys(keys)) {
		if len(k) < 5 || key == "" || k[0] != key[0] {
			continue
		}
		if d := distance(key, k); d < least {
			best, least = k, d
		}
	}
	return best
}

// verbsInWords lists in errors what may follow a sigil.
const verbsInWords = "open, in progress, waiting, resolved, closed, reopen, take, drop, assign, team, priority, cc, uncc, due, reply, note, merge, link, split, spam, undo, quiet, mute, mine, queue, search, show, status?, help"

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
// command. Lines in quotes, signatures and forwards are never read (T8). Where
// there is an error nothing of the block may be applied.
// Dates in words are read as of now.
func (r *Rules) ReadCommands(blocks []Block, now time.Time) Commands {
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
		cmd, bad, isCommand := r.readLine(lines[i], now)
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
	c.Errors = append(c.Errors, conflicts(c.List)...)
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
// but a verb and, where it takes one, a valid value; a line with a sigil or
// with a known key is one in any case, and an error if it does not parse.
func (r *Rules) readLine(line string, now time.Time) (cmd Command, bad *CommandError, isCommand bool) {
	cmd.Line = clip(phone(line), 80)
	wrong := func(why, valid string) (Command, *CommandError, bool) {
		return cmd, &CommandError{Line: cmd.Line, Why: why, Valid: valid}, true
	}
	s := bare(line)
	if s == "" || len(s) > 400 {
		return cmd, nil, false
	}
	meant := false // as a command, whatever it says
	if strings.ContainsRune("#/!", rune(s[0])) {
		rest := strings.TrimSpace(s[1:])
		if !strings.ContainsAny(rest, "abcdefghijklmnopqrstuvwxyz") || s[0] == '/' && strings.ContainsRune(rest, '/') {
			return cmd, nil, false // a ruler, a number, or a path
		}
		s, meant = rest, true
	}
	var value string
	key, v, keyed := strings.Cut(s, ":")
	if key = strings.TrimSpace(key); keyed && keys[key] == "" {
		if near := mistyped(key); near != "" {
			return wrong(fmt.Sprintf("there is no %q", key+":"), near+": "+strings.TrimSpace(v))
		}
	}
	if keyed && keys[key] != "" {
		cmd.Verb, value, meant = keys[key], strings.TrimSpace(v), true
		if cmd.Verb == ReplyVerb {
			return wrong("the text does not stand behind it", "reply on a line of its own, and the text beneath it")
		}
		if cmd.Verb == StatusVerb {
			w, ok := wordFor(value)
			if !ok || w.verb != StatusVerb {
				return wrong(fmt.Sprintf("%q is no status", value), "open, in progress, waiting, resolved, closed")
			}
			cmd.Act = w.act
			return cmd, nil, true
		}
	} else if w, ok := wordFor(s); ok {
		cmd.Verb, cmd.Act = w.verb, w.act
		return cmd, nil, true
	} else {
		verb, v, _ := strings.Cut(s, " ")
		cmd.Verb, value = valued[verb], strings.TrimSpace(v)
		switch {
		case cmd.Verb != "" && (value != "" || meant):
		case meant:
			return wrong(fmt.Sprintf("there is no command %q", s), suggest(s))
		default:
			return cmd, nil, false
		}
	}
	found, candidates, valid := r.value(cmd.Verb, value, now)
	switch {
	case found != "":
		if cmd.Value = found; cmd.Verb == AssignVerb {
			cmd.Act = ticket.Take
		}
		return cmd, nil, true
	case len(candidates) > 1:
		return wrong(fmt.Sprintf("%q may be any of several", value), strings.Join(candidates, ", "))
	case meant && value == "":
		return wrong(fmt.Sprintf("%q needs to be told what", cmd.Verb), valid)
	case meant:
		return wrong(fmt.Sprintf("%q does not fit %q", value, cmd.Verb), valid)
	}
	return cmd, nil, false
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

// conflicts finds commands that contradict each other.
func conflicts(list []Command) []CommandError {
	// What no two commands of a mail may speak of differently.
	about := map[Verb]string{
		StatusVerb: "one status", TakeVerb: "one assignee", DropVerb: "one assignee", AssignVerb: "one assignee", TeamVerb: "one team",
		PriorityVerb: "one priority", DueVerb: "one date", MergeVerb: "one ticket to merge with", ForVerb: "one requester",
		SpamVerb: "spam or not spam", NotSpamVerb: "spam or not spam", MuteVerb: "mute or unmute", UnmuteVerb: "mute or unmute", ReplyVerb: "reply (the text goes to the requester) or note (it stays internal)",
	}
	about[NoteVerb] = about[ReplyVerb]
	var errs []CommandError
	said := map[string]Command{}
	for _, c := range list {
		subject := about[c.Verb]
		if c.Verb == CcVerb || c.Verb == UnccVerb {
			subject = "either of both for " + c.Value
		}
		first, again := said[subject]
		if again && (first.Verb != c.Verb || first.Act != c.Act || first.Value != c.Value) {
			errs = append(errs, CommandError{Line: c.Line, Why: "it contradicts \"" + first.Line + "\"", Valid: subject})
		}
		if !again && subject != "" {
			said[subject] = c
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
