package demomail

import (
	"bytes"
	"io"
	"mime"
	"strings"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapserver"
	gomessage "github.com/emersion/go-message"
	"github.com/emersion/go-message/mail"
)

// candidate is a mail that is searched, as it was when the search began. Its
// flags are not changed: a change makes a new set.
type candidate struct {
	seq   uint32 // 0 for one that the client has not been told of
	m     *message
	flags map[string]imap.Flag
}

// Search finds mails. A search for UIDs also finds those that the client has
// not been told of: it hears of them before the command is over. Mail goes on
// coming in while texts are searched.
func (c *session) Search(kind imapserver.NumKind, criteria *imap.SearchCriteria, options *imap.SearchOptions) (*imap.SearchData, error) {
	unlock := c.lock()
	var all []candidate
	for i, t := range c.view {
		if !t.m.gone {
			all = append(all, candidate{uint32(i) + 1, t.m, t.m.flags})
		}
	}
	if kind == imapserver.NumKindUID {
		for _, m := range c.box.since(c.top) {
			all = append(all, candidate{0, m, m.flags})
		}
	}
	matches := c.compile(criteria)
	unlock()

	var (
		data imap.SearchData
		seqs imap.SeqSet
		uids imap.UIDSet
	)
	for _, h := range all {
		if !matches(h) {
			continue
		}
		n := h.seq
		if kind == imapserver.NumKindUID {
			n = uint32(h.m.uid)
		} else {
			seqs.AddNum(n)
		}
		uids.AddNum(h.m.uid)
		if data.Count == 0 {
			data.Min = n
		}
		data.Max = n // both numbers rise along the folder
		data.Count++
	}
	data.All = seqs
	if kind == imapserver.NumKindUID {
		data.All = uids
	}
	if options.ReturnSave {
		defer c.lock()()
		c.found = uids
	}
	return &data, nil
}

// compile turns criteria into a function, which needs no lock. The server's lock
// is held.
func (c *session) compile(criteria *imap.SearchCriteria) func(candidate) bool {
	var all []func(candidate) bool
	add := func(f func(candidate) bool) { all = append(all, f) }
	for _, set := range criteria.SeqNum {
		r := c.ranges(set)
		add(func(h candidate) bool { return r.contain(h.seq) })
	}
	for _, set := range criteria.UID {
		r := c.ranges(set)
		add(func(h candidate) bool { return r.contain(uint32(h.m.uid)) })
	}
	for _, f := range criteria.Flag {
		add(func(h candidate) bool { return h.has(f) })
	}
	for _, f := range criteria.NotFlag {
		add(func(h candidate) bool { return !h.has(f) })
	}
	if n := criteria.Larger; n != 0 {
		add(func(h candidate) bool { return int64(len(h.m.raw)) > n })
	}
	if n := criteria.Smaller; n != 0 {
		add(func(h candidate) bool { return int64(len(h.m.raw)) < n })
	}
	if since, before := criteria.Since, criteria.Before; !since.IsZero() || !before.IsZero() {
		add(func(h candidate) bool { return onDays(h.m.arrived, since, before) })
	}
	if since, before := criteria.SentSince, criteria.SentBefore; !since.IsZero() || !before.IsZero() {
		add(func(h candidate) bool {
			fields, _ := readHeader(h.m.raw)
			sent, err := (&mail.Header{Header: gomessage.Header{Header: fields}}).Date()
			return err == nil && !sent.IsZero() && onDays(sent, since, before)
		})
	}
	for _, f := range criteria.Header {
		add(func(h candidate) bool { return headerHas(h.m.raw, f.Key, f.Value) })
	}
	for _, text := range criteria.Body {
		add(func(h candidate) bool { return bodyHas(h.m.raw, text) })
	}
	for _, text := range criteria.Text {
		add(func(h candidate) bool { return headerHas(h.m.raw, "", text) || bodyHas(h.m.raw, text) })
	}
	for i := range criteria.Not {
		f := c.compile(&criteria.Not[i])
		add(func(h candidate) bool { return !f(h) })
	}
	for i := range criteria.Or {
		f, g := c.compile(&criteria.Or[i][0]), c.compile(&criteria.Or[i][1])
		add(func(h candidate) bool { return f(h) || g(h) })
	}
	return func(h candidate) bool {
		for _, f := range all {
			if !f(h) {
				return false
			}
		}
		return true
	}
}

func (h candidate) has(f imap.Flag) bool {
	_, ok := h.flags[strings.ToLower(string(f))]
	return ok
}

// onDays compares days as they are written, without regard to the zone (RFC
// 3501, section 6.4.4).
func onDays(t, since, before time.Time) bool {
	day := time.Date(t.Year(), t.Month(), t.Day(), 0, 0, 0, 0, time.UTC)
	return (since.IsZero() || !day.Before(since)) && (before.IsZero() || day.Before(before))
}

// headerHas looks for text in the fields of a name, in all fields when name is
// empty. The empty text is in every field.
func headerHas(raw []byte, name, text string) bool {
	header, _ := splitMail(raw)
	var decoder mime.WordDecoder
	for len(header) > 0 && len(bytes.TrimRight(header[:min(2, len(header))], "\r\n")) > 0 {
		field := nextField(header)
		header = header[len(field):]
		key, value, ok := bytes.Cut(field, []byte(":"))
		if name != "" && (!ok || !strings.EqualFold(string(bytes.TrimSpace(key)), name)) {
			continue
		}
		if name == "" {
			value = field
		}
		unfolded := strings.ReplaceAll(string(value), "\r\n", "")
		if decoded, err := decoder.DecodeHeader(unfolded); err == nil {
			unfolded = decoded
		}
		if contains(unfolded, text) {
			return true
		}
	}
	return false
}

// bodyHas looks for text in the bytes of the body and in the text parts of the
// mail, decoded.
func bodyHas(raw []byte, text string) bool {
	if _, body := splitMail(raw); contains(string(body), text) {
		return true
	}
	entity, err := gomessage.Read(bytes.NewReader(raw))
	if entity == nil || err != nil && !gomessage.IsUnknownCharset(err) && !gomessage.IsUnknownEncoding(err) {
		return false
	}
	return partHas(entity, text, 0)
}

func partHas(e *gomessage.Entity, text string, depth int) bool {
	if depth > maxDepth {
		return false
	}
	if parts := e.MultipartReader(); parts != nil {
		for range 1000 {
			part, err := parts.NextPart()
			if part == nil || err != nil && !gomessage.IsUnknownCharset(err) && !gomessage.IsUnknownEncoding(err) {
				return false
			}
			if partHas(part, text, depth+1) {
				return true
			}
		}
		return false
	}
	if t, _, _ := e.Header.ContentType(); t != "" && !strings.HasPrefix(t, "text/") {
		return false
	}
	body, _ := io.ReadAll(e.Body) // of a truncated part: what there is
	return contains(string(body), text)
}

func contains(s, sub string) bool {
	return strings.Contains(strings.ToLower(s), strings.ToLower(sub))
}
