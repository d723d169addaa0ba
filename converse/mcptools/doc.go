// Package mcptools gives a conversation the tools, resources and prompts of
// servers that speak the Model Context Protocol (MCP). It uses the protocol's
// official Go SDK.
//
//	server := mcptools.New(mcptools.Command("manga-mcp", "--readonly"))
//	defer server.Close()
//
//	chat := converse.New(client, func(o *converse.Options) {
//		o.Model = "us.anthropic.claude-haiku-4-5-20251001-v1:0"
//		o.ToolSource = server.Tools
//	})
//	result, err := chat.Run(ctx, converse.Request{
//		Messages: []converse.Message{converse.User("Which volumes of Berserk are in stock?")},
//	})
//
// # Tools
//
// [Server.Tools] returns the server's tools as converse tools. The loop treats them
// like any other: it validates the arguments against the tool's schema, asks for
// consent, and bounds the time, the number of calls and the size of the results. As
// [converse.Options.ToolSource] it is called before each request, so a running loop
// sees changes of the server's list.
//
// A tool runs only if converse.Options.Approve allows it, unless the server declares
// it read-only. [Options.Approval] changes this rule. The declaration and the
// descriptions that the model reads come from the server, so connect only to servers
// that you trust with the conversation.
//
// A name that Bedrock does not accept is made valid. [Join] combines several servers
// and gives tools with equal names different ones.
//
// # Results
//
// Text, pictures, documents and structured results reach the model as content. Content
// that no model reads in the result of a tool, such as audio, becomes a line of text
// that says what was left out. A result that the server marks as an error is an error
// result with the server's text.
//
// # Servers that die
//
// A Server connects when it is first used. If the connection ends, the running calls
// fail, the model reads that they failed, and the next call connects again. A call is
// never sent twice.
//
// # Goroutines
//
// A connected Server has the goroutines of its connection. [Server.Close] ends
// them.
package mcptools
