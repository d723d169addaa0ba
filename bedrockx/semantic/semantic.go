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

// A Store keeps the vectors of questions, each with the key of its answer. Scopes are
// separate: a vector of one scope must never be found in another. A store may lose any
// vector at any time. It must be safe for concurrent use.
type Store interface {
	// Nearest returns the question whose vector has the greatest cosine, and the
	// cosine. If the scope has no question, it returns one with the zero Key.
	Nearest(ctx context.Context, scope cache.Key, vector []float32) (q Question, cosine float64, err error)

	// Add keeps a question. Its vector has the length 1, and the caller must not use
	// it afterwards. If the key exists, it gets the new vector.
	Add(ctx context.Context, scope cache.Key, q Question) error
}

// A Question is what a [Store] keeps about a question.
type Question struct {
	Vector []float32
	Key    cache.Key // of its answer
	Text   string    // only with Options.Accept
}

// Options are the options of [New]. The zero value of a field means its default.
type Options struct {
	// Threshold is the smallest cosine, up to 1, at which two questions can share an
	// answer. The default is 0.95.
	Threshold float64

	// Guards return what two questions must have in common in addition to their
	// meaning. The default is [Numbers], [Negations] and [Names]; a list that is empty
	// and not nil means none. No text is stored for them.
	Guards []Guard

	// Accept makes the last decision whether a question may have the answer of a kept
	// question, for example by asking a model. With it, the store keeps the text of
	// the questions with their vectors. It must be safe for concurrent use. If it
	// fails, there is no hit. The default accepts all.
	Accept func(ctx context.Context, asked, kept string) (bool, error)

	// MaxText bounds the size of a question that is embedded, in bytes. A longer
	// question is handled without Similar. The default is 2,000.
	MaxText int

	// Store keeps the vectors. The default is a [MemoryStore].
	Store Store
}

// New returns a value for CachePolicy.Similar. Make one and share it between calls.
func New(embed Embedder, optFns ...func(*Options)) bedrockx.Similar {
	s := &similar{embed: embed}
	for _, fn := range optFns {
		fn(&s.options)
	}
	if s.options.Threshold <= 0 {
		s.options.Threshold = 0.95
	}
	if s.options.Guards == nil {
		s.options.Guards = []Guard{Numbers, Negations, Names}
	}
	if s.options.MaxText <= 0 {
		s.options.MaxText = 2000
	}
	if s.options.Store == nil {
		s.options.Store = NewMemoryStore()
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
	scope = guarded(scope, text, s.options.Guards)
	add := func(key cache.Key) error {
		q := Question{Vector: vector, Key: key}
		if s.options.Accept != nil {
			q.Text = text
		}
		return s.options.Store.Add(context.WithoutCancel(ctx), scope, q)
	}
	found, cosine, err := s.options.Store.Nearest(ctx, scope, vector)
	if err != nil || !(cosine >= s.options.Threshold) { // nor if it is not a number
		return cache.Key{}, add, err
	}
	if s.options.Accept != nil && found.Key != (cache.Key{}) {
		if ok, err := s.options.Accept(ctx, text, found.Text); err != nil || !ok {
			return cache.Key{}, add, err
		}
	}
	return found.Key, add, nil
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

// MemoryOptions are the options of a [MemoryStore]. The zero value of a field means
// its default.
type MemoryOptions struct {
	// MaxVectors bounds the vectors of all scopes together; the oldest are removed
	// first. The default is 10,000.
	MaxVectors int
}

// A MemoryStore is a [Store] in the memory of the process. It compares with every
// vector of a scope. That takes about a millisecond for a thousand vectors of 1,024
// dimensions.
type MemoryStore struct {
	options MemoryOptions

	mu     sync.RWMutex
	scopes map[cache.Key][]Question // oldest first
	order  []cache.Key              // the scopes of all vectors, oldest first
}

// NewMemoryStore returns an empty store.
func NewMemoryStore(optFns ...func(*MemoryOptions)) *MemoryStore {
	m := &MemoryStore{scopes: map[cache.Key][]Question{}}
	for _, fn := range optFns {
		fn(&m.options)
	}
	if m.options.MaxVectors <= 0 {
		m.options.MaxVectors = 10_000
	}
	return m
}

// Nearest implements [Store].
func (m *MemoryStore) Nearest(ctx context.Context, scope cache.Key, vector []float32) (q Question, cosine float64, err error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	cosine = -1
	for i, e := range m.scopes[scope] {
		if i%1000 == 999 && ctx.Err() != nil {
			return Question{}, 0, ctx.Err()
		}
		if len(e.Vector) != len(vector) {
			continue // of another model
		}
		var dot float32
		for i, x := range e.Vector {
			dot += x * vector[i]
		}
		if float64(dot) > cosine {
			q, cosine = e, float64(dot)
		}
	}
	return q, cosine, nil
}

// Add implements [Store].
func (m *MemoryStore) Add(_ context.Context, scope cache.Key, q Question) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i, e := range m.scopes[scope] {
		if e.Key == q.Key {
			m.scopes[scope][i] = q
			return nil
		}
	}
	if len(m.order) >= m.options.MaxVectors {
		oldest := m.order[0]
		m.order = m.order[1:]
		if m.scopes[oldest] = m.scopes[oldest][1:]; len(m.scopes[oldest]) == 0 {
			delete(m.scopes, oldest)
		}
	}
	m.scopes[scope] = append(m.scopes[scope], q)
	m.order = append(m.order, scope)
	return nil
}
