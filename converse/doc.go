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
// Converse API.
//
// # The tool loop
//
// [Client.Run] and [Client.RunStream] send, run the tools that the model asks
// for and send their results, until the model has answered. What a tool does
// wrong (an error, a panic, a timeout) and what the model does wrong (arguments
// that the schema refuses, a tool that does not exist) goes back to the model as
// an error result, so that it can mend its call. A tool runs only when the
// model stopped in order to call it and its input came whole.
//
// # Errors
//
// A call's error is a [*bedrockx.Error]; the loop's own are [ErrMaxRounds] and
// the sentinels beside it. After an error of the loop the [RunResult] that
// comes with it holds the conversation so far.
package converse
