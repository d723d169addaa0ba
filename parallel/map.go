package parallel

import (
	"context"
	"errors"
	"iter"
	"sync"
)

// An Item is what [Map] made of one input.
type Item[T, R any] struct {
	Input  T
	Result R
	Err    error
}

// errGoexit is the error of an item whose call of fn has not returned.
var errGoexit = errors.New("the function ended its goroutine")

// Map calls fn for every input, at most n at once, and yields what became of
// each as it is done: in the order of completion, not of the inputs. An error
// of fn is that of its item and stops nothing else.
//
// When ctx ends, or the loop is left, no more inputs are taken and fn's
// contexts end; Map returns when the calls under way have. Inputs are taken as
// places fall free, so the sequence may be without end; while it makes its
// caller wait for one, no result is yielded. n below 1 means 1.
func Map[T, R any](ctx context.Context, n int, inputs iter.Seq[T], fn func(context.Context, T) (R, error)) iter.Seq[Item[T, R]] {
	return func(yield func(Item[T, R]) bool) {
		ctx, cancel := context.WithCancel(ctx)
		done := make(chan Item[T, R])
		var wg sync.WaitGroup
		next, stop := iter.Pull(inputs)
		defer stop()
		running, more := 0, true
		defer func() {
			cancel()
			go func() { wg.Wait(); close(done) }()
			for range done { // what nobody waits for any more
			}
		}()
		for {
			for more && running < max(1, n) && ctx.Err() == nil {
				input, ok := next()
				if !ok {
					more = false
					break
				}
				running++
				wg.Go(func() {
					// A test's FailNow ends the goroutine, which must not leave the loop waiting.
					item := Item[T, R]{Input: input, Err: errGoexit}
					defer func() { done <- item }()
					item.Result, item.Err = fn(ctx, input)
				})
			}
			if running == 0 {
				return
			}
			item := <-done
			running--
			if !yield(item) {
				return
			}
		}
	}
}
