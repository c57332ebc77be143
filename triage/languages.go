package triage

import "strings"

// This file holds what mail programs write in the languages of their users.
// Words are in lower case. Within a table the entries are parted by commas or,
// for single words, by spaces; one line is one or a few languages.

// headerRole is what a line of a header block says.
type headerRole uint8

const (
	roleFrom headerRole = 1 << iota
	roleSent
	roleDate
	roleTo
	roleCc
	roleSubject
	roleOther // Reply-To, attachments, importance: stands in header blocks and proves nothing
)

// headerLabels gives the role of a label that stands before the colon in the
// header blocks of Outlook, Exchange, Apple Mail, Yahoo, Lotus Notes and others.
var headerLabels = labels(map[headerRole]string{
	roleFrom: `from,von,de,da,van,från,fra,lähettäjä,od,feladó,de la,expéditeur,remitente,mittente,remetente,afzender,avsändare,afsender,avsender,
		от,від,кому від,από,kimden,gönderen,מאת,من,发件人,寄件者,寄件人,差出人,送信者,from (差出人),보낸 사람,보낸사람,발신,จาก,từ,dari,šalje,saatja,kellelt,
		no,nuo,sendari,frá,od koga,remitent,igorlea,odesílatel,odosielateľ,nadawca`,
	roleSent: `sent,sent at,sent on,gesendet,gesendet am,envoyé,envoyé le,envoyé par,enviado,enviado el,enviado em,enviada em,enviada,inviato,inviato il,
		verzonden,verstuurd,skickat,sendt,lähetetty,wysłano,wysłane,odesláno,odoslané,elküldve,küldve,trimis,отправлено,дата отправки,надіслано,
		відправлено,изпратено,στάλθηκε,εστάλη,gönderildi,gönderme tarihi,gönderilme tarihi,gönderilen,נשלח,تم الإرسال,تاريخ الإرسال,发送时间,傳送時間,寄件日期,送信日時,
		보낸 날짜,보낸날짜,ส่ง,ส่งเมื่อ,đã gửi,ngày gửi,terkirim,dikirim,poslano,poslato,послато,saadetud,nosūtīts,išsiųsta,enviat,enviat el`,
	roleDate: `date,datum,fecha,data,dato,päivämäärä,päiväys,pvm,data wysłania,dátum,дата,ημερομηνία,tarih,תאריך,التاريخ,日期,时间,時間,日時,日付,날짜,วันที่,ngày,
		tanggal,kuupäev,datums,dagsetning`,
	roleTo: `to,an,à,a,para,per a,per,aan,till,til,vastaanottaja,kenelle,do,komu,címzett,către,catre,pentru,destinataire,destinatario,destinatário,empfänger,
		ontvanger,mottagare,modtager,mottaker,кому,до,на кого,получатель,προς,kime,alıcı,אל,إلى,收件人,收件者,宛先,받는 사람,받는사람,수신,ถึง,đến,tới,kepada,ke,za,
		prima,primatelj,adressaat,saaja,kellele,kam,kas,kam adresuota,príjemca,příjemce,nori`,
	roleCc: `cc,bcc,kopie,copie,copie à,copia,con copia,cópia,kopia,kopi,kopio,dw,udw,w kopii,másolatot kap,másolat,копия,копія,копие,κοιν,κοινοποίηση,bilgi,
		עותק,نسخة,抄送,副本,참조,สำเนา,đồng gửi,tembusan,koopia,kopija,kópia,c.c.,cópia para`,
	roleSubject: `subject,betreff,objet,sujet,asunto,oggetto,assunto,onderwerp,ämne,emne,aihe,otsikko,temat,předmět,predmet,tárgy,subiect,тема,относно,θέμα,konu,
		נושא,الموضوع,主题,主題,主旨,标题,件名,제목,เรื่อง,chủ đề,subjek,perihal,zadeva,teema,temats,tema,assumpte,efni,gaia`,
	roleOther: `reply-to,reply to,antwort an,répondre à,responder a,rispondi a,responder para,antwoorden aan,svar till,svar til,attachments,anlagen,anhänge,
		pièces jointes,datos adjuntos,allegati,anexos,bijlagen,bifogade filer,vedhæftede filer,vedlegg,liitteet,załączniki,přílohy,prílohy,mellékletek,вложения,
		вкладення,прикачени файлове,συνημμένα,ekler,添付ファイル,附件,importance,wichtigkeit,importancia,importanza,prioriteit,priority,priorität,priorité,
		message-id,content-type,resent-from,x-mailer,sender,organization,newsgroups,mailed-by,signed-by,when,where,required attendees,optional attendees`,
})

