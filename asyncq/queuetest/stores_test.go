package queuetest

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/mangaassist/bedrockkit/asyncq"
)

func TestMemoryStatus(t *testing.T) {
	TestStatusStore(t, func(*testing.T) asyncq.StatusStore { return asyncq.NewMemoryStatus() })
}

func TestMemoryBlobs(t *testing.T) {
	TestBlobStore(t, func(*testing.T) asyncq.BlobStore { return asyncq.NewMemoryBlobs() })
}

// A wrongStatus is a store with a fault that is easily made.
type wrongStatus struct {
	asyncq.StatusStore
	create, update func(*asyncq.Status)
	force          bool // updates whatever the version is
	any            bool // updates whatever the job is
}

func (w wrongStatus) Create(ctx context.Context, s asyncq.Status) error {
	if w.create != nil {
		w.create(&s)
	}
	return w.StatusStore.Create(ctx, s)
}

func (w wrongStatus) Update(ctx context.Context, s asyncq.Status) error {
	if w.update != nil {
		w.update(&s)
	}
	if stored, err := w.Get(ctx, s.ID); err == nil && w.force {
		s.Version = stored.Version
	}
	if stored, err := w.Get(ctx, s.ID); err == nil && w.any {
		s.CreatedAt = stored.CreatedAt
	}
	return w.StatusStore.Update(ctx, s)
}

func TestWrongStatus(t *testing.T) {
	for name, tt := range map[string]struct {
		store wrongStatus
		check func(context.Context, asyncq.StatusStore) error
	}{
		"no end":              {wrongStatus{create: func(s *asyncq.Status) { s.ExpiresAt = s.CreatedAt.AddDate(1, 0, 0) }}, statusExpiry},
		"a field is lost":     {wrongStatus{create: func(s *asyncq.Status) { s.ErrorClass = "" }}, statusFields},
		"a lease stays":       {wrongStatus{update: func(s *asyncq.Status) { s.Lease = "lease" }}, statusUpdate},
		"the last writer won": {wrongStatus{force: true}, statusUpdate},
		"another job":         {wrongStatus{any: true}, statusExpiry},
		"an id is folded":     {wrongStatus{create: func(s *asyncq.Status) { s.ID = "A" }}, statusCreate},
	} {
		t.Run(name, func(t *testing.T) {
			tt.store.StatusStore = asyncq.NewMemoryStatus()
			assert.Error(t, tt.check(t.Context(), tt.store))
		})
	}
}

// A wrongBlobs overwrites.
type wrongBlobs struct{ asyncq.BlobStore }

func (w wrongBlobs) Put(ctx context.Context, key string, data []byte) error {
	_ = w.Delete(ctx, key)
	return w.BlobStore.Put(ctx, key, data)
}

func TestWrongBlobs(t *testing.T) {
	assert.Error(t, blobBasics(t.Context(), wrongBlobs{asyncq.NewMemoryBlobs()}))
}
