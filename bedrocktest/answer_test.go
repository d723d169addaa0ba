package bedrocktest_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/bedrocktest"
)

func TestCountTokens(t *testing.T) {
	for text, want := range map[string]int64{
		"":                        0,
		"Hello":                   1,
		"Hello world":             2,
		"extraordinary":           3,
		"漫画を読む":                   5,
		"ワンピース is good":           7,
		"   ":                     1,
		"\xff\xfe":                1,
		strings.Repeat("a", 6000): 1000,
	} {
		assert.Equal(t, want, bedrocktest.CountTokens(text), "%.20q", text)
	}
}

func inProcess(o *bedrocktest.Options) { o.InProcess = true }

func TestCutByTheRequest(t *testing.T) {
	for _, tt := range []struct {
		name  string
		max   int32
		stops []string
		reply *bedrocktest.Reply
		want  string
		stop  types.StopReason
	}{
		{"not cut", 10, nil, bedrocktest.Text("One two three"), "One two three", types.StopReasonEndTurn},
		{"max tokens", 2, nil, bedrocktest.Text("One two three"), "One two", types.StopReasonMaxTokens},
		{"exactly", 3, nil, bedrocktest.Text("One two three"), "One two three", types.StopReasonEndTurn},
		{"stop sequence", 10, []string{"three", " two"}, bedrocktest.Text("One two three"), "One", types.StopReasonStopSequence},
		{"both", 1, []string{" three"}, bedrocktest.Text("One two three"), "One", types.StopReasonMaxTokens},
		{"set by the reply", 1, nil, bedrocktest.Text("One two").Stop(bedrockkit.StopContentFiltered), "One two", types.StopReasonContentFiltered},
	} {
		t.Run(tt.name, func(t *testing.T) {
			srv := bedrocktest.NewServer(t, inProcess)
			srv.Reply(tt.reply, tt.reply)
			inf := &types.InferenceConfiguration{MaxTokens: aws.Int32(tt.max), StopSequences: tt.stops}
			got, err := readStream(t, srv.Client(), &bedrockruntime.ConverseStreamInput{ModelId: aws.String(haiku), Messages: userText("Hi"), InferenceConfig: inf})
			require.NoError(t, err)
			assert.Equal(t, tt.want, got.text)
			assert.Equal(t, tt.stop, got.stop)
			out, err := srv.Client().Converse(t.Context(), &bedrockruntime.ConverseInput{ModelId: aws.String(haiku), Messages: userText("Hi"), InferenceConfig: inf})
			require.NoError(t, err)
			assert.Equal(t, tt.want, out.Output.(*types.ConverseOutputMemberMessage).Value.Content[0].(*types.ContentBlockMemberText).Value)
			assert.Equal(t, *got.usage, *out.Usage)
			assert.LessOrEqual(t, *out.Usage.OutputTokens, max(tt.max, 2))
		})
	}
}

// A tool call that max_tokens cuts is broken JSON in a stream.
func TestCutToolUse(t *testing.T) {
	srv := bedrocktest.NewServer(t, inProcess)
	srv.Reply(bedrocktest.ToolUse("search", map[string]string{"query": "a long question about many things"}))
	got, err := readStream(t, srv.Client(), &bedrockruntime.ConverseStreamInput{ModelId: aws.String(haiku), Messages: userText("Hi"),
		InferenceConfig: &types.InferenceConfiguration{MaxTokens: aws.Int32(16)}})
	require.NoError(t, err)
	assert.Equal(t, types.StopReasonMaxTokens, got.stop)
	assert.NotEmpty(t, got.input)
	assert.False(t, json.Valid([]byte(got.input)))
}

func TestChunks(t *testing.T) {
	srv := bedrocktest.NewServer(t, inProcess)
	in := &bedrockruntime.ConverseStreamInput{ModelId: aws.String(haiku), Messages: userText("Hi")}
	for _, tt := range []struct {
		reply  *bedrocktest.Reply
		events int // messageStart, deltas, contentBlockStop, messageStop, metadata
		text   string
		input  string
	}{
		{bedrocktest.Text("").Chunks("Hel", "lo, ", "世", "界"), 8, "Hello, 世界", ""},
		{bedrocktest.Text("Hello, 世界").ChunkSize(3), 7, "Hello, 世界", ""},
		{bedrocktest.Text("Hello, 世界").ChunkSize(1), 13, "Hello, 世界", ""},
		{bedrocktest.ToolUse("f", nil), 6, "", ""},
		{bedrocktest.ToolUse("f", json.RawMessage(`{"n":12345678901234567890}`)).ChunkSize(1), 32, "", `{"n":12345678901234567890}`},
		{bedrocktest.ToolUse("f", nil).Chunks(`{"a`, ``, `":1`), 9, "", `{"a":1`},
	} {
		srv.Reply(tt.reply)
		got, err := readStream(t, srv.Client(), in)
		require.NoError(t, err)
		assert.Equal(t, tt.text, got.text)
		assert.Equal(t, tt.input, got.input)
		assert.Equal(t, tt.events, got.events)
	}
}

