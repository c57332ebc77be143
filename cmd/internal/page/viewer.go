package page

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"deskd/store"
)

// People says who is who on the desk, by the settings as they stand. A
// *triage.Rules does.
type People interface {
	Works(addr string) bool         // technician or administrator
	Administers(addr string) bool   //
	Own(addr string) bool           // an address of the desk itself
	Canonical(addr string) string   // the main address of a person who has several
	Addresses(addr string) []string // all of them, the main one first
}

// role is what somebody may see.
type role int

const (
	stranger      role = iota
	requester          // the own tickets
	technician         // all tickets
	administrator      // everything, and may change what becomes of mail
)

// viewer is who asks for a page.
type viewer struct {
	Addr    string // canonical; empty: a stranger
	role    role
	session int64 // 0: a web server before this one says who it is
}

func (v viewer) Technician() bool    { return v.role >= technician }
func (v viewer) Administrator() bool { return v.role >= administrator }

// Known says whether it is known who asks.
func (v viewer) Known() bool { return v.role > stranger }

// BySession says whether there is a session that can be ended here.
func (v viewer) BySession() bool { return v.session != 0 }

// Role says the role to people.
func (v viewer) Role() string {
	return [...]string{"not signed in", "requester", "technician", "administrator"}[v.role]
}

type viewerKey struct{}

func viewerOf(r *http.Request) viewer {
	v, _ := r.Context().Value(viewerKey{}).(viewer)
	return v
}

// viewerBy gives the viewer of an address. The role is asked for each time, so
// that whoever is taken off a roster sees nothing more (T11).
func (p *page) viewerBy(addr string) viewer {
	v := viewer{Addr: p.people.Canonical(addr), role: requester}
	switch {
	case p.people.Administers(addr):
		v.role = administrator
	case p.people.Works(addr):
		v.role = technician
	}
	return v
}

// unlessOpen asks nobody who they are for what is for everybody, also while the
// database is away.
func unlessOpen(identified, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/healthz" || r.URL.Path == "/readyz" || strings.HasPrefix(r.URL.Path, "/static/") {
			next.ServeHTTP(w, r)
			return
		}
		identified.ServeHTTP(w, r)
	})
}

// identified finds out who asks: whom the web server before this one names, or
// whose cookie it is.
func (p *page) identified(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v, err := p.identify(w, r)
		if err != nil {
			p.fail(w, r, err)
			return
		}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), viewerKey{}, v)))
	})
}

func (p *page) identify(w http.ResponseWriter, r *http.Request) (viewer, error) {
	if p.userHeader != "" && p.fromProxy(r) {
		// Two fields are a proxy that does not take the client's own away.
		if named := r.Header.Values(p.userHeader); len(named) == 1 {
			if addr, ok := typedAddress(named[0]); ok && !p.people.Own(addr) {
				return p.viewerBy(addr), nil
			}
		}
	}
	c, err := r.Cookie(p.cookieName())
	if err != nil || len(c.Value) > 100 {
		return viewer{}, nil
	}
	ctx, cancel := context.WithTimeout(r.Context(), readLimit)
	defer cancel()
	s, err := p.source.SessionOf(ctx, secretHash(c.Value))
	if errors.Is(err, store.ErrNotFound) {
		return viewer{}, nil
	}
	if err != nil {
		return viewer{}, err
	}
	v := p.viewerBy(s.Addr)
	v.session = s.ID
	if s.Stale || s.Old {
		p.renew(ctx, w, s)
	}
	return v, nil
}

// renew notes that a session is in use, and gives its cookie another value from
// time to time. What goes wrong with that is no reason to show nothing.
func (p *page) renew(ctx context.Context, w http.ResponseWriter, s store.Session) {
	value, hash := "", []byte(nil)
	if s.Old {
		value = rand.Text()
		hash = secretHash(value)
	}
	taken, err := p.source.SeeSession(ctx, s.ID, hash)
	if err != nil {
		p.log.Warn("session not renewed", "err", err)
	}
	if taken {
		p.setCookie(w, value, s.Expires)
	}
}

// secretHash is what is kept of a secret.
func secretHash(s string) []byte {
	sum := sha256.Sum256([]byte(s))
	return sum[:]
}

// cookieName is the name of the session's cookie. With the prefix a browser
// takes it from this very host alone, and over TLS alone (RFC 6265bis, section
// 4.1.3.2).
func (p *page) cookieName() string {
	if p.secure {
		return "__Host-deskd"
	}
	return "deskd"
}

