package batch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/bedrock"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/pricing"
)

// Progress is the progress of a set.
type Progress struct {
	Jobs []JobStatus

	Records   int64 // of the set, without refused records
	Processed int64
	Succeeded int64
	Failed    int64 // with an error; missing records are only in the results

	// Usage is what was used so far, and Cost what it costs at the batch rate.
	// LiveCost is what live calls would have cost. Until a job has ended, they are
	// estimated from the number of records (Estimated). A cost is nil if there is no
	// price.
	Usage     bedrockkit.Usage
	Cost      *pricing.Amount
	LiveCost  *pricing.Amount
	Estimated bool

	Elapsed time.Duration // since the set was started

	// Left is how long the rest will take at the current speed; 0 if that is not
	// known.
	Left time.Duration

	// Held says why jobs wait to be created, such as a quota. It is nil if no job
	// waits.
	Held error

	Done bool // all jobs have ended, and no record will be sent again
}

// Bar returns the progress as one line for a terminal, with a bar that is width
// characters wide: [#####.....] 512/1024 records, 3 failed, $0.12 of $0.24 live, 4m
// left.
func (p Progress) Bar(width int) string {
	width = max(1, width)
	full := 0
	if p.Records > 0 {
		full = int(min(p.Processed, p.Records) * int64(width) / p.Records)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "[%s%s] %d/%d records", strings.Repeat("#", full), strings.Repeat(".", width-full), p.Processed, p.Records)
	if p.Failed > 0 {
		fmt.Fprintf(&b, ", %d failed", p.Failed)
	}
	if p.Cost != nil {
		about := ""
		if p.Estimated {
			about = "about "
		}
		fmt.Fprintf(&b, ", %s%s", about, p.Cost.Display(3))
		if p.LiveCost != nil {
			fmt.Fprintf(&b, " (live %s)", p.LiveCost.Display(3))
		}
	}
	switch {
	case p.Done:
		b.WriteString(", done")
	case p.Left > 0:
		fmt.Fprintf(&b, ", %v left", p.Left.Round(time.Second))
	case p.Held != nil:
		b.WriteString(", waiting for room")
	}
	return b.String()
}

// lookFailures is how many looks in a row may fail before Watch gives up.
const lookFailures = 8

// Watch checks the jobs until all have ended, and yields the progress after each
// check. It also creates the jobs that were waiting, sends the live records, and sends
// records again as Job.Retry says. The wait between two checks grows from
// Options.MinDelay to MaxDelay; [Submission.Notify] ends it.
//
// An error is yielded last: a job cannot be created, S3 fails, eight checks in a row
// fail, [ErrConflict], or the error of the context. If you leave the loop, no job is
// stopped. The set can be watched again, here or in another process.
func (s *Submission) Watch(ctx context.Context) iter.Seq2[Progress, error] {
	return func(yield func(Progress, error) bool) {
		if !s.st.Written {
			yield(Progress{}, fmt.Errorf("batch: %s: %w", s.st.Job.Name, ErrNotWritten))
			return
		}
		delay, failures := s.c.o.MinDelay, 0
		for {
			changed, err := s.step(ctx, func() bool { return yield(s.progress(), nil) })
			switch {
			case errors.Is(err, errLeft):
				return
			case err != nil && ctx.Err() != nil:
				yield(Progress{}, fmt.Errorf("batch: watching %s: %w", s.st.Job.Name, context.Cause(ctx)))
				return
			case err != nil:
				if failures++; failures >= lookFailures || !transient(err) {
					yield(Progress{}, err)
					return
				}
			default:
				failures = 0
				p := s.progress()
				if !yield(p, nil) || p.Done {
					return
				}
			}
			if changed {
				delay = s.c.o.MinDelay
			}
			if !s.sleep(ctx, delay) {
				yield(Progress{}, fmt.Errorf("batch: watching %s: %w", s.st.Job.Name, context.Cause(ctx)))
				return
			}
			delay = min(delay+delay/2, s.c.o.MaxDelay)
		}
	}
}

