package cohere_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/bedrocktest"
	"github.com/mangaassist/bedrockkit/bedrockx"
	"github.com/mangaassist/bedrockkit/bedrockx/cohere"
)

const (
	command bedrockkit.ModelID = "cohere.command-r-v1:0"
	embedV3 bedrockkit.ModelID = "cohere.embed-multilingual-v3"
	embedV4 bedrockkit.ModelID = "cohere.embed-v4:0"
	rerank  bedrockkit.ModelID = "cohere.rerank-v3-5:0"
)

func ptr[T any](v T) *T { return &v }

func newFake(tb testing.TB) (*bedrocktest.Server, *bedrockx.Client) {
	srv := bedrocktest.NewServer(tb, func(o *bedrocktest.Options) { o.InProcess, o.AllowEnded = true, true })
	return srv, bedrockx.New(srv.Client())
}

func ExampleRerankRequest() {
	fake, err := bedrocktest.New(func(o *bedrocktest.Options) { o.InProcess = true })
	if err != nil {
		fmt.Println(err)
		return
	}
	defer fake.Close()
	client := bedrockx.New(fake.Client()) // or bedrockx.NewFromConfig(cfg)

	documents := []string{"A boy becomes a ninja.", "A crew of pirates seeks a treasure.", "A chef opens a restaurant."}
	result, err := bedrockx.Invoke(context.Background(), client, "cohere.rerank-v3-5:0", cohere.RerankRequest{
		Query:     "pirates and treasure",
		Documents: documents,
		TopN:      1,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(documents[result.Output.Results[0].Index])
	// Output: A crew of pirates seeks a treasure.
}

func TestChat(t *testing.T) {
	srv, client := newFake(t)
	srv.Reply(bedrocktest.Text("I look. ").ToolUse("stock", map[string]any{"title": "Berserk"}), bedrocktest.Text("Three."))
	req := cohere.ChatRequest{
		Message: "How many?", Preamble: "You sell manga.", MaxTokens: 50, Temperature: ptr(0.3),
		Tools: []cohere.Tool{{Name: "stock", Description: "d", ParameterDefinitions: map[string]cohere.Parameter{"title": {Type: "str", Required: true}}}},
		Extra: map[string]json.RawMessage{"force_single_step": json.RawMessage("true")},
	}
	first, err := bedrockx.Invoke(t.Context(), client, command, req)
	require.NoError(t, err)
	assert.Equal(t, bedrockkit.StopToolUse, first.StopReason)
	require.Len(t, first.Output.ToolCalls, 1)
	assert.False(t, first.Usage.Unknown, "it is that of the headers")
	assert.Positive(t, first.Usage.InputTokens)
	assert.Contains(t, string(srv.Requests()[0].Body), `"force_single_step":true`)
	assert.Equal(t, []string{"You sell manga."}, srv.Requests()[0].System)

	req.ChatHistory = []cohere.ChatMessage{{Role: "USER", Message: req.Message}, {Role: "CHATBOT", Message: first.Output.Text, ToolCalls: first.Output.ToolCalls}}
	req.Message = ""
	req.ToolResults = []cohere.ToolResult{{Call: first.Output.ToolCalls[0], Outputs: []json.RawMessage{json.RawMessage(`{"copies":3}`)}}}
	second, err := bedrockx.Invoke(t.Context(), client, command, req)
	require.NoError(t, err)
	assert.Equal(t, "Three.", second.Output.Text)
	assert.Equal(t, bedrockkit.StopEndTurn, second.StopReason)
	assert.Equal(t, 50, req.MaxOutputTokens())
	assert.JSONEq(t, `[{"copies":3}]`, srv.Requests()[1].ToolResults()[0].Text())

	var read cohere.ChatRequest
	require.NoError(t, json.Unmarshal(srv.Requests()[1].Body, &read))
	assert.Equal(t, req, read)
}

func TestStopReasons(t *testing.T) {
	for finish, want := range map[string]bedrockkit.StopReason{
		"COMPLETE": bedrockkit.StopEndTurn, "MAX_TOKENS": bedrockkit.StopMaxTokens, "STOP_SEQUENCE": bedrockkit.StopSequence,
		"ERROR_TOXIC": bedrockkit.StopContentFiltered, "ERROR_LIMIT": bedrockkit.StopContextWindowExceeded,
		"ERROR": bedrockkit.StopMalformedModelOutput, "USER_CANCEL": "USER_CANCEL",
	} {
		assert.Equal(t, want, cohere.StopReason(finish))
	}
}

func TestEmbed(t *testing.T) {
	_, client := newFake(t)
	req := cohere.EmbedRequest{InputType: cohere.SearchDocument, Texts: []string{"pirates", "ninjas"}}
	v3, err := bedrockx.Invoke(t.Context(), client, embedV3, req)
	require.NoError(t, err)
	require.Len(t, v3.Output.Embeddings.Float, 2)
	assert.Len(t, v3.Output.Embeddings.Float[1], 1024)
	assert.Positive(t, v3.Usage.InputTokens)
	assert.False(t, v3.Usage.Unknown)

	req.EmbeddingTypes, req.OutputDimension = []string{"float", "int8", "uint8", "binary", "ubinary"}, 512
	v4, err := bedrockx.Invoke(t.Context(), client, embedV4, req)
	require.NoError(t, err)
	e := v4.Output.Embeddings
	assert.Equal(t, []int{512, 512, 512, 64, 64}, []int{len(e.Float[0]), len(e.Int8[0]), len(e.Uint8[0]), len(e.Binary[0]), len(e.Ubinary[0])})
	assert.EqualValues(t, e.Uint8[0][7], int(e.Int8[0][7])+128)
	assert.EqualValues(t, e.Ubinary[1][3], int(e.Binary[1][3])+128)

	stored, err := json.Marshal(v4.Output)
	require.NoError(t, err)
	var again cohere.EmbedResponse
	require.NoError(t, json.Unmarshal(stored, &again))
	assert.Equal(t, v4.Output, again)

	image := cohere.DataURI("image/png", []byte{1})
	assert.Equal(t, "data:image/png;base64,AQ==", image)
	for _, req := range []cohere.EmbedRequest{
		{InputType: cohere.SearchQuery, Images: []string{image}},
		{InputType: cohere.SearchQuery, Inputs: []cohere.Input{{Content: []cohere.Part{{Type: "text", Text: "x"}, {Type: "image_url", ImageURL: image}}}}},
	} {
		result, err := bedrockx.Invoke(t.Context(), client, embedV4, req)
		require.NoError(t, err)
		assert.Len(t, result.Output.Embeddings.Float, 1)
	}
}

func TestRerank(t *testing.T) {
	srv, client := newFake(t)
	req := cohere.RerankRequest{Query: "pirates", Documents: []string{"ninjas", "pirates at sea"}}
	for _, tt := range []struct {
		model bedrockkit.ModelID
		want  string
	}{
		{rerank, `{"query":"pirates","documents":["ninjas","pirates at sea"],"api_version":2}`},
		{"amazon.rerank-v1:0", `{"query":"pirates","documents":["ninjas","pirates at sea"]}`},
	} {
		result, err := bedrockx.Invoke(t.Context(), client, tt.model, req)
		require.NoError(t, err)
		assert.Equal(t, 1, result.Output.Results[0].Index)
		assert.Len(t, result.Output.Results, 2)
		sent := srv.Requests()
		assert.Equal(t, tt.want, string(sent[len(sent)-1].Body))
	}
}

func TestRefused(t *testing.T) {
	text := []string{"x"}
	for name, tt := range map[string]struct {
		model bedrockkit.ModelID
		req   interface {
			EncodeInvoke(bedrockkit.ModelID) (json.RawMessage, error)
		}
		want string
	}{
		"chat with embed":   {embedV4, cohere.ChatRequest{Message: "x"}, "cohere.command-r…"},
		"no message":        {command, cohere.ChatRequest{}, "message is empty"},
		"tokens":            {command, cohere.ChatRequest{Message: "x", MaxTokens: -1}, "max_tokens is -1"},
		"role":              {command, cohere.ChatRequest{Message: "x", ChatHistory: []cohere.ChatMessage{{Role: "user"}}}, "chat_history[0].role"},
		"tool":              {command, cohere.ChatRequest{Message: "x", Tools: []cohere.Tool{{}}}, "tools[0]"},
		"results, no tools": {command, cohere.ChatRequest{ToolResults: []cohere.ToolResult{{}}}, "without tools"},
		"k":                 {command, cohere.ChatRequest{Message: "x", K: ptr(501.0)}, "k is 501"},
		"input type":        {embedV4, cohere.EmbedRequest{Texts: text}, "input_type"},
		"no input":          {embedV4, cohere.EmbedRequest{InputType: cohere.Clustering}, "one of texts"},
		"two inputs":        {embedV4, cohere.EmbedRequest{InputType: cohere.Clustering, Texts: text, Images: text}, "one of texts"},
		"many":              {embedV4, cohere.EmbedRequest{InputType: cohere.Clustering, Texts: strings.Split(strings.Repeat("x ", 97), " ")[:97]}, "97 inputs"},
		"blank":             {embedV4, cohere.EmbedRequest{InputType: cohere.Clustering, Texts: []string{"x", ""}}, "texts[1]"},
		"image":             {embedV4, cohere.EmbedRequest{InputType: cohere.Clustering, Images: text}, "images[0]"},
		"type":              {embedV4, cohere.EmbedRequest{InputType: cohere.Clustering, Texts: text, EmbeddingTypes: []string{"int4"}}, "int4"},
		"dimension":         {embedV4, cohere.EmbedRequest{InputType: cohere.Clustering, Texts: text, OutputDimension: 5}, "output_dimension is 5"},
		"dimension of v3":   {embedV3, cohere.EmbedRequest{InputType: cohere.Clustering, Texts: text, OutputDimension: 256}, "cohere.embed-v4"},
		"most tokens":       {embedV4, cohere.EmbedRequest{InputType: cohere.Clustering, Texts: text, MaxTokens: -1}, "max_tokens is -1"},
		"embed with rerank": {rerank, cohere.EmbedRequest{InputType: cohere.Clustering, Texts: text}, "cohere.embed…"},
		"query":             {rerank, cohere.RerankRequest{Documents: text}, "query is empty"},
		"documents":         {rerank, cohere.RerankRequest{Query: "x"}, "documents is empty"},
		"many documents":    {rerank, cohere.RerankRequest{Query: "x", Documents: make([]string, 1001)}, "1001 documents"},
		"blank document":    {rerank, cohere.RerankRequest{Query: "x", Documents: []string{" "}}, "documents[0]"},
		"top":               {rerank, cohere.RerankRequest{Query: "x", Documents: text, TopN: -1}, "top_n is -1"},
		"rerank with embed": {embedV3, cohere.RerankRequest{Query: "x", Documents: text}, "or amazon.rerank…"},
	} {
		_, err := tt.req.EncodeInvoke(tt.model)
		assert.ErrorContains(t, err, tt.want, name)
	}
}

func TestDecode(t *testing.T) {
	resp, usage, stop, err := cohere.ChatRequest{}.DecodeInvoke(json.RawMessage(`{"text":"x","finish_reason":"COMPLETE","citations":[{"start":0,"end":1,"text":"x","document_ids":["d"]}],"meta":{"a":1}}`))
	require.NoError(t, err)
	assert.True(t, usage.Unknown)
	assert.Equal(t, bedrockkit.StopEndTurn, stop)
	assert.Equal(t, []string{"d"}, resp.Citations[0].DocumentIDs)
	stored, err := json.Marshal(resp)
	require.NoError(t, err)
	assert.Contains(t, string(stored), `"meta":{"a":1}`)
	_, _, _, err = cohere.ChatRequest{}.DecodeInvoke(json.RawMessage(`{"message":"no"}`))
	assert.Error(t, err)

	embed := cohere.EmbedRequest{Texts: []string{"a", "b"}}
	for _, body := range []string{`{"embeddings":[[1]]}`, `{"embeddings":{"float":[[1]]}}`, `{}`, `{"embeddings":[1]}`, `[]`} {
		_, _, _, err := embed.DecodeInvoke(json.RawMessage(body))
		assert.Error(t, err, body)
	}
	ranked := cohere.RerankRequest{Documents: []string{"a"}}
	for _, body := range []string{`{"results":[]}`, `{"results":[{"index":1}]}`, `{"results":[{"index":-1}]}`, `[]`} {
		_, _, _, err := ranked.DecodeInvoke(json.RawMessage(body))
		assert.Error(t, err, body)
	}
}
