package converse_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/bedrocktest"
	"github.com/mangaassist/bedrockkit/bedrockx"
	"github.com/mangaassist/bedrockkit/converse"
)

type review struct {
	Stars   int    `json:"stars" jsonschema:"1 to 5"`
	Summary string `json:"summary"`
}

const (
	native = "us.anthropic.claude-haiku-4-5-20251001-v1:0" // holds its answer to a schema
	forced = "us.amazon.nova-pro-v1:0"                     // can be made to call a tool
	auto   = "us.meta.llama3-3-70b-instruct-v1:0"          // cannot even that
)

// answering is a reply that gives a value in the way that the model has.
func answering(model, value string) *bedrocktest.Reply {
	if model == native {
		return bedrocktest.Text(value)
	}
	return bedrocktest.ToolUse("answer", json.RawMessage(value))
}

func generator(t *testing.T, model bedrockkit.ModelID, optFns ...func(*converse.Options)) (*converse.Client, *bedrocktest.Server) {
	srv := bedrocktest.NewServer(t)
	return converse.New(bedrockx.New(srv.Client(), fast), append([]func(*converse.Options){func(o *converse.Options) { o.Model = model }}, optFns...)...), srv
}

func eachModel(t *testing.T, test func(t *testing.T, model string)) {
	for _, model := range []string{native, forced, auto} {
		t.Run(model, func(t *testing.T) { test(t, model) })
	}
}

func TestGenerate(t *testing.T) {
	eachModel(t, func(t *testing.T, model string) {
		chat, srv := generator(t, bedrockkit.ModelID(model))
		srv.Reply(answering(model, `{"stars":5,"summary":"Great."}`))
		got, result, err := converse.Generate[review](t.Context(), chat, ask("A review."))
		require.NoError(t, err)
		assert.Equal(t, review{5, "Great."}, got)
		assert.NotNil(t, result.Cost)
		require.Len(t, result.Messages, 2)
		assert.Equal(t, `{"stars":5,"summary":"Great."}`, result.Messages[1].Text(), "the conversation can go on without the tool")

		const schema = `{"type":"object","properties":{"stars":{"type":"integer","description":"1 to 5"},"summary":{"type":"string"}},"required":["stars","summary"],"additionalProperties":false}`
		req := srv.Requests()[0]
		if model == native {
			assert.JSONEq(t, schema, string(req.OutputSchema))
			assert.Less(t, strings.Index(string(req.OutputSchema), "stars"), strings.Index(string(req.OutputSchema), "summary"), "in the order of the fields")
			assert.Empty(t, req.Tools)
			return
		}
		assert.Empty(t, req.OutputSchema)
		require.Len(t, req.Tools, 1)
		want := schema
		if strings.Contains(model, "nova") {
			want = strings.Replace(schema, `,"additionalProperties":false`, "", 1)
		}
		assert.JSONEq(t, want, string(req.Tools[0].Schema))
		if model == forced {
			assert.Equal(t, "answer", req.ToolChoice.Name)
		} else {
			assert.NotContains(t, string(req.Body), "toolChoice")
		}
	})
}

func TestGenerateMendsOnce(t *testing.T) {
	eachModel(t, func(t *testing.T, model string) {
		chat, srv := generator(t, bedrockkit.ModelID(model))
		srv.Reply(answering(model, `{"stars":"five","summary":"Great."}`), answering(model, `{"stars":5,"summary":"Great."}`))
		got, result, err := converse.Generate[review](t.Context(), chat, ask("A review."))
		require.NoError(t, err)
		assert.Equal(t, 5, got.Stars)
		assert.Len(t, result.Rounds, 2)
		assert.Len(t, result.Messages, 2, "without the attempt")
		assert.Equal(t, result.Rounds[0].Usage.Add(result.Rounds[1].Usage), result.Usage)
		second := srv.Requests()[1]
		assert.Contains(t, string(second.Body), "stars", "what is wrong")
		assert.Contains(t, string(second.Body), "Give it again")
		if model == forced {
			assert.Equal(t, "answer", second.ToolChoice.Name, "again")
		}

		srv.Reply(answering(model, `{"stars":"canary-4711"}`), answering(model, `{"stars":"canary-4711"}`))
		got, result, err = converse.Generate[review](t.Context(), chat, ask("A review."))
		var output *converse.OutputError
		require.ErrorAs(t, err, &output)
		assert.ErrorIs(t, err, converse.ErrOutput)
		assert.JSONEq(t, `{"stars":"canary-4711"}`, output.Output)
		assert.Contains(t, output.Detail, "stars")
		assert.NotContains(t, err.Error(), "canary-4711")
		assert.Zero(t, got)
		assert.Len(t, result.Rounds, 2, "no more than once")
		assert.Equal(t, ask("A review.").Messages, result.Messages)
	})
}

