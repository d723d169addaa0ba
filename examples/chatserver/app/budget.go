package app

import (
	"context"
	"fmt"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/bedrockx"
	"github.com/mangaassist/bedrockkit/pricing"
)

// budget bounds what this process may spend on models in a day (UTC). A call that
// might cost more than is left is refused before it is sent.
func (b *builder) budget(context.Context) (func(*bedrockx.Options), error) {
	if b.BudgetUSD == "" {
		b.say("budget", "none")
		return func(*bedrockx.Options) {}, nil
	}
	limit, err := b.dollars("-budget-usd", b.BudgetUSD)
	if err != nil {
		return nil, err
	}
	daily := pricing.NewDailyBudget(limit)
	b.say("budget", "%s a day, for this process", limit.Display(9))
	return func(o *bedrockx.Options) { o.Budgets = append(o.Budgets, daily) }, nil
}

// dollars reads the amount of a flag that bounds what models cost. It needs their
// prices.
func (b *builder) dollars(flag, text string) (pricing.Amount, error) {
	limit, err := pricing.ParseAmount(text)
	if err != nil || limit.Sign() <= 0 {
		return limit, fmt.Errorf("%s is %q; it is an amount of dollars, such as 25.50", flag, text)
	}
	for name, id := range b.models {
		if _, err := pricing.Default().Cost(id, bedrockkit.Usage{InputTokens: 1, OutputTokens: 1}, func(o *pricing.CostOptions) { o.Region = b.model.cfg.Region }); err != nil {
			return limit, fmt.Errorf("%s needs the price of -%s, which is not known: %w", flag, name, err)
		}
	}
	return limit, nil
}
