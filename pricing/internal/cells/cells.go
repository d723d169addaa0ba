// Package cells takes the rows of a price table apart, into one price for each
// thing that has one, and puts them together again.
package cells

import (
	"cmp"
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/pricing"
)

// Cell is what has one price on a day.
type Cell struct {
	Model     bedrockkit.ModelID
	Scope     bedrockkit.Scope
	Tier      bedrockkit.ServiceTier // empty: standard
	Region    string                 // empty: all
	Above     int64
	Dimension pricing.Dimension
}

// Compare orders cells by what they are of, the dimension last.
func Compare(a, b Cell) int {
	return cmp.Or(cmp.Compare(a.Model, b.Model), cmp.Compare(a.Scope, b.Scope), cmp.Compare(a.Tier, b.Tier), cmp.Compare(a.Above, b.Above),
		cmp.Compare(a.Region, b.Region), cmp.Compare(a.Dimension, b.Dimension))
}

// Everywhere is the cell of all regions.
func (c Cell) Everywhere() Cell {
	c.Region = ""
	return c
}

// Period is the price of a cell from a day to another, with where it is from.
type Period struct {
	From, To   string
	UpTo       int64
	Rate       pricing.Rate
	Sources    string // separated by commas
	Confidence string
	Note       string
}

// Active returns the period that holds on a day.
func Active(periods []Period, day string) (Period, bool) {
	for _, p := range periods {
		if p.From <= day && (p.To == "" || day < p.To) {
			return p, true
		}
	}
	return Period{}, false
}

// Explode takes rows apart.
func Explode(rows []pricing.Row) map[Cell][]Period {
	all := map[Cell][]Period{}
	for _, r := range rows {
		tier := r.Tier
		if tier == bedrockkit.TierStandard {
			tier = ""
		}
		regions := r.Regions
		if len(regions) == 0 {
			regions = []string{""}
		}
		for d, rate := range r.Rates {
			p := Period{r.From, r.To, r.UpToInput, rate, strings.Join(r.Sources, ","), r.Confidence, r.Note}
			for _, scope := range r.Scopes {
				for _, region := range regions {
					c := Cell{r.Model, scope, tier, region, r.AboveInput, d}
					all[c] = append(all[c], p)
				}
			}
		}
	}
	return all
}

// Rows puts cells together: those that differ in the dimension alone, then
// those that differ in the region, then those that differ in the scope. The
// order of the rows is always the same.
func Rows(all map[Cell][]Period) []pricing.Row {
	type key struct { // of a row of one region in one scope
		Cell
		Period
	}
	rates := map[key]map[pricing.Dimension]pricing.Rate{}
	for c, periods := range all {
		for _, p := range periods {
			k := key{c, p}
			k.Dimension, k.Rate = "", 0
			if rates[k] == nil {
				rates[k] = map[pricing.Dimension]pricing.Rate{}
			}
			rates[k][c.Dimension] = p.Rate
		}
	}
	type row struct {
		key
		rates, regions string
	}
	regions := map[row][]string{}
	for k, r := range rates {
		text, err := json.Marshal(r)
		if err != nil {
			panic(err) // a rate has always a text
		}
		one := row{key: k, rates: string(text)}
		one.Region = ""
		regions[one] = append(regions[one], k.Region)
	}
	scopes := map[row][]bedrockkit.Scope{}
	for r, names := range regions {
		slices.Sort(names)
		scope := r.Scope
		r.Scope, r.regions = "", strings.Join(names, " ")
		scopes[r] = append(scopes[r], scope)
	}
	ordered := slices.SortedFunc(maps.Keys(scopes), func(a, b row) int {
		return cmp.Or(cmp.Compare(a.Model, b.Model), compareScopes(scopes[a], scopes[b]), cmp.Compare(a.Tier, b.Tier), cmp.Compare(a.Above, b.Above),
			cmp.Compare(a.regions, b.regions), cmp.Compare(a.From, b.From), cmp.Compare(a.To, b.To), cmp.Compare(a.UpTo, b.UpTo),
			cmp.Compare(a.Sources, b.Sources), cmp.Compare(a.Confidence, b.Confidence), cmp.Compare(a.Note, b.Note), cmp.Compare(a.rates, b.rates))
	})
	var rows []pricing.Row
	for _, r := range ordered {
		slices.SortFunc(scopes[r], order)
		rate := map[pricing.Dimension]pricing.Rate{}
		if err := json.Unmarshal([]byte(r.rates), &rate); err != nil {
			panic(err) // it is what Marshal wrote
		}
		out := pricing.Row{
			Model: r.Model, Scopes: scopes[r], Tier: r.Tier, AboveInput: r.Above, UpToInput: r.UpTo,
			From: r.From, To: r.To, Rates: rate, Sources: strings.Split(r.Sources, ","), Confidence: r.Confidence, Note: r.Note,
		}
		if r.regions != "" {
			out.Regions = strings.Fields(r.regions)
		}
		rows = append(rows, out)
	}
	return rows
}

// order is that of the scopes in a row.
func order(a, b bedrockkit.Scope) int {
	all := []bedrockkit.Scope{bedrockkit.ScopeRegion, bedrockkit.ScopeGeographic, bedrockkit.ScopeGlobal, pricing.ScopeGov}
	return slices.Index(all, a) - slices.Index(all, b)
}

func compareScopes(a, b []bedrockkit.Scope) int {
	return order(slices.MinFunc(a, order), slices.MinFunc(b, order))
}
