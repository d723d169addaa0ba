package rest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// The bounds of a list of jobs.
const (
	defaultJobs = 20
	maxJobs     = 100
)

// limit reads how many jobs are asked for. It returns false if it has answered.
func limit(w http.ResponseWriter, r *http.Request) (int, bool) {
	text := r.URL.Query().Get("limit")
	if text == "" {
		return defaultJobs, true
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > maxJobs {
		fail(w, r, http.StatusBadRequest, invalid, Detail{"?limit", fmt.Sprintf("want a number from 1 to %d", maxJobs), "limit"})
		return 0, false
	}
	return n, true
}

// recent lists the caller's latest jobs.
func (a *api) recent(w http.ResponseWriter, r *http.Request) {
	n, ok := limit(w, r)
	if !ok {
		return
	}
	statuses, err := a.jobs.Recent(r.Context(), n)
	if err != nil {
		a.opts.Log.Warn("listing jobs failed", "request_id", RequestID(r.Context()), "error", err)
		fail(w, r, http.StatusServiceUnavailable, "The jobs could not be listed. Please try again.")
		return
	}
	response := listResponse{Jobs: []statusResponse{}}
	for _, s := range statuses {
		response.Jobs = append(response.Jobs, newStatusResponse(s))
	}
	writeJSON(w, http.StatusOK, response)
}

// callbackSecret shows the caller what its callbacks are signed with.
func (a *api) callbackSecret(w http.ResponseWriter, r *http.Request) {
	secret, err := a.jobs.CallbackSecret(r.Context())
	if err != nil {
		fail(w, r, http.StatusNotFound, "This server does not have the secret of your callbacks. Ask who runs it.")
		return
	}
	writeJSON(w, http.StatusOK, map[string]string{"secret": secret})
}

// watchTime bounds a stream of changes. A client that wants more asks again.
const watchTime = 10 * time.Minute

// watch sends the caller's latest jobs and then their changes.
func (a *api) watch(w http.ResponseWriter, r *http.Request) {
	n, ok := limit(w, r)
	if !ok {
		return
	}
	out := http.NewResponseController(w)
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no") // nginx would hold events back
	w.WriteHeader(http.StatusOK)
	if out.Flush() != nil {
		return
	}
	defer out.SetWriteDeadline(time.Time{}) // the connection may serve another request
	ended := time.Now().Add(watchTime)
	for s, err := range a.jobs.Watch(r.Context(), n) {
		if err != nil {
			if r.Context().Err() == nil {
				a.opts.Log.Warn("watching jobs failed", "request_id", RequestID(r.Context()), "error", err)
			}
			return // the client asks again
		}
		event := ": still here\n\n" // nothing has changed; a proxy closes what is silent
		if s.RequestID != "" {
			data, err := json.Marshal(newStatusResponse(s))
			if err != nil {
				return
			}
			event = fmt.Sprintf("event: job\ndata: %s\n\n", data)
		}
		// A client that reads nothing is let go.
		_ = out.SetWriteDeadline(time.Now().Add(10 * time.Second)) // a writer without deadlines has its own
		if _, err := w.Write([]byte(event)); err != nil || out.Flush() != nil || time.Now().After(ended) {
			return
		}
	}
}
