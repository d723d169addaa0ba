package bedrocktest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// The memory of prompt caches is bounded: what has expired goes first.
func TestPromptCacheIsBounded(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	s := &Server{cache: make(map[uint64]cacheEntry)}
	fill := func(expires time.Time, keys int) {
		for i := range uint64(keys) {
			s.cache[i] = cacheEntry{expires: expires}
		}
	}
	fill(now, maxCached)
	s.cache[maxCached+1] = cacheEntry{expires: now.Add(time.Minute)}
	s.forget(now)
	assert.Len(t, s.cache, 1, "what lives stays")

	fill(now.Add(time.Minute), maxCached+1)
	s.forget(now)
	assert.Empty(t, s.cache)
}
