package catalog

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"regexp"
	"slices"
	"sync"
	"sync/atomic"
)

// Text is a text in the two languages of the shop.
type Text struct {
	EN string `json:"en"`
	JA string `json:"ja"`
}

// Author is one of the people, or the group, behind a manga.
type Author struct {
	Name     string `json:"name"`     // romanised, given name first: "Eiichiro Oda"
	Japanese string `json:"japanese"` // as printed in Japan: "尾田栄一郎"
}

// Status says whether a series has ended.
type Status string

// The statuses. Ongoing and Hiatus are as of [Manga.VolumesAsOf].
const (
	Finished Status = "finished"
	Ongoing  Status = "ongoing"
	Hiatus   Status = "hiatus" // not ended, but nothing had appeared for long
)

// Manga is one series, or one book.
type Manga struct {
	ID      string   `json:"id"`                // "MNG-" and eight letters or digits; never changes
	Title   string   `json:"title"`             // as printed in Japan
	Romaji  string   `json:"romaji"`            // the title in Latin letters
	English string   `json:"english,omitempty"` // the title of the English edition, where there is one
	Authors []Author `json:"authors"`

	Demographic Demographic `json:"demographic,omitempty"` // empty where the magazine had no clear one
	Genres      []Genre     `json:"genres"`                // the most telling ones

	StartYear   int    `json:"start_year"`
	EndYear     int    `json:"end_year,omitempty"` // 0 unless Finished
	Status      Status `json:"status"`
	Volumes     int    `json:"volumes,omitempty"`       // tankobon in Japan; 0 where the catalogue does not say
	VolumesAsOf int    `json:"volumes_as_of,omitempty"` // the year of the count, for a series that had not ended: at least Volumes
	Publisher   string `json:"publisher,omitempty"`
	Magazine    string `json:"magazine,omitempty"`

	Aliases     []string `json:"aliases,omitempty"`     // other spellings and short names that people use
	CommonWord  bool     `json:"common_word,omitempty"` // a title that is an everyday word too, such as "Monster"
	Description Text     `json:"description"`           // one sentence, no spoilers
}

// RanIn says whether the manga appeared in the year, as far as the catalogue
// knows.
func (m *Manga) RanIn(year int) bool {
	last := m.EndYear
	if last == 0 {
		last = m.VolumesAsOf
	}
	return m.StartYear <= year && year <= last
}

// Catalog is a set of manga that can be searched. Any number of goroutines may use it:
// its manga never change once loaded, and [Catalog.Enrich] replaces what else is known
// of them as a whole.
type Catalog struct {
	manga   []*Manga
	byID    map[string]*Manga
	texts   map[*Manga]folded // titles and descriptions
	folded  [][]string        // what each manga and its authors are called
	names   []name            // titles, aliases and authors
	byFirst map[rune][]name   // the names by their first folded rune, the longest first
	weight  map[Genre]int     // what it says of two manga that they share the genre

	extra atomic.Pointer[enriched] // nil without an enrichment
}

//go:embed manga.json
var data []byte

// Default returns the catalogue that is built into the program.
var Default = sync.OnceValue(func() *Catalog {
	c, err := Load(bytes.NewReader(data))
	if err != nil {
		panic(err) // the tests load the embedded file
	}
	return c
})

// Load reads a catalogue from JSON of the form of manga.json. The error names
// every entry that is not well formed.
func Load(r io.Reader) (*Catalog, error) {
	dec := json.NewDecoder(r)
	dec.DisallowUnknownFields()
	c := &Catalog{byID: make(map[string]*Manga)}
	if err := dec.Decode(&c.manga); err != nil {
		return nil, fmt.Errorf("catalog: %w", err)
	}
	var errs []error
	for i, m := range c.manga {
		if m == nil {
			errs = append(errs, fmt.Errorf("catalog: entry %d is null", i))
			continue
		}
		if err := m.validate(); err != nil {
			errs = append(errs, fmt.Errorf("catalog: entry %d, %s: %w", i, m.ID, err))
		}
		if c.byID[m.ID] != nil {
			errs = append(errs, fmt.Errorf("catalog: entry %d: the id %s is used twice", i, m.ID))
		}
		c.byID[m.ID] = m
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	c.indexNames()
	c.weighGenres()
	return c, nil
}

// IDPattern is the form of [Manga.ID].
const IDPattern = `^MNG-[A-Z0-9]{8}$`

var idForm = regexp.MustCompile(IDPattern)

// ValidID says whether id has the form of a [Manga.ID].
func ValidID(id string) bool { return idForm.MatchString(id) }

func (m *Manga) validate() error {
	switch {
	case !ValidID(m.ID):
		return fmt.Errorf("the id does not match %s", IDPattern)
	case m.Title == "" || m.Romaji == "":
		return errors.New("a title is missing")
	case len(m.Authors) == 0:
		return errors.New("it has no author")
	case len(m.Genres) == 0:
		return errors.New("it has no genre")
	case m.Demographic != "" && !m.Demographic.known():
		return fmt.Errorf("the demographic %q is unknown", m.Demographic)
	case m.Description.EN == "" || m.Description.JA == "":
		return errors.New("a description is missing")
	case m.StartYear < 1900:
		return fmt.Errorf("the start year is %d", m.StartYear)
	case (m.Status == Finished) != (m.EndYear != 0) || m.EndYear != 0 && m.EndYear < m.StartYear:
		return fmt.Errorf("the status %q does not fit the years %d to %d", m.Status, m.StartYear, m.EndYear)
	case m.Status != Finished && m.Status != Ongoing && m.Status != Hiatus:
		return fmt.Errorf("the status %q is unknown", m.Status)
	case m.Status != Finished && (m.Volumes == 0 || m.VolumesAsOf < m.StartYear):
		return errors.New("a series that has not ended needs a count of volumes and its year")
	case m.Status == Finished && m.VolumesAsOf != 0:
		return errors.New("a finished series needs no year of its count")
	}
	for _, g := range m.Genres {
		if !g.known() {
			return fmt.Errorf("the genre %q is unknown", g)
		}
	}
	return nil
}

// Len returns the number of manga.
func (c *Catalog) Len() int { return len(c.manga) }

// All yields every manga, in the shop's own order.
func (c *Catalog) All() iter.Seq[*Manga] { return slices.Values(c.manga) }

// ByID returns the manga with the id.
func (c *Catalog) ByID(id string) (*Manga, bool) {
	m, ok := c.byID[id]
	return m, ok
}
