package parallel_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit/parallel"
)

func count(n int) func(func(int) bool) {
	return func(yield func(int) bool) {
		for i := range n {
			if !yield(i) {
				return
			}
		}
	}
}

func TestMap(t *testing.T) {
	odd := errors.New("odd")
	var running, most atomic.Int32
	var got []int
	errs := 0
	for item := range parallel.Map(t.Context(), 4, count(100), func(_ context.Context, i int) (string, error) {
		if n := running.Add(1); n > most.Load() {
			most.Store(n)
		}
		defer running.Add(-1)
		if i%2 == 1 {
			return "", odd
		}
		return fmt.Sprint(i), nil
	}) {
		got = append(got, item.Input)
		if item.Err != nil {
			assert.ErrorIs(t, item.Err, odd)
			errs++
			continue
		}
		assert.Equal(t, fmt.Sprint(item.Input), item.Result)
	}
	slices.Sort(got)
	assert.Equal(t, slices.Collect(count(100)), got, "each input once")
	assert.Equal(t, 50, errs)
	assert.LessOrEqual(t, most.Load(), int32(4))
}

func TestMapThatIsLeft(t *testing.T) {
	var started atomic.Int32
	n := 0
	for item := range parallel.Map(t.Context(), 3, count(1_000_000), func(ctx context.Context, i int) (int, error) {
		started.Add(1)
		if i > 0 {
			<-ctx.Done() // leaving the loop ends it
		}
		return i, ctx.Err()
	}) {
		require.NoError(t, item.Err)
		n++
		break
	}
	assert.Equal(t, 1, n)
	assert.LessOrEqual(t, started.Load(), int32(4))
}

func TestMapOfACanceledContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	n := 0
	for item := range parallel.Map(ctx, 2, count(1000), func(ctx context.Context, i int) (int, error) { return i, ctx.Err() }) {
		_ = item
		if n++; n == 10 {
			cancel()
		}
	}
	assert.Less(t, n, 20, "no more inputs are taken")

	for range parallel.Map(t.Context(), 0, count(0), func(context.Context, int) (int, error) { return 0, nil }) {
		t.Fatal("there was no input")
	}
}

// A test's FailNow, in fn, ends a goroutine of the loop, and must not leave the loop waiting.
func TestMapWhoseFunctionEndsItsGoroutine(t *testing.T) {
	failed := 0
	for item := range parallel.Map(t.Context(), 2, count(10), func(_ context.Context, i int) (int, error) {
		if i == 3 {
			runtime.Goexit()
		}
		return i, nil
	}) {
		if item.Err != nil {
			failed++
			assert.Equal(t, 3, item.Input)
			assert.ErrorContains(t, item.Err, "ended its goroutine")
		}
	}
	assert.Equal(t, 1, failed)
}

// A panic of the inputs is the caller's, and the calls under way end before it.
func TestMapWhoseInputsPanic(t *testing.T) {
	var running atomic.Int64
	inputs := func(yield func(int) bool) {
		yield(1)
		panic("no more")
	}
	assert.PanicsWithValue(t, "no more", func() {
		for range parallel.Map(t.Context(), 2, inputs, func(ctx context.Context, _ int) (int, error) {
			running.Add(1)
			defer running.Add(-1)
			<-ctx.Done()
			return 0, ctx.Err()
		}) {
			t.Error("an item")
		}
	})
	assert.Zero(t, running.Load())
}

func ExampleMap() {
	titles := slices.Values([]string{"Berserk", "Monster", "Vagabond"})
	var lines []string
	for item := range parallel.Map(context.Background(), 2, titles, func(ctx context.Context, title string) (int, error) {
		return len(title), nil // here: bedrockx.Invoke
	}) {
		lines = append(lines, fmt.Sprintf("%s %d %v", item.Input, item.Result, item.Err))
	}
	slices.Sort(lines)
	for _, line := range lines {
		fmt.Println(line)
	}
	// Output:
	// Berserk 7 <nil>
	// Monster 7 <nil>
	// Vagabond 8 <nil>
}
