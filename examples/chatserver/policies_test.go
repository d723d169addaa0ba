package main

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/bedrocktest"
	"github.com/mangaassist/bedrockkit/examples/chatserver/app"
	"github.com/mangaassist/bedrockkit/examples/chatserver/catalog"
	"github.com/mangaassist/bedrockkit/examples/chatserver/offline"
	"github.com/mangaassist/bedrockkit/internal/servertest"
)

const (
	haiku  = "us.anthropic.claude-haiku-4-5-20251001-v1:0"
	sonnet = "us.anthropic.claude-sonnet-4-6"
)

// startInAWS starts a server whose Bedrock is a fake that the test can disturb. The
// fake answers as the offline model does, unless disturb answers.
func startInAWS(t *testing.T, disturb bedrocktest.Responder, args ...string) (url string, log *logBuffer, fake *bedrocktest.Server) {
	t.Helper()
	answer := offline.New(catalog.Default()).Respond
	fake = bedrocktest.NewServer(t, func(o *bedrocktest.Options) {
		o.Responder = func(ctx context.Context, req *bedrocktest.Request) *bedrocktest.Reply {
			if disturb != nil {
				if reply := disturb(ctx, req); reply != nil {
					return reply
				}
			}
			return answer(ctx, req)
		}
	})
	inAWS(t, fake.URL(), true)
	url, log = start(t, fast, append([]string{"-bedrock", "aws"}, args...)...)
	return url, log, fake
}

// end asks a question over a WebSocket and returns the text and the last frame.
func end(c *client, ask string) (string, frame) {
	c.t.Helper()
	c.send(ask)
	text, frames := c.answer()
	return text, frames[len(frames)-1]
}

func TestCache(t *testing.T) {
	defer http.DefaultClient.CloseIdleConnections()
	url, log, fake := startInAWS(t, nil)
	c := dial(t, url)
	ask := chat("haiku", "Who wrote Monster?")
	text, last := end(c, ask)
	require.Equal(t, "complete", last.Type, "%+v", last)
	assert.False(t, last.Cached)
	asked := len(fake.Requests())
	assert.Positive(t, asked)

	again, last := end(c, ask)
	assert.Equal(t, text, again)
	assert.True(t, last.Cached)
	assert.Equal(t, "0", last.CostUSD, "what was paid for is not paid for again")
	assert.Len(t, fake.Requests(), asked)
	assert.Contains(t, line(t, log, "cached=true"), "msg=answered")

	_, last = end(c, strings.Replace(ask, "{", `{"fresh":true,`, 1))
	assert.False(t, last.Cached, "the client wants another answer")
	assert.Greater(t, len(fake.Requests()), asked)

	_, last = end(c, chat("sonnet", "Who wrote Monster?"))
	assert.False(t, last.Cached, "another model has another answer")
	_, last = end(c, chat("haiku", "Who wrote Monster?", text, "Who wrote Monster?"))
	assert.False(t, last.Cached, "another conversation has another answer")

	// The REST API has a temperature and a bound of its own, and so another answer.
	body := `{"query":"Who wrote Monster?"}`
	_, v := post(t, url, body)
	assert.Nil(t, v["cached"])
	_, v = post(t, url, body)
	assert.Equal(t, true, v["cached"])
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+"/v1/manga/query", strings.NewReader(body))
	require.NoError(t, err)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Cache-Control", "no-cache")
	asked = len(fake.Requests())
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	_, err = io.Copy(io.Discard, resp.Body)
	require.NoError(t, err)
	resp.Body.Close()
	assert.Greater(t, len(fake.Requests()), asked)

	url, _, fake = startInAWS(t, nil, "-cache", "off")
	c = dial(t, url)
	end(c, ask)
	asked = len(fake.Requests())
	_, last = end(c, ask)
	assert.False(t, last.Cached)
	assert.Len(t, fake.Requests(), 2*asked)
}

// A job asks the model each time: what is tried again must not get the answer that was
// no use.
func TestJobsPassTheCache(t *testing.T) {
	defer http.DefaultClient.CloseIdleConnections()
	url, _, fake := startInAWS(t, nil)
	for n := range 2 {
		resp, err := http.Post(url+"/v1/manga/batch", "application/json", strings.NewReader(`{"items":[{"manga_id":"MNG-ONEPIECE","analysis_type":"genre_classification"}]}`))
		require.NoError(t, err)
		resp.Body.Close()
		require.Equal(t, 202, resp.StatusCode)
		require.Eventually(t, func() bool { return len(fake.Requests()) > n }, 30*time.Second, 5*time.Millisecond, "job %d", n+1)
	}
}

