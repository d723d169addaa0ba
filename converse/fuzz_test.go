package converse_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/bedrocktest"
	"github.com/mangaassist/bedrockkit/bedrockx"
	"github.com/mangaassist/bedrockkit/converse"
)

// Whatever a model answers and however the loop ends, its history can be sent
// again with a new message, once its open calls are answered; also after it was
// stored.
func FuzzLoopHistory(f *testing.F) {
	f.Add([]byte{3, 4, 9, 0, 0}, false)
	f.Add([]byte{2, 3, 4, 5, 6, 9, 1, 9, 0}, true)
	f.Add([]byte{7, 8, 9, 2, 11, 14, 0, 12}, false)
	f.Fuzz(func(t *testing.T, script []byte, streamed bool) {
		srv := bedrocktest.NewServer(t, func(o *bedrocktest.Options) { o.InProcess = true })
		next := func() byte {
			if len(script) == 0 {
				return 9
			}
			b := script[0]
			script = script[1:]
			return b
		}
		stops := []bedrockkit.StopReason{bedrockkit.StopToolUse, bedrockkit.StopEndTurn, bedrockkit.StopMaxTokens, bedrockkit.StopGuardrailIntervened,
			bedrockkit.StopContentFiltered, bedrockkit.StopMalformedToolUse, "new_reason"}
		srv.Control(bedrocktest.AnyOp, func(context.Context, *bedrocktest.Request) *bedrocktest.Reply {
			reply := bedrocktest.NewReply()
			for range 6 {
				switch next() % 10 {
				case 0:
					reply.Text("a word")
				case 1:
					reply.Text(" \n")
				case 2:
					reply.Reasoning("Hm.")
				case 3:
					reply.ToolUse("look", map[string]any{"n": 1})
				case 4:
					reply.ToolUse("look", map[string]any{"n": "one"})
				case 5:
					reply.ToolUse("no such tool! 漫画", nil)
				case 6:
					reply.ToolUse("ask", nil)
				case 7:
					reply.ToolUse("pay", nil)
				case 8:
					reply.Redacted([]byte{1, 2, 3})
				case 9:
					return reply.Stop(stops[int(next())%len(stops)])
				}
			}
			return reply
		}).Keep()
		tools := []converse.Tool{
			converse.NewTool("look", "Looks.", func(context.Context, struct {
				N int `json:"n"`
			}) (string, error) {
				if next()%2 == 0 {
					panic("boom")
				}
				return "three", nil
			}),
			converse.NewTool("ask", "Asks.", func(context.Context, struct{}) (string, error) {
				if next()%2 == 0 {
					return "", converse.Stop("enough")
				}
				return "", converse.Ask("which?")
			}),
			converse.NewTool("pay", "Pays.", func(context.Context, struct{}) (string, error) { return "paid", nil },
				func(o *converse.ToolOptions) { o.Approval = true }),
		}
		chat := converse.New(bedrockx.New(srv.Client(), fast, func(o *bedrockx.Options) { o.MaxAttempts = 1 }), func(o *converse.Options) {
			o.Model, o.Tools, o.MaxRounds, o.ToolConcurrency = model, tools, 3, 1
		})
		result, err := run(t, streamed, chat, ask("q"))
		open := converse.OpenCalls(result.Messages)
		if errors.Is(err, converse.ErrPending) {
			require.NotEmpty(t, open)
		} else {
			require.Empty(t, open, "%v", err)
		}

		stored, failed := json.Marshal(result.Messages)
		require.NoError(t, failed)
		var history []converse.Message
		require.NoError(t, json.Unmarshal(stored, &history))
		assert.Equal(t, result.Messages, history)
		var answers []converse.ToolResult
		for i, call := range open {
			answers = append(answers, converse.ToolResult{ToolUseID: call.ID, Content: converse.Contents{converse.Text(fmt.Sprint(i))}})
		}
		history, failed = converse.Answer(history, answers...)
		require.NoError(t, failed)
		request := converse.Request{Model: model, Messages: converse.Append(history, converse.User("And now?"))}
		for _, tool := range tools {
			request.Tools = append(request.Tools, tool.Spec)
		}
		require.NoError(t, converse.Preflight(request), "%v", err)
	})
}
