package mailout

import (
	"fmt"
	"html"
	"regexp"
	"strings"
	"unicode/utf8"
)

// twin makes the HTML part of a mail out of its finished text, so that there
// is one source of wording and no second set of templates to keep. It knows
// the shapes that our templates write: the delimiter, quotes, lists, aligned
// "Label:  value" lines, links in angle brackets, the signature. All that it
// writes is escaped text, but for the links that we made ourselves; nothing in
// it is fetched from anywhere (T25).
//
// A quoted line keeps its "> " as text within the <blockquote>, for programs
// that make plain text out of it when they answer (T8).
type twin struct {
	links    map[string]bool // addresses of ours that may be followed
	language string
	plain    bool // a person's mail: paragraphs and quotes, no furniture
}

// Styles. There are no backgrounds but that of the buttons, and no colour of
// text beside them, so that dark mode finds nothing to invert.
const (
	styleBody   = `margin:0;padding:8px;`
	styleAll    = `max-width:42em;font-family:-apple-system,'Segoe UI',Roboto,Helvetica,Arial,sans-serif;font-size:15px;line-height:1.45;overflow-wrap:break-word;word-wrap:break-word;`
	stylePara   = `margin:0 0 14px;`
	styleHead   = `margin:0 0 4px;font-weight:bold;`
	styleMuted  = `margin:0 0 14px;font-size:13px;opacity:0.75;`
	styleQuote  = `margin:0 0 14px;padding:2px 0 2px 10px;border-left:3px solid #8a94a6;`
	styleIndent = `margin:0 0 14px;`
	styleList   = `margin:0 0 14px;padding-left:22px;`
	styleTable  = `margin:0 0 14px;border-collapse:collapse;font-size:15px;line-height:1.45;`
	styleLabel  = `padding:1px 14px 1px 0;vertical-align:top;white-space:nowrap;opacity:0.75;`
	styleValue  = `padding:1px 0;vertical-align:top;`
	styleKeys   = `margin:0 0 8px;border-collapse:separate;border-spacing:0;font-size:15px;`
	styleKey    = `padding:0;border-radius:6px;background-color:#1f5fbf;mso-padding-alt:9px 16px;`
	styleGap    = `width:8px;height:8px;font-size:8px;line-height:8px;`
	styleAnchor = `display:block;padding:9px 16px;white-space:nowrap;color:#ffffff;text-decoration:none;font-weight:bold;`
)

// shape is what a run of lines looks like.
type shape int

const (
	blankLine shape = iota
	plainLine
	delimiterLine
	signatureLine // "-- ": it and everything beneath
	quotedLine    // this one and the following: what a line with a colon leads to
	listLine
	indentedLine
)

func shapeOf(line string) shape {
	switch {
	case line == "":
		return blankLine
	case line == Delimiter:
		return delimiterLine
	case line == "-- ":
		return signatureLine
	case line[0] == '>', strings.HasPrefix(line, "  > "):
		return quotedLine
	case strings.HasPrefix(line, "  - "):
		return listLine
	case strings.HasPrefix(line, "  "):
		return indentedLine
	}
	return plainLine
}

// write gives the whole document, with LF line ends.
func (p twin) write(text string) string {
	var b strings.Builder
	b.WriteString("<!DOCTYPE html>\n<html lang=\"" + p.language + "\">\n<head>\n<meta charset=\"utf-8\">\n" +
		"<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n" +
		"<meta name=\"color-scheme\" content=\"light dark\">\n<meta name=\"supported-color-schemes\" content=\"light dark\">\n" +
		"</head>\n<body style=\"" + styleBody + "\">\n<div style=\"" + styleAll + "\">\n")
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	para := stylePara
	for i := 0; i < len(lines); {
		is := shapeOf(lines[i])
		end := i + 1
		for end < len(lines) && (shapeOf(lines[end]) == is || is == signatureLine) {
			end++
		}
		run := lines[i:end]
		switch is {
		case blankLine:
		case delimiterLine, signatureLine:
			p.paragraph(&b, styleMuted, run)
		case quotedLine:
			b.WriteString("<blockquote style=\"" + styleQuote + "\">")
			p.lines(&b, run, strings.IndexByte(run[0], '>'))
			b.WriteString("</blockquote>\n")
		case listLine:
			b.WriteString("<ul style=\"" + styleList + "\">\n")
			for _, l := range run {
				b.WriteString("<li>" + p.inline(l[len("  - "):]) + "</li>\n")
			}
			b.WriteString("</ul>\n")
		case indentedLine:
			rows, ok := rowsOf(run)
			switch {
			case p.plain || !ok:
				p.indented(&b, run)
			case p.allLinks(rows):
				p.keys(&b, rows)
				para = styleMuted // what follows explains them
			default:
				p.table(&b, rows)
			}
		default:
			style := para
			if !p.plain && strings.HasSuffix(run[len(run)-1], ":") && next(lines[end:]) >= quotedLine {
				style = styleHead
			}
			p.paragraph(&b, style, run)
		}
		i = end
	}
	b.WriteString("</div>\n</body>\n</html>\n")
	return b.String()
}

