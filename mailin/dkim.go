package mailin

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/emersion/go-msgauth/dkim"

	"deskd/triage"
)

// What looking into the signatures of one mail may cost. Whoever writes to the
// desk chooses which names are asked for, within the domain that the mail says
// it is from.
const (
	maxSignatures = 5               // of the author's domain that are looked into
	keyTime       = 2 * time.Second // one question to the name servers
	signatureTime = 5 * time.Second // all of one mail
	maxKeys       = 1000            // answers that are remembered
	maxSigned     = 200             // names in the list of signed fields: the library's work grows with their square
	maxBlank      = 10_000          // empty lines in a row: likewise
)

// How long an answer of the name servers is remembered. A server that does not
// answer is not asked again for every mail of a batch.
const (
	keepKey    = 5 * time.Minute
	keepAbsent = time.Minute
	keepSilent = 30 * time.Second
)

// Verifier looks into DKIM signatures (RFC 6376), for desks whose mail server
// does not. It asks the name servers for keys of the domain in From and for
// nothing else, and may be used by many goroutines.
type Verifier struct {
	// Lookup gives the TXT records of a name.
	Lookup func(ctx context.Context, name string) ([]string, error)

	mu   sync.Mutex
	keys map[string]answer
}

// answer is what the name servers said, and until when that is believed.
type answer struct {
	records []string
	err     error
	until   time.Time
}

// NewVerifier gives a Verifier that asks the machine's name servers.
func NewVerifier() *Verifier {
	r := &net.Resolver{PreferGo: true} // the other one does not end with the context
	return &Verifier{Lookup: func(ctx context.Context, name string) ([]string, error) {
		return r.LookupTXT(ctx, name+".") // absolute: no search list puts another domain behind it
	}}
}

// Verify fills m.DKIM with what becomes of the signatures in raw, whose Parse
// gave m. A signature that proves the author has the result "pass"; every other
// result says in "reason" why it proves nothing. What the world is to blame
// for, such as a name server that is silent, is "temperror" and no fault of the
// mail.
//
// It is stricter than the RFC wherever the leeway lets words into a mail that
// nobody signed: the domain must be that of From, the whole body and the subject
// must be signed, no field that a mail has once may stand there twice, and a key
// that is only on trial counts for nothing.
func (v *Verifier) Verify(ctx context.Context, raw []byte, m *triage.Message) {
	from := lowerASCII(m.From.Addr[strings.LastIndexByte(m.From.Addr, '@')+1:])
	if m.Oversize || !slices.ContainsFunc(m.Header, func(f triage.Field) bool { return strings.EqualFold(f.Name, signatureField) }) {
		return
	}
	note := func(result, domain, reason string) {
		m.DKIM = append(m.DKIM, triage.AuthResult{Method: "dkim", Result: result, Props: map[string]string{"header.d": domain, "reason": reason}})
	}
	if from == "" {
		note("neutral", "", "the mail names no single author")
		return
	}
	if bytes.IndexByte(raw, '\r') < 0 {
		raw = bytes.ReplaceAll(raw, []byte("\n"), []byte("\r\n")) // a mail as files hold it
	}
	fields, body, why := signable(raw)
	if why != "" {
		note("permerror", "", why)
		return
	}
	if bytes.Contains(body, bytes.Repeat([]byte("\r\n"), maxBlank)) {
		note("policy", "", "the body has too many empty lines to be looked into")
		return
	}
	ctx, cancel := context.WithTimeout(ctx, signatureTime)
	defer cancel()
	looked, others := 0, 0
	for i, f := range fields {
		if f.key != signatureField {
			continue
		}
		switch domain := lowerASCII(tag(string(f.value), "d")); {
		case domain != from:
			if others++; others <= maxSignatures {
				note("neutral", cleanLine(domain), "it is not of "+from)
			}
		case looked == maxSignatures:
			note("policy", from, "the mail has more signatures than are looked into")
			return
		case strings.Count(tag(string(f.value), "h"), ":") >= maxSigned:
			looked++
			note("policy", from, "it names more fields than are looked into")
		default:
			looked++
			result, reason := v.one(ctx, fields, i, body, from)
			note(result, from, reason)
			if result == "pass" {
				return
			}
		}
	}
}

const signatureField = "dkim-signature"

// one looks into the signature at an index. The library gets to see no other:
// it would look into several at once, where a panic could not be caught.
func (v *Verifier) one(ctx context.Context, fields []field, at int, body []byte, from string) (result, reason string) {
	var head bytes.Buffer
	for i, f := range fields {
		if i == at || f.key != signatureField {
			head.WriteString(f.name + ":")
			head.Write(f.value)
		}
	}
	head.WriteString("\r\n")
	var silent error
	testing := false
	r := &endingReader{ctx, io.MultiReader(&head, bytes.NewReader(body))}
	list, err := dkim.VerifyWithOptions(r, &dkim.VerifyOptions{MaxVerifications: 1, LookupTXT: func(name string) ([]string, error) {
		records, err := v.key(ctx, lowerASCII(name), from)
		var dns *net.DNSError
		if err != nil && !errors.Is(err, errForeignKey) && !(errors.As(err, &dns) && dns.IsNotFound) {
			silent = err
		}
		for _, r := range records {
			testing = testing || slices.Contains(strings.Split(tag(r, "t"), ":"), "y")
		}
		return records, err
	}})
	switch {
	case silent != nil:
		return "temperror", "the key of " + from + " could not be asked for: " + cleanLine(silent.Error())
	case err != nil:
		return "temperror", cleanLine(err.Error())
	case len(list) != 1:
		return "permerror", "the signature could not be found again"
	}
	s := list[0]
	open := unsigned(fields, s)
	switch {
	case s.Err != nil && dkim.IsPermFail(s.Err):
		return "permerror", cleanLine(strings.TrimPrefix(s.Err.Error(), "dkim: "))
	case s.Err != nil:
		return "fail", cleanLine(strings.TrimPrefix(s.Err.Error(), "dkim: "))
	case lowerASCII(s.Domain) != from:
		return "neutral", "it is not of " + from
	case testing: // RFC 6376, section 3.6.1: treat as unsigned
		return "policy", "the key of " + from + " is on trial (t=y)"
	case !strings.HasSuffix(lowerASCII(s.Identifier), "@"+from):
		return "policy", "it speaks for a part of " + from + " only"
	case open != "":
		return "policy", "it leaves the field " + open + " out"
	}
	return "pass", "the DKIM signature of " + from + " verifies"
}