func labels(by map[headerRole]string) map[string]headerRole {
	out := map[string]headerRole{}
	for role, list := range by {
		for _, l := range phrases(list) {
			out[l] = role
		}
	}
	return out
}

// phrases parts a list at its commas.
func phrases(list string) []string {
	var out []string
	for _, p := range strings.Split(list, ",") {
		if p = strings.TrimSpace(p); p != "" {
			out = append(out, p)
		}
	}
	return out
}

func phraseSet(list string) map[string]bool {
	set := map[string]bool{}
	for _, p := range phrases(list) {
		set[p] = true
	}
	return set
}

// originalPhrases stand between dashes above the mail that is answered.
var originalPhrases = phraseSet(`original message,original mail,original email,original e-mail,original appointment,original-message,original,replied message,reply message,
	reply to message,previous message,
	ursprüngliche nachricht,ursprungliche nachricht,originalnachricht,original-nachricht,original nachricht,originale nachricht,ursprünglicher termin,original-mail,
	message d'origine,message d’origine,message original,message originel,mail original,message initial,courriel original,e-mail d'origine,e-mail d’origine,
	mensaje original,correo original,messaggio originale,messaggio original,mensagem original,missatge original,mezua jatorrizkoa,
	oorspronkelijk bericht,origineel bericht,oorspronkelijke bericht,ursprungligt meddelande,originalmeddelande,ursprungligt mail,
	oprindelig meddelelse,oprindelig besked,original meddelelse,opprinnelig melding,original melding,opphavleg melding,upprunaleg skilaboð,
	alkuperäinen viesti,alkuperäinen sähköposti,oryginalna wiadomość,wiadomość oryginalna,wiadomość pierwotna,treść oryginalnej wiadomości,
	původní zpráva,původní e-mail,původní email,pôvodná správa,pôvodný e-mail,eredeti üzenet,mesaj original,mesajul original,
	исходное сообщение,оригинальное сообщение,первоначальное сообщение,исходное письмо,вихідне повідомлення,оригінальне повідомлення,початкове повідомлення,
	оригинално съобщение,първоначално съобщение,оригинална порука,αρχικό μήνυμα,orijinal mesaj,orijinal ileti,özgün ileti,asıl mesaj,asıl ileti,
	הודעה מקורית,ההודעה המקורית,الرسالة الأصلية,رسالة أصلية,原始邮件,原始郵件,原邮件,原始信件,原始訊息,元のメッセージ,元のメール,원본 메시지,원본 메일,원본메일,원본 이메일,
	ข้อความต้นฉบับ,ข้อความเดิม,thư gốc,tin nhắn gốc,thư ban đầu,pesan asli,pesan asal,izvorna poruka,originalna poruka,izvirno sporočilo,
	algne sõnum,originaalsõnum,algne kiri,oriģinālais ziņojums,sākotnējais ziņojums,originalus laiškas,pradinis laiškas`)

