package retrieve_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/bedrocktest"
	"github.com/mangaassist/bedrockkit/bedrockx"
	"github.com/mangaassist/bedrockkit/examples/chatserver/retrieve"
	"github.com/mangaassist/bedrockkit/pricing"
)

func newFake(t *testing.T) (*bedrocktest.Server, *bedrockx.Client) {
	t.Helper()
	fake, err := bedrocktest.New(func(o *bedrocktest.Options) { o.InProcess = true })
	require.NoError(t, err)
	t.Cleanup(func() { fake.Close() })
	return fake, bedrockx.New(fake.Client())
}

var shelf = []retrieve.Document{
	{ID: "titan", Text: "Giant titans besiege the last walled city.", Fields: map[string][]string{"genre": {"action", "horror"}}},
	{ID: "piano", Text: "A boy finds a piano in the forest.", Fields: map[string][]string{"genre": {"music"}}},
	{ID: "cook", Text: "An apprentice learns to cook for the court.", Fields: map[string][]string{"genre": {"food"}}},
}

func TestIndex(t *testing.T) {
	fake, client := newFake(t)
	// The fake has no Nova embeddings. These tell what has a piano from what has not.
	fake.Control(bedrockkit.OpInvokeModel, func(_ context.Context, r *bedrocktest.Request) *bedrocktest.Reply {
		if !strings.Contains(string(r.Model), "nova") {
			return nil
		}
		vector := `[0,1,0]`
		switch body := string(r.Body); {
		case strings.Contains(body, `"a piano"`):
			vector = `[1,0,0]`
		case strings.Contains(body, "piano"):
			vector = `[1,0.5,0]`
		}
		body := `{"embeddings":[{"embeddingType":"TEXT","embedding":` + vector + `}]}`
		return bedrocktest.Body(200, "application/json", []byte(body)).Header("X-Amzn-Bedrock-Input-Token-Count", "7")
	}).Keep()
	for name, tt := range map[string]struct {
		embed      retrieve.Embedder
		model      string
		dimensions string
		purposes   []string
	}{
		"Titan": {retrieve.Titan(client, "amazon.titan-embed-text-v2:0", 512), "amazon.titan-embed-text-v2:0", `"dimensions":512`, nil},
		"Nova": {retrieve.Nova(client, "amazon.nova-2-multimodal-embeddings-v1:0", 384), "amazon.nova-2-multimodal-embeddings-v1:0", `"embeddingDimension":384`,
			[]string{"GENERIC_INDEX", "GENERIC_INDEX", "GENERIC_INDEX", "TEXT_RETRIEVAL"}},
	} {
		t.Run(name, func(t *testing.T) {
			before := len(fake.Requests())
			index := retrieve.New(tt.embed, &retrieve.Memory{})
			spent, err := index.Add(t.Context(), shelf)
			require.NoError(t, err)
			assert.Equal(t, 3, spent.Texts)
			assert.Positive(t, spent.Usage.InputTokens)
			require.NotNil(t, spent.Cost)
			assert.Equal(t, 1, spent.Cost.Sign())

			found, one, err := index.Search(t.Context(), "a piano", func(o *retrieve.SearchOptions) { o.K = 1 })
			require.NoError(t, err)
			require.Len(t, found, 1)
			assert.Equal(t, shelf[1], found[0].Document)
			assert.Equal(t, 1, one.Texts)
			assert.Negative(t, one.Cost.Cmp(*spent.Cost))

			requests := fake.Requests()[before:]
			require.Len(t, requests, 4)
			for i, r := range requests {
				assert.Equal(t, tt.model, string(r.Model))
				assert.Contains(t, string(r.Body), tt.dimensions)
				if tt.purposes != nil {
					assert.Contains(t, string(r.Body), tt.purposes[i])
				}
			}

			found, _, err = index.Search(t.Context(), "a piano", func(o *retrieve.SearchOptions) {
				o.Filter = map[string][]string{"genre": {"action", "food"}}
			})
			require.NoError(t, err)
			for _, m := range found {
				assert.NotEqual(t, "piano", m.ID)
			}
			found, _, err = index.Search(t.Context(), "a piano", func(o *retrieve.SearchOptions) { o.MinScore = 0.99 })
			require.NoError(t, err)
			assert.Empty(t, found)

			require.NoError(t, index.Delete(t.Context(), "piano"))
			found, _, err = index.Search(t.Context(), "a piano", func(o *retrieve.SearchOptions) { o.MinScore = -1 })
			require.NoError(t, err)
			assert.Len(t, found, 2)
		})
	}
}

