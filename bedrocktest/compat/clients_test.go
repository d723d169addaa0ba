package compat_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/anthropics/anthropic-sdk-go"
	"github.com/anthropics/anthropic-sdk-go/bedrock"
	"github.com/anthropics/anthropic-sdk-go/option"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime/types"
	"github.com/aws/smithy-go/auth/bearer"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/tmc/langchaingo/llms"
	lcbedrock "github.com/tmc/langchaingo/llms/bedrock"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/bedrocktest"
)

const (
	model   = "us.anthropic.claude-haiku-4-5-20251001-v1:0"
	arn     = "arn:aws:bedrock:us-east-1:123456789012:inference-profile/" + model
	unknown = "anthropic.claude-of-next-year-v1:0"
	keyID   = "AKIDEXAMPLE"
	secret  = "dummy/secret+for=tests"
	apiKey  = "bedrock-api-key-for-tests"
)

// What the machine knows of AWS must not take part.
func TestMain(m *testing.M) {
	for _, entry := range os.Environ() {
		name, _, _ := strings.Cut(entry, "=")
		if strings.HasPrefix(name, "AWS_") || strings.HasPrefix(name, "ANTHROPIC_") {
			os.Unsetenv(name)
		}
	}
	os.Exit(m.Run())
}

// newServer starts a fake that checks signatures and API keys.
func newServer(t *testing.T) *bedrocktest.Server {
	return bedrocktest.NewServer(t, func(o *bedrocktest.Options) {
		o.AccessKeyID, o.Secret, o.BearerToken = keyID, secret, apiKey
		o.Responder = bedrocktest.Echo
	})
}

// config is all that a client is told of the server: where it is and how to
// sign. The HTTP client is the client's own.
func config(srv *bedrocktest.Server, secret string) aws.Config {
	return aws.Config{
		Region:       "us-east-1",
		BaseEndpoint: aws.String(srv.URL()),
		Credentials:  credentials.NewStaticCredentialsProvider(keyID, secret, ""),
	}
}

// withKey is config with an API key in place of a signature.
func withKey(srv *bedrocktest.Server, key string) aws.Config {
	cfg := config(srv, secret)
	cfg.Credentials = nil
	cfg.BearerAuthTokenProvider = bearer.StaticTokenProvider{Token: bearer.Token{Value: key}}
	cfg.AuthSchemePreference = []string{"httpBearerAuth"}
	return cfg
}

// weather calls the tool; its input is streamed in pieces.
func weather() *bedrocktest.Reply {
	return bedrocktest.Text("Let me look.").
		ToolUse("weather", map[string]any{"city": "東京", "days": 3}).
		Chunks(`{"ci`, `ty":"東京","da`, `ys":`, `3}`)
}

var weatherSchema = map[string]any{
	"city": map[string]any{"type": "string"},
	"days": map[string]any{"type": "integer"},
}

// parallel asks n questions at once and checks that each got its own answer.
func parallel(t *testing.T, n int, ask func(text string) (string, error)) {
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			text := fmt.Sprintf("I am number %d.", i)
			got, err := ask(text)
			assert.NoError(t, err)
			assert.Contains(t, got, "You said: "+text)
		})
	}
	wg.Wait()
}

// Anthropic's SDK for Go with its package for Amazon Bedrock, which speaks
// InvokeModel.

func newAnthropic(srv *bedrocktest.Server, cfg aws.Config) *anthropic.Client {
	client := anthropic.NewClient(bedrock.WithConfig(cfg), option.WithBaseURL(srv.URL()), option.WithMaxRetries(0))
	return &client
}

func question(text string) anthropic.MessageNewParams {
	return anthropic.MessageNewParams{
		Model:     model,
		MaxTokens: 1000,
		Messages:  []anthropic.MessageParam{anthropic.NewUserMessage(anthropic.NewTextBlock(text))},
	}
}

func streamAnthropic(ctx context.Context, client *anthropic.Client, params anthropic.MessageNewParams) (message anthropic.Message, deltas int, err error) {
	stream := client.Messages.NewStreaming(ctx, params)
	defer stream.Close()
	for stream.Next() {
		event := stream.Current()
		if event.Type == "content_block_delta" {
			deltas++
		}
		if err := message.Accumulate(event); err != nil {
			return message, deltas, err
		}
	}
	return message, deltas, stream.Err()
}

func TestAnthropic(t *testing.T) {
	srv := newServer(t)
	got, err := newAnthropic(srv, config(srv, secret)).Messages.New(t.Context(), question("漫画?"))
	require.NoError(t, err)
	require.Len(t, got.Content, 1)
	assert.Equal(t, "You said: 漫画?", got.Content[0].Text)
	assert.Equal(t, anthropic.StopReasonEndTurn, got.StopReason)
	assert.Positive(t, got.Usage.InputTokens)
	assert.Positive(t, got.Usage.OutputTokens)
	assert.Equal(t, bedrockkit.OpInvokeModel, srv.Requests()[0].Op)
}

