package converse

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/bedrockx"
	"github.com/mangaassist/bedrockkit/pricing"
	"github.com/mangaassist/bedrockkit/stream"
)

// The errors of a loop that ended before the model had answered. Beside each,
// the [RunResult] holds the conversation so far.
var (
	// ErrMaxRounds is the error of a loop in which the model still asks for
	// tools after [Options.MaxRounds] requests.
	ErrMaxRounds = errors.New("the model still asks for tools after the last round")
	// ErrMaxToolCalls is the error of a round that asks for more tool calls
	// than [Options.MaxToolCalls] leaves.
	ErrMaxToolCalls = errors.New("the model asks for too many tool calls")
	// ErrMaxRunTokens is the error of a loop that has used
	// [Options.MaxRunTokens] and is not done.
	ErrMaxRunTokens = errors.New("the loop has used its tokens")
	// ErrMaxRunCost is the error of a loop that has cost [Options.MaxRunCost],
	// or an amount that nobody knows, and is not done.
	ErrMaxRunCost = errors.New("the loop has used its money")
	// ErrMaxRunTime is the error of a loop that took [Options.MaxRunTime].
	ErrMaxRunTime = errors.New("the loop has used its time")
	// ErrDuplicateToolUse is the error of an answer with two tool uses of one
	// id: which result belongs to which could not be told.
	ErrDuplicateToolUse = errors.New("the answer has two tool uses of one id")
	// ErrNoToolUse is the error of an answer that stopped for a tool and names
	// none that could be read.
	ErrNoToolUse = errors.New("the model stopped for a tool, and its answer has no tool use")
	// ErrPending is what a [*PendingError] is.
	ErrPending = errors.New("tool calls wait for an answer")
	// ErrStopped is the error of a loop that a tool ended with [Stop].
	ErrStopped = errors.New("a tool ended the loop")
)

// PendingError is the error of a loop that ended with tool calls open: a tool
// asked the user something, or a call waits for approval. The conversation so
// far ends with them; [Answer] closes them, and [Options.Resume] runs them.
type PendingError struct {
	Calls []PendingCall
}

// PendingCall is a call that waits.
type PendingCall struct {
	ToolUse  ToolUse
	Question string // of the tool that asked; empty where the call waits for approval
}

// Error says which tools wait. It repeats no arguments and no question.
func (e *PendingError) Error() string {
	names := make([]string, len(e.Calls))
	for i, c := range e.Calls {
		names[i] = c.ToolUse.Name
	}
	return fmt.Sprintf("%v: %q", ErrPending, names)
}

// Is reports whether target is [ErrPending].
func (e *PendingError) Is(target error) bool { return target == ErrPending }

// RunResult is what a loop has come to.
type RunResult struct {
	// Messages is the whole conversation: the request's messages, every
	// answer and every tool result. It can be sent again with a new message,
	// which [Append] adds, so what could not is left out: blank texts, tool
	// uses that no tool will run for, and what a guardrail stopped. Rounds hold
	// the answers as they came.
	//
	// After ErrPending, and after a loop that was canceled or left between an
	// answer and its tools, it ends with open calls; see [OpenCalls].
	Messages []Message `json:"messages"`

	// Rounds are the answers in their order; the last one is the model's
	// final answer, if the loop ended well.
	Rounds []*Response `json:"rounds"`

	Usage bedrockkit.Usage `json:"usage"` // of all rounds

	// Cost is that of all rounds in US dollars; nil where that of one is not
	// known, and CostErr says why.
	Cost    *pricing.Amount `json:"cost,omitempty"`
	CostErr error           `json:"-"`
}

// Text is the text of the last answer.
func (r *RunResult) Text() string {
	if last := r.Last(); last != nil {
		return last.Text()
	}
	return ""
}

// Last is the last answer, nil if there was none.
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

	ToolUse    *ToolUse    // the model has asked for it; it runs now, unless it is refused or waits
	ToolResult *ToolResult // of a call that has run or was refused
	Err        error       // beside ToolResult: what went wrong in the tool, for the log; the model may have been told less

	Response *Response  // a round is complete
	Result   *RunResult // the loop is complete; the last event
}

// Run sends the request, runs the tools that the model asks for and sends their
// results, until the model has answered.
//
// What it does next follows from why the model stopped; see the package
// documentation.
//
// The result is never nil: beside an error it holds the conversation so far.
// The error is a [*bedrockx.Error], [ErrMaxRounds] or one of those beside it.
func (c *Client) Run(ctx context.Context, req Request, optFns ...func(*Options)) (*RunResult, error) {
	l := c.loop(req, c.with(optFns))
	err := l.run(ctx)
	return l.result, err
}

