package converse_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/bedrocktest"
	"github.com/mangaassist/bedrockkit/bedrockx"
	"github.com/mangaassist/bedrockkit/converse"
)

// What users of Bedrock clients have asked for, as far as values are concerned:
// a test for each behaviour, through the client and the fake.

// answeredOnce is a history in which a tool was called.
func answeredOnce() []converse.Message {
	return []converse.Message{
		converse.User("Is Berserk in stock?"),
		{Role: converse.RoleAssistant, Content: converse.Contents{converse.ToolUse{ID: "t1", Name: "check_stock", Input: json.RawMessage(`{"title":"Berserk"}`)}}},
		converse.UserContent(converse.ToolResult{ToolUseID: "t1", Content: converse.Contents{converse.JSON(`{"copies":3}`)}}),
		converse.Assistant("Three."),
		converse.User("Thanks!"),
	}
}

func TestHistoryWithToolBlocksAndNoToolsIsRefused(t *testing.T) {
	chat, srv, _ := newChat(t)
	_, err := chat.Send(t.Context(), converse.Request{Messages: answeredOnce(), Tools: []converse.ToolSpec{}})
	require.ErrorIs(t, err, bedrockx.ErrValidation)
	assert.ErrorContains(t, err, "toolConfig: the messages hold tool uses or results, and there are no tools")
	assert.Empty(t, srv.Requests())
}

func TestHistoryWithToolBlocksAndNoToolsIsRepaired(t *testing.T) {
	bothWays(t, func(t *testing.T, streamed bool) {
		var changes []converse.Change
		chat, srv, _ := newChat(t, func(o *converse.Options) { o.Repair = func(c []converse.Change) { changes = c } })
		srv.Reply(bedrocktest.Text("You are welcome."))
		result, err := run(t, streamed, chat, converse.Request{Messages: answeredOnce(), Tools: []converse.ToolSpec{}})
		require.NoError(t, err)
		assert.Equal(t, "You are welcome.", result.Text())
		assert.Len(t, changes, 2)
		assert.NotContains(t, string(srv.Requests()[0].Body), "toolUse")
		assert.Contains(t, string(srv.Requests()[0].Body), `"text":"[called the tool check_stock with {\"title\":\"Berserk\"}]"`)
	})
}

func TestRepairIsSilentWhereNothingIsWrong(t *testing.T) {
	chat, srv, _ := newChat(t, func(o *converse.Options) {
		o.Repair = func(c []converse.Change) { t.Errorf("there was nothing to repair: %v", c) }
	})
	srv.Reply(bedrocktest.Text("ok"))
	_, err := chat.Send(t.Context(), converse.Request{Messages: answeredOnce()})
	require.NoError(t, err)
}

func TestUnknownContentSurvivesARoundTrip(t *testing.T) {
	chat, srv, _ := newChat(t)
	const block = `{"futureBlock":{"n":12345678901234567890,"list":[1,{"x":null}]}}`
	srv.Reply(bedrocktest.Text("look").Block(bedrocktest.Block{Raw: json.RawMessage(block)}), bedrocktest.Text("ok"))
	result, err := chat.Run(t.Context(), ask("q"))
	require.NoError(t, err)
	stored, err := json.Marshal(append(result.Messages, converse.User("go on")))
	require.NoError(t, err)
	var history []converse.Message
	require.NoError(t, json.Unmarshal(stored, &history))
	_, err = chat.Send(t.Context(), converse.Request{Messages: history})
	require.NoError(t, err)
	assert.Contains(t, string(srv.Requests()[1].Body), block)
}

func TestToolNameLimitsAreChecked(t *testing.T) {
	chat, srv, _ := newChat(t)
	req := ask("q")
	req.Tools = []converse.ToolSpec{{Name: "shop.search", Description: "Searches.", InputSchema: json.RawMessage(`{"type":"object"}`)}}
	_, err := chat.Send(t.Context(), req)
	assert.ErrorContains(t, err, `toolConfig.tools[0].toolSpec.name: "shop.search" is not 1 to 64 characters from [A-Za-z0-9_-]`)
	assert.Empty(t, srv.Requests())
}

