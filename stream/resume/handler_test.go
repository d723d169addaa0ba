package resume_test

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mangaassist/bedrockkit/bedrocktest"
	"github.com/mangaassist/bedrockkit/stream"
	"github.com/mangaassist/bedrockkit/stream/resume"
)

// serve starts a server of a registry's answers. What answer does is the usual,
// if it is nil: the id is in the path, and every request may start.
func serve(t *testing.T, registry *resume.Registry, open resume.Opener, optFns ...func(*resume.HandlerOptions)) *httptest.Server {
	mux := http.NewServeMux()
	h := resume.Handler(registry, func(w http.ResponseWriter, r *http.Request) (resume.Answer, bool) {
		if r.Header.Get("Authorization") == "nobody" {
			http.Error(w, "who are you", http.StatusUnauthorized)
			return resume.Answer{}, false
		}
		return resume.Answer{ID: r.PathValue("id"), Open: open}, true
	}, optFns...)
	mux.Handle("/answers", h)
	mux.Handle("/answers/{id}", h)
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	return srv
}

func request(t *testing.T, method, url string, headers ...string) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	require.NoError(t, err)
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	res, err := http.DefaultTransport.RoundTrip(req)
	require.NoError(t, err)
	t.Cleanup(func() { res.Body.Close() })
	return res
}

// event is a server-sent event.
type event struct {
	id, name string
	message  stream.Message
}

// events parses n server-sent events, or all that there are.
func events(t *testing.T, body io.Reader, n int) (events []event, text string) {
	t.Helper()
	var e event
	var data string
	for lines := bufio.NewScanner(body); n != 0 && lines.Scan(); {
		field, value, _ := strings.Cut(lines.Text(), ": ")
		switch field {
		case "id":
			e.id = value
		case "event":
			e.name = value
		case "data":
			data += value
		case "":
			if data == "" {
				continue
			}
			require.NoError(t, json.Unmarshal([]byte(data), &e.message))
			events, text = append(events, e), text+e.message.Data
			e, data = event{}, ""
			n--
		}
	}
	return events, text
}

func TestHandler(t *testing.T) {
	model := fake(t, bedrocktest.Text("one two three four").ChunkSize(4).Pace(20))
	srv := serve(t, open(t, func(o *resume.Options) { o.Coalesce = -1 }), ask(model))
	res := request(t, "GET", srv.URL+"/answers/a")
	require.Equal(t, 200, res.StatusCode)
	assert.Equal(t, "text/event-stream", res.Header.Get("Content-Type"))
	assert.Equal(t, "no-store", res.Header.Get("Cache-Control"))
	got, first := events(t, res.Body, 2)
	require.Len(t, got, 2)
	assert.Equal(t, "2", got[1].id)
	assert.Equal(t, "token", got[1].name)
	res.Body.Close() // the connection is lost

	res = request(t, "GET", srv.URL+"/answers/a?after=1", "Last-Event-ID", "2")
	require.Equal(t, 200, res.StatusCode)
	got, rest := events(t, res.Body, -1)
	assert.Equal(t, "one two three four", first+rest)
	assert.Equal(t, "3", got[0].id, "the header is newer than the query")
	last := got[len(got)-1]
	assert.Equal(t, "complete", last.name)

	res = request(t, "GET", srv.URL+"/answers/a?after=1")
	_, text := events(t, res.Body, -1)
	assert.Equal(t, strings.TrimPrefix("one two three four", "one "), text, "a page that was reloaded")
	res = request(t, "GET", srv.URL+"/answers/a")
	_, text = events(t, res.Body, -1)
	assert.Equal(t, "one two three four", text, "a page that knows nothing")
	res = request(t, "GET", srv.URL+"/answers/a", "Last-Event-ID", last.id)
	assert.Equal(t, 204, res.StatusCode)
	assert.Len(t, model.Requests(), 1)
}

// The connection begins with what EventSource needs to come back, also before the
// model has said anything.
func TestHandlerBegins(t *testing.T) {
	model := fake(t, bedrocktest.Text("hello").StallAfter(0))
	registry := open(t)
	srv := serve(t, registry, ask(model), func(o *resume.HandlerOptions) { o.Retry, o.Heartbeat = 1500*time.Millisecond, 20*time.Millisecond })
	res := request(t, "GET", srv.URL+"/answers/a")
	lines := bufio.NewScanner(res.Body)
	for _, want := range []string{"retry: 1500", "id: 0", "", ": still here", "", ": still here"} {
		require.True(t, lines.Scan())
		assert.Equal(t, want, lines.Text())
	}
	res.Body.Close()
	res = request(t, "GET", srv.URL+"/answers/a", "Last-Event-ID", "0")
	assert.Equal(t, 200, res.StatusCode)
	assert.Equal(t, 204, request(t, "DELETE", srv.URL+"/answers/a").StatusCode)
	got, _ := events(t, res.Body, -1)
	require.Len(t, got, 1)
	assert.Equal(t, resume.CodeStopped, got[0].message.Code)
	assert.Len(t, model.Requests(), 1)
}

