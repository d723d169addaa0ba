package batch

import (
	"context"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/bedrock"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/mangaassist/bedrockkit/bedrockx"
	"github.com/mangaassist/bedrockkit/pricing"
)

// Limits are the quotas of an account for one model. The zero value of a field means
// the service's default (Amazon Bedrock endpoints and quotas, read in autumn 2026; the
// same for all models that were checked). New accounts may have lower quotas; Service
// Quotas shows them.
type Limits struct {
	MinRecords     int   `json:"min_records,omitempty"`      // in a job; default 100
	MaxRecords     int   `json:"max_records,omitempty"`      // in a job; default 100,000
	MaxFileRecords int   `json:"max_file_records,omitempty"` // in a file; default MaxRecords
	MaxFileBytes   int64 `json:"max_file_bytes,omitempty"`   // of a file; default 1 GB
	MaxJobBytes    int64 `json:"max_job_bytes,omitempty"`    // of the files of a job; default 5 GB
	MaxJobs        int   `json:"max_jobs,omitempty"`         // submitted or in progress at once; default 100
}

func (l Limits) resolved() Limits {
	setDefault(&l.MinRecords, 100)
	setDefault(&l.MaxRecords, 100_000)
	setDefault(&l.MaxFileRecords, l.MaxRecords)
	setDefault(&l.MaxFileBytes, 1e9)
	setDefault(&l.MaxJobBytes, 5e9)
	setDefault(&l.MaxJobs, 100)
	return l
}

// check refuses limits that no set could keep.
func (l Limits) check() error {
	for _, limit := range []struct {
		name  string
		value int64
	}{
		{"MinRecords", int64(l.MinRecords)}, {"MaxRecords", int64(l.MaxRecords)}, {"MaxFileRecords", int64(l.MaxFileRecords)},
		{"MaxFileBytes", l.MaxFileBytes}, {"MaxJobBytes", l.MaxJobBytes}, {"MaxJobs", int64(l.MaxJobs)},
	} {
		if limit.value < 1 {
			return fmt.Errorf("batch: Options.Limits.%s is %d; it is at least 1", limit.name, limit.value)
		}
	}
	if l.MinRecords > l.MaxRecords {
		return fmt.Errorf("batch: Options.Limits.MinRecords is %d, more than MaxRecords, %d", l.MinRecords, l.MaxRecords)
	}
	return nil
}

func setDefault[T comparable](to *T, value T) {
	var zero T
	if *to == zero {
		*to = value
	}
}

// Options are the options of [New]. The zero value of a field means its default.
type Options struct {
	// Limits are the account's quotas.
	Limits Limits

	// Region is the region that is called. Prices depend on it. The default is the
	// region of the client, if it is a *bedrock.Client.
	Region string

	// Prices is the rate table. The default is pricing.Default().
	Prices *pricing.Table

	// Live is the client that sends records live, for [Job.Live] and [RetryLive]. Its
	// policies apply to these calls. Answers that arrived before the context ended are
	// still stored, within 20 s. The default is none: records are then never sent
	// live.
	Live *bedrockx.Client

	// LiveCalls is how many live calls run at the same time. The default is 8.
	LiveCalls int

	// MinDelay and MaxDelay bound the wait between two checks of the jobs. The wait
	// starts at MinDelay, grows by half each time that nothing has changed, and varies
	// by a fifth. The defaults are 10 s and 2 min.
	MinDelay, MaxDelay time.Duration

	// MaxLineBytes bounds the size of a line in an output file: a record with its
	// response. The default is 64 MiB. The error is [ErrTooLong].
	MaxLineBytes int
}

// GetObjectAPI reads objects.
type GetObjectAPI interface {
	GetObject(context.Context, *s3.GetObjectInput, ...func(*s3.Options)) (*s3.GetObjectOutput, error)
}

// PutObjectAPI writes small objects.
type PutObjectAPI interface {
	PutObject(context.Context, *s3.PutObjectInput, ...func(*s3.Options)) (*s3.PutObjectOutput, error)
}

// ListObjectsAPI lists objects.
type ListObjectsAPI interface {
	ListObjectsV2(context.Context, *s3.ListObjectsV2Input, ...func(*s3.Options)) (*s3.ListObjectsV2Output, error)
}

// UploadAPI writes large objects, part by part.
type UploadAPI interface {
	PutObjectAPI
	CreateMultipartUpload(context.Context, *s3.CreateMultipartUploadInput, ...func(*s3.Options)) (*s3.CreateMultipartUploadOutput, error)
	UploadPart(context.Context, *s3.UploadPartInput, ...func(*s3.Options)) (*s3.UploadPartOutput, error)
	CompleteMultipartUpload(context.Context, *s3.CompleteMultipartUploadInput, ...func(*s3.Options)) (*s3.CompleteMultipartUploadOutput, error)
	AbortMultipartUpload(context.Context, *s3.AbortMultipartUploadInput, ...func(*s3.Options)) (*s3.AbortMultipartUploadOutput, error)
}

// S3API has the operations of *s3.Client that a [Client] calls.
type S3API interface {
	GetObjectAPI
	ListObjectsAPI
	UploadAPI
}

// CreateJobAPI creates jobs.
type CreateJobAPI interface {
	CreateModelInvocationJob(context.Context, *bedrock.CreateModelInvocationJobInput, ...func(*bedrock.Options)) (*bedrock.CreateModelInvocationJobOutput, error)
}

// GetJobAPI reads a job.
type GetJobAPI interface {
	GetModelInvocationJob(context.Context, *bedrock.GetModelInvocationJobInput, ...func(*bedrock.Options)) (*bedrock.GetModelInvocationJobOutput, error)
}

// ListJobsAPI finds jobs.
type ListJobsAPI interface {
	ListModelInvocationJobs(context.Context, *bedrock.ListModelInvocationJobsInput, ...func(*bedrock.Options)) (*bedrock.ListModelInvocationJobsOutput, error)
}

// StopJobAPI stops jobs.
type StopJobAPI interface {
	StopModelInvocationJob(context.Context, *bedrock.StopModelInvocationJobInput, ...func(*bedrock.Options)) (*bedrock.StopModelInvocationJobOutput, error)
}

// JobsAPI has the operations of *bedrock.Client (the control plane) that a [Client]
// calls.
type JobsAPI interface {
	CreateJobAPI
	GetJobAPI
	ListJobsAPI
	StopJobAPI
}

// A Client runs batch jobs. It is safe for concurrent use.
type Client struct {
	jobs  JobsAPI
	store S3API
	o     Options
}

// New returns a client. jobs is usually a *bedrock.Client, the client of Bedrock's
// control plane, and store an *s3.Client.
func New(jobs JobsAPI, store S3API, optFns ...func(*Options)) *Client {
	c := &Client{jobs: jobs, store: store}
	for _, fn := range optFns {
		fn(&c.o)
	}
	o := &c.o
	o.Limits = o.Limits.resolved()
	if sdk, ok := jobs.(*bedrock.Client); ok && o.Region == "" {
		o.Region = sdk.Options().Region
	}
	if o.Prices == nil {
		o.Prices = pricing.Default()
	}
	setDefault(&o.LiveCalls, 8)
	setDefault(&o.MinDelay, 10*time.Second)
	setDefault(&o.MaxDelay, 2*time.Minute)
	setDefault(&o.MaxLineBytes, 64<<20)
	return c
}