// Servers with one Redis have one cache, and one that has lost its Redis answers all
// the same.
func TestCacheInRedis(t *testing.T) {
	addr, kill := servertest.Redis(t)
	first, _, fake := startInAWS(t, nil, "-cache", "redis://"+addr)
	ask := chat("haiku", "Who wrote Monster?")
	_, last := end(dial(t, first), ask)
	require.Equal(t, "complete", last.Type)
	assert.False(t, last.Cached)
	asked := len(fake.Requests())

	second, log := start(t, fast, "-bedrock", "aws", "-cache", "redis://"+addr)
	c := dial(t, second)
	_, last = end(c, ask)
	assert.True(t, last.Cached)
	assert.Len(t, fake.Requests(), asked)

	kill()
	_, last = end(c, chat("haiku", "Who wrote Berserk?"))
	assert.Equal(t, "complete", last.Type, "%+v", last)
	assert.Contains(t, line(t, log, "the cache fails"), "level=WARN")
}

// throttled refuses a model, each time.
func throttled(model string) bedrocktest.Responder {
	return func(_ context.Context, req *bedrocktest.Request) *bedrocktest.Reply {
		if string(req.Model) == model {
			return bedrocktest.Exception("ThrottlingException")
		}
		return nil
	}
}

func TestFallback(t *testing.T) {
	defer http.DefaultClient.CloseIdleConnections()
	url, _, _ := startInAWS(t, throttled(haiku))
	c := dial(t, url)
	text, last := end(c, chat("haiku", "Who wrote Monster?"))
	require.Equal(t, "complete", last.Type, "%+v", last)
	assert.Contains(t, text, "Naoki Urasawa")
	assert.Equal(t, sonnet, last.Model, "who has answered")
	status, v := post(t, url, `{"query":"Who wrote Monster?","model":"haiku"}`)
	require.Equal(t, 200, status, "%v", v)
	assert.Equal(t, "haiku", v["model"])
	assert.Equal(t, sonnet, v["model_id"])

	url, _, _ = startInAWS(t, throttled(haiku), "-fallback", "off")
	_, last = end(dial(t, url), chat("haiku", "Who wrote Monster?"))
	assert.Equal(t, "busy", last.Code)

	// The same model in another region.
	var mu sync.Mutex
	regions := map[string]int{}
	url, _, _ = startInAWS(t, func(ctx context.Context, req *bedrocktest.Request) *bedrocktest.Reply {
		mu.Lock()
		defer mu.Unlock()
		for _, region := range []string{"us-east-1", "eu-west-1"} {
			if strings.Contains(req.Header.Get("Authorization"), "/"+region+"/bedrock/") {
				regions[region]++
				if region == "us-east-1" {
					return bedrocktest.Exception("ServiceUnavailableException")
				}
			}
		}
		return nil
	}, "-fallback", "eu.anthropic.claude-haiku-4-5-20251001-v1:0@eu-west-1")
	_, last = end(dial(t, url), chat("haiku", "Who wrote Monster?"))
	require.Equal(t, "complete", last.Type, "%+v", last)
	assert.Equal(t, "eu.anthropic.claude-haiku-4-5-20251001-v1:0", last.Model)
	assert.Positive(t, regions["us-east-1"])
	assert.Positive(t, regions["eu-west-1"])
}

// An answer that has begun is not begun again by another model.
func TestNoFallbackInTheMiddle(t *testing.T) {
	url, _, fake := startInAWS(t, func(ctx context.Context, req *bedrocktest.Request) *bedrocktest.Reply {
		if len(req.ToolResults()) == 0 {
			return nil // it looks something up first
		}
		return bedrocktest.Text(strings.Repeat("Monster is by Naoki Urasawa. ", 20)).AbortAfter(2000)
	})
	text, last := end(dial(t, url), chat("haiku", "Who wrote Monster?"))
	assert.Equal(t, "interrupted", last.Code, "%+v", last)
	assert.Contains(t, text, "Monster is by")
	for _, req := range fake.Requests() {
		assert.EqualValues(t, haiku, req.Model)
	}
}

