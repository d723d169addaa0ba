package converse

import (
	"context"
	"iter"
)

// A Turn is one round of a loop. The model has answered, and the tools that it asks
// for have not run yet.
type Turn struct {
	Number   int // from 1
	Response *Response

	// Calls are the tool calls that run when the iteration goes on. There are none in
	// the last turn. Do not change them; to keep a call from running, use Answer.
	Calls []ToolUse

	// Request is what the next round sends. It may be changed, except its Messages,
	// which are the Messages of Result.
	Request *Request

	// Result is the result of the loop so far. Its Messages may be changed, except the
	// last one.
	Result *RunResult

	answers map[string]ToolResult
	added   Contents
}

// Answer sets the result of a call, so that its tool does not run. A result for an id
// that is not in Calls is ignored.
func (t *Turn) Answer(result ToolResult) {
	if t.answers == nil {
		t.answers = make(map[string]ToolResult)
	}
	t.answers[result.ToolUseID] = result
}

// Add adds content after the tool results of this round. In the last turn, the content
// is the user's next message, and the loop goes on.
func (t *Turn) Add(content ...Content) { t.added = append(t.added, content...) }

// Turns is [Client.Run] one round at a time, for a caller that inspects each round,
// changes the next request or stops.
//
//	for turn, err := range chat.Turns(ctx, request) {
//		if err != nil {
//			return err // turn.Result holds the conversation so far
//		}
//		log.Println(turn.Number, turn.Calls, turn.Response.Cost)
//	}
//
// If you leave the loop, the calls of that turn stay open; see [OpenCalls]. An error
// is yielded once, at the end, with a turn that has only the Result.
func (c *Client) Turns(ctx context.Context, req Request, optFns ...func(*Options)) iter.Seq2[*Turn, error] {
	return func(yield func(*Turn, error) bool) {
		l := c.loop(&req, optFns)
		left := false
		l.review = func(t *Turn) bool {
			left = !yield(t, nil)
			return !left
		}
		if err := l.run(ctx); err != nil && !left {
			yield(&Turn{Result: l.result}, err)
		}
	}
}
