package converse_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime/document"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/bedrocktest"
	"github.com/mangaassist/bedrockkit/bedrockx"
	"github.com/mangaassist/bedrockkit/converse"
)

// An unknown block behind a tool use: the tool runs once.
func TestUnknownBlockBehindAToolUse(t *testing.T) {
	bothWays(t, func(t *testing.T, streamed bool) {
		chat, srv, runs := newChat(t)
		reply := bedrocktest.ToolUse("check_stock", map[string]any{"title": "x"})
		if streamed {
			reply.InsertAfter(3, "newEvent", `{"a":1}`).
				InsertAfter(4, "contentBlockDelta", `{"contentBlockIndex":7,"delta":{"newDelta":{"x":1}}}`).
				InsertAfter(5, "contentBlockStart", `{"contentBlockIndex":8,"start":{"newBlock":{"y":2}}}`).
				InsertAfter(6, "contentBlockStop", `{"contentBlockIndex":8}`)
		} else {
			reply.Block(bedrocktest.Block{Raw: json.RawMessage(`{"newBlock":{"y":2}}`)})
		}
		srv.Reply(reply, bedrocktest.Text("Three."))
		result, err := run(t, streamed, chat, ask("q"))
		require.NoError(t, err)
		assert.EqualValues(t, 1, runs.Load())
		if !streamed {
			assert.Equal(t, converse.Raw(`{"newBlock":{"y":2}}`), result.Rounds[0].Message.Content[1])
			assert.Contains(t, string(srv.Requests()[1].Body), `{"newBlock":{"y":2}}`, "it goes back as it came")
		}
	})
}

// mock is an API that is not the SDK's client. It answers as the SDK does where
// it meets a block that it does not know: with a copy of the block before.
type mock struct {
	bedrockx.RuntimeAPI
	asked int
}

func (m *mock) Converse(context.Context, *bedrockruntime.ConverseInput, ...func(*bedrockruntime.Options)) (*bedrockruntime.ConverseOutput, error) {
	out := &bedrockruntime.ConverseOutput{Usage: &types.TokenUsage{InputTokens: aws.Int32(1), OutputTokens: aws.Int32(1), TotalTokens: aws.Int32(2)}}
	content := []types.ContentBlock{&types.ContentBlockMemberText{Value: "Three."}}
	out.StopReason = types.StopReasonEndTurn
	if m.asked++; m.asked == 1 {
		use := &types.ContentBlockMemberToolUse{Value: types.ToolUseBlock{ToolUseId: aws.String("1"), Name: aws.String("check_stock"),
			Input: document.NewLazyDocument(map[string]any{"title": "x"})}}
		content = []types.ContentBlock{use, use}
		out.StopReason = types.StopReasonToolUse
	}
	out.Output = &types.ConverseOutputMemberMessage{Value: types.Message{Role: types.ConversationRoleAssistant, Content: content}}
	return out, nil
}

func TestCopiedToolUseOfTheSDKRunsOnce(t *testing.T) {
	runs := 0
	stock := converse.NewTool("check_stock", "Says how many.", func(context.Context, stockIn) (int, error) { runs++; return 3, nil })
	chat := converse.New(bedrockx.New(&mock{}), func(o *converse.Options) { o.Model, o.Tools = model, []converse.Tool{stock} })
	result, err := chat.Run(t.Context(), ask("q"))
	require.NoError(t, err)
	assert.Equal(t, "Three.", result.Text())
	assert.Equal(t, 1, runs)
}

// A tool's input that comes in two pieces, split at every byte that a character
// begins with: a piece is a JSON string. That frames may be split anywhere is
// tested in package stream.
func TestToolInputSplitAtEveryByte(t *testing.T) {
	input := `{"title":"漫\"画\\\u0041 🙂","n":1.50,"list":[1,{"a":null}]}`
	for i := range len(input) + 1 {
		if i < len(input) && !utf8.RuneStart(input[i]) {
			continue
		}
		srv := bedrocktest.NewServer(t, func(o *bedrocktest.Options) { o.InProcess = true })
		var got json.RawMessage
		spec := converse.ToolSpec{Name: "check_stock", Description: "Takes anything.", InputSchema: json.RawMessage(`{"type":"object"}`)}
		raw := converse.NewRawTool(spec, func(_ context.Context, use converse.ToolUse) (converse.Contents, error) {
			got = bytes.Clone(use.Input)
			return converse.Contents{converse.Text("ok")}, nil
		})
		chat := converse.New(bedrockx.New(srv.Client()), func(o *converse.Options) { o.Model, o.Tools = model, []converse.Tool{raw} })
		srv.Reply(bedrocktest.ToolUse("check_stock", json.RawMessage(input)).Chunks(input[:i], input[i:]), bedrocktest.Text("ok"))
		_, err := run(t, true, chat, ask("q"))
		require.NoError(t, err, "split at %d", i)
		require.JSONEq(t, input, string(got), "split at %d", i)
	}
}

