package bedrockkit

import (
	"encoding/json"
	"fmt"
)

// Usage counts what a call used, in disjoint buckets: a token is in exactly one of
// them. The zero value means that nothing was used.
//
// Bedrock's inputTokens do not include what was read from and written to the prompt
// cache. For the whole input, use [Usage.TotalInput].
type Usage struct {
	InputTokens         int64 `json:"input_tokens"`
	OutputTokens        int64 `json:"output_tokens"`
	CacheReadTokens     int64 `json:"cache_read_tokens,omitempty"`
	CacheWrite5mTokens  int64 `json:"cache_write_5m_tokens,omitempty"`  // written with the default TTL of five minutes
	CacheWrite30mTokens int64 `json:"cache_write_30m_tokens,omitempty"` // written with a TTL of thirty minutes
	CacheWrite1hTokens  int64 `json:"cache_write_1h_tokens,omitempty"`  // written with a TTL of one hour

	// Unknown means that the service did not report the usage, for example because a
	// stream ended without its metadata. The counts are then a lower bound, and must
	// not be used for a price.
	Unknown bool `json:"unknown,omitempty"`
}

// Add returns the sum of two usages. It is Unknown if either of them is.
func (u Usage) Add(v Usage) Usage {
	return Usage{
		InputTokens:         u.InputTokens + v.InputTokens,
		OutputTokens:        u.OutputTokens + v.OutputTokens,
		CacheReadTokens:     u.CacheReadTokens + v.CacheReadTokens,
		CacheWrite5mTokens:  u.CacheWrite5mTokens + v.CacheWrite5mTokens,
		CacheWrite30mTokens: u.CacheWrite30mTokens + v.CacheWrite30mTokens,
		CacheWrite1hTokens:  u.CacheWrite1hTokens + v.CacheWrite1hTokens,
		Unknown:             u.Unknown || v.Unknown,
	}
}

// TotalInput returns the whole input in tokens: fresh, read from the prompt cache and
// written to it.
func (u Usage) TotalInput() int64 {
	return u.InputTokens + u.CacheReadTokens + u.CacheWrite5mTokens + u.CacheWrite30mTokens + u.CacheWrite1hTokens
}

// Total returns the whole input and the output in tokens.
func (u Usage) Total() int64 { return u.TotalInput() + u.OutputTokens }

// ServiceTier is the tier that serves a request. Source: ServiceTier of the Converse
// API reference. A request can ask for "reserved", and a response says which tier
// served it.
type ServiceTier string

// The service tiers. The empty tier is the standard one.
const (
	TierStandard ServiceTier = "default"
	TierPriority ServiceTier = "priority"
	TierFlex     ServiceTier = "flex"
	TierReserved ServiceTier = "reserved"

	// TierOptimized is latency-optimized inference. A request asks for it with its
	// performance configuration, not with its service tier. It is a tier here because
	// it has its own prices; see [ServedTier].
	TierOptimized ServiceTier = "optimized"
)

// Latency says how a request is served: LatencyOptimized is faster and has its own
// prices. With the zero value, the service uses standard. Source:
// PerformanceConfiguration of the Converse API reference.
type Latency string

// The latencies.
const (
	LatencyStandard  Latency = "standard"
	LatencyOptimized Latency = "optimized"
)

// ServedTier returns the tier that served a response, from its service tier and its
// latency (performanceConfig). Both may be empty. If the service has no room for
// "optimized", it answers with the latency "standard" and bills that. If another tier
// than the standard tier was also optimized, the name has both, such as
// "priority+optimized"; no price of such a tier is known. Source: Amazon Bedrock User
// Guide, "Optimize model inference for latency", 2026-11.
func ServedTier(tier ServiceTier, latency Latency) ServiceTier {
	switch {
	case latency != LatencyOptimized:
		return tier
	case tier == "" || tier == TierStandard:
		return TierOptimized
	}
	return tier + "+" + TierOptimized
}

// ParseConverseUsage reads the usage object of a Converse response or of a
// ConverseStream metadata event (API reference, TokenUsage). Cache writes without a
// TTL count as written for five minutes, the default.
//
// inputTokens do not include what was read from and written to the prompt cache,
// except for OpenAI's models. The total shows which it is.
func ParseConverseUsage(data []byte) (Usage, error) {
	var v struct {
		InputTokens           *int64 `json:"inputTokens"`
		OutputTokens          int64  `json:"outputTokens"`
		TotalTokens           int64  `json:"totalTokens"`
		CacheReadInputTokens  int64  `json:"cacheReadInputTokens"`
		CacheWriteInputTokens int64  `json:"cacheWriteInputTokens"`
		CacheDetails          []struct {
			TTL         string `json:"ttl"`
			InputTokens int64  `json:"inputTokens"`
		} `json:"cacheDetails"`
	}
	if err := json.Unmarshal(data, &v); err != nil {
		return Usage{Unknown: true}, fmt.Errorf("reading usage: %w", err)
	}
	if v.InputTokens == nil {
		return Usage{Unknown: true}, nil
	}
	u := Usage{
		InputTokens:        *v.InputTokens,
		OutputTokens:       v.OutputTokens,
		CacheReadTokens:    v.CacheReadInputTokens,
		CacheWrite5mTokens: v.CacheWriteInputTokens,
	}
	for _, d := range v.CacheDetails {
		switch d.TTL {
		case "1h":
			u.CacheWrite1hTokens += d.InputTokens
		case "30m":
			u.CacheWrite30mTokens += d.InputTokens
		}
	}
	u.CacheWrite5mTokens -= u.CacheWrite30mTokens + u.CacheWrite1hTokens
	if v.TotalTokens != 0 && v.TotalTokens == u.InputTokens+u.OutputTokens {
		u.InputTokens -= v.CacheReadInputTokens + v.CacheWriteInputTokens
	}
	return u.counted()
}

// counted refuses counts that cannot be.
func (u Usage) counted() (Usage, error) {
	const most = 1e15 // far beyond any request, and no sum of six overflows
	for _, n := range []int64{u.InputTokens, u.OutputTokens, u.CacheReadTokens, u.CacheWrite5mTokens, u.CacheWrite30mTokens, u.CacheWrite1hTokens} {
		if n < 0 || n > most {
			return Usage{Unknown: true}, fmt.Errorf("reading usage: a count of %d, or parts that are more than their whole", n)
		}
	}
	return u, nil
}
