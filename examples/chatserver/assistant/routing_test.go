package assistant

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit/converse"
	"github.com/mangaassist/bedrockkit/converse/session"
	"github.com/mangaassist/bedrockkit/examples/chatserver/auth"
	"github.com/mangaassist/bedrockkit/examples/chatserver/rest"
)

func TestChoose(t *testing.T) {
	a := &Assistant{}
	for question, want := range map[string]struct{ model, rule string }{
		"Who wrote Monster?":                                      {"haiku", "short question"},
		"Recommend five seinen manga":                             {"haiku", "short question"},
		"『MONSTER』の作者は？":                                          {"haiku", "short question"},
		"Where is my order ORD-MANGA001?":                         {"haiku", "order or stock"},
		"Is One Piece in stock, and how much is it?":              {"haiku", "order or stock"},
		"注文 ORD-MANGA001 はいつ届きますか":                                {"haiku", "order or stock"},
		"ワンピース1巻の在庫はありますか？":                                       {"haiku", "order or stock"},
		"Compare Monster and 20th Century Boys":                   {"sonnet", "comparison"},
		"What is the difference between shonen and seinen?":       {"sonnet", "comparison"},
		"One Piece vs. Naruto":                                    {"sonnet", "comparison"},
		"Why is Berserk so dark?":                                 {"sonnet", "comparison"},
		"Compare the prices of Monster and Berserk":               {"sonnet", "comparison"},
		"ワンピースとナルトを比較してください":                                      {"sonnet", "comparison"},
		"『ベルセルク』のテーマを分析して":                                        {"sonnet", "comparison"},
		"I want a manga " + strings.Repeat("with a dragon, ", 30): {"sonnet", "long question"},
		"竜が出てくる漫画で、" + strings.Repeat("友情や冒険が描かれていて、", 20) + "何かありますか":  {"sonnet", "long question"},
		"Where is ORD-MANGA001? " + strings.Repeat("Please look. ", 40): {"sonnet", "long question"},
		"The whys and wherefores of whyville":                           {"haiku", "short question"},
		"Preorder the themepark book":                                   {"haiku", "short question"},
	} {
		route := a.Choose(rest.Auto, []converse.Message{converse.User(question)})
		assert.Equal(t, want.model, route.Model, question)
		assert.Equal(t, want.rule, route.Rule, question)
		assert.Contains(t, route.Reason, map[string]string{"haiku": "Haiku", "sonnet": "Sonnet"}[want.model])
		assert.Equal(t, japanese(question), strings.HasSuffix(route.Reason, "。"), "the reason is in the language of %q", question)
	}

	route := a.Choose("haiku", []converse.Message{converse.User("Compare Monster and Berserk")})
	assert.Equal(t, rest.Route{Model: "haiku"}, route, "who chose a model gets it, without a reason")

	history := []converse.Message{}
	for range longHistory {
		history = append(history, converse.User("Another one"), converse.Assistant("**Monster**"))
	}
	route = a.Choose(rest.Auto, append(history, converse.User("Who wrote it?")))
	assert.Equal(t, "sonnet", route.Model)
	assert.Equal(t, "long conversation", route.Rule)
	route = a.Choose(rest.Auto, append(history, converse.User("Is it in stock?")))
	assert.Equal(t, "haiku", route.Model, "a look-up is one in a long conversation too")
	route = a.Choose(rest.Auto, append(history[2:], converse.User("Who wrote it?")))
	assert.Equal(t, "haiku", route.Model)
}

// A question of the REST API is routed by the stored conversation. Results of tools
// are no questions.
func TestRouteByStoredConversation(t *testing.T) {
	store := session.NewMemoryStore()
	a := &Assistant{store: store}
	q := rest.Question{Text: "Who wrote it?", Model: rest.Auto, ConversationID: "5b4c1c1e-8b0a-4c39-9d35-0d2f4d1a9c11"}
	ctx := auth.WithCaller(t.Context(), auth.Caller{ID: "k1"})
	route, err := a.Route(ctx, q)
	require.NoError(t, err)
	assert.Equal(t, "short question", route.Rule)

	var history []converse.Message
	exchange := func() {
		history = append(history, converse.User("Who wrote Monster?"),
			converse.Message{Role: converse.RoleAssistant, Content: converse.Contents{converse.ToolUse{ID: "t1", Name: "search", Input: []byte("{}")}}},
			converse.UserContent(converse.ToolResult{ToolUseID: "t1", Content: converse.Contents{converse.Text("found")}}),
			converse.Assistant("Naoki Urasawa."))
	}
	version := int64(0)
	for i := range longHistory {
		exchange()
		version, err = store.Save(ctx, "k1/"+q.ConversationID, session.History{Messages: history, Version: version})
		require.NoError(t, err)
		route, err = a.Route(ctx, q)
		require.NoError(t, err)
		if i+1 < longHistory {
			assert.Equal(t, "haiku", route.Model, "after %d questions", i+1)
		}
	}
	assert.Equal(t, "long conversation", route.Rule)

	route, err = a.Route(auth.WithCaller(t.Context(), auth.Caller{ID: "k2"}), q)
	require.NoError(t, err)
	assert.Equal(t, "short question", route.Rule, "the conversation of another caller is not seen")
}
