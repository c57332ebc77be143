package configs

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"deskd/mailin"
	"deskd/mailout"
	"deskd/triage"
	"deskd/triage/ticket"
)

// minimal is as little as a desk can be run with.
const minimal = `mailboxes:
  - address: support@example.org
    server: imap.example.org
    password: ` + canary + `
smtp:
  address: smtp.example.org:465
teams:
  - name: Helpdesk
    list: helpdesk@example.org
    roster: [ann@example.org]
`

// canary is a password that must not show anywhere.
const canary = "Canary-7Q2x9"

// environ is an environment for tests.
func environ(pairs ...string) environment {
	return func(name string) (string, bool) {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i] == name {
				return pairs[i+1], true
			}
		}
		return "", false
	}
}

// write puts a file into the folder and gives its path.
func write(t *testing.T, dir, name, text string, mode fs.FileMode) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil { // whatever the umask
		t.Fatal(err)
	}
	return path
}

// mustParse reads settings that have to be sound.
func mustParse(t *testing.T, text, dir string, env environment) *Settings {
	t.Helper()
	s, err := parse([]byte(text), filepath.Join(dir, "deskd.yaml"), env, nil)
	if err != nil {
		t.Fatalf("settings refused:\n%v", err)
	}
	return s
}

func TestF41_BrokenSettingsAreToldAllAtOnceWithPlaceAndRemedy(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "wide", canary, 0o644)
	write(t, dir, "empty", "\n", 0o600)
	write(t, dir, "lines", canary+"\n"+canary+"\n", 0o600)
	write(t, dir, "long", strings.Repeat(canary, 1000), 0o600)
	write(t, dir, "fine", canary+"\n", 0o600)
	write(t, dir, "weak.key", "c0ffee\n", 0o600)
	write(t, dir, "odd.key", canary+"\n", 0o600)
	write(t, dir, "no.pem", "hello\n", 0o644)
	for _, folder := range []string{"words", "words/de"} {
		if err := os.Mkdir(filepath.Join(dir, folder), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	write(t, dir, "words/reply.txt", "{{.Text}}\n{{.}x\n", 0o600)
	write(t, dir, "words/de/team-notice.txt", "Neu: {{.Tag}}\n", 0o600)
	env := environ("FINE", canary, "EMPTY", "", "WEAK", "c0ffee")

	const add = "" // as old: new is written at the end, from line 11
	for _, c := range brokenSettings(add) {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			text := minimal + c.new
			if c.old != add {
				if text = strings.Replace(minimal, c.old, c.new, 1); text == minimal {
					t.Fatalf("%q is not in the file", c.old)
				}
			}
			_, err := parse([]byte(text), filepath.Join(dir, "deskd.yaml"), env, nil)
			var got []string
			if err != nil {
				text := strings.ReplaceAll(err.Error(), filepath.Join(dir, "deskd.yaml:"), "")
				text = strings.ReplaceAll(text, dir+string(filepath.Separator), "")
				got = strings.Split(strings.ReplaceAll(text, dir, "DIR"), "\n")
			}
			if strings.Contains(strings.Join(got, "\n"), canary) {
				t.Errorf("the password shows: %q", got)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("complaints differ (-want +got):\n%s", diff)
			}
			if invalid := (*Invalid)(nil); err != nil && !errors.As(err, &invalid) {
				t.Errorf("got a %T, want an *Invalid", err)
			}
		})
	}
}

