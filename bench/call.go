package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime/document"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime/types"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/bedrockx"
	"github.com/mangaassist/bedrockkit/bedrockx/anthropic"
	"github.com/mangaassist/bedrockkit/converse"
)

const (
	sdkUnary      = "AWS SDK, Converse"
	sdkUnaryJSON  = "AWS SDK, InvokeModel + encoding/json"
	ourUnary      = "bedrockkit, converse.Send"
	ourUnaryTyped = "bedrockkit, bedrockx.Invoke"
)

// callers make one unary call each.
func callers(converseClient, invokeClient *http.Client) []contestant {
	sdk := bedrockruntime.NewFromConfig(config(converseClient))
	sdkI := bedrockruntime.NewFromConfig(config(invokeClient))
	chat := converse.New(bedrockx.New(sdk), func(o *converse.Options) { o.Model = model })
	typed := bedrockx.New(sdkI)
	return []contestant{
		{sdkUnary, func(ctx context.Context) (int, error) {
			out, err := sdk.Converse(ctx, &bedrockruntime.ConverseInput{ModelId: aws.String(model), Messages: sdkMessages()})
			if err != nil {
				return 0, err
			}
			return sdkText(out), nil
		}},
		{ourUnary, func(ctx context.Context) (int, error) {
			out, err := chat.Send(ctx, converse.Request{Messages: []converse.Message{converse.User("Hi")}})
			if err != nil {
				return 0, err
			}
			return len(out.Text()), nil
		}},
		{sdkUnaryJSON, func(ctx context.Context) (int, error) {
			body, err := json.Marshal(plainRequest{Version: anthropic.Version, MaxTokens: 1000, Messages: []plainMessage{{"user", []plainBlock{{"text", "Hi"}}}}})
			if err != nil {
				return 0, err
			}
			out, err := sdkI.InvokeModel(ctx, &bedrockruntime.InvokeModelInput{ModelId: aws.String(model), ContentType: aws.String("application/json"), Body: body})
			if err != nil {
				return 0, err
			}
			var answer plainResponse
			if err := json.Unmarshal(out.Body, &answer); err != nil {
				return 0, err
			}
			return len(answer.Content[0].Text), nil
		}},
		{ourUnaryTyped, func(ctx context.Context) (int, error) {
			out, err := bedrockx.Invoke(ctx, typed, model, typedRequest())
			if err != nil {
				return 0, err
			}
			return len(out.Output.Text()), nil
		}},
	}
}

// What someone writes for the SDK's InvokeModel.
type (
	plainRequest struct {
		Version   string         `json:"anthropic_version"`
		MaxTokens int            `json:"max_tokens"`
		Messages  []plainMessage `json:"messages"`
	}
	plainMessage struct {
		Role    string       `json:"role"`
		Content []plainBlock `json:"content"`
	}
	plainBlock struct {
		Type string `json:"type"`
		Text string `json:"text"`
	}
	plainResponse struct {
		Content    []plainBlock `json:"content"`
		StopReason string       `json:"stop_reason"`
		Usage      struct {
			InputTokens  int64 `json:"input_tokens"`
			OutputTokens int64 `json:"output_tokens"`
		} `json:"usage"`
	}
)

func typedRequest() anthropic.Request {
	return anthropic.Request{AnthropicVersion: anthropic.Version, MaxTokens: 1000, Messages: []anthropic.Message{anthropic.User("Hi")}}
}

func sdkText(out *bedrockruntime.ConverseOutput) (n int) {
	message, ok := out.Output.(*types.ConverseOutputMemberMessage)
	if !ok {
		return 0
	}
	for _, block := range message.Value.Content {
		if text, ok := block.(*types.ContentBlockMemberText); ok {
			n += len(text.Value)
		}
	}
	return n
}

// A call is short, so a round has a hundred for each stream of the other races.
const callsPerWork = 100

func (c *course) memoryCalls() (*race, error) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	contestants := callers(memory(converseJSON, "application/json"), memory(invokeJSON, "application/json"))
	r := &race{Title: "Unary calls in memory, on one processor, 1 KB of answer", Per: "call", Baseline: sdkUnary}
	return r, c.measure(r, repeated(contestants, callsPerWork), callsPerWork, callsPerWork*len(answerText))
}

func (c *course) calls() (*race, error) {
	client := c.server.client("burst", true)
	defer client.CloseIdleConnections()
	r := &race{Title: "Unary calls over HTTP/2 with TLS, 1 KB of answer", Per: "call", Baseline: sdkUnary}
	return r, c.measure(r, repeated(callers(client, client), callsPerWork), callsPerWork, callsPerWork*len(answerText))
}

// parallelCalls has a hundred callers of one client at once.
func (c *course) parallelCalls() (*race, error) {
	contestants := callers(memory(converseJSON, "application/json"), memory(invokeJSON, "application/json"))
	for i, one := range contestants {
		contestants[i].run = func(ctx context.Context) (int, error) {
			var mu sync.Mutex
			var sum int
			var failed error
			var wg sync.WaitGroup
			for range callsPerWork {
				wg.Go(func() {
					n, err := one.run(ctx)
					mu.Lock()
					defer mu.Unlock()
					sum, failed = sum+n, errors.Join(failed, err)
				})
			}
			wg.Wait()
			return sum, failed
		}
	}
	r := &race{Title: fmt.Sprintf("Unary calls in memory, %d at once through one client", callsPerWork), Per: "call", Baseline: sdkUnary}
	return r, c.measure(r, contestants, callsPerWork, callsPerWork*len(answerText))
}

