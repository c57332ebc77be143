package main

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/emersion/go-msgauth/dkim"

	"deskd/cmd/internal/demomail"
	"deskd/mailin/mailintest"
	"deskd/store/storetest"
	"deskd/triage/ticket"
)

var tagForm = regexp.MustCompile(`\[IT-([0-9]+)\]`)

// conversation is the desk's main job from end to end, by mail alone.
func conversation(t *testing.T, s *system, d *daemon) {
	ann, noah, nadia := s.open(t, "ann@example.com"), s.open(t, "noah@example.com"), s.open(t, "nadia@example.com")
	support := []string{"support@example.com"}

	s.send(t, "ann@example.com", support, letter("ann@example.com", "support@example.com", "VPN drops in Berlin", "Since this morning."))
	ack := ann.wait("an acknowledgement", with("VPN drops in Berlin"))
	tag := tagForm.FindStringSubmatch(ack.subject())
	if tag == nil {
		t.Fatalf("the acknowledgement's subject has no tag: %q", ack.subject())
	}
	number := tag[1]
	for who, box := range map[string]*inbox{"noah": noah, "nadia": nadia} {
		notice := box.wait("a notice", with(tag[0]))
		for _, want := range []string{`"vpn"`, "high", "Network Team", "Since this morning.", "ann@example.com"} {
			if !strings.Contains(notice.text, want) {
				t.Errorf("the notice to %s does not tell %q:\n%s", who, want, notice.text)
			}
		}
	}
	v := d.show(number)
	if v.Status != ticket.Open || v.Priority != ticket.High || v.Team != "Network Team" || v.Requester != "ann@example.com" || len(v.Entries) != 1 {
		t.Fatalf("ticket: %+v", v)
	}
	notice := noah.wait("the notice", with(tag[0]))

	// A work note with a status: stored, and seen by technicians only.
	s.send(t, "noah@example.com", support, notice.answer("noah@example.com", "in progress\nThe gateway was restarted at night.\n\n> Since this morning."))
	if news := ann.wait("news of the status", with(tag[0], "in progress")); strings.Contains(string(news.raw), "gateway") {
		t.Errorf("the requester is told a work note:\n%s", news.raw)
	}
	v = d.show(number)
	if last := v.Entries[len(v.Entries)-1]; v.Status != ticket.InProgress || last.Kind != "note" || last.Visibility != "internal" ||
		last.Text != "The gateway was restarted at night." || last.Author != "noah@example.com" || !last.Verified {
		t.Fatalf("after the work note: %+v", v)
	}

	// A reply reaches the requester, the commands do not.
	s.send(t, "noah@example.com", support, notice.answer("noah@example.com", "reply\nHello Ann, please try again now."))
	reply := ann.wait("the reply", with(tag[0], "please try again now"))
	if strings.Contains(reply.text, "gateway") || strings.Contains(reply.header.Get("Auto-Submitted"), "auto") {
		t.Errorf("the reply tells a work note, or says that no person wrote it:\n%s", reply.raw)
	}

	// Resolved, and reopened by the requester's answer.
	s.send(t, "noah@example.com", support, notice.answer("noah@example.com", "Resolved."))
	ann.wait("news of the end", with(tag[0], "resolved"))
	if v = d.show(number); v.Status != ticket.Resolved {
		t.Fatalf("after resolved: %s", v.Status)
	}
	s.send(t, "ann@example.com", support, reply.answer("ann@example.com", "It dropped again at noon."))
	noah.wait("the requester's answer", with(tag[0], "It dropped again at noon."))
	if v = d.show(number); v.Status != ticket.Open {
		t.Fatalf("after the requester's answer: %s", v.Status)
	}

	// The same words without a proof change nothing, and are kept.
	entries, mails := len(v.Entries), ann.count(with(tag[0]))
	s.sendOutside(t, "noah@example.com", support, notice.answer("noah@example.com", "closed\nBye."))
	until(t, "the spoofed mail is kept", func() bool { return len(d.show(number).Entries) == entries+1 })
	v = d.show(number)
	if last := v.Entries[entries]; v.Status != ticket.Open || last.Verified || last.Visibility != "internal" || len(last.Flags) == 0 || last.Flags[0] != "unverified" {
		t.Fatalf("after the spoofed mail: %+v", v)
	}

	// A mistyped command is answered and changes nothing.
	s.send(t, "noah@example.com", support, notice.answer("noah@example.com", "#resolvd\nNew cable."))
	failed := noah.wait("an answer to the mistyped command", with(tag[0], "#resolvd"))
	if !strings.Contains(failed.text, "resolved") {
		t.Errorf("the answer does not say what would be valid:\n%s", failed.text)
	}
	if v = d.show(number); v.Status != ticket.Open {
		t.Fatalf("after a mistyped command: %s", v.Status)
	}

	s.send(t, "noah@example.com", support, notice.answer("noah@example.com", "resolved\nreply\nA new cable it is."))
	ann.wait("the last reply", with(tag[0], "A new cable it is.", "resolved"))
	if got := ann.count(with(tag[0])); got != mails+1 {
		t.Errorf("%d mails came to ann since, want the last reply alone", got-mails)
	}
	if list := d.tickets(); len(list) != 1 || list[0].Status != ticket.Resolved {
		t.Errorf("tickets: %+v", list)
	}
}

