package pricing

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/mangaassist/bedrockkit"
)

// CostOptions says how a request was served. The zero value is the standard
// tier, today, in the region of the ARN if there is one.
type CostOptions struct {
	// Tier is the tier that served the request. It is the tier in the response, not
	// the tier that the request asked for. The default is the standard tier.
	// [TierBatch] is batch inference, [bedrockkit.TierOptimized] latency-optimized
	// inference.
	Tier bedrockkit.ServiceTier

	// Region is the region that was called, such as "eu-central-1". For a profile, it
	// is also the region that was called, not the region that processed the request.
	// The default is the region of the ARN; without an ARN, it is us-east-1 for bare
	// ids and for the profiles "us." and "global.". The profiles of other geographies
	// need a region, unless all their regions have the same price. It is an error if
	// the region has no price of the model, is outside the geography of the profile,
	// is in another partition, or is misspelled. The price of another region is never
	// used.
	Region string

	// Date is when the request was made. The default is now.
	Date time.Time

	// Units are other counts to price. Default: none.
	Units Units

	// Resolve returns the model of an ARN that does not name it: for an application
	// inference profile, use GetInferenceProfile; for a prompt router, use the model
	// that it invoked, which is in the response's trace. Default: none; such ARNs are
	// unknown models.
	Resolve func(bedrockkit.ModelID) (bedrockkit.ModelID, error)
}

// The reasons why something has no price. Find them with errors.Is in the
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

// Breakdown is a cost with its parts.
type Breakdown struct {
	Model bedrockkit.ModelID     `json:"model"` // the model of the table
	Scope bedrockkit.Scope       `json:"scope"`
	Tier  bedrockkit.ServiceTier `json:"tier"`

	// Region is the region of the price, and Day the day in UTC, YYYY-MM-DD. Each is
	// empty if the price does not depend on it.
	Region string `json:"region,omitempty"`
	Day    string `json:"day,omitempty"`

	Total Amount `json:"total"`
	Lines []Line `json:"lines"` // one for each dimension that was used
}

