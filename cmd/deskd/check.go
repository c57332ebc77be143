package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"maps"
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
func (l *checklist) risk(format string, a ...any) { l.line("RISK", format, a...) }
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
	risks := s.Risks()
	for i, w := range s.Warnings() {
		if i < len(risks) {
			l.risk("%s", w)
			continue
		}
		l.warn("%s", w)
	}
	rules, err := triage.New(s.Policy(checkKey(e.ctx, l, s)))
	if err != nil {
		return s.Complain("", err.Error(), err)
	}
	raws := checkDatabase(e.ctx, l, s)
	log := slog.New(slog.DiscardHandler)
	for i, conf := range s.Mailin() {
		kept := raws[conf.Address]
		raws := checkMailbox(e.ctx, l, fmt.Sprintf("mailboxes[%d]", i), conf, kept, log)
		v := verifier(s.Authentication)
		if v != nil && len(kept) == 0 {
			v = nil // of these there is the header alone
			l.warn("mailbox %s: signatures are looked at here once the desk keeps mails", conf.Address)
		}
		for _, line := range proofs(e.ctx, raws, rules, s.Authentication, s.MailLimits(), v) {
			l.warn("mailbox %s: %s", conf.Address, line)
		}
	}
	checkSMTP(e.ctx, l, s, rules, log)
	if l.bad > 0 {
		return fmt.Errorf("%d of the checks above are BAD", l.bad)
	}
	if len(risks) > 0 {
		fmt.Fprintln(e.out, "\nEverything answers, and the settings carry the RISK above.")
		return nil
	}
	fmt.Fprintln(e.out, "\nEverything that was looked at is in order.")
	return nil
}

// checkKey gives the key, or zeros where there is none: only looks are taken,
// which sign nothing.
func checkKey(ctx context.Context, l *checklist, s *configs.Settings) []byte {
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	secret, err := s.Secret()
	var missing *configs.MissingKey
	if err == nil {
		l.good("key_file: %d bytes", len(secret))
		return secret
	}
	if errors.As(err, &missing) {
		if err = mayMakeKey(ctx, s, missing); !errors.As(err, new(*configs.Invalid)) {
			l.warn("key_file: %s is not there yet; the first run makes it", missing.Path)
			return make([]byte, 32)
		}
	}
	l.fail("%v", err)
	return make([]byte, 32)
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
	var schema *store.Schema
	if errors.As(err, &schema) && schema.Got == 0 {
		l.warn("database: it is empty yet; the first run sets it up")
		return nil
	}
	if err != nil {
		l.fail("%v", databaseFault(s, err))
		return nil
	}
	defer db.Close()
	l.good("database: can be read, its tables fit this program")
	beats, err := db.Heartbeats(ctx)
	if err != nil {
		l.fail("%v", databaseFault(s, err))
		return nil
	}
	for _, b := range beats {
		if !b.OK {
			l.warn("%s, as the running desk last said at %s: %s", b.Name, b.At.In(s.Location()).Format("2006-01-02 15:04"), b.Detail)
		}
	}
	raws := map[string][][]byte{}
	for _, m := range s.Mailboxes {
		if raws[m.Address], err = db.RecentRaws(ctx, m.Address, recentMails); err != nil {
			l.fail("%v", databaseFault(s, err))
			break
		}
	}
	return raws
}

// checkMailbox looks at a mailbox, and gives its newest mails where the
// database has none. at is where its settings stand.
func checkMailbox(ctx context.Context, l *checklist, at string, conf mailin.Config, raws [][]byte, log *slog.Logger) [][]byte {
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	source := mailin.New(conf, nil, log)
	f, err := source.Check(ctx)
	if err != nil {
		l.fail("mailbox %s: %v", conf.Address, mailboxFault(at, err))
		return raws
	}
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
	return raws
}

