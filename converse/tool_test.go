package converse

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
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

// runCall does for one call what a round does for all of its calls.
func runCall(ctx context.Context, f Tool, use ToolUse, o Options) (ToolResult, error) {
	c := &toolCall{use: use}
	c.prepare([]Tool{f})
	runTools(ctx, []*toolCall{c}, o.resolved())
	return c.result, c.err
}

func runTool(t *testing.T, f Tool, input string) (ToolResult, error) {
	t.Helper()
	require.NoError(t, f.err)
	result, err := runCall(t.Context(), f, ToolUse{ID: "id-1", Name: f.Spec.Name, Input: json.RawMessage(input)}, Options{})
	assert.Equal(t, "id-1", result.ToolUseID)
	_, encodes := json.Marshal(Message{RoleUser, Contents{result}})
	assert.NoError(t, encodes, "every result can be sent")
	assert.NotEmpty(t, result.Content, "Bedrock refuses an empty result")
	return result, err
}

func TestToolInfersItsSchema(t *testing.T) {
	f := NewTool("check", "Checks.", func(context.Context, lookup) (string, error) { return "", nil })
	require.NoError(t, f.err)
	assert.JSONEq(t, `{"type":"object","properties":{"title":{"type":"string","description":"the manga's title"},"volume":{"type":["null","integer"]}},"required":["title"],"additionalProperties":false}`, string(f.Spec.InputSchema))
}

// What encoding/json reads in a form of its own is described in that form.
func TestToolInfersTheFormOfJSON(t *testing.T) {
	type in struct {
		At   time.Time       `json:"at"`
		Data []byte          `json:"data"`
		Any  json.RawMessage `json:"any"`
	}
	f := NewTool("check", "Checks.", func(_ context.Context, in in) (string, error) {
		return in.At.Format(time.DateOnly) + " " + string(in.Data) + " " + string(in.Any), nil
	})
	require.NoError(t, f.err)
	assert.JSONEq(t, `{"type":"object","properties":{"at":{"type":"string","format":"date-time"},"data":{"type":["null","string"],"contentEncoding":"base64"},"any":true},
		"required":["at","data","any"],"additionalProperties":false}`, string(f.Spec.InputSchema))
	result, err := runTool(t, f, `{"at":"2026-01-02T03:04:05Z","data":"aGk=","any":[1]}`)
	require.NoError(t, err)
	assert.Equal(t, Contents{Text("2026-01-02 hi [1]")}, result.Content)
	result, err = runTool(t, f, `{"at":"tomorrow","data":"","any":1}`)
	assert.Error(t, err)
	assert.Contains(t, result.Content[0], `"tomorrow"`, "the model is told what is wrong")
}

