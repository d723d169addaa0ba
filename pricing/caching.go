package pricing

import "github.com/mangaassist/bedrockkit"

// Caching is what a prompt cache did for a request, in tokens and in US
// dollars.
type Caching struct {
	ReadTokens    int64 `json:"read_tokens"`
	WrittenTokens int64 `json:"written_tokens"`

	// Saved is what the tokens that were read would have cost more as input.
	Saved Amount `json:"saved"`

	// MissCost is what the tokens that were written cost more than reading them
	// would have: the price of what was not in the cache yet, or no longer.
	MissCost Amount `json:"miss_cost"`
}

// Caching says what a prompt cache did for a request of that usage. The errors
// are those of [Table.Cost].
func (t *Table) Caching(model bedrockkit.ModelID, u bedrockkit.Usage, optFns ...func(*CostOptions)) (Caching, error) {
	c := Caching{ReadTokens: u.CacheReadTokens, WrittenTokens: u.CacheWrite5mTokens + u.CacheWrite30mTokens + u.CacheWrite1hTokens}
	writes := bedrockkit.Usage{CacheWrite5mTokens: u.CacheWrite5mTokens, CacheWrite30mTokens: u.CacheWrite30mTokens, CacheWrite1hTokens: u.CacheWrite1hTokens}
	var err error
	if c.ReadTokens > 0 {
		c.Saved, err = t.difference(model, bedrockkit.Usage{InputTokens: c.ReadTokens}, bedrockkit.Usage{CacheReadTokens: c.ReadTokens}, optFns)
	}
	if c.WrittenTokens > 0 && err == nil {
		c.MissCost, err = t.difference(model, writes, bedrockkit.Usage{CacheReadTokens: c.WrittenTokens}, optFns)
	}
	if err != nil {
		return Caching{}, err
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
