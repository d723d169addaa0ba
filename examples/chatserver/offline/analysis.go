package offline

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/mangaassist/bedrockkit/bedrocktest"
	"github.com/mangaassist/bedrockkit/examples/chatserver/catalog"
)

// A subject is what a job asks about.
type subject struct {
	question string         // the first message that has an entry, a text or figures
	manga    *catalog.Manga // nil if it names none
	picture  *picture       // nil if there is none that can be read
}

// analyse fills in a JSON Schema: the analyses of package jobs. It is nil for any other
// question.
func (a *Assistant) analyse(c *bedrocktest.Conversation) *bedrocktest.Reply {
	schema, tool := c.OutputSchema, ""
	if mode := c.ToolChoice.Mode; schema == nil && (mode == "any" || mode == "tool") && len(c.Tools) == 1 {
		schema, tool = c.Tools[0].Schema, c.Tools[0].Name
	}
	if schema == nil {
		return nil
	}
	s := a.subject(c)
	value := a.fill(schema, "", &s)
	if s.manga == nil && s.picture == nil && !strings.Contains(s.question, "<text>") && !strings.HasPrefix(s.question, "The figures:") {
		return nil
	}
	answer, err := json.Marshal(value)
	if err != nil {
		panic(err) // it is made of texts and numbers
	}
	if tool == "" {
		return bedrocktest.Text(string(answer))
	}
	return bedrocktest.NewReply().Block(bedrocktest.Block{ToolUse: &bedrocktest.ToolCall{Name: tool, Input: answer}})
}

// subject reads the conversation. Its last message may only ask to correct an answer.
func (a *Assistant) subject(c *bedrocktest.Conversation) (s subject) {
	for _, m := range slices.Backward(c.Messages) {
		text := m.Text()
		if m.Role != "user" || !mangaID.MatchString(text) && !strings.HasPrefix(text, "The figures:") {
			continue
		}
		s.question = text
		s.manga, _ = a.books.ByID(mangaID.FindString(text))
		for _, b := range m.Blocks {
			if p := readPicture(b.Raw); p != nil {
				s.picture = p
			}
		}
		return s
	}
	return s
}

// fill is the value of a property. What the catalogue does not know is a sample.
func (a *Assistant) fill(schema json.RawMessage, name string, about *subject) any {
	var s struct {
		Type       json.RawMessage
		Properties map[string]json.RawMessage
	}
	if json.Unmarshal(schema, &s) == nil && len(s.Properties) > 0 {
		object := map[string]any{}
		for property, sub := range s.Properties {
			object[property] = a.fill(sub, property, about)
		}
		switch {
		case s.Properties["verdict"] != nil:
			moderate(about.question, object)
		case s.Properties["headline"] != nil:
			report(about.question, object)
		case s.Properties["dominant_colors"] != nil && about.picture != nil:
			about.picture.describe(about.manga, object)
		}
		return object
	}
	m := about.manga
	if m == nil {
		return bedrocktest.Sample(schema)
	}
	switch name {
	case "genre_tags":
		return m.Genres[:min(len(m.Genres), 6)]
	case "target_demographic":
		if m.Demographic == "" {
			return "unclear"
		}
		return m.Demographic
	case "summary_en":
		return m.Description.EN
	case "summary_ja":
		return m.Description.JA
	case "theme_keywords":
		return labels(m, 10)
	case "search_keywords":
		return append([]string{m.Title, m.Romaji}, labels(m, 8)...)
	case "similar_series":
		return a.alike(m)
	case "reading_level":
		return levels[m.Demographic].level
	case "minimum_age":
		return levels[m.Demographic].age
	case "content_warnings":
		return warnings(m)
	case "approved":
		return true
	case "corrections":
		return []string{}
	case "scores":
		return scores(m)
	}
	return bedrocktest.Sample(schema)
}

// levels are what the readers of a demographic can read. Magazines for boys and
// girls print the reading beside the kanji, those for adults do not.
var levels = map[catalog.Demographic]struct {
	level string
	age   int
}{
	"":       {"intermediate", 12},
	"kodomo": {"easy", 6},
	"shonen": {"easy", 10},
	"shojo":  {"easy", 10},
	"seinen": {"advanced", 16},
	"josei":  {"advanced", 16},
}

func warnings(m *catalog.Manga) []string {
	found := []string{}
	for _, genre := range []catalog.Genre{"horror", "war", "crime", "psychological", "zombies", "vampires"} {
		if slices.Contains(m.Genres, genre) {
			found = append(found, genre.Label().EN)
		}
	}
	return found
}

func labels(m *catalog.Manga, most int) []string {
	list := []string{}
	for _, g := range m.Genres[:min(len(m.Genres), most)] {
		list = append(list, g.Label().EN)
	}
	return list
}

