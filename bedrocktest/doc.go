// Package bedrocktest is an Amazon Bedrock that runs inside a test.
//
// It is a real server that speaks Bedrock's HTTP and event-stream protocols, so
// what is tested is the whole path: the SDK's serializers and signer, the HTTP
// client, your retries, your decoding. There is nothing to mock:
//
//	func TestGreeting(t *testing.T) {
//		srv := bedrocktest.NewServer(t)
//		srv.Reply(bedrocktest.Text("Hello!"))
//		greeting := greet(srv.Client(), "Hi") // your code, which takes a *bedrockruntime.Client
//		assert.Equal(t, "Hello!", greeting)
//		assert.Equal(t, "Hi", srv.Requests()[0].LastText())
//	}
//
// # Scripting
//
// A [Reply] says what the model answers: [Text], [ToolUse], [Reasoning], errors
// such as [Throttle], and every way in which a response can go wrong. One value
// serves every operation and model family, streamed or not. Replies are queued
// with [Server.Reply] and go out first in, first out. [Server.Control] runs a
// function on the next request of an operation. A [Responder] stands for the
// model itself and answers what no script answers; [Echo] is a simple one.
//
// # What is checked
//
// The server refuses what Bedrock refuses, with Bedrock's error names, statuses
// and messages: unknown models, blank texts, tool results without their calls,
// a maxTokens of 0, requests without an Authorization header. It refuses what the
// model refuses, by the table of models of the root package: a [Rule] says which,
// and [Options.Ignore] switches it off. Models that have ended answer with 404,
// unless [Options.AllowEnded] is set. What no source says is not refused. Package
// conformance holds the answers against the service. A test that was
// started with [NewServer] fails when a scripted reply was left over or a
// request came that nothing answered, and then logs the conversation.
//
// # Behaviour
//
// Prompt caches are accounted by real prefixes with their TTLs, [Quota] by
// reservation and settlement, [Guardrail] by words and patterns. Embeddings and
// reranking are computed. [Fault] makes requests go wrong by their number or by
// chance, from a seed.
//
// # Recording
//
// A [Recorder] keeps what goes between a client and the real Bedrock, without
// what authenticates, as a text file; [Capture.Responder] replays it. A [Script]
// is a file of replies, as the program cmd/bedrockfake takes it.
//
// # Transports
//
// A server listens on a loopback address, for HTTP/1.1 and for HTTP/2 without
// TLS. With [Options.InProcess] there is no socket at all: connections are
// memory, and the server runs inside a testing/synctest bubble, on its clock.
//
// # Stability
//
// The same requests and replies give the same bytes: ids, padding, token counts
// and latencies are computed, not drawn. So a stream may be cut at each byte of
// its length, and golden files hold.
package bedrocktest
