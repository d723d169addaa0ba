package semantic_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/bedrocktest"
	"github.com/mangaassist/bedrockkit/bedrockx"
	"github.com/mangaassist/bedrockkit/bedrockx/anthropic"
	"github.com/mangaassist/bedrockkit/bedrockx/semantic"
	"github.com/mangaassist/bedrockkit/cache"
	"github.com/mangaassist/bedrockkit/cache/memcache"
	"github.com/mangaassist/bedrockkit/converse"
)

const model = "us.anthropic.claude-haiku-4-5-20251001-v1:0"

// meaning is an embedder that knows what a few questions mean.
func meaning(_ context.Context, text string) ([]float32, error) {
	switch text {
	case "When do you open?":
		return []float32{2, 0, 0}, nil
	case "What are your opening hours?":
		return []float32{0.99, 0.1, 0}, nil
	case "Do you ship?":
		return []float32{0, 1, 0}, nil
	case "nothing":
		return nil, nil
	case "odd":
		return []float32{float32(math.NaN())}, nil
	}
	return nil, errors.New("no connection")
}

type shop struct {
	*testing.T
	srv    *bedrocktest.Server
	c      *bedrockx.Cache
	client *bedrockx.Client
	chat   *converse.Client
	told   []error
}

func open(t *testing.T, similar bedrockx.Similar) *shop {
	s := &shop{T: t, srv: bedrocktest.NewServer(t, func(o *bedrocktest.Options) {
		o.InProcess = true
		o.Responder = func(_ context.Context, req *bedrocktest.Request) *bedrocktest.Reply {
			return bedrocktest.Text("answer to " + req.LastText())
		}
	})}
	s.c = bedrockx.NewCache(memcache.New(), func(o *bedrockx.CacheOptions) {
		o.OnError = func(_ context.Context, err error) { s.told = append(s.told, err) }
	})
	s.client = bedrockx.New(s.srv.Client(), func(o *bedrockx.Options) {
		o.Cache, o.CachePolicy.Similar = s.c, similar
	})
	s.chat = converse.New(s.client, func(o *converse.Options) { o.Model, o.Temperature = model, new(float64) })
	return s
}

func (s *shop) ask(text string, change ...func(*converse.Request)) (string, bool) {
	s.Helper()
	req := converse.Request{Messages: []converse.Message{converse.User(text)}}
	for _, fn := range change {
		fn(&req)
	}
	r, err := s.chat.Send(s.Context(), req)
	require.NoError(s, err)
	return r.Text(), r.CacheHit
}

func TestSimilarQuestion(t *testing.T) {
	s := open(t, semantic.New(meaning))
	_, hit := s.ask("When do you open?")
	require.False(t, hit)
	text, hit := s.ask("What are your opening hours?")
	assert.True(t, hit)
	assert.Equal(t, "answer to When do you open?", text)
	text, hit = s.ask("Do you ship?")
	assert.False(t, hit)
	assert.Equal(t, "answer to Do you ship?", text)
	stats := s.c.Stats()
	assert.EqualValues(t, 1, stats.Hits)
	assert.EqualValues(t, 1, stats.Similar)

	// Streams too.
	stream, err := s.chat.Stream(t.Context(), converse.Request{Messages: []converse.Message{converse.User("What are your opening hours?")}})
	require.NoError(t, err)
	for _, err := range stream.Events() {
		require.NoError(t, err)
	}
	assert.True(t, stream.Result().CacheHit)
	assert.Equal(t, "answer to When do you open?", stream.Result().Text())

	// All but the question must be equal, and it must be the only message.
	const like = "What are your opening hours?"
	for name, change := range map[string]func(*converse.Request){
		"system":     func(r *converse.Request) { r.System = converse.Contents{converse.Text("s")} },
		"max tokens": func(r *converse.Request) { r.MaxTokens = 7 },
		"history": func(r *converse.Request) {
			r.Messages = []converse.Message{converse.User("When do you open?"), converse.Assistant("a"), converse.User(like)}
		},
		"two texts": func(r *converse.Request) {
			r.Messages[0].Content = append(r.Messages[0].Content, converse.Text("Tell me."))
		},
		"an image": func(r *converse.Request) {
			r.Messages[0].Content = append(r.Messages[0].Content, converse.Image{Format: "png", Bytes: []byte("\x89PNG\r\n\x1a\n")})
		},
	} {
		_, hit := s.ask(like, change)
		assert.False(t, hit, name)
	}
	r, err := s.chat.Send(t.Context(), converse.Request{Messages: []converse.Message{converse.User(like)}}, converse.Call(func(o *bedrockx.Options) { o.Tenant = "another" }))
	require.NoError(t, err)
	assert.False(t, r.CacheHit, "another tenant")
	assert.Empty(t, s.told)
}

