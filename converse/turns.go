package converse

import (
	"context"
	"iter"
)

// A Turn is one round of a loop: the model has answered, and the tools that it
// asks for have not run yet.
type Turn struct {
	Number   int // from 1
	Response *Response

	// Calls are the tool calls that run when the iteration goes on. There are
	// none in the last turn. They are to be read; Answer keeps one from running.
	Calls []ToolUse

	// Request is what the next round sends. All of it may be changed but its
	// Messages, which are those of Result.
	Request *Request

	// Result is what the loop has come to. Its Messages may be changed; the
	// last one has to stay.
	Result *RunResult

	answers map[string]ToolResult
	added   Contents
}

// Answer gives the result of a call, in the place of its tool, which does not
// run. A result for an id that is not in Calls is left aside.
func (t *Turn) Answer(result ToolResult) {
	if t.answers == nil {
		t.answers = make(map[string]ToolResult)
	}
	t.answers[result.ToolUseID] = result
}

// Add puts content behind the tool results of this round. After the last turn
// it is the user's next message, and the loop goes on.
func (t *Turn) Add(content ...Content) { t.added = append(t.added, content...) }

// Turns is [Client.Run] a round at a time, for a caller who looks at each,
// changes what comes next or stops.
//
//	for turn, err := range chat.Turns(ctx, request) {
//		if err != nil {
//			return err // turn.Result holds the conversation so far
//		}
//		log.Println(turn.Number, turn.Calls, turn.Response.Cost)
//	}
//
// Leaving the loop leaves the calls of that turn open; see [OpenCalls]. An
// error comes once and last, beside a turn that has nothing but the Result.
func (c *Client) Turns(ctx context.Context, req Request, optFns ...func(*Options)) iter.Seq2[*Turn, error] {
	return func(yield func(*Turn, error) bool) {
		l := c.loop(req, c.with(optFns))
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
