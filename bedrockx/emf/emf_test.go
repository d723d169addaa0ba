package emf_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/jsonschema-go/jsonschema"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/bedrocktest"
	"github.com/mangaassist/bedrockkit/bedrockx"
	"github.com/mangaassist/bedrockkit/bedrockx/anthropic"
	"github.com/mangaassist/bedrockkit/bedrockx/emf"
)

const (
	model = "us.anthropic.claude-haiku-4-5-20251001-v1:0"
	spare = "us.anthropic.claude-sonnet-4-6"
)

func ask(text string) anthropic.Request {
	return anthropic.Request{MaxTokens: 100, Messages: []anthropic.Message{anthropic.User(text)}}
}

func Example() {
	fake, err := bedrocktest.New(func(o *bedrocktest.Options) { o.InProcess = true })
	if err != nil {
		fmt.Println(err)
		return
	}
	defer fake.Close()
	fake.Reply(bedrocktest.Text("Hello!").Usage(bedrockkit.Usage{InputTokens: 1000, OutputTokens: 100}))

	var lines bytes.Buffer // os.Stdout, in Lambda or ECS
	client := bedrockx.New(fake.Client(), func(o *bedrockx.Options) {
		o.Middleware = append(o.Middleware, emf.Middleware(&lines, func(o *emf.Options) {
			o.Namespace = "MangaAssist"
			o.Properties = map[string]string{"Service": "chat"}
			o.Dimensions = [][]string{{"Service", "Model"}}
		}))
	})
	if _, err := bedrockx.Invoke(context.Background(), client, model, ask("Hi")); err != nil {
		fmt.Println(err)
		return
	}
	var line struct {
		Model   string
		CostUSD json.Number
	}
	if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(line.Model, line.CostUSD)
	// Output: us.anthropic.claude-haiku-4-5-20251001-v1:0 0.00165
}

// schema is that of the format's specification.
var schema = sync.OnceValues(func() (*jsonschema.Resolved, error) {
	data, err := os.ReadFile("testdata/emf.schema.json")
	if err != nil {
		return nil, err
	}
	var s jsonschema.Schema
	if err := json.Unmarshal(data, &s); err != nil {
		return nil, err
	}
	return s.Resolve(nil)
})

// check holds a line against the specification of the format: its schema, and
// what only its text says.
func check(t *testing.T, line []byte) map[string]any {
	t.Helper()
	assert.Less(t, len(line), 256<<10)
	var got map[string]any
	require.NoError(t, json.Unmarshal(line, &got), "%s", line)
	resolved, err := schema()
	require.NoError(t, err)
	require.NoError(t, resolved.Validate(got), "%s", line)
	meta := got["_aws"].(map[string]any)
	assert.Greater(t, meta["Timestamp"], 1e12, "milliseconds")
	directives := meta["CloudWatchMetrics"].([]any)
	require.Len(t, directives, 1)
	d := directives[0].(map[string]any)
	for _, m := range d["Metrics"].([]any) {
		name := m.(map[string]any)["Name"].(string)
		_, number := got[name].(float64)
		assert.True(t, number, "%s is no number", name)
	}
	for _, set := range d["Dimensions"].([]any) {
		for _, name := range set.([]any) {
			value, text := got[name.(string)].(string)
			assert.True(t, text && value != "" && len(value) <= 1024, "dimension %s is %q", name, value)
		}
	}
	return got
}

