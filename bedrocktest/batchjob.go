package bedrocktest

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"path"
	"strings"
	"sync"
	"time"

	"github.com/mangaassist/bedrockkit"
)

// A batchRun is what a batch job does beyond being there: its statuses follow
// from the clock, its records are read when it is validated and answered when it
// has ended. Whoever asks for the job makes it catch up.
type batchRun struct {
	plan     BatchPlan
	model    bedrockkit.ModelID
	converse bool
	timeout  time.Duration
	in, out  string // URIs

	mu      sync.Mutex
	checked bool
	files   []StoredObject
	total   int
	failure string
	ran     bool
	done    batchManifest
}

type batchManifest struct {
	Total     int   `json:"totalRecordCount"`
	Processed int   `json:"processedRecordCount"`
	Succeeded int   `json:"successRecordCount"`
	Failed    int   `json:"errorRecordCount"`
	Input     int64 `json:"inputTokenCount"`
	Output    int64 `json:"outputTokenCount"`
}

// batchPhase is the status of a job at a time, when it changed to it, and the
// part of its records that are done by then.
type batchPhase struct {
	status  string
	changed time.Time
	part    float64
}

func (p batchPhase) ended() bool {
	switch p.status {
	case "Completed", "PartiallyCompleted", "Failed", "Stopped", "Expired":
		return true
	}
	return false
}

// phase is where a job is: a tenth of its duration it is submitted, a tenth
// validated, then it may be queued, and then it is in progress.
func (b *batchRun) phase(began, stopped, now time.Time) batchPhase {
	d := b.plan.Duration
	validating, validated := began.Add(d/10), began.Add(d/5)
	starts := validated.Add(b.plan.Queued)
	ends, expires := starts.Add(d-d/5), began.Add(b.timeout)
	part := func(at time.Time) float64 {
		if !at.After(starts) {
			return 0
		}
		return min(1, float64(at.Sub(starts))/float64(max(1, ends.Sub(starts))))
	}
	if b.failure != "" {
		return batchPhase{"Failed", validated, 0}
	}
	at := now
	if !stopped.IsZero() {
		at = stopped
	}
	switch {
	case !stopped.IsZero() && now.Before(stopped.Add(d/20)):
		return batchPhase{"Stopping", stopped, part(stopped)}
	case !stopped.IsZero():
		return batchPhase{"Stopped", stopped.Add(d / 20), part(stopped)}
	case !at.Before(expires) && !starts.Before(expires):
		return batchPhase{"Expired", expires, 0}
	case !at.Before(expires) && ends.After(expires):
		return batchPhase{"PartiallyCompleted", expires, part(expires)}
	case !at.Before(ends):
		return batchPhase{"Completed", ends, 1}
	case at.Before(validating):
		return batchPhase{"Submitted", began, 0}
	case at.Before(validated):
		return batchPhase{"Validating", validating, 0}
	case at.Before(starts):
		return batchPhase{"Scheduled", validated, 0}
	}
	return batchPhase{"InProgress", starts, part(at)}
}

// catchUp does what a job has to do by now, and returns where it is.
func (s *Server) catchUp(j *job) (batchPhase, batchManifest) {
	s.mu.Lock()
	stopped := j.stopped
	s.mu.Unlock()
	b, now := j.batch, s.opts.Now()
	b.mu.Lock()
	defer b.mu.Unlock()
	p := b.phase(j.began, stopped, now)
	if !b.checked && p.status != "Submitted" && p.status != "Validating" && p.status != "Expired" {
		b.checked = true
		b.failure = s.checkBatch(b)
		p = b.phase(j.began, stopped, now)
	}
	switch {
	case p.status == "Expired" || p.status == "Failed":
		return p, batchManifest{Total: b.total}
	case p.ended() && !b.ran:
		b.ran = true
		if s.opts.Batch.Store == nil {
			break
		}
		if err := s.runBatch(j, int(p.part*float64(b.total)+0.5)); err != nil {
			b.failure = err.Error()
			return b.phase(j.began, stopped, now), b.done
		}
	case !b.ran:
		n := int(p.part * float64(b.total))
		return p, batchManifest{Total: b.total, Processed: n, Succeeded: n}
	}
	return p, b.done
}

