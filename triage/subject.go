package triage

import (
	"strings"
	"unicode"

	"deskd/triage/ticket"
)

// Prefixes that mail programs put before the subject of an answer, in lower
// case without the colon. Collected from the translations of common mail
// programs; RFC 5322, section 3.6.5 knows only "Re".
var replyPrefixes = wordSet("re aw antw antwort sv vs vá rv res ref odp rif r bls tr na ynt ad ats yanıt απ σχετ hb اری " +
	"回复 回覆 答复 答覆 回信 返信 답장 회신 ตอบ отв ответ відп відповідь re: risposta réf réponse rép odpověď odg ga")

// Likewise for forwarded mail.
var forwardPrefixes = wordSet("fw fwd wg wtr weiterg vl vb tr enc rv rvs i fs ilt pd doorst doorgestuurd vidarebefordrat videresendt " +
	"переслано пересл пер 转发 轉寄 轉發 転送 전달 ส่งต่อ πρθ továbbítás továbbított inoltra")

func wordSet(words string) map[string]bool {
	set := map[string]bool{}
	for _, w := range strings.Fields(words) {
		set[w] = true
	}
	return set
}

// SubjectParts is a subject taken apart.
type SubjectParts struct {
	Bare    string          // without prefixes and tags of ours, as a ticket keeps it
	Numbers []ticket.Number // of our tags, in the order written, each once
	Reply   bool            // an answer's prefix stood before it
	Forward bool            // the first prefix was a forward's

	Commands []string // out of "[status=resolved]" at its end, as "status: resolved"
}

// Subject takes a decoded subject apart. Tags of other systems and of other
// prefixes stay where they are: they are not ours.
func (r *Rules) Subject(s string) SubjectParts {
	return splitSubject(s, r.prefixes)
}

func splitSubject(s string, prefixes []string) SubjectParts {
	var p SubjectParts
	rest := strings.Join(strings.Fields(s), " ")
	// Tags may stand before, between and behind the prefixes, so first they are
	// taken out wherever they are; then prefixes are taken off the front.
	var b strings.Builder
	for rest != "" {
		i := strings.IndexByte(rest, '[')
		if i < 0 {
			break
		}
		n, size := ownTag(rest[i:], prefixes)
		if size == 0 {
			b.WriteString(rest[:i+1])
			rest = rest[i+1:]
			continue
		}
		b.WriteString(rest[:i])
		known := false
		for _, have := range p.Numbers {
			known = known || have == n
		}
		if !known && len(p.Numbers) < 10 {
			p.Numbers = append(p.Numbers, n)
		}
		rest = rest[i+size:]
	}
	b.WriteString(rest)
	rest = strings.Join(strings.Fields(b.String()), " ")
	first := true
	for {
		word, after, ok := prefixOf(rest)
		if !ok {
			break
		}
		forward := forwardPrefixes[word] && !replyPrefixes[word]
		if first && forward {
			p.Forward = true
		}
		if !forward {
			p.Reply = true
		}
		first = false
		rest = after
	}
	p.Bare, p.Commands = cutCommands(rest)
	return p
}

// cutCommands takes "[status=resolved]" and the like off the end of a subject.
// They are taken off the subject of a new ticket too, so that nobody answers
// with what a requester wrote there.
func cutCommands(s string) (rest string, commands []string) {
	for len(commands) < 2*maxCommands && strings.HasSuffix(s, "]") {
		i := strings.LastIndexByte(s, '[')
		if i < 0 {
			break
		}
		key, value, ok := strings.Cut(s[i+1:len(s)-1], "=")
		key = lowerASCII(strings.TrimSpace(key))
		if !ok || keys[key] == "" || len(value) > 200 {
			break
		}
		commands = append([]string{key + ": " + strings.TrimSpace(value)}, commands...)
		s = strings.TrimSpace(s[:i])
	}
	return s, commands
}

// prefixOf reads one prefix such as "Re:", "AW :", "Re[2]:", "RE(3):" or "回复：".
func prefixOf(s string) (word, rest string, ok bool) {
	i := strings.IndexAny(s, ":：")
	if i <= 0 || i > 40 {
		return "", "", false
	}
	w := strings.TrimSpace(s[:i])
	if j := strings.IndexAny(w, "[("); j > 0 {
		count := strings.Trim(w[j:], "[]()")
		if strings.TrimFunc(count, unicode.IsDigit) != "" {
			return "", "", false
		}
		w = strings.TrimSpace(w[:j])
	}
	w = strings.ToLower(w)
	if !replyPrefixes[w] && !forwardPrefixes[w] {
		return "", "", false
	}
	after := s[i:]
	after = strings.TrimPrefix(strings.TrimPrefix(after, ":"), "：")
	return w, strings.TrimSpace(after), true
}

// maxDigits bounds the search for the end of a tag: a subject may be long, and
// hold many beginnings of tags (T28).
const maxDigits = 20

// ownTag reads "[IT-1042]" at the start of s and gives its length in bytes, or
// 0. Only ASCII is matched, so that no look-alike passes for our tag (T33).
func ownTag(s string, prefixes []string) (ticket.Number, int) {
	for _, p := range prefixes {
		head := len("[") + len(p) + len("-")
		if len(s) <= head || !strings.EqualFold(s[1:1+len(p)], p) || s[1+len(p)] != '-' || !ascii(s[:head]) {
			continue
		}
		end := strings.IndexByte(s[head:min(len(s), head+maxDigits)], ']')
		if end < 0 {
			continue
		}
		n, err := ticket.ParseNumber(s[head : head+end])
		if err != nil {
			continue
		}
		return n, head + end + 1
	}
	return 0, 0
}

func ascii(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

// Tag is the subject tag of a ticket, "[IT-1042]".
func (r *Rules) Tag(n ticket.Number) string { return "[" + r.p.Prefix + "-" + n.String() + "]" }
