// Command bedrockkit does the two tasks of the comparison with this module.
package main

import (
	"context"
	"fmt"
	"log"
	"os"

	"github.com/aws/aws-sdk-go-v2/config"

	"github.com/mangaassist/bedrockkit/bedrockx"
	"github.com/mangaassist/bedrockkit/converse"
)

const model = "us.anthropic.claude-haiku-4-5-20251001-v1:0"

// answer prints an answer as it comes.
func answer(ctx context.Context, client *bedrockx.Client, question string) error {
	chat := converse.New(client)
	s, err := chat.Stream(ctx, converse.Request{Model: model, MaxTokens: 500, Messages: []converse.Message{converse.User(question)}})
	if err != nil {
		return err
	}
	for text, err := range s.Text() {
		if err != nil {
			return err
		}
		fmt.Print(text)
	}
	return nil
}

type query struct {
	Title string `json:"title"`
}

// stock is a tool.
func stock(_ context.Context, q query) (int, error) { return len(q.Title) % 5, nil }

// loop lets the model use a tool until it has answered.
func loop(ctx context.Context, client *bedrockx.Client, question string) (string, error) {
	chat := converse.New(client, func(o *converse.Options) {
		o.Tools = []converse.Tool{converse.NewTool("stock", "Says how many copies there are.", stock)}
	})
	result, err := chat.Run(ctx, converse.Request{Model: model, MaxTokens: 500, Messages: []converse.Message{converse.User(question)}})
	if err != nil {
		return "", err
	}
	return result.Text(), nil
}

func main() {
	ctx := context.Background()
	cfg, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		log.Fatal(err)
	}
	client := bedrockx.NewFromConfig(cfg)
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
