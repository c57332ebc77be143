// Package page shows the desk: to administrators what is open, what each ticket
// went through, and whether mail flows; to technicians the tickets; to
// requesters their own ones. The page shows and mail acts: beside signing in
// and out nothing is changed here but what becomes of mail in quarantine and
// outbox.
//
// Pages are made on the server, whole, and work without JavaScript. What came
// in by mail is only ever shown as text. Every answer carries a policy that
// would stop a browser from running or fetching anything that is not ours.
package page

import (
	"bytes"
	"cmp"
	"context"
	"crypto/cipher"
	"errors"
	"fmt"
	"html/template"
	"log/slog"
	"net/http"
	"net/netip"
	"path"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	mailflow "deskd/cmd/internal/flow"
	"deskd/store"
	"deskd/triage"
	"deskd/triage/ticket"
)

// Source is what the page reads. A *store.Store is one.
type Source interface {
	Overview(ctx context.Context, now time.Time) (store.Overview, error)
	ListTickets(ctx context.Context, f store.TicketFilter) ([]store.Ticket, error)
	ShowPart(ctx context.Context, n ticket.Number, before store.Mark, public bool) (store.Detail, error)
	Search(ctx context.Context, f store.SearchFilter) (store.Found, error)
	ListIntakes(ctx context.Context, f store.IntakeFilter) ([]store.Intake, error)
	IntakeByID(ctx context.Context, id int64) (store.Intake, error)
	ListOutbox(ctx context.Context, f store.OutboxFilter) ([]store.Row, error)
	EntryRaw(ctx context.Context, entryID int64, may func(store.Entry) error) (raw []byte, e store.Entry, err error)
	Raw(ctx context.Context, sha []byte) ([]byte, error)
	Heartbeats(ctx context.Context) ([]store.Heartbeat, error)

	Pulse(ctx context.Context) (store.Pulse, error)

	AskSignIn(ctx context.Context, in store.SignIn) (mail bool, err error)
	SpendLink(ctx context.Context, link []byte, begin store.NewSession) (store.Session, error)
	SpendCode(ctx context.Context, request, code []byte, begin store.NewSession) (store.Session, error)
	SessionOf(ctx context.Context, token []byte) (store.Session, error)
	SeeSession(ctx context.Context, id int64, renewed []byte) (taken bool, err error)
	Sessions(ctx context.Context, addr string) ([]store.Session, error)
	EndSession(ctx context.Context, addr string, id int64) error
	HasPart(ctx context.Context, addrs []string) (bool, error)
}

// Options says what the page shows and for whom.
type Options struct {
	Source   Source
	Now      func() time.Time // nil: time.Now
	Name     string           // of the desk, "IT Service Desk"
	Prefix   string           // of the subject tag, "IT"
	Teams    []Team           // in the order of the settings
	Location *time.Location   // in which times are shown; nil: UTC
	Language string           // "en" or "de", for browsers that ask for neither; empty: English
	Hosts    []string         // Host names answered to besides loopback ones, with any port (T39)
	Key      []byte           // signs the tokens of forms
	People   People
	URL      string       // where browsers find the page, for links in mails
	Send     func(Letter) // sends a mail to sign in with; never waits
	Desk     Actions

	Secure      bool           // browsers reach the page over TLS alone
	BehindProxy bool           // they do so through a web server before it
	Proxies     []netip.Prefix // where that one asks from; its word on clients is taken
	UserHeader  string         // field in which it names who is signed in there; empty: it does not

	Version string
	Log     *slog.Logger // nil: nothing is logged
	Risks   []string     // what the settings allow and nobody should forget, one sentence each

	// Attachment takes one part out of a raw mail.
	Attachment func(raw []byte, part string) (data []byte, a triage.Attachment, err error)
	// Held says why nothing is sent at present; empty when mail goes out.
	// It may be nil.
	Held func() string
	// Kept says whether what comes in can be kept. It may be nil.
	Kept func() store.Standing
	// MonitorApart says that monitors have a listener of their own, for which
	// Monitor gives the handler.
	MonitorApart bool
}

