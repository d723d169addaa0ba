package catalog

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/mangaassist/bedrockkit/pricing"
)

// An Enrichment is what a model has found out about the manga of a catalogue: words
// that they are found by, and how well each stands on its shelves. Package nightly
// makes one each night.
type Enrichment struct {
	Day   string              `json:"day"` // when it was made, such as 2026-11-30
	Manga map[string]Enriched `json:"manga"`

	// Batch is what the batch jobs cost; nil if that is not known.
	Batch *BatchCost `json:"batch,omitempty"`
}

// BatchCost is what batch jobs cost, and what live calls would have, in US dollars.
type BatchCost struct {
	Cost pricing.Amount `json:"cost_usd"`
	Live pricing.Amount `json:"live_usd"`
}

// Enriched is what is known of one manga.
type Enriched struct {
	ThemeKeywords  []string `json:"theme_keywords,omitempty"`
	SearchKeywords []string `json:"search_keywords,omitempty"`

	// Scores say from 0 to 100 how well a reader who asks for a genre is served.
	Scores map[Genre]int `json:"scores,omitempty"`
}

// The bounds of an [Enrichment].
const (
	maxEnrichment = 64 << 20 // bytes
	maxKeywords   = 20       // of each kind
	maxKeyword    = 100      // bytes
)

// ReadEnrichment reads one from JSON. The error says where it is not well formed.
func ReadEnrichment(r io.Reader) (*Enrichment, error) {
	limited := &io.LimitedReader{R: r, N: maxEnrichment + 1}
	var e Enrichment
	if err := json.NewDecoder(limited).Decode(&e); err != nil {
		if limited.N <= 0 {
			err = fmt.Errorf("it has more than %d bytes", maxEnrichment)
		}
		return nil, fmt.Errorf("catalog: the enrichment: %w", err)
	}
	for id, m := range e.Manga {
		if err := m.validate(); err != nil || !ValidID(id) {
			if err == nil {
				err = fmt.Errorf("the id does not match %s", IDPattern)
			}
			return nil, fmt.Errorf("catalog: the enrichment of %q: %w", id, err)
		}
	}
	return &e, nil
}

func (m Enriched) validate() error {
	for _, words := range [][]string{m.ThemeKeywords, m.SearchKeywords} {
		if len(words) > maxKeywords {
			return fmt.Errorf("it has %d keywords; it has at most %d of a kind", len(words), maxKeywords)
		}
		for _, word := range words {
			if word == "" || len(word) > maxKeyword {
				return fmt.Errorf("a keyword has %d bytes; it has 1 to %d", len(word), maxKeyword)
			}
		}
	}
	for genre, score := range m.Scores {
		if !genre.known() || score < 0 || score > 100 {
			return fmt.Errorf("the score of %q is %d; it is from 0 to 100, of a genre of the catalogue", genre, score)
		}
	}
	return nil
}

// enriched is an [Enrichment] as a search uses it.
type enriched struct {
	words  map[*Manga]folded
	scores map[*Manga]map[Genre]int
}

// Copy returns a catalogue of the same manga without an enrichment.
func (c *Catalog) Copy() *Catalog {
	return &Catalog{manga: c.manga, byID: c.byID, texts: c.texts, folded: c.folded, names: c.names, byFirst: c.byFirst, weight: c.weight}
}

// Enrich makes the next searches use an enrichment: its keywords are found, and manga
// that meet the same criteria are ordered by its scores as well. It replaces the one
// before; nil ends it. It returns how many manga of the catalogue it has. Searches may
// go on meanwhile.
func (c *Catalog) Enrich(e *Enrichment) int {
	if e == nil {
		c.extra.Store(nil)
		return 0
	}
	x := &enriched{words: map[*Manga]folded{}, scores: map[*Manga]map[Genre]int{}}
	for id, more := range e.Manga {
		m, ok := c.byID[id]
		if !ok {
			continue
		}
		x.words[m] = fold(strings.Join(append(append([]string{}, more.ThemeKeywords...), more.SearchKeywords...), "\n"))
		x.scores[m] = more.Scores
	}
	c.extra.Store(x)
	return len(x.words)
}

// has reports whether a word is among the keywords of a manga.
func (x *enriched) has(m *Manga, word []rune) bool {
	if x == nil {
		return false
	}
	_, ok := x.words[m].findWord(word, nil)
	return ok
}

// score is at most 12, as much as a genre that a manga has first.
func (x *enriched) score(m *Manga, genres []Genre) int {
	if x == nil || len(genres) == 0 {
		return 0
	}
	sum := 0
	for _, g := range genres {
		sum += x.scores[m][g]
	}
	return 12 * sum / (100 * len(genres))
}
