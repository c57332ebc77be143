package mailin

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"deskd/triage"
)

// mailOf writes a mail from lines, with the line ends that servers hand out.
func mailOf(lines ...string) []byte { return []byte(strings.Join(lines, "\r\n")) }

func parse(lines ...string) triage.Message { return Parse(mailOf(lines...), Limits{}) }

func names(m triage.Message) []string {
	var out []string
	for _, a := range m.Attachments {
		out = append(out, a.Name)
	}
	return out
}

func hasFault(m triage.Message, part string) bool {
	for _, f := range m.Faults {
		if strings.Contains(f, part) {
			return true
		}
	}
	return false
}

func TestParseReadsAnOrdinaryMail(t *testing.T) {
	t.Parallel()
	m := parse(
		"Return-Path: <ann@example.org>",
		"Delivered-To: support@desk.example",
		"Received: from mail.example.org (mail.example.org [192.0.2.7]) by mx.desk.example with ESMTPS id 1; Mon, 2 Nov 2026 09:00:01 +0100",
		"From: =?utf-8?q?Ann_M=C3=BCller?= <ann@Example.ORG>",
		"To: Support <support@desk.example>, \"Doe, Joe\" <joe@example.net>",
		"Cc: team: a@example.net, b@example.net;",
		"Subject: =?iso-8859-1?q?Dr=FCcker?=",
		" =?iso-8859-1?q?_defekt?=",
		"Date: Mon, 2 Nov 2026 09:00:00 +0100",
		"Message-ID: <one@example.org>",
		"In-Reply-To: <zero@example.org>",
		"References: <first@example.org> <broken",
		" <zero@example.org>",
		"MIME-Version: 1.0",
		"Content-Type: multipart/mixed; boundary=b1",
		"",
		"--b1",
		"Content-Type: text/plain; charset=utf-8",
		"Content-Transfer-Encoding: quoted-printable",
		"",
		"Der Drucker gibt =C3=BCberhaupt nichts =",
		"mehr aus.",
		"--b1",
		"Content-Type: image/png; name=a.png",
		"Content-Disposition: inline; filename=\"a.png\"",
		"Content-ID: <pic@example.org>",
		"Content-Transfer-Encoding: base64",
		"",
		base64.StdEncoding.EncodeToString([]byte("picture")),
		"--b1--",
		"")
	sum := sha256.Sum256([]byte("picture"))
	rp := "ann@example.org"
	want := triage.Message{
		MessageID: "one@example.org", InReplyTo: []string{"zero@example.org"}, References: []string{"first@example.org", "zero@example.org"},
		Subject: "Drücker defekt", From: triage.Address{Name: "Ann Müller", Addr: "ann@example.org"}, Shown: triage.Address{Name: "Ann Müller", Addr: "ann@example.org"},
		To:         []triage.Address{{Name: "Support", Addr: "support@desk.example"}, {Name: "Doe, Joe", Addr: "joe@example.net"}},
		Cc:         []triage.Address{{Addr: "a@example.net"}, {Addr: "b@example.net"}},
		Recipients: []string{"support@desk.example"}, ReturnPath: &rp,
		Date:        time.Date(2026, 11, 2, 8, 0, 0, 0, time.UTC),
		Body:        []triage.Block{{Text: "Der Drucker gibt überhaupt nichts mehr aus."}},
		Attachments: []triage.Attachment{{Part: "2", Name: "a.png", Type: "image/png", Size: 7, SHA256: hex.EncodeToString(sum[:]), ContentID: "pic@example.org", Inline: true}},
		Received:    []triage.Received{{By: "mx.desk.example", From: "mail.example.org", With: "ESMTPS", Pos: 2}},
	}
	got := m
	if len(got.Header) != 13 || got.Header[6].Name != "Subject" || got.Header[6].Value != "Drücker defekt" {
		t.Errorf("header: %+v", got.Header)
	}
	if !got.Date.Equal(want.Date) {
		t.Errorf("date %v, want %v", got.Date, want.Date)
	}
	if got.Ambiguous || got.Oversize || got.Unreadable || len(got.Faults) > 0 {
		t.Errorf("an ordinary mail has faults: %v", got.Faults)
	}
	got.Header, got.Date, want.Date, got.Size, got.SHA256, got.ContentKey = nil, time.Time{}, time.Time{}, 0, [32]byte{}, [32]byte{}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("want -, got +\n%s", d)
	}
}

func TestParseRepairsBrokenHeaders(t *testing.T) {
	t.Parallel()
	const rest = "From: ann@example.org\nSubject: hello\nMessage-ID: <a@b>\n\nthe text\n"
	for name, raw := range map[string]string{
		"as it should be":         strings.ReplaceAll(rest, "\n", "\r\n"),
		"bare LF":                 rest,
		"bare CR":                 strings.ReplaceAll(rest, "\n", "\r"),
		"CRCRLF":                  strings.ReplaceAll(rest, "\n", "\r\r\n"),
		"mbox line":               "From ann@example.org Mon Nov  2 09:00:00 2026\n" + rest,
		"quoted mbox line":        ">From ann@example.org Mon Nov  2 09:00:00 2026\n" + rest,
		"empty lines first":       "\r\n\r\n" + rest,
		"byte order mark":         "\xEF\xBB\xBF" + rest,
		"line without a colon":    "Received: from a by b\nthis is no field\n" + rest,
		"key that is not ASCII":   "X-Gr\xfc\xdfe: hallo\n" + rest,
		"space before the colon":  strings.Replace(rest, "Subject:", "Subject :", 1),
		"space before the fields": " X-Odd: 1\n" + rest,
		"no empty line":           "From: ann@example.org\nMessage-ID: <a@b>\nSubject: hello\nthe text goes on\nand on",
		"white line in a fold":    "X-A: 1\n \n\tgoes on\n" + rest,
	} {
		m := Parse([]byte(raw), Limits{})
		if m.From.Addr != "ann@example.org" || m.Subject != "hello" || m.MessageID != "a@b" || !strings.Contains(m.Text(), "the text") {
			t.Errorf("%s: from %q (%s), subject %q, id %q, text %q", name, m.From.Addr, m.FromFault, m.Subject, m.MessageID, m.Text())
		}
	}
}

func TestParseDecodesHeaderWords(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ in, want string }{
		{"=?utf-8?q?a?= =?utf-8?q?b?=", "ab"},
		{"=?utf-8?q?a?=  b =?utf-8?q?c?=", "a  b c"},
		{"=?utf-8?b?w7w=?=", "ü"},
		{"=?utf-8?b?ww==?= =?utf-8?b?vA?=", "ü"}, // a character in two words, padding missing
		{"=?utf-8?q?=C3?= =?utf-8?q?=BC?=", "ü"},
		{"\"=?utf-8?q?=C3=BC?=\"", "\"ü\""},
		{"=?iso-8859-1*de?q?=FC?=", "ü"},
		{"=?x-nobody-knows?q?=FC?= and =?utf-8?q?b?=", "=?x-nobody-knows?q?=FC?= and b"},
		{"=?utf-8?q?a b?=", "a b"},
		{"=?utf-8?z?a?=", "=?utf-8?z?a?="},
		{"=?utf-8?q?open", "=?utf-8?q?open"},
		{"=?utf-8?q?" + strings.Repeat("a", maxWord-12) + "?=", strings.Repeat("a", maxWord-12)},
		{"=?u?b?!=?utf-8?q?a?=", "=?u?b?!a"},
		{"=?iso-2022-jp?b?GyRCJUYlOSVIGyhC?=", "テスト"},
		{"raw \xfc", "raw ü"},
		{"raw \xc3\xbc", "raw ü"},
		{"nul \x00 and bell \a", "nul \uFFFD and bell "},
	} {
		m := parse("From: a@example.org", "Subject: "+c.in, "", "x")
		if want := strings.TrimSpace(c.want); m.Subject != want {
			t.Errorf("%q: %q, want %q", c.in, m.Subject, want)
		}
	}
}

