package desk

import (
	"bytes"
	"encoding/base64"
	"io"
	"log/slog"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	netmail "net/mail"
	"strings"
	"testing"
	"time"

	"deskd/mailin"
	"deskd/mailout"
	"deskd/triage"
	"deskd/triage/ticket"
)

// hostileNotice is a notice to technicians whose ticket is full of commands,
// and the HTML of it between <body> and </body>.
func hostileNotice(t *testing.T, kind mailout.Kind) (raw []byte, body string) {
	t.Helper()
	const evil = "#resolved\nclose\n\n  > take\n/spam\n| status: closed\n" + triage.Delimiter + "\nreply\nsend this"
	m, err := mailout.New(mailout.Config{Address: "127.0.0.1:9", Security: mailout.Plain}, mailout.Identity{
		Name: "#resolved", Prefix: "IT", Host: "example.org", Signer: triage.NewSigner(bytes.Repeat([]byte("s"), 32)),
		ListID: "desk.example.org", PageURL: "https://desk.example.org",
	}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	c, err := m.Compose(mailout.Occasion{
		Kind: kind, Key: "k", At: time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC), From: support, To: []triage.Address{{Addr: tina}},
		Ticket: mailout.TicketView{
			Number: 1042, Subject: "#closed", Status: ticket.Open, Priority: ticket.High, Team: "#take", Assignee: "#take",
			Requester: triage.Address{Name: "#resolved", Addr: ann}, Key: []byte("0123456789abcdef"),
		},
		Actor: triage.Address{Name: "#closed", Addr: tom}, Text: evil, Reasons: []string{"#resolved"}, Notes: []string{"#resolved"},
		Errors: []triage.CommandError{{Line: "#closed", Why: "#closed", Valid: "#closed"}}, Effects: []triage.Effect{{Line: "#closed", Before: "#take", After: "#spam"}},
		Told: []string{"#resolved"}, Sections: []mailout.Section{{Title: "#closed", Lines: []string{"#resolved\n#spam"}}}, AttachmentNames: []string{"#resolved"},
	})
	if err != nil {
		t.Fatal(err)
	}
	src := htmlOf(t, c.Bytes)
	_, body, _ = strings.Cut(src, "<body")
	_, body, _ = strings.Cut(body, ">")
	body, _, _ = strings.Cut(body, "</body>")
	return c.Bytes, body
}

// htmlOf gives the HTML part of a mail of ours without files.
func htmlOf(t *testing.T, raw []byte) string {
	t.Helper()
	msg, err := netmail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	_, params, err := mime.ParseMediaType(msg.Header.Get("Content-Type"))
	if err != nil {
		t.Fatal(err)
	}
	for parts := multipart.NewReader(msg.Body, params["boundary"]); ; {
		part, err := parts.NextRawPart()
		if err != nil {
			t.Fatalf("no HTML part: %v", err)
		}
		if strings.HasPrefix(part.Header.Get("Content-Type"), "text/html") {
			b, err := io.ReadAll(quotedprintable.NewReader(part))
			if err != nil {
				t.Fatal(err)
			}
			return string(b)
		}
	}
}

// readHTML reads a mail that is nothing but HTML, as some programs write them.
func readHTML(src string) triage.Message {
	return mailin.Parse([]byte("From: Tina <"+tina+">\r\nTo: "+support+"\r\nSubject: Re: [IT-1042]\r\nMIME-Version: 1.0\r\n"+
		"Content-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n"+base64.StdEncoding.EncodeToString([]byte(src))+"\r\n"), mailin.Limits{})
}

// technicianKinds are the kinds of mail that technicians answer.
var technicianKinds = []mailout.Kind{
	mailout.TeamNotice, mailout.AnswerNotice, mailout.CommandError, mailout.ReplyFailed, mailout.NoteNotice, mailout.AssignNotice, mailout.MoveNotice,
	mailout.Transcript, mailout.Answer, mailout.Challenge, mailout.DueNotice, mailout.TakenNotice,
}

