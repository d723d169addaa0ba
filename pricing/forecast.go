package pricing

import (
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strconv"

	"github.com/mangaassist/bedrockkit"
)

// Workload describes the traffic of a service, for [Table.Forecast]. Shares are from 0
// to 1. A float64 is read as its shortest decimal, so 0.15 is exactly fifteen
// hundredths.
type Workload struct {
	MessagesPerDay int64 `json:"messages_per_day"`

	// Days is the length of a period, from 1 to 3,660. Default: 30.
	Days int `json:"days,omitempty"`

	// Routes say which model answers which share of the messages. The shares
	// add up to 1.
	Routes []Route `json:"routes"`

	// InputTokens and OutputTokens are the averages of a message.
	InputTokens  float64 `json:"input_tokens"`
	OutputTokens float64 `json:"output_tokens"`

	// CacheHitRate is the share of messages that are answered from a cache of
	// whole responses and cost nothing. Default: 0.
	CacheHitRate float64 `json:"cache_hit_rate,omitempty"`

	// PromptCacheRead and PromptCacheWrite are the shares of the input tokens that are
	// read from the prompt cache, and written to it for five minutes. Batches do not
	// use the prompt cache. Default: 0.
	PromptCacheRead  float64 `json:"prompt_cache_read,omitempty"`
	PromptCacheWrite float64 `json:"prompt_cache_write,omitempty"`

	// BatchShare is the share of messages that are answered by batch inference, out of
	// the messages that miss the response cache. Default: 0.
	BatchShare float64 `json:"batch_share,omitempty"`

	// Tier serves what is not batch. Default: the standard tier.
	Tier bedrockkit.ServiceTier `json:"tier,omitempty"`

	// Region and its default are as in [CostOptions].
	Region string `json:"region,omitempty"`
}

// Route is the share of a workload that one model answers.
type Route struct {
	Model bedrockkit.ModelID `json:"model"`
	Share float64            `json:"share"`

	// InputTokens and OutputTokens are the averages of this route, for example an
	// output of 0 for an embedding model. Nil: the averages of the workload.
	InputTokens  *float64 `json:"input_tokens,omitempty"`
	OutputTokens *float64 `json:"output_tokens,omitempty"`
}

// Forecast is what a workload costs. Amounts are exact, or rounded to 10⁻¹⁵ dollars if
// an average has no exact price. The list cost is the cost without caches and batches;
// it is the sum of the cost and all savings.
type Forecast struct {
	Days      int             `json:"days"`
	ListDay   Amount          `json:"list_day"`
	Day       Amount          `json:"day"`
	List      Amount          `json:"list"` // of the period
	Cost      Amount          `json:"cost"` // of the period
	Savings   Savings         `json:"savings"`
	PerModel  []ModelForecast `json:"per_model"` // in the order of the routes
	PerAnswer Amount          `json:"per_answer"`
}

// Savings are what each measure saves in the period, applied one after the other:
// first the response cache, then batches, then the prompt cache for the rest.
type Savings struct {
	ResponseCache Amount `json:"response_cache"`
	PromptCache   Amount `json:"prompt_cache"` // negative if writing costs more than reading saves
	Batch         Amount `json:"batch"`
}

// ModelForecast is the part of a forecast for one route.
type ModelForecast struct {
	Model          bedrockkit.ModelID `json:"model"`
	MessagesPerDay float64            `json:"messages_per_day"`
	ListDay        Amount             `json:"list_day"`
	Day            Amount             `json:"day"`
	Cost           Amount             `json:"cost"` // of the period
	Parts          []Part             `json:"parts"`
}

// Part is the cost of one dimension in one tier, in the period.
type Part struct {
	Dimension Dimension              `json:"dimension"`
	Tier      bedrockkit.ServiceTier `json:"tier"`
	Amount    Amount                 `json:"amount"`
}

// ErrInvalidWorkload is the error of a workload that is not possible: a share is out
// of range, the shares do not add up to 1, or a count is negative.
var ErrInvalidWorkload = errors.New("invalid workload")

const maxRoutes = 1000

