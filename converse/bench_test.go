package converse_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit/bedrockx"
	"github.com/mangaassist/bedrockkit/converse"
)

// loopback is an HTTP client without a network: it reads the request and
// gives the same answer each time.
type loopback struct{ sent int64 }

func (c *loopback) Do(req *http.Request) (*http.Response, error) {
	n, err := io.Copy(io.Discard, req.Body)
	if err != nil {
		return nil, err
	}
	c.sent = n
	const body = `{"metrics":{"latencyMs":1},"output":{"message":{"content":[{"text":"ok"}],"role":"assistant"}},"stopReason":"end_turn","usage":{"inputTokens":1,"outputTokens":1,"totalTokens":2}}`
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(body)), Request: req}, nil
}

// conversation is a history of about 20 KB in which tools were called, and five
// tools.
func conversation() converse.Request {
	r := converse.Request{Model: model, MaxTokens: 1000, System: converse.Contents{converse.Text(strings.Repeat("You are the assistant of a manga store. ", 25))}}
	for i := range 5 {
		r.Tools = append(r.Tools, converse.ToolSpec{
			Name: fmt.Sprintf("tool_%d", i), Description: "Searches the catalog of the store by title, author, genre, price and the state of the stock.",
			InputSchema: json.RawMessage(`{"type":"object","properties":{"title":{"type":"string","description":"the manga's title, in any language"},"author":{"type":"string"},"genres":{"type":"array","items":{"type":"string","enum":["shonen","shojo","seinen","josei"]}},"max_price":{"type":"number","minimum":0},"in_stock":{"type":"boolean"}},"required":["title"],"additionalProperties":false}`),
		})
	}
	for i := range 10 {
		id := fmt.Sprintf("tooluse_%d", i)
		r.Messages = append(r.Messages,
			converse.User(strings.Repeat("ワンピースの在庫はありますか? Is it in stock? ", 6)),
			converse.Message{Role: converse.RoleAssistant, Content: converse.Contents{
				converse.Text(strings.Repeat("Let me look that up for you. ", 10)),
				converse.ToolUse{ID: id, Name: "tool_1", Input: json.RawMessage(`{"title":"ONE PIECE","genres":["shonen"],"max_price":12.5,"in_stock":true}`)},
			}},
			converse.UserContent(converse.ToolResult{ToolUseID: id, Content: converse.Contents{converse.JSON(
				`{"results":[` + strings.Repeat(`{"title":"ONE PIECE","volume":105,"price":5.99,"copies":3,"shelf":"A-12"},`, 7) + `{"title":"ONE PIECE","volume":106,"price":5.99,"copies":0,"shelf":null}]}`)}}),
			converse.Assistant(strings.Repeat("There are three copies of volume 105. ", 12)),
		)
	}
	r.Messages = append(r.Messages, converse.User("And volume 106?"))
	return r
}

// BenchmarkRequestPath is what a request costs up to the wire and back, with a
// history of 20 KB and five tools: the SDK with its own types, and converse.
// The goal is 0.4 of the SDK's time.
func BenchmarkRequestPath(b *testing.B) {
	req := conversation()
	wire := &loopback{}
	keys := aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		return aws.Credentials{AccessKeyID: "AKID", SecretAccessKey: "secret"}, nil
	})
	sdk := bedrockruntime.New(bedrockruntime.Options{
		Region: "us-east-1", HTTPClient: wire, Credentials: keys, RetryMaxAttempts: 1,
	})
	b.Run("sdk", func(b *testing.B) {
		in, err := req.SDK()
		require.NoError(b, err)
		b.ReportAllocs()
		for b.Loop() {
			if _, err := sdk.Converse(b.Context(), in); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(wire.sent), "B/request")
	})
	b.Run("converse", func(b *testing.B) {
		chat := converse.New(bedrockx.New(sdk))
		b.ReportAllocs()
		for b.Loop() {
			if _, err := chat.Send(b.Context(), req); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(wire.sent), "B/request")
	})
}
