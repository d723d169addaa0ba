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
// It repeats what it is told, honours toolChoice with inputs that fit the
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
	"syscall"

	"github.com/mangaassist/bedrockkit/bedrocktest"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	switch err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		fmt.Fprintln(os.Stderr, "bedrockfake:", err)
		os.Exit(1)
	}
}

// run serves until ctx ends.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("bedrockfake", flag.ContinueOnError)
	flags.SetOutput(stderr)
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
	flags.BoolVar(&opts.AnyModel, "any-model", false, "take every model id")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", flags.Arg(0))
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
	srv, err := bedrocktest.New(func(o *bedrocktest.Options) { *o = opts })
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintln(stdout, srv.URL()); err != nil {
		srv.Close()
		return err // nobody would know where it is
	}
	<-ctx.Done()
	return srv.Close()
}
