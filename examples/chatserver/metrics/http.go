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
		_, route := mux.Handler(r)
		if _, path, ok := strings.Cut(route, " "); ok {
			route = path // the method is a label of its own
		}
		began := time.Now()
		attrs := []attribute.KeyValue{attribute.String("http.request.method", method(r)), attribute.String("http.route", route)}
		ctx := context.WithoutCancel(r.Context())
		m.activeRequests.Add(ctx, 1, metric.WithAttributes(attrs...))
		if route == sockets {
			m.history.move(openSockets, 1)
		}
		answer := &response{ResponseWriter: w, status: http.StatusOK}
		defer func() {
			m.activeRequests.Add(ctx, -1, metric.WithAttributes(attrs...))
			if route == sockets {
				m.history.move(openSockets, -1)
			}
			m.requests.Record(ctx, time.Since(began).Seconds(), metric.WithAttributes(append(attrs, attribute.Int("http.response.status_code", answer.status))...))
			m.history.count(httpRequests)
			if answer.status >= http.StatusInternalServerError {
				m.history.count(httpErrors)
			}
		}()
		mux.ServeHTTP(answer, r)
	})
}

// method is a method of HTTP: clients make up others.
func method(r *http.Request) string {
	if slices.Contains([]string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}, r.Method) {
		return r.Method
	}
	return "_OTHER"
}

// response remembers the status of an answer.
type response struct {
	http.ResponseWriter
	status  int
	written bool
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
