package stream_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"

	"github.com/mangaassist/bedrockkit/bedrockx"
	"github.com/mangaassist/bedrockkit/bedrockx/anthropic"
	"github.com/mangaassist/bedrockkit/internal/eventstream"
	"github.com/mangaassist/bedrockkit/stream"
)

// canned answers every request with the same body, in memory.
type canned []byte

func (c canned) Do(*http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: 200, Header: http.Header{}, Body: io.NopCloser(bytes.NewReader(c))}, nil
}

func (c canned) client() *bedrockruntime.Client {
	return bedrockruntime.New(bedrockruntime.Options{
		Region: "us-east-1", HTTPClient: c,
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "AKIDEXAMPLE", SecretAccessKey: "example"}, nil
		}),
	})
}

const benchEvents = 500

func converseBody() canned {
	var b []byte
	b = eventstream.AppendEvent(b, "messageStart", []byte(`{"p":"abcdefghij","role":"assistant"}`))
	for i := range benchEvents {
		b = eventstream.AppendEvent(b, "contentBlockDelta", fmt.Appendf(nil, `{"contentBlockIndex":0,"delta":{"text":" token%d"},"p":"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMN"}`, i))
	}
	b = eventstream.AppendEvent(b, "contentBlockStop", []byte(`{"contentBlockIndex":0,"p":"abc"}`))
	b = eventstream.AppendEvent(b, "messageStop", []byte(`{"p":"abcdef","stopReason":"end_turn"}`))
	return eventstream.AppendEvent(b, "metadata", []byte(`{"metrics":{"latencyMs":500},"p":"abc","usage":{"inputTokens":10,"outputTokens":500,"totalTokens":510}}`))
}

func appendChunk(b canned, event string) canned {
	return eventstream.AppendEvent(b, "chunk", fmt.Appendf(nil, `{"bytes":%q,"p":"abcdefghijklmnop"}`, base64.StdEncoding.EncodeToString([]byte(event))))
}

func invokeBody() canned {
	chunk := appendChunk
	var b canned
	b = chunk(b, `{"type":"message_start","message":{"usage":{"input_tokens":10,"output_tokens":1}}}`)
	b = chunk(b, `{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}`)
	for i := range benchEvents {
		b = chunk(b, fmt.Sprintf(`{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":" token%d"}}`, i))
	}
	b = chunk(b, `{"type":"content_block_stop","index":0}`)
	b = chunk(b, `{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":500}}`)
	return chunk(b, `{"type":"message_stop","amazon-bedrock-invocationMetrics":{"inputTokenCount":10,"outputTokenCount":500}}`)
}

// reportPerEvent adds what one event costs, the request included.
func reportPerEvent(b *testing.B) {
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/benchEvents, "ns/event")
}

func BenchmarkConverse(b *testing.B) {
	client := bedrockx.New(converseBody().client())
	in := &bedrockruntime.ConverseStreamInput{ModelId: aws.String("us.amazon.nova-lite-v1:0")}
	b.ReportAllocs()
	for b.Loop() {
		s, err := stream.Converse(b.Context(), client, in)
		if err != nil {
			b.Fatal(err)
		}
		drain(b, s)
	}
	reportPerEvent(b)
}

func BenchmarkInvokeModel(b *testing.B) {
	client := bedrockx.New(invokeBody().client())
	in := &bedrockruntime.InvokeModelWithResponseStreamInput{ModelId: aws.String("us.anthropic.claude-haiku-4-5-20251001-v1:0"), Body: []byte("{}")}
	b.ReportAllocs()
	for b.Loop() {
		s, err := stream.InvokeModel(b.Context(), client, in, anthropic.NewDecoder)
		if err != nil {
			b.Fatal(err)
		}
		drain(b, s)
	}
	reportPerEvent(b)
}

func drain(b *testing.B, s *stream.Stream) {
	n := 0
	for text, err := range s.Text() {
		if err != nil {
			b.Fatal(err)
		}
		n += len(text)
	}
	if n < benchEvents*len(" token0") {
		b.Fatalf("%d bytes of text", n)
	}
}

// BenchmarkSDK is the raw SDK on the same bytes, to compare with.
func BenchmarkSDK(b *testing.B) {
	client := converseBody().client()
	in := &bedrockruntime.ConverseStreamInput{ModelId: aws.String("us.amazon.nova-lite-v1:0")}
	b.ReportAllocs()
	for b.Loop() {
		out, err := client.ConverseStream(b.Context(), in)
		if err != nil {
			b.Fatal(err)
		}
		s := out.GetStream()
		n := 0
		for range s.Events() {
			n++
		}
		if s.Close(); n < benchEvents {
			b.Fatalf("%d events", n)
		}
	}
	reportPerEvent(b)
}

// discard is a response writer that takes all.
type discard http.Header

func (d discard) Header() http.Header         { return http.Header(d) }
func (d discard) Write(p []byte) (int, error) { return len(p), nil }
func (d discard) WriteHeader(int)             {}
func (d discard) Flush()                      {}

// BenchmarkWrite is a whole answer with its request, read and sent.
func BenchmarkWrite(b *testing.B) {
	sinks := map[string]func() stream.Sink{
		"JSON": func() stream.Sink { return stream.JSON(func(context.Context, []byte) error { return nil }) },
		"SSE":  func() stream.Sink { return stream.SSE(discard{}) },
		"text": func() stream.Sink { return stream.PlainText(discard{}) },
	}
	client := bedrockx.New(converseBody().client())
	in := &bedrockruntime.ConverseStreamInput{ModelId: aws.String("us.amazon.nova-lite-v1:0")}
	for name, sink := range sinks {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				s, err := stream.Converse(b.Context(), client, in)
				if err != nil {
					b.Fatal(err)
				}
				if err := stream.Write(b.Context(), s, sink()); err != nil {
					b.Fatal(err)
				}
			}
			reportPerEvent(b)
		})
	}
}

// BenchmarkMessages is the cost of a message that is sent by itself, as to a
// reader that is as fast as the model.
func BenchmarkMessages(b *testing.B) {
	client := bedrockx.New(converseBody().client())
	in := &bedrockruntime.ConverseStreamInput{ModelId: aws.String("us.amazon.nova-lite-v1:0")}
	sink := stream.SSE(discard{})
	b.ReportAllocs()
	for b.Loop() {
		s, err := stream.Converse(b.Context(), client, in)
		if err != nil {
			b.Fatal(err)
		}
		for m, err := range s.Messages() {
			if err != nil {
				b.Fatal(err)
			}
			if err := sink.Send(b.Context(), m); err != nil {
				b.Fatal(err)
			}
		}
	}
	reportPerEvent(b)
}
