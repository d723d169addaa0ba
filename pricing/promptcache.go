package pricing

import "github.com/mangaassist/bedrockkit"

// PromptCache is what a prompt cache did for a request, in tokens and in US
// dollars.
type PromptCache struct {
	ReadTokens    int64 `json:"read_tokens"`
	WrittenTokens int64 `json:"written_tokens"`

	// Saved is how much more the tokens that were read would have cost as normal
	// input.
	Saved Amount `json:"saved"`

	// MissCost is how much more the tokens that were written cost than reading them
	// would have. It is the price of what was not in the cache, or no longer.
	MissCost Amount `json:"miss_cost"`
}

// PromptCache returns what a prompt cache did for a request with that usage. The
// errors are the same as of [Table.Cost].
func (t *Table) PromptCache(model bedrockkit.ModelID, u bedrockkit.Usage, optFns ...func(*CostOptions)) (PromptCache, error) {
	c := PromptCache{ReadTokens: u.CacheReadTokens, WrittenTokens: u.CacheWrite5mTokens + u.CacheWrite30mTokens + u.CacheWrite1hTokens}
	writes := bedrockkit.Usage{CacheWrite5mTokens: u.CacheWrite5mTokens, CacheWrite30mTokens: u.CacheWrite30mTokens, CacheWrite1hTokens: u.CacheWrite1hTokens}
	var err error
	if c.ReadTokens > 0 {
		c.Saved, err = t.difference(model, bedrockkit.Usage{InputTokens: c.ReadTokens}, bedrockkit.Usage{CacheReadTokens: c.ReadTokens}, optFns)
	}
	if c.WrittenTokens > 0 && err == nil {
		c.MissCost, err = t.difference(model, writes, bedrockkit.Usage{CacheReadTokens: c.WrittenTokens}, optFns)
	}
	if err != nil {
		return PromptCache{}, err
	}
	return c, nil
}

// difference is what one usage costs more than another.
func (t *Table) difference(model bedrockkit.ModelID, more, less bedrockkit.Usage, optFns []func(*CostOptions)) (Amount, error) {
	high, err := t.Cost(model, more, optFns...)
	if err != nil {
		return Amount{}, err
	}
	low, err := t.Cost(model, less, optFns...)
	if err != nil {
		return Amount{}, err
	}
	return high.Sub(low), nil
}