func TestStreamEdits(t *testing.T) {
	srv := bedrocktest.NewServer(t, inProcess)
	in := &bedrockruntime.ConverseStreamInput{ModelId: aws.String(haiku), Messages: userText("Hi")}
	run := func(r *bedrocktest.Reply) (streamed, error) {
		srv.Reply(r)
		return readStream(t, srv.Client(), in)
	}
	got, err := run(bedrocktest.Text("Hello world").Without("metadata"))
	require.NoError(t, err)
	assert.Nil(t, got.usage)
	assert.Equal(t, types.StopReasonEndTurn, got.stop)

	got, err = run(bedrocktest.Text("Hello world").EndAfter(2))
	require.NoError(t, err) // the SDK does not notice
	assert.Equal(t, "Hello", got.text)
	assert.Empty(t, got.stop)

	got, err = run(bedrocktest.Text("Hello world").InsertAfter(2, "futureEvent", `{"a":1}`))
	require.NoError(t, err)
	assert.Equal(t, "Hello world", got.text)

	for _, offset := range []int{8, -1, 40} {
		got, err = run(bedrocktest.Text("Hello world").Corrupt(2, offset))
		require.Error(t, err, "offset %d", offset)
		assert.Equal(t, "Hello", got.text)
	}

	got, err = run(bedrocktest.Frames(
		bedrocktest.EncodeEvent("messageStart", []byte(`{"role":"assistant"}`)),
		bedrocktest.EncodeException("throttlingException", []byte(`{"message":"slow"}`)),
	))
	var throttled *types.ThrottlingException
	require.ErrorAs(t, err, &throttled)
	assert.Equal(t, 1, got.events)
}

func TestOtherBodies(t *testing.T) {
	srv := bedrocktest.NewServer(t, inProcess)
	post := func(r *bedrocktest.Reply) (int, string, string) {
		srv.Reply(r)
		resp, body := do(t, srv, request(t, srv, "/model/"+haiku+"/converse-stream", `{"messages":[`+user+`]}`))
		return resp.StatusCode, resp.Header.Get("Content-Type"), body
	}
	status, typ, body := post(bedrocktest.HTML(200))
	assert.Equal(t, 200, status)
	assert.Contains(t, typ, "text/html")
	assert.Contains(t, body, "<h1>OK</h1>")

	_, _, body = post(bedrocktest.GzipBomb(100 << 20))
	assert.Less(t, len(body), 200<<10)

	status, _, body = post(bedrocktest.Error(429, "", ""))
	assert.Equal(t, 429, status)
	assert.Equal(t, "{}", body)

	status, _, body = post(bedrocktest.Body(418, "text/plain", []byte("tea")))
	assert.Equal(t, 418, status)
	assert.Equal(t, "tea", body)
}

// The same test has the same bytes, whatever the machine does.
func TestBytesAreTheSame(t *testing.T) {
	var bodies [2]string
	for i := range bodies {
		srv := bedrocktest.NewServer(t, inProcess)
		srv.Reply(bedrocktest.Reasoning("hm").Text("Hello there").ToolUse("f", map[string]int{"n": 1}))
		resp, body := do(t, srv, request(t, srv, "/model/"+haiku+"/converse-stream", `{"messages":[`+user+`]}`))
		bodies[i] = resp.Header.Get("X-Amzn-Requestid") + body
		assert.Equal(t, int64(len(body)), srv.Requests()[0].Outcome.Bytes)
	}
	assert.Equal(t, bodies[0], bodies[1])
}

