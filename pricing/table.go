package pricing

import (
	"cmp"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/mangaassist/bedrockkit"
)

// Scope says which price of a model applies. It follows from the model id and
// the region, see [Table.Cost].
type Scope string

// The scopes.
const (
	ScopeRegion     Scope = "region"     // the model in one region, called by its bare id
	ScopeGeographic Scope = "geographic" // a profile of one geography: "us.", "eu."…
	ScopeGlobal     Scope = "global"     // the profile "global."
	ScopeGov        Scope = "gov"        // AWS GovCloud (US), by bare id or by "us-gov."
)

var scopes = [...]Scope{ScopeRegion, ScopeGeographic, ScopeGlobal, ScopeGov}

// TierBatch prices batch inference jobs, and TierOptimized requests with
// latency-optimized inference. They are no service tiers of a request, but
// they are priced as tiers beside those of bedrockkit.
const (
	TierBatch     bedrockkit.ServiceTier = "batch"
	TierOptimized bedrockkit.ServiceTier = "optimized"
)

var tiers = [...]bedrockkit.ServiceTier{
	bedrockkit.TierStandard, bedrockkit.TierPriority, bedrockkit.TierFlex, TierBatch, bedrockkit.TierReserved, TierOptimized,
}

func tierIndex(t bedrockkit.ServiceTier) int {
	if t == "" || t == bedrockkit.TierStandard || t == "standard" {
		return 0
	}
	return slices.Index(tiers[:], t)
}

// Source is where rates come from.
type Source struct {
	Title string `json:"title"`
	Date  string `json:"date"` // the day it was read, YYYY-MM-DD
}

// Model is a base model of a table, with the ids that Bedrock knows it by.
type Model struct {
	ID bedrockkit.ModelID `json:"id"` // the base id without version where Bedrock's has one

	// Aliases are the exact base ids of its versions, without a profile's prefix.
	Aliases []bedrockkit.ModelID `json:"aliases,omitempty"`

	// MaxInput and MaxOutput are the largest numbers of tokens that any source
	// states. Zero is unknown.
	MaxInput  int64 `json:"max_input,omitempty"`
	MaxOutput int64 `json:"max_output,omitempty"`
}

// Row is one line of a table: the rates of a model under one set of
// conditions, from one source.
type Row struct {
	Model  bedrockkit.ModelID     `json:"model"`  // a [Model].ID
	Scopes []Scope                `json:"scopes"` // at least one
	Tier   bedrockkit.ServiceTier `json:"tier,omitempty"`

	// Region limits the row to calls to one region, where it takes precedence
	// over a row of the same bracket without a region.
	Region string `json:"region,omitempty"`

	// AboveInput limits the row to requests whose whole input is more tokens
	// than this. All of such a request is billed by the row.
	AboveInput int64 `json:"above_input,omitempty"`

	// UpToInput limits the row to requests of at most so many input tokens,
	// where the price of larger ones is known to differ but not known.
	UpToInput int64 `json:"up_to_input,omitempty"`

	// From and To are days in UTC, YYYY-MM-DD: the first on which the row
	// holds and the first on which it does not. Empty is open.
	From string `json:"from,omitempty"`
	To   string `json:"to,omitempty"`

	Rates   map[Dimension]Rate `json:"rates"`
	Sources []string           `json:"sources"` // keys of [Data].Sources that state these rates
	Note    string             `json:"note,omitempty"`
}

// Data is the content of a table: what its JSON file holds.
type Data struct {
	Schema  string            `json:"$schema,omitempty"`
	Sources map[string]Source `json:"sources"`
	Models  []Model           `json:"models"`
	Rows    []Row             `json:"rows"`
}

// Table prices usage. It does not change, and any number of goroutines may use
// it. [Default] is the one that ships with this package; [NewTable] and
// [ReadTable] make others.
type Table struct {
	data  Data
	index map[bedrockkit.ModelID]*entry
}

