package store

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// How a text is taken apart for the search. It is done here, for both
// databases alike: they get words that are folded already, and compare bytes.
//
//   - Letters lose case and accents (Drücker and DRUCKER are drucker, ß is ss,
//     and so is every letter that another way of writing it stands for).
//   - Runs of letters and digits are words. Those that stand together without
//     a space are kept in pairs, too: "vpn.example.org" is the words vpn,
//     example and org, and the pairs vpn-example and example-org. So a name of
//     a machine, a part number or a hyphenated word is found whole, by a part
//     of it that hangs together, and by each of its words.
//   - A mail address is kept whole besides.
//   - Scripts that write no spaces are kept in pairs of letters, and the last
//     letter of a run by itself.
const (
	maxWord    = 64        // bytes of a word
	maxAddress = 128       // of an address
	maxText    = 256 << 10 // of one text
	maxWords   = 5000      // different ones of one entry
)

// folded is a text in the form in which its words are compared.
func folded(s string) string {
	if len(s) > maxText {
		s = s[:maxText]
	}
	ascii := true
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			ascii = false
			break
		}
	}
	if ascii {
		return strings.ToLower(s)
	}
	s = strings.ToValidUTF8(s, "\uFFFD")
	var b strings.Builder
	b.Grow(len(s))
	for _, r := range norm.NFKD.String(s) {
		switch {
		case r < utf8.RuneSelf:
			b.WriteByte(byte(unicode.ToLower(r)))
		case accent(r), unicode.Is(unicode.Cf, r):
		default:
			if plain, ok := plainLetter(unicode.ToLower(r)); ok {
				b.WriteString(plain)
			} else {
				b.WriteRune(unicode.ToLower(r))
			}
		}
	}
	return norm.NFC.String(b.String()) // Hangul is whole again, kana have their marks
}

// accent says whether a mark can be left away without making another letter
// of it. In Indic scripts, Thai and kana it cannot.
func accent(r rune) bool {
	switch {
	case 0x0300 <= r && r <= 0x036F, 0x0483 <= r && r <= 0x0489, 0x0591 <= r && r <= 0x05C7,
		0x0610 <= r && r <= 0x061A, 0x064B <= r && r <= 0x065F, r == 0x0670, 0x06D6 <= r && r <= 0x06ED,
		0x1AB0 <= r && r <= 0x1AFF, 0x1DC0 <= r && r <= 0x1DFF, 0x20D0 <= r && r <= 0x20FF,
		0xFE00 <= r && r <= 0xFE0F, 0xFE20 <= r && r <= 0xFE2F:
		return unicode.Is(unicode.M, r)
	}
	return false
}

// plainLetter is how a letter is typed that Unicode does not take apart.
func plainLetter(r rune) (string, bool) {
	switch r {
	case 'ß':
		return "ss", true
	case 'æ':
		return "ae", true
	case 'œ':
		return "oe", true
	case 'þ':
		return "th", true
	case 'ø':
		return "o", true
	case 'ł':
		return "l", true
	case 'đ', 'ð':
		return "d", true
	case 'ħ':
		return "h", true
	case 'ı':
		return "i", true
	case 'ŋ':
		return "n", true
	case 'ŧ':
		return "t", true
	case 'ς':
		return "σ", true
	case 'ـ': // tatweel only makes a word longer
		return "", true
	}
	return "", false
}

// What a letter is to the search.
const (
	space  = iota
	joint  // stands between words without a space
	letter // of a word, or a digit
	dense  // of a script that writes no spaces
	symbol // an emoji: a word by itself
)

func kindOf(r rune) int {
	if r < utf8.RuneSelf {
		switch {
		case 'a' <= r && r <= 'z', '0' <= r && r <= '9', 'A' <= r && r <= 'Z':
			return letter
		case r <= ' ' || r == 0x7F:
			return space
		}
		return joint
	}
	switch {
	case r >= 0x0E00 && unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Thai, unicode.Lao, unicode.Khmer, unicode.Myanmar) || r == 'ー':
		if unicode.In(r, unicode.L, unicode.M) {
			return dense
		}
		if unicode.Is(unicode.N, r) {
			return letter
		}
		return joint
	case unicode.In(r, unicode.L, unicode.N, unicode.M):
		return letter
	case unicode.IsSpace(r), unicode.Is(unicode.Z, r):
		return space
	case unicode.Is(unicode.So, r) && r != utf8.RuneError:
		return symbol
	}
	return joint
}

// unit is one thing that a text is found by.
type unit struct {
	text     string
	from, to int // where it stands in the folded text
	kind     int // of the kinds below
}

const (
	wordUnit    = iota
	pairUnit    // of two words that stand together without a space
	addressUnit // a mail address
	denseUnit   // two letters of a script without spaces, or the last one of a run
	lastUnit    // that last one
	symbolUnit
)

