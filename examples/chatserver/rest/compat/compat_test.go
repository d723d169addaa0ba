package compat_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func init() {
	openapi3filter.RegisterBodyDecoder("text/event-stream", openapi3filter.PlainBodyDecoder)
}

// load reads a document, and validates it with its examples.
func load(data []byte) (*openapi3.T, error) {
	doc, err := openapi3.NewLoader().LoadFromData(data)
	if err == nil {
		err = doc.Validate(context.Background(), openapi3.EnableExamplesValidation(), openapi3.EnableSchemaDefaultsValidation())
	}
	return doc, err
}

func TestAPI(t *testing.T) {
	s := start(t)
	t.Run("document", s.testMistakes)
	t.Run("exchanges", s.testExchanges)
}

// The document was found valid; what would be wrong with it is found as well.
func (s *server) testMistakes(t *testing.T) {
	text := s.text
	for old, wrong := range map[string]string{
		`"type": "integer"`:                        `"type": "integr"`,
		`"#/components/schemas/MangaQueryRequest"`: `"#/components/schemas/MangaRequest"`,
		`"max_tokens": 1024`:                       `"max_tokens": 10240`,
		`"analysis_type": "full_enrichment"`:       `"analysis_type": "enrichment"`,
		`"/v1/manga/status/{request_id}"`:          `"/v1/manga/status/{id}"`,
	} {
		require.Contains(t, text, old)
		_, err := load([]byte(strings.Replace(text, old, wrong, 1)))
		assert.Error(t, err, wrong)
	}
}

// A server is the program as it runs, and its document.
type server struct {
	url    string
	text   string // of the document
	router routers.Router
}

// start builds the program in the module around this one, and runs it. So this module
// requires nothing of what the program does.
func start(t *testing.T) *server {
	t.Helper()
	program := filepath.Join(t.TempDir(), "chatserver")
	build := exec.Command("go", "-C", "../../../..", "build", "-o", program, "./examples/chatserver")
	out, err := build.CombinedOutput()
	require.NoError(t, err, "%s", out)
	run := exec.Command(program, "-addr", "127.0.0.1:0", "-tps", "1000000")
	run.Env = []string{"HOME=" + t.TempDir()}
	stdout, err := run.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, run.Start())
	t.Cleanup(func() {
		assert.NoError(t, run.Process.Signal(os.Interrupt))
		_, err := io.Copy(io.Discard, stdout)
		assert.NoError(t, errors.Join(err, run.Wait()))
	})
	address, err := bufio.NewReader(stdout).ReadString('\n')
	require.NoError(t, err)
	s := &server{url: strings.TrimSuffix(strings.TrimSpace(address), "/")}
	resp, err := http.Get(s.url + "/openapi.json")
	require.NoError(t, err)
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	s.text = string(data)
	doc, err := load(data)
	require.NoError(t, err)
	doc.Servers = openapi3.Servers{{URL: s.url}}
	s.router, err = gorillamux.NewRouter(doc)
	require.NoError(t, err)
	return s
}

// exchange sends a request and holds both against the document. It returns what
// is wrong with the request; a response must always be right.
func (s *server) exchange(t *testing.T, method, path, body string, header http.Header) (status int, answer string, wrong error) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, s.url+path, strings.NewReader(body))
	require.NoError(t, err)
	for name, values := range header {
		r.Header[name] = values
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	route, params, err := s.router.FindRoute(r)
	require.NoError(t, err, path)
	request := &openapi3filter.RequestValidationInput{Request: r, PathParams: params, Route: route,
		Options: &openapi3filter.Options{AuthenticationFunc: openapi3filter.NoopAuthenticationFunc, MultiError: true}}
	wrong = openapi3filter.ValidateRequest(t.Context(), request)
	resp, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	response := &openapi3filter.ResponseValidationInput{RequestValidationInput: request, Status: resp.StatusCode, Header: resp.Header,
		Options: &openapi3filter.Options{IncludeResponseStatus: true, MultiError: true}}
	response.SetBodyBytes(data)
	require.NoError(t, openapi3filter.ValidateResponse(t.Context(), response), "%s %s: %s", method, path, data)
	return resp.StatusCode, string(data), wrong
}

// The document and the server say the same of requests, and each response is as the
// document says.
func (s *server) testExchanges(t *testing.T) {
	const item = `{"manga_id":"MNG-ONEPIECE","analysis_type":"genre_classification"}`
	for body, status := range map[string]int{
		`{"query":"ワンピースに似たアクション漫画を教えてください","model":"sonnet","language":"ja","max_tokens":1024}`:                                 200,
		`{"query":"What are the best seinen manga from 2023?","model":"haiku","max_tokens":512}`:                                 200,
		`{"query":"Who wrote Monster?","model":"auto","temperature":0,"conversation_id":"5b4c1c1e-8b0a-4c39-9d35-0d2f4d1a9c11"}`: 200,
		`{}`:                              400,
		`{"query":""}`:                    400,
		`{"query":"a","model":"opus"}`:    400,
		`{"query":"a","max_tokens":5000}`: 400,
		`{"query":"a","unknown":1}`:       400,
		`{"query":1}`:                     400,
	} {
		got, answer, wrong := s.exchange(t, "POST", "/v1/manga/query", body, nil)
		assert.Equal(t, status, got, "%s: %s", body, answer)
		assert.Equal(t, status == 200, wrong == nil, "the document says the same as the server: %s: %v", body, wrong)
	}
	status, answer, wrong := s.exchange(t, "POST", "/v1/manga/query", `{"query":"hello"}`, http.Header{"Accept": {"text/event-stream"}})
	assert.Equal(t, 200, status)
	require.NoError(t, wrong)
	assert.Contains(t, answer, "event: complete")

	for body, status := range map[string]int{
		`{"items":[]}`: 400,
		`{"items":[` + item + `],"priority":"urgent"}`:                 400,
		`{"items":[{"manga_id":"one","analysis_type":"x"}]}`:           400,
		`{"items":[` + item + `],"callback_url":"ftp://example.com/"}`: 400,
	} {
		got, answer, wrong := s.exchange(t, "POST", "/v1/manga/batch", body, nil)
		assert.Equal(t, status, got, "%s: %s", body, answer)
		assert.Error(t, wrong, body)
	}
	status, answer, wrong = s.exchange(t, "POST", "/v1/manga/batch", `{"items":[`+item+`],"priority":"high"}`, nil)
	require.Equal(t, 202, status, answer)
	require.NoError(t, wrong)
	var batch struct {
		RequestIDs []string `json:"request_ids"`
	}
	require.NoError(t, json.Unmarshal([]byte(answer), &batch))
	require.Eventually(t, func() bool {
		status, answer, wrong := s.exchange(t, "GET", "/v1/manga/status/"+batch.RequestIDs[0], "", nil)
		return status == 200 && wrong == nil && strings.Contains(answer, `"completed"`)
	}, 30*time.Second, 10*time.Millisecond)
	status, _, wrong = s.exchange(t, "GET", "/v1/manga/status/5b4c1c1e-8b0a-4c39-9d35-0d2f4d1a9c11", "", nil)
	assert.Equal(t, 404, status)
	require.NoError(t, wrong)
	for query, want := range map[string]int{"": 200, "?limit=5": 200, "?limit=0": 400, "?limit=x": 400} {
		status, answer, wrong := s.exchange(t, "GET", "/v1/manga/jobs"+query, "", nil)
		assert.Equal(t, want, status, "%s: %s", query, answer)
		assert.Equal(t, want == 200, wrong == nil, "%s: %v", query, wrong)
	}
}
