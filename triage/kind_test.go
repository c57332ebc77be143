package triage

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// mailWith is a person's mail with more header fields, given as "Name: value".
func mailWith(fields ...string) *Message {
	m := &Message{
		MessageID: "x1@client.example", Subject: "Printer on floor 2", From: Address{Addr: "ann@client.example"},
		Body: undecided("It jams.\n"), Header: []Field{{"From", "Ann <ann@client.example>"}, {"Subject", "Printer on floor 2"}},
	}
	for _, f := range fields {
		name, value, _ := strings.Cut(f, ":")
		value = strings.TrimSpace(value)
		switch strings.ToLower(name) {
		case "from":
			m.From.Addr = value
		case "subject":
			m.Subject = value
		case "in-reply-to":
			m.InReplyTo = []string{strings.Trim(value, "<>")}
		case "return-path":
			path := strings.Trim(value, "<>")
			m.ReturnPath = &path
		case "text":
			m.Body = undecided(value)
			continue
		}
		m.Header = append(m.Header, Field{name, value})
	}
	return m
}

func TestT16_AutomaticMailIsNotAnswered(t *testing.T) {
	t.Parallel()
	own := KindPolicy{OwnLists: []string{"support.lists.example", "desk@lists.example"}, Alerts: []string{"nagios@mon.example", "@alerts.example"}}
	for _, c := range []struct {
		fields string // parted by "|"
		want   Kind
	}{
		{"", KindPerson},
		{"Auto-Submitted: no", KindPerson},
		{"Auto-Submitted: No", KindPerson},
		{"Auto-Submitted:  no ; origin=user", KindPerson},
		{"Auto-Submitted: no (typed)", KindPerson},
		{"Auto-Submitted: (typed by hand) no", KindPerson},
		{"Auto-Submitted: no|Auto-Submitted: no", KindPerson},
		{"Auto-Submitted:", KindPerson},
		{"Auto-Submitted: auto-replied", KindAutoReply},
		{"auto-submitted: AUTO-REPLIED", KindAutoReply},
		{"AUTO-SUBMITTED: Auto-Replied (vacation)", KindAutoReply},
		{"Auto-Submitted: auto-replied; owner-email=\"a@b\"", KindAutoReply},
		{"Auto-Submitted: (rejected) auto-replied", KindAutoReply},
		{"Auto-Submitted: no|Auto-Submitted: auto-replied", KindAutoReply},
		{"Auto-Submitted: auto-replied|Auto-Submitted: no", KindAutoReply},
		{"Auto-Submitted: auto-generated", KindAlert},
		{"Auto-Submitted: auto-notified", KindAlert},
		{"Auto-Submitted: something-new", KindAlert},
		{"Auto-Submitted: yes", KindAlert},
		{"Auto-Submitted: auto-forwarded", KindList},
		{"Auto-Submitted: auto-generated|Subject: Automatic reply: Printer", KindAutoReply},

		{"Return-Path: <>", KindAlert},
		{"Return-Path: <>|In-Reply-To: <a@b>", KindAutoReply},
		{"Return-Path: <>|Auto-Submitted: auto-generated", KindAutoReply},
		{"Return-Path: <ann@client.example>", KindPerson},

		{"Content-Type: multipart/report; report-type=delivery-status", KindBounce},
		{"Content-Type: MULTIPART/REPORT; Report-Type=\"feedback-report\"", KindFeedback},
		{"Content-Type: multipart/report; report-type=disposition-notification", KindReceipt},
		{"Content-Type: multipart/report; report-type=tlsrpt", KindAutoReply},
		{"Content-Type: multipart/mixed; boundary=report", KindPerson},

		{"From: MAILER-DAEMON@mx.example", KindBounce},
		{"From: mailer-daemon@mx.example", KindBounce},
		{"From: postmaster@client.example", KindPerson},
		{"From: postmaster@client.example|Return-Path: <>", KindBounce},
		{"From: postmaster@client.example|Subject: Undeliverable: Printer", KindBounce},
		{"From: postmaster@client.example|Auto-Submitted: auto-generated", KindAlert},
		{"From: no-reply@shop.example", KindAlert},
		{"From: NoReply@shop.example", KindAlert},
		{"From: do_not_reply@shop.example", KindAlert},
		{"From: noreply-dmarc@shop.example", KindAlert},
		{"From: noreply+x=y@shop.example", KindAlert},
		{"From: shop.no-reply@shop.example", KindAlert},
		{"From: noreen@shop.example", KindPerson},
		{"From: reply@shop.example", KindPerson},

		{"Precedence: bulk", KindBulk},
		{"PRECEDENCE: Bulk", KindBulk},
		{"Precedence:  junk ", KindBulk},
		{"Precedence: list", KindList},
		{"Precedence: auto_reply", KindAutoReply},
		{"Precedence: auto-reply", KindAutoReply},
		{"X-Precedence: auto_reply", KindAutoReply},
		{"Precedence: first-class", KindPerson},
		{"Precedence: normal|Precedence: bulk", KindBulk},

		{"List-Id: <admins.list.example>", KindList},
		{"list-id: <admins.list.example>|Precedence: bulk", KindList},
		{"List-Post: <mailto:admins@list.example>", KindList},
		{"List-Unsubscribe: <https://shop.example/bye>", KindBulk},
		{"List-Unsubscribe: <https://shop.example/bye>|List-Id: <news.shop.example>|Precedence: bulk", KindBulk},
		{"List-Unsubscribe: <mailto:bye@list.example>|List-Id: <admins.list.example>|Precedence: list", KindList},
		{"List-Help: <https://list.example/help>", KindBulk},
		{"List-Subscribe: <https://list.example/in>", KindBulk},
		{"List-Owner: <mailto:owner@list.example>", KindBulk},
		{"List-Archive: <https://list.example/all>", KindList},
		{"Mailing-List: contact x@list.example", KindList},
		{"X-BeenThere: admins@list.example", KindList},
		{"List-Id: Support <support.lists.example>", KindPerson},
		{"List-Id: Support <SUPPORT.lists.example>|Precedence: list|List-Unsubscribe: <mailto:x@lists.example>", KindPerson},
		{"List-Post: <mailto:desk@lists.example>|Precedence: bulk", KindPerson},
		{"List-Post: <mailto:other@lists.example>", KindList},
		{"List-Id: <support.lists.example>|Auto-Submitted: auto-replied", KindAutoReply},

		{"X-Auto-Response-Suppress: All", KindAlert},
		{"X-Auto-Response-Suppress: all", KindAlert},
		{"X-Auto-Response-Suppress: DR, OOF, AutoReply", KindAlert},
		{"X-Auto-Response-Suppress: OOF,AutoReply", KindAlert},
		{"X-Auto-Response-Suppress: OOF", KindPerson},
		{"X-Auto-Response-Suppress: DR, RN, NRN, OOF", KindPerson},
		{"X-Auto-Response-Suppress: None", KindPerson},
		{"X-Auto-Response-Suppress: OOF|X-Auto-Response-Suppress: AutoReply", KindAlert},
		{"X-Auto-Response-Suppress: All|Subject: Automatische Antwort: Drucker", KindAutoReply},

		{"X-Autoreply: yes", KindAutoReply},
		{"X-AUTOREPLY: YES", KindAutoReply},
		{"X-Autoreply: no", KindPerson},
		{"X-Auto-Reply: yes", KindAutoReply},
		{"X-Autorespond: Printer", KindAutoReply},
		{"X-Autoresponder: x", KindAutoReply},
		{"X-Auto-Reply-From: ann@client.example", KindAutoReply},
		{"X-Mail-Autoreply: x", KindAutoReply},
		{"X-Apple-Action: VACATION", KindAutoReply},
		{"Delivered-To: Autoresponder", KindAutoReply},
		{"Delivered-To: ann@client.example", KindPerson},
		{"X-POST-MessageClass: 9; Autoresponder", KindAutoReply},
		{"X-FC-MachineGenerated: true", KindAlert},
		{"X-Loop: help@client.example", KindList},
		{"X-LOOP: help@client.example", KindList},
		{"X-Loop:", KindPerson},
		{strings.Repeat("Received: by a|", 51), KindList},
		{strings.Repeat("received: by a|", 50), KindPerson},

		{"X-Spam-Flag: YES", KindSpam},
		{"X-Spam-Status: Yes, score=9.1 required=5.0", KindSpam},
		{"X-Spam-Status: No, score=-1.1 required=5.0", KindPerson},
		{"X-Spam-Flag: NO", KindPerson},
		{"X-MS-Exchange-Organization-SCL: 9", KindSpam},
		{"X-MS-Exchange-Organization-SCL: -1", KindPerson},

		{"From: nagios@mon.example", KindAlert},
		{"From: NAGIOS@mon.example|Precedence: bulk|Auto-Submitted: auto-generated", KindAlert},
		{"From: disk@alerts.example", KindAlert},
		{"From: disk@other.example", KindPerson},

		{"X-Deskd-Loop: aaaaaaaaaaaaaaaa", KindPerson},
		{"X-Mailer: Auto mailer 3", KindPerson},
	} {
		fields := strings.FieldsFunc(c.fields, func(r rune) bool { return r == '|' })
		v := Classify(mailWith(fields...), own)
		if v.Kind != c.want {
			t.Errorf("%q is %s (%s, %s), want %s", clip(c.fields, 80), v.Kind, v.Why, v.Header, c.want)
		}
		if v.Answer != (v.Kind == KindPerson) {
			t.Errorf("%q: answered is %v", clip(c.fields, 80), v.Answer)
		}
		if v.Why == "" {
			t.Errorf("%q: no reason", clip(c.fields, 80))
		}
	}
}