func TestParseReadsTextInAnyCharset(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ label, body, want string }{
		{"utf-8", "gr\xc3\xbcn", "grün"},
		{"", "gr\xc3\xbcn", "grün"},
		{"", "gr\xfcn", "grün"},
		{"us-ascii", "gr\xfcn", "grün"},
		{"utf-8", "gr\xfcn", "grün"},
		{"utf-8", "\xc3\xbc\xc3\xbc\xff", "üü\uFFFD"},
		{"windows-1252", "\x80 5", "€ 5"},
		{"iso-8859-1", "\x93a\x94", "“a”"},
		{"cp932", "\x83e\x83X\x83g", "テスト"},
		{"iso-2022-jp", "\x1b$B%F%9%H\x1b(B", "テスト"},
		{"us-ascii", "\x1b$B%F%9%H\x1b(B", "テスト"},
		{"iso-2022-kr", "\x1b$)C\x0e0!\x0f", "가"},
		{"koi8-r", "\xf0\xd2\xc9\xd7\xc5\xd4", "Привет"},
		{"", "\xf0\xd2\xc9\xd7\xc5\xd4 \xcd\xc9\xd2", "Привет мир"},
		{"", "\xcf\xf0\xe8\xe2\xe5\xf2 \xec\xe8\xf0", "Привет мир"},
		{"ks_c_5601-1987", "\xb0\xa1", "가"},
		{"gb2312", "\xc4\xe3\xba\xc3", "你好"},
		{"no-such-charset", "gr\xfcn", "grün"},
		{"utf-16le", "a\x00b\x00", "ab"},
		{"utf-16", "\x00a\x00b", "ab"},
		{"utf-32be", "\x00\x00\x00a\x00\x00\x00b", "ab"},
		{"hz-gb-2312", "~{Dc:C~}", "你好"},
		{"iso-2022-cn", "kept as it is", "kept as it is"},
		{"iso-8859-9", "\x93\xfd\x94", "“ı”"},
		{"cp1251", "\xcf\xf0\xe8", "При"},
		{"iso-8859-1", "\xc3\xbc\xc3\xb6", "üö"},
	} {
		m := Parse([]byte("From: a@b\r\nContent-Type: text/plain; charset="+c.label+"\r\n\r\n"+c.body), Limits{})
		if m.Text() != c.want {
			t.Errorf("%s %q: %q, want %q", c.label, c.body, m.Text(), c.want)
		}
	}
}

func TestParseDecodesBrokenTransferEncodings(t *testing.T) {
	t.Parallel()
	b64 := base64.StdEncoding.EncodeToString([]byte("some readable text, long enough"))
	for _, c := range []struct{ name, cte, body, want string }{
		{"plain", "base64", b64, "some readable text, long enough"},
		{"upper case with parameter", "BASE64;", b64, "some readable text, long enough"},
		{"in lines of one size", "base64", b64[:20] + "\r\n" + b64[20:40] + "\r\n" + b64[40:] + "\r\n", "some readable text, long enough"},
		{"strange bytes between", "base64", b64[:9] + "!\r\n*" + b64[9:], "some readable text, long enough"},
		{"list footer behind", "base64", b64 + "\r\n____\r\nlist footer text here\r\n", "some readable text, long enough"},
		{"list footer behind a full line", "base64", "c29tZXRoaW5n\r\n\r\n____\r\nlist footer text here\r\n", "something"},
		{"two files joined", "base64", "YQ==\r\nYg==", "ab"},
		{"one character too many", "base64", "YWJjZ", "abc"},
		{"quoted-printable", "quoted-printable", "a=3D=\r\nb  \r\nc=", "a=b\nc"},
		{"a line longer than any buffer", "quoted-printable", strings.Repeat("=C3=BC", 3000), strings.Repeat("ü", 3000)},
		{"a control byte", "quoted-printable", "a=3D\r\n\x01b=3D", "a=\nb="},
		{"bad escapes stay", "quoted-printable", "100=% =zz", "100=% =zz"},
		{"with a semicolon", "quoted-printable;", "a=3Db", "a=b"},
		{"unknown", "6bit", "as it is", "as it is"},
	} {
		m := parse("From: a@b", "Content-Transfer-Encoding: "+c.cte, "", c.body)
		if m.Text() != c.want {
			t.Errorf("%s: %q, want %q", c.name, m.Text(), c.want)
		}
	}
}

func TestParseKeepsPartsOfBrokenMultiparts(t *testing.T) {
	t.Parallel()
	part := func(text string) string { return "Content-Type: text/plain\r\n\r\n" + text + "\r\n" }
	for _, c := range []struct{ name, typ, body, want string }{
		{"closed", "multipart/mixed; boundary=x", "--x\r\n" + part("one") + "--x\r\n" + part("two") + "--x--\r\n", "one\n\ntwo"},
		{"never closed", "multipart/mixed; boundary=x", "--x\r\n" + part("one") + "--x\r\n" + part("two"), "one\n\ntwo"},
		{"no boundary named", "multipart/mixed", "--x\r\n" + part("one") + "--x\r\n" + part("two") + "--x--\r\n", "one\n\ntwo"},
		{"another boundary used", "multipart/mixed; boundary=y", "--x\r\n" + part("one") + "--x--\r\n", "one"},
		{"boundary with spaces unquoted", "multipart/mixed; boundary=a=b", "--a=b\r\n" + part("one") + "--a=b--\r\n", "one"},
		{"white space behind", "multipart/mixed; boundary=x", "--x  \r\n" + part("one") + "--x-- \r\n", "one"},
		{"no part at all", "multipart/mixed; boundary=x", "just text\r\n", "just text"},
		{"part without header", "multipart/mixed; boundary=x", "--x\r\n\r\none\r\n--x--\r\n", "one"},
		{"part without the empty line", "multipart/mixed; boundary=x", "--x\r\none two three\r\n--x--\r\n", "one two three"},
		{"quote never closed", "multipart/mixed; boundary=\"x", "--x\r\n" + part("one") + "--x--\r\n", "one"},
		{"semicolons doubled", "multipart/mixed;; boundary=x;", "--x\r\n" + part("one") + "--x--\r\n", "one"},
		{"longer boundary inside", "multipart/mixed; boundary=x", "--x\r\nContent-Type: multipart/mixed; boundary=xy\r\n\r\n--xy\r\n" + part("one") + "--xy--\r\n--x\r\n" + part("two") + "--x--\r\n", "one\n\ntwo"},
		{"as a whole in base64", "multipart/mixed; boundary=x\r\nContent-Transfer-Encoding: base64", base64.StdEncoding.EncodeToString([]byte("--x\r\n" + part("one") + "--x--\r\n")), "one"},
	} {
		m := parse("From: a@b", "Content-Type: "+c.typ, "", c.body)
		if m.Text() != c.want {
			t.Errorf("%s: %q, want %q (%v)", c.name, m.Text(), c.want, m.Faults)
		}
	}
}