func TestConversationOverTheEmbeddedServer(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]demomail.Options{
		"with everything": {}, "without MOVE": {NoMove: true}, "without MOVE and UIDPLUS": {NoMove: true, NoUIDPlus: true}, "without IDLE": {NoIdle: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := demoSystem(t, o)
			conversation(t, s, start(t, settingsFor(t, s, "deskd.db", "")))
		})
	}
}

func TestConversationOverDovecotAndPostfix(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]mailintest.DovecotOptions{"with MOVE": {}, "without MOVE": {NoMove: true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			storetest.Each(t, func(t *testing.T, url string) {
				s := realSystem(t, o)
				conversation(t, s, start(t, settingsFor(t, s, url, "")))
			})
		})
	}
}

// answers asks the page under a name and gives the code.
func (d *daemon) answers(t *testing.T, host, path string) int {
	t.Helper()
	code, _ := d.ask(t, host, path)
	return code
}

// get gives a page.
func (d *daemon) get(t *testing.T, path string) string {
	t.Helper()
	_, text := d.ask(t, "localhost", path)
	return text
}

func (d *daemon) ask(t *testing.T, host, path string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, d.page+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Host = host
	r.Header.Set("X-Test-User", "root@example.com")
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(text)
}

func TestT39PageAnswersToTheNameThatMailsGiveIt(t *testing.T) {
	t.Parallel()
	s := demoSystem(t, demomail.Options{})
	d := start(t, replace(t, settingsFor(t, s, "deskd.db", ""), "listen: 127.0.0.1:0", "listen: 127.0.0.1:0\n  url: https://Desk.example.org/\n  hosts: [other.example.org]"))
	for host, want := range map[string]int{"desk.example.org": 200, "other.example.org": 200, "third.example.org": 421} {
		if got := d.answers(t, host, ""); got != want {
			t.Errorf("%s: got %d, want %d", host, got, want)
		}
	}
}

func TestDeskRunsWhateverItsTeamsAreCalled(t *testing.T) {
	t.Parallel()
	s := demoSystem(t, demomail.Options{})
	d := start(t, replace(t, settingsFor(t, s, "deskd.db", ""), "teams:", "teams:\n"+
		"  - {name: Сеть, list: helpdesk@example.com}\n  - {name: All, list: helpdesk@example.com}\n"+
		"  - {name: IT Ops, list: helpdesk@example.com}\n  - {name: IT-Ops, list: helpdesk@example.com}"))
	for _, queue := range []string{"all", "team-1", "team-2", "it-ops", "team-4", "helpdesk"} {
		if got := d.answers(t, "localhost", "queue/"+queue); got != 200 {
			t.Errorf("queue %s: got %d", queue, got)
		}
	}
}

func TestMailsAreWordedAndSignedAsTheSettingsSay(t *testing.T) {
	t.Parallel()
	s := demoSystem(t, demomail.Options{})
	settings := replace(t, settingsFor(t, s, "deskd.db", "language: de\ntemplates: words\n"), "smtp:\n", "smtp:\n  dkim: {domain: example.com, selector: desk, key_file: dkim.pem}\n")
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Dir(settings)
	if err := os.MkdirAll(filepath.Join(dir, "words", "de"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string][]byte{
		"dkim.pem":                     pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}),
		"words/de/acknowledgement.txt": []byte("Moin! {{.Tag}} ist da.\n\n{{template \"sign\" .}}\n"),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	start(t, settings)
	ann, noah := s.open(t, "ann@example.com"), s.open(t, "noah@example.com")
	s.send(t, "ann@example.com", []string{"support@example.com"}, letter("ann@example.com", "support@example.com", "VPN drops in Berlin", "Since this morning."))
	for _, got := range []received{
		ann.wait("the desk's own acknowledgement", with("VPN drops in Berlin", "Moin! [IT-")),
		noah.wait("a notice in German", with("VPN drops in Berlin", "Neues Ticket", "Priorität hoch", `Regel „vpn“: „vpn“ gefunden in Betreff`)),
	} {
		found, err := dkim.VerifyWithOptions(bytes.NewReader(got.raw), &dkim.VerifyOptions{LookupTXT: func(string) ([]string, error) {
			return []string{"v=DKIM1; k=ed25519; p=" + base64.StdEncoding.EncodeToString(public)}, nil
		}})
		if err != nil || len(found) != 1 || found[0].Err != nil {
			t.Errorf("the signature does not hold (%v): %+v\n%s", err, found, got.raw)
		}
	}
}