func FuzzToolInput(f *testing.F) {
	f.Add(`{"title":"漫画"}`, 3, 7)
	f.Add(``, 0, 0)
	f.Add(`{"a":`, 1, 2)
	f.Add(`"text"`, 0, 9)
	f.Fuzz(func(t *testing.T, input string, i, j int) {
		i, j = min(max(i, 0), len(input)), min(max(j, 0), len(input))
		i, j = min(i, j), max(i, j)
		frames := func(name, payload string) []byte { return bedrocktest.EncodeEvent(name, []byte(payload)) }
		piece := func(s string) []byte {
			quoted, err := json.Marshal(s)
			require.NoError(t, err)
			return frames("contentBlockDelta", `{"contentBlockIndex":0,"delta":{"toolUse":{"input":`+string(quoted)+`}}}`)
		}
		srv := bedrocktest.NewServer(t, func(o *bedrocktest.Options) { o.InProcess = true })
		srv.Control(bedrockkit.OpConverseStream, func(_ context.Context, r *bedrocktest.Request) *bedrocktest.Reply {
			if len(r.ToolResults()) > 0 {
				return bedrocktest.Text("ok")
			}
			return bedrocktest.Frames(
				frames("messageStart", `{"role":"assistant"}`),
				frames("contentBlockStart", `{"contentBlockIndex":0,"start":{"toolUse":{"toolUseId":"1","name":"take"}}}`),
				piece(input[:i]), piece(input[i:j]), piece(input[j:]),
				frames("contentBlockStop", `{"contentBlockIndex":0}`),
				frames("messageStop", `{"stopReason":"tool_use"}`),
				frames("metadata", `{"usage":{"inputTokens":1,"outputTokens":1,"totalTokens":2},"metrics":{"latencyMs":1}}`))
		}).Keep()
		var got json.RawMessage
		take := converse.NewRawTool(converse.ToolSpec{Name: "take", Description: "Takes it.", InputSchema: json.RawMessage(`{"type":"object"}`)},
			func(_ context.Context, use converse.ToolUse) (converse.Contents, error) {
				got = bytes.Clone(use.Input)
				return converse.Contents{converse.Text("ok")}, nil
			})
		chat := converse.New(bedrockx.New(srv.Client()), func(o *converse.Options) { o.Model, o.Tools = model, []converse.Tool{take} })
		_, err := run(t, true, chat, ask("q"))

		// The pieces of a string may split a character, which JSON turns into
		// U+FFFD; what counts is what was sent.
		quote := func(s string) (back string) {
			data, err := json.Marshal(s)
			require.NoError(t, err)
			require.NoError(t, json.Unmarshal(data, &back))
			return back
		}
		sent := strings.TrimSpace(quote(input[:i]) + quote(input[i:j]) + quote(input[j:]))
		var object map[string]any
		switch {
		case sent == "":
			require.NoError(t, err)
			assert.Equal(t, "{}", string(got))
		case json.Unmarshal([]byte(sent), &object) == nil && object != nil:
			require.NoError(t, err)
			assert.JSONEq(t, sent, string(got))
		default:
			assert.Error(t, err)
			assert.Nil(t, got, "what is no JSON object never runs")
		}
	})
}

// A model that calls a tool without arguments may send an empty string.
func TestToolWithoutInput(t *testing.T) {
	srv := bedrocktest.NewServer(t)
	runs := 0
	now := converse.NewTool("now", "Says the time.", func(context.Context, struct{}) (string, error) { runs++; return "noon", nil })
	chat := converse.New(bedrockx.New(srv.Client()), func(o *converse.Options) { o.Model, o.Tools = model, []converse.Tool{now} })
	srv.Reply(bedrocktest.ToolUse("now", nil).Chunks(""), bedrocktest.Text("Noon."))
	_, err := run(t, true, chat, ask("q"))
	require.NoError(t, err)
	assert.Equal(t, 1, runs)
}

// A tool use that max_tokens cut never runs, wherever it was cut.
func TestToolInputThatWasCutNeverRuns(t *testing.T) {
	input := `{"title":"Berserk"}`
	for i := range len(input) {
		chat, srv, runs := newChat(t)
		srv.Reply(bedrocktest.ToolUse("check_stock", json.RawMessage(input)).Chunks(input[:i]).Stop(bedrockkit.StopMaxTokens))
		result, err := run(t, true, chat, ask("q"))
		require.NoError(t, err)
		assert.Zero(t, runs.Load())
		assert.Equal(t, ask("q").Messages, result.Messages)
	}
}

