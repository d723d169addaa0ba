package batch

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/bedrock"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/mangaassist/bedrockkit"
)

// Status is the status of a job (API reference, GetModelInvocationJob).
type Status string

// The statuses, in the order of a job's life. A job that has one of the last five has
// ended.
const (
	StatusWaiting    Status = "" // not created yet, or a live job that has not ended
	StatusSubmitted  Status = "Submitted"
	StatusValidating Status = "Validating"
	StatusScheduled  Status = "Scheduled"
	StatusInProgress Status = "InProgress"
	StatusStopping   Status = "Stopping"

	StatusCompleted          Status = "Completed"
	StatusPartiallyCompleted Status = "PartiallyCompleted" // not all records were done in time
	StatusFailed             Status = "Failed"
	StatusStopped            Status = "Stopped"
	StatusExpired            Status = "Expired" // it did not start in time
)

// Terminal reports whether the job has ended.
func (s Status) Terminal() bool {
	switch s {
	case StatusCompleted, StatusPartiallyCompleted, StatusFailed, StatusStopped, StatusExpired:
		return true
	}
	return false
}

func (s Status) known() bool {
	switch s {
	case StatusSubmitted, StatusValidating, StatusScheduled, StatusInProgress, StatusStopping:
		return true
	}
	return s.Terminal()
}

// Manifest is the service's summary of a job, from manifest.json.out.
type Manifest struct {
	Total     int64 `json:"totalRecordCount"`
	Processed int64 `json:"processedRecordCount"` // successes and errors
	Succeeded int64 `json:"successRecordCount"`
	Failed    int64 `json:"errorRecordCount"`

	InputTokens  int64 `json:"inputTokenCount"`
	OutputTokens int64 `json:"outputTokenCount"`
}

func (m Manifest) usage() bedrockkit.Usage {
	return bedrockkit.Usage{InputTokens: m.InputTokens, OutputTokens: m.OutputTokens}
}

// A JobError says why a job has no results for some of its records. errors.Is finds
// [ErrMissing].
type JobError struct {
	ARN     string
	Status  Status
	Message string        // the service's
	Waited  time.Duration // from submission to end
}

func (e *JobError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%v: its job", ErrMissing)
	if e.ARN != "" {
		fmt.Fprintf(&b, " %s", lastPart(e.ARN))
	}
	fmt.Fprintf(&b, " has the status %s", e.Status)
	if e.Waited > 0 {
		fmt.Fprintf(&b, " after %v", e.Waited.Round(time.Second))
	}
	if e.Message != "" {
		fmt.Fprintf(&b, ": %s", e.Message)
	}
	return b.String()
}

// Unwrap returns [ErrMissing].
func (e *JobError) Unwrap() error { return ErrMissing }

// JobStatus is one job of a set.
type JobStatus struct {
	ARN     string // empty for a job that is not created yet, and for a live job
	Name    string
	Status  Status
	Message string // of the service, if the job has failed
	Live    bool   // its records are sent live
	Retry   bool   // its records have failed before

	Records   int
	Counts    Manifest // from the service; tokens only after the job's end
	Submitted time.Time
	Ended     time.Time
}

// Jobs returns the jobs of the set as of the last check. It sends no request and is
// safe for concurrent use.
func (s *Submission) Jobs() []JobStatus {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []JobStatus
	for _, j := range s.st.Jobs {
		list = append(list, JobStatus{
			ARN: j.ARN, Name: j.Name, Status: j.Status, Message: j.Message, Live: j.Live, Retry: j.Round > 0,
			Records: j.Records, Counts: j.manifest(), Submitted: j.Submitted, Ended: j.Ended,
		})
	}
	return list
}

func (j *jobState) manifest() Manifest {
	if j.Manifest != nil {
		return *j.Manifest
	}
	return j.counts
}

// observe takes over what the service says of a job.
func (j *jobState) observe(got *bedrock.GetModelInvocationJobOutput) {
	j.Status, j.Message = Status(got.Status), aws.ToString(got.Message)
	j.Submitted, j.Ended = aws.ToTime(got.SubmitTime), aws.ToTime(got.EndTime)
	if j.Status == StatusInProgress && j.Started.IsZero() {
		j.Started = aws.ToTime(got.LastModifiedTime)
	}
	j.counts = Manifest{
		Total: aws.ToInt64(got.TotalRecordCount), Processed: aws.ToInt64(got.ProcessedRecordCount),
		Succeeded: aws.ToInt64(got.SuccessRecordCount), Failed: aws.ToInt64(got.ErrorRecordCount),
	}
	if j.Records == 0 { // of a job that is not ours
		j.Records = int(j.counts.Total)
	}
}

// look asks for a job and reports whether its status has changed.
func (s *Submission) look(ctx context.Context, j *jobState) (bool, error) {
	got, err := s.c.jobs.GetModelInvocationJob(ctx, &bedrock.GetModelInvocationJobInput{JobIdentifier: &j.ARN})
	if err != nil {
		return false, fmt.Errorf("batch: looking at the job %s: %w", j.Name, err)
	}
	before := j.Status
	return Status(got.Status) != before, s.saw(ctx, j, got)
}

// saw takes over what the service says of a job, and first the manifest of one
// that has ended: an end that is stored has what belongs to it.
func (s *Submission) saw(ctx context.Context, j *jobState, got *bedrock.GetModelInvocationJobOutput) error {
	if Status(got.Status).Terminal() && j.Manifest == nil {
		if err := s.readManifest(ctx, j); err != nil {
			return err
		}
	}
	s.mu.Lock()
	j.observe(got)
	s.mu.Unlock()
	return nil
}

// readManifest reads the manifest of a job, if there is one.
func (s *Submission) readManifest(ctx context.Context, j *jobState) error {
	from := s.outputOf(j).at("manifest.json.out")
	out, err := s.c.store.GetObject(ctx, &s3.GetObjectInput{Bucket: &from.bucket, Key: &from.key, ExpectedBucketOwner: optional(s.st.Job.OutputOwner)})
	switch code(err) {
	case "NoSuchKey", "NotFound":
		return nil
	}
	if err != nil {
		return fmt.Errorf("batch: reading %s: %w", from, err)
	}
	defer out.Body.Close()
	data, err := io.ReadAll(io.LimitReader(out.Body, 1<<20))
	if err != nil {
		return fmt.Errorf("batch: reading %s: %w", from, err)
	}
	m := new(Manifest)
	if err := json.Unmarshal(data, m); err != nil {
		return nil // a broken manifest is none: the records have it
	}
	s.mu.Lock()
	j.Manifest = m
	s.mu.Unlock()
	return nil
}

// outputOf is the folder of a job's output.
func (s *Submission) outputOf(j *jobState) location {
	base := s.st.Job.output()
	if s.st.foreign {
		base, _ = parseURI(s.st.Job.Output)
	}
	if j.Live {
		return base.at("live-" + lastPart(strings.TrimRight(j.Folder, "/")) + fmt.Sprintf("-%d", j.Round))
	}
	return base.at(lastPart(j.ARN))
}

func lastPart(s string) string { return s[strings.LastIndexByte(s, '/')+1:] }
