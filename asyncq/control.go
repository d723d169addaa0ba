package asyncq

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/mangaassist/bedrockkit/bedrockx"
)

// A JobRetryError makes a job run again. [JobRetry] makes one.
type JobRetryError struct {
	After time.Duration
	Err   error // the reason; may be nil
}

// JobRetry returns an error that a handler returns if it must wait for something and
// has not failed. The job is tried again after the given time, and the attempt does
// not count. For every twelve hours of waiting, the message is received once more.
// reason may be nil.
func JobRetry(after time.Duration, reason error) error {
	return &JobRetryError{After: after, Err: reason}
}

func (e *JobRetryError) Error() string {
	return because(fmt.Sprintf("to be tried again in %v", e.After), e.Err)
}

// Unwrap returns the reason.
func (e *JobRetryError) Unwrap() error { return e.Err }

// A JobCancelError ends a job as canceled. [JobCancel] makes one.
type JobCancelError struct {
	Err error // the reason; may be nil
}

// JobCancel returns an error that a handler returns to end a job as canceled. The job
// is not tried again, and does not go to the dead-letter queue. reason may be nil.
func JobCancel(reason error) error { return &JobCancelError{Err: reason} }

func (e *JobCancelError) Error() string { return because("canceled", e.Err) }

// Unwrap returns the reason.
func (e *JobCancelError) Unwrap() error { return e.Err }

// A JobDeadError ends a job as failed. [JobDead] makes one.
type JobDeadError struct {
	Err error // the reason; may be nil
}

// JobDead returns an error that a handler returns if trying again would not help. The
// job ends as failed, and its message goes to the dead-letter queue at once. reason
// may be nil.
func JobDead(reason error) error { return &JobDeadError{Err: reason} }

func (e *JobDeadError) Error() string { return because("cannot be done", e.Err) }

// Unwrap returns the reason.
func (e *JobDeadError) Unwrap() error { return e.Err }

func because(what string, reason error) string {
	if reason == nil {
		return what
	}
	return what + ": " + reason.Error()
}

// ErrLeaseLost is the cause of a handler's context, and the error of Job.Progress, if
// another worker has taken the job.
var ErrLeaseLost = errors.New("the job's lease was lost")

// ErrDraining is the cause of a handler's context if the worker's time to drain is
// over.
var ErrDraining = errors.New("the worker is shutting down")

// poison is the error of a job that can never be done.
type poison struct{ reason string }

func (e *poison) Error() string      { return e.reason }
func (e *poison) ErrorClass() string { return "poison" }

// panicError is a panic of something that is the user's. Its value may hold
// anything, so it is in no text.
type panicError struct {
	what  string
	value any
}

func (e *panicError) Error() string { return fmt.Sprintf("%s panicked with a %T", e.what, e.value) }

// errExited is the error of a function of the user's that has ended its goroutine.
var errExited = errors.New("asyncq: the goroutine was ended from within")

// guarded calls a function of the user's. A panic is its error.
func guarded(what string, fn func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &panicError{what, v}
		}
	}()
	return fn()
}

// maxClassBytes bounds what an error calls its class: it is a word.
const maxClassBytes = 64

// errorClass is a word for what went wrong, without its text. A panic of the
// error's own methods is "panic".
func errorClass(err error) (class string) {
	if err == nil {
		return ""
	}
	defer func() {
		if recover() != nil {
			class = "panic"
		}
	}()
	var own interface{ ErrorClass() string }
	var panicked *panicError
	switch {
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
