package proxy

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/aws/aws-lambda-go/events"

	"github.com/mangaassist/bedrockkit/examples/chatserver/auth"
	"github.com/mangaassist/bedrockkit/examples/chatserver/rest"
)

// margin is how much of the function's time a handler does not get, so that it can
// still say that the time was over.
const margin = 2 * time.Second

// Handler returns a Lambda handler that answers when h has ended.
func Handler(h http.Handler) func(context.Context, events.APIGatewayProxyRequest) (events.APIGatewayProxyResponse, error) {
	h = known(h)
	return func(ctx context.Context, event events.APIGatewayProxyRequest) (events.APIGatewayProxyResponse, error) {
		ctx, cancel := withMargin(ctx)
		defer cancel()
		request, err := request(ctx, event)
		if err != nil {
			return events.APIGatewayProxyResponse{}, err
		}
		w := &buffered{header: http.Header{}}
		h.ServeHTTP(w, request)
		w.WriteHeader(http.StatusOK)
		response := events.APIGatewayProxyResponse{StatusCode: w.status, Body: w.body.String()}
		response.Headers, response.MultiValueHeaders = split(w.sent)
		if !utf8.ValidString(response.Body) {
			response.Body, response.IsBase64Encoded = base64.StdEncoding.EncodeToString(w.body.Bytes()), true
		}
		return response, nil
	}
}

// known keeps out requests without a caller: a method that was deployed without its
// key must not be open. A browser's preflight never has one.
func known(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if auth.CallerOf(r.Context()).ID == "" && r.Method != http.MethodOptions {
			rest.Fail(w, r, http.StatusUnauthorized, "An API key is needed, in the header X-Api-Key.")
			return
		}
		next.ServeHTTP(w, r)
	})
}

// withMargin ends before the function does.
func withMargin(ctx context.Context) (context.Context, context.CancelFunc) {
	if deadline, ok := ctx.Deadline(); ok {
		return context.WithDeadline(ctx, deadline.Add(-min(margin, time.Until(deadline)/2)))
	}
	return context.WithCancel(ctx)
}

// request is the event as a request to a handler.
func request(ctx context.Context, event events.APIGatewayProxyRequest) (*http.Request, error) {
	body := []byte(event.Body)
	if event.IsBase64Encoded {
		var err error
		if body, err = base64.StdEncoding.DecodeString(event.Body); err != nil {
			return nil, fmt.Errorf("the event's body is not base64: %w", err)
		}
	}
	if id := event.RequestContext.Identity.APIKeyID; id != "" {
		ctx = auth.WithCaller(ctx, auth.Caller{ID: id})
	}
	query := url.Values(event.MultiValueQueryStringParameters)
	if query == nil {
		query = url.Values{}
		for name, value := range event.QueryStringParameters {
			query.Set(name, value)
		}
	}
	target := url.URL{Path: path(event), RawQuery: query.Encode()}
	r, err := http.NewRequestWithContext(ctx, event.HTTPMethod, target.String(), bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("the event is no request: %w", err)
	}
	for name, value := range event.Headers {
		r.Header.Set(name, value)
	}
	for name, values := range event.MultiValueHeaders {
		r.Header[http.CanonicalHeaderKey(name)] = values
	}
	r.Host, r.RemoteAddr = event.RequestContext.DomainName, event.RequestContext.Identity.SourceIP
	return r, nil
}

// path is the resource with its parameters filled in. The event's own path may begin
// with the base path of a custom domain.
func path(event events.APIGatewayProxyRequest) string {
	path := event.Resource
	for name, value := range event.PathParameters {
		path = strings.NewReplacer("{"+name+"}", value, "{"+name+"+}", value).Replace(path)
	}
	return path
}

// split returns the headers with one value and those with several.
func split(h http.Header) (one map[string]string, several map[string][]string) {
	one = map[string]string{}
	for name, values := range h {
		if len(values) == 1 {
			one[name] = values[0]
			continue
		}
		if several == nil {
			several = map[string][]string{}
		}
		several[name] = values
	}
	return one, several
}

// buffered is a response that is kept.
type buffered struct {
	header, sent http.Header
	status       int
	body         bytes.Buffer
}

var _ io.Writer = (*buffered)(nil)

func (w *buffered) Header() http.Header { return w.header }

func (w *buffered) WriteHeader(status int) {
	if w.status == 0 {
		w.status, w.sent = status, w.header.Clone()
	}
}

func (w *buffered) Write(data []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	return w.body.Write(data)
}

// Flush implements [http.Flusher]. The response is sent when it has ended.
func (w *buffered) Flush() { w.WriteHeader(http.StatusOK) }
