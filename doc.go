// Package bedrockkit has the types that all packages of the module share: the model
// that a request is sent to ([ModelID]), what it used ([Usage]), why the model stopped
// ([StopReason]), which tier served it ([ServiceTier]) and what a model takes
// ([Capabilities]), as yes, no or unknown ([Support]).
//
//	id, err := bedrockkit.ModelID("us.amazon.nova-lite-v1:0").Parse()
//	fmt.Println(id.Base, id.Scope, err) // amazon.nova-lite-v1:0 geographic <nil>
//
// # The module
//
// The module is a library for Amazon Bedrock on top of the AWS SDK for Go v2. It uses
// the SDK's client, and you can still call that client for what the module does not
// wrap:
//
//	client := bedrockx.NewFromConfig(cfg)
//	chat := converse.New(client, func(o *converse.Options) { o.Model = id })
//	result, err := chat.Run(ctx, converse.Request{Messages: …})
//
// Where to look:
//
//   - bedrockx: the client and its pipeline, which every call passes: retries,
//     time limits, typed errors, cost; and typed InvokeModel
//   - stream: answers as they come, complete or an error; event has what they
//     are made of
//   - converse: conversations with tools, in values that survive JSON; package
//     session stores them, mcptools has the tools of MCP servers
//   - pricing: what a request cost and what it can cost, exactly
//   - quota: tokens and requests per minute
//   - cache: answers that are paid for once
//   - asyncq: calls through a queue
//   - batch: batch inference, at about half the price
//   - bedrocktest: a Bedrock that runs inside a test
//
// This package imports only the standard library and does no I/O.
package bedrockkit
