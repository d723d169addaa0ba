package asyncq

import (
	"bytes"
	"context"
	"fmt"
	"sync"
)

// A BlobStore keeps results, and payloads that are too large for a message. It must be
// safe for concurrent use, and must return when its context is done.
// queuetest.TestBlobStore is its conformance suite.
type BlobStore interface {
	// Put stores data under a new key. If the key exists, it does not change the
	// stored data and returns an error that wraps [ErrExists]. So a job that ran twice
	// has one result.
	Put(ctx context.Context, key string, data []byte) error

	// Get returns the stored data. If the key does not exist, the error wraps
	// [ErrNotFound].
	Get(ctx context.Context, key string) ([]byte, error)

	// Delete removes a key. It is not an error if there is none.
	Delete(ctx context.Context, key string) error
}

// NewMemoryBlobs returns a BlobStore in memory, for tests and for programs of one
// process.
func NewMemoryBlobs() *MemoryBlobs { return &MemoryBlobs{blobs: map[string][]byte{}} }

// MemoryBlobs is a BlobStore in memory. Nothing in it expires.
type MemoryBlobs struct {
	mu    sync.Mutex
	blobs map[string][]byte
}

// Put implements [BlobStore].
func (m *MemoryBlobs) Put(ctx context.Context, key string, data []byte) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, ok := m.blobs[key]; ok {
		return fmt.Errorf("storing %s: %w", key, ErrExists)
	}
	m.blobs[key] = bytes.Clone(data)
	return nil
}

// Get implements [BlobStore].
func (m *MemoryBlobs) Get(ctx context.Context, key string) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	data, ok := m.blobs[key]
	if !ok {
		return nil, fmt.Errorf("%s: %w", key, ErrNotFound)
	}
	return bytes.Clone(data), nil
}

// Delete implements [BlobStore].
func (m *MemoryBlobs) Delete(ctx context.Context, key string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.blobs, key)
	return nil
}
