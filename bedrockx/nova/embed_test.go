package nova_test

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/bedrocktest"
	"github.com/mangaassist/bedrockkit/bedrockx"
	"github.com/mangaassist/bedrockkit/bedrockx/nova"
)

const embeddings bedrockkit.ModelID = "amazon.nova-2-multimodal-embeddings-v1:0"

func TestEmbed(t *testing.T) {
	srv := bedrocktest.NewServer(t, func(o *bedrocktest.Options) { o.InProcess, o.AnyModel = true, true })
	const answer = `{"embeddings":[{"embeddingType":"TEXT","embedding":[0.25,-1],"truncatedCharLength":5}],"new":1}`
	srv.Control(bedrocktest.AnyOp, func(context.Context, *bedrocktest.Request) *bedrocktest.Reply {
		return bedrocktest.Body(200, "application/json", []byte(answer))
	})
	req := nova.Embed("GENERIC_INDEX", "Berserk")
	req.Params.EmbeddingDimension = 256
	result, err := bedrockx.Invoke(t.Context(), bedrockx.New(srv.Client()), embeddings, req)
	require.NoError(t, err)
	assert.Equal(t, []float64{0.25, -1}, result.Output.Embeddings[0].Embedding)
	const want = `{"taskType":"SINGLE_EMBEDDING","singleEmbeddingParams":{"embeddingPurpose":"GENERIC_INDEX","embeddingDimension":256,"text":{"truncationMode":"END","value":"Berserk"}}}`
	assert.Equal(t, want, string(srv.Requests()[0].Body))
	var read nova.EmbedRequest
	require.NoError(t, json.Unmarshal([]byte(want), &read))
	again, err := read.EncodeInvoke(embeddings)
	require.NoError(t, err)
	assert.Equal(t, want, string(again))
	stored, err := json.Marshal(result.Output)
	require.NoError(t, err)
	assert.JSONEq(t, answer, string(stored))
	for _, body := range []string{`{"embeddings":[]}`, `{"embeddings":[{}]}`, `[]`} {
		_, _, _, err := req.DecodeInvoke(json.RawMessage(body))
		assert.Error(t, err, body)
	}
}

func TestEmbedRefused(t *testing.T) {
	png := func() *nova.EmbedMedia {
		return &nova.EmbedMedia{Format: "png", Source: nova.MediaSource{Bytes: []byte{1}}}
	}
	for name, tt := range map[string]struct {
		change func(*nova.EmbedRequest)
		want   string
	}{
		"purpose":        {func(r *nova.EmbedRequest) { r.Params.EmbeddingPurpose = "SEARCH" }, "embeddingPurpose is \"SEARCH\""},
		"dimension":      {func(r *nova.EmbedRequest) { r.Params.EmbeddingDimension = 512 }, "embeddingDimension is 512"},
		"blank":          {func(r *nova.EmbedRequest) { r.Params.Text.Value = " " }, "text needs a value or a source"},
		"truncation":     {func(r *nova.EmbedRequest) { r.Params.Text.TruncationMode = "" }, "truncationMode"},
		"nothing":        {func(r *nova.EmbedRequest) { r.Params.Text = nil }, "0 of them are set"},
		"two":            {func(r *nova.EmbedRequest) { r.Params.Image = png() }, "2 of them are set"},
		"without format": {func(r *nova.EmbedRequest) { r.Params.Image = &nova.EmbedMedia{} }, "image.format is empty"},
		"without source": {func(r *nova.EmbedRequest) { r.Params.Audio = &nova.EmbedMedia{Format: "mp3"} }, "audio.source needs bytes"},
		"mode":           {func(r *nova.EmbedRequest) { r.Params.Text, r.Params.Video = nil, png() }, "video.embeddingMode"},
		"task":           {func(r *nova.EmbedRequest) { r.TaskType = "SEGMENTED_EMBEDDING" }, "StartAsyncInvoke"},
	} {
		r := nova.Embed("GENERIC_INDEX", "x")
		tt.change(&r)
		_, err := r.EncodeInvoke(embeddings)
		assert.ErrorContains(t, err, tt.want, name)
	}
	_, err := nova.Embed("GENERIC_INDEX", "x").EncodeInvoke("amazon.nova-lite-v1:0")
	assert.ErrorContains(t, err, "nova.EmbedRequest is for models")
	_, err = nova.Request{Messages: []nova.Message{nova.User("x")}}.EncodeInvoke(embeddings)
	assert.Error(t, err, "it takes another body")
}
