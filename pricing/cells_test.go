package pricing_test

import (
	"errors"
	"fmt"
	"math/big"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/pricing"
)

// aCell is one price of a list: so many dollars for a million units, or for one
// where it is metered.
type aCell struct {
	file, id, region, field, want string
}

// cellsOf reads a file in the form of source/price_list.txt, on its own.
func cellsOf(t testing.TB, file string) []aCell {
	t.Helper()
	text, err := os.ReadFile("source/" + file)
	require.NoError(t, err)
	var cells []aCell
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSuffix(line, "\n")
		if line == "" || line[0] == '#' {
			continue
		}
		f := strings.Split(line, "|")
		regions := strings.Fields(f[1])
		if f[1] == "kinds" { // no regions of its own: any will do
			regions = []string{"us-east-1", "eu-central-1", "ap-northeast-1"}
		}
		for _, region := range regions {
			add := func(field, want string) { cells = append(cells, aCell{file, f[0], region, field, want}) }
			if f[2] == "metered" {
				m := strings.Split(f[3], ";")
				add(strings.Join([]string{"metered", m[0], m[1], m[2], m[4]}, ";"), m[3])
				continue
			}
			for _, field := range f[2:] {
				name, value, _ := strings.Cut(field, "=")
				if name == "other" {
					name, value, _ = strings.Cut(value, ":")
				}
				in, out, pair := strings.Cut(value, "/")
				if in != "" {
					add(name+".in", in)
				}
				if pair && out != "" {
					add(name+".out", out)
				}
			}
		}
	}
	return cells
}

// ask prices what a cell is the price of, through the API.
func (c aCell) ask(prefix string) (pricing.Amount, error) {
	const many, long = 100_000, 300_000
	var o pricing.CostOptions
	o.Region = c.region
	o.Date = time.Date(2026, 10, 8, 0, 0, 0, 0, time.UTC) // both lists have the cut of 2026-10-07
	options := func(to *pricing.CostOptions) { *to = o }
	id := bedrockkit.ModelID(c.id)
	if p := strings.Split(c.field, ";"); p[0] == "metered" {
		dimensions := map[string]pricing.Dimension{
			"Audio second": pricing.AudioSecond, "Video second": pricing.VideoSecond, "Video · HD second": pricing.VideoSecondHD,
			"Video · Standard second": pricing.VideoSecond, "Image image": pricing.Image, "Standard image image": pricing.Image,
			"Document image image": pricing.DocumentImage, "Rerank searchUnit": pricing.Query, "Text request": pricing.Embedding,
			"T2I 1024 Standard image": pricing.Image, "T2I 1024 Premium image": pricing.ImagePremium,
			"T2I 2048 Standard image": pricing.Image2048, "T2I 2048 Premium image": pricing.Image2048Premium,
			"I2I 1024 Standard image": pricing.Image, "I2I 1024 Premium image": pricing.ImagePremium,
			"I2I 2048 Standard image": pricing.Image2048, "I2I 2048 Premium image": pricing.Image2048Premium,
		}
		o.Units = pricing.Units{dimensions[p[1]+" "+p[3]]: 1}
		if p[4] == "global" {
			prefix = "global."
		}
		return pricing.Default().Cost(bedrockkit.ModelID(prefix)+id, bedrockkit.Usage{}, options)
	}
	set, side, _ := strings.Cut(c.field, ".")
	if kind, rest, ok := strings.Cut(side, "."); ok { // standard.longContext.in
		set, side = set+"."+kind, rest
	}
	var u bedrockkit.Usage
	n := int64(many)
	switch set {
	case "std":
	case "glob":
		prefix = "global."
	case "batch":
		o.Tier = pricing.TierBatch
	case "prio":
		o.Tier = bedrockkit.TierPriority
	case "flex":
		o.Tier = bedrockkit.TierFlex
	case "cr":
		u.CacheReadTokens = n
	case "cw":
		u.CacheWrite5mTokens = n
	case "standard.longContext":
		n = long
	case "global.longContext":
		n, prefix = long, "global."
	default:
		return pricing.Amount{}, fmt.Errorf("the test knows no %s", set)
	}
	var input pricing.Amount
	switch {
	case u != bedrockkit.Usage{}:
	case side == "in":
		u.InputTokens = n
	default:
		// An output above a bracket needs its input; what that costs is taken off.
		u.OutputTokens = n
		if n == long {
			u.InputTokens = long
			var err error
			if input, err = pricing.Default().Cost(bedrockkit.ModelID(prefix)+id, bedrockkit.Usage{InputTokens: long}, options); err != nil {
				return pricing.Amount{}, err
			}
		}
	}
	got, err := pricing.Default().Cost(bedrockkit.ModelID(prefix)+id, u, options)
	if err != nil {
		return pricing.Amount{}, err
	}
	perMillion := got.Sub(input).Rat()
	perMillion.Mul(perMillion, bigRat(1_000_000)).Quo(perMillion, bigRat(n))
	return pricing.ParseAmount(strings.TrimRight(strings.TrimRight(perMillion.FloatString(15), "0"), "."))
}

