package converse

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/bedrockx"
	"github.com/mangaassist/bedrockkit/internal/jsonscan"
)

// errTool is what the model reads of a tool that failed: not why, which is
// for the log.
var errTool = errors.New("the tool failed")

// Tellf returns an error whose text the model reads. Say what is wrong with its call
// and what would be right. It formats as [fmt.Errorf] does; the text includes a
// wrapped error. A tool's own error type can do the same with a method ModelText()
// string, at any depth of the chain.
func Tellf(format string, args ...any) error {
	return &toldError{fmt.Errorf(format, args...)}
}

// modelError is an error that has something to say to the model.
type modelError interface {
	error
	ModelText() string
}

type toldError struct{ err error }

func (e *toldError) Error() string     { return e.err.Error() }
func (e *toldError) ModelText() string { return e.err.Error() }
func (e *toldError) Unwrap() error     { return e.err }

// Stop returns the error that a tool returns to end the loop. The other tools of the
// round still run; then the loop returns [ErrStopped]. result becomes the result of
// the call, as if the tool had returned it, for the case that the conversation goes
// on.
func Stop(result any) error { return &stopError{result} }

type stopError struct{ result any }

func (*stopError) Error() string        { return ErrStopped.Error() }
func (*stopError) Is(target error) bool { return target == ErrStopped }

// Ask returns the error that a tool returns to ask the user a question. The other
// tools of the round still run; then the loop returns a [*PendingError] with the
// question. Pass the user's answer to [Answer], as the result of the call.
func Ask(question string) error { return &askError{question} }

type askError struct{ question string }

func (*askError) Error() string        { return "the tool asks the user" }
func (*askError) Is(target error) bool { return target == ErrPending }

// PanicError is the error of a tool that panicked, in [RunEvent.Err]. The model reads
// only that the tool failed.
type PanicError struct {
	Tool  string
	Value any
	Stack []byte
}

// Error says which tool panicked.
func (e *PanicError) Error() string { return fmt.Sprintf("tool %q panicked", e.Tool) }

// ErrToolAbandoned is the error, in [RunEvent.Err], of a tool that did not return
// after its context had ended. The loop goes on without the tool; the tool's goroutine
// lives until it returns.
var ErrToolAbandoned = errors.New("the tool did not return when its context had ended")

// toolGrace is how long a tool may take to return after its context has ended.
const toolGrace = time.Second

// A toolCall is one call on its way through a round.
type toolCall struct {
	use     ToolUse
	fn      *Tool   // nil: nothing is to run
	checker checker // of its result
	result  ToolResult
	err     error // for the log
	pending *PendingCall
	stopped bool
}

// runCalls runs the tools of a round and adds their results, in the order of
// the calls, to the conversation.
func (l *loop) runCalls(ctx context.Context, turn *Turn) error {
	calls := make([]*toolCall, len(turn.Calls))
	tools := offered(l.o.Tools, l.offered)
	checker := checker{subject: l.client.subject(ctx, cmp.Or(l.req.Model, l.o.Model), l.o.pipeline)}
	for i, use := range turn.Calls {
		if !l.emit(RunEvent{Round: l.round, ToolUse: &use}) {
			return errLeft
		}
		calls[i] = &toolCall{use: use, checker: checker}
		if given, ok := turn.answers[use.ID]; ok {
			calls[i].result = given
		} else {
			calls[i].prepare(tools)
		}
	}
	// No tool runs before all calls of the round are approved, refused or
	// known to wait.
	for _, c := range calls {
		if c.fn != nil && c.fn.approval && ctx.Err() == nil {
			c.approve(ctx, l.o.Approve)
		}
	}
	runTools(ctx, calls, l.o)

	pending := &PendingError{}
	var answers []ToolResult
	var stopped error
	for _, c := range calls {
		if c.stopped && stopped == nil {
			stopped = fmt.Errorf("%w: %q", ErrStopped, c.use.Name)
		}
		switch {
		case c.pending != nil:
			pending.Calls = append(pending.Calls, *c.pending)
		case c.result.ToolUseID == "":
			// It has not run, or was cut off by the end of the loop.
		default:
			answers = append(answers, c.result)
		}
	}
	messages, err := Answer(l.result.Messages, answers...)
	if err != nil {
		return err // the caller of Turns has changed the last message
	}
	l.result.Messages = messages
	if len(turn.added) > 0 {
		l.result.Messages = Append(messages, Message{RoleUser, turn.added})
	}
	for _, c := range calls {
		if c.result.ToolUseID != "" && !l.emit(RunEvent{Round: l.round, ToolResult: &c.result, Err: c.err}) {
			return errLeft
		}
	}
	switch {
	case ctx.Err() != nil:
		return l.canceled(ctx)
	case len(pending.Calls) > 0:
		return pending
	}
	return stopped
}

