package bedrockx

import (
	"context"
	"io"
	"sync"
	"sync/atomic"
	"time"
)

// A watchdog bounds the waits of one attempt, each with an error of its own,
// apart from the caller's deadline. It is one timer and no goroutine.
type watchdog struct {
	ctx    context.Context // of the attempt
	cancel context.CancelCauseFunc
	began  time.Time
	idle   time.Duration
	first  time.Duration

	// waiting is when the Read began that is under way, in nanoseconds since
	// began and one more; 0 where there is none. A reader that is slow to come
	// back for more is not a stall.
	waiting atomic.Int64

	mu    sync.Mutex
	timer *time.Timer
	end   time.Time     // when the timer ends
	left  time.Duration // of it while it is paused
	done  bool
}

// watch begins to watch an attempt, whose context it returns.
func (w *watchdog) watch(ctx context.Context, call *Call) context.Context {
	var attempt time.Duration
	attempt, w.first, w.idle = call.waits()
	w.ctx, w.cancel = context.WithCancelCause(ctx)
	w.began = time.Now()
	w.set(attempt, w.expire)
	return w.ctx
}

func (w *watchdog) expire() { w.cancel(ErrAttemptTimeout) }

// set replaces the timer. A bound that is not positive is none.
func (w *watchdog) set(d time.Duration, fn func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.timer != nil {
		w.timer.Stop()
		w.timer = nil
	}
	if w.left = 0; d > 0 && !w.done {
		w.end = time.Now().Add(d)
		w.timer = time.AfterFunc(d, fn)
	}
}

// pause stops the timer while something runs that the service has no part in.
func (w *watchdog) pause() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.timer != nil && w.timer.Stop() {
		w.left = max(1, time.Until(w.end))
	}
}

// resume lets it run on.
func (w *watchdog) resume() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.left > 0 && !w.done {
		w.end = time.Now().Add(w.left)
		w.timer.Reset(w.left)
		w.left = 0
	}
}

// stop ends the attempt: the timer, and whatever its context still holds.
func (w *watchdog) stop() {
	w.mu.Lock()
	w.done = true
	if w.timer != nil {
		w.timer.Stop()
	}
	w.mu.Unlock()
	w.cancel(context.Canceled)
}

// stream wraps the body of a stream whose headers have come: from now on the
// wait is for the first output.
func (w *watchdog) stream(body io.ReadCloser) io.ReadCloser {
	w.set(w.first, func() { w.cancel(ErrFirstEventTimeout) })
	return &watchedBody{body: body, dog: w}
}

// flowing says that the first output has come: from now on each wait counts
// by itself.
func (w *watchdog) flowing() { w.set(w.idle, w.look) }

// look asks how long the Read under way has waited, and comes again when it
// may have waited too long. So a Read costs no timer.
func (w *watchdog) look() {
	if w.ctx.Err() != nil {
		return
	}
	next := w.idle
	if since := w.waiting.Load(); since != 0 {
		waited := time.Since(w.began) - time.Duration(since-1)
		if waited >= w.idle {
			w.cancel(ErrStalled)
			return
		}
		next = w.idle - waited
	}
	w.set(next, w.look)
}

// watchedBody is the body of a stream. Close may be called while a Read waits.
type watchedBody struct {
	body io.ReadCloser
	dog  *watchdog
	once sync.Once
	err  error
}

func (b *watchedBody) Read(p []byte) (int, error) {
	b.dog.waiting.Store(int64(time.Since(b.dog.began)) + 1)
	n, err := b.body.Read(p)
	b.dog.waiting.Store(0)
	return n, err
}

func (b *watchedBody) Close() error {
	b.once.Do(func() {
		b.dog.stop()
		b.err = b.body.Close()
	})
	return b.err
}