func TestMadeUpToolNameDoesNotPoisonTheHistory(t *testing.T) {
	bothWays(t, func(t *testing.T, streamed bool) {
		chat, srv, _ := newChat(t)
		srv.Reply(bedrocktest.ToolUse("shop.search()", map[string]any{}), bedrocktest.Text("ok"), bedrocktest.Text("again"))
		result, err := run(t, streamed, chat, ask("q"))
		require.NoError(t, err)
		_, err = run(t, streamed, chat, converse.Request{Messages: append(result.Messages, converse.User("go on"))})
		require.NoError(t, err)
	})
}

func TestSchemasAreRawJSON(t *testing.T) {
	chat, srv, _ := newChat(t)
	srv.Reply(bedrocktest.Text("ok"))
	const schema = `{"type":"object","properties":{"n":{"type":"integer","maximum":12345678901234567890}}}`
	req := ask("q")
	req.Tools = []converse.ToolSpec{{Name: "search", InputSchema: json.RawMessage(schema)}}
	_, err := chat.Send(t.Context(), req)
	require.NoError(t, err)
	assert.Contains(t, string(srv.Requests()[0].Body), schema)
}

func TestReasoningStaysInOrderThroughJSON(t *testing.T) {
	bothWays(t, func(t *testing.T, streamed bool) {
		chat, srv, _ := newChat(t)
		srv.Reply(bedrocktest.Reasoning("first").Redacted([]byte{1, 2, 0xFF}).Reasoning("second").ToolUse("check_stock", map[string]any{"title": "x"}), bedrocktest.Text("ok"), bedrocktest.Text("again"))
		result, err := run(t, streamed, chat, ask("q"))
		require.NoError(t, err)
		stored, err := json.Marshal(append(result.Messages, converse.User("go on")))
		require.NoError(t, err)
		var history []converse.Message
		require.NoError(t, json.Unmarshal(stored, &history))
		_, err = run(t, streamed, chat, converse.Request{Messages: history})
		require.NoError(t, err)
		want, err := json.Marshal(result.Rounds[0].Message.Content)
		require.NoError(t, err)
		assert.Contains(t, string(srv.Requests()[2].Body), string(want[1:len(want)-1]), "byte for byte, before the tool use")
	})
}

func TestDocumentNamesOfFilesAreLegal(t *testing.T) {
	chat, srv, _ := newChat(t)
	srv.Reply(bedrocktest.Text("ok"))
	file, err := converse.File("John's report #3, final.pdf", []byte("%PDF-"))
	require.NoError(t, err)
	_, err = chat.Send(t.Context(), converse.Request{Messages: []converse.Message{converse.UserContent(file, converse.Text("Sum it up."))}})
	require.NoError(t, err)
	assert.Contains(t, string(srv.Requests()[0].Body), `"name":"John s report 3 final"`)
}

func TestGuardrailStreamMode(t *testing.T) {
	for _, streamed := range []bool{false, true} {
		srv := bedrocktest.NewServer(t, func(o *bedrocktest.Options) {
			o.Guardrails = []bedrocktest.Guardrail{{ID: "gr1", Version: "1"}}
		})
		chat := converse.New(bedrockx.New(srv.Client()), func(o *converse.Options) { o.Model = model })
		srv.Reply(bedrocktest.Text("ok"))
		req := ask("q")
		req.Guardrail = bedrockkit.Guardrail{ID: "gr1", Version: "1", StreamMode: "async"}
		_, err := run(t, streamed, chat, req)
		require.NoError(t, err)
		assert.Equal(t, streamed, jsonHas(t, srv.Requests()[0].Body, "guardrailConfig", "streamProcessingMode"))
	}
}

func jsonHas(t *testing.T, body []byte, object, member string) bool {
	t.Helper()
	var v map[string]json.RawMessage
	require.NoError(t, json.Unmarshal(body, &v))
	var inner map[string]json.RawMessage
	require.NoError(t, json.Unmarshal(v[object], &inner))
	_, ok := inner[member]
	return ok
}