// UnpricedError means that a usage, or a part of it, has no price. Priced is then a
// lower bound of the cost, never the cost.
type UnpricedError struct {
	Model    bedrockkit.ModelID     // as it was given
	Scope    bedrockkit.Scope       // empty if the model is unknown
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

// spare are zero options: every call of a client has its cost, and needs none of
// its own.
var spare = sync.Pool{New: func() any { return new(CostOptions) }}

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

// Cost returns what a usage costs, exactly. The model may be a bare id, an inference
// profile or an ARN; it is matched exactly after parsing, and the prefix of the
// profile decides the scope of the price. The price is never guessed: if anything has
// no rate, the error is an [*UnpricedError], which holds the part that has one.
func (t *Table) Cost(model bedrockkit.ModelID, usage bedrockkit.Usage, optFns ...func(*CostOptions)) (Amount, error) {
	if len(optFns) == 0 {
		return t.price(model, &usage, &standard, nil)
	}
	o := spare.Get().(*CostOptions)
	for _, fn := range optFns {
		fn(o)
	}
	amount, err := t.price(model, &usage, o, nil)
	*o = CostOptions{}
	spare.Put(o)
	return amount, err
}

// Breakdown returns the same as [Table.Cost], with a line for each dimension. With an
// [*UnpricedError] it has the lines that were priced.
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

// lookup finds the model behind an id, and what of its rates is wanted. The
// prefix is that of a profile whose region must be known and is not.
func (t *Table) lookup(model bedrockkit.ModelID, o *CostOptions) (e *entry, q query, prefix string, err error) {
	t.ready()
	ident, err := model.Parse()
	if err != nil {
		return nil, q, "", fmt.Errorf("%w: %w", ErrUnknownModel, err)
	}
	region := cmp.Or(o.Region, ident.Region)
	switch ident.Kind {
	case bedrockkit.KindProvisionedModel, bedrockkit.KindImportedModel, bedrockkit.KindMarketplace:
		return nil, q, "", fmt.Errorf("%w: a %s is billed by the time it runs, so a request has no price; price its hours or minutes as Units of the model", ErrNoRate, ident.Kind)
	}
	if ident.Base == "" && o.Resolve != nil {
		resolved, err := o.Resolve(model)
		if err != nil {
			return nil, q, "", fmt.Errorf("%w: resolving it: %w", ErrUnknownModel, err)
		}
		if ident, err = resolved.Parse(); err != nil {
			return nil, q, "", fmt.Errorf("%w: it was resolved to: %w", ErrUnknownModel, err)
		}
		region = cmp.Or(region, ident.Region)
	}
	if ident.Base == "" {
		return nil, q, "", fmt.Errorf("%w: an ARN of the kind %s does not tell its model; give Resolve a function that does", ErrUnknownModel, ident.Kind)
	}
	if e = t.find(ident.Base); e == nil {
		return nil, q, "", fmt.Errorf("%w: %q is not in the price table", ErrUnknownModel, ident.Base)
	}
	q.base = ident.Base
	switch {
	case ident.Scope == bedrockkit.ScopeGlobal:
		q.scope = 2
	case ident.Prefix == "us-gov" || ident.Partition == "aws-us-gov" || strings.HasPrefix(region, "us-gov-"):
		q.scope = 3
	case ident.Scope == bedrockkit.ScopeGeographic:
		q.scope = 1
	}
	if region == "" {
		switch ident.Prefix {
		case "", "us", "global":
			region = defaultRegion
		default:
			prefix = ident.Prefix
		}
	}
	q.region = t.regions[region]
	q.name = region
	q.foreign = q.scope != 3 && region != "" && !commercial(region)
	if from, ok := geographies[ident.Prefix]; ok && region != "" && !within(ident.Prefix, region) {
		return e, q, "", fmt.Errorf("%w: the profile %q is not served in %s; the regions of %s. are %s",
			ErrNoRate, ident.Prefix+"."+string(ident.Base), region, ident.Prefix, strings.Join(starred(from), ", "))
	}
	tier := tierIndex(o.Tier)
	if tier < 0 {
		return e, q, prefix, fmt.Errorf("%w: tier %q is not known; the tiers are %v", ErrNoRate, o.Tier, tiers)
	}
	q.tier = uint8(tier)
	if e.dated {
		date := o.Date
		if date.IsZero() {
			date = time.Now()
		}
		q.day = day(date)
	}
	return e, q, prefix, nil
}

// commercial reports whether a name has the form of a commercial region's, as
// ap-southeast-2. Those of other partitions have not, but for China's: GovCloud's
// and the isolated regions' have four parts, eusc-de-east-1 a longer first one.
func commercial(region string) bool {
	country, rest, _ := strings.Cut(region, "-")
	area, number, found := strings.Cut(rest, "-")
	return found && len(country) == 2 && country != "cn" && area != "" && len(number) == 1 &&
		strings.Trim(country+area, "abcdefghijklmnopqrstuvwxyz") == "" && '1' <= number[0] && number[0] <= '9'
}

// defaultRegion is the region of calls that do not give theirs.
const defaultRegion = "us-east-1"

// price sums the lines of a usage, and keeps them in b if there is one.
func (t *Table) price(model bedrockkit.ModelID, usage *bedrockkit.Usage, o *CostOptions, b *Breakdown) (Amount, error) {
	e, q, prefix, err := t.lookup(model, o)
	if err == nil {
		err = valid(usage, o.Units)
	}
	if b != nil && e != nil {
		b.Model, b.Scope, b.Tier, b.Region = e.model.ID, scopes[q.scope], tiers[q.tier], q.name
		if e.dated {
			b.Day = time.Unix(int64(q.day)*86400, 0).UTC().Format(time.DateOnly)
		}
	}
	if err != nil {
		return Amount{}, unpriced(model, e, &q, o, usage, Amount{}, quantities(usage, o.Units), err)
	}
	q.input = usage.TotalInput()
	for d, n := range o.Units {
		if d == Input || d == SpeechInput || strings.HasPrefix(string(d), "cache_") {
			q.input += n
		}
	}
	var total Amount
	var missing []Quantity
	var one [1]int
	places := t.places(e, &q, prefix, one[:0])
	for i, region := range places {
		q.region = region
		var rates applied
		e.apply(&q, &rates)
		sum, without, lines := rates.sum(usage, o.Units, b != nil)
		if i > 0 {
			if sum != total || !slices.Equal(without, missing) {
				return Amount{}, unpriced(model, e, &q, o, usage, Amount{}, quantities(usage, o.Units), t.differ(prefix, places[i-1], region))
			}
			continue
		}
		total, missing = sum, without
		if b != nil {
			for _, l := range lines {
				b.Lines = append(b.Lines, Line{dimensions[l.dim], l.units, l.rate, l.rate.Of(l.units), t.data.Rows[l.row-1].Sources})
			}
		}
		if len(without) == 0 && sum.IsZero() && rates == (applied{}) {
			err = ErrNoRate // of nothing, in a scope or a tier without any
		}
	}
	switch {
	case len(missing) > 0, err != nil:
		return Amount{}, unpriced(model, e, &q, o, usage, total, missing, t.whereElse(e, &q, missing))
	case usage.Unknown:
		return Amount{}, unpriced(model, e, &q, o, usage, total, nil, ErrUnknownUsage)
	}
	return total, nil
}

// charge is what one dimension costs.
type charge struct {
	dim, row int32
	units    int64
	rate     Rate
}

// sum prices the counts that are not zero. It says what has no rate, and the
// parts where they are wanted.
func (a *applied) sum(usage *bedrockkit.Usage, units Units, detailed bool) (total Amount, missing []Quantity, parts []charge) {
	used := counts(usage)
	n := buckets
	if len(units) > 0 {
		n = len(dimensions)
	}
	for dim := range n {
		var count int64
		if dim < buckets {
			count = used[dim]
		}
		if len(units) > 0 {
			count += units[dimensions[dim]]
		}
		switch {
		case count == 0:
		case a[dim].row == 0:
			missing = append(missing, Quantity{dimensions[dim], count})
		default:
			total = total.Add(a[dim].rate.Of(count))
			if detailed {
				parts = append(parts, charge{int32(dim), a[dim].row, count, a[dim].rate})
			}
		}
	}
	return total, missing, parts
}

// mostNamed is how many regions an error names.
const mostNamed = 4

// places are the regions whose price a usage may have: the one of the query, or
// where that must be known and is not, all that the profile has.
// The buffer is for the one.
func (t *Table) places(e *entry, q *query, prefix string, buf []int) []int {
	if prefix != "" {
		if all := t.candidates(e, q, prefix); len(all) > 0 {
			return all
		}
	}
	return append(buf, q.region)
}

// differ is the error of a profile whose regions a and b have different prices.
func (t *Table) differ(prefix string, a, b int) error {
	name := func(n int) string { return cmp.Or(t.regionName(n), "the others") }
	return fmt.Errorf("%w without a region: the prices of %s. differ, as in %s and %s", ErrNoRate, prefix, name(a), name(b))
}

// whereElse is the reason of what has no rate. It names regions that have one.
func (t *Table) whereElse(e *entry, asked *query, missing []Quantity) error {
	q := *asked
	var names []string
	for name, n := range t.regions {
		if n == asked.region {
			continue
		}
		q.region = n
		var rates applied
		e.apply(&q, &rates)
		if rates == (applied{}) || slices.ContainsFunc(missing, func(m Quantity) bool { return rates[slices.Index(dimensions[:], m.Dimension)].row == 0 }) {
			continue
		}
		names = append(names, name)
	}
	switch {
	case len(names) == 0 && asked.foreign:
		return fmt.Errorf("%w in %s, which is no commercial region of AWS", ErrNoRate, asked.name)
	case len(names) == 0:
		return ErrNoRate
	}
	slices.Sort(names)
	more := ""
	if len(names) > mostNamed {
		more = fmt.Sprintf(" and %d more", len(names)-mostNamed)
		names = names[:mostNamed]
	}
	return fmt.Errorf("%w in %s; there is one in %s%s", ErrNoRate, cmp.Or(asked.name, "a region that is not told"), strings.Join(names, ", "), more)
}

func unpriced(model bedrockkit.ModelID, e *entry, q *query, o *CostOptions, usage *bedrockkit.Usage, priced Amount, missing []Quantity, err error) error {
	if usage.Unknown && !errors.Is(err, ErrUnknownUsage) {
		err = fmt.Errorf("%w; and %w", err, ErrUnknownUsage)
	}
	u := &UnpricedError{Model: model, Region: q.name, Tier: o.Tier, Priced: priced, Unpriced: missing, Err: err}
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
	for i, n := range counts(usage) {
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
	used := counts(usage)
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
