package mailout

import (
	"bytes"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"net/textproto"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/html"

	"deskd/triage"
	"deskd/triage/ticket"
)

var (
	ann = triage.Address{Name: "Ann Miller", Addr: "ann@example.com"}
	bob = triage.Address{Name: "Bob Weber", Addr: "bob@example.com"}
)

// occasion is a plain one of its kind, as the desk would make it.
func occasion(k Kind) Occasion {
	o := Occasion{
		Kind: k, Key: "intake:7/" + string(k), At: time.Date(2026, 11, 23, 9, 15, 30, 0, time.UTC),
		From: "support@example.com", To: []triage.Address{ann}, Ticket: vpn(), Authenticated: true,
	}
	thread := []string{"first@support.example.com"}
	switch k {
	case Acknowledgement, CommandError, ReplyFailed, Transcript, Answer, Challenge:
		o.InReplyTo, o.References = "one@laptop.example.com", []string{"zero@laptop.example.com"}
	case Reply, StatusNotice, AnswerNotice, NoteNotice, AssignNotice, MoveNotice, DueNotice, MergeNotice, TakenNotice:
		o.InReplyTo, o.References = thread[0], thread
	}
	switch k {
	case TeamNotice:
		o.To = []triage.Address{{Name: "Network Team", Addr: "network@example.com"}}
		o.Reasons = []string{`"vpn" in the subject: high, Network Team`, `"printer" in the text: medium, Desktop Support (outranked)`}
		o.Text = "Hello,\n\nsince this morning the VPN says\n\n    error 812\n\n#resolved\n> and more\nAnn\n"
		o.Attachments = []Attachment{{Name: "screenshot.png", Type: "image/png", Data: bytes.Repeat([]byte{0x89, 'P'}, 40000)}}
		o.AttachmentNames = []string{"recording.mp4"}
		o.Notes = []string{
			"the mail claims to belong to [IT-1040], but its sender has no part in that ticket", "the sender marked the mail as important",
		}
	case Reply:
		o.Actor = bob
		o.Text = "Hello Ann,\n\nwe have restarted the gateway. Does it work again?\n\nBob"
		o.Ticket.Status = ticket.Waiting
	case StatusNotice:
		o.Actor, o.Before, o.After = bob, "in progress", "resolved"
		o.Ticket.Status = ticket.Resolved
	case AnswerNotice:
		o.To, o.Actor = []triage.Address{bob}, ann
		o.Text, o.Before, o.After = "It is broken again.\nreopen", "resolved", "open"
		o.Ticket.Assignee = "bob@example.com"
	case CommandError:
		o.To = []triage.Address{bob}
		o.Text = "#resloved\nReplaced the cable."
		o.Errors = []triage.CommandError{{
			Line: "#resloved", Why: `there is no command "resloved"`,
			Valid: `did you mean "resolved"? Possible are open, in progress, waiting, resolved, closed`,
		}}
	case ReplyFailed:
		o.To, o.Actor = []triage.Address{bob}, bob
		o.Text = "Is it this floor only?"
		o.Errors = []triage.CommandError{{Why: "the requester's address is not known", Valid: "reach them another way, for example by telephone"}}
	case AssignNotice:
		o.To, o.Actor = []triage.Address{bob}, triage.Address{Name: "Cleo Park", Addr: "cleo@example.com"}
		o.Text = "You know this gateway best."
		o.Ticket.Status, o.Ticket.Assignee = ticket.InProgress, "bob@example.com"
	case MoveNotice:
		o.To, o.Actor = []triage.Address{{Addr: "network@example.com"}}, bob
		o.Text, o.Before, o.After = "Not a printer after all.", "Desktop Support", "Network Team"
	case Transcript:
		o.To, o.Actor, o.Text = []triage.Address{bob}, bob, "Replaced the cable."
		o.Effects = []triage.Effect{
			{Line: "take", Before: "nobody", After: "bob@example.com"},
			{Line: "priority: high", Before: "high", After: "high"},
			{Line: "reply", After: "the text is a message to the requester"},
			{Line: "#resolved", Before: "in progress", After: "resolved"},
		}
		o.Told = []string{"ann@example.com (reply)"}
	case Answer:
		o.To, o.Actor = []triage.Address{bob}, bob
		o.Sections = []Section{
			{"2 tickets are assigned to you:", []string{"[IT-1042] VPN is down again\nin progress, high, from Ann Miller, 3 days ago", "[IT-1051] Printer\nwaiting, low"}},
			{`For one of them write "show" and its number, or commands behind its number, as in "1042 take".`, nil},
		}
	case Challenge:
		o.To, o.Actor = []triage.Address{bob}, bob
		o.Sections = []Section{{"The mail asks for:", []string{"take", "#resolved"}}}
		o.Notes = []string{"our mail server says dmarc=fail"}
	case Alert:
		o.To, o.Ticket = []triage.Address{bob}, TicketView{}
		o.Sections = []Section{
			{"Wrong at present:", []string{"Incoming mail (support@example.com): not working for 6 min.", "Nothing is sent: the login is refused"}},
			{"Mended since:", []string{"A mail went into quarantine 3 h ago: it could not be handled."}},
		}
	case RoundTrip:
		o.To, o.Ticket = []triage.Address{{Addr: "support@example.com"}}, TicketView{}
	case SignIn:
		o.To, o.Ticket = []triage.Address{{Addr: "ann@example.com"}}, TicketView{}
		o.Link, o.Code = "https://desk.example.com/sign-in/4KJ2QZ7XW3MNB5TRLHVC6DGAEY", "KQ4M-7ZTP"
	case DueNotice:
		o.To = []triage.Address{bob}
		o.Ticket.Status, o.Ticket.Assignee, o.Ticket.DueAt = ticket.InProgress, "bob@example.com", time.Date(2026, 11, 27, 9, 0, 0, 0, time.UTC)
	case MergeNotice:
		o.Actor, o.Before, o.After = bob, "[IT-1050]", "[IT-1042]"
	case TakenNotice:
		o.To, o.Actor = []triage.Address{{Addr: "network@example.com"}}, bob
		o.Ticket.Status, o.Ticket.Assignee = ticket.InProgress, "bob@example.com"
	case NoteNotice:
		o.To, o.Actor = []triage.Address{bob}, triage.Address{Name: "Cleo Park", Addr: "cleo@example.com"}
		o.Text = "The gateway log is full of timeouts.\nI have asked the provider."
		o.Ticket.Status, o.Ticket.Assignee = ticket.InProgress, "bob@example.com"
	}
	return o
}

