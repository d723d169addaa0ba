package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"runtime"
	"slices"
	"time"

	"github.com/mangaassist/bedrockkit/stream"
	"github.com/mangaassist/bedrockkit/stream/resume"
)

// How many answers are held at once, and how many tokens a long one has.
const (
	heldAnswers = 500
	longAnswer  = 400_000
)

// tokens is a source of so many pieces of text.
type tokens int

func (n tokens) Close() error { return nil }

func (n tokens) Messages() iter.Seq2[stream.Message, error] {
	return func(yield func(stream.Message, error) bool) {
		for i := range int(n) {
			if !yield(stream.Message{Type: stream.TypeToken, Data: token(i), Sequence: int64(i + 1)}, nil) {
				return
			}
		}
		yield(stream.Message{Type: stream.TypeComplete, Sequence: int64(n + 1)}, nil)
	}
}

// logged is a log that holds one answer, a message for each token.
func logged(ctx context.Context, n tokens) (*resume.MemoryLog, error) {
	log := resume.NewMemoryLog()
	claim := resume.Claim{ID: "answer", Owner: "bench", Lease: time.Hour, Keep: time.Hour}
	if err := log.Begin(ctx, claim); err != nil {
		return nil, err
	}
	for m := range n.Messages() {
		if _, err := log.Append(ctx, claim, m); err != nil {
			return nil, err
		}
	}
	return log, nil
}

// registered is the log of a registry that has run one answer of at most 4 MiB.
func registered(ctx context.Context, n tokens) (*resume.MemoryLog, error) {
	log, ended := resume.NewMemoryLog(), make(chan error, 1)
	registry := resume.New(func(o *resume.Options) {
		o.Log, o.MaxBytes, o.Coalesce = log, 4<<20, -1
		o.OnEnd = func(_ context.Context, _ string, err error) { ended <- err }
	})
	if err := registry.Start(ctx, "answer", func(context.Context) (stream.Source, error) { return n, nil }); err != nil {
		return nil, err
	}
	if err := <-ended; err != nil && !errors.Is(err, resume.ErrFull) {
		return nil, err
	}
	return log, registry.Close(ctx)
}

// held keeps answers as a reader who comes back needs them and looks at the
// process's heap.
func (c *course) held() (*race, error) {
	const (
		asMessages  = "a slice of messages"
		asBroadcast = "stream.Broadcast"
		asLong      = "stream.Broadcast, 400,000 tokens"
		asLog       = "stream/resume, in memory"
		asLongLog   = "stream/resume, in memory, 400,000 tokens"
	)
	broadcast := func(n tokens) func() (any, error) {
		return func() (any, error) {
			b := stream.NewBroadcast(func(o *stream.BroadcastOptions) { o.Grace = -1 })
			return b, b.Run(n)
		}
	}
	contestants := []struct {
		name string
		many int
		hold func() (any, error)
	}{
		{asMessages, heldAnswers, func() (any, error) {
			var kept []stream.Message
			for m := range tokens(deltas).Messages() {
				kept = append(kept, m)
			}
			return kept, nil
		}},
		{asBroadcast, heldAnswers, broadcast(deltas)},
		{asLong, 5, broadcast(longAnswer)},
		{asLog, heldAnswers, func() (any, error) { return logged(c.ctx, deltas) }},
		{asLongLog, 5, func() (any, error) { return registered(c.ctx, longAnswer) }},
	}
	var samples []result
	for range max(1, c.rounds/4) {
		for _, one := range contestants {
			if !c.only.MatchString(one.name) {
				continue
			}
			runtime.GC()
			before, began := footprint(), cpu()
			kept := make([]any, one.many)
			for i := range kept {
				var err error
				if kept[i], err = one.hold(); err != nil {
					return nil, fmt.Errorf("%s: %w", one.name, err)
				}
			}
			used := cpu() - began
			runtime.GC()
			bytes := float64(footprint().bytes-before.bytes) / float64(one.many)
			runtime.KeepAlive(kept)
			if bound := 1.4 * (4 << 20); bytes > bound {
				return nil, fmt.Errorf("%s: an answer holds %.0f bytes, more than %.0f", one.name, bytes, bound)
			}
			samples = append(samples, result{Name: one.name, CPU: float64(used) / float64(one.many), Bytes: bytes})
		}
	}
	r := &race{Title: fmt.Sprintf("Answers of %d tokens (%d bytes) that are held for readers who come back; bytes are what an answer holds in memory", deltas, textBytes(deltas)),
		Per: "answer", Baseline: asMessages}
	for _, one := range contestants {
		if slices.ContainsFunc(samples, func(s result) bool { return s.Name == one.name }) {
			r.Rows = append(r.Rows, medianOf(one.name, samples))
		}
	}
	r.divide()
	return r, nil
}
