package deploy_test

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit"
	"github.com/mangaassist/bedrockkit/pricing"
)

// million is the workload of the guide: a million messages a day, four of five for the
// small model, 500 tokens in and 300 out.
func million(small, large bedrockkit.ModelID, hits, batch float64) pricing.Workload {
	return pricing.Workload{
		MessagesPerDay: 1_000_000, Days: 30, InputTokens: 500, OutputTokens: 300, CacheHitRate: hits, BatchShare: batch, Region: "us-east-1",
		Routes: []pricing.Route{{Model: small, Share: 0.8}, {Model: large, Share: 0.2}},
	}
}

// docs/deploy.md says what the models cost in a month, as the table of prices has it.
func TestCostOfModels(t *testing.T) {
	const (
		haiku, sonnet       = "us.anthropic.claude-haiku-4-5-20251001-v1:0", "us.anthropic.claude-sonnet-4-6"
		globalH, globalS    = "global.anthropic.claude-haiku-4-5-20251001-v1:0", "global.anthropic.claude-sonnet-4-6"
		oldHaiku, oldSonnet = "anthropic.claude-3-haiku-20240307-v1:0", "anthropic.claude-3-sonnet-20240229-v1:0"
	)
	want := map[string]string{}
	for name, w := range map[string]pricing.Workload{
		"the models of the first design (ended)":        million(oldHaiku, oldSonnet, 0, 0),
		"profiles of one geography":                     million(haiku, sonnet, 0, 0),
		"global profiles":                               million(globalH, globalS, 0, 0),
		"one geography, 15 % from the cache of answers": million(haiku, sonnet, 0.15, 0),
		"and 10 % of the rest by batch inference":       million(haiku, sonnet, 0.15, 0.1),
	} {
		f, err := pricing.Default().Forecast(w)
		require.NoError(t, err, name)
		want[name] = fmt.Sprintf("| $%s | $%s |", dollars(f.Day), dollars(f.Cost))
	}
	guide, err := os.ReadFile("../../../docs/deploy.md")
	require.NoError(t, err)
	for name, figures := range want {
		assert.Contains(t, string(guide), "| "+name+" "+figures, name)
	}
}

// dollars is an amount in whole dollars, as the guide has it.
func dollars(a pricing.Amount) string {
	text, _, _ := strings.Cut(a.String(), ".")
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

var amount = regexp.MustCompile(`\$([0-9,]+)`)

// The other services cost what their units do.
func TestCostOfServices(t *testing.T) {
	guide, err := os.ReadFile("../../../docs/deploy.md")
	require.NoError(t, err)
	const messages = 30 * 1_000_000
	for row, want := range map[string]float64{
		"WebSocket API, 60 frames an answer":       messages * 60 / 1e6 * 1.00,
		"REST API, if all came through it":         messages / 1e6 * 3.50,
		"HTTP API, if all came through it":         messages / 1e6 * 1.00,
		"DynamoDB, 4 writes and 2 reads a message": messages * (4*0.625 + 2*0.125) / 1e6,
		"ServerlessCache, 1 GB":                    0.084 * 24 * 30,
	} {
		line := regexp.MustCompile(`(?m)^\| ` + regexp.QuoteMeta(row) + ` \|.*$`).FindString(string(guide))
		require.NotEmpty(t, line, row)
		figures := amount.FindAllString(line, -1)
		require.NotEmpty(t, figures, line)
		assert.Equal(t, fmt.Sprintf("$%s", thousands(want)), figures[len(figures)-1], row)
	}
}

func thousands(v float64) string {
	text := fmt.Sprintf("%.0f", v)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}
