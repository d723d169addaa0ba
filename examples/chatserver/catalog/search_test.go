package catalog

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func found(r Result) []string {
	var ids []string
	for _, m := range r.Matches {
		ids = append(ids, strings.TrimPrefix(m.Manga.ID, "MNG-"))
	}
	return ids
}

func TestSearchNames(t *testing.T) {
	for question, want := range map[string][]string{
		"ワンピース":                             {"ONEPIECE"},
		"わんぴーすってどんな漫画？":                     {"ONEPIECE"},
		"ﾜﾝﾋﾟｰｽは何巻まで？":                      {"ONEPIECE"},
		"tell me about onepiece":            {"ONEPIECE"},
		"鬼滅の刃は何巻まで?":                        {"KIMETSU0"},
		"鬼滅の刃全巻":                            {"KIMETSU0"},
		"FMA":                               {"FMALCHEM"},
		"ハガレンの作者は誰":                         {"FMALCHEM"},
		"Is Berserk volume 3 in stock?":     {"BERSERK0"},
		"Who wrote Monster?":                {"MONSTER0"},
		"who wrote monster":                 {"MONSTER0"},
		"『MONSTER』を教えて":                     {"MONSTER0"},
		"リアルは何巻まで?":                         {"REALINOU"},
		"『チ。』の作者は？":                         {"CHIORBMV"},
		"チ。―地球の運動について―":                     {"CHIORBMV"},
		"Naruto or Bleach, which is longer": {"NARUTO00", "BLEACH00"},
		"Blue Giant":                        {"BLUEGIAN", "BLUEGSUP", "BLUEGEXP", "BLUEGMOM"},
		"tell me about spy family":          {"SPYFAMIL"},
		"るろうに剣心":                            {"KENSHIN0"},
		"manga by Naoki Urasawa":            {"YAWARA00", "MASTERKE", "MONSTER0", "20CBOYS0", "PLUTO000"},
		"Urasawa Naoki":                     {"YAWARA00", "MASTERKE", "MONSTER0", "20CBOYS0", "PLUTO000"},
		"浦沢直樹の作品":                           {"YAWARA00", "MASTERKE", "MONSTER0", "20CBOYS0", "PLUTO000"},
		"bezerk":                            {"BERSERK0"},
		"Who wrote Fullmetal Alchemst?":     {"FMALCHEM"},
	} {
		assert.Equal(t, want, found(Default().Search(Query{Text: question})), question)
	}
}

func TestSearchNothing(t *testing.T) {
	for _, question := range []string{"", " \n", "hello", "asdkfj qwoeiru", "The Great Gatsby", "ギョーザの漫画", "一歩踏み出す", "🍣🍣🍣", "12345", "…。"} {
		r := Default().Search(Query{Text: question})
		assert.Equal(t, ByNothing, r.Basis, question)
		assert.Empty(t, r.Matches, question)
	}
}

// Titles that are everyday words are not seen where the words are meant.
func TestEverydayWords(t *testing.T) {
	for _, question := range []string{
		"best monster manga for kids", "リアルな漫画を教えて", "any manga with real people and a happy ending",
		"recommend something about happiness", "I love to look back at good manga", "BEST MONSTER MANGA",
	} {
		assert.Empty(t, Default().Parse(question).Titles, question)
	}
	assert.Len(t, Default().Parse("Recommend a manga like Monster").Titles, 1)
	assert.Len(t, Default().Parse("MONSTERみたいなおすすめの漫画").Titles, 1)
}

func TestSearchSimilar(t *testing.T) {
	for _, question := range []string{"ワンピースに似たアクション漫画を教えてください", "action manga similar to One Piece", "ワンピースみたいなバトル漫画"} {
		r := Default().Search(Query{Text: question, Limit: 8})
		require.Equal(t, ByLikeness, r.Basis, question)
		require.Len(t, r.Matches, 8)
		assert.Contains(t, found(r), "FAIRYTAI")
		assert.Contains(t, found(r), "DRGNBALL")
		assert.NotContains(t, found(r), "ONEPIECE")
		for i, m := range r.Matches {
			assert.Contains(t, m.Manga.Genres, Genre("action"))
			assert.Equal(t, Shonen, m.Manga.Demographic)
			assert.Contains(t, m.Reason.JA, "『ONE PIECE』")
			assert.Contains(t, m.Reason.EN, "One Piece")
			assert.True(t, i == 0 || r.Matches[i-1].Score >= m.Score)
		}
	}
}

