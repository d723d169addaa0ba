package bedrockx_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/bedrocktest"
	"github.com/mangaassist/bedrockkit/bedrockx"
	"github.com/mangaassist/bedrockkit/bedrockx/anthropic"
	"github.com/mangaassist/bedrockkit/pricing"
	"github.com/mangaassist/bedrockkit/quota"
)

func Example_limiter() {
	fake, err := bedrocktest.New(func(o *bedrocktest.Options) { o.InProcess = true })
	if err != nil {
		log.Fatal(err)
	}
	defer fake.Close()
	fake.Reply(bedrocktest.Text("Kentaro Miura."))
	ctx, cfg := context.Background(), fake.Config()

	const model = "us.anthropic.claude-haiku-4-5-20251001-v1:0"
	limiter, err := quota.New([]quota.Quota{
		{Model: model, TokensPerMinute: 50_000},
	}, func(o *quota.Options) {
		o.MaxWait = 10 * time.Second
	})
	if err != nil {
		log.Fatal(err)
	}
	client := bedrockx.NewFromConfig(cfg, func(o *bedrockx.Options) { o.Limiter = limiter })
	for _, maxTokens := range []int{500, 64_000} {
		result, err := bedrockx.Invoke(ctx, client, model, anthropic.Request{
			MaxTokens: maxTokens,
			Messages:  []anthropic.Message{anthropic.User("Who wrote Berserk?")},
		})
		if errors.Is(err, bedrockx.ErrLimited) {
			fmt.Println(err)
			continue
		}
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(result.Output.Text())
	}
	// Output:
	// Kentaro Miura.
	// bedrock InvokeModel us.anthropic.claude-haiku-4-5-20251001-v1:0: limited: the quota of us.anthropic.claude-haiku-4-5-20251001-v1:0 in us-east-1 is 50000 tokens a minute: the call reserves its max tokens of 64000; set them lower
}

// A day's budget for all calls of a client, and one for a conversation.
func Example_budget() {
	fake, err := bedrocktest.New(func(o *bedrocktest.Options) { o.InProcess = true })
	if err != nil {
		log.Fatal(err)
	}
	defer fake.Close()
	fake.Reply(bedrocktest.Text("Kentaro Miura.").Usage(bedrockkit.Usage{InputTokens: 900, OutputTokens: 20}))

	day := pricing.NewDailyBudget(pricing.MustAmount("100"))
	client := bedrockx.NewFromConfig(fake.Config(), func(o *bedrockx.Options) { o.Budgets = []*pricing.Budget{day} })

	conversation := pricing.NewTokenBudget(1000)
	for range 2 {
		_, err := bedrockx.Invoke(context.Background(), client, "us.anthropic.claude-haiku-4-5-20251001-v1:0", anthropic.Request{
			MaxTokens: 100,
			Messages:  []anthropic.Message{anthropic.User("Who wrote Berserk?")},
		}, func(o *bedrockx.Options) { o.Budgets = append(o.Budgets, conversation) })
		fmt.Println(errors.Is(err, bedrockx.ErrBudget), conversation.SpentTokens(), day.Spent())
	}
	// Output:
	// false 920 0.0011
	// true 920 0.0011
}

// The guide shows the code of the example.
func TestGuideToQuotas(t *testing.T) {
	guide, err := os.ReadFile("../docs/quotas.md")
	require.NoError(t, err)
	example, err := os.ReadFile("example_quota_test.go")
	require.NoError(t, err)
	text := strings.ReplaceAll(string(guide), "\r\n", "\n")
	_, rest, found := strings.Cut(text, "```go\n")
	require.True(t, found)
	code, _, found := strings.Cut(rest, "```\n")
	require.True(t, found)
	var indented strings.Builder
	for line := range strings.Lines(code) {
		indented.WriteString("\t" + line)
	}
	assert.Contains(t, strings.ReplaceAll(string(example), "\r\n", "\n"), indented.String())
}