func TestHandlerStatuses(t *testing.T) {
	model := fake(t, bedrocktest.Text("hello"))
	registry := open(t)
	srv := serve(t, registry, ask(model))
	for _, test := range []struct {
		method, path string
		headers      []string
		status       int
	}{
		{"GET", "/answers/unknown", []string{"Last-Event-ID", "0"}, 404},
		{"GET", "/answers/unknown?after=0", nil, 404},
		{"GET", "/answers/unknown", []string{"Last-Event-ID", "17"}, 404},
		{"DELETE", "/answers/unknown", nil, 404},
		{"GET", "/answers/unknown?after=x", nil, 400},
		{"GET", "/answers/unknown?after=-1", nil, 400},
		{"GET", "/answers/a%20b", nil, 400},
		{"PUT", "/answers/a", nil, 405},
		{"GET", "/answers/a", []string{"Authorization", "nobody"}, 401},
	} {
		res := request(t, test.method, srv.URL+test.path, test.headers...)
		assert.Equal(t, test.status, res.StatusCode, "%v", test)
		assert.NotEqual(t, "text/event-stream", res.Header.Get("Content-Type"))
	}
	assert.Empty(t, model.Requests())

	res := request(t, "POST", srv.URL+"/answers", "Accept", "text/event-stream")
	id := res.Header.Get("Answer-Id")
	assert.Len(t, id, 26)
	_, text := events(t, res.Body, -1)
	assert.Equal(t, "hello", text)
	assert.Equal(t, 409, request(t, "GET", srv.URL+"/answers/"+id+"?after=100").StatusCode)

	for range 2 { // as a client repeats it that got no response
		res = request(t, "POST", srv.URL+"/answers/mine")
		assert.Equal(t, 201, res.StatusCode)
		var created struct{ ID string }
		require.NoError(t, json.NewDecoder(res.Body).Decode(&created))
		assert.Equal(t, "mine", created.ID)
	}
	_, text = events(t, request(t, "GET", srv.URL+"/answers/mine?after=0").Body, -1)
	assert.Equal(t, "hello", text)
	assert.Len(t, model.Requests(), 2)

	require.NoError(t, registry.Close(t.Context()))
	res = request(t, "GET", srv.URL+"/answers/b")
	assert.Equal(t, 503, res.StatusCode)
	assert.NotEmpty(t, res.Header.Get("Retry-After"))
	body, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	assert.Equal(t, "Service Unavailable\n", string(body), "no detail")
}

// A request that starts nothing finds nothing.
func TestHandlerWithoutOpener(t *testing.T) {
	srv := serve(t, open(t), nil)
	for _, method := range []string{"GET", "POST"} {
		assert.Equal(t, 404, request(t, method, srv.URL+"/answers/a").StatusCode)
		assert.Equal(t, 404, request(t, method, srv.URL+"/answers/a", "Accept", "text/event-stream").StatusCode)
	}
}

// A connection that serves another request has no deadline of ours.
func TestHandlerLeavesNoDeadline(t *testing.T) {
	model := fake(t, bedrocktest.Text("hello"))
	srv := serve(t, open(t), ask(model), func(o *resume.HandlerOptions) { o.WriteTimeout = 50 * time.Millisecond })
	for range 2 {
		res, err := srv.Client().Get(srv.URL + "/answers/a")
		require.NoError(t, err)
		_, text := events(t, res.Body, -1)
		require.NoError(t, res.Body.Close())
		assert.Equal(t, "hello", text)
		time.Sleep(100 * time.Millisecond)
	}
}

// A reader that takes nothing loses its connection, and holds nobody up.
func TestHandlerSlowReader(t *testing.T) {
	text := strings.Repeat("x", 16<<10)
	registry := open(t, func(o *resume.Options) { o.MaxBytes = 64 << 20 })
	srv := serve(t, registry, func(context.Context) (stream.Source, error) {
		return source(func(yield func(stream.Message, error) bool) {
			n := int64(0)
			for ; n < 1000; n++ { // more than the sockets hold
				if !yield(stream.Message{Type: stream.TypeToken, Data: text, Sequence: n + 1}, nil) {
					return
				}
			}
			yield(stream.Message{Type: stream.TypeComplete, Sequence: n + 1}, nil)
		}), nil
	}, func(o *resume.HandlerOptions) { o.WriteTimeout = 200 * time.Millisecond })
	slow := request(t, "GET", srv.URL+"/answers/a")
	_ = all(t, registry, "a")
	time.Sleep(500 * time.Millisecond)
	_, err := io.Copy(io.Discard, slow.Body)
	assert.ErrorIs(t, err, io.ErrUnexpectedEOF)
}
