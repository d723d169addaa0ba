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
	// InputTokens is the whole input. Default: the result of Count, otherwise
	// calculated from Text.
	InputTokens int64

	// Count counts the whole input in tokens, as Bedrock's CountTokens does, which is
	// free. Estimate calls it if InputTokens is 0. Default: none.
	Count func(context.Context) (int64, error)

	// Text is the text of the input. It is used if there is no count: Estimate uses
	// [EstimateTokens] of it, and Bound uses [MaxTextTokens].
	Text string

	// Tools says that the request has tools or an output format. The service then adds
	// its own prompt, which Bound counts with Text.
	Tools bool

	// CacheWrite is how the request's cache points are billed: CacheWrite5m,
	// CacheWrite30m or CacheWrite1h. Bound uses the most expensive of the rates that
	// the model has. If the model has only one other TTL, 5m (the default TTL) means
	// that one. Default: the request has no cache points.
	CacheWrite Dimension

	// CacheReadTokens and CacheWriteTokens are the parts of the input that are
	// likely to be read from and written to the prompt cache. Bound ignores
	// them. Default: 0.
	CacheReadTokens  int64
	CacheWriteTokens int64

	// OutputTokens is the likely output. Bound ignores it. Default:
	// MaxOutputTokens.
	OutputTokens int64

	// MaxOutputTokens is the request's own bound on the output. Default: the most that
	// the model can answer ([bedrockkit.Capabilities]).
	MaxOutputTokens int64

	// Units are counts in addition to tokens. Default: the Units of [CostOptions].
	Units Units
}

// ErrUnbounded is the error of a request whose cost has no known bound, because the
// size of its input or output has no bound.
var ErrUnbounded = errors.New("no bound on the cost")

// What a service adds to the text of a request. Sources: Anthropic, "Tool use",
// pricing (530 tokens for Claude 3 Opus, 264 to 804 for others); the chat
// templates of open models, such as OpenAI's Harmony, which begin with a system
// prompt of their own of less than a hundred tokens.
const (
	templateTokens   = 128
	toolPromptTokens = 1024
)

// MaxTextTokens returns the most tokens that a request with so many bytes of text can
// have: one for each byte, because no token is shorter, and the prompts that the
// service adds. tools says whether the request has tools or an output format. It does
// not work for images, documents, video and audio, which can have more tokens than
// bytes.
func MaxTextTokens(bytes int64, tools bool) int64 {
	most := bytes + templateTokens
	if tools {
		most += toolPromptTokens
	}
	return most
}

// Bound returns the most that one attempt at a request can cost: the whole input at
// the highest rate that may apply to it, and the longest output. For any tier except
// batch, the standard tier is included, because the service may fall back to it.
// r.Text must have all text that is sent, including tool schemas. The bytes of images
// and documents do not bound their tokens, so set InputTokens for them: to their
// count, or to the model's context window.
//
// It returns [ErrUnbounded] if the size of the input or output has no bound or cannot
// be counted, and an [UnpricedError] if a rate is missing.
func (t *Table) Bound(model bedrockkit.ModelID, r Request, optFns ...func(*CostOptions)) (Amount, error) {
	o := *costOptions(optFns)
	if r.Units != nil {
		o.Units = r.Units
	}
	input := r.InputTokens
	if input == 0 && r.Text != "" {
		input = MaxTextTokens(int64(len(r.Text)), r.Tools)
	}
	if input == 0 {
		return Amount{}, fmt.Errorf("%w of %q: give InputTokens or Text", ErrUnbounded, model)
	}
	output, err := t.maxOutput(model, r, &o)
	if err != nil {
		return Amount{}, err
	}
	if input > maxSpend.Tokens || output > maxSpend.Tokens {
		return Amount{}, fmt.Errorf("%w of %q: %d tokens of input and %d of output cannot be counted", ErrUnbounded, model, input, output)
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
	if err != nil {
		return bound, err
	}
	writes := []Dimension{CacheWrite30m} // models that have it write without being asked
	if write != "" {
		if !write.add(new(bedrockkit.Usage), 0) {
			return Amount{}, fmt.Errorf("%w of %q: CacheWrite is %q; it must be a cache_write dimension", ErrUnbounded, model, write)
		}
		writes = []Dimension{CacheWrite5m, CacheWrite30m, CacheWrite1h}
	}
	var missing error
	found := write == ""
	for _, d := range writes {
		usage := bedrockkit.Usage{OutputTokens: output}
		d.add(&usage, input)
		written, err := t.price(model, &usage, &o, nil)
		switch {
		case err == nil:
			bound, found = larger(bound, written), true
		case !errors.Is(err, ErrNoRate) || d == write && write != CacheWrite5m:
			return Amount{}, err
		default:
			missing = err
		}
	}
	if !found {
		return Amount{}, missing
	}
	return bound, nil
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

// MaxOutput returns the most tokens that a model can answer. It is 0 for models that
// only embed or rank. It returns [ErrUnbounded] if that is not known, and
// [ErrUnknownModel] if the table does not have the model.
func (t *Table) MaxOutput(model bedrockkit.ModelID, optFns ...func(*CostOptions)) (int64, error) {
	return t.maxOutput(model, Request{}, costOptions(optFns))
}

// maxOutput is the longest output that a request can have. Models that only
// embed or rank have none.
func (t *Table) maxOutput(model bedrockkit.ModelID, r Request, o *CostOptions) (int64, error) {
	if r.MaxOutputTokens != 0 {
		return r.MaxOutputTokens, nil
	}
	e, q, _, err := t.lookup(model, o)
	if err != nil {
		return 0, unpriced(model, e, &q, o, &bedrockkit.Usage{}, Amount{}, nil, err)
	}
	if !e.prices(dimOutput) && len(e.rows) > 0 {
		return 0, nil
	}
	c, _ := bedrockkit.Capabilities(q.base)
	if c.MaxOutput == 0 {
		return 0, fmt.Errorf("%w of %q: give MaxOutputTokens, the model's is not known", ErrUnbounded, model)
	}
	return int64(c.MaxOutput), nil
}

// Estimate is the likely usage and cost of a request.
type Estimate struct {
	Usage    bedrockkit.Usage `json:"usage"`
	Expected Amount           `json:"expected"`
}

// Estimate returns the likely cost of a request. It calls r.Count if that is needed;
// everything else is fast.
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

// EstimateTokens estimates how many tokens a text has: one for four letters of an
// alphabet, one for each character of scripts without spaces, such as Japanese and
// Chinese. Real counts differ by a quarter or more; if that matters, use CountTokens.
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
	Err   error              `json:"-"` // why there is no price; Cost is then zero
}

// Compare prices one recorded usage with each of the models, as if they had used the
// same tokens. The cheapest model comes first; models without a price come last.
// Tokenizers differ, so the result is only a rough comparison.
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
