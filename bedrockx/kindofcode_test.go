package bedrockx_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/mangaassist/bedrockkit/bedrockx"
)

func TestKindOfCode(t *testing.T) {
	for _, c := range []struct {
		code, message string
		want          bedrockx.Kind
	}{
		{"400", "Malformed input request", bedrockx.KindValidation},
		{"400", "Input is too long for requested model.", bedrockx.KindContextOverflow},
		{"ValidationException", "", bedrockx.KindValidation},
		{"429", "", bedrockx.KindThrottled},
		{"ThrottlingException", "Too many tokens per day", bedrockx.KindDailyQuota},
		{"500", "", bedrockx.KindInternal},
		{"modelTimeoutException", "", bedrockx.KindTimeout},
		{"", "", bedrockx.KindUnknown},
		{"Surprise", "", bedrockx.KindUnknown},
	} {
		assert.Equal(t, c.want, bedrockx.KindOfCode(c.code, c.message), c.code)
	}
}
