// Package telemetry reports what a worker of package asyncq does to
// OpenTelemetry, and carries the trace of a submission to its job.
//
//	worker := asyncq.NewWorker(queues, handler, telemetry.Worker())
//	producer := asyncq.NewProducer[Analysis](queues, telemetry.Producer())
//
// It needs OpenTelemetry's API and not its SDK: without providers that the
// program has set up, it does nothing.
//
// # Metrics
//
// The counters asyncq.messages ({message}, received) and asyncq.events ({event},
// by asyncq.event: started, completed, failed, retried, throttled, dead_lettered,
// duplicate, released, cancelled, api_error), and the histograms
// asyncq.job.duration (s, of attempts that have ended, by asyncq.event) and
// asyncq.job.wait (s, from the submission to the beginning of an attempt). All are
// by messaging.destination.name, the queue, and those of errors by error.type.
//
// # Traces
//
// The context of a job continues the trace that its submission was part of, by
// the W3C trace context in the message's attribute traceparent. The spans of the
// calls that the handler makes (bedrockx/telemetry) so belong to the request that
// asked for the job.
package telemetry