func TestAnthropicStream(t *testing.T) {
	srv := newServer(t)
	got, deltas, err := streamAnthropic(t.Context(), newAnthropic(srv, config(srv, secret)), question("One two three"))
	require.NoError(t, err)
	require.Len(t, got.Content, 1)
	assert.Equal(t, "You said: One two three", got.Content[0].Text)
	assert.Greater(t, deltas, 1)
	assert.Equal(t, anthropic.StopReasonEndTurn, got.StopReason)
	assert.Positive(t, got.Usage.InputTokens)
	assert.Positive(t, got.Usage.OutputTokens)
	assert.Equal(t, bedrockkit.OpInvokeModelWithResponseStream, srv.Requests()[0].Op)
}

func TestAnthropicStreamedToolUse(t *testing.T) {
	srv := newServer(t)
	srv.Reply(weather())
	client := newAnthropic(srv, config(srv, secret))
	params := question("What is the weather in Tokyo?")
	params.Tools = []anthropic.ToolUnionParam{{OfTool: &anthropic.ToolParam{
		Name:        "weather",
		Description: anthropic.String("Forecasts the weather."),
		InputSchema: anthropic.ToolInputSchemaParam{Properties: weatherSchema, Required: []string{"city", "days"}},
	}}}
	first, _, err := streamAnthropic(t.Context(), client, params)
	require.NoError(t, err)
	assert.Equal(t, anthropic.StopReasonToolUse, first.StopReason)
	require.Len(t, first.Content, 2)
	assert.Equal(t, "Let me look.", first.Content[0].Text)
	call := first.Content[1]
	assert.Equal(t, "weather", call.Name)
	assert.JSONEq(t, `{"city":"東京","days":3}`, string(call.Input))

	params.Messages = append(params.Messages, first.ToParam(),
		anthropic.NewUserMessage(anthropic.NewToolResultBlock(call.ID, "clear", false)))
	second, _, err := streamAnthropic(t.Context(), client, params)
	require.NoError(t, err)
	assert.Equal(t, "weather returned: clear", second.Content[0].Text)
}

func TestAnthropicARN(t *testing.T) {
	srv := newServer(t)
	client := newAnthropic(srv, config(srv, secret))
	params := question("Hi")
	params.Model = arn
	got, err := client.Messages.New(t.Context(), params)
	require.NoError(t, err)
	assert.Equal(t, "You said: Hi", got.Content[0].Text)
	streamed, _, err := streamAnthropic(t.Context(), client, params)
	require.NoError(t, err)
	assert.Equal(t, "You said: Hi", streamed.Content[0].Text)
	for _, r := range srv.Requests() {
		assert.EqualValues(t, arn, r.Model)
	}
}

func TestAnthropicAPIKey(t *testing.T) {
	srv := newServer(t)
	got, err := newAnthropic(srv, withKey(srv, apiKey)).Messages.New(t.Context(), question("Hi"))
	require.NoError(t, err)
	assert.Equal(t, "You said: Hi", got.Content[0].Text)
	assert.Equal(t, "Bearer "+apiKey, srv.Requests()[0].Header.Get("Authorization"))
}

func TestAnthropicErrors(t *testing.T) {
	srv := newServer(t)
	nextYear := question("Hi")
	nextYear.Model = unknown
	tests := []struct {
		name   string
		cfg    aws.Config
		params anthropic.MessageNewParams
		reply  *bedrocktest.Reply
		status int
		text   string
	}{
		{"unknown model", config(srv, secret), nextYear, nil, http.StatusBadRequest, "model identifier is invalid"},
		{"wrong secret", config(srv, "wrong"), question("Hi"), nil, http.StatusForbidden, "signature"},
		{"wrong API key", withKey(srv, "another"), question("Hi"), nil, http.StatusForbidden, "API Key"},
		{"throttled", config(srv, secret), question("Hi"), bedrocktest.Throttle(), http.StatusTooManyRequests, "oo many"},
	}
	for _, test := range tests {
		for _, streamed := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, streamed=%t", test.name, streamed), func(t *testing.T) {
				if test.reply != nil {
					srv.Reply(test.reply)
				}
				client := newAnthropic(srv, test.cfg)
				var err error
				if streamed {
					_, _, err = streamAnthropic(t.Context(), client, test.params)
				} else {
					_, err = client.Messages.New(t.Context(), test.params)
				}
				var apiErr *anthropic.Error
				require.ErrorAs(t, err, &apiErr)
				assert.Equal(t, test.status, apiErr.StatusCode)
				assert.Contains(t, apiErr.RawJSON(), test.text)
			})
		}
	}
}