// forwardPhrases stand between dashes, or alone before a colon, above a mail
// that is passed on.
var forwardPhrases = phraseSet(`forwarded message,forwarded mail,forwarded email,forwarded e-mail,begin forwarded message,start of forwarded message,forward message,forwarded by,
	weitergeleitete nachricht,weitergeleitete mail,weitergeleitete e-mail,anfang der weitergeleiteten nachricht,anfang der weitergeleiteten e-mail,
	message transféré,message transmis,message réexpédié,début du message réexpédié,début du message transféré,courriel transféré,e-mail transféré,
	mensaje reenviado,inicio del mensaje reenviado,messaggio inoltrato,inizio messaggio inoltrato,inizio del messaggio inoltrato,
	mensagem encaminhada,mensagem reencaminhada,início da mensagem encaminhada,início da mensagem reencaminhada,missatge reenviat,
	doorgestuurd bericht,begin doorgestuurd bericht,doorgezonden bericht,vidarebefordrat meddelande,vidarebefordrat brev,vidarebefordrat mejl,
	videresendt meddelelse,videresendt besked,start på videresendt besked,videresendt melding,videresendt e-post,start på videresendt melding,
	välitetty viesti,edelleenlähetetty viesti,välitetty viesti alkaa,przekazana wiadomość,wiadomość przekazana dalej,początek przekazywanej wiadomości,
	początek przekazanej wiadomości,přeposlaná zpráva,předávaná zpráva,začátek přeposílané zprávy,přesměrovaná zpráva,preposlaná správa,začiatok preposlanej správy,
	továbbított üzenet,továbbított levél,a továbbított üzenet kezdete,mesaj redirecționat,mesaj redirecţionat,început mesaj redirecționat,
	пересылаемое сообщение,пересланное сообщение,перенаправленное сообщение,начало переадресованного сообщения,начало пересылаемого сообщения,
	переслане повідомлення,переадресоване повідомлення,початок листа що пересилається,препратено съобщение,начало на препратеното съобщение,
	προωθημένο μήνυμα,προωθούμενο μήνυμα,έναρξη προωθημένου μηνύματος,yönlendirilmiş mesaj,yönlendirilen mesaj,iletilen ileti,iletilmiş mesaj,iletilen mesajın başı,
	הודעה שהועברה,הודעה מועברת,رسالة محوّلة,رسالة معاد توجيهها,بداية الرسالة المحولة,
	转发的邮件,转发邮件信息,转发邮件,轉寄的郵件,轉寄郵件,开始转发的邮件,下面是被转发的邮件,以下是轉寄的郵件,転送メッセージ,転送されたメッセージ,以下は転送されたメッセージです,
	전달된 메시지,전달된 메일,전달된 메시지 시작,ข้อความที่ส่งต่อ,thư đã chuyển tiếp,tin nhắn chuyển tiếp,pesan terusan,pesan yang diteruskan,
	proslijeđena poruka,prosleđena poruka,posredovano sporočilo,edastatud sõnum,edastatud kiri,pārsūtītais ziņojums,persiųstas laiškas`)

// aboveLines are in the lines by which other desks mark the end of an answer.
var aboveLines = phrases(`above this line,above the line,above this dotted line,do not write below,oberhalb dieser linie,oberhalb dieser zeile,über dieser zeile,über dieser linie,au-dessus de cette ligne,
	por encima de esta línea,encima de esta línea,acima desta linha,sopra questa riga,sopra questa linea,boven deze regel,boven deze lijn,ovanför denna rad,ovanför den här raden,over denne linje,over denne linjen,
	powyżej tej linii,nad tento řádek,выше этой строки,выше этой линии,bu satırın üst,在此行上方,在此线上方,この行より上,この線より上,이 줄 위`)

// wroteVerbs are the words by which an attribution line tells that somebody
// wrote what follows; each is one word of the line.
var wroteVerbs = wordSet(`wrote writes schrieb schreibt geschrieben écrit ecrit escribió escribio escribe escribía scritto scrive escreveu escreve
	schreef schrijft geschreven skrev skriver skrifaði kirjoitti kirjoittaa napisał napisała napisal napisala pisze napsal napsala píše napísal napísala
	írta irta scris пишет написал написала писал писала пише написав написа έγραψε έγραφε yazdı yazmış כתב כתבה كتب كتبت كتابة
	viết menulis tulis napisao napisala piše rašė parašė kirjutas kirjutab rakstīja escriure idatzi написао`)

