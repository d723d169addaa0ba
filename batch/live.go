package batch

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/bedrockx"
	"github.com/mangaassist/bedrockkit/converse"
	"github.com/mangaassist/bedrockkit/parallel"
)

// retry writes what has failed or is missing as new jobs, by Job.Retry. It is
// done once for a set: the state says so in the step in which the jobs appear.
func (s *Submission) retry(ctx context.Context) error {
	st := s.st
	few := st.Job.Live || st.Job.Retry == RetryLive
	ids := newIDSet()
	var failed int64
	if st.Job.Retry != RetryNone {
		var stats Stats
		for _, j := range st.Jobs {
			if j.Status == StatusStopped { // it was to end
				continue
			}
			for o, err := range s.outcomes(ctx, j, nil, &stats) {
				if err != nil {
					return err
				}
				if o.err == nil || !o.err.Retryable() {
					continue
				}
				ids.add(o.line.id)
				if !errors.Is(o.err, ErrMissing) {
					failed++
				}
			}
		}
	}
	n := len(ids.marks)
	var jobs []*jobState
	if n > 0 && (few || n >= st.Limits.MinRecords) {
		var err error
		jobs, err = s.writeJobs(ctx, 1, few, s.failed(ctx, ids), func(*encoded) (bool, error) { return true, nil })
		if err != nil && !errors.Is(err, ErrTooFew) { // of the last job, when the records are large
			return err
		}
	}
	if jobs == nil {
		st.Unretried = n
	}
	for _, j := range jobs {
		j.Live = j.Live || st.Job.Retry == RetryLive
	}
	s.mu.Lock()
	if st.Jobs, st.Retried = append(st.Jobs, jobs...), true; len(jobs) > 0 {
		st.RetriedFailed = failed
	}
	s.mu.Unlock()
	return s.save(ctx)
}

// failed yields the records with these ids as they were written.
func (s *Submission) failed(ctx context.Context, ids *idSet) iter.Seq2[*encoded, error] {
	return func(yield func(*encoded, error) bool) {
		n := 0
		for _, j := range s.st.Jobs {
			for text, err := range s.inputs(ctx, j) {
				n++
				var line outputLine
				if err == nil {
					line, err = parseLine(text)
				}
				if err != nil {
					yield(nil, fmt.Errorf("batch: reading record %d again: %w", n, err))
					return
				}
				if ids.has(line.id) && !yield(&encoded{line: n, id: line.id, body: line.input}, nil) {
					return
				}
			}
		}
	}
}

// liveChunk is how many records are sent live before their results are stored: as
// many may be sent twice if the process is killed.
const liveChunk = 50