// What is wrong is said before anything is paid for.
func TestIndexRefusesBeforeItPays(t *testing.T) {
	fake, client := newFake(t)
	index := retrieve.New(retrieve.Titan(client, "amazon.titan-embed-text-v2:0", 0), &retrieve.Memory{})
	bad := append(append([]retrieve.Document{}, shelf...), retrieve.Document{ID: "titan", Text: "twice"})
	_, err := index.Add(t.Context(), bad)
	assert.EqualError(t, err, "retrieve: invalid input: documents[3].ID is that of documents[0] too")
	bad[3] = retrieve.Document{ID: "long", Text: strings.Repeat("x", retrieve.MaxText+1)}
	_, err = index.Add(t.Context(), bad)
	assert.ErrorIs(t, err, retrieve.ErrInvalid)
	for question, set := range map[string]func(*retrieve.SearchOptions){
		"":         func(*retrieve.SearchOptions) {},
		" \n":      func(*retrieve.SearchOptions) {},
		"\xff":     func(*retrieve.SearchOptions) {},
		"too many": func(o *retrieve.SearchOptions) { o.K = 101 },
		"negative": func(o *retrieve.SearchOptions) { o.K = -1 },
		"filter":   func(o *retrieve.SearchOptions) { o.Filter = map[string][]string{"Genre": {"x"}} },
	} {
		_, _, err := index.Search(t.Context(), question, set)
		assert.ErrorIs(t, err, retrieve.ErrInvalid, question)
	}
	assert.Empty(t, fake.Requests())
}

// After a failure no text is begun any more, and what was paid for is counted.
func TestIndexAfterAFailure(t *testing.T) {
	var running, most, begun atomic.Int32
	failure := errors.New("no")
	cost := pricing.MustAmount("0.01")
	embed := func(_ context.Context, _ retrieve.Purpose, text string) (retrieve.Embedding, error) {
		defer running.Add(-1)
		if n := running.Add(1); n > most.Load() {
			most.Store(n)
		}
		begun.Add(1)
		if text == "text 25" {
			return retrieve.Embedding{}, failure
		}
		return retrieve.Embedding{Vector: retrieve.Vector{1}, Usage: bedrockkit.Usage{InputTokens: 2}, Cost: &cost}, nil
	}
	var documents []retrieve.Document
	for i := range 100 {
		documents = append(documents, retrieve.Document{ID: fmt.Sprint(i), Text: fmt.Sprintf("text %d", i)})
	}
	store := &retrieve.Memory{}
	index := retrieve.New(embed, store, func(o *retrieve.Options) { o.Parallel, o.Batch = 3, 10 })
	spent, err := index.Add(t.Context(), documents)
	require.ErrorIs(t, err, failure)
	assert.EqualError(t, err, `embedding the document "25": no`)
	assert.LessOrEqual(t, most.Load(), int32(3))
	assert.Equal(t, int(begun.Load())-1, spent.Texts)
	assert.Less(t, spent.Texts, 30)
	assert.Equal(t, int64(2*spent.Texts), spent.Usage.InputTokens)
	assert.Equal(t, cost.Mul(int64(spent.Texts)), *spent.Cost)
	found, err := store.Search(t.Context(), retrieve.Query{Vector: retrieve.Vector{1}, K: 100})
	require.NoError(t, err)
	assert.Len(t, found, 20, "two whole batches")

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = index.Add(ctx, documents)
	assert.ErrorIs(t, err, context.Canceled)
}

// A cost that is not known is not told as if it were.
func TestUnknownCost(t *testing.T) {
	cost := pricing.MustAmount("0.01")
	embed := func(_ context.Context, _ retrieve.Purpose, text string) (retrieve.Embedding, error) {
		e := retrieve.Embedding{Vector: retrieve.Vector{1}, Cost: &cost}
		if text == shelf[1].Text {
			e.Cost, e.Usage.Unknown = nil, true
		}
		return e, nil
	}
	spent, err := retrieve.New(embed, &retrieve.Memory{}).Add(t.Context(), shelf)
	require.NoError(t, err)
	assert.Nil(t, spent.Cost)
	assert.True(t, spent.Usage.Unknown)
}

// A store's and a model's errors keep their types.
func TestIndexErrors(t *testing.T) {
	_, client := newFake(t)
	titan := retrieve.Titan(client, "amazon.titan-embed-text-v2:0", 300) // which it does not have
	_, _, err := retrieve.New(titan, &retrieve.Memory{}).Search(t.Context(), "a piano")
	var failed *bedrockx.Error
	assert.ErrorAs(t, err, &failed)

	index := retrieve.New(retrieve.Titan(client, "amazon.titan-embed-text-v2:0", 0), openS3Vectors(t, newS3VectorsStub(t)))
	spent, err := index.Add(t.Context(), shelf)
	var service *retrieve.ServiceError
	assert.ErrorAs(t, err, &service)
	assert.Equal(t, 3, spent.Texts)
	_, spent, err = index.Search(t.Context(), "a piano")
	assert.ErrorAs(t, err, &service)
	assert.Equal(t, 1, spent.Texts)
}