// units goes through a folded text. What it gives of a text that stands alone
// between spaces it gives in order.
func units(s string, give func(unit)) {
	type span struct{ from, to int }
	var before span  // the word before, of the same chunk
	var letter1 span // the dense letter before
	closeRun := func() {
		if letter1.to > 0 {
			give(unit{s[letter1.from:letter1.to], letter1.from, letter1.to, lastUnit})
			letter1 = span{}
		}
	}
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		k := kindOf(r)
		if k != dense {
			closeRun()
		}
		switch k {
		case letter:
			from := i
			for i += size; i < len(s); i += size {
				if r, size = utf8.DecodeRuneInString(s[i:]); kindOf(r) != letter {
					break
				}
			}
			word := span{from, i}
			give(unit{clipped(s[word.from:word.to], maxWord), word.from, word.to, wordUnit})
			if before.to > 0 {
				give(unit{pairOf(s[before.from:before.to], s[word.from:word.to]), before.from, word.to, pairUnit})
			}
			before = word
			continue
		case dense:
			if letter1.to > 0 {
				give(unit{s[letter1.from : i+size], letter1.from, i + size, denseUnit})
			}
			letter1, before = span{i, i + size}, span{}
		case symbol:
			give(unit{s[i : i+size], i, i + size, symbolUnit})
			before = span{}
		case space:
			before = span{}
		case joint:
			if r == '@' {
				if from, to := addressAround(s, i); to > 0 {
					give(unit{clipped(s[from:to], maxAddress), from, to, addressUnit})
				}
			}
		}
		i += size
	}
	closeRun()
}

func pairOf(a, b string) string { return clipped(a, maxWord) + "-" + clipped(b, maxWord) }

// addressAround finds the mail address with its @ at a place; to is 0 where
// there is none.
func addressAround(s string, at int) (from, to int) {
	part := func(r rune) bool {
		k := kindOf(r)
		return k == letter || k == dense || r == '.' || r == '-' || r == '_' || r == '+'
	}
	from, to = at, at+1
	for from > 0 && at-from < maxAddress {
		r, size := utf8.DecodeLastRuneInString(s[:from])
		if !part(r) {
			break
		}
		from -= size
	}
	for to < len(s) && to-at < maxAddress {
		r, size := utf8.DecodeRuneInString(s[to:])
		if !part(r) {
			break
		}
		to += size
	}
	from += len(s[from:at]) - len(strings.TrimLeft(s[from:at], "._-+"))
	to -= len(s[at+1:to]) - len(strings.TrimRight(s[at+1:to], "._-+"))
	if from == at || to == at+1 {
		return 0, 0
	}
	return from, to
}

// clipped is a text cut to so many bytes.
func clipped(s string, most int) string {
	if len(s) <= most {
		return s
	}
	for !utf8.RuneStart(s[most]) {
		most--
	}
	return s[:most]
}

// wordSet is what a ticket is found by.
type wordSet map[string]struct{}

// add takes the words of a text in, as long as there is room.
func (w wordSet) add(text string) {
	units(folded(text), func(t unit) {
		if len(w) < maxWords {
			w[t.text] = struct{}{}
		}
	})
}

// Bounds of what is searched for.
const (
	maxQuery       = 1000 // bytes
	maxTerms       = 12   // words
	leastBeginning = 3    // letters of a last word that is found as a beginning, too
)

// term is one word that must stand in a ticket, or the beginning of one.
type term struct {
	text      string
	beginning bool
}

func (t term) matches(word string) bool {
	return word == t.text || t.beginning && strings.HasPrefix(word, t.text)
}

// inWords is what stands in a list of words, each between spaces, that has the
// term.
func (t term) inWords() string {
	if t.beginning {
		return " " + t.text
	}
	return " " + t.text + " "
}

// terms reads what somebody searches for. A word with a star behind it is a
// beginning; so is the last one when it is long enough and no number. Words
// within quotes are whole.
func terms(query string) []term {
	query = folded(clipped(clean(query), maxQuery))
	var list []term
	quoted := false
	chunks := strings.FieldsFunc(query, func(r rune) bool { return kindOf(r) == space })
	for n, chunk := range chunks {
		opens := strings.Count(chunk, `"`)
		list = append(list, termsOf(chunk, n == len(chunks)-1 && !quoted && opens == 0)...)
		if opens%2 == 1 {
			quoted = !quoted
		}
	}
	var kept []term
	for _, t := range list {
		double := false
		for _, k := range kept {
			double = double || k == t
		}
		if !double && len(kept) < maxTerms {
			kept = append(kept, t)
		}
	}
	return kept
}

// termsOf reads what stands between two spaces.
func termsOf(chunk string, last bool) []term {
	var all []unit
	units(chunk, func(t unit) { all = append(all, t) })
	starred := strings.HasSuffix(chunk, "*")
	var list []term
	for i, t := range all {
		covered := false // by a longer one
		for _, o := range all {
			wider := o.from <= t.from && t.to <= o.to
			switch t.kind {
			case wordUnit:
				covered = covered || wider && (o.kind == pairUnit || o.kind == addressUnit)
			case pairUnit:
				covered = covered || wider && o.kind == addressUnit
			case lastUnit:
				covered = covered || wider && o.kind == denseUnit
			}
		}
		if covered {
			continue
		}
		beginning := t.kind == lastUnit // one letter: any pair that begins with it
		if t.kind == wordUnit || t.kind == pairUnit || t.kind == addressUnit {
			// What the whole ends with: nothing but signs stands behind it.
			atEnd := true
			for _, o := range all[i+1:] {
				atEnd = atEnd && o.to <= t.to
			}
			word := t.text[strings.LastIndexAny(t.text, "-@.")+1:]
			beginning = atEnd && (starred || last && long(word)) && t.to-t.from <= maxWord
		}
		list = append(list, term{t.text, beginning})
	}
	return list
}

// long says whether a word is one whose other endings are looked for, too. A
// Korean letter is a syllable.
func long(word string) bool {
	size := 0
	for _, r := range word {
		if size++; unicode.Is(unicode.Hangul, r) {
			size++
		}
	}
	return size >= leastBeginning && strings.ContainsFunc(word, unicode.IsLetter)
}
