package offline

import (
	"regexp"
	"slices"
	"strings"

	"github.com/mangaassist/bedrockkit/examples/chatserver/catalog"
)

// spokenIn returns the language of the last turn, or of the turns before it
// if it has no words: "ORD-MANGA001", "?".
func spokenIn(turns []turn) language {
	for _, t := range slices.Backward(turns) {
		if lang, ok := languageOf(t.text); ok && t.user {
			return lang
		}
	}
	return english
}

// Where answers of this package have titles: in their lists and tables, and in
// their sentences.
var (
	listed = regexp.MustCompile(`(?m)^(?:\d+\.|\| \d+ \|) \*\*(.+?)\*\*`)
	marked = regexp.MustCompile(`\*\*(.+?)\*\*|『(.+?)』`)
)

// titlesIn returns the manga that an answer is about, in its order: those of
// its list, if it has one.
func (a *Assistant) titlesIn(answer string) []*catalog.Manga {
	for _, pattern := range []*regexp.Regexp{listed, marked} {
		var titles []*catalog.Manga
		for _, m := range pattern.FindAllStringSubmatch(answer, -1) {
			for _, title := range a.books.Parse("『" + strings.Join(m[1:], "") + "』").Titles {
				if !slices.Contains(titles, title) {
					titles = append(titles, title)
				}
			}
		}
		if len(titles) > 0 {
			return titles
		}
	}
	return a.books.Parse(answer).Titles
}

var ordinals = []*regexp.Regexp{
	regexp.MustCompile(`(?i)\b(first|1st)\b|(?:#|\b(?:number|no\.) ?)1\b|最初の|一番目|一つ目|1番目|1つ目`),
	regexp.MustCompile(`(?i)\b(second|2nd)\b|(?:#|\b(?:number|no\.) ?)2\b|二番目|二つ目|2番目|2つ目`),
	regexp.MustCompile(`(?i)\b(third|3rd)\b|(?:#|\b(?:number|no\.) ?)3\b|三番目|三つ目|3番目|3つ目`),
	regexp.MustCompile(`(?i)\b(fourth|4th)\b|(?:#|\b(?:number|no\.) ?)4\b|四番目|四つ目|4番目|4つ目`),
	regexp.MustCompile(`(?i)\b(fifth|5th)\b|(?:#|\b(?:number|no\.) ?)5\b|五番目|五つ目|5番目|5つ目`),
	regexp.MustCompile(`(?i)\blast one\b|最後の`), // the last of a list, however long
}

// placeIn returns the place of a list to which a text points, from 0, the last
// of [ordinals] for the end, or -1.
func placeIn(text string) int {
	return slices.IndexFunc(ordinals, func(o *regexp.Regexp) bool { return o.MatchString(text) })
}

// meant returns the manga that a question without a title is about: the one of
// a list to which it points, or the first of which was spoken last.
func (a *Assistant) meant(text string, before []turn) []*catalog.Manga {
	place := placeIn(text)
	var last []*catalog.Manga
	for _, t := range slices.Backward(before) {
		titles := a.titlesIn(t.text)
		switch {
		case len(titles) == 0:
			continue
		case place < 0:
			return titles[:1]
		case place == len(ordinals)-1 && len(titles) > 1:
			return titles[len(titles)-1:]
		case place < len(titles) && len(titles) > 1:
			return titles[place : place+1]
		case last == nil:
			last = titles[:1]
		}
	}
	return last
}

// listIn returns the manga of the last answer that was a list or named several
// or, if there is none, the one of the last that named one.
func (a *Assistant) listIn(before []turn) []*catalog.Manga {
	var one []*catalog.Manga
	for _, t := range slices.Backward(before) {
		if t.user {
			continue
		}
		switch titles := a.titlesIn(t.text); {
		case len(titles) > 1 || len(titles) == 1 && listed.MatchString(t.text):
			return titles
		case one == nil:
			one = titles
		}
	}
	return one
}

// ordersIn returns the orders that the user named last.
func ordersIn(before []turn) []string {
	for _, t := range slices.Backward(before) {
		if !t.user {
			continue
		}
		if ids, _ := orderIDs(narrow(t.text)); len(ids) > 0 {
			return ids
		}
	}
	return nil
}

// shown returns all manga that were listed before.
func (a *Assistant) shown(before []turn) []*catalog.Manga {
	var all []*catalog.Manga
	for _, t := range before {
		if !t.user {
			all = append(all, a.titlesIn(t.text)...)
		}
	}
	return all
}

// lastSearch returns the last question that asked for manga, with what narrowed
// it down since: "under five volumes". Questions about its answer are not searches.
func (a *Assistant) lastSearch(before []turn) string {
	refined := ""
	for _, t := range slices.Backward(before) {
		if !t.user {
			continue
		}
		text := tableWish.ReplaceAllString(narrow(languageWish.ReplaceAllString(t.text, "")), "$1 ")
		terms := a.books.Parse(text)
		ranked, _ := rankIn(text)
		switch about := wishes(&terms) || len(terms.Titles) > 0; {
		case ranked != unranked || placeIn(text) >= 0 || !about && backText.MatchString(text):
		case refines(&terms) && !freshText.MatchString(text):
			refined = text + " " + refined
		case about || !moreText.MatchString(text) && (terms.List || mangaText.MatchString(text)):
			return strings.TrimSpace(text + " " + refined)
		}
	}
	return strings.TrimSpace(refined)
}
