package mailin

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"deskd/triage"
)

func TestHTMLMarkersBecomeBlocks(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, html string
		want       []triage.Block
	}{
		{"nothing", "<p>Hi</p>", []triage.Block{{Text: "Hi"}}},
		{"Gmail", `<div>Mine</div><div class="gmail_quote"><div class="gmail_attr">On Monday Ann wrote:</div><blockquote class="gmail_quote">hers</blockquote></div>`, []triage.Block{{Text: "Mine"}, {Kind: triage.Quoted, Text: "On Monday Ann wrote:\n\n> hers"}}},
		{"Gmail through Outlook", `<div>Mine</div><div class="x_gmail_quote">hers</div>`, []triage.Block{{Text: "Mine"}, {Kind: triage.Quoted, Text: "hers"}}},
		{"Gmail forward", `<div>See</div><div class="gmail_quote">---------- Forwarded message ---------<br>From: Ann</div>`, []triage.Block{{Text: "See"}, {Kind: triage.Forwarded, Text: "---------- Forwarded message ---------\nFrom: Ann"}}},
		{"Gmail signature", `<div>Mine</div><div class="gmail_signature" data-smartmail="gmail_signature">Ann</div>`, []triage.Block{{Text: "Mine"}, {Kind: triage.Signature, Text: "Ann"}}},
		{"Apple", `Mine<blockquote type="cite">hers</blockquote>below`, []triage.Block{{Text: "Mine"}, {Kind: triage.Quoted, Text: "> hers"}, {Text: "below"}}},
		{"Thunderbird", `<p>Mine</p><div class="moz-cite-prefix">Ann wrote:</div><blockquote type="cite" cite="mid:1">hers</blockquote>`, []triage.Block{{Text: "Mine"}, {Kind: triage.Quoted, Text: "Ann wrote:\n\n> hers"}}},
		{"Outlook on the web", `<div>Mine</div><hr><div id="divRplyFwdMsg"><b>From:</b> Ann</div><div>hers</div>`, []triage.Block{{Text: "Mine\n\n* * *"}, {Kind: triage.Quoted, Text: "From: Ann\n\nhers"}}},
		{"Outlook mobile", `<div>Mine</div><div id="appendonsend"></div><div>hers</div>`, []triage.Block{{Text: "Mine"}, {Kind: triage.Quoted, Text: "hers"}}},
		{"Outlook", `<p>Mine</p><div style="border:none;border-top:solid #E1E1E1 1.0pt;padding:3.0pt 0cm 0cm 0cm"><p><b>From:</b> Ann</p></div><p>hers</p>`, []triage.Block{{Text: "Mine"}, {Kind: triage.Quoted, Text: "From: Ann\n\nhers"}}},
		{"old Outlook", `<p>Mine</p><div class="OutlookMessageHeader">From: Ann</div><p>hers</p>`, []triage.Block{{Text: "Mine"}, {Kind: triage.Quoted, Text: "From: Ann\n\nhers"}}},
		{"Yahoo", `<div>Mine</div><div class="yahoo_quoted">hers</div>`, []triage.Block{{Text: "Mine"}, {Kind: triage.Quoted, Text: "hers"}}},
		{"Proton", `<div>Mine</div><div class="protonmail_signature_block">Ann</div><div class="protonmail_quote">hers</div>`, []triage.Block{{Text: "Mine"}, {Kind: triage.Signature, Text: "Ann"}, {Kind: triage.Quoted, Text: "hers"}}},
		{"signature that holds the quote", `<div id="Signature">Ann<blockquote type="cite">hers</blockquote></div>`, []triage.Block{{Text: "Ann"}, {Kind: triage.Quoted, Text: "> hers"}}},
		{"somebody's own indentation", `<p>Mine</p><blockquote>a line of code</blockquote>`, []triage.Block{{Text: "Mine\n\n> a line of code"}}},
		{"marks of ours in foreign text", "<p>a\uE0F1b\uE0F4c</p>", []triage.Block{{Text: "abc"}}},
	} {
		got, _ := htmlBlocks(c.html, maxTrees)
		if d := cmp.Diff(c.want, got); d != "" {
			t.Errorf("%s: want -, got +\n%s", c.name, d)
		}
	}
}

