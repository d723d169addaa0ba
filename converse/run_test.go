package converse_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/bedrocktest"
	"github.com/mangaassist/bedrockkit/bedrockx"
	"github.com/mangaassist/bedrockkit/converse"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const model = "us.anthropic.claude-haiku-4-5-20251001-v1:0"

type stockIn struct {
	Title string `json:"title"`
}

// newChat returns a client of a fake Bedrock, with one tool that counts its
// runs.
func newChat(t *testing.T, optFns ...func(*converse.Options)) (*converse.Client, *bedrocktest.Server, *atomic.Int32) {
	t.Helper()
	srv := bedrocktest.NewServer(t)
	runs := &atomic.Int32{}
	stock := converse.NewTool("check_stock", "Says how many copies are in stock.", func(_ context.Context, in stockIn) (map[string]any, error) {
		runs.Add(1)
		return map[string]any{"title": in.Title, "copies": 3}, nil
	})
	fns := append([]func(*converse.Options){func(o *converse.Options) {
		o.Model = model
		o.System = converse.Texts("Be brief.")
		o.Tools = []converse.Tool{stock}
	}}, optFns...)
	return converse.New(bedrockx.New(srv.Client(), fast), fns...), srv, runs
}

// fast makes retries wait for nothing.
func fast(o *bedrockx.Options) { o.BaseDelay = 1; o.MaxDelay = 1 }

func ask(text string) converse.Request {
	return converse.Request{Messages: []converse.Message{converse.User(text)}}
}

// run runs the loop both ways; what holds for one holds for the other.
func run(t *testing.T, streamed bool, chat *converse.Client, req converse.Request) (*converse.RunResult, error) {
	t.Helper()
	if !streamed {
		return chat.Run(t.Context(), req)
	}
	var text strings.Builder
	for ev, err := range chat.RunStream(t.Context(), req) {
		if err != nil {
			require.NotNil(t, ev.Result)
			return ev.Result, err
		}
		text.WriteString(ev.Text)
		if ev.Result != nil {
			all := ""
			for _, r := range ev.Result.Rounds {
				all += r.Text()
			}
			assert.Equal(t, all, text.String(), "the pieces are the text")
			return ev.Result, nil
		}
	}
	t.Fatal("the loop ended without a result")
	return nil, nil
}

func bothWays(t *testing.T, test func(t *testing.T, streamed bool)) {
	t.Run("unary", func(t *testing.T) { test(t, false) })
	t.Run("streamed", func(t *testing.T) { test(t, true) })
}

func TestSend(t *testing.T) {
	chat, srv, _ := newChat(t)
	srv.Reply(bedrocktest.Text("こんにちは").Usage(bedrockkit.Usage{InputTokens: 1_000_000, OutputTokens: 100_000}))
	resp, err := chat.Send(t.Context(), ask("hello"))
	require.NoError(t, err)
	assert.Equal(t, "こんにちは", resp.Text())
	assert.Equal(t, bedrockkit.StopEndTurn, resp.StopReason)
	assert.Equal(t, "1.65", resp.Cost.String())
	assert.EqualValues(t, model, resp.Model)
	assert.NotEmpty(t, resp.RequestID)

	body := string(srv.Requests()[0].Body)
	assert.JSONEq(t, `{"messages":[{"role":"user","content":[{"text":"hello"}]}],"system":[{"text":"Be brief."}],"inferenceConfig":{"maxTokens":2048},
		"toolConfig":{"tools":[{"toolSpec":{"name":"check_stock","description":"Says how many copies are in stock.","inputSchema":{"json":
		{"type":"object","properties":{"title":{"type":"string"}},"required":["title"],"additionalProperties":false}}}}]}}`, body)
}