func TestT16_WhatEachKindLeadsTo(t *testing.T) {
	t.Parallel()
	for kind, want := range map[Kind][3]bool{ // opens, answers, tells
		KindPerson: {true, true, true}, KindList: {true, false, true}, KindAlert: {true, false, true}, KindBulk: {true, false, false},
		KindAutoReply: {}, KindBounce: {}, KindFeedback: {}, KindReceipt: {}, KindSpam: {}, KindOwn: {},
	} {
		v := verdict(kind, "x", "", false)
		if got := [3]bool{v.Opens, v.Answer, v.Tell}; got != want {
			t.Errorf("%s: %v, want %v", kind, got, want)
		}
	}
}

func TestT16_VacationAnswersWithoutAMark(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		subject, text string
		answer        bool // to a mail of ours
		want          Kind
	}{
		{"Automatic reply: Printer", "I am away.", false, KindAutoReply},
		{"AUTOMATIC REPLY: Printer", "Back soon.", false, KindAutoReply},
		{"Automatic reply", "x", false, KindAutoReply},
		{"Auto reply: x", "x", true, KindAutoReply},
		{"Autoreply - x", "x", true, KindAutoReply},
		{"Out of Office AutoReply: Printer", "x", true, KindAutoReply},
		{"Out of Office: Re: Printer", "I read mail on Thursday.", true, KindAutoReply},
		{"Out of office Re: Printer", "Back next week.", true, KindAutoReply},
		{"AUTO: Omar is out of the office (returning 12/07)", "x", false, KindAutoReply},
		{"Automatische Antwort: Drucker", "Ich bin erst am 3. wieder im Büro.", false, KindAutoReply},
		{"Abwesenheitsnotiz: Drucker", "Ich bin im Urlaub.", false, KindAutoReply},
		{"Réponse automatique : Imprimante", "Je suis absent.", false, KindAutoReply},
		{"Réponse automatique\u00a0: Imprimante", "Je suis absent.", false, KindAutoReply},
		{"Respuesta automática: Impresora", "Estoy fuera de la oficina.", false, KindAutoReply},
		{"Risposta automatica: Stampante", "Sono in ferie.", false, KindAutoReply},
		{"Resposta automática: Impressora", "Estou de férias.", false, KindAutoReply},
		{"Automatisch antwoord: Printer", "Ik ben afwezig.", false, KindAutoReply},
		{"Autosvar: Skrivare", "Jag är på semester.", false, KindAutoReply},
		{"Automatisk svar: Printer", "Jeg er på ferie.", false, KindAutoReply},
		{"Automaattinen vastaus: Tulostin", "Olen lomalla.", false, KindAutoReply},
		{"Automatyczna odpowiedź: Drukarka", "Jestem na urlopie.", false, KindAutoReply},
		{"Automatická odpověď: Tiskárna", "Mám dovolenou.", false, KindAutoReply},
		{"Automatikus válasz: Nyomtató", "Szabadságon vagyok.", false, KindAutoReply},
		{"Автоматический ответ: Принтер", "Я в отпуске.", false, KindAutoReply},
		{"Otomatik yanıt: Yazıcı", "İzindeyim.", false, KindAutoReply},
		{"自动回复: 打印机", "我在休假", false, KindAutoReply},
		{"自動応答：プリンター", "休暇中です", false, KindAutoReply},
		{"자동 회신: 프린터", "휴가 중입니다", false, KindAutoReply},
		{"Away until May 5", "I am away and will respond to your mail upon my return.", false, KindAutoReply},
		{"Absence", "Je suis en congé. En cas d'urgence, écrivez à bob@example.org.", false, KindAutoReply},
		{"Out of office", "I am out of the office until Monday.", true, KindAutoReply},

		{"Out of office printer paper on floor 2", "Can someone refill it?", true, KindPerson},
		{"Automatic door in building 3 is stuck", "It opens half way.", true, KindPerson},
		{"Automatic reply does not work", "Nobody gets my vacation message.", true, KindPerson},
		{"Automatic reply: how do I set it up?", "I could not find it. Where is it?", false, KindPerson},
		{"Out of office: how do I set it up?", "Please help, where is it?", false, KindPerson},
		{"Out of office: please forward my mail", "From Monday on, to Bob. Can you do that?", true, KindPerson},
		{"Re: Automatic reply: Printer", "Thanks, I will wait for you.", true, KindPerson},
		{"AW: Abwesenheitsnotiz: Drucker", "Wer vertritt dich?", true, KindPerson},
		{"Fwd: Out of Office: Printer", "He is away, please ask Bob.", true, KindPerson},
		{"Urlaub: Weiterleitung einrichten", "Bitte meine Mails an Bob leiten.", false, KindPerson},
		{"Away team cannot log in", "The VPN is down. I am away from the building and it is urgent, can you help?", false, KindPerson},
		{"Absence management is down", "Nobody can enter leave.", false, KindPerson},
		{"Ferienkalender", "Er ist leer.", false, KindPerson},
		{"Printer", "I am out of the office until Monday, please go on without me. In urgent cases ask Bob.", true, KindPerson},
		{"Autoclave alarm", "It beeps.", false, KindPerson},
		{"Auto: new key", "Lost mine.", false, KindPerson},
		{"Undeliverable mails since Tuesday", "We get this for every mail.", true, KindPerson},
	} {
		fields := []string{"Subject: " + c.subject, "Text: " + c.text}
		if c.answer {
			fields = append(fields, "In-Reply-To: <a@desk.example>")
		}
		if v := Classify(mailWith(fields...), KindPolicy{}); v.Kind != c.want {
			t.Errorf("%q, %q is %s (%s), want %s", c.subject, c.text, v.Kind, v.Why, c.want)
		}
	}
}

