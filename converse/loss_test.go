package converse_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/bedrocktest"
	"github.com/mangaassist/bedrockkit/bedrockx"
	"github.com/mangaassist/bedrockkit/converse"
)

// Nothing that a model says is lost, and nothing happens in silence.

func frame(name, payload string) []byte { return bedrocktest.EncodeEvent(name, []byte(payload)) }

// body is an answer that a script of the fake cannot say.
func body(stop string, blocks ...string) *bedrocktest.Reply {
	return bedrocktest.Body(200, "application/json", []byte(`{"output":{"message":{"role":"assistant","content":[`+strings.Join(blocks, ",")+
		`]}},"stopReason":"`+stop+`","usage":{"inputTokens":10,"outputTokens":5,"totalTokens":15},"metrics":{"latencyMs":5}}`))
}

// Some models and routes say end_turn beside a tool use (strands-agents
// harness-sdk issues 767 and 1838).
func TestToolUseWithEndTurnRuns(t *testing.T) {
	bothWays(t, func(t *testing.T, streamed bool) {
		chat, srv, runs := newChat(t)
		answer := func() *bedrocktest.Reply {
			return bedrocktest.Text("Let me look.").ToolUse("check_stock", stockIn{"x"}).Stop("end_turn")
		}
		srv.Reply(answer(), bedrocktest.Text("Three."))
		result, err := run(t, streamed, chat, ask("q"))
		require.NoError(t, err)
		assert.Equal(t, "Three.", result.Text())
		assert.EqualValues(t, 1, runs.Load())

		srv.Reply(answer())
		strict := converse.New(bedrockx.New(srv.Client(), fast), func(o *converse.Options) { o.Model, o.StrictToolUse = model, true })
		result, err = run(t, streamed, strict, ask("q"))
		require.ErrorIs(t, err, converse.ErrUnexpectedToolUse)
		assert.EqualValues(t, 1, runs.Load())
		assert.Len(t, result.Rounds, 1)
	})
}

// A text that comes with tool_use and no tool use is the answer (strands-env
// issue 252).
func TestToolUseStopWithATextEndsTheTurn(t *testing.T) {
	bothWays(t, func(t *testing.T, streamed bool) {
		chat, srv, _ := newChat(t)
		srv.Reply(bedrocktest.Text("It is sunny.").Stop("tool_use"))
		result, err := run(t, streamed, chat, ask("q"))
		require.NoError(t, err)
		assert.Equal(t, "It is sunny.", result.Text())
		assert.Len(t, result.Messages, 2)

		srv.Reply(bedrocktest.Text("It is sunny.").Stop("tool_use"))
		strict := converse.New(bedrockx.New(srv.Client(), fast), func(o *converse.Options) { o.Model, o.StrictToolUse = model, true })
		_, err = run(t, streamed, strict, ask("q"))
		assert.ErrorIs(t, err, converse.ErrNoToolUse)
	})
}

func TestGenerateTakesATextThatStoppedForATool(t *testing.T) {
	chat, srv, _ := newChat(t, func(o *converse.Options) { o.Tools = nil })
	srv.Reply(bedrocktest.Text(`{"title":"Monster"}`).Stop("tool_use"))
	value, _, err := converse.Generate[stockIn](t.Context(), chat, ask("q"))
	require.NoError(t, err)
	assert.Equal(t, "Monster", value.Title)
}

// Models give parallel calls one id, and repeat ids over a conversation
// (Cyber-AutoAgent-ng issue 27, nanobot issue 4473, claude-code issue 28515).
func TestToolUsesOfOneIDAreToldApart(t *testing.T) {
	bothWays(t, func(t *testing.T, streamed bool) {
		var titles []string
		chat, srv, _ := newChat(t, func(o *converse.Options) {
			o.ToolConcurrency = 1
			o.Tools = []converse.Tool{converse.NewTool("check_stock", "Looks.", func(_ context.Context, in stockIn) (string, error) {
				titles = append(titles, in.Title)
				return "three of " + in.Title, nil
			})}
		})
		call := func(title string) bedrocktest.Block {
			input, _ := json.Marshal(stockIn{title})
			return bedrocktest.Block{ToolUse: &bedrocktest.ToolCall{ID: "check_stock", Name: "check_stock", Input: input}}
		}
		srv.Reply(bedrocktest.NewReply().Block(call("a")).Block(call("b")).Block(call("a")), bedrocktest.NewReply().Block(call("c")), bedrocktest.Text("Done."))
		result, err := run(t, streamed, chat, ask("q"))
		require.NoError(t, err)
		assert.Equal(t, []string{"a", "b", "c"}, titles, "a copy is the same call")
		var ids []string
		for _, m := range result.Messages {
			for _, use := range m.ToolUses() {
				ids = append(ids, use.ID)
			}
		}
		assert.Equal(t, []string{"check_stock", "check_stock-2", "check_stock-3"}, ids)
		assert.Len(t, result.Rounds[0].Message.ToolUses(), 3, "as it came")
		results := srv.Requests()[1].ToolResults()
		require.Len(t, results, 2)
		assert.Equal(t, "three of b", results[1].Text())
	})
}

