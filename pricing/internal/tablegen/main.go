// Command tablegen makes prices.json, the table that package pricing embeds,
// from the collected prices and the adjustments in the directory source.
package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"maps"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/pricing"
)

// collected is a record of bedrock_prices.json: one model in one scope.
type collected struct {
	Canonical  bedrockkit.ModelID
	Scope      string
	Currency   string
	Unit       string
	Rates      map[pricing.Dimension]string
	Confidence map[pricing.Dimension]struct {
		ChosenFrom string `json:"chosen_from"`
	}
	Limits struct {
		MaxInput  map[string]int64 `json:"max_input"`
		MaxOutput map[string]int64 `json:"max_output"`
	}
	KnownIDs []bedrockkit.ModelID `json:"known_ids"`
}

// adjustments is adjustments.json.
type adjustments struct {
	Sources map[string]pricing.Source
	Drop    []struct {
		Model      bedrockkit.ModelID
		Dimensions []pricing.Dimension
		Why        string
	}
	Rename []struct {
		Model    bedrockkit.ModelID
		From, To pricing.Dimension
		Rate     pricing.Rate
		Source   string
		Why      string
	}
	Optimized map[bedrockkit.ModelID]bedrockkit.ModelID
	Tiers     []struct {
		Tier    bedrockkit.ServiceTier
		Times   string
		Sources []string
		Models  []bedrockkit.ModelID
	}
	Limits []struct {
		Model     bedrockkit.ModelID
		Scope     pricing.Scope
		UpToInput int64 `json:"up_to_input"`
		Why       string
	}
	Rows []pricing.Row
}

func main() {
	log.SetFlags(0)
	dir := flag.String("source", "source", "directory of the collected prices")
	out := flag.String("o", "prices.json", "file to write")
	flag.Parse()
	data, err := generate(*dir)
	if err != nil {
		log.Fatal(err)
	}
	if err := os.WriteFile(*out, data, 0o644); err != nil {
		log.Fatal(err)
	}
}

func generate(dir string) ([]byte, error) {
	var records []collected
	var adj adjustments
	if err := readJSON(filepath.Join(dir, "bedrock_prices.json"), &records); err != nil {
		return nil, err
	}
	if err := readJSON(filepath.Join(dir, "adjustments.json"), &adj); err != nil {
		return nil, err
	}
	table := pricing.Data{Schema: "./prices.schema.json", Sources: adj.Sources}
	models := map[bedrockkit.ModelID]*pricing.Model{}
	for i := range records {
		r := &records[i]
		if r.Currency != "USD" || r.Unit != "per 1,000,000 tokens, decimal string" {
			return nil, fmt.Errorf("%s: unit %q %q is not known", r.Canonical, r.Currency, r.Unit)
		}
		tier := bedrockkit.ServiceTier("")
		if base, ok := adj.Optimized[r.Canonical]; ok {
			r.Canonical, tier = base, pricing.TierOptimized
		}
		rows, err := rowsOf(r, tier, &adj)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", r.Canonical, err)
		}
		table.Rows = append(table.Rows, rows...)
		// Ids of the providers' own APIs stand among the known ids; those that
		// are no Bedrock ids are left out, and so are models without any other.
		if r.Canonical.Validate() != nil || strings.HasPrefix(string(r.Canonical), "rerank-") {
			continue
		}
		m := models[r.Canonical]
		if m == nil {
			m = &pricing.Model{ID: r.Canonical}
			models[r.Canonical] = m
		}
		for _, n := range r.Limits.MaxInput {
			m.MaxInput = max(m.MaxInput, n)
		}
		for _, n := range r.Limits.MaxOutput {
			m.MaxOutput = max(m.MaxOutput, n)
		}
		for _, id := range r.KnownIDs {
			base := id.Base()
			if base != "" && base != m.ID && !slices.Contains(m.Aliases, base) {
				m.Aliases = append(m.Aliases, base)
			}
		}
	}
	for _, m := range models {
		slices.Sort(m.Aliases)
		table.Models = append(table.Models, *m)
	}
	slices.SortFunc(table.Models, func(a, b pricing.Model) int { return cmp.Compare(a.ID, b.ID) })
	tiered, err := tierRows(table.Rows, &adj)
	if err != nil {
		return nil, err
	}
	table.Rows = append(append(table.Rows, tiered...), adj.Rows...)
	for i := range table.Rows {
		for _, l := range adj.Limits {
			if row := &table.Rows[i]; row.Model == l.Model && slices.Contains(row.Scopes, l.Scope) {
				row.UpToInput = l.UpToInput
			}
		}
	}
	slices.SortStableFunc(table.Rows, func(a, b pricing.Row) int {
		return cmp.Or(cmp.Compare(a.Model, b.Model), slices.Compare(a.Scopes, b.Scopes), cmp.Compare(a.Tier, b.Tier))
	})
	if _, err := pricing.NewTable(table); err != nil {
		return nil, err
	}
	return encode(table)
}

