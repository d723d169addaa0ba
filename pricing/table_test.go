package pricing_test

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/jsonschema-go/jsonschema"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/pricing"
)

func TestEmbeddedTableFitsItsSchema(t *testing.T) {
	var schema jsonschema.Schema
	data, err := os.ReadFile("prices.schema.json")
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(data, &schema))
	resolved, err := schema.Resolve(nil)
	require.NoError(t, err)

	var table map[string]any
	data, err = os.ReadFile("prices.json")
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(data, &table))
	require.NoError(t, resolved.Validate(table))

	row := table["rows"].([]any)[0].(map[string]any)
	row["rates"].(map[string]any)["smell"] = "1"
	assert.Error(t, resolved.Validate(table), "the schema refuses what the table does")
	for _, d := range pricing.Dimensions() {
		assert.Contains(t, strings.FieldsFunc(string(must(os.ReadFile("prices.schema.json"))), func(r rune) bool { return strings.ContainsRune("^()|$\"", r) }), string(d))
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func TestEmbeddedTable(t *testing.T) {
	data := pricing.Default().Data()
	assert.Greater(t, len(data.Rows), 180)
	var models int
	for m := range pricing.Default().Models() {
		models++
		assert.NotZero(t, m.ID)
	}
	assert.Equal(t, len(data.Models), models)
	used := map[string]bool{}
	for _, r := range data.Rows {
		require.NotEmpty(t, r.Sources, "%+v", r)
		for _, s := range r.Sources {
			used[s] = true
			source := data.Sources[s]
			require.NotEmpty(t, source.Title, s)
			_, err := time.Parse(time.DateOnly, source.Date)
			require.NoError(t, err, s)
		}
		for d, rate := range r.Rates {
			free := d == pricing.GuardrailWord || d == pricing.GuardrailRegex // stated by AWS's pricing page
			require.Equal(t, free, rate == 0, "%s of %s: what is free must be stated", d, r.Model)
		}
	}
	assert.Len(t, data.Sources, len(used), "every source is used")
}

// TestRatesFollowTheRules looks for rates that were typed into the wrong cell.
func TestRatesFollowTheRules(t *testing.T) {
	for _, r := range pricing.Default().Data().Rows {
		if !strings.HasPrefix(string(r.Model), "anthropic.") || r.Tier != "" {
			continue
		}
		in, ok := r.Rates[pricing.Input]
		if !ok {
			continue
		}
		for d, quarters := range map[pricing.Dimension]pricing.Rate{pricing.CacheWrite5m: 5, pricing.CacheWrite1h: 8} {
			if rate, ok := r.Rates[d]; ok {
				assert.Equal(t, in*quarters/4, rate, "%s %v %s", r.Model, r.Scopes, d)
			}
		}
		if rate, ok := r.Rates[pricing.CacheRead]; ok {
			assert.LessOrEqual(t, rate*10, in, "%s %v", r.Model, r.Scopes)
		}
	}
}

func TestNewTableRefuses(t *testing.T) {
	source := map[string]pricing.Source{"s": {Title: "a source", Date: "2026-01-01"}}
	models := []pricing.Model{{ID: "acme.one", Aliases: []bedrockkit.ModelID{"acme.one-v1:0"}}, {ID: "acme.two"}}
	row := func(change func(*pricing.Row)) pricing.Row {
		r := pricing.Row{Model: "acme.one", Scopes: []bedrockkit.Scope{bedrockkit.ScopeRegion}, Rates: map[pricing.Dimension]pricing.Rate{pricing.Input: 1}, Sources: []string{"s"}}
		change(&r)
		return r
	}
	same := func(*pricing.Row) {}
	_, err := pricing.NewTable(pricing.Data{Sources: source, Models: models, Rows: []pricing.Row{row(same)}})
	require.NoError(t, err)

	for name, rows := range map[string][]pricing.Row{
		"a duplicate":          {row(same), row(same)},
		"an overlap":           {row(func(r *pricing.Row) { r.To = "2026-03-02" }), row(func(r *pricing.Row) { r.From = "2026-03-01" })},
		"a region twice":       {row(func(r *pricing.Row) { r.Regions = []string{"eu-west-1", "eu-west-2"} }), row(func(r *pricing.Row) { r.Regions = []string{"eu-west-2", "eu-west-3"} })},
		"a region of no name":  {row(func(r *pricing.Row) { r.Regions = []string{""} })},
		"an end before":        {row(func(r *pricing.Row) { r.From, r.To = "2026-03-02", "2026-03-02" })},
		"no day":               {row(func(r *pricing.Row) { r.From = "March" })},
		"no source":            {row(func(r *pricing.Row) { r.Sources = nil })},
		"an undescribed one":   {row(func(r *pricing.Row) { r.Sources = []string{"rumour"} })},
		"an unknown model":     {row(func(r *pricing.Row) { r.Model = "acme.three" })},
		"an alias for a model": {row(func(r *pricing.Row) { r.Model = "acme.one-v1:0" })},
		"an unknown scope":     {row(func(r *pricing.Row) { r.Scopes = []bedrockkit.Scope{"galactic"} })},
		"no scope":             {row(func(r *pricing.Row) { r.Scopes = nil })},
		"an unknown tier":      {row(func(r *pricing.Row) { r.Tier = "express" })},
		"an unknown dimension": {row(func(r *pricing.Row) { r.Rates = map[pricing.Dimension]pricing.Rate{"smell": 1} })},
		"a negative rate":      {row(func(r *pricing.Row) { r.Rates = map[pricing.Dimension]pricing.Rate{pricing.Input: -1} })},
		"no rate":              {row(func(r *pricing.Row) { r.Rates = nil })},
		"an empty bracket":     {row(func(r *pricing.Row) { r.AboveInput, r.UpToInput = 5, 5 })},
		"a negative bracket":   {row(func(r *pricing.Row) { r.AboveInput = -1 })},
	} {
		_, err := pricing.NewTable(pricing.Data{Sources: source, Models: models, Rows: rows})
		assert.ErrorIs(t, err, pricing.ErrInvalidTable, name)
	}
	for name, m := range map[string][]pricing.Model{
		"one id twice":   {{ID: "acme.one"}, {ID: "acme.two", Aliases: []bedrockkit.ModelID{"acme.one"}}},
		"a profile":      {{ID: "us.acme.one"}},
		"no id":          {{ID: "one"}},
		"nothing at all": {{}},
	} {
		_, err := pricing.NewTable(pricing.Data{Sources: source, Models: m})
		assert.ErrorIs(t, err, pricing.ErrInvalidTable, name)
	}
	_, err = pricing.ReadTable(strings.NewReader(`{"sources": {"s": {"title": "a source", "date": "2026-01-01"}}, "models": [{"id": "acme.one"}],
		"rows": [{"model": "acme.one", "scopes": ["region"], "rates": {"input": null}, "sources": ["s"]}]}`))
	assert.ErrorIs(t, err, pricing.ErrInvalidTable, "a rate of null is not a rate of 0")
	_, err = pricing.NewTable(pricing.Data{Sources: map[string]pricing.Source{"s": {Title: "undated"}}})
	assert.ErrorIs(t, err, pricing.ErrInvalidTable)
}

func TestModel(t *testing.T) {
	for _, id := range []bedrockkit.ModelID{
		"anthropic.claude-haiku-4-5-20251001-v1:0", "jp.anthropic.claude-haiku-4-5-20251001-v1:0", "anthropic.claude-haiku-4-5",
		"arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-haiku-4-5-20251001-v1:0",
	} {
		m, ok := pricing.Default().Model(id)
		assert.True(t, ok, id)
		assert.EqualValues(t, "anthropic.claude-haiku-4-5", m.ID)
	}
	for _, id := range []bedrockkit.ModelID{"", "claude", "acme.one", "anthropic.claude-haiku-4"} {
		_, ok := pricing.Default().Model(id)
		assert.False(t, ok, id)
	}
}

func FuzzReadTable(f *testing.F) {
	f.Add(`{"sources":{"t":{"title":"a","date":"2026-01-01"}},"models":[{"id":"acme.one"}],"rows":[{"model":"acme.one","scopes":["region"],"from":"2026-03-01","rates":{"input":"1"},"sources":["t"]}]}`)
	f.Add(`{"rows":[{}]}`)
	f.Fuzz(func(t *testing.T, s string) {
		table, err := pricing.ReadTable(strings.NewReader(s))
		if err != nil {
			require.ErrorIs(t, err, pricing.ErrInvalidTable)
			return
		}
		for m := range table.Models() {
			if _, err := table.Cost(m.ID, bedrockkit.Usage{InputTokens: 1, OutputTokens: 1}); err != nil {
				require.ErrorIs(t, err, pricing.ErrNoRate)
			}
		}
	})
}
