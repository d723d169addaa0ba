package catalog_test

import (
	"fmt"

	"github.com/mangaassist/bedrockkit/examples/chatserver/catalog"
)

func ExampleCatalog_Search() {
	books := catalog.Default()
	found := books.Search(catalog.Query{Text: "ワンピースに似たアクション漫画を教えてください", Limit: 2})
	for _, m := range found.Matches {
		fmt.Printf("%s, %d–%d: %s\n", m.Manga.Title, m.Manga.StartYear, m.Manga.EndYear, m.Reason.EN)
	}
	// Output:
	// FAIRY TAIL, 2006–2017: shares action, adventure, fantasy, comedy, friendship with One Piece, and is shonen too
	// ドラゴンボール, 1984–1995: shares action, adventure, comedy, fantasy, friendship with One Piece, and is shonen too
}
