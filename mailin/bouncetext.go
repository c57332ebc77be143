package mailin

import (
	"regexp"
	"strings"

	"deskd/triage"
)

// original is the header of the mail that a report is about: in a part of its
// own, or quoted in the text.
func original(m *triage.Message, root *part) header {
	var h header
	eachLeaf(root, func(p *part) {
		if h != nil {
			return
		}
		switch {
		case p.enclosed != nil && len(p.enclosed.header) > 0:
			h = p.enclosed.header
		case p.typ == "text/rfc822-headers" || p.typ == "message/global-headers" || p.typ == "text/rfc822":
			h, _, _ = splitHeader(decodeSmall(p), Limits{}.withDefaults())
		}
	})
	if h != nil {
		return h
	}
	_, rest := cutOriginal(cutRunes(m.Text(), 4*maxReportText))
	if rest == "" {
		return nil
	}
	if i := headerStart.FindStringIndex(rest); i != nil {
		rest = strings.TrimLeft(rest[i[0]:], "\n")
		h, _, _ = splitHeader([]byte(unindent(rest)), Limits{}.withDefaults())
	}
	return h
}

// unindent takes the indentation of the first line off all lines.
func unindent(s string) string {
	n := len(s) - len(strings.TrimLeft(s, " \t>"))
	if n == 0 {
		return s
	}
	lines := strings.SplitN(s, "\n", 200)
	for i, l := range lines {
		k := 0
		for k < n && k < len(l) && (l[k] == ' ' || l[k] == '\t' || l[k] == '>') {
			k++
		}
		lines[i] = l[k:]
	}
	return strings.Join(lines, "\n")
}

var (
	// headerStart is the first line of a header quoted within text.
	headerStart = regexp.MustCompile(`(?m)^[ \t>]*(?:Return-Path|Received|From|To|Date|Message-I[dD]|Subject|MIME-Version|Mime-Version|X-[A-Za-z-]+|DKIM-Signature|Content-Type|Delivered-To|ARC-Seal|Reply-To|Sender): ?\S`)
	// originalStart is a line that says: the returned mail follows.
	originalStart = regexp.MustCompile(`(?im)^[ \t>]*(?:-{2,}[ \t]*(?:this is a copy of|below this line is a copy|original message|(?:unsent|undelivered|returned) message|message header|enclosed is a copy|start of|the header of|body of|included is a copy|original mail|header|copy of)|-{3,}[ \t]*forwarded message|(?:included is a copy of the message|message headers? follow|original (?:message|mail) (?:follows|as follows|headers?:)|the (?:body of the )?(?:original )?message (?:headers? )?(?:follows|is attached)|your original message|here is a copy of|content of the (?:bounced|original)|first lines of|below is a copy|the following is a copy|original data|元のメッセージ)).*$`)
	// bareHeader is a header within text that nothing announces.
	bareHeader = regexp.MustCompile(`(?m)\n[ \t]*\n[ \t>]*(?:Return-Path:[ \t]*<|Received:[ \t]*\(?(?:from|by|qmail|\(qmail)|Received:from)`)
)

// cutOriginal parts a report's own words from the copy of the mail below.
func cutOriginal(text string) (own, rest string) {
	cut := len(text)
	if i := originalStart.FindStringIndex(text); i != nil {
		cut = i[0]
	}
	if i := bareHeader.FindStringIndex(text); i != nil && i[0] < cut {
		cut = i[0]
	}
	return text[:cut], text[cut:]
}

// maxReportText bounds how much of a report's text is searched.
const maxReportText = 64 << 10

// reportText is what the reporting program itself wrote.
func reportText(m *triage.Message) string {
	text := m.Text()
	if text == "" {
		text = m.OtherText
	}
	own, _ := cutOriginal(cutRunes(text, maxReportText))
	return own
}