var kinds = []Kind{Acknowledgement, TeamNotice, Reply, StatusNotice, AnswerNotice, CommandError, ReplyFailed, NoteNotice, AssignNotice, MoveNotice, Transcript, Answer, Challenge, DueNotice, MergeNotice, TakenNotice, Alert, RoundTrip, SignIn}

func compose(t testing.TB, o Occasion) (Composed, *mail.Message, string) {
	t.Helper()
	c, err := mailer(t, Config{}).Compose(o)
	if err != nil {
		t.Fatalf("Compose: %v", err)
	}
	msg, err := mail.ReadMessage(bytes.NewReader(c.Bytes))
	if err != nil {
		t.Fatalf("read back: %v", err)
	}
	return c, msg, bodyText(t, c.Bytes)
}

// bodyText is the readable text of a composed mail, with LF line ends.
func bodyText(t testing.TB, b []byte) string {
	t.Helper()
	return partText(t, b, "text/plain")
}

// partText gives the text or the HTML of a composed mail, with LF line ends.
func partText(t testing.TB, b []byte, media string) string {
	t.Helper()
	msg, err := mail.ReadMessage(bytes.NewReader(b))
	if err != nil {
		t.Fatalf("read back: %v", err)
	}
	var find func(h textproto.MIMEHeader, body io.Reader) string
	find = func(h textproto.MIMEHeader, body io.Reader) string {
		typ, params, err := mime.ParseMediaType(h.Get("Content-Type"))
		switch {
		case err != nil:
			t.Fatalf("Content-Type: %v", err)
		case typ == media:
			text, err := io.ReadAll(quotedprintable.NewReader(body))
			if err != nil {
				t.Fatalf("decode: %v", err)
			}
			return strings.ReplaceAll(string(text), "\r\n", "\n")
		case params["boundary"] != "":
			for parts := multipart.NewReader(body, params["boundary"]); ; {
				part, err := parts.NextRawPart()
				if err != nil {
					return ""
				}
				if text := find(part.Header, part); text != "" {
					return text
				}
			}
		}
		return ""
	}
	return find(textproto.MIMEHeader(msg.Header), msg.Body)
}

