package mailin

import (
	"bytes"
	"regexp"
	"strings"

	"deskd/triage"
)

// maxReported bounds the recipients kept of one report.
const maxReported = 100

// readParts reads the report part of a mail, if there is one.
func readParts(root *part) *triage.Report {
	var r *triage.Report
	eachLeaf(root, func(p *part) {
		switch p.typ {
		case "message/delivery-status", "message/global-delivery-status":
			if got := readStatus(decodeSmall(p)); got != nil && (r == nil || r.Kind == triage.DeliveryReport) {
				if r == nil {
					r = &triage.Report{Kind: triage.DeliveryReport, Standard: true}
				}
				r.Recipients = append(r.Recipients, got[:min(len(got), maxReported-len(r.Recipients))]...)
			}
		case "message/feedback-report":
			if r == nil || r.Kind != triage.FeedbackReport {
				r = readFeedback(decodeSmall(p))
			}
		case "message/disposition-notification", "message/global-disposition-notification":
			if r == nil {
				r = readReceipt(decodeSmall(p))
			}
		}
	})
	if r == nil && root.typ == "multipart/report" {
		switch strings.ToLower(root.params["report-type"]) {
		case "feedback-report":
			r = &triage.Report{Kind: triage.FeedbackReport}
		case "disposition-notification":
			r = &triage.Report{Kind: triage.ReceiptReport}
		}
	}
	return r
}

// decodeSmall decodes a machine-read part; such parts are short.
func decodeSmall(p *part) []byte {
	w := &walker{limits: Limits{Decoded: 1 << 20}}
	return w.decode(p, 256<<10)
}

// fieldGroups cuts a report part into its groups of fields, which empty lines
// part (RFC 3464, section 2.1). Each comes as a header.
func fieldGroups(b []byte) []header {
	var out []header
	var block []byte // the group in hand, mended for go-message
	end := func() {
		if h, _ := readHeader(block); len(h) > 0 {
			out = append(out, h)
		}
		block = block[:0]
	}
	fields := 0
	for pos := 0; pos < len(b) && len(out) < 4*maxReported && fields < 20*maxReported; {
		line, next := nextLine(b, pos)
		pos = next
		trimmed := bytes.TrimLeft(line, " \t")
		n := fieldName(trimmed)
		indented := len(line) > len(trimmed) && len(block) > 0
		switch {
		case len(trimmed) == 0:
			end()
		case n > 0 && !(indented && !isStatusField(trimmed[:n])):
			fields++
			block = appendField(block, trimmed, n)
		case len(block) > 0:
			block = appendLine(append(block, ' '), trimmed)
		}
	}
	end()
	return out
}

// isStatusField knows the fields of a delivery status, which some programs
// indent.
func isStatusField(name []byte) bool {
	switch strings.ToLower(strings.TrimSpace(string(name))) {
	case "final-recipient", "original-recipient", "action", "status", "diagnostic-code", "remote-mta", "last-attempt-date",
		"reporting-mta", "arrival-date", "received-from-mta", "will-retry-until", "final-log-id", "x-actual-recipient", "original-envelope-id":
		return true
	}
	return false
}

// readStatus reads the recipients of a delivery status (RFC 3464, section
// 2.3). Groups that stray empty lines tore apart are put together again.
func readStatus(b []byte) []triage.ReportRecipient {
	type group struct{ final, original, actual, action, status, diagnostic, remote string }
	var all []group
	var cur *group
	seen := false
	for _, h := range fieldGroups(b) {
		fresh := true
		for i := range h {
			v := strings.TrimSpace(cleanLine(decodeWords(h[i].value, "")))
			switch h[i].key {
			case "final-recipient", "original-recipient", "action", "status", "diagnostic-code", "x-actual-recipient", "remote-mta":
				seen = true
			default:
				continue
			}
			// A new recipient begins where a field comes a second time, or
			// where a group after an empty line names one.
			taken := cur != nil && (h[i].key == "final-recipient" && cur.final != "" ||
				h[i].key == "original-recipient" && cur.original != "" ||
				h[i].key == "action" && cur.action != "" && fresh ||
				h[i].key == "original-recipient" && cur.final != "" && fresh)
			if cur == nil || taken {
				if len(all) >= maxReported {
					break
				}
				all = append(all, group{})
				cur = &all[len(all)-1]
			}
			fresh = false
			switch h[i].key {
			case "final-recipient":
				cur.final = reportAddress(v)
				if cur.final == "" {
					cur.final = " "
				}
			case "original-recipient":
				cur.original = reportAddress(v)
			case "x-actual-recipient":
				cur.actual = reportAddress(v)
			case "action":
				cur.action = actionWord(v)
			case "status":
				if s := enhancedCode(v); s != "" {
					cur.status = s
				}
			case "diagnostic-code":
				cur.diagnostic = cutRunes(afterType(v), 1000)
			case "remote-mta":
				cur.remote = v
			}
		}
	}
	if !seen {
		return nil
	}
	out := make([]triage.ReportRecipient, 0, len(all))
	for _, g := range all {
		addr := strings.TrimSpace(g.final)
		if !strings.Contains(addr, "@") {
			// A local name or an X.400 address tells the desk nothing.
			for _, a := range []string{g.original, g.actual} {
				if strings.Contains(a, "@") {
					addr = a
					break
				}
			}
		}
		if !strings.Contains(addr, "@") {
			if m := mailAddresses(g.diagnostic); len(m) == 1 {
				addr = m[0]
			}
		}
		if addr == "" && g.status == "" && g.action == "" && g.diagnostic == "" {
			continue
		}
		out = append(out, triage.ReportRecipient{
			Address: addr, Status: betterStatus(g.status, g.diagnostic, g.action), Action: g.action, Diagnostic: g.diagnostic,
		})
	}
	return out
}