// wroteInside are such words in scripts that put no space between words.
var wroteInside = []string{"写道", "寫道", "写到", "提到", "撰寫", "撰写", "のメール", "書きました", "書いた", "작성", "쓴 글", "쓰셨", "เขียน", "님이 쓴"}

// datedIntros begin an attribution line, before its date.
var datedIntros = wordSet(`on am at le el il op om den em no na dia a às la les dne dňa dňa w dnia dniu в на у від στις την la ti ma ke to pe su 在 於 于 vào pada
	בתאריך ב في ในวันที่ dana je kuupäeval`)

// mobileBegins are the beginnings of the lines that phones and mail programs
// put under a mail of their own accord.
var mobileBegins = phrases(`sent from my,sent from mail for,sent from yahoo,sent from outlook,sent from aol,sent from proton,sent from samsung,sent from gmail,sent from the,
	sent via,sent with,sent using,sent by,sent on the,sent on my,this message was sent from,this email was sent from my,get outlook for,download outlook,typed on my,written on my,
	gesendet von,gesendet mit,gesendet über,gesendet vom,diese nachricht wurde von meinem,diese nachricht wurde mit,diese e-mail wurde von meinem,
	envoyé de mon,envoyé depuis,envoyé à partir de,envoyé avec,envoyé de,envoyé d'un,envoyé d’un,envoyé par,télécharger outlook,obtenir outlook,téléchargez outlook,
	enviado desde,enviado con,enviado mediante,obtener outlook,descargar outlook,consigue outlook,
	enviado do meu,enviado da minha,enviado do,enviada do meu,enviado via,enviado a partir,enviado por,obter o outlook,obter outlook,baixar o outlook,
	inviato da,inviato dal,inviato tramite,inviato con,scarica outlook,ottieni outlook,
	verstuurd vanaf,verzonden vanaf,verzonden met,verstuurd met,verzonden via,verstuurd vanuit,verzonden vanuit,download outlook,
	skickat från,skickat med,skickat via,hämta outlook,sendt fra,sendt med,sendt via,sendt fra min,hent outlook,skaff deg outlook,få outlook,
	lähetetty,hanki outlook,wysłane z,wysłano z,wysłane przez,pobierz outlook,pobierz program outlook,uzyskaj outlook,odesláno z,odesláno ze,odoslané z,odoslané zo,stáhnout outlook,
	získat outlook,získať outlook,küldve a,elküldve a,az outlook,trimis de pe,trimis din,trimis de la,descărcați outlook,obțineți outlook,
	отправлено с,отправлено из,отправлено через,получить outlook,скачать outlook,надіслано з,надіслано із,відправлено з,отримати outlook,изпратено от,изпратено с,
	στάλθηκε από,αποστολή από,εστάλη από,λήψη του outlook,נשלח מ,נשלח מה,أُرسلت من,أرسلت من,مرسل من,تم الإرسال من,发自我的,發自我的,从我的,從我的,發送自,发送自,傳送自,获取 outlook,取得 outlook,
	ส่งจาก,đã gửi từ,gửi từ,được gửi từ,dikirim dari,dikirim menggunakan,poslano s,poslano iz,poslano sa,poslato sa,saadetud minu,nosūtīts no,išsiųsta iš,enviat des`)

// mobileEnds are the ends of such lines in languages that put the verb last.
var mobileEnds = phrases(`gesendet,gesendet.,verschickt,gönderildi,gönderildi.,küldve,küldve.,elküldve,から送信,から送信しました,から送信されました,から送信されています,에서 보냄,에서 보냈습니다,에서 전송함,
	에서 발송됨,发送,發送,发出,發出,傳送,から送信。,を入手,를 다운로드`)

