package triage

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

func undecided(text string) []Block { return []Block{{Text: text}} }

// theirs are the words of somebody else that a mail program quotes: a command,
// in the worst place.
const theirs = "#resolved\nassign eve@example.net"

// attributions are what mail programs write above a quote, by program and
// language.
var attributions = []struct{ name, lines string }{
	{"Gmail en", "On Mon, Feb 1, 2016 at 6:32 PM, Ann Ash <ann@example.org> wrote:"},
	{"Gmail en wrapped", "On Mon, Feb 1, 2016 at 6:32 PM, Ann Ash <\nann@example.org> wrote:"},
	{"Gmail en wrapped at the verb", "On Mon, Feb 1, 2016 at 6:32 PM, Ann Ash <ann@example.org>\nwrote:"},
	{"Gmail de", "Am Mo., 1. Feb. 2016 um 18:32 Uhr schrieb Ann Ash <ann@example.org>:"},
	{"Gmail de wrapped", "Ann Ash <ann@example.org> schrieb am Mo., 1. Feb. 2016\num 18:32 Uhr:"},
	{"Gmail fr", "Le lun. 1 févr. 2016 à 18:32, Ann Ash <ann@example.org> a écrit :"},
	{"Gmail fr wrapped", "Le lun. 1 févr. 2016 à 18:32, Ann Ash <ann@example.org> a\nécrit :"},
	{"Gmail es", "El lun, 1 feb 2016 a las 18:32, Ann Ash (<ann@example.org>) escribió:"},
	{"Gmail pt", "Em seg., 1 de fev. de 2016 às 18:32, Ann Ash <ann@example.org> escreveu:"},
	{"Gmail it", "Il giorno lun 1 feb 2016 alle ore 18:32 Ann Ash <ann@example.org> ha scritto:"},
	{"Gmail nl", "Op ma 1 feb 2016 om 18:32 schreef Ann Ash <ann@example.org>:"},
	{"Gmail sv", "Den mån 1 feb. 2016 kl 18:32 skrev Ann Ash <ann@example.org>:"},
	{"Gmail da", "Den man. 1. feb. 2016 kl. 18.32 skrev Ann Ash <ann@example.org>:"},
	{"Gmail no", "man. 1. feb. 2016 kl. 18:32 skrev Ann Ash <ann@example.org>:"},
	{"Gmail fi", "ma 1. helmik. 2016 klo 18.32 Ann Ash (ann@example.org) kirjoitti:"},
	{"Gmail pl", "pon., 1 lut 2016 o 18:32 Ann Ash <ann@example.org> napisał(a):"},
	{"Gmail cs", "po 1. 2. 2016 v 18:32 odesílatel Ann Ash <ann@example.org> napsal:"},
	{"Gmail sk", "po 1. 2. 2016 o 18:32 Ann Ash <ann@example.org> napísal(a):"},
	{"Gmail hu", "Ann Ash <ann@example.org> ezt írta (időpont: 2016. febr. 1., H, 18:32):"},
	{"Gmail ro", "lun., 1 feb. 2016 la 18:32, Ann Ash <ann@example.org> a scris:"},
	{"Gmail ru", "пн, 1 февр. 2016 г. в 18:32, Ann Ash <ann@example.org>:"},
	{"Gmail uk", "пн, 1 лют. 2016 р. о 18:32 Ann Ash <ann@example.org> пише:"},
	{"Gmail bg", "На пн, 1.02.2016 г. в 18:32 Ann Ash <ann@example.org> написа:"},
	{"Gmail el", "Στις Δευ 1 Φεβ 2016 στις 6:32 μ.μ., ο/η Ann Ash <ann@example.org> έγραψε:"},
	{"Gmail tr", "Ann Ash <ann@example.org>, 1 Şub 2016 Pzt, 18:32 tarihinde şunu yazdı:"},
	{"Gmail he", "\u202bבתאריך יום ב׳, 1 בפבר׳ 2016 ב-18:32 מאת \u202aAnn Ash\u202c\u200f <\u202aann@example.org\u202c\u200f>:\u202c"},
	{"Gmail ar", "في الاثنين، 1 فبراير 2016 في 6:32 م تمت كتابة ما يلي بواسطة Ann Ash <ann@example.org>:"},
	{"Gmail zh-CN", "Ann Ash <ann@example.org> 于2016年2月1日周一 18:32写道："},
	{"Gmail zh-TW", "Ann Ash <ann@example.org> 於 2016年2月1日 週一 下午6:32寫道："},
	{"Gmail ja", "2016年2月1日(月) 18:32 Ann Ash <ann@example.org>:"},
	{"Gmail ko", "2016년 2월 1일 (월) 18:32, Ann Ash <ann@example.org>님이 작성:"},
	{"Gmail vi", "Vào 18:32, Th 2, 1 thg 2, 2016 Ann Ash <ann@example.org> đã viết:"},
	{"Gmail id", "Pada tanggal Sen, 1 Feb 2016 pukul 18.32 Ann Ash <ann@example.org> menulis:"},
	{"Gmail th", "ในวันที่ จ. 1 ก.พ. 2016 เวลา 18:32 Ann Ash <ann@example.org> เขียนว่า:"},
	{"Gmail hr", "pon, 1. velj 2016. u 18:32 Ann Ash <ann@example.org> napisao je:"},
	{"Gmail, older", "2016-10-24 15:36 GMT+02:00 Ann Ash <\nann@example.org>:"},
	{"Apple Mail en", "On Feb 1, 2016, at 6:32 PM, Ann Ash <ann@example.org> wrote:"},
	{"Apple Mail de", "Am 01.02.2016 um 18:32 schrieb Ann Ash <ann@example.org>:"},
	{"Apple Mail fr", "Le 1 févr. 2016 à 18:32, Ann Ash <ann@example.org> a écrit :"},
	{"Apple Mail nl", "Op 1 feb. 2016, om 18:32 heeft Ann Ash <ann@example.org> het volgende geschreven:"},
	{"Apple Mail sv", "1 feb. 2016 kl. 18:32 skrev Ann Ash <ann@example.org>:"},
	{"Apple Mail fi", "Ann Ash <ann@example.org> kirjoitti 1.2.2016 kello 18.32:"},
	{"Apple Mail ru", "1 февр. 2016 г., в 18:32, Ann Ash <ann@example.org> написал(а):"},
	{"Apple Mail ja", "2016/02/01 18:32、Ann Ash <ann@example.org>のメール:"},
	{"Apple Mail zh", "在 2016年2月1日，下午6:32，Ann Ash <ann@example.org> 写道："},
	{"Apple Mail ko", "2016. 2. 1. 오후 6:32, Ann Ash <ann@example.org> 작성:"},
	{"iPhone en", "On Feb 1, 2016, at 18:32, Ann Ash\n<ann@example.org>\nwrote:"},
	{"Thunderbird en", "On 01.02.2016 18:32, Ann Ash wrote:"},
	{"Thunderbird de", "Am 01.02.2016 um 18:32 schrieb Ann Ash:"},
	{"Thunderbird fr", "Le 01/02/2016 à 18:32, Ann Ash a écrit :"},
	{"Thunderbird es", "El 1/2/16 a las 18:32, Ann Ash escribió:"},
	{"Thunderbird it", "Il 01/02/2016 18:32, Ann Ash ha scritto:"},
	{"Thunderbird pt", "Em 01/02/2016 18:32, Ann Ash escreveu:"},
	{"Thunderbird nl", "Op 1-2-2016 om 18:32 schreef Ann Ash:"},
	{"Thunderbird pl", "W dniu 01.02.2016 o 18:32, Ann Ash pisze:"},
	{"Thunderbird cs", "Dne 1.2.2016 v 18:32 Ann Ash napsal(a):"},
	{"Thunderbird hu", "2016.02.01. 18:32 keltezéssel, Ann Ash írta:"},
	{"Thunderbird ru", "01.02.2016 18:32, Ann Ash пишет:"},
	{"Thunderbird tr", "1.02.2016 18:32 tarihinde Ann Ash yazdı:"},
	{"Thunderbird zh", "在 2016/2/1 18:32, Ann Ash 写道:"},
	{"Thunderbird sv", "Den 2016-02-01 kl. 18:32, skrev Ann Ash:"},
	{"K-9 de", "Ann Ash <ann@example.org> schrieb:"},
	{"K-9 en", "Ann Ash <ann@example.org> wrote:"},
	{"Yahoo en", "On Monday, February 1, 2016 6:32 PM, Ann Ash <ann@example.org> wrote:"},
	{"Yahoo es", "El lunes, 1 de febrero de 2016 18:32:10, Ann Ash <ann@example.org> escribió:"},
	{"Proton en", "On Monday, February 1st, 2016 at 6:32 PM, Ann Ash <ann@example.org> wrote:"},
	{"Mail.ru", "Mon, 01 Feb 2016 18:32:51 +0400 от Ann Ash <ann@example.org>:"},
	{"Yandex", "01.02.2016, 18:32, \"Ann Ash\" <ann@example.org>:"},
	{"Lotus Notes en", "Ann Ash/ACME wrote on 02/01/2016 06:32:30 PM:"},
	{"Notes, dashes", "-----Ann Ash/ACME wrote: -----"},
	{"Evolution en", "On Mon, 2016-02-01 at 18:32 +0530, Ann Ash wrote:"},
	{"Evolution de", "Am Montag, dem 01.02.2016 um 18:32 +0100 schrieb Ann Ash:"},
	{"KMail en", "On Monday, 1 February 2016 18:32:12 CET Ann Ash wrote:"},
	{"mutt en", "On Mon, Feb 01, 2016 at 06:32:12PM +0100, Ann Ash wrote:"},
	{"Zimbra, Roundcube de", "Am 01.02.2016 18:32 schrieb Ann Ash:"},
	{"Roundcube en", "On 2016-02-01 18:32, Ann Ash wrote:"},
	{"Eudora en", "At 2/1/2016 06:32 PM, you wrote:"},
	{"emphasised", "*On Mon, Feb 1, 2016 at 6:32 PM, Ann Ash <ann@example.org> wrote:*"},

	{"Claws en, two lines", "On Mon, 1 Feb 2016 18:32:12 +0100\nAnn Ash <ann@example.org> wrote:"},
	{"The Bat en", "Monday, February 1, 2016, 6:32:12 PM, you wrote:"},
	{"AOL en", "In a message dated 2/1/2016 6:32:12 P.M. Eastern Standard Time, ann@example.org writes:"},
	{"Spark en", "On Feb 1, 2016, 18:32 +0100, Ann Ash <ann@example.org>, wrote:"},
	{"Fastmail en", "On Mon, 1 Feb 2016, at 18:32, Ann Ash wrote:"},
	{"Zoho en", "---- On Mon, 01 Feb 2016 18:32:12 +0100 Ann Ash <ann@example.org> wrote ----"},
	{"Yahoo, older", "--- On Mon, 2/1/16, Ann Ash <ann@example.org> wrote:"},
	{"Postbox en", "Ann Ash wrote on 2/1/2016 6:32 PM:"},
	{"163 zh", "在 2016-02-01 18:32:12，\"Ann Ash\" <ann@example.org> 写道："},
	{"QQ zh", "------------------ 原始邮件 ------------------\n发件人: \"Ann Ash\" <ann@example.org>;"},
	{"Outlook as text", "On Feb 1, 2016, at 6:32 PM, Ann Ash <ann@example.org<mailto:ann@example.org>> wrote:"},
	{"Roundcube nl", "Ann Ash schreef op 2016-02-01 18:32:"},
	{"Roundcube sv", "Ann Ash skrev den 2016-02-01 18:32:"},
	{"Roundcube ru", "Ann Ash писал 2016-02-01 18:32:"},
	{"Roundcube ja", "2016-02-01 18:32 に Ann Ash さんは書きました:"},
	{"GroupWise", ">>> Ann Ash <ann@example.org> 01.02.2016 18:32 >>>"},
	{"Domino", "Ann Ash <ann@example.org>\n02/01/2016 06:32 PM\n\nTo\nsupport@example.org\ncc\n\nSubject\nRe: Printer"},
	{"another desk", "##- Please type your reply above this line -##"},
	{"another desk de", "--- Bitte antworten Sie oberhalb dieser Linie ---"},

	{"Outlook marker en", "-----Original Message-----"},
	{"Outlook marker de", "-----Ursprüngliche Nachricht-----"},
	{"Outlook marker fr", "-----Message d'origine-----"},
	{"Outlook marker es", "-----Mensaje original-----"},
	{"Outlook marker it", "-----Messaggio originale-----"},
	{"Outlook marker pt", "-----Mensagem original-----"},
	{"Outlook marker nl", "-----Oorspronkelijk bericht-----"},
	{"Outlook marker sv", "-----Ursprungligt meddelande-----"},
	{"Outlook marker da", "-----Oprindelig meddelelse-----"},
	{"Outlook marker no", "-----Opprinnelig melding-----"},
	{"Outlook marker fi", "-----Alkuperäinen viesti-----"},
	{"Outlook marker pl", "-----Oryginalna wiadomość-----"},
	{"Outlook marker cs", "-----Původní zpráva-----"},
	{"Outlook marker hu", "-----Eredeti üzenet-----"},
	{"Outlook marker ru", "-----Исходное сообщение-----"},
	{"Outlook marker tr", "-----Orijinal Mesaj-----"},
	{"Outlook marker zh", "-----原始邮件-----"},
	{"Outlook marker ja", "-----元のメッセージ-----"},
	{"Outlook marker ko", "-----원본 메시지-----"},
	{"Yahoo marker", "----- Original Message -----"},
	{"Samsung marker", "-------- Original message --------"},
	{"Samsung marker de", "-------- Ursprüngliche Nachricht --------"},
	{"marker, emphasised", "*-------- Original Message --------*"},

	{"Outlook en", "From: Ann Ash <ann@example.org>\nSent: Monday, February 1, 2016 6:32 PM\nTo: Support\nSubject: RE: Printer"},
	{"Outlook en, rule above", "________________________________\nFrom: Ann Ash\nSent: Monday, February 1, 2016 6:32 PM\nTo: Support\nSubject: RE: Printer"},
	{"Outlook en, bold", "*From:* Ann Ash [mailto:ann@example.org]\n*Sent:* Monday, February 1, 2016 6:32 PM\n*To:* Support\n*Subject:* RE: Printer"},
	{"Outlook en, bold in Markdown", "**From:** Ann Ash <ann@example.org>\n\n**Sent:** Monday, February 1, 2016 6:32 PM\n\n**To:** Support\n\n**Subject:** RE: Printer"},
	{"Outlook de", "Von: Ann Ash <ann@example.org>\nGesendet: Montag, 1. Februar 2016 18:32\nAn: Support\nBetreff: AW: Drucker"},
	{"Outlook fr", "De : Ann Ash <ann@example.org>\nEnvoyé : lundi 1 février 2016 18:32\nÀ : Support\nObjet : RE: Imprimante"},
	{"Outlook es", "De: Ann Ash <ann@example.org>\nEnviado el: lunes, 1 de febrero de 2016 18:32\nPara: Soporte\nAsunto: RE: Impresora"},
	{"Outlook it", "Da: Ann Ash <ann@example.org>\nInviato: lunedì 1 febbraio 2016 18:32\nA: Supporto\nOggetto: R: Stampante"},
	{"Outlook pt", "De: Ann Ash <ann@example.org>\nEnviada em: segunda-feira, 1 de fevereiro de 2016 18:32\nPara: Suporte\nAssunto: RES: Impressora"},
	{"Outlook nl", "Van: Ann Ash <ann@example.org>\nVerzonden: maandag 1 februari 2016 18:32\nAan: Support\nOnderwerp: RE: Printer"},
	{"Outlook sv", "Från: Ann Ash <ann@example.org>\nSkickat: den 1 februari 2016 18:32\nTill: Support\nÄmne: SV: Skrivare"},
	{"Outlook da", "Fra: Ann Ash <ann@example.org>\nSendt: 1. februar 2016 18:32\nTil: Support\nEmne: SV: Printer"},
	{"Outlook fi", "Lähettäjä: Ann Ash <ann@example.org>\nLähetetty: maanantai 1. helmikuuta 2016 18.32\nVastaanottaja: Tuki\nAihe: VS: Tulostin"},
	{"Outlook pl", "Od: Ann Ash <ann@example.org>\nWysłano: poniedziałek, 1 lutego 2016 18:32\nDo: Support\nTemat: RE: Drukarka"},
	{"Outlook cs", "Od: Ann Ash <ann@example.org>\nOdesláno: pondělí 1. února 2016 18:32\nKomu: Podpora\nPředmět: RE: Tiskárna"},
	{"Outlook hu", "Feladó: Ann Ash <ann@example.org>\nElküldve: 2016. február 1. 18:32\nCímzett: Support\nTárgy: RE: Nyomtató"},
	{"Outlook ru", "От: Ann Ash <ann@example.org>\nОтправлено: 1 февраля 2016 г. 18:32\nКому: Поддержка\nТема: RE: Принтер"},
	{"Outlook tr", "Kimden: Ann Ash <ann@example.org>\nGönderildi: 1 Şubat 2016 Pazartesi 18:32\nKime: Destek\nKonu: YNT: Yazıcı"},
	{"Outlook zh-CN", "发件人: Ann Ash <ann@example.org>\n发送时间: 2016年2月1日 18:32\n收件人: 支持\n主题: 答复: 打印机"},
	{"Outlook zh-TW", "寄件者: Ann Ash <ann@example.org>\n寄件日期: 2016年2月1日 18:32\n收件者: 支援\n主旨: RE: 印表機"},
	{"Outlook ja", "差出人: Ann Ash <ann@example.org>\n送信日時: 2016年2月1日 18:32\n宛先: サポート\n件名: RE: プリンター"},
	{"Outlook ko", "보낸 사람: Ann Ash <ann@example.org>\n보낸 날짜: 2016년 2월 1일 월요일 18:32\n받는 사람: 지원\n제목: RE: 프린터"},
	{"Outlook, address list over lines", "From: Ann Ash <ann@example.org>\nSent: Monday, February 1, 2016 6:32 PM\nTo: Bob <bob@example.org>; Cem <cem@example.org>;\nDora <dora@example.org>\nSubject: RE: Printer"},
	{"Outlook for Mac", "From: Ann Ash <ann@example.org>\nDate: Monday, 1 February 2016 at 18:32\nTo: Support <support@example.org>\nSubject: Re: Printer"},
	{"Hotmail", "Date: Mon, 1 Feb 2016 17:44:22 +0400\nSubject: Printer\nFrom: ann@example.org\nTo: support@example.org"},
	{"in one line", "From: Ann Ash Sent: Monday, February 1, 2016 6:32 PM To: Support Subject: RE: Printer"},
	{"our own line", Delimiter},
	{"our own line, marked", "> > " + Delimiter},
	{"our own line, wrapped", "> > ---- Please write above this\n> > line (deskd) ----"},
	{"our own line, wrapped without marks", "---- Please write above\nthis line (deskd) ----"},
	{"Outlook en, rule in Markdown", "* * *\n\n**From:** Ann Ash <ann@example.org>\n**Sent:** Monday, February 1, 2016 6:32 PM\n**To:** Support\n**Subject:** RE: Printer"},
	{"our own line, other dashes", "—— Please write above this line (deskd) ——"},
}

