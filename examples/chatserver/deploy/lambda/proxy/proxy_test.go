package proxy_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/mangaassist/bedrockkit/examples/chatserver/auth"
	"github.com/mangaassist/bedrockkit/examples/chatserver/deploy/lambda/lambdatest"
	"github.com/mangaassist/bedrockkit/examples/chatserver/deploy/lambda/proxy"
)

// In a process of its own this test is a function that breaks off.
func TestMain(m *testing.M) {
	lambdatest.Run(func() {
		lambda.Start(proxy.Stream(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			io.WriteString(w, "data: one\n\n")
			panic("no more")
		})))
	})
	goleak.VerifyTestMain(m)
}

// echo tells what it was asked.
func echo(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(err)
	}
	w.Header().Add("Link", "a")
	w.Header().Add("Link", "b")
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusAccepted)
	json.NewEncoder(w).Encode(map[string]any{
		"method": r.Method, "url": r.URL.String(), "path": r.URL.Path, "host": r.Host, "address": r.RemoteAddr,
		"type": r.Header.Get("Content-Type"), "accept": r.Header.Values("Accept"), "body": string(body), "caller": auth.CallerOf(r.Context()).ID,
	})
}

// request is a sample event with a body.
func request(t *testing.T, change func(*events.APIGatewayProxyRequest)) events.APIGatewayProxyRequest {
	event := lambdatest.Event[events.APIGatewayProxyRequest](t, "apigw-request.json")
	if change != nil {
		change(&event)
	}
	return event
}

func TestProxyEvent(t *testing.T) {
	response, err := proxy.Handler(http.HandlerFunc(echo))(t.Context(), request(t, nil))
	require.NoError(t, err)
	assert.Equal(t, 202, response.StatusCode)
	assert.Equal(t, "application/json", response.Headers["Content-Type"])
	assert.Equal(t, map[string][]string{"Link": {"a", "b"}}, response.MultiValueHeaders)
	assert.False(t, response.IsBase64Encoded)
	assert.JSONEq(t, `{"method":"POST","url":"/hello/world?name=me","path":"/hello/world","host":"gy415nuibc.execute-api.us-east-2.amazonaws.com","address":"192.168.196.186",
		"type":"application/json","accept":["*/*"],"body":"{\r\n\t\"a\": 1\r\n}","caller":"theApiKeyId"}`, response.Body)
}

func TestProxyEvents(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(*events.APIGatewayProxyRequest)
		want   string // a part of what the handler was asked
	}{
		"a parameter in the path": {func(r *events.APIGatewayProxyRequest) {
			r.Resource, r.PathParameters = "/v1/manga/status/{request_id}", map[string]string{"request_id": "a/b c?"}
		}, `"path":"/v1/manga/status/a/b c?"`},
		"a body that is not text": {func(r *events.APIGatewayProxyRequest) {
			r.Body, r.IsBase64Encoded = base64.StdEncoding.EncodeToString([]byte("漫画")), true
		}, `"body":"漫画"`},
		"a query that is there twice": {func(r *events.APIGatewayProxyRequest) {
			r.MultiValueQueryStringParameters = map[string][]string{"q": {"a&b", "c"}}
		}, `?q=a%26b\u0026q=c"`},
		"a query that is not listed":  {func(r *events.APIGatewayProxyRequest) { r.MultiValueQueryStringParameters = nil }, `?name=me"`},
		"headers that are not listed": {func(r *events.APIGatewayProxyRequest) { r.MultiValueHeaders = nil }, `"type":"application/json"`},
	} {
		t.Run(name, func(t *testing.T) {
			response, err := proxy.Handler(http.HandlerFunc(echo))(t.Context(), request(t, tt.change))
			require.NoError(t, err)
			assert.Contains(t, response.Body, tt.want)
		})
	}
}

func TestRefused(t *testing.T) {
	asked := 0
	h := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked++ })
	open := request(t, func(r *events.APIGatewayProxyRequest) { r.RequestContext.Identity.APIKeyID = "" })
	response, err := proxy.Handler(h)(t.Context(), open)
	require.NoError(t, err)
	assert.Equal(t, 401, response.StatusCode, "a method that was deployed without its key")
	assert.Contains(t, response.Body, "An API key is needed")
	streamed, err := proxy.Stream(h)(t.Context(), open)
	require.NoError(t, err)
	assert.Equal(t, 401, streamed.StatusCode)
	_, err = io.Copy(io.Discard, streamed)
	require.NoError(t, err)
	assert.Zero(t, asked)

	open.HTTPMethod = http.MethodOptions
	response, err = proxy.Handler(h)(t.Context(), open)
	require.NoError(t, err)
	assert.Equal(t, 200, response.StatusCode, "a preflight has no key")
	assert.Equal(t, 1, asked)

	for name, tt := range map[string]struct {
		change func(*events.APIGatewayProxyRequest)
		want   string
	}{
		"no base64": {func(r *events.APIGatewayProxyRequest) { r.IsBase64Encoded = true }, "the event's body is not base64"},
		"no method": {func(r *events.APIGatewayProxyRequest) { r.HTTPMethod = "a b" }, "the event is no request"},
	} {
		_, err := proxy.Handler(h)(t.Context(), request(t, tt.change))
		assert.ErrorContains(t, err, tt.want, name)
		_, err = proxy.Stream(h)(t.Context(), request(t, tt.change))
		assert.ErrorContains(t, err, tt.want, name)
	}
}

