package bedrockx

import (
	"context"
	"fmt"
	"slices"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/pricing"
)

// A hold is what a call has set aside of its budgets.
type hold struct {
	call     *Call
	budgets  []*pricing.Budget
	bound    pricing.Spend // the most that an attempt takes
	reserved pricing.Spend // of each budget: the bound of each attempt
}

// budget refuses a call that may take more than is left, before it is sent.
func budget(next Handler) Handler {
	return func(ctx context.Context, call *Call) error {
		o := call.Options
		if o.MaxCost == nil && o.MaxTotalTokens <= 0 && len(o.Budgets) == 0 {
			return next(ctx, call)
		}
		bound, err := call.bound(ctx)
		if err != nil {
			return &Error{Kind: KindBudget, Err: fmt.Errorf("the most that the call can take is not known, so no budget can hold: %w", err)}
		}
		h := &hold{call: call, budgets: distinct(o.Budgets), bound: bound}
		if err := h.more(1); err != nil {
			return &Error{Kind: KindBudget, Err: err}
		}
		call.hold = h
		call.OnEnd(func(error) {
			spent := h.spent()
			for _, b := range h.budgets {
				b.Settle(h.reserved, spent)
			}
		})
		return next(ctx, call)
	}
}

// distinct leaves out budgets that are listed twice, as in the options of the
// client and of the call.
func distinct(budgets []*pricing.Budget) []*pricing.Budget {
	var all []*pricing.Budget
	for _, b := range budgets {
		if b != nil && !slices.Contains(all, b) {
			all = append(all, b)
		}
	}
	return all
}

// more sets aside what so many more attempts may take, of all budgets or of none.
func (h *hold) more(attempts int) error {
	if h == nil || attempts == 0 {
		return nil
	}
	o := h.call.Options
	var more pricing.Spend
	for range attempts {
		more = more.Add(h.bound)
	}
	all := h.reserved.Add(more)
	if err := all.Check(); err != nil {
		return err
	}
	if o.MaxTotalTokens > 0 && all.Tokens > o.MaxTotalTokens {
		return fmt.Errorf("the call may take up to %d tokens, more than the bound of %d tokens; lower its max tokens or shorten its input", all.Tokens, o.MaxTotalTokens)
	}
	if o.MaxCost != nil && all.Cost.Cmp(*o.MaxCost) > 0 {
		return fmt.Errorf("the call may cost up to $%s, more than the bound of $%s; lower its max tokens or shorten its input", all.Cost, *o.MaxCost)
	}
	for i, b := range h.budgets {
		if err := b.Reserve(more); err != nil {
			for _, earlier := range h.budgets[:i] {
				earlier.Settle(more, pricing.Spend{})
			}
			return err
		}
	}
	h.reserved = all
	return nil
}

// again sets aside what another attempt may take, if the one that failed may
// have been billed. Otherwise what was set aside for that serves this one.
func (c *Call) again(failed *Error) bool {
	if c.onAgain != nil {
		return c.onAgain(failed)
	}
	if c.hold == nil || failed.Kind.refused() {
		return true
	}
	if err := c.hold.more(1); err != nil {
		failed.note = "not sent again: " + err.Error()
		return false
	}
	return true
}

// spent is what the call took: of each attempt what it has reported, and the bound
// if it has reported nothing. One that was refused before the model ran took
// nothing.
func (h *hold) spent() pricing.Spend {
	c := h.call
	var all pricing.Spend
	failed := 0
	for _, f := range c.Failures {
		if f.Number == 0 {
			continue
		}
		failed++
		switch {
		case f.Cost != nil && !f.Usage.Unknown:
			all = all.Add(pricing.Spend{Cost: *f.Cost, Tokens: f.Usage.Total()})
		case !f.Kind.refused():
			all = all.Add(h.bound)
		}
	}
	if c.Attempts > failed { // the last one has answered, or begun to
		all = all.Add(h.answered())
	}
	return all
}

// answered is what the attempt took that has answered.
func (h *hold) answered() pricing.Spend {
	c := h.call
	took := pricing.Spend{Cost: h.bound.Cost, Tokens: c.Usage.Total()}
	if (c.Usage.Unknown || c.Usage == bedrockkit.Usage{}) {
		took.Tokens = h.bound.Tokens
	}
	if cost, err := c.cost(); err == nil && c.Usage != (bedrockkit.Usage{}) {
		took.Cost = cost
	}
	return took
}