func TestT08_NothingBelowAnAttributionIsOwn(t *testing.T) {
	t.Parallel()
	quote := map[string]string{
		"marked":            "> " + strings.ReplaceAll(theirs, "\n", "\n> "),
		"marked, no space":  ">" + strings.ReplaceAll(theirs, "\n", "\n>"),
		"marked, indented":  "  > " + strings.ReplaceAll(theirs, "\n", "\n  > "),
		"without any marks": theirs,
	}
	for _, a := range attributions {
		for how, q := range quote {
			for _, own := range []string{"It works again.\n\n", "It works again.\n", ""} {
				text := own + a.lines + "\n\n" + q + "\n"
				blocks := Split(undecided(text))
				if got := OwnText(blocks); got != strings.TrimSpace(own) {
					t.Errorf("%s, %s: own text is %q, want %q", a.name, how, got, own)
				}
				if got, _ := NewText(blocks); own != "" && got != strings.TrimSpace(own) {
					t.Errorf("%s, %s: new text is %q, want %q", a.name, how, got, own)
				}
			}
		}
	}
}

// These say too little to take what follows for a quote unless it looks like one.
func TestT08_AttributionsWithoutAVerbNeedMarks(t *testing.T) {
	t.Parallel()
	for _, lines := range []string{
		"2011/4/7 Ann Ash <ann@example.org>", "Quoting Ann Ash <ann@example.org> at 18:32:", "Zitat von Ann Ash <ann@example.org>, 1.2.2016:",
		"* Ann Ash <ann@example.org> [2016-02-01 18:32]:", "Ann Ash, 01.02.2016 18:32:", "bob wrote:", "Ann Ash schrieb:", "On Mon, 1 Feb 2016 at 18:32, Ann Ash wrote",
		"Ann skribis je 2016-02-01 18:32:",
	} {
		text := "It works again.\n\n" + lines + "\n\n> " + strings.ReplaceAll(theirs, "\n", "\n> ") + "\n"
		if got, _ := NewText(undecided(text)); got != "It works again." {
			t.Errorf("%q: new text is %q", lines, got)
		}
	}
}

