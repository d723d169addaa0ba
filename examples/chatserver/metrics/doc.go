// Package metrics counts what the server does: the calls of models, the jobs, the
// requests. Prometheus reads it as text, and the operations page as the last hour.
//
//	m, err := metrics.New()
//	client := bedrockx.New(api, m.Client())  // calls
//	options.Observe = m.Observe              // jobs, in asyncq.JobOptions
//	handler := m.Handler(mux)                // requests
//	m.Watch(metrics.Sources{Worker: worker.Stats})
//	mux.Handle("GET /metrics", m)
//
// The names are those of OpenTelemetry's conventions and of the telemetry packages of
// the library, in the form of Prometheus: gen_ai.client.operation.duration is
// gen_ai_client_operation_duration_seconds. OpenTelemetry's SDK holds the values; no
// exporter is needed to write them down ([Metrics.ServeHTTP]).
//
// # What is counted
//
//	gen_ai_client_operation_duration_seconds            calls: how many, how long, by model and error_type
//	gen_ai_client_operation_time_to_first_chunk_seconds time to the first token
//	gen_ai_client_token_usage                           tokens of a call
//	bedrockkit_cost_USD_total                           dollars by model
//	bedrockkit_attempts_total                           requests sent to models, by error_type ("throttled")
//	bedrockkit_retries_total, bedrockkit_fallbacks_total
//	bedrockkit_cache_hits_total, bedrockkit_cache_saved_USD_total
//	bedrockkit_prompt_cache_tokens_total, bedrockkit_prompt_cache_saved_USD_total
//	bedrockkit_calls_active                             calls under way; stream="true" are streams
//	asyncq_events_total, asyncq_job_wait_seconds, …     jobs, by package asyncq/telemetry
//	asyncq_jobs, asyncq_queue_messages, asyncq_oldest_seconds
//	http_server_request_duration_seconds                requests by route and status
//	http_server_active_requests                         route="/ws" are the open WebSockets
//
// No metric holds a question, an answer, a caller or an address. The values of a label
// are bounded: those after the first 200 of a metric are counted together, under
// otel_metric_overflow.
package metrics
