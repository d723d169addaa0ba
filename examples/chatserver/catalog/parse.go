package catalog

import (
	"slices"
	"strconv"
	"strings"
)

// Terms are what a text names of the catalogue's world.
type Terms struct {
	Titles      []*Manga // in the order of the text
	Authors     []Author
	Genres      []Genre
	Demographic Demographic

	From, To int // years, both inclusive; zero is open
	Finished bool
	Similar  bool // it asks for something like the titles
	List     bool // it asks for recommendations
	Facts    bool // it asks for a fact: who wrote it, how many volumes, when, what about

	// MaxVolumes asks for manga that are finished in at most so many volumes:
	// [ShortVolumes] if the text asks for something short; 0 means no bound.
	MaxVolumes int

	Themes []string // the folded words that named the genres: "volleyball" names sports
	Words  []string // the folded words that are left and may carry meaning
}

// ShortVolumes is the number of volumes up to which a manga counts as short.
const ShortVolumes = 10

// selective says whether the terms narrow down a list of manga.
func (t *Terms) selective() bool {
	return len(t.Genres) > 0 || t.Demographic != "" || t.From != 0 || t.To != 0 || t.Finished || t.MaxVolumes != 0
}

// name is a folded title, alias or author.
type name struct {
	key    []rune
	script script // of all its runes; other if mixed
	manga  *Manga
	author Author // if manga is nil
	cased  []bool // of the key's runes, if they must be written so: "ONE" is an author, "one" is not
}

func (c *Catalog) indexNames() {
	add := func(text string, n name) {
		f := fold(text)
		if len(f.runes) == 0 {
			return
		}
		n.key, n.script = f.runes, f.script[0]
		if slices.ContainsFunc(f.script, func(s script) bool { return s != n.script }) {
			n.script = other
		}
		c.names = append(c.names, n)
	}
	c.texts = make(map[*Manga]folded, len(c.manga))
	surnames := make(map[string]map[Author]bool)
	for _, m := range c.manga {
		spelled := m.spellings()
		for i := range spelled {
			spelled[i] = Fold(spelled[i])
		}
		c.folded = append(c.folded, spelled)
		for _, t := range slices.Concat([]string{m.Title, m.Romaji, m.English}, m.Aliases) {
			add(t, name{manga: m})
		}
		c.texts[m] = fold(strings.Join([]string{m.Title, m.Romaji, m.English, m.Description.EN, m.Description.JA}, "\n"))
		for _, a := range m.Authors {
			for _, full := range []string{a.Name, a.Japanese} {
				n := name{author: a}
				if f := fold(full); len(f.runes) <= 4 && f.script[0] == latin {
					n.cased = f.cased
				}
				add(full, n)
			}
			if given, family, ok := strings.Cut(a.Name, " "); ok {
				add(family+" "+given, name{author: a})
				if surnames[family] == nil {
					surnames[family] = make(map[Author]bool)
				}
				surnames[family][a] = true
			}
		}
	}
	for family, authors := range surnames {
		if len(authors) == 1 && len(family) >= 5 { // "Urasawa", but neither "Oda" nor "Takahashi"
			for a := range authors {
				add(family, name{author: a})
			}
		}
	}
	c.byFirst = make(map[rune][]name)
	for _, n := range c.names {
		c.byFirst[n.key[0]] = append(c.byFirst[n.key[0]], n)
	}
	// The longest name at a place is the one that is meant. A surname stands for
	// one author only, so the order of the map above makes no difference.
	for _, names := range c.byFirst {
		slices.SortStableFunc(names, func(a, b name) int { return len(b.key) - len(a.key) })
	}
}

// matches says whether the name stands at rune i of the text.
func (n *name) matches(f folded, i int) bool {
	end := i + len(n.key)
	if !f.hasPrefix(i, n.key) || !f.border(i) || !f.border(end) {
		return false
	}
	if n.cased != nil {
		return slices.Equal(f.cased[i:end], n.cased) && !f.shouting()
	}
	whole := i == 0 && end == len(f.runes)
	if len(n.key) == 1 {
		return whole || f.cased[i] || f.quoted(i, end)
	}
	// "マギ" is a title, the same in hiragana may be a part of any sentence.
	if len(n.key) <= 3 && (n.script == katakana || n.script == hiragana) && !whole {
		for k := i; k < end; k++ {
			if f.script[k] != n.script {
				return false
			}
		}
	}
	return true
}

