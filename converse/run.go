package converse

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/pricing"
	"github.com/mangaassist/bedrockkit/stream"
)

// The errors of a loop that ended before the model had answered. The [RunResult] that
// comes with the error holds the conversation so far.
var (
	// ErrMaxRounds is the error of a loop in which the model still asks for
	// tools after [Options.MaxRounds] requests.
	ErrMaxRounds error = &codedError{"max_rounds", "the model still asks for tools after the last round"}
	// ErrMaxToolCalls is the error of a round that asks for more tool calls
	// than [Options.MaxToolCalls] leaves.
	ErrMaxToolCalls error = &codedError{"max_tool_calls", "the model asks for too many tool calls"}
	// ErrMaxRunTokens is the error of a loop that has used
	// [Options.MaxRunTokens] and is not done.
	ErrMaxRunTokens error = &codedError{"max_run_tokens", "the run token limit is reached"}
	// ErrMaxRunCost is the error of a loop that has cost [Options.MaxRunCost], or an
	// unknown amount, and is not done.
	ErrMaxRunCost error = &codedError{"max_run_cost", "the run cost limit is reached"}
	// ErrMaxRunTime is the error of a loop that took [Options.MaxRunTime].
	ErrMaxRunTime error = &codedError{"max_run_time", "the run time limit is reached"}
	// ErrDuplicateToolUse is the error of [Options.Resume] if two open calls of the
	// history have the same id. It is then not known which result belongs to which
	// call.
	ErrDuplicateToolUse error = &codedError{"validation", "the history has two open tool uses of one id"}
	// ErrNoToolUse is the error of an answer that stopped for a tool but has no tool
	// use and no text.
	ErrNoToolUse error = &codedError{"model_error", "the model stopped for a tool, and its answer has no tool use"}
	// ErrUnexpectedToolUse is the error of an answer that asks for a tool but did not
	// stop for it, if [Options.StrictToolUse] is set.
	ErrUnexpectedToolUse error = &codedError{"model_error", "the answer asks for a tool, and the model did not stop for it"}
	// ErrPending matches every [*PendingError], for errors.Is.
	ErrPending = errors.New("tool calls wait for an answer")
	// ErrStopped is the error of a loop that a tool ended with [Stop].
	ErrStopped = errors.New("a tool ended the loop")
)

// A codedError is an error that says what a reader is sent of it; see
// [stream.ErrorMessage].
type codedError struct{ code, text string }

func (e *codedError) Error() string       { return e.text }
func (e *codedError) MessageCode() string { return e.code }

// PendingError is the error of a loop that ended with open tool calls: a tool asked
// the user a question, or a call waits for approval. The conversation so far ends with
// these calls. [Answer] adds their results, and [Options.Resume] runs them.
type PendingError struct {
	Calls []PendingCall
}

// PendingCall is a tool call that waits for the user.
type PendingCall struct {
	ToolUse  ToolUse
	Question string // of the tool that asked; empty if the call waits for approval
}

// Error says which tools wait. It does not repeat arguments or questions.
func (e *PendingError) Error() string {
	names := make([]string, len(e.Calls))
	for i, c := range e.Calls {
		names[i] = c.ToolUse.Name
	}
	return fmt.Sprintf("%v: %q", ErrPending, names)
}

// Is reports whether target is [ErrPending].
func (e *PendingError) Is(target error) bool { return target == ErrPending }

// RunResult is the result of a loop.
type RunResult struct {
	// Messages is the whole conversation: the request's messages, every answer and
	// every tool result. It can be sent again with a new message, which [Append] adds.
	// So what Bedrock would refuse is left out: blank texts, tool uses that will not
	// run, and what a guardrail stopped. Names and ids of tool uses are made valid,
	// and an id that the conversation already has is changed. Rounds have the answers
	// unchanged.
	//
	// It ends with open calls after ErrPending, and if the loop was canceled or left
	// between an answer and its tools; see [OpenCalls].
	Messages []Message `json:"messages"`

	// Rounds are the answers, in order. If the loop ended without an error, the last
	// one is the model's final answer.
	Rounds []*Response `json:"rounds"`

	Usage bedrockkit.Usage `json:"usage"` // of all rounds

	// Cost is the cost of all rounds in US dollars. It is nil if the cost of one round
	// is not known; CostErr then says why.
	Cost    *pricing.Amount `json:"cost,omitempty"`
	CostErr error           `json:"-"`
}

// Text returns the text of the last answer.
func (r *RunResult) Text() string {
	if last := r.Last(); last != nil {
		return last.Text()
	}
	return ""
}

// Last returns the last answer, or nil if there was none.
func (r *RunResult) Last() *Response {
	if len(r.Rounds) == 0 {
		return nil
	}
	return r.Rounds[len(r.Rounds)-1]
}

// RunEvent is one event of [Client.RunStream]. Exactly one of the pointers is
// set, or Text or Reasoning.
type RunEvent struct {
	Round     int    // from 1; 0 for the calls that Options.Resume runs
	Text      string // a piece of the answer
	Reasoning string // a piece of reasoning

	ToolUse    *ToolUse    // the model asks for this tool; it runs now, unless it is refused or waits
	ToolResult *ToolResult // of a call that has run or was refused
	Err        error       // with ToolResult: what went wrong in the tool, for the log; the model may read less

	Response *Response  // a round is complete
	Result   *RunResult // the loop is complete; the last event
}

// Run sends the request, runs the tools that the model asks for and sends their
// results, until the model has answered.
//
// What it does next depends on why the model stopped; see the package documentation.
//
// The result is never nil: after an error it holds the conversation so far. The error
// is a [*bedrockx.Error], [ErrMaxRounds] or one of the other errors in that list.
func (c *Client) Run(ctx context.Context, req Request, optFns ...func(*Options)) (*RunResult, error) {
	l := c.loop(&req, optFns)
	err := l.run(ctx)
	return l.result, err
}

// RunStream is [Client.Run] with events while it runs: pieces of text and reasoning,
// tools and their results, the response of each round, and at the end the result. An
// error is yielded once, as the last event, with the Result so far. If you leave the
// loop, the model and the tools are stopped.
func (c *Client) RunStream(ctx context.Context, req Request, optFns ...func(*Options)) iter.Seq2[RunEvent, error] {
	return func(yield func(RunEvent, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		l := c.loop(&req, optFns)
		left := false
		l.emit = func(ev RunEvent) bool {
			left = left || !yield(ev, nil)
			return !left
		}
		l.ask = l.stream
		err := l.run(ctx)
		switch {
		case left:
		case err != nil:
			yield(RunEvent{Result: l.result}, err)
		default:
			yield(RunEvent{Round: len(l.result.Rounds), Result: l.result}, nil)
		}
	}
}

// errLeft ends a loop whose reader has left; nobody sees it.
var errLeft = errors.New("the reader left")

// partial is what a broken stream said, nil if that is not known.
func partial(s *stream.Stream) *Response {
	r, err := answered(s)
	if err != nil {
		return nil
	}
	return r
}

// answered is the answer of a stream. It is apart so that the stack of its callers is
// small while the answer comes.
func answered(s *stream.Stream) (*Response, error) { return fromStream(s.Result()) }
