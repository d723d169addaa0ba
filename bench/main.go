package main

import (
	"bytes"
	"context"
	"encoding/json"
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

	"github.com/mangaassist/bedrockkit/bench/chat"
)

// course is what the races share.
type course struct {
	ctx     context.Context
	server  *server
	rounds  int
	work    int // how often a contestant runs in a round
	only    *regexp.Regexp
	profile string // a file for the CPU profile of a chat server
	sqs     string // the URL of a server that stands in for SQS
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
	{"held", "answers that are held for readers who come back: memory", (*course).held},
	{"calls", "unary calls over HTTP/2", (*course).calls},
	{"alone", "unary calls in memory", (*course).memoryCalls},
	{"parallel", "unary calls of many goroutines through one client", (*course).parallelCalls},
	{"pipeline", "the pipeline around an API that does nothing", (*course).pipeline},
	{"request", "Converse with 20 KB of history and 5 tools", (*course).request},
	{"agent", "a streamed loop with a tool, three rounds of 300 tokens, over HTTP/2", (*course).agent},
	{"chat", "a chat server and one by hand, answers that come as fast as they can", func(c *course) (*race, error) { return c.chat(20, chatAtOnce) }},
	{"chat20", "the same, 20 messages a second of 100 tokens a second", func(c *course) (*race, error) { return c.chat(20, chatPace) }},
	{"chat100", "the same, 100 messages a second", func(c *course) (*race, error) { return c.chat(100, chatPace) }},
	{"held1", "the same, a thousand answers at once of 20 tokens a second", func(c *course) (*race, error) { return c.sockets(50*c.work, speakers) }},
	{"held2", "the same, two thousand", func(c *course) (*race, error) { return c.sockets(100*c.work, speakers[:2]) }},
	{"held5", "a chat server, five thousand answers, text of 250 ms a frame", func(c *course) (*race, error) { return c.sockets(250*c.work, []speaker{gathered}) }},
	{"queue", "jobs of 20 ms from a queue, by 16 workers", func(c *course) (*race, error) {
		return c.queue("Jobs of 20 ms from a queue, by 16 workers, over HTTP/1.1", 100*c.work, 20*time.Millisecond)
	}},
	{"drain", "jobs that take no time, from a queue, by 16 workers", func(c *course) (*race, error) {
		return c.queue("Jobs that take no time, from a queue, by 16 workers, over HTTP/1.1", 1000*c.work, 0)
	}},
	{"fifo", "jobs of 5 ms from a FIFO queue, by 16 workers", (*course).fifo},
	{"fake", "the fake of bedrocktest: what a request costs it, and what it holds", (*course).fake},
	{"batch", "records of batch inference, written and their results read", (*course).batch},
	{"records", "records of batch inference, written", (*course).records},
	{"results", "results of batch inference, read", (*course).results},
	{"lambda", "the Lambda function of the chat server's REST API", (*course).function},
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
	chatKind := flag.String("chat", "", "be a chat server of this `kind`, as JSON (bench starts it by itself)")
	rounds := flag.Int("rounds", 11, "rounds of each race")
	work := flag.Int("work", 20, "streams or hundreds of calls a round")
	queues := flag.String("sqs", "", "the `URL` of a server that stands in for SQS; the default is memqueue in the server's process")
	only := flag.String("only", "", "a regular expression: the contestants that run")
	skip := flag.String("skip", "^$", "a regular expression: the races that do not run")
	out := flag.String("out", "", "write all tables (results.txt) and a plot of each race (SVG) into this folder")
	profile := flag.String("cpuprofile", "", "write a CPU profile of the client to this file")
	flag.Usage = usage
	flag.Parse()
	if *serveOnly {
		return serve()
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
	if *chatKind != "" {
		var kind chat.Kind
		if err := json.Unmarshal([]byte(*chatKind), &kind); err != nil {
			return fmt.Errorf("-chat: %w", err)
		}
		return chat.Serve(context.Background(), kind, os.Stdin, os.Stdout)
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
	skipped, err := regexp.Compile(*skip)
	if err != nil {
		return fmt.Errorf("-skip: %w", err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	srv, err := start()
	if err != nil {
		return err
	}
	defer srv.stop()
	c := &course{ctx: ctx, server: srv, rounds: *rounds, work: *work, only: pattern, sqs: *queues}
	if *profile != "" {
		c.profile = *profile + ".server" // that of the chat server which ran last
	}
	if c.sqs == "" {
		c.sqs = "http://" + srv.Addrs["sqs"]
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
		if len(named) > 0 && !slices.Contains(named, entry.name) || skipped.MatchString(entry.name) {
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
