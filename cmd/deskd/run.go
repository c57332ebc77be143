package main

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"deskd/cmd/internal/desk"
	"deskd/cmd/internal/page"
	"deskd/configs"
	"deskd/mailin"
	"deskd/mailout"
	"deskd/store"
	"deskd/triage"
)

type runCmd struct {
	Config string `help:"Settings file." default:"deskd.yaml" placeholder:"FILE"`
}

// Run runs the desk until it is told to stop.
func (c *runCmd) Run(e env) error {
	s, err := configs.Load(c.Config)
	if err != nil {
		return err
	}
	var ln net.Listener
	if s.Page.Listen != "" {
		if ln, err = listen("page.listen", s.Page.Listen, "under page.listen", s.Page.CertFile != "" || s.Page.BehindProxy); err != nil {
			return err
		}
		defer ln.Close()
	}
	return serve(e.ctx, s, ln, newLog(s.Log, e.err), nil)
}

// monitors opens the listener that monitors have to themselves, if there is to
// be one, and gives what answers there.
func monitors(s *configs.Settings, o page.Options) (net.Listener, http.Handler, error) {
	if s.Page.Monitor == "" {
		return nil, nil, nil
	}
	handler, err := page.Monitor(o)
	if err != nil {
		return nil, nil, err
	}
	ln, err := listen("page.monitor", s.Page.Monitor, "under page.monitor", false)
	return ln, handler, err
}

// serve is the daemon: one store, one desk, a loop for each mailbox, the
// outbox, the page on ln (nil: no page). It returns when ctx has ended and all
// of them have stopped, or when one of them cannot go on. started, if not nil,
// hears the page's address once everything is set up ("" without a page), and
// gets what makes links to sign in there.
func serve(ctx context.Context, s *configs.Settings, ln net.Listener, log *slog.Logger, started func(pageAddr string, link linkMaker)) error {
	for _, w := range s.Warnings() {
		log.Warn("settings", "reason", w)
	}
	secret, err := key(ctx, s, log)
	if err != nil {
		return err
	}
	rules, err := triage.New(s.Policy(secret))
	if err != nil {
		return s.Complain("", err.Error(), err)
	}
	mailer, err := mailout.New(s.Mailout(), identity(s, rules), log)
	if err != nil {
		return s.Complain("smtp", err.Error(), err)
	}
	defer mailer.Close()
	db, err := store.Open(ctx, s.Database.Reveal(), store.Options{Key: secret, Owner: s.Daemon, Log: log})
	if err != nil {
		return databaseFault(s, err)
	}
	defer db.Close()

	d := newDesk(s, db, rules, mailer, log)

	shown := pageOptions(s, db, mailer, log)
	shown.Key, shown.People, shown.Desk = secret, rules, d
	shown.Send = func(l page.Letter) { d.WriteSignIn(desk.SignInMail(l)) }
	var handler http.Handler
	var secured *tls.Config
	addr := ""
	if ln != nil {
		addr = "http://" + ln.Addr().String() + "/"
		if s.Page.CertFile != "" {
			if secured, err = page.TLS(s.Page.CertFile, s.Page.KeyFile, log); err != nil {
				return s.Complain("page.tls_cert_file", err.Error(), err)
			}
			addr = "https://" + ln.Addr().String() + "/"
		}
		if shown.URL == "" {
			shown.URL = addr
		}
		if handler, err = page.New(shown); err != nil {
			return err
		}
	}
	apart, monitor, err := monitors(s, shown)
	if err != nil {
		return err
	}
	if apart != nil {
		defer apart.Close()
	}
	watch, alerts, err := watchman(s, db, rules, mailer, log)
	if err != nil {
		return err
	}
	defer alerts.Close()
	var boxes []string
	for _, m := range s.Mailboxes {
		boxes = append(boxes, m.Address)
	}

	group, ctx := errgroup.WithContext(ctx)
	for _, conf := range s.Mailin() {
		source := mailin.New(conf, d, log)
		group.Go(func() error { return d.Watch(ctx, conf.Address, source.Run) })
	}
	group.Go(func() error { return d.Dispatch(ctx) })
	group.Go(func() error { return d.Tidy(ctx) })
	group.Go(func() error { return d.Remind(ctx) })
	group.Go(func() error { return d.Index(ctx) })
	group.Go(func() error { return d.RoundTrips(ctx, boxes, s.Heartbeat) })
	group.Go(func() error { return d.Alarms(ctx, watch) })
	group.Go(func() error { return d.SignIns(ctx, s.Mailboxes[0].Address) })
	if apart != nil {
		group.Go(func() error { return page.Serve(ctx, apart, nil, monitor, log) })
	}
	if ln != nil {
		group.Go(func() error { return page.Serve(ctx, ln, secured, handler, log) })
	}
	log.Info("running", "reason", "deskd "+versionText(), "mailboxes", len(s.Mailboxes), "page", addr)
	if started != nil {
		started(addr, func(who string) (string, error) { return linkAtHand(ctx, db, rules, addr, who) })
	}
	err = group.Wait()
	log.Info("stopped", "err", err)
	return err
}

