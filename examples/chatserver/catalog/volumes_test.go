package catalog

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestVolumeBound(t *testing.T) {
	for text, want := range map[string]struct {
		most int
		rest string
	}{
		"under five volumes":                 {4, " "},
		"Under 5 volumes, please":            {4, " , please"},
		"horror shorter than 5 volumes":      {4, "horror  "},
		"less than ten volumes":              {9, " "},
		"manga with fewer than 3 books":      {2, "manga  "},
		"at most 10 vols.":                   {10, " "},
		"no more than 3 volumes":             {3, " "},
		"up to 7 volumes":                    {7, " "},
		"under one volume":                   {1, " "},
		"5巻以内の漫画":                            {5, " の漫画"},
		"５巻未満":                               {4, " "},
		"五巻以下":                               {5, " "},
		"10巻より短いホラー":                         {9, " ホラー"},
		"3冊までの作品":                            {3, " "},
		"0巻以内":                               {0, "0巻以内"},
		"under 0 volumes":                    {0, "under 0 volumes"},
		"Berserk volume 5":                   {0, "Berserk volume 5"},
		"ベルセルクの5巻":                           {0, "ベルセルクの5巻"},
		"鬼滅の刃は23巻まで？":                        {0, "鬼滅の刃は23巻まで？"},
		"manga from up to 2000":              {0, "manga from up to 2000"},
		"Do you have 9999 books? Thunder 5.": {0, "Do you have 9999 books? Thunder 5."},
		"":                                   {0, ""},
	} {
		most, rest := VolumeBound(text)
		assert.Equal(t, want.most, most, text)
		assert.Equal(t, want.rest, rest, text)
	}
}

func TestSearchByVolumes(t *testing.T) {
	for _, text := range []string{"horror shorter than 5 volumes", "ホラー漫画、４巻以内"} {
		r := Default().Search(Query{Text: text, Limit: 20})
		require.Equal(t, ByCriteria, r.Basis, text)
		assert.Equal(t, 4, r.Terms.MaxVolumes)
		assert.False(t, r.Relaxed)
		require.NotEmpty(t, r.Matches, text)
		for _, m := range r.Matches {
			assert.Contains(t, m.Manga.Genres, Genre("horror"))
			assert.Equal(t, Finished, m.Manga.Status)
			assert.LessOrEqual(t, m.Manga.Volumes, 4)
			assert.Positive(t, m.Manga.Volumes)
			assert.Contains(t, m.Reason.EN, "volume")
		}
	}
	assert.Equal(t, 3, Default().Parse("something short, at most 3 volumes").MaxVolumes)
	assert.Equal(t, ShortVolumes, Default().Parse("something short").MaxVolumes)
}