func TestMinimalSettingsGetSaneDefaults(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := mustParse(t, minimal, dir, environ())

	in := s.Mailin()[0]
	want := mailin.Config{Address: "support@example.org", Server: "imap.example.org", Password: canary, MaxMail: 25 << 20}
	want.SetDefaults()
	if diff := cmp.Diff(want, in, cmp.Transformer("shown", plainIn)); diff != "" {
		t.Errorf("mailbox differs (-want +got):\n%s", diff)
	}
	out := mailout.Config{Address: "smtp.example.org:465", Username: "support@example.org", Password: canary}
	out.SetDefaults()
	if diff := cmp.Diff(out, s.Mailout()); diff != "" {
		t.Errorf("outgoing server differs (-want +got):\n%s", diff)
	}

	host, _ := os.Hostname()
	for _, c := range []struct {
		key       string
		got, want any
	}{
		{"name", s.Name, "IT Service Desk"},
		{"subject_prefix", s.SubjectPrefix, "IT"},
		{"time_zone", s.Location().String(), "UTC"},
		{"default_team", s.DefaultTeam, "Helpdesk"},
		{"default_priority", s.DefaultPriority, ticket.Medium},
		{"close_resolved_after", s.CloseAfter, 168 * time.Hour},
		{"database", s.Database.Reveal(), filepath.Join(dir, "deskd.db")},
		{"key_file", s.KeyFile, filepath.Join(dir, "deskd.key")},
		{"daemon", s.Daemon, host},
		{"log.level", s.Log.Level, "info"},
		{"page.listen", s.Page.Listen, "127.0.0.1:8080"},
	} {
		if c.got != c.want {
			t.Errorf("%s = %v, want %v", c.key, c.got, c.want)
		}
	}
	if got, want := len(s.Rules), len(triage.DefaultRules()); got != want {
		t.Errorf("%d rules, want the %d default ones", got, want)
	}
	wantLimits := mailin.Limits{Mail: 25 << 20, HeaderBytes: 256 << 10, Fields: 1000, Depth: 20, Parts: 200, Text: 1 << 20, Decoded: 64 << 20}
	if got := s.MailLimits(); got != wantLimits {
		t.Errorf("limits are %+v, want %+v", got, wantLimits)
	}
}

// plainIn takes the methods and the function off a mailin.Config, so that
// cmp compares and shows its fields.
func plainIn(c mailin.Config) any {
	type config struct {
		Address, Server, Username, Password, CAFile, Folder, Done, Quarantine, Import string
		Security                                                                      mailin.Security
		Numbers                                                                       []int64
	}
	return config{
		c.Address, c.Server, c.Username, c.Password, c.CAFile, c.Folder, c.Done, c.Quarantine, c.Import, c.Security,
		[]int64{int64(c.Poll), int64(c.Idle), int64(c.FullSearch), int64(c.Command), int64(c.Body), int64(c.BatchMails), c.BatchBytes, c.MaxMail},
	}
}

func TestT43_NothingIsExposedByDefault(t *testing.T) {
	t.Parallel()
	s := mustParse(t, minimal, t.TempDir(), environ())
	if !loopback(s.Page.Listen) {
		t.Errorf("the page listens on %s by default, want loopback", s.Page.Listen)
	}
	d := defaults()
	if len(d.Mailboxes) > 0 || d.SMTP.Password != "" || len(d.Administrators) > 0 || len(d.Teams) > 0 {
		t.Error("the defaults hold a login or people")
	}
	if !reflect.DeepEqual(d.Authentication, triage.Trust{}) {
		t.Errorf("something is trusted by default: %+v", d.Authentication)
	}
	if in := s.Mailin()[0]; in.Security != mailin.TLS {
		t.Errorf("mail is fetched with %q by default, want tls", in.Security)
	}
	if out := s.Mailout(); out.Security != mailout.TLS {
		t.Errorf("mail is sent with %q by default, want tls", out.Security)
	}
}

func TestExampleIsSound(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "mailbox.password", canary+"\n", 0o600)
	s, err := Load(write(t, dir, "deskd.yaml", string(Example()), 0o644)) // it holds no secret
	if err != nil {
		t.Fatal(err)
	}
	if got := s.Mailin()[0].Password; got != canary {
		t.Errorf("password of the mailbox is %q, want that of the file", got)
	}
	if got := s.Mailout().Password; got != canary {
		t.Errorf("password for sending is %q, want that of the mailbox", got)
	}
}

// commented is a setting of the example with its default, optional one that
// is shown as an alternative to it.
var (
	commented = regexp.MustCompile(`(?m)^( *)#([^\s#].*)$`)
	optional  = regexp.MustCompile(`(?m)^( *)# ((?:- )?(?:\{.*|[a-z_]+:(?: .*)?))$`)
)

