package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"slices"
	"strings"
	"time"

	"deskd/configs"
	"deskd/mailin"
	"deskd/mailout"
	"deskd/store"
	"deskd/triage"
)

type checkCmd struct {
	Config string `help:"Settings file." default:"deskd.yaml" placeholder:"FILE"`
}

// checkTime bounds each conversation with a server.
const checkTime = 30 * time.Second

// recentMails is how many of the newest mails check looks at for proofs of
// their senders.
const recentMails = 200

// checklist prints findings as it goes and remembers whether one was bad.
type checklist struct {
	out io.Writer
	bad int
}

func (l *checklist) good(format string, a ...any) { l.line("ok  ", format, a...) }
func (l *checklist) warn(format string, a ...any) { l.line("note", format, a...) }
func (l *checklist) fail(format string, a ...any) { l.bad++; l.line("BAD ", format, a...) }
func (l *checklist) line(mark, format string, a ...any) {
	for i, s := range strings.Split(printableLines(fmt.Sprintf(format, a...)), "\n") {
		if i > 0 {
			mark = "    "
		}
		fmt.Fprintf(l.out, "%s  %s\n", mark, s)
	}
}

func printableLines(s string) string {
	lines := strings.Split(s, "\n")
	for i := range lines {
		lines[i] = printable(lines[i])
	}
	return strings.Join(lines, "\n")
}

// Run looks at everything that the desk needs and changes nothing.
func (c *checkCmd) Run(e env) error {
	s, err := configs.Load(c.Config)
	if err != nil {
		return err
	}
	l := &checklist{out: e.out}
	l.good("settings: %s, %d mailboxes, %d teams, %d rules", c.Config, len(s.Mailboxes), len(s.Teams), len(s.Rules))
	for _, w := range s.Warnings() {
		l.warn("%s", w)
	}
	secret, err := s.Secret()
	var missing *configs.MissingKey
	switch {
	case errors.As(err, &missing):
		l.warn("key: %s is not there yet; the first run makes it", missing.Path)
		secret = make([]byte, 32) // signs nothing: only looks are taken
	case err != nil:
		l.fail("key: %v", err)
		secret = make([]byte, 32)
	default:
		l.good("key: %d bytes", len(secret))
	}
	rules, err := triage.New(s.Policy(secret))
	if err != nil {
		return invalid("", err.Error(), err)
	}
	raws := checkDatabase(e.ctx, l, s)
	log := slog.New(slog.DiscardHandler)
	for _, conf := range s.Mailin() {
		checkMailbox(e.ctx, l, conf, s, raws[conf.Address], log)
	}
	checkSMTP(e.ctx, l, s, rules, log)
	if l.bad > 0 {
		return fmt.Errorf("%d of the checks above are BAD", l.bad)
	}
	fmt.Fprintln(e.out, "\nEverything that was looked at is in order.")
	return nil
}

// checkDatabase opens the database to read, and gives the newest raw mails of
// each mailbox. One that is not there yet is no fault.
func checkDatabase(ctx context.Context, l *checklist, s *configs.Settings) map[string][][]byte {
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	if path := s.Database.Reveal(); !strings.Contains(path, "://") {
		if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
			l.warn("database: %s is not there yet; the first run makes it", path)
			return nil
		}
	}
	db, err := store.OpenReader(ctx, s.Database.Reveal(), store.Options{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		l.fail("database: %v", err)
		return nil
	}
	defer db.Close()
	l.good("database: can be read, its tables fit this program")
	beats, err := db.Heartbeats(ctx)
	if err != nil {
		l.fail("database: %v", err)
	}
	for _, b := range beats {
		if !b.OK {
			l.warn("%s, as the running desk last said at %s: %s", b.Name, b.At.In(s.Location()).Format("2006-01-02 15:04"), b.Detail)
		}
	}
	raws := map[string][][]byte{}
	for _, m := range s.Mailboxes {
		if raws[m.Address], err = db.RecentRaws(ctx, m.Address, recentMails); err != nil {
			l.fail("database: %v", err)
		}
	}
	return raws
}

func checkMailbox(ctx context.Context, l *checklist, conf mailin.Config, s *configs.Settings, raws [][]byte, log *slog.Logger) {
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	source := mailin.New(conf, nil, log)
	f, err := source.Check(ctx)
	if err != nil {
		l.fail("mailbox %s: %v", conf.Address, err)
	} else {
		how := "without encryption"
		if f.TLS != "" {
			how = f.TLS
		}
		news := fmt.Sprintf("asks for news every %v", conf.Poll)
		if f.Idle {
			news = "is told of news at once"
		}
		l.good("mailbox %s: %s, %s, %d mails in its folder, %s", conf.Address, f.Server, how, f.Mails, news)
		for _, w := range f.Warnings {
			l.warn("mailbox %s: %s", conf.Address, w)
		}
		if len(raws) == 0 {
			if raws, err = source.Recent(ctx, recentMails); err != nil {
				l.warn("mailbox %s: newest mails not read: %v", conf.Address, err)
			}
		}
	}
	for _, line := range proofs(raws, s.Authentication, s.MailLimits()) {
		l.warn("mailbox %s: %s", conf.Address, line)
	}
}