func TestPromptCache(t *testing.T) {
	clock := bedrocktest.NewClock(time.Unix(1_700_000_000, 0))
	srv := echoServer(t, func(o *bedrocktest.Options) { o.Now, o.CacheMinTokens = clock.Now, 20 })
	client := srv.Client()
	long := strings.Repeat("word ", 50)
	ask := func(system, ttl string, texts ...string) types.TokenUsage {
		t.Helper()
		in := &bedrockruntime.ConverseInput{ModelId: aws.String(haiku)}
		if system != "" {
			in.System = []types.SystemContentBlock{
				&types.SystemContentBlockMemberText{Value: system},
				&types.SystemContentBlockMemberCachePoint{Value: types.CachePointBlock{Type: types.CachePointTypeDefault, Ttl: types.CacheTTL(ttl)}},
			}
		}
		for i, text := range texts {
			role := types.ConversationRoleUser
			if i%2 == 1 {
				role = types.ConversationRoleAssistant
			}
			m := types.Message{Role: role, Content: []types.ContentBlock{&types.ContentBlockMemberText{Value: text}}}
			if i == len(texts)-1 {
				m.Content = append(m.Content, &types.ContentBlockMemberCachePoint{Value: types.CachePointBlock{Type: types.CachePointTypeDefault}})
			}
			in.Messages = append(in.Messages, m)
		}
		out, err := client.Converse(t.Context(), in)
		require.NoError(t, err)
		return *out.Usage
	}
	n := func(p *int32) int { return int(aws.ToInt32(p)) }
	systemTokens := int(bedrocktest.CountTokens(long))

	u := ask(long, "1h", long)
	assert.Equal(t, 0, n(u.CacheReadInputTokens))
	written := n(u.CacheWriteInputTokens)
	assert.Equal(t, systemTokens*2+4, written)
	require.Len(t, u.CacheDetails, 2)
	assert.Equal(t, types.CacheTTLOneHour, u.CacheDetails[0].Ttl)
	assert.Equal(t, systemTokens, n(u.CacheDetails[0].InputTokens))
	assert.Equal(t, 0, n(u.InputTokens))

	u = ask(long, "1h", long, "answer", "next "+long)
	assert.Equal(t, written, n(u.CacheReadInputTokens), "what was cached is found before the new cache point")
	assert.Greater(t, n(u.CacheWriteInputTokens), 50)

	u = ask(long, "1h", "other "+long)
	assert.Equal(t, systemTokens, n(u.CacheReadInputTokens), "the system prompt alone")

	clock.Advance(6 * time.Minute)
	u = ask(long, "1h", long)
	assert.Equal(t, systemTokens, n(u.CacheReadInputTokens), "messages lived for five minutes")
	assert.Equal(t, systemTokens+4, n(u.CacheWriteInputTokens))

	clock.Advance(61 * time.Minute)
	u = ask(long, "1h", long)
	assert.Equal(t, 0, n(u.CacheReadInputTokens))

	u = ask("", "", "short")
	assert.Zero(t, n(u.CacheReadInputTokens)+n(u.CacheWriteInputTokens), "under the minimum nothing is cached")
	assert.Equal(t, n(u.TotalTokens), n(u.InputTokens)+n(u.OutputTokens))
}

func TestQuotas(t *testing.T) {
	clock := bedrocktest.NewClock(time.Unix(1_700_000_000, 0))
	srv := echoServer(t, func(o *bedrocktest.Options) {
		o.Now, o.Ignore = clock.Now, []bedrocktest.Rule{bedrocktest.RuleMaxTokens}
		o.Quotas = map[bedrockkit.ModelID]bedrocktest.Quota{
			"anthropic.claude-haiku-4-5-20251001-v1:0": {TokensPerMinute: 1000, Burndown: 5},
			"amazon.nova-lite-v1:0":                    {RequestsPerMinute: 2},
			"amazon.nova-micro-v1:0":                   {TokensPerDay: 100_000},
		}
	})
	client := srv.Client(noRetry)
	ask := func(model string, maxTokens int32) string {
		in := &bedrockruntime.ConverseInput{ModelId: aws.String(model), Messages: userText("Hi")}
		if maxTokens > 0 {
			in.InferenceConfig = &types.InferenceConfiguration{MaxTokens: aws.Int32(maxTokens)}
		}
		_, err := client.Converse(t.Context(), in)
		var throttled *types.ThrottlingException
		if assert.True(t, err == nil || strings.Contains(err.Error(), "ThrottlingException"), "%v", err) && err != nil {
			require.ErrorAs(t, err, &throttled)
			return *throttled.Message
		}
		return ""
	}
	assert.Equal(t, "Too many tokens, please wait before trying again.", ask(haiku, 0), "no maximum reserves the model's")
	for range 20 {
		assert.Empty(t, ask(haiku, 500), "what was not used is given back")
	}
	assert.NotEmpty(t, ask(haiku, 900))
	clock.Advance(time.Minute)
	assert.Empty(t, ask(haiku, 900))

	const lite = "us.amazon.nova-lite-v1:0"
	assert.Empty(t, ask(lite, 0))
	assert.Empty(t, ask(lite, 0))
	assert.Equal(t, "Too many requests, please wait before trying again.", ask(lite, 0))
	clock.Advance(30 * time.Second)
	assert.Empty(t, ask(lite, 0))

	assert.Empty(t, ask("amazon.nova-micro-v1:0", 50_000))
	assert.Equal(t, "Too many tokens per day, please wait before trying again.", ask("amazon.nova-micro-v1:0", 100_000))
}

