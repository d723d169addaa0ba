package jobs

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit/asyncq"
	"github.com/mangaassist/bedrockkit/asyncq/queuetest"
)

func TestMemoryBlobsConform(t *testing.T) {
	queuetest.TestBlobStore(t, func(*testing.T) asyncq.BlobStore { return newMemoryBlobs(maxBlobs) })
}

// The oldest results are forgotten, and memory has its bound.
func TestMemoryBlobsForget(t *testing.T) {
	m := newMemoryBlobs(100)
	for i := range 50 {
		require.NoError(t, m.Put(t.Context(), fmt.Sprint(i), make([]byte, 30)))
		assert.LessOrEqual(t, m.bytes, 100)
	}
	_, err := m.Get(t.Context(), "46")
	require.ErrorIs(t, err, asyncq.ErrNotFound)
	_, err = m.Get(t.Context(), "47")
	require.NoError(t, err)
	require.Error(t, m.Put(t.Context(), "large", make([]byte, 101)))
	require.ErrorIs(t, m.Put(t.Context(), "49", nil), asyncq.ErrExists)
	assert.Equal(t, 3, m.order.Len())
}
