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
// A stream ends with the model's stop event or with an error, never silently. If it is
// cut, corrupt, silent for too long or broken by an exception, it yields an error
// once, at the end. [Stream.Result] then holds what came so far.
//
// # Resources
//
// A Stream reads the response's body in the goroutine of its reader; it has no
// goroutine and no channel. If you leave the loop, by break, return or panic, the
// stream is closed and the connection is freed. If you do not read a stream, close it
// with [Stream.Close], or end its context.
//
// # Writers
//
// [Write] sends an answer to a reader: over a WebSocket ([JSON]), as server-sent
// events ([SSE]), as [PlainText], or to a connection of an API Gateway (package
// stream/apigateway). [NewReader] returns an answer as an io.Reader, for AWS Lambda's
// response streaming.
//
//	err := stream.Write(r.Context(), s, stream.SSE(w))
//
// An answer is any [Source] of messages: a Stream, or a tool loop or the turn of a
// session (converse.Client.Source, session.Client.Source). A [Message] is a piece of
// text or reasoning, a tool call or its result, the cost of a call, or the end.
// [Filter] leaves messages out.
//
// If the reader is gone, the model is stopped. A slow reader gets the same text in
// fewer messages, and no message that is too large for its connection. A [Broadcast]
// sends one answer to several readers, each from where it stopped reading. Package
// stream/resume keeps answers for readers that lose their connections.
//
// # Retries
//
// The call passes the pipeline of package bedrockx. It retries and falls back only
// before the first output. After that, the reader gets the error, unless
// bedrockx.Options.Continue asks the model to go on with a text that broke. [Replay]
// streams an answer that was kept.
package stream