func TestT08_BlocksThatHTMLMarkedAsQuotesStay(t *testing.T) {
	t.Parallel()
	for _, a := range attributions {
		in := []Block{{Text: "It works again.\n\n" + a.lines + "\n"}, {Kind: Quoted, Text: theirs + "\n"}}
		blocks := Split(in)
		if got := OwnText(blocks); got != "It works again." {
			t.Errorf("%s: own text is %q", a.name, got)
		}
		if got := joinBlocks(blocks); got != joinBlocks(in) {
			t.Errorf("%s: text changed to %q", a.name, got)
		}
	}
}

func TestT08_OurLineOverrulesWhatTheHTMLSays(t *testing.T) {
	t.Parallel()
	in := []Block{{Kind: Own, Text: "taken\n" + Delimiter + "\n#resolved\n"}, {Kind: Own, Text: "#closed\n"}}
	if got := OwnText(Split(in)); got != "taken" {
		t.Errorf("own text is %q", got)
	}
}

func TestT08_ForwardedMailIsNotOwn(t *testing.T) {
	t.Parallel()
	head := "From: Ann Ash <ann@example.org>\nDate: Mon, Feb 1, 2016 at 6:32 PM\nSubject: Printer\nTo: <support@example.org>\n\n"
	for _, marker := range []string{
		"---------- Forwarded message ---------", "-------- Forwarded Message --------", "Begin forwarded message:",
		"-------- Weitergeleitete Nachricht --------", "Anfang der weitergeleiteten Nachricht:", "---------- Message transféré ---------",
		"Début du message réexpédié :", "---------- Mensaje reenviado ---------", "Inizio messaggio inoltrato:", "---------- Mensagem encaminhada ---------",
		"---------- Doorgestuurd bericht ---------", "---------- Vidarebefordrat meddelande ---------", "-------- Videresendt meddelelse --------",
		"---------- Välitetty viesti ---------", "---------- Przekazana wiadomość ---------", "---------- Přeposlaná zpráva ---------",
		"-------- Пересылаемое сообщение --------", "Начало переадресованного сообщения:", "---------- 转发的邮件 ---------", "---------- 転送メッセージ ---------",
		"---------- 전달된 메시지 ---------", "---------- İletilen ileti ---------",
	} {
		for how, text := range map[string]string{
			"plain":  "Please look at this.\n\n" + marker + "\n" + head + theirs + "\n",
			"marked": "Please look at this.\n\n" + marker + "\n\n> " + strings.ReplaceAll(head+theirs, "\n", "\n> ") + "\n",
		} {
			blocks := Split(undecided(text))
			if got := OwnText(blocks); got != "Please look at this." {
				t.Errorf("%s, %s: own text is %q", marker, how, got)
			}
			if last := blocks[len(blocks)-1].Kind; last != Forwarded {
				t.Errorf("%s, %s: kind is %q", marker, how, last)
			}
		}
	}
}

