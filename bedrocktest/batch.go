package bedrocktest

import (
	"context"
	"io"
	"time"
)

// Batch says how batch jobs run. Without a Store they pass through their statuses
// and read and write nothing.
type Batch struct {
	// Store is the S3 that jobs read their records from and write their results
	// to, when their time has come by the clock. The default is none.
	Store ObjectStore

	// The quotas of the account for each model. The defaults are the service's:
	// 100 and 100,000 records in a job, 1 GB a file, 5 GB a job, 100 jobs at
	// once. MinRecords below 0 means none.
	MinRecords, MaxRecords    int
	MaxFileBytes, MaxJobBytes int64
	MaxJobs                   int

	// Plan says how a job goes, by its name. The default is that it goes well.
	// It is called once for each job and must not call the server.
	Plan func(jobName string) BatchPlan
}

// An ObjectStore is what batch jobs need of S3. Its methods are called by one
// goroutine for each job.
type ObjectStore interface {
	// List returns the objects whose keys begin with a prefix, in the order of
	// their keys.
	List(ctx context.Context, bucket, prefix string) ([]StoredObject, error)
	// Open reads an object.
	Open(ctx context.Context, bucket, key string) (io.ReadCloser, error)
	// Create writes an object, which is there after Close.
	Create(ctx context.Context, bucket, key string) (io.WriteCloser, error)
}

// StoredObject is an object of an [ObjectStore].
type StoredObject struct {
	Key  string
	Size int64
}

// A BatchPlan says how one job goes. The zero value is a job that takes
// Options.JobDuration and whose records are answered as single requests are: by
// the script or the Responder, and with Options.Faults of their operation. Its
// lines come in another order than its records, as the service promises none.
type BatchPlan struct {
	// Queued is how long the job is Scheduled, beyond JobDuration. A job that
	// has not begun before its timeout is Expired; one that has not ended is
	// PartiallyCompleted.
	Queued time.Duration

	// Duration replaces JobDuration.
	Duration time.Duration

	// Fail ends the job with the status Failed and this message when it has been
	// validated.
	Fail string

	InOrder     bool // lines come in the order of the records
	StringCodes bool // error codes are names and not numbers
	NoManifest  bool // manifest.json.out is not written

	// FailEvery fails each n-th record with an internal error, DropEvery leaves
	// its line out, DuplicateEvery writes it twice. 0 means none.
	FailEvery, DropEvery, DuplicateEvery int

	// Truncate cuts so many bytes off the end of each output file.
	Truncate int64
}

func (b Batch) resolved() Batch {
	for _, d := range []struct {
		to    *int
		value int
	}{{&b.MinRecords, 100}, {&b.MaxRecords, 100_000}, {&b.MaxJobs, 100}} {
		if *d.to == 0 {
			*d.to = d.value
		}
	}
	if b.MaxFileBytes == 0 {
		b.MaxFileBytes = 1e9
	}
	if b.MaxJobBytes == 0 {
		b.MaxJobBytes = 5e9
	}
	return b
}