// The prefix of a conversation is written once and then read, and the result
// says what that came to.
func TestConversationIsCached(t *testing.T) {
	bothWays(t, func(t *testing.T, streamed bool) {
		chat, srv, _ := newChat(t, func(o *converse.Options) {
			o.System = converse.Texts("You are the assistant of a manga store. " + strings.Repeat("All of the rules of the store. ", 1000))
			o.CachePoints = "5m"
		})
		srv.Reply(bedrocktest.ToolUse("check_stock", map[string]any{"title": "Berserk"}), bedrocktest.Text("Three."), bedrocktest.Text("You are welcome."))
		result, err := run(t, streamed, chat, ask("Is Berserk in stock?"))
		require.NoError(t, err)
		first, second := result.Rounds[0], result.Rounds[1]
		require.NotNil(t, first.PromptCache)
		assert.Zero(t, first.PromptCache.ReadTokens)
		assert.Greater(t, first.PromptCache.WrittenTokens, int64(4096))
		assert.Positive(t, first.PromptCache.MissCost.Sign())
		assert.Equal(t, first.PromptCache.WrittenTokens, second.PromptCache.ReadTokens, "what was written is read")
		assert.Positive(t, second.PromptCache.Saved.Sign())
		assert.NotContains(t, string(mustJSON(t, result.Messages)), "cachePoint", "the conversation stays free of them")

		result, err = run(t, streamed, chat, converse.Request{Messages: append(result.Messages, converse.User("Thanks!"))})
		require.NoError(t, err)
		assert.GreaterOrEqual(t, result.Last().PromptCache.ReadTokens, second.PromptCache.ReadTokens+second.PromptCache.WrittenTokens)

		srv.Reply(bedrocktest.Text("ok"))
		resp, err := chat.Send(t.Context(), ask("short"), func(o *converse.Options) { o.CachePoints, o.System = "", converse.Texts("Be brief.") })
		require.NoError(t, err)
		assert.Nil(t, resp.PromptCache)
	})
}

// The system prompt of the options is content as that of a request, and no call
// changes it.
func TestSystemOfTheOptions(t *testing.T) {
	system := converse.Contents{converse.Text("Be brief."), converse.CachePoint{}, nil, converse.Text(" ")}
	chat, srv, _ := newChat(t, func(o *converse.Options) {
		o.System = system
		o.Repair = func([]converse.Change) {}
	})
	srv.Reply(bedrocktest.Text("a"), bedrocktest.Text("b"), bedrocktest.Text("c"))
	for range 2 {
		_, err := chat.Send(t.Context(), ask("q"))
		require.NoError(t, err)
	}
	own := ask("q")
	own.System = converse.Texts("Be polite.", "Be kind.")
	_, err := chat.Send(t.Context(), own)
	require.NoError(t, err)
	for i, want := range []string{`[{"text":"Be brief."},{"cachePoint":{"type":"default"}}]`, `[{"text":"Be brief."},{"cachePoint":{"type":"default"}}]`, `[{"text":"Be polite."},{"text":"Be kind."}]`} {
		var sent struct{ System json.RawMessage }
		require.NoError(t, json.Unmarshal(srv.Requests()[i].Body, &sent))
		assert.JSONEq(t, want, string(sent.System))
	}
	assert.Equal(t, converse.Contents{converse.Text("Be brief."), converse.CachePoint{}, nil, converse.Text(" ")}, system)
}

func mustJSON(t *testing.T, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	require.NoError(t, err)
	return b
}

func TestCachePointsAreNotPlacedAfterReasoning(t *testing.T) {
	bothWays(t, func(t *testing.T, streamed bool) {
		chat, srv, _ := newChat(t, func(o *converse.Options) {
			o.CachePoints, o.System = "5m", converse.Texts(strings.Repeat("rules ", 5000))
		})
		srv.Reply(bedrocktest.Reasoning("hm").ToolUse("check_stock", map[string]any{"title": "x"}), bedrocktest.Text("ok"))
		_, err := run(t, streamed, chat, ask("q"))
		require.NoError(t, err)
		assert.Equal(t, 3, strings.Count(string(srv.Requests()[1].Body), `{"cachePoint":{"type":"default"}}`), "after the system prompt and two messages of the user: the tools are too short")
	})
}

