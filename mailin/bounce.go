package mailin

import (
	"bytes"
	"regexp"
	"strings"

	"deskd/triage"
)

// report finds out whether the mail is a report, and what it says. A report
// part decides; without one, three things together do: who sent it, what it
// is called, and what it says (T14 has the desk believe none of it blindly).
// A report inside a person's mail is noted and no more.
func (w *walker) report(m *triage.Message, root *part) {
	ev := w.evidence(m, root)
	if r := readParts(root); r != nil {
		person := ev.reply || !ev.postmaster && !ev.noReply && !ev.auto
		if ev.machine() || root.typ == "multipart/report" || m.From.Addr == "" || !person {
			w.complete(r, m, root)
			m.Report = r
		} else {
			m.Enclosed = r
		}
		return
	}
	if r := w.guess(m, root, ev); r != nil {
		w.complete(r, m, root)
		m.Report = r
		return
	}
	m.Enclosed = w.enclosedReport(root)
}

// enclosedReport looks one level into the mails inside the mail.
func (w *walker) enclosedReport(root *part) *triage.Report {
	var found *triage.Report
	eachLeaf(root, func(p *part) {
		if found != nil || p.enclosed == nil {
			return
		}
		if found = readParts(p.enclosed); found != nil {
			return
		}
		inner := triage.Message{Subject: cleanShown(p.enclosed.header.subject())}
		inner.From, inner.FromFault, inner.Shown = p.enclosed.header.author()
		sub := &walker{limits: w.limits, parts: w.parts, decoded: w.decoded, text: w.text}
		inner.Body = append(inner.Body, sub.render(p.enclosed, true).blocks...)
		w.text = sub.text
		if r := sub.guess(&inner, p.enclosed, sub.evidence(&inner, p.enclosed)); r != nil {
			sub.complete(r, &inner, p.enclosed)
			found = r
		}
	})
	return found
}

// eachLeaf visits the leaves of one mail; mails inside it are leaves.
func eachLeaf(p *part, visit func(*part)) {
	if len(p.children) == 0 {
		visit(p)
		return
	}
	for _, c := range p.children {
		eachLeaf(c, visit)
	}
}

// evidence is what speaks for a program as the writer of a mail.
type evidence struct {
	nullSender bool // Return-Path: <>
	daemon     bool // mailer-daemon and the like
	postmaster bool
	noReply    bool // as shops and many others write, too
	auto       bool // marked as written by a program
	subject    bool // called as reports are called
	failed     bool // X-Failed-Recipients and the like
	report     bool // multipart/report
	returned   bool // the mail comes back with it
	words      int  // sentences of mail servers in the text
	reply      bool // a person's program made it an answer
}

func (e evidence) machine() bool {
	return e.nullSender || e.daemon || e.failed || e.report || e.postmaster && (e.subject || e.auto)
}

var daemonName = regexp.MustCompile(`(?i)mailer[-_. ]?da?emon|mail[-_. ]?delivery[-_. ]?(?:sub)?-?system|mail[-_. ]deliver|mail administrator|mail delivery (?:agent|service)|mdaemon|maildaemon|delivery[-_. ]?(?:report|notification|status)|bounces?@|mail system|mail router|microsoft outlook$|mail-daemon`)

var reportSubject = regexp.MustCompile(`(?i)^\W*(?:\[[^\]]{1,40}\]\s*)?(?:(?:\S+ )?(?:mail|message|email|e-mail) (?:delivery|system|could not|failure|not delivered|undeliverable|status)|undeliver|returned[ -]?(?:mail|e-?mail|to sender)|delivery (?:status|fail|problem|error|has failed|delay|notification|report|unsuccessful|of)|failure notice|failed delivery|failed mail|mail(?:er)? fail|non-?deliver|message (?:delivery|status|could|undeliver|not deliver|you sent)|warning: (?:message|could not)|could not (?:send|deliver)|unable to deliver|not delivered|rejected(?: |:)|nondeliverable|there was an error sending|unzustellbar|nicht zustellbar|unzustellbare|zustellung|mail ?-? ?fehler|non remis|échec|notification d|no se (?:puede|pudo|ha podido)|non recapitabile|mancato recapito|impossibile|não (?:foi )?entreg|ваше сообщение не доставлено|не доставлено|недоставленн|メッセージを配信できません|メールエラー|配信不能|配信不可|未送信|送信でき|returned[ -]|postmaster notify|mail system error|undelivered|delayed mail|mail delivery|dsn|bounce|aws notification message|loop alert|отбито|退信|系统退信|投递失败|配信エラー|.{0,60}(?:mail delivery failed|delivery failure|could not be delivered|delivery has failed|undeliverable))`)

