package converse

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"reflect"
	"slices"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/bedrockx"
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

// A loop is one run of the tool loop.
type loop struct {
	client *Client
	o      Options // its Tools are those of the round
	given  Options // as the caller gave them
	req    Request // of the next round
	result *RunResult
	round  int // from 1
	calls  int // of tools, so far

	offered []ToolSpec // by the last request; nil: all
	bound   bool       // the model binds thinking to what comes before it
	last    Request    // the tools and system prompt of the round before, if so
	choice  ToolChoice // of the rounds after the first
	answer  string     // the tool that takes the answer of Generate, which nothing keeps from coming

	ask    func(context.Context) (*Response, error) // sends req
	emit   func(RunEvent) bool                      // false: the reader has left
	review func(*Turn) bool                         // likewise
}

func (c *Client) loop(req *Request, optFns []func(*Options)) *loop {
	o := c.with(optFns)
	l := &loop{client: c, o: o, given: o, req: *req, result: &RunResult{Messages: slices.Clone(req.Messages), Cost: new(pricing.Amount)}}
	l.ask = func(ctx context.Context) (*Response, error) { return c.send(ctx, l.req, l.o) }
	l.emit = func(RunEvent) bool { return true }
	l.review = func(*Turn) bool { return true }
	return l
}

// refresh asks the source of the tools, if there is one.
func (l *loop) refresh(ctx context.Context) error {
	o, err := l.given.withSource(ctx)
	if err != nil {
		return toolsError(ctx, bedrockkit.OpConverse, l.req, l.o, err)
	}
	l.o.Tools, l.o.ToolSource = o.Tools, nil
	return nil
}

// stream asks for an answer and reports its pieces. A model that takes no
// tools in a stream is asked for the whole answer, which is reported as if it had
// come in pieces.
func (l *loop) stream(ctx context.Context) (*Response, error) {
	s, err := l.open(ctx)
	switch {
	case err != nil:
		return nil, err
	case s == nil:
		return l.whole(ctx)
	}
	for ev, err := range s.Events() {
		switch {
		case err != nil:
			return partial(s), err
		case ev.Type == stream.Text:
			if !l.emit(RunEvent{Round: l.round, Text: ev.Text}) {
				return partial(s), errLeft
			}
		case ev.Type == stream.Reasoning:
			if !l.emit(RunEvent{Round: l.round, Reasoning: ev.Text}) {
				return partial(s), errLeft
			}
		}
	}
	return answered(s)
}

// open begins the stream of an answer. It returns nil if the model cannot stream with
// tools. It is apart from stream so that the stack is small while the answer comes.
func (l *loop) open(ctx context.Context) (*stream.Stream, error) {
	model := l.client.subject(ctx, cmp.Or(l.req.Model, l.o.Model), l.o.pipeline)
	if model.no(bedrockkit.FeatureToolStreaming) && (len(l.req.Tools) > 0 || l.req.Tools == nil && len(l.o.Tools) > 0) {
		return nil, nil
	}
	return l.client.stream(ctx, l.req, l.o)
}

// unbind takes the thinking out of the conversation that was bound to tools or a
// system prompt that have changed since the round before.
func (l *loop) unbind(ctx context.Context) {
	if l.round == 1 {
		s := l.client.subject(ctx, cmp.Or(l.req.Model, l.o.Model), l.o.pipeline)
		l.bound = s.Thinking.BoundTo("prefix")
	}
	if !l.bound {
		return
	}
	now := Request{System: l.req.System, Tools: l.req.Tools}
	if now.Tools == nil {
		now.Tools, _ = specs(l.o.Tools) // the request says what is wrong with them
	}
	if l.round > 1 && !reflect.DeepEqual(l.last, now) {
		l.result.Messages = withoutContent(l.result.Messages, 0, isThinking)
	}
	l.last = now
}

// whole asks for an answer without a stream and emits the events of one.
func (l *loop) whole(ctx context.Context) (*Response, error) {
	resp, err := l.client.send(ctx, l.req, l.o)
	if err != nil {
		return nil, err
	}
	for _, c := range resp.Message.Content {
		ev := RunEvent{Round: l.round}
		switch c := c.(type) {
		case Text:
			ev.Text = string(c)
		case CitedText:
			ev.Text = c.Text()
		case Reasoning:
			ev.Reasoning = c.Text
		}
		if (ev.Text != "" || ev.Reasoning != "") && !l.emit(ev) {
			return resp, errLeft
		}
	}
	return resp, nil
}

// run is the loop. An answer that comes beside an error is kept in the result,
// but not in the conversation.
func (l *loop) run(ctx context.Context) error {
	if limit := l.o.MaxRunTime; limit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, limit, fmt.Errorf("%w: %s", ErrMaxRunTime, limit))
		defer cancel()
	}
	if err := l.begin(ctx); err != nil {
		return err
	}
	for {
		resp, err := l.request(ctx)
		if err != nil {
			return err
		}
		more, err := l.take(ctx, resp)
		if !more {
			return err
		}
	}
}

