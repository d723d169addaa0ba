package metrics_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/asyncq"
	"github.com/mangaassist/bedrockkit/bedrocktest"
	"github.com/mangaassist/bedrockkit/bedrockx"
	"github.com/mangaassist/bedrockkit/cache/memcache"
	"github.com/mangaassist/bedrockkit/converse"
	"github.com/mangaassist/bedrockkit/examples/chatserver/metrics"
	"github.com/mangaassist/bedrockkit/pricing"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const haiku = "us.anthropic.claude-haiku-4-5-20251001-v1:0"

// client is a model that answers with what is scripted, counted by m.
func client(t *testing.T, m *metrics.Metrics, optFns ...func(*bedrockx.Options)) (*converse.Client, *bedrocktest.Server) {
	t.Helper()
	fake := bedrocktest.NewServer(t, func(o *bedrocktest.Options) { o.InProcess = true })
	return converse.New(bedrockx.New(fake.Client(), append(optFns, m.Client())...)), fake
}

func ask(t *testing.T, chat *converse.Client, text string) error {
	t.Helper()
	zero := 0.0
	_, err := chat.Send(t.Context(), converse.Request{Model: haiku, MaxTokens: 100, Temperature: &zero, Messages: []converse.Message{converse.User(text)}})
	return err
}

// A series is a name with its labels, in the order of the text.
type series map[string]float64

func scrape(t *testing.T, m *metrics.Metrics) series {
	t.Helper()
	w := httptest.NewRecorder()
	m.ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	require.Equal(t, http.StatusOK, w.Code)
	assert.Equal(t, "text/plain; version=0.0.4; charset=utf-8", w.Header().Get("Content-Type"))
	all, err := parse(w.Body.String())
	require.NoError(t, err, w.Body.String())
	return all
}

// of is the sum of the series of a name whose labels have all of these.
func (s series) of(name string, labels ...string) float64 {
	var sum float64
	for key, value := range s {
		own, rest, _ := strings.Cut(key, "{")
		if own == name && !slices.ContainsFunc(labels, func(l string) bool { return !strings.Contains(rest, l) }) {
			sum += value
		}
	}
	return sum
}

func TestCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, err := metrics.New()
		require.NoError(t, err)
		kept := bedrockx.NewCache(memcache.New())
		m.Watch(metrics.Sources{Cache: kept.Stats})
		chat, fake := client(t, m, func(o *bedrockx.Options) { o.Cache = kept; o.MaxAttempts = 2 })

		fake.Reply(bedrocktest.Throttle(), bedrocktest.Text("Naoki Urasawa."))
		require.NoError(t, ask(t, chat, "SECRET question"))
		require.NoError(t, ask(t, chat, "SECRET question")) // from the cache
		fake.Reply(bedrocktest.Exception("AccessDeniedException"))
		require.ErrorIs(t, ask(t, chat, "another"), bedrockx.ErrAccessDenied)

		all := scrape(t, m)
		model := `gen_ai_response_model="` + haiku + `"`
		assert.EqualValues(t, 3, all.of("gen_ai_client_operation_duration_seconds_count", model))
		assert.EqualValues(t, 1, all.of("gen_ai_client_operation_duration_seconds_count", `error_type="access_denied"`))
		assert.EqualValues(t, 3, all.of("bedrockkit_attempts_total"))
		assert.EqualValues(t, 1, all.of("bedrockkit_attempts_total", `error_type="throttled"`))
		assert.EqualValues(t, 1, all.of("bedrockkit_retries_total", model))
		assert.EqualValues(t, 1, all.of("bedrockkit_cache_hits_total", model))
		assert.Positive(t, all.of("bedrockkit_cost_USD_total", model))
		assert.Positive(t, all.of("bedrockkit_cache_saved_USD_total"))
		assert.Positive(t, all.of("gen_ai_client_token_usage_sum", `gen_ai_token_type="output"`))
		assert.Zero(t, all.of("bedrockkit_calls_active"))
		for key := range all {
			assert.NotContains(t, key, "SECRET")
		}

		report := m.Report(t.Context(), 10*time.Minute)
		total := report.Total
		assert.Equal(t, []int{3, 1, 1, 1, 1}, []int{total.Calls, total.Errors, total.Throttled, total.Retries, total.CacheHits})
		assert.Equal(t, map[bedrockx.Kind]int{bedrockx.KindAccessDenied: 1}, total.ErrorKinds)
		assert.Equal(t, 3, total.Latency.Count)
		assert.Positive(t, total.Tokens.Output)
		assert.Positive(t, total.Cost[haiku].Sign())
		assert.Equal(t, total.Cost[haiku], total.Saved.Cache, "the answer cost once and was given twice")
		assert.Len(t, report.Points, 60)
		assert.Equal(t, total.Calls, report.Points[59].Calls+report.Points[58].Calls)
	})
}

