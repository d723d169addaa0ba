package main

import (
	"context"
	"fmt"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// The arguments and results of the server's tools.
type (
	stockQuery struct {
		Title string `json:"title" jsonschema:"the manga's title, in English"`
	}
	stock struct {
		Copies int `json:"copies" jsonschema:"how many copies are in stock"`
	}
	reservation struct {
		Title  string `json:"title" jsonschema:"the manga's title, in English"`
		Copies int    `json:"copies" jsonschema:"how many copies"`
	}
)

// newShelf makes an MCP server with two tools. A server in another language
// would do as well.
func newShelf() *mcp.Server {
	copies := map[string]int{"Berserk": 3, "Monster": 0}
	server := mcp.NewServer(&mcp.Implementation{Name: "shelf", Version: "1.0.0"}, nil)
	mcp.AddTool(server, &mcp.Tool{Name: "stock.check", Description: "Says how many copies of a manga are in stock.",
		Annotations: &mcp.ToolAnnotations{ReadOnlyHint: true}},
		func(_ context.Context, _ *mcp.CallToolRequest, in stockQuery) (*mcp.CallToolResult, stock, error) {
			n, ok := copies[in.Title]
			if !ok {
				return nil, stock{}, fmt.Errorf("no manga has the title %q; leave out volume and subtitle", in.Title)
			}
			return nil, stock{n}, nil
		})
	mcp.AddTool(server, &mcp.Tool{Name: "stock.reserve", Description: "Reserves copies of a manga for the customer."},
		func(_ context.Context, _ *mcp.CallToolRequest, in reservation) (*mcp.CallToolResult, any, error) {
			if in.Copies < 1 || in.Copies > copies[in.Title] {
				return nil, nil, fmt.Errorf("there are only %d copies", copies[in.Title])
			}
			copies[in.Title] -= in.Copies
			text := fmt.Sprintf("reserved %d of %s", in.Copies, in.Title)
			return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: text}}}, nil, nil
		})
	return server
}

func serveShelf(ctx context.Context) error {
	return newShelf().Run(ctx, &mcp.StdioTransport{})
}