// failedAddresses finds the recipients that the words of a report name. The
// same words in lower case come with them.
func (w *walker) failedAddresses(m *triage.Message, root *part, text, low string) []triage.ReportRecipient {
	var out []triage.ReportRecipient
	for _, k := range []string{"x-failed-recipients", "x-failed-recipient", "x-actual-recipient"} {
		for i := range root.header {
			if root.header[i].key != k {
				continue
			}
			for _, a := range mailAddresses(string(root.header[i].value)) {
				out = addRecipient(out, triage.ReportRecipient{Address: a})
			}
		}
	}
	for i := range out {
		out[i].Diagnostic = diagnosticFor(text, low, out[i].Address)
	}
	if len(out) == 0 {
		own := map[string]bool{lowerASCII(m.From.Addr): true, lowerASCII(m.Shown.Addr): true}
		for _, a := range m.To {
			own[lowerASCII(a.Addr)] = true // the sender of the returned mail
		}
		text = expandedFrom.ReplaceAllString(text, "(expanded from ")
		out = scanText(text, own)
		if len(out) == 0 && len(m.To) > 0 {
			out = scanText(text, map[string]bool{lowerASCII(m.Shown.Addr): true})
		}
		if len(out) == 0 && m.OtherText != "" {
			other, _ := cutOriginal(cutRunes(m.OtherText, maxReportText))
			out = scanText(other, own)
		}
	}
	for i := range out {
		x := &out[i]
		if x.Status == "" {
			x.Status, _ = bestCode(x.Diagnostic)
		}
		if x.Status == "" {
			x.Status = codeNear(low, x.Address, len(out) == 1)
		}
		if x.Status == "" {
			x.Status = derivedStatus(x.Diagnostic, "")
		}
	}
	return out
}

var (
	// aloneLine is an address that has the line to itself, with the things
	// that programs put around it.
	aloneLine = regexp.MustCompile(`^[ \t>*•|-]*(?:to|rcpt to|recipients?|address|e-?mail|final recipient|failed recipient|宛先|recipient address)?[ \t]*[:：]?[ \t]*(?:rfc822;[ \t]*)?["'<(\[]*(\S+@[^\s<>:"'\]\)]+)[>"'\])]*[ \t]*(?:<mailto:[^>]*>|\([^)]*\)|\[[^\]]*\])?[ \t]*[:;.,]?[ \t]*$`)
	// leadLine is an address at the start of a line with the reason behind it.
	leadLine = regexp.MustCompile(`^[ \t>*•-]*(?:<([^\s<>]+@[^\s<>]+)>|([^\s<>:"'()]+@[^\s<>:"'()\[\]]+))(?:[ \t]*<mailto:[^>]*>)?(?:[ \t]*\([^)]*\))?[ \t]*(?::|,|;|\.\.\.|\[|-|\bon\b|\binvalid\b|\bwas\b|\bis\b|\bcould\b|\bnot\b|\bdoes\b|\bhas\b|…)(.*)$`)
	// namedLine is a sentence that names the address it could not reach.
	namedLine = regexp.MustCompile(`(?i)(?:deliver(?:ed|ing|y)?(?:\s+\S+){0,6}\s+to|undeliverable to|(?:message|mail|e-mail|email) (?:for|to)|sent to|unknown user:?|user unknown:?|no such user:?|mailbox (?:full|unavailable|exceeds allowed size)[^@]{0,20}:?|exceeds allowed size:|attempts:|unknown recipient:?|recipient:?|rcpt to:?|could not be delivered to:?|failed:|wasn't delivered to|address(?:es)?:|invalid user:?|reach:?|account:?|user:?|user ?id:?|group)\s*[<"'(]*([^\s<>"'(),;:]+@[^\s<>"'(),;:]+)`)
	// codeLine is sendmail's "550 5.1.1 <a@b>... User unknown".
	codeLine = regexp.MustCompile(`^[ \t>]*(?:<<< )?[45]\d\d[ -](?:[45]\.\d{1,3}\.\d{1,3}[ \t]+)?<?([^\s<>]+@[^\s<>]+?)>?(?:\.\.\.|:|[ \t]|$)`)
	rcptLine = regexp.MustCompile(`(?i)rcpt to:[ \t]*<?([^\s<>]+@[^\s<>]+)>?`)
	// notFailed opens a line about other people's addresses.
	notFailed    = regexp.MustCompile(`(?i)^[ \t>*-]*(?:from|sender|original sender|reply-to|mail from|envelope[- ]from|return-path|contact|please|if you|for (?:further|more|assistance|help)|subject|message-id|cc|x-)\b|mail from:|postmaster@|mailer-daemon@|abuse@|(?:contact|write to|forward|send (?:mail|e-mail|an? e?-?mail|this|the)|assistance|help ?desk|administrator|support)\b.*@`)
	expandedFrom = regexp.MustCompile(`\((?:expanded|ultimately generated) from[ \t]*\n?[ \t]*`)
	aboutMail    = regexp.MustCompile(`(?i)^[ \t>]*(?:your|the original) (?:message|mail)[ \t]*:?[ \t]*$`)
	aboutField   = regexp.MustCompile(`(?i)^[ \t>]*(?:to|cc|subject|sent|date|from)[ \t]*:`)
	failWords    = regexp.MustCompile(`(?i)did not reach|not be delivered|was not delivered|could not|following recipient`)
	dsnField     = regexp.MustCompile(`(?i)^[ \t>]*(final-recipient|original-recipient|status|action|diagnostic-code)[ \t]*:[ \t]*(.*)$`)
)

