// Package asyncq is for calls that nobody waits for on an open connection: a job
// is put into a queue of Amazon SQS, a worker does it, and its status and result
// are asked for, or told, later. Work that is accepted gets done, or is among the
// dead letters with the reason; a result is stored once.
//
//	// where the work comes from
//	jobs := asyncq.NewProducer[asyncq.Inference](queues, func(o *asyncq.ProducerOptions) { o.Status = status })
//	id, err := jobs.Submit(ctx, asyncq.Request[asyncq.Inference]{
//		Payload:  asyncq.Inference{Prompt: "Analyse the art of Berserk."},
//		Priority: asyncq.High,
//	})
//
//	// where it is done
//	worker := asyncq.NewWorker(queues, asyncq.Infer(chat), func(o *asyncq.WorkerOptions) {
//		o.Status, o.Results = status, results
//	})
//	err = worker.Run(ctx) // until ctx ends, and then until the jobs under way have
//
//	// where it is waited for
//	s, err := asyncq.Wait(ctx, status, id)
//
// queues is an *sqs.Client, or a memqueue.Service within the process. A job can be
// anything: a [Handler] takes a payload of a type of yours, and [Infer] is the one
// that asks a model.
//
// # What is promised
//
// The status "queued" is stored before the message is sent, so that whoever has an
// id can ask for it. An attempt has a lease: of two deliveries of a message one runs,
// and the other comes back when the lease is over. The result is put first, once;
// then the status is completed, then the [Notifier] is told, and then the message is
// deleted. Wherever a worker dies, the next delivery goes on from there.
//
// So a handler can run more than once for a job, and what it does beside its result
// must bear that. Of those runs one result is kept. A worker that was cut off for
// longer than its lease, and whose job another has failed meanwhile, can still store
// a result; it belongs to no completed job.
//
// # Queues
//
// There is a queue for each priority. Those that have messages share a worker by
// their weights, so that none starves. A request with a group goes to a FIFO queue:
// the jobs of a group are done one after another, those of different groups side by
// side.
//
// The worker counts attempts by itself, in the status: waiting for a model that
// throttles, a store that is down or the end of a worker is no attempt. SQS counts
// every receive. So a redrive policy of the queues should have a maxReceiveCount
// well above WorkerOptions.MaxAttempts; a job that it moves is a dead letter
// whose status still says queued or processing.
//
// # Stores
//
// Statuses are in memory, or in DynamoDB with package asyncq/dynamostatus; results
// and large payloads in memory, in files (asyncq/fileblobs) or in S3
// (asyncq/s3blobs). Package asyncq/queuetest tests yours. The ends of jobs are told
// by asyncq/webhook and asyncq/snsnotify, and asyncq/awslambda does the jobs in AWS
// Lambda.
package asyncq
