package asyncq

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"
)

// An OpError is the error of a request to SQS, to a store or to a notifier. The worker
// goes on, and JobOptions.OnError is called.
type OpError struct {
	// Op is the operation: "receive", "delete", "change visibility", "send dead
	// letter", "read status", "write status", "read result", "store result", "read
	// payload", "delete payload" or "notify".
	Op string

	// Key is the id of the job, or the name of the queue for the operations on
	// messages.
	Key string

	Err error
}

func (e *OpError) Error() string { return fmt.Sprintf("asyncq: %s of %s: %v", e.Op, e.Key, e.Err) }

// Unwrap returns the error of the request.
func (e *OpError) Unwrap() error { return e.Err }

// ErrorClass implements the interface that statuses take their error class from.
func (e *OpError) ErrorClass() string { return e.Op }

// An alarm reports requests that fail: everything to OnError and Observe, and the
// first of each operation in a minute to the log.
type alarm struct {
	logger  *slog.Logger
	onError func(context.Context, error)
	ledger  *ledger

	mu   sync.Mutex
	last error // as Health has it; nil again after a receive
	said map[string]said
}

type said struct {
	at   time.Time
	more int // that were not logged since
}

// tell reports a request that failed.
func (a *alarm) tell(ctx context.Context, err *OpError) {
	a.mu.Lock()
	a.last = err
	a.mu.Unlock()
	a.log(ctx, "asyncq: a request failed", err.Op, "op", err.Op, "key", err.Key, "error", err.Err)
	if a.onError != nil {
		_ = guarded("OnError", func() error { a.onError(ctx, err); return nil })
	}
	a.ledger.observe(Event{Kind: EventAPIError, ErrorClass: err.ErrorClass()})
}

// wait reports a job that is held because of its model. The text of such an error may
// quote the prompt.
func (a *alarm) wait(ctx context.Context, job, class string) {
	a.log(ctx, "asyncq: jobs wait for their model", "model "+class, "job", job, "class", class)
}

// log logs the first of a kind in a minute, and how many others there were.
func (a *alarm) log(ctx context.Context, text, kind string, attrs ...any) {
	now := time.Now()
	a.mu.Lock()
	s, known := a.said[kind]
	log, more := !known || now.Sub(s.at) >= time.Minute, s.more
	if log {
		s = said{at: now}
	} else {
		s.more++
	}
	if a.said == nil || len(a.said) > mostClasses {
		a.said = map[string]said{}
	}
	a.said[kind] = s
	a.mu.Unlock()
	if log {
		if more > 0 {
			attrs = append(attrs, "more", more)
		}
		a.logger.WarnContext(ctx, text, attrs...)
	}
}

// clear forgets the last error, as a request has succeeded.
func (a *alarm) clear() {
	a.mu.Lock()
	a.last = nil
	a.mu.Unlock()
}

func (a *alarm) lastError() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.last == nil {
		return ""
	}
	return a.last.Error()
}

// tryTimeout bounds one request to a store or a notifier.
const tryTimeout = 30 * time.Second

// settled reports whether an error of a store is an answer, and not an outage.
func settled(err error) bool {
	return err == nil || errors.Is(err, ErrNotFound) || errors.Is(err, ErrExists) || errors.Is(err, ErrConflict) || errors.Is(err, ErrLeaseLost)
}

// outlast asks until there is an answer, while the message is held: with growing
// pauses, and until a time or the end of ctx. What is not answered is an *OpError.
func (x *executor) outlast(ctx context.Context, until time.Time, op, key string, ask func(context.Context) error) error {
	var release func()
	defer func() {
		if release != nil {
			release()
		}
	}()
	for wait := 100 * time.Millisecond; ; wait = min(3*wait, 30*time.Second) {
		err := guarded(op, func() error {
			ctx, cancel := context.WithTimeout(ctx, tryTimeout)
			defer cancel()
			return ask(ctx)
		})
		if settled(err) {
			return err
		}
		failed, ok := errors.AsType[*OpError](err)
		if !ok {
			failed = &OpError{Op: op, Key: key, Err: err}
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		x.alarm.tell(ctx, failed)
		pause := wait/2 + rand.N(wait/2)
		if time.Now().Add(pause).After(until) {
			return failed
		}
		if release == nil {
			release = x.ledger.holding(op)
		}
		sleep(ctx, pause)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
}

// lasting returns a context that ends a time after ctx has.
func lasting(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	longer, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	var mu sync.Mutex
	var timer *time.Timer
	done := false
	stop := context.AfterFunc(ctx, func() {
		mu.Lock()
		defer mu.Unlock()
		if !done {
			timer = time.AfterFunc(d, func() { cancel(context.Cause(ctx)) })
		}
	})
	return longer, func() {
		stop()
		mu.Lock()
		done = true
		if timer != nil {
			timer.Stop()
		}
		mu.Unlock()
		cancel(nil)
	}
}

// sleep waits, but not longer than ctx.
func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
