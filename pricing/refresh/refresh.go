package refresh

import (
	"cmp"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/pricing"
)

// Products is the Price List Query API, reduced to what is called: GetProducts
// for one service. Each string of a page is the JSON of a product with its
// terms; an empty next token ends the list.
type Products interface {
	Products(ctx context.Context, service, token string) (page []string, next string, err error)
}

// Services are the service codes that Bedrock's prices are listed under.
func Services() []string {
	return []string{"AmazonBedrock", "AmazonBedrockFoundationModels", "AmazonBedrockService"}
}

// Options are the options of [New].
type Options struct {
	// Aliases are further names of models, in lower case, as they stand in the
	// attributes model or servicename; they take precedence over the built-in
	// ones. Default: none.
	Aliases map[string]bedrockkit.ModelID

	// LongContext is the number of input tokens above which a model's
	// long-context prices apply, which the Price List does not tell. Default:
	// none; such prices are refused.
	LongContext map[bedrockkit.ModelID]int64

	// Region is the one whose prices hold where a region has none of its own.
	// Default: us-east-1.
	Region string

	// MaxProducts bounds how many products are read. Default: 200,000.
	MaxProducts int
}

// Refusal is a product that was not taken over.
type Refusal struct {
	SKU       string `json:"sku"`
	UsageType string `json:"usage_type"`
	Region    string `json:"region"`
	Reason    string `json:"reason"`
}

// List collects prices. It is for one goroutine.
type List struct {
	base    pricing.Data
	models  map[bedrockkit.ModelID]bedrockkit.ModelID // id or alias to model
	aliases map[string]bedrockkit.ModelID
	opts    Options
	count   int
	cells   map[cell]price
	refused []Refusal
}

// cell is what has one price.
type cell struct {
	model     bedrockkit.ModelID
	scope     pricing.Scope
	tier      bedrockkit.ServiceTier
	region    string
	above     int64
	upTo      int64 // no part of what a cell is, only of how rows are grouped
	dimension pricing.Dimension
}

type price struct {
	rate     pricing.Rate
	sku      string
	conflict bool
}

//go:embed aliases.json
var embeddedAliases []byte

// New starts a list that refreshes the base table.
func New(base pricing.Data, optFns ...func(*Options)) *List {
	l := &List{base: base, models: map[bedrockkit.ModelID]bedrockkit.ModelID{}, aliases: map[string]bedrockkit.ModelID{}, cells: map[cell]price{}}
	for _, fn := range optFns {
		fn(&l.opts)
	}
	if l.opts.Region == "" {
		l.opts.Region = "us-east-1"
	}
	if l.opts.MaxProducts <= 0 {
		l.opts.MaxProducts = 200_000
	}
	if err := json.Unmarshal(embeddedAliases, &l.aliases); err != nil {
		panic(err) // a test reads the same file
	}
	maps.Copy(l.aliases, l.opts.Aliases)
	for _, m := range base.Models {
		l.models[m.ID] = m.ID
		for _, id := range m.Aliases {
			l.models[id] = m.ID
		}
	}
	return l
}

// ErrTooManyProducts is the error of a list that is longer than MaxProducts.
var ErrTooManyProducts = errors.New("too many products")

// Fetch reads all pages of all services.
func (l *List) Fetch(ctx context.Context, api Products) error {
	for _, service := range Services() {
		for token := ""; ; {
			page, next, err := api.Products(ctx, service, token)
			if err != nil {
				return fmt.Errorf("price list of %s: %w", service, err)
			}
			for _, s := range page {
				if err := l.Add([]byte(s)); err != nil {
					return fmt.Errorf("price list of %s: %w", service, err)
				}
			}
			if next == "" {
				break
			}
			if next == token {
				return fmt.Errorf("price list of %s: the page %q follows itself", service, token)
			}
			token = next
		}
	}
	return nil
}

