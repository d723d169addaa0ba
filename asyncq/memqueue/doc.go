// Package memqueue is Amazon SQS within the process: queues with the semantics
// of the service behind the methods of the SDK's client. Tests, examples and
// programs that run on one machine need no server and no account with it.
//
//	queues := memqueue.New()
//	created, err := queues.CreateQueue(ctx, &sqs.CreateQueueInput{QueueName: aws.String("manga-fm-normal")})
//	if err != nil {
//		return err
//	}
//	_, err = queues.SendMessage(ctx, &sqs.SendMessageInput{QueueUrl: created.QueueUrl, MessageBody: aws.String("hello")})
//
// # What it does as the service does
//
// Visibility timeouts and their end, receive counts, redrive to a dead-letter
// queue, delays, retention, long polls that end with their context, first-in
// first-out groups: a group is held while one of its messages is in flight,
// deduplication for five minutes, message move tasks, the limits on sizes,
// entries, attributes, times and messages in flight, MD5 sums, and the errors: the
// SDK's types where it has one, and a smithy.APIError with the service's code
// otherwise, both within a *smithy.OperationError. The facts are those of the
// Amazon SQS API reference and developer guide, as of November 2026.
//
// # What it does not
//
// Nothing is kept when the process ends. A standard queue delivers in order and
// once, which the service does not promise: do not rely on either. Counts are exact
// where the service's are approximate. A message move task is done when
// StartMessageMoveTask returns, whatever its rate. ReceiveRequestAttemptId,
// policies, encryption and the high-throughput mode's rates are accepted and have
// no effect. The functions that change an SDK client's options are ignored.
//
// # Other processes
//
// A Service is an http.Handler in the protocol of SQS, for clients of the SDK in
// other processes: see [Service.ServeHTTP].
//
// There is no goroutine: what time brings about happens when the next call
// looks at the clock. So a queue works within a testing/synctest bubble.
package memqueue
