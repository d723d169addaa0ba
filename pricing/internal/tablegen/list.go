package main

import (
	"bufio"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/pricing"
)

// metered are the dimensions of what the lists bill by the piece, by label,
// axis and unit.
var metered = map[string]pricing.Dimension{
	"Audio;input;second":             pricing.AudioSecond,
	"Video;input;second":             pricing.VideoSecond,
	"Video · Standard;output;second": pricing.VideoSecond,
	"Video · HD;output;second":       pricing.VideoSecondHD,
	"Image;input;image":              pricing.Image,
	"Standard image;input;image":     pricing.Image,
	"Document image;input;image":     pricing.DocumentImage,
	"Image;output;image":             pricing.Image,
	"T2I 1024 Standard;output;image": pricing.Image,
	"T2I 1024 Premium;output;image":  pricing.ImagePremium,
	"T2I 2048 Standard;output;image": pricing.Image2048,
	"T2I 2048 Premium;output;image":  pricing.Image2048Premium,
	"I2I 1024 Standard;output;image": pricing.Image, // as made from a text
	"I2I 1024 Premium;output;image":  pricing.ImagePremium,
	"I2I 2048 Standard;output;image": pricing.Image2048,
	"I2I 2048 Premium;output;image":  pricing.Image2048Premium,
	"Rerank;input;searchUnit":        pricing.Query,
	"Text;input;request":             pricing.Embedding,
}

var (
	inRegion = []bedrockkit.Scope{bedrockkit.ScopeRegion, bedrockkit.ScopeGeographic}
	global   = []bedrockkit.Scope{bedrockkit.ScopeGlobal}
	gov      = []bedrockkit.Scope{pricing.ScopeGov}
)

// sets are the tiers and scopes of the fields of a line that have an input and
// an output.
var sets = map[string]struct {
	scopes []bedrockkit.Scope
	tier   bedrockkit.ServiceTier
	long   bool
}{
	"std":                  {scopes: inRegion},
	"glob":                 {scopes: global},
	"batch":                {scopes: inRegion, tier: pricing.TierBatch},
	"prio":                 {scopes: inRegion, tier: bedrockkit.TierPriority},
	"flex":                 {scopes: inRegion, tier: bedrockkit.TierFlex},
	"standard.longContext": {scopes: inRegion, long: true},
	"global.longContext":   {scopes: global, long: true},
}

// readList reads a file in the form of price_list.txt, which its header
// describes.
func (g *generator) readList(name, source string) (list []fact, err error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		line := lines.Text()
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if err := g.readLine(line, source, &list); err != nil {
			return nil, fmt.Errorf("%s: %q: %w", name, line, err)
		}
	}
	return list, nil
}

func (g *generator) readLine(line, source string, list *[]fact) error {
	fields := strings.Split(line, "|")
	id := bedrockkit.ModelID(fields[0])
	if g.twin(id) {
		return nil // the test of the cells holds that it costs what its base does
	}
	model := g.canonical(id)
	regions := slices.DeleteFunc(strings.Fields(fields[1]), func(r string) bool { return slices.Contains(g.NoRegions, r) })
	isGov := strings.HasPrefix(regions[0], "us-gov-")
	if g.everywhere(model) || regions[0] == "kinds" {
		regions = nil
	}
	add := func(scopes []bedrockkit.Scope, tier bedrockkit.ServiceTier, long bool, d pricing.Dimension, rate string) error {
		r, err := pricing.ParseRate(rate)
		if err != nil {
			return err
		}
		if isGov {
			scopes = gov
		}
		above := int64(0)
		if long {
			if above = g.LongContext[model]; above == 0 {
				return fmt.Errorf("the threshold of %s is not known", model)
			}
		}
		*list = append(*list, fact{model: model, scopes: scopes, tier: tier, regions: regions, above: above, dimension: d, rate: r,
			from: g.Began[model], sources: []string{source}})
		return nil
	}
	if fields[2] == "metered" {
		p := strings.Split(fields[3], ";")
		d, ok := metered[strings.Join(p[:3], ";")]
		scopes := map[string][]bedrockkit.Scope{"standard": inRegion, "global": global}[p[4]]
		if !ok || scopes == nil {
			return fmt.Errorf("%q is not known", fields[3])
		}
		piece, err := pricing.ParseAmount(p[3])
		if err != nil {
			return err
		}
		return add(scopes, "", false, d, piece.Mul(1_000_000).String())
	}
	for _, field := range fields[2:] {
		name, value, _ := strings.Cut(field, "=")
		switch name {
		case "cr":
			if err := add(inRegion, "", false, pricing.CacheRead, value); err != nil {
				return err
			}
			continue
		case "cw":
			d := pricing.CacheWrite5m
			if slices.Contains(g.Cache30m, model) {
				d = pricing.CacheWrite30m
			}
			if err := add(inRegion, "", false, d, value); err != nil {
				return err
			}
			continue
		case "other":
			name, value, _ = strings.Cut(value, ":")
		}
		set, ok := sets[name]
		in, out, pair := strings.Cut(value, "/")
		if !ok || !pair {
			return fmt.Errorf("%q is not known", field)
		}
		if in != "" {
			if err := add(set.scopes, set.tier, set.long, pricing.Input, in); err != nil {
				return err
			}
		}
		if out != "" {
			if err := add(set.scopes, set.tier, set.long, pricing.Output, out); err != nil {
				return err
			}
		}
	}
	return nil
}