func TestMailsReadAsTheGoldenFilesShow(t *testing.T) {
	t.Parallel()
	cases := map[string]Occasion{}
	for _, k := range kinds {
		cases[string(k)] = occasion(k)
	}
	o := occasion(Acknowledgement)
	o.Authenticated = false
	cases["acknowledgement-unproven"] = o
	o = occasion(TeamNotice)
	o.Authenticated, o.Attachments, o.AttachmentNames, o.Reasons, o.Text = false, nil, nil, nil, ""
	o.Ticket.Requester.Name = ""
	o.Notes = []string{"not verified: no server of ours vouches for the sender"}
	cases["team-notice-unproven"] = o
	o = occasion(TeamNotice)
	o.Authenticated, o.Attachments, o.AttachmentNames, o.Reasons, o.Text = false, nil, nil, nil, ""
	o.Ticket.Subject, o.Ticket.Requester = "A mail could not be handled", triage.Address{}
	o.Notes = []string{"a mail lies in quarantine"}
	cases["team-notice-without-requester"] = o
	for _, s := range ticket.Statuses() {
		o = occasion(StatusNotice)
		o.After, o.Ticket.Status = s.Label(), s
		cases["status-notice-"+strings.ReplaceAll(s.Label(), " ", "-")] = o
	}
	o = occasion(StatusNotice)
	o.Before, o.After, o.Ticket.Status = "closed", "open", ticket.Open
	cases["status-notice-reopened"] = o
	o = occasion(Reply)
	o.Ticket.Status = ticket.Resolved
	cases["reply-resolved"] = o
	o = occasion(Answer)
	o.To, o.Actor, o.Public = []triage.Address{ann}, ann, true
	o.Sections = []Section{{"[IT-1042] VPN is down again", []string{"in progress; the Network Team works on it"}}}
	cases["answer-to-requester"] = o
	o = occasion(CommandError)
	o.Ticket = TicketView{Subject: "1042 resolved"}
	o.Errors = append(o.Errors, triage.CommandError{Line: "status: green", Why: `"green" is not a status`})
	cases["command-error-without-ticket"] = o

	for _, k := range kinds { // and each once to a German address
		o := occasion(k)
		o.To = []triage.Address{{Name: o.To[0].Name, Addr: strings.Replace(o.To[0].Addr, "example.com", "example.de", 1)}}
		o.Ticket.Requester.Addr = "ann@example.de"
		cases["de-"+string(k)] = o
	}
	for _, s := range ticket.Statuses() {
		o = cases["de-"+string(StatusNotice)]
		o.After, o.Ticket.Status = s.Label(), s
		cases["de-status-notice-"+strings.ReplaceAll(s.Label(), " ", "-")] = o
	}

	for name, o := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, _, text := compose(t, o)
			head, _, _ := bytes.Cut(c.Bytes, []byte("\r\n\r\n"))
			got := strings.ReplaceAll(string(head), "\r\n", "\n") + "\n\n" + text + "\n==== the same in HTML ====\n\n" + partText(t, c.Bytes, "text/html")
			if *htmlDir != "" {
				if err := os.WriteFile(filepath.Join(*htmlDir, name+".html"), []byte(partText(t, c.Bytes, "text/html")), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			file := filepath.Join("testdata", name+".golden")
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("the mail reads otherwise (-want +got):\n%s", diff)
			}
		})
	}
}

func TestT16_T17_EachKindSaysWhatWroteIt(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		kind                      Kind
		auto, suppress, prec, lid string
	}{
		{Acknowledgement, "auto-replied", "All", "", "<desk.example.com>"},
		{Transcript, "auto-replied", "All", "", "<desk.example.com>"},
		{AssignNotice, "auto-generated", "All", "bulk", "<desk.example.com>"},
		{MoveNotice, "auto-generated", "All", "bulk", "<desk.example.com>"},
		{ReplyFailed, "auto-replied", "All", "", "<desk.example.com>"},
		{CommandError, "auto-replied", "All", "", "<desk.example.com>"},
		{TeamNotice, "auto-generated", "All", "bulk", "<desk.example.com>"},
		{StatusNotice, "auto-generated", "All", "bulk", "<desk.example.com>"},
		{AnswerNotice, "auto-generated", "All", "bulk", "<desk.example.com>"},
		{NoteNotice, "auto-generated", "All", "bulk", "<desk.example.com>"},
		{Answer, "auto-replied", "All", "", "<desk.example.com>"},
		{Challenge, "auto-replied", "All", "", "<desk.example.com>"},
		{DueNotice, "auto-generated", "All", "bulk", "<desk.example.com>"},
		{MergeNotice, "auto-generated", "All", "bulk", "<desk.example.com>"},
		{TakenNotice, "auto-generated", "All", "bulk", "<desk.example.com>"},
		{Reply, "", "", "", ""}, // a person's mail
	} {
		o := occasion(c.kind)
		composed, msg, _ := compose(t, o)
		got := []string{
			msg.Header.Get("Auto-Submitted"), msg.Header.Get("X-Auto-Response-Suppress"),
			msg.Header.Get("Precedence"), msg.Header.Get("List-Id"),
		}
		if diff := cmp.Diff([]string{c.auto, c.suppress, c.prec, c.lid}, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.kind, diff)
		}
		if mark := msg.Header.Get(triage.LoopField); !identity().Signer.VerifyLoopMark(mark, composed.MessageID) {
			t.Errorf("%s: loop mark %q is not ours", c.kind, mark)
		}
	}
}

