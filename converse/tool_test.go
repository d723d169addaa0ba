package converse

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

type lookup struct {
	Title  string `json:"title" jsonschema:"the manga's title"`
	Volume *int   `json:"volume,omitempty"`
}

func runTool(t *testing.T, f Function, input string) (ToolResult, error) {
	t.Helper()
	require.NoError(t, f.err)
	result, err := f.run(t.Context(), ToolUse{ID: "id-1", Name: f.Spec.Name, Input: json.RawMessage(input)}, Options{}.resolved())
	assert.Equal(t, "id-1", result.ToolUseID)
	_, encodes := json.Marshal(Message{RoleUser, Contents{result}})
	assert.NoError(t, encodes, "every result can be sent")
	assert.NotEmpty(t, result.Content, "Bedrock refuses an empty result")
	return result, err
}

func TestToolInfersItsSchema(t *testing.T) {
	f := Tool("check", "Checks.", func(context.Context, lookup) (string, error) { return "", nil })
	require.NoError(t, f.err)
	assert.JSONEq(t, `{"type":"object","properties":{"title":{"type":"string","description":"the manga's title"},"volume":{"type":["null","integer"]}},"required":["title"],"additionalProperties":false}`, string(f.Spec.InputSchema))
}

func TestToolResults(t *testing.T) {
	give := func(v any) Function {
		return Tool("give", "Gives.", func(context.Context, map[string]any) (any, error) { return v, nil })
	}
	tests := []struct {
		name string
		give any
		want Content
	}{
		{"a text", "three left", Text("three left")},
		{"an object", map[string]int{"copies": 3}, JSON(`{"copies":3}`)},
		{"a struct", lookup{Title: "Berserk"}, JSON(`{"title":"Berserk"}`)},
		{"a list", []int{1, 2}, JSON(`{"results":[1,2]}`)},
		{"a number", 3, Text("3")},
		{"nothing", nil, Text("done")},
		{"an empty text", "", Text("done")},
		{"a blank text", " \n", Text("done")},
		{"content", Contents{Text("as it is")}, Text("as it is")},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			result, err := runTool(t, give(tt.give), `{}`)
			require.NoError(t, err)
			assert.Equal(t, ToolSuccess, result.Status)
			assert.Equal(t, Contents{tt.want}, result.Content)
		})
	}
}

// What goes wrong in a tool becomes a result that helps the model to mend its
// call.
func TestToolErrors(t *testing.T) {
	secret := "password-in-a-panic"
	tests := []struct {
		name, input string
		fn          func(context.Context, lookup) (any, error)
		told        string
	}{
		{"an error", `{"title":"a"}`, func(context.Context, lookup) (any, error) { return nil, errors.New("no manga of that title") }, "no manga of that title"},
		{"a blank error", `{"title":"a"}`, func(context.Context, lookup) (any, error) { return nil, errors.New("") }, "the tool failed"},
		{"a panic", `{"title":"a"}`, func(context.Context, lookup) (any, error) { panic(secret) }, "the tool failed"},
		{"a result that is no JSON", `{"title":"a"}`, func(context.Context, lookup) (any, error) { return func() {}, nil }, "can not be written as JSON"},
		{"a result that is too large", `{"title":"a"}`, func(context.Context, lookup) (any, error) { return strings.Repeat("x", 1<<20), nil }, "ask for less"},
		{"a result of nothing", `{"title":"a"}`, func(context.Context, lookup) (any, error) { return Contents{}, nil }, "the tool failed"},
		{"a nil in the result", `{"title":"a"}`, func(context.Context, lookup) (any, error) { return Contents{nil}, nil }, "can not hold"},
		{"a list as JSON", `{"title":"a"}`, func(context.Context, lookup) (any, error) { return Contents{JSON("[1]")}, nil }, "no JSON object"},
		{"a tool use in the result", `{"title":"a"}`, func(context.Context, lookup) (any, error) { return Contents{ToolUse{}}, nil }, "can not hold"},
		{"blank content", `{"title":"a"}`, func(context.Context, lookup) (any, error) { return Contents{Text(" ")}, nil }, "the tool failed"},
		{"an argument missing", `{}`, nil, "title"},
		{"an argument of another type", `{"title":1}`, nil, "JSON Schema"},
		{"an argument too many", `{"title":"a","color":"red"}`, nil, "color"},
		{"no object", `[]`, nil, "JSON Schema"},
		{"no JSON", `{"title":`, nil, "no JSON"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			called := false
			f := Tool("check", "Checks.", func(ctx context.Context, in lookup) (any, error) {
				called = true
				return tt.fn(ctx, in)
			})
			result, err := runTool(t, f, tt.input)
			require.Error(t, err)
			assert.Equal(t, tt.fn != nil, called, "bad arguments never reach the code")
			assert.Equal(t, ToolError, result.Status)
			text := string(result.Content[0].(Text))
			assert.Contains(t, text, tt.told)
			assert.NotContains(t, text, secret)
			assert.NotContains(t, err.Error(), secret)
		})
	}
}

