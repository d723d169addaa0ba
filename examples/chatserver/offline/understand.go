package offline

import (
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/mangaassist/bedrockkit/bedrocktest"
	"github.com/mangaassist/bedrockkit/examples/chatserver/catalog"
)

// topic is what a question is about.
type topic int

const (
	offTopic topic = iota
	empty
	greeting
	thanks
	farewell
	help
	orderNumber // about an order, but without its number
	orders
	stock
	facts   // about manga that were named
	whichOf // about a manga, but nobody said which
	books   // recommendations, or a search
)

// aspect is what a question wants to know of a manga.
type aspect int

const (
	everything aspect = iota
	author
	volumes
	year
	ending
)

// question is what a user asks, understood.
type question struct {
	lang   language
	topic  topic
	aspect aspect
	titles []*catalog.Manga // that were named, now or before
	orders []string         // well-formed order ids
	badIDs []string         // others
	volume int              // 0 if none was named
	query  string           // for a search
	genre  string           // for its filter
	count  int              // of manga that are wanted
	shown  []*catalog.Manga // that were shown before and are not wanted again
	rank   rank             // which of the titles is wanted
	table  bool             // the answer is wanted as a table
	cancel bool             // the orders are to be cancelled or sent back
	terms  catalog.Terms
}

// Bounds on what one question leads to.
const (
	maxText   = 2000 // characters of a message that are read
	maxQuery  = 200  // characters of a search query
	maxTitles = 3    // titles that are looked up
	maxOrders = 3
	maxCount  = 10 // manga in one answer

	defaultCount = 5
)

var (
	greetingText = regexp.MustCompile(`(?i)^\W*(hi|hello|hey|howdy|good (morning|afternoon|evening)|yo)\b|^[\s、。！!]*(こんにちは|こんばんは|おはよう|はじめまして|やあ|どうも|ハロー)`)
	thanksText   = regexp.MustCompile(`(?i)\b(thanks|thank you|thx|cheers)\b|ありがと|感謝|助かり`)
	farewellText = regexp.MustCompile(`(?i)\b(bye|goodbye|see you|good night)\b|さようなら|さよなら[。！!]*$|またね|おやすみなさい`)
	helpText     = regexp.MustCompile(`(?i)\bwhat can you do\b|\bwho are you\b|^\W*help\W*$|\bhow (do|can) (i|you) (use|help)\b|何ができ|なにができ|使い方|ヘルプ|あなたは(誰|だれ|何)|できること`)
	mangaText    = regexp.MustCompile(`(?i)\b(manga|mangas|comics?|read|reading|author|wrote|drew|volumes?|series|genres?|recommend\w*|suggest\w*|tell me about|do you (have|sell|stock))\b|漫画|マンガ|まんが|コミック|読|作者|著者|巻|作品|作家|おすすめ|オススメ|お勧め|について|置いて|扱って|名作`)

	freshText = regexp.MustCompile(`(?i)\b(manga|mangas|comics?|recommend\w*|suggest\w*)\b|漫画|マンガ|まんが|コミック|おすすめ|オススメ|お勧め`) // asks for more than the last list

	authorText = regexp.MustCompile(`(?i)\b(who (wrote|drew|made|created|is the (author|writer|artist|mangaka))|author|writer|written by|artist|mangaka)\b|作者|著者|誰が|だれが|誰の|描いた|書いた|漫画家`)
	volumeText = regexp.MustCompile(`(?i)\bhow (many|long)\b|\bnumber of volumes\b|何巻|全巻|巻数|何冊|巻まで`)
	yearText   = regexp.MustCompile(`(?i)\bwhen\b|\bwhat year\b|\bhow old\b|いつ|何年`)
	endingText = regexp.MustCompile(`(?i)\b(finished|ended|completed?|ongoing|still (running|going)|over yet|done yet)\b|完結|終わっ|連載中|続いて`)
	stockText  = regexp.MustCompile(`(?i)\b(in stock|stock|availab\w*|buy|purchase|price|prices|cost|costs|how much|sold out|order a copy)\b|在庫|値段|価格|いくら|買|購入|売り切れ|品切れ|取り寄せ`)
	haveText   = regexp.MustCompile(`(?i)\bdo you (have|sell)\b|ありますか|ある[？?]|置いて|取り扱|扱って`)
	orderText  = regexp.MustCompile(`(?i)\b(my|the|an|track|check) (order|package|parcel|delivery)\b|\border (status|number)\b|注文|配送|発送|届`)
	orderLike  = regexp.MustCompile(`(?i)\bORD-[A-Z0-9]*|\bORD[A-Z]*[0-9][A-Z0-9]*`)
	orderID    = regexp.MustCompile(`^ORD-[A-Z0-9]{8}$`)
	mangaID    = regexp.MustCompile(`\bMNG-[A-Z0-9]{8}\b`)
	volumeNo   = regexp.MustCompile(`(?i)\bvol(?:ume|s|\.)?\.?\s*#?(\d{1,4})\b|\b(\d{1,4})(?:st|nd|rd|th) volume\b|(\d{1,4})\s*巻`)
	countText  = regexp.MustCompile(`(?i)\b(?:top|best) (\d{1,3})\b|\b(\d{1,3}) (?:\w+ ){0,2}(?:manga|series|titles|recommendations|books)\b|(\d{1,3})\s*(?:冊|つ|作品|本|タイトル)`)
	moreText   = regexp.MustCompile(`(?i)\b(more|other|others|another|else|anything different)\b|他に|ほかに|他の|ほかの|もっと教え|別の`)
	backText   = regexp.MustCompile(`(?i)\b(it|its|it's|this|that|that one|this one|they|them)\b|それ|これ|その|この|あれ|あの作品|そちら|同じ`)
)

