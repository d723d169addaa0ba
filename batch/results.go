package batch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/bedrockx"
	"github.com/mangaassist/bedrockkit/pricing"
)

// Results are the results of a set whose jobs have ended. Each call of All reads them
// from S3. Only one goroutine at a time may use them.
type Results[Out any] struct {
	s      *Submission
	decode decoder[Out]
	stats  Stats
	usage  map[*jobState]bedrockkit.Usage // that the records give
}

// Stats count what [Results.All] has read.
type Stats struct {
	Records   int64 // of the set, including refused records
	Succeeded int64
	Failed    int64 // with an error of the service, or an unreadable answer
	Missing   int64 // without a line of output
	Refused   int64 // refused before they were written

	// Lines that should not exist, and how All handles them.
	Duplicated int64 // a second line of a record: ignored
	Strange    int64 // lines of records that are not in the set: ignored
	Unreadable int64 // lines that are not JSON, such as a last line that was cut: their records are missing
}

// ResultsOf returns the results of a set. In is the type of its records:
//
//	results := batch.ResultsOf[anthropic.Request](submission)
func ResultsOf[In bedrockx.Payload[Out], Out any](s *Submission) *Results[Out] {
	return &Results[Out]{s: s, decode: decode[In, Out]}
}

// A decoder reads the response of a line.
type decoder[Out any] func(*outputLine) (Out, bedrockkit.Usage, bedrockkit.StopReason, error)

// decode reads the response without its request, which a line repeats. The few
// families whose response is only understood with it get it then.
func decode[In bedrockx.Payload[Out], Out any](line *outputLine) (Out, bedrockkit.Usage, bedrockkit.StopReason, error) {
	var in In
	out, usage, stop, err := in.DecodeInvoke(line.output)
	if err != nil && line.input != nil && json.Unmarshal(line.input, &in) == nil {
		return in.DecodeInvoke(line.output)
	}
	return out, usage, stop, err
}

// All yields the result of each record of the set, once. First come the results in the
// order of the output files, which differs from the order of the records, then the
// missing records, and last the refused ones. Result.Err is the error of one record.
// The second value is an error that ends the results, so it is yielded last:
// [ErrRunning], an error of S3 or the error of the context.
//
// Memory holds 128 bits of each id of one job.
func (r *Results[Out]) All(ctx context.Context) iter.Seq2[Result[Out], error] {
	return func(yield func(Result[Out], error) bool) {
		r.stats, r.usage = Stats{}, map[*jobState]bedrockkit.Usage{}
		if !r.s.ended() {
			yield(Result[Out]{}, fmt.Errorf("batch: %s: %w; call Wait", r.s.st.Job.Name, ErrRunning))
			return
		}
		again, err := r.s.again(ctx)
		if err != nil {
			yield(Result[Out]{}, err)
			return
		}
		for _, j := range r.s.st.Jobs {
			skip := again
			if j.Round > 0 {
				skip = nil
			}
			for o, err := range r.s.outcomes(ctx, j, skip, &r.stats) {
				if err != nil {
					yield(Result[Out]{}, err)
					return
				}
				if !yield(r.result(j, &o), nil) {
					return
				}
			}
		}
		for _, refused := range r.s.st.Refused {
			r.stats.Records++
			r.stats.Refused++
			if !yield(Result[Out]{ID: refused.ID, Err: refused.err()}, nil) {
				return
			}
		}
	}
}

// result makes a result of what a job has of a record.
func (r *Results[Out]) result(j *jobState, o *outcome) Result[Out] {
	r.stats.Records++
	result := Result[Out]{ID: o.line.id, Job: j.ARN}
	if o.err != nil {
		if errors.Is(o.err, ErrMissing) {
			r.stats.Missing++
		} else {
			r.stats.Failed++
		}
		result.Err = o.err
		return result
	}
	read(&result, &o.line, r.decode)
	r.usage[j] = r.usage[j].Add(result.Usage)
	if result.Err != nil {
		r.stats.Failed++
	} else {
		r.stats.Succeeded++
	}
	return result
}

// read decodes the response of a line.
func read[Out any](result *Result[Out], line *outputLine, decode decoder[Out]) {
	out, usage, stop, err := decode(line)
	if usage.Unknown && line.usage != nil {
		_ = json.Unmarshal(line.usage, &usage) // ours
	}
	result.Usage, result.StopReason = usage, stop
	if err != nil {
		result.Err = &RecordError{ID: result.ID, Err: &bedrockx.Error{Kind: bedrockx.KindCorrupt, Err: err}}
		return
	}
	result.Output = out
	if cut(out, stop) {
		result.Err = &RecordError{ID: result.ID, Err: fmt.Errorf("%w (stop reason %s); raise the bound on its answer", ErrCut, stop)}
	}
}