// next is the shape of the first line that is not blank.
func next(lines []string) shape {
	for _, l := range lines {
		if s := shapeOf(l); s != blankLine {
			return s
		}
	}
	return blankLine
}

func (p twin) paragraph(b *strings.Builder, style string, lines []string) {
	b.WriteString("<p style=\"" + style + "\">")
	p.lines(b, lines, 0)
	b.WriteString("</p>\n")
}

// lines writes lines beneath one another, each without its first strip bytes.
func (p twin) lines(b *strings.Builder, lines []string, strip int) {
	for i, l := range lines {
		if i > 0 {
			b.WriteString("<br>\n")
		}
		b.WriteString(p.inline(l[min(strip, len(l)):]))
	}
}

// indented writes lines each as a block of its own, so that what is too long
// for the screen goes on beneath its beginning.
func (p twin) indented(b *strings.Builder, lines []string) {
	b.WriteString("<div style=\"" + styleIndent + "\">\n")
	for _, l := range lines {
		own := strings.TrimLeft(l, " ")
		fmt.Fprintf(b, "<div style=\"padding-left:%dpx;\">%s</div>\n", min(7*(len(l)-len(own)), 70), p.inline(own))
	}
	b.WriteString("</div>\n")
}

// row is one "Label:  value" line.
type row struct{ label, value string }

// subjectTag is a tag such as [IT-1042], which must not be broken at its hyphen.
var subjectTag = regexp.MustCompile(`\[[A-Za-z0-9]{1,10}-[0-9]{1,18}\]`)

var rowLine = regexp.MustCompile(`^  ([^:<>\[\]]{1,40}:)( +)(\S.*)$`)

// rowsOf reads lines as rows whose values stand beneath one another.
func rowsOf(lines []string) (rows []row, ok bool) {
	column := 0
	for _, l := range lines {
		m := rowLine.FindStringSubmatch(l)
		if m == nil {
			return nil, false
		}
		at := utf8.RuneCountInString(m[1] + m[2])
		if column != 0 && at != column {
			return nil, false
		}
		column = at
		rows = append(rows, row{m[1], m[3]})
	}
	return rows, true
}

// allLinks says whether each value is one of our links in angle brackets.
func (p twin) allLinks(rows []row) bool {
	for _, r := range rows {
		if n := len(r.value); n < 2 || r.value[0] != '<' || r.value[n-1] != '>' || !p.links[r.value[1:n-1]] {
			return false
		}
	}
	return true
}

func (p twin) table(b *strings.Builder, rows []row) {
	b.WriteString("<table role=\"presentation\" cellpadding=\"0\" cellspacing=\"0\" border=\"0\" style=\"" + styleTable + "\">\n")
	for _, r := range rows {
		b.WriteString("<tr><td style=\"" + styleLabel + "\">" + p.inline(r.label) + "</td><td style=\"" + styleValue + "\">" + p.inline(r.value) + "</td></tr>\n")
	}
	b.WriteString("</table>\n")
}

// keys writes links as buttons, two in a row: cells, since Outlook gives
// nothing else a background of its own.
func (p twin) keys(b *strings.Builder, rows []row) {
	const gap = "<td style=\"" + styleGap + "\">&#160;</td>"
	b.WriteString("<table role=\"presentation\" cellpadding=\"0\" cellspacing=\"0\" border=\"0\" style=\"" + styleKeys + "\">\n")
	for i := 0; i < len(rows); i += 2 {
		b.WriteString("<tr>")
		for j, r := range rows[i:min(i+2, len(rows))] {
			if j > 0 {
				b.WriteString(gap)
			}
			b.WriteString("<td align=\"center\" bgcolor=\"#1f5fbf\" style=\"" + styleKey + "\"><a href=\"" + html.EscapeString(r.value[1:len(r.value)-1]) +
				"\" style=\"" + styleAnchor + "\">" + html.EscapeString(strings.TrimSuffix(r.label, ":")) + "</a></td>")
		}
		b.WriteString("</tr>\n<tr>" + gap + "</tr>\n")
	}
	b.WriteString("</table>\n")
}

// inline escapes a line, keeps its spaces and makes links of the addresses
// that are ours. Nothing else becomes a link, whatever it looks like.
func (p twin) inline(s string) string {
	var b strings.Builder
	for i, word := range strings.Split(s, " ") {
		if i > 0 {
			b.WriteByte(' ')
		}
		href := strings.TrimPrefix(strings.TrimRight(word, ">.,"), "<")
		if href == "" || !p.links[href] {
			b.WriteString(html.EscapeString(word))
			continue
		}
		before, after, _ := strings.Cut(word, href)
		href = html.EscapeString(href)
		b.WriteString(html.EscapeString(before) + "<a href=\"" + href + "\">" + href + "</a>" + html.EscapeString(after))
	}
	out := strings.ReplaceAll(b.String(), "\t", "    ")
	out = subjectTag.ReplaceAllString(out, `<span style="white-space:nowrap;">$0</span>`)
	if strings.HasPrefix(out, " ") {
		out = "&#160;" + out[1:]
	}
	return strings.ReplaceAll(out, "  ", " &#160;")
}
