package offline

import (
	"fmt"
	"regexp"
	"strings"
	"unicode"
)

// language is the language of an answer.
type language bool

const (
	english  language = false
	japanese language = true
)

// englishWords are words that a question in English can hardly do without. Two
// of them make a question English, whatever Japanese title it has.
var englishWords = regexp.MustCompile(`(?i)\b(a|about|and|any|are|by|can|do|does|for|how|i|in|is|it|like|many|me|my|of|please|recommend|tell|the|what|when|who|wrote|you)\b`)

// languageWish asks for the language of the answer.
var languageWish = regexp.MustCompile(`(?i)[(（]?\b(?:please )?(?:answer|reply|respond) in (?:english|japanese)\b\.?[)）]?|[(（]?(?:英語|日本語)で(?:お?答え|回答|返事|教え|お願い)(?:てください|して|ください|て|します)*。?[)）]?`)

// languageOf tells the language of a text: the one that it asks for, or that of
// its script. It is undecided if the text has no words.
func languageOf(text string) (lang language, decided bool) {
	if wish := strings.ToLower(languageWish.FindString(text)); wish != "" {
		return language(strings.Contains(wish, "japanese") || strings.Contains(wish, "日本語")), true
	}
	kana := strings.ContainsFunc(text, func(r rune) bool {
		return unicode.In(r, unicode.Hiragana, unicode.Katakana, unicode.Han)
	})
	switch {
	case kana:
		return len(englishWords.FindAllString(text, 2)) < 2, true
	case strings.ContainsFunc(orderLike.ReplaceAllString(text, ""), unicode.IsLetter):
		return english, true
	}
	return english, false
}

// say picks the wording for the language.
func (l language) say(en, ja string, args ...any) string {
	if l == japanese {
		return fmt.Sprintf(ja, args...)
	}
	return fmt.Sprintf(en, args...)
}

// list joins words: "a, b and c".
func (l language) list(words []string) string {
	if l == japanese {
		return strings.Join(words, "、")
	}
	switch n := len(words); n {
	case 0, 1:
		return strings.Join(words, "")
	default:
		return strings.Join(words[:n-1], ", ") + " and " + words[n-1]
	}
}

// narrow turns full-width letters, digits and signs into the usual ones, which
// is what the patterns of this package look for.
func narrow(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= '！' && r <= '～':
			return r - '！' + '!'
		case r == '　':
			return ' '
		}
		return r
	}, s)
}