// An unknown member of a tool use is kept, and the tool runs.
func TestToolUseWithAnUnknownMemberRuns(t *testing.T) {
	chat, srv, runs := newChat(t)
	srv.Reply(body("tool_use", `{"toolUse":{"toolUseId":"t1","name":"check_stock","input":{"title":"x"},"mood":"bold"}}`), bedrocktest.Text("ok"))
	_, err := chat.Run(t.Context(), ask("q"))
	require.NoError(t, err)
	assert.EqualValues(t, 1, runs.Load())
	assert.Contains(t, string(srv.Requests()[1].Body), `"mood":"bold"`)
}

// A whole answer with a tool use that cannot be read is an error, as that of a
// stream is.
func TestToolInputThatIsNoObjectIsAnError(t *testing.T) {
	chat, srv, runs := newChat(t)
	srv.Reply(body("tool_use", `{"text":"I will look."}`, `{"toolUse":{"toolUseId":"t1","name":"check_stock","input":"title: x"}}`))
	result, err := chat.Run(t.Context(), ask("q"))
	require.ErrorIs(t, err, bedrockx.ErrModelError)
	assert.ErrorContains(t, err, `the input of the tool use "t1" is not a JSON object`)
	assert.Zero(t, runs.Load())
	assert.Equal(t, []converse.Message{converse.User("q"), converse.Assistant("I will look.")}, result.Messages, "it can be sent again")
}

// serverBlocks is an answer with a tool that the service ran, its result, a
// citation and a generated image; once whole and once as a stream.
func serverBlocks(streamed bool) *bedrocktest.Reply {
	if !streamed {
		return body("end_turn", `{"toolUse":{"toolUseId":"s1","name":"nova_grounding","type":"server_tool_use","input":{"q":"manga"}}}`,
			`{"toolResult":{"toolUseId":"s1","type":"nova_grounding_result","status":"success","content":[{"json":{"pages":3}},{"text":"one two"},{"text":"three"}]}}`,
			`{"citationsContent":{"content":[{"text":"Found."}],"citations":[{"location":{"web":{"url":"https://x.example","domain":"x.example"}}}]}}`,
			`{"image":{"format":"png","source":{"bytes":"iVBORw0KGgo="}}}`)
	}
	return bedrocktest.Frames(
		frame("messageStart", `{"role":"assistant"}`),
		frame("contentBlockStart", `{"contentBlockIndex":0,"start":{"toolUse":{"toolUseId":"s1","name":"nova_grounding","type":"server_tool_use"}}}`),
		frame("contentBlockDelta", `{"contentBlockIndex":0,"delta":{"toolUse":{"input":"{\"q\":"}}}`),
		frame("contentBlockDelta", `{"contentBlockIndex":0,"delta":{"toolUse":{"input":"\"manga\"}"}}}`),
		frame("contentBlockStop", `{"contentBlockIndex":0}`),
		frame("contentBlockStart", `{"contentBlockIndex":1,"start":{"toolResult":{"toolUseId":"s1","type":"nova_grounding_result","status":"success"}}}`),
		frame("contentBlockDelta", `{"contentBlockIndex":1,"delta":{"toolResult":[{"json":{"pages":3}},{"text":"one "}]}}`),
		frame("contentBlockDelta", `{"contentBlockIndex":1,"delta":{"toolResult":[{"text":"two"},{"text":"three"}]}}`),
		frame("contentBlockStop", `{"contentBlockIndex":1}`),
		frame("contentBlockDelta", `{"contentBlockIndex":2,"delta":{"text":"Found."}}`),
		frame("contentBlockDelta", `{"contentBlockIndex":2,"delta":{"citation":{"location":{"web":{"url":"https://x.example","domain":"x.example"}}}}}`),
		frame("contentBlockStop", `{"contentBlockIndex":2}`),
		frame("contentBlockStart", `{"contentBlockIndex":3,"start":{"image":{"format":"png"}}}`),
		frame("contentBlockDelta", `{"contentBlockIndex":3,"delta":{"image":{"source":{"bytes":"iVBO"}}}}`),
		frame("contentBlockDelta", `{"contentBlockIndex":3,"delta":{"image":{"source":{"bytes":"Rw0KGgo="}}}}`),
		frame("contentBlockStop", `{"contentBlockIndex":3}`),
		frame("messageStop", `{"stopReason":"end_turn"}`),
		frame("metadata", `{"usage":{"inputTokens":10,"outputTokens":5,"totalTokens":15},"metrics":{"latencyMs":5}}`))
}

