package catalog

import (
	"cmp"
	"math/bits"
	"slices"
	"strings"
)

// weighGenres gives a genre that few manga have more weight: it says more of
// two manga that both have pirates than that both have drama. The weight is
// the number of times by which the catalogue halves down to the genre.
func (c *Catalog) weighGenres() {
	count := make(map[Genre]int)
	for _, m := range c.manga {
		for _, g := range m.Genres {
			count[g]++
		}
	}
	c.weight = make(map[Genre]int, len(count))
	for g, n := range count {
		c.weight[g] = bits.Len(uint(len(c.manga) / n))
	}
}

// similarity scores b against a, and names the genres that they share. It is
// 0 if they share none.
func (c *Catalog) similarity(a, b *Manga) (score int, shared []Genre) {
	own := 0 // the genres that only b has
	for _, g := range b.Genres {
		if w := c.weight[g]; slices.Contains(a.Genres, g) {
			score += w
			shared = append(shared, g)
		} else {
			own += w
		}
	}
	if len(shared) == 0 {
		return 0, nil
	}
	missing := 0 // those that only a has
	for _, g := range a.Genres {
		if !slices.Contains(shared, g) {
			missing += c.weight[g]
		}
	}
	// The shared part of the genres, as a percentage, in which what b adds
	// counts half as much as what it lacks; and a bonus for the same readers
	// and the same hand.
	score = 200 * score / (2*score + 2*missing + own)
	if a.Demographic != "" && a.Demographic == b.Demographic {
		score += 20
	}
	if sharedAuthor(a, b) {
		score += 10
	}
	return score, shared
}

func sharedAuthor(a, b *Manga) bool {
	return slices.ContainsFunc(a.Authors, func(x Author) bool { return slices.Contains(b.Authors, x) })
}

// similar ranks the manga that fit the terms by their likeness to the titles
// in them.
func (c *Catalog) similar(t *Terms) []Match {
	var found []Match
	for _, m := range c.manga {
		if slices.Contains(t.Titles, m) || !t.allows(m) {
			continue
		}
		best, like := 0, (*Manga)(nil)
		var shared []Genre
		for _, title := range t.Titles {
			if s, g := c.similarity(title, m); s > best {
				best, like, shared = s, title, g
			}
		}
		if like != nil {
			found = append(found, Match{Manga: m, Score: best, Reason: likeness(like, m, shared)})
		}
	}
	slices.SortStableFunc(found, func(a, b Match) int { return cmp.Compare(b.Score, a.Score) })
	return found
}

func likeness(like, m *Manga, shared []Genre) Text {
	var en, ja []string
	for _, g := range shared {
		l := g.Label()
		en, ja = append(en, l.EN), append(ja, l.JA)
	}
	r := Text{
		EN: "shares " + strings.Join(en, ", ") + " with " + cmp.Or(like.English, like.Romaji),
		JA: "『" + like.Title + "』と" + strings.Join(ja, "・") + "が共通",
	}
	if like.Demographic != "" && like.Demographic == m.Demographic {
		l := m.Demographic.Label()
		r.EN += ", and is " + l.EN + " too"
		r.JA += "、同じ" + l.JA
	}
	if sharedAuthor(like, m) {
		r.EN += ", by the same author"
		r.JA += "、同じ作者"
	}
	return r
}