// scanText reads a report without a status part, line by line. Forms that
// give the address a line or the head of a line come before sentences that
// merely contain one.
func scanText(text string, own map[string]bool) []triage.ReportRecipient {
	if got := scanStatusLines(text); len(got) > 0 {
		return got
	}
	if got := scanJSON(text); len(got) > 0 {
		return got
	}
	lines := strings.SplitN(text, "\n", 2000)
	var strong, weak []triage.ReportRecipient
	var cur *triage.ReportRecipient
	add := func(list *[]triage.ReportRecipient, addr, reason string) {
		found := mailAddresses(addr)
		if len(found) != 1 || own[lowerASCII(found[0])] || !strings.Contains(found[0], "@") {
			return
		}
		n := len(*list)
		*list = addRecipient(*list, triage.ReportRecipient{Address: found[0], Diagnostic: strings.TrimSpace(reason)})
		if list == &strong && len(*list) > n {
			cur = &(*list)[len(*list)-1]
		}
	}
	gap, about := 0, false
	for _, l := range lines {
		if len(l) > 2000 {
			l = l[:2000]
		}
		line := strings.TrimRight(l, " \t\r")
		if strings.TrimSpace(line) == "" {
			gap++
			continue
		}
		// "Your message / To: … / Subject: … / did not reach …" tells first
		// whom the returned mail was addressed to.
		switch {
		case aboutMail.MatchString(line):
			about = true
		case about && (!aboutField.MatchString(line) || failWords.MatchString(line)):
			about = false
		case about:
			gap = 0
			continue
		}
		if strings.IndexByte(line, '@') < 0 {
			if cur != nil && gap < 2 && len(cur.Diagnostic) < 1000 {
				cur.Diagnostic = strings.TrimSpace(cur.Diagnostic + " " + strings.TrimSpace(line))
			}
			gap = 0
			continue
		}
		gap = 0
		if m := rcptLine.FindStringSubmatch(line); m != nil {
			add(&weak, m[1], "")
		}
		if notFailed.MatchString(line) && !strings.Contains(strings.ToLower(line), "rcpt to") {
			if cur != nil && len(cur.Diagnostic) < 1000 && (line[0] == ' ' || line[0] == '\t') {
				cur.Diagnostic += " " + strings.TrimSpace(line)
			}
			continue
		}
		if m := codeLine.FindStringSubmatch(line); m != nil {
			add(&weak, m[1], line)
			if cur != nil && len(cur.Diagnostic) < 1000 {
				cur.Diagnostic = strings.TrimSpace(cur.Diagnostic + " " + strings.TrimSpace(line))
			}
			continue
		}
		if m := aloneLine.FindStringSubmatch(strings.ToLower(line)); m != nil {
			add(&strong, line, "")
			continue
		}
		if m := leadLine.FindStringSubmatch(line); m != nil {
			add(&strong, m[1]+m[2], m[3])
			continue
		}
		if m := namedLine.FindStringSubmatch(line); m != nil {
			add(&weak, m[1], line)
		}
		if cur != nil && len(cur.Diagnostic) < 1000 {
			cur.Diagnostic = strings.TrimSpace(cur.Diagnostic + " " + strings.TrimSpace(line))
		}
	}
	if len(strong) > 0 {
		return strong
	}
	if len(weak) > 0 {
		return weak
	}
	// Sentences broken over lines: "delivering your mail to\n<a@b>".
	for _, m := range namedLine.FindAllStringSubmatch(strings.ReplaceAll(text, "\n", " "), 20) {
		add(&weak, m[1], m[0])
	}
	return weak
}

