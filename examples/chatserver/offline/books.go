package offline

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/mangaassist/bedrockkit/examples/chatserver/catalog"
	"github.com/mangaassist/bedrockkit/examples/chatserver/shop"
)

// booksAnswer writes a list of what a search found.
func (a *Assistant) booksAnswer(q *question, k known, canCheck bool) string {
	if len(k.searches) == 0 || k.searches[0].err {
		return failed(q.lang)
	}
	out := k.searches[0].out
	results := slices.DeleteFunc(slices.Clone(out.Results), func(b shop.Book) bool {
		return slices.ContainsFunc(q.shown, func(m *catalog.Manga) bool { return m.ID == b.MangaID })
	})
	results = results[:min(len(results), q.count)]
	switch {
	case len(results) == 0 && len(out.Results) > 0:
		return q.lang.say(
			"That is all that our catalogue has for this. A different genre, perhaps, such as mystery, sports or science fiction?",
			"この条件で当店のカタログにある作品は、以上です。ミステリー、スポーツ、SFなど、ほかのジャンルはいかがですか？")
	case len(results) == 0:
		return notFound(q.lang)
	}
	var b strings.Builder
	b.WriteString(lead(q, out, results))
	b.WriteString("\n")
	if q.table {
		b.WriteString("\n" + table(q.lang, results) + "\n")
	} else {
		for i, book := range results {
			b.WriteString("\n")
			b.WriteString(item(q.lang, i+1, book, out.MatchedBy))
		}
	}
	if canCheck {
		b.WriteString("\n")
		b.WriteString(q.lang.say(
			"Shall I check stock and prices for one of them?",
			"気になる作品があれば、在庫と価格もお調べします。"))
	}
	return strings.TrimSpace(b.String())
}

// lead writes the sentence before a list.
func lead(q *question, out shop.SearchOutput, results []shop.Book) string {
	if out.Relaxed {
		return q.lang.say(
			"Nothing in our catalogue meets all of your wishes, but these come near:",
			"すべてのご希望に合う作品は見つかりませんでしたが、近いものでしたらこちらがあります。")
	}
	if len(q.shown) > 0 {
		return q.lang.say("Gladly, here are some more:", "はい、ほかにはこちらの作品もあります。")
	}
	switch out.MatchedBy {
	case catalog.ByLikeness:
		var names []string
		for _, t := range out.SimilarTo {
			names = append(names, q.lang.say("%s", "『%s』", t))
		}
		return q.lang.say(
			"If you enjoyed %s, these should be for you:",
			"%sがお好きでしたら、こちらの作品はいかがでしょうか。", q.lang.list(names))
	case catalog.ByAuthor:
		if len(q.terms.Authors) == 1 {
			return q.lang.say("Here is what we have by %s:", "%sさんの作品をご紹介します。", nameOf(q.lang, q.terms.Authors[0]))
		}
		return q.lang.say("Here is what we have by these authors:", "お尋ねの作家の作品をご紹介します。")
	case catalog.ByWords, catalog.ByMeaning:
		return q.lang.say("These come nearest to what you describe:", "お探しの内容に近い作品はこちらです。")
	case catalog.ByShelf:
		return q.lang.say("With pleasure! Here are some favourites of our shop:", "はい、喜んで。当店のおすすめをご紹介します。")
	}
	return criteriaLead(q, results)
}

// criteriaLead names the wishes that the list meets.
func criteriaLead(q *question, results []shop.Book) string {
	t := q.terms
	when := ""
	began := !slices.ContainsFunc(results, func(b shop.Book) bool { return b.StartYear != t.From })
	switch {
	case t.From == 0 && t.To == 0:
	case t.From == t.To && began:
		when = q.lang.say(" that began in %d", "%d年に連載が始まった", t.From)
	case t.From == t.To:
		when = q.lang.say(" that were running in %d", "%d年に連載されていた", t.From)
	case t.To == 0:
		when = q.lang.say(" from %d on", "%d年以降に始まった", t.From)
	case t.From == 0:
		when = q.lang.say(" from up to %d", "%d年までに始まった", t.To)
	default:
		when = q.lang.say(" from %d to %d", "%d〜%d年に始まった", t.From, t.To)
	}
	if q.lang == japanese {
		return "はい、" + when + japaneseKind(t) + "からご紹介します。"
	}
	return "Gladly! I would recommend these " + englishKind(t) + when + ":"
}

func japaneseKind(t catalog.Terms) string {
	kind, genres := "漫画", []string(nil)
	if t.Demographic != "" {
		kind = t.Demographic.Label().JA
	}
	for _, g := range t.Genres {
		genres = append(genres, g.Label().JA)
	}
	if len(genres) > 0 {
		kind = strings.Join(genres, "・") + "の" + kind
	}
	switch {
	case t.MaxVolumes == catalog.ShortVolumes:
		kind = "短めの" + kind
	case t.MaxVolumes != 0:
		kind = fmt.Sprintf("%d巻以内の%s", t.MaxVolumes, kind)
	}
	if t.Finished {
		kind = "完結済みの" + kind
	}
	return kind
}

