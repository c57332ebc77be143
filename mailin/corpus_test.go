package mailin

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/text/unicode/norm"

	"deskd/triage"
)

// sample is one mail of the shared corpus with what is expected of it. A
// pointer is nil where nothing is.
type sample struct {
	File        string    `json:"file"`
	Kind        string    `json:"kind"`
	Subject     *string   `json:"subject"`
	From        *string   `json:"from"`
	MessageID   *string   `json:"message_id"`
	References  *[]string `json:"references"`
	Lines       []string  `json:"text_body_contains"`
	Attachments *[]struct {
		Name *string `json:"name"`
		Size *int64  `json:"size"`
	} `json:"attachments"`
	Bounce    *bool    `json:"is_bounce"`
	Feedback  *bool    `json:"is_feedback_report"`
	Recipient []string `json:"final_recipient"`
	Also      []string `json:"final_recipient_also"`
	Status    []string `json:"status"`
	raw       []byte
}

// corpus reads the shared mails, which lie beside the repository; without
// them the test is skipped, unless they are required.
func corpus(tb testing.TB) []sample {
	tb.Helper()
	root := os.Getenv("DESKD_CORPUS")
	if root == "" {
		root = filepath.Join("..", "..", "shared", "corpus")
	}
	files, _ := filepath.Glob(filepath.Join(root, "*", "expected.json"))
	if len(files) == 0 {
		if os.Getenv("DESKD_TEST_SERVERS") == "required" {
			tb.Fatalf("no corpus at %s", root)
		}
		tb.Skipf("no corpus at %s", root)
	}
	var all []sample
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			tb.Fatal(err)
		}
		var set struct {
			Messages []sample `json:"messages"`
		}
		if err := json.Unmarshal(b, &set); err != nil {
			tb.Fatalf("%s: %v", f, err)
		}
		for _, s := range set.Messages {
			if s.Kind != "message" {
				continue
			}
			if s.raw, err = os.ReadFile(filepath.Join(filepath.Dir(f), "messages", filepath.FromSlash(s.File))); err != nil {
				tb.Fatal(err)
			}
			s.File = filepath.Base(filepath.Dir(f)) + "/" + s.File
			all = append(all, s)
		}
	}
	return all
}

// rate counts how often something was right.
type rate struct {
	right, all int
	wrong      []string
}

func (r *rate) count(ok bool, file string) {
	r.all++
	if ok {
		r.right++
	} else {
		r.wrong = append(r.wrong, file)
	}
}

func TestCorpusIsReadAsExpected(t *testing.T) {
	t.Parallel()
	squash := func(s string) string {
		return strings.Join(strings.Fields(strings.ReplaceAll(norm.NFKC.String(s), "\u200b", "")), "")
	}
	unseen := strings.NewReplacer("\u200b", "", "\u200c", "", "\u200d", "", "\ufeff", "", "\u2060", "", "\u00ad", "")
	line := func(s string) string { return strings.Join(strings.Fields(unseen.Replace(norm.NFC.String(s))), " ") }
	rates := map[string]*rate{}
	count := func(what string, ok bool, file string) {
		if rates[what] == nil {
			rates[what] = &rate{}
		}
		rates[what].count(ok, file)
	}
	for _, s := range corpus(t) {
		m := Parse(s.raw, Limits{})
		checkMessage(t, m)
		shown := m.From.Addr
		if shown == "" {
			shown = m.Shown.Addr
		}
		if s.Subject != nil {
			count("subject", line(*s.Subject) == line(m.Subject), s.File)
		}
		if s.From != nil {
			count("from", strings.EqualFold(*s.From, shown), s.File)
		}
		if s.MessageID != nil {
			count("message id", *s.MessageID == m.MessageID, s.File)
		}
		if s.References != nil {
			count("references", slices.Equal(*s.References, m.References), s.File)
		}
		text := squash(m.Text()) + "\n" + squash(m.OtherText)
		for _, l := range s.Lines {
			count("text line", strings.Contains(text, squash(l)), s.File)
		}
		if s.Attachments != nil {
			var want, got []string
			for _, a := range *s.Attachments {
				if a.Name != nil {
					want = append(want, line(*a.Name))
				}
			}
			for _, a := range m.Attachments {
				if a.Name != "" {
					got = append(got, line(a.Name))
				}
			}
			slices.Sort(want)
			slices.Sort(got)
			count("attachments", slices.Equal(want, got) || len(want) < len(*s.Attachments), s.File)
		}
		bounce := m.Report != nil && m.Report.Kind == triage.DeliveryReport
		if s.Bounce != nil {
			if *s.Bounce {
				count("bounce recall", bounce, s.File)
			} else {
				count("bounce precision", !bounce, s.File)
			}
		}
		if s.Feedback != nil {
			count("feedback", *s.Feedback == (m.Report != nil && m.Report.Kind == triage.FeedbackReport), s.File)
		}
		if s.Bounce == nil || !*s.Bounce || m.Report == nil {
			continue
		}
		if s.Recipient != nil {
			known := map[string]bool{}
			for _, a := range append(slices.Clone(s.Recipient), s.Also...) {
				known[strings.ToLower(a)] = true
			}
			ok := len(m.Report.Recipients) > 0
			for _, r := range m.Report.Recipients {
				ok = ok && known[strings.ToLower(r.Address)]
			}
			count("final recipient", ok, s.File)
		}
		if s.Status != nil {
			var got []string
			for _, r := range m.Report.Recipients {
				got = append(got, r.Status)
			}
			want := slices.Clone(s.Status)
			slices.Sort(got)
			slices.Sort(want)
			count("status", slices.Equal(slices.Compact(want), slices.Compact(got)), s.File)
		}
	}
	for what, least := range map[string]float64{
		"subject": 0.994, "from": 0.995, "message id": 0.995, "references": 0.995, "text line": 0.99, "attachments": 0.99,
		"bounce recall": 0.99, "bounce precision": 0.995, "feedback": 0.99, "final recipient": 0.98, "status": 0.97,
	} {
		r := rates[what]
		if r == nil {
			t.Errorf("%s: nothing counted", what)
			continue
		}
		got := float64(r.right) / float64(r.all)
		t.Logf("%-18s %4d of %4d  %.3f", what, r.right, r.all, got)
		if got < least {
			t.Errorf("%s: %.3f, want %.3f; wrong: %q", what, got, least, r.wrong)
		}
	}
}