// checkBatch is what the service validates before a job is scheduled: that the
// files can be read, that their lines are JSON, and how many and how large they
// are. It does not look into the records.
func (s *Server) checkBatch(b *batchRun) (failure string) {
	o := s.opts.Batch
	if o.Store == nil {
		return b.plan.Fail
	}
	bucket, prefix := splitURI(b.in)
	all, err := o.Store.List(s.ctx, bucket, prefix)
	if err != nil {
		return "The role has no access to the input: " + err.Error()
	}
	var bytes int64
	for _, f := range all {
		if !strings.HasSuffix(f.Key, ".jsonl") {
			continue
		}
		b.files = append(b.files, f)
		if bytes += f.Size; f.Size > o.MaxFileBytes {
			return fmt.Sprintf("The file %s has %d bytes, more than the maximum of %d.", path.Base(f.Key), f.Size, o.MaxFileBytes)
		}
		if err := s.batchLines(bucket, f.Key, func(line []byte) error {
			b.total++
			if !json.Valid(line) || !isObject(line) {
				return fmt.Errorf("record %d of %s is not a JSON object", b.total, path.Base(f.Key))
			}
			return nil
		}); err != nil {
			return "The input is not valid: " + err.Error()
		}
	}
	switch {
	case len(b.files) == 0:
		return "There is no .jsonl file at the input location."
	case b.total < o.MinRecords:
		return fmt.Sprintf("The job contains less records (%d) than the required minimum of: %d", b.total, o.MinRecords)
	case b.total > o.MaxRecords:
		return fmt.Sprintf("The job contains more records (%d) than the maximum of: %d", b.total, o.MaxRecords)
	case bytes > o.MaxJobBytes:
		return fmt.Sprintf("The job's files have %d bytes, more than the maximum of %d.", bytes, o.MaxJobBytes)
	}
	return b.plan.Fail
}

// batchLines reads the lines of an object. Each is valid until the next.
func (s *Server) batchLines(bucket, key string, each func([]byte) error) error {
	r, err := s.opts.Batch.Store.Open(s.ctx, bucket, key)
	if err != nil {
		return err
	}
	defer r.Close()
	buf := bufio.NewReaderSize(r, 1<<16)
	var long []byte
	for {
		line, err := buf.ReadSlice('\n')
		long = append(long, line...)
		if err == bufio.ErrBufferFull {
			continue
		}
		if err != nil && err != io.EOF {
			return err
		}
		if text := bytes.TrimSpace(long); len(text) > 0 {
			if err := each(text); err != nil {
				return err
			}
		}
		long = long[:0]
		if err == io.EOF {
			return nil
		}
	}
}

func splitURI(uri string) (bucket, key string) {
	bucket, key, _ = strings.Cut(strings.TrimPrefix(uri, "s3://"), "/")
	return bucket, key
}

// runBatch answers the first records of a job and writes its output.
func (s *Server) runBatch(j *job, records int) error {
	b := j.batch
	bucket, _ := splitURI(b.in)
	outBucket, prefix := splitURI(b.out)
	folder := strings.TrimRight(prefix, "/") + "/" + j.arn[strings.LastIndexByte(j.arn, '/')+1:] + "/"
	folder = strings.TrimPrefix(folder, "/")
	b.done.Total = b.total
	left := records
	for _, f := range b.files {
		if left <= 0 {
			break
		}
		w, err := s.opts.Batch.Store.Create(s.ctx, outBucket, folder+path.Base(f.Key)+".out")
		if err != nil {
			return err
		}
		out := &batchOutput{w: w, plan: b.plan, random: rand.New(rand.NewPCG(s.opts.Seed, uint64(len(j.arn))))}
		err = s.batchLines(bucket, f.Key, func(line []byte) error {
			if left--; left < 0 {
				return nil
			}
			b.done.Processed++
			return out.add(s.batchRecord(b, line))
		})
		if closeErr := out.close(); err == nil {
			err = closeErr
		}
		if err != nil {
			return err
		}
	}
	if b.plan.NoManifest {
		return nil
	}
	w, err := s.opts.Batch.Store.Create(s.ctx, outBucket, folder+"manifest.json.out")
	if err != nil {
		return err
	}
	if _, err := w.Write(marshal(b.done)); err != nil {
		w.Close()
		return err
	}
	return w.Close()
}