func TestToolResults(t *testing.T) {
	give := func(v any) Tool {
		return NewTool("give", "Gives.", func(context.Context, map[string]any) (any, error) { return v, nil })
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
		{"content of nothing", Contents{}, Text("done")},
		{"no content", Contents(nil), Text("done")},
		{"one block", JSON(`{"copies": 3}`), JSON(`{"copies": 3}`)},
		{"a text block", Text("as it is"), Text("as it is")},
		{"an empty list", []int(nil), JSON(`{"results":[]}`)},
		{"an empty map", map[string]int(nil), JSON(`{}`)},
		{"a text of a type of its own", title(`Tom & "Jerry" <3`), Text(`Tom & "Jerry" <3`)},
		{"a value that is written as a text", genre(1), Text("seinen")},
		{"bytes that are no UTF-8", "a\xffb", Text("a\uFFFDb")},
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

// loud is an error type of a tool's own that speaks to the model.
type loud struct{ secret string }

func (e *loud) Error() string   { return e.secret }
func (*loud) ModelText() string { return "give a title" }

// panics is a result and an error whose own code panics.
type panics struct{}

func (panics) MarshalJSON() ([]byte, error) { panic("in MarshalJSON") }
func (panics) Error() string                { return "it panics" }
func (panics) ModelText() string            { panic("in ModelText") }

// What goes wrong in a tool becomes a result that helps the model to fix its
// call, and tells it no more than it was meant to know.
func TestToolErrors(t *testing.T) {
	const secret = "canary-4711"
	returns := func(v any, err error) func(context.Context, lookup) (any, error) {
		return func(context.Context, lookup) (any, error) { return v, err }
	}
	tests := []struct {
		name, input string
		fn          func(context.Context, lookup) (any, error)
		told        string
	}{
		{"an error", `{"title":"a"}`, returns(nil, errors.New(secret)), "the tool failed"},
		{"an error for the model", `{"title":"a"}`, returns(nil, Tellf("no manga of that title")), "no manga of that title"},
		{"one that is wrapped", `{"title":"a"}`, returns(nil, fmt.Errorf("%s: %w", secret, Tellf("no manga of that title"))), "no manga of that title"},
		{"one of the tool's own type", `{"title":"a"}`, returns(nil, &loud{secret}), "give a title"},
		{"an error for the model that is no UTF-8", `{"title":"a"}`, returns(nil, Tellf("no \xff")), "no \uFFFD"},
		{"a picture that the service refuses", `{"title":"a"}`, returns(Contents{Image{Format: "bmp", Bytes: []byte("x")}}, nil), "the tool failed"},
		{"a document without a legal name", `{"title":"a"}`, returns(Contents{Document{Format: "pdf", Name: "a/b", Bytes: []byte("x")}}, nil), "the tool failed"},
		{"an end with a result that panics", `{"title":"a"}`, returns(nil, Stop(panics{})), "the tool failed"},
		{"an error that panics", `{"title":"a"}`, returns(nil, (*panics)(nil)), "the tool failed"},
		{"content that panics", `{"title":"a"}`, returns(Contents{(*Text)(nil)}, nil), "the tool failed"},
		{"a blank error for the model", `{"title":"a"}`, returns(nil, Tellf(" ")), "the tool failed"},
		{"a long error for the model", `{"title":"a"}`, returns(nil, Tellf("%s", strings.Repeat("漫", 1<<20))), "漫…"},
		{"a panic", `{"title":"a"}`, func(context.Context, lookup) (any, error) { panic(secret) }, "the tool failed"},
		{"a panic with an error for the model", `{"title":"a"}`, func(context.Context, lookup) (any, error) { panic(Tellf(secret)) }, "the tool failed"},
		{"the end of the goroutine", `{"title":"a"}`, func(context.Context, lookup) (any, error) { runtime.Goexit(); return nil, nil }, "the tool failed"},
		{"a result that is no JSON", `{"title":"a"}`, returns(func() {}, nil), "the tool failed"},
		{"a result that is too large", `{"title":"a"}`, returns(strings.Repeat("x", 1<<20), nil), "ask for less"},
		{"a nil in the result", `{"title":"a"}`, returns(Contents{nil}, nil), "the tool failed"},
		{"a list as JSON", `{"title":"a"}`, returns(Contents{JSON("[1]")}, nil), "the tool failed"},
		{"a tool use in the result", `{"title":"a"}`, returns(Contents{ToolUse{}}, nil), "the tool failed"},
		{"an argument missing", `{}`, nil, "title"},
		{"an argument of another type", `{"title":1}`, nil, "JSON Schema"},
		{"an argument too many", `{"title":"a","color":"red"}`, nil, "color"},
		{"no object", `[]`, nil, "JSON Schema"},
		{"no JSON", `{"title":`, nil, "no JSON"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			called := false
			f := NewTool("check", "Checks.", func(ctx context.Context, in lookup) (any, error) {
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
			assert.Less(t, len(text), 5000)
		})
	}
}

// What a panic says is in the error's Value, for whoever looks there, and in no
// text.
func TestToolPanicIsQuiet(t *testing.T) {
	f := NewTool("check", "Checks.", func(context.Context, map[string]any) (any, error) { panic("canary-4711") })
	_, err := runTool(t, f, `{}`)
	assert.NotContains(t, fmt.Sprintf("%v %+v %q", err, err, err), "canary-4711")
}

func TestToolPanicIsKeptForTheLog(t *testing.T) {
	f := NewTool("check", "Checks.", func(context.Context, map[string]any) (any, error) { panic("boom") })
	_, err := runTool(t, f, `{}`)
	var p *PanicError
	require.ErrorAs(t, err, &p)
	assert.Equal(t, "boom", p.Value)
	assert.Contains(t, string(p.Stack), "tool_test.go")
}

func TestToolTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := NewTool("slow", "Is slow.", func(ctx context.Context, _ map[string]any) (any, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		})
		began := time.Now()
		result, err := runCall(t.Context(), f, ToolUse{ID: "1", Name: "slow"}, Options{ToolTimeout: 2 * time.Second})
		assert.ErrorContains(t, err, "longer than 2s")
		assert.Equal(t, 2*time.Second, time.Since(began))
		assert.Equal(t, ToolError, result.Status)
		assert.Contains(t, result.Content[0], "longer than 2s")

		// A tool's own bound goes before that of all.
		own := NewTool("slow", "Is slow.", func(ctx context.Context, _ map[string]any) (any, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}, func(o *ToolOptions) { o.Timeout = time.Minute })
		began = time.Now()
		_, err = runCall(t.Context(), own, ToolUse{ID: "1", Name: "slow"}, Options{ToolTimeout: 2 * time.Second})
		assert.ErrorContains(t, err, "longer than 1m0s")
		assert.Equal(t, time.Minute, time.Since(began))
	})
}

