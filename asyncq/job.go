package asyncq

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/pricing"
)

// A Request asks for a job.
type Request[T any] struct {
	// ID names the job and makes submitting it idempotent: requests with the same id
	// are the same job. The default is a random UUID. An id is 1 to 128 characters
	// from [A-Za-z0-9._:-]; the first must be a letter, a digit or an underscore.
	ID string `json:"request_id,omitempty"`

	// Payload is passed to the handler. It is stored as JSON.
	Payload T `json:"payload"`

	// Priority selects the queue. The default is [Normal].
	Priority Priority `json:"priority,omitempty"`

	// Group puts the job on the ordered queue: the jobs of one group run one after
	// another, in the order of their submission. Priority is then ignored, and a Delay
	// is an error.
	Group string `json:"group,omitempty"`

	// Delay is how long no worker gets the job, at most 15 minutes.
	Delay time.Duration `json:"delay_ns,omitempty"`

	// CallbackURL is where the end of the job is sent, if the worker has a
	// notifier that calls it. ProducerOptions.Callbacks checks it.
	CallbackURL string `json:"callback_url,omitempty"`

	// Metadata is copied into the status. The caller may use it for anything.
	Metadata map[string]string `json:"metadata,omitempty"`
}

// key is where something of the job is stored. The payload and the time are part of
// it: an id that is used again when its status has expired is another job.
func (e *envelope) key(folder string) string {
	return folder + "/" + e.ID + "-" + e.PayloadHash[:min(16, len(e.PayloadHash))] + "-" + strconv.FormatInt(e.CreatedAt.UnixMilli(), 36)
}

// A Job is a request that a worker has started.
type Job[T any] struct {
	ID           string
	Payload      T
	Priority     Priority
	Group        string
	CallbackURL  string
	Metadata     map[string]string
	CreatedAt    time.Time
	Attempt      int // from 1
	ReceiveCount int // how often SQS has delivered it

	// TraceParent is the W3C trace context of the submission, if the producer had one.
	TraceParent string

	run *running
}

// running is what a handler may say of its job. Only its worker reads it, when
// the handler has returned.
type running struct {
	progress func(ctx context.Context, step, steps int) error
	result   []byte
	results  bool // there is a store of results
	usage    bedrockkit.Usage
	cost     *pricing.Amount
}

// Progress stores the progress of the handler: step of steps. It returns
// [ErrLeaseLost] if another worker has taken the job; the handler should then return,
// because its work would be lost.
func (j *Job[T]) Progress(ctx context.Context, step, steps int) error {
	if j.run == nil || j.run.progress == nil {
		return nil
	}
	return j.run.progress(ctx, step, steps)
}

// SetResult sets the job's result. It is stored as JSON when the handler has returned
// nil. The last call counts. It fails if v cannot be encoded as JSON, or if the worker
// has no JobOptions.Results.
func (j *Job[T]) SetResult(v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("the result of job %s: %w", j.ID, err)
	}
	if j.run == nil {
		return nil
	}
	if !j.run.results {
		return JobDead(errors.New("asyncq: a result cannot be stored: JobOptions.Results is missing"))
	}
	j.run.result = data
	return nil
}

// AddUsage adds to the usage and cost in the job's status.
func (j *Job[T]) AddUsage(usage bedrockkit.Usage, cost *pricing.Amount) {
	if j.run == nil {
		return
	}
	j.run.usage = j.run.usage.Add(usage)
	if cost != nil {
		sum := *cost
		if j.run.cost != nil {
			sum = sum.Add(*j.run.cost)
		}
		j.run.cost = &sum
	}
}

// A Handler runs a job. If it returns nil, the job is completed. With an error of
// [JobRetry], [JobCancel] or [JobDead] it selects another end. Any other error is a
// failed attempt; the job is tried again up to JobOptions.MaxAttempts. The context
// ends after JobOptions.JobTimeout, when the worker's time to drain is over, and when
// the lease is lost. A handler that does not return then still uses a slot of the
// worker, and no other worker can take the job.
type Handler[T any] func(ctx context.Context, job *Job[T]) error

