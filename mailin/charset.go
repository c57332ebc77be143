package mailin

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/emersion/go-message/charset"
	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/htmlindex"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/korean"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/traditionalchinese"
	"golang.org/x/text/encoding/unicode/utf32"
)

// decodeText turns bytes into valid UTF-8. The label is what the mail claims
// the charset to be; where the claim is missing, unknown or plainly wrong, the
// charset is guessed from the bytes. The second result is a word for people
// about what was odd, or empty.
func decodeText(label string, b []byte) (text, fault string) {
	label = charsetLabel(label)
	b, bom := cutBOM(b)
	if bom != "" {
		label = bom
	}
	switch label {
	case "":
		return decodeGuessed(b), ""
	case "utf-8":
		return decodeUTF8(b)
	case "utf-7":
		text, hidden := decodeUTF7(b)
		if hidden {
			fault = "text in UTF-7 is shown as it came where it hides ASCII"
		}
		return text, fault
	case "us-ascii":
		return decodeGuessed(b), ""
	case "iso-2022-kr":
		return decodeText("euc-kr", shiftedToEUC(b))
	}
	if isLatin(label) && looksUTF8(b) {
		// Several well-formed multi-byte sequences and not one stray byte
		// is UTF-8 under a wrong label, not Latin.
		return string(b), "text labelled " + quoteShort(label) + " is UTF-8"
	}
	text, err := toUTF8(label, b)
	switch {
	case err != nil:
		return decodeGuessed(b), "unknown charset " + quoteShort(label)
	case strings.ContainsRune(text, utf8.RuneError):
		fault = "some characters do not fit the charset"
	}
	return text, fault
}

// toUTF8 has go-message turn bytes in a named charset into valid UTF-8. The
// error is that the charset is not known.
func toUTF8(label string, b []byte) (string, error) {
	r, err := charsetReader(libraryName(label), bytes.NewReader(b))
	if err != nil {
		return "", err
	}
	var out bytes.Buffer
	out.Grow(len(b) + bytes.MinRead)
	if _, err := out.ReadFrom(r); err != nil {
		return "", fmt.Errorf("read text in %s: %w", quoteShort(label), err)
	}
	return strings.ToValidUTF8(out.String(), "\uFFFD"), nil
}

// charsetReader is go-message's, with what it lacks.
func charsetReader(name string, r io.Reader) (io.Reader, error) {
	switch name {
	case "utf-32":
		return utf32.UTF32(utf32.BigEndian, utf32.UseBOM).NewDecoder().Reader(r), nil
	case "utf-32le":
		return utf32.UTF32(utf32.LittleEndian, utf32.IgnoreBOM).NewDecoder().Reader(r), nil
	case "utf-32be":
		return utf32.UTF32(utf32.BigEndian, utf32.IgnoreBOM).NewDecoder().Reader(r), nil
	case "replacement":
		// What the web refuses to read comes from the library as one U+FFFD.
		return nil, errors.New("a charset that is not read")
	}
	return charset.Reader(name, r)
}

// charsetLabel brings a label to the form that the tables know.
func charsetLabel(label string) string {
	label = strings.ToLower(strings.Trim(label, " \t\r\n\"'<>;,"))
	if i := strings.IndexByte(label, '*'); i > 0 {
		label = label[:i] // a language tag, RFC 2231, section 5
	}
	switch label {
	case "utf8", "utf-8", "x-utf-8", "utf_8", "x-utf_8j", "utf-8-mac", "utf8mb4", "unicode-1-1-utf-8":
		return "utf-8"
	case "ascii", "us-ascii", "usascii", "us_ascii", "ansi_x3.4-1968", "iso-646-us", "iso646-us", "7bit",
		"unknown-8bit", "x-unknown", "unknown", "binary", "8bit", "default", "x-user-defined", "_autodetect", "none", "plain":
		return "us-ascii"
	case "utf-7", "unicode-1-1-utf-7", "utf-7-imap", "x-unicode-2-0-utf-7":
		return "utf-7"
	case "iso-2022-kr", "csiso2022kr":
		return "iso-2022-kr"
	}
	return label
}