// TestEveryCellOfTheLists asks for each price of the two lists by the model's id,
// its region and its day, as a user does, and compares. What differs on purpose
// is listed here, one by one.
func TestEveryCellOfTheLists(t *testing.T) {
	const (
		novaWrites = "AWS's page on prompt caching: Nova's cache writes cost what input costs; the list says 0"
		oldCache   = "the offers' cache prices of GPT-5.6 are those of before the cut"
		extended   = "extended access since 2025-12-01; the list was not changed"
		noRegion   = "a word among the regions that no region is known by"
	)
	type exception struct{ want, why string } // want: the price that is given instead
	exceptions := map[string]exception{
		"openai.gpt-5.6-luna cr.in":  {"0.022", oldCache},
		"openai.gpt-5.6-luna cw.in":  {"0.275", oldCache},
		"openai.gpt-5.6-sol cr.in":   {"0.44", oldCache},
		"openai.gpt-5.6-sol cw.in":   {"5.5", oldCache},
		"openai.gpt-5.6-terra cr.in": {"0.22", oldCache},
		"openai.gpt-5.6-terra cw.in": {"2.75", oldCache},
	}
	for _, r := range []string{"us-east-1", "us-east-2", "us-west-2", "eu-central-1", "eu-west-1", "eu-west-3"} {
		exceptions["anthropic.claude-3-5-sonnet-20240620-v1:0 "+r+" std.in"] = exception{"6", extended}
		exceptions["anthropic.claude-3-5-sonnet-20240620-v1:0 "+r+" std.out"] = exception{"30", extended}
		if r == "eu-west-1" || r == "eu-west-3" {
			continue // the list has no batch there
		}
		exceptions["anthropic.claude-3-5-sonnet-20240620-v1:0 "+r+" batch.in"] = exception{"3", extended}
		exceptions["anthropic.claude-3-5-sonnet-20240620-v1:0 "+r+" batch.out"] = exception{"15", extended}
	}
	for _, r := range []string{"us-east-1", "us-east-2", "us-west-2"} {
		for field, want := range map[string]string{"std.in": "6", "std.out": "30", "batch.in": "3", "batch.out": "15", "cr.in": "0.6", "cw.in": "7.5"} {
			exceptions["anthropic.claude-3-5-sonnet-20241022-v2:0 "+r+" "+field] = exception{want, extended}
		}
	}
	for model, byRegion := range map[string]map[string]string{
		"amazon.nova-micro-v1:0": {"us-east-1": "0.035", "us-east-2": "0.035", "us-west-2": "0.035"},
		"amazon.nova-lite-v1:0":  {"us-east-1": "0.06", "us-east-2": "0.06", "us-west-2": "0.06", "ca-central-1": "0.064"},
		"amazon.nova-pro-v1:0":   {"us-east-1": "0.8", "us-east-2": "0.8", "us-west-2": "0.8"},
		"amazon.nova-2-lite-v1:0": {"us-east-1": "0.33", "us-east-2": "0.33", "us-west-2": "0.33", "us-west-1": "0.429", "ca-central-1": "0.352",
			"eu-central-1": "0.429", "eu-north-1": "0.363", "eu-west-1": "0.374", "eu-west-3": "0.484", "ap-northeast-1": "0.396"},
	} {
		for r, want := range byRegion {
			exceptions[model+" "+r+" cw.in"] = exception{want, novaWrites}
		}
	}
	used := map[string]bool{}
	find := func(c aCell) (exception, bool) {
		id := c.id
		for _, twin := range []string{":24k", ":128k", ":256k", ":300k"} {
			id = strings.TrimSuffix(id, twin)
		}
		for _, key := range []string{id + " " + c.field, id + " " + c.region + " " + c.field} {
			if e, ok := exceptions[key]; ok {
				used[key] = true
				return e, true
			}
		}
		return exception{}, false
	}
	cells, compared := append(cellsOf(t, "price_list.txt"), cellsOf(t, "marketplace.txt")...), 0
	for _, c := range cells {
		if c.region == "APS8" || c.region == "APS9" {
			used[noRegion] = true
			continue
		}
		want := c.want
		if e, ok := find(c); ok {
			assert.NotEqual(t, c.want, e.want, "%v needs no exception", c)
			want = e.want
		}
		amount, err := pricing.ParseAmount(want)
		require.NoError(t, err, c)
		for _, prefix := range []string{"", geography(c.region)} {
			got, err := c.ask(prefix)
			if assert.NoError(t, err, c) {
				assert.Equal(t, amount.String(), got.String(), "%v by %q", c, prefix)
			}
			compared++
		}
	}
	assert.Len(t, used, len(exceptions)+1, "an exception that is not needed is removed")
	assert.Greater(t, compared, 9000)
	t.Logf("%d cells, %d exceptions", len(cells), len(exceptions))
}

