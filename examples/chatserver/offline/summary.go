package offline

import (
	"regexp"
	"strings"

	"github.com/mangaassist/bedrockkit/bedrocktest"
)

// How package session asks for a summary, and what it puts before it in the
// conversation that goes on.
const (
	transcriptBegins = "<conversation>\n"
	summaryBegins    = "Summary of the conversation so far:\n"
)

// The bounds of a summary.
const (
	maxQuestions   = 3
	maxSummed      = 10
	maxOneQuestion = 80 // characters
)

var askedLine = regexp.MustCompile(`(?m)^user: (.+)$`)

// summarize sums up the conversation that a request brings as a text: the questions
// that came last, the manga and the orders. It is empty for any other request.
func (a *Assistant) summarize(c *bedrocktest.Conversation) string {
	text, ok := strings.CutPrefix(c.LastText(), transcriptBegins)
	if !ok || len(c.Tools) > 0 {
		return ""
	}
	var questions []string
	for _, m := range askedLine.FindAllStringSubmatch(text, -1) {
		if q := strings.TrimSpace(m[1]); q+"\n" != summaryBegins {
			questions = append(questions, clip(q, maxOneQuestion))
		}
	}
	questions = questions[max(0, len(questions)-maxQuestions):]
	lang, _ := languageOf(strings.Join(questions, " "))
	var parts []string
	if ids, _ := orderIDs(narrow(text)); len(ids) > 0 {
		parts = append(parts, lang.say("Orders: %s", "ご注文：%s", strings.Join(ids, ", ")))
	}
	var titles []string
	for _, m := range a.titlesIn(text) {
		titles = append(titles, "**"+m.Title+"**")
	}
	if titles = titles[max(0, len(titles)-maxSummed):]; len(titles) > 0 {
		parts = append(parts, lang.say("Manga: %s", "作品：%s", strings.Join(titles, ", ")))
	}
	parts = append(parts, lang.say("The customer asked: %s", "お客様のご質問：%s", strings.Join(questions, " / ")))
	return strings.Join(parts, "\n")
}

// summaryIn takes the summary out of the message that begins with one. What it says
// is what the assistant has said before.
func summaryIn(m bedrocktest.Message) (summary string, rest bedrocktest.Message) {
	if len(m.Blocks) == 0 || m.Role != "user" {
		return "", m
	}
	if text, ok := strings.CutPrefix(m.Blocks[0].Text, summaryBegins); ok {
		return text, bedrocktest.Message{Role: m.Role, Blocks: m.Blocks[1:]}
	}
	return "", m
}