// What looks like a quote or a signature and is none: losing words of the
// sender is worse than keeping others'.
func TestSplitLeavesTheSendersOwnWords(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"a list with a heading":         "On the server I see:\n- disk full\n- no swap",
		"a number and a heading":        "On floor 2 we have 3 printers with this fault:\nHP 4000\nHP 4100",
		"prose with wrote":              "The vendor wrote:\nthat we should wait",
		"journey":                       "From: Berlin\nTo: Munich\nDate: 3 May\n\nPlease book this.",
		"labels without a sender":       "Sent: yesterday\nTo: Bob\nSubject: lamp\nIt did not come.",
		"one label":                     "Subject: my printer\nIt jams.",
		"dashes between parts":          "First part\n\n-----\n\nSecond part",
		"table":                         "| Host | State |\n|------|-------|\n| db1  | down  |",
		"mysql dump":                    "--\n-- Table structure for t\n--\nCREATE TABLE t (a int);",
		"dashes inside a line":          "And here is a fix -- this is not a signature.",
		"desk":                          "Here it is\n\nSent from my desk, is much easier then my mobile phone.",
		"phone trouble":                 "My iPhone does not ring.\n\nThe mail was sent by the iPhone of my colleague, who has lost it, please lock it",
		"code":                          "```\n# comment\n--\nselect 1\n```\nDoes this run?",
		"more than":                     "The share of failures is\n>50% since Monday",
		"from at the start of a line":   "See below.\n>From Monday on it failed.",
		"long part below dashes":        "Two things.\n\n--\n" + strings.Repeat("This is a line of a long second part.\n", 30) + "End.",
		"closing and a question":        "Regards,\nAnn\nCan you call me at +49 30 1234567?",
		"thanks above a request":        "Thanks,\nplease also reset my password\n+49 30 1234567",
		"heading forwarded":             "Forwarded message:\nplease read it to the team",
		"heading original":              "Original message\nhad a wrong number",
		"outlook":                       "Outlook für Windows startet nicht.",
		"quote in the middle":           "We get this for every mail:\n\n> 550 5.1.1 User unknown\n\nPlease help.",
		"error at the end":              "We get this for every mail:\n\n> 550 5.1.1 User unknown",
		"answers between the lines":     "> Which printer?\n\nThe one on floor 2.\n\n> Since when?\n\nMonday.",
		"dashed word":                   "The options are\n\n-v\n\n-Restart",
		"time and a colon":              "At 10:30 it said:\nout of paper",
		"mail address and a colon":      "Please add these to sales@example.org:\nbob@example.org\ncem@example.org",
		"log of a mail server":          "2016-02-01 18:32:10 SMTP error from remote mail server after RCPT TO:<ann@example.org>:\n550 5.1.1 User unknown",
		"log":                           "2016-02-01 18:32:10 disk full\n2016-02-01 18:32:11 gave up",
		"appointment":                   "Room 4\n01.02.2016 18:32\n\nPlease move it.",
		"below this line":               "The stain is above this line of the form.",
		"confidential":                  "Please make this folder confidential.",
		"environment in German":         "Hallo,\n\nbitte richten Sie Frau Meier Zugang zum Umweltportal ein.",
		"an office of the environment":  "Das Umweltamt kann keine Mails senden.",
		"both sides":                    "the printer no longer prints on both sides to save paper.",
		"a call under a closing":        "Thanks\nAnn\nPlease call me on +49 30 1234567 before noon",
		"an address in a sentence":      "Kind regards\nAnn Ash\n\nThe error is at https://intra.example/vpn today.",
		"a serial number":               "Gruß\nAnn\n\nDie Seriennummer ist 12345678",
		"a phone's line that goes on":   "See above.\n\nSent from my iPhone mails get lost since Monday.",
		"a program's line that goes on": "See above.\n\nSent from Outlook it never arrives",
		"an entry of a list":            "Two problems:\n\n-Outlook Absturz",
		"a card and a question":         "Best regards\nAnn Ash\nTel. +49 30 1234567\nWhen will you call?",
	} {
		if got, _ := NewText(undecided(text)); got != strings.TrimSpace(text) {
			t.Errorf("%s: new text is %q\nwant %q", name, got, text)
		}
		// Below other words, where cutting would leave something.
		if got, whole := NewText(undecided("Hello there.\n\n" + text)); got != "Hello there.\n\n"+strings.TrimSpace(text) || whole {
			t.Errorf("%s, below other words: new text is %q\nwant %q", name, got, text)
		}
	}
}

