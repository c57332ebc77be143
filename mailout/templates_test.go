package mailout

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// folder makes a folder of templates.
func folder(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		file := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestTemplatesOfTheFolderStandInForTheBuiltInOnes(t *testing.T) {
	t.Parallel()
	dir := folder(t, map[string]string{
		"acknowledgement.txt":    "Dear {{.Greeting}}, we have {{.Tag}}.\n{{template \"sign\" .}}\n",
		"de/acknowledgement.txt": "Moin {{.Greeting}}, {{.Tag}} ist da.\r\n{{template \"sign\" .}}\r\n",
		"shared.txt":             "{{define \"sign\"}}-- \nYours, {{.Desk}}{{end}}{{define \"files\"}}{{end}}",
		".acknowledgement.swp":   "{{",
	})
	w, err := loadWording(dir)
	if err != nil {
		t.Fatal(err)
	}
	m := mailer(t, Config{})
	m.wording = w
	for _, c := range []struct {
		code string
		kind Kind
		want string
	}{
		{English, Acknowledgement, "Dear Ann Miller, we have [IT-1042].\n-- \nYours, IT Service Desk\n"},
		{German, Acknowledgement, "Moin Ann Miller, [IT-1042] ist da.\n-- \nIT Service Desk\n"},
		{English, MergeNotice, "Yours, IT Service Desk\n"},
		{German, MergeNotice, "-- \nIT Service Desk\n"},
	} {
		text, _, err := m.render(occasion(c.kind), languageOf(c.code))
		if err != nil || !strings.HasSuffix(text, c.want) {
			t.Errorf("%s in %s: %v\n%s", c.kind, c.code, err, text)
		}
	}
	// A definition that is empty on purpose takes away what the built-in one says.
	if text, _, _ := m.render(occasion(TeamNotice), languageOf(English)); strings.Contains(text, "screenshot.png") {
		t.Errorf("the files are still there:\n%s", text)
	}
}

func TestTemplatesThatCannotBeUsedAreComplainedAbout(t *testing.T) {
	t.Parallel()
	const notice = "{{.Delimiter}}\n\nNew: {{.Tag}}\n"
	for _, c := range []struct{ what, file, text, at, want string }{
		{"an unknown name", "acknowledgment.txt", "Hello", "acknowledgment.txt", "rename the file to one of acknowledgement.txt, "},
		{"an unknown folder", "fr/acknowledgement.txt", "Bonjour", "fr", "there is no template of this name"},
		{"no template", "reply.txt", "a\nb {{.Text", "reply.txt:2", "unclosed action"},
		{"a function that is not there", "reply.txt", "{{readFile \"/etc/passwd\"}}", "reply.txt:1", `function "readFile" not defined`},
		{"an unknown field", "reply.txt", "a\n\n{{.Textt}}", "reply.txt:3", ".Textt is not known here; write one of .Actor, .After, "},
		{"an unknown field in German", "de/reply.txt", "{{.Key}}", "de/reply.txt:1", ".Key is not known here"},
		{"an unknown field of an item", "transcript.txt", notice + "{{range .Effects}}{{.Nothing}}{{end}}", "transcript.txt:4", ".Nothing is not known here"},
		{"an unknown field in a branch", "status-notice.txt", `{{if eq .After "waiting"}}{{.X}}{{end}}{{.News}}`, "status-notice.txt:1", ".X is not known here"},
		{"an unknown field in shared.txt", "shared.txt", "\n{{define \"sign\"}}{{.Sign}}{{end}}", "shared.txt:2", ".Sign is not known here"},
		{"an unknown definition", "reply.txt", "{{template \"nothing\" .}}", "reply.txt:1", `template "nothing" not defined`},
		{"an index beyond its list", "team-notice.txt", notice + "{{index .Reasons 7}}", "team-notice.txt:4", "index out of range"},
		{"no delimiter", "team-notice.txt", "New: {{.Tag}}\n", "team-notice.txt:1", "must begin with the line {{.Delimiter}}"},
		{"a delimiter further down", "answer-notice.txt", "Hello\n" + notice, "answer-notice.txt:1", "must begin with the line {{.Delimiter}}"},
		{"a delimiter within a line", "team-notice.txt", "{{.Delimiter}} New: {{.Tag}}\n", "team-notice.txt:1", "must begin with the line {{.Delimiter}}"},
		{"a delimiter to a requester", "acknowledgement.txt", notice, "acknowledgement.txt:1", "must not have the line {{.Delimiter}}"},
		{"nothing", "acknowledgement.txt", "", "acknowledgement.txt:1", "it says nothing"},
		{"nothing seen", "reply.txt", "{{if false}}x{{end}}", "reply.txt:1", "it says nothing"},
		{"too much", "reply.txt", strings.Repeat("x", maxTemplate+1), "reply.txt", "shorten it"},
		{"no end", "reply.txt", `{{define "x"}}{{.Desk}}{{template "x" .}}{{template "x" .}}{{end}}{{template "x" .}}`, "reply.txt:1", "it writes without end"},
	} {
		dir := folder(t, map[string]string{c.file: c.text})
		err := CheckTemplates(dir)
		if err == nil || !strings.Contains(err.Error(), filepath.Join(dir, c.at)) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", c.what, err)
		}
		id := identity()
		id.Templates = dir
		if _, err := New(Config{Address: "127.0.0.1:25", Security: Plain}, id, nil); err == nil {
			t.Errorf("%s: the mailer was made all the same", c.what)
		}
	}
	if err := CheckTemplates(filepath.Join(t.TempDir(), "none")); err == nil || !strings.Contains(err.Error(), "does not exist; make the folder") {
		t.Errorf("no folder: %v", err)
	}
	if err := CheckTemplates(folder(t, nil)); err != nil {
		t.Errorf("an empty folder: %v", err)
	}
	if err := CheckTemplates(folder(t, map[string]string{"team-notice.txt": notice})); err != nil {
		t.Errorf("a good one: %v", err)
	}
}