// product is the shape of a product in the Price List (Price List API
// reference, "Reading the service price list files").
type product struct {
	SKU        string `json:"sku"`
	Attributes struct {
		ServiceName   string `json:"servicename"`
		ServiceCode   string `json:"servicecode"`
		RegionCode    string `json:"regionCode"`
		UsageType     string `json:"usagetype"`
		Model         string `json:"model"`
		TitanModel    string `json:"titanModel"`
		InferenceType string `json:"inferenceType"`
		Feature       string `json:"feature"`
		ServiceTier   string `json:"service_tier"`
	} `json:"attributes"`
}

type terms map[string]struct {
	PriceDimensions map[string]struct {
		Unit         string            `json:"unit"`
		Description  string            `json:"description"`
		BeginRange   string            `json:"beginRange"`
		PricePerUnit map[string]string `json:"pricePerUnit"`
	} `json:"priceDimensions"`
}

// Add takes one product of the Query API, with its terms.
func (l *List) Add(data []byte) error {
	var v struct {
		Product product
		Terms   struct {
			OnDemand terms
		}
	}
	if err := json.Unmarshal(data, &v); err != nil {
		return fmt.Errorf("reading a product: %w", err)
	}
	return l.add(&v.Product, v.Terms.OnDemand)
}

const maxBulkBytes = 512 << 20

// ReadBulk takes all products of a bulk file, the index.json of a service or
// of one of its regions; at most 512 MiB.
func (l *List) ReadBulk(r io.Reader) error {
	var v struct {
		Products map[string]product
		Terms    struct {
			OnDemand map[string]terms
		}
	}
	if err := json.NewDecoder(io.LimitReader(r, maxBulkBytes)).Decode(&v); err != nil {
		return fmt.Errorf("reading a bulk price list: %w", err)
	}
	for _, sku := range slices.Sorted(maps.Keys(v.Products)) {
		p := v.Products[sku]
		p.SKU = sku
		if err := l.add(&p, v.Terms.OnDemand[sku]); err != nil {
			return err
		}
	}
	return nil
}

func (l *List) add(p *product, t terms) error {
	if l.count++; l.count > l.opts.MaxProducts {
		return fmt.Errorf("%w: more than %d", ErrTooManyProducts, l.opts.MaxProducts)
	}
	c, err := l.classify(p)
	var rate pricing.Rate
	if err == nil {
		rate, err = rateOf(p, t)
	}
	if err != nil {
		l.refuse(p, err.Error())
		return nil
	}
	old, ok := l.cells[c]
	switch {
	case !ok:
		l.cells[c] = price{rate: rate, sku: p.SKU}
	case old.rate != rate:
		l.cells[c] = price{conflict: true, sku: old.sku}
		l.refuse(p, fmt.Sprintf("contradicts %s, so neither is taken", old.sku))
	}
	return nil
}

func (l *List) refuse(p *product, reason string) {
	l.refused = append(l.refused, Refusal{SKU: p.SKU, UsageType: p.Attributes.UsageType, Region: p.Attributes.RegionCode, Reason: reason})
}

// Refused returns the products that were not taken over, each with its reason.
func (l *List) Refused() []Refusal { return slices.Clone(l.refused) }

// classify finds what a product prices.
func (l *List) classify(p *product) (cell, error) {
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
		return cell{}, fmt.Errorf("no alias for the model %q", name)
	}
	if a.RegionCode == "" {
		return cell{}, errors.New("no region")
	}
	c := cell{model: model, scope: pricing.ScopeRegion, region: a.RegionCode}
	var err error
	if marketplace {
		err = l.marketplace(&c, a.UsageType)
	} else {
		err = amazon(&c, a.InferenceType, a.Feature, a.ServiceTier, a.UsageType)
	}
	if strings.HasPrefix(c.region, "us-gov-") {
		c.scope, c.region = pricing.ScopeGov, ""
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
func (l *List) marketplace(c *cell, usageType string) error {
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
			c.dimension, words = d, words[n:]
			break
		}
	}
	rest := strings.Replace("_"+strings.Join(words, "_"), "_long_ctx", "_lctx", 1)
	for w := range strings.SplitSeq(strings.Trim(rest, "_"), "_") {
		tier, isTier := tierWords[w]
		switch {
		case w == "":
		case w == "global":
			c.scope = pricing.ScopeGlobal
		case w == "lctx":
			if c.above = l.opts.LongContext[c.model]; c.above <= 0 {
				return fmt.Errorf("a long-context price of %s, and the list does not tell above which input; see Options.LongContext", c.model)
			}
		case isTier:
			c.tier = tier
		default:
			return unknown
		}
	}
	return nil
}

