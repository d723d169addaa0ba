// Command anthropic does the two tasks of the comparison with anthropic-sdk-go.
package main

import (
	"context"
	"fmt"
	"log"
	"os"

	"github.com/anthropics/anthropic-sdk-go"
	"github.com/anthropics/anthropic-sdk-go/bedrock"
	"github.com/anthropics/anthropic-sdk-go/option"
	"github.com/anthropics/anthropic-sdk-go/toolrunner"
)

const model = "us.anthropic.claude-haiku-4-5-20251001-v1:0"

// answer prints an answer as it comes.
func answer(ctx context.Context, client *anthropic.Client, question string) error {
	stream := client.Messages.NewStreaming(ctx, anthropic.MessageNewParams{Model: model, MaxTokens: 500,
		Messages: []anthropic.MessageParam{anthropic.NewUserMessage(anthropic.NewTextBlock(question))}})
	defer stream.Close()
	for stream.Next() {
		if delta, ok := stream.Current().AsAny().(anthropic.ContentBlockDeltaEvent); ok {
			fmt.Print(delta.Delta.Text)
		}
	}
	return stream.Err()
}

type query struct {
	Title string `json:"title" jsonschema:"required"`
}

// stock is a tool.
func stock(_ context.Context, q query) (anthropic.BetaToolResultBlockParamContentUnion, error) {
	return anthropic.BetaToolResultBlockParamContentUnion{OfText: &anthropic.BetaTextBlockParam{Text: fmt.Sprint(len(q.Title) % 5)}}, nil
}

// loop lets the model use a tool until it has answered.
func loop(ctx context.Context, client *anthropic.Client, question string) (string, error) {
	tool, err := toolrunner.NewBetaToolFromJSONSchema("stock", "Says how many copies there are.", stock)
	if err != nil {
		return "", err
	}
	message, err := client.Beta.Messages.NewToolRunner([]anthropic.BetaTool{tool}, anthropic.BetaToolRunnerParams{
		BetaMessageNewParams: anthropic.BetaMessageNewParams{Model: model, MaxTokens: 500,
			Messages: []anthropic.BetaMessageParam{anthropic.NewBetaUserMessage(anthropic.NewBetaTextBlock(question))}},
		MaxIterations: 10,
	}).RunToCompletion(ctx)
	if err != nil {
		return "", err
	}
	text := ""
	for _, block := range message.Content {
		text += block.Text
	}
	return text, nil
}

func main() {
	ctx := context.Background()
	client := anthropic.NewClient(bedrock.WithLoadDefaultConfig(ctx), option.WithBaseURL(os.Getenv("AWS_ENDPOINT_URL_BEDROCK_RUNTIME")))
	if os.Args[1] == "answer" {
		if err := answer(ctx, &client, "Hi"); err != nil {
			log.Fatal(err)
		}
		return
	}
	text, err := loop(ctx, &client, "Hi")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Print(text)
}
