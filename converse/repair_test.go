package converse

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var searchTool = ToolSpec{Name: "search", Description: "Searches.", InputSchema: json.RawMessage(`{"type":"object"}`)}

func use(id string) ToolUse {
	return ToolUse{ID: id, Name: "search", Input: json.RawMessage(`{"q":"x"}`)}
}

// other is a call with another input than that of use.
func other(id string) ToolUse {
	return ToolUse{ID: id, Name: "search", Input: json.RawMessage(`{"q":"y"}`)}
}

func result(id, text string) ToolResult {
	return ToolResult{ToolUseID: id, Content: Contents{Text(text)}}
}

func TestRepair(t *testing.T) {
	interrupted := func(id string) ToolResult {
		return ToolResult{ToolUseID: id, Status: ToolError, Content: Contents{Text("There is no result: the call was interrupted.")}}
	}
	user := func(c ...Content) Message { return UserContent(c...) }
	assistant := func(c ...Content) Message { return Message{RoleAssistant, c} }
	data := []byte("x")
	for _, tt := range []struct {
		name    string
		given   []Message
		want    []Message
		changes []string
	}{
		{"a good one stays", []Message{User("a"), Assistant("b"), User("c")}, []Message{User("a"), Assistant("b"), User("c")}, nil},
		{"roles in a row", []Message{User("a"), User("b"), Assistant("c"), Assistant("d"), User("e")},
			[]Message{user(Text("a"), Text("b")), assistant(Text("c"), Text("d")), User("e")},
			[]string{"messages[1]: it was put into the message before, which has the same role", "messages[3]: it was put into the message before, which has the same role"}},
		{"leading assistant", []Message{Assistant("Hello, how can I help?"), User("a")}, []Message{User("a")},
			[]string{"messages[0]: a message of the assistant before the first of the user was left out"}},
		{"blank and nil", []Message{user(Text(" "), Text("a"), nil), assistant(Text("\n")), User("b")}, []Message{user(Text("a"), Text("b"))},
			[]string{"messages[0].content[0]: a blank text was left out", "messages[0].content[2]: nil was left out", "messages[1].content[0]: a blank text was left out",
				"messages[1]: an empty message was left out", "messages[2]: it was put into the message before, which has the same role"}},
		{"no UTF-8", []Message{User("a\xffb")}, []Message{User("a\uFFFDb")}, []string{"messages[0].content[0]: bytes that are not UTF-8 were replaced"}},
		{"result without a use", []Message{user(result("t0", "old"), Text("a")), Assistant("b"), User("c")}, []Message{User("a"), Assistant("b"), User("c")},
			[]string{`messages[0].content[0]: the result for "t0" was left out: there is no such tool use in the message before`}},
		{"only a result without a use", []Message{user(result("t0", "old")), Assistant("b"), User("c")}, []Message{User("c")},
			[]string{`messages[0].content[0]: the result for "t0" was left out: there is no such tool use in the message before`, "messages[0]: an empty message was left out",
				"messages[1]: a message of the assistant before the first of the user was left out"}},
		{"uses without results", []Message{User("a"), assistant(use("t1"), use("t2")), user(result("t2", "two"), Text("b"))},
			[]Message{User("a"), assistant(use("t1"), use("t2")), user(result("t2", "two"), interrupted("t1"), Text("b"))},
			[]string{`messages[1].content[0]: the tool use "t1" got a result that says that there is none`}},
		{"use at the end", []Message{User("a"), assistant(Reasoning{Text: "hm", Signature: "s"}, use("t1"))},
			[]Message{User("a"), assistant(Reasoning{Text: "hm", Signature: "s"}, use("t1")), user(interrupted("t1"))},
			[]string{`messages[1].content[1]: the tool use "t1" got a result that says that there is none`}},
		{"results in two messages", []Message{User("a"), assistant(use("t1"), use("t2")), user(result("t1", "one")), user(result("t2", "two"))},
			[]Message{User("a"), assistant(use("t1"), use("t2")), user(result("t1", "one"), result("t2", "two"))},
			[]string{"messages[3]: it was put into the message before, which has the same role"}},
		{"text before the result", []Message{User("a"), assistant(use("t1")), user(Text("b"), result("t1", "one"))},
			[]Message{User("a"), assistant(use("t1")), user(result("t1", "one"), Text("b"))}, []string{"messages[2]: the results of tools were put first"}},
		{"made-up tool name", []Message{User("a"), assistant(ToolUse{ID: "t 1", Name: "shop.search()", Input: json.RawMessage(`{}`)}), user(result("t 1", "none"))},
			[]Message{User("a"), assistant(ToolUse{ID: "t_1", Name: "shop_search__", Input: json.RawMessage(`{}`)}), user(result("t_1", "none"))},
			[]string{"messages[1].content[0]: the tool's name was made legal", "messages[1].content[0]: the tool use's id was made legal", "messages[2].content[0]: the tool use's id was made legal"}},
		{"same id twice", []Message{User("a"), assistant(use("t1"), use("t1")), user(result("t1", "one"), result("t1", "again"))},
			[]Message{User("a"), assistant(use("t1")), user(result("t1", "one"))},
			[]string{`messages[1].content[1]: a copy of the tool use "t1" was left out`, `messages[2].content[1]: a second result for "t1" was left out`}},
		{"same id of two calls", []Message{User("a"), assistant(use("t1"), other("t1")), user(result("t1", "one"), result("t1", "two"))},
			[]Message{User("a"), assistant(use("t1"), other("t1-2")), user(result("t1", "one"), result("t1-2", "two"))},
			[]string{`messages[1].content[1]: a second tool use with the id "t1" got the id "t1-2"`}},
		{"same id in two messages", []Message{User("a"), assistant(use("t1")), user(result("t1", "one")), assistant(use("t1")), user(result("t1", "two"))},
			[]Message{User("a"), assistant(use("t1")), user(result("t1", "one")), assistant(use("t1-2")), user(result("t1-2", "two"))},
			[]string{`messages[3].content[0]: a second tool use with the id "t1" got the id "t1-2"`}},
		{"error without content", []Message{User("a"), assistant(use("t1")), user(ToolResult{ToolUseID: "t1", Status: ToolError, Content: Contents{Text(" ")}})},
			[]Message{User("a"), assistant(use("t1")), user(ToolResult{ToolUseID: "t1", Status: ToolError, Content: Contents{Text("The tool failed.")}})},
			[]string{"messages[2].content[0]: the error got a text"}},
		{"wrong roles", []Message{user(Text("a"), Reasoning{Text: "r"}, use("t1")), assistant(Text("b"), ToolResult{ToolUseID: "t1", Content: Contents{JSON(`{"n":1}`)}}), User("c")},
			[]Message{user(Text("a"), Text(`[called the tool search with {"q":"x"}]`)), assistant(Text("b"), Text("[the tool returned]"), Text("```json\n{\"n\":1}\n```")), User("c")},
			[]string{"messages[0].content[1]: reasoning in a message of the user was left out", "messages[0].content[2]: a tool use became a text, as it was in a message of the wrong role",
				"messages[1].content[1]: a tool's result became a text, as it was in a message of the wrong role"}},
		{"document names", []Message{user(Text("a"), Document{Name: "John's list.pdf", Bytes: data}, Document{Name: "a", Bytes: data}), Assistant("b"), user(Text("c"), Document{Name: "a", Bytes: data})},
			[]Message{user(Text("a"), Document{Name: "John s list pdf", Bytes: data}, Document{Name: "a", Bytes: data}), Assistant("b"), user(Text("c"), Document{Name: "a (2)", Bytes: data})},
			[]string{"messages[0].content[1]: the document's name was made legal", "messages[2].content[1]: the document got a name of its own"}},
		{"cache points", []Message{user(CachePoint{}, Text("a"), CachePoint{}, Document{Format: "csv", Name: "d", Bytes: data}, CachePoint{}), assistant(Text("b"), Reasoning{Text: "r", Signature: "s"}, CachePoint{}), User("c")},
			[]Message{user(Text("a"), CachePoint{}, Document{Format: "csv", Name: "d", Bytes: data}), assistant(Text("b"), CachePoint{}, Reasoning{Text: "r", Signature: "s"}), User("c")},
			[]string{"messages[0].content[0]: a cache point with nothing before it was left out", "messages[0].content[4]: a cache point was left out, which the service does not take here",
				"messages[1].content[2]: a cache point was put before blocks that it may not follow"}},
		{"too many cache points", []Message{user(Text("1"), CachePoint{}, Text("2"), CachePoint{}, Text("3"), CachePoint{}, Text("4"), CachePoint{}, Text("5"), CachePoint{TTL: "1h"})},
			[]Message{user(Text("1"), Text("2"), CachePoint{}, Text("3"), CachePoint{}, Text("4"), CachePoint{}, Text("5"), CachePoint{})},
			[]string{"messages[0].content[1]: a cache point was left out: 4 are allowed", "messages[0].content[9]: the TTL of a cache point became the default one"}},
		{"white space at the end", []Message{User("a"), Assistant("It is \n")}, []Message{User("a"), Assistant("It is")},
			[]string{"messages[1].content[0]: white space was cut off the end of the answer that the model is to go on with"}},
		{"system message between use and result", []Message{User("a"), assistant(use("t1")), {RoleSystem, Contents{Text("s")}}, user(result("t1", "one"))},
			[]Message{User("a"), assistant(use("t1")), user(result("t1", "one")), {RoleSystem, Contents{Text("s")}}},
			[]string{"messages[2]: it was put behind the results of the tool uses before it"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			given := Request{Model: "us.anthropic.claude-haiku-4-5-20251001-v1:0", Messages: tt.given, Tools: []ToolSpec{searchTool}}
			if slices.ContainsFunc(tt.given, func(m Message) bool { return m.Role == RoleSystem }) {
				given.Model = "us.anthropic.claude-opus-4-8" // one that takes them
			}
			before := deepCopy(given)
			got, changes := Repair(given)
			assert.Equal(t, tt.want, got.Messages)
			var said []string
			for _, c := range changes {
				said = append(said, c.String())
			}
			assert.Equal(t, tt.changes, said)
			assert.Equal(t, before, given, "the caller's slices stay as they are")
			assert.NoError(t, Preflight(got))
		})
	}
}

