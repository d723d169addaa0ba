package pricing

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"unicode"

	"github.com/mangaassist/bedrockkit"
)

// Request is what is known of a request before it is sent, for [Table.Bound]
// and [Table.Estimate].
type Request struct {
	// InputTokens is the whole input. Default: what Count says, or what Text
	// allows.
	InputTokens int64

	// Count counts the whole input in tokens, as Bedrock's CountTokens does,
	// which is free. It is called by Estimate where InputTokens is 0. Default:
	// none.
	Count func(context.Context) (int64, error)

	// Text is the text of the input, used where there is no count: Estimate
	// takes [EstimateTokens] of it, and Bound one token a byte, as no token is
	// less.
	Text string

	// CacheWrite is the dimension that the request's cache points are billed
	// by: CacheWrite5m, CacheWrite30m or CacheWrite1h. Default: the request has
	// no cache points.
	CacheWrite Dimension

	// CacheReadTokens and CacheWriteTokens are the parts of the input that are
	// likely to be read from and written to the prompt cache. Bound ignores
	// them. Default: 0.
	CacheReadTokens  int64
	CacheWriteTokens int64

	// OutputTokens is the likely output. Bound ignores it. Default:
	// MaxOutputTokens.
	OutputTokens int64

	// MaxOutputTokens is the request's own bound. Default: the most that the
	// model can put out.
	MaxOutputTokens int64

	// Units are counts beside tokens. Default: those of [CostOptions].
	Units Units
}

// ErrUnbounded is the error of a request whose cost has no known bound, because
// the size of its input or of its output has none.
var ErrUnbounded = errors.New("no bound on the cost")

// Bound returns the most that one attempt at a request can cost: the whole
// input at the dearest of the rates that may apply to it, and the longest
// output. A tier other than batch is bounded by the standard tier too, since
// the service may fall back on it. The text of the request must be all that is
// sent, tool schemas included; images and documents have no bound in bytes, so
// give InputTokens with them.
func (t *Table) Bound(model bedrockkit.ModelID, r Request, optFns ...func(*CostOptions)) (Amount, error) {
	o := *costOptions(optFns)
	if r.Units != nil {
		o.Units = r.Units
	}
	input := r.InputTokens
	if input == 0 {
		input = int64(len(r.Text))
	}
	if input == 0 {
		return Amount{}, fmt.Errorf("%w of %q: give InputTokens or Text", ErrUnbounded, model)
	}
	output, err := t.maxOutput(model, r, &o)
	if err != nil {
		return Amount{}, err
	}
	bound, err := t.boundInTier(model, input, output, r.CacheWrite, o)
	if err != nil || tierIndex(o.Tier) == 0 || o.Tier == TierBatch {
		return bound, err
	}
	o.Tier = bedrockkit.TierStandard
	std, err := t.boundInTier(model, input, output, r.CacheWrite, o)
	if err != nil {
		return Amount{}, err
	}
	return larger(bound, std), nil
}

// boundInTier prices the input in each way that it may be billed.
func (t *Table) boundInTier(model bedrockkit.ModelID, input, output int64, write Dimension, o CostOptions) (Amount, error) {
	usage := bedrockkit.Usage{InputTokens: input, OutputTokens: output}
	bound, err := t.price(model, &usage, &o, nil)
	if err != nil || write == "" {
		return bound, err
	}
	usage = bedrockkit.Usage{OutputTokens: output}
	if !write.add(&usage, input) {
		return Amount{}, fmt.Errorf("%w of %q: CacheWrite is %q; it is a cache_write dimension", ErrUnbounded, model, write)
	}
	written, err := t.price(model, &usage, &o, nil)
	return larger(bound, written), err
}

// add adds tokens to the bucket of a cache write, and reports whether d is one.
func (d Dimension) add(u *bedrockkit.Usage, tokens int64) bool {
	switch d {
	case CacheWrite5m:
		u.CacheWrite5mTokens += tokens
	case CacheWrite30m:
		u.CacheWrite30mTokens += tokens
	case CacheWrite1h:
		u.CacheWrite1hTokens += tokens
	default:
		return false
	}
	return true
}

func larger(a, b Amount) Amount {
	if a.Cmp(b) < 0 {
		return b
	}
	return a
}