func (l *loop) canceled(ctx context.Context) error {
	op, model := bedrockkit.OpConverse, cmp.Or(l.req.Model, l.o.Model)
	if last := l.result.Last(); last != nil {
		op, model = last.op, last.Model
	}
	return bedrockx.Canceled(ctx, op, model)
}

// offered are the tools that a request with these specs lets run: all where it
// names none. What a request does not offer must not run, also where the model
// knows of it from elsewhere.
func offered(tools []Tool, specs []ToolSpec) []Tool {
	if specs == nil {
		return tools
	}
	return slices.DeleteFunc(slices.Clone(tools), func(t Tool) bool { return !hasTool(specs, t.Spec.Name) })
}

// prepare finds the tool and checks the arguments.
func (c *toolCall) prepare(tools []Tool) {
	if len(bytes.TrimSpace(c.use.Input)) == 0 {
		c.use.Input = json.RawMessage("{}")
	}
	i := slices.IndexFunc(tools, func(t Tool) bool { return t.Spec.Name == c.use.Name })
	if i < 0 {
		names := make([]string, len(tools))
		for i, t := range tools {
			names[i] = t.Spec.Name
		}
		c.fail(Tellf("there is no tool %q; the tools are %q", c.use.Name, names))
		return
	}
	if err := tools[i].check(c.use.Input); err != nil {
		c.fail(err)
		return
	}
	c.fn = &tools[i]
}

func (c *toolCall) approve(ctx context.Context, ask func(context.Context, ToolUse) error) {
	err := ErrPending
	if ask != nil {
		err = ask(ctx, c.use)
	}
	switch {
	case err == nil:
		return
	case errors.Is(err, ErrPending):
		c.wait(err)
	case ctx.Err() != nil: // the call stays open
	default:
		c.fail(&refusedError{err})
	}
	c.fn = nil
}

// refusedError is the error of a call that was not approved.
type refusedError struct{ err error }

func (e *refusedError) Error() string { return fmt.Sprintf("the call was not approved: %v", e.err) }
func (e *refusedError) Unwrap() error { return e.err }
func (e *refusedError) ModelText() string {
	if told, ok := errors.AsType[modelError](e.err); ok {
		return "the call was not approved: " + told.ModelText()
	}
	return "the call was not approved"
}

// wait leaves the call open.
func (c *toolCall) wait(err error) {
	c.pending = &PendingCall{ToolUse: c.use}
	if ask, ok := errors.AsType[*askError](err); ok {
		c.pending.Question = ask.question
	}
}

// fail makes an error the result of the call. The model reads of it what is
// meant for it.
func (c *toolCall) fail(err error) {
	c.err = err
	text := errTool.Error()
	if told, ok := errors.AsType[modelError](err); ok {
		text = clipText(told.ModelText())
	}
	c.result = ToolResult{ToolUseID: c.use.ID, Status: ToolError, Content: Contents{Text(text)}}
}

// runTools runs the calls of one round, some at once.
func runTools(ctx context.Context, calls []*toolCall, o Options) {
	slots := make(chan struct{}, max(1, o.ToolConcurrency))
	var wg sync.WaitGroup
	for _, c := range calls {
		if c.fn == nil {
			continue
		}
		slots <- struct{}{}
		if ctx.Err() != nil {
			break // nobody wants the results
		}
		wg.Go(func() {
			defer func() { <-slots }()
			c.run(ctx, o)
		})
	}
	wg.Wait()
}

