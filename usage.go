package bedrockkit

import (
	"encoding/json"
	"fmt"
)

// Usage counts what a call used, in disjoint buckets: a token is in exactly
// one of them. The zero value says that nothing was used.
//
// Bedrock's inputTokens exclude what was read from and written to the prompt
// cache, so the whole input is [Usage.TotalInput].
type Usage struct {
	InputTokens         int64 `json:"input_tokens"`
	OutputTokens        int64 `json:"output_tokens"`
	CacheReadTokens     int64 `json:"cache_read_tokens,omitempty"`
	CacheWrite5mTokens  int64 `json:"cache_write_5m_tokens,omitempty"`  // written with the default TTL of five minutes
	CacheWrite30mTokens int64 `json:"cache_write_30m_tokens,omitempty"` // written with a TTL of thirty minutes
	CacheWrite1hTokens  int64 `json:"cache_write_1h_tokens,omitempty"`  // written with a TTL of one hour

	// Unknown says that the service did not tell the usage, as when a stream
	// ends without its metadata. The counts are then a lower bound, and
	// nothing may be priced by them.
	Unknown bool `json:"unknown,omitempty"`
}

// Add returns the sum of two usages. It is unknown if either is.
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

// TotalInput is the whole input in tokens: fresh, read from the prompt cache
// and written to it.
func (u Usage) TotalInput() int64 {
	return u.InputTokens + u.CacheReadTokens + u.CacheWrite5mTokens + u.CacheWrite30mTokens + u.CacheWrite1hTokens
}

// Total is the whole input and the output in tokens.
func (u Usage) Total() int64 { return u.TotalInput() + u.OutputTokens }

// ServiceTier is the tier that serves a request. Source: ServiceTier of the
// Converse API reference. "reserved" can be asked for, and a response says
// which tier it was served by.
type ServiceTier string

// The service tiers. The empty tier is the standard one.
const (
	TierStandard ServiceTier = "default"
	TierPriority ServiceTier = "priority"
	TierFlex     ServiceTier = "flex"
	TierReserved ServiceTier = "reserved"
)

// ParseConverseUsage reads the usage object of a Converse response or of a
// ConverseStream metadata event (API reference, TokenUsage). Cache writes whose
// TTL it does not tell count as written for five minutes, the default.
func ParseConverseUsage(data []byte) (Usage, error) {
	var v struct {
		InputTokens           *int64 `json:"inputTokens"`
		OutputTokens          int64  `json:"outputTokens"`
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
	if min(u.InputTokens, u.OutputTokens, u.CacheReadTokens, u.CacheWrite5mTokens, u.CacheWrite30mTokens, u.CacheWrite1hTokens) < 0 {
		return Usage{Unknown: true}, fmt.Errorf("reading usage: a count is negative, or cacheDetails hold more than cacheWriteInputTokens")
	}
	return u, nil
}