// quoted says whether the runes from i up to end stand alone in quotation
// marks.
func (f folded) quoted(i, end int) bool {
	return f.quotes[i] && (end == len(f.runes) || f.begins[end])
}

// Words that tell what a text wants. They are folded when they are used, like
// everything.
var (
	similarWords = words("similar", "similar to", "like", "reminds", "alike", "comparable", "に似", "似た", "似て", "みたいな", "みたい", "のような", "っぽい", "に近い", "系の", "好きな人", "好きなら", "類似", "ような")
	listWords    = words("recommend", "recommendation", "recommendations", "recommended", "suggest", "suggestion", "suggestions", "best", "top", "good", "great", "any", "anything", "some", "list", "popular", "favorite", "favourite", "what should i read", "something",
		"おすすめ", "オススメ", "お勧め", "お薦め", "教えて", "紹介", "人気", "面白い", "おもしろい", "ランキング", "ベスト", "何か", "読みたい", "探して", "名作", "傑作", "ありますか", "ある？")
	factWords = words("who", "wrote", "writer", "author", "drew", "artist", "mangaka", "volume", "volumes", "vol", "how many", "how long", "when", "year", "what is", "about", "plot", "story of", "summary", "finished", "ended", "tell me about", "stock", "price", "cost", "buy", "available",
		"作者", "著者", "誰が", "だれが", "何巻", "全巻", "巻", "いつ", "何年", "とは", "どんな", "あらすじ", "内容", "ストーリー", "完結した", "終わ", "について", "在庫", "値段", "価格", "いくら", "買", "購入")
	finishedWords = words("completed", "complete", "finished", "ended", "完結", "完結済み", "終わった", "全巻揃")
	shortWords    = words("short", "shorter", "few volumes", "quick read", "短い", "短め", "短編", "短く", "巻数が少ない", "すぐ読める", "さくっと", "サクッと")
)

func words(list ...string) [][]rune {
	keys := make([][]rune, len(list))
	for i, w := range list {
		keys[i] = fold(w).runes
	}
	return keys
}

// span is a stretch of runes, from one index up to another.
type span struct{ from, to int }

// findWord returns where key first stands as a word in runes that are not
// taken.
func (f folded) findWord(key []rune, taken []bool) (span, bool) {
	if len(key) == 0 {
		return span{}, false
	}
	for i := 0; i+len(key) <= len(f.runes); i++ {
		end := i + len(key)
		if !f.hasPrefix(i, key) {
			continue
		}
		// Japanese compounds words, so only short words in katakana need borders.
		if s := f.script[i]; s == latin || s == katakana && len(key) <= 3 {
			if !f.border(i) || !f.border(end) {
				continue
			}
		}
		if taken != nil && slices.Contains(taken[i:end], true) {
			continue
		}
		return span{i, end}, true
	}
	return span{}, false
}

// takeWords says whether one of the keys is in the text, and marks those that
// are as taken.
func (f folded) takeWords(keys [][]rune, taken []bool) (found bool) {
	for _, key := range keys {
		for {
			at, ok := f.findWord(key, taken)
			if !ok {
				break
			}
			mark(taken, at)
			found = true
		}
	}
	return found
}

func (f folded) hasWord(keys [][]rune, taken []bool) bool {
	return slices.ContainsFunc(keys, func(key []rune) bool {
		_, ok := f.findWord(key, taken)
		return ok
	})
}

func mark(taken []bool, at span) {
	for i := at.from; i < at.to; i++ {
		taken[i] = true
	}
}

// maxParsed bounds the work on one text, in runes.
const maxParsed = 2000