func TestLoop(t *testing.T) {
	bothWays(t, func(t *testing.T, streamed bool) {
		chat, srv, runs := newChat(t)
		srv.Reply(
			bedrocktest.Text("Let me look.").ToolUse("check_stock", map[string]any{"title": "Berserk"}).ToolUse("check_stock", map[string]any{"title": "Monster"}),
			bedrocktest.Text("Three of each."),
		)
		req := ask("Berserk or Monster?")
		result, err := run(t, streamed, chat, req)
		require.NoError(t, err)
		assert.Equal(t, "Three of each.", result.Text())
		assert.EqualValues(t, 2, runs.Load())
		require.Len(t, result.Rounds, 2)
		assert.Len(t, req.Messages, 1, "the caller's messages stay as they are")

		require.Len(t, result.Messages, 4)
		uses := result.Messages[1].ToolUses()
		require.Len(t, uses, 2)
		require.Len(t, result.Messages[2].Content, 2, "the results of a round are in one message")
		for i, title := range []string{"Berserk", "Monster"} {
			answer := result.Messages[2].Content[i].(converse.ToolResult)
			assert.Equal(t, uses[i].ID, answer.ToolUseID, "in the order of the calls")
			assert.JSONEq(t, `{"title":"`+title+`","copies":3}`, string(answer.Content[0].(converse.JSON)))
		}
		assert.Equal(t, result.Rounds[0].Usage.Add(result.Rounds[1].Usage), result.Usage)
		sum := result.Rounds[0].Cost.Add(*result.Rounds[1].Cost)
		assert.Equal(t, &sum, result.Cost)

		// The history goes through JSON and on.
		stored, err := json.Marshal(result.Messages)
		require.NoError(t, err)
		var history []converse.Message
		require.NoError(t, json.Unmarshal(stored, &history))
		srv.Reply(bedrocktest.Text("You are welcome."))
		result, err = run(t, streamed, chat, converse.Request{Messages: append(history, converse.User("Thanks!"))})
		require.NoError(t, err)
		assert.Equal(t, "You are welcome.", result.Text())
	})
}

func TestLoopKeepsReasoning(t *testing.T) {
	bothWays(t, func(t *testing.T, streamed bool) {
		chat, srv, _ := newChat(t)
		srv.Reply(
			bedrocktest.Reasoning("I must look.").ToolUse("check_stock", map[string]any{"title": "Berserk"}),
			bedrocktest.Text("Three."),
		)
		result, err := run(t, streamed, chat, ask("Berserk?"))
		require.NoError(t, err)
		thought := result.Messages[1].Content[0].(converse.Reasoning)
		assert.Equal(t, "I must look.", thought.Text)
		assert.NotEmpty(t, thought.Signature)
		// It went back byte for byte, before the tool use that it led to.
		quoted, err := json.Marshal(thought.Signature)
		require.NoError(t, err)
		second := string(srv.Requests()[1].Body)
		assert.Contains(t, second, `"signature":`+string(quoted))
		assert.Less(t, strings.Index(second, "reasoningContent"), strings.Index(second, "toolUse"))
	})
}

func TestLoopToolErrorsGoOn(t *testing.T) {
	bothWays(t, func(t *testing.T, streamed bool) {
		chat, srv, runs := newChat(t)
		srv.Reply(
			bedrocktest.ToolUse("check_stock", map[string]any{"name": "Berserk"}).ToolUse("no_such_tool", map[string]any{}),
			bedrocktest.Text("Sorry."),
		)
		result, err := run(t, streamed, chat, ask("Berserk?"))
		require.NoError(t, err)
		assert.Zero(t, runs.Load())
		for _, c := range result.Messages[2].Content {
			assert.Equal(t, converse.ToolError, c.(converse.ToolResult).Status)
		}
		assert.Contains(t, result.Messages[2].Content[1].(converse.ToolResult).Content[0], `no tool "no_such_tool"`)
	})
}

