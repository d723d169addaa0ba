package family_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/mangaassist/bedrockkit/internal/family"
)

func TestAmong(t *testing.T) {
	assert.NoError(t, family.Among("n", 2, 1, 2, 3))
	assert.EqualError(t, family.Among("n", 4, 1, 2, 3), "n is 4; it is 1, 2 or 3")
	assert.EqualError(t, family.Among("s", "", "a"), `s is ""; it is a`)
}

func TestTextOrParts(t *testing.T) {
	text := func(s string) []int { return []int{len(s)} }
	for data, want := range map[string][]int{`"abc"`: {3}, ` "a\"c"`: {3}, `""`: nil, `[7,8]`: {7, 8}, `[]`: {}, `null`: nil} {
		got, err := family.TextOrParts([]byte(data), text)
		assert.NoError(t, err, data)
		assert.Equal(t, want, got, data)
	}
	for _, data := range []string{``, `"abc`, `{}`, `3`, `["x"]`} {
		_, err := family.TextOrParts([]byte(data), text)
		assert.Error(t, err, data)
	}
}

func TestDataURI(t *testing.T) {
	assert.Equal(t, "data:image/png;base64,AQ==", family.DataURI("image/png", []byte{1}))
}
