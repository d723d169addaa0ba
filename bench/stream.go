package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"

	"charm.land/fantasy"
	fantasybedrock "charm.land/fantasy/providers/bedrock"
	"github.com/anthropics/anthropic-sdk-go"
	anthropicbedrock "github.com/anthropics/anthropic-sdk-go/bedrock"
	"github.com/anthropics/anthropic-sdk-go/option"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime/types"
	"github.com/tmc/langchaingo/llms"
	lcbedrock "github.com/tmc/langchaingo/llms/bedrock"

	"github.com/mangaassist/bedrockkit/bedrockx"
	ourbody "github.com/mangaassist/bedrockkit/bedrockx/anthropic"
	"github.com/mangaassist/bedrockkit/internal/eventstream"
	"github.com/mangaassist/bedrockkit/stream"
)

// The names of the contestants, as they are printed.
const (
	sdkConverse = "AWS SDK, ConverseStream"
	sdkInvoke   = "AWS SDK, InvokeModel stream + encoding/json"
	ourConverse = "bedrockkit, stream.Converse"
	ourInvoke   = "bedrockkit, stream.InvokeModel"
	discard     = "limit: read and discard the body"
	framesOnly  = "limit: frames and their CRC"
)

func config(client *http.Client) aws.Config {
	return aws.Config{
		Region: "us-east-1", HTTPClient: client, RetryMaxAttempts: 1,
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "AKIDEXAMPLE", SecretAccessKey: "example"}, nil
		}),
	}
}

func sdkMessages() []types.Message {
	return []types.Message{{Role: types.ConversationRoleUser, Content: []types.ContentBlock{&types.ContentBlockMemberText{Value: "Hi"}}}}
}

var invokeBody = []byte(`{"anthropic_version":"bedrock-2023-05-31","max_tokens":1000,"messages":[{"role":"user","content":"Hi"}]}`)

// streamers are all who read a stream. An HTTP client answers with the frames
// of its own operation.
func streamers(converse, invoke *http.Client) ([]contestant, error) {
	sdk := bedrockruntime.NewFromConfig(config(converse))
	sdkI := bedrockruntime.NewFromConfig(config(invoke))
	ours := bedrockx.New(sdk)
	oursI := bedrockx.New(sdkI)

	claude := anthropic.NewClient(anthropicbedrock.WithConfig(config(invoke)), option.WithHTTPClient(invoke), option.WithMaxRetries(0))
	chain, err := lcbedrock.New(lcbedrock.WithClient(sdkI), lcbedrock.WithModel(model))
	if err != nil {
		return nil, err
	}
	provider, err := fantasybedrock.New(fantasybedrock.WithAPIKey("example"), fantasybedrock.WithHTTPClient(invoke))
	if err != nil {
		return nil, err
	}
	charm, err := provider.LanguageModel(context.Background(), model)
	if err != nil {
		return nil, err
	}

	return []contestant{
		{sdkConverse, func(ctx context.Context) (n int, err error) {
			out, err := sdk.ConverseStream(ctx, &bedrockruntime.ConverseStreamInput{ModelId: aws.String(model), Messages: sdkMessages()})
			if err != nil {
				return 0, err
			}
			s := out.GetStream()
			defer s.Close()
			for ev := range s.Events() {
				if d, ok := ev.(*types.ConverseStreamOutputMemberContentBlockDelta); ok {
					if text, ok := d.Value.Delta.(*types.ContentBlockDeltaMemberText); ok {
						n += len(text.Value)
					}
				}
			}
			return n, s.Err()
		}},
		{sdkInvoke, func(ctx context.Context) (n int, err error) {
			out, err := sdkI.InvokeModelWithResponseStream(ctx, &bedrockruntime.InvokeModelWithResponseStreamInput{
				ModelId: aws.String(model), ContentType: aws.String("application/json"), Body: invokeBody})
			if err != nil {
				return 0, err
			}
			s := out.GetStream()
			defer s.Close()
			for ev := range s.Events() {
				chunk, ok := ev.(*types.ResponseStreamMemberChunk)
				if !ok {
					continue
				}
				var event struct {
					Type  string `json:"type"`
					Index int    `json:"index"`
					Delta struct {
						Type string `json:"type"`
						Text string `json:"text"`
					} `json:"delta"`
				}
				if err := json.Unmarshal(chunk.Value.Bytes, &event); err != nil {
					return n, err
				}
				n += len(event.Delta.Text)
			}
			return n, s.Err()
		}},
		{"anthropic-sdk-go", func(ctx context.Context) (n int, err error) {
			s := claude.Messages.NewStreaming(ctx, anthropic.MessageNewParams{
				Model: model, MaxTokens: 1000, Messages: []anthropic.MessageParam{anthropic.NewUserMessage(anthropic.NewTextBlock("Hi"))}})
			defer s.Close()
			for s.Next() {
				if d, ok := s.Current().AsAny().(anthropic.ContentBlockDeltaEvent); ok {
					n += len(d.Delta.Text)
				}
			}
			return n, s.Err()
		}},
		{"langchaingo", func(ctx context.Context) (n int, err error) {
			_, err = chain.Call(ctx, "Hi", llms.WithMaxTokens(1000), llms.WithStreamingFunc(func(_ context.Context, chunk []byte) error {
				n += len(chunk)
				return nil
			}))
			return n, err
		}},
		{"fantasy", func(ctx context.Context) (n int, err error) {
			parts, err := charm.Stream(ctx, fantasy.Call{Prompt: fantasy.Prompt{fantasy.NewUserMessage("Hi")}})
			if err != nil {
				return 0, err
			}
			for part := range parts {
				switch part.Type {
				case fantasy.StreamPartTypeTextDelta:
					n += len(part.Delta)
				case fantasy.StreamPartTypeError:
					return n, part.Error
				}
			}
			return n, nil
		}},
		{ourConverse, func(ctx context.Context) (int, error) {
			s, err := stream.Converse(ctx, ours, &bedrockruntime.ConverseStreamInput{ModelId: aws.String(model), Messages: sdkMessages()})
			return length(s, err)
		}},
		{ourInvoke, func(ctx context.Context) (int, error) {
			s, err := stream.InvokeModel(ctx, oursI, &bedrockruntime.InvokeModelWithResponseStreamInput{
				ModelId: aws.String(model), Body: invokeBody}, ourbody.NewDecoder)
			return length(s, err)
		}},
		{discard, func(ctx context.Context) (int, error) {
			return raw(ctx, converse, func(body io.Reader) (int, error) {
				_, err := io.Copy(io.Discard, struct{ io.Reader }{body})
				return textBytes(deltas), err
			})
		}},
		{framesOnly, func(ctx context.Context) (int, error) {
			return raw(ctx, converse, func(body io.Reader) (int, error) {
				frames := eventstream.NewReader(body, 0)
				for {
					if _, err := frames.Next(); err == io.EOF {
						return textBytes(deltas), nil
					} else if err != nil {
						return 0, err
					}
				}
			})
		}},
	}, nil
}

// length reads a stream of ours to its end.
func length(s *stream.Stream, err error) (n int, _ error) {
	if err != nil {
		return 0, err
	}
	for text, err := range s.Text() {
		if err != nil {
			return n, err
		}
		n += len(text)
	}
	return n, nil
}

// raw asks for a stream without any SDK.
func raw(ctx context.Context, client *http.Client, read func(io.Reader) (int, error)) (int, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://"+host+"/model/"+model+"/converse-stream", strings.NewReader("{}"))
	if err != nil {
		return 0, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("the server says %s", resp.Status)
	}
	return read(resp.Body)
}