func TestStreams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, err := metrics.New()
		require.NoError(t, err)
		chat, fake := client(t, m)
		fake.Reply(bedrocktest.Text("One two three.").Delay(300 * time.Millisecond))
		s, err := chat.Stream(t.Context(), converse.Request{Model: haiku, Messages: []converse.Message{converse.User("hello")}})
		require.NoError(t, err)
		assert.EqualValues(t, 1, scrape(t, m).of("bedrockkit_calls_active", `stream="true"`))
		assert.Equal(t, 1, m.Report(t.Context(), time.Hour).Now.Streams)
		for range s.Events() {
		}
		require.NoError(t, s.Close())
		all := scrape(t, m)
		assert.Zero(t, all.of("bedrockkit_calls_active", `stream="true"`))
		assert.EqualValues(t, 1, all.of("gen_ai_client_operation_time_to_first_chunk_seconds_count"))
		report := m.Report(t.Context(), time.Hour)
		require.NotNil(t, report.Total.FirstToken)
		assert.InEpsilon(t, 300, report.Total.FirstToken.P50, 0.1)
		assert.Equal(t, 1, report.Total.Most.Streams)
		assert.Zero(t, report.Now.Streams)
	})
}

// The last hour is kept, and what was before it is forgotten.
func TestHistory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, err := metrics.New()
		require.NoError(t, err)
		chat, fake := client(t, m)
		for range 70 { // a call a minute
			fake.Reply(bedrocktest.Text("ok"))
			require.NoError(t, ask(t, chat, "hello"))
			time.Sleep(time.Minute)
		}
		hour := m.Report(t.Context(), time.Hour)
		assert.Equal(t, 60, hour.Step)
		assert.InDelta(t, 59, hour.Total.Calls, 1)
		for i, p := range hour.Points[1:] {
			assert.Equal(t, hour.Points[i].At+60, p.At)
			assert.LessOrEqual(t, p.Calls, 1)
		}
		minutes := m.Report(t.Context(), 10*time.Minute)
		assert.Equal(t, 10, minutes.Step)
		assert.InDelta(t, 9, minutes.Total.Calls, 1)
		data, err := json.Marshal(hour)
		require.NoError(t, err)
		assert.Less(t, len(data), 40<<10, "a page polls it")
	})
}

func TestNight(t *testing.T) {
	m, err := metrics.New()
	require.NoError(t, err)
	assert.Nil(t, m.Report(t.Context(), time.Hour).Night)
	cost, saved := pricing.MustAmount("0.25"), pricing.MustAmount("0.5")
	m.SetNight(metrics.Night{Day: "2026-11-30", Manga: 331, Cost: &cost, Saved: &saved})
	data, err := json.Marshal(m.Report(t.Context(), time.Hour).Night)
	require.NoError(t, err)
	assert.JSONEq(t, `{"day":"2026-11-30","manga":331,"cost_usd":"0.25","saved_usd":"0.5"}`, string(data))
	m.SetNight(metrics.Night{Day: "2026-12-01", Manga: 331})
	assert.Nil(t, m.Report(t.Context(), time.Hour).Night.Saved, "it is not known")
}

