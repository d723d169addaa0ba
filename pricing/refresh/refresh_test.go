package refresh_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/pricing"
	"github.com/mangaassist/bedrockkit/pricing/refresh"
)

var october = time.Date(2026, 10, 1, 0, 0, 0, 0, time.UTC)

// recorded serves the recorded products of AmazonBedrock in pages of five.
type recorded struct {
	products []string
	asked    []string
	err      error
}

func (r *recorded) Products(_ context.Context, service, token string) ([]string, string, error) {
	r.asked = append(r.asked, service+" "+token)
	if service != "AmazonBedrock" {
		return nil, "", r.err
	}
	var at int
	if token != "" {
		if _, err := fmt.Sscanf(token, "from %d", &at); err != nil {
			return nil, "", err
		}
	}
	end := min(at+5, len(r.products))
	if end == len(r.products) {
		return r.products[at:end], "", nil
	}
	return r.products[at:end], fmt.Sprintf("from %d", end), nil
}

func products(t testing.TB) []string {
	t.Helper()
	data, err := os.ReadFile("testdata/get_products.jsonl")
	require.NoError(t, err)
	return strings.Split(strings.TrimSpace(string(data)), "\n")
}

func refreshed(t *testing.T, optFns ...func(*refresh.Options)) (*refresh.List, pricing.Data) {
	t.Helper()
	list := refresh.New(pricing.Default().Data(), optFns...)
	require.NoError(t, list.Fetch(t.Context(), &recorded{products: products(t)}))
	f, err := os.Open("testdata/foundation_models.json")
	require.NoError(t, err)
	defer f.Close()
	require.NoError(t, list.ReadBulk(f))
	data, err := list.Data(october)
	require.NoError(t, err)
	return list, data
}

func show(changes []refresh.Change) []string {
	var out []string
	for _, c := range changes {
		s := fmt.Sprintf("%s %s %s %s %s:", c.Model, c.Scope, c.Tier, c.Region, c.Dimension)
		for _, r := range []*pricing.Rate{c.Old, c.New} {
			if r == nil {
				s += " -"
			} else {
				s += " " + r.String()
			}
		}
		out = append(out, s)
	}
	return out
}

func TestRefresh(t *testing.T) {
	_, data := refreshed(t)
	assert.Equal(t, []string{
		"amazon.nova-2-lite global flex us-east-1 input: - 0.15",
		"anthropic.claude-haiku-4-5 geographic  eu-west-2 output: - 5.9",
		"anthropic.claude-haiku-4-5 global   input: 1 0.9",
		"anthropic.claude-haiku-4-5 gov   input: - 1.2",
		"anthropic.claude-haiku-4-5 region  eu-west-2 output: - 5.9",
	}, show(refresh.Diff(pricing.Default().Data(), data)))
	assert.Equal(t, "2026-10-01", data.Sources["aws-price-list 2026-10-01"].Date)
	assert.NotContains(t, pricing.Default().Data().Sources, "aws-price-list 2026-10-01", "the base is left alone")
}

func TestRefreshedTablePrices(t *testing.T) {
	_, data := refreshed(t)
	table, err := pricing.NewTable(data)
	require.NoError(t, err)
	usage := bedrockkit.Usage{InputTokens: 1_000_000, OutputTokens: 1_000_000}
	const id = "anthropic.claude-haiku-4-5-20251001-v1:0"
	for _, tt := range []struct {
		model  bedrockkit.ModelID
		date   time.Time
		region string
		want   string
	}{
		{"global." + id, october.Add(-time.Second), "", "6"},
		{"global." + id, october, "", "5.9"},
		{id, october, "", "6.6"},
		{id, october, "eu-west-2", "7"},
		{"eu." + id, october, "eu-west-2", "7"},
		{"amazon.nova-micro-v1:0", october, "", "0.175"},
	} {
		got, err := table.Cost(tt.model, usage, func(o *pricing.CostOptions) { o.Date, o.Region = tt.date, tt.region })
		require.NoError(t, err, tt.model)
		assert.Equal(t, tt.want, got.String(), "%s %s", tt.model, tt.date)
	}
}

func TestRefreshIsIdempotent(t *testing.T) {
	_, once := refreshed(t)
	list := refresh.New(once)
	require.NoError(t, list.Fetch(t.Context(), &recorded{products: products(t)}))
	f, err := os.Open("testdata/foundation_models.json")
	require.NoError(t, err)
	defer f.Close()
	require.NoError(t, list.ReadBulk(f))
	twice, err := list.Data(october.AddDate(0, 1, 0))
	require.NoError(t, err)
	assert.Empty(t, refresh.Diff(once, twice))
	assert.Len(t, twice.Rows, len(once.Rows))
}

