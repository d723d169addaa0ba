package asyncq

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/bedrockx"
	"github.com/mangaassist/bedrockkit/pricing"
)

// A Request asks for a job.
type Request[T any] struct {
	// ID names the job and makes asking for it idempotent: the same id is the
	// same job, however often it is submitted. The default is a random UUID.
	// It has at most 128 of letters, digits and . _ - : and begins with none of
	// them but _.
	ID string `json:"request_id,omitempty"`

	// Payload is what the handler gets. It is stored as JSON.
	Payload T `json:"payload"`

	// Priority chooses the queue; the default is [Normal].
	Priority Priority `json:"priority,omitempty"`

	// Group puts the job on the ordered queue: the jobs of one group are done
	// one after another in the order of their submission. Priority is ignored
	// then, and a Delay is an error.
	Group string `json:"group,omitempty"`

	// DeduplicationID is that of the FIFO queue; the default is the ID.
	DeduplicationID string `json:"deduplication_id,omitempty"`

	// Delay is how long nobody gets the job, at most 15 minutes.
	Delay time.Duration `json:"delay_ns,omitempty"`

	// CallbackURL is where the end of the job is told, if the worker has a
	// notifier that calls it.
	CallbackURL string `json:"callback_url,omitempty"`

	// Metadata goes into the status, and is the caller's.
	Metadata map[string]string `json:"metadata,omitempty"`
}

// envelope is the body of a message.
type envelope struct {
	Version     int               `json:"version"`
	ID          string            `json:"request_id"`
	Priority    Priority          `json:"priority,omitempty"`
	Group       string            `json:"group,omitempty"`
	CallbackURL string            `json:"callback_url,omitempty"`
	Metadata    map[string]string `json:"metadata,omitempty"`
	CreatedAt   time.Time         `json:"created_at"`
	Payload     json.RawMessage   `json:"payload,omitempty"`
	PayloadKey  string            `json:"payload_key,omitempty"` // in the blob store, where it is too large for a message
	PayloadHash string            `json:"payload_sha256"`
}

const envelopeVersion = 1

// key is where something of the job is stored. The payload is part of it: an id
// that is used again when its status has expired does not find what is another's.
func (e *envelope) key(folder string) string {
	return folder + "/" + e.ID + "-" + e.PayloadHash[:min(16, len(e.PayloadHash))]
}

// A Job is a request that a worker has begun with.
type Job[T any] struct {
	ID           string
	Payload      T
	Priority     Priority
	Group        string
	CallbackURL  string
	Metadata     map[string]string
	CreatedAt    time.Time
	Attempt      int // from 1
	ReceiveCount int // how often SQS has given it out

	// TraceParent is the W3C trace context of who submitted it, if the
	// producer had one.
	TraceParent string

	run *running
}

// running is what a handler may say of its job. Only its worker reads it, when
// the handler has returned.
type running struct {
	progress func(ctx context.Context, step, steps int) error
	result   []byte
	stored   bool // the result is
	usage    bedrockkit.Usage
	cost     *pricing.Amount
}

// Progress stores how far the handler is: step of steps. It fails with
// [ErrLeaseLost] where another worker has the job by now; what the handler still
// does would be lost.
func (j *Job[T]) Progress(ctx context.Context, step, steps int) error {
	if j.run == nil || j.run.progress == nil {
		return nil
	}
	return j.run.progress(ctx, step, steps)
}

// SetResult says what is stored as the job's result when the handler has
// returned nil: v as JSON. The last one counts.
func (j *Job[T]) SetResult(v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("the result of job %s: %w", j.ID, err)
	}
	if j.run != nil {
		j.run.result = data
	}
	return nil
}

// Spent adds to what the status says that the job took.
func (j *Job[T]) Spent(usage bedrockkit.Usage, cost *pricing.Amount) {
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

// A Handler does a job. Returning nil completes it. [Retry], [Cancel] and [Dead]
// steer; any other error is a failed attempt, after which the job is tried again until
// WorkerOptions.MaxAttempts. The context ends after WorkerOptions.JobTimeout, with
// the worker's drain and when the lease is lost. A handler that does not end with
// it keeps its place in the worker, and its job from others.
type Handler[T any] func(ctx context.Context, job *Job[T]) error

// ErrLeaseLost is the cause of a handler's context, and the error of
// Job.Progress, where the job is another worker's by now.
var ErrLeaseLost = errors.New("the job's lease was lost")

// ErrDraining is the cause of a handler's context when the worker's time to
// drain is over.
var ErrDraining = errors.New("the worker is shutting down")

type retryError struct {
	after time.Duration
	err   error
}

func (e *retryError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("to be tried again in %v", e.after)
	}
	return fmt.Sprintf("to be tried again in %v: %v", e.after, e.err)
}
func (e *retryError) Unwrap() error { return e.err }

// Retry is an error that has a job tried again after a time of at most 12 hours,
// without counting the attempt: the handler waits for something, and has not
// failed. The reason may be nil.
func Retry(after time.Duration, reason error) error { return &retryError{after, reason} }

type cancelError struct{ err error }

func (e *cancelError) Error() string {
	if e.err == nil {
		return "cancelled"
	}
	return "cancelled: " + e.err.Error()
}
func (e *cancelError) Unwrap() error { return e.err }

// Cancel is an error that ends a job as cancelled: it will never be tried again,
// and does not go to the dead-letter queue. The reason may be nil.
func Cancel(reason error) error { return &cancelError{reason} }

// maxClassBytes bounds what an error calls its class: it is a word.
const maxClassBytes = 64

// errorClass is a word for what went wrong, without its text.
func errorClass(err error) string {
	var own interface{ ErrorClass() string }
	var panicked *panicError
	switch {
	case err == nil:
		return ""
	case errors.As(err, &own):
		class := own.ErrorClass()
		class = strings.ToValidUTF8(class[:min(len(class), maxClassBytes)], "")
		return cmp.Or(class, "error")
	case errors.As(err, &panicked):
		return "panic"
	case errors.Is(err, ErrDraining):
		return "shutdown"
	case errors.Is(err, ErrLeaseLost):
		return "lease lost"
	case errors.Is(err, context.DeadlineExceeded):
		return "timeout"
	}
	if kind := bedrockx.KindOf(err); kind != bedrockx.KindUnknown {
		return string(kind)
	}
	return "error"
}

// panicError is a panic of a handler. Its value may hold anything, so it is in
// no text.
type panicError struct{ value any }

func (e *panicError) Error() string { return fmt.Sprintf("the handler panicked with a %T", e.value) }

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

// groupPattern is what SQS takes as the id of a group or of a deduplication.
var groupPattern = regexp.MustCompile(`^[!-~]{0,128}$`)

// InvalidRequestError says why a request is refused before anything is stored or
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
func seal[T any](r Request[T], now time.Time) (envelope, error) {
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
	case !groupPattern.MatchString(r.Group) || !groupPattern.MatchString(r.DeduplicationID):
		return fail("group or deduplication id", "has others than at most 128 ASCII letters, digits and punctuation marks")
	}
	if r.CallbackURL != "" {
		u, err := url.Parse(r.CallbackURL)
		if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil {
			return fail("callback URL", "must be an https URL without a user")
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
		CreatedAt: now.UTC(), Payload: payload, PayloadHash: hex.EncodeToString(sum[:])}, nil
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