// maxOutput is the longest output that a request can have. Models that only
// embed or rank have none.
func (t *Table) maxOutput(model bedrockkit.ModelID, r Request, o *CostOptions) (int64, error) {
	if r.MaxOutputTokens != 0 {
		return r.MaxOutputTokens, nil
	}
	e, q, err := t.lookup(model, o)
	if err != nil {
		return 0, unpriced(model, e, q, o, &bedrockkit.Usage{}, Amount{}, nil, err)
	}
	if len(e.rates[1]) == 0 && slices.ContainsFunc(e.rates[:], func(cells []rate) bool { return len(cells) > 0 }) {
		return 0, nil
	}
	if e.model.MaxOutput == 0 {
		return 0, fmt.Errorf("%w of %q: give MaxOutputTokens, the table does not know the model's", ErrUnbounded, model)
	}
	return e.model.MaxOutput, nil
}

// Estimate is what a request is likely to use and to cost.
type Estimate struct {
	Usage    bedrockkit.Usage `json:"usage"`
	Expected Amount           `json:"expected"`
}

// Estimate returns the likely cost of a request. It calls Count, if it is
// needed, and nothing else that takes time.
func (t *Table) Estimate(ctx context.Context, model bedrockkit.ModelID, r Request, optFns ...func(*CostOptions)) (Estimate, error) {
	o := *costOptions(optFns)
	input := r.InputTokens
	switch {
	case input != 0:
	case r.Count != nil:
		var err error
		if input, err = r.Count(ctx); err != nil {
			return Estimate{}, fmt.Errorf("estimating %q: counting tokens: %w", model, err)
		}
	default:
		input = EstimateTokens(r.Text)
	}
	output := r.OutputTokens
	if output == 0 {
		var err error
		if output, err = t.maxOutput(model, r, &o); err != nil {
			return Estimate{}, err
		}
	}
	e := Estimate{Usage: bedrockkit.Usage{
		InputTokens: input - r.CacheReadTokens - r.CacheWriteTokens, OutputTokens: output, CacheReadTokens: r.CacheReadTokens,
	}}
	if r.CacheWriteTokens != 0 && !r.CacheWrite.add(&e.Usage, r.CacheWriteTokens) {
		return Estimate{}, fmt.Errorf("estimating %q: CacheWrite is %q; with CacheWriteTokens it is a cache_write dimension", model, r.CacheWrite)
	}
	if r.Units != nil {
		o.Units = r.Units
	}
	var err error
	e.Expected, err = t.price(model, &e.Usage, &o, nil)
	return e, err
}

// EstimateTokens guesses how many tokens a text has: one for four letters of
// an alphabet, one for each character of the scripts that have no spaces, such
// as Japanese and Chinese. Real counts differ by a quarter and more; ask
// CountTokens where it matters.
func EstimateTokens(text string) int64 {
	var quarters int64
	for _, r := range text {
		if r < 0x250 || unicode.In(r, unicode.Cyrillic, unicode.Greek) {
			quarters++
		} else {
			quarters += 4
		}
	}
	return (quarters + 3) / 4
}

// Comparison is the price of a usage with one model.
type Comparison struct {
	Model bedrockkit.ModelID `json:"model"`
	Cost  Amount             `json:"cost"`
	Err   error              `json:"-"` // why there is no price; Cost is then nothing
}

// Compare prices one recorded usage with each of the models, as if they had
// used the same tokens. The cheapest comes first, those without a price last.
// Tokenizers differ, so this is a first look and no promise.
func (t *Table) Compare(usage bedrockkit.Usage, models []bedrockkit.ModelID, optFns ...func(*CostOptions)) []Comparison {
	o := costOptions(optFns)
	list := make([]Comparison, len(models))
	for i, m := range models {
		list[i].Model = m
		list[i].Cost, list[i].Err = t.price(m, &usage, o, nil)
	}
	slices.SortStableFunc(list, func(a, b Comparison) int {
		switch {
		case a.Err != nil && b.Err != nil:
			return 0
		case a.Err != nil:
			return 1
		case b.Err != nil:
			return -1
		}
		return a.Cost.Cmp(b.Cost)
	})
	return list
}
