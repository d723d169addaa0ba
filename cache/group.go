package cache

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync"
)

// A Group runs only one of many equal calls at the same time. The zero value is ready
// to use. It is safe for concurrent use and must not be copied.
type Group[T any] struct {
	mu    sync.Mutex
	fills map[Key]*fill[T]
}

type fill[T any] struct {
	callers int // those who wait; guarded by the group's mu
	cancel  context.CancelFunc
	done    chan struct{} // closed when value and err are there
	value   T
	err     error
}

// Do calls fn and returns its result. If a call for that key is already running, Do
// waits for it instead, and shared is true. All callers get the same value and the
// same error, so no caller may change the value.
//
// The running fn does not belong to one caller. Its context has the values of the
// first caller's context, but not its deadline or cancellation. It is canceled when no
// caller is left. If the context of a caller is done, Do returns the context's error,
// and the other callers keep waiting. Only the last caller waits until fn has
// returned, so that no goroutine is left running: fn must return when its context is
// done.
//
// If fn panics, or ends its goroutine, all callers get a [*PanicError]. fn must not
// call Do with the same key.
func (g *Group[T]) Do(ctx context.Context, key Key, fn func(context.Context) (T, error)) (value T, shared bool, err error) {
	if err := ctx.Err(); err != nil {
		return value, false, err
	}
	g.mu.Lock()
	f, shared := g.fills[key]
	if !shared {
		f = &fill[T]{done: make(chan struct{})}
		var own context.Context
		own, f.cancel = context.WithCancel(context.WithoutCancel(ctx))
		if g.fills == nil {
			g.fills = map[Key]*fill[T]{}
		}
		g.fills[key] = f
		go g.run(own, key, f, fn)
	}
	f.callers++
	g.mu.Unlock()

	select {
	case <-f.done:
		return f.value, shared, f.err
	case <-ctx.Done():
	}
	g.mu.Lock()
	f.callers--
	last := f.callers == 0
	if last {
		g.forget(key, f) // who comes now starts anew
	}
	g.mu.Unlock()
	if last {
		f.cancel()
		<-f.done
	}
	return value, shared, ctx.Err()
}

// InFlight returns how many calls are running with callers that wait for them.
func (g *Group[T]) InFlight() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.fills)
}

func (g *Group[T]) run(ctx context.Context, key Key, f *fill[T], fn func(context.Context) (T, error)) {
	returned := false
	defer func() {
		if !returned {
			f.err = &PanicError{Value: recover(), Stack: debug.Stack()}
		}
		g.mu.Lock()
		g.forget(key, f)
		g.mu.Unlock()
		f.cancel()
		close(f.done)
	}()
	f.value, f.err = fn(ctx)
	returned = true
}

// forget needs mu.
func (g *Group[T]) forget(key Key, f *fill[T]) {
	if g.fills[key] == f {
		delete(g.fills, key)
	}
}

// A PanicError means that the function of a Group panicked. Its text has only the type
// of the value, because the value may hold parts of a prompt or an answer.
type PanicError struct {
	Value any    // the argument of panic; nil if runtime.Goexit ended the goroutine
	Stack []byte // of the goroutine that panicked
}

func (e *PanicError) Error() string {
	if e.Value == nil {
		return "cache: the fill ended its goroutine"
	}
	return fmt.Sprintf("cache: the fill panicked with a %T", e.Value)
}
