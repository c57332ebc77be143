package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/text/unicode/norm"

	"deskd/mailin"
	"deskd/triage"
)

// expectation is one mail of the shared corpus with what is known of it. What
// is missing there is nil here and says nothing.
type expectation struct {
	File      string   `json:"file"`
	Kind      string   `json:"kind"` // message, or the bare body: text, html
	Subject   *string  `json:"subject"`
	From      *string  `json:"from"`
	MessageID *string  `json:"message_id"`
	InReplyTo words    `json:"in_reply_to"`
	Refs      words    `json:"references"`
	Lines     []string `json:"text_body_contains"`
	Reply     words    `json:"reply_text"`
	Has       words    `json:"reply_text_contains"`
	HasNot    words    `json:"reply_text_excludes"`
	Files     []struct {
		Name *string `json:"name"`
		Type string  `json:"content_type"`
		Size *int64  `json:"size"`
	} `json:"attachments"`
	Bounce    *bool `json:"is_bounce"`
	Auto      *bool `json:"is_auto_reply"`
	Feedback  *bool `json:"is_feedback_report"`
	Quiet     *bool `json:"no_auto_response"`
	Recipient words `json:"final_recipient"`
	Also      words `json:"final_recipient_also"`
	Status    words `json:"status"`

	path, source string
}

// words is a string or a list of strings.
type words []string

func (w *words) UnmarshalJSON(b []byte) error {
	var one string
	if json.Unmarshal(b, &one) == nil {
		*w = words{one}
		return nil
	}
	var list []*string
	if err := json.Unmarshal(b, &list); err != nil {
		return err
	}
	*w = words{}
	for _, s := range list {
		if s != nil {
			*w = append(*w, *s)
		}
	}
	return nil
}

// expectations reads the corpus beside the repository. Without it the test is
// skipped, unless servers and corpus are required.
func expectations(t *testing.T) []expectation {
	t.Helper()
	root := os.Getenv("DESKD_CORPUS")
	if root == "" {
		root = filepath.Join("..", "..", "..", "shared", "corpus")
	}
	sets, _ := filepath.Glob(filepath.Join(root, "*", "expected.json"))
	if len(sets) == 0 {
		if os.Getenv("DESKD_TEST_SERVERS") == "required" {
			t.Fatalf("no corpus at %s", root)
		}
		t.Skipf("no corpus at %s", root)
	}
	var all []expectation
	for _, set := range sets {
		b, err := os.ReadFile(set)
		if err != nil {
			t.Fatal(err)
		}
		var doc struct {
			Messages []expectation `json:"messages"`
		}
		if err := json.Unmarshal(b, &doc); err != nil {
			t.Fatalf("%s: %v", set, err)
		}
		for _, e := range doc.Messages {
			e.source = filepath.Base(filepath.Dir(set))
			e.path = filepath.Join(filepath.Dir(set), "messages", filepath.FromSlash(e.File))
			all = append(all, e)
		}
	}
	return all
}

// read explains the mail; a bare body is wrapped into a small answer first.
func (e expectation) read(t *testing.T, rules *triage.Rules) explained {
	t.Helper()
	if e.Kind == "" || e.Kind == "message" {
		return explainFile(t.Context(), e.path, rules, mailin.Limits{}, nil)
	}
	body, err := os.ReadFile(e.path)
	if err != nil {
		t.Fatal(err)
	}
	kind := "plain"
	if e.Kind == "html" {
		kind = "html"
	}
	wrapped := filepath.Join(t.TempDir(), "wrapped.eml")
	head := "From: ann@client.example\nTo: support@desk.example\nSubject: Re: x\nMIME-Version: 1.0\nContent-Type: text/" + kind + "; charset=utf-8\n\n"
	if err := os.WriteFile(wrapped, append([]byte(head), body...), 0o600); err != nil {
		t.Fatal(err)
	}
	return explainFile(t.Context(), wrapped, rules, mailin.Limits{}, nil)
}

// The three ways in which texts are made comparable.
var (
	unseen   = strings.NewReplacer("\u200b", "", "\u200c", "", "\u200d", "", "\ufeff", "", "\u2060", "", "\u00ad", "")
	emphasis = regexp.MustCompile(`[*_]`)
)

func oneLine(s string) string {
	return strings.Join(strings.Fields(unseen.Replace(norm.NFC.String(s))), " ")
}

func squash(s string) string {
	return strings.Join(strings.Fields(unseen.Replace(norm.NFKC.String(s))), "")
}

func prose(s string) []string {
	return strings.Fields(emphasis.ReplaceAllString(unseen.Replace(norm.NFKC.String(s)), ""))
}