func (p *page) setCookie(w http.ResponseWriter, value string, expires time.Time) {
	c := &http.Cookie{
		Name: p.cookieName(), Value: value, Path: "/", Secure: p.secure, HttpOnly: true, SameSite: http.SameSiteLaxMode,
		MaxAge: int(expires.Sub(p.now()) / time.Second),
	}
	if value == "" {
		c.MaxAge = -1
	}
	http.SetCookie(w, c)
}

// only lets pass who has at least this role. To all others what is here is not
// here (T41); strangers are asked to sign in, wherever they come to.
func (p *page) only(least role, next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		switch v := viewerOf(r); {
		case v.role == stranger:
			p.askToSignIn(w, r)
		case v.role < least:
			p.notFound(w, r)
		default:
			next(w, r)
		}
	}
}

// changing lets pass a form of this page that its viewer has sent (T39): the
// browser says that it comes from here, and it holds the token that only pages
// of this viewer hold.
func (p *page) changing(least role, next http.HandlerFunc) http.HandlerFunc {
	return p.only(least, func(w http.ResponseWriter, r *http.Request) {
		if !hmac.Equal([]byte(r.PostFormValue("form")), []byte(p.formToken(viewerOf(r)))) {
			p.foreignForm(w, r)
			return
		}
		next(w, r)
	})
}

// formToken is what the forms of a viewer's pages hold.
func (p *page) formToken(v viewer) string {
	mac := hmac.New(sha256.New, p.key)
	for _, part := range []string{"page form", strconv.FormatInt(v.session, 10), v.Addr} {
		mac.Write([]byte(part))
		mac.Write([]byte{0})
	}
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// mostForm is the largest form that is read, in bytes.
const mostForm = 16 << 10

// sameOrigin refuses what changes something and does not come from a page of
// this host. What no browser has sent says neither, and is refused too.
func (p *page) sameOrigin(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		site, origin := r.Header.Get("Sec-Fetch-Site"), r.Header.Get("Origin")
		ours := origin == "http://"+r.Host || origin == "https://"+r.Host
		if site == "" && origin == "" || site != "" && site != "same-origin" || origin != "" && !ours {
			p.log.Warn("form from elsewhere refused", "origin", origin, "site", site, "remote", r.RemoteAddr)
			p.foreignForm(w, r)
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, mostForm)
		if err := r.ParseForm(); err != nil {
			p.foreignForm(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func (p *page) foreignForm(w http.ResponseWriter, r *http.Request) {
	p.problem(w, r, problem{
		Code: http.StatusForbidden, Headline: "This form is good no more",
		Text: "Nothing was changed. Go back, reload the page and try again.",
	})
}

// fromProxy says whether a web server asks that the settings name.
func (p *page) fromProxy(r *http.Request) bool {
	ip, ok := remoteIP(r)
	return ok && p.isProxy(ip)
}

func (p *page) isProxy(ip netip.Addr) bool {
	return slices.ContainsFunc(p.proxies, func(x netip.Prefix) bool { return x.Contains(ip) })
}

func remoteIP(r *http.Request) (netip.Addr, bool) {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}, false
	}
	ip, err := netip.ParseAddr(host)
	return ip.Unmap().WithZone(""), err == nil
}

// client says where a request comes from, as far as that is certain: the last
// address that a web server of ours vouches for. IPv6 addresses count by their
// network of 64 bits, of which one client has all.
func (p *page) client(r *http.Request) string {
	ip, ok := remoteIP(r)
	if !ok {
		return "unknown"
	}
	if p.isProxy(ip) {
		hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
		for _, hop := range slices.Backward(hops) {
			next, err := netip.ParseAddr(strings.TrimSpace(hop))
			if err != nil {
				break
			}
			ip = next.Unmap().WithZone("")
			if !p.isProxy(ip) {
				break
			}
		}
	}
	if ip.Is6() {
		if net64, err := ip.Prefix(64); err == nil {
			return net64.String()
		}
	}
	return ip.String()
}

// typedAddress takes an address as people type it.
func typedAddress(s string) (string, bool) {
	s = strings.ToLower(strings.TrimSpace(s))
	local, domain, ok := strings.Cut(s, "@")
	if !ok || local == "" || domain == "" || len(s) > 254 || strings.ContainsAny(s, "<>()[]\\,;:\" ") || strings.Contains(domain, "@") {
		return "", false
	}
	return s, strings.IndexFunc(s, hiddenInLine) < 0
}