// understand reads the last question of a conversation.
func (a *Assistant) understand(turns []turn) question {
	last := len(turns) - 1
	text := narrow(languageWish.ReplaceAllString(turns[last].text, ""))
	q := question{lang: spokenIn(turns), count: defaultCount, table: tableWish.MatchString(text), cancel: cancelText.MatchString(text)}
	text = tableWish.ReplaceAllString(text, "$1 ")
	q.rank, text = rankIn(text)
	q.terms = a.books.Parse(text)
	q.titles = q.terms.Titles
	for _, id := range mangaID.FindAllString(text, maxTitles) {
		if m, ok := a.books.ByID(id); ok && !slices.Contains(q.titles, m) {
			q.titles = append(q.titles, m)
		}
	}
	_, unbounded := catalog.VolumeBound(text)
	q.volume = number(volumeNo, unbounded)
	if n := number(countText, unbounded); n > 0 {
		q.count = min(n, maxCount)
	}
	q.aspect = aspectOf(text)
	q.orders, q.badIDs = orderIDs(text)
	q.topic = a.topicOf(text, &q, turns[:last])
	most := maxTitles
	if q.rank != unranked || q.table {
		most = maxCount
	}
	q.titles = q.titles[:min(len(q.titles), most)]
	return q
}

// orderIDs returns the order ids in a text, and what looks like one.
func orderIDs(text string) (good, bad []string) {
	for _, id := range orderLike.FindAllString(text, -1) {
		switch id = strings.ToUpper(id); {
		case orderID.MatchString(id) && !slices.Contains(good, id) && len(good) < maxOrders:
			good = append(good, id)
		case !orderID.MatchString(id) && len(bad) < maxOrders:
			bad = append(bad, clip(id, 20))
		}
	}
	return good, bad
}

