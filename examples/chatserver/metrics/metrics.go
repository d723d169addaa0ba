package metrics

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	sdk "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/mangaassist/bedrockkit/asyncq"
	jobtelemetry "github.com/mangaassist/bedrockkit/asyncq/telemetry"
	"github.com/mangaassist/bedrockkit/bedrockx"
	"github.com/mangaassist/bedrockkit/bedrockx/telemetry"
	"github.com/mangaassist/bedrockkit/pricing"
)

// mostSeries bounds the values of the labels of one metric.
const mostSeries = 200

// Metrics are those of one server. They are safe for concurrent use.
type Metrics struct {
	reader  *sdk.ManualReader
	calls   func(*bedrockx.Options) // the library's telemetry
	jobs    func(asyncq.Event)      // the same, of jobs
	history history                 // the last hour

	attempts, retries, fallbacks, hits metric.Int64Counter
	promptTokens                       metric.Int64Counter
	promptSaved                        metric.Float64Counter
	requests                           metric.Float64Histogram
	activeRequests                     metric.Int64UpDownCounter

	mu      sync.Mutex
	sources Sources
	night   *Night
	saved   pricing.Amount // by the cache, when it was last looked at
}

// Sources are asked when the metrics are read. A nil one has nothing to say. They
// must be safe for concurrent use.
type Sources struct {
	// Worker is how the worker of the jobs is.
	Worker func() asyncq.Stats

	// Queues counts the messages that wait, by queue. Those in DeadLetter wait for
	// nobody.
	Queues func(context.Context) (map[string]int, error)

	// Cache is what the cache of answers did.
	Cache func() bedrockx.CacheStats
}

// DeadLetter is the name of the queue of the jobs that could not be done.
const DeadLetter = "dead_letter"

// New returns metrics that have counted nothing.
func New() (*Metrics, error) {
	m := &Metrics{reader: sdk.NewManualReader()}
	provider := sdk.NewMeterProvider(sdk.WithReader(m.reader), sdk.WithCardinalityLimit(mostSeries))
	m.calls = telemetry.Option(func(o *telemetry.Options) { o.MeterProvider = provider })
	var jobs asyncq.JobOptions
	jobtelemetry.Jobs(func(o *jobtelemetry.Options) { o.MeterProvider = provider })(&jobs)
	m.jobs = jobs.Observe

	meter := provider.Meter("github.com/mangaassist/bedrockkit/examples/chatserver/metrics")
	var errs [12]error
	count := func(i int, name, unit, what string) metric.Int64Counter {
		var c metric.Int64Counter
		c, errs[i] = meter.Int64Counter(name, metric.WithUnit(unit), metric.WithDescription(what))
		return c
	}
	m.attempts = count(0, "bedrockkit.attempts", "{request}", "Requests that were sent to models, by the kind of error.")
	m.retries = count(1, "bedrockkit.retries", "{request}", "Requests after the first one of a call.")
	m.fallbacks = count(2, "bedrockkit.fallbacks", "{call}", "Calls that another model than their own was asked for.")
	m.hits = count(3, "bedrockkit.cache.hits", "{call}", "Calls that the cache of answers has answered.")
	m.promptTokens = count(4, "bedrockkit.prompt_cache.tokens", "{token}", "Tokens read from and written to the service's prompt cache.")
	m.promptSaved, errs[5] = meter.Float64Counter("bedrockkit.prompt_cache.saved", metric.WithUnit("USD"),
		metric.WithDescription("What the tokens read from the prompt cache would have cost more as input."))
	m.requests, errs[6] = meter.Float64Histogram("http.server.request.duration", metric.WithUnit("s"),
		metric.WithDescription("Duration of HTTP requests. That of a WebSocket is how long it was open."),
		metric.WithExplicitBucketBoundaries(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 600))
	m.activeRequests, errs[7] = meter.Int64UpDownCounter("http.server.active_requests", metric.WithUnit("{request}"),
		metric.WithDescription("HTTP requests under way, open WebSockets among them."))
	errs[8] = m.observeGauges(meter)
	return m, errors.Join(errs[:]...)
}

