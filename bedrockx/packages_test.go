package bedrockx_test

import (
	"flag"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write the golden files anew")

// A service that imports bedrockx compiles the packages of this module and the
// modules of the golden list, and no others: no Redis, WebSocket, schema or
// test library.
func TestPackages(t *testing.T) {
	const golden = "testdata/packages.txt"
	out, err := exec.Command("go", "list", "-deps", "-f",
		"{{if not .Standard}}{{if .Module.Main}}{{.ImportPath}}{{else}}module {{.Module.Path}}{{end}}{{end}}", ".", "./anthropic", "./nova", "./titan", "./cohere", "./llama", "./mistral").Output()
	require.NoError(t, err)
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	slices.Sort(lines)
	lines = slices.DeleteFunc(slices.Compact(lines), func(line string) bool { return line == "" })
	for _, line := range lines {
		path, other := strings.CutPrefix(line, "module ")
		assert.True(t, !other || strings.HasPrefix(path, "github.com/aws/"), "%s is compiled into every service", path)
	}
	got := strings.Join(lines, "\n") + "\n"
	if *update {
		require.NoError(t, os.MkdirAll("testdata", 0o755))
		require.NoError(t, os.WriteFile(golden, []byte(got), 0o644))
	}
	want, err := os.ReadFile(golden)
	require.NoError(t, err)
	assert.Equal(t, string(want), got, "run the test with -update where the change is meant")
}
