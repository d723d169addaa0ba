// Package bedrockkit holds the words that all packages of the module share:
// what a request is sent to ([ModelID]), what it used ([Usage]), why the model
// stopped ([StopReason]), which tier served it ([ServiceTier]) and what a model
// can do ([Capabilities]).
//
//	id, err := bedrockkit.ModelID("us.amazon.nova-lite-v1:0").Parse()
//	fmt.Println(id.Base, id.Scope, err) // amazon.nova-lite-v1:0 geographic <nil>
//
// # The module
//
// It is a library for Amazon Bedrock on the AWS SDK for Go v2. The client of
// the SDK goes in, and what the module does not wrap stays reachable:
//
//	client := bedrockx.NewFromConfig(cfg)
//	chat := converse.New(client, func(o *converse.Options) { o.Model = id })
//	result, err := chat.Run(ctx, converse.Request{Messages: …})
//
// Where to look:
//
//   - bedrockx: the client and its pipeline, which every call passes: retries,
//     time limits, typed errors, cost; and typed InvokeModel
//   - stream: answers as they come, complete or an error
//   - converse: conversations with tools, in values that survive JSON; package
//     session stores them
//   - pricing: what a request cost and what it can cost, exactly
//   - cache: answers that are paid for once
//   - asyncq: calls through a queue
//   - bedrocktest: a Bedrock that runs inside a test
//
// This package imports nothing but the standard library and does no I/O.
package bedrockkit
