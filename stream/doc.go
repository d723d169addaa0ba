// Package stream reads the token streams of Amazon Bedrock: ConverseStream and
// InvokeModelWithResponseStream, as one model of events.
//
//	s, err := stream.Converse(ctx, client, &bedrockruntime.ConverseStreamInput{
//		ModelId:  aws.String("us.amazon.nova-lite-v1:0"),
//		Messages: messages,
//	})
//	if err != nil {
//		return err
//	}
//	for text, err := range s.Text() {
//		if err != nil {
//			return err // what came before is in s.Result()
//		}
//		fmt.Print(text)
//	}
//	fmt.Println(s.Usage(), s.Result().StopReason)
//
// [Invoke] does the same for InvokeModelWithResponseStream, with the typed
// requests of the packages below bedrockx and the decoder of the family.
//
// # Complete, or an error
//
// Only the model's own end ends a stream well. One that is cut, corrupt,
// silent for too long or broken by an exception yields an error, once and last,
// and [Stream.Result] holds what came so far.
//
// # Resources
//
// A Stream reads the response's body in the goroutine of its reader; there is
// no goroutine and no channel behind it. Leaving the loop, by break, return or
// panic, closes it and frees the connection. A stream that is never read is
// closed with [Stream.Close], or ends with its context.
//
// # Writers
//
// [Write] sends an answer to a reader: over a WebSocket ([JSON]), as
// server-sent events ([SSE]) or as [PlainText]. A reader that is gone stops the
// model, and one that is slow gets what has gathered in fewer messages.
// [Stream.Reader] is the text as an io.Reader, as AWS Lambda's response
// streaming takes it, package stream/apigateway writes to the connections of
// an API Gateway, and a [Broadcast] gives one answer to several readers, each
// from where it left off.
//
// # Retries
//
// The call passes the pipeline of package bedrockx. Its retries and fallbacks
// end with the first output: from then on an error is the reader's, unless
// bedrockx.Options.Continue asks the model to go on with a text that broke.
// An answer that was kept is given out again by [Replay].
package stream