func TestSearchCriteria(t *testing.T) {
	tests := []struct {
		question string
		check    func(m *Manga) bool
		at1st    string
	}{
		{"What are the best seinen manga from 2023?", func(m *Manga) bool { return m.Demographic == Seinen && m.StartYear == 2023 }, ""},
		{"seinen manga 2023", func(m *Manga) bool { return m.Demographic == Seinen && m.RanIn(2023) }, ""},
		{"２０２３年の青年漫画", func(m *Manga) bool { return m.Demographic == Seinen && m.StartYear == 2023 }, ""},
		{"恋愛ものの少女漫画のおすすめ", func(m *Manga) bool { return m.Demographic == Shojo && slices.Contains(m.Genres, "romance") }, ""},
		{"Recommend a short completed horror manga", func(m *Manga) bool {
			return slices.Contains(m.Genres, "horror") && m.Status == Finished && m.Volumes <= ShortVolumes && m.Volumes > 0
		}, "UZUMAKI0"},
		{"完結した短いホラー", func(m *Manga) bool {
			return slices.Contains(m.Genres, "horror") && m.Status == Finished && m.Volumes <= ShortVolumes
		}, "UZUMAKI0"},
		{"90年代のスポーツ漫画", func(m *Manga) bool {
			return slices.Contains(m.Genres, "sports") && m.StartYear >= 1990 && m.StartYear <= 1999
		}, "SLAMDUNK"},
		{"mecha manga from the 2000s", func(m *Manga) bool { return slices.Contains(m.Genres, "mecha") && m.StartYear/10 == 200 }, ""},
		{"manga since 2020", func(m *Manga) bool { return m.StartYear >= 2020 }, ""},
		{"2000年以前のSF漫画", func(m *Manga) bool { return slices.Contains(m.Genres, "sci-fi") && m.StartYear <= 2000 }, ""},
		{"manga about volleyball", func(m *Manga) bool { return slices.Contains(m.Genres, "sports") }, "HAIKYU00"},
		{"バレーボールの漫画", func(m *Manga) bool { return slices.Contains(m.Genres, "sports") }, "HAIKYU00"},
		{"romcom", func(m *Manga) bool {
			return slices.Contains(m.Genres, "romance") && slices.Contains(m.Genres, "comedy")
		}, ""},
		{"異世界転生もの", func(m *Manga) bool { return slices.Contains(m.Genres, "isekai") }, "SLIMETEN"},
		{"between 1980 and 1985", func(m *Manga) bool { return m.StartYear >= 1980 && m.StartYear <= 1985 }, ""},
	}
	for _, tt := range tests {
		t.Run(tt.question, func(t *testing.T) {
			r := Default().Search(Query{Text: tt.question})
			require.Equal(t, ByCriteria, r.Basis)
			assert.False(t, r.Relaxed)
			require.NotEmpty(t, r.Matches)
			for _, m := range r.Matches {
				assert.True(t, tt.check(m.Manga), m.Manga.ID)
				assert.NotEmpty(t, m.Reason.JA)
			}
			if tt.at1st != "" {
				assert.Equal(t, tt.at1st, found(r)[0])
			}
		})
	}
}

func TestSearchFilters(t *testing.T) {
	r := Default().Search(Query{Text: "horror", Demographic: Shojo, Limit: 50})
	assert.Equal(t, []string{"TOMIEITO"}, found(r))
	r = Default().Search(Query{Genre: "mecha", Year: 2003})
	for _, m := range r.Matches {
		assert.True(t, m.Manga.RanIn(2003))
	}
	assert.NotEmpty(t, r.Matches)
}

func TestSearchRelaxes(t *testing.T) {
	r := Default().Search(Query{Text: "pirates and magical girls"})
	assert.Equal(t, ByCriteria, r.Basis)
	assert.True(t, r.Relaxed)
	assert.NotEmpty(t, r.Matches)
}

func TestSearchShelf(t *testing.T) {
	r := Default().Search(Query{Text: "おすすめの漫画は？"})
	assert.Equal(t, ByShelf, r.Basis)
	readers := make(map[Demographic]bool)
	for _, m := range r.Matches {
		readers[m.Manga.Demographic] = true
	}
	assert.Len(t, readers, 5)
}

func TestSearchLimit(t *testing.T) {
	c := Default()
	assert.Len(t, c.Search(Query{Text: "action"}).Matches, 5)
	assert.Len(t, c.Search(Query{Text: "action", Limit: -1}).Matches, 5)
	r := c.Search(Query{Text: "action", Limit: 1000})
	assert.Len(t, r.Matches, r.Total)
}

func TestDistance(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"abc", "abc", 0}, {"abc", "acb", 1}, {"abc", "ab", 1}, {"abc", "xbc", 1}, {"abc", "", 3}, {"わんぴーす", "わんぴす", 1}} {
		assert.Equal(t, tt.want, distance([]rune(tt.a), []rune(tt.b), 9), "%s %s", tt.a, tt.b)
	}
	assert.Greater(t, distance([]rune("abcdef"), []rune("a"), 2), 2)
}

func FuzzSearch(f *testing.F) {
	for _, s := range []string{"ワンピースに似た漫画", "What are the best seinen manga from 2023?", "", "ﾞﾟ", "90s", "1990年代", "『", "\xff\xfe", "X", "ー", strings.Repeat("漫", 3000)} {
		f.Add(s)
	}
	c := Default()
	f.Fuzz(func(t *testing.T, text string) {
		a, b := c.Search(Query{Text: text, Limit: 20}), c.Search(Query{Text: text, Limit: 20})
		assert.Equal(t, a, b)
		assert.LessOrEqual(t, len(a.Matches), 20)
		assert.Equal(t, len(a.Matches) == 0, a.Basis == ByNothing)
		assert.True(t, utf8.ValidString(Fold(text)))
		assert.Equal(t, Fold(text), Fold(Fold(text)))
	})
}

func TestContaining(t *testing.T) {
	c := Default()
	for text, want := range map[string]string{"nar": "Naruto", "ONE P": "One Piece", "ベルサ": "Versailles no Bara", "浦沢": "Monster", "ﾜﾝﾋﾟ": "One Piece"} {
		var titles []string
		for _, m := range c.Containing(text) {
			titles = append(titles, m.Romaji)
		}
		assert.Contains(t, titles, want, text)
		assert.Less(t, len(titles), 20, text)
	}
	assert.Empty(t, c.Containing("zzzz"))
	assert.Len(t, c.Containing(" !"), c.Len())
}
