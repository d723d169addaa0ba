package bedrocktest

import (
	"sync"
	"time"

	"github.com/mangaassist/bedrockkit"
)

// A Quota bounds what an account may ask of a model. What is 0 is not bounded.
//
// A request reserves its input, its cached tokens and its maximum of tokens at
// the start; at the end it is settled to input + cache writes + output ×
// Burndown. Source: "How tokens are counted in Amazon Bedrock", User Guide.
type Quota struct {
	RequestsPerMinute int64
	TokensPerMinute   int64
	TokensPerDay      int64

	// Burndown is how many tokens of the quota an output token takes. The
	// default is 1.
	Burndown float64

	// MaxTokens is what a request without a maximum reserves: the most that the
	// model can give. The default is 64,000.
	MaxTokens int64
}

const defaultReserve = 64_000

// A bucket holds what is left of an amount that is renewed over a period.
type bucket struct {
	size, left float64
	period     time.Duration
	at         time.Time
}

func newBucket(size int64, period time.Duration, now time.Time) *bucket {
	return &bucket{size: float64(size), left: float64(size), period: period, at: now}
}

func (b *bucket) refill(now time.Time) {
	if now.Before(b.at) {
		return // a clock that was set back takes nothing away
	}
	if b.size > 0 {
		b.left = min(b.size, b.left+b.size*float64(now.Sub(b.at))/float64(b.period))
	}
	b.at = now
}

func (b *bucket) has(n float64) bool { return b.size <= 0 || b.left >= n }

type account struct {
	quota    Quota
	requests *bucket
	minute   *bucket
	day      *bucket
}

// reserve takes what a request may need from its model's quota. It returns the
// error that Bedrock would give when that is spent, or what settles the
// reservation.
func (s *Server) reserve(req *Request) (*Reply, func(bedrockkit.Usage)) {
	none := func(bedrockkit.Usage) {}
	s.mu.Lock()
	defer s.mu.Unlock()
	key := req.Model
	q, ok := s.opts.Quotas[key]
	if !ok {
		key = s.resolve(req.Model).Base()
		if q, ok = s.opts.Quotas[key]; !ok {
			return nil, none
		}
	}
	now := s.opts.Now()
	a := s.accounts[key]
	if a == nil {
		a = &account{
			quota:    q,
			requests: newBucket(q.RequestsPerMinute, time.Minute, now),
			minute:   newBucket(q.TokensPerMinute, time.Minute, now),
			day:      newBucket(q.TokensPerDay, 24*time.Hour, now),
		}
		s.accounts[key] = a
	}
	for _, b := range []*bucket{a.requests, a.minute, a.day} {
		b.refill(now)
	}
	need := req.MaxTokens
	if need == 0 {
		need = q.MaxTokens
	}
	if need == 0 {
		need = defaultReserve
	}
	reserved := float64(req.inputTokens()) + float64(need)
	switch {
	case !a.requests.has(1):
		return Throttle(), none
	case !a.minute.has(reserved):
		return Error(429, "ThrottlingException", "Too many tokens, please wait before trying again."), none
	case !a.day.has(reserved):
		return Error(429, "ThrottlingException", "Too many tokens per day, please wait before trying again."), none
	}
	a.requests.left--
	a.minute.left -= reserved
	a.day.left -= reserved
	return nil, func(u bedrockkit.Usage) {
		burndown := q.Burndown
		if burndown == 0 {
			burndown = 1
		}
		used := float64(u.TotalInput()-u.CacheReadTokens) + float64(u.OutputTokens)*burndown
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, b := range []*bucket{a.minute, a.day} {
			b.left = min(b.size, b.left+reserved-used)
		}
	}
}

// A Clock is a clock that stands still until it is moved, for [Options.Now].
// Its methods may be called by many goroutines.
type Clock struct {
	mu sync.Mutex
	t  time.Time
}

// NewClock returns a clock that stands at t.
func NewClock(t time.Time) *Clock { return &Clock{t: t} }

// Now is the time at which the clock stands.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

// Advance moves the clock.
func (c *Clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}