// RunStream is [Client.Run] as it happens: pieces of text and reasoning, tools
// and their results, each round's response and at last the result. An error
// comes once and last, and the event beside it holds the Result so far.
// Leaving the loop stops the model and the tools.
func (c *Client) RunStream(ctx context.Context, req Request, optFns ...func(*Options)) iter.Seq2[RunEvent, error] {
	return func(yield func(RunEvent, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		l := c.loop(req, c.with(optFns))
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

// partial is what a broken stream said, nil if that cannot be told.
func partial(s *stream.Stream) *Response {
	r, err := fromStream(s.Result())
	if err != nil {
		return nil
	}
	return r
}

// A loop is one run of the tool loop.
type loop struct {
	client *Client
	o      Options
	req    Request // of the next round
	result *RunResult
	round  int // from 1
	calls  int // of tools, so far

	offered []ToolSpec // by the last request; nil: all
	choice  ToolChoice // of the rounds after the first
	answer  string     // the tool that takes the answer of Generate, which nothing keeps from coming

	ask    func(context.Context, Request) (*Response, error)
	emit   func(RunEvent) bool // false: the reader has left
	review func(*Turn) bool    // likewise
}

func (c *Client) loop(req Request, o Options) *loop {
	l := &loop{client: c, o: o, req: req, result: &RunResult{Messages: slices.Clone(req.Messages), Cost: new(pricing.Amount)}}
	l.ask = func(ctx context.Context, req Request) (*Response, error) { return c.send(ctx, req, o) }
	l.emit = func(RunEvent) bool { return true }
	l.review = func(*Turn) bool { return true }
	return l
}

// stream asks for an answer and tells of its pieces.
func (l *loop) stream(ctx context.Context, req Request) (*Response, error) {
	s, err := l.client.stream(ctx, req, l.o)
	if err != nil {
		return nil, err
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
	resp, err := fromStream(s.Result())
	if err == nil && resp.unread != "" && resp.StopReason == bedrockkit.StopToolUse {
		err = &bedrockx.Error{Op: bedrockx.OpConverseStream, Model: resp.Model, Kind: bedrockx.KindModelError, Attempts: resp.Attempts,
			RequestID: resp.RequestID, Err: fmt.Errorf("the input of the tool use %q is no JSON object", resp.unread)}
	}
	return resp, err
}

// run is the loop. An answer that comes beside an error is kept in the result,
// but not in the conversation.
func (l *loop) run(ctx context.Context) error {
	if limit := l.o.MaxRunTime; limit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, limit, fmt.Errorf("%w: %s", ErrMaxRunTime, limit))
		defer cancel()
	}
	switch open := OpenCalls(l.result.Messages); {
	case len(open) == 0:
	case l.o.Resume:
		if err := checkUses(open); err != nil {
			return err
		}
		if err := l.count(open); err != nil {
			return err
		}
		l.offered = l.req.Tools
		if err := l.runCalls(ctx, &Turn{Calls: open}); err != nil {
			return err
		}
	case l.o.Repair != nil:
		// Each request would be mended, and the history of the result would not.
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
	default:
		return &bedrockx.Error{Op: bedrockx.OpConverse, Model: cmp.Or(l.req.Model, l.o.Model), Kind: bedrockx.KindValidation,
			Err: fmt.Errorf("messages: the history ends with open tool calls (%d); give their results with converse.Answer, or set Options.Resume", len(open))}
	}
	for {
		l.round++
		l.req.Messages, l.offered = l.result.Messages, l.req.Tools
		resp, err := l.ask(ctx, l.req)
		if resp != nil {
			l.result.add(resp)
		} else if err != nil {
			l.result.lost(err)
		}
		if err != nil {
			return err
		}
		calls, err := l.next(resp)
		l.result.keep(resp, len(calls) > 0)
		if !l.emit(RunEvent{Round: l.round, Response: resp}) {
			return errLeft
		}
		if err != nil {
			return err
		}
		// The model was made to call a tool; made to again, it could never answer.
		l.req.ToolChoice = l.choice
		turn := &Turn{Number: l.round, Response: resp, Calls: calls, Request: &l.req, Result: l.result}
		if !l.review(turn) {
			return errLeft
		}
		switch {
		case len(calls) > 0:
			if err := l.runCalls(ctx, turn); err != nil {
				return err
			}
		case len(turn.added) == 0:
			return nil
		default:
			if err := l.bounds(); err != nil {
				return err
			}
			l.result.Messages = Append(l.result.Messages, Message{RoleUser, turn.added})
		}
	}
}

// next are the tool calls that are to run after an answer. They run only when
// the model stopped for them: after max_tokens their input may be cut, after
// anything else it wants no result.
func (l *loop) next(resp *Response) ([]ToolUse, error) {
	uses := resp.Message.ToolUses()
	for i := range uses {
		uses[i].ID = legalID(uses[i].ID)
	}
	if err := checkUses(uses); err != nil {
		return nil, err
	}
	if resp.StopReason != bedrockkit.StopToolUse {
		return nil, nil
	}
	if len(uses) == 0 {
		return nil, ErrNoToolUse
	}
	if l.answer != "" && slices.ContainsFunc(uses, func(use ToolUse) bool { return use.Name == l.answer }) {
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
	case o.MaxRunCost.Sign() <= 0:
		return nil
	case r.Cost == nil:
		return fmt.Errorf("%w: what it cost is not known: %w", ErrMaxRunCost, r.CostErr)
	case r.Cost.Cmp(o.MaxRunCost) >= 0:
		return fmt.Errorf("%w: $%s of $%s", ErrMaxRunCost, r.Cost, o.MaxRunCost)
	}
	return nil
}

// add takes a round into the sums.
func (r *RunResult) add(resp *Response) {
	r.Rounds = append(r.Rounds, resp)
	r.Usage = r.Usage.Add(resp.Usage)
	switch {
	case resp.Cost == nil:
		r.Cost, r.CostErr = nil, resp.CostErr
	case r.Cost != nil:
		sum := r.Cost.Add(*resp.Cost)
		r.Cost = &sum
	}
}

// lost notes a round that brought nothing: what it took, nobody knows, unless
// nothing was sent.
func (r *RunResult) lost(err error) {
	var e *bedrockx.Error
	if errors.As(err, &e) && e.Attempts == 0 {
		return
	}
	r.Usage.Unknown = true
	r.Cost, r.CostErr = nil, err
}

// keep adds an answer to the conversation, as far as it can be sent again: not
// what is blank, no tool uses that will have no results, and no reasoning at
// the end, which would lead to nothing. A name or an id that the model made up is
// made legal, since the service would refuse it in each later request.
func (r *RunResult) keep(resp *Response, uses bool) {
	if resp.StopReason == bedrockkit.StopGuardrailIntervened {
		r.redact()
	}
	kept := Message{Role: resp.Message.Role}
	end := 0 // behind the last block that is not reasoning
	for _, c := range resp.Message.Content {
		switch use := c.(type) {
		case Text:
			if strings.TrimSpace(string(use)) == "" {
				continue
			}
		case ToolUse:
			if !uses {
				continue
			}
			use.ID, use.Name = legalID(use.ID), legalName(use.Name, "_-")
			c = use
		}
		kept.Content = append(kept.Content, c)
		switch c.(type) {
		case Reasoning, Redacted:
		default:
			end = len(kept.Content)
		}
	}
	if kept.Content = kept.Content[:end]; end > 0 {
		r.Messages = Append(r.Messages, kept) // to the beginning of it, where the request had one
	}
}

// redact takes what a guardrail has stopped out of the last message, which
// would be stopped again with each later request. It goes by the stop reason
// and not by the trace, which is there only where it was asked for.
func (r *RunResult) redact() {
	const removed = Text("[removed by a guardrail]")
	last := len(r.Messages) - 1
	if last < 0 {
		return
	}
	m := Message{Role: r.Messages[last].Role}
	for _, c := range r.Messages[last].Content {
		if result, ok := c.(ToolResult); ok {
			result.Content = Contents{removed}
			m.Content = append(m.Content, result)
		}
	}
	if len(m.Content) == 0 {
		m.Content = Contents{removed}
	}
	r.Messages[last] = m
}

func legalID(id string) string { return legalName(id, "_.:-") }

func checkUses(uses []ToolUse) error {
	seen := make(map[string]bool, len(uses))
	for _, use := range uses {
		if seen[use.ID] {
			return fmt.Errorf("%w: %q", ErrDuplicateToolUse, use.ID)
		}
		seen[use.ID] = true
	}
	return nil
}
