package batch_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/bedrock"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/batch"
	"github.com/mangaassist/bedrockkit/bedrocktest"
	"github.com/mangaassist/bedrockkit/bedrockx"
	"github.com/mangaassist/bedrockkit/bedrockx/anthropic"
	"github.com/mangaassist/bedrockkit/bedrockx/cohere"
	"github.com/mangaassist/bedrockkit/bedrockx/llama"
	"github.com/mangaassist/bedrockkit/bedrockx/mistral"
	"github.com/mangaassist/bedrockkit/bedrockx/nova"
	"github.com/mangaassist/bedrockkit/bedrockx/titan"
	"github.com/mangaassist/bedrockkit/converse"
)

// Ids that are derived are those of the position and the content.
func TestDerivedIDs(t *testing.T) {
	write := func(texts ...string) string {
		var b bytes.Buffer
		_, err := batch.Write(&b, job("x"), func(yield func(batch.Record[anthropic.Request], error) bool) {
			for _, text := range texts {
				if !yield(batch.Record[anthropic.Request]{Input: ask(text)}, nil) {
					return
				}
			}
		})
		require.NoError(t, err)
		return b.String()
	}
	one := write("a", "a", "b")
	assert.Equal(t, one, write("a", "a", "b"), "stable")
	ids := map[string]bool{}
	for line := range strings.Lines(one) {
		var v struct {
			ID string `json:"recordId"`
		}
		require.NoError(t, json.Unmarshal([]byte(line), &v))
		ids[v.ID] = true
	}
	assert.Len(t, ids, 3, "unique, for equal records as well")
	assert.NotEqual(t, one[:60], write("c")[:60])
}

// What is written is read again, and written as it was.
func TestReadRecords(t *testing.T) {
	var file, again bytes.Buffer
	_, err := batch.Write(&file, job("x"), questions(3))
	require.NoError(t, err)
	_, err = batch.Write(&again, job("x"), batch.ReadRecords[anthropic.Request](bytes.NewReader(file.Bytes())))
	require.NoError(t, err)
	assert.Equal(t, file.String(), again.String())

	file.Reset()
	again.Reset()
	half := 0.5
	_, err = batch.Write(&file, job("x"), func(yield func(batch.Record[batch.Converse], error) bool) {
		yield(batch.Record[batch.Converse]{ID: "a", Input: batch.Converse{
			MaxTokens: 9, TopP: &half, StopSequences: []string{"x"}, System: converse.Texts("Be brief."),
			Messages: []converse.Message{converse.User("Hi.\nThere.")}, Metadata: map[string]string{"a": "b"},
		}}, nil)
	})
	require.NoError(t, err)
	_, err = batch.Write(&again, job("x"), batch.ReadRecords[batch.Converse](bytes.NewReader(file.Bytes())))
	require.NoError(t, err)
	assert.Equal(t, file.String(), again.String())

	for _, line := range []string{`{"recordId":"a"}`, `[]`, `{"modelInput":{"surprise":1}}`, `{"modelInput":{"toolConfig":{}}}`, `{`} {
		_, err = batch.Write(io.Discard, job("x"), batch.ReadRecords[batch.Converse](strings.NewReader(line)))
		assert.Error(t, err, line)
	}
}

// Every family has records.
func TestFamilies(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		family(t, w, "us.anthropic.claude-haiku-4-5-20251001-v1:0", ask("Hi."))
		family(t, w, "us.amazon.nova-lite-v1:0", nova.Request{Messages: []nova.Message{nova.User("Hi.")}, InferenceConfig: nova.InferenceConfig{MaxTokens: 9}})
		family(t, w, "amazon.titan-embed-text-v2:0", titan.EmbedRequest{InputText: "Pirates.", Dimensions: 256})
		family(t, w, "cohere.embed-v4:0", cohere.EmbedRequest{InputType: cohere.SearchDocument, Texts: []string{"Pirates."}})
		family(t, w, "us.meta.llama3-3-70b-instruct-v1:0", llama.Request{Prompt: "Hi.", MaxGenLen: 9})
		family(t, w, "mistral.mistral-large-2407-v1:0", mistral.ChatRequest{MaxTokens: 9, Messages: []mistral.Message{mistral.User("Hi.")}})
		family(t, w, "us.amazon.nova-lite-v1:0", batch.Converse{MaxTokens: 9, Messages: []converse.Message{converse.User("Hi.")}})
		family(t, w, "us.amazon.nova-lite-v1:0", bedrockx.Raw(`{"messages":[{"role":"user","content":[{"text":"Hi."}]}]}`))
	})
}

