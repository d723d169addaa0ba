package refresh

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/pricing"
	"github.com/mangaassist/bedrockkit/pricing/internal/cells"
)

// classify finds what a product prices.
func (l *List) classify(p *product) (cells.Cell, error) {
	a := &p.Attributes
	name := cmp.Or(a.Model, a.TitanModel)
	marketplace := strings.Contains(a.UsageType, "-MP:")
	if marketplace {
		name, _, _ = strings.Cut(a.ServiceName, " (Amazon Bedrock Edition)")
	}
	name = strings.Join(strings.Fields(strings.ToLower(name)), " ")
	model, ok := l.aliases[name]
	if !ok {
		model, ok = l.models[bedrockkit.ModelID(name)]
	}
	if _, known := l.models[model]; !ok || !known {
		return cells.Cell{}, fmt.Errorf("no alias for the model %q", name)
	}
	if a.RegionCode == "" {
		return cells.Cell{}, errors.New("no region")
	}
	c := cells.Cell{Model: model, Scope: bedrockkit.ScopeRegion, Region: a.RegionCode}
	var err error
	if marketplace {
		err = l.marketplace(&c, a.UsageType)
	} else {
		err = amazon(&c, a.InferenceType, a.Feature, a.ServiceTier, a.UsageType)
	}
	if strings.HasPrefix(c.Region, "us-gov-") {
		c.Scope, c.Region = pricing.ScopeGov, ""
	}
	if c.Dimension == pricing.CacheWrite5m && l.half[c.Model] {
		c.Dimension = pricing.CacheWrite30m // the list does not say for how long
	}
	return c, err
}

// tokenKinds are the dimensions in the words of the Price List.
var tokenKinds = map[string]pricing.Dimension{
	// Marketplace, to Claude 4.6
	"inputtokencount":             pricing.Input,
	"outputtokencount":            pricing.Output,
	"cachereadinputtokencount":    pricing.CacheRead,
	"cachewriteinputtokencount":   pricing.CacheWrite5m,
	"cachewrite1hinputtokencount": pricing.CacheWrite1h,
	// Marketplace, from Claude 4.7
	"input_tokens":           pricing.Input,
	"output_tokens":          pricing.Output,
	"cache_read_tokens":      pricing.CacheRead,
	"cache_write_tokens":     pricing.CacheWrite5m,
	"cache_write_tokens_30m": pricing.CacheWrite30m,
	"cache_write_tokens_1h":  pricing.CacheWrite1h,
	"search_units":           pricing.Query,
	// attribute inferenceType of AmazonBedrock
	"input tokens":                    pricing.Input,
	"text input tokens":               pricing.Input,
	"output tokens":                   pricing.Output,
	"text output tokens":              pricing.Output,
	"prompt cache read input tokens":  pricing.CacheRead,
	"prompt cache write input tokens": pricing.CacheWrite5m,
}

var tierWords = map[string]bedrockkit.ServiceTier{
	"standard": "", "batch": pricing.TierBatch, "flex": bedrockkit.TierFlex, "priority": bedrockkit.TierPriority,
}

// marketplace reads a usage type such as
// "USE1-MP:USE1_CacheWrite1hInputTokenCount_Global-Units" or
// "USE1-MP:USE1_cache_write_tokens_1h_global_standard-Units": a token kind and
// then, in any order, words that qualify it.
func (l *List) marketplace(c *cells.Cell, usageType string) error {
	unknown := fmt.Errorf("usage type %q is not known", usageType)
	_, s, _ := strings.Cut(usageType, "-MP:")
	_, s, ok := strings.Cut(strings.ToLower(s), "_") // the region's short name
	s, units := strings.CutSuffix(s, "-units")
	if !ok || !units {
		return unknown
	}
	words := strings.Split(s, "_")
	for n := min(len(words), 4); ; n-- {
		if n == 0 {
			return unknown
		}
		if d, ok := tokenKinds[strings.Join(words[:n], "_")]; ok {
			c.Dimension, words = d, words[n:]
			break
		}
	}
	rest := strings.Replace("_"+strings.Join(words, "_"), "_long_ctx", "_lctx", 1)
	for w := range strings.SplitSeq(strings.Trim(rest, "_"), "_") {
		tier, isTier := tierWords[w]
		switch {
		case w == "":
		case w == "global":
			c.Scope = bedrockkit.ScopeGlobal
		case w == "lctx":
			if c.Above = cmp.Or(l.opts.LongContext[c.Model], l.long[c.Model]); c.Above <= 0 {
				return fmt.Errorf("a long-context price of %s, and the list does not tell above which input; see Options.LongContext", c.Model)
			}
		case isTier:
			c.Tier = tier
		default:
			return unknown
		}
	}
	return nil
}

