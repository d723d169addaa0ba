package fileblobs_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit/asyncq"
	"github.com/mangaassist/bedrockkit/asyncq/fileblobs"
	"github.com/mangaassist/bedrockkit/asyncq/queuetest"
)

func open(t *testing.T, dir string, optFns ...func(*fileblobs.Options)) *fileblobs.Store {
	s, err := fileblobs.New(dir, optFns...)
	require.NoError(t, err)
	return s
}

func TestConformance(t *testing.T) {
	queuetest.TestBlobStore(t, func(t *testing.T) asyncq.BlobStore { return open(t, filepath.Join(t.TempDir(), "a", "b")) })
}

// What was stored is there for the next process, and nothing lies outside of the
// folder or half written in it.
func TestFolder(t *testing.T) {
	dir := t.TempDir()
	s := open(t, filepath.Join(dir, "blobs"))
	for _, key := range []string{"../../a", "/etc/passwd", "a\x00b", "COM1"} {
		require.NoError(t, s.Put(t.Context(), key, []byte(key)))
		require.ErrorIs(t, s.Put(t.Context(), key, []byte("other")), asyncq.ErrExists)
	}
	again := open(t, filepath.Join(dir, "blobs"))
	data, err := again.Get(t.Context(), "../../a")
	require.NoError(t, err)
	assert.Equal(t, "../../a", string(data))
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	assert.Len(t, entries, 1)
	entries, err = os.ReadDir(filepath.Join(dir, "blobs"))
	require.NoError(t, err)
	assert.Len(t, entries, 5, "and the folder of what is being written")
	entries, err = os.ReadDir(filepath.Join(dir, "blobs", "new"))
	require.NoError(t, err)
	assert.Empty(t, entries)
}

// What a killed process has left half written is deleted later, and what another one
// is writing now is not.
func TestHalfWritten(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	require.NoError(t, s.Put(t.Context(), "a", []byte("1")))
	old, young := filepath.Join(dir, "new", "1"), filepath.Join(dir, "new", "2")
	for _, file := range []string{old, young} {
		require.NoError(t, os.WriteFile(file, []byte("half"), 0o600))
	}
	require.NoError(t, os.Chtimes(old, time.Time{}, time.Now().Add(-2*time.Hour)))
	again := open(t, dir)
	assert.NoFileExists(t, old)
	assert.FileExists(t, young)
	_, err := again.Get(t.Context(), "a")
	require.NoError(t, err)
}

func TestMaxBytes(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, open(t, dir).Put(t.Context(), "a", make([]byte, 11)))
	s := open(t, dir, func(o *fileblobs.Options) { o.MaxBytes = 10 })
	_, err := s.Get(t.Context(), "a")
	require.ErrorContains(t, err, "more than 10 bytes")
	require.ErrorContains(t, s.Put(t.Context(), "b", make([]byte, 11)), "more than 10")
	require.NoError(t, s.Put(t.Context(), "b", make([]byte, 10)))
}
