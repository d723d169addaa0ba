package stream_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit/bedrocktest"
	"github.com/mangaassist/bedrockkit/bedrockx"
	"github.com/mangaassist/bedrockkit/bedrockx/anthropic"
	"github.com/mangaassist/bedrockkit/bedrockx/cohere"
	"github.com/mangaassist/bedrockkit/bedrockx/llama"
	"github.com/mangaassist/bedrockkit/bedrockx/mistral"
	"github.com/mangaassist/bedrockkit/bedrockx/nova"
	"github.com/mangaassist/bedrockkit/bedrockx/titan"
	"github.com/mangaassist/bedrockkit/event"
	"github.com/mangaassist/bedrockkit/internal/eventstream"
	"github.com/mangaassist/bedrockkit/stream"
)

// chunked opens a stream of chunks that holds no more than them.
func chunked(t *testing.T, newDecoder func() stream.Decoder, chunks ...string) (*stream.Stream, error) {
	var body canned
	for _, chunk := range chunks {
		body = appendChunk(body, chunk)
	}
	c := bedrockx.New(body.client(), func(o *bedrockx.Options) { o.MaxAttempts = 1 })
	in := &bedrockruntime.InvokeModelWithResponseStreamInput{ModelId: aws.String("ai21.jamba-instruct-v1:0"), Body: []byte("{}")}
	return stream.InvokeModel(t.Context(), c, in, newDecoder)
}

const lastChunk = `{"x":2,"amazon-bedrock-invocationMetrics":{"inputTokenCount":7,"outputTokenCount":3}}`

// A model that no package knows can be streamed as its chunks are.
func TestRawChunks(t *testing.T) {
	s, err := chunked(t, stream.RawChunks, `{"x":1}`, lastChunk)
	require.NoError(t, err)
	_, events, err := read(s)
	require.NoError(t, err)
	require.Len(t, events, 4)
	assert.Equal(t, stream.Chunk, events[0].Type)
	assert.JSONEq(t, `{"x":1}`, string(events[0].Raw))
	assert.JSONEq(t, lastChunk, string(events[1].Raw))
	r := s.Result()
	assert.True(t, r.Complete)
	assert.Empty(t, r.Blocks)
	assert.Equal(t, int64(3), r.Usage.OutputTokens)

	s, err = chunked(t, stream.RawChunks, `{"x":1}`)
	require.NoError(t, err)
	_, events, err = read(s)
	assert.Len(t, events, 1)
	assert.ErrorIs(t, err, bedrockx.ErrTruncated, "nobody knows whether that was all")

	_, err = chunked(t, stream.RawChunks, `{"x":`)
	assert.ErrorIs(t, err, bedrockx.ErrCorrupt)
}

func TestInvokeRaw(t *testing.T) {
	srv := bedrocktest.NewServer(t, func(o *bedrocktest.Options) { o.InProcess = true })
	srv.Reply(bedrocktest.Text("Hi"))
	s, err := stream.Invoke(t.Context(), bedrockx.New(srv.Client()), "us.meta.llama3-3-70b-instruct-v1:0", bedrockx.Raw(`{"prompt":"hello"}`))
	require.NoError(t, err)
	_, events, err := read(s)
	require.NoError(t, err)
	assert.Contains(t, string(events[0].Raw), `"generation"`)
}

// A decoder of another family is a mistake of the caller, and not of the
// service: nothing is sent again.
func TestDecoderOfAnotherFamily(t *testing.T) {
	for name, newDecoder := range map[string]func() stream.Decoder{
		"anthropic": anthropic.NewDecoder, "cohere": cohere.NewDecoder, "llama": llama.NewDecoder, "mistral": mistral.NewDecoder,
		"nova": nova.NewDecoder, "titan": titan.NewDecoder,
	} {
		_, err := chunked(t, newDecoder, `{"x":1}`, `{"x":2}`)
		assert.ErrorIs(t, err, bedrockx.ErrValidation, name)
		assert.ErrorContains(t, err, "the "+name+" decoder does not recognise these chunks")
	}
	srv := bedrocktest.NewServer(t, func(o *bedrocktest.Options) { o.InProcess = true })
	srv.Reply(bedrocktest.Text("Hi"))
	_, err := stream.InvokeModel(t.Context(), bedrockx.New(srv.Client()), &bedrockruntime.InvokeModelWithResponseStreamInput{
		ModelId: aws.String("us.anthropic.claude-haiku-4-5-20251001-v1:0"), Body: []byte(`{"anthropic_version":"bedrock-2023-05-31","max_tokens":9,"messages":[{"role":"user","content":"hi"}]}`),
	}, llama.NewDecoder)
	assert.ErrorContains(t, err, "the llama decoder does not recognise these chunks")
	assert.Len(t, srv.Requests(), 1)
}

// spoken is a decoder of a user's own.
type spoken struct{ fails error }

func (spoken) Name() string { return "spoken" }

func (d spoken) Decode(chunk []byte, to event.Sink) error {
	var v struct{ Say string }
	if err := json.Unmarshal(chunk, &v); err != nil {
		return err
	}
	if v.Say == "." {
		return to.Add(event.Event{Type: event.MessageStop, StopReason: "end_turn"})
	}
	if v.Say == "" {
		return d.fails
	}
	return to.Add(event.Event{Type: event.Text, Text: v.Say})
}