// A mark of a program and a subject that begins like a vacation answer's make
// no vacation answer: monitoring writes of absence, too.
func TestT16_AlertsThatSpeakOfAbsenceOpenTickets(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		subject, text, mark string
		want                Kind
	}{
		{"Absence of heartbeat from db1", "Since 9:00.", "Auto-Submitted: auto-generated", KindAlert},
		{"Отсутствие связи с хостом db1", "x", "Auto-Submitted: auto-generated", KindAlert},
		{"不在线告警 db1", "x", "Auto-Submitted: auto-generated", KindAlert},
		{"Away team laptop battery low", "x", "Auto-Submitted: auto-generated", KindAlert},
		{"Vacation request workflow failed", "x", "X-Auto-Response-Suppress: All", KindAlert},
		{"Away until Monday", "I am away and read no mail.", "Auto-Submitted: auto-generated", KindAutoReply},
		{"Out of office: printer", "Back on Monday.", "X-Auto-Response-Suppress: All", KindAutoReply},
	} {
		if v := Classify(mailWith("Subject: "+c.subject, "Text: "+c.text, c.mark), KindPolicy{}); v.Kind != c.want {
			t.Errorf("%q is %s (%s), want %s", c.subject, v.Kind, v.Why, c.want)
		}
	}
}

