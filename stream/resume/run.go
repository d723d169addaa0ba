package resume

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"runtime/debug"
	"sync"
	"time"

	"github.com/mangaassist/bedrockkit/stream"
)

// The causes of the end of a run's context.
var (
	errStopped     = errors.New("the answer was stopped")
	errInterrupted = errors.New("the process is shutting down")
)

// A PanicError is the error of an answer whose opener or source panicked. The panic is
// recovered, as in net/http. The error's text has the type of the value, but not the
// value, which may repeat a prompt.
type PanicError struct {
	Value any
	Stack []byte
}

// Error implements error.
func (e *PanicError) Error() string { return fmt.Sprintf("the source panicked with a %T", e.Value) }

// A run is an answer on its way from the model to the log.
type run struct {
	options *Options
	claim   Claim
	ctx     context.Context
	stop    context.CancelCauseFunc
	local   bool // the log is in this process: it never keeps a caller waiting

	beating sync.Mutex  // is held by a heartbeat
	beat    *time.Timer // of the next one

	sequence int64 // of the last message in the log
	bytes    int64
	ended    bool // the log has the last message
}

// run reads the answer into the log and ends it there, however it ends.
func (r *run) run(open Opener) {
	r.beating.Lock()
	r.beat = time.AfterFunc(r.claim.Lease/5, r.heartbeat)
	r.beating.Unlock()
	err := r.write(open)
	if !r.ended {
		if cause := context.Cause(r.ctx); cause != nil {
			err = cause // what came of it matters less
		}
		if failed := r.end(err); failed != nil {
			err = errors.Join(err, failed)
		}
	}
	r.stop(err)
	r.beating.Lock()
	r.beat.Stop()
	r.beating.Unlock()
	if r.options.OnEnd != nil {
		r.options.OnEnd(context.WithoutCancel(r.ctx), r.claim.ID, err)
	}
}

// end ends the answer in the log with an error message.
func (r *run) end(err error) error {
	if errors.Is(err, ErrLost) {
		return nil // a reader has ended it
	}
	m := stream.Message{Type: stream.TypeError, Sequence: r.sequence + 1, Code: code(err)}
	return r.append(context.WithoutCancel(r.ctx), m)
}

// write opens the source and writes it to the log.
func (r *run) write(open Opener) error {
	source, err := guardedOpen(r.ctx, open)
	if err != nil {
		return err
	}
	return stream.Write(r.ctx, guarded{source}, stream.Sink{Send: r.send}, func(o *stream.WriteOptions) {
		o.Coalesce = max(0, r.options.Coalesce)
		o.Timeout = -1 // append has its own
		o.Inline = r.local && r.options.Coalesce < 0
	})
}

// send adds a message to the log. What a source says because it was stopped is not
// why the answer ended.
func (r *run) send(ctx context.Context, m stream.Message) error {
	if cause := context.Cause(r.ctx); cause != nil && m.Type == stream.TypeError {
		return cause
	}
	if r.bytes += size(m); r.bytes > r.options.MaxBytes && !m.Last() {
		return fmt.Errorf("%w: the answer has more than %d bytes", ErrFull, r.options.MaxBytes)
	}
	return r.append(ctx, m)
}

// size is about what a message has as JSON, in bytes.
func size(m stream.Message) int64 {
	n := len(m.Data) + len(m.Input) + 64
	for i := range len(m.Data) {
		if c := m.Data[i]; c < ' ' || c == '"' || c == '\\' {
			n++ // it is escaped
		}
	}
	return int64(n)
}

// append adds a message to the log. A log that fails is tried again for as long
// as the lease lasts, also after the end of ctx: if a try was broken off, the log
// might have the message or not, and the next sequence would be unknown.
func (r *run) append(ctx context.Context, m stream.Message) error {
	if r.local {
		status, err := r.options.Log.Append(context.WithoutCancel(ctx), r.claim, m)
		if err != nil {
			return fmt.Errorf("write to the log: %w", err)
		}
		r.sequence, r.ended = m.Sequence, m.Last()
		r.heed(status)
		return nil
	}
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.claim.Lease)
	defer cancel()
	for pause := 20 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		status, err := r.options.Log.Append(bounded, r.claim, m)
		if err == nil {
			r.sequence, r.ended = m.Sequence, m.Last()
			r.heed(status)
			return nil
		}
		if errors.Is(err, ErrLost) || errors.Is(err, ErrFull) || !sleep(bounded, pause) {
			return fmt.Errorf("write to the log: %w", err)
		}
	}
}

// heartbeat renews the lease while the model is silent, and hears of a stop. It runs
// by a timer, so that a silent answer has no second goroutine.
func (r *run) heartbeat() {
	r.beating.Lock()
	defer r.beating.Unlock()
	if r.ctx.Err() != nil {
		return
	}
	status, err := r.options.Log.Append(r.ctx, r.claim)
	switch {
	case err == nil:
		r.heed(status)
	case errors.Is(err, ErrLost):
		r.stop(ErrLost)
	}
	r.beat.Reset(r.claim.Lease / 5)
}

func (r *run) heed(s Status) {
	switch {
	case s.Stopped:
		r.stop(errStopped)
	case r.options.Grace > 0 && s.Unread > r.options.Grace:
		r.stop(stream.ErrAbandoned)
	}
}

func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// code is what readers get of an error.
func code(err error) string {
	switch {
	case errors.Is(err, errStopped):
		return CodeStopped
	case errors.Is(err, stream.ErrAbandoned):
		return CodeAbandoned
	case errors.Is(err, errInterrupted):
		return CodeInterrupted
	case errors.Is(err, ErrFull):
		return CodeTooLong
	}
	return stream.ErrorMessage(err).Code
}

func guardedOpen(ctx context.Context, open Opener) (source stream.Source, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &PanicError{p, debug.Stack()}
		}
	}()
	source, err = open(ctx)
	if err == nil && source == nil {
		err = errors.New("the opener returned neither a source nor an error")
	}
	return source, err
}

// guarded is a source whose panic is its error.
type guarded struct{ stream.Source }

func (g guarded) Messages() iter.Seq2[stream.Message, error] {
	return func(yield func(stream.Message, error) bool) {
		ours := true // a panic of the loop's body is not ours
		defer func() {
			if !ours {
				return
			}
			if p := recover(); p != nil {
				err := &PanicError{p, debug.Stack()}
				yield(stream.ErrorMessage(err), err)
			}
		}()
		for m, err := range g.Source.Messages() {
			ours = false
			more := yield(m, err)
			if ours = true; !more {
				return
			}
		}
	}
}
