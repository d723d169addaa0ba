package offline

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/mangaassist/bedrockkit/examples/chatserver/catalog"
	"github.com/mangaassist/bedrockkit/examples/chatserver/shop"
)

// rank is which of several manga a question wants.
type rank int

const (
	unranked rank = iota
	shortest
	longest
	oldest
	newest
)

// ranks are the words that ask for a rank, the wish that is left of them in a
// search, and the words of the answer.
var ranks = map[rank]struct {
	text         *regexp.Regexp
	wish, en, ja string
}{
	shortest: {regexp.MustCompile(`(?i)\b(?:shortest|fewest volumes)\b|\bwhich\b.{0,40}\bshorter\b|(?:一番|1番|最も|もっとも|いちばん)(?:短い|巻数が少ない)|最短|(?:どちら|どっち)(?:の(?:ほう|方))?が短い`), " short ", "shortest", "短い"},
	longest:  {regexp.MustCompile(`(?i)\b(?:longest|most volumes)\b|\bwhich\b.{0,40}\blonger\b|(?:一番|1番|最も|もっとも|いちばん)(?:長い|巻数が多い)|最長|(?:どちら|どっち)(?:の(?:ほう|方))?が長い`), " ", "longest", "長い"},
	oldest:   {regexp.MustCompile(`(?i)\b(?:oldest|earliest)\b|(?:一番|1番|最も|もっとも|いちばん)(?:古い|昔)|最古`), " ", "oldest", "古い"},
	newest:   {regexp.MustCompile(`(?i)\b(?:newest|latest|most recent)(?: (?:one|manga|series|of)\b|\W*$|[?.!,])|(?:一番|1番|最も|もっとも|いちばん)(?:新しい|最近)|最新(?:作|の(?:もの|作品|漫画)|[はがでと？?。]|$)`), " ", "newest", "新しい"},
}

// rankIn finds the rank that a text asks for, and returns the text without it.
func rankIn(text string) (rank, string) {
	for _, r := range []rank{shortest, longest, oldest, newest} {
		if ranks[r].text.MatchString(text) {
			return r, ranks[r].text.ReplaceAllString(text, ranks[r].wish)
		}
	}
	return unranked, text
}

// tableWish asks for the answer as a table. "Table tennis" does not, nor does 代表で.
var tableWish = regexp.MustCompile(`(?i)\b(?:as|in|into|make|put|turn|show|give|want|need)\b.{0,20}\b(?:table|tabular)(?: form(?:at)?)?(?:\W*$|[.,!?;]| (?:please|of|with|instead)\b)|(^|[^代発公年図裏])(?:一覧)?表(?:形式|に(?:し|まと)|で|として)(?:表示|出力|比較)?`)

// cancelText asks for what the assistant may not do with an order. That an order
// was cancelled is a status, and no such wish.
var cancelText = regexp.MustCompile(`(?i)\b(?:cancel|canceling|cancelling|cancellation|refund)\b|\b(?:return|send back) (?:it|this|that|them|my|the|an?) ?(?:order|package|parcel|book|manga|volume)?\b|(?:キャンセル|取り?消し?|返品|返金)(?:を|は|も)?(?:し(?:たい|たく|て(?:くだ|ほし|下さ|欲し|もら|$|[。!！]))|でき|出来|可能|お願い|希望|する|の(?:方法|仕方)|させて|[。!！?？\s]*$)`)

// rankAnswer says which of the manga is the one that was asked for; those of the
// same length or year share the place.
func rankAnswer(q *question, k known) string {
	value := func(b shop.Book) int { return b.Volumes }
	if q.rank == oldest || q.rank == newest {
		value = func(b shop.Book) int { return b.StartYear }
	}
	var known []shop.Book
	for _, s := range k.searches {
		if s.err {
			return failed(q.lang)
		}
		if len(s.out.Results) > 0 && value(s.out.Results[0]) > 0 {
			known = append(known, s.out.Results[0])
		}
	}
	running := func(b shop.Book) bool { return b.Status != catalog.Finished } // how long it becomes nobody knows
	if ended := slices.DeleteFunc(slices.Clone(known), running); q.rank == shortest && len(ended) > 0 {
		known = ended
	}
	if len(known) == 0 {
		return notFound(q.lang)
	}
	least := func(a, b shop.Book) int { return cmp.Compare(value(a), value(b)) }
	end := slices.MinFunc(known, least)
	if q.rank == longest || q.rank == newest {
		end = slices.MaxFunc(known, least)
	}
	var best []string
	for _, b := range known {
		if value(b) == value(end) {
			best = append(best, q.lang.say("%s, %s (%s)", "%s（%s、%s）", titled(q.lang, b.Title, b.Romaji), volumeCount(q.lang, b), years(q.lang, b)))
		}
	}
	verb := "is"
	if len(best) > 1 {
		verb = "are"
	}
	word := ranks[q.rank]
	return q.lang.say("The %[1]s of them %[3]s %[4]s.", "その中で一番%[2]sのは、%[4]sです。", word.en, word.ja, verb, q.lang.list(best))
}

// tableAnswer shows the manga as a table.
func tableAnswer(q *question, k known) string {
	var found []shop.Book
	for _, s := range k.searches {
		if s.err {
			return failed(q.lang)
		}
		if len(s.out.Results) > 0 {
			found = append(found, s.out.Results[0])
		}
	}
	if len(found) == 0 {
		return notFound(q.lang)
	}
	return q.lang.say("Here they are as a table:", "表にまとめました。") + "\n\n" + table(q.lang, found)
}

// table writes manga as a table of GitHub's Markdown, a row each.
func table(lang language, books []shop.Book) string {
	var b strings.Builder
	b.WriteString(lang.say(
		"| No. | Title | Author | Years | Volumes | Genres |\n| --: | :-- | :-- | --: | --: | :-- |",
		"| 番号 | 作品 | 作者 | 連載 | 巻数 | ジャンル |\n| --: | :-- | :-- | --: | --: | :-- |"))
	for i, book := range books {
		var genres []string
		for _, g := range book.Genres[:min(len(book.Genres), 3)] {
			genres = append(genres, lang.of(g.Label()))
		}
		title := titled(lang, book.Title, book.Romaji)
		if lang == japanese {
			title = "**" + title + "**"
		}
		fmt.Fprintf(&b, "\n| %d", i+1)
		for _, text := range []string{title, authors(lang, book), years(lang, book), volumeCell(lang, book), strings.Join(genres, lang.say(", ", "、"))} {
			b.WriteString(" | " + cell.Replace(text))
		}
		b.WriteString(" |")
	}
	return b.String()
}

// volumeCell is the number of volumes below a heading that says so.
func volumeCell(lang language, b shop.Book) string {
	switch {
	case b.Volumes == 0:
		return "–"
	case b.VolumesAsOf != 0:
		return lang.say("%d+ (%d)", "%d以上（%d年）", b.Volumes, b.VolumesAsOf)
	}
	return fmt.Sprint(b.Volumes)
}

// cell escapes what would end a cell of a table.
var cell = strings.NewReplacer("|", `\|`, "\n", " ")
