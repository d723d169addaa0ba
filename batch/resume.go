package batch

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/bedrock"

	"github.com/mangaassist/bedrockkit"
)

// Resume continues a set in this process. from is one of
//
//   - the URI of the set or of its state in S3: [Submission.URI]
//   - the path of a state file
//   - the ARN of a job: the state is found by the job's input. A job that this
//     package has not created becomes a set with only that job. You can wait for
//     it, stop it and read its results.
//
// The set keeps the limits that it was submitted with. Resume returns [ErrNotFound] if
// the set does not exist, and [ErrNotWritten] if its records were not all written. If
// the set still has records to send live, Watch needs Options.Live.
func (c *Client) Resume(ctx context.Context, from string) (*Submission, error) {
	s, err := c.find(ctx, from)
	if err != nil {
		return nil, err
	}
	if !s.st.Written {
		return nil, fmt.Errorf("batch: %s: %w", from, ErrNotWritten)
	}
	return s, nil
}

func (c *Client) find(ctx context.Context, from string) (*Submission, error) {
	switch {
	case strings.HasPrefix(from, "arn:"):
		return c.ofJob(ctx, from)
	case strings.HasPrefix(from, "s3://"):
		place, err := parseURI(strings.TrimSuffix(strings.TrimRight(from, "/"), "/state.json"))
		if err != nil {
			return nil, err
		}
		return c.load(ctx, place, "", nil)
	}
	st, err := readStateFile(from)
	if err != nil {
		return nil, err
	}
	if st == nil {
		return nil, fmt.Errorf("batch: %s: %w", from, ErrNotFound)
	}
	return c.load(ctx, st.Job.place(), from, optional(st.Job.InputOwner))
}

// ofJob finds the set that a job belongs to, or makes one of the job alone.
func (c *Client) ofJob(ctx context.Context, arn string) (*Submission, error) {
	got, err := c.jobs.GetModelInvocationJob(ctx, &bedrock.GetModelInvocationJobInput{JobIdentifier: &arn})
	if err != nil {
		return nil, fmt.Errorf("batch: %s: %w", arn, err)
	}
	in, ok := inputURI(got.InputDataConfig)
	out, ok2 := outputURI(got.OutputDataConfig)
	if !ok || !ok2 {
		return nil, fmt.Errorf("batch: %s: its input or output is not in S3", arn)
	}
	folder, err := parseURI(in)
	if err != nil {
		return nil, err
	}
	// Ours is Input/Name/files-NNN/job-NNNN/.
	if parts := strings.Split(strings.TrimRight(folder.key, "/"), "/"); len(parts) > 2 && strings.HasPrefix(parts[len(parts)-1], "job-") {
		place := location{folder.bucket, strings.Join(parts[:len(parts)-2], "/")}
		s, err := c.load(ctx, place, "", nil)
		if err == nil && slices.ContainsFunc(s.st.Jobs, func(j *jobState) bool { return j.Name == aws.ToString(got.JobName) && j.Folder == in }) {
			return s, nil
		}
		if err != nil && !errors.Is(err, ErrNotFound) {
			return nil, err
		}
	}
	j := &jobState{Folder: in, Name: aws.ToString(got.JobName), ARN: aws.ToString(got.JobArn)}
	st := &state{
		Version: stateVersion, Type: Type(got.ModelInvocationType), Limits: c.o.Limits, Written: true, Retried: true, foreign: true,
		Job:   Job{Name: j.Name, Model: bedrockkit.ModelID(aws.ToString(got.ModelId)), Role: aws.ToString(got.RoleArn), Input: in, Output: out},
		Began: aws.ToTime(got.SubmitTime), Jobs: []*jobState{j},
	}
	setDefault(&st.Type, TypeInvokeModel)
	if hours := aws.ToInt32(got.TimeoutDurationInHours); hours > 0 {
		st.Job.Timeout = time.Duration(hours) * time.Hour
	}
	s := c.submission(st)
	return s, s.saw(ctx, j, got)
}

func sortedKeys(m map[string]string) []string { return slices.Sorted(maps.Keys(m)) }