func TestServerToolsAndImagesAreKept(t *testing.T) {
	bothWays(t, func(t *testing.T, streamed bool) {
		srv := bedrocktest.NewServer(t)
		chat := converse.New(bedrockx.New(srv.Client(), fast), func(o *converse.Options) { o.Model = "us.amazon.nova-2-lite-v1:0" })
		req := ask("q")
		req.Tools = []converse.ToolSpec{{Name: "nova_grounding", System: true}}
		srv.Reply(serverBlocks(streamed), bedrocktest.Text("And more."))
		result, err := run(t, streamed, chat, req)
		require.NoError(t, err)
		assert.Equal(t, "Found.", result.Text())

		content := result.Messages[1].Content
		require.Len(t, content, 4)
		got, err := json.Marshal(content)
		require.NoError(t, err)
		assert.JSONEq(t, `[{"toolUse":{"toolUseId":"s1","name":"nova_grounding","type":"server_tool_use","input":{"q":"manga"}}},
			{"toolResult":{"toolUseId":"s1","type":"nova_grounding_result","status":"success","content":[{"json":{"pages":3}},{"text":"one two"},{"text":"three"}]}},
			{"citationsContent":{"content":[{"text":"Found."}],"citations":[{"location":{"web":{"url":"https://x.example","domain":"x.example"}}}]}},
			{"image":{"format":"png","source":{"bytes":"iVBORw0KGgo="}}}]`, string(got))
		assert.Equal(t, converse.Image{Format: "png", Bytes: []byte("\x89PNG\r\n\x1a\n")}, content[3])

		// Through JSON and Repair, and back to the model.
		stored, err := json.Marshal(result.Messages)
		require.NoError(t, err)
		req.Model = "us.amazon.nova-2-lite-v1:0"
		require.NoError(t, json.Unmarshal(stored, &req.Messages))
		req.Messages = append(req.Messages, converse.User("Go on."), converse.User("Please."))
		repaired, changes := converse.Repair(req)
		assert.Len(t, changes, 1, "%v", changes)
		_, err = run(t, streamed, chat, repaired)
		require.NoError(t, err)
		sent := string(srv.Requests()[1].Body)
		for _, part := range []string{`"type":"server_tool_use"`, `"type":"nova_grounding_result"`, `"image":{"format":"png"`} {
			assert.Contains(t, sent, part)
		}
	})
}