func TestExampleTellsTheDefaults(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "mailbox.password", canary+"\n", 0o600)
	as := mustParse(t, string(example), dir, environ())
	all := mustParse(t, string(commented.ReplaceAll(example, []byte("$1$2"))), dir, environ())
	diff := cmp.Diff(as, all, cmpopts.EquateEmpty(), cmpopts.IgnoreUnexported(Settings{}), cmp.Transformer("shown", plainIn))
	if diff != "" {
		t.Errorf("a commented setting is not the default (-default +commented):\n%s", diff)
	}
}

func TestExampleHasEverySettingAndNoOther(t *testing.T) {
	t.Parallel()
	text := commented.ReplaceAll(example, []byte("$1$2"))
	text = optional.ReplaceAll(text, []byte("$1$2"))
	file, err := parser.ParseBytes(text, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		t.Fatalf("the example with all its comments taken away is no YAML: %v", err)
	}
	shown := map[string]bool{}
	var walk func(n ast.Node, path string)
	walk = func(n ast.Node, path string) {
		switch n := n.(type) {
		case *ast.MappingNode:
			for _, pair := range n.Values {
				key := strings.TrimPrefix(path+"."+pair.Key.GetToken().Value, ".")
				shown[key] = true
				walk(pair.Value, key)
			}
		case *ast.SequenceNode:
			for _, item := range n.Values {
				walk(item, path+"[]")
			}
		}
	}
	walk(file.Docs[0].Body, "")

	known := schema(reflect.TypeFor[Settings](), "")
	if len(known) < 60 {
		t.Errorf("only %d settings found in the types", len(known))
	}
	for _, key := range known {
		if !shown[key] {
			t.Errorf("%s is not in the example", key)
		}
	}
	for key := range shown {
		if !slices.Contains(known, key) {
			t.Errorf("%s is in the example, and no such setting exists", key)
		}
	}
}