// alike are the manga that are most like one.
func (a *Assistant) alike(m *catalog.Manga) []map[string]string {
	list := []map[string]string{}
	for _, match := range a.books.Search(catalog.Query{Text: "like " + m.Romaji, Limit: 6}).Matches {
		if match.Manga != m && len(list) < 5 {
			list = append(list, map[string]string{"title": match.Manga.Romaji, "reason": match.Reason.EN})
		}
	}
	return list
}

// scores say how well a manga stands on its shelves: better for the genres that it has
// first, for what has ended and for what is not too long.
func scores(m *catalog.Manga) []map[string]any {
	list := []map[string]any{}
	for i, genre := range m.Genres[:min(len(m.Genres), 12)] {
		score := 80 - 10*i
		if m.Status == catalog.Finished {
			score += 10
		}
		if m.Volumes > 0 && m.Volumes <= 20 {
			score += 10
		}
		list = append(list, map[string]any{"genre": genre, "score": max(score, 5)})
	}
	return list
}

// A rule of the moderator finds what is wrong with a text.
type rule struct {
	category, verdict string
	words             *regexp.Regexp
}

var rules = []rule{
	{"harassment", "block", regexp.MustCompile(`(?i)\b(idiots?|moron|kill yourself|shut up|you people are|i will find you)\b|死ね|バカ野郎|殺すぞ`)},
	{"hate", "block", regexp.MustCompile(`(?i)\b(vermin|subhuman)\b|人間以下`)},
	{"self_harm", "block", regexp.MustCompile(`(?i)\b(kill yourself|hurt yourself|suicide)\b|自殺`)},
	{"sexual", "block", regexp.MustCompile(`(?i)\b(porn|xxx)\b|エロ動画`)},
	{"spam", "block", regexp.MustCompile(`(?i)https?://|\b(buy now|click here|free money|earn \$?\d+)\b|今すぐクリック`)},
	{"piracy", "block", regexp.MustCompile(`(?i)\b(pirated|scanlations?|read it (for )?free at|torrent)\b|海賊版|無料で読める`)},
	{"personal_data", "review", regexp.MustCompile(`[\w.+-]+@[\w-]+\.[\w.]+|\b\d{2,4}-\d{3,4}-\d{4}\b`)},
	{"spoiler", "review", regexp.MustCompile(`(?i)\b(spoilers?|dies at the end|the ending is|turns out to be|the killer is)\b|ネタバレ|最後に死|犯人は`)},
	{"violence", "review", regexp.MustCompile(`(?i)\b(bomb|shoot up)\b|爆破`)},
}

// moderate judges the text that a question has between <text> and </text>.
func moderate(question string, into map[string]any) {
	_, text, _ := strings.Cut(question, "<text>")
	if at := strings.LastIndex(text, "</text>"); at >= 0 {
		text = text[:at]
	}
	verdict, categories := "allow", []string{}
	for _, r := range rules {
		if !r.words.MatchString(text) {
			continue
		}
		if categories = append(categories, r.category); verdict != "block" {
			verdict = r.verdict
		}
	}
	reason := "It is an opinion about the manga."
	switch verdict {
	case "block":
		reason = "It must not be published: " + english.list(categories) + "."
	case "review":
		reason = "A person should look at it: " + english.list(categories) + "."
	}
	lang := "other"
	if l, decided := languageOf(text); decided {
		lang = map[language]string{english: "en", japanese: "ja"}[l]
	}
	into["verdict"], into["categories"], into["language"], into["reason"] = verdict, categories, lang, reason
}

// report writes about the figures of a day.
func report(question string, into map[string]any) {
	var f struct {
		Day       string
		Submitted int
		Completed int
		Failed    int
		CostUSD   string         `json:"cost_usd"`
		ByType    map[string]int `json:"by_type"`
		TopManga  []struct {
			Title string
			Jobs  int
		} `json:"top_manga"`
	}
	_, text, _ := strings.Cut(question, "\n")
	if json.Unmarshal([]byte(text), &f) != nil {
		return
	}
	highlights := []string{}
	for _, m := range f.TopManga[:min(3, len(f.TopManga))] {
		if m.Title != "" {
			highlights = append(highlights, fmt.Sprintf("%s: %d", m.Title, m.Jobs))
		}
	}
	into["headline"] = fmt.Sprintf("%d analyses on %s", f.Submitted, f.Day)
	into["summary_en"] = fmt.Sprintf("On %s there were %d analyses: %d completed and %d failed. They cost $%s.", f.Day, f.Submitted, f.Completed, f.Failed, f.CostUSD)
	into["summary_ja"] = fmt.Sprintf("%sの分析は%d件でした。完了%d件、失敗%d件、費用は%sドルです。", f.Day, f.Submitted, f.Completed, f.Failed, f.CostUSD)
	into["highlights"] = highlights
}
