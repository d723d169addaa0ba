package bedrockkit

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
)

//go:generate go run ./internal/modelgen -source internal/modelgen/source -o models.json

// Capabilities returns what is known of the model of an id, a profile or an ARN. It
// returns false for a model that is not in the table (models.json), and for an ARN
// that does not name its model. The methods of the Capability then return Unknown, and
// a caller should not refuse anything. The table is parsed once, on the first call.
func Capabilities(id ModelID) (Capability, bool) {
	base := string(id.Base())
	if base == "" {
		return Capability{}, false
	}
	t := models()
	if c, ok := t.byID[base]; ok {
		return *c, true
	}
	// The longest id that what follows is only a version of.
	for i := len(base); i > 0; i = strings.LastIndexAny(base[:i], "-:") {
		if c, ok := t.byID[base[:i]]; ok && string(c.ID) == base[:i] && isVersion(base[i:]) {
			return *c, true
		}
	}
	return Capability{}, false
}

// Models returns all models of the table, sorted by id.
func Models() []Capability { return slices.Clone(models().Models) }

// ModelsDate returns the day of the table, such as 2026-11-29.
func ModelsDate() string { return models().Date }

// ModelSource is a source of facts.
type ModelSource struct {
	Title string `json:"title"`
	URL   string `json:"url,omitempty"`
	Date  string `json:"date"` // when it was read or published: a day or a month
}

// ModelSources returns the sources that [Fact] names, by name.
func ModelSources() map[string]ModelSource { return maps.Clone(models().Sources) }

// IsVersionOf reports whether the id is the id of base followed only by a version. For
// example, anthropic.claude-haiku-4-5-20251001-v1:0 is a version of
// anthropic.claude-haiku-4-5. Both must be ids of base models; see [ModelID.Base].
func (id ModelID) IsVersionOf(base ModelID) bool {
	rest, ok := strings.CutPrefix(string(id), string(base))
	return ok && base != "" && isVersion(rest)
}

// isVersion reports whether the rest of an id says which version of a model it
// is, as "-20251001-v1:0", "-v1:0" and "" do, and not another model, as "-5".
func isVersion(rest string) bool {
	if rest == "" || strings.HasPrefix(rest, ":") {
		return true
	}
	rest, ok := strings.CutPrefix(rest, "-")
	first, _, _ := strings.Cut(rest, "-")
	if !ok || first == "" {
		return false
	}
	if first[0] == 'v' {
		return len(first) > 1 && '0' <= first[1] && first[1] <= '9'
	}
	return len(first) == len("20251001") && strings.Trim(first, "0123456789") == ""
}

//go:embed models.json
var modelsJSON []byte

type modelTable struct {
	Date    string                 `json:"date"`
	Sources map[string]ModelSource `json:"sources"`
	Models  []Capability           `json:"models"`

	byID map[string]*Capability // by ID and by each of IDs
}

var models = sync.OnceValue(func() *modelTable {
	t := &modelTable{}
	if err := json.Unmarshal(modelsJSON, t); err != nil {
		panic(fmt.Sprintf("bedrockkit: models.json: %v", err)) // a test reads it
	}
	t.byID = make(map[string]*Capability, 2*len(t.Models))
	for i := range t.Models {
		c := &t.Models[i]
		for _, id := range c.IDs {
			t.byID[string(id)] = c
		}
	}
	for i := range t.Models {
		t.byID[string(t.Models[i].ID)] = &t.Models[i]
	}
	return t
})
