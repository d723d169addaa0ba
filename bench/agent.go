package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"charm.land/fantasy"
	fantasybedrock "charm.land/fantasy/providers/bedrock"
	"github.com/anthropics/anthropic-sdk-go"
	anthropicbedrock "github.com/anthropics/anthropic-sdk-go/bedrock"
	"github.com/anthropics/anthropic-sdk-go/option"
	"github.com/anthropics/anthropic-sdk-go/toolrunner"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime/document"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime/types"

	"github.com/mangaassist/bedrockkit/bedrockx"
	"github.com/mangaassist/bedrockkit/converse"
)

// A loop of tools: the model writes 300 tokens and asks for a tool, twice, and then
// writes 300 tokens more.

const (
	agentRounds = 3
	agentDeltas = 300

	claudeRunner = "anthropic-sdk-go, tool runner"
	charmAgent   = "fantasy, agent"
	sdkLoop      = "AWS SDK, ConverseStream, loop by hand"
	ourLoop      = "bedrockkit, converse.RunStream"

	agentSystem   = "You are the assistant of a manga store."
	agentQuestion = "Do you have volume 105 of One Piece?"
	agentTool     = "Says how many copies of a volume are in stock."
)

// agentHandler answers with the round that a request is in, which it tells by the
// results of tools in it.
func agentHandler() http.Handler {
	type form struct {
		result []byte // begins a tool's result
		rounds [agentRounds][]byte
	}
	converse, invoke := form{result: []byte(`"toolResult":`)}, form{result: []byte(`"tool_result"`)}
	for i := range agentRounds {
		var calls []string
		if i < agentRounds-1 {
			calls = []string{fmt.Sprintf("toolu_bdrk_%d", i+1)}
		}
		converse.rounds[i] = bytes.Join(converseFrames(agentDeltas, calls...), nil)
		invoke.rounds[i] = bytes.Join(invokeFrames(agentDeltas, calls...), nil)
	}
	forms := map[string]form{"converse-stream": converse, "invoke-with-response-stream": invoke}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		f, ok := forms[r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:]]
		round := 0
		if ok {
			round = bytes.Count(body, f.result)
		}
		if err != nil || !ok || round >= agentRounds {
			http.Error(w, `{"message":"there is no such round"}`, http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Type", "application/vnd.amazon.eventstream")
		w.Header().Set("X-Amzn-Bedrock-Content-Type", "application/json")
		w.Write(f.rounds[round])
	})
}

// stockQuery is what the tool takes.
type stockQuery struct {
	Title  string `json:"title" jsonschema:"required,description=the manga's title"`
	Volume int    `json:"volume" jsonschema:"required,description=the volume's number"`
}

// ourStockQuery is the same with the words of our schemas.
type ourStockQuery struct {
	Title  string `json:"title" jsonschema:"the manga's title"`
	Volume int    `json:"volume" jsonschema:"the volume's number"`
}

// stocked is what the tool answers. Each call is looked at.
func stocked(title string, volume int) (string, error) {
	if title != "One Piece" || volume != 105 {
		return "", fmt.Errorf("the tool was asked for %q, volume %d", title, volume)
	}
	return `{"copies":3}`, nil
}

// agent races the loops. Each finds the text of all rounds.
func (c *course) agent() (*race, error) {
	client := c.server.client("agent", true)
	defer client.CloseIdleConnections()
	sdk := bedrockruntime.NewFromConfig(config(client))

	claude := anthropic.NewClient(anthropicbedrock.WithConfig(config(client)), option.WithHTTPClient(client), option.WithMaxRetries(0))
	stock, err := toolrunner.NewBetaToolFromJSONSchema("check_stock", agentTool,
		func(_ context.Context, in stockQuery) (anthropic.BetaToolResultBlockParamContentUnion, error) {
			text, err := stocked(in.Title, in.Volume)
			return anthropic.BetaToolResultBlockParamContentUnion{OfText: &anthropic.BetaTextBlockParam{Text: text}}, err
		})
	if err != nil {
		return nil, err
	}
	provider, err := fantasybedrock.New(fantasybedrock.WithAPIKey("example"), fantasybedrock.WithHTTPClient(client))
	if err != nil {
		return nil, err
	}
	charm, err := provider.LanguageModel(c.ctx, model)
	if err != nil {
		return nil, err
	}
	crew := fantasy.NewAgent(charm, fantasy.WithSystemPrompt(agentSystem), fantasy.WithMaxOutputTokens(1000), fantasy.WithTools(
		fantasy.NewAgentTool("check_stock", agentTool, func(_ context.Context, in stockQuery, _ fantasy.ToolCall) (fantasy.ToolResponse, error) {
			text, err := stocked(in.Title, in.Volume)
			return fantasy.NewTextResponse(text), err
		})))
	chat := converse.New(bedrockx.New(sdk), func(o *converse.Options) {
		o.Model, o.System = model, converse.Texts(agentSystem)
		o.Tools = []converse.Tool{converse.NewTool("check_stock", agentTool, func(_ context.Context, in ourStockQuery) (json.RawMessage, error) {
			text, err := stocked(in.Title, in.Volume)
			return json.RawMessage(text), err
		})}
	})

	contestants := []contestant{
		{claudeRunner, func(ctx context.Context) (n int, err error) {
			runner := claude.Beta.Messages.NewToolRunnerStreaming([]anthropic.BetaTool{stock}, anthropic.BetaToolRunnerParams{
				BetaMessageNewParams: anthropic.BetaMessageNewParams{
					Model: model, MaxTokens: 1000, System: []anthropic.BetaTextBlockParam{{Text: agentSystem}},
					Messages: []anthropic.BetaMessageParam{anthropic.NewBetaUserMessage(anthropic.NewBetaTextBlock(agentQuestion))},
				},
				MaxIterations: agentRounds,
			})
			for events, err := range runner.AllStreaming(ctx) {
				if err != nil {
					return n, err
				}
				for event, err := range events {
					if err != nil {
						return n, err
					}
					if d, ok := event.AsAny().(anthropic.BetaRawContentBlockDeltaEvent); ok && d.Delta.Type == "text_delta" {
						n += len(d.Delta.Text)
					}
				}
			}
			return n, runner.Err()
		}},
		{charmAgent, func(ctx context.Context) (n int, err error) {
			_, err = crew.Stream(ctx, fantasy.AgentStreamCall{Prompt: agentQuestion, OnTextDelta: func(_, text string) error {
				n += len(text)
				return nil
			}})
			return n, err
		}},
		{sdkLoop, func(ctx context.Context) (int, error) { return loopByHand(ctx, sdk) }},
		{ourLoop, func(ctx context.Context) (n int, err error) {
			for ev, err := range chat.RunStream(ctx, converse.Request{MaxTokens: 1000, Messages: []converse.Message{converse.User(agentQuestion)}}) {
				if err != nil {
					return n, err
				}
				n += len(ev.Text)
			}
			return n, nil
		}},
	}
	r := &race{Title: fmt.Sprintf("A loop with a tool over HTTP/2 with TLS: %d rounds of %d streamed tokens", agentRounds, agentDeltas), Per: "loop", Baseline: claudeRunner}
	return r, c.measure(r, contestants, 1, agentRounds*textBytes(agentDeltas))
}

