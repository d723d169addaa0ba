// Package bucket is the arithmetic of a quota: a token bucket of tokens and one
// of requests, whose rate falls when the service throttles and recovers.
package bucket

import (
	"math"
	"time"
)

// How the rate adapts (additive increase, multiplicative decrease). The stores'
// contract in package bedrockx tells these numbers to users.
const (
	Decrease = 0.5         // what is left of the rate after a throttle
	Floor    = 0.1         // of the whole rate, below which it does not fall
	Recovery = 0.01        // of the whole rate, in a second
	Pause    = time.Second // between one decrease and the next
)

// Limits are what a bucket holds, and gets back in a minute. 0 means no limit.
type Limits struct{ Tokens, Requests float64 }

// A State is what was taken from a quota. The zero value is a full bucket at
// its whole rate.
type State struct {
	Tokens, Requests float64 // taken, and not yet back
	Slow             float64 // the share of the rate that is held back, 0 to 1-Floor
}

// flow is for how long, at the whole rate, a bucket that recovers fills in dt
// seconds.
func (s State) flow(dt float64) float64 {
	ramp := min(dt, s.Slow/Recovery)
	return dt - ramp*s.Slow + ramp*ramp*Recovery/2
}

// until is the inverse of flow.
func (s State) until(flow float64) float64 {
	ramp := s.Slow / Recovery
	if held := ramp * s.Slow / 2; flow >= ramp-held {
		return flow + held
	}
	now := 1 - s.Slow // of the rate
	return (math.Sqrt(now*now+2*Recovery*flow) - now) / Recovery
}

// After is the state when d has passed.
func (s State) After(d time.Duration, l Limits) State {
	dt := max(0, d.Seconds())
	full := s.flow(dt) / 60
	return State{
		Tokens:   max(0, s.Tokens-l.Tokens*full),
		Requests: max(0, s.Requests-l.Requests*full),
		Slow:     max(0, s.Slow-Recovery*dt),
	}
}

// Wait is how long it takes until a request of so many tokens may go, 0 where
// it may now. One of more tokens than the bucket holds may go once it is full.
func (s State) Wait(tokens float64, l Limits) time.Duration {
	lack := max(lacking(s.Tokens, tokens, l.Tokens), lacking(s.Requests, 1, l.Requests))
	if lack <= 0 {
		return 0
	}
	// Rounded up, so that a caller that comes back then need not wait again.
	return time.Duration(math.Ceil(s.until(lack*60)*1e6)) * time.Microsecond
}

// lacking is the part of a minute at the whole rate until n fit.
func lacking(taken, n, limit float64) float64 {
	if limit <= 0 {
		return 0
	}
	return (taken + min(n, limit) - limit) / limit
}

// Take takes a request of so many tokens.
func (s State) Take(tokens float64) State {
	s.Tokens += tokens
	s.Requests++
	return s
}

// Settle takes tokens beyond those that were reserved, or gives some back.
func (s State) Settle(tokens float64) State {
	s.Tokens = max(0, s.Tokens+tokens)
	return s
}

// Throttled is the state after a throttle: half the rate, and half of what was
// thought to be left.
func (s State) Throttled(l Limits) State {
	s.Slow = min(1-Floor, 1-(1-s.Slow)*Decrease)
	s.Tokens = max(s.Tokens, (s.Tokens+l.Tokens)/2)
	s.Requests = max(s.Requests, (s.Requests+l.Requests)/2)
	return s
}
