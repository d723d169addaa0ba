package anthropic_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log"

	"github.com/mangaassist/bedrockkit/bedrocktest"
	"github.com/mangaassist/bedrockkit/bedrockx"
	"github.com/mangaassist/bedrockkit/bedrockx/anthropic"
)

// newFake stands for bedrockx.NewFromConfig(cfg) with a real account.
func newFake(replies ...*bedrocktest.Reply) (*bedrockx.Client, func()) {
	fake, err := bedrocktest.New(func(o *bedrocktest.Options) { o.InProcess = true })
	if err != nil {
		log.Fatal(err)
	}
	fake.Reply(replies...)
	return bedrockx.New(fake.Client()), func() { fake.Close() }
}

// A tool, its call and its result, in a conversation that goes on.
func ExampleRequest() {
	client, done := newFake(
		bedrocktest.ToolUse("stock", map[string]any{"title": "Berserk"}),
		bedrocktest.Text("Three copies are left."))
	defer done()

	const model = "us.anthropic.claude-haiku-4-5-20251001-v1:0"
	req := anthropic.Request{
		MaxTokens: 500,
		System:    anthropic.Blocks{{Type: "text", Text: "You sell manga.", CacheControl: anthropic.Cache("1h")}},
		Tools: []anthropic.Tool{{
			Name:        "stock",
			Description: "How many copies of a title are in stock.",
			InputSchema: json.RawMessage(`{"type":"object","properties":{"title":{"type":"string"}},"required":["title"]}`),
		}},
		Messages: []anthropic.Message{anthropic.User("Is Berserk in stock?")},
	}
	for {
		result, err := bedrockx.Invoke(context.Background(), client, model, req)
		if err != nil {
			fmt.Println(err)
			return
		}
		req.Messages = append(req.Messages, result.Output.Message())
		answer := anthropic.Message{Role: "user"}
		for _, block := range result.Output.Content {
			if block.Type == "tool_use" {
				fmt.Printf("%s %s\n", block.Name, block.Input)
				answer.Content = append(answer.Content, anthropic.ToolResult(block.ID, `{"copies":3}`))
			}
		}
		if answer.Content == nil {
			fmt.Println(result.Output.Text())
			return
		}
		req.Messages = append(req.Messages, answer)
	}
	// Output:
	// stock {"title":"Berserk"}
	// Three copies are left.
}

// What has no field here goes into Extra: of the request, of a tool or of a
// block.
func ExampleRequest_extra() {
	body, err := anthropic.Request{
		MaxTokens: 500,
		Messages:  []anthropic.Message{anthropic.User("Open the shop's page.")},
		Tools: []anthropic.Tool{{
			Type: "computer_20250124",
			Name: "computer",
			Extra: map[string]json.RawMessage{
				"display_width_px":  json.RawMessage("1024"),
				"display_height_px": json.RawMessage("768"),
			},
		}},
		AnthropicBeta: []string{"computer-use-2025-01-24"},
	}.EncodeInvoke("us.anthropic.claude-sonnet-4-5-20250929-v1:0")
	fmt.Println(string(body), err)
	// Output: {"anthropic_version":"bedrock-2023-05-31","anthropic_beta":["computer-use-2025-01-24"],"max_tokens":500,"tools":[{"type":"computer_20250124","name":"computer","display_height_px":768,"display_width_px":1024}],"messages":[{"role":"user","content":[{"type":"text","text":"Open the shop's page."}]}]} <nil>
}
