package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/pricing"
	"github.com/mangaassist/bedrockkit/pricing/internal/cells"
)

// period is a price of a cell, with the layer that it is from.
type period struct {
	cells.Period
	layer string
}

// offer is what is sold in regions.
type offer struct {
	model bedrockkit.ModelID
	scope bedrockkit.Scope
}

// merger puts layers together, the ones that are believed first.
type merger struct {
	*generator
	cells   map[cells.Cell][]period
	named   map[cells.Cell][]string // the regions of those, by the cell of all
	offered map[offer][]string      // the regions of the lists
	dissent []dissent
}

// dissent is a price that was not taken.
type dissent struct {
	cells.Cell
	chosen, other period
	why           string // set where the reason is that of one cell
}

func (m *merger) offers(facts []fact) {
	for _, f := range facts {
		for _, s := range f.scopes {
			for _, r := range f.regions {
				if o := (offer{f.model, s}); !slices.Contains(m.offered[o], r) {
					m.offered[o] = append(m.offered[o], r)
				}
			}
		}
	}
}

// take enters the facts of a layer where no layer before it has a price.
func (m *merger) take(l layer) error {
	fresh := map[cells.Cell][]period{}
	for _, f := range l.facts {
		if f.upTo == 0 && f.above == 0 && l.name != "rows" {
			f.upTo = m.LongContext[f.model]
		}
		p := period{cells.Period{From: f.from, To: f.to, UpTo: f.upTo, Rate: f.rate, Sources: strings.Join(f.sources, ","), Confidence: f.confidence, Note: f.note}, l.name}
		write := strings.HasPrefix(string(f.dimension), "cache_write")
		for _, scope := range f.scopes {
			for _, region := range m.regionsOf(&f, scope, l.name) {
				c := cells.Cell{Model: f.model, Scope: scope, Tier: f.tier, Region: region, Above: f.above, Dimension: f.dimension}
				if why := m.dropped(l.name, &f); why != "" {
					m.dissent = append(m.dissent, dissent{Cell: c, other: p, why: why})
					continue
				}
				if write && f.tier == "" && slices.Contains(m.WritesAsInput, f.model) {
					m.dissent = append(m.dissent, dissent{Cell: c, other: p}) // compared when all inputs are known
					continue
				}
				if f.rate == 0 && l.name != "rows" {
					return fmt.Errorf("%v is zero: drop it, or state that it is free", c)
				}
				if known, ok := m.known(c); ok {
					m.compare(c, known, p)
					if region != "" || m.cells[c] != nil {
						continue
					}
				}
				if slices.ContainsFunc(fresh[c], func(q period) bool { return q.From == p.From && q.To == p.To && q.UpTo == p.UpTo }) {
					if q := fresh[c][0]; q.Rate != p.Rate {
						return fmt.Errorf("%v is %s and %s", c, q.Rate, p.Rate)
					}
					continue
				}
				fresh[c] = append(fresh[c], p)
			}
		}
	}
	for c, periods := range fresh {
		m.cells[c] = periods
		if c.Region != "" {
			all := c.Everywhere()
			m.named[all] = append(m.named[all], c.Region)
			slices.Sort(m.named[all])
		}
	}
	return nil
}

// regionsOf are the regions that a fact holds in; one that is empty stands for
// all.
func (m *merger) regionsOf(f *fact, scope bedrockkit.Scope, layer string) []string {
	sold := m.offered[offer{f.model, scope}]
	switch {
	case f.regions == nil && len(sold) > 0:
		return sold // another list's price, in the regions that the price list names
	case f.regions == nil:
		return []string{""}
	case layer == "collected" && len(sold) > 0:
		var both []string
		for _, r := range f.regions {
			if slices.Contains(sold, r) {
				both = append(both, r)
			}
		}
		return both
	}
	return f.regions
}

func (m *merger) dropped(layer string, f *fact) string {
	for _, d := range m.Drop {
		if d.Layer == layer && d.Model == f.model && slices.Contains(d.Dimensions, f.dimension) {
			return d.Why
		}
	}
	return ""
}

// known finds the price that is believed in place of another layer's: that of
// the cell, or of all regions, or of one region where the other names none.
func (m *merger) known(c cells.Cell) (period, bool) {
	last := func(c cells.Cell) (period, bool) {
		all := m.cells[c]
		for _, p := range all {
			if p.To == "" {
				return p, true
			}
		}
		return period{}, len(all) > 0
	}
	if p, ok := last(c); ok {
		return p, true
	}
	if c.Region != "" {
		c.Region = ""
		return last(c)
	}
	for _, region := range m.named[c] {
		c.Region = region
		return last(c)
	}
	return period{}, false
}

// compare notes that a layer disagrees with what is believed.
func (m *merger) compare(c cells.Cell, chosen, other period) {
	if chosen.Rate != other.Rate {
		m.dissent = append(m.dissent, dissent{Cell: c, chosen: chosen, other: other})
	}
}

