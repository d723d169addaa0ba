package batch

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/bedrock"
	"github.com/aws/aws-sdk-go-v2/service/bedrock/types"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/bedrockx"
)

// A Submission is a set of records that was written, and its jobs. Only one goroutine
// at a time may use Watch, Wait, Stop and the results. Notify and Jobs are safe for
// concurrent use.
type Submission struct {
	c      *Client
	writer string  // as state.Writer
	etag   *string // of the state in S3
	wake   chan struct{}

	mu   sync.Mutex // guards what Jobs reads, as far as it changes
	st   *state
	held error // why jobs are waiting to be created
}

// Submit writes a set of records and creates its jobs, as many as may run at the same
// time; [Submission.Watch] creates the others. If a set with the same name was
// submitted before, Submit continues it. If its records were all written, they are not
// read again. The set keeps its parameters.
//
// Submit reads the records once, and creates no job before it has written all of them.
// If the records have no IDs, their order must be the same each time, because the
// default ids depend on it.
//
// The errors are errors about a field of job, [ErrNoBatch], a [*RefusedError],
// [ErrTooFew], [ErrBudget], [ErrChanged], [ErrConflict], and errors of S3 and Bedrock.
func Submit[In bedrockx.Payload[Out], Out any](ctx context.Context, c *Client, job Job, records iter.Seq2[Record[In], error]) (*Submission, error) {
	var in In
	s, err := c.begin(ctx, job, typeOf(in))
	if err != nil {
		return nil, err
	}
	if !s.st.Written {
		if err := s.write(ctx, encode(&s.st.Job, records)); err != nil {
			return nil, err
		}
	}
	return s, s.create(ctx)
}

// Run submits a set, waits until its jobs have ended and returns the results. If it
// fails, call it again: it continues where it stopped. Its errors are the errors of
// [Submit] and [Submission.Watch].
func Run[In bedrockx.Payload[Out], Out any](ctx context.Context, c *Client, job Job, records iter.Seq2[Record[In], error]) (*Results[Out], error) {
	s, err := Submit(ctx, c, job, records)
	if err != nil {
		return nil, err
	}
	if err := s.Wait(ctx); err != nil {
		return nil, err
	}
	return ResultsOf[In](s), nil
}

// begin finds the set or begins it.
func (c *Client) begin(ctx context.Context, job Job, typ Type) (*Submission, error) {
	job, err := job.resolved(c)
	if err != nil {
		return nil, err
	}
	s, err := c.load(ctx, job.place(), job.StateFile, optional(job.InputOwner))
	switch {
	case errors.Is(err, ErrNotFound):
		s = c.submission(&state{Version: stateVersion, Job: job, Type: typ, Limits: c.o.Limits, Began: time.Now().UTC()})
	case err != nil:
		return nil, err
	default:
		old := s.st.Job
		if old.Model != job.Model || old.Role != job.Role || old.Output != job.Output || s.st.Type != typ {
			return nil, fmt.Errorf("batch: %s: %w", job.Name, ErrChanged)
		}
		if !s.st.Written {
			s.st.Job, s.st.Limits = job, c.o.Limits // nothing depends on the old ones yet
		}
		s.st.Job.StateFile = job.StateFile
	}
	return s, nil
}

func (c *Client) submission(st *state) *Submission {
	return &Submission{c: c, st: st, writer: rand.Text(), wake: make(chan struct{}, 1)}
}

// load reads the state in S3 or, if it is gone, the copy in the file.
func (c *Client) load(ctx context.Context, place location, file string, owner *string) (*Submission, error) {
	st, etag, err := c.readState(ctx, stateOf(place), owner)
	if err != nil {
		return nil, err
	}
	if file != "" {
		local, err := readStateFile(file)
		if err != nil {
			return nil, err
		}
		if local != nil && local.Job.place() != place {
			return nil, fmt.Errorf("batch: %s: it is the state of %s; a file has one set's: %w", file, local.Job.place(), ErrChanged)
		}
		if st == nil {
			st = local
		}
	}
	if st == nil {
		return nil, fmt.Errorf("batch: %s: %w", place, ErrNotFound)
	}
	if st.Job.place() != place {
		return nil, fmt.Errorf("batch: %s: it has the state of %s: %w", place, st.Job.place(), ErrChanged)
	}
	st.Job.StateFile = file
	s := c.submission(st)
	s.etag = etag
	return s, nil
}