func TestBytes(t *testing.T) {
	h := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte{0xff, 0xd8}) })
	response, err := proxy.Handler(h)(t.Context(), request(t, nil))
	require.NoError(t, err)
	assert.True(t, response.IsBase64Encoded)
	assert.Equal(t, "/9g=", response.Body)
}

// A handler has time to say that its time is over.
func TestMargin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		began := time.Now()
		response, err := proxy.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			<-r.Context().Done()
			w.WriteHeader(http.StatusGatewayTimeout)
		}))(ctx, request(t, nil))
		require.NoError(t, err)
		assert.Equal(t, 504, response.StatusCode)
		assert.Equal(t, 28*time.Second, time.Since(began))
	})
}

func TestStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		response, err := proxy.Stream(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", r.Header.Get("Accept"))
			for i := range 3 {
				fmt.Fprintf(w, "data: %d\n\n", i)
				assert.NoError(t, http.NewResponseController(w).Flush())
				time.Sleep(time.Second)
			}
		}))(t.Context(), request(t, nil))
		require.NoError(t, err)
		began := time.Now()
		var got []string
		piece := make([]byte, 1<<10)
		for {
			n, err := response.Read(piece)
			got = append(got, fmt.Sprintf("%s %q", time.Since(began), piece[:n]))
			if err == io.EOF {
				break
			}
			require.NoError(t, err)
		}
		assert.Equal(t, []string{
			`0s "{\"statusCode\":200,\"headers\":{\"Content-Type\":\"text/event-stream\"}}\x00\x00\x00\x00\x00\x00\x00\x00"`,
			`0s "data: 0\n\n"`, `1s "data: 1\n\n"`, `2s "data: 2\n\n"`, `3s ""`,
		}, got)
		assert.NoError(t, response.Close())
	})
}

// A client that has gone is not always told to the function: the response may be
// read to nowhere. So a handler ends with the function's time, and when Lambda reads
// no more; and Close waits for it.
func TestStreamIsBounded(t *testing.T) {
	for name, leave := range map[string]func(io.ReadCloser){
		"Lambda reads on":      func(r io.ReadCloser) { io.Copy(io.Discard, r) },
		"Lambda reads no more": func(r io.ReadCloser) { io.CopyN(io.Discard, r, 100); r.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				ended := false
				response, err := proxy.Stream(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					for r.Context().Err() == nil {
						io.WriteString(w, ": ping\n\n")
						time.Sleep(15 * time.Second)
					}
					ended = true
				}))(ctx, request(t, nil))
				require.NoError(t, err)
				leave(response)
				assert.True(t, ended)
			})
		})
	}
}

// stream.SSE breaks off a write that nobody reads.
func TestWriteDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		failed := make(chan error, 1)
		response, err := proxy.Stream(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			control := http.NewResponseController(w)
			assert.ErrorIs(t, control.SetWriteDeadline(time.Now().Add(time.Hour)), http.ErrNotSupported)
			w.WriteHeader(http.StatusOK)
			time.AfterFunc(time.Second, func() { control.SetWriteDeadline(time.Unix(1, 0)) })
			_, err := io.WriteString(w, "x")
			failed <- err
		}))(t.Context(), request(t, nil))
		require.NoError(t, err)
		assert.ErrorIs(t, <-failed, io.ErrClosedPipe)
		assert.NoError(t, response.Close())
	})
}

func TestStreamPanics(t *testing.T) {
	response, err := proxy.Stream(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		panic(errors.New("lost"))
	}))(t.Context(), request(t, nil))
	require.NoError(t, err)
	_, err = io.Copy(io.Discard, response)
	assert.EqualError(t, err, "the handler panicked with a *errors.errorString")
}

// A response that breaks off ends with its error as a trailer.
func TestErrorTrailer(t *testing.T) {
	f := lambdatest.Start(t)
	if f.Emulated() {
		t.Skip("the emulator shows no trailers")
	}
	for range 2 { // the function lives on
		result := f.Invoke(request(t, nil))
		assert.Equal(t, "application/vnd.awslambda.http-integration-response", result.Header.Get("Content-Type"))
		prelude, rest, found := bytes.Cut(result.Body, make([]byte, 8))
		require.True(t, found)
		assert.JSONEq(t, `{"statusCode":200,"headers":{"Content-Type":"text/event-stream"}}`, string(prelude))
		assert.Equal(t, "data: one\n\n", string(rest))
		assert.NotEmpty(t, result.Trailer.Get("Lambda-Runtime-Function-Error-Type"))
		said, err := base64.StdEncoding.DecodeString(result.Trailer.Get("Lambda-Runtime-Function-Error-Body"))
		require.NoError(t, err)
		assert.Contains(t, string(said), "the handler panicked with a string")
	}
}