// proofs tells what recent mails say of their senders, and what the rules make
// of it, mail by mail (T1, T2). Only the header is looked at, unless v is to
// look into signatures.
func proofs(ctx context.Context, raws [][]byte, rules *triage.Rules, trust triage.Trust, limits mailin.Limits, v *mailin.Verifier) []string {
	if len(raws) == 0 {
		return []string{"no recent mail to look for proofs of senders in"}
	}
	said, proven, doubted, above := tally{}, tally{}, tally{}, tally{}
	refused := 0 // technicians' mails whose commands change nothing
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	for _, raw := range raws {
		m := mailin.ParseHeader(raw, int64(len(raw)), limits)
		if v != nil && !rules.Sender(&m).Authenticated {
			whole := mailin.Parse(raw, limits)
			v.Verify(ctx, raw, &whole)
			m.DKIM = whole.DKIM
		}
		for _, name := range statements(&m) {
			said[name]++
		}
		s := rules.Sender(&m)
		if s.Authenticated {
			proven[s.Proof]++
			continue
		}
		doubted[s.Why]++
		if rules.Works(s.Address) {
			refused++
		}
		if host := rules.Above(&m); host != "" {
			above[host]++
		}
	}
	lines := []string{fmt.Sprintf("the newest %d mails: the settings prove the sender of %d, and not of %d", len(raws), proven.sum(), doubted.sum())}
	lines = append(lines, proven.lines("proven by %s: %d of them")...)
	lines = append(lines, doubted.lines("not proven, since %s: %d of them")...)
	if refused > 0 {
		lines = append(lines, fmt.Sprintf("in %d of those without a proof a technician is named; commands in such mail change nothing", refused))
	}
	lines = append(lines, said.lines("%s: in %d of them")...)
	lines = append(lines, above.lines("what your server says stands below a Received field by %q in %d of them, and so may have come with them; "+
		"if that host is yours, name it under authentication.borders")...)
	if len(trust.Servers) == 0 && !trust.VerifyDKIM && len(said) > 0 {
		lines = append(lines, "name your own mail server under authentication.servers, and only if it removes such fields from mail that comes in. "+
			"A pass is for a domain: it proves a colleague's name only if your server lets people send as nobody but themselves")
	}
	return lines
}

// verifier looks into signatures where the settings want that, else nil.
func verifier(t triage.Trust) *mailin.Verifier {
	if !t.VerifyDKIM {
		return nil
	}
	return mailin.NewVerifier()
}

// tally counts mails by what they have in common.
type tally map[string]int

func (t tally) sum() int {
	n := 0
	for _, v := range t {
		n += v
	}
	return n
}

// lines tells the ten largest, each in the format's words.
func (t tally) lines(format string) []string {
	names := slices.SortedFunc(maps.Keys(t), func(a, b string) int { return cmp.Or(cmp.Compare(t[b], t[a]), cmp.Compare(a, b)) })
	var all []string
	for _, n := range names[:min(len(names), 10)] {
		all = append(all, fmt.Sprintf(format, n, t[n]))
	}
	return all
}

// statements names what in the mail speaks about its sender, each once.
func statements(m *triage.Message) []string {
	var all []string
	for _, a := range m.AuthResults {
		all = append(all, "Authentication-Results by "+cmp.Or(a.Server, "nobody, as Exchange Online writes them"))
	}
	for _, f := range m.Header {
		if strings.EqualFold(f.Name, "X-MS-Exchange-Organization-AuthAs") {
			all = append(all, "X-MS-Exchange-Organization-AuthAs: "+strings.TrimSpace(f.Value))
		}
	}
	for _, d := range m.DKIM {
		all = append(all, "a DKIM signature that we looked into: "+d.Result)
	}
	if len(m.Received) > 0 && strings.Contains(m.Header[m.Received[0].Pos].Value, "(Authenticated sender: ") {
		all = append(all, "a login noted in Received by "+m.Received[0].By)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// checkSMTP looks at the server for outgoing mail, and at that for alerts where
// it is another one.
func checkSMTP(ctx context.Context, l *checklist, s *configs.Settings, rules *triage.Rules, log *slog.Logger) {
	checkSender(ctx, l, "mail server for sending", s.Mailout(), s, rules, log)
	if s.Alerts.SMTP.Server.Address != "" {
		checkSender(ctx, l, "mail server for alerts", s.Alerts.Mailout(s), s, rules, log)
	}
}

func checkSender(ctx context.Context, l *checklist, what string, conf mailout.Config, s *configs.Settings, rules *triage.Rules, log *slog.Logger) {
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	m, err := mailout.New(conf, identity(s, rules), log)
	if err != nil {
		l.fail("%s: %v", what, err)
		return
	}
	defer m.Close()
	if err := m.Check(ctx); err != nil {
		l.fail("%s: %v", what, smtpFault(err))
		return
	}
	l.good("%s: %s takes mail from us", what, conf.Address)
}