func TestToolWithoutArguments(t *testing.T) {
	f := NewTool("now", "Says the time.", func(context.Context, struct{}) (string, error) { return "noon", nil })
	for _, input := range []string{``, ` `, `{}`} {
		result, err := runTool(t, f, input)
		require.NoError(t, err, "%q", input)
		assert.Equal(t, Contents{Text("noon")}, result.Content)
	}
}

func TestToolWithAGivenSchema(t *testing.T) {
	schema := `{"type":"object","properties":{"order_id":{"type":"string","pattern":"^ORD-[A-Z0-9]{8}$"}},"required":["order_id"]}`
	f := NewTool("order", "Finds an order.", func(_ context.Context, in struct {
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

// A tool that the request did not offer, but that the model calls all the same,
// can be a broken one.
func TestBrokenToolsThatAreCalled(t *testing.T) {
	for name, f := range map[string]Tool{
		"a mistake in it": NewTool("broken", "Is broken.", func(context.Context, string) (string, error) { return "", nil }),
		"no code":         {Spec: ToolSpec{Name: "broken"}},
		"a nil handler":   NewRawTool(ToolSpec{Name: "broken", InputSchema: json.RawMessage(`{"type":"object"}`)}, nil),
	} {
		result, err := runCall(t.Context(), f, ToolUse{ID: "1", Name: "broken"}, Options{})
		assert.Error(t, err, name)
		assert.Equal(t, Contents{Text("the tool failed")}, result.Content, name)
	}
}

func TestToolThatCanNotBe(t *testing.T) {
	for name, f := range map[string]Tool{
		"no object":    NewTool("a", "b", func(context.Context, string) (string, error) { return "", nil }),
		"no type":      NewTool("a", "b", func(context.Context, struct{ F func() }) (string, error) { return "", nil }),
		"broken":       NewTool("a", "b", func(context.Context, struct{}) (string, error) { return "", nil }, func(o *ToolOptions) { o.Schema = json.RawMessage(`{`) }),
		"schema array": NewTool("a", "b", func(context.Context, struct{}) (string, error) { return "", nil }, func(o *ToolOptions) { o.Schema = json.RawMessage(`{"type":"array"}`) }),
	} {
		assert.ErrorContains(t, f.err, `tool "a"`, name)
	}
}

func TestToolThatIgnoresItsContextIsLeftBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		f := NewTool("stuck", "Is stuck.", func(context.Context, map[string]any) (any, error) {
			<-release
			return nil, errors.New("too late")
		})
		began := time.Now()
		result, err := runCall(t.Context(), f, ToolUse{ID: "1", Name: "stuck"}, Options{ToolTimeout: 2 * time.Second})
		assert.ErrorIs(t, err, ErrToolAbandoned)
		assert.Equal(t, 3*time.Second, time.Since(began), "its time and a second of grace")
		assert.Contains(t, result.Content[0], "longer than 2s")
		close(release) // synctest fails where the goroutine would not end
	})
}

func TestToolMiddleware(t *testing.T) {
	var order []string
	note := func(name string) ToolMiddleware {
		return func(next ToolHandler) ToolHandler {
			return func(ctx context.Context, use ToolUse) (Contents, error) {
				order = append(order, name+" "+string(use.Input))
				return next(ctx, use)
			}
		}
	}
	f := NewTool("check", "Checks.", func(_ context.Context, in lookup) (string, error) {
		order = append(order, "code")
		return in.Title, nil
	})
	wrapped := f.With(note("outer"), note("inner"))
	result, err := runTool(t, wrapped, `{"title":"a"}`)
	require.NoError(t, err)
	assert.Equal(t, Contents{Text("a")}, result.Content)
	assert.Equal(t, []string{`outer {"title":"a"}`, `inner {"title":"a"}`, "code"}, order)

	order = nil
	_, err = runTool(t, wrapped, `{}`)
	assert.Error(t, err)
	assert.Empty(t, order, "bad arguments reach no middleware")
	_, err = runTool(t, f, `{"title":"a"}`)
	require.NoError(t, err)
	assert.Equal(t, []string{"code"}, order, "the tool itself is as it was")
}

func TestRawTool(t *testing.T) {
	spec := ToolSpec{Name: "sum", Description: "Adds.", InputSchema: json.RawMessage(`{"type":"object","properties":{"n":{"type":"integer"}},"required":["n"]}`)}
	f := NewRawTool(spec, func(_ context.Context, use ToolUse) (Contents, error) { return Contents{JSON(use.Input)}, nil })
	result, err := runTool(t, f, `{"n": 12345678901234567890}`)
	require.NoError(t, err)
	assert.Equal(t, Contents{JSON(`{"n": 12345678901234567890}`)}, result.Content, "as the model wrote it, to the last digit")
	_, err = runTool(t, f, `{"n":"one"}`)
	assert.ErrorContains(t, err, "JSON Schema")
}

func TestToolsRunAtOnceWithinTheirBound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var running, most atomic.Int32
		f := NewTool("wait", "Waits.", func(context.Context, struct{}) (string, error) {
			most.Store(max(most.Load(), running.Add(1)))
			time.Sleep(time.Second) // the bubble's
			running.Add(-1)
			return "ok", nil
		})
		var calls []*toolCall
		for range 10 {
			c := &toolCall{use: ToolUse{ID: "1", Name: "wait"}}
			c.prepare([]Tool{f})
			calls = append(calls, c)
		}
		began := time.Now()
		runTools(t.Context(), calls, Options{ToolConcurrency: 4}.resolved())
		assert.Equal(t, 3*time.Second, time.Since(began))
		assert.EqualValues(t, 4, most.Load())
	})
}

func TestStrictTool(t *testing.T) {
	schema := json.RawMessage(`{"type":"object","properties":{"n":{"type":"integer","minimum":1}},"required":["n"]}`)
	f := NewTool("count", "Counts.", func(_ context.Context, in struct{ N int }) (int, error) { return in.N, nil },
		func(o *ToolOptions) { o.Schema, o.Strict = schema, true })
	require.NoError(t, f.err)
	assert.True(t, f.Spec.Strict)
	assert.Equal(t, `{"type":"object","properties":{"n":{"type":"integer","description":"(minimum: 1)"}},"required":["n"],"additionalProperties":false}`, string(f.Spec.InputSchema))
	_, err := runTool(t, f, `{"n":0}`)
	assert.ErrorContains(t, err, "JSON Schema", "the whole schema holds here")

	open := NewTool("count", "Counts.", func(context.Context, map[string]string) (int, error) { return 0, nil }, func(o *ToolOptions) { o.Strict = true })
	assert.ErrorContains(t, open.err, `tool "count"`)
}