// devices are the things and programs of which those lines speak; a line that
// names none of them is somebody's sentence.
var devices = phrases(`iphon,ipad,ipod,android,blackberry,samsung,galaxy,smartphone,mobile,mobil,handy,phone,telefon,telefoon,téléphone,teléfono,telefono,
	telefone,móvil,celular,portable,cellulare,gsm,nokia,lumia,huawei,xiaomi,redmi,oneplus,pixel,motorola,sony,xperia,htc,tablet,windows,outlook,yahoo,gmail,
	mail for,mail für,courrier pour,correo para,proton,k-9,fairemail,thunderbird,aqua mail,bluemail,spark,airmail,sparrow,mailbird,mailspring,superhuman,fastmail,gmx,web.de,
	t-online,orange,laposte,libero,tiscali,seznam,wp.pl,mail.ru,яндекс,yandex,почт,айфон,телефон,мобильн,смартфон,мобіл,κινητό,手机,手機,スマートフォン,携帯,휴대폰,갤럭시,
	puhelim,matkapuhel,komórk,nexus,handheld,wireless,device,gerät,appareil,dispositivo,apparaat,enhet,palm,treo,aol,zoho,tutanota,tuta,posteo,emclient,em client,shortwave,boomerang`)

// closings end a mail; a name follows and then, often, a card of addresses and
// telephone numbers.
var closings = phraseSet(`regards,best regards,kind regards,warm regards,kindest regards,many regards,best,all the best,best wishes,cheers,sincerely,yours sincerely,yours faithfully,
	sincerely yours,yours,yours truly,respectfully,cordially,thanks,thanks and regards,thanks & regards,thank you,many thanks,with kind regards,with best regards,thanks in advance,thx,rgds,br,kr,
	mit freundlichen grüßen,mit freundlichen gruessen,mit freundlichen grüssen,mit freundlichem gruß,freundliche grüße,freundliche grüsse,viele grüße,viele grüsse,liebe grüße,
	beste grüße,beste grüsse,schöne grüße,herzliche grüße,mit besten grüßen,mit lieben grüßen,grüße,gruß,gruss,mfg,vg,lg,hochachtungsvoll,danke,vielen dank,danke und gruß,
	cordialement,bien cordialement,très cordialement,salutations,meilleures salutations,sincères salutations,bien à vous,amicalement,merci,merci d'avance,bonne journée,cdlt,
	saludos,un saludo,saludos cordiales,cordiales saludos,atentamente,un cordial saludo,reciba un cordial saludo,gracias,muchas gracias,
	saluti,cordiali saluti,distinti saluti,un saluto,grazie,grazie mille,atenciosamente,att,cumprimentos,melhores cumprimentos,com os melhores cumprimentos,abraços,abraço,obrigado,obrigada,
	groet,groeten,groetjes,met vriendelijke groet,met vriendelijke groeten,vriendelijke groet,hartelijke groet,mvg,bedankt,alvast bedankt,
	med vänliga hälsningar,med vänlig hälsning,vänliga hälsningar,hälsningar,mvh,tack,med venlig hilsen,venlig hilsen,hilsen,de bedste hilsner,mange hilsner,med vennlig hilsen,vennlig hilsen,tak,takk,
	ystävällisin terveisin,terveisin,yst terv,kiitos,t,pozdrawiam,z poważaniem,z wyrazami szacunku,dziękuję,dzięki,s pozdravem,s přátelským pozdravem,děkuji,díky,s pozdravom,ďakujem,
	üdvözlettel,tisztelettel,köszönettel,köszönöm,cu stimă,cu respect,o zi bună,mulțumesc,с уважением,с наилучшими пожеланиями,спасибо,з повагою,дякую,поздрави,с уважение,благодаря,
	με εκτίμηση,ευχαριστώ,φιλικά,saygılarımla,saygılar,iyi çalışmalar,teşekkürler,בברכה,תודה,مع التحية,تحياتي,شكرا,此致,祝好,谢谢,謝謝,敬具,よろしくお願いします,よろしくお願いいたします,감사합니다,감사합니다.,
	trân trọng,cảm ơn,salam,hormat saya,terima kasih,srdačan pozdrav,lijep pozdrav,pozdrav,lep pozdrav,parimate soovidega,tervitades,ar cieņu,pagarbiai,salutacions`)