// reportAddress takes the address out of "rfc822; <a@b>" (RFC 3464, section
// 2.3.1), whether the type is there or not.
func reportAddress(v string) string {
	v = strings.TrimSpace(afterType(v))
	if a := mailAddresses(v); len(a) > 0 {
		return a[0]
	}
	v = strings.Trim(v, "<>\"' ")
	if len(v) > 320 || strings.ContainsAny(v, " \t") {
		return ""
	}
	return v
}

func afterType(v string) string {
	if i := strings.IndexByte(v, ';'); i >= 0 && i <= 20 && !strings.ContainsAny(v[:i], "@<") {
		return strings.TrimSpace(v[i+1:])
	}
	return v
}

func actionWord(v string) string {
	v = strings.ToLower(v)
	i := strings.IndexFunc(v, func(r rune) bool { return r < 'a' || r > 'z' })
	if i >= 0 {
		v = v[:i]
	}
	switch v {
	case "failed", "delayed", "delivered", "relayed", "expanded":
		return v
	case "failure", "fail", "error", "expired", "bounced":
		return "failed"
	case "delay", "deferred", "deferral", "transient":
		return "delayed"
	}
	return ""
}

var (
	enhancedPattern = regexp.MustCompile(`(?:^|[^0-9.])([245]\.\d{1,3}\.\d{1,3})(?:[^0-9.]|\.?$|\.[^0-9])`)
	replyPattern    = regexp.MustCompile(`(?:^|[^0-9A-Za-z.:/_-])([45][0-5]\d)(?:[- ]|$|[^0-9A-Za-z.:/_@])`)
)

// enhancedCode finds the first enhanced status code (RFC 3463).
func enhancedCode(s string) string {
	if m := enhancedPattern.FindStringSubmatch(s); m != nil {
		return m[1]
	}
	return ""
}

// bestCode finds the enhanced status code that says most: one that a server
// wrote behind its reply code before one that merely stands in the text, and
// any before "time expired" (X.4.7) and "undefined" (X.0.0).
func bestCode(s string) (code string, rank int) {
	rank = -1
	for n := 0; n < 40; n++ {
		m := enhancedPattern.FindStringSubmatchIndex(s)
		if m == nil {
			break
		}
		c, r := s[m[2]:m[3]], 2
		switch {
		case strings.HasSuffix(c, ".0.0"):
			r = 0
		case strings.HasSuffix(c, ".4.7"):
			r = 1
		case afterReply.MatchString(s[max(0, m[2]-8):m[2]]):
			r = 4
		}
		if r > rank {
			code, rank = c, r
		}
		s = s[m[3]:]
	}
	return code, rank
}

var afterReply = regexp.MustCompile(`[45][0-5]\d[ -]['"(#<]{0,2}$`)

// betterStatus weighs the status that a report gives against the one in the
// server's own words: the words come from nearer the cause.
func betterStatus(status, diagnostic, action string) string {
	_, rank := bestCode(status)
	if rank == 2 {
		rank = 3
	}
	if d, r := bestCode(diagnostic); r > rank {
		return d
	}
	if status != "" {
		return status
	}
	return derivedStatus(diagnostic, action)
}

// derivedStatus makes a status out of a reply code or, failing that, out of
// words; "" if nothing speaks for one.
func derivedStatus(text, action string) string {
	if s, _ := bestCode(text); s != "" {
		return s
	}
	class := ""
	code := ""
	if m := replyPattern.FindStringSubmatch(text); m != nil {
		code, class = m[1], m[1][:1]
	}
	low := strings.ToLower(text)
	for _, k := range statusWords {
		for _, word := range k.words {
			if strings.Contains(low, word) {
				c := class
				if c == "" {
					c = k.class
				}
				if action == "delayed" {
					c = "4"
				}
				return c + k.detail
			}
		}
	}
	switch code {
	case "550", "551", "553":
		return "5.1.1"
	case "450":
		return "4.2.1"
	case "552":
		return "5.2.2"
	case "452":
		return "4.2.2"
	case "421":
		return "4.4.2"
	case "554", "555":
		return "5.0.0"
	case "451", "454":
		return "4.3.0"
	}
	if class != "" {
		return class + ".0.0"
	}
	return ""
}