// loopByHand is what one writes with the SDK alone.
func loopByHand(ctx context.Context, sdk *bedrockruntime.Client) (n int, err error) {
	history := []types.Message{{Role: types.ConversationRoleUser, Content: []types.ContentBlock{&types.ContentBlockMemberText{Value: agentQuestion}}}}
	tools := &types.ToolConfiguration{Tools: []types.Tool{&types.ToolMemberToolSpec{Value: types.ToolSpecification{
		Name: aws.String("check_stock"), Description: aws.String(agentTool),
		InputSchema: &types.ToolInputSchemaMemberJson{Value: document.NewLazyDocument(map[string]any{
			"type": "object", "required": []string{"title", "volume"},
			"properties": map[string]any{
				"title":  map[string]any{"type": "string", "description": "the manga's title"},
				"volume": map[string]any{"type": "integer", "description": "the volume's number"},
			},
		})},
	}}}}
	for range agentRounds {
		out, err := sdk.ConverseStream(ctx, &bedrockruntime.ConverseStreamInput{
			ModelId: aws.String(model), Messages: history, ToolConfig: tools,
			System:          []types.SystemContentBlock{&types.SystemContentBlockMemberText{Value: agentSystem}},
			InferenceConfig: &types.InferenceConfiguration{MaxTokens: aws.Int32(1000)},
		})
		if err != nil {
			return n, err
		}
		var text, input strings.Builder
		var call *types.ToolUseBlockStart
		var stop types.StopReason
		s := out.GetStream()
		for ev := range s.Events() {
			switch ev := ev.(type) {
			case *types.ConverseStreamOutputMemberContentBlockStart:
				if start, ok := ev.Value.Start.(*types.ContentBlockStartMemberToolUse); ok {
					call = &start.Value
				}
			case *types.ConverseStreamOutputMemberContentBlockDelta:
				switch d := ev.Value.Delta.(type) {
				case *types.ContentBlockDeltaMemberText:
					n += len(d.Value)
					text.WriteString(d.Value)
				case *types.ContentBlockDeltaMemberToolUse:
					input.WriteString(aws.ToString(d.Value.Input))
				}
			case *types.ConverseStreamOutputMemberMessageStop:
				stop = ev.Value.StopReason
			}
		}
		if err := errors.Join(s.Err(), s.Close()); err != nil {
			return n, err
		}
		if stop != types.StopReasonToolUse {
			return n, nil
		}
		var query stockQuery
		var raw map[string]any
		if err := errors.Join(json.Unmarshal([]byte(input.String()), &query), json.Unmarshal([]byte(input.String()), &raw)); err != nil {
			return n, err
		}
		copies, err := stocked(query.Title, query.Volume)
		if err != nil {
			return n, err
		}
		history = append(history,
			types.Message{Role: types.ConversationRoleAssistant, Content: []types.ContentBlock{
				&types.ContentBlockMemberText{Value: text.String()},
				&types.ContentBlockMemberToolUse{Value: types.ToolUseBlock{Name: call.Name, ToolUseId: call.ToolUseId, Input: document.NewLazyDocument(raw)}},
			}},
			types.Message{Role: types.ConversationRoleUser, Content: []types.ContentBlock{&types.ContentBlockMemberToolResult{Value: types.ToolResultBlock{
				ToolUseId: call.ToolUseId, Content: []types.ToolResultContentBlock{&types.ToolResultContentBlockMemberText{Value: copies}},
			}}}})
	}
	return n, errors.New("the model asks for a tool in its last round")
}