// A history with tool blocks and no tools becomes texts, so that the model
// knows what they said and calls nothing.
func TestRepairWithoutTools(t *testing.T) {
	got, changes := Repair(Request{Messages: []Message{
		User("a"), {RoleAssistant, Contents{Text("Let me look."), use("t1")}},
		UserContent(ToolResult{ToolUseID: "t1", Status: ToolError, Content: Contents{Text("broken"), Image{Format: "png", Bytes: []byte("x")}}}),
	}})
	assert.Equal(t, []Message{
		User("a"), {RoleAssistant, Contents{Text("Let me look."), Text(`[called the tool search with {"q":"x"}]`)}},
		UserContent(Text("[the tool failed]"), Text("broken"), Image{Format: "png", Bytes: []byte("x")}),
	}, got.Messages)
	assert.Len(t, changes, 2)
	assert.NoError(t, Preflight(got))
}

func TestRepairOfSystemAndTools(t *testing.T) {
	tools := []ToolSpec{searchTool}
	tools[0].CachePoint = &CachePoint{}
	given := Request{Model: "us.amazon.nova-pro-v1:0", Messages: []Message{User("a")}, Tools: tools, System: Contents{CachePoint{}, Text(""), Text("s"), CachePoint{TTL: "1h"}}}
	got, changes := Repair(given)
	assert.Len(t, changes, 4)
	assert.Equal(t, Contents{Text("s"), CachePoint{}}, got.System)
	assert.Nil(t, got.Tools[0].CachePoint)
	assert.NotNil(t, tools[0].CachePoint, "the caller's")
	assert.NoError(t, Preflight(got))
}

