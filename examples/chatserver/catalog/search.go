package catalog

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Query says what to search for. Its fields narrow down what its text names.
type Query struct {
	// Text is a title, some words, or a whole question, in English or Japanese.
	Text string
	// Demographic and Genre are filters. The default is what Text names.
	Demographic Demographic
	Genre       Genre
	// Year keeps the manga that appeared in it; those that began in it come
	// first. The default is what Text names.
	Year int
	// Limit bounds the matches. The default is 5.
	Limit int
}

// Basis says how matches were found.
type Basis string

// The bases.
const (
	ByNothing  Basis = "nothing"  // there are no matches
	ByTitle    Basis = "title"    // the text names them
	BySpelling Basis = "spelling" // the text nearly names them
	ByLikeness Basis = "likeness" // they are like what the text names
	ByAuthor   Basis = "author"   // the text names their author
	ByCriteria Basis = "criteria" // they have the genres, years… that the text names
	ByWords    Basis = "words"    // words of the text are in their descriptions
	ByShelf    Basis = "shelf"    // the text asks for recommendations only
	ByMeaning  Basis = "meaning"  // their descriptions mean something near to the text; Search never finds these
)

// Match is a manga that was found.
type Match struct {
	Manga  *Manga
	Score  int  // comparable within one result only
	Reason Text // why it was found, a clause without a full stop
}

// Result is what a search found.
type Result struct {
	Terms   Terms // how the query was understood
	Basis   Basis
	Relaxed bool    // nothing met all criteria; these meet some
	Matches []Match // best first, at most Limit
	Total   int     // the number of matches before Limit
}

// Search finds manga. It finds the same in the same order every time.
func (c *Catalog) Search(q Query) Result {
	t := c.Parse(q.Text)
	t.Demographic = cmp.Or(q.Demographic, t.Demographic)
	if q.Genre != "" && !slices.Contains(t.Genres, q.Genre) {
		t.Genres = append(t.Genres, q.Genre)
	}
	if q.Year != 0 {
		t.From, t.To = q.Year, q.Year
	}
	res := Result{Terms: t, Basis: ByNothing}
	try := func(b Basis, m []Match) bool {
		if len(m) == 0 {
			return false
		}
		res.Basis, res.Matches = b, m
		return true
	}
	switch {
	case t.Similar && len(t.Titles) > 0:
		if !try(ByLikeness, c.similar(&t)) {
			res.Relaxed = try(ByLikeness, c.similar(&Terms{Titles: t.Titles}))
		}
	case len(t.Titles) > 0:
		try(ByTitle, c.titled(&t))
	case len(t.Authors) > 0:
		try(ByAuthor, c.written(&t))
	case t.selective():
		if !try(ByCriteria, c.chosen(&t)) {
			for _, weaker := range t.relaxed() {
				if res.Relaxed = try(ByCriteria, c.chosen(&weaker)); res.Relaxed {
					break
				}
			}
		}
	default:
		_ = try(BySpelling, c.spelled(q.Text, &t)) || try(ByWords, c.worded(&t)) ||
			t.List && len(t.Words) == 0 && try(ByShelf, c.shelf())
	}
	res.Total = len(res.Matches)
	res.Matches = res.Matches[:min(len(res.Matches), cmp.Or(max(q.Limit, 0), 5))]
	return res
}

// allows says whether the manga meets the criteria among the terms.
func (t *Terms) allows(m *Manga) bool {
	if t.Demographic != "" && m.Demographic != t.Demographic || t.Finished && m.Status != Finished ||
		t.MaxVolumes != 0 && (m.Volumes == 0 || m.Volumes > t.MaxVolumes || m.Status != Finished) {
		return false
	}
	if t.From != 0 || t.To != 0 {
		in := false
		last := max(m.EndYear, m.VolumesAsOf, m.StartYear)
		if t.From == t.To {
			in = m.RanIn(t.From)
		} else { // a span of years means when it began
			in = m.StartYear >= t.From && (t.To == 0 || m.StartYear <= t.To) && last >= t.From
		}
		if !in {
			return false
		}
	}
	return !slices.ContainsFunc(t.Genres, func(g Genre) bool { return !slices.Contains(m.Genres, g) })
}

// relaxed returns weaker terms, the strongest first: with any one of the
// genres instead of all, and without the bound on length.
func (t *Terms) relaxed() []Terms {
	var weaker []Terms
	if t.MaxVolumes != 0 {
		w := *t
		w.MaxVolumes = 0
		weaker = append(weaker, w)
	}
	if len(t.Genres) > 1 {
		for _, g := range t.Genres {
			w := *t
			w.Genres = []Genre{g}
			weaker = append(weaker, w)
		}
	}
	if t.Demographic != "" && len(t.Genres) > 0 {
		w := *t
		w.Demographic = ""
		weaker = append(weaker, w)
	}
	return weaker
}