func TestToolPanicIsKeptForTheLog(t *testing.T) {
	f := Tool("check", "Checks.", func(context.Context, map[string]any) (any, error) { panic("boom") })
	_, err := runTool(t, f, `{}`)
	var p *PanicError
	require.ErrorAs(t, err, &p)
	assert.Equal(t, "boom", p.Value)
	assert.Contains(t, string(p.Stack), "tool_test.go")
}

func TestToolTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := Tool("slow", "Is slow.", func(ctx context.Context, _ map[string]any) (any, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		})
		began := time.Now()
		result, err := f.run(t.Context(), ToolUse{ID: "1", Name: "slow"}, Options{ToolTimeout: 2 * time.Second}.resolved())
		assert.ErrorContains(t, err, "longer than 2s")
		assert.Equal(t, 2*time.Second, time.Since(began))
		assert.Equal(t, ToolError, result.Status)
		assert.Contains(t, result.Content[0], "longer than 2s")
	})
}

func TestToolWithoutArguments(t *testing.T) {
	f := Tool("now", "Says the time.", func(context.Context, struct{}) (string, error) { return "noon", nil })
	for _, input := range []string{``, ` `, `{}`} {
		result, err := runTool(t, f, input)
		require.NoError(t, err, "%q", input)
		assert.Equal(t, Contents{Text("noon")}, result.Content)
	}
}

func TestToolWithAGivenSchema(t *testing.T) {
	schema := `{"type":"object","properties":{"order_id":{"type":"string","pattern":"^ORD-[A-Z0-9]{8}$"}},"required":["order_id"]}`
	f := Tool("order", "Finds an order.", func(_ context.Context, in struct {
		OrderID string `json:"order_id"`
	}) (string, error) {
		return in.OrderID, nil
	}, func(o *ToolOptions) { o.Schema = json.RawMessage(schema) })
	assert.Equal(t, schema, string(f.Spec.InputSchema), "as it was given")
	result, err := runTool(t, f, `{"order_id":"ORD-MANGA001"}`)
	require.NoError(t, err)
	assert.Equal(t, Contents{Text("ORD-MANGA001")}, result.Content)
	_, err = runTool(t, f, `{"order_id":"MANGA001"}`)
	assert.ErrorContains(t, err, "JSON Schema")
}

func TestToolThatCanNotBe(t *testing.T) {
	for name, f := range map[string]Function{
		"no object":    Tool("a", "b", func(context.Context, string) (string, error) { return "", nil }),
		"no type":      Tool("a", "b", func(context.Context, struct{ F func() }) (string, error) { return "", nil }),
		"broken":       Tool("a", "b", func(context.Context, struct{}) (string, error) { return "", nil }, func(o *ToolOptions) { o.Schema = json.RawMessage(`{`) }),
		"schema array": Tool("a", "b", func(context.Context, struct{}) (string, error) { return "", nil }, func(o *ToolOptions) { o.Schema = json.RawMessage(`{"type":"array"}`) }),
	} {
		assert.ErrorContains(t, f.err, `tool "a"`, name)
	}
}
