package pricing

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/mangaassist/bedrockkit"
)

// CostOptions says how a request was served. The zero value is the standard
// tier, today, in the region of the ARN if there is one.
type CostOptions struct {
	// Tier is the tier that served the request: that of the response, not the
	// one that was asked for. The default is the standard tier. [TierBatch] is
	// batch inference, [TierOptimized] latency-optimized inference.
	Tier bedrockkit.ServiceTier

	// Region is the region that was called, such as "eu-central-1". The
	// default is that of the ARN, or else the price that holds in most regions.
	Region string

	// Date is when the request was made. The default is now.
	Date time.Time

	// Units are further counts to be priced. Default: none.
	Units Units

	// Resolve tells the model behind an ARN that does not tell it: an
	// application inference profile (GetInferenceProfile), a prompt router
	// (the model that it invoked, which is in the response's trace). Default:
	// none; such ARNs are unknown models.
	Resolve func(bedrockkit.ModelID) (bedrockkit.ModelID, error)
}

// Errors say why something has no price. They are found with errors.Is in the
// [*UnpricedError] that [Table.Cost] returns.
var (
	ErrUnknownModel = errors.New("unknown model")
	ErrNoRate       = errors.New("no rate")
	ErrUnknownUsage = errors.New("usage is not known")
	ErrInvalidUsage = errors.New("usage is not valid")
)

// Line is the price of one dimension of a usage.
type Line struct {
	Dimension Dimension `json:"dimension"`
	Units     int64     `json:"units"`
	Rate      Rate      `json:"usd_per_million"`
	Amount    Amount    `json:"amount"`
	Sources   []string  `json:"sources"`
}

// Quantity is a count of something.
type Quantity struct {
	Dimension Dimension `json:"dimension"`
	Units     int64     `json:"units"`
}

// Breakdown is a cost with what it is made of.
type Breakdown struct {
	Model bedrockkit.ModelID     `json:"model"` // the model of the table
	Scope Scope                  `json:"scope"`
	Tier  bedrockkit.ServiceTier `json:"tier"`
	Total Amount                 `json:"total"`
	Lines []Line                 `json:"lines"` // one for each dimension that was used
}

// UnpricedError says that a usage has no price, or not all of it. What could
// be priced is a lower bound of the cost, never the cost.
type UnpricedError struct {
	Model    bedrockkit.ModelID     // as it was given
	Scope    Scope                  // empty where the model is unknown
	Tier     bedrockkit.ServiceTier // that was asked for
	Region   string
	Priced   Amount     // the cost of the part that has rates
	Unpriced []Quantity // the part that has none
	Err      error      // ErrUnknownModel, ErrNoRate, ErrUnknownUsage or ErrInvalidUsage, with the reason
}

func (e *UnpricedError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "pricing %q: %v", e.Model, e.Err)
	if e.Scope != "" {
		fmt.Fprintf(&b, " (scope %s, tier %s", e.Scope, e.Tier)
		if e.Region != "" {
			fmt.Fprintf(&b, ", region %s", e.Region)
		}
		b.WriteByte(')')
	}
	for i, q := range e.Unpriced {
		sep := ", "
		if i == 0 {
			sep = "; unpriced: "
		}
		fmt.Fprintf(&b, "%s%d %s", sep, q.Units, q.Dimension)
	}
	fmt.Fprintf(&b, "; priced so far: $%s", e.Priced)
	return b.String()
}

// Unwrap returns the reason.
func (e *UnpricedError) Unwrap() error { return e.Err }

var standard CostOptions

func costOptions(optFns []func(*CostOptions)) *CostOptions {
	if len(optFns) == 0 {
		return &standard
	}
	o := new(CostOptions)
	for _, fn := range optFns {
		fn(o)
	}
	return o
}

// Cost returns what a usage costs, exactly. The model may be a bare id, an
// inference profile or an ARN; it is matched exactly after parsing, and the
// prefix of the profile decides the scope of the price. The price is never
// guessed: where anything has no rate the error is an [*UnpricedError], which
// holds the part that has one.
func (t *Table) Cost(model bedrockkit.ModelID, usage bedrockkit.Usage, optFns ...func(*CostOptions)) (Amount, error) {
	return t.price(model, &usage, costOptions(optFns), nil)
}

// Breakdown returns what [Table.Cost] does, with a line for each dimension.
// With an [*UnpricedError] it holds the lines that were priced.
func (t *Table) Breakdown(model bedrockkit.ModelID, usage bedrockkit.Usage, optFns ...func(*CostOptions)) (Breakdown, error) {
	b := Breakdown{Lines: []Line{}}
	total, err := t.price(model, &usage, costOptions(optFns), &b)
	if err != nil {
		var unpriced *UnpricedError
		if errors.As(err, &unpriced) {
			total = unpriced.Priced
		}
	}
	b.Total = total
	return b, err
}

