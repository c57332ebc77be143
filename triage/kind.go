package triage

import (
	"strconv"
	"strings"
)

// Kind says what sort of writer a mail has.
type Kind string

// Kinds of mail.
const (
	KindPerson    Kind = "person"
	KindList      Kind = "list-person" // a person, through a list or a forwarding rule
	KindAlert     Kind = "alert"       // a program that has something to say: monitoring, a job, a notice
	KindBulk      Kind = "bulk"        // newsletters and other mail to many
	KindAutoReply Kind = "auto-reply"  // vacation answers, acknowledgements, challenges
	KindBounce    Kind = "bounce"
	KindFeedback  Kind = "feedback" // a complaint (RFC 5965)
	KindReceipt   Kind = "receipt"  // a disposition notification (RFC 8098)
	KindSpam      Kind = "spam"
	KindOwn       Kind = "own" // our own mail coming back
)

// KindVerdict answers apart what may follow from a mail. It is kept in any
// case.
type KindVerdict struct {
	Kind   Kind   `json:"kind"`
	Why    string `json:"why"`              // one word out of a fixed list: "auto-submitted", "null-sender"
	Header string `json:"header,omitempty"` // the mark that decided, as written: "Precedence: bulk"
	Opens  bool   `json:"opens"`            // may it open a ticket
	Answer bool   `json:"answer"`           // may its sender get an automatic answer (T16)
	Tell   bool   `json:"tell"`             // is the team told, may it change a status

	program bool // a mark says that no person wrote it
}

// mechanical says whether a program wrote the mail, whatever its kind. Mail
// from one of our own addresses may be a person's who uses the shared mailbox.
func (v KindVerdict) mechanical() bool { return v.program }

// KindPolicy is what the settings add to the marks in a mail.
type KindPolicy struct {
	OwnAddresses []string // intake addresses and their aliases, lower case (T18)
	OwnLists     []string // List-Ids or addresses of lists whose posts are people's mail to us
	Signer       *Signer  // nil: no loop mark is believed
	Alerts       []string // addresses of monitoring systems, or "@domain"
	Trust        Trust    // says where our own servers' marks of spam stand
}

// Classify says who wrote a mail, a person or what sort of program, by its
// header and, for vacation answers that bear no mark, by its subject and text.
// A report is one only where the mail itself is (Message.Report); one that a
// person encloses is not (Message.Enclosed).
func Classify(m *Message, p KindPolicy) KindVerdict {
	if mark, ok := loopMark(m, p); ok {
		return verdict(KindOwn, "loop-mark", mark, true)
	}
	_, marked := programMark(m, p)
	switch {
	case m.Report != nil:
		return reported(m.Report.Kind)
	case ownSender(m, p):
		return verdict(KindOwn, "own-address", "From: "+sender(m), marked)
	}
	if v, ok := reportHeader(m); ok {
		return v
	}
	if v, ok := spamMark(m, p.Trust); ok {
		return v
	}
	return withoutSpamMark(m, p)
}

// withoutSpamMark is Classify for a mail that no spam filter has marked, or that is no
// spam in spite of it.
func withoutSpamMark(m *Message, p KindPolicy) KindVerdict {
	program, marked := programMark(m, p)
	if from := sender(m); from != "" && listed(p.Alerts, from) && program.Kind != KindAutoReply {
		return verdict(KindAlert, "monitoring", "From: "+from, true)
	}
	if marked {
		return program
	}
	if v, ok := vacation(m); ok {
		return v
	}
	return verdict(KindPerson, "person", "", false)
}

// verdict fills in what follows from a kind (product: mail that no person wrote).
func verdict(k Kind, why, header string, program bool) KindVerdict {
	v := KindVerdict{Kind: k, Why: why, Header: header, program: program}
	switch k {
	case KindPerson:
		v.Opens, v.Answer, v.Tell = true, true, true
	case KindList, KindAlert:
		v.Opens, v.Tell = true, true
	case KindBulk:
		v.Opens = true
	}
	return v
}