// errLeft is the error of a step whose caller has left the loop.
var errLeft = errors.New("the loop was left")

// transient reports whether the next look may succeed.
func transient(err error) bool {
	switch code(err) {
	case "AccessDeniedException", "ValidationException", "ResourceNotFoundException", "ConflictException",
		"AccessDenied", "NoSuchBucket", "NoSuchKey", "InvalidBucketName": // of S3
		return false
	}
	for _, ours := range []error{ErrConflict, ErrForeignJob, ErrTooFew, ErrTooLong, errNoLive, errUnreadable} {
		if errors.Is(err, ours) {
			return false
		}
	}
	return true
}

// sleep waits about that long, until Notify, or until the context ends: false.
func (s *Submission) sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d + time.Duration((rand.Float64()-0.5)*0.4*float64(d)))
	defer t.Stop()
	select {
	case <-t.C:
	case <-s.wake:
	case <-ctx.Done():
		return false
	}
	return true
}

// step is one look at everything. It reports whether a status has changed.
func (s *Submission) step(ctx context.Context, tell func() bool) (changed bool, err error) {
	if !s.st.Stopped {
		if err := s.create(ctx); err != nil {
			return false, err
		}
	}
	for _, j := range s.st.Jobs {
		if j.ARN == "" || j.Status.Terminal() {
			continue
		}
		now, err := s.look(ctx, j)
		if err != nil {
			return changed, err
		}
		if changed = changed || now; now {
			if err := s.save(ctx); err != nil {
				return changed, err
			}
		}
	}
	for _, j := range s.st.Jobs {
		if j.Live && !j.Status.Terminal() && !s.st.Stopped {
			if err := s.runLive(ctx, j, tell); err != nil {
				return true, err
			}
		}
	}
	if s.ended() && !s.st.Retried && !s.st.Stopped {
		if err := s.retry(ctx); err != nil {
			return true, err
		}
		return true, s.create(ctx)
	}
	return changed, nil
}

// ended reports whether all jobs have.
func (s *Submission) ended() bool {
	for _, j := range s.st.Jobs {
		if !j.Status.Terminal() {
			return false
		}
	}
	return true
}

// Wait waits until all jobs have ended, with any status; the results have the status.
// It does what [Submission.Watch] does.
func (s *Submission) Wait(ctx context.Context) error {
	for _, err := range s.Watch(ctx) {
		if err != nil {
			return err
		}
	}
	return nil
}

// progress is how far the set is, by what was seen last.
func (s *Submission) progress() Progress {
	p := Progress{Jobs: s.Jobs(), Held: s.held, Elapsed: max(0, time.Since(s.st.Began)), Done: s.ended() && (s.st.Retried || s.st.Stopped)}
	cost, live := new(pricing.Amount), new(pricing.Amount)
	var first time.Time
	for _, j := range s.st.Jobs {
		m := j.manifest()
		if j.Round == 0 {
			p.Records += int64(j.Records)
		}
		p.Processed, p.Succeeded, p.Failed = p.Processed+m.Processed, p.Succeeded+m.Succeeded, p.Failed+m.Failed
		usage := m.usage()
		if j.Manifest == nil && !j.Live && m.Processed > 0 {
			usage, p.Estimated = s.st.Plan.share(m.Processed), true
		}
		p.Usage = p.Usage.Add(usage)
		cost, live = plus(cost, s.price(usage, j, j.Live)), plus(live, s.price(usage, j, true))
		if !j.Started.IsZero() && (first.IsZero() || j.Started.Before(first)) {
			first = j.Started
		}
	}
	p.Cost, p.LiveCost = cost, live
	// What is sent again has not failed for good. A manifest may count a record that
	// has no line, so that it is counted twice.
	p.Processed, p.Failed = p.Processed-s.st.RetriedFailed, max(0, p.Failed-s.st.RetriedFailed)
	p.Processed, p.Succeeded = min(max(0, p.Processed), p.Records), min(p.Succeeded, p.Records)
	if rest := p.Records - p.Processed; !p.Done && rest > 0 && p.Processed > 0 && !first.IsZero() {
		p.Left = max(0, time.Duration(float64(time.Since(first))/float64(p.Processed)*float64(rest))) // clocks differ
	}
	return p
}