func TestMessageIDLeadsBackToTheTicketAndNeverRepeats(t *testing.T) {
	t.Parallel()
	a, _, _ := compose(t, occasion(TeamNotice))
	n, ok := identity().Signer.VerifyMessageID(a.MessageID)
	if !ok || n != 1042 {
		t.Errorf("VerifyMessageID(%q) = %v, %v", a.MessageID, n, ok)
	}
	o := occasion(TeamNotice)
	o.Ticket.Key = []byte("another database") // restored from a backup: same number, same outbox key
	b, _, _ := compose(t, o)
	if a.MessageID == b.MessageID {
		t.Error("two tickets with the same number have the same Message-ID")
	}
}

func TestF30_SameOccasionGivesSameBytes(t *testing.T) {
	t.Parallel()
	for _, k := range kinds {
		a, _, _ := compose(t, occasion(k))
		b, _, _ := compose(t, occasion(k))
		if !bytes.Equal(a.Bytes, b.Bytes) {
			t.Errorf("%s: two renderings differ", k)
		}
	}
}

func TestSubjectHasTheOneTagThatIsRight(t *testing.T) {
	t.Parallel()
	m := mailer(t, Config{})
	for _, c := range []struct{ in, want string }{
		{"VPN is down", "[IT-1042] VPN is down"},
		{"Re: [IT-1042] VPN is down", "[IT-1042] VPN is down"},
		{"AW: RE: [IT-7] Fwd: [HELP-12] VPN", "[IT-1042] VPN"},
		{"[INC0012345] VPN [other #79]", "[IT-1042] [INC0012345] VPN [other #79]"},
		{"", "[IT-1042] (no subject)"},
		{"Re:", "[IT-1042] (no subject)"},
		{"a   \u2028b", "[IT-1042] a b"},
		{"r\u202eversed", "[IT-1042] rversed"},
		{"Drücker läuft nicht – 印刷", "[IT-1042] Drücker läuft nicht – 印刷"},
		{"=?utf-8?q?sly?=", "[IT-1042] =?utf-8?q?sly?="},
		{strings.Repeat("long ", 100), "[IT-1042] " + strings.TrimSpace(strings.Repeat("long ", 38)[:189]) + "…"},
	} {
		o := occasion(TeamNotice)
		o.Ticket.Subject = c.in
		got, err := m.Compose(o)
		if err != nil || got.Subject != c.want {
			t.Errorf("subject %q becomes %q (%v), want %q", c.in, got.Subject, err, c.want)
		}
	}
}

func TestT20_UnprovenSenderIsAnsweredWithoutAWordOfHis(t *testing.T) {
	t.Parallel()
	const canary = "CANARY"
	o := occasion(Acknowledgement)
	o.Authenticated = false
	o.Ticket.Subject = canary + " subject"
	o.Ticket.Requester.Name = canary + " name"
	o.To = []triage.Address{{Name: canary + " to", Addr: "ann@example.com"}, {Addr: canary + "@example.com"}}
	o.Cc = []triage.Address{{Name: canary, Addr: "cc@example.com"}}
	o.Actor = triage.Address{Name: canary, Addr: "ann@example.com"}
	o.Text, o.Reasons, o.Notes = canary, []string{canary}, []string{canary}
	o.Attachments = []Attachment{{Name: canary, Data: []byte(canary)}}
	o.AttachmentNames = []string{canary}
	o.References = []string{canary + "@example.com"}
	c, msg, text := compose(t, o)
	if bytes.Contains(bytes.ToUpper(c.Bytes), []byte(canary)) || strings.Contains(text, canary) {
		t.Errorf("the sender's text came through:\n%s", c.Bytes)
	}
	if c.Subject != "[IT-1042] We have your request" || msg.Header.Get("To") != "<ann@example.com>" {
		t.Errorf("subject %q to %q", c.Subject, msg.Header.Get("To"))
	}
	for _, want := range []string{"[IT-1042]", "Network Team", "high"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in:\n%s", want, text)
		}
	}
}

func TestT20_AnswerToAnUnprovenSenderHasASubjectOfOurs(t *testing.T) {
	t.Parallel()
	o := occasion(Answer)
	o.Authenticated, o.Public, o.Ticket.Subject = false, true, "CANARY http://evil.example"
	if c, _, _ := compose(t, o); strings.Contains(string(c.Bytes), "CANARY") {
		t.Errorf("the ticket's subject came through: %q", c.Subject)
	}
}

