package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"deskd/cmd/internal/demomail"
	"deskd/store"
	"deskd/triage/ticket"
)

func TestDemoShowsTriagedTicketsAndSaysWhatToDoNext(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "demo")
	cmd := exec.Command(built(t), "demo", "--dir", dir, "--http", "127.0.0.1:0", "--smtp", "127.0.0.1:0", "--imap", "127.0.0.1:0")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	var said strings.Builder
	for lines := bufio.NewScanner(out); lines.Scan(); {
		said.WriteString(lines.Text() + "\n")
		if strings.HasPrefix(lines.Text(), "Stop with") {
			break
		}
	}
	link := regexp.MustCompile(`http://127\.0\.0\.1:[0-9]+/sign-in/[A-Z2-7]{26}`).FindString(said.String())
	page, _, _ := strings.Cut(link, "sign-in/")
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	browser := &http.Client{Jar: jar}
	press, err := http.NewRequestWithContext(t.Context(), http.MethodPost, link, nil)
	if err != nil {
		t.Fatal(err)
	}
	press.Header.Set("Origin", strings.TrimSuffix(page, "/"))
	if r, err := browser.Do(press); err != nil {
		t.Fatal(err)
	} else if r.Body.Close(); r.StatusCode != http.StatusOK {
		t.Errorf("the link of the welcome: %s", r.Status)
	}
	until(t, "the page shows a triaged ticket", func() bool {
		r, err := browser.Get(page + "queue/all")
		if err != nil {
			return false
		}
		defer r.Body.Close()
		body, err := io.ReadAll(r.Body)
		return err == nil && strings.Contains(string(body), "System Administrator") && strings.Contains(string(body), "File server is down")
	})
	for _, want := range []string{"nadia@example.com", "helpdesk@example.com", "ann@example.com", "reply", "in progress", filepath.Join(dir, "deskd.yaml"), "INBOX"} {
		if !strings.Contains(said.String(), want) {
			t.Errorf("the welcome does not tell %q:\n%s", want, said.String())
		}
	}
	list, code := command(t, "tickets", "--config", filepath.Join(dir, "deskd.yaml"), "--json")
	if code != 0 || !strings.Contains(list, `"team": "Network Team"`) {
		t.Errorf("tickets beside the demo: exit code %d\n%s", code, list)
	}
	if check, code := command(t, "check", "--config", filepath.Join(dir, "deskd.yaml")); code != 0 || !strings.Contains(check, "demo.example.com: in") {
		t.Errorf("check beside the demo: exit code %d\n%s", code, check)
	}
	settings, err := os.ReadFile(filepath.Join(dir, "deskd.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	allowed := map[string]bool{"support@example.com": true, demoAdministrator: true}
	for _, team := range demoTeams {
		allowed[team.List] = true
		for _, who := range team.Roster {
			allowed[who] = true
			if !strings.Contains(string(settings), "- "+who+"\n") {
				t.Errorf("%s is not in the settings", who)
			}
		}
	}
	for _, addr := range regexp.MustCompile(`[\w.+-]+@example\.com`).FindAllString(string(settings), -1) {
		if !allowed[addr] {
			t.Errorf("the settings name %s", addr)
		}
	}
	for _, s := range demomail.Samples() {
		if allowed[s.From] || s.From == "ann@example.com" || s.From == "eve@example.com" {
			t.Errorf("a sample comes from %s", s.From)
		}
	}
	for _, f := range []string{"deskd.yaml", "deskd.db", "deskd.db-wal", "deskd.key"} {
		info, err := os.Stat(filepath.Join(dir, f))
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v (T51)", f, info.Mode().Perm())
		}
	}
	cmd.Process.Signal(os.Interrupt)
	if err := cmd.Wait(); err != nil {
		t.Errorf("interrupted: %v", err)
	}
}