func TestJobs(t *testing.T) {
	m, err := metrics.New()
	require.NoError(t, err)
	stats := asyncq.Stats{Health: asyncq.Health{Running: 2, Waiting: 3, Held: 1}, Oldest: 90 * time.Second}
	depths := map[string]int{"high": 4, metrics.DeadLetter: 7}
	var broken error
	m.Watch(metrics.Sources{
		Worker: func() asyncq.Stats { return stats },
		Queues: func(context.Context) (map[string]int, error) { return depths, broken },
	})
	for _, e := range []asyncq.Event{
		{Kind: asyncq.EventStarted, Queue: "q", Duration: time.Second}, {Kind: asyncq.EventRetried, Queue: "q", ErrorClass: "throttled"},
		{Kind: asyncq.EventCompleted, Queue: "q", Attempt: 2, Age: time.Minute}, {Kind: asyncq.EventFailed, Queue: "q", Attempt: 5, ErrorClass: "validation"},
	} {
		m.Observe(e)
	}
	all := scrape(t, m)
	assert.EqualValues(t, 2, all.of("asyncq_jobs", `state="running"`))
	assert.EqualValues(t, 4, all.of("asyncq_queue_messages", `queue="high"`))
	assert.EqualValues(t, 7, all.of("asyncq_queue_messages", `queue="dead_letter"`))
	assert.EqualValues(t, 90, all.of("asyncq_oldest_seconds"))
	assert.EqualValues(t, 1, all.of("asyncq_events_total", `asyncq_event="completed"`))
	assert.EqualValues(t, 1, all.of("asyncq_events_total", `error_type="validation"`))
	report := m.Report(t.Context(), 10*time.Minute)
	assert.Equal(t, metrics.Levels{Queued: 8, Running: 2}, report.Now, "the dead letters wait for nobody")
	assert.Equal(t, []int{1, 1, 1}, []int{report.Total.JobsCompleted, report.Total.JobsFailed, report.Total.JobsRetried})

	broken = errors.New("the queue is down")
	assert.EqualValues(t, 2, scrape(t, m).of("asyncq_jobs", `state="running"`), "what can be read is")
}

func TestRequests(t *testing.T) {
	m, err := metrics.New()
	require.NoError(t, err)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /things/{id}", func(w http.ResponseWriter, r *http.Request) {
		if r.PathValue("id") == "bad" {
			w.WriteHeader(http.StatusBadGateway)
		}
		w.Write([]byte("ok"))
		assert.NoError(t, http.NewResponseController(w).Flush(), "streams can be flushed through it")
	})
	h := m.Handler(mux)
	for i := range 500 { // paths have no bound, routes have
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", fmt.Sprintf("/things/%d", i), nil))
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(fmt.Sprintf("M%d", i), fmt.Sprintf("/%d", i), nil))
	}
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/things/bad", nil))
	all := scrape(t, m)
	count := "http_server_request_duration_seconds_count"
	assert.EqualValues(t, 500, all.of(count, `http_route="/things/{id}"`, `http_response_status_code="200"`))
	assert.EqualValues(t, 1, all.of(count, `http_route="/things/{id}"`, `http_response_status_code="502"`))
	assert.EqualValues(t, 500, all.of(count, `http_request_method="_OTHER"`, `http_response_status_code="404"`))
	assert.Zero(t, all.of("http_server_active_requests"))
	assert.Less(t, len(all), 100)
	report := m.Report(t.Context(), 10*time.Minute)
	assert.Equal(t, []int{1001, 1}, []int{report.Total.Requests, report.Total.RequestErrors})
}

// A label's values are bounded, whatever models are asked for.
func TestSeriesAreBounded(t *testing.T) {
	m, err := metrics.New()
	require.NoError(t, err)
	var o bedrockx.Options
	m.Client()(&o)
	for i := range 1000 {
		o.OnAttempt[len(o.OnAttempt)-1](t.Context(), nil, bedrockx.Attempt{Model: bedrockkit.ModelID("made-up." + strconv.Itoa(i))})
	}
	all := scrape(t, m)
	assert.Less(t, len(all), 210)
	assert.EqualValues(t, 1000, all.of("bedrockkit_attempts_total"))
	assert.Positive(t, all.of("bedrockkit_attempts_total", `otel_metric_overflow="true"`))
}