// run runs one call. It leaves a result that can be sent, unless the call
// stays open: because it waits for the user, or because the loop has ended.
func (c *toolCall) run(loop context.Context, o Options) {
	defer func() {
		// Its results and errors have code of their own, which may panic here.
		if v := recover(); v != nil {
			c.fail(&PanicError{Tool: c.use.Name, Value: v, Stack: debug.Stack()})
		}
	}()
	ctx := loop
	if timeout := cmp.Or(c.fn.timeout, o.ToolTimeout); timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, timeout, slowError(timeout))
		defer cancel()
	}
	content, err := c.call(ctx, o.ToolMiddleware)
	if stop, ok := errors.AsType[*stopError](err); ok {
		c.stopped = true
		content, err = toolContent(stop.result)
	}
	switch {
	case errors.Is(err, ErrPending):
		c.wait(err)
		return
	case err != nil && loop.Err() != nil:
		return
	case errors.Is(err, ErrToolAbandoned):
		err = fmt.Errorf("%w: %w", err, context.Cause(ctx))
	case err != nil && ctx.Err() != nil:
		err = context.Cause(ctx)
	case err == nil:
		content, err = c.checkResult(content, o.MaxToolResult)
	}
	if err != nil {
		c.fail(err)
		return
	}
	c.result = ToolResult{ToolUseID: c.use.ID, Status: ToolSuccess, Content: content}
}

// slowError is the error of a tool that took longer than this.
type slowError time.Duration

func (e slowError) Error() string     { return "the tool took longer than " + time.Duration(e).String() }
func (e slowError) ModelText() string { return e.Error() }

// call calls the code and turns a panic into an error. Nothing can stop code
// that does not keep to its context, so after some grace it is left behind.
func (c *toolCall) call(ctx context.Context, middleware []ToolMiddleware) (Contents, error) {
	type outcome struct {
		content Contents
		err     error
	}
	done := make(chan outcome, 1)
	fn, use := c.fn, c.use
	use.Input = slices.Clone(use.Input) // the history's is not for the code to change
	go func() {
		// The error of code that leaves by runtime.Goexit.
		out := outcome{err: fmt.Errorf("tool %q ended its goroutine", use.Name)}
		defer func() {
			if v := recover(); v != nil {
				out = outcome{err: &PanicError{Tool: use.Name, Value: v, Stack: debug.Stack()}}
			}
			done <- out
		}()
		var o outcome
		o.content, o.err = fn.With(middleware...).handle(ctx, use)
		out = o
	}()
	select {
	case out := <-done:
		return out.content, out.err
	case <-ctx.Done():
	}
	grace := time.NewTimer(toolGrace)
	defer grace.Stop()
	select {
	case out := <-done:
		return out.content, out.err
	case <-grace.C:
		return nil, ErrToolAbandoned
	}
}

// clipText bounds what the model reads of an error; it is never blank.
func clipText(text string) string {
	const bound = 4 << 10
	if len(text) > bound {
		text = strings.ToValidUTF8(text[:bound], "") + "…"
	}
	if strings.TrimSpace(text) == "" {
		return errTool.Error()
	}
	return strings.ToValidUTF8(text, "\uFFFD")
}

// checkResult finds what the service would refuse in a result, and returns it
// with its texts in UTF-8. What is not found here would end the loop.
func (c *toolCall) checkResult(contents Contents, bound int) (Contents, error) {
	if size := contents.sizeHint(); size > bound {
		return nil, Tellf("the result has about %d bytes, %d are allowed; ask for less", size, bound)
	}
	kept := make(Contents, 0, len(contents))
	for _, block := range contents {
		switch b := block.(type) {
		case Text: // a blank one says nothing, which is not a failure
			if isBlank(b) {
				continue
			}
			block = Text(jsonscan.ToText(string(b)))
		case JSON, Image, Document, Video, SearchResult, Raw:
		default:
			return nil, fmt.Errorf("a tool's result cannot hold a %T", block)
		}
		kept = append(kept, block)
	}
	if contents = kept; len(contents) == 0 {
		contents = Contents{noOutput}
	}
	check := c.checker
	check.toolResult(ToolResult{ToolUseID: c.use.ID, Content: contents})
	if len(check.problems) > 0 {
		return nil, fmt.Errorf("the result cannot be sent: %w", &PreflightError{check.problems})
	}
	return contents, nil
}
