package converse

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit/internal/jsonscan"
	"github.com/mangaassist/bedrockkit/stream"
)

// everyContent has every kind of content, each with every field at least once,
// in messages that the service takes.
func everyContent() []Message {
	return []Message{
		{RoleUser, Contents{
			Text("ワンピース <b>&</b> \"quoted\"\n\u2028 \\ \x01"),
			Image{Format: "png", Bytes: []byte{0, 1, 0xFF}},
			Image{Format: "jpeg", S3URI: "s3://bucket/page.jpg", S3Owner: "123456789012"},
			Document{Format: "pdf", Name: "list (1)", Bytes: []byte("%PDF"), Context: "the stock", Citations: true},
			Document{Format: "txt", Name: "far", S3URI: "s3://bucket/key"},
			Document{Name: "near", Text: "as text"},
			Document{Name: "pieces", Chunks: []string{"one", "two"}},
			Video{Format: "mp4", Bytes: []byte{1}},
			Video{Format: "three_gp", S3URI: "s3://bucket/film", S3Owner: "123456789012"},
			Audio{Format: "mp3", Bytes: []byte{2}},
			Audio{Format: "wav", S3URI: "s3://bucket/sound"},
			SearchResult{Source: "https://example.com", Title: "Example", Content: []string{"a", "b"}, Citations: true},
			GuardText{Text: "what is it?", Qualifiers: []Qualifier{QualifierQuery}},
			GuardImage{Format: "png", Bytes: []byte{3}},
			CachePoint{TTL: "1h"},
		}},
		{RoleAssistant, Contents{
			Reasoning{Text: "hm <&>", Signature: "EqMBCkYIBRgCKkA/+=="},
			Redacted{0xDE, 0xAD},
			Text("Let me look."),
			CitedText{Content: []string{"Three copies."}, Citations: []Citation{
				{Title: "list", SourceContent: []string{"3"}, Location: Location{Kind: LocationPage, Index: 0, Start: 1, End: 2}},
				{Location: Location{Kind: LocationChar, Index: 1, Start: 10, End: 20}},
				{Location: Location{Kind: LocationChunk, Index: 3, Start: 0, End: 1}},
				{Source: "https://example.com", Location: Location{Kind: LocationSearchResult, Index: 0, Start: 0, End: 1}},
				{Location: Location{Kind: LocationWeb, URL: "https://example.com", Domain: "example.com"}},
				{Location: Location{Kind: LocationWeb, Domain: "example.com"}},
				{},
			}},
			ToolUse{ID: "tooluse_1", Name: "search", Input: json.RawMessage(`{"n":12345678901234567890,"f":1e400,"s":"\u3042"}`)},
			ToolUse{ID: "tooluse_2", Name: "none", Input: json.RawMessage(`{}`)},
		}},
		{RoleUser, Contents{
			ToolResult{ToolUseID: "tooluse_1", Status: ToolSuccess, Content: Contents{
				JSON(`{"a":[1,2.50]}`), Text("two"), Image{Format: "gif", Bytes: []byte{4}}, Document{Format: "md", Name: "found", Bytes: []byte("#")},
				Video{Format: "mkv", S3URI: "s3://bucket/clip"}, SearchResult{Source: "s", Title: "t", Content: []string{"c"}},
			}},
			ToolResult{ToolUseID: "tooluse_2", Content: Contents{Text("broken")}, Status: ToolError},
			CachePoint{},
			Raw(`{"futureBlock":{"x":[1,{"y":null}]}}`),
		}},
	}
}

func TestHistoryRoundTrip(t *testing.T) {
	history := everyContent()
	first, err := json.Marshal(history)
	require.NoError(t, err)
	var again []Message
	require.NoError(t, json.Unmarshal(first, &again))
	assert.Equal(t, history[0], again[0])
	assert.Equal(t, history[1].Content[0], again[1].Content[0], "the signature, byte for byte")
	assert.Equal(t, history[1].Content[1], again[1].Content[1])
	assert.Equal(t, history[1].Content[3], again[1].Content[3])
	assert.Equal(t, history[2], again[2])
	second, err := json.Marshal(again)
	require.NoError(t, err)
	assert.Equal(t, string(first), string(second))
	assert.Contains(t, string(second), `12345678901234567890`)
	assert.Contains(t, string(second), `1e400`)
}

