package pricing

import (
	"cmp"
	_ "embed"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/mangaassist/bedrockkit"
)

// Table prices usage. It does not change, and is safe for concurrent use. [Default]
// returns the table of this package; [NewTable] and [ReadTable] make others.
type Table struct {
	once sync.Once
	text []byte // JSON that is read when somebody asks for the first time
	data Data
	*compiled
}

//go:embed prices.json
var embedded []byte

var shipped = Table{text: embedded}

// Default returns the table of this package. It is parsed at the first call, which
// takes some milliseconds; a program that never asks for a price does not pay for
// that. [Table.Data] has the source and the date of each rate.
func Default() *Table { return &shipped }

// ready reads what was not read yet.
func (t *Table) ready() *Table {
	t.once.Do(func() {
		var err error
		if t.data, err = readData(t.text); err == nil {
			t.compiled, err = compile(&t.data)
		}
		if err != nil {
			panic(err) // the tests of this package check the same file
		}
	})
	return t
}

// Data returns the content of the table. It is shared: do not change it.
func (t *Table) Data() Data { return t.ready().data }

// Models yields the base models of the table, in its order.
func (t *Table) Models() iter.Seq[Model] { return slices.Values(t.Data().Models) }

// Model returns what the table knows about the model of an id. It finds bare ids,
// profile ids and ARNs that name their model.
func (t *Table) Model(id bedrockkit.ModelID) (Model, bool) {
	e := t.ready().find(id.Base())
	if e == nil {
		return Model{}, false
	}
	return e.model, true
}

