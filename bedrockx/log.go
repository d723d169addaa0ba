package bedrockx

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// Log returns a middleware that logs one record for each call when it has
// ended: at level Info where it answered, at Warn where it did not. The record
// holds what [Call.LogValue] and [Error.LogValue] tell: no prompt, no answer,
// no text of an error. A nil logger means [slog.Default].
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

// KindOf is the kind of an error: that of the [*Error] in it, [KindCanceled]
// for the end of a context, and otherwise [KindUnknown]; empty for nil.
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

// LogValue is what a log may say of a call: what was called, what it took and
// cost, and nothing of its content.
func (c *Call) LogValue() slog.Value {
	attrs := []slog.Attr{
		slog.String("operation", string(c.Op)),
		slog.String("model", string(c.Model)),
		slog.Int("attempts", c.Attempts),
	}
	if c.RequestID != "" {
		attrs = append(attrs, slog.String("request_id", c.RequestID))
	}
	if c.Latency > 0 {
		attrs = append(attrs, slog.Duration("latency", c.Latency.Round(time.Microsecond)))
	}
	if c.FirstOutput > 0 {
		attrs = append(attrs, slog.Duration("first_output", c.FirstOutput.Round(time.Microsecond)))
	}
	if !c.Usage.Unknown {
		attrs = append(attrs, slog.Int64("input_tokens", c.Usage.TotalInput()), slog.Int64("output_tokens", c.Usage.OutputTokens))
		if c.Usage.CacheReadTokens > 0 {
			attrs = append(attrs, slog.Int64("cache_read_tokens", c.Usage.CacheReadTokens))
		}
	}
	if c.Cost != nil {
		attrs = append(attrs, slog.String("cost_usd", c.Cost.String()))
	}
	if c.StopReason != "" {
		attrs = append(attrs, slog.String("stop_reason", string(c.StopReason)))
	}
	if c.ServiceTier != "" {
		attrs = append(attrs, slog.String("service_tier", string(c.ServiceTier)))
	}
	if c.CacheHit {
		attrs = append(attrs, slog.Bool("cache_hit", true))
	}
	for i, f := range c.Failures {
		attrs = append(attrs, slog.Group(fmt.Sprintf("failure_%d", i+1), "model", string(f.Model), "kind", string(f.Kind)))
	}
	return slog.GroupValue(attrs...)
}

// String is one line about the call without its content, so that a call can be
// printed.
func (c *Call) String() string { return c.LogValue().String() }

// LogValue is what a log may say of an error. It leaves the cause's text out,
// which is the service's and may quote the request; [Error.Error] has it.
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
	return slog.GroupValue(attrs...)
}
