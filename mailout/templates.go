package mailout

import (
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"text/template"
	"text/template/parse"
	"time"
	"unicode"

	"deskd/triage"
	"deskd/triage/ticket"
)

// templateFiles are the built-in templates: those in English, and a folder for
// each further language.
//
//go:embed templates/*.txt templates/de/*.txt
var templateFiles embed.FS

// maxTemplate bounds a template's file, and what one may write beside the
// texts that it conveys.
const maxTemplate = 64 << 10

// wording is how mails are worded: the templates of each language.
type wording map[string]*template.Template

// builtIn is read once at start; a template of ours that does not parse stops
// every test and every program.
var builtIn = func() wording {
	w, err := readWording("")
	if err != nil {
		panic(err)
	}
	return w
}()

// CheckTemplates says what is wrong with the templates in a folder, each
// complaint with file and line.
func CheckTemplates(dir string) error {
	_, err := loadWording(dir)
	return err
}

// loadWording gives the built-in templates with those of the folder in the
// place of theirs, and tries each one of these on mails of all sorts first. No
// folder is named by "".
//
// Templates see plain strings and no method; of functions they have those of
// text/template, none of which reads a file or runs anything. What they write
// is the text of a mail and never its header (T49).
func loadWording(dir string) (wording, error) {
	if dir == "" {
		return builtIn, nil
	}
	var errs []error
	w, err := readWording(dir)
	if err != nil { // where a file cannot be read, the built-in one is tried
		errs = append(errs, err)
	}
	said := map[string]bool{}
	for _, l := range languages {
		failed := map[Kind]bool{} // one complaint for each is enough
		for _, o := range samples() {
			if failed[o.Kind] {
				continue
			}
			if err := w.try(l, o); err != nil {
				failed[o.Kind] = true
				if err = located(dir, err); !said[err.Error()] { // shared.txt is tried many times
					said[err.Error()] = true
					errs = append(errs, err)
				}
			}
		}
	}
	return w, errors.Join(errs...)
}

// readWording reads the built-in templates, and in their place those of the
// folder.
func readWording(dir string) (wording, error) {
	w := wording{}
	var errs []error
	for _, l := range languages {
		trees := map[string]*parse.Tree{}
		for _, from := range []struct {
			files fs.FS
			base  string
		}{{templateFiles, "templates"}, {nil, dir}} {
			if from.files == nil && dir == "" {
				continue
			}
			folder := from.base
			if l.code != English {
				folder = path.Join(from.base, l.code)
			}
			read := func(name string) ([]byte, error) { return readTemplate(filepath.Join(folder, name)) }
			names, err := listTemplates(folder, l.code == English)
			if from.files != nil {
				read = func(name string) ([]byte, error) { return fs.ReadFile(templateFiles, path.Join(folder, name)) }
				names, err = listBuiltIn(folder)
			}
			if err != nil {
				errs = append(errs, err)
				continue
			}
			for _, name := range names {
				if _, known := trees[name]; !known && from.files == nil {
					errs = append(errs, fmt.Errorf("%s: there is no template of this name; rename the file to one of %s, or remove it", filepath.Join(folder, name), knownTemplates()))
					continue
				}
				text, err := read(name)
				if err == nil {
					err = addTrees(trees, l.prefix()+name, name, string(text))
				}
				if err != nil {
					errs = append(errs, located(dir, err))
				}
			}
		}
		// Built from trees, since a definition that is empty on purpose would
		// not replace one that is not.
		t := template.New("mailout").Option("missingkey=error")
		for name, tree := range trees {
			if _, err := t.AddParseTree(name, tree); err != nil {
				errs = append(errs, err)
			}
		}
		w[l.code] = t
	}
	return w, errors.Join(errs...)
}

