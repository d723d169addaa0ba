// Package catalog is the manga shop's catalogue: some three hundred real manga,
// embedded, with a search that understands questions in English and Japanese.
//
//	books := catalog.Default()
//	found := books.Search(catalog.Query{Text: "ワンピースに似たアクション漫画", Limit: 3})
//	for _, m := range found.Matches {
//		fmt.Println(m.Manga.Title, m.Reason.EN)
//	}
//
// # The data
//
// manga.json holds facts: titles, authors, years, and the number of volumes
// (tankobon) published in Japan. A field that is not certain is left out, so a
// zero Volumes means "the catalogue does not say". The volumes of a series that
// had not ended are a lower bound, and so is its status: both are as of
// VolumesAsOf. The descriptions were written for this catalogue.
//
// The order of the file is the shop's own: what it would show first. It ranks
// manga that answer a question equally well; there are no ratings.
//
// # The search
//
// [Catalog.Parse] finds what a text names: titles, authors, genres, a demographic, a
// year, a bound on the volumes. It compares folded text, so width, case, accents, and hiragana against
// katakana make no difference. [Catalog.Search] is deterministic, and says of
// each manga why it was found.
package catalog