// lookup finds the model and the scope of an id.
func (t *Table) lookup(model bedrockkit.ModelID, o *CostOptions) (*entry, query, error) {
	ident, err := model.Parse()
	if err != nil {
		return nil, query{}, fmt.Errorf("%w: %w", ErrUnknownModel, err)
	}
	region := o.Region
	if region == "" {
		region = ident.Region
	}
	switch ident.Kind {
	case bedrockkit.KindProvisionedModel, bedrockkit.KindImportedModel, bedrockkit.KindMarketplace:
		return nil, query{}, fmt.Errorf("%w: a %s is billed by the time it runs, so a request has no price; price its hours or minutes as Units of the model", ErrNoRate, ident.Kind)
	}
	if ident.Base == "" && o.Resolve != nil {
		resolved, err := o.Resolve(model)
		if err != nil {
			return nil, query{}, fmt.Errorf("%w: resolving it: %w", ErrUnknownModel, err)
		}
		if ident, err = resolved.Parse(); err != nil {
			return nil, query{}, fmt.Errorf("%w: it was resolved to: %w", ErrUnknownModel, err)
		}
		if region == "" {
			region = ident.Region
		}
	}
	if ident.Base == "" {
		return nil, query{}, fmt.Errorf("%w: an ARN of the kind %s does not tell its model; give Resolve a function that does", ErrUnknownModel, ident.Kind)
	}
	e := t.index[ident.Base]
	if e == nil {
		return nil, query{}, fmt.Errorf("%w: %q is not in the price table", ErrUnknownModel, ident.Base)
	}
	q := query{region: region}
	switch {
	case ident.Prefix == "us-gov" || ident.Partition == "aws-us-gov" || strings.HasPrefix(region, "us-gov-"):
		q.scope = 3
	case ident.Scope == bedrockkit.ScopeGlobal:
		q.scope = 2
	case ident.Scope == bedrockkit.ScopeGeographic:
		q.scope = 1
	}
	tier := tierIndex(o.Tier)
	if tier < 0 {
		return e, q, fmt.Errorf("%w: tier %q is not known; the tiers are %v", ErrNoRate, o.Tier, tiers)
	}
	q.tier = uint8(tier)
	if e.dated {
		date := o.Date
		if date.IsZero() {
			date = time.Now()
		}
		q.day = day(date)
	}
	return e, q, nil
}

// price sums the lines of a usage, and keeps them in b if there is one.
func (t *Table) price(model bedrockkit.ModelID, usage *bedrockkit.Usage, o *CostOptions, b *Breakdown) (Amount, error) {
	e, q, err := t.lookup(model, o)
	if err != nil {
		return Amount{}, unpriced(model, e, q, o, usage, Amount{}, quantities(usage, o.Units), err)
	}
	if b != nil {
		b.Model, b.Scope, b.Tier = e.model.ID, scopes[q.scope], tiers[q.tier]
	}
	if err := valid(usage, o.Units); err != nil {
		return Amount{}, unpriced(model, e, q, o, usage, Amount{}, quantities(usage, o.Units), err)
	}
	q.input = usage.TotalInput()
	for d, n := range o.Units {
		if strings.HasPrefix(string(d), "cache_") || d == Input {
			q.input += n
		}
	}
	var total Amount
	var missing []Quantity
	used := counts(*usage)
	n := buckets
	if len(o.Units) > 0 {
		n = len(dimensions)
	}
	found := false
	for dim := range n {
		var units int64
		if dim < buckets {
			units = used[dim]
		}
		if len(o.Units) > 0 {
			units += o.Units[dimensions[dim]]
		}
		if units == 0 {
			continue
		}
		found = true
		c := e.find(dim, &q)
		if c == nil {
			missing = append(missing, Quantity{dimensions[dim], units})
			continue
		}
		amount := c.rate.Of(units)
		total = total.Add(amount)
		if b != nil {
			b.Lines = append(b.Lines, Line{dimensions[dim], units, c.rate, amount, t.data.Rows[c.row].Sources})
		}
	}
	switch {
	case len(missing) > 0, !found && !e.offers(&q):
		return Amount{}, unpriced(model, e, q, o, usage, total, missing, ErrNoRate)
	case usage.Unknown:
		return Amount{}, unpriced(model, e, q, o, usage, total, nil, ErrUnknownUsage)
	}
	return total, nil
}

func unpriced(model bedrockkit.ModelID, e *entry, q query, o *CostOptions, usage *bedrockkit.Usage, priced Amount, missing []Quantity, err error) error {
	if usage.Unknown && !errors.Is(err, ErrUnknownUsage) {
		err = fmt.Errorf("%w; and %w", err, ErrUnknownUsage)
	}
	u := &UnpricedError{Model: model, Region: q.region, Tier: o.Tier, Priced: priced, Unpriced: missing, Err: err}
	if u.Tier == "" {
		u.Tier = bedrockkit.TierStandard
	}
	if e != nil {
		u.Scope = scopes[q.scope]
	}
	return u
}

// valid refuses counts that no request can have.
func valid(usage *bedrockkit.Usage, units Units) error {
	for i, n := range counts(*usage) {
		if n < 0 || n > maxUnits {
			return fmt.Errorf("%w: %d %s; a count is from 0 to 10¹⁵", ErrInvalidUsage, n, dimensions[i])
		}
	}
	for d, n := range units {
		if !slices.Contains(dimensions[:], d) {
			return fmt.Errorf("%w: dimension %q is not known", ErrNoRate, d)
		}
		if n < 0 || n > maxUnits {
			return fmt.Errorf("%w: %d %s; a count is from 0 to 10¹⁵", ErrInvalidUsage, n, d)
		}
	}
	return nil
}

// quantities lists all counts of a usage that are not zero.
func quantities(usage *bedrockkit.Usage, units Units) []Quantity {
	var list []Quantity
	used := counts(*usage)
	for dim, d := range dimensions {
		n := units[d]
		if dim < buckets {
			n += used[dim]
		}
		if n != 0 {
			list = append(list, Quantity{d, n})
		}
	}
	for d, n := range units {
		if !slices.Contains(dimensions[:], d) {
			list = append(list, Quantity{d, n})
		}
	}
	return list
}
