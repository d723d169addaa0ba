package refresh_test

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/pricing"
	"github.com/mangaassist/bedrockkit/pricing/refresh"
)

// base is a table of one model.
func base(rows ...pricing.Row) pricing.Data {
	for i := range rows {
		rows[i].Model, rows[i].Sources = "acme.one", []string{"s"}
		rows[i].Scopes = []bedrockkit.Scope{bedrockkit.ScopeRegion, bedrockkit.ScopeGeographic}
	}
	return pricing.Data{Sources: map[string]pricing.Source{"s": {Title: "a source", Date: "2026-01-01"}}, Models: []pricing.Model{{ID: "acme.one"}}, Rows: rows}
}

func input(rate string) map[pricing.Dimension]pricing.Rate {
	r, err := pricing.ParseRate(rate)
	if err != nil {
		panic(err)
	}
	return map[pricing.Dimension]pricing.Rate{pricing.Input: r}
}

// product is one of AmazonBedrock, in dollars for a thousand tokens.
func product(sku, model, region, kind, usageType, dollars string) string {
	return fmt.Sprintf(`{"product":{"sku":%q,"attributes":{"servicename":"Amazon Bedrock","regionCode":%q,"usagetype":%q,"model":%q,"inferenceType":%q,"feature":"On-demand Inference"}},
		"terms":{"OnDemand":{"a":{"priceDimensions":{"b":{"unit":"1K tokens","pricePerUnit":{"USD":%q}}}}}}}`, sku, region, usageType, model, kind, dollars)
}

// What a list says today changes nothing of the past, and nothing of what is
// announced for later; what it says of today holds today.
func TestPeriods(t *testing.T) {
	const today = "2026-11-29"
	type want struct{ region, day, cost string } // an empty cost: no rate
	for name, tt := range map[string]struct {
		base  []pricing.Row
		list  map[string]string // by region, for a thousand tokens
		wants []want
	}{
		"a region that is dearer": {[]pricing.Row{{Rates: input("3")}}, map[string]string{"eu-west-1": "0.004"},
			[]want{{"eu-west-1", "2026-05-29", "3"}, {"eu-west-1", "2026-11-28", "3"}, {"eu-west-1", today, "4"}, {"us-east-1", today, "3"}, {"eu-west-2", today, "3"}}},
		"the home region is dearer, so all are": {[]pricing.Row{{Rates: input("3")}}, map[string]string{"us-east-1": "0.004"},
			[]want{{"us-east-1", "2026-11-28", "3"}, {"us-east-1", today, "4"}, {"eu-west-1", "2026-11-28", "3"}, {"eu-west-1", today, "4"}}},
		"the home region is dearer, another is not": {[]pricing.Row{{Rates: input("3")}}, map[string]string{"us-east-1": "0.004", "eu-west-1": "0.003"},
			[]want{{"us-east-1", today, "4"}, {"eu-west-1", "2026-11-28", "3"}, {"eu-west-1", today, "3"}}},
		"a price announced for later": {[]pricing.Row{{To: "2026-12-15", Rates: input("3")}, {From: "2026-12-15", Rates: input("4")}}, map[string]string{"us-east-1": "0.005"},
			[]want{{"us-east-1", "2026-11-28", "3"}, {"us-east-1", today, "5"}, {"us-east-1", "2026-12-14", "5"}, {"us-east-1", "2026-12-15", "4"}}},
		"a promotion that has an end": {[]pricing.Row{{To: "2026-12-15", Rates: input("3")}}, map[string]string{"us-east-1": "0.003"},
			[]want{{"us-east-1", today, "3"}, {"us-east-1", "2026-12-15", ""}}},
		"a promotion that ended early": {[]pricing.Row{{To: "2026-12-15", Rates: input("3")}}, map[string]string{"us-east-1": "0.005"},
			[]want{{"us-east-1", "2026-11-28", "3"}, {"us-east-1", today, "5"}, {"us-east-1", "2026-12-15", "5"}}},
		"a price that had ended": {[]pricing.Row{{To: "2026-10-15", Rates: input("3")}}, map[string]string{"us-east-1": "0.005"},
			[]want{{"us-east-1", "2026-10-14", "3"}, {"us-east-1", "2026-11-01", ""}, {"us-east-1", today, "5"}}},
		"a price of today, said again": {[]pricing.Row{{To: today, Rates: input("3")}, {From: today, Rates: input("4")}}, map[string]string{"us-east-1": "0.005"},
			[]want{{"us-east-1", "2026-11-28", "3"}, {"us-east-1", today, "5"}}},
		"a region with a row of its own": {[]pricing.Row{{Regions: []string{"eu-west-1", "eu-west-2"}, Rates: input("3")}}, map[string]string{"eu-west-1": "0.004", "us-east-1": "0.002"},
			[]want{{"eu-west-1", "2026-11-28", "3"}, {"eu-west-1", today, "4"}, {"eu-west-2", today, "3"}, {"us-east-1", "2026-11-28", "2"}, {"eu-west-3", today, ""}}},
		"a bracket": {[]pricing.Row{{UpToInput: 2_000_000, Rates: input("3")}, {AboveInput: 2_000_000, Rates: input("6")}}, map[string]string{"us-east-1": "0.004"},
			[]want{{"us-east-1", "2026-11-28", "3"}, {"us-east-1", today, "4"}}},
	} {
		t.Run(name, func(t *testing.T) {
			list := refresh.New(base(tt.base...))
			for region, dollars := range tt.list {
				require.NoError(t, list.Add([]byte(product(region, "acme.one", region, "Input tokens", "USE1-x", dollars))))
			}
			require.Empty(t, list.Refused())
			data, err := list.Data(day(today))
			require.NoError(t, err)
			table, err := pricing.NewTable(data)
			require.NoError(t, err)
			for _, w := range tt.wants {
				for _, prefix := range []bedrockkit.ModelID{"", bedrockkit.ModelID(w.region[:2] + ".")} {
					got, err := table.Cost(prefix+"acme.one", bedrockkit.Usage{InputTokens: 1e6}, func(o *pricing.CostOptions) { o.Region, o.Date = w.region, day(w.day) })
					if w.cost == "" {
						assert.ErrorIs(t, err, pricing.ErrNoRate, w)
						continue
					}
					if assert.NoError(t, err, w) {
						assert.Equal(t, w.cost, got.String(), w)
					}
				}
			}
		})
	}
}