// disclaimerWords: a last paragraph with one word of each row is the legal
// text that a mail server adds.
var disclaimerWords = [][]string{
	phrases(`confidential,privileged,vertraulich,confidentiel,confidencial,riservat,vertrouwelijk,konfidentiell,fortrolig,luottamuksellis,poufn,důvěrn,dôvern,bizalmas,confidenți,конфиденц,конфіденц,поверит,εμπιστευτικ,gizli,机密,保密,機密`),
	phrases(`e-mail,email,message,mail,nachricht,courriel,mensaje,correo,messaggio,mensagem,bericht,meddelande,besked,melding,viesti,wiadomość,zpráv,správ,üzenet,mesaj,сообщени,повідомлен,съобщени,письм,μήνυμα,ileti,邮件,郵件,メール`),
	phrases(`recipient,addressee,intended,unauthori,empfänger,adressat,destinataire,destinatario,destinatari,destinatário,geadresseerde,mottagare,modtager,mottaker,vastaanottaj,adresat,adresát,címzett,получател,адресат,одержувач,παραλήπτη,alıcı,收件人,受取人`),
}

// printPleas are the lines that ask to spare paper.
var printPleas = phrases(`consider the environment before printing,think before you print,do you really need to print,please save paper,save paper and trees,denken sie an die umwelt,denk an die umwelt,der umwelt zuliebe,schonen sie die umwelt,umwelt schonen,an unsere umwelt,bevor sie diese e-mail ausdrucken,muss diese e-mail wirklich ausgedruckt,
	avant d'imprimer,avant d’imprimer,antes de imprimir,prima di stampare,denk aan het milieu,tänk på miljön,tænk på miljøet,tenk på miljøet,zanim wydrukujesz,než vytisknete,mielőtt kinyomtat,перед печатью`)

// automaticSubjects begin the subject of an automatic answer.
var automaticSubjects = phrases(`automatic reply,automatic response,automated reply,automated response,auto reply,auto-reply,autoreply,auto response,auto-response,autoresponse,autorespons,
	auto responder,autoresponder,out of office autoreply,out-of-office autoreply,out of office auto-reply,out of office: autoreply,out-of-office reply,out of office reply,vacation reply,vacation response,automatic answer,
	automatische antwort,automatische abwesenheitsnotiz,abwesenheitsnotiz,abwesenheitsnachricht,abwesenheitsmeldung,abwesenheitsassistent,autoantwort,auto-antwort,automatische rückantwort,automatische nachricht,
	réponse automatique,reponse automatique,réponse d'absence,réponse d’absence,message d'absence,message d’absence,notification d'absence,avis d'absence,
	respuesta automática,respuesta automatica,resposta automática,resposta automatica,resposta automàtica,risposta automatica,autorisposta,erantzun automatikoa,
	automatisch antwoord,automatische reactie,automatisch bericht,afwezigheidsbericht,automatiskt svar,autosvar,automatisk svar,fraværsmelding,fraværsbesked,fraværsassistent,frånvaromeddelande,sjálfvirkt svar,
	automaattinen vastaus,automaattivastaus,poissaoloilmoitus,automatyczna odpowiedź,autoodpowiedź,odpowiedź automatyczna,automatická odpověď,automatické odpovědi,automatická odpoveď,
	automatikus válasz,automatikus üzenet,răspuns automat,raspuns automat,автоответ,автоматический ответ,автоматична відповідь,автовідповідь,автоматичен отговор,аутоматски одговор,
	αυτόματη απάντηση,otomatik yanıt,otomatik cevap,תשובה אוטומטית,מענה אוטומטי,رد تلقائي,الرد التلقائي,رد آلي,自动回复,自动答复,自動回覆,自動回复,自動応答,自動返信,자동 회신,자동회신,자동 응답,자동응답,
	ตอบกลับอัตโนมัติ,การตอบกลับอัตโนมัติ,trả lời tự động,thư trả lời tự động,balasan otomatis,jawaban otomatis,automatski odgovor,samodejni odgovor,automaatvastus,automātiska atbilde,automātiskā atbilde,automatinis atsakymas`)