func TestBudget(t *testing.T) {
	defer http.DefaultClient.CloseIdleConnections()
	url, log, fake := startInAWS(t, nil, "-budget-usd", "0.0001")
	_, last := end(dial(t, url), chat("haiku", "Who wrote Monster?"))
	assert.Equal(t, "quota", last.Code)
	assert.Contains(t, last.Message, "limit for today")
	assert.Contains(t, line(t, log, "level=WARN"), "error.kind=budget")
	status, v := post(t, url, `{"query":"Who wrote Monster?"}`)
	assert.Equal(t, 429, status)
	assert.Contains(t, v["error"], "limit for today")
	assert.Empty(t, fake.Requests(), "it is refused before it costs anything")

	url, _, _ = startInAWS(t, nil, "-budget-usd", "0.50")
	_, last = end(dial(t, url), chat("haiku", "Who wrote Monster?"))
	assert.Equal(t, "complete", last.Type, "%+v", last)
}

func TestQuota(t *testing.T) {
	addr, _ := servertest.Redis(t)
	// Each answer takes two requests: the look-up and the text.
	args := []string{"-quota", "5000000,3", "-quota-store", "redis://" + addr, "-fallback", "off", "-cache", "off"}
	url, _, fake := startInAWS(t, nil, args...)
	_, last := end(dial(t, url), chat("haiku", "Who wrote Monster?"))
	require.Equal(t, "complete", last.Type, "%+v", last)
	require.Len(t, fake.Requests(), 2)

	second, log := start(t, fast, append(args, "-bedrock", "aws")...)
	_, last = end(dial(t, second), chat("haiku", "Who wrote Monster?"))
	assert.Equal(t, "busy", last.Code, "%+v", last)
	assert.Contains(t, line(t, log, "level=WARN"), "error.kind=limited")
	assert.LessOrEqual(t, len(fake.Requests()), 3, "the servers share the quota")

	_, last = end(dial(t, second), chat("sonnet", "Who wrote Monster?"))
	assert.Equal(t, "complete", last.Type, "each model has its own: %+v", last)
}

func TestGuardrail(t *testing.T) {
	defer http.DefaultClient.CloseIdleConnections()
	for _, name := range []string{"gr12abc34def:1", "arn:aws:bedrock:us-east-1:123456789012:guardrail/gr12abc34def:2"} {
		url, _ := start(t, fast, "-guardrail", name)
		c := dial(t, url)
		text, last := end(c, chat("haiku", "Where do I get pirated copies of Monster?"))
		assert.Equal(t, string(bedrockkit.StopGuardrailIntervened), last.StopReason, "%+v", last)
		assert.Contains(t, text, "does not talk about pirated copies")
		text, last = end(c, chat("haiku", "Who wrote Monster?"))
		assert.Equal(t, "end_turn", last.StopReason)
		assert.Contains(t, text, "Urasawa")
		_, v := post(t, url, `{"query":"海賊版はどこで読めますか？"}`)
		assert.Equal(t, string(bedrockkit.StopGuardrailIntervened), v["stop_reason"])
	}
}

// Settings that cannot be are refused at the start, with what is right. A password is
// not repeated.
func TestBadPolicies(t *testing.T) {
	for want, args := range map[string][]string{
		"-cache is memory, off or the URL of a Redis":                {"-cache", "disk"},
		"it must be such as redis://host:6379/0":                     {"-cache", "redis://:hunter2@host:6379/0?colour=red"},
		"-quota-store is memory or the URL of a Redis":               {"-quota", "1,1", "-quota-store", "https://host"},
		"-quota is \"many\"; it is the tokens and the requests":      {"-quota", "many"},
		"-quota is \"100,0\"":                                        {"-quota", "100,0"},
		"-budget-usd is \"lots\"; it is an amount of dollars":        {"-budget-usd", "lots"},
		"-budget-usd is \"-1\"":                                      {"-budget-usd", "-1"},
		"-budget-usd needs the price of -sonnet, which is not known": {"-budget-usd", "1", "-sonnet", "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc123def456"},
		"-fallback is off, other, or models":                         {"-fallback", "a b"},
		"-guardrail is \"abc\"; it is an id or an ARN":               {"-guardrail", "abc"},
	} {
		s, err := parse(args, io.Discard)
		require.NoError(t, err)
		_, err = app.Build(t.Context(), s, slog.New(slog.DiscardHandler))
		if assert.ErrorContains(t, err, want) {
			assert.NotContains(t, err.Error(), "hunter2")
		}
	}
}