// libraryName gives the name by which go-message knows a charset: names of
// its own that programs use, and the wider set where the web and all mail
// programs read more into a label than the standard has.
func libraryName(label string) string {
	switch label {
	case "cp932", "ms932", "windows-932", "x-ms-cp932", "sjis", "shift-jis", "x-sjis-jp", "shift_jisx0213":
		return "shift_jis"
	case "iso-2022-jp-1", "iso-2022-jp-2", "iso-2022-jp-3", "iso-2022-jp-ms", "iso-2022-jp-2004", "cp50220", "cp50221", "cp50222", "jis", "x-jis":
		return "iso-2022-jp"
	case "eucjp", "x-euc", "eucjp-ms", "cp51932", "ujis":
		return "euc-jp"
	case "cp949", "ms949", "uhc", "x-windows-949", "euckr", "ksc5601", "ks_c_5601", "ksc_5601-1987":
		return "euc-kr"
	case "cp936", "ms936", "gb2312", "gb_2312-80", "gbk", "x-gbk", "euc-cn", "euccn", "gb18030", "windows-936":
		return "gb18030"
	case "hz-gb-2312", "hz":
		return "hz-gb-2312"
	case "cp950", "big5-hkscs", "big5hkscs", "x-x-big5", "big-5", "windows-950":
		return "big5"
	case "utf-16", "utf16", "unicode", "ucs-2", "iso-10646-ucs-2":
		return "utf-16"
	case "utf32":
		return "utf-32"
	case "ansi_x3.110-1983", "latin-1", "iso8859_1", "iso_8859_1", "8859-1":
		return "windows-1252"
	case "iso-8859-8-i", "iso-8859-8-e":
		return "iso-8859-8"
	case "latin-9", "iso8859_15":
		return "iso-8859-15"
	}
	// The web's table reads iso-8859-1 as windows-1252, for one.
	if e, err := htmlindex.Get(label); err == nil {
		if name, err := htmlindex.Name(e); err == nil {
			return name
		}
	}
	if n, ok := strings.CutPrefix(label, "cp"); ok && len(n) == 4 {
		return "windows-" + n
	}
	return label
}

func isLatin(label string) bool {
	switch libraryName(label) {
	case "windows-1252", "iso-8859-15":
		return true
	}
	return false
}

// decodeUTF8 takes the label's word where any part of the text bears it out.
func decodeUTF8(b []byte) (text, fault string) {
	if utf8.Valid(b) {
		return string(b), ""
	}
	var good, bad int
	for i := 0; i < len(b); {
		if b[i] < utf8.RuneSelf {
			i++
			continue
		}
		r, n := utf8.DecodeRune(b[i:])
		if r == utf8.RuneError && n == 1 {
			bad++
		} else {
			good++
		}
		i += n
	}
	if good >= bad {
		return strings.ToValidUTF8(string(b), "\uFFFD"), "invalid UTF-8 replaced"
	}
	return decodeGuessed(b), "text labelled utf-8 is not UTF-8"
}

// decodeGuessed decodes text whose charset nobody names.
func decodeGuessed(b []byte) string {
	if bytes.Contains(b, []byte("\x1b$")) && isASCII(b) {
		if out, err := japanese.ISO2022JP.NewDecoder().Bytes(b); err == nil && !bytes.ContainsRune(out, utf8.RuneError) {
			return string(out)
		}
	}
	if utf8.Valid(b) {
		return string(b)
	}
	if looksUTF8Mostly(b) {
		return strings.ToValidUTF8(string(b), "\uFFFD")
	}
	out, err := guessEncoding(b).NewDecoder().Bytes(b)
	if err != nil {
		return strings.ToValidUTF8(string(b), "\uFFFD")
	}
	return strings.ToValidUTF8(string(out), "\uFFFD")
}

// guessSample bounds the bytes that guessing looks at.
const guessSample = 16 << 10