// amazon reads the attributes of a product of AmazonBedrock. The tier is in
// whichever attribute has it: batch sometimes only in feature.
func amazon(c *cell, inferenceType, feature, serviceTier, usageType string) error {
	kind := strings.ToLower(strings.TrimSpace(inferenceType))
	usage := strings.ToLower(usageType)
	feature = strings.ToLower(feature)
	if feature != "" && feature != "on-demand inference" && feature != "batch inference" {
		return fmt.Errorf("feature %q is no inference of a base model", feature)
	}
	for _, word := range []string{"custom-model", "customization", "provisioned", "latency-optimized", "reserved"} {
		if strings.Contains(usage, word) {
			return fmt.Errorf("usage type %q is no inference of a base model", usageType)
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
		c.scope = pricing.ScopeGlobal
		if t := lastTier(usage); tier == "" && t != "" {
			tier = t
		}
	} else if strings.Contains(usage, "cross-region") {
		return fmt.Errorf("usage type %q is not known", usageType)
	} else if t := lastTier(usage); tier == "" && t != "" {
		tier = t
	}
	var ok bool
	if c.dimension, ok = tokenKinds[kind]; !ok {
		return fmt.Errorf("inference type %q is not known", inferenceType)
	}
	if c.tier, ok = tierWords[cmp.Or(tier, "standard")]; !ok {
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

// Data returns the base table with the prices of the list: a price that
// changed holds from the day on, and the older one until then; what the list
// does not have stays as it was. The rows that change name the Price List as
// their source.
func (l *List) Data(asOf time.Time) (pricing.Data, error) {
	day := asOf.UTC().Format(time.DateOnly)
	source := "aws-price-list " + day
	data := l.base
	data.Sources = maps.Clone(data.Sources)
	if data.Sources == nil {
		data.Sources = map[string]pricing.Source{}
	}
	data.Sources[source] = pricing.Source{Title: "AWS Price List", Date: day}
	data.Rows = nil

	had := cellsOf(l.base)
	newest := l.general(had)
	used := map[cell]bool{} // cells whose row stays
	upTo := map[cell]int64{}
	for _, row := range l.base.Rows {
		for _, scope := range row.Scopes {
			kept := row
			kept.Scopes, kept.Rates = []pricing.Scope{scope}, map[pricing.Dimension]pricing.Rate{}
			ended := kept
			ended.Rates = map[pricing.Dimension]pricing.Rate{}
			for d, rate := range row.Rates {
				c := cellOf(&row, scope, d)
				fresh, ok := newest[c]
				upTo[c] = row.UpToInput
				switch {
				case row.To != "" || !ok:
					kept.Rates[d] = rate
				case fresh == rate || row.From > day:
					kept.Rates[d] = rate
					used[c] = true
				case row.From < day:
					ended.Rates[d] = rate
				}
			}
			ended.To = day
			for _, r := range []pricing.Row{kept, ended} {
				if len(r.Rates) > 0 {
					data.Rows = append(data.Rows, r)
				}
			}
		}
	}
	byRow := map[cell]*pricing.Row{}
	for _, c := range slices.SortedFunc(maps.Keys(newest), compareCells) {
		if used[c] {
			continue
		}
		key := c
		key.dimension = ""
		from := ""
		if _, ok := had[c]; ok {
			from, key.dimension = day, "changed"
		}
		key.upTo = upTo[c]
		row := byRow[key]
		if row == nil {
			row = &pricing.Row{Model: c.model, Scopes: []pricing.Scope{c.scope}, Tier: c.tier, Region: c.region, AboveInput: c.above, UpToInput: key.upTo,
				From: from, Rates: map[pricing.Dimension]pricing.Rate{}, Sources: []string{source}}
			byRow[key] = row
		}
		row.Rates[c.dimension] = newest[c]
	}
	for _, key := range slices.SortedFunc(maps.Keys(byRow), compareCells) {
		data.Rows = append(data.Rows, *byRow[key])
	}
	_, err := pricing.NewTable(data)
	return data, err
}

// general makes the prices of one region those of all, and keeps those of
// other regions that differ. A geographic profile costs what its regions do.
func (l *List) general(had map[cell]pricing.Rate) map[cell]pricing.Rate {
	out := map[cell]pricing.Rate{}
	for c, p := range l.cells {
		if p.conflict {
			continue
		}
		anywhere, home := c, c
		anywhere.region, home.region = "", l.opts.Region
		if h, ok := l.cells[home]; ok && !h.conflict && c.region != "" && c.region != home.region && h.rate == p.rate {
			if _, ok := had[c]; !ok {
				continue // as at home
			}
		}
		if c.region == l.opts.Region {
			c = anywhere
		}
		out[c] = p.rate
		if c.scope == pricing.ScopeRegion {
			c.scope = pricing.ScopeGeographic
			out[c] = p.rate
		}
	}
	return out
}

func compareCells(a, b cell) int {
	return cmp.Or(cmp.Compare(a.model, b.model), cmp.Compare(a.scope, b.scope), cmp.Compare(a.tier, b.tier),
		cmp.Compare(a.region, b.region), cmp.Compare(a.above, b.above), cmp.Compare(a.upTo, b.upTo), cmp.Compare(a.dimension, b.dimension))
}

func cellOf(row *pricing.Row, scope pricing.Scope, d pricing.Dimension) cell {
	tier := row.Tier
	if tier == bedrockkit.TierStandard {
		tier = ""
	}
	return cell{model: row.Model, scope: scope, tier: tier, region: row.Region, above: row.AboveInput, dimension: d}
}

// cellsOf returns the open-ended rates of a table.
func cellsOf(data pricing.Data) map[cell]pricing.Rate {
	out := map[cell]pricing.Rate{}
	for _, row := range data.Rows {
		if row.To != "" {
			continue
		}
		for _, scope := range row.Scopes {
			for d, rate := range row.Rates {
				out[cellOf(&row, scope, d)] = rate
			}
		}
	}
	return out
}

// Change is a price that two tables do not agree on. Old or New is nil where
// one of them has none.
type Change struct {
	Model      bedrockkit.ModelID     `json:"model"`
	Scope      pricing.Scope          `json:"scope"`
	Tier       bedrockkit.ServiceTier `json:"tier,omitempty"`
	Region     string                 `json:"region,omitempty"`
	AboveInput int64                  `json:"above_input,omitempty"`
	Dimension  pricing.Dimension      `json:"dimension"`
	Old        *pricing.Rate          `json:"old"`
	New        *pricing.Rate          `json:"new"`
}

// Diff compares the rates of two tables that have no end yet, in the order of
// models, scopes, tiers and dimensions.
func Diff(older, newer pricing.Data) []Change {
	a, b := cellsOf(older), cellsOf(newer)
	all := maps.Clone(a)
	maps.Copy(all, b)
	var changes []Change
	for _, c := range slices.SortedFunc(maps.Keys(all), compareCells) {
		x, hadX := a[c]
		y, hadY := b[c]
		if hadX && hadY && x == y {
			continue
		}
		ch := Change{Model: c.model, Scope: c.scope, Tier: c.tier, Region: c.region, AboveInput: c.above, Dimension: c.dimension}
		if hadX {
			ch.Old = &x
		}
		if hadY {
			ch.New = &y
		}
		changes = append(changes, ch)
	}
	return changes
}