// rowsOf makes the rows of a record, one for each source that rates were
// chosen from.
func rowsOf(r *collected, tier bedrockkit.ServiceTier, adj *adjustments) ([]pricing.Row, error) {
	scopes := map[string][]pricing.Scope{
		"regional": {pricing.ScopeRegion, pricing.ScopeGeographic}, // a geographic profile costs what its regions do
		"global":   {pricing.ScopeGlobal},
		"gov":      {pricing.ScopeGov},
	}[r.Scope]
	if scopes == nil {
		return nil, fmt.Errorf("scope %q is not known", r.Scope)
	}
	bySource := map[string]*pricing.Row{}
	set := func(d pricing.Dimension, rate pricing.Rate, sources ...string) {
		key := strings.Join(sources, "+")
		row := bySource[key]
		if row == nil {
			row = &pricing.Row{Model: r.Canonical, Scopes: scopes, Tier: tier, Rates: map[pricing.Dimension]pricing.Rate{}, Sources: sources}
			bySource[key] = row
		}
		row.Rates[d] = rate
	}
cells:
	for d, s := range r.Rates {
		for _, drop := range adj.Drop {
			if drop.Model == r.Canonical && slices.Contains(drop.Dimensions, d) {
				continue cells
			}
		}
		for _, ren := range adj.Rename {
			if ren.Model == r.Canonical && ren.From == d {
				set(ren.To, ren.Rate, ren.Source)
				continue cells
			}
		}
		rate, err := pricing.ParseRate(s)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", d, err)
		}
		if rate == 0 {
			return nil, fmt.Errorf("%s is zero: drop it, or state that it is free", d)
		}
		from := r.Confidence[d].ChosenFrom
		from = strings.TrimPrefix(strings.TrimPrefix(from, "single:"), "majority of ")
		set(d, rate, strings.Split(from, "/")...)
	}
	var rows []pricing.Row
	for _, key := range slices.Sorted(maps.Keys(bySource)) {
		rows = append(rows, *bySource[key])
	}
	return rows, nil
}

// tierRows makes explicit rows for the tiers that are offered. Only input and
// output have known tier prices.
func tierRows(rows []pricing.Row, adj *adjustments) ([]pricing.Row, error) {
	var out []pricing.Row
	for _, offer := range adj.Tiers {
		times, ok := new(big.Rat).SetString(offer.Times)
		if !ok {
			return nil, fmt.Errorf("tier %s: %q is no number", offer.Tier, offer.Times)
		}
		for _, model := range offer.Models {
			found := false
			for _, row := range rows {
				if row.Model != model || row.Tier != "" || slices.Contains(row.Scopes, pricing.ScopeGov) {
					continue
				}
				rates := map[pricing.Dimension]pricing.Rate{}
				for _, d := range []pricing.Dimension{pricing.Input, pricing.Output} {
					rate, ok := row.Rates[d]
					if !ok {
						continue
					}
					exact := new(big.Rat).Mul(times, new(big.Rat).SetInt64(int64(rate)))
					if !exact.IsInt() {
						return nil, fmt.Errorf("tier %s of %s: %s times %s is no whole rate", offer.Tier, model, offer.Times, rate)
					}
					rates[d] = pricing.Rate(exact.Num().Int64())
				}
				if len(rates) == 0 {
					continue
				}
				found = true
				out = append(out, pricing.Row{
					Model: model, Scopes: row.Scopes, Tier: offer.Tier, Rates: rates,
					Sources: append(slices.Clone(row.Sources), offer.Sources...),
				})
			}
			if !found {
				return nil, fmt.Errorf("tier %s: model %s has no rates", offer.Tier, model)
			}
		}
	}
	return out, nil
}

func readJSON(name string, v any) error {
	data, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, v); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// encode writes the table with a line for each source, model and row.
func encode(table pricing.Data) ([]byte, error) {
	var b bytes.Buffer
	fmt.Fprintf(&b, "{\n\"$schema\": %q,\n\"sources\": {\n", table.Schema)
	for i, name := range slices.Sorted(maps.Keys(table.Sources)) {
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