func TestLines(t *testing.T) {
	srv := bedrocktest.NewServer(t, func(o *bedrocktest.Options) { o.InProcess = true })
	var out bytes.Buffer
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	client := bedrockx.New(srv.Client(), func(o *bedrockx.Options) {
		o.BaseDelay, o.MaxDelay = 1, 1
		o.Middleware = append(o.Middleware, emf.Middleware(&out, func(o *emf.Options) {
			o.Dimensions = [][]string{{"Operation"}, {"Tenant", "Model"}, {"Nothing"}}
			o.Tags = func(ctx context.Context, _ *bedrockx.Call) map[string]string {
				return map[string]string{"Tenant": strings.Repeat("漫", 400)}
			}
			o.Now = func() time.Time { return now }
		}))
	})
	next := func() map[string]any {
		t.Helper()
		line, err := out.ReadBytes('\n')
		require.NoError(t, err)
		require.Zero(t, out.Len(), "one line a call")
		return check(t, line)
	}

	srv.Reply(bedrocktest.Throttle(), bedrocktest.Text("Hello!").Usage(bedrockkit.Usage{InputTokens: 10, OutputTokens: 5, CacheReadTokens: 3, CacheWrite1hTokens: 2}))
	_, err := bedrockx.Invoke(t.Context(), client, model, ask("Hi"))
	require.NoError(t, err)
	got := next()
	assert.EqualValues(t, now.UnixMilli(), got["_aws"].(map[string]any)["Timestamp"])
	assert.EqualValues(t, 2, got["Attempts"])
	assert.EqualValues(t, 10, got["InputTokens"])
	assert.EqualValues(t, 3, got["CacheReadTokens"])
	assert.EqualValues(t, 2, got["CacheWriteTokens"])
	assert.EqualValues(t, 0, got["Errors"])
	assert.EqualValues(t, 0, got["Fallback"])
	assert.Positive(t, got["Latency"])
	assert.NotEmpty(t, got["RequestId"])
	assert.NotContains(t, got, "ErrorKind")
	directive := got["_aws"].(map[string]any)["CloudWatchMetrics"].([]any)[0].(map[string]any)
	assert.Len(t, directive["Dimensions"], 2, "the set that has no value is left out")

	const canary = "canary-prompt-1234"
	srv.Reply(bedrocktest.Error(400, "ValidationException", canary))
	_, err = bedrockx.Invoke(t.Context(), client, model, ask(canary))
	require.Error(t, err)
	assert.NotContains(t, out.String(), canary)
	got = next()
	assert.Equal(t, "validation", got["ErrorKind"])
	assert.EqualValues(t, 1, got["Errors"])
	assert.NotContains(t, got, "InputTokens")

	srv.Reply(bedrocktest.Exception("ServiceQuotaExceededException"), bedrocktest.Text("Hello!"))
	_, err = bedrockx.Invoke(t.Context(), client, model, ask("Hi"), func(o *bedrockx.Options) { o.Fallback = []bedrockx.Target{{Model: spare}} })
	require.NoError(t, err)
	got = next()
	assert.EqualValues(t, 1, got["Fallback"])
	assert.Equal(t, model, got["RequestedModel"])
	assert.Equal(t, spare, got["Model"])

	// A fallback to the same model in another account is one, too.
	other := bedrocktest.NewServer(t, func(o *bedrocktest.Options) { o.InProcess, o.Responder = true, bedrocktest.Echo })
	srv.Reply(bedrocktest.Exception("ServiceQuotaExceededException"))
	_, err = bedrockx.Invoke(t.Context(), client, model, ask("Hi"), func(o *bedrockx.Options) { o.Fallback = []bedrockx.Target{{API: other.Client()}} })
	require.NoError(t, err)
	got = next()
	assert.EqualValues(t, 1, got["Fallback"])
	assert.NotContains(t, got, "RequestedModel")
}

// A line without a value for any of the dimensions keeps to the format.
func TestNoDimensions(t *testing.T) {
	srv := bedrocktest.NewServer(t, func(o *bedrocktest.Options) { o.InProcess, o.Responder = true, bedrocktest.Echo })
	var out bytes.Buffer
	client := bedrockx.New(srv.Client(), func(o *bedrockx.Options) {
		o.Middleware = append(o.Middleware, emf.Middleware(&out, func(o *emf.Options) { o.Dimensions = [][]string{{"Tenant"}} }))
	})
	_, err := bedrockx.Invoke(t.Context(), client, model, ask("Hi"))
	require.NoError(t, err)
	check(t, out.Bytes())
}

