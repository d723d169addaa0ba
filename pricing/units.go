package pricing

import (
	"slices"

	"github.com/mangaassist/bedrockkit"
)

// Dimension is what a rate counts. Source of the dimensions: the "Amazon
// Bedrock pricing" page and the AWS Price List.
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

	SpeechInput  Dimension = "speech_input"  // input tokens of speech; Input is then text
	SpeechOutput Dimension = "speech_output" // output tokens of speech; Output is then text

	Image            Dimension = "image"              // an image that is embedded, or generated in standard quality with up to 1024 pixels
	ImagePremium     Dimension = "image_premium"      // an image generated in premium quality with up to 1024 pixels
	Image2048        Dimension = "image_2048"         // an image generated in standard quality with up to 2048 pixels
	Image2048Premium Dimension = "image_2048_premium" // an image generated in premium quality with up to 2048 pixels
	DocumentImage    Dimension = "document_image"     // an image of a document that is embedded
	VideoSecond      Dimension = "video_second"       // a second of video that is read, or generated in standard definition
	VideoSecondHD    Dimension = "video_second_hd"    // a second of video generated in high definition
	AudioSecond      Dimension = "audio_second"       // a second of audio
	Embedding        Dimension = "embedding"          // a request to an embedding model that is billed by request
	Query            Dimension = "query"              // a rerank query of up to 100 chunks, see [RerankQueries]

	// Text units of a guardrail, by the policy that read them; see
	// [Guardrails], [TextUnits] and [ParseGuardrailUnits].
	GuardrailContent   Dimension = "guardrail_content"   // content filters
	GuardrailImage     Dimension = "guardrail_image"     // images that content filters read
	GuardrailTopic     Dimension = "guardrail_topic"     // denied topics
	GuardrailWord      Dimension = "guardrail_word"      // word filters
	GuardrailPII       Dimension = "guardrail_pii"       // sensitive information
	GuardrailRegex     Dimension = "guardrail_regex"     // sensitive information by regular expressions
	GuardrailGrounding Dimension = "guardrail_grounding" // contextual grounding
	GuardrailReasoning Dimension = "guardrail_reasoning" // automated reasoning

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
	SpeechInput, SpeechOutput,
	Image, ImagePremium, Image2048, Image2048Premium, DocumentImage, VideoSecond, VideoSecondHD, AudioSecond, Embedding, Query,
	GuardrailContent, GuardrailImage, GuardrailTopic, GuardrailWord, GuardrailPII, GuardrailRegex, GuardrailGrounding, GuardrailReasoning,
	ModelUnitHour, CMUMinute, ReservedInputTPMHour, ReservedOutputTPMHour,
}

// The places of the first dimensions in the list.
const (
	dimInput = iota
	dimOutput
	dimCacheRead
	dimWrite5m
	dimWrite30m
	dimWrite1h
	buckets
)

// Dimensions returns all dimensions in the order of a [Breakdown].
func Dimensions() []Dimension { return slices.Clone(dimensions[:]) }

// Units counts what [bedrockkit.Usage] has no bucket for: images, queries, seconds,
// hours. Counts of a token dimension are added to the counts of the usage.
type Units map[Dimension]int64

// RerankQueries returns how many queries a rerank request with so many document chunks
// is billed for: one per 100, and at least one. Source: "Amazon Bedrock pricing",
// Rerank.
func RerankQueries(chunks int) int64 { return max(1, (int64(chunks)+99)/100) }

// TextUnits returns how many guardrail text units a text of so many characters has:
// one per 1,000. Source: "Amazon Bedrock pricing", Guardrails.
func TextUnits(characters int) int64 { return (int64(characters) + 999) / 1000 }

func counts(u *bedrockkit.Usage) [buckets]int64 {
	return [buckets]int64{u.InputTokens, u.OutputTokens, u.CacheReadTokens, u.CacheWrite5mTokens, u.CacheWrite30mTokens, u.CacheWrite1hTokens}
}
