package mailin

import (
	"fmt"
	"strings"
	"testing"

	"deskd/triage"
)

// summary puts a report on one line, to compare it.
func summary(r *triage.Report) string {
	if r == nil {
		return "none"
	}
	s := string(r.Kind)
	for _, x := range r.Recipients {
		s += fmt.Sprintf(" %s %s %s", x.Address, x.Status, x.Action)
	}
	return s
}

const daemon = "Return-Path: <>\r\nFrom: Mail Delivery System <MAILER-DAEMON@mx.example.net>\r\nTo: support@desk.example\r\n"

func dsn(status string) []byte {
	return []byte(daemon + "Subject: Undelivered Mail Returned to Sender\r\nContent-Type: multipart/report; report-type=delivery-status; boundary=x\r\n\r\n" +
		"--x\r\n\r\nSorry.\r\n--x\r\nContent-Type: message/delivery-status\r\n\r\n" + strings.ReplaceAll(status, "\n", "\r\n") +
		"\r\n--x\r\nContent-Type: text/rfc822-headers\r\n\r\nMessage-ID: <ours@desk.example>\r\nSubject: [IT-7] Printer\r\nTo: joe@example.net\r\n\r\n--x--\r\n")
}

func TestT19_StatusPartsAreRead(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, status, want string }{
		{"plain", "Reporting-MTA: dns; mx\n\nFinal-Recipient: rfc822; joe@example.net\nAction: failed\nStatus: 5.1.1", "delivery joe@example.net 5.1.1 failed"},
		{"two recipients", "Reporting-MTA: dns; mx\n\nFinal-Recipient: rfc822; a@b.example\nAction: failed\nStatus: 5.1.1\n\nFinal-Recipient: rfc822; c@d.example\nAction: delayed\nStatus: 4.4.1", "delivery a@b.example 5.1.1 failed c@d.example 4.4.1 delayed"},
		{"stray empty lines", "\n\nReporting-MTA: dns; mx\n\n\nFinal-Recipient: rfc822; a@b.example\n\nAction: failed\nStatus: 5.1.1\n\n", "delivery a@b.example 5.1.1 failed"},
		{"no empty line between", "Reporting-MTA: dns; mx\nFinal-Recipient: rfc822; a@b.example\nAction: failed\nStatus: 5.1.1\nFinal-Recipient: rfc822; c@d.example\nAction: failed\nStatus: 5.1.2", "delivery a@b.example 5.1.1 failed c@d.example 5.1.2 failed"},
		{"no type, brackets", "Final-Recipient: <a@b.example>\nAction: Failed (bounced)\nStatus: 5.1.1 (bad address)", "delivery a@b.example 5.1.1 failed"},
		{"original first", "Original-Recipient: rfc822;alias@b.example\nFinal-Recipient: rfc822;a@b.example\nAction: failed\nStatus: 5.1.1", "delivery a@b.example 5.1.1 failed"},
		{"a local name only", "Final-Recipient: LOCAL; joe\nOriginal-Recipient: rfc822;joe@b.example\nAction: failed\nStatus: 5.1.1", "delivery joe@b.example 5.1.1 failed"},
		{"the server's words are nearer", "Final-Recipient: rfc822; a@b.example\nAction: failed\nStatus: 5.0.0\nDiagnostic-Code: smtp; 550 5.2.2 over quota", "delivery a@b.example 5.2.2 failed"},
		{"no status field", "Final-Recipient: rfc822; a@b.example\nAction: failed\nDiagnostic-Code: smtp; 550 user unknown", "delivery a@b.example 5.1.1 failed"},
		{"an IP is no status", "Final-Recipient: rfc822; a@b.example\nAction: failed\nStatus: 5.0.0\nDiagnostic-Code: smtp; host 5.1.2.3 said no", "delivery a@b.example 5.0.0 failed"},
		{"folded diagnostic", "Final-Recipient: rfc822; a@b.example\nAction: failed\nStatus: 5.0.0\nDiagnostic-Code: smtp; 550\n 5.7.1 go away", "delivery a@b.example 5.7.1 failed"},
		{"delivered", "Final-Recipient: rfc822; a@b.example\nAction: delivered\nStatus: 2.0.0", "delivery a@b.example 2.0.0 delivered"},
		{"nobody named", "Reporting-MTA: dns; mx\n\nAction: failed\nStatus: 5.1.1", "delivery joe@example.net 5.1.1 failed"},
	} {
		m := Parse(dsn(c.status), Limits{})
		if got := summary(m.Report); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
		if m.Report == nil || !m.Report.Standard || m.Report.MessageID != "ours@desk.example" || m.Report.Subject != "[IT-7] Printer" {
			t.Errorf("%s: %+v", c.name, m.Report)
		}
	}
}