// observeGauges says how the values come about that are read and not counted.
func (m *Metrics) observeGauges(meter metric.Meter) error {
	var errs [6]error
	gauge := func(i int, name, unit, what string) metric.Int64ObservableGauge {
		var g metric.Int64ObservableGauge
		g, errs[i] = meter.Int64ObservableGauge(name, metric.WithUnit(unit), metric.WithDescription(what))
		return g
	}
	active := gauge(0, "bedrockkit.calls.active", "{call}", "Calls of models under way.")
	jobs := gauge(1, "asyncq.jobs", "{job}", "Jobs that the worker has, by state.")
	messages := gauge(2, "asyncq.queue.messages", "{message}", "Messages that wait in a queue.")
	oldest, err := meter.Float64ObservableGauge("asyncq.oldest", metric.WithUnit("s"), metric.WithDescription("How long ago the worker got the oldest message that it has."))
	errs[3] = err
	saved, err := meter.Float64ObservableCounter("bedrockkit.cache.saved", metric.WithUnit("USD"),
		metric.WithDescription("What the answers of the cache would have cost."))
	errs[4] = err
	_, errs[5] = meter.RegisterCallback(func(ctx context.Context, o metric.Observer) error {
		o.ObserveInt64(active, m.history.current(streams), metric.WithAttributes(attribute.Bool("stream", true)))
		o.ObserveInt64(active, m.history.current(unary), metric.WithAttributes(attribute.Bool("stream", false)))
		from := m.watched()
		if from.Worker != nil {
			s := from.Worker()
			for state, n := range map[string]int{"running": s.Running, "waiting": s.Waiting, "held": s.Held} {
				o.ObserveInt64(jobs, int64(n), metric.WithAttributes(attribute.String("state", state)))
			}
			o.ObserveFloat64(oldest, s.Oldest.Seconds())
		}
		if from.Cache != nil {
			o.ObserveFloat64(saved, from.Cache().Saved.Float64())
		}
		if from.Queues == nil {
			return nil
		}
		depths, err := from.Queues(ctx)
		for queue, n := range depths {
			o.ObserveInt64(messages, int64(n), metric.WithAttributes(attribute.String("queue", queue)))
		}
		return err
	}, active, jobs, messages, oldest, saved)
	return errors.Join(errs[:]...)
}

// Watch says what is asked when the metrics are read.
func (m *Metrics) Watch(s Sources) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sources = s
}

func (m *Metrics) watched() Sources {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.sources
}

// Client is an option of bedrockx.New: it counts the calls.
func (m *Metrics) Client() func(*bedrockx.Options) {
	return func(o *bedrockx.Options) {
		m.calls(o)
		o.Middleware = append(o.Middleware, m.call)
		o.OnAttempt = append(o.OnAttempt, m.attempt)
	}
}

func (m *Metrics) call(next bedrockx.Handler) bedrockx.Handler {
	return func(ctx context.Context, call *bedrockx.Call) error {
		active := unary
		if call.Op.Streaming() {
			active = streams
		}
		m.history.move(active, 1)
		call.OnEnd(func(err error) {
			m.history.move(active, -1)
			m.ended(context.WithoutCancel(ctx), call, err)
		})
		return next(ctx, call)
	}
}

// ended counts a call.
func (m *Metrics) ended(ctx context.Context, call *bedrockx.Call, err error) {
	model := metric.WithAttributes(attribute.String("gen_ai.response.model", string(call.Model)))
	add := func(c metric.Int64Counter, n int) {
		if n > 0 {
			c.Add(ctx, int64(n), model)
		}
	}
	add(m.retries, call.Attempts-1)
	if call.Fallback {
		add(m.fallbacks, 1)
	}
	if call.CacheHit {
		add(m.hits, 1)
	}
	if p := call.PromptCache; p != nil {
		name := attribute.String("gen_ai.response.model", string(call.Model))
		m.promptTokens.Add(ctx, p.ReadTokens, metric.WithAttributes(name, attribute.String("type", "read")))
		m.promptTokens.Add(ctx, p.WrittenTokens, metric.WithAttributes(name, attribute.String("type", "write")))
		m.promptSaved.Add(ctx, p.Saved.Float64(), model)
	}
	m.history.call(call, err, m.savedSince())
}

// savedSince is what the cache of answers has saved since it was last asked.
func (m *Metrics) savedSince() pricing.Amount {
	from := m.watched()
	if from.Cache == nil {
		return pricing.Amount{}
	}
	now := from.Cache().Saved
	m.mu.Lock()
	defer m.mu.Unlock()
	more := now.Sub(m.saved)
	if more.Sign() <= 0 { // another call was faster
		return pricing.Amount{}
	}
	m.saved = now
	return more
}

// attempt counts one request to a model.
func (m *Metrics) attempt(ctx context.Context, _ *bedrockx.Call, a bedrockx.Attempt) {
	attrs := []attribute.KeyValue{attribute.String("gen_ai.request.model", string(a.Model))}
	if a.Kind != "" {
		attrs = append(attrs, attribute.String("error.type", strings.ReplaceAll(string(a.Kind), " ", "_")))
	}
	m.attempts.Add(ctx, 1, metric.WithAttributes(attrs...))
	if a.Kind == bedrockx.KindThrottled {
		m.history.count(throttled)
	}
}

// Observe counts what happens to the jobs: it is for asyncq.JobOptions.
func (m *Metrics) Observe(e asyncq.Event) {
	m.jobs(e)
	switch e.Kind {
	case asyncq.EventCompleted:
		m.history.count(jobsCompleted)
	case asyncq.EventFailed, asyncq.EventCanceled:
		m.history.count(jobsFailed)
	case asyncq.EventRetried:
		m.history.count(jobsRetried)
	}
}

// ServeHTTP answers with the metrics in the text format of Prometheus, version 0.0.4.
func (m *Metrics) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var data metricdata.ResourceMetrics
	if err := m.reader.Collect(r.Context(), &data); err != nil && len(data.ScopeMetrics) == 0 {
		http.Error(w, "The metrics could not be read.", http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	write(w, &data) // an error means that the client has gone
}