func TestLoopBoundsItsRounds(t *testing.T) {
	bothWays(t, func(t *testing.T, streamed bool) {
		chat, srv, runs := newChat(t, func(o *converse.Options) { o.MaxRounds = 2 })
		srv.Reply(
			bedrocktest.ToolUse("check_stock", map[string]any{"title": "1"}),
			bedrocktest.ToolUse("check_stock", map[string]any{"title": "2"}),
		)
		result, err := run(t, streamed, chat, ask("again and again"))
		assert.ErrorIs(t, err, converse.ErrMaxRounds)
		assert.Len(t, result.Rounds, 2)
		assert.Len(t, result.Messages, 3, "the conversation so far, without the call that nobody answers")
		assert.Len(t, result.Last().Message.ToolUses(), 1)
		assert.EqualValues(t, 1, runs.Load())
		assert.NotNil(t, result.Cost)
	})
}

// A call that was cut, or that the model did not stop for, never runs.
func TestLoopRunsNoToolThatWasNotMeant(t *testing.T) {
	for _, stop := range []bedrockkit.StopReason{bedrockkit.StopMaxTokens, bedrockkit.StopSequence, bedrockkit.StopContextWindowExceeded, bedrockkit.StopGuardrailIntervened} {
		t.Run(string(stop), func(t *testing.T) {
			bothWays(t, func(t *testing.T, streamed bool) {
				chat, srv, runs := newChat(t)
				srv.Reply(bedrocktest.Text("I will").ToolUse("check_stock", map[string]any{"title": "Berserk"}).Stop(stop))
				result, err := run(t, streamed, chat, ask("Berserk?"))
				require.NoError(t, err)
				assert.Equal(t, stop, result.Last().StopReason)
				assert.Zero(t, runs.Load())
			})
		})
	}
}

func TestLoopMalformedStopIsAnError(t *testing.T) {
	bothWays(t, func(t *testing.T, streamed bool) {
		chat, srv, runs := newChat(t)
		reply := func() *bedrocktest.Reply {
			return bedrocktest.ToolUse("check_stock", map[string]any{"title": "Berserk"}).Stop(bedrockkit.StopMalformedToolUse)
		}
		srv.Reply(reply())
		if !streamed { // nothing was seen, so it is tried once more
			srv.Reply(reply())
		}
		_, err := run(t, streamed, chat, ask("Berserk?"))
		assert.ErrorIs(t, err, bedrockx.ErrModelError)
		assert.Zero(t, runs.Load())
	})
}

func TestLoopThatIsLeft(t *testing.T) {
	chat, srv, _ := newChat(t)
	srv.Reply(bedrocktest.Text(strings.Repeat("word ", 1000)))
	n := 0
	for _, err := range chat.RunStream(t.Context(), ask("a long story")) {
		require.NoError(t, err)
		if n++; n == 3 {
			break
		}
	}
	assert.Equal(t, 3, n)
}

func TestLoopThatIsCanceledInATool(t *testing.T) {
	bothWays(t, func(t *testing.T, streamed bool) {
		srv := bedrocktest.NewServer(t)
		why := errors.New("the reader left")
		ctx, cancel := context.WithCancelCause(t.Context())
		tool := converse.NewTool("wait", "Waits.", func(ctx context.Context, _ struct{}) (string, error) {
			cancel(why)
			<-ctx.Done()
			return "", ctx.Err()
		})
		chat := converse.New(bedrockx.New(srv.Client()), func(o *converse.Options) {
			o.Model, o.Tools = model, []converse.Tool{tool}
		})
		srv.Reply(bedrocktest.ToolUse("wait", map[string]any{}))
		var err error
		if streamed {
			for _, err = range chat.RunStream(ctx, ask("wait")) {
			}
		} else {
			_, err = chat.Run(ctx, ask("wait"))
		}
		assert.ErrorIs(t, err, why)
	})
}

