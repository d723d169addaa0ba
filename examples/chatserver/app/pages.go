package app

import (
	"net/http"
	"slices"
	"unicode/utf8"

	"github.com/mangaassist/bedrockkit/examples/chatserver/catalog"
	"github.com/mangaassist/bedrockkit/examples/chatserver/page"
	"github.com/mangaassist/bedrockkit/examples/chatserver/rest"
)

// servePages adds the pages beside the chat, and what they ask.
func (s *Server) servePages(mux *http.ServeMux) {
	for path, file := range map[string]string{"GET /ops": "ops.html", "GET /jobs": "jobs.html"} {
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) { http.ServeFileFS(w, r, page.Files, file) })
	}
	mux.Handle("GET /v1/ops", s.gate.Handler(http.HandlerFunc(s.serveOps), rest.Fail))
	mux.Handle("GET /v1/manga/catalog", s.gate.Handler(http.HandlerFunc(s.serveCatalog), rest.Fail))
}

// The bounds of a search in the catalogue.
const (
	maxSearch = 200 // characters
	maxFound  = 20
)

// found is a manga that somebody may choose.
type found struct {
	ID      string         `json:"id"`
	Title   string         `json:"title"`
	Romaji  string         `json:"romaji"`
	Authors []catalog.Text `json:"authors"`
	Genres  []catalog.Text `json:"genres"`
	Year    int            `json:"year"`
	Volumes int            `json:"volumes,omitempty"`
}

// serveCatalog searches the catalogue: what the assistant would find, and then the titles
// and the authors that contain what was typed so far.
func (s *Server) serveCatalog(w http.ResponseWriter, r *http.Request) {
	text := rest.Clean(r.URL.Query().Get("q"))
	if utf8.RuneCountInString(text) > maxSearch {
		rest.Fail(w, r, http.StatusBadRequest, "The search q has more than 200 characters.")
		return
	}
	books := s.books
	var matches []*catalog.Manga
	for _, match := range books.Search(catalog.Query{Text: text, Limit: books.Len()}).Matches {
		matches = append(matches, match.Manga)
	}
	for _, m := range books.Containing(text) {
		if !slices.Contains(matches, m) {
			matches = append(matches, m)
		}
	}
	answer := struct {
		Total int     `json:"total"`
		Manga []found `json:"manga"`
	}{len(matches), []found{}}
	for _, m := range matches[:min(len(matches), maxFound)] {
		one := found{ID: m.ID, Title: m.Title, Romaji: m.Romaji, Year: m.StartYear, Volumes: m.Volumes}
		for _, a := range m.Authors {
			one.Authors = append(one.Authors, catalog.Text{EN: a.Name, JA: a.Japanese})
		}
		for _, g := range m.Genres {
			one.Genres = append(one.Genres, g.Label())
		}
		answer.Manga = append(answer.Manga, one)
	}
	writeJSON(w, http.StatusOK, answer)
}
