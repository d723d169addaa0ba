package main

import (
	"bufio"
	"bytes"
	"context"
	"flag"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// start runs the program and returns its URL, and what ends it.
func start(t *testing.T, args ...string) (url string, stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	r, w := io.Pipe()
	done := make(chan error, 1)
	go func() {
		err := run(ctx, append([]string{"-addr", "127.0.0.1:0"}, args...), w, io.Discard)
		w.Close()
		done <- err
	}()
	url, err := bufio.NewReader(r).ReadString('\n')
	require.NoError(t, err)
	return strings.TrimSpace(url), func() error { cancel(); return <-done }
}

func post(t *testing.T, url, text string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), "POST", url+"/model/amazon.nova-lite-v1:0/converse",
		strings.NewReader(`{"messages":[{"role":"user","content":[{"text":"`+text+`"}]}]}`))
	require.NoError(t, err)
	req.Header.Set("Authorization", "Bearer x")
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, string(b)
}

func TestRun(t *testing.T) {
	script := filepath.Join(t.TempDir(), "script.json")
	require.NoError(t, os.WriteFile(script, []byte(`[{"text": "From the script"}]`), 0o600))
	url, stop := start(t, "-script", script, "-tps", "1000", "-fault", "nth=2,error=ThrottlingException")
	assert.Regexp(t, `^http://127\.0\.0\.1:\d+$`, url)
	status, body := post(t, url, "Hi")
	assert.Equal(t, 200, status)
	assert.Contains(t, body, "From the script")
	status, _ = post(t, url, "Hi")
	assert.Equal(t, 429, status)
	_, body = post(t, url, "Hi")
	assert.Contains(t, body, "You said: Hi")
	require.NoError(t, stop())
}

// The API key of the environment is asked for, and shown to nobody.
func TestAPIKey(t *testing.T) {
	t.Setenv("BEDROCKFAKE_API_KEY", "k-e-y")
	var stderr bytes.Buffer
	require.ErrorIs(t, run(t.Context(), []string{"-h"}, io.Discard, &stderr), flag.ErrHelp)
	assert.Contains(t, stderr.String(), "$BEDROCKFAKE_API_KEY")
	assert.NotContains(t, stderr.String(), "k-e-y")

	url, stop := start(t)
	status, _ := post(t, url, "Hi") // with the key x
	assert.Equal(t, 403, status)
	require.NoError(t, stop())
}

// Ended models and models of one's own answer if they are let.
func TestModels(t *testing.T) {
	ask := func(url, model string) int {
		req, err := http.NewRequestWithContext(t.Context(), "POST", url+"/model/"+model+"/converse",
			strings.NewReader(`{"messages":[{"role":"user","content":[{"text":"Hi"}]}],"inferenceConfig":{"maxTokens":1000000}}`))
		require.NoError(t, err)
		req.Header.Set("Authorization", "Bearer x")
		resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
		require.NoError(t, err)
		resp.Body.Close()
		return resp.StatusCode
	}
	const ended = "anthropic.claude-3-haiku-20240307-v1:0"
	url, stop := start(t)
	assert.Equal(t, 404, ask(url, ended))
	assert.Equal(t, 400, ask(url, "example.own-v1:0"))
	require.NoError(t, stop())
	url, stop = start(t, "-allow-ended", "-ignore", "max_tokens", "-model", "example.own-v1:0")
	assert.Equal(t, 200, ask(url, ended))
	assert.Equal(t, 200, ask(url, "example.own-v1:0"))
	require.NoError(t, stop())
}

// A program whose URL nobody can read ends.
func TestNoOutput(t *testing.T) {
	r, w := io.Pipe()
	r.Close()
	require.ErrorIs(t, run(t.Context(), []string{"-addr", "127.0.0.1:0"}, w, io.Discard), io.ErrClosedPipe)
}

func TestBadArguments(t *testing.T) {
	broken := filepath.Join(t.TempDir(), "broken.json")
	require.NoError(t, os.WriteFile(broken, []byte(`{`), 0o600))
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"-addr", "0.0.0.0:0"}, "not on the loopback interface"},
		{[]string{"-tps", "-1"}, "a pace of -1"},
		{[]string{"-fault", "nonsense"}, "no such setting"},
		{[]string{"-script", "does-not-exist.json"}, "does-not-exist.json"},
		{[]string{"-script", broken}, "broken.json: reading a script"},
		{[]string{"-ignore", "all"}, `there is no rule "all"`},
		{[]string{"extra"}, `unexpected argument "extra"`},
	} {
		var stderr bytes.Buffer
		err := run(t.Context(), tt.args, io.Discard, &stderr)
		require.Error(t, err)
		assert.Contains(t, err.Error(), tt.want)
	}
}