func TestAnthropicExceptionInStream(t *testing.T) {
	srv := newServer(t)
	srv.Reply(bedrocktest.Text("This will not be finished.").ChunkSize(5).ExceptionAfter(4, "ThrottlingException", "Too many tokens, please wait."))
	_, deltas, err := streamAnthropic(t.Context(), newAnthropic(srv, config(srv, secret)), question("Hi"))
	require.ErrorContains(t, err, "Too many tokens, please wait.")
	assert.Equal(t, 2, deltas)
}

func TestAnthropicAbort(t *testing.T) {
	srv := newServer(t)
	srv.Reply(bedrocktest.Text("tick tock").ChunkSize(1).StallAfter(4))
	client := newAnthropic(srv, config(srv, secret))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	stream := client.Messages.NewStreaming(ctx, question("Hi"))
	for stream.Next() {
		if stream.Current().Type == "content_block_delta" {
			cancel()
		}
	}
	require.ErrorIs(t, stream.Err(), context.Canceled)
	require.NoError(t, stream.Close())

	got, err := client.Messages.New(t.Context(), question("Still there?"))
	require.NoError(t, err)
	assert.Equal(t, "You said: Still there?", got.Content[0].Text)
}

func TestAnthropicParallelStreams(t *testing.T) {
	srv := newServer(t)
	client := newAnthropic(srv, config(srv, secret))
	parallel(t, 20, func(text string) (string, error) {
		got, _, err := streamAnthropic(t.Context(), client, question(text))
		if err != nil {
			return "", err
		}
		return got.Content[0].Text, nil
	})
}

// langchaingo, which speaks InvokeModel in each family's own body.

func newLangChain(t *testing.T, cfg aws.Config, opts ...lcbedrock.Option) *lcbedrock.LLM {
	client := bedrockruntime.NewFromConfig(cfg, func(o *bedrockruntime.Options) { o.RetryMaxAttempts = 1 })
	llm, err := lcbedrock.New(append([]lcbedrock.Option{lcbedrock.WithClient(client), lcbedrock.WithModel(model)}, opts...)...)
	require.NoError(t, err)
	return llm
}

// collect takes the pieces of a stream.
func collect(into *[]string) llms.CallOption {
	return llms.WithStreamingFunc(func(_ context.Context, chunk []byte) error {
		if len(chunk) > 0 {
			*into = append(*into, string(chunk))
		}
		return nil
	})
}

func TestLangChain(t *testing.T) {
	for id, family := range map[string]string{
		model:                          "Claude, of a profile",
		"amazon.nova-lite-v1:0":        "Nova",
		"amazon.titan-text-express-v1": "Titan",
		"meta.llama3-8b-instruct-v1:0": "Llama",
	} {
		t.Run(family, func(t *testing.T) {
			srv := newServer(t)
			got, err := newLangChain(t, config(srv, secret), lcbedrock.WithModel(id)).Call(t.Context(), "Hi", llms.WithMaxTokens(100))
			require.NoError(t, err)
			assert.Contains(t, got, "You said: ")
			assert.Contains(t, got, "Hi")
		})
	}
}

func TestLangChainStream(t *testing.T) {
	srv := newServer(t)
	var parts []string
	got, err := newLangChain(t, config(srv, secret)).Call(t.Context(), "One two three", collect(&parts))
	require.NoError(t, err)
	assert.Equal(t, "You said: One two three", got)
	assert.Equal(t, got, strings.Join(parts, ""))
	assert.Greater(t, len(parts), 1)
}

// Its stream drops tool calls (v0.1.14), so they are not streamed here.
func TestLangChainToolUse(t *testing.T) {
	srv := newServer(t)
	srv.Reply(weather())
	llm := newLangChain(t, config(srv, secret))
	tools := llms.WithTools([]llms.Tool{{Type: "function", Function: &llms.FunctionDefinition{
		Name:        "weather",
		Description: "Forecasts the weather.",
		Parameters:  map[string]any{"type": "object", "properties": weatherSchema, "required": []string{"city", "days"}},
	}}})
	messages := []llms.MessageContent{
		llms.TextParts(llms.ChatMessageTypeSystem, "Be brief."),
		llms.TextParts(llms.ChatMessageTypeHuman, "What is the weather in Tokyo?"),
	}
	got, err := llm.GenerateContent(t.Context(), messages, tools)
	require.NoError(t, err)
	first := got.Choices[0]
	assert.Equal(t, "Let me look.", first.Content)
	assert.Equal(t, "tool_use", first.StopReason)
	require.Len(t, first.ToolCalls, 1)
	call := first.ToolCalls[0]
	assert.Equal(t, "weather", call.FunctionCall.Name)
	assert.JSONEq(t, `{"city":"東京","days":3}`, call.FunctionCall.Arguments)

	messages = append(messages,
		llms.MessageContent{Role: llms.ChatMessageTypeAI, Parts: []llms.ContentPart{llms.TextContent{Text: first.Content}, call}},
		llms.MessageContent{Role: llms.ChatMessageTypeTool, Parts: []llms.ContentPart{
			llms.ToolCallResponse{ToolCallID: call.ID, Name: "weather", Content: "clear"},
		}})
	got, err = llm.GenerateContent(t.Context(), messages, tools)
	require.NoError(t, err)
	assert.Equal(t, "weather returned: clear", got.Choices[0].Content)
	assert.Equal(t, []string{"Be brief."}, srv.Requests()[1].System)
}

