package mailin

import (
	"bytes"
	"strings"
	"testing"
	"unicode/utf8"

	"deskd/triage"
)

// checkMessage holds what is promised of every message, whatever came in.
func checkMessage(t *testing.T, m triage.Message) {
	t.Helper()
	clean := func(what, s string) {
		if !utf8.ValidString(s) || strings.ContainsRune(s, 0) {
			t.Errorf("%s is not clean: %q", what, s)
		}
	}
	line := func(what, s string) {
		clean(what, s)
		if strings.ContainsAny(s, "\r\n\x1b") {
			t.Errorf("%s has more than one line: %q", what, s)
		}
	}
	shown := func(what, s string) {
		line(what, s)
		if strings.ContainsFunc(s, hidden) {
			t.Errorf("%s holds what nobody sees: %q", what, s)
		}
	}
	shown("subject", m.Subject)
	line("message id", m.MessageID)
	for _, a := range append([]triage.Address{m.From, m.Shown, m.Sender}, append(append(m.To, m.Cc...), m.ReplyTo...)...) {
		shown("name", a.Name)
		line("address", a.Addr)
	}
	if (m.From.Addr == "") != (m.FromFault != "") {
		t.Errorf("from %q with fault %q", m.From.Addr, m.FromFault)
	}
	for _, id := range append(append([]string{}, m.References...), m.InReplyTo...) {
		line("reference", id)
		if strings.ContainsAny(id, "<> \t") {
			t.Errorf("reference %q", id)
		}
	}
	for _, f := range m.Header {
		line("field name", f.Name)
		line("field", f.Value)
	}
	for _, b := range m.Body {
		clean("text", b.Text)
	}
	clean("other text", m.OtherText)
	seen := map[string]bool{}
	for _, a := range m.Attachments {
		line("attachment name", a.Name)
		line("attachment note", a.Note)
		if len(a.Name) > maxName || strings.ContainsAny(a.Name, `/\`) || seen[a.Part] || a.Part == "" || len(a.SHA256) != 64 || a.Type == "" {
			t.Errorf("attachment %+v", a)
		}
		seen[a.Part] = true
	}
	for _, r := range []*triage.Report{m.Report, m.Enclosed} {
		if r != nil {
			for _, x := range r.Recipients {
				line("recipient", x.Address)
				line("status", x.Status)
			}
		}
	}
	for _, f := range m.Faults {
		line("fault", f)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("From: a@b\r\nSubject: x\r\n\r\ntext"))
	f.Add([]byte("Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\nContent-Type: message/rfc822\r\n\r\nFrom: a@b\r\n\r\ny\r\n--x--"))
	f.Add([]byte("Content-Type: multipart/alternative; boundary=\"x\"\n\n--x\n\nplain\n--x\nContent-Type: text/html\n\n<p>rich</p>\n--x--"))
	f.Add([]byte("\n\nFrom \x00\xff\n:\n"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		limits := Limits{Depth: 6, Parts: 20, Text: 4096}
		before := append([]byte(nil), raw...)
		m := Parse(raw, limits)
		if !bytes.Equal(before, raw) {
			t.Fatal("Parse wrote into the raw mail")
		}
		checkMessage(t, m)
		if n := len(m.Text()); n > 4096+2*len(m.Body) {
			t.Errorf("%d bytes of text", n)
		}
		for _, a := range m.Attachments {
			data, again, err := Attachment(raw, limits, a.Part)
			if err != nil || again != a || a.Note == "" && int64(len(data)) != a.Size {
				t.Errorf("attachment %+v: %d bytes, %+v, %v", a, len(data), again, err)
			}
		}
	})
}

func FuzzHeader(f *testing.F) {
	f.Add([]byte("Subject: =?utf-8?q?a?= =?utf-8?b?YQ==?=\r\n folded\r\n\r\n"))
	f.Add([]byte("Content-Type: a/b; c*0*=utf-8''%41; c*1=\"x\\\"y\"; d=(e)"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		limits := Limits{}.withDefaults()
		block, body, cut := mendHeader(raw, limits)
		h, err := readHeader(block)
		if err != nil || len(h) != bytes.Count(block, []byte("\n"))-bytes.Count(block, []byte("\n "))-bytes.Count(block, []byte("\n\t")) {
			t.Errorf("%d fields, %v of the mended header %q (%+v)", len(h), err, block, cut)
		}
		if len(body) > 0 && !bytes.HasSuffix(raw, body) {
			t.Error("the body is not the end of the mail")
		}
		for _, x := range h {
			if bytes.ContainsAny(x.value, "\n") || x.key == "" || strings.ContainsAny(x.key, " \t\n") {
				t.Errorf("field %q: %q", x.key, x.value)
			}
			if s := h.decode(x.value); !utf8.ValidString(s) {
				t.Errorf("%q", s)
			}
			_, params := parseParams(x.value)
			for k, v := range params {
				if strings.ContainsAny(v, "\r\n\x00") || !utf8.ValidString(v) {
					t.Errorf("parameter %q: %q", k, v)
				}
			}
		}
	})
}

func FuzzAddress(f *testing.F) {
	for _, s := range []string{"a@b", "\"x\" <a@b>, g: c@d;", "(c) a @ b (d", "<<a@b>>", "\"\\\"", "a b <@r:c@d>"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		list, _ := parseEntries([]byte(s))
		for _, e := range list {
			if e.addr == "" {
				continue
			}
			again, ok := cleanSpec([]byte(e.addr))
			if !ok || again != e.addr {
				t.Errorf("%q does not read back: %q, %v", e.addr, again, ok)
			}
		}
		from, fault, _ := header{{name: "From", key: "from", value: []byte(s)}}.author()
		if (from.Addr == "") != (fault != "") {
			t.Errorf("%q, %q", from.Addr, fault)
		}
	})
}

func FuzzTransfer(f *testing.F) {
	f.Add(true, []byte("YQ==\r\nYg==\r\n"))
	f.Add(true, []byte("YWJj\nYWJ"))
	f.Add(true, []byte("YW Jj\r\n-- \r\nfooter"))
	f.Add(true, append(bytes.Repeat([]byte("YWJj"), 400), "YQ==YWJj\r\nYW=="...))
	f.Add(false, []byte("a=3D=\r\nb \t\r\n\x01= \r\nc=4"))
	f.Add(false, append(bytes.Repeat([]byte("a=3D"), 3000), "\r\r\n=\nb"...))
	f.Fuzz(func(t *testing.T, base64 bool, body []byte) {
		var got, want []byte
		encoding, own := "quoted-printable", decodeQP
		if base64 {
			encoding, own = "base64", decodeBase64
		}
		before := bytes.Clone(body)
		decodeTransfer(encoding, body, func(b []byte) bool { got = append(got, b...); return true })
		own(body, func(b []byte) bool { want = append(want, b...); return true })
		if !bytes.Equal(got, want) {
			t.Errorf("%s %q: %q, by our own decoder %q", encoding, body, got, want)
		}
		if !bytes.Equal(before, body) {
			t.Error("the body was written to")
		}
		n := 0
		decodeTransfer(encoding, body, func(b []byte) bool { n++; return false })
		if n > 1 {
			t.Errorf("%s %q: %d pieces for one who wants none", encoding, body, n)
		}
	})
}

func FuzzAuthResults(f *testing.F) {
	f.Add("mx.example.org; dmarc=pass (p=none) header.from=example.com; spf=fail smtp.mailfrom=\"a b\"")
	f.Add("a 1; none")
	f.Add("de\u017F\u212A.example\a; dmarc=pass")
	f.Fuzz(func(t *testing.T, s string) {
		r := parseAuthResults([]byte(s), 0)
		if r.Server != lowerASCII(r.Server) || !r.Broken && !isASCII([]byte(r.Server)) {
			t.Errorf("%q", r.Server)
		}
		for _, x := range r.Results {
			if x.Method == "" || x.Result == "" || methodName(x.Method) != x.Method || methodName(x.Result) != x.Result {
				t.Errorf("%+v", x)
			}
		}
		parseReceived([]byte(s), 0)
	})
}

func FuzzCharset(f *testing.F) {
	f.Add("utf-8", []byte("\xc3\xbc"))
	f.Add("iso-2022-jp", []byte("\x1b$B%F"))
	f.Add("utf-7", []byte("+ADw-"))
	f.Add("utf-16", []byte{0xff, 0xfe, 0})
	f.Fuzz(func(t *testing.T, label string, b []byte) {
		s, _ := decodeText(label, b)
		s = cleanText(s)
		if !utf8.ValidString(s) || strings.ContainsAny(s, "\x00\r\x1b") {
			t.Errorf("%q", s)
		}
		if again := cleanText(s); again != s {
			t.Errorf("cleaning twice changes %q to %q", s, again)
		}
	})
}

func FuzzFileName(f *testing.F) {
	for _, s := range []string{"../../x", "CON.txt", "a\u202eb", "..%2Fx", "a.b:c", "CON." + strings.Repeat("a", 200) + ".pdf", strings.Repeat("ü", 100) + ".pdf", ". .a"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := cleanName(s)
		if len(got) > maxName || strings.ContainsAny(got, "/\\\x00\r\n") || strings.LastIndexByte(got, ':') > 1 || strings.HasPrefix(got, ".") || !utf8.ValidString(got) {
			t.Errorf("%q", got)
		}
		base, _, _ := strings.Cut(got, ".")
		if reservedName(base) {
			t.Errorf("%q is a device", got)
		}
	})
}

func FuzzBounce(f *testing.F) {
	f.Add("Subject: failure notice", "<a@b.example>:\nuser unknown (#5.1.1)\n\n--- Below this line is a copy of the message.\n\nMessage-ID: <a@b>\n")
	f.Add("Content-Type: multipart/report; boundary=x", "--x\nContent-Type: message/delivery-status\n\nFinal-Recipient: rfc822; a@b\nStatus: 5.1.1\n--x--")
	f.Add("X-Failed-Recipients: a@b, c@d", "x")
	f.Fuzz(func(t *testing.T, head, text string) {
		m := Parse([]byte(daemon+head+"\r\n\r\n"+text), Limits{})
		checkMessage(t, m)
		if m.Report == nil {
			return
		}
		if len(m.Report.Recipients) > maxReported {
			t.Errorf("%d recipients", len(m.Report.Recipients))
		}
		for _, r := range m.Report.Recipients {
			if r.Status != "" && (len(r.Status) < 5 || r.Status[1] != '.') {
				t.Errorf("status %q", r.Status)
			}
		}
	})
}

func FuzzHTML(f *testing.F) {
	f.Add("<p>a<div class=gmail_quote>b</div>c")
	f.Add("<table><tr><td>a<td style=display:none>b<pre> c\n d")
	f.Add("<blockquote type=cite><ul><li>a<li>b</ul><a href=http://x>y</a><!-- z")
	f.Fuzz(func(t *testing.T, s string) {
		blocks, _ := htmlBlocks(s, maxTrees)
		for _, b := range blocks {
			if b.Text == "" || stripMarks.Replace(b.Text) != b.Text {
				t.Errorf("block %q", b.Text)
			}
		}
		text, _ := htmlTags(s)
		splitMarks(text)
	})
}
