// Package jobs does what nobody waits for on an open connection: analyses of manga,
// moderation, covers, work that two models do in turn, and a summary of each day. Each
// result is a typed value that a model fills in by a JSON Schema of package rest. It
// stands on package asyncq: a queue for each priority, statuses, results, and
// callbacks that are signed.
//
//	service, err := jobs.New(chat, books, backend)
//	if err != nil {
//		return err
//	}
//	go service.Run(ctx) // the worker; or in a process of its own
//	http.Handle("/", rest.New(manga, service))
//
// [InProcess] is a backend that needs no server: everything is in memory. On AWS
// the same [Backend] holds an SQS client and the stores of asyncq/dynamostatus
// and asyncq/s3blobs, and AWS Lambda can do the jobs in the place of Run: see
// [Service.JobOptions].
package jobs
