package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"slices"
	"strings"
	"time"
)

// course is what the races share.
type course struct {
	ctx    context.Context
	server *server
	rounds int
	work   int // how often a contestant runs in a round
	only   *regexp.Regexp
	sqs    string // the URL of a server that stands in for SQS
}

// measure lets those contestants run that -only leaves.
func (c *course) measure(r *race, contestants []contestant, units, want int) error {
	contestants = slices.DeleteFunc(contestants, func(x contestant) bool { return !c.only.MatchString(x.name) })
	return r.measure(c.ctx, contestants, c.rounds, c.work, units, want)
}

// events is the number of a stream's events: its deltas and five more.
const events = deltas + 5

// An entry is what can be named on the command line.
type entry struct {
	name, about string
	run         func(*course) (*race, error)
}

// races are the entries, in their order.
var races = []entry{
	{"h2", "streams that come at once, over HTTP/2 with TLS", func(c *course) (*race, error) {
		return c.streams("Streams over HTTP/2 with TLS, sent at once", "burst", true)
	}},
	{"h1", "streams that come at once, over HTTP/1.1 with TLS", func(c *course) (*race, error) {
		return c.streams("Streams over HTTP/1.1 with TLS, sent at once", "burst", false)
	}},
	{"flush", "streams with a flush after every event, over HTTP/2", func(c *course) (*race, error) {
		return c.streams("Streams over HTTP/2 with TLS, flushed after every event", "flush", true)
	}},
	{"memory", "streams in memory, on one processor", (*course).memoryStreams},
	{"first", "the client's share of the time to the first delta", (*course).first},
	{"slow", "a thousand slow streams at once: memory and goroutines", (*course).slow},
	{"calls", "unary calls over HTTP/2", (*course).calls},
	{"alone", "unary calls in memory", (*course).memoryCalls},
	{"parallel", "unary calls of many goroutines through one client", (*course).parallelCalls},
	{"pipeline", "the pipeline around an API that does nothing", (*course).pipeline},
	{"request", "Converse with 20 KB of history and 5 tools", (*course).request},
	{"queue", "jobs of 20 ms from a queue, by 16 workers", func(c *course) (*race, error) {
		return c.queue("Jobs of 20 ms from a queue, by 16 workers, over HTTP/1.1", 100*c.work, 20*time.Millisecond)
	}},
	{"drain", "jobs that take no time, from a queue, by 16 workers", func(c *course) (*race, error) {
		return c.queue("Jobs that take no time, from a queue, by 16 workers, over HTTP/1.1", 1000*c.work, 0)
	}},
	{"cache", "hits in memory", (*course).cacheHits},
	{"redis", "hits in Redis, where redis-server is on the PATH", (*course).redisHits},
}

func (c *course) streams(title, pace string, http2 bool) (*race, error) {
	client := c.server.client(pace, http2)
	defer client.CloseIdleConnections()
	contestants, err := streamers(client, client)
	if err != nil {
		return nil, err
	}
	r := &race{Title: title, Per: "event", Baseline: sdkConverse}
	return r, c.measure(r, contestants, events, textBytes(deltas))
}

func (c *course) memoryStreams() (*race, error) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	const contentType = "application/vnd.amazon.eventstream"
	contestants, err := streamers(memory(bytes.Join(converseFrames(deltas), nil), contentType), memory(bytes.Join(invokeFrames(deltas), nil), contentType))
	if err != nil {
		return nil, err
	}
	r := &race{Title: "Streams in memory, on one processor", Per: "event", Baseline: sdkConverse}
	return r, c.measure(r, contestants, events, textBytes(deltas))
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run() error {
	serveOnly := flag.Bool("serve", false, "be the server (bench starts it by itself)")
	rounds := flag.Int("rounds", 11, "rounds of each race")
	work := flag.Int("work", 20, "streams or hundreds of calls a round")
	queues := flag.String("sqs", "", "the `URL` of a server that stands in for SQS; the default is memqueue in the server's process")
	only := flag.String("only", "", "a regular expression: the contestants that run")
	out := flag.String("out", "", "write all tables (results.txt) and a plot of each race (SVG) into this folder")
	profile := flag.String("cpuprofile", "", "write a CPU profile of the client to this file")
	flag.Usage = usage
	flag.Parse()
	if *serveOnly {
		return serve()
	}
	named := flag.Args()
	for _, name := range named {
		if !slices.ContainsFunc(races, func(e entry) bool { return e.name == name }) {
			return fmt.Errorf("there is no race %q; see -h", name)
		}
	}
	if *rounds < 1 || *work < 1 {
		return errors.New("-rounds and -work are at least 1")
	}
	pattern, err := regexp.Compile(*only)
	if err != nil {
		return fmt.Errorf("-only: %w", err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	srv, err := start()
	if err != nil {
		return err
	}
	defer srv.stop()
	c := &course{ctx: ctx, server: srv, rounds: *rounds, work: *work, only: pattern, sqs: *queues}
	if c.sqs == "" {
		c.sqs = "http://" + srv.Addrs["sqs"]
	}
	if *profile != "" {
		f, err := os.Create(*profile)
		if err != nil {
			return err
		}
		defer f.Close()
		if err := pprof.StartCPUProfile(f); err != nil {
			return err
		}
		defer pprof.StopCPUProfile()
	}
	tables := io.Writer(os.Stdout)
	if *out != "" {
		f, err := os.Create(filepath.Join(*out, "results.txt"))
		if err != nil {
			return err
		}
		defer f.Close()
		tables = io.MultiWriter(os.Stdout, f)
	}
	conditions(tables, *rounds, *work)
	for _, entry := range races {
		if len(named) > 0 && !slices.Contains(named, entry.name) {
			continue
		}
		r, err := entry.run(c)
		if err != nil {
			return fmt.Errorf("%s: %w", entry.name, err)
		}
		if r == nil {
			continue // it has said why
		}
		r.Name = entry.name
		r.print(tables)
		if *out != "" {
			if err := os.WriteFile(filepath.Join(*out, r.Name+".svg"), r.svg(), 0o644); err != nil {
				return err
			}
		}
	}
	return nil
}

// conditions tells what the figures belong to.
func conditions(w io.Writer, rounds, work int) {
	fmt.Fprintf(w, "%s, %s/%s, %d processors, %d rounds of %d\n", runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), rounds, work)
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, m := range info.Deps {
			switch m.Path {
			case "github.com/aws/aws-sdk-go-v2/service/bedrockruntime", "github.com/aws/smithy-go", "github.com/anthropics/anthropic-sdk-go",
				"github.com/tmc/langchaingo", "charm.land/fantasy", "gocloud.dev", "github.com/maypok86/otter/v2", "github.com/redis/go-redis/v9":
				fmt.Fprintf(w, "%s %s\n", m.Path, m.Version)
			}
		}
	}
}

func usage() {
	w := flag.CommandLine.Output()
	fmt.Fprintf(w, "usage: go run . [flags] [race ...]\n\nraces, all of them where none is named:\n")
	for _, r := range races {
		fmt.Fprintf(w, "  %s%s %s\n", r.name, strings.Repeat(" ", 8-len(r.name)), r.about)
	}
	fmt.Fprintln(w, "\nflags:")
	flag.PrintDefaults()
}