// loopMark looks for a mark that this desk made for this very mail (T17).
// A mark of somebody else's means nothing (T15).
func loopMark(m *Message, p KindPolicy) (string, bool) {
	if p.Signer == nil || m.MessageID == "" {
		return "", false
	}
	for _, v := range values(m, LoopField) {
		if p.Signer.VerifyLoopMark(v, m.MessageID) {
			return LoopField + ": " + v, true
		}
	}
	return "", false
}

// sender is the address that a mail says it is from, lower case.
func sender(m *Message) string {
	if m.From.Addr != "" {
		return strings.ToLower(m.From.Addr)
	}
	return strings.ToLower(m.Shown.Addr)
}

// ownSender says whether a mail is from an intake address, with or without a
// detail after a plus sign.
func ownSender(m *Message, p KindPolicy) bool {
	from := sender(m)
	if from == "" {
		return false
	}
	if containsFold(p.OwnAddresses, from) {
		return true
	}
	local, domain, _ := strings.Cut(from, "@")
	base, _, ok := strings.Cut(local, "+")
	return ok && containsFold(p.OwnAddresses, base+"@"+domain)
}

// listed says whether an address, or its domain as "@example.org", is in a list.
func listed(list []string, addr string) bool {
	if containsFold(list, addr) {
		return true
	}
	at := strings.LastIndexByte(addr, '@')
	return at >= 0 && containsFold(list, addr[at:])
}

func reported(k ReportKind) KindVerdict {
	switch k {
	case FeedbackReport:
		return verdict(KindFeedback, "report", "", true)
	case ReceiptReport:
		return verdict(KindReceipt, "report", "", true)
	}
	return verdict(KindBounce, "report", "", true)
}

// reportHeader recognises a report that could not be read by its Content-Type
// (RFC 6522) or by its sender, the program that hands mail over.
func reportHeader(m *Message) (KindVerdict, bool) {
	for _, v := range values(m, "Content-Type") {
		low := strings.ToLower(v)
		if !strings.HasPrefix(strings.TrimSpace(low), "multipart/report") {
			continue
		}
		kind := KindAutoReply
		switch {
		case strings.Contains(low, "delivery-status"):
			kind = KindBounce
		case strings.Contains(low, "feedback-report"):
			kind = KindFeedback
		case strings.Contains(low, "disposition-notification"):
			kind = KindReceipt
		}
		return verdict(kind, "report", "Content-Type: multipart/report", true), true
	}
	from := sender(m)
	switch local, _, _ := strings.Cut(from, "@"); {
	case local == "mailer-daemon" || strings.HasPrefix(local, "mailer-daemon+"):
		return verdict(KindBounce, "mailer-daemon", "From: "+from, true), true
	case local == "postmaster" && (nullSender(m) || returnedSubject(m.Subject)):
		// People write as postmaster too, so a second mark is needed.
		return verdict(KindBounce, "postmaster", "From: "+from, true), true
	}
	return KindVerdict{}, false
}

func nullSender(m *Message) bool {
	return m.ReturnPath != nil && strings.Trim(*m.ReturnPath, " <>") == ""
}

// returnedSubject says whether a subject is one that mail servers give to mail
// that comes back.
func returnedSubject(s string) bool {
	s = strings.ToLower(s)
	for _, p := range returnedPhrases {
		if strings.Contains(s, p) {
			return true
		}
	}
	return false
}

// spamMark looks for the word of our own spam filter. It stands above the first
// Received field that our own servers cannot have written, as their word on
// senders does (T2): what a list or a forwarder put there is not ours.
//
// A desk that names no server of its own cannot tell. People expect that the
// folder's filter counts all the same, and it does: such a mark works against
// nobody but the mail that bears it, and is not heeded for those we know. On
// Exchange the border takes its own fields off mail from outside.
func spamMark(m *Message, t Trust) (KindVerdict, bool) {
	zone := len(m.Header)
	if len(t.Servers)+len(t.Borders) > 0 {
		zone = t.zone(m)
	}
	exchange := t.ExchangeOnline || t.ExchangeInternal
	for i, f := range m.Header {
		if i >= zone && !(exchange && strings.HasPrefix(strings.ToLower(f.Name), "x-ms-exchange-organization-")) {
			continue
		}
		v := strings.ToLower(strings.TrimSpace(f.Value))
		spam := false
		switch strings.ToLower(f.Name) {
		case "x-spam-flag", "x-spam", "x-dspam-result", "x-bogosity":
			spam = v == "yes" || strings.HasPrefix(v, "yes,") || strings.HasPrefix(v, "yes ") || strings.HasPrefix(v, "spam") || v == "true"
		case "x-spam-status":
			// With its score, as the filter writes it; a bare word is anybody's.
			spam = strings.HasPrefix(v, "yes,")
		case "x-ms-exchange-organization-scl":
			spam = tooLikely(v)
		case "x-forefront-antispam-report":
			for part := range strings.SplitSeq(v, ";") {
				if level, ok := strings.CutPrefix(strings.TrimSpace(part), "scl:"); ok {
					spam = spam || tooLikely(level)
				}
			}
		}
		if spam {
			return verdict(KindSpam, "marked-spam", show(f), true), true
		}
	}
	return KindVerdict{}, false
}

