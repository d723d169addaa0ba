package catalog

import (
	"strings"
	"unicode"
)

// script is the kind of a rune before folding. Titles are matched at the
// borders of words; in Japanese, which has no spaces, a change of script is
// the border that can be seen.
type script uint8

const (
	other script = iota
	latin        // letters and digits
	hiragana
	katakana
	kanji
)

// folded is a text in the form in which texts are compared: no width, case,
// accents, spaces or punctuation, and hiragana for katakana.
type folded struct {
	runes  []rune
	script []script // of each rune, before folding
	begins []bool   // whether a space or punctuation came before the rune
	quotes []bool   // whether that was an opening quotation mark
	cased  []bool   // whether the rune was an upper-case letter
}

// Fold returns text in the form in which the catalogue compares texts: full
// width and half width, upper and lower case, hiragana and katakana, with and
// without accents, spaces and punctuation all become the same.
func Fold(text string) string { return string(fold(text).runes) }

func fold(text string) folded {
	var f folded
	begins, quote := true, false
	put := func(r rune, s script, cased bool) {
		f.runes = append(f.runes, r)
		f.script = append(f.script, s)
		f.begins = append(f.begins, begins)
		f.quotes = append(f.quotes, quote)
		f.cased = append(f.cased, cased)
		begins, quote = false, false
	}
	for _, r := range text {
		// The voicing marks of half-width katakana, and combining ones, change
		// the kana before them.
		if r == 'ﾞ' || r == 'ﾟ' || r == '\u3099' || r == '\u309a' {
			if n := len(f.runes); n > 0 && !begins {
				f.runes[n-1] = voiced(f.runes[n-1], r == 'ﾟ' || r == '\u309a')
			}
			continue
		}
		r = widen(r)
		switch {
		case r >= 'ァ' && r <= 'ヶ':
			put(r-'ァ'+'ぁ', katakana, false)
		case r >= 'ㇰ' && r <= 'ㇿ': // the small kana of Ainu words
			put(ainu[r-'ㇰ'], katakana, false)
		case r >= 'ぁ' && r <= 'ゖ':
			put(r, hiragana, false)
		case r == 'ー':
			s := katakana
			if n := len(f.script); n > 0 && f.script[n-1] == hiragana {
				s = hiragana
			}
			put(r, s, false)
		case unicode.Is(unicode.Han, r):
			put(r, kanji, false)
		case r == '×':
			put('x', latin, false)
		case r == '&':
			begins = true
			for _, a := range "and" {
				put(a, latin, false)
			}
			begins = true
		case r == '½':
			put('1', latin, false)
			put('2', latin, false)
		case r == '\'' || r == '’': // "Hell's" is one word
		case unicode.IsLetter(r) || unicode.IsDigit(r):
			put(plain(unicode.ToLower(r)), latin, unicode.IsUpper(r))
		case unicode.Is(unicode.Mn, r): // a combining accent
		default:
			begins, quote = true, strings.ContainsRune("「『【《\"“‘", r)
		}
	}
	return f
}

// widen returns the usual form of the half-width and full-width characters
// (Unicode block FF00–FFEF).
func widen(r rune) rune {
	switch {
	case r >= '！' && r <= '～':
		return r - '！' + '!'
	case r >= 'ｦ' && r <= 'ﾝ':
		return halfKatakana[r-'ｦ']
	}
	return r
}

var (
	halfKatakana = []rune("ヲァィゥェォャュョッーアイウエオカキクケコサシスセソタチツテトナニヌネノハヒフヘホマミムメモヤユヨラリルレロワン")
	ainu         = []rune("くしすとぬはひふへほむらりるれろ")
)

// voiced adds a voicing mark to a folded kana: は becomes ば, or ぱ.
func voiced(r rune, half bool) rune {
	switch {
	case half && r >= 'は' && r <= 'ほ' && (r-'は')%3 == 0:
		return r + 2
	case half:
		return r
	case r >= 'は' && r <= 'ほ' && (r-'は')%3 == 0,
		r >= 'か' && r <= 'ち' && (r-'か')%2 == 0,
		r == 'つ' || r == 'て' || r == 'と':
		return r + 1
	case r == 'う':
		return 'ゔ'
	}
	return r
}

// plain removes the accents that occur in romanised titles.
func plain(r rune) rune {
	switch r {
	case 'à', 'á', 'â', 'ä', 'ā':
		return 'a'
	case 'è', 'é', 'ê', 'ë', 'ē':
		return 'e'
	case 'ì', 'í', 'î', 'ï', 'ī':
		return 'i'
	case 'ò', 'ó', 'ô', 'ö', 'ō':
		return 'o'
	case 'ù', 'ú', 'û', 'ü', 'ū':
		return 'u'
	}
	return r
}

// border says whether a word can begin before rune i, or end there.
func (f folded) border(i int) bool {
	if i <= 0 || i >= len(f.runes) || f.begins[i] {
		return true
	}
	a, b := f.script[i-1], f.script[i]
	return a != b || a == hiragana || a == kanji // neither has borders that can be seen
}

// hasPrefix says whether key stands at rune i.
func (f folded) hasPrefix(i int, key []rune) bool {
	if len(f.runes)-i < len(key) {
		return false
	}
	for k, r := range key {
		if f.runes[i+k] != r {
			return false
		}
	}
	return true
}