// topicOf decides what the question is about. It may take titles and wishes
// from what was said before.
func (a *Assistant) topicOf(text string, q *question, before []turn) topic {
	t := &q.terms
	wishes := wishes(t)
	wantsStock := stockText.MatchString(text)
	switch {
	case strings.TrimSpace(text) == "" && !q.table:
		return empty
	case len(q.orders) > 0 || len(q.badIDs) > 0:
		return orders
	case q.cancel && len(t.Titles) == 0 && (orderText.MatchString(text) || !wishes && !freshText.MatchString(text)):
		if q.orders = ordersIn(before); len(q.orders) > 0 {
			return orders
		}
		return orderNumber
	case len(q.titles) > 0 && t.Similar:
		return a.search(text, q)
	case len(q.titles) > 0 && (wantsStock || haveText.MatchString(text) || q.volume > 0 && q.aspect == everything):
		return stock
	case len(q.titles) > 0:
		return facts
	case orderText.MatchString(text):
		return orderNumber
	case helpText.MatchString(text):
		return help
	}

	// No title was named. It may be about the list that was shown before.
	ofList := q.rank != unranked || q.table && !refines(t)
	if ofList && !wishes && len(t.Words) == 0 && !(t.List && freshText.MatchString(text)) {
		if list := a.listIn(before); len(list) > 0 {
			q.titles = list
			return facts
		}
		return whichOf
	}

	// Or about the one that was spoken of before.
	meant := a.meant(text, before)
	points := backText.MatchString(text) || placeIn(text) >= 0
	asks := wantsStock || q.volume > 0 || q.aspect != everything && !t.List
	switch {
	case t.Similar && len(meant) > 0 && (points || len(t.Words) == 0) && !wishes:
		q.titles = meant
		return a.search("similar to "+meant[0].Title, q)
	case asks && !wishes && len(meant) > 0 && (points || len(t.Words) == 0):
		q.titles = meant
		if wantsStock || q.volume > 0 {
			return stock
		}
		return facts
	case placeIn(text) >= 0 && !wishes && len(meant) > 0 && len(t.Words) == 0:
		q.titles = meant
		return facts
	case moreText.MatchString(text) && !wishes && len(t.Words) == 0 && a.lastSearch(before) != "":
		q.shown = a.shown(before)
		return a.search(a.lastSearch(before), q)
	case refines(t) && len(t.Words) == 0 && !freshText.MatchString(text):
		return a.search(strings.TrimSpace(a.lastSearch(before)+" "+text), q)
	case wishes || t.List && len(t.Words) == 0 && mangaText.MatchString(text):
		return a.search(text, q)
	case q.count != defaultCount && len(t.Words) == 0 && mangaText.MatchString(text): // "three manga, please"
		return a.search("recommend "+text, q)
	case refines(t) && len(t.Words) == 0:
		return a.search(text, q)
	case thanksText.MatchString(text):
		return thanks
	case farewellText.MatchString(text):
		return farewell
	case greetingText.MatchString(text):
		return greeting
	case points && len(meant) > 0 && len(t.Words) == 0:
		q.titles = meant
		return facts
	}
	if res := a.books.Search(catalog.Query{Text: text}); res.Basis == catalog.BySpelling {
		q.titles = []*catalog.Manga{res.Matches[0].Manga}
		if wantsStock || q.volume > 0 {
			return stock
		}
		return facts
	}
	switch {
	case asks && len(t.Words) == 0:
		return whichOf
	case mangaText.MatchString(text) && len(t.Words) > 0, wantsStock:
		return a.search(text, q)
	}
	return offTopic
}

// wishes reports whether the terms say which manga are wanted.
func wishes(t *catalog.Terms) bool {
	return len(t.Genres) > 0 || t.Demographic != "" || t.From != 0 || t.To != 0 || len(t.Authors) > 0
}

// refines reports whether the terms only narrow a search down.
func refines(t *catalog.Terms) bool {
	return !wishes(t) && len(t.Titles) == 0 && (t.MaxVolumes != 0 || t.Finished)
}

// search words the query, and the filter that the tool has for some wishes.
func (a *Assistant) search(text string, q *question) topic {
	q.query = clip(strings.Join(strings.Fields(text), " "), maxQuery)
	q.terms = a.books.Parse(q.query)
	if d := q.terms.Demographic; d != "" {
		q.genre = string(d)
	} else {
		for _, g := range q.terms.Genres {
			if g == "isekai" || g == "mecha" || g == "horror" {
				q.genre = string(g)
				break
			}
		}
	}
	return books
}

func aspectOf(text string) aspect {
	switch {
	case authorText.MatchString(text):
		return author
	case volumeText.MatchString(text):
		return volumes
	case yearText.MatchString(text):
		return year
	case endingText.MatchString(text):
		return ending
	}
	return everything
}

// number returns the first number that the pattern captures, or 0.
func number(pattern *regexp.Regexp, text string) int {
	for _, group := range pattern.FindStringSubmatch(text) {
		if n, err := strconv.Atoi(group); err == nil {
			return n
		}
	}
	return 0
}

// clip cuts a text to n characters.
func clip(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return string(r[:n])
	}
	return s
}

// turn is a message as a person would read it: without tool calls and results.
type turn struct {
	user bool
	text string
}

// split returns the conversation up to the last question, and the messages
// after it: the rounds of tool calls and results that belong to it.
func split(messages []bedrocktest.Message) (turns []turn, rounds []bedrocktest.Message) {
	last := -1
	for i, m := range messages {
		if m.Role == "user" && !hasToolResult(m) {
			last = i
		}
	}
	if last < 0 {
		return []turn{{user: true}}, messages
	}
	for _, m := range messages[:last+1] {
		summary, m := summaryIn(m)
		if summary != "" {
			turns = append(turns, turn{text: clip(summary, maxText)})
		}
		if text := clip(m.Text(), maxText); text != "" || m.Role == "user" && !hasToolResult(m) {
			turns = append(turns, turn{m.Role == "user", text})
		}
	}
	return turns, messages[last+1:]
}

func hasToolResult(m bedrocktest.Message) bool {
	return slices.ContainsFunc(m.Blocks, func(b bedrocktest.Block) bool { return b.ToolResult != nil })
}
