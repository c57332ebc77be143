package mailout

import (
	"fmt"
	"time"
)

var (
	germanDays   = [...]string{"Sonntag", "Montag", "Dienstag", "Mittwoch", "Donnerstag", "Freitag", "Samstag"}
	germanMonths = [...]string{"", "Januar", "Februar", "März", "April", "Mai", "Juni", "Juli", "August", "September", "Oktober", "November", "Dezember"}
)

// german is what the desk says by itself, in German.
var german = &language{
	code: German, decimal: ",",
	date: func(t time.Time) string {
		return fmt.Sprintf("%s, %d. %s %d, %s Uhr %s", germanDays[t.Weekday()], t.Day(), germanMonths[t.Month()], t.Year(), t.Format("15:04"), t.Format("MST"))
	},
	exact: map[string]string{
		// Statuses, priorities and other words.
		"open": "offen", "in progress": "in Bearbeitung", "waiting": "wartend", "resolved": "gelöst", "closed": "geschlossen",
		"critical": "kritisch", "high": "hoch", "medium": "mittel", "low": "niedrig",
		"nobody": "niemand", "participant": "beteiligt", "no participant": "nicht beteiligt", "requester": "Antragsteller",
		"bytes": "Bytes", "(no subject)": "(kein Betreff)",
		"status": "Status", "assignee": "Zuständigkeit", "team": "Team", "priority": "Priorität",
		"subject": "Betreff", "text": "Text", "sender": "Absender", "domain": "Absenderdomain", "recipient": "Empfänger", "attachment": "Anhangnamen",
		"ignore": "ignorieren", "spam": "Spam",
		"acknowledgement": "Eingangsbestätigung", "team notice": "Nachricht an das Team", "reply": "Antwort", "status notice": "Statusnachricht",
		"answer notice": "Nachricht über die Antwort", "note notice": "Nachricht über die Notiz", "assign notice": "Nachricht über die Zuweisung",
		"move notice": "Nachricht an das neue Team", "merge notice": "Nachricht über die Zusammenführung", "taken notice": "Nachricht über die Übernahme",
		"due notice": "Erinnerung", "command error": "Fehlermeldung", "reply failed": "Fehlermeldung", "transcript": "Protokoll", "answer": "Auskunft", "challenge": "Rückfrage",
		"command-error": "Fehlermeldung", "status-notice": "Statusnachricht",

		// Subjects.
		"We have your request": "Wir haben Ihre Anfrage", "Was this you?": "Waren Sie das?", "Your question to the desk": "Ihre Frage an den Service Desk",

		// Sentences to requesters.
		"somebody is working on your request.":                                                                                       "Ihre Anfrage ist in Bearbeitung.",
		"There is nothing you need to do. If there is more to say, just reply to this mail.":                                         "Sie brauchen nichts weiter zu tun. Möchten Sie etwas ergänzen, antworten Sie einfach auf diese E-Mail.",
		"your request is on hold for the moment: we are waiting for something that we need to go on.":                                "Ihre Anfrage ruht im Moment: Uns fehlt noch etwas, das wir zum Weiterarbeiten brauchen.",
		"If we asked you something, just reply to this mail, and we go on at once.":                                                  "Falls wir Sie etwas gefragt haben, antworten Sie einfach auf diese E-Mail; wir machen dann sofort weiter.",
		"good news: we believe that your request is solved.":                                                                         "gute Nachricht: Ihre Anfrage ist aus unserer Sicht gelöst.",
		"Is something still not right? Just reply to this mail, and we take it up again. Otherwise there is nothing you need to do.": "Stimmt noch etwas nicht? Antworten Sie einfach auf diese E-Mail, dann kümmern wir uns wieder darum. Andernfalls brauchen Sie nichts weiter zu tun.",
		"your request is closed.": "Ihre Anfrage ist abgeschlossen.",
		"Do you need us again? Just reply to this mail, and we open a new request that is linked to this one.": "Brauchen Sie uns noch einmal? Antworten Sie einfach auf diese E-Mail; wir legen dann eine neue Anfrage an, die mit dieser verknüpft ist.",
		"your request is waiting for the next free technician.":                                                "Ihre Anfrage wartet darauf, dass jemand von uns frei wird.",
		"your request is open again.": "Ihre Anfrage ist wieder offen.",
		"Somebody will look into it and write to you. If there is more to say, just reply to this mail.": "Wir kümmern uns darum und schreiben Ihnen. Möchten Sie etwas ergänzen, antworten Sie einfach auf diese E-Mail.",
		"To answer, just reply to this mail.":                   "Zum Antworten genügt eine Antwort auf diese E-Mail.",
		"Not solved yet? Just reply to this mail.":              "Noch nicht gelöst? Antworten Sie einfach auf diese E-Mail.",
		"[The text goes on. The rest is kept with the ticket.]": "[Der Text geht weiter. Der Rest liegt beim Ticket.]",

		// What is wrong with commands, and what would be valid.
		"the text does not stand behind it":                                          "Der Text darf nicht dahinter stehen.",
		"reply on a line of its own, and the text beneath it":                        "„reply“ auf einer eigenen Zeile und der Text darunter",
		"the mail can be read in more than one way, so its commands were not obeyed": "Die E-Mail lässt sich auf mehr als eine Weise lesen; ihre Befehle wurden deshalb nicht ausgeführt.",
		"a plain text mail":                         "eine reine Text-E-Mail",
		"there is no text to send to the requester": "Es gibt keinen Text, der an den Antragsteller gehen könnte.",
		"the ticket is closed":                      "Das Ticket ist geschlossen.",
		`"reopen" first, in a mail of its own`:      "zuerst „reopen“, in einer eigenen E-Mail",
		"uncc somebody, or a mailing list":          "„uncc“ für jemanden oder eine Mailingliste",
		"nobody is a participant":                   "niemand ist beteiligt",
		"one status":                                "ein einziger Status", "one assignee": "eine einzige zuständige Person", "one team": "ein einziges Team", "one priority": "eine einzige Priorität",
		"reply (the text goes to the requester) or note (it stays internal)":        "„reply“ (der Text geht an den Antragsteller) oder „note“ (er bleibt intern)",
		"the address of a technician, or its beginning":                             "die Adresse einer Technikerin oder eines Technikers, oder ihr Anfang",
		"one mail address of somebody outside the desk, as in cc bob@example.com":   "eine einzelne E-Mail-Adresse außerhalb des Service Desks, wie in „cc bob@example.com“",
		`the ticket is closed; only "reopen" is possible`:                           "Das Ticket ist geschlossen; möglich ist nur „reopen“.",
		`the ticket is resolved; possible are "reopen", "in progress" and "closed"`: "Das Ticket ist gelöst; möglich sind „reopen“, „in progress“ und „closed“.",
		"undo stands beside other commands":                                         "„undo“ steht neben anderen Befehlen.",
		"undo in a mail of its own":                                                 "„undo“ in einer eigenen E-Mail",
		"no mail of yours has changed this ticket":                                  "Keine Ihrer E-Mails hat dieses Ticket geändert.",
		"commands that set it as it should be":                                      "Befehle, die es so einstellen, wie es sein soll",
		"the requester's address is not known":                                      "Die Adresse des Antragstellers ist nicht bekannt.",
		"reach them another way, for example by telephone":                          "auf anderem Weg Kontakt aufnehmen, zum Beispiel per Telefon",
		"the text is a message to the requester":                                    "der Text geht als Nachricht an den Antragsteller",
		"the text is a work note":                                                   "der Text ist eine interne Notiz",
		"what was sent to the requester stays sent":                                 "was an den Antragsteller gesendet wurde, bleibt gesendet",

		// Notes to technicians.
		"this mail can be read in more than one way; look at its raw source before acting on it":       "diese E-Mail lässt sich auf mehr als eine Weise lesen; sehen Sie sich ihren Quelltext an, bevor Sie handeln",
		"another mail came before under the same Message-ID; somebody may want to pass for its sender": "unter derselben Message-ID kam schon eine andere E-Mail; vielleicht gibt sich jemand für deren Absender aus",
		"the sender marked the mail as important":                                                      "der Absender hat die E-Mail als wichtig markiert",
		"no acknowledgement: the mail is older than a day":                                             "keine Eingangsbestätigung: die E-Mail ist älter als ein Tag",

		// Proofs of senders.
		"the From field names no single author":                                "das From-Feld nennt keinen einzelnen Absender",
		"the Authentication-Results field of our server cannot be read":        "das Feld Authentication-Results unseres Servers ist nicht lesbar",
		"our servers' results contradict each other":                           "die Ergebnisse unserer Server widersprechen einander",
		"no mail server is named in the settings whose word on senders counts": "in den Einstellungen ist kein Mailserver genannt, dessen Wort über Absender zählt",
		"our mail server wrote no result about this mail":                      "unser Mailserver hat zu dieser E-Mail kein Ergebnis vermerkt",
		"our mail server says dmarc=fail":                                      "unser Mailserver sagt dmarc=fail",
		"the settings trust everything that reaches this mailbox":              "die Einstellungen vertrauen allem, was in diesem Postfach ankommt",
		"Exchange marked the mail as internal":                                 "Exchange hat die E-Mail als intern markiert",

		// What is wrong with the form of a mail.
		"too many lines that could be boundaries":             "zu viele Zeilen, die Teile trennen könnten",
		"a header block is larger than the limit and was cut": "ein Kopf ist größer als erlaubt und wurde gekürzt",
		"header lines without a colon":                        "Kopfzeilen ohne Doppelpunkt",
		"two boundaries in one Content-Type":                  "zwei Trennmarken in einem Content-Type",
		"unreadable Content-Type":                             "unlesbarer Content-Type",
		"nested too deeply: the rest was not looked into":     "zu tief verschachtelt: der Rest wurde nicht gelesen",
		"a boundary that is the beginning of another":         "eine Trennmarke ist der Anfang einer anderen",
		"an encoded multipart":                                "ein kodierter Multipart",
		"the boundary was missing and had to be guessed":      "die Trennmarke fehlte und wurde erraten",
		"a multipart without parts":                           "ein Multipart ohne Teile",
		"a multipart without its end":                         "ein Multipart ohne Ende",
		"a boundary after the end of its multipart":           "eine Trennmarke nach dem Ende ihres Multiparts",
		"boundary lines with text behind them":                "Trennzeilen mit Text dahinter",
		"larger than the limit: only the header was read":     "größer als erlaubt: nur der Kopf wurde gelesen",
		"the text was cut at the size limit":                  "der Text wurde an der Größengrenze gekürzt",
		"the only text is that of an attachment":              "der einzige Text ist der eines Anhangs",
		"hidden text was left out":                            "verborgener Text wurde weggelassen",
		"a part was cut at the size limit":                    "ein Teil wurde an der Größengrenze gekürzt",
		"the mail decodes to more than the limit and was cut": "die E-Mail ergibt entpackt mehr als erlaubt und wurde gekürzt",
	},
	patterns: newPatterns([][2]string{
		{"{a} is working on your request.", "{a} arbeitet an Ihrer Anfrage."},
		{"{a} (too large to send along)", "{a} (zu groß zum Mitsenden)"},

		{"there is no command {a}", "Es gibt keinen Befehl {a}."},
		{"there is no {a}", "Es gibt kein {a}."},
		{"did you mean {a}? Possible are {b}", "Meinten Sie {a}? Möglich sind {b}"},
		{"{a} is no status", "{a} ist kein Status."},
		{"{a} may be any of several", "{a} ist nicht eindeutig."},
		{"{a} needs to be told what", "{a} braucht eine Angabe."},
		{"{a} does not fit {b}", "{a} passt nicht zu {b}."},
		{"{a} commands in one mail", "{a} Befehle in einer E-Mail"},
		{"at most {a}", "höchstens {a}"},
		{"it contradicts {a}", "Es widerspricht {a}."},
		{"either of both for {a}", "nur eines von beiden für {a}"},
		{"the ticket has {a} participants already", "Am Ticket sind schon {a} Personen beteiligt."},
		{"{a} is no participant of the ticket", "{a} ist nicht am Ticket beteiligt."},
		{"the ticket is {a} already", "Das Ticket ist bereits {a!}."},
		{"the ticket is {a}, so there is nothing to reopen", "Das Ticket ist {a!}; es gibt nichts wieder zu öffnen."},
		{"a ticket that is {a} cannot become {b}", "Ein Ticket, das {a!} ist, kann nicht {b} werden."},
		{"{a} is no status", "{a} ist kein Status."},
		{"{a} has changed the {b} since", "{a} hat seitdem geändert: {b!}."},
		{"your last change is older than {a} minutes", "Ihre letzte Änderung ist älter als {a} Minuten."},
		{"no mail can be written to {a}", "An {a} kann keine E-Mail geschrieben werden."},

		{"the mail is marked as spam: {a}", "die E-Mail ist als Spam markiert: {a}"},
		{"the sender is not certain: {a}", "der Absender ist nicht sicher: {a!}"},
		{"not verified: {a}", "nicht bestätigt: {a!}"},
		{"the mail claims to belong to {a}, but its sender has no part in that ticket", "die E-Mail gibt an, zu {a} zu gehören, aber ihr Absender ist an diesem Ticket nicht beteiligt"},
		{"follow-up of {a}, which is closed", "Folgeanfrage zu {a}, das geschlossen ist"},
		{"forwarded mail that names {a}", "weitergeleitete E-Mail, die {a} nennt"},
		{"{a} belongs to the mailbox {b}", "{a} gehört zum Postfach {b}"},
		{"the mail is too large to be read ({a} MiB); only its header was, and the mail lies in the mailbox's folder for handled mail", "die E-Mail ist zum Lesen zu groß ({a} MiB); nur ihr Kopf wurde gelesen, und sie liegt im Ordner des Postfachs für erledigte E-Mails"},
		{"this is answer number {a} to the ticket within an hour; the next ones are kept and not announced", "dies ist Antwort Nummer {a} zum Ticket innerhalb einer Stunde; weitere werden aufbewahrt, aber nicht gemeldet"},
		{"this is mail number {a} of the sender within an hour; the next ones are kept and not announced", "dies ist E-Mail Nummer {a} des Absenders innerhalb einer Stunde; weitere werden aufbewahrt, aber nicht gemeldet"},
		{"the team {a} is not in the settings any more", "das Team {a} steht nicht mehr in den Einstellungen"},
		{"the mail failed {a} times and lies in quarantine", "die E-Mail ist {a}-mal gescheitert und liegt in Quarantäne"},

		{"no note to {a}, who works here no more", "keine Notiz an {a}: arbeitet hier nicht mehr"},
		{"no notice: more than {a} answers to the ticket within an hour", "keine Nachricht: mehr als {a} Antworten zum Ticket innerhalb einer Stunde"},
		{"no notice: more than {a} mails of the sender within an hour", "keine Nachricht: mehr als {a} E-Mails des Absenders innerhalb einer Stunde"},
		{"no notice: the team {a} has neither a list nor technicians in the settings", "keine Nachricht: das Team {a} hat in den Einstellungen weder eine Liste noch Mitglieder"},
		{"no {a} to the requester: the address is not known", "keine Nachricht an den Antragsteller ({a!}): die Adresse ist nicht bekannt"},
		{"no {a} to {b}: {c}", "keine Nachricht an {b} ({a!}): {c!}"},
		{"{a} automatic answers within an hour are the limit", "mehr als {a} automatische Antworten in einer Stunde sind nicht erlaubt"},
		{"{a} automatic answers within a day are the limit", "mehr als {a} automatische Antworten an einem Tag sind nicht erlaubt"},
		{"{a} automatic answers to all within an hour are the limit", "mehr als {a} automatische Antworten an alle in einer Stunde sind nicht erlaubt"},
		{"one automatic answer in {a} is the limit for a sender that nobody vouched for", "an einen unbestätigten Absender geht höchstens eine automatische Antwort in {a}"},
		{"nothing is sent to {a}, which is an address of the desk itself", "an {a} wird nichts gesendet, denn das ist eine Adresse des Service Desks selbst"},
		{"nothing can be sent to {a}, which is no address that mail servers take", "an {a} kann nichts gesendet werden, denn diese Adresse nehmen Mailserver nicht an"},

		{"our mail server vouches for nothing that fits {a}", "unser Mailserver bürgt für nichts, was zu {a} passt"},
		{"the DKIM signature of {a} verifies", "die DKIM-Signatur von {a} ist gültig"},
		{"our server noted the login {a}", "unser Server hat die Anmeldung {a} vermerkt"},
		{"our mail server says {a} for {b}", "unser Mailserver sagt {a} für {b}"},

		{"several {a} fields", "mehrere Felder {a}"},
		{"unknown transfer encoding {a}", "unbekannte Transferkodierung {a}"},
		{"more than {a} parts: the rest was not looked into", "mehr als {a} Teile: der Rest wurde nicht gelesen"},

		{"rule {a}: found {b} in the {c} → {d} ({e})", "Regel {a}: {b} gefunden in {c!} → {d,} ({e!})"},
		{"rule {a}: found {b} in the {c} → {d}", "Regel {a}: {b} gefunden in {c!} → {d,}"},
		{"rule {a}: found {b} in the {c}", "Regel {a}: {b} gefunden in {c!}"},
		{"no rule matched → {a}", "keine Regel traf zu → {a,}"},
		{"no rule matched", "keine Regel traf zu"},
		{"{a} field", "Feld {a}"},
		{"for {a}", "für {a}"},
		{"tag {a}", "Schlagwort {a}"},
		{"{a} from another rule is higher; {b}", "{a!} aus einer anderen Regel ist höher; {b!}"},
		{"{a} from another rule is higher", "{a!} aus einer anderen Regel ist höher"},
		{"an earlier rule chose {a}", "eine frühere Regel wählte {a}"},
	}),
}