// newDesk makes the desk that the settings ask for.
func newDesk(s *configs.Settings, db *store.Store, rules *triage.Rules, mailer *mailout.Mailer, log *slog.Logger) *desk.Desk {
	return desk.New(desk.Options{
		Store: db, Rules: rules, Mailer: mailer, Host: host(s), Limits: s.MailLimits(), DKIM: verifier(s.Authentication),
		Answers: desk.AnswerLimits{
			Hour: s.Limits.AnswersPerAddressHour, Day: s.Limits.AnswersPerAddressDay,
			Unproved: s.Limits.UnauthenticatedInterval, Overall: s.Limits.AnswersPerHour,
		},
		NoticeBytes: int64(s.Limits.AttachmentsInNotice), CloseAfter: s.CloseAfter,
		Senders: s.Mailout().Connections, Log: log,
	})
}

// key reads the desk's secret, or makes one for a desk that begins: where there
// is a database already, a missing key is a fault to be mended, since a new one
// would not fit it.
func key(ctx context.Context, s *configs.Settings, log *slog.Logger) ([]byte, error) {
	secret, err := s.Secret()
	var missing *configs.MissingKey
	if !errors.As(err, &missing) {
		if err != nil {
			return nil, s.Complain("key_file", err.Error(), err)
		}
		return secret, nil
	}
	if err := mayMakeKey(ctx, s, missing); err != nil {
		return nil, err
	}
	if secret, err = configs.MakeKey(missing.Path); err != nil {
		return nil, &fault{"key_file", err, "let this user write there, or name another place"}
	}
	log.Warn("made a new key; keep a copy of it with your backups", "reason", missing.Path)
	return secret, nil
}

// mayMakeKey says what speaks against making the key that is missing.
func mayMakeKey(ctx context.Context, s *configs.Settings, missing *configs.MissingKey) error {
	switch begun, err := begun(ctx, s.Database.Reveal()); {
	case err != nil:
		return databaseFault(s, err)
	case begun:
		return s.Complain("key_file", "the database is there, but its key "+missing.Path+" is not; put the key back from your backup", missing)
	}
	folder := filepath.Dir(missing.Path)
	if _, err := os.Stat(folder); errors.Is(err, fs.ErrNotExist) {
		return s.Complain("key_file", "the key is to be made in "+folder+", which does not exist; make that folder, or mend the path", err)
	}
	return nil
}

// begun says whether a desk has kept anything in the database. The error says
// that it cannot be reached.
func begun(ctx context.Context, url string) (bool, error) {
	if !strings.Contains(url, "://") {
		_, err := os.Stat(url)
		if errors.Is(err, fs.ErrNotExist) {
			return false, nil
		}
		return err == nil, err
	}
	db, err := store.OpenReader(ctx, url, store.Options{})
	var schema *store.Schema
	if errors.As(err, &schema) {
		return schema.Got > 0, nil
	}
	if err != nil {
		return false, err
	}
	return true, db.Close()
}

// host is the domain of our Message-IDs: that of the first mailbox.
func host(s *configs.Settings) string {
	address := s.Mailboxes[0].Address
	return address[strings.LastIndexByte(address, '@')+1:]
}

func identity(s *configs.Settings, rules *triage.Rules) mailout.Identity {
	id := mailout.Identity{
		Name: s.Name, Prefix: s.SubjectPrefix, OldPrefixes: s.OldPrefixes, Host: host(s), Signer: rules.Signer(),
		ListID: strings.ReplaceAll(s.Mailboxes[0].Address, "@", "."), Location: s.Location(), PageURL: s.Page.URL,
		Language: s.Language, Languages: s.Languages, Templates: s.Templates,
	}
	for _, m := range s.Mailboxes {
		id.Own = append(append(id.Own, m.Address), m.Aliases...)
	}
	return id
}

func pageOptions(s *configs.Settings, db *store.Store, mailer *mailout.Mailer, log *slog.Logger) page.Options {
	o := page.Options{
		Source: db, Name: s.Name, Prefix: s.SubjectPrefix, Location: s.Location(), Language: s.Language, Hosts: slices.Clone(s.Page.Hosts), Version: versionText(), Log: log, Risks: s.Risks(),
		Attachment: func(raw []byte, part string) ([]byte, triage.Attachment, error) {
			return mailin.Attachment(raw, s.MailLimits(), part)
		},
		URL: s.Page.URL, Secure: s.Page.Secure(), BehindProxy: s.Page.BehindProxy, Proxies: s.Page.Networks(), UserHeader: s.Page.UserHeader,
		Held: func() string { return held(mailer) }, Kept: db.Standing, MonitorApart: s.Page.Monitor != "",
	}
	if u, err := url.Parse(s.Page.URL); err == nil && u.Hostname() != "" { // the name that our mails give it
		o.Hosts = append(o.Hosts, u.Hostname())
	}
	for _, t := range s.Teams {
		o.Teams = append(o.Teams, page.Team{Name: t.Name, List: t.List})
	}
	return o
}

// newLog makes the log that the settings ask for.
func newLog(c configs.LogConfig, w io.Writer) *slog.Logger {
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.Level)); err != nil {
		level = slog.LevelInfo // checked when the settings were read
	}
	o := &slog.HandlerOptions{Level: level, ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			a.Value = slog.TimeValue(a.Value.Time().UTC().Truncate(time.Millisecond))
		}
		return a
	}}
	if c.Format == "json" {
		return slog.New(slog.NewJSONHandler(w, o))
	}
	return slog.New(slog.NewTextHandler(w, o))
}
