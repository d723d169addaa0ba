package offline

import (
	"context"
	"encoding/json"

	"github.com/mangaassist/bedrockkit/bedrocktest"
	"github.com/mangaassist/bedrockkit/examples/chatserver/shop"
)

// Respond answers a request as the model would. It is a
// [bedrocktest.Responder].
func (a *Assistant) Respond(ctx context.Context, req *bedrocktest.Request) *bedrocktest.Reply {
	if reply := a.analyse(&req.Conversation); reply != nil {
		return reply
	}
	if summary := a.summarize(&req.Conversation); summary != "" {
		return bedrocktest.Text(summary)
	}
	text, calls := a.answer(&req.Conversation)
	if mode := req.ToolChoice.Mode; len(calls) == 0 && (mode == "any" || mode == "tool") && len(req.ToolResults()) == 0 {
		if mode == "tool" && req.ToolChoice.Name != shop.SearchMangaCatalogTool || !offers(&req.Conversation, shop.SearchMangaCatalogTool) {
			return bedrocktest.Echo(ctx, req) // it calls the tool that must be called
		}
		calls = []bedrocktest.ToolCall{searchFor(req.LastText())}
	}
	if len(calls) == 0 {
		return bedrocktest.Text(text)
	}
	reply := bedrocktest.NewReply()
	for _, call := range calls {
		reply.Block(bedrocktest.Block{ToolUse: &call})
	}
	return reply
}

// searchFor is the call of a search that the question did not need, but the
// request demands.
func searchFor(text string) bedrocktest.ToolCall {
	input, err := json.Marshal(shop.SearchInput{Query: clip(narrow(text), maxQuery)})
	if err != nil {
		panic(err) // it is a string
	}
	return bedrocktest.ToolCall{Name: shop.SearchMangaCatalogTool, Input: input}
}
