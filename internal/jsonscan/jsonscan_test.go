package jsonscan_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/mangaassist/bedrockkit/internal/jsonscan"
)

func TestAppendString(t *testing.T) {
	for raw, want := range map[string]string{
		`plain`: "plain", `日本語`: "日本語", `a\nb\t\"\\\/\b\f\r`: "a\nb\t\"\\/\b\f\r",
		`\u0041\u3042`: "Aあ", `\ud83d\ude00`: "😀", `\u00e9`: "é", ``: "",
	} {
		got, ok := jsonscan.AppendString(nil, []byte(raw))
		assert.True(t, ok, raw)
		assert.Equal(t, want, string(got), raw)
	}
	for _, raw := range []string{"\x01", `\x`, `\u12`, `\uzzzz`, `\ud83d`, `\ud83dx`, `\ud83d\u0041`, `\udc00`, "\xff", `a\`, "\xe3\x81"} {
		_, ok := jsonscan.AppendString(nil, []byte(raw))
		assert.False(t, ok, "%q", raw)
	}
}

// What a scan of any shape takes is JSON, with the text that encoding/json reads.
func FuzzScanner(f *testing.F) {
	for _, seed := range []string{`{"a":[{"b":"\u3042"},{}],"c":null,"d":120,"e":false}`, `[]`, `"x"`, ` { "a" : [ 0 , true ] } `} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		s := jsonscan.New(data)
		var value func(depth int) bool
		value = func(depth int) bool {
			if depth > 20 {
				return false
			}
			for _, take := range []func(*jsonscan.Scanner) bool{
				func(s *jsonscan.Scanner) bool {
					return s.Object(func(key []byte) bool { return jsonscan.Plain(key) && value(depth+1) })
				},
				func(s *jsonscan.Scanner) bool { return s.List(func() bool { return value(depth + 1) }) },
				func(s *jsonscan.Scanner) bool {
					raw, ok := s.Str()
					if !ok {
						return false
					}
					text, ok := jsonscan.AppendString(nil, raw)
					if !ok {
						return false
					}
					var want string
					assert.NoError(t, json.Unmarshal([]byte(`"`+string(raw)+`"`), &want))
					assert.Equal(t, want, string(text))
					return true
				},
				(*jsonscan.Scanner).Digits,
				func(s *jsonscan.Scanner) bool { return s.Word("null") },
				func(s *jsonscan.Scanner) bool { return s.Word("true") },
				func(s *jsonscan.Scanner) bool { return s.Word("false") },
			} {
				before := s
				if take(&s) {
					return true
				}
				s = before
			}
			return false
		}
		if value(0) && s.End() {
			assert.True(t, json.Valid(data), "taken: %s", data)
		}
	})
}
