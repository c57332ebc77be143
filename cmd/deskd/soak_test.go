package main

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// How long the soak lasts, and where its figures are written.
var (
	soakTime = flag.Duration("soak", 20*time.Second, "how long TestF42 keeps the daemon busy")
	soakTo   = flag.String("soak.figures", "", "folder for figures.csv and figures.svg of TestF42")
)

// figures are what /metrics says of the process.
type figures struct {
	at                  time.Duration
	rss                 float64 // bytes
	goroutines, handles float64
	unsent              float64
	filed               int
}

func (d *daemon) figures(t *testing.T, began time.Time, filed int) figures {
	t.Helper()
	text := d.get(t, "metrics")
	value := func(name string) float64 {
		m := regexp.MustCompile(`(?m)^` + name + ` (\S+)$`).FindStringSubmatch(text)
		if m == nil {
			return 0 // not on this system
		}
		v, err := strconv.ParseFloat(m[1], 64)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	return figures{time.Since(began), value("process_resident_memory_bytes"), value("go_goroutines"), value("process_open_fds"), value("deskd_outbox_unsent"), filed}
}

// hostile writes a mail of a kind that is made to do harm.
func hostile(n int) string {
	head := fmt.Sprintf("From: evil%d@far.example\r\nTo: support@example.com\r\nMessage-ID: <%d@load.example>\r\n", n, n)
	switch n % 6 {
	case 0: // deep
		return head + "Subject: deep\r\n" + strings.Repeat("Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n", 2000) + "\r\nx\r\n"
	case 1: // many parts
		return head + "Subject: many\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n" + strings.Repeat("--b\r\n\r\nx\r\n", 20000) + "--b--\r\n"
	case 2: // one long line
		return head + "Subject: long\r\n\r\n" + strings.Repeat("x", 2<<20) + "\r\n"
	case 3: // many fields
		return head + "Subject: fields\r\n" + strings.Repeat("X-A: b\r\n", 5000) + "\r\nx\r\n"
	case 4: // script
		return head + "Subject: =?utf-8?q?=3Cscript=3E?=\r\nContent-Type: text/html\r\n\r\n" + strings.Repeat("<div><script>alert(1)</script><blockquote>", 3000) + "\r\n"
	}
	return head + "Subject: commands\r\n\r\n" + strings.Repeat("#closed\r\n", 5000)
}

// TestF42_Soak keeps a daemon busy for a while, one mail in ten being hostile,
// and cuts its connections now and then. Memory stays below 128 MiB, and when
// all is done there are as many goroutines and descriptors as before.
func TestF42_Soak(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, l *load) {
		imap, smtp := newLine(t, l.system.imap, always(sound)), newLine(t, l.system.smtp, always(sound))
		l.system.imap, l.system.smtp = imap.ln.Addr().String(), smtp.ln.Addr().String()
		d := start(t, l.settings("one", ""))
		l.send(20)
		l.settled()
		began := time.Now()
		before := d.figures(t, began, l.filed())
		all := []figures{before}
		random := rand.New(rand.NewPCG(1, 2))
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for n := 0; time.Since(began) < *soakTime; n++ {
			// As fast as it can, and not faster.
			if len(l.sent)-l.filed() < 200 && all[len(all)-1].unsent < 500 {
				l.send(9)
				l.harm()
			}
			switch {
			case random.IntN(50) == 0:
				imap.cut()
			case random.IntN(50) == 0:
				smtp.cut()
			}
			if n%10 == 0 {
				all = append(all, d.figures(t, began, l.filed()))
			}
			select {
			case <-tick.C:
			case <-t.Context().Done():
				return
			}
		}
		patient(t, "all mails are done", func() bool { return l.filed() >= len(l.sent) })
		patient(t, "nothing is to be sent but what waits for another attempt", func() bool {
			db := l.open()
			defer db.Close()
			at, waiting, err := db.NextDue(t.Context())
			return err == nil && (!waiting || time.Until(at) > time.Second)
		})
		var after figures
		// What kept connections have is given back in time.
		patient(t, "goroutines and descriptors are as before", func() bool {
			after = d.figures(t, began, l.filed())
			return after.goroutines <= before.goroutines+4 && after.handles <= before.handles+4
		})
		all = append(all, after)
		peak := 0.0
		for _, f := range all {
			peak = max(peak, f.rss)
		}
		if peak > 128<<20 {
			t.Errorf("%.0f MiB at the most, want 128 or less", peak/(1<<20))
		}
		t.Logf("%d mails in %s: %.0f MiB at first, %.0f at the most, %.0f at the end; goroutines %.0f, %.0f; descriptors %.0f, %.0f", len(l.sent), time.Since(began).Round(time.Second),
			before.rss/(1<<20), peak/(1<<20), after.rss/(1<<20), before.goroutines, after.goroutines, before.handles, after.handles)
		if *soakTo != "" {
			draw(t, *soakTo, all)
		}
	})
}

// harm hands in a hostile mail.
func (l *load) harm() {
	l.t.Helper()
	n := len(l.sent)
	if err := l.server.Deliver("evil@far.example", []string{"support@example.com"}, []byte(hostile(n)), ""); err != nil {
		l.t.Fatal(err)
	}
	l.sent[fmt.Sprintf("%d@load.example", n)] = true
}

// draw writes figures down, and draws them.
func draw(t *testing.T, dir string, all []figures) {
	t.Helper()
	dir = filepath.Join(dir, strings.ReplaceAll(t.Name(), "/", "-"))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	var csv, svg strings.Builder
	csv.WriteString("seconds,rss_mib,goroutines,descriptors,filed\n")
	end := all[len(all)-1].at.Seconds()
	svg.WriteString(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 640 240" font-family="sans-serif" font-size="11"><rect width="640" height="240" fill="#fff"/>`)
	for i, line := range []struct {
		name, colour string
		value        func(f figures) float64
		most         float64
	}{
		{"memory (128 MiB)", "#c33", func(f figures) float64 { return f.rss / (1 << 20) }, 128},
		{"goroutines (100)", "#36c", func(f figures) float64 { return f.goroutines }, 100},
		{"descriptors (100)", "#393", func(f figures) float64 { return f.handles }, 100},
	} {
		fmt.Fprintf(&svg, `<text x="%d" y="14" fill="%s">%s</text><polyline fill="none" stroke="%s" points="`, 20+i*150, line.colour, line.name, line.colour)
		for _, f := range all {
			fmt.Fprintf(&svg, "%.1f,%.1f ", 20+600*f.at.Seconds()/end, 230-200*min(1, line.value(f)/line.most))
		}
		svg.WriteString(`"/>`)
	}
	svg.WriteString("</svg>\n")
	for _, f := range all {
		fmt.Fprintf(&csv, "%.1f,%.1f,%.0f,%.0f,%d\n", f.at.Seconds(), f.rss/(1<<20), f.goroutines, f.handles, f.filed)
	}
	writeFile(t, filepath.Join(dir, "figures.csv"), []byte(csv.String()))
	writeFile(t, filepath.Join(dir, "figures.svg"), []byte(svg.String()))
}