// The bounds of Amazon SQS (Amazon SQS quotas, Developer Guide).
const (
	maxMessageBytes = 1 << 20 // of a message and of a batch
	maxBatch        = 10
	maxDelay        = 15 * time.Minute
	maxVisibility   = 12 * time.Hour
	maxMetadata     = 16 << 10
)

// validID reports whether an id has 1 to 128 letters, digits and . _ - :, and
// begins with none of . - :. A worker asks for each message: no regular expression.
func validID(id string) bool {
	if id == "" || len(id) > 128 || strings.IndexByte(".-:", id[0]) >= 0 {
		return false
	}
	for i := range len(id) {
		c := id[i]
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("._:-", c) >= 0) {
			return false
		}
	}
	return true
}

// groupPattern is what SQS takes as the id of a group.
var groupPattern = regexp.MustCompile(`^[!-~]{0,128}$`)

// InvalidRequestError says why a request was refused, before anything was stored or
// sent.
type InvalidRequestError struct {
	Field  string
	Reason string
}

func (e *InvalidRequestError) Error() string {
	return fmt.Sprintf("asyncq: the request's %s %s", e.Field, e.Reason)
}

// ErrorClass implements the interface that statuses take their error class from.
func (e *InvalidRequestError) ErrorClass() string { return "validation" }

// seal checks a request and makes the envelope of it.
func seal[T any](r Request[T], now time.Time, callbacks CallbackPolicy) (envelope, error) {
	fail := func(field, format string, args ...any) (envelope, error) {
		return envelope{}, &InvalidRequestError{Field: field, Reason: fmt.Sprintf(format, args...)}
	}
	if r.ID == "" {
		r.ID = newID()
	}
	if !validID(r.ID) {
		return fail("id", "has %d bytes or others than letters, digits and . _ - :, or begins with one of . - :; it has 1 to 128 of them", len(r.ID))
	}
	switch r.Priority {
	case "":
		r.Priority = Normal
	case High, Normal, Low:
	default:
		return fail("priority", "is %q; it is high, normal or low", r.Priority)
	}
	switch {
	case r.Delay < 0 || r.Delay > maxDelay:
		return fail("delay", "is %v; it is from 0 to %v", r.Delay, maxDelay)
	case r.Delay > 0 && r.Group != "":
		return fail("delay", "cannot be with a group: a FIFO queue delays all messages or none")
	case !groupPattern.MatchString(r.Group):
		return fail("group", "has others than at most 128 ASCII letters, digits and punctuation marks")
	}
	if r.CallbackURL != "" {
		if err := callbacks.Check(r.CallbackURL); err != nil {
			return fail("callback URL", "%v", err)
		}
	}
	size := 0
	for k, v := range r.Metadata {
		size += len(k) + len(v)
		if !utf8.ValidString(k) || !utf8.ValidString(v) {
			return fail("metadata", "is no valid UTF-8")
		}
	}
	if size > maxMetadata {
		return fail("metadata", "has %d bytes; it has at most %d", size, maxMetadata)
	}
	if v, ok := any(r.Payload).(interface{ Validate() error }); ok {
		if err := v.Validate(); err != nil {
			return fail("payload", "cannot be done: %v", err)
		}
	}
	payload, err := json.Marshal(r.Payload)
	if err != nil {
		return fail("payload", "cannot be JSON: %v", err)
	}
	payload = escape(payload)
	sum := sha256.Sum256(payload)
	return envelope{Version: envelopeVersion, ID: r.ID, Priority: r.Priority, Group: r.Group, CallbackURL: r.CallbackURL, Metadata: r.Metadata,
		CreatedAt: now.UTC().Truncate(time.Millisecond), Payload: payload, PayloadHash: hex.EncodeToString(sum[:])}, nil
}

// escape writes JSON without the two characters that JSON has and a message
// cannot have.
func escape(data []byte) []byte {
	data = bytes.ReplaceAll(data, []byte("\ufffe"), []byte(`\ufffe`))
	return bytes.ReplaceAll(data, []byte("\uffff"), []byte(`\uffff`))
}

// newID returns a random UUID, version 4.
func newID() string {
	var b [16]byte
	rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
