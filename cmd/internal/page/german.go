package page

// german is what the page says, in German.
var german = &language{
	code: "de",
	exact: map[string]string{
		// Frame.
		"Skip to content": "Zum Inhalt", "Main": "Hauptmenü", "Overview": "Übersicht", "Queues": "Warteschlangen", "Mine": "Meine", "Mail": "E-Mail",
		"My tickets": "Meine Tickets", "Account": "Konto", "Sign in": "Anmelden", "Sign out": "Abmelden", "As of": "Stand:",
		"The page shows, mail acts.": "Die Seite zeigt, E-Mail handelt.", "To the first page": "Zur ersten Seite", "Pages": "Seiten",
		"Back to the newest": "Zurück zum Neuesten", "Older": "Älteres", "Reference for the log:": "Kennung im Protokoll:", "Search": "Suche",

		// Statuses, priorities, roles and other words.
		"open": "offen", "in progress": "in Bearbeitung", "waiting": "wartend", "resolved": "gelöst", "closed": "geschlossen",
		"critical": "kritisch", "high": "hoch", "medium": "mittel", "low": "niedrig",
		"not signed in": "nicht angemeldet", "requester": "Antragsteller", "technician": "Technik", "administrator": "Administration",
		"all": "alle", "any": "alle", "none": "keine", "yes": "ja", "no": "nein", "unknown": "unbekannt", "not yet": "noch nicht",
		"all teams": "alle Teams", "unassigned": "niemandem zugewiesen", "unresolved": "ungelöst", "nobody": "niemand", "becomes": "wird zu",

		// Sign-in and account.
		"There is no password. Type your address, and follow the link in the mail that you get.": "Es gibt kein Passwort. Geben Sie Ihre Adresse ein, und folgen Sie dem Link in der E-Mail, die Sie bekommen.",
		"Your mail address": "Ihre E-Mail-Adresse", "Send me a link": "Link schicken", "Look into your mail": "Sehen Sie in Ihre E-Mail", "Code": "Code",
		"If": "Falls",
		"is known here, a mail is on its way to it. Open the link in it on any device, or type its code here.": "hier bekannt ist, ist eine E-Mail dorthin unterwegs. Öffnen Sie den Link darin auf einem beliebigen Gerät, oder geben Sie hier den Code ein.",
		"Nothing there after a minute? Look into the spam folder, then":                                        "Nach einer Minute ist nichts da? Sehen Sie in den Spam-Ordner, dann",
		"try again": "versuchen Sie es noch einmal",
		". Link and code are good once, and for 15 minutes.":                                                                      ". Link und Code gelten einmal und 15 Minuten lang.",
		"Press the button to sign in with this browser.":                                                                          "Drücken Sie den Knopf, um sich mit diesem Browser anzumelden.",
		"Did you not ask for this? Then just close this page.":                                                                    "Sie haben das nicht angefordert? Dann schließen Sie diese Seite einfach.",
		"This is no mail address. It looks like ann@example.org.":                                                                 "Das ist keine E-Mail-Adresse. Sie sieht aus wie ann@example.org.",
		"This link is good no more: each is good once, and for a quarter of an hour. Ask for another one.":                        "Dieser Link gilt nicht mehr: Jeder gilt einmal und eine Viertelstunde lang. Fordern Sie einen neuen an.",
		"This code is not the one of the newest mail, or is good no more. After five wrong ones only the link in the mail helps.": "Dieser Code ist nicht der aus der neuesten E-Mail, oder er gilt nicht mehr. Nach fünf falschen hilft nur noch der Link in der E-Mail.",
		"Your account": "Ihr Konto", "Your addresses": "Ihre Adressen", "Where you are signed in": "Wo Sie angemeldet sind", "Browser": "Browser", "Since": "Seit",
		"Last used": "Zuletzt benutzt", "Ends": "Endet", "End it": "Beenden", "End": "Beenden", "this browser": "dieser Browser", "Your sessions, the newest first": "Ihre Sitzungen, die neueste zuerst",
		"since": "seit", "used": "benutzt", "ends": "endet",
		"A session ends by itself after 12 hours without use, and a week after it began.":       "Eine Sitzung endet von selbst nach 12 Stunden ohne Benutzung und eine Woche nach ihrem Beginn.",
		"A web server before this page says who you are, so that there is nothing to end here.": "Ein Webserver vor dieser Seite sagt, wer Sie sind; hier gibt es daher nichts zu beenden.",

		// Problems.
		"There is nothing here": "Hier ist nichts",
		"The address may be mistyped, or what it named may have been removed.": "Vielleicht ist die Adresse vertippt, oder was sie nannte, wurde entfernt.",
		"The database does not answer":                                         "Die Datenbank antwortet nicht",
		"Nothing is lost by this: mail stays in its mailbox until it can be kept safely. Reload the page in a moment; if this lasts, look into the log.": "Dadurch geht nichts verloren: E-Mail bleibt in ihrem Postfach, bis sie sicher aufbewahrt werden kann. Laden Sie die Seite gleich noch einmal; wenn es dauert, sehen Sie ins Protokoll.",
		"This page only shows": "Diese Seite zeigt nur",
		"Changes are made by mail: answer a notification, or use the buttons on a ticket.":                                              "Geändert wird per E-Mail: Antworten Sie auf eine Nachricht, oder benutzen Sie die Knöpfe an einem Ticket.",
		"Something went wrong on this page":                                                                                             "Auf dieser Seite ging etwas schief",
		"Mail is handled apart from the page and is not affected. Look into the log for the reference, and please report what it says.": "E-Mail wird getrennt von der Seite bearbeitet und ist nicht betroffen. Suchen Sie die Kennung im Protokoll, und melden Sie bitte, was dort steht.",
		"Too many downloads at once": "Zu viele Downloads gleichzeitig", "Others are being served. Try again in a moment.": "Andere werden gerade bedient. Versuchen Sie es gleich noch einmal.",
		"This form is good no more": "Dieses Formular gilt nicht mehr", "Nothing was changed. Go back, reload the page and try again.": "Es wurde nichts geändert. Gehen Sie zurück, laden Sie die Seite neu, und versuchen Sie es noch einmal.",
		"Nothing was changed": "Es wurde nichts geändert", "Too many attempts from your network": "Zu viele Versuche aus Ihrem Netz",
		"Wait a quarter of an hour, or open the link in a mail that you have already. At the machine itself, \"deskd sign-in\" gives a link at any time.": "Warten Sie eine Viertelstunde, oder öffnen Sie den Link in einer E-Mail, die Sie schon haben. An der Maschine selbst gibt „deskd sign-in“ jederzeit einen Link.",

		// Overview.
		"At a glance": "Auf einen Blick", "of these": "davon", "nobody has them": "niemand hat sie", "for an answer": "auf eine Antwort", "their date has gone by": "ihr Termin ist vorbei",
		"overdue": "überfällig", "due today": "heute fällig", "in what is left of it": "bis zum Ende des Tages", "due": "fällig", "· due": "· fällig", "Due": "Fällig",
		"Open tickets": "Offene Tickets", "Open tickets by team and priority. Each number leads to its tickets.": "Offene Tickets nach Team und Priorität. Jede Zahl führt zu ihren Tickets.",
		"New": "Neu", "Day": "Tag", "Answered": "Beantwortet", "The figures as a table": "Die Zahlen als Tabelle", "New and resolved tickets per day": "Neue und gelöste Tickets je Tag",
		"No ticket was opened or resolved in these days.": "In diesen Tagen wurde kein Ticket eröffnet oder gelöst.", "Until the first answer": "Bis zur ersten Antwort",
		"Half within": "Die Hälfte binnen", "Nine of ten within": "Neun von zehn binnen", "No ticket of these days has been answered yet.": "Von diesen Tagen wurde noch kein Ticket beantwortet.",
		"Time until the first answer, per day on which tickets were opened":                                                        "Zeit bis zur ersten Antwort, nach dem Tag, an dem Tickets eröffnet wurden",
		"By the day on which a ticket was opened; without those that have no answer yet.":                                          "Nach dem Tag, an dem ein Ticket eröffnet wurde; ohne die, die noch keine Antwort haben.",
		"By the day on which a ticket was opened; without those that have no answer yet. A bar with a gap goes on beyond the top.": "Nach dem Tag, an dem ein Ticket eröffnet wurde; ohne die, die noch keine Antwort haben. Ein Balken mit Lücke geht über den Rand hinaus.",
		"Longest without an answer": "Am längsten ohne Antwort", "Everybody has had an answer.": "Alle haben eine Antwort.",
		"Nothing is open. A new mail appears as soon as it is in.": "Nichts ist offen. Eine neue E-Mail erscheint, sobald sie da ist.",

		// Mail flow.
		"Mail flow": "Mailfluss", "Last mail": "Letzte E-Mail", "none yet": "noch keine", "Quarantine": "Quarantäne", "Waiting to be sent": "Zu senden", "Not delivered": "Nicht zugestellt",
		"No server has been spoken to yet.": "Noch wurde mit keinem Server gesprochen.", "Mail does not flow as it should": "E-Mail fließt nicht, wie sie soll",
		"Nothing is lost: what came in stays in its mailbox, and what is to go out stays in the outbox until it can.": "Nichts geht verloren: Was ankam, bleibt in seinem Postfach, und was hinaus soll, bleibt im Ausgang, bis es kann.",
		"The settings need a look": "Die Einstellungen brauchen einen Blick",
		"This stays here for as long as the settings are so. It has nothing to do with the flow of mail.": "Das steht hier, solange die Einstellungen so sind. Mit dem Mailfluss hat es nichts zu tun.",
		"Incoming mail": "Eingehende E-Mail", "Outgoing mail": "Ausgehende E-Mail", "Mail to ourselves": "E-Mail an uns selbst", "working": "in Ordnung", "not working": "gestört", "does not come back": "kommt nicht zurück",
		"Last contact": "Letzter Kontakt", "Last worked": "Zuletzt in Ordnung", "Has not worked yet": "War noch nie in Ordnung", "· next attempt": "· nächster Versuch",

		// Queues.
		"Order": "Reihenfolge", "Newest": "Neueste", "Oldest": "Älteste", "Last changed": "Zuletzt geändert", "Priority": "Priorität", "Subject": "Betreff", "Assignee": "Zuständig", "Updated": "Geändert",
		"newest first": "neueste zuerst", "oldest first": "älteste zuerst", "last changed first": "zuletzt geänderte zuerst", "critical first": "kritische zuerst", "soonest due first": "frühester Termin zuerst",
		"Further filters": "Weitere Filter", "remove": "entfernen", "this filter": "– diesen Filter", "That was all": "Das war alles", "There are no more tickets.": "Mehr Tickets gibt es nicht.",
		"No ticket matches": "Kein Ticket passt", "Show the whole queue": "Die ganze Warteschlange zeigen", "All done": "Alles erledigt", "Nothing is open here. A new mail appears as soon as it is in.": "Hier ist nichts offen. Eine neue E-Mail erscheint, sobald sie da ist.",
		"Nothing is open": "Nichts ist offen", "When you need help, just write a mail.": "Wenn Sie Hilfe brauchen, schreiben Sie einfach eine E-Mail.", "Show what was resolved": "Gelöste zeigen",
		"Nothing is yours": "Nichts ist Ihres", "Take one by answering its notice with \"take\".": "Übernehmen Sie eines, indem Sie auf seine Nachricht mit „take“ antworten.", "Show all queues": "Alle Warteschlangen zeigen",
		"Back to the beginning": "Zurück zum Anfang", "More": "Weiter", "Save as CSV": "Als CSV speichern",

		// Tickets.
		"(no subject)": "(kein Betreff)", "The desk": "Der Service Desk", "Timeline": "Verlauf", "with": "bei", "nobody has it": "niemand hat es", "Work on this ticket by mail": "Dieses Ticket per E-Mail bearbeiten",
		"Write to the desk": "An den Service Desk schreiben", "Reply to requester": "Dem Antragsteller antworten", "Take": "Übernehmen", "Resolve": "Lösen", "Close": "Schließen", "Reopen": "Wieder öffnen", "Add a work note": "Notiz hinzufügen",
		"Each button opens a mail that is filled in already. Send it, and it is done.":  "Jeder Knopf öffnet eine fertig ausgefüllte E-Mail. Senden Sie sie ab, und es ist getan.",
		"The button opens a mail with the right subject. Write beneath it and send it.": "Der Knopf öffnet eine E-Mail mit dem richtigen Betreff. Schreiben Sie Ihren Text und senden Sie sie ab.",
		"This ticket is long: only its newest entries are shown.":                       "Dieses Ticket ist lang: Nur die neuesten Einträge werden gezeigt.", "Nothing has been written yet.": "Noch wurde nichts geschrieben.",
		"Work note": "Notiz", "· technicians only": "· nur für die Technik", "Message": "Nachricht", "· from the requester": "· vom Antragsteller", "· seen by the requester": "· für den Antragsteller sichtbar",
		"Not verified.": "Nicht bestätigt.", "Nobody vouches that this address wrote it, so nothing was changed by it.": "Niemand bürgt dafür, dass diese Adresse es schrieb; deshalb wurde nichts dadurch geändert.",
		"Nobody vouches that this address wrote it.": "Niemand bürgt dafür, dass diese Adresse es schrieb.", "No text.": "Kein Text.", "Only the beginning is shown; all of it is in the raw source.": "Nur der Anfang wird gezeigt; alles steht im Rohtext.",
		"Quoted text": "Zitierter Text", "Signature": "Signatur", "Forwarded message": "Weitergeleitete Nachricht", "Attachments": "Anhänge", "This mail and why": "Diese E-Mail und warum", "Raw source": "Rohtext", "by mail": "per E-Mail",
		"Facts": "Angaben", "All tickets of this person": "Alle Tickets dieser Person", "Created": "Eröffnet", "First answer": "Erste Antwort", "Mailbox": "Postfach", "Participants": "Beteiligte", "cc": "in Kopie",
		"Related tickets": "Verwandte Tickets", "link": "verknüpft", "follow up": "Folgeticket", "merged": "zusammengeführt", "split": "abgetrennt", "Why": "Warum", "How the first mail was read": "Wie die erste E-Mail gelesen wurde", "The mail that opened it": "Die E-Mail, die es eröffnet hat", "Mail sent about this ticket": "E-Mail zu diesem Ticket",
		"Participant added": "Beteiligt", "Command refused": "Befehl abgelehnt", "Spoken to": "Angeschrieben",
		"The sender could not be authenticated: dkim=none, spf=softfail.": "Der Absender konnte nicht bestätigt werden: dkim=none, spf=softfail.",

		"Show what came before": "Früheres zeigen", "Nothing in this part of the timeline is for you to read.": "In diesem Teil des Verlaufs ist nichts für Sie zu lesen.",

		// Mail.
		"Arrived": "Angekommen", "Outbox": "Ausgang", "Sections of mail": "Bereiche", "Every mail that came in, and what became of it.": "Jede E-Mail, die ankam, und was aus ihr wurde.",
		"Mail that could not be handled. It waits here, whole, for a person.": "E-Mail, die nicht bearbeitet werden konnte. Sie wartet hier unversehrt auf einen Menschen.", "Filter by what became of it": "Filtern nach dem, was daraus wurde",
		"Mail that came in, newest first": "Angekommene E-Mail, neueste zuerst", "What became of it": "Was daraus wurde", "no ticket": "kein Ticket", "unknown sender": "unbekannter Absender", "There is no older mail.": "Ältere E-Mail gibt es nicht.",
		"Quarantine is empty": "Die Quarantäne ist leer", "Every mail could be handled.": "Jede E-Mail konnte bearbeitet werden.", "No such mail": "Keine solche E-Mail", "Show all mail": "Alle E-Mails zeigen", "No mail yet": "Noch keine E-Mail",
		"The first one appears here as soon as it is in.": "Die erste erscheint hier, sobald sie da ist.",
		"Being read": "Wird gelesen", "New ticket": "Neues Ticket", "Added to a ticket": "Zu einem Ticket", "Kept, not verified": "Aufbewahrt, nicht bestätigt", "Duplicate": "Doppelt", "Automatic reply": "Automatische Antwort", "Our own mail": "Eigene E-Mail",
		"Bounce": "Unzustellbar", "Folded into a flood": "In einer Flut", "Too large": "Zu groß", "Quarantined": "In Quarantäne", "Dismissed": "Verworfen", "Not wanted": "Unerwünscht", "Vanished": "Verschwunden", "Not done": "Nicht erledigt",
		"Question, answered": "Frage, beantwortet", "Commands, refused": "Befehle, abgelehnt", "Sender not let in": "Absender nicht zugelassen",
		"This mail waits for a person": "Diese E-Mail wartet auf einen Menschen", "It could not be handled.": "Sie konnte nicht bearbeitet werden.",
		"Nothing of it is lost: its raw source is kept, and the original lies in the quarantine folder of the mailbox.": "Nichts davon geht verloren: Ihr Rohtext ist aufbewahrt, und das Original liegt im Quarantäne-Ordner des Postfachs.",
		"Read it again": "Noch einmal lesen", "Drop it": "Verwerfen", "Drop it for good": "Endgültig verwerfen", "Nothing will follow from this mail. Its raw source stays.": "Aus dieser E-Mail wird nichts folgen. Ihr Rohtext bleibt.",
		"No more was written down about this mail.": "Mehr wurde über diese E-Mail nicht festgehalten.", "Nothing has been decided about this mail yet.": "Über diese E-Mail wurde noch nicht entschieden.",
		"The mail": "Die E-Mail", "From": "Von", "Kind": "Art", "Decided": "Entschieden", "Moved away": "Abgelegt", "Size": "Größe", "Fetched": "Abgeholt", "Last error": "Letzter Fehler", "Save the raw source": "Rohtext speichern",
		"Address": "Adresse", "Authenticated": "Bestätigt", "Because": "Weil", "Mail kind": "Art der E-Mail", "Match": "Zuordnung", "Rules": "Regeln", "Sender": "Absender", "person": "Person", "Note": "Notiz", "Proof": "Nachweis",
		"Everything deskd sends, one line for each recipient.": "Alles, was deskd sendet, eine Zeile je Empfänger.", "State": "Zustand", "Outgoing mail, newest first": "Ausgehende E-Mail, neueste zuerst", "To": "An", "What": "Was", "When": "Wann",
		"Being sent": "Wird gesendet", "Sent": "Gesendet", "Uncertain": "Ungewiss", "Failed": "Fehlgeschlagen", "Cancelled": "Abgebrochen", "next": "nächster Versuch", "Send again": "Noch einmal senden", "Cancel": "Abbrechen", "Do not send it": "Nicht senden",
		"Show the whole outbox": "Den ganzen Ausgang zeigen", "Nothing sent yet": "Noch nichts gesendet", "The first acknowledgement will stand here.": "Hier wird die erste Eingangsbestätigung stehen.",
		"Acknowledgement": "Eingangsbestätigung", "Notification": "Benachrichtigung", "Team notice": "Nachricht an das Team", "Reply": "Antwort", "Status notice": "Statusnachricht", "Answer notice": "Nachricht über die Antwort",
		"Note notice": "Nachricht über die Notiz", "Assign notice": "Nachricht über die Zuweisung", "Move notice": "Nachricht an das neue Team", "Merge notice": "Nachricht über die Zusammenführung", "Taken notice": "Nachricht über die Übernahme",
		"Due notice": "Erinnerung", "Command error": "Fehlermeldung", "Reply failed": "Fehlermeldung", "Transcript": "Protokoll", "Answer": "Auskunft", "Challenge": "Rückfrage",

		// Times.
		"just now": "gerade eben", "in less than a minute": "in weniger als einer Minute", "under a minute": "weniger als einer Minute",
		"Mon": "Mo", "Tue": "Di", "Wed": "Mi", "Thu": "Do", "Fri": "Fr", "Sat": "Sa", "Sun": "So",
		"Jan": "Jan.", "Feb": "Feb.", "Mar": "März", "Apr": "Apr.", "May": "Mai", "Jun": "Juni", "Jul": "Juli", "Aug": "Aug.", "Sep": "Sept.", "Oct": "Okt.", "Nov": "Nov.", "Dec": "Dez.",
	},
	pattern: []pattern{
		like(`(`+days+`) (\d+) (`+months+`)( \d{4})?(, \d\d:\d\d)?`, "${1!} $2. ${3!}$4$5"),
		like(`(\d+) (`+months+`)( \d{4})?`, "$1. ${2!}$3"),
		like(`1 day`, "1 Tag"),
		like(`(\d+) days?`, "$1 Tagen"),
		like(`(.+) ago`, "vor ${1!}"),
		like(`in (\d+ .+)`, "in ${1!}"),
		like(`((?:`+days+`) .+): (.+) new, (.+) resolved`, "${1!}: $2 neu, $3 gelöst"),
		like(`((?:`+days+`) .+): half within (.+), nine of ten within (.+); (.+) answered`, "${1!}: die Hälfte binnen $2, neun von zehn binnen $3; $4 beantwortet"),
		like(`(.+) new and (.+) resolved in (.+) days; at most (.+) on one day`, "$1 neu und $2 gelöst in $3 Tagen; höchstens $4 an einem Tag"),
		like(`Of (.+) tickets answered, half had a first response within (.+), nine of ten within (.+); the slowest day had nine of ten within (.+)`,
			"Von $1 beantworteten Tickets hatte die Hälfte binnen $2 eine erste Antwort, neun von zehn binnen $3; am langsamsten Tag neun von zehn binnen $4"),
		like(`The last (\d+) days`, "Die letzten $1 Tage"),
		like(`(\d+) (critical|high|medium|low|open), (.+)`, "$1 ${2!}, ${3!}"),
		like(`Tickets, (.+)`, "Tickets, ${1!}"),
		like(`Assigned to (.+)`, "Zugewiesen an $1"),
		like(`From (.+@.+)`, "Von $1"),
		like(`(.+) or (.+)`, "${1!} oder ${2!}"),
		like(`the mail to (.+)`, "– die E-Mail an $1"),
		like(`to (.+@.+)`, "an $1"),
		like(`(\d+) attempts`, "$1 Versuche"),
		like(`(\d+) times`, "$1-mal"),
		like(`· (.+) waiting`, "· $1 warten"),
		like(`· there and back in (.+)`, "· hin und zurück in $1"),
		like(`· (requester|technician|administrator)`, "· ${1!}"),
		like(`\. The page shows, mail acts\.`, ". Die Seite zeigt, E-Mail handelt."),
		like(`(not working|does not come back) for (.+)`, "${1!} seit ${2!}"),
		like(`(Incoming mail|Outgoing mail|Mail to ourselves)( \(.+\))?: (.+)\.`, "${1!}$2: ${3!}."),
		like(`Nothing is sent: (.+)`, "Nichts wird gesendet: $1"),
		like(`A mail went into quarantine (.+): it could not be handled\.`, "Eine E-Mail kam ${1!} in Quarantäne: Sie konnte nicht bearbeitet werden."),
		like(`No mail is taken in or sent, since nothing can be kept \(for (.+)\): (.+)`, "Keine E-Mail wird angenommen oder gesendet, weil nichts aufbewahrt werden kann (seit ${1!}): $2"),
		like(`The database does not answer: (.+)`, "Die Datenbank antwortet nicht: $1"),
		like(`(.+) · (.+)`, "${1!} · $2"),
	},
}

// The words of dates in English.
const (
	days   = "Mon|Tue|Wed|Thu|Fri|Sat|Sun"
	months = "Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec"
)
