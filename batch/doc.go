// Package batch runs batch inference on Amazon Bedrock. It writes a set of records to
// S3 as JSONL, and jobs process them within a day at about half the price. Each record
// gets its result.
//
//	client := batch.New(bedrock.NewFromConfig(cfg), s3.NewFromConfig(cfg))
//	results, err := batch.Run(ctx, client, batch.Job{
//		Name:   "catalogue-2026-11-29",
//		Model:  "us.anthropic.claude-haiku-4-5-20251001-v1:0",
//		Role:   "arn:aws:iam::123456789012:role/batch",
//		Input:  "s3://manga-batch/in",
//		Output: "s3://manga-batch/out",
//	}, func(yield func(batch.Record[anthropic.Request], error) bool) {
//		for id, title := range titles {
//			request := anthropic.Request{MaxTokens: 200, Messages: []anthropic.Message{anthropic.User("Translate: " + title)}}
//			if !yield(batch.Record[anthropic.Request]{ID: id, Input: request}, nil) {
//				return
//			}
//		}
//	})
//	if err != nil {
//		return err
//	}
//	for result, err := range results.All(ctx) {
//		if err != nil {
//			return err // the results cannot be read on
//		}
//		if result.Err != nil {
//			log.Print(result.ID, ": ", result.Err) // this record has none
//			continue
//		}
//		fmt.Println(result.ID, result.Output.Text())
//	}
//
// # Records
//
// A record is an InvokeModel body of a model family (anthropic.Request, nova.Request,
// titan.EmbedRequest…, or [bedrockx.Raw]) or a request of the Converse API
// ([Converse]). Each record is validated like a live call. Batch inference also
// refuses prompt caching, and tools with [Converse]. A refused record is an error with
// its line ([RefusedError]).
//
// Records are written while they are read. However many there are, only their ids and
// one part of an upload are in memory. [Write] and [Read] do the same with files.
//
// # A set and its jobs
//
// [Submit] divides a set into files and jobs by the quotas of [Limits]. The name of a
// set is its identity: all its objects are below Input/Name and Output/Name. If you
// submit the same name again, [Submit] continues the set. A process may be killed at
// any point. The state is stored in S3 before each step, and each job is created with
// a token that is derived from its content. So no record and no job is lost or done
// twice. [Client.Resume] continues a set from the state file, from S3 alone, or from
// the ARN of a job, in any process.
//
// [Submission.Wait] waits until all jobs have ended; [Submission.Watch] yields their
// progress. Results are matched by record id, because the service does not promise an
// order. They are read for every status of a job: a record without a line of output
// also has a result, with the reason why the line is missing ([RecordError]).
//
// # Money
//
// [Estimate] returns the likely and the maximum cost of a set, at the batch rate of
// the region and the day, and the same for live calls. [Results.Cost] returns what it
// has cost. If a model is known not to have batch inference, Submit fails before
// anything is uploaded.
//
// # Permissions
//
// The caller needs bedrock:CreateModelInvocationJob, GetModelInvocationJob,
// ListModelInvocationJobs and StopModelInvocationJob, iam:PassRole on the service
// role, and s3:GetObject, PutObject, ListBucket and AbortMultipartUpload. The
// guide docs/batch.md has both policies.
package batch