func TestT19_ReportsWithoutAStatusPartAreRead(t *testing.T) {
	t.Parallel()
	copied := "\n\n------ This is a copy of the message ------\n\nReturn-Path: <support@desk.example>\nMessage-ID: <ours@desk.example>\nSubject: [IT-7] Printer\nTo: other@else.example\n\nHello\n"
	for _, c := range []struct{ name, header, text, want string }{
		{
			"qmail", "Subject: failure notice", "Hi. This is the qmail-send program at mx.example.net.\nI'm afraid I wasn't able to deliver your message to the following addresses.\nThis is a permanent error; I've given up. Sorry it didn't work out.\n\n<joe@example.net>:\nSorry, no mailbox here by that name. (#5.1.1)\n\n<sue@example.net>:\n192.0.2.5 failed after I sent the message.\nRemote host said: 552 5.2.2 mailbox full\n\n--- Below this line is a copy of the message.\n\nMessage-ID: <ours@desk.example>\nSubject: [IT-7] Printer\n",
			"delivery joe@example.net 5.1.1 failed sue@example.net 5.2.2 failed",
		},
		{
			"Exim", "Subject: Mail delivery failed: returning message to sender\nX-Failed-Recipients: joe@example.net", "This message was created automatically by mail delivery software.\n\nA message that you sent could not be delivered to one or more of its\nrecipients. This is a permanent error. The following address(es) failed:\n\n  joe@example.net\n    SMTP error from remote mail server after RCPT TO:<joe@example.net>:\n    host mx.example.net [192.0.2.5]: 550 5.1.1 unknown" + copied,
			"delivery joe@example.net 5.1.1 failed",
		},
		{
			"Exim, no header of its own", "Subject: Mail delivery failed: returning message to sender", "The following address(es) failed:\n\n  joe@example.net\n    host mx.example.net [192.0.2.5]: 550 No such user\n  sue@example.net\n    mailbox is full" + copied,
			"delivery joe@example.net 5.1.1 failed sue@example.net 5.2.2 failed",
		},
		{
			"Exim warning", "Subject: Warning: message 1abc-XYZ delayed 24 hours", "This message was created automatically by mail delivery software.\nA message that you sent has not yet been delivered to one or more of its\nrecipients after more than 24 hours on the queue.\n\nThe address to which the message has not yet been delivered is:\n\n  joe@example.net\n    Delay reason: Connection timed out\n\nNo action is required on your part. Delivery attempts will continue for\nsome time.",
			"delivery joe@example.net 4.4.1 delayed",
		},
		{
			"Postfix", "Subject: Undelivered Mail Returned to Sender", "This is the mail system at host mx.example.net.\n\nI'm sorry to have to inform you that your message could not\nbe delivered to one or more recipients.\n\nFor further assistance, please send mail to postmaster@mx.example.net.\n\n<joe@example.net> (expanded from <team@example.net>): host mx[192.0.2.5] said: 550\n    5.1.1 <joe@example.net>: Recipient address rejected (in reply to RCPT TO)" + copied,
			"delivery joe@example.net 5.1.1 failed",
		},
		{
			"sendmail", "Subject: Returned mail: see transcript for details", "The original message was received at Mon, 2 Nov 2026 09:00:00 +0100\nfrom [192.0.2.31]\n\n   ----- The following addresses had permanent fatal errors -----\n<joe@example.net>\n    (reason: 550 5.1.1 <joe@example.net>... User unknown)\n\n   ----- Transcript of session follows -----\n... while talking to mx.example.net.:\n>>> DATA\n<<< 550 5.1.1 <joe@example.net>... User unknown" + copied,
			"delivery joe@example.net 5.1.1 failed",
		},
		{
			"old sendmail", "Subject: Returned mail: Host unknown", "   ----- Transcript of session follows -----\n550 <joe@no.example>... Host unknown\n\n   ----- Unsent message follows -----\nReceived: by mx.example.net\nMessage-ID: <ours@desk.example>\n",
			"delivery joe@no.example 5.1.2 failed",
		},
		{
			"Gmail", "Subject: Delivery Status Notification (Failure)", "Delivery to the following recipient failed permanently:\n\n     joe@example.net\n\nTechnical details of permanent failure: \nThe error that the other server returned was: 550 550 5.1.1 no such user (state 14).\n\n   ----- Original message -----\n\nMessage-ID: <ours@desk.example>\n",
			"delivery joe@example.net 5.1.1 failed",
		},
		{
			"Yahoo", "Subject: Failure Notice", "Sorry, we were unable to deliver your message to the following address.\n\n<joe@example.net>:\nRemote host said: 550 5.2.1 disabled [RCPT_TO]\n\n--- Below this line is a copy of the message.\n\nMessage-ID: <ours@desk.example>\n",
			"delivery joe@example.net 5.2.1 failed",
		},
		{
			"Exchange", "Subject: Undeliverable: [IT-7] Printer", "Your message\n\n  To:      team@example.net\n  Subject: [IT-7] Printer\n  Sent:    Mon, 2 Nov 2026 09:00:00 +0100\n\ndid not reach the following recipient(s):\n\njoe@example.net on Mon, 2 Nov 2026 09:00:00 +0100\n    The recipient name is not recognized\n",
			"delivery joe@example.net 5.1.1 failed",
		},
		{
			"Notes", "Subject: DELIVERY FAILURE: User joe not listed", "Your message\n\n  Subject: [IT-7] Printer\n\nwas not delivered to:\n\n  joe@example.net\n\nbecause:\n\n  User joe (joe@example.net) not listed in Domino Directory\n",
			"delivery joe@example.net 5.1.1 failed",
		},
		{"letters that are longer when small", "Subject: failure notice\nX-Failed-Recipients: Joe@example.net", strings.Repeat("Ⱥ", 200) + "user unknown: joe@Example.net\n  550 5.2.1 disabled", "delivery Joe@example.net 5.2.1 failed"},
		{"a carrier in Japan", "Subject: Mail System Error - Returned Mail", "次のあて先へのメッセージはエラーのため送信できませんでした。\n\nThe user(s) account is disabled.\n\n<joe@example.net>\n", "delivery joe@example.net 5.1.1 failed"},
		{"IMail", "Subject: Undeliverable Mail", "Unknown user: joe@example.net\n\n\nOriginal message follows.\n\nMessage-ID: <ours@desk.example>\n", "delivery joe@example.net 5.1.1 failed"},
		{"IMail on the web", "Subject: Undeliverable Mail", "Save to the following Address Book:\n\nTo: support@desk.example\nCC:\nSubject: Undeliverable Mail\n\nundeliverable to joe@example.net\n", "delivery joe@example.net 5.0.0 failed"},
		{"status as text", "Subject: Delivery Status Notification (Failure)", "An error occurred while trying to deliver the mail to the following recipients:\njoe@example.net\n\nReporting-MTA: dsn; mx\n\nAction: failed\nFinal-Recipient: rfc822; joe@example.net\nDiagnostic-Code: smtp; 550 5.3.5 no\nStatus: 5.3.5\n", "delivery joe@example.net 5.3.5 failed"},
	} {
		m := Parse([]byte(daemon+strings.ReplaceAll(c.header+"\n\n"+c.text, "\n", "\r\n")), Limits{})
		if got := summary(m.Report); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
			continue
		}
		if m.Report.Standard {
			t.Errorf("%s: guessed, not read", c.name)
		}
		if strings.Contains(c.text, "ours@desk.example") && m.Report.MessageID != "ours@desk.example" {
			t.Errorf("%s: about the mail %q", c.name, m.Report.MessageID)
		}
	}
}

