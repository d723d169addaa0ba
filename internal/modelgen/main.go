// Command modelgen makes models.json, the table of models that package
// bedrockkit embeds, from what was collected in the directory source.
package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/mangaassist/bedrockkit"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("modelgen: ")
	dir := flag.String("source", "source", "directory of what was collected")
	out := flag.String("o", "models.json", "file to write")
	flag.Parse()
	data, err := generate(*dir)
	if err != nil {
		log.Fatal(err)
	}
	if err := os.WriteFile(*out, data, 0o644); err != nil {
		log.Fatal(err)
	}
}

// table is models.json.
type table struct {
	Schema  string                            `json:"$schema"`
	Date    string                            `json:"date"`
	Sources map[string]bedrockkit.ModelSource `json:"sources"`
	Models  []bedrockkit.Capability           `json:"models"`
}

// build holds the rows while the sources are read. An earlier source wins.
type build struct {
	date     string
	sources  map[string]bedrockkit.ModelSource
	defaults map[string]bedrockkit.Fact // of features that the collection states without a fact
	rows     map[bedrockkit.ModelID]*bedrockkit.Capability
}

func generate(dir string) ([]byte, error) {
	b := &build{sources: map[string]bedrockkit.ModelSource{}, rows: map[bedrockkit.ModelID]*bedrockkit.Capability{}}
	var adj adjustments
	if err := readJSON(filepath.Join(dir, "adjustments.json"), &adj); err != nil {
		return nil, err
	}
	b.defaults = adj.Defaults
	for name, s := range adj.Sources {
		if err := b.source(name, s); err != nil {
			return nil, err
		}
	}
	for _, step := range []struct {
		file string
		read func([]byte) error
	}{
		{"collected.json", b.collected},
		{"converse-features.json", b.converseFeatures},
		{"limits.json", b.limits},
		{"ids.txt", b.ids},
		{"profiles.txt", b.profiles},
	} {
		data, err := os.ReadFile(filepath.Join(dir, step.file))
		if err != nil {
			return nil, err
		}
		if err := step.read(data); err != nil {
			return nil, fmt.Errorf("%s: %w", step.file, err)
		}
	}
	for i, a := range adj.Adjustments {
		if err := b.adjust(a); err != nil {
			return nil, fmt.Errorf("adjustments.json: number %d (%s): %w", i+1, a.Why, err)
		}
	}
	return b.encode()
}

func readJSON(file string, v any) error {
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if err := strict(data, v); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	return nil
}

// strict decodes JSON and refuses fields that v does not have.
func strict(data []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	return d.Decode(v)
}

func (b *build) source(name string, s bedrockkit.ModelSource) error {
	if old, ok := b.sources[name]; ok && old != s {
		return fmt.Errorf("the source %q is there twice", name)
	}
	b.sources[name] = s
	return nil
}

// row returns the row of an id, a new one if there is none.
func (b *build) row(id bedrockkit.ModelID) *bedrockkit.Capability {
	if c := b.find(id); c != nil {
		return c
	}
	c := &bedrockkit.Capability{ID: id, Facts: map[string]bedrockkit.Fact{}}
	b.rows[id] = c
	return c
}

// find returns the row that stands for an id: the one with its name or the
// longest one that it is a version of.
func (b *build) find(id bedrockkit.ModelID) *bedrockkit.Capability {
	var best *bedrockkit.Capability
	for _, c := range b.rows {
		if (c.ID == id || slices.Contains(c.IDs, id)) && (best == nil || c.ID == id) {
			best = c
		}
	}
	if best != nil {
		return best
	}
	for _, c := range b.rows {
		if id.IsVersionOf(c.ID) && (best == nil || len(c.ID) > len(best.ID)) {
			best = c
		}
	}
	return best
}

// set fills a feature that no earlier source has, with its fact. What is only
// inferred to be absent is left unknown.
func (b *build) set(c *bedrockkit.Capability, f bedrockkit.Feature, s bedrockkit.Support, fact bedrockkit.Fact) {
	if s == bedrockkit.Unknown || c.Supports(f) != bedrockkit.Unknown || s == bedrockkit.No && fact.Confidence == "inferred" {
		return
	}
	if s == bedrockkit.Yes {
		c.Features.Yes |= f
	} else {
		c.Features.No |= f
	}
	c.Facts["features."+f.Names()[0]] = fact
}