// What is wrong with the embedding does not hurt the call.
func TestWithoutEmbedding(t *testing.T) {
	s := open(t, semantic.New(meaning))
	for _, question := range []string{"unknown", "nothing", "odd"} {
		text, hit := s.ask(question)
		assert.Equal(t, "answer to "+question, text)
		assert.False(t, hit)
	}
	assert.Len(t, s.told, 3)
	_, hit := s.ask(strings.Repeat("long ", 1000))
	assert.False(t, hit)
	assert.Len(t, s.told, 3, "what is too long is not embedded")
	_, hit = s.ask("unknown")
	assert.True(t, hit, "the question itself is found without")
}

// signed is a body whose message has a name beside its text.
type signed struct{ name, text string }

func (s signed) EncodeInvoke(bedrockkit.ModelID) (json.RawMessage, error) {
	return fmt.Appendf(nil, `{"anthropic_version":"bedrock-2023-05-31","max_tokens":9,"temperature":0,
		"messages":[{"role":"user","name":%q,"content":%q}]}`, s.name, s.text), nil
}

func (s signed) DecodeInvoke(body json.RawMessage) (anthropic.Response, bedrockkit.Usage, bedrockkit.StopReason, error) {
	return anthropic.Request{}.DecodeInvoke(body)
}

// What a message has beside its text is not lost.
func TestMessageWithMore(t *testing.T) {
	s := open(t, semantic.New(meaning))
	for _, q := range []signed{{"Mallory", "When do you open?"}, {"Alice", "What are your opening hours?"}} {
		r, err := bedrockx.Invoke(t.Context(), s.client, model, q)
		require.NoError(t, err)
		assert.False(t, r.CacheHit)
		assert.Equal(t, "answer to "+q.text, r.Output.Text())
	}
}

// addsNothing finds nothing and wants nothing added.
type addsNothing struct{}

func (addsNothing) Find(context.Context, cache.Key, string) (cache.Key, func(cache.Key) error, error) {
	return cache.Key{}, nil, nil
}

func TestNothingToAdd(t *testing.T) {
	s := open(t, addsNothing{})
	text, hit := s.ask("When do you open?")
	assert.False(t, hit)
	assert.Equal(t, "answer to When do you open?", text)
}

// lying is a store that finds an entry of another tenant.
type lying struct{ key cache.Key }

func (l *lying) Nearest(context.Context, cache.Key, []float32) (semantic.Question, float64, error) {
	return semantic.Question{Key: l.key}, 1, nil
}

func (l *lying) Add(_ context.Context, _ cache.Key, q semantic.Question) error {
	l.key = q.Key
	return nil
}

func TestForeignEntry(t *testing.T) {
	s := open(t, semantic.New(meaning, func(o *semantic.Options) { o.Store = &lying{} }))
	s.ask("When do you open?")
	r, err := s.chat.Send(t.Context(), converse.Request{Messages: []converse.Message{converse.User("Do you ship?")}}, converse.Call(func(o *bedrockx.Options) { o.Tenant = "another" }))
	require.NoError(t, err)
	assert.False(t, r.CacheHit)
}

