package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/pricing"
)

// collected is a record of collected.json: one model in one scope.
type collected struct {
	Canonical  bedrockkit.ModelID
	Scope      string
	Currency   string
	Unit       string
	Rates      map[pricing.Dimension]string
	Confidence map[pricing.Dimension]struct {
		ChosenFrom string `json:"chosen_from"`
	}
	KnownIDs []bedrockkit.ModelID `json:"known_ids"`
}

// readCollected reads collected.json, whose ids are those of the table.
func (g *generator) readCollected(name string) ([]fact, error) {
	var records []collected
	if err := readJSON(name, &records); err != nil {
		return nil, err
	}
	var list []fact
	for i := range records {
		r := &records[i]
		if r.Currency != "USD" || r.Unit != "per 1,000,000 tokens, decimal string" {
			return nil, fmt.Errorf("%s: unit %q %q is not known", r.Canonical, r.Currency, r.Unit)
		}
		tier := bedrockkit.ServiceTier("")
		if base, ok := g.Optimized[r.Canonical]; ok {
			r.Canonical, tier = base, bedrockkit.TierOptimized
		}
		// Ids of the providers' own APIs stand among the known ids; those that
		// are not Bedrock ids are left out, and so are models without any other.
		if r.Canonical.Validate() != nil || strings.HasPrefix(string(r.Canonical), "rerank-") {
			continue
		}
		m := g.model(r.Canonical)
		for _, id := range r.KnownIDs {
			if base := id.Base(); base != "" {
				g.name(m.ID, base)
			}
		}
		scopes := map[string][]bedrockkit.Scope{"regional": inRegion, "global": global, "gov": gov}[r.Scope]
		if scopes == nil {
			return nil, fmt.Errorf("%s: scope %q is not known", r.Canonical, r.Scope)
		}
		for _, d := range slices.Sorted(maps.Keys(r.Rates)) {
			f := fact{model: r.Canonical, scopes: scopes, tier: tier, dimension: d, from: g.Began[r.Canonical]}
			if !g.everywhere(r.Canonical) && r.Scope != "gov" {
				f.regions = g.Usual
			}
			from := strings.TrimPrefix(strings.TrimPrefix(r.Confidence[d].ChosenFrom, "single:"), "majority of ")
			f.sources = strings.Split(from, "/")
			if !strings.HasPrefix(from, "aws-") {
				f.confidence = "peer"
			}
			var err error
			if f.rate, err = pricing.ParseRate(r.Rates[d]); err != nil {
				return nil, fmt.Errorf("%s: %s: %w", r.Canonical, d, err)
			}
			for _, ren := range g.Rename {
				if ren.Model == r.Canonical && ren.From == d {
					f.dimension, f.rate, f.sources = ren.To, ren.Rate, []string{ren.Source}
				}
			}
			list = append(list, f)
		}
	}
	return list, nil
}

// readRows reads a file with rows as those of the table.
func (g *generator) readRows(name string) ([]fact, error) {
	var file struct {
		Sources map[string]pricing.Source
		Rows    []pricing.Row
	}
	if err := readJSON(name, &file); err != nil {
		return nil, err
	}
	maps.Copy(g.Sources, file.Sources)
	var list []fact
	for _, r := range file.Rows {
		for _, d := range slices.Sorted(maps.Keys(r.Rates)) {
			list = append(list, fact{
				model: g.canonical(r.Model), scopes: r.Scopes, tier: r.Tier, regions: r.Regions, above: r.AboveInput, upTo: r.UpToInput,
				from: r.From, to: r.To, dimension: d, rate: r.Rates[d], sources: r.Sources, confidence: r.Confidence, note: r.Note,
			})
		}
	}
	return list, nil
}