// tooLikely reads a spam confidence level of Exchange; from 5 on a mail is spam.
func tooLikely(level string) bool {
	n, err := strconv.Atoi(strings.TrimSpace(level))
	return err == nil && n >= 5
}

// show is a header field as a reason shows it.
func show(f Field) string { return clip(f.Name+": "+strings.TrimSpace(f.Value), 120) }

// maxHops is how many servers a mail may have passed before it is taken for
// one that goes round in circles.
const maxHops = 50

// marks are the things in a header that say that no answer is wanted. Each is
// the field that says so, or empty.
type marks struct {
	replied   string // an automatic answer, and says so
	generated string // made by a program
	forwarded string // passed on by a rule
	suppress  string // asks that programs do not answer
	bulk      string
	list      string // posted to a list
	sales     string // can be unsubscribed from and nothing more: a newsletter
	loop      string
	null      string
	noReply   string
	hops      string
}

// programMark reads the marks and makes one verdict of them. The strongest
// comes first: an answer of a program opens nothing; a program's notice does.
func programMark(m *Message, p KindPolicy) (KindVerdict, bool) {
	k := readMarks(m, p)
	answer := k.replied
	if answer == "" && (k.generated != "" || k.suppress != "" || k.null != "") {
		// Programs that answer do not always say so: Exchange calls its
		// vacation answers auto-generated.
		kind := autoSubject(m.Subject)
		if kind == mayBe && len(m.InReplyTo) == 0 && !containsAny(ownWords(m), absentTexts) {
			kind = notAuto // "Absence of heartbeat from db1" is an alert
		}
		if kind != notAuto {
			answer = first(k.generated, k.suppress, k.null)
		} else if k.null != "" && (len(m.InReplyTo) > 0 || k.generated != "") {
			answer = k.null
		}
	}
	switch {
	case answer != "":
		return verdict(KindAutoReply, "auto-reply", answer, true), true
	case k.sales != "":
		return verdict(KindBulk, "list", k.sales, true), true
	case k.generated != "":
		return verdict(KindAlert, "auto-submitted", k.generated, true), true
	case k.list != "":
		return verdict(KindList, "list", k.list, false), true
	case k.bulk != "":
		return verdict(KindBulk, "precedence", k.bulk, true), true
	case k.forwarded != "":
		return verdict(KindList, "forwarded", k.forwarded, false), true
	case k.null != "":
		return verdict(KindAlert, "null-sender", k.null, true), true
	case k.suppress != "":
		return verdict(KindAlert, "suppress", k.suppress, true), true
	case k.noReply != "":
		return verdict(KindAlert, "no-reply", k.noReply, true), true
	case k.loop != "":
		return verdict(KindList, "loop", k.loop, false), true
	case k.hops != "":
		return verdict(KindList, "hops", k.hops, false), true
	}
	return KindVerdict{}, false
}

func first(list ...string) string {
	for _, s := range list {
		if s != "" {
			return s
		}
	}
	return ""
}