func TestBadRequestsAreRefusedBeforeTheyCost(t *testing.T) {
	use := converse.Message{Role: converse.RoleAssistant, Content: converse.Contents{converse.ToolUse{ID: "1", Name: "check_stock"}}}
	result := converse.Message{Role: converse.RoleUser, Content: converse.Contents{converse.ToolResult{ToolUseID: "1", Content: converse.Contents{converse.Text("ok")}}}}
	tests := []struct {
		name string
		req  converse.Request
		want string
	}{
		{"no messages", converse.Request{}, "messages: it is empty"},
		{"blank text", ask(" \n"), "messages[0].content[0]"},
		{"no content", converse.Request{Messages: []converse.Message{{Role: converse.RoleUser}}}, "messages[0].content"},
		{"assistant first", converse.Request{Messages: []converse.Message{converse.Assistant("hi")}}, "starts with user"},
		{"two users", converse.Request{Messages: []converse.Message{converse.User("a"), converse.User("b")}}, "messages[1].role"},
		{"another role", converse.Request{Messages: []converse.Message{{Role: "tool", Content: converse.Contents{converse.Text("a")}}}}, "messages[0].role"},
		{"tool use without result", converse.Request{Messages: []converse.Message{converse.User("a"), use, converse.User("b")}}, `no result for the tool use "1"`},
		{"result without tool use", converse.Request{Messages: []converse.Message{result}}, "no open tool use"},
		{"tool blocks and no tools", converse.Request{Messages: []converse.Message{converse.User("a"), use, result}, Tools: []converse.ToolSpec{}}, "no tools"},
		{"unknown tool choice", converse.Request{Messages: ask("a").Messages, ToolChoice: converse.ToolChoice{Tool: "other"}}, `no tool "other"`},
		{"model", converse.Request{Model: "no model", Messages: ask("a").Messages}, "invalid model id"},
		{"additional fields", converse.Request{Messages: ask("a").Messages, AdditionalFields: json.RawMessage(`[1]`)}, "additionalModelRequestFields: it is no JSON object"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			chat, srv, _ := newChat(t)
			_, err := chat.Send(t.Context(), tt.req)
			require.ErrorIs(t, err, bedrockx.ErrValidation)
			assert.ErrorContains(t, err, tt.want)
			_, err = chat.Stream(t.Context(), tt.req)
			require.ErrorIs(t, err, bedrockx.ErrValidation)
			assert.Empty(t, srv.Requests())
		})
	}
}

// A call that cannot be read is an error, and not an answer without a call.
func TestLoopToolInputThatCanNotBeRead(t *testing.T) {
	chat, srv, runs := newChat(t)
	srv.Reply(bedrocktest.ToolUse("check_stock", json.RawMessage(`{"title":"x"}`)).Chunks(`{"title":`, `"x"`).
		ToolUse("check_stock", map[string]any{"title": "y"}))
	result, err := run(t, true, chat, ask("q"))
	assert.ErrorIs(t, err, bedrockx.ErrModelError)
	assert.ErrorContains(t, err, "not a JSON object")
	assert.Zero(t, runs.Load(), "neither of the two")
	assert.Len(t, result.Rounds, 1)
}

func TestLoopStopsForAToolThatIsNotThere(t *testing.T) {
	chat, srv, _ := newChat(t)
	srv.Reply(bedrocktest.NewReply().Stop(bedrockkit.StopToolUse))
	_, err := run(t, false, chat, ask("q"))
	assert.ErrorIs(t, err, converse.ErrNoToolUse)
}

// Models write blank text before a tool use; the service refuses it in a history.
func TestLoopLeavesBlankTextOut(t *testing.T) {
	bothWays(t, func(t *testing.T, streamed bool) {
		chat, srv, _ := newChat(t)
		srv.Reply(bedrocktest.Text("\n\n").ToolUse("check_stock", map[string]any{"title": "x"}), bedrocktest.Text("ok"))
		result, err := run(t, streamed, chat, ask("q"))
		require.NoError(t, err)
		assert.Len(t, result.Messages[1].Content, 1)
		assert.Len(t, result.Rounds[0].Message.Content, 2, "as it came")
	})
}

