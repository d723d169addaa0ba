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

	Rate  float64 // of jobs, a second
	Calls float64 // of the service's API, for a job
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
	var samples []result
	for round := range rounds + 1 {
		for k := range contestants {
			c := contestants[(k+round)%len(contestants)] // nobody is always behind the same one
			sample, err := measured(work*units, func() error {
				for range work {
					n, err := c.run(ctx)
					if err != nil {
						return err
					}
					if want >= 0 && n != want {
						return fmt.Errorf("found %d bytes of text, there are %d", n, want)
					}
				}
				return nil
			})
			if err != nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
			if sample.Name = c.name; round > 0 {
				samples = append(samples, sample)
			}
		}
	}
	r.Rows = nil
	for _, c := range contestants {
		r.Rows = append(r.Rows, medianOf(c.name, samples))
	}
	r.divide()
	return nil
}

// measured is what a unit costs, of those that work does.
func measured(units int, work func() error) (result, error) {
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	began := cpu()
	if err := work(); err != nil {
		return result{}, err
	}
	used := cpu() - began
	runtime.ReadMemStats(&after)
	per := float64(units)
	return result{CPU: float64(used) / per, Allocs: float64(after.Mallocs-before.Mallocs) / per, Bytes: float64(after.TotalAlloc-before.TotalAlloc) / per}, nil
}

// medianOf is a contestant's row: the medians of its samples.
func medianOf(name string, samples []result) result {
	samples = slices.DeleteFunc(slices.Clone(samples), func(s result) bool { return s.Name != name })
	of := func(value func(result) float64) float64 { return median(samples, value) }
	return result{Name: name,
		CPU:    of(func(s result) float64 { return s.CPU }),
		Allocs: of(func(s result) float64 { return s.Allocs }),
		Bytes:  of(func(s result) float64 { return s.Bytes }),
		Rate:   of(func(s result) float64 { return s.Rate }),
		Calls:  of(func(s result) float64 { return s.Calls })}
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
	rated := slices.ContainsFunc(r.Rows, func(row result) bool { return row.Rate > 0 })
	fmt.Fprintf(w, "%-44s %12s %8s %12s %12s", "per "+r.Per, "CPU ns", "×", columns, "bytes")
	if rated {
		fmt.Fprintf(w, " %10s %10s", r.Per+"s/s", "API calls")
	}
	fmt.Fprintln(w)
	for _, row := range r.Rows {
		fmt.Fprintf(w, "%-44s %12.0f %8.3f %12.2f %12.0f", row.Name, row.CPU, row.Ratio, row.Allocs+row.Goroutines, row.Bytes)
		if rated {
			fmt.Fprintf(w, " %10.0f %10.2f", row.Rate, row.Calls)
		}
		fmt.Fprintln(w)
	}
}
