package triage

import (
	"strings"
	"unicode"
)

// IsThanks says whether a text is nothing but thanks, in any of some thirty
// languages: such an answer does not reopen a resolved ticket. Every word must
// be one that thanks are made of, or be in one of the names (or addresses) of
// those who take part. One word more and it may be a request, so that the
// ticket is better reopened.
func IsThanks(text string, names ...string) bool {
	if len(text) > 400 {
		return false
	}
	known := map[string]bool{}
	for _, n := range names {
		for _, w := range strings.FieldsFunc(strings.ToLower(n), notInName) {
			known[w] = true
		}
	}
	thanked := false
	n := 0
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(phone(line))
		if line == "" {
			continue
		}
		if n++; n > 6 {
			return false
		}
		ok, here := thanksLine(line, known)
		if !ok {
			return false
		}
		thanked = thanked || here
	}
	return thanked
}

// thanksLine says whether a line adds nothing to thanks, and whether it has
// thanks itself.
func thanksLine(line string, names map[string]bool) (ok, thanked bool) {
	low := strings.ToLower(line)
	for _, p := range thanksInside {
		if strings.Contains(low, p) {
			low, thanked = strings.ReplaceAll(low, p, " "), true
		}
	}
	for _, p := range politeInside {
		low = strings.ReplaceAll(low, p, " ")
	}
	if strings.ContainsAny(low, "?？0123456789") {
		return false, false
	}
	words := strings.FieldsFunc(low, notInName)
	for i, w := range words {
		switch {
		case thanksWords[w]:
			thanked = true
		case w == "help" && (i == 0 || !politeWords[words[i-1]]): // "Thanks, help"
			return false, false
		case politeWords[w], names[w] && !askingWords[w]:
		default:
			return false, false
		}
	}
	return true, thanked
}

// notInName parts words; what joins names is no border.
func notInName(r rune) bool {
	return !unicode.IsLetter(r) && !unicode.Is(unicode.Mn, r) && r != '\'' && r != '-'
}

// thanksWords say thanks by themselves.
var thanksWords = wordSet(`thanks thank thx tnx tks ty thanx cheers danke dank dankeschön dankesehr merci gracias grazie obrigado obrigada bedankt dankjewel dankuwel
	tack takk tak kiitos kiitoksia kiitti dziękuję dziekuje dzięki dzieki dziękujemy děkuji děkujeme díky diky ďakujem ďakujeme vďaka dakujem köszönöm köszönjük köszi kösz
	mulțumesc multumesc mulțumim mersi спасибо спасибі благодарю благодарим дякую дякуємо вдячний благодаря мерси хвала ευχαριστώ ευχαριστω ευχαριστούμε
	teşekkürler teşekkür tesekkurler tesekkur sağol sağolun תודה شكرا شكراً شكرًا hvala gràcies aitäh tänan ačiū dėkoju dėkui paldies takkar eskerrik`)

// politeWords may stand beside thanks and change nothing.
var politeWords = wordSet(`you so very much a lot many again all for your the this that help support assistance quick fast prompt swift reply response answer great perfect
	super awesome excellent wonderful nice good job work well done ok okay alright hi hello dear everyone team guys sir madam mr mrs ms best kind warm regards sincerely
	everything every it's its works working fine now is solved resolved fixed and really greatly appreciated appreciate i we it us me million ton bunch
	day weekend evening have
	vielen herzlichen besten schönen lieben sehr für die das den euch ihnen dir ihre eure deine hilfe schnelle prompte rückmeldung antwort unterstützung bearbeitung gut alles
	funktioniert jetzt wieder geht läuft klappt perfekt prima toll grüße gruß gruss grüsse viele liebe freundliche freundlichen freundlichem grüßen mit mfg lg vg hallo guten tag morgen schön tausend
	beaucoup bien infiniment mille fois pour votre ton ta aide réponse rapide parfait très bonne journée cordialement bonjour c'est à vous tous
	muchas muchísimas mil por su tu vuestra la el ayuda rápida respuesta perfecto todo saludos un saludo hola genial
	tante molte mille infinite per il vostro tuo suo aiuto risposta perfetto tutto saluti cordiali ciao
	muito muita pela pelo sua ajuda resposta rápida perfeito tudo abraço cumprimentos atenciosamente olá
	wel je u jullie hartelijk voor de het uw hulp snelle reactie top groet groeten vriendelijke met alvast
	så mycket hjälpen för din er stora tusen mvh hälsningar hej mange for hjelpen hjælpen hilsen venlig vennlig med
	paljon avusta kovasti terveisin oikein bardzo za pomoc szybką odpowiedź pozdrawiam serdecznie moc mockrát pomoc rychlou odpověď pozdravem s velmi pekne
	szépen nagyon segítséget a gyors választ üdv mult foarte frumos pentru ajutor большое огромное за помощь быстрый ответ все всё работает уважением с вам вас очень
	дуже щиро допомогу много помощта πολύ για τη βοήθεια σας çok ederim ederiz yardımınız için רבה על העזרה جزيلا جزيلاً لك puno lijepa najlepša pomoć suur väga labai už liels par
	moltes molt kveðja asko banyak`)

// thanksInside and politeInside are the same for scripts without spaces and
// for thanks of several words.
var (
	thanksInside = phrases(`谢谢,謝謝,感谢,感謝,多谢,多謝,ありがとうございました,ありがとうございます,ありがとう,助かりました,감사합니다,감사드립니다,고맙습니다,감사해요,고마워요,ขอบคุณ,ขอบใจ,
		cảm ơn,cám ơn,terima kasih,makasih,dank je wel,dank u wel,dank je,dank u,muito obrigado,muito obrigada,much appreciated,👍,🙏,:+1:,❤️,❤`)
	politeInside = phrases(`problem solved,problem is solved,issue solved,issue resolved,issue is resolved,problem fixed,非常,您的帮助,你的帮助,您的幫助,帮助,幫助,大家,您,你,了,的,很,大变,本当に,どうも,誠に,ご対応,いただき,早速,よろしくお願いいたします,よろしくお願いします,정말,대단히,도움,주셔서,
		มาก,ครับ,ค่ะ,คะ,นะ,rất nhiều,nhiều,bạn,anh,chị,banyak,atas,bantuannya,😊,🙂,😀,😃,☺️,☺,🎉,:-),:),;-)`)
)

// askingWords are no names, however they are written.
var askingWords = wordSet(`but not no still again please reopen open help broken error problem why when how what it doesn't does can could would need urgent wrong fails failed down
	aber nicht kein noch bitte wieder fehler defekt kaputt warum wann wie öffnen dringend drucker
	mais pas encore pero no todavía ma non ancora mas não ainda maar niet men ikke inte
	close closed resolved done printer server vpn password network laptop`)
