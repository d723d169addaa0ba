package resume

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"iter"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/mangaassist/bedrockkit/stream"
)

// Options are the options of a [Registry]. The zero value of a field means its
// default.
type Options struct {
	// Log keeps the messages. The default is [NewMemoryLog]. If processes share a log,
	// a reader can come back to another process.
	Log Log

	// Grace is how long an answer goes on without a reader. After that, the model is
	// stopped, and the answer ends with [CodeAbandoned]. The default is one minute;
	// negative means that the answer goes on to its end.
	Grace time.Duration

	// Keep is how long an answer can be read after its end. The default is ten
	// minutes.
	Keep time.Duration

	// Lease is how long a process may be silent before its answers count as dead.
	// Their readers then get an error message with [CodeInterrupted]. The default is
	// 10 s. To stop an answer of another process takes at most a fifth of it.
	Lease time.Duration

	// MaxRunning bounds how many answers run in this process. The default is 1,000.
	MaxRunning int

	// MaxBytes bounds the size of the messages of one answer, as JSON. A longer answer
	// ends with [CodeTooLong]. The default is 8 MiB, more than any model writes today.
	MaxBytes int64

	// Coalesce is how long text waits for more text before it becomes a message; see
	// [stream.WriteOptions]. The default is 50 ms; negative means that each piece
	// becomes a message at once.
	Coalesce time.Duration

	// OnEnd is called after each answer of this process, in the goroutine that ran it.
	// ctx has the values of the context of [Registry.Start]. err is nil if the answer
	// is complete. It is for your log; readers get only its code.
	OnEnd func(ctx context.Context, id string, err error)
}

// maxID bounds an id, in bytes.
const maxID = 128

// ErrID is the error of an id that is not valid: it is empty, longer than 128 bytes,
// or not printable ASCII without spaces.
var ErrID = errors.New("an id has 1 to 128 bytes of printable ASCII without spaces")

// ErrClosed is the error of a registry after [Registry.Close].
var ErrClosed = errors.New("the registry is closed")

// A Registry runs answers independently of the connections of their readers. A reader
// that lost its connection comes back and reads on, and the model is not asked again.
// It is safe for concurrent use.
type Registry struct {
	options Options

	mu      sync.Mutex
	runs    map[string]*run
	closing context.Context // done once Close stops readers
	close   context.CancelCauseFunc
	closed  bool
	running sync.WaitGroup
}

// New returns a registry without answers.
func New(optFns ...func(*Options)) *Registry {
	var o Options
	for _, fn := range optFns {
		fn(&o)
	}
	if o.Log == nil {
		o.Log = NewMemoryLog()
	}
	o.Grace = orDefault(o.Grace, time.Minute)
	o.Keep = orDefault(max(0, o.Keep), 10*time.Minute)
	o.Lease = orDefault(max(0, o.Lease), 10*time.Second)
	o.Coalesce = orDefault(o.Coalesce, 50*time.Millisecond)
	o.MaxRunning = orDefault(max(0, o.MaxRunning), 1000)
	o.MaxBytes = orDefault(max(0, o.MaxBytes), 8<<20)
	r := &Registry{options: o, runs: map[string]*run{}}
	r.closing, r.close = context.WithCancelCause(context.Background())
	return r
}

func orDefault[T comparable](value, zero T) T {
	if value == *new(T) {
		return zero
	}
	return value
}

// NewID returns an id that cannot be guessed.
func NewID() string { return strings.ToLower(rand.Text()) }

// An Opener asks the model. Its context has the values of the context of
// [Registry.Start], but ends only when the answer is stopped. If it returns an error,
// the answer ends.
type Opener func(context.Context) (stream.Source, error)

// Start runs an answer in its own goroutine, until its end, [Registry.Stop],
// Options.Grace without a reader, or [Registry.Close]. The opener is called once,
// after Start has returned. If Start is called several times with one id, in any
// process, only one call succeeds; the others return [ErrExists]. It also returns
// [ErrID], [ErrFull], [ErrClosed] and errors of the log. After an error the opener is
// not called.
//
// The registry does not check who owns an answer: someone who knows its id can read
// and stop it. Check that before you call a method of the registry, and bound how many
// answers one user may start.
func (r *Registry) Start(ctx context.Context, id string, open Opener) error {
	if err := checkID(id); err != nil {
		return err
	}
	run, err := r.admit(ctx, id)
	if err != nil {
		return err
	}
	if err := r.options.Log.Begin(ctx, run.claim); err != nil {
		r.leave(run)
		return fmt.Errorf("start an answer: %w", err)
	}
	go func() {
		defer r.leave(run)
		run.run(open)
	}()
	return nil
}