// absentSubjects begin the subjects of vacation answers, and of sentences.
var absentSubjects = phrases(`out of office,out of the office,out-of-office,ooo,ooto,away from the office,away from my mail,away from office,away until,away,on vacation,on leave,on annual leave,on holiday,annual leave,
	i am out of the office,i am currently out of the office,i'm out of the office,vacation,maternity leave,parental leave,
	abwesenheit,abwesend,nicht im büro,ich bin nicht im büro,außer haus,im urlaub,urlaub,ich bin im urlaub,bin im urlaub,
	absence,absent,absente,absent du bureau,absente du bureau,en congé,en congés,en vacances,hors du bureau,fuera de la oficina,fuera de oficina,ausente,ausencia,de vacaciones,
	fuori ufficio,fuori sede,assente,assenza,in ferie,ausência,ausência temporária,fora do escritório,de férias,afwezig,afwezigheid,niet op kantoor,niet aanwezig,met vakantie,
	inte på kontoret,frånvaro,frånvarande,semester,på semester,ikke på kontoret,fravær,fraværende,ferie,på ferie,poissa,poissa toimistosta,lomalla,vuosilomalla,
	poza biurem,nieobecność,nieobecny,nieobecna,jestem na urlopie,urlop,mimo kancelář,nepřítomnost,dovolená,mimo kancelárie,neprítomnosť,dovolenka,házon kívül,irodán kívül,szabadságon,
	absent din birou,în concediu,вне офиса,отсутствие,отсутствую,в отпуске,нет на месте,поза офісом,у відпустці,відсутній,извън офиса,в отпуск,εκτός γραφείου,ofis dışında,izindeyim,yıllık izin,
	מחוץ למשרד,خارج المكتب,في إجازة,外出,不在办公室,休假,不在辦公室,不在,不在通知,休暇,부재중,부재 중,휴가,izvan ureda,na godišnjem,odsoten,odsotnost,kontorist väljas,puhkusel,prombūtnē,atvaļinājumā,atostogose`)

// absentTexts are what an absent person says.
var absentTexts = phrases(`i am out of,i'm out of,i am currently out,i'm currently out,i will be out of,i'll be out of,i am away,i'm away,i will be away,i am currently away,i'm currently away,i am on leave,i am on annual leave,i'm on leave,
	i am on vacation,i'm on vacation,i am on holiday,i'm on holiday,on maternity leave,on parental leave,i am travel,i'm travel,i will be travel,i am not in the office,i am currently on,i am absent,out of the office until,out of office until,
	ich bin nicht im,ich bin derzeit nicht,ich bin zur zeit nicht,ich bin momentan nicht,ich bin aktuell nicht,ich bin abwesend,ich bin im urlaub,ich bin bis,ich bin vom,ich bin ab,ich bin erst,ich bin außer haus,bin ich nicht im,bin ich nicht erreichbar,bin ich abwesend,befinde mich im urlaub,wieder im büro,
	je suis absent,je suis actuellement absent,je suis en congé,je suis actuellement en,je suis en vacances,je serai absent,je suis en déplacement,de retour le,
	estoy fuera,estaré fuera,me encuentro fuera,estoy de vacaciones,estoy ausente,estaré ausente,me encuentro de vacaciones,estic fora,
	sono fuori,sarò fuori,sono assente,sarò assente,sono in ferie,estou ausente,estarei ausente,estou de férias,estou fora,encontro-me ausente,encontro-me de férias,
	ik ben afwezig,ik ben niet,ik ben momenteel,ik ben met vakantie,ik ben op vakantie,ik ben met verlof,jag är inte,jag är på semester,jag är ledig,jag är borta,jag är frånvarande,
	jeg er ikke,jeg er på ferie,jeg har ferie,jeg holder ferie,jeg er bortreist,jeg er fraværende,olen poissa,olen lomalla,olen vuosilomalla,en ole toimistolla,
	jestem poza,jestem nieobecn,jestem na urlopie,przebywam na urlopie,będę nieobecn,nejsem v,jsem mimo,mám dovolenou,jsem na dovolené,čerpám dovolenou,nie som v,som mimo,čerpám dovolenku,
	házon kívül vagyok,szabadságon vagyok,nem vagyok,nu sunt în birou,sunt plecat,sunt în concediu,я в отпуске,я нахожусь в отпуске,меня нет,я отсутствую,нахожусь в командировке,я у відпустці,мене немає,
	в отпуск съм,извън офиса съм,είμαι εκτός,λείπω,απουσιάζω,izindeyim,ofis dışındayım,ofiste değilim,yıllık izinde,איני במשרד,אני לא במשרד,אני בחופשה,אהיה בחופשה,أنا خارج المكتب,أنا في إجازة,我在休假,我正在休假,我不在办公室,我目前不在,我目前外出,休假中,
	不在にして,休暇中,外出して,休暇をいただ,출장 중,휴가 중,부재중입니다,자리를 비`)

