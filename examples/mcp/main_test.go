package main

import (
	"context"
	"log"
	"os"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// The server runs in this process here; [main] starts a process for it.
func Example() {
	dial := func(ctx context.Context) (mcp.Transport, error) {
		ours, theirs := mcp.NewInMemoryTransports()
		_, err := newShelf().Connect(ctx, theirs, nil)
		return ours, err
	}
	if err := run(context.Background(), os.Stdout, "fake", dial); err != nil {
		log.Fatal(err)
	}
	// Output:
	// Let me look.
	//   stock_check({"title":"Berserk, volume 1"})
	//   = no manga has the title "Berserk, volume 1"; leave out volume and subtitle
	//
	//   stock_check({"title":"Berserk"})
	//   = {"copies":3}
	//
	//   stock_reserve({"title":"Berserk","copies":2})
	//   = reserved 2 of Berserk
	// Two copies of Berserk are set aside for you.
	// [1046 tokens, $0.0014674]
}
