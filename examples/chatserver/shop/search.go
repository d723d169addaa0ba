package shop

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/mangaassist/bedrockkit/examples/chatserver/catalog"
)

// SearchInput is the input of [Shop.SearchMangaCatalog].
type SearchInput struct {
	Query      string `json:"query"`                 // a title, an author, genres, a year, or a whole question; at most 500 characters
	Genre      string `json:"genre,omitempty"`       // one of the schema's enum
	MaxResults int    `json:"max_results,omitempty"` // 1 to 20; the default is 5
}

// SearchOutput is what [Shop.SearchMangaCatalog] found.
type SearchOutput struct {
	MatchedBy catalog.Basis `json:"matched_by"`
	Relaxed   bool          `json:"relaxed,omitempty"`    // nothing met all wishes; these meet some
	SimilarTo []string      `json:"similar_to,omitempty"` // the Japanese titles that the results are like
	Total     int           `json:"total"`                // matches in the catalogue; Results are the best of them
	Results   []Book        `json:"results"`
	Hint      string        `json:"hint,omitempty"` // what to try when there are none
}

// Book is a manga as the tools show it. Its fields are those of
// [catalog.Manga].
type Book struct {
	MangaID     string              `json:"manga_id"`
	Title       string              `json:"title"`
	Romaji      string              `json:"title_romaji"`
	English     string              `json:"title_english,omitempty"`
	Authors     []catalog.Author    `json:"authors"`
	Demographic catalog.Demographic `json:"demographic,omitempty"`
	Genres      []catalog.Genre     `json:"genres"`
	StartYear   int                 `json:"start_year"`
	EndYear     int                 `json:"end_year,omitempty"`
	Status      catalog.Status      `json:"status"`
	Volumes     int                 `json:"volumes,omitempty"`
	VolumesAsOf int                 `json:"volumes_as_of,omitempty"` // set if there are at least Volumes volumes
	Description catalog.Text        `json:"description"`
	Reason      catalog.Text        `json:"why_it_matches"`
}

// The bounds of a search.
const (
	maxQuery   = 500
	maxResults = 20
)

var genreFilters = []string{"shonen", "seinen", "shojo", "josei", "kodomo", "isekai", "mecha", "horror"}

// SearchMangaCatalog finds manga by title, author, genre or keyword. That it
// finds none is not an error.
func (s *Shop) SearchMangaCatalog(ctx context.Context, in SearchInput) (SearchOutput, error) {
	q := catalog.Query{Text: in.Query, Limit: in.MaxResults}
	switch {
	case strings.TrimSpace(in.Query) == "" && in.Genre == "":
		return SearchOutput{}, invalid("query", `it is empty; give a title, an author, a genre or a question, such as "manga like One Piece"`)
	case utf8.RuneCountInString(in.Query) > maxQuery:
		return SearchOutput{}, invalid("query", "it has more than %d characters; give the few words that matter", maxQuery)
	case in.MaxResults < 0 || in.MaxResults > maxResults:
		return SearchOutput{}, invalid("max_results", "%d is not between 1 and %d", in.MaxResults, maxResults)
	case in.Genre == "":
	case !slices.Contains(genreFilters, in.Genre):
		return SearchOutput{}, invalid("genre", "%q is not one of %s; put other genres into the query", clip(in.Genre), strings.Join(genreFilters, ", "))
	case slices.Contains(genreFilters[:5], in.Genre):
		q.Demographic = catalog.Demographic(in.Genre)
	default:
		q.Genre = catalog.Genre(in.Genre)
	}
	found := s.books.Search(q)
	if found.Basis == catalog.ByNothing && s.options.ByMeaning != nil && len(found.Terms.Words) > 0 {
		found = s.byMeaning(ctx, q, found)
	}
	out := SearchOutput{MatchedBy: found.Basis, Relaxed: found.Relaxed, Total: found.Total, Results: []Book{}}
	if found.Basis == catalog.ByLikeness {
		for _, m := range found.Terms.Titles {
			out.SimilarTo = append(out.SimilarTo, m.Title)
		}
	}
	for _, m := range found.Matches {
		out.Results = append(out.Results, newBook(m))
	}
	if len(out.Results) == 0 {
		out.Hint = "Nothing in the catalogue matches. Try the title alone, or a genre such as action, romance, horror, mystery, sports or fantasy."
	}
	return out, nil
}

// byMeaning searches by the meaning of the words that describe what is wanted. It
// returns what was found before if that finds nothing either.
func (s *Shop) byMeaning(ctx context.Context, q catalog.Query, before catalog.Result) catalog.Result {
	found := catalog.Result{Terms: before.Terms, Basis: catalog.ByMeaning}
	limit := cmp.Or(q.Limit, 5)
	words := strings.Join(before.Terms.Words, " ")
	for i, id := range s.options.ByMeaning(ctx, words, q.Demographic, q.Genre, limit) {
		if m, ok := s.books.ByID(id); ok && len(found.Matches) < limit {
			found.Matches = append(found.Matches, catalog.Match{Manga: m, Score: -i, Reason: catalog.Text{
				EN: "its description is near to the question", JA: "紹介文がご質問の内容に近い作品です",
			}})
		}
	}
	if found.Total = len(found.Matches); found.Total == 0 {
		return before
	}
	return found
}

func newBook(m catalog.Match) Book {
	b := m.Manga
	return Book{
		MangaID: b.ID, Title: b.Title, Romaji: b.Romaji, English: b.English, Authors: b.Authors,
		Demographic: b.Demographic, Genres: b.Genres,
		StartYear: b.StartYear, EndYear: b.EndYear, Status: b.Status, Volumes: b.Volumes, VolumesAsOf: b.VolumesAsOf,
		Description: b.Description, Reason: m.Reason,
	}
}