// begin settles the open calls of the history: they are run or fixed, or there is an
// error.
func (l *loop) begin(ctx context.Context) error {
	switch open := OpenCalls(l.result.Messages); {
	case len(open) == 0:
		return nil
	case l.o.Resume:
		if err := checkUses(open); err != nil {
			return err
		}
		if err := l.count(open); err != nil {
			return err
		}
		l.offered = l.req.Tools
		if err := l.refresh(ctx); err != nil {
			return err
		}
		return l.runCalls(ctx, &Turn{Calls: open})
	case l.o.Repair != nil:
		// Each request would be fixed, and the history of the result would not.
		results := make([]ToolResult, len(open))
		for i, use := range open {
			results[i] = ToolResult{ToolUseID: use.ID, Status: ToolError, Content: Contents{Text(noResult)}}
		}
		messages, err := Answer(l.result.Messages, results...)
		if err != nil {
			return err // the results are those of the open calls
		}
		l.result.Messages = messages
		l.o.Repair([]Change{{Path: fmt.Sprintf("messages[%d]", len(messages)-1), Text: fmt.Sprintf("has error results for %d open tool calls", len(open))}})
		return nil
	default:
		return &bedrockx.Error{Op: bedrockkit.OpConverse, Model: cmp.Or(l.req.Model, l.o.Model), Kind: bedrockx.KindValidation,
			Err: fmt.Errorf("messages: the history ends with open tool calls (%d); give their results with converse.Answer, or set Options.Resume", len(open))}
	}
}

// request asks for the answer of the next round.
func (l *loop) request(ctx context.Context) (*Response, error) {
	if err := l.refresh(ctx); err != nil {
		return nil, err
	}
	l.round++
	l.unbind(ctx)
	l.req.Messages, l.offered = l.result.Messages, l.req.Tools
	resp, err := l.ask(ctx)
	if resp != nil {
		l.result.add(resp)
	} else if err != nil {
		l.result.lost(err)
	}
	return resp, err
}

// take adds an answer to the conversation and runs its tools. It reports whether there
// is another round.
func (l *loop) take(ctx context.Context, resp *Response) (more bool, err error) {
	answer := identify(resp.Message, l.result.Messages)
	calls, err := l.next(resp, answer.ToolUses())
	l.result.keep(answer, resp, len(calls) > 0, l.bound)
	if !l.emit(RunEvent{Round: l.round, Response: resp}) {
		return false, errLeft
	}
	if err != nil {
		return false, err
	}
	// The model was made to call a tool; made to again, it could never answer.
	l.req.ToolChoice = l.choice
	turn := &Turn{Number: l.round, Response: resp, Calls: calls, Request: &l.req, Result: l.result}
	if !l.review(turn) {
		return false, errLeft
	}
	switch {
	case len(calls) > 0:
		err = l.runCalls(ctx, turn)
	case len(turn.added) == 0:
		return false, nil
	default:
		if err = l.bounds(); err == nil {
			l.result.Messages = Append(l.result.Messages, Message{RoleUser, turn.added})
		}
	}
	return err == nil, err
}

// next are the tool calls of an answer that are to run. They run if the model
// stopped for them or ended its turn: some models say end_turn beside a tool
// use. After max_tokens their input may be cut, after stop_sequence the caller
// wanted the end, and after anything else the model wants no result.
func (l *loop) next(resp *Response, uses []ToolUse) ([]ToolUse, error) {
	stopped := resp.StopReason == bedrockkit.StopToolUse
	switch {
	case !stopped && resp.StopReason != bedrockkit.StopEndTurn:
		return nil, nil
	case resp.unread != "":
		return nil, &bedrockx.Error{Op: resp.op, Model: resp.Model, Kind: bedrockx.KindModelError, Attempts: resp.Attempts,
			RequestID: resp.RequestID, Err: fmt.Errorf("the input of the tool use %q is not a JSON object", resp.unread)}
	case len(uses) == 0 && (!stopped || !l.o.StrictToolUse && !isBlank(resp.Text())):
		return nil, nil
	case len(uses) == 0:
		return nil, ErrNoToolUse
	case !stopped && l.o.StrictToolUse:
		return nil, fmt.Errorf("%w: the stop reason is %s", ErrUnexpectedToolUse, resp.StopReason)
	case l.answer != "" && slices.ContainsFunc(uses, func(use ToolUse) bool { return use.Name == l.answer }):
		return uses, nil
	}
	if err := l.bounds(); err != nil {
		return nil, err
	}
	if err := l.count(uses); err != nil {
		return nil, err
	}
	return uses, nil
}

// count adds calls to those of the loop, as far as there may be so many.
func (l *loop) count(uses []ToolUse) error {
	if l.calls += len(uses); l.calls > l.o.MaxToolCalls {
		return fmt.Errorf("%w: %d of %d", ErrMaxToolCalls, l.calls, max(0, l.o.MaxToolCalls))
	}
	return nil
}

// bounds reports whether there may be another round.
func (l *loop) bounds() error {
	r, o := l.result, &l.o
	switch {
	case l.round >= max(1, o.MaxRounds):
		return fmt.Errorf("%w: %d of %d", ErrMaxRounds, l.round, max(1, o.MaxRounds))
	case o.MaxRunTokens > 0 && r.Usage.Unknown:
		return fmt.Errorf("%w: how many is not known", ErrMaxRunTokens)
	case o.MaxRunTokens > 0 && r.Usage.Total() >= o.MaxRunTokens:
		return fmt.Errorf("%w: %d of %d", ErrMaxRunTokens, r.Usage.Total(), o.MaxRunTokens)
	case o.MaxRunCost == nil:
		return nil
	case r.Cost == nil:
		return fmt.Errorf("%w: what it cost is not known: %w", ErrMaxRunCost, r.CostErr)
	case r.Cost.Cmp(*o.MaxRunCost) >= 0:
		return fmt.Errorf("%w: $%s of $%s", ErrMaxRunCost, r.Cost, *o.MaxRunCost)
	}
	return nil
}