func TestRefused(t *testing.T) {
	list, _ := refreshed(t)
	got := map[string]string{}
	for _, r := range list.Refused() {
		got[r.SKU] = r.Reason
	}
	for sku, want := range map[string]string{
		"N4": "price of zero", "N6": "not inference of a base model", "N7": "not inference of a base model",
		"U1": `unit "1K characters"`, "U2": `inference type "Input Image Token Count" is not known`,
		"HC": "is not known", "HD": "is not known", "X1": `no alias for the model "claude nobody knows"`,
		"O4": "long-context price", "O5": `unit "Units"`, "O7": "contradicts O6",
	} {
		assert.Contains(t, got[sku], want, sku)
		delete(got, sku)
	}
	assert.Empty(t, got)
}

func TestOptions(t *testing.T) {
	list, data := refreshed(t, func(o *refresh.Options) {
		o.Aliases = map[string]bedrockkit.ModelID{"claude nobody knows": "anthropic.claude-fable-5"}
		o.LongContext = map[bedrockkit.ModelID]int64{"anthropic.claude-opus-4-7": 200_000}
	})
	assert.False(t, slices.ContainsFunc(list.Refused(), func(r refresh.Refusal) bool { return r.SKU == "X1" || r.SKU == "O4" }))
	table, err := pricing.NewTable(data)
	require.NoError(t, err)
	cost, err := table.Cost("anthropic.claude-opus-4-7", bedrockkit.Usage{InputTokens: 200_001})
	require.NoError(t, err)
	assert.Equal(t, "2.200011", cost.String())

	short := refresh.New(pricing.Default().Data(), func(o *refresh.Options) { o.MaxProducts = 3 })
	assert.ErrorIs(t, short.Fetch(t.Context(), &recorded{products: products(t)}), refresh.ErrTooManyProducts)
}

