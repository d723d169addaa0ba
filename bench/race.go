package main

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"slices"
	"syscall"
	"time"
)

// A contestant does one piece of work and says how many bytes of text it found.
type contestant struct {
	name string
	run  func(context.Context) (int, error)
}

// A race is one table of results.
type race struct {
	Name     string
	Title    string
	Per      string // what one unit is: "event", "call"
	Baseline string // the contestant that has the ratio 1
	Rows     []result
}

// result is what one unit of a contestant costs, the median of the rounds.
type result struct {
	Name   string
	CPU    float64
	Allocs float64
	Bytes  float64
	Ratio  float64 // of CPU, to the baseline

	Goroutines float64 // of an open stream
}

// cpu is what this process has used so far.
func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// measure lets the contestants run in turns: work times each a round, one round
// to warm up. A unit is what one piece of work is divided by. The text that each
// must find is want, unless that is negative.
func (r *race) measure(ctx context.Context, contestants []contestant, rounds, work, units, want int) error {
	samples := make([][]result, len(contestants))
	for round := range rounds + 1 {
		for k := range contestants {
			i := (k + round) % len(contestants) // nobody is always behind the same one
			c := contestants[i]
			runtime.GC()
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			began := cpu()
			for range work {
				n, err := c.run(ctx)
				if err != nil {
					return fmt.Errorf("%s: %w", c.name, err)
				}
				if want >= 0 && n != want {
					return fmt.Errorf("%s found %d bytes of text, there are %d", c.name, n, want)
				}
			}
			used := cpu() - began
			runtime.ReadMemStats(&after)
			if round == 0 {
				continue
			}
			per := float64(work * units)
			samples[i] = append(samples[i], result{CPU: float64(used) / per,
				Allocs: float64(after.Mallocs-before.Mallocs) / per, Bytes: float64(after.TotalAlloc-before.TotalAlloc) / per})
		}
	}
	r.Rows = nil
	for i, c := range contestants {
		r.Rows = append(r.Rows, result{Name: c.name,
			CPU:    median(samples[i], func(s result) float64 { return s.CPU }),
			Allocs: median(samples[i], func(s result) float64 { return s.Allocs }),
			Bytes:  median(samples[i], func(s result) float64 { return s.Bytes })})
	}
	r.divide()
	return nil
}

// divide fills in the ratios.
func (r *race) divide() {
	i := slices.IndexFunc(r.Rows, func(row result) bool { return row.Name == r.Baseline })
	if i < 0 {
		return // left out by -only
	}
	for k := range r.Rows {
		r.Rows[k].Ratio = r.Rows[k].CPU / r.Rows[i].CPU
	}
}

func median[T any](of []T, value func(T) float64) float64 {
	values := make([]float64, len(of))
	for i, v := range of {
		values[i] = value(v)
	}
	slices.Sort(values)
	if n := len(values); n%2 == 0 {
		return (values[n/2-1] + values[n/2]) / 2
	}
	return values[len(values)/2]
}

func (r *race) print(w io.Writer) {
	fmt.Fprintf(w, "\n%s\n\n", r.Title)
	columns := "allocations"
	if r.Name == "slow" {
		columns = "goroutines"
	}
	fmt.Fprintf(w, "%-44s %12s %8s %12s %12s\n", "per "+r.Per, "CPU ns", "×", columns, "bytes")
	for _, row := range r.Rows {
		fmt.Fprintf(w, "%-44s %12.0f %8.3f %12.2f %12.0f\n", row.Name, row.CPU, row.Ratio, row.Allocs+row.Goroutines, row.Bytes)
	}
}
