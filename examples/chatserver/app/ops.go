package app

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"time"

	"github.com/mangaassist/bedrockkit/examples/chatserver/rest"
)

// serveOps is what the operations page draws: the last ten minutes or the last hour.
func (s *Server) serveOps(w http.ResponseWriter, r *http.Request) {
	spans := map[string]time.Duration{"": 10 * time.Minute, "10m": 10 * time.Minute, "1h": time.Hour}
	span, ok := spans[r.URL.Query().Get("span")]
	if !ok {
		rest.Fail(w, r, http.StatusBadRequest, "The span must be 10m or 1h.")
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	writeJSON(w, http.StatusOK, s.metrics.Report(r.Context(), span))
}

// checks are what the server needs to work.
func (s *Server) checks() map[string]func(context.Context) error {
	all := maps.Clone(s.ready)
	all["server"] = func(context.Context) error {
		if s.stopping.Load() {
			return errors.New("the server is stopping")
		}
		return nil
	}
	return all
}