// Parse finds what a text names: a title, a list of wishes, or a whole
// question, in English or Japanese. It reads the first 2,000 characters.
func (c *Catalog) Parse(text string) Terms {
	if r := []rune(text); len(r) > maxParsed {
		text = string(r[:maxParsed])
	}
	most, text := VolumeBound(text)
	var (
		f     = fold(text)
		t     Terms
		taken = make([]bool, len(f.runes))
	)
	t.List = f.hasWord(listWords, taken)
	t.Facts = f.hasWord(factWords, taken)
	t.Similar = f.hasWord(similarWords, taken)

	for i := 0; i < len(f.runes); i++ {
		names := c.byFirst[f.runes[i]]
		n := slices.IndexFunc(names, func(n name) bool {
			return n.matches(f, i) && (n.manga == nil || !n.manga.CommonWord || t.means(f, i, len(n.key)))
		})
		if n < 0 {
			continue
		}
		found := names[n]
		if found.manga == nil {
			if !slices.Contains(t.Authors, found.author) {
				t.Authors = append(t.Authors, found.author)
			}
		} else if !slices.Contains(t.Titles, found.manga) {
			t.Titles = append(t.Titles, found.manga)
		}
		mark(taken, span{i, i + len(found.key)})
		i += len(found.key) - 1
	}

	t.years(f, taken)
	t.Finished = f.takeWords(finishedWords, taken) && !(t.Facts && len(t.Titles) > 0)
	if short := f.takeWords(shortWords, taken); short && most == 0 {
		most = ShortVolumes
	}
	t.MaxVolumes = most
	for _, d := range demographicKeys {
		if f.takeWords(d.words, taken) && t.Demographic == "" {
			t.Demographic = Demographic(d.key)
		}
	}
	// A word may stand for several genres ("romcom"), so all are looked for
	// before any is taken.
	for _, g := range genreKeys {
		if f.hasWord(g.words, taken) {
			t.Genres = append(t.Genres, Genre(g.key))
		}
	}
	for _, g := range genreKeys {
		for _, key := range g.words {
			if f.takeWords([][]rune{key}, taken) {
				t.Themes = append(t.Themes, string(key))
			}
		}
	}
	f.takeWords(similarWords, taken)
	f.takeWords(listWords, taken)
	f.takeWords(factWords, taken)
	t.Words = f.rest(taken)
	return t
}

// means says whether the text means the n runes at i as a title, where they
// are an everyday word, too.
func (t *Terms) means(f folded, i, n int) bool {
	end := i + n
	switch {
	case n == len(f.runes), f.quoted(i, end): // nothing but the title
		return true
	case t.Facts && !t.List:
		return true
	case f.cased[i] && (i > 0 || slices.Contains(f.script, hiragana)) && !f.shouting():
		return true
	}
	for _, key := range similarWords {
		if f.hasPrefix(end, key) || i >= len(key) && f.hasPrefix(i-len(key), key) {
			return true
		}
	}
	return false
}

// shouting says whether all letters are capitals.
func (f folded) shouting() bool {
	for i, s := range f.script {
		if s == latin && !f.cased[i] && f.runes[i] > '9' {
			return false
		}
	}
	return true
}

// vocabulary is a term with its words folded.
type vocabulary struct {
	key   string
	words [][]rune
}

var demographicKeys, genreKeys = foldTerms(demographics), foldTerms(genres)

func foldTerms(terms []term) []vocabulary {
	v := make([]vocabulary, len(terms))
	for i, t := range terms {
		v[i] = vocabulary{t.key, words(t.words...)}
	}
	return v
}

var (
	sinceWords  = words("since", "after", "from", "以降", "以後", "から")
	beforeWords = words("before", "until", "以前", "まで")
)

