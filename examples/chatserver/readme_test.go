package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func readme(t *testing.T) string {
	text, err := os.ReadFile("README.md")
	require.NoError(t, err)
	return strings.ReplaceAll(string(text), "\r\n", "\n")
}

// The commands of README.md have the answers that it shows: all of an answer's
// values that it names, but for ids and times; of events and
// metrics their names.
func TestReadmeExamples(t *testing.T) {
	url, _ := start(t, fast)
	defer http.DefaultClient.CloseIdleConnections()
	blocks := regexp.MustCompile("(?s)```(sh|json|text)\n(.*?)```").FindAllStringSubmatch(readme(t), -1)
	var answer []byte
	var ids []string // of the batch: as README has it, and as it is
	shown := 0
	for _, block := range blocks {
		lang, text := block[1], block[2]
		if lang == "sh" {
			for line := range strings.Lines(text) {
				if !strings.HasPrefix(line, "curl ") {
					continue
				}
				line = strings.NewReplacer(append(ids, "http://127.0.0.1:8080", url)...).Replace(line)
				require.Eventually(t, func() bool {
					answer = curl(t, line)
					return !bytes.Contains(answer, []byte(`"status":"queued"`)) && !bytes.Contains(answer, []byte(`"status":"processing"`))
				}, 30*time.Second, 5*time.Millisecond)
			}
			continue
		}
		shown++
		if lang == "text" {
			for _, event := range regexp.MustCompile(`(?m)^event: \w+$`).FindAllString(text, -1) {
				assert.Contains(t, string(answer), event+"\n")
			}
			for _, metric := range regexp.MustCompile(`(?m)^[a-zA-Z_]+\{`).FindAllString(text, -1) {
				assert.Contains(t, string(answer), "\n"+metric)
			}
			continue
		}
		var want, got map[string]any
		require.NoError(t, json.Unmarshal([]byte(text), &want))
		require.NoError(t, json.Unmarshal(answer, &got), "%s", answer)
		if list, ok := want["request_ids"].([]any); ok {
			ids = []string{list[0].(string), got["request_ids"].([]any)[0].(string)}
		}
		for name, value := range want {
			switch name {
			case "request_id", "request_ids", "created_at", "completed_at":
				assert.IsType(t, value, got[name], name)
			default:
				assert.Equal(t, value, got[name], name)
			}
		}
	}
	assert.Equal(t, 10, shown)
}

// The Go code of README.md is that of an example, which the compiler has seen.
func TestReadmeCode(t *testing.T) {
	examples, err := os.ReadFile("jobs/example_test.go")
	require.NoError(t, err)
	blocks := regexp.MustCompile("(?s)```go\n(.*?)```").FindAllStringSubmatch(readme(t), -1)
	require.NotEmpty(t, blocks)
	for _, block := range blocks {
		assert.Contains(t, string(examples), block[1])
	}
}

// curl does what the command does, for the options that README uses.
func curl(t *testing.T, command string) []byte {
	t.Helper()
	words := regexp.MustCompile(`'[^']*'|\S+`).FindAllString(strings.TrimSpace(command), -1)[1:]
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "", nil)
	require.NoError(t, err)
	for i := 0; i < len(words); i++ {
		switch word := words[i]; word {
		case "-s", "-sN":
		case "-H", "-d":
			i++
			value := strings.Trim(words[i], "'")
			if word == "-d" {
				req.Method, req.Body = http.MethodPost, io.NopCloser(strings.NewReader(value))
				continue
			}
			name, value, ok := strings.Cut(value, ": ")
			require.True(t, ok, words[i])
			req.Header.Set(name, value)
		default:
			req.URL, err = req.URL.Parse(word)
			require.NoError(t, err)
		}
	}
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return body
}

// README.md names every flag, and every file and folder of the program.
func TestReadmeIsComplete(t *testing.T) {
	text := readme(t)
	var usage bytes.Buffer
	_, err := parse([]string{"-h"}, &usage)
	require.Error(t, err)
	for _, flag := range regexp.MustCompile(`(?m)^  (-[\w-]+)`).FindAllStringSubmatch(usage.String(), -1) {
		assert.True(t, strings.Contains(text, "`"+flag[1]+"`"), "README.md lacks the flag %s", flag[1])
	}
	entries, err := os.ReadDir(".")
	require.NoError(t, err)
	for _, entry := range entries {
		name := entry.Name()
		if entry.IsDir() && name != "testdata" || filepath.Ext(name) == ".go" && !strings.HasSuffix(name, "_test.go") {
			assert.True(t, strings.Contains(text, "]("+name+")"), "the map in README.md lacks %s", name)
		}
	}
}
