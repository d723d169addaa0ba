package mcptools_test

import (
	"context"
	"fmt"
	"log"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mangaassist/bedrockkit/bedrocktest"
	"github.com/mangaassist/bedrockkit/bedrockx"
	"github.com/mangaassist/bedrockkit/converse"
	"github.com/mangaassist/bedrockkit/converse/mcptools"
)

// exampleShelf stands in for a server elsewhere: mcptools.Command("manga-mcp"), or
// mcptools.HTTP("https://shelf.example.com/mcp", client).
func exampleShelf(context.Context) (mcp.Transport, error) {
	ours, theirs := mcp.NewInMemoryTransports()
	_, err := shelf("shelf").Connect(context.Background(), theirs, nil)
	return ours, err
}

func ExampleServer_Tools() {
	fake, err := bedrocktest.New(func(o *bedrocktest.Options) { o.InProcess = true })
	if err != nil {
		log.Fatal(err)
	}
	defer fake.Close()
	fake.Reply(bedrocktest.ToolUse("check_stock", map[string]any{"title": "Berserk"}), bedrocktest.Text("Three copies."))

	server := mcptools.New(exampleShelf)
	defer server.Close()
	chat := converse.New(bedrockx.New(fake.Client()), func(o *converse.Options) {
		o.Model = "us.anthropic.claude-haiku-4-5-20251001-v1:0"
		o.ToolSource = server.Tools
	})
	result, err := chat.Run(context.Background(), converse.Request{
		Messages: []converse.Message{converse.User("Is Berserk in stock?")},
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(result.Text())
	// Output: Three copies.
}

func ExampleJoin() {
	north := mcptools.New(exampleShelf, func(o *mcptools.Options) { o.Name = "north" })
	defer north.Close()
	south := mcptools.New(exampleShelf, func(o *mcptools.Options) { o.Name = "south" })
	defer south.Close()
	tools, err := mcptools.Join(north, south)(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	for _, tool := range tools {
		fmt.Println(tool.Spec.Name)
	}
	// Output:
	// north_check_stock
	// north_order_create
	// south_check_stock
	// south_order_create
}