func family[In bedrockx.Payload[Out], Out any](t *testing.T, w *world, model string, in In) {
	t.Helper()
	j := job(fmt.Sprintf("family-%d", w.created()))
	j.Model = bedrockkit.ModelID(model)
	results, err := batch.Run(t.Context(), w.client(), j, func(yield func(batch.Record[In], error) bool) {
		for range 100 {
			if !yield(batch.Record[In]{Input: in}, nil) {
				return
			}
		}
	})
	require.NoError(t, err, model)
	for r, err := range results.All(t.Context()) {
		require.NoError(t, err, model)
		if !errors.Is(r.Err, batch.ErrCut) {
			require.NoError(t, r.Err, model)
		}
	}
	assert.EqualValues(t, 100, results.Stats().Records)
}

// A file of several parts, read in several ranges of which each breaks off.
func TestLargeFile(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		var parts, ranges, broken atomic.Int64
		store := w.store.Client(func(o *s3.Options) {
			next := o.HTTPClient
			o.HTTPClient = doer(func(r *http.Request) (*http.Response, error) {
				if r.URL.Query().Has("partNumber") {
					parts.Add(1)
				}
				resp, err := next.Do(r)
				if err == nil && r.Method == http.MethodGet && r.Header.Get("Range") != "" && resp.ContentLength > 1<<20 {
					if ranges.Add(1)%2 == 1 {
						broken.Add(1)
						resp.Body = struct {
							io.Reader
							io.Closer
						}{io.MultiReader(io.LimitReader(resp.Body, 1<<20+7), failing{}), resp.Body}
					}
				}
				return resp, err
			})
		})
		c := batch.New(bedrock.NewFromConfig(w.srv.Config()), store)
		long := strings.Repeat("海賊王 ", 12_000) // 120 KB
		results, err := batch.Run(t.Context(), c, job("large"), func(yield func(batch.Record[anthropic.Request], error) bool) {
			for i := range 120 {
				if !yield(batch.Record[anthropic.Request]{ID: fmt.Sprint(i), Input: ask(long)}, nil) {
					return
				}
			}
		})
		require.NoError(t, err)
		assert.Len(t, all(t, results), 120)
		assert.EqualValues(t, 120, results.Stats().Succeeded)
		assert.EqualValues(t, 3, parts.Load())
		assert.Positive(t, broken.Load())

		short := batch.New(bedrock.NewFromConfig(w.srv.Config()), store, func(o *batch.Options) { o.MaxLineBytes = 1000 })
		results, err = batch.Run(t.Context(), short, job("large"), questions(0))
		require.NoError(t, err)
		var last error
		for _, err := range results.All(t.Context()) {
			last = err
		}
		require.ErrorIs(t, last, batch.ErrTooLong)
	}, func(o *bedrocktest.Options) {
		o.Responder = func(context.Context, *bedrocktest.Request) *bedrocktest.Reply { return bedrocktest.Text("Yes.") }
	})
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// What a line holds is found whatever it looks like; what is none is an error and
// no panic.
func FuzzRead(f *testing.F) {
	f.Add([]byte(`{"recordId":"a","modelInput":{},"modelOutput":{"output":{"message":{"role":"assistant","content":[{"text":"x"}]}},"stopReason":"end_turn"}}`))
	f.Add([]byte(`{"error":{"errorCode":"ThrottlingException","errorMessage":"slow"},"recordId":"b"}`))
	f.Add([]byte("\n\n{\"recordId\":\"c\",\"modelOutput\":null}\r\n{\"recordId"))
	f.Fuzz(func(t *testing.T, file []byte) {
		for r, err := range batch.Read[batch.Converse](bytes.NewReader(file)) {
			if err != nil {
				return
			}
			assert.NotEmpty(t, r.ID)
			assert.True(t, r.Err != nil || r.Output != nil)
			if r.Err != nil {
				assert.NotEmpty(t, r.Err.Error())
			}
		}
	})
}
