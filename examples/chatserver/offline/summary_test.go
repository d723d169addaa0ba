package offline

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/mangaassist/bedrockkit/bedrocktest"
	"github.com/mangaassist/bedrockkit/examples/chatserver/catalog"
)

func message(role string, texts ...string) bedrocktest.Message {
	m := bedrocktest.Message{Role: role}
	for _, text := range texts {
		m.Blocks = append(m.Blocks, bedrocktest.Block{Text: text})
	}
	return m
}

func TestSummary(t *testing.T) {
	a := New(catalog.Default())
	ask := func(text string) string {
		return a.summarize(&bedrocktest.Conversation{Messages: []bedrocktest.Message{message("user", text)}})
	}
	summary := ask("<conversation>\nuser: Who wrote Monster?\nassistant: calls search_manga_catalog with {}\nuser: result: {}\n" +
		"assistant: **Monster** is by **Naoki Urasawa**.\nuser: Where is ORD-MANGA001?\nassistant: Your order ORD-MANGA001 is on its way.\n</conversation>")
	assert.Contains(t, summary, "Who wrote Monster? / ")
	assert.Contains(t, summary, "Where is ORD-MANGA001?")
	assert.Contains(t, summary, "**MONSTER**")
	assert.Contains(t, summary, "Orders: ORD-MANGA001")

	again := ask("<conversation>\nuser: Summary of the conversation so far:\n" + summary + "\nassistant: Yes.\nuser: And Berserk?\nassistant: **ベルセルク** has 42 volumes.\n</conversation>")
	assert.NotContains(t, again, "Summary of the conversation")
	assert.Contains(t, again, "**MONSTER**", "a summary goes into the next one")
	assert.Contains(t, again, "**ベルセルク**")

	japanese := ask("<conversation>\nuser: 『MONSTER』の作者は？\nassistant: 『MONSTER』の作者は浦沢直樹です。\n</conversation>")
	assert.Contains(t, japanese, "お客様のご質問：『MONSTER』の作者は？")
	assert.Contains(t, japanese, "作品：**MONSTER**")
	assert.Empty(t, ask("Who wrote Monster?"))
}

// A conversation that begins with a summary goes on: what the summary names is what
// was talked about.
func TestAfterSummary(t *testing.T) {
	a := New(catalog.Default())
	c := &bedrocktest.Conversation{Messages: []bedrocktest.Message{
		message("user", "Summary of the conversation so far:\nThe customer asked: Who wrote Monster?\nManga: **MONSTER**", "How many volumes has it?"),
	}}
	text, calls := a.answer(c)
	assert.Empty(t, calls)
	assert.Contains(t, text, "18 volumes")
}
