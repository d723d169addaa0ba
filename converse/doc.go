// Package converse holds conversations with models on Amazon Bedrock through
// the Converse API, with tools.
//
//	type Lookup struct {
//		Title string `json:"title" jsonschema:"the manga's title"`
//	}
//	stock := converse.NewTool("check_stock", "Says how many copies are in stock.",
//		func(ctx context.Context, in Lookup) (map[string]int, error) {
//			return map[string]int{"copies": 3}, nil
//		})
//
//	chat := converse.New(client, func(o *converse.Options) {
//		o.Model = "us.anthropic.claude-haiku-4-5-20251001-v1:0"
//		o.System = converse.Texts("You are the assistant of a manga store.")
//		o.Tools = []converse.Tool{stock}
//	})
//	result, err := chat.Run(ctx, converse.Request{
//		Messages: []converse.Message{converse.User("Is Berserk in stock?")},
//	})
//	if err != nil {
//		return err // result holds the conversation so far
//	}
//	fmt.Println(result.Text(), result.Cost)
//
// # Values
//
// A [Message] and its [Content] are plain values that survive a round trip through
// JSON. So a history can be kept in a file or a database and sent again, including
// reasoning signatures and unknown content. The JSON has the form of the Converse API.
// [File] makes content from a file. [Message.SDK] and [MessageFromSDK] convert to and
// from the types of the AWS SDK.
//
// # Before a request is sent
//
// A [Client] validates each request before it is sent, and refuses what Bedrock would
// refuse. The error is a [*PreflightError]; it lists every problem, with its place.
// [Repair] fixes what is safe to fix in a history that was cut, merged or made by
// another model, and reports what it changed. [Options.Repair] does so for every
// request.
//
// # Prompt caching
//
// [Options.CachePoints] adds cache points after the tools, the system prompt and the
// conversation so far, within the rules of the model. So each request reads what the
// request before has written. [Response.PromptCache] says what was read and written,
// what a hit saved and what a miss cost. You can also add a [CachePoint] yourself.
//
// # The tool loop
//
// [Client.Run], [Client.RunStream] and [Client.Turns] send the request, run the tools
// that the model asks for and send their results, until the model has answered.
// [Client.Source] returns the loop as messages, for the writers of package stream.
// What the loop does next depends on why the model stopped:
//
//	tool_use                        its tools run; another round
//	end_turn                        the answer is complete: it ends, unless it
//	                                  asks for tools, which then run
//	stop_sequence                   the answer is complete: it ends
//	max_tokens,                     the answer was cut: it ends, no tool runs;
//	  model_context_window_exceeded   Response.StopReason.Length reports it
//	guardrail_intervened            it ends, no tool runs; what was stopped is
//	                                  taken out of the conversation
//	content_filtered, any other     it ends, no tool runs
//	malformed_model_output,         an error that is bedrockx.ErrModelError
//	  malformed_tool_use
//
// If the model makes a mistake (arguments that the schema refuses, a tool that does
// not exist), it gets an error result, so that it can fix its call. If a tool fails
// (an error, a panic, a timeout), the model gets an error result too. It reads the
// reason only if the tool returned it with [Tellf]. [RunEvent.Err] has the whole
// error, for the log.
//
// [Options] bound the rounds, tool calls, tokens, cost and time of a loop. A loop that
// reaches a bound runs no more tools.
//
// # Waiting for the user
//
// A tool that was made with ToolOptions.Approval runs only if [Options.Approve] allows
// it. A tool can ask the user with [Ask]. If the answer is not available yet, the loop
// ends with a [*PendingError], and the conversation so far ends with the open calls.
// It can be stored. [Answer] and [Options.Resume] continue it, in any process.
//
// # Values of Go types
//
// [Generate] asks for an answer that is a value of a Go type, and validates it.
//
// # Errors
//
// The error of a call is a [*bedrockx.Error]. The loop's own errors are [ErrMaxRounds]
// and the others in its list. If the loop fails, the [RunResult] that comes with the
// error holds the conversation so far.
//
// # Goroutines
//
// No goroutine outlives its call, with one exception, because Go cannot stop a
// goroutine: if a tool does not return within a second after its context has ended,
// the loop goes on without it ([ErrToolAbandoned]).
package converse
