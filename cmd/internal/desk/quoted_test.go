package desk

import (
	"fmt"
	"html"
	"slices"
	"strings"
	"testing"
	"time"

	"deskd/mailin"
	"deskd/mailout"
	"deskd/triage"
	"deskd/triage/ticket"
)

// tongue is how programs of one language introduce a quote. %s stand for the
// date, the time and the writer.
type tongue struct {
	name                          string
	wrote                         string // above a quote: "On %s at %s, %s wrote:"
	wroteShort                    string // likewise without a comma
	from, sent, date, to, subject string
	original                      string // "Original Message"
	originalMessage               string // of phones, "Original message"
	phone                         string // what a phone signs with
	day                           string // a date as it is written out
	outlookFor                    string
}

var tongues = []tongue{
	{"English", "On %s at %s, %s wrote:", "On %s %s %s wrote:", "From", "Sent", "Date", "To", "Subject", "Original Message", "Original message", "Sent from my iPhone", "23 November 2026", "Get Outlook for iOS"},
	{"German", "Am %s um %s schrieb %s:", "Am %s %s schrieb %s:", "Von", "Gesendet", "Datum", "An", "Betreff", "Ursprüngliche Nachricht", "Ursprüngliche Nachricht", "Von meinem iPhone gesendet", "23. November 2026", "Outlook für iOS beziehen"},
	{"French", "Le %s à %s, %s a écrit :", "Le %s %s %s a écrit :", "De", "Envoyé", "Date", "À", "Objet", "Message d'origine", "Message d'origine", "Envoyé de mon iPhone", "23 novembre 2026", "Obtenir Outlook pour iOS"},
	{"Spanish", "El %s a las %s, %s escribió:", "El %s %s %s escribió:", "De", "Enviado", "Fecha", "Para", "Asunto", "Mensaje original", "Mensaje original", "Enviado desde mi iPhone", "23 de noviembre de 2026", "Obtener Outlook para iOS"},
	{"Italian", "Il giorno %s alle ore %s %s ha scritto:", "Il %s %s %s ha scritto:", "Da", "Inviato", "Data", "A", "Oggetto", "Messaggio originale", "Messaggio originale", "Inviato da iPhone", "23 novembre 2026", "Ottieni Outlook per iOS"},
	{"Dutch", "Op %s om %s schreef %s:", "Op %s %s schreef %s:", "Van", "Verzonden", "Datum", "Aan", "Onderwerp", "Oorspronkelijk bericht", "Oorspronkelijk bericht", "Verstuurd vanaf mijn iPhone", "23 november 2026", "Outlook voor iOS downloaden"},
	{"Portuguese", "Em %s às %s, %s escreveu:", "Em %s %s %s escreveu:", "De", "Enviado", "Data", "Para", "Assunto", "Mensagem original", "Mensagem original", "Enviado do meu iPhone", "23 de novembro de 2026", "Obter o Outlook para iOS"},
	{"Polish", "W dniu %s o %s %s napisał(a):", "Dnia %s %s %s napisał(a):", "Od", "Wysłano", "Data", "Do", "Temat", "Wiadomość oryginalna", "Wiadomość oryginalna", "Wysłane z iPhone'a", "23 listopada 2026", "Pobierz program Outlook dla systemu iOS"},
	{"Swedish", "Den %s kl. %s skrev %s:", "Den %s %s skrev %s:", "Från", "Skickat", "Datum", "Till", "Ämne", "Ursprungligt meddelande", "Ursprungligt meddelande", "Skickat från min iPhone", "23 november 2026", "Hämta Outlook för iOS"},
	{"Japanese", "%s %s、%sのメール:", "%s %s %s のメール：", "差出人", "送信日時", "日付", "宛先", "件名", "元のメッセージ", "元のメッセージ", "iPhoneから送信", "2026年11月23日", "iOS 版 Outlook を入手"},
}

const writer = "Ann Miller <ann@example.org>"

// marked puts "> " before each line.
func marked(s string) string {
	return "> " + strings.ReplaceAll(strings.TrimRight(s, "\n"), "\n", "\n> ") + "\n"
}

func (l tongue) said(form string) string { return fmt.Sprintf(form, l.day, "09:15", writer) }