// Whatever goes wrong in a tool, the loop goes on with a result that can be
// sent.
func TestLoopGoesOnAfterABadTool(t *testing.T) {
	bothWays(t, func(t *testing.T, streamed bool) {
		behaviours := map[string]func(context.Context, stockIn) (any, error){
			"panics":          func(context.Context, stockIn) (any, error) { panic("boom") },
			"fails":           func(context.Context, stockIn) (any, error) { return nil, errors.New("no database") },
			"gives no JSON":   func(context.Context, stockIn) (any, error) { return func() {}, nil },
			"gives too much":  func(context.Context, stockIn) (any, error) { return strings.Repeat("x", 1<<20), nil },
			"takes something": nil,
		}
		for name, fn := range behaviours {
			bad := converse.NewTool("bad", "Is bad.", fn)
			chat, srv, _ := newChat(t, func(o *converse.Options) { o.Tools = []converse.Tool{bad} })
			arguments := map[string]any{"title": "x"}
			if fn == nil {
				arguments = map[string]any{"title": 1}
			}
			srv.Reply(bedrocktest.ToolUse("bad", arguments), bedrocktest.Text("Sorry."))
			result, err := run(t, streamed, chat, ask("q"))
			require.NoError(t, err, name)
			assert.Equal(t, "Sorry.", result.Text())
			results := srv.Requests()[1].ToolResults()
			require.Len(t, results, 1)
			assert.True(t, results[0].Error, name)
			assert.NotEmpty(t, results[0].Content, name)
		}
	})
}

// A canary in every place where a tool, a model or a user can put a secret: in
// no error, no log record of one, and nothing that the model is told.
func TestSecretsStayWhereTheyAre(t *testing.T) {
	const canary = "canary-4711"
	bothWays(t, func(t *testing.T, streamed bool) {
		tests := []struct {
			name  string
			fn    func(context.Context, stockIn) (any, error)
			input map[string]any
		}{
			{"an error", func(context.Context, stockIn) (any, error) { return nil, errors.New(canary) }, map[string]any{"title": "x"}},
			{"a panic", func(context.Context, stockIn) (any, error) { panic(canary) }, map[string]any{"title": "x"}},
			{"a question", func(context.Context, stockIn) (any, error) { return nil, converse.Ask(canary) }, map[string]any{"title": "x"}},
			{"the last word", func(context.Context, stockIn) (any, error) { return nil, converse.Stop("bye") }, map[string]any{"title": canary}},
			{"arguments of another type", nil, map[string]any{"title": []string{canary}}},
		}
		for _, tt := range tests {
			t.Run(tt.name, func(t *testing.T) {
				bad := converse.NewTool("bad", "Is bad.", tt.fn)
				chat, srv, _ := newChat(t, func(o *converse.Options) { o.Tools, o.MaxRounds = []converse.Tool{bad}, 2 })
				srv.Reply(bedrocktest.ToolUse("bad", tt.input))
				again := func() *bedrocktest.Reply { return bedrocktest.ToolUse("bad", tt.input) }
				if tt.name != "a question" && tt.name != "the last word" {
					srv.Reply(again())
				}
				result, err := run(t, streamed, chat, ask("my password is "+canary))
				require.Error(t, err)
				var log bytes.Buffer
				slog.New(slog.NewJSONHandler(&log, nil)).Error("chat", "err", err)
				assert.NotContains(t, log.String()+fmt.Sprintf("%v %+v %q", err, err, err), canary)
				for _, m := range result.Messages[1:] {
					for _, c := range m.Content {
						if r, ok := c.(converse.ToolResult); ok && tt.name != "arguments of another type" {
							told, err := json.Marshal(r.Content)
							require.NoError(t, err)
							assert.NotContains(t, string(told), canary)
						}
					}
				}
			})
		}
	})
}

// What a stream tells of a tool's error for the log repeats no arguments.
func TestToolErrorsForTheLogRepeatNoArguments(t *testing.T) {
	chat, srv, _ := newChat(t)
	srv.Reply(bedrocktest.ToolUse("check_stock", map[string]any{"title": []string{"canary-4711"}}), bedrocktest.Text("ok"))
	seen := false
	for ev, err := range chat.RunStream(t.Context(), ask("q")) {
		require.NoError(t, err)
		if ev.Err != nil {
			seen = true
			assert.NotContains(t, ev.Err.Error(), "canary-4711")
		}
	}
	assert.True(t, seen)
}