func TestParseNamesAttachmentsInEveryCoding(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ header, want string }{
		{"Content-Disposition: attachment; filename=a.pdf", "a.pdf"},
		{"Content-Disposition: attachment; filename=\"a b.pdf\"", "a b.pdf"},
		{"Content-Disposition: attachment; filename=a b.pdf", "a b.pdf"},
		{"Content-Disposition: attachment; filename=a(1).pdf", "a(1).pdf"},
		{"Content-Disposition: attachment; filename=\xc3\xbc.pdf", "ü.pdf"},
		{"Content-Disposition: attachment; filename=\"\xfc.pdf\"", "ü.pdf"},
		{"Content-Disposition: attachment; filename=\"=?utf-8?b?w7wucGRm?=\"", "ü.pdf"},
		{"Content-Disposition: attachment; filename==?utf-8?q?=C3=BC.pdf?=", "ü.pdf"},
		{"Content-Disposition: attachment; filename*=utf-8''%C3%BC.pdf", "ü.pdf"},
		{"Content-Disposition: attachment; filename*=iso-8859-1'de'%FC.pdf", "ü.pdf"},
		{"Content-Disposition: attachment; filename*0*=utf-8''%C3; filename*1*=%BC; filename*2=.pdf", "ü.pdf"},
		{"Content-Disposition: attachment; filename*0=long-; filename*1=name.pdf", "long-name.pdf"},
		{"Content-Disposition: attachment; filename=old.pdf; filename*=utf-8''new.pdf", "new.pdf"},
		{"Content-Disposition: attachment; filename=one.pdf; filename=two.pdf", "one.pdf"},
		{"Content-Disposition: attachment; filename=\"never closed.pdf", "never closed.pdf"},
		{`Content-Disposition: attachment; filename="the \"new\" list.pdf"`, "the _new_ list.pdf"},
		{"Content-Type: application/pdf; name=\"n.pdf\"\r\nContent-Disposition: attachment", "n.pdf"},
		{"Content-Disposition: attachment", ""},
	} {
		m := parse("From: a@b", "Content-Type: multipart/mixed; boundary=x", "", "--x", "", "text", "--x", c.header, "", "data", "--x--")
		if len(m.Attachments) != 1 || m.Attachments[0].Name != c.want {
			t.Errorf("%s: %q, want %q", c.header, names(m), c.want)
		}
	}
}

func TestParseTakesUuencodedFilesOutOfTheText(t *testing.T) {
	t.Parallel()
	m := parse("From: a@b", "", "See below.", "begin 644 hi.txt", "#:&D*", "`", "end", "Bye.", "", "begin 2026 was a good year", "")
	if want := "See below.\nBye.\n\nbegin 2026 was a good year"; m.Text() != want {
		t.Errorf("text %q, want %q", m.Text(), want)
	}
	if len(m.Attachments) != 1 || m.Attachments[0].Name != "hi.txt" || m.Attachments[0].Size != 3 || m.Attachments[0].Part != "0.u1" {
		t.Fatalf("attachments %+v", m.Attachments)
	}
	raw := mailOf("From: a@b", "", "See below.", "begin 644 hi.txt", "#:&D*", "`", "end", "")
	data, a, err := Attachment(raw, Limits{}, m.Attachments[0].Part)
	if err != nil || string(data) != "hi\n" || a.Name != "hi.txt" {
		t.Errorf("%q %+v %v", data, a, err)
	}
}

func TestParseJoinsFlowedText(t *testing.T) {
	t.Parallel()
	m := parse("From: a@b", "Content-Type: text/plain; format=flowed", "",
		"A line that ", "goes on", "  stuffed", "> quoted ", "> more", ">> deeper", "-- ", "Ann")
	want := "A line that goes on\n stuffed\n> quoted more\n>> deeper\n-- \nAnn"
	if m.Text() != want {
		t.Errorf("%q, want %q", m.Text(), want)
	}
	m = parse("From: a@b", "Content-Type: text/plain; format=flowed; delsp=yes", "", "こん ", "にちは")
	if m.Text() != "こんにちは" {
		t.Errorf("delsp: %q", m.Text())
	}
}

func TestParseChoosesBetweenAlternatives(t *testing.T) {
	t.Parallel()
	alt := func(plain, rich string) triage.Message {
		return parse("From: a@b", "Content-Type: multipart/alternative; boundary=x", "", "--x", "Content-Type: text/plain", "", plain, "--x", "Content-Type: text/html", "", rich, "--x--")
	}
	m := alt("The printer is broken.", "<p>The <b>printer</b> is broken.</p>")
	if m.Text() != "The printer is broken." || m.OtherText != "" {
		t.Errorf("same content: %q / %q", m.Text(), m.OtherText)
	}
	m = alt("The printer is broken.", "<p>Please pay the bill of 500 dollars at once.</p>")
	if m.Text() != "The printer is broken." || !strings.Contains(m.OtherText, "500 dollars") {
		t.Errorf("different content: %q / %q", m.Text(), m.OtherText)
	}
	m = alt("", "<p>Only here.</p>")
	if m.Text() != "Only here." {
		t.Errorf("empty plain part: %q", m.Text())
	}
	m = alt("Your program cannot show HTML.", "<p>"+strings.Repeat("This is what I wanted to say to you. ", 10)+"</p>")
	if !strings.Contains(m.Text(), "wanted to say") {
		t.Errorf("stub: %q", m.Text())
	}
}

func TestAttachmentGivesTheBytesOfEachPart(t *testing.T) {
	t.Parallel()
	raw := mailOf("From: a@b", "Content-Type: multipart/mixed; boundary=x", "", "--x", "", "text", "--x",
		"Content-Type: multipart/mixed; boundary=y", "", "--y", "Content-Type: application/pdf; name=a.pdf", "Content-Transfer-Encoding: base64", "", "UERG", "--y",
		"Content-Type: message/rfc822", "", "Subject: inner", "", "inner text", "--y--", "--x--")
	m := Parse(raw, Limits{})
	if len(m.Attachments) != 2 {
		t.Fatalf("%+v", m.Attachments)
	}
	if m.Attachments[1].Type != "message/rfc822" || !strings.Contains(m.Attachments[1].Note, "inner") {
		t.Errorf("%+v", m.Attachments[1])
	}
	want := []string{"PDF", "Subject: inner\r\n\r\ninner text"}
	for i, a := range m.Attachments {
		data, again, err := Attachment(raw, Limits{}, a.Part)
		sum := sha256.Sum256(data)
		if err != nil || string(data) != want[i] || a.Size != int64(len(data)) || a.SHA256 != hex.EncodeToString(sum[:]) || again != a {
			t.Errorf("%s: %q %v", a.Part, data, err)
		}
	}
	for _, part := range []string{"", "1", "2", "9", "2.1.1"} {
		if _, _, err := Attachment(raw, Limits{}, part); !errors.Is(err, ErrNoPart) {
			t.Errorf("part %q: %v", part, err)
		}
	}
}