// ownMails stand in for the corpus where it is missing.
func ownMails() [][]byte {
	return [][]byte{
		mailOf("From: Ann <ann@example.org>", "To: support@desk.example", "Subject: =?utf-8?q?Drucker_gibt_nichts_=C3=BCber?=", "Message-ID: <1@example.org>", "Content-Type: text/plain; charset=utf-8; format=flowed", "", strings.Repeat("The printer prints nothing at all. ", 60)),
		mailOf("From: Ann <ann@example.org>", "Subject: both", "Content-Type: multipart/alternative; boundary=x", "", "--x", "Content-Type: text/plain", "", strings.Repeat("some words ", 200), "--x", "Content-Type: text/html", "",
			"<p>"+strings.Repeat("<b>some</b> words ", 200)+"</p><div class=gmail_quote>"+strings.Repeat("<p>older words</p>", 100)+"</div>", "--x--"),
		dsn("Final-Recipient: rfc822; joe@example.net\nAction: failed\nStatus: 5.1.1"),
	}
}

func BenchmarkParse(b *testing.B) {
	run := func(b *testing.B, mails [][]byte) {
		var n int64
		for _, raw := range mails {
			n += int64(len(raw))
		}
		b.SetBytes(n)
		b.ReportAllocs()
		for b.Loop() {
			for _, raw := range mails {
				Parse(raw, Limits{})
			}
		}
		b.ReportMetric(float64(len(mails))*float64(b.N)/b.Elapsed().Seconds(), "mails/s")
	}
	b.Run("own", func(b *testing.B) { run(b, ownMails()) })
	b.Run("corpus", func(b *testing.B) {
		var mails [][]byte
		samples := corpus(b)
		for _, s := range samples {
			mails = append(mails, s.raw)
		}
		run(b, mails)
		// Each mail's best of five: what remains is the mail's own cost.
		var worst time.Duration
		var name string
		for _, s := range samples {
			best := time.Duration(math.MaxInt64)
			for range 5 {
				start := time.Now()
				Parse(s.raw, Limits{})
				best = min(best, time.Since(start))
			}
			if best > worst {
				worst, name = best, s.File
			}
		}
		b.ReportMetric(float64(worst.Microseconds())/1000, "ms/worst")
		b.Logf("worst mail: %s, %v", name, worst)
	})
	b.Run("attachment of 20 MB", func(b *testing.B) {
		raw := append(mailOf("From: a@b", "Content-Type: application/zip; name=a.zip", "Content-Transfer-Encoding: base64", "", ""), strings.Repeat(strings.Repeat("QUJD", 19)+"\r\n", 20<<20/78)...)
		run(b, [][]byte{raw})
	})
}

// BenchmarkHeavy shows the time that mails made to be costly take (T27).
func BenchmarkHeavy(b *testing.B) {
	for name, raw := range heavy() {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(raw)))
			for b.Loop() {
				Parse(raw, Limits{})
			}
		})
	}
}
