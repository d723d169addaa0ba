package bedrockx

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/pricing"
)

// A Budget bounds what the calls that share it may cost: those of a
// conversation, a tenant or a day. Before a call is sent, the most that it can
// cost is set aside; when it has ended, that is replaced by what it did cost,
// or kept where nobody knows that. So calls at once can not overdraw it.
//
// It is safe for concurrent use.
type Budget struct {
	limit  pricing.Amount
	period time.Duration // 0: for ever

	mu       sync.Mutex
	began    time.Time // of the period
	spent    pricing.Amount
	reserved pricing.Amount
}

// NewBudget returns a budget of limit US dollars, which never starts anew.
func NewBudget(limit pricing.Amount) *Budget { return &Budget{limit: limit} }

// NewDailyBudget returns a budget of limit US dollars that starts anew each day
// at 00:00 UTC. What is set aside at that moment counts for the new day.
func NewDailyBudget(limit pricing.Amount) *Budget {
	return &Budget{limit: limit, period: 24 * time.Hour}
}

// Spent is what was spent so far, in US dollars; of a daily budget, on this day
// in UTC.
func (b *Budget) Spent() pricing.Amount {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.roll()
	return b.spent
}

// Remaining is what is neither spent nor set aside, in US dollars.
func (b *Budget) Remaining() pricing.Amount {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.roll()
	return b.limit.Sub(b.spent).Sub(b.reserved)
}

// roll begins a new period where the old one is over. What is set aside stays
// so: it will be spent in the new one.
func (b *Budget) roll() {
	if b.period == 0 {
		return
	}
	if began := time.Now().UTC().Truncate(b.period); began.After(b.began) {
		b.began, b.spent = began, pricing.Amount{}
	}
}

// reserve sets bound aside, or says what is missing.
func (b *Budget) reserve(bound pricing.Amount) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.roll()
	left := b.limit.Sub(b.spent).Sub(b.reserved)
	if left.Cmp(bound) < 0 {
		return fmt.Errorf("the call may cost up to $%s, and $%s of $%s are left", bound, left, b.limit)
	}
	b.reserved = b.reserved.Add(bound)
	return nil
}

// settle replaces what was set aside by what was spent.
func (b *Budget) settle(bound, cost pricing.Amount) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.roll()
	b.reserved = b.reserved.Sub(bound)
	b.spent = b.spent.Add(cost)
}

// budget refuses a call that may cost more than is left, before it is sent.
func budget(next Handler) Handler {
	return func(ctx context.Context, call *Call) error {
		o := call.Options
		if o.MaxCost == nil && len(o.Budgets) == 0 {
			return next(ctx, call)
		}
		bound, err := call.bound()
		if err != nil {
			return &Error{Kind: KindBudget, Err: fmt.Errorf("the most that the call can cost is not known, so no budget can hold: %w", err)}
		}
		if o.MaxCost != nil && bound.Cmp(*o.MaxCost) > 0 {
			return &Error{Kind: KindBudget, Err: fmt.Errorf("the call may cost up to $%s, more than the bound of $%s; lower its max tokens or shorten its input", bound, *o.MaxCost)}
		}
		for i, b := range o.Budgets {
			if err := b.reserve(bound); err != nil {
				for _, earlier := range o.Budgets[:i] {
					earlier.settle(bound, pricing.Amount{})
				}
				return &Error{Kind: KindBudget, Err: err}
			}
		}
		call.OnEnd(func(error) {
			cost := bound
			switch {
			case call.Cost != nil:
				cost = *call.Cost
			case call.Attempts == 0:
				cost = pricing.Amount{} // nothing was sent
			}
			for _, b := range o.Budgets {
				b.settle(bound, cost)
			}
		})
		return next(ctx, call)
	}
}

// bound is the most that one answer to the call can cost, whichever target
// gives it.
func (c *Call) bound() (pricing.Amount, error) {
	if c.Body == nil {
		return pricing.Amount{}, errors.New("the SDK's serializer writes the body; use package converse or Invoke")
	}
	most, err := c.boundOf(c.Model, c.region)
	if err != nil {
		return most, err
	}
	own := Target{Model: c.Model, API: c.api, Region: c.region}
	for _, t := range c.Options.Fallback {
		t = t.resolved(own)
		other, err := c.boundOf(t.Model, t.Region)
		if err != nil {
			return most, err
		}
		if other.Cmp(most) > 0 {
			most = other
		}
	}
	return most, nil
}

// boundOf takes a byte of the body for a token, as no token is less. Bodies of
// images and documents are larger than the tokens they are counted as.
func (c *Call) boundOf(model bedrockkit.ModelID, region string) (pricing.Amount, error) {
	r := pricing.Request{InputTokens: int64(len(c.Body)), MaxOutputTokens: int64(c.MaxTokens)}
	return c.Options.Prices.Bound(model, r, func(o *pricing.CostOptions) {
		o.Region = region
		o.Resolve = c.resolve
	})
}