// Actions are what administrators may do from the page, in their names.
type Actions interface {
	Retry(ctx context.Context, intake int64, actor string) (store.Fate, ticket.Number, error)
	Dismiss(ctx context.Context, intake int64, actor string) error
	SendAgain(ctx context.Context, row int64, actor string) error
	Cancel(ctx context.Context, row int64, actor string) error
}

// Team is one team as the page names it.
type Team struct {
	Name string
	Slug string // in addresses: lower case letters, digits, hyphens; made from Name when empty, and by New where it is taken
	List string // the address that reaches the team
}

// page holds what is the same for all requests.
type page struct {
	source     Source
	people     People
	key        []byte
	seal       cipher.AEAD // of what pages name without telling
	url        string
	send       func(Letter)
	desk       Actions
	now        func() time.Time
	name       string
	prefix     string
	language   *language
	teams      []Team
	zone       *time.Location
	counts     *counts
	hosts      map[string]bool
	version    string
	risks      []string
	log        *slog.Logger
	attachment func(raw []byte, part string) ([]byte, triage.Attachment, error)
	state      mailflow.Reader

	templates map[string]*template.Template
	assets    map[string]asset // by address
	apart     bool             // monitors have a listener of their own

	secure, behindProxy bool
	proxies             []netip.Prefix
	userHeader          string

	// Apart from one another: many strangers together must not hold up who works
	// here.
	downloads, techniciansDownloads *downloads

	panics   atomic.Int64
	watchers *watchers
}

const (
	readLimit    = 15 * time.Second // for all a page reads
	rowsPerPage  = 50
	everything   = "all" // slug of the queue of all teams
	contentHTML  = "text/html; charset=utf-8"
	contentPlain = "text/plain; charset=utf-8"
)

// New gives the page as a handler. An error names what is wrong with the
// options.
func New(o Options) (http.Handler, error) {
	p, err := newPage(o)
	if err != nil {
		return nil, fmt.Errorf("page: %w", err)
	}
	return p.handler(), nil
}

func newPage(o Options) (*page, error) {
	var complaints []error
	if o.Source == nil {
		complaints = append(complaints, errors.New("source: missing"))
	}
	if o.Attachment == nil {
		complaints = append(complaints, errors.New("attachment: missing"))
	}
	if o.People == nil || o.Send == nil || o.Desk == nil || len(o.Key) == 0 {
		complaints = append(complaints, errors.New("people, send, desk, key: missing"))
	}
	p := &page{
		source: o.Source, people: o.People, key: o.Key, url: o.URL, send: o.Send, desk: o.Desk,
		secure: o.Secure, behindProxy: o.BehindProxy, proxies: o.Proxies, userHeader: o.UserHeader,
		now: o.Now, name: o.Name, prefix: o.Prefix, zone: o.Location,
		version: o.Version, risks: o.Risks, log: o.Log, attachment: o.Attachment,
		state: mailflow.Reader{Source: o.Source, Held: o.Held, Kept: o.Kept},
		hosts: map[string]bool{}, apart: o.MonitorApart, downloads: newDownloads(), techniciansDownloads: newDownloads(),
	}
	if o.Source != nil {
		p.watchers = &watchers{pulse: o.Source.Pulse, every: lookEvery}
	}
	if p.now == nil {
		p.now = time.Now
	}
	var err error
	if p.language, err = languageNamed(cmp.Or(o.Language, "en")); err != nil {
		complaints = append(complaints, err)
	}
	if p.zone == nil {
		p.zone = time.UTC
	}
	p.counts = &counts{source: o.Source, zone: p.zone}
	if p.log == nil {
		p.log = slog.New(slog.DiscardHandler)
	}
	// A team may be called as it likes: "Сеть" has no letter for an address,
	// "All" has that of another queue.
	taken := map[string]bool{everything: true}
	for i, t := range o.Teams {
		t.Slug = slug(cmp.Or(t.Slug, t.Name))
		for n := i + 1; t.Slug == "" || taken[t.Slug]; n++ {
			t.Slug = "team-" + strconv.Itoa(n)
		}
		taken[t.Slug] = true
		p.teams = append(p.teams, t)
	}
	for _, h := range o.Hosts {
		name, ok := hostName(h)
		if !ok {
			complaints = append(complaints, fmt.Errorf("host %q: want a name or an address", h))
		}
		p.hosts[name] = true
	}
	if err := errors.Join(complaints...); err != nil {
		return nil, err
	}
	if p.seal, err = sealing(p.key); err != nil {
		return nil, err
	}
	if err := p.load(); err != nil {
		return nil, err
	}
	return p, nil
}

