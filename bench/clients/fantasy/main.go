// Command fantasy does the two tasks of the comparison with charm.land/fantasy.
package main

import (
	"context"
	"fmt"
	"log"
	"os"

	"charm.land/fantasy"
	"charm.land/fantasy/providers/bedrock"
)

const model = "us.anthropic.claude-haiku-4-5-20251001-v1:0"

// answer prints an answer as it comes.
func answer(ctx context.Context, client fantasy.LanguageModel, question string) error {
	parts, err := client.Stream(ctx, fantasy.Call{Prompt: fantasy.Prompt{fantasy.NewUserMessage(question)}, MaxOutputTokens: new(int64(500))})
	if err != nil {
		return err
	}
	for part := range parts {
		switch part.Type {
		case fantasy.StreamPartTypeTextDelta:
			fmt.Print(part.Delta)
		case fantasy.StreamPartTypeError:
			return part.Error
		}
	}
	return nil
}

type query struct {
	Title string `json:"title"`
}

// stock is a tool.
func stock(_ context.Context, q query, _ fantasy.ToolCall) (fantasy.ToolResponse, error) {
	return fantasy.NewTextResponse(fmt.Sprint(len(q.Title) % 5)), nil
}

// loop lets the model use a tool until it has answered.
func loop(ctx context.Context, client fantasy.LanguageModel, question string) (string, error) {
	agent := fantasy.NewAgent(client, fantasy.WithMaxOutputTokens(500),
		fantasy.WithTools(fantasy.NewAgentTool("stock", "Says how many copies there are.", stock)),
		fantasy.WithStopConditions(fantasy.StepCountIs(10)))
	result, err := agent.Generate(ctx, fantasy.AgentCall{Prompt: question})
	if err != nil {
		return "", err
	}
	return result.Response.Content.Text(), nil
}

func main() {
	ctx := context.Background()
	provider, err := bedrock.New(bedrock.WithBaseURL(os.Getenv("AWS_ENDPOINT_URL_BEDROCK_RUNTIME")))
	if err != nil {
		log.Fatal(err)
	}
	client, err := provider.LanguageModel(ctx, model)
	if err != nil {
		log.Fatal(err)
	}
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