func readMarks(m *Message, p KindPolicy) marks {
	var k marks
	var post, leave, precedence string
	hops := 0
	own := ownList(m, p)
	for _, f := range m.Header {
		value := strings.ToLower(strings.TrimSpace(f.Value))
		name := strings.ToLower(strings.TrimSpace(f.Name))
		switch name {
		case "received":
			hops++
		case "auto-submitted", "x-auto-submitted":
			// RFC 3834, section 5: a keyword, then parameters or a comment.
			switch word := keyword(value); {
			case word == "" || word == "no":
			case strings.HasPrefix(word, "auto-replied"):
				k.replied = show(f)
			case word == "auto-forwarded":
				k.forwarded = show(f)
			default:
				k.generated = show(f)
			}
		case "precedence", "x-precedence":
			switch word := strings.ReplaceAll(keyword(value), "-", "_"); word {
			case "auto_reply", "autoreply":
				k.replied = show(f)
			case "list":
				precedence = show(f)
			case "bulk", "junk":
				k.bulk = show(f)
			}
		case "list-id", "list-post", "x-beenthere", "mailing-list", "x-mailing-list", "x-mailman-version", "list-archive":
			if value != "" {
				post = show(f)
			}
		case "list-unsubscribe", "list-help", "list-subscribe", "list-owner", "list-unsubscribe-post", "x-campaign-id", "x-campaign", "x-mailchimp-campaign-id", "feedback-id":
			if leave == "" && name != "feedback-id" {
				leave = show(f)
			}
		case "x-auto-response-suppress":
			// Outlook puts OOF alone on people's mail.
			for _, word := range strings.FieldsFunc(value, func(r rune) bool { return r == ',' || r == ' ' || r == ';' }) {
				if word == "all" || word == "autoreply" {
					k.suppress = show(f)
				}
			}
		case "x-loop", "x-loop-detect", "x-rt-loop-prevention", "x-otrs-loop":
			if value != "" {
				k.loop = show(f)
			}
		case "delivered-to":
			if value == "autoresponder" {
				k.replied = show(f)
			}
		case "x-apple-action":
			if value == "vacation" {
				k.replied = show(f)
			}
		case "x-post-messageclass":
			if strings.Contains(value, "autoresponder") {
				k.replied = show(f)
			}
		case "x-fc-machinegenerated", "x-cron-env", "x-autogenerated", "x-auto-generated":
			if yes(value) && k.generated == "" {
				k.generated = show(f)
			}
		default:
			if autoField[name] && yes(value) && k.replied == "" {
				k.replied = show(f)
			}
		}
	}
	if hops > maxHops || len(m.Received) > maxHops {
		k.hops = "Received: " + strconv.Itoa(max(hops, len(m.Received)))
	}
	if nullSender(m) {
		k.null = "Return-Path: <>"
	}
	if from := sender(m); NoReply(from) {
		k.noReply = "From: " + from
	}
	switch {
	case own:
		k.bulk = "" // what the list put there
	case precedence != "" || post != "" && (leave == "" || k.bulk == ""):
		k.list = first(post, precedence)
	case leave != "":
		k.sales = leave
	}
	return k
}

// keyword is the first word of a structured field, in lower case: what stands
// before a parameter, a comment or white space.
func keyword(value string) string {
	value = strings.TrimLeft(value, " \t\"")
	for strings.HasPrefix(value, "(") {
		i := strings.IndexByte(value, ')')
		if i < 0 {
			return ""
		}
		value = strings.TrimLeft(value[i+1:], " \t")
	}
	if i := strings.IndexAny(value, ";( \t\",\r\n"); i >= 0 {
		value = value[:i]
	}
	return value
}

// yes says whether a field that is there to be there is not switched off.
func yes(value string) bool { return value != "no" && value != "false" && value != "0" }

// autoField are the fields of answering programs, whatever their value.
var autoField = wordSet(`x-autoreply x-auto-reply x-autorespond x-auto-respond x-autoresponder x-auto-responder x-autoreply-from x-auto-reply-from
	x-mail-autoreply x-autoreply-domain x-autorespond-subject x-vacation x-amazon-auto-reply x-kmail-autoreply x-exim-autoreply x-responder x-auto-response-id`)

// ownList says whether a mail came through a list that the settings call our
// own: by List-Id (RFC 2919), or by the address that it is posted to.
func ownList(m *Message, p KindPolicy) bool {
	if len(p.OwnLists) == 0 {
		return false
	}
	for _, f := range m.Header {
		switch strings.ToLower(f.Name) {
		case "list-id", "list-post", "x-beenthere", "mailing-list", "x-mailing-list":
			for _, word := range strings.FieldsFunc(strings.ToLower(f.Value), func(r rune) bool { return strings.ContainsRune(" \t<>,;()\"", r) }) {
				if containsFold(p.OwnLists, strings.TrimPrefix(word, "mailto:")) {
					return true
				}
			}
		}
	}
	return false
}