var reportWords = []string{
	"could not be delivered", "couldn't be delivered", "was not delivered to", "wasn't delivered", "unable to deliver", "not been delivered", "undeliverable",
	"permanent error", "permanent fatal errors", "delivery to the following recipient", "did not reach the following recipient", "could not deliver", "delivery failed", "delivery has failed",
	"mail delivery software", "mail delivery system", "transcript of session", "qmail-send program", "returned to sender", "bounce message", "returning message", "this is a permanent",
	"have been trying to deliver", "has not yet been delivered", "still undelivered", "user unknown", "unknown user", "no such user", "mailbox is full", "over quota", "delivery errors", "failed permanently", "delivery failure", "account is disabled",
	"mail agent", "undelivered message", "there was an error delivering", "undeliverable mail", "message header", "could not be sent", "failed to deliver", "delivery attempts", "mailbox unavailable", "error while trying to deliver",
	"送信できませんでした", "配信できません", "届けることができません", "エラーのため", "存在しない", "メッセージは配信", "配信に失敗", "送信に失敗", "の送信ができません", "配達できません", "nicht zugestellt", "konnte nicht", "n'a pas pu être remis", "no se pudo entregar", "не было доставлено", "не доставлено", "não pôde ser entregue", "non è stato recapitato",
	"550 ", "554 ", "#5.", "5.1.1", "5.2.2", "original message follows", "failure reasons", "was rejected", "incorrectly constructed", "duplicated message-id", `"notificationtype":"bounce"`, "undeliverable to", "server message", "reporting-mta", "did not receive this message", "not delivered within", "invalid final delivery", "has been delayed", "delivery problem",
}

func (w *walker) evidence(m *triage.Message, root *part) evidence {
	h := root.header
	e := evidence{
		failed:  h.has("x-failed-recipients") || h.has("x-failed-recipient"),
		report:  root.typ == "multipart/report",
		subject: reportSubject.MatchString(cutRunes(m.Subject, 300)),
		reply:   len(m.InReplyTo) > 0 || replySubject.MatchString(m.Subject),
	}
	if rp := h.get("return-path"); rp != nil {
		s := strings.ToLower(strings.TrimSpace(string(rp)))
		e.nullSender = s == "<>" || s == "" || strings.Contains(s, "mailer-daemon") || s == "<#@[]>"
	}
	from := strings.ToLower(string(bytes.TrimSpace(h.get("from"))))
	local, _, _ := strings.Cut(lowerASCII(m.Shown.Addr), "@")
	e.daemon = daemonName.MatchString(cutRunes(h.decode(h.get("from")), 300)) && !strings.Contains(from, "undisclosed")
	e.postmaster = local == "postmaster" || local == "mail-daemon" || strings.HasPrefix(from, "postmaster") ||
		strings.HasSuffix(local, "-admin") && (h.has("x-mlserver") || h.has("x-ml-name") || h.has("list-id")) // a list server, not a person
	e.noReply = strings.HasPrefix(local, "no-reply") || strings.HasPrefix(local, "noreply")
	a := strings.ToLower(strings.TrimSpace(string(h.get("auto-submitted"))))
	e.auto = a != "" && !strings.HasPrefix(a, "no")
	if !e.machine() && !e.subject && !e.postmaster && !e.noReply && !e.auto {
		return e // the text alone makes no report
	}
	text := strings.ToLower(cutRunes(m.Text(), maxReportText))
	if text == "" {
		text = strings.ToLower(cutRunes(m.OtherText, maxReportText))
	}
	own, rest := cutOriginal(text)
	for _, k := range reportWords {
		if strings.Contains(own, k) {
			e.words++
		}
	}
	e.returned = rest != ""
	eachLeaf(root, func(p *part) {
		e.returned = e.returned || p.enclosed != nil || p.typ == "text/rfc822-headers"
	})
	// A parcel that could not be delivered does not come back with the mail.
	e.postmaster = e.postmaster || e.noReply && (e.returned || strings.Contains(own, `"bouncedrecipients`))
	return e
}

var replySubject = regexp.MustCompile(`(?i)^\s*(?:re|aw|sv|fwd?|wg|vs|tr|rv|antw)\s*(?:\[\d+\])?\s*:`)

// guess decides without a report part.
func (w *walker) guess(m *triage.Message, root *part, e evidence) *triage.Report {
	if complaint(m, root) {
		return &triage.Report{Kind: triage.FeedbackReport}
	}
	if e.reply && !e.failed && !e.report && !(e.nullSender && (e.daemon || e.subject)) {
		return nil // a person asking about a bounce quotes its words
	}
	n := 0
	add := func(b bool, points int) {
		if b {
			n += points
		}
	}
	add(e.nullSender, 2)
	add(e.daemon, 3)
	add(e.postmaster, 1)
	add(e.auto, 1)
	add(e.subject, 3)
	add(e.failed, 4)
	add(e.report, 2)
	add(e.returned, 1)
	add(e.words > 0, 1)
	add(e.words > 1, 1)
	if e.machine() || e.subject && (e.words > 1 || e.returned && e.words > 0) && m.From.Addr == "" || e.subject && e.postmaster {
		if n >= 5 && (e.words > 0 || e.subject && (e.daemon || e.nullSender || e.returned) || e.failed) {
			return &triage.Report{Kind: triage.DeliveryReport}
		}
		return nil
	}
	if e.subject && e.words > 1 && e.auto && e.returned {
		return &triage.Report{Kind: triage.DeliveryReport}
	}
	return nil
}

