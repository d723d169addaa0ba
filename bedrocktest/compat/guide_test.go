package compat_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"
)

// What docs/migrating.md shows of anthropic-sdk-go compiles.
func TestGuideOfMigrating(t *testing.T) {
	text, err := os.ReadFile("../../docs/migrating.md")
	require.NoError(t, err)
	blocks := regexp.MustCompile("(?ms)^```go anthropic-sdk-go\n(.*?)^```$").FindAllSubmatch(text, -1)
	require.NotEmpty(t, blocks)
	for _, block := range blocks {
		dir, err := os.MkdirTemp(".", "testdata-guide-")
		require.NoError(t, err)
		defer os.RemoveAll(dir)
		program := "package main\n" +
			"import (\n\"context\"\n\"fmt\"\n\"log\"\n\"github.com/anthropics/anthropic-sdk-go\"\n\"github.com/anthropics/anthropic-sdk-go/bedrock\"\n)\n" +
			"func main() {\nctx := context.Background()\n" + string(block[1]) + "}\n"
		require.NoError(t, os.WriteFile(filepath.Join(dir, "main.go"), []byte(program), 0o666))
		out, err := exec.Command("go", "vet", "./"+dir).CombinedOutput()
		require.NoError(t, err, "%s", out)
	}
}
