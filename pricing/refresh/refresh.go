package refresh

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/pricing"
	"github.com/mangaassist/bedrockkit/pricing/internal/cells"
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
	// long-context prices apply, which the Price List does not say. Default:
	// that of the base table; without one such prices are refused.
	LongContext map[bedrockkit.ModelID]int64

	// Region is the one whose price is that of all regions, where the base
	// table has one for all. A region with another price gets a row of its own.
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
	long    map[bedrockkit.ModelID]int64 // the brackets of the base
	half    map[bedrockkit.ModelID]bool  // prompt caches of thirty minutes
	opts    Options
	count   int
	cells   map[cells.Cell]price
	refused []Refusal
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
	l := &List{base: base, models: map[bedrockkit.ModelID]bedrockkit.ModelID{}, aliases: map[string]bedrockkit.ModelID{},
		long: map[bedrockkit.ModelID]int64{}, half: map[bedrockkit.ModelID]bool{}, cells: map[cells.Cell]price{}}
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
	five := map[bedrockkit.ModelID]bool{}
	for _, r := range base.Rows {
		if r.AboveInput > 0 {
			l.long[r.Model] = r.AboveInput
		}
		if _, ok := r.Rates[pricing.CacheWrite5m]; ok {
			five[r.Model] = true
		}
		if _, ok := r.Rates[pricing.CacheWrite30m]; ok {
			l.half[r.Model] = true
		}
	}
	for m := range five {
		delete(l.half, m)
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