// Read yields the results of an output file of a batch job, or of one part of it, in
// the order of its lines. In is the type of the records. A line that is not JSON is an
// error, which is yielded last and ends the results. [Results.All] is different: it
// reads on and yields the missing records.
func Read[In bedrockx.Payload[Out], Out any](file io.Reader) iter.Seq2[Result[Out], error] {
	return func(yield func(Result[Out], error) bool) {
		lines := newLineReader(file, maxReadLine)
		for n := 1; ; n++ {
			text, err := lines.next()
			if err == io.EOF {
				return
			}
			var line outputLine
			if err == nil {
				line, err = parseLine(text)
			}
			if err != nil {
				yield(Result[Out]{}, fmt.Errorf("batch: line %d: %w", n, err))
				return
			}
			result := Result[Out]{ID: line.id}
			if failed := line.failure(); failed != nil {
				result.Err = failed
			} else {
				read(&result, &line, decode[In, Out])
			}
			if !yield(result, nil) {
				return
			}
		}
	}
}

const maxReadLine = 64 << 20

// Stats returns the counts of the last call of All, as far as it was read.
func (r *Results[Out]) Stats() Stats { return r.stats }

// Cost is what a set has cost in US dollars.
type Cost struct {
	Usage bedrockkit.Usage `json:"usage"`

	// Total is the cost: at the batch rate for the records of jobs, and in the
	// standard tier for records that were sent live. Live is what the whole set would
	// have cost with live calls. They are nil if they are not known; Err then says
	// why.
	Total *pricing.Amount `json:"total,omitempty"`
	Live  *pricing.Amount `json:"live,omitempty"`
	Err   error           `json:"-"`
}

// Cost returns what the set has cost, from the manifest of each job or, if a job has
// none, from its records. It is complete after All was read to the end.
func (r *Results[Out]) Cost() Cost {
	cost := Cost{Total: new(pricing.Amount), Live: new(pricing.Amount)}
	for _, j := range r.s.st.Jobs {
		usage := r.usage[j]
		if m := j.Manifest; m != nil && m.InputTokens+m.OutputTokens > 0 {
			usage = m.usage()
		}
		cost.Usage = cost.Usage.Add(usage)
		day := j.Submitted
		if day.IsZero() {
			day = r.s.st.Began
		}
		if usage == (bedrockkit.Usage{}) {
			continue
		}
		own, err := r.s.c.cost(r.s.st.Job.Model, usage, j.Live, day)
		if err == nil {
			var live pricing.Amount
			live, err = r.s.c.cost(r.s.st.Job.Model, usage, true, day)
			cost.Live = plus(cost.Live, &live)
			cost.Total = plus(cost.Total, &own)
		}
		if err != nil {
			cost.Total, cost.Live, cost.Err = nil, nil, err
		}
	}
	return cost
}

// An outcome is what a job has of a record: a line with an answer, or an error.
// The line is valid until the next one.
type outcome struct {
	line outputLine
	err  *RecordError
}

// outcomes yields what a job has of its records, each once; then those that it
// has nothing of. Records that have failed and are in skip are left out: another
// job has them.
func (s *Submission) outcomes(ctx context.Context, j *jobState, skip *idSet, stats *Stats) iter.Seq2[outcome, error] {
	return func(yield func(outcome, error) bool) {
		ids, unnamed, err := s.index(ctx, j)
		if err != nil {
			yield(outcome{}, err)
			return
		}
		for line, err := range s.outputs(ctx, j) {
			if err == errUnreadable {
				stats.Unreadable++
				continue
			}
			if err != nil {
				yield(outcome{}, err)
				return
			}
			before, known := ids.see(line.id)
			switch {
			case !known && unnamed: // the service has made up ids
				ids.add(line.id)
				ids.see(line.id)
			case !known:
				stats.Strange++
				continue
			case before == seen:
				stats.Duplicated++
				continue
			}
			o := outcome{line: line, err: line.failure()}
			if o.err != nil && skip.has(line.id) {
				continue
			}
			if !yield(o, nil) {
				return
			}
		}
		s.missing(ctx, j, ids, skip, yield)
	}
}

