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
	Note     string // below the table
}

// result is what one unit of a contestant costs, the median of the rounds.
type result struct {
	Name   string
	CPU    float64
	Allocs float64
	Bytes  float64
	Ratio  float64 // of CPU, to the baseline

	Goroutines float64 // of an open stream

	Frames      float64 // with text, of a message
	First, Late float64 // median and 99th percentile of the time to the first token, in ms
	Pace        float64 // of what the model sends, the part that arrives in time

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
		Frames: of(func(s result) float64 { return s.Frames }),
		First:  of(func(s result) float64 { return s.First }),
		Late:   of(func(s result) float64 { return s.Late }),
		Pace:   of(func(s result) float64 { return s.Pace }),
		Rate:   of(func(s result) float64 { return s.Rate }),

		Goroutines: of(func(s result) float64 { return s.Goroutines }),
		Calls:      of(func(s result) float64 { return s.Calls })}
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

// columns are those of the tables. One that no row has is left out.
var columns = []struct {
	title, format string
	value         func(result) float64
}{
	{"CPU ns", "%.0f", func(r result) float64 { return r.CPU }},
	{"×", "%.3f", func(r result) float64 { return r.Ratio }},
	{"allocations", "%.2f", func(r result) float64 { return r.Allocs }},
	{"goroutines", "%.2f", func(r result) float64 { return r.Goroutines }},
	{"bytes", "%.0f", func(r result) float64 { return r.Bytes }},
	{"frames", "%.0f", func(r result) float64 { return r.Frames }},
	{"first ms", "%.2f", func(r result) float64 { return r.First }},
	{"p99 ms", "%.2f", func(r result) float64 { return r.Late }},
	{"pace", "%.3f", func(r result) float64 { return r.Pace }},
	{"a second", "%.0f", func(r result) float64 { return r.Rate }},
	{"API calls", "%.2f", func(r result) float64 { return r.Calls }},
}

func (r *race) print(w io.Writer) {
	fmt.Fprintf(w, "\n%s\n\n%-52s", r.Title, "per "+r.Per)
	shown := columns[:0:0]
	for _, c := range columns {
		if slices.ContainsFunc(r.Rows, func(row result) bool { return c.value(row) > 0 }) {
			shown = append(shown, c)
			fmt.Fprintf(w, " %11s", c.title)
		}
	}
	fmt.Fprintln(w)
	for _, row := range r.Rows {
		fmt.Fprintf(w, "%-52s", row.Name)
		for _, c := range shown {
			fmt.Fprintf(w, " %11s", fmt.Sprintf(c.format, c.value(row)))
		}
		fmt.Fprintln(w)
	}
	if r.Note != "" {
		fmt.Fprintf(w, "%s\n", r.Note)
	}
}
