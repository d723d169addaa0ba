package catalog

import (
	"slices"
	"strings"
)

// spelled returns the manga whose names are what the text says but for a slip
// of the keys.
func (c *Catalog) spelled(text string, t *Terms) []Match {
	candidates := [][]rune{fold(text).runes, []rune(strings.Join(t.Words, ""))}
	var found []Match
	best := 1 << 10
	for _, n := range c.names {
		if n.manga == nil || len(n.key) < 5 {
			continue
		}
		for _, s := range candidates {
			if len(s) == 0 || s[0] != n.key[0] {
				continue
			}
			limit := (len(n.key) + 1) / 4
			d := distance(s, n.key, limit)
			if d > limit || d > best {
				continue
			}
			if d < best {
				best, found = d, nil
			}
			if !slices.ContainsFunc(found, func(m Match) bool { return m.Manga == n.manga }) {
				found = append(found, same(n.manga, Text{EN: "the nearest title to what was asked", JA: "お尋ねに最も近い作品名"}))
			}
		}
	}
	return found
}

// distance returns the number of runes to insert, delete, replace or swap with
// a neighbour to get from a to b, or more than limit if it is more.
func distance(a, b []rune, limit int) int {
	if d := len(a) - len(b); d > limit || -d > limit {
		return limit + 1
	}
	before, last := make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := range a {
		row := make([]int, len(b)+1)
		row[0] = i + 1
		for j := range b {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			row[j+1] = min(last[j]+cost, last[j+1]+1, row[j]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
		before, last = last, row
	}
	return last[len(b)]
}
