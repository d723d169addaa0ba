package pricing_test

import (
	"errors"
	"fmt"
	"log"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/pricing"
)

func ExampleTable_Cost() {
	cost, err := pricing.Default().Cost(
		"us.anthropic.claude-sonnet-4-5-20250929-v1:0",
		bedrockkit.Usage{InputTokens: 3, OutputTokens: 12, CacheReadTokens: 13216, CacheWrite5mTokens: 25},
	)
	if err != nil {
		panic(err)
	}
	fmt.Println(cost, cost.Display(3))
	// Output: 0.004672305 $0.00467
}

// A tier that a model is not offered in has no price, and nothing is guessed.
func ExampleUnpricedError() {
	_, err := pricing.Default().Cost(
		"anthropic.claude-haiku-4-5-20251001-v1:0",
		bedrockkit.Usage{InputTokens: 1000},
		func(o *pricing.CostOptions) { o.Tier = bedrockkit.TierFlex },
	)
	var unpriced *pricing.UnpricedError
	if errors.Is(err, pricing.ErrNoRate) && errors.As(err, &unpriced) {
		fmt.Println(unpriced.Unpriced)
	}
	// Output: [{input 1000}]
}

func ExampleTable_Bound() {
	most, err := pricing.Default().Bound("us.anthropic.claude-haiku-4-5-20251001-v1:0", pricing.Request{
		Text:            "Which volume of the series comes after 23?",
		MaxOutputTokens: 300,
	})
	if err != nil {
		panic(err)
	}
	fmt.Println(most)
	// Output: 0.001837
}

// The arithmetic of the store that the module was made for, at the prices of
// models that have ended since: Claude 3 Haiku on 2026-09-10, Claude 3 Sonnet on
// 2026-07-30.
func ExampleTable_Forecast() {
	f, err := pricing.Default().Forecast(pricing.Workload{
		MessagesPerDay: 1_000_000,
		InputTokens:    500,
		OutputTokens:   300,
		CacheHitRate:   0.15,
		Routes: []pricing.Route{
			{Model: "anthropic.claude-3-haiku-20240307-v1:0", Share: 0.8},
			{Model: "anthropic.claude-3-sonnet-20240229-v1:0", Share: 0.2},
		},
	})
	if err != nil {
		panic(err)
	}
	fmt.Println(f.ListDay, f.List, f.Savings.ResponseCache, f.Cost)
	// Output: 1600 48000 7200 40800
}

func ExampleTable_Compare() {
	usage := bedrockkit.Usage{InputTokens: 1_000_000, OutputTokens: 100_000}
	for _, c := range pricing.Default().Compare(usage, []bedrockkit.ModelID{
		"us.anthropic.claude-haiku-4-5-20251001-v1:0",
		"global.anthropic.claude-haiku-4-5-20251001-v1:0",
		"amazon.nova-lite-v1:0",
	}) {
		fmt.Println(c.Model, c.Cost)
	}
	// Output:
	// amazon.nova-lite-v1:0 0.084
	// global.anthropic.claude-haiku-4-5-20251001-v1:0 1.5
	// us.anthropic.claude-haiku-4-5-20251001-v1:0 1.65
}

func ExampleLedger() {
	ledger := pricing.NewLedger()
	cost := pricing.MustAmount("0.0005")
	for range 1_000_000 {
		if err := ledger.Add(pricing.Entry{Tenant: "shop", Model: "amazon.nova-lite-v1:0", Cost: cost}); err != nil {
			panic(err)
		}
	}
	fmt.Println(ledger.Total())
	// Output: 500
}

// A budget without package bedrockx: set aside, ask, settle.
func ExampleBudget() {
	budget := pricing.NewDailyTokenBudget(2000)
	bound := pricing.Spend{Tokens: pricing.MaxTextTokens(900, false) + 500} // the input and max tokens
	if err := budget.Reserve(bound); err != nil {
		log.Fatal(err)
	}
	fmt.Println(budget.Reserve(bound))
	budget.Settle(bound, pricing.Spend{Tokens: 210}) // of the response's usage
	fmt.Println(budget.RemainingTokens())
	// Output:
	// the call may take up to 1528 tokens, and 472 tokens of 2000 tokens are left
	// 1790
}