func englishKind(t catalog.Terms) string {
	var before, about []string
	for _, g := range t.Genres {
		// "Horror manga", but "manga about pirates".
		if s := string(g); strings.HasSuffix(s, "s") && s != "sports" && s != "martial-arts" {
			about = append(about, g.Label().EN)
		} else {
			before = append(before, s)
		}
	}
	if t.Demographic != "" {
		before = append(before, t.Demographic.Label().EN)
	}
	if t.Finished {
		before = append([]string{"finished"}, before...)
	}
	if t.MaxVolumes == catalog.ShortVolumes {
		before = append([]string{"short"}, before...)
	}
	kind := strings.Join(append(before, "manga"), " ")
	if len(about) > 0 {
		kind += " about " + english.list(about)
	}
	switch {
	case t.MaxVolumes == 1:
		kind += " in one volume"
	case t.MaxVolumes != 0 && t.MaxVolumes != catalog.ShortVolumes:
		kind += fmt.Sprintf(" of at most %d volumes", t.MaxVolumes)
	}
	return kind
}

// item writes one manga of a list.
func item(lang language, n int, b shop.Book, basis catalog.Basis) string {
	var s strings.Builder
	if lang == japanese {
		other := cmp.Or(inParentheses(lang, b), " ")
		fmt.Fprintf(&s, "%d. **『%s』**%s%s、%s\n", n, b.Title, other, authors(lang, b), span(lang, b))
	} else {
		fmt.Fprintf(&s, "%d. **%s**%s by %s, %s\n", n, b.Romaji, inParentheses(lang, b), authors(lang, b), span(lang, b))
	}
	fmt.Fprintf(&s, "   %s", lang.of(b.Description))
	if basis != catalog.ByAuthor && basis != catalog.ByWords && basis != catalog.ByMeaning && basis != catalog.ByShelf { // then the lead has said it
		s.WriteString(lang.say("\n   *Why: %s.*", "\n   *おすすめの理由: %s*", lang.of(b.Reason)))
	}
	s.WriteString("\n")
	return s.String()
}

// inParentheses gives a manga's other titles.
func inParentheses(lang language, b shop.Book) string {
	if lang == japanese {
		if strings.EqualFold(b.Title, b.Romaji) {
			return ""
		}
		return "（" + b.Romaji + "）"
	}
	other := []string{b.Title}
	if strings.EqualFold(b.Title, b.Romaji) {
		other = nil
	}
	if b.English != "" && !strings.EqualFold(b.English, b.Romaji) {
		other = append(other, b.English)
	}
	if len(other) == 0 {
		return ""
	}
	return " (" + strings.Join(other, "; ") + ")"
}

// authors gives a manga's authors.
func authors(lang language, b shop.Book) string {
	var names []string
	for _, a := range b.Authors {
		names = append(names, nameOf(lang, a))
	}
	if lang == japanese {
		return strings.Join(names, "・")
	}
	return lang.list(names)
}

func nameOf(lang language, a catalog.Author) string {
	return lang.say("%[1]s", "%[2]s", a.Name, a.Japanese)
}

// of picks a text's language.
func (l language) of(t catalog.Text) string {
	if l == japanese {
		return t.JA
	}
	return t.EN
}

// span gives the years and the volumes.
func span(lang language, b shop.Book) string {
	return years(lang, b) + lang.say(", ", "、") + volumeCount(lang, b)
}

func years(lang language, b shop.Book) string {
	switch {
	case b.EndYear == b.StartYear:
		return lang.say("%d", "%d年", b.StartYear)
	case b.EndYear != 0:
		return lang.say("%d–%d", "%d〜%d年", b.StartYear, b.EndYear)
	}
	return lang.say("since %d", "%d年〜", b.StartYear)
}

func volumeCount(lang language, b shop.Book) string {
	switch {
	case b.Volumes == 0:
		return lang.say("number of volumes not listed", "巻数は未登録")
	case b.VolumesAsOf != 0:
		return lang.say("at least %d volumes as of %d", "%[2]d年時点で既刊%[1]d巻以上", b.Volumes, b.VolumesAsOf)
	case b.Volumes == 1:
		return lang.say("1 volume", "全1巻")
	}
	return lang.say("%d volumes", "全%d巻", b.Volumes)
}

// factsAnswer answers questions about manga that were named.
func factsAnswer(q *question, k known) string {
	switch {
	case q.rank != unranked && len(k.searches) > 1:
		return rankAnswer(q, k)
	case q.table:
		return tableAnswer(q, k)
	}
	var parts []string
	for i, s := range k.searches {
		switch {
		case s.err:
			parts = append(parts, failed(q.lang))
		case len(s.out.Results) == 0:
			parts = append(parts, notFound(q.lang))
		default:
			parts = append(parts, fact(q, s.out.Results[0], i == 0))
		}
	}
	if len(parts) == 0 {
		return failed(q.lang)
	}
	return strings.Join(parts, "\n\n")
}