func TestEverythingThatIsSetArrives(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "imap", canary+"\r\n", 0o600)
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	write(t, dir, "dkim.pem", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})), 0o600)
	if err := os.Mkdir(filepath.Join(dir, "words"), 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, dir, "words/reply.txt", "{{.Text}}\n", 0o600)
	s := mustParse(t, `
name: Werkstatt
language: de
languages: {Example.COM: en}
templates: words
subject_prefix: WS2
old_subject_prefixes: [IT]
time_zone: Europe/Vienna
mailboxes:
  - {address: Support@Example.org, aliases: [Help@example.org], server: "127.0.0.1:1143", security: none,
     username: 007, password_file: imap, import: 2026-01-31, poll: 45s, batch_bytes: 1MiB, max_mail: 10MiB}
  - {address: second@example.org, server: imap.example.org, password_env: SECOND}
smtp: {address: "localhost:25", security: none, username: "", dkim: {domain: example.org, selector: desk2026, key_file: dkim.pem}}
teams:
  - {name: Blue, list: blue@example.org}
  - {name: Green, list: green@example.org, roster: [Ann@example.org]}
administrators: [boss@example.org]
default_priority: low
rules: []
authentication: {servers: [mx.example.org], borders: [mx.example.org], exchange_online: true}
own_lists: [all@example.org, all.lists.example.org]
monitoring_senders: [nagios@example.org]
close_resolved_after: 2w
limits: {mail_size: 30MiB, answers_per_hour: 20, unauthenticated_interval: 1h}
page: {listen: "", hosts: [desk, "desk.example.org:8443"], url: https://desk.example.org/}
database: postgres://deskd:${DB}@db.example.org/deskd
key_env: KEY
daemon: two
log: {level: debug, format: json}
`, dir, environ("SECOND", "second", "DB", "p@ss/word%", "KEY", strings.Repeat("ab", 32)))

	in := s.Mailin()
	for _, c := range []struct {
		key       string
		got, want any
	}{
		{"address in lower case", in[0].Address, "support@example.org"},
		{"username as written", in[0].Username, "007"},
		{"password without line end", in[0].Password, canary},
		{"security", in[0].Security, mailin.Plain},
		{"poll", in[0].Poll, 45 * time.Second},
		{"batch_bytes", in[0].BatchBytes, int64(1 << 20)},
		{"max_mail", in[0].MaxMail, int64(10 << 20)},
		{"import", in[0].Import, "2026-01-31"},
		{"password from the environment", in[1].Password, "second"},
		{"max_mail of the desk", in[1].MaxMail, int64(30 << 20)},
		{"no sign-in", s.Mailout().Username + s.Mailout().Password, ""},
		{"default team is the first one", s.DefaultTeam, "Blue"},
		{"no rules", len(s.Rules), 0},
		{"close_resolved_after", s.CloseAfter, 14 * 24 * time.Hour},
		{"unauthenticated_interval", s.Limits.UnauthenticatedInterval, time.Hour},
		{"answers_per_hour", s.Limits.AnswersPerHour, 20},
		{"no page", s.Page.Listen, ""},
		{"url without slash", s.Page.URL, "https://desk.example.org"},
		{"database with an escaped password", s.Database.Reveal(), "postgres://deskd:p%40ss%2Fword%25@db.example.org/deskd"},
		{"zone", s.Location().String(), "Europe/Vienna"},
		{"language", s.Language, "de"},
		{"language of a domain, in lower case", s.Languages["example.com"], "en"},
		{"templates as a whole path", s.Templates, filepath.Join(dir, "words")},
		{"signing", s.Mailout().DKIM, mailout.DKIMConfig{Domain: "example.org", Selector: "desk2026", KeyFile: filepath.Join(dir, "dkim.pem")}},
	} {
		if c.got != c.want {
			t.Errorf("%s: got %v, want %v", c.key, c.got, c.want)
		}
	}
	if key, err := s.Secret(); err != nil || len(key) != 32 {
		t.Errorf("Secret gives %d bytes, %v; want 32", len(key), err)
	}

	got := s.Policy([]byte("secret"))
	want := triage.Policy{
		Prefix: "WS2", OldPrefixes: []string{"IT"},
		Mailboxes: []triage.Mailbox{
			{Address: "support@example.org", Aliases: []string{"help@example.org"}},
			{Address: "second@example.org"},
		},
		Teams: []triage.Team{
			{Name: "Blue", List: "blue@example.org"},
			{Name: "Green", List: "green@example.org", Roster: []string{"Ann@example.org"}},
		},
		DefaultTeam: "Blue", DefaultPriority: ticket.Low, Administrators: []string{"boss@example.org"},
		Trust:    triage.Trust{Servers: []string{"mx.example.org"}, Borders: []string{"mx.example.org"}, ExchangeOnline: true},
		OwnLists: []string{"all@example.org", "all.lists.example.org"}, Alerts: []string{"nagios@example.org"},
		Secret: []byte("secret"), Location: s.Location(),
	}
	zone := cmp.Comparer(func(a, b *time.Location) bool { return a.String() == b.String() })
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty(), zone); diff != "" {
		t.Errorf("policy differs (-want +got):\n%s", diff)
	}
}

func TestDefaultRulesNameOnlyTeamsThatExist(t *testing.T) {
	t.Parallel()
	s := mustParse(t, minimal+"  - {name: Network Team, list: net@example.org}\n", t.TempDir(), environ())
	var got []string
	for _, r := range s.Rules {
		got = append(got, string(r.Priority)+" "+r.Team)
	}
	want := []string{"critical ", "high Network Team", "medium ", "low Helpdesk"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("rules differ (-want +got):\n%s", diff)
	}
	if _, err := triage.New(s.Policy(make([]byte, 32))); err != nil {
		t.Errorf("triage refuses the policy: %v", err)
	}
}

func TestWindowsLineEndsAndByteOrderMarkAreFine(t *testing.T) {
	t.Parallel()
	text := "\ufeff" + strings.ReplaceAll(minimal, "\n", "\r\n")
	s := mustParse(t, text, t.TempDir(), environ())
	if got := s.Mailin()[0].Password; got != canary {
		t.Errorf("password is %q, want it without a line end", got)
	}
	if got := s.Teams[0].List; got != "helpdesk@example.org" {
		t.Errorf("list is %q", got)
	}
}