func TestT19_PeopleWriteNoReports(t *testing.T) {
	t.Parallel()
	returned := string(dsn("Final-Recipient: rfc822; joe@example.net\nAction: failed\nStatus: 5.1.1"))
	for _, c := range []struct{ name, mail, want, enclosed string }{
		{"asks about a bounce", "From: ann@example.org\r\nSubject: Undelivered mail, what now?\r\n\r\nHi, I got this: 550 5.1.1 <joe@example.net> user unknown. It could not be delivered.\r\n", "none", "none"},
		{"answers with the bounce quoted", "From: ann@example.org\r\nSubject: Re: Undelivered Mail Returned to Sender\r\nIn-Reply-To: <x@y>\r\n\r\n> <joe@example.net>: host said: 550 5.1.1\r\nWhat does that mean?\r\n", "none", "none"},
		{"postmaster who is a person", "From: Joe <postmaster@example.org>\r\nSubject: printer\r\n\r\nThe printer is broken.\r\n", "none", "none"},
		{"postmaster who answers about a bounce", "From: Joe <postmaster@example.org>\r\nSubject: Re: Mail delivery failed: returning message to sender\r\n\r\n<joe@example.net>: user unknown. It could not be delivered since the mailbox is full.\r\n", "none", "none"},
		{"vacation", "Return-Path: <>\r\nFrom: ann@example.org\r\nAuto-Submitted: auto-replied\r\nSubject: Out of office\r\n\r\nI am away. Mails are not read.\r\n", "none", "none"},
		{"forwards a bounce", "From: ann@example.org\r\nSubject: Fwd: failure\r\nContent-Type: multipart/mixed; boundary=o\r\n\r\n--o\r\n\r\nPlease help.\r\n--o\r\nContent-Type: message/rfc822\r\n\r\n" + returned + "\r\n--o--\r\n", "none", "delivery joe@example.net 5.1.1 failed"},
		{"forwards an old bounce", "From: ann@example.org\r\nSubject: Fwd: failure\r\nContent-Type: multipart/mixed; boundary=o\r\n\r\n--o\r\n\r\nPlease help.\r\n--o\r\nContent-Type: message/rfc822\r\n\r\n" + daemon + "Subject: failure notice\r\n\r\nHi. This is the qmail-send program.\r\n\r\n<joe@example.net>:\r\n550 5.1.1 no\r\n\r\n--o--\r\n", "none", "delivery joe@example.net 5.1.1 failed"},
		{"forwards a bounce under its name", "From: ann@example.org\r\nSubject: Mail delivery failure\r\nContent-Type: multipart/mixed; boundary=o\r\n\r\n--o\r\n\r\nIt says user unknown, or that the mailbox is full. Please help.\r\n--o\r\nContent-Type: message/rfc822\r\n\r\n" + returned + "\r\n--o--\r\n", "none", "delivery joe@example.net 5.1.1 failed"},
		{"asks above the bounce", "From: ann@example.org\r\nSubject: Undeliverable mail\r\n\r\nWhy do I get this undeliverable mail, is the mailbox full?\r\n\r\n-----Original Message-----\r\nFrom: Mail Delivery System\r\n550 5.1.1 user unknown\r\n", "none", "none"},
		{"carries the status part under its name", "From: ann@example.org\r\nSubject: Delivery problem to customer\r\nContent-Type: multipart/mixed; boundary=o\r\n\r\n--o\r\n\r\nWhat is this?\r\n--o\r\nContent-Type: message/delivery-status\r\n\r\nFinal-Recipient: rfc822; joe@example.net\r\nAction: failed\r\nStatus: 5.1.1\r\n--o--\r\n", "none", "delivery joe@example.net 5.1.1 failed"},
		{"a shop", "From: noreply@shop.example\r\nSubject: Delivery status of your order 7\r\n\r\nYour parcel was not delivered to the door.\r\n", "none", "none"},
		{"a shop that says it is a program", "From: no-reply@shop.example\r\nAuto-Submitted: auto-generated\r\nSubject: Delivery problem\r\n\r\nYour parcel was not delivered to the door after two delivery attempts.\r\n", "none", "none"},
		{"a server that takes no replies", "From: no-reply@mx.example.net\r\nSubject: メールエラー通知\r\nContent-Type: multipart/mixed; boundary=o\r\n\r\n--o\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n送信先のメールボックスが一杯のため、送信できませんでした。\r\n--o\r\nContent-Type: message/rfc822\r\n\r\nTo: joe@example.net\r\n\r\nHello\r\n--o--\r\n", "delivery joe@example.net 5.0.0 failed", "none"},
		{"carries the status part itself", "From: ann@example.org\r\nSubject: look\r\nContent-Type: multipart/mixed; boundary=o\r\n\r\n--o\r\n\r\nSee.\r\n--o\r\nContent-Type: message/delivery-status\r\n\r\nFinal-Recipient: rfc822; joe@example.net\r\nAction: failed\r\nStatus: 5.1.1\r\n--o--\r\n", "none", "delivery joe@example.net 5.1.1 failed"},
	} {
		m := Parse([]byte(c.mail), Limits{})
		if got, enc := summary(m.Report), summary(m.Enclosed); got != c.want || enc != c.enclosed {
			t.Errorf("%s: %s / %s, want %s / %s", c.name, got, enc, c.want, c.enclosed)
		}
	}
}

