package main

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// floor says how high a package stands; imports run down only.
func floor(path string) int {
	switch p := strings.TrimPrefix(path, "deskd/"); {
	case strings.HasPrefix(p, "cmd/"):
		return 4
	case p == "configs":
		return 3
	case p == "mailin", p == "mailout", p == "store":
		return 2
	case strings.HasSuffix(p, "test") && strings.Count(p, "/") == 1: // mailin/mailintest
		return 2
	case p == "triage", strings.HasPrefix(p, "triage/"):
		return 1
	}
	return 0
}

// home says where alone a library may be imported, in what ships.
var home = map[string][]string{
	"gorm.io/":                                  {"deskd/store"},
	"github.com/glebarez/":                      {"deskd/store"},
	"github.com/pressly/goose":                  {"deskd/store"},
	"github.com/emersion/go-imap/v2/imapserver": {"deskd/cmd/internal/demomail", "deskd/mailin/mailintest"},
	"github.com/emersion/go-imap/v2/imapclient": {"deskd/mailin", "deskd/mailin/mailintest"},
	"github.com/emersion/go-message":            {"deskd/mailin", "deskd/cmd/internal/demomail"},
	"github.com/emersion/go-msgauth":            {"deskd/mailin"},
	"github.com/emersion/go-smtp":               {"deskd/cmd/internal/demomail", "deskd/mailout/mailouttest"},
	"github.com/wneessen/go-mail":               {"deskd/mailout"},
	"net/mail":                                  {"deskd/mailin", "deskd/mailout", "deskd/configs", "deskd/cmd/internal/demomail"},
}

type listed struct {
	ImportPath string
	Dir        string
	Standard   bool
	Doc        string
	Imports    []string
	Deps       []string
	GoFiles    []string
}

