package jsonscan_test

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

// A lone surrogate, which UTF-8 cannot say, is there again when the text that
// it was read into is written.
func TestLoneSurrogates(t *testing.T) {
	for _, quoted := range []string{`"\ud800"`, `"a\udc00b"`, `"\ud800\ud800"`, `"\udfff\ud800"`, `"日\udbff本"`, `"\ud83dx"`} {
		text, end, err := jsonscan.AppendText(nil, []byte(quoted), 0)
		require.NoError(t, err)
		assert.Equal(t, len(quoted), end)
		assert.Equal(t, quoted, string(jsonscan.AppendQuote(nil, string(text))))
		assert.Equal(t, string(text), jsonscan.Unquote([]byte(quoted)))
		assert.True(t, jsonscan.IsText(string(text)))
		assert.False(t, utf8.Valid(text))
		_, ok := jsonscan.AppendString(nil, []byte(quoted[1:len(quoted)-1]))
		assert.False(t, ok, "encoding/json would replace it")
	}
	assert.Equal(t, "😀", jsonscan.Unquote([]byte(`"\ud83d\ude00"`)))
	assert.Equal(t, "\ufffda\xed\xa0\x80", jsonscan.ToText("\xffa\xed\xa0\x80"), "what is no text is replaced, a lone surrogate is not")
	assert.False(t, jsonscan.IsText("\xed\xa0"))
}

func TestDepth(t *testing.T) {
	for n, want := range map[int]bool{9999: true, 10000: true, 10001: false} {
		deep := []byte(strings.Repeat("[", n) + strings.Repeat("]", n))
		assert.Equal(t, want, json.Valid(deep), n)
		assert.Equal(t, want, jsonscan.Valid(deep), n)
	}
}

func TestSkipNothing(t *testing.T) {
	assert.Equal(t, -1, jsonscan.SkipValue(nil, 0, 0))
	assert.Equal(t, -1, jsonscan.SkipNumber(nil, 0))
	assert.Equal(t, -1, jsonscan.SkipString([]byte(`"`), 0))
	_, _, err := jsonscan.AppendText(nil, []byte(`"`), 0)
	assert.Error(t, err)
	assert.Equal(t, 3, jsonscan.SkipSpace([]byte(" \t\n"), 0))
}

// What the lexer takes and finds is what encoding/json takes and finds: values,
// members, and the text of strings.
func FuzzLexer(f *testing.F) {
	for _, seed := range []string{`{"a":[1,-2.5e+10,true,false,null,"x\u00e9\n",{}],"b":{"c":""}}`, ` [ ] `, `"\ud83d\ude00"`, `01`, `1.`, `-`, `1e`, `1E-0`, `{"a":1,}`, `{,}`, `{"a"}`,
		`"\x"`, `"\u12"`, "\"\n\"", `nul`, `truex`, `{"a":1,"a":2}`, "\"\xff\"", `"long text of more than eight bytes \" and on"`, `"\ud800"`, `"日本語\u3042 and more"`, "\"12345678\x1f\""} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		valid := json.Valid(data)
		require.Equal(t, valid, jsonscan.Valid(data), "%q", data)
		s := jsonscan.New(data)
		raw, ok := s.Value()
		require.Equal(t, valid, ok && s.End(), "%q", data)
		if !valid {
			return
		}
		raw = bytes.Clone(raw)
		switch raw[0] {
		case '{', '[':
			members(t, raw)
		case '"':
			text(t, raw)
		case '-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9':
			require.Equal(t, len(raw), jsonscan.SkipNumber(raw, 0))
		}
	})
}

func members(t *testing.T, raw []byte) {
	var names []string
	var values []json.RawMessage
	require.Equal(t, len(raw), jsonscan.Members(raw, 0, 0, func(key, value []byte) {
		values = append(values, value)
		if key != nil {
			text(t, key)
			names = append(names, jsonscan.Unquote(key))
		}
	}))
	if raw[0] == '[' {
		var want []json.RawMessage
		require.NoError(t, json.Unmarshal(raw, &want))
		require.Len(t, values, len(want))
		for i := range want {
			require.Equal(t, string(want[i]), string(values[i]))
		}
		return
	}
	var want map[string]json.RawMessage
	require.NoError(t, json.Unmarshal(raw, &want))
	got := map[string]json.RawMessage{}
	for i, name := range names {
		if !utf8.ValidString(name) {
			return // a lone surrogate, which encoding/json replaces
		}
		got[name] = values[i] // the last one of a name, as in encoding/json
	}
	require.Len(t, got, len(want))
	for name := range want {
		require.Equal(t, string(want[name]), string(got[name]))
	}
}

func text(t *testing.T, quoted []byte) {
	var want string
	require.NoError(t, json.Unmarshal(quoted, &want))
	require.Equal(t, len(quoted), jsonscan.SkipString(quoted, 0))
	said := jsonscan.Unquote(quoted)
	require.True(t, jsonscan.IsText(said), "%q", said)
	exact, end, err := jsonscan.AppendText([]byte("before"), quoted, 0)
	require.Equal(t, utf8.Valid(quoted), err == nil)
	if err == nil {
		require.Equal(t, len(quoted), end)
		require.Equal(t, "before"+said, string(exact))
	}
	if utf8.ValidString(said) {
		require.Equal(t, want, said)
	}
	strict, ok := jsonscan.AppendString(nil, quoted[1:len(quoted)-1])
	require.Equal(t, utf8.Valid(quoted) && utf8.ValidString(said), ok, "%q", quoted)
	if ok {
		require.Equal(t, want, string(strict))
	}
	again := jsonscan.AppendQuote(nil, said)
	require.True(t, json.Valid(again))
	require.Equal(t, said, jsonscan.Unquote(again), "what is written and read is what it was")
}