// complaint knows the feedback of providers that do not use RFC 5965.
func complaint(m *triage.Message, root *part) bool {
	s := strings.ToLower(m.Subject)
	switch {
	case strings.HasPrefix(s, "complaint about message from"):
		return root.header.has("x-hmxmroriginalrecipient") || strings.HasPrefix(lowerASCII(m.Shown.Addr), "staff@") || hasEnclosed(root)
	case strings.HasPrefix(s, "email feedback report for"):
		return true
	case root.header.has("x-apple-unsubscribe"):
		return true // what Apple's programs send for "unsubscribe"
	}
	return false
}

func hasEnclosed(root *part) (yes bool) {
	eachLeaf(root, func(p *part) { yes = yes || p.enclosed != nil })
	return yes
}

// complete adds what the returned mail says: its id, its subject, and the
// recipient where the report itself names none.
func (w *walker) complete(r *triage.Report, m *triage.Message, root *part) {
	h := original(m, root)
	if r.MessageID == "" {
		r.MessageID = messageID(h.get("message-id"))
	}
	r.Subject = cleanShown(h.subject())
	if r.Kind == triage.ReceiptReport {
		if r.MessageID == "" && len(m.References) > 0 {
			r.MessageID = m.References[len(m.References)-1]
		}
		return
	}
	if r.Kind == triage.FeedbackReport {
		if len(r.Recipients) == 0 {
			for _, a := range h.addresses("to") {
				r.Recipients = addRecipient(r.Recipients, triage.ReportRecipient{Address: a.Addr})
			}
		}
		return
	}
	text := reportText(m)
	low := lowerASCII(text)
	known := false
	for _, x := range r.Recipients {
		known = known || strings.Contains(x.Address, "@")
	}
	if !known {
		var found []triage.ReportRecipient
		for _, a := range w.failedAddresses(m, root, text, low) {
			found = addRecipient(found, a)
		}
		if len(found) == 0 {
			if to := append(h.addresses("to"), h.addresses("cc")...); len(to) == 1 {
				found = append(found, triage.ReportRecipient{Address: to[0].Addr})
			}
		}
		switch {
		case len(r.Recipients) == 0:
			r.Recipients = found
		case len(found) > 0:
			first := r.Recipients[0]
			for i := range found {
				if found[i].Status == "" || first.Status != "" {
					found[i].Status = first.Status
				}
				if first.Action != "" {
					found[i].Action = first.Action
				}
				if first.Diagnostic != "" {
					found[i].Diagnostic = first.Diagnostic
				}
			}
			r.Recipients = found
		}
	}
	// What the whole text says is the same for all recipients, and looked for
	// once.
	worded := map[string]string{} // by action
	delayed := delayWords(m.Subject) || delayWords(low)
	for i := range r.Recipients {
		x := &r.Recipients[i]
		if x.Status == "" || strings.HasSuffix(x.Status, ".0.0") && failing(x.Action) {
			// "Undefined" in the report; the words beside it may say more.
			if c := codeNear(low, x.Address, len(r.Recipients) == 1); c != "" && (x.Status == "" || c[0] == x.Status[0]) {
				x.Status = c
			}
		}
		if x.Status == "" {
			x.Status = derivedStatus(x.Diagnostic, x.Action)
		}
		if x.Status == "" && failing(x.Action) {
			if _, ok := worded[x.Action]; !ok {
				worded[x.Action] = derivedStatus(low, x.Action)
			}
			x.Status = worded[x.Action]
		}
		if x.Action == "" {
			x.Action = "failed"
			if delayed {
				x.Action = "delayed"
			}
		}
		if x.Status == "" && x.Action == "failed" {
			x.Status = "5.0.0"
		} else if x.Status == "" && x.Action == "delayed" {
			x.Status = "4.0.0"
		}
	}
}

func failing(action string) bool {
	return action != "delivered" && action != "relayed" && action != "expanded"
}

func delayWords(s string) bool {
	s = strings.ToLower(s)
	for _, k := range []string{
		"delivery status notification (delay)", "delayed ", "delivery delayed", "will be retried", "could not be sent for the last", "not yet been delivered", "still undelivered",
		"no action is required on your part", "will continue to be attempted", "will keep trying", "this is a warning message only", "message delayed", "you do not need to resend",
	} {
		if strings.Contains(s, k) {
			return true
		}
	}
	return false
}
