package triage

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"deskd/triage/ticket"
)

// say prints what was read as "verb verb | text" or "error: line".
func say(c Commands) string {
	var verbs []string
	for _, x := range c.List {
		switch {
		case x.Value != "":
			verbs = append(verbs, string(x.Verb)+" "+x.Value)
		case x.Act != "":
			verbs = append(verbs, string(x.Act))
		default:
			verbs = append(verbs, string(x.Verb))
		}
	}
	for _, e := range c.Errors {
		verbs = append(verbs, "ERROR "+e.Line)
	}
	return strings.Join(verbs, ", ") + " | " + c.Text
}

func TestCommandsAreReadFromTheFirstOwnLines(t *testing.T) {
	t.Parallel()
	r := desk(t)
	for _, c := range []struct{ name, in, want string }{
		{"bare", "in progress\nI look into it.", "in progress | I look into it."},
		{"capitals and a full stop", "In Progress.\r\nLooking.", "in progress | Looking."},
		{"blank lines around", "\n\n  resolved  \n\nReplaced the cable.\n\n", "resolved | Replaced the cable."},
		{"no-break and zero-width spaces", "\ufeffin\u00a0progress\u200b\nx", "in progress | x"},
		{"curly quotes", "“resolved”\nx", "resolved | x"},
		{"long dash", "in–progress\nx", "in progress | x"},
		{"several", "take\nin progress\nreply\nHello Ann", "take, in progress, reply | Hello Ann"},
		{"sigils", "#resolved\n/take\n!reply\nHello", "resolved, take, reply | Hello"},
		{"hash public", "#public\nHello", "reply | Hello"},
		{"key and value", "Status: Waiting\nfor parts", "waiting | for parts"},
		{"sigil before a key", "#status: done\nx", "resolved | x"},
		{"synonyms", "fixed", "resolved | "},
		{"prose that begins with a verb", "Resolved by replacing the cable", " | Resolved by replacing the cable"},
		{"prose first", "Hello\nresolved", " | Hello\nresolved"},
		{"empty lines between, as Outlook writes them", "take\n\nresolved\n\nreply\n\nCable replaced", "take, resolved, reply | Cable replaced"},
		{"key that is none of ours", "Printer: broken", " | Printer: broken"},
		{"mistyped with sigil", "#resolvd\nx", "ERROR #resolvd | x"},
		{"mistyped key", "Statsu: resolved\nx", "ERROR Statsu: resolved | x"},
		{"text behind a key", "reply: we bring a new one", "ERROR reply: we bring a new one | "},
		{"mistyped value", "status: resolvd\nx", "ERROR status: resolvd | x"},
		{"mistyped bare is prose", "resolvd\nx", " | resolvd\nx"},
		{"one good, one bad", "take\n#foo\nx", "take, ERROR #foo | x"},
		{"contradiction", "resolved\nwaiting", "resolved, waiting, ERROR waiting | "},
		{"reply and note", "reply\nnote\nx", "reply, note, ERROR note | x"},
		{"reply without a text", "reply", "reply | "}, // files may go along
		{"the same twice", "resolved\nresolved", "resolved, resolved | "},
		{"assign by the beginning", "assign noah\nx", "assign noah@example.com | x"},
		{"assign to", "Assign to Noah@example.com.\nx", "assign noah@example.com | x"},
		{"assign to oneself", "assign me", "take | "},
		{"owner key", "owner: nadia@\nx", "assign nadia@example.com | x"},
		{"assign to several", "assign n\nx", "ERROR assign n | x"},
		{"assign to nobody we know", "assign bob\nx", " | assign bob\nx"},
		{"sigil and nobody we know", "#assign bob\nx", "ERROR #assign bob | x"},
		{"an administrator may be assigned", "#assign ada", "assign ada@example.com | "},
		{"drop", "drop\nx", "drop | x"},
		{"team by the beginning", "team net\nx", "team Network Team | x"},
		{"search", "search vpn Berlin\nx", "search vpn berlin | x"},
		{"a sentence that begins so", "Search the logs of both gateways for the errors of last night\nx", " | Search the logs of both gateways for the errors of last night\nx"},
		{"queue key is the team", "queue: Desktop\nx", "team Desktop Support | x"},
		{"team in prose", "team meeting at nine\nx", " | team meeting at nine\nx"},
		{"team without a value", "#team\nx", "ERROR #team | x"},
		{"team alone is prose", "team\nx", " | team\nx"},
		{"priority", "Priority: HIGH\nx", "priority high | x"},
		{"priority by the beginning", "priority crit", "priority critical | "},
		{"priority that is none", "priority urgent\nx", " | priority urgent\nx"},
		{"cc", "cc bob@example.com\nx", "cc bob@example.com | x"},
		{"cc as a link", "cc Bob@example.com<mailto:Bob@example.com>\nx", "cc bob@example.com | x"},
		{"cc as a markdown link", "cc [bob@example.com](mailto:bob@example.com)\nx", "cc bob@example.com | x"},
		{"cc whose link leads elsewhere", "#cc bob@example.com<mailto:eve@example.net>\nx", "ERROR #cc bob@example.com<mailto:eve@example.net> | x"},
		{"cc of the desk itself", "#cc support@example.com", "ERROR #cc support@example.com | "},
		{"cc of several", "#cc bob@example.com, al@example.com", "ERROR #cc bob@example.com, al@example.com | "},
		{"cc in prose", "cc me on this\nx", " | cc me on this\nx"},
		{"uncc", "uncc bob@example.com", "uncc bob@example.com | "},
		{"cc and uncc of one", "cc bob@example.com\nuncc bob@example.com", "cc bob@example.com, uncc bob@example.com, ERROR uncc bob@example.com | "},
		{"cc of two", "cc bob@example.com\ncc al@example.com", "cc bob@example.com, cc al@example.com | "},
		{"take and assign", "take\nassign noah", "take, assign noah@example.com, ERROR assign noah | "},
		{"two priorities", "priority low\npriority high", "priority low, priority high, ERROR priority high | "},
		{"quiet", "take\nquiet\nx", "take, quiet | x"},
		{"look-alike letters", "rеsolved\nx", " | rеsolved\nx"}, // Cyrillic е (T9)
		{"full-width sigil", "＃resolved\nx", " | ＃resolved\nx"}, // T9
		{"Kelvin sign", "ta\u212ae\nx", " | ta\u212ae\nx"},
		{"a ruler", "----\n#####\nresolved", " | ----\n#####\nresolved"},
		{"a number", "#12 is broken", "ERROR #12 is broken | "},
		{"a path", "/etc/hosts is wrong", " | /etc/hosts is wrong"},
		{"under a quote", "> take\n\nresolved", " | resolved"},
		{"in a quote", "> resolved\n> x\n", " | > resolved\n> x"},
		{"in a signature", "-- \nresolved\n", " | --\nresolved"},
		{"under the delimiter", Delimiter + "\nresolved", ""},
	} {
		got := say(r.ReadCommands(Split([]Block{{Text: c.in}}), noon))
		if c.name == "under the delimiter" || c.name == "in a signature" || c.name == "in a quote" {
			if !strings.HasPrefix(got, " | ") {
				t.Errorf("%s: got %q, want no command", c.name, got)
			}
			continue
		}
		if c.name == "under a quote" { // the text is a matter of quote cutting
			got, c.want = got[:3], c.want[:3]
		}
		if got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}

func TestCommandLinesLeaveTheText(t *testing.T) {
	t.Parallel()
	quoted := Block{Kind: Quoted, Text: "> resolved\n"}
	for in, want := range map[string]string{
		"\ntake\nin progress.\n\nLooking.\ntake\n": "Looking.\ntake\n",
		"resolved\n": "", "Looking.\n": "Looking.\n",
	} {
		c := desk(t).ReadCommands([]Block{{Kind: Own, Text: in}, quoted}, noon)
		var got string
		if len(c.Blocks) == 2 {
			got = c.Blocks[0].Text
		}
		if got != want || c.Blocks[len(c.Blocks)-1] != quoted {
			t.Errorf("%q: got %+v, want %q", in, c.Blocks, want)
		}
	}
}

func TestT09ManyCommandsAreNone(t *testing.T) {
	t.Parallel()
	c := desk(t).ReadCommands([]Block{{Kind: Own, Text: strings.Repeat("take\n", 1000)}}, noon)
	if len(c.Errors) == 0 || len(c.List) > maxCommands+1 || len(c.Errors) > maxCommands+1 {
		t.Errorf("%d commands, %d errors", len(c.List), len(c.Errors))
	}
	if c := desk(t).ReadCommands([]Block{{Kind: Own, Text: strings.Repeat("#nothing\n", 1000)}}, noon); len(c.Errors) > maxCommands+1 {
		t.Errorf("%d errors would be mailed", len(c.Errors))
	}
}

func TestErrorsSayWhatWouldBeValid(t *testing.T) {
	t.Parallel()
	c := desk(t).ReadCommands([]Block{{Kind: Own, Text: "#resolvd\nstatus: gone"}}, noon)
	if len(c.Errors) != 2 {
		t.Fatalf("got %+v", c.Errors)
	}
	if e := c.Errors[0]; !strings.Contains(e.Valid, `did you mean "resolved"`) || !strings.Contains(e.Why, "resolvd") {
		t.Errorf("got %+v", e)
	}
	if e := c.Errors[1]; !strings.Contains(e.Valid, "waiting") {
		t.Errorf("got %+v", e)
	}
}

func TestStatusCommandsFollowTheTable(t *testing.T) {
	t.Parallel()
	r := desk(t)
	for _, status := range ticket.Statuses() {
		for _, w := range []string{"open", "in progress", "waiting", "resolved", "closed", "reopen", "take"} {
			f := facts()
			f.Status = status
			m := proven(written("noah@example.com", "Re: [IT-1042] VPN", w+"\nwords"))
			d := r.Decide(m, knowing(f))
			verb, _ := wordFor(w)
			next, err := ticket.Next(status, verb.act)
			name := fmt.Sprintf("%s on %s", w, status)
			switch {
			case err != nil:
				if len(d.Changes) != 0 || d.Assign != "" || len(d.Errors) != 1 || d.Errors[0].Valid == "" || d.Write == nil || !d.Write.Note {
					t.Errorf("%s: got %+v, want an error that changes nothing and keeps the words", name, d)
				}
			case next == status:
				if len(d.Changes) != 0 || len(d.Errors) != 0 {
					t.Errorf("%s: got %+v, want no change", name, d)
				}
			default:
				if len(d.Changes) != 1 || d.Changes[0].After != next || len(d.Errors) != 0 {
					t.Errorf("%s: got %+v, want %s", name, d, next)
				}
			}
		}
	}
}

func FuzzCommands(f *testing.F) {
	for _, s := range []string{
		"take\nx", "#a\n!b\n/c", "status: x", "\u200b\nresolved.", "“”", "> a\nresolved", "assign n\nteam: net\ncc [a@b.c](mailto:a@b.c)",
		"1042 resolved\n[IT-7]: take\n#1050 #due friday\n\nx", "From: Ann <a@b.c>\nTo: x", "Von: \"A\" [mailto:a@b.c]",
	} {
		f.Add(s)
	}
	r := desk(f)
	f.Fuzz(func(t *testing.T, s string) {
		blocks := Split([]Block{{Text: s}})
		whole, _ := NewText(blocks)
		c := r.ReadCommands(blocks, noon)
		if len(c.List) > maxCommands+1 || len(c.Errors) > 3*maxCommands {
			t.Errorf("%d commands, %d errors", len(c.List), len(c.Errors))
		}
		if !strings.HasSuffix(strings.TrimSpace(whole), c.Text) {
			t.Errorf("the text is no end of the new text: %q of %q", c.Text, whole)
		}
		list, b := r.readBatch(blocks, noon)
		if len(list) > maxCommands+1 || len(b.Errors) > 3*maxCommands || len(list) != len(b.List) {
			t.Errorf("%d commands of a batch, %d errors", len(list), len(b.Errors))
		}
		for _, l := range list {
			if l.number < 1 || unfitForBatch(l.cmd.Verb) {
				t.Errorf("%+v", l)
			}
		}
		if a := forwardedFrom(s); a.Addr != "" && (plainAddress(a.Addr) != a.Addr || a.Addr != lowerASCII(a.Addr)) {
			t.Errorf("the forwarded mail is from %q", a.Addr)
		}
	})
}

// noon is when the tests of this package read dates in words: a Wednesday.
var noon = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

func TestT08_OnlyLeadingOwnLinesAreRead(t *testing.T) {
	t.Parallel()
	r := desk(t)
	for _, c := range []struct {
		blocks []Block
		want   int
	}{
		{[]Block{{Own, "take\n"}, {Quoted, "resolved\n"}}, 1},
		{[]Block{{Own, "take\n"}, {Signature, "resolved\n"}}, 1},
		{[]Block{{Own, "take\n"}, {Forwarded, "resolved\n"}}, 1},
		{[]Block{{Quoted, "resolved\n"}}, 0},
		{[]Block{{Quoted, "hello\n"}, {Own, "resolved\n"}}, 0},
		{[]Block{{Signature, "resolved\n"}}, 0},
		{[]Block{{Forwarded, "resolved\n"}}, 0},
		{[]Block{{Own, "\n"}, {Own, "take\n"}, {Own, "priority high\n"}, {Quoted, "resolved"}}, 2},
		{[]Block{{Own, "\n"}, {Quoted, "1042 resolved\n"}}, 0},
	} {
		got := r.ReadCommands(c.blocks, noon)
		list, _ := r.readBatch(c.blocks, noon)
		if len(got.List) != c.want || len(list) != 0 || len(got.Errors) != 0 {
			t.Errorf("%+v: %d commands, %d lines of a batch, %d errors, want %d", c.blocks, len(got.List), len(list), len(got.Errors), c.want)
		}
	}
}

// Look-alike letters make a line a note, each by itself (T9).
func TestT09_LookAlikeLettersAreNoCommand(t *testing.T) {
	t.Parallel()
	r := desk(t)
	for _, line := range []string{
		"＃resolved", "ｒesolved", "resоlved", "сlosed", "ｃｌｏｓｅｄ", "ＴＡＫＥ", "taĸe", "ta\u212ae", "cℓosed", "𝐜𝐥𝐨𝐬𝐞𝐝", "waıting", "clo\u017fed", "#ｒesolved", "status：closed", "1042 ｒesolved",
		"re\u0301solved", "r e s o l v e d", "⓪pen", "opеn",
	} {
		c := r.ReadCommands([]Block{{Own, line + "\n"}}, noon)
		list, _ := r.readBatch([]Block{{Own, line + "\n"}}, noon)
		if len(c.List)+len(list) > 0 {
			t.Errorf("%q is a command: %+v %+v", line, c.List, list)
		}
	}
}
