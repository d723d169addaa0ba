// Package s3blobs keeps results, and payloads that are too large for a message, in
// a bucket of Amazon S3.
//
//	results := s3blobs.New(s3.NewFromConfig(cfg), "manga-batch-results", func(o *s3blobs.Options) {
//		o.Prefix = "fm/"
//	})
//
// An object is written only where there is none (If-None-Match), so a job that was
// done twice has one result. Nothing is ever overwritten; a lifecycle rule on the
// prefix is what removes objects.
//
// The IAM actions are s3:GetObject, s3:PutObject and s3:DeleteObject on the
// objects, and s3:ListBucket on the bucket: without it S3 says 403 and not 404 for an
// object that is not there.
package s3blobs