func TestT49_TemplatesSetNoFieldAndReadNoFile(t *testing.T) {
	t.Parallel()
	dir := folder(t, map[string]string{
		"reply.txt": "Subject: owned\r\nBcc: eve@example.net\r\n\r\n{{.Text}} {{printf \"%s\" \"\\r\\nBcc: eve@example.net\\r\\n.\\r\\n\"}} {{\"\\u2028\\x00\"}}<script>alert(1)</script>",
	})
	w, err := loadWording(dir)
	if err != nil {
		t.Fatal(err)
	}
	m := mailer(t, Config{})
	m.wording = w
	o := occasion(Reply)
	o.Text = "$(touch /tmp/deskd-t49) `id`; {{.Desk}} {{define \"x\"}}"
	o.To[0].Addr = "$(id)@example.com"
	if c, err := m.Compose(o); err == nil {
		onlyExpectedFields(t, c.Bytes)
	}
	o.To[0].Addr = "`id`'|&@example.com"
	c, err := m.Compose(o)
	if err != nil {
		t.Fatal(err)
	}
	onlyExpectedFields(t, c.Bytes)
	inert(t, partText(t, c.Bytes, "text/html"))
	text := bodyText(t, c.Bytes)
	if c.Subject != "[IT-1042] VPN is down again" || strings.ContainsAny(text, "\r\x00") || !strings.Contains(text, o.Text) {
		t.Errorf("subject %q, text\n%s", c.Subject, text)
	}
	// What could read, run or reach out is no function of a template.
	for _, f := range []string{"readFile", "include", "env", "exec", "glob", "lookup", "httpGet"} {
		if err := CheckTemplates(folder(t, map[string]string{"reply.txt": "{{" + f + ` "/etc/passwd"}}`})); err == nil {
			t.Errorf("%s was taken", f)
		}
	}
	// Nor does anything that it sees have a method.
	for _, expr := range []string{".Links.Known", ".Effects.X", "call .Desk", ".Ticket.Key", ".Signer"} {
		if err := CheckTemplates(folder(t, map[string]string{"reply.txt": "x {{" + expr + "}}"})); err == nil {
			t.Errorf("%s was taken", expr)
		}
	}
}