// chosen returns the manga that meet all criteria. A genre counts for more
// the earlier it stands among a manga's own.
func (c *Catalog) chosen(t *Terms) []Match {
	var found []Match
	for _, m := range c.manga {
		if !t.allows(m) {
			continue
		}
		score := 6*c.countWords(m, t.Words) + 6*c.countWords(m, t.Themes) + c.extra.Load().score(m, t.Genres)
		for _, g := range t.Genres {
			score += 12 - 2*slices.Index(m.Genres, g)
		}
		if t.From != 0 && m.StartYear >= t.From {
			score += 15
		}
		if t.MaxVolumes != 0 {
			score += max(ShortVolumes-m.Volumes, 0)
		}
		found = append(found, Match{Manga: m, Score: score, Reason: t.met(m)})
	}
	slices.SortStableFunc(found, func(a, b Match) int { return cmp.Compare(b.Score, a.Score) })
	return found
}

// met says which criteria the manga meets.
func (t *Terms) met(m *Manga) Text {
	var en, ja []string
	add := func(e, j string) { en, ja = append(en, e), append(ja, j) }
	if t.Demographic != "" {
		l := t.Demographic.Label()
		add(l.EN, l.JA)
	}
	for _, g := range t.Genres {
		l := g.Label()
		add(l.EN, l.JA)
	}
	switch {
	case t.From == 0 && t.To == 0:
	case t.From != t.To || m.StartYear == t.From:
		add(fmt.Sprintf("began in %d", m.StartYear), fmt.Sprintf("%d年に連載開始", m.StartYear))
	default:
		add(fmt.Sprintf("was running in %d", t.From), fmt.Sprintf("%d年に連載中", t.From))
	}
	if t.Finished {
		add("finished", "完結済み")
	}
	switch {
	case t.MaxVolumes == ShortVolumes:
		add("short", "巻数が少なめ")
	case t.MaxVolumes != 0 && m.Volumes == 1:
		add("1 volume", "全1巻")
	case t.MaxVolumes != 0:
		add(fmt.Sprintf("%d volumes", m.Volumes), fmt.Sprintf("全%d巻", m.Volumes))
	}
	r := Text{EN: strings.Join(en, ", "), JA: strings.Join(ja, "・")}
	if own := t.besides(m); len(own) > 0 {
		en, ja = nil, nil
		for _, g := range own {
			l := g.Label()
			add(l.EN, l.JA)
		}
		r.EN += "; " + strings.Join(en, " and ")
		r.JA += "（" + strings.Join(ja, "・") + "）"
	}
	return r
}

// besides returns the first two of the manga's genres for which nobody asked.
func (t *Terms) besides(m *Manga) []Genre {
	own := slices.DeleteFunc(slices.Clone(m.Genres), func(g Genre) bool { return slices.Contains(t.Genres, g) })
	return own[:min(len(own), 2)]
}

func same(m *Manga, r Text) Match { return Match{Manga: m, Reason: r} }

// titled returns the manga that were named, and after them those whose titles
// begin with the same name: "Blue Giant" is four series.
func (c *Catalog) titled(t *Terms) []Match {
	var found []Match
	for _, m := range t.Titles {
		found = append(found, same(m, Text{EN: "named in the question", JA: "お尋ねの作品"}))
	}
	for _, title := range t.Titles {
		for _, m := range c.manga {
			rest, ok := strings.CutPrefix(m.Romaji, title.Romaji)
			if ok && strings.HasPrefix(rest, " ") && !slices.Contains(t.Titles, m) {
				found = append(found, same(m, Text{EN: "belongs with " + title.Romaji, JA: "『" + title.Title + "』の関連作"}))
			}
		}
	}
	return found
}

// written returns the works of the authors, oldest first.
func (c *Catalog) written(t *Terms) []Match {
	var found []Match
	for _, a := range t.Authors {
		for _, m := range c.manga {
			dup := slices.ContainsFunc(found, func(x Match) bool { return x.Manga == m })
			if slices.Contains(m.Authors, a) && t.allows(m) && !dup {
				found = append(found, same(m, Text{EN: "by " + a.Name, JA: a.Japanese + "の作品"}))
			}
		}
	}
	slices.SortStableFunc(found, func(a, b Match) int { return a.Manga.StartYear - b.Manga.StartYear })
	return found
}

// worded returns the manga whose texts have most of the words.
func (c *Catalog) worded(t *Terms) []Match {
	var found []Match
	for _, m := range c.manga {
		if n := c.countWords(m, t.Words); 2*n > len(t.Words) {
			found = append(found, Match{Manga: m, Score: n, Reason: Text{EN: "its description fits", JA: "内容が近い作品"}})
		}
	}
	slices.SortStableFunc(found, func(a, b Match) int { return cmp.Compare(b.Score, a.Score) })
	return found
}

// countWords returns how many of the words are in the manga's texts, or among its
// keywords.
func (c *Catalog) countWords(m *Manga, words []string) (n int) {
	text, extra := c.texts[m], c.extra.Load()
	for _, w := range words {
		if _, ok := text.findWord([]rune(w), nil); ok || extra.has(m, []rune(w)) {
			n++
		}
	}
	return n
}

// shelf returns the first manga of every demographic in turn.
func (c *Catalog) shelf() []Match {
	var found []Match
	seen := make(map[Demographic]int)
	for _, m := range c.manga {
		if m.Demographic != "" {
			found = append(found, Match{Manga: m, Score: -seen[m.Demographic], Reason: Text{EN: "a favourite of the shop", JA: "当店のおすすめ"}})
			seen[m.Demographic]++
		}
	}
	slices.SortStableFunc(found, func(a, b Match) int { return cmp.Compare(b.Score, a.Score) })
	return found
}
