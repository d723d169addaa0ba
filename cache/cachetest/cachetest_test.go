package cachetest

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/mangaassist/bedrockkit/cache"
)

// model is a right store, written to be read, with a switch for each mistake.
type model struct {
	mu      sync.Mutex
	now     time.Time
	entries map[any]cache.Entry

	wrong string
}

func (m *model) name(key cache.Key) any {
	switch m.wrong {
	case "joins namespace and tenant":
		return key.Namespace + ":" + key.Tenant + ":" + string(key.Sum[:])
	case "ignores the tenant":
		key.Tenant = ""
	case "cuts the sum":
		clear(key.Sum[8:])
	case "C strings":
		for i, c := range []byte(key.Namespace) {
			if c == 0 {
				key.Namespace = key.Namespace[:i]
				break
			}
		}
	}
	return key
}

func (m *model) Get(ctx context.Context, key cache.Key) (cache.Entry, error) {
	if ctx.Err() != nil && m.wrong != "ignores contexts" {
		return cache.Entry{}, ctx.Err()
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	e, ok := m.entries[m.name(key)]
	switch {
	case !ok && m.wrong == "a miss is no error":
		return cache.Entry{}, nil
	case !ok || !m.now.Before(e.Expires) && m.wrong != "never expires":
		return cache.Entry{}, cache.ErrNotFound
	case m.wrong == "absurd Expires":
		e.Expires = e.Expires.Add(24 * time.Hour)
	}
	return e, nil
}

func (m *model) Set(ctx context.Context, key cache.Key, value []byte, ttl time.Duration) error {
	if ctx.Err() != nil && m.wrong != "ignores contexts" {
		return ctx.Err()
	}
	if err := cache.CheckTTL(ttl); err != nil && m.wrong != "takes any TTL" {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	e := cache.Entry{Value: make([]byte, len(value)), Expires: m.now.Add(ttl)}
	copy(e.Value, value)
	old, there := m.entries[m.name(key)]
	switch m.wrong {
	case "rounds the TTL up":
		e.Expires = m.now.Add((ttl + time.Millisecond - 1).Truncate(time.Millisecond))
	case "keeps the caller's slice":
		e.Value = value
	case "spare capacity":
		e.Value = append(make([]byte, 0, len(value)+10), value...)
	case "cuts large values":
		e.Value = e.Value[:min(len(value), 65_536)]
	case "writes over the old value":
		if there && len(old.Value) == len(value) {
			copy(old.Value, value)
			e.Value = old.Value
		}
	case "keeps the first":
		if there {
			return nil
		}
	case "keeps the first TTL":
		if there {
			e.Expires = old.Expires
		}
	}
	m.entries[m.name(key)] = e
	return nil
}

func (m *model) Delete(ctx context.Context, key cache.Key) error {
	if ctx.Err() != nil && m.wrong != "ignores contexts" {
		return ctx.Err()
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	_, there := m.entries[m.name(key)]
	switch {
	case m.wrong == "Delete does nothing":
		return nil
	case m.wrong == "Delete of nothing is an error" && !there:
		return cache.ErrNotFound
	case m.wrong == "Delete of all":
		clear(m.entries)
	}
	delete(m.entries, m.name(key))
	return nil
}

func (m *model) advance(d time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.now = m.now.Add(d)
}

func (m *model) clock() time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.now
}

func newModel(wrong string) *model {
	return &model{wrong: wrong, now: time.Unix(1e9, 0), entries: map[any]cache.Entry{}}
}

func TestRightStorePasses(t *testing.T) {
	var last *model
	Run(t, func(*testing.T) cache.Store {
		last = newModel("")
		return last
	}, func(o *Options) {
		o.Advance = func(d time.Duration) { last.advance(d) }
		o.Now = func() time.Time { return last.clock() }
	})
}

// Every mistake is found, by the check that is for it.
func TestMistakesAreFound(t *testing.T) {
	for wrong, by := range map[string]string{
		"a miss is no error":            "miss",
		"absurd Expires":                "set and get",
		"keeps the first":               "overwrite",
		"Delete does nothing":           "delete",
		"Delete of nothing is an error": "delete",
		"Delete of all":                 "delete",
		"never expires":                 "expiry",
		"keeps the first TTL":           "overwriting renews the TTL",
		"takes any TTL":                 "any positive TTL",
		"rounds the TTL up":             "any positive TTL",
		"cuts large values":             "sizes",
		"C strings":                     "binary keys",
		"cuts the sum":                  "binary keys",
		"joins namespace and tenant":    "namespaces and tenants are apart",
		"ignores the tenant":            "namespaces and tenants are apart",
		"keeps the caller's slice":      "values are copies",
		"spare capacity":                "values are copies",
		"writes over the old value":     "values are copies",
		"ignores contexts":              "context is done",
	} {
		found := map[string]error{}
		for _, c := range checks {
			m := newModel(wrong)
			o := resolve([]func(*Options){func(o *Options) { o.Advance, o.Now = m.advance, m.clock }})
			if err := c.fn(t.Context(), m, o); err != nil {
				found[c.name] = err
			}
		}
		assert.Error(t, found[by], "%s: found by %v", wrong, found)
	}
}

// The values of the concurrent check are told apart.
func TestGenuine(t *testing.T) {
	v := stamped(3, 10)
	assert.True(t, genuine(v, 3))
	assert.False(t, genuine(v, 4))
	assert.False(t, genuine(v[:len(v)-1], 3))
	assert.False(t, genuine(nil, 0))
	v[7] ^= 1
	assert.False(t, genuine(v, 3))
}
