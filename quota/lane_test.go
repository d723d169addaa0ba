package quota

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/mangaassist/bedrockkit"
)

// A call is given up early only if it could not go in time even if all that is
// reserved were given back.
func TestTooLateOnlyIfItIsCertain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limiter := &Limiter{}
		l := &Lane{limiter: limiter, quota: Quota{TokensPerMinute: 600}, reserved: 100}
		w, r := &waiter{latest: time.Now().Add(40 * time.Second)}, &Reservation{}
		assert.True(t, l.tooLate(w, r, 51*time.Second), "100 tokens are 10 seconds")
		assert.False(t, l.tooLate(w, r, 50*time.Second))

		l.slowed()
		assert.False(t, l.tooLate(w, r, 51*time.Second), "at a tenth of the rate they are 100")
		time.Sleep(recovery)
		w.latest = time.Now().Add(40 * time.Second)
		assert.True(t, l.tooLate(w, r, 51*time.Second))

		limiter.shared = true
		assert.False(t, l.tooLate(w, r, time.Hour), "nobody knows what others give back")
		r.local = true
		assert.True(t, l.tooLate(w, r, time.Hour))

		l = &Lane{limiter: &Limiter{}, quota: Quota{RequestsPerMinute: 1}}
		assert.True(t, l.tooLate(w, &Reservation{}, 41*time.Second), "requests are not given back")
	})
}

func TestBurndown(t *testing.T) {
	for model, want := range map[string]float64{
		"anthropic.claude-instant-v1":                     1,
		"anthropic.claude-v2:1":                           1,
		"anthropic.claude-3-haiku-20240307-v1:0":          1,
		"us.anthropic.claude-3-5-haiku-20241022-v1:0":     1,
		"us.anthropic.claude-3-7-sonnet-20250219-v1:0":    5,
		"anthropic.claude-opus-4-20250514-v1:0":           5,
		"global.anthropic.claude-haiku-4-5-20251001-v1:0": 5,
		"anthropic.claude-opus-4-7":                       5,
		"anthropic.claude-opus-4-8":                       15,
		"anthropic.claude-sonnet-5":                       10,
		"anthropic.claude-fable-5-1":                      10,
		"global.openai.gpt-5.6-sol":                       10,
		"amazon.nova-lite-v1:0":                           1,
		"meta.llama3-3-70b-instruct-v1:0":                 1,
		"arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude-opus-4-8": 15,
	} {
		l, err := New([]Quota{{Model: bedrockkit.ModelID(model)}})
		if assert.NoError(t, err) {
			assert.Equal(t, want, l.quotas[0].Burndown, model)
		}
	}
}
