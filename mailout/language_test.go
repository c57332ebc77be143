package mailout

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"deskd/triage"
	"deskd/triage/ticket"
)

func TestLanguageIsThatOfTheRecipients(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ desk, to, requester, want string }{
		{"", "ann@example.com", "ann@example.com", English},
		{German, "ann@example.com", "ann@example.com", German},
		{"", "ann@example.de", "ann@example.de", German},
		{"", "ann@Berlin.Example.DE", "ann@Berlin.Example.DE", German},
		{German, "ann@example.org", "ann@example.org", English},
		{"", "ann@notexample.de", "ann@notexample.de", English},
		{"", "support@helpers.example.net", "ann@example.de", German}, // to where the requester's answers go
		{German, "x", "", German},
	} {
		m := &Mailer{id: Identity{Language: c.desk, Languages: map[string]string{"example.de": German, "example.org": English}}}
		o := Occasion{Kind: StatusNotice, To: []triage.Address{{Addr: c.to}}, Ticket: TicketView{Requester: triage.Address{Addr: c.requester}}}
		if got := m.language(o).code; got != c.want {
			t.Errorf("%+v: %s", c, got)
		}
	}
	// A team does not read the requester's language.
	m := &Mailer{id: Identity{Languages: map[string]string{"example.de": German}}}
	o := Occasion{Kind: TeamNotice, To: []triage.Address{{Addr: "team@example.com"}}, Ticket: TicketView{Requester: triage.Address{Addr: "ann@example.de"}}}
	if got := m.language(o).code; got != English {
		t.Errorf("the team is written to in %s", got)
	}
}

func TestDatesAndSizesAreGermanInGerman(t *testing.T) {
	t.Parallel()
	zone := time.FixedZone("CET", 3600)
	for _, c := range []struct{ got, want string }{
		{german.date(time.Date(2026, 11, 27, 9, 0, 0, 0, zone)), "Freitag, 27. November 2026, 09:00 Uhr CET"},
		{german.date(time.Date(2026, 3, 1, 23, 59, 0, 0, zone)), "Sonntag, 1. März 2026, 23:59 Uhr CET"},
		{german.size(7), "7 Bytes"},
		{german.size(80_000), "80 kB"},
		{german.size(1_520_000), "1,5 MB"},
		{languages[0].size(7), "7 bytes"},
		{languages[0].size(1_520_000), "1.5 MB"},
		{german.say(`rule "vpn": found "vpn" in the subject → high, Network Team`), `Regel „vpn“: „vpn“ gefunden in Betreff → hoch, Network Team`},
		{german.say(`rule "x": found "x" in the List-Id field → low, Helpdesk (high from another rule is higher; an earlier rule chose Network Team)`), `Regel „x“: „x“ gefunden in Feld List-Id → niedrig, Helpdesk (hoch aus einer anderen Regel ist höher; eine frühere Regel wählte Network Team)`},
		{german.say("not verified: our mail server says dmarc=fail"), "nicht bestätigt: unser Mailserver sagt dmarc=fail"},
		{german.say("the ticket is in progress already"), "Das Ticket ist bereits in Bearbeitung."},
		{german.say("a sentence that nobody knows"), "a sentence that nobody knows"},
	} {
		if c.got != c.want {
			t.Errorf("%q, want %q", c.got, c.want)
		}
	}
}

func TestEveryLanguageHasEveryTemplateAndLabel(t *testing.T) {
	t.Parallel()
	english, err := listBuiltIn("templates")
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range languages[1:] {
		theirs, err := listBuiltIn("templates/" + l.code)
		if err != nil || strings.Join(theirs, " ") != strings.Join(english, " ") {
			t.Errorf("%s has %v (%v), want %v", l.code, theirs, err, english)
		}
		var words []string
		for _, s := range ticket.Statuses() {
			words = append(words, s.Label())
		}
		for _, p := range ticket.Priorities() {
			words = append(words, string(p))
		}
		for _, k := range kinds {
			words = append(words, strings.ReplaceAll(string(k), "-", " "))
		}
		for _, w := range words {
			if l.say(w) == w {
				t.Errorf("%q is not said in %s", w, l.code)
			}
		}
	}
	// The built-in templates pass what is asked of others.
	for _, l := range languages {
		for _, o := range samples() {
			if err := builtIn.try(l, o); err != nil {
				t.Errorf("%s in %s: %v", o.Kind, l.code, err)
			}
		}
	}
}