// returnTexts are what such answers promise or advise.
var returnTexts = phrases(`when i return,upon my return,on my return,after my return,i will return,i'll return,will be back,i'll be back,be back on,back in the office,returning on,limited access,no access to,respond to your,reply to your,respond as soon,read mail,
	urgent,emergency,in my absence,in the meantime,nach meiner rückkehr,wieder erreichbar,wieder im büro,wieder für sie da,in dringenden,dringende fälle,vertretung,ihre nachricht wird nicht,
	à mon retour,en cas d'urgence,en cas d’urgence,de retour,mon absence,a mi regreso,a mi vuelta,en caso de urgencia,para asuntos urgentes,al mio rientro,al mio ritorno,in caso di urgenza,per urgenze,no meu regresso,quando retornar,em caso de urgência,
	bij dringende,na mijn terugkomst,weer aanwezig,när jag är tillbaka,tillbaka på,vid brådskande,når jeg er tilbake,når jeg er tilbage,tilbage,tilbake,palaan,kiireellisissä,po powrocie,w pilnych,wracam,po návratu,v naléhavých,v urgentních,po návrate,
	sürgős esetben,visszatérésem,la întoarcere,urgențe,по возвращении,вернусь,срочн,після повернення,терміново,спешни,επιστρέφω,επείγον,döndüğümde,acil,אחזור,חזרתי,سأعود,回来后,紧急,緊急,戻り次第,急用,복귀,긴급`)

// returnedPhrases are in the subjects of mail that comes back.
var returnedPhrases = phrases(`undeliver,delivery status notification,delivery failure,delivery has failed,delivery notification,failure notice,returned mail,mail delivery failed,returned to sender,bounce notification,mail system error,
	non-delivery,nondeliverable,delivery report,message not delivered,could not be delivered,unzustellbar,nicht zustellbar,non remis,remise impossible,échec de la remise,no se puede entregar,no se pudo entregar,mancato recapito,impossibile recapitare,
	não entregue,falha na entrega,onbestelbaar,kan niet worden bezorgd,kunde inte levereras,går inte att leverera,kan ikke leveres,ei voida toimittaa,niedostarczon,nedoručiteln,kézbesíthetetlen,не доставлено,недоставлен,teslim edilemedi,配信不能,未送达,无法送达,退信`)

// noReplyLocals are the beginnings or ends of local parts that nobody reads,
// hyphens, dots and underlines taken out.
var noReplyLocals = phrases(`noreply,donotreply,dontreply,neverreply,nichtantworten,bittenichtantworten,keineantwort,nepasrepondre,noresponder,norespondas,naoresponda,naoresponder,nonrispondere,nietantwoorden,nietbeantwoorden,
	svarainte,svarej,ikkesvar,svarikke,eivastata,nieodpowiadaj,neodpovidat,neodpovidejte,autoreply,autoresponder,autoresponse`)
