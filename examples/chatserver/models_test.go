package main

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/pricing"
)

// The models that answer by default are alive, their profiles exist, and their
// prices are known.
func TestDefaultModelsAreAlive(t *testing.T) {
	s, err := parse(nil, io.Discard)
	require.NoError(t, err)
	for _, model := range []string{s.Haiku, s.Sonnet} {
		id := bedrockkit.ModelID(model)
		known, ok := bedrockkit.Capabilities(id)
		require.True(t, ok, model)
		assert.Equal(t, "active", known.Lifecycle.State, model)
		assert.Equal(t, bedrockkit.Yes, known.Supports(bedrockkit.FeatureTools), model)
		prefix, _, _ := strings.Cut(model, ".")
		_, ok = known.Profile(prefix)
		assert.True(t, ok, model)
		_, err := pricing.Default().Cost(id, bedrockkit.Usage{InputTokens: 1, OutputTokens: 1}, func(o *pricing.CostOptions) { o.Region = "us-east-1" })
		assert.NoError(t, err, model)
	}
}

type infoModel struct {
	Name, ID string
	Input    *string `json:"input_per_million_usd"`
	Output   *string `json:"output_per_million_usd"`
	Routing  bool
}

func models(t *testing.T, url string) map[string]infoModel {
	t.Helper()
	resp, err := http.Get(url + "/v1/info")
	require.NoError(t, err)
	defer resp.Body.Close()
	var info struct{ Models []infoModel }
	require.NoError(t, json.NewDecoder(resp.Body).Decode(&info))
	all := map[string]infoModel{}
	for _, m := range info.Models {
		all[m.Name] = m
	}
	return all
}

func TestInfoHasPrices(t *testing.T) {
	defer http.DefaultClient.CloseIdleConnections()
	url, _ := start(t, fast)
	all := models(t, url)
	require.Len(t, all, 3)
	assert.True(t, all["auto"].Routing)
	assert.Nil(t, all["auto"].Input, "what is not known has no price")
	assert.Empty(t, all["auto"].ID)
	for _, name := range []string{"haiku", "sonnet"} {
		m := all[name]
		assert.False(t, m.Routing)
		for _, price := range []*string{m.Input, m.Output} {
			require.NotNil(t, price, name)
			_, err := pricing.ParseAmount(*price)
			assert.NoError(t, err, "a decimal")
		}
	}
	// The profile's own price, published on the day of the table.
	assert.Equal(t, "1.1", *all["haiku"].Input)
	assert.Equal(t, "5.5", *all["haiku"].Output)

	url, _ = start(t, fast, "-sonnet", "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc123def456")
	sonnet := models(t, url)["sonnet"]
	assert.NotEmpty(t, sonnet.ID)
	assert.Nil(t, sonnet.Input, "a profile that does not tell its model has no known price")
}

// The model auto is chosen by the question; each answer says why.
func TestAuto(t *testing.T) {
	defer http.DefaultClient.CloseIdleConnections()
	url, log := start(t, fast)
	c := dial(t, url)
	for question, want := range map[string]struct{ model, reason string }{
		"Where is my order ORD-MANGA001?":       {"us.anthropic.claude-haiku-4-5-20251001-v1:0", "Haiku answers, because the question is about an order or the stock."},
		"Compare Monster and 20th Century Boys": {"us.anthropic.claude-sonnet-4-6", "Sonnet answers, because the question asks for a comparison or an explanation."},
		"ワンピースとナルトを比較してください":                    {"us.anthropic.claude-sonnet-4-6", "比較や説明を求める質問なので、Sonnet が答えます。"},
	} {
		log.reset()
		c.send(chat("auto", question))
		_, frames := c.answer()
		first, last := frames[0], frames[len(frames)-1]
		require.Equal(t, "complete", last.Type, "%+v", last)
		for _, f := range []frame{first, last} {
			assert.Equal(t, want.model, f.Model)
			assert.Equal(t, want.reason, f.Reason)
		}
		assert.Contains(t, line(t, log, "msg=answered"), "rule=")

		body, err := json.Marshal(map[string]any{"query": question, "model": "auto"})
		require.NoError(t, err)
		status, v := post(t, url, string(body))
		require.Equal(t, 200, status, "%v", v)
		assert.Equal(t, want.model, v["model_id"])
		assert.Contains(t, []any{"haiku", "sonnet"}, v["model"], "the name of the model that was chosen")
		assert.Equal(t, want.reason, v["routing_reason"])
		assert.Contains(t, line(t, log, "msg=routed"), "rule=")
		assert.NotContains(t, log.String(), question)

		resp, err := http.DefaultClient.Do(eventsRequest(t, url, string(body)))
		require.NoError(t, err)
		events, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		resp.Body.Close()
		assert.True(t, strings.HasPrefix(string(events), "event: start\ndata: {"), "%.200s", events)
		assert.Contains(t, string(events), want.reason)
	}
	c.send(chat("haiku", "Compare Monster and 20th Century Boys"))
	_, frames := c.answer()
	assert.Empty(t, frames[0].Reason, "who chose a model is told no reason")
}