// NoReply says whether an address tells that nobody reads it.
func NoReply(addr string) bool {
	local, _, _ := strings.Cut(addr, "@")
	flat := strings.NewReplacer("-", "", "_", "", ".", "").Replace(local)
	for _, p := range noReplyLocals {
		if strings.HasPrefix(flat, p) || strings.HasSuffix(flat, p) {
			return true
		}
	}
	return false
}

// autoSubjectKind says how far a subject is that of an automatic answer.
type autoSubjectKind int

const (
	notAuto  autoSubjectKind = iota
	mayBe                    // begins with words of absence that a sentence may begin with
	absent                   // words of absence, then a colon or nothing
	automate                 // "Automatic reply", then a colon or nothing
)

// autoSubject reads the beginning of a subject. A reply to a vacation answer
// ("Re: Automatic reply: …") is a person's.
func autoSubject(s string) autoSubjectKind {
	s = strings.ToLower(strings.TrimLeft(strings.Join(strings.Fields(s), " "), "[<*!\"'"))
	if rest, ok := strings.CutPrefix(s, "auto:"); ok { // Lotus Notes
		if strings.Contains(rest, "out of the office") || strings.Contains(rest, "(returning ") {
			return automate
		}
	}
	for _, p := range automaticSubjects {
		if rest, ok := strings.CutPrefix(s, p); ok {
			if ends(rest) {
				return automate
			}
		}
	}
	kind := notAuto
	for _, p := range absentSubjects {
		if rest, ok := strings.CutPrefix(s, p); ok {
			if ends(rest) {
				return absent
			}
			if r := rest[0]; r == ' ' || r == ',' || r >= 0x80 {
				kind = mayBe
			}
		}
	}
	return kind
}

// ends says whether what follows a phrase in a subject is a border: a colon, a
// dash, a bracket, the subject that is answered, or nothing.
func ends(rest string) bool {
	rest = strings.TrimLeft(rest, " \u00a0]>*!\"'")
	if rest == "" || strings.HasPrefix(rest, "：") || strings.HasPrefix(rest, "–") || strings.HasPrefix(rest, "—") || strings.HasPrefix(rest, "【") {
		return true
	}
	switch rest[0] {
	case ':', '(', '[', '-', '|', '/':
		return true
	}
	word, _, ok := strings.Cut(rest, ":")
	return ok && replyPrefixes[word]
}

// vacation recognises an automatic answer that bears no mark. It needs the
// subject and one more sign: that the mail is an answer, or the words of an
// absent person. "Out of office printer paper" is neither.
func vacation(m *Message) (KindVerdict, bool) {
	kind := autoSubject(m.Subject)
	if kind == notAuto {
		return KindVerdict{}, false
	}
	text := ownWords(m)
	away, comes := containsAny(text, absentTexts), containsAny(text, returnTexts)
	asks := strings.ContainsAny(text, "?？")
	answers := len(m.InReplyTo) > 0 || len(m.References) > 0
	switch {
	case kind == automate && (answers || away || !asks):
	case kind == absent && (away || comes || answers && !asks):
	case kind == mayBe && away && comes && !asks:
	default:
		return KindVerdict{}, false
	}
	v := verdict(KindAutoReply, "vacation-subject", "Subject: "+clip(m.Subject, 100), true)
	if !answers {
		// It may be a person who writes about such an answer. Words are a weak
		// sign: they keep us from answering, not from listening.
		v.Opens, v.Tell = true, true
	}
	return v, true
}

// ownWords is the beginning of what the writer wrote, in lower case on one
// line.
func ownWords(m *Message) string {
	return strings.ToLower(strings.Join(strings.Fields(clip(OwnText(m.Body), 4000)), " "))
}

func containsAny(s string, list []string) bool {
	for _, p := range list {
		if strings.Contains(s, p) {
			return true
		}
	}
	return false
}
