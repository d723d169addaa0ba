package bedrockx

import (
	"context"
	"fmt"
	"maps"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/pricing"
)

// CacheReason says why a cache did not answer a call, or did not keep an answer.
type CacheReason string

// The reasons.
const (
	CacheAbsent      CacheReason = "absent"      // there is no entry, or it has expired
	CacheCorrupt     CacheReason = "corrupt"     // the entry cannot be read
	CacheForm        CacheReason = "form"        // the entry cannot be converted to the form of the call
	CacheUnavailable CacheReason = "unavailable" // the store failed
	CacheFresh       CacheReason = "fresh"       // the caller wanted a new answer
	CacheTemperature CacheReason = "temperature" // it is above 0 or unset
	CacheRequest     CacheReason = "request"     // the request has no key: its body is unknown or ambiguous
	CacheIncomplete  CacheReason = "incomplete"  // the model did not finish the answer
	CacheToolUse     CacheReason = "tool_use"    // the answer asks for tools
	CacheOutside     CacheReason = "outside"     // the answer depends on something outside the request that may change
	CacheTooLarge    CacheReason = "too_large"   // the answer is larger than MaxBytes, or than the store takes
	CacheFailed      CacheReason = "failed"      // there was no answer
)

// CacheStats counts what a cache did since it was made.
type CacheStats struct {
	Hits    uint64                 `json:"hits"`              // answers that were returned again
	Stale   uint64                 `json:"stale,omitempty"`   // hits after the TTL
	Similar uint64                 `json:"similar,omitempty"` // hits of a question that means the same
	Shared  uint64                 `json:"shared"`            // answers shared with an equal call that was running
	Misses  map[CacheReason]uint64 `json:"misses"`            // calls that the cache could not answer
	Kept    uint64                 `json:"kept"`              // answers that were stored
	Unkept  map[CacheReason]uint64 `json:"unkept"`            // answers that were not

	// Saved is what hits and shared answers would have cost, in US dollars, and
	// SavedUsage what they would have used. Unpriced counts answers of unknown cost,
	// which are not in Saved.
	Saved      pricing.Amount   `json:"saved"`
	SavedUsage bedrockkit.Usage `json:"saved_usage"`
	Unpriced   uint64           `json:"unpriced,omitempty"`

	InFlight   int `json:"in_flight"`  // running calls that others may share
	Refreshing int `json:"refreshing"` // those of them that run in the background
}

// HitRatio returns the share of calls that cost nothing, from 0 to 1.
func (s CacheStats) HitRatio() float64 {
	answered := s.Hits + s.Shared
	all := answered
	for _, n := range s.Misses {
		all += n
	}
	if all == 0 {
		return 0
	}
	return float64(answered) / float64(all)
}

// Stats returns a snapshot.
func (c *Cache) Stats() CacheStats {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.stats
	s.Misses, s.Unkept = maps.Clone(s.Misses), maps.Clone(s.Unkept)
	s.InFlight, s.Refreshing = len(c.flights), len(c.refreshing)
	return s
}

func (c *Cache) missed(why CacheReason) {
	c.mu.Lock()
	c.stats.Misses[why]++
	c.mu.Unlock()
}

func (c *Cache) unkept(why CacheReason) {
	c.mu.Lock()
	c.stats.Unkept[why]++
	c.mu.Unlock()
}

// given says why a call has an answer without asking the service for it.
type given int

const (
	givenHit     given = iota // it was kept
	givenStale                // it was kept, and is past its TTL
	givenSimilar              // it was kept, of a question that means the same
	givenShared               // it is that of an equal call that was under way
)

// saved counts an answer that was not paid for; k is nil where it is not known
// what it took.
func (c *Cache) saved(call *Call, k *kept, how given) {
	c.mu.Lock()
	s := &c.stats
	switch how {
	case givenShared:
		s.Shared++
	case givenStale:
		s.Hits++
		s.Stale++
	case givenSimilar:
		s.Hits++
		s.Similar++
	default:
		s.Hits++
	}
	if k == nil {
		k = &kept{model: call.Model, usage: bedrockkit.Usage{Unknown: true}}
	}
	usage := k.usage
	usage.Unknown = false
	s.SavedUsage = s.SavedUsage.Add(usage)
	s.Saved = s.Saved.Add(k.cost)
	if !k.priced {
		s.Unpriced++
	}
	c.mu.Unlock()
	if ledger := c.options.Ledger; ledger != nil {
		err := ledger.Add(pricing.Entry{Tenant: call.Options.Tenant, Model: k.model, Usage: k.usage, Cost: k.cost, Unpriced: !k.priced})
		if err != nil {
			c.options.OnError(context.WithoutCancel(call.ctx), fmt.Errorf("cache: entering what a hit has saved: %w", err))
		}
	}
}
