package assistant

import (
	"context"
	"errors"
	"regexp"
	"unicode"

	"github.com/mangaassist/bedrockkit/converse"
	"github.com/mangaassist/bedrockkit/converse/session"
	"github.com/mangaassist/bedrockkit/examples/chatserver/rest"
)

// A situation is what the rules go by.
type situation struct {
	question string
	size     int // of the question; see sizeOf
	before   int // the questions of the conversation so far
}

// The bounds of the rules.
const (
	longQuestion = 400 // as sizeOf counts: about 80 English words
	longHistory  = 6   // questions
)

// rules choose the model. The first that fits decides, and the last one always
// does.
var rules = []struct {
	name   string
	model  string
	fits   func(situation) bool
	en, ja string
}{
	{"comparison", "sonnet", func(s situation) bool { return compares.MatchString(s.question) },
		"Sonnet answers, because the question asks for a comparison or an explanation.", "比較や説明を求める質問なので、Sonnet が答えます。"},
	{"long question", "sonnet", func(s situation) bool { return s.size > longQuestion },
		"Sonnet answers, because the question is long.", "長い質問なので、Sonnet が答えます。"},
	{"order or stock", "haiku", func(s situation) bool { return looksUp.MatchString(s.question) },
		"Haiku answers, because the question is about an order or the stock.", "ご注文や在庫についての質問なので、Haiku が答えます。"},
	{"long conversation", "sonnet", func(s situation) bool { return s.before >= longHistory },
		"Sonnet answers, because the conversation is long.", "長い会話なので、Sonnet が答えます。"},
	{"short question", "haiku", func(situation) bool { return true },
		"Haiku answers, because the question is short.", "短い質問なので、Haiku が答えます。"},
}

var (
	compares = regexp.MustCompile(`(?i)\b(compar(e|ed|es|ing|isons?)|versus|vs\.?|differen(ce|ces|t from)|analy[sz](e|es|ing|is)|explain|why|themes?|symbolism|in (depth|detail)|essay|pros and cons)\b` +
		`|比較|比べ|くらべ|違い|分析|考察|解説|説明して|詳しく|なぜ|どうして|理由|テーマ|どちらが|どっちが`)
	looksUp = regexp.MustCompile(`(?i)\bORD-|\b(orders?|deliver(y|ed)|track(ing)?|in stock|stock|available|price|how much)\b|注文|配送|届|在庫|値段|価格|いくら`)
)

// Choose returns the model of a name that clients use for the last message of a
// conversation. [rest.Auto] leaves the choice to the rules.
func (a *Assistant) Choose(name string, messages []converse.Message) rest.Route {
	if name != rest.Auto || len(messages) == 0 {
		return rest.Route{Model: name}
	}
	last := len(messages) - 1
	return choose(messages[last].Text(), messages[:last])
}

// Route implements [rest.Assistant].
func (a *Assistant) Route(ctx context.Context, q rest.Question) (rest.Route, error) {
	if q.Model != rest.Auto || q.ConversationID == "" {
		return a.Choose(q.Model, []converse.Message{converse.User(q.Text)}), nil
	}
	history, err := a.store.Load(ctx, conversation(ctx, q))
	if err != nil && !errors.Is(err, session.ErrNotFound) {
		return rest.Route{}, err
	}
	return choose(q.Text, history.Messages), nil
}

func choose(question string, history []converse.Message) rest.Route {
	s := situation{question: question, size: sizeOf(question)}
	for _, m := range history {
		if m.Role == converse.RoleUser && m.Text() != "" { // and no result of a tool
			s.before++
		}
	}
	for _, r := range rules {
		if r.fits(s) {
			route := rest.Route{Model: r.model, Rule: r.name, Reason: r.en}
			if japanese(question) {
				route.Reason = r.ja
			}
			return route
		}
	}
	panic("assistant: the last rule fits everything")
}

// sizeOf counts the characters of a text. A Japanese one says about twice as much
// as a Latin letter, so it counts twice.
func sizeOf(text string) int {
	n := 0
	for _, r := range text {
		n++
		if ideographic(r) {
			n++
		}
	}
	return n
}

// japanese reports whether a text is Japanese: one with at least half as many
// Japanese characters as Latin letters, so that an English question may name a
// Japanese title.
func japanese(text string) bool {
	own, latin := 0, 0
	for _, r := range text {
		switch {
		case ideographic(r):
			own++
		case unicode.IsLetter(r):
			latin++
		}
	}
	return own > 0 && 2*own >= latin
}

func ideographic(r rune) bool {
	return unicode.In(r, unicode.Hiragana, unicode.Katakana, unicode.Han)
}