func TestT17_OnlyOurOwnLoopMarkCounts(t *testing.T) {
	t.Parallel()
	s, other := NewSigner([]byte(strings.Repeat("k", 32))), NewSigner([]byte(strings.Repeat("x", 32)))
	p := KindPolicy{Signer: s}
	for _, c := range []struct {
		name, mark string
		want       Kind
	}{
		{"ours", s.LoopMark("x1@client.example"), KindOwn},
		{"ours, with spaces", "  " + s.LoopMark("x1@client.example") + " ", KindOwn},
		{"ours for another mail", s.LoopMark("x2@client.example"), KindPerson},
		{"of another desk", other.LoopMark("x1@client.example"), KindPerson},
		{"invented", "yes", KindPerson},
		{"empty", "", KindPerson},
	} {
		m := mailWith("X-Deskd-Loop: nonsense", "x-deskd-loop: "+c.mark)
		if v := Classify(m, p); v.Kind != c.want {
			t.Errorf("%s: %s (%s), want %s", c.name, v.Kind, v.Why, c.want)
		}
	}
	if v := Classify(mailWith("X-Deskd-Loop: "+s.LoopMark("")), KindPolicy{}); v.Kind != KindPerson {
		t.Errorf("without a signer: %s", v.Kind)
	}
	nameless := mailWith("X-Deskd-Loop: " + s.LoopMark(""))
	nameless.MessageID = ""
	if v := Classify(nameless, p); v.Kind != KindPerson {
		t.Errorf("a mail without an id: %s", v.Kind)
	}
}