// oneWrite fails where a line comes in pieces or two lines at once.
type oneWrite struct {
	t  *testing.T
	mu sync.Mutex
	n  int
}

func (w *oneWrite) Write(p []byte) (int, error) {
	assert.True(w.t, w.mu.TryLock(), "two writes at once")
	defer w.mu.Unlock()
	assert.Equal(w.t, 1, bytes.Count(p, []byte("\n")))
	assert.True(w.t, bytes.HasSuffix(p, []byte("}\n")))
	w.n++
	return len(p), nil
}

func TestLinesStayWhole(t *testing.T) {
	srv := bedrocktest.NewServer(t, func(o *bedrocktest.Options) { o.InProcess, o.Responder = true, bedrocktest.Echo })
	out := &oneWrite{t: t}
	client := bedrockx.New(srv.Client(), func(o *bedrockx.Options) { o.Middleware = append(o.Middleware, emf.Middleware(out)) })
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			_, err := bedrockx.Invoke(t.Context(), client, model, ask("Hi"))
			assert.NoError(t, err)
		})
	}
	wg.Wait()
	assert.Equal(t, 50, out.n)
}

// A line that cannot be written is told, and the call goes on.
func TestWriteFails(t *testing.T) {
	srv := bedrocktest.NewServer(t, func(o *bedrocktest.Options) { o.InProcess, o.Responder = true, bedrocktest.Echo })
	closed, err := os.CreateTemp(t.TempDir(), "")
	require.NoError(t, err)
	closed.Close()
	var told error
	client := bedrockx.New(srv.Client(), func(o *bedrockx.Options) {
		o.Middleware = append(o.Middleware, emf.Middleware(closed, func(o *emf.Options) { o.OnError = func(_ context.Context, err error) { told = err } }))
	})
	_, err = bedrockx.Invoke(t.Context(), client, model, ask("Hi"))
	require.NoError(t, err)
	assert.True(t, errors.Is(told, os.ErrClosed), "%v", told)
	for _, set := range [][]string{make([]string, 31), {""}, {" "}, {strings.Repeat("d", 251)}, {":d"}, {"café"}, {"a\x01b"}} {
		assert.Panics(t, func() {
			emf.Middleware(closed, func(o *emf.Options) { o.Dimensions = [][]string{set} })
		})
	}
}

// CloudWatch drops a line whose dimensions it does not accept.
func TestValuesThatCloudWatchAccepts(t *testing.T) {
	for tenant, want := range map[string]string{" ": "", "\t": "", "東京支店": `\u6771\u4eac\u652f\u5e97`, "café": `caf\u00e9`, "a\x01b": `a\x01b`, "plain": "plain"} {
		srv := bedrocktest.NewServer(t, func(o *bedrocktest.Options) { o.InProcess, o.Responder = true, bedrocktest.Echo })
		var out bytes.Buffer
		client := bedrockx.New(srv.Client(), func(o *bedrockx.Options) {
			o.Middleware = append(o.Middleware, emf.Middleware(&out, func(o *emf.Options) {
				o.Dimensions = [][]string{{"Tenant"}}
				o.Tags = func(context.Context, *bedrockx.Call) map[string]string { return map[string]string{"Tenant": tenant} }
			}))
		})
		_, err := bedrockx.Invoke(t.Context(), client, model, ask("Hi"))
		require.NoError(t, err)
		line := check(t, out.Bytes())
		sets := line["_aws"].(map[string]any)["CloudWatchMetrics"].([]any)[0].(map[string]any)["Dimensions"].([]any)[0].([]any)
		if want == "" {
			assert.Empty(t, sets, "a blank value is none")
			continue
		}
		assert.Equal(t, want, line["Tenant"])
	}
	for _, name := range []string{":Bedrock", "Bedrock!", strings.Repeat("x", 256), "漫画"} {
		assert.Panics(t, func() { emf.Middleware(&bytes.Buffer{}, func(o *emf.Options) { o.Namespace = name }) }, name)
	}
}
