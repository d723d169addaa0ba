// Package telemetry reports the tool loops of package converse to OpenTelemetry,
// by the semantic conventions for generative AI: a span "invoke_agent NAME" for
// each loop, and below it a span "execute_tool NAME" for each run of a tool. The
// spans of the requests to the model, of package bedrockx/telemetry, lie below
// the loop's.
//
//	client := bedrockx.NewFromConfig(cfg, bedrocktelemetry.Option())
//	chat := converse.New(client, func(o *converse.Options) { o.Model = model })
//
//	agent := telemetry.NewAgent(chat, func(o *telemetry.Options) { o.Name = "store" })
//	result, err := agent.Run(ctx, converse.Request{Messages: []converse.Message{converse.User("Is Berserk in stock?")}})
//
// It needs only OpenTelemetry's API, not its SDK. If the program has not set up a
// provider, it does nothing.
//
// # Spans
//
// Of a loop: gen_ai.operation.name (invoke_agent), gen_ai.provider.name
// (aws.bedrock), gen_ai.agent.name, gen_ai.agent.id, gen_ai.agent.description,
// gen_ai.conversation.id, gen_ai.request.model, gen_ai.response.model,
// gen_ai.response.finish_reasons, gen_ai.usage.input_tokens,
// gen_ai.usage.output_tokens, error.type, and those of this module:
// bedrockkit.rounds and bedrockkit.cost.usd.
//
// Of a tool: gen_ai.operation.name (execute_tool), gen_ai.tool.name,
// gen_ai.tool.type (function), gen_ai.tool.call.id, error.type.
//
// Arguments, results and the texts of errors are never recorded.
//
// Source: open-telemetry/semantic-conventions-genai, docs/gen-ai.
package telemetry