// years reads "2023", "2023年", "the 1990s", "90年代", "since 2015", "2000年以前".
func (t *Terms) years(f folded, taken []bool) {
	for i := 0; i < len(f.runes); i++ {
		end := i
		for end < len(f.runes) && f.runes[end] >= '0' && f.runes[end] <= '9' {
			end++
		}
		digits := end - i
		if digits == 0 || taken[i] {
			i = max(i, end-1)
			continue
		}
		year, err := strconv.Atoi(string(f.runes[i:end]))
		after := f.runes[end:]
		decade := len(after) > 0 && after[0] == 's' && f.border(end+1) || len(after) > 1 && after[0] == '年' && after[1] == '代'
		switch {
		case err != nil:
		case digits == 2 && decade && year%10 == 0:
			year += 1900
			if year < 1940 {
				year += 100
			}
			t.From, t.To = year, year+9
		case digits != 4 || year < 1900 || year > 2100:
			i = end - 1
			continue
		case decade:
			t.From, t.To = year, year+9
		case near(f, i, end, sinceWords) && !wordBefore(f, i, "from"):
			t.From = year
		case near(f, i, end, beforeWords):
			t.To = year
		case t.From != 0 && t.To == t.From && year > t.From: // "between 2010 and 2015"
			t.To = year
		default:
			t.From, t.To = year, year
		}
		for _, unit := range yearUnits {
			if f.hasPrefix(end, unit) {
				end += len(unit)
			}
		}
		mark(taken, span{i, end})
		i = end - 1
	}
}

// yearUnits may follow a year, in this order.
var yearUnits = words("s", "年", "代", "以降", "以後", "以前")

// near says whether one of the words stands right before a number, or right
// after it and its 年.
func near(f folded, from, to int, keys [][]rune) bool {
	if to < len(f.runes) && f.runes[to] == '年' {
		to++
	}
	return slices.ContainsFunc(keys, func(key []rune) bool {
		if f.script[from] == latin && from >= len(key) && f.hasPrefix(from-len(key), key) && f.border(from-len(key)) {
			return true
		}
		return f.hasPrefix(to, key) && key[0] > 'z'
	})
}

// wordBefore is for "from 2023", which people say of a single year.
func wordBefore(f folded, at int, word string) bool {
	key := []rune(word)
	return at >= len(key) && f.hasPrefix(at-len(key), key)
}

// rest returns the words that are left: Latin words, and runs of kanji or
// katakana.
func (f folded) rest(taken []bool) []string {
	var list []string
	for i := 0; i < len(f.runes); {
		end := i + 1
		for end < len(f.runes) && f.script[end] == f.script[i] && !f.begins[end] && taken[end] == taken[i] {
			end++
		}
		word, s, n := string(f.runes[i:end]), f.script[i], end-i
		ok := !taken[i] && (s == latin && n >= 3 || (s == kanji || s == katakana) && n >= 2) &&
			strings.Trim(word, "0123456789") != ""
		if ok && !stopWords[word] && !slices.Contains(list, word) {
			list = append(list, word)
		}
		i = end
	}
	return list
}

var stopWords = func() map[string]bool {
	set := make(map[string]bool)
	for _, w := range words(strings.Fields(`
		the and for with that this these those from into are was were has have had does did can could would will shall should may might must
		you your yours mine our ours his her hers its their them they she him who whom whose what which where when why how
		not but too very more most much many few than then there here also just only even ever still yet now today
		begin begins began begun start starts started come comes came end ends go goes went
		whats whos thats number please thanks thank want wants need needs like likes love loves look looks looking find show give tell know read reads reading watch see get got make
		manga mangas comic comics series title titles book books story stories anime one ones thing things way
		other others another new newest latest old older about all out off over under between kind kinds type types genre genres similar
		first second third fourth fifth 1st 2nd 3rd 4th 5th last next
		volume volumes vol author authors wrote written writer artist published publish released release hello hey hay
		漫画 マンガ まんが コミック コミックス 作品 作品名 作家 作者 シリーズ タイトル ジャンル ストーリー アニメ 本当 最近 今年 昔 自分 私 僕 一番 最高 全部
		系統 感じ タイプ 内容 時間 人間 大人 子供 好き 以外 物語 質問 回答 情報 注文 状況 商品 番号 名前 番目 一番目 二番目 三番目 最初 最後`)...) {
		set[string(w)] = true
	}
	return set
}()