func TestT19_ComplaintsAndReceiptsAreNoBounces(t *testing.T) {
	t.Parallel()
	report := func(kind, typ, fields string) string {
		m := Parse([]byte("From: fbl@provider.example\r\nSubject: x\r\nContent-Type: multipart/report; report-type="+kind+"; boundary=x\r\n\r\n--x\r\n\r\nA report.\r\n--x\r\nContent-Type: "+typ+"\r\n\r\n"+fields+
			"\r\n--x\r\nContent-Type: message/rfc822\r\n\r\nMessage-ID: <ours@desk.example>\r\nTo: joe@example.net\r\nSubject: s\r\n\r\nx\r\n--x--\r\n"), Limits{})
		return summary(m.Report) + " " + m.Report.MessageID
	}
	for _, c := range [][2]string{
		{report("feedback-report", "message/feedback-report", "Feedback-Type: abuse\r\nVersion: 1\r\nOriginal-Rcpt-To: sue@example.net"), "feedback sue@example.net   ours@desk.example"},
		{report("feedback-report", "message/feedback-report", "Feedback-Type: abuse\r\nVersion: 1"), "feedback joe@example.net   ours@desk.example"},
		{report("disposition-notification", "message/disposition-notification", "Final-Recipient: rfc822; joe@example.net\r\nOriginal-Message-ID: <ours@desk.example>\r\nDisposition: manual-action/MDN-sent-manually; displayed"), "receipt joe@example.net   ours@desk.example"},
	} {
		if c[0] != c[1] {
			t.Errorf("%q, want %q", c[0], c[1])
		}
	}
}

// What people write about mail is no report of a mail server, whoever they are.
func TestT19PeopleWhoWriteAboutDeliveryAreNoMailServer(t *testing.T) {
	t.Parallel()
	for _, c := range [][3]string{
		{"administrator@client.example", "Mail delivery problem", "Our mail could not be delivered to the branch since Monday."},
		{"it-admin@client.example", "Delivery failure to customers", "Mail to customers is returned to sender. Please help."},
		{`"System Administrator" <sysadmin@client.example>`, "Mail delivery fails", "The mail system says user unknown for everybody."},
	} {
		m := Parse(mailOf("From: "+c[0], "To: support@desk.example", "Subject: "+c[1], "Message-ID: <1@client.example>", "", c[2]), Limits{})
		if m.Report != nil {
			t.Errorf("%s: %q became a %s report", c[0], c[1], m.Report.Kind)
		}
	}
}
