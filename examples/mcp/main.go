// Command mcp lets a model use the tools of an MCP server (Model Context
// Protocol): a shelf of manga, in a process of its own. The program is its own
// server: it starts itself again with -serve. It prints what happens as it
// happens. It needs no account: Bedrock is a fake one inside the program, unless
// it is run with -bedrock aws.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"os"

	"github.com/mangaassist/bedrockkit/converse"
	"github.com/mangaassist/bedrockkit/converse/mcptools"
)

func main() {
	serve := flag.Bool("serve", false, "be the MCP server, on standard input and output")
	backend := flag.String("bedrock", "fake", "fake (no account) or aws (your account, which costs money)")
	flag.Usage = func() {
		fmt.Fprint(flag.CommandLine.Output(), "mcp lets a model use the tools of a server that speaks the Model Context Protocol.\n\n")
		flag.PrintDefaults()
	}
	flag.Parse()
	if *serve {
		if err := serveShelf(context.Background()); err != nil {
			log.Fatal(err)
		}
		return
	}
	program, err := os.Executable()
	if err != nil {
		log.Fatal(err)
	}
	if err := run(context.Background(), os.Stdout, *backend, mcptools.Command(program, "-serve")); err != nil {
		log.Fatal(err)
	}
}

// run asks one question of a model that has the server's tools.
func run(ctx context.Context, out io.Writer, backend string, dial mcptools.Dial) error {
	client, closeBedrock, err := connect(ctx, backend)
	if err != nil {
		return err
	}
	defer closeBedrock()
	shelf := mcptools.New(dial)
	defer shelf.Close()

	chat := converse.New(client, func(o *converse.Options) {
		o.Model = "us.anthropic.claude-haiku-4-5-20251001-v1:0"
		o.System = converse.Texts("You are the assistant of a manga store.")
		o.ToolSource = shelf.Tools
		o.Approve = approve
	})
	question := converse.User("Put two copies of Berserk aside for me, please.")
	for ev, err := range chat.RunStream(ctx, converse.Request{Messages: []converse.Message{question}}) {
		switch {
		case err != nil:
			return err
		case ev.ToolUse != nil:
			fmt.Fprintf(out, "  %s(%s)\n", ev.ToolUse.Name, ev.ToolUse.Input)
		case ev.ToolResult != nil:
			fmt.Fprintf(out, "  = %s\n", ev.ToolResult.Content[0])
		case ev.Response != nil:
			fmt.Fprintln(out)
		case ev.Result != nil:
			fmt.Fprintf(out, "[%d tokens, $%s]\n", ev.Result.Usage.Total(), ev.Result.Cost)
		default:
			fmt.Fprint(out, ev.Text)
		}
	}
	return nil
}

// approve consents to the calls of tools that the server does not declare
// read-only. A program with a user would ask here.
func approve(_ context.Context, call converse.ToolUse) error {
	var in reservation
	if err := json.Unmarshal(call.Input, &in); err != nil {
		return err
	}
	if in.Copies > 2 {
		return converse.Tellf("a customer may reserve 2 copies at most")
	}
	return nil
}
