package bedrockkit_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit"
)

var idInText = regexp.MustCompile(`\b(ai21|amazon|anthropic|cohere|deepseek|google|luma|meta|minimax|mistral|moonshot|moonshotai|nvidia|openai|qwen|stability|twelvelabs|writer|xai|zai)\.[a-z0-9][a-z0-9.:-]*`)

// endedMayBeNamed are the files that name models that have ended, each with its
// reason.
var endedMayBeNamed = map[string]string{
	"docs/pricing.md":                         "the arithmetic of the store that the module began with, with its date",
	"pricing/example_test.go":                 "the same",
	"cmd/bedrockcost/workload.json":           "the same",
	"bedrockx/cohere/family.go":               "bodies of the models that were",
	"bedrockx/nova/family.go":                 "the same",
	"bedrocktest/op_invokemodel.go":           "the same",
	"bedrocktest/conformance/cases.json":      "what the service answers to a model that has ended",
	"models.json":                             "the table itself",
	"pricing/prices.json":                     "prices of the past stay what they were",
	"internal/modelgen/features.go":           "it reads them",
	"internal/modelgen/main_test.go":          "it tests that",
	"pricing/refresh/aliases.json":            "names of the AWS Price List",
	"cmd/bedrockcost/main_test.go":            "what a past usage cost",
	"examples/chatserver/deploy/cost_test.go": "what the models of the first design cost",
}

// No default, example or document names a model that has ended by the day of
// the table: whoever copies it would get a 404. It turns red with a new table,
// never with the calendar.
func TestNoEndedModelIsNamed(t *testing.T) {
	found := 0
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if name := d.Name(); name == "testdata" || name == "source" || name == "node_modules" || name != "." && strings.HasPrefix(name, ".") {
				return filepath.SkipDir
			}
			return nil
		}
		if !slices.Contains([]string{".go", ".md", ".json", ".js", ".html", ".py", ".yml", ".sh"}, filepath.Ext(path)) || filepath.Base(path) == "CHANGELOG.md" {
			return nil
		}
		// Tests of what was are tests; examples are read and copied.
		if strings.HasSuffix(path, "_test.go") && !strings.HasPrefix(filepath.Base(path), "example") && !strings.HasPrefix(path, "examples") {
			return nil
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, id := range idInText.FindAllString(string(data), -1) {
			found++
			c, known := bedrockkit.Capabilities(bedrockkit.ModelID(strings.TrimRight(id, ".:-")))
			if known && c.Lifecycle.Ended(time.Time{}) && endedMayBeNamed[filepath.ToSlash(path)] == "" {
				t.Errorf("%s names %s, which has ended %s; name a living model (go run ./cmd/bedrockmodels -living)", path, id, c.Lifecycle.EndOfLife)
			}
		}
		return nil
	})
	require.NoError(t, err)
	assert.Greater(t, found, 200, "the walk has found no models")
	for path := range endedMayBeNamed {
		_, err := os.Stat(path)
		assert.NoError(t, err, "there is no such file to be let off")
	}
}