// admit enters a run, if there is room for it.
func (r *Registry) admit(ctx context.Context, id string) (*run, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.closed:
		return nil, ErrClosed
	case r.runs[id] != nil:
		return nil, ErrExists
	case len(r.runs) >= r.options.MaxRunning:
		return nil, fmt.Errorf("%w: %d answers are running", ErrFull, len(r.runs))
	}
	_, local := r.options.Log.(*MemoryLog)
	run := &run{options: &r.options, local: local, claim: Claim{ID: id, Owner: rand.Text(), Lease: r.options.Lease, Keep: r.options.Keep}}
	run.ctx, run.stop = context.WithCancelCause(context.WithoutCancel(ctx))
	r.runs[id] = run
	r.running.Add(1)
	return run, nil
}

func (r *Registry) leave(run *run) {
	run.stop(nil)
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.runs, run.claim.ID)
	r.running.Done()
}

// Read yields the messages of an answer after a sequence (0 for all): first the
// messages that are there, then the others as they arrive, to the last. An error is
// yielded once, at the end: [ErrUnknown], [stream.ErrGap], [ErrClosed], an error of
// the log or the cause of ctx. If it yields nothing, the reader has seen the last
// message.
//
// For Options.Grace, a reader counts only while it waits for a message, not while it
// processes one.
func (r *Registry) Read(ctx context.Context, id string, after int64) iter.Seq2[stream.Message, error] {
	return func(yield func(stream.Message, error) bool) {
		waiting, done := r.untilClosed(ctx)
		defer done()
		for {
			p, err := r.pageOf(ctx, waiting, id, after, 15*time.Second)
			if err != nil {
				yield(stream.Message{}, err)
				return
			}
			if !p.yieldTo(yield, &after) || p.Ended {
				return
			}
		}
	}
}

// yieldTo yields the messages of a page and sets after to the last sequence that was
// taken. It returns false if the reader left.
func (p Page) yieldTo(yield func(stream.Message, error) bool, after *int64) bool {
	for i := range p.Messages {
		if !yield(p.Messages[i], nil) {
			return false
		}
		*after = p.Messages[i].Sequence
	}
	return true
}

// page waits for the next messages.
func (r *Registry) page(ctx context.Context, id string, after int64, wait time.Duration) (Page, error) {
	waiting, done := r.untilClosed(ctx)
	defer done()
	return r.pageOf(ctx, waiting, id, after, wait)
}

// untilClosed returns a context that ends with ctx, and when the registry is closed.
func (r *Registry) untilClosed(ctx context.Context) (waiting context.Context, done func()) {
	waiting, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(r.closing, func() { cancel(ErrClosed) })
	return waiting, func() { stop(); cancel(nil) }
}

// pageOf waits for the next messages until waiting ends.
func (r *Registry) pageOf(ctx, waiting context.Context, id string, after int64, wait time.Duration) (Page, error) {
	if err := checkID(id); err != nil {
		return Page{}, fmt.Errorf("%w: %w", ErrUnknown, err)
	}
	p, err := r.options.Log.Read(waiting, id, after, wait)
	if err != nil && r.closing.Err() != nil {
		// What is there is read to its end.
		p, err = r.options.Log.Read(ctx, id, after, 0)
		if err == nil && !p.Ended && len(p.Messages) == 0 {
			return Page{}, ErrClosed
		}
	}
	switch {
	case err == nil:
		return p, nil
	case ctx.Err() != nil:
		return Page{}, context.Cause(ctx)
	}
	return Page{}, fmt.Errorf("read an answer: %w", err)
}

// Stop stops an answer: the model is stopped, and readers get an error message with
// [CodeStopped]. An answer of another process is stopped when that process next writes
// to the log, after at most Options.Lease/5. If the answer has ended, Stop does
// nothing. It returns [ErrUnknown] if there is no answer, or an error of the log.
func (r *Registry) Stop(ctx context.Context, id string) error {
	if err := checkID(id); err != nil {
		return fmt.Errorf("%w: %w", ErrUnknown, err)
	}
	r.mu.Lock()
	run := r.runs[id]
	r.mu.Unlock()
	if run != nil {
		run.stop(errStopped)
		return nil
	}
	if err := r.options.Log.Stop(ctx, id); err != nil {
		return fmt.Errorf("stop an answer: %w", err)
	}
	return nil
}

// Close waits for the running answers; no new answer can start. When ctx is done, it
// stops them with [CodeInterrupted] and returns the cause of ctx. It still waits for
// an opener or a source that ignores the end of its context. Then the calls of
// [Registry.Read] that wait for answers of other processes return [ErrClosed], so that
// their readers connect to another process. Call Close before http.Server.Shutdown,
// which waits for the readers.
func (r *Registry) Close(ctx context.Context) error {
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	done := make(chan struct{})
	go func() {
		r.running.Wait()
		close(done)
	}()
	var err error
	select {
	case <-done:
	case <-ctx.Done():
		err = context.Cause(ctx)
		r.mu.Lock()
		for _, run := range r.runs {
			run.stop(errInterrupted)
		}
		r.mu.Unlock()
		<-done
	}
	r.close(ErrClosed)
	return err
}

func checkID(id string) error {
	if len(id) == 0 || len(id) > maxID || !utf8.ValidString(id) || strings.ContainsFunc(id, func(c rune) bool { return c <= ' ' || c > '~' }) {
		return ErrID
	}
	return nil
}