// plus is a sum, nil if a part of it is not known.
func plus(a, b *pricing.Amount) *pricing.Amount {
	if a == nil || b == nil {
		return nil
	}
	sum := a.Add(*b)
	return &sum
}

// Stop stops the running jobs and creates no others. It is not an error if a job has
// ended meanwhile. Records that were done before are billed and have results; call
// Wait and read them. It returns [ErrConflict] if another process that watches the set
// has changed its state: resume the set and stop it again.
func (s *Submission) Stop(ctx context.Context) error {
	s.mu.Lock()
	s.st.Stopped = true
	for _, j := range s.st.Jobs {
		if j.ARN == "" && !j.Status.Terminal() && (j.Live || j.Token == "") {
			j.Status, j.Message = StatusStopped, "it was stopped before it began"
		}
	}
	s.mu.Unlock()
	if err := s.save(ctx); err != nil {
		return err
	}
	for _, j := range s.st.Jobs {
		if j.ARN == "" && j.Token != "" { // it may have been created
			arn, err := s.find(ctx, j)
			if err != nil {
				return err
			}
			s.mu.Lock()
			if j.ARN = arn; arn == "" {
				j.Status, j.Message = StatusStopped, "it was stopped before it began"
			}
			s.mu.Unlock()
		}
		if j.ARN == "" || j.Status.Terminal() {
			continue
		}
		_, err := s.c.jobs.StopModelInvocationJob(ctx, &bedrock.StopModelInvocationJobInput{JobIdentifier: &j.ARN})
		if _, lookErr := s.look(ctx, j); lookErr != nil {
			return errors.Join(err, lookErr)
		}
		if err != nil && !j.Status.Terminal() && j.Status != StatusStopping {
			return fmt.Errorf("batch: stopping the job %s: %w", j.Name, err)
		}
	}
	return s.save(ctx)
}

// Notify makes Watch check the jobs at once, if the event is about a job of this set.
// It is safe for concurrent use. Not every event is delivered, so Watch also checks by
// itself.
func (s *Submission) Notify(e Event) {
	for _, j := range s.Jobs() {
		if j.ARN == e.JobARN {
			select {
			case s.wake <- struct{}{}:
			default:
			}
			return
		}
	}
}

// An Event is a change of a job's status, from Amazon EventBridge.
type Event struct {
	JobARN  string             `json:"batchJobArn"`
	JobName string             `json:"batchJobName"`
	Model   bedrockkit.ModelID `json:"batchModelId"`
	Status  Status             `json:"status"`
	Message string             `json:"failureMessage"`
	Account string             `json:"accountId"`
}

// ParseEvent reads an event of EventBridge. The rule must have the source
// "aws.bedrock" and the detail-type "Batch Inference Job State Change" ("Monitor batch
// inference jobs", Amazon Bedrock User Guide). It returns an error for any other event
// and for an unknown status. It does not read the times of the event, because they
// have no fixed form.
func ParseEvent(data []byte) (Event, error) {
	const source, detail = "aws.bedrock", "Batch Inference Job State Change"
	var v struct {
		Source string `json:"source"`
		Type   string `json:"detail-type"`
		Detail Event  `json:"detail"`
	}
	if err := json.Unmarshal(data, &v); err != nil {
		return Event{}, fmt.Errorf("batch: the event is not JSON of EventBridge: %w", err)
	}
	e := v.Detail
	switch {
	case v.Source != source || v.Type != detail:
		return Event{}, fmt.Errorf("batch: the event is %.60q of %.60q; that of a batch job is %q of %q", v.Type, v.Source, detail, source)
	case !e.Status.known():
		return Event{}, fmt.Errorf("batch: the event's status is %.40q; a status is as Completed or InProgress", e.Status)
	case !strings.HasPrefix(e.JobARN, "arn:"):
		return Event{}, errors.New("batch: the event names no job")
	}
	return e, nil
}
