// Command chatserver is MangaAssist, the chat assistant of a Japanese manga
// store: a page that streams answers over a WebSocket, with tools that look
// into the store's catalogue, orders and stock.
//
//	go run ./examples/chatserver
//
// needs no account: the model is an offline assistant behind a fake Bedrock
// that runs inside the program. With -bedrock aws it is a real one, in the
// account of the AWS configuration that the environment has.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/aws/aws-sdk-go-v2/config"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/bedrocktest"
	"github.com/mangaassist/bedrockkit/bedrockx"
	"github.com/mangaassist/bedrockkit/converse"
	"github.com/mangaassist/bedrockkit/examples/chatserver/catalog"
	"github.com/mangaassist/bedrockkit/examples/chatserver/offline"
	"github.com/mangaassist/bedrockkit/examples/chatserver/shop"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "chatserver:", err)
		os.Exit(1)
	}
}

// settings are the program's flags.
type settings struct {
	addr    string
	bedrock string
	haiku   string
	sonnet  string
	tps     float64
}

func parse(args []string, stderr io.Writer) (settings, error) {
	var s settings
	flags := flag.NewFlagSet("chatserver", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&s.addr, "addr", "127.0.0.1:8080", "`address` to listen on; port 0 takes a free one")
	flags.StringVar(&s.bedrock, "bedrock", "fake", "where the model is: `fake` (offline, inside this program) or aws (your account, which costs money)")
	flags.StringVar(&s.haiku, "haiku", "anthropic.claude-3-haiku-20240307-v1:0", "the `model` that clients call haiku: an id, an inference profile or an ARN")
	flags.StringVar(&s.sonnet, "sonnet", "anthropic.claude-3-sonnet-20240229-v1:0", "the `model` that clients call sonnet")
	flags.Float64Var(&s.tps, "tps", 60, "`tokens` a second of the offline model")
	if err := flags.Parse(args); err != nil {
		return s, err
	}
	switch {
	case flags.NArg() > 0:
		return s, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	case !loopback(s.addr):
		return s, fmt.Errorf("-addr is %q; the server has no login, so it listens on loopback addresses only, such as 127.0.0.1:8080", s.addr)
	case s.bedrock != "fake" && s.bedrock != "aws":
		return s, fmt.Errorf("-bedrock is %q; it is fake or aws", s.bedrock)
	case s.tps <= 0:
		return s, fmt.Errorf("-tps is %g; it must be more than 0", s.tps)
	}
	return s, nil
}

// loopback reports whether a host and port can be reached from this machine
// alone.
func loopback(hostport string) bool {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		return false
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// run serves until ctx ends.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	s, err := parse(args, stderr)
	if err != nil {
		return err
	}
	log := slog.New(slog.NewTextHandler(stderr, nil))
	srv, closeBedrock, err := build(ctx, s, log)
	if err != nil {
		return err
	}
	defer closeBedrock()

	listener, err := net.Listen("tcp", s.addr)
	if err != nil {
		return fmt.Errorf("%w; choose another address with -addr", err)
	}
	fmt.Fprintf(stdout, "http://%s/\n", listener.Addr())
	fmt.Fprintf(stdout, "MangaAssist is listening. Open the address in a browser; Ctrl-C stops it.\n%s\n", srv.info.Notice)

	// There is no write timeout: a live answer may take as long as it takes.
	base, hangUp := context.WithCancel(context.Background())
	defer hangUp()
	closing, close := context.WithCancel(context.Background())
	defer close()
	srv.closing = closing
	web := &http.Server{
		Handler: srv.handler(), BaseContext: func(net.Listener) context.Context { return base },
		ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 30 * time.Second, IdleTimeout: 2 * time.Minute,
		MaxHeaderBytes: 16 << 10, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
	served := make(chan error, 1)
	go func() { served <- web.Serve(listener) }()
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	// WebSockets are told; HTTP answers may end. What has not after ten seconds
	// is cut off.
	close()
	bounded, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	defer context.AfterFunc(bounded, hangUp)()
	err = web.Shutdown(bounded)
	srv.sockets.Wait()
	<-served
	return err
}

// build puts the server together. What it returns beside closes the model's
// side.
func build(ctx context.Context, s settings, log *slog.Logger) (*server, func(), error) {
	models := map[string]bedrockkit.ModelID{"haiku": bedrockkit.ModelID(s.haiku), "sonnet": bedrockkit.ModelID(s.sonnet)}
	for name, id := range models {
		if err := id.Validate(); err != nil {
			return nil, nil, fmt.Errorf("-%s: %w", name, err)
		}
	}
	books := catalog.Default()
	srv := &server{log: log, closing: context.Background(), info: info{
		MaxQuestionCharacter: maxQuestion,
		Models:               []modelInfo{{"haiku", models["haiku"]}, {"sonnet", models["sonnet"]}},
	}}
	var client *bedrockx.Client
	closeBedrock := func() {}
	if s.bedrock == "aws" {
		cfg, err := config.LoadDefaultConfig(ctx)
		if err != nil {
			return nil, nil, fmt.Errorf("reading the AWS configuration: %w", err)
		}
		if cfg.Region == "" {
			return nil, nil, errors.New("no AWS region is set; set AWS_REGION, or a region in your AWS profile")
		}
		client = bedrockx.NewFromConfig(cfg, bedrockx.Service)
		srv.info.Backend = "aws"
		srv.info.Notice = "The model is Amazon Bedrock in " + cfg.Region + "; answers cost money."
	} else {
		fake, err := bedrocktest.New(func(o *bedrocktest.Options) {
			o.Responder = offline.New(books).Respond
			o.Pace = s.tps
			o.InProcess = true
			o.KeepRequests = 1 // nobody looks at them
		})
		if err != nil {
			return nil, nil, fmt.Errorf("starting the offline model: %w", err)
		}
		client = bedrockx.New(fake.Client(), bedrockx.Service)
		closeBedrock = func() { fake.Close() }
		srv.info.Backend = "offline"
		srv.info.Notice = "This is the offline assistant: it knows the store's catalogue and nothing else. Costs are what the real model would cost."
	}
	srv.assistant = newAssistant(client, shop.New(books), models)
	return srv, closeBedrock, nil
}

// logAnswer writes one line about an answer: what it took and how it ended,
// never what was asked or said.
func (s *server) logAnswer(id string, q question, result *converse.RunResult, err error) {
	attrs := []any{"request_id", id, "model", q.Model, "messages", len(q.Messages)}
	if result != nil {
		attrs = append(attrs, "rounds", len(result.Rounds), "input_tokens", result.Usage.TotalInput(), "output_tokens", result.Usage.OutputTokens)
		if result.Cost != nil {
			attrs = append(attrs, "cost_usd", result.Cost.String())
		}
		if last := result.Last(); last != nil && err == nil {
			attrs = append(attrs, "stop_reason", last.StopReason)
		}
	}
	switch {
	case err == nil:
		s.log.Info("answered", attrs...)
	case errors.Is(err, errStopped):
		s.log.Info("stopped", attrs...)
	default:
		s.log.Warn("failed", append(attrs, "error", err)...)
	}
}
