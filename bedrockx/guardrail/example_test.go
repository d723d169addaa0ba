package guardrail_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"github.com/mangaassist/bedrockkit/bedrocktest"
	"github.com/mangaassist/bedrockkit/bedrockx"
	"github.com/mangaassist/bedrockkit/bedrockx/anthropic"
	"github.com/mangaassist/bedrockkit/bedrockx/guardrail"
)

func ExampleMiddleware() {
	fake, err := bedrocktest.New(func(o *bedrocktest.Options) {
		o.Guardrails = []bedrocktest.Guardrail{{ID: "gr-abc123", Version: "1", Words: []string{"spoiler"}, InputMessage: "No spoilers, please."}}
	})
	if err != nil {
		log.Fatal(err)
	}
	defer fake.Close()

	api := fake.Client() // bedrockruntime.NewFromConfig(cfg)
	client := bedrockx.New(api, func(o *bedrockx.Options) {
		o.Middleware = append(o.Middleware, guardrail.Middleware(guardrail.Apply(api, "gr-abc123", "1")))
	})
	_, err = bedrockx.Invoke(context.Background(), client, "us.anthropic.claude-haiku-4-5-20251001-v1:0",
		anthropic.Request{MaxTokens: 100, Messages: []anthropic.Message{anthropic.User("Tell me the spoiler.")}})
	if e, ok := errors.AsType[*guardrail.InterventionError](err); ok {
		fmt.Println(e.Verdict.Text)
		fmt.Println(e.Verdict.Findings[0].Policy)
	}
	// Output:
	// No spoilers, please.
	// word
}
