package bedrockx

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The strings of a body, and which of them name members, are those that
// encoding/json reads.
func FuzzJSONStrings(f *testing.F) {
	for _, seed := range []string{
		`{"a":"b","c":["d",{"e" : "f\"g"}],"h\\":"i\\\\","j":{}}`, `["\\\"", "é日本", "a:b"]`, `{"":""}`, `"x"`, "{\"a\"\n\t:\r 1}",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body string) {
		if !json.Valid([]byte(body)) {
			for range jsonStrings([]byte(body)) { // it ends, and does not panic
			}
			scanContent([]byte(body))
			return
		}
		type str struct {
			text string
			key  bool
		}
		var want, got []str
		d := json.NewDecoder(strings.NewReader(body))
		var inObject []bool // and whether a name comes next
		name := false
		for {
			token, err := d.Token()
			if err != nil {
				break
			}
			switch v := token.(type) {
			case json.Delim:
				switch v {
				case '{', '[':
					inObject = append(inObject, v == '{')
					name = v == '{'
				default:
					inObject = inObject[:len(inObject)-1]
					name = len(inObject) > 0 && inObject[len(inObject)-1]
				}
				continue
			case string:
				want = append(want, str{v, name})
			}
			name = len(inObject) > 0 && inObject[len(inObject)-1] && !name
		}
		for raw, key := range jsonStrings([]byte(body)) {
			var text string
			require.NoError(t, json.Unmarshal([]byte(`"`+string(raw)+`"`), &text))
			got = append(got, str{text, key})
		}
		assert.Equal(t, want, got)
		scanContent([]byte(body))
	})
}
