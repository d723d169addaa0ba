package bedrocktest

import (
	"maps"
	"time"

	"github.com/mangaassist/bedrockkit"
)

// The prompt cache. A prompt is a list of parts in cache order (tools, system,
// messages); a cache point after a part stands for all parts up to it. What was
// written lives for its TTL, and each read renews it. Source: "Prompt caching
// for faster model inference", Bedrock User Guide.

type cachePart struct {
	kind    string // "tools", "system", or the role of its message
	message int    // the number of its message
	key     uint64
	tokens  int64
	ttl     string // of the cache point after it; empty if there is none
}

// cachePart adds a part. One of a message belongs to the message that is added to
// the conversation after its parts.
func (c *Conversation) cachePart(kind, content string, tokens int64) {
	c.cache = append(c.cache, cachePart{kind: kind, message: len(c.Messages), key: digest(kind, content), tokens: tokens})
}

// cacheMark puts a cache point after the last part.
func (c *Conversation) cacheMark(ttl string) {
	c.cacheMarks = append(c.cacheMarks, ttl)
	if len(c.cache) == 0 {
		return
	}
	if ttl == "" {
		ttl = "5m"
	}
	c.cache[len(c.cache)-1].ttl = ttl
}

func (c *Conversation) cacheControl(control *cacheControl) {
	if control != nil {
		c.cacheMark(control.TTL)
	}
}

type cacheEntry struct {
	ttl     time.Duration
	expires time.Time
}

// cacheLookback is how many parts before a cache point the service looks for a
// longer prefix that it knows, for Claude. Other models match at cache points.
const cacheLookback = 20

// cacheMinimum is the shortest prefix in tokens that a model caches.
func (s *Server) cacheMinimum(model bedrockkit.ModelID) int64 {
	if s.opts.CacheMinTokens > 0 {
		return s.opts.CacheMinTokens
	}
	if n := s.capability(model).PromptCache.MinTokens; n > 0 {
		return int64(n)
	}
	return defaultCacheMinimum
}

// defaultCacheMinimum is the shortest prefix of a model whose own is not known.
const defaultCacheMinimum = 1024

// usageOf counts a request and its answer, and reads and writes the cache.
func (s *Server) usageOf(req *Request, output int64) bedrockkit.Usage {
	u := bedrockkit.Usage{OutputTokens: output}
	if len(req.cacheMarks) == 0 {
		u.InputTokens = req.inputTokens()
		return u
	}
	now := s.opts.Now()
	minimum := s.cacheMinimum(req.Model)
	lookback := 0
	if s.resolve(req.Model).Provider() == "anthropic" {
		lookback = cacheLookback
	}

	// The prefixes: what stands for the parts up to each, and their tokens.
	keys, sums := make([]uint64, len(req.cache)), make([]int64, len(req.cache))
	key, sum := digest(string(req.Model)), int64(0)
	for i, p := range req.cache {
		key = (key^p.key)*0x9E3779B97F4A7C15 + 1
		sum += p.tokens
		keys[i], sums[i] = key, sum
	}

	s.mu.Lock()
	defer s.mu.Unlock()
	hit := -1
	for i := len(req.cache) - 1; i >= 0 && hit < 0; i-- {
		if req.cache[i].ttl == "" {
			continue
		}
		for j := i; j >= 0 && i-j <= lookback; j-- {
			if e, ok := s.cache[keys[j]]; ok && now.Before(e.expires) {
				hit = j
				break
			}
		}
	}
	cached := int64(0)
	if hit >= 0 {
		e := s.cache[keys[hit]]
		e.expires = now.Add(e.ttl)
		s.cache[keys[hit]] = e
		u.CacheReadTokens, cached = sums[hit], sums[hit]
	}
	for i := hit + 1; i < len(req.cache); i++ {
		ttl := req.cache[i].ttl
		if ttl == "" || sums[i] < minimum {
			continue
		}
		n := sums[i] - cached
		cached = sums[i]
		e := cacheEntry{ttl: 5 * time.Minute}
		switch ttl {
		case "1h":
			e.ttl = time.Hour
			u.CacheWrite1hTokens += n
		case "30m":
			e.ttl = 30 * time.Minute
			u.CacheWrite30mTokens += n
		default:
			u.CacheWrite5mTokens += n
		}
		e.expires = now.Add(e.ttl)
		s.cache[keys[i]] = e
		s.forget(now)
	}
	u.InputTokens = sum - cached
	return u
}

// maxCached bounds the prefixes that are remembered, so that a program can run
// for long.
const maxCached = 10_000

// forget drops the prefixes that have expired, when there are many, and all of
// them when that is not enough.
func (s *Server) forget(now time.Time) {
	if len(s.cache) <= maxCached {
		return
	}
	maps.DeleteFunc(s.cache, func(_ uint64, e cacheEntry) bool { return !now.Before(e.expires) })
	if len(s.cache) > maxCached {
		clear(s.cache)
	}
}