// statusWords are the words of mail servers, the telling ones first.
var statusWords = []struct {
	class, detail string
	words         []string
}{
	{"5", ".2.2", []string{"mailbox full", "mailbox is full", "over quota", "quota exceeded", "overquota", "mailfolder is full", "exceeded storage", "exceeds allowed size", "mailbox exceeds", "exceeded its quota", "inbox is full", "out of storage", "容量"}},
	{"5", ".3.4", []string{"message too large", "message size exceeds", "too big", "exceeds maximum message size", "message file too big"}},
	{"5", ".1.2", []string{"host unknown", "unknown host", "domain not found", "host not found", "no such domain", "couldn't find any host", "unrouteable mail domain", "unrouteable address", "unroutable", "name or service not known", "nxdomain", "name service error", "domain does not exist", "no mx record", "domain name not found", "dns domain"}},
	{"5", ".1.1", []string{"user unknown", "unknown user", "no such user", "does not exist", "unknown recipient", "unknown account", "unknown address", "recipient unknown", "no mailbox here", "mailbox unavailable", "invalid recipient", "invalid address", "not found", "no such mailbox", "not our customer", "recipient address rejected", "recipient name is not recognized", "not a valid", "account is disabled", "unknown local", "doesn't have a", "no such address", "address rejected", "not listed in", "存在しない", "見つかりません", "unknown mailbox", "unknown or illegal alias", "addressee unknown", "mailbox not found"}},
	{"5", ".2.1", []string{"mailbox disabled", "account disabled", "suspended", "inactive", "not accepting messages", "mailbox is disabled"}},
	{"5", ".7.1", []string{"spam", "blocked", "blacklist", "block list", "relay", "denied", "policy", "not authorized", "not allowed", "prohibited", "rejected for", "refused to accept", "content rejected", "virus"}},
	{"4", ".4.7", []string{"retry timeout", "retry time"}},
	{"4", ".4.1", []string{"timed out", "timeout", "connection refused", "could not connect", "unable to connect", "no route to host", "network is unreachable", "can't connect", "wasn't able to establish", "connection dropped", "connection reset", "lost connection", "host name lookup"}},
	{"4", ".4.7", []string{"too long", "expired", "could not be delivered for", "have been trying", "delivery attempts"}},
	{"5", ".4.6", []string{"loop", "too many hops", "hop count"}},
	{"4", ".7.1", []string{"greylist", "graylist", "try again later"}},
}

// readFeedback reads an abuse report (RFC 5965).
func readFeedback(b []byte) *triage.Report {
	r := &triage.Report{Kind: triage.FeedbackReport, Standard: true}
	for _, h := range fieldGroups(b) {
		for i := range h {
			switch h[i].key {
			case "original-rcpt-to", "removal-recipient", "original-recipient":
				v := string(h[i].value)
				for _, a := range mailAddresses(v) {
					r.Recipients = addRecipient(r.Recipients, triage.ReportRecipient{Address: a})
				}
			}
		}
	}
	return r
}

// readReceipt reads a disposition notification (RFC 8098).
func readReceipt(b []byte) *triage.Report {
	r := &triage.Report{Kind: triage.ReceiptReport, Standard: true}
	for _, h := range fieldGroups(b) {
		if v := h.get("final-recipient"); v != nil {
			if a := reportAddress(string(v)); a != "" {
				r.Recipients = addRecipient(r.Recipients, triage.ReportRecipient{Address: a, Action: "", Diagnostic: cutRunes(h.text("disposition"), 300)})
			}
		}
		if v := h.get("original-message-id"); v != nil {
			r.MessageID = messageID(v)
		}
	}
	return r
}

func addRecipient(list []triage.ReportRecipient, r triage.ReportRecipient) []triage.ReportRecipient {
	for i := range list {
		if sameAddress(list[i].Address, r.Address) && (list[i].Status == r.Status || list[i].Status == "" || r.Status == "") {
			if list[i].Status == "" {
				list[i].Status = r.Status
			}
			if list[i].Diagnostic == "" {
				list[i].Diagnostic = r.Diagnostic
			}
			return list
		}
	}
	if len(list) >= maxReported {
		return list
	}
	return append(list, r)
}

var mailPattern = regexp.MustCompile(`"(?:[^"\\\r\n]|\\.){1,64}"@[A-Za-z0-9][A-Za-z0-9.-]*|[A-Za-z0-9!#$%&'*+/=?^_{|}~.\x60-]{1,128}@(?:[A-Za-z0-9_][A-Za-z0-9._-]*|\[[0-9.]+\])`)

// mailAddresses finds the addresses in a line of text.
func mailAddresses(s string) []string {
	if strings.IndexByte(s, '@') < 0 {
		return nil
	}
	var out []string
	for _, a := range mailPattern.FindAllString(s, 20) {
		a = strings.TrimRight(a, ".-_")
		a = strings.TrimLeft(a, "'=*/`.")
		if spec, ok := cleanSpec([]byte(a)); ok && strings.Contains(spec, "@") {
			out = append(out, spec)
		}
	}
	return out
}