// entry is what a table knows of one model.
type entry struct {
	model Model
	rates [len(dimensions)][]rate
	dated bool // some rate has an effective date
}

// rate is one cell. Cells of a dimension are sorted so that the first one that
// matches applies.
type rate struct {
	scope, tier uint8
	region      string
	above, upTo int64
	from, to    int32 // days since 1970, to exclusive
	rate        Rate
	row         int32
}

//go:embed prices.json
var embedded string

// Default returns the table that ships with this package. It is read once.
// [Table.Data] tells the source and the date of each rate.
func Default() *Table { return defaultTable() }

var defaultTable = sync.OnceValue(func() *Table {
	t, err := ReadTable(strings.NewReader(embedded))
	if err != nil {
		panic(err) // the tests of this package read the same file
	}
	return t
})

// ErrInvalidTable is the error of a table that could not be used: it has a
// duplicate, a gap or an overlap of dates, a row without a source, or a word
// that is not known.
var ErrInvalidTable = errors.New("invalid price table")

const maxTableBytes = 64 << 20

// ReadTable reads the JSON of a [Data], at most 64 MiB, as described by
// prices.schema.json beside the source of this package.
func ReadTable(r io.Reader) (*Table, error) {
	var data Data
	dec := json.NewDecoder(io.LimitReader(r, maxTableBytes))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&data); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalidTable, err)
	}
	return NewTable(data)
}

// NewTable checks the data and makes a table of it. The table keeps the data,
// which must not be changed any more. The error is [ErrInvalidTable].
func NewTable(data Data) (*Table, error) {
	t := &Table{data: data, index: make(map[bedrockkit.ModelID]*entry, 2*len(data.Models))}
	for name, s := range data.Sources {
		if _, err := time.Parse(time.DateOnly, s.Date); err != nil || s.Title == "" {
			return nil, fmt.Errorf("%w: source %q needs a title and a date YYYY-MM-DD", ErrInvalidTable, name)
		}
	}
	for _, m := range data.Models {
		e := &entry{model: m}
		for _, id := range append([]bedrockkit.ModelID{m.ID}, m.Aliases...) {
			if id == "" || id.Base() != id {
				return nil, fmt.Errorf("%w: model %q is no base model id", ErrInvalidTable, id)
			}
			if other := t.index[id]; other != nil && other != e {
				return nil, fmt.Errorf("%w: %q names both %q and %q", ErrInvalidTable, id, other.model.ID, m.ID)
			}
			t.index[id] = e
		}
	}
	for i := range data.Rows {
		if err := t.add(i); err != nil {
			return nil, fmt.Errorf("%w: row %d, model %q: %w", ErrInvalidTable, i, data.Rows[i].Model, err)
		}
	}
	for _, m := range data.Models {
		if err := t.index[m.ID].settle(); err != nil {
			return nil, fmt.Errorf("%w: model %q: %w", ErrInvalidTable, m.ID, err)
		}
	}
	return t, nil
}

