// Package asyncq runs calls through a queue, so that no client waits on an open
// connection. A producer puts a job into a queue of Amazon SQS and a worker runs it.
// Its status and result are read later, or are sent. Every accepted job is done, or
// becomes a dead letter with the reason, even if workers are killed at any point. A
// result is stored only once.
//
//	// where the work comes from
//	jobs, err := asyncq.NewProducer[asyncq.Inference](queues, func(o *asyncq.ProducerOptions) {
//		o.Queues, o.Status = names, status
//	})
//	id, err := jobs.Submit(ctx, asyncq.Request[asyncq.Inference]{
//		Payload:  asyncq.Inference{Prompt: "Analyse the art of Berserk."},
//		Priority: asyncq.High,
//	})
//
//	// where it is done
//	worker := asyncq.NewWorker(queues, asyncq.Infer(chat), func(o *asyncq.WorkerOptions) {
//		o.Queues, o.Status, o.Results = names, status, results
//	})
//	err = worker.Run(ctx) // until ctx ends, and then until the running jobs have
//
//	// where it is waited for
//	s, err := asyncq.Wait(ctx, status, id)
//
// queues is an *sqs.Client, or a memqueue.Service in the same process. A job can be
// anything: a [Handler] takes a payload of your own type. [Infer] is the handler that
// asks a model.
//
// # What is promised
//
// The status "queued" is stored before the message is sent, so a caller that has an id
// can read the status. An attempt has a lease: if a message is delivered twice, only
// one delivery runs, and the other comes back when the lease is over. At the end of a
// job, the worker first stores the result, once. Then it sets the status to completed,
// calls the [Notifier] and deletes the message. If a worker dies at any point, the
// next delivery continues from there.
//
// So a handler can run more than once for a job, and its side effects must allow that.
// Only one result is kept. There is one exception: if a worker was cut off for longer
// than its lease, and another worker has failed the job meanwhile, the first worker
// can still store a result. That result belongs to no completed job.
//
// # Queues
//
// There is a queue for each priority. The queues that have messages share a worker by
// their weights, so that no queue starves. A request with a group goes to a FIFO
// queue: the jobs of one group run one after another, and the jobs of different groups
// at the same time.
//
// The worker counts attempts itself, in the status. It is not an attempt if a job
// waits for a model that throttles or for a store that is down, or if the worker ends.
// While a job waits, its message is held in the worker, for up to twelve hours, so
// that waiting does not add to the receive count either. SQS counts every receive,
// including those of workers that died. So if the queues have a redrive policy, its
// maxReceiveCount should be much higher than JobOptions.MaxAttempts. A job that the
// redrive policy moves is a dead letter, but its status still says queued or
// processing.
//
// # Stores
//
// Statuses are in memory, in DynamoDB (asyncq/dynamostatus) or in Redis
// (asyncq/redisstatus); results and large payloads in memory, in files
// (asyncq/fileblobs) or in S3 (asyncq/s3blobs). Package asyncq/queuetest tests your
// own store. Packages asyncq/webhook and asyncq/snsnotify send a notification at the
// end of a job, and asyncq/awslambda runs the jobs in AWS Lambda.
package asyncq
