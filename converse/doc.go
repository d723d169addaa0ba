// Package converse holds conversations with models on Amazon Bedrock through
// the Converse API, with tools.
//
//	type Lookup struct {
//		Title string `json:"title" jsonschema:"the manga's title"`
//	}
//	stock := converse.Tool("check_stock", "Says how many copies are in stock.",
//		func(ctx context.Context, in Lookup) (map[string]int, error) {
//			return map[string]int{"copies": 3}, nil
//		})
//
//	chat := converse.New(client, func(o *converse.Options) {
//		o.Model = "us.anthropic.claude-haiku-4-5-20251001-v1:0"
//		o.System = "You are the assistant of a manga store."
//		o.Tools = []converse.Function{stock}
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
// A [Message] and all its [Content] are plain values that survive a round trip
// through JSON: a history can be kept in a file or a database and sent again,
// reasoning signatures and unknown content included. The JSON is that of the
// Converse API. [File] makes content of a file, and [Message.SDK] and
// [MessageFromSDK] convert to and from the types of the AWS SDK.
//
// # Before a request is sent
//
// A [Client] refuses what Bedrock would refuse before it is sent, with all that
// is wrong and where it is: the error is a [*PreflightError]. [Repair] mends
// what is safe in a history that was cut, merged or made by another model, and
// says what it did; [Options.Repair] does so for every request.
//
// # Prompt caching
//
// [Options.CachePoints] puts cache points behind the tools, the system prompt
// and the conversation so far, within the rules of the model, so that each
// request reads what the one before has written. [Response.Caching] says what
// was read and written, what that saved and what the miss cost. Points can also
// be put by hand, as [CachePoint].
//
// # The tool loop
//
// [Client.Run], [Client.RunStream] and [Client.Turns] send, run the tools that
// the model asks for and send their results, until the model has answered.
// What the loop does next follows from why the model stopped:
//
//	tool_use                        its tools run; another round
//	end_turn, stop_sequence         the answer is complete: it ends
//	max_tokens,                     the answer was cut: it ends, no tool runs;
//	  model_context_window_exceeded   Response.StopReason.Length reports it
//	guardrail_intervened            it ends, no tool runs; what was stopped is
//	                                  taken out of the conversation
//	content_filtered, any other     it ends, no tool runs
//	malformed_model_output,         an error that is bedrockx.ErrModelError
//	  malformed_tool_use
//
// What the model does wrong (arguments that the schema refuses, a tool that
// does not exist) goes back to it as an error result, so that it can mend its
// call. So does what a tool does wrong (an error, a panic, a timeout): the
// model is told that it failed, and why only where the tool said so with
// [Tellf]. [RunEvent.Err] has the whole error, for the log.
//
// The loop is bounded in rounds, tool calls, tokens, cost and time; see
// [Options]. A loop that reaches a bound runs no more tools.
//
// # Waiting for the user
//
// A tool that was made with ToolOptions.Approval runs only with the consent of
// [Options.Approve]. A tool can ask the user with [Ask]. Where the answer is
// not at hand, the loop ends with a [*PendingError], and the conversation so
// far ends with the open calls. It can be stored; [Answer] and
// [Options.Resume] take it up again, in any process.
//
// # Values of Go types
//
// [Generate] asks for an answer that is a value of a Go type, and checks it.
//
// # Errors
//
// A call's error is a [*bedrockx.Error]; the loop's own are [ErrMaxRounds] and
// those beside it. After an error of the loop the [RunResult] that comes with
// it holds the conversation so far.
//
// # Goroutines
//
// No goroutine outlives its call, with one exception that Go leaves no choice
// in: a tool that does not return when its context has ended is left behind
// after a second ([ErrToolAbandoned]).
package converse