func (w *Workload) validate() error {
	if w.MessagesPerDay < 0 || w.MessagesPerDay > maxUnits {
		return fmt.Errorf("%w: messages_per_day is %d", ErrInvalidWorkload, w.MessagesPerDay)
	}
	if w.Days < 0 || w.Days > 3660 {
		return fmt.Errorf("%w: days is %d; it is from 1 to 3660", ErrInvalidWorkload, w.Days)
	}
	for name, v := range map[string]float64{
		"cache_hit_rate": w.CacheHitRate, "batch_share": w.BatchShare,
		"prompt_cache_read": w.PromptCacheRead, "prompt_cache_write": w.PromptCacheWrite,
	} {
		if !(v >= 0 && v <= 1) {
			return fmt.Errorf("%w: %s is %v; a share is from 0 to 1", ErrInvalidWorkload, name, v)
		}
	}
	if cached := new(big.Rat).Add(decimal(w.PromptCacheRead), decimal(w.PromptCacheWrite)); cached.Cmp(one) > 0 {
		return fmt.Errorf("%w: prompt_cache_read and prompt_cache_write are %s together, more than all", ErrInvalidWorkload, cached.FloatString(6))
	}
	if len(w.Routes) == 0 || len(w.Routes) > maxRoutes {
		return fmt.Errorf("%w: %d routes; there are from 1 to %d", ErrInvalidWorkload, len(w.Routes), maxRoutes)
	}
	sum := new(big.Rat)
	for _, r := range w.Routes {
		if !(r.Share >= 0 && r.Share <= 1) {
			return fmt.Errorf("%w: the share of %q is %v; a share is from 0 to 1", ErrInvalidWorkload, r.Model, r.Share)
		}
		for _, n := range []*float64{&w.InputTokens, &w.OutputTokens, r.InputTokens, r.OutputTokens} {
			if n != nil && !(*n >= 0 && *n <= 1e12) {
				return fmt.Errorf("%w: an average of %v tokens for %q", ErrInvalidWorkload, *n, r.Model)
			}
		}
		sum.Add(sum, decimal(r.Share))
	}
	if sum.Cmp(one) != 0 {
		return fmt.Errorf("%w: the shares of the routes add up to %s, not to 1", ErrInvalidWorkload, sum.FloatString(6))
	}
	return nil
}

var one = big.NewRat(1, 1)

// decimal is the shortest decimal that denotes f, which is finite.
func decimal(f float64) *big.Rat {
	r, _ := new(big.Rat).SetString(strconv.FormatFloat(f, 'g', -1, 64))
	return r
}

func product(factors ...*big.Rat) *big.Rat {
	p := new(big.Rat).Set(one)
	for _, f := range factors {
		p.Mul(p, f)
	}
	return p
}

// Forecast returns what a workload costs in a day and in a period, for each model, and
// what caches and batches save. If the price has brackets, the average input selects
// the bracket. If a rate is missing, the error is an [*UnpricedError] of the route's
// model.
func (t *Table) Forecast(w Workload) (Forecast, error) {
	if err := w.validate(); err != nil {
		return Forecast{}, err
	}
	if w.Days == 0 {
		w.Days = 30
	}
	f := Forecast{Days: w.Days}
	list, cost := new(big.Rat), new(big.Rat)
	byResponse, byPrompt, byBatch := new(big.Rat), new(big.Rat), new(big.Rat)
	for _, route := range w.Routes {
		r, err := t.route(&w, route)
		if err != nil {
			return Forecast{}, fmt.Errorf("forecast: %w", err)
		}
		list.Add(list, r.list)
		cost.Add(cost, r.cost)
		byResponse.Add(byResponse, r.byResponse)
		byPrompt.Add(byPrompt, r.byPrompt)
		byBatch.Add(byBatch, r.byBatch)
		m := ModelForecast{Model: route.Model, Parts: []Part{}}
		m.MessagesPerDay, _ = r.messages.Float64()
		amounts := []*Amount{&m.ListDay, &m.Day, &m.Cost}
		values := []*big.Rat{r.list, r.cost, product(r.cost, days(w.Days))}
		for _, p := range r.parts {
			m.Parts = append(m.Parts, Part{Dimension: p.dimension, Tier: p.tier})
			values = append(values, product(p.cost, days(w.Days)))
		}
		for i := range m.Parts {
			amounts = append(amounts, &m.Parts[i].Amount)
		}
		if err := setAmounts(amounts, values); err != nil {
			return Forecast{}, err
		}
		f.PerModel = append(f.PerModel, m)
	}
	answer := new(big.Rat)
	if w.MessagesPerDay > 0 {
		answer.Quo(cost, new(big.Rat).SetInt64(w.MessagesPerDay))
	}
	d := days(w.Days)
	return f, setAmounts(
		[]*Amount{&f.ListDay, &f.Day, &f.List, &f.Cost, &f.Savings.ResponseCache, &f.Savings.PromptCache, &f.Savings.Batch, &f.PerAnswer},
		[]*big.Rat{list, cost, product(list, d), product(cost, d), product(byResponse, d), product(byPrompt, d), product(byBatch, d), answer})
}

func days(n int) *big.Rat { return new(big.Rat).SetInt64(int64(n)) }