// write writes the records of the set.
func (s *Submission) write(ctx context.Context, lines iter.Seq2[*encoded, error]) error {
	st := s.st
	st.Refused = nil
	plan := newPlanner(s.c, &st.Job)
	ids := newIDSet()
	jobs, err := s.writeJobs(ctx, 0, st.Job.Live, lines, func(r *encoded) (bool, error) {
		if refusal := r.refusal(ids, st.Limits.MaxFileBytes); refusal != nil {
			if len(st.Refused) == st.Job.MaxRefused {
				return false, refusal
			}
			st.Refused = append(st.Refused, refused{Line: refusal.Line, ID: refusal.ID, Error: refusal.Err.Error()})
			return false, nil
		}
		plan.add(r)
		return true, nil
	})
	if err != nil {
		return err
	}
	st.Plan = plan.plan()
	st.Plan.Jobs, st.Plan.Refused = len(jobs), len(st.Refused)
	for _, j := range jobs {
		st.Plan.Bytes += j.Bytes
	}
	live := st.Job.Retry == RetryLive || slices.ContainsFunc(jobs, func(j *jobState) bool { return j.Live })
	if err := st.Plan.within(st.Job.MaxCost, live); err != nil {
		return err
	}
	s.mu.Lock()
	st.Jobs, st.Written = jobs, true
	s.mu.Unlock()
	return s.save(ctx)
}

// create creates jobs, as many as may run at once. That the account has no room
// for more is not an error: they wait.
func (s *Submission) create(ctx context.Context) error {
	s.held = nil
	running := 0
	for _, j := range s.st.Jobs {
		if j.ARN != "" && !j.Status.Terminal() {
			running++
		}
	}
	for i, j := range s.st.Jobs {
		if j.Live || j.ARN != "" || j.Status.Terminal() {
			continue
		}
		if running >= s.st.Limits.MaxJobs {
			return nil
		}
		err := s.createJob(ctx, i, j)
		switch code(err) {
		case "ServiceQuotaExceededException", "ThrottlingException", "TooManyRequestsException":
			s.held = err
			return nil
		}
		if err != nil {
			return err
		}
		running++
	}
	return nil
}

// createJob creates a job once, whenever the process ends: its token and name are
// stored before, and a job of that name is looked for before it is created again.
func (s *Submission) createJob(ctx context.Context, number int, j *jobState) error {
	st := s.st
	arn := ""
	if j.Token == "" {
		token := st.token(j)
		s.identify(j, token, fmt.Sprintf("%s-%04d-%s", st.Job.Name, number+1, token[:8]))
		if err := s.save(ctx); err != nil {
			s.identify(j, "", "") // the next attempt stores them first, as this one did
			return err
		}
	} else {
		var err error
		if arn, err = s.find(ctx, j); err != nil {
			return err
		}
	}
	if arn == "" {
		out, err := s.c.jobs.CreateModelInvocationJob(ctx, s.input(j))
		if err != nil {
			return fmt.Errorf("batch: creating the job %s: %w%s", j.Name, err, hint(err))
		}
		arn = aws.ToString(out.JobArn)
	}
	got, err := s.c.jobs.GetModelInvocationJob(ctx, &bedrock.GetModelInvocationJobInput{JobIdentifier: &arn})
	if err != nil {
		return fmt.Errorf("batch: looking at the job %s: %w", j.Name, err)
	}
	if in, _ := inputURI(got.InputDataConfig); in != j.Folder || aws.ToString(got.JobName) != j.Name {
		return fmt.Errorf("batch: %s reads %s and is named %s: %w", arn, in, aws.ToString(got.JobName), ErrForeignJob)
	}
	s.mu.Lock()
	j.ARN = arn
	s.mu.Unlock()
	if err := s.saw(ctx, j, got); err != nil {
		return err
	}
	return s.save(ctx)
}

