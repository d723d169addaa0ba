package anthropic

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// What is written in one pass is what encoding/json writes.
func FuzzPlainRequest(f *testing.F) {
	f.Add("Be brief.", "Who wrote \"Berserk\"?\n", "三浦建太郎\u2028\x00\xff<&>", 100)
	f.Add("", "\b\f\t\\", "\u2029é", 0)
	f.Fuzz(func(t *testing.T, system, user, assistant string, maxTokens int) {
		r := Request{AnthropicVersion: Version, MaxTokens: maxTokens, Messages: []Message{User(user), Assistant(assistant), User(user)}}
		if system != "" {
			r.System = Text(system)
		}
		got, ok := r.appendPlain(nil)
		if !ok {
			return
		}
		r.Extra = nil
		want, err := r.marshal()
		require.NoError(t, err)
		assert.Equal(t, string(want), string(got))
	})
}

func TestPlainRequest(t *testing.T) {
	r := Request{AnthropicVersion: Version, MaxTokens: 9, System: Text("Be brief."), Messages: []Message{User("尾田\n\"栄一郎\"?")}}
	got, ok := r.appendPlain(nil)
	require.True(t, ok)
	want, err := r.marshal()
	require.NoError(t, err)
	assert.Equal(t, string(want), string(got))
	hot := 0.5
	r.Temperature = &hot
	_, ok = r.appendPlain(nil)
	assert.False(t, ok)
}