func (b *build) encode() ([]byte, error) {
	used := map[string]bool{}
	t := table{Schema: "./models.schema.json", Date: b.date, Sources: map[string]bedrockkit.ModelSource{}}
	for _, c := range b.rows {
		slices.Sort(c.IDs)
		slices.SortFunc(c.Profiles, func(x, y bedrockkit.Profile) int { return cmp.Compare(x.ID, y.ID) })
		for field, f := range c.Facts {
			if len(f.Sources) == 0 {
				return nil, fmt.Errorf("%s: %s has no source", c.ID, field)
			}
			for _, s := range f.Sources {
				if _, ok := b.sources[s]; !ok {
					return nil, fmt.Errorf("%s: %s has the source %q, which is not described", c.ID, field, s)
				}
				used[s] = true
			}
		}
		for _, name := range c.Features.No.Names() {
			if c.Facts["features."+name].Confidence == "inferred" {
				return nil, fmt.Errorf("%s: the feature %s is only inferred to be absent: that is unknown", c.ID, name)
			}
		}
		t.Models = append(t.Models, *c)
	}
	for name, s := range b.sources {
		if used[name] {
			t.Sources[name] = s
		}
	}
	slices.SortFunc(t.Models, func(x, y bedrockkit.Capability) int { return cmp.Compare(x.ID, y.ID) })

	// A line a source and a model, so that changes can be read.
	var out bytes.Buffer
	fmt.Fprintf(&out, "{\n\"$schema\": %q,\n\"date\": %q,\n\"sources\": {", t.Schema, t.Date)
	line := func(i int, format string, v any, args ...any) error {
		if i > 0 {
			out.WriteByte(',')
		}
		out.WriteByte('\n')
		fmt.Fprintf(&out, format, args...)
		return encodeLine(&out, v)
	}
	for i, name := range slices.Sorted(maps.Keys(t.Sources)) {
		if err := line(i, "%q: ", t.Sources[name], name); err != nil {
			return nil, err
		}
	}
	out.WriteString("\n},\n\"models\": [")
	for i, c := range t.Models {
		if err := line(i, "", c); err != nil {
			return nil, err
		}
	}
	out.WriteString("\n]\n}\n")
	return out.Bytes(), nil
}

func encodeLine(out *bytes.Buffer, v any) error {
	e := json.NewEncoder(out)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	out.Truncate(len(bytes.TrimRight(out.Bytes(), "\n")))
	return err
}

// limits fills the numbers of tokens that the price lists have.
func (b *build) limits(data []byte) error {
	var limits map[bedrockkit.ModelID]struct {
		MaxInput  int `json:"max_input"`
		MaxOutput int `json:"max_output"`
	}
	if err := strict(data, &limits); err != nil {
		return err
	}
	fact := bedrockkit.Fact{Confidence: "peer", Sources: []string{"price-lists"}}
	for _, id := range slices.Sorted(maps.Keys(limits)) {
		c := b.find(id)
		for _, row := range b.rows { // the lists leave out the version that is a part of the id
			if c == nil && row.ID.IsVersionOf(id) {
				c = row
			}
		}
		if c == nil {
			c = b.row(id)
		}
		fillLimit(c, "max_input", &c.MaxInput, limits[id].MaxInput, fact)
		fillLimit(c, "max_output", &c.MaxOutput, limits[id].MaxOutput, fact)
	}
	return nil
}

func fillLimit(c *bedrockkit.Capability, field string, to *int, n int, fact bedrockkit.Fact) {
	if *to == 0 && n > 0 {
		*to = n
		c.Facts[field] = fact
	}
}

// ids adds the ids of public lists.
func (b *build) ids(data []byte) error {
	source := ""
	for line := range strings.Lines(string(data)) {
		line = strings.TrimSpace(line)
		if name, ok := strings.CutPrefix(line, "source: "); ok {
			source = name
			continue
		}
		if line == "" || line[0] == '#' {
			continue
		}
		id := bedrockkit.ModelID(line)
		if err := id.Validate(); err != nil {
			return err
		}
		c := b.find(id)
		if c == nil {
			name, _, _ := strings.Cut(line, ":")
			c = b.row(bedrockkit.ModelID(name))
		}
		b.addID(c, id, source)
	}
	return nil
}

func (b *build) addID(c *bedrockkit.Capability, id bedrockkit.ModelID, source string) {
	if slices.Contains(c.IDs, id) {
		return
	}
	c.IDs = append(c.IDs, id)
	fact, ok := c.Facts["ids"]
	if !ok {
		fact.Confidence = "peer"
	}
	if !slices.Contains(fact.Sources, source) {
		fact.Sources = append(fact.Sources, source)
	}
	c.Facts["ids"] = fact
}

// profiles adds the system's inference profiles: id|source regions|destinations.
func (b *build) profiles(data []byte) error {
	for line := range strings.Lines(string(data)) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		parts := strings.Split(line, "|")
		if len(parts) != 3 {
			return fmt.Errorf("%q has not three parts", line)
		}
		id, route := bedrockkit.ModelID(parts[0]), bedrockkit.Route{From: strings.Fields(parts[1]), To: strings.Fields(parts[2])}
		ident, err := id.Parse()
		if err != nil {
			return err
		}
		c := b.find(ident.Base)
		if c == nil {
			name, _, _ := strings.Cut(string(ident.Base), ":")
			c = b.row(bedrockkit.ModelID(name))
		}
		b.addID(c, ident.Base, "profiles")
		i := slices.IndexFunc(c.Profiles, func(have bedrockkit.Profile) bool { return have.ID == id })
		if i < 0 {
			i = len(c.Profiles)
			c.Profiles = append(c.Profiles, bedrockkit.Profile{ID: id})
		}
		c.Profiles[i].Routes = append(c.Profiles[i].Routes, route)
		fact, ok := c.Facts["profiles"]
		if !ok {
			fact.Confidence = "peer"
		}
		if !slices.Contains(fact.Sources, "profiles") {
			fact.Sources = append(fact.Sources, "profiles")
		}
		c.Facts["profiles"] = fact
	}
	return nil
}
