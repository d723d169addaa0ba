// Command sdk does the two tasks of the comparison with the AWS SDK alone.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"os"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime/document"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime/types"
)

const model = "us.anthropic.claude-haiku-4-5-20251001-v1:0"

// answer prints an answer as it comes.
func answer(ctx context.Context, client *bedrockruntime.Client, question string) error {
	out, err := client.ConverseStream(ctx, &bedrockruntime.ConverseStreamInput{
		ModelId: aws.String(model),
		Messages: []types.Message{{Role: types.ConversationRoleUser,
			Content: []types.ContentBlock{&types.ContentBlockMemberText{Value: question}}}},
		InferenceConfig: &types.InferenceConfiguration{MaxTokens: aws.Int32(500)},
	})
	if err != nil {
		return err
	}
	stream := out.GetStream()
	defer stream.Close()
	for event := range stream.Events() {
		if delta, ok := event.(*types.ConverseStreamOutputMemberContentBlockDelta); ok {
			if text, ok := delta.Value.Delta.(*types.ContentBlockDeltaMemberText); ok {
				fmt.Print(text.Value)
			}
		}
	}
	return stream.Err()
}

// stock is a tool.
func stock(title string) int { return len(title) % 5 }

// loop lets the model use a tool until it has answered.
func loop(ctx context.Context, client *bedrockruntime.Client, question string) (string, error) {
	messages := []types.Message{{Role: types.ConversationRoleUser, Content: []types.ContentBlock{&types.ContentBlockMemberText{Value: question}}}}
	tools := &types.ToolConfiguration{Tools: []types.Tool{&types.ToolMemberToolSpec{Value: types.ToolSpecification{
		Name: aws.String("stock"), Description: aws.String("Says how many copies there are."),
		InputSchema: &types.ToolInputSchemaMemberJson{Value: document.NewLazyDocument(map[string]any{
			"type": "object", "properties": map[string]any{"title": map[string]any{"type": "string"}}, "required": []string{"title"}})},
	}}}}
	for range 10 {
		out, err := client.Converse(ctx, &bedrockruntime.ConverseInput{ModelId: aws.String(model), Messages: messages, ToolConfig: tools,
			InferenceConfig: &types.InferenceConfiguration{MaxTokens: aws.Int32(500)}})
		if err != nil {
			return "", err
		}
		message := out.Output.(*types.ConverseOutputMemberMessage).Value
		messages = append(messages, message)
		text := ""
		var results []types.ContentBlock
		for _, block := range message.Content {
			switch block := block.(type) {
			case *types.ContentBlockMemberText:
				text += block.Value
			case *types.ContentBlockMemberToolUse:
				var in struct{ Title string }
				raw, err := block.Value.Input.MarshalSmithyDocument()
				if err != nil {
					return "", err
				}
				if err := json.Unmarshal(raw, &in); err != nil {
					return "", err
				}
				results = append(results, &types.ContentBlockMemberToolResult{Value: types.ToolResultBlock{ToolUseId: block.Value.ToolUseId,
					Content: []types.ToolResultContentBlock{&types.ToolResultContentBlockMemberText{Value: fmt.Sprint(stock(in.Title))}}}})
			}
		}
		if len(results) == 0 {
			return text, nil
		}
		messages = append(messages, types.Message{Role: types.ConversationRoleUser, Content: results})
	}
	return "", errors.New("too many rounds")
}

func main() {
	ctx := context.Background()
	cfg, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		log.Fatal(err)
	}
	client := bedrockruntime.NewFromConfig(cfg)
	if os.Args[1] == "answer" {
		if err := answer(ctx, client, "Hi"); err != nil {
			log.Fatal(err)
		}
		return
	}
	text, err := loop(ctx, client, "Hi")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Print(text)
}