// An ARN does not tell langchaingo the provider.
func TestLangChainARN(t *testing.T) {
	srv := newServer(t)
	llm := newLangChain(t, config(srv, secret), lcbedrock.WithModel(arn), lcbedrock.WithModelProvider("anthropic"))
	got, err := llm.Call(t.Context(), "Hi")
	require.NoError(t, err)
	assert.Equal(t, "You said: Hi", got)
	assert.EqualValues(t, arn, srv.Requests()[0].Model)
}

// overTLS is cfg for the server behind TLS: the AWS SDK gives an API key to
// nobody without.
func overTLS(t *testing.T, srv *bedrocktest.Server, cfg aws.Config) aws.Config {
	front := httptest.NewTLSServer(srv)
	t.Cleanup(front.Close)
	cfg.BaseEndpoint, cfg.HTTPClient = aws.String(front.URL), front.Client()
	return cfg
}

func TestLangChainAPIKey(t *testing.T) {
	srv := newServer(t)
	got, err := newLangChain(t, overTLS(t, srv, withKey(srv, apiKey))).Call(t.Context(), "Hi")
	require.NoError(t, err)
	assert.Equal(t, "You said: Hi", got)
	assert.Equal(t, "Bearer "+apiKey, srv.Requests()[0].Header.Get("Authorization"))
}

func TestLangChainErrors(t *testing.T) {
	srv := newServer(t)
	ask := func(cfg aws.Config, opts ...lcbedrock.Option) error {
		_, err := newLangChain(t, cfg, opts...).Call(t.Context(), "Hi")
		return err
	}
	var invalid *types.ValidationException
	require.ErrorAs(t, ask(config(srv, secret), lcbedrock.WithModel(unknown)), &invalid)

	var denied *types.AccessDeniedException
	require.ErrorAs(t, ask(overTLS(t, srv, withKey(srv, "another"))), &denied)

	var response *smithyhttp.ResponseError
	require.ErrorAs(t, ask(config(srv, "wrong")), &response)
	assert.Equal(t, http.StatusForbidden, response.HTTPStatusCode())

	srv.Reply(bedrocktest.Throttle())
	var throttled *types.ThrottlingException
	require.ErrorAs(t, ask(config(srv, secret)), &throttled)
}

func TestLangChainAbort(t *testing.T) {
	srv := newServer(t)
	srv.Reply(bedrocktest.Text("tick tock").ChunkSize(1).StallAfter(4))
	llm := newLangChain(t, config(srv, secret))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	_, err := llm.Call(ctx, "Hi", llms.WithStreamingFunc(func(_ context.Context, chunk []byte) error {
		cancel()
		return ctx.Err()
	}))
	require.ErrorIs(t, err, context.Canceled)
	got, err := llm.Call(t.Context(), "Still there?")
	require.NoError(t, err)
	assert.Equal(t, "You said: Still there?", got)
}

// Each stream has a client of its own: the streams of one client race for its
// event-stream codec (bedrockruntime v1.63.13), as the race detector tells.
func TestLangChainParallelStreams(t *testing.T) {
	srv := newServer(t)
	parallel(t, 20, func(text string) (string, error) {
		client := bedrockruntime.NewFromConfig(config(srv, secret))
		llm, err := lcbedrock.New(lcbedrock.WithClient(client), lcbedrock.WithModel(model))
		if err != nil {
			return "", err
		}
		var parts []string
		if _, err = llm.Call(t.Context(), text, collect(&parts)); err != nil {
			return "", err
		}
		return strings.Join(parts, ""), nil
	})
}

// Neither client can leave the authorization out.
func TestNoAuthorization(t *testing.T) {
	srv := newServer(t)
	resp, err := http.Post(srv.URL()+"/model/"+model+"/converse", "application/json",
		strings.NewReader(`{"messages":[{"role":"user","content":[{"text":"Hi"}]}]}`))
	require.NoError(t, err)
	defer resp.Body.Close()
	assert.Equal(t, http.StatusForbidden, resp.StatusCode)
	var body struct{ Message string }
	require.NoError(t, json.NewDecoder(resp.Body).Decode(&body))
	assert.Equal(t, "Missing Authentication Token", body.Message)
}