func TestT03_IdentityIsTheSingleAddressOfTheSingleFrom(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ from, addr, shown string }{
		{"From: ann@example.org", "ann@example.org", "ann@example.org"},
		{"From: Ann <Ann@EXAMPLE.org>", "Ann@example.org", "Ann@example.org"},
		{"From: ann@example.org (Ann)", "ann@example.org", "ann@example.org"},
		{"From: \"boss@corp.example\" <x@evil.example>", "x@evil.example", "x@evil.example"},
		{"From: =?utf-8?q?boss=40corp.example?= <x@evil.example>", "x@evil.example", "x@evil.example"},
		{"From: \"a b\"@example.org", "\"a b\"@example.org", "\"a b\"@example.org"},
		{"From: <@relay.example:ann@example.org>", "", "ann@example.org"},
		{"From: Boss <@evil.example,@b.example:boss@corp.example>", "", "boss@corp.example"},
		{"From: a@corp.example, b@evil.example", "", "a@corp.example"},
		{"From: boss@corp.example <x@evil.example>", "", "x@evil.example"},
		{"From: ann@example.org <ann@example.org>", "ann@example.org", "ann@example.org"},
		{"From: a@corp.example\r\nFrom: b@evil.example", "", "a@corp.example"},
		{"From: team: a@corp.example;", "", "a@corp.example"},
		{"From: undisclosed-recipients:;", "", ""},
		{"From:", "", ""},
		{"From: Ann", "", ""},
		{"From: Doe, John <j@example.org>", "", "j@example.org"},
		{"From: <a@corp.example> <b@evil.example>", "", "a@corp.example"},
		{"From: <a@corp.example> b@evil.example", "", "a@corp.example"},
		{"From: <a@corp.example> evil", "", "a@corp.example"},
		{"From: a@corp.example\x00b@evil.example", "", ""},
		{"From: =?utf-8?q?a=40corp.example?=", "", "a@corp.example"},
		{"From: =?utf-8?q?Boss_=3Ca=40corp.example=3E?=", "", "a@corp.example"},
		{"From: <a@corp\u202e.example>", "", ""},
		{"From: boss@ban\u212A.example", "boss@ban\u212A.example", "boss@ban\u212A.example"},
		{"From: boss@BANK.example", "boss@bank.example", "boss@bank.example"},
		{"From: boss@ban\u212A.example <boss@bank.example>", "", "boss@bank.example"},
		{"From: 'a@corp.example'", "", "a@corp.example"}, // by the grammar the quotes belong to it
		{"From: \"" + strings.Repeat("x", maxAuthor) + "\" <a@corp.example>", "", "a@corp.example"},
		{"X-None: 1", "", ""},
		{"Reply-To: tech@corp.example", "", "tech@corp.example"},
	} {
		m := parse(c.from, "Subject: x", "", "x")
		if m.From.Addr != c.addr || (m.FromFault == "") != (c.addr != "") {
			t.Errorf("%q: identity %q (%s), want %q", c.from, m.From.Addr, m.FromFault, c.addr)
		}
		if c.shown != "" && m.Shown.Addr != c.shown {
			t.Errorf("%q: shown %q, want %q", c.from, m.Shown.Addr, c.shown)
		}
	}
}

func TestF05_ContentKeyLeavesTraceFieldsOut(t *testing.T) {
	t.Parallel()
	base := []string{"From: a@b", "To: c@d", "Subject: s", "Date: Mon, 2 Nov 2026 09:00:00 +0100", "Message-ID: <1@b>", "", "text", ""}
	key := Parse(mailOf(base...), Limits{}).ContentKey
	same := [][]byte{
		mailOf(append([]string{"Received: from x by y; Mon, 2 Nov 2026 09:00:00 +0100", "Delivered-To: z@d"}, base...)...),
		bytes.ReplaceAll(mailOf(base...), []byte("\r\n"), []byte("\n")),
	}
	for _, raw := range same {
		if Parse(raw, Limits{}).ContentKey != key {
			t.Errorf("another key for the same mail:\n%s", raw)
		}
	}
	for i, other := range []string{"From: a@evil", "To: e@d", "Subject: t", "Date: Tue, 3 Nov 2026 09:00:00 +0100", "Message-ID: <2@b>", "", "other text"} {
		changed := append([]string(nil), base...)
		if i != 5 {
			changed[i] = other
		} else {
			changed[6] = "another text"
		}
		if Parse(mailOf(changed...), Limits{}).ContentKey == key {
			t.Errorf("the same key after the change to %q", other)
		}
	}
}

func TestF07_OddMessageIDsAreEmptyOrKept(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ field, want string }{
		{"Message-ID: <a@b>", "a@b"},
		{"Message-ID: a@b", "a@b"},
		{"Message-ID: <a@b", "a@b"},
		{"Message-ID: junk <a@b> junk", "a@b"},
		{"Message-ID: < a @ b >", "a@b"},
		{"Message-ID:", ""},
		{"Message-ID: <>", ""},
		{"Message-ID: two words", ""},
		{"Message-ID: <" + strings.Repeat("x", 2000) + "@b>", ""},
		{"X-Other: 1", ""},
		{"Message-ID: <a@b>\r\nMessage-ID: <c@d>", "a@b"},
	} {
		if m := parse("From: a@b", c.field, "", "x"); m.MessageID != c.want {
			t.Errorf("%.40q: %q, want %q", c.field, m.MessageID, c.want)
		}
	}
}

func TestT26_OversizeMailIsReadFromItsHeader(t *testing.T) {
	t.Parallel()
	raw := mailOf("From: ann@example.org", "Subject: large", "Message-ID: <1@b>", "Content-Type: multipart/mixed; boundary=x", "", "")
	m := ParseHeader(raw, 26<<20, Limits{})
	if !m.Oversize || m.Size != 26<<20 || m.Subject != "large" || m.From.Addr != "ann@example.org" || len(m.Body) > 0 || len(m.Faults) == 0 {
		t.Errorf("%+v", m)
	}
}

