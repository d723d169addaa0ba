// Command tools lets a model use two tools of a manga store: one that looks
// something up, and one with a side effect, which needs consent. It prints what
// happens as it happens. It needs no account: Bedrock is a fake one inside the
// program, unless it is run with -bedrock aws.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"sync"

	"github.com/mangaassist/bedrockkit/converse"
)

// stock is what the store has. Tools of one round run at once, so it is locked.
var (
	mu    sync.Mutex
	stock = map[string]int{"Berserk": 3, "Monster": 0}
)

// The arguments of the tools. Their JSON Schemas are made of these types.
type (
	stockQuery struct {
		Title string `json:"title" jsonschema:"the manga's title, in English"`
	}
	reservation struct {
		Title  string `json:"title" jsonschema:"the manga's title, in English"`
		Copies int    `json:"copies" jsonschema:"how many copies"`
	}
)

func checkStock(_ context.Context, q stockQuery) (map[string]int, error) {
	mu.Lock()
	defer mu.Unlock()
	copies, ok := stock[q.Title]
	if !ok {
		// The model reads this, and can fix its call. Of any other error it
		// learns only that the tool failed.
		return nil, converse.Tellf("no manga has the title %q; leave out volume and subtitle", q.Title)
	}
	return map[string]int{"copies": copies}, nil
}

func reserve(_ context.Context, r reservation) (string, error) {
	mu.Lock()
	defer mu.Unlock()
	if r.Copies < 1 || r.Copies > stock[r.Title] {
		return "", converse.Tellf("there are only %d copies", stock[r.Title])
	}
	stock[r.Title] -= r.Copies
	return fmt.Sprintf("reserved %d of %s", r.Copies, r.Title), nil
}

// approve consents to each reservation before it is made. A program with a user
// would ask here, or return converse.ErrPending and ask later.
func approve(_ context.Context, call converse.ToolUse) error {
	var r reservation
	if err := json.Unmarshal(call.Input, &r); err != nil {
		return err
	}
	if r.Copies > 2 {
		return converse.Tellf("a customer may reserve 2 copies at most")
	}
	return nil
}

func main() {
	client, closeBedrock := connect()
	defer closeBedrock()
	chat := converse.New(client, func(o *converse.Options) {
		o.Model = "us.anthropic.claude-haiku-4-5-20251001-v1:0"
		o.System = converse.Texts("You are the assistant of a manga store.")
		o.Tools = []converse.Tool{
			converse.NewTool("check_stock", "Says how many copies of a manga are in stock.", checkStock),
			converse.NewTool("reserve", "Reserves copies of a manga for the customer.", reserve,
				func(o *converse.ToolOptions) { o.Approval = true }),
		}
		o.Approve = approve
	})
	question := converse.User("Do you have Berserk and Monster? Reserve me what you have of them.")
	for ev, err := range chat.RunStream(context.Background(), converse.Request{Messages: []converse.Message{question}}) {
		if err != nil {
			log.Fatal(err)
		}
		switch {
		case ev.ToolUse != nil:
			fmt.Printf("  %s(%s)\n", ev.ToolUse.Name, ev.ToolUse.Input)
		case ev.ToolResult != nil:
			fmt.Printf("  = %s\n", ev.ToolResult.Content[0])
		case ev.Response != nil:
			fmt.Printf("\n[round %d: %s, %d tokens, $%s]\n", ev.Round, ev.Response.StopReason, ev.Response.Usage.Total(), ev.Response.Cost)
		case ev.Result != nil:
			fmt.Printf("[all: %d tokens, $%s]\n", ev.Result.Usage.Total(), ev.Result.Cost)
		default:
			fmt.Print(ev.Text)
		}
	}
}
