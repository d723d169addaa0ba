package pricing

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/mangaassist/bedrockkit"
)

// ScopeGov is the scope of prices in AWS GovCloud (US), for bare ids and for profiles
// "us-gov.". It is a scope of prices only, in addition to the scopes of bedrockkit.
const ScopeGov bedrockkit.Scope = "gov"

var scopes = [...]bedrockkit.Scope{bedrockkit.ScopeRegion, bedrockkit.ScopeGeographic, bedrockkit.ScopeGlobal, ScopeGov}

// TierBatch is the tier of batch inference jobs. TierUltrafast is a tier that the
// model card of GPT-6 Astra names. They are tiers of prices only, in addition to the
// tiers of bedrockkit.
const (
	TierBatch     bedrockkit.ServiceTier = "batch"
	TierUltrafast bedrockkit.ServiceTier = "ultrafast"
)

var tiers = [...]bedrockkit.ServiceTier{
	bedrockkit.TierStandard, bedrockkit.TierPriority, bedrockkit.TierFlex, TierBatch, bedrockkit.TierReserved, bedrockkit.TierOptimized, TierUltrafast,
}

func tierIndex(t bedrockkit.ServiceTier) int {
	if t == "" || t == bedrockkit.TierStandard || t == "standard" {
		return 0
	}
	return slices.Index(tiers[:], t)
}

// Source is the source of rates.
type Source struct {
	Title string `json:"title"`
	Date  string `json:"date"` // the day it was read, YYYY-MM-DD
}

// Model is a base model of a table, with the ids that Bedrock knows it by.
type Model struct {
	ID bedrockkit.ModelID `json:"id"` // the base id, without the version if Bedrock's id has one

	// Aliases are the exact base ids of its versions, without a profile's prefix. An
	// id with a context size, such as "…-v1:0:128k", need not be listed.
	Aliases []bedrockkit.ModelID `json:"aliases,omitempty"`
}

// Row is one line of a table: the rates of a model under one set of
// conditions, from one set of sources.
type Row struct {
	Model  bedrockkit.ModelID     `json:"model"`  // a [Model].ID
	Scopes []bedrockkit.Scope     `json:"scopes"` // at least one
	Tier   bedrockkit.ServiceTier `json:"tier,omitempty"`

	// Regions limits the row to calls to these regions. There it takes precedence over
	// rows without regions. Empty means all regions of the scope: the commercial
	// regions, or the regions of GovCloud.
	Regions []string `json:"regions,omitempty"`

	// AboveInput limits the row to requests whose whole input has more tokens than
	// this. Such a request is billed only by rows of that bracket: if they have no
	// rate for something, it has no price.
	AboveInput int64 `json:"above_input,omitempty"`

	// UpToInput limits the row to requests with at most so many input tokens, if
	// larger requests have another price.
	UpToInput int64 `json:"up_to_input,omitempty"`

	// From and To are days in UTC, YYYY-MM-DD. From is the first day on which the row
	// is valid, To the first day after that on which it is not. Empty means no limit.
	// On a day without a valid row, the price is not known.
	From string `json:"from,omitempty"`
	To   string `json:"to,omitempty"`

	Rates   map[Dimension]Rate `json:"rates"`
	Sources []string           `json:"sources"` // keys of [Data].Sources that state these rates

	// Confidence is "documented" if AWS or the provider states the rates, "peer" if
	// others do, and "inferred" if they follow from what is stated. Empty means
	// documented.
	Confidence string `json:"confidence,omitempty"`
	Note       string `json:"note,omitempty"`
}

// Data is the content of a table, as in its JSON file.
type Data struct {
	Schema  string            `json:"$schema,omitempty"`
	Sources map[string]Source `json:"sources"`
	Models  []Model           `json:"models"`
	Rows    []Row             `json:"rows"`
}

// ErrInvalidTable is the error of a table that cannot be used: it has a price twice, a
// row without a source, or an unknown word.
var ErrInvalidTable = errors.New("invalid price table")

const maxTableBytes = 64 << 20

// ReadTable reads the JSON of a [Data], at most 64 MiB, as described by
// prices.schema.json in the source of this package.
func ReadTable(r io.Reader) (*Table, error) {
	text, err := io.ReadAll(io.LimitReader(r, maxTableBytes))
	if err != nil {
		return nil, fmt.Errorf("reading a price table: %w", err)
	}
	data, err := readData(text)
	if err != nil {
		return nil, err
	}
	return NewTable(data)
}

func readData(text []byte) (Data, error) {
	if data, ok := scanData(text); ok {
		return data, nil
	}
	var data Data
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&data); err != nil {
		return Data{}, fmt.Errorf("%w: %w", ErrInvalidTable, err)
	}
	return data, nil
}

// NewTable validates the data and makes a table from it. The table keeps the data; do
// not change it afterwards. The error is [ErrInvalidTable].
func NewTable(data Data) (*Table, error) {
	for name, s := range data.Sources {
		if _, err := time.Parse(time.DateOnly, s.Date); err != nil || s.Title == "" {
			return nil, fmt.Errorf("%w: source %q needs a title and a date YYYY-MM-DD", ErrInvalidTable, name)
		}
	}
	c, err := compile(&data)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalidTable, err)
	}
	for _, m := range data.Models {
		if err := c.index[m.ID].check(c); err != nil {
			return nil, fmt.Errorf("%w: model %q: %w", ErrInvalidTable, m.ID, err)
		}
	}
	t := &Table{data: data}
	t.once.Do(func() { t.compiled = c })
	return t, nil
}

// check refuses rates that contradict each other: two for one thing on one day.
func (e *entry) check(c *compiled) error {
	type cell struct {
		scope, tier, dim uint8
		region           int
		above            int64
	}
	type period struct {
		from, to int32
		row      int32
	}
	seen := map[cell][]period{}
	for i := range e.rows {
		r := &e.rows[i]
		for _, dr := range r.rates {
			for scope := range scopes {
				if r.scopes&(1<<scope) == 0 {
					continue
				}
				for region := range len(c.regions) + 1 {
					if (region == 0) != (r.regions == nil) || region > 0 && !r.regions.has(region) {
						continue
					}
					key := cell{uint8(scope), r.tier, dr.dim, region, r.above}
					for _, p := range seen[key] {
						if r.from < p.to && p.from < r.to {
							return fmt.Errorf("two rates for %s, %s, tier %s, region %q at one time (rows %d and %d)",
								dimensions[dr.dim], scopes[scope], tiers[r.tier], c.regionName(region), p.row, r.row)
						}
					}
					seen[key] = append(seen[key], period{r.from, r.to, r.row})
				}
			}
		}
	}
	return nil
}
