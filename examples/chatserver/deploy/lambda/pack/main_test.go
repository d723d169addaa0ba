package main

import (
	"archive/zip"
	"bytes"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestPack(t *testing.T) {
	folder := t.TempDir()
	program, first, second := filepath.Join(folder, "program"), filepath.Join(folder, "1.zip"), filepath.Join(folder, "2.zip")
	require.NoError(t, os.WriteFile(program, bytes.Repeat([]byte("program "), 1000), 0o600))
	size, err := pack(program, first)
	require.NoError(t, err)
	_, err = pack(program, second)
	require.NoError(t, err)
	one, err := os.ReadFile(first)
	require.NoError(t, err)
	two, err := os.ReadFile(second)
	require.NoError(t, err)
	assert.Len(t, one, int(size))
	assert.Equal(t, one, two, "the same source gives the same zip")

	z, err := zip.NewReader(bytes.NewReader(one), size)
	require.NoError(t, err)
	require.Len(t, z.File, 1)
	assert.Equal(t, "bootstrap", z.File[0].Name)
	assert.Equal(t, os.FileMode(0o755), z.File[0].Mode(), "Lambda must be able to run it")
	r, err := z.File[0].Open()
	require.NoError(t, err)
	defer r.Close()
	data, err := io.ReadAll(r)
	require.NoError(t, err)
	assert.Equal(t, 8000, len(data))
}

func TestRefuses(t *testing.T) {
	assert.ErrorContains(t, run(t.Context(), io.Discard, t.TempDir(), "386", nil), "it is arm64 or amd64")
	assert.ErrorContains(t, run(t.Context(), io.Discard, t.TempDir(), "arm64", []string{"nothing"}), "building nothing")
}

// Each function is packed.
func TestFunctions(t *testing.T) {
	mains, err := filepath.Glob("../*/main.go")
	require.NoError(t, err)
	var names []string
	for _, file := range mains {
		if name := filepath.Base(filepath.Dir(file)); name != "pack" {
			names = append(names, name)
		}
	}
	assert.ElementsMatch(t, functions, names)
}
