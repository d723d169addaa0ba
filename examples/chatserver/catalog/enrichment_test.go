package catalog

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func idsOf(r Result) (ids []string) {
	for _, m := range r.Matches {
		ids = append(ids, m.Manga.ID)
	}
	return ids
}

// An enrichment changes what is found and in what order, for its catalogue alone.
func TestEnrich(t *testing.T) {
	plain, c := Default(), Default().Copy()
	words := Query{Text: "zeppelin clockwork"}
	shelf := Query{Text: "horror manga", Limit: 20}
	require.Empty(t, c.Search(words).Matches)
	before := idsOf(c.Search(shelf))
	require.Len(t, before, 20)
	last := before[len(before)-1]

	n := c.Enrich(&Enrichment{Manga: map[string]Enriched{
		"MNG-ONEPIECE": {ThemeKeywords: []string{"Zeppelin"}, SearchKeywords: []string{"clockwork", "飛行船"}},
		last:           {Scores: map[Genre]int{"horror": 100}},
		"MNG-NOTHERE1": {},
	}})
	assert.Equal(t, 2, n)
	assert.Equal(t, []string{"MNG-ONEPIECE"}, idsOf(c.Search(words)))
	assert.Equal(t, ByWords, c.Search(words).Basis)
	assert.NotEmpty(t, idsOf(c.Search(Query{Text: "飛行船"})))
	after := idsOf(c.Search(shelf))
	assert.Equal(t, last, after[0], "the best one of its shelf comes first")

	assert.Equal(t, before, idsOf(plain.Search(shelf)), "another catalogue of the same manga stays as it is")
	c.Enrich(nil)
	assert.Equal(t, before, idsOf(c.Search(shelf)))
	assert.Empty(t, c.Search(words).Matches)
}

func TestReadEnrichment(t *testing.T) {
	e, err := ReadEnrichment(strings.NewReader(`{"day":"2026-11-30","manga":{"MNG-ONEPIECE":{"theme_keywords":["sea"],"scores":{"action":90}}}}`))
	require.NoError(t, err)
	assert.Equal(t, &Enrichment{Day: "2026-11-30", Manga: map[string]Enriched{"MNG-ONEPIECE": {ThemeKeywords: []string{"sea"}, Scores: map[Genre]int{"action": 90}}}}, e)
	for text, want := range map[string]string{
		`{`:                  "unexpected EOF",
		`{"manga":{"x":{}}}`: `"x": the id does not match`,
		`{"manga":{"MNG-ONEPIECE":{"scores":{"action":101}}}}`:                                   "is 101; it is from 0 to 100",
		`{"manga":{"MNG-ONEPIECE":{"scores":{"nonsense":1}}}}`:                                   `the score of "nonsense"`,
		`{"manga":{"MNG-ONEPIECE":{"search_keywords":[""]}}}`:                                    "a keyword has 0 bytes",
		`{"manga":{"MNG-ONEPIECE":{"search_keywords":["a"` + strings.Repeat(`,"a"`, 20) + `]}}}`: "it has 21 keywords",
	} {
		_, err := ReadEnrichment(strings.NewReader(text))
		assert.ErrorContains(t, err, want)
	}
}