// What the service may send and this version has no field for is kept as it is.
func TestUnknownContentIsKept(t *testing.T) {
	for _, block := range []string{
		`{"futureBlock":{"format":"mp4","source":{"s3Location":{"uri":"s3://b/k"}}}}`,
		`{"text":"a","citations":[1]}`,
		`{"image":{"format":"png","source":{"bytes":"AA=="},"error":{"message":"m"}}}`,
		`{"image":{"format":"png","source":{}}}`,
		`{"image":{"format":"png","source":{"bytes":"AB=="}}}`,
		`{"image":{"format":"png","source":{"s3Location":{"uri":"s3://b/k","new":"1"}}}}`,
		`{"video":{"format":"mp4","source":{"bytes":"AA==","s3Location":{"uri":"s3://b/k"}}}}`,
		`{"document":{"name":"n","source":{"bytes":"AA=="},"citations":{"enabled":false}}}`,
		`{"document":{"name":"n","source":{"text":""}}}`,
		`{"reasoningContent":{"other":1}}`,
		`{"cachePoint":{"type":"other"}}`,
		`{"guardContent":{"video":{}}}`,
		`{"citationsContent":{"content":[{"text":"a"}],"citations":[{"location":{"documentChar":{"documentIndex":0}}}]}}`,
		`{}`,
		`{"text":null}`,
		`{"text":"a","cachePoint":{"type":"default"}}`,
		`{"Text":"a"}`,
		`{"toolUse":{"toolUseID":"1","name":"n","input":{}}}`,
		`{"json":[1]}`,
		`{"toolUse":{"toolUseId":"1","name":"n","input":[1]}}`,
		`{"toolUse":{"toolUseId":"1","name":"n","type":"server_tool_use","input":{}}}`,
		`{"toolResult":{"toolUseId":"1","content":[1]}}`,
		`{"reasoningContent":{"reasoningText":{"text":"t"},"redactedContent":"AA=="}}`,
	} {
		c, err := decodeContent(json.RawMessage(block), 0)
		require.NoError(t, err, block)
		raw, ok := c.(Raw)
		require.True(t, ok, "%s is %T", block, c)
		assert.Equal(t, block, string(raw))
		out, err := c.appendJSON(nil)
		require.NoError(t, err)
		assert.Equal(t, block, string(out))
	}
	for _, block := range []string{``, `1`, `"text"`, `null`, `[]`, `{"text":`} {
		_, err := decodeContent(json.RawMessage(block), 0)
		assert.Error(t, err, block)
	}
}

func TestBadContentIsRefused(t *testing.T) {
	for name, m := range map[string]Message{
		"nil":                  {RoleUser, Contents{nil}},
		"tool input no object": {RoleAssistant, Contents{ToolUse{ID: "1", Name: "n", Input: json.RawMessage(`[1]`)}}},
		"tool input broken":    {RoleAssistant, Contents{ToolUse{ID: "1", Name: "n", Input: json.RawMessage(`{"a":`)}}},
		"result no object":     {RoleUser, Contents{ToolResult{ToolUseID: "1", Content: Contents{JSON(`1`)}}}},
		"raw broken":           {RoleUser, Contents{Raw(`{`)}},
	} {
		_, err := json.Marshal(m)
		assert.Error(t, err, name)
	}
}

// canonical is JSON without what the round trip may change: space, the way
// that strings are escaped, and optional strings that are empty.
func canonical(t *testing.T, data []byte) any {
	t.Helper()
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	var v any
	require.NoError(t, dec.Decode(&v))
	return withoutEmpty(v)
}

func withoutEmpty(v any) any {
	switch v := v.(type) {
	case []any:
		for i := range v {
			v[i] = withoutEmpty(v[i])
		}
	case map[string]any:
		for key, member := range v {
			if member = withoutEmpty(member); member == "" {
				delete(v, key)
				continue
			}
			if use, ok := member.(map[string]any); ok && key == "toolUse" && (use["input"] == nil || len(use) < 3) {
				use["input"] = map[string]any{} // a tool use without arguments
			}
			v[key] = member
		}
	}
	return v
}