func TestCachePointsOfTheCallerSurvive(t *testing.T) {
	chat, srv, _ := newChat(t)
	srv.Reply(bedrocktest.Text("ok"))
	stored := mustJSON(t, []converse.Message{converse.UserContent(converse.Text("q"), converse.CachePoint{TTL: "1h"})})
	var history []converse.Message
	require.NoError(t, json.Unmarshal(stored, &history))
	_, err := chat.Send(t.Context(), converse.Request{Messages: history})
	require.NoError(t, err)
	assert.Contains(t, string(srv.Requests()[0].Body), `{"text":"q"},{"cachePoint":{"type":"default","ttl":"1h"}}`)
}

// A forced tool gets its input, which goes straight into a struct.
func TestForcedToolInputIsRawJSON(t *testing.T) {
	chat, srv, _ := newChat(t)
	const input = `{"n":12345678901234567890,"f":0.1,"list":[1,2]}`
	srv.Reply(bedrocktest.ToolUse("search", json.RawMessage(input)))
	req := ask("q")
	req.Tools = []converse.ToolSpec{{Name: "search", InputSchema: json.RawMessage(`{"type":"object"}`)}}
	req.ToolChoice = converse.ToolChoice{Tool: "search"}
	resp, err := chat.Send(t.Context(), req)
	require.NoError(t, err)
	require.Len(t, resp.Message.ToolUses(), 1)
	got := resp.Message.ToolUses()[0].Input
	assert.Equal(t, input, string(got), "byte for byte")
	var in struct {
		N    uint64
		F    float64
		List []int
	}
	require.NoError(t, json.Unmarshal(got, &in))
	assert.Equal(t, uint64(12345678901234567890), in.N)
	assert.Contains(t, string(srv.Requests()[0].Body), `"toolChoice":{"tool":{"name":"search"}}`)
}

func TestContextOverflowIsOneError(t *testing.T) {
	bothWays(t, func(t *testing.T, streamed bool) {
		for _, message := range []string{"Input is too long for requested model.", "The model returned the following errors: prompt is too long: 212045 tokens > 200000 maximum"} {
			chat, srv, _ := newChat(t)
			srv.Reply(bedrocktest.Error(400, "ValidationException", message))
			_, err := run(t, streamed, chat, ask("q"))
			assert.ErrorIs(t, err, bedrockx.ErrContextOverflow, message)
		}
	})
}

// What a stream cites comes with the text, and can be sent again.
func TestStreamedCitationsAreKept(t *testing.T) {
	chat, srv, _ := newChat(t)
	srv.Reply(bedrocktest.Text("Three copies.").InsertAfter(2, "contentBlockDelta",
		`{"contentBlockIndex":0,"delta":{"citation":{"title":"list","sourceContent":[{"text":"3"}],"location":{"documentPage":{"documentIndex":0,"start":1,"end":2}}}}}`),
		bedrocktest.Text("ok"))
	list := converse.Document{Name: "list", Text: "Berserk 3", Citations: true}
	result, err := run(t, true, chat, converse.Request{Messages: []converse.Message{converse.UserContent(list, converse.Text("How many?"))}})
	require.NoError(t, err)
	assert.Equal(t, "Three copies.", result.Text())
	cited, ok := result.Last().Message.Content[0].(converse.CitedText)
	require.True(t, ok)
	assert.Equal(t, converse.Location{Kind: converse.LocationPage, Index: 0, Start: 1, End: 2}, cited.Citations[0].Location)
	_, err = chat.Send(t.Context(), converse.Request{Messages: append(result.Messages, converse.User("Thanks!"))})
	require.NoError(t, err)
	assert.Contains(t, string(srv.Requests()[1].Body), `{"citationsContent":{"content":[{"text":"Three copies."}],"citations":[{"title":"list","sourceContent":[{"text":"3"}],`+
		`"location":{"documentPage":{"documentIndex":0,"start":1,"end":2}}}]}}`)
}