func (s *Submission) identify(j *jobState, token, name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	j.Token, j.Name = token, name
}

// find finds the job that was created, if it was.
func (s *Submission) find(ctx context.Context, j *jobState) (string, error) {
	in := &bedrock.ListModelInvocationJobsInput{NameContains: &j.Name}
	for {
		out, err := s.c.jobs.ListModelInvocationJobs(ctx, in)
		if err != nil {
			return "", fmt.Errorf("batch: looking for the job %s: %w", j.Name, err)
		}
		for _, found := range out.InvocationJobSummaries {
			if uri, _ := inputURI(found.InputDataConfig); aws.ToString(found.JobName) == j.Name && uri == j.Folder {
				return aws.ToString(found.JobArn), nil
			}
		}
		if out.NextToken == nil {
			return "", nil
		}
		in.NextToken = out.NextToken
	}
}

// input is the request that creates a job.
func (s *Submission) input(j *jobState) *bedrock.CreateModelInvocationJobInput {
	job := &s.st.Job
	in := &bedrock.CreateModelInvocationJobInput{
		JobName:                &j.Name,
		ClientRequestToken:     &j.Token,
		ModelId:                aws.String(string(job.Model)),
		ModelInvocationType:    types.ModelInvocationType(s.st.Type),
		RoleArn:                &job.Role,
		TimeoutDurationInHours: aws.Int32(int32(job.Timeout / time.Hour)),
		InputDataConfig: &types.ModelInvocationJobInputDataConfigMemberS3InputDataConfig{Value: types.ModelInvocationJobS3InputDataConfig{
			S3Uri: &j.Folder, S3InputFormat: types.S3InputFormatJsonl, S3BucketOwner: optional(job.InputOwner),
		}},
		OutputDataConfig: &types.ModelInvocationJobOutputDataConfigMemberS3OutputDataConfig{Value: types.ModelInvocationJobS3OutputDataConfig{
			S3Uri: aws.String(job.output().String() + "/"), S3BucketOwner: optional(job.OutputOwner), S3EncryptionKeyId: optional(job.KMSKey),
		}},
	}
	for _, key := range sortedKeys(job.Tags) {
		in.Tags = append(in.Tags, types.Tag{Key: aws.String(key), Value: aws.String(job.Tags[key])})
	}
	if len(job.Subnets) > 0 {
		in.VpcConfig = &types.VpcConfig{SubnetIds: job.Subnets, SecurityGroupIds: job.SecurityGroups}
	}
	return in
}

// hint says what a refusal to create a job usually comes from.
func hint(err error) string {
	switch code(err) {
	case "AccessDeniedException":
		return " (the caller needs iam:PassRole on the service role, and bedrock:CreateModelInvocationJob on the model, its inference profile and model-invocation-job/*)"
	case "ValidationException":
		if strings.Contains(err.Error(), "on-demand") {
			return " (call the model through a cross-region inference profile)"
		}
	}
	return ""
}

func inputURI(in types.ModelInvocationJobInputDataConfig) (string, bool) {
	v, ok := in.(*types.ModelInvocationJobInputDataConfigMemberS3InputDataConfig)
	if !ok {
		return "", false
	}
	return aws.ToString(v.Value.S3Uri), true
}

func outputURI(out types.ModelInvocationJobOutputDataConfig) (string, bool) {
	v, ok := out.(*types.ModelInvocationJobOutputDataConfigMemberS3OutputDataConfig)
	if !ok {
		return "", false
	}
	return aws.ToString(v.Value.S3Uri), true
}

// URI returns the place of the set's state in S3, for [Client.Resume].
func (s *Submission) URI() string { return s.st.Job.place().String() }

// Model returns the model of the set.
func (s *Submission) Model() bedrockkit.ModelID { return s.st.Job.Model }

// Plan returns the plan of the set from the time when it was written.
func (s *Submission) Plan() Plan { return s.st.Plan }