// What was not used is given back before the client has the whole answer, or his
// next request would be throttled by chance.
func TestQuotaIsSettledFirst(t *testing.T) {
	transports(t, func(t *testing.T, opt func(*bedrocktest.Options)) {
		srv := echoServer(t, opt, func(o *bedrocktest.Options) {
			o.Quotas = map[bedrockkit.ModelID]bedrocktest.Quota{"amazon.nova-lite-v1:0": {TokensPerMinute: 1_000_000}}
			o.Ignore = []bedrocktest.Rule{bedrocktest.RuleMaxTokens}
		})
		in := types.InferenceConfiguration{MaxTokens: aws.Int32(900_000)}
		client := srv.Client(noRetry)
		for range 60 {
			_, err := client.Converse(t.Context(), &bedrockruntime.ConverseInput{ModelId: aws.String(novaLite), Messages: userText("Hi"), InferenceConfig: &in})
			require.NoError(t, err)
			out, err := client.ConverseStream(t.Context(), &bedrockruntime.ConverseStreamInput{ModelId: aws.String(novaLite), Messages: userText("Hi"), InferenceConfig: &in})
			require.NoError(t, err)
			for e := range out.GetStream().Events() {
				if _, last := e.(*types.ConverseStreamOutputMemberMetadata); last {
					break // and does not wait for the end of the response
				}
			}
			out.GetStream().Close()
		}
	})
}

// No number that a client sends gets around a quota.
func TestQuotaOfAbsurdRequests(t *testing.T) {
	const model = haiku
	clock := bedrocktest.NewClock(time.Unix(1_700_000_000, 0))
	srv := echoServer(t, func(o *bedrocktest.Options) {
		o.Now, o.Ignore = clock.Now, []bedrocktest.Rule{bedrocktest.RuleMaxTokens}
		o.Quotas = map[bedrockkit.ModelID]bedrocktest.Quota{model: {TokensPerMinute: 1000}}
	})
	invoke := func(maxTokens string) int {
		resp, _ := do(t, srv, request(t, srv, "/model/"+model+"/invoke",
			`{"anthropic_version":"bedrock-2023-05-31","max_tokens":`+maxTokens+`,"messages":[{"role":"user","content":"Hi"}]}`))
		return resp.StatusCode
	}
	assert.Equal(t, 429, invoke("9223372036854775807"))
	assert.Equal(t, 200, invoke("900"))
	clock.Advance(-time.Hour)
	assert.Equal(t, 200, invoke("900"), "a clock that is set back takes nothing away")
}

func TestCohereMaxTokensBesideToolResults(t *testing.T) {
	srv := echoServer(t, allowEnded)
	resp, body := do(t, srv, request(t, srv, "/model/cohere.command-r-v1:0/invoke",
		`{"max_tokens":-5,"tool_results":[{"call":{"name":"f","parameters":{}},"outputs":[{"a":1}]}]}`))
	assert.Equal(t, 400, resp.StatusCode)
	assert.Contains(t, message(body), "#/max_tokens: -5 is not greater or equal to 1")
}

// A pace that takes for ever is not one that takes no time.
func TestTinyPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := bedrocktest.NewServer(t, inProcess)
		srv.Reply(bedrocktest.Text("Hello there").Pace(1e-300))
		ctx, cancel := context.WithTimeout(t.Context(), 24*time.Hour)
		defer cancel()
		out, err := srv.Client(noRetry).ConverseStream(ctx, &bedrockruntime.ConverseStreamInput{ModelId: aws.String(haiku), Messages: userText("Hi")})
		require.NoError(t, err)
		events := 0
		for range out.GetStream().Events() {
			events++
		}
		out.GetStream().Close()
		assert.Equal(t, 1, events)
	})
}