// headers is the block that Outlook and others put above what they quote.
func (l tongue) headers(sent string) string {
	return fmt.Sprintf("%s: %s\n%s: %s 09:15\n%s: support@example.org\n%s: [IT-1001] the scanner\n", l.from, writer, sent, l.day, l.to, l.subject)
}

// paragraphs is a text as HTML, a line each.
func paragraphs(s, tag string) string {
	var b strings.Builder
	for line := range strings.Lines(s) {
		if line = strings.TrimRight(line, "\n"); line == "" {
			line = "\u00a0"
		}
		fmt.Fprintf(&b, "<%s>%s</%s>\n", tag, html.EscapeString(line), strings.Fields(tag)[0])
	}
	return b.String()
}

// program is a mail program: how an answer looks, own words above and the
// answered mail below.
type program struct {
	name string
	html bool
	mail func(l tongue, own, quoted string) string
}

func programs() []program {
	e := html.EscapeString
	return []program{
		{"Gmail", false, func(l tongue, own, q string) string { return own + "\n" + l.said(l.wrote) + "\n\n" + marked(q) }},
		{"Gmail", true, func(l tongue, own, q string) string {
			return `<div dir="ltr">` + paragraphs(own, "div") + `</div><br><div class="gmail_quote gmail_quote_container"><div dir="ltr" class="gmail_attr">` + e(l.said(l.wrote)) +
				`<br></div><blockquote class="gmail_quote" style="margin:0px 0px 0px 0.8ex;border-left:1px solid rgb(204,204,204);padding-left:1ex">` + paragraphs(q, "div") + `</blockquote></div>`
		}},
		{"Outlook", false, func(l tongue, own, q string) string {
			return own + "\n\n-----" + l.original + "-----\n" + l.headers(l.sent) + "\n" + q
		}},
		{"Outlook with a bare header block", false, func(l tongue, own, q string) string { return own + "\n\n" + l.headers(l.sent) + "\n" + q }},
		{"Outlook", true, func(l tongue, own, q string) string {
			head := ""
			for line := range strings.Lines(l.headers(l.sent)) {
				k, v, _ := strings.Cut(strings.TrimSpace(line), ": ")
				head += "<b>" + e(k) + ":</b> " + e(v) + "<br>"
			}
			return `<html xmlns:o="urn:schemas-microsoft-com:office:office"><body><div class="WordSection1">` + paragraphs(own, `p class="MsoNormal"`) +
				`<div><div style="border:none;border-top:solid #E1E1E1 1.0pt;padding:3.0pt 0in 0in 0in"><p class="MsoNormal">` + head + `</p></div></div><p class="MsoNormal">&nbsp;</p>` +
				paragraphs(q, `p class="MsoNormal"`) + `</div></body></html>`
		}},
		{"Outlook on the web", true, func(l tongue, own, q string) string {
			head := ""
			for line := range strings.Lines(l.headers(l.sent)) {
				k, v, _ := strings.Cut(strings.TrimSpace(line), ": ")
				head += "<b>" + e(k) + ":</b> " + e(v) + "<br>"
			}
			return `<div class="elementToProof">` + paragraphs(own, "div") + `</div><div id="appendonsend"></div><hr style="display:inline-block;width:98%" tabindex="-1"><div id="divRplyFwdMsg" dir="ltr"><font face="Calibri">` +
				head + `</font><div>&nbsp;</div></div>` + paragraphs(q, "div")
		}},
		{"Outlook for iOS", false, func(l tongue, own, q string) string {
			return own + "\n\n" + l.outlookFor + "<https://aka.ms/o0ukef>\n________________________________\n" + l.headers(l.sent) + "\n" + q
		}},
		{"Apple Mail", false, func(l tongue, own, q string) string { return own + "\n\n" + marked(l.said(l.wrote)+"\n\n"+q) }},
		{"Apple Mail", true, func(l tongue, own, q string) string {
			return `<body style="overflow-wrap: break-word; -webkit-nbsp-mode: space;">` + paragraphs(own, "div") + `<div><br><blockquote type="cite"><div>` + e(l.said(l.wrote)) +
				`</div><br class="Apple-interchange-newline"><div>` + paragraphs(q, "div") + `</div></blockquote></div></body>`
		}},
		{"iPhone", false, func(l tongue, own, q string) string {
			return own + "\n\n" + l.phone + "\n\n" + marked(l.said(l.wrote)+"\n\n"+q)
		}},
		{"iPhone", true, func(l tongue, own, q string) string {
			return paragraphs(own, "div") + `<br id="lineBreakAtBeginningOfSignature"><div dir="ltr">` + e(l.phone) + `</div><div dir="ltr"><br><blockquote type="cite">` + e(l.said(l.wrote)) +
				`<br><br></blockquote></div><blockquote type="cite"><div dir="ltr">` + paragraphs(q, "div") + `</div></blockquote>`
		}},
		{"Thunderbird", false, func(l tongue, own, q string) string { return own + "\n\n" + l.said(l.wroteShort) + "\n" + marked(q) }},
		{"Thunderbird", true, func(l tongue, own, q string) string {
			return paragraphs(own, "p") + `<div class="moz-cite-prefix">` + e(l.said(l.wroteShort)) + `<br></div><blockquote type="cite" cite="mid:x@y">` + paragraphs(q, "p") + `</blockquote>`
		}},
		{"Gmail without who wrote it", true, func(_ tongue, own, q string) string {
			return `<div dir="ltr">` + paragraphs(own, "div") + `</div><div class="gmail_quote"><blockquote class="gmail_quote">` + paragraphs(q, "div") + `</blockquote></div>`
		}},
		{"a bare quote", true, func(_ tongue, own, q string) string {
			return paragraphs(own, "p") + `<blockquote type="cite">` + paragraphs(q, "p") + `</blockquote>`
		}},
		{"Yahoo", true, func(l tongue, own, q string) string {
			return `<div class="ydp1yahoo-style-wrap">` + paragraphs(own, `div dir="ltr"`) + `</div><div id="yahoo_quoted_1" class="yahoo_quoted"><div>` + `<div>` + e(l.said(l.wrote)) + `</div><div><br></div>` + paragraphs(q, "div") + `</div></div>`
		}},
		{"Notes", false, func(l tongue, own, q string) string {
			return own + "\n\n-----" + l.said("%[3]s "+strings.TrimSpace(l.original)+": -----") + "\n" + l.to + ": support@example.org\n" + l.from + ": " + writer + "\n" + l.date + ": " + l.day + "\n" + l.subject + ": [IT-1001] the scanner\n\n" + q
		}},
		{"GroupWise", false, func(l tongue, own, q string) string {
			return own + "\n\n>>> " + writer + " 23.11.2026 09:15 >>>\n" + q
		}},
		{"Samsung", false, func(l tongue, own, q string) string {
			return own + "\n\n-------- " + l.originalMessage + " --------\n" + fmt.Sprintf("%s: %s\n%s: %s 09:15 (GMT+01:00)\n%s: support@example.org\n%s: [IT-1001] the scanner\n", l.from, writer, l.date, l.day, l.to, l.subject) + "\n" + q
		}},
		{"Samsung", true, func(l tongue, own, q string) string {
			return paragraphs(own, "div") + `<div><br></div><div style="font-size:100%;color:#000000"><!-- originalMessage --><div>-------- ` + e(l.originalMessage) + ` --------</div><div>` +
				strings.ReplaceAll(e(strings.TrimSpace(l.headers(l.date))), "\n", `</div><div>`) + `</div><div><br></div></div>` + paragraphs(q, "div")
		}},
		{"K-9 Mail", false, func(l tongue, own, q string) string { return own + "\n\n" + l.said(l.wrote) + "\n" + marked(q) }},
		{"Proton", false, func(l tongue, own, q string) string {
			return own + "\n\n------- " + l.original + " -------\n" + l.said(l.wrote) + "\n\n" + marked(q)
		}},
		{"Zimbra", true, func(l tongue, own, q string) string {
			return `<div style="font-family: arial">` + paragraphs(own, "div") + `<hr id="zwchr" data-marker="__DIVIDER__"><div data-marker="__HEADERS__"><blockquote style="border-left:2px solid #1010FF;margin-left:5px;padding-left:5px">` +
				strings.ReplaceAll(e(strings.TrimSpace(l.headers(l.sent))), "\n", "<br>") + `<br></blockquote></div><div data-marker="__QUOTED_TEXT__"><blockquote style="border-left:2px solid #1010FF;margin-left:5px;padding-left:5px">` +
				paragraphs(q, "div") + `</blockquote></div></div>`
		}},
		{"Evolution", false, func(l tongue, own, q string) string {
			return own + "\n" + fmt.Sprintf(l.wrote, "Mon, 2026-11-23", "09:15 +0000", "Ann Miller") + "\n" + marked(q)
		}},
		{"mutt", false, func(l tongue, own, q string) string {
			return own + "\n" + l.said(l.wrote) + "\n" + marked(q) + "\n-- \nTina\n"
		}},
	}
}

