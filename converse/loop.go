package converse

import (
	"cmp"
	"context"
	"fmt"
	"reflect"
	"slices"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/bedrockx"
	"github.com/mangaassist/bedrockkit/pricing"
	"github.com/mangaassist/bedrockkit/stream"
)

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
