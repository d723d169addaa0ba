package catalog

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
)

const number = `([0-9０-９]{1,3}|one|two|three|four|five|six|seven|eight|nine|ten|[一二三四五六七八九十])`

var (
	englishBound  = regexp.MustCompile(`(?i)\b(?:in |with )?(under|below|less than|fewer than|shorter than|(?:no|not) (?:more|longer) than|at most|up to|max(?:imum)?(?: of)?) ` + number + ` ?(?:volumes?|vols?\b\.?|books?)`)
	japaneseBound = regexp.MustCompile(number + `[ 　]*[巻冊](以内|以下|未満|より(?:短|少な)い|まで(?:で|の(?:漫画|マンガ|作品|もの)))`)
)

// numerals are the numbers that are written as words, by what they stand for.
var numerals = [][]string{1: {"one", "一"}, {"two", "二"}, {"three", "三"}, {"four", "四"}, {"five", "五"},
	{"six", "六"}, {"seven", "七"}, {"eight", "八"}, {"nine", "九"}, {"ten", "十"}}

// VolumeBound returns the number of volumes that a text allows at most, and the
// text without the words that say so: 4 for "under five volumes" and for
// "4巻以内". It returns 0 and the text itself if the text has no such bound.
func VolumeBound(text string) (most int, rest string) {
	from, to, word, bound := 0, 0, "", ""
	if at := englishBound.FindStringSubmatchIndex(text); at != nil {
		from, to, bound, word = at[0], at[1], text[at[2]:at[3]], text[at[4]:at[5]]
	} else if at := japaneseBound.FindStringSubmatchIndex(text); at != nil {
		from, to, word, bound = at[0], at[1], text[at[2]:at[3]], text[at[4]:at[5]]
	} else {
		return 0, text
	}
	most = valueOf(word)
	switch bound = strings.ToLower(bound); {
	case most == 0:
		return 0, text
	case slices.Contains([]string{"under", "below", "less than", "fewer than", "shorter than", "未満"}, bound), strings.HasPrefix(bound, "より"):
		most = max(most-1, 1) // nothing has no volume at all
	}
	return most, text[:from] + " " + text[to:]
}

func valueOf(numeral string) int {
	n := slices.IndexFunc(numerals, func(words []string) bool { return slices.Contains(words, strings.ToLower(numeral)) })
	if n >= 0 {
		return n
	}
	n, _ = strconv.Atoi(strings.Map(func(r rune) rune {
		if r >= '０' && r <= '９' {
			return r - '０' + '0'
		}
		return r
	}, numeral))
	return n
}
