package converseform

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit/event"
	"github.com/mangaassist/bedrockkit/internal/jsonscan"
)

type hot struct {
	typ   event.Type
	index int
	raw   []byte
}

func TestScanDelta(t *testing.T) {
	hot := map[string]hot{
		`{"contentBlockIndex":3,"delta":{"text":"Hi"},"p":"abc"}`:                      {event.Text, 3, []byte("Hi")},
		`{"delta":{"text":"\u3042 \"x\" \\"},"contentBlockIndex":0}`:                   {event.Text, 0, []byte(`\u3042 \"x\" \\`)},
		` { "delta" : { "text" : "" } , "contentBlockIndex" : 12 } `:                   {event.Text, 12, []byte{}},
		`{"contentBlockIndex":1,"delta":{"toolUse":{"input":"{\"a\":"}},"p":"abcdef"}`: {event.ToolInput, 1, []byte(`{\"a\":`)},
	}
	for payload, want := range hot {
		typ, index, raw, ok := scanDelta([]byte(payload))
		if assert.True(t, ok, payload) {
			assert.Equal(t, want.typ, typ, payload)
			assert.Equal(t, want.index, index, payload)
			assert.Equal(t, string(want.raw), string(raw), payload)
		}
	}
	for _, payload := range []string{
		``, `{`, `{}`, `[]`, `{"delta":{}}`, `{"delta":{"text":1}}`, `{"delta":{"text":"a"}`, `{"delta":{"text":"a"}}x`,
		`{"delta":{"text":"a"},}`, `{"delta":{"text":"a","other":"b"}}`, `{"delta":{"text":"a","text":"b"}}`,
		`{"delta":{"text":"a"},"contentBlockIndex":-1}`, `{"delta":{"text":"a"},"contentBlockIndex":01}`,
		`{"delta":{"text":"a"},"contentBlockIndex":99999999999}`, `{"delta":{"text":"a"},"new":true}`,
		`{"delta":{"reasoningContent":{"text":"a"}}}`, `{"delta":{"text":"a"},"delta":{"text":"b"}}`,
	} {
		_, _, _, ok := scanDelta([]byte(payload))
		assert.False(t, ok, payload)
	}
}

// What the scanner takes, encoding/json reads the same way.
func FuzzScanDelta(f *testing.F) {
	f.Add([]byte(`{"contentBlockIndex":0,"delta":{"text":"Hello \u3042\n"},"p":"abc"}`))
	f.Add([]byte(`{"contentBlockIndex":1,"delta":{"toolUse":{"input":"{\"a\":"}}}`))
	f.Add([]byte(`{"delta":{"text":"\ud83d\ude00"},"contentBlockIndex":7}`))
	f.Fuzz(func(t *testing.T, payload []byte) {
		typ, index, raw, ok := scanDelta(payload)
		if !ok {
			return
		}
		text, ok := jsonscan.AppendString(nil, raw)
		if !ok {
			return
		}
		var v struct {
			ContentBlockIndex int             `json:"contentBlockIndex"`
			Delta             json.RawMessage `json:"delta"`
		}
		if err := json.Unmarshal(payload, &v); err != nil {
			// A string that nobody looks at, such as the padding, is not
			// unescaped; it can only be wrong there.
			return
		}
		var inner struct {
			Text    string                  `json:"text"`
			ToolUse struct{ Input *string } `json:"toolUse"`
		}
		require.NoError(t, json.Unmarshal(v.Delta, &inner))
		want := inner.Text
		if typ == event.ToolInput {
			want = *inner.ToolUse.Input
		}
		assert.Equal(t, want, string(text))
		assert.Equal(t, v.ContentBlockIndex, index)
	})
}
