// Package telemetry reports calls of package bedrockx to OpenTelemetry, by the
// semantic conventions for generative AI.
//
//	client := bedrockx.New(api, telemetry.Option())
//
// It needs only OpenTelemetry's API, not its SDK. If the program has not set up a
// provider, it does nothing.
//
// # Spans
//
// One span of the kind client for each call, "chat MODEL" or "embeddings MODEL",
// which ends when the stream ends, and below it one span "attempt" for each
// request that was sent, so that retries and fallback can be seen. Attributes:
// gen_ai.operation.name, gen_ai.provider.name (aws.bedrock),
// gen_ai.request.model, gen_ai.request.max_tokens, gen_ai.request.stream,
// gen_ai.response.model, gen_ai.response.finish_reasons,
// gen_ai.usage.input_tokens (those of the prompt cache included),
// gen_ai.usage.output_tokens, gen_ai.usage.cache_read.input_tokens,
// gen_ai.usage.cache_creation.input_tokens, aws.bedrock.guardrail.id, cloud.region, server.address,
// server.port (where the endpoint names one), aws.request_id, error.type (the
// [bedrockx.Kind]), and those of this module: bedrockkit.attempts,
// bedrockkit.cost.usd, bedrockkit.cache_hit, bedrockkit.fallback.
//
// # Metrics
//
// The histograms gen_ai.client.token.usage ({token}, by gen_ai.token.type),
// gen_ai.client.operation.duration (s), gen_ai.client.operation.time_to_first_chunk
// (s, of streams) and gen_ai.server.time_per_output_token (s, of streams, as
// seen from here), with the buckets that the conventions name, and the counter
// bedrockkit.cost (USD).
//
// # Content
//
// Prompts are recorded only with Options.CaptureInput, answers only with
// Options.CaptureOutput, in the form of the conventions. The texts of errors are
// never recorded.
//
// Source: open-telemetry/semantic-conventions-genai, docs/gen-ai.
package telemetry
