package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit/converse"
	"github.com/mangaassist/bedrockkit/stream"
)

func testChat(t *testing.T) *converse.Client {
	client, closeBedrock, err := connect(t.Context(), "fake", 100, io.Discard)
	require.NoError(t, err)
	t.Cleanup(closeBedrock)
	return converse.New(client, func(o *converse.Options) { o.Model = "us.anthropic.claude-haiku-4-5-20251001-v1:0" })
}

// whole is what the fake answers.
func whole() string {
	var b strings.Builder
	for n := 1; n <= 100; n++ {
		fmt.Fprintf(&b, "%d ", n)
	}
	return b.String()
}

func text(messages []stream.Message) (text string) {
	for _, m := range messages {
		text += m.Data
	}
	return text
}

// parse reads server-sent events.
func parse(t *testing.T, body io.Reader) (messages []stream.Message) {
	for lines := bufio.NewScanner(body); lines.Scan(); {
		if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
			var m stream.Message
			require.NoError(t, json.Unmarshal([]byte(data), &m))
			messages = append(messages, m)
		}
	}
	return messages
}

func TestRun(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	out, stdout := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		ended <- run(ctx, []string{"-addr", "127.0.0.1:0", "-tps", "200"}, stdout, io.Discard)
		stdout.Close()
	}()
	lines := bufio.NewScanner(out)
	require.True(t, lines.Scan())
	base := lines.Text()
	asked := make(chan int, 1)
	go func() {
		n := 0
		for lines.Scan() {
			n++
		}
		asked <- n
	}()
	get := func(path string) *http.Response {
		res, err := http.Get(base + path)
		require.NoError(t, err)
		t.Cleanup(func() { res.Body.Close() })
		return res
	}
	for _, path := range []string{"", "page.js", "client.js", "socket.js", "fetch.js"} {
		assert.Equal(t, 200, get(path).StatusCode, path)
	}
	assert.Equal(t, 400, get("answers/a?q="+url.QueryEscape(strings.Repeat("x", 4001))).StatusCode)
	assert.Equal(t, 404, get("answers/a?after=0").StatusCode)
	first := parse(t, get("answers/a?q=Count").Body)
	assert.Equal(t, whole(), text(first))
	assert.Equal(t, first, parse(t, get("answers/a?after=0").Body))
	http.DefaultClient.CloseIdleConnections()
	cancel()
	require.NoError(t, <-ended)
	assert.Equal(t, 1, <-asked)
	assert.Error(t, run(t.Context(), []string{"-bedrock", "other"}, io.Discard, io.Discard))
}

var block = regexp.MustCompile("(?ms)^```(?:go|js)\n(.*?)^```$")

// Every piece of code in the guide to streaming is a piece of this example, which
// its tests run.
func TestGuide(t *testing.T) {
	flat := func(code string) string {
		return regexp.MustCompile(`(?m)^[\t ]+`).ReplaceAllString(strings.ReplaceAll(code, "\r\n", "\n"), "")
	}
	var files strings.Builder
	for _, pattern := range []string{"*.go", "page/*.js"} {
		names, err := filepath.Glob(pattern)
		require.NoError(t, err)
		for _, name := range names {
			data, err := os.ReadFile(name)
			require.NoError(t, err)
			files.WriteString(flat(string(data)) + "\n")
		}
	}
	guide, err := os.ReadFile("../../docs/streaming.md")
	require.NoError(t, err)
	blocks := block.FindAllStringSubmatch(strings.ReplaceAll(string(guide), "\r\n", "\n"), -1)
	assert.GreaterOrEqual(t, len(blocks), 8)
	for _, b := range blocks {
		assert.True(t, strings.Contains(files.String(), flat(b[1])), "no part of the example:\n%s", b[1])
	}
}