// A model that must call a tool in every round could never answer.
func TestLoopObeysToolChoiceOnce(t *testing.T) {
	chat, srv, _ := newChat(t)
	for range 2 {
		srv.Control(bedrockkit.OpConverse, func(_ context.Context, r *bedrocktest.Request) *bedrocktest.Reply {
			if strings.Contains(string(r.Body), `"toolChoice"`) {
				return bedrocktest.ToolUse("check_stock", map[string]any{"title": "x"})
			}
			return bedrocktest.Text("three")
		})
	}
	req := ask("q")
	req.ToolChoice = converse.ToolChoice{Any: true}
	result, err := chat.Run(t.Context(), req)
	require.NoError(t, err)
	assert.Equal(t, "three", result.Text())
}

func TestLoopStartsNoToolsAfterItsEnd(t *testing.T) {
	srv := bedrocktest.NewServer(t)
	ctx, cancel := context.WithCancel(t.Context())
	runs := 0
	pay := converse.NewTool("pay", "Pays.", func(context.Context, struct{}) (string, error) {
		runs++
		cancel()
		return "paid", nil
	})
	chat := converse.New(bedrockx.New(srv.Client()), func(o *converse.Options) {
		o.Model, o.Tools, o.ToolConcurrency = model, []converse.Tool{pay}, 1
	})
	reply := bedrocktest.NewReply()
	for range 6 {
		reply.ToolUse("pay", map[string]any{})
	}
	srv.Reply(reply)
	_, err := chat.Run(ctx, ask("pay six times"))
	assert.ErrorIs(t, err, context.Canceled)
	assert.Equal(t, 1, runs)
}

func TestLoopWithoutRounds(t *testing.T) {
	chat, srv, runs := newChat(t, func(o *converse.Options) { o.MaxRounds = -1 })
	srv.Reply(bedrocktest.ToolUse("check_stock", map[string]any{"title": "x"}))
	_, err := run(t, false, chat, ask("q"))
	assert.ErrorIs(t, err, converse.ErrMaxRounds)
	assert.Zero(t, runs.Load())
}

// What a request took that brought nothing, nobody knows: it is not nothing.
func TestLoopThatFailsAtOnceHasNoCost(t *testing.T) {
	bothWays(t, func(t *testing.T, streamed bool) {
		chat, srv, _ := newChat(t, once)
		srv.Reply(bedrocktest.Exception("ModelTimeoutException"))
		result, err := run(t, streamed, chat, ask("q"))
		require.ErrorIs(t, err, bedrockx.ErrTimeout)
		assert.Nil(t, result.Cost)
		assert.True(t, result.Usage.Unknown)

		result, err = run(t, streamed, chat, ask(" "))
		require.ErrorIs(t, err, bedrockx.ErrValidation)
		assert.Equal(t, "0", result.Cost.String(), "nothing was sent")
	})
}

// The conversation can go on after an answer that was cut in a tool use.
func TestConversationGoesOnAfterACut(t *testing.T) {
	bothWays(t, func(t *testing.T, streamed bool) {
		chat, srv, _ := newChat(t)
		srv.Reply(bedrocktest.Text("I will").ToolUse("check_stock", map[string]any{"title": "x"}).Stop(bedrockkit.StopMaxTokens), bedrocktest.Text("ok"))
		result, err := run(t, streamed, chat, ask("q"))
		require.NoError(t, err)
		result, err = run(t, streamed, chat, converse.Request{Messages: append(result.Messages, converse.User("go on"))})
		require.NoError(t, err)
		assert.Equal(t, "ok", result.Text())
	})
}

// A stream is priced by the tier that served it, like an answer.
func TestStreamsArePricedByTheirTier(t *testing.T) {
	var costs []string
	for _, streamed := range []bool{false, true} {
		chat, srv, _ := newChat(t)
		srv.Reply(bedrocktest.Text("x").Tier(bedrockkit.TierPriority).Usage(bedrockkit.Usage{InputTokens: 1e6, OutputTokens: 1e6}))
		req := ask("q")
		req.Model, req.ServiceTier = "us.amazon.nova-pro-v1:0", bedrockkit.TierPriority
		result, err := run(t, streamed, chat, req)
		require.NoError(t, err)
		costs = append(costs, result.Cost.String())
	}
	assert.Equal(t, []string{"7", "7"}, costs)
}