// Regions returns the regions in the rows of the model of an id, in alphabetical
// order. For the profile of a geography, it returns only regions of that geography. It
// is empty if the model is not known or costs the same in all regions.
func (t *Table) Regions(id bedrockkit.ModelID) []string {
	ident, err := id.Parse()
	e := t.ready().find(ident.Base)
	if err != nil || e == nil {
		return nil
	}
	var names []string
	for name, n := range t.regions {
		if ident.Scope == bedrockkit.ScopeGeographic && !within(ident.Prefix, name) {
			continue
		}
		if slices.ContainsFunc(e.rows, func(r row) bool { return r.regions.has(n) }) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// compiled is a table as it is searched.
type compiled struct {
	index   map[bedrockkit.ModelID]*entry
	regions map[string]int // numbers from 1; 0 is a region that no row names
}

// entry is what a table knows of one model.
type entry struct {
	model    Model
	rows     []row // those that name regions first
	dated    bool  // some row has an effective date
	brackets bool  // some row has a lower bound of the input
}

// row is a Row as it is searched.
type row struct {
	scopes      uint8 // a bit for each
	tier        uint8
	regions     regionSet // nil: all
	above, upTo int64
	from, to    int32 // days since 1970, to exclusive
	row         int32 // in Data.Rows
	rates       []dimensionRate
}

type dimensionRate struct {
	dim  uint8
	rate Rate
}

// regionSet is a set of numbers of regions.
type regionSet []uint64

func (s regionSet) has(n int) bool { return n/64 < len(s) && s[n/64]&(1<<(n%64)) != 0 }

func (c *compiled) regionName(n int) string {
	for name, i := range c.regions {
		if i == n {
			return name
		}
	}
	return ""
}

// compile makes the index of a table. The error says which row is wrong.
func compile(data *Data) (*compiled, error) {
	c := &compiled{index: make(map[bedrockkit.ModelID]*entry, 3*len(data.Models)), regions: map[string]int{}}
	for _, m := range data.Models {
		e := &entry{model: m}
		for _, id := range append([]bedrockkit.ModelID{m.ID}, m.Aliases...) {
			if id == "" || id.Base() != id {
				return nil, fmt.Errorf("model %q is not a base model id", id)
			}
			if other := c.index[id]; other != nil && other != e {
				return nil, fmt.Errorf("%q names both %q and %q", id, other.model.ID, m.ID)
			}
			c.index[id] = e
		}
	}
	for i := range data.Rows {
		if err := c.add(data, i); err != nil {
			return nil, fmt.Errorf("row %d, model %q: %w", i, data.Rows[i].Model, err)
		}
	}
	for _, m := range data.Models {
		slices.SortStableFunc(c.index[m.ID].rows, func(a, b row) int { return cmp.Compare(len(b.regions), len(a.regions)) })
	}
	return c, nil
}

// add enters row i.
func (c *compiled) add(data *Data, i int) error {
	from := &data.Rows[i]
	e := c.index[from.Model]
	if e == nil || e.model.ID != from.Model {
		return errors.New("the model is not in the list of models")
	}
	tier := tierIndex(from.Tier)
	first, err := parseDay(from.From, minDay)
	last, err2 := parseDay(from.To, maxDay)
	switch {
	case tier < 0:
		return fmt.Errorf("tier %q is not known", from.Tier)
	case err != nil || err2 != nil:
		return errors.Join(err, err2)
	case first >= last:
		return fmt.Errorf("it ends on %s, before it begins on %s", from.To, from.From)
	case len(from.Rates) == 0 || len(from.Scopes) == 0:
		return errors.New("it needs a scope and a rate")
	case len(from.Sources) == 0:
		return errors.New("it has no source")
	case from.AboveInput < 0 || from.UpToInput < 0 || from.UpToInput > 0 && from.UpToInput <= from.AboveInput:
		return fmt.Errorf("above_input %d and up_to_input %d leave no requests", from.AboveInput, from.UpToInput)
	}
	for _, s := range from.Sources {
		if _, ok := data.Sources[s]; !ok {
			return fmt.Errorf("source %q is not described", s)
		}
	}
	r := row{tier: uint8(tier), above: from.AboveInput, upTo: from.UpToInput, from: first, to: last, row: int32(i)}
	for _, s := range from.Scopes {
		scope := slices.Index(scopes[:], s)
		if scope < 0 {
			return fmt.Errorf("scope %q is not known", s)
		}
		r.scopes |= 1 << scope
	}
	for _, name := range from.Regions {
		if name == "" {
			return errors.New("a region has no name; leave regions out for all")
		}
		n, ok := c.regions[name]
		if !ok {
			n = len(c.regions) + 1
			c.regions[name] = n
		}
		for len(r.regions) <= n/64 {
			r.regions = append(r.regions, 0)
		}
		r.regions[n/64] |= 1 << (n % 64)
	}
	r.rates = make([]dimensionRate, 0, len(from.Rates))
	for d, v := range from.Rates {
		dim := slices.Index(dimensions[:], d)
		if dim < 0 {
			return fmt.Errorf("dimension %q is not known", d)
		}
		if v < 0 || v > maxRate {
			return fmt.Errorf("rate %s of %s is out of range", v, d)
		}
		r.rates = append(r.rates, dimensionRate{uint8(dim), v})
	}
	e.dated = e.dated || from.From != "" || from.To != ""
	e.brackets = e.brackets || from.AboveInput > 0
	e.rows = append(e.rows, r)
	return nil
}

const (
	minDay = -1 << 31
	maxDay = 1<<31 - 1
)

func parseDay(s string, open int32) (int32, error) {
	if s == "" {
		return open, nil
	}
	d, err := time.Parse(time.DateOnly, s)
	if err != nil {
		return 0, fmt.Errorf("%q is not a day YYYY-MM-DD", s)
	}
	return day(d), nil
}

// day is the number of the UTC day, from 1970.
func day(t time.Time) int32 {
	s := t.Unix()
	if s < 0 {
		s -= 86399
	}
	return int32(min(max(s/86400, minDay), maxDay-1))
}

// find returns the entry of a base id, or nil. An id with a context size at its
// end is that of a twin, which has the prices of the model without.
func (c *compiled) find(base bedrockkit.ModelID) *entry {
	if e := c.index[base]; e != nil {
		return e
	}
	if i := strings.LastIndexByte(string(base), ':'); i > 0 {
		size := string(base[i+1:])
		digits := strings.TrimRight(size, "km")
		if digits != "" && len(digits) == len(size)-1 && strings.Trim(digits, "0123456789") == "" {
			return c.index[base[:i]]
		}
	}
	return nil
}

// query says which rates are wanted.
type query struct {
	base        bedrockkit.ModelID
	scope, tier uint8
	region      int    // its number in the table
	name        string // and its name, for errors
	foreign     bool   // it is not a commercial region: only rows that name it hold
	input       int64
	day         int32
}

// holds reports whether the row is one for the query, whatever its bracket.
func (r *row) holds(q *query) bool {
	where := r.regions.has(q.region) || r.regions == nil && !q.foreign
	return where && r.scopes&(1<<q.scope) != 0 && r.tier == q.tier && r.from <= q.day && q.day < r.to
}

// applied are the rates that hold for a query, by dimension, each with its row
// from 1; 0 is none.
type applied [len(dimensions)]struct {
	rate Rate
	row  int32
}

// apply finds the rates that hold for a query. All of a request is billed in
// one bracket: the highest that its input is above.
func (e *entry) apply(q *query, to *applied) {
	bracket := int64(0)
	if e.brackets {
		for i := range e.rows {
			if r := &e.rows[i]; r.above > bracket && q.input > r.above && r.holds(q) {
				bracket = r.above
			}
		}
	}
	for i := range e.rows {
		r := &e.rows[i]
		if r.above != bracket || r.upTo > 0 && q.input > r.upTo || !r.holds(q) {
			continue
		}
		for _, dr := range r.rates {
			if to[dr.dim].row == 0 { // the rows that name regions come first
				to[dr.dim].rate, to[dr.dim].row = dr.rate, r.row+1
			}
		}
	}
	to.wholeWrites()
}

// wholeWrites gives writes for five minutes the rate of the model's only other
// cache. Converse counts a write as one of five minutes if it does not say
// for how long, and a model with one cache has no need to.
func (a *applied) wholeWrites() {
	if a[dimWrite5m].row != 0 {
		return
	}
	switch only := a[dimWrite30m]; {
	case a[dimWrite1h].row == 0:
		a[dimWrite5m] = only
	case only.row == 0:
		a[dimWrite5m] = a[dimWrite1h]
	}
}

// prices reports whether any row of the model has a rate for the dimension.
func (e *entry) prices(dim int) bool {
	return slices.ContainsFunc(e.rows, func(r row) bool {
		return slices.ContainsFunc(r.rates, func(dr dimensionRate) bool { return int(dr.dim) == dim })
	})
}

// geographies are the regions that a profile may be called from, by the prefix
// of its id; a name that ends with a hyphen is the beginning of some. Source:
// "Supported Regions and models for inference profiles", Amazon Bedrock User
// Guide, 2026-10.
var geographies = map[string][]string{
	"us":     {"us-east-", "us-west-", "ca-"},
	"eu":     {"eu-", "il-"},
	"apac":   {"ap-", "me-"},
	"jp":     {"ap-northeast-1", "ap-northeast-3"},
	"au":     {"ap-southeast-2", "ap-southeast-4", "ap-southeast-6"},
	"ca":     {"ca-"},
	"in":     {"ap-south-1", "ap-south-2"},
	"amer":   {"us-east-", "us-west-", "ca-", "mx-", "sa-"},
	"us-gov": {"us-gov-"},
}

func within(prefix, region string) bool {
	return slices.ContainsFunc(geographies[prefix], func(g string) bool {
		return g == region || strings.HasSuffix(g, "-") && strings.HasPrefix(region, g)
	})
}

// starred marks the names that are only the beginning of one: "eu-*".
func starred(names []string) []string {
	all := make([]string, len(names))
	for i, name := range names {
		all[i] = name
		if strings.HasSuffix(name, "-") {
			all[i] += "*"
		}
	}
	return all
}

// candidates are the regions of a geography that may have prices of their own:
// those that rows of the scope and tier name, and 0 for all others where there
// are rows without regions.
func (c *compiled) candidates(e *entry, q *query, prefix string) []int {
	found := map[int]bool{}
	for i := range e.rows {
		r := &e.rows[i]
		if r.scopes&(1<<q.scope) == 0 || r.tier != q.tier {
			continue
		}
		if r.regions == nil {
			found[0] = true
		}
		for name, n := range c.regions {
			if r.regions.has(n) && within(prefix, name) {
				found[n] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(found))
}