func deepCopy(r Request) Request { return copyValue(reflect.ValueOf(r)).Interface().(Request) }

// copyValue copies a value with all that it points to.
func copyValue(v reflect.Value) reflect.Value {
	out := reflect.New(v.Type()).Elem()
	switch v.Kind() {
	case reflect.Slice:
		if !v.IsNil() {
			out.Set(reflect.MakeSlice(v.Type(), v.Len(), v.Len()))
			for i := range v.Len() {
				out.Index(i).Set(copyValue(v.Index(i)))
			}
		}
	case reflect.Map:
		if !v.IsNil() {
			out.Set(reflect.MakeMap(v.Type()))
			for _, key := range v.MapKeys() {
				out.SetMapIndex(key, copyValue(v.MapIndex(key)))
			}
		}
	case reflect.Pointer:
		if !v.IsNil() {
			out.Set(reflect.New(v.Type().Elem()))
			out.Elem().Set(copyValue(v.Elem()))
		}
	case reflect.Interface:
		if !v.IsNil() {
			out.Set(copyValue(v.Elem()))
		}
	case reflect.Struct:
		for i := range v.NumField() {
			out.Field(i).Set(copyValue(v.Field(i)))
		}
	default:
		out.Set(v)
	}
	return out
}

// checkRepair holds a repair against what Repair promises, and against the fake.
func checkRepair(t *testing.T, takes func(Request) (bool, string), r Request) {
	t.Helper()
	before := deepCopy(r)
	got, changes := Repair(r)
	require.Equal(t, before, r, "the caller's request stays as it is")

	var left *PreflightError
	if err := Preflight(got); errors.As(err, &left) {
		for _, p := range left.Problems {
			require.False(t, p.fixes, "%s is left after %s in %+v", p, changes, before)
		}
	}
	again, more := Repair(got)
	require.Empty(t, more)
	require.Equal(t, got, again)
	if preflightStream(got) == nil {
		taken, said := takes(got)
		require.True(t, taken, "%s\nafter %s in %+v", said, changes, before)
	}

	var found *PreflightError
	errors.As(Preflight(r), &found)
	if found == nil {
		require.Empty(t, changes)
		require.Equal(t, r, got)
		return
	}
	for _, p := range found.Problems {
		if !p.fixes {
			return
		}
	}
	// All of it was Repair's to fix: what can be left is that too little or
	// too much is left in a message.
	require.NotEmpty(t, changes)
	if left != nil {
		for _, p := range left.Problems {
			leftOver := false
			for _, text := range []string{"it is empty", "no message of the user", "a document and no text", "images", "the request's document number", "goes on with no answer"} {
				leftOver = leftOver || strings.Contains(p.Text, text)
			}
			require.True(t, leftOver, "%s is left after %s in %+v", p, changes, before)
		}
	}
}

