package page

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	mailflow "deskd/cmd/internal/flow"
	"deskd/triage/ticket"
)

// Monitor gives a handler that answers monitors and nobody else, for a
// listener of its own: /healthz, /readyz and /metrics.
func Monitor(o Options) (http.Handler, error) {
	p, err := newPage(o)
	if err != nil {
		return nil, fmt.Errorf("monitor: %w", err)
	}
	p.behindProxy = false // only this machine reaches that listener
	routes := http.NewServeMux()
	routes.HandleFunc("/healthz", p.health)
	routes.HandleFunc("/readyz", p.ready)
	routes.Handle("/metrics", p.metrics())
	routes.HandleFunc("/", p.notFound)
	return p.recovered(p.secured(p.knownHost(p.methods(plainPaths(routes, p.notFound), http.HandlerFunc(p.onlyShows))))), nil
}

// health answers monitors. Who asks may be anybody, so it says one word (T41);
// the reason is on the dashboard.
func (p *page) health(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), readLimit)
	defer cancel()
	status, word := http.StatusOK, "up"
	if !p.state.Read(ctx, p.now()).Flows() {
		status, word = http.StatusServiceUnavailable, "degraded"
	}
	plain(w, r, status, word)
}

// ready says whether mail is taken in and sent. Whoever asks on this machine is
// told what is wrong (T41).
func (p *page) ready(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), readLimit)
	defer cancel()
	st := p.state.Read(ctx, p.now())
	if st.Flows() {
		plain(w, r, http.StatusOK, "ready")
		return
	}
	lines := []string{"not ready"}
	if p.fromHere(r) {
		for _, f := range st.Faults {
			lines = append(lines, oneLine(f.Text))
		}
	}
	plain(w, r, http.StatusServiceUnavailable, strings.Join(lines, "\n"))
}

// fromHere says whether a request comes from this machine, and not through a
// proxy that runs on it.
func (p *page) fromHere(r *http.Request) bool {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(host)
	for _, by := range []string{"Forwarded", "X-Forwarded-For", "X-Real-Ip", "Via"} {
		if r.Header.Get(by) != "" {
			return false
		}
	}
	return err == nil && ip.Unmap().IsLoopback() && !p.behindProxy
}

// onlyHere answers this machine, and administrators. For the others monitors
// are to have a listener of their own.
func (p *page) onlyHere(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if p.fromHere(r) || viewerOf(r).Administrator() {
			next.ServeHTTP(w, r)
			return
		}
		p.only(requester, p.notFound)(w, r)
	})
}

func plain(w http.ResponseWriter, r *http.Request, status int, text string) {
	h := w.Header()
	h.Set("Content-Type", contentPlain)
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		fmt.Fprintln(w, text)
	}
}

// metrics answers Prometheus. There is no address and no subject in it (T43):
// mailboxes have numbers, in the order of their names.
func (p *page) metrics() http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), &collector{p})
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{
		MaxRequestsInFlight: 2, Timeout: readLimit, ErrorLog: slog.NewLogLogger(p.log.Handler(), slog.LevelWarn), ErrorHandling: promhttp.ContinueOnError,
	})
}

// collector reads how things stand whenever it is asked.
type collector struct{ p *page }

// What is measured.
var (
	metricInfo       = describe("info", "The version that runs.", "version")
	metricFlows      = describe("mail_flows", "1 while mail is taken in and sent, else 0.")
	metricFaults     = describe("faults", "What is wrong at present, as the page lists it.")
	metricContact    = describe("contact_up", "1 while the last contact went well, else 0.", "contact", "mailbox")
	metricAge        = describe("contact_age_seconds", "Time since the last contact that went well.", "contact", "mailbox")
	metricWaiting    = describe("intake_waiting", "Mails in the mailbox that are not done.", "mailbox")
	metricRoundTrip  = describe("heartbeat_seconds", "How long the last mail to ourselves took, there and back.", "mailbox")
	metricOpen       = describe("tickets_open", "Live tickets.", "team", "priority")
	metricUnassigned = describe("tickets_unassigned", "Live tickets that nobody has.")
	metricUnsent     = describe("outbox_unsent", "Mails that wait to be sent.")
	metricFailed     = describe("outbox_failed", "Mails that could not be delivered.")
	metricAside      = describe("quarantined", "Mails in quarantine.")
	metricLast       = describe("last_mail_timestamp_seconds", "When the last mail came in.")
)

func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("deskd_"+name, help, labels, nil)
}

// Describe makes an unchecked collector: what there is to measure depends on
// the settings.
func (c *collector) Describe(chan<- *prometheus.Desc) {}

// Collect reads and gives what there is.
func (c *collector) Collect(to chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), readLimit)
	defer cancel()
	now := c.p.now()
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	gauge(metricInfo, 1, c.p.version)
	st := c.p.state.Read(ctx, now)
	gauge(metricFlows, one(st.Flows()))
	gauge(metricFaults, float64(len(st.Faults)))
	numbers := map[string]int{}
	for _, contact := range st.Contacts {
		what, _, _ := strings.Cut(contact.Key, ":")
		numbers[what]++
		box := ""
		if contact.Name != "" {
			box = strconv.Itoa(numbers[what])
		}
		gauge(metricContact, one(contact.OK), what, box)
		if !contact.LastOK.IsZero() {
			gauge(metricAge, max(0, now.Sub(contact.LastOK).Seconds()), what, box)
		}
		switch what + ":" {
		case "imap:":
			gauge(metricWaiting, float64(contact.Waiting), box)
		case mailflow.RoundTrip:
			gauge(metricRoundTrip, contact.Took.Seconds(), box)
		}
	}
	o, err := c.p.counts.read(ctx, now)
	if err != nil {
		c.p.log.Warn("figures not known", "err", err)
		return
	}
	for _, team := range c.p.teams {
		for _, pr := range ticket.Priorities() {
			gauge(metricOpen, float64(o.Open[team.Name][pr]), oneLine(team.Name), string(pr))
		}
	}
	gauge(metricUnassigned, float64(o.Unassigned))
	gauge(metricUnsent, float64(o.OutboxUnsent))
	gauge(metricFailed, float64(o.OutboxFailed))
	gauge(metricAside, float64(o.Quarantined))
	if !o.LastIntake.IsZero() {
		gauge(metricLast, float64(o.LastIntake.UnixNano())/float64(time.Second))
	}
}

func one(ok bool) float64 {
	if ok {
		return 1
	}
	return 0
}