// TestWhatTheDeskSaysIsSaidInEveryLanguage looks for the sentences that
// triage, mailin and the desk hand over, in the places of the source that they
// come from.
func TestWhatTheDeskSaysIsSaidInEveryLanguage(t *testing.T) {
	t.Parallel()
	found := 0
	for _, dir := range []string{".", "../triage", "../triage/ticket", "../mailin", "../cmd/internal/desk"} {
		files, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %v", dir, err)
		}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") || filepath.Base(file) == "templates.go" {
				continue
			}
			src, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range spoken(t, file, src) {
				found++
				for _, l := range languages[1:] {
					if l.say(s) == s {
						t.Errorf("%s: %q is not said in %s", file, s, l.code)
					}
				}
			}
		}
	}
	if found < 80 {
		t.Errorf("only %d sentences were found: are the places still the same?", found)
	}
}

// spoken collects the sentences of a file that may come into a mail.
func spoken(t *testing.T, file string, src []byte) []string {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), file, src, 0)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	take := func(list ...ast.Expr) {
		for _, e := range list {
			s, ok := sentence(e)
			if commands := strings.HasPrefix(s, "open, in progress"); ok && !commands && words.MatchString(s) {
				all = append(all, s)
			}
		}
	}
	base := filepath.Base(file)
	ast.Inspect(parsed, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.KeyValueExpr:
			if key, ok := n.Key.(*ast.Ident); ok && (key.Name == "Why" || key.Name == "Valid") {
				take(n.Value)
			}
		case *ast.CompositeLit: // mailout.Section{"Title:", lines}
			if sel, ok := n.Type.(*ast.SelectorExpr); ok && sel.Sel.Name == "Section" && len(n.Elts) > 0 {
				if pair, keyed := n.Elts[0].(*ast.KeyValueExpr); keyed {
					take(pair.Value)
				} else {
					take(n.Elts[0])
				}
			}
		case *ast.CallExpr:
			name := ""
			switch f := n.Fun.(type) {
			case *ast.Ident:
				name = f.Name
			case *ast.SelectorExpr:
				name = f.Sel.Name
			}
			switch {
			case name == "append" && len(n.Args) > 1 && speaks(n.Args[0]), name == "wrong", name == "replyFailed",
				name == "fail" && base == "undo.go", (name == "fault" || name == "doubt") && base != "fault.go",
				name == "Errorf" && base == "status.go":
				take(n.Args...)
			}
		case *ast.ReturnStmt:
			if base == "sender.go" && len(n.Results) > 1 { // the proof's name, and why
				take(n.Results[1:]...)
			}
			if base == "compose.go" || base == "tell.go" {
				for _, r := range n.Results {
					if s, ok := sentence(r); ok && regexp.MustCompile(`\.$|limit|^nothing`).MatchString(s) {
						take(r)
					}
				}
			}
		case *ast.AssignStmt:
			for i, left := range n.Lhs {
				if sel, ok := left.(*ast.SelectorExpr); ok && i < len(n.Rhs) && (sel.Sel.Name == "Before" || sel.Sel.Name == "After" || sel.Sel.Name == "Why") {
					take(n.Rhs[i])
				}
			}
		}
		return true
	})
	return all
}

// speaks says whether a list is one of those that mails show.
func speaks(e ast.Expr) bool {
	if call, ok := e.(*ast.CallExpr); ok && len(call.Args) == 1 { // slices.Clone(o.Notes)
		e = call.Args[0]
	}
	sel, ok := e.(*ast.SelectorExpr)
	return ok && (sel.Sel.Name == "Notes" || sel.Sel.Name == "held")
}

// words tells a sentence from what only joins others.
var words = regexp.MustCompile(`[a-z]{2,} |[ ][a-z]{2,}`)

var verb = regexp.MustCompile(`%\[?[0-9]*\]?[a-z]`)

// sentence gives the text of an expression, with an x for what is not fixed.
func sentence(e ast.Expr) (string, bool) {
	switch e := e.(type) {
	case *ast.BasicLit:
		s, err := strconv.Unquote(e.Value)
		return verb.ReplaceAllString(s, "x"), err == nil && e.Kind == token.STRING
	case *ast.BinaryExpr:
		a, fixed := sentence(e.X)
		b, also := sentence(e.Y)
		if !fixed {
			a = "x"
		}
		if !also {
			b = "x"
		}
		return a + b, fixed || also
	case *ast.CallExpr:
		if sel, ok := e.Fun.(*ast.SelectorExpr); ok && sel.Sel.Name == "Sprintf" {
			return sentence(e.Args[0])
		}
	}
	return "", false
}