func TestSplitTakesSignaturesOff(t *testing.T) {
	t.Parallel()
	const own = "The printer is out of paper."
	for name, foot := range map[string]string{
		"RFC 3676":        "-- \nAnn Ash\nPrinting Ltd.",
		"without space":   "--\nAnn Ash\nPrinting Ltd.",
		"dashed name":     "-Ann Ash",
		"mailing list":    "_______________________________________________\nadmins mailing list\nadmins@example.org\nhttps://example.org/listinfo/admins",
		"iPhone en":       "Sent from my iPhone",
		"iPhone de":       "Von meinem iPhone gesendet",
		"iPhone fr":       "Envoyé de mon iPhone",
		"iPhone es":       "Enviado desde mi iPhone",
		"iPhone pt":       "Enviado do meu iPhone",
		"iPhone it":       "Inviato da iPhone",
		"iPhone nl":       "Verstuurd vanaf mijn iPhone",
		"iPhone sv":       "Skickat från min iPhone",
		"iPhone da":       "Sendt fra min iPhone",
		"iPhone fi":       "Lähetetty iPhonesta",
		"iPhone pl":       "Wysłane z iPhone'a",
		"iPhone cs":       "Odesláno z iPhonu",
		"iPhone hu":       "iPhone-ról küldve",
		"iPhone ro":       "Trimis de pe iPhone-ul meu",
		"iPhone ru":       "Отправлено с iPhone",
		"iPhone uk":       "Надіслано з iPhone",
		"iPhone el":       "Στάλθηκε από το iPhone μου",
		"iPhone tr":       "iPhone'umdan gönderildi",
		"iPhone he":       "נשלח מה-iPhone שלי",
		"iPhone ar":       "أُرسلت من الـ iPhone",
		"iPhone zh":       "发自我的iPhone",
		"iPhone zh-TW":    "從我的iPhone傳送",
		"iPhone ja":       "iPhoneから送信",
		"iPhone ko":       "나의 iPhone에서 보냄",
		"iPhone vi":       "Đã gửi từ iPhone của tôi",
		"iPhone th":       "ส่งจาก iPhone ของฉัน",
		"excuse":          "Sent from my iPhone, please excuse any typos.",
		"Outlook":         "Get Outlook for iOS<https://aka.ms/o0ukef>",
		"Outlook de":      "Outlook für iOS beziehen",
		"Outlook fr":      "Télécharger Outlook pour Android",
		"Windows":         "Sent from Mail for Windows 10",
		"Windows de":      "Gesendet von Mail für Windows",
		"Samsung de":      "Von meinem Samsung Galaxy Smartphone gesendet.",
		"K-9 de":          "Diese Nachricht wurde von meinem Android-Gerät mit K-9 Mail gesendet.",
		"Yahoo":           "Sent from Yahoo Mail on Android",
		"Proton":          "Sent with Proton Mail secure email.",
		"Sparrow":         "Sent with Sparrow (http://www.sparrowmailapp.com/?sig)",
		"BlackBerry":      "Sent from my Verizon Wireless BlackBerry",
		"environment":     "Please consider the environment before printing this e-mail.",
		"legal text":      "This e-mail and any attachments may contain confidential information.\nIf you are not the intended recipient, please notify the sender and delete it at once.",
		"legal text de":   "Diese E-Mail enthält vertrauliche Informationen. Wenn Sie nicht der richtige Empfänger sind, vernichten Sie bitte diese E-Mail und sagen Sie es dem Absender.",
		"several at once": "Sent from my iPhone\n\n-- \nAnn Ash\n\nPlease consider the environment before printing this e-mail.",
	} {
		text := own + "\n\n" + foot + "\n"
		for how, text := range map[string]string{"at the end": text, "above a quote": text + "\nOn Mon, Feb 1, 2016 at 6:32 PM, Ann <ann@example.org> wrote:\n> x\n"} {
			if got := OwnText(undecided(text)); got != own {
				t.Errorf("%s, %s: own text is %q", name, how, got)
			}
		}
	}
}

