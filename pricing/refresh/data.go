package refresh

import (
	"maps"
	"slices"
	"time"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/pricing"
	"github.com/mangaassist/bedrockkit/pricing/internal/cells"
)

// Data returns the base table with the prices of the list, as of a day in UTC:
// a price that changed holds from that day on, and the older one until then. So
// what was used before costs what it did. A price that the base table has for a
// later day stays, and so does what the list does not have. A price of something
// that the base table had none for has no first day, as nobody knows it. The
// rows that change name the Price List as their source.
func (l *List) Data(asOf time.Time) (pricing.Data, error) {
	day := asOf.UTC().Format(time.DateOnly)
	source := "aws-price-list " + day
	data := l.base
	data.Sources = maps.Clone(data.Sources)
	if data.Sources == nil {
		data.Sources = map[string]pricing.Source{}
	}
	data.Sources[source] = pricing.Source{Title: "AWS Price List", Date: day}
	u := update{all: cells.Explode(l.base.Rows), day: day, source: source, home: l.opts.Region, long: l.long}
	for _, home := range []bool{true, false} { // the region that stands for all comes first
		for _, c := range slices.SortedFunc(maps.Keys(l.cells), cells.Compare) {
			p := l.cells[c]
			if p.conflict || (c.Region == l.opts.Region) != home {
				continue
			}
			u.set(c, p.rate)
			if c.Scope == bedrockkit.ScopeRegion { // a geographic profile costs what its regions do
				c.Scope = bedrockkit.ScopeGeographic
				u.set(c, p.rate)
			}
		}
	}
	data.Rows = cells.Rows(u.all)
	_, err := pricing.NewTable(data)
	return data, err
}

// update changes prices on a day.
type update struct {
	all               map[cells.Cell][]cells.Period
	day, source, home string
	long              map[bedrockkit.ModelID]int64
}

// set makes a rate that of a cell.
func (u *update) set(c cells.Cell, rate pricing.Rate) {
	where, now, ok := c, cells.Period{}, false
	if now, ok = cells.Active(u.all[c], u.day); !ok && c.Region != "" {
		if now, ok = cells.Active(u.all[c.Everywhere()], u.day); ok && now.Rate != rate && c.Region == u.home {
			where = c.Everywhere()
		}
	}
	if ok && now.Rate == rate {
		return
	}
	fresh := cells.Period{UpTo: now.UpTo, Rate: rate, Sources: u.source}
	if !ok && c.Above == 0 {
		fresh.UpTo = u.long[c.Model]
	}
	if len(u.all[c])+len(u.all[c.Everywhere()]) > 0 {
		fresh.From = u.day
	}
	kept := make([]cells.Period, 0, len(u.all[where])+1)
	for _, p := range u.all[where] {
		switch {
		case p.From > u.day: // announced before
			if fresh.To == "" || p.From < fresh.To {
				fresh.To = p.From
			}
		case p.To == "" || u.day < p.To:
			if p.From == u.day {
				continue
			}
			p.To = u.day
		}
		kept = append(kept, p)
	}
	u.all[where] = append(kept, fresh)
}

// Change is a price that two tables do not agree on from a day on. Old or New is
// nil where one of them has none.
type Change struct {
	Model      bedrockkit.ModelID     `json:"model"`
	Scope      bedrockkit.Scope       `json:"scope"`
	Tier       bedrockkit.ServiceTier `json:"tier,omitempty"`
	Region     string                 `json:"region,omitempty"`
	AboveInput int64                  `json:"above_input,omitempty"`
	Dimension  pricing.Dimension      `json:"dimension"`
	From       string                 `json:"from,omitempty"` // the first day, YYYY-MM-DD; empty is the beginning
	Old        *pricing.Rate          `json:"old"`
	New        *pricing.Rate          `json:"new"`
}

// Diff compares the rates of two tables on all days, in the order of models,
// scopes, tiers, brackets, regions, dimensions and days.
func Diff(older, newer pricing.Data) []Change {
	a, b := cells.Explode(older.Rows), cells.Explode(newer.Rows)
	all := maps.Clone(a)
	maps.Copy(all, b)
	var changes []Change
	for _, c := range slices.SortedFunc(maps.Keys(all), cells.Compare) {
		days := map[string]bool{"": true}
		for _, p := range slices.Concat(a[c], b[c]) {
			days[p.From] = true
			days[p.To] = true
		}
		for _, day := range slices.Sorted(maps.Keys(days)) {
			x, hadX := cells.Active(a[c], day)
			y, hadY := cells.Active(b[c], day)
			if hadX == hadY && x.Rate == y.Rate {
				continue
			}
			ch := Change{Model: c.Model, Scope: c.Scope, Tier: c.Tier, Region: c.Region, AboveInput: c.Above, Dimension: c.Dimension, From: day}
			if hadX {
				ch.Old = &x.Rate
			}
			if hadY {
				ch.New = &y.Rate
			}
			changes = append(changes, ch)
		}
	}
	return changes
}