func TestRepairKeepsItsPromises(t *testing.T) {
	takes := newOracle(t)
	for r := range randomRequests(1500) {
		checkRepair(t, takes, r)
	}
}

func FuzzRepair(f *testing.F) {
	f.Add([]byte(nil))
	f.Add([]byte{0, 4, 0, 0, 15, 3, 7, 11})
	takes := newOracle(f)
	f.Fuzz(func(t *testing.T, data []byte) { checkRepair(t, takes, (&choices{data}).request()) })
}

// A cache point that a model does not take is left out before the end of the
// answer is looked at.
func TestRepairOfABegunAnswerBeforeACachePoint(t *testing.T) {
	r := Request{Model: "anthropic.claude-3-opus-20240229-v1:0", Messages: []Message{User("a"), {RoleAssistant, Contents{Text("hi "), CachePoint{}}}}}
	repaired, _ := Repair(r)
	assert.Equal(t, []Message{User("a"), Assistant("hi")}, repaired.Messages)
	checkRepair(t, newOracle(t), r)
}

// The names that are taken are not tried anew for each document.
func TestRepairOfManyNames(t *testing.T) {
	const many = 10_000
	r := Request{Model: "us.amazon.nova-lite-v1:0", Messages: []Message{UserContent(Text("Read."))}}
	for range many {
		r.Messages[0].Content = append(r.Messages[0].Content, Document{Format: "pdf", Name: "d", Bytes: []byte("x")})
	}
	repaired, changes := Repair(r)
	assert.Len(t, changes, many-1)
	assert.Equal(t, fmt.Sprintf("d (%d)", many), repaired.Messages[0].Content[many].(Document).Name)
}
