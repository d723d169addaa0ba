// Package session keeps conversations between the requests of a user: in memory, in
// DynamoDB (package dynamosession) or in your own store.
//
//	chats := session.New(chat, dynamosession.New(dynamodb.NewFromConfig(cfg), "chats"))
//	result, err := chats.Run(ctx, sessionID, converse.Request{
//		Messages: []converse.Message{converse.User("And in English?")},
//	})
//
// [Client.Run] and [Client.RunStream] load the history, add the request's messages,
// run the tool loop of package converse, and save the history with the answer.
// [Client.Source] returns a turn for the writers of package stream.
//
// # Two requests at once
//
// A [Store] saves a history only if nothing has changed it since it was loaded. If two
// requests to one session run, the request that ends second gets its answer together
// with [ErrConflict]. Nothing of the first request is lost.
//
// # Long conversations
//
// If a history is larger than Options.MaxTokens, its oldest exchanges are cut, down to
// Options.KeepTokens. So it is not cut again with each request, and the prompt cache
// can be used. It is cut only before a question of the user: a tool call always stays
// with its result, and reasoning with what it led to. With Options.Summarize, a
// summary replaces what was cut.
//
// # Questions to the user
//
// A history that ends with open tool calls (converse.ErrPending) is saved like any
// other. The next request answers the calls with converse.ToolResult content. If that
// request has no content, the calls run, and converse.Options.Approve is called again.
// If it has only other content, the user went on without answering, and the model
// reads that. Calls that are in the messages of a request but not in the stored
// history do not run.
package session
