// Package session keeps conversations between the requests of a user: in
// memory, in DynamoDB (package dynamosession) or in a store of yours.
//
//	chats := session.New(chat, dynamosession.New(dynamodb.NewFromConfig(cfg), "chats"))
//	result, err := chats.Run(ctx, sessionID, converse.Request{
//		Messages: []converse.Message{converse.User("And in English?")},
//	})
//
// [Client.Run] and [Client.RunStream] load the history, put the request's
// messages behind it, run the tool loop of package converse, and save the
// history with the answer.
//
// # Two requests at once
//
// A [Store] saves a history only if it is still the one that was loaded. Of two
// requests to one session the second to end gets [ErrConflict], beside its
// answer; nothing of the first is lost.
//
// # Long conversations
//
// A history that has outgrown Options.MaxTokens loses its oldest exchanges,
// down to Options.KeepTokens, so that it is not cut again with each request,
// which would cost the prompt cache. It is cut only before a question of the
// user: a tool call always stays with its result, and reasoning with what it
// led to. With Options.Summarize a summary takes the place of what was cut.
//
// # Questions to the user
//
// A history that ends with open tool calls (converse.ErrPending) is saved as it
// is. The next request answers them with converse.ToolResult content. One
// without any content runs them, and converse.Options.Approve is asked again.
// One with only other content means that the user went on without answering;
// the model is told so. Calls that are in the messages of a request, and not in
// the stored history, do not run.
package session
