package rest

import (
	"context"
	"encoding/json"
	"errors"
	"iter"
	"net/http"
	"strings"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/mangaassist/bedrockkit/pricing"
)

// Jobs works in the background. It is safe for concurrent use.
type Jobs interface {
	// Submit accepts a batch and returns an id for each item, in their order. The
	// error is an [*InvalidError] if an item or the callback is refused; then none
	// is accepted.
	Submit(context.Context, Batch) (ids []string, err error)

	// Status returns the status of one item, or [ErrNotFound].
	Status(ctx context.Context, id string) (Status, error)

	// Recent returns the caller's latest items, at most limit, the newest first.
	// They have no results.
	Recent(ctx context.Context, limit int) ([]Status, error)

	// Watch yields the items of Recent, the oldest first, and then each that is new
	// or has changed, until ctx ends or the server stops. An error ends it.
	Watch(ctx context.Context, limit int) iter.Seq2[Status, error]

	// Summarize submits the summary of the caller's jobs of a day, such as
	// "2026-11-29" in UTC or "" for today, and returns its id. The error is an
	// [*InvalidError] if there can be none.
	Summarize(ctx context.Context, day string) (id string, err error)

	// CallbackSecret is what the caller's callbacks are signed with. The error is
	// [ErrNotFound] if this server does not have it.
	CallbackSecret(ctx context.Context) (string, error)
}

// ErrNotFound is the error of an id that is not known, or that belongs to somebody
// else.
var ErrNotFound = errors.New("there is no such request")

// An InvalidError says which parts of a batch are refused.
type InvalidError struct{ Details []Detail }

func (e *InvalidError) Error() string {
	var b strings.Builder
	b.WriteString("the batch is refused")
	for _, d := range e.Details {
		b.WriteString("; " + d.Path + ": " + d.Message)
	}
	return b.String()
}

// A Batch is one that was found valid.
type Batch struct {
	Items       []Item `json:"items"`
	CallbackURL string `json:"callback_url"`
	Priority    string `json:"priority"` // "high", "normal" or "low"
}

// An Item is a manga and what is to be found out about it.
type Item struct {
	MangaID           string `json:"manga_id"`
	AnalysisType      string `json:"analysis_type"`
	AdditionalContext string `json:"additional_context"`
	Text              string `json:"text"`  // for content_moderation
	Image             string `json:"image"` // for cover_analysis, in base64
}

// A Status says how far an item is.
type Status struct {
	RequestID    string
	BatchID      string // of the items that were submitted together
	AnalysisType string
	MangaID      string // empty if it is not about one
	Title        string // of the manga, in Latin letters
	Priority     string // "high", "normal" or "low"

	State       string // "queued", "processing", "completed" or "failed"
	CreatedAt   time.Time
	CompletedAt time.Time // zero before its end
	Attempts    int
	Cost        *pricing.Amount // of all attempts; nil if it is not known
	Steps       []Step          // of an analysis that asks more than one model
	Result      json.RawMessage // an object; nil unless it is completed
	Error       string          // why it failed, for a client to read
}

// A Step is one call of an analysis that asks more than one model.
type Step struct {
	Name    string `json:"name"`
	ModelID string `json:"model_id"`
	CostUSD string `json:"cost_usd,omitempty"` // absent if it is not known
}

type batchResponse struct {
	Message    string   `json:"message"`
	ItemCount  int      `json:"item_count"`
	RequestIDs []string `json:"request_ids"`
}

type statusResponse struct {
	RequestID    string          `json:"request_id"`
	BatchID      string          `json:"batch_id,omitempty"`
	AnalysisType string          `json:"analysis_type,omitempty"`
	MangaID      string          `json:"manga_id,omitempty"`
	Title        string          `json:"title,omitempty"`
	Priority     string          `json:"priority,omitempty"`
	Status       string          `json:"status"`
	CreatedAt    int64           `json:"created_at"`
	CompletedAt  int64           `json:"completed_at,omitempty"`
	Attempts     int             `json:"attempts"`
	CostUSD      string          `json:"cost_usd,omitempty"`
	Steps        []Step          `json:"steps,omitempty"`
	Result       json.RawMessage `json:"result,omitempty"`
	Error        string          `json:"error,omitempty"`
}

type listResponse struct {
	Jobs []statusResponse `json:"jobs"`
}

func newStatusResponse(s Status) statusResponse {
	r := statusResponse{
		RequestID: s.RequestID, BatchID: s.BatchID, AnalysisType: s.AnalysisType, MangaID: s.MangaID, Title: s.Title, Priority: s.Priority,
		Status: s.State, CreatedAt: s.CreatedAt.Unix(), Attempts: s.Attempts, Steps: s.Steps, Result: s.Result, Error: s.Error,
	}
	if !s.CompletedAt.IsZero() {
		r.CompletedAt = s.CompletedAt.Unix()
	}
	if s.Cost != nil {
		r.CostUSD = s.Cost.String()
	}
	return r
}

// batch accepts analyses.
func (a *api) batch(w http.ResponseWriter, r *http.Request) {
	b := Batch{Priority: "normal"}
	if !a.decode(w, r, batchSchema, &b) {
		return
	}
	for i := range b.Items {
		b.Items[i].AdditionalContext = Clean(b.Items[i].AdditionalContext)
		b.Items[i].Text = Clean(b.Items[i].Text)
	}
	ids, err := a.jobs.Submit(r.Context(), b)
	a.accepted(w, r, ids, err)
}

// summary accepts the summary of a day.
func (a *api) summary(w http.ResponseWriter, r *http.Request) {
	var request struct {
		Day string `json:"day"`
	}
	if !a.decode(w, r, summarySchema, &request) {
		return
	}
	id, err := a.jobs.Summarize(r.Context(), request.Day)
	a.accepted(w, r, []string{id}, err)
}

// accepted answers a submission.
func (a *api) accepted(w http.ResponseWriter, r *http.Request, ids []string, err error) {
	var invalidErr *InvalidError
	switch {
	case errors.As(err, &invalidErr):
		fail(w, r, http.StatusBadRequest, invalid, invalidErr.Details...)
		return
	case err != nil:
		a.opts.Log.Warn("submitting failed", "request_id", RequestID(r.Context()), "error", err)
		fail(w, r, http.StatusServiceUnavailable, "The batch could not be accepted. Please try again.")
		return
	}
	writeJSON(w, http.StatusAccepted, batchResponse{"Batch submitted", len(ids), ids})
}

// status tells how far an item is.
func (a *api) status(w http.ResponseWriter, r *http.Request) {
	s, err := a.jobs.Status(r.Context(), r.PathValue("request_id"))
	switch {
	case errors.Is(err, ErrNotFound):
		fail(w, r, http.StatusNotFound, "There is no such request.")
		return
	case err != nil:
		a.opts.Log.Warn("reading a status failed", "request_id", RequestID(r.Context()), "error", err)
		fail(w, r, http.StatusServiceUnavailable, "The status could not be read. Please try again.")
		return
	}
	writeJSON(w, http.StatusOK, newStatusResponse(s))
}

// decode reads a body that fits a schema. It returns false if it has answered.
func (a *api) decode(w http.ResponseWriter, r *http.Request, schema *jsonschema.Schema, into any) bool {
	value, data, err := read(w, r)
	if err != nil {
		a.failReading(w, r, err)
		return false
	}
	if details := validate(schema, value); len(details) > 0 {
		fail(w, r, http.StatusBadRequest, invalid, details...)
		return false
	}
	if err := json.Unmarshal(data, into); err != nil {
		a.failReading(w, r, err)
		return false
	}
	return true
}
