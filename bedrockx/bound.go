package bedrockx

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/pricing"
)

// bound is the most that one attempt can take, from any target.
func (c *Call) bound(ctx context.Context) (pricing.Spend, error) {
	body := c.body()
	if body == nil {
		return pricing.Spend{}, errors.New("the SDK's serializer writes the body; use package converse or Invoke")
	}
	w := weight{content: c.content(body), bytes: int64(len(body)), output: c.maxTokens(body)}
	if w.media != "" && w.open == "" {
		w.counted, _ = c.count(ctx)
		w.countedBy = c.Resolved().Base()
	}
	own := Target{Model: c.Model, API: c.api, Region: c.Region}
	most, err := c.boundOf(own, w)
	if err != nil {
		return most, err
	}
	for _, t := range c.Options.Fallback {
		t, w := t.resolved(own), w
		e, err := c.forTarget(t)
		if err != nil {
			return most, err
		}
		if e != nil {
			w.content, w.bytes, w.output = c.content(e.Body), int64(len(e.Body)), c.maxTokensFor(t.Model, e.MaxTokens, e.Body)
		}
		other, err := c.boundOf(t, w)
		if err != nil {
			return most, err
		}
		if other.Cost.Cmp(most.Cost) > 0 {
			most.Cost = other.Cost
		}
		most.Tokens = max(most.Tokens, other.Tokens)
	}
	return most, nil
}

// A weight is what of a request its bound goes by.
type weight struct {
	content
	bytes  int64
	output int64 // the request's own bound; 0 if it has none

	counted   int64              // the input as Options.InputTokens counts it; 0 if it does not
	countedBy bedrockkit.ModelID // whose tokens they are
}

// boundOf is the most that an attempt at one target can take: each byte of a text
// is a token at most. What its bytes do not show, as those of an image, a count
// does; else the model's context window bounds it.
func (c *Call) boundOf(t Target, w weight) (pricing.Spend, error) {
	none := pricing.Spend{}
	model := c.resolved(t.Model)
	input, err := c.mostInput(t.Model, model, w)
	if err != nil {
		return none, err
	}
	needsCost, needsTokens := c.Options.bounded()
	output, known := w.output, true
	if output == 0 {
		if output, known = c.mostOutput(t.Model); !known && needsTokens {
			return none, fmt.Errorf("%s has no known bound on its output; set max tokens", t.Model)
		}
	}
	r := pricing.Request{InputTokens: input, MaxOutputTokens: output}
	if w.cached {
		r.CacheWrite = pricing.CacheWrite5m
	}
	if w.cached && w.hour {
		r.CacheWrite = pricing.CacheWrite1h
	}
	bound := pricing.Spend{Tokens: input}
	if bound = bound.Add(pricing.Spend{Tokens: output}); !needsCost {
		return bound, nil
	}
	now := time.Now()
	on := func(day time.Time) (pricing.Amount, error) {
		return c.Options.Prices.Bound(t.Model, r, func(o *pricing.CostOptions) {
			o.Region = t.Region
			o.Date = day
			o.Resolve = c.resolve
			o.Tier = bedrockkit.ServedTier(w.tier, w.latency)
		})
	}
	bound.Cost, err = on(now)
	if soon := now.Add(sentWithin); err == nil && soon.UTC().Day() != now.UTC().Day() {
		var next pricing.Amount
		if next, err = on(soon); next.Cmp(bound.Cost) > 0 {
			bound.Cost = next
		}
	}
	return bound, err
}

// sentWithin is the time that a call may wait and be tried again in. The price
// of an attempt is that of the day, in UTC, on which it begins.
const sentWithin = time.Hour

// millionTokens is the context window that a beta of Anthropic's gives some
// models.
const millionTokens = 1_000_000

// mostInput is the most that the input can be at a target, in tokens.
func (c *Call) mostInput(id, model bedrockkit.ModelID, w weight) (int64, error) {
	unsaid := w.open
	if ident, err := id.Parse(); err == nil && ident.Kind == bedrockkit.KindPrompt {
		unsaid = "a prompt of Prompt Management"
	}
	switch {
	case unsaid != "":
	case w.counted > 0 && model.Base() == w.countedBy:
		return w.counted, nil
	case w.media != "":
		unsaid = w.media
	default:
		return pricing.MaxTextTokens(w.bytes, w.tools) + int64(w.models)*knownToolTokens, nil
	}
	known, ok := c.Options.Capabilities(model)
	if !ok || known.MaxInput == 0 {
		return 0, fmt.Errorf("the input has %s, and the context window of %s is not known; see Options.Capabilities and Options.InputTokens", unsaid, id)
	}
	window := int64(known.MaxInput)
	if w.long {
		window = max(window, millionTokens)
	}
	return window, nil
}

// bounded reports which bounds the call has.
func (o *Options) bounded() (inDollars, inTokens bool) {
	inDollars, inTokens = o.MaxCost != nil, o.MaxTotalTokens > 0
	for _, b := range o.Budgets {
		if b != nil {
			inDollars = inDollars || b.Unit() == pricing.Dollars
			inTokens = inTokens || b.Unit() == pricing.Tokens
		}
	}
	return inDollars, inTokens
}

// mostOutput is the most tokens that a model puts out, as far as that is known;
// 0 for models that only embed or rank.
func (c *Call) mostOutput(model bedrockkit.ModelID) (int64, bool) {
	if known, ok := c.Options.Capabilities(c.resolved(model)); ok && known.MaxOutput > 0 {
		return int64(known.MaxOutput), true
	}
	most, err := c.Options.Prices.MaxOutput(model, func(o *pricing.CostOptions) { o.Resolve = c.resolve })
	return most, err == nil
}
