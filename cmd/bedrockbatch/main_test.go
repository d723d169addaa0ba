package main

import (
	"fmt"
	"io"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit/bedrocktest"
	"github.com/mangaassist/bedrockkit/bedrocktest/fakes3"
)

const model = "us.anthropic.claude-haiku-4-5-20251001-v1:0"

// records writes a file of n records.
func records(t *testing.T, n int, format string) string {
	t.Helper()
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `{"recordId":"r%d","modelInput":`+format+"}\n", i, i)
	}
	name := filepath.Join(t.TempDir(), "records.jsonl")
	require.NoError(t, os.WriteFile(name, []byte(strings.TrimSuffix(b.String(), "\n")), 0o600))
	return name
}

const (
	body         = `{"anthropic_version":"bedrock-2023-05-31","max_tokens":50,"messages":[{"role":"user","content":"Volume %d?"}]}`
	converseBody = `{"messages":[{"role":"user","content":[{"text":"Volume %d?"}]}],"inferenceConfig":{"maxTokens":50}}`
)

func command(t *testing.T, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	var out, errs strings.Builder
	status = run(t.Context(), args, strings.NewReader(""), &out, &errs)
	return status, out.String(), errs.String()
}

func TestSubmitWaitResults(t *testing.T) {
	store, err := fakes3.Memory("manga")
	require.NoError(t, err)
	srv := bedrocktest.NewServer(t, func(o *bedrocktest.Options) { o.Responder, o.Batch.Store = bedrocktest.Echo, store })
	bucket := httptest.NewServer(store)
	defer bucket.Close()
	there := []string{"-endpoint", srv.URL(), "-s3-endpoint", bucket.URL}
	for typ, format := range map[string]string{"InvokeModel": body, "Converse": converseBody} {
		status, out, errs := command(t, append(append([]string{"submit"}, there...), "-type", typ, "-model", model, "-name", "set-"+typ,
			"-role", "arn:aws:iam::123456789012:role/batch", "-s3", "s3://manga/jobs", records(t, 60, format), records(t, 0, ""), records(t, 0, ""))...)
		require.Equal(t, 1, status)
		assert.Contains(t, errs, "60 records: too few")
		assert.Empty(t, out)

		args := append(append([]string{"submit"}, there...), "-type", typ, "-model", model, "-name", "set-"+typ,
			"-role", "arn:aws:iam::123456789012:role/batch", "-s3", "s3://manga/jobs", records(t, 100, format))
		for range 2 { // the second one goes on with it
			status, out, errs = command(t, args...)
			require.Equal(t, 0, status, errs)
			assert.Equal(t, "s3://manga/jobs/set-"+typ+"\n", out)
		}
		set := strings.TrimSpace(out)
		status, _, errs = command(t, append(append([]string{"wait"}, there...), set)...)
		require.Equal(t, 0, status, errs)
		assert.Contains(t, errs, "100/100 records")
		status, out, errs = command(t, append(append([]string{"results"}, there...), set)...)
		require.Equal(t, 0, status, errs)
		assert.Equal(t, 100, strings.Count(out, "You said: Volume "))
		assert.Contains(t, errs, "100 of 100 records have a result; they cost $")
		status, _, errs = command(t, append(append([]string{"stop"}, there...), set)...)
		require.Equal(t, 0, status, errs)
	}
}

func TestEstimate(t *testing.T) {
	status, out, errs := command(t, "estimate", "-model", model, records(t, 1000, body))
	require.Equal(t, 0, status, errs)
	assert.Contains(t, out, "records            1000\njobs               1\n")
	assert.Regexp(t, `in a job +\$[0-9.]+, at most \$[0-9.]+\nlive +\$[0-9.]+, at most \$[0-9.]+\n`, out)

	status, out, errs = command(t, "estimate", "-model", model, records(t, 3, `{"messages":[{"role":"user","content":"%d"}]}`))
	assert.Equal(t, 1, status)
	assert.Contains(t, out, `record 1 ("r0") is refused: `)
	assert.Contains(t, errs, "3 records would be refused")

	// Standard input and a file are one, also if a last line has no end.
	var stdout strings.Builder
	line := `{"recordId":"first","modelInput":` + fmt.Sprintf(body, 1) + "}"
	require.Zero(t, run(t.Context(), []string{"estimate", "-model", model, "-", records(t, 3, body)}, strings.NewReader(line), &stdout, io.Discard))
	assert.Contains(t, stdout.String(), "records            4\n")

	status, out, _ = command(t, "estimate", "-model", "openai.gpt-oss-120b-1:0", records(t, 3, `{"messages":[],"max_completion_tokens":%d}`))
	assert.Equal(t, 1, status)
	assert.Contains(t, out, `record 1 ("r0") is refused: `)

	status, _, errs = command(t, "estimate", "-model", "us.anthropic.claude-opus-5-5", records(t, 3, body))
	assert.Equal(t, 1, status)
	assert.Contains(t, errs, "has no batch inference; these have: anthropic.")
}

func TestWrongArguments(t *testing.T) {
	for want, args := range map[string][]string{
		"a command is missing":    {},
		"no command":              {"cancel"},
		"a file is missing":       {"submit", "-aws"},
		"give one set":            {"wait", "-aws"},
		"give -aws":               {"wait", "s3://a/b"},
		"-endpoint needs":         {"wait", "-endpoint", "http://127.0.0.1:1", "s3://a/b"},
		"-type is":                {"estimate", "-type", "Stream", "x"},
		"-max-cost":               {"submit", "-aws", "-max-cost", "much", "x"},
		"flag provided but not":   {"results", "-x"},
		"not defined: -s3":        {"estimate", "-s3", "x", "y"},
		"bedrockbatch COMMAND -h": {"help"},
	} {
		status, _, errs := command(t, args...)
		if want != "bedrockbatch COMMAND -h" {
			assert.Equal(t, 2, status, want)
		}
		assert.Contains(t, errs, want)
	}
}