func TestGuardrailRedactsTheSideThatWasStopped(t *testing.T) {
	const (
		clean   = `{"g":{"topicPolicy":{"topics":[]}}}`
		blocked = `{"g":{"topicPolicy":{"topics":[{"name":"x","type":"DENY","action":"BLOCKED","detected":true}]}}}`
		masked  = `{"g":{"sensitiveInformationPolicy":{"piiEntities":[{"type":"NAME","action":"ANONYMIZED","detected":true}]}}}`
		removed = "[removed by a guardrail]"
	)
	trace := func(input, output string) string {
		return `,"trace":{"guardrail":{"inputAssessment":` + input + `,"outputAssessments":{"g":[` + output + `]}}}`
	}
	for _, tt := range []struct {
		name, trace string
		want        string // of the user's message
	}{
		{"no trace", "", removed},
		{"the question", trace(blocked, clean), removed},
		{"the answer", trace(clean, blocked), "What about volume 12?"},
		{"both", trace(blocked, blocked), removed},
		{"a masked question and a blocked answer", trace(masked, blocked), "What about volume 12?"},
		{"a trace that says nothing", trace(clean, clean), removed},
		{"a trace of another form", `,"trace":{"guardrail":[1]}`, removed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bothWays(t, func(t *testing.T, streamed bool) {
				chat, srv, _ := newChat(t)
				srv.Control(bedrocktest.AnyOp, func(context.Context, *bedrocktest.Request) *bedrocktest.Reply {
					if streamed {
						return bedrocktest.Frames(frame("messageStart", `{"role":"assistant"}`), frame("contentBlockDelta", `{"contentBlockIndex":0,"delta":{"text":"Sorry."}}`),
							frame("contentBlockStop", `{"contentBlockIndex":0}`), frame("messageStop", `{"stopReason":"guardrail_intervened"}`),
							frame("metadata", `{"usage":{"inputTokens":1,"outputTokens":1,"totalTokens":2}`+tt.trace+`}`))
					}
					return bedrocktest.Body(200, "application/json", []byte(`{"output":{"message":{"role":"assistant","content":[{"text":"Sorry."}]}},
						"stopReason":"guardrail_intervened","usage":{"inputTokens":1,"outputTokens":1,"totalTokens":2}`+tt.trace+`}`))
				})
				result, err := run(t, streamed, chat, ask("What about volume 12?"))
				require.NoError(t, err)
				assert.Equal(t, []converse.Message{converse.User(tt.want), converse.Assistant("Sorry.")}, result.Messages)
			})
		})
	}
}

// A begun answer is not what the guardrail stopped.
func TestGuardrailRedactsTheQuestionBeforeABegunAnswer(t *testing.T) {
	bothWays(t, func(t *testing.T, streamed bool) {
		chat, srv, _ := newChat(t)
		srv.Reply(bedrocktest.Text("Sorry.").Stop("guardrail_intervened"))
		messages := []converse.Message{converse.User("something terrible"), converse.Assistant("{")}
		result, err := run(t, streamed, chat, converse.Request{Messages: messages})
		require.NoError(t, err)
		assert.Equal(t, []converse.Message{converse.User("[removed by a guardrail]"), converse.Assistant("Sorry.")}, result.Messages)
		assert.Equal(t, "something terrible", messages[0].Text(), "the caller's stay")
	})
}

// What a tool says with blank text is no failure: the model would do the side
// effect again (NousResearch/hermes-agent issue 55092).
func TestBlankResultsAreResults(t *testing.T) {
	for name, tt := range map[string]struct{ result, want converse.Contents }{
		"blank":             {converse.Contents{converse.Text("")}, converse.Contents{converse.Text("done")}},
		"white space":       {converse.Contents{converse.Text("\n")}, converse.Contents{converse.Text("done")}},
		"blank beside text": {converse.Contents{converse.Text(""), converse.Text("42 rows")}, converse.Contents{converse.Text("42 rows")}},
		"blank beside JSON": {converse.Contents{converse.Text(" "), converse.JSON(`{"rows":42}`)}, converse.Contents{converse.JSON(`{"rows":42}`)}},
	} {
		t.Run(name, func(t *testing.T) {
			mail := converse.NewRawTool(converse.ToolSpec{Name: "send_mail", Description: "Sends it.", InputSchema: json.RawMessage(`{"type":"object"}`)},
				func(context.Context, converse.ToolUse) (converse.Contents, error) { return tt.result, nil })
			chat, srv, _ := newChat(t, func(o *converse.Options) { o.Tools = []converse.Tool{mail} })
			srv.Reply(bedrocktest.ToolUse("send_mail", nil), bedrocktest.Text("Done."))
			result, err := chat.Run(t.Context(), ask("Send it."))
			require.NoError(t, err)
			got := result.Messages[2].Content[0].(converse.ToolResult)
			assert.Equal(t, converse.ToolSuccess, got.Status)
			assert.Equal(t, tt.want, got.Content)
		})
	}
}

