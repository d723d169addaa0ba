package offline

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit/bedrocktest"
	"github.com/mangaassist/bedrockkit/examples/chatserver/catalog"
	"github.com/mangaassist/bedrockkit/examples/chatserver/shop"
)

// chat is a conversation with the assistant, with the shop's tools.
type chat struct {
	t        testing.TB
	a        *Assistant
	messages []bedrocktest.Message
	tools    []bedrocktest.Tool
	calls    []bedrocktest.ToolCall // for the last question
	rounds   int
}

func newChat(t testing.TB) *chat {
	return &chat{t: t, a: New(catalog.Default()), tools: []bedrocktest.Tool{
		{Name: shop.SearchMangaCatalogTool}, {Name: shop.GetOrderStatusTool}, {Name: shop.CheckMangaAvailabilityTool},
	}}
}

// ask puts a question and runs the tools that the assistant calls, until it
// answers.
func (c *chat) ask(question string) string {
	c.messages = append(c.messages, bedrocktest.Message{Role: "user", Blocks: []bedrocktest.Block{{Text: question}}})
	c.calls, c.rounds = nil, 0
	for {
		text, calls := c.a.answer(&bedrocktest.Conversation{Messages: c.messages, Tools: c.tools})
		if len(calls) == 0 {
			c.messages = append(c.messages, bedrocktest.Message{Role: "assistant", Blocks: []bedrocktest.Block{{Text: text}}})
			return text
		}
		c.rounds++
		require.LessOrEqual(c.t, c.rounds, 2, "the assistant calls tools for ever")
		var use, results []bedrocktest.Block
		for i, call := range calls {
			call.ID = fmt.Sprintf("call_%d_%d_%d", len(c.messages), c.rounds, i)
			use = append(use, bedrocktest.Block{ToolUse: &call})
			results = append(results, bedrocktest.Block{ToolResult: run(c.t, call)})
			c.calls = append(c.calls, call)
		}
		c.messages = append(c.messages,
			bedrocktest.Message{Role: "assistant", Blocks: use},
			bedrocktest.Message{Role: "user", Blocks: results})
	}
}

// run calls a tool of the shop, as the chat server does.
func run(t testing.TB, call bedrocktest.ToolCall) *bedrocktest.ToolResult {
	s := shop.New(catalog.Default())
	var out any
	var err error
	switch call.Name {
	case shop.SearchMangaCatalogTool:
		var in shop.SearchInput
		require.NoError(t, json.Unmarshal(call.Input, &in))
		out, err = s.SearchMangaCatalog(t.Context(), in)
	case shop.GetOrderStatusTool:
		var in shop.OrderInput
		require.NoError(t, json.Unmarshal(call.Input, &in))
		out, err = s.GetOrderStatus(t.Context(), in)
	case shop.CheckMangaAvailabilityTool:
		var in shop.AvailabilityInput
		require.NoError(t, json.Unmarshal(call.Input, &in))
		out, err = s.CheckMangaAvailability(t.Context(), in)
	default:
		require.FailNow(t, "no such tool", call.Name)
	}
	if err != nil {
		return &bedrocktest.ToolResult{ID: call.ID, Error: true, Content: []bedrocktest.Block{{Text: err.Error()}}}
	}
	b, err := json.Marshal(map[string]any{"json": out})
	require.NoError(t, err)
	return &bedrocktest.ToolResult{ID: call.ID, Content: []bedrocktest.Block{{Raw: b}}}
}

// called names the tools that were called for the last question.
func (c *chat) called() string {
	var names []string
	for _, call := range c.calls {
		names = append(names, call.Name)
	}
	return strings.Join(names, " ")
}