func TestT23_LineEndsAndControlsAreRefusedInEveryHeader(t *testing.T) {
	t.Parallel()
	m := mailer(t, Config{})
	for _, bad := range []string{"\r\nBcc: eve@example.net", "\n", "\r", "\x00", "\x1b[31m", "\x7f", "\u0085", "\xff"} {
		for what, set := range map[string]func(*Occasion){
			"To name":         func(o *Occasion) { o.To[0].Name += bad },
			"To":              func(o *Occasion) { o.To[0].Addr += bad },
			"To local part":   func(o *Occasion) { o.To[0].Addr = "a" + bad + "@example.com" },
			"Cc name":         func(o *Occasion) { o.Cc = []triage.Address{{Name: bad + "x", Addr: "b@example.com"}} },
			"Cc":              func(o *Occasion) { o.Cc = []triage.Address{{Addr: bad}} },
			"From":            func(o *Occasion) { o.From += bad },
			"subject":         func(o *Occasion) { o.Ticket.Subject = "x" + bad },
			"attachment name": func(o *Occasion) { o.Attachments = []Attachment{{Name: "a" + bad + ".txt"}} },
		} {
			o := occasion(AnswerNotice)
			o.To = []triage.Address{bob}
			set(&o)
			if c, err := m.Compose(o); err == nil {
				t.Errorf("%s with %q was taken:\n%s", what, bad, c.Bytes)
			}
		}
	}
}

func TestT23_SubjectAndTypesCannotAddFields(t *testing.T) {
	t.Parallel()
	m := mailer(t, Config{})
	for _, bad := range []string{"x\r\nBcc: eve@example.net", "x\r\n\r\n<html>", "x\x00y", "x\u2028Bcc: e"} {
		o := occasion(TeamNotice)
		o.Ticket.Subject = strings.ReplaceAll(strings.ReplaceAll(bad, "\r\n", "\u2028"), "\x00", "")
		o.Attachments[0].Type = bad
		o.InReplyTo, o.References = bad+"@x", []string{bad + "@y", "<z@z>"}
		c, err := m.Compose(o)
		if err != nil {
			t.Errorf("%q: %v", bad, err)
			continue
		}
		onlyExpectedFields(t, c.Bytes)
		if bytes.Contains(c.Bytes, []byte("\nBcc")) {
			t.Errorf("%q made a field:\n%s", bad, headerOf(c.Bytes))
		}
	}
}

// expectedFields are all the fields that a mail of ours may have.
var expectedFields = map[string]bool{
	"Auto-Submitted": true, "Cc": true, "Content-Transfer-Encoding": true, "Content-Type": true, "Date": true,
	"From": true, "In-Reply-To": true, "List-Id": true, "MIME-Version": true, "Message-ID": true, "Precedence": true,
	"References": true, "Subject": true, "To": true, "X-Auto-Response-Suppress": true, "X-Deskd-Loop": true,
}

// onlyExpectedFields reads the header without any library.
func onlyExpectedFields(t testing.TB, b []byte) {
	t.Helper()
	seen := map[string]bool{}
	for line := range strings.SplitSeq(string(headerOf(b)), "\r\n") {
		if strings.HasPrefix(line, " ") && strings.TrimSpace(line) != "" {
			continue
		}
		name, _, ok := strings.Cut(line, ":")
		if !ok || !expectedFields[name] || seen[name] {
			t.Errorf("unexpected header line %q in\n%s", line, headerOf(b))
		}
		seen[name] = true
	}
	for _, name := range []string{"Date", "From", "To", "Subject", "Message-ID", "MIME-Version", "Content-Type", "X-Deskd-Loop"} {
		if !seen[name] {
			t.Errorf("%s is missing in\n%s", name, headerOf(b))
		}
	}
}

func FuzzT23_BuilderMakesOnlyTheExpectedFields(f *testing.F) {
	f.Add("VPN", "Ann", "ann@example.com", "text\n.\n", "a.txt", "text/plain", "id@host", "reason", uint8(1))
	f.Add("a\r\nBcc: x@y", "\"x\" <e@f>", "a@b\r\nX: y", "\r\n.\r\nMAIL FROM:<a@b>\r\n", "../../x\r\n", "a/b\r\nc", "<a@b>\r\n", "\x00", uint8(0))
	f.Add("=?utf-8?q?a?=", "=?utf-8?q?b?=", "\"a b\"@example.com", "--deskd-", "ä\u202e.exe", "message/rfc822", "a@b c@d", "", uint8(3))
	f.Add(strings.Repeat("x", 5000), strings.Repeat("ä", 300), "a@b", strings.Repeat("y", 3000), strings.Repeat("z", 400), "x", strings.Repeat("i", 240)+"@h", "", uint8(2))
	m := mailer(f, Config{})
	f.Fuzz(func(t *testing.T, subject, name, addr, text, file, typ, id, reason string, kind uint8) {
		o := occasion(kinds[int(kind)%len(kinds)])
		o.Ticket.Subject, o.Ticket.Requester = subject, triage.Address{Name: name, Addr: addr}
		o.To = []triage.Address{{Name: name, Addr: addr}}
		o.Cc = []triage.Address{{Name: name, Addr: "cc@example.com"}}
		o.Text, o.Reasons, o.Notes = text, []string{reason}, []string{reason}
		o.Attachments = []Attachment{{Name: file, Type: typ, Data: []byte(text)}}
		o.AttachmentNames = []string{file}
		o.InReplyTo, o.References = id, []string{id, id + "2"}
		o.Errors = []triage.CommandError{{Line: reason, Why: reason, Valid: reason}}
		o.Effects, o.Told = []triage.Effect{{Line: reason, Before: subject, After: reason}}, []string{reason}
		o.Actor.Name = name
		c, err := m.Compose(o)
		if err != nil {
			if _, no := mailbox(addr); no == nil && fit(subject) == nil && fit(name) == nil && fit(file) == nil && len(addr) < 100 {
				t.Errorf("nothing is wrong with it: %v", err)
			}
			return
		}
		onlyExpectedFields(t, c.Bytes)
		if !clean(c.Bytes) {
			t.Errorf("bare line ends in %q", c.Bytes)
		}
		for line := range bytes.SplitSeq(c.Bytes, []byte("\r\n")) {
			if len(line) > 998 {
				t.Errorf("a line of %d bytes", len(line))
			}
		}
	})
}

