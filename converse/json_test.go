package converse

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit/internal/jsonscan"
)

func TestAppendStringIsJSON(t *testing.T) {
	for _, s := range []string{"", "plain", "日本語😀", "\x00\x1f\"\\/\b\f\n\r\t", "bad \xff utf8 \xe3\x81", "<>&\u2028", "12345678\"", "1234567\x1f9", "12345678\x7f\x80", strings.Repeat("é\\", 20)} {
		quoted := appendString(nil, s)
		var got string
		require.NoError(t, json.Unmarshal(quoted, &got), "%q", quoted)
		want, err := json.Marshal(s)
		require.NoError(t, err)
		var same string
		require.NoError(t, json.Unmarshal(want, &same))
		assert.Equal(t, same, got)
	}
}

// Our scanner takes what encoding/json takes, and finds the same in it.
func FuzzJSON(f *testing.F) {
	for _, s := range []string{`{"a":[1,-2.5e+10,true,false,null,"x\u00e9\n",{}],"b":{"c":""}}`, ` [ ] `, `"\ud83d\ude00"`, `01`, `1.`, `-`, `1e`, `{"a":1,}`, `{,}`, `{"a"}`, `"\x"`, `"\u12"`, "\"\n\"", `nul`, `truex`,
		strings.Repeat("[", 9999) + strings.Repeat("]", 9999), strings.Repeat("[", 10001) + strings.Repeat("]", 10001), `{"a":1,"a":2}`, "\"\xff\"", `"long text of more than eight bytes \" and on"`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		require.Equal(t, json.Valid(data), jsonscan.Valid(data), "%q", data)
		data = bytes.TrimSpace(data)
		if all, ok := jsonscan.Entries(data, '{'); ok {
			var want map[string]json.RawMessage
			require.NoError(t, json.Unmarshal(data, &want))
			got := make(map[string]json.RawMessage)
			for _, m := range all {
				got[m.Key] = m.Value // the last one of a name, as in encoding/json
				if !utf8.ValidString(m.Key) {
					return // a lone surrogate, which encoding/json replaces
				}
			}
			require.Equal(t, want, got)
		}
		if all, ok := jsonscan.Entries(data, '['); ok {
			var want []json.RawMessage
			require.NoError(t, json.Unmarshal(data, &want))
			require.Len(t, all, len(want))
			for i := range all {
				require.Equal(t, want[i], all[i].Value)
			}
		}
		quoted := appendString(nil, string(data))
		var got string
		require.NoError(t, json.Unmarshal(quoted, &got))
		text := jsonscan.ToText(string(data))
		require.Equal(t, text, jsonscan.Unquote(quoted), "what is not UTF-8 is replaced, and lone surrogates stay")
		require.True(t, jsonscan.IsText(text))
		if utf8.ValidString(text) {
			require.Equal(t, string([]rune(string(data))), got, "as encoding/json has it")
		}
	})
}