// novaWrites gives the models whose cache writes cost what input costs that
// price.
func (m *merger) novaWrites() {
	for _, c := range slices.SortedFunc(maps.Keys(m.cells), cells.Compare) {
		if c.Tier != "" || c.Dimension != pricing.Input || !slices.Contains(m.WritesAsInput, c.Model) {
			continue
		}
		w := c
		w.Dimension = pricing.CacheWrite5m
		for _, p := range m.cells[c] {
			p.layer, p.Sources, p.Confidence, p.Note = "nova-caching", "nova-caching", "", ""
			m.cells[w] = append(m.cells[w], p)
		}
	}
}

// settle finds what was chosen in place of what was not even compared.
func (m *merger) settle() {
	kept := m.dissent[:0]
	for _, d := range m.dissent {
		if d.chosen == (period{}) {
			d.chosen, _ = m.known(d.Cell)
		}
		if d.chosen.layer == "" || d.chosen.Rate != d.other.Rate {
			kept = append(kept, d)
		}
	}
	m.dissent = kept
}

// rows are those of the table.
func (m *merger) rows() []pricing.Row {
	all := map[cells.Cell][]cells.Period{}
	for c, periods := range m.cells {
		for _, p := range periods {
			all[c] = append(all[c], p.Period)
		}
	}
	return cells.Rows(all)
}

// disagreements lists what sources do not agree on, with the choice and the
// reason. One without a reason is an error.
func (m *merger) disagreements() ([]byte, error) {
	type line struct {
		cells.Cell
		chosen, other string
		why           string
	}
	regions, scopes := map[line][]string{}, map[line][]string{}
	for _, d := range m.dissent {
		l := line{d.Cell, "no row", d.other.Rate.String() + " " + d.other.layer, d.why}
		if d.chosen != (period{}) {
			l.chosen = d.chosen.Rate.String() + " " + d.chosen.layer
		}
		if l.why == "" {
			if l.why = m.reason(&d); l.why == "" {
				return nil, fmt.Errorf("%v: %s, but %s: no reason", d.Cell, l.chosen, l.other)
			}
		}
		l.Region, l.Scope = "", ""
		regions[l] = append(regions[l], d.Region)
		scopes[l] = append(scopes[l], string(d.Scope))
	}
	lines := slices.SortedFunc(maps.Keys(regions), func(a, b line) int {
		return cmp.Or(cells.Compare(a.Cell, b.Cell), cmp.Compare(a.chosen, b.chosen), cmp.Compare(a.other, b.other))
	})
	var b bytes.Buffer
	fmt.Fprintf(&b, "# What the sources do not agree on: %d lines. Made by go generate ./pricing; the reasons are those of adjustments.json.\n", len(lines))
	for _, note := range m.Noted {
		fmt.Fprintf(&b, "# %s\n", note)
	}
	b.WriteString("# model|scope|tier|above|regions|dimension|chosen|not taken|reason\n")
	for _, l := range lines {
		distinct := func(all []string) string { return strings.Join(slices.Compact(slices.Sorted(slices.Values(all))), " ") }
		above := ""
		if l.Above > 0 {
			above = fmt.Sprint(l.Above)
		}
		fmt.Fprintf(&b, "%s|%s|%s|%s|%s|%s|%s|%s|%s\n", l.Model, distinct(scopes[l]), l.Tier, above, distinct(regions[l]), l.Dimension, l.chosen, l.other, l.why)
	}
	return b.Bytes(), nil
}

func (m *merger) reason(d *dissent) string {
	for _, r := range m.Reasons {
		if strings.HasPrefix(string(d.Model), r.Model) && (r.Chosen == "" || r.Chosen == d.chosen.layer) && (r.Other == "" || r.Other == d.other.layer) &&
			(r.Dimensions == nil || slices.Contains(r.Dimensions, d.Dimension)) {
			return r.Why
		}
	}
	return ""
}

// encode writes the table with a line for each source, model and row.
func encode(table pricing.Data) ([]byte, error) {
	var b bytes.Buffer
	used := map[string]bool{}
	for _, r := range table.Rows {
		for _, s := range r.Sources {
			used[s] = true
		}
	}
	fmt.Fprintf(&b, "{\n\"$schema\": %q,\n\"sources\": {\n", table.Schema)
	for i, name := range slices.Sorted(maps.Keys(used)) {
		if i > 0 {
			b.WriteString(",\n")
		}
		fmt.Fprintf(&b, "%q: ", name)
		if err := line(&b, table.Sources[name]); err != nil {
			return nil, err
		}
	}
	b.WriteString("\n},\n\"models\": [\n")
	for i, m := range table.Models {
		if i > 0 {
			b.WriteString(",\n")
		}
		if err := line(&b, m); err != nil {
			return nil, err
		}
	}
	b.WriteString("\n],\n\"rows\": [\n")
	for i, r := range table.Rows {
		if i > 0 {
			b.WriteString(",\n")
		}
		if err := line(&b, r); err != nil {
			return nil, err
		}
	}
	b.WriteString("\n]\n}\n")
	return b.Bytes(), nil
}

func line(b *bytes.Buffer, v any) error {
	data, err := json.Marshal(v)
	b.Write(data)
	return err
}