func TestAddRefuses(t *testing.T) {
	const micro = `"regionCode":"us-east-1","model":"Nova Micro"`
	term := func(dimension string) string {
		return `{"OnDemand":{"T":{"priceDimensions":{"D":` + dimension + `}}}}`
	}
	cent := term(`{"unit":"1K tokens","pricePerUnit":{"USD":"0.01"}}`)
	for name, tt := range map[string]struct{ attributes, terms, want string }{
		"no price":              {micro + `,"usagetype":"USE1-x","inferenceType":"Input tokens"`, `{}`, "no on-demand price"},
		"another currency":      {micro + `,"usagetype":"USE1-x","inferenceType":"Input tokens"`, term(`{"unit":"1K tokens","pricePerUnit":{"CNY":"1"}}`), "no price in USD"},
		"no number":             {micro + `,"usagetype":"USE1-x","inferenceType":"Input tokens"`, term(`{"unit":"1K tokens","pricePerUnit":{"USD":"1e-3"}}`), "invalid decimal"},
		"beyond any rate":       {micro + `,"usagetype":"USE1-x","inferenceType":"Input tokens"`, term(`{"unit":"1K tokens","pricePerUnit":{"USD":"170000000000000000000000"}}`), "invalid decimal"},
		"finer than a rate":     {micro + `,"usagetype":"USE1-x","inferenceType":"Input tokens"`, term(`{"unit":"1M tokens","pricePerUnit":{"USD":"0.0000000001"}}`), "invalid decimal"},
		"brackets of volume":    {micro + `,"usagetype":"USE1-x","inferenceType":"Input tokens"`, `{"OnDemand":{"T":{"priceDimensions":{"A":{"unit":"1K tokens","pricePerUnit":{"USD":"2"}},"B":{"unit":"1K tokens","pricePerUnit":{"USD":"1"}}}}}}`, "more than one price"},
		"no region":             {`"model":"Nova Micro","usagetype":"x"`, cent, "no region"},
		"another feature":       {micro + `,"usagetype":"USE1-x","inferenceType":"Input tokens","feature":"Custom Model Import"`, cent, "is not inference"},
		"tiers that disagree":   {micro + `,"usagetype":"USE1-x","inferenceType":"Input tokens flex","service_tier":"batch"`, cent, "service tier"},
		"an unknown tier":       {micro + `,"usagetype":"USE1-x","inferenceType":"Input tokens","service_tier":"express"`, cent, "is not known"},
		"another cross-region":  {micro + `,"usagetype":"USE1-x-cross-region-moon","inferenceType":"Input tokens"`, cent, "is not known"},
		"a usage type cut off":  {`"regionCode":"us-east-1","servicename":"Claude 3 Haiku","usagetype":"USE1-MP:USE1_InputTokenCount"`, cent, "is not known"},
		"a usage type extended": {`"regionCode":"us-east-1","servicename":"Claude 3 Haiku","usagetype":"USE1-MP:USE1_InputTokenCount_Moon-Units"`, cent, "is not known"},
	} {
		list := refresh.New(pricing.Default().Data())
		require.NoError(t, list.Add([]byte(`{"product":{"sku":"S","attributes":{`+tt.attributes+`}},"terms":`+tt.terms+`}`)), name)
		if assert.Len(t, list.Refused(), 1, name) {
			assert.Contains(t, list.Refused()[0].Reason, tt.want, name)
		}
		data, err := list.Data(october)
		require.NoError(t, err, name)
		assert.Empty(t, refresh.Diff(pricing.Default().Data(), data), name)
	}

	list := refresh.New(pricing.Default().Data())
	require.NoError(t, list.Add([]byte(`{"product":{"sku":"S","attributes":{"regionCode":"us-east-1","servicename":"Cohere Rerank v3.5 (Amazon Bedrock Edition)",
		"usagetype":"USE1-MP:USE1_search_units-Units"}},"terms":`+term(`{"unit":"Units","pricePerUnit":{"USD":"0.0030000000"}}`)+`}`)))
	require.NoError(t, list.Add([]byte(`{"product":{"sku":"N","attributes":{`+micro+`,"usagetype":"USE1-NovaMicro-output-tokens-flex-cross-region-global","inferenceType":"Output tokens"}},
		"terms":`+term(`{"unit":"1K tokens","pricePerUnit":{"USD":"0.0000700000"}}`)+`}`)))
	data, err := list.Data(october)
	require.NoError(t, err)
	assert.Equal(t, []string{
		"amazon.nova-micro global flex us-east-1 output: - 0.07",
		"cohere.rerank-v3-5 geographic  us-east-1 query: 2000 3000",
		"cohere.rerank-v3-5 region  us-east-1 query: 2000 3000",
	}, show(refresh.Diff(pricing.Default().Data(), data)))
}

func TestFetchErrors(t *testing.T) {
	denied := errors.New("access denied")
	api := &recorded{products: products(t), err: denied}
	err := refresh.New(pricing.Default().Data()).Fetch(t.Context(), api)
	assert.ErrorIs(t, err, denied)
	assert.Equal(t, []string{"AmazonBedrock ", "AmazonBedrock from 5", "AmazonBedrock from 10", "AmazonBedrock from 15", "AmazonBedrockFoundationModels "}, api.asked)

	assert.ErrorContains(t, refresh.New(pricing.Default().Data()).Fetch(t.Context(), endless{}), "follows itself")
	assert.Error(t, refresh.New(pricing.Default().Data()).Add([]byte("{")))
	assert.Error(t, refresh.New(pricing.Default().Data()).ReadBulk(strings.NewReader("[]")))
}

type endless struct{}

func (endless) Products(context.Context, string, string) ([]string, string, error) {
	return nil, "again", nil
}

func TestAliasesNameModelsOfTheTable(t *testing.T) {
	list := refresh.New(pricing.Default().Data())
	data, err := os.ReadFile("aliases.json")
	require.NoError(t, err)
	for line := range strings.Lines(string(data)) {
		_, id, ok := strings.Cut(line, `": "`)
		if !ok {
			continue
		}
		id, _, _ = strings.Cut(id, `"`)
		_, known := pricing.Default().Model(bedrockkit.ModelID(id))
		assert.True(t, known, id)
	}
	assert.Empty(t, list.Refused())
}

func FuzzAdd(f *testing.F) {
	for _, p := range products(f) {
		f.Add([]byte(p))
	}
	base := base(pricing.Row{Rates: input("3")})
	base.Models = append(base.Models, pricing.Default().Data().Models...)
	f.Fuzz(func(t *testing.T, data []byte) {
		list := refresh.New(base)
		if list.Add(data) != nil {
			return
		}
		out, err := list.Data(october)
		require.NoError(t, err)
		_, err = pricing.NewTable(out)
		require.NoError(t, err)
	})
}
