package guardrail

import (
	"context"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/bedrockx"
	"github.com/mangaassist/bedrockkit/pricing"
)

// errNoPrice is why the cost of a call is unknown whose verdict says neither
// units nor cost.
var errNoPrice = errors.New("the guardrail does not say what it cost")

// Options are the options of [Middleware]. The zero value of a field means its
// default.
type Options struct {
	// SkipInput and SkipOutput leave out the check of prompts or of answers.
	SkipInput, SkipOutput bool

	// Newest checks only what came after the model's last answer: the newest message,
	// or the results of all tools that the model called. Set it if earlier messages
	// were checked when they were the newest; a long conversation then costs its text
	// units only once.
	Newest bool

	// Async passes the text of a stream to its reader while it is checked. By default
	// the events of a stream wait for the check. Only text is checked in both modes:
	// not reasoning, and not the input of tools.
	Async bool

	// Every is how many characters of a stream are collected for one check. The
	// default is 1,000, which is one text unit.
	Every int

	// Overlap is how many characters before a piece of a stream are checked again with
	// it, so that a match across two pieces is found. The default is 100; negative
	// means none.
	Overlap int

	// Texts returns the texts of a prompt, for bodies that this package does not
	// know. A prompt without texts is not checked. The default knows the bodies of
	// package bedrockx and of Converse, and returns [ErrNoText] for others.
	Texts func(*bedrockx.Call) ([]string, error)

	// OnVerdict is called with each verdict, even if the text passes. It must be safe
	// for concurrent use. The default is none.
	OnVerdict func(context.Context, *bedrockx.Call, Verdict)

	// FailOpen lets a text pass if the guardrail cannot be asked, and calls
	// OnError. By default the call fails.
	FailOpen bool

	// OnError is called with the errors that FailOpen ignores. The default is none.
	OnError func(context.Context, error)
}

// Middleware returns a policy that checks prompts and answers. Put it into
// bedrockx.Options.Middleware.
func Middleware(checker Checker, optFns ...func(*Options)) bedrockx.Middleware {
	m := &policy{checker: checker}
	for _, fn := range optFns {
		fn(&m.o)
	}
	if m.o.Every <= 0 {
		m.o.Every = 1000
	}
	if m.o.Overlap == 0 {
		m.o.Overlap = 100
	}
	return func(next bedrockx.Handler) bedrockx.Handler {
		return func(ctx context.Context, call *bedrockx.Call) error {
			if !m.o.SkipInput {
				if err := m.input(ctx, call); err != nil {
					return &bedrockx.Error{Op: call.Op, Model: call.Model, Kind: kindOf(err), Err: err}
				}
			}
			if !m.o.SkipOutput {
				m.output(ctx, call)
			}
			return next(ctx, call)
		}
	}
}

type policy struct {
	checker Checker
	o       Options
}

// kindOf is the kind of an error of a prompt's check.
func kindOf(err error) bedrockx.Kind {
	if kind := bedrockx.KindOf(err); kind == bedrockx.KindCanceled {
		return kind
	}
	return bedrockx.KindRefused
}

func (m *policy) input(ctx context.Context, call *bedrockx.Call) error {
	find := m.o.Texts
	if find == nil {
		find = func(call *bedrockx.Call) ([]string, error) { return texts(call, m.o.Newest) }
	}
	prompt, err := find(call)
	if err != nil {
		return fmt.Errorf("guardrail: %w", err)
	}
	if len(prompt) == 0 {
		return nil
	}
	return m.check(ctx, call, Input, prompt)
}

// output has the answer checked before the caller gets it.
func (m *policy) output(ctx context.Context, call *bedrockx.Call) {
	if !call.Op.Streaming() {
		call.OnText = append(call.OnText, func(text string) error {
			if len(nonBlank(text)) == 0 {
				return nil
			}
			return m.check(ctx, call, Output, []string{text})
		})
		return
	}
	ctx, cancel := context.WithCancel(ctx)
	g := &gate{policy: m, ctx: ctx, call: call}
	within := call.Hold
	call.Hold = func(text string, whole bool) (bool, error) {
		release, err := g.see(text, whole)
		if err == nil && within != nil {
			var inner bool
			inner, err = within(text, whole)
			release = release && inner
		}
		return release, err
	}
	call.OnEnd(func(error) {
		cancel()
		g.wait() // no check outlives its call
	})
}

// A gate checks a stream by pieces. It belongs to the stream's reader.
type gate struct {
	*policy
	ctx  context.Context
	call *bedrockx.Call

	before  string // the end of what was checked
	piece   string // what is to be checked next
	running chan error
}

func (g *gate) see(text string, whole bool) (release bool, err error) {
	if g.piece += text; utf8.RuneCountInString(g.piece) < g.o.Every && !whole {
		return g.o.Async || len(nonBlank(g.piece)) == 0, g.poll()
	}
	if err := g.wait(); err != nil {
		return false, err
	}
	if len(nonBlank(g.piece)) == 0 {
		return true, nil
	}
	checked := g.before + g.piece
	g.before, g.piece = tail(checked, g.o.Overlap), ""
	if !g.o.Async || whole {
		return true, g.check(g.ctx, g.call, Output, []string{checked})
	}
	running := make(chan error, 1)
	g.running = running
	go func() { running <- g.check(g.ctx, g.call, Output, []string{checked}) }()
	return true, nil
}

// poll returns the error of a check that has ended beside the stream.
func (g *gate) poll() error {
	select {
	case err := <-g.running: // nil: nothing runs
		g.running = nil
		return err
	default:
		return nil
	}
}

// wait waits for the check that runs beside the stream.
func (g *gate) wait() error {
	if g.running == nil {
		return nil
	}
	err := <-g.running
	g.running = nil
	return err
}

// tail is the end of a text.
func tail(text string, characters int) string {
	at := len(text)
	for ; characters > 0 && at > 0; characters-- {
		_, size := utf8.DecodeLastRuneInString(text[:at])
		at -= size
	}
	return text[at:]
}

// check asks the guardrail. The error is an [*InterventionError], or that of
// asking it.
func (m *policy) check(ctx context.Context, call *bedrockx.Call, source Source, texts []string) error {
	v, err := m.ask(ctx, source, texts)
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case err != nil && m.o.FailOpen:
		if m.o.OnError != nil {
			m.o.OnError(ctx, err)
		}
		return nil
	case err != nil:
		return err
	}
	if v.Cost == nil && v.Units != nil {
		cost, err := call.Options.Prices.Cost(pricing.Guardrails, bedrockkit.Usage{}, func(o *pricing.CostOptions) { o.Region, o.Units, o.Date = call.Options.Region, v.Units, time.Now() })
		if err == nil {
			v.Cost = &cost
		}
		call.Charge(v.Cost, err)
	} else {
		call.Charge(v.Cost, errNoPrice)
	}
	if m.o.OnVerdict != nil {
		m.o.OnVerdict(ctx, call, v)
	}
	if v.Intervened {
		return &InterventionError{v}
	}
	return nil
}

// ask calls the checker; a panic in it is an error.
func (m *policy) ask(ctx context.Context, source Source, texts []string) (v Verdict, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("guardrail: the checker panicked: %T", r)
		}
	}()
	return m.checker.Check(ctx, source, texts)
}