// heavy are mails made to cost more than they weigh (T27).
func heavy() map[string][]byte {
	var deep, many bytes.Buffer
	deep.WriteString("From: a@b\r\nContent-Type: multipart/mixed; boundary=b0\r\n\r\n")
	for i := range 10_000 {
		fmt.Fprintf(&deep, "--b%d\r\nContent-Type: multipart/mixed; boundary=b%d\r\n\r\n", i, i+1)
	}
	many.WriteString("From: a@b\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n")
	for range 300_000 {
		many.WriteString("--b\r\n\r\nx\r\n")
	}
	fields := bytes.Repeat([]byte("X-A: b\r\n"), 1_000_000)
	html := func(depth int, tag string, n int, cell string) []byte {
		return []byte("From: a@b\r\nContent-Type: text/html\r\n\r\n" + strings.Repeat(tag, depth) + strings.Repeat(cell, n))
	}
	partHeader := append([]byte("From: a@b\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nX-Long: "), bytes.Repeat([]byte("y"), 10<<20)...)
	nested := bytes.Repeat([]byte("Content-Type: message/rfc822\r\n\r\n"), 10_000)
	partHeaders := append([]byte("From: a@b\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"),
		bytes.Repeat([]byte("--b\r\nContent-Type: text/plain"+strings.Repeat("\r\nX-A: bc", 900)+"\r\nX-Long: "+strings.Repeat("y", 90<<10)+"\r\n\r\nx\r\n"), 200)...)
	fonts := "<p>"
	for i := range 200 {
		fonts += fmt.Sprintf("<font size=%d>", i)
	}
	parts := func(n int, part string) []byte {
		return []byte("From: a@b\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n" + strings.Repeat("--b\r\n"+part+"\r\n", n) + "--b--")
	}
	var failed bytes.Buffer
	failed.WriteString("Return-Path: <>\r\nFrom: mailer-daemon@x\r\nSubject: failure notice\r\n")
	for i := range 900 {
		failed.WriteString("X-Failed-Recipients:")
		for j := range 15 {
			fmt.Fprintf(&failed, " a%d.%d@b,", i, j)
		}
		failed.WriteString("\r\n")
	}
	failed.WriteString("\r\n" + strings.Repeat("User unknown. ", 5000))
	var status bytes.Buffer
	status.WriteString(daemon + "Subject: failure notice\r\nContent-Type: multipart/report; boundary=x\r\n\r\n--x\r\n\r\n" + strings.Repeat("it went away. ", 4600))
	for i := range 1000 {
		if i%100 == 0 {
			status.WriteString("\r\n--x\r\nContent-Type: message/delivery-status\r\n\r\n")
		}
		fmt.Fprintf(&status, "Final-Recipient: rfc822; a%d@b\r\nAction: failed\r\n\r\n", i)
	}
	htmlPart := "Content-Type: text/html\r\n\r\n" + strings.Repeat("<p>", 40_000)
	return map[string][]byte{
		"depth 10,000":       deep.Bytes(),
		"300,000 parts":      many.Bytes(),
		"1,000,000 fields":   append(fields, "\r\nbody"...),
		"one line of 10 MB":  append([]byte("From: a@b\r\n\r\n"), bytes.Repeat([]byte("z"), 10<<20)...),
		"header line 10 MB":  append(append([]byte("From: a@b\r\nSubject: "), bytes.Repeat([]byte("z"), 10<<20)...), "\r\n\r\nbody"...),
		"folded line 10 MB":  append(append([]byte("From: a@b\r\nSubject: "), bytes.Repeat([]byte("z\r\n "), 3<<20)...), "\r\n\r\nbody"...),
		"part header 10 MB":  partHeader,
		"200 part headers":   partHeaders,
		"deep HTML":          html(0, "", 100_000, "<div><b>x"),
		"deep quotes":        parts(2, "Content-Type: text/html\r\n\r\n"+strings.Repeat("<blockquote>", 400)+strings.Repeat("<p>x", 60_000)),
		"deep lists":         html(200, "<ol><li>", 50_000, "x<br>"),
		"deep empty lists":   html(400, "<ul>", 60_000, "<p>x"),
		"deep lines as such": html(400, "<pre>", 30_000, "x<br>"),
		"HTML parts":         parts(200, htmlPart),
		"mails with HTML":    parts(100, "Content-Type: message/rfc822\r\n\r\n"+htmlPart),
		"styles left open":   html(1, fonts, 20_000, "</p><p>x"),
		"failed recipients":  failed.Bytes(),
		"1,000 recipients":   status.Bytes(),
		"10,000 mails in":    nested,
		"10 MB of dashes":    append([]byte("From: a@b\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"), bytes.Repeat([]byte("--\r\n"), 2<<20)...),
		"10 MB of quotes":    append([]byte("From: a@b\r\n\r\n"), bytes.Repeat([]byte("> "), 5<<20)...),
		"10 MB of HTML tags": html(0, "", 2<<20, "<p>a"),
	}
}

func TestT27_HeavyMailCostsBoundedTimeAndMemory(t *testing.T) {
	most := 2 * time.Second
	if underRace {
		most *= 10
	}
	for name, raw := range heavy() {
		var m triage.Message
		took, bytes := cost(func() { m = Parse(raw, Limits{}) })
		for n := 0; n < 2 && took > most; n++ {
			again, _ := cost(func() { Parse(raw, Limits{}) })
			took = min(took, again)
		}
		if took > most {
			t.Errorf("%s: took %v", name, took)
		}
		if bytes > 64<<20 && !underRace {
			// That is all that was ever allocated; what counts is how much
			// of it is in use at once.
			if bytes = held(func() { Parse(raw, Limits{}) }); bytes > 64<<20 {
				t.Errorf("%s: %d MiB in use", name, bytes>>20)
			}
		}
		if n := len(m.Text()); n > 1<<20 {
			t.Errorf("%s: %d bytes of text", name, n)
		}
		if len(m.Header) > 1000 || len(m.Attachments) > 200 {
			t.Errorf("%s: %d fields, %d attachments", name, len(m.Header), len(m.Attachments))
		}
	}
}

func TestT27_LimitsAreToldAndSpoilIdentity(t *testing.T) {
	t.Parallel()
	h := heavy()
	m := Parse(append([]byte("From: ann@example.org\r\n"), h["1,000,000 fields"]...), Limits{})
	if m.From.Addr != "" || m.FromFault == "" || !m.Ambiguous {
		t.Errorf("a header that was cut gives the identity %q, ambiguous %v", m.From.Addr, m.Ambiguous)
	}
	if m.Text() != "body" {
		t.Errorf("the body behind a long header is %q", m.Text())
	}
	for name, said := range map[string]string{"200 part headers": "a header block is larger", "depth 10,000": "too deeply", "300,000 parts": "more than 200 parts", "10,000 mails in": "too deeply"} {
		if m := Parse(h[name], Limits{}); !hasFault(m, said) {
			t.Errorf("%s: %q was not said, but %q", name, said, m.Faults)
		}
	}
}