// What is read and written again is the same JSON, and reading that gives the
// same values.
func FuzzHistoryRoundTrip(f *testing.F) {
	history, err := json.Marshal(everyContent())
	require.NoError(f, err)
	f.Add(history)
	for _, m := range everyContent() {
		for _, c := range m.Content {
			one, err := json.Marshal([]Message{{RoleUser, Contents{c}}})
			require.NoError(f, err)
			f.Add(one)
		}
	}
	f.Add([]byte(`[{"role":"assistant","content":[{"toolUse":{"toolUseId":"1","name":"n","input":null}},{"toolUse":{"name":"","toolUseId":""}}]}]`))
	f.Add([]byte(`[{"role":"assistant","content":[{"reasoningContent":{"reasoningText":{"text":"t","signature":""}}},{"new":[1]}]}]`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var messages []Message
		if json.Unmarshal(data, &messages) != nil {
			return
		}
		first, err := json.Marshal(messages)
		require.NoError(t, err, "what could be read can be written")
		for i, m := range canonicalMessages(t, data) {
			require.Less(t, i, len(messages))
			again, err := json.Marshal(messages[i].Content)
			require.NoError(t, err)
			require.Equal(t, m, canonical(t, again), "%s", data)
		}
		var again []Message
		require.NoError(t, json.Unmarshal(first, &again), "%s", first)
		second, err := json.Marshal(again)
		require.NoError(t, err)
		assert.Equal(t, string(first), string(second))
	})
}

// canonicalMessages is the content of each message, as it came.
func canonicalMessages(t *testing.T, data []byte) []any {
	var raw []struct {
		Content json.RawMessage
	}
	require.NoError(t, json.Unmarshal(data, &raw))
	all := make([]any, len(raw))
	for i, m := range raw {
		all[i] = []any{}
		if m.Content != nil && string(m.Content) != "null" {
			all[i] = canonical(t, m.Content)
		}
	}
	return all
}

// A model that calls a tool without arguments may send nothing at all.
// Half of a character is what JSON can hold and UTF-8 cannot.
func TestLoneSurrogatesRoundTrip(t *testing.T) {
	for in, want := range map[string]string{
		`[{"text":"a\ud800b"}]`:                    `[{"text":"a\ud800b"}]`,
		`[{"text":"\udfff"}]`:                      `[{"text":"\udfff"}]`,
		`[{"text":"\ud800\ud800\udc00 \n\u0001"}]`: `[{"text":"\ud800𐀀 \n\u0001"}]`,
		`[{"text":"\uD83D\uDE42 � \ud83d\u0041"}]`: `[{"text":"🙂 � \ud83dA"}]`,
		`[{"text":"\\ud800 \ud83d\\"}]`:            `[{"text":"\\ud800 \ud83d\\"}]`,
		`[{"text":"` + "\xed\xa0\x80" + `"}]`:      `[{"text":"���"}]`, // not JSON's way to say it
	} {
		var c Contents
		require.NoError(t, json.Unmarshal([]byte(in), &c))
		require.IsType(t, Text(""), c[0])
		got, err := c.MarshalJSON()
		require.NoError(t, err)
		assert.Equal(t, want, string(got))
		r := Request{Messages: []Message{{RoleUser, c}}}
		assert.NoError(t, Preflight(r), "the model said it, so it can be sent again")
		repaired, _ := Repair(r)
		assert.Equal(t, r, repaired)
	}
	assert.Equal(t, "�a\xed\xa0\x80", jsonscan.ToText("\xffa\xed\xa0\x80"))
	assert.False(t, jsonscan.IsText("\xed\xa0"))
	assert.True(t, jsonscan.IsText("a\xed\xa0\x80b\xed\xbf\xbf"))
}

func TestToolUseWithoutInput(t *testing.T) {
	for _, input := range []string{`null`, `""`, `{}`} {
		var m Message
		require.NoError(t, json.Unmarshal([]byte(`{"role":"assistant","content":[{"toolUse":{"toolUseId":"1","name":"n","input":`+input+`}}]}`), &m))
		again, err := json.Marshal(m)
		require.NoError(t, err)
		assert.Contains(t, string(again), `"input":{}`)
	}
}

