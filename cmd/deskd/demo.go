package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"text/template"

	"deskd/cmd/internal/demomail"
	"deskd/configs"
)

type demoCmd struct {
	Dir     string `help:"Folder for deskd.yaml and deskd.db; a temporary one by default." placeholder:"DIR"`
	HTTP    string `name:"http" help:"Where the page listens." default:"127.0.0.1:8080" placeholder:"ADDR"`
	SMTP    string `name:"smtp" help:"Where the mail server takes mail." default:"127.0.0.1:2525" placeholder:"ADDR"`
	IMAP    string `name:"imap" help:"Where mailboxes can be read." default:"127.0.0.1:1143" placeholder:"ADDR"`
	Verbose bool   `help:"Show the daemon's log."`
}

// demoTeams are the seed teams with people to play with.
var demoTeams = []struct {
	Name, List string
	Roster     []string
}{
	{"Helpdesk", "helpdesk@example.com", []string{"hana@example.com", "henry@example.com"}},
	{"Network Team", "network@example.com", []string{"nadia@example.com", "noah@example.com", "nils@example.com"}},
	{"Desktop Support", "desktop@example.com", []string{"dora@example.com", "dev@example.com"}},
	{"System Administrator", "sysadmin@example.com", []string{"sofia@example.com", "stefan@example.com"}},
}

// demoAdministrator sees all of the page.
const demoAdministrator = "admin@example.com"

// demoMark begins a settings file that the demo wrote and may write again.
const demoMark = "# Settings of deskd's demo."

var demoSettings = template.Must(template.New("settings").Parse(demoMark + ` They are those of a real desk, but for the
# passwords and the plain connections, which are allowed to this machine only.
mailboxes:
  - address: support@example.com
    server: {{.IMAP}}
    security: none
    password: demo
    import: all
smtp:
  address: {{.SMTP}}
  security: none
  username: support@example.com
  password: demo
teams:
{{- range .Teams}}
  - name: {{.Name}}
    list: {{.List}}
    roster:
{{- range .Roster}}
      - {{.}}
{{- end}}
{{- end}}
administrators: [{{.Administrator}}]
authentication:
  servers: [demo.example.com]
page:
  listen: {{.HTTP}}
  url: http://{{.HTTP}}
heartbeat: 5m
database: deskd.db
key_file: deskd.key
`))

// Run starts the mail server and the desk, delivers some mails and says what
// to do next.
func (c *demoCmd) Run(e env) (err error) {
	ln, err := listen("--http", c.HTTP, "after --http", false)
	if err != nil {
		return err
	}
	defer ln.Close()
	lists := map[string][]string{}
	for _, t := range demoTeams {
		lists[t.List] = t.Roster
	}
	logTo := io.Discard
	if c.Verbose {
		logTo = e.err
	}
	mail, err := demomail.Start(demomail.Options{
		SMTP: c.SMTP, IMAP: c.IMAP, Lists: lists, Log: newLog(configs.LogConfig{Level: "warn"}, logTo),
	})
	if err != nil {
		return fmt.Errorf("start the demo's mail server: %w", err)
	}
	defer mail.Close()

	dir := c.Dir
	if dir == "" {
		if dir, err = os.MkdirTemp("", "deskd-demo-"); err != nil {
			return fmt.Errorf("make a folder for the demo: %w", err)
		}
		defer func() {
			if err != nil { // only samples lie in it
				err = errors.Join(err, os.RemoveAll(dir))
			}
		}()
	}
	path, err := c.writeSettings(dir, ln.Addr().String(), mail.SMTPAddr(), mail.IMAPAddr())
	if err != nil {
		return err
	}
	s, err := configs.Load(path)
	if err != nil {
		return err
	}
	log := newLog(s.Log, logTo)
	return serve(e.ctx, s, ln, log, func(page string, link linkMaker) {
		if err := deliverSamples(e.ctx, mail, log); err != nil {
			log.Error("sample mails not delivered", "err", err)
		}
		signIn, err := link(demoAdministrator)
		if err != nil {
			log.Error("no link to sign in", "err", err)
			signIn = page
		}
		c.welcome(e.out, signIn, path, mail)
	})
}

