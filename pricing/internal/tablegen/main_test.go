package main

import (
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestShippedTableIsWhatTheSourcesMake(t *testing.T) {
	want, err := generate("../../source")
	require.NoError(t, err)
	got, err := os.ReadFile("../../prices.json")
	require.NoError(t, err)
	assert.Equal(t, string(want), string(got), "run go generate ./pricing")
}
