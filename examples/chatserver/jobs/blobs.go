package jobs

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/mangaassist/bedrockkit/asyncq"
)

// maxBlobs bounds the results that are kept in memory, in bytes.
const maxBlobs = 64 << 20

// memoryBlobs is an [asyncq.BlobStore] in memory that forgets the oldest results, so
// that a server may run for as long as it likes.
type memoryBlobs struct {
	asyncq.BlobStore
	max int

	mu    sync.Mutex
	order *list.List // of blob, the oldest in front
	bytes int
}

type blob struct {
	key  string
	size int
}

func newMemoryBlobs(maxBytes int) *memoryBlobs {
	return &memoryBlobs{BlobStore: asyncq.NewMemoryBlobs(), max: maxBytes, order: list.New()}
}

// Put implements [asyncq.BlobStore].
func (m *memoryBlobs) Put(ctx context.Context, key string, data []byte) error {
	if len(data) > m.max {
		return fmt.Errorf("storing %s: it has %d bytes; there is room for %d", key, len(data), m.max)
	}
	if err := m.BlobStore.Put(ctx, key, data); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.order.PushBack(blob{key, len(data)})
	for m.bytes += len(data); m.bytes > m.max; {
		oldest := m.order.Remove(m.order.Front()).(blob)
		m.bytes -= oldest.size
		if err := m.Delete(context.WithoutCancel(ctx), oldest.key); err != nil && !errors.Is(err, asyncq.ErrNotFound) {
			return err
		}
	}
	return nil
}