func listPackages(t *testing.T) []listed {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Dir,Doc,Imports,Deps,GoFiles", "./...")
	cmd.Dir = "../.."
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var all []listed
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p listed
		err := dec.Decode(&p)
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

func TestImportsRunDownOnly(t *testing.T) {
	t.Parallel()
	edges := map[string]bool{"deskd/mailin": true, "deskd/mailout": true, "deskd/store": true}
	for _, p := range listPackages(t) {
		own := floor(p.ImportPath)
		if own == 0 {
			t.Errorf("%s stands on no floor", p.ImportPath)
		}
		testHelper := strings.HasSuffix(p.ImportPath, "test")
		for _, i := range p.Imports {
			if strings.HasPrefix(i, "deskd/") {
				f := floor(i)
				if f > own || f == own && own == 3 {
					t.Errorf("%s (floor %d) imports %s (floor %d)", p.ImportPath, own, i, f)
				}
				if edges[p.ImportPath] && edges[i] {
					t.Errorf("%s imports %s: the edges do not know one another", p.ImportPath, i)
				}
				if strings.HasSuffix(i, "test") && !testHelper {
					t.Errorf("%s ships with the test helper %s", p.ImportPath, i)
				}
			}
			for lib, homes := range home {
				if !strings.HasPrefix(i, lib) {
					continue
				}
				at := false
				for _, h := range homes {
					at = at || h == p.ImportPath
				}
				if !at && !testHelper {
					t.Errorf("%s imports %s, which belongs to %v", p.ImportPath, i, homes)
				}
			}
		}
	}
}

// TestTriageIsPure holds that triage reaches no clock, file or socket: it may
// use the standard library's pure parts and x/text.
func TestTriageIsPure(t *testing.T) {
	t.Parallel()
	for _, p := range listPackages(t) {
		if floor(p.ImportPath) != 1 {
			continue
		}
		for _, i := range p.Imports {
			first, _, _ := strings.Cut(i, "/")
			switch {
			case i == "os", i == "net", strings.HasPrefix(i, "net/"), i == "io/fs", i == "log", i == "log/slog", i == "os/exec", i == "path/filepath", i == "syscall", i == "math/rand", i == "math/rand/v2":
				t.Errorf("%s imports %s", p.ImportPath, i)
			case strings.HasPrefix(i, "deskd/triage"), strings.HasPrefix(i, "golang.org/x/text/"):
			case strings.Contains(first, "."):
				t.Errorf("%s imports %s; only the standard library and x/text are allowed", p.ImportPath, i)
			}
		}
		for _, f := range p.GoFiles {
			src, err := os.ReadFile(filepath.Join(p.Dir, f))
			if err != nil {
				t.Fatal(err)
			}
			for _, clock := range []string{"time.Now(", "time.Since(", "time.After(", "time.NewTimer("} {
				if strings.Contains(string(src), clock) {
					t.Errorf("%s reads the clock: %s", f, clock)
				}
			}
		}
	}
}

func TestEveryPackageHasOneComment(t *testing.T) {
	t.Parallel()
	for _, p := range listPackages(t) {
		var with []string
		for _, f := range p.GoFiles {
			src, err := os.ReadFile(filepath.Join(p.Dir, f))
			if err != nil {
				t.Fatal(err)
			}
			if commented(string(src)) {
				with = append(with, f)
			}
		}
		if len(with) != 1 {
			t.Errorf("%s has a package comment in %v, want exactly one file", p.ImportPath, with)
		}
	}
}

// commented says whether a comment stands right above the package clause.
func commented(src string) bool {
	before := ""
	for line := range strings.Lines(src) {
		if strings.HasPrefix(line, "package ") {
			return strings.HasPrefix(before, "//") && !strings.HasPrefix(before, "//go:") || strings.HasPrefix(before, "*/")
		}
		before = line
	}
	return false
}

func TestTopLevelHoldsTheAgreedFoldersOnly(t *testing.T) {
	t.Parallel()
	allowed := map[string]bool{
		"cmd": true, "configs": true, "mailin": true, "mailout": true, "store": true, "triage": true, "go.mod": true, "go.sum": true,
		"README.md": true, "LICENSE": true, "SECURITY.md": true, "CONTRIBUTING.md": true,
	}
	list, err := os.ReadDir("../..")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range list {
		if !allowed[f.Name()] && !strings.HasPrefix(f.Name(), ".") && f.Name() != "deskd" {
			t.Errorf("%s stands at the top level", f.Name())
		}
	}
}

// dialling are the ways to open a connection or ask a name server.
var dialling = regexp.MustCompile(`net\.(Dial\w*\(|Dialer\{|Lookup|Resolver\{|DefaultResolver)|http\.(Get|Post|Head|DefaultClient|Client\{|NewRequest)|tls\.Dial`)

// TestT35OnlyTheServersOfTheSettingsAreDialled holds that nothing in a mail
// can ask for a connection: only the parts that speak to the configured
// servers know how to open one (the database's driver is the third), the one
// that asks name servers for keys, and the one that posts alarms, where the
// settings want that.
func TestT35OnlyTheServersOfTheSettingsAreDialled(t *testing.T) {
	t.Parallel()
	allowed := map[string]bool{"deskd/mailin/mailin.go": true, "deskd/mailout/mailout.go": true, "deskd/mailin/dkim.go": true, "deskd/cmd/deskd/webhook.go": true}
	found := map[string]bool{}
	for _, p := range listPackages(t) {
		if strings.HasSuffix(p.ImportPath, "test") {
			continue
		}
		for _, f := range p.GoFiles {
			src, err := os.ReadFile(filepath.Join(p.Dir, f))
			if err != nil {
				t.Fatal(err)
			}
			name := p.ImportPath + "/" + f
			if call := dialling.Find(src); call != nil {
				found[name] = true
				if !allowed[name] {
					t.Errorf("%s opens connections: %s", name, call)
				}
			}
		}
	}
	for name := range allowed {
		if !found[name] {
			t.Errorf("%s opens no connection: is this test still right?", name)
		}
	}
}