// guessEncoding tells East Asian and Cyrillic charsets from Western text by
// how common the characters would be that each reading gives. Western is the
// answer in doubt: a wrong guess there costs an accent, not the whole text.
func guessEncoding(b []byte) encoding.Encoding {
	if len(b) > guessSample {
		b = b[:guessSample]
		for len(b) > 0 && b[len(b)-1] >= utf8.RuneSelf {
			b = b[:len(b)-1]
		}
	}
	var high int
	for _, c := range b {
		if c >= utf8.RuneSelf {
			high++
		}
	}
	best, bestScore := encoding.Encoding(charmap.Windows1252), 0.5
	if high < 4 {
		return best
	}
	for _, g := range guesses {
		out, err := g.enc.NewDecoder().Bytes(b)
		if err != nil || bytes.ContainsRune(out, utf8.RuneError) {
			continue
		}
		var hit, all float64
		var prev rune
		for _, r := range string(out) {
			if r >= utf8.RuneSelf {
				all++
				hit += g.worth(r, prev)
			}
			prev = r
		}
		if all > 0 && hit/all > bestScore {
			best, bestScore = g.enc, hit/all
		}
	}
	return best
}

// guesses are the charsets that unlabelled mail is found in, each with what a
// character is worth as a sign that the reading is right, from 0 to 1.
var guesses = []struct {
	enc   encoding.Encoding
	worth func(r, prev rune) float64
}{
	{japanese.ShiftJIS, worthJapanese},
	{japanese.EUCJP, worthJapanese},
	{korean.EUCKR, worthKorean},
	{traditionalchinese.Big5, worthChinese},
	{simplifiedchinese.GBK, worthChinese},
	{charmap.KOI8R, worthCyrillic},
	{charmap.Windows1251, worthCyrillic},
}

func worthJapanese(r, _ rune) float64 {
	switch {
	case r >= 0x3041 && r <= 0x30FF, r == 0x3001, r == 0x3002:
		return 1
	case r >= 0x4E00 && r <= 0x9FFF:
		return 0.6
	}
	return 0
}

func worthKorean(r, _ rune) float64 {
	if r >= 0xAC00 && r <= 0xD7A3 {
		return 0.95
	}
	return 0
}

// commonHan are the characters that make up a good part of any Chinese text,
// in both scripts; chance readings rarely contain them.
const commonHan = "的一是不了人我在有他這这中大來来上國国個个到說说們们為为子和你地出道也時时年得就那要下以生會会自著着去之過过家學学對对可她裡里後后小麼么心多天而能好都然沒没日於于起還还發发成事只作當当想看文無无開开手十用主行方又如前所本見见經经頭头面公同三已老從从動动兩两長长知民樣样現现分將将外但身些與与高意進进把法此實实回二理美點点月明其種种聲声全工己話话兒儿者向情部正名定女問问力機机給给等幾几很業业最間间新什打便位因重被走電电四第門门相次東东政海口使教西再平真聽听世氣气信北少關关並并內内加化由卻却代軍军產产入先山五太水萬万市眼體体別别處处總总才場场師师書书比住員员九笑性通目華华報报立馬马命張张活難难神數数件安表原車车白應应路期叫死常提感金何更反合放做系計计或司利受光王果親亲界及今京務务製制解各任至清物台象記记邊边共風风戰战干接它許许八特覺觉望直服毛林題题建南度統统色字請请交愛爱讓让認认算論论百吃義义科怎元社術术結结六功指思非流每青管夫連连遠远資资隊队跟帶带花快條条院變变聯联言權权往展該该領领傳传近留紅红治決决周保達达辦办運运武半候七必城父強强步完革深區区即求品士轉转量空甚眾众技輕轻程告江語语英基派滿满式李息寫写呢識识極极令黃黄德收臉脸錢钱黨党倒未持取設设始版雙双歷历越史商千片容研像找友孩站廣广改議议形委早房音火際际則则首單单據据導导影失拿網网香似斯專专石若兵弟誰谁校讀读志飛飞觀观爭争究包組组造落視视濟济喜離离雖虽壞坏興兴切星寶宝"

func worthChinese(r, _ rune) float64 {
	switch {
	case strings.ContainsRune(commonHan, r):
		return 1
	case r >= 0x4E00 && r <= 0x9FFF:
		return 0.3
	case r == 0x3002 || r == 0xFF0C || r == 0x3001:
		return 0.8
	}
	return 0
}

