package converse_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/bedrocktest"
	"github.com/mangaassist/bedrockkit/bedrockx"
	"github.com/mangaassist/bedrockkit/converse"
)

const fable = "us.anthropic.claude-fable-5-1" // binds thinking to what comes before it

func thinkingIn(messages []converse.Message) (n int) {
	for _, m := range messages {
		for _, c := range m.Content {
			switch c.(type) {
			case converse.Reasoning, converse.Redacted:
				n++
			}
		}
	}
	return n
}

func thought(text string) converse.Message {
	return converse.Message{Role: converse.RoleAssistant, Content: converse.Contents{converse.Reasoning{Text: "hm", Signature: "s"}, converse.Text(text)}}
}

func TestRebound(t *testing.T) {
	before := []converse.Message{converse.User("a"), thought("b"), converse.User("c"), thought("d")}
	marked := []converse.Message{converse.UserContent(converse.Text("a"), converse.CachePoint{}), before[1], before[2], before[3]}
	middle := []converse.Message{before[0], before[1], converse.User("changed"), before[3]}
	for _, tt := range []struct {
		name, model string
		after       []converse.Message
		want        int
	}{
		{"nothing changed", fable, before, 2},
		{"more", fable, append(before[:4:4], converse.User("e")), 2},
		{"cache points", fable, marked, 2},
		{"the middle", fable, middle, 1},
		{"the front was cut", fable, before[2:], 0},
		{"a model that binds nothing", model, before[2:], 1},
		{"a model of tomorrow", tomorrow, before[2:], 1},
	} {
		got := converse.Rebound(bedrockkit.ModelID(tt.model), before, tt.after)
		assert.Equal(t, tt.want, thinkingIn(got), tt.name)
		assert.Len(t, got, len(tt.after))
	}
	assert.Equal(t, 2, thinkingIn(before), "the caller's stay")
}

func TestRepairDropsThinkingBehindAChange(t *testing.T) {
	req := converse.Request{Model: fable, MaxTokens: 4000, Messages: []converse.Message{converse.User("a"), thought("b"), converse.User("c"), converse.User(" "), thought("d"), converse.User("e")}}
	repaired, changes := converse.Repair(req)
	assert.NotEmpty(t, changes)
	assert.Equal(t, 1, thinkingIn(repaired.Messages), "%v", changes)
	again, more := converse.Repair(repaired)
	assert.Equal(t, repaired, again)
	assert.Empty(t, more)
	require.NoError(t, converse.Preflight(repaired))
	req.Model = model
	repaired, _ = converse.Repair(req)
	assert.Equal(t, 2, thinkingIn(repaired.Messages))
}

// A history with thinking asks the service to drop what no longer fits, where
// the model takes that.
func TestBlockBindingIsAskedFor(t *testing.T) {
	history := converse.Request{Messages: []converse.Message{converse.User("a"), thought("b"), converse.User("c")}}
	const asked = `"thinking":{"type":"adaptive","block_binding":{"prefix_mismatch_behavior":"drop_block"}}`
	assert.Contains(t, sentBody(t, fable, history), asked)
	assert.Contains(t, sentBody(t, haiku55, history), asked)
	assert.NotContains(t, sentBody(t, fable, ask("q")), "block_binding")
	assert.NotContains(t, sentBody(t, opus46, history), "block_binding")
	history.AdditionalFields = []byte(`{"thinking":{"type":"adaptive"}}`)
	assert.NotContains(t, sentBody(t, fable, history), "block_binding", "the caller's own has the last word")
}

// Tools that change within a loop take the thinking with them that was bound to
// them; a name that is made legal takes what comes after it in the answer.
func TestLoopDropsThinkingBehindAChange(t *testing.T) {
	look := func(name string) converse.Tool {
		return converse.NewTool(name, "Looks.", func(context.Context, struct{}) (string, error) { return "seen", nil })
	}
	for id, want := range map[string][]int{fable: {0, 1, 0}, opus46: {0, 2, 3}} {
		srv := bedrocktest.NewServer(t)
		n := 0
		srv.Control(bedrocktest.AnyOp, func(context.Context, *bedrocktest.Request) *bedrocktest.Reply {
			switch n++; n {
			case 1:
				return body("tool_use", `{"reasoningContent":{"reasoningText":{"text":"one","signature":"s"}}}`, `{"toolUse":{"toolUseId":"1","name":"look up!","input":{}}}`,
					`{"reasoningContent":{"reasoningText":{"text":"two","signature":"s"}}}`, `{"toolUse":{"toolUseId":"2","name":"look","input":{}}}`)
			case 2:
				return body("tool_use", `{"reasoningContent":{"reasoningText":{"text":"three","signature":"s"}}}`, `{"toolUse":{"toolUseId":"3","name":"look","input":{}}}`)
			}
			return body("end_turn", `{"text":"Done."}`)
		}).Keep()
		chat := converse.New(bedrockx.New(srv.Client(), fast), func(o *converse.Options) {
			o.Model, o.Tools = bedrockkit.ModelID(id), []converse.Tool{look("look"), look("other")}
		})
		for turn, err := range chat.Turns(t.Context(), ask("q")) {
			require.NoError(t, err)
			if turn.Number == 2 {
				turn.Request.Tools = []converse.ToolSpec{look("look").Spec}
			}
		}
		var got []int
		for _, r := range srv.Requests() {
			n := 0
			for _, m := range r.Messages {
				for _, b := range m.Blocks {
					if b.Reasoning != nil {
						n++
					}
				}
			}
			got = append(got, n)
		}
		assert.Equal(t, want, got, id)
	}
}
