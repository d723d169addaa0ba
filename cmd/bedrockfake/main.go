// Bedrockfake is a fake Amazon Bedrock as a program, for clients in any
// language. It prints its URL as the first line of its output and serves until
// it is interrupted:
//
//	go run github.com/mangaassist/bedrockkit/cmd/bedrockfake -addr 127.0.0.1:8088
//
// Point a client at it by its endpoint alone, with any credentials:
//
//	AWS_ENDPOINT_URL_BEDROCK_RUNTIME=http://127.0.0.1:8088 AWS_ACCESS_KEY_ID=x AWS_SECRET_ACCESS_KEY=x AWS_REGION=us-east-1
//
// It repeats the question, honours toolChoice with inputs that fit the
// tools' schemas, and refuses what Bedrock refuses. A script says what it
// answers instead; faults make it fail. See package bedrocktest.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/bedrocktest"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	switch err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		fmt.Fprintln(os.Stderr, "bedrockfake:", err)
		if errors.Is(err, errFlags) {
			os.Exit(2)
		}
		os.Exit(1)
	}
}

// errFlags is part of the error of flags that cannot be read.
var errFlags = errors.New("see bedrockfake -h")

const usage = `bedrockfake is a fake Amazon Bedrock, for clients in any language. It prints its URL first.

  bedrockfake -addr 127.0.0.1:8088
  AWS_ENDPOINT_URL_BEDROCK_RUNTIME=http://127.0.0.1:8088 AWS_REGION=us-east-1 AWS_ACCESS_KEY_ID=x AWS_SECRET_ACCESS_KEY=x your-program

`

// run serves until ctx ends.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("bedrockfake", flag.ContinueOnError)
	flags.SetOutput(io.Discard) // main says what is wrong
	var opts bedrocktest.Options
	flags.StringVar(&opts.Addr, "addr", "127.0.0.1:8088", "loopback `address` to listen on")
	script := flags.String("script", "", "JSON `file` of scripted replies (see bedrocktest.Script)")
	flags.Float64Var(&opts.Pace, "tps", 0, "output `tokens` a second of streams; 0 is as fast as they are read")
	flags.Func("fault", "a `fault`, as op=ConverseStream,nth=2,abort=300 (see bedrocktest.ParseFault); may be repeated", func(s string) error {
		f, err := bedrocktest.ParseFault(s)
		opts.Faults = append(opts.Faults, f)
		return err
	})
	flags.Uint64Var(&opts.Seed, "seed", 0, "`number` that the chances of faults are drawn from")
	flags.StringVar(&opts.AccessKeyID, "access-key-id", "", "`id` of the key that requests must be signed with, if a secret is given")
	flags.StringVar(&opts.BearerToken, "api-key", "", "Bearer `token` that is taken; default $BEDROCKFAKE_API_KEY, else any")
	bucket := flags.String("s3", "", "loopback `address` to serve an S3 in memory on, which batch jobs read and write; its URL is the second line of the output")
	flags.BoolVar(&opts.AnyModel, "any-model", false, "take every model id")
	flags.Func("model", "a further model `id` that is taken; may be repeated", func(s string) error {
		opts.Models = append(opts.Models, bedrockkit.ModelID(s))
		return nil
	})
	flags.BoolVar(&opts.AllowEnded, "allow-ended", false, "let models answer that have reached the end of their life")
	flags.Func("ignore", "a `rule` of models that is not enforced, as thinking (see bedrocktest.Rule); may be repeated", func(s string) error {
		opts.Ignore = append(opts.Ignore, bedrocktest.Rule(s))
		return nil
	})
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
	// As a flag's default the key would be in the usage that is printed.
	if opts.BearerToken == "" {
		opts.BearerToken = os.Getenv("BEDROCKFAKE_API_KEY")
	}
	// A secret does not belong on a command line.
	opts.Secret = os.Getenv("BEDROCKFAKE_SECRET_ACCESS_KEY")

	opts.Responder = bedrocktest.Echo
	if *script != "" {
		f, err := os.Open(*script)
		if err != nil {
			return err
		}
		sc, err := bedrocktest.ParseScript(f)
		f.Close()
		if err != nil {
			return fmt.Errorf("%s: %w", *script, err)
		}
		opts.Responder = sc.Responder(bedrocktest.Echo)
	}
	bound(&opts)
	second := ""
	if *bucket != "" {
		url, stop, err := serveS3(*bucket, &opts)
		if err != nil {
			return err
		}
		defer stop()
		second = url + "\n"
	}
	srv, err := bedrocktest.New(func(o *bedrocktest.Options) { *o = opts })
	if err != nil {
		return err
	}
	if _, err := fmt.Fprint(stdout, srv.URL()+"\n"+second); err != nil {
		srv.Close()
		return err // nobody would know where it is
	}
	<-ctx.Done()
	return srv.Close()
}

// The memory of the program, which may be sent anything: nobody asks it what it
// was sent, requests that would not fit wait, and the garbage of large ones is
// collected early.
const (
	maxInFlight = 64 << 20
	softLimit   = 512 << 20
)

func bound(opts *bedrocktest.Options) {
	opts.KeepRequests, opts.MaxInFlight = -1, maxInFlight
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(softLimit)
	}
}