// addTrees parses a file and notes what it defines. The file's own text counts
// unless there is none, as in shared.txt.
func addTrees(trees map[string]*parse.Tree, shown, name, text string) error {
	t, err := template.New(shown).Parse(text)
	if err != nil {
		return err
	}
	for _, d := range t.Templates() {
		switch {
		case d.Name() != shown:
			trees[d.Name()] = d.Tree
		case name != sharedTemplate && parse.IsEmptyTree(d.Tree.Root):
			return fmt.Errorf("template: %s:1: it says nothing", shown)
		default:
			trees[name] = d.Tree
		}
	}
	if _, ok := trees[name]; !ok && name == sharedTemplate {
		trees[name] = t.Tree
	}
	return nil
}

// sharedTemplate holds what other templates have in common.
const sharedTemplate = "shared.txt"

func listBuiltIn(folder string) ([]string, error) {
	entries, err := fs.ReadDir(templateFiles, folder)
	var names []string
	for _, e := range entries {
		if !e.IsDir() {
			names = append(names, e.Name())
		}
	}
	return names, err
}

// listTemplates lists the files of a folder; those whose names begin with a
// dot are passed over. At the top there may be folders of languages.
func listTemplates(folder string, top bool) ([]string, error) {
	entries, err := os.ReadDir(folder)
	switch {
	case errors.Is(err, fs.ErrNotExist) && !top:
		return nil, nil // nothing is worded anew in this language
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("%s does not exist; make the folder, or mend the path", folder)
	case err != nil:
		return nil, fmt.Errorf("%s cannot be read: %w", folder, err)
	}
	var names []string
	for _, e := range entries {
		switch {
		case strings.HasPrefix(e.Name(), "."):
		case top && languageOf(e.Name()) != nil && e.Name() != English:
		default:
			names = append(names, e.Name())
		}
	}
	return names, nil
}

// readTemplate reads one file that somebody wrote for the desk.
func readTemplate(file string) ([]byte, error) {
	info, err := os.Stat(file)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is no file; remove it", file)
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxTemplate+1))
	switch {
	case err != nil:
		return nil, err
	case len(text) > maxTemplate:
		return nil, fmt.Errorf("%s has more than %d bytes; shorten it", file, maxTemplate)
	}
	return []byte(strings.ReplaceAll(string(text), "\r\n", "\n")), nil
}

func knownTemplates() string {
	names, err := listBuiltIn("templates")
	if err != nil {
		panic(err) // it is built in
	}
	return strings.Join(names, ", ")
}

var templateError = regexp.MustCompile(`^template: ([^:\s]+):(\d+):(?:\d+:)? (?:executing .* at <(.*?)>: )?(.*)$`)

// located turns an error of text/template into one that names file and line as
// people know them, and says how to mend it.
func located(dir string, err error) error {
	m := templateError.FindStringSubmatch(err.Error())
	if m == nil {
		return err
	}
	what, mend := m[4], "mend it, or remove the file to have the built-in one"
	if m[3] != "" {
		what = m[3] + ": " + what
	}
	if strings.Contains(what, "can't evaluate field") {
		what = m[3] + " is not known here"
		mend = "write one of " + strings.Join(fieldNames(), ", ") + ", or what the built-in template has at this place"
	}
	return fmt.Errorf("%s:%s: %s; %s", filepath.Join(dir, filepath.FromSlash(m[1])), m[2], what, mend)
}

// fieldNames lists what a template may show.
func fieldNames() []string {
	var names []string
	for f := range reflect.TypeFor[view]().Fields() {
		names = append(names, "."+f.Name)
	}
	slices.Sort(names)
	return names
}

// errTooLong ends a template that goes on and on.
var errTooLong = errors.New("it writes without end")

// bounded is a text that does not grow beyond its bounds.
type bounded struct {
	strings.Builder
	left int
}

func (b *bounded) Write(p []byte) (int, error) {
	if b.left -= len(p); b.left < 0 {
		return 0, errTooLong
	}
	return b.Builder.Write(p)
}

