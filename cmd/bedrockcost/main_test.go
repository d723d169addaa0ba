package main

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit/pricing"
)

var update = flag.Bool("update", false, "write the golden files")

func bedrockcost(stdin string, args ...string) (status int, stdout, stderr string) {
	var out, errs bytes.Buffer
	status = run(args, strings.NewReader(stdin), &out, &errs)
	return status, out.String(), errs.String()
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		require.NoError(t, os.WriteFile(file, []byte(got), 0o644))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.Equal(t, string(want), got, name)
}

func TestExampleWorkload(t *testing.T) {
	status, out, errs := bedrockcost("")
	require.Zero(t, status, errs)
	assert.True(t, strings.HasPrefix(out, "$1,600 a day, $48,000 a month; $7,200 saved by caching\n"), out)
	golden(t, "example.txt", out)
}

func TestForecastJSONAndChart(t *testing.T) {
	svg := filepath.Join(t.TempDir(), "cost.svg")
	const workload = `{"messages_per_day": 1000, "days": 7, "input_tokens": 10000, "output_tokens": 200.5, "batch_share": 0.25, "cache_hit_rate": 0.1,
		"prompt_cache_read": 0.7, "prompt_cache_write": 0.1, "routes": [
		{"model": "eu.amazon.nova-lite-v1:0", "share": 0.5}, {"model": "eu.amazon.nova-pro-v1:0", "share": 0.5}], "region": "eu-central-1"}`
	status, out, errs := bedrockcost(workload, "-workload", "-", "-json", "-svg", svg)
	require.Zero(t, status, errs)
	var f pricing.Forecast
	require.NoError(t, json.Unmarshal([]byte(out), &f))
	s := f.Savings
	assert.Equal(t, f.List, f.Cost.Add(s.ResponseCache).Add(s.PromptCache).Add(s.Batch))

	chart, err := os.ReadFile(svg)
	require.NoError(t, err)
	golden(t, "cost.svg", string(chart))
	dec := xml.NewDecoder(bytes.NewReader(chart))
	for {
		if _, err := dec.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			require.NoError(t, err)
		}
	}
	for _, want := range []string{"eu.amazon.nova-lite-v1:0", "eu.amazon.nova-pro-v1:0", "saved by batches", f.Cost.Display(3)} {
		assert.Contains(t, string(chart), want)
	}

	file := filepath.Join(t.TempDir(), "workload.json")
	require.NoError(t, os.WriteFile(file, []byte(workload), 0o644))
	status, out, errs = bedrockcost("", "-workload", file)
	require.Zero(t, status, errs)
	assert.Contains(t, out, "saved by batches")
	assert.Contains(t, out, " in 7 days")
}

func TestPrice(t *testing.T) {
	const sonnet = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
	used := []string{"-model", sonnet, "-in", "3", "-out", "12", "-cache-read", "13216", "-cache-write-5m", "25"}
	status, out, errs := bedrockcost("", used...)
	require.Zero(t, status, errs)
	assert.True(t, strings.HasPrefix(out, "$0.004672305\n"), out)

	status, out, errs = bedrockcost("", append(used, "-json", "-compare", "global.anthropic.claude-haiku-4-5, acme.one")...)
	require.Zero(t, status, errs)
	assert.JSONEq(t, `{
		"model": "anthropic.claude-sonnet-4-5", "scope": "geographic", "tier": "default", "region": "us-east-1", "total": "0.004672305",
		"lines": [
			{"dimension": "input", "units": 3, "usd_per_million": "3.3", "amount": "0.0000099", "sources": ["price-list"]},
			{"dimension": "output", "units": 12, "usd_per_million": "16.5", "amount": "0.000198", "sources": ["price-list"]},
			{"dimension": "cache_read", "units": 13216, "usd_per_million": "0.33", "amount": "0.00436128", "sources": ["price-list"]},
			{"dimension": "cache_write_5m", "units": 25, "usd_per_million": "4.125", "amount": "0.000103125", "sources": ["price-list"]}],
		"compared": [
			{"model": "global.anthropic.claude-haiku-4-5", "cost": "0.00141585"},
			{"model": "acme.one", "cost": "0", "error": "pricing \"acme.one\": unknown model: \"acme.one\" is not in the price table; unpriced: 3 input, 12 output, 13216 cache_read, 25 cache_write_5m; priced so far: $0"}]}`, out)

	for _, tt := range []struct {
		want string
		args []string
	}{
		{"$6.6", []string{"-cache-write-1h", "1000000"}},
		{"$3.6", []string{"-in", "1000000", "-region", "us-gov-west-1", "-model", "us-gov.anthropic.claude-sonnet-4-5-20250929-v1:0"}},
		{"$3.3", []string{"-in", "1000000", "-date", "2026-01-31", "-tier", "standard"}},
		{"the same usage with", []string{"-in", "1", "-compare", "amazon.nova-lite-v1:0"}},
	} {
		status, out, errs := bedrockcost("", append([]string{"-model", sonnet}, tt.args...)...)
		require.Zero(t, status, errs)
		assert.Contains(t, out, tt.want)
	}
	status, out, errs = bedrockcost("", "-model", "openai.gpt-5.6-luna", "-cache-write-30m", "100000", "-date", "2026-11-29")
	require.Zero(t, status, errs)
	assert.True(t, strings.HasPrefix(out, "$0.0275\nopenai.gpt-5.6-luna, scope region, tier default, in us-east-1, on 2026-11-29\n"), out)
}

