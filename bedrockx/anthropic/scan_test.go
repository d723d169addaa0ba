package anthropic

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var plainAnswer = fmt.Sprintf(`{"id":"msg_01","type":"message","role":"assistant","model":"claude","content":[{"type":"text","text":%q},{"type":"text","text":"\u3042\n","citations":null}],`+
	`"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":10,"cache_creation_input_tokens":3,"cache_read_input_tokens":2,"cache_creation":{"ephemeral_5m_input_tokens":1,"ephemeral_1h_input_tokens":2},"output_tokens":250,"service_tier":"standard"}}`,
	strings.Repeat("One Piece follows Luffy and his crew. ", 27))

func TestScan(t *testing.T) {
	var resp Response
	require.True(t, resp.scan([]byte(plainAnswer)))
	for _, body := range []string{
		``, `[]`, `{`, plainAnswer + "x", `{"content":[{"type":"tool_use"}]}`, `{"content":[{"text":"a"}]}`, `{"content":[{"type":"text","text":"a","new":1}]}`,
		`{"new":null}`, `{"ID":"x"}`, `{"usage":{"input_tokens":-1}}`, `{"usage":{"input_tokens":1.5}}`, `{"usage":{"cache_creation":{"ephemeral_2h_input_tokens":1}}}`,
		`{"id":5}`, `{"id":"\ud800"}`, `{"content":[{"type":"text","text":"a","citations":[]}]}`, `{"usage":{"new":1}}`,
	} {
		assert.False(t, resp.scan([]byte(body)), body)
	}
}

// What the scan takes, encoding/json reads the same way.
func FuzzScan(f *testing.F) {
	f.Add([]byte(plainAnswer))
	f.Add([]byte(`{"content":[],"stop_reason":"end_turn","stop_sequence":"END"}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		var fast, slow Response
		if !fast.scan(body) {
			return
		}
		require.NoError(t, json.Unmarshal(body, (*plainResponse)(&slow)))
		assert.Equal(t, slow, fast)
	})
}

func BenchmarkDecode(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, _, _, err := (Request{}).DecodeInvoke(json.RawMessage(plainAnswer)); err != nil {
			b.Fatal(err)
		}
	}
}