// batchRecord answers one record: the line of output, nil if it is dropped, and
// how often it is written.
func (s *Server) batchRecord(b *batchRun, line []byte) ([]byte, int) {
	var in struct {
		ID    string          `json:"recordId"`
		Input json.RawMessage `json:"modelInput"`
	}
	_ = json.Unmarshal(line, &in) // it was validated; a part of another type is missing
	n := b.done.Processed
	if in.ID == "" {
		in.ID = "CALL" + fmt.Sprintf("%07d", n)
	}
	out := struct {
		ID     string          `json:"recordId"`
		Input  json.RawMessage `json:"modelInput"`
		Output json.RawMessage `json:"modelOutput,omitempty"`
		Error  object          `json:"error,omitempty"`
	}{ID: in.ID, Input: bytes.Clone(in.Input)}
	var refused *Reply
	if plan := b.plan.FailEvery; plan > 0 && n%plan == 0 {
		refused = Error(http.StatusInternalServerError, "InternalServerException", "The model has failed.")
	} else {
		var used bedrockkit.Usage
		out.Output, used, refused = s.batchAnswer(b, out.Input)
		b.done.Input += used.TotalInput()
		b.done.Output += used.OutputTokens
	}
	if refused != nil {
		b.done.Failed++
		out.Output = nil
		out.Error = object{"errorCode": refused.status, "errorMessage": refused.message}
		if b.plan.StringCodes {
			out.Error["errorCode"] = refused.code
		}
	} else {
		b.done.Succeeded++
	}
	times := 1
	switch {
	case b.plan.DropEvery > 0 && n%b.plan.DropEvery == 0:
		times = 0
	case b.plan.DuplicateEvery > 0 && n%b.plan.DuplicateEvery == 0:
		times = 2
	}
	return append(marshal(out), '\n'), times
}

// batchAnswer answers the request of a record, as one that came by itself.
func (s *Server) batchAnswer(b *batchRun, body json.RawMessage) (json.RawMessage, bedrockkit.Usage, *Reply) {
	req := &Request{Op: bedrockkit.OpInvokeModel, Model: b.model, Body: body, Time: s.opts.Now(), Header: http.Header{}}
	x := &exchange{s: s, ctx: s.ctx, req: req}
	read := s.invokeModel
	if b.converse {
		req.Op, read = bedrockkit.OpConverse, s.converse
	}
	if refused := read(x); refused != nil {
		return nil, bedrockkit.Usage{}, refused
	}
	switch {
	case b.converse && len(req.Tools) > 0:
		return nil, bedrockkit.Usage{}, invalid("Tool use is not supported for batch inference with Converse.")
	case len(req.cacheMarks) > 0:
		return nil, bedrockkit.Usage{}, invalid("Prompt caching is not supported for batch inference.")
	}
	instead, apply := s.faults(req)
	r := instead
	if r == nil {
		if c, computes := req.family.(computer); computes {
			answer, tokens := c.compute(req)
			return answer, bedrockkit.Usage{InputTokens: tokens}, nil
		}
		if r = x.guard(); r == nil {
			r = x.model()
		}
		for _, fn := range apply {
			r = r.clone()
			fn(r)
		}
	}
	switch {
	case r.isRaw && r.status == http.StatusOK && json.Valid(r.raw):
		return r.raw, bedrockkit.Usage{}, nil
	case r.inStream != nil:
		return nil, bedrockkit.Usage{}, Error(exceptionStatus(r.inStream.code), r.inStream.code, r.inStream.message)
	case r.status != 0 || r.code != "":
		return nil, bedrockkit.Usage{}, r
	}
	a := x.complete(r)
	if req.family != nil {
		return a.withAction(req.family.body(a)), a.usage, nil
	}
	return converseBody(a), a.usage, nil
}

// A batchOutput writes lines in another order than they come in, some at a time.
type batchOutput struct {
	w      io.WriteCloser
	plan   BatchPlan
	random *rand.Rand
	held   [][]byte
	tail   []byte // what may be truncated
}

const shuffled = 256

func (o *batchOutput) add(line []byte, times int) error {
	for range times {
		o.held = append(o.held, line)
	}
	if len(o.held) < shuffled {
		return nil
	}
	return o.flush()
}

func (o *batchOutput) flush() error {
	if !o.plan.InOrder {
		o.random.Shuffle(len(o.held), func(i, k int) { o.held[i], o.held[k] = o.held[k], o.held[i] })
	}
	for _, line := range o.held {
		o.tail = append(o.tail, line...)
	}
	o.held = o.held[:0]
	n := max(0, len(o.tail)-int(o.plan.Truncate))
	_, err := o.w.Write(o.tail[:n])
	o.tail = append(o.tail[:0], o.tail[n:]...)
	return err
}

func (o *batchOutput) close() error {
	err := o.flush()
	if closeErr := o.w.Close(); err == nil {
		err = closeErr
	}
	return err
}