// write fills in the template of a kind.
func (w wording) write(code string, kind Kind, v view) (string, error) {
	// The words of the mail may stand in it, and stand in it as a quote.
	b := bounded{left: 4*(len(v.Text)+len(v.Quote)) + 16*maxTemplate}
	if err := w[code].ExecuteTemplate(&b, string(kind)+".txt", v); err != nil {
		return "", err
	}
	// What was conveyed is clean; a template may still spell controls.
	text := strings.Map(func(r rune) rune {
		switch {
		case r == '\n', r == '\t', !unicode.IsControl(r) && r != '\u2028' && r != '\u2029':
			return r
		}
		return -1
	}, strings.ToValidUTF8(b.String(), "\ufffd"))
	return strings.TrimRight(text, "\n") + "\n", nil
}

// try writes a sample, and looks whether the mail may go out like that.
func (w wording) try(l *language, o Occasion) error {
	m := &Mailer{id: Identity{
		Name: "IT Service Desk", Prefix: "IT", Location: time.UTC, PageURL: "https://desk.example.com", Language: l.code,
	}, wording: w}
	text, _, err := m.render(o, l)
	file := l.prefix() + string(o.Kind) + ".txt"
	switch {
	case errors.Is(err, errTooLong):
		return fmt.Errorf("template: %s:1: %w", file, err)
	case err != nil:
		return err
	case strings.TrimSpace(text) == "":
		return fmt.Errorf("template: %s:1: it says nothing", file)
	case !forms[o.Kind].public && !o.Public && !strings.HasPrefix(text, Delimiter+"\n"):
		// Without it an answer's quote could be read as commands (T8).
		return fmt.Errorf("template: %s:1: a mail to technicians must begin with the line {{.Delimiter}}", file)
	case forms[o.Kind].public && strings.Contains(text, Delimiter):
		return fmt.Errorf("template: %s:1: a mail to requesters must not have the line {{.Delimiter}}", file)
	}
	return nil
}

// samples are occasions of every kind: with all that one can have, with as
// little as one can have, and with what makes templates take another turn.
func samples() []Occasion {
	person := triage.Address{Name: "Ann Miller", Addr: "ann@example.com"}
	at := time.Date(2026, 11, 23, 9, 15, 30, 0, time.UTC)
	full := Occasion{
		Key: "sample", At: at, From: "support@example.com", To: []triage.Address{person}, Actor: person, Authenticated: true,
		Ticket: TicketView{
			Number: 1042, Subject: "VPN", Status: ticket.Open, Priority: ticket.High, Team: "Network Team",
			Assignee: "bob@example.com", Requester: person, CreatedAt: at, DueAt: at,
		},
		Reasons: []string{"a reason"}, Text: "Hello.", Notes: []string{"a note"},
		Errors:  []triage.CommandError{{Line: "#x", Why: "why", Valid: "hint"}, {Line: "#y", Why: "why"}},
		Effects: []triage.Effect{{Line: "take", Before: "nobody", After: "bob@example.com"}, {Line: "reply", After: "sent"}, {Line: "quiet"}},
		Told:    []string{"ann@example.com"}, Sections: []Section{{"Title", []string{"line", "line"}}, {"Title", nil}},
		Attachments: []Attachment{{Name: "a.txt"}}, AttachmentNames: []string{"b.txt"},
	}
	var all []Occasion
	for _, kind := range slices.Sorted(maps.Keys(forms)) {
		o := full
		o.Kind = kind
		all = append(all, o)
		o.Public, o.Errors = kind == Answer, o.Errors[:1]
		all = append(all, o)
		o = Occasion{Kind: kind, Key: "sample", At: at, From: full.From, To: full.To, Sections: full.Sections[:1]}
		if kind == Reply { // words of a person are all that is in it
			o.Text = full.Text
		}
		all = append(all, o)
		for _, before := range ticket.Statuses() {
			for _, after := range ticket.Statuses() {
				o := full
				o.Kind, o.Before, o.After, o.Ticket.Status = kind, before.Label(), after.Label(), after
				all = append(all, o)
			}
		}
	}
	return all
}