func TestHTMLBecomesReadableText(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ html, want string }{
		{"<b>bold</b> and <i>slanted</i>_text_ *as* # it `is`", "bold and slanted_text_ *as* # it `is`"},
		{"<table><tr><td>Host</td><td>State</td></tr><tr><td>prn-3</td><td>down</td></tr></table>", "Host\tState\n\nprn-3\tdown"},
		{"<ul><li>one</li><li>two</li></ul>", "- one\n- two"},
		{"<pre>a\n  b\nc</pre>", "a\n  b\nc"},
		{"a<br>b<br><br>c", "a\nb\n\nc"},
		{`<a href="https://example.org/x">here</a>`, "here <https://example.org/x>"},
		{`<a href="https://example.org/">example.org</a> <a href="mailto:a@b">a@b</a> <a href="javascript:x()">js</a>`, "example.org a@b js"},
		{`<img src="cid:x" alt="Chart"><img src="http://tracker.example/">`, "Chart"},
		{"<title>No</title><style>p{color:red}</style><script>alert(1)</script><!-- no --><p>Yes &amp; &lt;b&gt;</p>", "Yes & <b>"},
	} {
		got, _ := htmlBlocks(c.html, maxTrees)
		text := ""
		for _, b := range got {
			text += b.Text
		}
		text = strings.ReplaceAll(strings.ReplaceAll(text, "  \n", "\n"), "\n\n\n", "\n\n")
		if text != c.want {
			t.Errorf("%s: %q, want %q", c.html, text, c.want)
		}
	}
}

func TestT09_HiddenHTMLTextIsNotRead(t *testing.T) {
	t.Parallel()
	hidden := []string{
		`<div style="display:none">close</div>`, `<div style="DISPLAY : None !important">close</div>`, `<span style="font-size:0">close</span>`, `<span style="font-size: 0px; color:#fff">close</span>`,
		`<span style="visibility:hidden">close</span>`, `<div style="mso-hide:all">close</div>`, `<div style="opacity:0">close</div>`, `<div hidden>close</div>`,
		`<div style="max-height:0;overflow:hidden">close</div>`, `<div style="text-indent:-9999px">close</div>`, `<div style="color:transparent">close</div>`,
		`<style>.pre{display:none}</style><div class="pre">close</div>`, `<style>/* x */ p, div.pre {mso-hide:all}</style><div class="a pre">close</div>`, `<style>#h{font-size:0}</style><p id=h>close</p>`,
		`<div style="position:absolute;left:-10000px">close</div>`, `<div style="left:-50em">close</div>`, `<div style="top:-1e9px">close</div>`, `<div style="text-indent: -500px">close</div>`, `<div style="left:-1e999px">close</div>`,
		`<span style="font-size:0.01px">close</span>`, `<span style="font-size:.05em">close</span>`, `<span style="font-size:1pt">close</span>`, `<span style="font-size:1%">close</span>`, `<span style="font:italic 0/0 a">close</span>`, `<span style="font:700 1px/2 serif">close</span>`,
		`<div style="opacity:0.01">close</div>`, `<div style="opacity:1%">close</div>`, `<div style="opacity:-1">close</div>`, `<div style="height:1px;overflow:hidden">close</div>`,
		`<div style="display:/**/none">close</div>`, `<div style="dis/* x */play:none">close</div>`, `<div style="display:none/* x">close</div>`, "<div style=\"display:none\t!\timportant\">close</div>", `<style>.q{display:/**/none}</style><div class="q">close</div>`,
		`<template>close</template>`, `<noframes>close</noframes>`, `<object>close</object>`, `<title>close</title>`,
	}
	for _, h := range hidden {
		for _, pad := range []string{"", "<p>" + strings.Repeat("x ", maxHTML/2) + "</p>"} {
			if pad != "" && strings.Contains(h, "<style>") {
				continue // the plain reader knows no style sheets
			}
			blocks, _ := htmlBlocks("<p>open</p>"+h+"<p>after</p>"+pad, maxTrees)
			text := joined(blocks)
			if strings.Contains(text, "close") || !strings.Contains(text, "open") || !strings.Contains(text, "after") {
				t.Errorf("%s (%d bytes more): %.60q", h, len(pad), text)
			}
		}
	}
	for _, h := range []string{
		`<div style="display:block">close</div>`, `<div style="font-size:10px">close</div>`, `<div style="font-size:small">close</div>`, `<div style="font-size:-1px">close</div>`, `<div style="font:0.9em serif">close</div>`, `<div style="font:bold 12px/1 serif">close</div>`, `<div style="font-size:80%">close</div>`,
		`<div style="left:-20px;margin-left:-0.5in">close</div>`, `<div style="opacity:0.5">close</div>`, `<div style="opacity:">close</div>`, `<div style="width:1%;overflow:hidden">close</div>`, `<div style="font-size:2vw">close</div>`, `<div style="height:14px;overflow:hidden">close</div>`, `<style>@media print {.a{display:none}}</style><p class=a>close</p>`, `<div style="max-height:0">close</div>`,
	} {
		if blocks, hid := htmlBlocks(h, maxTrees); joined(blocks) != "close" || hid {
			t.Errorf("%s is to be seen, got %q", h, joined(blocks))
		}
	}
	if m := parse("From: a@b", "Content-Type: text/html", "", "<p>open</p>", hidden[0]); !hasFault(m, "hidden") {
		t.Errorf("nothing was said of hidden text: %v", m.Faults)
	}
}

