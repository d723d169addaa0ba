// Package offline is a small assistant that plays the model behind a fake
// Bedrock, so that the chat server answers with no account and no network.
//
//	books := catalog.Default()
//	fake, err := bedrocktest.New(func(o *bedrocktest.Options) {
//		o.Responder = offline.New(books).Respond
//	})
//
// It is not a language model. It reads the conversation with word lists and the
// catalogue's names, calls the tools that the request offers, and writes down
// what their results say, in the language of the question. It is deterministic,
// and keeps nothing between requests.
//
// # How it answers
//
// [Assistant.Respond] understands the last question with what was said before
// (understand.go), decides which tools to call next (plan.go), and once their
// results are in the conversation writes the answer (books.go, stock.go,
// orders.go). A question about stock takes two rounds: a search for the manga's
// id, then the check. Small talk takes none (smalltalk.go).
//
// A question about the last answer ("which is the shortest?", "as a table", "the
// second one") is about the titles in its list, which are looked up again
// (followups.go); one that narrows it down ("under five volumes") repeats the
// search (history.go).
//
// # What it states
//
// Facts come from tool results only. Names of manga that it knows from the
// catalogue help it to understand a question and to word a tool's input, as a
// model's training would. A request without tools is answered from the
// catalogue directly.
package offline