// similar gives how alike two texts are word by word (twice the matching words
// by all words, matching as Ratcliff and Obershelp do), and the share of wanted
// words that are there.
func similar(want, got string) (alike, complete float64) {
	a, b := prose(want), prose(got)
	if len(a)+len(b) == 0 {
		return 1, 1
	}
	left := map[string]int{}
	for _, w := range b {
		left[w]++
	}
	found := 0
	for _, w := range a {
		if left[w] > 0 {
			left[w]--
			found++
		}
	}
	complete = 1
	if len(a) > 0 {
		complete = float64(found) / float64(len(a))
	}
	return 2 * float64(matching(a, b)) / float64(len(a)+len(b)), complete
}

// matching counts the words of the longest run that both have, and of those
// before and behind it.
func matching(a, b []string) int {
	if len(a) == 0 || len(b) == 0 {
		return 0
	}
	at := map[string][]int{}
	for j, w := range b {
		at[w] = append(at[w], j)
	}
	var bestI, bestJ, best int
	runs := map[int]int{}
	for i, w := range a {
		next := map[int]int{}
		for _, j := range at[w] {
			next[j] = runs[j-1] + 1
			if next[j] > best {
				best, bestI, bestJ = next[j], i-next[j]+1, j-next[j]+1
			}
		}
		runs = next
	}
	if best == 0 {
		return 0
	}
	return best + matching(a[:bestI], b[:bestJ]) + matching(a[bestI+best:], b[bestJ+best:])
}

// score collects figures and what was wrong.
type score struct {
	sum   map[string]float64
	n     map[string]int
	wrong map[string][]string
	flags map[string]*[4]int // true and false positives, false negatives, true negatives
}

func (s *score) add(figure string, value float64, file string) {
	s.sum[figure] += value
	s.n[figure]++
	if value < 1 {
		s.wrong[figure] = append(s.wrong[figure], file)
	}
}

func (s *score) is(figure string, ok bool, file string) {
	value := 0.0
	if ok {
		value = 1
	}
	s.add(figure, value, file)
}

func (s *score) flag(figure string, want *bool, got bool, file string) {
	if want == nil {
		return
	}
	f := s.flags[figure]
	if f == nil {
		f = &[4]int{}
		s.flags[figure] = f
	}
	switch {
	case *want && got:
		f[0]++
	case got:
		f[1]++
		s.wrong[figure+" precision"] = append(s.wrong[figure+" precision"], file)
	case *want:
		f[2]++
		s.wrong[figure+" recall"] = append(s.wrong[figure+" recall"], file)
	default:
		f[3]++
	}
}

func (s *score) compare(e expectation, x explained) {
	file := e.source + "/" + e.File
	if e.Kind == "" || e.Kind == "message" {
		s.is("parsed", x.Parsed && x.Error == "", file)
		if e.Subject != nil {
			s.is("subject", oneLine(*e.Subject) == oneLine(x.Subject), file)
		}
		if e.From != nil {
			s.is("from", strings.EqualFold(*e.From, x.From), file)
		}
		if e.MessageID != nil {
			s.is("message-id", *e.MessageID == x.MessageID, file)
		}
		if e.InReplyTo != nil {
			s.is("in-reply-to", slices.Equal(e.InReplyTo, x.InReplyTo), file)
		}
		if e.Refs != nil {
			s.is("references", slices.Equal(e.Refs, x.References), file)
		}
		text := squash(x.TextBody) + "\n" + squash(x.OtherText)
		for _, l := range e.Lines {
			s.is("text line", strings.Contains(text, squash(l)), file)
		}
		s.attachments(e, x, file)
		s.flag("bounce", e.Bounce, x.IsBounce, file)
		s.flag("automatic reply", e.Auto, x.IsAutoReply, file)
		s.flag("feedback report", e.Feedback, x.IsFeedback, file)
		s.flag("no automatic answer", e.Quiet, x.NoAutoResponse, file)
		if e.Bounce != nil && *e.Bounce {
			s.delivery(e, x, file)
		}
	}
	if e.Reply != nil {
		alike, complete := -1.0, 0.0
		for _, want := range e.Reply {
			if a, c := similar(want, x.ReplyText); a > alike {
				alike, complete = a, c
			}
		}
		s.is("reply exact", alike == 1, file)
		s.add("reply similarity", alike, file)
		s.is("reply complete", complete > 0.999, file)
	}
	if e.Has != nil || e.HasNot != nil {
		reply := squash(x.ReplyText)
		ok := reply != ""
		for _, h := range e.Has {
			ok = ok && strings.Contains(reply, squash(h))
		}
		for _, h := range e.HasNot {
			ok = ok && !strings.Contains(reply, squash(h))
		}
		s.is("reply has", ok, file)
	}
}