// geography is the prefix of a profile that the region may be called through.
func geography(region string) string {
	for _, g := range [][2]string{{"us-gov-", "us-gov."}, {"us-", "us."}, {"eu-", "eu."}, {"ap-northeast-1", "jp."}, {"ap-southeast-2", "au."}, {"ap-", "apac."}, {"ca-", "ca."}} {
		if strings.HasPrefix(region, g[0]) {
			return g[1]
		}
	}
	return ""
}

// A region that the lists do not have is an error that names some of those that
// they have, and no price of another.
func TestRegionWithoutARow(t *testing.T) {
	regions := map[string]bool{}
	offered := map[string]map[string]bool{}
	for _, c := range cellsOf(t, "price_list.txt") {
		regions[c.region] = true
		if offered[c.id] == nil {
			offered[c.id] = map[string]bool{}
		}
		if c.field == "std.in" || c.field == "std.out" {
			offered[c.id][c.region] = true
		}
	}
	refused := 0
	for id, in := range offered {
		if strings.HasPrefix(id, "anthropic.") || strings.HasPrefix(id, "openai.gpt-6") || len(in) == 0 {
			continue // one price in all commercial regions
		}
		for region := range regions {
			if in[region] {
				continue
			}
			refused++
			_, err := pricing.Default().Cost(bedrockkit.ModelID(id), bedrockkit.Usage{InputTokens: 1, OutputTokens: 1}, func(o *pricing.CostOptions) { o.Region = region })
			if !assert.ErrorIs(t, err, pricing.ErrNoRate, "%s in %s", id, region) {
				continue
			}
			var e *pricing.UnpricedError
			require.True(t, errors.As(err, &e))
			assert.Equal(t, region, e.Region)
		}
	}
	assert.Greater(t, refused, 400)
	_, err := pricing.Default().Cost("amazon.nova-pro-v1:0", bedrockkit.Usage{InputTokens: 1}, func(o *pricing.CostOptions) { o.Region = "sa-east-1" })
	assert.ErrorContains(t, err, "no rate in sa-east-1; there is one in ap-northeast-1, ap-northeast-2, ap-south-1, ap-southeast-1 and 10 more")
}

func bigRat(n int64) *big.Rat { return new(big.Rat).SetInt64(n) }