func TestT18_MailFromOurOwnAddressesIsOurs(t *testing.T) {
	t.Parallel()
	p := KindPolicy{OwnAddresses: []string{"support@desk.example", "it@desk.example"}}
	for from, want := range map[string]Kind{
		"support@desk.example": KindOwn, "Support@Desk.example": KindOwn, "IT@desk.example": KindOwn,
		"support+1042.x7@desk.example": KindOwn, "support@other.example": KindPerson, "supports@desk.example": KindPerson,
	} {
		if v := Classify(mailWith("From: "+from), p); v.Kind != want || v.mechanical() {
			t.Errorf("%s: %s, mechanical %v, want %s by a person", from, v.Kind, v.mechanical(), want)
		}
	}
	if v := Classify(mailWith("From: support@desk.example", "Auto-Submitted: auto-generated"), p); v.Kind != KindOwn || !v.mechanical() {
		t.Errorf("a program as support@: %s, mechanical %v", v.Kind, v.mechanical())
	}
	unclear := mailWith()
	unclear.From, unclear.Shown = Address{}, Address{Addr: "support@desk.example"}
	if v := Classify(unclear, p); v.Kind != KindOwn {
		t.Errorf("several authors, ours first: %s", v.Kind)
	}
}

func TestT19_ReportsOpenNothingAndEnclosedOnesAreInformation(t *testing.T) {
	t.Parallel()
	for report, want := range map[ReportKind]Kind{DeliveryReport: KindBounce, FeedbackReport: KindFeedback, ReceiptReport: KindReceipt} {
		m := mailWith()
		m.Report = &Report{Kind: report}
		if v := Classify(m, KindPolicy{}); v.Kind != want || v.Opens || v.Answer || v.Tell {
			t.Errorf("%s: %+v", report, v)
		}
		m.Report, m.Enclosed = nil, &Report{Kind: report}
		if v := Classify(m, KindPolicy{}); v.Kind != KindPerson || !v.Answer {
			t.Errorf("%s enclosed: %+v", report, v)
		}
	}
}