func TestDiffTellsTheDays(t *testing.T) {
	older := base(pricing.Row{To: "2026-12-15", Rates: input("3")}, pricing.Row{From: "2026-12-15", Rates: input("4")})
	list := refresh.New(older)
	require.NoError(t, list.Add([]byte(product("S", "acme.one", "us-east-1", "Input tokens", "USE1-x", "0.005"))))
	newer, err := list.Data(day("2026-11-29"))
	require.NoError(t, err)
	changes := refresh.Diff(older, newer)
	require.Len(t, changes, 2, "of the region and of the geographic profile")
	for _, c := range changes {
		assert.Equal(t, "2026-11-29", c.From)
		assert.Equal(t, "3 5", c.Old.String()+" "+c.New.String())
	}
}

func day(s string) time.Time {
	d, err := time.Parse(time.DateOnly, s)
	if err != nil {
		panic(err)
	}
	return d
}

// A list of the size of the real one, in all regions and tiers, changes nothing
// of a table that was made from the same prices. What cannot be mapped is told.
func TestListOfAllRegions(t *testing.T) {
	text, err := os.ReadFile("../source/price_list.txt")
	require.NoError(t, err)
	names := map[string]string{"prio": " priority", "flex": " flex", "batch": " batch", "std": "", "glob": ""}
	var bulk []string
	unknown := 0
	for line := range strings.Lines(string(text)) {
		f := strings.Split(strings.TrimSuffix(line, "\n"), "|")
		if len(f) < 3 || strings.HasPrefix(line, "#") || f[2] == "metered" || strings.HasSuffix(f[0], "k") || strings.HasSuffix(f[0], "m") {
			continue
		}
		if strings.HasPrefix(f[0], "anthropic.claude-3-5-sonnet") {
			continue // the list's price is not the one that the table has: see source/disagreements.txt
		}
		for _, region := range strings.Fields(f[1]) {
			add := func(kind, usage, dollars string) {
				million, err := pricing.ParseAmount(dollars)
				require.NoError(t, err)
				thousand := million.Rat()
				thousand.Quo(thousand, pricing.Rate(1_000_000_000).Of(1_000_000_000).Rat()) // $1,000
				bulk = append(bulk, product(fmt.Sprintf("S%d", len(bulk)), f[0], region, kind, usage, strings.TrimRight(thousand.FloatString(15), "0")))
			}
			for _, field := range f[2:] {
				name, value, _ := strings.Cut(field, "=")
				usage := "X-" + f[0]
				if name == "glob" {
					usage += "-cross-region-global"
				}
				in, out, pair := strings.Cut(value, "/")
				switch {
				case name == "cr":
					add("Prompt cache read input tokens", usage, value)
				case name == "cw":
					if unknown++; value != "0" {
						unknown--
						add("Prompt cache write input tokens", usage, value)
					} else {
						bulk = append(bulk, product("zero", f[0], region, "Prompt cache write input tokens", usage, "0"))
					}
				case pair && name != "other":
					if in != "" {
						add("Input tokens"+names[name], usage, in)
					}
					if out != "" {
						add("Output tokens"+names[name], usage, out)
					}
				}
			}
		}
	}
	bulk = append(bulk, product("moon", "Model of the Moon", "us-east-1", "Input tokens", "X", "0.001"), product("seconds", "amazon.nova-micro-v1:0", "us-east-1", "Video seconds", "X", "0.001"))
	unknown += 2
	require.Greater(t, len(bulk), 2000)

	before := pricing.Default().Data()
	list := refresh.New(before)
	require.NoError(t, list.Fetch(t.Context(), &recorded{products: bulk}))
	data, err := list.Data(day("2026-11-29"))
	require.NoError(t, err)
	changes, _ := json.Marshal(refresh.Diff(before, data))
	assert.Equal(t, "null", string(changes))
	assert.Len(t, data.Rows, len(before.Rows))
	assert.Len(t, list.Refused(), unknown)
	reasons := map[string]int{}
	for _, r := range list.Refused() {
		reasons[r.Reason]++
	}
	assert.Equal(t, 1, reasons[`no alias for the model "model of the moon"`])
	assert.Equal(t, 1, reasons[`inference type "Video seconds" is not known`])
	t.Logf("%d products, refused: %v", len(bulk), reasons)
}