func TestGenerateThatIsCut(t *testing.T) {
	eachModel(t, func(t *testing.T, model string) {
		for _, stop := range []bedrockkit.StopReason{bedrockkit.StopMaxTokens, bedrockkit.StopGuardrailIntervened, bedrockkit.StopContentFiltered} {
			chat, srv := generator(t, bedrockkit.ModelID(model))
			srv.Reply(answering(model, `{"stars":5,"summary":"Great."}`).Stop(stop))
			_, result, err := converse.Generate[review](t.Context(), chat, ask("A review."))
			assert.ErrorIs(t, err, converse.ErrOutput, stop)
			assert.ErrorContains(t, err, string(stop))
			assert.Len(t, result.Rounds, 1, "another attempt would be cut as well")
		}
	})
}

// Tools run on the way, and the bounds of the loop do not keep the answer out.
func TestGenerateWithTools(t *testing.T) {
	eachModel(t, func(t *testing.T, model string) {
		runs := 0
		stock := converse.NewTool("check_stock", "Says how many.", func(context.Context, stockIn) (int, error) { runs++; return 3, nil })
		chat, srv := generator(t, bedrockkit.ModelID(model), func(o *converse.Options) {
			o.Tools, o.MaxRounds = []converse.Tool{stock}, 2
		})
		srv.Reply(bedrocktest.ToolUse("check_stock", map[string]any{"title": "x"}), answering(model, `{"copies":3}`))
		got, result, err := converse.Generate[struct {
			Copies int `json:"copies"`
		}](t.Context(), chat, ask("How many?"))
		require.NoError(t, err)
		assert.Equal(t, 3, got.Copies)
		assert.Equal(t, 1, runs)
		assert.Len(t, result.Messages, 4)
		if model == forced {
			assert.Equal(t, "any", srv.Requests()[1].ToolChoice.Mode)
		}
	})
}

// A model that was not made to call the tool answers with text.
func TestGenerateReadsText(t *testing.T) {
	chat, srv := generator(t, auto)
	srv.Reply(bedrocktest.Text("```json\n{\"stars\":4,\"summary\":\"Good.\"}\n```"))
	got, _, err := converse.Generate[review](t.Context(), chat, ask("A review."))
	require.NoError(t, err)
	assert.Equal(t, 4, got.Stars)

	srv.Reply(bedrocktest.Text("Four stars."), answering(auto, `{"stars":4,"summary":"Good."}`))
	got, _, err = converse.Generate[review](t.Context(), chat, ask("A review."))
	require.NoError(t, err)
	assert.Equal(t, 4, got.Stars)
	assert.Contains(t, srv.Requests()[2].LastText(), `"answer"`)
}

func TestGenerateAList(t *testing.T) {
	eachModel(t, func(t *testing.T, model string) {
		chat, srv := generator(t, bedrockkit.ModelID(model))
		srv.Reply(answering(model, `{"value":["a","b"]}`))
		got, _, err := converse.Generate[[]string](t.Context(), chat, ask("A list."))
		require.NoError(t, err)
		assert.Equal(t, []string{"a", "b"}, got)
	})
}

func TestGenerateAnything(t *testing.T) {
	chat, srv := generator(t, native)
	srv.Reply(answering(forced, `{"value":{"a":[1]}}`))
	got, _, err := converse.Generate[any](t.Context(), chat, ask("Anything."))
	require.NoError(t, err)
	assert.Equal(t, map[string]any{"a": []any{1.0}}, got)
}