func TestLargeHTMLKeepsItsQuoteMarks(t *testing.T) {
	t.Parallel()
	pad := strings.Repeat("x ", maxHTML/2)
	blocks, _ := htmlBlocks(`<p>Mine</p><div class="gmail_quote"><div>`+pad+`</div>hers</div><p>below</p>`, maxTrees)
	if len(blocks) != 3 || blocks[0].Text != "Mine" || blocks[1].Kind != triage.Quoted || blocks[2].Text != "below" {
		t.Errorf("%d blocks", len(blocks))
	}
	deep, _ := htmlBlocks("<p>open</p>"+strings.Repeat("<div>", 2000)+"deep", maxTrees)
	if s := joined(deep); !strings.Contains(s, "open") || !strings.Contains(s, "deep") {
		t.Errorf("%q", s)
	}
}

func TestHTMLNestedDeeplyKeepsItsText(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ tag, end, want string }{
		{"<blockquote>", "</blockquote>", strings.Repeat("> ", maxIndent) + "deep"},
		{"<ul><li>", "</ul>", strings.Repeat("- ", maxIndent) + "deep"},
		{"<pre>", "</pre>", "deep"},
	} {
		blocks, _ := htmlBlocks(strings.Repeat(c.tag, maxIndent)+"deep"+strings.Repeat(c.end, maxIndent)+"<p>after", maxTrees)
		deeper, _ := htmlBlocks(strings.Repeat(c.tag, maxIndent+7)+"deep"+strings.Repeat(c.end, maxIndent+7)+"<p>after", maxTrees)
		if got := joined(blocks); got != c.want+"\n\nafter" || joined(deeper) != got {
			t.Errorf("%s: %q and, deeper, %q; want %q", c.tag, got, joined(deeper), c.want)
		}
	}
}

func joined(blocks []triage.Block) string {
	var s []string
	for _, b := range blocks {
		s = append(s, b.Text)
	}
	return strings.Join(s, "\n")
}
