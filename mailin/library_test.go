package mailin

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/emersion/go-message"
	"github.com/emersion/go-message/mail"
)

// Addresses, ids and parameters are read by our own code, since go-message
// gives up a whole field for what is broken in it, and says nothing of the
// names that it drops. Where it gives an answer, ours has to be the same.
func TestOurReadersAgreeWithGoMessage(t *testing.T) {
	t.Parallel()
	t.Run("own mails", func(t *testing.T) {
		checkLibrary(t, append(ownMails(),
			mailOf(`From: "Doe, Joe" <joe@Example.ORG> (at home)`, "To: team: a@example.net, (b) c@[192.0.2.1]; , d@example.net", `Cc: "odd local"@example.org, e@example.net`,
				"References: <a@example.org>", "	(again) <b@[192.0.2.1]> <c.d@example.org>", `Content-Type: text/plain; charset="utf-8"; name*0="a; "; name*1="b"; format=flowed`, "", "x")))
	})
	t.Run("corpus", func(t *testing.T) {
		var mails [][]byte
		for _, s := range corpus(t) {
			mails = append(mails, s.raw)
		}
		checkLibrary(t, mails)
	})
}

func checkLibrary(t *testing.T, mails [][]byte) {
	t.Helper()
	var walk func(p *part)
	walk = func(p *part) {
		for _, f := range p.header {
			checkField(t, f)
		}
		for _, c := range p.children {
			walk(c)
		}
		if p.enclosed != nil {
			walk(p.enclosed)
		}
	}
	for _, raw := range mails {
		w := &walker{limits: Limits{}.withDefaults()}
		walk(w.message(raw, "0", 0))
	}
}

func checkField(t *testing.T, f field) {
	t.Helper()
	var h mail.Header
	h.Set(f.name, string(f.value))
	switch f.key {
	case "from", "sender", "reply-to", "to", "cc":
		list, err := h.AddressList(f.name)
		if err != nil {
			return
		}
		var got, want []string
		for _, a := range list {
			// String puts the quotes back that a local part may need.
			quoted := (&mail.Address{Address: a.Address}).String()
			if spec, ok := cleanSpec([]byte(strings.Trim(quoted, "<>"))); ok {
				want = append(want, spec)
			}
		}
		for _, a := range (header{f}).addresses(f.key) {
			got = append(got, a.Addr)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %s: %q, by go-message %q", f.name, f.value, got, want)
		}
	case "message-id", "in-reply-to", "references":
		want, err := h.MsgIDList(f.name)
		if got := references(f.value); err == nil && !slices.Equal(got, want) {
			t.Errorf("%s: %s: %q, by go-message %q", f.name, f.value, got, want)
		}
	case "content-type", "content-disposition":
		var h message.Header
		h.Set("Content-Type", string(f.value))
		want, params, err := h.ContentType()
		if err != nil || len(f.value) == 0 || !utf8.Valid(f.value) || bytes.IndexByte(f.value, '\\') >= 0 {
			return // it leaves bytes as they are, and the backslashes of a Windows path
		}
		got, own := parseParams(f.value)
		if got != want {
			t.Errorf("%s: %s: %q, by go-message %q", f.name, f.value, got, want)
		}
		for k, v := range params {
			if own[k] != v {
				t.Errorf("%s: %s: %s is %q, by go-message %q", f.name, f.value, k, own[k], v)
			}
		}
	}
}