func TestDemoLeavesNothingWhereAPortIsBusy(t *testing.T) {
	t.Parallel()
	busy := taken(t)
	for _, flag := range []string{"--http", "--smtp", "--imap"} {
		tmp := t.TempDir()
		args := []string{"demo", "--http=127.0.0.1:0", "--smtp=127.0.0.1:0", "--imap=127.0.0.1:0", flag + "=" + busy}
		cmd := exec.CommandContext(t.Context(), built(t), args...)
		cmd.Env = append(os.Environ(), "TMPDIR="+tmp)
		out, _ := cmd.CombinedOutput()
		if want := "another program has it; write another port after " + flag; cmd.ProcessState.ExitCode() != exitFailed || !strings.Contains(string(out), want) {
			t.Errorf("%s: exit code %d, said %q", flag, cmd.ProcessState.ExitCode(), out)
		}
		if left, err := os.ReadDir(tmp); err != nil || len(left) > 0 {
			t.Errorf("%s: left %v, %v", flag, left, err)
		}
	}
}

func TestDemoLeavesOtherPeoplesSettingsAlone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "deskd.yaml")
	if err := os.WriteFile(path, []byte("mine: true\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	out, code := command(t, "demo", "--dir", dir, "--http", "127.0.0.1:0", "--smtp", "127.0.0.1:0", "--imap", "127.0.0.1:0")
	if now, _ := os.ReadFile(path); code != exitUsage || string(now) != "mine: true\n" || !strings.Contains(out, "another folder") {
		t.Errorf("exit code %d, file %q, said %q", code, now, out)
	}
}

// unreachable is an address that nobody listens on.
func unreachable(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

// taken is an address that somebody else listens on.
func taken(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	return ln.Addr().String()
}

func TestF41BadUseIsToldAndNothingIsWritten(t *testing.T) {
	t.Parallel()
	nobody, busy := unreachable(t), taken(t)
	sound := fmt.Sprintf(`
mailboxes: [{address: support@example.com, server: %[1]q, security: none, password: x}]
smtp: {address: %[1]q, security: none}
teams: [{name: Helpdesk, list: helpdesk@example.com}]
page: {listen: 127.0.0.1:0}
`, nobody)
	for _, c := range []struct {
		name, settings string
		args           []string
		code           int
		says           []string
	}{
		{"no settings", "-", []string{"run"}, exitUsage, []string{"deskd.yaml", "no such file"}},
		{"unknown key", sound + "colour: red\n", []string{"run"}, exitUsage, []string{"deskd.yaml:6:1", "colour"}},
		{"two complaints", sound + "colour: red\nname: [1]\n", []string{"run"}, exitUsage, []string{"colour", "name"}},
		{"wrong type", sound + "administrators: 5\n", []string{"run"}, exitUsage, []string{"administrators"}},
		{"missing secret", strings.Replace(sound, "password: x", "password_file: nowhere", 1), []string{"run"}, exitUsage, []string{"password_file", "nowhere"}},
		{"page for the world", strings.Replace(sound, "127.0.0.1:0}", "0.0.0.0:0}", 1), []string{"run"}, exitUsage, []string{"page.listen", "127.0.0.1"}},
		{"busy port", strings.Replace(sound, "127.0.0.1:0}", busy+"}", 1), []string{"run"}, exitFailed, []string{"page.listen: ", busy, "another program has it; write another port under page.listen"}},
		{"database out of reach", sound + "database: postgres://u:canary@" + nobody + "/d\n", []string{"run"}, exitFailed, []string{"deskd: database: ", "; look whether the database runs"}},
		{"database out of reach, looked at", sound + "database: postgres://u:canary@" + nobody + "/d\n", []string{"check"}, exitFailed, []string{"BAD   database: ", "; look whether the database runs"}},
		{"database is none", sound + "database: deskd.yaml\n", []string{"tickets"}, exitFailed, []string{"database: ", "; look whether the file is there"}},
		{"every sender believed", sound + "authentication: {network: true}\n", []string{"check"}, exitFailed, []string{"RISK  authentication.network: EVERY From address is believed"}},
		{"servers out of reach", sound, []string{"check"}, exitFailed, []string{"BAD", "support@example.com: mailboxes[0].server: ", "smtp.address: ", nobody, "; look at"}},
		{"lost key", sound + "database: file:begun.db\n", []string{"run"}, exitUsage, []string{"\ndeskd.yaml: key_file: ", "deskd.key", "put the key back"}},
		{"lost key, looked at", sound + "database: begun.db\nkey_file: my.key\n", []string{"check"}, exitFailed, []string{"BAD   deskd.yaml:7:11: key_file: ", "my.key", "put the key back"}},
		{"key in a missing folder", sound + "key_file: nowhere/my.key\n", []string{"run"}, exitUsage, []string{"\ndeskd.yaml:6:11: key_file: ", "nowhere", "make that folder"}},
		{"key in a missing folder, looked at", sound + "key_file: nowhere/my.key\n", []string{"check"}, exitFailed, []string{"BAD   deskd.yaml:6:11: key_file: ", "make that folder"}},
		{"templates that are none", sound + "templates: .\n", []string{"run"}, exitUsage, []string{"deskd.yaml:6:12: templates: ", "deskd.yaml: there is no template of this name; rename the file"}},
		{"templates that are none, looked at", sound + "templates: .\n", []string{"check"}, exitUsage, []string{"deskd.yaml:6:12: templates: ", "there is no template of this name"}},
		{"unknown flag", sound, []string{"run", "--fast"}, exitUsage, []string{"--fast"}},
		{"unknown command", sound, []string{"dance"}, exitUsage, []string{"dance"}},
		{"no ticket number", sound, []string{"show", "abc"}, exitUsage, []string{`"abc": want digits only`}},
		{"no such team", sound, []string{"tickets", "--team", "Plumbers"}, exitUsage, []string{`--team: there is no team "Plumbers"; teams are Helpdesk`}},
		{"no tickets asked for", sound, []string{"tickets", "--limit", "0"}, exitUsage, []string{"--limit: 0", "1 or more"}},
		{"tickets before the first run", sound, []string{"tickets"}, exitFailed, []string{"start the daemon once"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			if c.settings != "-" {
				if err := os.WriteFile(filepath.Join(dir, "deskd.yaml"), []byte(c.settings), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if strings.Contains(c.settings, "begun.db") {
				if err := os.WriteFile(filepath.Join(dir, "begun.db"), nil, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			cmd := exec.CommandContext(ctx, built(t), c.args...)
			cmd.Dir = dir
			out, _ := cmd.CombinedOutput()
			said := map[string]bool{}
			for line := range strings.Lines(string(out)) {
				if line = strings.TrimSpace(line); said[line] && line != "" {
					t.Errorf("says twice %q:\n%s", line, out)
				}
				said[line] = true
			}
			if code := cmd.ProcessState.ExitCode(); code != c.code {
				t.Errorf("exit code %d, want %d", code, c.code)
			}
			for _, want := range c.says {
				if !strings.Contains(string(out), want) {
					t.Errorf("does not say %q:\n%s", want, out)
				}
			}
			if strings.Contains(string(out), "canary") {
				t.Errorf("tells a password:\n%s", out)
			}
			list, err := os.ReadDir(dir)
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range list {
				if f.Name() != "deskd.yaml" && f.Name() != "begun.db" {
					t.Errorf("%s was written", f.Name())
				}
			}
		})
	}
}

func TestExplainGivesOneEntryPerArgument(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	good, missing := filepath.Join(dir, "good.eml"), filepath.Join(dir, "missing.eml")
	mail := "From: Ann <ann@example.com>\r\nTo: support@example.com\r\nSubject: VPN server\r\nMessage-ID: <a@b>\r\n\r\nResolved.\r\nHello\r\n"
	if err := os.WriteFile(good, []byte(mail), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), built(t), "explain", missing, good, dir, "--json")
	cmd.Dir = dir // where no settings are
	out, _ := cmd.Output()
	var doc struct {
		Messages []struct {
			File, Error, Subject, From string
			Parsed                     bool
			MessageID                  string `json:"message_id"`
			MailKind                   string `json:"mail_kind"`
			ReplyText                  string `json:"reply_text"`
			NoAutoResponse             bool   `json:"no_auto_response"`
			Sender                     struct {
				Address       string
				Authenticated bool
			}
			Match    struct{ How string }
			Commands []struct{ Line, Verb string }
			Decision struct {
				Fate, Priority, Team string
				Reasons              []string
			}
		} `json:"messages"`
	}
	if err := json.Unmarshal(out, &doc); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if len(doc.Messages) != 3 || doc.Messages[0].File != missing || doc.Messages[0].Parsed || doc.Messages[0].Error == "" ||
		doc.Messages[2].Parsed || doc.Messages[2].Error == "" {
		t.Fatalf("got %+v", doc.Messages)
	}
	m := doc.Messages[1]
	if !m.Parsed || m.From != "ann@example.com" || m.Subject != "VPN server" || m.MessageID != "a@b" || m.MailKind != "person" || m.ReplyText != "Resolved.\nHello" ||
		len(m.Commands) != 1 || m.Commands[0].Verb != "status" ||
		m.NoAutoResponse || m.Sender.Address != "ann@example.com" || m.Sender.Authenticated || m.Match.How != "none" ||
		m.Decision.Fate != "new_ticket" || m.Decision.Priority != "critical" || m.Decision.Team != "System Administrator" || len(m.Decision.Reasons) != 2 {
		t.Errorf("got %+v", m)
	}
	if code := cmd.ProcessState.ExitCode(); code != exitFailed {
		t.Errorf("exit code %d, want %d for files that cannot be opened", code, exitFailed)
	}
	if found := regexp.MustCompile(`"(attachments|in_reply_to|references|tell|commands|reasons)": null`).FindString(string(out)); found != "" {
		t.Errorf("a list is none: %s\n%s", found, out)
	}
	if text, code := command(t, "explain", good); code != 0 || !strings.Contains(text, "critical") || !strings.Contains(text, `rule "vpn"`) ||
		!strings.HasPrefix(text, "Settings: the defaults") || strings.Contains(text, "not looked at") {
		t.Errorf("exit code %d\n%s", code, text)
	}
}

func TestExplainTakesTheSettingsThatAreThereAndSaysWhatItDidNotLookAt(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"deskd.yaml": "mailboxes: [{address: support@example.com, server: imap.example.com, password: x}]\nsmtp: {address: 'smtp.example.com:465'}\n" +
			"teams: [{name: Plumbers, list: plumbers@example.com}]\nsubject_prefix: WC\nrules: [{words: [leak], priority: critical}]\n",
		"new.eml":    "From: ann@example.com\r\nSubject: A leak\r\n\r\nHello\r\n",
		"tag.eml":    "From: ann@example.com\r\nSubject: Re: [WC-1042] A leak\r\n\r\nHello\r\n",
		"answer.eml": "From: ann@example.com\r\nSubject: A leak\r\nReferences: <a@b>\r\n\r\nHello\r\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for mail, leads := range map[string]bool{"new.eml": false, "tag.eml": true, "answer.eml": true} {
		cmd := exec.CommandContext(t.Context(), built(t), "explain", mail)
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		text := string(out)
		if err != nil || !strings.HasPrefix(text, "Settings: deskd.yaml\n") || !strings.Contains(text, "Plumbers") ||
			strings.Contains(text, "existing tickets were not looked at") != leads {
			t.Errorf("%s: %v\n%s", mail, err, text)
		}
	}
}

func TestT36NothingHiddenReachesTheTerminal(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"Grüße\tпривет 🙂 שלום":   "Grüße привет 🙂 שלום",
		"\x1b[2J\r\u009b":        "⟨U+001B⟩[2J⟨U+000D⟩⟨U+009B⟩",
		"a\u202eb\u2066c\u061c":  "a⟨U+202E⟩b⟨U+2066⟩c⟨U+061C⟩",
		"\u200e\u200f":           "⟨U+200E⟩⟨U+200F⟩",
		"\u2028\u2029":           "⟨U+2028⟩⟨U+2029⟩",
		"pay\u200bpal\ufeff":     "pay⟨U+200B⟩pal⟨U+FEFF⟩",
		"\u200d\u2060\U000e0041": "⟨U+200D⟩⟨U+2060⟩⟨U+E0041⟩",
		"\xff":                   "\uFFFD",
	} {
		if got := printable(in); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

func TestTicketsGivesAllToProgramsAndKnowsTeamsInAnyCase(t *testing.T) {
	t.Parallel()
	settings := settingsFor(t, demoSystem(t, demomail.Options{}), "deskd.db", "")
	db, err := store.Open(t.Context(), filepath.Join(filepath.Dir(settings), "deskd.db"), store.Options{Key: bytes.Repeat([]byte("k"), 32), Owner: "desk"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	err = db.Write(t.Context(), func(tx *store.Tx) error {
		for i := range 1003 {
			team := "Helpdesk"
			if i < 3 {
				team = "Network Team"
			}
			if _, err := tx.NewTicket(store.Ticket{
				Mailbox: "support@example.com", Subject: "x", Requester: "ann@example.com", Status: ticket.Open, Priority: ticket.Low, Team: team,
			}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		flags []string
		want  int
	}{
		{nil, 1000},
		{[]string{"--limit=1001"}, 1001},
		{[]string{"--team=NETWORK TEAM"}, 3},
		{[]string{"--json"}, 1003},
		{[]string{"--json", "--open"}, 1003},
		{[]string{"--json", "--limit=7"}, 7},
		{[]string{"--json", "--team=network team"}, 3},
	} {
		out, code := command(t, append([]string{"tickets", "--config", settings}, c.flags...)...)
		if got := strings.Count(out, "ann@example.com"); code != 0 || got != c.want {
			t.Errorf("%q: exit code %d, %d tickets, want %d", c.flags, code, got, c.want)
		}
	}
}

func TestCheckNamesTheSettingAndWhatToDo(t *testing.T) {
	t.Parallel()
	s := demoSystem(t, demomail.Options{})
	for name, c := range map[string]struct{ from, to, says string }{
		"mailbox password": {"import: all", "import: all\n    username: eve@example.org", "mailboxes[0].password: the login of eve@example.org is refused"},
		"mailbox folder":   {"import: all", "import: all\n    folder: Nowhere", "mailboxes[0].folder: the folder Nowhere cannot be opened"},
		"smtp password":    {"username: support@example.com", "username: eve@example.org", "smtp.password: mail is held: AUTH: "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out, code := command(t, "check", "--config", replace(t, settingsFor(t, s, "deskd.db", ""), c.from, c.to))
			if code != exitFailed || strings.Count(out, "BAD") != 2 || !strings.Contains(out, c.says) {
				t.Errorf("exit code %d\n%s", code, out)
			}
		})
	}
}

func TestVersionAndHelp(t *testing.T) {
	t.Parallel()
	if out, code := command(t, "version"); code != 0 || !strings.HasPrefix(out, "deskd ") {
		t.Errorf("exit code %d\n%s", code, out)
	}
	if out, code := command(t, "--help"); code != 0 || !strings.Contains(out, "explain") {
		t.Errorf("exit code %d\n%s", code, out)
	}
}

// TestF39StopIsPolite holds that a signal ends the daemon well within its grace.
func TestF39StopIsPolite(t *testing.T) {
	t.Parallel()
	s := demoSystem(t, demomail.Options{})
	d := start(t, settingsFor(t, s, "deskd.db", ""))
	d.cmd.Process.Signal(os.Interrupt)
	select {
	case err := <-d.exited:
		close(d.exited)
		if err != nil {
			t.Errorf("ended with %v", err)
		}
	case <-time.After(patience):
		t.Error("does not stop")
	}
}
