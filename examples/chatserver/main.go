// Command chatserver is MangaAssist, the chat assistant of a Japanese manga
// store: a page that streams answers over a WebSocket, with tools that look
// into the store's catalogue, orders and stock.
//
//	go run ./examples/chatserver
//
// needs no account: the model is an offline assistant behind a fake Bedrock
// that runs inside the program. With -bedrock aws it is a real one, in the
// account of the AWS configuration that the environment has.
//
//	chatserver keys add -file keys.json partner
//	chatserver -addr 0.0.0.0:8080 -keys keys.json
//
// serves callers on other machines: each needs an API key.
//
//	chatserver load -products dynamodb:products -retriever pgvector:postgres://…
//
// fills the stores that its flags name.
//
//	chatserver nightly -enrichment enrichment.json
//
// enriches the catalogue by batch inference.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"syscall"

	"github.com/mangaassist/bedrockkit/examples/chatserver/app"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	command := run
	args := os.Args[1:]
	if len(args) > 0 {
		switch args[0] {
		case "keys":
			command, args = manageKeys, args[1:]
		case "load":
			command, args = load, args[1:]
		case "nightly":
			command, args = runNightly, args[1:]
		}
	}
	if err := command(ctx, args, os.Stdout, os.Stderr); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "chatserver:", err)
		if errors.Is(err, errFlags) {
			os.Exit(2)
		}
		os.Exit(1)
	}
}

// run serves until ctx ends.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	s, err := parse(args, stderr)
	if err != nil {
		return err
	}
	log := slog.New(slog.NewTextHandler(stderr, nil))
	server, err := app.Build(ctx, s, log)
	if err != nil {
		return err
	}
	defer server.Close()

	listener, err := net.Listen("tcp", s.Addr)
	if err != nil {
		return fmt.Errorf("%w; choose another address with -addr", err)
	}
	fmt.Fprintf(stdout, "http://%s/\n", listener.Addr())
	fmt.Fprintf(stdout, "MangaAssist is listening. Open the address in a browser; Ctrl-C stops it.\n%s\n", server.Notice())
	printSummary(stdout, server.Summary())
	return server.Serve(ctx, listener)
}

// printSummary prints what is on.
func printSummary(w io.Writer, lines []app.Line) {
	for _, line := range lines {
		fmt.Fprintf(w, "  %-10s %s\n", line.Part, line.Is)
	}
}

// load is the subcommand load: it fills the stores that the flags name.
func load(ctx context.Context, args []string, _, stderr io.Writer) error {
	s, err := parse(args, stderr)
	if err != nil {
		return err
	}
	return app.Load(ctx, s, slog.New(slog.NewTextHandler(stderr, nil)))
}
