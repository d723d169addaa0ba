package bucket

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

var limits = Limits{Tokens: 6000, Requests: 60}

func TestTakeAndRefill(t *testing.T) {
	var s State
	assert.Zero(t, s.Wait(6000, limits), "the bucket begins full")
	s = s.Take(6000)
	assert.Equal(t, 10*time.Second, s.Wait(1000, limits))
	assert.Equal(t, State{Tokens: 5000, Requests: 0}, s.After(10*time.Second, limits))
	assert.Zero(t, s.After(10*time.Second, limits).Wait(1000, limits))
	assert.Equal(t, State{}, s.After(time.Hour, limits), "no more than full")
	assert.Equal(t, s, s.After(-time.Hour, limits), "a clock that was set back gives nothing")
}

func TestRequestsAreBoundedToo(t *testing.T) {
	s := State{Requests: 60}
	assert.Equal(t, time.Second, s.Wait(1, limits))
	assert.Zero(t, s.Wait(1, Limits{Tokens: 6000}), "0 is no limit")
	assert.Zero(t, State{Tokens: 1e9}.Wait(1e9, Limits{}))
}

func TestSettle(t *testing.T) {
	s := State{}.Take(5000).Settle(-4000)
	assert.EqualValues(t, 1000, s.Tokens)
	s = s.Settle(9000)
	assert.Equal(t, 40*time.Second, s.Wait(0, limits), "more than was there is a debt")
	assert.Zero(t, s.Settle(-1e9).Tokens)
}

func TestMoreThanTheBucketHolds(t *testing.T) {
	assert.Zero(t, State{}.Wait(10_000, limits))
	assert.Equal(t, 10*time.Second, State{Tokens: 1000}.Wait(10_000, limits))
}

func TestThrottled(t *testing.T) {
	s := State{}.Throttled(limits)
	assert.Equal(t, State{Tokens: 3000, Requests: 30, Slow: 0.5}, s)
	for range 10 {
		s = s.Throttled(limits)
	}
	assert.InDelta(t, 0.9, s.Slow, 1e-9, "not below a tenth")

	// Half the rate, which grows by a hundredth each second.
	s = State{Tokens: 6000, Slow: 0.5}
	assert.InDelta(t, 6000-100*0.5*1-0.5, s.After(time.Second, limits).Tokens, 1e-6)
	assert.InDelta(t, 0.4, s.After(10*time.Second, limits).Slow, 1e-9)
	assert.Zero(t, s.After(50*time.Second, limits).Slow)
	assert.InDelta(t, 6000-100*(50*0.75), s.After(50*time.Second, limits).Tokens, 1e-6)
}

// Whoever comes back after Wait is let go, and not much before it; many small
// steps are as one large.
func TestWaitIsExact(t *testing.T) {
	for _, s := range []State{
		{Tokens: 6000}, {Tokens: 6000, Slow: 0.9}, {Tokens: 6000, Slow: 0.5, Requests: 60}, {Tokens: 60_000, Slow: 0.3}, {Requests: 60.5, Slow: 0.01},
	} {
		for _, n := range []float64{1, 100, 1000, 6000} {
			wait := s.Wait(n, limits)
			assert.Positive(t, wait)
			assert.LessOrEqual(t, s.After(wait, limits).Wait(n, limits), time.Microsecond, "%+v", s)
			assert.Positive(t, s.After(wait-time.Millisecond, limits).Wait(n, limits), "%+v", s)
			steps := s
			for range 100 {
				steps = steps.After(wait/100, limits)
			}
			assert.InDelta(t, s.After(wait, limits).Tokens, steps.Tokens, 1e-2, "%+v", s)
		}
	}
}