// repeated is each contestant n times in a row.
func repeated(contestants []contestant, n int) []contestant {
	for i, one := range contestants {
		contestants[i].run = func(ctx context.Context) (int, error) {
			sum := 0
			for range n {
				found, err := one.run(ctx)
				if err != nil {
					return sum, err
				}
				sum += found
			}
			return sum, nil
		}
	}
	return contestants
}

// stub is an API that answers at once: what is left is the pipeline alone.
type stub struct{ bedrockx.RuntimeAPI }

var stubOutput = &bedrockruntime.InvokeModelOutput{Body: invokeJSON}

func (stub) InvokeModel(context.Context, *bedrockruntime.InvokeModelInput, ...func(*bedrockruntime.Options)) (*bedrockruntime.InvokeModelOutput, error) {
	return stubOutput, nil
}

// pipeline sends a call through every step, whose end does nothing, beside a
// direct call of the same method.
func (c *course) pipeline() (*race, error) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	api := &stub{}
	client := bedrockx.New(api)
	in := &bedrockruntime.InvokeModelInput{Body: invokeBody}
	const direct = "the method alone"
	contestants := []contestant{
		{direct, func(ctx context.Context) (int, error) {
			out, err := api.InvokeModel(ctx, in)
			return len(out.Body), err
		}},
		{"bedrockkit, Client.Do around it", func(ctx context.Context) (n int, err error) {
			call := &bedrockx.Call{Op: bedrockkit.OpInvokeModel, Outcome: bedrockx.Outcome{Model: model}, Body: invokeBody,
				SDKInput: func() (any, error) { return in, nil },
				Decode: func(_ context.Context, r *bedrockx.Response) error {
					n = len(r.SDK.(*bedrockruntime.InvokeModelOutput).Body)
					return nil
				}}
			err = client.Do(ctx, call)
			return n, err
		}},
	}
	r := &race{Title: "The pipeline alone, around an API that does nothing", Per: "call", Baseline: direct}
	return r, c.measure(r, repeated(contestants, 10*callsPerWork), 10*callsPerWork, -1)
}

// A long conversation: 20 KB of history and five tools.
var (
	turnText   = strings.Repeat("Which volume should I read next, and is it in stock? ", 19)
	toolSchema = `{"type":"object","properties":{"title":{"type":"string","description":"The title, in any language."},"genre":{"type":"string","enum":["action","romance","mystery"]},"limit":{"type":"integer","minimum":1,"maximum":20}},"required":["title"]}`
)

const (
	turns = 20
	tools = 5
)

// request sends the long conversation and reads a short answer.
func (c *course) request() (*race, error) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	sdk := bedrockruntime.NewFromConfig(config(memory(converseJSON, "application/json")))
	chat := converse.New(bedrockx.New(sdk), func(o *converse.Options) { o.Model = model })

	var schema map[string]any
	if err := json.Unmarshal([]byte(toolSchema), &schema); err != nil {
		return nil, err
	}
	in := bedrockruntime.ConverseInput{ModelId: aws.String(model), ToolConfig: &types.ToolConfiguration{}}
	var ours converse.Request
	for i := range turns {
		role, ourRole := types.ConversationRoleUser, converse.RoleUser
		if i%2 == 1 {
			role, ourRole = types.ConversationRoleAssistant, converse.RoleAssistant
		}
		in.Messages = append(in.Messages, types.Message{Role: role, Content: []types.ContentBlock{&types.ContentBlockMemberText{Value: turnText}}})
		ours.Messages = append(ours.Messages, converse.Message{Role: ourRole, Content: converse.Contents{converse.Text(turnText)}})
	}
	in.Messages = append(in.Messages, sdkMessages()...)
	ours.Messages = append(ours.Messages, converse.User("Hi"))
	for i := range tools {
		name := fmt.Sprintf("search_catalog_%d", i)
		const description = "Searches the catalog of the store for a title and says what is in stock."
		in.ToolConfig.Tools = append(in.ToolConfig.Tools, &types.ToolMemberToolSpec{Value: types.ToolSpecification{
			Name: aws.String(name), Description: aws.String(description),
			InputSchema: &types.ToolInputSchemaMemberJson{Value: document.NewLazyDocument(schema)}}})
		ours.Tools = append(ours.Tools, converse.ToolSpec{Name: name, Description: description, InputSchema: json.RawMessage(toolSchema)})
	}
	contestants := []contestant{
		{sdkUnary, func(ctx context.Context) (int, error) {
			out, err := sdk.Converse(ctx, &in)
			if err != nil {
				return 0, err
			}
			return sdkText(out), nil
		}},
		{ourUnary, func(ctx context.Context) (int, error) {
			out, err := chat.Send(ctx, ours)
			if err != nil {
				return 0, err
			}
			return len(out.Text()), nil
		}},
	}
	r := &race{Title: "Converse with 20 KB of history and 5 tools, in memory, on one processor", Per: "call", Baseline: sdkUnary}
	return r, c.measure(r, repeated(contestants, callsPerWork), callsPerWork, callsPerWork*len(answerText))
}