func TestT28_WorkGrowsWithTheLengthOnly(t *testing.T) {
	// Each input is made to be searched again and again. The limits are
	// lifted so that they do not hide it.
	limits := Limits{HeaderBytes: 64 << 20, Fields: 1 << 20, Parts: 1 << 20, Depth: 50}
	for name, unit := range map[string]string{
		"open quotes":         `From: {"\}` + "\r\n\r\n",
		"open comments":       "From: {(}\r\n\r\n",
		"open angles":         "From: {<}\r\n\r\n",
		"angles to the end":   "From: {<}>\r\n\r\n",
		"commas":              "From: {,}\r\n\r\n",
		"encoded words":       "Subject: {=?a?q?b}\r\n\r\n",
		"words of rubbish":    "Subject: {=?u?b?!}?=\r\n\r\n",
		"adjacent words":      "Subject: {=?utf-8?q?a?= }\r\n\r\n",
		"escapes":             "Content-Disposition: attachment; filename=\"{\x1b$}\r\n\r\n",
		"parameters":          "Content-Type: text/plain{; a=b}\r\n\r\n",
		"results":             "Authentication-Results: a{; b=c (d}\r\n\r\n",
		"result quotes":       `Authentication-Results: a; b=c x="{\"}` + "\r\n\r\n",
		"references":          "References: {<}\r\n\r\n",
		"comments of ids":     "References: {(}\r\n\r\n",
		"comment of author":   "From: a@b (x{(x}\r\n\r\n",
		"folds":               "Subject: a\r\n{ \r\n\t b\r\n}\r\n",
		"base64 in pieces":    "Content-Transfer-Encoding: base64\r\n\r\n{YQ==\r\n}",
		"base64 and words":    "Content-Transfer-Encoding: base64\r\n\r\n{YWJj YQ=\r\n}",
		"escapes in one line": "Content-Transfer-Encoding: quoted-printable\r\n\r\n{=41=}",
		"boundaries":          "Content-Type: multipart/mixed; boundary=x\r\n\r\n{--x\r\n}",
		"false ends":          "Content-Type: multipart/mixed; boundary=x\r\n\r\n{--x--\r\n}",
		"false uuencoding":    "From: a@b\r\n\r\n{begin 644 a\r\n}",
		"flowed":              "Content-Type: text/plain; format=flowed\r\n\r\n{> a \r\n}",
		"enriched":            "Content-Type: text/enriched\r\n\r\n{<}",
		"soft line ends":      "Content-Transfer-Encoding: quoted-printable\r\n\r\n{=\r\n}",
		"bounce addresses":    "From: mailer-daemon@x\r\nSubject: failure notice\r\n\r\nuser unknown\r\n{a@b.c (}",
		"lines without end":   "From: a@b\r\n{no colon\r\n}X-A: b\r\n\r\n",
		"failed recipients":   "From: mailer-daemon@x\r\nSubject: failure notice\r\n{X-Failed-Recipients: a@b\r\n}\r\nuser unknown\r\n",
		"tags in the subject": "Subject: {[IT-}]\r\n\r\n",
		"HTML paragraphs":     "Content-Type: text/html\r\n\r\n{<b><i><u><p>}",
		"HTML pictures":       "Content-Type: text/html\r\n\r\n{<img alt=xxxxxxxxxx>}",
		"HTML comments":       "Content-Type: text/html\r\n\r\n{xx<!---->}",
		"HTML open comments":  "Content-Type: text/html\r\n\r\n{<!--}",
		"HTML open quotes":    "Content-Type: text/html\r\n\r\n{<a b=\"}",
	} {
		pre, rest, _ := strings.Cut(unit, "{")
		cell, post, _ := strings.Cut(rest, "}")
		if strings.HasPrefix(post, ">") && strings.Contains(unit, "{<}>") {
			post = ">\r\n\r\n"
		}
		n := 1 << 17
		if strings.Contains(pre, "text/html") {
			n = 1<<16 - 1<<10 // read as a tree at each length, see maxHTML
		}
		if testing.Short() || underRace {
			n /= 4
		}
		// The best of three, since others use the machine, too; one is
		// enough where it is good.
		var alloc [3]float64
		spent := [3]time.Duration{math.MaxInt64, math.MaxInt64, math.MaxInt64}
		for range 3 {
			for i := range spent {
				raw := []byte(pre + strings.Repeat(cell, n<<i/len(cell)) + post)
				took, bytes := cost(func() { Parse(raw, limits) })
				spent[i], alloc[i] = min(spent[i], took), float64(bytes+1<<20)
			}
			if !squared(spent) {
				break
			}
		}
		if squared(spent) {
			t.Errorf("%s: took %v", name, spent)
		}
		if !underRace && (alloc[1] > 2.5*alloc[0] || alloc[2] > 2.5*alloc[1]) {
			t.Errorf("%s: allocated %.0f bytes", name, alloc)
		}
	}
}

// squared says whether the time that n, 2n and 4n took grew with the square
// of n, to sixteen times rather than four. What is over at once proves nothing.
func squared(spent [3]time.Duration) bool { return spent[2] > 10*max(spent[0], 10*time.Millisecond) }

// cost gives the processor time and the bytes that a call took.
func cost(call func()) (time.Duration, uint64) {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	start := cpuTime()
	call()
	took := cpuTime() - start
	runtime.ReadMemStats(&after)
	return took, after.TotalAlloc - before.TotalAlloc
}

// held is the most memory that a call has in use at once, so far as a
// collector that runs all the time can tell.
func held(call func()) uint64 {
	defer debug.SetGCPercent(debug.SetGCPercent(5))
	inUse := func() uint64 {
		sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
		metrics.Read(sample)
		return sample[0].Value.Uint64()
	}
	runtime.GC()
	before, most := inUse(), uint64(0)
	done := make(chan struct{})
	go func() {
		defer close(done)
		call()
	}()
	for {
		select {
		case <-done:
			return most - min(before, most)
		case <-time.After(time.Millisecond):
			most = max(most, inUse())
		}
	}
}

func TestT29_AmbiguousMailIsFlagged(t *testing.T) {
	t.Parallel()
	two := func(header ...string) []string {
		return append(append([]string{"From: a@b"}, header...), "", "--x", "", "one", "--x--")
	}
	for _, c := range []struct {
		name  string
		lines []string
		want  bool
	}{
		{"one of each", two("Content-Type: multipart/mixed; boundary=x"), false},
		{"the same twice", two("Content-Type: multipart/mixed; boundary=x", "Content-Type: multipart/mixed; boundary=x"), false},
		{"two types", two("Content-Type: multipart/mixed; boundary=x", "Content-Type: text/plain"), true},
		{"two boundaries", two("Content-Type: multipart/mixed; boundary=x; boundary=y"), true},
		{"two forms of a boundary", two("Content-Type: multipart/mixed; boundary=x; boundary*=utf-8''y"), true},
		{"a boundary and pieces of one", two("Content-Type: multipart/mixed; boundary*0=y; boundary*1=z; boundary=x"), true},
		{"a piece twice", two("Content-Type: multipart/mixed; boundary*0=x; boundary*0*=y"), true},
		{"a boundary in an odd form", two("Content-Type: multipart/mixed; boundary=x; boundary*a=y"), true},
		{"a boundary in pieces", []string{"From: a@b", "Content-Type: multipart/mixed; boundary*0=x; boundary*1=y", "", "--xy", "", "one", "--xy--"}, false},
		{"two encodings", two("Content-Transfer-Encoding: base64", "Content-Transfer-Encoding: 7bit"), true},
		{"boundary never named", two("Content-Type: multipart/mixed"), false},
		{"boundary guessed", []string{"From: a@b", "Content-Type: multipart/mixed", "", "--x", "Content-Type: text/plain", "", "one", "--x--"}, true},
		{"prefix", []string{"From: a@b", "Content-Type: multipart/mixed; boundary=x", "", "--x", "Content-Type: multipart/mixed; boundary=xx", "", "--xx", "", "one", "--xx--", "--x--"}, true},
		{"goes on after its end", []string{"From: a@b", "Content-Type: multipart/mixed; boundary=x", "", "--x", "", "one", "--x--", "--x", "Content-Type: text/plain", "", "two", "--x--"}, true},
		{"inner part with two types", []string{"From: a@b", "Content-Type: multipart/mixed; boundary=x", "", "--x", "Content-Type: text/plain", "Content-Type: text/html", "", "one", "--x--"}, true},
	} {
		m := parse(c.lines...)
		if m.Ambiguous != c.want {
			t.Errorf("%s: %v, want %v (%v)", c.name, m.Ambiguous, c.want, m.Faults)
		}
		if !strings.Contains(m.Text(), "one") && c.name != "two encodings" {
			t.Errorf("%s: not readable: %q", c.name, m.Text())
		}
	}
}

