package batch

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"iter"
	"strconv"
	"unicode/utf8"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/bedrockx"
)

// Written says what [Write] has written.
type Written struct {
	Records int
	Bytes   int64
	Refused []*RefusedError // at most Job.MaxRefused
}

// Write writes records as the lines of one input file, for jobs that you run yourself.
// ([Submit] writes them to S3.) It uses only Model, StructuredOutput and MaxRefused of
// job. If more than MaxRefused records are refused, it stops and returns a
// [*RefusedError]. It also stops if records yields an error.
func Write[In bedrockx.Payload[Out], Out any](w io.Writer, job Job, records iter.Seq2[Record[In], error]) (Written, error) {
	var written Written
	if err := checkModel(job.Model); err != nil {
		return written, err
	}
	ids := newIDSet()
	var line []byte
	for r, err := range encode(&job, records) {
		if err != nil {
			return written, err
		}
		if refusal := r.refusal(ids, maxLine); refusal != nil {
			if written.Refused = append(written.Refused, refusal); len(written.Refused) > job.MaxRefused {
				return written, refusal
			}
			continue
		}
		line = appendInput(line[:0], r.id, r.body)
		n, err := w.Write(line)
		written.Bytes += int64(n)
		if err != nil {
			return written, fmt.Errorf("batch: writing record %d: %w", r.line, err)
		}
		written.Records++
	}
	return written, nil
}

// maxLine bounds a line of [Write]; that of a file in S3 is bounded by its size.
const maxLine = 1e9

// encoded is a record as JSON.
type encoded struct {
	line      int // its position in the set, from 1
	id        string
	body      []byte
	maxTokens int
	err       error // why it is refused
}

// refusal is the reason to refuse a record, and the one place that knows all ids.
func (r *encoded) refusal(ids *idSet, most int64) *RefusedError {
	switch {
	case r.err != nil:
	case len(r.id) > maxID:
		r.err = fmt.Errorf("its id has %d bytes; %d are the most", len(r.id), maxID)
		r.id = r.id[:maxID]
	case !utf8.ValidString(r.id):
		r.err = errors.New("its id is not UTF-8")
	case int64(len(r.body)+len(r.id)+64) > most:
		r.err = fmt.Errorf("it has %d bytes; a file has at most %d", len(r.body), most)
	case !ids.add(r.id):
		r.err = ErrDuplicate
	default:
		return nil
	}
	return &RefusedError{Line: r.line, ID: r.id, Err: r.err}
}

// encode makes JSON of records and checks each.
func encode[In bedrockx.Payload[Out], Out any](job *Job, records iter.Seq2[Record[In], error]) iter.Seq2[*encoded, error] {
	return func(yield func(*encoded, error) bool) {
		var e encoded
		// A record is done with before the next, so they share what it takes.
		var buf []byte
		in := new(In)
		appender, appends := any(in).(interface {
			AppendInvoke(dst []byte, model bedrockkit.ModelID) ([]byte, error)
		})
		bounded, bounds := any(in).(bedrockx.OutputBound)
		for r, err := range records {
			e = encoded{line: e.line + 1, id: r.ID}
			if err != nil {
				yield(nil, fmt.Errorf("batch: record %d: %w", e.line, err))
				return
			}
			*in = r.Input
			var body []byte
			if appends {
				buf, err = appender.AppendInvoke(buf[:0], job.Model)
				body = buf
			} else {
				body, err = r.Input.EncodeInvoke(job.Model)
			}
			if err == nil {
				err = job.check(in, body)
			}
			if e.body, e.err = body, err; err == nil {
				if e.id == "" {
					e.id = deriveID(e.line, body)
				}
				if bounds {
					e.maxTokens = bounded.MaxOutputTokens()
				}
			}
			if !yield(&e, nil) {
				return
			}
		}
	}
}

// deriveID makes an id of a record's position, which makes it unique, and of its
// content, which shows when a set has changed.
func deriveID(line int, body []byte) string {
	sum := sha256.Sum256(body)
	return fmt.Sprintf("%08d-%x", line, sum[:8])
}

// A splitter cuts lines into files and jobs. It holds the last MinRecords lines
// back, up to maxHeld bytes: when a job is full, the next one is sure to have as
// many as a job must have.
type splitter struct {
	limits Limits
	open   func(job, file int) (*fileWriter, error)

	held  [][]byte // a ring
	first int      // of those held
	count int
	bytes int64 // of those held

	jobs []*jobState
	file *fileWriter
}

const maxHeld = 64 << 20

func newSplitter(limits Limits, open func(job, file int) (*fileWriter, error)) *splitter {
	return &splitter{limits: limits, open: open, held: make([][]byte, limits.MinRecords)}
}

func (p *splitter) add(id string, body []byte) error {
	for p.count > 0 && (p.count == len(p.held) || p.bytes > maxHeld) {
		if err := p.emit(false); err != nil {
			return err
		}
	}
	slot := &p.held[(p.first+p.count)%len(p.held)]
	*slot = appendInput((*slot)[:0], id, body)
	p.count++
	p.bytes += int64(len(*slot))
	return nil
}