// amazon reads the attributes of a product of AmazonBedrock. The tier is in
// the attribute that has it: batch sometimes only in feature.
func amazon(c *cells.Cell, inferenceType, feature, serviceTier, usageType string) error {
	kind := strings.ToLower(strings.TrimSpace(inferenceType))
	usage := strings.ToLower(usageType)
	feature = strings.ToLower(feature)
	if feature != "" && feature != "on-demand inference" && feature != "batch inference" {
		return fmt.Errorf("feature %q is not inference of a base model", feature)
	}
	for _, word := range []string{"custom-model", "customization", "provisioned", "latency-optimized", "reserved"} {
		if strings.Contains(usage, word) {
			return fmt.Errorf("usage type %q is not inference of a base model", usageType)
		}
	}
	var tier string
	for word := range tierWords {
		if k, ok := strings.CutSuffix(kind, " "+word); ok {
			kind, tier = k, word
			break
		}
	}
	if tier == "" && feature == "batch inference" {
		tier = "batch"
	}
	if s := strings.ToLower(serviceTier); s != "" {
		if tier != "" && tier != s {
			return fmt.Errorf("service tier %q, but inference type %q and feature %q", serviceTier, inferenceType, feature)
		}
		tier = s
	}
	if usage, global := strings.CutSuffix(usage, "-cross-region-global"); global {
		c.Scope = bedrockkit.ScopeGlobal
		if t := lastTier(usage); tier == "" && t != "" {
			tier = t
		}
	} else if strings.Contains(usage, "cross-region") {
		return fmt.Errorf("usage type %q is not known", usageType)
	} else if t := lastTier(usage); tier == "" && t != "" {
		tier = t
	}
	var ok bool
	if c.Dimension, ok = tokenKinds[kind]; !ok {
		return fmt.Errorf("inference type %q is not known", inferenceType)
	}
	if c.Tier, ok = tierWords[cmp.Or(tier, "standard")]; !ok {
		return fmt.Errorf("service tier %q is not known", tier)
	}
	return nil
}

// lastTier is the tier at the end of a usage type, or empty.
func lastTier(usage string) string {
	last := usage[strings.LastIndexByte(usage, '-')+1:]
	if _, ok := tierWords[last]; ok {
		return last
	}
	return ""
}

// maxPerUnit is the most that a rate can be, a billion dollars.
var maxPerUnit = pricing.Rate(1e18).Of(1e6)

// rateOf reads the one on-demand price of a product.
func rateOf(p *product, t terms) (pricing.Rate, error) {
	var rates []pricing.Rate
	for _, term := range t {
		for _, d := range term.PriceDimensions {
			usd, ok := d.PricePerUnit["USD"]
			if !ok {
				return 0, errors.New("no price in USD")
			}
			perUnit, err := pricing.ParseAmount(usd)
			if err != nil {
				return 0, err
			}
			var units int64
			switch unit := strings.ToLower(d.Unit); {
			case unit == "1k tokens":
				units = 1000
			case unit == "1m tokens", unit == "units" && strings.Contains(strings.ToLower(d.Description), "million"):
				units = 1
			case unit == "units" && strings.Contains(p.Attributes.UsageType, "search_units"):
				units = 1_000_000
			default:
				return 0, fmt.Errorf("unit %q (%q) is not known", d.Unit, d.Description)
			}
			if perUnit.Sign() < 0 || perUnit.Cmp(maxPerUnit) > 0 {
				return 0, fmt.Errorf("%w: a price of %q USD", pricing.ErrInvalidAmount, usd)
			}
			rate, err := pricing.ParseRate(perUnit.Mul(units).String())
			if err != nil {
				return 0, err
			}
			rates = append(rates, rate)
		}
	}
	switch {
	case len(rates) == 0:
		return 0, errors.New("no on-demand price")
	case slices.Max(rates) != slices.Min(rates):
		return 0, errors.New("it has more than one price; the brackets of the list are not known")
	case rates[0] == 0:
		return 0, errors.New("it states a price of zero, which is taken from nowhere but a person")
	}
	return rates[0], nil
}
