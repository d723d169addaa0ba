package catalog

import (
	"slices"
	"strings"
)

// Containing returns the manga whose titles, aliases or authors contain a text, in the
// shop's own order: for a box that shows matches while somebody types, which [Catalog.Search]
// is not for, as it understands whole words. A text without a letter is contained in all.
func (c *Catalog) Containing(text string) []*Manga {
	part := Fold(text)
	var found []*Manga
	for i, m := range c.manga {
		if slices.ContainsFunc(c.folded[i], func(name string) bool { return strings.Contains(name, part) }) {
			found = append(found, m)
		}
	}
	return found
}

// spellings are all that a manga and its authors are called.
func (m *Manga) spellings() []string {
	all := append([]string{m.Title, m.Romaji, m.English}, m.Aliases...)
	for _, a := range m.Authors {
		all = append(all, a.Name, a.Japanese)
	}
	return all
}