func TestSplitLeavesClosingAndNameAndTakesTheCard(t *testing.T) {
	t.Parallel()
	for _, closing := range []string{"Best regards,", "Mit freundlichen Grüßen", "Cordialement,", "Saludos,", "Met vriendelijke groet,", "С уважением,"} {
		text := "The scanner is broken.\n\n" + closing + "\nAnn Ash\n\nPrinter Solutions GmbH\nTel. +49 30 1234567\nwww.example.org"
		want := "The scanner is broken.\n\n" + closing + "\nAnn Ash"
		if got := OwnText(undecided(text)); got != want {
			t.Errorf("%s: own text is %q", closing, got)
		}
	}
}

func TestNewTextIsEverythingWhereNothingIsOwn(t *testing.T) {
	t.Parallel()
	text := "---------- Forwarded message ---------\nFrom: Ann <ann@example.org>\nSubject: x\n\nHelp"
	got, whole := NewText(undecided(text + "\n"))
	if got != text || !whole {
		t.Errorf("got %q, whole %v", got, whole)
	}
	if own := OwnText(undecided(text)); own != "" {
		t.Errorf("own text is %q", own)
	}
	if got, whole := NewText(undecided(" \n")); got != "" || whole {
		t.Errorf("of nothing: %q, whole %v", got, whole)
	}
}

func TestNewTextDropsOneQuoteAndKeepsTheAnsweredLines(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, text, want, own string }{
		{"answer below", "On 01.02.2016 18:32, Ann wrote:\n> Which printer?\n\nFloor 2.", "Floor 2.", "Floor 2."},
		{"answer around", "Hello\n\nOn 01.02.2016 18:32, Ann wrote:\n> Which printer?\n\nFloor 2.", "Hello\n\nFloor 2.", "Hello\n\nFloor 2."},
		{
			"between the lines", "On 01.02.2016 18:32, Ann wrote:\n> Which printer?\nFloor 2.\n> Since when?\nMonday.\n> Thanks",
			"On 01.02.2016 18:32, Ann wrote:\n> Which printer?\nFloor 2.\n> Since when?\nMonday.", "Floor 2.\n\nMonday.",
		},
		{"quote left at the end", "Yes.\n\n> Which printer?", "Yes.", "Yes."},
	} {
		got, _ := NewText(undecided(c.text))
		if got != c.want {
			t.Errorf("%s: new text is %q, want %q", c.name, got, c.want)
		}
		if got := OwnText(undecided(c.text)); got != c.own {
			t.Errorf("%s: own text is %q, want %q", c.name, got, c.own)
		}
	}
}

