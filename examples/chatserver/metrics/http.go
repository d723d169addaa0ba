package metrics

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// sockets is the route of the WebSockets.
const sockets = "/ws"

// Handler counts the requests of a mux that serves them. What it needs of the mux is
// which pattern a request belongs to: paths have no bound.
func (m *Metrics) Handler(mux *http.ServeMux) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer := m.begin(w, r, mux)
		defer answer.end()
		mux.ServeHTTP(answer, r)
	})
}

// begin counts a request. A WebSocket's lasts for hours: little is on the stack
// meanwhile.
func (m *Metrics) begin(w http.ResponseWriter, r *http.Request, mux *http.ServeMux) *response {
	_, route := mux.Handler(r)
	if _, path, ok := strings.Cut(route, " "); ok {
		route = path // the method is a label of its own
	}
	answer := &response{ResponseWriter: w, status: http.StatusOK, metrics: m, ctx: context.WithoutCancel(r.Context()), began: time.Now(), socket: route == sockets,
		attrs: []attribute.KeyValue{attribute.String("http.request.method", method(r)), attribute.String("http.route", route)}}
	m.activeRequests.Add(answer.ctx, 1, metric.WithAttributes(answer.attrs...))
	if answer.socket {
		m.history.move(openSockets, 1)
	}
	return answer
}

// end counts what came of it.
func (r *response) end() {
	m := r.metrics
	m.activeRequests.Add(r.ctx, -1, metric.WithAttributes(r.attrs...))
	if r.socket {
		m.history.move(openSockets, -1)
	}
	m.requests.Record(r.ctx, time.Since(r.began).Seconds(), metric.WithAttributes(append(r.attrs, attribute.Int("http.response.status_code", r.status))...))
	m.history.count(httpRequests)
	if r.status >= http.StatusInternalServerError {
		m.history.count(httpErrors)
	}
}

// method is a method of HTTP: clients make up others.
func method(r *http.Request) string {
	if slices.Contains([]string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}, r.Method) {
		return r.Method
	}
	return "_OTHER"
}

// response remembers what is counted of an answer.
type response struct {
	http.ResponseWriter
	status  int
	written bool

	metrics *Metrics
	ctx     context.Context
	began   time.Time
	attrs   []attribute.KeyValue
	socket  bool
}

func (r *response) WriteHeader(status int) {
	if !r.written && status >= http.StatusOK || status == http.StatusSwitchingProtocols {
		r.status, r.written = status, true
	}
	r.ResponseWriter.WriteHeader(status)
}

func (r *response) Write(data []byte) (int, error) {
	r.written = true
	return r.ResponseWriter.Write(data)
}

// Unwrap lets http.ResponseController flush and hijack.
func (r *response) Unwrap() http.ResponseWriter { return r.ResponseWriter }