// slug makes the name of a team fit for an address.
func slug(name string) string {
	var b strings.Builder
	for _, r := range strings.ToLower(name) {
		switch {
		case 'a' <= r && r <= 'z', '0' <= r && r <= '9':
			b.WriteRune(r)
		default:
			b.WriteByte(' ')
		}
	}
	return strings.Join(strings.Fields(b.String()), "-")
}

// handler joins routes and guards. The guards stand outside, so that what the
// routes cannot reach (an unknown host, a panic) is answered alike.
func (p *page) handler() http.Handler {
	routes := http.NewServeMux()
	routes.HandleFunc("/{$}", p.only(requester, p.home))
	routes.HandleFunc("/queue/{team}", p.only(technician, p.list(p.queue, p.savedQueue)))
	routes.HandleFunc("/ticket/{number}", p.only(requester, p.show(p.ticket)))
	routes.HandleFunc("/search", p.only(requester, p.list(p.search, p.savedSearch)))
	routes.HandleFunc("/mail", p.only(administrator, p.list(p.mails, p.savedMails)))
	routes.HandleFunc("/mail/outbox", p.only(administrator, p.list(p.outbox, p.savedOutbox)))
	routes.HandleFunc("/mail/{intake}", p.only(technician, p.show(p.mail)))
	routes.HandleFunc("/raw/{intake}", p.only(technician, p.rawSource))
	routes.HandleFunc("/attachment/{entry}/{part}", p.only(requester, p.attachedFile))
	routes.HandleFunc("/mine", p.only(technician, p.list(p.mine, p.savedMine)))
	routes.HandleFunc("/live", p.only(technician, p.live))
	routes.HandleFunc("/account", p.only(requester, p.show(p.account)))
	routes.HandleFunc("/sign-in", p.signInForm)
	routes.HandleFunc("/sign-in/{token}", p.linkPage)
	routes.HandleFunc("/healthz", p.health)
	if p.apart {
		routes.HandleFunc("/readyz", p.notFound)
		routes.HandleFunc("/metrics", p.notFound)
	} else {
		routes.HandleFunc("/readyz", p.ready)
		routes.Handle("/metrics", p.onlyHere(p.metrics()))
	}
	routes.HandleFunc("/static/{hash}/{name}", p.static)
	routes.HandleFunc("/", p.only(requester, p.notFound))

	forms := http.NewServeMux()
	forms.HandleFunc("/sign-in", p.askForLink)
	forms.HandleFunc("/sign-in/{token}", p.spendLink)
	forms.HandleFunc("/sign-in/code", p.spendCode)
	forms.HandleFunc("/sign-out", p.changing(requester, p.signOut))
	forms.HandleFunc("/account/end/{session}", p.changing(requester, p.endOther))
	forms.HandleFunc("/mail/{intake}/retry", p.changing(administrator, p.retry))
	forms.HandleFunc("/mail/{intake}/drop", p.changing(administrator, p.drop))
	forms.HandleFunc("/mail/outbox/{row}/send", p.changing(administrator, p.sendAgain))
	forms.HandleFunc("/mail/outbox/{row}/cancel", p.changing(administrator, p.cancel))
	for _, open := range []string{"/healthz", "/readyz"} {
		forms.HandleFunc(open, p.onlyShows)
	}
	forms.HandleFunc("/", p.only(requester, p.onlyShows))
	all := p.methods(plainPaths(routes, p.notFound), p.sameOrigin(plainPaths(forms, p.notFound)))
	return p.recovered(p.secured(p.knownHost(unlessOpen(p.identified(all), all))))
}

// home is the first page of each role.
func (p *page) home(w http.ResponseWriter, r *http.Request) {
	if viewerOf(r).Technician() {
		p.show(p.dashboard)(w, r)
		return
	}
	p.list(p.mine, p.savedMine)(w, r)
}

