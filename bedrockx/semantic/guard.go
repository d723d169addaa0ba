package semantic

import (
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/mangaassist/bedrockkit/cache"
)

// A Guard returns the parts of a question that change its answer but hardly change its
// vector, such as its numbers. Two questions can share an answer only if these parts
// are equal, in any order. It must be safe for concurrent use.
type Guard func(question string) []string

// guarded is the scope of the questions about which all guards say the same.
func guarded(scope cache.Key, question string, guards []Guard) cache.Key {
	if len(guards) == 0 {
		return scope
	}
	h := sha256.New()
	write := func(s string) {
		h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(s))))
		h.Write([]byte(s))
	}
	write("bedrockkit/semantic/1")
	write(string(scope.Sum[:]))
	for _, guard := range guards {
		facts := slices.Sorted(slices.Values(guard(question)))
		h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(facts))))
		for _, fact := range facts {
			write(fact)
		}
	}
	h.Sum(scope.Sum[:0])
	return scope
}

// words are the runs of letters, digits and apostrophes of a text.
func words(text string) []string {
	text = strings.ReplaceAll(text, "’", "'")
	return strings.FieldsFunc(text, func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !unicode.IsMark(r) && r != '\''
	})
}

// Numbers is a [Guard] on numbers: "volume 3" is not "volume 4". It finds digits
// of all scripts, with their decimal places, the numerals of Chinese and
// Japanese, and the words of small numbers in English.
func Numbers(question string) []string {
	var facts []string
	var number strings.Builder
	end := func() {
		if number.Len() > 0 {
			facts = append(facts, strings.TrimRight(number.String(), ".,"))
			number.Reset()
		}
	}
	for _, r := range question {
		switch {
		case unicode.IsDigit(r):
			number.WriteRune(digit(r))
		case (r == '.' || r == ',') && number.Len() > 0:
			number.WriteRune(r)
		default:
			end()
			if strings.ContainsRune("〇一二三四五六七八九十百千万億", r) {
				facts = append(facts, string(r))
			}
		}
	}
	end()
	for _, word := range words(question) {
		if word = strings.ToLower(word); numberWords[word] {
			facts = append(facts, word)
		}
	}
	return facts
}

// digit is a decimal digit of any script as one of ASCII. The ten digits of a
// script follow each other.
func digit(r rune) rune {
	zero := r
	for range 9 {
		if !unicode.IsDigit(zero - 1) {
			break
		}
		zero--
	}
	return '0' + (r-zero)%10
}

var numberWords = set(`zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen
	seventeen eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred thousand million billion
	first second third fourth fifth sixth seventh eighth ninth tenth last half double twice once dozen`)

// Negations is a [Guard] on negations and opposites: "can I" is not "can't I",
// and "turn on" is not "turn off". It knows those of English, negations of
// German, French, Spanish, Italian and Portuguese, and of Chinese and Japanese.
func Negations(question string) []string {
	var facts []string
	for _, word := range words(question) {
		word = strings.ToLower(word)
		switch {
		case strings.HasSuffix(word, "n't") || negations[word]:
			facts = append(facts, "not")
		case strings.HasPrefix(word, "open"):
			facts = append(facts, "open")
		case strings.HasPrefix(word, "clos"):
			facts = append(facts, "close")
		case opposites[word]:
			facts = append(facts, word)
		}
	}
	for _, part := range []string{"ない", "ません", "なし", "不", "没", "沒", "無", "无", "未", "非", "別", "别"} {
		for range strings.Count(question, part) {
			facts = append(facts, part)
		}
	}
	return facts
}

var negations = set(`not no never none nobody nothing nowhere neither nor cannot without unable except
	nicht kein keine keinen keinem keiner nie niemals ohne
	ne pas jamais sans aucun aucune ni
	nunca sin jamás ningún ninguna
	non senza mai nessun nessuna
	não nunca sem nenhum nenhuma`)

var opposites = set(`on off before after above below more less most least min max minimum maximum
	enable disable enabled disabled start stop add remove buy sell increase decrease allow forbid
	include exclude accept reject activate deactivate subscribe unsubscribe lock unlock
	cheap expensive cheapest dearest best worst earlier later`)

// Names is a [Guard] on names: words with a capital letter, words in quotation marks,
// and runs of Katakana. "Who wrote Berserk?" is not "Who wrote Monster?". It does not
// find a name without a capital letter. Other words with a capital letter, such as
// German nouns, only reduce the hits.
func Names(question string) []string {
	var facts []string
	for _, word := range words(question) {
		first, _ := utf8.DecodeRuneInString(word)
		lower := strings.ToLower(word)
		if strings.IndexFunc(word, unicode.IsUpper) >= 0 && (!unicode.IsUpper(first) || !commonWords[lower]) {
			facts = append(facts, strings.TrimSuffix(lower, "'s"))
		}
	}
	katakana := strings.FieldsFunc(question, func(r rune) bool { return !unicode.Is(unicode.Katakana, r) && r != 'ー' })
	facts = append(facts, katakana...)
	for _, marks := range [][2]string{{`"`, `"`}, {"“", "”"}, {"„", "“"}, {"«", "»"}, {"「", "」"}, {"『", "』"}} {
		for rest := question; ; {
			_, after, found := strings.Cut(rest, marks[0])
			quoted, behind, ended := strings.Cut(after, marks[1])
			if !found || !ended {
				break
			}
			facts, rest = append(facts, strings.ToLower(quoted)), behind
		}
	}
	return facts
}

// commonWords begin a sentence with a capital and are not names.
var commonWords = set(`a an the i i'm i've i'd i'll we you he she it they my our your his her its their this that these those there here
	who whom whose what which when where why how is are am was were be been do does did have has had can could will would shall should
	may might must can't cannot couldn't don't doesn't didn't isn't aren't wasn't weren't won't wouldn't shouldn't haven't hasn't
	please tell show give find list explain describe help let say make and or but if so then than as at by for from in into of off on
	to up with without about after before during until while not no yes any some all both each every many much more most less
	hi hello hey dear thanks ok okay also just only still now today tomorrow yesterday`)

func set(text string) map[string]bool {
	all := map[string]bool{}
	for word := range strings.FieldsSeq(text) {
		all[word] = true
	}
	return all
}
