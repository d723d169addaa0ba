package titan_test

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/bedrocktest"
	"github.com/mangaassist/bedrockkit/bedrockx"
	"github.com/mangaassist/bedrockkit/bedrockx/titan"
)

const (
	text  bedrockkit.ModelID = "amazon.titan-text-express-v1"
	v1    bedrockkit.ModelID = "amazon.titan-embed-text-v1"
	v2    bedrockkit.ModelID = "amazon.titan-embed-text-v2:0"
	image bedrockkit.ModelID = "amazon.titan-embed-image-v1"
)

func ptr[T any](v T) *T { return &v }

func newFake(tb testing.TB) (*bedrocktest.Server, *bedrockx.Client) {
	srv := bedrocktest.NewServer(tb, func(o *bedrocktest.Options) { o.InProcess = true })
	return srv, bedrockx.New(srv.Client())
}

func ExampleEmbedRequest() {
	fake, err := bedrocktest.New(func(o *bedrocktest.Options) { o.InProcess = true })
	if err != nil {
		fmt.Println(err)
		return
	}
	defer fake.Close()
	client := bedrockx.New(fake.Client()) // or bedrockx.NewFromConfig(cfg)

	result, err := bedrockx.Invoke(context.Background(), client, "amazon.titan-embed-text-v2:0", titan.EmbedRequest{
		InputText:  "A story of pirates and friendship.",
		Dimensions: 256,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(len(result.Output.Embedding), "dimensions for", result.Usage.InputTokens, "tokens")
	// Output: 256 dimensions for 8 tokens
}

func TestText(t *testing.T) {
	srv, client := newFake(t)
	for _, tt := range []struct {
		reply *bedrocktest.Reply
		stop  bedrockkit.StopReason
	}{
		{bedrocktest.Text("One two"), bedrockkit.StopEndTurn},
		{bedrocktest.Text("One two").Stop("max_tokens"), bedrockkit.StopMaxTokens},
		{bedrocktest.Text("One two").Stop("stop_sequence"), bedrockkit.StopSequence},
		{bedrocktest.Text("One two").Stop("content_filtered"), bedrockkit.StopContentFiltered},
	} {
		srv.Reply(tt.reply.Usage(bedrockkit.Usage{InputTokens: 7, OutputTokens: 3}))
		result, err := bedrockx.Invoke(t.Context(), client, text, titan.TextRequest{InputText: "Hi",
			TextGenerationConfig: &titan.TextConfig{MaxTokenCount: 50, Temperature: ptr(0.0), StopSequences: []string{"END"}}})
		require.NoError(t, err)
		assert.Equal(t, "One two", result.Output.Text())
		assert.Equal(t, tt.stop, result.StopReason)
		assert.Equal(t, bedrockkit.Usage{InputTokens: 7, OutputTokens: 3}, result.Usage)
	}
	assert.Equal(t, `{"inputText":"Hi","textGenerationConfig":{"maxTokenCount":50,"temperature":0,"stopSequences":["END"]}}`, string(srv.Requests()[0].Body))
	assert.Equal(t, 50, titan.TextRequest{TextGenerationConfig: &titan.TextConfig{MaxTokenCount: 50}}.MaxOutputTokens())
	assert.Equal(t, 512, titan.TextRequest{}.MaxOutputTokens())
	assert.Equal(t, bedrockkit.StopReason("RAG_QUERY_WHEN_RAG_DISABLED"), titan.StopReason("RAG_QUERY_WHEN_RAG_DISABLED"))
}

func TestEmbed(t *testing.T) {
	_, client := newFake(t)
	for _, tt := range []struct {
		model bedrockkit.ModelID
		req   titan.EmbedRequest
		want  int
	}{
		{v1, titan.EmbedRequest{}, 1536},
		{v2, titan.EmbedRequest{}, 1024},
		{v2, titan.EmbedRequest{Dimensions: 512, Normalize: ptr(true)}, 512},
	} {
		tt.req.InputText = "pirates"
		result, err := bedrockx.Invoke(t.Context(), client, tt.model, tt.req)
		require.NoError(t, err)
		assert.Len(t, result.Output.Embedding, tt.want)
		assert.Positive(t, result.Usage.InputTokens)
		assert.False(t, result.Usage.Unknown)
	}
	result, err := bedrockx.Invoke(t.Context(), client, v2, titan.EmbedRequest{InputText: "pirates", EmbeddingTypes: []string{"binary"}})
	require.NoError(t, err)
	assert.Empty(t, result.Output.Embedding)
	assert.Len(t, result.Output.EmbeddingsByType.Binary, 1024)

	stored, err := json.Marshal(result.Output)
	require.NoError(t, err)
	var again titan.EmbedResponse
	require.NoError(t, json.Unmarshal(stored, &again))
	assert.Equal(t, result.Output, again)
}

func TestMultimodal(t *testing.T) {
	_, client := newFake(t)
	one, err := bedrockx.Invoke(t.Context(), client, image, titan.MultimodalRequest{InputText: "pirates"})
	require.NoError(t, err)
	assert.Len(t, one.Output.Embedding, 1024)
	assert.False(t, one.Usage.Unknown)

	req := titan.MultimodalRequest{InputImage: []byte{1, 2}, EmbeddingConfig: &titan.EmbeddingConfig{OutputEmbeddingLength: 384}}
	two, err := bedrockx.Invoke(t.Context(), client, image, req)
	require.NoError(t, err)
	assert.Len(t, two.Output.Embedding, 384)
	_, usage, _, err := req.DecodeInvoke(json.RawMessage(`{"embedding":[1],"inputTextTokenCount":0,"message":null}`))
	require.NoError(t, err)
	assert.True(t, usage.Unknown, "what an image took is not told by the body")
}

func TestRefused(t *testing.T) {
	for name, tt := range map[string]struct {
		model bedrockkit.ModelID
		req   interface {
			EncodeInvoke(bedrockkit.ModelID) (json.RawMessage, error)
		}
		want string
	}{
		"other model":      {v2, titan.TextRequest{InputText: "x"}, "amazon.titan-text…"},
		"no text":          {text, titan.TextRequest{}, "inputText is empty"},
		"tokens":           {text, titan.TextRequest{InputText: "x", TextGenerationConfig: &titan.TextConfig{MaxTokenCount: -1}}, "maxTokenCount is -1"},
		"temperature":      {text, titan.TextRequest{InputText: "x", TextGenerationConfig: &titan.TextConfig{Temperature: ptr(2.0)}}, "temperature is 2"},
		"embed text":       {text, titan.EmbedRequest{InputText: "x"}, "titan.EmbedRequest is for"},
		"nothing to embed": {v2, titan.EmbedRequest{}, "inputText is empty"},
		"dimensions of V1": {v1, titan.EmbedRequest{InputText: "x", Dimensions: 256}, "inputText alone"},
		"dimensions":       {v2, titan.EmbedRequest{InputText: "x", Dimensions: 300}, "256, 512 or 1024"},
		"type":             {v2, titan.EmbedRequest{InputText: "x", EmbeddingTypes: []string{"int4"}}, "int4"},
		"neither":          {image, titan.MultimodalRequest{}, "neither"},
		"length":           {image, titan.MultimodalRequest{InputText: "x", EmbeddingConfig: &titan.EmbeddingConfig{}}, "256, 384 or 1024"},
		"text with image":  {v2, titan.MultimodalRequest{InputText: "x"}, "titan.MultimodalRequest"},
	} {
		_, err := tt.req.EncodeInvoke(tt.model)
		assert.ErrorContains(t, err, tt.want, name)
	}
}

// Fields of tomorrow are sent and kept, and bodies without usage have none.
func TestUnknown(t *testing.T) {
	body, err := titan.TextRequest{InputText: "x", Extra: map[string]json.RawMessage{"seed": json.RawMessage("1")}}.EncodeInvoke(text)
	require.NoError(t, err)
	assert.Equal(t, `{"inputText":"x","seed":1}`, string(body))
	var read titan.TextRequest
	require.NoError(t, json.Unmarshal(body, &read))
	assert.JSONEq(t, "1", string(read.Extra["seed"]))

	resp, usage, stop, err := titan.TextRequest{}.DecodeInvoke(json.RawMessage(`{"results":[{"outputText":"x","completionReason":"FINISH"}],"new":{"a":1}}`))
	require.NoError(t, err)
	assert.True(t, usage.Unknown)
	assert.Equal(t, bedrockkit.StopEndTurn, stop)
	stored, err := json.Marshal(resp)
	require.NoError(t, err)
	assert.Contains(t, string(stored), `"new":{"a":1}`)

	for _, body := range []string{`{"results":[]}`, `[]`, `{"results":[{"outputText":1}]}`} {
		_, _, _, err := titan.TextRequest{}.DecodeInvoke(json.RawMessage(body))
		assert.Error(t, err, body)
	}
	_, _, _, err = titan.EmbedRequest{}.DecodeInvoke(json.RawMessage(`{"inputTextTokenCount":3}`))
	assert.ErrorContains(t, err, "no embedding")
	_, usage, _, err = titan.EmbedRequest{}.DecodeInvoke(json.RawMessage(`{"embedding":[0.5]}`))
	require.NoError(t, err)
	assert.True(t, usage.Unknown)
	_, _, _, err = titan.MultimodalRequest{}.DecodeInvoke(json.RawMessage(`{"message":"too large"}`))
	assert.ErrorContains(t, err, "too large")
}