func deliverSamples(ctx context.Context, mail *demomail.Server, log *slog.Logger) error {
	for _, s := range demomail.Samples() {
		if ctx.Err() != nil {
			return nil
		}
		login := s.From
		if s.Outside {
			login = ""
		}
		if err := mail.Deliver(s.From, []string{"support@example.com"}, s.Raw, login); err != nil {
			return fmt.Errorf("deliver %q: %w", s.Subject, err)
		}
	}
	log.Debug("sample mails delivered")
	return nil
}

// writeSettings writes deskd.yaml. A file that is not the demo's is left
// alone.
func (c *demoCmd) writeSettings(dir, http, smtp, imap string) (string, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("--dir: %w", err)
	}
	path := filepath.Join(dir, "deskd.yaml")
	old, err := os.ReadFile(path)
	switch {
	case err == nil && !bytes.HasPrefix(old, []byte(demoMark)):
		return "", &usageError{fmt.Errorf("--dir: %s is there and not the demo's; choose another folder", path)}
	case err != nil && !errors.Is(err, os.ErrNotExist):
		return "", fmt.Errorf("--dir: %w", err)
	}
	var b bytes.Buffer
	err = demoSettings.Execute(&b, map[string]any{"HTTP": http, "SMTP": smtp, "IMAP": imap, "Teams": demoTeams, "Administrator": demoAdministrator})
	if err != nil {
		return "", fmt.Errorf("write the demo's settings: %w", err)
	}
	if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
		return "", fmt.Errorf("write the demo's settings: %w", err)
	}
	return path, nil
}

// welcome says what to do next.
func (c *demoCmd) welcome(out io.Writer, page, settings string, mail *demomail.Server) {
	smtpHost, smtpPort, _ := net.SplitHostPort(mail.SMTPAddr())
	imapHost, imapPort, _ := net.SplitHostPort(mail.IMAPAddr())
	var b strings.Builder
	fmt.Fprintf(&b, `deskd is running with a few sample mails. Nothing leaves this machine.

  The page      %s
                (this link signs you in as an administrator: once, within 15 minutes)
  Settings      %s

1. Send a mail. Any mail program will do:
     SMTP  %s port %s, no encryption, login ann@example.com, password demo
     IMAP  %s port %s, no encryption, the same login
   Write from ann@example.com to support@example.com, for instance "VPN drops in Berlin".
   Or in one line:
     curl --url smtp://%s --user ann@example.com:demo --mail-from ann@example.com \
       --mail-rcpt support@example.com -T - <<< $'From: ann@example.com\nTo: support@example.com\nSubject: VPN drops in Berlin\n\nSince this morning.'

2. Read the answer in ann's INBOX, and look at the page. Or:
     curl --user ann@example.com:demo 'imap://%s/INBOX;MAILINDEX=1'

3. Be a technician. Sign in as one of these (password demo), open the notice in the INBOX and answer it
   with "in progress" on the first line and a work note beneath, or with "reply" and a text for ann:
`, page, settings, smtpHost, smtpPort, imapHost, imapPort, mail.SMTPAddr(), mail.IMAPAddr())
	for _, t := range demoTeams {
		fmt.Fprintf(&b, "     %-22s %-22s %s\n", t.Name, t.List, strings.Join(t.Roster, ", "))
	}
	fmt.Fprintf(&b, `
   Each of them can sign in on the page too: type the address there, and read the mail with the link as
   above. Or have a link made by: %[1]s sign-in hana@example.com --config %[2]s

   Tickets from the command line:
     %[1]s tickets --config %[2]s
     %[1]s show 1001 --config %[2]s

Stop with Ctrl-C.
`, os.Args[0], settings)
	io.WriteString(out, b.String())
}
