// Command tablegen makes prices.json, the table that package pricing embeds,
// from the collected prices in the directory source, and disagreements.txt
// there, what they do not agree on.
package main

import (
	"cmp"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/pricing"
	"github.com/mangaassist/bedrockkit/pricing/internal/cells"
)

// adjustments is adjustments.json: what a person has decided, each with a
// reason.
type adjustments struct {
	Sources map[string]pricing.Source

	// NoRegions are words that a list has among its regions.
	NoRegions []string `json:"no_regions"`
	// Everywhere begin the ids of models that have one price in all commercial
	// regions, but for Except.
	Everywhere []string
	Except     []string
	// Usual are the regions of a list that names none.
	Usual []string
	// Cache30m are the models whose prompt cache lasts thirty minutes.
	Cache30m []bedrockkit.ModelID `json:"cache_30m"`
	// WritesAsInput are the models whose cache writes cost what input costs.
	WritesAsInput []bedrockkit.ModelID `json:"writes_as_input"`
	// LongContext is the input above which a model's long-context prices hold.
	LongContext map[bedrockkit.ModelID]int64 `json:"long_context"`
	// Began is the day from which a list's undated prices of a model hold.
	Began map[bedrockkit.ModelID]string

	Aliases map[bedrockkit.ModelID][]bedrockkit.ModelID

	// Drop are cells of a layer that are not a price.
	Drop []struct {
		Layer      string
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

	// Reasons say why one layer is believed and not another, the special ones
	// first.
	Reasons []struct {
		Model      string // what its id begins with
		Dimensions []pricing.Dimension
		Chosen     string
		Other      string
		Why        string
	}
	// Noted are disagreements with sources that are not read.
	Noted []string
}

// fact is a rate that a source states.
type fact struct {
	model       bedrockkit.ModelID
	scopes      []bedrockkit.Scope
	tier        bedrockkit.ServiceTier
	regions     []string // nil: all
	above, upTo int64
	from, to    string
	dimension   pricing.Dimension
	rate        pricing.Rate
	sources     []string
	confidence  string
	note        string
}

// layer is a source of facts.
type layer struct {
	name  string
	facts []fact
}

type generator struct {
	adjustments
	ids    map[bedrockkit.ModelID]bedrockkit.ModelID // to the id in the table
	models map[bedrockkit.ModelID]*pricing.Model
}

func main() {
	log.SetFlags(0)
	dir := flag.String("source", "source", "directory of the collected prices")
	out := flag.String("o", "prices.json", "file to write")
	flag.Parse()
	table, disagreements, err := generate(*dir)
	if err != nil {
		log.Fatal(err)
	}
	if err := os.WriteFile(*out, table, 0o644); err != nil {
		log.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(*dir, "disagreements.txt"), disagreements, 0o644); err != nil {
		log.Fatal(err)
	}
}

func generate(dir string) (table, disagreements []byte, err error) {
	g := generator{ids: map[bedrockkit.ModelID]bedrockkit.ModelID{}, models: map[bedrockkit.ModelID]*pricing.Model{}}
	if err := readJSON(filepath.Join(dir, "adjustments.json"), &g.adjustments); err != nil {
		return nil, nil, err
	}
	collected, err := g.readCollected(filepath.Join(dir, "collected.json"))
	if err != nil {
		return nil, nil, err
	}
	for id, aliases := range g.Aliases {
		for _, alias := range aliases {
			g.name(id, alias)
		}
	}
	extended, err := g.readRows(filepath.Join(dir, "extended_access.json"))
	if err != nil {
		return nil, nil, err
	}
	rows, err := g.readRows(filepath.Join(dir, "rows.json"))
	if err != nil {
		return nil, nil, err
	}
	marketplace, err := g.readList(filepath.Join(dir, "marketplace.txt"), "marketplace")
	if err != nil {
		return nil, nil, err
	}
	list, err := g.readList(filepath.Join(dir, "price_list.txt"), "price-list")
	if err != nil {
		return nil, nil, err
	}
	layers := []layer{{"extended-access", extended}, {"rows", rows}, {"marketplace", marketplace}, {"price-list", list}, {"collected", collected}}
	m := merger{generator: &g, cells: map[cells.Cell][]period{}, named: map[cells.Cell][]string{}, offered: map[offer][]string{}}
	m.offers(list)
	m.offers(marketplace)
	for _, l := range layers {
		if err := m.take(l); err != nil {
			return nil, nil, fmt.Errorf("%s: %w", l.name, err)
		}
	}
	m.novaWrites()
	m.settle()
	data := pricing.Data{Schema: "./prices.schema.json", Sources: g.Sources, Rows: m.rows()}
	for _, model := range g.models {
		slices.Sort(model.Aliases)
		data.Models = append(data.Models, *model)
	}
	slices.SortFunc(data.Models, func(a, b pricing.Model) int { return cmp.Compare(a.ID, b.ID) })
	if _, err := pricing.NewTable(data); err != nil {
		return nil, nil, err
	}
	disagreements, err = m.disagreements()
	if err != nil {
		return nil, nil, err
	}
	table, err = encode(data)
	return table, disagreements, err
}

// twin reports whether the id is that of a model with a context size at its end.
func (g *generator) twin(id bedrockkit.ModelID) bool {
	i := strings.LastIndexByte(string(id), ':')
	if i < 0 {
		return false
	}
	size := string(id[i+1:])
	return size == "512" || strings.HasSuffix(size, "k") || strings.HasSuffix(size, "m")
}

// canonical is the id that the table has a model under.
func (g *generator) canonical(id bedrockkit.ModelID) bedrockkit.ModelID {
	if known, ok := g.ids[id]; ok {
		return known
	}
	// A model that nobody collected before has its id without the version.
	short := id
	if i := strings.LastIndex(string(id), "-v"); i > 0 && strings.Trim(string(id[i+2:]), "0123456789:") == "" {
		short = id[:i]
	}
	if _, taken := g.models[short]; taken {
		short = id
	}
	g.name(short, id)
	return short
}

func (g *generator) model(id bedrockkit.ModelID) *pricing.Model {
	m := g.models[id]
	if m == nil {
		m = &pricing.Model{ID: id}
		g.models[id], g.ids[id] = m, id
	}
	return m
}

// name makes alias an id of the model.
func (g *generator) name(id, alias bedrockkit.ModelID) {
	m := g.model(id)
	if alias != id && !slices.Contains(m.Aliases, alias) {
		m.Aliases = append(m.Aliases, alias)
		g.ids[alias] = id
	}
}

// everywhere reports whether a model has one price in all commercial regions.
func (g *generator) everywhere(id bedrockkit.ModelID) bool {
	begins := func(prefix string) bool { return strings.HasPrefix(string(id), prefix) }
	return slices.ContainsFunc(g.Everywhere, begins) && !slices.ContainsFunc(g.Except, begins)
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