// A keyword that the service refuses is told in the description, and the
// answer is checked against it here.
func TestGenerateWithASchemaThatTheServiceRefuses(t *testing.T) {
	format := &converse.OutputFormat{Schema: json.RawMessage(`{"type":"object","properties":{"stars":{"type":"integer","minimum":1,"maximum":5}},"required":["stars"]}`)}
	chat, srv := generator(t, native)
	srv.Reply(answering(native, `{"stars":9}`), answering(native, `{"stars":5}`))
	req := ask("A review.")
	req.OutputFormat = format
	got, _, err := converse.Generate[struct{ Stars int }](t.Context(), chat, req)
	require.NoError(t, err)
	assert.Equal(t, 5, got.Stars)
	assert.JSONEq(t, `{"type":"object","properties":{"stars":{"type":"integer","description":"(minimum: 1, maximum: 5)"}},"required":["stars"],"additionalProperties":false}`,
		string(srv.Requests()[0].OutputSchema))
	assert.Contains(t, string(format.Schema), "minimum", "the caller's stays")
}

// What no strict schema can say is asked for with a tool.
func TestGenerateAnOpenObject(t *testing.T) {
	chat, srv := generator(t, native)
	srv.Reply(answering(forced, `{"Berserk":3}`))
	got, _, err := converse.Generate[map[string]int](t.Context(), chat, ask("Count."))
	require.NoError(t, err)
	assert.Equal(t, map[string]int{"Berserk": 3}, got)
	assert.Empty(t, srv.Requests()[0].OutputSchema)
}

// A profile's ARN does not tell its model; the pipeline's resolver does.
func TestGenerateResolvesTheModel(t *testing.T) {
	const profile = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc"
	for _, resolved := range []bool{true, false} {
		chat, srv := generator(t, profile, converse.Call(func(o *bedrockx.Options) {
			o.Resolve = func(context.Context, bedrockkit.ModelID) (bedrockkit.ModelID, error) {
				if !resolved {
					return "", errors.New("nobody knows")
				}
				return native, nil
			}
		}))
		how := forced
		if resolved {
			how = native
		}
		srv.Reply(answering(how, `{"stars":5,"summary":"Great."}`))
		_, _, err := converse.Generate[review](t.Context(), chat, ask("A review."))
		require.NoError(t, err)
		assert.Equal(t, resolved, len(srv.Requests()[0].OutputSchema) > 0)
	}
}

func TestGenerateOfATypeThatCanNotBe(t *testing.T) {
	chat, srv := generator(t, native)
	_, result, err := converse.Generate[struct{ F func() }](t.Context(), chat, ask("q"))
	assert.ErrorIs(t, err, bedrockx.ErrValidation)
	var e *bedrockx.Error
	require.ErrorAs(t, err, &e)
	assert.Equal(t, bedrockkit.ModelID(native), e.Model)
	assert.ErrorContains(t, err, ".F: encoding/json does not read a func")
	assert.NotNil(t, result)
	assert.Empty(t, srv.Requests())
}

// A model that takes neither an output format nor tools is not asked.
func TestGenerateOfAModelWithoutTools(t *testing.T) {
	tried := 0
	for _, m := range bedrockkit.Models() {
		if m.Supports(bedrockkit.FeatureTools) != bedrockkit.No || m.Supports(bedrockkit.FeatureStructuredOutput) == bedrockkit.Yes {
			continue
		}
		tried++
		chat, srv := generator(t, m.ID)
		_, result, err := converse.Generate[review](t.Context(), chat, ask("q"))
		require.ErrorIs(t, err, bedrockx.ErrValidation)
		assert.ErrorContains(t, err, "neither an output format nor tools")
		assert.NotContains(t, err.Error(), "toolConfig")
		assert.NotNil(t, result)
		assert.Empty(t, srv.Requests())
	}
	assert.Positive(t, tried)
}