func TestOrdinaryMailIsNeverRefused(t *testing.T) {
	t.Parallel()
	m := mailer(t, Config{})
	for _, name := range []string{
		"", "Ann", "Müller, Jürgen (IT)", `He said "no"`, "boss@corp.example", "山田 太郎", "=?utf-8?q?x?=", "a\\b", `FIRMA\müller`, "  spaced  out ",
		"Ann \U0001F600", strings.Repeat("very long name ", 30), strings.Repeat("x", 300), "A.B.", "'quoted'", "r\u202el",
	} {
		for _, addr := range []string{"ann@example.com", "a.b+c_d-e@sub.example.com", `"a b"@example.com`, "jürgen@example.com", "o'neil@example.com", "x@[127.0.0.1]"} {
			o := occasion(TeamNotice)
			o.Ticket.Requester = triage.Address{Name: name, Addr: addr}
			o.To = []triage.Address{o.Ticket.Requester, bob}
			o.Attachments = []Attachment{{Name: "Übersicht \"Q3\" (final).xlsx", Type: "application/vnd.ms-excel; x=y"}, {Name: "mail.eml", Type: "message/rfc822"}, {Name: "", Type: ""}}
			if _, err := m.Compose(o); err != nil {
				t.Errorf("name %q, address %q: %v", name, addr, err)
			}
		}
	}
}

func TestT08_EveryRequesterLineIsQuoted(t *testing.T) {
	t.Parallel()
	for _, k := range []Kind{TeamNotice, AnswerNotice, NoteNotice, AssignNotice, MoveNotice, CommandError} {
		for _, end := range []string{"\n", "\r\n", "\r", "\v", "\f", "\u0085", "\u2028", "\u2029"} {
			o := occasion(k)
			o.Text = strings.Join([]string{"#resolved", "", "close", Delimiter, "  #take"}, end)
			o.Ticket.Requester.Name, o.Actor.Name, o.Ticket.Subject = "#closed", "#closed", "#resolved"
			_, _, text := compose(t, o)
			if !strings.HasPrefix(text, Delimiter+"\n") {
				t.Fatalf("%s does not begin with the delimiter:\n%s", k, text)
			}
			for i, line := range strings.Split(text, "\n") {
				own := strings.TrimSpace(line)
				if i > 0 && (own == Delimiter || strings.HasPrefix(own, "#") || own == "close") {
					t.Errorf("%s, line end %q: line %q is not quoted", k, end, line)
				}
			}
		}
	}
}

func TestT24_BodyTricksArriveAsText(t *testing.T) {
	t.Parallel()
	for _, trick := range []string{
		"a\n.\nMAIL FROM:<eve@example.net>", "a\r.\rb", "a\r\n.\r\nQUIT", ".", "..", "From eve", strings.Repeat("long", 1000),
		"--deskd-0000", "tab\tend \t", "=0A=0D", "nul\x00bel\x07", "\xff\xfe",
	} {
		o := occasion(TeamNotice)
		o.Attachments, o.Text = nil, trick
		c, _, text := compose(t, o)
		if !clean(c.Bytes) {
			t.Errorf("%q: bare line ends in the mail", trick)
		}
		for line := range bytes.SplitSeq(c.Bytes, []byte("\r\n")) {
			if len(line) > 78 {
				t.Errorf("%q: a line of %d bytes", trick, len(line))
			}
		}
		if want := quote(trick); !strings.Contains(text, want) {
			t.Errorf("%q reads otherwise:\n%s", trick, text)
		}
	}
}