// One usage in all regions: the region, the day and the tier decide.
func TestRegions(t *testing.T) {
	ask := []string{"-model", "amazon.nova-2-lite-v1:0", "-in", "1000000", "-out", "1000000", "-regions"}
	status, out, errs := bedrockcost("", ask...)
	require.Zero(t, status, errs)
	golden(t, "regions.txt", out)
	assert.Contains(t, out, "eu-central-1    $4.026\n")
	status, out, errs = bedrockcost("", append(ask, "-tier", "batch", "-json")...)
	require.Zero(t, status, errs)
	assert.Contains(t, out, `"region": "us-east-2",
    "cost": "1.5015"`)

	status, out, errs = bedrockcost("", "-model", "us.anthropic.claude-opus-4-8", "-in", "1000000", "-regions")
	require.Zero(t, status, errs)
	assert.Equal(t, "all regions  $5.5\n", out)
	status, out, errs = bedrockcost("", "-model", "anthropic.claude-3-5-sonnet-20240620-v1:0", "-in", "1000000", "-regions", "-date", "2025-11-30")
	require.Zero(t, status, errs)
	assert.Contains(t, out, "us-east-1     $3\n")
	assert.Contains(t, out, "all others    $3\n")
	status, out, errs = bedrockcost("", "-model", "ca.amazon.nova-lite-v1:0", "-in", "1000000", "-regions")
	require.Zero(t, status, errs)
	assert.Equal(t, "ca-central-1  $0.064\n", out)
}

func TestTable(t *testing.T) {
	file := filepath.Join(t.TempDir(), "prices.json")
	require.NoError(t, os.WriteFile(file, []byte(`{"sources": {"contract": {"title": "our contract", "date": "2026-01-01"}}, "models": [{"id": "acme.one"}],
		"rows": [{"model": "acme.one", "scopes": ["region"], "rates": {"input": "7"}, "sources": ["contract"]}]}`), 0o644))
	status, out, errs := bedrockcost("", "-table", file, "-model", "acme.one", "-in", "1000000")
	require.Zero(t, status, errs)
	assert.Contains(t, out, "$7\n")
}

func TestRefuses(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "empty.json")
	require.NoError(t, os.WriteFile(empty, []byte(`{}`), 0o644))
	const small = `{"messages_per_day": 1, "input_tokens": 1, "routes": [{"model": "amazon.nova-lite-v1:0", "share": 1}]}`
	tests := []struct {
		status int
		stdin  string
		want   string
		args   []string
	}{
		{1, "", "no rate", []string{"-model", "anthropic.claude-haiku-4-5-20251001-v1:0", "-in", "1", "-tier", "flex"}},
		{1, "", "unknown model", []string{"-model", "anthropic.claude-opus-9", "-in", "1"}},
		{1, "", "unknown model", []string{"-model", "claude", "-in", "1"}},
		{1, "", "unknown model", []string{"-model", "amazon.nova-99", "-in", "1", "-regions"}},
		{1, "", "no rate", []string{"-model", "amazon.nova-pro-v1:0", "-cache-write-1h", "1", "-regions"}},
		{1, "", "no rate in sa-east-1; there is one in ap-northeast-1", []string{"-model", "amazon.nova-pro-v1:0", "-in", "1", "-region", "sa-east-1"}},
		{2, "", "-regions has no meaning", []string{"-model", "amazon.nova-pro-v1:0", "-in", "1", "-regions", "-region", "us-east-1"}},
		{2, "", "-regions has no meaning", []string{"-regions"}},
		{1, "", "not valid", []string{"-model", "anthropic.claude-opus-4-8", "-in", "-1"}},
		{1, `{"messages_per_day": 1, "input_tokens": 1, "routes": [{"model": "acme.one", "share": 1}]}`, "unknown model", []string{"-workload", "-"}},
		{1, `{"messages_per_day": 1, "routes": []}`, "invalid workload", []string{"-workload", "-"}},
		{2, `{"messages": 1}`, "unknown field", []string{"-workload", "-"}},
		{2, strings.Repeat(" ", 1<<20+1), "more than", []string{"-workload", "-"}},
		{2, "", "none.json", []string{"-workload", filepath.Join(t.TempDir(), "none.json")}},
		{2, "", "none.json", []string{"-table", filepath.Join(t.TempDir(), "none.json")}},
		{2, "", "is not a day", []string{"-model", "anthropic.claude-opus-4-8", "-date", "tomorrow"}},
		{2, "", "is not a region", []string{"-model", "anthropic.claude-opus-4-8", "-region", "us-east1"}},
		{2, "", "-in has no meaning without -model", []string{"-in", "1"}},
		{2, "", "-svg has no meaning with -model", []string{"-model", "anthropic.claude-opus-4-8", "-svg", "x"}},
		{2, "", "-model is empty", []string{"-model", ""}},
		{2, "", "-workload is empty", []string{"-workload=", "-json"}},
		{2, "", "-table is empty", []string{"-table", ""}},
		{2, "", "-svg is empty", []string{"-svg", ""}},
		{2, "", "none", []string{"-svg", filepath.Join(t.TempDir(), "none", "cost.svg")}},
		{2, small + `{}`, "more after the workload", []string{"-workload", "-"}},
		{2, strings.Replace(small, "{", `{"region": "us-east1", `, 1), "is not a region", []string{"-workload", "-"}},
		{2, "", "is not a flag", []string{"anthropic.claude-opus-4-8"}},
		{2, "", "not defined", []string{"-input", "1"}},
		{2, "", "invalid value", []string{"-model", "x", "-in", "1e6"}},
	}
	for _, tt := range tests {
		status, out, errs := bedrockcost(tt.stdin, tt.args...)
		assert.Equal(t, tt.status, status, "%q: %s", tt.args, errs)
		assert.Contains(t, errs, tt.want)
		assert.Empty(t, out)
	}
	status, _, errs := bedrockcost("", "-help")
	assert.Zero(t, status)
	assert.Contains(t, errs, "-cache-write-1h")
}
