package converse

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/bedrockx"
	"github.com/mangaassist/bedrockkit/pricing"
	"github.com/mangaassist/bedrockkit/stream"
)

var (
	// ErrMaxRounds is the error of a loop in which the model still asks for
	// tools after [Options.MaxRounds] requests.
	ErrMaxRounds = errors.New("the model still asks for tools after the last round")
	// ErrDuplicateToolUse is the error of an answer with two tool uses of one
	// id: which result belongs to which could not be told.
	ErrDuplicateToolUse = errors.New("the answer has two tool uses of one id")
	// ErrNoToolUse is the error of an answer that stopped for a tool and names
	// none that could be read.
	ErrNoToolUse = errors.New("the model stopped for a tool, and its answer has no tool use")
)

// RunResult is what a loop has come to.
type RunResult struct {
	// Messages is the whole conversation: the request's messages, every
	// answer and every tool result. It can be sent again with a new message,
	// so what could not is left out: blank texts, and tool uses that no tool
	// has run for. Where the last answer was empty, it ends with a message of
	// the user. Rounds hold the answers as they came.
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
	Round     int    // from 1
	Text      string // a piece of the answer
	Reasoning string // a piece of reasoning

	ToolUse    *ToolUse    // a tool is about to run
	ToolResult *ToolResult // a tool has run
	Err        error       // beside ToolResult: what went wrong in the tool, for the log; the model may have been told less

	Response *Response  // a round is complete
	Result   *RunResult // the loop is complete; the last event
}

// Run sends the request, runs the tools that the model asks for and sends their
// results, until the model has answered.
//
// The result is never nil: beside an error it holds the conversation so far.
// The error is a [*bedrockx.Error], [ErrMaxRounds], [ErrDuplicateToolUse] or
// [ErrNoToolUse].
func (c *Client) Run(ctx context.Context, req Request, optFns ...func(*Options)) (*RunResult, error) {
	o := c.with(optFns)
	return c.loop(ctx, req, o, func(ctx context.Context, _ int, req Request) (*Response, error) {
		return c.send(ctx, req, o)
	}, func(RunEvent) bool { return true })
}

// RunStream is [Client.Run] as it happens: pieces of text and reasoning, tools
// and their results, each round's response and at last the result. An error
// comes once and last, and the event beside it holds the Result so far.
// Leaving the loop stops the model and the tools.
func (c *Client) RunStream(ctx context.Context, req Request, optFns ...func(*Options)) iter.Seq2[RunEvent, error] {
	return func(yield func(RunEvent, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		o := c.with(optFns)
		left := false
		emit := func(ev RunEvent) bool {
			left = left || !yield(ev, nil)
			return !left
		}
		result, err := c.loop(ctx, req, o, func(ctx context.Context, round int, req Request) (*Response, error) {
			s, err := c.stream(ctx, req, o)
			if err != nil {
				return nil, err
			}
			for ev, err := range s.Events() {
				switch {
				case err != nil:
					return partial(s), err
				case ev.Type == stream.Text:
					if !emit(RunEvent{Round: round, Text: ev.Text}) {
						return partial(s), errLeft
					}
				case ev.Type == stream.Reasoning:
					if !emit(RunEvent{Round: round, Reasoning: ev.Text}) {
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
		}, emit)
		if left {
			return
		}
		if err != nil {
			yield(RunEvent{Result: result}, err)
			return
		}
		yield(RunEvent{Round: len(result.Rounds), Result: result}, nil)
	}
}

// errLeft ends a loop whose reader has left; nobody sees it.
var errLeft = errors.New("the reader left")

// partial is what a broken stream said, nil if that can not be told.
func partial(s *stream.Stream) *Response {
	r, err := fromStream(s.Result())
	if err != nil {
		return nil
	}
	return r
}

// loop is the tool loop. turn gets an answer; what comes beside an error of
// its is kept in the result, but not in the conversation.
func (c *Client) loop(ctx context.Context, req Request, o Options, turn func(context.Context, int, Request) (*Response, error), emit func(RunEvent) bool) (*RunResult, error) {
	result := &RunResult{Messages: slices.Clone(req.Messages), Cost: new(pricing.Amount)}
	for round := 1; ; round++ {
		req.Messages = result.Messages
		resp, err := turn(ctx, round, req)
		if resp != nil {
			result.add(resp)
		} else if err != nil {
			result.lost(err)
		}
		if err != nil {
			return result, err
		}
		uses := resp.Message.ToolUses()
		// Tools run only when the model stopped for them: after max_tokens
		// their input may be cut, after anything else it wants no result.
		calls := resp.StopReason == bedrockkit.StopToolUse
		again := calls && round < max(1, o.MaxRounds)
		result.keep(resp.Message, again)
		if err := checkUses(uses); err != nil {
			return result, err
		}
		if !emit(RunEvent{Round: round, Response: resp}) {
			return result, errLeft
		}
		switch {
		case !calls:
			return result, nil
		case len(uses) == 0:
			return result, ErrNoToolUse
		case !again:
			return result, fmt.Errorf("%w: %d of %d", ErrMaxRounds, round, o.MaxRounds)
		}
		// The model was made to call a tool; made to again, it could never answer.
		req.ToolChoice = ToolChoice{}
		for _, use := range uses {
			if !emit(RunEvent{Round: round, ToolUse: &use}) {
				return result, errLeft
			}
		}
		results, errs := runTools(ctx, uses, o)
		if ctx.Err() != nil {
			return result, bedrockx.Canceled(ctx, resp.op, resp.Model)
		}
		answer := Message{Role: RoleUser}
		for i, r := range results {
			answer.Content = append(answer.Content, r)
			if !emit(RunEvent{Round: round, ToolResult: &results[i], Err: errs[i]}) {
				return result, errLeft
			}
		}
		result.Messages = append(result.Messages, answer)
	}
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
// what is blank, and no tool uses that will have no results.
func (r *RunResult) keep(m Message, uses bool) {
	kept := Message{Role: m.Role}
	for _, c := range m.Content {
		switch c := c.(type) {
		case Text:
			if strings.TrimSpace(string(c)) == "" {
				continue
			}
		case ToolUse:
			if !uses {
				continue
			}
		}
		kept.Content = append(kept.Content, c)
	}
	if len(kept.Content) > 0 {
		r.Messages = append(r.Messages, kept)
	}
}

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

// runTools runs the tools of one round, some at once, and returns their
// results in the order of the calls. It returns when all have returned.
func runTools(ctx context.Context, uses []ToolUse, o Options) ([]ToolResult, []error) {
	results := make([]ToolResult, len(uses))
	errs := make([]error, len(uses))
	slots := make(chan struct{}, max(1, o.ToolConcurrency))
	var wg sync.WaitGroup
	for i, use := range uses {
		slots <- struct{}{}
		if ctx.Err() != nil {
			break // nobody wants the results
		}
		wg.Go(func() {
			defer func() { <-slots }()
			k := slices.IndexFunc(o.Tools, func(f Function) bool { return f.Spec.Name == use.Name })
			if k < 0 {
				results[i], errs[i] = unknownTool(use, o.Tools)
				return
			}
			results[i], errs[i] = o.Tools[k].run(ctx, use, o)
		})
	}
	wg.Wait()
	return results, errs
}
