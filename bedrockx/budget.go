package bedrockx

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/pricing"
)

// A Budget bounds what the calls that share it may cost, in US dollars or in
// tokens: those of a conversation, a tenant or a day. Before a call is sent, the
// most that it can take is set aside; when it has ended, that is replaced by
// what it did take, or kept where nobody knows that. So calls at once cannot
// overdraw it. A retry after an attempt that may have been billed is set aside
// too, and not sent where there is nothing left for it; of a call that several
// share through a [Cache] it is only counted when it has ended.
//
// It is safe for concurrent use.
type Budget struct {
	limit  spend
	unit   unit
	period time.Duration // 0: for ever

	mu       sync.Mutex
	began    time.Time // of the period
	spent    spend
	reserved spend
}

// A unit is what a budget is bounded in.
type unit int

const (
	dollars unit = iota
	tokens
)

// A spend is what was spent, or is to be at most.
type spend struct {
	cost   pricing.Amount
	tokens int64
}

func (s spend) add(t spend) spend { return spend{s.cost.Add(t.cost), s.tokens + t.tokens} }
func (s spend) sub(t spend) spend { return spend{s.cost.Sub(t.cost), s.tokens - t.tokens} }

// times is n times s.
func (s spend) times(n int) spend { return spend{s.cost.Mul(int64(n)), s.tokens * int64(n)} }

// exceeds reports whether s is more than limit.
func (s spend) exceeds(limit spend, u unit) bool {
	if u == tokens {
		return s.tokens > limit.tokens
	}
	return s.cost.Cmp(limit.cost) > 0
}

// in is s as text.
func (s spend) in(u unit) string {
	if u == tokens {
		return fmt.Sprintf("%d tokens", s.tokens)
	}
	return "$" + s.cost.String()
}

const day = 24 * time.Hour

// NewBudget returns a budget of limit US dollars, which never starts anew.
func NewBudget(limit pricing.Amount) *Budget { return &Budget{limit: spend{cost: limit}} }

// NewDailyBudget returns a budget of limit US dollars that starts anew each day
// at 00:00 UTC. What is set aside at that moment counts for the new day.
func NewDailyBudget(limit pricing.Amount) *Budget {
	return &Budget{limit: spend{cost: limit}, period: day}
}

// NewTokenBudget returns a budget of limit tokens, of input and output together,
// which never starts anew. It needs no prices.
func NewTokenBudget(limit int64) *Budget { return &Budget{limit: spend{tokens: limit}, unit: tokens} }

// NewDailyTokenBudget returns a budget of limit tokens, of input and output
// together, that starts anew each day as that of [NewDailyBudget] does.
func NewDailyTokenBudget(limit int64) *Budget {
	return &Budget{limit: spend{tokens: limit}, unit: tokens, period: day}
}

// Spent is what was spent so far, in US dollars; of a daily budget, on this day
// in UTC. Of a budget of tokens it is what is known of it.
func (b *Budget) Spent() pricing.Amount { return b.now().cost }

// SpentTokens is what was spent so far, in tokens of input and output together;
// of a daily budget, on this day in UTC.
func (b *Budget) SpentTokens() int64 { return b.now().tokens }

func (b *Budget) now() spend {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.roll()
	return b.spent
}

// Remaining is what is neither spent nor set aside, in US dollars; 0 for a
// budget of tokens.
func (b *Budget) Remaining() pricing.Amount {
	if b.unit != dollars {
		return pricing.Amount{}
	}
	return b.left().cost
}

// RemainingTokens is what is neither spent nor set aside, in tokens; 0 for a
// budget of dollars.
func (b *Budget) RemainingTokens() int64 {
	if b.unit != tokens {
		return 0
	}
	return b.left().tokens
}

func (b *Budget) left() spend {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.roll()
	return b.limit.sub(b.spent).sub(b.reserved)
}

// roll begins a new period where the old one is over. What is set aside stays
// so: it will be spent in the new one.
func (b *Budget) roll() {
	if b.period == 0 {
		return
	}
	if began := time.Now().UTC().Truncate(b.period); began.After(b.began) {
		b.began, b.spent = began, spend{}
	}
}

// reserve sets bound aside, or says what is missing.
func (b *Budget) reserve(bound spend) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.roll()
	left := b.limit.sub(b.spent).sub(b.reserved)
	if bound.exceeds(left, b.unit) {
		return fmt.Errorf("the call may take up to %s, and %s of %s are left", bound.in(b.unit), left.in(b.unit), b.limit.in(b.unit))
	}
	b.reserved = b.reserved.add(bound)
	return nil
}

// settle replaces what was set aside by what was spent.
func (b *Budget) settle(bound, spent spend) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.roll()
	b.reserved = b.reserved.sub(bound)
	b.spent = b.spent.add(spent)
}

// A hold is what a call has set aside of its budgets.
type hold struct {
	call  *Call
	bound spend // the most that an attempt takes
	times int   // attempts that it is set aside for
}

// budget refuses a call that may take more than is left, before it is sent.
func budget(next Handler) Handler {
	return func(ctx context.Context, call *Call) error {
		o := call.Options
		if o.MaxCost == nil && o.MaxTotalTokens <= 0 && len(o.Budgets) == 0 {
			return next(ctx, call)
		}
		bound, err := call.bound()
		if err != nil {
			return &Error{Kind: KindBudget, Err: fmt.Errorf("the most that the call can take is not known, so no budget can hold: %w", err)}
		}
		h := &hold{call: call, bound: bound}
		if err := h.more(); err != nil {
			return &Error{Kind: KindBudget, Err: err}
		}
		call.hold = h
		call.OnEnd(func(error) {
			spent := h.spent()
			for _, b := range o.Budgets {
				b.settle(h.bound.times(h.times), spent)
			}
		})
		return next(ctx, call)
	}
}

