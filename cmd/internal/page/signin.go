package page

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"time"

	"deskd/store"
)

// Letter is a mail with which somebody can sign in.
type Letter struct {
	To, Link, Code string
	Key            string    // unique for ever, and no secret
	Until          time.Time // it is good no more
}

// signInPage is what the template of the sign-in gets.
type signInPage struct {
	Step    string // "address", "code" or "link"
	Address string // as it was typed
	Request string // what this browser holds, for the code
	Link    string // where the button leads
	Wrong   string // what was wrong with what was typed; empty: nothing
}

// askToSignIn stands in the place of every page, for those of whom nothing is
// known. All of these look alike (T41).
func (p *page) askToSignIn(w http.ResponseWriter, r *http.Request) {
	p.signInStep(w, r, http.StatusUnauthorized, signInPage{Step: "address"})
}

func (p *page) signInStep(w http.ResponseWriter, r *http.Request, status int, s signInPage) {
	title := "Sign in"
	if s.Step == "code" {
		title = "Look into your mail"
	}
	p.write(w, r, status, made{template: "signin", title: title, main: s})
}

func (p *page) signInForm(w http.ResponseWriter, r *http.Request) {
	p.signInStep(w, r, http.StatusOK, signInPage{Step: "address"})
}

// askForLink takes the address that somebody has typed. Whether a mail goes
// out, none can tell from the answer: it is the same for addresses that nobody
// here knows, and takes the same work (T40, T41).
func (p *page) askForLink(w http.ResponseWriter, r *http.Request) {
	typed := r.PostFormValue("address")
	addr, ok := typedAddress(typed)
	if !ok {
		shown, _ := cut(typed, 254)
		p.signInStep(w, r, http.StatusBadRequest, signInPage{Step: "address", Address: shown, Wrong: "This is no mail address. It looks like ann@example.org."})
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), readLimit)
	defer cancel()
	request, err := p.sendLink(ctx, addr, p.client(r))
	switch {
	case errors.Is(err, store.ErrTooOften):
		w.Header().Set("Retry-After", fmt.Sprint(int(store.SignInValid/time.Second)))
		p.problem(w, r, problem{
			Code: http.StatusTooManyRequests, Headline: "Too many attempts from your network",
			Text: "Wait a quarter of an hour, or open the link in a mail that you have already. At the machine itself, \"deskd sign-in\" gives a link at any time.",
		})
	case err != nil:
		p.fail(w, r, err)
	default:
		p.signInStep(w, r, http.StatusOK, signInPage{Step: "code", Address: addr, Request: request})
	}
}

// sendLink has a link and a code sent to an address, if somebody has it who
// may sign in. It gives what the browser needs besides the code.
func (p *page) sendLink(ctx context.Context, addr, client string) (request string, err error) {
	part, err := p.source.HasPart(ctx, p.people.Addresses(addr))
	if err != nil {
		return "", err
	}
	known := (part || p.people.Works(addr)) && !p.people.Own(addr)
	a := newAttempt(p.url)
	mail, err := p.source.AskSignIn(ctx, a.wish(p.people.Canonical(addr), client, known))
	if err != nil {
		return "", err
	}
	if mail {
		p.send(Letter{To: addr, Link: a.link(), Code: a.shown(), Key: hex.EncodeToString(secretHash(a.request)), Until: p.now().Add(store.SignInValid)})
	}
	return a.request, nil
}

// attempt is what is secret about a wish to sign in.
type attempt struct {
	request string // stays in the browser that asks
	token   string // of the link
	code    string
	url     string
}

func newAttempt(url string) attempt {
	return attempt{rand.Text(), rand.Text(), rand.Text()[:8], url}
}

func (a attempt) wish(addr, client string, known bool) store.SignIn {
	return store.SignIn{Addr: addr, Client: client, Known: known, Request: secretHash(a.request), Link: secretHash(a.token), Code: codeHash(a.request, a.code)}
}

func (a attempt) link() string { return strings.TrimRight(a.url, "/") + "/sign-in/" + a.token }

func (a attempt) shown() string { return a.code[:4] + "-" + a.code[4:] }

// codeHash is what is kept of a code. Who reads the database cannot try all
// codes, since what the browser holds belongs to it.
func codeHash(request, code string) []byte { return secretHash(request + "\x00" + code) }

// LinkAtHand makes a link for somebody who sits at the machine itself, without
// a mail, and in spite of all limits: for the one who is locked out, or whose
// mail is down.
func LinkAtHand(ctx context.Context, s *store.Store, url, addr string) (string, error) {
	a := newAttempt(url)
	if _, err := s.AskSignIn(ctx, a.wish(addr, "", true)); err != nil {
		return "", err
	}
	return a.link(), nil
}

// linkPage shows the button. It does not look whether the link is good: programs
// that open links in mails come here, and must neither spend it nor learn
// anything.
func (p *page) linkPage(w http.ResponseWriter, r *http.Request) {
	token := r.PathValue("token")
	if !linkToken.MatchString(token) { // nor may it lead the form elsewhere ("../sign-out")
		token = "none"
	}
	p.signInStep(w, r, http.StatusOK, signInPage{Step: "link", Link: "/sign-in/" + token})
}

// linkToken is what a link that signs in ends with (rand.Text).
var linkToken = regexp.MustCompile("^[A-Z2-7]{26,64}$")

// spendLink signs in whoever has pressed the button.
func (p *page) spendLink(w http.ResponseWriter, r *http.Request) {
	token := r.PathValue("token")
	p.signIn(w, r, func(ctx context.Context, begin store.NewSession) (store.Session, error) {
		return p.source.SpendLink(ctx, secretHash(token), begin)
	}, func() {
		p.signInStep(w, r, http.StatusForbidden, signInPage{Step: "address", Wrong: "This link is good no more: each is good once, and for a quarter of an hour. Ask for another one."})
	})
}