func TestT30_CharsetsSmuggleNothing(t *testing.T) {
	t.Parallel()
	m := parse("From: a@b", "Subject: =?utf-7?q?+ADw-script+AD4-?=", "Content-Type: text/plain; charset=utf-7", "", "+ADw-script+AD4-alert+ADw-/script+AD4-")
	if m.Text() != "+ADw-script+AD4-alert+ADw-/script+AD4-" || strings.Contains(m.Subject, "<") || !hasFault(m, "UTF-7") {
		t.Errorf("UTF-7 was decoded: %q %q %v", m.Text(), m.Subject, m.Faults)
	}
	for _, c := range []struct {
		in, want string
		hidden   bool
	}{
		{"Fr+APY-sche 1 +- 1, +AOQ", "Frösche 1 + 1, ä", false},
		{"+ZeVnLIqe-", "日本語", false},
		{"+2D3cSQ-", "👉", false},
		{"+2D0-", "+2D0-", true},       // half a character
		{"+APY8-", "+APY8-", true},     // bits left over
		{"+APYAPA-", "+APYAPA-", true}, // ö, and a hidden <
		{"a+b + c", "a+b + c", true},   // prose that only claims to be UTF-7
		{"\xf6+APY-", "?ö", false},
	} {
		if got, hidden := decodeUTF7([]byte(c.in)); got != c.want || hidden != c.hidden {
			t.Errorf("decodeUTF7(%q) = %q, %v, want %q, %v", c.in, got, hidden, c.want, c.hidden)
		}
	}
	if m := parse("From: a@b", "Subject: =?unicode-1-1-utf-7?q?Fr+APY-sche?=", "", "x"); m.Subject != "Frösche" {
		t.Errorf("letters in UTF-7 are not read: %q", m.Subject)
	}
	for name, c := range map[string][2]string{
		"NUL":           {"a\x00b", "a\uFFFDb"},
		"overlong":      {"\xc3\xbc\xc3\xbc\xc3\xbc \xc0\xbcscript", "üüü \uFFFDscript"},
		"surrogate":     {"\xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc \xed\xa0\x80", "üüüü \uFFFD"},
		"escape":        {"a\x1b[31mb", "a[31mb"},
		"bell":          {"a\ab", "ab"},
		"C1 controls":   {"a\xc2\x9bb", "ab"},
		"lone CR":       {"a\rb\nc", "a\nb\nc"},
		"encoded twice": {"=?utf-8?q?a?= &lt;b&gt;", "=?utf-8?q?a?= &lt;b&gt;"},
	} {
		m := parse("From: a@b", "Content-Type: text/plain; charset=utf-8", "", c[0])
		if m.Text() != c[1] {
			t.Errorf("%s: %q, want %q", name, m.Text(), c[1])
		}
	}
}

func TestT31_DecodingsAreCountedAndArchivesStayClosed(t *testing.T) {
	t.Parallel()
	big := base64.StdEncoding.EncodeToString(bytes.Repeat([]byte("A"), 300_000))
	raw := mailOf("From: a@b", "Content-Type: multipart/mixed; boundary=x", "",
		"--x", "Content-Type: application/zip; name=../../bomb.zip", "Content-Transfer-Encoding: base64", "", big,
		"--x", "Content-Type: application/octet-stream; name=b", "Content-Transfer-Encoding: base64", "", big,
		"--x", "Content-Type: text/plain", "", "begin 644 c", strings.Repeat("M"+strings.Repeat("0", 60)+"\r\n", 5000)+"`", "end", "--x--")
	m := Parse(raw, Limits{Decoded: 400_000})
	if len(m.Attachments) != 3 {
		t.Fatalf("%+v", m.Attachments)
	}
	var sum int64
	for _, a := range m.Attachments {
		sum += a.Size
	}
	if sum > 400_000 || m.Attachments[0].Name != "bomb.zip" || m.Attachments[0].Size != 300_000 || m.Attachments[1].Note == "" {
		t.Errorf("decoded %d: %+v", sum, m.Attachments)
	}
	for mail, want := range map[int64]int64{0: 64 << 20, 1 << 20: 64 << 20, 256 << 20: 512 << 20} {
		if got := (Limits{Mail: mail}).withDefaults().Decoded; got != want {
			t.Errorf("of a mail of %d bytes, %d may be decoded, want %d", mail, got, want)
		}
	}
	data, _, err := Attachment(raw, Limits{Decoded: 1000}, "1")
	if err != nil || len(data) != 1000 {
		t.Errorf("%d bytes, %v", len(data), err)
	}
}