func TestOwnDecoder(t *testing.T) {
	s, err := chunked(t, func() stream.Decoder { return spoken{} }, `{"say":"Hi"}`, `{"say":"."}`)
	require.NoError(t, err)
	text, _, err := read(s)
	require.NoError(t, err)
	assert.Equal(t, "Hi", text)
	assert.True(t, s.Usage().Unknown)

	_, err = chunked(t, func() stream.Decoder { return spoken{fails: errors.New("the model speaks in tongues")} }, `{}`)
	assert.ErrorIs(t, err, bedrockx.ErrCorrupt, "what a decoder says is of the payload, not of the connection")
	assert.ErrorContains(t, err, "in tongues")
	_, err = chunked(t, nil, `{}`)
	assert.ErrorIs(t, err, bedrockx.ErrValidation)
}

// What comes for every token takes no allocation of its own: 500 of them and the
// request take fewer than 500.
func TestAllocations(t *testing.T) {
	converse, invoke := bedrockx.New(converseBody().client()), bedrockx.New(invokeBody().client())
	for name, open := range map[string]func() (*stream.Stream, error){
		"Converse": func() (*stream.Stream, error) {
			return stream.Converse(t.Context(), converse, &bedrockruntime.ConverseStreamInput{ModelId: aws.String("us.amazon.nova-lite-v1:0")})
		},
		"InvokeModel": func() (*stream.Stream, error) {
			in := &bedrockruntime.InvokeModelWithResponseStreamInput{ModelId: aws.String("us.anthropic.claude-haiku-4-5-20251001-v1:0"), Body: []byte("{}")}
			return stream.InvokeModel(t.Context(), invoke, in, anthropic.NewDecoder)
		},
	} {
		allocs := testing.AllocsPerRun(5, func() {
			s, err := open()
			require.NoError(t, err)
			for _, err := range s.Text() {
				require.NoError(t, err)
			}
		})
		assert.Less(t, allocs, float64(benchEvents), name)
	}
}

// A piece after the end is not a part of the answer.
func TestPieceAfterTheEnd(t *testing.T) {
	s, err := chunked(t, llama.NewDecoder, `{"generation":"x","stop_reason":"stop"}`, `{"generation":"y","stop_reason":null}`)
	require.NoError(t, err)
	_, _, err = read(s)
	assert.ErrorIs(t, err, bedrockx.ErrCorrupt)
	assert.True(t, s.Usage().Unknown)
}

// Whatever the payload, a stream gives an error or events, and never panics.
func FuzzDecoders(f *testing.F) {
	f.Add("contentBlockDelta", []byte(`{"contentBlockIndex":0,"delta":{"reasoningContent":{"signature":"s"}}}`))
	f.Add("contentBlockStart", []byte(`{"contentBlockIndex":0,"start":{"toolUse":{"toolUseId":"t","name":"n"}}}`))
	f.Add("messageStop", []byte(`{"stopReason":"end_turn"}`))
	f.Add("metadata", []byte(`{"usage":{"inputTokens":1,"outputTokens":2,"totalTokens":3},"metrics":{"latencyMs":4}}`))
	f.Add("chunk", []byte(`{"type":"message_start","message":{"usage":{"input_tokens":3}}}`))
	f.Add("chunk", []byte(`{"type":"content_block_start","index":0,"content_block":{"type":"tool_use","id":"t","name":"n","input":{}}}`))
	f.Add("chunk", []byte(`{"generation":"One","prompt_token_count":7,"stop_reason":"stop"}`))
	f.Add("chunk", []byte(`{"event_type":"tool-calls-generation","tool_calls":[{"name":"f","parameters":{"x":1}}]}`))
	f.Add("chunk", []byte(`{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":""}}]}}]}`))
	f.Fuzz(func(t *testing.T, eventType string, payload []byte) {
		if len(eventType) > 255 {
			return
		}
		if eventType == "chunk" {
			payload = []byte(`{"bytes":"` + base64.StdEncoding.EncodeToString(payload) + `"}`)
		}
		client := bedrockx.New(canned(eventstream.AppendEvent(nil, eventType, payload)).client(), func(o *bedrockx.Options) { o.MaxAttempts = 1 })
		check := func(s *stream.Stream, err error) {
			if err != nil {
				return
			}
			for ev, err := range s.Events() {
				if err != nil {
					break
				}
				if _, err := json.Marshal(ev); err != nil {
					t.Fatalf("%+v: %v", ev, err)
				}
			}
			if _, err := json.Marshal(s.Result()); err != nil {
				t.Fatal(err)
			}
		}
		check(stream.Converse(t.Context(), client, &bedrockruntime.ConverseStreamInput{ModelId: aws.String("us.amazon.nova-lite-v1:0")}))
		for _, newDecoder := range []func() stream.Decoder{
			anthropic.NewDecoder, cohere.NewDecoder, llama.NewDecoder, mistral.NewDecoder, nova.NewDecoder, titan.NewDecoder, stream.RawChunks,
		} {
			check(stream.InvokeModel(t.Context(), client, &bedrockruntime.InvokeModelWithResponseStreamInput{ModelId: aws.String("m"), Body: []byte("{}")}, newDecoder))
		}
	})
}