// missing yields the records of a job that it has no line for.
func (s *Submission) missing(ctx context.Context, j *jobState, ids *idSet, skip *idSet, yield func(outcome, error) bool) {
	left := 0
	for _, m := range ids.marks {
		if m == expected {
			left++
		}
	}
	if left == 0 {
		return
	}
	reason := error(ErrMissing)
	if j.Status != StatusCompleted {
		e := &JobError{ARN: j.ARN, Status: j.Status, Message: j.Message}
		if !j.Submitted.IsZero() && !j.Ended.IsZero() {
			e.Waited = j.Ended.Sub(j.Submitted)
		}
		reason = e
	}
	for line, err := range s.inputs(ctx, j) {
		if err != nil {
			yield(outcome{}, err)
			return
		}
		id, ok := idOf(line)
		if m, _ := ids.markOf(id); !ok || m == seen || skip.has(id) {
			continue
		}
		if !yield(outcome{line: outputLine{id: id}, err: &RecordError{ID: id, Err: reason}}, nil) {
			return
		}
	}
}

// again are the records that a later job has.
func (s *Submission) again(ctx context.Context) (*idSet, error) {
	ids := newIDSet()
	for _, j := range s.st.Jobs {
		if j.Round == 0 {
			continue
		}
		for line, err := range s.inputs(ctx, j) {
			if err != nil {
				return nil, err
			}
			if id, ok := idOf(line); ok {
				ids.add(id)
			}
		}
	}
	return ids, nil
}

// index reads the ids of a job's input. Unnamed reports whether there are records
// without one, which a job that is not ours may have.
func (s *Submission) index(ctx context.Context, j *jobState) (ids *idSet, unnamed bool, err error) {
	ids = newIDSet()
	for line, err := range s.inputs(ctx, j) {
		if err != nil {
			return nil, false, err
		}
		if id, ok := idOf(line); ok && id != "" {
			ids.add(id)
		} else {
			unnamed = true
		}
	}
	return ids, unnamed, nil
}

// inputs yields the lines of a job's input, each valid until the next.
func (s *Submission) inputs(ctx context.Context, j *jobState) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		folder, err := parseURI(j.Folder)
		if err != nil {
			yield(nil, err)
			return
		}
		owner := optional(s.st.Job.InputOwner)
		keys := make([]string, 0, len(j.Files))
		for _, f := range j.Files {
			keys = append(keys, f.Key)
		}
		if s.st.foreign {
			if !strings.HasSuffix(folder.key, ".jsonl") { // which is a file
				folder = folder.at("")
			}
			for object, err := range list(ctx, s.c.store, folder, owner) {
				if err != nil {
					yield(nil, fmt.Errorf("batch: %w", err))
					return
				}
				if strings.HasSuffix(aws.ToString(object.Key), ".jsonl") {
					keys = append(keys, *object.Key)
				}
			}
		}
		for _, key := range keys {
			if !s.lines(ctx, location{folder.bucket, key}, owner, yield) {
				return
			}
		}
	}
}

// outputs yields the lines of a job's output. One that is not JSON is
// errUnreadable and not the last one.
func (s *Submission) outputs(ctx context.Context, j *jobState) iter.Seq2[outputLine, error] {
	return func(yield func(outputLine, error) bool) {
		if j.ARN == "" && !j.Live {
			return // it was never created
		}
		owner := optional(s.st.Job.OutputOwner)
		folder := s.outputOf(j).at("")
		for object, err := range list(ctx, s.c.store, folder, owner) {
			if err != nil {
				yield(outputLine{}, fmt.Errorf("batch: %w", err))
				return
			}
			if !strings.HasSuffix(aws.ToString(object.Key), ".jsonl.out") {
				continue
			}
			more := s.lines(ctx, location{folder.bucket, *object.Key}, owner, func(text []byte, err error) bool {
				if err != nil {
					return yield(outputLine{}, err)
				}
				return yield(parseLine(text))
			})
			if !more {
				return
			}
		}
	}
}

// lines yields the lines of an object and reports whether to go on. After an error
// it does not.
func (s *Submission) lines(ctx context.Context, from location, owner *string, yield func([]byte, error) bool) bool {
	d := &download{ctx: ctx, api: s.c.store, from: from, owner: owner}
	defer d.Close()
	lines := newLineReader(d, s.c.o.MaxLineBytes)
	for {
		line, err := lines.next()
		switch {
		case err == io.EOF:
			return true
		case err != nil:
			yield(nil, fmt.Errorf("batch: %w", err))
			return false
		}
		if !yield(line, nil) {
			return false
		}
	}
}