func TestT32_AttachmentNamesAreCleaned(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("ü", 200) + ".pdf"
	for in, want := range map[string]string{
		"a.pdf": "a.pdf", "../../x": "x", "..%2F..%2Fx": "x", "..\\..\\evil.exe": "evil.exe", "/etc/passwd": "passwd",
		"CON": "_CON", "con.txt": "_con.txt", "COM1": "_COM1", "console.txt": "console.txt", "LPT9.doc": "_LPT9.doc",
		"a\u202efdp.exe": "afdp.exe", "a\u200bb\ufeff.txt": "ab.txt", "a\x00b\n.txt": "ab .txt", "...": "", "": "", ".bashrc": "bashrc",
		"file.txt:evil.exe": "file.txt_evil.exe", "LPT1:": "LPT1_", "C:TEMPx.png": "C:TEMPx.png", "C:x:y": "C:x_y", "C:con.txt": "_con.txt", "invoice\u3164\u3164\u115f\u2800.exe": "invoice.exe",
		"CON." + strings.Repeat("a", 200) + ".pdf": "_CON." + strings.Repeat("a", 150-9) + ".pdf",
		"a.txt. . ": "a.txt", "a<b>|c?.txt": "a_b__c_.txt", "  a   b.txt ": "a b.txt",
	} {
		if got := cleanName(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
	if got := cleanName(long); len(got) > 150 || !strings.HasSuffix(got, ".pdf") || !utf8.ValidString(got) {
		t.Errorf("long name: %d %q", len(got), got)
	}
	m := parse("From: a@b", "Content-Type: multipart/mixed; boundary=x", "", "--x", "Content-Disposition: attachment; filename*0=\"../\"; filename*1=\"../x.\"; filename*2=exe", "", "d", "--x--")
	if d := cmp.Diff([]string{"x.exe"}, names(m)); d != "" {
		t.Error(d)
	}
}

func TestT33_DirectionMarksLeaveSubjectAndNames(t *testing.T) {
	t.Parallel()
	const name = "\"A\u202en\u200bn\u3164\" <a@b>"
	m := parse("From: "+name, "Sender: "+name, "Reply-To: "+name, "To: "+name, "Cc: "+name, "Subject: a\u202eb\u2066\u200bc", "", "x")
	if m.Subject != "abc" {
		t.Errorf("subject %q", m.Subject)
	}
	for i, a := range append([]triage.Address{m.From, m.Shown, m.Sender}, append(append(m.ReplyTo, m.To...), m.Cc...)...) {
		if a.Name != "Ann" {
			t.Errorf("name %d: %q", i, a.Name)
		}
	}
	m = parse("From: =?utf-8?q?A=E2=80=AEnn?=", "", "x")
	if m.Shown.Name != "Ann" {
		t.Errorf("%q", m.Shown.Name)
	}
}

func TestT34_EncryptedPartsAreFilesOfTheirOwn(t *testing.T) {
	t.Parallel()
	m := parse("From: a@b", "Content-Type: multipart/mixed; boundary=o", "",
		"--o", "Content-Type: text/html", "", "<img src=\"http://evil.example/",
		"--o", "Content-Type: multipart/encrypted; protocol=\"application/pgp-encrypted\"; boundary=x", "",
		"--x", "Content-Type: application/pgp-encrypted", "", "Version: 1",
		"--x", "Content-Type: text/plain", "", "-----BEGIN PGP MESSAGE----- SECRET",
		"--x--", "--o", "Content-Type: text/html", "", "\">", "--o--")
	if strings.Contains(m.Text()+m.OtherText, "SECRET") {
		t.Errorf("the encrypted part was joined with others: %q", m.Text())
	}
	if len(m.Attachments) != 2 || m.Attachments[0].Note != "encrypted" || m.Attachments[1].Note != "encrypted" {
		t.Errorf("%+v", m.Attachments)
	}
	m = parse("From: a@b", "Content-Type: multipart/signed; boundary=x", "", "--x", "", "signed words", "--x", "Content-Type: application/pgp-signature; name=signature.asc", "", "sig", "--x--")
	if m.Text() != "signed words" || len(m.Attachments) != 1 || m.Attachments[0].Name != "signature.asc" {
		t.Errorf("%q %+v", m.Text(), m.Attachments)
	}
}

func TestParseKeepsOutlooksContainerClosedAndSaysSo(t *testing.T) {
	t.Parallel()
	m := parse("From: a@b", "Content-Type: multipart/mixed; boundary=x", "", "--x", "", "text", "--x", "Content-Type: application/ms-tnef; name=winmail.dat", "", "data", "--x--")
	if len(m.Attachments) != 1 || m.Attachments[0].Name != "winmail.dat" || m.Attachments[0].Note == "" {
		t.Errorf("%+v", m.Attachments)
	}
}

func TestParseReadsAnInvitationThatComesAlone(t *testing.T) {
	t.Parallel()
	m := parse("From: a@b", "Content-Type: text/calendar; method=REQUEST", "", "BEGIN:VCALENDAR", "BEGIN:VEVENT", "SUMMARY;LANGUAGE=en:Move of the", "  server\\, part 2", "DTSTART:20261102T090000Z", "END:VEVENT", "END:VCALENDAR")
	if want := "SUMMARY: Move of the server, part 2\nDTSTART: 20261102T090000Z"; m.Text() != want || len(m.Attachments) != 1 || m.Attachments[0].Type != "text/calendar" {
		t.Errorf("%q, want %q; %+v", m.Text(), want, m.Attachments)
	}
}

func TestParseReadsNamedTextsOfAnAlternative(t *testing.T) {
	t.Parallel()
	m := parse("From: a@b", "Content-Type: multipart/alternative; boundary=x", "", "--x", "Content-Type: text/plain; name=\"mail.txt\"", "", "words", "--x", "Content-Type: text/html; name=\"mail.html\"", "", "<p>words</p>", "--x--")
	if m.Text() != "words" || len(m.Attachments) != 0 {
		t.Errorf("%q %+v", m.Text(), m.Attachments)
	}
}

func TestParseShowsTheOnlyTextWhateverItIsCalled(t *testing.T) {
	t.Parallel()
	mixed := []string{"From: a@b", "Content-Type: multipart/mixed; boundary=x", "", "--x"}
	for _, c := range []struct {
		name  string
		lines []string
		files []string
		doubt bool
	}{
		{"named part", append(mixed[:4:4], "Content-Type: text/plain; name=\"body.txt\"", "", "words", "--x--"), []string{"body.txt"}, true},
		{"inline with a file name", append(mixed[:4:4], "Content-Type: text/plain", "Content-Disposition: inline; filename=\"msg.txt\"", "", "words", "--x--"), []string{"msg.txt"}, true},
		{"HTML behind a picture", append(mixed[:4:4], "Content-Type: image/png; name=a.png", "", "p", "--x", "Content-Type: text/html; name=\"mail.html\"", "", "<p>words</p>", "--x--"), []string{"a.png", "mail.html"}, true},
		{"root that is an attachment", []string{"From: a@b", "Content-Type: text/plain", "Content-Disposition: attachment", "", "words"}, []string{""}, true},
		{"root of related parts", []string{"From: a@b", "Content-Type: multipart/related; boundary=x", "", "--x", "Content-Type: text/html; name=\"mail.html\"", "", "<p>words</p>", "--x", "Content-Type: image/png; name=a.png", "", "p", "--x--"}, []string{"a.png"}, false},
		{"text beside a named one", append(mixed[:4:4], "", "words", "--x", "Content-Type: text/plain; name=log.txt", "", "log", "--x--"), []string{"log.txt"}, false},
		{"text beside an empty one", append(mixed[:4:4], "", "", "--x", "Content-Type: text/plain; name=log.txt", "", "words", "--x--"), []string{"log.txt"}, true},
	} {
		m := parse(c.lines...)
		if d := cmp.Diff(c.files, names(m)); m.Text() != "words" || m.Ambiguous != c.doubt || d != "" {
			t.Errorf("%s: text %q, ambiguous %v, files %s", c.name, m.Text(), m.Ambiguous, d)
		}
	}
	m := parse("From: a@b", "Content-Type: multipart/encrypted; boundary=x", "", "--x", "Content-Type: text/plain; name=a", "", "SECRET", "--x--")
	if m.Text() != "" || len(m.Attachments) != 1 {
		t.Errorf("%q %+v", m.Text(), m.Attachments)
	}
}

func TestParseOfNothingIsAMessage(t *testing.T) {
	t.Parallel()
	for _, raw := range []string{"", "\r\n", "\x00\xff\xfe", "From", ": :\r\n\r\n", "no header at all"} {
		m := Parse([]byte(raw), Limits{})
		if m.Size != int64(len(raw)) {
			t.Errorf("%q: %+v", raw, m)
		}
	}
	if m := Parse([]byte("only some words"), Limits{}); m.Text() != "only some words" {
		t.Errorf("%q", m.Text())
	}
}

func TestParseReadsDates(t *testing.T) {
	t.Parallel()
	want := time.Date(2026, 11, 2, 8, 0, 0, 0, time.UTC)
	for _, s := range []string{
		"Mon, 2 Nov 2026 09:00:00 +0100", "2 Nov 2026 09:00:00 +0100 (CET)", "Mon, 2 Nov 2026 08:00:00 GMT", "Mon Nov 2 08:00:00 2026",
		"2026-11-02T09:00:00+01:00", "Mon, 02 Nov 26 08:00:00 +0000", "Monday, 2 November 2026 09:00:00 +0100", "Mon, 2 Nov 2026 09:00:00 CET",
	} {
		if got := parseDate([]byte(s)); !got.Equal(want) {
			t.Errorf("%q: %v", s, got)
		}
	}
	for _, s := range []string{"", "yesterday", "32 Nov 2026 09:00:00 +0100", strings.Repeat("1", 1000)} {
		if got := parseDate([]byte(s)); !got.IsZero() {
			t.Errorf("%q: %v", s, got)
		}
	}
}
