package demomail

import (
	"bytes"
	"image/png"
	"io"
	"mime"
	"regexp"
	"strings"
	"testing"

	"github.com/emersion/go-message/mail"
)

func TestSamplesCoverTheRulesAndReadWell(t *testing.T) {
	t.Parallel()
	rules := []string{"server|down", "vpn", "printer", "password"}
	matched, pictures, automatic, outside := map[string]int{}, 0, 0, 0
	seen := map[string]bool{}
	for _, sample := range append(Samples(), Samples()...) {
		r, err := mail.CreateReader(bytes.NewReader(sample.Raw))
		if err != nil {
			t.Fatalf("%s: %v", sample.Subject, err)
		}
		if subject, err := r.Header.Subject(); err != nil || subject != sample.Subject {
			t.Errorf("subject: got %q, %v, want %q", subject, err, sample.Subject)
		}
		if from, err := r.Header.AddressList("From"); err != nil || len(from) != 1 || from[0].Address != sample.From || from[0].Name == "" {
			t.Errorf("%s: From: %v, %v", sample.Subject, from, err)
		}
		if sample.Outside == strings.HasSuffix(sample.From, "@example.com") {
			t.Errorf("%s: outside is %v, From is %s", sample.Subject, sample.Outside, sample.From)
		}
		if id := r.Header.Get("Message-Id"); id == "" || seen[id] {
			t.Errorf("%s: Message-ID %q is empty or known", sample.Subject, id)
		} else {
			seen[id] = true
		}
		text := sample.Subject
		for {
			part, err := r.NextPart()
			if err == io.EOF {
				break
			} else if err != nil {
				t.Fatalf("%s: %v", sample.Subject, err)
			}
			body, err := io.ReadAll(part.Body)
			if err != nil {
				t.Fatalf("%s: %v", sample.Subject, err)
			}
			switch kind, _, _ := mime.ParseMediaType(part.Header.Get("Content-Type")); kind {
			case "image/png":
				if _, err := png.Decode(bytes.NewReader(body)); err != nil {
					t.Errorf("%s: picture: %v", sample.Subject, err)
				}
				pictures++
			default:
				text += " " + string(body)
			}
		}
		if r.Header.Has("Auto-Submitted") {
			automatic++
			continue
		}
		if sample.Outside {
			outside++
		}
		hits := 0
		for _, rule := range rules {
			if regexp.MustCompile(`(?i)\b(` + rule + `)\b`).MatchString(text) {
				matched[rule]++
				hits++
			}
		}
		if hits > 1 {
			t.Errorf("%s: %d rules match", sample.Subject, hits)
		}
		for _, line := range bytes.SplitAfter(sample.Raw, []byte("\n")) {
			if len(line) > 1000 || len(line) > 0 && !bytes.HasSuffix(line, []byte("\r\n")) {
				t.Errorf("%s: bad line %q", sample.Subject, line)
			}
		}
	}
	for _, rule := range rules {
		if matched[rule] != 2 {
			t.Errorf("rule %s: got %d samples in two calls, want 2", rule, matched[rule])
		}
	}
	if pictures != 2 || automatic != 2 || outside != 2 {
		t.Errorf("in two calls: got %d pictures, %d automatic, %d from outside, want 2 of each", pictures, automatic, outside)
	}
}

func TestSamplesAreTakenAndOnlyTheOneFromOutsideIsNotVouchedFor(t *testing.T) {
	t.Parallel()
	s := start(t, Options{})
	for _, sample := range Samples() {
		login := sample.From
		if sample.Outside {
			login = ""
		}
		if err := s.Deliver(sample.From, []string{"support@example.com"}, sample.Raw, login); err != nil {
			t.Fatal(err)
		}
		box := s.Mailbox("support@example.com", "")
		got := box[len(box)-1]
		if pass := bytes.HasPrefix(got, []byte("Authentication-Results: demo.example.com; dmarc=pass ")); pass == sample.Outside {
			t.Errorf("%s: pass is %v", sample.Subject, pass)
		}
		if !bytes.HasSuffix(got, sample.Raw) {
			t.Errorf("%s was changed on its way", sample.Subject)
		}
	}
}
