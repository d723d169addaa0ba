// Package telemetry reports what a worker of package asyncq does to
// OpenTelemetry, and carries the trace of a submission to its job.
//
//	worker := asyncq.NewWorker(queues, handler, options, telemetry.Worker())
//	producer, err := asyncq.NewProducer[Analysis](queues, options, telemetry.Producer())
//
// It needs OpenTelemetry's API and not its SDK: without providers that the
// program has set up, it does nothing.
//
// # Metrics
//
// Counters: asyncq.messages ({message}, received) and asyncq.events ({event}, by
// asyncq.event: started, completed, cancelled, failed, retried, throttled, held,
// dead_lettered, duplicate, released, api_error).
//
// Histograms: asyncq.job.duration (s, of attempts that have ended, by asyncq.event),
// asyncq.job.wait (s, from the submission to the beginning of an attempt),
// asyncq.job.age (s, from the submission of a job to its end), asyncq.job.attempts
// ({attempt}, of jobs that have ended) and asyncq.hold (s, for how long a message is
// held, by error.type, the reason).
//
// All are by messaging.destination.name, the queue, and those of errors by error.type.
//
// # Traces
//
// The context of a job continues the trace that its submission was part of, by
// the W3C trace context in the message's attribute traceparent. The spans of the
// calls that the handler makes (bedrockx/telemetry) so belong to the request that
// asked for the job.
package telemetry