// spendCode signs in whoever has typed the code in the browser that asked.
func (p *page) spendCode(w http.ResponseWriter, r *http.Request) {
	request, _ := cut(r.PostFormValue("request"), 100)
	typed, _ := cut(r.PostFormValue("code"), 40)
	shown, _ := cut(r.PostFormValue("address"), 254)
	p.signIn(w, r, func(ctx context.Context, begin store.NewSession) (store.Session, error) {
		return p.source.SpendCode(ctx, secretHash(request), codeHash(request, plainCode(typed)), begin)
	}, func() {
		p.signInStep(w, r, http.StatusForbidden, signInPage{
			Step: "code", Address: shown, Request: request,
			Wrong: "This code is not the one of the newest mail, or is good no more. After five wrong ones only the link in the mail helps.",
		})
	})
}

// plainCode is a code without what people add to it. Digits that no code has
// are read as the letters that they look like.
func plainCode(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case 'A' <= r && r <= 'Z', '2' <= r && r <= '7':
			return r
		case r == '0':
			return 'O'
		case r == '1':
			return 'I'
		case r == '8':
			return 'B'
		}
		return -1
	}, strings.ToUpper(s))
}

// signIn begins a session with a cookie of its own, whatever cookie came along
// (no session can be put into somebody's browser), and leads to the page.
func (p *page) signIn(w http.ResponseWriter, r *http.Request, spend func(context.Context, store.NewSession) (store.Session, error), refused func()) {
	ctx, cancel := context.WithTimeout(r.Context(), readLimit)
	defer cancel()
	value := rand.Text()
	agent, _ := cut(r.UserAgent(), 200)
	s, err := spend(ctx, store.NewSession{Token: secretHash(value), Agent: agent})
	switch {
	case errors.Is(err, store.ErrNotFound):
		p.log.Warn("sign-in refused", "client", p.client(r))
		refused()
	case err != nil:
		p.fail(w, r, err)
	default:
		p.log.Info("signed in", "who", s.Addr, "client", p.client(r))
		p.setCookie(w, value, s.Expires)
		p.seeOther(w, r, "/")
	}
}

// seeOther leads from a form to one of our own pages, which is never named by
// what came in (T39).
func (p *page) seeOther(w http.ResponseWriter, r *http.Request, to string) {
	w.Header().Set("Cache-Control", "no-store")
	http.Redirect(w, r, to, http.StatusSeeOther)
}

// accountPage is what the template of one's own account gets.
type accountPage struct {
	Addresses []string
	Sessions  []sessionRow
}

type sessionRow struct {
	ID                     int64
	Agent                  string
	Created, Seen, Expires stamp
	Here                   bool // this browser
}

func (p *page) account(r *http.Request, now time.Time) (made, error) {
	v := viewerOf(r)
	list, err := p.source.Sessions(r.Context(), v.Addr)
	if err != nil {
		return made{}, err
	}
	a := accountPage{Addresses: p.people.Addresses(v.Addr)}
	for _, s := range list {
		a.Sessions = append(a.Sessions, sessionRow{
			ID: s.ID, Agent: browserName(s.Agent), Created: p.stamp(s.Created, now), Seen: p.stamp(s.Seen, now), Expires: p.stamp(s.Expires, now), Here: s.ID == v.session,
		})
	}
	return made{template: "account", title: "Your account", section: "account", main: a}, nil
}

// browserName names a browser by its own long words.
func browserName(agent string) string {
	name := ""
	for _, b := range []struct{ word, name string }{
		{"Edg", "Edge"},
		{"OPR/", "Opera"},
		{"SamsungBrowser/", "Samsung Internet"},
		{"Firefox/", "Firefox"},
		{"FxiOS/", "Firefox"},
		{"Chrome/", "Chrome"},
		{"CriOS/", "Chrome"},
		{"Safari/", "Safari"},
	} {
		if strings.Contains(agent, b.word) {
			name = b.name
			break
		}
	}
	for _, s := range []struct{ word, name string }{
		{"iPhone", "iPhone"}, {"iPad", "iPad"}, {"Android", "Android"}, {"Windows", "Windows"}, {"Mac OS", "macOS"}, {"CrOS", "ChromeOS"}, {"Linux", "Linux"},
	} {
		if name != "" && strings.Contains(agent, s.word) {
			return name + " on " + s.name
		}
	}
	if name == "" {
		name, _ = cut(agent, 60)
	}
	return name
}

// signOut ends the session of this browser.
func (p *page) signOut(w http.ResponseWriter, r *http.Request) {
	v := viewerOf(r)
	if !p.endSession(w, r, v.session) {
		return
	}
	p.setCookie(w, "", p.now())
	p.signInStep(w, r, http.StatusOK, signInPage{Step: "address", Wrong: ""})
}

// endOther ends another session of one's own.
func (p *page) endOther(w http.ResponseWriter, r *http.Request) {
	id, ok := rowID(r.PathValue("session"))
	if !ok {
		p.notFound(w, r)
		return
	}
	if p.endSession(w, r, id) {
		p.seeOther(w, r, "/account")
	}
}

func (p *page) endSession(w http.ResponseWriter, r *http.Request, id int64) bool {
	ctx, cancel := context.WithTimeout(r.Context(), readLimit)
	defer cancel()
	err := p.source.EndSession(ctx, viewerOf(r).Addr, id)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		p.fail(w, r, err)
		return false
	}
	return true
}
