package bedrockkit_test

import (
	"io/fs"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// oldStyle are phrases that make a reader look twice, with a plainer one.
var oldStyle = map[*regexp.Regexp]string{
	regexp.MustCompile(`\bmend(s|ed|ing)?\b`):                               "fix",
	regexp.MustCompile(`\bheld against\b`):                                  "checked against",
	regexp.MustCompile(`\b(is|are|was|were|be) told\b`):                     "reads, gets, is called with",
	regexp.MustCompile(`\bof which\b`):                                      "a new sentence, or whose",
	regexp.MustCompile(`\b(whoever|whichever)\b`):                           "who, which, any",
	regexp.MustCompile(`\b(save for|lest|hence|thus|wherein|upon|shall)\b`): "except for, so that, so, in, on, must",
}

// Documents and comments have few phrases of an older English. Those that are left are
// meant: "told apart", "each of which".
func TestPlainEnglish(t *testing.T) {
	const handful = 16
	found := 0
	err := filepath.WalkDir(".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		switch path := filepath.ToSlash(name); {
		case entry.IsDir() && (entry.Name() == "node_modules" || entry.Name() == "testdata" || entry.Name() == ".git"):
			return fs.SkipDir
		case entry.IsDir(), path == "CHANGELOG.md", strings.HasPrefix(path, "docs/adr/"), strings.HasSuffix(path, "_test.go"):
			return nil
		case filepath.Ext(name) != ".md" && filepath.Ext(name) != ".go":
			return nil
		}
		for number, line := range strings.Split(read(t, name), "\n") {
			if filepath.Ext(name) == ".go" {
				_, comment, ok := strings.Cut(line, "//")
				if !ok {
					continue
				}
				line = comment
			}
			for phrase, plainer := range oldStyle {
				if phrase.MatchString(line) {
					found++
					t.Logf("%s:%d: %s\n\tplainer: %s", name, number+1, strings.TrimSpace(line), plainer)
				}
			}
		}
		return nil
	})
	require.NoError(t, err)
	assert.LessOrEqual(t, found, handful, "write it plainer; see the lines above")
}