// unsigned names a field of the mail that must be signed and is not: what it
// is about, to whom it was written and which mail it answers. Else somebody
// could hand it on to the desk as a mail to it, about another ticket.
func unsigned(fields []field, s *dkim.Verification) string {
	for _, name := range []string{"Subject", "To", "Cc", "In-Reply-To", "References"} {
		there := slices.ContainsFunc(fields, func(f field) bool { return f.key == lowerASCII(name) })
		if there && !slices.ContainsFunc(s.HeaderKeys, func(k string) bool { return strings.EqualFold(k, name) }) {
			return name
		}
	}
	return ""
}

var errForeignKey = errors.New("the key would be another domain's")

// key asks for a key of the domain, or remembers the answer.
func (v *Verifier) key(ctx context.Context, name, domain string) ([]string, error) {
	selector, ok := strings.CutSuffix(name, "._domainkey."+domain)
	if !ok || len(name) > 253 || selector == "" || strings.Trim(selector, "abcdefghijklmnopqrstuvwxyz0123456789-_.") != "" {
		return nil, errForeignKey
	}
	v.mu.Lock()
	a, known := v.keys[name]
	v.mu.Unlock()
	if known && time.Now().Before(a.until) {
		return a.records, a.err
	}
	asking, cancel := context.WithTimeout(ctx, keyTime)
	defer cancel()
	a.records, a.err = v.Lookup(asking, name)
	keep := keepKey
	var dns *net.DNSError
	switch {
	case ctx.Err() != nil:
		return a.records, a.err // our own haste says nothing about the name
	case errors.As(a.err, &dns) && dns.IsNotFound:
		keep = keepAbsent
	case a.err != nil:
		keep = keepSilent
	}
	a.until = time.Now().Add(keep)
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.keys == nil || len(v.keys) >= maxKeys {
		v.keys = map[string]answer{}
	}
	v.keys[name] = a
	return a.records, a.err
}

// endingReader ends with its context.
type endingReader struct {
	ctx context.Context
	r   io.Reader
}

func (r *endingReader) Read(b []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.r.Read(b)
}

// once are the fields that a mail has once (RFC 5322, section 3.6; RFC 2045).
// Of two, the reader of a mail takes the first and its signature the last.
var once = []string{
	"from", "sender", "reply-to", "to", "cc", "date", "message-id", "in-reply-to", "references", "subject",
	"mime-version", "content-type", "content-transfer-encoding",
}

// signable cuts a mail into header fields as they were signed, folds and all,
// and body. It takes only a header that cannot be read in two ways; why says
// what else is there. What mendHeader repairs would be one mail to us and
// another one to the signature.
func signable(raw []byte) (fields []field, body []byte, why string) {
	seen := map[string]bool{}
	for {
		line, rest, ok := bytes.Cut(raw, []byte("\r\n"))
		if !ok {
			return nil, nil, "the header does not end"
		}
		raw = rest
		if len(line) == 0 {
			return fields, raw, ""
		}
		if bytes.ContainsAny(line, "\r\n\x00") {
			return nil, nil, "a line of the header ends in a way of its own"
		}
		if line[0] == ' ' || line[0] == '\t' {
			if len(fields) == 0 || len(bytes.TrimSpace(line)) == 0 {
				return nil, nil, "a line of the header continues nothing"
			}
			f := &fields[len(fields)-1]
			f.value = append(append(f.value, line...), '\r', '\n')
			continue
		}
		n := bytes.IndexByte(line, ':')
		if n <= 0 || n > maxFieldName || bytes.ContainsFunc(line[:n], func(r rune) bool { return r <= ' ' || r >= 0x7F }) {
			return nil, nil, "a line of the header is no field"
		}
		f := field{name: string(line[:n]), key: lowerASCII(string(line[:n]))}
		f.value = append(append([]byte(nil), line[n+1:]...), '\r', '\n')
		if slices.Contains(once, f.key) {
			if seen[f.key] {
				return nil, nil, "the mail has two fields " + f.name
			}
			seen[f.key] = true
		}
		fields = append(fields, f)
	}
}

// tag gives a value out of a list of tags (RFC 6376, section 3.2), without its
// white space.
func tag(list, name string) string {
	for part := range strings.SplitSeq(list, ";") {
		key, value, ok := strings.Cut(part, "=")
		if ok && strings.TrimSpace(key) == name {
			return strings.Join(strings.Fields(value), "")
		}
	}
	return ""
}
