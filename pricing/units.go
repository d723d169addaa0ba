package pricing

import (
	"slices"

	"github.com/mangaassist/bedrockkit"
)

// Dimension is what a rate counts. Source of the dimensions: the "Amazon
// Bedrock pricing" page.
type Dimension string

// The dimensions. The first six are the buckets of [bedrockkit.Usage]; the
// others are counted in [Units].
const (
	Input         Dimension = "input"           // fresh input tokens; for embedding models all tokens
	Output        Dimension = "output"          // output tokens, reasoning included
	CacheRead     Dimension = "cache_read"      // input tokens read from the prompt cache
	CacheWrite5m  Dimension = "cache_write_5m"  // input tokens written to it for five minutes
	CacheWrite30m Dimension = "cache_write_30m" // input tokens written to it for thirty minutes
	CacheWrite1h  Dimension = "cache_write_1h"  // input tokens written to it for one hour

	Image         Dimension = "image"           // an image made
	VideoSecond   Dimension = "video_second"    // a second of video
	AudioSecond   Dimension = "audio_second"    // a second of audio
	Embedding     Dimension = "embedding"       // a request to an embedding model that is billed by requests
	Query         Dimension = "query"           // a rerank query of up to 100 chunks, see [RerankQueries]
	TextUnit      Dimension = "text_unit"       // a guardrail text unit, see [TextUnits]
	ModelUnitHour Dimension = "model_unit_hour" // provisioned throughput
	CMUMinute     Dimension = "cmu_minute"      // a custom model unit of an imported model

	// 1,000 reserved tokens per minute, for an hour
	ReservedInputTPMHour  Dimension = "reserved_input_tpm_hour"
	ReservedOutputTPMHour Dimension = "reserved_output_tpm_hour"
)

// dimensions lists all in the order of breakdowns; buckets is how many of them
// are counted by bedrockkit.Usage.
var dimensions = [...]Dimension{
	Input, Output, CacheRead, CacheWrite5m, CacheWrite30m, CacheWrite1h,
	Image, VideoSecond, AudioSecond, Embedding, Query, TextUnit,
	ModelUnitHour, CMUMinute, ReservedInputTPMHour, ReservedOutputTPMHour,
}

const buckets = 6

// Dimensions returns all dimensions in the order of a [Breakdown].
func Dimensions() []Dimension { return slices.Clone(dimensions[:]) }

// Units counts what [bedrockkit.Usage] has no bucket for: images, queries,
// seconds, hours. Counts of a token dimension are added to those of the usage.
type Units map[Dimension]int64

// RerankQueries is the number of queries that a rerank request with so many
// document chunks is billed as: one per 100, and at least one. Source:
// "Amazon Bedrock pricing", Rerank.
func RerankQueries(chunks int) int64 { return max(1, (int64(chunks)+99)/100) }

// TextUnits is the number of guardrail text units of a text of so many
// characters: one per 1,000. Source: "Amazon Bedrock pricing", Guardrails.
func TextUnits(characters int) int64 { return (int64(characters) + 999) / 1000 }

func counts(u bedrockkit.Usage) [buckets]int64 {
	return [buckets]int64{u.InputTokens, u.OutputTokens, u.CacheReadTokens, u.CacheWrite5mTokens, u.CacheWrite30mTokens, u.CacheWrite1hTokens}
}
