package catalog

import (
	"os"
	"strings"
	"testing"
	"unicode"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func japanese(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool {
		return unicode.In(r, unicode.Hiragana, unicode.Katakana, unicode.Han)
	})
}

func TestData(t *testing.T) {
	c := Default()
	require.GreaterOrEqual(t, c.Len(), 150)
	titles := make(map[string]string)
	for _, m := range c.manga {
		t.Run(m.ID, func(t *testing.T) {
			require.NoError(t, m.validate())
			assert.NotContains(t, titles, m.Title, "the title stands in the file twice")
			titles[m.Title] = m.ID

			// A title in Latin letters needs a Japanese spelling to be found by.
			assert.True(t, japanese(m.Title) || japanese(strings.Join(m.Aliases, "")) || len(m.Title) <= 5,
				"neither the title nor an alias is in Japanese")
			assert.False(t, japanese(m.Romaji), "romaji")
			assert.False(t, japanese(m.English), "english")
			assert.GreaterOrEqual(t, m.StartYear, 1945)
			assert.LessOrEqual(t, max(m.StartYear, m.EndYear, m.VolumesAsOf), 2025)
			assert.LessOrEqual(t, m.Volumes, 250)
			assert.GreaterOrEqual(t, len(m.Genres), 2)
			assert.Len(t, unique(m.Genres), len(m.Genres))
			for _, a := range m.Authors {
				assert.NotEmpty(t, a.Name)
				assert.NotEmpty(t, a.Japanese)
				assert.False(t, japanese(a.Name))
			}
			assert.False(t, japanese(m.Description.EN), "the English description")
			assert.True(t, japanese(m.Description.JA), "the Japanese description")
			assert.Regexp(t, `[.)]$`, m.Description.EN)
			assert.Regexp(t, `。$`, m.Description.JA)
			assert.LessOrEqual(t, len(m.Description.EN), 150)
		})
	}
}

func unique[T comparable](list []T) map[T]bool {
	set := make(map[T]bool)
	for _, x := range list {
		set[x] = true
	}
	return set
}

// Facts that anyone can check, against slips in the file.
func TestFacts(t *testing.T) {
	for id, want := range map[string]struct {
		author  string
		start   int
		end     int
		volumes int
	}{
		"MNG-MONSTER0": {"Naoki Urasawa", 1994, 2001, 18},
		"MNG-KIMETSU0": {"Koyoharu Gotouge", 2016, 2020, 23},
		"MNG-FMALCHEM": {"Hiromu Arakawa", 2001, 2010, 27},
		"MNG-SLAMDUNK": {"Takehiko Inoue", 1990, 1996, 31},
		"MNG-SAILORMO": {"Naoko Takeuchi", 1991, 1997, 18},
		"MNG-UZUMAKI0": {"Junji Ito", 1998, 1999, 3},
		"MNG-DRGNBALL": {"Akira Toriyama", 1984, 1995, 42},
	} {
		m, ok := Default().ByID(id)
		require.True(t, ok, id)
		assert.Equal(t, want.author, m.Authors[0].Name, id)
		assert.Equal(t, want.start, m.StartYear, id)
		assert.Equal(t, want.end, m.EndYear, id)
		assert.Equal(t, want.volumes, m.Volumes, id)
	}
}

// Every manga can be found by each of its names.
func TestEveryNameIsFound(t *testing.T) {
	c := Default()
	for _, m := range c.manga {
		for _, n := range append([]string{m.Title, m.Romaji, m.English}, m.Aliases...) {
			if Fold(n) == "" {
				continue
			}
			assert.Contains(t, c.Parse(n).Titles, m, n)
		}
	}
}

func TestEveryGenreIsUsed(t *testing.T) {
	used := make(map[Genre]bool)
	for _, m := range Default().manga {
		for _, g := range m.Genres {
			used[g] = true
		}
	}
	for _, g := range Genres() {
		assert.True(t, used[g], g)
		assert.NotEmpty(t, g.Label().JA)
	}
}

func TestLoad(t *testing.T) {
	good, err := os.ReadFile("manga.json")
	require.NoError(t, err)
	_, err = Load(strings.NewReader(string(good)))
	require.NoError(t, err)

	const entry = `{"id": "MNG-AAAAAAAA", "title": "題", "romaji": "Dai", "authors": [{"name": "A B", "japanese": "甲"}],
		"genres": ["action"], "start_year": 2000, "end_year": 2001, "status": "finished", "description": {"en": "E.", "ja": "日。"}}`
	_, err = Load(strings.NewReader("[" + entry + "]"))
	require.NoError(t, err)
	for name, tt := range map[string]struct{ from, to, want string }{
		"id":          {"MNG-AAAAAAAA", "MNG-A", IDPattern},
		"title":       {"題", "", "title is missing"},
		"genre":       {`"action"`, `"cooking shows"`, `genre "cooking shows"`},
		"years":       {"2001", "1999", "does not fit the years"},
		"year":        {"2000", "3", "start year"},
		"author":      {`{"name": "A B", "japanese": "甲"}`, "", "no author"},
		"description": {"日。", "", "description is missing"},
		"status":      {`"end_year": 2001, "status": "finished"`, `"status": "ongoing"`, "needs a count"},
		"field":       {`"title"`, `"name"`, "unknown field"},
		"syntax":      {"}}", "}", "catalog:"},
	} {
		t.Run(name, func(t *testing.T) {
			require.Contains(t, entry, tt.from)
			_, err := Load(strings.NewReader("[" + strings.Replace(entry, tt.from, tt.to, 1) + "]"))
			assert.ErrorContains(t, err, tt.want)
		})
	}
	_, err = Load(strings.NewReader("[" + entry + "," + entry + ", null]"))
	assert.ErrorContains(t, err, "used twice")
	assert.ErrorContains(t, err, "null")
}

func TestFold(t *testing.T) {
	for in, want := range map[string]string{
		"":       "",
		"ワンピース":  "わんぴーす",
		"ﾜﾝﾋﾟｰｽ": "わんぴーす",
		"ガギグゲゴ ｶﾞｷﾞｸﾞｹﾞｺﾞ":   "がぎぐげごがぎぐげご",
		"ﾀﾞﾁﾞﾂﾞﾃﾞﾄﾞﾊﾞﾋﾞﾊﾟﾎﾟ": "だぢづでどばびぱぽ",
		"ｦｧｬｯｰｱﾝ":            "をぁゃっーあん",
		"ヴ ｳﾞ":               "ゔゔ",
		"ＯＮＥ　ＰＩＥＣＥ":          "onepiece",
		"SPY×FAMILY":         "spyxfamily",
		"Skip & Loafer":      "skipandloafer",
		"Hell's Paradise":    "hellsparadise",
		"らんま½":               "らんま12",
		"Ōoku, Pokémon":      "ookupokemon",
		"バガボンド":              "ばがぼんど", // combining voicing marks
		"幽☆遊☆白書":             "幽遊白書",
		"アシㇼパ":               "あしりぱ",
		"佐々木":                "佐々木",
	} {
		assert.Equal(t, want, Fold(in), in)
	}
}