func TestGenerateWithABrokenTool(t *testing.T) {
	eachModel(t, func(t *testing.T, model string) {
		broken := converse.NewTool("broken", "Is broken.", func(context.Context, string) (string, error) { return "", nil })
		chat, srv := generator(t, bedrockkit.ModelID(model), func(o *converse.Options) { o.Tools = []converse.Tool{broken} })
		_, _, err := converse.Generate[review](t.Context(), chat, ask("q"))
		assert.ErrorIs(t, err, bedrockx.ErrValidation)
		assert.ErrorContains(t, err, `tool "broken"`)
		assert.Empty(t, srv.Requests())
	})
}

func TestThinking(t *testing.T) {
	temperature := 0.3
	chat, srv := generator(t, native, func(o *converse.Options) { o.Temperature = &temperature })
	srv.Reply(bedrocktest.Reasoning("Hm.").Text("Yes."))
	req := ask("q")
	req.Thinking, req.AdditionalFields = 4000, json.RawMessage(` { "top_a": 5 } `)
	resp, err := chat.Send(t.Context(), req)
	require.NoError(t, err)
	assert.Equal(t, "Yes.", resp.Text())
	assert.JSONEq(t, `{"messages":[{"role":"user","content":[{"text":"q"}]}],"inferenceConfig":{"maxTokens":6048},
		"additionalModelRequestFields":{"thinking":{"type":"enabled","budget_tokens":4000},"top_a":5}}`, string(srv.Requests()[0].Body))

	half := 0.5
	for name, change := range map[string]func(*converse.Request){
		"at least 1024":               func(r *converse.Request) { r.Thinking = 1000 },
		"it is -2":                    func(r *converse.Request) { r.Thinking = -2 },
		"the thinking and the answer": func(r *converse.Request) { r.MaxTokens = 4000 },
		"inferenceConfig.temp":        func(r *converse.Request) { r.Temperature = &half },
		"inferenceConfig.topP":        func(r *converse.Request) { r.TopP = &half },
		"made to call":                func(r *converse.Request) { r.ToolChoice.Any = true },
		"as an additional field":      func(r *converse.Request) { r.AdditionalFields = json.RawMessage(`{"thinking":{}}`) },
		"is for models of Anthr":      func(r *converse.Request) { r.Model = forced },
	} {
		bad := ask("q")
		bad.Thinking = 4000
		change(&bad)
		_, err := chat.Send(t.Context(), bad)
		assert.ErrorIs(t, err, bedrockx.ErrValidation, name)
		assert.ErrorContains(t, err, name)
	}
}

// Signatures and redacted reasoning go back byte for byte, before the tool use
// that they led to, also when the history was stored in between.
func TestReasoningIsReplayedByteForByte(t *testing.T) {
	bothWays(t, func(t *testing.T, streamed bool) {
		chat, srv, _ := newChat(t)
		srv.Reply(
			bedrocktest.Reasoning("<think> & \u2028 \"quoted\"").Redacted([]byte{0, 1, 0xfe, 0xff}).Text("I look.").ToolUse("check_stock", map[string]any{"title": "x"}),
			bedrocktest.Text("Three."))
		result, err := run(t, streamed, chat, ask("q"))
		require.NoError(t, err)
		stored, err := json.Marshal(result.Messages)
		require.NoError(t, err)
		var history []converse.Message
		require.NoError(t, json.Unmarshal(stored, &history))
		srv.Reply(bedrocktest.Text("ok"))
		_, err = run(t, streamed, chat, converse.Request{Messages: converse.Append(history, converse.User("Thanks."))})
		require.NoError(t, err)

		reqs := srv.Requests()
		first, later := reqs[1].Messages[1].Blocks, reqs[2].Messages[1].Blocks
		require.Len(t, first, 4)
		assert.Equal(t, first, later)
		assert.Equal(t, "<think> & \u2028 \"quoted\"", first[0].Reasoning.Text)
		assert.NotEmpty(t, first[0].Reasoning.Signature)
		assert.Equal(t, []byte{0, 1, 0xfe, 0xff}, first[1].Reasoning.Redacted)
		assert.NotNil(t, first[3].ToolUse)
		thought := result.Rounds[0].Message.Content[0].(converse.Reasoning)
		assert.Equal(t, first[0].Reasoning.Signature, thought.Signature)
	})
}
