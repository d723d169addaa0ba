package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit/examples/chatserver/app"
	"github.com/mangaassist/bedrockkit/examples/chatserver/catalog"
	"github.com/mangaassist/bedrockkit/examples/chatserver/metrics"
)

// The command enriches the catalogue offline and says what batch saved; the server
// takes the result.
func TestNightly(t *testing.T) {
	file := filepath.Join(t.TempDir(), "enrichment.json")
	var out, bar bytes.Buffer
	require.NoError(t, runNightly(t.Context(), []string{"-enrichment", file, "-day", "2026-11-30"}, &out, &bar))
	assert.Regexp(t, `^(\d+) of \d+ manga are enriched, in `, out.String())
	assert.Regexp(t, `(?m)^set +records +done +failed +useless +cost +live +saved$`, out.String())
	assert.Regexp(t, `(?m)^enrich +\d+ +\d+ +0 +0 +\$0\.\d+ +\$0\.\d+ +\$0\.\d+$`, out.String())
	assert.Contains(t, bar.String(), "done")

	url, log := start(t, fast, "-enrichment", file)
	defer http.DefaultClient.CloseIdleConnections()
	assert.Contains(t, log.String(), `msg="the catalogue is enriched" day=2026-11-30`)

	// The operations page has what the batch cost, and what it saved beside live calls.
	var written struct{ Batch catalog.BatchCost }
	data, err := os.ReadFile(file)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(data, &written))
	response, err := http.Get(url + "/v1/ops")
	require.NoError(t, err)
	defer response.Body.Close()
	var report metrics.Report
	require.NoError(t, json.NewDecoder(response.Body).Decode(&report))
	require.NotNil(t, report.Night)
	assert.Equal(t, "2026-11-30", report.Night.Day)
	assert.Equal(t, written.Batch.Cost, *report.Night.Cost)
	assert.Equal(t, written.Batch.Live.Sub(written.Batch.Cost), *report.Night.Saved)
}

// A path that is wrong is seen when the server starts.
func TestNightlyNotThere(t *testing.T) {
	s := app.FromEnv(func(string) string { return "" })
	s.Enrichment = filepath.Join(t.TempDir(), "enrichment.json")
	srv, err := app.Build(t.Context(), s, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	defer srv.Close()
	assert.Contains(t, fmt.Sprint(srv.Summary()), "enrichment.json, not there yet, looked at each minute")
}

func TestNightlyFlags(t *testing.T) {
	for want, args := range map[string][]string{
		`-day is "today"; it is such as 2026-11-30`:                           {"-day", "today"},
		`-max-usd is "-1"; it is an amount such as 5.00`:                      {"-max-usd", "-1"},
		"with -bedrock aws, -batch-bucket and -batch-role are needed":         {"-bedrock", "aws"},
		`-enrichment: the enrichment is "s3:x"; it is a file, or s3:BUCKET/K`: {"-enrichment", "s3:x"},
		"the set can cost more than its bound":                                {"-max-usd", "0.0001"},
	} {
		t.Setenv("AWS_REGION", "us-east-1")
		err := runNightly(t.Context(), args, io.Discard, io.Discard)
		assert.ErrorContains(t, err, want)
	}
}