// The made mails of the corpus say what mail systems in use write.
func TestT16_MailOfSystemsInUse(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(corpusDir(t), "handmade")
	raw, err := os.ReadFile(filepath.Join(dir, "expected.json"))
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Messages []struct {
			File  string
			Auto  *bool `json:"is_auto_reply"`
			Quiet *bool `json:"no_auto_response"`
		}
	}
	if err := json.Unmarshal(raw, &doc); err != nil {
		t.Fatal(err)
	}
	if len(doc.Messages) == 0 {
		t.Fatal("no messages")
	}
	for _, e := range doc.Messages {
		raw, err := os.ReadFile(filepath.Join(dir, "messages", e.File))
		if err != nil {
			t.Fatal(err)
		}
		text := strings.ReplaceAll(strings.ReplaceAll(string(raw), "\r\n", "\n"), "\n ", " ")
		head, body, _ := strings.Cut(text, "\n\n")
		if strings.Contains(head, "=?") {
			continue // for mailin to decode
		}
		fields := append(strings.Split(head, "\n"), "Text: "+body)
		for i, f := range fields {
			if value, ok := strings.CutPrefix(f, "From: "); ok {
				fields[i] = "From: " + strings.Trim(value[strings.LastIndexAny(value, "< ")+1:], "<>")
			}
		}
		v := Classify(mailWith(fields...), KindPolicy{})
		if e.Auto != nil && (v.Kind == KindAutoReply) != *e.Auto {
			t.Errorf("%s: %s (%s), automatic reply %v", e.File, v.Kind, v.Why, *e.Auto)
		}
		if e.Quiet != nil && v.Answer == *e.Quiet {
			t.Errorf("%s: %s (%s), answered %v", e.File, v.Kind, v.Why, v.Answer)
		}
	}
}

func FuzzClassify(f *testing.F) {
	f.Add("Auto-Submitted", "no (x", "Out of office: x", "I am away")
	f.Add("Precedence", "(((", "AUTO:", "")
	f.Add("List-Id", "<a>", "Automatic reply", "?")
	f.Fuzz(func(t *testing.T, name, value, subject, text string) {
		m := mailWith()
		m.Subject, m.Body = subject, undecided(text)
		m.Header = append(m.Header, Field{name, value})
		v := Classify(m, KindPolicy{OwnLists: []string{"x"}, Signer: NewSigner([]byte("secret"))})
		if v.Answer && (!v.Opens || v.Kind != KindPerson) || v.Kind == "" || v.Why == "" {
			t.Errorf("%+v", v)
		}
		// One mark more never makes an answer of no answer.
		m.Header = append(m.Header, Field{"Auto-Submitted", "auto-replied"})
		if v := Classify(m, KindPolicy{}); v.Answer {
			t.Errorf("answered in spite of Auto-Submitted: %+v", v)
		}
	})
}
