package jsonscan_test

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/mangaassist/bedrockkit/internal/jsonscan"
)

func TestValue(t *testing.T) {
	for in, want := range map[string]string{
		`{"a":[1,"}",{"b":"\"]"}]},"next"`: `{"a":[1,"}",{"b":"\"]"}]}`,
		` [[],{}] `:                        `[[],{}]`,
		`"a\\" x`:                          `"a\\"`,
		`-1.5e3}`:                          `-1.5e3`,
		`null`:                             `null`,
	} {
		s := jsonscan.New([]byte(in))
		raw, ok := s.Value()
		assert.True(t, ok, in)
		assert.Equal(t, want, string(raw))
	}
	for _, in := range []string{``, ` `, `{"a":1`, `["]`, `"a`, `,`} {
		s := jsonscan.New([]byte(in))
		_, ok := s.Value()
		assert.False(t, ok, in)
	}
}

// Of what is JSON, Value takes what encoding/json takes.
func FuzzValue(f *testing.F) {
	f.Add([]byte(`{"a":[1,"}",{"b":"\"]"}]}`))
	f.Add([]byte(`"\\\"" `))
	f.Fuzz(func(t *testing.T, data []byte) {
		s := jsonscan.New(data)
		raw, ok := s.Value()
		var first json.RawMessage
		if json.NewDecoder(bytes.NewReader(data)).Decode(&first) != nil {
			return
		}
		// A literal may be followed by what encoding/json finds only later.
		if first[0] == '{' || first[0] == '[' || first[0] == '"' {
			assert.True(t, ok)
			assert.Equal(t, string(first), string(raw))
		}
	})
}
