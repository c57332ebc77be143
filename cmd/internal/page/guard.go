package page

import (
	"crypto/rand"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"runtime/debug"
	"strconv"
	"strings"
)

// policy is the Content-Security-Policy of every page: its own style sheet,
// icon and script, and nothing else. No other script runs, whatever a mail says
// (T37).
const policy = "default-src 'none'; style-src 'self'; img-src 'self'; script-src 'self'; connect-src 'self'; " +
	"frame-ancestors 'none'; base-uri 'none'; form-action 'self'"

// filePolicy is for what came in by mail: should a browser show it after all,
// it is in a sandbox without an origin (T38).
const filePolicy = "sandbox; default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"

// secured sets the headers that every answer carries.
func (p *page) secured(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY") // for what does not know frame-ancestors
		// To others nothing; without it browsers say "null" instead of where a form
		// of ours comes from (Fetch, "append a request Origin header").
		h.Set("Referrer-Policy", "same-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
		h.Set("X-Robots-Tag", "noindex, nofollow")
		next.ServeHTTP(w, r)
	})
}

// knownHost answers only to names of this machine and those of the settings.
// Otherwise a page out in the world could give its own name our address, and
// would then be read by the browser as one origin with us (T39).
func (p *page) knownHost(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name, ok := hostName(r.Host)
		if ok && (p.hosts[name] || loopback(name)) {
			next.ServeHTTP(w, r)
			return
		}
		p.log.Warn("page asked for under an unknown name", "host", r.Host, "remote", r.RemoteAddr)
		w.Header().Set("Content-Type", contentPlain)
		w.Header().Set("Cache-Control", "no-store")
		w.WriteHeader(http.StatusMisdirectedRequest)
		if r.Method != http.MethodHead {
			fmt.Fprintln(w, "This page does not answer to that name. If it should, add the name to the page's hosts in the settings.")
		}
	})
}

// hostName gives the name in a Host field without port, brackets and a final
// dot, in lower case.
func hostName(host string) (string, bool) {
	name := host
	if h, port, err := net.SplitHostPort(host); err == nil {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return "", false
		}
		name = h
	} else if strings.HasPrefix(host, "[") && strings.HasSuffix(host, "]") {
		name = host[1 : len(host)-1]
	}
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	return name, name != "" && !strings.ContainsAny(name, "/@[] ")
}

// loopback says whether a host name is one of the machine's own.
func loopback(name string) bool {
	if name == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(name)
	return err == nil && ip.Zone() == "" && ip.Unmap().IsLoopback()
}

// methods has GET and HEAD answered by what reads, and POST by what changes
// something.
func (p *page) methods(read, change http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.Method {
		case http.MethodGet, http.MethodHead:
			read.ServeHTTP(w, r)
		case http.MethodPost:
			change.ServeHTTP(w, r)
		default:
			p.onlyShows(w, r)
		}
	})
}

func (p *page) onlyShows(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Allow", "GET, HEAD")
	p.problem(w, r, problem{
		Code: http.StatusMethodNotAllowed, Headline: "This page only shows",
		Text: "Changes are made by mail: answer a notification, or use the buttons on a ticket.",
	})
}

// recovered turns a panic into an error page and a log line (F40). It is the
// only place of this package that recovers.
func (p *page) recovered(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		t := &tracked{ResponseWriter: w}
		defer func() {
			v := recover()
			if v == nil {
				return
			}
			if v == http.ErrAbortHandler {
				panic(v) // the library's own word for: cut the connection, say nothing
			}
			ref := reference()
			p.log.Error("panic in a request", "path", shownPath(r), "reference", ref,
				"err", fmt.Sprint(v), "count", p.panics.Add(1), "stack", string(debug.Stack()))
			if t.begun {
				panic(http.ErrAbortHandler) // half an answer must not pass for a whole one
			}
			p.secured(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				for _, name := range []string{"Content-Disposition", "Content-Length", "Cache-Control"} {
					w.Header().Del(name)
				}
				p.lastWord(w, r, ref)
			})).ServeHTTP(w, r)
		}()
		next.ServeHTTP(t, r)
	})
}

// lastWord is the error page after a panic. Should that page be what
// panicked, plain words have to do.
func (p *page) lastWord(w http.ResponseWriter, r *http.Request, ref string) {
	t := &tracked{ResponseWriter: w}
	defer func() {
		if recover() != nil && !t.begun {
			w.Header().Set("Content-Type", contentPlain)
			w.WriteHeader(http.StatusInternalServerError)
			fmt.Fprintln(w, "Something went wrong. Reference for the log:", ref)
		}
	}()
	p.problem(t, r, problem{
		Code: http.StatusInternalServerError, Headline: "Something went wrong on this page",
		Text:      "Mail is handled apart from the page and is not affected. Look into the log for the reference, and please report what it says.",
		Reference: ref,
	})
}

// tracked knows whether an answer has begun.
type tracked struct {
	http.ResponseWriter
	begun bool
}

func (t *tracked) WriteHeader(status int) { t.begun = true; t.ResponseWriter.WriteHeader(status) }

func (t *tracked) Write(b []byte) (int, error) {
	t.begun = true
	return t.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController reach the connection.
func (t *tracked) Unwrap() http.ResponseWriter { return t.ResponseWriter }

// reference is a short random word that joins an error page to its log line.
func reference() string { return strings.ToLower(rand.Text()[:8]) }