// emit writes the oldest line that is held.
func (p *splitter) emit(newJob bool) error {
	line := p.held[p.first]
	p.first = (p.first + 1) % len(p.held)
	p.count--
	p.bytes -= int64(len(line))
	size := int64(len(line))

	if len(p.jobs) > 0 {
		j := p.jobs[len(p.jobs)-1]
		newJob = newJob || j.Records+1 > p.limits.MaxRecords || j.Bytes+size > p.limits.MaxJobBytes
	}
	if len(p.jobs) == 0 || newJob {
		if err := p.endFile(); err != nil {
			return err
		}
		p.jobs = append(p.jobs, &jobState{})
	}
	j := p.jobs[len(p.jobs)-1]
	if f := p.file; f != nil && (f.records+1 > p.limits.MaxFileRecords || f.bytes+size > p.limits.MaxFileBytes) {
		if err := p.endFile(); err != nil {
			return err
		}
	}
	if p.file == nil {
		var err error
		if p.file, err = p.open(len(p.jobs), len(j.Files)+1); err != nil {
			return err
		}
	}
	j.Records++
	j.Bytes += size
	return p.file.write(line)
}

// finish writes what is held: into the last job if it has room for all of it,
// otherwise into a job of its own.
func (p *splitter) finish() error {
	newJob := false
	if len(p.jobs) > 0 {
		j := p.jobs[len(p.jobs)-1]
		newJob = j.Records+p.count > p.limits.MaxRecords || j.Bytes+p.bytes > p.limits.MaxJobBytes
	}
	for p.count > 0 {
		if err := p.emit(newJob); err != nil {
			return err
		}
		newJob = false
	}
	return p.endFile()
}

func (p *splitter) endFile() error {
	if p.file == nil {
		return nil
	}
	f, err := p.file.close()
	p.file = nil
	if err != nil {
		return err
	}
	j := p.jobs[len(p.jobs)-1]
	j.Files = append(j.Files, f)
	return nil
}

// abort gives up the file that is being written.
func (p *splitter) abort() {
	if p.file != nil {
		p.file.u.Abort()
	}
}

// A fileWriter writes one input file to S3.
type fileWriter struct {
	u       *upload
	digest  hash.Hash
	records int
	bytes   int64
}

func (f *fileWriter) write(line []byte) error {
	f.digest.Write(line)
	f.records++
	f.bytes += int64(len(line))
	_, err := f.u.Write(line)
	return err
}

func (f *fileWriter) close() (fileState, error) {
	if err := f.u.Close(); err != nil {
		f.u.Abort()
		return fileState{}, err
	}
	return fileState{Key: f.u.to.key, Records: f.records, Bytes: f.bytes, Digest: hex.EncodeToString(f.digest.Sum(nil))}, nil
}

// writeJobs writes lines, those that each takes, into the folder of a new attempt
// and returns the jobs that they make. A job of too few records is a live one,
// if few allows it.
func (s *Submission) writeJobs(ctx context.Context, round int, few bool, lines iter.Seq2[*encoded, error], each func(*encoded) (bool, error)) ([]*jobState, error) {
	st := s.st
	st.Attempt++
	if err := s.save(ctx); err != nil { // the folder is nobody else's from here on
		return nil, err
	}
	place := st.Job.place().at(fmt.Sprintf("files-%03d", st.Attempt))
	folder := func(job int) location { return place.at(fmt.Sprintf("job-%04d", job)) }
	buf := parts.Get().(*[partBytes]byte)
	split := newSplitter(st.Limits, func(job, file int) (*fileWriter, error) {
		to := folder(job).at(fmt.Sprintf("part-%04d.jsonl", file))
		return &fileWriter{digest: sha256.New(), u: &upload{ctx: ctx, api: s.c.store, to: to, owner: optional(st.Job.InputOwner), buf: buf[:]}}, nil
	})
	done := false
	defer func() {
		if !done { // what was broken off may still be read, so the buffer is nobody's any more
			split.abort()
			return
		}
		parts.Put(buf)
	}()
	for r, err := range lines {
		if err != nil {
			return nil, err
		}
		take, err := each(r)
		if err != nil {
			return nil, err
		}
		if !take {
			continue
		}
		if err := split.add(r.id, r.body); err != nil {
			return nil, fmt.Errorf("batch: writing record %d: %w", r.line, err)
		}
	}
	if n := split.count; len(split.jobs) == 0 && (n == 0 || n < st.Limits.MinRecords && !few) {
		return nil, tooFew(n, st.Limits)
	}
	if err := split.finish(); err != nil {
		return nil, fmt.Errorf("batch: writing the last file: %w", err)
	}
	done = true
	for i, j := range split.jobs {
		j.Round, j.Folder = round, folder(i+1).String()+"/"
		if j.Live = j.Records < st.Limits.MinRecords; j.Live && !few {
			return nil, tooFew(j.Records, st.Limits)
		}
	}
	return split.jobs, nil
}

func tooFew(n int, limits Limits) error {
	return fmt.Errorf("batch: %d records: %w, which has %d or more; set Job.Live to send them live", n, ErrTooFew, limits.MinRecords)
}

// token is derived from all that makes a job what it is: a call that is sent
// again creates no second one.
func (st *state) token(j *jobState) string {
	h := sha256.New()
	for _, part := range []string{st.Job.Name, string(st.Job.Model), st.Job.Role, string(st.Type), j.Folder, st.Job.Output, strconv.Itoa(j.Round)} {
		h.Write(binary.BigEndian.AppendUint32(nil, uint32(len(part))))
		io.WriteString(h, part)
	}
	for _, f := range j.Files {
		io.WriteString(h, f.Digest)
	}
	return hex.EncodeToString(h.Sum(nil))
}
