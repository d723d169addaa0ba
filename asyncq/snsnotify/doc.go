// Package snsnotify sends the ends of jobs to a topic of Amazon SNS.
//
//	worker := asyncq.NewWorker(queues, handler, func(o *asyncq.WorkerOptions) {
//		o.Queues = names
//		o.Notifier = snsnotify.New(sns.NewFromConfig(cfg), topicARN)
//	})
//
// The message is the JSON of an [asyncq.Notification], without the callback URL.
// Its attributes notification_id, status and priority are for subscribers' filter
// policies, and to recognise a message that comes twice. To a FIFO topic it
// goes with the job's id as its group and the notification's as its
// deduplication id.
//
// The IAM action is sns:Publish on the topic.
package snsnotify