func TestT25_MarkupArrivesAsText(t *testing.T) {
	t.Parallel()
	const evil = `<script>alert(1)</script> <img src="https://example.net/pixel"> "'</p>& {{.Desk}} javascript:x`
	for _, k := range kinds {
		o := occasion(k)
		o.Text, o.Ticket.Subject, o.Ticket.Team, o.Ticket.Assignee = evil+"\n  Take it:  <mailto:eve@example.net>\nhttps://example.net/", "{{.Desk}} "+evil, evil, evil
		o.Ticket.Requester.Name, o.Actor.Name = evil, evil
		o.Reasons, o.Notes, o.Told, o.AttachmentNames = []string{evil}, []string{evil}, []string{evil}, []string{evil}
		o.Errors = []triage.CommandError{{Line: evil, Why: evil, Valid: evil}}
		o.Effects = []triage.Effect{{Line: evil, Before: evil, After: evil + "2"}}
		o.Sections = []Section{{evil, []string{evil + "\n" + evil, evil}}}
		o.Before, o.After = evil, evil+"2"
		c, _, text := compose(t, o)
		if strings.Contains(text, "&lt;") || strings.Contains(text, "&#") {
			t.Errorf("%s: the text is escaped:\n%s", k, text)
		}
		inert(t, partText(t, c.Bytes, "text/html"))
	}
}

// inert fails on HTML that does more than to show text: on an element that
// our mails do not have, on an attribute that loads something, on a link that
// is not ours.
func inert(t *testing.T, src string) {
	t.Helper()
	elements := " html head meta body div p br blockquote ul li table tbody tr td a span "
	attributes := " style lang charset name content role cellpadding cellspacing border align bgcolor href "
	z := html.NewTokenizer(strings.NewReader(src))
	for {
		switch z.Next() {
		case html.ErrorToken:
			return
		case html.CommentToken:
			t.Errorf("a comment: %s", z.Raw())
		case html.StartTagToken, html.SelfClosingTagToken, html.EndTagToken:
			tag := z.Token()
			if !strings.Contains(elements, " "+tag.Data+" ") {
				t.Errorf("an element that is not ours: %s", tag)
			}
			for _, a := range tag.Attr {
				switch {
				case !strings.Contains(attributes, " "+a.Key+" "), a.Key == "style" && strings.Contains(a.Val, "url("):
					t.Errorf("an attribute that is not ours: %s", tag)
				case a.Key == "href" && !strings.HasPrefix(a.Val, "mailto:support@example.com?") && a.Val != "https://desk.example.com/ticket/1042" && a.Val != occasion(SignIn).Link:
					t.Errorf("a link that is not ours: %s", tag)
				}
			}
		}
	}
}

func TestT25_HTMLSaysWhatTheTextSays(t *testing.T) {
	t.Parallel()
	words := func(s string) string { return strings.Join(strings.Fields(s), " ") }
	for _, k := range kinds {
		o := occasion(k)
		c, _, text := compose(t, o)
		doc, err := html.Parse(strings.NewReader(partText(t, c.Bytes, "text/html")))
		if err != nil {
			t.Fatal(err)
		}
		var b strings.Builder
		for n := range doc.Descendants() {
			if n.Type == html.TextNode {
				b.WriteString(n.Data)
			}
			if n.Type == html.ElementNode && n.Data != "span" && n.Data != "a" {
				b.WriteString(" ")
			}
		}
		// What stands in the text for furniture: list marks, and the links behind the buttons.
		var want []string
		for line := range strings.Lines(text) {
			line = strings.TrimPrefix(line, "  - ")
			if label, _, ok := strings.Cut(line, ":  "); ok && (strings.Contains(line, " <mailto:") || strings.Contains(line, "<"+o.Link+">") && o.Link != "") {
				line = label
			}
			want = append(want, line)
		}
		if diff := cmp.Diff(words(strings.Join(want, " ")), words(b.String())); diff != "" {
			t.Errorf("%s: the HTML says something else (-text +HTML):\n%s", k, diff)
		}
	}
}

func TestLinksFillInAddressSubjectAndCommand(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ addr, subject, body, want string }{
		{"support@example.com", "[IT-1042]", "#in progress", "mailto:support@example.com?subject=%5BIT-1042%5D&body=%23in%20progress"},
		{"support+1042.x@example.com", "a&b=c?d", "#reply\r\n\r\n", "mailto:support%2B1042.x@example.com?subject=a%26b%3Dc%3Fd&body=%23reply%0D%0A%0D%0A"},
		{`"a@b"@example.com`, "ä", "%", "mailto:%22a%40b%22@example.com?subject=%C3%A4&body=%25"},
	} {
		if got := mailto(c.addr, c.subject, c.body); got != c.want {
			t.Errorf("mailto(%q, %q, %q) = %s, want %s", c.addr, c.subject, c.body, got, c.want)
		}
	}
}

func TestReferencesKeepTheFirstAndTheNewest(t *testing.T) {
	t.Parallel()
	var ids []string
	for i := range 50 {
		ids = append(ids, strings.Repeat("x", 60)+string(rune('A'+i%26))+strings.Repeat("y", i)+"@example.com")
	}
	o := occasion(Reply)
	o.References, o.InReplyTo = append(ids, "not an id", "=?utf-8?q?x?=@y", strings.Repeat("z", 300)+"@h"), ids[3]
	_, msg, _ := compose(t, o)
	got := strings.Fields(msg.Header.Get("References"))
	if len(got) != maxReferences || got[0] != "<"+ids[0]+">" || got[len(got)-1] != "<"+ids[49]+">" {
		t.Errorf("%d references, first %s, last %s", len(got), got[0], got[len(got)-1])
	}
}