// add enters the cells of row i.
func (t *Table) add(i int) error {
	row := &t.data.Rows[i]
	e := t.index[row.Model]
	if e == nil || e.model.ID != row.Model {
		return errors.New("the model is not in the list of models")
	}
	tier := tierIndex(row.Tier)
	from, err := parseDay(row.From, minDay)
	to, err2 := parseDay(row.To, maxDay)
	switch {
	case tier < 0:
		return fmt.Errorf("tier %q is not known", row.Tier)
	case err != nil || err2 != nil:
		return errors.Join(err, err2)
	case from >= to:
		return fmt.Errorf("it ends on %s, before it begins on %s", row.To, row.From)
	case len(row.Rates) == 0 || len(row.Scopes) == 0:
		return errors.New("it needs a scope and a rate")
	case len(row.Sources) == 0:
		return errors.New("it has no source")
	case row.AboveInput < 0 || row.UpToInput < 0 || row.UpToInput > 0 && row.UpToInput <= row.AboveInput:
		return fmt.Errorf("above_input %d and up_to_input %d leave no requests", row.AboveInput, row.UpToInput)
	}
	for _, s := range row.Sources {
		if _, ok := t.data.Sources[s]; !ok {
			return fmt.Errorf("source %q is not described", s)
		}
	}
	e.dated = e.dated || row.From != "" || row.To != ""
	for d, r := range row.Rates {
		dim := slices.Index(dimensions[:], d)
		if dim < 0 {
			return fmt.Errorf("dimension %q is not known", d)
		}
		if r < 0 || r > maxRate {
			return fmt.Errorf("rate %s of %s is out of range", r, d)
		}
		for _, s := range row.Scopes {
			scope := slices.Index(scopes[:], s)
			if scope < 0 {
				return fmt.Errorf("scope %q is not known", s)
			}
			e.rates[dim] = append(e.rates[dim], rate{
				scope: uint8(scope), tier: uint8(tier), region: row.Region, above: row.AboveInput, upTo: row.UpToInput,
				from: from, to: to, rate: r, row: int32(i),
			})
		}
	}
	return nil
}

// settle sorts the cells and refuses those that contradict each other.
func (e *entry) settle() error {
	for dim, cells := range e.rates {
		slices.SortFunc(cells, func(a, b rate) int {
			switch {
			case a.scope != b.scope:
				return int(a.scope) - int(b.scope)
			case a.tier != b.tier:
				return int(a.tier) - int(b.tier)
			case a.above != b.above:
				return cmp.Compare(b.above, a.above) // the highest bracket first
			case a.region != b.region:
				return cmp.Compare(b.region, a.region) // the empty region last
			}
			return cmp.Compare(a.from, b.from)
		})
		for i := 1; i < len(cells); i++ {
			a, b := cells[i-1], cells[i]
			if a.scope != b.scope || a.tier != b.tier || a.region != b.region || a.above != b.above {
				continue
			}
			where := fmt.Sprintf("%s, %s, tier %s, region %q", dimensions[dim], scopes[a.scope], tiers[a.tier], a.region)
			switch {
			case b.from < a.to:
				return fmt.Errorf("two rates for %s at one time (rows %d and %d)", where, a.row, b.row)
			case b.from > a.to:
				return fmt.Errorf("no rate for %s between rows %d and %d", where, a.row, b.row)
			}
		}
	}
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
		return 0, fmt.Errorf("%q is no day YYYY-MM-DD", s)
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

// query says which cell is wanted.
type query struct {
	scope, tier uint8
	region      string
	input       int64
	day         int32
}

// find returns the cell that prices a dimension, or nil.
func (e *entry) find(dim int, q *query) *rate {
	for i := range e.rates[dim] {
		c := &e.rates[dim][i]
		if c.scope == q.scope && c.tier == q.tier && (c.region == "" || c.region == q.region) &&
			(c.above == 0 || q.input > c.above) && (c.upTo == 0 || q.input <= c.upTo) && c.from <= q.day && q.day < c.to {
			return c
		}
	}
	return nil
}

// offers reports whether there is any rate for the scope and tier.
func (e *entry) offers(q *query) bool {
	for dim := range e.rates {
		if e.find(dim, q) != nil {
			return true
		}
	}
	return false
}

// Data returns the content of the table. It is shared: do not change it.
func (t *Table) Data() Data { return t.data }

// Models yields the base models of the table, in its order.
func (t *Table) Models() iter.Seq[Model] { return slices.Values(t.data.Models) }

// Model returns what the table knows of the model behind an id. It finds bare
// ids, profile ids and ARNs that tell their model.
func (t *Table) Model(id bedrockkit.ModelID) (Model, bool) {
	e := t.index[id.Base()]
	if e == nil {
		return Model{}, false
	}
	return e.model, true
}
