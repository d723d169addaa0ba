package bedrockkit_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit/bedrockx"
)

func read(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(name)
	require.NoError(t, err)
	return strings.ReplaceAll(string(data), "\r\n", "\n")
}

// block is the first fenced block of a language in a Markdown text.
func block(t *testing.T, text, language string) string {
	t.Helper()
	_, rest, found := strings.Cut(text, "\n```"+language+"\n")
	require.True(t, found, "there is no %s block", language)
	code, _, found := strings.Cut(rest, "```\n")
	require.True(t, found, "the %s block has no end", language)
	return code
}

// README's program is examples/hello, which the example's own test runs.
func TestReadmeCode(t *testing.T) {
	_, file, found := strings.Cut(read(t, "examples/hello/main.go"), "package main\n")
	require.True(t, found)
	assert.Equal(t, "package main\n"+file, block(t, read(t, "README.md"), "go"))
}

// README shows what the example prints.
func TestReadmeOutput(t *testing.T) {
	_, want, found := strings.Cut(read(t, "examples/hello/main_test.go"), "// Output:\n")
	require.True(t, found)
	var output strings.Builder
	for line := range strings.Lines(want) {
		if text, ok := strings.CutPrefix(line, "\t// "); ok {
			output.WriteString(text)
		}
	}
	assert.Equal(t, output.String(), block(t, read(t, "README.md"), "text"))
}

// DESIGN.md draws the pipeline of bedrockx as its package comment lists it.
func TestDesignPipeline(t *testing.T) {
	pipeline := regexp.MustCompile(`(?m)^//\tvalidate → .*$`).FindString(read(t, "bedrockx/doc.go"))
	require.NotEmpty(t, pipeline)
	drawn := regexp.MustCompile(`(?m)^  ([a-z]+) {2,}`).FindAllStringSubmatch(block(t, read(t, "DESIGN.md"), "text"), -1)
	var names []string
	for _, step := range drawn {
		names = append(names, step[1])
	}
	listed := strings.ReplaceAll(pipeline, " (Options.Middleware)", "")
	assert.Equal(t, strings.TrimPrefix(listed, "//\t"), strings.Join(names, " → "))
}

// README's two commands are those that CI runs.
func TestReadmeCommands(t *testing.T) {
	_, text, found := strings.Cut(read(t, "README.md"), "two commands")
	require.True(t, found)
	commands := strings.Split(strings.TrimSpace(block(t, text, "sh")), "\n")
	require.Len(t, commands, 2)
	ci := read(t, ".ci/run")
	for i, want := range []string{"go run ./examples/chatserver", "go test ./..."} {
		command, _, _ := strings.Cut(commands[i], "#")
		assert.Equal(t, want, strings.TrimSpace(command))
		assert.Contains(t, ci, want)
	}
}

var packageRow = regexp.MustCompile("(?m)^\\| `([a-z0-9/]+)` \\| (.*) \\|$")

// docs/packages.md names every package that a user can import, and none that is
// not there; one with no code yet is said to be planned.
func TestPackagesAreListed(t *testing.T) {
	listed := map[string]string{}
	for _, row := range packageRow.FindAllStringSubmatch(read(t, "docs/packages.md"), -1) {
		listed[row[1]] = row[2]
	}
	for dir, p := range packages(t) {
		name := dir
		if dir == "." {
			name = p.Name
		}
		switch {
		case strings.Contains("/"+dir+"/", "/internal/"), strings.HasPrefix(dir, "examples/chatserver/"):
			continue
		}
		row, ok := listed[name]
		delete(listed, name)
		if !assert.True(t, ok, "docs/packages.md lacks `%s`", name) {
			continue
		}
		planned := len(p.GoFiles) == 1 && p.GoFiles[0] == "doc.go"
		assert.Equal(t, planned, strings.HasPrefix(row, "planned"), "%s: %s", name, row)
	}
	assert.Empty(t, listed, "packages that are not there")
}

// README leads to every guide.
func TestReadmeGuides(t *testing.T) {
	readme := read(t, "README.md")
	guides, err := filepath.Glob("docs/*.md")
	require.NoError(t, err)
	for _, guide := range guides {
		assert.Contains(t, readme, "]("+filepath.ToSlash(guide), "README.md does not lead to %s", guide)
	}
}

// docs/errors.md has every kind of error, with its status.
func TestErrorsGuide(t *testing.T) {
	listed := map[string]string{}
	for _, row := range regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\| (\\d+) \\|").FindAllStringSubmatch(read(t, "docs/errors.md"), -1) {
		listed[row[1]] = row[2]
	}
	kinds := regexp.MustCompile(`(?m)^\tKind\w+ +Kind = "(\w+)"`).FindAllStringSubmatch(read(t, "bedrockx/errors.go"), -1)
	require.NotEmpty(t, kinds)
	for _, kind := range kinds {
		assert.Equal(t, strconv.Itoa(bedrockx.Kind(kind[1]).HTTPStatus()), listed[kind[1]], kind[1])
		delete(listed, kind[1])
	}
	assert.Empty(t, listed, "kinds that are not there")
}

var (
	link = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	code = regexp.MustCompile("(?ms)^```.*?^```$")
)

// Every link from one document to a file of the repository, or to a heading, leads
// somewhere.
func TestLinks(t *testing.T) {
	checked := 0
	err := filepath.WalkDir(".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && (entry.Name() == "node_modules" || entry.Name() == "testdata" || entry.Name() == ".git") {
			return fs.SkipDir
		}
		if entry.IsDir() || filepath.Ext(name) != ".md" {
			return nil
		}
		for _, found := range link.FindAllStringSubmatch(code.ReplaceAllString(read(t, name), ""), -1) {
			target, heading, _ := strings.Cut(found[1], "#")
			if strings.Contains(target, ":") {
				continue
			}
			checked++
			path := name
			if target != "" {
				path = filepath.Join(filepath.Dir(name), filepath.FromSlash(target))
			}
			if _, err := os.Stat(path); !assert.NoError(t, err, "%s links to %s", name, found[1]) || heading == "" {
				continue
			}
			assert.Contains(t, headings(read(t, path)), heading, "%s links to %s", name, found[1])
		}
		return nil
	})
	require.NoError(t, err)
	assert.NotZero(t, checked)
}

// headings are what a text's headings are linked by, as GitHub makes it.
func headings(text string) (slugs []string) {
	for _, heading := range regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllStringSubmatch(code.ReplaceAllString(text, ""), -1) {
		slug := regexp.MustCompile(`[^\p{L}\p{N} _-]`).ReplaceAllString(strings.ToLower(heading[1]), "")
		slugs = append(slugs, strings.ReplaceAll(slug, " ", "-"))
	}
	return slugs
}
