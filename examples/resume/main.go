// Command resume is a page whose answers survive it: reload it, cut its
// connection or open it a second time, and the answer goes on while the model is
// asked once. It needs no account: Bedrock is a fake one inside the program,
// unless it is run with -bedrock aws.
//
//	go run ./examples/resume
//
// With -redis, several of these programs share their answers: start one in one
// process, and read it from another.
package main

import (
	"context"
	"embed"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/redis/go-redis/v9"

	"github.com/mangaassist/bedrockkit/bedrocktest"
	"github.com/mangaassist/bedrockkit/bedrockx"
	"github.com/mangaassist/bedrockkit/converse"
	"github.com/mangaassist/bedrockkit/stream/resume"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "resume:", err)
		if errors.Is(err, errFlags) {
			os.Exit(2)
		}
		os.Exit(1)
	}
}

//go:embed page
var page embed.FS

// errFlags is part of the error of flags that cannot be read.
var errFlags = errors.New("see resume -h")

const usage = `resume is a page whose answers survive a reload, a lost connection and a second tab. It needs no account.

`

// run serves the page until ctx is done. Its URL is the first line that it
// prints, and each question that the fake is asked is another.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("resume", flag.ContinueOnError)
	flags.SetOutput(io.Discard) // main says what is wrong
	addr := flags.String("addr", "127.0.0.1:8080", "`address` to listen on; port 0 takes a free one")
	bedrock := flags.String("bedrock", "fake", "where the model is: \"fake\" (inside this program) or \"aws\" (your account, which costs money)")
	tps := flags.Float64("tps", 20, "tokens a second of the fake")
	redisAddr := flags.String("redis", "", "`address` of a Redis that shares the answers; without it they stay in this process")
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		fmt.Fprint(stderr, usage)
		flags.SetOutput(stderr)
		flags.PrintDefaults()
		return err
	} else if err != nil {
		return fmt.Errorf("%w; %w", err, errFlags)
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q; %w", flags.Arg(0), errFlags)
	}
	client, closeBedrock, err := connect(ctx, *bedrock, *tps, stdout)
	if err != nil {
		return err
	}
	defer closeBedrock()
	var shared *redis.Client
	if *redisAddr != "" {
		shared = redis.NewClient(&redis.Options{Addr: *redisAddr, ContextTimeoutEnabled: true})
		defer shared.Close()
	}
	registry, err := newRegistry(shared, func(_ context.Context, id string, err error) {
		if err != nil {
			fmt.Fprintf(stderr, "answer %s: %v\n", id, err)
		}
	})
	if err != nil {
		return err
	}
	chat := converse.New(client, func(o *converse.Options) {
		o.Model = "us.anthropic.claude-haiku-4-5-20251001-v1:0"
	})
	static, err := fs.Sub(page, "page")
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.Handle("/", http.FileServerFS(static))
	routes(mux, registry, chat)
	return serve(ctx, *addr, mux, registry, stdout)
}

// serve serves until ctx is done. Then it waits for the answers that run, and at
// last for their readers.
func serve(ctx context.Context, addr string, h http.Handler, registry *resume.Registry, stdout io.Writer) error {
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	srv := &http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second}
	fmt.Fprintf(stdout, "http://%s/\n", listener.Addr())
	failed := make(chan error, 1)
	go func() { failed <- srv.Serve(listener) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	bounded, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	err = errors.Join(registry.Close(bounded), srv.Shutdown(bounded))
	_ = srv.Close() // what Shutdown has left
	<-failed
	return err
}

// connect returns a client of the fake Bedrock or of the real one.
func connect(ctx context.Context, bedrock string, tps float64, stdout io.Writer) (*bedrockx.Client, func(), error) {
	switch bedrock {
	case "fake":
		fake, err := bedrocktest.New(func(o *bedrocktest.Options) {
			o.Responder = func(context.Context, *bedrocktest.Request) *bedrocktest.Reply {
				fmt.Fprintln(stdout, "the model was asked")
				var text strings.Builder
				for n := 1; n <= 100; n++ {
					fmt.Fprintf(&text, "%d ", n)
				}
				return bedrocktest.Text(text.String()).Pace(tps)
			}
		})
		if err != nil {
			return nil, nil, err
		}
		return bedrockx.New(fake.Client()), func() { fake.Close() }, nil
	case "aws":
		cfg, err := config.LoadDefaultConfig(ctx)
		if err != nil {
			return nil, nil, err
		}
		return bedrockx.NewFromConfig(cfg), func() {}, nil
	}
	return nil, nil, fmt.Errorf("-bedrock is %q; it is fake or aws", bedrock)
}