func TestSplitKnowsTheEdgesOfAQuote(t *testing.T) {
	t.Parallel()
	const att = "On 01.02.2016 18:32, Ann wrote:\n"
	long := "> this is a long line of the quote, which the program has broken once more\n"
	for _, c := range []struct{ name, text, own string }{
		{"initials", "Yes.\n\n" + att + "AA> #resolved\nAA> assign eve\n\nAnn too.", "Yes.\n\nAnn too."},
		{"an answer without blank lines", att + long + "No.\n" + long, "No."},
		{"a sentence above the name", "On 1/2/2016 10:00 it broke!\nAnn Ash <ann@example.org> wrote:\n> x", "On 1/2/2016 10:00 it broke!"},
		{"a rule above", "Yes.\n\n-----\n" + att + "> x", "Yes."},
		{"bars", "Yes.\n\n| #resolved\n| assign eve", "Yes."},
	} {
		if got := OwnText(undecided(c.text)); got != c.own {
			t.Errorf("%s: own text is %q, want %q", c.name, got, c.own)
		}
	}
}

func TestSplitKeepsEveryByteInItsPlace(t *testing.T) {
	t.Parallel()
	in := []Block{
		{Text: "\n\nHello\r\n\r\n-- \r\nAnn\r\n"},
		{Kind: Quoted, Text: "said"},
		{Text: ""},
		{Text: "tail without end"},
		{Kind: Signature, Text: "x\n"},
	}
	want := []Block{
		{Own, "\n\nHello\r\n\r\n"}, {Signature, "-- \r\nAnn\r\n"}, {Quoted, "said"}, {Own, ""}, {Own, "tail without end"}, {Signature, "x\n"},
	}
	if diff := cmp.Diff(want, Split(in)); diff != "" {
		t.Error(diff)
	}
}

func TestIsThanksKnowsThanksAlone(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"Thanks", "Thank you!", "thanks a lot :-)", "Many thanks for your help.", "Thanks, Ann", "Thanks!\n\nBob", "Thank you so much!\nBest regards\nAnn Ash",
		"Great, thanks, works now", "Perfect, thank you", "thx", "👍", ":+1:", "OK thanks", "Danke", "Danke schön!", "Vielen Dank für die schnelle Hilfe!", "Herzlichen Dank\n\nViele Grüße\nJonas Weber",
		"Danke, geht wieder", "Merci beaucoup", "Merci pour votre aide !", "Muchas gracias", "Gracias, Ana", "Grazie mille", "Obrigado!", "Muito obrigada", "Bedankt!", "Dank je wel",
		"Tack så mycket", "Mange tak", "Tusen takk", "Kiitos paljon", "Dziękuję bardzo", "Děkuji moc", "Ďakujem pekne", "Köszönöm szépen", "Mulțumesc mult", "Спасибо большое", "Дякую",
		"Благодаря", "Ευχαριστώ πολύ", "Teşekkür ederim", "תודה רבה", "شكرا جزيلا", "谢谢", "非常感谢！", "謝謝您", "ありがとうございました", "감사합니다", "Cảm ơn bạn", "ขอบคุณครับ", "Terima kasih banyak", "Hvala lijepa",
	} {
		if !IsThanks(text, "Ann Ash", "bob", "jonas.weber", "Ana") {
			t.Errorf("%q is thanks", text)
		}
	}
	for _, text := range []string{
		"", "Ann", "ok", "Thanks, but it still fails", "Thanks. Please reopen", "Thanks, can you also reset my password?", "No thanks", "Thanks\nReopen", "Danke. Drucker defekt.",
		"Danke, aber es geht nicht", "Danke, Drucker kaputt", "Merci, mais ça ne marche pas", "Gracias pero no funciona", "Grazie, ma non va", "谢谢，还是不行", "ありがとう、まだ動きません",
		"Спасибо, но не работает", "Thanks, printer 2 too", "Thanks for nothing, the VPN is down", "Thanks again. I have a new laptop and need Outlook", "Thanks?", strings.Repeat("thanks ", 100),
		"Thanks, not Fixed", "Thanks\nScreen Flickers", "Danke\nMonitor Schwarz", "Thanks, Monitor Flickers", "Danke Passwort Abgelaufen", "Thanks, help", "Thanks\nhelp",
	} {
		if IsThanks(text, "Ann Ash", "bob") {
			t.Errorf("%q is not only thanks", text)
		}
	}
}

func FuzzSplit(f *testing.F) {
	for _, a := range attributions {
		f.Add("Own.\n\n"+a.lines+"\n\n> theirs\n", "", "")
		f.Add("Own.\n"+a.lines+"\ntheirs\n-- \nAnn", "quoted", "below")
	}
	f.Add("a\n> b\nc\n> d\ne\n", "x\n", "y")
	f.Add("Best regards\nAnn\nTel. 123456789\n\nSent from my iPhone\n\n-Ann Ash", "", "\n")
	f.Fuzz(func(t *testing.T, first, marked, second string) {
		if !utf8.ValidString(first+marked+second) || len(first)+len(marked)+len(second) > 1<<16 {
			t.Skip()
		}
		in := []Block{{Text: first}, {Kind: Quoted, Text: marked}, {Text: second}}
		out := Split(in)
		var before, after strings.Builder
		for _, b := range in {
			before.WriteString(b.Text)
		}
		for _, b := range out {
			after.WriteString(b.Text)
			if b.Kind == Undecided {
				t.Errorf("undecided: %q", b.Text)
			}
		}
		if before.String() != after.String() {
			t.Errorf("text changed: %q became %q", before.String(), after.String())
		}
		if joinBlocks(in) != joinBlocks(out) {
			t.Errorf("joined text changed: %q became %q", joinBlocks(in), joinBlocks(out))
		}
		if diff := cmp.Diff(out, Split(out)); diff != "" {
			t.Errorf("cut twice: %s", diff)
		}
		text, _ := NewText(Split(undecided(first)))
		again, _ := NewText(Split(undecided(text)))
		if again != text {
			t.Errorf("cutting twice cut more: %q became %q (from %q)", text, again, first)
		}
		if text == "" && strings.TrimSpace(first) != "" {
			t.Errorf("nothing left of %q", first)
		}
	})
}