func setAmounts(amounts []*Amount, values []*big.Rat) error {
	for i, v := range values {
		a, ok := amountOfRat(v)
		if !ok {
			return fmt.Errorf("%w: its cost is beyond 10²³ dollars", ErrInvalidWorkload)
		}
		*amounts[i] = a
	}
	return nil
}

// routed is the cost of a route in a day, in dollars.
type routed struct {
	messages                                  *big.Rat
	list, cost, byResponse, byPrompt, byBatch *big.Rat
	parts                                     []part
}

type part struct {
	dimension Dimension
	tier      bedrockkit.ServiceTier
	cost      *big.Rat
}

func (t *Table) route(w *Workload, r Route) (routed, error) {
	in, out := w.InputTokens, w.OutputTokens
	if r.InputTokens != nil {
		in = *r.InputTokens
	}
	if r.OutputTokens != nil {
		out = *r.OutputTokens
	}
	input, output := decimal(in), decimal(out)
	messages := product(new(big.Rat).SetInt64(w.MessagesPerDay), decimal(r.Share))
	served := product(messages, new(big.Rat).Sub(one, decimal(w.CacheHitRate)))
	batched := product(served, decimal(w.BatchShare))
	direct := new(big.Rat).Sub(served, batched)
	read := product(input, decimal(w.PromptCacheRead))
	written := product(input, decimal(w.PromptCacheWrite))
	fresh := new(big.Rat).Sub(input, read)
	fresh.Sub(fresh, written)

	tier := tiers[max(0, tierIndex(w.Tier))]
	if tierIndex(w.Tier) < 0 {
		tier = w.Tier
	}
	// A route without tokens has a model and a tier as well.
	_, err := t.price(r.Model, &bedrockkit.Usage{}, &CostOptions{Tier: tier, Region: w.Region}, nil)
	perMessage := func(tier bedrockkit.ServiceTier, d Dimension, tokens *big.Rat) *big.Rat {
		if err != nil || tokens.Sign() == 0 {
			return new(big.Rat)
		}
		var rate Rate
		if rate, err = t.rate(r.Model, d, in, CostOptions{Tier: tier, Region: w.Region}); err != nil {
			return new(big.Rat)
		}
		return product(tokens, big.NewRat(int64(rate), 1e15))
	}
	list := new(big.Rat).Add(perMessage(tier, Input, input), perMessage(tier, Output, output))
	res := routed{messages: messages, list: product(messages, list), cost: new(big.Rat)}
	res.byResponse = product(res.list, decimal(w.CacheHitRate))
	add := func(tier bedrockkit.ServiceTier, d Dimension, messages, tokens *big.Rat) {
		if messages.Sign() == 0 {
			return
		}
		if c := product(messages, perMessage(tier, d, tokens)); c.Sign() != 0 {
			res.parts = append(res.parts, part{d, tier, c})
			res.cost.Add(res.cost, c)
		}
	}
	add(TierBatch, Input, batched, input)
	add(TierBatch, Output, batched, output)
	res.byBatch = new(big.Rat).Sub(product(batched, list), res.cost)
	afterBatch := new(big.Rat).Set(res.cost)
	add(tier, Input, direct, fresh)
	add(tier, CacheRead, direct, read)
	add(tier, CacheWrite5m, direct, written)
	add(tier, Output, direct, output)
	res.byPrompt = product(direct, list)
	res.byPrompt.Sub(res.byPrompt, new(big.Rat).Sub(res.cost, afterBatch))
	slices.SortStableFunc(res.parts, func(a, b part) int {
		return slices.Index(dimensions[:], a.dimension) - slices.Index(dimensions[:], b.dimension)
	})
	return res, err
}

// rate returns one rate of a model for requests of so many input tokens.
func (t *Table) rate(model bedrockkit.ModelID, d Dimension, input float64, o CostOptions) (Rate, error) {
	e, q, prefix, err := t.lookup(model, &o)
	var found Rate
	if err == nil {
		q.input = int64(input)
		dim := slices.Index(dimensions[:], d)
		places := t.places(e, &q, prefix, nil)
		for i, region := range places {
			q.region = region
			var rates applied
			e.apply(&q, &rates)
			if rates[dim].row == 0 {
				err = fmt.Errorf("%s: %w", d, t.whereElse(e, &q, []Quantity{{Dimension: d}}))
			} else if i > 0 && rates[dim].rate != found {
				err = t.differ(prefix, places[i-1], region)
			}
			found = rates[dim].rate
		}
	}
	if err != nil {
		return 0, unpriced(model, e, &q, &o, &bedrockkit.Usage{}, Amount{}, nil, err)
	}
	return found, nil
}
