package page

import (
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"golang.org/x/net/html"

	"deskd/triage"
)

// said gives all that a page says itself: texts and spoken attributes, without
// what came in from elsewhere.
func said(doc *html.Node) []string {
	var list []string
	var walk func(*html.Node)
	walk = func(n *html.Node) {
		if n.Type == html.ElementNode && isForeign(html.Token{Data: n.Data, Attr: n.Attr}) {
			return
		}
		for _, a := range n.Attr {
			if spoken[a.Key] {
				list = append(list, a.Val)
			}
		}
		if n.Type == html.TextNode && strings.TrimSpace(n.Data) != "" {
			list = append(list, strings.Join(strings.Fields(n.Data), " "))
		}
		for c := range n.ChildNodes() {
			walk(c)
		}
	}
	walk(doc)
	return list
}

// alike are words that are the same in both languages, and names.
var alike = []string{
	"Team", "Status", "Tags", "Name", "Code", "Browser", "Administration", "Spam", "Ticket", "Tickets", "deskd 1.0.0", "IT Service Desk", "Helpdesk",
	"Network Team", "Desktop Support", "System Administrator", "SHA-256", "Message-ID", "02ff", "01", "03", "04", "IT-1055", "ABCD-EFGH",
}

// lengthOrSize is a length of time or a size, which both languages write so.
var lengthOrSize = regexp.MustCompile(`^(in )?[\d.]+ (min|h|d|s|kB|MB)( \d+ (min|h))?$`)

func TestGermanPagesAreGerman(t *testing.T) {
	t.Parallel()
	missing := map[string]string{}
	for _, tt := range goldenPages() {
		o := options(tt.source)
		o.Held = func() string { return tt.held }
		r := asked(http.MethodGet, tt.target, by(tt.who), nil)
		english := said(document(t, answer(open(t, o), r)))
		r.Header.Set("Accept-Language", "de-AT,de;q=0.9,en;q=0.5")
		w := answer(open(t, o), r)
		if got := w.Header().Get("Content-Language"); got != "de" || !strings.Contains(w.Body.String(), `<html lang="de">`) {
			t.Errorf("%s: language %q", tt.name, got)
		}
		if !utf8.Valid(w.Body.Bytes()) {
			t.Errorf("%s: not UTF-8", tt.name)
		}
		german := said(document(t, w))
		if len(german) != len(english) {
			t.Errorf("%s: %d texts in German, %d in English", tt.name, len(german), len(english))
			continue
		}
		for i, s := range english {
			if german[i] == s && letter.MatchString(s) && !slices.Contains(alike, s) && !strings.HasPrefix(s, "IT-") && !strings.HasSuffix(s, " · IT Service Desk") && !lengthOrSize.MatchString(s) {
				missing[s] = tt.name
			}
		}
	}
	for reason, s := range reasonWords {
		if s != "" && german.say(s) == s {
			missing[s] = "the reason " + reason
		}
	}
	for _, what := range []string{
		"created", triage.AssigneeEvent, triage.PriorityEvent, triage.ParticipantEvent, triage.DueEvent, triage.LinkEvent, triage.MergeEvent, triage.MergedInEvent,
		"linked", triage.BlockEvent, "muted", "unmuted", "reminded", "not reminded", "commands", "delivery failed", "mail held back", string(triage.Automatic), string(triage.Refused),
	} {
		if s := capital(what); german.say(s) == s {
			missing[s] = "the event"
		}
	}
	for s, where := range missing {
		t.Errorf("%s: %q has no German", where, s)
	}
}

func TestTranslationTouchesNothingFromOutside(t *testing.T) {
	t.Parallel()
	const in = `<html lang="en"><p title="Mail">Mail</p> <bdi>Mail <b>Mail</b></bdi> <div class="prose">Mail<div>Mail</div>Mail</div><code>Mail</code><p title="&lt;Mail&gt;"> Mail &amp; &lt;b&gt; </p><p>Mail</p><bdi>My tickets</bdi><div class="prose">My tickets</div>`
	const want = `<html lang="de"><p title="E-Mail">E-Mail</p> <bdi>Mail <b>Mail</b></bdi> <div class="prose">Mail<div>Mail</div>Mail</div><code>Mail</code><p title="&lt;Mail&gt;"> Mail &amp; &lt;b&gt; </p><p>E-Mail</p><bdi>Meine Tickets</bdi><div class="prose">My tickets</div>`
	if got := string(german.page([]byte(in))); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	for in, want := range map[string]string{"5 min ago": "vor 5 min", "in 2 days": "in 2 Tagen", "Mon 23 Nov 2026, 16:02": "Mo 23. Nov. 2026, 16:02", "Nothing like it": "Nothing like it", "Overdue": "Überfällig"} {
		if got := german.say(in); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

func TestALongSubjectIsNotTakenForAPattern(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("a or ", 50_000) + "a ago" // would take hours
	if got := german.say(long); got != long {
		t.Errorf("got %.60q", got)
	}
}

func TestTheLanguageIsTheOneThatTheBrowserWantsMost(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ desk, header, want string }{
		{"", "", "en"},
		{"de", "", "de"},
		{"de", "en", "en"},
		{"", "de", "de"},
		{"", "fr,de;q=0.3", "de"},
		{"", "de;q=0.3,en-GB;q=0.4", "en"},
		{"de", "fr", "de"},
		{"", "de;q=x", "en"},
		{"", "DE-ch", "de"},
		{"", strings.Repeat("de;q=0,", 1000), "en"},
	} {
		o := options(busy())
		o.Language = tt.desk
		r := asked(http.MethodGet, "/", admin, nil)
		r.Header.Set("Accept-Language", tt.header)
		if got := answer(open(t, o), r).Header().Get("Content-Language"); got != tt.want {
			t.Errorf("%q, %q: got %s, want %s", tt.desk, tt.header, got, tt.want)
		}
	}
}