// plainPaths answers paths that are not written plainly ("//x", "/a/../b")
// itself: the mux would redirect them, and this page never redirects.
func plainPaths(next http.Handler, notFound http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if path.Clean(r.URL.Path) != r.URL.Path {
			notFound(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// errNotFound is the answer to whatever is not there, or is not named as it
// should be. All of these look alike (T41).
var errNotFound = errors.New("not found")

// view is what a page's template gets.
type view struct {
	Name, Version string // of the desk, of the program
	Title         string // of this page
	Section       string // which link of the navigation is the current one
	Style, Icon   string // addresses of the assets
	Script        string
	Now           stamp // when the page was made
	Teams         []Team
	Me            viewer
	Form          string // what forms hold besides what is typed
	State         string // of the desk, before this was read; empty where nobody is told of changes
	Main          any    // the page's own
}

// made is a page before it is written: the template's name, the title, and
// what the template gets.
type made struct {
	template, title, section string
	main                     any
	state                    string
}

// show turns a function that makes a page into a handler.
func (p *page) show(build func(r *http.Request, now time.Time) (made, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), readLimit)
		defer cancel()
		state := ""
		if viewerOf(r).Technician() {
			state = p.watchers.state(ctx)
		}
		m, err := build(r.WithContext(ctx), p.now())
		if err != nil {
			p.fail(w, r, err)
			return
		}
		m.state = state
		p.write(w, r, http.StatusOK, m)
	}
}

// write renders the whole page before the first byte goes out: an error on
// the way becomes an error page, never half a page.
func (p *page) write(w http.ResponseWriter, r *http.Request, status int, m made) {
	t := p.templates[m.template]
	if t == nil {
		panic("page: no template " + m.template)
	}
	v := view{
		Name: p.name, Version: p.version, Title: m.title, Section: m.section,
		Style: p.assets["style.css"].address, Icon: p.assets["icon.svg"].address,
		Script: p.assets["live.js"].address,
		Now:    p.stamp(p.now(), p.now()), Teams: p.teams, Me: viewerOf(r), State: m.state, Main: m.main,
	}
	if v.Me.Known() {
		v.Form = p.formToken(v.Me)
	}
	var b bytes.Buffer
	if err := t.ExecuteTemplate(&b, "layout", v); err != nil {
		panic(fmt.Errorf("page: render %s: %w", m.template, err))
	}
	speaks := p.languageOf(r)
	h := w.Header()
	h.Set("Content-Type", contentHTML)
	h.Set("Content-Language", speaks.code)
	h.Set("Vary", "Accept-Language, Cookie")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(speaks.page(b.Bytes())) // the reader has gone: nobody to tell
	}
}

// problem is what the page of an error says.
type problem struct {
	Code      int
	Headline  string
	Text      string
	Reference string // finds the log line; empty when there is none
}

func (p *page) fail(w http.ResponseWriter, r *http.Request, err error) {
	switch {
	case errors.Is(err, errNotFound), errors.Is(err, store.ErrNotFound):
		p.notFound(w, r)
	case r.Context().Err() != nil: // the reader has gone
		p.log.Debug("page left", "path", shownPath(r), "err", err)
		panic(http.ErrAbortHandler)
	default:
		ref := reference()
		p.log.Error("page not shown", "path", shownPath(r), "reference", ref, "err", err)
		w.Header().Set("Retry-After", "30")
		p.problem(w, r, problem{
			Code: http.StatusServiceUnavailable, Headline: "The database does not answer",
			Text:      "Nothing is lost by this: mail stays in its mailbox until it can be kept safely. Reload the page in a moment; if this lasts, look into the log.",
			Reference: ref,
		})
	}
}

// shownPath is a path as the log may have it: that of a link to sign in is a
// secret (T45).
func shownPath(r *http.Request) string {
	if strings.HasPrefix(r.URL.Path, "/sign-in/") {
		return "/sign-in/…"
	}
	return r.URL.Path
}

func (p *page) notFound(w http.ResponseWriter, r *http.Request) {
	p.problem(w, r, problem{
		Code: http.StatusNotFound, Headline: "There is nothing here",
		Text: "The address may be mistyped, or what it named may have been removed.",
	})
}

func (p *page) problem(w http.ResponseWriter, r *http.Request, pr problem) {
	p.write(w, r, pr.Code, made{template: "problem", title: pr.Headline, main: pr})
}