func fact(q *question, b shop.Book, first bool) string {
	lang := q.lang
	title := titled(lang, b.Title, b.Romaji)
	switch q.aspect {
	case author:
		return lang.say("%s is by **%s** (%s).", "%sの作者は**%s**さんです（%s）。", title, authors(lang, b), span(lang, b))
	case volumes:
		switch {
		case b.Volumes == 0:
			return lang.say("Our catalogue does not list the number of volumes of %s (%s).", "%sの巻数は、当店のカタログに登録されていません（%s）。", title, years(lang, b))
		case b.VolumesAsOf != 0:
			return lang.say("%s had not ended as of %[3]d, and had at least **%[2]d volumes** then.", "%sは%[3]d年の時点で未完結で、**%[2]d巻以上**が刊行されています。", title, b.Volumes, b.VolumesAsOf)
		case b.Volumes == 1:
			return lang.say("%s is complete in **1 volume** (%s).", "%sは**全1巻**です（%s）。", title, years(lang, b))
		}
		return lang.say("%s is complete in **%d volumes** (%s).", "%sは**全%d巻**で完結しています（%s）。", title, b.Volumes, years(lang, b))
	case year:
		switch {
		case b.EndYear == b.StartYear:
			return lang.say("%s appeared in **%d**.", "%sは**%d年**に発表されました。", title, b.StartYear)
		case b.EndYear != 0:
			return lang.say("%s began in **%d** and ended in %d.", "%sの連載は**%d年**に始まり、%d年に終わりました。", title, b.StartYear, b.EndYear)
		}
		return lang.say("%s began in **%d**, and had not ended as of %d.", "%sの連載は**%d年**に始まり、%d年の時点で続いていました。", title, b.StartYear, b.VolumesAsOf)
	case ending:
		switch b.Status {
		case catalog.Finished:
			return lang.say("Yes, %s is finished: it ended in %d (%s).", "はい、%sは%d年に完結しています（%s）。", title, b.EndYear, volumeCount(lang, b))
		case catalog.Hiatus:
			return lang.say("No, %s had not ended as of %d; it was on hiatus (%s).", "いいえ、%sは%d年の時点で休載中でした（%s）。", title, b.VolumesAsOf, volumeCount(lang, b))
		}
		return lang.say("No, %s was still running as of %d (%s).", "いいえ、%sは%d年の時点で連載中でした（%s）。", title, b.VolumesAsOf, volumeCount(lang, b))
	}
	return about(lang, b)
}

// about says all that the shop knows of a manga.
func about(lang language, b shop.Book) string {
	var genres []string
	for _, g := range b.Genres {
		genres = append(genres, lang.of(g.Label()))
	}
	kind := lang.say("manga", "漫画")
	if b.Demographic != "" {
		kind = lang.say("%s manga", "%s", lang.of(b.Demographic.Label()))
	}
	if lang == japanese {
		return fmt.Sprintf("『**%s**』%sは、%sさんによる%sです。\n\n%s\n\n- 連載: %s\n- 巻数: %s\n- ジャンル: %s",
			b.Title, inParentheses(lang, b), authors(lang, b), kind, b.Description.JA, years(lang, b), volumeCount(lang, b), strings.Join(genres, "、"))
	}
	return fmt.Sprintf("**%s**%s is a %s by %s.\n\n%s\n\n- Published: %s\n- Length: %s\n- Genres: %s",
		b.Romaji, inParentheses(lang, b), kind, authors(lang, b), b.Description.EN, years(lang, b), volumeCount(lang, b), strings.Join(genres, ", "))
}

// titled names a manga in a sentence.
func titled(lang language, title, romaji string) string {
	if lang == japanese {
		return "『" + title + "』"
	}
	if strings.EqualFold(title, romaji) {
		return "**" + romaji + "**"
	}
	return "**" + romaji + "** (" + title + ")"
}

func notFound(lang language) string {
	return lang.say(
		"I'm sorry, I found nothing like that in our catalogue. You could try another spelling, or tell me a genre that you like: action, romance, horror, mystery, sports, fantasy or slice of life, for example.",
		"申し訳ありません、当店のカタログには見つかりませんでした。表記を変えてお試しいただくか、お好きなジャンルを教えてください。アクション、恋愛、ホラー、ミステリー、スポーツ、ファンタジー、日常ものなどがあります。")
}

func failed(lang language) string {
	return lang.say(
		"I'm sorry, I could not look that up just now. Please try again in a moment.",
		"申し訳ありません、ただいまお調べできませんでした。少し時間をおいて、もう一度お試しください。")
}
