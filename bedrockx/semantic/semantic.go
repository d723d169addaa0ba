package semantic

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/bedrockx"
	"github.com/mangaassist/bedrockkit/bedrockx/cohere"
	"github.com/mangaassist/bedrockkit/bedrockx/titan"
	"github.com/mangaassist/bedrockkit/cache"
)

// An Embedder returns the vector of a text. It must be safe for concurrent use.
type Embedder func(ctx context.Context, text string) ([]float32, error)

// Titan embeds with Titan Text Embeddings. The options are those of each call.
func Titan(c *bedrockx.Client, model bedrockkit.ModelID, optFns ...func(*bedrockx.Options)) Embedder {
	return func(ctx context.Context, text string) ([]float32, error) {
		r, err := bedrockx.Invoke(ctx, c, model, titan.EmbedRequest{InputText: text}, optFns...)
		if err != nil {
			return nil, err
		}
		return r.Output.Embedding, nil
	}
}

// Cohere embeds with Cohere Embed. The options are those of each call.
func Cohere(c *bedrockx.Client, model bedrockkit.ModelID, optFns ...func(*bedrockx.Options)) Embedder {
	return func(ctx context.Context, text string) ([]float32, error) {
		r, err := bedrockx.Invoke(ctx, c, model, cohere.EmbedRequest{InputType: cohere.SearchQuery, Texts: []string{text}}, optFns...)
		if err != nil {
			return nil, err
		}
		if len(r.Output.Embeddings.Float) != 1 {
			return nil, fmt.Errorf("%s returned %d vectors for one text", model, len(r.Output.Embeddings.Float))
		}
		return r.Output.Embeddings.Float[0], nil
	}
}

// A Store keeps the vectors of questions, and by each the key of its answer. A
// scope is a space of its own: nothing of one may be found in another. It may
// lose any vector at any time. It must be safe for concurrent use.
type Store interface {
	// Nearest returns the key of the vector with the greatest cosine, and that
	// cosine; the zero Key where the scope has none.
	Nearest(ctx context.Context, scope cache.Key, vector []float32) (key cache.Key, cosine float64, err error)

	// Add keeps a vector, of the length 1. It is the store's from then on.
	Add(ctx context.Context, scope cache.Key, vector []float32, key cache.Key) error
}

// Options are those of [New]. The zero value of a field means its default.
type Options struct {
	// Threshold is how great the cosine of two questions must be, up to 1, for
	// one to have the answer to the other. The default is 0.95.
	Threshold float64

	// MaxText bounds a question that is embedded, in bytes; a longer one is
	// asked as if there were no Similar. The default is 2,000.
	MaxText int

	// Store keeps the vectors. The default is a [Memory].
	Store Store
}

// New returns what Caching.Similar takes. Calls share it.
func New(embed Embedder, optFns ...func(*Options)) bedrockx.Similar {
	s := &similar{embed: embed}
	for _, fn := range optFns {
		fn(&s.options)
	}
	if s.options.Threshold <= 0 {
		s.options.Threshold = 0.95
	}
	if s.options.MaxText <= 0 {
		s.options.MaxText = 2000
	}
	if s.options.Store == nil {
		s.options.Store = &Memory{}
	}
	return s
}

type similar struct {
	embed   Embedder
	options Options
}

// Find implements [bedrockx.Similar].
func (s *similar) Find(ctx context.Context, scope cache.Key, text string) (cache.Key, func(cache.Key) error, error) {
	none := func(cache.Key) error { return nil }
	if len(text) > s.options.MaxText {
		return cache.Key{}, none, nil
	}
	vector, err := s.embed(ctx, text)
	if err != nil {
		return cache.Key{}, none, fmt.Errorf("embedding: %w", err)
	}
	if vector, err = normalized(vector); err != nil {
		return cache.Key{}, none, fmt.Errorf("embedding: %w", err)
	}
	add := func(key cache.Key) error {
		return s.options.Store.Add(context.WithoutCancel(ctx), scope, vector, key)
	}
	key, cosine, err := s.options.Store.Nearest(ctx, scope, vector)
	if err != nil {
		return cache.Key{}, add, err
	}
	if !(cosine >= s.options.Threshold) { // nor where it is no number
		key = cache.Key{}
	}
	return key, add, nil
}

// normalized returns a copy of the length 1.
func normalized(v []float32) ([]float32, error) {
	var sum float64
	for _, x := range v {
		sum += float64(x) * float64(x)
	}
	if sum == 0 || math.IsNaN(sum) || math.IsInf(sum, 0) {
		return nil, errors.New("the vector is empty or has no direction")
	}
	out, length := make([]float32, len(v)), math.Sqrt(sum)
	for i, x := range v {
		out[i] = float32(float64(x) / length)
	}
	return out, nil
}

// Memory is a [Store] in the memory of the process. Its zero value is ready to
// use. It compares with every vector of a scope, which takes about a
// millisecond for a thousand of 1,024 dimensions.
type Memory struct {
	// MaxVectors bounds the vectors of all scopes together; the oldest go
	// first. The default is 10,000. It must not be changed after the first use.
	MaxVectors int

	mu     sync.RWMutex
	scopes map[cache.Key][]entry // oldest first
	order  []cache.Key           // the scopes of all vectors, oldest first
}

type entry struct {
	vector []float32
	key    cache.Key
}

// Nearest implements [Store].
func (m *Memory) Nearest(ctx context.Context, scope cache.Key, vector []float32) (key cache.Key, cosine float64, err error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	cosine = -1
	for i, e := range m.scopes[scope] {
		if i%1000 == 999 && ctx.Err() != nil {
			return cache.Key{}, 0, ctx.Err()
		}
		if len(e.vector) != len(vector) {
			continue // of another model
		}
		var dot float32
		for i, x := range e.vector {
			dot += x * vector[i]
		}
		if float64(dot) > cosine {
			key, cosine = e.key, float64(dot)
		}
	}
	return key, cosine, nil
}

// Add implements [Store]. A key that is there already gets the new vector.
func (m *Memory) Add(_ context.Context, scope cache.Key, vector []float32, key cache.Key) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.scopes == nil {
		m.scopes = map[cache.Key][]entry{}
	}
	for i, e := range m.scopes[scope] {
		if e.key == key {
			m.scopes[scope][i].vector = vector
			return nil
		}
	}
	most := m.MaxVectors
	if most <= 0 {
		most = 10_000
	}
	if len(m.order) >= most {
		oldest := m.order[0]
		m.order = m.order[1:]
		if m.scopes[oldest] = m.scopes[oldest][1:]; len(m.scopes[oldest]) == 0 {
			delete(m.scopes, oldest)
		}
	}
	m.scopes[scope] = append(m.scopes[scope], entry{vector, key})
	m.order = append(m.order, scope)
	return nil
}