// With work that grows by the square, these texts would take the test past
// every deadline; BenchmarkSplit shows the growth.
func TestT28_SplitGetsThroughLongTextsOfAnything(t *testing.T) {
	t.Parallel()
	for name, unit := range hostile {
		text := strings.Repeat(unit, (256<<10)/len(unit))
		if got := joinBlocks(Split(undecided(text))); got != text {
			t.Errorf("%s: the text is another one", name)
		}
		linear(t, name, func(n int) func() {
			body := undecided(strings.Repeat(unit, n/len(unit)))
			return func() { Split(body) }
		})
	}
}

func TestT28_SubjectsOfBeginningsOfTagsAreReadAtOnce(t *testing.T) {
	t.Parallel()
	r := desk(t)
	for _, unit := range []string{"[IT-", "[IT-1", "Re: ", "Re[", "[[", "[IT-1]"} {
		linear(t, unit, func(n int) func() {
			s := strings.Repeat(unit, n/len(unit)) + "]"
			return func() { r.Subject(s) }
		})
	}
}

// linear fails where four times the input takes far more than four times as
// long. It asks for a long time, too, since machines stop now and then; what
// is quadratic takes minutes here.
func linear(t *testing.T, name string, prepare func(n int) func()) {
	t.Helper()
	best := func(n int) time.Duration {
		work, least := prepare(n), time.Duration(math.MaxInt64)
		for range 3 {
			start := time.Now()
			work()
			if least = min(least, time.Since(start)); least < 10*time.Millisecond {
				break
			}
		}
		return least
	}
	const n = 16 << 10
	if one, four := best(n), best(4*n); four > 12*one && four > time.Second {
		t.Errorf("%s: %d bytes take %v, four times as many %v", name, n, one, four)
	}
}

// hostile are the lines that make a careless cutter go over the text again and
// again.
var hostile = map[string]string{
	"marks":          "> x\n",
	"nested marks":   strings.Repeat(">", 200) + " x\n",
	"blank":          "\n",
	"colons":         "a1@<b>:\n",
	"attributions":   "On 1/2/2016 10:00 <a@b>\n",
	"headers":        "From: a@b\n",
	"mixed headers":  "From: a\n\nDate: x\n\n",
	"separators":     "--\n",
	"rules":          "________________________________\n",
	"closings":       "Regards\n",
	"cards":          "Regards\nAnn\n+49301234567\n\n",
	"names":          "x\n\n-Ann Ash\n\n",
	"mobile":         "Sent from my iPhone\n",
	"bars":           "| x\n",
	"one bar, a row": "| x\n| y | z\n",
	"markers":        "Forwarded message\n",
	"alternating":    "> x\ny\n",
	"fences":         "```\n--\n",
	"no end":         "word ",
	"delimiter":      "(deskd) (deskd)\n",
}

func BenchmarkSplit(b *testing.B) {
	for name, unit := range hostile {
		for _, n := range []int{256 << 10, 1 << 20} {
			text := strings.Repeat(unit, n/len(unit))
			b.Run(fmt.Sprintf("%s/%d", strings.ReplaceAll(name, " ", "-"), n), func(b *testing.B) {
				b.SetBytes(int64(len(text)))
				b.ReportAllocs()
				for b.Loop() {
					Split(undecided(text))
				}
			})
		}
	}
}

// corpus gives the folder of real mails, or skips the test.
func corpusDir(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("DESKD_CORPUS")
	if dir == "" {
		dir = filepath.Join("..", "..", "shared", "corpus")
	}
	if _, err := os.Stat(dir); err != nil {
		if os.Getenv("DESKD_TEST_SERVERS") == "required" {
			t.Fatalf("no corpus: %v", err)
		}
		t.Skipf("no corpus: %v", err)
	}
	return dir
}

func TestNewTextOfTheCorpusLosesNoWord(t *testing.T) {
	t.Parallel()
	dir := corpusDir(t)
	var n, exact int
	for _, source := range []string{"email_reply_trimmer", "email_reply_parser", "zapier"} {
		raw, err := os.ReadFile(filepath.Join(dir, source, "expected.json"))
		if err != nil {
			t.Fatal(err)
		}
		var doc struct {
			Messages []struct {
				File, Kind string
				Reply      []string `json:"reply_text"` // any of them will do
			}
		}
		if err := json.Unmarshal(raw, &doc); err != nil {
			t.Fatal(err)
		}
		for _, m := range doc.Messages {
			if m.Kind != "text" || len(m.Reply) == 0 || m.Reply[0] == "" {
				continue
			}
			reply := m.Reply[0]
			body, err := os.ReadFile(filepath.Join(dir, source, "messages", m.File))
			if err != nil {
				t.Fatal(err)
			}
			got, _ := NewText(undecided(string(body)))
			n++
			want := strings.Join(strings.Fields(reply), " ")
			if words := strings.Join(strings.Fields(got), " "); words == want {
				exact++
			} else if !strings.Contains(words, want) {
				t.Errorf("%s/%s: %q\nwant %q", source, m.File, got, reply)
			}
		}
	}
	if n == 0 || exact*100 < n*90 {
		t.Errorf("%d of %d are exact, want 90 %%", exact, n)
	}
}
