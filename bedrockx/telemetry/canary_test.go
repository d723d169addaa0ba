package telemetry_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/bedrocktest"
	"github.com/mangaassist/bedrockkit/bedrockx"
	"github.com/mangaassist/bedrockkit/bedrockx/emf"
	"github.com/mangaassist/bedrockkit/bedrockx/telemetry"
	"github.com/mangaassist/bedrockkit/cache/memcache"
	"github.com/mangaassist/bedrockkit/converse"
	"github.com/mangaassist/bedrockkit/pricing"
	"github.com/mangaassist/bedrockkit/stream"
)

// What may be nowhere: what was said, and what signs.
const (
	canaryPrompt = "canary-prompt-1234"
	canarySecret = "canary-secret-5678"
)

// lines is a writer for several goroutines.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// A prompt and a secret go every way that a call can go, panics included, with
// all that reports switched on. The texts of errors are looked at too, but for
// those that quote what the service said.
func TestCanaries(t *testing.T) {
	reply := func() *bedrocktest.Reply { return bedrocktest.Text(canaryPrompt + ", " + canaryPrompt).ChunkSize(5) }
	toolUse := func() *bedrocktest.Reply {
		return bedrocktest.ToolUse("look_up", map[string]any{"q": canaryPrompt})
	}
	invoke := func(ctx context.Context, c *bedrockx.Client) error {
		_, err := bedrockx.Invoke(ctx, c, model, ask(canaryPrompt))
		return err
	}
	say := converse.Request{Model: model, Messages: []converse.Message{converse.User(canaryPrompt)}}
	read := func(ctx context.Context, c *bedrockx.Client) error {
		s, err := converse.New(c).Stream(ctx, say)
		_, err = all(s, err)
		return err
	}
	leave := func(ctx context.Context, c *bedrockx.Client) error {
		s, err := converse.New(c).Stream(ctx, say)
		if err == nil {
			s.Close()
		}
		return err
	}
	type query struct {
		Q string `json:"q" jsonschema:"what to look for"`
	}
	run := func(fn func(context.Context, query) (string, error)) func(context.Context, *bedrockx.Client) error {
		return func(ctx context.Context, c *bedrockx.Client) error {
			tool := converse.NewTool("look_up", "Looks something up.", fn)
			var errs []error
			for ev, err := range converse.New(c, func(o *converse.Options) { o.Tools = []converse.Tool{tool} }).RunStream(ctx, say) {
				var panicked *converse.PanicError
				if errors.As(ev.Err, &panicked) {
					errs = append(errs, ev.Err) // the other errors of a tool are the program's own
				}
				errs = append(errs, err)
			}
			return errors.Join(errs...)
		}
	}
	found := func(context.Context, query) (string, error) { return canaryPrompt, nil }
	type volume struct {
		Number int `json:"number"`
	}
	generate := func(ctx context.Context, c *bedrockx.Client) error {
		_, _, err := converse.Generate[volume](ctx, converse.New(c), say)
		return err
	}
	spoil := func(next bedrockx.Handler) bedrockx.Handler {
		return func(context.Context, *bedrockx.Call) error { panic(canaryPrompt) }
	}

	tests := []struct {
		name    string
		replies []*bedrocktest.Reply
		call    func(context.Context, *bedrockx.Client) error
		quoted  bool // the service's own words are in the error
		options func(*bedrockx.Options)
	}{
		{"an answer", []*bedrocktest.Reply{reply()}, invoke, false, nil},
		{"a retry", []*bedrocktest.Reply{bedrocktest.Throttle(), reply()}, invoke, false, nil},
		{"refused", []*bedrocktest.Reply{bedrocktest.Error(400, "ValidationException", "malformed: "+canaryPrompt)}, invoke, true, nil},
		{"access denied", []*bedrocktest.Reply{bedrocktest.Error(403, "AccessDeniedException", canaryPrompt)}, invoke, true, nil},
		{"not JSON", []*bedrocktest.Reply{bedrocktest.Body(200, "application/json", []byte(`{"content":{"`+canaryPrompt+`":1}}`))}, invoke, false, once},
		{"another type", []*bedrocktest.Reply{bedrocktest.Body(200, "application/json", []byte(`{"content":"`+canaryPrompt+`"}`))}, invoke, false, once},
		{"a proxy's page", []*bedrocktest.Reply{bedrocktest.Body(200, "text/html", []byte("<html>"+canaryPrompt))}, invoke, false, once},
		{"a proxy's error", []*bedrocktest.Reply{bedrocktest.Body(403, "text/html", []byte("<html>"+canaryPrompt))}, invoke, false, once},
		{"cut", []*bedrocktest.Reply{reply().CutAfter(150)}, invoke, false, once},
		{"too large", []*bedrocktest.Reply{reply()}, invoke, false, func(o *bedrockx.Options) { o.MaxResponseBytes = 100 }},
		{"no headers in time", []*bedrocktest.Reply{bedrocktest.Text(canaryPrompt).Stall()}, invoke, false, func(o *bedrockx.Options) { once(o); o.AttemptTimeout = 500 * time.Millisecond }},
		{"over the model's bound", nil, func(ctx context.Context, c *bedrockx.Client) error {
			r := ask(canaryPrompt)
			r.MaxTokens = 1_000_000
			_, err := bedrockx.Invoke(ctx, c, model, r)
			return err
		}, false, nil},
		{"over budget", nil, invoke, false, func(o *bedrockx.Options) { o.MaxCost = new(pricing.Amount) }},
		{"refused by a policy", []*bedrocktest.Reply{reply()}, invoke, false, func(o *bedrockx.Options) {
			o.Middleware = append(o.Middleware, func(next bedrockx.Handler) bedrockx.Handler {
				return func(ctx context.Context, call *bedrockx.Call) error {
					call.OnText = append(call.OnText, func(string) error { return bedrockx.ErrRefused })
					return next(ctx, call)
				}
			})
		}},
		{"a fallback", []*bedrocktest.Reply{bedrocktest.Exception("ServiceUnavailableException"), reply()}, invoke, false, func(o *bedrockx.Options) {
			once(o)
			o.Fallback = []bedrockx.Target{{Model: spare}}
		}},
		{"a cache", []*bedrocktest.Reply{reply()}, func(ctx context.Context, c *bedrockx.Client) error {
			return errors.Join(invoke(ctx, c), invoke(ctx, c))
		}, false, cached},

		{"a stream", []*bedrocktest.Reply{reply()}, read, false, nil},
		{"a stream that is left", []*bedrocktest.Reply{reply()}, leave, false, nil},
		{"a stream that breaks off", []*bedrocktest.Reply{reply().EndAfter(4)}, read, false, nil},
		{"a stream that is corrupt", []*bedrocktest.Reply{reply().Corrupt(4, 20)}, read, false, nil},
		{"a stream of nonsense", []*bedrocktest.Reply{reply().InsertAfter(3, "contentBlockDelta", `{"contentBlockIndex":"`+canaryPrompt+`"}`)}, read, false, nil},
		{"a stream that fails", []*bedrocktest.Reply{reply().ExceptionAfter(4, "throttlingException", canaryPrompt)}, read, true, nil},
		{"a stream from a cache", []*bedrocktest.Reply{reply()}, func(ctx context.Context, c *bedrockx.Client) error {
			return errors.Join(read(ctx, c), read(ctx, c))
		}, false, cached},

		{"a tool", []*bedrocktest.Reply{toolUse(), reply()}, run(found), false, nil},
		{"a tool that fails", []*bedrocktest.Reply{toolUse(), reply()}, run(func(context.Context, query) (string, error) { return "", errors.New(canaryPrompt) }), false, nil},
		{"a tool that panics", []*bedrocktest.Reply{toolUse(), reply()}, run(func(context.Context, query) (string, error) { panic(canaryPrompt) }), false, nil},
		{"a tool with other arguments", []*bedrocktest.Reply{bedrocktest.ToolUse("look_up", map[string]any{"q": []string{canaryPrompt}}), reply()}, run(found), false, nil},
		{"a tool that there is not", []*bedrocktest.Reply{bedrocktest.ToolUse("another", map[string]any{"q": canaryPrompt}), reply()}, run(found), false, nil},
		{"a value that does not fit", []*bedrocktest.Reply{bedrocktest.Text(canaryPrompt), bedrocktest.Text(`{"number":"` + canaryPrompt + `"}`)}, generate, false, nil},
		{"a wrong history", nil, func(ctx context.Context, c *bedrockx.Client) error {
			_, err := converse.New(c).Send(ctx, converse.Request{Model: model, Messages: []converse.Message{converse.Assistant(canaryPrompt), converse.Assistant(canaryPrompt)}})
			return err
		}, false, nil},

		{"a policy that panics", nil, panics(invoke), false, func(o *bedrockx.Options) { o.Middleware = append(o.Middleware, spoil) }},
		{"a decoder that panics", []*bedrocktest.Reply{reply()}, panics(func(ctx context.Context, c *bedrockx.Client) error {
			return c.Do(ctx, &bedrockx.Call{Op: bedrockkit.OpConverse, Outcome: bedrockx.Outcome{Model: model}, Body: []byte(`{"messages":[{"role":"user","content":[{"text":"` + canaryPrompt + `"}]}]}`),
				Decode: func(context.Context, *bedrockx.Response) error { panic(canaryPrompt) }})
		}), false, nil},
		{"a panic beside a cache", []*bedrocktest.Reply{reply()}, panics(invoke), false, func(o *bedrockx.Options) {
			cached(o)
			o.OnAttempt = append(o.OnAttempt, func(context.Context, *bedrockx.Call, bedrockx.Attempt) { panic(canaryPrompt) })
		}},
		{"credentials that fail", nil, invoke, false, func(o *bedrockx.Options) {
			o.SDKOptions = append(o.SDKOptions, func(o *bedrockruntime.Options) {
				o.Credentials = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
					return aws.Credentials{SecretAccessKey: canarySecret}, errors.New("the vault is sealed")
				})
			})
		}},
		{"credentials that are refused", nil, invoke, false, func(o *bedrockx.Options) {
			o.SDKOptions = append(o.SDKOptions, func(o *bedrockruntime.Options) {
				o.Credentials = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
					return aws.Credentials{AccessKeyID: "AKIDOTHER", SecretAccessKey: canarySecret + "x", SessionToken: canarySecret}, nil
				})
			})
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			srv := bedrocktest.NewServer(t, func(o *bedrocktest.Options) { o.InProcess, o.Secret = true, canarySecret })
			srv.Reply(tt.replies...)
			spans, reader := tracetest.NewInMemoryExporter(), sdkmetric.NewManualReader()
			traces := sdktrace.NewTracerProvider(sdktrace.WithSyncer(spans))
			meters := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))
			var logs, metrics lines
			logger := slog.New(slog.NewJSONHandler(&logs, &slog.HandlerOptions{Level: slog.LevelDebug}))
			keep := func(next bedrockx.Handler) bedrockx.Handler {
				return func(ctx context.Context, call *bedrockx.Call) error {
					call.OnEnd(func(err error) { logger.Info("ended", "call", call, "text", call.String(), "error", err) })
					return next(ctx, call)
				}
			}
			client := bedrockx.New(srv.Client(),
				telemetry.Option(func(o *telemetry.Options) { o.TracerProvider, o.MeterProvider = traces, meters }),
				func(o *bedrockx.Options) {
					o.BaseDelay, o.MaxDelay = 1, 1
					o.Middleware = append(o.Middleware, bedrockx.Log(logger), emf.Middleware(&metrics), keep)
					if tt.options != nil {
						tt.options(o)
					}
				})
			err := tt.call(t.Context(), client)
			var reported strings.Builder
			for _, span := range spans.GetSpans() {
				fmt.Fprintf(&reported, "%s %v %v %v\n", span.Name, span.Attributes, span.Status, span.Events)
			}
			var data metricdata.ResourceMetrics
			require.NoError(t, reader.Collect(t.Context(), &data))
			fmt.Fprintf(&reported, "%+v\n%s%s", data, logs.String(), metrics.String())
			if err != nil && !tt.quoted {
				fmt.Fprintf(&reported, "%v\n%+v\n", err, err)
			}
			if len(srv.Requests()) > 0 {
				assert.NotEmpty(t, spans.GetSpans())
				assert.NotEmpty(t, logs.String())
				assert.NotEmpty(t, metrics.String())
			}
			assert.NotContains(t, reported.String(), canaryPrompt)
			assert.NotContains(t, reported.String(), canarySecret)
			require.NoError(t, errors.Join(traces.Shutdown(context.Background()), meters.Shutdown(context.Background())))
		})
	}
}

func once(o *bedrockx.Options) { o.MaxAttempts = 1 }

func cached(o *bedrockx.Options) {
	o.Cache = bedrockx.NewCache(memcache.New())
	o.CachePolicy.AnyTemperature = true
}

// panics is a call that a server's handler recovers from.
func panics(call func(context.Context, *bedrockx.Client) error) func(context.Context, *bedrockx.Client) error {
	return func(ctx context.Context, c *bedrockx.Client) (err error) {
		defer func() {
			if recover() == nil {
				err = errors.New("it did not panic")
			}
		}()
		return call(ctx, c)
	}
}

func all(s *stream.Stream, err error) (string, error) {
	if err != nil {
		return "", err
	}
	var text strings.Builder
	for piece, err := range s.Text() {
		if err != nil {
			return text.String(), err
		}
		text.WriteString(piece)
	}
	return text.String(), nil
}