// worthCyrillic counts lower-case letters, and capitals only at the start of
// a word: the two charsets hold the same letters with the cases exchanged.
func worthCyrillic(r, prev rune) float64 {
	switch {
	case r >= 0x430 && r <= 0x44F:
		return 0.9
	case r >= 0x410 && r <= 0x42F && !(prev >= 0x410 && prev <= 0x44F):
		return 0.9
	}
	return 0
}

// shiftedToEUC turns ISO-2022-KR (RFC 1557) into EUC-KR: between SO and SI
// each byte stands for itself with the high bit set.
func shiftedToEUC(b []byte) []byte {
	b = bytes.ReplaceAll(b, []byte("\x1b$)C"), nil)
	out := make([]byte, 0, len(b))
	shifted := false
	for _, c := range b {
		switch {
		case c == 0x0E:
			shifted = true
		case c == 0x0F:
			shifted = false
		case c == '\n':
			shifted = false
			out = append(out, c)
		case shifted && c > 0x20 && c < 0x7F:
			out = append(out, c|0x80)
		default:
			out = append(out, c)
		}
	}
	return out
}

func cutBOM(b []byte) (rest []byte, label string) {
	switch {
	case bytes.HasPrefix(b, []byte("\xEF\xBB\xBF")):
		return b[3:], "utf-8"
	case bytes.HasPrefix(b, []byte("\xFF\xFE\x00\x00")):
		return b[4:], "utf-32le"
	case bytes.HasPrefix(b, []byte("\xFF\xFE")):
		return b[2:], "utf-16le"
	case bytes.HasPrefix(b, []byte("\xFE\xFF")):
		return b[2:], "utf-16be"
	}
	return b, ""
}

// looksUTF8 wants two or more multi-byte characters and no invalid byte.
func looksUTF8(b []byte) bool {
	if !utf8.Valid(b) {
		return false
	}
	var n int
	for _, c := range b {
		if c >= 0xC2 && c <= 0xF4 {
			n++
		}
	}
	return n >= 2
}

// looksUTF8Mostly is for UTF-8 that something cut or spoiled in a few places.
func looksUTF8Mostly(b []byte) bool {
	var good, bad int
	for i := 0; i < len(b); {
		if b[i] < utf8.RuneSelf {
			i++
			continue
		}
		r, n := utf8.DecodeRune(b[i:])
		if r == utf8.RuneError && n == 1 {
			bad++
		} else {
			good++
		}
		i += n
	}
	return good > 4*bad
}

func isASCII(b []byte) bool {
	for _, c := range b {
		if c >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// cleanText makes decoded text fit to be kept: line ends become LF, NUL and
// invalid UTF-8 become U+FFFD, other controls go (a database refuses the one,
// a terminal obeys the other).
func cleanText(s string) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	dirty := false
	for i := 0; i < len(s); i++ {
		if c := s[i]; c < ' ' && c != '\n' && c != '\t' || c == 0x7F || c == 0xC2 || c == 0xEF || c == 0xE2 {
			dirty = true
			break
		}
	}
	if !dirty {
		return s
	}
	var b strings.Builder
	b.Grow(len(s))
	for i, r := range s {
		switch {
		case r == '\r':
			if i+1 >= len(s) || s[i+1] != '\n' && s[i+1] != '\r' {
				b.WriteByte('\n')
			}
		case r == 0:
			b.WriteRune('\uFFFD')
		case r == '\f' || r == '\v' || r == '\u2028' || r == '\u2029' || r == '\u0085':
			b.WriteByte('\n')
		case r < ' ' && r != '\n' && r != '\t', r >= 0x7F && r < 0xA0, r == '\uFEFF':
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// cleanLine makes one line out of header text: no controls, no line ends.
func cleanLine(s string) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\t' || r == '\n':
			return ' '
		case r == 0:
			return '\uFFFD'
		case r < ' ', r >= 0x7F && r < 0xA0, r == '\u2028', r == '\u2029', r == '\uFEFF':
			return -1
		}
		return r
	}, s)
}

// quoteShort shows a few bytes of a stranger's text within a fault.
func quoteShort(s string) string {
	if len(s) > 40 {
		s = s[:40]
	}
	return `"` + strings.ToValidUTF8(cleanLine(s), "\uFFFD") + `"`
}