// proofs tells which servers wrote about the senders of recent mails, what
// they said, and what of it the settings believe (T1, T2). Only the header is
// looked at.
func proofs(raws [][]byte, trust triage.Trust, limits mailin.Limits) []string {
	if len(raws) == 0 {
		return []string{"no recent mail to look for proofs of senders in"}
	}
	type tally struct {
		mails, pass, top int
	}
	servers := map[string]*tally{}
	above := map[string]bool{} // hosts whose Received hides our servers' word
	count := func(name string) *tally {
		if servers[name] == nil {
			servers[name] = &tally{}
		}
		return servers[name]
	}
	none := 0
	for _, raw := range raws {
		m := mailin.ParseHeader(raw, int64(len(raw)), limits)
		if len(m.AuthResults) == 0 {
			none++
		}
		seen := map[string]bool{}
		for i, a := range m.AuthResults {
			name := a.Server
			if name == "" {
				name = "(no name, as Exchange Online writes it)"
			}
			if seen[name] {
				continue
			}
			seen[name] = true
			if named(trust.Servers, a.Server) {
				for _, r := range m.Received {
					if r.Pos < a.Pos && !named(trust.Servers, r.By) && !named(trust.Borders, r.By) && len(above) < 5 {
						above[r.By] = true
					}
				}
			}
			t := count(name)
			t.mails++
			if i == 0 {
				t.top++
			}
			for _, r := range a.Results {
				if r.Method == "dmarc" && r.Result == "pass" {
					t.pass++
				}
			}
		}
		for _, f := range m.Header {
			if strings.EqualFold(f.Name, "X-MS-Exchange-Organization-AuthAs") {
				count("X-MS-Exchange-Organization-AuthAs: "+strings.TrimSpace(f.Value)).mails++
			}
		}
		if len(m.Received) > 0 && strings.Contains(m.Header[m.Received[0].Pos].Value, "(Authenticated sender: ") {
			count("login noted in Received by "+m.Received[0].By).mails++
		}
	}
	lines := []string{fmt.Sprintf("senders of the newest %d mails: %d bear no Authentication-Results", len(raws), none)}
	names := make([]string, 0, len(servers))
	for n := range servers {
		names = append(names, n)
	}
	slices.SortFunc(names, func(a, b string) int { return servers[b].mails - servers[a].mails })
	for _, n := range names[:min(len(names), 10)] {
		t := servers[n]
		believed := "not believed"
		if named(trust.Servers, n) ||
			trust.ExchangeOnline && strings.HasPrefix(n, "(no name") || trust.ExchangeInternal && strings.HasSuffix(n, "AuthAs: Internal") ||
			trust.AuthenticatedHops && strings.HasPrefix(n, "login noted") {
			believed = "believed"
		}
		lines = append(lines, fmt.Sprintf("%s: in %d mails, topmost in %d, dmarc=pass in %d; %s by the settings", n, t.mails, t.top, t.pass, believed))
	}
	for host := range above {
		lines = append(lines, fmt.Sprintf("what your server says stands below a Received field by %q, and so may have come with the mail; "+
			"if that host is yours, name it under authentication.borders", host))
	}
	if len(trust.Servers) == 0 && len(names) > 0 {
		lines = append(lines, "name your own mail server under authentication.servers, and only if it removes such fields from mail that comes in. "+
			"A pass is for a domain: it proves a colleague's name only if your server lets people send as nobody but themselves")
	}
	return lines
}

func named(list []string, name string) bool {
	return slices.ContainsFunc(list, func(s string) bool { return strings.EqualFold(s, name) })
}

func checkSMTP(ctx context.Context, l *checklist, s *configs.Settings, rules *triage.Rules, log *slog.Logger) {
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	m, err := mailout.New(s.Mailout(), identity(s, rules), log)
	if err != nil {
		l.fail("mail server for sending: %v", err)
		return
	}
	defer m.Close()
	if err := m.Check(ctx); err != nil {
		l.fail("mail server for sending: %v", err)
		return
	}
	l.good("mail server for sending: %s takes mail from us", s.Mailout().Address)
}