func (s *score) attachments(e expectation, x explained, file string) {
	if e.Files == nil {
		return
	}
	have := map[string][]attachment{}
	extra := 0
	for _, a := range x.Attachments {
		if a.Name != nil {
			have[oneLine(*a.Name)] = append(have[oneLine(*a.Name)], a)
			extra++
		}
	}
	nameless, found, named := false, 0, 0
	for _, want := range e.Files {
		if want.Name == nil || *want.Name == "" {
			nameless = true
			continue
		}
		named++
		got := have[oneLine(*want.Name)]
		s.is("attachment name", len(got) > 0, file)
		if len(got) == 0 {
			continue
		}
		found++
		extra--
		have[oneLine(*want.Name)] = got[1:]
		if want.Size != nil {
			s.is("attachment size", *want.Size == got[0].Size, file)
		}
		if want.Type != "" {
			s.is("attachment type", strings.EqualFold(want.Type, got[0].ContentType), file)
		}
	}
	if !nameless {
		s.is("attachment list", found == named && extra == 0, file)
	}
}

func (s *score) delivery(e expectation, x explained, file string) {
	lower := func(list []string) map[string]bool {
		m := map[string]bool{}
		for _, l := range list {
			if l != "" {
				m[strings.ToLower(l)] = true
			}
		}
		return m
	}
	if e.Recipient != nil {
		want, also, got := lower(e.Recipient), lower(e.Also), lower(x.FinalRecipient)
		ok := len(got) > 0
		for r := range got {
			ok = ok && (want[r] || also[r])
		}
		all := true
		for w := range want {
			all = all && got[w]
		}
		s.is("final recipient", ok && (all || len(also) > 0 && len(got) == len(want)), file)
	}
	if e.Status != nil {
		got := slices.Compact(slices.Sorted(slices.Values(x.Status)))
		want := slices.Compact(slices.Sorted(slices.Values(e.Status)))
		s.is("status", slices.Equal(got, want), file)
	}
}

// reached is what the corpus gives at least; no change may fall below.
var reached = []struct {
	figure string
	least  float64
}{
	{"parsed", 1},
	{"subject", 0.997},
	{"from", 0.998},
	{"message-id", 0.998},
	{"in-reply-to", 1},
	{"references", 1},
	{"text line", 0.991},
	{"attachment name", 1},
	{"attachment list", 1},
	{"attachment size", 1},
	{"attachment type", 1},
	{"reply exact", 0.944},
	{"reply similarity", 0.964},
	{"reply complete", 1},
	{"reply has", 1},
	{"bounce precision", 0.996},
	{"bounce recall", 0.996},
	{"final recipient", 0.994},
	{"status", 0.995},
	{"automatic reply precision", 1},
	{"automatic reply recall", 1},
	{"feedback report precision", 1},
	{"feedback report recall", 1},
	{"no automatic answer precision", 0.997},
	{"no automatic answer recall", 0.997},
}

// TestCorpus reads the shared mails as `deskd explain` does and prints how much
// of what is known of them it found.
func TestCorpus(t *testing.T) {
	t.Parallel()
	rules, err := triage.New(triage.Policy{Rules: triage.DefaultRules(), Secret: make([]byte, 32)})
	if err != nil {
		t.Fatal(err)
	}
	s := &score{sum: map[string]float64{}, n: map[string]int{}, wrong: map[string][]string{}, flags: map[string]*[4]int{}}
	for _, e := range expectations(t) {
		s.compare(e, e.read(t, rules))
	}
	rates := map[string]float64{}
	counts := map[string]string{}
	for f, n := range s.n {
		rates[f], counts[f] = s.sum[f]/float64(n), fmt.Sprintf("of %d", n)
	}
	for f, c := range s.flags {
		rates[f+" precision"] = float64(c[0]) / float64(max(c[0]+c[1], 1))
		rates[f+" recall"] = float64(c[0]) / float64(max(c[0]+c[2], 1))
		counts[f+" precision"] = fmt.Sprintf("%d right, %d wrong", c[0], c[1])
		counts[f+" recall"] = fmt.Sprintf("%d found, %d missed", c[0], c[2])
	}
	for _, r := range reached {
		got, ok := rates[r.figure]
		if !ok {
			t.Errorf("%s: nothing of it in the corpus", r.figure)
			continue
		}
		t.Logf("%-30s %.3f  %-22s %s", r.figure, got, counts[r.figure], strings.Join(s.wrong[r.figure][:min(len(s.wrong[r.figure]), 6)], " "))
		if got < r.least {
			t.Errorf("%s: %.4f, want at least %.3f; wrong: %q", r.figure, got, r.least, s.wrong[r.figure])
		}
	}
}
