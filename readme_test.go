package bedrockkit_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
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

// README's code is the end of the function main of examples/hello, which the
// example's own test runs.
func TestReadmeCode(t *testing.T) {
	var indented strings.Builder
	for line := range strings.Lines(block(t, read(t, "README.md"), "go")) {
		if line != "\n" {
			indented.WriteByte('\t')
		}
		indented.WriteString(line)
	}
	file := read(t, "examples/hello/main.go")
	assert.True(t, strings.HasSuffix(file, "\n"+indented.String()+"}\n"),
		"README.md shows\n%s\nexamples/hello/main.go is\n%s", indented.String(), file)
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

// The two commands that README starts with are those that CI runs.
func TestReadmeCommands(t *testing.T) {
	commands := strings.Split(strings.TrimSpace(block(t, read(t, "README.md"), "sh")), "\n")
	require.Len(t, commands, 2)
	ci := read(t, ".ci/run")
	for i, want := range []string{"go run ./examples/chatserver", "go test ./..."} {
		command, _, _ := strings.Cut(commands[i], "#")
		assert.Equal(t, want, strings.TrimSpace(command))
		assert.Contains(t, ci, want)
	}
}

var packageRow = regexp.MustCompile("(?m)^\\| `([a-z0-9/]+)` \\| (.*) \\|$")

// README's table names every package that a user can import, and none that is
// not there; one with no code yet is said to be planned.
func TestReadmePackages(t *testing.T) {
	listed := map[string]string{}
	for _, row := range packageRow.FindAllStringSubmatch(read(t, "README.md"), -1) {
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
		if !assert.True(t, ok, "README's table lacks `%s`", name) {
			continue
		}
		planned := len(p.GoFiles) == 1 && p.GoFiles[0] == "doc.go"
		assert.Equal(t, planned, strings.HasPrefix(row, "planned"), "%s: %s", name, row)
	}
	assert.Empty(t, listed, "packages that are not there")
}

var link = regexp.MustCompile(`\]\(([^)\s]+)\)`)

// Every link from one document to a file of the repository leads somewhere.
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
		for _, found := range link.FindAllStringSubmatch(read(t, name), -1) {
			target, _, _ := strings.Cut(found[1], "#")
			if target == "" || strings.Contains(target, ":") {
				continue
			}
			checked++
			_, err := os.Stat(filepath.Join(filepath.Dir(name), filepath.FromSlash(target)))
			assert.NoError(t, err, "%s links to %s", name, found[1])
		}
		return nil
	})
	require.NoError(t, err)
	assert.NotZero(t, checked)
}