// The bodies of InvokeModel, and the embeddings of Titan and Cohere.
func TestEmbedders(t *testing.T) {
	srv := bedrocktest.NewServer(t, func(o *bedrocktest.Options) {
		o.InProcess = true
		o.Responder = func(context.Context, *bedrocktest.Request) *bedrocktest.Reply { return bedrocktest.Text("At ten.") }
	})
	plain := bedrockx.New(srv.Client())
	for name, embed := range map[string]semantic.Embedder{
		"titan":  semantic.Titan(plain, "amazon.titan-embed-text-v2:0"),
		"cohere": semantic.Cohere(plain, "cohere.embed-english-v3"),
	} {
		t.Run(name, func(t *testing.T) {
			similar := semantic.New(embed, func(o *semantic.Options) { o.Threshold = 0.7 })
			client := bedrockx.New(srv.Client(), func(o *bedrockx.Options) {
				o.Cache, o.CachePolicy.Similar = bedrockx.NewCache(memcache.New()), similar
			})
			ask := func(text string) bool {
				r, err := bedrockx.Invoke(t.Context(), client, model, anthropic.Request{
					MaxTokens: 100, Temperature: new(float64), Messages: []anthropic.Message{anthropic.User(text)},
				})
				require.NoError(t, err)
				assert.Equal(t, "At ten.", r.Output.Text())
				return r.CacheHit
			}
			assert.False(t, ask("when does the shop open in the morning"))
			assert.True(t, ask("when does the shop open in the early morning"))
			assert.False(t, ask("volume three of berserk"))
		})
	}
	for _, embed := range []semantic.Embedder{semantic.Titan(plain, "no model"), semantic.Cohere(plain, "no model")} {
		_, err := embed(t.Context(), "x")
		assert.ErrorIs(t, err, bedrockx.ErrValidation)
	}
}

func TestMemory(t *testing.T) {
	m := semantic.NewMemoryStore(func(o *semantic.MemoryOptions) { o.MaxVectors = 3 })
	scope, other := cache.Key{Tenant: "a"}, cache.Key{Tenant: "b"}
	key := func(n byte) cache.Key { return cache.Key{Tenant: "a", Sum: [32]byte{n}} }
	add := func(scope cache.Key, n byte, v ...float32) {
		require.NoError(t, m.Add(t.Context(), scope, semantic.Question{Vector: v, Key: key(n)}))
	}
	nearest := func(scope cache.Key, v ...float32) (byte, float64) {
		q, cosine, err := m.Nearest(t.Context(), scope, v)
		require.NoError(t, err)
		return q.Key.Sum[0], cosine
	}
	n, _ := nearest(scope, 1, 0)
	assert.Zero(t, n, "empty")
	add(scope, 1, 1, 0)
	add(scope, 2, 0, 1)
	add(other, 3, 0.6, 0.8)
	n, cosine := nearest(scope, 0.6, 0.8)
	assert.EqualValues(t, 2, n)
	assert.InDelta(t, 0.8, cosine, 1e-6)
	n, _ = nearest(scope, 1)
	assert.Zero(t, n, "a vector of another model")
	add(scope, 2, -1, 0)
	n, _ = nearest(scope, 0, 1)
	assert.EqualValues(t, 1, n, "a key has one vector")
	add(scope, 4, 0, 1)
	n, cosine = nearest(scope, 1, 0)
	assert.EqualValues(t, 4, n, "the oldest has gone")
	assert.Zero(t, cosine)
	n, _ = nearest(other, 1, 0)
	assert.EqualValues(t, 3, n)
}

func TestStatsJSON(t *testing.T) {
	data, err := json.Marshal(bedrockx.CacheStats{Similar: 1})
	require.NoError(t, err)
	assert.Contains(t, string(data), `"similar":1`)
}