// The text format 0.0.4, strictly: HELP and TYPE before the samples of a family, no
// family and no series twice, label values escaped, buckets that only grow and end with
// +Inf and the count.
var (
	metaLine   = regexp.MustCompile(`^# (HELP|TYPE) ([a-zA-Z_:][a-zA-Z0-9_:]*) (.+)$`)
	sampleLine = regexp.MustCompile(`^([a-zA-Z_:][a-zA-Z0-9_:]*)(\{((?:[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\[\\n"])*",?)*)\})? (\S+)$`)
)

func parse(text string) (series, error) {
	all := series{}
	families := map[string]string{} // their types
	help, family := "", ""
	buckets := map[string]float64{} // the last one of a histogram
	if !strings.HasSuffix(text, "\n") {
		return nil, errors.New("the last line does not end")
	}
	for scanner := bufio.NewScanner(strings.NewReader(text)); scanner.Scan(); {
		line := scanner.Text()
		if meta := metaLine.FindStringSubmatch(line); meta != nil {
			if meta[1] == "HELP" {
				help = meta[2]
				continue
			}
			family = meta[2]
			if _, twice := families[family]; twice || help != family {
				return nil, fmt.Errorf("the family %s is there twice or has no HELP", family)
			}
			if !slices.Contains([]string{"counter", "gauge", "histogram"}, meta[3]) {
				return nil, fmt.Errorf("the type %q", meta[3])
			}
			families[family] = meta[3]
			continue
		}
		sample := sampleLine.FindStringSubmatch(line)
		if sample == nil {
			return nil, fmt.Errorf("the line %q", line)
		}
		name, labels := sample[1], sample[3]
		value, err := strconv.ParseFloat(sample[4], 64)
		if err != nil {
			return nil, err
		}
		kind := families[family]
		part, ok := strings.CutPrefix(name, family)
		if !ok || kind == "histogram" && !slices.Contains([]string{"_bucket", "_sum", "_count"}, part) || kind != "histogram" && part != "" {
			return nil, fmt.Errorf("%s is not of the family %s", name, family)
		}
		if kind == "counter" && (!strings.HasSuffix(name, "_total") || value < 0) {
			return nil, fmt.Errorf("the counter %s %g", name, value)
		}
		if _, twice := all[name+"{"+labels+"}"]; twice {
			return nil, fmt.Errorf("the series %q is there twice", line)
		}
		all[name+"{"+labels+"}"] = value
		if part == "_bucket" {
			own, le, found := strings.Cut(labels, `le="`)
			if key := family + strings.TrimSuffix(own, ","); !found || value < buckets[key] {
				return nil, fmt.Errorf("the bucket %q", line)
			} else if buckets[key] = value; le == `+Inf"` {
				buckets[key+" inf"] = value
			}
		}
		if part == "_count" && buckets[family+labels+" inf"] != value {
			return nil, fmt.Errorf("the count of %s is not that of its buckets", family)
		}
	}
	return all, nil
}

// The parser refuses what Prometheus would.
func TestParser(t *testing.T) {
	for _, bad := range []string{
		"a 1\n", "# HELP a x\n# TYPE a gauge\na 1", "# HELP a x\n# TYPE a gauge\na{b=\"c\"d\"} 1\n", "# HELP a x\n# TYPE a counter\na 1\n",
		"# HELP a x\n# TYPE a gauge\na 1\na 2\n", "# HELP a x\n# TYPE a gauge\nb 1\n", "# HELP a.b x\n# TYPE a.b gauge\na.b 1\n",
		"# HELP a x\n# TYPE a histogram\na_bucket{le=\"1\"} 2\na_bucket{le=\"+Inf\"} 1\na_sum 1\na_count 1\n",
		"# HELP a x\n# TYPE a histogram\na_bucket{le=\"+Inf\"} 1\na_sum 1\na_count 2\n",
	} {
		_, err := parse(bad)
		assert.Error(t, err, bad)
	}
	all, err := parse("# HELP a x\n# TYPE a histogram\na_bucket{b=\"\\\"\",le=\"+Inf\"} 1\na_sum{b=\"\\\"\"} 1\na_count{b=\"\\\"\"} 1\n")
	require.NoError(t, err)
	assert.Len(t, all, 3)
}