// runLive sends the records of a job live, those that no file of its output has. Its
// output is like that of a job: files of lines, each written as a whole.
func (s *Submission) runLive(ctx context.Context, j *jobState, tell func() bool) error {
	if s.c.o.Live == nil {
		return fmt.Errorf("batch: %s: %w", s.st.Job.Name, errNoLive)
	}
	if j.Submitted.IsZero() {
		s.mu.Lock()
		j.Submitted = time.Now().UTC()
		s.mu.Unlock()
		if err := s.save(ctx); err != nil {
			return err
		}
	}
	s.mu.Lock()
	j.Started, j.counts = j.Submitted, Manifest{Total: int64(j.Records)}
	s.mu.Unlock()
	done := newIDSet()
	for line, err := range s.outputs(ctx, j) {
		if err == errUnreadable { // its record is sent again
			continue
		}
		if err != nil {
			return err
		}
		if done.add(line.id) {
			var usage bedrockkit.Usage
			_ = json.Unmarshal(line.usage, &usage) // of a failure there is none
			s.count(j, usage, line.failed != nil)
		}
	}
	var chunk []encoded
	flush := func() error {
		if len(chunk) == 0 {
			return nil
		}
		defer func() { chunk = chunk[:0] }()
		if err := s.sendChunk(ctx, j, chunk); err != nil {
			return err
		}
		if !tell() {
			return errLeft
		}
		return nil
	}
	for text, err := range s.inputs(ctx, j) {
		if err != nil {
			return err
		}
		line, err := parseLine(text)
		if err != nil {
			return fmt.Errorf("batch: reading a record of %s: %w", j.Folder, err)
		}
		if done.has(line.id) {
			continue
		}
		if chunk = append(chunk, encoded{id: line.id, body: bytes.Clone(line.input)}); len(chunk) == liveChunk {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	if err := flush(); err != nil {
		return err
	}
	s.mu.Lock()
	j.Status, j.Ended = StatusCompleted, time.Now().UTC()
	m := j.counts
	j.Manifest = &m
	s.mu.Unlock()
	return s.save(ctx)
}

func (s *Submission) count(j *jobState, usage bedrockkit.Usage, failed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := &j.counts
	m.Processed++
	if failed {
		m.Failed++
	} else {
		m.Succeeded++
	}
	m.InputTokens, m.OutputTokens = m.InputTokens+usage.TotalInput(), m.OutputTokens+usage.OutputTokens
}

// sendChunk sends some records, a few at a time, and stores their results: also
// those before an error, and after the context has ended, as they were paid for.
func (s *Submission) sendChunk(ctx context.Context, j *jobState, chunk []encoded) error {
	type answer struct {
		body  json.RawMessage
		usage bedrockkit.Usage
	}
	var out []byte
	var unsent error
	for item := range parallel.Map(ctx, s.c.o.LiveCalls, slices.Values(chunk), func(ctx context.Context, r encoded) (answer, error) {
		body, usage, err := s.call(ctx, r.body)
		return answer{body, usage}, err
	}) {
		var failed *RecordError
		if item.Err != nil {
			switch bedrockx.KindOf(item.Err) {
			case bedrockx.KindCanceled, bedrockx.KindBudget, bedrockx.KindLimited: // there is no answer to keep
				unsent = fmt.Errorf("batch: sending %q live: %w", item.Input.id, item.Err)
				continue
			}
			failed = &RecordError{ID: item.Input.id, Code: code(item.Err), Message: item.Err.Error()}
			if failed.Code == "" {
				failed.Code = string(bedrockx.KindOf(item.Err))
			}
		}
		out = appendOutput(out, item.Input.id, item.Input.body, item.Result.body, item.Result.usage, failed)
		s.count(j, item.Result.usage, failed != nil)
	}
	if ctx.Err() != nil {
		unsent = context.Cause(ctx)
	}
	return errors.Join(unsent, s.store(ctx, j, out))
}

// store writes lines to the output of a live job, into a file that is named after
// them, so that no other file has its name.
func (s *Submission) store(ctx context.Context, j *jobState, lines []byte) error {
	if len(lines) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTimeout)
	defer cancel()
	sum := sha256.Sum256(lines)
	to := s.outputOf(j).at(fmt.Sprintf("live-%x.jsonl.out", sum[:8]))
	in := &s3.PutObjectInput{
		Bucket: &to.bucket, Key: &to.key, ContentType: aws.String(jsonLines), ExpectedBucketOwner: optional(s.st.Job.OutputOwner),
		Body: bytes.NewReader(lines), ContentLength: aws.Int64(int64(len(lines))),
	}
	if key := s.st.Job.KMSKey; key != "" {
		in.ServerSideEncryption, in.SSEKMSKeyId = types.ServerSideEncryptionAwsKms, &key
	}
	if _, err := s.c.store.PutObject(ctx, in); err != nil {
		return fmt.Errorf("batch: writing %s: %w", to, err)
	}
	return nil
}

// storeTimeout bounds the writing of a chunk's results, also of a process that is
// about to end.
const storeTimeout = 20 * time.Second

// call sends one record live, through the pipeline of the client.
func (s *Submission) call(ctx context.Context, body json.RawMessage) (json.RawMessage, bedrockkit.Usage, error) {
	model := s.st.Job.Model
	if s.st.Type != TypeConverse {
		result, err := bedrockx.Invoke(ctx, s.c.o.Live, model, bedrockx.Raw(body))
		if err != nil {
			return nil, bedrockkit.Usage{}, err
		}
		return result.Output, result.Usage, nil
	}
	var bound struct {
		Config struct {
			MaxTokens int `json:"maxTokens"`
		} `json:"inferenceConfig"`
	}
	if err := json.Unmarshal(body, &bound); err != nil {
		return nil, bedrockkit.Usage{}, err
	}
	var raw json.RawMessage
	call := &bedrockx.Call{Op: bedrockkit.OpConverse, Body: body, MaxTokens: bound.Config.MaxTokens}
	call.Model = model
	call.Decode = func(_ context.Context, resp *bedrockx.Response) error {
		if resp.Body == nil {
			return errors.New("a Converse record needs a client of the AWS SDK in Options.Live")
		}
		var err error
		if raw, err = resp.ReadAll(); err != nil {
			return err
		}
		r, err := converse.DecodeResponse(raw)
		call.Usage, call.StopReason = r.Usage, r.StopReason
		return err
	}
	if err := s.c.o.Live.Do(ctx, call); err != nil {
		return nil, bedrockkit.Usage{}, err
	}
	r, err := converse.DecodeResponse(raw)
	return raw, r.Usage, err
}