func TestGreetingIsLeftOutRatherThanOdd(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ in, want string }{
		{"Ann Miller", "Ann Miller"},
		{"Miller, Ann", "Ann Miller"},
		{"J. R. O’Neil-Söder", "J. R. O’Neil-Söder"},
		{"山田 太郎", "山田 太郎"},
		{"", ""},
		{"ann@example.com", ""},
		{"Ann (IT)", ""},
		{"win at casino.example", ""},
		{"http://example.net", ""},
		{strings.Repeat("Ann ", 20), ""},
	} {
		if got := salutation(c.in); got != c.want {
			t.Errorf("salutation(%q) = %q, want %q", c.in, got, c.want)
		}
	}
}

func TestLongTextIsCutAndSaysSo(t *testing.T) {
	t.Parallel()
	o := occasion(TeamNotice)
	o.Text = strings.Repeat("ä\n", 1<<20)
	c, _, text := compose(t, o)
	if len(c.Bytes) > 4<<20 || !strings.Contains(text, "The rest is kept with the ticket") {
		t.Errorf("%d bytes", len(c.Bytes))
	}
}

func TestComposeSaysWhatIsMissing(t *testing.T) {
	t.Parallel()
	m := mailer(t, Config{})
	for what, set := range map[string]func(*Occasion){
		"kind": func(o *Occasion) { o.Kind = "x" }, "key": func(o *Occasion) { o.Key = "" },
		"time": func(o *Occasion) { o.At = time.Time{} }, "recipient": func(o *Occasion) { o.To = nil },
		"sender": func(o *Occasion) { o.From = "" }, "address": func(o *Occasion) { o.To[0].Addr = "Ann <ann@example.com>" },
		"two": func(o *Occasion) { o.To[0].Addr = "a@b, c@d" },
	} {
		o := occasion(StatusNotice)
		set(&o)
		if _, err := m.Compose(o); err == nil {
			t.Errorf("%s: composed all the same", what)
		}
	}
}

func TestT23_ResultIsHeldAgainstWhatWasMeant(t *testing.T) {
	t.Parallel()
	d, err := mailer(t, Config{}).draft(occasion(TeamNotice))
	if err != nil {
		t.Fatal(err)
	}
	good, err := d.render()
	if err != nil {
		t.Fatal(err)
	}
	if err := d.compare(good); err != nil {
		t.Errorf("the mail itself: %v", err)
	}
	end, inner := "--"+d.outer+"--", "--"+d.boundary+"--"
	for _, c := range []struct{ what, old, new string }{
		{"a field more", "MIME-Version:", "Bcc: eve@example.net\r\nMIME-Version:"},
		{"a field twice", "Precedence: bulk", "Precedence: bulk\r\nPrecedence: bulk"},
		{"a field less", "Precedence: bulk\r\n", ""},
		{"another subject", "VPN is down", "VPN is fine"},
		{"another recipient", "network@example.com>", "eve@example.net>"},
		{"a recipient more", "<network@example.com>", "<network@example.com>, <eve@example.net>"},
		{"another sender", "From: \"IT Service Desk\" <support@", "From: \"IT Service Desk\" <eve@"},
		{"another text", "error 812", "error 813"},
		{"another HTML", "VPN is down again</td>", "VPN is fine again</td>"},
		{"a script", "</body>", "<script>alert(1)</script></body>"},
		{"an inner part more", inner, "--" + d.boundary + "\r\nContent-Type: text/html\r\n\r\n<b>\r\n" + inner},
		{"an inner part less", "Content-Type: text/html; charset=UTF-8", "Content-Type: text/plain; charset=UTF-8"},
		{"another kind of parts", "multipart/alternative", "multipart/related"},
		{"another file name", `filename=screenshot.png`, `filename=screenshot.exe`},
		{"another file", "iVCJUIlQ", "iVCJUIlR"},
		{"a part more", end, "--" + d.outer + "\r\nContent-Type: text/html\r\n\r\n<b>\r\n" + end},
		{"a bare line end", "error 812", "error\n812"},
		{"NUL", "error 812", "error\x00812"},
		{"a long line", "error 812", strings.Repeat("x", 999)},
	} {
		bad := bytes.Replace(good, []byte(c.old), []byte(c.new), 1)
		if bytes.Equal(bad, good) {
			t.Errorf("%s: nothing was changed", c.what)
		}
		if err := d.compare(bad); err == nil {
			t.Errorf("%s was not noticed", c.what)
		}
	}
}