// A blank text between or within citations is refused in a history
// (boto/botocore issue 3525).
func TestCitedAnswerCanBeSentAgain(t *testing.T) {
	cited := func(text string) string {
		return fmt.Sprintf(`{"citationsContent":{"content":[{"text":%q},{"text":""}],"citations":[{"title":"d","location":{"documentChar":{"documentIndex":0,"start":0,"end":15}}}]}}`, text)
	}
	chat, srv, _ := newChat(t)
	srv.Reply(body("end_turn", cited("Grass is green."), `{"text":" "}`, cited(""), `{"text":"So it is."}`), bedrocktest.Text("ok"))
	result, err := chat.Run(t.Context(), ask("q"))
	require.NoError(t, err)
	require.Len(t, result.Messages[1].Content, 2)
	assert.Equal(t, []string{"Grass is green."}, result.Messages[1].Content[0].(converse.CitedText).Content)
	_, err = chat.Run(t.Context(), converse.Request{Messages: converse.Append(result.Messages, converse.User("Sure?"))})
	require.NoError(t, err)
	assert.NotContains(t, string(srv.Requests()[1].Body), `{"text":""}`)
}

// A loop with tools on a model that has none in a stream asks for whole answers
// and emits the same events (earendil-works/pi issue 3739 and others).
func TestRunStreamOnAModelWithoutToolStreaming(t *testing.T) {
	events := func(id string, streamed bool) (kinds []string) {
		chat, srv, runs := newChat(t, func(o *converse.Options) { o.System = nil })
		srv.Reply(bedrocktest.Text("Let me look.").ToolUse("check_stock", stockIn{"x"}), bedrocktest.Text("Three."))
		req := ask("q")
		req.Model = bedrockkit.ModelID(id)
		for ev, err := range chat.RunStream(t.Context(), req) {
			require.NoError(t, err)
			kind := ""
			switch {
			case ev.Text != "":
				kind = "text"
			case ev.ToolUse != nil:
				kind = "use " + ev.ToolUse.Name
			case ev.ToolResult != nil:
				kind = "result"
			case ev.Response != nil:
				kind = "response " + string(ev.Response.StopReason)
			case ev.Result != nil:
				kind = "end " + ev.Result.Text()
			}
			if len(kinds) == 0 || kinds[len(kinds)-1] != kind {
				kinds = append(kinds, kind) // a text comes in one piece or more
			}
		}
		assert.EqualValues(t, 1, runs.Load())
		for _, r := range srv.Requests() {
			assert.Equal(t, streamed, r.Op == bedrockkit.OpConverseStream)
		}
		return kinds
	}
	want := events(model, true)
	assert.Equal(t, want, events("us.meta.llama4-maverick-17b-instruct-v1:0", false))
}

// What a response says of its making is kept, whole or streamed.
func TestResponseKeepsLatencyAndPerformance(t *testing.T) {
	bothWays(t, func(t *testing.T, streamed bool) {
		for _, more := range []string{"", `,"trace":{"promptRouter":{"invokedModelId":"m"}}`} { // read in one pass and by parts
			chat, srv, _ := newChat(t)
			tail := `"metrics":{"latencyMs":1234},"performanceConfig":{"latency":"optimized"}` + more + `}`
			srv.Control(bedrocktest.AnyOp, func(context.Context, *bedrocktest.Request) *bedrocktest.Reply {
				if streamed {
					return bedrocktest.Frames(frame("messageStart", `{"role":"assistant"}`), frame("contentBlockDelta", `{"contentBlockIndex":0,"delta":{"text":"Hi."}}`),
						frame("contentBlockStop", `{"contentBlockIndex":0}`), frame("messageStop", `{"stopReason":"end_turn"}`),
						frame("metadata", `{"usage":{"inputTokens":1,"outputTokens":1,"totalTokens":2},`+tail))
				}
				return bedrocktest.Body(200, "application/json", []byte(`{"output":{"message":{"role":"assistant","content":[{"text":"Hi."}]}},
					"stopReason":"end_turn","usage":{"inputTokens":1,"outputTokens":1,"totalTokens":2},`+tail))
			})
			result, err := run(t, streamed, chat, ask("q"))
			require.NoError(t, err)
			assert.Equal(t, 1234*time.Millisecond, result.Last().ModelLatency)
			assert.Equal(t, bedrockkit.LatencyOptimized, result.Last().Performance)
			assert.Equal(t, more != "", result.Last().Trace != nil)
		}
	})
}