// TestT08_NoProgramMakesACommandOfAQuote answers, as each program does in each
// language, a requester's mail full of commands and our own notice of it. What
// stands above the quote is obeyed, what stands in it never is.
func TestT08_NoProgramMakesACommandOfAQuote(t *testing.T) {
	t.Parallel()
	rules, err := triage.New(policy())
	if err != nil {
		t.Fatal(err)
	}
	hostile := "resolved\n\n#closed\nstatus: closed\npriority critical\nassign tom\n1001 closed\n\nPlease help,\nAnn\n"
	mailer, err := mailout.New(mailout.Config{Address: "127.0.0.1:9", Security: mailout.Plain}, mailout.Identity{
		Name: "IT Service Desk", Prefix: "IT", Host: "example.org", Signer: rules.Signer(), ListID: "desk.example.org",
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer mailer.Close()
	c, err := mailer.Compose(mailout.Occasion{
		Kind: mailout.TeamNotice, Key: "x", At: noon, From: support, To: []triage.Address{{Addr: helpList}}, Text: hostile, Authenticated: true,
		Ticket: mailout.TicketView{Number: 1001, Subject: "the scanner", Status: ticket.Open, Priority: ticket.Medium, Team: "Helpdesk", Requester: triage.Address{Name: "Ann Miller", Addr: ann}, Key: []byte("k")},
	})
	if err != nil {
		t.Fatal(err)
	}
	parsed := mailin.Parse(c.Bytes, mailin.Limits{})
	notice := parsed.Text()
	facts := triage.Facts{Number: 1001, Mailbox: support, Subject: "the scanner", Status: ticket.Open, Priority: ticket.Medium, Team: "Helpdesk", Requester: ann, Key: []byte("k")}
	wrong, all := 0, 0
	for _, p := range programs() {
		for _, l := range tongues {
			for what, quoted := range map[string]string{"the requester's mail": hostile, "our notice": notice} {
				for _, own := range []struct {
					text string
					want []string
				}{
					{"", nil},
					{"Looking at it.", nil},
					{"take\npriority high\n\nLooking at it.", []string{"take", "priority high"}},
					{"Resolved.", []string{"Resolved."}},
				} {
					all++
					body, kind := p.mail(l, own.text, quoted), "text/plain"
					if p.html {
						kind = "text/html"
					}
					raw := vouched(letter(tina, "Re: [IT-1001] the scanner", body, "MIME-Version: 1.0", "Content-Type: "+kind+"; charset=utf-8"))
					m := mailin.Parse([]byte(raw), mailin.Limits{})
					d := rules.Decide(&m, &triage.Known{Now: noon, Mailbox: support, Tickets: map[ticket.Number]triage.Facts{1001: facts}})
					var got []string
					for _, c := range d.Commands {
						got = append(got, c.Line)
					}
					if !slices.Equal(got, own.want) || len(d.Errors) > 0 || own.want == nil && len(d.Changes) > 0 {
						wrong++
						if wrong < 40 {
							t.Errorf("%s (%s, html %v), %s below %q: commands %q, errors %+v", p.name, l.name, p.html, what, own.text, got, d.Errors)
						}
					}
				}
			}
		}
	}
	t.Logf("%d mails of %d programs in %d languages, %d wrong", all, len(programs()), len(tongues), wrong)
}

// noon is a moment for tests that need any.
var noon = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