// more sets aside what one more attempt may take.
func (h *hold) more() error {
	o := h.call.Options
	all := h.bound.times(h.times + 1)
	if limit := (spend{tokens: o.MaxTotalTokens}); o.MaxTotalTokens > 0 && all.exceeds(limit, tokens) {
		return fmt.Errorf("the call may take up to %s, more than the bound of %s; lower its max tokens or shorten its input", all.in(tokens), limit.in(tokens))
	}
	if o.MaxCost != nil && all.cost.Cmp(*o.MaxCost) > 0 {
		return fmt.Errorf("the call may cost up to $%s, more than the bound of $%s; lower its max tokens or shorten its input", all.cost, *o.MaxCost)
	}
	for i, b := range o.Budgets {
		if err := b.reserve(h.bound); err != nil {
			for _, earlier := range o.Budgets[:i] {
				earlier.settle(h.bound, spend{})
			}
			return err
		}
	}
	h.times++
	return nil
}

// again sets aside what another attempt may take, where the one that failed may
// have been billed. Otherwise what was set aside for that serves this one.
func (c *Call) again(failed *Error) bool {
	if c.hold == nil || failed.Kind.refused() {
		return true
	}
	if err := c.hold.more(); err != nil {
		failed.note = "not sent again: " + err.Error()
		return false
	}
	return true
}

// spent is what the call took: of each attempt what it has told, and the bound
// where it has told nothing. One that was refused before the model ran took
// nothing.
func (h *hold) spent() spend {
	c := h.call
	var all spend
	failed := 0
	for _, f := range c.Failures {
		if !f.sent {
			continue
		}
		failed++
		switch {
		case f.Cost != nil && !f.Usage.Unknown:
			all = all.add(spend{*f.Cost, f.Usage.Total()})
		case !f.Kind.refused():
			all = all.add(h.bound)
		}
	}
	if c.Attempts > failed { // the last one has answered, or begun to
		all = all.add(h.answered())
	}
	return all
}

// answered is what the attempt took that has answered.
func (h *hold) answered() spend {
	c := h.call
	took := spend{h.bound.cost, c.Usage.Total()}
	if (c.Usage.Unknown || c.Usage == bedrockkit.Usage{}) {
		took.tokens = h.bound.tokens
	}
	if cost, err := c.cost(); err == nil && c.Usage != (bedrockkit.Usage{}) {
		took.cost = cost
	}
	return took
}

// bounded reports which bounds the call has.
func (o *Options) bounded() (inDollars, inTokens bool) {
	inDollars, inTokens = o.MaxCost != nil, o.MaxTotalTokens > 0
	for _, b := range o.Budgets {
		inDollars = inDollars || b.unit == dollars
		inTokens = inTokens || b.unit == tokens
	}
	return inDollars, inTokens
}

// bound is the most that one attempt can take, whichever target answers.
func (c *Call) bound() (spend, error) {
	body := c.body()
	if body == nil {
		return spend{}, errors.New("the SDK's serializer writes the body; use package converse or Invoke")
	}
	own := Target{Model: c.Model, API: c.api, Region: c.region}
	most, err := c.boundOf(own, body)
	if err != nil {
		return most, err
	}
	for _, t := range c.Options.Fallback {
		other, err := c.boundOf(t.resolved(own), body)
		if err != nil {
			return most, err
		}
		if other.cost.Cmp(most.cost) > 0 {
			most.cost = other.cost
		}
		most.tokens = max(most.tokens, other.tokens)
	}
	return most, nil
}

// boundOf takes a byte of the body for a token, as no token is less. Bodies of
// images and documents are larger than the tokens they are counted as. What is
// in S3 is not in the body, so that the context window is the bound.
func (c *Call) boundOf(t Target, body []byte) (spend, error) {
	input, output := int64(len(body)), c.maxTokens(body)
	if bytes.Contains(body, []byte(`"s3Location"`)) {
		known, ok := c.Options.Capabilities(c.resolved(t.Model))
		if !ok || known.MaxInput == 0 {
			return spend{}, fmt.Errorf("the input is partly in S3, and the context window of %s is not known; see Options.Capabilities", t.Model)
		}
		input = max(input, int64(known.MaxInput))
	}
	cost, err := c.Options.Prices.Bound(t.Model, pricing.Request{InputTokens: input, MaxOutputTokens: output}, func(o *pricing.CostOptions) {
		o.Region = t.Region
		o.Resolve = c.resolve
	})
	needsCost, needsTokens := c.Options.bounded()
	if err != nil && needsCost {
		return spend{}, err
	}
	if output == 0 {
		var known bool
		if output, known = c.mostOutput(t.Model); !known && needsTokens {
			return spend{}, fmt.Errorf("%s has no known bound on its output; set max tokens", t.Model)
		}
	}
	return spend{cost, input + output}, nil
}

// mostOutput is the most tokens that a model puts out, as far as that is known.
// Models that only embed or rank put out none: output has no price.
func (c *Call) mostOutput(model bedrockkit.ModelID) (int64, bool) {
	if known, ok := c.Options.Capabilities(c.resolved(model)); ok && known.MaxOutput > 0 {
		return int64(known.MaxOutput), true
	}
	_, err := c.Options.Prices.Cost(model, bedrockkit.Usage{OutputTokens: 1}, func(o *pricing.CostOptions) { o.Resolve = c.resolve })
	return 0, errors.Is(err, pricing.ErrNoRate)
}