func TestLoadTellsWhyAFileCannotBeRead(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, c := range []struct{ path, want string }{
		{filepath.Join(dir, "none.yaml"), "there is no such file; write one after configs/example.yaml (the README has a short one), or name it with --config"},
		{dir, "this is no file; name the settings file"},
	} {
		_, err := Load(c.path)
		if err == nil || err.Error() != c.path+": "+c.want {
			t.Errorf("got %v, want %s: %s", err, c.path, c.want)
		}
		if invalid := (*Invalid)(nil); !errors.As(err, &invalid) {
			t.Errorf("got a %T, want an *Invalid", err)
		}
	}
	if _, err := Load(filepath.Join(dir, "none.yaml")); !errors.Is(err, fs.ErrNotExist) {
		t.Error("a missing file is not told apart as fs.ErrNotExist")
	}
}

func TestWarningsTellWhatIsSeldomMeant(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, more string
		want       []string // beginnings
	}{
		{"minimal", "", []string{"authentication: nothing", "page.url", "administrators: none"}},
		{"sound", "authentication: {servers: [mx]}\npage: {url: https://desk}\nadministrators: [boss@example.org]\n", nil},
		{"nobody sees the mail", "authentication: {servers: [mx]}\npage: {url: https://desk}\n", []string{"administrators: none"}},
		{"every sender believed", "authentication: {network: true}\npage: {listen: ''}\n", []string{"authentication.network"}},
		{"own look at signatures", "authentication: {verify_dkim: true}\npage: {listen: ''}\n", nil},
		{"hops of nobody", "authentication: {authenticated_hops: true}\npage: {listen: ''}\n", []string{"authentication.authenticated_hops"}},
		{"hops of a border", "authentication: {authenticated_hops: true, borders: [mx]}\npage: {listen: ''}\n", nil},
		{"hops of a server", "authentication: {authenticated_hops: true, servers: [mx]}\npage: {listen: ''}\n", nil},
	} {
		got := mustParse(t, minimal+c.more, t.TempDir(), environ()).Warnings()
		if !slices.EqualFunc(got, c.want, strings.HasPrefix) {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
	for more, want := range map[string]int{"": 1, "authentication: {network: true}\n": 1, "authentication: {servers: [mx]}\n": 0} {
		if got := mustParse(t, minimal+more, t.TempDir(), environ()).Risks(); len(got) != want {
			t.Errorf("%q: risks %q, want %d", more, got, want)
		}
	}
	alone := strings.Replace(minimal, "    roster: [ann@example.org]\n", "page: {listen: ''}\n", 1)
	if got := mustParse(t, alone, t.TempDir(), environ()).Warnings(); len(got) != 1 || !strings.HasPrefix(got[0], "teams:") {
		t.Errorf("desk without technicians: got %q", got)
	}
}

func TestF41_WhatShowsInUseIsToldWithItsPlaceToo(t *testing.T) {
	t.Parallel()
	s := mustParse(t, minimal+"key_file: lost.key\n", t.TempDir(), environ())
	for key, want := range map[string]string{
		"key_file":       ":11:11: key_file: is lost; find it",
		"smtp.password":  ":6:3: smtp.password: is lost; find it",
		"administrators": "deskd.yaml: administrators: is lost; find it",
	} {
		cause := errors.New("lost")
		err := s.Complain(key, "is lost; find it", cause)
		if !strings.HasSuffix(err.Error(), want) || !errors.Is(err, cause) {
			t.Errorf("%s: got %q", key, err)
		}
	}
	if got := (&Complaint{Text: "of no file"}).Error(); got != "of no file" {
		t.Errorf("got %q", got)
	}
}

func TestMailsThatAreLetInAreDecodedWhole(t *testing.T) {
	t.Parallel()
	for extra, want := range map[string]int64{
		"": 64 << 20, "limits: {mail_size: 100MiB}\n": 200 << 20, "limits: {mail_size: 100MiB, decoded_size: 1MiB}\n": 1 << 20,
	} {
		if got := mustParse(t, minimal+extra, t.TempDir(), environ()).MailLimits().Decoded; got != want {
			t.Errorf("%q: %d bytes, want %d", extra, got, want)
		}
	}
}