func TestFile(t *testing.T) {
	for _, tt := range []struct {
		name string
		data string
		want Content
	}{
		{"page.PNG", "\x89PNG\x0D\x0A\x1A\x0A", Image{Format: "png", Bytes: []byte("\x89PNG\x0D\x0A\x1A\x0A")}},
		{"page.jpg", "\x89PNG\x0D\x0A\x1A\x0A", Image{Format: "png", Bytes: []byte("\x89PNG\x0D\x0A\x1A\x0A")}},
		{"page.jpg", "what is not known is believed", Image{Format: "jpeg", Bytes: []byte("what is not known is believed")}},
		{"/home/me/John's report #3.pdf", "%PDF", Document{Format: "pdf", Name: "John s report 3", Bytes: []byte("%PDF")}},
		{`C:\docs\a.htm`, "<p>", Document{Format: "html", Name: "a", Bytes: []byte("<p>")}},
		{"film.3gp", "x", Video{Format: "three_gp", Bytes: []byte("x")}},
		{"s3://bucket/a/list.csv", "", Document{Format: "csv", Name: "list", S3URI: "s3://bucket/a/list.csv"}},
		{"s3://bucket/a/b.webp", "", Image{Format: "webp", S3URI: "s3://bucket/a/b.webp"}},
	} {
		var data []byte
		if tt.data != "" {
			data = []byte(tt.data)
		}
		got, err := File(tt.name, data)
		require.NoError(t, err)
		assert.Equal(t, tt.want, got)
	}
	_, err := File("list.exe", []byte("x"))
	assert.ErrorContains(t, err, `".exe"`)
	_, err = File("list.pdf", nil)
	assert.ErrorContains(t, err, "no data")
}

func TestDocumentNamesAreMadeLegal(t *testing.T) {
	for file, want := range map[string]string{
		"report.pdf":               "report",
		"John's  #1 & best.v2.txt": "John s 1 best v2",
		"分기보고서.pdf":                "document",
		".pdf":                     "document",
		"":                         "document",
		"a_b":                      "a b",
		"list (1) [new]-x.md":      "list (1) [new]-x",
		strings.Repeat("ab ", 100): strings.TrimSpace(strings.Repeat("ab ", 67)[:200]),
		"tab\t\tand\nline":         "tab and line",
	} {
		got := DocumentName(file)
		assert.Equal(t, want, got, file)
		assert.True(t, isDocumentName(got), got)
	}
}

// A cited text comes from a stream as it comes in one piece.
func TestStreamedCitations(t *testing.T) {
	c, err := fromBlock(stream.Block{Kind: stream.BlockText, Text: "Three.", Citations: []json.RawMessage{
		json.RawMessage(`{"title":"list","sourceContent":[{"text":"3"}],"location":{"documentPage":{"documentIndex":0,"start":1,"end":2}}}`),
		json.RawMessage(`{"location":{"web":{"url":"https://example.com"}}}`),
	}})
	require.NoError(t, err)
	assert.Equal(t, CitedText{Content: []string{"Three."}, Citations: []Citation{
		{Title: "list", SourceContent: []string{"3"}, Location: Location{Kind: LocationPage, Start: 1, End: 2}},
		{Location: Location{Kind: LocationWeb, URL: "https://example.com"}},
	}}, c)
	assert.Equal(t, "Three.", Message{Content: Contents{c}}.Text())
}

// What a stranger nests is not read level by level.
func TestDeepContentIsReadOnce(t *testing.T) {
	const depth = 3000
	deep := `[` + strings.Repeat(`{"toolResult":{"toolUseId":"a","content":[`, depth) + strings.Repeat(`]}}`, depth) + `]`
	var contents Contents
	require.NoError(t, json.Unmarshal([]byte(deep), &contents))
	inner := contents[0].(ToolResult).Content[0].(ToolResult).Content[0]
	assert.IsType(t, Raw(nil), inner)
	again, err := json.Marshal(contents)
	require.NoError(t, err)
	assert.Equal(t, deep, string(again))
}