// scanStatusLines reads the fields of a delivery status that stand in the
// text instead of a part of their own.
func scanStatusLines(text string) []triage.ReportRecipient {
	if !strings.Contains(strings.ToLower(text), "final-recipient") {
		return nil
	}
	var b strings.Builder
	keep := false
	for _, l := range strings.SplitN(text, "\n", 2000) {
		switch t := strings.TrimLeft(l, " \t>"); {
		case dsnField.MatchString(l):
			b.WriteString(t + "\n")
			keep = true
		case keep && t != "" && t != l && !strings.HasPrefix(l, ">"):
			b.WriteString(" " + t + "\n")
		case t == "":
			b.WriteString("\n")
			keep = false
		default:
			keep = false
		}
	}
	return readStatus([]byte(b.String()))
}

var (
	jsonAddress = regexp.MustCompile(`"emailAddress"\s*:\s*"([^"\\]{3,320})"`)
	jsonStatus  = regexp.MustCompile(`"status"\s*:\s*"([245]\.\d{1,3}\.\d{1,3})"`)
	jsonDiag    = regexp.MustCompile(`"diagnosticCode"\s*:\s*"((?:[^"\\]|\\.){1,1000})"`)
)

// scanJSON reads the notices of mail services that describe a bounce as JSON.
func scanJSON(text string) []triage.ReportRecipient {
	if !strings.Contains(text, `"bounce`) && !strings.Contains(text, `\"bounce`) {
		return nil
	}
	text = strings.ReplaceAll(text, `\"`, `"`) // JSON within JSON
	var out []triage.ReportRecipient
	at := jsonAddress.FindAllStringSubmatchIndex(text, maxReported)
	for i, m := range at {
		end := len(text)
		if i+1 < len(at) {
			end = at[i+1][0]
		}
		r := triage.ReportRecipient{Address: text[m[2]:m[3]], Action: "failed"}
		piece := text[m[0]:end]
		if s := jsonStatus.FindStringSubmatch(piece); s != nil {
			r.Status = s[1]
		}
		if s := jsonDiag.FindStringSubmatch(piece); s != nil {
			r.Diagnostic = s[1]
		}
		out = addRecipient(out, r)
	}
	return out
}

// codeNear finds the status code in the lines that name an address, and in
// the whole text if the address is the only one. The text is in lower case.
func codeNear(text, addr string, only bool) string {
	code, rank := "", -1
	addr = lowerASCII(addr)
	for _, l := range strings.SplitN(text, "\n", 2000) {
		if len(l) < 4000 && strings.Contains(l, addr) {
			if c, r := bestCode(l); r > rank {
				code, rank = c, r
			}
		}
	}
	if rank <= 0 && only {
		if c, r := bestCode(text); r > rank {
			code = c
		}
	}
	return code
}

// diagnosticFor is the passage of the text that follows an address.
func diagnosticFor(text, low, addr string) string {
	i := strings.Index(low, lowerASCII(addr))
	if i < 0 {
		return ""
	}
	rest := text[i+len(addr):]
	if e := strings.Index(rest, "\n\n"); e >= 0 && strings.TrimSpace(strings.Trim(rest[:e], ">:")) != "" {
		rest = rest[:e]
	}
	return strings.Join(strings.Fields(strings.TrimLeft(cutRunes(rest, 1000), ">: \n")), " ")
}
