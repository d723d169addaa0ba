package socket

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/bedrockx"
	"github.com/mangaassist/bedrockkit/converse"
	"github.com/mangaassist/bedrockkit/examples/chatserver/assistant"
	"github.com/mangaassist/bedrockkit/examples/chatserver/auth"
	"github.com/mangaassist/bedrockkit/examples/chatserver/rest"
	"github.com/mangaassist/bedrockkit/stream"
	"github.com/mangaassist/bedrockkit/stream/resume"
)

// newRegistry returns the answers that run. They outlive the connections that
// began them.
func (h *Handler) newRegistry() *resume.Registry {
	return resume.New(func(o *resume.Options) {
		o.Grace, o.Log, o.Coalesce = h.opts.Grace, h.opts.Log, h.opts.Coalesce
		o.MaxRunning = 10_000 // each holds about 130 KB, with its connection
		if o.Log == nil {
			// An answer takes about 4 KiB. At a million a day the last ten minutes of
			// them are there for a reader that comes back.
			o.Log = resume.NewMemoryLog(func(o *resume.MemoryOptions) { o.MaxAnswers, o.MaxBytes = 10_000, 64<<20 })
		}
		o.OnEnd = func(ctx context.Context, id string, err error) {
			if a, ok := ctx.Value(askedKey{}).(*asked); ok {
				a.end()
				h.logAnswer(a.question, a.result(), err)
			}
		}
	})
}

// owned is the registry's id of a caller's answer: to know the id of another's is of
// no use.
func owned(ctx context.Context, answer string) string {
	sum := sha256.Sum256([]byte(auth.CallerOf(ctx).ID))
	return hex.EncodeToString(sum[:8]) + "." + answer
}

type askedKey struct{}

// asked is what an answer was asked by, for the log.
type asked struct {
	question question
	source   *converse.Source
	end      func() // frees the caller's place
}

// result is what the answer has come to; nil until it has ended.
func (a *asked) result() *converse.RunResult {
	if a.source == nil {
		return nil
	}
	return a.source.Result()
}

// ask begins an answer.
func (h *Handler) ask(ctx context.Context, id string, q question) (*asked, error) {
	if refused := h.gate.Afford(ctx); refused != nil {
		return nil, refused
	}
	end, refused := h.gate.Begin(ctx)
	if refused != nil {
		return nil, refused
	}
	a := &asked{question: q, end: end}
	err := h.registry.Start(context.WithValue(ctx, askedKey{}, a), owned(ctx, id), func(ctx context.Context) (stream.Source, error) {
		a.source = h.assistant.Source(ctx, q.Route.Model, q.Messages, func(o *converse.Options) {
			if q.Fresh {
				assistant.Fresh(o)
			}
		})
		return a.source, nil
	})
	if err != nil {
		end()
	}
	return a, err
}

// stopCanceled is the stop reason that the page gets for an answer that its
// reader has stopped; the model had none of its own.
const stopCanceled bedrockkit.StopReason = "cancelled"

// frameOf is a message as the page knows it.
func frameOf(m stream.Message) serverFrame {
	f := serverFrame{Sequence: m.Sequence}
	switch m.Type {
	case stream.TypeToken:
		f.Type, f.Data = "token", m.Data
	case stream.TypeToolUse:
		f.Type, f.ToolUseID, f.Name, f.Input = "tool_use", m.ToolUseID, m.ToolName, m.Input
	case stream.TypeToolResult:
		f.Type, f.ToolUseID, f.Name, f.Status, f.Content = "tool_result", m.ToolUseID, m.ToolName, m.Status, content(m.Data)
	case stream.TypeComplete:
		f.Type, f.Usage, f.StopReason, f.CostUSD = "complete", m.Usage, m.StopReason, m.Cost
	case stream.TypeError:
		if m.Code == resume.CodeStopped {
			f.Type, f.Usage, f.StopReason, f.CostUSD = "complete", m.Usage, stopCanceled, m.Cost
			if f.Usage == nil {
				f.Usage = &bedrockkit.Usage{Unknown: true}
			}
			return f
		}
		p := problemOfCode(m.Code)
		f.Type, f.Problem = "error", &p
	}
	return f
}

// content is the text of a tool's result as JSON: itself if it is JSON.
func content(text string) json.RawMessage {
	if json.Valid([]byte(text)) {
		return json.RawMessage(text)
	}
	quoted, err := json.Marshal(text)
	if err != nil {
		return nil // a string always can
	}
	return quoted
}

// problemOfCode is the problem of an error message's code.
func problemOfCode(code string) rest.Problem {
	switch code {
	case resume.CodeInterrupted, resume.CodeAbandoned:
		return rest.Problem{Code: "interrupted", Message: "The answer was interrupted. Please try again.", Retryable: true}
	case resume.CodeTooLong:
		return rest.Problem{Code: "too_long", Message: "The answer became too long."}
	case "max_rounds", "max_tool_calls":
		return rest.ProblemOf(converse.ErrMaxRounds)
	case "max_run_time":
		return rest.ProblemOf(context.DeadlineExceeded)
	}
	return rest.ProblemOf(&bedrockx.Error{Kind: bedrockx.Kind(code)})
}

// problemOfReading is the problem of an answer that cannot be begun or read.
func problemOfReading(err error) rest.Problem {
	var refused *auth.Refused
	switch {
	case errors.As(err, &refused):
		return problemOfRefused(refused)
	case errors.Is(err, resume.ErrUnknown), errors.Is(err, stream.ErrGap):
		return rest.Problem{Code: "gone", Message: "The answer is not there any more. Please ask again.", Retryable: true}
	case errors.Is(err, resume.ErrFull):
		return rest.Problem{Code: "busy", Message: "The assistant is busy. Please try again in a moment.", Retryable: true}
	case errors.Is(err, resume.ErrClosed):
		return rest.Problem{Code: "interrupted", Message: "The server is stopping. Please try again.", Retryable: true}
	}
	return rest.ProblemOf(err)
}

// problemOfRefused is the problem of a message that the gate refuses.
func problemOfRefused(r *auth.Refused) rest.Problem {
	switch {
	case r.Status == http.StatusUnauthorized:
		return rest.Problem{Code: "unauthorized", Message: r.Message}
	case r.Daily:
		return rest.Problem{Code: "quota", Message: r.Message}
	}
	return rest.Problem{Code: "busy", Message: r.Message, Retryable: true}
}

// logAnswer writes one line about an answer: what it took and how it ended,
// never what was asked or said.
func (h *Handler) logAnswer(q question, result *converse.RunResult, err error) {
	attrs := []any{"request_id", q.ID, "model", q.Route.Model, "messages", len(q.Messages)}
	if q.Route.Rule != "" {
		attrs = append(attrs, "rule", q.Route.Rule)
	}
	if result != nil {
		attrs = append(attrs, "rounds", len(result.Rounds), "input_tokens", result.Usage.TotalInput(), "output_tokens", result.Usage.OutputTokens)
		if result.Cost != nil {
			attrs = append(attrs, "cost_usd", result.Cost.String())
		}
		if last := result.Last(); last != nil && err == nil {
			attrs = append(attrs, "stop_reason", last.StopReason, "cached", assistant.Cached(result))
		}
	}
	switch {
	case err == nil:
		h.log.Info("answered", attrs...)
	case bedrockx.KindOf(err) == bedrockx.KindCanceled:
		h.log.Info("stopped", attrs...)
	default:
		var crash *resume.PanicError
		if errors.As(err, &crash) {
			attrs = append(attrs, "stack", string(crash.Stack))
		}
		h.log.Warn("failed", append(attrs, "error", err)...)
	}
}
