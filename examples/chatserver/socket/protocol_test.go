package socket

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A frame of text is what encoding/json would write, but for < and its like.
func TestFramesOfText(t *testing.T) {
	for _, text := range []string{"plain", " token12", `"quoted" \ back`, "two\nlines\t\x01", "漫画は", "a < b && c", "cut \xe6\xbc", "\u2028", ""} {
		f := serverFrame{Type: "token", RequestID: "r_1", Sequence: 7, Data: text}
		got, err := f.append([]byte("before"))
		require.NoError(t, err)
		want, err := json.Marshal(f)
		require.NoError(t, err)
		var a, b serverFrame
		require.NoError(t, json.Unmarshal(got[len("before"):], &a), "%s", got)
		require.NoError(t, json.Unmarshal(want, &b))
		assert.Equal(t, b, a)
	}
}
