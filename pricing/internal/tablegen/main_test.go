package main

import (
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestShippedTableIsWhatTheSourcesMake(t *testing.T) {
	table, disagreements, err := generate("../../source")
	require.NoError(t, err)
	for name, want := range map[string][]byte{"../../prices.json": table, "../../source/disagreements.txt": disagreements} {
		got, err := os.ReadFile(name)
		require.NoError(t, err)
		assert.True(t, string(want) == string(got), "%s: run go generate ./pricing", name)
	}
}