func TestT08_OurHTMLQuotedBackHoldsNoWordOfItsSender(t *testing.T) {
	t.Parallel()
	// How programs put the mail that is answered beneath the answer. The worst
	// one says nothing of it at all.
	shapes := map[string]string{
		"Gmail":          `<div dir="ltr">Thanks.</div><br><div class="gmail_quote"><div dir="ltr" class="gmail_attr">On Mon, 2 Mar 2026, Desk wrote:<br></div><blockquote class="gmail_quote">BODY</blockquote></div>`,
		"Outlook":        `<p>Thanks.</p><div id="appendonsend"></div><hr><div id="divRplyFwdMsg"><b>From:</b> Desk<br><b>Sent:</b> today<br><b>Subject:</b> x</div>BODY`,
		"Outlook, Word":  `<p class="MsoNormal">Thanks.</p><div><div style="border:none;border-top:solid #E1E1E1 1.0pt"><p><b>From:</b> Desk<br><b>Sent:</b> today<br><b>To:</b> Tina<br><b>Subject:</b> x</p></div></div>BODY`,
		"Apple Mail":     `<div>Thanks.</div><div><br><blockquote type="cite"><div>On 2 Mar 2026, at 09:00, Desk wrote:</div><br><div>BODY</div></blockquote></div>`,
		"Thunderbird":    `<p>Thanks.</p><div class="moz-cite-prefix">On 02.03.26 09:00, Desk wrote:<br></div><blockquote type="cite">BODY</blockquote>`,
		"nothing marked": `<p>Thanks.</p>BODY`,
		"styles gone":    `<p>Thanks.</p>PLAIN`,
		"in a table":     `<p>Thanks.</p><table><tr><td>BODY</td></tr></table>`,
	}
	for _, kind := range technicianKinds {
		_, body := hostileNotice(t, kind)
		for name, shape := range shapes {
			src := strings.NewReplacer("BODY", body, "PLAIN", stripStyles(body)).Replace(shape)
			m := readHTML(src)
			if own := triage.OwnText(m.Body); own != "Thanks." {
				t.Errorf("%s in %s: the answer reads %q", kind, name, own)
			}
			if text, _ := triage.NewText(m.Body); text != "Thanks." {
				t.Errorf("%s in %s: the new text reads %q", kind, name, text)
			}
		}
		// An answer without a word of its own has none.
		if own := triage.OwnText(readHTML(body).Body); own != "" {
			t.Errorf("%s: quoted alone, it reads %q", kind, own)
		}
	}
}

// stripStyles is a program that keeps elements only.
func stripStyles(s string) string {
	var b strings.Builder
	for s != "" {
		before, rest, ok := strings.Cut(s, ` style="`)
		b.WriteString(before)
		if !ok {
			break
		}
		_, s, _ = strings.Cut(rest, `"`)
	}
	return b.String()
}

func TestT08_OurHTMLMadeTextKeepsDelimiterAndQuoteMarks(t *testing.T) {
	t.Parallel()
	for _, kind := range technicianKinds {
		_, body := hostileNotice(t, kind)
		m := readHTML(body)
		lines := strings.Split(m.Text(), "\n")
		if lines[0] != triage.Delimiter {
			t.Errorf("%s: the first line is %q", kind, lines[0])
		}
		for _, word := range []string{"close", "/spam", "| status: closed", "reply", "send this"} {
			for _, l := range lines {
				if strings.TrimSpace(l) == word {
					t.Errorf("%s: line %q has lost its quote mark", kind, l)
				}
			}
		}
	}
}

func TestT08_RequesterQuotingOurHTMLSaysNothingByIt(t *testing.T) {
	t.Parallel()
	for _, kind := range []mailout.Kind{mailout.Acknowledgement, mailout.Reply, mailout.StatusNotice, mailout.MergeNotice} {
		_, body := hostileNotice(t, kind)
		m := readHTML(`<div>It works now.</div><div class="gmail_quote"><div class="gmail_attr">On Mon, 2 Mar 2026, Desk wrote:<br></div><blockquote class="gmail_quote">` + body + `</blockquote></div>`)
		if own := triage.OwnText(m.Body); own != "It works now." {
			t.Errorf("%s: the answer reads %q", kind, own)
		}
	}
}
