package main

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime/types"

	"github.com/mangaassist/bedrockkit/bedrockx"
	"github.com/mangaassist/bedrockkit/internal/eventstream"
	"github.com/mangaassist/bedrockkit/stream"
)

// How many slow streams are open at once, and for how long they are watched.
const (
	slowStreams = 1000
	slowWatch   = 3 * time.Second
)

// slow holds a thousand streams open, each of twenty events a second, and looks
// at the process: goroutines, memory and CPU.
func (c *course) slow() (*race, error) {
	type reader struct {
		name string
		// read reads a stream until the context ends, and counts events.
		read func(ctx context.Context, n *atomic.Int64) error
	}
	client := c.server.client("slow", true)
	defer client.CloseIdleConnections()
	sdk := bedrockruntime.NewFromConfig(config(client))
	ours := bedrockx.New(sdk)
	in := &bedrockruntime.ConverseStreamInput{ModelId: aws.String(model), Messages: sdkMessages()}
	readers := []reader{
		{sdkConverse, func(ctx context.Context, n *atomic.Int64) error {
			out, err := sdk.ConverseStream(ctx, in)
			if err != nil {
				return err
			}
			s := out.GetStream()
			defer s.Close()
			for ev := range s.Events() {
				if d, ok := ev.(*types.ConverseStreamOutputMemberContentBlockDelta); ok {
					if _, ok := d.Value.Delta.(*types.ContentBlockDeltaMemberText); ok {
						n.Add(1)
					}
				}
			}
			return s.Err()
		}},
		{ourConverse, func(ctx context.Context, n *atomic.Int64) error {
			s, err := stream.Converse(ctx, ours, in)
			if err != nil {
				return err
			}
			for _, err := range s.Text() {
				if err != nil {
					return err
				}
				n.Add(1)
			}
			return nil
		}},
		{framesOnly, func(ctx context.Context, n *atomic.Int64) error {
			_, err := raw(ctx, client, func(body io.Reader) (int, error) {
				frames := eventstream.NewReader(body, 0)
				for {
					if _, err := frames.Next(); err != nil {
						return 0, err
					}
					n.Add(1)
				}
			})
			return err
		}},
	}

	samples := make([][]slowResult, len(readers))
	for round := range max(1, c.rounds/4) {
		for k := range readers {
			i := (k + round) % len(readers)
			runtime.GC()
			runtime.GC() // what finalizers held
			before := footprint()
			ctx, cancel := context.WithCancel(c.ctx)
			var n atomic.Int64
			var wg sync.WaitGroup
			failed := make(chan error, slowStreams)
			for range slowStreams {
				wg.Go(func() {
					if err := readers[i].read(ctx, &n); err != nil && ctx.Err() == nil {
						failed <- err
					}
				})
			}
			for n.Load() < 5*slowStreams && len(failed) == 0 && c.ctx.Err() == nil {
				time.Sleep(10 * time.Millisecond) // all are under way
			}
			events, used := n.Load(), cpu()
			time.Sleep(slowWatch)
			events, used = n.Load()-events, cpu()-used
			runtime.GC()
			runtime.GC() // as before: the one halves stacks that have grown, the other gives the halves back
			after := footprint()
			cancel()
			wg.Wait()
			if len(failed) > 0 {
				return nil, fmt.Errorf("%s: %w", readers[i].name, <-failed)
			}
			samples[i] = append(samples[i], slowResult{
				cpu:        float64(used) / float64(events),
				goroutines: float64(after.goroutines-before.goroutines) / slowStreams,
				bytes:      float64(after.bytes-before.bytes) / slowStreams,
			})
		}
	}
	r := &race{Title: fmt.Sprintf("%d streams of %d events a second, over HTTP/2 with TLS; bytes are what a stream holds in memory", slowStreams, time.Second/slowEvery),
		Per: "event", Baseline: sdkConverse}
	for i, one := range readers {
		r.Rows = append(r.Rows, result{Name: one.name,
			CPU:        median(samples[i], func(s slowResult) float64 { return s.cpu }),
			Bytes:      median(samples[i], func(s slowResult) float64 { return s.bytes }),
			Goroutines: median(samples[i], func(s slowResult) float64 { return s.goroutines })})
	}
	r.divide()
	return r, nil
}

type slowResult struct{ cpu, goroutines, bytes float64 }

type held struct {
	goroutines int
	bytes      int64
}

// footprint is what the process holds: its heap and stacks.
func footprint() held {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return held{goroutines: runtime.NumGoroutine(), bytes: int64(m.HeapInuse + m.StackInuse)}
}
