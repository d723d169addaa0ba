package bedrockx

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"
)

// Log returns a middleware that logs one record for each call when it has ended: at
// level Info if it was answered, at Warn if it failed. The record holds what
// [Call.LogValue] and [Error.LogValue] return: no prompt, no answer and no text of an
// error. A nil logger means [slog.Default].
func Log(logger *slog.Logger) Middleware {
	return func(next Handler) Handler {
		return func(ctx context.Context, call *Call) error {
			logger := logger
			if logger == nil {
				logger = slog.Default()
			}
			call.OnEnd(func(err error) {
				level, attrs := slog.LevelInfo, call.LogValue().Group()
				if err != nil {
					level = slog.LevelWarn
					attrs = append(attrs, slog.Any("error", logged(err)))
				}
				logger.LogAttrs(context.WithoutCancel(ctx), level, "bedrock call", attrs...)
			})
			return next(ctx, call)
		}
	}
}

// logged is what of an error may go into a log.
func logged(err error) slog.Value {
	var e *Error
	if errors.As(err, &e) {
		return e.LogValue()
	}
	return slog.GroupValue(slog.String("kind", string(KindOf(err))))
}

// KindOf returns the kind of an error: the Kind of the [*Error] in it, [KindCanceled]
// if a context has ended, and [KindUnknown] for any other error. It is empty for nil.
func KindOf(err error) Kind {
	var e *Error
	switch {
	case err == nil:
		return ""
	case errors.As(err, &e):
		return e.Kind
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return KindCanceled
	}
	return KindUnknown
}

// LogValue returns what may be logged about a call: what was called, what it used and
// cost. It has no content of the call.
func (c *Call) LogValue() slog.Value {
	return slog.GroupValue(append([]slog.Attr{slog.String("operation", string(c.Op))}, c.Outcome.LogValue().Group()...)...)
}

// LogValue returns what may be logged about a call that has ended, and about its
// result: what answered, what it used and cost. It has no content of the call.
func (o Outcome) LogValue() slog.Value {
	attrs := []slog.Attr{
		slog.String("model", string(o.Model)),
		slog.Int("attempts", o.Attempts),
	}
	if o.RequestID != "" {
		attrs = append(attrs, slog.String("request_id", o.RequestID))
	}
	if o.Latency > 0 {
		attrs = append(attrs, slog.Duration("latency", o.Latency.Round(time.Microsecond)))
	}
	if o.FirstOutput > 0 {
		attrs = append(attrs, slog.Duration("first_output", o.FirstOutput.Round(time.Microsecond)))
	}
	if !o.Usage.Unknown {
		attrs = append(attrs, slog.Int64("input_tokens", o.Usage.TotalInput()), slog.Int64("output_tokens", o.Usage.OutputTokens))
		if o.Usage.CacheReadTokens > 0 {
			attrs = append(attrs, slog.Int64("cache_read_tokens", o.Usage.CacheReadTokens))
		}
	}
	if o.Cost != nil {
		attrs = append(attrs, slog.String("cost_usd", o.Cost.String()))
	}
	if o.StopReason != "" {
		attrs = append(attrs, slog.String("stop_reason", string(o.StopReason)))
	}
	if o.ServiceTier != "" {
		attrs = append(attrs, slog.String("service_tier", string(o.ServiceTier)))
	}
	if len(o.Skipped) > 0 {
		names := make([]string, len(o.Skipped))
		for i, s := range o.Skipped {
			names[i] = s.What
		}
		attrs = append(attrs, slog.String("skipped", strings.Join(names, ",")))
	}
	if o.CacheHit {
		attrs = append(attrs, slog.Bool("cache_hit", true))
	}
	for i, f := range o.Failures {
		attrs = append(attrs, slog.Group(fmt.Sprintf("failure_%d", i+1), "model", string(f.Model), "kind", string(f.Kind)))
	}
	return slog.GroupValue(attrs...)
}

// String returns one line about the call, without its content, so that a call can be
// printed.
func (c *Call) String() string { return c.LogValue().String() }

// LogValue returns what may be logged about an error, with the service's code and our
// advice. It leaves out the text of the cause, because the service may quote the
// request in it. [Error.Error] has that text.
func (e *Error) LogValue() slog.Value {
	attrs := []slog.Attr{
		slog.String("operation", string(e.Op)),
		slog.String("model", string(e.Model)),
		slog.String("kind", string(e.Kind)),
		slog.Int("attempts", e.Attempts),
	}
	if e.RequestID != "" {
		attrs = append(attrs, slog.String("request_id", e.RequestID))
	}
	if e.RetryAfter > 0 {
		attrs = append(attrs, slog.Duration("retry_after", e.RetryAfter))
	}
	var identity *identityError // the codes below it are those of other services
	if code, _ := serviceError(e.Err); code != "" && !errors.As(e.Err, &identity) {
		attrs = append(attrs, slog.String("code", code))
	}
	if hint := e.hint(); hint != "" {
		attrs = append(attrs, slog.String("hint", hint))
	}
	return slog.GroupValue(attrs...)
}
